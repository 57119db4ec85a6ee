"""The controls of all environments: what the action terms write, and how late an action acts."""

from __future__ import annotations

import torch
from torch import Tensor

from sim.batch.disturbance import ActionDelay
from sim.batch.handles import ResetState
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.task import Task


class Controls:
    """Turns actions into controls.

    Attributes:
        terms: The task's action terms, in the order of the action's entries.
        names: Names of these entries.
        ctrl: Controls of the last tick, (num_envs, nu).

    Args:
        task: The task, bound.
        physics: The simulation.
        latency_steps: Smallest and largest delay of the action [ticks].
    """

    def __init__(self, task: Task, physics: Physics, latency_steps: tuple[int, int]) -> None:
        """See the class."""
        self.terms = list(task.actions(physics))
        self.names = tuple(name for term in self.terms for name in term.names)
        self.ctrl = physics.field("ctrl").clone()
        self._latency = latency_steps
        self._delay = ActionDelay(latency_steps[1], physics.num_envs, len(self.names), physics.device)

    def checked(self, action: Tensor) -> Tensor:
        """Return actions (num_envs, num_actions) cut to [-1, 1], on the device of the controls.

        Raises:
            ValueError: If they have another shape or are not finite; says of which environments.
        """
        expected = (len(self.ctrl), len(self.names))
        if action.shape != expected:
            raise ValueError(f"action has shape {tuple(action.shape)}, expected {expected}")
        action = action.detach().to(self.ctrl.device, torch.float32)
        cut = torch.clamp(action, -1.0, 1.0)
        # What is not finite makes the sum so: one operation, where all are finite.
        if not torch.isfinite(action.sum()) and not torch.isfinite(action).all():
            bad = (~torch.isfinite(action).all(-1)).nonzero()[:, 0].tolist()
            raise ValueError(f"the actions of {len(bad)} environments are not finite, first of {bad[0]}")
        return cut

    def apply(self, action: Tensor, count: Tensor) -> None:
        """Write the controls of a tick; `count` (num_envs,) ticks of the episode are over."""
        held = None
        if self._delay.is_on:
            action, held = self._delay.pass_on(action), self.ctrl.clone()
        start = 0
        for term in self.terms:
            stop = start + len(term.names)
            term.apply(action[:, start:stop], self.ctrl)
            start = stop
        if held is not None:  # until the first action has arrived, the servos hold
            is_waiting = (count < self._delay.steps)[:, None]
            torch.where(is_waiting, held, self.ctrl, out=self.ctrl)

    def reset(self, ids: Tensor, state: ResetState, random: EnvRandom) -> None:
        """Begin new episodes in `ids` (n,) with what was written, `state` (n, ...)."""
        self.ctrl[ids] = state["ctrl"]
        if self._delay.is_on:
            self._delay.reset(ids, self._latency, random)
        for term in self.terms:
            term.reset(ids, state)

    def carried(self) -> dict[str, Tensor]:
        """Return what an environment remembers of its own, by name, (num_envs, ...) each."""
        memory = {"ctrl": self.ctrl}
        for k, term in enumerate(self.terms):
            memory |= {f"action{k}.{name}": value for name, value in term.memory().items()}
        return memory

    def delayed(self) -> dict[str, Tensor]:
        """Return the actions on their way, by name."""
        return self._delay.memory()
