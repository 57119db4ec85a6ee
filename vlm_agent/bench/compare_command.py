"""`habilis bench compare A B`: two runs on the rows that both answered, paired.

Runs that share no row, but the rows that theirs are changed versions of (other conditions of one scene), are
paired by those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlm_agent.bench.aggregate import FloatArray
from vlm_agent.bench.log import write_figures
from vlm_agent.bench.results import marked, read_run

RESAMPLES = 10_000


def compare(invocation: Any) -> int:
    """Compare two runs under one scorer.

    Raises:
        ValueError: Not two runs of one benchmark, or no row in common.
    """
    if len(invocation.words) != 3:
        raise ValueError("bench compare takes two runs: their folders")
    started = time.perf_counter()
    one, other = (read_run(Path(word)) for word in invocation.words[1:])
    if one.benchmark.name != other.benchmark.name:
        raise ValueError(f"{one.folder} is of {one.benchmark.name}, {other.folder} of {other.benchmark.name}")
    if one.manifest["scorer"] != other.manifest["scorer"] and not invocation.cfg.scorer:
        raise ValueError(
            f"the runs have other scorers ({one.manifest['scorer']}, {other.manifest['scorer']}); "
            "say which with scorer="
        )
    scorer = invocation.cfg.scorer or one.manifest["scorer"]
    scores, groups = _means(marked(one, scorer), one.benchmark.aggregate_of(scorer))
    others, _ = _means(marked(other, scorer), one.benchmark.aggregate_of(scorer))
    original = None if scores.keys() & others.keys() else one.benchmark.original
    if original is not None:
        scores, others = by_original(scores, original), by_original(others, original)
        groups = {original(row_id): group for row_id, group in groups.items()}
    summary = {
        "benchmark": one.benchmark.name,
        "scorer": scorer,
        "a": str(one.folder),
        "b": str(other.folder),
        "paired_by": "original" if original else "id",
    }
    summary |= paired(scores, others, groups)
    summary |= {"void_a": sum(r["void"] for r in one.rows), "void_b": sum(r["void"] for r in other.rows)}
    summary |= {"seconds": round(time.perf_counter() - started, 3)}
    if invocation.json_to:
        write_figures(summary, invocation.json_to)
    if invocation.json_to != "-":
        from vlm_agent.bench.tables import print_comparison

        print_comparison(summary, one.benchmark.unit)
    return 0


def _means(found: Mapping[int, Sequence[Any]], aggregate: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Return the mean score of every row over its repetitions (after merging), and its group."""
    scores: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    for rows in found.values():
        for scored in aggregate.merge([s for _, s in rows if s.mark.score is not None]):
            scores.setdefault(scored.question.id, []).append(scored.mark.score)
            groups[scored.question.id] = scored.group
    return {row_id: float(np.mean(values)) for row_id, values in scores.items()}, groups


def by_original(scores: Mapping[str, float], original: Callable[[str], str]) -> dict[str, float]:
    """Return scores by what their rows are versions of; several versions of one row average."""
    found: dict[str, list[float]] = {}
    for row_id, score in scores.items():
        found.setdefault(original(row_id), []).append(score)
    return {row_id: float(np.mean(values)) for row_id, values in found.items()}


def paired(one: Mapping[str, float], other: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, Any]:
    """Compare scores of the rows that both have.

    Zeros and ones over independent rows: McNemar's exact test (1947). Else: the sign of each group's
    difference is flipped at random (10,000 times, seeded). The interval is a bootstrap over groups. Rows
    weigh the same.

    Returns:
        Figures, JSON-able: `difference` is b - a.

    Raises:
        ValueError: No row in common.
    """
    common = [row_id for row_id in one if row_id in other]
    if not common:
        raise ValueError("the two runs have no row in common that both answered")
    a, b = (np.array([scores[row_id] for row_id in common]) for scores in (one, other))
    codes = np.unique([groups[row_id] for row_id in common], return_inverse=True)[1]
    low, high = _interval(b - a, codes)
    gained, lost = int(np.sum(b > a)), int(np.sum(b < a))
    is_binary = set(np.unique([a, b])) <= {0.0, 1.0} and len(set(codes)) == len(codes)
    test = "McNemar, exact" if is_binary else "sign flips over groups"
    p = mcnemar(gained, lost) if is_binary else sign_flips(b - a, codes)
    return {
        "n": len(common),
        "score_a": float(a.mean()),
        "score_b": float(b.mean()),
        "difference": float((b - a).mean()),
        "ci95": [low, high],
        "p": p,
        "test": test,
        "better_in_b": gained,
        "better_in_a": lost,
        "only_in_a": len(one) - len(common),
        "only_in_b": len(other) - len(common),
    }


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p of McNemar's test: a fair coin over the rows that differ."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def _sums(values: FloatArray, codes: Any) -> FloatArray:
    return np.bincount(codes, weights=values).astype(float)


def sign_flips(difference: FloatArray, codes: Any, seed: int = 0) -> float:
    """Two-sided p of the mean difference when each group's sign is a coin."""
    sums = _sums(difference, codes)
    rng = np.random.default_rng(seed)
    flipped = rng.choice((-1.0, 1.0), size=(RESAMPLES, len(sums))) @ sums
    return float((1 + np.sum(np.abs(flipped) >= abs(sums.sum()) - 1e-12)) / (1 + RESAMPLES))


def _interval(difference: FloatArray, codes: Any, seed: int = 0) -> tuple[float, float]:
    sums, sizes = _sums(difference, codes), np.bincount(codes).astype(float)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=2000)
    low, high = np.quantile((counts @ sums) / (counts @ sizes), [0.025, 0.975])
    return float(low), float(high)
