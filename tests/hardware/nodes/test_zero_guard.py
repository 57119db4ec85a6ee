"""The guard that sends zeros when the commander of a velocity controller dies."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hardware.nodes.zero_guard import ZeroGuard, main
from tests.hardware.loop_bus import LoopBus

TOPIC = "/c/commands"
KIND = "std_msgs/msg/Float64MultiArray"


@pytest.fixture
def wire():
    bus = LoopBus()
    bus.subscribe(KIND, TOPIC, lambda m, i: None)  # the controller
    guard = ZeroGuard(LoopBus(bus.network), TOPIC, 2, 0.05)
    commander = bus.publisher(KIND, TOPIC)
    yield bus, guard, lambda *values: commander.publish(bus.message(KIND, data=np.array(values)))
    guard.close()


def look(guard, times=1):
    for _ in range(times):
        guard._bus.fire()


def test_a_commander_that_dies_in_motion_is_followed_by_zeros_and_then_by_nothing(wire):
    bus, guard, command = wire
    command(0.3, 0.0)
    look(guard)
    assert len(bus.network.on(TOPIC)) == 1
    time.sleep(0.06)
    look(guard, 100)
    sent = bus.network.on(TOPIC)
    assert len(sent) == 1 + 20 and not any(np.any(m.data) for m in sent[1:])
    assert all(len(m.data) == 2 for m in sent[1:]) and guard.num_interventions == 1
    assert len(bus.network.publishers[TOPIC]) == 1  # whoever commands next finds no second commander


def test_while_it_commands_or_ended_with_zero_nothing_is_sent(wire):
    bus, guard, command = wire
    for _ in range(5):
        command(0.3, 0.0)
        time.sleep(0.02)
        look(guard)
    command(0.0, 0.0)
    time.sleep(0.06)
    look(guard, 10)
    assert len(bus.network.on(TOPIC)) == 6 and guard.num_interventions == 0
    assert len(bus.network.publishers[TOPIC]) == 1


def test_a_commander_that_comes_back_meanwhile_and_dies_again_is_followed_by_zeros_again(wire):
    bus, guard, command = wire
    command(0.3, 0.0)
    time.sleep(0.06)
    look(guard, 5)
    command(0.2, 0.0)
    look(guard, 100)
    time.sleep(0.06)
    look(guard, 100)
    sent = [bool(np.any(m.data)) for m in bus.network.on(TOPIC)]
    assert guard.num_interventions == 2 and sent == [True, *[False] * 5, True, *[False] * 15, *[False] * 20]


def test_what_makes_no_sense_is_refused(capsys):
    with pytest.raises(ValueError, match="positive silence"):
        ZeroGuard(LoopBus(), TOPIC, 2, 0.0)
    with pytest.raises(SystemExit):
        main(["no_count"])
    assert "TOPIC:JOINTS" in capsys.readouterr().err
