"""The training loop with a real algorithm: it ends, it resumes to the same numbers, it keeps what is good."""

import json
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from policies.evaluation import EvalConfig, Evaluation
from policies.training.checkpoint import load_checkpoint, previous_of, save_checkpoint
from policies.training.commands import seed_everything
from policies.training.loop import LAST, LoopConfig, TrainingLoop
from policies.training.sb3_off_policy import OffPolicyConfig, OffPolicyHer, PrefillConfig
from policies.training.sb3_policies import hidden_weights
from policies.training.trainer import Diverged, Trainer

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install -e '.[train]'")

from sim.adapters.common import make_batch_env
from sim.adapters.sb3 import Sb3VecEnv
from sim.batch.physics import PhysicsConfig
from sim.tasks.registry import make_solver

TINY = OffPolicyConfig(hidden=(16,), batch_size=32, learning_starts=400, gradient_steps=1, buffer_size=2000)
ALGORITHMS = ("sac", "td3", "tqc")


def make_trainer(algorithm="sac", seed=3, **changes):
    seed_everything(seed)
    settings = {"episode_s": 1.0, "reward": "sparse", "physics": PhysicsConfig(num_threads=1)}
    env = make_batch_env("reach", 4, seed=seed, **settings)
    config = replace(TINY, algorithm=algorithm, **changes)
    return OffPolicyHer(Sb3VecEnv(env), config, lambda: make_solver("reach", env).act, seed)


class Recorder:
    """Observer that keeps what it is told."""

    def __init__(self):
        self.rows, self.kept, self.rewound = [], [], []

    def metrics(self, env_steps, values):
        timed = "speed/env_steps_per_s"
        self.rows.append((env_steps, {k: v for k, v in values.items() if k != timed}))

    def best(self, net, env_steps, evaluation):
        self.kept.append(env_steps)

    def rewind(self, env_steps):
        self.rewound.append(env_steps)


def no_evaluation(net):
    return Evaluation((False,), (0.0,), (1,), 0)


def loop(trainer, folder, env_steps, observer=None, evaluate=no_evaluation, **changes):
    config = LoopConfig(env_steps=env_steps, **{"eval_every": 0, "save_every": 0, **changes})
    return TrainingLoop(trainer, folder, config, evaluate, observer or Recorder(), {"task": "reach"})


def flat(tree, path=""):
    """Return the leaves of a tree by path."""
    if isinstance(tree, dict):
        return {k: v for key, node in tree.items() for k, v in flat(node, f"{path}/{key}").items()}
    if isinstance(tree, list | tuple):
        return {k: v for i, node in enumerate(tree) for k, v in flat(node, f"{path}/{i}").items()}
    return {path: tree}


def assert_same(one, other):
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, torch.Tensor | np.ndarray):
            assert np.array_equal(np.asarray(value), np.asarray(other[key])), key
        else:
            assert value == other[key], key


def test_trainer_keeps_the_contract():
    trainer = make_trainer()
    assert isinstance(trainer, Trainer)
    trainer.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("nap", [False, True])
def test_resumed_equals_uninterrupted(tmp_path, algorithm, nap):
    whole, parts = Recorder(), Recorder()
    trainer = make_trainer(algorithm, nap=nap)
    loop(trainer, tmp_path / "whole", 1200, whole).run()
    trainer.close()
    for env_steps in (600, 1200):  # the second is a new process for all that it knows
        trainer = make_trainer(algorithm, seed=3 if env_steps == 600 else 99, nap=nap)
        loop(trainer, tmp_path / "parts", env_steps, parts).run()
        trainer.close()
    one, other = (load_checkpoint(tmp_path / f / "checkpoints" / LAST) for f in ("whole", "parts"))
    for tree in (one, other):
        tree.pop("loop")  # wall time, and the evaluation at the end of each part
    assert_same(one, other)
    assert parts.rewound == [600]
    training = [row for row in parts.rows if "eval/success" not in row[1]]
    assert training == [row for row in whole.rows if "eval/success" not in row[1]]


def test_full_replay_resumes_too(tmp_path):
    """The replay wraps around: 4 environments hold 100 steps each, 300 are made."""
    small = {"buffer_size": 400, "learning_starts": 200}
    trees = []
    for stops in ((1200,), (800, 1200)):
        for env_steps in stops:
            trainer = make_trainer(**small)
            loop(trainer, tmp_path / str(stops), env_steps).run()
            trainer.close()
        trees.append(load_checkpoint(tmp_path / str(stops) / "checkpoints" / LAST)["trainer"])
    assert trees[0]["replay"]["full"] is True
    assert_same(*trees)


def test_prefill_counts_its_steps_and_is_done_once(tmp_path):
    trainer = make_trainer(prefill=PrefillConfig(episodes=8, noise=0.0, random=0.0))
    told = Recorder()
    loop(trainer, tmp_path, 600, told).run()
    steps, values = told.rows[0]
    assert values["prefill/episodes"] == 8.0
    assert values["prefill/success"] > 0.5  # the solver reaches most goals in its second
    assert steps == 8 * 25  # 25 control steps an episode
    assert sum("prefill/episodes" in row for _, row in told.rows) == 1
    trainer.close()


def test_dense_rewards_are_refused():
    env = make_batch_env("reach", 2)
    with pytest.raises(ValueError, match=r"sparse rewards; set env\.task\.config\.reward=sparse"):
        OffPolicyHer(Sb3VecEnv(env), TINY)
    env.close()


def test_unknown_activation_names_the_valid_ones():
    with pytest.raises(ValueError, match="no activation 'swisch'; there are elu, relu"):
        make_trainer(activation="swisch")


def test_interrupt_saves_and_resumes(tmp_path, capfd):
    trainer, told = make_trainer(), Recorder()
    running = loop(trainer, tmp_path, 100_000, told)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    outcome = running.run()
    timer.join()
    assert outcome.reason == "interrupted" and not outcome.is_finished
    assert capfd.readouterr().err.count("stopping after this step") == 1
    stored = load_checkpoint(tmp_path / "checkpoints" / LAST)
    assert stored["env_steps"] == outcome.env_steps < 100_000
    again = make_trainer()
    loop(again, tmp_path, outcome.env_steps).run()  # nothing left to do
    assert again.env_steps == outcome.env_steps
    for each in (trainer, again):
        each.close()


def test_checkpoint_of_another_task_is_refused(tmp_path):
    trainer = make_trainer()
    loop(trainer, tmp_path, 200).run()
    other = TrainingLoop(
        trainer, tmp_path, LoopConfig(env_steps=400), no_evaluation, Recorder(), {"task": "push"}
    )
    with pytest.raises(ValueError, match="made with task=reach, this run has task=push"):
        other.run()
    trainer.close()


def test_nan_reward_stops_and_keeps_the_last_checkpoint(tmp_path):
    trainer = make_trainer()
    loop(trainer, tmp_path, 400).run()
    before = (tmp_path / "checkpoints" / LAST / "tree.json").read_bytes()
    trainer._batch._scores.add = lambda *a: (torch.full((4,), float("nan")), torch.zeros(4))
    with pytest.raises(Diverged, match="last checkpoint is kept"):
        loop(trainer, tmp_path, 800).run()
    assert (tmp_path / "checkpoints" / LAST / "tree.json").read_bytes() == before
    trainer.close()


def test_broken_weights_are_noticed(tmp_path):
    trainer = make_trainer()
    loop(trainer, tmp_path, 400).run()
    with torch.no_grad():
        for weight in trainer.model.policy.actor.parameters():
            weight.fill_(float("nan"))
    with pytest.raises((Diverged, ValueError)):
        loop(trainer, tmp_path / "other", 800).run()
    trainer.close()


@pytest.mark.parametrize("part", ["actor", "critic"])
def test_the_last_update_before_a_checkpoint_counts_too(tmp_path, part):
    """Its loss was finite, its gradient was not."""
    trainer = make_trainer()
    loop(trainer, tmp_path, 800).run()
    optimizer = trainer._optimizers()[part]
    optimizer.register_step_post_hook(lambda *_: spoil(getattr(trainer.model.policy, part)))
    trainer.config = replace(trainer.config, steps_per_advance=1)
    with pytest.raises(Diverged, match=r"weight .* became not finite|last checkpoint is kept"):
        loop(trainer, tmp_path, 1200, save_every=1).run()
    for value in load_checkpoint(tmp_path / "checkpoints" / LAST)["trainer"]["policy"].values():
        assert bool(value.isfinite().all())
    trainer.close()


def spoil(network):
    with torch.no_grad():
        next(iter(network.parameters())).fill_(float("inf"))


def test_an_infinite_reward_is_told_like_a_nan(tmp_path):
    trainer = make_trainer()
    trainer._batch._scores.add = lambda *a: (torch.full((4,), float("inf")), torch.zeros(4))
    with pytest.raises(Diverged, match="inf"):
        loop(trainer, tmp_path, 800).run()
    trainer.close()


def test_stops_when_the_rate_is_reached(tmp_path):
    trainer, told = make_trainer(), Recorder()
    good = Evaluation((True, True), (0.0, 0.0), (1, 1), 0)
    outcome = loop(trainer, tmp_path, 10_000, told, lambda net: good, eval_every=400, stop_at=0.9).run()
    assert (outcome.reason, outcome.best_rate, outcome.env_steps) == ("reached", 1.0, 400)
    assert told.kept == [400]
    trainer.close()


def test_evaluation_changes_nothing(tmp_path):
    """Two runs, one evaluated at every turn: their networks are equal."""
    nets = []
    for every in (0, 400):
        trainer = make_trainer()
        ev = make_batch_env("reach", 2, episode_s=1.0, reward="sparse", auto_reset=False)
        from policies.evaluation import Evaluator

        judge = Evaluator(ev, EvalConfig(episodes=2, num_envs=2))
        loop(trainer, tmp_path / str(every), 1200, evaluate=judge, eval_every=every).run()
        nets.append(trainer.net().state_dict())
        trainer.close()
        judge.close()
    assert_same(*nets)


def test_disk_full_says_what_is_kept(tmp_path, monkeypatch):
    trainer = make_trainer()
    loop(trainer, tmp_path, 400).run()

    def full(tensors, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("policies.training.checkpoint.save_file", full)
    with pytest.raises(OSError, match=r"No space left.*the one before is kept; free some space and resume"):
        loop(trainer, tmp_path, 800).run()
    assert load_checkpoint(tmp_path / "checkpoints" / LAST)["env_steps"] == 400
    assert not list((tmp_path / "checkpoints").glob("*.new"))
    trainer.close()


def test_a_machine_that_dies_twice_loses_nothing(tmp_path, monkeypatch):
    """First between the two renames, so that the one before is all there is; then in the next saving."""
    folder = tmp_path / "last"
    save_checkpoint(folder, {"env_steps": 1})
    folder.rename(previous_of(folder))
    assert load_checkpoint(folder)["env_steps"] == 1

    def dies(tensors, path):
        assert load_checkpoint(folder)["env_steps"] == 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("policies.training.checkpoint.save_file", dies)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(folder, {"env_steps": 2})
    assert load_checkpoint(folder)["env_steps"] == 1
    save_checkpoint(folder, {"env_steps": 3})
    assert load_checkpoint(folder)["env_steps"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["last"]
    save_checkpoint(folder, {"env_steps": 4}, keep_previous=True)
    assert load_checkpoint(previous_of(folder))["env_steps"] == 3


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_net_acts_like_the_algorithm(algorithm, layer_norm):
    trainer = make_trainer(algorithm, layer_norm=layer_norm)
    for _ in range(4):
        trainer.advance()
    net, obs = trainer.net(), trainer.model._last_obs
    mine = net.act({k: torch.as_tensor(v) for k, v in obs.items()}).numpy()
    assert np.allclose(mine, trainer.model.predict(obs, deterministic=True)[0], atol=1e-6)
    assert json.dumps(net.describe())
    trainer.close()


def test_projected_weights_keep_their_norms():
    trainer = make_trainer(nap=True)
    weights = hidden_weights(trainer.model.policy.critic, 1)
    before = [float(w.detach().norm()) for w in weights]
    for _ in range(4):
        trainer.advance()
    after = [float(w.detach().norm()) for w in weights]
    assert len(weights) == 2 and np.allclose(before, after, rtol=1e-5)
    trainer.close()


def test_learning_rate_falls_to_a_tenth(tmp_path):
    """Half of the steps gone: 1 - 0.9 / 2 = 0.55 of it; all of them: 0.1, and no less."""
    trainer = make_trainer(decay_steps=800, learning_rate=0.01)
    loop(trainer, tmp_path, 400).run()
    assert trainer._rate(1.0) == pytest.approx(0.0055)
    loop(trainer, tmp_path, 1200).run()
    assert trainer._rate(1.0) == pytest.approx(0.001)
    used = trainer.model.policy.actor.optimizer.param_groups[0]["lr"]
    assert 0.00099 < used < 0.0055
    trainer.close()
