# pyright: reportAttributeAccessIssue=false
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_openings_are_in_range_and_apart(difficulty):
    _, obs = solving.start("drawer", difficulty)
    start, goal = obs["achieved_goal"], obs["desired_goal"]
    for opening in (start, goal):
        assert (opening >= 0.0).all() and (opening <= 0.2).all()
    # The change is drawn from 0.04 to 0.04 + 0.14 d.
    change = (goal - start).abs()
    assert change.min() >= 0.04 - 1e-6 and change.max() <= 0.04 + 0.14 * difficulty + 1e-6
    assert (goal > start).any() and (goal < start).any()


def test_marker_is_where_the_front_will_be():
    """Slid to its goal, the drawer's bar lies in the marker's."""
    env = solving.make_env("drawer", 8)
    qpos = env.physics.field("qpos").clone()
    qpos[:, -1:] = env.desired_goal
    env.physics.write(torch.arange(8), {"qpos": qpos})
    geoms = env.physics.field("geom_xpos")
    bars = [geoms[:, env.physics.model.geom(n).id] for n in ("drawer_bar", "goal_bar")]
    torch.testing.assert_close(bars[0], bars[1], atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("goal", [0.0, 0.2])
def test_solver_opens_and_closes_fully(goal):
    env = solving.make_env("drawer", 4)
    env.reset(seed=2)
    env.desired_goal[:] = goal
    solver = solving.make_solver("drawer", env)
    obs = {"desired_goal": env.desired_goal}
    for _ in range(env.task.config.max_steps):
        _, _, _, _, info = env.step(solver.act(obs))
    assert info["success"].all()
    assert env.task.slide.vel.abs().max() < 0.01
    assert env.task.slide.pos.min() > -0.002 and env.task.slide.pos.max() < 0.202


def test_closed_drawer_stays_without_a_hand():
    env = solving.make_env("drawer", 4)
    start = env.task.slide.pos.clone()
    for _ in range(25):
        env.step(torch.zeros(4, env.num_actions))
    torch.testing.assert_close(env.task.slide.pos, start, atol=1e-4, rtol=0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("drawer", 128, preset=preset) >= least
