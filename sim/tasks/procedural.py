"""Tasks drawn from a seed: which task, and the settings in which it varies.

A task class lists in `variations` what of its config may be drawn; difficulty and randomisation vary in
all. An episode's length is drawn in whole control steps. Equal seeds give equal tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.tasks.registry import TASKS, make_task, task_class

if TYPE_CHECKING:
    from sim.batch.task import Task, Variation


def draw_settings(seed: int, names: Sequence[str] | None = None) -> tuple[str, dict[str, Any]]:
    """Draw a task's name and settings.

    Args:
        seed: Any integer from 0.
        names: Tasks to draw from, all if None.

    Raises:
        ValueError: If a name is unknown, `names` is empty or the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; use an integer from 0")
    pool = sorted(TASKS if names is None else names)
    if not pool:
        raise ValueError("no task to draw from; give at least one name")
    rng = np.random.default_rng(seed)
    name = pool[int(rng.integers(len(pool)))]
    variations = task_class(name).all_variations()
    settings = {field: _draw(rng, variations[field]) for field in sorted(variations)}
    if "episode_s" in settings:
        low, high = variations["episode_s"]
        step_dt = task_class(name).config_class().step_dt
        steps = round(settings["episode_s"] / step_dt)
        steps = min(max(steps, math.ceil(low / step_dt - 1e-6)), math.floor(high / step_dt + 1e-6))
        settings["episode_s"] = steps * step_dt
    return name, settings


def draw_task(seed: int, names: Sequence[str] | None = None) -> Task:
    """Build the task that a seed stands for; see `draw_settings`."""
    name, settings = draw_settings(seed, names)
    return make_task(name, **settings)


def _draw(rng: np.random.Generator, variation: Variation) -> Any:
    if isinstance(variation, tuple):
        low, high = variation
        if isinstance(low, int) and isinstance(high, int):
            return int(rng.integers(low, high + 1))
        return float(rng.uniform(low, high))
    return variation[int(rng.integers(len(variation)))]
