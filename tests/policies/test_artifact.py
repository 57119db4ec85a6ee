"""Policies as files: what is written is what is read, and what is damaged or dangerous is refused."""

import errno
import gzip
import io
import json
import os
import pickle
import shutil
import tarfile

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `train`)")

from policies import artifact  # noqa: E402
from policies.artifact import CARD, ONNX, WEIGHTS, batch_act, load_policy, save_policy, task_of  # noqa: E402
from policies.onnx_policy import (  # noqa: E402
    ABOUT_KEY,
    DIGEST_KEY,
    FORMAT_KEY,
    NETWORK_KEY,
    SPEC_KEY,
    OnnxPolicy,
)
from policies.policy import Policy, PolicySpec  # noqa: E402
from tests.policies.policy_files import ABOUT, READS, SPEC, header, random_net, rewrite  # noqa: E402

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "policy"
    save_policy(folder, random_net(), SPEC, ABOUT)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the policy to spoil."""
    return shutil.copytree(made, tmp_path / "policy")


def observations(n=6, spread=1.0):
    random = np.random.default_rng(1)
    return {k: random.normal(0, spread, (n, *a.shape)) for k, a in SPEC.obs.items()}


def test_what_is_read_acts_like_what_was_written(made):
    net, obs = random_net(), observations()
    expected = net.act({k: torch.from_numpy(v).float() for k, v in obs.items()}).numpy()
    for path in (made, made / WEIGHTS, made / ONNX):
        policy = load_policy(path)
        assert isinstance(policy, Policy)
        np.testing.assert_allclose(policy.act(obs), expected, atol=1e-6)
        one = policy.act({k: v[2] for k, v in obs.items()})
        assert one.shape == (2,)
        np.testing.assert_allclose(one, expected[2], atol=1e-6)
    tensors = {k: torch.from_numpy(v).float() for k, v in obs.items()}
    for path in (made / WEIGHTS, made / ONNX):
        action = batch_act(load_policy(path))(tensors)
        assert action.dtype == torch.float32
        np.testing.assert_allclose(action.numpy(), expected, atol=1e-6)


def test_only_what_is_read_is_in_the_specs(made):
    wanted = PolicySpec({k: SPEC.obs[k] for k in READS}, SPEC.action, SPEC.goal, SPEC.step_dt)
    for path in (made / WEIGHTS, made / ONNX):
        policy = load_policy(path)
        assert policy.spec == wanted and list(policy.spec.obs) == list(READS)
        assert {k: policy.about[k] for k in ABOUT} == ABOUT and "date" in policy.about


def test_a_run_folder_is_its_best_policy(folder):
    (folder.parent / "metrics.jsonl").write_text("")
    assert artifact.find_policy(folder.parent) == folder / WEIGHTS


def test_a_policy_that_was_loaded_can_be_saved_again(folder, tmp_path):
    files = load_policy(folder).save(tmp_path / "again")
    assert sorted(p.name for p in files) == [CARD, ONNX, WEIGHTS]
    assert header(tmp_path / "again" / WEIGHTS) == header(folder / WEIGHTS)


def test_the_card_says_what_one_must_know(made):
    text = (made / CARD).read_text()
    for words in ("reach", "abc123, with changes", "| seed | 3 |", "1,234", "90.0% of 50 episodes", "79.0%"):
        assert words in text
    assert "habilis train experiment=reach_small seed=3" in text and "## Limits" in text
    assert "elbow, shoulder, wrist" in text and "every 0.04 s" in text


def test_the_task_is_told_by_name_or_by_its_class():
    assert task_of({"task": "push"}) == "push"
    assert task_of({"env": {"task": {"_target_": "sim.tasks.reach.Reach"}}}) == "reach"
    assert task_of({}) is None


# ---- what is refused --------------------------------------------------------------------------------


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def tar_of(data):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo("policy.pth")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped(trap):
    file = io.BytesIO()
    torch.save({"weights": trap}, file)
    return file.getvalue()


@pytest.mark.parametrize("name", ["policy.pt", "policy.safetensors", "policy.onnx", "policy.zip"])
@pytest.mark.parametrize(
    "make, words",
    [
        (pickle.dumps, "is a pickle"),
        (lambda t: pickle.dumps(t, protocol=2), "is a pickle"),
        (zipped, "is a zip archive"),
        (lambda t: gzip.compress(pickle.dumps(t)), "is an archive"),
        (lambda t: tar_of(pickle.dumps(t)), "is an archive"),
        (lambda t: pickle.dumps(t, protocol=0), "is no"),
    ],
    ids=["pickle", "pickle2", "torch", "gzip", "tar", "pickle0"],
)
def test_files_that_could_run_code_are_not_opened(name, make, words, tmp_path):
    trap = tmp_path / "sprung"
    (tmp_path / name).write_bytes(make(Trap(trap)))
    with pytest.raises(ValueError, match=words.replace("is no", "is (no|not)")) as told:
        load_policy(tmp_path / name)
    assert "\n" not in str(told.value) and not trap.exists()


def test_a_header_whose_length_looks_like_a_pickle_is_read(folder):
    """80 04 is how a pickle of protocol 4 begins, and the length 0x0480 = 1152 of a header."""
    file = folder / WEIGHTS
    text = json.loads(header(file)[ABOUT_KEY])
    for pad in range(0, 4096):
        about = json.dumps({**text, "note": "x" * pad})
        rewrite(file, lambda texts, _, about=about: texts.update({ABOUT_KEY: about}))
        if file.read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no padding gives such a length")
    assert file.read_bytes()[1] <= 0x0F
    load_policy(file)


def negate(texts, tensors):
    tensors["net.0.weight"] = -tensors["net.0.weight"]


@pytest.mark.parametrize(
    "change, words",
    [
        (negate, "was changed after it was made"),
        (lambda t, _: t.update({SPEC_KEY: t[SPEC_KEY].replace("elbow", "wrist_2")}), "was changed"),
        (lambda t, _: t.update({NETWORK_KEY: t[NETWORK_KEY].replace("elu", "relu")}), "was changed"),
        (lambda t, _: t.update({ABOUT_KEY: t[ABOUT_KEY].replace("0.9", "1.0")}), "was changed"),
        (lambda t, _: t.update({DIGEST_KEY: "0" * 64}), "was changed"),
        (lambda t, _: t.pop(DIGEST_KEY), "no habilis.sha256"),
        (lambda t, _: t.pop(SPEC_KEY), "no habilis.policy_spec"),
        (lambda t, _: t.pop(FORMAT_KEY), "no policy of habilis"),
        (lambda t, _: t.clear(), "no policy of habilis"),
    ],
)
def test_a_changed_file_is_refused(change, words, folder):
    rewrite(folder / WEIGHTS, change, reseal=False)
    with pytest.raises(ValueError, match=words):
        load_policy(folder)


def put(name, value):
    return lambda texts, tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t, _: t.update({FORMAT_KEY: "2"}), "made by a newer version of habilis .format 2"),
        (lambda t, _: t.update({FORMAT_KEY: "0"}), "format 0, which is no longer read"),
        (lambda t, _: t.update({FORMAT_KEY: "new"}), "no policy of habilis"),
        (
            lambda t, _: t.update({SPEC_KEY: t[SPEC_KEY].replace('"version": 1', '"version": 7')}),
            "spec of version 7, this program reads version 1",
        ),
        (lambda t, _: t.update({NETWORK_KEY: '{"kind": "cnn"}'}), "no network 'cnn'"),
        (lambda t, _: t.update({NETWORK_KEY: '{"kind": "mlp", "depth": 3}'}), "this version can't build"),
        (lambda t, _: t.update({NETWORK_KEY: "{"}), "this version can't build"),
        (lambda _, w: w.pop("mean"), "lacks the normaliser's mean"),
        (lambda _, w: w.pop("net.2.bias"), "lacks the weights net.2.bias"),
        (put("net.4.bias", torch.zeros(2)), "holds net.4.bias, which its network does not have"),
        (put("net.2.bias", torch.zeros(3)), r"net.2.bias of shape \[3\], its network takes \[2\]"),
        (put("std", torch.full((5,), float("nan"))), "not finite, in the normaliser's std"),
        (put("net.2.bias", torch.full((2,), float("inf"))), "not finite, in the weights net.2.bias"),
        (
            lambda t, _: t.update({SPEC_KEY: t[SPEC_KEY].replace('"shape": [3]', '"shape": [4]')}),
            "does not fit its own specs",
        ),
        (
            lambda t, _: t.update({SPEC_KEY: t[SPEC_KEY].replace('"observation"', '"image"')}),
            "does not fit its own specs: 'observation'",
        ),
    ],
)
def test_a_whole_file_that_cannot_act_is_refused(change, words, folder):
    rewrite(folder / WEIGHTS, change)
    with pytest.raises(ValueError, match=words) as told:
        load_policy(folder)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("keep", [0, 4, 100, 1500, -1])
def test_a_file_that_was_cut_short_is_refused(keep, folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:keep])
    with pytest.raises(ValueError, match=r"cut short|damaged"):
        load_policy(folder)


@pytest.mark.parametrize("name", [WEIGHTS, ONNX])
def test_any_changed_byte_is_noticed(name, folder):
    data = (folder / name).read_bytes()
    for place in np.random.default_rng(0).integers(0, len(data), 40):
        spoilt = bytearray(data)
        spoilt[place] ^= 1
        (folder / name).write_bytes(spoilt)
        with pytest.raises(ValueError):
            load_policy(folder / name)


def test_where_there_is_no_policy_one_is_told_what_there_is(tmp_path):
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "tree.json").write_text("{}")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    (tmp_path / "empty").mkdir()
    for name, words in {
        "none": "no policy at",
        "last": "is a checkpoint, to resume training from",
        "run": "has no policy yet",
        "empty": "holds no policy: none of policy.safetensors, policy.onnx",
    }.items():
        with pytest.raises(ValueError, match=words):
            load_policy(tmp_path / name)


# ---- what is not written ----------------------------------------------------------------------------


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    net = random_net()
    with torch.no_grad():
        net.net[0].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"not finite, in the weights net.0.weight"):
        save_policy(tmp_path / "policy", net, SPEC, ABOUT)
    assert not (tmp_path / "policy").exists()


def test_a_network_of_another_environment_is_not_written(tmp_path):
    spec = PolicySpec({"image": SPEC.obs["observation"]}, SPEC.action, None, 0.04)
    with pytest.raises(ValueError, match="reads 'observation', the environment has image"):
        save_policy(tmp_path / "policy", random_net(), spec, ABOUT)
    assert not (tmp_path / "policy").exists()


def test_a_full_disk_leaves_the_old_policy(folder, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_policy(folder, random_net(seed=1), SPEC, ABOUT)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_saving_leaves_network_and_random_numbers_alone(tmp_path):
    net = random_net("gru")
    obs = {k: torch.ones(4, *SPEC.obs[k].shape) for k in READS}
    net.act(obs)
    net.train()
    twin = random_net("gru")
    twin.act(obs)
    state = torch.get_rng_state()
    save_policy(tmp_path / "policy", net, SPEC, ABOUT)
    assert torch.equal(torch.get_rng_state(), state) and net.training
    assert torch.equal(net.act(obs), twin.act(obs))  # it still remembers
    assert isinstance(load_policy(tmp_path / "policy" / ONNX), OnnxPolicy)
