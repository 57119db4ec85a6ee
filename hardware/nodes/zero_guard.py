"""A process of its own that sets velocity and effort controllers to zero when their commander dies.

ros2_control's forward velocity and effort controllers keep the last command for ever. Whoever commands them
sends zeros on every way out, but `kill -9` leaves no way out; then this process, if it lives, does.

    python -m hardware.nodes.zero_guard --silence 0.2 forward_velocity_controller/commands:6

While it hears commands, or the last one was zero, it sends nothing, and nobody finds a second commander. It
is no replacement for a time-out in the driver, which works without a network, too.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from hardware.bus import COMMAND, Bus, BusConfig, Message, MessageInfo, Publisher, QoS
from hardware.nodes.signals import ended_by_signals
from hardware.transports import open_bus

_LOG = logging.getLogger("habilis.zero_guard")
_ARRAY: Final = "std_msgs/msg/Float64MultiArray"
_REPEATS: Final = 20
_POLL_S: Final = 0.005


class ZeroGuard:
    """Guards one command topic.

    Args:
        bus: The node.
        topic: `std_msgs/msg/Float64MultiArray` of a velocity or effort controller.
        count: How many joints it has.
        silence_s: Silence after a command other than zero that counts as death [s]; longer than the time-out
            of the commander itself (`channels.timeout_s`), which sends zeros while it lives.
    """

    def __init__(self, bus: Bus, topic: str, count: int, silence_s: float) -> None:
        if silence_s <= 0 or count < 1:
            raise ValueError("the guard needs at least one joint and a positive silence")
        self._bus, self._topic, self._count, self._silence_s = bus, topic, count, silence_s
        self._lock = threading.RLock()  # a bus may deliver our own message at once
        self._heard_s, self._is_zero = 0.0, True
        self._out: Publisher | None = None
        self._left = 0
        self.num_interventions = 0
        self._parts = [
            bus.subscribe(_ARRAY, topic, self._hear, QoS(depth=1), group="commands"),
            bus.timer(_POLL_S, self._look, group="guard"),
        ]

    def _hear(self, message: Message, info: MessageInfo) -> None:
        is_zero = not np.any(message.data)
        with self._lock:
            if not (is_zero and self._left):  # else it may be our own
                self._heard_s, self._is_zero = info.received_s, is_zero

    def _look(self) -> None:
        with self._lock:
            if self._left == 0 and not self._is_zero:
                silent_s = time.monotonic() - self._heard_s
                if silent_s > self._silence_s:
                    _LOG.warning("%s is silent for %.3f s: zeros", self._topic, silent_s)
                    self._out = self._bus.publisher(_ARRAY, self._topic, COMMAND)
                    self._left, self.num_interventions = _REPEATS, self.num_interventions + 1
                    self._is_zero = True
            if self._out is None:
                return
            self._out.publish(self._bus.message(_ARRAY, data=np.zeros(self._count)))
            # A controller that is matched only now hears the next one.
            self._left -= 1 if self._out.num_subscribers > 1 else 0
            if self._left == 0:  # whoever commands next finds no second commander
                self._out.close()
                self._out = None

    def close(self) -> None:
        """End; idempotent."""
        for part in self._parts:
            part.close()


def main(words: Sequence[str] | None = None) -> None:
    """Guard topics until it is ended."""
    parser = argparse.ArgumentParser(prog="python -m hardware.nodes.zero_guard", description=__doc__)
    parser.add_argument("topics", nargs="+", metavar="TOPIC:JOINTS")
    parser.add_argument("--silence", type=float, default=0.2, help="silence that counts as death [s]")
    parser.add_argument("--transport", choices=("auto", "dds", "ros"), default="auto")
    parser.add_argument("--domain", type=int, default=0, help="ROS domain")
    parser.add_argument("--interface", default="lo", help="network interface")
    parser.add_argument("--namespace", default="/")
    given = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    wanted = [entry.rpartition(":") for entry in given.topics]
    for topic, _, count in wanted:
        if not topic or not count.isdigit():
            parser.error(f"{topic or count!r} is not TOPIC:JOINTS")
    config = BusConfig("zero_guard", given.namespace, given.domain, given.interface)
    bus, done = open_bus(given.transport, config), threading.Event()
    try:
        for topic, _, count in wanted:
            ZeroGuard(bus, topic, int(count), given.silence)
        bus.start()
        _LOG.info("guards %s", ", ".join(given.topics))
        with ended_by_signals(lambda _: done.set(), (signal.SIGINT, signal.SIGTERM)):
            while not done.wait(0.2):
                bus.spin(0.0)
    finally:
        bus.close()


if __name__ == "__main__":
    main()
