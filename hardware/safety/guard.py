"""Arming over the bus: services, e-stop and deadman topics, state and diagnostics of one robot.

Of the node `habilis`, by default: services `habilis/arm`, `habilis/disarm`, `habilis/reset`,
`habilis/confirm` (`std_srvs/srv/Trigger`); topics `habilis/estop`, `habilis/deadman` (`std_msgs/msg/Bool`)
in, `habilis/state` (`std_msgs/msg/String`) and `/diagnostics` out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from hardware.bus import LATCHED, RELIABLE, SENSOR, Bus, BusClosed, Handle, Message, MessageInfo, Subscription
from hardware.client.ros_robot import RosRobot
from hardware.ros.conversions import header_fields
from hardware.safety.arming import MOVING, Arming, Mode
from hardware.safety.watchdog import Fault
from policies.robot import RobotStopped

_LOG = logging.getLogger("habilis.guard")
_TRIGGER: Final = "std_srvs/srv/Trigger"
_OK, _WARN, _ERROR = 0, 1, 2  # DiagnosticStatus

Figures = Callable[[], Mapping[str, object]]


class Guard:
    """Keeps the state machine of one robot, and everything that people and nodes may say to it.

    Args:
        bus: The node.
        robot: The driver; it must be given `permit` of this guard.
        arming: The state machine.
        tick_s: Period of looking at the watchdogs [s].
    """

    def __init__(self, bus: Bus, robot: RosRobot, arming: Arming, tick_s: float = 0.01) -> None:
        self._bus, self._robot, self._arming = bus, robot, arming
        self._lock = threading.RLock()
        self._checks: list[Callable[[], Fault | None]] = []
        self._figures: list[Figures] = []
        self._told: Mode | None = None
        self._release: Callable[[], None] = robot.reset_stop
        self._seen = 0
        node = bus.config.node_name
        self._state = bus.publisher("std_msgs/msg/String", f"{node}/state", LATCHED)
        self._diagnostics = bus.publisher("diagnostic_msgs/msg/DiagnosticArray", "/diagnostics", RELIABLE)
        answers = {"arm": self.arm, "disarm": self.disarm, "reset": self.reset, "confirm": self.confirm}
        self._parts: list[Handle] = [
            *(part for topic in self._estop_topics(node) for part in self._hear_estop(topic)),
            bus.subscribe("std_msgs/msg/Bool", f"{node}/deadman", self._on_deadman, group="safety"),
            *(bus.service(_TRIGGER, f"{node}/{name}", self._answer(f)) for name, f in answers.items()),
            bus.timer(tick_s, self._on_timer, group="watch"),
            bus.timer(1.0, self.diagnose, group="diagnostics"),
        ]
        robot.on_fault(self.fault)
        self._tell()

    # ---- for the driver and the runner --------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """The mode."""
        return self._arming.mode

    @property
    def reason(self) -> str:
        """Why it is in this mode."""
        return self._arming.reason

    @property
    def may_move(self) -> bool:
        """Whether commands are passed on."""
        return self._arming.may_move

    @property
    def num_armed(self) -> int:
        """How often it was armed: who finds another number has missed a stop."""
        return self._arming.num_armed

    def speed_scale(self, in_s: float = 0.0) -> float:
        """Return the share of the speed limit that holds in some time from now [s]."""
        return self._arming.speed_scale(time.monotonic() + in_s)

    def permit(self) -> str:
        """Return why nothing may be sent, "" if it may; for `RosRobot`.

        It takes no lock: the driver asks while it holds its own.
        """
        if not self._arming.may_move:
            return f"the robot is {self._arming.mode} ({self._arming.reason}); arm it first"
        self._arming.command(time.monotonic())
        return ""

    def release_with(self, release: Callable[[], None]) -> None:
        """Use `SafeRobot.reset_stop`, which forgets the last setpoint too, to release the stop."""
        self._release = release

    def add_check(self, check: Callable[[], Fault | None]) -> None:
        """Watch something else, too: a camera, an input of the policy."""
        self._checks.append(check)

    def add_figures(self, figures: Figures) -> None:
        """Add figures to the diagnostics."""
        self._figures.append(figures)

    def faults(self) -> list[Fault]:
        """Return what is wrong now."""
        more = [check() for check in self._checks]
        return [*self._robot.faults(), *(fault for fault in more if fault is not None)]

    def fault(self, fault: Fault) -> None:
        """Latch a fault."""
        with self._lock:
            self._arming.fault(fault, time.monotonic())
            self._follow()

    def tick(self) -> Mode:
        """Look at the watchdogs; stop the robot if they say so."""
        faults = self.faults()
        with self._lock:
            mode = self._arming.tick(time.monotonic(), faults)
            self._follow()
            return mode

    # ---- for people ---------------------------------------------------------------------------

    def arm(self) -> str:
        """Arm; return why not, "" if it is armed."""
        faults = self.faults()
        with self._lock:
            refused = self._arming.arm(time.monotonic(), faults)
            self._follow()
        if refused:
            return refused
        try:
            self._release()
        except RobotStopped as error:
            self.disarm()
            return str(error)
        return ""

    def disarm(self, lock: bool | None = None) -> str:
        """Brake and disarm.

        Args:
            lock: True forbids to arm until False permits it again; None changes nothing.
        """
        with self._lock:
            if lock is not None:
                self._arming.lock(lock)
            self._arming.disarm(time.monotonic())
            self._follow()
            return ""

    def reset(self) -> str:
        """Release a latched fault or e-stop, if its cause is over; return why not."""
        faults = self.faults()
        with self._lock:
            refused = self._arming.reset(time.monotonic(), faults)
            self._follow()
            return refused

    def confirm(self) -> str:
        """Note that a person looks at the robot and wants it to move."""
        with self._lock:
            self._arming.confirm()
            return ""

    def close(self) -> None:
        """Disarm, stop the robot, end; idempotent."""
        self.disarm()
        self._robot.stop()
        for part in self._parts:
            part.close()

    # ---- parts --------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Stop the robot where it may not move, and tell of changes."""
        if self._arming.mode not in MOVING and not self._robot.is_stopped:
            self._robot.stop()
        for event in self._arming.log[self._seen :]:
            level = logging.WARNING if event.mode in (Mode.FAULT, Mode.ESTOP, Mode.HOLD) else logging.INFO
            _LOG.log(level, "%s: %s (%s)", self._robot.name, event.mode, event.reason)
        self._seen = len(self._arming.log)
        if self._arming.mode is not self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = self._arming.mode
        text = f"{self._arming.mode}: {self._arming.reason}"
        try:
            self._state.publish(self._bus.message("std_msgs/msg/String", data=text))
        except BusClosed:
            _LOG.warning("%s: the bus is closed, nobody is told: %s", self._robot.name, text)

    def _on_timer(self) -> None:
        self.tick()

    def _answer(self, action: Callable[[], str]) -> Callable[[Message], Message]:
        def answer(_request: Message) -> Message:
            refused = action()
            message = refused or f"{self._arming.mode}"
            return self._bus.message(f"{_TRIGGER}_Response", success=not refused, message=message)

        return answer

    def _estop_topics(self, node: str) -> list[str]:
        return list(dict.fromkeys((f"{node}/estop", *self._arming.config.estop_topics)))

    def _hear_estop(self, topic: str) -> list[Subscription]:
        """Listen reliably, to what a latched one said before we came, and to best-effort publishers."""
        heard: list[Subscription] = []
        is_reliable = threading.Event()  # whether anything was heard reliably

        def take(message: Message, info: MessageInfo) -> None:
            here = [part.publishers for part in heard]
            alive = {f"{topic} {p}" for known in here if known is not None for p in known}
            is_counted = None not in here and bool(info.publisher)
            source = f"{topic} {info.publisher}" if is_counted else topic
            count = max((part.num_publishers for part in heard), default=0)
            if not (is_counted or message.data or count <= 1):
                return  # nobody knows which of several was released
            with self._lock:
                self._arming.estop(
                    bool(message.data), time.monotonic(), source, alive | {source} if is_counted else None
                )
                self._follow()

        def take_reliable(message: Message, info: MessageInfo) -> None:
            is_reliable.set()
            take(message, info)

        def take_other(message: Message, info: MessageInfo) -> None:
            known = heard[0].publishers
            # What was lost here may have been heard there: old news must not release anything.
            is_old = (
                info.publisher in known if known is not None else is_reliable.is_set() and not message.data
            )
            if not is_old:
                take(message, info)

        kinds = ((RELIABLE, take_reliable), (LATCHED, take_reliable), (SENSOR, take_other))
        for qos, receive in kinds:
            heard.append(self._bus.subscribe("std_msgs/msg/Bool", topic, receive, qos, group="safety"))
        return heard

    def _on_deadman(self, message: Message, info: MessageInfo) -> None:
        with self._lock:
            self._arming.deadman(bool(message.data), info.received_s)

    def diagnose(self) -> None:
        """Publish `/diagnostics`."""
        mode, faults = self._arming.mode, self.faults()
        values: dict[str, Any] = {"mode": mode, "reason": self._arming.reason}
        values |= {f"joint states {what}": count for what, count in self._robot.counts.items()}
        for figures in self._figures:
            values |= figures()
        level = _ERROR if mode in (Mode.FAULT, Mode.ESTOP) else _WARN if faults else _OK
        status = {
            "level": level,
            "name": f"{self._bus.config.node_name}: {self._robot.name}",
            "message": str(faults[0]) if faults else f"{mode}: {self._arming.reason}",
            "hardware_id": self._robot.name,
            "values": [{"key": str(k), "value": str(v)} for k, v in values.items()],
        }
        message = self._bus.message(
            "diagnostic_msgs/msg/DiagnosticArray", header=header_fields(self._bus.now_ns()), status=[status]
        )
        self._diagnostics.publish(message)
