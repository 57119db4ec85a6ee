import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_goals_and_starts_are_in_bounds(difficulty):
    obs = solving.start("scissors_hand", difficulty)[1]
    goal, opening = obs["desired_goal"], obs["achieved_goal"][:, 0]
    # Goals are drawn from 30 mm +- 25 mm * difficulty; the scissors open by at most 70 mm.
    assert ((goal[:, 0] - 0.03).abs() <= 0.025 * difficulty + 1e-6).all()
    assert (goal[:, 1] == 0).all()
    assert ((opening > 0.0) & (opening < 0.07)).all()


def test_difficulty_spreads_goals_and_starts():
    spread = [
        [v.std() for v in (obs["desired_goal"][:, 0], obs["achieved_goal"][:, 0])]
        for obs in (solving.start("scissors_hand", d)[1] for d in (0.0, 0.5, 1.0))
    ]
    for easy, middle, hard in zip(*spread, strict=True):
        assert easy < 1e-6 < middle < hard


def test_scissors_hang_on_the_fingers():
    """Without action for 5 s, in every start."""
    env, obs = solving.start("scissors_hand", 1.0, num_envs=16)
    first = obs["achieved_goal"]
    for _ in range(env.task.config.max_steps):
        obs, _, _, _, info = env.step(torch.zeros(16, env.num_actions))
        assert not info["failed"].any()
    assert ((obs["achieved_goal"] - first)[:, 0].abs() < 0.004).all()
    assert env.physics.model.neq == 0  # nothing but contacts


def test_straight_fingers_lose_the_scissors():
    env, _ = solving.start("scissors_hand", 0.5, num_envs=2)
    action = torch.zeros(2, env.num_actions)
    action[0] = torch.tensor(
        [-1.0 if n.endswith(("mcp", "pip", "ip")) else 0.0 for n in env.spec.action.names]
    )
    for _ in range(50):
        _, _, terminated, _, info = env.step(action)
        if terminated.any():
            break
    assert info["failed"].tolist() == [True, False]


def test_solver_opens_and_closes():
    env = solving.make_env("scissors_hand", 6)
    history = solving.run(env)
    assert history[-1].float().mean() >= 5 / 6 and not history[0].all()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("scissors_hand", 128, preset=preset) >= least
