"""Opens a robot over a bus together with its guard: what `habilis deploy` and `habilis run` begin with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hardware.bus import SENSOR, Bus, Message, MessageInfo
from hardware.client.ros_robot import RosRobot, RosRobotConfig
from hardware.interface import RobotInterface
from hardware.interface.settings import WatchdogConfig
from hardware.ros.conversions import stamp_ns
from hardware.safety.arming import Arming
from hardware.safety.guard import Guard
from hardware.safety.watchdog import AgeWatch, FaultKind

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
    bus: Bus,
    interface: RobotInterface,
    *,
    dry_run: bool = False,
    confirmed: bool = False,
    ready_s: float = 5.0,
    sim_state_age_s: float = _SIM_STATE_AGE_S,
    velocity_share: float = 1.0,
) -> RobotClient:
    """Connect to a robot; it stays disarmed.

    With simulated time the robot is a simulated one: no person need confirm, and joint states may be
    older on this machine's clock, as a busy machine simulates slowly.

    Args:
        bus: The node; it is started.
        interface: The robot as data.
        dry_run: Commands go to shadow topics only.
        confirmed: Whether a person has confirmed that it may move.
        ready_s: Longest wait for controllers to listen [s].
        sim_state_age_s: Age of a simulated robot's joint states on this machine's clock [s].
        velocity_share: Share of its velocity limits that velocity commands keep.

    Raises:
        ConnectionError: No joint states, another commander, or no controller; says what to do.
    """
    is_real = reaches_reality(bus, interface)
    if bus.config.use_sim_time:
        interface = patient(interface, sim_state_age_s)
    asks = is_real and interface.arming.confirm and not dry_run and not confirmed
    arming = Arming(interface.arming, needs_confirmation=asks)
    guards: list[Guard] = []
    config = RosRobotConfig(dry_run=dry_run, ready_s=ready_s, velocity_share=velocity_share)
    driver = RosRobot(
        bus, interface, config, lambda: guards[0].permit(), lambda in_s: guards[0].speed_scale(in_s)
    )
    try:
        guards.append(Guard(bus, driver, arming))
        bus.start()
        driver.connect()
    except BaseException:
        driver.close()
        raise
    return RobotClient(driver, guards[0])


def watch_cameras(bus: Bus, guard: Guard, topics: Sequence[str], config: WatchdogConfig) -> None:
    """Make a camera that is silent, or whose pictures are old, a fault.

    Args:
        bus: The node.
        guard: Whom to tell.
        topics: `sensor_msgs/msg/CameraInfo` of each camera: as often and stamped as its pictures, but small.
        config: Largest ages.
    """

    def open_watch(topic: str) -> None:
        ages = config.max_camera_age_s, config.max_camera_stamp_age_s
        watch = AgeWatch(f"camera {topic}", FaultKind.STALE_CAMERA, *ages)

        def receive(message: Message, info: MessageInfo) -> None:
            watch.receive(info.received_s, stamp_ns(message.header.stamp))

        bus.subscribe("sensor_msgs/msg/CameraInfo", topic, receive, SENSOR, group="cameras")
        guard.add_check(lambda: watch.check(time.monotonic(), bus.now_ns()))

    for topic in topics:
        open_watch(topic)


def patient(interface: RobotInterface, age_s: float = _SIM_STATE_AGE_S) -> RobotInterface:
    """Allow joint states of a simulated robot to be older [s] on this machine's clock: a busy one is slow."""
    age_s = max(interface.watchdog.max_state_age_s, age_s)
    watchdog = replace(
        interface.watchdog, max_state_age_s=age_s, max_stamp_age_s=age_s, max_stamp_lead_s=age_s
    )
    return replace(interface, watchdog=watchdog)
