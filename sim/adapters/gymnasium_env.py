"""One environment as a Gymnasium goal environment; importing this registers `habilis/<Task>-v0`.

`gymnasium.make("sim.adapters.gymnasium_env:habilis/Reach-v0", reward="sparse")` imports it too.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.adapters.common import PER_STEP, box, goal_reward, make_batch_env, observation_space, to_numpy
from sim.adapters.pictures import Pictures
from sim.batch.env import Obs
from sim.tasks.registry import TASKS

NumpyObs = dict[str, NDArray[np.float32]]


class GymnasiumEnv(gymnasium.Env[NumpyObs, NDArray[np.float32]]):
    """A goal environment: `observation`, `achieved_goal`, `desired_goal`, and `compute_reward`.

    `reset(seed)` begins the first episode of that seed; without a seed the next episode of the last
    one follows. `info` has `is_success`, `failed`, `fault`, `shaping` and `step`.

    Args:
        task: Name of the task.
        render_mode: `rgb_array` or None.
        width: Width of pictures [px].
        height: Height of pictures [px].
        **settings: See `make_batch_env`.

    Raises:
        ValueError: If a name is unknown or a value out of range.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        task: str,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
        **settings: Any,
    ) -> None:
        """See the class."""
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"unknown render_mode {render_mode!r}; use rgb_array or None")
        self.batch = make_batch_env(task, 1, auto_reset=False, **settings)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.batch.spec.step_dt)}
        self.observation_space = observation_space(self.batch)
        self.action_space = box(self.batch.spec.action)
        self._pictures = Pictures(self.batch, width, height)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NumpyObs, dict[str, Any]]:
        """See `gymnasium.Env.reset`."""
        super().reset(seed=seed)
        return self._first(self.batch.reset(seed)), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NumpyObs, float, bool, bool, dict[str, Any]]:
        """See `gymnasium.Env.step`."""
        obs, reward, terminated, truncated, batch_info = self.batch.step(
            torch.as_tensor(np.asarray(action, np.float32)).to(self.batch.device)[None]
        )
        info = {name: batch_info[key].item() for key, name in PER_STEP.items()}
        return self._first(obs), reward.item(), bool(terminated), bool(truncated), info

    def compute_reward(self, achieved: NDArray[Any], desired: NDArray[Any], info: Any) -> Any:
        """Return the reward of goals (..., goal); `info` is one step's, or an array of them."""
        reward = goal_reward(self.batch, achieved, desired, info)
        return float(reward) if reward.ndim == 0 else reward

    def compute_terminated(self, achieved: NDArray[Any], desired: NDArray[Any], info: dict[str, Any]) -> bool:
        """Return whether an episode with these goals would have ended."""
        return bool(self.batch.compute_terminated(*self._tensors(achieved, desired, info)))

    def compute_truncated(self, achieved: NDArray[Any], desired: NDArray[Any], info: dict[str, Any]) -> bool:
        """Return whether an episode with these goals would have been cut."""
        return bool(self.batch.compute_truncated(*self._tensors(achieved, desired, info)))

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the picture of camera `view`, (height, width, 3)."""
        return None if self.render_mode is None else self._pictures.of(0)

    def close(self) -> None:
        """Release the simulator and the renderer."""
        self._pictures.close()
        self.batch.close()

    @staticmethod
    def _first(obs: Obs) -> NumpyObs:
        return {k: v[0] for k, v in to_numpy(obs).items()}

    def _tensors(
        self, achieved: NDArray[Any], desired: NDArray[Any], info: dict[str, Any]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        a, d = (torch.as_tensor(np.asarray(x, np.float32)).to(self.batch.device) for x in (achieved, desired))
        return a, d, {key: torch.tensor(info[name], device=a.device) for key, name in PER_STEP.items()}


def env_id(task: str) -> str:
    """Return the Gymnasium id of a task: `pick_place` is `habilis/PickPlace-v0`."""
    return f"habilis/{''.join(part.capitalize() for part in task.split('_'))}-v0"


def register_envs() -> None:
    """Register every task with Gymnasium, single and vector."""
    for task in TASKS:
        if env_id(task) not in gymnasium.registry:
            gymnasium.register(
                env_id(task),
                entry_point="sim.adapters.gymnasium_env:GymnasiumEnv",
                vector_entry_point="sim.adapters.gymnasium_vector:GymnasiumVectorEnv",
                kwargs={"task": task},
            )


register_envs()
