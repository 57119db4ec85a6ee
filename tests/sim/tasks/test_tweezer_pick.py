# pyright: reportAttributeAccessIssue=false
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from policies.artifact import batch_act, save_policy
from policies.hierarchy_files import load_hierarchy
from policies.networks import MlpNet
from sim.robots.allegro import JOINTS
from sim.tasks.learned_hand import OPENING_M, store_with_upper
from sim.tasks.registry import make_solver, make_task
from sim.tasks.small_objects import OBJECTS_M, UNSEEN, draw_objects, unseen_objects
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


def test_under_sparse_rewards_to_lose_the_tweezers_spares_nothing():
    env, _ = solving.start("tweezer_pick", 0.0, num_envs=1, reward="sparse")
    action, total = torch.zeros(1, env.num_actions), 0.0
    action[:, -1] = -1.0
    for _ in range(env.task.config.max_steps):
        _, reward, terminated, truncated, info = env.step(action)
        assert not terminated.any()
        total += float(reward)
    assert info["failed"].all() and truncated.all()
    assert total == -env.task.config.max_steps  # -1 in each of them


def test_solver_lifts_objects():
    env = solving.make_env("tweezer_pick", 8)
    history = solving.run(env)
    assert history[-1].float().mean() >= 0.75 and not history[0].any()


UPPER = {"hand": "policy", "decimation": 50, "ticks": 5}


def test_unseen_objects_are_no_trained_ones():
    """A sphere is no trained kind; every other has an extent outside its kind's ranges."""
    assert unseen_objects(0) + unseen_objects(1) == UNSEEN and len(UNSEEN) == 10
    for solid in UNSEEN:
        spans = [spans for kind, *spans in OBJECTS_M if kind == solid.kind]
        inside = [
            all(low <= x <= high for x, (low, high) in zip(solid.extents_m, s, strict=True)) for s in spans
        ]
        assert not any(inside), solid
        assert solid.extents_m[0] <= 0.020
    env, _ = solving.start("tweezer_pick", 1.0, num_envs=8, objects="unseen", objects_seed=1)
    assert torch.allclose(env.task.widths_m, torch.tensor([s.extents_m[0] for s in UNSEEN[5:]]))


def test_a_hand_of_joints_is_driven_joint_by_joint():
    env, _ = solving.start("tweezer_pick", 0.0, num_envs=1, hand="joints")
    assert env.spec.action.names == ("x", "y", "z", "yaw", *JOINTS)
    action = torch.zeros(1, env.num_actions)
    action[0, -1] = 1.0
    before = env.ctrl.clone()
    env.step(action)
    # Only the last servo of the hand moves, by the low level's step of 0.04 rad; the arm holds its pose.
    assert float((env.ctrl - before)[0, -1]) == pytest.approx(0.04, abs=1e-6)
    assert ((env.ctrl - before)[0, 7:-1] == 0).all()
    with pytest.raises(ValueError, match="drives no single joints"):
        make_solver("tweezer_pick", env)


@pytest.mark.parametrize("opening_m", [0.008, 0.022])
def test_the_learned_hand_brings_the_tips_to_the_opening_asked_for(opening_m):
    env, _ = solving.start("tweezer_pick", 0.0, num_envs=2, **UPPER)
    assert env.spec.action.names == ("x", "y", "z", "yaw", "opening") and env.spec.step_dt == 0.2
    low, high = OPENING_M
    action = torch.zeros(2, 5)
    action[:, 4] = 2 * (opening_m - low) / (high - low) - 1
    for _ in range(10):
        env.step(action)
    assert (env.task.opening - opening_m).abs().max() < 0.002


def test_upper_and_lower_level_act_together_as_one_stored_policy(tmp_path):
    """Above the hand's own loop at 5 Hz, and as one artifact at 25 Hz, they do the same."""
    above, _ = solving.start("tweezer_pick", 1.0, num_envs=3, **UPPER)
    joints, _ = solving.start("tweezer_pick", 1.0, num_envs=3, hand="joints")
    torch.manual_seed(0)
    keys, size = ("observation", "desired_goal"), above.spec.obs["observation"].shape[0] + 3
    net = MlpNet(keys, (size, 16, 5))
    net.net[-1].weight.data.mul_(0.3)
    save_policy(tmp_path / "upper", net, above.spec, {"task": "tweezer_pick"})
    store_with_upper(tmp_path / "upper", "tweezer_hand", joints.spec, tmp_path / "whole")
    whole = load_hierarchy(tmp_path / "whole")
    act = batch_act(whole)
    one, two = above.reset(seed=5), joints.reset(seed=5)
    whole.reset()
    for _ in range(5):
        one, *_ = above.step(net.act(one))
        for _ in range(5):
            two, *_ = joints.step(act(two))
        assert torch.allclose(above.task.tip_pos, joints.task.tip_pos, atol=5e-4)
        assert torch.allclose(above.task.opening, joints.task.opening, atol=5e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hand": "gloves"}, "hand"),
        ({"objects": "all"}, "objects"),
        ({"decimation": 10, "ticks": 3}, "decimation is 10, no multiple of 3 ticks"),
    ],
)
def test_what_is_not_there_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_task("tweezer_pick", **settings)


def test_a_lower_level_of_another_rate_or_name_is_refused():
    with pytest.raises(ValueError, match=r"acts every 0\.04 s, task tweezer_hand every 0\.2 s"):
        solving.make_env("tweezer_pick", 1, hand="policy", decimation=50)
    with pytest.raises(ValueError, match="no weights ship for experiment 'nothing'"):
        solving.make_env("tweezer_pick", 1, low_level="nothing", **UPPER)


def test_the_scripted_upper_level_lifts_objects_with_the_learned_hand():
    env = solving.make_env("tweezer_pick", 8, preset="randomised", **UPPER)
    history = solving.run(env)
    assert history[-1].float().mean() >= 0.75 and not history[0].any()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
@pytest.mark.parametrize("objects_seed", [0, 1])
def test_solver_rate(preset, least, objects_seed):
    rate = solving.solve_rate("tweezer_pick", 112, preset=preset, objects_seed=objects_seed)
    assert rate >= least
