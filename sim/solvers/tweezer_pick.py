"""Solver of `tweezer_pick`: over the object, down around it, squeeze, carry it to the goal.

It is the heuristic, informed by what only a simulation knows, that fills the replay of the upper level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.batch.solver import Solver
from sim.tasks.learned_hand import OPENING_M
from sim.tasks.tweezer_pick import TweezerPick

_LOWEST_M = 0.0102  # of the middle of the tips: their ends are 9.9 mm below
_OVER_M = 0.035
_CLEAR_M = 0.009  # the tips open wider than the object
_SQUEEZE = 0.18  # share of the fingers' way that presses beyond the first touch
_PINCH_M = 0.0036  # the opening asked of a lower level is less than the object's width by this
_MOVE_GAIN, _YAW_GAIN = 0.5, 0.4  # largest share of an error that a control step makes good
_SPEEDS_M_S = (0.15, 0.06, 0.0, 0.1)


class TweezerPickSolver(Solver):
    """Phases: over the object with open tips; down; squeeze; carry. A lost object is tried again.

    It drives a hand that moves by synergy, or one that a lower level works; not single joints.
    """

    task: TweezerPick

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        super().__init__(env)
        assert isinstance(env.task, TweezerPick)
        self.task = env.task
        if self.task.config.hand == "joints":
            raise ValueError("the solver of tweezer_pick drives no single joints; use hand=synergy or policy")
        n, device = env.num_envs, env.device
        self.phase = torch.zeros(n, dtype=torch.int64, device=device)
        self._since = torch.zeros(n, device=device)
        self._share = torch.zeros(n, device=device)  # of the squeeze that was asked for
        self._touch = torch.zeros(n, device=device)
        self._speeds = torch.tensor(_SPEEDS_M_S, device=device)

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        task, dt = self.task, self.task.config.step_dt
        begun = self.env.episode_step == 0
        self._since += dt
        self._enter(begun, 0)
        self._share = torch.where(begun, task.squeezed, self._share)
        thing, tip, width = task.object_pos, task.tip_pos, task.widths_m[task.chosen]
        gap = thing - tip
        beside = torch.linalg.vector_norm(gap[:, :2], dim=-1)
        turn, wanted = self._turn(), torch.clamp(width + _CLEAR_M, max=0.026)
        opening = task.opening[:, 0]

        ready = (beside < 0.002) & (turn.abs() < 0.04) & ((opening - wanted).abs() < 0.003)
        self._next(0, ready)
        down = torch.clamp(thing[:, 2], min=_LOWEST_M)
        self._next(1, (tip[:, 2] - down < 0.001) | (self._since > 2.5))
        closing = self.phase == 2
        open_still = opening > width + 0.001
        self._touch = torch.where(closing & open_still, self._share, self._touch)
        pressed = self._share > torch.clamp(self._touch + _SQUEEZE, max=0.97)
        if task.config.hand == "policy":
            pressed = opening < width + 0.0015
        self._next(2, pressed & (self._since > 0.5))
        lost = (self.phase == 3) & (torch.linalg.vector_norm(gap, dim=-1) > 0.03)
        self._enter(lost, 0)

        over = torch.cat((thing[:, :2], (thing[:, 2:] + _OVER_M).clamp(min=_OVER_M + 0.01)), -1)
        low = torch.cat((thing[:, :2], down[:, None]), -1)
        carry = tip + obs["desired_goal"] - thing
        targets = torch.stack((over, low, tip, carry))
        point = targets[self.phase, torch.arange(len(tip), device=tip.device)]
        move = self._move(point, self._speeds[self.phase])
        yaw = torch.where(
            self.phase < 2, torch.clamp(_YAW_GAIN * turn / task.ticks / task.step_rad, -1.0, 1.0), 0.0
        )
        open_rate = torch.clamp(12.0 * (opening - wanted), -0.3, 0.3)
        if task.config.hand == "policy":
            return torch.cat((move, yaw[:, None], self._opening(wanted, width)[:, None]), -1)
        rate = torch.where(self.phase < 2, open_rate, torch.where(closing & ~pressed, 0.5, 0.0))
        self._share = torch.clamp(self._share + rate * task.squeeze_step, 0.0, 1.0)
        return torch.cat((move, yaw[:, None], rate[:, None]), -1)

    def _opening(self, wanted: Tensor, width: Tensor) -> Tensor:
        """Return the entry (num_envs,) that asks a lower level to open around the object, or to pinch it."""
        low, high = OPENING_M
        opening = torch.where(self.phase < 2, wanted, width - _PINCH_M)
        return torch.clamp(2.0 * (opening - low) / (high - low) - 1.0, -1.0, 1.0)

    def _enter(self, which: Tensor, phase: int) -> None:
        self.phase[which] = phase
        self._since[which] = 0.0

    def _next(self, phase: int, when: Tensor) -> None:
        self._enter((self.phase == phase) & when, phase + 1)

    def _turn(self) -> Tensor:
        """Return the angle about world z from the tips' axis to the object's x [rad], modulo a half turn."""
        w, x, y, z = self.task.object_quat.unbind(-1)
        wanted = torch.atan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))
        axis = self.task.tip_axis
        gap = wanted - torch.atan2(axis[:, 1], axis[:, 0])
        return torch.remainder(gap + math.pi / 2, math.pi) - math.pi / 2

    def _move(self, p_world: Tensor, speed_m_s: Tensor) -> Tensor:
        """Return entries (num_envs, 3) that lead the tips to points, no faster than a speed (num_envs,)."""
        task = self.task
        memory = task.reach.memory()
        lead = torch.where(memory["fresh"][:, None], 0.0, memory["goal_pos"] - task.ee.pos)
        gap = p_world - task.tip_pos - lead
        length = torch.linalg.vector_norm(gap, dim=-1, keepdim=True) + 1e-9
        ticks = task.config.ticks  # the entry acts in each
        share = torch.clamp(speed_m_s[:, None] * task.config.tick_dt / length, max=_MOVE_GAIN / ticks)
        return torch.clamp(gap * share / task.step_m, -1.0, 1.0)
