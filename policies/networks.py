"""Networks as they are exported: from named observations to an action, normaliser and bounds inside."""

from __future__ import annotations

import importlib
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

RNNS: Final[dict[str, type[nn.GRU] | type[nn.LSTM]]] = {"gru": nn.GRU, "lstm": nn.LSTM}
RNN_STATES: Final = {"gru": ("hidden",), "lstm": ("hidden", "cell")}
"""Recurrent layers, and names of what they remember."""

GOALS: Final = ("desired_goal", "achieved_goal")

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


def beside(keys: Sequence[str], obs: Sequence[Tensor], goal_gap: bool) -> Tensor:
    """Return observations side by side, and after them desired_goal - achieved_goal if `goal_gap`."""
    parts = list(obs)
    if goal_gap:
        goal, now = (obs[keys.index(k)] for k in GOALS)
        parts.append(goal - now)
    return torch.cat(parts, -1)


def _check_gap(keys: Sequence[str], goal_gap: bool) -> None:
    if goal_gap and not set(GOALS) <= set(keys):
        raise ValueError("goal_gap needs desired_goal and achieved_goal among the observations")


class PolicyNet(nn.Module):
    """What acts: `forward(*observations)` to an action in [-1, 1], each (batch, ...) float32.

    Attributes:
        keys: Names of the observations it reads, in the order of `forward`'s arguments.
        hidden: Shapes (without the batch) of what it remembers from step to step, by name. `forward` takes
            these after the observations, zeros at first, and returns the new ones after the action.
    """

    keys: tuple[str, ...]
    hidden: Mapping[str, tuple[int, ...]] = {}

    def describe(self) -> dict[str, Any]:
        """Return what `make_net` needs to build it again, as JSON values; `kind` names the class."""
        raise NotImplementedError

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Return the action of named observations (num_envs, ...), without gradients."""
        with torch.no_grad():
            return self(*(obs[k] for k in self.keys))

    def reset(self) -> None:
        """Forget what `act` remembers; call it where episodes begin."""


class MlpNet(PolicyNet):
    """Observations side by side, normalised, through an MLP, squashed.

    Args:
        keys: Names of the observations.
        sizes: Sizes of the layers; the first is the sum of the observations' sizes.
        name: Activation.
        squash: `tanh` or `clip`.
        layer_norm: See `mlp`.
        goal_gap: Whether it also reads desired_goal - achieved_goal, appended to the observations.

    Raises:
        ValueError: If `squash` or the activation is unknown, or `goal_gap` has no goals to compare.
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
        goal_gap: bool = False,
    ) -> None:
        """See the class."""
        super().__init__()
        _check_gap(keys, goal_gap)
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
            "goal_gap": goal_gap,
        }
        self.squash, self.goal_gap = squash, goal_gap
        self.net = mlp(sizes, name, layer_norm)
        self.register_buffer("mean", torch.zeros(sizes[0]))
        self.register_buffer("std", torch.ones(sizes[0]))

    def describe(self) -> dict[str, Any]:
        """See `PolicyNet.describe`."""
        return dict(self._about)

    def forward(self, *obs: Tensor) -> Tensor:
        """See `PolicyNet`."""
        x = (beside(self.keys, obs, self.goal_gap) - self.mean) / self.std
        out = self.net(torch.clamp(x, -CLIP_SIGMA, CLIP_SIGMA))
        return torch.tanh(out) if self.squash == "tanh" else torch.clamp(out, -1.0, 1.0)


class RnnNet(PolicyNet):
    """Observations side by side, normalised, through recurrent layers and an MLP, squashed.

    Args:
        keys: Names of the observations.
        sizes: Sizes: of the observations together, of the recurrent layers, of the MLP's layers.
        name: Activation of the MLP.
        squash: `tanh` or `clip`.
        layer_norm: See `mlp`; of the MLP.
        goal_gap: See `MlpNet`.
        rnn: `gru` or `lstm`.
        layers: Number of recurrent layers.

    Raises:
        ValueError: If `squash`, `rnn` or the activation is unknown, or `goal_gap` has no goals to compare.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        keys: Sequence[str],
        sizes: Sequence[int],
        name: str = "elu",
        squash: str = "clip",
        layer_norm: bool = False,
        goal_gap: bool = False,
        rnn: str = "gru",
        layers: int = 1,
    ) -> None:
        """See the class."""
        super().__init__()
        _check_gap(keys, goal_gap)
        if squash not in SQUASH:
            raise ValueError(f"no squash {squash!r}; there are {', '.join(SQUASH)}")
        if rnn not in RNNS:
            raise ValueError(f"no recurrent layer {rnn!r}; there are {', '.join(RNNS)}")
        self.keys, self.squash, self.goal_gap = tuple(keys), squash, goal_gap
        self.hidden = {k: (layers, sizes[1]) for k in RNN_STATES[rnn]}
        self._about = {
            "kind": "rnn", "keys": list(keys), "sizes": list(sizes), "name": name, "squash": squash,
            "layer_norm": layer_norm, "goal_gap": goal_gap, "rnn": rnn, "layers": layers,
        }  # fmt: skip
        self.rnn = RNNS[rnn](sizes[0], sizes[1], layers)
        self.net = mlp(sizes[1:], name, layer_norm)
        self.register_buffer("mean", torch.zeros(sizes[0]))
        self.register_buffer("std", torch.ones(sizes[0]))
        self._memory: tuple[Tensor, ...] | None = None

    def describe(self) -> dict[str, Any]:
        """See `PolicyNet.describe`."""
        return dict(self._about)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the action and the new hidden state of observations and the old hidden state."""
        num_obs = len(self.keys)
        obs, old = list(inputs[:num_obs]), list(inputs[num_obs:])
        x = (beside(self.keys, obs, self.goal_gap) - self.mean) / self.std
        # torch keeps the layers first, everything else here has the batch first.
        state = [h.transpose(0, 1).contiguous() for h in old]
        carried: Any = state[0] if len(state) == 1 else tuple(state)
        latent, new = self.rnn(torch.clamp(x, -CLIP_SIGMA, CLIP_SIGMA).unsqueeze(0), carried)
        new = (new,) if isinstance(new, Tensor) else new
        out = self.net(latent.squeeze(0))
        action = torch.tanh(out) if self.squash == "tanh" else torch.clamp(out, -1.0, 1.0)
        return action, *(h.transpose(0, 1) for h in new)

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `PolicyNet.act`; remembers until `reset`."""
        inputs = [obs[k] for k in self.keys]
        if self._memory is None:
            n, device = len(inputs[0]), inputs[0].device
            self._memory = tuple(torch.zeros(n, *shape, device=device) for shape in self.hidden.values())
        with torch.no_grad():
            action, *memory = self(*inputs, *self._memory)
        self._memory = tuple(memory)
        return action

    def reset(self) -> None:
        """See `PolicyNet.reset`."""
        self._memory = None


class NormProjection:
    """Hidden weights that keep their initial norms (Lyle et al., 2024, arXiv 2407.01800, section 4).

    With layer norm before each nonlinearity, growing weights only shrink the effective learning rate. Call
    `apply` after each update. The output layer is left alone: its scale matters.

    Args:
        *networks: MLPs whose layers of `torch.nn.Linear` but the last of each are hidden.
    """

    def __init__(self, *networks: nn.Module) -> None:
        """See the class."""
        linear = [[m for m in net.modules() if isinstance(m, nn.Linear)] for net in networks]
        self.weights = [m.weight for layers in linear for m in layers[:-1]]
        self.norms = [float(torch.linalg.vector_norm(w.detach())) for w in self.weights]

    @torch.no_grad()
    def apply(self) -> None:
        """Scale the weights back to their norms."""
        for weight, norm in zip(self.weights, self.norms, strict=True):
            weight.mul_(norm / torch.linalg.vector_norm(weight).clamp_min(1e-12))


NETS: Final[dict[str, type[PolicyNet]]] = {"mlp": MlpNet, "rnn": RnnNet}
"""Kinds of networks that `make_net` builds."""

OTHER_NETS: Final = {"cloud": "policies.cloud_nets:CloudNet"}
"""Kinds that are imported when they are asked for."""


def make_net(about: Mapping[str, Any]) -> PolicyNet:
    """Build what `PolicyNet.describe` described, with fresh weights.

    Raises:
        ValueError: If the kind is unknown; lists them.
    """
    settings = dict(about)
    kind = settings.pop("kind", None)
    if kind in OTHER_NETS:
        module, _, name = OTHER_NETS[kind].partition(":")
        return getattr(importlib.import_module(module), name)(**settings)
    if kind not in NETS:
        raise ValueError(f"no network {kind!r}; there are {', '.join((*NETS, *OTHER_NETS))}")
    return NETS[kind](**settings)
