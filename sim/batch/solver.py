"""The contract of a solver: acts on an environment's true state, so that a task is known to be solvable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sim.batch.env import BatchEnv


class Solver(ABC):
    """Acts from truth: it may read the environment's task, handles and physics.

    Args:
        env: The environment; `env.episode_step` is 0 where an episode has just begun.
    """

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        self.env = env

    @abstractmethod
    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Return actions in [-1, 1], (num_envs, num_actions)."""


@dataclass(frozen=True)
class SolveRate:
    """How often goals were achieved at the end of the first episode.

    Attributes:
        successes: Episodes whose goal was achieved at their end (or when they terminated by success).
        episodes: Episodes run: the first of each environment.
    """

    successes: int
    episodes: int

    @property
    def rate(self) -> float:
        """Share of successes."""
        return self.successes / self.episodes


def measure(env: BatchEnv, solver: Solver) -> SolveRate:
    """Run the first episode of every environment and count successes under the sparse criterion."""
    obs = env.reset(seed=env.config.seed)
    done = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
    success = torch.zeros_like(done)
    for _ in range(env.task.config.max_steps):
        obs, _, terminated, truncated, info = env.step(solver.act(obs))
        ended = (terminated | truncated) & ~done
        success |= ended & info["success"]
        done |= ended
        if done.all():
            break
    return SolveRate(int(success.sum()), env.num_envs)
