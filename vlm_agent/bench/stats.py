"""Statistics of benchmark rows: proportions with intervals, and the claimed-against-true table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Proportion:
    """A success rate.

    Attributes:
        successes: Number of successes.
        n: Number of trials; void ones are not among them.
    """

    successes: int
    n: int

    @property
    def rate(self) -> float:
        """Successes / n (NaN without trials)."""
        return self.successes / self.n if self.n else float("nan")

    @property
    def ci95(self) -> tuple[float, float]:
        """Wilson score interval at 95 % (Wilson, 1927; scipy's implementation); (0, 1) without trials."""
        if not self.n:
            return 0.0, 1.0
        from scipy.stats import binomtest

        interval = binomtest(self.successes, self.n).proportion_ci(0.95, method="wilson")
        return float(interval.low), float(interval.high)

    def __str__(self) -> str:
        """``97.5 % [94.3, 98.9] (195/200)``, or ``no trials``."""
        if not self.n:
            return "no trials"
        low, high = self.ci95
        return f"{100 * self.rate:.1f} % [{100 * low:.1f}, {100 * high:.1f}] ({self.successes}/{self.n})"


def proportion(flags: Sequence[bool]) -> Proportion:
    """Count true flags."""
    return Proportion(sum(map(bool, flags)), len(flags))


def confusion(claimed: Sequence[bool], true: Sequence[bool]) -> dict[str, int]:
    """Return the 2x2 table of claimed (sensed) success against true success.

    Raises:
        ValueError: If the lengths differ.
    """
    pairs = list(zip(claimed, true, strict=True))
    return {
        "claimed_and_true": sum(c and t for c, t in pairs),
        "claimed_not_true": sum(c and not t for c, t in pairs),
        "true_not_claimed": sum(t and not c for c, t in pairs),
        "neither": sum(not c and not t for c, t in pairs),
    }
