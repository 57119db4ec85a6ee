"""Distillation: resumes to the same numbers, learns what it is told, exports what it is."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

import habilis  # noqa: E402
from policies.artifact import load_policy, save_policy  # noqa: E402
from policies.networks import MlpNet, RnnNet, make_net  # noqa: E402
from policies.policy import ArraySpec, PolicySpec  # noqa: E402
from policies.training.checkpoint import load_checkpoint, random_state, save_checkpoint, set_random_state  # noqa: E402
from policies.training.distill import Columns, Distill, DistillConfig, random_rotations  # noqa: E402
from policies.training.trainer import Diverged, Trainer  # noqa: E402
from sim.adapters.common import make_batch_env  # noqa: E402
from sim.tasks.reorient_cloud import CloudConfig  # noqa: E402
from tests.policies.training.test_rsl_ppo import assert_same  # noqa: E402

SMALL = {"point_sizes": (8, 16), "rnn_hidden": 12, "head_sizes": (8,), "num_steps_per_env": 4}
CLOUD = CloudConfig(source="model", points=16, goal_points=8, object_points=30, hand_points=30)


def make_env(**settings):
    return make_batch_env(
        "reorient", 4, seed=3, episode_s=0.32, decimation=10, **{"cloud": CLOUD, **settings}
    )


@pytest.fixture
def only_weights(monkeypatch):
    """Policies are saved without ONNX, whose export takes seconds."""
    monkeypatch.setattr("policies.export.to_onnx", lambda *_: b"")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The files of a teacher that was made in the environments without clouds: random weights."""
    folder = tmp_path_factory.mktemp("teacher")
    env = make_env(cloud=CloudConfig())
    torch.manual_seed(5)
    sizes = [sum(env.spec.obs[k].shape[0] for k in ("observation", "privileged")), 8, 16]
    save_policy(folder, MlpNet(["observation", "privileged"], sizes), env.spec, {"task": "reorient"})
    env.close()
    return folder


def trainer(teacher, seed=0, env=None, **settings):
    return Distill(env or make_env(), DistillConfig(teacher=str(teacher), **{**SMALL, **settings}), seed=seed)


def test_a_resumed_run_is_the_run_that_was_not_interrupted(teacher, tmp_path):
    whole = trainer(teacher, teacher_steps=60)
    assert isinstance(whole, Trainer)
    curve = [whole.advance() for _ in range(6)]
    assert curve[0]["train/teacher_share"] == 1.0 and curve[-1]["train/teacher_share"] == 0.0

    first = trainer(teacher, teacher_steps=60)
    for _ in range(3):
        first.advance()
    save_checkpoint(tmp_path / "c", {"trainer": first.state(), "random": random_state()})

    second = trainer(teacher, seed=77, teacher_steps=60)
    second.advance()  # whatever it has seen is forgotten
    stored = load_checkpoint(tmp_path / "c")
    second.load_state(stored["trainer"])
    set_random_state(stored["random"])
    assert [second.advance() for _ in range(3)] == curve[3:]
    assert_same(second.state(), whole.state())
    assert second.env_steps == whole.env_steps == 6 * 4 * 4


def test_the_student_learns_what_the_teacher_does_and_how_much_is_left(teacher):
    student = trainer(teacher, learning_rate=3e-3, epochs=8, teacher_steps=0)
    early = [student.advance() for _ in range(2)]
    for _ in range(20):
        student.advance()
    late = [student.advance() for _ in range(2)]
    for name, least in (("loss/action_rms", 0.8), ("loss/error_rms", 0.9)):
        assert np.mean([m[name] for m in late]) < least * np.mean([m[name] for m in early]), name


def test_the_student_learns_to_tell_the_axes_of_clouds_it_has_not_seen(teacher):
    student = trainer(teacher, learning_rate=3e-3, epochs=4, point_sizes=(32, 64), head_sizes=(64,))
    losses = [student.advance()["loss/axes_rms"] for _ in range(60)]
    # Numbers of a rotation matrix have a root mean square of sqrt(1/3), and there are two kinds of clouds.
    assert losses[0] > 0.7 and np.mean(losses[-5:]) < 0.6


def test_random_rotations_are_rotations():
    turns = random_rotations((500,), "cpu")
    assert torch.allclose(turns @ turns.transpose(1, 2), torch.eye(3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turns), torch.ones(500), atol=1e-5)
    assert turns.mean(0).abs().max() < 0.1  # of all of them, the mean is 0


def test_what_is_told_comes_from_the_truth_by_name(teacher):
    t = trainer(teacher)
    obs = t.env.reset(seed=9)
    plain = make_env(cloud=CloudConfig())
    true = plain.reset(seed=9)
    assert not torch.equal(obs["observation"][:, :16], torch.zeros(4, 16))
    for key in ("observation", "privileged"):
        assert torch.allclose(t._columns[key].of(obs), true[key], atol=1e-6), key
    action, error = t._told(obs)
    assert torch.allclose(action, load_policy(teacher).act_batch(true), atol=1e-5)
    # Goals are 0.6 rad away and more, so nothing holds still; where the error is less, the teacher does.
    assert (error > 0.59).all()
    close = dict(obs, privileged=obs["privileged"].clone())
    column = t.env.spec.obs["privileged"].names.index("angle.0")
    close["privileged"][1, column] = 0.29
    held = t._told(close)[0]
    assert (held[1] == 0).all() and (held[0] != 0).any()


def test_names_that_are_nowhere_are_refused():
    spec = PolicySpec({"observation": ArraySpec((2,), ("a", "b"))}, ArraySpec((1,)), None, 0.1)
    assert Columns(spec, ("b", "a"), "x").of({"observation": torch.tensor([[1.0, 2.0]])}).tolist() == [
        [2.0, 1.0]
    ]
    with pytest.raises(ValueError, match=r"the teacher reads c \(error\)"):
        Columns(spec, ("c",), "error")
    with pytest.raises(ValueError, match="no names"):
        Columns(spec, (), "observation")


def test_the_exported_student_acts_and_stops_as_in_training(teacher, tmp_path):
    t = trainer(teacher, stop_below=0.7, resume_above=0.75)
    t.advance()
    net = t.net()
    rebuilt = make_net(net.describe())
    rebuilt.load_state_dict(net.state_dict())
    obs = torch.stack([t.env.reset(seed=k)["observation"] for k in range(6)])
    mean, error, _, _ = net.unroll(obs, torch.zeros(6, 4, dtype=torch.bool), torch.zeros(4, 12))
    save_policy(tmp_path, net, t.env.spec, {"task": "reorient"})
    onnx = load_policy(tmp_path / "policy.onnx")
    stopped = torch.zeros(4, dtype=torch.bool)
    for k in range(6):
        stopped = error[k] < torch.where(stopped, 0.75, 0.7)
        expected = torch.where(stopped[:, None], 0.0, mean[k].clamp(-1.0, 1.0))
        torch.testing.assert_close(rebuilt.act({"observation": obs[k]}), expected, atol=1e-5, rtol=0)
        actual = torch.as_tensor(onnx.act({"observation": obs[k].numpy()}), dtype=torch.float32)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
        assert torch.allclose(torch.as_tensor(onnx._memory["error"])[:, 0] < 0.7, stopped)


def test_the_hand_goes_on_only_where_the_error_is_well_above(monkeypatch, teacher):
    net = trainer(teacher, stop_below=0.3, resume_above=0.4).net()
    told = iter([0.35, 0.29, 0.35, 0.41, 0.35])
    monkeypatch.setattr(net, "heads", lambda latent: (torch.ones(1, 16), torch.full((1,), next(told))))
    obs = {"observation": torch.zeros(1, sum(net._sizes))}
    assert [float(net.act(obs)[0, 0]) for _ in range(5)] == [1.0, 0.0, 0.0, 1.0, 1.0]
    net.reset()
    assert net._memory is None


def test_the_second_stage_begins_with_the_first_ones_weights(teacher, tmp_path, only_weights):
    first = trainer(teacher)
    first.advance()
    save_policy(tmp_path, first.net(), first.env.spec, {"task": "reorient"})
    second = trainer(teacher, seed=8, student=str(tmp_path))
    assert_same(dict(second.student.state_dict()), dict(first.student.state_dict()))
    with pytest.raises(ValueError, match=r"axes\.0\.weight"):
        trainer(teacher, student=str(tmp_path), point_sizes=(8, 12))


@pytest.mark.parametrize("where", ["observation", "weight"])
def test_numbers_that_are_not_finite_stop_it(teacher, where):
    t = trainer(teacher)
    if where == "observation":
        t._obs = {k: v.clone() for k, v in t._obs.items()}
        t._obs["observation"][2, 3] = float("nan")
        with pytest.raises(Diverged, match="obs is not finite"):
            t.advance()
    else:
        t.optimizer.register_step_post_hook(lambda *_: t.student.join.bias.data.fill_(float("nan")))
        with pytest.raises(Diverged, match=r"loss/|weight join\.bias"):
            t.advance()


def test_a_checkpoint_that_does_not_fit_is_refused(teacher):
    stored = trainer(teacher).state()
    with pytest.raises(ValueError, match="student has"):
        trainer(teacher, point_sizes=(8, 12)).load_state(stored)
    with pytest.raises(ValueError, match="rsl_ppo"):
        trainer(teacher).load_state({"algorithm": "rsl_ppo"})


def test_what_makes_no_distillation_is_refused(teacher, tmp_path, only_weights):
    with pytest.raises(ValueError, match="teacher=RUN"):
        Distill(make_env(), DistillConfig())
    with pytest.raises(ValueError, match=r"cloud\.source=model"):
        trainer(teacher, env=make_env(cloud=CloudConfig()))
    with pytest.raises(ValueError, match="use fewer"):
        trainer(teacher, minibatches=5)
    with pytest.raises(ValueError, match="least_std"):
        DistillConfig(least_std=0.0)
    spec = make_env(cloud=CloudConfig()).spec
    recurrent = RnnNet(["privileged"], [*spec.obs["privileged"].shape, 4, 16])
    save_policy(tmp_path, recurrent, spec, {"task": "reorient"})
    with pytest.raises(ValueError, match="feed-forward"):
        trainer(tmp_path)


def test_yaml_lists_every_setting_with_its_default():
    from omegaconf import OmegaConf

    node = OmegaConf.load(habilis.CONFIG_DIR / "algo" / "distill.yaml")
    assert node._target_ == "policies.training.distill.Distill"
    assert habilis.instantiate(node.config) == DistillConfig()
    assert list(node.config) == ["_target_", *(f.name for f in dataclasses.fields(DistillConfig))]


@pytest.mark.parametrize("stage", ["reorient_student", "reorient_student_depth"])
def test_experiments_of_students_fit_their_teacher(stage, teacher):
    changes = [f"experiment={stage}", f"algo.config.teacher={teacher}", "num_envs=8", "sim.num_threads=1"]
    student = habilis.build_trainer(habilis.compose("train", changes))
    taught = habilis.compose("train", ["experiment=reorient_teacher"]).env.task.config
    config = student.env.task.config
    for name in ("physics_dt", "decimation", "step_rad", "smoothing", "palm", "shape"):
        assert getattr(config, name) == taught[name], name
    assert config.oracle_stop_rad == 0.0 and config.cloud.source in ("model", "camera")
    student.close()
