"""Solver of `pick_place`, and what picking a cube takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.batch.handles import Body
from sim.solvers.arm import ArmSolver
from sim.tasks.parts import distance, yaw_of
from sim.tasks.pick_place import PickPlace

OVER_M: Final = 0.08
OPEN, CLOSED = 1.0, -1.0
CARRY: Final = 3


class CubeSolver(ArmSolver):
    """Picks a cube. Phases: 0 over it, 1 down, 2 close, from `CARRY` on the cube is held."""

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        super().__init__(env)
        self.up = torch.tensor((0.0, 0.0, 1.0), device=env.device)

    def pick(self, cube: Body, held_until: int) -> tuple[Tensor, Tensor, Tensor]:
        """Go through the phases before `CARRY`; back to 0 where the cube was lost before `held_until`.

        Returns:
            Targets of the grasp centre in phases 0, 1 and 2, (num_envs, 3) each.
        """
        ee = self.task.ee.pos
        over = cube.pos + OVER_M * self.up
        lost = (self.phase >= CARRY) & (self.phase < held_until) & (distance(ee, cube.pos) > 0.03)
        self.enter(lost, 0)
        self.advance(0, (distance(ee, over) < 0.01) & (self.yaw_gap(cube).abs() < 0.06))
        self.advance(1, distance(ee, cube.pos) < 0.005)
        self.advance(2, (self.phase_s > 0.6) & (self.task.fingers.vel.abs().amax(-1) < 0.004))
        return over, cube.pos, ee

    def yaw_gap(self, cube: Body) -> Tensor:
        """Return how far the opening axis is from the nearest normal of the cube's sides [rad]."""
        quarter = torch.pi / 2
        gap = yaw_of(cube.quat) - self.opening_yaw()
        return torch.remainder(gap + quarter / 2, quarter) - quarter / 2

    def grip(self, first_closed: int, first_open: int) -> Tensor:
        """Return the gripper entry, (num_envs, 1): closed in the phases of a range."""
        closed = (self.phase >= first_closed) & (self.phase < first_open)
        return torch.where(closed, CLOSED, OPEN)[:, None]

    def yaw(self, cube: Body) -> Tensor:
        """Return the yaw entry, (num_envs, 1): aligned before the grasp, then kept."""
        turn = self.turn(self.opening_yaw() + self.yaw_gap(cube))
        return turn * (self.phase < 2)[:, None]


class PickPlaceSolver(CubeSolver):
    """Phases after the grasp: 3 carry above the table, 4 to the goal and stay."""

    task: PickPlace

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.begin()
        cube, goal, ee = self.task.cube, obs["desired_goal"], self.task.ee.pos
        targets = self.pick(cube, held_until=CARRY + 2)
        hold = ee - cube.pos
        carry = goal.clone()
        carry[:, 2] = torch.clamp(goal[:, 2], min=0.06)
        self.advance(CARRY, torch.linalg.vector_norm((goal - cube.pos)[:, :2], dim=-1) < 0.02)
        move = self.move(self.chosen(*targets, carry + hold, goal + hold), 0.5)
        return torch.cat((move, self.yaw(cube), self.grip(2, 99)), -1)
