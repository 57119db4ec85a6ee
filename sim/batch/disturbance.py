"""What disturbs an environment while it runs: pushes on a body."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sim.batch.handles import Body
from sim.batch.physics import Physics
from sim.batch.randomize import Randomization
from sim.batch.rng import EnvRandom, mix


class Pushes:
    """Forces on one body at random times, in random directions; see `Randomization.push_n`.

    Args:
        physics: The simulation.
        spread: `push_n`, `push_body` and `push_s` are used.
        step_dt: How long a push lasts [s].

    Raises:
        ValueError: If there is no such body.
    """

    def __init__(self, physics: Physics, spread: Randomization, step_dt: float) -> None:
        """See the class."""
        self._physics, self._largest_n, self._share = physics, spread.push_n, step_dt / spread.push_s
        self._body = Body(physics, spread.push_body).id
        self._all = torch.arange(physics.num_envs, device=physics.device)
        self._force = torch.zeros(physics.num_envs, physics.model.nbody, 6, device=physics.device)

    def apply(self, key: Tensor, steps: Tensor) -> None:
        """Set the forces of this step, drawn from the episodes' keys (num_envs,) and their steps."""
        u = EnvRandom(mix(key ^ steps)).uniform("push", size=4)
        up, turn = 2.0 * u[:, 2] - 1.0, 2.0 * math.pi * u[:, 3]
        level = torch.sqrt(1.0 - up * up)
        size = self._largest_n * u[:, 1] * (u[:, 0] < self._share)
        direction = torch.stack((level * torch.cos(turn), level * torch.sin(turn), up), -1)
        self._force[:, self._body, :3] = size[:, None] * direction
        self._physics.write(self._all, {"xfrc_applied": self._force}, forward=False)
