"""Whether each joint of a robot moves as the model says: its name, sign, offset and delay.

One joint after another makes a small step and comes back, with all others commanded to stay; what all joints
did is compared with what was asked, and with the simulated robot that makes the same steps. That finds joints
whose names are exchanged, whose sign is turned, or that do not follow. An offset shows in no step: it is
checked against a pose that is known, such as the maker's marks, if one is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hardware.calibration.steps import StepResponse as StepResponse
from hardware.calibration.steps import respond
from perception_tools.geometry import FloatArray
from policies.robot import JointLimits, Robot

_FORMAT: Final = 1


@dataclass(frozen=True)
class JointCheckConfig:
    """How joints are checked.

    Attributes:
        joints: Joints to check; () is all.
        step: Size of a step [rad] or [m], at most a tenth of the joint's range.
        move_s: Time for it [s].
        hold_s: Rest after it [s].
        period_s: Time between setpoints and readings [s].
        gain_tolerance: Largest error of the way made, as a share of the step.
        cross_tolerance: Largest motion of other joints, as a share of the step.
        max_delay_s: Largest delay of the motion behind the setpoints [s].
        delay_tolerance_s: Largest difference of the delay from the simulated robot's [s].
        offset_tolerance: Largest error at the reference pose [rad] or [m].
        reference: Positions of all joints at the known pose at which the robot stands at the start
            [rad] or [m]; () checks no offsets.
    """

    joints: tuple[str, ...] = ()
    step: float = 0.05
    move_s: float = 0.8
    hold_s: float = 0.6
    period_s: float = 0.02
    gain_tolerance: float = 0.15
    cross_tolerance: float = 0.15
    max_delay_s: float = 0.25
    delay_tolerance_s: float = 0.15
    offset_tolerance: float = 0.02
    reference: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that would check nothing."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not (np.isfinite(value) and value > 0):
                raise ValueError(f"JointCheckConfig.{name} must be positive and finite, got {value}")


@dataclass(frozen=True)
class JointVerdict:
    """What is found of one joint.

    Attributes:
        name: Name of the joint.
        gain: Way made over way asked; -1 is a turned sign, 0 no motion.
        cross: Largest way of another joint over the way asked.
        cross_joint: That joint.
        delay_s: Delay behind the setpoints [s]; NaN if it did not move.
        twin_delay_s: The simulated robot's [s]; NaN without one.
        offset: Error at the reference pose [rad] or [m]; NaN if it was not checked.
        problems: What is wrong and what to do; () if nothing is.
    """

    name: str
    gain: float
    cross: float
    cross_joint: str
    delay_s: float
    twin_delay_s: float = float("nan")
    offset: float = float("nan")
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class JointReport:
    """What is found of a robot.

    Attributes:
        robot: Its name.
        fingerprint: Of what the check is valid for; see `fingerprint`.
        verdicts: By joint.
        all_joints: Names of all joints of the robot.
        offsets_checked: Whether a reference pose was given.
        responses: What was measured, by joint.
        twin: What the simulated robot did, by joint.
    """

    robot: str
    fingerprint: str
    verdicts: tuple[JointVerdict, ...]
    all_joints: tuple[str, ...]
    offsets_checked: bool
    responses: dict[str, StepResponse] = field(default_factory=dict)
    twin: dict[str, StepResponse] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every joint was checked and nothing is wrong."""
        return self.is_complete and not any(verdict.problems for verdict in self.verdicts)

    @property
    def is_complete(self) -> bool:
        """Whether every joint of the robot was checked."""
        return {verdict.name for verdict in self.verdicts} == set(self.all_joints)


def check_joints(
    robot: Robot,
    config: JointCheckConfig | None = None,
    *,
    twin: Robot | None = None,
    fingerprint: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> JointReport:
    """Check a robot's joints; it moves.

    Args:
        robot: The robot behind its safety filter, at rest, with room for the steps around it.
        config: How.
        twin: The simulated robot at the same pose, behind its own filter.
        fingerprint: Of the robot's interface; see `fingerprint`.
        tell: Told what is done next.

    Raises:
        ValueError: Unknown joints, or a reference pose of another size.
        RobotStopped: A stop was latched meanwhile.
    """
    config = config or JointCheckConfig()
    names = robot.limits.joint_names
    unknown = [name for name in config.joints if name not in names]
    if unknown:
        raise ValueError(f"unknown joint {unknown[0]!r}; joints: {', '.join(names)}")
    if config.reference and len(config.reference) != len(names):
        raise ValueError(f"reference has {len(config.reference)} positions for {len(names)} joints")
    start = robot.state().joint_pos
    offsets = start - np.array(config.reference) if config.reference else np.full(len(names), np.nan)
    responses: dict[str, StepResponse] = {}
    twins: dict[str, StepResponse] = {}
    verdicts = []
    for name in config.joints or names:
        column = names.index(name)
        step = _step(robot.limits, start, column, config)
        tell(f"{name}: a step of {step:+.3f} and back")
        responses[name] = respond(robot, column, step, config)
        if twin is not None:
            twins[name] = respond(twin, column, step, config)
        verdicts.append(judge(names, name, responses[name], twins.get(name), offsets[column], config))
    return JointReport(
        robot.name, fingerprint, tuple(verdicts), names, bool(config.reference), responses, twins
    )


def _step(limits: JointLimits, start: FloatArray, column: int, config: JointCheckConfig) -> float:
    """Return the step, towards the side with more room."""
    low, high = limits.lower[column], limits.upper[column]
    size = min(config.step, 0.1 * (high - low))
    return size if high - start[column] >= start[column] - low else -size


def judge(
    names: Sequence[str],
    name: str,
    response: StepResponse,
    twin: StepResponse | None,
    offset: float,
    config: JointCheckConfig,
) -> JointVerdict:
    """Judge what a step did.

    Args:
        names: Names of all joints.
        name: The joint that made the step.
        response: What was measured.
        twin: What the simulated robot did, if it was asked.
        offset: Error at the reference pose [rad] or [m]; NaN if there is none.
        config: What is tolerated.
    """
    column = list(names).index(name)
    gains = _gains(response)
    others = np.abs(np.delete(gains, column))
    other_names = [n for n in names if n != name]
    worst = int(np.argmax(others)) if len(others) else 0
    cross = float(others[worst]) if len(others) else 0.0
    cross_joint = other_names[worst] if other_names else ""
    gain = float(gains[column])
    has_moved = abs(gain) > config.cross_tolerance
    delay_s = _delay(response, column) if has_moved else float("nan")
    twin_delay_s = _delay(twin, column) if twin is not None else float("nan")
    problems = []
    if abs(gain + 1) <= 2 * config.gain_tolerance:
        problems.append("it moves the wrong way: turn its sign (joints.signs)")
    elif not has_moved and cross > 0.5:
        problems.append(f"{cross_joint} moves instead: their names are exchanged (joints.driver_names)")
    elif not has_moved:
        problems.append("it does not move: is its controller active, are its brakes open?")
    elif abs(gain - 1) > config.gain_tolerance:
        problems.append(f"it makes {gain:.0%} of the way: another unit, or a load it can't move")
    if has_moved and cross > config.cross_tolerance:
        problems.append(f"{cross_joint} moves along, {cross:.0%} of the way")
    if has_moved and delay_s > config.max_delay_s:
        problems.append(
            f"it follows {delay_s * 1000:.0f} ms late; allowed {config.max_delay_s * 1000:.0f} ms"
        )
    elif has_moved and twin is not None and abs(delay_s - twin_delay_s) > config.delay_tolerance_s:
        problems.append(
            f"it follows {delay_s * 1000:.0f} ms late, the simulated robot {twin_delay_s * 1000:.0f} ms: "
            "a policy trained there will find another robot here"
        )
    if abs(offset) > config.offset_tolerance:
        problems.append(f"at the reference pose it reads {offset:+.4f} off (joints.offsets)")
    return JointVerdict(name, gain, cross, cross_joint, delay_s, twin_delay_s, float(offset), tuple(problems))


def _gains(response: StepResponse) -> FloatArray:
    """Return the way of each joint over the way asked, by least squares against the shape asked."""
    shape = response.asked / np.abs(response.asked).max()
    top = shape == shape.max() if shape.max() > 0.5 else shape == shape.min()
    there = np.flatnonzero(top)[len(np.flatnonzero(top)) // 2 :]  # the later half of the rest at the far end
    return response.measured[there].mean(axis=0) / response.asked[there].mean()


def _delay(response: StepResponse, column: int) -> float:
    """Return by how much the measured motion is best explained by a later one that was asked [s]."""
    times_s, measured = response.times_s, response.measured[:, column]
    scale = np.abs(measured).max() / np.abs(response.asked).max()
    sign = np.sign(measured[np.argmax(np.abs(measured))] * response.asked[np.argmax(np.abs(response.asked))])
    delays = np.arange(0.0, 1.0, 0.002)
    errors = [
        ((np.interp(times_s - d, times_s, response.asked, left=0.0) * scale * sign - measured) ** 2).mean()
        for d in delays
    ]
    return float(delays[int(np.argmin(errors))])


# ---- the certificate ----------------------------------------------------------------------------


def fingerprint(wiring: Any) -> str:
    """Return a digest of what a check is valid for: names, signs, offsets, topics of a robot.

    Args:
        wiring: A dataclass, such as `hardware.interface.RobotInterface`, or plain values.
    """
    plain = asdict(wiring) if hasattr(wiring, "__dataclass_fields__") else wiring
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def certificate_path(folder: Path, robot: str) -> Path:
    """Return where the certificate of a robot lies."""
    return folder / robot.replace("/", "_") / "joints.json"


def save_certificate(report: JointReport, path: Path) -> None:
    """Write what was found; a report that did not pass is no certificate, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": _FORMAT,
        "robot": report.robot,
        "fingerprint": report.fingerprint,
        "passed": report.passed,
        "offsets_checked": report.offsets_checked,
        "joints": [asdict(verdict) for verdict in report.verdicts],
    }
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1).replace("NaN", "null") + "\n")
    temporary.replace(path)


def require_certificate(path: Path, robot: str, wanted: str) -> None:
    """Refuse a robot whose joints were not checked as it is wired now.

    Args:
        path: See `certificate_path`.
        robot: Its name.
        wanted: The robot's `fingerprint`.

    Raises:
        ValueError: There is no certificate, it did not pass, or it is of another wiring; says what to do.
    """
    advice = f"run: habilis calibrate check=joints robot={robot}"
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"the joints of {robot} were never checked; {advice}") from error
    except ValueError as error:
        raise ValueError(f"{path} can't be read; {advice}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} can't be read; {advice}")
    if content.get("format") != _FORMAT or content.get("fingerprint") != wanted:
        raise ValueError(f"{robot} was changed since its joints were checked; {advice}")
    if content.get("passed") is not True:
        bad = [j["name"] for j in content.get("joints", []) if j["problems"]]
        raise ValueError(
            f"the joints of {robot} did not pass ({', '.join(bad) or 'not all were checked'}); {advice}"
        )
