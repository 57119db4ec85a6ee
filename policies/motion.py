"""The `Kinematics` contract: where the hand is, how to get it elsewhere, and what is in the way.

Implemented by `sim/kinematics.py` on the robot's MuJoCo model and injected into skills and the
safety filter, for real robots too. The end-effector frame `ee` is the grasp centre between the
fingertips: z along the approach direction (out of the hand), y along the finger opening.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from perception_tools.geometry import BoolArray, FloatArray, Transform
from policies.robot import JointLimits, JointTrajectory


class MotionError(ValueError):
    """No motion was found; `reason` says why.

    Args:
        message: One line.
        reason: `unreachable` (no joint solution), `in_collision` (goal or start too close to an
            obstacle), `no_path` (goal fine, no collision-free way found) or `limits`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        """See the class."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Obstacles:
    """What the robot must keep away from.

    Attributes:
        points: Observed points in world [m], shape (N, 3).
        margin_m: Distance to keep from them [m].
        support_z_m: Height of the support plane in world [m]; None if there is none. The
            fingertips may come within `support_margin_m`, everything else keeps `margin_m`.
        support_margin_m: Distance of the fingertips to the support plane [m].
        held_size_m: Extents (x, y, z) in the ee frame [m] of a held object that moves along,
            None if nothing is held; its centre is at `held_center_m` in ee.
        held_center_m: See `held_size_m`.
    """

    points: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    margin_m: float = 0.01
    support_z_m: float | None = None
    support_margin_m: float = 0.002
    held_size_m: tuple[float, float, float] | None = None
    held_center_m: tuple[float, float, float] = (0.0, 0.0, 0.0)


@runtime_checkable
class Kinematics(Protocol):
    """Forward/inverse kinematics, clearance and timing. Pure: it never commands the robot."""

    @property
    def limits(self) -> JointLimits:
        """Joint limits of the arm; `limits.joint_names` orders every `joint_pos` here."""
        ...

    @property
    def home(self) -> FloatArray:
        """Rest posture, out of the scene camera's view of the table [rad], (num_joints,)."""
        ...

    def forward(self, joint_pos: FloatArray) -> Transform:
        """Return ``T_world_ee`` for joint positions [rad], (num_joints,)."""
        ...

    def inverse(
        self,
        T_world_ee: Transform,
        seed: FloatArray,
        *,
        obstacles: Obstacles | None = None,
        gripper_width_m: float = 0.08,
    ) -> FloatArray:
        """Return joint positions [rad], (num_joints,), within limits, close to `seed`.

        Raises:
            MotionError: `unreachable` or `in_collision`.
        """
        ...

    def clearance(
        self, joint_pos: FloatArray, obstacles: Obstacles, *, gripper_width_m: float = 0.08
    ) -> float:
        """Return the smallest distance robot-obstacle minus the margin asked for [m]; < 0 is too close.

        Self collision counts.
        """
        ...

    def plan(
        self,
        start: FloatArray,
        goal: FloatArray,
        *,
        obstacles: Obstacles | None = None,
        gripper_width_m: float = 0.08,
        speed: float = 1.0,
    ) -> JointTrajectory:
        """Plan a collision-free, time-parameterised joint motion that starts and ends at rest.

        Args:
            start: Joint positions [rad], (num_joints,).
            goal: Joint positions [rad], (num_joints,).
            obstacles: What to keep away from.
            gripper_width_m: Opening during the motion [m].
            speed: Fraction of the velocity limits, in (0, 1].

        Raises:
            MotionError: `in_collision`, `no_path` or `limits`.
        """
        ...

    def plan_linear(
        self,
        start: FloatArray,
        waypoints: Sequence[Transform],
        *,
        obstacles: Obstacles | None = None,
        gripper_width_m: float = 0.08,
        speed_m_s: float = 0.1,
    ) -> JointTrajectory:
        """Plan a motion that leads `ee` along straight lines through ``T_world_ee`` waypoints.

        Raises:
            MotionError: `unreachable`, `in_collision` or `limits`.
        """
        ...

    def on_robot(
        self,
        joint_pos: FloatArray,
        p_world: FloatArray,
        *,
        gripper_width_m: float = 0.08,
        padding_m: float = 0.02,
    ) -> BoolArray:
        """Self filter: which points in world [m], (N, 3), lie on or within `padding_m` of the robot; (N,)."""
        ...
