"""What the trainers around Stable-Baselines3's algorithms have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from policies.training.trainer import Diverged


def learn(model: Any, env_steps: int) -> None:
    """Let an algorithm go on for a number of environment steps, where it is.

    Raises:
        Diverged: If `VecCheckNan` found a number that is not finite.
    """
    try:
        model.learn(env_steps, reset_num_timesteps=False, log_interval=None)
    except ValueError as error:
        if "nan" in str(error).lower() or "found inf" in str(error):
            raise Diverged(f"{error}; training stopped and the last checkpoint is kept") from error
        raise


def check_weights(model: Any) -> None:
    """Refuse weights that are not finite.

    Raises:
        Diverged: Names the first of them.
    """
    for name, value in model.policy.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise Diverged(
                f"weight {name} became not finite; training stopped and the last checkpoint is kept"
            )


def losses(model: Any) -> dict[str, float]:
    """Return what an algorithm logged of its last updates, as `loss/...`."""
    logged = model.logger.name_to_value.items()
    wanted = {k: v for k, v in logged if k.startswith("train/") and k != "train/n_updates"}
    return {f"loss/{k.removeprefix('train/')}": float(v) for k, v in wanted.items()}


def episodes(model: Any) -> dict[str, float]:
    """Return success, return and length of the last 100 episodes."""
    found: dict[str, float] = {}
    if model.ep_success_buffer:
        found["train/success"] = float(np.mean(model.ep_success_buffer))
    if model.ep_info_buffer:
        found["train/return"] = float(np.mean([e["r"] for e in model.ep_info_buffer]))
        found["train/length"] = float(np.mean([e["l"] for e in model.ep_info_buffer]))
    return found
