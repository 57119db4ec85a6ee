"""What a client senses of a robot, and what is wrong with it: joints, force, gates, other commanders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from hardware.bus import SENSOR, Bus, Message, MessageInfo, QoS, Subscription
from hardware.interface import RobotInterface
from hardware.ros.joints import joint_reading
from hardware.safety.description import DescriptionWatch
from hardware.safety.pauses import Pauses, explained
from hardware.safety.watchdog import (
    NANO,
    AgeWatch,
    ClockWatch,
    Fault,
    FaultKind,
    GateWatch,
    JointWatch,
    TrackingWatch,
    check_commanders,
)
from perception_tools.geometry import FloatArray
from policies.robot import GripperState, RobotState

_SAME_CLOCK_NS: Final = 10 * NANO  # a stamp this near to /clock is of that clock
_EVENT_S: Final = 1.0  # how long a malformed message or a jump of a clock counts as wrong
_ANYBODY: Final = QoS(depth=1, reliability="best_effort")  # meets publishers of every kind
_SIM_LEAD_NS: Final = 50_000_000


class Sensing:
    """Subscriptions of one robot, and the watchdogs over them.

    Args:
        bus: The node.
        interface: The robot as data.
        watches_commands: Whether to look who else can command the robot; not in a dry run.
        on_event: Told of faults that are events, not conditions.
    """

    def __init__(
        self, bus: Bus, interface: RobotInterface, watches_commands: bool, on_event: Callable[[Fault], None]
    ) -> None:
        self._bus, self._interface, self._on_event = bus, interface, on_event
        self.is_simulated = bus.config.use_sim_time
        self._lock = threading.Lock()
        self._events: list[tuple[float, Fault]] = []
        has_velocity = all(source.has_velocity for source in interface.states)
        self.joints = JointWatch(interface.joints, interface.watchdog, has_velocity)
        self.tracking = TrackingWatch(interface.joint_names, interface.watchdog)
        self.pauses = Pauses()
        self._clock_watch = ClockWatch(interface.watchdog.max_clock_jump_s)
        self._gates = [GateWatch(gate) for gate in interface.gates]
        self._description = DescriptionWatch(
            interface.joints, [channel.joint_names for channel in interface.channels]
        )
        self._wrench: FloatArray | None = None
        self._wrench_age = AgeWatch(
            f"wrench {interface.wrench_topic}", FaultKind.STALE_WRENCH, interface.watchdog.max_state_age_s
        )
        # Simulated time when it last moved, and monotonic time then.
        self._moved = (float("nan"), float("inf"))
        topics = [c.topic for c in interface.channels if c.topic] if watches_commands else []
        kinds = {c.topic: c.message for c in interface.channels}
        self._commands: list[Subscription] = [
            bus.subscribe(kinds[topic], topic, lambda m, i: None, _ANYBODY, group="commands")
            for topic in topics
        ]
        self._subscribe()

    def _subscribe(self) -> None:
        bus, interface = self._bus, self._interface
        for topic in interface.state_topics:
            bus.subscribe("sensor_msgs/msg/JointState", topic, self._on_joints, SENSOR, group="state")
        for watch in self._gates:
            gate = watch.gate
            qos = QoS(depth=1, latched=gate.latched) if gate.latched else QoS(depth=5)
            bus.subscribe(
                gate.type, gate.topic, lambda m, i, w=watch: w.receive(m, i.received_s), qos, group="state"
            )
        if interface.wrench_topic:
            kind = "geometry_msgs/msg/WrenchStamped"
            bus.subscribe(kind, interface.wrench_topic, self._on_wrench, SENSOR, group="state")
        for topic in interface.description_topics:
            qos = QoS(depth=1, latched=True)
            bus.subscribe("std_msgs/msg/String", topic, self._on_description, qos, group="description")

    # ---- what is sensed -----------------------------------------------------------------------

    def state(self, clock: Callable[[], float], gripper: GripperState | None) -> RobotState:
        """Return the newest sensed state.

        Raises:
            ConnectionError: Some joint was never heard of.
        """
        with self._lock:
            if not self.joints.is_complete:
                raise ConnectionError(f"no joint states of {', '.join(self.joints.missing)} yet")
            position, velocity, effort = self.joints.values()
            received_s, stamp_ns = self.joints.received_s, self.joints.stamp_ns
        stamp_s = received_s
        if self.is_simulated:  # a busy machine is late by its own clock, not by the simulation's
            stamp_s = stamp_ns / NANO if stamp_ns else clock() - (time.monotonic() - received_s)
        wrench = self._wrench
        force_n = float("nan") if wrench is None else float(np.linalg.norm(wrench[:3]))
        names = self._interface.joint_names
        return RobotState(
            names, position, velocity, effort, stamp_s, force_n, gripper, external_wrench=wrench
        )

    def if_known(self) -> tuple[FloatArray, FloatArray] | None:
        """Return sensed positions and velocities, each (num_joints,); None if they are too old."""
        with self._lock:
            if self.joints.check(time.monotonic(), self._bus.now_ns()) is not None:
                return None
            return self.joints.values()[:2]

    def clock(self) -> float:
        """Return `time.monotonic` [s], or ROS time with `use_sim_time`.

        Simulated time waits for the joint states: it is at most `_SIM_LEAD_NS` ahead of their stamps, so that
        nothing is commanded blindly where `/clock` is heard sooner than the joints.
        """
        if not self.is_simulated:
            return time.monotonic()
        now_ns, stamp_ns = self._bus.now_ns(), self.joints.stamp_ns
        return (min(now_ns, stamp_ns + _SIM_LEAD_NS) if stamp_ns else now_ns) / NANO

    def sleep(self, dt_s: float, is_stopped: Callable[[], bool]) -> None:
        """Wait on this clock [s]; a stopped robot whose simulated clock stands still is not waited for.

        Raises:
            ConnectionError: The simulated clock stands still for 5 s.
        """
        if not self.is_simulated:
            time.sleep(max(dt_s, 0.0))
            return
        start_s = time.monotonic()
        end_s = self.clock() + dt_s
        while (now_s := self.clock()) < end_s:
            if now_s != self._moved[0]:
                self._moved = (now_s, time.monotonic())
            still_s = time.monotonic() - self._moved[1]
            if still_s > 5.0:  # also in a loop of short sleeps
                raise ConnectionError("/clock stands still; is the simulation running?")
            if is_stopped() and still_s > 0.1 and time.monotonic() - start_s > 0.1:
                return  # let the caller see the stop
            time.sleep(0.0005)

    @property
    def follows_clock(self) -> bool:
        """Whether the joint states are stamped by the simulated clock."""
        stamp_ns = self.joints.stamp_ns
        return stamp_ns > 0 and abs(self._bus.now_ns() - stamp_ns) < _SAME_CLOCK_NS

    # ---- what is wrong ------------------------------------------------------------------------

    def faults(self, own_commanders: int) -> Sequence[Fault]:
        """Return what is wrong now; empty if the robot may be moved."""
        now_s = time.monotonic()
        with self._lock:
            stale = self.joints.check(now_s, self._bus.now_ns())
            self._events = [(at_s, fault) for at_s, fault in self._events if now_s - at_s < _EVENT_S]
            events = [fault for _, fault in self._events]
        if stale is not None:
            limit_s = self._interface.watchdog.max_state_age_s
            stale = explained(stale, limit_s, self.pauses.longest_s(now_s))
        found = [stale, *events]
        if self._wrench is not None:  # where it was never heard, the force is told to be unknown
            found.append(self._wrench_age.check(now_s))
        found += [gate.check(now_s) for gate in self._gates]
        found += [self._description.check(), self.commander(own_commanders)]
        return [fault for fault in found if fault is not None]

    def commander(self, own: int) -> Fault | None:
        """Return a fault if a command topic has another publisher than `own` of ours."""
        return check_commanders({s.topic: s.num_publishers for s in self._commands}, own)

    @property
    def description_fault(self) -> Fault | None:
        """What `/robot_description` says against our data, None if nothing, or nobody publishes it."""
        return self._description.check()

    def look_at_clock(self) -> None:
        """Note a jump of this machine's clock."""
        if not self.is_simulated:
            jump = self._clock_watch.check(time.monotonic(), self._bus.now_ns())
            if jump is not None:
                self.note(jump)

    def note(self, fault: Fault) -> None:
        """Take over a fault that is an event, not a condition."""
        with self._lock:
            self._events = [*self._events[-20:], (time.monotonic(), fault)]
        self._on_event(fault)

    def close(self) -> None:
        """End the looking for other commanders; idempotent."""
        for part in self._commands:
            part.close()

    # ---- messages -----------------------------------------------------------------------------

    def _on_joints(self, message: Message, info: MessageInfo) -> None:
        with self._lock:
            # A simulated clock is heard on another topic, so it may be late; nothing can be ahead of it.
            now_ns = 0 if self.is_simulated else self._bus.now_ns()
            fault = self.joints.receive(joint_reading(message, info), now_ns)
        if fault is not None:
            self.note(fault)

    def _on_wrench(self, message: Message, info: MessageInfo) -> None:
        force, torque = message.wrench.force, message.wrench.torque
        self._wrench = np.array([force.x, force.y, force.z, torque.x, torque.y, torque.z])
        self._wrench_age.receive(info.received_s)
        if not np.isfinite(self._wrench).all():  # no force would ever be too large
            self.note(Fault(FaultKind.BAD_STATE, f"{self._interface.wrench_topic}: not finite"))

    def _on_description(self, message: Message, _info: MessageInfo) -> None:
        self._description.receive(message.data)
