"""Many runs: one after the other, and their results side by side."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policies.runs import new_run_folder

OVERRIDES = "overrides.json"


def run_jobs(invocation: Any, train_one: Callable[[Any, Any, Path | None], int]) -> int:
    """Train each job of a sweep; one that fails is reported and the next begins.

    Returns:
        0, or the exit code of the first job that did not finish.
    """
    first = invocation.compose(invocation.jobs[0])
    if first.resume:
        raise ValueError("-m starts new runs; resume one at a time")
    sweep = new_run_folder(str(Path(first.run_dir) / first.name), "sweep")
    assert sweep is not None
    worst = 0
    for number, overrides in enumerate(invocation.jobs, start=1):
        cfg = first if number == 1 else invocation.compose(overrides)
        folder = sweep / f"{number:03d}"
        folder.mkdir()
        (folder / OVERRIDES).write_text(json.dumps(list(overrides)) + "\n", encoding="utf-8")
        print(f"[{number}/{len(invocation.jobs)}] {' '.join(overrides)}")
        try:
            code = train_one(invocation, cfg, folder)
        except Exception as error:
            print(f"  failed: {error}")
            code = 1
        worst = worst or code
        if code == 130:
            break
    print(f"habilis sweep {sweep}")
    return worst


def summarise(folder: Path) -> list[dict[str, Any]]:
    """Return one row per setting (all overrides but the seed): success over its seeds.

    Rows have `setting`, `seeds`, `score` (mean of the last evaluations), `ci95` (Student's t over
    seeds; None for a single seed), `best`, `env_steps`, `seconds`.

    Raises:
        ValueError: If there is no finished run in the folder.
    """
    from policies.training.run_folder import ABOUT

    if not folder.is_dir():
        raise ValueError(f"no folder {folder}")
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in sorted(folder.rglob(ABOUT)):
        facts = json.loads(file.read_text(encoding="utf-8"))
        if facts.get("score") is None:
            continue
        named = file.parent / OVERRIDES
        overrides = json.loads(named.read_text(encoding="utf-8")) if named.is_file() else [facts["name"]]
        groups[" ".join(o for o in overrides if not o.startswith("seed="))].append(facts)
    if not groups:
        raise ValueError(f"no evaluated run in {folder}")
    return [_row(setting, runs) for setting, runs in groups.items()]


def _row(setting: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    scores, n = [r["score"] for r in runs], len(runs)
    mean = sum(scores) / n
    return {
        "setting": setting,
        "seeds": n,
        "score": mean,
        "ci95": _student(scores, mean),
        "best": max(r["best"] for r in runs),
        "env_steps": sum(r["env_steps"] for r in runs) / n,
        "seconds": sum(r["seconds"] for r in runs) / n,
    }


def _student(values: list[float], mean: float) -> list[float] | None:
    """Return the 95 % interval of a mean, kept in [0, 1]; None for a single value."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return None
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return [max(0.0, mean - half), min(1.0, mean + half)]


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows of `summarise`."""
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "seeds", "success", "95 %", "best", "steps", "min")
    for row in rows:
        low_high = "-" if row["ci95"] is None else "{:.1%} to {:.1%}".format(*row["ci95"])
        minutes = f"{row['seconds'] / 60:.1f}"
        table.add_row(
            row["setting"], str(row["seeds"]), f"{row['score']:.1%}", low_high,
            f"{row['best']:.1%}", f"{row['env_steps']:,.0f}", minutes,
        )  # fmt: skip
    Console().print(table)
