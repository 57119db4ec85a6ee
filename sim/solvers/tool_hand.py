"""Solver of tasks in which a hand works a hinged tool: closes the loop on the measured opening."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.batch.solver import Solver
from sim.tasks.tool_hand import ToolHandTask

_GAIN = 2.5  # rate of the squeeze per relative error of the opening [1/s]


class OpeningSolver(Solver):
    """Integral control of one synergy: finger targets between the task's open and closed postures."""

    task: ToolHandTask

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        super().__init__(env)
        assert isinstance(env.task, ToolHandTask)
        self.task = env.task
        self._squeeze = torch.zeros(env.num_envs, device=env.device)
        self._command = self.task.targets.clone()
        self._axis = self.task.grasp.closed_targets - self.task.grasp.open_targets
        self._range_m = self.task.config.opening_m[1] - self.task.config.opening_m[0]

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        task, dt = self.task, self.task.config.step_dt
        opening, goal = task.opening[:, 0], obs["desired_goal"][:, 0]
        begun = self.env.episode_step == 0
        # Steps that are under way (latency) are known by their sum, not by the targets of now.
        self._command = torch.where(begun[:, None], task.targets, self._command)
        along = ((self._command - task.grasp.open_targets) @ self._axis) / self._axis.square().sum()
        self._squeeze = torch.where(begun, along, self._squeeze)
        error = (opening - goal) / max(self._range_m, 0.005)
        self._squeeze = torch.clamp(self._squeeze + _GAIN * dt * torch.clamp(error, -0.3, 0.3), -0.5, 1.5)
        wanted = task.grasp.open_targets + self._squeeze[:, None] * self._axis
        action = torch.clamp((wanted - self._command) / task.config.step_rad, -1.0, 1.0)
        moved = self._command + task.config.step_rad * action
        self._command = torch.clamp(moved, task.servos.low, task.servos.high)
        return action
