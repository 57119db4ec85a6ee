"""Networks that see point clouds: a PointNet before a recurrent layer, with a head that knows when to stop.

After the student of Chen et al., 2022 (Visual Dexterity, arXiv 2211.11744). Theirs is a sparse
convolutional network, which needs CUDA libraries; here points go one by one through an MLP whose outputs
are pooled by their maximum (Qi et al., 2017, PointNet, arXiv 1612.00593), which runs and exports anywhere.

Theirs convolves scene and goal as one cloud. A maximum over both does not learn how they are turned to each
other, so here they are two clouds through one encoder, which also tells the object's axes; what follows reads
the product of the two: the rotation that is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from policies.networks import PolicyNet, mlp

POINT_SCALE = 10.0
"""Coordinates [m] are multiplied by this: things of a hand's size become of size 1."""
LARGEST: Final = 10.0
"""What is read is clipped to this."""
AXES: Final = 9
"""Numbers of a rotation matrix."""


class CloudNet(PolicyNet):
    """A vector and two clouds, of the scene and of the goal, to an action; it also tells the error left.

    They come as one observation, in this order.

    The hand holds still (action 0) while the error told is below `stop_below`, and after that until it is
    above `resume_above`. The error told last is a part of what is remembered, so an exported network
    gives it as `next_error`.

    Args:
        keys: The name of the observation.
        vector: Size of its vector.
        points: Number of points of the scene.
        goal_points: Number of points of the goal.
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
        goal_points: int,
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
        if channels < 3 or min(points, goal_points) < 1:
            sizes = f"{points} and {goal_points} points of {channels} numbers"
            raise ValueError(f"clouds of {sizes}; use 1 or more points of 3 or more")
        if resume_above < stop_below:
            raise ValueError(f"resume_above is {resume_above}, less than stop_below, {stop_below}")
        self.keys = tuple(keys)
        self._about = {
            "kind": "cloud", "keys": list(keys), "vector": vector, "points": points,
            "goal_points": goal_points, "channels": channels, "point_sizes": list(point_sizes),
            "rnn_hidden": rnn_hidden, "head_sizes": list(head_sizes), "num_actions": num_actions,
            "stop_below": stop_below, "resume_above": resume_above,
        }  # fmt: skip
        self._sizes = (vector, points * channels, goal_points * channels)
        self.channels = channels
        self.stop_below, self.resume_above = stop_below, resume_above
        self.hidden = {"hidden": (1, rnn_hidden), "error": (1,)}
        self.each = mlp((channels, *point_sizes), "relu")
        self.axes = mlp((point_sizes[-1], *head_sizes, AXES), "elu")
        self.join = nn.Linear(vector + 2 * point_sizes[-1] + 3 * AXES, rnn_hidden)
        self.rnn = nn.GRU(rnn_hidden, rnn_hidden)
        self.action_head = mlp((rnn_hidden, *head_sizes, num_actions), "elu")
        self.error_head = mlp((rnn_hidden, *head_sizes, 1), "elu")
        self._memory: tuple[Tensor, ...] | None = None

    def describe(self) -> dict[str, Any]:
        """See `PolicyNet.describe`."""
        return dict(self._about)

    def encode(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (..., rnn_hidden) of observations, and the axes told, (..., 2, 9).

        The axes are of the object as it is and as it should be: rotation matrices row by row, roughly.
        """
        vector, *clouds = self.split(obs)
        pooled, axes = zip(*(self.look(cloud) for cloud in clouds), strict=True)
        now, goal = (a.unflatten(-1, (3, 3)) for a in axes)
        left = goal @ now.transpose(-1, -2)
        features = self.join(torch.cat((vector, *pooled, *axes, left.flatten(-2)), -1))
        return nn.functional.elu(features), torch.stack(axes, -2)

    def split(self, obs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return vectors, scenes and goals (..., points, channels) of observations (..., all of it)."""
        vector, *flat = obs.split(self._sizes, -1)
        vector = torch.clamp(vector, -LARGEST, LARGEST)
        scene, goal = (cloud.unflatten(-1, (-1, self.channels)) for cloud in flat)
        return vector, scene, goal

    def look(self, cloud: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (..., F) of clouds (..., P, channels), and the object's axes told, (..., 9)."""
        points = torch.cat((POINT_SCALE * cloud[..., :3], cloud[..., 3:]), -1)
        pooled = self.each(torch.clamp(points, -LARGEST, LARGEST)).max(-2).values
        return pooled, torch.tanh(self.axes(pooled))

    def heads(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean actions (..., num_actions) and errors (...) of what the recurrent layer gives."""
        return self.action_head(latent), nn.functional.softplus(self.error_head(latent))[..., 0]

    def unroll(self, obs: Tensor, is_first: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return actions, errors and axes told for consecutive steps, and the last hidden state.

        Args:
            obs: Observations (steps, num_envs, ...).
            is_first: Where episodes begin, bool (steps, num_envs).
            hidden: Hidden state before the first step, (num_envs, rnn_hidden).
        """
        (features, axes), latents = self.encode(obs), []
        for feature, first in zip(features, is_first, strict=True):
            hidden = torch.where(first[:, None], 0.0, hidden)
            out, new = self.rnn(feature[None], hidden[None].contiguous())
            latents.append(out[0])
            hidden = new[0]
        return *self.heads(torch.stack(latents)), axes, hidden

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the action, the new hidden state and the error, of an observation and the old ones."""
        obs, old, last_error = inputs
        # torch keeps the layers first, everything else here has the batch first.
        latent, new = self.rnn(self.encode(obs)[0][None], old.transpose(0, 1).contiguous())
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
