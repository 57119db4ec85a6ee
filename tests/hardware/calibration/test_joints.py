"""The joint check finds what is wrong with a robot: simulated arms behind wires that are mixed up."""

from pathlib import Path

import numpy as np
import pytest

from hardware.calibration.joints import (
    JointCheckConfig,
    JointReport,
    StepResponse,
    certificate_path,
    check_joints,
    fingerprint,
    judge,
    require_certificate,
    save_certificate,
)
from policies.robot import JointCommand, JointLimits, RobotState

NAMES = ("a", "b", "c")


class Wired:
    """An ideal robot behind wires; `wires` maps our joints to its joints, and it follows `delay_s` late."""

    name = "wired"

    def __init__(self, wires=(0, 1, 2), signs=(1, 1, 1), gain=1.0, delay_s=0.04, offset=0.0) -> None:
        self.wires, self.signs, self.gain, self.delay_s = list(wires), np.array(signs), gain, delay_s
        self.offset = np.array([0.0, offset, 0.0])
        full = np.ones(3)
        self.limits = JointLimits(NAMES, -3 * full, 3 * full, full, full, full, full)
        self.time_s = 0.0
        self.sent: list[tuple[float, np.ndarray]] = [(-10.0, np.array([0.1, 0.2, -0.3]))]

    def clock(self) -> float:
        return self.time_s

    def sleep(self, dt_s: float) -> None:
        self.time_s += dt_s

    def send(self, command: JointCommand) -> JointCommand:
        target = self.sent[-1][1].copy()
        assert command.joint_pos is not None
        for name, value in zip(command.joint_names, command.joint_pos, strict=True):
            target[NAMES.index(name)] = value
        self.sent.append((self.time_s, target))
        return command

    def state(self) -> RobotState:
        target = [t for s, t in self.sent if s <= self.time_s - self.delay_s][-1]
        start = self.sent[0][1]
        moved = start.copy()
        moved[self.wires] = (start + self.gain * self.signs * (target - start))[[0, 1, 2]]
        if self.wires != [0, 1, 2]:
            moved = start + (moved - start[np.argsort(self.wires)])
        return RobotState(NAMES, moved + self.offset, np.zeros(3), np.zeros(3), self.time_s)


def _problems(report: JointReport) -> dict[str, str]:
    return {v.name: "; ".join(v.problems) for v in report.verdicts if v.problems}


def test_a_robot_as_the_model_says_passes():
    report = check_joints(Wired(), JointCheckConfig(reference=(0.1, 0.2, -0.3)), twin=Wired())
    assert report.passed and report.offsets_checked and _problems(report) == {}
    for verdict in report.verdicts:
        assert verdict.gain == pytest.approx(1.0, abs=0.01)
        assert verdict.cross == pytest.approx(0.0, abs=0.01)
        # A reading follows its setpoint by one period; what came 0.04 s late reads two or three later.
        assert 0.0 <= verdict.delay_s <= 0.07


@pytest.mark.parametrize(
    ("robot", "expected"),
    [
        (Wired(signs=(1, -1, 1)), {"b": "wrong way"}),
        (Wired(wires=(0, 2, 1)), {"b": "c moves instead", "c": "b moves instead"}),
        (Wired(gain=0.0), {"a": "does not move", "b": "does not move", "c": "does not move"}),
        (Wired(gain=0.5), {"a": "50%", "b": "50%", "c": "50%"}),
        (Wired(delay_s=0.4), {"a": "late; allowed", "b": "late; allowed", "c": "late; allowed"}),
        (Wired(delay_s=0.22), {"a": "simulated robot", "b": "simulated robot", "c": "simulated robot"}),
        (Wired(offset=0.05), {"b": "reads +0.0500 off"}),
    ],
    ids=["sign", "names", "dead", "unit", "late", "other delay", "offset"],
)
def test_what_is_wrong_is_named(robot: Wired, expected: dict[str, str]):
    report = check_joints(robot, JointCheckConfig(reference=(0.1, 0.2, -0.3)), twin=Wired())
    found = _problems(report)
    assert not report.passed
    assert set(found) == set(expected)
    for name, words in expected.items():
        assert words in found[name]


def test_a_joint_that_takes_another_along_is_found():
    times_s = np.arange(0, 2.0, 0.02)
    asked = np.where(times_s > 0.5, 0.05, 0.0)
    measured = np.stack([asked, 0.4 * asked, 0 * asked], axis=1)
    response = StepResponse(times_s, asked, measured)
    verdict = judge(NAMES, "a", response, None, float("nan"), JointCheckConfig())
    assert verdict.cross_joint == "b" and verdict.cross == pytest.approx(0.4)
    assert "b moves along, 40% of the way" in verdict.problems


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="unknown joint 'x'; joints: a, b, c"):
        check_joints(Wired(), JointCheckConfig(joints=("x",)))
    with pytest.raises(ValueError, match="2 positions for 3 joints"):
        check_joints(Wired(), JointCheckConfig(reference=(0.0, 0.0)))
    with pytest.raises(ValueError, match="step must be positive"):
        JointCheckConfig(step=0.0)


def test_the_certificate_is_of_this_robot_and_passed(tmp_path: Path):
    wiring = {"names": NAMES, "signs": (1, 1, 1)}
    path = certificate_path(tmp_path, "wired")
    with pytest.raises(ValueError, match=r"never checked; run: habilis calibrate check=joints robot=wired"):
        require_certificate(path, "wired", fingerprint(wiring))
    save_certificate(check_joints(Wired(), fingerprint=fingerprint(wiring)), path)
    require_certificate(path, "wired", fingerprint(wiring))
    with pytest.raises(ValueError, match="was changed since"):
        require_certificate(path, "wired", fingerprint(wiring | {"signs": (1, -1, 1)}))
    save_certificate(check_joints(Wired(signs=(1, -1, 1)), fingerprint=fingerprint(wiring)), path)
    with pytest.raises(ValueError, match=r"did not pass \(b\)"):
        require_certificate(path, "wired", fingerprint(wiring))
    some = check_joints(Wired(), JointCheckConfig(joints=("a",)), fingerprint=fingerprint(wiring))
    save_certificate(some, path)
    with pytest.raises(ValueError, match="not all were checked"):
        require_certificate(path, "wired", fingerprint(wiring))
    for damaged in (b"{", b"[]", b"\xff"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="can't be read"):
            require_certificate(path, "wired", fingerprint(wiring))
