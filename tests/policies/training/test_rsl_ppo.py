"""PPO of rsl_rl: resumes to the same numbers, exports what it is, stops at numbers that are not finite."""

import dataclasses

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
pytest.importorskip("rsl_rl", reason="rsl-rl-lib is not installed (extra `train`)")

import torch

import habilis
from policies.networks import make_net
from policies.training.checkpoint import load_checkpoint, random_state, save_checkpoint, set_random_state
from policies.training.rsl_ppo import RslPpo, RslPpoConfig
from policies.training.trainer import Diverged, Trainer
from sim.adapters.common import make_batch_env
from sim.adapters.rsl_rl import RslRlVecEnv

TINY = {"num_steps_per_env": 8, "minibatches": 2, "epochs": 2, "hidden_dims": (16, 16), "rnn_hidden": 8}


def trainer(seed=0, **settings):
    batch = make_batch_env("reach", 4, seed=3, preset="randomised", episode_s=0.4)
    return RslPpo(RslRlVecEnv(batch), RslPpoConfig(**{**TINY, **settings}), seed=seed)


def flat(tree, path=""):
    """Yield (path, leaf) of a checkpoint's tree."""
    if isinstance(tree, dict):
        for k, v in tree.items():
            yield from flat(v, f"{path}/{k}")
    elif isinstance(tree, list | tuple):
        for k, v in enumerate(tree):
            yield from flat(v, f"{path}/{k}")
    else:
        yield path, tree


def assert_same(a, b):
    mine, theirs = dict(flat(a)), dict(flat(b))
    assert mine.keys() == theirs.keys()
    for path, value in mine.items():
        if hasattr(value, "shape"):
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(theirs[path])), path
        else:
            assert value == theirs[path], path


OPTIONS = [
    {},
    {"nap": True, "squash": "tanh", "std_type": "scalar"},
    {
        "rnn": "gru",
        "asymmetric": False,
        "obs_normalization": False,
        "goal_gap": False,
        "obs": ("observation", "desired_goal"),
    },
    {"rnn": "lstm", "rnn_layers": 2, "layer_norm": True, "schedule": "fixed"},
]


def named(options):
    return ",".join(f"{k}={v}" for k, v in options.items()) or "defaults"


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_a_resumed_run_is_the_run_that_was_not_interrupted(options, tmp_path):
    whole = trainer(**options)
    curve = [whole.advance() for _ in range(6)]

    first = trainer(**options)
    for _ in range(3):
        first.advance()
    save_checkpoint(tmp_path / "c", {"trainer": first.state(), "random": random_state()})
    first.close()

    second = trainer(seed=77, **options)
    second.advance()  # whatever it has seen is forgotten
    stored = load_checkpoint(tmp_path / "c")
    second.load_state(stored["trainer"])
    set_random_state(stored["random"])
    assert [second.advance() for _ in range(3)] == curve[3:]
    assert_same(second.state(), whole.state())
    assert second.env_steps == whole.env_steps == 6 * 8 * 4


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_the_exported_network_is_the_deterministic_policy(options):
    t = trainer(**options)
    for _ in range(3):
        t.advance()
    net = t.net()
    rebuilt = make_net(net.describe())
    rebuilt.load_state_dict(net.state_dict())
    t.ppo.eval_mode()
    t.ppo.actor.reset()
    biggest = 0.0
    for k in range(4):
        torch.manual_seed(k)
        obs = {key: 3.0 * torch.randn(4, *t.env.batch.spec.obs[key].shape) for key in net.keys}
        with torch.no_grad():
            expected = t.ppo.actor(t._to_device(obs)).clamp(-1.0, 1.0)
        for network in (net, rebuilt):
            torch.testing.assert_close(network.act(obs), expected, atol=1e-6, rtol=0.0)
        biggest = max(biggest, float(expected.abs().max()))
    assert biggest > 0.01  # it says something


def test_a_recurrent_network_has_its_memory_outside_and_forgets_on_reset():
    net = trainer(rnn="lstm").net()
    obs = {
        k: torch.arange(2.0 * n).reshape(2, n)
        for k, n in (("observation", 17), ("achieved_goal", 3), ("desired_goal", 3))
    }
    first, second = net.act(obs), net.act(obs)
    assert not torch.equal(first, second)
    net.reset()
    assert torch.equal(net.act(obs), first)
    zeros = [torch.zeros(2, *shape) for shape in net.hidden.values()]
    action, *hidden = net(*obs.values(), *zeros)
    assert torch.equal(action, first)
    assert [h.shape for h in hidden] == [z.shape for z in zeros]
    assert torch.equal(net(*obs.values(), *hidden)[0], second)


def test_it_is_a_trainer_and_reports_what_happened():
    t = trainer()
    assert isinstance(t, Trainer)
    # The first episodes begin at random steps, and none is longer than its 10 steps: all end once in 16.
    metrics = [t.advance() for _ in range(2)]
    assert sum(m["train/episodes"] for m in metrics) >= 4
    last = next(m for m in reversed(metrics) if m["train/episodes"])
    expected = ("success", "return", "length")
    assert {f"train/{k}" for k in expected} | {"reward/distance", "policy/std"} <= last.keys()
    assert {"loss/value", "loss/surrogate", "learning_rate"} <= last.keys()
    total = sum(v for k, v in last.items() if k.startswith("reward/"))
    assert total == pytest.approx(last["train/return"], rel=1e-4)


def test_hidden_weights_keep_their_norms_and_the_output_layer_does_not():
    t = trainer(nap=True, learning_rate=1e-2)
    norms = [float(w.detach().norm()) for w in t.projection.weights]
    before = [w.detach().clone() for w in t.projection.weights]
    output = t.ppo.actor.mlp[-1].weight
    norm = float(output.detach().norm())
    t.advance()
    assert len(norms) == 4  # two hidden layers, of the actor and of the critic
    for w, old, kept in zip(t.projection.weights, before, norms, strict=True):
        assert float(w.detach().norm()) == pytest.approx(kept, rel=1e-5)
        assert not torch.equal(w, old)
    assert float(output.detach().norm()) != pytest.approx(norm, rel=1e-5)


class Poisoned(RslRlVecEnv):
    """Rewards or observations become not finite."""

    poison = "reward"

    def step(self, actions):
        obs, reward, done, extras = super().step(actions)
        if self.poison == "reward":
            reward = reward.clone()
            reward[2] = float("nan")
        else:
            obs = obs.clone()
            obs["observation"][2, 0] = float("inf")
        return obs, reward, done, extras


@pytest.mark.parametrize("poison", ["reward", "observation"])
def test_numbers_that_are_not_finite_stop_before_anything_is_learnt(poison):
    env = Poisoned(make_batch_env("reach", 4))
    env.poison = poison
    t = RslPpo(env, RslPpoConfig(**TINY))
    before = {k: v.clone() for k, v in t.ppo.actor.state_dict().items()}
    with pytest.raises(Diverged, match=f"{poison}.*environment 2 is not finite"):
        t.advance()
    assert all(torch.equal(v, before[k]) for k, v in t.ppo.actor.state_dict().items())


def test_a_weight_that_is_not_finite_is_named():
    t = trainer()
    t.ppo.optimizer.register_step_post_hook(lambda *_: t.ppo.critic.mlp[2].bias.data.fill_(float("nan")))
    with pytest.raises(Diverged, match=r"loss/value|mlp\.2\.bias of the critic"):
        t.advance()


def test_a_checkpoint_that_does_not_fit_is_refused_with_the_reason():
    stored = trainer().state()
    with pytest.raises(ValueError, match=r"actor has .*\(16,\), .*\(8,\)"):
        trainer(hidden_dims=(8, 16)).load_state(stored)
    with pytest.raises(ValueError, match="nap"):
        trainer(nap=True).load_state(stored)
    with pytest.raises(ValueError, match="actor has mlp"):
        trainer(rnn="gru").load_state(stored)
    other = make_batch_env("reach", 6, seed=3, preset="randomised", episode_s=0.4)
    with pytest.raises(ValueError, match=r"num_envs|4.*6|6.*4"):
        RslPpo(RslRlVecEnv(other), RslPpoConfig(**TINY)).load_state(stored)
    with pytest.raises(ValueError, match="sb3_sac_her"):
        trainer().load_state({"algorithm": "sb3_sac_her"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "cosine"}, "adaptive, fixed"),
        ({"rnn": "transformer"}, "none, gru, lstm"),
        ({"activation": "swoosh"}, "elu"),
        ({"gamma": 1.5}, r"\[0, 1\]"),
        ({"learning_rate": 0.0}, "more than 0"),
        ({"hidden_dims": ()}, "at least one"),
        ({"obs": ("observation",)}, "goal_gap needs desired_goal and achieved_goal"),
        ({"obs": ("picture",), "goal_gap": False}, "observation, achieved_goal, desired_goal"),
        ({"minibatches": 64}, "fewer"),
    ],
)
def test_settings_that_make_no_training_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        trainer(**settings)


def test_yaml_lists_every_setting_with_its_default():
    from omegaconf import OmegaConf

    node = OmegaConf.load(habilis.CONFIG_DIR / "algo" / "rsl_ppo.yaml")
    assert node._target_ == "policies.training.rsl_ppo.RslPpo"
    assert habilis.instantiate(node.config) == RslPpoConfig()
    assert list(node.config) == ["_target_", *(f.name for f in dataclasses.fields(RslPpoConfig))]
