"""`hook_reach`: where things lie, why the hook is needed, and that the solver uses it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.hook_reach import CAN_HEIGHT_M, CAN_RADIUS_M, hook_mat
from sim.tasks.tool_use import mat_quat
from tests.sim.tasks import solving
from tests.sim.tasks.bare_hand import grope


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_can_is_beyond_the_workspace_and_goal_inside(difficulty):
    env, obs = solving.start("hook_reach", difficulty)
    limit_x = env.task.config.workspace_m[1][0]
    can, goal = obs["achieved_goal"], obs["desired_goal"]
    # A finger tip is 0.009 m wide beyond the grasp centre: 0.58 - 0.029 > 0.5 + 0.009.
    assert (can[:, 0] - CAN_RADIUS_M > limit_x + 0.03).all()
    assert (goal[:, 0] <= limit_x + 1e-6).all() and (goal[:, 0] > 0.47).all()
    assert torch.allclose(can[:, 2], torch.tensor(CAN_HEIGHT_M / 2), atol=1e-3)
    assert torch.allclose(env.physics.field("mocap_pos")[:, 0], goal)
    assert (env.task.hook.pos[:, 1] < can[:, 1] - 0.1).all()


def test_difficulty_spreads_cans():
    spread = [solving.start("hook_reach", d)[1]["achieved_goal"][:, 1].std() for d in (0.0, 0.5, 1.0)]
    assert spread[0] < 1e-6 < spread[1] < spread[2]


def test_a_hook_lies_flat_with_its_foot_to_the_left():
    # At yaw 0 the shaft (z) is world x and the foot (y) world y; so x is -z.
    mat = hook_mat(torch.tensor([0.0]))[0]
    assert torch.allclose(mat, torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]), atol=1e-6)
    # The quaternion of that: a quarter turn about y.
    assert torch.allclose(
        mat_quat(mat[None])[0].abs(), torch.tensor([0.5**0.5, 0.0, 0.5**0.5, 0.0]), atol=1e-6
    )


def test_bare_hand_cannot():
    env, obs = solving.start("hook_reach", 1.0, 8)
    before = obs["achieved_goal"].clone()
    assert not grope(env, lambda: env.task.can.pos).any()
    assert torch.allclose(env.task.can.pos, before, atol=1e-3)


def test_solver_pulls_the_can_to_its_goal():
    env = solving.make_env("hook_reach", 3)
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    assert solving.at_rest(env, "can").all()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("hook_reach", 128, preset=preset) >= least
