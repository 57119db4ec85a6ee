"""A small driver for tests: joints follow their setpoints within 10 ms or with a lag, on its own clock."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from perception_tools.geometry import Transform
from policies.robot import (
    GripperCommand,
    GripperState,
    JointCommand,
    JointLimits,
    JointTrajectory,
    MotionOutcome,
    MotionResult,
    RobotState,
    RobotStopped,
    check_command,
)

LIMITS = JointLimits(
    joint_names=("a", "b", "c"),
    lower=np.array([-2.0, -1.0, 0.0]),
    upper=np.array([2.0, 1.0, 0.5]),
    velocity=np.array([2.0, 1.0, 0.4]),
    acceleration=np.array([10.0, 5.0, 2.0]),
    jerk=np.array([500.0, 500.0, 100.0]),
    effort=np.array([80.0, 40.0, 100.0]),
)
STEP_S = 0.001


def planar_forward(joint_pos) -> Transform:
    """ee of an arm with two hinges of 0.4 and 0.3 m in the x-z plane at height 0.5, and a slide along y."""
    a, b, c = joint_pos
    x = 0.4 * np.cos(a) + 0.3 * np.cos(a + b)
    z = 0.5 + 0.4 * np.sin(a) + 0.3 * np.sin(a + b)
    return Transform.from_parts([x, c, z], np.eye(3), parent="world", child="ee")


class KinematicRobot:
    """Implements `Robot`; `sent` records (time, command) of everything that reached it.

    Args:
        lag_s: Time constant of the joints; 0 reaches each setpoint within 10 ms.
        force_n: External force from (time, joint positions); NaN by default.
        is_blocked: Joints do not move while this says so.
        start: First joint positions.
    """

    name = "kinematic"
    limits = LIMITS
    gripper_width_m = (0.0, 0.08)

    def __init__(
        self,
        *,
        lag_s: float = 0.0,
        force_n: Callable[[float, np.ndarray], float] = lambda t, q: float("nan"),
        is_blocked: Callable[[float], bool] = lambda t: False,
        start=(0.0, 0.0, 0.1),
    ) -> None:
        self.sent: list[tuple[float, JointCommand]] = []
        self.state_age_s = 0.0
        self.is_stopped = False
        self.is_closed = False
        self._lag_s = lag_s
        self._force_n = force_n
        self._is_blocked = is_blocked
        self._steps = 0
        self._pos = np.array(start, dtype=float)
        self._vel = np.zeros(3)
        self._setpoint = self._pos.copy()
        self._gripper = GripperCommand(0.08)

    def state(self) -> RobotState:
        width_m = self._gripper.width_m
        return RobotState(
            self.limits.joint_names,
            self._pos.copy(),
            self._vel.copy(),
            np.zeros(3),
            self.clock() - self.state_age_s,
            self._force_n(self.clock(), self._pos),
            GripperState(width_m, 0.0, False),
        )

    def send(self, command: JointCommand) -> JointCommand:
        check_command(command, self.limits.joint_names)
        if self.is_stopped:
            raise RobotStopped("stopped")
        if command.joint_pos is not None:
            self._setpoint[[self.limits.joint_names.index(n) for n in command.joint_names]] = (
                command.joint_pos
            )
        if command.gripper is not None:
            self._gripper = command.gripper
        self.sent.append((self.clock(), command))
        return command

    def execute(self, trajectory: JointTrajectory, cancel: threading.Event) -> MotionResult:
        for t in np.arange(0.0, trajectory.duration_s + 0.01, 0.01):
            if cancel.is_set() or self.is_stopped:
                return MotionResult(MotionOutcome.STOPPED if self.is_stopped else MotionOutcome.CANCELLED)
            self.send(JointCommand(trajectory.joint_names, trajectory.at(t)))
            self.sleep(0.01)
        return MotionResult(MotionOutcome.REACHED)

    def clock(self) -> float:
        return self._steps * STEP_S

    def sleep(self, dt_s: float) -> None:
        for _ in range(max(1, round(dt_s / STEP_S))):
            before = self._pos.copy()
            if not self._is_blocked(self.clock()):
                self._pos += self._gain() * (self._setpoint - self._pos)
            self._vel = (self._pos - before) / STEP_S
            self._steps += 1

    def _gain(self) -> float:
        if self._lag_s > 0:
            return STEP_S / self._lag_s
        sent_s = self.sent[-1][0] if self.sent else 0.0
        return STEP_S / max(STEP_S, sent_s + 0.01 - self.clock())  # there within 10 ms, at constant speed

    def stop(self) -> None:
        self.is_stopped = True
        self._setpoint = self._pos.copy()

    def reset_stop(self) -> None:
        self.is_stopped = False
        self._setpoint = self._pos.copy()

    def close(self) -> None:
        self.stop()
        self.is_closed = True

    def setpoints(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (N,) and full joint setpoints (N, 3) that reached the driver."""
        rows = [(t, c.joint_pos) for t, c in self.sent if c.joint_names]
        assert all(c.joint_names == self.limits.joint_names for _, c in self.sent if c.joint_names)
        return np.array([t for t, _ in rows]), np.array([p for _, p in rows]).reshape(-1, 3)


def assert_within_limits(times_s, setpoints, start, limits, period_s: float) -> None:
    """Check positions, and velocities and accelerations between setpoints, from rest at `start`.

    Where the stream paused, the setpoint stood still: one row per period in between.
    """
    rows, clock = [np.asarray(start), np.asarray(start)], None
    for t, row in zip(times_s, setpoints, strict=True):
        if clock is not None:
            rows += [rows[-1]] * (round((t - clock) / period_s) - 1)
        rows.append(row)
        clock = t
    rows = np.array(rows)
    slack = 1e-6
    assert np.isfinite(rows).all()
    assert (rows >= limits.lower - slack).all() and (rows <= limits.upper + slack).all()
    velocity = np.diff(rows, axis=0) / period_s
    assert (np.abs(velocity) <= limits.velocity + slack).all()
    acceleration = np.diff(velocity, axis=0) / period_s
    assert (np.abs(acceleration) <= limits.acceleration * (1 + 1e-6) + slack).all()
