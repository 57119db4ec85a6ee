"""A trial's recording: what was seen, wanted and sent; a full disk does not hold the robot up."""

import logging
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mcap", reason="mcap is not installed (extra `ros`)")
pytest.importorskip("rosbags", reason="rosbags is not installed (extra `ros`)")

from hardware.definitions import Definitions
from hardware.recording.bags import read_bag
from hardware.recording.trial import Trial
from tests.hardware.interfaces import interface
from tests.hardware.loop_bus import LoopBus


@pytest.fixture
def bus(monkeypatch):
    definitions = Definitions("jazzy")
    made = LoopBus()
    monkeypatch.setattr(made, "serialize", definitions.encode, raising=False)
    return made


def test_all_that_is_told_is_in_the_bag(bus, tmp_path: Path):
    trial, definitions = Trial(bus, tmp_path / "bag", interface()), Definitions("jazzy")
    trial.observed(np.array([0.1, 0.2]))
    trial.acted(np.array([-1.0]))
    trial.sent(np.array([0.3, 0.4, 0.5]))
    trial.said("fault: made up")
    trial.close()
    trial.close()
    found = {m.topic: definitions.decode(m.type_name, m.data) for m in read_bag(tmp_path / "bag")}
    assert list(found["/habilis/observation"].data) == [0.1, 0.2]
    assert list(found["/habilis/action"].data) == [-1.0]
    sent = found["/habilis/safe_action"]
    assert list(sent.name) == ["j0", "j1", "j2"] and list(sent.position) == [0.3, 0.4, 0.5]
    assert found["/habilis/events"].data == "fault: made up"


def test_a_full_disk_is_told_once_and_holds_nothing_up(bus, tmp_path: Path, monkeypatch, caplog):
    trial = Trial(bus, tmp_path / "bag", interface())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trial._recorder, "write", full)
    with caplog.at_level(logging.ERROR):
        for _ in range(50):
            trial.sent(np.zeros(3))
        trial.close()
    assert trial._queue.empty()
    assert [r.getMessage() for r in caplog.records] == [
        "the trial is not recorded any more: [Errno 28] No space left on device"
    ]
