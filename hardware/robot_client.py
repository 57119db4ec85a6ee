"""Opens a robot over a bus together with its guard: what `habilis deploy` and `habilis run` begin with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hardware.arming import Arming
from hardware.bus import Bus
from hardware.guard import Guard
from hardware.interface import RobotInterface
from hardware.ros_robot import RosRobot, RosRobotConfig

_SIM_STATE_AGE_S: Final = 1.0


@dataclass(frozen=True)
class RobotClient:
    """A driver and who guards it. The driver is for assembly alone, which wraps it.

    Attributes:
        driver: The bare driver.
        guard: Its state machine, services and topics.
    """

    driver: RosRobot
    guard: Guard

    def close(self) -> None:
        """Stop the robot, end; idempotent."""
        self.guard.close()
        self.driver.close()


def reaches_reality(bus: Bus, interface: RobotInterface) -> bool:
    """Whether a real robot may be behind the bus; not if its time is simulated."""
    return interface.is_real and not bus.config.use_sim_time


def open_robot(
    bus: Bus, interface: RobotInterface, *, dry_run: bool = False, confirmed: bool = False
) -> RobotClient:
    """Connect to a robot; it stays disarmed.

    Args:
        bus: The node; it is started.
        interface: The robot as data.
        dry_run: Commands go to shadow topics only.
        confirmed: Whether a person has confirmed that it may move.

    Raises:
        ConnectionError: No joint states, another commander, or no controller; says what to do.
    """
    is_real = reaches_reality(bus, interface)
    if bus.config.use_sim_time:
        interface = _patient(interface)
    asks = is_real and interface.arming.confirm and not dry_run and not confirmed
    arming = Arming(interface.arming, needs_confirmation=asks)
    guards: list[Guard] = []
    driver = RosRobot(bus, interface, RosRobotConfig(dry_run=dry_run), lambda: guards[0].permit())
    try:
        guards.append(Guard(bus, driver, arming))
        bus.start()
        driver.connect()
    except BaseException:
        driver.close()
        raise
    return RobotClient(driver, guards[0])


def _patient(interface: RobotInterface) -> RobotInterface:
    """Allow joint states of a simulated robot to be older on this machine's clock: a busy one is slow."""
    age_s = max(interface.watchdog.max_state_age_s, _SIM_STATE_AGE_S)
    watchdog = replace(
        interface.watchdog, max_state_age_s=age_s, max_stamp_age_s=age_s, max_stamp_lead_s=age_s
    )
    return replace(interface, watchdog=watchdog)
