"""`push`: slide an object over the table to a goal, with closed fingers."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

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

Shape = Literal["box", "cylinder"]

SIZES_M: Final[dict[Shape, tuple[float, float, float]]] = {
    "box": (0.03, 0.03, 0.02),
    "cylinder": (0.035, 0.02, 0.0),
}
"""Half sizes of MuJoCo's geoms [m]; both objects are 4 cm high, so that a push does not tip them."""

HALF_HEIGHT_M: Final = 0.02


@dataclass(frozen=True)
class PushConfig(ContactTaskConfig):
    """Settings of `push`.

    Attributes:
        shape: What is pushed.
        tolerance_m: Largest distance of the object's centre from the goal that counts [m]. The Fetch
            task of Plappert et al. (2018, arXiv 1802.09464) allows 0.05.
        nearest_m: Smallest distance of the goal from the start [m].
        farthest_m: Largest distance of the goal from the start at difficulty 1 [m].
    """

    episode_s: float = 6.0
    shape: Shape = "box"
    tolerance_m: float = 0.02
    nearest_m: float = 0.06
    farthest_m: float = 0.25


class Push(ArmTask):
    """Goal: the object's centre in world [m], on the table.

    Difficulty widens where the object starts and how far away the goal is. An object off the table
    ends the episode.
    """

    name: ClassVar[str] = "push"
    config_class: ClassVar[type[PushConfig]] = PushConfig
    config: PushConfig
    has_gripper: ClassVar[bool] = False
    limits_m = HAND_LIMITS_M
    mass_kg: ClassVar[float] = 0.15

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((3,), ("x", "y", "z"), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec, kind = contact_scene(), mujoco.mjtGeom.mjGEOM_BOX
        if self.config.shape == "cylinder":
            kind = mujoco.mjtGeom.mjGEOM_CYLINDER
        add_free(spec, "object", kind, SIZES_M[self.config.shape], (0.8, 0.2, 0.12), self.mass_kg)
        target = add_goal_marker(spec, size_m=0.0)
        add_ghost(target, mujoco.mjtGeom.mjGEOM_CYLINDER, (0.05, 0.0006, 0.0))
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.object = Body(physics, "object")

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        cfg = self.config
        self.reset_arm(state, ready_offset(random))
        start = on_table(random, "object", difficulty, HALF_HEIGHT_M)
        yaw = random.uniform("yaw", -torch.pi, torch.pi)[:, 0]
        self.object.set_pose(state, start, yaw_quat(yaw))
        far = cfg.nearest_m + difficulty * (cfg.farthest_m - cfg.nearest_m)
        goal = displaced(random, "goal", start, cfg.nearest_m, far)
        state["mocap_pos"][:, 0] = goal
        state["mocap_pos"][:, 0, 2] = 0.001
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        terms = self.observe_arm() | observe_body(self, "object", self.object)
        return terms | {"to_object": terms["object_pos"] - terms["ee_pos"]}

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.object.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_m

    def failed(self) -> Tensor:
        """See `Task.failed`."""
        return self.object.pos[:, 2] < OFF_TABLE_M

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-2.0, distance),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-distance(a, d) / 0.05)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "approach": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.object.pos)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        noise = JOINT_NOISE | body_noise("object")
        if preset == "nominal":
            return NOMINAL
        return replace(RANDOMISED, obs_noise=noise, push_n=1.5, push_body="object")
