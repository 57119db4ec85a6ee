"""Solver of `push`: go behind the object, seen from the goal, and push it there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.solvers.arm import ArmSolver
from sim.tasks.push import Push

_HIGH_M, _LOW_M = 0.062, 0.0135
_BEHIND_M = 0.072
_ARRIVED_M = 0.004
_FINGERS_HALF_M = (0.0088, 0.0152)  # of the closed fingers, from above


class PushSolver(ArmSolver):
    """Phases: over the point behind the object; down; push. It starts again when the line is lost."""

    task: Push

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        super().__init__(env)
        self._half = torch.tensor(_FINGERS_HALF_M, device=env.device)

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.begin()
        thing, goal, ee = self.task.object.pos[:, :2], obs["desired_goal"][:, :2], self.task.ee.pos
        gap = goal - thing
        left = torch.linalg.vector_norm(gap, dim=-1)
        along = gap / (left[:, None] + 1e-6)
        offset = ee[:, :2] + torch.clamp(thing - ee[:, :2], -self._half, self._half) - thing
        lateral = offset - (offset * along).sum(-1, keepdim=True) * along
        behind = thing - _BEHIND_M * along
        at = torch.linalg.vector_norm(behind - ee[:, :2], dim=-1)

        self.advance(0, (at < 0.015) & (ee[:, 2] > 0.8 * _HIGH_M))
        self.advance(1, ee[:, 2] < _LOW_M + 0.004)
        lost = torch.linalg.vector_norm(lateral, dim=-1) > 0.026
        self.advance(2, (left < _ARRIVED_M) | (lost & (left < 0.6 * self.task.config.tolerance_m)))
        moved_off = (self.phase == 3) & (left > 0.8 * self.task.config.tolerance_m)
        self.enter(((self.phase == 2) & lost) | moved_off, 0)

        # Lean against the lateral offset while pushing; slow down near the goal.
        ahead = ee[:, :2] + along * torch.clamp(left, 0.008, 0.04)[:, None] - 1.0 * lateral
        high = torch.full_like(left, _HIGH_M)[:, None]
        low = torch.full_like(left, _LOW_M)[:, None]
        rise = torch.where(ee[:, 2:] < 0.8 * _HIGH_M, ee[:, :2], behind)
        targets = (
            torch.cat((rise, high), -1),
            torch.cat((behind, low), -1),
            torch.cat((ahead, low), -1),
            torch.cat((ee[:, :2], low), -1),
        )
        speed = torch.where(self.phase == 2, torch.clamp(2.5 * left, 0.04, 0.18), 0.5)
        return self.move(self.chosen(*targets), speed)
