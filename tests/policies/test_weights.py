"""The weights that ship load, fit the environment of their experiment, and say how good they are."""

import re

import numpy as np
import pytest

import habilis
from policies import shipped

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from policies.artifact import ONNX, WEIGHTS, find_policy, load_policy, task_of  # noqa: E402
from policies.fit import check_fit  # noqa: E402

pytestmark = pytest.mark.long
FOLDERS = sorted(p for p in shipped.FOLDER.iterdir() if p.is_dir())


def experiments():
    """Name of the weights' folder to the experiment that says so."""
    files = sorted((habilis.CONFIG_DIR / "experiment").glob("*.yaml"))
    return {habilis.compose("train", [f"experiment={f.stem}"]).name: f.stem for f in files}


def test_the_folder_is_where_weights_are_looked_for():
    assert (shipped.FOLDER / "README.md").is_file()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_weights_fit_their_experiment(folder):
    known = experiments()
    assert folder.name in known, f"no experiment is named {folder.name}; weights belong to one"
    policy = load_policy(folder)
    env = habilis.build_env(habilis.compose("eval", [f"experiment={known[folder.name]}"]), num_envs=1)
    try:
        check_fit(folder.name, policy.spec, env.spec, env.task.name, task_of(policy.about))
    finally:
        env.close()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_weights_are_small_and_have_a_card(folder):
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 4 << 20
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert re.search(r"\| success \| \d+\.\d% of \d+ episodes \(95 % interval", card)
    assert "## Limits" in card


@pytest.mark.parametrize("folder", [f for f in FOLDERS if (f / WEIGHTS).is_file()], ids=lambda p: p.name)
def test_both_files_act_alike(folder):
    ours, theirs = load_policy(find_policy(folder)), load_policy(folder / ONNX)
    random = np.random.default_rng(0)
    assert ours.spec == theirs.spec and ours.about == theirs.about
    for _ in range(3):
        obs = {k: random.normal(0, 1, (8, *a.shape)) for k, a in ours.spec.obs.items()}
        np.testing.assert_allclose(ours.act(obs), theirs.act(obs), rtol=0, atol=1e-5)


def test_policies_of_arms_and_hands_say_what_their_actions_mean():
    """So that a robot's computer needs neither torch nor the simulator; see `habilis deploy`."""
    from policies.actions import Decoder, Deployment

    for name in ("reach_ppo", "reach_sac", "push_sac", "pick_place_sac", "tweezer_hand"):
        policy = load_policy(shipped.FOLDER / name / ONNX)
        said = Deployment.from_json(policy.about["deployment"])
        assert Decoder(said, lambda joint_pos: pytest.fail("not asked")).names == policy.spec.action.names
