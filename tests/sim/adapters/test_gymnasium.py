"""The tasks as Gymnasium environments, single and vector."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")
pytest.importorskip("gymnasium", reason="gymnasium is missing: pip install 'habilis[train]'")

import gymnasium
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from sim.adapters.gymnasium_env import GymnasiumEnv, env_id
from sim.adapters.gymnasium_vector import GymnasiumVectorEnv
from sim.tasks.registry import TASKS, make_task

UNBOUNDED = "ignore:.*A Box observation space m.*imum value is .*infinity"
"""Observations have no bounds, which the checkers point out."""


def quick(env, steps=4, seed=0):
    """Drive a single environment; return the list of what its steps gave."""
    rng = np.random.default_rng(seed)
    return [env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)) for _ in range(steps)]


# ---- single environment --------------------------------------------------------------------------


@pytest.mark.filterwarnings("error", UNBOUNDED)
@pytest.mark.parametrize("task", sorted(TASKS))
def test_gymnasium_check_env(task):
    env = gymnasium.make(env_id(task))
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.filterwarnings("error", UNBOUNDED)
@pytest.mark.parametrize("task", sorted(TASKS))
def test_sb3_check_env(task):
    env_checker = pytest.importorskip(
        "stable_baselines3.common.env_checker", reason="SB3 is missing: pip install 'habilis[train]'"
    )
    env = GymnasiumEnv(task)
    env_checker.check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.render
@pytest.mark.filterwarnings("error", UNBOUNDED)
def test_rendering_passes_the_checkers_too():
    env = gymnasium.make("habilis/Reach-v0", render_mode="rgb_array", width=64, height=48)
    check_env(env.unwrapped)
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (48, 64, 3) and first.dtype == np.uint8 and first.std() > 5
    quick(env, 8)
    assert not np.array_equal(env.render(), first)
    env.reset(seed=0)
    assert np.abs(env.render().astype(int) - first).max() <= 2
    env.close()


@pytest.mark.parametrize("reward", ["dense", "sparse"])
@pytest.mark.parametrize("stop_on_success", [False, True])
def test_goal_environment_identities(reward, stop_on_success):
    env = GymnasiumEnv("reach", reward=reward, stop_on_success=stop_on_success, episode_s=0.2)
    env.reset(seed=3)
    infos, achieved, desired, rewards = [], [], [], []
    for obs, value, terminated, truncated, info in quick(env, env.batch.task.config.max_steps):
        goals = obs["achieved_goal"], obs["desired_goal"]
        assert value == env.compute_reward(*goals, info)
        assert terminated is env.compute_terminated(*goals, info)
        assert truncated is env.compute_truncated(*goals, info)
        assert env.compute_terminated(goals[0], goals[0], info) is stop_on_success
        achieved, desired = [*achieved, goals[0]], [*desired, goals[1]]
        infos, rewards = [*infos, info], [*rewards, value]
    assert truncated
    many = env.compute_reward(np.stack(achieved), np.stack(desired), np.array(infos))
    np.testing.assert_allclose(many, rewards, rtol=1e-6)
    if reward == "dense":
        with pytest.raises(ValueError, match=r"info\['shaping'\]"):
            env.compute_reward(np.stack(achieved), np.stack(desired), [{} for _ in infos])
    env.close()


def test_seed_begins_an_episode_and_none_goes_on():
    env = GymnasiumEnv("reach")
    first, second = env.reset(seed=5)[0], env.reset()[0]
    assert not np.array_equal(first["desired_goal"], second["desired_goal"])
    again, next_one = env.reset(seed=5)[0], env.reset()[0]
    assert all(np.array_equal(first[k], again[k]) for k in first)
    assert all(np.array_equal(second[k], next_one[k]) for k in second)
    assert not np.array_equal(first["desired_goal"], env.reset(seed=6)[0]["desired_goal"])
    env.close()


def test_ids_and_settings():
    assert env_id("pick_place") == "habilis/PickPlace-v0"
    env = gymnasium.make("habilis/Reach-v0", episode_s=0.2, preset="randomised")
    assert env.unwrapped.batch.task.config.max_steps == make_task("reach", episode_s=0.2).config.max_steps
    env.close()
    for wrong, message in (({"task": "rech"}, "did you mean reach"), ({"colour": 1}, "no setting 'colour'")):
        with pytest.raises(ValueError, match=message):
            GymnasiumEnv(**{"task": "reach", **wrong})
    for cls in (GymnasiumEnv, GymnasiumVectorEnv):
        with pytest.raises(ValueError, match="rgb_array"):
            cls("reach", render_mode="human")


def test_import_of_sim_stays_light():
    """Neither `sim` nor its adapters' package pull in torch, MuJoCo or a trainer; ids come by module name."""
    code = """
import sys, sim, sim.adapters
heavy = {"torch", "mujoco", "gymnasium", "stable_baselines3", "rsl_rl", "rl_games"} & sys.modules.keys()
assert not heavy, heavy
import gymnasium
gymnasium.make("sim.adapters.gymnasium_env:habilis/Reach-v0").close()
trainers = {"stable_baselines3", "rsl_rl", "rl_games"} & sys.modules.keys()
assert not trainers, trainers
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- vector environment --------------------------------------------------------------------------


def vector(**settings):
    return gymnasium.make_vec("habilis/Reach-v0", num_envs=3, episode_s=0.12, **settings)


def test_vector_agrees_with_gymnasiums_own():
    """The same numbers and infos as SyncVectorEnv of single environments, past the ends of episodes."""
    ours = vector()
    theirs = SyncVectorEnv(
        [lambda: GymnasiumEnv("reach", episode_s=0.12)] * 3, autoreset_mode=AutoresetMode.SAME_STEP
    )
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    a, b = ours.reset(seed=4)[0], theirs.reset(seed=4)[0]
    num_ended = 0
    for k in range(8):
        assert a in ours.observation_space
        assert all(np.array_equal(a[key], b[key]) for key in b), k
        action = np.random.default_rng(k).uniform(-1, 1, ours.action_space.shape).astype(np.float32)
        a, *flags, info = ours.step(action)
        b, *expected, other = theirs.step(action)
        for x, y in zip(flags, expected, strict=True):
            assert np.array_equal(x, np.asarray(y, x.dtype)), k
        if not (flags[1] | flags[2]).any():
            assert "final_obs" not in info
            continue
        num_ended += 1
        assert np.array_equal(info["_final_obs"], other["_final_obs"])
        for x, y in zip(info["final_obs"], other["final_obs"], strict=True):
            assert x.keys() == y.keys() and all(np.array_equal(x[key], y[key]) for key in y)
        final, expected_info = info["final_info"], other["final_info"]
        assert final.keys() == expected_info.keys()
        assert all(np.allclose(final[key], expected_info[key]) for key in final)
    assert num_ended >= 2
    ours.close()
    theirs.close()


def test_vector_of_tensors():
    numbers, tensors = vector(), vector(output="torch")
    a, b = numbers.reset(seed=1)[0], tensors.reset(seed=1)[0]
    for _ in range(4):
        assert all(isinstance(b[k], torch.Tensor) and np.array_equal(a[k], b[k].numpy()) for k in a)
        action = numbers.action_space.sample()
        a, *flags, info = numbers.step(action)
        b, *tensor_flags, tensor_info = tensors.step(torch.as_tensor(action))
        assert all(np.array_equal(x, y.numpy()) for x, y in zip(flags, tensor_flags, strict=True))
        if "final_obs" in info:
            final = np.stack([each["achieved_goal"] for each in info["final_obs"]])
            assert np.array_equal(final, tensor_info["final_obs"]["achieved_goal"].numpy())
    with pytest.raises(ValueError, match="numpy or torch"):
        vector(output="jax")


def test_vector_without_autoreset_resets_by_mask():
    env = vector(auto_reset=False)
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    env.reset(seed=0)
    mask = np.array([True, False, False])
    for _ in range(4):
        obs, _, _, truncated, info = env.step(env.action_space.sample())
        assert "final_obs" not in info
    assert truncated.all()
    again = env.reset(options={"reset_mask": mask})[0]
    assert not np.array_equal(again["desired_goal"][0], obs["desired_goal"][0])
    assert all(np.array_equal(again[k][1:], obs[k][1:]) for k in obs)
    env.close()


def test_vector_seeds_one_by_one():
    env = vector()
    apart, together = env.reset(seed=[11, 5, 12])[0], env.reset(seed=11)[0]
    assert all(np.array_equal(apart[k][0], together[k][0]) for k in apart)
    assert all(np.array_equal(apart[k][2], together[k][1]) for k in apart)
    with pytest.raises(ValueError, match="2 seeds for 3 environments"):
        env.reset(seed=[1, 2])
    env.close()


@pytest.mark.render
def test_vector_pictures():
    env = vector(render_mode="rgb_array", width=64, height=48)
    env.reset(seed=0)
    pictures = env.render()
    assert len(pictures) == 3 and pictures[0].shape == (48, 64, 3)
    assert not np.array_equal(pictures[0], pictures[1])
    env.close()
