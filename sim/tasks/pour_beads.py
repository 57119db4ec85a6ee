"""`pour_beads`: take a cup of beads from a stand and pour them into a bowl."""
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
from sim.tasks.beads import BEAD_RADIUS_M, BeadsConfig, BeadsTask, add_tray
from sim.tasks.parts import pose_noise
from sim.tasks.reach import distance
from sim.tasks.reading import read_pose
from sim.tasks.tool_use import Box, add_fixture, add_part, look_at

CUP_M: Final = (0.021, 0.021)
"""Half sizes of the cup inside [m]."""
CUP_HEIGHT_M: Final = 0.08
BOWL_M: Final = (0.06, 0.06)
"""Half sizes of the bowl inside [m]."""
BOWL_HEIGHT_M: Final = 0.055
BOWL_Z_M: Final = 0.15
"""Height of the block that the bowl stands on [m]."""
STAND_M: Final = 0.26
"""Height of the stand [m]: the wrist is below a hand that points forward."""
GRIP_M: Final = 0.06
"""Height of the cup's grip over its base [m]."""
_FLOOR_M: Final = 0.012  # of the bowl; the cup's is half as thick


@dataclass(frozen=True)
class PourBeadsConfig(BeadsConfig):
    """Settings of `pour_beads`.

    Attributes:
        workspace_m: See `ToolTaskConfig`.
        beads: How many of 12 beads are asked for, from difficulty 0 to at most this at difficulty 1.
        spread_m: Half width of where cup and bowl stand at difficulty 1 [m].
    """

    episode_s: float = 9.0
    workspace_m: Box = ((0.28, -0.4, 0.2), (0.68, 0.4, 0.65))
    beads: tuple[int, int] = (6, 10)
    spread_m: float = 0.03

    @property
    def rows(self) -> tuple[int, int, int]:
        """See `BeadsConfig.rows`."""
        return 2, 2, 3


class PourBeads(BeadsTask):
    """Goal: how many beads lie in the bowl, at least. Difficulty asks for more and spreads cup and bowl.

    The hand takes the cup from the side, so that its mouth is free, and can't go lower than 0.2 m: what
    is in the cup reaches the bowl by being poured.
    """

    name: ClassVar[str] = "pour_beads"
    config_class: ClassVar[type[PourBeadsConfig]] = PourBeadsConfig
    config: PourBeadsConfig
    push_body: ClassVar[str] = "cup"
    noise_of_bodies: ClassVar[Mapping[str, float]] = {
        "bowl_pos": 0.002, "beads_pos": 0.002, **pose_noise("cup"),
    }  # fmt: skip
    pitch_m: ClassVar[tuple[float, float, float]] = (0.018, 0.018, 2.1 * BEAD_RADIUS_M)
    jitter_m: ClassVar[float] = 0.001

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = self.beads_scene()
        cup = spec.worldbody.add_body(name="cup", pos=[0.5, -0.1, STAND_M])
        cup.add_freejoint(name="cup")
        spec.add_material(name="cup", rgba=[0.3, 0.5, 0.75, 1.0], specular=0.5, shininess=0.6)
        add_tray(cup, CUP_M, CUP_HEIGHT_M, "cup", 0.08, floor_m=_FLOOR_M / 2)
        for name, height in (("grip", GRIP_M), ("mouth", CUP_HEIGHT_M)):
            cup.add_site(name=name, pos=[0.0, 0.0, height], size=[0.003, 0.0, 0.0], group=4)
        bowl = add_fixture(spec, "bowl", (0.35, 0.6, 0.42))
        add_tray(bowl, BOWL_M, BOWL_HEIGHT_M, "bowl", floor_m=_FLOOR_M)
        stand = add_fixture(spec, "stand", (0.55, 0.47, 0.4))
        box = mujoco.mjtGeom.mjGEOM_BOX
        add_part(stand, box, (0.04, 0.04, STAND_M / 2), (0.0, 0.0, STAND_M / 2), "stand")
        add_part(bowl, box, (0.045, 0.045, BOWL_Z_M / 2), (0.0, 0.0, -BOWL_Z_M / 2), "stand")
        look_at(spec, (1.35, -0.35, 0.7), (0.45, 0.0, 0.22), 36.0)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.cup, self.bowl = Body(physics, "cup"), Body(physics, "bowl")
        self.grip, self.mouth = Site(physics, "grip"), Site(physics, "mouth")

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        c, d = self.config, difficulty[:, None]
        self.reset_arm(state, random.uniform("arm", -0.05, 0.05, 7))
        u = random.uniform("place", -1.0, 1.0, 4) * d
        zero = torch.zeros_like(u[:, 0])
        stand = torch.stack((0.58 + c.spread_m * u[:, 0], -0.1 + c.spread_m * u[:, 1], zero), -1)
        bowl = torch.stack((0.58 + c.spread_m * u[:, 2], 0.12 + c.spread_m * u[:, 3], zero + BOWL_Z_M), -1)
        cup = stand + torch.tensor([0.0, 0.0, STAND_M], device=d.device)
        self.cup.set_pose(state, cup)
        self.place_beads(state, random, cup, (0.0, 0.0, _FLOOR_M / 2 + 0.002))
        state["mocap_pos"][:, 0], state["mocap_pos"][:, 1] = bowl, stand
        return self.draw_goal(random, difficulty)

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        cup = read_pose(self, "cup", self.cup.pos, self.grip.mat)
        return self.observe_arm() | {
            "cup_pos": cup.pos,
            "cup_axes": cup.mat[:, :, :2].flatten(1),
            "bowl_pos": self.sense("bowl_pos", self.bowl.pos),
            "beads_pos": self.beads_from(cup.pos),
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.beads.count_in(self.bowl.pos, BOWL_M, BOWL_HEIGHT_M)

    def use_terms(self) -> Mapping[str, ShapingTerm]:
        """See `BeadsTask.use_terms`."""
        over = ShapingTerm(-0.5, lambda: distance(self.mouth.pos[:, :2], self.bowl.pos[:, :2]))
        return {"over": over}
