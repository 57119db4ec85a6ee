"""Solver of `reach`: go straight to the goal."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sim.batch.solver import Solver


class ReachSolver(Solver):
    """Proportional control of the grasp centre's position; the gain leaves room for a late action."""

    gain = 0.4

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        gap_m = obs["desired_goal"] - obs["achieved_goal"]
        return torch.clamp(self.gain * gap_m / self.env.task.step_m, -1.0, 1.0)
