"""An automatic curriculum: practise where the success rate is changing.

Arms are bins of difficulty (or whole tasks). Each keeps a fast and a slow running mean of success; the
absolute difference is its learning progress, and arms are drawn in proportion to it, with a share
drawn uniformly. So what is mastered and what is hopeless get little time (Oudeyer et al., 2007;
Matiisen et al., 2017, arXiv 1707.00183; Portelas et al., 2019, arXiv 1910.07224).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CurriculumConfig:
    """How difficulty is chosen at each reset.

    Attributes:
        enabled: Whether to choose it by learning progress; else it is always the task's `difficulty`.
        num_bins: Bins that the range of difficulties is split into.
        exploration: Share of episodes drawn uniformly, in (0, 1].
        fast: Weight of one new episode in the fast running mean, in (0, 1).
        slow: The same in the slow one, smaller than `fast`.
    """

    enabled: bool = False
    num_bins: int = 8
    exploration: float = 0.2
    fast: float = 0.1
    slow: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what can't work."""
        if self.num_bins < 2:
            raise ValueError(f"num_bins is {self.num_bins}; a curriculum needs at least 2")
        if not 0.0 < self.exploration <= 1.0:
            raise ValueError(f"exploration is {self.exploration}; use a share in (0, 1]")
        if not 0.0 < self.slow < self.fast < 1.0:
            raise ValueError(f"slow {self.slow} and fast {self.fast} must satisfy 0 < slow < fast < 1")


class LearningProgress:
    """Draws arms by learning progress.

    Args:
        num_arms: Number of arms.
        config: Rates and exploration.
        device: Device of the tensors.
    """

    def __init__(self, num_arms: int, config: CurriculumConfig, device: torch.device | str = "cpu") -> None:
        """See the class."""
        self._config = config
        self.fast, self.slow = (torch.zeros(num_arms, device=device) for _ in range(2))
        self.count = torch.zeros(num_arms, dtype=torch.int64, device=device)

    @property
    def progress(self) -> Tensor:
        """Absolute learning progress of each arm, (num_arms,)."""
        return (self.fast - self.slow).abs()

    def probabilities(self) -> Tensor:
        """Return how likely each arm is drawn next, (num_arms,); uniform while nothing is known."""
        uniform = torch.full_like(self.fast, 1.0 / len(self.fast))
        progress = self.progress
        total = progress.sum()
        share = torch.where(total > 1e-6, progress / torch.clamp(total, min=1e-6), uniform)
        return self._config.exploration * uniform + (1.0 - self._config.exploration) * share

    def sample(self, uniform: Tensor) -> Tensor:
        """Return arms int64 for draws from [0, 1), (n,)."""
        edges = torch.cumsum(self.probabilities(), 0)
        return torch.clamp(torch.searchsorted(edges, uniform.contiguous()), max=len(edges) - 1)

    def update(self, arms: Tensor, success: Tensor) -> None:
        """Take in finished episodes: arms int64 (n,), success in [0, 1] (n,).

        Episodes of one call count as if their mean had come once for each of them.
        """
        count = torch.zeros_like(self.fast).index_add_(0, arms, torch.ones_like(success))
        mean = torch.zeros_like(self.fast).index_add_(0, arms, success) / torch.clamp(count, min=1.0)
        for track, rate in ((self.fast, self._config.fast), (self.slow, self._config.slow)):
            track += (1.0 - (1.0 - rate) ** count) * (mean - track)
        self.count += count.to(torch.int64)

    def forget(self) -> None:
        """Forget all episodes."""
        for value in self.memory().values():
            value.zero_()

    def memory(self) -> dict[str, Tensor]:
        """Return the tensors that the next draw depends on; for saving and restoring."""
        return {"fast": self.fast, "slow": self.slow, "count": self.count}
