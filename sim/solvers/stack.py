"""Solver of `stack`: pick the blue cube, set it on the red one, let go, leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from sim.solvers.pick_place import CARRY, CubeSolver
from sim.tasks.stack import Stack

LOWER, RELEASE, LEAVE = 4, 5, 6
_CLEAR_M: Final = 0.05


class StackSolver(CubeSolver):
    """Phases after the grasp: carry over the red cube, lower, let go, leave; again if the cube fell."""

    task: Stack

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.begin()
        task, ee = self.task, self.task.ee.pos
        blue, top = task.blue, task.red.pos + obs["desired_goal"][:, :3]
        gap = top - blue.pos
        targets = self.pick(blue, held_until=RELEASE)
        aside = torch.linalg.vector_norm(gap[:, :2], dim=-1)
        self.advance(CARRY, (aside < 0.003) & (gap[:, 2] < 0.0))
        self.advance(LOWER, gap[:, 2].abs() < 0.0015)
        self.advance(RELEASE, task.fingers.pos.sum(-1) > 2 * task.half_m + 0.02)
        fell = (self.phase == LEAVE) & ~task.on_top(obs["achieved_goal"], obs["desired_goal"])
        self.enter(fell & (self.phase_s > 0.8), 0)

        hold = ee - blue.pos
        carry = top + hold + _CLEAR_M * self.up
        low = blue.pos[:, 2:] < top[:, 2:] + 0.6 * _CLEAR_M
        carry = torch.where(low, torch.cat((ee[:, :2], carry[:, 2:]), -1), carry)
        leave = blue.pos + 2.5 * _CLEAR_M * self.up
        targets = (*targets, carry, top + hold, ee, leave)
        speed = torch.where(self.phase == LOWER, 0.1, 0.4)
        move = self.move(self.chosen(*targets), speed)
        return torch.cat((move, self.yaw(blue), self.grip(2, RELEASE)), -1)
