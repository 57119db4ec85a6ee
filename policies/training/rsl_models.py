"""rsl_rl's models with this project's networks inside, so that what trains is what is exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

import torch
from rsl_rl.models import MLPModel, RNNModel
from rsl_rl.modules import HiddenState
from rsl_rl.modules.distribution import GaussianDistribution
from tensordict import TensorDict
from torch import Tensor, nn

from policies.networks import CLIP_SIGMA, MlpNet, PolicyNet, RnnNet, mlp


class NetSettings(Protocol):
    """What the models read of an algorithm's settings."""

    @property
    def hidden_dims(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def activation(self) -> str: ...  # noqa: D102
    @property
    def layer_norm(self) -> bool: ...  # noqa: D102
    @property
    def nap(self) -> bool: ...  # noqa: D102
    @property
    def goal_gap(self) -> bool: ...  # noqa: D102
    @property
    def obs_normalization(self) -> bool: ...  # noqa: D102
    @property
    def rnn(self) -> str: ...  # noqa: D102
    @property
    def rnn_hidden(self) -> int: ...  # noqa: D102
    @property
    def rnn_layers(self) -> int: ...  # noqa: D102
    @property
    def squash(self) -> str: ...  # noqa: D102
    @property
    def init_std(self) -> float: ...  # noqa: D102
    @property
    def std_type(self) -> str: ...  # noqa: D102


GAP: Final = "goal_gap"
"""Name of desired_goal - achieved_goal among what the models read."""


class TanhMeanGaussian(GaussianDistribution):
    """A Gaussian whose mean is squashed to [-1, 1]; samples are not, and are clipped by the environment."""

    def update(self, mlp_output: Tensor) -> None:
        """See `Distribution.update`."""
        super().update(torch.tanh(mlp_output))

    def deterministic_output(self, mlp_output: Tensor) -> Tensor:
        """See `Distribution.deterministic_output`."""
        return torch.tanh(mlp_output)


class ClippedMlp(MLPModel):
    """An MLP model whose normalised observations are clipped as those of an exported network."""

    def get_latent(
        self, obs: TensorDict, masks: Tensor | None = None, hidden_state: HiddenState = None
    ) -> Tensor:
        """See `MLPModel.get_latent`."""
        return torch.clamp(super().get_latent(obs), -CLIP_SIGMA, CLIP_SIGMA)


class ClippedRnn(RNNModel, ClippedMlp):
    """The same before a recurrent layer."""


def make_actor(obs: TensorDict, keys: Sequence[str], num_actions: int, settings: NetSettings) -> MLPModel:
    """Return what acts and is trained.

    Args:
        obs: Observations (num_envs, ...) by name.
        keys: Which of them it reads.
        num_actions: Number of actions.
        settings: Sizes and options.
    """
    distribution = {
        "class_name": TanhMeanGaussian if settings.squash == "tanh" else GaussianDistribution,
        "init_std": settings.init_std,
        "std_type": settings.std_type,
    }
    common = (obs, {"actor": list(keys)}, "actor", num_actions, settings.hidden_dims, "elu")
    if settings.rnn == "none":
        model = ClippedMlp(*common, settings.obs_normalization, distribution)
    else:
        recurrent = (settings.rnn, settings.rnn_hidden, settings.rnn_layers)
        model = ClippedRnn(*common, settings.obs_normalization, distribution, *recurrent)
    return _with_our_mlp(model, num_actions, settings)


def make_critic(obs: TensorDict, keys: Sequence[str], settings: NetSettings) -> MLPModel:
    """Return what estimates the return; it never remembers, and may read what the actor may not."""
    model = ClippedMlp(
        obs, {"critic": list(keys)}, "critic", 1, settings.hidden_dims, "elu", settings.obs_normalization
    )
    return _with_our_mlp(model, 1, settings)


def _with_our_mlp(model: MLPModel, outputs: int, settings: NetSettings) -> MLPModel:
    size = settings.rnn_hidden if model.is_recurrent else model.obs_dim
    sizes = (size, *settings.hidden_dims, outputs)
    model.mlp = mlp(sizes, settings.activation, settings.layer_norm or settings.nap)  # pyright: ignore
    return model


def to_net(actor: MLPModel, num_actions: int, settings: NetSettings) -> PolicyNet:
    """Return a copy of an actor of `make_actor`, deterministic, its normaliser inside, on the CPU."""
    normalised = settings.layer_norm or settings.nap
    head = (*settings.hidden_dims, num_actions)
    about = (settings.activation, settings.squash, normalised, settings.goal_gap)
    keys = [k for k in actor.obs_groups if k != GAP]
    if actor.is_recurrent:
        sizes = (actor.obs_dim, settings.rnn_hidden, *head)
        net = RnnNet(keys, sizes, *about, rnn=settings.rnn, layers=settings.rnn_layers)
        net.rnn.load_state_dict(cast(ClippedRnn, actor).rnn.rnn.state_dict())
    else:
        net = MlpNet(keys, (actor.obs_dim, *head), *about)
    net.net.load_state_dict(actor.mlp.state_dict())
    if settings.obs_normalization:
        normalizer = cast(Any, actor.obs_normalizer)
        net.mean.copy_(normalizer.mean)
        net.std.copy_(normalizer.std + normalizer.eps)
    return net


def hidden_tree(hidden: HiddenState) -> list[Tensor] | None:
    """Return a recurrent state as a list, for a checkpoint."""
    if hidden is None:
        return None
    return [hidden] if isinstance(hidden, Tensor) else list(hidden)


def hidden_from(tree: Sequence[Tensor] | None, device: str) -> HiddenState:
    """Return what `hidden_tree` listed."""
    if tree is None:
        return None
    tensors = tuple(t.to(device) for t in tree)
    return tensors[0] if len(tensors) == 1 else (tensors[0], tensors[1])


def load_module(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load weights of the same names and shapes.

    Raises:
        ValueError: If they are not; says of what and which.
    """
    mine = module.state_dict()
    for name in sorted(mine.keys() | state.keys()):
        here, there = (tuple(s[name].shape) if name in s else None for s in (mine, state))
        if here != there:
            raise ValueError(f"the checkpoint's {what} has {name} {there}, these settings make {here}")
    module.load_state_dict(dict(state))
