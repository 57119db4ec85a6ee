"""What the tasks of a hand that works a hinged tool share: the goal is the opening of the tool's tips."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Final

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import FloatArray, Transform
from policies.policy import ArraySpec
from sim.batch.handles import Body, Joints, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.randomize import Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm, Task
from sim.tasks.arm import action_penalty
from sim.tasks.hand import HAND_NOISE, HandTask, HandTaskConfig, hand_scene, settle
from sim.tasks.reading import PoseReading, read_pose
from sim.tasks.views import add_ghost, add_goal_marker, add_view
from sim.tools.base import ToolHandle

DROPPED_M: Final = 0.05
"""A tool that has moved farther in the hand than this is lost [m]."""

PUSH_N: Final = 1.0
"""Largest force that pushes the tool, for a control step, once a second on average [N]."""

TOOL_NOISE: Final = {"opening": 0.0002, "hinge_vel": 0.01, "tool_pos": 0.0005, "tool_axes": 0.01}
"""Noise of what is sensed of a held tool [m], [rad/s], [m], [rad]: its pose by a camera on the hand."""

_SETTLE_S = 2.0
_MARK = (0.001, 0.007, 0.007)  # half sizes of the plates between which the goal lies


@dataclass(frozen=True)
class ToolHandConfig(HandTaskConfig):
    """Settings of tasks of a hand that works a tool.

    Attributes:
        tolerance_m: Largest error of the opening that counts [m].
        shift_m: Largest displacement of the tool in the hand that counts [m].
        opening_m: Goals at difficulty 1 [m]; at difficulty 0 all are in its middle.
        stiffness_factor: Largest factor on the tool's spring, up or down, at difficulty 1.
    """

    episode_s: float = 5.0
    tolerance_m: float = 0.001
    shift_m: float = 0.015
    opening_m: tuple[float, float] = (0.002, 0.02)
    stiffness_factor: float = 1.3

    def __post_init__(self) -> None:
        """Refuse goals that mean nothing."""
        super().__post_init__()
        low, high = self.opening_m
        if not 0.0 <= low <= high:
            raise ValueError(f"opening_m is ({low}, {high}); use 0 <= low <= high")
        if self.stiffness_factor < 1.0:
            raise ValueError(f"stiffness_factor is {self.stiffness_factor}; use a factor of at least 1")


@dataclass(frozen=True, eq=False)
class Grasp:
    """How a hand holds a tool.

    Attributes:
        qpos: Positions of all at rest, one row per start, (starts, nq).
        targets: Targets of the hand's servos that hold them [rad], (starts, 16).
        opening_m: Opening of the tool in them [m], (starts,).
        open_targets: Targets that open the tool most [rad], (16,).
        closed_targets: Targets that close it [rad], (16,); between the two lies what a solver needs.
    """

    qpos: Tensor
    targets: Tensor
    opening_m: Tensor
    open_targets: Tensor
    closed_targets: Tensor


def observe_tool(task: Task, hinge: Joints, opening: Tensor, tool: PoseReading) -> dict[str, Tensor]:
    """Return what a hand senses of the tool it holds, in the palm's frame, wherever the palm is.

    Args:
        task: Whose readings they are.
        hinge: The tool's joint.
        opening: Opening of its tips [m], (num_envs, 1).
        tool: Its pose in the palm's frame, see `read_tool`; its y and z axes are observed.
    """
    return {
        "opening": task.sense("opening", opening),
        "hinge_vel": task.sense("hinge_vel", hinge.vel),
        "tool_pos": tool.pos,
        "tool_axes": tool.mat[:, :, 1:].flatten(1),
    }


def read_tool(task: Task, palm: Site, grip: Site) -> PoseReading:
    """Return the reading of a tool's pose, that of its site `grip`, in the palm's frame."""
    R_palm_world = palm.mat.mT
    pos = (R_palm_world @ (grip.pos - palm.pos)[..., None])[..., 0]
    return read_pose(task, "tool", pos, R_palm_world @ grip.mat)


def tips_down(height_m: float) -> Transform:
    """Return ``T_world_palm`` whose thumb's side is below: a tool along root y points down."""
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return Transform.from_parts([-0.06, 0.09, height_m], axes, parent="world", child="palm")


class ToolHandTask(HandTask):
    """Goal: opening of the tool's tips [m], and its displacement in the hand [m], which is to be 0.

    The tool is held by friction alone. An episode starts from one of several stable grasps. Difficulty
    widens the goals, the starts, and the stiffness of the tool's spring.
    """

    config: ToolHandConfig
    height_m: ClassVar[float] = 0.2
    """Of the palm's centre over the table [m]."""
    near_m: ClassVar[tuple[float, float, float]] = (0.13, -0.25, 0.2)
    aim_m: ClassVar[tuple[float, float, float]] = (0.02, 0.0, 0.15)
    """Where the camera `view` is, and what it looks at [m]."""

    @abstractmethod
    def add_tool(self, spec: mujoco.MjSpec) -> ToolHandle:
        """Add the tool to the scene, free, and return its description."""

    @abstractmethod
    def find_grasp(
        self, model: mujoco.MjModel
    ) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray]]:
        """Return positions (nq,) and targets (16,) of grasps, one per start, and targets [open, closed]."""

    @cached_property
    def handle(self) -> ToolHandle:
        """The tool's names and opening in every model of this task."""
        return self.add_tool(mujoco.MjSpec())

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((2,), ("opening", "shift"), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = hand_scene(tips_down(self.height_m))
        self.add_tool(spec)
        for side in ("left", "right"):
            add_ghost(add_goal_marker(spec, f"goal_{side}", 0.0), mujoco.mjtGeom.mjGEOM_BOX, _MARK)
        add_view(spec, eye=self.near_m, target=self.aim_m)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        assert self.handle.joint is not None
        self.hinge, self.body = Joints(physics, [self.handle.joint]), Body(physics, self.handle.body)
        self.grip = Site(physics, self.handle.site("grip"))
        self._tool_tips = [Site(physics, self.handle.site(f"tip_{side}")) for side in ("left", "right")]
        self.palm = Site(physics, "palm")
        self.grasp = self._settled(physics)
        n, device = physics.num_envs, physics.device
        self._start = torch.zeros(n, 3, device=device)
        self._held = torch.zeros(n, len(self.servos.names), device=device)
        self._stiffness = torch.ones(n, device=device)
        self._pending = torch.ones(0, device=device)
        self._physics, self._springs = physics, physics.model_field("jnt_stiffness")

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        g, c = self.grasp, self.config
        u = 0.5 + (random.uniform("start")[:, 0] - 0.5) * difficulty
        row = torch.clamp((u * len(g.targets)).long(), max=len(g.targets) - 1)
        state["qpos"][:] = g.qpos[row]
        state["ctrl"][:, self.servos.columns] = g.targets[row]
        middle, half = (c.opening_m[0] + c.opening_m[1]) / 2, (c.opening_m[1] - c.opening_m[0]) / 2
        goal = middle + random.uniform("goal", -half, half)[:, 0] * difficulty
        goal = torch.maximum(goal, self.least_goal(state, random, difficulty))
        spread = float(np.log(c.stiffness_factor))
        self._pending = torch.exp(random.uniform("stiffness", -spread, spread)[:, 0] * difficulty)
        offset = torch.zeros_like(state["mocap_pos"])
        offset[:, 0, 0], offset[:, 1, 0] = goal / 2 + _MARK[0], -goal / 2 - _MARK[0]
        state["mocap_pos"][:] = self._marker + offset
        return torch.stack((goal, torch.zeros_like(goal)), -1)

    def least_goal(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """Return the least opening that can be asked for [m], (n,), of hands and tools at `state`."""
        return torch.zeros_like(difficulty)

    def after_reset(self, ids: Tensor) -> None:
        """See `Task.after_reset`."""
        self._start[ids] = self.grip.pos[ids]
        self._held[ids] = self.targets[ids]
        self._stiffness[ids] = self._pending
        if self.handle.stiffness and self.config.stiffness_factor > 1.0:
            springs = self._springs[ids].clone()
            springs[:, self.hinge.ids[0]] *= self._pending
            self._physics.write_model(ids, {"jnt_stiffness": springs})

    def memory(self) -> dict[str, Tensor]:
        """See `Task.memory`."""
        return {"start": self._start, "held": self._held, "stiffness": self._stiffness}

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        tool = read_tool(self, self.palm, self.grip)
        return self.observe_hand() | observe_tool(self, self.hinge, self.opening, tool)

    def privileged(self) -> dict[str, Tensor]:
        """See `Task.privileged`."""
        return {"stiffness": self._stiffness[:, None]}

    @property
    def opening(self) -> Tensor:
        """Opening of the tips [m], (num_envs, 1)."""
        return self.handle.opening_m(self.hinge.pos)

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        shift = torch.linalg.vector_norm(self.grip.pos - self._start, dim=-1, keepdim=True)
        return torch.cat((self.opening, shift), -1)

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        error = (achieved - desired).abs()
        return (error[..., 0] <= self.config.tolerance_m) & (error[..., 1] <= self.config.shift_m)

    def failed(self) -> Tensor:
        """See `Task.failed`: the tool is lost."""
        return self.achieved_goal()[:, 1] > DROPPED_M

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        scale = self.config.tolerance_m
        return {
            "opening": GoalTerm(-20.0, lambda a, d: (a - d)[..., 0].abs()),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-(a - d)[..., 0].abs() / scale)),
            "shift": GoalTerm(-40.0, lambda a, d: (a - d)[..., 1].abs()),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "lost": ShapingTerm(-10.0, lambda: self.failed().float()),
            # Fingers that have nothing to do stay where they are.
            "posture": ShapingTerm(-1.0, lambda: (self.targets - self._held).square().mean(-1)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`: the held tool is pushed, too."""
        spread = super().randomization(preset)
        if preset == "nominal":
            return spread
        noise = HAND_NOISE | TOOL_NOISE
        return replace(spread, obs_noise=noise, push_n=PUSH_N, push_body=self.handle.body, push_s=1.0)

    def _settled(self, physics: Physics) -> Grasp:
        """Let the grasps come to rest, once, under the nominal model."""
        qpos, targets, ends = self.find_grasp(physics.model)
        ctrl = np.zeros(physics.model.nu)
        rest = []
        for q, t in zip(qpos, targets, strict=True):
            ctrl[self.servos.ids] = t
            rest.append(settle(physics.model, q, ctrl, _SETTLE_S))
        hinge = physics.model.joint(self.handle.joint).qposadr[0]
        data = mujoco.MjData(physics.model)
        data.qpos[:] = rest[len(rest) // 2]
        mujoco.mj_kinematics(physics.model, data)
        marker = (
            data.site(self.handle.site("tip_left")).xpos + data.site(self.handle.site("tip_right")).xpos
        ) / 2

        def tensor(values: object) -> Tensor:
            return torch.as_tensor(np.array(values), dtype=torch.float32, device=physics.device)

        self._marker = tensor(marker) - torch.tensor([0.0, 0.0, _MARK[2]], device=physics.device)
        return Grasp(
            qpos=tensor(rest),
            targets=tensor(targets),
            opening_m=tensor([self.handle.opening_m(q[hinge]) for q in rest]),
            open_targets=tensor(ends[0]),
            closed_targets=tensor(ends[1]),
        )
