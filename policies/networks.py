"""Networks as they are exported: from named observations to an action, normaliser and bounds inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn

ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}

SQUASH: Final = ("tanh", "clip")
"""How an output becomes an action in [-1, 1]."""

CLIP_SIGMA: Final = 10.0
"""Normalised observations are clipped to this many standard deviations."""


def activation(name: str) -> nn.Module:
    """Return an activation by name.

    Raises:
        ValueError: If there is none of this name; lists them.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation {name!r}; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def mlp(sizes: Sequence[int], name: str = "elu", layer_norm: bool = False) -> nn.Sequential:
    """Return linear layers of these sizes, (input, hidden ..., output), with activations between.

    Args:
        sizes: At least an input and an output size.
        name: Activation.
        layer_norm: Normalise before every activation (Lyle et al., 2024, arXiv 2407.01800, section 4).
    """
    layers: list[nn.Module] = []
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(n_in, n_out))
        if k < len(sizes) - 2:
            layers += [nn.LayerNorm(n_out)] if layer_norm else []
            layers.append(activation(name))
    return nn.Sequential(*layers)


class PolicyNet(nn.Module):
    """What acts: `forward(*observations)` to an action in [-1, 1], each (batch, ...) float32.

    Attributes:
        keys: Names of the observations it reads, in the order of `forward`'s arguments.
    """

    keys: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return what `make_net` needs to build it again, as JSON values; `kind` names the class."""
        raise NotImplementedError

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Return the action of named observations (num_envs, ...), without gradients."""
        with torch.no_grad():
            return self(*(obs[k] for k in self.keys))


class MlpNet(PolicyNet):
    """Observations side by side, normalised, through an MLP, squashed.

    Args:
        keys: Names of the observations.
        sizes: Sizes of the layers; the first is the sum of the observations' sizes.
        name: Activation.
        squash: `tanh` or `clip`.
        layer_norm: See `mlp`.

    Raises:
        ValueError: If `squash` or the activation is unknown.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        keys: Sequence[str],
        sizes: Sequence[int],
        name: str = "elu",
        squash: str = "tanh",
        layer_norm: bool = False,
    ) -> None:
        """See the class."""
        super().__init__()
        if squash not in SQUASH:
            raise ValueError(f"no squash {squash!r}; there are {', '.join(SQUASH)}")
        self.keys = tuple(keys)
        self._about = {
            "kind": "mlp",
            "keys": list(keys),
            "sizes": list(sizes),
            "name": name,
            "squash": squash,
            "layer_norm": layer_norm,
        }
        self.squash = squash
        self.net = mlp(sizes, name, layer_norm)
        self.register_buffer("mean", torch.zeros(sizes[0]))
        self.register_buffer("std", torch.ones(sizes[0]))

    def describe(self) -> dict[str, Any]:
        """See `PolicyNet.describe`."""
        return dict(self._about)

    def forward(self, *obs: Tensor) -> Tensor:
        """See `PolicyNet`."""
        x = (torch.cat(obs, -1) - self.mean) / self.std
        out = self.net(torch.clamp(x, -CLIP_SIGMA, CLIP_SIGMA))
        return torch.tanh(out) if self.squash == "tanh" else torch.clamp(out, -1.0, 1.0)


NETS: Final[dict[str, type[PolicyNet]]] = {"mlp": MlpNet}
"""Kinds of networks that `make_net` builds."""


def make_net(about: Mapping[str, Any]) -> PolicyNet:
    """Build what `PolicyNet.describe` described, with fresh weights.

    Raises:
        ValueError: If the kind is unknown; lists them.
    """
    settings = dict(about)
    kind = settings.pop("kind", None)
    if kind not in NETS:
        raise ValueError(f"no network {kind!r}; there are {', '.join(NETS)}")
    return NETS[kind](**settings)
