"""What a run may use: turns of the model, tool calls, wall time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Limits of a run.

    Attributes:
        max_turns: Replies of the model.
        max_calls: Tool calls, `finish` not counted.
        max_seconds: Wall time [s].
    """

    max_turns: int = 40
    max_calls: int = 120
    max_seconds: float = 600.0

    def __post_init__(self) -> None:
        """Refuse limits that allow nothing."""
        if self.max_turns < 1 or self.max_calls < 0 or not self.max_seconds > 0:
            raise ValueError(f"budget must be positive, got {self}")


class BudgetMeter:
    """Counts what a run has used."""

    def __init__(self, budget: Budget, wall: Callable[[], float] = time.perf_counter) -> None:
        """Start counting."""
        self.budget, self._wall = budget, wall
        self._start = wall()
        self.turns = self.calls = 0

    @property
    def seconds(self) -> float:
        """Wall time used [s]."""
        return self._wall() - self._start

    @property
    def turns_left(self) -> int:
        """Replies left."""
        return self.budget.max_turns - self.turns

    @property
    def calls_left(self) -> int:
        """Tool calls left."""
        return self.budget.max_calls - self.calls

    @property
    def seconds_left(self) -> float:
        """Wall time left [s], never negative."""
        return max(0.0, self.budget.max_seconds - self.seconds)

    def line(self) -> str:
        """Say what is left, for the model."""
        text = (
            f"left: {self.turns_left} of {self.budget.max_turns} turns, "
            f"{self.calls_left} of {self.budget.max_calls} calls, "
            f"{self.seconds_left:.0f} of {self.budget.max_seconds:.0f} s."
        )
        if self.turns_left == 1:
            text += " This is the last turn: call finish now."
        elif self.calls_left <= 0:
            text += " No calls are left: call finish now."
        return text
