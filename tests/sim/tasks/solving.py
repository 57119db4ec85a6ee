"""Runs of a task's solver that tests judge."""

from __future__ import annotations

import torch
from torch import Tensor

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.batch.solver import measure
from sim.tasks.registry import make_solver, make_task


def make_env(name: str, num_envs: int, seed: int = 0, **settings) -> BatchEnv:
    config = EnvConfig(num_envs=num_envs, seed=seed, auto_reset=False, physics=PhysicsConfig(num_threads=2))
    return BatchEnv(make_task(name, **settings), config)


def solve_rate(name: str, num_envs: int, seed: int = 1000, **settings) -> float:
    """Share of first episodes that the solver ends in success."""
    env = make_env(name, num_envs, seed, **settings)
    rate = measure(env, make_solver(name, env)).rate
    assert env.faults.count == 0
    env.close()
    return rate


def run(env: BatchEnv, seed: int = 0) -> list[Tensor]:
    """Run the solver for an episode; return the success of each step, (num_envs,) each."""
    solver = make_solver(env.task.name, env)
    obs = env.reset(seed=seed)
    history = []
    for _ in range(env.task.config.max_steps):
        obs, _, _, _, info = env.step(solver.act(obs))
        history.append(info["success"])
    return history


def start(name: str, difficulty: float, num_envs: int = 64, **settings) -> tuple[BatchEnv, dict[str, Tensor]]:
    """Return an environment and its first observations at a difficulty."""
    env = make_env(name, num_envs, difficulty=difficulty, **settings)
    return env, env.reset(seed=5)


def at_rest(env: BatchEnv, body: str) -> Tensor:
    """Return whether a free body moves slower than 3 cm/s, (num_envs,)."""
    from sim.batch.handles import Body

    return torch.linalg.vector_norm(Body(env.physics, body).linvel, dim=-1) < 0.03
