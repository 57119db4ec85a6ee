"""Beads as a granular material, trays that hold them, and tasks that bring beads from one to another."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import ResetState, Site
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, ShapingTerm
from sim.tasks.arm import action_penalty, arm_scene
from sim.tasks.reach import distance
from sim.tasks.tool_use import ToolTask, ToolTaskConfig, add_part

BEAD_RADIUS_M: Final = 0.007
BEAD_KG: Final = 0.0014
_COLOURS: Final = ((0.93, 0.72, 0.2), (0.88, 0.55, 0.15), (0.96, 0.82, 0.45))
FLOOR_M: Final = 0.003
"""Thickness of a tray's floor, where nothing else is said [m]."""
_SMOOTH: Final = 0.35  # friction of trays
_WALL_M: Final = 0.003  # half thickness of a tray's walls


def add_beads(spec: mujoco.MjSpec, num: int) -> None:
    """Add free balls `bead0` ...; a reset places them."""
    for k, rgb in enumerate(_COLOURS):
        spec.add_material(name=f"bead{k}", rgba=[*rgb, 1.0], specular=0.5, shininess=0.6)
    for k in range(num):
        body = spec.worldbody.add_body(name=f"bead{k}", pos=[0.5, 0.02 * k, 0.02])
        body.add_freejoint(name=f"bead{k}")
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[BEAD_RADIUS_M, 0.0, 0.0],
            mass=BEAD_KG,
            material=f"bead{k % len(_COLOURS)}",
            condim=6,
            friction=[0.3, 0.002, 0.0003],
        )


def add_tray(
    body: mujoco.MjsBody,
    half_m: tuple[float, float],
    height_m: float,
    material: str,
    mass_kg: float = 0.0,
    back_m: float = 0.0,
    floor_m: float = FLOOR_M,
) -> None:
    """Add an open box: a floor and four walls around an inner area of half sizes `half_m` [m].

    The wall at +x is `back_m` high where that is more. Beads that fall far need a thick floor: they come
    through one that they pass in two time steps.

    The body's origin is under the middle of the floor.
    """
    x, y, w, f = *half_m, _WALL_M, floor_m / 2
    box, up, part = mujoco.mjtGeom.mjGEOM_BOX, height_m / 2, mass_kg / 6
    add_part(body, box, (x + 2 * w, y + 2 * w, f), (0.0, 0.0, f), material, 2 * part, _SMOOTH)
    for side, high in ((-1.0, up), (1.0, max(up, back_m / 2))):
        add_part(body, box, (w, y + 2 * w, high), (side * (x + w), 0.0, high), material, part, _SMOOTH)
        add_part(body, box, (x, w, up), (0.0, side * (y + w), up), material, part, _SMOOTH)


class Beads:
    """All beads of a scene."""

    def __init__(self, physics: Physics, num: int) -> None:
        """See the class."""
        model = physics.model
        bodies = [model.body(f"bead{k}").id for k in range(num)]
        joints = [model.joint(f"bead{k}") for k in range(num)]
        self._first, self.num = bodies[0], num
        self._q, self._v = int(joints[0].qposadr[0]), int(joints[0].dofadr[0])
        if bodies != list(range(bodies[0], bodies[0] + num)):
            raise ValueError("beads must be added one after another")
        self._pos, self._qvel = physics.field("xpos"), physics.field("qvel")

    @property
    def pos(self) -> Tensor:
        """Positions in world [m], (num_envs, num, 3)."""
        return self._pos[:, self._first : self._first + self.num]

    @property
    def speed(self) -> Tensor:
        """Speeds [m/s], (num_envs, num)."""
        vel = self._qvel[:, self._v : self._v + 6 * self.num].unflatten(1, (self.num, 6))
        return torch.linalg.vector_norm(vel[..., :3], dim=-1)

    def set_pos(self, state: ResetState, pos: Tensor) -> None:
        """Write positions of a reset, (n, num, 3) [m]."""
        rows = state["qpos"][:, self._q : self._q + 7 * self.num].unflatten(1, (self.num, 7)).clone()
        rows[..., :3] = pos
        state["qpos"][:, self._q : self._q + 7 * self.num] = rows.flatten(1)

    def count_in(self, centre: Tensor, half_m: tuple[float, float], height_m: float) -> Tensor:
        """Return how many have their centre in a box that stands on `centre` (num_envs, 3), (num_envs, 1)."""
        gap = self.pos - centre[:, None]
        half = torch.tensor(half_m, device=centre.device)
        inside = (gap[..., :2].abs() < half).all(-1) & (gap[..., 2] > 0.0) & (gap[..., 2] < height_m)
        return inside.sum(-1, keepdim=True).to(torch.float32)


def grid(num: tuple[int, int, int], pitch_m: tuple[float, float, float], device: torch.device) -> Tensor:
    """Return points of a grid centred in x and y that stands on z = 0, (prod(num), 3) [m]."""
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in num]
    points = torch.cartesian_prod(*axes)
    middle = torch.tensor([(num[0] - 1) / 2, (num[1] - 1) / 2, -0.5], device=device)
    return (points - middle) * torch.tensor(pitch_m, device=device)


@dataclass(frozen=True)
class BeadsConfig(ToolTaskConfig, ABC):
    """Settings of tasks that bring beads somewhere.

    Attributes:
        beads: How many beads are asked for: the fewest at difficulty 0, at most the most at difficulty 1.
    """

    beads: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        """Refuse goals that can't be met."""
        super().__post_init__()
        if not 1 <= self.beads[0] <= self.beads[1] <= self.num_beads:
            raise ValueError(f"beads is {self.beads}; use 1 <= fewest <= most <= {self.num_beads}")

    @property
    @abstractmethod
    def rows(self) -> tuple[int, int, int]:
        """Beads along x, y and z at the start."""

    @property
    def num_beads(self) -> int:
        """Beads in the scene."""
        x, y, z = self.rows
        return x * y * z


class BeadsTask(ToolTask):
    """Goal: how many beads lie where they are to be, at least. A tool or a vessel is held by its `grip`."""

    config: BeadsConfig
    pitch_m: ClassVar[tuple[float, float, float]]
    """Distances of the beads at the start [m]."""
    jitter_m: ClassVar[float]
    """How far each is off its place in the grid at most, along each axis [m]."""
    grip: Site

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((1,), ("beads",))

    def beads_scene(self) -> mujoco.MjSpec:
        """Return the arm's scene with the beads."""
        spec = arm_scene()
        spec.memory = 16 << 20
        add_beads(spec, self.config.num_beads)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.beads = Beads(physics, self.config.num_beads)
        self._points = grid(self.config.rows, self.pitch_m, physics.device)

    def place_beads(
        self, state: ResetState, random: EnvRandom, p_world: Tensor, lift_m: tuple[float, float, float]
    ) -> None:
        """Set the beads of a reset `lift_m` from points (n, 3) [m]."""
        jitter = random.uniform("beads", -self.jitter_m, self.jitter_m, 3 * self.beads.num)
        lift = torch.tensor(lift_m, device=p_world.device)
        self.beads.set_pos(state, p_world[:, None] + self._points + lift + jitter.unflatten(1, (-1, 3)))

    def draw_goal(self, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """Draw how many beads are asked for, (n, 1)."""
        fewest, most = self.config.beads
        return torch.round(fewest + (most - fewest) * random.uniform("goal") * difficulty[:, None])

    def beads_from(self, origin: Tensor) -> Tensor:
        """Return the beads' readings from the reading of an origin (num_envs, 3) [m], (num_envs, 3 num)."""
        pos = self.sense("beads_pos", self.beads.pos.flatten(1)).unflatten(1, (-1, 3))
        return (pos - origin[:, None]).flatten(1)

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return (achieved >= desired)[..., 0]

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {"short": GoalTerm(-0.2, lambda a, d: (d - a).clamp(min=0.0)[..., 0])}

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`: to take what is to be held, and to use it."""
        return {
            "grasp": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.grip.pos)),
            **self.use_terms(),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    @abstractmethod
    def use_terms(self) -> Mapping[str, ShapingTerm]:
        """Return the reward terms of using what is held, by name."""
