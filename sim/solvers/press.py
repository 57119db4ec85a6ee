"""Solver of `press`: go over the spot, lower, then follow the force."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.solvers.arm import ArmSolver
from sim.tasks.press import CENTRE_M, STIFFNESS_N_M, TOUCHED_N, Press

_OVER_M = 0.05
_GAIN = 0.4  # of the depth that the missing force needs, per control step


class PressSolver(ArmSolver):
    """Phases: over the spot; down to touch; press by the sum of the taxels. It integrates, so it holds."""

    task: Press

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        super().__init__(env)
        assert isinstance(env.task, Press)

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.begin()
        spot, wanted_n = obs["desired_goal"][:, :2], obs["desired_goal"][:, 2:]
        felt_n, ee = obs["achieved_goal"][:, 2:], self.task.ee.pos
        away = torch.linalg.vector_norm(ee[:, :2] - spot, dim=-1)
        self.advance(0, (away < 0.006) & (ee[:, 2] < CENTRE_M[2] + _OVER_M + 0.02))
        self.advance(1, felt_n[:, 0] > TOUCHED_N)

        over = torch.full_like(felt_n, CENTRE_M[2] + _OVER_M)
        aimed = self.task.reach.memory()["goal_pos"][:, 2:]  # so that the arm's own yielding is made up for
        deeper = aimed - _GAIN * (wanted_n - felt_n) / STIFFNESS_N_M
        targets = (
            torch.cat((spot, over), -1),
            torch.cat((spot, torch.full_like(over, CENTRE_M[2] - 0.01)), -1),
            torch.cat((spot, deeper), -1),
        )
        speed = self.chosen(*(torch.full_like(felt_n, v) for v in (0.3, 0.06, 0.1)))[:, 0]
        return self.move(self.chosen(*targets), speed)
