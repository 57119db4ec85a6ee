"""How a robot comes to move: a pure state machine, time passed in.

    DISARMED --arm--> ARMED --soft start--> RUNNING
    ARMED, RUNNING --disarm, deadman released, time-out--> HOLD --> DISARMED
    ARMED, RUNNING --fault--> HOLD --> FAULT --reset--> DISARMED
    any --e-stop--> ESTOP --e-stop released, then reset--> DISARMED

HOLD brakes and holds; nothing leads from it back to motion. FAULT and ESTOP are latched: only an explicit
reset, once what was wrong is over, leads to DISARMED, and only an explicit arm from there to motion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hardware.interface.settings import ArmingConfig
from hardware.safety.estops import EStops
from hardware.safety.watchdog import Fault, FaultKind


class Mode(StrEnum):
    """What the robot may do."""

    DISARMED = "disarmed"
    ARMED = "armed"  # moves, its speed limit rising
    RUNNING = "running"
    HOLD = "hold"  # brakes and holds
    FAULT = "fault"
    ESTOP = "estop"


MOVING = frozenset((Mode.ARMED, Mode.RUNNING))


@dataclass(frozen=True)
class Event:
    """A change of mode and why, at a monotonic time [s]."""

    at_s: float
    mode: Mode
    reason: str


class Arming:
    """The state machine.

    Args:
        config: Settings.
        needs_confirmation: Whether a person must confirm first.
    """

    def __init__(self, config: ArmingConfig, needs_confirmation: bool) -> None:
        self.config = config
        self._is_confirmed = not needs_confirmation
        self._mode, self._after_hold = Mode.DISARMED, Mode.DISARMED
        self._since_s = self._commanded_s = 0.0
        self._reason = "start"
        self._is_locked = False
        self._estops = EStops()
        self._deadman: tuple[bool, float] = (False, float("-inf"))
        self._log: deque[Event] = deque(maxlen=1000)
        self.num_armed = 0  # how often

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """The mode."""
        return self._mode

    @property
    def reason(self) -> str:
        """Why it is in this mode."""
        return self._reason

    @property
    def is_confirmed(self) -> bool:
        """Whether a person has confirmed, or need not."""
        return self._is_confirmed

    @property
    def is_pressed(self) -> bool:
        """Whether an e-stop is pressed, by the last word of each."""
        return self._estops.count > 0

    def _pressed(self) -> str:
        count = self._estops.count
        return "the e-stop is pressed" if count == 1 else f"{count} e-stops are pressed"

    @property
    def log(self) -> Sequence[Event]:
        """Changes of mode, the newest last."""
        return tuple(self._log)

    @property
    def may_move(self) -> bool:
        """Whether commands may be passed on."""
        return self._mode in MOVING

    def speed_scale(self, now_s: float) -> float:
        """Return the share of the speed limit that holds now: 0 unless it may move."""
        if self._mode is Mode.RUNNING:
            return 1.0
        if self._mode is not Mode.ARMED:
            return 0.0
        if self.config.soft_start_s == 0:
            return 1.0
        low = self.config.soft_start_scale
        return low + (1 - low) * min(max(now_s - self._since_s, 0.0) / self.config.soft_start_s, 1.0)

    # ---- what people do -----------------------------------------------------------------------

    def confirm(self) -> None:
        """Note that a person has looked and wants it to move."""
        self._is_confirmed = True

    def lock(self, is_locked: bool) -> None:
        """Forbid to arm, or permit it again."""
        self._is_locked = is_locked

    def arm(self, now_s: float, faults: Sequence[Fault]) -> str:
        """Arm; return why not, "" if it is armed.

        Args:
            now_s: Time now [s].
            faults: What is wrong now, by all watchdogs.
        """
        if self._mode in MOVING:
            return f"it is {self._mode} already"
        if self._mode is not Mode.DISARMED:
            return f"it is in {self._mode} ({self._reason}); reset first"
        if self._is_locked:
            return "the node is not configured (ros2 lifecycle set NODE configure)"
        if not self._is_confirmed:
            return "a person must confirm before the first motion"
        if self.is_pressed:
            return self._pressed()
        if self._is_deadman_released(now_s):
            return "hold the deadman switch first"
        if faults:
            return str(faults[0])
        self._commanded_s = now_s
        self.num_armed += 1
        self._enter(Mode.ARMED, now_s, "armed")
        return ""

    def disarm(self, now_s: float, reason: str = "disarmed") -> None:
        """Brake and disarm; faults stay."""
        if self._mode in MOVING:
            self._hold(now_s, reason, Mode.DISARMED)

    def reset(self, now_s: float, faults: Sequence[Fault]) -> str:
        """Leave FAULT or ESTOP for DISARMED; return why not, "" if it did or there is nothing to reset."""
        if self._mode is Mode.HOLD:
            return "it is braking; try again"
        if self._mode not in (Mode.FAULT, Mode.ESTOP):
            return ""
        if self.is_pressed:
            return self._pressed()
        if faults:
            return str(faults[0])
        self._enter(Mode.DISARMED, now_s, "reset")
        return ""

    # ---- what happens -------------------------------------------------------------------------

    def command(self, now_s: float) -> None:
        """Note that a command was passed on."""
        self._commanded_s = now_s

    def estop(
        self, is_pressed: bool, now_s: float, source: str = "", alive: Collection[str] | None = None
    ) -> None:
        """Take over what an e-stop says; releasing it alone changes nothing.

        Args:
            is_pressed: Whether it is pressed.
            now_s: Time now [s].
            source: Which one, see `EStops`.
            alive: Those that are there now.
        """
        self._estops.say(is_pressed, source, alive)
        if is_pressed and self._mode is not Mode.ESTOP:
            self._enter(Mode.ESTOP, now_s, "e-stop")

    def deadman(self, is_held: bool, now_s: float) -> None:
        """Take over the deadman topic."""
        self._deadman = (is_held, now_s)

    def fault(self, fault: Fault, now_s: float) -> None:
        """Latch a fault: brake first if it moves."""
        if self._mode in MOVING:
            self._hold(now_s, str(fault), Mode.FAULT)
        elif self._mode is Mode.HOLD and self._after_hold is not Mode.FAULT:
            self._after_hold, self._reason = Mode.FAULT, str(fault)

    def tick(self, now_s: float, faults: Sequence[Fault]) -> Mode:
        """Let time pass.

        Args:
            now_s: Time now [s].
            faults: What is wrong now.

        Returns:
            The mode.
        """
        if self._mode in MOVING:
            if faults:
                self.fault(faults[0], now_s)
            elif self._is_deadman_released(now_s):
                self._hold(now_s, f"{FaultKind.DEADMAN}: the deadman switch was released", Mode.DISARMED)
            elif now_s - self._commanded_s > self.config.arm_timeout_s:
                self._hold(now_s, f"no command for {self.config.arm_timeout_s:g} s", Mode.DISARMED)
            elif self._mode is Mode.ARMED and now_s - self._since_s >= self.config.soft_start_s:
                self._enter(Mode.RUNNING, now_s, self._reason)
        elif self._mode is Mode.HOLD:
            if faults:
                self.fault(faults[0], now_s)
            if now_s - self._since_s >= self.config.hold_s:
                self._enter(self._after_hold, now_s, self._reason)
        return self._mode

    # ---- parts --------------------------------------------------------------------------------

    def _is_deadman_released(self, now_s: float) -> bool:
        is_held, at_s = self._deadman
        return self.config.deadman and not (is_held and now_s - at_s <= self.config.deadman_timeout_s)

    def _hold(self, now_s: float, reason: str, after: Mode) -> None:
        self._after_hold = after
        self._enter(Mode.HOLD, now_s, reason)

    def _enter(self, mode: Mode, now_s: float, reason: str) -> None:
        self._mode, self._since_s, self._reason = mode, now_s, reason
        self._log.append(Event(now_s, mode, reason))
