"""`hook_reach`: pull a can from beyond the workspace to a goal inside it, with a hook that lies at hand."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Body, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, ShapingTerm
from sim.tasks.arm import action_penalty, arm_scene
from sim.tasks.parts import add_free, pose_noise
from sim.tasks.reach import distance
from sim.tasks.reading import read_pose
from sim.tasks.tool_use import Box, ToolTask, ToolTaskConfig, add_limit_line, axes_mat, look_at, mat_quat
from sim.tasks.views import add_ghost, add_goal_marker
from sim.tools.hook import HookConfig, add_hook

CAN_RADIUS_M, CAN_HEIGHT_M = 0.029, 0.042
_CAN_Y_M = 0.05  # the hook lies to the right of it
HOOK = HookConfig(length_m=0.27, foot_m=0.1, thickness_m=0.016)


@dataclass(frozen=True)
class HookReachConfig(ToolTaskConfig):
    """Settings of `hook_reach`.

    Attributes:
        workspace_m: See `ToolTaskConfig`. The nearest can is 0.08 m beyond, farther than a finger reaches.
        tolerance_m: Largest distance of the can from its goal [m].
        can_x_m: Where the can stands along x at difficulty 1 [m].
        goal_x_m: Where goals lie along x at difficulty 1 [m].
        can_y_m: Half width of where the can stands along y, around 0.05 m, at difficulty 1 [m].
        goal_y_m: Largest distance of the goal from the can along y at difficulty 1 [m].
        hook_yaw_rad: Largest angle of the hook against x at the start, at difficulty 1 [rad].
    """

    episode_s: float = 9.0
    workspace_m: Box = ((0.29, -0.4, 0.005), (0.5, 0.4, 0.6))
    tolerance_m: float = 0.02
    can_x_m: tuple[float, float] = (0.58, 0.63)
    goal_x_m: tuple[float, float] = (0.475, 0.5)
    can_y_m: float = 0.1
    goal_y_m: float = 0.03
    hook_yaw_rad: float = 0.25


class HookReach(ToolTask):
    """Goal: the can's position in world [m]. Difficulty scales how far can, goal and hook are spread.

    The setting is Milk-Reaching of RoboTool (arXiv 2310.13065, table I): an object at x 0.544 m, a
    workspace that ends at 0.45 m and a hammer 0.2 m long; here at the Franka arm's measure.
    """

    name: ClassVar[str] = "hook_reach"
    config_class: ClassVar[type[HookReachConfig]] = HookReachConfig
    config: HookReachConfig
    yaw_only: ClassVar[bool] = True
    push_body: ClassVar[str] = "hook/body"
    push_n: ClassVar[float] = 3.0
    noise_of_bodies: ClassVar[Mapping[str, float]] = {"can_pos": 0.002, "can_vel": 0.02} | pose_noise("hook")

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((3,), ("x", "y", "z"), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_scene()
        size = (CAN_RADIUS_M, CAN_HEIGHT_M / 2, 0.0)
        add_free(spec, "can", mujoco.mjtGeom.mjGEOM_CYLINDER, size, (0.83, 0.24, 0.18), 0.25)
        add_hook(spec, "hook", HOOK)
        add_ghost(add_goal_marker(spec, size_m=0.0), mujoco.mjtGeom.mjGEOM_CYLINDER, size)
        add_limit_line(spec, self.config.workspace_m[1][0])
        look_at(spec, (1.2, -0.75, 0.62), (0.42, 0.0, 0.13), 38.0)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.can, self.hook = Body(physics, "can"), Body(physics, "hook/body")
        self.grip, self.inner = Site(physics, "hook/grip"), Site(physics, "hook/inner")

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        c, d = self.config, difficulty[:, None]
        self.reset_arm(state, random.uniform("arm", -0.05, 0.05, 7))
        height = torch.full_like(d, CAN_HEIGHT_M / 2)

        def place(stream: str, x: tuple[float, float], y_m: float) -> Tensor:
            u = random.uniform(stream, -1.0, 1.0, 2) * d
            along = (x[0] + x[1]) / 2 + (x[1] - x[0]) / 2 * u[:, :1]
            return torch.cat((along, y_m * u[:, 1:], height), -1)

        can = place("can", c.can_x_m, c.can_y_m)
        can[:, 1] += _CAN_Y_M
        self.can.set_pose(state, can)
        yaw = random.uniform("yaw", -c.hook_yaw_rad, c.hook_yaw_rad)[:, 0] * difficulty
        side = random.uniform("hook", -1.0, 1.0, 2) * d
        pos = torch.stack((0.36 + 0.03 * side[:, 0], -0.26 + 0.04 * side[:, 1], height[:, 0]), -1)
        pos[:, 2] = HOOK.thickness_m / 2
        self.hook.set_pose(state, pos, mat_quat(hook_mat(yaw)))
        goal = place("goal", c.goal_x_m, c.goal_y_m)
        goal[:, 1] += can[:, 1]
        state["mocap_pos"][:, 0] = goal
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        can = self.sense("can_pos", self.can.pos)
        hook = read_pose(self, "hook", self.hook.pos, self.grip.mat)
        return self.observe_arm() | {
            "can_pos": can,
            "can_vel": self.sense("can_vel", self.can.linvel),
            "hook_pos": hook.pos,
            "hook_axes": hook.mat[:, :, 1:].flatten(1),
            "inner_to_can": can - hook.point(self.inner.pos),
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.can.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_m

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-2.0, distance),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-distance(a, d) / 0.05)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "grasp": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.grip.pos)),
            "hook": ShapingTerm(-0.5, lambda: distance(self.inner.pos, self.can.pos)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }


def hook_mat(yaw: Tensor) -> Tensor:
    """Return rotations (n, 3, 3) of a flat hook, its shaft at `yaw` [rad] from x, its foot to the left."""
    zero = torch.zeros_like(yaw)
    shaft = torch.stack((torch.cos(yaw), torch.sin(yaw), zero), -1)
    foot = torch.stack((-torch.sin(yaw), torch.cos(yaw), zero), -1)
    return axes_mat(shaft, foot)
