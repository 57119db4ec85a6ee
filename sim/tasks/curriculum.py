"""Which task to practise next: the one whose success rate is changing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sim.batch.curriculum import CurriculumConfig, LearningProgress
from sim.tasks.registry import TASKS


class TaskCurriculum:
    """Draws tasks by learning progress; see `sim.batch.curriculum`.

    A trainer asks for a task, practises it for a while, and tells how its episodes ended. Equal seeds
    and equal outcomes give equal draws.

    Args:
        names: Tasks to draw from.
        config: Rates and exploration.
        seed: Of the draws.

    Raises:
        ValueError: If there are fewer than two tasks, or one is unknown.
    """

    def __init__(self, names: Sequence[str], config: CurriculumConfig | None = None, seed: int = 0) -> None:
        """See the class."""
        unknown = [name for name in names if name not in TASKS]
        if unknown:
            raise ValueError(f"unknown task {unknown[0]!r}; tasks: {', '.join(sorted(TASKS))}")
        if len(set(names)) < 2 or len(set(names)) < len(names):
            raise ValueError(f"{list(names)}: a curriculum needs at least two different tasks")
        self.names = tuple(names)
        self._arms = LearningProgress(len(self.names), config or CurriculumConfig())
        self._rng = np.random.default_rng(seed)

    def probabilities(self) -> dict[str, float]:
        """Return how likely each task is drawn next."""
        return dict(zip(self.names, self._arms.probabilities().tolist(), strict=True))

    def draw(self) -> str:
        """Return the task to practise next."""
        uniform = torch.tensor([self._rng.random()], dtype=torch.float32)
        return self.names[int(self._arms.sample(uniform)[0])]

    def update(self, name: str, success: Tensor) -> None:
        """Take in finished episodes of a task: success in [0, 1], (n,)."""
        arms = torch.full((len(success),), self.names.index(name), dtype=torch.int64)
        self._arms.update(arms, success.detach().cpu().to(torch.float32))
