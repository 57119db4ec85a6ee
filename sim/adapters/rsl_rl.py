"""Many environments as an rsl_rl `VecEnv`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from sim.batch.env import BatchEnv, Obs

OBS_GROUPS: Final = {
    "actor": ["observation", "desired_goal"],
    "critic": ["observation", "desired_goal", "privileged"],
}
"""Which parts of an observation an actor and a critic read; `obs_groups` drops what a task lacks."""


class RslRlVecEnv(VecEnv):
    """All environments of one `BatchEnv`, which resets them itself.

    Observation groups are the parts of its observation: `observation`, `achieved_goal`,
    `desired_goal`, and `privileged` where a task has it. `extras` has `time_outs`, for bootstrapping,
    and where episodes ended `log`: their mean success, length and reward per term.

    Args:
        batch: The environments.

    Raises:
        ValueError: If `batch` does not reset by itself.
    """

    def __init__(self, batch: BatchEnv) -> None:
        """See the class."""
        if not batch.config.auto_reset:
            raise ValueError(
                "rsl_rl expects environments that reset themselves; build them with auto_reset=True"
            )
        self.batch = batch
        self.num_envs, self.num_actions = batch.num_envs, batch.num_actions
        self.max_episode_length = batch.task.config.max_steps
        self.device = batch.device
        self.cfg = {"task": batch.task.name, **asdict(batch.task.config), "env": asdict(batch.config)}
        self._obs = self._groups(batch.reset(batch.config.seed))

    @property
    def obs_groups(self) -> dict[str, list[str]]:
        """`obs_groups` of a runner's configuration, as far as this task has them."""
        return {k: [g for g in groups if g in self.batch.spec.obs] for k, groups in OBS_GROUPS.items()}

    @property
    def episode_length_buf(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Control steps since the reset, int64 (num_envs,); rsl_rl may set it, to spread resets."""
        return self.batch.episode_step

    @episode_length_buf.setter
    def episode_length_buf(self, steps: Tensor) -> None:
        self.batch.episode_step.copy_(steps)

    def get_observations(self) -> TensorDict:
        """Return the current observations."""
        return self._obs

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """See `VecEnv.step`."""
        # What the environment remembers must not become inference tensors, which nothing may change later.
        with torch.inference_mode(False), torch.no_grad():
            obs, reward, terminated, truncated, info = self.batch.step(actions.clone())
        self._obs = self._groups(obs)
        extras: dict[str, Any] = {"time_outs": truncated & ~terminated}
        if "episode" in info:
            extras["log"] = {f"Episode/{k}": v.to(torch.float32).mean() for k, v in info["episode"].items()}
        return self._obs, reward, (terminated | truncated).to(torch.long), extras

    def close(self) -> None:
        """Release the simulator."""
        self.batch.close()

    def _groups(self, obs: Obs) -> TensorDict:
        return TensorDict(dict(obs), batch_size=[self.num_envs], device=self.device)
