"""Training of what sees a tool in a hand: it learns, goes on exactly, saves and loads."""

from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install -e '.[train]'")

import torch

from perception_tools.affordance_hand import ONNX_FILE, OUTPUTS, UNIT_M, HandAffordance
from perception_tools.affordance_hand_nets import HandNet, HandNetConfig, hand_loss
from perception_tools.affordance_hand_torch import WEIGHTS_FILE, load_hand_net
from policies.evaluation import EvalConfig
from policies.training.affordance_hand import HandTrainer, HandTrainerConfig, draw, moved
from policies.training.trainer import Trainer

SMALL = HandNetConfig(num_points=48, width=(16, 32), second=(24, 24))


@dataclass
class Block:
    points: np.ndarray
    counts: np.ndarray
    height_m: np.ndarray
    labels: dict


class Blobs:
    """Two blobs of points: the upper is the tool's end, the lower the object."""

    def block(self, number):
        rng = np.random.default_rng(number)
        n, per = 64, 40
        tip = rng.normal(0, 0.005, (n, 3)) + np.array([0, 0, -0.08])
        thing = rng.uniform((-0.03, -0.03, -0.16), (0.03, 0.03, -0.14), (n, 3))
        blobs = [x[:, None] + rng.normal(0, 0.003, (n, per, 3)) for x in (tip, thing)]
        points = np.zeros((n, 512, 3), np.float32)
        points[:, : 2 * per] = np.concatenate(blobs, 1)
        axes = np.tile(np.array([1, 0, 0, 0, 0, -1.0]), (n, 1))
        labels = {"tip": tip / UNIT_M, "axes": axes, "opening": np.full((n, 1), 0.3)}
        labels |= {
            "object": thing / UNIT_M,
            "quat": np.tile([1.0, 0, 0, 0], (n, 1)),
            "size": np.full((n, 2), 0.2),
        }
        labels = {k: v.astype(np.float32) for k, v in labels.items()}
        return Block(points, np.full(n, 2 * per), np.full(n, 0.17, np.float32), labels)


def trainer(**settings):
    config = HandTrainerConfig(net=SMALL, blocks=2, held_out=1, batch_size=16, **settings)
    return HandTrainer(Blobs(), config, seed=3)


def test_labels_move_with_the_clouds():
    """A cloud of nothing but the labelled points still has the labels where its points are."""
    rng = np.random.default_rng(0)
    points, label = draw([Blobs().block(0)], 8, 32, rng)
    points[:, 0, :3], points[:, 1, :3] = label["tip"], label["object"]
    config = HandTrainerConfig(turn_rad=1.0, shift_m=(0.02, 0.01))
    after, told = moved(points, label, config, rng)
    assert (after[:, 0, :3] - points[:, 0, :3]).abs().max() > 0.1
    assert torch.allclose(after[:, 0, :3], told["tip"], atol=1e-5)
    assert torch.allclose(after[:, 1, :3], told["object"], atol=1e-5)
    # The y axis was (1, 0, 0): its new direction is the turn, and the quaternion turns by as much.
    angle = torch.atan2(told["axes"][:, 1], told["axes"][:, 0])
    assert torch.allclose(2 * torch.atan2(told["quat"][:, 3], told["quat"][:, 0]), angle, atol=1e-5)
    assert torch.allclose(told["axes"][:, 3:], label["axes"][:, 3:])
    # Height over the table goes along.
    gap = after[:, 2:, 3] - after[:, 2:, 2]
    assert torch.allclose(gap, torch.full_like(gap, 0.17 / UNIT_M), atol=1e-5)


def test_the_loss_is_least_at_the_truth():
    points, label = draw([Blobs().block(0)], 4, 32, np.random.default_rng(0))
    right = dict(label) | {"log_var": torch.zeros(4, 2)}
    least = hand_loss(right, label)
    # 3 / 2 log var = 0 at variance 1, and all errors are 0.
    assert all(abs(float(v)) < 1e-6 for v in least.values())
    for name in ("tip", "axes", "opening", "object", "size"):
        wrong = right | {name: label[name] + 0.1}
        assert float(hand_loss(wrong, label)[name]) > 1e-3
    assert set(least) == set(OUTPUTS) - {"log_var"} and points.shape == (4, 32, 4)


@pytest.mark.long
def test_it_learns_and_goes_on_exactly():
    whole, first = trainer(), trainer()
    assert isinstance(whole, Trainer)
    before = whole.evaluate(whole.net(), EvalConfig(episodes=64, num_envs=64, seed=7))
    for _ in range(30):
        whole.advance()
    for _ in range(15):
        first.advance()
    second = trainer()
    second.load_state(first.state())
    assert second.env_steps == 15 * 16
    for _ in range(15):
        second.advance()
    for a, b in zip(whole.net().parameters(), second.net().parameters(), strict=True):
        assert torch.equal(a, b)
    after = whole.evaluate(whole.net(), EvalConfig(episodes=64, num_envs=64, seed=7))
    assert np.mean(after.returns) > 0.7 * np.mean(before.returns)  # returns are minus the error


def test_a_saved_network_says_the_same_without_torch(tmp_path):
    a_trainer = trainer()
    a_trainer.save_net(tmp_path, a_trainer.net(), {"experiment": "test"})
    assert {f.name for f in tmp_path.iterdir()} == {ONNX_FILE, WEIGHTS_FILE}
    net, runner = load_hand_net(tmp_path), HandAffordance(tmp_path / ONNX_FILE)
    assert runner.about["experiment"] == "test"
    for mine, theirs in zip(net.parameters(), a_trainer.net().parameters(), strict=True):
        assert torch.equal(mine, theirs)
    with pytest.raises(ValueError, match="no network for tools in a hand"):
        load_hand_net(tmp_path / "nowhere")


def test_a_checkpoint_of_another_network_is_refused():
    other = HandTrainer(Blobs(), HandTrainerConfig(net=HandNetConfig(width=(8, 8)), blocks=1, held_out=1))
    with pytest.raises(ValueError, match="this checkpoint is of another network"):
        trainer().load_state(other.state())
    with pytest.raises(ValueError, match="blocks = 0"):
        HandTrainerConfig(blocks=0)
    assert isinstance(other.net(), HandNet)
