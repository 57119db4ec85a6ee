"""SAC, TD3 and TQC of Stable-Baselines3 with hindsight goals (Andrychowicz et al., 2017, 1707.01495)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecCheckNan, VecEnv
from stable_baselines3.her import HerReplayBuffer

from policies.networks import MlpNet
from policies.training.sb3_policies import GoalFeatures, hidden_weights, make_model
from policies.training.sb3_shared import check_weights, episodes, learn, losses
from policies.training.trainer import Act, check_finite

LEARNT: Final = (torch.nn.Linear, torch.nn.LayerNorm)
BUFFER: Final = ("actions", "rewards", "dones", "timeouts", "ep_start", "ep_length")
"""Arrays of a `HerReplayBuffer` besides the observations, (buffer_size, num_envs, ...)."""


@dataclass(frozen=True)
class PrefillConfig:
    """Episodes of a demonstrator that fill the replay before learning starts.

    Attributes:
        episodes: Number of episodes, 0 for none.
        noise: Standard deviation of the noise on its actions, drawn anew for each episode up to this.
        random: Share of steps at which an action is drawn at random instead.
    """

    episodes: int = 0
    noise: float = 0.2
    random: float = 0.1


@dataclass(frozen=True)
class OffPolicyConfig:
    """Settings of the off-policy algorithms.

    Attributes:
        algorithm: `sac` (Haarnoja et al., 2018, arXiv 1812.05905), `td3` (Fujimoto et al., 2018,
            arXiv 1802.09477) or `tqc` (Kuznetsov et al., 2020, arXiv 2005.04269).
        hidden: Sizes of the hidden layers of actor and critics.
        activation: Activation.
        layer_norm: Normalise before each nonlinearity; critics then extrapolate less to actions that
            they have not seen (Ball et al., 2023, arXiv 2302.02948, section 4.2).
        nap: Normalise-and-project: layer norm, and hidden weights keep their norms (arXiv 2407.01800).
        learning_rate: Step size of Adam.
        decay_steps: Environment steps over which it falls, linearly, to a tenth; 0: it stays.
        batch_size: Transitions per gradient step.
        gamma: Discount per control step.
        tau: Share by which the target critics follow, per gradient step.
        buffer_size: Transitions that the replay holds.
        learning_starts: Random steps before learning; the observations' scales are measured on them.
        gradient_steps: Gradient steps after each step of all environments.
        entropy: Coefficient of the entropy; 0 learns it.
        noise: Standard deviation of the exploration noise of TD3.
        relabelled: Relabelled goals per original goal.
        strategy: Where they are taken from: the `future` of the episode, its `final` state, or all of it.
        steps_per_advance: Steps of all environments between two looks of the training loop.
        prefill: What fills the replay first.
    """

    algorithm: Literal["sac", "td3", "tqc"] = "sac"
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    layer_norm: bool = False
    nap: bool = False
    learning_rate: float = 0.001
    decay_steps: int = 0
    batch_size: int = 256
    gamma: float = 0.95
    tau: float = 0.02
    buffer_size: int = 400_000
    learning_starts: int = 5_000
    gradient_steps: int = 8
    entropy: float = 0.0
    noise: float = 0.1
    relabelled: int = 4
    strategy: Literal["future", "final", "episode"] = "future"
    steps_per_advance: int = 50
    prefill: PrefillConfig = field(default_factory=PrefillConfig)


class OffPolicyHer:
    """See `Trainer`. Rewards must be sparse: those of relabelled goals follow from the goals alone.

    Args:
        env: The environments as an SB3 `VecEnv` whose `batch` is a `TrainingEnv`.
        config: Settings.
        demonstrator: Makes what fills the replay first; needed if `config.prefill.episodes` > 0.
        seed: Seed of networks and exploration.

    Raises:
        ValueError: If rewards are dense, a setting is unknown, or there is no demonstrator to prefill with.
    """

    interface: ClassVar[str] = "sb3"

    def __init__(
        self,
        env: Any,
        config: OffPolicyConfig | None = None,
        demonstrator: Callable[[], Act] | None = None,
        seed: int = 0,
    ) -> None:
        """See the class."""
        self.config, self._batch = config or OffPolicyConfig(), env.batch
        if self._batch.task.config.reward != "sparse":
            raise ValueError("hindsight goals need sparse rewards; set env.task.config.reward=sparse")
        self._demonstrator, self._prefilled = demonstrator, 0
        self.model: Any = None
        if self.config.prefill.episodes and demonstrator is None:
            raise ValueError("algo.config.prefill.episodes needs a demonstrator, and this task has none")
        self._env: VecEnv = VecCheckNan(env, raise_exception=True)
        self.model = make_model(self._env, self.config, seed, self._rate)
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        self._scaled = False
        self._norms = self._project() if self.config.nap else None

    # ---- the contract -------------------------------------------------------------------------------

    @property
    def env_steps(self) -> int:
        """See `Trainer.env_steps`; the demonstrator's steps are counted."""
        return self.model.num_timesteps + self._prefilled

    def advance(self) -> dict[str, float]:
        """See `Trainer.advance`."""
        if self.env_steps == 0 and self.config.prefill.episodes:
            return self._prefill()
        if not self._scaled and self.model.num_timesteps >= self.model.learning_starts:
            self._set_scale()
        steps = self.config.steps_per_advance * self._env.num_envs
        if not self._scaled:  # stop where the scales can be measured
            steps = min(steps, self.model.learning_starts - self.model.num_timesteps)
        learn(self.model, steps)
        metrics = losses(self.model) | episodes(self.model)
        check_finite(metrics)
        check_weights(self.model)
        return metrics

    def net(self) -> MlpNet:
        """See `Trainer.net`: the mean of the actor, squashed."""
        actor = self.model.policy.actor
        features: GoalFeatures = actor.features_extractor
        hidden = list(self.config.hidden)
        sizes = [features.features_dim, *hidden, self._batch.spec.action.shape[0]]
        normed = self.config.layer_norm or self.config.nap
        net = MlpNet(features.keys, sizes, self.config.activation, "tanh", normed, goal_gap=True)
        layers = list(actor.mu) if self.config.algorithm == "td3" else [*actor.latent_pi, actor.mu]
        own, its = ([m for m in each if isinstance(m, LEARNT)] for each in (net.net, layers))
        for mine, other in zip(own, its, strict=True):
            mine.load_state_dict(other.state_dict())
        net.mean.copy_(features.mean)
        net.std.copy_(features.std)
        return net.cpu().eval()

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`."""
        model, replay = self.model, self._replay
        rows = replay.buffer_size if replay.full else replay.pos
        last: Any = model._last_obs
        return {
            "policy": model.policy.state_dict(),
            "optimizers": {k: o.state_dict() for k, o in self._optimizers().items()},
            "log_ent_coef": getattr(model, "log_ent_coef", None),
            "counts": {k: getattr(model, k) for k in ("num_timesteps", "_n_updates", "_episode_num")},
            "scaled": self._scaled,
            "norms": self._norms,
            "prefilled": self._prefilled,
            "last_obs": None if last is None else dict(last),
            "space": model.action_space.np_random.bit_generator.state,
            "recent": [dict(e) for e in model.ep_info_buffer or ()],
            "recent_success": [bool(e) for e in model.ep_success_buffer or ()],
            "env": self._batch.state_arrays(),
            "replay": {
                "pos": replay.pos,
                "full": replay.full,
                "start": replay._current_ep_start,
                "obs": {k: v[:rows] for k, v in replay.observations.items()},
                "next": {k: v[:rows] for k, v in replay.next_observations.items()},
                **{k: getattr(replay, k)[:rows] for k in BUFFER},
            },
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Trainer.load_state`."""
        model, replay, stored = self.model, self._replay, state["replay"]
        try:
            model.policy.load_state_dict(state["policy"])
            for name, optimizer in self._optimizers().items():
                optimizer.load_state_dict(state["optimizers"][name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(f"the checkpoint is of another network: {error}") from error
        if state["log_ent_coef"] is not None:
            with torch.no_grad():
                model.log_ent_coef.copy_(state["log_ent_coef"])
        for name, value in state["counts"].items():
            setattr(model, name, value)
        self._scaled, self._prefilled = state["scaled"], state["prefilled"]
        if self._norms is not None:
            self._norms[:] = state["norms"]
        self._batch.load_state_arrays(state["env"])
        model._last_obs = None if state["last_obs"] is None else dict(state["last_obs"])
        model._last_episode_starts = np.zeros(self._env.num_envs, dtype=bool)
        model.action_space.np_random.bit_generator.state = state["space"]
        model.ep_info_buffer = deque(state["recent"], maxlen=100)
        model.ep_success_buffer = deque(state["recent_success"], maxlen=100)
        for own, arrays in ((replay.observations, stored["obs"]), (replay.next_observations, stored["next"])):
            for name, values in arrays.items():
                own[name][: len(values)] = values
        for name in BUFFER:
            getattr(replay, name)[: len(stored[name])] = stored[name]
        replay._current_ep_start = stored["start"].copy()
        replay.pos, replay.full = stored["pos"], stored["full"]

    def close(self) -> None:
        """See `Trainer.close`."""
        self._env.close()

    # ---- parts --------------------------------------------------------------------------------------

    @property
    def _replay(self) -> HerReplayBuffer:
        assert isinstance(self.model.replay_buffer, HerReplayBuffer)
        return self.model.replay_buffer

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        model = self.model
        found = {"actor": model.policy.actor.optimizer, "critic": model.policy.critic.optimizer}
        entropy = getattr(model, "ent_coef_optimizer", None)
        return found | ({"entropy": entropy} if entropy is not None else {})

    def _rate(self, remaining: float) -> float:
        """Return the learning rate of now; SB3's share of what remains is that of one advance only."""
        config = self.config
        gone = min(1.0, self.env_steps / config.decay_steps) if config.decay_steps and self.model else 0.0
        return config.learning_rate * (1.0 - 0.9 * gone)

    def _project(self) -> list[float]:
        """Let each update of actor and critics end with their hidden weights at the norms of now."""
        norms: list[float] = []
        for network in (self.model.policy.actor, self.model.policy.critic):
            weights, first = hidden_weights(network, len(self.config.hidden)), len(norms)
            norms += [float(w.detach().norm()) for w in weights]

            def project(*_: Any, weights: Any = weights, first: int = first, norms: Any = norms) -> None:
                with torch.no_grad():
                    for weight, norm in zip(weights, norms[first:], strict=False):
                        weight.mul_(norm / weight.norm())

            network.optimizer.register_step_post_hook(project)
        return norms

    def _prefill(self) -> dict[str, float]:
        """Let the demonstrator act, with noise, and store what happens."""
        assert self._demonstrator is not None
        settings, n = self.config.prefill, self._env.num_envs
        obs: Any = self._env.reset()
        act, ended, good = self._demonstrator(), 0, 0
        spread = settings.noise * np.random.rand(n, 1)
        while ended < settings.episodes:
            wanted = act({k: torch.as_tensor(v) for k, v in obs.items()}).numpy()
            action = np.clip(wanted + spread * np.random.randn(*wanted.shape), -1.0, 1.0)
            chance = np.random.rand(n, 1) < settings.random
            action = np.where(chance, np.random.uniform(-1.0, 1.0, wanted.shape), action)
            action = action.astype(np.float32)
            new, reward, done, infos = self._env.step(action)
            assert isinstance(new, dict)
            seen = {k: v.copy() for k, v in new.items()}
            for i in np.flatnonzero(done):
                for k in seen:
                    seen[k][i] = infos[i]["terminal_observation"][k]
                spread[i] = settings.noise * np.random.rand()
                ended, good = ended + 1, good + int(infos[i]["is_success"])
            self._replay.add(obs, seen, action, reward, done, infos)
            obs, self._prefilled = new, self._prefilled + n
        # The learner goes on from here; the episodes that the demonstrator has begun stay in the replay.
        self.model._last_obs, self.model._last_episode_starts = obs, np.zeros(n, dtype=bool)
        return {"prefill/episodes": float(ended), "prefill/success": good / ended}

    def _set_scale(self) -> None:
        """Measure mean and deviation of the features on the replay, once, for all networks."""
        replay = self._replay
        rows = replay.buffer_size if replay.full else replay.pos
        flat = {
            k: torch.as_tensor(v[:rows].reshape(-1, *v.shape[2:])) for k, v in replay.observations.items()
        }
        policy = self.model.policy
        nets = [policy.actor, policy.critic, policy.critic_target]
        nets += [policy.actor_target] if hasattr(policy, "actor_target") else []
        raw = policy.actor.features_extractor.raw(flat)
        mean, std = raw.mean(0), raw.std(0).clamp(min=1e-3)
        for each in nets:
            each.features_extractor.mean.copy_(mean)
            each.features_extractor.std.copy_(std)
        self._scaled = True
