"""What a policy sees of a real robot: observations put together by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hardware.bus import RELIABLE, SENSOR, Bus, Message, MessageInfo
from hardware.safety.watchdog import AgeWatch, Fault, FaultKind
from perception_tools.geometry import FloatArray
from policies.actions import Decoder, Deployment, Forward
from policies.policy import PolicySpec
from policies.robot import RobotState

_ENTRY: Final = re.compile(r"(?P<term>[^.]+)\.(?P<entry>.+)")
_GOALS: Final = ("desired_goal", "achieved_goal")
_BY_JOINT: Final = ("joint_pos", "joint_vel", "joint_effort", "target")
_ALIASES: Final = {"arm_pos": "joint_pos", "arm_vel": "joint_vel"}
_MESSAGE: Final = "std_msgs/msg/Float64MultiArray"

Read = Callable[[RobotState], FloatArray]


class Input:
    """Numbers that somebody else publishes: a goal, or what no joint senses.

    Args:
        bus: The node.
        name: What they are.
        topic: `std_msgs/msg/Float64MultiArray`.
        size: How many they must be.
        max_age_s: Age after which they are a fault [s]; 0 never (a goal).
    """

    def __init__(self, bus: Bus, name: str, topic: str, size: int, max_age_s: float) -> None:
        self._name, self._size, self._max_age_s = name, size, max_age_s
        self._value: FloatArray | None = None
        self._bad: Fault | None = None
        self._watch = AgeWatch(f"{name} ({topic})", FaultKind.STALE_INPUT, max_age_s or np.inf)
        qos = SENSOR if max_age_s else RELIABLE  # of a stream the next one comes soon, a goal may come once
        self._part = bus.subscribe(_MESSAGE, topic, self._receive, qos, group="inputs")

    def _receive(self, message: Message, info: MessageInfo) -> None:
        value = np.asarray(message.data, dtype=np.float64)
        if value.shape != (self._size,) or not np.isfinite(value).all():
            what = f"{len(value)} numbers, or some not finite; the policy reads {self._size}"
            self._bad = Fault(FaultKind.STALE_INPUT, f"{self._name}: {what}")
            return
        self._bad, self._value = None, value
        self._watch.receive(info.received_s)

    @property
    def value(self) -> FloatArray | None:
        """The newest numbers, (size,), None before the first."""
        return self._value

    def check(self, now_s: float) -> Fault | None:
        """Return why they cannot be used, None if they can."""
        return self._bad or self._watch.check(now_s)


@dataclass(frozen=True)
class ObserverConfig:
    """Where a policy's observations come from besides the joints.

    Attributes:
        joint_names: The robot's joints in the order in which the policy numbers them (`joint_pos.0`); () is
            what the policy was trained with.
        goal: The desired goal, () where it comes from a topic.
        goal_topic: `Float64MultiArray` with the desired goal, "" where it is `goal`.
        inputs: Topics of observations that no joint has, by term: `{cube_pos: /cube/position}`.
        max_input_age_s: Age after which such an observation is a fault [s].
    """

    joint_names: tuple[str, ...] = ()
    goal: tuple[float, ...] = ()
    goal_topic: str = ""
    inputs: Mapping[str, str] | None = None
    max_input_age_s: float = 0.5


class Observer:
    """Puts the observations of a policy together.

    Args:
        bus: The node.
        spec: What the policy reads.
        joint_names: The robot's joints.
        deployment: What the policy was trained with.
        decoder: Who knows the last targets.
        forward: Where the ee frame is; None without kinematics.
        has_gripper: Whether the robot senses an opening.
        config: Settings.

    Raises:
        ValueError: The policy reads what the robot does not have; lists all of it.
    """

    def __init__(
        self,
        bus: Bus,
        spec: PolicySpec,
        joint_names: Sequence[str],
        deployment: Deployment,
        decoder: Decoder,
        forward: Forward | None,
        has_gripper: bool,
        config: ObserverConfig,
    ) -> None:
        self._bus, self._config, self._decoder, self._forward = bus, config, decoder, forward
        self._robot_joints = tuple(joint_names)
        self._order = config.joint_names or deployment.joint_names
        self._has_gripper, self._achieved = has_gripper, deployment.achieved_goal
        self._inputs: dict[str, Input] = {}
        self._reads: dict[str, Read | None] = {}
        self._arrays: dict[str, list[tuple[Read, int]]] = {}
        self._missing: list[str] = []
        _check_joints(self._order, joint_names)
        sizes = _term_sizes(spec)
        for key, array in spec.obs.items():
            if key in _GOALS:
                self._arrays[key] = self._goal(key, array.shape[0])
            elif not array.names:
                raise ValueError(f"the policy's {key!r} has no names; export it again with names")
            else:
                self._arrays[key] = [self._entry(name, sizes) for name in array.names]
        if self._missing:
            raise ValueError(_lacks(list(dict.fromkeys(self._missing))))

    @property
    def inputs(self) -> Mapping[str, Input]:
        """What comes from topics, by name."""
        return self._inputs

    @property
    def waits_for(self) -> str:
        """What has not come yet, "" if all has: nothing moves before."""
        return ", ".join(name for name, given in self._inputs.items() if given.value is None)

    def check(self, now_s: float) -> Fault | None:
        """Return why some input can't be used any more, None if all can."""
        for given in self._inputs.values():
            if given.value is not None and (fault := given.check(now_s)) is not None:
                return fault
        return None

    def __call__(self, state: RobotState) -> dict[str, FloatArray]:
        """Return the observations, by key."""
        once: dict[int, FloatArray] = {}

        def value(read: Read, k: int) -> float:
            if id(read) not in once:
                once[id(read)] = read(state)
            return float(once[id(read)][k])

        return {key: np.array([value(*entry) for entry in entries]) for key, entries in self._arrays.items()}

    # ---- at the start -------------------------------------------------------------------------

    def _goal(self, key: str, size: int) -> list[tuple[Read, int]]:
        if key == "achieved_goal":
            term = self._achieved
            if term and term not in (self._config.inputs or {}):
                read = self._own(term)
                if read is None:
                    self._missing.append(f"achieved_goal ({term})")
                    return []
                return [(read, k) for k in range(size)]
            return self._from_topic(key, (self._config.inputs or {}).get(key, ""), size)
        if self._config.goal:
            if len(self._config.goal) != size:
                raise ValueError(f"goal has {len(self._config.goal)} numbers, the policy's has {size}")
            value = np.array(self._config.goal, dtype=np.float64)
            read = _constant(value)
            return [(read, k) for k in range(size)]
        return self._from_topic(key, self._config.goal_topic, size, max_age_s=0.0)

    def _entry(self, name: str, sizes: Mapping[str, int]) -> tuple[Read, int]:
        match = _ENTRY.fullmatch(name)
        term, entry = (match["term"], match["entry"]) if match else (name, "0")
        topics = self._config.inputs or {}
        if term in topics:
            return self._from_topic(term, topics[term], sizes[term])[int(entry)]
        read = self._own(_ALIASES.get(term, term))
        if read is None:
            self._missing.append(term)
            return _constant(np.zeros(1)), 0
        if _ALIASES.get(term, term) not in _BY_JOINT:
            return read, int(entry)
        joint = self._joint(entry)
        if joint is None:
            self._missing.append(name)
            return read, 0
        return read, self._robot_joints.index(joint)

    def _joint(self, entry: str) -> str | None:
        """Return the joint that an entry is of: by its name, or by its number in the policy's order."""
        if not entry.isdecimal():
            return entry if entry in self._robot_joints else None
        return self._order[int(entry)] if int(entry) < len(self._order) else None

    def _own(self, term: str) -> Read | None:
        """Return how a term is read from the robot itself, None if it is not; equal terms, equal readers."""
        if term not in self._reads:
            self._reads[term] = self._reader(term)
        return self._reads[term]

    def _reader(self, term: str) -> Read | None:
        forward = self._forward
        match term:
            case "joint_pos":
                return lambda state: state.joint_pos
            case "joint_vel":
                return lambda state: state.joint_vel
            case "joint_effort":
                return lambda state: state.joint_effort
            case "target":
                return lambda state: self._decoder.target(self._robot_joints)
            case "ee_pos" if forward is not None:
                return lambda state: forward(state.joint_pos).position_m
            case "opening" if self._has_gripper:
                return lambda state: np.array([state.gripper.width_m if state.gripper else np.nan])
        return None

    def _from_topic(
        self, name: str, topic: str, size: int, max_age_s: float | None = None
    ) -> list[tuple[Read, int]]:
        if not topic:
            self._missing.append(name)
            return []
        if name not in self._inputs:
            age_s = self._config.max_input_age_s if max_age_s is None else max_age_s
            given = self._inputs[name] = Input(self._bus, name, topic, size, age_s)
            self._reads[f"input {name}"] = lambda state: (
                given.value if given.value is not None else np.full(size, np.nan)
            )
        read = self._reads[f"input {name}"]
        assert read is not None
        return [(read, k) for k in range(size)]


def _lacks(missing: Sequence[str]) -> str:
    """Return what the policy reads and the robot does not have, and what to do about it."""
    goal = "; give the goal by observe.goal=[...] or observe.goal_topic" if "desired_goal" in missing else ""
    others = [name for name in missing if name != "desired_goal"]
    topics = f"; publish it (Float64MultiArray) and say +observe.inputs.{others[0]}=TOPIC" if others else ""
    return f"the policy reads what this robot does not have: {', '.join(missing)}{goal}{topics}"


def _constant(value: FloatArray) -> Read:
    return lambda state: value


def _term_sizes(spec: PolicySpec) -> dict[str, int]:
    """Return how many entries each term has."""
    sizes: dict[str, int] = {}
    for key, array in spec.obs.items():
        for name in array.names if key not in _GOALS else ():
            match = _ENTRY.fullmatch(name)
            term = match["term"] if match else name
            sizes[term] = sizes.get(term, 0) + 1
    return sizes


def _check_joints(order: Sequence[str], joint_names: Sequence[str]) -> None:
    unknown = [name for name in order if name not in joint_names]
    if unknown:
        raise ValueError(
            f"the policy was trained on a joint {unknown[0]!r}, which this robot does not have; its joints: "
            f"{', '.join(joint_names)}"
        )
