"""The `Policy` contract: `act(obs) -> action`, with specs that travel with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from perception_tools.geometry import FloatArray


@dataclass(frozen=True)
class ArraySpec:
    """One named array of an observation, action or goal.

    Attributes:
        shape: Without the batch dimension.
        names: Name of each entry along the last axis (joint names, "x" ...), () if unnamed.
        unit: "rad", "m", "1" ...
        low: Lower bound, -inf where unbounded.
        high: Upper bound, +inf where unbounded.
    """

    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    unit: str = "1"
    low: float = float("-inf")
    high: float = float("inf")


@dataclass(frozen=True)
class PolicySpec:
    """What a policy reads and writes; stored beside its weights."""

    obs: Mapping[str, ArraySpec]
    action: ArraySpec
    goal: ArraySpec | None
    step_dt: float


@runtime_checkable
class Policy(Protocol):
    """Anything that acts."""

    @property
    def spec(self) -> PolicySpec:
        """Observation, action and goal specs, and the control period [s]."""
        ...

    def reset(self) -> None:
        """Forget recurrent state; call at the start of an episode."""
        ...

    def act(self, obs: Mapping[str, FloatArray]) -> FloatArray:
        """Return an action (policy units), shape (*batch, *spec.action.shape)."""
        ...
