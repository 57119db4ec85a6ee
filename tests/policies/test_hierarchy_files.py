"""A hierarchy of networks, stored in one folder and run by onnxruntime."""

import errno
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")
pytest.importorskip("onnxscript", reason="onnxscript is missing: pip install 'habilis[train]'")

import torch

from policies.artifact import load_policy, save_policy
from policies.hierarchy import GoalEntry, HierarchicalPolicy
from policies.hierarchy_files import LEVELS, LevelFile, load_hierarchy, save_hierarchy
from policies.networks import MlpNet
from policies.policy import ArraySpec, PolicySpec

ARM = PolicySpec(
    {"observation": ArraySpec((2,), ("a", "b")), "desired_goal": ArraySpec((1,), ("z",), "m")},
    ArraySpec((2,), ("x", "opening"), low=-1.0, high=1.0),
    ArraySpec((1,), ("z",), "m"),
    0.2,
)
HAND = PolicySpec(
    {"observation": ArraySpec((2,), ("c", "a")), "desired_goal": ArraySpec((1,), ("opening",), "m")},
    ArraySpec((3,), ("thumb", "index", "ring"), low=-1.0, high=1.0),
    ArraySpec((1,), ("opening",), "m"),
    0.04,
)
GOAL = (GoalEntry("opening", "opening", scale=0.01, offset=0.02, low=0.0),)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two networks, their folders, and the hierarchy in one folder."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("levels")
    nets = {}
    for name, spec in (("arm", ARM), ("hand", HAND)):
        net = MlpNet(("observation", "desired_goal"), (3, 8, spec.action.shape[0]), squash="tanh")
        nets[name] = net
        save_policy(root / name, net, spec, {"task": name})
    files = [LevelFile("arm", root / "arm"), LevelFile("hand", root / "hand", GOAL, "m")]
    save_hierarchy(root / "whole", files, about={"task": "lift"})
    return root, nets, files


def observe(rng, batch=()):
    return {"observation": rng.normal(size=(*batch, 3)), "desired_goal": rng.normal(size=(*batch, 1))}


def test_what_is_stored_acts_like_the_networks(stored):
    """The same arithmetic by hand, in torch: the arm's action is held for 0.2 / 0.04 = 5 steps."""
    root, nets, _ = stored
    whole, rng = load_hierarchy(root / "whole"), np.random.default_rng(0)
    arm = None
    for k in range(11):
        obs = observe(rng, (4,))
        seen = torch.as_tensor(obs["observation"], dtype=torch.float32)  # a, b, c
        goal = torch.as_tensor(obs["desired_goal"], dtype=torch.float32)
        with torch.no_grad():
            arm = nets["arm"](seen[:, :2], goal) if k % 5 == 0 else arm
            opening = torch.clamp(0.02 + 0.01 * arm[:, 1:], min=0.0)
            expected = torch.cat((arm[:, :1], nets["hand"](seen[:, [2, 0]], opening)), -1)
        assert np.abs(whole.act(obs) - expected.numpy()).max() <= 1e-5
    assert whole.spec.action.names == ("x", "thumb", "index", "ring")
    assert whole.spec.step_dt == 0.04 and whole.about == {"task": "lift"}


def test_the_folder_is_a_policy_like_any_other(stored):
    root, _, _ = stored
    policy = load_policy(root / "whole")
    assert isinstance(policy, HierarchicalPolicy)
    names = sorted(p.name for p in (root / "whole").iterdir())
    assert names == ["arm.onnx", "card.md", "hand.onnx", LEVELS]
    assert "thumb" in (root / "whole" / "card.md").read_text()


def test_it_runs_without_torch(stored):
    root, _, _ = stored
    program = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from policies.hierarchy_files import load_hierarchy\n"
        f"policy = load_hierarchy(Path({str(root / 'whole')!r}))\n"
        "action = policy.act({'observation': np.zeros(3), 'desired_goal': np.zeros(1)})\n"
        "assert action.shape == (4,) and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_offered_observations_are_kept_as_they_are_ordered(stored, tmp_path):
    _, _, files = stored
    offered = {
        "observation": ArraySpec((4,), ("unused", "c", "b", "a")),
        "desired_goal": ARM.obs["desired_goal"],
        "privileged": ArraySpec((1,), ("mass",)),
    }
    saved = save_hierarchy(tmp_path, files, offered)
    found = load_hierarchy(tmp_path / LEVELS)
    assert saved.spec == found.spec and set(found.spec.obs) == {"observation", "desired_goal"}
    assert found.spec.obs["observation"].names == ("unused", "c", "b", "a")


def _changed(root, tmp_path, change):
    for file in (root / "whole").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    change(tmp_path)
    return tmp_path


def _edit(folder, key, value):
    text = json.loads((folder / LEVELS).read_text())
    text[key] = value
    (folder / LEVELS).write_text(json.dumps(text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: _edit(f, "about", {"task": "other"}), "it was changed after it was made"),
        (lambda f: _edit(f, "format", 9), "it has format 9, this program reads 1"),
        (lambda f: (f / LEVELS).write_text("{}"), "is no hierarchy of habilis"),
        (lambda f: (f / LEVELS).write_text("[1]"), "is no hierarchy of habilis"),
        (lambda f: (f / LEVELS).write_bytes(b"\x80\x04\x95"), "is a pickle"),
        (lambda f: (f / "hand.onnx").unlink(), "no policy at .*hand.onnx"),
        (lambda f: (f / "hand.onnx").write_bytes((f / "arm.onnx").read_bytes()), "hand.onnx is another file"),
    ],
)
def test_what_was_tampered_with_is_refused(stored, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_hierarchy(_changed(stored[0], tmp_path, change))


def test_levels_that_can_not_be_stored_are_refused(stored, tmp_path):
    root, _, files = stored
    with pytest.raises(ValueError, match="use different names"):
        save_hierarchy(tmp_path, [files[0], files[0]])
    with pytest.raises(ValueError, match="use different names"):
        save_hierarchy(tmp_path, [LevelFile("../arm", root / "arm")])
    with pytest.raises(ValueError, match="hand has a goal in 'm'; it is set in '1'"):
        save_hierarchy(tmp_path, [files[0], LevelFile("hand", root / "hand", GOAL)])
    with pytest.raises(ValueError, match="no policy at"):
        save_hierarchy(tmp_path, [LevelFile("arm", root / "nothing.onnx")])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_hierarchy(stored, tmp_path, monkeypatch):
    root, _, files = stored
    shutil.copytree(root / "whole", tmp_path / "whole")
    before = {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()}
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_hierarchy(tmp_path / "whole", files, about={"task": "another"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()} == before
