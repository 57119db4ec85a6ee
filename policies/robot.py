"""The `Robot` contract: state by joint name, commands, timed motion, a stop that always works.

A driver implements `Robot`; nobody but `SafeRobot` (`policies/safety.py`) may hold one. Joint units
are [rad] for revolute and [m] for prismatic joints. The parallel gripper, where the robot has one,
is part of the same state and the same command, so that one filter sees everything that moves;
the fingers of a dexterous hand are ordinary joints.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np

from perception_tools.geometry import FloatArray


@dataclass(frozen=True)
class JointLimits:
    """Limits by joint, each array shape (num_joints,), ordered by `joint_names`.

    Attributes:
        joint_names: Names.
        lower: Lower position limits [rad] or [m].
        upper: Upper position limits [rad] or [m].
        velocity: Velocity limits [rad/s] or [m/s].
        acceleration: Acceleration limits [rad/s^2] or [m/s^2].
        jerk: Jerk limits [rad/s^3] or [m/s^3].
        effort: Torque or force limits [N m] or [N].
    """

    joint_names: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    jerk: FloatArray
    effort: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and signs."""
        for field_name in ("lower", "upper", "velocity", "acceleration", "jerk", "effort"):
            values = np.asarray(getattr(self, field_name), dtype=np.float64)
            if values.shape != (len(self.joint_names),):
                raise ValueError(
                    f"JointLimits.{field_name} must have shape ({len(self.joint_names)},), got {values.shape}"
                )
            if np.isnan(values).any():
                raise ValueError(f"JointLimits.{field_name} holds what is no number: {values.tolist()}")
            object.__setattr__(self, field_name, values)
        if (self.lower >= self.upper).any() or (self.velocity <= 0).any():
            raise ValueError("JointLimits: lower must be below upper and velocities positive")


@dataclass(frozen=True)
class GripperState:
    """State of a parallel gripper.

    Attributes:
        width_m: Opening between the fingers [m].
        force_n: Sensed clamping force [N]; 0 where nothing is held.
        is_moving: Whether the fingers move.
    """

    width_m: float
    force_n: float
    is_moving: bool


@dataclass(frozen=True)
class GripperCommand:
    """Target of a parallel gripper: opening `width_m` [m], with at most `force_n` [N]."""

    width_m: float
    force_n: float = 40.0


@dataclass(frozen=True, eq=False)
class RobotState:
    """Sensed state, arrays of shape (num_joints,) ordered by `joint_names`.

    Attributes:
        joint_names: Names.
        joint_pos: Positions [rad] or [m].
        joint_vel: Velocities [rad/s] or [m/s].
        joint_effort: Torques or forces [N m] or [N].
        external_force_n: Estimated magnitude of the external force at the end effector [N],
            gravity and the held load's weight at rest included in the estimate's zero as the
            driver documents; NaN where it is not sensed.
        gripper: Gripper state, None without a gripper.
        stamp_s: Time of the reading on the robot's clock [s].
        joint_target: Positions that the servos hold now [rad] or [m]: fingers press by their distance from
            them. None where the driver does not tell.
        external_wrench: Force [N] and torque [N m] at the end effector, (6,), in the frame that the driver
            documents; None where it is not sensed.
    """

    joint_names: tuple[str, ...]
    joint_pos: FloatArray
    joint_vel: FloatArray
    joint_effort: FloatArray
    stamp_s: float
    external_force_n: float = float("nan")
    gripper: GripperState | None = None
    joint_target: FloatArray | None = None
    external_wrench: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class JointCommand:
    """Position setpoint by joint name, in physical units; None fields keep the last command.

    Attributes:
        joint_names: Names of the commanded joints (any subset, any order).
        joint_pos: Position targets [rad] or [m], shape (len(joint_names),).
        gripper: Gripper target, if it changes.
    """

    joint_names: tuple[str, ...] = ()
    joint_pos: FloatArray | None = None
    gripper: GripperCommand | None = None


@dataclass(frozen=True, eq=False)
class JointTrajectory:
    """Timed joint positions.

    Attributes:
        joint_names: Names, ordering the columns.
        times_s: Strictly increasing, first is 0 [s], shape (T,).
        joint_pos: Positions [rad] or [m], shape (T, num_joints).
        joint_vel: Velocities [rad/s] or [m/s], shape (T, num_joints).
    """

    joint_names: tuple[str, ...]
    times_s: FloatArray
    joint_pos: FloatArray
    joint_vel: FloatArray

    def __post_init__(self) -> None:
        """Check shapes, finiteness and time order."""
        shape = (len(self.times_s), len(self.joint_names))
        if self.joint_pos.shape != shape or self.joint_vel.shape != shape:
            raise ValueError(
                f"JointTrajectory needs {shape} positions and velocities, got "
                f"{self.joint_pos.shape} and {self.joint_vel.shape}"
            )
        if len(self.times_s) < 2 or self.times_s[0] != 0 or (np.diff(self.times_s) <= 0).any():
            raise ValueError("JointTrajectory needs at least two strictly increasing times from 0")
        if not all(np.isfinite(a).all() for a in (self.times_s, self.joint_pos, self.joint_vel)):
            raise ValueError("JointTrajectory has non-finite entries")

    @property
    def duration_s(self) -> float:
        """Time of the last point [s]."""
        return float(self.times_s[-1])

    def at(self, time_s: float) -> FloatArray:
        """Return positions at a time (clamped to the ends) by cubic Hermite interpolation, (num_joints,)."""
        t = float(np.clip(time_s, 0.0, self.duration_s))
        k = int(np.clip(np.searchsorted(self.times_s, t, side="right") - 1, 0, len(self.times_s) - 2))
        h = self.times_s[k + 1] - self.times_s[k]
        s = (t - self.times_s[k]) / h
        p0, p1 = self.joint_pos[k], self.joint_pos[k + 1]
        v0, v1 = self.joint_vel[k] * h, self.joint_vel[k + 1] * h
        return (
            (2 * s**3 - 3 * s**2 + 1) * p0
            + (s**3 - 2 * s**2 + s) * v0
            + (-2 * s**3 + 3 * s**2) * p1
            + (s**3 - s**2) * v1
        )


class MotionOutcome(StrEnum):
    """How a timed motion ended; always sensed."""

    REACHED = "reached"
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # stop() was called
    CONTACT = "contact"  # external force above the limit
    TRACKING = "tracking"  # the robot did not follow
    REFUSED = "refused"  # the safety filter refused it; nothing moved


@dataclass(frozen=True)
class MotionResult:
    """Outcome of `execute`.

    Attributes:
        outcome: How it ended.
        message: One line of detail.
        final_error: Largest joint error between sensed and commanded end [rad] or [m].
        peak_force_n: Largest external force sensed under way [N]; NaN if not sensed.
        seconds: Duration on the robot's clock [s].
    """

    outcome: MotionOutcome
    message: str = ""
    final_error: float = float("nan")
    peak_force_n: float = float("nan")
    seconds: float = 0.0

    @property
    def reached(self) -> bool:
        """Whether the goal was sensed to be reached."""
        return self.outcome is MotionOutcome.REACHED


class RobotStopped(RuntimeError):
    """A command was sent while the stop is latched; call `reset_stop()` after making sure it is safe."""


@runtime_checkable
class Robot(Protocol):
    """Anything with joints. Implementers run `tests/contracts/robot_suite.py`."""

    @property
    def name(self) -> str:
        """Name of the robot (`robot=` of the command line)."""
        ...

    @property
    def limits(self) -> JointLimits:
        """Joint limits; `limits.joint_names` are the robot's joints in order."""
        ...

    @property
    def gripper_width_m(self) -> tuple[float, float] | None:
        """Smallest and largest gripper opening [m], None without a gripper."""
        ...

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        ...

    def state(self) -> RobotState:
        """Return the newest sensed state."""
        ...

    def send(self, command: JointCommand) -> JointCommand:
        """Send one setpoint and return the command actually sent.

        Raises:
            ValueError: Unknown joint name, wrong shape, non-finite value; nothing is sent.
            RobotStopped: A stop is latched; nothing is sent.
        """
        ...

    def execute(self, trajectory: JointTrajectory, cancel: threading.Event) -> MotionResult:
        """Follow a timed trajectory, blocking on the robot's clock; `cancel` brings it to rest early."""
        ...

    def clock(self) -> float:
        """Return the robot's time [s]; a simulated robot's is simulation time."""
        ...

    def sleep(self, dt_s: float) -> None:
        """Wait on the robot's clock [s]; a simulated robot advances its physics here."""
        ...

    def stop(self) -> None:
        """Bring every joint to rest and latch; callable from any thread, at any time, repeatedly."""
        ...

    def reset_stop(self) -> None:
        """Release the latch, holding the measured position."""
        ...

    def close(self) -> None:
        """Stop and release resources; idempotent."""
        ...


@runtime_checkable
class SoftStart(Protocol):
    """A driver that allows less speed just after it was armed; what moves it keeps to that."""

    def speed_scale(self, in_s: float = 0.0) -> float:
        """Return the share of the speed limits that holds in some time from now [s], in [0, 1]."""
        ...


def check_command(command: JointCommand, joint_names: Sequence[str]) -> None:
    """Check names, shape and finiteness of a command against a robot's joints.

    Raises:
        ValueError: Says what is wrong and lists the valid names.
    """
    unknown = [n for n in command.joint_names if n not in joint_names]
    if unknown:
        raise ValueError(f"unknown joint {unknown[0]!r}; joints: {', '.join(joint_names)}")
    if len(set(command.joint_names)) != len(command.joint_names):
        raise ValueError("duplicate joint names in command")
    if command.joint_pos is None:
        if command.joint_names:
            raise ValueError("command names joints but has no joint_pos")
    elif np.shape(command.joint_pos) != (len(command.joint_names),):
        raise ValueError(
            f"joint_pos must have shape ({len(command.joint_names)},), got {np.shape(command.joint_pos)}"
        )
    elif not np.isfinite(command.joint_pos).all():
        raise ValueError("joint_pos has non-finite entries")
    if (
        command.gripper is not None
        and not np.isfinite([command.gripper.width_m, command.gripper.force_n]).all()
    ):
        raise ValueError("gripper command has non-finite entries")
