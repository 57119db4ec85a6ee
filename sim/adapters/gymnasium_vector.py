"""Many environments as a Gymnasium `VectorEnv`, of NumPy arrays or torch tensors.

`gymnasium.make_vec("sim.adapters.gymnasium_env:habilis/Reach-v0", num_envs=64)` gives one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from sim.adapters.common import (
    GOAL_KEYS,
    PER_STEP,
    box,
    goal_reward,
    make_batch_env,
    observation_space,
    to_action,
    to_numpy,
)
from sim.adapters.pictures import Pictures
from sim.batch.env import Obs


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """All environments of one `BatchEnv`.

    An environment is reset in the step that ends its episode (`AutoresetMode.SAME_STEP`): `final_obs`
    and `final_info` of that step's infos are the episode's last, `_final_obs` says whose. With
    `auto_reset=False` the caller resets (`AutoresetMode.DISABLED`), by `options={"reset_mask": ...}`.

    Args:
        task: Name of the task.
        num_envs: Number of environments.
        output: `numpy`, or `torch` for tensors on the environment's device. Then `final_obs` holds
            tensors (num_envs, ...); with `numpy` it is an array of one dict per ended episode, as
            Gymnasium's own vector environments give.
        render_mode: `rgb_array` or None.
        width: Width of pictures [px].
        height: Height of pictures [px].
        **settings: See `make_batch_env`.

    Raises:
        ValueError: If a name is unknown or a value out of range.
    """

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        output: Literal["numpy", "torch"] = "numpy",
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
        **settings: Any,
    ) -> None:
        """See the class."""
        if output not in ("numpy", "torch"):
            raise ValueError(f"unknown output {output!r}; use numpy or torch")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"unknown render_mode {render_mode!r}; use rgb_array or None")
        self.batch = make_batch_env(task, num_envs, **settings)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space = observation_space(self.batch)
        self.single_action_space = box(self.batch.spec.action)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        mode = AutoresetMode.SAME_STEP if self.batch.config.auto_reset else AutoresetMode.DISABLED
        self.metadata = {
            "autoreset_mode": mode,
            "render_modes": ["rgb_array"],
            "render_fps": round(1.0 / self.batch.spec.step_dt),
        }
        self._is_torch = output == "torch"
        self._pictures = Pictures(self.batch, width, height)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all environments, or those of `options["reset_mask"]`, bool (num_envs,).

        Args:
            seed: Of environment 0 (environment i gets seed + i), or one for each.
            options: `reset_mask`, or None.
        """
        mask = (options or {}).get("reset_mask")
        mask = None if mask is None else torch.as_tensor(mask, device=self.batch.device)
        if isinstance(seed, list):
            return self._out(self._reset_each(seed, mask)), {}
        return self._out(self.batch.reset(seed, mask)), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Advance all by one control step; actions (num_envs, num_actions) of either kind."""
        obs, reward, terminated, truncated, info = self.batch.step(to_action(self.batch, actions))
        infos = self._infos(info, terminated | truncated)
        if not self._is_torch:
            return self._out(obs), _numpy(reward), _numpy(terminated), _numpy(truncated), infos
        return self._out(obs), reward, terminated, truncated, infos

    def compute_reward(self, achieved: Any, desired: Any, info: Mapping[str, Any]) -> Any:
        """Return the rewards of goals (..., num_envs, goal) with the infos of a step."""
        return goal_reward(self.batch, np.asarray(achieved), np.asarray(desired), info)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one picture per environment."""
        if self.render_mode is None:
            return None
        return tuple(self._pictures.of(i) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Release the simulator and the renderers."""
        self._pictures.close()
        self.batch.close()

    def _reset_each(self, seeds: list[int | None], mask: torch.Tensor | None) -> Obs:
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} environments; give one for each")
        obs: Obs = {}
        for i, seed in enumerate(seeds):
            one = torch.arange(self.num_envs, device=self.batch.device) == i
            if mask is None or bool(mask[i]):
                obs = self.batch.reset(None if seed is None else seed - i, one)
        return obs or self.batch.reset(mask=mask)

    def _out(self, obs: Obs) -> Any:
        return {k: obs[k] for k in GOAL_KEYS} if self._is_torch else to_numpy(obs)

    def _infos(self, info: Mapping[str, Any], done: torch.Tensor) -> dict[str, Any]:
        everyone = torch.ones_like(done)
        step: dict[str, Any] = {}
        for key, name in PER_STEP.items():
            step[name], step[f"_{name}"] = info[key], everyone
        if not self._is_torch:
            step = {k: _numpy(v) for k, v in step.items()}
        if self.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP or not done.any():
            return step
        ended = done if self._is_torch else _numpy(done)
        final_info = {k: (ended if k.startswith("_") else v) for k, v in step.items()}
        final_obs = self._out(info["final_obs"])
        if not self._is_torch:
            rows = np.full(self.num_envs, None, dtype=object)
            for i in np.flatnonzero(ended):
                rows[i] = {k: v[i] for k, v in final_obs.items()}
            final_obs = rows
        return step | {
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": final_info,
            "_final_info": ended,
        }


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
