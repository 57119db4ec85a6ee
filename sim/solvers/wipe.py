"""Solver of `wipe`: rub the nearest dirty patch, with a force in the middle of the range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from sim.solvers.arm import ArmSolver
from sim.tasks.wipe import FOAM_M, GRIP_HALF_M, STIFFNESS_N_M, Wipe

_STROKE_M: Final = 0.02
_STROKES_HZ: Final = 1.2


class WipeSolver(ArmSolver):
    """Phases: down to the table; rub patch after patch."""

    task: Wipe

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.begin()
        task, sponge = self.task, self.task.sponge.pos
        force, middle = task.force(), sum(task.config.force_n) / 2
        self.advance(0, force > 0.5 * middle)
        dirty = task.dirt > 0.5 * task.config.left
        gap = task.patches - sponge[:, None, :2]
        far = torch.linalg.vector_norm(gap, dim=-1) + 10.0 * ~dirty
        nearest = task.patches[torch.arange(len(far), device=far.device), far.argmin(-1)]
        target = torch.where(dirty.any(-1, keepdim=True), nearest, sponge[:, :2])
        stroke = _STROKE_M * torch.sin(2.0 * math.pi * _STROKES_HZ * self.phase_s)
        rubbed = target + torch.stack((stroke, torch.zeros_like(stroke)), -1) * dirty.any(-1, keepdim=True)

        # In contact, the target's height integrates the force's error; before, it goes down to contact.
        above = (sponge[:, 2] - (GRIP_HALF_M[2] + FOAM_M)).clamp(min=0.0) + middle / STIFFNESS_N_M
        ease = 0.4 * (force - middle) / STIFFNESS_N_M
        height = torch.where(force > 0.0, self.target()[:, 2] + ease, task.ee.pos[:, 2] - above)
        speed = torch.where(self.phase == 0, 0.3, 0.25)
        return self.move(torch.cat((rubbed, height[:, None]), -1), speed)
