"""The reward of a step from a task's named terms, and their sums over the episodes."""

from __future__ import annotations

import torch
from torch import Tensor

from sim.batch.task import Task


class Scores:
    """Adds up the terms of a task.

    Args:
        task: The task, bound.
        num_envs: Number of environments.
        device: Device of the tensors.
    """

    def __init__(self, task: Task, num_envs: int, device: torch.device) -> None:
        """See the class."""
        self._goal_terms, self._shaping = task.weighted_terms()
        self._is_sparse = task.config.reward == "sparse"
        self.names = ("return", *(f"reward/{t}" for t in (*self._goal_terms, *self._shaping)))
        self.sums = torch.zeros(len(self.names), num_envs, device=device)
        self._zeros = torch.zeros(num_envs, device=device)

    def add(
        self, achieved: Tensor, desired: Tensor, success: Tensor, fault: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return reward and shaping, (num_envs,) each, and add every term to its sum of the episode.

        Args:
            achieved: Achieved goals, (num_envs, goal).
            desired: Desired goals, (num_envs, goal).
            success: Whether they are the same, bool (num_envs,).
            fault: Which environments diverged and have no shaping, bool (num_envs,); None for none.
        """
        shaping_values = [t.weight * t.fn() for t in self._shaping.values()]
        if fault is not None:
            shaping_values = [torch.where(fault, 0.0, value) for value in shaping_values]
        shaping = sum(shaping_values, self._zeros)
        if self._is_sparse:
            goal_values = [self._zeros] * len(self._goal_terms)
            reward = success.to(torch.float32) - 1.0
        else:
            goal_values = [t.weight * t.fn(achieved, desired) for t in self._goal_terms.values()]
            reward = sum(goal_values, shaping)
        self.sums += torch.stack((reward, *goal_values, *shaping_values))
        return reward, shaping

    def of(self, ids: Tensor | slice) -> dict[str, Tensor]:
        """Return the sums of `ids` (k,) so far, by name, (k,) each."""
        return dict(zip(self.names, self.sums[:, ids], strict=True))
