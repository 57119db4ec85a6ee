"""`lever_lift`: where things stand, why the lever is needed, and that the solver uses it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.lever_lift import SLOT_M, stick_mat
from tests.sim.tasks import solving
from tests.sim.tasks.bare_hand import grope


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_crate_stands_beyond_the_workspace(difficulty):
    env, obs = solving.start("lever_lift", difficulty)
    task = env.task
    assert (task.edge.pos[:, 0] > task.config.workspace_m[1][0] + 0.1).all()
    assert obs["achieved_goal"].abs().max() < 1e-3
    low, high = task.config.rise_m
    assert ((obs["desired_goal"] >= low) & (obs["desired_goal"] <= high)).all()
    marker, fulcrum = env.physics.field("mocap_pos").unbind(1)
    assert torch.allclose(marker[:, 2:], SLOT_M + obs["desired_goal"])
    assert torch.allclose(fulcrum[:, 1], task.edge.pos[:, 1], atol=1e-4)


def test_difficulty_spreads_rises():
    spread = [solving.start("lever_lift", d)[1]["desired_goal"].std() for d in (0.0, 0.5, 1.0)]
    assert spread[0] < 1e-6 < spread[1] < spread[2]


def test_dip_lowers_the_tip():
    # At yaw 0 and a dip of 30 degrees the stick's z is (cos 30, 0, -sin 30) = (0.866, 0, -0.5).
    mat = stick_mat(torch.tensor([0.0]), torch.tensor([torch.pi / 6]))[0]
    assert torch.allclose(mat[:, 2], torch.tensor([3**0.5 / 2, 0.0, -0.5]), atol=1e-6)
    assert torch.allclose(mat.det(), torch.tensor(1.0), atol=1e-6)


def test_bare_hand_cannot():
    env, _ = solving.start("lever_lift", 1.0, 4)
    before = env.task.crate.pos.clone()
    assert not grope(env, lambda: env.task.edge.pos).any()
    assert torch.allclose(env.task.crate.pos, before, atol=1e-3)


def test_solver_lifts_the_edge_and_holds_it():
    env = solving.make_env("lever_lift", 3)
    history = solving.run(env)
    assert history[-1].all() and history[-50].all() and not history[0].any()
    # The crate is tilted about its far bottom edge, 0.2 m behind, not carried.
    rise = env.task.achieved_goal()[:, 0]
    tilt = torch.asin(rise / 0.2)
    assert torch.allclose(2 * torch.acos(env.task.crate.quat[:, 0].abs().clamp(max=1.0)), tilt, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("lever_lift", 128, preset=preset) >= least
