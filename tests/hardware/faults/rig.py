"""A rig that injects faults between a robot and `habilis deploy`, each a process of its own, over real DDS.

The robot's joint states go through this process, which passes them on, or not, or changes them; it records
every command that reaches the robot.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from hardware.bus import SENSOR, Bus, BusConfig, Message, MessageInfo, QoS
from hardware.definitions import Definitions
from hardware.recording.bags import read_bag
from hardware.transports import open_bus
from tests.hardware.onnx_policies import write_policy
from tests.hardware.processes import Process, new_domain, served_robot

DT_S = 0.01
NAMES = ("lift", "turn")
LOWER, UPPER = np.array([0.0, -3.0]), np.array([0.5, 3.0])
VELOCITY, ACCELERATION = np.array([0.2, 1.0]), np.array([1.0, 5.0])
COMMANDS = "lift_controller/commands"
PATIENT_S = 0.5
DEFAULT_S = 0.1
"""Age at which joint states are stale: of a busy machine, and the default."""
FILTER_S = 0.2
"""Age of joint states at which the safety filter sends nothing new (`robot.safety.max_state_age_s`)."""
CAMERA_S = 0.5
"""Age at which a camera is silent (`watchdog.max_camera_age_s`)."""
ON_THE_WAY = 5
"""Control ticks allowed for what is under way when a fault begins."""


def robot_file(folder: Path, kind: str = "position", age_s: float = PATIENT_S) -> Path:
    """A robot of two joints without a model; not real, so that nobody need confirm."""
    channel = {"_target_": "hardware.interface.Channel", "kind": kind, "topic": COMMANDS}
    watchdog = {"_target_": "hardware.interface.settings.WatchdogConfig"}
    if age_s != DEFAULT_S:
        watchdog |= {"max_state_age_s": age_s, "max_stamp_age_s": 2.0, "max_stamp_lead_s": 2.0}
    robot = {
        "name": "mine",
        "interface": {
            "_target_": "hardware.interface.RobotInterface",
            "name": "mine",
            "is_real": False,
            "joints": {
                "_target_": "hardware.interface.Joints",
                "names": list(NAMES),
                "lower": LOWER.tolist(),
                "upper": UPPER.tolist(),
                "velocity": VELOCITY.tolist(),
                "acceleration": ACCELERATION.tolist(),
                "jerk": [10.0, 50.0],
                "effort": [100.0, 10.0],
            },
            "states": [{"_target_": "hardware.interface.StateSource"}],
            "channels": [channel | ({"kp": 5.0} if kind == "velocity" else {})],
            "watchdog": watchdog,
            "sources": {"limits": "made up here"},
        },
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(robot))
    return path


Change = Callable[[Message], list[Message]]


@dataclass
class Rig:
    """What a scenario plays with.

    Attributes:
        domain: ROS domain.
        bus: The node of this process.
        policy: `habilis deploy`.
        robot: `habilis robot`.
    """

    domain: int
    bus: Bus
    policy: Process
    robot: Process
    commands: list[tuple[float, np.ndarray]] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)
    state_times: list[float] = field(default_factory=list)
    change: Change = lambda message: [message]
    mark: int = 0
    num_rearmed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        self._out = self.bus.publisher("sensor_msgs/msg/JointState", "/joint_states", SENSOR)
        self.bus.subscribe(
            "sensor_msgs/msg/JointState", "/raw/joint_states", self._pass, SENSOR, group="relay"
        )
        deep = QoS(depth=5000)
        self.bus.subscribe("std_msgs/msg/Float64MultiArray", COMMANDS, self._hear, deep, group="commands")

    def _pass(self, message: Message, info: MessageInfo) -> None:
        self.states.append(np.array(message.position))
        self.state_times.append(info.received_s)
        for changed in self.change(message):
            self._out.publish(changed)

    def _hear(self, message: Message, info: MessageInfo) -> None:
        with self._lock:
            self.commands.append((info.received_s, np.array(message.data)))

    def stream(self) -> tuple[np.ndarray, np.ndarray]:
        """Times of receipt [s] and positions of all commands so far."""
        with self._lock:
            heard = list(self.commands)
        return np.array([t for t, _ in heard]), np.array([p for _, p in heard]).reshape(-1, 2)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        end_s = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end_s, f"not within {seconds} s: {what}\n{self.policy.text}"
            time.sleep(0.01)

    def moves(self, since_s: float, least: float = 0.01) -> bool:
        """Whether the commands have moved a joint by this much since a moment."""
        times, positions = self.stream()
        recent = positions[times > since_s]
        return len(recent) > 1 and bool((np.ptp(recent, axis=0) > least).any())

    def until_moving(self) -> None:
        """Wait until it moves; where a busy machine was late before the fault, reset and arm again."""
        end_s, began_s = time.monotonic() + 60.0, time.monotonic()
        while not self.moves(began_s, 0.02):
            assert time.monotonic() < end_s, f"it does not move\n{self.policy.text}"
            if "habilis.guard: mine: fault" in self.policy.text[self.mark :]:
                self.mark = len(self.policy.text)
                self.num_rearmed += 1
                self.until(lambda: self.ask("reset")[0], "it can be reset")
                self.ask("arm")
                began_s = time.monotonic()
            time.sleep(0.01)
        self.mark = len(self.policy.text)

    def says(self, what: str) -> None:
        """Wait until the policy's process says something after it moved."""
        self.until(lambda: what in self.policy.text[self.mark :], f"it says {what!r}")

    def travel(self, since_s: float) -> tuple[float, float]:
        """Return how far the joints went since a moment [rad], and how long after it they last moved [s]."""
        times = np.array(self.state_times)
        states = np.array(self.states[: len(times)])
        recent, at = states[times > since_s], times[times > since_s]
        if len(recent) < 2:
            return 0.0, 0.0
        moved = np.flatnonzero(np.abs(np.diff(recent, axis=0)).max(axis=1) > 1e-6)
        last_s = float(at[moved[-1] + 1] - since_s) if len(moved) else 0.0
        return float(np.abs(recent - recent[0]).max()), last_s

    def rests_after(self, began_s: float, quiet_s: float = 1.0) -> float:
        """Wait until the commands have rested for a while; return when the last one changed [s]."""

        def last_change() -> float:
            times, positions = self.stream()
            changed = np.flatnonzero(np.abs(np.diff(positions, axis=0)).max(axis=1) > 1e-9)
            return float(times[changed[-1] + 1]) if len(changed) else began_s

        self.until(lambda: time.monotonic() - last_change() > quiet_s, "the commands rest")
        return last_change() - began_s

    def check_ticks(self, began_s: float, age_s: float) -> None:
        """Assert that the last command that differs came within the watchdog's time, a period and braking.

        Control ticks are counted, not seconds: a busy machine sends them late, but sends no more of them.

        Args:
            began_s: When the fault began [s], monotonic.
            age_s: Time after which it must be noticed [s].
        """
        times, positions = self.stream()
        ticks = np.diff(positions, axis=0)
        before = np.flatnonzero(times[1:] <= began_s)
        speed = np.abs(ticks[before[-1]]) / DT_S if len(before) else VELOCITY
        braking = int(np.ceil((speed / (ACCELERATION * DT_S)).max()))
        after = np.abs(ticks[times[1:] > began_s]).max(axis=1, initial=0.0) > 1e-9
        moved = int(np.flatnonzero(after)[-1]) + 1 if after.any() else 0
        allowed = round(age_s / DT_S) + 1 + braking + ON_THE_WAY
        assert moved <= allowed, f"{moved} control ticks until it rested, allowed {allowed}"

    def ask(self, name: str) -> tuple[bool, str]:
        """Call a service of the policy's node."""
        client = self.bus.client("std_srvs/srv/Trigger", f"habilis/{name}")
        try:
            assert client.wait(20.0)
            answer = client.call(self.bus.message("std_srvs/srv/Trigger_Request"), 20.0)
            return answer.success, answer.message
        finally:
            client.close()


def check_sent(folder: Path) -> None:
    """Nothing unsafe was ever sent, by the trial's own recording: limits of position, speed, acceleration."""
    definitions = Definitions("jazzy")
    (bag,) = folder.glob("*/bag")
    sent = [m for m in read_bag(bag) if m.topic == "/habilis/safe_action"]
    positions = np.array([definitions.decode(m.type_name, m.data).position for m in sent]).reshape(-1, 2)
    check_positions(np.array([m.stamp_ns for m in sent]) / 1e9, positions)


def check_heard(found: Rig, kind: str) -> None:
    """Nor did anything unsafe reach the robot, braking included, by what was heard on its topic."""
    times, values = found.stream()
    if kind == "velocity":
        assert np.isfinite(values).all() and (np.abs(values) <= VELOCITY + 1e-9).all()
    else:
        check_positions(times, values)


def check_positions(times_s: np.ndarray, positions: np.ndarray) -> None:
    """Assert that setpoints (n, 2), sent at times (n,), keep to the limits."""
    if len(positions) < 3:  # it never moved
        return
    assert np.isfinite(positions).all()
    assert (positions >= LOWER - 1e-9).all() and (positions <= UPPER + 1e-9).all()
    ticks = np.diff(positions, axis=0)
    assert (np.abs(ticks) <= VELOCITY * DT_S * 1.01 + 1e-9).all(), np.abs(ticks).max(axis=0)
    # After a pause the stream begins anew, at rest, as the robot is by then.
    pause = np.diff(times_s) > 2 * DT_S
    steep = np.abs(np.diff(ticks, axis=0))[~(pause[1:] | pause[:-1])]
    assert (steep <= ACCELERATION * DT_S**2 * 1.01 + 1e-9).all(), steep.max(axis=0, initial=0.0)


@contextmanager
def rig(
    *deploy_words: str,
    policy: Path | None = None,
    kind: str = "position",
    age_s: float = PATIENT_S,
    robot_words: tuple[str, ...] = (),
) -> Iterator[Rig]:
    """A robot, a policy that moves both joints for about five seconds, and what is between them."""
    domain = new_domain()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mine = robot_file(folder, kind, age_s)
        policy = policy or write_policy(folder / "policy.onnx", NAMES, bias=[0.1, -0.5])
        bus = open_bus("dds", BusConfig(node_name="rig", domain_id=domain))
        words = (f"robot={mine}", "env=stand", "transport=dds", "bus.use_sim_time=false", *robot_words)
        try:
            with served_robot(domain, *words, "++bus.remap={/joint_states: /raw/joint_states}") as robot:
                process = Process(
                    "deploy",
                    "transport=dds",
                    f"robot={mine}",
                    f"policy={policy}",
                    "action.kind=steps",
                    "action.step=0.02",
                    f"run_dir={folder}/trials",
                    "runner.max_late=500",  # a busy machine is slow; this is no test of it
                    *deploy_words,
                    domain=domain,
                )
                found = Rig(domain, bus, process, robot)
                found.open()
                bus.start()
                try:
                    yield found
                finally:
                    process.close()
                check_sent(folder / "trials")
                check_heard(found, kind)
        finally:
            bus.close()
