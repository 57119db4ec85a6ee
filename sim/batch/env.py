"""`BatchEnv`: a task in many copies, behind the `Env` contract that trainers know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import torch
from numpy.typing import NDArray
from torch import Tensor

from policies.policy import PolicySpec
from sim.batch import state_file
from sim.batch.controls import Controls
from sim.batch.curriculum import CurriculumConfig
from sim.batch.disturbance import Pushes, SensorNoise
from sim.batch.episodes import Episodes
from sim.batch.faults import FaultLog
from sim.batch.handles import ResetState
from sim.batch.physics import CapacityError, Physics, PhysicsConfig, make_physics
from sim.batch.randomize import draw_model_fields
from sim.batch.scene import compile_scene, default_state, policy_spec
from sim.batch.scores import Scores
from sim.batch.senses import Senses, SensesConfig
from sim.batch.settings import check_types
from sim.batch.task import Task

Obs = dict[str, Tensor]


@dataclass(frozen=True)
class EnvConfig:
    """How many copies, and what happens around an episode.

    Attributes:
        num_envs: Number of environments.
        seed: Seed of environment 0; environment i has seed + i.
        auto_reset: Reset an environment in the step that ends its episode.
        stop_on_success: Terminate an episode when its goal is achieved.
        fault_dir: Folder for dumps of environments that diverged.
        curriculum: Whether and how difficulty follows learning progress.
        senses: What is sensed beside the task's own observation, nothing by default.
        physics: The backend.
    """

    num_envs: int = 64
    seed: int = 0
    auto_reset: bool = True
    stop_on_success: bool = False
    fault_dir: str = "runs/faults"
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    senses: SensesConfig = field(default_factory=SensesConfig)
    physics: PhysicsConfig = field(default_factory=PhysicsConfig)

    def __post_init__(self) -> None:
        """Refuse values of another type."""
        check_types(self)


class BatchEnv:
    """See `policies.env.Env`. Observations are `observation`, `achieved_goal`, `desired_goal`.

    `info` of `step` has, all (num_envs,): `success`, `failed`, `fault` (bool), `step` (control steps of
    the episode, this one included), `shaping` (the reward that does not depend on the goal); and
    `final_obs`, the observations before an automatic reset; `episode`, if any episode ended: their
    `return`, `length`, `success` and total reward per term, (k,).
    Building one sets torch to a single thread, which is what simulator threads go with.
    An environment that diverged is truncated, with its last good observation and no shaping reward.

    Args:
        task: The task.
        config: Number of environments, seed and physics.
        model: A compiled `task.scene()`, if the caller has one; else it is compiled here.

    Raises:
        ValueError: If a number is out of range, the backend refuses the model, or what the task
            randomises is not there.
    """

    def __init__(
        self, task: Task, config: EnvConfig | None = None, model: mujoco.MjModel | None = None
    ) -> None:
        """See the class."""
        self.task, self.config = task, config or EnvConfig()
        torch.set_num_threads(1)
        self.physics: Physics = make_physics(
            model or compile_scene(task, self.config.senses), self.config.num_envs, self.config.physics
        )
        self._settings = state_file.settings_of(task, self.config)
        n, device = self.config.num_envs, self.physics.device
        task.bind(self.physics)
        senses = self.config.senses
        self._senses = Senses(self.physics, senses, task.config.step_dt) if senses.is_on else None
        self._spread = spread = task.randomization(task.config.preset)
        self.controls = Controls(task, self.physics, spread.latency_steps)
        self.num_actions = len(self.controls.names)
        self._ticks = task.ticks
        if task.config.decimation % self._ticks:
            raise ValueError(f"decimation is {task.config.decimation}, no multiple of {self._ticks} ticks")
        self._defaults = default_state(self.physics.model, device)
        cfg = self.config
        self._episodes = Episodes(n, cfg.seed, task.config.difficulty, cfg.curriculum, device)
        self._all, self._key = self._episodes.everyone, self._episodes.key
        self._steps = self._episodes.steps
        self.curriculum, self.difficulty = self._episodes.curriculum, self._episodes.difficulty
        self.desired_goal = torch.zeros(n, *task.goal_spec.shape, device=device)
        self._scores = Scores(task, n, device)
        tick_dt = task.config.step_dt / self._ticks
        self._pushes = Pushes(self.physics, spread, tick_dt) if spread.push_n else None
        self._noise = task.noise = SensorNoise(spread.obs_noise or {}, self._key, self._steps)
        self.faults = FaultLog(self.physics, Path(self.config.fault_dir))
        task.last_action = torch.zeros(n, self.num_actions, device=device)
        self._reset_envs(self._all)
        self._check_room()
        parts = self._parts()  # which tells the quantities that are sensed
        self._noise.ready()
        self._obs = self._observe()
        self._spec = policy_spec(task, self.controls.terms, parts)

    # ---- the contract -------------------------------------------------------------------------------

    @property
    def num_envs(self) -> int:
        """Number of environments."""
        return self.config.num_envs

    @property
    def device(self) -> str:
        """Torch device of every tensor."""
        return str(self.physics.device)

    @property
    def spec(self) -> PolicySpec:
        """Observation, action and goal specs, and `step_dt` [s]."""
        return self._spec

    @property
    def ctrl(self) -> Tensor:
        """Controls of the last step, (num_envs, nu)."""
        return self.controls.ctrl

    @property
    def episode(self) -> Tensor:
        """Number of the episode of its seed, int64 (num_envs,)."""
        return self._episodes.number

    @property
    def episode_step(self) -> Tensor:
        """Control steps since the reset, int64 (num_envs,)."""
        return self._steps

    def reset(self, seed: int | None = None, mask: Tensor | None = None) -> Obs:
        """Reset all environments, or those of a bool mask (num_envs,); the others are untouched.

        Args:
            seed: New seed of environment 0 (environment i gets seed + i) and episode 0; None goes on
                to the next episode of the same seeds. Without a mask a seed begins a fresh run: what
                follows is as in a new environment, and the curriculum knows nothing. With a mask the
                others' run goes on, and so does the curriculum, which they share.
            mask: Which to reset.

        Raises:
            ValueError: If the mask has another shape or type.
        """
        ids = self._all if mask is None else self._all[self._checked(mask)]
        if seed is not None:
            self._episodes.reseed(ids, seed)
            if mask is None:
                self.curriculum.forget()
        self._reset_envs(ids)
        self._obs = self._observe()
        return self._obs

    def step(self, action: Tensor) -> tuple[Obs, Tensor, Tensor, Tensor, Mapping[str, Any]]:
        """Advance by `step_dt`.

        Args:
            action: In [-1, 1], clipped to it, (num_envs, num_actions).

        Returns:
            Observations, reward, terminated, truncated, info; see the class.

        Raises:
            ValueError: If the action has another shape or is not finite.
            CapacityError: If there was no room for contacts or constraints.
        """
        action = self.controls.checked(action)
        self.task.last_action.copy_(action)
        for tick in range(self._ticks):
            count = self._steps * self._ticks + tick
            self.controls.apply(action, count)
            if self._pushes is not None:
                self._pushes.apply(self._key, count)
            self.physics.step(self.ctrl, self.task.config.decimation // self._ticks)
        self._steps += 1
        fault = self.physics.faults()
        is_bad = bool(fault.any())
        if is_bad:
            self.faults.dump(self.ctrl, fault, self._episodes.seeds, self.episode, self._steps)
        self.faults.remember(self.ctrl)
        self.task.after_step()
        if self._senses is not None:
            self._senses.update()

        obs = self._observe()
        if is_bad:  # what a diverged environment shows is its last good observation
            obs = {k: torch.where(fault[:, None], self._obs[k], v) for k, v in obs.items()}
        achieved, desired = self._judged(obs, fault), obs["desired_goal"]
        success = self.task.success(achieved, desired)
        reward, shaping = self._scores.add(achieved, desired, success, fault if is_bad else None)
        success = success & ~fault
        failed = self.task.failed()
        failed = torch.zeros_like(success) if failed is None else failed
        lost = self._ending(failed)
        terminated = (lost | success if self.config.stop_on_success else lost) & ~fault
        truncated = (self._steps >= self.task.config.max_steps) | fault

        info: dict[str, Any] = {"success": success, "failed": failed, "fault": fault, "shaping": shaping}
        info |= {"step": self._steps.clone(), "final_obs": obs}
        done = terminated | truncated
        ended = done.nonzero()[:, 0]
        if len(ended):
            won = success[ended].to(torch.float32)
            info["episode"] = self._scores.of(ended) | {"length": self._steps[ended], "success": won}
            self._episodes.end(ended, won)
            if self.config.auto_reset:
                self._reset_envs(ended)
                obs = self._observe()
        self._obs = obs
        return obs, reward, terminated, truncated, info

    def compute_reward(self, achieved: Tensor, desired: Tensor, info: Mapping[str, Any]) -> Tensor:
        """Return the reward that goals (..., goal) would have had; `info["shaping"]` is of that step."""
        return self.task.compute_reward(achieved, desired, info["shaping"])

    def compute_terminated(self, achieved: Tensor, desired: Tensor, info: Mapping[str, Any]) -> Tensor:
        """Return whether the episode would have ended: dense failure, or success with `stop_on_success`."""
        failed = self._ending(info["failed"]) & ~info["fault"]
        if not self.config.stop_on_success:
            return failed
        return failed | (self.task.success(achieved, desired) & ~info["fault"])

    def _ending(self, failed: Tensor) -> Tensor:
        """Return which failures end their episode: under sparse rewards none.

        There each step costs 1, so an end would spare what is left, and to fail would be worth learning.
        """
        return failed if self.task.config.reward == "dense" else torch.zeros_like(failed)

    def compute_truncated(self, achieved: Tensor, desired: Tensor, info: Mapping[str, Any]) -> Tensor:
        """Return whether the episode would have been cut: by its length or a fault, whatever the goal."""
        return (info["step"] >= self.task.config.max_steps) | info["fault"]

    def close(self) -> None:
        """Release the simulator; idempotent."""
        self.physics.close()

    def term_sums(self) -> dict[str, Tensor]:
        """Return the sums of this episode so far, by name, (num_envs,): `return`, `reward/<term>`."""
        return self._scores.of(slice(None))

    # ---- state --------------------------------------------------------------------------------------

    def save_state(self, path: Path) -> None:
        """Write the complete state to an .npz file; `load_state` continues from it exactly (CPU)."""
        state_file.write(Path(path), self.state_arrays())

    def load_state(self, path: Path) -> Obs:
        """Continue from a file of `save_state` and return the observations there.

        Raises:
            ValueError: If there is no such file, or it is of another task, other settings, another model
                or number of environments; names what differs.
        """
        return self.load_state_arrays(state_file.read(Path(path)), str(path))

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `save_state` writes: copies, arrays of numbers, for a checkpoint of one's own."""
        return state_file.pack(self._settings, self.physics, self._memory())

    def load_state_arrays(self, arrays: Mapping[str, NDArray[Any]], where: str = "the state") -> Obs:
        """Continue from what `state_arrays` returned and return the observations there.

        Args:
            arrays: What `state_arrays` returned, of this environment or one with the same settings.
            where: Where it comes from, for messages.

        Raises:
            ValueError: See `load_state`.
        """
        state_file.unpack(arrays, self._settings, self.physics, self._memory(), where)
        self._obs = self._observe()
        return self._obs

    def copy_state(self, source: BatchEnv, rows: Tensor) -> None:
        """Make each environment a copy of one of another `BatchEnv` of the same task, to plan in.

        Physics, goal, controls, and what actions and the task remember are copied; model fields, latency
        and the sums of the episode stay.

        Args:
            source: Where the states come from.
            rows: Which environment of `source` each becomes, int64 (num_envs,).
        """
        state = {name: source.physics.field(name)[rows] for name in self._defaults}
        self.physics.write(self._all, state)
        mine, theirs = self._carried(), source._carried()
        for name, value in mine.items():
            value.copy_(theirs[name][rows])

    def _carried(self) -> dict[str, Tensor]:
        """Return what an environment remembers of its own, by name, (num_envs, ...) each."""
        memory = {"steps": self._steps, "desired_goal": self.desired_goal} | self.controls.carried()
        if self._senses is not None:
            memory |= {f"senses.{name}": value for name, value in self._senses.memory().items()}
        return memory | {f"task.{name}": value for name, value in self.task.memory().items()}

    def _memory(self) -> dict[str, Tensor]:
        """Return every tensor, by name, that the next step depends on besides physics."""
        memory = {"last_action": self.task.last_action, "sums": self._scores.sums}
        return memory | self._episodes.memory() | self.controls.delayed() | self._carried()

    # ---- parts of a step ----------------------------------------------------------------------------

    def _observe(self) -> Obs:
        self._noise.draw()
        parts = self._parts()
        perceived = self.task.perceived_goal()
        achieved = self.task.achieved_goal() if perceived is None else perceived
        obs = {
            "observation": torch.cat(list(parts.values()), -1),
            "achieved_goal": achieved.clone(),
            "desired_goal": self.desired_goal.clone(),
        }
        hidden = self.task.privileged()
        if hidden:
            obs["privileged"] = torch.cat(list(hidden.values()), -1)
        return obs

    def _judged(self, obs: Obs, fault: Tensor) -> Tensor:
        """Return what is truly achieved, even where the observations only say what is perceived."""
        if self.task.perceived_goal() is None:
            return obs["achieved_goal"]
        return torch.where(fault[:, None], self._obs["achieved_goal"], self.task.achieved_goal())

    def _parts(self) -> dict[str, Tensor]:
        """Return the parts of the observation, by name."""
        parts = self.task.observe()
        if self._senses is None:
            return parts
        sensed = self._senses.observe()
        if twice := parts.keys() & sensed.keys():
            raise ValueError(f"task {self.task.name} observes {', '.join(sorted(twice))} itself")
        return parts | sensed

    # ---- resets -------------------------------------------------------------------------------------

    def _reset_envs(self, ids: Tensor) -> None:
        if not len(ids):
            return
        random = self._episodes.begin(ids)
        fields = draw_model_fields(self._spread, self.physics.model, random)
        if fields:
            self.physics.write_model(ids, fields)
        state: ResetState = {k: v.expand(len(ids), *v.shape[1:]).clone() for k, v in self._defaults.items()}
        self.desired_goal[ids] = self.task.reset(state, random, self.difficulty[ids])
        self.physics.reset(ids, state)
        self.controls.reset(ids, state, random)
        self._scores.sums[:, ids] = 0.0
        self.task.last_action[ids] = 0.0
        self.task.after_reset(ids)
        if self._senses is not None:
            self._senses.reset(ids)

    def _check_room(self) -> None:
        """Refuse settings that leave no room for what touches at the start."""
        try:
            self.physics.faults()
        except CapacityError as error:
            raise ValueError(str(error)) from None

    def _checked(self, mask: Tensor) -> Tensor:
        if mask.dtype != torch.bool or tuple(mask.shape) != (self.num_envs,):
            raise ValueError(
                f"mask is {mask.dtype} of shape {tuple(mask.shape)}; expected bool ({self.num_envs},)"
            )
        return mask.to(self.physics.device)
