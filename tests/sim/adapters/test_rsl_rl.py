"""The tasks as an rsl_rl `VecEnv`; its PPO learns `reach`."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")
pytest.importorskip("rsl_rl", reason="rsl-rl-lib is missing: pip install 'habilis[train]'")

import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner

from sim.adapters.common import make_batch_env
from sim.adapters.rsl_rl import RslRlVecEnv


def config(env, **changes):
    mlp = {"class_name": "MLPModel", "hidden_dims": [64, 64], "obs_normalization": True}
    gaussian = {"class_name": "GaussianDistribution", "init_std": 1.0}
    return {
        "num_steps_per_env": 25,
        "save_interval": 1000,
        "obs_groups": env.obs_groups,
        "actor": {**mlp, "distribution_cfg": gaussian},
        "critic": dict(mlp),
        "algorithm": {"class_name": "PPO", "entropy_coef": 0.0, "learning_rate": 1e-3},
        **changes,
    }


@pytest.fixture
def env():
    env = RslRlVecEnv(make_batch_env("reach", 4, episode_s=0.12))
    yield env
    env.close()


def test_keeps_the_contract(env):
    assert isinstance(env, VecEnv)
    steps = env.max_episode_length
    obs = env.get_observations()
    assert obs.batch_size == (4,) and str(obs.device) == env.device
    assert {"observation", "achieved_goal", "desired_goal"} <= set(obs.keys())
    for k in range(2 * steps):
        obs, reward, done, extras = env.step(torch.zeros(4, env.num_actions))
        ends = (k + 1) % steps == 0
        assert reward.shape == done.shape == extras["time_outs"].shape == (4,)
        assert done.tolist() == extras["time_outs"].tolist() == [ends] * 4
        assert ("log" in extras) == ends
        assert env.episode_length_buf.tolist() == [(k + 1) % steps] * 4
    assert extras["log"]["Episode/length"] == steps
    assert "Episode/reward/distance" in extras["log"]
    assert torch.equal(env.get_observations()["observation"], obs["observation"])


def test_success_is_no_time_out():
    env = RslRlVecEnv(make_batch_env("reach", 4, stop_on_success=True, tolerance_m=10.0))
    _, _, done, extras = env.step(torch.zeros(4, env.num_actions))
    assert done.tolist() == [1] * 4 and not extras["time_outs"].any()
    env.close()


def test_resets_can_be_spread(env):
    env.episode_length_buf = torch.tensor([0, 1, 2, 0])
    *_, extras = env.step(torch.zeros(4, env.num_actions))
    assert extras["time_outs"].tolist() == [False, False, True, False]


def test_inference_mode_leaves_nothing_behind(env):
    """Runners step in inference mode; resetting and saving afterwards still works."""
    with torch.inference_mode():
        for _ in range(4):
            env.step(torch.rand(4, env.num_actions))
    env.batch.reset(mask=torch.tensor([True, False, False, False]))
    env.step(torch.rand(4, env.num_actions))


def test_observation_groups_follow_the_task(env):
    assert env.obs_groups["actor"] == ["observation", "desired_goal"]
    assert set(env.obs_groups["critic"]) <= set(env.get_observations().keys())


def test_needs_automatic_resets():
    with pytest.raises(ValueError, match="auto_reset=True"):
        RslRlVecEnv(make_batch_env("reach", 1, auto_reset=False))


@pytest.mark.long
def test_ppo_learns():
    """Mean return of evaluated episodes of 25 steps rises from about -9 to -3."""
    env = RslRlVecEnv(make_batch_env("reach", 64, episode_s=1.0))
    torch.manual_seed(0)
    runner = OnPolicyRunner(env, config(env), log_dir=None, device="cpu")

    def evaluate():
        judge = RslRlVecEnv(make_batch_env("reach", 64, episode_s=1.0, seed=10_000))
        policy, obs, total = runner.get_inference_policy(), judge.get_observations(), torch.zeros(64)
        with torch.inference_mode():
            for _ in range(judge.max_episode_length):
                obs, reward, _, _ = judge.step(policy(obs))
                total += reward
        judge.close()
        return float(total.mean())

    before = evaluate()
    runner.learn(30, init_at_random_ep_len=True)
    after = evaluate()
    env.close()
    assert after - before >= 3.0, (before, after)
