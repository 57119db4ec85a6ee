"""Watch a policy act in a task: a video, or live in a browser."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch

from policies.artifact import Actor, batch_act, load_policy, task_of
from policies.fit import check_fit
from sim.batch.env import BatchEnv
from sim.rendering import Renderer
from sim.tasks.registry import make_solver

BUILT_IN = ("random", "zero", "solver")


@dataclass
class PlayResult:
    """What was seen.

    Attributes:
        episodes: Episodes played.
        successes: Episodes whose goal was achieved at their end.
        returns: Sum of rewards of each.
        lengths: Control steps of each.
    """

    episodes: int = 0
    successes: int = 0
    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


def make_actor(name: str, env: BatchEnv, seed: int) -> Actor:
    """Return what acts: `random`, `zero`, `solver`, or a policy's file, folder or training run.

    Raises:
        ValueError: If it is none of these, or the policy does not fit the task.
    """
    if name == "zero":
        return Actor(lambda obs: torch.zeros(env.num_envs, env.num_actions, device=env.device))
    if name == "random":
        generator = torch.Generator().manual_seed(seed)
        return Actor(
            lambda obs: (
                torch.rand(env.num_envs, env.num_actions, generator=generator).to(env.device) * 2.0 - 1.0
            )
        )
    if name == "solver":
        return Actor(make_solver(env.task.name, env).act)
    if not Path(name).exists() and Path(name).name == name and not Path(name).suffix:
        options = ", ".join(BUILT_IN)
        raise ValueError(
            f"no policy {name!r}; use {options}, a .safetensors or .onnx file, or a run's folder"
        )
    policy = load_policy(name, env.device)
    about = getattr(policy, "about", {})
    check_fit(name, policy.spec, env.spec, env.task.name, task_of(about))
    return Actor(batch_act(policy), policy.reset, about)


class Stage:
    """Shows environment 0: a MuJoCo data that follows it, and a renderer.

    Args:
        env: The environment.
        width: Image width [px].
        height: Image height [px].
    """

    def __init__(self, env: BatchEnv, width: int = 960, height: int = 720) -> None:
        """See the class."""
        self._env, self._size = env, (width, height)
        self._renderer: Renderer | None = None
        self.begin()

    def begin(self) -> None:
        """Take over the model of a new episode, whose colours and light may differ."""
        if self._renderer is not None:
            self._renderer.close()
        self.model, self.data = self._env.physics.mj_data(0)
        self.model.vis.global_.offwidth, self.model.vis.global_.offheight = self._size
        self._renderer = Renderer(
            self.model, self.data, threading.Lock(), width=self._size[0], height=self._size[1]
        )

    def follow(self) -> None:
        """Bring the shown data to the present state."""
        physics = self._env.physics
        self.data.qpos[:] = physics.field("qpos")[0].cpu().numpy()
        if self.model.nmocap:
            self.data.mocap_pos[:] = physics.field("mocap_pos")[0].cpu().numpy()
            self.data.mocap_quat[:] = physics.field("mocap_quat")[0].cpu().numpy()
        self.data.time += self._env.task.config.step_dt
        mujoco.mj_forward(self.model, self.data)

    def picture(self) -> np.ndarray:
        """Return the picture of camera `view`, uint8 (height, width, 3)."""
        assert self._renderer is not None
        return self._renderer.view("view", with_depth=False).rgb

    def close(self) -> None:
        """Release GL memory."""
        if self._renderer is not None:
            self._renderer.close()


def play(
    env: BatchEnv,
    actor: Actor,
    episodes: int,
    on_begin: Callable[[int], None],
    on_step: Callable[[Mapping[str, Any]], None],
) -> PlayResult:
    """Play episodes in environment 0.

    Args:
        env: The environment; built with `auto_reset=False`.
        actor: What acts.
        episodes: How many episodes.
        on_begin: Called with the number of each episode after its reset.
        on_step: Called after each step with `step`, `reward`, `success` and `terms`: the weighted
            reward terms of the step, by name.
    """
    result = PlayResult()
    for episode in range(episodes):
        obs = env.reset()
        actor.reset()
        on_begin(episode)
        total, last = 0.0, torch.zeros(0)
        while True:
            obs, reward, terminated, truncated, info = env.step(actor.act(obs))
            sums = env.term_sums()
            step = int(env.episode_step[0])
            values = torch.stack([v[0] for v in sums.values()]).cpu()
            terms = dict(zip(sums, (values - (last if step > 1 else 0.0)).tolist(), strict=True))
            last, total = values, total + float(reward[0])
            on_step(
                {
                    "step": step,
                    "reward": float(reward[0]),
                    "success": bool(info["success"][0]),
                    "terms": terms,
                }
            )
            if bool(terminated[0] | truncated[0]):
                break
        result.episodes += 1
        result.successes += int(info["success"][0])
        result.returns.append(total)
        result.lengths.append(step)
    return result
