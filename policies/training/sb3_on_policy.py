"""PPO of Stable-Baselines3 as a `Trainer` (Schulman et al., 2017, arXiv 1707.06347)."""
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import VecCheckNan, VecEnv
from torch import Tensor, nn

from policies.networks import ACTIVATIONS, MlpNet, NormProjection
from policies.training.sb3_policies import GoalFeatures, add_layer_norm
from policies.training.sb3_shared import check_weights, episodes, learn, losses
from policies.training.trainer import check_finite


@dataclass(frozen=True)
class Sb3PpoConfig:
    """Settings of PPO.

    Attributes:
        num_steps_per_env: Control steps of each environment per iteration.
        learning_rate: Step size of Adam.
        gamma: Discount per control step.
        lam: Of generalised advantage estimation.
        epochs: Passes over the data of an iteration.
        minibatches: Parts of a pass.
        clip: Range of the ratio of probabilities.
        target_kl: End a pass where the policy has changed by 1.5 times this [nat]; 0 for never.
        value_coef: Weight of the value's loss.
        entropy_coef: Weight of the entropy that is rewarded.
        max_grad_norm: Largest norm of the gradient.
        obs_normalization: Normalise observations by their running mean and deviation.
        hidden: Sizes of the hidden layers of actor and critic.
        activation: Activation.
        layer_norm: Normalise before each nonlinearity.
        nap: Normalise-and-project: layer norm, and hidden weights keep their norms (arXiv 2407.01800).
        init_std: Standard deviation of the actions at the beginning.
    """

    num_steps_per_env: int = 64
    learning_rate: float = 0.001
    gamma: float = 0.97
    lam: float = 0.95
    epochs: int = 5
    minibatches: int = 4
    clip: float = 0.2
    target_kl: float = 0.0
    value_coef: float = 0.5
    entropy_coef: float = 0.0
    max_grad_norm: float = 0.5
    obs_normalization: bool = True
    hidden: tuple[int, ...] = (128, 128)
    activation: str = "elu"
    layer_norm: bool = False
    nap: bool = False
    init_std: float = 0.6

    def __post_init__(self) -> None:
        """Refuse settings that make no training."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"no activation {self.activation!r}; there are {', '.join(ACTIVATIONS)}")
        for name in ("num_steps_per_env", "epochs", "minibatches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; use 1 or more")
        for name in ("learning_rate", "clip", "max_grad_norm", "init_std"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use more than 0")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden is {self.hidden}; name at least one size, each 1 or more")


class RunningGoalFeatures(GoalFeatures):
    """Goal features, standardised by all that `update` has seen."""

    count: Tensor

    def __init__(self, observation_space: spaces.Dict) -> None:
        """See the class."""
        super().__init__(observation_space)
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, observations: Mapping[str, Tensor]) -> None:
        """Take observations (n, ...) into the mean and deviation (Chan et al., 1979)."""
        x = self.raw(observations)
        n, old = float(len(x)), float(self.count)
        # Before the first update the deviation is 1 by definition, and weighs nothing.
        share = n / (old + n)
        delta = x.mean(0) - self.mean
        var = (1 - share) * self.std.square() + share * x.var(0, unbiased=False)
        self.mean += share * delta
        self.std.copy_((var + share * (1 - share) * delta.square()).sqrt().clamp(min=1e-3))
        self.count += n


class LayerNormActorCritic(MultiInputActorCriticPolicy):
    """The usual actor and critic, with layer norm before each nonlinearity."""

    def _build_mlp_extractor(self) -> None:
        super()._build_mlp_extractor()
        add_layer_norm(self.mlp_extractor, len(self.net_arch))


class Sb3Ppo:
    """See `Trainer`; one `advance` is one rollout and one update.

    Args:
        env: The environments as an SB3 `VecEnv` whose `batch` is a `TrainingEnv`.
        config: Settings.
        demonstrator: Not used: what others do can't teach an on-policy algorithm.
        seed: Seed of networks and exploration.

    Raises:
        ValueError: If there are more minibatches than steps in an iteration.
    """

    interface: ClassVar[str] = "sb3"

    def __init__(
        self,
        env: Any,
        config: Sb3PpoConfig | None = None,
        demonstrator: object | None = None,
        seed: int = 0,
    ) -> None:
        """See the class."""
        self.config = c = config or Sb3PpoConfig()
        self._batch = env.batch
        self._env: VecEnv = VecCheckNan(env, raise_exception=True)
        rows = c.num_steps_per_env * self._env.num_envs
        if c.minibatches > rows:
            raise ValueError(f"{c.minibatches} minibatches of {rows} steps; use fewer minibatches")
        self.model: Any = PPO(
            LayerNormActorCritic if c.layer_norm or c.nap else MultiInputActorCriticPolicy,
            self._env,
            n_steps=c.num_steps_per_env, batch_size=rows // c.minibatches, n_epochs=c.epochs,
            learning_rate=c.learning_rate, gamma=c.gamma, gae_lambda=c.lam, clip_range=c.clip,
            target_kl=c.target_kl or None, vf_coef=c.value_coef, ent_coef=c.entropy_coef,
            max_grad_norm=c.max_grad_norm, seed=seed, device="cpu",
            policy_kwargs={
                "net_arch": list(c.hidden), "activation_fn": ACTIVATIONS[c.activation],
                "features_extractor_class": RunningGoalFeatures, "log_std_init": math.log(c.init_std),
            },
        )  # fmt: skip
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        self._projection = self._project() if c.nap else None

    # ---- the contract -------------------------------------------------------------------------------

    @property
    def env_steps(self) -> int:
        """See `Trainer.env_steps`."""
        return self.model.num_timesteps

    def advance(self) -> dict[str, float]:
        """See `Trainer.advance`."""
        learn(self.model, self.config.num_steps_per_env * self._env.num_envs)
        if self.config.obs_normalization:
            seen = self.model.rollout_buffer.observations
            flat = {k: torch.as_tensor(v.reshape(-1, *self._shape(k))) for k, v in seen.items()}
            self._features.update(flat)
        metrics = losses(self.model) | episodes(self.model)
        metrics["policy/std"] = metrics.pop("loss/std")
        check_finite(metrics)
        check_weights(self.model)
        return metrics

    def net(self) -> MlpNet:
        """See `Trainer.net`: the mean of the actor, clipped."""
        c, policy = self.config, self.model.policy
        sizes = [self._features.features_dim, *c.hidden, self._batch.spec.action.shape[0]]
        net = MlpNet(self._features.keys, sizes, c.activation, "clip", c.layer_norm or c.nap, goal_gap=True)
        own = [m for m in net.net if isinstance(m, nn.Linear | nn.LayerNorm)]
        its = [*policy.mlp_extractor.policy_net, policy.action_net]
        its = [m for m in its if isinstance(m, nn.Linear | nn.LayerNorm)]
        for mine, other in zip(own, its, strict=True):
            mine.load_state_dict(other.state_dict())
        net.mean.copy_(self._features.mean)
        net.std.copy_(self._features.std)
        return net.eval()

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`."""
        model, last = self.model, self.model._last_obs
        return {
            "algorithm": "sb3_ppo",
            "policy": model.policy.state_dict(),
            "optimizer": model.policy.optimizer.state_dict(),
            "counts": {k: getattr(model, k) for k in ("num_timesteps", "_n_updates")},
            "norms": None if self._projection is None else self._projection.norms,
            "last_obs": None if last is None else dict(last),
            "starts": None if last is None else np.asarray(model._last_episode_starts, dtype=bool),
            "recent": [dict(e) for e in model.ep_info_buffer or ()],
            "recent_success": [bool(e) for e in model.ep_success_buffer or ()],
            "env": self._batch.state_arrays(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Trainer.load_state`."""
        if state.get("algorithm") != "sb3_ppo":
            raise ValueError(f"the checkpoint is of {state.get('algorithm')}, not of sb3_ppo")
        if (self._projection is None) != (state["norms"] is None):
            raise ValueError("the checkpoint was trained with another setting of nap")
        model = self.model
        try:
            model.policy.load_state_dict(state["policy"])
        except RuntimeError as error:
            raise ValueError(f"the checkpoint is of another network: {error}") from error
        model.policy.optimizer.load_state_dict(state["optimizer"])
        self._batch.load_state_arrays(state["env"])
        for name, value in state["counts"].items():
            setattr(model, name, value)
        if self._projection is not None:
            self._projection.norms = list(state["norms"])
        model._last_obs = None if state["last_obs"] is None else dict(state["last_obs"])
        model._last_episode_starts = state["starts"]
        model.ep_info_buffer = deque(state["recent"], maxlen=100)
        model.ep_success_buffer = deque(state["recent_success"], maxlen=100)

    def close(self) -> None:
        """See `Trainer.close`."""
        self._env.close()

    # ---- parts --------------------------------------------------------------------------------------

    @property
    def _features(self) -> RunningGoalFeatures:
        return self.model.policy.features_extractor

    def _shape(self, key: str) -> tuple[int, ...]:
        return self._batch.spec.obs[key].shape

    def _project(self) -> NormProjection:
        """Let each update end with the hidden weights at the norms of now."""
        policy = self.model.policy
        actor = nn.Sequential(*policy.mlp_extractor.policy_net, policy.action_net)
        critic = nn.Sequential(*policy.mlp_extractor.value_net, policy.value_net)
        projection = NormProjection(actor, critic)
        policy.optimizer.register_step_post_hook(lambda *_: projection.apply())
        return projection
