"""What the adapters share: building an environment by name, its spaces, arrays, rewards of other goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from policies.policy import ArraySpec
from sim.batch.env import BatchEnv, EnvConfig, Obs
from sim.tasks.registry import make_task

GOAL_KEYS: Final = ("observation", "achieved_goal", "desired_goal")
"""What a policy sees; `privileged` parts are for critics and teachers."""

PER_STEP: Final = {
    "success": "is_success",
    "failed": "failed",
    "fault": "fault",
    "shaping": "shaping",
    "step": "step",
}
"""Parts of `BatchEnv.step`'s info that the adapters hand on, and what they call them."""


def make_batch_env(task: str, num_envs: int = 1, **settings: Any) -> BatchEnv:
    """Build the environments of a task.

    Args:
        task: Name of the task; `habilis envs` lists them.
        num_envs: Number of environments.
        **settings: Settings of `EnvConfig`, such as `seed=1` or `physics=PhysicsConfig(...)`, and of the
            task's own config, such as `reward="sparse"`.

    Raises:
        ValueError: If the task or a setting is unknown, or a value is out of range.
    """
    around = {k: settings.pop(k) for k in list(settings) if k in EnvConfig.__dataclass_fields__}
    return BatchEnv(make_task(task, **settings), EnvConfig(num_envs=num_envs, **around))


def box(spec: ArraySpec) -> spaces.Box:
    """Return the space of one array."""
    return spaces.Box(spec.low, spec.high, spec.shape, np.float32)


def observation_space(env: BatchEnv, keys: Sequence[str] = GOAL_KEYS) -> spaces.Dict:
    """Return the space of one environment's observations."""
    return spaces.Dict({k: box(env.spec.obs[k]) for k in keys})


def to_numpy(obs: Obs, keys: Sequence[str] = GOAL_KEYS) -> dict[str, NDArray[np.float32]]:
    """Return observations as arrays (num_envs, ...)."""
    return {k: obs[k].cpu().numpy() for k in keys}


def to_action(env: BatchEnv, action: Any) -> torch.Tensor:
    """Return an action (num_envs, num_actions) as a tensor on the environment's device."""
    return torch.as_tensor(action, dtype=torch.float32, device=env.device)


def goal_reward(
    env: BatchEnv,
    achieved: NDArray[Any],
    desired: NDArray[Any],
    info: Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> NDArray[np.float32]:
    """Return the rewards (...) that goals (..., goal) would have had.

    Args:
        env: The environment.
        achieved: Achieved goals.
        desired: Desired goals.
        info: Info of the step, or of each of the steps; sparse rewards do not read it.

    Raises:
        ValueError: If rewards are dense and the shaping of a step is not known.
    """
    device = env.device
    shaping = torch.zeros((), device=device)
    if env.task.config.reward == "dense":
        infos = [info] if isinstance(info, Mapping) else list(info)
        if not all("shaping" in each for each in infos):
            raise ValueError(
                "dense rewards of other goals need each step's info['shaping']; "
                "keep the infos (HerReplayBuffer: copy_info_dict=True) or use reward=sparse"
            )
        values = [np.asarray(each["shaping"], np.float32) for each in infos]
        shaping = torch.as_tensor(values[0] if isinstance(info, Mapping) else np.stack(values)).to(device)
    a, d = (torch.as_tensor(np.asarray(x, np.float32), device=device) for x in (achieved, desired))
    return env.task.compute_reward(a, d, shaping).cpu().numpy()
