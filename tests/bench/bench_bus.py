"""The DDS transport on loopback: codecs, round trips between two processes, camera images.

python tests/bench/bench_bus.py [--round-trips N] [--seconds S] [--json FILE]

Times a codec, then a round trip, first with the binding's own (stock) codec and then with ours, in one
run: the ratio is what carries over to other machines. Then streams 640x480 RGB at 30 and 60 Hz from
another process and counts what is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from cyclonedds.core import ReadCondition, WaitSet  # noqa: E402
from cyclonedds.domain import DomainParticipant  # noqa: E402
from cyclonedds.internal import InvalidSample  # noqa: E402
from cyclonedds.pub import DataWriter  # noqa: E402
from cyclonedds.sub import DataReader  # noqa: E402
from cyclonedds.topic import Topic  # noqa: E402
from cyclonedds.util import duration  # noqa: E402

from hardware.bus import COMMAND, SENSOR, BusConfig  # noqa: E402
from hardware.dds.codec import Codec  # noqa: E402
from hardware.dds.endpoints import ANY_SAMPLE, dds_qos  # noqa: E402
from hardware.dds.idl import idl_class  # noqa: E402
from hardware.dds.types import types_of  # noqa: E402
from hardware.transports import open_bus  # noqa: E402

JOINTS = "sensor_msgs/msg/JointState"
IMAGE = "sensor_msgs/msg/Image"
STRING = "std_msgs/msg/String"
NUM_JOINTS = 16
WIDTH, HEIGHT = 640, 480
WARM_UP = 200


def joint_state(make: Any) -> Any:
    """Return a JointState of 16 joints, full."""
    values = np.linspace(-1.0, 1.0, NUM_JOINTS)
    names = [f"joint_{i}" for i in range(NUM_JOINTS)]
    return make(JOINTS, name=names, position=values, velocity=values, effort=values)


def image(make: Any, stamp: int = 0) -> Any:
    """Return an image; `stamp` travels in its header."""
    data = np.arange(WIDTH * HEIGHT * 3, dtype=np.uint8)
    header = {"stamp": {"sec": stamp}, "frame_id": "camera"}
    fields = {"height": HEIGHT, "width": WIDTH, "encoding": "rgb8", "step": WIDTH * 3, "data": data}
    return make(IMAGE, header=header, **fields)


def make(type_name: str, **fields: Any) -> Any:
    """Make a message."""
    return types_of("jazzy").message_class(type_name)(**fields)


def as_stock(sample: bytes, type_name: str) -> Any:
    """Return a sample as the binding's own object, its numbers in lists."""
    return idl_class(types_of("jazzy"), type_name).deserialize(sample)


def percentiles(times_s: list[float]) -> dict[str, float]:
    """Return p50 and p99 [us]."""
    p50, p99 = np.percentile(np.asarray(times_s) * 1e6, [50, 99])
    return {"p50_us": round(float(p50), 1), "p99_us": round(float(p99), 1)}


# ---- codecs ------------------------------------------------------------------------------------


def timed(function: Any, calls: int) -> float:
    """Return the median time of a call [us]."""
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return float(np.median(times) * 1e6)


def codecs() -> dict[str, Any]:
    """Time encoding and decoding, stock and ours."""
    types, found = types_of("jazzy"), {}
    for name, message, calls in (
        ("joint_state_16", joint_state(make), 2000),
        ("image_640x480", image(make), 20),
    ):
        codec = Codec(types, message.TYPE)
        sample = bytes(codec.encode(message))
        stock, cls = as_stock(sample, message.TYPE), idl_class(types, message.TYPE)
        rows = {
            "encode": (
                lambda s=stock: s.serialize(use_version_2=False),
                lambda c=codec, m=message: c.encode(m),
            ),
            "decode": (lambda c=cls, b=sample: c.deserialize(b), lambda c=codec, b=sample: c.decode(b)),
        }
        for what, (slow, fast) in rows.items():
            stock_us, ours_us = timed(slow, calls), timed(fast, calls)
            found[f"{name}_{what}"] = {
                "stock_us": round(stock_us, 1),
                "ours_us": round(ours_us, 1),
                "ratio": round(stock_us / ours_us, 1),
            }
    return found


# ---- round trips -------------------------------------------------------------------------------


class Stock:
    """A reader and a writer of the binding's own, with its codec."""

    def __init__(self, domain: int, heard: str, said: str) -> None:
        """Open them."""
        self.participant = DomainParticipant(domain)
        cls = idl_class(types_of("jazzy"), JOINTS)
        topics = [Topic(self.participant, f"rt{name}", cls) for name in (heard, said)]
        self.reader = DataReader(self.participant, topics[0], dds_qos(COMMAND, "", is_writer=False))
        self.writer = DataWriter(self.participant, topics[1], dds_qos(COMMAND, "", is_writer=True))
        self._waitset = WaitSet(self.participant)
        self._waitset.attach(ReadCondition(self.reader, ANY_SAMPLE))

    def take(self, timeout_s: float) -> list[Any]:
        """Return what arrives within a time."""
        samples = self.reader.take(10)
        if not samples:
            self._waitset.wait(duration(seconds=timeout_s))
            samples = self.reader.take(10)
        return [sample for sample in samples if not isinstance(sample, InvalidSample)]

    def is_matched(self) -> bool:
        """Whether reader and writer have their counterparts."""
        return bool(self.reader.get_matched_publications() and self.writer.get_matched_subscriptions())


def until(condition: Any) -> None:
    """Wait for a condition, 20 s at most."""
    end_s = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError("the other process does not answer")
        time.sleep(0.005)


def stock_round_trips(domain: int, count: int) -> list[float]:
    """Time round trips with the stock codec [s]."""
    end = Stock(domain, "/stock_pong", "/stock_ping")
    until(end.is_matched)
    message, times = as_stock(bytes(Codec(types_of("jazzy"), JOINTS).encode(joint_state(make))), JOINTS), []
    for _ in range(count + WARM_UP):
        began = time.perf_counter()
        end.writer.write(message)
        if not end.take(5.0):
            raise TimeoutError("a round trip was lost")
        times.append(time.perf_counter() - began)
    return times[WARM_UP:]


def our_round_trips(bus: Any, count: int) -> list[float]:
    """Time round trips with our codec [s]: from `publish` to the callback."""
    times, done = [], threading.Event()
    message = joint_state(make)
    began = [0.0]

    def on_pong(reply: Any, info: Any) -> None:
        times.append(time.perf_counter() - began[0])
        if len(times) == count + WARM_UP:
            done.set()
            return
        began[0] = time.perf_counter()
        publisher.publish(message)

    publisher = bus.publisher(JOINTS, "/ping", COMMAND)
    subscription = bus.subscribe(JOINTS, "/pong", on_pong, COMMAND, group="pong")
    until(lambda: publisher.num_subscribers and subscription.num_publishers)
    began[0] = time.perf_counter()
    publisher.publish(message)
    if not done.wait(60.0):
        raise TimeoutError("a round trip was lost")
    subscription.close()
    return times[WARM_UP:]


# ---- images ------------------------------------------------------------------------------------


def stream(bus: Any, rate_hz: int, seconds: float) -> dict[str, Any]:
    """Have the other process publish images, and count those that arrive."""
    seen: list[int] = []
    latency: list[float] = []

    def on_image(message: Any, info: Any) -> None:
        seen.append(message.header.stamp.sec)
        latency.append((time.time_ns() - info.source_ns) * 1e-9)

    subscription = bus.subscribe(IMAGE, f"/image_{rate_hz}", on_image, SENSOR, group=f"image_{rate_hz}")
    until(lambda: subscription.num_publishers)
    command = bus.publisher(STRING, "/stream")
    until(lambda: command.num_subscribers)
    num_sent = int(rate_hz * seconds)
    command.publish(make(STRING, data=f"{rate_hz} {num_sent}"))
    until(lambda: bool(seen))
    end_s = time.monotonic() + seconds + 5
    while len(seen) < num_sent and time.monotonic() < end_s:
        time.sleep(0.05)
    subscription.close()
    return {
        "sent": num_sent,
        "received": len(set(seen)),
        "lost": num_sent - len(set(seen)),
        **percentiles(latency),
    }


def peer(domain: int) -> None:
    """Echo both ways and stream on request until standard input ends."""
    bus = open_bus("dds", BusConfig(node_name="bench_peer", domain_id=domain))
    echo = bus.publisher(JOINTS, "/pong", COMMAND)
    bus.subscribe(JOINTS, "/ping", lambda message, info: echo.publish(message), COMMAND)
    images = {rate_hz: bus.publisher(IMAGE, f"/image_{rate_hz}", SENSOR) for rate_hz in (30, 60)}

    def on_stream(message: Any, info: Any) -> None:
        rate_hz, count = (int(word) for word in message.data.split())
        until(lambda: images[rate_hz].num_subscribers)
        frame = image(make)
        due_s = time.monotonic()
        for i in range(count):
            frame.header.stamp.sec = i
            images[rate_hz].publish(frame)
            due_s += 1 / rate_hz
            time.sleep(max(0.0, due_s - time.monotonic()))

    bus.subscribe(STRING, "/stream", on_stream, group="stream")
    bus.start()
    ending = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ending.set()), daemon=True).start()
    stock = Stock(domain, "/stock_ping", "/stock_pong")
    while not ending.is_set():
        for sample in stock.take(0.05):
            stock.writer.write(sample)
    stock.participant.__del__()
    bus.close()


def main(round_trips: int, seconds: float) -> dict[str, Any]:
    """Run all and return the figures."""
    domain = random.SystemRandom().randrange(20, 200)
    figures: dict[str, Any] = {"cores": os.cpu_count(), "codecs": codecs()}
    command = [sys.executable, __file__, "--peer", str(domain)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE)
    bus = open_bus("dds", BusConfig(node_name="bench", domain_id=domain))
    try:
        bus.start()
        stock = percentiles(stock_round_trips(domain, round_trips))
        ours = percentiles(our_round_trips(bus, round_trips))
        ratio = round(stock["p50_us"] / ours["p50_us"], 2)
        figures["round_trip_joint_state_16"] = {"stock": stock, "ours": ours, "ratio_p50": ratio}
        for rate_hz in (30, 60):
            figures[f"image_640x480_{rate_hz}_hz"] = stream(bus, rate_hz, seconds)
    finally:
        bus.close()
        assert other.stdin is not None
        other.stdin.close()
        other.wait(20)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The DDS transport on loopback.")
    parser.add_argument("--round-trips", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer is not None:
        peer(arguments.peer)
    else:
        results = main(arguments.round_trips, arguments.seconds)
        text = json.dumps(results, indent=2)
        print(text)
        if arguments.json:
            arguments.json.write_text(text + "\n")
