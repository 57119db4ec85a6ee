"""One action for many fingers: targets that move together along a line between two postures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sim.batch.handles import Actuators
from sim.batch.physics import Physics


class Synergy:
    """One action entry that moves many servos' targets along a line: -1 opens, 1 closes.

    Args:
        physics: The simulation.
        actuators: Position actuators.
        ends: Targets at the open and the closed end, (num_actuators,) each.
        step: Share of the way per control step.
    """

    def __init__(
        self, physics: Physics, actuators: Sequence[str], ends: tuple[Tensor, Tensor], step: float
    ) -> None:
        """See the class."""
        self._act, self._open, self._axis = Actuators(physics, actuators), ends[0], ends[1] - ends[0]
        self._step = step
        self.names: tuple[str, ...] = ("squeeze",)

    def share(self, ctrl: Tensor) -> Tensor:
        """Return how far closed the targets in `ctrl` (num_envs, nu) are, in [0, 1], (num_envs,)."""
        # Not a matrix product: its rounding depends on the number of environments.
        return ((ctrl[:, self._act.columns] - self._open) * self._axis).sum(-1) / self._axis.square().sum()

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """See `ActionTerm.apply`."""
        share = torch.clamp(self.share(ctrl)[:, None] + self._step * action, 0.0, 1.0)
        ctrl[:, self._act.columns] = self._open + share * self._axis

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `ActionTerm.reset`: the target lives in the control vector."""

    def memory(self) -> dict[str, Tensor]:
        """See `ActionTerm.memory`."""
        return {}
