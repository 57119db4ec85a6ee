"""PPO learns: an easy `reach`, from nothing, in seconds."""

import pytest

pytest.importorskip("rsl_rl", reason="rsl-rl-lib is not installed (extra `train`)")

from policies.evaluation import EvalConfig, evaluate
from policies.training.rsl_ppo import RslPpo, RslPpoConfig
from sim.adapters.common import make_batch_env
from sim.adapters.rsl_rl import RslRlVecEnv
from sim.batch.physics import PhysicsConfig

EASY = {"difficulty": 0.6, "episode_s": 1.2, "physics": PhysicsConfig(num_threads=1)}


@pytest.mark.long
def test_reach_is_learnt_from_nothing():
    env = RslRlVecEnv(make_batch_env("reach", 32, **EASY))
    trainer = RslPpo(env, RslPpoConfig(num_steps_per_env=32, minibatches=2, desired_kl=0.02, gamma=0.97))
    judge = make_batch_env("reach", 50, auto_reset=False, **EASY)
    unseen = EvalConfig(episodes=50, num_envs=50, seed=1_000_000)

    assert evaluate(judge, trainer.net().act, unseen).rate <= 0.2
    while trainer.env_steps < 60_000:
        trainer.advance()
    assert evaluate(judge, trainer.net().act, unseen).rate >= 0.8
    trainer.close()
    judge.close()
