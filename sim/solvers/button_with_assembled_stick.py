"""Solver of `button_with_assembled_stick`: join the parts in the cradle, lift the stick, press."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sim.batch.actions import rotation_matrix
from sim.solvers.phases import HandPose, Phase, PhaseSolver, down
from sim.tasks.button_with_assembled_stick import JOINED_M, PLUG_M, ButtonWithAssembledStick

_OVER_M = 0.0015  # between table and a part that slides along it
_TILT_RAD = 0.04  # the tip is carried this much up, so that the front part does not slide out


class ButtonWithAssembledStickSolver(PhaseSolver):
    """The rear part is steered by the pose of the front one, then by the front one's tip."""

    task: ButtonWithAssembledStick

    def phases(self) -> Sequence[Phase]:
        """See `PhaseSolver.phases`."""
        return (
            Phase("above", lambda: self._take(0.08)),
            Phase("lower", lambda: self._take(0.004), speed_m_s=0.2, tolerance_m=0.004),
            Phase("close", self.stay, closed=True, hold_s=0.8),
            Phase("lift", lambda: self.stay(0.08), closed=True, tolerance_m=0.01),
            Phase("aim", lambda: self._before(PLUG_M + 0.012, 0.06), closed=True, tolerance_m=0.004),
            Phase("lower part", lambda: self._before(PLUG_M + 0.012, _OVER_M), closed=True, speed_m_s=0.15,
                  tolerance_m=0.002, tolerance_rad=0.02, hold_s=0.3),
            Phase("join", lambda: self._before(-0.003, _OVER_M), closed=True, speed_m_s=0.06,
                  until=self._is_joined),
            Phase("raise", self._raise, closed=True, speed_m_s=0.15, speed_rad_s=0.5, tolerance_m=0.01),
            Phase("approach", lambda: self._touch(-0.04), closed=True, speed_m_s=0.2, tolerance_m=0.006),
            Phase("press", self._press, closed=True, speed_m_s=0.06),
        )  # fmt: skip

    def _take(self, above_m: float) -> HandPose:
        pos = self.task.grip.pos.clone()
        pos[:, 2] += above_m
        return pos, down(self.task.rear_site.mat[:, :, 0])

    def _before(self, gap_m: float, above_m: float) -> HandPose:
        """Return the hand's pose for the rear part in line with the front one, `gap_m` from being joined."""
        front = self.task.front_site
        along = front.mat[:, :, 0] * torch.tensor([1.0, 1.0, 0.0], device=front.pos.device)
        along = torch.nn.functional.normalize(along, dim=-1)
        pos = front.pos - (JOINED_M + gap_m) * along
        pos[:, 2] = self.task.front.pos[:, 2] + above_m
        return self.carry(self.task.rear_site, pos, _level(along))

    def _is_joined(self) -> Tensor:
        return self.task.joint_gap() < 0.002

    def _raise(self) -> HandPose:
        pos, mat = self.stay(0.12)
        return pos, _up(_TILT_RAD, len(pos), pos.device) @ mat

    def _touch(self, beyond_m: float | Tensor) -> HandPose:
        """Return the hand's pose that brings the tip to the unpressed button's face, or beyond it."""
        task = self.task
        ahead = torch.zeros_like(task.ee.pos)
        ahead[:, 0] = beyond_m - task.travel.pos[:, 0]
        axis = torch.zeros_like(ahead)
        axis[:, 0] = 1.0
        mat = _up(_TILT_RAD, len(axis), axis.device) @ _level(axis)
        # The front part may turn in its socket: the rear one tells the rotation, the tip the position.
        turn = mat @ task.rear_site.mat.mT
        offset = (turn @ (task.ee.pos - task.tip.pos)[..., None])[..., 0]
        return task.button.pos + ahead + offset, turn @ task.ee.mat

    def _press(self) -> HandPose:
        return self._touch(self.goal[:, 0] + 0.002)


def _level(along: Tensor) -> Tensor:
    """Return rotations (n, 3, 3) of a level part along unit vectors (n, 3)."""
    z = torch.zeros_like(along)
    z[:, 2] = 1.0
    return torch.stack((along, torch.linalg.cross(z, along), z), -1)


def _up(angle_rad: float, num: int, device: torch.device) -> Tensor:
    """Return rotations (n, 3, 3) about world y that raise what points along x."""
    return rotation_matrix(torch.tensor([0.0, -angle_rad, 0.0], device=device).expand(num, 3))
