"""Distillation of a teacher that sees the state into a student that sees a cloud, as a `Trainer`.

DAgger (Ross et al., 2011, arXiv 1011.0686) in the form of Chen et al., 2022 (Visual Dexterity, arXiv
2211.11744): the student acts, the teacher says what it would have done; the loss is the negative
log-likelihood of the teacher's mean action, and the squared error of a head that tells the error left.
Unlike theirs the student is also told the object's axes and the goal's, of these clouds and of clouds turned
at random: without that it does not learn to relate the two in any time that a CPU has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from policies.cloud_nets import AXES, CloudNet
from policies.networks import PolicyNet
from policies.policy import PolicySpec
from policies.training.rsl_models import load_module
from policies.training.trainer import Diverged, TrainingEnv, check_finite

ERROR_WEIGHT = 0.5
"""Of the squared error of the head, relative to the log-likelihood."""

TURNED_EVERY = 2
"""Of how many clouds one is turned at random, for the axes to be told from any orientation."""


@dataclass(frozen=True)
class DistillConfig:
    """Settings of distillation.

    Attributes:
        teacher: Its artifact: a file, a folder or a run; it must be feed-forward.
        student: Weights to begin with, of the same network, "" for fresh ones.
        num_steps_per_env: Control steps of each environment per iteration; also how far back in time
            gradients reach.
        epochs: Passes over the data of an iteration.
        minibatches: Parts of a pass, by environments.
        learning_rate: Of Adam.
        max_grad_norm: Largest norm of a gradient.
        init_std: Standard deviation of the student's action at the beginning; it is learnt.
        least_std: The least that it becomes.
        teacher_steps: Environment steps in which the share of environments where the teacher acts falls
            from 1 to 0.
        obs: What the student reads: vectors first, the clouds last.
        clouds: Names of its entries that are the clouds of the scene and of the goal.
        channels: Numbers per point.
        error: Name of the observation's entry, somewhere in the environment's observations, that is the
            error left.
        axes: Names of the observation's entries, nine each, that are the object's axes as it is and as it
            should be: rotation matrices row by row. The student learns to tell them from the cloud.
        axes_weight: Of the squared errors of those, relative to the log-likelihood.
        stop_below: Below this error the hand is to hold still, 0 for never.
        resume_above: Above this told error it goes on.
        point_sizes: Layers of the MLP on each point.
        rnn_hidden: Size of the recurrent layer.
        head_sizes: Hidden layers of the heads.
        random_first_episode: Begin the first episodes at random steps, so that they do not end together.
    """

    teacher: str = ""
    student: str = ""
    num_steps_per_env: int = 16
    epochs: int = 2
    minibatches: int = 2
    learning_rate: float = 1e-3
    max_grad_norm: float = 1.0
    init_std: float = 0.5
    least_std: float = 0.1
    teacher_steps: int = 50_000
    obs: str = "observation"
    clouds: tuple[str, str] = ("cloud", "goal_cloud")
    channels: int = 6
    error: str = "angle.0"
    axes: tuple[str, str] = ("object_axes", "goal_axes")
    axes_weight: float = 50.0
    stop_below: float = 0.3
    resume_above: float = 0.36
    point_sizes: tuple[int, ...] = (64, 128, 256)
    rnn_hidden: int = 256
    head_sizes: tuple[int, ...] = (128,)
    random_first_episode: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that make no training."""
        for name in ("num_steps_per_env", "epochs", "minibatches", "channels", "rnn_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; use 1 or more")
        for name in ("learning_rate", "max_grad_norm", "init_std", "least_std"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use more than 0")
        if self.teacher_steps < 0:
            raise ValueError(f"teacher_steps is {self.teacher_steps}; use 0 or more")
        if not self.point_sizes or min(self.point_sizes) < 1:
            raise ValueError(f"point_sizes is {self.point_sizes}; name at least one size, each 1 or more")


class DistillEnv(TrainingEnv, Protocol):
    """Environments that a student learns in; they reset themselves."""

    episode_step: Tensor
    """Control steps since the reset, int64 (num_envs,); may be set, to spread resets."""


class Distill:
    """One `advance` is one rollout and one update.

    Args:
        env: The environments; what the teacher reads must be among their observations, by name.
        config: Settings.
        device: Where the networks are, "" for where the environments are.
        demonstrator: Not used: the teacher is an artifact.
        seed: Seed of the networks.

    Raises:
        ValueError: If there is no teacher, or the environments lack what it or the student reads.
    """

    interface = "env"
    config_class = DistillConfig

    def __init__(
        self,
        env: DistillEnv,
        config: DistillConfig | None = None,
        device: str = "",
        demonstrator: object | None = None,
        seed: int = 0,
    ) -> None:
        """See the class."""
        from policies.artifact import TorchPolicy, load_policy

        self.config = config = config or DistillConfig()
        self.env, self.device = env, device or str(env.device)
        if not config.teacher:
            raise ValueError("distillation needs a teacher; give algo.config.teacher=RUN")
        teacher = load_policy(config.teacher, self.device)
        if not isinstance(teacher, TorchPolicy) or teacher.net.hidden:
            raise ValueError(f"the teacher {config.teacher} must be a feed-forward .safetensors policy")
        if config.minibatches > env.num_envs:
            raise ValueError(f"{config.minibatches} minibatches of {env.num_envs} environments; use fewer")
        spec = env.spec
        if teacher.spec.action.shape != spec.action.shape:
            raise ValueError(f"the teacher's action is {teacher.spec.action.shape}, here {spec.action.shape}")
        self._teacher = teacher
        self._columns = {key: Columns(spec, teacher.spec.obs[key].names, key) for key in teacher.net.keys}
        self._error = Columns(spec, (config.error,), "error")
        torch.manual_seed(seed)
        self.student = make_student(spec, config).to(self.device)
        names = tuple(f"{name}.{k}" for name in config.axes for k in range(AXES))
        self._axes = Columns(spec, names, "axes")
        self.log_std = nn.Parameter(torch.full(spec.action.shape, config.init_std, device=self.device).log())
        if config.student:
            self._load_student(config.student)
        self.optimizer = torch.optim.Adam(self._parameters(), lr=config.learning_rate)
        n = env.num_envs
        self._obs: Mapping[str, Tensor] = env.reset()
        if config.random_first_episode:
            longest = int(env.task.config.max_steps)  # pyright: ignore[reportAttributeAccessIssue]
            env.episode_step.copy_(torch.randint_like(env.episode_step, high=longest))
        self._is_first = torch.ones(n, dtype=torch.bool, device=self.device)
        self._hidden = torch.zeros(n, config.rnn_hidden, device=self.device)
        self.iteration = 0

    # ---- the contract -------------------------------------------------------------------------------

    @property
    def env_steps(self) -> int:
        """See `Trainer.env_steps`."""
        return self.iteration * self.config.num_steps_per_env * self.env.num_envs

    @property
    def teacher_share(self) -> float:
        """Share of environments where the teacher acts."""
        steps = self.config.teacher_steps
        return max(0.0, 1.0 - self.env_steps / steps) if steps else 0.0

    def advance(self) -> dict[str, float]:
        """See `Trainer.advance`."""
        share = self.teacher_share
        hidden = self._hidden
        data, metrics = self._rollout(share)
        metrics |= self._learn(data, hidden) | {"train/teacher_share": share}
        check_finite(metrics)
        for name, value in self.student.named_parameters():
            if not bool(torch.isfinite(value).all()):
                raise Diverged(
                    f"weight {name} became not finite; training stopped and the last checkpoint is kept"
                )
        self.iteration += 1
        return metrics

    def net(self) -> PolicyNet:
        """See `Trainer.net`."""
        from policies.networks import make_net

        net = make_net(self.student.describe())
        net.load_state_dict(self.student.state_dict())
        return net

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`."""
        return {
            "algorithm": "distill",
            "iteration": self.iteration,
            "student": dict(self.student.state_dict()),
            "log_std": self.log_std.detach(),
            "optimizer": self.optimizer.state_dict(),
            "hidden": self._hidden,
            "is_first": self._is_first,
            "obs": dict(self._obs),
            "env": self.env.state_arrays(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Trainer.load_state`."""
        if state.get("algorithm") != "distill":
            raise ValueError(f"the checkpoint is of {state.get('algorithm')}, not of distill")
        load_module(self.student, state["student"], "student")
        self.env.load_state_arrays(state["env"])
        with torch.no_grad():
            self.log_std.copy_(state["log_std"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._hidden, self._is_first = state["hidden"].to(self.device), state["is_first"].to(self.device)
        self._obs = {k: v.to(self.env.device) for k, v in state["obs"].items()}
        self.iteration = state["iteration"]

    def close(self) -> None:
        """See `Trainer.close`."""
        self.env.close()

    # ---- parts --------------------------------------------------------------------------------------

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.student.parameters(), self.log_std]

    def _load_student(self, path: str) -> None:
        from policies.artifact import TorchPolicy, load_policy

        found = load_policy(path, self.device)
        if not isinstance(found, TorchPolicy):
            raise ValueError(f"{path} holds no weights to begin with; give a run or a .safetensors file")
        load_module(self.student, found.net.state_dict(), f"student {path}")

    def _told(self, obs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return what the teacher would do, (num_envs, num_actions), and the error left, (num_envs,)."""
        error = self._error.of(obs)[:, 0]
        action = self._teacher.act_batch({k: columns.of(obs) for k, columns in self._columns.items()})
        return torch.where((error < self.config.stop_below)[:, None], 0.0, action), error

    @torch.no_grad()
    def _rollout(self, share: float) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Act for a while; return what was seen and told, and what happened."""
        rows: dict[str, list[Tensor]] = {k: [] for k in ("obs", "action", "error", "axes", "is_first")}
        sums, ended = dict[str, float](), 0
        is_taught = torch.rand(self.env.num_envs, device=self.device) < share
        for _ in range(self.config.num_steps_per_env):
            seen = self._obs[self.config.obs].to(self.device)
            action, error = (v.to(self.device) for v in self._told(self._obs))
            axes = self._axes.of(self._obs).unflatten(-1, (2, AXES)).to(self.device)
            for name, value in zip(rows, (seen, action, error, axes, self._is_first), strict=True):
                if not bool(torch.isfinite(value).all()):
                    raise Diverged(f"{name} is not finite; training stopped and the last checkpoint is kept")
                rows[name].append(value)
            mean, told, _, self._hidden = self.student.unroll(seen[None], self._is_first[None], self._hidden)
            own = torch.where((told[0] < self.config.stop_below)[:, None], 0.0, mean[0].clamp(-1.0, 1.0))
            acted = torch.where(is_taught[:, None], action, own)
            self._obs, _, terminated, truncated, info = self.env.step(acted.to(self.env.device))
            self._is_first = (terminated | truncated).to(self.device)
            for name, values in info.get("episode", {}).items():
                sums[name] = sums.get(name, 0.0) + float(values.sum())
            ended += int(self._is_first.sum())
        metrics = {name if "/" in name else f"train/{name}": total / ended for name, total in sums.items()}
        return {k: torch.stack(v) for k, v in rows.items()}, metrics | {"train/episodes": float(ended)}

    def _learn(self, data: Mapping[str, Tensor], hidden: Tensor) -> dict[str, float]:
        """Fit the student to what it was told, backwards through the steps of this rollout."""
        c, sums, num = self.config, torch.zeros(4, device=self.device), 0
        for _ in range(c.epochs):
            order = torch.randperm(self.env.num_envs, device=self.device)
            for ids in order.tensor_split(c.minibatches):
                part = {k: v[:, ids] for k, v in data.items()}
                mean, error, axes, _ = self.student.unroll(part["obs"], part["is_first"], hidden[ids])
                gap = (mean - part["action"]).square()
                log_std = self.log_std.clamp(min=torch.tensor(c.least_std).log().item())
                likelihood = (0.5 * gap / torch.exp(2.0 * log_std) + log_std).sum(-1).mean()
                error_loss = (error - part["error"]).square().mean()
                axes_loss = (axes - part["axes"]).square().mean() + self._turned_loss(part)
                loss = likelihood + ERROR_WEIGHT * error_loss + c.axes_weight * axes_loss
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self._parameters(), c.max_grad_norm)
                self.optimizer.step()
                sums += torch.stack((likelihood, gap.mean(), error_loss, axes_loss)).detach()
                num += 1
        nll, gap, error, axes = (sums / num).tolist()
        std = float(self.log_std.detach().exp().mean())
        return {
            "loss/negative_log_likelihood": nll, "loss/action_rms": gap**0.5,
            "loss/error_rms": error**0.5, "loss/axes_rms": axes**0.5, "policy/std": std,
        }  # fmt: skip

    def _turned_loss(self, part: Mapping[str, Tensor]) -> Tensor:
        """Return the squared error of the axes told from clouds that were turned at random.

        Scene and goal turn apart, each about the cloud's origin, so that the student sees any orientation,
        not only those that episodes begin with.
        """
        _, *clouds = self.student.split(part["obs"][::TURNED_EVERY])
        axes = part["axes"][::TURNED_EVERY]
        turn = random_rotations(axes.shape[:-1], axes.device)
        told = []
        for cloud, matrix in zip(clouds, turn.unbind(-3), strict=True):
            turned = torch.cat((cloud[..., :3] @ matrix.transpose(-1, -2), cloud[..., 3:]), -1)
            told.append(self.student.look(turned)[1])
        true = (turn @ axes.unflatten(-1, (3, 3))).flatten(-2)
        return (torch.stack(told, -2) - true).square().mean()


def random_rotations(shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """Return rotation matrices (*shape, 3, 3), evenly distributed."""
    x, y = torch.randn(2, *shape, 3, device=device)
    x = nn.functional.normalize(x, dim=-1)
    y = nn.functional.normalize(y - (x * y).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack((x, y, torch.linalg.cross(x, y)), -1)


class Columns:
    """Entries of the observations, by name, wherever they are.

    Args:
        spec: Specs of the environments. What only teachers may see is searched first.
        names: Names of the entries.
        what: What they are for, for messages.

    Raises:
        ValueError: If one is nowhere; names it.
    """

    def __init__(self, spec: PolicySpec, names: tuple[str, ...], what: str) -> None:
        """See the class."""
        order = sorted(spec.obs, key=lambda k: k != "privileged")
        self._places: list[tuple[str, int]] = []
        if not names:
            raise ValueError(f"the teacher's {what} has no names of its entries; export it again")
        for name in names:
            place = next(
                ((k, spec.obs[k].names.index(name)) for k in order if name in spec.obs[k].names), None
            )
            if place is None:
                raise ValueError(f"the teacher reads {name} ({what}), which these environments do not have")
            self._places.append(place)
        self._keys = sorted({key for key, _ in self._places})
        starts, total = dict[str, int](), 0
        for key in self._keys:
            starts[key], total = total, total + len(spec.obs[key].names)
        self._index = [starts[key] + column for key, column in self._places]

    def of(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Return the entries, (num_envs, number of names)."""
        return torch.cat([obs[key] for key in self._keys], -1)[:, self._index]


def make_student(spec: PolicySpec, config: DistillConfig) -> CloudNet:
    """Return a fresh student for the observations of `spec`.

    Raises:
        ValueError: If they have no clouds, or those are not the last of them.
    """
    if config.obs not in spec.obs:
        raise ValueError(f"the environment has no observation {config.obs!r}; it has {', '.join(spec.obs)}")
    terms = [name.rpartition(".")[0] for name in spec.obs[config.obs].names]
    scene, goal = (terms.count(name) for name in config.clouds)
    vector = len(terms) - scene - goal
    order = [config.clouds[0]] * scene + [config.clouds[1]] * goal
    if not scene or not goal or terms[vector:] != order or scene % config.channels or goal % config.channels:
        raise ValueError(
            f"{config.obs} does not end with clouds {config.clouds[0]} and {config.clouds[1]} of "
            f"{config.channels} numbers a point: reorient needs env.task.config.cloud.source=model"
        )
    return CloudNet(
        [config.obs], vector, scene // config.channels, goal // config.channels, config.channels,
        config.point_sizes, config.rnn_hidden, config.head_sizes, spec.action.shape[0], config.stop_below,
        config.resume_above,
    )  # fmt: skip
