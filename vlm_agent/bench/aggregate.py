"""How marks add up: a statistic over weighted sums, so that the estimate and its interval are one formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlm_agent.bench.stats import Proportion

if TYPE_CHECKING:
    from vlm_agent.bench.contract import Scored

FloatArray = NDArray[np.float64]
RESAMPLES = 2000
CHUNK = 250  # resamples at a time


class Sums:
    """Weighted sums over rows, shape (B,): one entry per resample, the first call has B = 1.

    Args:
        scores: Scores of the rows, shape (n,).
        parts: Further figures of the rows by name, each (n,).
        categories: Category of each row.
        weights: How often each row counts, shape (B, n).
    """

    def __init__(
        self,
        scores: FloatArray,
        parts: Mapping[str, FloatArray],
        categories: NDArray[np.str_],
        weights: FloatArray,
    ) -> None:
        """See the class."""
        self._columns = {"score": scores, **parts}
        self._categories = categories
        self._weights = weights

    @property
    def categories(self) -> list[str]:
        """Categories that occur, in order of first occurrence."""
        return list(dict.fromkeys(self._categories.tolist()))

    def count(self, *categories: str) -> FloatArray:
        """Return the weight of the rows (of some categories)."""
        return self._weights[:, self._of(categories)].sum(axis=1)

    def total(self, part: str = "score", *categories: str) -> FloatArray:
        """Return the sum of a figure (over some categories); 0 for a figure that no row has."""
        column = self._columns.get(part)
        if column is None:
            return np.zeros(len(self._weights))
        chosen = self._of(categories)
        return self._weights[:, chosen] @ column[chosen]

    def mean(self, part: str = "score", *categories: str) -> FloatArray:
        """Return the mean of a figure (over some categories), NaN over none."""
        count = self.count(*categories)
        return np.divide(
            self.total(part, *categories), count, out=np.full(len(count), np.nan), where=count > 0
        )

    def ratio(self, above: str, below: str) -> FloatArray:
        """Return the ratio of two sums, 0 where the lower is 0."""
        low = self.total(below)
        return np.divide(self.total(above), low, out=np.zeros(len(low)), where=low > 0)

    def _of(self, categories: Sequence[str]) -> NDArray[np.bool_]:
        if not categories:
            return np.ones(len(self._categories), bool)
        return np.isin(self._categories, categories)


Statistic = Callable[[Sums], FloatArray]


def row_mean(sums: Sums) -> FloatArray:
    """Mean over all rows."""
    return sums.mean()


def category_mean(sums: Sums) -> FloatArray:
    """Mean of the means of the categories that occur; a resample without one of them averages the rest."""
    means = np.stack([sums.mean("score", name) for name in sums.categories])
    return np.nanmean(means, axis=0)


def f1(sums: Sums, hits: str, predicted: str, gold: str) -> FloatArray:
    """Micro F1 of three counts."""
    precision, recall = sums.ratio(hits, predicted), sums.ratio(hits, gold)
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros(len(both)), where=both > 0)


def pairs(scored: Sequence[Scored]) -> Sequence[Scored]:
    """Make one row of each group: right iff all of its rows are (MMVP's pairs, circular rotations)."""
    from dataclasses import replace

    groups: dict[str, list[Scored]] = {}
    for row in scored:
        groups.setdefault(row.group, []).append(row)
    return [
        replace(rows[0], mark=replace(rows[0].mark, score=min(r.mark.score or 0.0 for r in rows)))
        for rows in groups.values()
    ]


def _same(scored: Sequence[Scored]) -> Sequence[Scored]:
    return scored


@dataclass(frozen=True)
class Aggregate:
    """How marks add up.

    Attributes:
        statistic: The score.
        totals: Further figures by name.
        merge: Makes one row of rows that count together (pairs, rotations).
        about: The rule in words.
    """

    statistic: Statistic = row_mean
    totals: Mapping[str, Statistic] = field(default_factory=dict)
    merge: Callable[[Sequence[Scored]], Sequence[Scored]] = _same
    about: str = "mean over rows"


MEAN = Aggregate()
MACRO = Aggregate(category_mean, {"row_weighted": row_mean}, about="mean of the accuracies of the categories")


@dataclass(frozen=True)
class Figures:
    """What a set of marks amounts to.

    Attributes:
        score: The score, None without rows.
        n: Rows in the denominator (after merging), however often each was asked.
        ci95: 95 % interval: Wilson's for a mean of zeros and ones over independent rows, else a bootstrap
            over groups.
        interval: Which of them.
        totals: Further figures.
        categories: `score`, `n`, `ci95` of each category.
    """

    score: float | None
    n: int
    ci95: tuple[float, float] | None
    interval: str
    totals: dict[str, float | None] = field(default_factory=dict)
    categories: dict[str, dict[str, Any]] = field(default_factory=dict)


def figures(*repetitions: Sequence[Scored], aggregate: Aggregate, seed: int = 0) -> Figures:
    """Add marks up; rows with a score of None are not in the denominator, but their parts are in the totals.

    Args:
        repetitions: Marked questions, once per repetition; rows are merged within each, and all answers to
            one question are one cluster of the interval.
        aggregate: How.
        seed: Of the bootstrap.
    """
    rows: list[Scored] = []
    beside: list[Scored] = []
    for scored in repetitions:
        rows += aggregate.merge([s for s in scored if s.mark.score is not None])
        beside += [s for s in scored if s.mark.score is None and s.mark.parts]
    if not rows:
        return Figures(None, 0, None, "none")
    once = _sums(rows, np.ones((1, len(rows))))
    every = _sums([*rows, *beside], np.ones((1, len(rows) + len(beside)))) if beside else once
    score = float(aggregate.statistic(once)[0])
    interval, ci95 = _interval(rows, aggregate.statistic, seed)
    names = once.categories
    return Figures(
        _finite(score),
        len({r.question.id for r in rows}),
        ci95,
        interval,
        {name: _finite(float(statistic(every)[0])) for name, statistic in aggregate.totals.items()},
        {name: _category([r for r in rows if r.question.category == name], seed) for name in names},
    )


def _category(rows: Sequence[Scored], seed: int) -> dict[str, Any]:
    mean = float(np.mean([r.mark.score for r in rows if r.mark.score is not None]))
    return {
        "score": mean,
        "n": len({r.question.id for r in rows}),
        "ci95": list(_interval(rows, row_mean, seed)[1]),
    }


def _interval(rows: Sequence[Scored], statistic: Statistic, seed: int) -> tuple[str, tuple[float, float]]:
    groups = [r.group for r in rows]
    is_binary = all(r.mark.score in (0.0, 1.0) for r in rows)
    if statistic is row_mean and is_binary and len(set(groups)) == len(groups):
        hits = sum(r.mark.score == 1.0 for r in rows)
        return "wilson", Proportion(hits, len(rows)).ci95
    low, high = bootstrap(rows, statistic, seed=seed)
    if is_binary and low == high and low in (0.0, 1.0):  # all alike: resampling knows no spread
        return "wilson over groups", Proportion(int(low) * len(set(groups)), len(set(groups))).ci95
    return "bootstrap over groups", (low, high)


def bootstrap(
    rows: Sequence[Scored], statistic: Statistic, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic, resampling groups of rows (Efron, 1979)."""
    codes = np.unique([r.group for r in rows], return_inverse=True)[1]
    num_groups = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(0, resamples, CHUNK):
        counts = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=CHUNK)
        values.append(statistic(_sums(rows, counts[:, codes].astype(float))))
    drawn = np.concatenate(values)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return float("-inf"), float("inf")
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _sums(rows: Sequence[Scored], weights: FloatArray) -> Sums:
    names = dict.fromkeys(name for r in rows for name in r.mark.parts)
    return Sums(
        np.array([r.mark.score or 0.0 for r in rows], float),
        {name: np.array([r.mark.parts.get(name, 0.0) for r in rows], float) for name in names},
        np.array([r.question.category for r in rows], dtype=np.str_),
        weights,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
