"""What is broken, one scenario after another: each returns what to say of it, or fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from hardware.bus import RELIABLE, SENSOR, Message, QoS
from tests.hardware.faults.rig import (
    CAMERA_S,
    COMMANDS,
    DEFAULT_S,
    DT_S,
    FILTER_S,
    NAMES,
    PATIENT_S,
    Change,
    Rig,
    rig,
)
from tests.hardware.processes import ROOT


def _fault(
    found: Rig, change: Change, says: str, began_s: float | None = None, age_s: float = FILTER_S
) -> str:
    """A fault of the joint states, after which nothing moves until it was reset and armed again.

    It must be noticed within `age_s` [s].
    """
    if began_s is None:
        found.until_moving()
        began_s = time.monotonic()
        found.change = change
    rest_s = found.rests_after(began_s)
    found.check_ticks(began_s, age_s)
    found.says(says)
    # The cause is over; it must not go on by itself.
    found.change = lambda message: [message]
    over_s = time.monotonic()
    time.sleep(1.5)
    assert not found.moves(over_s, 1e-6), "it went on by itself"
    refused, why = found.ask("arm")
    assert not refused, f"armed without a reset: {why}"
    found.until(lambda: found.ask("reset")[0], "it can be reset")
    assert not found.moves(over_s, 1e-6), "a reset moved it"
    assert found.ask("arm")[0]
    found.until(lambda: found.moves(over_s, 0.005), "it moves again")
    return f"braked and held after {rest_s * 1000:.0f} ms; fault latched until reset and armed again"


def _goes_on(found: Rig, change: Change, seconds: float = 1.5) -> str:
    """Something that must not stop it."""
    found.until_moving()
    began_s = time.monotonic()
    found.change = change
    time.sleep(seconds)
    found.change = lambda message: [message]
    assert found.moves(began_s, 0.01)
    assert "fault" not in found.policy.text, found.policy.text
    return "went on"


def silence(seconds: float, age_s: float) -> str:
    """Joint states are silent for a time; a fault if that is longer than they may be old.

    At the limit itself either may be: that is told, and the latter held to what is asked of a fault.
    """
    with rig(age_s=age_s) as found:
        found.until_moving()
        began_s = time.monotonic()

        def change(message: Message) -> list[Message]:
            return [] if time.monotonic() < began_s + seconds else [message]

        found.change = change
        if seconds < 0.5 * age_s:
            return _goes_on(found, change)
        time.sleep(seconds + 0.5)
        if "stale_sta" not in found.policy.text[found.mark :]:
            assert seconds <= age_s + DT_S, "it went on"
            assert found.moves(began_s + seconds, 0.005)
            return "went on"
        return _fault(found, change, "stale_sta", began_s, min(age_s, FILTER_S))


def _set(found: Rig, **fields: object) -> Change:
    def change(message: Message) -> list[Message]:
        for name, value in fields.items():
            setattr(message, name, value)
        return [message]

    return change


def not_a_number() -> str:
    with rig() as found:
        return _fault(found, _set(found, position=[float("nan"), 0.0]), "fault", age_s=0.0)


def wrong_size() -> str:
    with rig() as found:
        return _fault(found, _set(found, position=[0.1], velocity=[], effort=[]), "fault", age_s=0.0)


def renamed_joint() -> str:
    with rig() as found:
        return _fault(found, _set(found, name=["lift", "turns"]), "stale_state")


def duplicated() -> str:
    with rig() as found:
        return _goes_on(found, lambda message: [message, message])


def reordered() -> str:
    """Every second message comes after its successor."""
    with rig() as found:
        kept: list[Message] = []

        def change(message: Message) -> list[Message]:
            if not kept:
                kept.append(message)
                return []
            return [message, kept.pop()]

        return _goes_on(found, change)


def flooded() -> str:
    with rig() as found:
        return _goes_on(found, lambda message: [message] * 10)


def clock_jump(seconds: float) -> str:
    with rig() as found:

        def change(message: Message) -> list[Message]:
            message.header.stamp.sec = int(message.header.stamp.sec + seconds)
            return [message]

        return _fault(found, change, "fault", age_s=0.0)


def transport_restart() -> str:
    """The robot's side leaves the network and joins again, as another publisher."""
    with rig() as found:
        found.until_moving()
        began_s = time.monotonic()
        found.change = lambda message: []
        found._out.close()
        rest_s = found.rests_after(began_s)
        found.check_ticks(began_s, FILTER_S)
        found.policy.until("stale_state")
        found._out = found.bus.publisher("sensor_msgs/msg/JointState", "/joint_states", SENSOR)
        found.change = lambda message: [message]
        over_s = time.monotonic()
        time.sleep(1.5)
        assert not found.moves(over_s, 1e-6), "it went on by itself"
        found.until(lambda: found.ask("reset")[0], "it can be reset")
        assert found.ask("arm")[0]
        found.until(lambda: found.moves(over_s, 0.005), "it moves again")
        return f"braked and held after {rest_s * 1000:.0f} ms; found again, and armed by hand"


def policy_killed() -> str:
    with rig() as found:
        found.until_moving()
        began_s = time.monotonic()
        os.kill(found.policy.popen.pid, signal.SIGKILL)
        found.policy.popen.wait(10)
        rest_s = found.rests_after(began_s)
        last = found.stream()[1][-1]
        found.until(lambda: bool(np.abs(found.states[-1] - last).max() < 0.01), "it rests where it was told")
        return f"the last command came {max(rest_s, 0) * 1000:.0f} ms later; the position controller holds it"


def _kill_commander(found: Rig) -> float:
    """Kill the policy in motion; return when."""
    found.until(lambda: found.travel(time.monotonic() - 0.3)[0] > 0.005, "the joints move")
    began_s = time.monotonic()
    os.kill(found.policy.popen.pid, signal.SIGKILL)
    found.policy.popen.wait(10)
    return began_s


def velocity_with_a_timeout() -> str:
    """The commander of a velocity controller dies; the robot's side has a time-out, as it should have."""
    with rig(kind="velocity", robot_words=("server.velocity_timeout_s=0.1",)) as found:
        began_s = _kill_commander(found)
        found.until(lambda: time.monotonic() - began_s > found.travel(began_s)[1] + 1.0, "it rests")
        way, rest_s = found.travel(began_s)
        assert way < 0.3
        return f"nothing more; the robot's own time-out (0.1 s): at rest after {rest_s * 1e3:.0f} ms"


def velocity_without_a_timeout() -> str:
    """The same, with a controller that keeps the last command, as ros2_control's does: nobody stops it."""
    with rig(kind="velocity", robot_words=("server.velocity_timeout_s=0",)) as found:
        began_s = _kill_commander(found)
        time.sleep(1.5)
        way, last_s = found.travel(began_s)
        assert last_s > 1.0, "it came to rest, so something stopped it"
        return f"nothing more: **the robot went on**, {way:.2f} rad in {last_s:.1f} s, and nothing stops it"


def velocity_with_a_guard() -> str:
    """The same, with the guard in a process of its own."""
    with rig(kind="velocity", robot_words=("server.velocity_timeout_s=0",)) as found:
        words = ["-m", "hardware.nodes.zero_guard", "--transport", "dds", "--domain", str(found.domain)]
        command = [sys.executable, *words, "--silence", "0.3", f"{COMMANDS}:2"]
        guard = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        try:
            assert guard.stderr is not None
            line = guard.stderr.readline()
            assert "guards" in line, line
            time.sleep(1.0)  # it hears commands
            began_s = _kill_commander(found)
            found.until(lambda: time.monotonic() - began_s > found.travel(began_s)[1] + 1.0, "it rests")
            rest_s = found.travel(began_s)[1]
            assert not found.stream()[1][-1].any(), "the last command is not zero"
            return f"zeros by `hardware.nodes.zero_guard` (0.3 s): at rest after {rest_s * 1e3:.0f} ms"
        finally:
            guard.terminate()
            guard.wait(10)


def velocity_ended_in_order() -> str:
    """SIGTERM: zeros on the way out."""
    with rig(kind="velocity", robot_words=("server.velocity_timeout_s=0",)) as found:
        found.until(lambda: found.travel(time.monotonic() - 0.3)[0] > 0.005, "the joints move")
        began_s = time.monotonic()
        found.policy.popen.terminate()
        found.until(lambda: time.monotonic() - began_s > found.travel(began_s)[1] + 1.0, "it rests")
        assert not found.stream()[1][-1].any(), "the last command is not zero"
        return f"zeros on the way out: at rest after {found.travel(began_s)[1] * 1e3:.0f} ms"


def robot_killed() -> str:
    with rig("runner.on_fault=exit") as found:
        found.until_moving()
        began_s = time.monotonic()
        os.kill(found.robot.popen.pid, signal.SIGKILL)
        rest_s = found.rests_after(began_s)
        found.check_ticks(began_s, FILTER_S)
        assert found.policy.wait(30) == 1
        assert "stale_state" in found.policy.text
        return f"braked after {rest_s * 1000:.0f} ms, ended with exit code 1"


def camera_killed() -> str:
    code = """
import sys, time
from hardware.recording.bags import read_bag
from hardware.bus import SENSOR, BusConfig
from hardware.transports import open_bus
bus = open_bus("dds", BusConfig(node_name="camera", domain_id=int(sys.argv[1])))
out = bus.publisher("sensor_msgs/msg/CameraInfo", "/camera/camera_info", SENSOR)
bus.start()
while True:
    now = bus.now_ns()
    stamp = {"sec": now // 10**9, "nanosec": now % 10**9}
    out.publish(bus.message("sensor_msgs/msg/CameraInfo", header={"stamp": stamp}))
    time.sleep(0.05)
"""
    with rig("watch_cameras=[/camera/camera_info]", "runner.arm=false") as found:
        heard = threading.Event()
        found.bus.subscribe(
            "sensor_msgs/msg/CameraInfo", "/camera/camera_info", lambda m, i: heard.set(), SENSOR
        )
        camera = subprocess.Popen([sys.executable, "-c", code, str(found.domain)], cwd=ROOT)
        try:
            assert heard.wait(60)
            found.policy.until("services")
            found.until(lambda: found.ask("reset")[0] and found.ask("arm")[0], "it can be armed")
            found.until_moving()
            began_s = time.monotonic()
            camera.kill()
            rest_s = found.rests_after(began_s)
            found.check_ticks(began_s, CAMERA_S)
            found.policy.until("stale_camera")
            return f"braked and held after {rest_s * 1000:.0f} ms"
        finally:
            camera.kill()
            camera.wait(10)


def slow_inference() -> str:
    """A policy that takes longer than its deadline."""
    with tempfile.TemporaryDirectory() as name:
        torch_policy = _slow_policy(Path(name) / "slow.onnx")
        with rig("runner.deadline_s=0.002", "runner.max_late=5", policy=torch_policy) as found:
            found.policy.until("came after the deadline")
            found.rests_after(time.monotonic(), 0.5)
            times, positions = found.stream()
            if len(times) > 1:
                assert (np.ptp(positions, axis=0) < 0.05).all()
            found.policy.until("mine: fault")
            return "late actions were not sent; a fault after five in a row"


def _slow_policy(path: Path) -> Path:
    import torch

    from policies.export import to_onnx
    from policies.networks import MlpNet
    from policies.policy import ArraySpec, PolicySpec

    obs = tuple(f"joint_pos.{name}" for name in NAMES)
    spec = PolicySpec(
        {"observation": ArraySpec((2,), obs)}, ArraySpec((2,), NAMES, low=-1, high=1), None, 0.02
    )
    net = MlpNet(("observation",), [2, 4096, 4096, 4096, 2], squash="clip")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.1)
    path.write_bytes(to_onnx(net, spec, {}))
    return path


def two_commanders(qos: QoS) -> str:
    """Another node publishes commands, too."""
    with rig() as found:
        found.until_moving()
        began_s = time.monotonic()
        other = found.bus.publisher("std_msgs/msg/Float64MultiArray", COMMANDS, qos)
        try:
            rest_s = found.rests_after(began_s)
            found.check_ticks(began_s, FILTER_S)
            found.policy.until("commander")
            refused, _ = found.ask("reset")
            assert not refused, "it was reset while the other is there"
        finally:
            other.close()
        return f"braked and held after {rest_s * 1000:.0f} ms; no reset while the other is there"


SILENCES = {
    f"joint states silent for {seconds * 1000:.0f} ms, limit {age_s * 1000:.0f} ms": (seconds, age_s)
    for age_s in (PATIENT_S, DEFAULT_S)
    for seconds in (0.1, 0.2, 0.5, 1.0, 2.0)
}
SCENARIOS: dict[str, Callable[[], str]] = {
    **{name: partial(silence, *numbers) for name, numbers in SILENCES.items()},
    "joint states are no numbers": not_a_number,
    "joint states of the wrong size": wrong_size,
    "a joint has another name": renamed_joint,
    "joint states twice": duplicated,
    "joint states out of order": reordered,
    "ten times as many joint states": flooded,
    "the robot's clock jumps back by 10 s": lambda: clock_jump(-10),
    "the robot's clock jumps ahead by 10 s": lambda: clock_jump(10),
    "the robot leaves the network and comes back": transport_restart,
    "kill -9 of the policy": policy_killed,
    "kill -9 of the policy, velocity controller with a time-out": velocity_with_a_timeout,
    "kill -9 of the policy, velocity controller without one": velocity_without_a_timeout,
    "kill -9 of the policy, velocity controller without one, zero guard": velocity_with_a_guard,
    "SIGTERM of the policy, velocity controller without a time-out": velocity_ended_in_order,
    "kill -9 of the robot": robot_killed,
    "kill -9 of the camera": camera_killed,
    "slow inference": slow_inference,
    "a second commander": partial(two_commanders, RELIABLE),
    "a second commander that publishes best effort": partial(two_commanders, SENSOR),
}
