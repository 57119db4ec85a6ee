"""Layer norm and norm projection in the networks of Stable-Baselines3."""
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

from typing import Any

from torch import nn


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
