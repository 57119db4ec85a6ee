# pyright: reportAttributeAccessIssue=false
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.registry import make_task
from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_cubes_start_apart_on_the_table(difficulty):
    env, obs = solving.start("stack", difficulty)
    blue, red = env.task.blue.pos, env.task.red.pos
    apart = torch.linalg.vector_norm(blue - red, dim=-1)
    # From 0.11 to 0.11 + 0.09 d.
    assert apart.min() >= 0.11 - 1e-6 and apart.max() <= 0.11 + 0.09 * difficulty + 1e-6
    assert torch.allclose(blue[:, 2], torch.tensor(0.02)) and torch.allclose(red[:, 2], torch.tensor(0.02))
    assert blue[:, 0].min() > 0.3 and blue[:, 0].max() < 0.7 and blue[:, 1].abs().max() < 0.31
    assert torch.allclose(obs["achieved_goal"][:, :3], blue - red)
    assert torch.allclose(obs["desired_goal"], torch.tensor([0.0, 0.0, 0.04, 0.06]))


def test_success_asks_for_place_height_and_a_hand_that_left():
    task = make_task("stack")
    goal = torch.tensor([0.0, 0.0, 0.04, 0.06])
    rows = torch.tensor(
        [
            [0.010, 0.010, 0.042, 0.06],  # 14 mm aside: stacked
            [0.012, 0.012, 0.042, 0.06],  # 17 mm aside
            [0.0, 0.0, 0.047, 0.06],  # 7 mm above: still falling or held
            [0.0, 0.0, 0.04, 0.01],  # still in the hand
        ]
    )
    assert task.success(rows, goal).tolist() == [True, False, False, False]
    # A goal with a hand at 0 asks only for the place, as hindsight relabelling may.
    assert task.success(rows[3], goal * torch.tensor([1.0, 1.0, 1.0, 0.0]))


def test_solver_leaves_the_cubes_stacked_at_rest():
    env = solving.make_env("stack", 4, difficulty=0.5)
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    assert solving.at_rest(env, "blue").all() and solving.at_rest(env, "red").all()
    # Nothing but the red cube carries the blue one.
    model, data = env.physics.mj_data(0)
    pairs = [{model.geom(c.geom1).name, model.geom(c.geom2).name} for c in data.contact]
    assert all(pair == {"blue", "red"} for pair in pairs if "blue" in pair)
    assert {"blue", "red"} in pairs


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("stack", 128, preset=preset) >= least
