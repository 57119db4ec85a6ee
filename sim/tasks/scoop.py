"""`scoop`: bring beads from a tray beyond the workspace into another one with a scoop."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from sim.batch.handles import Body, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.task import ShapingTerm
from sim.tasks.beads import BEAD_RADIUS_M, FLOOR_M, BeadsConfig, BeadsTask, add_tray
from sim.tasks.parts import pose_noise
from sim.tasks.reach import distance
from sim.tasks.reading import read_pose
from sim.tasks.tool_use import (
    Box,
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
_REST_M: Final = SCOOP.drop_m - 0.0065  # height of the block that the handle lies on


@dataclass(frozen=True)
class ScoopConfig(BeadsConfig):
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

    @property
    def rows(self) -> tuple[int, int, int]:
        """See `BeadsConfig.rows`."""
        return 5, 3, 1


class Scoop(BeadsTask):
    """Goal: how many beads lie in the target tray, at least. Difficulty asks for more and moves the trays.

    A contact-rich skill of the kitchen; as in RoboTool (arXiv 2310.13065) the workspace makes the tool
    necessary.
    """

    name: ClassVar[str] = "scoop"
    config_class: ClassVar[type[ScoopConfig]] = ScoopConfig
    config: ScoopConfig
    push_body: ClassVar[str] = "scoop/body"
    noise_of_bodies: ClassVar[Mapping[str, float]] = {
        "source_pos": 0.002, "target_pos": 0.002, "beads_pos": 0.002, **pose_noise("scoop"),
    }  # fmt: skip
    pitch_m: ClassVar[tuple[float, float, float]] = (0.0155, 0.021, 2 * BEAD_RADIUS_M)
    jitter_m: ClassVar[float] = 0.0005

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = self.beads_scene()
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
        self.scoop = Body(physics, "scoop/body")
        self.grip, self.tip, self.blade = (Site(physics, f"scoop/{n}") for n in ("grip", "tip", "blade"))
        self.source, self.target = Body(physics, "source"), Body(physics, "target")

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        c, d = self.config, difficulty[:, None]
        self.reset_arm(state, random.uniform("arm", -0.05, 0.05, 7))
        u = random.uniform("place", -1.0, 1.0, 5) * d
        zero = torch.zeros_like(u[:, 0])
        source = torch.stack((zero + 0.615, 0.02 + c.spread_m * u[:, 0], zero), -1)
        target = torch.stack((zero + 0.615, 0.185 + c.spread_m * u[:, 1], zero), -1)
        self.place_beads(state, random, source, (0.033, 0.0, FLOOR_M + 0.001))
        grip = torch.stack((0.40 + 0.015 * u[:, 2], -0.2 + 0.03 * u[:, 3], zero + SCOOP.drop_m + 0.0005), -1)
        self.scoop.set_pose(state, grip, mat_quat(scoop_mat(zero)))
        rest = grip + torch.tensor([0.04, 0.0, 0.0], device=d.device)
        rest[:, 2] = 0.0
        for k, pos in enumerate((source, target, rest)):
            state["mocap_pos"][:, k] = pos
        return self.draw_goal(random, difficulty)

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        scoop = read_pose(self, "scoop", self.scoop.pos, self.grip.mat)
        source = self.sense("source_pos", self.source.pos)
        return self.observe_arm() | {
            "scoop_pos": scoop.pos,
            "scoop_axes": scoop.mat[:, :, 1:].flatten(1),
            "source_pos": source,
            "target_pos": self.sense("target_pos", self.target.pos),
            "beads_pos": self.beads_from(source),
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.beads.count_in(self.target.pos, TRAY_M, 0.05)

    def use_terms(self) -> Mapping[str, ShapingTerm]:
        """See `BeadsTask.use_terms`."""
        return {"blade": ShapingTerm(-0.5, self._to_beads)}

    def _to_beads(self) -> Tensor:
        """Return the mean distance of the beads from the blade [m]."""
        return distance(self.beads.pos, self.blade.pos[:, None]).mean(-1)


def scoop_mat(dip: Tensor) -> Tensor:
    """Return rotations (n, 3, 3) of a scoop that points along world x, its tip `dip` [rad] down."""
    zero = torch.zeros_like(dip)
    along = torch.stack((torch.cos(dip), zero, -torch.sin(dip)), -1)
    up = torch.stack((torch.sin(dip), zero, torch.cos(dip)), -1)
    return axes_mat(along, up)
