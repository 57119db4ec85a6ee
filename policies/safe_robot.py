"""`SafeRobot`: the only way to a driver. Assembly wraps every robot in it and hands out nothing else."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from perception_tools.geometry import FloatArray
from policies.robot import (
    JointCommand,
    JointLimits,
    JointTrajectory,
    MotionOutcome,
    MotionResult,
    Robot,
    RobotState,
    RobotStopped,
    check_command,
)
from policies.safety import SafetyFilter, Setpoint, Violation, ViolationKind
from policies.streaming import Motion, Stream, Watch
from policies.whole import WholeMotion, takes_whole

_ALARMS = frozenset({ViolationKind.TRACKING, ViolationKind.CONTACT, ViolationKind.STALE})


class RobotBusy(RuntimeError):
    """Joints were commanded while a trajectory is being executed."""


class SafeRobot:
    """A `Robot` whose every setpoint passes the filter.

    `send` starts the approach to a setpoint and `sleep` keeps streaming it, one filtered step per
    control period; so a caller slower than the control period loses no speed, and one that falls
    silent leaves a robot that comes smoothly to rest on the last setpoint it asked for. `execute`
    checks a trajectory whole, then streams it tick by tick; where the driver takes trajectories whole only,
    it is handed over after the check, and watched tick by tick.

    Args:
        robot: The driver. Nobody else may keep a reference to it.
        safety_filter: The filter, built for the same joints.
        watch: Told of motions and of prevented violations, e.g. to trace them; an error that it
            raises during a motion stops the robot.

    Raises:
        ValueError: The filter's joints are not the robot's, or the robot is wrapped already.
    """

    def __init__(self, robot: Robot, safety_filter: SafetyFilter, watch: Watch | None = None) -> None:
        if isinstance(robot, SafeRobot):
            raise ValueError("the robot is a SafeRobot already")
        names, filter_names = robot.limits.joint_names, safety_filter.limits.joint_names
        if names != filter_names:
            raise ValueError(f"the filter's joints {filter_names} are not the robot's {names}")
        self._robot = robot
        self._stream = Stream(robot, safety_filter, watch)
        self._moving = threading.Lock()  # one trajectory at a time
        self._target: FloatArray | None = None  # what `send` asked for
        self._feedforward: FloatArray | None = None  # how fast the next step shall pass it

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the robot."""
        return self._robot.name

    @property
    def limits(self) -> JointLimits:
        """Joint limits, with velocity and acceleration as the filter scales them."""
        return self._stream.filter.limits

    @property
    def streams(self) -> bool:
        """Whether joints may be commanded by `send`; where not, by `execute` only."""
        return not takes_whole(self._robot)

    @property
    def gripper_width_m(self) -> tuple[float, float] | None:
        """Smallest and largest gripper opening [m], None without a gripper."""
        return self._robot.gripper_width_m

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        return self._robot.is_stopped

    @property
    def violations(self) -> Mapping[str, int]:
        """How often each kind of violation was prevented since the start."""
        with self._stream.lock:
            return {str(kind): count for kind, count in sorted(self._stream.counts.items())}

    @property
    def violation_log(self) -> tuple[tuple[float, Violation], ...]:
        """The newest violations with their time on the robot's clock [s], at most 1000."""
        with self._stream.lock:
            return tuple(self._stream.log)

    # ---- state and time -----------------------------------------------------------------------

    def state(self) -> RobotState:
        """Return the newest sensed state."""
        return self._robot.state()

    def clock(self) -> float:
        """Return the robot's time [s]."""
        return self._robot.clock()

    def seconds_to_next(self) -> float:
        """Return the time until the next step may be sent [s], 0 if it may be now; `send` keeps to it."""
        with self._stream.lock:
            return self._stream.seconds_to_next()

    def sleep(self, dt_s: float) -> None:
        """Wait on the robot's clock [s], streaming the approach to the last setpoint asked for."""
        end_s, left_s = self.clock() + dt_s, dt_s
        while left_s > 1e-6:
            wait_s = left_s
            if self._is_approaching() and self._try_approach():
                wait_s = min(left_s, self._stream.seconds_to_next())
            self._robot.sleep(wait_s)
            left_s = min(left_s - wait_s, end_s - self.clock())

    # ---- commands -----------------------------------------------------------------------------

    def send(self, command: JointCommand, *, joint_vel: FloatArray | None = None) -> JointCommand:
        """Ask for a setpoint; return what was sent now: the first filtered step towards it.

        Within one control period of the last step the new setpoint only replaces the old one.

        Args:
            command: Setpoint by joint name.
            joint_vel: Velocities at which a stream of setpoints passes this one, as `command` orders its
                joints; a stream within the limits is then followed without lag. None: come to rest on it.
                Without a next setpoint the robot brakes and comes back to this one.

        Raises:
            ValueError: Unknown joint name, wrong shape, non-finite value, or joints of a robot that takes
                whole trajectories only; nothing is sent.
            RobotStopped: A stop is latched; nothing is sent.
            RobotBusy: A trajectory is being executed; only the gripper may be commanded.
        """
        try:
            check_command(command, self.limits.joint_names)
            if joint_vel is not None:
                check_command(JointCommand(command.joint_names, joint_vel), self.limits.joint_names)
        except ValueError as error:
            self._stream.count([Violation(ViolationKind.INVALID, str(error))])
            raise
        if self.is_stopped:
            self._target = self._feedforward = None
            raise RobotStopped("the robot is stopped; call reset_stop() after making sure it is safe")
        if command.joint_pos is not None and not self.streams:
            raise ValueError(f"robot {self.name!r} takes whole trajectories only: use execute")
        if command.joint_pos is not None and self._moving.locked():
            raise RobotBusy("a trajectory is being executed; cancel it first")
        gripper = self._stream.send_gripper(command.gripper) if command.gripper is not None else None
        if command.joint_pos is None:
            return JointCommand(gripper=gripper)
        sent = self._approach(command, joint_vel)
        return JointCommand(sent.joint_names, sent.joint_pos, gripper)

    def execute(
        self, trajectory: JointTrajectory, cancel: threading.Event, *, max_force_n: float | None = None
    ) -> MotionResult:
        """Follow a timed trajectory, blocking on the robot's clock; the outcome is sensed.

        It is checked whole before anything moves. `cancel` brakes along the path; contact and lost
        tracking brake every joint at once and let go of the pressing force. A stopped motion returns
        once the robot is sensed to be at rest, or `settle_s` after the stop.

        Args:
            trajectory: Timed positions of any subset of the joints, at rest at both ends.
            cancel: Set it to come to rest early.
            max_force_n: Lower external force limit for this motion [N], e.g. to set an object down.

        Raises:
            ValueError: `max_force_n` is no positive number; nothing moves.
        """
        if max_force_n is not None and not max_force_n > 0:
            raise ValueError(f"max_force_n is {max_force_n}; use a positive number, or None")
        if not self._moving.acquire(blocking=False):
            return MotionResult(MotionOutcome.REFUSED, "another trajectory is being executed")
        limit_n = self._stream.config.max_external_force_n
        try:
            self._target = None
            guard_n = limit_n if max_force_n is None else min(max_force_n, limit_n)
            self._tell(what="start", planned_s=round(trajectory.duration_s, 3), max_force_n=guard_n)
            kind = Motion if self.streams else WholeMotion
            result = kind(self._stream, trajectory, cancel, guard_n).run()
            self._tell(what="end", **vars(result))
            return result
        except BaseException:  # Ctrl-C in motion included: never leave a robot moving
            self._robot.stop()
            raise
        finally:
            self._moving.release()

    def _tell(self, **fields: Any) -> None:
        if self._stream.watch is not None:
            self._stream.watch("motion", fields)

    def stop(self) -> None:
        """Bring every joint to rest and latch; callable from any thread, at any time, repeatedly."""
        self._robot.stop()

    def reset_stop(self) -> None:
        """Release the latch, holding the measured position."""
        with self._stream.lock:
            self._target = None
            self._stream.forget()
            self._robot.reset_stop()

    def close(self) -> None:
        """Stop and release resources; idempotent."""
        self._robot.close()

    # ---- the approach to a setpoint -----------------------------------------------------------

    def _is_approaching(self) -> bool:
        return self._target is not None and not self._moving.locked() and not self._robot.is_stopped

    def _try_approach(self) -> bool:
        try:
            self._approach(None)
        except RobotStopped:  # stopped since we looked: nothing is sent, the target is void
            self._target = None
        return self._target is not None

    def _is_in_trouble(self, last: Setpoint) -> bool:
        state = self._robot.state()
        return self._stream.is_stale(state) or bool(self._stream.filter.check_state(state, last))

    def _approach(self, command: JointCommand | None, joint_vel: FloatArray | None = None) -> JointCommand:
        """Take over a new setpoint, if there is one; send one step if one is due."""
        with self._stream.lock:
            last = self._stream.setpoint()
            if self._target is None:
                self._target = self._stream.filter.rest_position(last, self._stream.config.control_period_s)
            if command is not None and command.joint_pos is not None:
                target = self._target.copy()
                columns = [self.limits.joint_names.index(n) for n in command.joint_names]
                target[columns] = command.joint_pos
                self._target, self._feedforward = target, None
                if joint_vel is not None:
                    self._feedforward = np.zeros(len(target))
                    self._feedforward[columns] = joint_vel
            if self._stream.seconds_to_next() > 0:
                return JointCommand(self.limits.joint_names, last.joint_pos.copy())
            feedforward, self._feedforward = self._feedforward, None
            if feedforward is not None and not self._is_in_trouble(last):
                return self._stream.step(self._target, feedforward)
            sent, violations = self._stream.approach(self._target)
            # On the way, small steps are how it is done; only at `send` are they a clamped wish.
            self._stream.count(v for v in violations if command is not None or v.kind in _ALARMS)
            return sent
