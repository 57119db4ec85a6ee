"""Which episode every environment is in: seed, number, step, difficulty, and the key of its random draws."""

from __future__ import annotations

import torch
from torch import Tensor

from sim.batch.curriculum import CurriculumConfig, LearningProgress
from sim.batch.rng import EnvRandom, episode_keys


class Episodes:
    """The episodes of all environments.

    Args:
        num_envs: Number of environments.
        seed: Seed of environment 0; environment i has seed + i.
        difficulty: Hardest difficulty drawn; without a curriculum, that of all.
        curriculum: Whether and how difficulty follows learning progress.
        device: Device of the tensors.
    """

    def __init__(
        self, num_envs: int, seed: int, difficulty: float, curriculum: CurriculumConfig, device: torch.device
    ) -> None:
        """See the class."""
        self._config, self._hardest = curriculum, difficulty
        self.everyone = torch.arange(num_envs, device=device)
        self.seeds = self.everyone + seed
        self.number = torch.full_like(self.seeds, -1)
        self.steps, self.key, self._arm = (torch.zeros_like(self.seeds) for _ in range(3))
        self.difficulty = torch.full((num_envs,), difficulty, device=device)
        self.curriculum = LearningProgress(curriculum.num_bins, curriculum, device)

    def reseed(self, ids: Tensor, seed: int) -> None:
        """Give `ids` (n,) the seeds of environment 0 having `seed`; their next episode is number 0."""
        self.seeds[ids] = ids + seed
        self.number[ids] = -1

    def begin(self, ids: Tensor) -> EnvRandom:
        """Begin the next episode of `ids` (n,) and return its draws."""
        self.number[ids] += 1
        self.steps[ids] = 0
        self.key[ids] = episode_keys(self.seeds[ids], self.number[ids])
        random = EnvRandom(self.key[ids])
        if self._config.enabled:  # a bin by learning progress, and a difficulty in it
            draw = random.uniform("difficulty", size=2)
            self._arm[ids] = self.curriculum.sample(draw[:, 0])
            self.difficulty[ids] = (self._arm[ids] + draw[:, 1]) * (self._hardest / self._config.num_bins)
        return random

    def end(self, ids: Tensor, success: Tensor) -> None:
        """Tell the curriculum how the episodes of `ids` (n,) ended: success in [0, 1], (n,)."""
        if self._config.enabled:
            self.curriculum.update(self._arm[ids], success)

    def memory(self) -> dict[str, Tensor]:
        """Return the tensors that the next episodes depend on; for saving and restoring."""
        memory = {"seeds": self.seeds, "episode": self.number, "key": self.key, "arm": self._arm}
        memory |= {f"curriculum.{k}": v for k, v in self.curriculum.memory().items()}
        return memory | {"difficulty": self.difficulty}
