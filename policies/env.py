"""The batched `Env` contract that trainers know; no simulator is visible through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor  # pyright: ignore[reportMissingImports]

    from policies.policy import PolicySpec


@runtime_checkable
class Env(Protocol):
    """`num_envs` copies of one task on one device; all tensors have shape (num_envs, ...)."""

    @property
    def num_envs(self) -> int:
        """Number of environments."""
        ...

    @property
    def device(self) -> str:
        """Torch device of every tensor."""
        ...

    @property
    def spec(self) -> PolicySpec:
        """Observation, action and goal specs, and `step_dt` [s]."""
        ...

    def reset(self, seed: int | None = None, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Reset all environments, or those of a bool mask (num_envs,); the others are untouched."""
        ...

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor, Mapping[str, Any]]:
        """Advance by `step_dt`.

        Returns:
            Observations (with `achieved_goal`/`desired_goal`), reward, terminated, truncated, info.
        """
        ...

    def close(self) -> None:
        """Release the simulator; idempotent."""
        ...
