"""Training of the network that sees a tool in a hand and the object at its tips; supervised.

There is no environment: a step is a cloud, drawn from blocks that are recorded first, and what the loop calls
success is a cloud whose tips and object are found relative to each other. Blocks are injected, for they come
from a simulator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perception_tools.affordance_hand import UNIT_M
from perception_tools.affordance_hand_nets import HandNet, HandNetConfig, hand_loss
from perception_tools.affordance_hand_torch import save_hand_net
from policies.evaluation import EvalConfig, Evaluation
from policies.training.run_folder import git_state
from policies.training.trainer import check_finite

HELD_OUT = 1_000_000
"""Number of the first block that is evaluated on; training never gets there."""


class Block(Protocol):
    """Labelled clouds, as `sim.clouds_in_hand.HandBlock`."""

    points: NDArray[np.float32]
    counts: NDArray[np.int64]
    height_m: NDArray[np.float32]
    labels: dict[str, NDArray[np.float32]]


class Scenes(Protocol):
    """Where blocks come from, as `sim.clouds_in_hand.HandScenes`."""

    def block(self, number: int) -> Any:
        """Return block `number`, a function of the number alone."""
        ...


@dataclass(frozen=True)
class HandTrainerConfig:
    """Settings of the training.

    Attributes:
        net: Sizes of the network.
        blocks: Blocks that are recorded to train on, when training begins and when it goes on.
        held_out: Blocks that are recorded to evaluate on.
        batch_size: Clouds per step.
        learning_rate: Largest step size of AdamW.
        weight_decay: Of AdamW.
        decay_clouds: Clouds after which the step size has come down to a fiftieth, along a cosine.
        turn_rad: Standard deviation of a turn about the vertical that clouds get.
        shift_m: Standard deviations of a shift, across and up [m].
        found_m: A cloud counts as found where the object's place beside the tips errs by less [m].
    """

    net: HandNetConfig = field(default_factory=HandNetConfig)
    blocks: int = 16
    held_out: int = 2
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    decay_clouds: int = 400_000
    turn_rad: float = 0.05
    shift_m: tuple[float, float] = (0.002, 0.0007)
    found_m: float = 0.004

    def __post_init__(self) -> None:
        """Refuse numbers that make no training."""
        if min(self.blocks, self.held_out, self.batch_size) < 1:
            raise ValueError(
                f"blocks = {self.blocks}, held_out = {self.held_out}, batch_size = {self.batch_size}: "
                "use at least 1 of each"
            )


@dataclass(frozen=True)
class HandEvaluator:
    """Evaluates networks of a trainer; see `policies.evaluation.Evaluator`."""

    trainer: HandTrainer
    config: EvalConfig
    spec: None = None

    def __call__(self, net: Any) -> Evaluation:
        """Measure a network."""
        return self.trainer.evaluate(net, self.config)

    def close(self) -> None:
        """Nothing is held."""


class HandTrainer:
    """AdamW on recorded clouds; see `policies.training.trainer.Trainer`.

    Args:
        scenes: Where blocks come from.
        config: Settings.
        seed: Of the network and of the choice of clouds.
    """

    interface = "none"

    def __init__(self, scenes: Scenes, config: HandTrainerConfig | None = None, seed: int = 0) -> None:
        """See the class."""
        self.config = config or HandTrainerConfig()
        self._scenes, self._seed, self._seen = scenes, seed, 0
        self._known: dict[int, list[Block]] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._net = HandNet(self.config.net)
        c = self.config
        self._optimizer = torch.optim.AdamW(
            self._net.parameters(), c.learning_rate, weight_decay=c.weight_decay
        )

    @property
    def env_steps(self) -> int:
        """Clouds seen so far."""
        return self._seen

    def advance(self) -> dict[str, float]:
        """See `Trainer.advance`: one step on one batch."""
        c, rng = self.config, np.random.default_rng((self._seed, self._seen))
        blocks = self._blocks(0, c.blocks)
        points, label = draw(blocks, c.batch_size, c.net.num_points, rng)
        points, label = moved(points, label, c, rng)
        for group in self._optimizer.param_groups:
            group["lr"] = c.learning_rate * _cosine(self._seen / c.decay_clouds)
        parts = hand_loss(self._net.named(points), label)
        self._optimizer.zero_grad()
        torch.autograd.backward(sum(parts.values(), torch.zeros(())))
        norm = torch.nn.utils.clip_grad_norm_(self._net.parameters(), 2.0)
        metrics = {f"loss/{name}": float(value.detach()) for name, value in parts.items()}
        check_finite(metrics | {"loss/gradient": float(norm)})
        self._optimizer.step()
        self._seen += c.batch_size
        return metrics

    def net(self) -> Any:
        """Return a copy of the network."""
        copy = HandNet(self.config.net)
        copy.load_state_dict(self._net.state_dict())
        return copy.eval()

    def evaluate(self, net: HandNet, config: EvalConfig) -> Evaluation:
        """Measure a network on clouds of blocks that it was not trained on.

        Args:
            net: From `net`.
            config: `episodes` clouds, drawn by `seed`.
        """
        blocks = self._blocks(HELD_OUT, self.config.held_out)
        rng = np.random.default_rng(config.seed)
        points, label = draw(blocks, config.episodes, self.config.net.num_points, rng)
        with torch.no_grad():
            out = net.named(points)
        beside = (out["object"] - out["tip"]) - (label["object"] - label["tip"])
        error_m = UNIT_M * torch.linalg.vector_norm(beside, dim=-1)
        found = tuple((error_m <= self.config.found_m).tolist())
        return Evaluation(found, tuple((-error_m).tolist()), (1,) * len(found), 0)

    def evaluator(self, config: EvalConfig) -> HandEvaluator:
        """Return what the loop evaluates with, in place of episodes of an environment."""
        return HandEvaluator(self, config)

    def save_net(self, folder: Path, net: HandNet, facts: Mapping[str, Any]) -> None:
        """Write a network that was evaluated, instead of a policy."""
        save_hand_net(
            folder, net, {"trainer": asdict(self.config), "seed": self._seed, "git": git_state(), **facts}
        )

    def state(self) -> dict[str, Any]:
        """See `Trainer.state`."""
        return {"net": self._net.state_dict(), "optimizer": self._optimizer.state_dict(), "seen": self._seen}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See `Trainer.load_state`."""
        try:
            self._net.load_state_dict(state["net"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._seen = int(state["seen"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"this checkpoint is of another network: {' '.join(str(error).split())[:200]}"
            ) from error

    def close(self) -> None:
        """Nothing is held."""

    def _blocks(self, first: int, num: int) -> list[Block]:
        """Return blocks, recorded when they are first asked for."""
        if first not in self._known:
            self._known[first] = [self._scenes.block(k) for k in range(first, first + num)]
        return self._known[first]


def draw(
    blocks: list[Block], num: int, num_points: int, rng: np.random.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw clouds from blocks.

    Returns:
        What the network reads, (num, num_points, 4), and labels by name, (num, k).
    """
    sizes = np.cumsum([len(b.counts) for b in blocks])
    chosen = rng.integers(0, sizes[-1], num)
    of = np.searchsorted(sizes, chosen, side="right")
    row = chosen - np.concatenate(([0], sizes))[of]
    points, labels = [], {name: [] for name in blocks[0].labels}
    for b, k in zip(of, row, strict=True):
        block = blocks[b]
        some = block.points[k, rng.integers(0, block.counts[k], num_points)]
        points.append(np.column_stack((some, some[:, 2] + block.height_m[k])) / UNIT_M)
        for name, values in labels.items():
            values.append(block.labels[name][k])
    stacked = torch.from_numpy(np.stack(points).astype(np.float32))
    return stacked, {name: torch.from_numpy(np.stack(values)) for name, values in labels.items()}


def moved(
    points: Tensor, label: Mapping[str, Tensor], config: HandTrainerConfig, rng: np.random.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Turn clouds a little about the vertical and shift them, with their labels."""
    num, (across, up) = len(points), config.shift_m
    angle = torch.from_numpy(rng.normal(0.0, config.turn_rad, num).astype(np.float32))
    shift = rng.normal(0.0, (across, across, up), (num, 3)) / UNIT_M
    offset = torch.from_numpy(shift.astype(np.float32))
    c, s = torch.cos(angle), torch.sin(angle)
    turn = torch.zeros(num, 3, 3)
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = c, -s, s, c, 1.0
    xyz = points[..., :3] @ turn.mT + offset[:, None]
    # A shift up is an error of the camera's: heights over the table shift with it.
    out = dict(label)
    for name in ("tip", "object"):
        out[name] = (turn @ label[name][..., None])[..., 0] + offset
    y, z = label["axes"][:, :3, None], label["axes"][:, 3:, None]
    out["axes"] = torch.cat(((turn @ y)[..., 0], (turn @ z)[..., 0]), -1)
    c, s = torch.cos(angle / 2), torch.sin(angle / 2)
    w, x, y, z = label["quat"].unbind(-1)
    out["quat"] = torch.stack((c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w), -1)
    return torch.cat((xyz, points[..., 3:] + offset[:, None, 2:]), -1), out


def _cosine(share: float) -> float:
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
