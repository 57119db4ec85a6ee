"""`bridge_gap`: bring a block over a gap between two platforms, on a board laid across it."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import mujoco
import numpy as np
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Body, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, ShapingTerm
from sim.tasks.arm import action_penalty, arm_scene
from sim.tasks.parts import pose_noise, yaw_quat
from sim.tasks.reach import distance
from sim.tasks.reading import read_pose
from sim.tasks.tool_use import Box, ToolTask, ToolTaskConfig, add_fixture, add_part, look_at
from sim.tasks.views import add_ghost, add_goal_marker

PLATFORM_M: Final = (0.11, 0.115, 0.02)
"""Half sizes of a platform [m]."""
TOP_M: Final = 2 * PLATFORM_M[2]
"""Height of the platforms [m]."""
BOARD_M: Final = (0.122, 0.0325, 0.006)
"""Half sizes of the board without the ramps at its ends [m]; x is along it."""
BLOCK_M: Final = (0.045, 0.045, 0.0225)
"""Half sizes of the block with its runners [m]; it is wider than the fingers open."""
_PLATFORM_X: Final = 0.55
_RAMP_M: Final = (0.035, 0.004)  # how far a ramp reaches, and how high its outer edge is
_RUNNER_M: Final = 0.008
_BOX: Final = mujoco.mjtGeom.mjGEOM_BOX


@dataclass(frozen=True)
class BridgeGapConfig(ToolTaskConfig):
    """Settings of `bridge_gap`.

    Attributes:
        workspace_m: See `ToolTaskConfig`. The hand reaches all; it can't grip the block, which is wider
            than the fingers open, and without turning its wrist up it can only push.
        tolerance_m: Largest distance of the block from its goal [m].
        gap_m: Widths of the gap at difficulty 1 [m]; at 0 the smallest.
        spread_m: Half width of where the block and the goal lie at difficulty 1 [m].
        board_yaw_rad: Largest angle of the board against y at the start, at difficulty 1 [rad].
    """

    episode_s: float = 13.0
    workspace_m: Box = ((0.29, -0.4, 0.01), (0.65, 0.4, 0.6))
    tolerance_m: float = 0.02
    gap_m: tuple[float, float] = (0.15, 0.18)
    spread_m: float = 0.025
    board_yaw_rad: float = 0.15


class BridgeGap(ToolTask):
    """Goal: the block's position in world, on the far platform [m]. Difficulty widens gap and spread.

    The setting is that of the quadruped which walks over a gap of 0.4 m on boards in RoboTool (arXiv
    2310.13065, table I); here a block is to cross. It fails when the block falls into the gap.
    """

    name: ClassVar[str] = "bridge_gap"
    config_class: ClassVar[type[BridgeGapConfig]] = BridgeGapConfig
    config: BridgeGapConfig
    yaw_only: ClassVar[bool] = True
    push_body: ClassVar[str] = "block"
    push_n: ClassVar[float] = 2.0
    noise_of_bodies: ClassVar[Mapping[str, float]] = {
        "block_pos": 0.002, "block_quat": 0.02, "block_vel": 0.02, "gap": 0.002, **pose_noise("board"),
    }  # fmt: skip

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((3,), ("x", "y", "z"), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_scene()
        _add_block(spec)
        _add_board(spec)
        add_ghost(add_goal_marker(spec, size_m=0.0), _BOX, BLOCK_M)
        for name in ("near", "far"):
            body = add_fixture(spec, name, (0.5, 0.56, 0.62))
            add_part(body, _BOX, PLATFORM_M, material=name)
        look_at(spec, (1.25, -0.45, 0.68), (0.47, 0.0, 0.1), 38.0)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.block, self.board = Body(physics, "block"), Body(physics, "board")
        self.board_site = Site(physics, "board")
        self._platforms = physics.field("mocap_pos")

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        c, d = self.config, difficulty[:, None]
        self.reset_arm(state, random.uniform("arm", -0.05, 0.05, 7))
        u = random.uniform("place", -1.0, 1.0, 7) * d
        gap = c.gap_m[0] + (c.gap_m[1] - c.gap_m[0]) * (u[:, 6] + difficulty) / 2
        x = 0.54 + c.spread_m * u[:, 0]
        zero = torch.zeros_like(x)
        block = torch.stack((x, -0.228 + 0.4 * c.spread_m * u[:, 1], zero + TOP_M + BLOCK_M[2]), -1)
        self.block.set_pose(state, block)
        goal = torch.stack((x + c.spread_m * u[:, 2], 0.225 + 0.6 * c.spread_m * u[:, 3], block[:, 2]), -1)
        board = torch.stack((0.345 + 0.01 * u[:, 4], 0.1 * u[:, 5], zero + BOARD_M[2]), -1)
        yaw = torch.pi / 2 + random.uniform("yaw", -c.board_yaw_rad, c.board_yaw_rad)[:, 0] * difficulty
        self.board.set_pose(state, board, yaw_quat(yaw))
        aside = gap / 2 + PLATFORM_M[1]
        state["mocap_pos"][:, 0] = goal
        state["mocap_pos"][:, 1] = torch.stack((zero + _PLATFORM_X, -aside, zero + PLATFORM_M[2]), -1)
        state["mocap_pos"][:, 2] = torch.stack((zero + _PLATFORM_X, aside, zero + PLATFORM_M[2]), -1)
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        board = read_pose(self, "board", self.board.pos, self.board_site.mat)
        return self.observe_arm() | {
            "block_pos": self.sense("block_pos", self.block.pos),
            "block_quat": self.sense_quat("block_quat", self.block.quat),
            "block_vel": self.sense("block_vel", self.block.linvel),
            "board_pos": board.pos,
            "board_axes": board.mat[:, :, :2].flatten(1),
            "gap": self.sense("gap", self.gap()[:, None]),
        }

    def gap(self) -> Tensor:
        """Return the width of the gap [m], (num_envs,)."""
        return self._platforms[:, 2, 1] - self._platforms[:, 1, 1] - 2 * PLATFORM_M[1]

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.block.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_m

    def failed(self) -> Tensor:
        """See `Task.failed`: the block has tipped into the gap or off a platform."""
        return self.block.pos[:, 2] < TOP_M + 0.6 * BLOCK_M[2]

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-2.0, distance),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-distance(a, d) / 0.05)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "bridge": ShapingTerm(-1.0, self._unbridged),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def _unbridged(self) -> Tensor:
        """Return the board's distance from where it would span the gap before the block [m]."""
        x = self.block.pos[:, 0]
        spot = torch.stack((x, torch.zeros_like(x), torch.full_like(x, TOP_M + BOARD_M[2])), -1)
        return distance(self.board.pos, spot)


def _add_block(spec: mujoco.MjSpec) -> None:
    """Add a block on two smooth runners with round noses, along y."""
    body = spec.worldbody.add_body(name="block", pos=[0.54, -0.228, TOP_M + BLOCK_M[2]])
    body.add_freejoint(name="block")
    spec.add_material(name="block", rgba=[0.8, 0.3, 0.2, 1.0], specular=0.25, shininess=0.3)
    spec.add_material(name="runner", rgba=[0.2, 0.2, 0.22, 1.0])
    lift = _RUNNER_M
    size = (BLOCK_M[0], BLOCK_M[1], BLOCK_M[2] - lift / 2)
    add_part(body, _BOX, size, (0.0, 0.0, lift / 2), "block", 0.18)
    reach = BLOCK_M[1] - _RUNNER_M
    for side in (-0.02, 0.02):
        z = _RUNNER_M - BLOCK_M[2]
        ends = [side, -reach, z, side, reach, z]
        runner = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=ends, size=[_RUNNER_M, 0.0, 0.0])
        runner.material, runner.mass, runner.priority = "runner", 0.02, 1
        runner.friction = [0.25, 0.005, 0.0001]


def _add_board(spec: mujoco.MjSpec) -> None:
    """Add a board whose ends are flat ramps."""
    body = spec.worldbody.add_body(name="board", pos=[0.345, 0.0, BOARD_M[2]])
    body.add_freejoint(name="board")
    spec.add_material(name="board", rgba=[0.75, 0.58, 0.36, 1.0], specular=0.2, shininess=0.3)
    add_part(body, _BOX, BOARD_M, material="board", mass_kg=0.18)
    reach, edge = _RAMP_M
    drop = 2 * BOARD_M[2] - edge
    angle, half, thin = float(np.arctan2(drop, reach)), float(np.hypot(drop, reach)) / 2, edge / 2
    for side in (-1.0, 1.0):
        x = BOARD_M[0] + reach / 2 - thin * np.sin(angle)
        z = BOARD_M[2] - drop / 2 - thin * np.cos(angle)
        size = (half, BOARD_M[1], thin)
        add_part(body, _BOX, size, (side * x, 0.0, z), "board", 0.01, euler_y_rad=side * angle)
    body.add_site(name="board", size=[0.003, 0.0, 0.0], group=4)
