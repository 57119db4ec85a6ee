"""A hand without a tool: what it can do inside the limits of the workspace."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sim.batch.env import BatchEnv


def grope(env: BatchEnv, target: Callable[[], Tensor], steps: int = 200) -> Tensor:
    """Drive the hand to `target()` (n, 3), closing it half way, then back; return success at any step, (n,).

    The hand goes there straight, rubs against whatever it meets and returns to where it came from: what a
    push or a pull without a tool would do.
    """
    task = env.task
    start = task.ee.pos.clone()
    success = torch.zeros(env.num_envs, dtype=torch.bool)
    for step in range(steps):
        goal = target() if step < 0.6 * steps else start
        action = torch.zeros(env.num_envs, env.num_actions)
        action[:, :3] = torch.clamp((goal - task.ee.pos) / task.step_m, -1.0, 1.0)
        action[:, -1] = 1.0 if step < 0.4 * steps else -1.0
        _, _, _, _, info = env.step(action)
        success |= info["success"]
        assert_inside(env)
    return success


def assert_inside(env: BatchEnv, slack_m: float = 0.015) -> None:
    """Assert that the grasp centre is in its box, but for what the servos lag behind."""
    low, high = (torch.tensor(corner) for corner in env.task.config.workspace_m)
    pos = env.task.ee.pos
    assert (pos > low - slack_m).all() and (pos < high + slack_m).all(), pos
