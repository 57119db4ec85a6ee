import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.press import CENTRE_M, HALF_M, STIFFNESS_N_M, miss_m, miss_n
from sim.tasks.registry import make_task
from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_goals_are_spots_on_the_plate_and_forces_in_range(difficulty):
    env, obs = solving.start("press", difficulty)
    spot, force_n = obs["desired_goal"][:, :2], obs["desired_goal"][:, 2]
    offset = (spot - torch.tensor(CENTRE_M[:2])).abs()
    assert offset.max() <= 0.09 * difficulty + 1e-6
    # At difficulty d forces are drawn from 3 to 3 + 9 d N.
    assert force_n.min() >= 3.0 and force_n.max() <= 3.0 + 9.0 * difficulty + 1e-5
    assert not env.task.success(obs["achieved_goal"], obs["desired_goal"]).any()


def test_difficulty_spreads_spots_and_forces():
    goals = [solving.start("press", d)[1]["desired_goal"].std(0) for d in (0.0, 0.5, 1.0)]
    assert goals[0].max() < 1e-6
    assert (goals[1] > 1e-3).all() and (goals[2] > goals[1]).all()


def test_the_marker_is_where_the_plate_will_be():
    env, obs = solving.start("press", 1.0)
    marker, goal = env.physics.field("mocap_pos")[:, 0], obs["desired_goal"]
    assert torch.allclose(marker[:, :2], goal[:, :2])
    assert torch.allclose(marker[:, 2], CENTRE_M[2] - goal[:, 2] / STIFFNESS_N_M)


def test_an_untouched_plate_feels_nothing_and_the_hand_is_where_it_is():
    env, obs = solving.start("press", 1.0)
    assert not env.task.skin.value.any()
    assert torch.allclose(obs["achieved_goal"][:, :2], env.task.ee.pos[:, :2])
    assert not obs["achieved_goal"][:, 2].any()


def test_solver_presses_at_the_spot_and_holds():
    env = solving.make_env("press", 4)
    history = solving.run(env)
    assert not history[0].any() and torch.stack(history[-10:]).all()
    achieved, desired = env.task.achieved_goal(), env.desired_goal
    assert (miss_m(achieved, desired) < 0.02).all() and (miss_n(achieved, desired) < 0.1).all()
    # What the skin feels is what the springs hold.
    skin = env.task.skin.value
    assert torch.allclose(skin.sum((1, 2)), -STIFFNESS_N_M * env.task.plate.pos[:, 0], atol=0.05)
    row = torch.div(desired[:, 1] - CENTRE_M[1] + HALF_M, 2 * HALF_M / 6, rounding_mode="floor").long()
    near = torch.stack([skin[k, max(0, r - 1) : r + 2].sum() for k, r in enumerate(row)])
    assert (near > 0.95 * skin.sum((1, 2))).all(), "pressure is far from the spot"


def test_the_wrist_feels_the_press():
    env = solving.make_env("press", 2)
    before = env.task.wrist.value.clone()
    env.reset(seed=0)
    env.step(torch.zeros(2, env.num_actions))
    free = env.task.wrist.value.clone()
    solving.run(env)
    # The site's z points down: the plate pushes the hand up, against z.
    pushed = env.task.wrist.value[:, 2] - free[:, 2]
    assert before.shape == (2, 6)
    assert torch.allclose(-pushed, env.task.skin.value.sum((1, 2)), rtol=0.1, atol=0.3)


def test_observed_are_taxels_and_wrench():
    env = solving.make_env("press", 2, taxels=(3, 5))
    assert {name: part.shape[1] for name, part in env.task.observe().items()} == {
        "joint_pos": 7, "joint_vel": 7, "ee_pos": 3, "skin": 15, "wrench": 6,
    }  # fmt: skip


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"least_n and most_n are 0.1 and 12.0 N; use forces in"):
        make_task("press", least_n=0.1)
    with pytest.raises(ValueError, match=r"spread_m is 0.2; the plate reaches 0.12 m"):
        make_task("press", spread_m=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.98), ("randomised", 0.95)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("press", 128, preset=preset) >= least
