"""Training of the affordance encoder: supervised, on synthetic clouds that come by number.

There is no environment: a step is a cloud, and what the loop calls success is a cloud whose tips and
opening are found. The clouds are injected, for they come from a simulator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from perception_tools.affordance_frames import NUM_FRAMES, FramedCloud, frame_cloud
from perception_tools.affordance_measure import Measured, measure
from perception_tools.affordance_nets import AffordanceNet, AffordanceNetConfig, affordance_loss
from perception_tools.affordance_state import KINDS, OTHER
from perception_tools.affordance_torch import TorchEncoder, calibrate, save_affordance
from perception_tools.geometry import FloatArray
from policies.evaluation import EvalConfig, Evaluation
from policies.training.run_folder import git_state
from policies.training.trainer import Diverged, check_finite

CALIBRATION_FIRST: Final = 1_000_000_000
"""Number of the first cloud of calibration; training never gets there."""


class LabelledCloud(Protocol):
    """A cloud with its labels, as in `sim.clouds.ToolCloud`."""

    points: FloatArray
    kind: str
    is_tool: bool
    opening_m: float
    size_range_m: tuple[float, float]
    approach: FloatArray
    across: FloatArray

    @property
    def p_tip(self) -> FloatArray:
        """Middle of the tips [m], (3,)."""
        ...


class Clouds(Protocol):
    """Where labelled clouds come from, as `sim.clouds.ToolClouds`."""

    def cloud(self, index: int) -> Any:
        """Return cloud `index`, a function of the index alone."""
        ...


@dataclass(frozen=True)
class AffordanceTrainerConfig:
    """Settings of the training.

    Attributes:
        net: Sizes of the network.
        batch_size: Clouds per step.
        frames: Frames in which each is shown, 1 to 4; all four are used later on.
        learning_rate: Largest step size of AdamW.
        weight_decay: Of AdamW.
        decay_clouds: Clouds after which the step size has come down to a hundredth, along a cosine.
        kind_weight: Weight of the classification in the loss.
        tip_m: Tips found within this count as found [m].
        opening_m: An opening found within this counts as found [m].
        calibration: Clouds on which deviations are calibrated before each evaluation.
    """

    net: AffordanceNetConfig = field(default_factory=AffordanceNetConfig)
    batch_size: int = 32
    frames: int = 2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    decay_clouds: int = 200_000
    kind_weight: float = 0.3
    tip_m: float = 0.008
    opening_m: float = 0.004
    calibration: int = 1000

    def __post_init__(self) -> None:
        """Refuse numbers that make no training."""
        if self.batch_size < 1 or not 1 <= self.frames <= NUM_FRAMES or self.calibration < 64:
            raise ValueError(
                f"batch_size = {self.batch_size}, frames = {self.frames}, calibration = {self.calibration}: "
                f"use at least 1, 1 to {NUM_FRAMES}, and at least 64"
            )


@dataclass(frozen=True)
class AffordanceEvaluator:
    """Evaluates networks of a trainer; see `policies.evaluation.Evaluator`."""

    trainer: AffordanceTrainer
    config: EvalConfig
    spec: None = None

    def __call__(self, net: Any) -> Evaluation:
        """Calibrate and measure a network."""
        return self.trainer.evaluate(net, self.config)

    def close(self) -> None:
        """Nothing is held."""


class AffordanceTrainer:
    """AdamW on clouds 0, 1, 2 ...; see `policies.training.trainer.Trainer`.

    Args:
        clouds: Where clouds come from.
        config: Settings.
        seed: Of the network and of the choice of frames.
    """

    interface = "none"

    def __init__(self, clouds: Clouds, config: AffordanceTrainerConfig | None = None, seed: int = 0) -> None:
        """See the class."""
        self.config = config or AffordanceTrainerConfig()
        self._clouds, self._seed, self._seen = clouds, seed, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._net = AffordanceNet(self.config.net)
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
        c = self.config
        rng = np.random.default_rng((self._seed, self._seen))
        numbers = range(self._seen, self._seen + c.batch_size)
        inputs, label = self._batch([self._clouds.cloud(k) for k in numbers], rng)
        for group in self._optimizer.param_groups:
            group["lr"] = c.learning_rate * _cosine(self._seen / c.decay_clouds)
        parts = affordance_loss(self._net.named(*inputs), label)
        loss = sum(((c.kind_weight if k == "kind" else 1.0) * v for k, v in parts.items()), torch.zeros(()))
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self._net.parameters(), 2.0)
        metrics = {f"loss/{name}": float(value.detach()) for name, value in parts.items()}
        check_finite(metrics | {"loss/gradient": float(norm)})
        self._optimizer.step()
        self._seen += c.batch_size
        return metrics

    def net(self) -> Any:
        """Return a copy of the network, uncalibrated."""
        copy = AffordanceNet(self.config.net)
        copy.load_state_dict(self._net.state_dict())
        return copy.eval()

    def evaluate(self, net: AffordanceNet, config: EvalConfig) -> Evaluation:
        """Calibrate a network in place, then measure it on clouds that it was not trained on.

        Args:
            net: From `net`.
            config: `episodes` clouds from number `seed` on.
        """
        first = max(config.seed, CALIBRATION_FIRST + self.config.calibration)
        known = range(CALIBRATION_FIRST, CALIBRATION_FIRST + self.config.calibration)
        encoder = TorchEncoder(net)
        calibrate(net, [self._clouds.cloud(k) for k in known])
        found = [measure(encoder, self._clouds.cloud(k)) for k in range(first, first + config.episodes)]
        good = tuple(self._is_found(m) for m in found)
        # The return of a cloud is how near the tip was [m].
        returns = tuple(-m.tip_m if m.is_tool else 0.0 for m in found)
        return Evaluation(good, returns, (1,) * len(found), 0)

    def evaluator(self, config: EvalConfig) -> AffordanceEvaluator:
        """Return what the loop evaluates with, in place of episodes of an environment."""
        return AffordanceEvaluator(self, config)

    def save_net(self, folder: Path, net: AffordanceNet, facts: Mapping[str, Any]) -> None:
        """Write a network that was evaluated, as an affordance encoder instead of a policy."""
        about = {"trainer": asdict(self.config), "seed": self._seed, "git": git_state()}
        save_affordance(folder, net, {**about, **facts})

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
                f"this checkpoint is of another encoder: {' '.join(str(error).split())[:200]}"
            ) from error

    def close(self) -> None:
        """Nothing is held."""

    def _is_found(self, m: Measured) -> bool:
        if not m.is_tool:
            return m.is_refused
        return not m.is_refused and m.tip_m <= self.config.tip_m and m.opening_m <= self.config.opening_m

    def _batch(
        self, clouds: Sequence[LabelledCloud], rng: np.random.Generator
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        net, frames = self.config.net, self.config.frames
        rows = []
        for cloud in clouds:
            framed = frame_cloud(cloud.points, net.num_points, net.num_centres)
            chosen = rng.permutation(NUM_FRAMES)[:frames]
            rows.append({"points": framed.points[chosen]} | _labels(cloud, framed, chosen))
        batch = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
        if not bool(batch["points"].isfinite().all()):
            raise Diverged("a cloud has coordinates that are not finite")
        return (batch.pop("points"), batch.pop("log_scale")), batch


def _labels(cloud: LabelledCloud, framed: FramedCloud, chosen: Any) -> dict[str, Any]:
    """Return a cloud's labels in the chosen frames, lengths in units of its scale."""
    axes, scale = framed.axes[chosen], framed.scale_m
    kind = cloud.kind if cloud.kind in KINDS else OTHER
    return {
        "log_scale": np.float32(np.log(scale)),
        "kind": np.int64(KINDS.index(kind)),
        "is_tool": np.float32(cloud.is_tool),
        "opening": np.float32(cloud.opening_m / scale),
        "size": np.float32(cloud.size_range_m[1] / scale),
        "tip": (axes @ ((cloud.p_tip - framed.center_m) / scale)).astype(np.float32),
        "approach": (axes @ cloud.approach).astype(np.float32),
        "across": (axes @ cloud.across).astype(np.float32),
    }


def _cosine(share: float) -> float:
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
