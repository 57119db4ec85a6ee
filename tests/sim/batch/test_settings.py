"""Settings that mean nothing are refused in one line, for every task, tool and solid."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

from sim.batch.settings import check_ranges
from sim.batch.task import TaskConfig
from sim.solids.solid import SolidConfig
from sim.tasks.procedural import draw_settings
from sim.tasks.registry import TASKS, make_task, task_class
from sim.tools.registry import TOOLS

COUNTS = ("taxels", "beads")
"""Whole numbers, which tasks check themselves."""


def refused(build, name, value):
    """Building with a value is refused in one line that names the setting."""
    with pytest.raises(ValueError, match=name) as error:
        build(**{name: value})
    assert "\n" not in str(error.value)


def is_number(value):
    return isinstance(value, float | int) and not isinstance(value, bool)


def is_numbers(value):
    return isinstance(value, tuple) and all(is_number(v) for v in value)


# ---- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", sorted(TASKS))
def test_negative_quantities_are_refused(task):
    config = task_class(task).config_class()
    checked = 0
    for field in fields(config):
        value = getattr(config, field.name)
        if is_number(value):
            refused(lambda **kw: make_task(task, **kw), field.name, type(value)(-1))
            checked += 1
        elif is_numbers(value) and not field.name.startswith(COUNTS) and not field.name.endswith("_rad"):
            refused(lambda **kw: make_task(task, **kw), field.name, (-2.0,) * len(value))
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("task", sorted(TASKS))
def test_reversed_spans_and_boxes_are_refused(task):
    config = task_class(task).config_class()
    for field in fields(config):
        value = getattr(config, field.name)
        is_span = is_numbers(value) and len(value) == 2 and value[0] < value[1]
        is_box = isinstance(value, tuple) and all(is_numbers(v) for v in value)
        if (is_span or is_box) and not field.name.startswith(("region", "taxels")):
            refused(lambda **kw: make_task(task, **kw), field.name, value[::-1])


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("push", {"nearest_m": 0.3}, "nearest_m is 0.3, farthest_m is 0.25; use nearest_m <= farthest_m"),
        ("faucet", {"farthest_rad": 0.1}, "nearest_rad is 0.3, farthest_rad is 0.1; use nearest_rad <="),
        ("pick_place", {"farthest_m": 0.01}, "farthest_m is 0.01; goals are at least 0.05 m away"),
        ("stack", {"farthest_m": 0.1}, "farthest_m is 0.1; the cubes are at least 0.11 m apart"),
        ("lever_lift", {"mass_kg": 0.0}, "mass_kg is 0.0; use a positive number"),
        ("hook_reach", {"workspace_m": ((0, 0, 0), (1, 1, 0))}, "workspace_m is .*every lower bound"),
        ("reorient", {"spin_rad_s": 0.0}, "spin_rad_s is 0.0; use a positive number"),
        ("scissors_hand", {"opening_m": (0.03, 0.01)}, r"opening_m is \(0.03, 0.01\); use 0 <= low <= high"),
        ("tweezer_pick", {"objects_seed": -1}, "objects_seed is -1; use 0 or a positive number"),
    ],
)
def test_message_says_what_to_use(task, settings, message):
    with pytest.raises(ValueError, match=message):
        make_task(task, **settings)


@dataclass(frozen=True)
class Odd:
    """Settings that are fine: a span of angles, extents of unequal size, no spread."""

    turn_rad: tuple[float, float] = (-1.0, 1.0)
    region_m: tuple[float, float] = (0.2, 0.1)
    spread_m: float = 0.0
    size_m: tuple[float, float, float] = (0.3, 0.2, 0.1)
    offset: float = -1.0


def test_what_can_be_is_accepted():
    check_ranges(Odd())
    for name, value in (("size_m", (0.3, 0.0, 0.1)), ("turn_rad", (1.0, -1.0)), ("region_m", (-0.1, 0.2))):
        refused(lambda **kw: check_ranges(Odd(**kw)), name, value)


# ---- length of an episode -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"episode_s": 1.01}, r"episode_s is 1.01 s, no multiple of .* = 0.02 s; use 1 or 1.02 s"),
        ({"physics_dt": 0.003}, r"episode_s is 4.0 s, no multiple of .* = 0.015 s; use 3.99 or 4.005 s"),
        ({"episode_s": 0.01}, "shorter than one step of 0.02 s"),
    ],
)
def test_an_episode_is_a_whole_number_of_steps(settings, message):
    with pytest.raises(ValueError, match=message):
        TaskConfig(**settings)


def test_sums_of_steps_are_whole_though_not_exact():
    for steps in (1, 3, 7, 50, 1000, 100_000):
        assert TaskConfig(episode_s=sum([0.02] * steps)).max_steps == steps


def test_drawn_episodes_are_whole_and_in_their_span():
    low, high = task_class("reach").variations["episode_s"]
    drawn = [draw_settings(seed, ["reach"])[1]["episode_s"] for seed in range(200)]
    assert min(drawn) >= low and max(drawn) <= high and len({round(v, 3) for v in drawn}) > 20
    for seed in range(20):
        name, settings = draw_settings(seed)
        make_task(name, **settings)


# ---- tools and solids -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(TOOLS))
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_tools_of_no_size_are_refused(kind, value):
    config = TOOLS[kind].config
    for field in fields(config):
        if isinstance(field.default, float):
            refused(config, field.name, value)


@pytest.mark.parametrize("value", [-1.0, 0.0, math.nan])
def test_solids_of_no_size_are_refused(value):
    for name in ("size_m", "density_kg_m3", "friction"):
        refused(lambda **kw: SolidConfig(**({"kind": "box", "size_m": 0.02} | kw)), name, value)
