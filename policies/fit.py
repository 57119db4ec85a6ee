"""Whether a policy fits an environment: what it reads, what it writes, how often, for which task."""

from __future__ import annotations

import math
from itertools import zip_longest

from policies.policy import ArraySpec, PolicySpec


def check_fit(name: str, spec: PolicySpec, env: PolicySpec, task: str, made_for: str | None = None) -> None:
    """Refuse a policy that was made for another task, or other observations, actions or control periods.

    Args:
        name: The policy, for the message.
        spec: Its specs.
        env: Specs of the environment.
        task: The environment's task.
        made_for: The policy's task, if it is known.

    Raises:
        ValueError: Names what differs.
    """
    if made_for is not None and made_for != task:
        raise ValueError(f"{name} was made for task {made_for}, not for {task}; choose env={made_for}")
    _check_array(name, "action", spec.action, env.action, task)
    for key, array in spec.obs.items():
        if key not in env.obs:
            raise ValueError(f"{name} reads {key!r}, task {task} has {', '.join(env.obs)}")
        _check_array(name, key, array, env.obs[key], task)
    if spec.goal is not None:
        if env.goal is None:
            raise ValueError(f"{name} wants a goal, task {task} has none")
        _check_array(name, "goal", spec.goal, env.goal, task)
    if not math.isclose(spec.step_dt, env.step_dt, rel_tol=1e-6):
        raise ValueError(f"{name} acts every {spec.step_dt:g} s, task {task} every {env.step_dt:g} s")


def _check_array(name: str, what: str, its: ArraySpec, own: ArraySpec, task: str) -> None:
    """Compare one array of the policy with that of the environment."""
    if sorted(its.names) == sorted(own.names) and its.names != own.names:
        k = next(k for k, (a, b) in enumerate(zip(its.names, own.names, strict=True)) if a != b)
        raise ValueError(
            f"{name} has the entries of its {what} in another order than task {task}: "
            f"entry {k} is {its.names[k]}, there {own.names[k]}"
        )
    for k, (mine, there) in enumerate(zip_longest(its.names, own.names, fillvalue="missing")):
        if mine != there:
            raise ValueError(
                f"{name} does not fit task {task}: entry {k} of its {what} is {mine}, there {there}"
            )
    if its.shape != own.shape:
        raise ValueError(f"{name} has {what} of shape {its.shape}, task {task} of shape {own.shape}")
    if its.unit != own.unit:
        raise ValueError(f"{name} has {what} in {its.unit}, task {task} in {own.unit}")
    if (its.low, its.high) != (own.low, own.high):
        raise ValueError(
            f"{name} has {what} within [{its.low:g}, {its.high:g}], task {task} [{own.low:g}, {own.high:g}]"
        )
