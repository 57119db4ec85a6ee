# pyright: reportAttributeAccessIssue=false
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_angles_are_in_range_and_apart(difficulty):
    _, obs = solving.start("faucet", difficulty)
    start, goal = obs["achieved_goal"], obs["desired_goal"]
    for angle in (start, goal):
        assert (angle.abs() <= 1.2).all()
    # The turn is drawn from 0.3 to 0.3 + 1.5 d.
    turn = (goal - start).abs()
    assert turn.min() >= 0.3 - 1e-5 and turn.max() <= 0.3 + 1.5 * difficulty + 1e-5
    assert (goal > start).any() and (goal < start).any()


def test_marker_is_where_the_lever_will_be():
    env = solving.make_env("faucet", 8)
    qpos = env.physics.field("qpos").clone()
    qpos[:, -1:] = env.desired_goal
    env.physics.write(torch.arange(8), {"qpos": qpos})
    geoms = env.physics.field("geom_xpos")
    bars = [geoms[:, env.physics.model.geom(n).id] for n in ("lever_bar", "goal_bar")]
    torch.testing.assert_close(bars[0], bars[1], atol=1e-5, rtol=0.0)


def test_lever_stays_where_it_is_left():
    env = solving.make_env("faucet", 4)
    start = env.task.hinge.pos.clone()
    for _ in range(25):
        env.step(torch.zeros(4, env.num_actions))
    torch.testing.assert_close(env.task.hinge.pos, start, atol=1e-3, rtol=0.0)


def test_solver_turns_both_ways_and_leaves_it_at_rest():
    env = solving.make_env("faucet", 8)
    turn = env.desired_goal - env.task.hinge.pos
    assert (turn > 0).any() and (turn < 0).any()
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    assert env.task.hinge.vel.abs().max() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("faucet", 128, preset=preset) >= least
