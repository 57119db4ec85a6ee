"""A million random steps over all tasks: nothing diverges, nothing sinks in, nothing at rest speeds up."""

import mujoco
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from sim.batch.env import BatchEnv, EnvConfig  # noqa: E402
from sim.tasks.registry import TASKS, make_task  # noqa: E402

TOTAL_STEPS = 1_000_000
NUM_ENVS = 256
LOOKED_AT = 8
"""Environments whose contacts are looked at, every 20 steps."""

PENETRATION_M = 0.01
"""Deepest overlap of two geoms. Random actions press tools and fingers with full motor force."""

REST_SPEED = 0.3
"""Largest joint speed [m/s or rad/s] at the end of an episode without action."""


def deepest_m(env, k):
    _, data = env.physics.mj_data(k)
    return max((-float(c.dist) for c in data.contact), default=0.0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("preset", ["nominal", "randomised"])
@pytest.mark.parametrize("name", sorted(TASKS))
def test_random_actions(name, preset, tmp_path):
    env = BatchEnv(make_task(name, preset=preset), EnvConfig(num_envs=NUM_ENVS, fault_dir=str(tmp_path)))
    generator = torch.Generator().manual_seed(0)
    deepest = 0.0
    for step in range(TOTAL_STEPS // (2 * len(TASKS) * NUM_ENVS) + 1):
        action = torch.rand(NUM_ENVS, env.num_actions, generator=generator) * 2.0 - 1.0
        obs, reward, *_ = env.step(action)
        assert all(torch.isfinite(v).all() for v in obs.values())
        assert torch.isfinite(reward).all()
        if step % 20 == 0:
            deepest = max(deepest, *(deepest_m(env, k) for k in range(LOOKED_AT)))
    assert env.faults.count == 0, [str(p) for p in env.faults.paths]
    assert deepest < PENETRATION_M


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TASKS))
def test_without_action_nothing_speeds_up(name):
    """Energy may only fall once the robot's servos have settled: kinetic energy does not rise again."""
    task = make_task(name)
    env = BatchEnv(task, EnvConfig(num_envs=16, auto_reset=False))
    zero = torch.zeros(16, env.num_actions)
    energy = []
    for _ in range(task.config.max_steps - 1):
        env.step(zero)
        energy.append([kinetic_j(env, k) for k in range(4)])
    energy = np.array(energy)
    half, last = energy[len(energy) // 2 :], energy[-max(1, len(energy) // 10) :]
    assert (last.max(0) <= half.max(0) + 1e-3).all()
    assert env.physics.field("qvel").abs().max() < REST_SPEED


def kinetic_j(env, k):
    model, data = env.physics.mj_data(k)
    mujoco.mj_energyVel(model, data)
    return float(data.energy[1])
