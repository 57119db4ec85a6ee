"""Several e-stops over DDS, each a publisher: any one stops, each is released by itself."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed (extra `ros`)")

from hardware.bus import LATCHED, RELIABLE, SENSOR, BusConfig, MessageInfo
from hardware.interface.settings import ArmingConfig
from hardware.safety.arming import Arming, Mode
from hardware.safety.guard import Guard
from hardware.transports import open_bus
from tests.hardware.domains import free_domain
from tests.hardware.loop_bus import LoopBus


class Still:
    """A robot that stands."""

    name, is_stopped, counts = "still", False, {}

    def stop(self):
        self.is_stopped = True

    def reset_stop(self):
        self.is_stopped = False

    def faults(self):
        return []

    def on_fault(self, listener):
        pass


def until(condition):
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_any_stops_and_release_needs_all_of_them():
    domain, config = free_domain(), ArmingConfig(estop_topics=("/cell/estop",))
    arming = Arming(config, needs_confirmation=False)
    node = open_bus("dds", BusConfig(node_name="habilis", domain_id=domain))
    guard = Guard(node, Still(), arming)
    node.start()
    others = [open_bus("dds", BusConfig(node_name=f"button{k}", domain_id=domain)) for k in range(3)]
    try:
        kinds = [("habilis/estop", RELIABLE), ("habilis/estop", LATCHED), ("/cell/estop", RELIABLE)]
        for bus in others:
            bus.start()
        buttons = [
            bus.publisher("std_msgs/msg/Bool", topic, qos)
            for bus, (topic, qos) in zip(others, kinds, strict=True)
        ]
        # The latched one meets all three of our subscriptions, the others two.
        until(lambda: [b.num_subscribers for b in buttons] == [2, 3, 2])

        def say(k, value):
            buttons[k].publish(others[k].message("std_msgs/msg/Bool", data=value))

        assert guard.arm() == ""
        say(0, True)
        until(lambda: guard.mode is Mode.ESTOP)
        say(1, True)
        say(2, True)
        until(lambda: "3 e-stops" in guard.reset())
        say(0, False)
        say(1, False)
        until(lambda: guard.reset() == "the e-stop is pressed")
        assert guard.mode is Mode.ESTOP
        say(2, False)
        until(lambda: guard.reset() == "")
        assert guard.mode is Mode.DISARMED and guard.arm() == ""
        # One dies while it is pressed, and the others go on to say that they are not.
        say(0, True)
        until(lambda: guard.mode is Mode.ESTOP)
        others[0].close()
        say(1, False)
        time.sleep(0.5)
        assert "pressed" in guard.reset()
        again = others[2].publisher("std_msgs/msg/Bool", "habilis/estop")
        until(lambda: again.num_subscribers == 2)
        again.publish(others[2].message("std_msgs/msg/Bool", data=False))
        until(lambda: guard.reset() == "")
    finally:
        guard.close()
        for bus in (*others, node):
            bus.close()


def test_one_that_is_not_reliable_stops_and_is_released_too():
    """Such as that of a microcontroller, or `ros2 topic pub --qos-reliability best_effort`."""
    domain = free_domain()
    node = open_bus("dds", BusConfig(node_name="habilis", domain_id=domain))
    guard = Guard(node, Still(), Arming(ArmingConfig(), needs_confirmation=False))
    other = open_bus("dds", BusConfig(node_name="button", domain_id=domain))
    try:
        node.start()
        other.start()
        button = other.publisher("std_msgs/msg/Bool", "habilis/estop", SENSOR)
        until(lambda: button.num_subscribers == 1)
        assert guard.arm() == ""
        button.publish(other.message("std_msgs/msg/Bool", data=True))
        until(lambda: guard.mode is Mode.ESTOP)
        assert "pressed" in guard.reset()
        button.publish(other.message("std_msgs/msg/Bool", data=False))
        until(lambda: guard.reset() == "")
    finally:
        guard.close()
        for bus in (other, node):
            bus.close()


class Said:
    """A subscription as the guard sees it; `publishers` is None where the middleware does not tell."""

    def __init__(self, publishers, count):
        self.publishers, self.num_publishers = publishers, count

    def close(self):
        pass


@pytest.mark.parametrize("tells", [True, False])
def test_old_news_of_a_lossy_subscription_releases_nothing(tells):
    """`false, true` was heard reliably; the best-effort subscription, read later, has lost the second."""
    bus, callbacks = LoopBus(), {}

    def subscribe(kind, topic, callback, qos=None, *, group="default"):
        callbacks[topic, qos] = callback
        return Said(frozenset({"a"}) if tells else None, 1)

    bus.subscribe = subscribe
    guard = Guard(bus, Still(), Arming(ArmingConfig(), needs_confirmation=False))

    def say(qos, value):
        message = bus.message("std_msgs/msg/Bool", data=value)
        callbacks["habilis/estop", qos](message, MessageInfo(0.0, 0, "a" if tells else ""))

    say(RELIABLE, False)
    say(RELIABLE, True)
    say(SENSOR, False)
    assert guard.mode is Mode.ESTOP and "pressed" in guard.reset()
    say(RELIABLE, False)
    assert guard.reset() == ""
