"""`pick_place`: grasp a cube and bring it to a goal in the air or on the table."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Body, ResetState
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm
from sim.tasks.arm import ArmTask, action_penalty
from sim.tasks.parts import (
    GRIPPER_NOISE,
    HAND_LIMITS_M,
    JOINT_NOISE,
    OFF_TABLE_M,
    ContactTaskConfig,
    add_free,
    body_noise,
    contact_scene,
    displaced,
    distance,
    observe_body,
    on_table,
    ready_offset,
    yaw_quat,
)
from sim.tasks.views import add_ghost, add_goal_marker

NEAREST_M: Final = 0.05
"""Smallest distance of the goal from the start [m]."""


@dataclass(frozen=True)
class PickPlaceConfig(ContactTaskConfig):
    """Settings of `pick_place`.

    Attributes:
        tolerance_m: Largest distance of the cube's centre from the goal that counts [m]. The Fetch
            task of Plappert et al. (2018, arXiv 1802.09464) allows 0.05.
        farthest_m: Largest horizontal distance of the goal from the start at difficulty 1 [m].
        highest_m: Largest height of the cube above the table at difficulty 1 [m].
        air: Share of goals in the air; the others lie on the table.
    """

    episode_s: float = 4.0
    tolerance_m: float = 0.02
    farthest_m: float = 0.25
    highest_m: float = 0.3
    air: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        super().__post_init__()
        for name in ("farthest_m", "highest_m"):
            if getattr(self, name) < NEAREST_M:
                raise ValueError(f"{name} is {getattr(self, name)}; goals are at least {NEAREST_M} m away")
        if not 0.0 <= self.air <= 1.0:
            raise ValueError(f"air is {self.air}; use a share in [0, 1]")


class PickPlace(ArmTask):
    """Goal: the cube's centre in world [m]; in the air, the hand has to hold it there.

    Difficulty widens where the cube starts and how it is turned, and how far and high the goal is.
    """

    name: ClassVar[str] = "pick_place"
    config_class: ClassVar[type[PickPlaceConfig]] = PickPlaceConfig
    config: PickPlaceConfig
    step_rad: ClassVar[float] = 0.1
    limits_m = HAND_LIMITS_M
    half_m: ClassVar[float] = 0.02
    mass_kg: ClassVar[float] = 0.08

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((3,), ("x", "y", "z"), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec, half = contact_scene(), (self.half_m, self.half_m, self.half_m)
        add_free(spec, "cube", mujoco.mjtGeom.mjGEOM_BOX, half, (0.8, 0.2, 0.12), self.mass_kg)
        add_ghost(add_goal_marker(spec, size_m=0.0), mujoco.mjtGeom.mjGEOM_BOX, half)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.cube = Body(physics, "cube")

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        cfg = self.config
        self.reset_arm(state, ready_offset(random))
        start = on_table(random, "cube", difficulty, self.half_m)
        yaw = random.uniform("yaw", -torch.pi / 4, torch.pi / 4)[:, 0] * difficulty
        self.cube.set_pose(state, start, yaw_quat(yaw))
        far = NEAREST_M + difficulty * (cfg.farthest_m - NEAREST_M)
        goal = displaced(random, "goal", start, NEAREST_M, far)
        u = random.uniform("height", size=2)
        rise = NEAREST_M + u[:, 0] * difficulty * (cfg.highest_m - NEAREST_M)
        goal[:, 2] += torch.where(u[:, 1] < cfg.air, rise, torch.zeros_like(rise))
        state["mocap_pos"][:, 0] = goal
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        terms = self.observe_arm() | observe_body(self, "cube", self.cube)
        return terms | {"to_cube": terms["cube_pos"] - terms["ee_pos"]}

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.cube.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_m

    def failed(self) -> Tensor:
        """See `Task.failed`."""
        return self.cube.pos[:, 2] < OFF_TABLE_M

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-2.0, distance),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-distance(a, d) / 0.05)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "approach": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.cube.pos)),
            "lifted": ShapingTerm(0.3, lambda: (self.cube.pos[:, 2] > 1.5 * self.half_m).to(torch.float32)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        noise = JOINT_NOISE | GRIPPER_NOISE | body_noise("cube")
        if preset == "nominal":
            return NOMINAL
        return replace(RANDOMISED, obs_noise=noise, push_n=1.5, push_body="cube")
