"""`reach`: bring the grasp centre to a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import ResetState
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm, TaskConfig, Variation
from sim.robots.model import EE_SITE, RobotModel
from sim.robots.registry import ArmHandConfig, load_robot
from sim.tasks.arm import ArmTask, action_penalty, arm_scene
from sim.tasks.parts import JOINT_NOISE
from sim.tasks.views import add_goal_marker


@dataclass(frozen=True)
class ReachConfig(TaskConfig):
    """Settings of `reach`.

    Attributes:
        tolerance_m: Largest distance that counts as reached [m].
        region_m: Half size of the box of goals around its centre at difficulty 1 [m].
        arm: The robot, as `sim.robots.registry.load_robot` takes it.
    """

    decimation: int = 10
    episode_s: float = 2.0
    tolerance_m: float = 0.02
    region_m: tuple[float, float, float] = (0.15, 0.25, 0.2)
    arm: str | ArmHandConfig = "fr3"


class Reach(ArmTask):
    """Goal: the grasp centre's position in world [m]. Difficulty scales the box it is drawn from."""

    name: ClassVar[str] = "reach"
    config_class: ClassVar[type[ReachConfig]] = ReachConfig
    config: ReachConfig
    variations: ClassVar[Mapping[str, Variation]] = {"tolerance_m": (0.01, 0.04), "episode_s": (1.52, 3.0)}
    has_gripper: ClassVar[bool] = False
    centre_m: ClassVar[tuple[float, float, float]] = (0.45, 0.0, 0.3)

    @cached_property
    def robot(self) -> RobotModel:
        """See `ArmTask.robot`."""
        return load_robot(self.config.arm)

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((3,), ("x", "y", "z"), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_scene(self.robot)
        add_goal_marker(spec)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self._centre = torch.tensor(self.centre_m, device=physics.device)
        self._region = torch.tensor(self.config.region_m, device=physics.device)

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        self.reset_arm(state, random.uniform("arm", -0.1, 0.1, len(self._home)))
        half = self._region * difficulty[:, None]
        goal = self._centre + random.uniform("goal", -1.0, 1.0, 3) * half
        state["mocap_pos"][:, 0] = goal
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        return self.observe_arm()

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.ee.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_m

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-1.0, distance),
            "close": GoalTerm(0.5, lambda a, d: torch.exp(-distance(a, d) / 0.05)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {"action": ShapingTerm(-0.01, lambda: action_penalty(self))}

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        if preset == "nominal":
            return NOMINAL
        wrist = self.robot.make_spec().site(EE_SITE).parent.name
        return replace(RANDOMISED, obs_noise=JOINT_NOISE, push_n=40.0, push_body=wrist)


def distance(achieved: Tensor, desired: Tensor) -> Tensor:
    """Return Euclidean distances of points [m], (..., 3) to (...)."""
    return torch.linalg.vector_norm(achieved - desired, dim=-1)
