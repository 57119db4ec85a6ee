"""What a policy's actions mean, without a simulator: actions in [-1, 1] become joint and gripper targets.

The vocabulary is that of `sim/batch/actions.py`, entry for entry; `tests/sim/test_deployment.py` holds the
two side by side. A `Deployment` says what a policy was trained to drive; it can be stored as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from perception_tools.geometry import FloatArray, Transform
from policies.robot import GripperCommand, JointCommand, RobotState

Forward = Callable[[FloatArray], Transform]
"""``T_world_ee`` from the positions of the joints that move it [rad]."""

Corner = tuple[float, float, float]


@dataclass(frozen=True)
class JointTerm:
    """Targets of joints: absolute in a range, or steps from the last target.

    Attributes:
        joint_names: The robot's joints, one entry of the action each.
        names: Names of the entries; () are `joint_names`.
        low: What -1 means for absolute targets, and the lowest target [rad] or [m].
        high: What 1 means for absolute targets, and the highest target [rad] or [m].
        step: Largest change of a target per action [rad] or [m]; None for absolute targets.
        smoothing: Share of the previous target kept, in [0, 1).
    """

    joint_names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    step: float | None = None
    smoothing: float = 0.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class EeTerm:
    """Cartesian steps of the ee frame: x, y, z in world, then yaw or a rotation vector if `step_rad` > 0.

    Attributes:
        joint_names: The joints that move it, base to tip.
        low: Lowest targets of them [rad].
        high: Highest targets [rad].
        step_m: Largest translation per action [m].
        step_rad: Largest rotation per action [rad]; 0 keeps the orientation of the start.
        yaw_only: Rotation about world z only.
        lead_m: Largest distance of the target from the frame [m].
        lead_rad: Largest angle between the target's orientation and the frame's [rad].
        damping: Damping of the least squares.
        limits_m: Lower and upper corner of the box that the target stays in [m]; None for none.
    """

    joint_names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    step_m: float
    step_rad: float = 0.0
    yaw_only: bool = True
    lead_m: float = 0.04
    lead_rad: float = 0.4
    damping: float = 0.05
    limits_m: tuple[Corner, Corner] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the entries."""
        turn = () if not self.step_rad else ("yaw",) if self.yaw_only else ("rx", "ry", "rz")
        return ("x", "y", "z", *turn)


@dataclass(frozen=True)
class GripperTerm:
    """The opening of a parallel gripper, from closed (-1) to open (1).

    Attributes:
        width_m: Opening at -1 and at 1 [m].
        step_m: Largest change per action [m]; None for no limit.
    """

    width_m: tuple[float, float]
    step_m: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the entries."""
        return ("gripper",)


Term = JointTerm | EeTerm | GripperTerm
_KINDS: Final[Mapping[str, type]] = {"joints": JointTerm, "ee": EeTerm, "gripper": GripperTerm}


@dataclass(frozen=True)
class Deployment:
    """What a policy was trained to drive and to see.

    Attributes:
        terms: What its actions mean, in order.
        joint_names: The robot's joints in the order in which observations number them.
        achieved_goal: Observation that the achieved goal is (`ee_pos`), "" where it is none of the robot's.
    """

    terms: tuple[Term, ...]
    joint_names: tuple[str, ...]
    achieved_goal: str = ""

    def renamed(self, joint_names: Sequence[str]) -> Deployment:
        """Return it for a robot whose joints, in the same order, are called otherwise.

        Raises:
            ValueError: Another number of joints.
        """
        if len(joint_names) != len(self.joint_names):
            raise ValueError(
                f"joint_names has {len(joint_names)} names; the policy was trained on "
                f"{len(self.joint_names)} joints: {', '.join(self.joint_names)}"
            )
        new = dict(zip(self.joint_names, joint_names, strict=True))
        terms = tuple(
            t
            if isinstance(t, GripperTerm)
            else replace(t, joint_names=tuple(new.get(n, n) for n in t.joint_names))
            if isinstance(t, EeTerm)
            else replace(t, joint_names=tuple(new.get(n, n) for n in t.joint_names), names=_names(t))
            for t in self.terms
        )
        return Deployment(terms, tuple(joint_names), self.achieved_goal)

    def scaled(self, scale: float) -> Deployment:
        """Return it with smaller steps: a robot that is slower than the simulation rings less.

        Args:
            scale: Share of every step, and of how far a target may lead, in (0, 1].

        Raises:
            ValueError: Out of range.
        """
        if not 0 < scale <= 1:
            raise ValueError(f"action.scale is {scale}; use (0, 1]")

        def smaller(term: Term) -> Term:
            if isinstance(term, EeTerm):
                lead_m, lead_rad = scale * term.lead_m, scale * term.lead_rad
                steps = {"step_m": scale * term.step_m, "step_rad": scale * term.step_rad}
                return replace(term, **steps, lead_m=lead_m, lead_rad=lead_rad)
            if isinstance(term, JointTerm) and term.step is not None:
                return replace(term, step=scale * term.step)
            return term

        return replace(self, terms=tuple(smaller(term) for term in self.terms))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        kinds = {cls: kind for kind, cls in _KINDS.items()}
        terms = [{"kind": kinds[type(term)], **asdict(term)} for term in self.terms]
        return {"terms": terms, "joint_names": list(self.joint_names), "achieved_goal": self.achieved_goal}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Deployment:
        """Read what `to_json` returned.

        Raises:
            ValueError: It was not.
        """
        try:
            terms = tuple(
                _KINDS[term["kind"]](**{k: _tuples(v) for k, v in term.items() if k != "kind"})
                for term in data["terms"]
            )
            return cls(terms, tuple(data["joint_names"]), str(data["achieved_goal"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"the policy's deployment cannot be read: {error!r}") from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


@dataclass
class Decoder:
    """Turns actions into commands; keeps the last targets, as a simulation's control vector does.

    Attributes:
        deployment: What the actions mean.
        forward: Where the ee frame is, for terms that move it.
    """

    deployment: Deployment
    forward: Forward | None = None
    _targets: dict[str, float] = field(default_factory=dict, init=False)
    _goal: Transform | None = field(default=None, init=False)
    _width_m: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse ee terms without kinematics."""
        if self.forward is None and any(isinstance(t, EeTerm) for t in self.deployment.terms):
            raise ValueError(
                "the policy moves the hand in space, which needs the robot's kinematics; this robot has none "
                "here (robot.kinematics is null)"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the action's entries."""
        return tuple(name for term in self.deployment.terms for name in _names(term))

    def reset(self, state: RobotState) -> None:
        """Begin where the robot is."""
        self._targets = dict(zip(state.joint_names, np.asarray(state.joint_pos, float).tolist(), strict=True))
        self._goal = None
        self._width_m = state.gripper.width_m if state.gripper is not None else None

    def target(self, joint_names: Sequence[str]) -> FloatArray:
        """Return the last targets of joints [rad] or [m], (len(joint_names),)."""
        return np.array([self._targets[name] for name in joint_names])

    def decode(self, action: ArrayLike, state: RobotState) -> JointCommand:
        """Return the targets that an action asks for.

        Args:
            action: In [-1, 1]; what is beyond is clipped. Shape (len(names),).
            state: Newest sensed state.

        Raises:
            ValueError: Another shape, or not finite.
        """
        values = np.asarray(action, dtype=np.float64)
        if values.shape != (len(self.names),):
            raise ValueError(
                f"the policy returned an action of shape {values.shape}, not ({len(self.names)},)"
            )
        if not np.isfinite(values).all():
            raise ValueError("the action is not finite")
        values = np.clip(values, -1.0, 1.0)
        gripper, moved, start = None, [], 0
        for term in self.deployment.terms:
            part = values[start : start + len(_names(term))]
            start += len(part)
            if isinstance(term, GripperTerm):
                gripper = self._open(term, float(part[0]))
                continue
            target = self._step(term, part) if isinstance(term, JointTerm) else self._reach(term, part, state)
            self._targets.update(zip(term.joint_names, target.tolist(), strict=True))
            moved += term.joint_names
        return JointCommand(tuple(moved), self.target(moved) if moved else None, gripper)

    # ---- terms --------------------------------------------------------------------------------

    def _step(self, term: JointTerm, action: FloatArray) -> FloatArray:
        low, high, last = np.array(term.low), np.array(term.high), self.target(term.joint_names)
        target = (
            (low + high) / 2 + (high - low) / 2 * action if term.step is None else last + term.step * action
        )
        return np.clip(target + term.smoothing * (last - target), low, high)

    def _open(self, term: GripperTerm, action: float) -> GripperCommand:
        low, high = term.width_m
        width_m = (low + high) / 2 + (high - low) / 2 * action
        if term.step_m is not None and self._width_m is not None:
            width_m = float(np.clip(width_m, self._width_m - term.step_m, self._width_m + term.step_m))
        self._width_m = width_m
        return GripperCommand(width_m)

    def _reach(self, term: EeTerm, action: FloatArray, state: RobotState) -> FloatArray:
        assert self.forward is not None
        joint_pos = state.joint_pos[[state.joint_names.index(n) for n in term.joint_names]]
        here = self.forward(joint_pos)
        goal = self._goal or here
        lead = goal.position_m + term.step_m * action[:3] - here.position_m
        lead = lead * min(term.lead_m / (float(np.linalg.norm(lead)) + 1e-9), 1.0)
        if term.limits_m is not None:
            lead = np.clip(here.position_m + lead, *np.array(term.limits_m)) - here.position_m
        rotation = goal.rotation
        if term.step_rad:
            turn = action[3:] * term.step_rad
            turn = np.array([0.0, 0.0, turn[0]]) if term.yaw_only else turn
            rotation = _leashed(_rotation(turn) @ rotation, here.rotation, term.lead_rad)
        self._goal = Transform.from_parts(here.position_m + lead, rotation, parent="world", child="ee")
        twist = np.concatenate([lead, _rotation_error(rotation, here.rotation)])
        jacobian = _jacobian(self.forward, joint_pos)
        gram = jacobian @ jacobian.T + term.damping**2 * np.eye(6)
        step = jacobian.T @ np.linalg.solve(gram, twist)
        return np.clip(joint_pos + step, term.low, term.high)


def _names(term: Term) -> tuple[str, ...]:
    return term.names or term.joint_names if isinstance(term, JointTerm) else term.names


def _jacobian(forward: Forward, joint_pos: FloatArray, eps: float = 1e-5) -> FloatArray:
    """Return the Jacobian of the ee frame by central differences, linear over angular, (6, num_joints)."""
    columns = []
    for k in range(len(joint_pos)):
        delta = np.zeros(len(joint_pos))
        delta[k] = eps
        plus, minus = forward(joint_pos + delta), forward(joint_pos - delta)
        turn = plus.rotation @ minus.rotation.T
        angular = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        columns.append(np.concatenate([plus.position_m - minus.position_m, angular]) / (2 * eps))
    return np.array(columns).T


def _rotation(rotvec: FloatArray) -> FloatArray:
    """Return the rotation matrix of a rotation vector [rad] (Rodrigues)."""
    angle = float(np.linalg.norm(rotvec))
    x, y, z = rotvec
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sinc, half = np.sinc(angle / np.pi), np.sinc(angle / (2 * np.pi))
    return math.cos(angle) * np.eye(3) + sinc * skew + 0.5 * half * half * np.outer(rotvec, rotvec)


def _rotation_error(goal: FloatArray, current: FloatArray) -> FloatArray:
    """Return the world rotation vector that turns `current` towards `goal`, exact to first order, (3,)."""
    return 0.5 * np.cross(current.T, goal.T).sum(axis=0)


def _leashed(goal: FloatArray, current: FloatArray, lead_rad: float) -> FloatArray:
    """Return `goal` where it is within an angle of `current`, else what is so far on the way."""
    if 0.5 * (np.sum(goal * current) - 1.0) >= math.cos(lead_rad):
        return goal
    error = _rotation_error(goal, current)
    axis = error / max(float(np.linalg.norm(error)), 1e-12)
    return _rotation(lead_rad * axis) @ current
