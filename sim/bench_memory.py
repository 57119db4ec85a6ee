"""Memory of an environment, measured in a process of its own.

In a process that has built environments before, the allocator hands out what they gave back and the
system sees next to nothing taken, so a second batch would look smaller than it is.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import torch

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.bench_tasks import bench_task

_STEPS: Final = 5


def memory_per_env(task: str, num_envs: int, physics: PhysicsConfig) -> float:
    """Return what an environment of a batch takes [MiB]: memory of the GPU, or else resident memory.

    Libraries, kernels and the compiled model, which a batch of one environment takes as well, don't count.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as fresh:
        return fresh.submit(_measure, task, num_envs, physics).result()


def _measure(task: str, num_envs: int, physics: PhysicsConfig) -> float:
    single = _stepped(task, 1, physics)  # stays, so that nothing of it can be used again
    before = used_mb(physics.device)
    batch = _stepped(task, num_envs, physics)
    taken = used_mb(physics.device) - before
    batch.close()
    single.close()
    return max(taken, 0.0) / num_envs


def _stepped(task: str, num_envs: int, physics: PhysicsConfig) -> BatchEnv:
    env = BatchEnv(bench_task(task), EnvConfig(num_envs=num_envs, physics=physics))
    for _ in range(_STEPS):
        env.step(torch.zeros(num_envs, env.num_actions, device=env.device))
    return env


def used_mb(device: str) -> float:
    """Return the memory that is used [MiB]: of the GPU, or else resident memory of this process."""
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**20
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
