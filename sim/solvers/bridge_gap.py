"""Solver of `bridge_gap`: lay the board over the gap on the block's way, then push the block along it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sim.solvers.phases import HandPose, Phase, PhaseSolver, down
from sim.tasks.bridge_gap import BLOCK_M, BOARD_M, TOP_M, BridgeGap

_ALONG = (0.0, 1.0, 0.0)  # the hand's x, and the way
_PUSH_Z_M = TOP_M + 0.031  # of the hand: the finger tips clear the board
_FINGER_M = 0.009  # half width of a finger


class BridgeGapSolver(PhaseSolver):
    """Board and push lie on the line from the block's start to its goal."""

    task: BridgeGap

    def prepare(self) -> None:
        """See `PhaseSolver.prepare`."""
        self._from = self.task.block.pos.clone()

    def phases(self) -> Sequence[Phase]:
        """See `PhaseSolver.phases`."""
        return (
            Phase("above", lambda: self._take(0.08)),
            Phase("lower", lambda: self._take(0.007), speed_m_s=0.15, tolerance_m=0.003),
            Phase("close", self.stay, closed=True, hold_s=0.5),
            Phase("lift", lambda: self.stay(TOP_M + 0.06), closed=True, tolerance_m=0.01),
            Phase("carry", lambda: self._lay(0.05), closed=True, tolerance_m=0.004),
            Phase("lay", lambda: self._lay(0.002), closed=True, speed_m_s=0.15, tolerance_m=0.004),
            Phase("release", self.stay, hold_s=0.8),
            Phase("rise", lambda: self.stay(0.08), tolerance_m=0.01),
            Phase("behind", lambda: self._behind(0.04, 0.13), opening=0.0, tolerance_m=0.02),
            Phase("down", lambda: self._behind(0.04, _PUSH_Z_M), opening=0.0, hold_s=0.5),
            Phase("push", self._push, opening=0.0, speed_m_s=0.12, tolerance_m=0.003, limit_s=6.0),
            Phase("rest", self.stay, opening=0.0),
        )

    def enter(self, entered: Tensor) -> None:
        """See `PhaseSolver.enter`."""
        fresh = entered & (self.phase == 0)
        self._from = torch.where(fresh[:, None], self.task.block.pos, self._from)

    def _way(self) -> Tensor:
        """Return the unit vector of the way from start to goal, (n, 3)."""
        way = self.goal - self._from
        way[:, 2] = 0.0
        return torch.nn.functional.normalize(way, dim=-1)

    def _take(self, above_m: float) -> HandPose:
        pos = self.task.board.pos.clone()
        pos[:, 2] += above_m
        return pos, down(self.task.board_site.mat[:, :, 0], _ALONG)

    def _lay(self, above_m: float) -> HandPose:
        way = self._way()
        pos = self._from - way * (self._from[:, 1:2] / way[:, 1:2])  # where the way crosses y = 0
        pos[:, 2] = TOP_M + BOARD_M[2] + above_m
        x = self.task.board_site.mat[:, :, 0]
        x = torch.where((x[:, 1] < 0.0)[:, None], -way, way)
        z = torch.zeros_like(x)
        z[:, 2] = 1.0
        return self.carry(self.task.board_site, pos, torch.stack((x, torch.linalg.cross(z, x), z), -1))

    def _behind(self, gap_m: float, height_m: float) -> HandPose:
        way = self._way()
        pos = self.task.block.pos - (BLOCK_M[1] + _FINGER_M + gap_m) * way
        pos[:, 2] = height_m
        return pos, down(way, _ALONG)

    def _push(self) -> HandPose:
        way = self._way()
        pos = self.goal - (BLOCK_M[1] + _FINGER_M) * way
        pos[:, 2] = _PUSH_Z_M
        return pos, down(way, _ALONG)
