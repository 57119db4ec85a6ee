"""`scoop`: where trays and beads are, why the scoop is needed, and that the solver uses it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.beads import grid
from sim.tasks.registry import make_task
from sim.tasks.scoop import TRAY_M, scoop_mat
from tests.sim.tasks import solving
from tests.sim.tasks.bare_hand import grope


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_beads_are_in_the_source_beyond_the_workspace(difficulty):
    env, obs = solving.start("scoop", difficulty, 8)
    task = env.task
    inside = task.beads.count_in(task.source.pos, TRAY_M, 0.05)
    assert (inside == task.beads.num).all() and (obs["achieved_goal"] == 0).all()
    assert (task.beads.pos[..., 0] > task.config.workspace_m[1][0] + 0.1).all()
    low, high = task.config.beads
    goal = obs["desired_goal"]
    assert ((goal >= low) & (goal <= high) & (goal == goal.round())).all()
    assert ((task.target.pos - task.source.pos)[:, 1] > 2 * TRAY_M[1] + 0.002).all()


def test_a_grid_is_centred_and_stands_on_zero():
    points = grid((2, 1, 2), (0.02, 0.03, 0.01), torch.device("cpu"))
    # Two along x at -+0.01; one along y at 0; two layers at half a pitch and one and a half.
    expected = [[-0.01, 0.0, 0.005], [-0.01, 0.0, 0.015], [0.01, 0.0, 0.005], [0.01, 0.0, 0.015]]
    assert torch.allclose(points, torch.tensor(expected))


def test_beads_are_counted_where_they_are():
    env, _ = solving.start("scoop", 0.0, 2)
    task = env.task
    pos = task.beads.pos.clone()
    pos[0, :4] = task.target.pos[0] + torch.tensor([0.0, 0.0, 0.02])
    qpos = env.physics.field("qpos").clone()
    state = {"qpos": qpos}
    task.beads.set_pos(state, pos)
    env.physics.write(torch.arange(2), state)
    assert task.achieved_goal()[:, 0].tolist() == [4.0, 0.0]


def test_dip_lowers_the_tip():
    # A quarter turn down: z (forward) is -z of the world, y (up) is x.
    mat = scoop_mat(torch.tensor([torch.pi / 2]))[0]
    assert torch.allclose(mat[:, 2], torch.tensor([0.0, 0.0, -1.0]), atol=1e-6)
    assert torch.allclose(mat[:, 1], torch.tensor([1.0, 0.0, 0.0]), atol=1e-6)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="1 <= fewest <= most <= 15"):
        make_task("scoop", beads=(3, 16))


def test_bare_hand_cannot():
    env, _ = solving.start("scoop", 1.0, 2)
    assert not grope(env, lambda: env.task.source.pos).any()
    assert (env.task.beads.count_in(env.task.source.pos, TRAY_M, 0.05) == env.task.beads.num).all()


def test_solver_fills_the_target():
    env = solving.make_env("scoop", 2)
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    assert (env.task.beads.speed < 0.05).all()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.85)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("scoop", 100, preset=preset) >= least
