"""The policy runner: observe, infer off the control thread, filter, command, at a fixed rate.

Every control period the last target goes through the safety filter to the robot; every policy step
(a whole number of control periods) a new observation goes to the policy, and its action, if it comes
before the deadline, makes the new target. An action that comes late is dropped and the last target held;
too many in a row are a fault. Whenever the guard stops the robot, the runner begins again, from the measured
pose, once somebody has armed it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hardware.bus import SENSOR, Bus
from hardware.recording.trial import Trial
from hardware.runner.inference import Inference
from hardware.runner.observer import Observer
from hardware.safety.guard import Guard
from hardware.safety.watchdog import Fault, FaultKind
from perception_tools.geometry import FloatArray
from policies.actions import Decoder
from policies.policy import Policy, PolicySpec
from policies.robot import GripperCommand, JointCommand, RobotState, RobotStopped
from policies.safe_robot import SafeRobot

_LOG = logging.getLogger("habilis.runner")
_KEPT = 100_000  # timings kept for the figures
_WAIT = 0.3  # share of a control period that a tick waits for an action
_ARRAY = "std_msgs/msg/Float64MultiArray"


@dataclass(frozen=True)
class RunnerConfig:
    """Settings of the loop.

    Attributes:
        seconds: How long to run, 0 until it is interrupted [s].
        deadline_s: Time that an action may take [s]; 0 is one policy step.
        max_late: Late actions in a row that are a fault.
        on_fault: `wait` for a reset and a new arming, or `exit`.
        arm: Whether to arm by itself as soon as nothing is wrong, once; null does where no real robot is
            moved (a simulated one, or a dry run).
    """

    seconds: float = 0.0
    deadline_s: float = 0.0
    max_late: int = 5
    on_fault: str = "wait"
    arm: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.seconds < 0 or self.deadline_s < 0 or self.max_late < 1:
            raise ValueError("runner: seconds and deadline_s must be 0 or positive, max_late at least 1")
        if self.on_fault not in ("wait", "exit"):
            raise ValueError(f"runner.on_fault is {self.on_fault!r}; use wait or exit")


class Timings:
    """Work and lateness of control ticks, the newest `_KEPT` of them."""

    def __init__(self) -> None:
        self.ticks = self.overruns = self.late = self.dropped = self.steps = 0
        self._work_s, self._late_s = np.zeros(_KEPT), np.zeros(_KEPT)

    def add(self, work_s: float, late_s: float) -> None:
        """Note a tick."""
        k = self.ticks % _KEPT
        self._work_s[k], self._late_s[k] = work_s, late_s
        self.ticks += 1

    def figures(self) -> dict[str, float | int]:
        """Return counts, and median and 99th percentile of work and lateness [ms]."""
        n = min(self.ticks, _KEPT)
        found: dict[str, float | int] = {
            "ticks": self.ticks,
            "overruns": self.overruns,
            "policy_steps": self.steps,
            "late_actions": self.late,
        }
        for name, values in (("tick_ms", self._work_s[:n]), ("jitter_ms", self._late_s[:n])):
            for q in (50, 99):
                found[f"{name}_p{q}"] = round(1e3 * float(np.percentile(values, q)), 4) if n else 0.0
        return found


def check_fit(spec: PolicySpec, decoder: Decoder, period_s: float) -> None:
    """Refuse a policy that can't be run at a control period, or with these actions.

    Raises:
        ValueError: Says what differs.
    """
    ticks = round(spec.step_dt / period_s)
    if ticks < 1 or abs(ticks * period_s - spec.step_dt) > 1e-6:
        raise ValueError(
            f"the policy acts every {spec.step_dt:g} s, which is no whole number of control periods of "
            f"{period_s:g} s; set robot.safety.control_period_s and the rate of the robot's channels"
        )
    if tuple(spec.action.names) != decoder.names:
        raise ValueError(
            f"the policy's actions are {', '.join(spec.action.names)}; expected "
            f"{', '.join(decoder.names)}, in this order"
        )


class PolicyRunner:
    """Runs one policy on one robot; the caller closes what it gave.

    Args:
        bus: The node.
        robot: The robot behind its safety filter.
        guard: Its state machine.
        policy: The policy.
        observer: What it sees.
        decoder: What its actions mean.
        period_s: Control period [s], the safety filter's.
        config: Settings.
        trial: Records what the policy sees and wants, None records nothing.

    Raises:
        ValueError: The policy's step is no whole number of control periods, or its actions are others than
            the decoder's.
    """

    def __init__(
        self,
        bus: Bus,
        robot: SafeRobot,
        guard: Guard,
        policy: Policy,
        observer: Observer,
        decoder: Decoder,
        period_s: float,
        config: RunnerConfig | None = None,
        trial: Trial | None = None,
    ) -> None:
        self._trial = trial
        self._robot, self._guard, self._observer, self._decoder = robot, guard, observer, decoder
        self._bus, self._config, self._period_s = bus, config or RunnerConfig(), period_s
        check_fit(policy.spec, decoder, period_s)
        if not robot.streams:
            raise ValueError(
                f"robot {robot.name!r} takes whole trajectories only (streams: false); a policy needs a "
                "controller that can be streamed to"
            )
        step_s = policy.spec.step_dt
        self._ticks_per_step = round(step_s / period_s)
        self._deadline_s = self._config.deadline_s or step_s
        self._inference, self._spec = Inference(policy), policy.spec
        self.timings = Timings()
        self._done = threading.Event()
        self._submitted_s = -np.inf
        self._late_in_row = 0
        self._command: JointCommand | None = None
        self._has_begun, self._is_new, self._is_of_before = False, True, False
        self._first_tick = self._next_step = self._num_armed = 0
        self._gripper: GripperCommand | None = None
        node = bus.config.node_name
        self._action_out = bus.publisher(_ARRAY, f"{node}/action", SENSOR)
        self._obs_out = bus.publisher(_ARRAY, f"{node}/observation", SENSOR)
        guard.add_check(lambda: observer.check(time.monotonic()))
        guard.add_figures(self.timings.figures)

    def state(self) -> RobotState:
        """Return the robot's newest sensed state."""
        return self._robot.state()

    def stop(self) -> None:
        """End the loop after this tick; callable from any thread."""
        self._done.set()

    def run(self, is_broken: Callable[[], BaseException | None] = lambda: None) -> Mapping[str, float | int]:
        """Run until the time is over, `stop`, or a fault with `on_fault=exit`; return the figures.

        Args:
            is_broken: Says what failed elsewhere (the bus); it ends the loop.

        Raises:
            RuntimeError: A fault ended it; says which.
            BaseException: What `is_broken` returned.
        """
        end_s = time.monotonic() + self._config.seconds if self._config.seconds else np.inf
        next_s, tick = self._robot.clock(), 0
        to_arm = bool(self._config.arm)
        try:
            while not self._done.is_set() and time.monotonic() < end_s:
                wait_s = self._robot.seconds_to_next()
                if wait_s > 0:  # a late step has moved the filter's raster: move along
                    self._robot.sleep(wait_s)
                    next_s += wait_s
                late_s = max(self._robot.clock() - next_s, 0.0)
                if late_s >= self._period_s:
                    missed = int(late_s / self._period_s)
                    self.timings.overruns += missed
                    next_s, tick = next_s + missed * self._period_s, tick + missed
                began = time.perf_counter()
                to_arm = to_arm and not self._try_arm()
                self._tick(tick)
                self.timings.add(time.perf_counter() - began, late_s % self._period_s)
                if (broken := is_broken()) is not None:
                    raise broken
                if self._config.on_fault == "exit" and self._guard.mode in ("fault", "estop"):
                    raise RuntimeError(f"{self._guard.mode}: {self._guard.reason}")
                next_s, tick = next_s + self._period_s, tick + 1
                self._robot.sleep(max(next_s - self._robot.clock(), 0.0))
        finally:
            self._robot.stop()
            self._inference.close()
        return self.timings.figures()

    # ---- one control period -------------------------------------------------------------------

    def _try_arm(self) -> bool:
        return not self._observer.waits_for and not self._guard.arm()

    def _tick(self, tick: int) -> None:
        if not self._guard.may_move:
            self._has_begun = False
            self._drop_action()
            return
        if self._guard.num_armed != self._num_armed:  # stopped and armed again between two ticks
            self._has_begun = False
        try:
            if not self._has_begun:
                self._begin(tick)
            if tick >= self._next_step:
                done = (tick - self._first_tick) // self._ticks_per_step
                self._next_step = self._first_tick + (done + 1) * self._ticks_per_step
                self._observe()
            self._take_action()
            self._send()
        except RobotStopped as error:
            _LOG.info("%s", error)
            self._has_begun = False

    def _begin(self, tick: int) -> None:
        """Start an episode where the robot is."""
        self._num_armed = self._guard.num_armed
        state = self._robot.state()
        self._decoder.reset(state)
        self._command = JointCommand(state.joint_names, state.joint_pos.copy())
        self._gripper = None
        self._first_tick = self._next_step = tick
        self._late_in_row, self._has_begun, self._is_new = 0, True, True
        self._is_of_before = self._inference.is_busy  # it still acts on what was seen before the stop

    def _observe(self) -> None:
        if self._observer.waits_for:
            return
        if self._inference.is_busy:  # it has not even ended the last one
            self._note_late()
            return
        obs = self._observer(self._robot.state())
        self._check_observation(obs)
        self._inference.submit(obs, reset=self._is_new)
        self._submitted_s, self._is_new = time.monotonic(), False
        if self._trial is not None:
            self._trial.observed(np.concatenate(list(obs.values())))
        if self._obs_out.num_subscribers:
            self._obs_out.publish(self._bus.message(_ARRAY, data=np.concatenate(list(obs.values()))))

    def _check_observation(self, obs: Mapping[str, FloatArray]) -> None:
        """Fault where something is not finite, such as an effort that the driver does not tell."""
        for key, values in obs.items():
            for k in np.flatnonzero(~np.isfinite(values)):
                names = self._spec.obs[key].names
                what = f"observation {names[k] if names else key} is not finite; does the robot tell it?"
                self._fail(what)
                raise RobotStopped(what)

    def _take_action(self) -> None:
        """Take the action over if it came in time; wait for it no longer than a part of the period."""
        if not self._inference.is_busy:
            return
        found = self._guarded_take(_WAIT * self._period_s)
        if found is None:
            return
        action, ready_s = found
        if self._is_of_before:
            self._is_of_before = False
            return
        if ready_s - self._submitted_s > self._deadline_s:
            self._note_late()
            return
        self._late_in_row, state = 0, self._robot.state()
        self._command = self._with_gripper(self._decode(action, state))
        self.timings.steps += 1
        if self._trial is not None:
            self._trial.acted(np.asarray(action))
        if self._action_out.num_subscribers:
            self._action_out.publish(self._bus.message(_ARRAY, data=np.asarray(action, np.float64)))

    def _guarded_take(self, timeout_s: float) -> tuple[FloatArray, float] | None:
        try:
            return self._inference.take(timeout_s)
        except Exception as error:
            self._fail(f"the policy raised {type(error).__name__}: {error}")
            raise RobotStopped(str(error)) from error

    def _decode(self, action: FloatArray, state: RobotState) -> JointCommand:
        try:
            return self._decoder.decode(action, state)
        except ValueError as error:
            self._fail(str(error))
            raise RobotStopped(str(error)) from error

    def _fail(self, what: str) -> None:
        self._guard.fault(Fault(FaultKind.INFERENCE, what))

    def _drop_action(self) -> None:
        try:
            self._inference.take(0.0)
        except Exception as error:
            _LOG.warning("the policy raised %r while the robot was stopped", error)

    def _note_late(self) -> None:
        self.timings.late += 1
        self._late_in_row += 1
        if self._late_in_row >= self._config.max_late:
            what = f"{self._late_in_row} actions in a row came after the deadline of {self._deadline_s:g} s"
            self._fail(what)
            raise RobotStopped(what)

    def _with_gripper(self, command: JointCommand) -> JointCommand:
        """Send the gripper only where it is asked for something else than last time."""
        if command.gripper == self._gripper:
            return JointCommand(command.joint_names, command.joint_pos)
        self._gripper = command.gripper
        return command

    def _send(self) -> None:
        command = self._command
        if command is None or command.joint_pos is None:
            return
        self._robot.send(command)
        if command.gripper is not None:
            self._command = JointCommand(command.joint_names, command.joint_pos)
