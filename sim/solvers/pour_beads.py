"""Solver of `pour_beads`: take the cup from the side, carry it over the bowl's edge, roll the hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sim.batch.actions import rotation_matrix
from sim.solvers.phases import HandPose, Phase, PhaseSolver
from sim.tasks.pour_beads import BOWL_HEIGHT_M, PourBeads

_ROLL_RAD = 2.1
_DIP_RAD = 0.5  # of the hand: it keeps the wrist within its range and its palm behind the cup
_OVER_M = BOWL_HEIGHT_M + 0.09  # height of the cup's grip as it is carried to the bowl
_ASIDE_M = -0.06  # of the cup's grip from the bowl's middle, as the mouth turns towards it


class PourBeadsSolver(PhaseSolver):
    """The hand points along x and turns about it."""

    task: PourBeads

    def phases(self) -> Sequence[Phase]:
        """See `PhaseSolver.phases`."""
        return (
            Phase("turn", lambda: self._before(0.1, 0.15), tolerance_m=0.03, tolerance_rad=0.15),
            Phase("level", lambda: self._before(0.1, 0.0), speed_m_s=0.25, tolerance_m=0.006, hold_s=0.3),
            Phase("reach", lambda: self._before(0.012, 0.0), speed_m_s=0.12, tolerance_m=0.005),
            Phase("close", self.stay, closed=True, hold_s=0.7),
            Phase("lift", lambda: self.stay(0.06), closed=True, speed_m_s=0.2, tolerance_m=0.01),
            Phase("carry", lambda: self._over(0.0, 0.06), closed=True, speed_m_s=0.25, tolerance_m=0.01),
            Phase("pour", lambda: self._over(_ROLL_RAD, 0.0), closed=True, speed_m_s=0.1, speed_rad_s=1.0,
                  hold_s=2.0, limit_s=3.0),
            Phase("rest", lambda: self._over(_ROLL_RAD, 0.0), closed=True),
        )  # fmt: skip

    def _before(self, back_m: float, above_m: float) -> HandPose:
        """Return the pose of a hand that points along x at the cup's grip, `back_m` before it."""
        pos = self.task.grip.pos.clone()
        pos[:, 0] -= back_m * math.cos(_DIP_RAD)
        pos[:, 2] += back_m * math.sin(_DIP_RAD) + above_m
        return pos, _forward(pos)

    def _over(self, roll_rad: float, above_m: float) -> HandPose:
        """Return the pose that holds the cup beside the bowl's middle, its mouth turned towards it."""
        pos = self.task.bowl.pos.clone()
        pos[:, 1] += _ASIDE_M
        pos[:, 2] += _OVER_M + above_m
        roll = rotation_matrix(torch.tensor([-roll_rad, 0.0, 0.0], device=pos.device).expand_as(pos))
        return pos, roll @ _forward(pos)


def _forward(like: Tensor) -> Tensor:
    """Return rotations of a hand that points along world x and a little down, opening along y, (n, 3, 3)."""
    # Columns: x up, y = z cross x = -y, z along x.
    level = torch.tensor([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]], device=like.device)
    dip = rotation_matrix(torch.tensor([0.0, _DIP_RAD, 0.0], device=like.device))
    return (dip @ level).expand(len(like), 3, 3)
