"""A policy that does not fit an environment is refused, and one is told why."""

from dataclasses import replace

import pytest

from policies.fit import check_fit
from policies.policy import ArraySpec, PolicySpec

OBSERVED = ArraySpec((3,), ("elbow", "shoulder", "wrist"), "rad")
GOAL = ArraySpec((2,), ("x", "y"), "m")
ENV = PolicySpec(
    obs={"observation": OBSERVED, "achieved_goal": GOAL, "desired_goal": GOAL},
    action=ArraySpec((2,), ("elbow", "wrist"), "1", -1.0, 1.0),
    goal=GOAL,
    step_dt=0.04,
)


def test_a_policy_fits_that_reads_less():
    spec = replace(ENV, obs={"desired_goal": GOAL, "observation": OBSERVED}, step_dt=0.04 * (1 + 1e-9))
    check_fit("p", spec, ENV, "reach", "reach")
    check_fit("p", replace(spec, goal=None), ENV, "reach")


def changed(**arrays):
    return lambda: replace(ENV, obs={**ENV.obs, **arrays})


@pytest.mark.parametrize(
    "make, words",
    [
        (changed(image=ArraySpec((4,))), "reads 'image', task reach has observation, achieved_goal, desired"),
        (
            changed(observation=replace(OBSERVED, names=("shoulder", "elbow", "wrist"))),
            "its observation in another order than task reach: entry 0 is shoulder, there elbow",
        ),
        (
            changed(observation=replace(OBSERVED, names=("elbow", "knee", "wrist"))),
            "does not fit task reach: entry 1 of its observation is knee, there shoulder",
        ),
        (
            changed(observation=ArraySpec((2,), ("elbow", "shoulder"), "rad")),
            "entry 2 of its observation is missing, there wrist",
        ),
        (changed(observation=replace(OBSERVED, unit="deg")), "has observation in deg, task reach in rad"),
        (
            lambda: replace(ENV, action=replace(ENV.action, names=("wrist", "elbow"))),
            "has the entries of its action in another order than task reach: entry 0 is wrist, there elbow",
        ),
        (
            lambda: replace(ENV, action=ArraySpec((1,), ("elbow",), "1", -1.0, 1.0)),
            "entry 1 of its action is missing, there wrist",
        ),
        (
            lambda: replace(ENV, action=replace(ENV.action, low=-2.0)),
            r"has action within \[-2, 1\], task reach \[-1, 1\]",
        ),
        (
            lambda: replace(ENV, goal=ArraySpec((3,), ("x", "y", "z"), "m")),
            "entry 2 of its goal is z, there missing",
        ),
        (lambda: replace(ENV, step_dt=0.02), "acts every 0.02 s, task reach every 0.04 s"),
    ],
)
def test_what_differs_is_said_in_one_line(make, words):
    with pytest.raises(ValueError, match=words) as told:
        check_fit("policy.onnx", make(), ENV, "reach")
    assert str(told.value).startswith("policy.onnx ") and "\n" not in str(told.value)


def test_a_policy_of_another_task_is_refused_even_where_it_would_fit():
    with pytest.raises(ValueError, match="p was made for task push, not for reach; choose env=push"):
        check_fit("p", ENV, ENV, "reach", "push")


def test_arrays_without_names_are_compared_by_shape():
    flat = replace(ENV, obs={"observation": ArraySpec((3,))})
    check_fit("p", flat, flat, "reach")
    with pytest.raises(ValueError, match=r"has observation of shape \(4,\), task reach of shape \(3,\)"):
        check_fit("p", replace(flat, obs={"observation": ArraySpec((4,))}), flat, "reach")


def test_a_goal_where_there_is_none():
    with pytest.raises(ValueError, match="wants a goal, task reach has none"):
        check_fit("p", ENV, replace(ENV, goal=None), "reach")
