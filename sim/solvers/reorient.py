"""Solver of `reorient`: model-predictive control; the hand freezes where the orientation is reached."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.solvers.mpc import MpcConfig, MpcSolver
from sim.tasks.reorient import Reorient, angle_between

_STOP, _RESUME = 0.7, 0.95  # of the tolerance


class ReorientSolver(MpcSolver):
    """Plans until the angle is well within the tolerance, then holds still as long as it stays."""

    def __init__(self, env: BatchEnv, config: MpcConfig | None = None) -> None:
        """See the class."""
        super().__init__(env, config or MpcConfig())
        assert isinstance(env.task, Reorient)
        self._tolerance_rad = env.task.config.tolerance_rad
        self._arrived = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        angle = angle_between(obs["achieved_goal"][:, :4], obs["desired_goal"][:, :4])
        stays = self._arrived & (self.env.episode_step > 0) & (angle < _RESUME * self._tolerance_rad)
        self._arrived = stays | (angle < _STOP * self._tolerance_rad)
        if self._arrived.all():
            return torch.zeros(self.env.num_envs, self.env.num_actions, device=self.env.device)
        return torch.where(self._arrived[:, None], 0.0, super().act(obs))
