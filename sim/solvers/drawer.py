"""Solver of `drawer`: grip the bar of the handle from above and take it to its goal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from sim.solvers.arm import ArmSolver
from sim.tasks.drawer import Drawer
from sim.tasks.parts import distance

_OVER_M: Final = (0.0, 0.0, 0.06)
_AJAR, _CLOSED = 0.2, -1.0  # 0.2: an opening of 4 cm, which passes between bar and front


class DrawerSolver(ArmSolver):
    """Phases: over the bar, down, close, slide and stay; again if the bar slipped out."""

    task: Drawer

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.begin()
        task, ee, bar = self.task, self.task.ee.pos, self.task.handle.pos
        over = bar + torch.tensor(_OVER_M, device=bar.device)
        outward = -task.handle.mat[:, :, 0]
        gap = obs["desired_goal"] - task.slide.pos
        yaw = torch.atan2(outward[:, 1], outward[:, 0])
        turned = torch.sin(yaw - self.opening_yaw()).abs() < 0.05
        self.enter((self.phase == 3) & (distance(ee, bar) > 0.03), 0)
        self.advance(0, (distance(ee, over) < 0.01) & turned)
        self.advance(1, distance(ee, bar) < 0.006)
        self.advance(2, (self.phase_s > 0.4) & (task.fingers.vel.abs().amax(-1) < 0.004))

        targets = self.chosen(over, bar, ee, ee + gap * outward)
        targets = torch.where(
            (self.phase == 3)[:, None], torch.cat((targets[:, :2], bar[:, 2:]), -1), targets
        )
        grip = torch.where(self.phase >= 2, _CLOSED, _AJAR)[:, None]
        speed = torch.where(self.phase == 3, 0.25, 0.4)
        return torch.cat((self.move(targets, speed), self.turn(yaw), grip), -1)
