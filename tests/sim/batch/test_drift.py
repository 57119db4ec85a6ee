"""Both backends lead the same seeded actions to the same states, within a bound per task.

They differ in precision (float64 and float32) and in the order of sums. Free motion and firm grasps
stay together for an episode; where a contact slides or just misses, single environments part for
good. So a bound is one of the six environments, of eight, that are closest at that step: of the other
two nothing is claimed but that all they return is finite and that nothing diverges. Which two they are may
change from step to step. A new task is covered by the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.tasks.registry import TASKS, make_solver, make_task

pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")

NUM_ENVS = 8


@dataclass(frozen=True)
class Bound:
    """How far apart the backends may be, in the six closest of eight environments.

    Attributes:
        random_steps: Control steps of random actions.
        random_qpos: Largest difference of any entry of `qpos` after them [rad], [m].
        solver_steps: Control steps under the solver's actions, at most.
        solver_goal: Largest difference of the achieved goal in them, in the goal's unit.
    """

    random_steps: int = 20
    random_qpos: float = 1e-3
    solver_steps: int = 60
    solver_goal: float = 5e-3


BOUNDS = {
    "reach": Bound(random_steps=40, random_qpos=1e-5, solver_goal=1e-5),
    "push": Bound(random_steps=40, random_qpos=1e-5, solver_goal=3e-2),  # the cube slides and turns
    "pick_place": Bound(random_steps=40, random_qpos=2e-4, solver_steps=100, solver_goal=1e-3),
    "stack": Bound(random_steps=40, random_qpos=1e-5, solver_steps=150, solver_goal=2e-3),
    "drawer": Bound(random_steps=40, solver_steps=100, solver_goal=1e-4),
    "faucet": Bound(random_steps=40, random_qpos=1e-4, solver_steps=100, solver_goal=1e-3),
    "wipe": Bound(random_steps=40, random_qpos=1e-4, solver_goal=0.2),  # shares of spots that touch decides
    "tweezer_hand": Bound(random_steps=10, solver_steps=120, solver_goal=1e-4),
    "scissors_hand": Bound(random_steps=5, random_qpos=2e-2, solver_steps=120),
    "reorient": Bound(random_steps=10, solver_steps=30, solver_goal=5e-2),
    "tweezer_pick": Bound(random_steps=5, random_qpos=2e-2, solver_goal=5e-2),  # idle ellipsoids rock
    "pour_beads": Bound(random_steps=5, random_qpos=5e-3),  # rolling beads part twofold with each step
    "lever_lift": Bound(random_steps=40, random_qpos=1e-4, solver_steps=250, solver_goal=1e-3),
    "bridge_gap": Bound(random_steps=40, random_qpos=1e-4, solver_steps=250, solver_goal=1e-3),
}
QUICK = ("reach", "push")
"""Tasks that `make test` checks; the others compile kernels of their own and wait for `make test-slow`."""
TASK_NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in TASKS]


def make_envs(name: str, preset: str, device: str = "cpu") -> tuple[BatchEnv, BatchEnv]:
    """Return the task on the CPU backend and on Warp, at the start of the same episodes."""
    envs = []
    for physics in (PhysicsConfig(backend="cpu"), PhysicsConfig(backend="warp", device=device)):
        config = EnvConfig(num_envs=NUM_ENVS, auto_reset=False, physics=physics)
        envs.append(BatchEnv(make_task(name, preset=preset), config))
        envs[-1].reset(seed=3)
    return envs[0], envs[1]


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the largest difference in the three quarters of environments that are closest."""
    per_env = (a.cpu() - b.cpu()).abs().flatten(1).amax(-1)
    return float(per_env.sort().values[3 * NUM_ENVS // 4 - 1])


def check_random_actions(name: str, device: str) -> None:
    bound = BOUNDS.get(name, Bound())
    cpu, warp = make_envs(name, "randomised", device)
    assert torch.allclose(cpu.physics.field("qpos"), warp.physics.field("qpos").cpu(), rtol=0, atol=1e-6)
    generator, action = torch.Generator().manual_seed(0), torch.zeros(NUM_ENVS, cpu.num_actions)
    for _ in range(bound.random_steps):
        noise = torch.rand(NUM_ENVS, cpu.num_actions, generator=generator) * 2 - 1
        action = torch.clamp(0.8 * action + 0.4 * noise, -1.0, 1.0)
        rewards = [env.step(action)[1] for env in (cpu, warp)]
    drift = apart(cpu.physics.field("qpos"), warp.physics.field("qpos"))
    assert drift < bound.random_qpos
    assert torch.isfinite(rewards[1]).all()
    assert warp.faults.count == cpu.faults.count == 0
    cpu.close()
    warp.close()


@pytest.mark.parametrize("name", TASK_NAMES)
def test_random_actions_lead_to_the_same_states(name):
    """Under the randomised preset, so that model fields per environment are compared as well."""
    check_random_actions(name, "cpu")


@pytest.mark.parametrize("name", TASK_NAMES)
def test_a_solvers_actions_lead_to_the_same_goals(name):
    """The solver acts on what the CPU backend shows; Warp gets the same actions, touching the same things."""
    bound = BOUNDS.get(name, Bound())
    cpu, warp = make_envs(name, "nominal")
    solver, obs = make_solver(name, cpu), cpu.reset(seed=3)
    worst = 0.0
    for _ in range(min(bound.solver_steps, cpu.task.config.max_steps)):
        action = solver.act(obs)
        obs, other = (env.step(action)[0] for env in (cpu, warp))
        worst = max(worst, apart(obs["achieved_goal"], other["achieved_goal"]))
    assert worst < bound.solver_goal
    assert warp.faults.count == cpu.faults.count == 0
    cpu.close()
    warp.close()


def test_bounds_are_of_tasks_there_are():
    assert set(BOUNDS) <= set(TASKS)


@pytest.mark.gpu
@pytest.mark.parametrize("name", list(TASKS))
def test_random_actions_lead_to_the_same_states_on_a_gpu(name):
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    check_random_actions(name, "cuda:0")
