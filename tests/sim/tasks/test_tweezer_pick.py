# pyright: reportAttributeAccessIssue=false
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.small_objects import OBJECTS_M, draw_objects
from sim.tasks.tweezer_pick import flange_to_hand
from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_objects_and_goals_are_in_bounds(difficulty):
    env, obs = solving.start("tweezer_pick", difficulty)
    task, thing, goal = env.task, obs["achieved_goal"], obs["desired_goal"]
    # Objects lie around (0.45, 0) within (0.06, 0.1) * difficulty, goals up to 0.04 * difficulty beside them.
    gap = (thing[:, :2] - torch.tensor([0.45, 0.0])).abs()
    assert (gap <= torch.tensor([0.06, 0.1]) * difficulty + 1e-5).all()
    assert ((goal - thing)[:, :2].abs() <= 0.04 * difficulty + 1e-5).all()
    assert ((goal[:, 2] >= 0.06) & (goal[:, 2] <= 0.14)).all()
    assert torch.equal(env.physics.field("mocap_pos")[:, 0], goal)
    assert torch.allclose(thing[:, 2], task.heights_m[task.chosen], atol=1e-3)  # on the table
    assert not task.success(thing, goal).any()


def test_difficulty_adds_objects_and_spreads_them():
    kinds, spread = [], []
    for difficulty in (0.0, 0.5, 1.0):
        env, obs = solving.start("tweezer_pick", difficulty)
        kinds.append(len(set(env.task.chosen.tolist())))
        spread.append(obs["achieved_goal"][:, :2].std(0).max())
    assert kinds == [1, 3, 5]  # 1 + 4 * difficulty
    assert spread[0] < 1e-6 < spread[1] < spread[2]


def test_objects_are_diverse_and_small_enough():
    for seed in range(20):
        solids = draw_objects(seed)
        assert {s.kind for s in solids} == {"box", "cylinder", "ellipsoid", "capsule"}
        extents = np.array([s.extents_m for s in solids])
        assert extents.min() >= 0.004 and extents.max() <= 0.060
        assert (extents[:, 0] <= 0.018).all()  # what the tweezers span; they open to 0.026 m
    assert len(OBJECTS_M) == len(solids)


def test_tweezers_point_along_the_flange():
    """The tool's z is root y; its grip lies on the flange's axis."""
    pose = flange_to_hand()
    assert np.allclose(pose.rotation @ [0, 1, 0], [0, 0, 1])
    assert np.isclose(np.linalg.det(pose.rotation), 1.0)
    assert np.allclose((pose.rotation @ [0.095, 0.035, 0.105] + pose.position_m)[:2], 0.0)
    env, _ = solving.start("tweezer_pick", 0.0, num_envs=1)
    down = env.task._grip.mat[0, :, 2]
    assert down[2] < -0.97


def test_the_hand_holds_the_tweezers_while_the_arm_waits():
    env, _ = solving.start("tweezer_pick", 1.0, num_envs=2)
    tip, opening = env.task.tip_pos.clone(), env.task.opening.clone()
    for _ in range(100):
        _, _, _, _, info = env.step(torch.zeros(2, env.num_actions))
        assert not info["failed"].any()
    assert (env.task.tip_pos - tip).abs().max() < 0.004
    assert (env.task.opening - opening).abs().max() < 0.002
    assert env.physics.model.neq == 0  # nothing but contacts


def test_squeeze_closes_and_opens_the_tweezers():
    env, _ = solving.start("tweezer_pick", 0.0, num_envs=1)
    first = float(env.task.opening)
    for sign, check in ((1.0, lambda now: now < first - 0.008), (-1.0, lambda now: now > first)):
        action = torch.zeros(1, env.num_actions)
        action[:, env.spec.action.names.index("squeeze")] = sign
        for _ in range(9 if sign > 0 else 13):
            env.step(action)
        assert check(float(env.task.opening))
    assert -0.01 <= float(env.task.squeezed) <= 1.01


def test_fingers_that_open_wide_lose_the_tweezers():
    env, _ = solving.start("tweezer_pick", 0.0, num_envs=1)
    action = torch.zeros(1, env.num_actions)
    action[:, -1] = -1.0
    for _ in range(75):
        _, _, terminated, _, _ = env.step(action)
        if terminated.all():
            return
    pytest.fail(f"the tweezers are still held, open by {float(env.task.opening)} m")


def test_solver_lifts_objects():
    env = solving.make_env("tweezer_pick", 8)
    history = solving.run(env)
    assert history[-1].float().mean() >= 0.75 and not history[0].any()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
@pytest.mark.parametrize("objects_seed", [0, 1])
def test_solver_rate(preset, least, objects_seed):
    rate = solving.solve_rate("tweezer_pick", 112, preset=preset, objects_seed=objects_seed)
    assert rate >= least
