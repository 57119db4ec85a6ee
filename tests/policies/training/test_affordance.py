"""Training of the affordance encoder: learns, resumes exactly, saves and loads, through the command too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install -e '.[train]'")

import torch

import habilis
from perception_tools.affordance_nets import AffordanceNet, AffordanceNetConfig, affordance_loss
from perception_tools.affordance_onnx import ONNX_FILE, OnnxEncoder
from perception_tools.affordance_state import OUTPUTS
from perception_tools.affordance_torch import (
    WEIGHTS_FILE,
    TorchEncoder,
    calibrate,
    load_affordance,
    save_affordance,
)
from policies.evaluation import EvalConfig
from policies.training.affordance import AffordanceTrainer, AffordanceTrainerConfig
from policies.training.checkpoint import load_checkpoint, save_checkpoint
from policies.training.trainer import Diverged, Trainer
from sim.clouds import CloudsConfig, ToolClouds

SMALL = {
    "pointnet": AffordanceNetConfig("pointnet", 64, (16, 32)),
    "point_transformer": AffordanceNetConfig("point_transformer", 64, (16, 16), 8, 6, 1),
}


class Again:
    """The same few clouds, over and over."""

    def __init__(self, clouds, num):
        self.clouds = [clouds.cloud(k) for k in range(num)]

    def cloud(self, index):
        return self.clouds[index % len(self.clouds)]


@pytest.fixture(scope="module")
def clouds():
    return ToolClouds(CloudsConfig(num_tools=6))


def trainer(clouds, name="pointnet", **settings):
    settings = {"batch_size": 8, "calibration": 64, **settings}
    return AffordanceTrainer(clouds, AffordanceTrainerConfig(net=SMALL[name], **settings), seed=3)


def weights(a_trainer):
    return torch.cat([p.flatten() for p in a_trainer.net().state_dict().values()])


@pytest.mark.parametrize("name", SMALL)
def test_resumes_to_the_same_weights(name, clouds, tmp_path):
    whole, first = trainer(clouds, name), trainer(clouds, name)
    assert isinstance(whole, Trainer) and whole.interface == "none"
    for _ in range(6):
        whole.advance()
    for _ in range(3):
        first.advance()
    save_checkpoint(tmp_path / "c", first.state())
    second = trainer(ToolClouds(clouds.config), name)
    second.load_state(load_checkpoint(tmp_path / "c"))
    assert second.env_steps == 24
    for _ in range(3):
        second.advance()
    assert torch.equal(weights(whole), weights(second))
    with pytest.raises(ValueError, match="of another encoder"):
        trainer(clouds, next(n for n in SMALL if n != name)).load_state(load_checkpoint(tmp_path / "c"))


@pytest.mark.parametrize("name", SMALL)
def test_learns_a_few_clouds_by_heart(name, clouds):
    few = Again(clouds, 16)
    a_trainer = trainer(few, name, batch_size=16, learning_rate=0.01, decay_clouds=16 * 150)
    start = a_trainer.advance()
    for _ in range(150):
        end = a_trainer.advance()
    # The likelihoods are of distances in units of the clouds' size: from about 1 to less than 0.3.
    assert start["loss/tip"] > 0.8 and end["loss/tip"] < -0.2
    assert end["loss/opening"] < start["loss/opening"] - 0.1 and end["loss/kind"] < 0.3
    encoder = TorchEncoder(a_trainer.net())
    tools = [c for c in few.clouds if c.is_tool]
    off = [np.linalg.norm(encoder.estimate(c.points).p_tip - c.p_tip) for c in tools]
    assert np.median(off) < 0.03


@pytest.mark.parametrize("name", SMALL)
def test_saved_loaded_and_exported_alike(name, clouds, tmp_path):
    torch.manual_seed(0)
    net = AffordanceNet(SMALL[name]).eval()
    calibrate(net, [clouds.cloud(k) for k in range(64)])
    assert (net.temperature > 0).all() and net.latent_precision.abs().max() > 1e-3
    save_affordance(tmp_path, net, {"clouds": 7})
    loaded, onnx = TorchEncoder(load_affordance(tmp_path)), OnnxEncoder(tmp_path / ONNX_FILE)
    assert onnx.about["clouds"] == 7 and onnx.name == name
    for index in range(4):
        framed = onnx.frame(clouds.cloud(100 + index).points)
        given = framed.points[None], np.array([np.log(framed.scale_m)], np.float32)
        runs = [encoder.run(*given) for encoder in (TorchEncoder(net), loaded, onnx)]
        for output in OUTPUTS:
            assert np.array_equal(runs[0][output], runs[1][output])
            assert runs[2][output] == pytest.approx(runs[0][output], abs=1e-4), output
    state = onnx.estimate(clouds.cloud(100).points)
    assert np.isfinite(state.latent).all() and state.goal.shape == (2,)


def test_calibrated_intervals_cover_what_they_say(clouds):
    """On the clouds of the calibration itself, 68.3 % of all errors are within one deviation."""
    from perception_tools.affordance_measure import measure

    net = trainer(clouds).net()
    shown = [clouds.cloud(k) for k in range(200)]
    calibrate(net, shown)
    found = [measure(TorchEncoder(net), c) for c in shown if c.is_tool]
    assert np.mean([m.z <= 1 for m in found], axis=0) == pytest.approx([0.683] * 5, abs=0.02)
    with pytest.raises(ValueError, match="at least 8 clouds of every kind"):
        calibrate(net, shown[:10])


def test_loss_by_hand():
    """One cloud, one frame, unit variances: half the squared distance, as log variances are 0."""
    out = {
        "state": torch.tensor([[0.5, 0.0, 1.0, 0.0]]), "log_var": torch.zeros(1, 1, 3),
        "tip": torch.tensor([[[1.0, 0, 0]]]), "approach": torch.tensor([[[0, 0, 1.0]]]),
        "across": torch.tensor([[[0, -1.0, 0]]]), "logits": torch.zeros(1, 4),
    }  # fmt: skip
    label = {
        "kind": torch.tensor([0]), "is_tool": torch.ones(1), "opening": torch.tensor([0.3]),
        "size": torch.tensor([1.4]), "tip": torch.zeros(1, 1, 3), "approach": torch.tensor([[[0, 0, 1.0]]]),
        "across": torch.tensor([[[0, 1.0, 0]]]),
    }  # fmt: skip
    parts = {k: float(v) for k, v in affordance_loss(out, label).items()}
    # (0.5 - 0.3)^2 / 2, (1 - 1.4)^2 / 2, 1 / 2; the opening axis has no sign; ln 4.
    assert parts == pytest.approx(
        {"opening": 0.02, "size": 0.08, "tip": 0.5, "approach": 0.0, "across": 0.0, "kind": np.log(4)},
        abs=1e-6,
    )
    nothing = affordance_loss(out, label | {"is_tool": torch.zeros(1)})
    assert all(float(v) == 0 for k, v in nothing.items() if k != "kind")


def test_evaluation_is_of_clouds_and_repeats(clouds):
    a_trainer = trainer(clouds)
    found = [
        a_trainer.evaluator(EvalConfig(episodes=12, seed=2_000_000_000))(a_trainer.net()) for _ in range(2)
    ]
    assert found[0] == found[1] and len(found[0].successes) == 12 and max(found[0].returns) <= 0


def test_diverged_training_says_so(clouds):
    a_trainer = trainer(clouds, learning_rate=1e30)
    with pytest.raises(Diverged, match="became"):
        for _ in range(5):
            a_trainer.advance()


def test_files_that_are_no_encoder_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no affordance encoder at"):
        load_affordance(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="no affordance encoder of this program"):
        load_affordance(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "dgcnn"}, "encoders: pointnet, point_transformer"),
        ({"num_centres": 8}, "pointnet none"),
        ({"encoder": "point_transformer"}, "needs 1 to 256"),
        ({"num_points": 8}, "at least 32 points"),
    ],
)
def test_sizes_that_make_no_network(settings, message):
    with pytest.raises(ValueError, match=message):
        AffordanceNetConfig(**settings)


@pytest.mark.long
def test_command_trains_and_resumes(tmp_path, capsys):
    asked = [
        "train", "experiment=affordance", "loop.eval_every=0", "loop.eval.episodes=8", f"run_dir={tmp_path}",
        "algo.config.net.num_points=64", "algo.config.net.width=[16,32]", "algo.config.batch_size=8",
        "algo.config.calibration=64", "algo.clouds.config.num_tools=6",
    ]  # fmt: skip
    assert habilis.main([*asked, "loop.env_steps=16", "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["env_steps"], figures["n"]) == (16, 8)
    folder = Path(figures["folder"])
    assert (folder / "policy" / ONNX_FILE).is_file() and (folder / "policy" / WEIGHTS_FILE).is_file()
    assert habilis.main(["train", f"resume={folder}", "loop.env_steps=32"]) == 0
    assert load_checkpoint(folder / "checkpoints" / "last")["env_steps"] == 32
