"""`pour_beads`: the beads start in the cup on its stand, and the solver pours them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.robots.fr3 import GRIPPER_WIDTH_M
from sim.tasks.pour_beads import BOWL_Z_M, CUP_HEIGHT_M, CUP_M, STAND_M
from sim.tasks.registry import make_task
from tests.sim.tasks import solving
from tests.sim.tasks.bare_hand import grope


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_beads_start_in_the_cup(difficulty):
    env, obs = solving.start("pour_beads", difficulty, 8)
    task = env.task
    assert (task.beads.count_in(task.cup.pos, CUP_M, CUP_HEIGHT_M) == task.beads.num).all()
    assert (obs["achieved_goal"] == 0).all()
    assert torch.allclose(task.cup.pos[:, 2], torch.tensor(STAND_M), atol=1e-3)
    assert torch.allclose(task.bowl.pos[:, 2], torch.tensor(BOWL_Z_M))
    low, high = task.config.beads
    goal = obs["desired_goal"]
    assert ((goal >= low) & (goal <= high) & (goal == goal.round())).all()
    # Its walls are 6 mm thick; the fingers reach around it.
    assert 2 * (CUP_M[1] + 0.006) < GRIPPER_WIDTH_M[1]


def test_difficulty_asks_for_more():
    most = [solving.start("pour_beads", d, 32)[1]["desired_goal"].max() for d in (0.0, 0.5, 1.0)]
    assert most[0] == 6 and most[0] < most[1] < most[2] <= 10


def test_beads_stay_in_a_cup_at_rest():
    env, _ = solving.start("pour_beads", 1.0, 2)
    for _ in range(100):
        env.step(torch.zeros(2, env.num_actions))
    task = env.task
    assert (task.beads.count_in(task.cup.pos, CUP_M, CUP_HEIGHT_M) == task.beads.num).all()
    assert (task.beads.speed < 0.02).all() and solving.at_rest(env, "cup").all()


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="1 <= fewest <= most <= 12"):
        make_task("pour_beads", beads=(0, 5))


def test_a_hand_that_only_pokes_fills_no_bowl():
    env, _ = solving.start("pour_beads", 1.0, 2)
    assert not grope(env, lambda: env.task.bowl.pos).any()


def test_solver_pours():
    env = solving.make_env("pour_beads", 2)
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.84)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("pour_beads", 100, preset=preset) >= least
