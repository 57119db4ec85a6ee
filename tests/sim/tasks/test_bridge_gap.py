"""`bridge_gap`: where things stand, why the bridge is needed, and that the solver builds it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.robots.fr3 import GRIPPER_WIDTH_M
from sim.solvers.bridge_gap import BridgeGapSolver
from sim.tasks.bridge_gap import BLOCK_M, BOARD_M, PLATFORM_M, TOP_M
from tests.sim.tasks import solving


class Pusher(BridgeGapSolver):
    """The solver without its bridge: it only pushes."""

    def phases(self):
        """Return the phases after the board was laid."""
        return [p for p in super().phases() if p.name in ("behind", "down", "push", "rest")]


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_block_and_goal_are_on_either_side_of_the_gap(difficulty):
    env, obs = solving.start("bridge_gap", difficulty)
    task = env.task
    low, high = task.config.gap_m
    gap = task.gap()
    assert (gap > low - 1e-5).all() and (gap < high + 1e-5).all()
    start, goal = obs["achieved_goal"], obs["desired_goal"]
    assert (start[:, 1] + BLOCK_M[1] < -gap / 2).all() and (goal[:, 1] - BLOCK_M[1] > gap / 2).all()
    assert (goal[:, 1] + BLOCK_M[1] < gap / 2 + 2 * PLATFORM_M[1]).all()
    assert torch.allclose(goal[:, 2], torch.tensor(TOP_M + BLOCK_M[2]))
    assert torch.allclose(env.physics.field("mocap_pos")[:, 0], goal)
    # The board spans it and rests on both platforms; the block is wider than the fingers open.
    assert high + 0.04 < 2 * BOARD_M[0]
    assert 2 * BLOCK_M[0] > GRIPPER_WIDTH_M[1]


def test_difficulty_widens_the_gap():
    widest = [solving.start("bridge_gap", d)[0].task.gap().max() for d in (0.0, 0.5, 1.0)]
    assert abs(widest[0] - 0.15) < 1e-5 and widest[0] < widest[1] < widest[2]


def test_without_the_bridge_the_block_falls():
    env = solving.make_env("bridge_gap", 4)
    solver, obs = Pusher(env), env.reset(seed=3)
    failed, success = torch.zeros(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    for _ in range(400):
        obs, _, terminated, _, info = env.step(solver.act(obs))
        failed |= terminated
        success |= info["success"]
    assert failed.all() and not success.any()


def test_solver_brings_the_block_over_the_board():
    env = solving.make_env("bridge_gap", 3)
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    # The board lies across: its ends are beyond both edges, at the height of the platforms.
    board = env.task.board
    assert torch.allclose(board.pos[:, 2], torch.tensor(TOP_M + BOARD_M[2]), atol=2e-3)
    assert (BOARD_M[0] - board.pos[:, 1].abs() > env.task.gap() / 2 + 0.01).all()
    assert solving.at_rest(env, "block").all()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("bridge_gap", 128, preset=preset) >= least
