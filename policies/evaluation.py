"""How often a policy succeeds: whole episodes on seeds of their own, with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from scipy.stats import norm

from policies.env import Env

if TYPE_CHECKING:
    from torch import Tensor

    from policies.networks import PolicyNet
    from policies.policy import PolicySpec
    from policies.training.trainer import Act


@dataclass(frozen=True)
class EvalConfig:
    """How a policy is evaluated.

    Attributes:
        episodes: Number of episodes.
        num_envs: How many of them at once.
        seed: Seed of the first episode; episode j has seed + j.
        hold_s: How long the goal must have been achieved without a break when the episode ends [s].
    """

    episodes: int = 100
    num_envs: int = 50
    seed: int = 1_000_000_000
    hold_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no evaluation."""
        if self.episodes < 1 or self.num_envs < 1:
            raise ValueError(f"evaluate at least 1 episode in 1 environment, not {self.episodes}")
        if self.hold_s < 0.0:
            raise ValueError(f"hold_s is {self.hold_s}; use 0 or more seconds")


@dataclass(frozen=True)
class Evaluation:
    """What was seen.

    Attributes:
        successes: Whether each episode ended with its goal achieved (and held).
        returns: Sum of rewards of each.
        lengths: Control steps of each.
        faults: Episodes whose simulation diverged; they count as failures.
    """

    successes: tuple[bool, ...]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    faults: int

    @property
    def rate(self) -> float:
        """Share of successes."""
        return sum(self.successes) / len(self.successes)

    @property
    def ci95(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate."""
        return wilson(sum(self.successes), len(self.successes))

    def to_json(self) -> dict[str, Any]:
        """Return the figures of `--json`."""
        n = len(self.successes)
        return {
            "score": self.rate,
            "n": n,
            "ci95": list(self.ci95),
            "mean_return": sum(self.returns) / n,
            "mean_length": sum(self.lengths) / n,
            "faults": self.faults,
        }


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson, 1927, JASA 22)."""
    z = float(norm.ppf(0.5 + level / 2))
    p, q = successes / n, z * z / n
    centre, half = (p + q / 2) / (1 + q), z / (1 + q) * math.sqrt(p * (1 - p) / n + q / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def evaluate(
    env: Env,
    act: Act,
    config: EvalConfig,
    on_reset: Callable[[], None] = lambda: None,
    on_batch: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Run whole episodes; those with the same seeds begin alike for every policy.

    Args:
        env: `config.num_envs` environments that do not reset by themselves.
        act: What acts, deterministically; it sees all environments.
        config: How many, which seeds.
        on_reset: Called after each reset, for policies that remember.
        on_batch: Told how many episodes are done, after each batch of them.
    """
    found: list[tuple[bool, float, int, bool]] = []
    for first in range(0, config.episodes, env.num_envs):
        found += _batch(env, act, config, first, on_reset)
        on_batch(min(len(found), config.episodes))
    good, returns, lengths, faults = zip(*found[: config.episodes], strict=True)
    return Evaluation(good, returns, lengths, sum(faults))


class Evaluator:
    """Evaluates networks in environments that it owns.

    Args:
        env: Environments that do not reset by themselves.
        config: How many episodes, which seeds.
    """

    def __init__(self, env: Env, config: EvalConfig) -> None:
        """See the class."""
        self._env, self._config = env, config

    @property
    def spec(self) -> PolicySpec:
        """Specs of the environments."""
        return self._env.spec

    @property
    def task(self) -> str | None:
        """Name of the environments' task, None if they have none."""
        return getattr(getattr(self._env, "task", None), "name", None)

    def __call__(self, net: PolicyNet) -> Evaluation:
        """Evaluate a network."""
        net = net.to(self._env.device)
        return evaluate(self._env, net.act, self._config, on_reset=net.reset)

    def close(self) -> None:
        """Release the environments; idempotent."""
        self._env.close()


def _batch(
    env: Env, act: Act, config: EvalConfig, first: int, on_reset: Callable[[], None]
) -> list[tuple[bool, float, int, bool]]:
    """Run the episodes first ... first + num_envs - 1."""
    obs: Mapping[str, Tensor] = env.reset(config.seed + first)
    on_reset()
    n, hold = env.num_envs, max(1, round(config.hold_s / env.spec.step_dt))
    alive = torch.ones(n, dtype=torch.bool, device=env.device)
    held, length = (torch.zeros(n, dtype=torch.int64, device=env.device) for _ in range(2))
    total = torch.zeros(n, device=env.device)
    faulty = torch.zeros_like(alive)
    while bool(alive.any()):
        obs, reward, terminated, truncated, info = env.step(act(obs))
        held = torch.where(alive, torch.where(info["success"], held + 1, 0), held)
        total, length = total + reward * alive, length + alive
        faulty |= info["fault"] & alive
        alive = alive & ~(terminated | truncated)
    good = (held >= hold) & ~faulty
    rows = zip(good.tolist(), total.tolist(), length.tolist(), faulty.tolist(), strict=True)
    return list(rows)
