"""The tasks as a Stable-Baselines3 `VecEnv`; HER learns `reach` from sparse rewards."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")
pytest.importorskip("stable_baselines3", reason="SB3 is missing: pip install 'habilis[train]'")

import stable_baselines3 as sb3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from sim.adapters.common import make_batch_env
from sim.adapters.gymnasium_env import GymnasiumEnv
from sim.adapters.sb3 import Sb3VecEnv


@pytest.fixture
def env():
    env = Sb3VecEnv(make_batch_env("reach", 3, episode_s=0.12))
    yield env
    env.close()


def act(env, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (env.num_envs, *env.action_space.shape)).astype(np.float32)


def test_agrees_with_sb3s_own(env):
    """The same numbers as DummyVecEnv of single environments, past the ends of episodes."""
    other = DummyVecEnv([lambda: GymnasiumEnv("reach", episode_s=0.12)] * 3)
    env.seed(4)
    other.seed(4)
    a, b = env.reset(), other.reset()
    assert env.observation_space == other.observation_space and env.action_space == other.action_space
    for k in range(8):
        assert all(np.array_equal(a[key], b[key]) for key in b), k
        a, reward, done, infos = env.step(act(env, k))
        b, other_reward, other_done, other_infos = other.step(act(env, k))
        assert np.array_equal(reward, other_reward) and np.array_equal(done, other_done)
        assert reward.dtype == np.float32 and done.dtype == bool
        for mine, theirs in zip(infos, other_infos, strict=True):
            for key in ("is_success", "failed", "fault", "step"):
                assert mine[key] == theirs[key]
            if "terminal_observation" not in theirs:
                assert "terminal_observation" not in mine and "episode" not in mine
                continue
            assert mine["TimeLimit.truncated"] is theirs["TimeLimit.truncated"] is True
            last, expected = mine["terminal_observation"], theirs["terminal_observation"]
            assert all(np.array_equal(last[key], expected[key]) for key in expected)
    assert env.batch.episode.tolist() == [2, 2, 2]
    other.close()


def test_success_is_not_a_truncation():
    env = Sb3VecEnv(make_batch_env("reach", 3, stop_on_success=True, tolerance_m=10.0))
    env.reset()
    _, _, done, infos = env.step(act(env))
    assert done.all()
    assert all(info["is_success"] and info["TimeLimit.truncated"] is False for info in infos)
    env.close()


def test_episode_info_equals_a_monitors(env):
    watched = VecMonitor(env)
    env.seed(3)
    watched.reset()
    for k in range(env.batch.task.config.max_steps):
        _, _, done, infos = watched.step(act(env, k))
    assert done.all()
    theirs = [info["episode"] for info in infos]
    env.seed(3)
    env.reset()
    for k in range(env.batch.task.config.max_steps):
        _, _, _, infos = env.step(act(env, k))
    mine = [info["episode"] for info in infos]
    assert [e["l"] for e in mine] == [e["l"] for e in theirs] == [env.batch.task.config.max_steps] * 3
    np.testing.assert_allclose([e["r"] for e in mine], [e["r"] for e in theirs], atol=1e-5)


def test_rewards_of_other_goals(env):
    env.reset()
    obs, reward, _, infos = env.step(act(env))
    (again,) = env.env_method(
        "compute_reward", obs["achieved_goal"], obs["desired_goal"], np.array(infos), indices=[0]
    )
    np.testing.assert_allclose(again, reward, rtol=1e-6)
    assert again.dtype == np.float32
    (won,) = env.env_method("compute_reward", obs["achieved_goal"], obs["achieved_goal"], infos, indices=[0])
    assert (won > reward).all()
    with pytest.raises(ValueError, match="copy_info_dict=True"):
        env.env_method("compute_reward", obs["achieved_goal"], obs["desired_goal"], [{}] * 3, indices=[0])


def test_attributes(env):
    assert env.get_attr("num_actions") == [3, 3, 3]
    assert env.get_attr("config", [1]) == [env.batch.config]
    assert env.get_attr("name") == ["reach"] * 3  # the task's
    assert env.has_attr("difficulty") and not env.has_attr("gravity_of_mars")
    env.set_attr("difficulty", 0.25, [0, 2])
    assert [float(d) for d in env.get_attr("difficulty")] == [0.25, 1.0, 0.25]
    assert float(env.get_attr("difficulty", 2)[0]) == 0.25
    with pytest.raises(ValueError, match="without indices"):
        env.set_attr("config", env.batch.config, 0)
    with pytest.raises(ValueError, match="no environment 7"):
        env.get_attr("difficulty", [7])
    with pytest.raises(AttributeError):
        env.get_attr("gravity_of_mars")
    assert env.env_is_wrapped(VecMonitor) == [False] * 3


def test_seed_is_for_the_next_reset_only(env):
    assert env.seed(5) == [5, 6, 7]
    first, second = env.reset(), env.reset()
    assert not np.array_equal(first["desired_goal"], second["desired_goal"])
    env.seed(5)
    assert np.array_equal(first["desired_goal"], env.reset()["desired_goal"])


def test_needs_automatic_resets():
    with pytest.raises(ValueError, match="auto_reset=True"):
        Sb3VecEnv(make_batch_env("reach", 1, auto_reset=False))


@pytest.mark.render
def test_pictures(env):
    assert env.get_images()[2].shape == (480, 480, 3)


def success_rate(model, num_envs=64):
    env = Sb3VecEnv(make_batch_env("reach", num_envs, seed=10_000, **EASY))
    obs, infos = env.reset(), []
    for _ in range(env.batch.task.config.max_steps):
        obs, _, _, infos = env.step(model.predict(obs, deterministic=True)[0])
    env.close()
    return np.mean([info["is_success"] for info in infos])


EASY = {"reward": "sparse", "episode_s": 1.0, "tolerance_m": 0.05, "difficulty": 0.5}


@pytest.mark.long
def test_hindsight_learns_from_sparse_rewards():
    """DDPG with hindsight goals (Andrychowicz et al., 2017, arXiv 1707.01495), as its authors used it."""
    env = Sb3VecEnv(make_batch_env("reach", 8, **EASY))
    model = sb3.DDPG(
        "MultiInputPolicy",
        env,
        replay_buffer_class=sb3.HerReplayBuffer,
        action_noise=NormalActionNoise(np.zeros(3), 0.2 * np.ones(3)),
        policy_kwargs={"net_arch": [64, 64]},
        gamma=0.9,
        tau=0.02,
        learning_rate=2e-3,
        learning_starts=800,
        gradient_steps=6,
        buffer_size=20_000,
        seed=0,
    )
    before = success_rate(model)
    model.learn(9000)
    after = success_rate(model)
    env.close()
    assert before <= 0.1 and after >= 0.5, (before, after)


@pytest.mark.long
def test_ppo_with_termination_runs():
    env = Sb3VecEnv(make_batch_env("reach", 16, episode_s=0.4, stop_on_success=True))
    model = sb3.PPO("MultiInputPolicy", env, n_steps=32, batch_size=128, seed=0)
    model.learn(2048)
    assert len(model.ep_info_buffer) >= 64  # episodes are logged without a monitor
    assert all(np.isfinite(info["r"]) for info in model.ep_info_buffer)
    env.close()
