# pyright: reportAttributeAccessIssue=false
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.arm import WORK_X, WORK_Y
from sim.tasks.registry import make_solver, make_task
from tests.sim.tasks import solving

HALF_M = 0.02


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_start_and_goal_are_in_bounds(difficulty):
    env, obs = solving.start("pick_place", difficulty, 128)
    cube, goal = obs["achieved_goal"], obs["desired_goal"]
    for point in (cube, goal):
        assert ((point[:, 0] >= WORK_X[0]) & (point[:, 0] <= WORK_X[1])).all()
        assert ((point[:, 1] >= WORK_Y[0]) & (point[:, 1] <= WORK_Y[1])).all()
    assert torch.allclose(cube[:, 2], torch.tensor(HALF_M))
    on_table = goal[:, 2] == cube[:, 2]
    assert 0.3 < on_table.float().mean() < 0.7
    # The rise is drawn from 0.05 to 0.05 + 0.25 d.
    rise = (goal[:, 2] - cube[:, 2])[~on_table]
    assert rise.min() >= 0.05 - 1e-6 and rise.max() <= 0.05 + 0.25 * difficulty + 1e-6
    assert not env.task.success(cube, goal).any()
    assert torch.allclose(env.physics.field("mocap_pos")[:, 0], goal)


def test_share_of_goals_in_the_air():
    for air, low, high in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.25, 0.1, 0.4)):
        env = solving.make_env("pick_place", 128, air=air)
        share = (env.desired_goal[:, 2] > 0.03).float().mean()
        assert low <= share <= high
    with pytest.raises(ValueError, match=r"air is 1.5; use a share in \[0, 1\]"):
        make_task("pick_place", air=1.5)


def test_cube_is_held_by_friction_and_not_squeezed_in():
    """From the lift on it stays where it was gripped; the pads press less than 2 mm into it."""
    env = solving.make_env("pick_place", 16, air=1.0)
    solver, task, obs = make_solver("pick_place", env), env.task, env.reset(seed=1)
    gripped, creep, pressed = torch.zeros(16, 3), torch.zeros(16), torch.zeros(16)
    for _ in range(task.config.max_steps):
        obs, _, _, _, info = env.step(solver.act(obs))
        in_hand = (task.ee.mat.mT @ (task.cube.pos - task.ee.pos)[..., None])[..., 0]
        held = (solver.phase >= 3) & (solver.phase_s > 0.1)
        gripped[solver.phase == 2] = in_hand[solver.phase == 2]
        creep = torch.maximum(creep, (in_hand - gripped).norm(dim=-1) * held)
        pressed = torch.maximum(pressed, (HALF_M - task.fingers.pos.mean(-1)) * held)
    assert info["success"].all()
    assert creep.max() < 0.003
    assert 1e-4 < pressed.max() < 0.001
    # It hangs between the pads only: 8 contacts at most, none with the table.
    model, data = env.physics.mj_data(0)
    touching = {model.geom(g).name for c in data.contact for g in (c.geom1, c.geom2)}
    assert touching == {"cube", "left_finger_pad", "right_finger_pad"}


def test_solver_ends_at_rest_at_the_goal():
    env = solving.make_env("pick_place", 8, difficulty=0.5)
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    assert solving.at_rest(env, "cube").all()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("pick_place", 128, preset=preset) >= least
