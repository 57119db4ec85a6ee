import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.registry import make_task
from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_goals_and_starts_are_in_bounds(difficulty):
    env, obs = solving.start("tweezer_hand", difficulty)
    goal, opening = obs["desired_goal"], obs["achieved_goal"][:, 0]
    # Goals are drawn from 11 mm +- 7 mm * difficulty; the tool is where it was grasped.
    assert ((goal[:, 0] - 0.011).abs() <= 0.007 * difficulty + 1e-6).all()
    assert (goal[:, 1] == 0).all() and (obs["achieved_goal"][:, 1] < 1e-6).all()
    assert ((opening > 0.004) & (opening < 0.02)).all()
    # The plates of the marker are as far apart as the goal says: 2 mm are their own thickness.
    marker = env.physics.field("mocap_pos")
    apart = torch.linalg.vector_norm(marker[:, 0] - marker[:, 1], dim=-1)
    assert torch.allclose(apart, goal[:, 0] + 0.002, atol=1e-6)


def test_difficulty_spreads_goals_starts_and_springs():
    spread = []
    for difficulty in (0.0, 0.5, 1.0):
        env, obs = solving.start("tweezer_hand", difficulty)
        springs = env.physics.model_field("jnt_stiffness").max(1).values
        spread.append([v.std() for v in (obs["desired_goal"][:, 0], obs["achieved_goal"][:, 0], springs)])
    for easy, middle, hard in zip(*spread, strict=True):
        assert easy < 1e-6 < middle < hard


def test_fingers_hold_the_tweezers_by_friction():
    """Without action for 5 s: soft contacts creep by less than 1 mm a second."""
    env, obs = solving.start("tweezer_hand", 0.0, num_envs=2)
    first = obs["achieved_goal"]
    for _ in range(env.task.config.max_steps):
        obs, _, _, _, info = env.step(torch.zeros(2, env.num_actions))
        assert not info["failed"].any()
    assert ((obs["achieved_goal"] - first)[:, 0].abs() < 0.001).all()
    assert (obs["achieved_goal"][:, 1] < 0.004).all()
    assert env.physics.model.neq == 0  # nothing but contacts


def test_opened_fingers_lose_the_tweezers():
    env, _ = solving.start("tweezer_hand", 0.5, num_envs=2)
    action = torch.zeros(2, env.num_actions)
    action[0] = torch.tensor([-1.0 if n.endswith(("mcp", "pip")) else 0.0 for n in env.spec.action.names])
    for _ in range(25):
        _, _, terminated, _, info = env.step(action)
        if terminated.any():
            break
    assert info["failed"].tolist() == [True, False]


@pytest.mark.parametrize("length_m", [0.12, 0.18])
def test_solver_reaches_openings_with_tools_of_any_length(length_m):
    env = solving.make_env("tweezer_hand", 4, length_m=length_m)
    history = solving.run(env)
    assert torch.stack(history[-10:]).all() and not history[0].all()


def test_goals_at_which_the_tweezers_would_fall_are_refused():
    with pytest.raises(ValueError, match=r"opening_m reaches 0\.03 m; tweezers that rest at 0\.03 m"):
        make_task("tweezer_hand", opening_m=(0.0, 0.03))
    with pytest.raises(ValueError, match="the hand does not reach around a tool of this size"):
        solving.make_env("tweezer_hand", 1, rest_opening_m=0.15, length_m=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.98), ("randomised", 0.95)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("tweezer_hand", 128, preset=preset) >= least
