"""Networks of the affordance encoder, in torch: a PointNet, and a transformer over patches.

Both read a cloud in several of its frames (`affordance_frames`). Each frame gives a feature; the latent is
their mean, and the state (opening, greatest size, kind) is read from the latent alone, so that it is as
invariant as the latent and every latent can be decoded. Tip and axes are given per frame. The tip is a
vote: a softmax over points of each point plus an offset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn

from perception_tools.affordance_state import KINDS, LATENT, OUTPUTS, TOOLS

_LOG_VAR: Final = (-12.0, 4.0)


@dataclass(frozen=True)
class AffordanceNetConfig:
    """Sizes of a network.

    Attributes:
        encoder: `pointnet` (Qi et al., 2017, arXiv 1612.00593, without the T-Net, whose task the frames
            do) or `point_transformer` (patches as in Point-MAE, Pang et al., 2022, arXiv 2203.06604).
        num_points: Points that are read.
        width: Sizes of the point-wise layers (`pointnet`); the last is the token's size
            (`point_transformer`), a multiple of 4.
        num_centres: Number of patches (`point_transformer`); 0 for none.
        num_neighbours: Points per patch.
        num_layers: Transformer layers.
    """

    encoder: str = "pointnet"
    num_points: int = 256
    width: tuple[int, ...] = (64, 96, 192)
    num_centres: int = 0
    num_neighbours: int = 16
    num_layers: int = 2

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise ValueError(f"no encoder {self.encoder!r}; encoders: {', '.join(ENCODERS)}")
        needs_centres = self.encoder == "point_transformer"
        if needs_centres != (self.num_centres > 0) or self.num_centres > self.num_points:
            raise ValueError(
                f"num_centres = {self.num_centres}: the point transformer needs 1 to {self.num_points}, "
                "pointnet none"
            )
        if self.num_points < 32 or len(self.width) < 2:
            raise ValueError("read at least 32 points, with at least two layers")


class PointNet(nn.Module):
    """Points (batch, N, 3) to features of points (batch, N, C) and of the cloud (batch, 2 C)."""

    def __init__(self, config: AffordanceNetConfig) -> None:
        """See the class."""
        super().__init__()
        sizes = (3, *config.width)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.size = sizes[-1]

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the voters (batch, N, 3), their features, and the cloud's feature."""
        features = self.layers(points)
        return points, features, torch.cat([features.amax(1), features.mean(1)], -1)


class PointTransformer(nn.Module):
    """Attention over patches: the nearest neighbours of the first points, which are far apart."""

    def __init__(self, config: AffordanceNetConfig) -> None:
        """See the class."""
        super().__init__()
        self.centres, self.neighbours, size = config.num_centres, config.num_neighbours, config.width[-1]
        self.patch = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, size))
        self.place = nn.Sequential(nn.Linear(3, size), nn.ReLU(), nn.Linear(size, size))
        self.blocks = nn.ModuleList([_Block(size) for _ in range(config.num_layers)])
        self.norm = nn.LayerNorm(size)
        self.size = size

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `PointNet.forward`; the voters are the patches' centres."""
        centres = points[:, : self.centres]
        # Squared distances, written out: cdist has no exact counterpart everywhere it is exported to.
        square = (
            (centres**2).sum(-1)[:, :, None]
            + (points**2).sum(-1)[:, None]
            - 2 * centres @ points.transpose(1, 2)
        )
        near = square.topk(self.neighbours, dim=-1, largest=False).indices
        index = near.flatten(1)[..., None].expand(-1, -1, 3)
        patches = points.gather(1, index).unflatten(1, (self.centres, self.neighbours))
        middles = centres[:, :, None].expand_as(patches)
        tokens = self.patch(torch.cat([patches - middles, middles], -1)).amax(2) + self.place(centres)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return centres, tokens, torch.cat([tokens.amax(1), tokens.mean(1)], -1)


class _Block(nn.Module):
    """One layer of a transformer, normalised before (Xiong et al., 2020, arXiv 2002.04745)."""

    def __init__(self, size: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.mlp = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm_1(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attention = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)
        x = x + self.out((attention @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_2(x))


ENCODERS: Final[Mapping[str, Callable[[AffordanceNetConfig], Any]]] = MappingProxyType(
    {"pointnet": PointNet, "point_transformer": PointTransformer}
)


class AffordanceNet(nn.Module):
    """Encoder and heads, with its calibration.

    Args:
        config: Sizes.
    """

    temperature: Tensor
    latent_mean: Tensor
    latent_precision: Tensor
    keys = ("points", "log_scale")

    def __init__(self, config: AffordanceNetConfig) -> None:
        """See the class."""
        super().__init__()
        self.config = config
        self.encoder = ENCODERS[config.encoder](config)
        size = self.encoder.size
        self.global_ = nn.Sequential(nn.Linear(2 * size + 1, 128), nn.LayerNorm(128), nn.ReLU())
        self.to_latent = nn.Linear(128, LATENT)
        self.decode = nn.Sequential(nn.Linear(LATENT, 64), nn.ReLU(), nn.Linear(64, 4 + len(KINDS)))
        self.vote_local, self.vote_global = nn.Linear(size, 64), nn.Linear(128, 64)
        self.vote = nn.Linear(64, 4)
        self.axes = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 9))
        self.register_buffer("temperature", torch.ones(5))
        self.register_buffer("latent_mean", torch.zeros(len(TOOLS), LATENT))
        self.register_buffer("latent_precision", torch.eye(LATENT).repeat(len(TOOLS), 1, 1) * 1e-6)

    def describe(self) -> dict[str, Any]:
        """Return the sizes as JSON values; `kind` says what it is."""
        return {"kind": "affordance", **asdict(self.config), "width": list(self.config.width)}

    def forward(self, points: Tensor, log_scale: Tensor) -> tuple[Tensor, ...]:
        """Return `affordance_state.OUTPUTS`, lengths in units of the cloud's scale.

        Args:
            points: Points in each frame, (batch, frames, N, 3).
            log_scale: Logarithm of the clouds' scales in metres, (batch,).

        Returns:
            latent (batch, 32); state (batch, 4): opening, its log variance, greatest size, its log
            variance; logits (batch, 4); tip, approach, across (batch, frames, 3); log_var (batch, frames,
            3) of those; novelty (batch, 1); temperature (batch, 5).
        """
        num_frames = points.shape[1]
        voters, local, pooled = self.encoder(points.flatten(0, 1))
        size = (log_scale + 3.0)[:, None, None].expand(-1, num_frames, 1).flatten(0, 1)
        feature = self.global_(torch.cat([pooled, size], -1))
        latent = self.to_latent(feature).unflatten(0, (-1, num_frames)).mean(1)
        decoded = self.decode(latent)
        votes = self.vote(torch.relu(self.vote_local(local) + self.vote_global(feature)[:, None]))
        weight = torch.softmax(votes[..., 3:], 1)
        tip = (weight * (voters + votes[..., :3])).sum(1)
        axes = self.axes(feature)
        return (
            latent,
            _bounded_state(decoded[:, :4]),
            decoded[:, 4:],
            tip.unflatten(0, (-1, num_frames)),
            _unit(axes[:, :3]).unflatten(0, (-1, num_frames)),
            _unit(axes[:, 3:6]).unflatten(0, (-1, num_frames)),
            axes[:, 6:].clamp(*_LOG_VAR).unflatten(0, (-1, num_frames)),
            self.novelty(latent),
            self.temperature.expand(latent.shape[0], -1),
        )

    def named(self, points: Tensor, log_scale: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        return dict(zip(OUTPUTS, self(points, log_scale), strict=True))

    def novelty(self, latent: Tensor) -> Tensor:
        """Return the Mahalanobis distance of latents (batch, 32) from the nearest kind of tools, (batch, 1).

        It is in units of the distance that 99 % of the trained tools keep (Lee et al., 2018, arXiv
        1807.03888, eq. 2, with a covariance per kind).
        """
        offset = (latent[:, None] - self.latent_mean)[:, :, None]
        square = (offset @ self.latent_precision @ offset.transpose(-1, -2)).flatten(1)
        return square.amin(1, keepdim=True).clamp(min=1e-12).sqrt()


def _bounded_state(state: Tensor) -> Tensor:
    low, high = _LOG_VAR
    return torch.stack(
        [state[:, 0], state[:, 1].clamp(low, high), state[:, 2], state[:, 3].clamp(low, high)], -1
    )


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(-1, keepdim=True) + 1e-12).sqrt()


def affordance_loss(
    out: Mapping[str, Tensor], label: Mapping[str, Tensor], beta: float = 0.5
) -> dict[str, Tensor]:
    """Return the parts of the loss: Gaussian likelihoods weighted by their variance, and cross-entropy.

    The weight var^beta keeps hard clouds from being given up (beta-NLL, Seitzer et al., 2022,
    arXiv 2203.09168, eq. 5).

    Args:
        out: Outputs of the network.
        label: kind (batch,), is_tool (batch,), opening, size (batch,) in units of the clouds' scales, tip,
            approach, across (batch, frames, 3) in the frames.
        beta: See above.
    """
    is_tool, state, log_var = label["is_tool"], out["state"], out["log_var"]

    def likelihood(square: Tensor, log_v: Tensor, dims: int) -> Tensor:
        nll = 0.5 * (square / log_v.exp() + dims * log_v) * (beta * log_v).exp().detach()
        mask = is_tool.reshape(-1, *(1,) * (nll.dim() - 1)).expand_as(nll)
        return (nll * mask).sum() / mask.sum().clamp(min=1)

    def square(name: str, sign: Tensor | float = 1.0) -> Tensor:
        return (out[name] * sign - label[name]).square().sum(-1)

    sign = torch.where((out["across"] * label["across"]).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    return {
        "opening": likelihood((state[:, 0] - label["opening"]).square(), state[:, 1], 1),
        "size": likelihood((state[:, 2] - label["size"]).square(), state[:, 3], 1),
        "tip": likelihood(square("tip"), log_var[..., 0], 3),
        "approach": likelihood(square("approach"), log_var[..., 1], 2),
        "across": likelihood(square("across", sign), log_var[..., 2], 2),
        "kind": nn.functional.cross_entropy(out["logits"], label["kind"]),
    }
