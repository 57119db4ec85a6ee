"""Solver of `hook_reach`: take the hook, set its foot down behind the can, pull along its shaft."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sim.solvers.phases import HandPose, Phase, PhaseSolver, down
from sim.tasks.hook_reach import CAN_HEIGHT_M, CAN_RADIUS_M, HOOK, HookReach, hook_mat
from sim.tasks.reach import distance

_BEHIND_M = 0.025  # between can and foot when the foot comes down
_CARRY_M = CAN_HEIGHT_M + 0.035  # height of the hook on its way


class HookReachSolver(PhaseSolver):
    """The shaft lies along the way from the can to its goal, so that the can does not roll along the foot."""

    task: HookReach

    def prepare(self) -> None:
        """See `PhaseSolver.prepare`."""
        self._yaw = torch.zeros(self.env.num_envs, device=self.env.device)

    def phases(self) -> Sequence[Phase]:
        """See `PhaseSolver.phases`."""
        return (
            Phase("above", lambda: self._grip(0.08)),
            Phase("lower", lambda: self._grip(0.005), speed_m_s=0.2, tolerance_m=0.004),
            Phase("close", self.stay, closed=True, hold_s=0.8),
            Phase("lift", lambda: self.stay(_CARRY_M), closed=True, tolerance_m=0.01),
            Phase("carry", lambda: self._foot(_BEHIND_M, _CARRY_M), closed=True, tolerance_m=0.01),
            Phase("set down", lambda: self._foot(_BEHIND_M, 0.012), closed=True, speed_m_s=0.2),
            Phase("pull", self._pull, closed=True, speed_m_s=0.12, until=self._is_there, limit_s=9.0),
            Phase("rest", self.stay, closed=True),
        )

    def _hook_mat(self) -> Tensor:
        """Return the hook's rotation with its shaft along the way from the goal to the can."""
        way = self.task.can.pos - self.goal
        yaw = torch.atan2(way[:, 1], way[:, 0])
        self._yaw = torch.where(distance(self.task.can.pos, self.goal) > 0.05, yaw, self._yaw)
        return hook_mat(self._yaw)

    def _grip(self, above_m: float) -> HandPose:
        pos = self.task.grip.pos.clone()
        pos[:, 2] += above_m
        return pos, down(self.task.grip.mat[:, :, 2])

    def _foot(self, gap_m: float, height_m: float) -> HandPose:
        """Return the hand's pose that brings the foot's inner face `gap_m` behind the can."""
        return self._inner_at(self.task.can.pos, gap_m, height_m)

    def _inner_at(self, can: Tensor, gap_m: float, height_m: float) -> HandPose:
        mat = self._hook_mat()
        pos = can + (CAN_RADIUS_M + gap_m) * mat[:, :, 2]
        pos[:, 2] = height_m
        return self.carry(self.task.inner, pos, mat)

    def _pull(self) -> HandPose:
        """Move the foot as the can has still to move."""
        inner = self.task.inner
        pos = inner.pos + self.goal - self.task.can.pos
        pos[:, 2] = HOOK.thickness_m / 2 + 0.004
        return self.carry(inner, pos, self._hook_mat())

    def _is_there(self) -> Tensor:
        return distance(self.task.can.pos, self.goal) < 0.3 * self.task.config.tolerance_m
