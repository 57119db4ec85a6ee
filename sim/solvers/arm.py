"""What the arm's solvers share: moving the grasp centre's target, and a phase per environment."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.batch.solver import Solver
from sim.tasks.arm import ArmTask


class ArmSolver(Solver):
    """A scripted solver of an `ArmTask`; call `begin` first in `act`.

    Attributes:
        task: The environment's task.
        phase: Number of the phase that each environment is in, (num_envs,).
        phase_s: Time spent in it [s], (num_envs,).
    """

    task: ArmTask

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        super().__init__(env)
        assert isinstance(env.task, ArmTask)
        self.task = env.task
        self.phase = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self.phase_s = torch.zeros(env.num_envs, device=env.device)

    def begin(self) -> None:
        """Count time; start again where an episode has just begun."""
        self.phase_s += self.env.task.config.step_dt
        self.enter(self.env.episode_step == 0, 0)

    def enter(self, which: Tensor, phase: int) -> None:
        """Put the environments `which`, bool (num_envs,), at the beginning of a phase."""
        self.phase[which] = phase
        self.phase_s[which] = 0.0

    def advance(self, phase: int, when: Tensor) -> None:
        """Go on from `phase` to the next where `when`, bool (num_envs,)."""
        self.enter((self.phase == phase) & when, phase + 1)

    def chosen(self, *options: Tensor) -> Tensor:
        """Return each environment's row of one option per phase, (num_envs, k) each; the last one lasts."""
        index = self.phase.clamp(max=len(options) - 1)
        return torch.stack(options)[index, torch.arange(len(index), device=index.device)]

    def target(self) -> Tensor:
        """Return where the action has led the grasp centre's target to [m], (num_envs, 3)."""
        memory = self.task.reach.memory()
        return torch.where(memory["fresh"][:, None], self.task.ee.pos, memory["goal_pos"])

    def move(self, p_world: Tensor, speed_m_s: float | Tensor) -> Tensor:
        """Return entries (num_envs, 3) that lead the grasp centre to points, no faster than a speed."""
        gap = p_world - self.target()
        length = torch.linalg.vector_norm(gap, dim=-1, keepdim=True) + 1e-9
        share = torch.as_tensor(speed_m_s * self.env.task.config.step_dt).reshape(-1, 1) / length
        # Half of the gap per step: an action that arrives one step late still converges.
        return torch.clamp(gap * torch.clamp(share, max=0.5) / self.task.step_m, -1.0, 1.0)

    def turn(self, yaw: Tensor, period_rad: float = math.pi) -> Tensor:
        """Return the entry (num_envs, 1) that turns the opening axis to a heading [rad] modulo a period."""
        gap = torch.remainder(yaw - self.opening_yaw() + period_rad / 2, period_rad) - period_rad / 2
        return torch.clamp(0.4 * gap / self.task.step_rad, -1.0, 1.0)[:, None]

    def opening_yaw(self) -> Tensor:
        """Return the heading of the fingers' opening axis in world [rad], (num_envs,)."""
        axis = self.task.ee.mat[:, :, 1]
        return torch.atan2(axis[:, 1], axis[:, 0])
