"""`scoop`: bring beads from a tray beyond the workspace into another one with a scoop."""
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
from sim.tasks.beads import BEAD_RADIUS_M, FLOOR_M, Beads, add_beads, add_tray, grid
from sim.tasks.reach import distance
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
from sim.tools.spatula import SpatulaConfig, add_spatula

SCOOP = SpatulaConfig(
    length_m=0.26, blade_length_m=0.08, blade_width_m=0.085, drop_m=0.06, lip_m=0.018, friction=0.35
)
TRAY_M: Final = (0.075, 0.06)
"""Half sizes of a tray inside [m]."""
WALL_M: Final = 0.02
"""Height of its walls [m]."""
BACK_M: Final = 0.036
"""Height of its far wall, which beads are pushed against [m]."""
_GRID: Final = (5, 3, 1)
_REST_M: Final = SCOOP.drop_m - 0.0065  # height of the block that the handle lies on


@dataclass(frozen=True)
class ScoopConfig(ToolTaskConfig):
    """Settings of `scoop`.

    Attributes:
        workspace_m: See `ToolTaskConfig`. The trays begin 0.04 m beyond.
        beads: How many beads are asked for at difficulty 1; at 0 the fewest.
        spread_m: Half width of where the trays stand along y at difficulty 1 [m].
    """

    episode_s: float = 14.0
    workspace_m: Box = ((0.285, -0.4, 0.005), (0.5, 0.4, 0.6))
    beads: tuple[int, int] = (4, 11)
    spread_m: float = 0.02

    def __post_init__(self) -> None:
        """Refuse goals that can't be met."""
        super().__post_init__()
        most = _GRID[0] * _GRID[1]
        if not 1 <= self.beads[0] <= self.beads[1] <= most:
            raise ValueError(f"beads is {self.beads}; use 1 <= fewest <= most <= {most}")


class Scoop(ToolTask):
    """Goal: how many beads lie in the target tray, at least. Difficulty asks for more and moves the trays.

    A contact-rich skill of the kitchen; as in RoboTool (arXiv 2310.13065) the workspace makes the tool
    necessary.
    """

    name: ClassVar[str] = "scoop"
    config_class: ClassVar[type[ScoopConfig]] = ScoopConfig
    config: ScoopConfig
    push_body: ClassVar[str] = "scoop/body"

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((1,), ("beads",))

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_scene()
        spec.memory = 16 << 20
        add_beads(spec, _GRID[0] * _GRID[1])
        add_spatula(spec, "scoop", SCOOP)
        for name, rgb in (("source", (0.55, 0.57, 0.6)), ("target", (0.35, 0.6, 0.42))):
            add_tray(add_fixture(spec, name, rgb), TRAY_M, WALL_M, name, back_m=BACK_M)
        rest = add_fixture(spec, "rest", (0.4, 0.35, 0.3))
        add_part(rest, mujoco.mjtGeom.mjGEOM_BOX, (0.008, 0.02, _REST_M / 2), (0.0, 0.0, _REST_M / 2), "rest")
        add_limit_line(spec, self.config.workspace_m[1][0])
        look_at(spec, (1.2, -0.6, 0.55), (0.5, 0.02, 0.08), 36.0)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.beads = Beads(physics, _GRID[0] * _GRID[1])
        self.scoop = Body(physics, "scoop/body")
        self.grip, self.tip, self.blade = (Site(physics, f"scoop/{n}") for n in ("grip", "tip", "blade"))
        self.source, self.target = Body(physics, "source"), Body(physics, "target")
        self._points = grid(_GRID, (0.0155, 0.021, 2 * BEAD_RADIUS_M), physics.device)

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        c, d = self.config, difficulty[:, None]
        self.reset_arm(state, random.uniform("arm", -0.05, 0.05, 7))
        u = random.uniform("place", -1.0, 1.0, 5) * d
        zero = torch.zeros_like(u[:, 0])
        source = torch.stack((zero + 0.615, 0.02 + c.spread_m * u[:, 0], zero), -1)
        target = torch.stack((zero + 0.615, 0.185 + c.spread_m * u[:, 1], zero), -1)
        jitter = random.uniform("beads", -0.0005, 0.0005, 3 * self.beads.num).unflatten(1, (-1, 3))
        lift = torch.tensor([0.033, 0.0, FLOOR_M + 0.001], device=d.device)
        self.beads.set_pos(state, source[:, None] + self._points + lift + jitter)
        grip = torch.stack((0.40 + 0.015 * u[:, 2], -0.2 + 0.03 * u[:, 3], zero + SCOOP.drop_m + 0.0005), -1)
        self.scoop.set_pose(state, grip, mat_quat(scoop_mat(zero)))
        rest = grip + torch.tensor([0.04, 0.0, 0.0], device=d.device)
        rest[:, 2] = 0.0
        for k, pos in enumerate((source, target, rest)):
            state["mocap_pos"][:, k] = pos
        fewest, most = c.beads
        share = random.uniform("goal") * d
        return torch.round(fewest + (most - fewest) * share)

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        return self.observe_arm() | {
            "scoop_pos": self.scoop.pos,
            "scoop_axes": self.grip.mat[:, :, 1:].flatten(1),
            "source_pos": self.source.pos,
            "target_pos": self.target.pos,
            "beads_pos": (self.beads.pos - self.source.pos[:, None]).flatten(1),
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.beads.count_in(self.target.pos, TRAY_M, 0.05)

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return (achieved >= desired)[..., 0]

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {"short": GoalTerm(-0.2, lambda a, d: (d - a).clamp(min=0.0)[..., 0])}

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "grasp": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.grip.pos)),
            "blade": ShapingTerm(-0.5, self._to_beads),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def _to_beads(self) -> Tensor:
        """Return the mean distance of the beads from the blade [m]."""
        return distance(self.beads.pos, self.blade.pos[:, None]).mean(-1)


def scoop_mat(dip: Tensor) -> Tensor:
    """Return rotations (n, 3, 3) of a scoop that points along world x, its tip `dip` [rad] down."""
    zero = torch.zeros_like(dip)
    along = torch.stack((torch.cos(dip), zero, -torch.sin(dip)), -1)
    up = torch.stack((torch.sin(dip), zero, torch.cos(dip)), -1)
    return axes_mat(along, up)
