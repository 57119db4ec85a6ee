"""Solver of `scoop`: push the blade under the beads against the far wall, lift, tip it over the target."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sim.batch.handles import Body
from sim.solvers.phases import HandPose, Phase, PhaseSolver, down
from sim.tasks.beads import FLOOR_M
from sim.tasks.scoop import TRAY_M, Scoop, scoop_mat

_FLOOR_M = FLOOR_M + 0.0005
_DIP_RAD = 0.45  # of the blade as it comes in over the near wall
_LEVEL_RAD = -0.25  # as it is raised: more would bring the hand down to the table
_BACK_RAD = -0.3  # as it carries beads
_POUR_RAD = 0.6


class ScoopSolver(PhaseSolver):
    """Scoops again until enough beads are in the target."""

    task: Scoop

    def prepare(self) -> None:
        """See `PhaseSolver.prepare`."""
        n, device = self.env.num_envs, self.env.device
        self._edge = torch.zeros(n, 4, device=device)  # where the blade's front edge is led, and its dip
        self._left, self._waited = torch.ones(n, device=device), torch.zeros(n, device=device)

    def phases(self) -> Sequence[Phase]:
        """See `PhaseSolver.phases`."""
        near, far = 0.05 - TRAY_M[0], TRAY_M[0] - 0.003
        source, target = self.task.source, self.task.target
        return (
            Phase("above", lambda: self._take(0.08)),
            Phase("lower", lambda: self._take(0.0), speed_m_s=0.2, tolerance_m=0.004),
            Phase("close", self.stay, closed=True, hold_s=0.8),
            Phase("lift", lambda: self.stay(0.1), closed=True, tolerance_m=0.01),
            self._move("aim", source, (near, 0.07, _DIP_RAD), 0.4, 2.0),
            self._move("dip", source, (near, _FLOOR_M, _DIP_RAD), 0.12),
            self._move("sweep", source, (far - 0.01, _FLOOR_M, _DIP_RAD), 0.1),
            self._move("under", source, (far, _FLOOR_M, 0.0), 0.1, 0.6),
            self._move("tilt", source, (far, 0.02, _LEVEL_RAD), 0.1, 0.6),
            self._move("raise", source, (far - 0.002, 0.06, _LEVEL_RAD), 0.15),
            self._move("carry", source, (far - 0.02, 0.12, _BACK_RAD), 0.25),
            self._move("over", target, (-0.045, 0.09, _BACK_RAD), 0.25),
            self._move("pour", target, (-0.045, 0.035, _POUR_RAD), 0.1, 0.8, 0.6),
            self._move("back", target, (-0.04, 0.12, 0.0), 0.4, 2.0),
            self._move("rest", target, (-0.04, 0.12, 0.0), 0.4),
        )

    def _move(
        self,
        name: str,
        tray: Body,
        to: tuple[float, float, float],
        speed_m_s: float,
        speed_rad_s: float = 1.0,
        wait_s: float = 0.0,
    ) -> Phase:
        """Return a phase that moves the blade's front edge to x, z [m] of a tray and to a dip [rad].

        Point and dip arrive together, at no more than these speeds: the edge follows a line as it turns.
        """

        def target() -> HandPose:
            return self._follow(name, tray.pos, to, speed_m_s, speed_rad_s)

        def arrived() -> Tensor:
            return (self._left < 1e-3) & (self._waited > wait_s)

        return Phase(
            name, target, closed=True, speed_m_s=0.5, speed_rad_s=3.0, until=arrived, limit_s=4.0 + wait_s
        )

    def _follow(
        self,
        name: str,
        tray_pos: Tensor,
        to: tuple[float, float, float],
        speed_m_s: float,
        turn_rad_s: float,
    ) -> HandPose:
        goal = torch.cat((tray_pos, torch.zeros_like(tray_pos[:, :1])), -1)
        goal = goal + torch.tensor([to[0], 0.0, to[1], to[2]], device=goal.device)
        gap = goal - self._edge
        way = torch.linalg.vector_norm(gap[:, :3], dim=-1)
        turn = gap[:, 3].abs()
        share = self._dt * torch.minimum(speed_m_s / (way + 1e-9), turn_rad_s / (turn + 1e-9))
        here = (self.phase == self.names.index(name))[:, None]
        self._edge = torch.where(here, self._edge + gap * share.clamp(max=1.0)[:, None], self._edge)
        self._left = torch.where(here[:, 0], way + turn, self._left)
        self._waited = torch.where(here[:, 0] & (self._left < 1e-3), self._waited + self._dt, self._waited)
        return self.carry(self.task.tip, self._edge[:, :3], scoop_mat(self._edge[:, 3]))

    def enter(self, entered: Tensor) -> None:
        """See `PhaseSolver.enter`: go back to `aim` where there are too few beads yet."""
        short = ~self.task.success(self.task.achieved_goal(), self.goal)
        again = entered & short & (self.phase == self.names.index("rest"))
        self.phase = torch.where(again, torch.full_like(self.phase, self.names.index("aim")), self.phase)
        along = self.task.tip.mat[:, :, 2]
        dip = torch.atan2(-along[:, 2], along[:, 0])
        now = torch.cat((self.task.tip.pos, dip[:, None]), -1)
        picked = entered & (self.phase == self.names.index("aim"))
        self._edge = torch.where(picked[:, None], now, self._edge)
        self._left = torch.where(entered, torch.ones_like(self._left), self._left)
        self._waited = torch.where(entered, torch.zeros_like(self._waited), self._waited)

    def _take(self, above_m: float) -> HandPose:
        pos = self.task.grip.pos.clone()
        pos[:, 2] += above_m
        return pos, down(self.task.grip.mat[:, :, 2])
