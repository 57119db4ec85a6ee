"""A robot and its cameras behind a bus, put together for a planner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from hardware.bus import CLOCK, Bus, BusConfig, Message, MessageInfo
from hardware.client.discovery import is_system_time
from hardware.client.opening import open_robot
from hardware.client.ros_camera import RosCamera, RosCameraConfig
from hardware.client.ros_robot import RosRobot
from hardware.client.transforms import TransformBuffer
from hardware.interface import RobotInterface
from hardware.interface.settings import check_numbers
from hardware.ros.conversions import NS_PER_S, stamp_ns
from hardware.safety.arming import MOVING, Mode
from hardware.safety.guard import Guard
from hardware.transports import open_bus
from policies.world import Episode, Judgement

CLOCK_S: Final = 3.0
"""How long is listened for a clock [s]."""
_SIM_STATE_AGE_S: Final = 3.0
"""How old joint states of a simulated robot may be on this machine's clock: a busy machine pauses [s]."""


@dataclass(frozen=True)
class RemoteConfig:
    """Settings.

    Attributes:
        cameras: The cameras.
        confirmed: A person has looked at the robot and wants it to move.
        arm_timeout_s: Time without a command after which it is disarmed [s].
        ready_s: Longest wait for controllers to be found [s].
    """

    cameras: tuple[RosCameraConfig, ...]
    confirmed: bool = False
    arm_timeout_s: float = 600.0
    ready_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse times that make no sense, and two cameras of one name."""
        check_numbers(self)
        names = [camera.name for camera in self.cameras]
        if len(set(names)) != len(names):
            raise ValueError(f"remote.cameras: a name stands twice in {', '.join(names)}")


@dataclass(frozen=True)
class Remote:
    """What was found.

    Attributes:
        bus: The robot's node.
        eyes: The cameras' node.
        robot: The bare driver; assembly wraps it.
        guard: Its state machine.
        cameras: Cameras by name.
        transforms: What tf says.
        listeners: Told of trouble, on a thread of their own: the driver's must go on braking.
    """

    bus: Bus
    eyes: Bus
    robot: RosRobot
    guard: Guard
    cameras: Mapping[str, RosCamera]
    transforms: TransformBuffer
    listeners: list[Callable[[str, str], None]] = field(default_factory=list)
    _seen: list[Mode] = field(default_factory=lambda: [Mode.DISARMED])
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def on_trouble(self, listener: Callable[[str, str], None]) -> Callable[[], None]:
        """Tell `listener` the mode and the reason whenever the robot leaves those in which it may move.

        Returns:
            A function that ends this after a last look, so that all is told that has happened by then.
        """
        self.listeners.append(listener)

        def end() -> None:
            self.look()
            self.listeners.remove(listener)

        return end

    def look(self) -> None:
        """Look at the mode and tell what has changed."""
        with self._looking:
            mode, reason = self.guard.mode, self.guard.reason
            if mode in MOVING and self.robot.latched:  # the guard has not heard of it yet
                mode, reason = Mode.FAULT, str(self.robot.latched[0])
            if mode is not self._seen[0] and mode in (Mode.HOLD, Mode.FAULT, Mode.ESTOP):
                for listener in tuple(self.listeners):
                    listener(str(mode), reason)
            self._seen[0] = mode

    def arm(self) -> None:
        """Let it move from now on.

        Raises:
            RuntimeError: It may not; says what to do.
        """
        refused = "" if self.guard.may_move else self.guard.arm()
        if refused:
            raise RuntimeError(f"robot {self.robot.name!r} is not armed: {refused}{self._advice(refused)}")

    def _advice(self, refused: str) -> str:
        if "confirm" not in refused:
            return ""
        node = f"{self.bus.config.namespace.rstrip('/')}/{self.bus.config.node_name}"
        return f"; look at it, then say remote.confirmed=true (habilis planner: or call {node}/confirm)"

    def facts(self, transport: str) -> dict[str, Any]:
        """Return how it is reached, for the trace."""
        config = self.bus.config
        return {
            "transport": transport,
            "domain_id": config.domain_id,
            "interface": config.interface,
            "clock": "/clock" if config.use_sim_time else "system",
            "judge": RemoteWorld.NO_JUDGE,
        }

    def close(self) -> None:
        """Stop the robot and leave the network; idempotent."""
        self.guard.close()
        for camera in self.cameras.values():
            camera.close()
        self.robot.close()
        self.transforms.close()
        self.eyes.close()
        self.bus.close()


def has_clock(transport: Literal["auto", "dds", "ros"], config: BusConfig) -> bool:
    """Return whether somebody publishes a `/clock` other than the system's: then the robot is simulated."""
    heard = threading.Event()
    told: list[int] = []

    def hear(message: Message, _info: MessageInfo) -> None:
        told.append(stamp_ns(message.clock))
        heard.set()

    bus = open_bus(transport, replace(config, node_name=f"{config.node_name}_looks", use_sim_time=False))
    try:
        bus.subscribe("rosgraph_msgs/msg/Clock", "/clock", hear, CLOCK)
        bus.start()
        return heard.wait(CLOCK_S) and not is_system_time(told[-1])
    finally:
        bus.close()


def connect(
    bus: Bus, eyes: Bus, interface: RobotInterface, config: RemoteConfig, velocity_share: float = 1.0
) -> Remote:
    """Find the robot's joint states and controllers; nothing moves.

    Cameras have a node of their own: pictures do not wait in the robot's queues, and tools, which hold
    cameras, hold nothing that leads to the driver.

    Args:
        bus: The robot's node.
        eyes: The cameras' node.
        interface: The robot as data.
        config: Settings.
        velocity_share: Share of the robot's velocity limits that velocity commands keep.

    Returns:
        What was found; its `close` closes both nodes, too.

    Raises:
        ConnectionError: No joint states, no controllers, or another commander; says what to do.
    """
    arming = replace(interface.arming, arm_timeout_s=config.arm_timeout_s)
    try:
        transforms = TransformBuffer(eyes)
        clock = _ros_clock(eyes) if eyes.config.use_sim_time else time.monotonic  # as the driver's
        cameras = {c.name: RosCamera(eyes, c, transforms, clock) for c in config.cameras}
        eyes.start()
        client = open_robot(
            bus,
            replace(interface, arming=arming),
            confirmed=config.confirmed,
            ready_s=config.ready_s,
            sim_state_age_s=_SIM_STATE_AGE_S,
            velocity_share=velocity_share,
        )
    except BaseException:
        eyes.close()
        bus.close()
        raise
    remote = Remote(bus, eyes, client.driver, client.guard, cameras, transforms)
    bus.timer(0.02, remote.look, group="trouble")
    return remote


def _ros_clock(bus: Bus) -> Callable[[], float]:
    return lambda: bus.now_ns() / NS_PER_S


class RemoteWorld:
    """The `World` that is behind a bus: one episode, without a seed, a truth or an instruction.

    Args:
        remote: The robot and its cameras.
    """

    NO_JUDGE: Final = "the truth about the scene is not on the wire; success is what was sensed"

    families = ("remote",)

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def reset(self, seed: int, family: str | None = None) -> Episode:
        """Return the episode that there is; nothing is reset."""
        remote = self.remote
        return Episode(self.NO_JUDGE, "remote", seed, "done", remote.robot, dict(remote.cameras))

    def judge(self) -> Judgement:
        """Refuse.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(self.NO_JUDGE)

    def rows(self, seed: int, n: int) -> Iterator[Mapping[str, Any]]:
        """Generate no questions."""
        return iter(())

    def close(self) -> None:
        """Leave the network; idempotent."""
        self.remote.close()
