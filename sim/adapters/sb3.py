"""Many environments as a Stable-Baselines3 `VecEnv`; `HerReplayBuffer` relabels their goals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from sim.adapters.common import PER_STEP, box, goal_reward, observation_space, to_action, to_numpy
from sim.adapters.pictures import Pictures
from sim.batch.env import BatchEnv


class Sb3VecEnv(VecEnv):
    """All environments of one `BatchEnv`, which resets them itself.

    Infos have `is_success`, `failed`, `fault`, `shaping` and `step`, at the end of an episode also
    `terminal_observation`, `TimeLimit.truncated` and `episode` (return `r` and length `l`), so that
    SB3 logs returns without a monitor.

    Args:
        batch: The environments.
        render_mode: `rgb_array` or None.

    Raises:
        ValueError: If `batch` does not reset by itself.
    """

    def __init__(self, batch: BatchEnv, render_mode: str | None = None) -> None:
        """See the class."""
        if not batch.config.auto_reset:
            raise ValueError(
                "SB3 expects environments that reset themselves; build them with auto_reset=True"
            )
        self.batch, self.render_mode = batch, render_mode
        self._pictures = Pictures(batch)
        self._action = torch.zeros(batch.num_envs, batch.num_actions)
        super().__init__(batch.num_envs, observation_space(batch), box(batch.spec.action))

    def reset(self) -> VecEnvObs:
        """See `VecEnv.reset`: a seed given by `seed` begins its first episode."""
        obs = self.batch.reset(self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        return to_numpy(obs)  # pyright: ignore[reportReturnType]

    def step_async(self, actions: np.ndarray) -> None:
        """See `VecEnv.step_async`."""
        self._action = to_action(self.batch, actions)

    def step_wait(self) -> VecEnvStepReturn:
        """See `VecEnv.step_wait`."""
        obs, reward, terminated, truncated, info = self.batch.step(self._action)
        columns = [info[key].tolist() for key in PER_STEP]
        infos = [dict(zip(PER_STEP.values(), row, strict=True)) for row in zip(*columns, strict=True)]
        done = (terminated | truncated).cpu().numpy()
        if done.any():
            final = to_numpy(info["final_obs"])
            ended = zip(*(info["episode"][k].tolist() for k in ("return", "length")), strict=True)
            cut = (truncated & ~terminated).tolist()
            for i, (total, length) in zip(np.flatnonzero(done), ended, strict=True):
                infos[i]["terminal_observation"] = {k: v[i] for k, v in final.items()}
                infos[i]["TimeLimit.truncated"] = cut[i]
                infos[i]["episode"] = {"r": total, "l": length}
        return to_numpy(obs), reward.cpu().numpy(), done, infos  # pyright: ignore[reportReturnType]

    def compute_reward(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], infos: Sequence[dict[str, Any]]
    ) -> NDArray[np.float32]:
        """Return the rewards that goals (n, goal) would have had."""
        return goal_reward(self.batch, achieved_goal, desired_goal, infos)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of this environment or of the batch; its result is returned for each index.

        Raises:
            AttributeError: If there is no such method.
        """
        owner = self if method_name == "compute_reward" else self.batch
        result = getattr(owner, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the batch or its task; of tensors (num_envs, ...) each one's own part.

        Raises:
            AttributeError: If there is no such attribute.
        """
        chosen = list(self._get_indices(indices))
        if attr_name == "render_mode":
            return [self.render_mode] * len(chosen)
        value = getattr(self._owner(attr_name), attr_name)
        if self._is_per_env(value):
            return [value[i] for i in chosen]
        return [value] * len(chosen)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the batch or its task; of tensors (num_envs, ...) the chosen parts.

        Raises:
            ValueError: If the attribute is shared by all environments and only some are chosen.
        """
        owner = self._owner(attr_name)
        chosen = list(self._get_indices(indices))
        old = getattr(owner, attr_name)
        if self._is_per_env(old):
            old[chosen] = torch.as_tensor(value, dtype=old.dtype, device=old.device)
        elif len(set(chosen)) == self.num_envs:
            setattr(owner, attr_name, value)
        else:
            raise ValueError(f"{attr_name} is shared by all environments; set it without indices")

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """See `VecEnv.env_is_wrapped`: nothing is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return one picture of camera `view` per environment."""
        return [self._pictures.of(i) for i in range(self.num_envs)]

    def close(self) -> None:
        """Release the simulator and the renderers."""
        self._pictures.close()
        self.batch.close()

    def _get_indices(self, indices: VecEnvIndices) -> Iterable[int]:
        chosen = list(super()._get_indices(indices))
        for i in chosen:
            if not -self.num_envs <= i < self.num_envs:
                raise ValueError(f"there is no environment {i}; there are {self.num_envs}")
        return chosen

    def _owner(self, name: str) -> Any:
        return self.batch if hasattr(self.batch, name) else self.batch.task

    def _is_per_env(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.ndim > 0 and value.shape[0] == self.num_envs
