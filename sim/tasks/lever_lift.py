"""`lever_lift`: tilt up a heavy crate beyond the workspace with a stick over a fulcrum."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Body, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, ShapingTerm
from sim.tasks.arm import action_penalty, arm_scene
from sim.tasks.parts import pose_noise
from sim.tasks.reach import distance
from sim.tasks.reading import read_pose
from sim.tasks.tool_use import (
    Box,
    ToolTask,
    ToolTaskConfig,
    add_fixture,
    add_limit_line,
    add_part,
    axes_mat,
    look_at,
    mat_quat,
)
from sim.tasks.views import add_ghost, add_goal_marker
from sim.tools.stick import StickConfig, add_stick

STICK = StickConfig(length_m=0.36, thickness_m=0.018, section="square", grip_at=0.2)
SLOT_M: Final = 0.054
"""Height of the slot under the crate [m]: it stands on two runners."""
FULCRUM_RADIUS_M: Final = 0.012
FULCRUM_Z_M: Final = 0.038
"""Height of the axis of the fulcrum's round top [m]."""
FULCRUM_BEFORE_M: Final = 0.06
"""Distance of the fulcrum from the crate's front [m]."""
_CRATE: Final = (0.1, 0.1, 0.06)  # half sizes of its body
_BOX: Final = mujoco.mjtGeom.mjGEOM_BOX


@dataclass(frozen=True)
class LeverLiftConfig(ToolTaskConfig):
    """Settings of `lever_lift`.

    Attributes:
        workspace_m: See `ToolTaskConfig`. The crate's front is 0.14 m beyond.
        mass_kg: Mass of the crate [kg]; the arm carries 3 kg.
        tolerance_m: Largest error of the rise of the crate's front edge [m].
        rise_m: Rises asked for at difficulty 1 [m]; at 0 their middle.
        spread_y_m: Half width of where the crate stands along y at difficulty 1 [m].
        stick_yaw_rad: Largest angle of the stick against x at the start, at difficulty 1 [rad].
    """

    episode_s: float = 11.0
    workspace_m: Box = ((0.29, -0.4, 0.005), (0.5, 0.4, 0.6))
    mass_kg: float = 10.0
    tolerance_m: float = 0.004
    rise_m: tuple[float, float] = (0.012, 0.032)
    spread_y_m: float = 0.09
    stick_yaw_rad: float = 0.25


class LeverLift(ToolTask):
    """Goal: how high the front edge of the crate is lifted [m]. Difficulty scales rises and poses.

    The setting is Cube-Lifting of RoboTool (arXiv 2310.13065, table I): a 10 kg cube that the robot
    can neither lift nor push, and a lever; there with a counterweight, here pressed by the hand.
    The crate is too heavy for the arm, too wide for the hand, and beyond its workspace.
    """

    name: ClassVar[str] = "lever_lift"
    config_class: ClassVar[type[LeverLiftConfig]] = LeverLiftConfig
    config: LeverLiftConfig
    push_body: ClassVar[str] = "stick/body"
    push_n: ClassVar[float] = 2.0
    noise_of_bodies: ClassVar[Mapping[str, float]] = {
        "edge_pos": 0.002, "fulcrum_pos": 0.002, "crate_vel": 0.02, **pose_noise("stick"),
    }  # fmt: skip

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((1,), ("rise",), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_scene()
        _add_crate(spec, self.config.mass_kg)
        add_stick(spec, "stick", STICK)
        marker = add_goal_marker(spec, size_m=0.0)
        add_ghost(marker, _BOX, (0.002, _CRATE[1] + 0.01, 0.002))
        _add_fulcrum(spec)
        add_limit_line(spec, self.config.workspace_m[1][0])
        look_at(spec, (0.85, -1.0, 0.42), (0.5, 0.0, 0.12), 40.0)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.crate, self.stick = Body(physics, "crate"), Body(physics, "stick/body")
        self.fulcrum = Body(physics, "fulcrum")
        self.edge, self.grip, self.tip = (Site(physics, n) for n in ("edge", "stick/grip", "stick/tip"))

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        c, d = self.config, difficulty[:, None]
        self.reset_arm(state, random.uniform("arm", -0.05, 0.05, 7))
        u = random.uniform("place", -1.0, 1.0, 6) * d
        front = torch.stack(
            (0.64 + 0.01 * u[:, 0], 0.03 + c.spread_y_m * u[:, 1], torch.zeros_like(u[:, 0])), -1
        )
        offset = torch.tensor([_CRATE[0], 0.0, SLOT_M + _CRATE[2]], device=front.device)
        self.crate.set_pose(state, front + offset)
        yaw = c.stick_yaw_rad * u[:, 2]
        pos = torch.stack((0.36 + 0.03 * u[:, 3], -0.22 + 0.03 * u[:, 4], torch.zeros_like(yaw)), -1)
        pos[:, 2] = STICK.thickness_m / 2
        self.stick.set_pose(state, pos, mat_quat(stick_mat(yaw, torch.zeros_like(yaw))))
        middle, half = (c.rise_m[0] + c.rise_m[1]) / 2, (c.rise_m[1] - c.rise_m[0]) / 2
        goal = middle + half * u[:, 5:]
        marker, fulcrum = front.clone(), front.clone()
        marker[:, 0] -= 0.004
        marker[:, 2] = SLOT_M + goal[:, 0]
        fulcrum[:, 0] -= FULCRUM_BEFORE_M
        state["mocap_pos"][:, 0], state["mocap_pos"][:, 1] = marker, fulcrum
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        edge = self.sense("edge_pos", self.edge.pos)
        stick = read_pose(self, "stick", self.stick.pos, self.grip.mat)
        return self.observe_arm() | {
            "edge_pos": edge,
            "fulcrum_pos": self.sense("fulcrum_pos", self.fulcrum.pos),
            "crate_vel": self.sense("crate_vel", self.crate.linvel),
            "stick_pos": stick.pos,
            "stick_axes": stick.mat[:, :, 1:].flatten(1),
            "tip_to_edge": edge - stick.point(self.tip.pos),
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.edge.pos[:, 2:] - SLOT_M

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return (achieved - desired).abs()[..., 0] <= self.config.tolerance_m

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "error": GoalTerm(-20.0, lambda a, d: (a - d).abs()[..., 0]),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-(a - d).abs()[..., 0] / 0.005)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "grasp": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.grip.pos)),
            "insert": ShapingTerm(-1.0, lambda: distance(self.tip.pos, self.edge.pos)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }


def stick_mat(yaw: Tensor, dip: Tensor) -> Tensor:
    """Return rotations (n, 3, 3) of a stick at `yaw` [rad] from x, its tip `dip` [rad] below the horizon."""
    level = torch.cos(dip)
    along = torch.stack((torch.cos(yaw) * level, torch.sin(yaw) * level, -torch.sin(dip)), -1)
    left = torch.stack((-torch.sin(yaw), torch.cos(yaw), torch.zeros_like(yaw)), -1)
    return axes_mat(along, left)


def _add_crate(spec: mujoco.MjSpec, mass_kg: float) -> None:
    body = spec.worldbody.add_body(name="crate", pos=[0.74, 0.0, SLOT_M + _CRATE[2]])
    body.add_freejoint(name="crate")
    spec.add_material(name="crate", rgba=[0.35, 0.42, 0.5, 1.0], specular=0.3, shininess=0.4)
    spec.add_material(name="runner", rgba=[0.2, 0.22, 0.25, 1.0])
    add_part(body, _BOX, _CRATE, material="crate", mass_kg=0.9 * mass_kg)
    for side in (-1.0, 1.0):
        size, pos = (_CRATE[0], 0.012, SLOT_M / 2), (0.0, side * (_CRATE[1] - 0.012), -_CRATE[2] - SLOT_M / 2)
        add_part(body, _BOX, size, pos, "runner", 0.05 * mass_kg)
    body.add_site(name="edge", pos=[-_CRATE[0], 0.0, -_CRATE[2]], size=[0.003, 0.0, 0.0], group=4)


def _add_fulcrum(spec: mujoco.MjSpec) -> None:
    """Add a block with a round top that is screwed to the table; a reset places it."""
    body = add_fixture(spec, "fulcrum", (0.72, 0.6, 0.2))
    half = (FULCRUM_RADIUS_M, 0.05, FULCRUM_Z_M / 2)
    add_part(body, _BOX, half, (0.0, 0.0, half[2]), "fulcrum")
    top = body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[0.0, -0.04, FULCRUM_Z_M, 0.0, 0.04, FULCRUM_Z_M],
        size=[FULCRUM_RADIUS_M, 0.0, 0.0],
    )
    top.material, top.friction = "fulcrum", [0.8, 0.005, 0.0001]
