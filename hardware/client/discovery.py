"""Finding a robot: its joint states, its controllers, and nobody else who commands it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from hardware.bus import Bus
from hardware.client.channels import Outlet
from hardware.client.sensing import Sensing
from hardware.client.trajectories import TrajectoryClient
from hardware.interface import RobotInterface

_ADVICE: Final = "is it loaded and active (ros2 control list_controllers)?"
_SAME_NS: Final = 60_000_000_000  # clocks that are not well synchronised

Closed = Callable[[], bool]
"""Whether to give up."""


def find_states(bus: Bus, interface: RobotInterface, sensing: Sensing, is_closed: Closed) -> None:
    """Wait for the clock, and for joint states of every joint.

    Raises:
        ConnectionError: Says what is missing, and what to do.
    """
    wd, joints = interface.watchdog, sensing.joints
    if not _wait(lambda: bus.now_ns() > 0, wd.first_state_s, is_closed):
        raise ConnectionError(f"nothing on /clock within {wd.first_state_s:g} s, but use_sim_time is true")
    if not _wait(lambda: joints.is_complete, wd.first_state_s, is_closed):
        topics = ", ".join(interface.state_topics)
        raise ConnectionError(
            f"no joint states of {', '.join(joints.missing)} on {topics} within "
            f"{wd.first_state_s:g} s; is the robot's driver running in the same ROS domain?"
        )
    if sensing.is_simulated and is_system_time(bus.now_ns()):
        raise ConnectionError(
            "/clock tells this machine's time, so this may be a real robot, which is not moved as a "
            "simulated one; say bus.use_sim_time=false"
        )
    if sensing.is_simulated and not _wait(lambda: sensing.follows_clock, wd.first_state_s, is_closed):
        raise ConnectionError(
            "somebody publishes /clock, but the joint states are not stamped by it: this may be a real "
            "robot, which is not moved as a simulated one; say bus.use_sim_time=false"
        )


def is_system_time(clock_ns: int) -> bool:
    """Return whether a time [ns] may be that of this machine's clock, and so of a real robot."""
    return abs(clock_ns - time.time_ns()) < _SAME_NS


def refuse_others(sensing: Sensing, discovery_s: float, is_closed: Closed) -> None:
    """Look who else commands the robot, and what it says of itself.

    Raises:
        ConnectionError: Another commander, or a description that says something else than our data.
    """
    _wait(lambda: sensing.commander(0) is not None, discovery_s, is_closed)
    for fault in (sensing.commander(0), sensing.description_fault):
        if fault is not None:
            raise ConnectionError(str(fault))


def find_controllers(
    outlets: Sequence[Outlet], takers: Sequence[TrajectoryClient], ready_s: float, is_closed: Closed
) -> None:
    """Wait for whoever listens to setpoints, and serves trajectories.

    Raises:
        ConnectionError: Says which controller is missing.
    """
    for outlet in outlets:
        if not _wait(lambda o=outlet: o.num_subscribers > 0, ready_s, is_closed):
            raise ConnectionError(f"no controller listens on {outlet.topic}; {_ADVICE}")
    for taker in takers:
        if not taker.wait(ready_s):
            raise ConnectionError(f"no controller serves {taker.channel.action}; {_ADVICE}")


def _wait(condition: Callable[[], bool], seconds: float, is_closed: Closed) -> bool:
    end_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end_s or is_closed():
            return condition()
        time.sleep(0.005)
    return True
