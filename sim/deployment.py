"""What a task's policies drive and see, for running them on a robot: `policies.actions.Deployment`.

The numbers come from the action terms that the task builds, so that there is one place that has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor

from policies.actions import Deployment, EeTerm, GripperTerm, JointTerm, Term
from sim.batch.actions import ActionTerm, EeVelocity, GripperTarget, JointTargets
from sim.batch.env import BatchEnv

_ACHIEVED: Final = {"reach": "ee_pos"}
"""Observation of the robot's own that a task's achieved goal is."""


def deployment_of(env: BatchEnv) -> Deployment:
    """Return what policies of an environment drive and see.

    Raises:
        ValueError: The task has an action that no robot is driven by; says which.
    """
    task = env.task
    handle = getattr(task, "arm", None) or getattr(task, "hand", None)
    if handle is None:
        raise ValueError(f"task {task.name!r} has neither an arm nor a hand whose joints could be told")
    terms = tuple(_term(task.name, term) for term in env.controls.terms)
    return Deployment(terms, tuple(handle.names), _ACHIEVED.get(task.name, ""))


def _term(task: str, term: ActionTerm) -> Term:
    if isinstance(term, EeVelocity):
        limits = term._limits
        return EeTerm(
            joint_names=tuple(term._joints.names),
            low=_floats(term._act.low),
            high=_floats(term._act.high),
            step_m=term._step_m,
            step_rad=term._step_rad,
            yaw_only=term._yaw,
            lead_m=term._lead,
            lead_rad=term._lead_rad,
            damping=float(term._eye[0, 0]) ** 0.5,
            limits_m=None if limits is None else (_corner(limits[0]), _corner(limits[1])),
        )
    if isinstance(term, GripperTarget):
        low, high = _floats(term._targets._act.low), _floats(term._targets._act.high)
        return GripperTerm((low[0], high[0]), term._step)
    if isinstance(term, JointTargets):
        names = tuple(term.names)
        return JointTerm(
            joint_names=tuple(term._act.names),
            low=_floats(term._act.low),
            high=_floats(term._act.high),
            step=term._step,
            smoothing=term._keep,
            names=() if names == tuple(term._act.names) else names,
        )
    what = type(term).__name__
    raise ValueError(f"task {task!r} has the action {what}, which no robot is driven by; deploy its levels")


def _floats(values: Tensor | Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 7) for v in values)


def _corner(values: Tensor) -> tuple[float, float, float]:
    x, y, z = _floats(values)
    return x, y, z
