"""Opens a robot over a bus together with its guard: what `habilis deploy` and `habilis run` begin with."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.arming import Arming
from hardware.bus import Bus
from hardware.guard import Guard
from hardware.interface import RobotInterface
from hardware.ros_robot import RosRobot, RosRobotConfig


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


def open_robot(
    bus: Bus, interface: RobotInterface, *, dry_run: bool = False, confirmed: bool = False
) -> RobotClient:
    """Connect to a robot; it stays disarmed.

    Args:
        bus: The node, started.
        interface: The robot as data.
        dry_run: Commands go to shadow topics only.
        confirmed: Whether a person has confirmed that it may move.

    Raises:
        ConnectionError: No joint states, another commander, or no controller; says what to do.
    """
    asks = interface.is_real and interface.arming.confirm and not dry_run and not confirmed
    arming = Arming(interface.arming, needs_confirmation=asks)
    guards: list[Guard] = []
    driver = RosRobot(bus, interface, RosRobotConfig(dry_run=dry_run), lambda: guards[0].permit())
    try:
        guards.append(Guard(bus, driver, arming))
        driver.connect()
    except BaseException:
        driver.close()
        raise
    return RobotClient(driver, guards[0])
