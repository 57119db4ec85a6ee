"""What a task is: a scene, observations, a goal, named reward terms, success, failure, randomisation.

A task is written once, in torch, against `Physics`; it runs on CPU threads and on the GPU. Rewards are
the sum of goal terms, pure functions of the achieved and the desired goal, and of shaping terms,
pure functions of the state. So `compute_reward(achieved, desired, info)` holds for every relabelled
goal, with the shaping of that step taken from `info["shaping"]` (Plappert et al., 2018,
arXiv 1802.09464, for the interface).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.randomize import NOMINAL, Randomization
from sim.batch.settings import check_ranges, check_types

if TYPE_CHECKING:
    import mujoco

    from sim.batch.actions import ActionTerm
    from sim.batch.disturbance import SensorNoise
    from sim.batch.handles import ResetState
    from sim.batch.physics import Physics
    from sim.batch.rng import EnvRandom

RewardKind = Literal["dense", "sparse"]
Preset = Literal["nominal", "randomised"]
Variation = tuple[float, float] | list[Any]
"""What a setting may be drawn from: (low, high) of numbers, both ends for integers, or a list of values."""


@dataclass(frozen=True)
class TaskConfig:
    """What every task can be told; tasks add their own.

    Attributes:
        physics_dt: Physics time step [s].
        decimation: Physics steps per control step.
        episode_s: Length of an episode [s], a multiple of the control step.
        reward: `dense`: the named terms; `sparse`: 0 where the goal is achieved, else -1.
        preset: Randomisation: `nominal` or `randomised`.
        difficulty: Hardest difficulty drawn, in [0, 1]; what it means is the task's.
        weights: Weights of reward terms by name; 0 leaves a term out, None stands for the task's own weight
            and is not kept.
    """

    physics_dt: float = 0.004
    decimation: int = 5
    episode_s: float = 4.0
    reward: RewardKind = "dense"
    preset: Preset = "nominal"
    difficulty: float = 1.0
    weights: Mapping[str, float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what can't be simulated.

        Raises:
            ValueError: If a setting is of another type or out of range; names it.
        """
        if self.reward not in ("dense", "sparse"):
            raise ValueError(f"unknown reward {self.reward!r}; use dense or sparse")
        if self.preset not in ("nominal", "randomised"):
            raise ValueError(f"unknown preset {self.preset!r}; use nominal or randomised")
        check_types(self)
        if isinstance(self.weights, Mapping):
            given = {name: weight for name, weight in self.weights.items() if weight is not None}
            object.__setattr__(self, "weights", given)
        if not 0.0 < self.physics_dt <= 0.02:
            raise ValueError(f"physics_dt is {self.physics_dt} s; use a time step in (0, 0.02] s")
        if self.decimation < 1:
            raise ValueError(f"decimation is {self.decimation}; use at least 1 physics step per control step")
        if not 0.0 <= self.difficulty <= 1.0:
            raise ValueError(f"difficulty is {self.difficulty}; use a number in [0, 1]")
        self._check_length()
        check_ranges(self)

    def _check_length(self) -> None:
        """Refuse an episode that is no whole number of control steps."""
        if self.episode_s < 0.999999 * self.step_dt:
            raise ValueError(f"episode_s is {self.episode_s} s, shorter than one step of {self.step_dt:g} s")
        if abs(self.episode_s / self.step_dt - self.max_steps) > 1e-6 * self.max_steps:
            below = int(self.episode_s / self.step_dt) * self.step_dt
            raise ValueError(
                f"episode_s is {self.episode_s} s, no multiple of the control step physics_dt * decimation = "
                f"{self.step_dt:g} s; use {below:.6g} or {below + self.step_dt:.6g} s"
            )

    @property
    def step_dt(self) -> float:
        """Control period [s]."""
        return self.physics_dt * self.decimation

    @property
    def max_steps(self) -> int:
        """Control steps of an episode."""
        return round(self.episode_s / self.step_dt)


@dataclass(frozen=True)
class GoalTerm:
    """A reward term of the goals: `fn(achieved, desired)` (..., goal) to (...)."""

    weight: float
    fn: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ShapingTerm:
    """A reward term of the state: `fn()` to (num_envs,). It must not read the desired goal."""

    weight: float
    fn: Callable[[], Tensor]


_Term = TypeVar("_Term", GoalTerm, ShapingTerm)


class Task(ABC):
    """One goal-conditioned task; subclass it in `sim/tasks/<name>.py`.

    Life: `scene()` once, `bind(physics)` once, then `reset` and, after each step, the rest.
    `achieved_goal`, `observe`, `failed` and the terms read handles made in `bind`.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[TaskConfig]]
    variations: ClassVar[Mapping[str, Variation]] = {}
    """Settings that may be drawn when tasks are generated from a seed, besides difficulty and preset."""
    ticks: int = 1
    """Times per control step that actions are applied and pushes drawn, for tasks whose action terms act by
    themselves between two actions; `decimation` is a multiple of it, and latency counts ticks."""
    config: Any  # a `config_class`; tasks narrow it
    last_action: Tensor
    """The action of this step, (num_envs, num_actions), set by the environment before rewards."""
    noise: SensorNoise | None = None
    """Noise of what is sensed, set by the environment."""

    @classmethod
    def all_variations(cls) -> dict[str, Variation]:
        """Return every setting that may be drawn, with its values."""
        common: dict[str, Variation] = {"difficulty": (0.0, 1.0), "preset": ["nominal", "randomised"]}
        return common | dict(cls.variations)

    @property
    @abstractmethod
    def goal_spec(self) -> ArraySpec:
        """Shape, names and unit of the goal."""

    @abstractmethod
    def scene(self) -> mujoco.MjSpec:
        """Return the scene; physics options and time step are set by the environment's caller."""

    @abstractmethod
    def bind(self, physics: Physics) -> None:
        """Make the handles."""

    @abstractmethod
    def actions(self, physics: Physics) -> Sequence[ActionTerm]:
        """Return the action terms, in the order of the action's entries."""

    @abstractmethod
    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """Write the initial state of n environments and return their goals.

        Args:
            state: `qpos`, `qvel`, `ctrl` and mocap poses at the model's defaults (keyframe 0 if
                there is one), (n, ...); edit in place.
            random: Draws for these environments.
            difficulty: In [0, 1], (n,).

        Returns:
            Desired goals, (n, goal).
        """

    @abstractmethod
    def observe(self) -> dict[str, Tensor]:
        """Return named parts of the observation, (num_envs, k) each, in a fixed order.

        What a robot would measure goes through `sense`, `sense_quat` or `sense_mat`, each quantity under
        one name, and what is derived from it is computed from that reading: else a policy could average
        the noise out.
        """

    def sense(self, name: str, value: Tensor) -> Tensor:
        """Return the reading of a quantity (num_envs, k): with the noise of this step, if it has any."""
        return value if self.noise is None else self.noise.read(name, value)

    def sense_quat(self, name: str, quat: Tensor) -> Tensor:
        """Return the reading of a rotation, quat_wxyz (num_envs, 4)."""
        return quat if self.noise is None else self.noise.read_quat(name, quat)

    def sense_mat(self, name: str, mat: Tensor) -> Tensor:
        """Return the reading of a rotation matrix (num_envs, 3, 3)."""
        return mat if self.noise is None else self.noise.read_mat(name, mat)

    @abstractmethod
    def achieved_goal(self) -> Tensor:
        """Return what is achieved now, (num_envs, goal)."""

    def perceived_goal(self) -> Tensor | None:
        """Return what observations say is achieved, (num_envs, goal); None: the truth.

        Success and rewards of a step are of the truth, whatever is perceived.
        """
        return None

    @abstractmethod
    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """Return whether the goal is achieved, (..., goal) to (...) bool; pure."""

    @abstractmethod
    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """Return the reward terms of the goals, by name."""

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """Return the reward terms of the state, by name."""
        return {}

    def privileged(self) -> dict[str, Tensor]:
        """Return named parts that only a critic or a teacher may see, (num_envs, k) each."""
        return {}

    def failed(self) -> Tensor | None:
        """Return which environments can't succeed any more, bool (num_envs,); None for never.

        Their episodes end, but for sparse rewards: see `BatchEnv`.
        """
        return None

    def after_step(self) -> None:  # noqa: B027 - most tasks remember nothing
        """Remember what this step did; called once per step, before anything is observed."""

    def after_reset(self, ids: Tensor) -> None:  # noqa: B027 - most tasks remember nothing
        """Forget what the task remembers of the last episode of `ids` (n,); the state is current."""

    def memory(self) -> dict[str, Tensor]:
        """Return tensors, by name, that the task remembers between steps; for saving and restoring."""
        return {}

    def randomization(self, preset: Preset) -> Randomization:
        """Return what varies under a preset."""
        return NOMINAL

    def __init__(self, config: TaskConfig | None = None) -> None:
        """Build a task with its settings, or the defaults of `config_class`.

        Raises:
            TypeError: If the config is of another task.
        """
        self._cached_goal_terms: Mapping[str, GoalTerm] | None = None
        self.config = config or self.config_class()
        if not isinstance(self.config, self.config_class):
            expected, given = self.config_class.__name__, type(config).__name__
            raise TypeError(f"task {self.name} takes a {expected}, not a {given}")

    # ---- the identities of a goal environment -----------------------------------------------------

    def compute_reward(self, achieved: Tensor, desired: Tensor, shaping: Tensor) -> Tensor:
        """Return the reward of goals (..., goal) with the shaping (...) of that step."""
        if self.config.reward == "sparse":
            return self.success(achieved, desired).to(torch.float32) - 1.0
        total = shaping
        for term in self._goal_terms.values():
            total = total + term.weight * term.fn(achieved, desired)
        return total

    def weighted_terms(self) -> tuple[dict[str, GoalTerm], dict[str, ShapingTerm]]:
        """Return the reward terms of goals and of the state, with the weights of the config.

        Raises:
            ValueError: If a weight is of no term; lists the terms.
        """
        goal, shaping = self.goal_terms(), self.shaping_terms()
        names = dict.fromkeys((*goal, *shaping))
        for name in self._weights:
            if name not in names:
                raise ValueError(
                    f"weights of task {self.name} name no term {name!r}; its terms are {', '.join(names)}"
                )
        return self._weighted(goal), self._weighted(shaping)

    @property
    def _goal_terms(self) -> Mapping[str, GoalTerm]:
        if self._cached_goal_terms is None:
            self._cached_goal_terms = self._weighted(self.goal_terms())
        return self._cached_goal_terms

    @property
    def _weights(self) -> Mapping[str, float]:
        """Weights by name; none where a task has a dataclass of its own for them, which it applies itself."""
        weights = self.config.weights
        return weights if isinstance(weights, Mapping) else {}

    def _weighted(self, terms: Mapping[str, _Term]) -> dict[str, _Term]:
        weights = self._weights
        return {
            name: replace(term, weight=weights.get(name, term.weight))
            for name, term in terms.items()
            if weights.get(name, 1.0)
        }
