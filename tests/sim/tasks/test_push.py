import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.arm import WORK_X, WORK_Y
from sim.tasks.push import HALF_HEIGHT_M
from sim.tasks.registry import make_task
from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_start_and_goal_are_in_bounds(difficulty):
    env, obs = solving.start("push", difficulty)
    for point in (obs["achieved_goal"], obs["desired_goal"]):
        assert ((point[:, 0] >= WORK_X[0]) & (point[:, 0] <= WORK_X[1])).all()
        assert ((point[:, 1] >= WORK_Y[0]) & (point[:, 1] <= WORK_Y[1])).all()
        assert torch.allclose(point[:, 2], torch.tensor(HALF_HEIGHT_M))
    far = torch.linalg.vector_norm(obs["achieved_goal"] - obs["desired_goal"], dim=-1)
    # At difficulty d the distance is drawn from 0.06 to 0.06 + 0.19 d; the border can only shorten it.
    assert far.max() <= 0.06 + 0.19 * difficulty + 1e-5
    assert far.min() > env.task.config.tolerance_m
    marker = env.physics.field("mocap_pos")[:, 0]
    assert torch.allclose(marker[:, :2], obs["desired_goal"][:, :2])


def test_difficulty_spreads_starts():
    spread = [solving.start("push", d)[1]["achieved_goal"][:, :2].std(0).max() for d in (0.0, 0.5, 1.0)]
    assert spread[0] < 1e-6 < spread[1] < spread[2]


@pytest.mark.parametrize("shape", ["box", "cylinder"])
def test_solver_leaves_the_object_at_rest_at_the_goal(shape):
    env = solving.make_env("push", 4, shape=shape, difficulty=0.5)
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    assert solving.at_rest(env, "object").all()


@pytest.mark.parametrize("reward", ["dense", "sparse"])
def test_object_off_the_table_fails(reward):
    """A failure ends the episode, but not where each further step costs."""
    env = solving.make_env("push", 2, reward=reward)
    off = env.physics.field("qpos").clone()[:1]
    off[0, 9:12] = torch.tensor([0.5, 0.9, -0.2])
    env.physics.write(torch.tensor([0]), {"qpos": off})
    _, _, terminated, _, info = env.step(torch.zeros(2, env.num_actions))
    assert info["failed"].tolist() == [True, False]
    assert terminated.tolist() == [reward == "dense", False]


def test_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="shape is 'ball'; input should be 'box' or 'cylinder'"):
        make_task("push", shape="ball")


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
@pytest.mark.parametrize("shape", ["box", "cylinder"])
def test_solver_rate(shape, preset, least):
    assert solving.solve_rate("push", 128, preset=preset, shape=shape) >= least
