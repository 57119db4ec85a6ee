"""A run read back from its log: questions, marks, figures; needs the log and the benchmark alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_agent.bench.budget_curve import budget_curves
from vlm_agent.bench.confidence import calibration
from vlm_agent.bench.contract import Benchmark, Mark, Scored
from vlm_agent.bench.failures import failure_of
from vlm_agent.bench.faithfulness import faithfulness
from vlm_agent.bench.log import Row, key_of
from vlm_agent.bench.one_row import question_of
from vlm_agent.bench.registry import load_benchmark
from vlm_agent.bench.runner import read_rows
from vlm_agent.bench.scoring import WRONG, jsonable_or_text, summary_of


@dataclass(frozen=True)
class Run:
    """A run's folder.

    Attributes:
        folder: Where it is.
        manifest: What it rests on.
        rows: The log, one row per question and repetition; the last where one was asked again.
        benchmark: Its benchmark.
    """

    folder: Path
    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    benchmark: Benchmark

    @property
    def repetitions(self) -> list[int]:
        """Numbers of the repetitions."""
        return sorted({row.get("repetition", 0) for row in self.rows})


def read_run(folder: Path) -> Run:
    """Read a run.

    Raises:
        ValueError: It is none, or its log is torn before the last line.
    """
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise ValueError(f"{folder} is no run of habilis bench: it has no manifest.json")
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{manifest} is not JSON: {error}") from error
    latest: dict[Any, Row] = {}
    for row in read_rows(folder / "rows.jsonl"):
        if key_of(row) not in latest or not row["void"]:
            latest[key_of(row)] = row
    rows = sorted(latest.values(), key=lambda row: (row.get("repetition", 0), row.get("number", 0)))
    return Run(folder, told, rows, load_benchmark(told["benchmark"]))


def marked(run: Run, scorer: str) -> dict[int, list[tuple[Row, Scored]]]:
    """Mark every row that is not void under a scorer, by repetition.

    Raises:
        ValueError: No such scorer, or a row lacks what it needs.
    """
    _, used = run.benchmark.scorer(scorer)
    found: dict[int, list[tuple[Row, Scored]]] = {r: [] for r in run.repetitions}
    for row in run.rows:
        if row["void"]:
            continue
        question = question_of(row)
        lacking = [fact for fact in used.needs if fact not in question.facts]
        if lacking and str(question.answer).strip().lower() not in ("yes", "no"):
            raise ValueError(f"row {row['id']!r} has no {lacking[0]}: {used.needs[lacking[0]]}")
        mark = WRONG if question.answer in ("", None) else used.score(row["output"], question)
        found[row.get("repetition", 0)].append((row, Scored(question, mark)))
    return found


def figures_of(run: Run, scorer: str, *, seed: int = 0) -> tuple[dict[str, Any], list[Row]]:
    """Return a run's figures under a scorer, and its rows with their marks.

    Raises:
        ValueError: As `marked`.
    """
    found = marked(run, scorer)
    void = [row for row in run.rows if row["void"]]
    sets = [[s for _, s in rows] for rows in found.values()]
    summary = summary_of(run.benchmark, scorer, *sets, void=len(void), seed=seed)
    summary["missing"] = run.manifest["num_rows"] * len(found) - len(run.rows)
    each = [summary_of(run.benchmark, scorer, rows)["score"] for rows in sets] if len(sets) > 1 else []
    summary |= {"repetitions": len(sets), "by_repetition": each}
    rows = [remarked(row, s) for rows in found.values() for row, s in rows] + void
    if (other := run.benchmark.strict_of(scorer)) is not None:
        strict = marked(run, other)
        beside = summary_of(run.benchmark, other, *([s for _, s in r] for r in strict.values()))
        summary["strict"] = {k: beside[k] for k in ("score", "n", "ci95", "unparsed", "totals")}
    return summary | costs_of(run, rows) | trust_of(rows), rows


def remarked(row: Row, scored: Scored) -> Row:
    """Return a row of the log with another mark."""
    mark: Mark = scored.mark
    return row | {
        "score": mark.score,
        "parsed": jsonable_or_text(mark.parsed),
        "is_parsed": mark.is_parsed,
        "parts": dict(mark.parts),
        "note": mark.note,
        "failure": failure_of(row, scored.question, mark),
    }


def trust_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what else tells whether a score may be trusted; None where the rows do not say it.

    Keys: `faithfulness` (did answers rest on a look at the right place), `calibration` (is stated confidence
    worth anything), `budget` (score against calls and seconds).
    """
    return {
        "faithfulness": faithfulness(rows),
        "calibration": calibration(rows),
        "budget": budget_curves(rows),
    }


def costs_of(run: Run, rows: Sequence[Row]) -> dict[str, Any]:
    """Return what a run took: time, tokens, calls, and how its rows failed."""
    import numpy as np

    good = [row for row in rows if not row["void"]]
    tokens: Counter[str] = Counter()
    for row in good:
        tokens.update(row["tokens"])
    seconds = [row["seconds"] for row in good]
    chance = [run.benchmark.chance(question_of(r)) for r in good] if run.benchmark.chance else []
    return {
        "failures": dict(Counter(row["failure"] for row in rows if row["failure"]).most_common()),
        "abstained": sum(row["failure"] == "abstained" for row in rows),
        "chance": float(np.mean(chance)) if chance else None,
        "tokens": dict(tokens),
        "cached_replies": sum(row["cached"] for row in good),
        "requests": sum(row["requests"] for row in good),
        "tool_calls": sum(len(row["calls"]) for row in good),
        "seconds_per_row": {
            "p50": float(np.median(seconds)) if seconds else None,
            "p95": float(np.quantile(seconds, 0.95)) if seconds else None,
        },
    }
