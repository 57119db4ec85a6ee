"""`RosRobot`: the `Robot` contract over a bus; what a real robot, or its simulated counterpart, looks like.

It is a bare driver: assembly wraps it in `SafeRobot`. Inside it watches what it is told by itself: joint
states that go stale, jump in time or are malformed, a robot that does not follow, a gate that closes, a
second commander. Any of these latches a stop, which brakes from the last setpoint, or cancels the
trajectory under way, holds, and sets velocity and effort controllers to zero; nothing but `reset_stop`, once
the cause is over, releases it.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hardware.bus import SENSOR, Bus, BusClosed
from hardware.client import discovery, trajectories
from hardware.client.gripper import RosGripper
from hardware.client.motion import follow
from hardware.client.outgoing import Outgoing
from hardware.client.sensing import Sensing
from hardware.client.trajectories import GoalsUnderWay, TrajectoryClient
from hardware.interface import RobotInterface
from hardware.interface.described import Described
from hardware.safety.watchdog import Fault, FaultKind
from perception_tools.geometry import FloatArray
from policies.robot import (
    JointCommand,
    JointTrajectory,
    MotionResult,
    RobotState,
    RobotStopped,
    check_command,
)
from policies.whole import Tolerances

_KEEPER_S: Final = (0.002, 0.02)  # shortest and longest period of the thread that watches
_CANCEL_S: Final = 3.0  # longest wait for controllers to end what was cancelled
_AT_REST: Final = 0.02  # a slower joint rests [rad/s] or [m/s]


@dataclass(frozen=True)
class RosRobotConfig:
    """Settings of the client.

    Attributes:
        dry_run: Commands go to topics under `shadow/` only.
        discovery_s: How long is looked for other commanders before the first command [s].
        ready_s: Longest wait for controllers to listen [s].
        velocity_share: Share of the robot's velocity limits that velocity commands keep: the safety
            filter's, which a correction of the position would else exceed.
    """

    dry_run: bool = False
    discovery_s: float = 0.5
    ready_s: float = 5.0
    velocity_share: float = 1.0


class RosRobot(Described):
    """A robot behind ROS topics. One with `streams: false` takes trajectories whole, by its action.

    Args:
        bus: The node; the caller starts and closes it.
        interface: The robot as data.
        config: Settings.
        permit: Says why nothing may be sent now, "" if it may; None permits always.
        speed_scale: Share of the speed limits that holds in some time from now [s]; None is always all.
    """

    def __init__(
        self,
        bus: Bus,
        interface: RobotInterface,
        config: RosRobotConfig | None = None,
        permit: Callable[[], str] | None = None,
        speed_scale: Callable[[float], float] | None = None,
    ) -> None:
        self.interface, self.config = interface, config or RosRobotConfig()
        self._bus, self._permit = bus, permit or (lambda: "")
        self._scale = speed_scale or (lambda in_s: 1.0)
        self._dt_s = 1.0 / interface.rate_hz
        self._lock = threading.RLock()
        self._stopped, self._wake, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._braked = threading.Event()
        self._braked.set()
        self._listeners: list[Callable[[Fault], None]] = []
        self._faults: list[Fault] = []
        self._sensing = Sensing(bus, interface, not self.config.dry_run, self._on_event)
        self._tracking = self._sensing.tracking
        self._outgoing = Outgoing(interface, self._sensing, self.config.dry_run, self.config.velocity_share)
        self._takers: list[TrajectoryClient] = []
        self._goals: GoalsUnderWay | None = None
        self._unended: GoalsUnderWay | None = None  # cancelled, and no controller said that it is over
        self._is_mute = False  # whether a controller did not answer to a trajectory that it may follow
        self._gripper: RosGripper | None = None
        self._keeper = threading.Thread(target=self._keep, name=f"{interface.name} keeper", daemon=True)
        self._is_kept = False
        atexit.register(self.close)

    # ---- opening ------------------------------------------------------------------------------

    def connect(self) -> None:
        """Wait for joint states, make sure that nobody else commands the robot, open the commands.

        Raises:
            ConnectionError: No joint states, another commander, no controller, or a description that says
                something else; says what to do.
        """
        is_closed, config = self._closed.is_set, self.config
        discovery.find_states(self._bus, self.interface, self._sensing, is_closed)
        discovery.refuse_others(self._sensing, config.discovery_s, is_closed)
        self._outgoing.open(self._bus)
        if self.interface.gripper is not None and self._gripper is None:
            self._gripper = RosGripper(self._bus, self.interface.gripper, self._latch, config.dry_run)
            for topic in self.interface.state_topics:
                kind = "sensor_msgs/msg/JointState"
                self._bus.subscribe(kind, topic, self._gripper.receive, SENSOR, group="gripper")
        if not config.dry_run:
            channels = [c for c in self.interface.channels if c.action and not self.streams]
            self._takers = [TrajectoryClient(self._bus, self.interface, channel) for channel in channels]
            discovery.find_controllers(self._outgoing.outlets, self._takers, config.ready_s, is_closed)
        self._keeper.start()
        self._is_kept = True

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def streams(self) -> bool:
        """Whether joints may be commanded one setpoint after another; else by whole trajectories."""
        return self.interface.streams

    def speed_scale(self, in_s: float = 0.0) -> float:
        """Return the share of the speed limits that holds in some time from now [s]: less after arming."""
        return self._scale(in_s)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        return self._stopped.is_set()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many joint states were new, duplicate, reordered, bad ... ."""
        return Counter(self._sensing.joints.counts)

    @property
    def setpoint(self) -> FloatArray | None:
        """The last setpoint sent since the start or the last stop, (num_joints,)."""
        setpoint = self._outgoing.setpoint
        return None if setpoint is None else setpoint.copy()

    def on_sent(self, listener: Callable[[FloatArray], None]) -> None:
        """Tell somebody of every setpoint that goes out, braking included; must return at once."""
        self._outgoing.listeners.append(listener)

    def on_fault(self, listener: Callable[[Fault], None]) -> Callable[[], None]:
        """Tell `listener` of faults as they are latched; it must not wait. Call the result to forget it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    # ---- state and time -----------------------------------------------------------------------

    def state(self) -> RobotState:
        """Return the newest sensed state.

        Raises:
            ConnectionError: Some joint was never heard of.
        """
        gripper = self._gripper.state() if self._gripper is not None else None
        return self._sensing.state(self.clock, gripper)

    def clock(self) -> float:
        """Return `time.monotonic` [s], or ROS time with `use_sim_time`, see `Sensing.clock`."""
        return self._sensing.clock()

    def sleep(self, dt_s: float) -> None:
        """Wait on the robot's clock [s].

        Raises:
            ConnectionError: With `use_sim_time`, the simulated clock stands still for 5 s.
        """
        self._sensing.sleep(dt_s, self._stopped.is_set)

    # ---- commands -----------------------------------------------------------------------------

    def send(self, command: JointCommand) -> JointCommand:
        """Send one setpoint; return what was sent: every joint, within the limits.

        Raises:
            ValueError: Unknown joint name, wrong shape, non-finite value, or joints of a robot that takes
                whole trajectories only; nothing is sent.
            RobotStopped: A stop is latched, or nothing may be sent; nothing is sent.
        """
        check_command(command, self.interface.joint_names)
        if command.joint_pos is not None and not self.streams:
            raise ValueError(f"robot {self.name!r} takes whole trajectories only: use execute")
        if self._stopped.is_set():  # before the lock: who brakes holds it
            self._check_may_send()
        with self._lock:
            self._check_may_send()
            sent_pos = None
            if command.joint_pos is not None:
                sent_pos = self._outgoing.send(command, self.state())
            gripper = None
            if command.gripper is not None:
                if self._gripper is None:
                    raise ValueError(f"robot {self.name!r} has no gripper")
                gripper = self._gripper.send(command.gripper)
            return JointCommand(self.interface.joint_names if sent_pos is not None else (), sent_pos, gripper)

    def _check_may_send(self) -> None:
        if self._closed.is_set() or not self._is_kept:
            raise RobotStopped("the robot is closed" if self._closed.is_set() else "call connect() first")
        if reason := self._permit():
            raise RobotStopped(reason)
        if self._stopped.is_set():
            why = f": {self._faults[0]}" if self._faults else ""
            raise RobotStopped(f"a stop is latched{why}; call reset_stop() after making sure it is safe")
        fault = next(iter(self.faults()), None)
        if fault is not None:
            self._latch(fault)
            raise RobotStopped(str(fault))

    def execute(self, trajectory: JointTrajectory, cancel: threading.Event) -> MotionResult:
        """Follow a timed trajectory, blocking on the robot's clock; `cancel` brings it to rest early."""
        return follow(self, trajectory, cancel, self._dt_s)

    def follow(self, trajectory: JointTrajectory, tolerances: Tolerances) -> GoalsUnderWay:
        """Hand a whole trajectory to the controllers; see `policies.whole.WholeRobot`.

        Raises:
            RobotStopped: A stop is latched, nothing may be sent, or a controller does not answer.
        """
        self._check_may_send()
        goals = GoalsUnderWay(self.interface.joints.columns(trajectory.joint_names), self._latch)
        if self.config.dry_run:
            goals.seal("a dry run moves nothing")
            return goals
        self._goals = goals  # from now on a stop cancels them
        if self._stopped.is_set():
            goals.seal("stopped")
            return goals
        if mute := trajectories.start(self._takers, trajectory, tolerances, self.state().joint_pos, goals):
            self._is_mute = True
            self._latch(Fault(FaultKind.TRANSPORT, mute))
            raise RobotStopped(mute)
        return goals

    # ---- stop ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """Brake, hold and latch; callable from any thread, at any time, repeatedly; waits for nothing."""
        if not self._stopped.is_set():
            self._braked.clear()
            self._stopped.set()
        if self._goals is not None:
            self._goals.cancel()
        if self._gripper is not None:
            self._gripper.stop()
        self._wake.set()

    def reset_stop(self) -> None:
        """Release the latch, holding the measured position.

        Raises:
            RobotStopped: Something is still wrong, or the robot is closed.
        """
        if self._closed.is_set():
            raise RobotStopped("the robot is closed")
        if not self._braked.wait(_CANCEL_S + 1.0):
            raise RobotStopped("cannot be reset: it has not come to rest yet; call reset_stop() again")
        if moving := self._moving_unended():
            raise RobotStopped(f"cannot be reset: {moving}")
        faults = self.faults()
        if faults:
            raise RobotStopped(f"cannot be reset: {faults[0]}")
        with self._lock:
            self._faults.clear()
            self._unended = None
            self._outgoing.forget()
            self._stopped.clear()

    def _moving_unended(self) -> str:
        """Return which joint still moves by a trajectory that no controller has ended, "" if none does."""
        if self._unended is None or self._unended.ended() is not None:
            return ""
        known = self._sensing.if_known()
        if known is None:
            return "a controller has not ended its trajectory, and the joints are not heard of"
        fastest = int(np.argmax(np.abs(known[1])))
        speed, name = known[1][fastest], self.interface.joint_names[fastest]
        if abs(speed) <= _AT_REST:
            return ""
        return f"a controller has not ended its trajectory: {name} moves at {speed:+.3f} rad/s (m/s)"

    def faults(self) -> Sequence[Fault]:
        """Return what is wrong now; empty if the robot may be moved."""
        return self._sensing.faults(1 if self._outgoing.outlets else 0)

    @property
    def latched(self) -> Sequence[Fault]:
        """Faults that latched the stop, the first one first."""
        return tuple(self._faults)

    def close(self) -> None:
        """Stop, wait until it is braked, and release; idempotent. Runs at the interpreter's exit, too."""
        if self._closed.is_set():
            return
        self.stop()
        if self._is_kept and threading.current_thread() is not self._keeper:
            self._braked.wait(5.0)
        self._closed.set()
        self._wake.set()
        if self._is_kept and threading.current_thread() is not self._keeper:
            self._keeper.join(5.0)
        if self._gripper is not None:
            self._gripper.close()
        for part in (self._outgoing, self._sensing, *self._takers):
            part.close()
        atexit.unregister(self.close)

    # ---- the keeper: watches, brakes, holds ---------------------------------------------------

    def _keep(self) -> None:
        period_s = float(np.clip(self._dt_s, *_KEEPER_S))
        while not self._closed.is_set():
            self._wake.wait(period_s)
            self._wake.clear()
            self._sensing.pauses.look(time.monotonic())
            try:
                if self._stopped.is_set():
                    if not self._braked.is_set():
                        self._brake()
                else:
                    self._watch()
            except BusClosed:  # nothing can be sent any more
                self._stopped.set()
                self._braked.set()
                return
            except Exception as error:  # who watches must not die; it has to stop the robot
                self._latch(Fault(FaultKind.SOFTWARE, f"{type(error).__name__}: {error}"))

    @property
    def _is_moving(self) -> bool:
        """Whether something is under way; else what is wrong forbids, but latches nothing."""
        goals = self._goals
        return self._outgoing.setpoint is not None or (goals is not None and goals.ended() is None)

    def _watch(self) -> None:
        self._sensing.look_at_clock()
        now_s = time.monotonic()
        with self._lock:
            if not self._is_moving:
                return
            if self._goals is not None:
                self._permit()  # a trajectory under way is a command
            is_silent = self._outgoing.halt_silent(now_s)  # then the setpoint means nothing
            faults = list(self.faults())
            setpoint = self._outgoing.setpoint
            if not (self.config.dry_run or faults or is_silent or setpoint is None):
                tracking = self._tracking.check(setpoint, self.state().joint_pos, now_s)
                faults += [tracking] if tracking is not None else []
        if faults:
            self._latch(faults[0])

    def _brake(self) -> None:
        """Brake from the last setpoint, or cancel what is under way; then hold."""
        goals = self._goals
        if goals is not None and (not goals.wait(_CANCEL_S) or self._is_mute):
            # Nobody answers: by the topics, where controllers have one.
            known = self._sensing.if_known()
            if known is not None:
                self._outgoing.stay(known[0], [c.topic for c in self.interface.channels if c.action])
            self._unended = goals
        self._goals, self._is_mute = None, False
        with self._lock:
            trouble = self._outgoing.brake()
            self._braked.set()
        if trouble is not None:
            raise trouble

    def _latch(self, fault: Fault) -> None:
        """Stop because of a fault, once."""
        is_first = not self._stopped.is_set()
        if is_first or not self._faults:
            self._faults.append(fault)
        self.stop()
        if is_first:
            for listener in tuple(self._listeners):
                listener(fault)

    def _on_event(self, fault: Fault) -> None:
        """Latch a fault that is an event while something is under way."""
        if self._is_moving and not self._stopped.is_set():
            self._latch(fault)
