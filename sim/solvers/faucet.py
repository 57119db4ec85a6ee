"""Solver of `faucet`: put the closed fingers beside the lever and push it along its arc."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from sim.solvers.arm import ArmSolver
from sim.tasks.faucet import LEVER_Z_M, Faucet

_ARM_M: Final = 0.1  # distance from the pivot at which the fingers push
_BESIDE_M: Final = 0.045
_HIGH_M, _LOW_M = LEVER_Z_M + 0.05, LEVER_Z_M + 0.002
_ARRIVED_RAD: Final = 0.02


class FaucetSolver(ArmSolver):
    """Phases: over the point beside the lever, down, push, stay; from the other side if it went too far."""

    task: Faucet

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.begin()
        task, ee = self.task, self.task.ee.pos
        pivot, outward = task.pivot.pos[:, :2], (task.tip.pos - task.pivot.pos)[:, :2]
        gap = (obs["desired_goal"] - task.hinge.pos)[:, 0]
        side = torch.sign(gap)
        heading = torch.atan2(outward[:, 1], outward[:, 0])
        beside = pivot + self._at(heading) + side[:, None] * _BESIDE_M * self._tangent(heading + torch.pi)
        at = torch.linalg.vector_norm(beside - ee[:, :2], dim=-1)
        from_pivot = ee[:, :2] - pivot
        finger = torch.atan2(from_pivot[:, 1], from_pivot[:, 0])
        ahead = torch.sin(finger - heading) * side > 0.1

        self.advance(0, (at < 0.012) & (ee[:, 2] > _HIGH_M - 0.012))
        self.advance(1, ee[:, 2] < _LOW_M + 0.004)
        self.enter((self.phase == 2) & ahead, 0)
        self.advance(2, gap.abs() < _ARRIVED_RAD)
        self.enter((self.phase == 3) & (gap.abs() > 0.8 * task.config.tolerance_rad), 0)

        reach = side * torch.clamp(gap.abs(), 0.08, 0.35)
        sweep = pivot + self._at(finger + reach)
        rise = torch.where(ee[:, 2:] < _HIGH_M - 0.015, ee[:, :2], beside)
        high, low = torch.full_like(ee[:, 2:], _HIGH_M), torch.full_like(ee[:, 2:], _LOW_M)
        targets = self.chosen(
            torch.cat((rise, high), -1),
            torch.cat((beside, low), -1),
            torch.cat((sweep, low), -1),
            torch.cat((ee[:, :2], low), -1),
        )
        pushing = torch.clamp(0.25 * gap.abs(), 0.03, 0.15)
        return self.move(targets, torch.where(self.phase == 2, pushing, 0.4))

    @staticmethod
    def _at(heading: Tensor) -> Tensor:
        return _ARM_M * torch.stack((torch.cos(heading), torch.sin(heading)), -1)

    @staticmethod
    def _tangent(heading: Tensor) -> Tensor:
        return torch.stack((-torch.sin(heading), torch.cos(heading)), -1)
