"""A robot as data: its joints and limits, and the topics and actions that it has in ROS.

`configs/robot/*.yaml` hold one each, under `interface`. The client (`hardware/ros_robot.py`) and the
simulated counterpart (`hardware/robot_server.py`) read the same one. Names of topics and actions are
relative, so that a namespace moves them; a name that begins with "/" stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np

from hardware.settings import ArmingConfig as ArmingConfig
from hardware.settings import WatchdogConfig as WatchdogConfig
from hardware.settings import check_numbers
from perception_tools.geometry import FloatArray
from policies.robot import JointLimits

ChannelKind = Literal["trajectory", "position", "velocity", "effort", "joint_state"]
"""What a joint controller listens to:

* `trajectory`: `trajectory_msgs/msg/JointTrajectory` on `topic`, and the action
  `control_msgs/action/FollowJointTrajectory` (joint_trajectory_controller and its kin);
* `position`, `velocity`, `effort`: `std_msgs/msg/Float64MultiArray` in the order of `joint_names`
  (forward_command_controller);
* `joint_state`: `sensor_msgs/msg/JointState` with positions, as the LEAP and Allegro drivers take it.
"""

MESSAGES: Final[Mapping[str, str]] = {
    "trajectory": "trajectory_msgs/msg/JointTrajectory",
    "position": "std_msgs/msg/Float64MultiArray",
    "velocity": "std_msgs/msg/Float64MultiArray",
    "effort": "std_msgs/msg/Float64MultiArray",
    "joint_state": "sensor_msgs/msg/JointState",
}
KEEPS_RUNNING: Final = ("velocity", "effort")
"""Kinds of channel that keep moving the robot when whoever commands it dies."""

_LIMITS = ("lower", "upper", "velocity", "acceleration", "jerk", "effort")


@dataclass(frozen=True)
class Joints:
    """Joints in order, with limits in our units; one entry per joint in every field.

    The driver's value is `sign * (ours + offset)`: ours is what the model and the policies use.

    Attributes:
        names: Our names.
        driver_names: The driver's names; () where they are ours.
        prefix: Before all names of the driver (`tf_prefix` of its launch file).
        signs: +1 or -1; () is all +1.
        offsets: Added to our value [rad] or [m]; () is all 0.
        lower: Lower position limits [rad] or [m].
        upper: Upper position limits [rad] or [m].
        velocity: Velocity limits [rad/s] or [m/s].
        acceleration: Acceleration limits [rad/s^2] or [m/s^2].
        jerk: Jerk limits [rad/s^3] or [m/s^3].
        effort: Torque or force limits [N m] or [N].
    """

    names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    jerk: tuple[float, ...]
    effort: tuple[float, ...]
    driver_names: tuple[str, ...] = ()
    prefix: str = ""
    signs: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check lengths, names and signs."""
        count = len(self.names)
        for name in (*_LIMITS, "driver_names", "signs", "offsets"):
            given = getattr(self, name)
            if len(given) != count and (name in _LIMITS or given):
                raise ValueError(f"joints.{name} has {len(given)} entries for {count} joints")
        for names in (self.names, self.driver_names):
            if len(set(names)) != len(names):
                raise ValueError(f"joints: a name stands twice in {', '.join(names)}")
        if not set(self.signs) <= {1.0, -1.0}:
            raise ValueError(f"joints.signs must be 1 or -1, got {self.signs}")
        if not np.isfinite(self.offsets).all():
            raise ValueError("joints.offsets must be finite")
        if not all(np.isfinite(getattr(self, name)).all() for name in _LIMITS):
            raise ValueError("joints: limits must be finite; choose a range for a joint without stops")
        _ = self.limits

    @cached_property
    def limits(self) -> JointLimits:
        """The limits as arrays."""
        return JointLimits(self.names, *(np.array(getattr(self, n), dtype=np.float64) for n in _LIMITS))

    @cached_property
    def on_wire(self) -> tuple[str, ...]:
        """Names in messages, in order."""
        return tuple(self.prefix + name for name in self.driver_names or self.names)

    @cached_property
    def sign(self) -> FloatArray:
        """Signs, (num_joints,)."""
        return np.array(self.signs or [1.0] * len(self.names))

    @cached_property
    def offset(self) -> FloatArray:
        """Offsets, (num_joints,)."""
        return np.array(self.offsets or [0.0] * len(self.names))

    def columns(self, names: Sequence[str]) -> list[int]:
        """Return the places of some of our names.

        Raises:
            ValueError: An unknown name; lists the valid ones.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise ValueError(f"unknown joint {unknown[0]!r}; joints: {', '.join(self.names)}")
        return [self.names.index(name) for name in names]


@dataclass(frozen=True)
class StateSource:
    """Where the sensed joint state comes from, `sensor_msgs/msg/JointState`.

    Attributes:
        topics: Topics that together name every joint; joints of others in them are passed over.
        rate_hz: Rate at which the driver publishes [Hz].
        has_velocity: Whether it fills in velocities; they are differences of positions where not.
    """

    topics: tuple[str, ...] = ("joint_states",)
    rate_hz: float = 100.0
    has_velocity: bool = True

    def __post_init__(self) -> None:
        """Refuse what is not a source."""
        check_numbers(self)
        if not self.topics:
            raise ValueError("states.topics is empty; name the topic of the joint states")


@dataclass(frozen=True)
class Channel:
    """A controller and the joints that it moves.

    Attributes:
        kind: See `ChannelKind`.
        topic: Where commands go.
        joint_names: Our names, in the order of the controller; () is all joints of the robot.
        action: FollowJointTrajectory action, "" without one.
        state_topic: `control_msgs/msg/JointTrajectoryControllerState` of it, "" without one.
        streams: Whether the topic may be commanded at `rate_hz`; where not, motions are sent whole.
        rate_hz: Rate of commands [Hz]; the safety filter's control period is 1 / rate_hz.
        lookahead_s: `time_from_start` of a streamed trajectory point [s]; 0 is one period.
        kp: Gain from position error to velocity [1/s] or to effort [N m/rad], for `velocity`, `effort`.
        kd: Gain from velocity to effort [N m s/rad], for `effort`.
        timeout_s: Silence of whoever commands after which `velocity` and `effort` are set to zero [s].
    """

    kind: ChannelKind
    topic: str
    joint_names: tuple[str, ...] = ()
    action: str = ""
    state_topic: str = ""
    streams: bool = True
    rate_hz: float = 100.0
    lookahead_s: float = 0.0
    kp: float = 0.0
    kd: float = 0.0
    timeout_s: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a channel that could not move anything."""
        check_numbers(self, zero_is_good=("lookahead_s", "kp", "kd"))
        if self.kind not in MESSAGES:
            raise ValueError(f"channel kind {self.kind!r}; there are: {', '.join(MESSAGES)}")
        if not self.topic and not self.action:
            raise ValueError(f"a channel of kind {self.kind!r} needs a topic")
        if self.kind in KEEPS_RUNNING and self.kp == 0:
            raise ValueError(f"channel {self.topic!r} of kind {self.kind!r} needs a gain kp")
        if not self.streams and not self.action:
            raise ValueError(f"channel {self.topic!r} neither streams nor has an action")

    @property
    def message(self) -> str:
        """Type of the messages on `topic`."""
        return MESSAGES[self.kind]


@dataclass(frozen=True)
class GripperInterface:
    """A parallel gripper behind a GripperCommand action, or a topic that takes the same position.

    The driver's position is `closed + (open - closed) * width / width_m[1]`, where width is the opening.

    Attributes:
        action: Name of its action, "" without one.
        kind: Type of the action: `gripper_command` (GripperCommand) or `parallel` (ParallelGripperCommand).
        topic: `std_msgs/msg/Float64MultiArray` with one position, used where there is no action.
        joint_names: The driver's joints whose mean position gives the sensed opening, and the mean of whose
            absolute efforts the clamping force.
        width_m: Smallest and largest opening [m].
        closed: The driver's position at an opening of 0 [rad] or [m].
        open: The driver's position at the largest opening [rad] or [m].
        speed_m_s: Speed of the opening, from the data sheet [m/s].
        max_force_n: Largest clamping force [N].
        prefix: Before the names of the driver's joints.
    """

    action: str
    joint_names: tuple[str, ...]
    width_m: tuple[float, float]
    closed: float
    open: float
    max_force_n: float
    speed_m_s: float = 0.1
    kind: Literal["gripper_command", "parallel"] = "gripper_command"
    topic: str = ""
    prefix: str = ""

    def __post_init__(self) -> None:
        """Refuse an interface that could not move anything."""
        if not (self.action or self.topic):
            raise ValueError("the gripper has neither an action nor a topic")
        if self.kind not in ("gripper_command", "parallel"):
            raise ValueError(f"gripper kind {self.kind!r}; there are: gripper_command, parallel")
        if not 0 <= self.width_m[0] < self.width_m[1] or self.closed == self.open:
            raise ValueError("the gripper needs 0 <= width_m[0] < width_m[1] and closed != open")

    @property
    def on_wire(self) -> tuple[str, ...]:
        """Names of the driver's joints in messages."""
        return tuple(self.prefix + name for name in self.joint_names)

    def position(self, width_m: float) -> float:
        """Return the driver's position for an opening [m]."""
        return self.closed + (self.open - self.closed) * width_m / self.width_m[1]

    def width(self, position: float) -> float:
        """Return the opening [m] for a position of the driver's."""
        return (position - self.closed) / (self.open - self.closed) * self.width_m[1]


@dataclass(frozen=True)
class Gate:
    """Something that must be so before the robot may move, and while it moves.

    Attributes:
        topic: Topic that says so.
        type: Its message type.
        field: Field of the message, "a.b" for a nested one.
        required: Values of which one is needed.
        what: What to do about it, one line.
        latched: Whether the driver publishes it transient-local and only on changes.
        max_age_s: Age after which it is not so any more [s]; 0 does not look (latched ones).
    """

    topic: str
    type: str
    field: str
    required: tuple[bool | int | str, ...]
    what: str
    latched: bool = True
    max_age_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a gate that nothing passes."""
        if not self.required:
            raise ValueError(f"gate {self.topic!r}: required is empty")
        check_numbers(self, zero_is_good=("max_age_s",))


@dataclass(frozen=True)
class RobotInterface:
    """A robot as data.

    Attributes:
        name: Name of the robot (`robot=`).
        joints: Its joints, in order.
        states: Where the sensed state comes from.
        channels: What moves the joints; every joint is in exactly one.
        gripper: A parallel gripper, if it has one.
        wrench_topic: `geometry_msgs/msg/WrenchStamped` of the external force at the end effector, "" where
            it is not sensed; the magnitude of its force is what counts.
        gates: What must be so before it may move.
        watchdog: When sensing is too old.
        arming: How it comes to move.
        is_real: Whether a real robot may be behind it: it is not moved before a person has confirmed.
        sources: Where the numbers come from, by what they are.
    """

    name: str
    joints: Joints
    states: tuple[StateSource, ...]
    channels: tuple[Channel, ...]
    gripper: GripperInterface | None = None
    wrench_topic: str = ""
    gates: tuple[Gate, ...] = ()
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    arming: ArmingConfig = field(default_factory=ArmingConfig)
    is_real: bool = True
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Name the joints of channels that name none, and check that every joint has its channel."""
        named = tuple(
            c if c.joint_names else replace(c, joint_names=self.joints.names) for c in self.channels
        )
        object.__setattr__(self, "channels", named)
        driven = [name for channel in named for name in channel.joint_names]
        self.joints.columns(driven)
        for name in self.joints.names:
            if driven.count(name) != 1:
                raise ValueError(f"{self.name}: joint {name!r} is in {driven.count(name)} channels; need one")
        if not self.states:
            raise ValueError(f"{self.name}: no source of joint states")
        if not self.sources:
            raise ValueError(f"{self.name}: sources is empty; say where the numbers come from")

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Our names of the joints, in order."""
        return self.joints.names

    @property
    def state_topics(self) -> tuple[str, ...]:
        """Topics of the joint states, each once."""
        return tuple(dict.fromkeys(topic for source in self.states for topic in source.topics))

    @property
    def rate_hz(self) -> float:
        """Rate of commands: the slowest channel's [Hz]."""
        return min((channel.rate_hz for channel in self.channels), default=100.0)

    @property
    def streams(self) -> bool:
        """Whether all joints may be commanded one setpoint after another."""
        return all(channel.streams for channel in self.channels)

    def to_wire(self, joint_names: Sequence[str], joint_pos: FloatArray) -> FloatArray:
        """Return the driver's positions (n,) of some of our joints (n,)."""
        k = self.joints.columns(joint_names)
        return self.joints.sign[k] * (np.asarray(joint_pos, dtype=np.float64) + self.joints.offset[k])


def join(
    name: str, parts: Sequence[RobotInterface], prefixes: Sequence[str] = (), is_real: bool | None = None
) -> RobotInterface:
    """Return an arm and a hand, or more, as one robot: their joints and channels one after the other.

    The strictest watchdog and arming of the parts hold for the whole, but for the tracking error: that of
    fingers, which press, must be larger than an arm's, for which the safety filter has a limit of its own.

    Args:
        name: Name of the whole.
        parts: The parts, the arm first.
        prefixes: Before our names of each part's joints, e.g. `("", "hand_")`; none if ().
        is_real: Whether a real robot may be behind it; if any part is, where None.

    Raises:
        ValueError: Two parts have a gripper, a joint or a topic in common.
    """
    prefixes = tuple(prefixes) or ("",) * len(parts)
    if len(prefixes) != len(parts):
        raise ValueError(f"{name}: {len(prefixes)} prefixes for {len(parts)} parts")
    renamed = [_renamed(part, prefix) for part, prefix in zip(parts, prefixes, strict=True)]
    grippers = [part.gripper for part in renamed if part.gripper is not None]
    channels = tuple(channel for part in renamed for channel in part.channels)
    topics = [channel.topic or channel.action for channel in channels]
    doubled = [topic for topic in topics if topics.count(topic) > 1]
    if len(grippers) > 1:
        raise ValueError(f"{name}: more than one part has a gripper")
    if doubled:
        raise ValueError(f"{name}: two parts are commanded on {doubled[0]!r}; change the topic of one")
    return RobotInterface(
        name=name,
        joints=_joined_joints([part.joints for part in renamed]),
        states=tuple(source for part in renamed for source in part.states),
        channels=channels,
        gripper=grippers[0] if grippers else None,
        wrench_topic=next((part.wrench_topic for part in parts if part.wrench_topic), ""),
        gates=tuple(gate for part in renamed for gate in part.gates),
        watchdog=_strictest_watchdog([part.watchdog for part in renamed]),
        arming=_strictest_arming([part.arming for part in renamed]),
        is_real=any(part.is_real for part in parts) if is_real is None else is_real,
        sources={f"{part.name}.{what}": said for part in parts for what, said in part.sources.items()},
    )


def _renamed(part: RobotInterface, prefix: str) -> RobotInterface:
    """Return a part with a prefix before our names; those of its driver stay."""
    joints = part.joints
    named = tuple(prefix + name for name in joints.names)
    channels = tuple(
        replace(channel, joint_names=tuple(prefix + name for name in channel.joint_names))
        for channel in part.channels
    )
    driver_names = joints.driver_names or joints.names
    return replace(part, joints=replace(joints, names=named, driver_names=driver_names), channels=channels)


def _joined_joints(parts: Sequence[Joints]) -> Joints:
    def joined(name: str) -> tuple[float, ...]:
        return tuple(v for part in parts for v in getattr(part, name))

    return Joints(
        tuple(name for part in parts for name in part.names),
        *(joined(name) for name in _LIMITS),
        driver_names=tuple(name for part in parts for name in part.on_wire),
        signs=tuple(v for part in parts for v in part.sign.tolist()),
        offsets=tuple(v for part in parts for v in part.offset.tolist()),
    )


def _strictest_watchdog(parts: Sequence[WatchdogConfig]) -> WatchdogConfig:
    def least(name: str) -> float:
        values = [getattr(part, name) for part in parts]
        return min((v for v in values if v > 0), default=0.0)

    lowest = {f.name: least(f.name) for f in fields(WatchdogConfig)}
    largest = {n: max(getattr(part, n) for part in parts) for n in ("first_state_s", "max_tracking_error")}
    return WatchdogConfig(**lowest | largest)


def _strictest_arming(parts: Sequence[ArmingConfig]) -> ArmingConfig:
    return ArmingConfig(
        confirm=any(part.confirm for part in parts),
        deadman=any(part.deadman for part in parts),
        deadman_timeout_s=min(part.deadman_timeout_s for part in parts),
        soft_start_s=max(part.soft_start_s for part in parts),
        soft_start_scale=min(part.soft_start_scale for part in parts),
        hold_s=min(part.hold_s for part in parts),
        arm_timeout_s=min(part.arm_timeout_s for part in parts),
    )
