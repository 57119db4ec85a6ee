"""A task as IsaacGymEnvs presents one, so that code written for it trains here.

NVIDIA ended Isaac Gym; its users' code remains. `VecTask` keeps the interface of the base class of
IsaacGymEnvs (Makoviychuk et al., 2021, arXiv 2108.10470) on our physics: an `obs` dict of device
tensors, the same buffers and the names that rl-games reads. docs/porting_isaacgym.md maps the tensor
API.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from sim.adapters.common import box, make_batch_env
from sim.adapters.pictures import Pictures
from sim.batch.env import BatchEnv, Obs
from sim.batch.physics import PhysicsConfig


class VecTask:
    """All environments of one `BatchEnv`; also what rl-games calls an `IVecEnv`.

    `obs` is the observation and the desired goal; `states`, for a critic, adds the privileged part
    where the task has one. Environments are reset in the step that ends their episode, so that the
    observation of that step begins the next one; `reset_buf` and `extras["time_outs"]` tell. Isaac Gym
    resets at the next step and throws that action away: the transitions a learner sees are the same.

    Args:
        batch: The environments.
        clip_obs: Largest magnitude in observations (`clipObservations` of IsaacGymEnvs).
        clip_actions: Largest magnitude of an action's entries (`clipActions`); beyond 1 they are cut anyway.

    Raises:
        ValueError: If `batch` does not reset by itself, or a limit is not positive.
    """

    num_agents = 1

    def __init__(self, batch: BatchEnv, clip_obs: float = math.inf, clip_actions: float = math.inf) -> None:
        """See the class."""
        if not batch.config.auto_reset:
            raise ValueError("VecTask resets environments itself; build them with auto_reset=True")
        for name, limit in (("clip_obs", clip_obs), ("clip_actions", clip_actions)):
            if not limit > 0.0:
                raise ValueError(f"{name} is {limit}; use a positive number")
        self.batch, self.clip_obs, self.clip_actions = batch, clip_obs, clip_actions
        self.device = self.rl_device = batch.device
        self.num_envs = self.num_environments = batch.num_envs
        self.num_acts = self.num_actions = batch.num_actions
        sizes = {k: math.prod(v.shape) for k, v in batch.spec.obs.items()}
        self.num_obs = self.num_observations = sizes["observation"] + sizes["desired_goal"]
        self.num_states = self.num_obs + sizes["privileged"] if "privileged" in sizes else 0
        self.observation_space = spaces.Box(-clip_obs, clip_obs, (self.num_obs,), np.float32)
        self.state_space = spaces.Box(-clip_obs, clip_obs, (self.num_states,), np.float32)
        self.action_space = box(batch.spec.action)
        self.max_episode_length = batch.task.config.max_steps
        self.dt = batch.task.config.physics_dt
        self.control_freq_inv = batch.task.config.decimation
        self.rew_buf = torch.zeros(self.num_envs, device=self.device)
        self.reset_buf = torch.ones(self.num_envs, dtype=torch.long, device=self.device)
        self.timeout_buf = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        self.extras: dict[str, Any] = {}
        self._pictures = Pictures(batch)
        self._take(batch.reset(batch.config.seed))

    @property
    def progress_buf(self) -> Tensor:
        """Control steps since the reset, int64 (num_envs,)."""
        return self.batch.episode_step

    # ---- reset and step -----------------------------------------------------------------------------

    def reset(self) -> dict[str, Tensor]:
        """Return the current observations; environments begin reset, as in IsaacGymEnvs."""
        return self._dict()

    def reset_idx(self, env_ids: Tensor) -> None:
        """Reset environments by number, int64 (n,)."""
        mask = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        mask[env_ids] = True
        self._take(self.batch.reset(mask=mask))

    def reset_done(self) -> tuple[dict[str, Tensor], Tensor]:
        """Return the observations and the numbers of the environments whose episode just ended."""
        return self._dict(), self.reset_buf.nonzero(as_tuple=False).squeeze(-1)

    def step(self, actions: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, dict[str, Any]]:
        """Advance by one control step.

        Args:
            actions: In [-1, 1], (num_envs, num_actions).

        Returns:
            Observations by name, reward, whether episodes ended (int64), extras: `time_outs`, and
            `episode`, means over the episodes that ended.
        """
        if self.clip_actions < 1.0:
            actions = torch.clamp(actions, -self.clip_actions, self.clip_actions)
        obs, reward, terminated, truncated, info = self.batch.step(actions)
        self._take(obs)
        self.rew_buf.copy_(reward)
        self.reset_buf.copy_(terminated | truncated)
        self.timeout_buf.copy_(truncated & ~terminated)
        self.extras = {"time_outs": self.timeout_buf.clone()}
        if "episode" in info:
            self.extras["episode"] = {k: v.to(torch.float32).mean() for k, v in info["episode"].items()}
        return self._dict(), self.rew_buf.clone(), self.reset_buf.clone(), self.extras

    def zero_actions(self) -> Tensor:
        """Return actions that move nothing, (num_envs, num_actions)."""
        return torch.zeros(self.num_envs, self.num_actions, device=self.device)

    def render(self, mode: str = "rgb_array") -> np.ndarray | None:
        """Return a picture of environment 0, (height, width, 3), where `mode` is `rgb_array`."""
        return self._pictures.of(0) if mode == "rgb_array" else None

    def close(self) -> None:
        """Release the simulator; idempotent."""
        self._pictures.close()
        self.batch.close()

    # ---- what rl-games asks ---------------------------------------------------------------------------

    def get_env_info(self) -> dict[str, Any]:
        """Return the spaces, by the names that rl-games knows."""
        info = {"observation_space": self.observation_space, "action_space": self.action_space}
        return info | ({"state_space": self.state_space} if self.num_states else {})

    def get_number_of_agents(self) -> int:
        """Return how many agents act in one environment."""
        return self.num_agents

    def has_action_masks(self) -> bool:
        """Return whether some actions are forbidden at times: never."""
        return False

    def seed(self, seed: int) -> None:
        """Begin the first episodes of `seed`, seed + 1 ..."""
        self._take(self.batch.reset(seed))

    def set_train_info(self, env_frames: int, *args: Any, **kwargs: Any) -> None:
        """Take the number of frames trained; our curricula follow success, not time."""

    def get_env_state(self) -> None:
        """Return what a checkpoint keeps of the environments: nothing."""

    def set_env_state(self, env_state: Any) -> None:
        """Take what a checkpoint kept: nothing."""

    def _take(self, obs: Obs) -> None:
        self.obs_buf = torch.cat((obs["observation"], obs["desired_goal"]), -1)
        self.states_buf = (
            torch.cat((self.obs_buf, obs["privileged"]), -1) if self.num_states else self.obs_buf
        )

    def _dict(self) -> dict[str, Tensor]:
        views = {"obs": self.obs_buf} | ({"states": self.states_buf} if self.num_states else {})
        return {k: torch.clamp(v, -self.clip_obs, self.clip_obs) for k, v in views.items()}


def make(
    task: str,
    num_envs: int,
    seed: int = 0,
    sim_device: str = "cpu",
    rl_device: str | None = None,
    clip_obs: float = math.inf,
    clip_actions: float = math.inf,
    *,
    clip_observations: float | None = None,
    graphics_device_id: int = -1,
    headless: bool = True,
    virtual_screen_capture: bool = False,
    force_render: bool = False,
    multi_gpu: bool = False,
    **settings: Any,
) -> VecTask:
    """Build a task, in the manner of `isaacgymenvs.make`.

    Nothing is drawn while environments are stepped, as there with `headless=True`, where
    `graphics_device_id` and `force_render` have no effect either. `render` returns a picture when it is
    asked for, with `virtual_screen_capture` or without.

    Args:
        task: Name of the task.
        num_envs: Number of environments.
        seed: Seed of environment 0; environment i has seed + i.
        sim_device: `cpu` for MuJoCo on threads, `cuda:0` for MuJoCo Warp.
        rl_device: Device of the tensors: that of the physics, the default.
        clip_obs: Largest magnitude in observations.
        clip_actions: Largest magnitude of an action's entries; beyond 1 they are cut anyway.
        clip_observations: The same as `clip_obs`, which it overrides.
        graphics_device_id: GPU of the viewer there; no effect.
        headless: Whether there is no viewer: it must be True.
        virtual_screen_capture: Whether `render` returns pictures there; here it always does.
        force_render: Whether the viewer is drawn in each step there; no effect.
        multi_gpu: Whether several processes share the work: it must be False.
        **settings: Settings of the task, such as `reward="sparse"`.

    Raises:
        ValueError: If a name is unknown, a value out of range, or an argument asks for what is not here.
    """
    if rl_device is not None and torch.device(rl_device) != torch.device(sim_device):
        raise ValueError(f"rl_device is {rl_device}; tensors stay on sim_device, {sim_device}: use the same")
    if not headless:
        raise ValueError(
            f"headless=False asks for a viewer; use headless=True, and `habilis play env={task} viewer=viser`"
        )
    if multi_gpu:
        raise ValueError("multi_gpu=True is not known here; `torchrun ... habilis train` uses several GPUs")
    backend: Mapping[str, Any] = {} if sim_device == "cpu" else {"backend": "warp", "device": sim_device}
    physics = settings.pop("physics", PhysicsConfig(**backend))
    batch = make_batch_env(task, num_envs, seed=seed, physics=physics, **settings)
    return VecTask(batch, clip_obs if clip_observations is None else clip_observations, clip_actions)
