"""Networks that see point clouds: a PointNet before a recurrent layer, with a head that knows when to stop.

After the student of Chen et al., 2022 (Visual Dexterity, arXiv 2211.11744). Theirs is a sparse
convolutional network, which needs CUDA libraries; here points go one by one through an MLP whose outputs
are pooled by their maximum (Qi et al., 2017, PointNet, arXiv 1612.00593), which runs and exports anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from policies.networks import PolicyNet, mlp

POINT_SCALE = 10.0
"""Coordinates [m] are multiplied by this: things of a hand's size become of size 1."""


class CloudNet(PolicyNet):
    """One observation, a vector and after it a cloud, to an action; it also tells the error that is left.

    The hand holds still (action 0) while the error told is below `stop_below`, and after that until it is
    above `resume_above`. The error told last is a part of what is remembered, so an exported network
    gives it as `next_error`.

    Args:
        keys: The name of the observation.
        vector: Size of its vector.
        points: Number of points.
        channels: Numbers per point; the first three are its position [m].
        point_sizes: Layers of the MLP on each point; the last is the size of what is pooled.
        rnn_hidden: Size of the recurrent layer (GRU).
        head_sizes: Hidden layers of the heads.
        num_actions: Size of the action.
        stop_below: Error below which the hand stops, 0 for never.
        resume_above: Error above which it goes on.

    Raises:
        ValueError: If there is not exactly one observation, or `resume_above` is less than `stop_below`.
    """

    def __init__(
        self,
        keys: Sequence[str],
        vector: int,
        points: int,
        channels: int,
        point_sizes: Sequence[int],
        rnn_hidden: int,
        head_sizes: Sequence[int],
        num_actions: int,
        stop_below: float = 0.0,
        resume_above: float = 0.0,
    ) -> None:
        """See the class."""
        super().__init__()
        if len(keys) != 1:
            raise ValueError(f"a network of clouds reads one observation, not {', '.join(keys) or 'none'}")
        if channels < 3 or points < 1:
            raise ValueError(f"a cloud of {points} points of {channels} numbers; use 1 or more of 3 or more")
        if resume_above < stop_below:
            raise ValueError(f"resume_above is {resume_above}, less than stop_below, {stop_below}")
        self.keys = tuple(keys)
        self._about = {
            "kind": "cloud", "keys": list(keys), "vector": vector, "points": points, "channels": channels,
            "point_sizes": list(point_sizes), "rnn_hidden": rnn_hidden, "head_sizes": list(head_sizes),
            "num_actions": num_actions, "stop_below": stop_below, "resume_above": resume_above,
        }  # fmt: skip
        self.vector, self.points, self.channels = vector, points, channels
        self.stop_below, self.resume_above = stop_below, resume_above
        self.hidden = {"hidden": (1, rnn_hidden), "error": (1,)}
        self.each = mlp((channels, *point_sizes), "elu")
        self.join = nn.Linear(vector + point_sizes[-1], rnn_hidden)
        self.rnn = nn.GRU(rnn_hidden, rnn_hidden)
        self.action_head = mlp((rnn_hidden, *head_sizes, num_actions), "elu")
        self.error_head = mlp((rnn_hidden, *head_sizes, 1), "elu")
        self._memory: tuple[Tensor, ...] | None = None

    def describe(self) -> dict[str, Any]:
        """See `PolicyNet.describe`."""
        return dict(self._about)

    def encode(self, obs: Tensor) -> Tensor:
        """Return the features (..., rnn_hidden) of observations (..., vector + points * channels)."""
        vector, flat = obs[..., : self.vector], obs[..., self.vector :]
        cloud = flat.unflatten(-1, (self.points, self.channels))
        cloud = torch.cat((POINT_SCALE * cloud[..., :3], cloud[..., 3:]), -1)
        pooled = self.each(cloud).amax(-2)
        return nn.functional.elu(self.join(torch.cat((vector, pooled), -1)))

    def heads(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean actions (..., num_actions) and errors (...) of what the recurrent layer gives."""
        return self.action_head(latent), nn.functional.softplus(self.error_head(latent))[..., 0]

    def unroll(self, obs: Tensor, is_first: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the heads give for consecutive steps, and the last hidden state.

        Args:
            obs: Observations (steps, num_envs, ...).
            is_first: Where episodes begin, bool (steps, num_envs).
            hidden: Hidden state before the first step, (num_envs, rnn_hidden).
        """
        features, latents = self.encode(obs), []
        for feature, first in zip(features, is_first, strict=True):
            hidden = torch.where(first[:, None], 0.0, hidden)
            out, new = self.rnn(feature[None], hidden[None].contiguous())
            latents.append(out[0])
            hidden = new[0]
        return *self.heads(torch.stack(latents)), hidden

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the action, the new hidden state and the error, of an observation and the old ones."""
        obs, old, last_error = inputs
        # torch keeps the layers first, everything else here has the batch first.
        latent, new = self.rnn(self.encode(obs)[None], old.transpose(0, 1).contiguous())
        action, error = self.heads(latent[0])
        error = error[:, None]
        was_stopped = (last_error < self.stop_below) & (last_error > 0.0)  # 0: nothing was told yet
        limit = torch.where(was_stopped, self.resume_above, self.stop_below)
        # What is below `stop_below` is told as such until it is above `resume_above`.
        is_stopped = error < limit
        told = torch.where(is_stopped, error.clamp(max=0.99 * self.stop_below), error)
        action = torch.where(is_stopped, 0.0, torch.clamp(action, -1.0, 1.0))
        return action, new.transpose(0, 1), told

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `PolicyNet.act`; remembers until `reset`."""
        seen = obs[self.keys[0]]
        if self._memory is None:
            shapes = self.hidden.values()
            self._memory = tuple(torch.zeros(len(seen), *shape, device=seen.device) for shape in shapes)
        with torch.no_grad():
            action, *memory = self(seen, *self._memory)
        self._memory = tuple(memory)
        return action

    def reset(self) -> None:
        """See `PolicyNet.reset`."""
        self._memory = None
