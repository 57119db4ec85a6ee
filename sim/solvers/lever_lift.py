"""Solver of `lever_lift`: lay the stick over the fulcrum, its tip under the crate, and press."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sim.solvers.phases import HandPose, Phase, PhaseSolver, down, hand_at
from sim.tasks.lever_lift import FULCRUM_RADIUS_M, FULCRUM_Z_M, STICK, LeverLift, stick_mat

_DIP_RAD = 0.38  # of the stick as it is pushed under the crate
_ARM_M = 0.19  # fulcrum to hand, along the stick
_RATE_RAD_S = 0.35
_GAIN_RAD_M = 4.0


class LeverLiftSolver(PhaseSolver):
    """The stick stays on the fulcrum; its dip falls until the crate's edge has risen as asked."""

    task: LeverLift

    def prepare(self) -> None:
        """See `PhaseSolver.prepare`."""
        self._dip = torch.full((self.env.num_envs,), _DIP_RAD, device=self.env.device)
        self._held = self.grasp(self.task.grip)

    def phases(self) -> Sequence[Phase]:
        """See `PhaseSolver.phases`."""
        return (
            Phase("above", lambda: self._take(0.08)),
            Phase("lower", lambda: self._take(0.004), speed_m_s=0.2, tolerance_m=0.004),
            Phase("close", self.stay, closed=True, hold_s=0.8),
            Phase("lift", lambda: self.stay(0.15), closed=True, tolerance_m=0.01),
            Phase("aim", lambda: self._lever(0.09, 0.08), closed=True, tolerance_m=0.006),
            Phase("lay", lambda: self._lever(0.08, 0.004), closed=True, speed_m_s=0.2, tolerance_m=0.004),
            Phase("insert", lambda: self._lever(0.0, 0.003), closed=True, speed_m_s=0.15, tolerance_m=0.005),
            Phase("press", self._press, closed=True, speed_m_s=0.2),
        )

    def enter(self, entered: Tensor) -> None:
        """See `PhaseSolver.enter`."""
        self._dip = torch.where(entered, torch.full_like(self._dip, _DIP_RAD), self._dip)
        now = self.grasp(self.task.grip)
        self._held = (
            torch.where(entered[:, None], now[0], self._held[0]),
            torch.where(entered[:, None, None], now[1], self._held[1]),
        )

    def _take(self, above_m: float) -> HandPose:
        pos = self.task.grip.pos.clone()
        pos[:, 2] += above_m
        return pos, down(self.task.grip.mat[:, :, 2])

    def _lever(self, back_m: float, above_m: float, *, is_live: bool = True) -> HandPose:
        """Return the hand's pose for the stick on the fulcrum, drawn back and raised.

        Where `is_live` is false, the stick is taken to be held as when the phase began: under load it
        turns a little between the fingers, and following that would turn the hand away.
        """
        mat = stick_mat(torch.zeros_like(self._dip), self._dip)
        along, left = mat[:, :, 2], mat[:, :, 1]
        normal = torch.linalg.cross(along, left)
        pos = self.task.fulcrum.pos + (FULCRUM_RADIUS_M + STICK.thickness_m / 2) * normal
        pos = pos - (_ARM_M + back_m) * along
        pos[:, 2] += FULCRUM_Z_M + above_m
        return self.carry(self.task.grip, pos, mat) if is_live else hand_at(self._held, pos, mat)

    def _press(self) -> HandPose:
        error = (self.goal - self.task.achieved_goal())[:, 0]
        step = _RATE_RAD_S * self._dt
        lowering = self.phase == len(self._phases) - 1
        self._dip = self._dip - (_GAIN_RAD_M * self._dt * 4.0 * error).clamp(-step, step) * lowering
        return self._lever(0.0, 0.0, is_live=False)
