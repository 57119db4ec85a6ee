"""`press`: press a sprung plate at a spot with a force, felt by the plate's skin."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Joints, ResetState
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm
from sim.robots.fr3 import EE_SITE
from sim.senses.batched import ForceTorque, TactileArray
from sim.senses.pads import Pad
from sim.senses.spec import add_force_torque, add_tactile_array
from sim.tasks.arm import ArmTask, action_penalty, arm_scene
from sim.tasks.parts import HAND_LIMITS_M, JOINT_NOISE, ContactTaskConfig, ready_offset
from sim.tasks.views import add_ghost, add_goal_marker

CENTRE_M: Final = (0.5, 0.0, 0.08)
"""Middle of the plate's surface in world, unloaded [m]."""

HALF_M: Final = 0.12
STIFFNESS_N_M: Final = 400.0
TOUCHED_N: Final = 0.2
"""Below this nothing presses the plate [N]."""

_MASS_KG: Final = 0.3
_DAMPING_N_S_M: Final = 20.0  # 0.9 of critical


@dataclass(frozen=True)
class PressConfig(ContactTaskConfig):
    """Settings of `press`.

    Attributes:
        tolerance_m: Largest distance of the centre of pressure from the spot that counts [m].
        tolerance_n: Largest error of the force that counts [N].
        least_n: Smallest force asked for [N].
        most_n: Largest force asked for at difficulty 1 [N].
        spread_m: Half size of the square of spots at difficulty 1 [m].
        taxels: Rows and columns of the plate's skin.
    """

    episode_s: float = 4.0
    tolerance_m: float = 0.02
    tolerance_n: float = 0.5
    least_n: float = 3.0
    most_n: float = 12.0
    spread_m: float = 0.09
    taxels: tuple[int, int] = (6, 6)

    def __post_init__(self) -> None:
        """Refuse forces and spots that the plate does not have."""
        super().__post_init__()
        if not TOUCHED_N < self.least_n <= self.most_n <= 20.0:
            raise ValueError(
                f"least_n and most_n are {self.least_n} and {self.most_n} N; use forces "
                f"in ({TOUCHED_N}, 20] N"
            )
        if not 0.0 <= self.spread_m <= HALF_M:
            raise ValueError(
                f"spread_m is {self.spread_m}; the plate reaches {HALF_M} m to each side of its middle"
            )


class Press(ArmTask):
    """Goal: spot on the plate (x, y) in world [m] and normal force [N].

    Achieved are the centre of pressure and the sum of the plate's taxels; where nothing presses, the
    grasp centre and no force. Observed are the taxels and the wrench at the hand. Difficulty
    widens the square of spots and the range of forces.
    """

    name: ClassVar[str] = "press"
    config_class: ClassVar[type[PressConfig]] = PressConfig
    config: PressConfig
    has_gripper: ClassVar[bool] = False
    limits_m = HAND_LIMITS_M

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((3,), ("x", "y", "force"), "m, m, N")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_scene()
        rows, cols = self.config.taxels
        x, y, z = CENTRE_M
        plate = spec.worldbody.add_body(name="plate", pos=[x, y, z], gravcomp=1.0)
        plate.add_joint(
            name="plate",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[0.0, 0.0, 1.0],
            stiffness=[STIFFNESS_N_M, 0.0, 0.0],
            damping=[_DAMPING_N_S_M, 0.0, 0.0],
        )
        plate.add_geom(
            name="plate",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[HALF_M, HALF_M, 0.004],
            pos=[0.0, 0.0, -0.004],
            mass=_MASS_KG,
            rgba=[0.25, 0.45, 0.75, 0.45],
            friction=[0.8, 0.005, 0.0001],
        )
        add_tactile_array(spec, plate, "skin", rows, cols, (2 * HALF_M, 2 * HALF_M))
        add_force_torque(spec, EE_SITE)
        for corner in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            p_plate = (0.9 * HALF_M * corner[0], 0.9 * HALF_M * corner[1])
            _draw_leg(plate, p_plate, 0.004, 0.02, -0.028)
            _draw_leg(spec.worldbody, (x + p_plate[0], y + p_plate[1]), 0.008, 0.018, 0.018)
        target = add_goal_marker(spec, size_m=0.0)
        add_ghost(target, mujoco.mjtGeom.mjGEOM_CYLINDER, (self.config.tolerance_m, 0.0008, 0.0))
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        pad = Pad(*self.config.taxels, (2 * HALF_M, 2 * HALF_M))
        self.skin, self.wrist = TactileArray(physics, "skin", pad), ForceTorque(physics, EE_SITE)
        self.plate = Joints(physics, ("plate",))
        rows, cols = self.config.taxels
        device = physics.device
        self._x = CENTRE_M[0] + HALF_M * (2.0 * (torch.arange(cols, device=device) + 0.5) / cols - 1.0)
        self._y = CENTRE_M[1] + HALF_M * (2.0 * (torch.arange(rows, device=device) + 0.5) / rows - 1.0)

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        cfg = self.config
        self.reset_arm(state, ready_offset(random))
        spot = random.uniform("spot", -cfg.spread_m, cfg.spread_m, 2) * difficulty[:, None]
        spot = spot + torch.tensor(CENTRE_M[:2], device=spot.device)
        share = random.uniform("force")[:, 0] * difficulty
        force_n = cfg.least_n + share * (cfg.most_n - cfg.least_n)
        state["mocap_pos"][:, 0, :2] = spot
        state["mocap_pos"][:, 0, 2] = CENTRE_M[2] - force_n / STIFFNESS_N_M
        return torch.cat((spot, force_n[:, None]), -1)

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        skin = self.sense("skin", self.skin.value.flatten(1))
        return self.observe_arm() | {"skin": skin, "wrench": self.sense("wrench", self.wrist.value)}

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        taxels = self.skin.value
        force_n = taxels.sum((1, 2))
        total = force_n.clamp(min=TOUCHED_N)
        x, y = (taxels.sum(1) * self._x).sum(-1) / total, (taxels.sum(2) * self._y).sum(-1) / total
        is_touched = (force_n > TOUCHED_N)[:, None]
        spot = torch.where(is_touched, torch.stack((x, y), -1), self.ee.pos[:, :2])
        return torch.cat((spot, force_n[:, None] * is_touched), -1)

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return (miss_m(achieved, desired) <= self.config.tolerance_m) & (
            miss_n(achieved, desired) <= self.config.tolerance_n
        )

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "spot": GoalTerm(-2.0, miss_m),
            "force": GoalTerm(-0.1, miss_n),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-miss_m(a, d) / 0.03 - miss_n(a, d))),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "lower": ShapingTerm(-0.5, lambda: (self.ee.pos[:, 2] - CENTRE_M[2]).clamp(min=0.0)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        noise = JOINT_NOISE | {"skin": 0.05, "wrench": 0.1}
        if preset == "nominal":
            return NOMINAL
        return replace(RANDOMISED, obs_noise=noise, push_n=15.0, push_body="hand")


def miss_m(achieved: Tensor, desired: Tensor) -> Tensor:
    """Return distances of spots [m], (..., 3) to (...)."""
    return torch.linalg.vector_norm((achieved - desired)[..., :2], dim=-1)


def miss_n(achieved: Tensor, desired: Tensor) -> Tensor:
    """Return errors of forces [N], (..., 3) to (...)."""
    return (achieved - desired)[..., 2].abs()


def _draw_leg(
    body: mujoco.MjsBody, p_xy: tuple[float, float], radius_m: float, half_m: float, z_m: float
) -> None:
    """Draw a part of a spring leg under a corner of the plate; it touches nothing and weighs nothing."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[radius_m, half_m, 0.0],
        pos=[*p_xy, z_m],
        rgba=[0.3, 0.32, 0.35, 1.0],
        mass=0.0,
        contype=0,
        conaffinity=0,
    )
