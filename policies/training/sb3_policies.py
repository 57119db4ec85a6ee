"""Networks of Stable-Baselines3's off-policy algorithms: goal features, layer norm; the algorithms built."""
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.her import HerReplayBuffer
from torch import Tensor, nn

from policies.networks import ACTIVATIONS, CLIP_SIGMA

if TYPE_CHECKING:
    from policies.training.sb3_off_policy import OffPolicyConfig


def add_layer_norm(network: nn.Module, num_hidden: int) -> None:
    """Put a layer norm after each hidden linear layer of every MLP in a network, in place.

    Args:
        network: An actor or a critic; its MLPs are `torch.nn.Sequential`.
        num_hidden: Hidden layers of each MLP; later linear layers are outputs.
    """
    for net in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        layers, hidden = [], 0
        for layer in net:
            layers.append(layer)
            if isinstance(layer, nn.Linear) and hidden < num_hidden:
                layers.append(nn.LayerNorm(layer.out_features))
                hidden += 1
        for name in list(net._modules):
            del net._modules[name]
        for k, layer in enumerate(layers):
            net.add_module(str(k), layer)


def with_layer_norm(policy_class: type[Any]) -> type[Any]:
    """Return a policy class whose actors and critics normalise before each nonlinearity."""

    class LayerNormPolicy(policy_class):
        def make_actor(self, *args: Any, **kwargs: Any) -> Any:
            actor = super().make_actor(*args, **kwargs)
            add_layer_norm(actor, len(self.net_arch))
            return actor

        def make_critic(self, *args: Any, **kwargs: Any) -> Any:
            critic = super().make_critic(*args, **kwargs)
            add_layer_norm(critic, len(self.net_arch))
            return critic

    return LayerNormPolicy


def hidden_weights(network: nn.Module, num_hidden: int) -> list[Any]:
    """Return the weights of the hidden linear layers of every MLP in a network."""
    found: list[Any] = []
    for net in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        linear = [m for m in net if isinstance(m, nn.Linear)]
        found += [m.weight for m in linear[:num_hidden]]
    return found


class GoalFeatures(BaseFeaturesExtractor):
    """Observation, both goals and the gap between them, standardised by `set_scale`."""

    mean: Tensor
    std: Tensor

    def __init__(self, observation_space: spaces.Dict) -> None:
        """See the class."""
        self.keys = tuple(observation_space.spaces)
        size = sum(int(np.prod(s.shape or ())) for s in observation_space.spaces.values())
        size += int(np.prod(observation_space["desired_goal"].shape or ()))
        super().__init__(observation_space, size)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return the features, (batch, features_dim)."""
        x = (self.raw(observations) - self.mean) / self.std
        return torch.clamp(x, -CLIP_SIGMA, CLIP_SIGMA)

    def raw(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return the features before they are standardised."""
        parts = [observations[k] for k in self.keys]
        return torch.cat([*parts, observations["desired_goal"] - observations["achieved_goal"]], -1)


def make_model(
    env: VecEnv, config: OffPolicyConfig, seed: int, rate: Callable[[float], float]
) -> OffPolicyAlgorithm:
    """Build SAC, TD3 or TQC with a hindsight replay.

    Raises:
        ValueError: If the algorithm or the activation is unknown; lists the valid ones.
    """
    if config.activation not in ACTIVATIONS:
        raise ValueError(f"no activation {config.activation!r}; there are {', '.join(ACTIVATIONS)}")
    settings: dict[str, Any] = {
        "learning_rate": rate,
        "batch_size": config.batch_size,
        "gamma": config.gamma,
        "tau": config.tau,
        "buffer_size": config.buffer_size,
        "learning_starts": config.learning_starts,
        "train_freq": 1,
        "gradient_steps": config.gradient_steps,
        "replay_buffer_class": HerReplayBuffer,
        "replay_buffer_kwargs": {
            "n_sampled_goal": config.relabelled,
            "goal_selection_strategy": config.strategy,
        },
        "policy_kwargs": {
            "net_arch": list(config.hidden),
            "activation_fn": ACTIVATIONS[config.activation],
            "features_extractor_class": GoalFeatures,
        },
        "seed": seed,
        "device": "cpu",
    }

    def policy(of: type[Any]) -> Any:
        kind = of.policy_aliases["MultiInputPolicy"]
        return with_layer_norm(kind) if config.layer_norm or config.nap else kind

    if config.algorithm == "td3":
        from stable_baselines3.common.noise import NormalActionNoise

        shape = env.action_space.shape or ()
        noise = NormalActionNoise(np.zeros(shape), np.full(shape, config.noise))
        return TD3(policy(TD3), env, action_noise=noise, **settings)
    settings["ent_coef"] = config.entropy or "auto"
    if config.algorithm == "tqc":
        from sb3_contrib import TQC

        return TQC(policy(TQC), env, **settings)
    if config.algorithm != "sac":
        raise ValueError(f"no algorithm {config.algorithm!r}; there are sac, td3, tqc")
    return SAC(policy(SAC), env, **settings)
