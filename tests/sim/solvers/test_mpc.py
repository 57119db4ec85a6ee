import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.solver import Solver
from sim.solvers.mpc import MpcConfig, MpcSolver
from sim.tasks.registry import TASKS
from tests.sim.tasks import solving


def drawn(env, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(steps, env.num_envs, env.num_actions, generator=generator) * 2 - 1


@pytest.mark.parametrize("name", sorted(TASKS))
def test_copies_move_like_the_original(name):
    """Three copies of each of two environments, and one action for both: the same goals, within rounding."""
    env, copies = solving.make_env(name, 2), solving.make_env(name, 6, seed=50)
    env.reset(seed=1)
    for action in drawn(env, 3):
        env.step(action)
    rows = torch.arange(2).repeat_interleave(3)
    copies.copy_state(env, rows)
    for action in drawn(env, 2, seed=1):
        obs = env.step(action)[0]
        copied = copies.step(action[rows])[0]
    assert torch.equal(copied["desired_goal"], obs["desired_goal"][rows])
    # States travel as float32, and contacts are solved from another first guess.
    assert (copied["achieved_goal"] - obs["achieved_goal"][rows]).abs().max() < 0.02


def test_rollouts_are_the_rewards_of_the_environment():
    env = solving.make_env("reach", 3)
    env.reset(seed=2)
    solver = MpcSolver(env, MpcConfig(samples=4, horizon=5, knots=2))
    actions = drawn(env, 4 * 5).view(4, 5, 3, env.num_actions).permute(2, 0, 1, 3)
    returns = solver.rollout(actions)
    total = torch.stack([env.step(actions[:, 2, k])[1] for k in range(5)]).sum(0)
    assert torch.allclose(returns[:, 2], total, atol=1e-3)
    assert returns.std(-1).min() > 1e-3  # sequences differ in worth


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_it_solves_a_task_that_it_knows_nothing_of(temperature):
    env = solving.make_env("reach", 4)
    solver: Solver = MpcSolver(env, MpcConfig(samples=24, horizon=8, temperature=temperature))
    obs = env.reset(seed=3)
    for _ in range(env.task.config.max_steps):
        obs, _, _, _, info = env.step(solver.act(obs))
    assert info["success"].all()


def test_an_environment_that_begins_anew_forgets_its_plan():
    env = solving.make_env("reach", 2)
    solver = MpcSolver(env, MpcConfig(samples=4, horizon=4, knots=2, replan=2))
    obs = env.reset(seed=0)
    for _ in range(3):
        obs = env.step(solver.act(obs))[0]
    again = MpcSolver(env, MpcConfig(samples=4, horizon=4, knots=2, replan=2))
    obs = env.reset(seed=7)
    first = solver.act(obs)
    assert first.shape == again.act(obs).shape
    assert solver._step == again._step == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples is 0; use at least 1"),
        ({"knots": 20}, "use at least 3 samples, 2 knots"),
        ({"noise": 0.0}, "use noise > 0"),
        ({"discount": 1.5}, r"discount in \(0, 1\]"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MpcConfig(**settings)
