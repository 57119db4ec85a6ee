"""The `Trainer` contract: an algorithm that the training loop advances, saves and restores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from policies.env import Env

if TYPE_CHECKING:
    from torch import Tensor

    from policies.networks import PolicyNet

Act = Callable[[Mapping[str, "Tensor"]], "Tensor"]
"""What acts: named observations (num_envs, ...) to actions (num_envs, num_actions)."""


class Diverged(RuntimeError):
    """Training produced numbers that are not finite; the message says which."""


@runtime_checkable
class TrainingEnv(Env, Protocol):
    """An `Env` that trainers can save and restore."""

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the complete state: physics, goals, counters, random keys, curriculum."""
        ...

    def load_state_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Continue from what `state_arrays` returned.

        Raises:
            ValueError: If it is of another task or number of environments.
        """
        ...


@runtime_checkable
class Trainer(Protocol):
    """One algorithm on one batch of environments.

    Attributes:
        interface: Which view of the environments it wants: `rsl_rl`, `sb3` or `env`.
    """

    interface: str

    @property
    def env_steps(self) -> int:
        """Steps of single environments so far, of all processes."""
        ...

    def advance(self) -> dict[str, float]:
        """Collect and learn once; return metrics by name ("loss/value", "train/success" ...).

        Raises:
            Diverged: If a reward, a loss or a weight is not finite.
        """
        ...

    def net(self) -> PolicyNet:
        """Return a copy of what acts, as it would be exported."""
        ...

    def state(self) -> dict[str, Any]:
        """Return everything that decides how training goes on, as a tree.

        A tree is made of dicts with string keys, lists, tensors, arrays, numbers, strings and None.
        Global random generators are saved by the loop.
        """
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises:
            ValueError: If it does not fit this trainer.
        """
        ...

    def close(self) -> None:
        """Release the environments; idempotent."""
        ...


def check_finite(metrics: Mapping[str, float]) -> None:
    """Refuse metrics that are not finite.

    Raises:
        Diverged: Names the first of them.
    """
    for name, value in metrics.items():
        if not np.isfinite(value):
            raise Diverged(f"{name} became {value}; training stopped and the last checkpoint is kept")
