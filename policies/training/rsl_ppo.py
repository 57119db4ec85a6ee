"""PPO of rsl_rl as a `Trainer` (Schulman et al., 2017, arXiv 1707.06347)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from rsl_rl.algorithms import PPO
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict
from torch import Tensor, nn

from policies.networks import ACTIVATIONS, GOALS, SQUASH, NormProjection, PolicyNet
from policies.training.distributed import Ranks, join, leave
from policies.training.rsl_models import (
    GAP,
    hidden_from,
    hidden_tree,
    load_module,
    make_actor,
    make_critic,
    to_net,
)
from policies.training.trainer import Diverged, TrainingEnv, check_finite

RNN_KINDS: Final = ("none", "gru", "lstm")
SCHEDULES: Final = ("adaptive", "fixed")
STD_TYPES: Final = ("scalar", "log")


@dataclass(frozen=True)
class RslPpoConfig:
    """Settings of PPO.

    Attributes:
        num_steps_per_env: Control steps of each environment per iteration.
        learning_rate: Of Adam; with `adaptive` where it begins.
        schedule: `adaptive`: the rate follows the policy's change, measured by `desired_kl`; or `fixed`.
        desired_kl: Change of the policy per update that `adaptive` aims at [nat].
        gamma: Discount per control step.
        lam: Of generalised advantage estimation.
        epochs: Passes over the data of an iteration.
        minibatches: Parts of a pass.
        clip: Range of the ratio of probabilities, and of the value's change.
        clip_value: Whether the value's change is clipped too.
        value_coef: Weight of the value's loss.
        entropy_coef: Weight of the entropy that is rewarded.
        max_grad_norm: Largest norm of a gradient, of actor and critic each.
        advantage_per_minibatch: Normalise advantages per part instead of over all data.
        obs: Observations that the actor reads.
        goal_gap: Whether it also reads desired_goal - achieved_goal.
        asymmetric: Whether the critic also reads `privileged`, where the task has it.
        obs_normalization: Normalise observations by their running mean and deviation.
        hidden_dims: Sizes of the hidden layers of actor and critic.
        activation: Their nonlinearity.
        layer_norm: Normalise before each nonlinearity.
        nap: Normalise-and-project: layer norm, and hidden weights keep their norms (arXiv 2407.01800).
        init_std: Standard deviation of the actions at the beginning.
        std_type: What is learnt of the deviation: `scalar`, itself, or `log`, its logarithm.
        squash: How the mean becomes an action: `clip` or `tanh`.
        rnn: Recurrent layer before the actor's MLP: `none`, `gru` or `lstm`.
        rnn_hidden: Its size.
        rnn_layers: Number of recurrent layers.
        random_first_episode: Begin the first episodes at random steps, so that they do not end together.
    """

    num_steps_per_env: int = 24
    learning_rate: float = 1e-3
    schedule: str = "adaptive"
    desired_kl: float = 0.01
    gamma: float = 0.99
    lam: float = 0.95
    epochs: int = 5
    minibatches: int = 4
    clip: float = 0.2
    clip_value: bool = True
    value_coef: float = 1.0
    entropy_coef: float = 0.005
    max_grad_norm: float = 1.0
    advantage_per_minibatch: bool = False
    obs: tuple[str, ...] = ("observation", "achieved_goal", "desired_goal")
    goal_gap: bool = True
    asymmetric: bool = True
    obs_normalization: bool = True
    hidden_dims: tuple[int, ...] = (128, 128)
    activation: str = "elu"
    layer_norm: bool = False
    nap: bool = False
    init_std: float = 0.6
    std_type: str = "log"
    squash: str = "clip"
    rnn: str = "none"
    rnn_hidden: int = 128
    rnn_layers: int = 1
    random_first_episode: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that make no training."""
        choices = {
            "schedule": SCHEDULES, "std_type": STD_TYPES, "squash": SQUASH, "rnn": RNN_KINDS,
            "activation": tuple(ACTIVATIONS),
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; there are {', '.join(known)}")
        for name in ("num_steps_per_env", "epochs", "minibatches", "rnn_hidden", "rnn_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; use 1 or more")
        for name in ("learning_rate", "desired_kl", "clip", "max_grad_norm", "init_std"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use more than 0")
        for name in ("gamma", "lam"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use a number in [0, 1]")
        if not self.hidden_dims or min(self.hidden_dims) < 1:
            raise ValueError(f"hidden_dims is {self.hidden_dims}; name at least one size, each 1 or more")
        if not self.obs:
            raise ValueError("obs is empty; name what the actor reads")
        if self.goal_gap and not set(GOALS) <= set(self.obs):
            raise ValueError(f"goal_gap needs {' and '.join(GOALS)} in obs; add them or set goal_gap=false")


class RslEnv(Protocol):
    """What is needed of an rsl_rl `VecEnv`, and the environments inside."""

    num_envs: int
    num_actions: int
    max_episode_length: Any
    device: Any
    episode_length_buf: Any

    @property
    def batch(self) -> TrainingEnv:
        """The environments themselves."""
        ...

    def get_observations(self) -> TensorDict:
        """Return the current observations."""
        ...

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Advance; `extras["log"]` has the means of the episodes that ended."""
        ...

    def close(self) -> Any:
        """Release the simulator."""
        ...


class RslPpo:
    """PPO of rsl_rl; one `advance` is one rollout and one update.

    Args:
        env: The environments, which reset themselves.
        config: Hyperparameters.
        device: Where the networks are trained, "" for where the environments are.
        demonstrator: Not used: what others do can't teach an on-policy algorithm.
        seed: Seed of networks and exploration; each of several processes draws its own.

    Raises:
        ValueError: If the environments lack an observation, or there are too few for the minibatches.
    """

    interface = "rsl_rl"
    config_class = RslPpoConfig

    def __init__(
        self,
        env: RslEnv,
        config: RslPpoConfig | None = None,
        device: str = "",
        demonstrator: object | None = None,
        seed: int = 0,
    ) -> None:
        """See the class."""
        self.config = config = config or RslPpoConfig()
        self.env, self.device, self.ranks = env, device or str(env.device), Ranks.from_environ()
        self._check_sizes()
        join(self.ranks, self.device)
        torch.manual_seed(seed + self.ranks.rank)
        if config.random_first_episode:
            high = int(env.max_episode_length)
            env.episode_length_buf = torch.randint_like(env.episode_length_buf, high=high)
        actor_keys, critic_keys = self._keys(env.batch.spec.obs)
        self._read = sorted({*actor_keys, *critic_keys} - {GAP})
        self._obs = self._to_device(env.get_observations())
        actor = make_actor(self._obs, actor_keys, env.num_actions, config).to(self.device)
        critic = make_critic(self._obs, critic_keys, config).to(self.device)
        self.ppo = self._make_ppo(actor, critic)
        if self.ranks.is_many:
            self.ppo.broadcast_parameters()
        self.projection = NormProjection(actor.mlp, critic.mlp) if config.nap else None
        if self.projection is not None:
            projection = self.projection
            self.ppo.optimizer.register_step_post_hook(lambda *_: projection.apply())
        self.iteration = 0

    # ---- the contract -------------------------------------------------------------------------------

    @property
    def env_steps(self) -> int:
        """See `Trainer.env_steps`."""
        return self.iteration * self.config.num_steps_per_env * self.env.num_envs * self.ranks.world_size

    def advance(self) -> dict[str, float]:
        """See `Trainer.advance`."""
        self.ppo.train_mode()
        metrics = self._rollout()
        self.ppo.compute_returns(self._obs)
        losses = self.ppo.update()
        metrics |= {f"loss/{name}": float(value) for name, value in losses.items()}
        metrics["learning_rate"] = float(self.ppo.learning_rate)
        check_finite(metrics)
        self._check_weights()
        self.iteration += 1
        return metrics

    def net(self) -> PolicyNet:
        """See `Trainer.net`."""
        return to_net(self.ppo.actor, self.env.num_actions, self.config)

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`."""
        ppo = self.ppo
        return {
            "algorithm": "rsl_ppo",
            "iteration": self.iteration,
            "actor": dict(ppo.actor.state_dict()),
            "critic": dict(ppo.critic.state_dict()),
            "optimizer": ppo.optimizer.state_dict(),
            "learning_rate": ppo.learning_rate,
            "norms": None if self.projection is None else self.projection.norms,
            "hidden": hidden_tree(ppo.actor.get_hidden_state()),
            "obs": dict(self._obs.items()),
            "env": self.env.batch.state_arrays(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Trainer.load_state`."""
        if state.get("algorithm") != "rsl_ppo":
            raise ValueError(f"the checkpoint is of {state.get('algorithm')}, not of rsl_ppo")
        ppo = self.ppo
        if (self.projection is None) != (state["norms"] is None):
            raise ValueError("the checkpoint was trained with another setting of nap")
        load_module(ppo.actor, state["actor"], "actor")
        load_module(ppo.critic, state["critic"], "critic")
        self.env.batch.load_state_arrays(state["env"])
        ppo.optimizer.load_state_dict(state["optimizer"])
        ppo.learning_rate = state["learning_rate"]
        if self.projection is not None:
            self.projection.norms = list(state["norms"])
        ppo.actor.reset(hidden_state=hidden_from(state["hidden"], self.device))
        self._obs = self._to_device(state["obs"])
        self.iteration = state["iteration"]

    def close(self) -> None:
        """See `Trainer.close`."""
        self.env.close()
        leave()

    # ---- parts --------------------------------------------------------------------------------------

    def _check_sizes(self) -> None:
        """Refuse more minibatches than there is data."""
        c, n = self.config, self.env.num_envs
        rows = n if c.rnn != "none" else n * c.num_steps_per_env
        if c.minibatches > rows:
            what = "environments" if c.rnn != "none" else "steps per iteration"
            raise ValueError(f"{c.minibatches} minibatches of {rows} {what}; use fewer minibatches")

    def _keys(self, known: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Return what the actor and the critic read."""
        for key in self.config.obs:
            if key not in known:
                raise ValueError(f"the environment has no observation {key!r}; it has {', '.join(known)}")
        # The gap comes last, as in an exported network.
        actor = [*self.config.obs, *([GAP] if self.config.goal_gap else [])]
        hidden = ["privileged"] if self.config.asymmetric and "privileged" in known else []
        return actor, actor + [k for k in hidden if k not in actor]

    def _to_device(self, obs: Any) -> TensorDict:
        chosen = {k: obs[k].to(self.device) for k in self._read}
        if self.config.goal_gap:
            goal, now = (chosen[k] for k in GOALS)
            chosen[GAP] = goal - now
        return TensorDict(chosen, batch_size=[self.env.num_envs], device=self.device)

    def _make_ppo(self, actor: nn.Module, critic: nn.Module) -> PPO:
        c, env = self.config, self.env
        storage = RolloutStorage(
            "rl", env.num_envs, c.num_steps_per_env, self._obs, [env.num_actions], self.device
        )
        return PPO(
            actor, critic, storage, device=self.device,  # pyright: ignore[reportArgumentType]
            num_learning_epochs=c.epochs, num_mini_batches=c.minibatches, clip_param=c.clip,
            use_clipped_value_loss=c.clip_value, gamma=c.gamma, lam=c.lam, value_loss_coef=c.value_coef,
            entropy_coef=c.entropy_coef, learning_rate=c.learning_rate, max_grad_norm=c.max_grad_norm,
            schedule=c.schedule, desired_kl=c.desired_kl,
            normalize_advantage_per_mini_batch=c.advantage_per_minibatch,
            multi_gpu_cfg=self.ranks.for_rsl_rl(),
        )  # fmt: skip

    @torch.no_grad()
    def _rollout(self) -> dict[str, float]:
        """Fill the storage; return what happened, and the means of the episodes that ended."""
        ended, sums = 0, dict[str, float]()
        for _ in range(self.config.num_steps_per_env):
            actions = self.ppo.act(self._obs)
            obs, rewards, dones, extras = self.env.step(actions.to(self.env.device))
            self._check_step(obs, rewards)
            self._obs = self._to_device(obs)
            self.ppo.process_env_step(self._obs, rewards.to(self.device), dones.to(self.device), extras)
            if "log" in extras:
                n = int(dones.sum())
                ended += n
                for name, mean in extras["log"].items():
                    sums[name] = sums.get(name, 0.0) + n * float(mean)
        metrics = {_metric(name): total / ended for name, total in sums.items()}
        metrics["train/episodes"] = float(ended)
        metrics["policy/std"] = float(self.ppo.actor.output_std.mean())
        return metrics

    def _check_step(self, obs: TensorDict, rewards: Tensor) -> None:
        """Stop at numbers that are not finite, before anything is learnt from them."""
        for name, values in (("the reward", rewards), *((f"observation {k}", obs[k]) for k in self._read)):
            finite = torch.isfinite(values)
            if not bool(finite.all()):
                env = int((~finite).reshape(len(finite), -1).any(-1).nonzero()[0])
                term = self._bad_terms(env) if values is rewards else ""
                raise Diverged(
                    f"{name}{term} of environment {env} is not finite; training stopped and the last "
                    "checkpoint is kept"
                )

    def _bad_terms(self, env: int) -> str:
        """Return which reward terms are not finite, where the environment tells them apart."""
        sums: Mapping[str, Tensor] = getattr(self.env.batch, "term_sums", dict)()
        bad = [k for k, v in sums.items() if k != "return" and not np.isfinite(float(v[env]))]
        return f" (term {', '.join(bad)})" if bad else ""

    def _check_weights(self) -> None:
        for which, model in (("actor", self.ppo.actor), ("critic", self.ppo.critic)):
            for name, value in model.named_parameters():
                if not bool(torch.isfinite(value).all()):
                    raise Diverged(
                        f"weight {name} of the {which} became not finite; training stopped and the last "
                        "checkpoint is kept"
                    )


def _metric(logged: str) -> str:
    """Return the metric's name of an entry of `extras["log"]`."""
    name = logged.removeprefix("Episode/")
    return name if name.startswith("reward/") else f"train/{name}"
