"""The network of `affordance_hand`, in torch: a PointNet whose points vote, after Qi et al. (2019, VoteNet).

Every point votes for the middle of the tool's tips and for the object's middle, with weights that its place
in the whole decides. The weights pick the tool's and the object's points out of the rest, and the other
outputs are read from what they pick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from perception_tools.affordance_hand import OUTPUTS

_LOG_VAR = (-10.0, 4.0)


@dataclass(frozen=True)
class HandNetConfig:
    """Sizes of the network.

    Attributes:
        num_points: Points that are read.
        width: Sizes of the first point-wise layers; the cloud's feature has twice the last.
        second: Sizes of the point-wise layers that also know the cloud.
    """

    num_points: int = 320
    width: tuple[int, ...] = (32, 64, 128)
    second: tuple[int, ...] = (96, 96)

    def __post_init__(self) -> None:
        if self.num_points < 32 or len(self.width) < 2 or len(self.second) < 2:
            raise ValueError("read at least 32 points, with at least two layers of each sort")


class HandNet(nn.Module):
    """Points to tool and object; see `affordance_hand.OUTPUTS`.

    Args:
        config: Sizes.
    """

    def __init__(self, config: HandNetConfig) -> None:
        """See the class."""
        super().__init__()
        self.config = config
        size, cloud = config.second[-1], 2 * config.width[-1]
        self.first = _layers((4, *config.width))
        self.around = nn.Linear(cloud, config.second[0])
        self.local = nn.Linear(config.width[-1], config.second[0])
        self.rest = _layers(config.second)
        self.vote = nn.Linear(size, 8)
        self.of_object = nn.Sequential(nn.Linear(size + cloud, 128), nn.ReLU(), nn.Linear(128, 7))
        self.of_tool = nn.Sequential(nn.Linear(size + cloud, 128), nn.ReLU(), nn.Linear(128, 8))

    def describe(self) -> dict[str, Any]:
        """Return the sizes as JSON values; `kind` says what it is."""
        c = self.config
        sizes = {"width": list(c.width), "second": list(c.second)}
        return {"kind": "affordance_hand", **asdict(c), **sizes}

    def forward(self, points: Tensor) -> tuple[Tensor, ...]:
        """Return `affordance_hand.OUTPUTS`, lengths in `UNIT_M`.

        Args:
            points: x, y, z in the level hand frame, and height over the table, in `UNIT_M`, (batch,
                num_points, 4).

        Returns:
            tip (batch, 3), axes (batch, 6): the tool's y and z; opening (batch, 1); object (batch, 3), quat
            (batch, 4), size (batch, 2); log_var (batch, 2) of tip and object.
        """
        first = self.first(points)
        cloud = torch.cat((first.amax(1), first.mean(1)), -1)
        local = self.rest(torch.relu(self.local(first) + self.around(cloud)[:, None]))
        votes = self.vote(local)
        weight = torch.softmax(votes[..., 6:], 1)
        tip = (weight[..., :1] * (points[..., :3] + votes[..., :3])).sum(1)
        thing = (weight[..., 1:] * (points[..., :3] + votes[..., 3:6])).sum(1)
        tool = self.of_tool(torch.cat(((weight[..., :1] * local).sum(1), cloud), -1))
        found = self.of_object(torch.cat(((weight[..., 1:] * local).sum(1), cloud), -1))
        axes = torch.cat((_unit(tool[:, :3]), _unit(tool[:, 3:6])), -1)
        log_var = torch.cat((tool[:, 7:8], found[:, 6:7]), -1).clamp(*_LOG_VAR)
        return tip, axes, tool[:, 6:7], thing, _unit(found[:, :4]), found[:, 4:6], log_var

    def named(self, points: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        return dict(zip(OUTPUTS, self(points), strict=True))


def hand_loss(out: Mapping[str, Tensor], label: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the parts of the loss.

    Positions: Gaussian likelihood weighted by the root of its variance (beta-NLL, Seitzer et al., 2022, arXiv
    2203.09168, eq. 5). Lengths: absolute error. Rotations: squared sine of half the angle, squared gap.

    Args:
        out: Outputs of the network.
        label: The same names, but `log_var`.
    """

    def likelihood(name: str, log_var: Tensor) -> Tensor:
        square = (out[name] - label[name]).square().sum(-1)
        return (0.5 * (square / log_var.exp() + 3 * log_var) * (0.5 * log_var).exp().detach()).mean()

    return {
        "tip": likelihood("tip", out["log_var"][:, 0]),
        "axes": 5.0 * (out["axes"] - label["axes"]).square().sum(-1).mean(),
        "opening": 2.0 * (out["opening"] - label["opening"]).abs().mean(),
        "object": likelihood("object", out["log_var"][:, 1]),
        "quat": (1.0 - (out["quat"] * label["quat"]).sum(-1).square()).mean(),
        "size": 2.0 * (out["size"] - label["size"]).abs().mean(),
    }


def _layers(sizes: tuple[int, ...]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        parts += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*parts)


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(-1, keepdim=True) + 1e-9).sqrt()
