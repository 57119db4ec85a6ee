"""What disturbs an environment while it runs: pushes on a body, noise of sensors, late actions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sim.batch.actions import rotation_matrix
from sim.batch.handles import Body
from sim.batch.physics import Physics
from sim.batch.randomize import Randomization, small_turn
from sim.batch.rng import EnvRandom, mix

_NOISE_STREAM = 1 << 40  # apart from the pushes' draws, which are of the steps themselves


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
        self._force = torch.zeros(physics.num_envs, physics.model.nbody, 6, device=physics.device)

    def apply(self, key: Tensor, steps: Tensor) -> None:
        """Set the forces of this step, drawn from the episodes' keys (num_envs,) and their steps."""
        u = EnvRandom(mix(key ^ steps)).uniform("push", size=4)
        up, turn = 2.0 * u[:, 2] - 1.0, 2.0 * math.pi * u[:, 3]
        level = torch.sqrt(1.0 - up * up)
        size = self._largest_n * u[:, 1] * (u[:, 0] < self._share)
        direction = torch.stack((level * torch.cos(turn), level * torch.sin(turn), up), -1)
        self._force[:, self._body, :3] = size[:, None] * direction
        self._physics.write(None, {"xfrc_applied": self._force}, forward=False)


class SensorNoise:
    """Readings of what a task senses: the truth plus noise, one draw per quantity and step.

    The quantities are those that the task's first observation asks for; `ready` ends that.

    Args:
        std: Standard deviation by quantity, in its unit; of a rotation [rad] about each axis.
        key: Live keys of the episodes, int64 (num_envs,).
        steps: Live steps of the episodes, int64 (num_envs,).
    """

    def __init__(self, std: Mapping[str, float], key: Tensor, steps: Tensor) -> None:
        """See the class."""
        self._std, self._key, self._steps = dict(std), key, steps
        self._sizes: dict[str, int] = {}
        self._noise: dict[str, Tensor] = {}
        self._scale = torch.zeros(0, device=key.device)

    def ready(self) -> None:
        """Take the quantities asked for so far as all there are.

        Raises:
            ValueError: If noise was set for one that is not sensed; lists those that are.
        """
        for name in self._std:
            if name not in self._sizes:
                sensed = ", ".join(self._sizes) or "none"
                raise ValueError(f"obs_noise names {name!r}; quantities that are sensed here: {sensed}")
        self._sizes = {name: self._sizes[name] for name in self._std}
        scale = [std for name, std in self._std.items() for _ in range(self._sizes[name])]
        self._scale = torch.tensor(scale, device=self._key.device)

    def draw(self) -> None:
        """Draw the noise of this step."""
        if self._scale.numel():
            random = EnvRandom(mix(self._key ^ (self._steps + _NOISE_STREAM)))
            noise = random.normal("noise", self._scale, self._scale.numel())
            self._noise = dict(zip(self._sizes, noise.split(list(self._sizes.values()), -1), strict=True))

    def read(self, name: str, value: Tensor) -> Tensor:
        """Return the reading of a quantity (num_envs, k); `value` itself where it has no noise."""
        noise = self._of(name, value.shape[1])
        return value if noise is None else value + noise

    def read_quat(self, name: str, quat: Tensor) -> Tensor:
        """Return the reading of a rotation, quat_wxyz (num_envs, 4)."""
        noise = self._of(name, 3)
        return quat if noise is None else small_turn(quat, noise)

    def read_mat(self, name: str, mat: Tensor) -> Tensor:
        """Return the reading of a rotation matrix (num_envs, 3, 3), turned about the world's axes."""
        noise = self._of(name, 3)
        return mat if noise is None else rotation_matrix(noise) @ mat

    def _of(self, name: str, size: int) -> Tensor | None:
        if not self._scale.numel():
            self._sizes.setdefault(name, size)
        return self._noise.get(name)


class ActionDelay:
    """Delays actions by whole steps, per environment; until the first one arrives the servos hold.

    Args:
        longest: Longest delay [control steps].
        num_envs: Number of environments.
        num_actions: Entries of an action.
        device: Device of the tensors.
    """

    def __init__(self, longest: int, num_envs: int, num_actions: int, device: torch.device) -> None:
        """See the class."""
        self.steps = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._past = torch.zeros(longest + 1, num_envs, num_actions, device=device)
        self._all = torch.arange(num_envs, device=device)
        self.is_on = longest > 0

    def pass_on(self, action: Tensor) -> Tensor:
        """Take in this step's action and return the one that acts now, (num_envs, num_actions)."""
        self._past.copy_(torch.roll(self._past, 1, 0))
        self._past[0] = action
        return self._past[self.steps, self._all]

    def reset(self, ids: Tensor, span: tuple[int, int], random: EnvRandom) -> None:
        """Draw the delays of a new episode of `ids` (n,) from `span` [control steps]."""
        self._past[:, ids] = 0.0
        low, high = span
        self.steps[ids] = low + random.integers("latency", high - low + 1)[:, 0]

    def memory(self) -> dict[str, Tensor]:
        """Return the tensors that the next action depends on; for saving and restoring."""
        return {"delayed": self._past, "latency": self.steps}
