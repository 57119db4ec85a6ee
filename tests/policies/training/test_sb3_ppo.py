"""PPO of Stable-Baselines3: resumes to the same numbers, exports what it is."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed (extra `train`)")

import torch

from policies.training.checkpoint import load_checkpoint, random_state, save_checkpoint, set_random_state
from policies.training.sb3_on_policy import RunningGoalFeatures, Sb3Ppo, Sb3PpoConfig
from policies.training.trainer import Diverged, Trainer
from sim.adapters.common import make_batch_env
from sim.adapters.sb3 import Sb3VecEnv

TINY = {"num_steps_per_env": 8, "minibatches": 2, "epochs": 2, "hidden": (16, 16)}
OPTIONS = [{}, {"nap": True, "target_kl": 0.01}, {"layer_norm": True, "obs_normalization": False}]


def trainer(seed=0, **settings):
    batch = make_batch_env("reach", 4, seed=3, preset="randomised", episode_s=0.4)
    return Sb3Ppo(Sb3VecEnv(batch), Sb3PpoConfig(**{**TINY, **settings}), seed=seed)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_resumed_run_is_the_run_that_was_not_interrupted(options, tmp_path):
    whole = trainer(**options)
    curve = [whole.advance() for _ in range(6)]

    first = trainer(**options)
    for _ in range(3):
        first.advance()
    save_checkpoint(tmp_path / "c", {"trainer": first.state(), "random": random_state()})

    second = trainer(seed=77, **options)
    second.advance()  # whatever it has seen is forgotten
    stored = load_checkpoint(tmp_path / "c")
    second.load_state(stored["trainer"])
    set_random_state(stored["random"])
    assert [second.advance() for _ in range(3)] == curve[3:]
    mine, theirs = second.state(), whole.state()
    for name, value in mine["policy"].items():
        assert torch.equal(value, theirs["policy"][name]), name
    for name, value in mine["env"].items():
        assert np.array_equal(value, theirs["env"][name]), name
    assert second.env_steps == whole.env_steps == 6 * 8 * 4


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_exported_network_is_the_deterministic_policy(options):
    t = trainer(**options)
    for _ in range(3):
        t.advance()
    net = t.net()
    rng = np.random.default_rng(0)
    obs = {k: rng.normal(0.0, 3.0, (4, *t._shape(k))).astype(np.float32) for k in net.keys}
    expected, _ = t.model.predict(obs, deterministic=True)
    found = net.act({k: torch.as_tensor(v) for k, v in obs.items()}).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found).max() > 0.01


def test_it_is_a_trainer_and_reports_what_happened():
    t = trainer()
    assert isinstance(t, Trainer)
    metrics = [t.advance() for _ in range(2)][-1]  # 16 steps: all episodes of 10 have ended once
    assert {"train/success", "train/return", "loss/value_loss", "policy/std"} <= metrics.keys()
    assert metrics["train/length"] == 10.0


def test_running_mean_and_deviation_are_those_of_all_data():
    space = trainer()._env.observation_space
    features = RunningGoalFeatures(space)
    generator = torch.Generator().manual_seed(0)
    parts = [
        {
            k: (k == "observation") + i * torch.randn(n, *s.shape, generator=generator)
            for k, s in space.items()
        }
        for i, n in enumerate((5, 40, 300), start=1)
    ]
    for part in parts:
        features.update(part)
    raw = torch.cat([features.raw(p) for p in parts])
    torch.testing.assert_close(features.mean, raw.mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.std, raw.std(0, unbiased=False), atol=1e-5, rtol=1e-5)


def test_hidden_weights_keep_their_norms_and_the_output_layer_does_not():
    t = trainer(nap=True, learning_rate=1e-2)
    weights = t._projection.weights
    assert len(weights) == 4
    norms, output = [float(w.detach().norm()) for w in weights], t.model.policy.action_net.weight
    norm, before = float(output.detach().norm()), weights[0].detach().clone()
    t.advance()
    assert [float(w.detach().norm()) for w in weights] == pytest.approx(norms, rel=1e-5)
    assert not torch.equal(weights[0], before)
    assert float(output.detach().norm()) != pytest.approx(norm, rel=1e-5)


def test_a_reward_that_is_not_finite_stops(monkeypatch):
    t = trainer()
    step = t._batch.step

    def poisoned(action):
        obs, reward, *rest = step(action)
        return obs, reward.fill_(float("nan")), *rest

    monkeypatch.setattr(t._batch, "step", poisoned)
    with pytest.raises(Diverged, match="last checkpoint is kept"):
        t.advance()


def test_a_checkpoint_that_does_not_fit_is_refused_with_the_reason():
    stored = trainer().state()
    with pytest.raises(ValueError, match="another network"):
        trainer(hidden=(8,)).load_state(stored)
    with pytest.raises(ValueError, match="nap"):
        trainer(nap=True).load_state(stored)
    with pytest.raises(ValueError, match="rsl_ppo"):
        trainer().load_state({"algorithm": "rsl_ppo"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swoosh"}, "elu"),
        ({"learning_rate": 0.0}, "more than 0"),
        ({"hidden": ()}, "at least one"),
        ({"minibatches": 64}, "fewer"),
    ],
)
def test_settings_that_make_no_training_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        trainer(**settings)
