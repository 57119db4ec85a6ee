"""`SimRobot`: the `Robot` contract over a MuJoCo scene that it shares with the cameras.

Time is simulation time: physics advances in `sleep` (and in `execute`, which sleeps), never by
itself. Everything that touches `model` or `data` holds `lock`, cameras included.

The driver does what a real arm's controller does: it interpolates streamed setpoints, feeds their
velocity forward, keeps the setpoint within the velocity limits, compensates the arm's own weight
and saturates at the torque limits. It does not judge commands; that is `SafeRobot`'s work.

Sensing:
    * `external_force_n` is the magnitude of the summed contact forces on the moving links, hand and
      fingers, as a gravity- and inertia-compensated wrist sensor or a joint-torque observer
      estimates it: low-passed, zero in free space. Squeezing cancels out; the weight of a held load
      remains (1 N for 100 g) and is not tared.
    * `GripperState.force_n` is the force that presses both fingers apart, low-passed; fingers
      that meet each other sense nothing.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from policies.robot import (
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
from sim.robots import reference
from sim.robots.contacts import ContactSensor
from sim.robots.fr3 import FR3
from sim.robots.model import RobotModel
from sim.robots.recorder import SafetyRecorder
from sim.robots.servo import GripperServo, JointServo
from sim.robots.stepper import Stepper


@dataclass(frozen=True)
class SimRobotConfig:
    """Settings of the simulated driver.

    Attributes:
        max_setpoint_gap_s: Longest time between setpoints of one stream [s]. Each is approached
            at constant speed in the time since the one before, so a stream is followed one period
            late.
        setpoint_period_s: Time in which a setpoint is approached that follows no other [s].
        force_filter_s: Time constant of the force estimates [s].
        control_period_s: How often `execute` looks at `cancel` and at the tracking error [s].
        start_tolerance_rad: Largest distance from the measured position to a trajectory's start.
        tracking_tolerance_rad: Tracking error that ends a motion.
        goal_tolerance_rad: Error at the end below which a motion has reached its goal.
        rest_velocity_rad_s: Speed below which the arm is at rest.
        settle_s: Longest wait for rest at the end of a motion [s].
    """

    max_setpoint_gap_s: float = 0.1
    setpoint_period_s: float = 0.01
    force_filter_s: float = 0.02
    control_period_s: float = 0.01
    start_tolerance_rad: float = 0.05
    tracking_tolerance_rad: float = 0.1
    goal_tolerance_rad: float = 0.01
    rest_velocity_rad_s: float = 0.01
    settle_s: float = 1.0


class SimRobot:
    """A simulated arm with a parallel gripper.

    Args:
        model: Compiled scene with the robot in it.
        data: Its state.
        robot: Which robot it is.
        lock: Guards `model` and `data`; a new one if None.
        config: Settings.

    Raises:
        ValueError: The scene lacks a joint or actuator of the robot.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        robot: RobotModel = FR3,
        *,
        lock: threading.RLock | None = None,
        config: SimRobotConfig | None = None,
    ) -> None:
        self.model, self.data = model, data
        self.lock = lock if lock is not None else threading.RLock()
        self._robot, self._config = robot, config or SimRobotConfig()
        self._arm = JointServo(model, robot)
        self._gripper = GripperServo(model, robot.gripper) if robot.gripper else None
        self._contacts = ContactSensor(model, robot)
        self._stop_requested = threading.Event()
        self._is_closed = False
        self._stepper = Stepper(model, data)
        self._stepper.num_steps(self._config.control_period_s)
        self.reset()

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the robot."""
        return self._robot.name

    @property
    def limits(self) -> JointLimits:
        """Joint limits of the arm."""
        return self._robot.limits

    @property
    def gripper_width_m(self) -> tuple[float, float] | None:
        """Smallest and largest gripper opening [m], None without a gripper."""
        return self._robot.gripper.width_m if self._robot.gripper else None

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        return self._stop_requested.is_set()

    @property
    def physics_dt(self) -> float:
        """Physics time step [s]."""
        return self._stepper.dt_s

    # ---- state and time -----------------------------------------------------------------------

    def state(self) -> RobotState:
        """Return the sensed state."""
        with self.lock:
            joint_pos, joint_vel, joint_effort = self._arm.sense(self.data)
            gripper = None
            if self._gripper is not None:
                width_m, speed_m_s = self._gripper.sense(self.data)
                gripper = GripperState(width_m, float(self._clamping_n), abs(speed_m_s) > 2e-3)
            return RobotState(
                joint_names=self.limits.joint_names,
                joint_pos=joint_pos,
                joint_vel=joint_vel,
                joint_effort=joint_effort,
                stamp_s=float(self.data.time),
                external_force_n=float(np.linalg.norm(self._external)),
                gripper=gripper,
            )

    def clock(self) -> float:
        """Return simulation time [s]."""
        with self.lock:
            return float(self.data.time)

    def sleep(self, dt_s: float) -> None:
        """Advance physics by `dt_s`.

        Raises:
            ValueError: `dt_s` is negative or no multiple of the physics time step.
            RuntimeError: The simulation became unstable.
        """
        for _ in range(self._stepper.num_steps(dt_s)):
            with self.lock:
                self._step()

    def add_listener(self, period_s: float, callback: Callable[[float], None]) -> Callable[[], None]:
        """Call `callback(time_s)` every `period_s` of simulation time, from within `sleep`.

        It runs in the thread that sleeps, with the lock held, and may render. What it raises ends
        the `sleep`.

        Returns:
            A function that removes the listener; calling it again does nothing.

        Raises:
            ValueError: `period_s` is not a positive multiple of the physics time step.
        """
        with self.lock:
            return self._stepper.add_listener(period_s, callback)

    # ---- commands -----------------------------------------------------------------------------

    def send(self, command: JointCommand) -> JointCommand:
        """Take a setpoint and return it clipped to the position limits, as it was taken.

        Raises:
            ValueError: Unknown joint name, wrong shape, non-finite value, a gripper command to a
                robot without one; nothing is sent.
            RobotStopped: A stop is latched; nothing is sent.
        """
        check_command(command, self.limits.joint_names)
        if command.gripper is not None and self._gripper is None:
            raise ValueError(f"robot {self.name!r} has no gripper")
        with self.lock:
            self._require_released()
            joint_pos = None
            if command.joint_pos is not None and len(command.joint_names):
                joint_pos = self._send_joints(command)
            gripper = command.gripper
            if gripper is not None and self._gripper is not None:
                gripper = self._gripper.command(gripper)
            return JointCommand(command.joint_names, joint_pos, gripper)

    def execute(self, trajectory: JointTrajectory, cancel: threading.Event) -> MotionResult:
        """Follow a timed trajectory; the outcome is sensed.

        Raises:
            ValueError: The trajectory names a joint the robot does not have.
        """
        columns = self._columns(trajectory.joint_names)
        with self.lock:
            if self.is_stopped:
                return MotionResult(MotionOutcome.STOPPED, "the robot is stopped; call reset_stop() first")
            refusal = self._refusal(trajectory, columns)
            if refusal:
                return MotionResult(MotionOutcome.REFUSED, refusal)
            start_s, self._peak_motion_n = self.clock(), 0.0
            self._arm.track(reference.follow(trajectory, columns, self._arm.joint_pos, self.physics_dt))
        outcome, message = self._watch(trajectory.duration_s, cancel)
        self._settle()
        if self.is_stopped:
            outcome, message = MotionOutcome.STOPPED, "stop was called"
        error = float(np.max(np.abs(self.state().joint_pos[columns] - trajectory.joint_pos[-1])))
        if outcome is MotionOutcome.REACHED and error > self._config.goal_tolerance_rad:
            outcome, message = MotionOutcome.TRACKING, f"ended {error:.3f} from the goal"
        return MotionResult(outcome, message, error, self._peak_motion_n, self.clock() - start_s)

    def stop(self) -> None:
        """Latch; joints come to rest as physics advances. Never blocks."""
        self._stop_requested.set()

    def reset_stop(self) -> None:
        """Release the latch, holding the measured position."""
        with self.lock:
            if self._is_closed:
                raise RuntimeError("the robot is closed")
            if self._stop_requested.is_set() and not self._has_halted:
                self._halt()
            self._stop_requested.clear()  # a stop that comes from now on stays
            self._has_halted = False
            self._arm.hold(self.data)

    def reset(self, joint_pos: FloatArray | None = None, gripper_width_m: float | None = None) -> None:
        """Put the robot at rest into a posture, release the stop and forget the recorded facts.

        Args:
            joint_pos: Posture [rad], (num_joints,); home if None.
            gripper_width_m: Opening [m]; fully open if None.

        Raises:
            ValueError: Wrong shape, or not finite.
        """
        joint_pos = np.array(self._robot.home if joint_pos is None else joint_pos, dtype=np.float64)
        if joint_pos.shape != self._robot.home.shape or not np.isfinite(joint_pos).all():
            raise ValueError(f"reset needs {len(self._robot.home)} finite joint positions, got {joint_pos}")
        with self.lock:
            self._arm.place(self.data, joint_pos)
            if self._gripper is not None:
                self._gripper.place(self.data, gripper_width_m)
            mujoco.mj_forward(self.model, self.data)
            self._stop_requested.clear()
            self._has_halted = False
            self._external, self._clamping_n, self._peak_motion_n = np.zeros(3), 0.0, 0.0
            self._recorder = SafetyRecorder(self.limits)

    def close(self) -> None:
        """Stop for good; idempotent."""
        self.stop()
        with self.lock:
            self._is_closed = True
            self._stepper.remove_listeners()

    # ---- facts for a judge --------------------------------------------------------------------

    def safety_facts(self) -> dict[str, Any]:
        """Return peaks and limit violations since `reset` (see `SafetyRecorder.facts`)."""
        with self.lock:
            return self._recorder.facts()

    # ---- one physics step ---------------------------------------------------------------------

    def _step(self) -> None:
        if self._stop_requested.is_set() and not self._has_halted:
            self._halt()
        self._arm.advance(self.data)
        if self._gripper is not None:
            self._gripper.advance(self.data)
        self._stepper.step()
        self._feel()
        self._stepper.notify()

    def _halt(self) -> None:
        """Take up a stop: once for each latch."""
        self._has_halted = True
        self._arm.damp()
        if self._gripper is not None:
            self._gripper.freeze(self.data, float(self._clamping_n))

    def _feel(self) -> None:
        """Update force estimates and recorded facts."""
        forces = self._contacts.read(self.data)
        gain = self.physics_dt / (self._config.force_filter_s + self.physics_dt)
        self._external = self._external + gain * (forces.external - self._external)
        self._clamping_n += gain * (forces.clamping_n - self._clamping_n)
        external_n = float(np.linalg.norm(self._external))
        self._peak_motion_n = max(self._peak_motion_n, external_n)
        self._recorder.update(*self._arm.sense(self.data), external_n, forces.support_n)

    # ---- details ------------------------------------------------------------------------------

    def _require_released(self) -> None:
        if self._is_closed:
            raise RobotStopped("the robot is closed")
        if self.is_stopped:
            raise RobotStopped("the robot is stopped; call reset_stop() after making sure it is safe")

    def _columns(self, joint_names: tuple[str, ...]) -> list[int]:
        check_command(JointCommand(joint_names, np.zeros(len(joint_names))), self.limits.joint_names)
        return [self.limits.joint_names.index(n) for n in joint_names]

    def _send_joints(self, command: JointCommand) -> FloatArray:
        columns = self._columns(command.joint_names)
        joint_pos = np.clip(
            np.asarray(command.joint_pos, dtype=np.float64),
            self.limits.lower[columns],
            self.limits.upper[columns],
        )
        target = self._arm.target.copy()
        target[columns] = joint_pos
        config = self._config
        self._arm.approach(target, float(self.data.time), config.setpoint_period_s, config.max_setpoint_gap_s)
        return joint_pos

    def _refusal(self, trajectory: JointTrajectory, columns: list[int]) -> str:
        gap = np.abs(trajectory.joint_pos[0] - self._arm.sense(self.data)[0][columns])
        worst = int(np.argmax(gap))
        if gap[worst] > self._config.start_tolerance_rad:
            return f"starts {gap[worst]:.3f} from the measured {trajectory.joint_names[worst]}"
        lower, upper = self.limits.lower[columns], self.limits.upper[columns]
        outside = ((trajectory.joint_pos < lower - 1e-6) | (trajectory.joint_pos > upper + 1e-6)).any(axis=0)
        if outside.any():
            return f"leaves the limits of {trajectory.joint_names[int(np.argmax(outside))]}"
        return ""

    def _watch(self, duration_s: float, cancel: threading.Event) -> tuple[MotionOutcome, str]:
        """Advance until the reference has ended, or something ends the motion early."""
        period_s = self._config.control_period_s
        for _ in range(int(np.ceil(duration_s / period_s - 1e-9))):
            if self.is_stopped:
                return MotionOutcome.STOPPED, "stop was called"
            if cancel.is_set():
                self._brake()
                return MotionOutcome.CANCELLED, "cancelled"
            error = self._arm.tracking_error(self.data)
            if error > self._config.tracking_tolerance_rad:
                self._brake()
                return MotionOutcome.TRACKING, f"the arm is {error:.3f} rad behind its reference"
            self.sleep(period_s)
        return MotionOutcome.REACHED, ""

    def _brake(self) -> None:
        with self.lock:
            if not self.is_stopped:
                self._arm.brake()

    def _settle(self) -> None:
        """Advance until reference and arm are at rest, at most `settle_s`."""
        for _ in range(round(self._config.settle_s / self._config.control_period_s)):
            with self.lock:
                speed = float(np.max(np.abs(self._arm.sense(self.data)[1])))
                if speed < self._config.rest_velocity_rad_s and not self._arm.joint_vel.any():
                    return
            self.sleep(self._config.control_period_s)
