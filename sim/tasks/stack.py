"""`stack`: put the blue cube on the red one and let go."""
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
    distance,
    observe_body,
    on_table,
    ready_offset,
    yaw_quat,
)

NEAREST_M: Final = 0.11
"""Smallest distance of the cubes [m]: the open hand passes between them."""


@dataclass(frozen=True)
class StackConfig(ContactTaskConfig):
    """Settings of `stack`.

    Attributes:
        tolerance_m: Largest horizontal distance of the cubes' centres that counts [m]; beyond 0.02
            the upper one falls.
        height_tolerance_m: Largest error of the height of one over the other [m].
        farthest_m: Largest distance of the cubes at difficulty 1 [m].
    """

    episode_s: float = 6.0
    tolerance_m: float = 0.015
    height_tolerance_m: float = 0.005
    farthest_m: float = 0.2

    def __post_init__(self) -> None:
        """Refuse cubes that the hand can't pass between."""
        super().__post_init__()
        if self.farthest_m < NEAREST_M:
            raise ValueError(f"farthest_m is {self.farthest_m}; the cubes are at least {NEAREST_M} m apart")


class Stack(ArmTask):
    """Goal: the blue cube's centre seen from the red one's, along world axes, and a hand that has left.

    The last entry is the distance of the grasp centre from the blue cube, at most `clear_m`: a goal
    of 0 asks for nothing, `clear_m` for a cube that rests by itself. What is desired is always
    (0, 0, edge, clear). Difficulty widens where the cubes start, how far apart and how they are turned.
    """

    name: ClassVar[str] = "stack"
    config_class: ClassVar[type[StackConfig]] = StackConfig
    config: StackConfig
    step_rad: ClassVar[float] = 0.1
    limits_m = HAND_LIMITS_M
    half_m: ClassVar[float] = 0.02
    mass_kg: ClassVar[float] = 0.08
    clear_m: ClassVar[float] = 0.06
    clear_tolerance_m: ClassVar[float] = 0.01

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((4,), ("x", "y", "z", "hand"), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec, half = contact_scene(), (self.half_m, self.half_m, self.half_m)
        add_free(spec, "blue", mujoco.mjtGeom.mjGEOM_BOX, half, (0.08, 0.28, 0.75), self.mass_kg)
        add_free(spec, "red", mujoco.mjtGeom.mjGEOM_BOX, half, (0.8, 0.12, 0.1), self.mass_kg)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.blue, self.red = Body(physics, "blue"), Body(physics, "red")
        self._goal = torch.tensor((0.0, 0.0, 2 * self.half_m, self.clear_m), device=physics.device)

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        self.reset_arm(state, ready_offset(random))
        red = on_table(random, "red", 0.5 * difficulty, self.half_m)
        u = random.uniform("blue", -1.0, 1.0, 2)
        apart = NEAREST_M + u[:, 1].abs() * difficulty * (self.config.farthest_m - NEAREST_M)
        # Beside it, up to 30 degrees to the front or back: the open hand misses the red cube.
        angle = u[:, 0] * difficulty * torch.pi / 6
        side = torch.sign(u[:, 1]) * apart
        blue = red + torch.stack((apart * torch.sin(angle), side * torch.cos(angle), 0.0 * apart), -1)
        turn = random.uniform("yaw", -torch.pi / 4, torch.pi / 4, 2) * difficulty[:, None]
        self.red.set_pose(state, red, yaw_quat(turn[:, 0]))
        self.blue.set_pose(state, blue, yaw_quat(turn[:, 1]))
        return self._goal.expand(len(red), -1)

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        terms = self.observe_arm()
        terms |= observe_body(self, "blue", self.blue) | observe_body(self, "red", self.red)
        blue = terms["blue_pos"]
        return terms | {"to_blue": blue - terms["ee_pos"], "to_red": terms["red_pos"] - blue}

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        hand = distance(self.ee.pos, self.blue.pos).clamp(max=self.clear_m)
        return torch.cat((self.blue.pos - self.red.pos, hand[:, None]), -1)

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        clear = achieved[..., 3] >= desired[..., 3] - self.clear_tolerance_m
        return self.on_top(achieved, desired) & clear

    def on_top(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """Return whether the cubes are where they should be, wherever the hand is, (...) bool."""
        gap = achieved - desired
        level = torch.linalg.vector_norm(gap[..., :2], dim=-1) <= self.config.tolerance_m
        return level & (gap[..., 2].abs() <= self.config.height_tolerance_m)

    def failed(self) -> Tensor:
        """See `Task.failed`."""
        return torch.minimum(self.blue.pos[:, 2], self.red.pos[:, 2]) < OFF_TABLE_M

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""

        def offset(achieved: Tensor, desired: Tensor) -> Tensor:
            return distance(achieved[..., :3], desired[..., :3])

        def left(achieved: Tensor, desired: Tensor) -> Tensor:
            share = 1.0 - (desired[..., 3] - achieved[..., 3]).clamp(min=0.0) / self.clear_m
            return share * self.on_top(achieved, desired).to(torch.float32)

        return {
            "distance": GoalTerm(-2.0, offset),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-offset(a, d) / 0.05)),
            "left": GoalTerm(1.0, left),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""

        def approach() -> Tensor:
            done = self.on_top(self.achieved_goal(), self._goal)
            return distance(self.ee.pos, self.blue.pos) * ~done

        return {
            "approach": ShapingTerm(-0.5, approach),
            "lifted": ShapingTerm(0.3, lambda: (self.blue.pos[:, 2] > 1.5 * self.half_m).to(torch.float32)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        noise = JOINT_NOISE | GRIPPER_NOISE | body_noise("blue", "red")
        if preset == "nominal":
            return NOMINAL
        return replace(RANDOMISED, obs_noise=noise, push_n=0.6, push_body="blue")
