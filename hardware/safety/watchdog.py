"""Watchdogs: pure judgements of what was received, and when. Times are passed in, nothing sleeps.

Two clocks: `now_s`, `received_s` are `time.monotonic` of this machine, by which ages are measured; header
stamps and `now_ns` are ROS time, which may jump. Each has its own limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np

from hardware.interface import Gate, Joints
from hardware.interface.settings import WatchdogConfig
from perception_tools.geometry import FloatArray

NANO: Final = 1_000_000_000


class FaultKind(StrEnum):
    """What is wrong."""

    NO_STATE = "no_state"  # never heard of some joint
    STALE_STATE = "stale_state"  # nothing received for too long
    STALE_STAMP = "stale_stamp"  # received, but stamped long ago
    CLOCK_JUMP = "clock_jump"  # stamps, or this machine's clock, jumped
    BAD_STATE = "bad_state"  # not finite, wrong size
    STALE_CAMERA = "stale_camera"
    STALE_WRENCH = "stale_wrench"  # the force that motions are guarded by
    STALE_INPUT = "stale_input"  # a goal or an observation from elsewhere
    TRACKING = "tracking"  # the robot does not follow
    COMMANDER = "commander"  # somebody else commands it
    GATE = "gate"  # the robot itself says that it is not ready
    DESCRIPTION = "description"  # what the robot says of its joints is not what we were told
    INFERENCE = "inference"  # the policy is late, or returns nonsense
    DEADMAN = "deadman"
    TRANSPORT = "transport"  # the bus failed
    SOFTWARE = "software"  # an error in this process


@dataclass(frozen=True)
class Fault:
    """Why the robot must not move, with one line of detail."""

    kind: FaultKind
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, eq=False)
class JointReading:
    """What one message says, already taken out of it.

    Attributes:
        names: The driver's names.
        position: One per name, driver's convention.
        velocity: One per name, or empty.
        effort: One per name, or empty.
        stamp_ns: Header stamp [ns], 0 if the driver stamps nothing.
        received_s: When it came [s], monotonic.
        publisher: Who sent it.
    """

    names: Sequence[str]
    position: FloatArray
    velocity: FloatArray
    effort: FloatArray
    stamp_ns: int
    received_s: float
    publisher: str = ""


class StampOrder:
    """Tells repeated and reordered messages of each publisher, and jumps of their clock."""

    def __init__(self, max_jump_s: float) -> None:
        self._max_jump_ns = round(max_jump_s * NANO)
        self._last: dict[str, int] = {}

    def judge(self, publisher: str, stamp_ns: int) -> str:
        """Return "new", "duplicate", "reordered" or "jump"; only "new" and "jump" move the mark."""
        last = self._last.get(publisher)
        if stamp_ns == 0 or last is None or stamp_ns > last:
            self._last[publisher] = max(stamp_ns, 0)
            return "new"
        if stamp_ns == last:
            return "duplicate"
        if last - stamp_ns <= self._max_jump_ns:
            return "reordered"
        self._last[publisher] = stamp_ns
        return "jump"


class JointWatch:
    """Keeps the newest reading of every joint, and says what is wrong with it.

    Args:
        joints: The joints to watch.
        config: Limits.
        has_velocity: Whether the driver fills in velocities; differences of positions where not.
    """

    def __init__(self, joints: Joints, config: WatchdogConfig, has_velocity: bool = True) -> None:
        self._joints, self._config, self._has_velocity = joints, config, has_velocity
        self._column = {name: k for k, name in enumerate(joints.on_wire)}
        count = len(joints.names)
        self._order = StampOrder(config.max_clock_jump_s)
        self._received_s = np.full(count, -np.inf)
        self._stamp_ns = np.zeros(count, dtype=np.int64)
        self._pos, self._vel, self._effort = (np.full(count, np.nan) for _ in range(3))
        self.counts: Counter[str] = Counter()

    # ---- messages -----------------------------------------------------------------------------

    def receive(self, reading: JointReading, now_ns: int) -> Fault | None:
        """Take a message over; one that is repeated, out of order or wrong changes nothing.

        Args:
            reading: The message.
            now_ns: ROS time now [ns]; 0 while nothing is known of a simulated clock.

        Returns:
            What is wrong with it, None if nothing is or it was only repeated or out of order.
        """
        columns = [(i, self._column[n]) for i, n in enumerate(reading.names) if n in self._column]
        fault = self._malformed(reading, [i for i, _ in columns])
        if fault is not None:
            self.counts["bad"] += 1
            return fault
        if not columns:
            self.counts["of others"] += 1
            return None
        # By its joints, too: an arm and a hand share no clock, and rclpy may not tell who sent a message.
        verdict = self._order.judge(" ".join((reading.publisher, *reading.names)), reading.stamp_ns)
        self.counts[verdict] += 1
        if verdict in ("duplicate", "reordered"):
            return None
        self._take(reading, columns)
        if verdict == "jump":
            return Fault(FaultKind.CLOCK_JUMP, "stamps of the joint states went back in time")
        lead_s = (reading.stamp_ns - now_ns) / NANO
        if reading.stamp_ns and now_ns and lead_s > self._config.max_stamp_lead_s:
            message = (
                f"joint states are stamped {lead_s:.3f} s ahead of this machine's clock; synchronise them"
            )
            return Fault(FaultKind.CLOCK_JUMP, message)
        return None

    def _malformed(self, reading: JointReading, used: list[int]) -> Fault | None:
        count = len(reading.names)
        for name in ("position", "velocity", "effort"):
            size = len(getattr(reading, name))
            if size != count and (size or (name == "position" and used)):
                return Fault(FaultKind.BAD_STATE, f"joint states: {size} entries of {name}, {count} names")
        if len(set(reading.names)) != count:
            return Fault(FaultKind.BAD_STATE, "joint states name a joint twice")
        for name in ("position", "velocity"):
            values = np.asarray(getattr(reading, name), dtype=np.float64)
            if len(values) and not np.isfinite(values[used]).all():
                bad = next(reading.names[i] for i in used if not np.isfinite(values[i]))
                return Fault(FaultKind.BAD_STATE, f"{name} of {bad} is not finite")
        return None

    def _take(self, reading: JointReading, columns: list[tuple[int, int]]) -> None:
        source, target = (np.array(k, dtype=np.intp) for k in zip(*columns, strict=True))
        sign, offset = self._joints.sign[target], self._joints.offset[target]
        position = sign * np.asarray(reading.position, dtype=np.float64)[source] - offset
        if self._has_velocity and len(reading.velocity):
            velocity = sign * np.asarray(reading.velocity, dtype=np.float64)[source]
        else:
            velocity = self._differences(target, position, reading)
        self._pos[target], self._vel[target] = position, velocity
        if len(reading.effort):
            self._effort[target] = sign * np.asarray(reading.effort, dtype=np.float64)[source]
        self._received_s[target], self._stamp_ns[target] = reading.received_s, reading.stamp_ns

    def _differences(self, target: np.ndarray, position: FloatArray, reading: JointReading) -> FloatArray:
        by_stamp = (reading.stamp_ns - self._stamp_ns[target]) / NANO
        by_receipt = reading.received_s - self._received_s[target]
        is_stamped = (self._stamp_ns[target] > 0) & (by_stamp > 0)
        dt_s = np.where(is_stamped, by_stamp, by_receipt)
        known = np.isfinite(self._pos[target]) & (dt_s > 1e-6) & np.isfinite(dt_s)
        return np.where(known, (position - self._pos[target]) / np.where(known, dt_s, 1.0), 0.0)

    # ---- what is known ------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether every joint has been heard of."""
        return bool(np.isfinite(self._received_s).all())

    @property
    def missing(self) -> tuple[str, ...]:
        """The driver's names of joints never heard of."""
        silent = ~np.isfinite(self._received_s)
        return tuple(n for n, is_silent in zip(self._joints.on_wire, silent, strict=True) if is_silent)

    @property
    def received_s(self) -> float:
        """When the joint that was heard of longest ago was heard of [s], monotonic; -inf before."""
        return float(self._received_s.min())

    @property
    def stamp_ns(self) -> int:
        """Stamp of the joint that was stamped longest ago [ns]; 0 before, or where nothing is stamped."""
        return int(self._stamp_ns.min())

    def values(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return positions, velocities and efforts in our convention, each (num_joints,), NaN if unknown."""
        return self._pos.copy(), self._vel.copy(), self._effort.copy()

    def check(self, now_s: float, now_ns: int) -> Fault | None:
        """Return why the newest readings are too old to go on, None if they are not.

        Args:
            now_s: Monotonic time now [s].
            now_ns: ROS time now [ns].
        """
        if not self.is_complete:
            return Fault(FaultKind.NO_STATE, f"no joint states of {', '.join(self.missing)}")
        age_s = now_s - self._received_s
        if age_s.max() > self._config.max_state_age_s:
            name = self._joints.on_wire[int(age_s.argmax())]
            limit_s = self._config.max_state_age_s
            message = (
                f"{name} was last heard of {age_s.max():.3f} s ago, allowed {limit_s:g} s "
                "(watchdog.max_state_age_s)"
            )
            return Fault(FaultKind.STALE_STATE, message)
        limit_s = self._config.max_stamp_age_s
        stamped = self._stamp_ns[self._stamp_ns > 0]
        if limit_s and stamped.size and (now_ns - stamped.min()) / NANO > limit_s:
            old_s = (now_ns - int(stamped.min())) / NANO
            message = (
                f"joint states are stamped {old_s:.3f} s ago, allowed {limit_s:g} s "
                "(watchdog.max_stamp_age_s); is the clock synchronised?"
            )
            return Fault(FaultKind.STALE_STAMP, message)
        return None


class AgeWatch:
    """Watches one stream, a camera's pictures or an input of the policy, by receipt and by stamp.

    Args:
        what: What it is, for messages.
        kind: The fault it makes.
        max_age_s: Age since receipt [s].
        max_stamp_age_s: Age by the stamp [s]; 0 does not look.
    """

    def __init__(self, what: str, kind: FaultKind, max_age_s: float, max_stamp_age_s: float = 0.0) -> None:
        self._what, self._kind = what, kind
        self._max_age_s, self._max_stamp_age_s = max_age_s, max_stamp_age_s
        self._received_s, self._stamp_ns = -np.inf, 0

    def receive(self, received_s: float, stamp_ns: int = 0) -> None:
        """Note a message."""
        self._received_s, self._stamp_ns = received_s, stamp_ns

    def check(self, now_s: float, now_ns: int = 0) -> Fault | None:
        """Return why the stream is too old, None if it is not."""
        age_s = now_s - self._received_s
        if not np.isfinite(age_s):
            return Fault(self._kind, f"{self._what}: nothing received yet")
        if age_s > self._max_age_s:
            return Fault(self._kind, f"{self._what}: last received {age_s:.3f} s ago")
        stamp_age_s = (now_ns - self._stamp_ns) / NANO
        if self._max_stamp_age_s and self._stamp_ns and stamp_age_s > self._max_stamp_age_s:
            return Fault(self._kind, f"{self._what}: stamped {stamp_age_s:.3f} s ago")
        return None


class ClockWatch:
    """Tells jumps of ROS time against the monotonic clock.

    Args:
        max_jump_s: Largest change of their difference between two looks [s].
    """

    def __init__(self, max_jump_s: float) -> None:
        self._max_jump_s = max_jump_s
        self._offset_s: float | None = None

    def check(self, now_s: float, now_ns: int) -> Fault | None:
        """Return a fault if ROS time jumped since the last look; the next look starts from there."""
        offset_s = now_ns / NANO - now_s
        last, self._offset_s = self._offset_s, offset_s
        if last is None or abs(offset_s - last) <= self._max_jump_s:
            return None
        return Fault(FaultKind.CLOCK_JUMP, f"this machine's clock jumped by {offset_s - last:+.3f} s")


class GateWatch:
    """Whether a gate is open. A gate of which nothing is known is closed."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._value: Any = None
        self._received_s = -np.inf

    def receive(self, message: Any, received_s: float) -> None:
        """Note what the robot says."""
        value = message
        for name in self.gate.field.split("."):
            value = getattr(value, name)
        self._value, self._received_s = value, received_s

    def check(self, now_s: float) -> Fault | None:
        """Return why the gate is closed, None if it is open."""
        gate = self.gate
        if not np.isfinite(self._received_s):
            return Fault(FaultKind.GATE, f"nothing received on {gate.topic}: {gate.what}")
        age_s = now_s - self._received_s
        if gate.max_age_s and age_s > gate.max_age_s:
            return Fault(FaultKind.GATE, f"{gate.topic} is silent for {age_s:.2f} s: {gate.what}")
        if not any(type(self._value) is type(v) and self._value == v for v in gate.required):
            return Fault(FaultKind.GATE, f"{gate.topic} {gate.field} is {self._value}: {gate.what}")
        return None


@dataclass
class TrackingWatch:
    """Whether the robot follows its setpoints.

    Attributes:
        joint_names: Names, for messages.
        config: Limits.
    """

    joint_names: tuple[str, ...]
    config: WatchdogConfig
    _since_s: float | None = field(default=None, init=False)

    def check(self, setpoint: FloatArray | None, joint_pos: FloatArray, now_s: float) -> Fault | None:
        """Return a fault if a joint has been too far from its setpoint for too long."""
        error = np.abs(joint_pos - setpoint) if setpoint is not None else np.zeros(1)
        if not (error > self.config.max_tracking_error).any():
            self._since_s = None
            return None
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._since_s < self.config.tracking_s:
            return None
        worst = int(np.argmax(error))
        return Fault(FaultKind.TRACKING, f"{self.joint_names[worst]} is {error[worst]:.3f} off its setpoint")


def check_commanders(num_publishers: Mapping[str, int], own: int) -> Fault | None:
    """Return a fault if a command topic has another publisher than ours.

    Args:
        num_publishers: Publishers matched on each command topic.
        own: How many of them are ours.
    """
    for topic, count in num_publishers.items():
        if count > own:
            what = "another node" if count - own == 1 else f"{count - own} other nodes"
            return Fault(FaultKind.COMMANDER, f"{what} can publish on {topic}; stop it first")
    return None
