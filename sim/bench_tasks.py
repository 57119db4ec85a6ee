"""The tasks that `habilis bench-sim` can measure: those there are, and those drawn from a seed."""

from __future__ import annotations

from sim.batch.task import Task
from sim.tasks.registry import make_task


def bench_task(name: str) -> Task:
    """Return a task by name; `procedural` is the one that seed 0 stands for, `procedural:7` that of seed 7.

    Raises:
        ValueError: If there is no such task, or the seed is none.
    """
    kind, _, seed = name.partition(":")
    if kind != "procedural":
        return make_task(name)
    from sim.tasks.procedural import draw_task

    if seed and not seed.isdecimal():
        raise ValueError(f"{name!r} has no seed; use procedural:7 for the task of seed 7")
    return draw_task(int(seed or 0))
