"""The affordance encoder in torch: running it, calibrating it, and writing it for those without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from perception_tools.affordance_measure import measure
from perception_tools.affordance_nets import AffordanceNet, AffordanceNetConfig
from perception_tools.affordance_onnx import ABOUT_KEY, ONNX_FILE
from perception_tools.affordance_state import OUTPUTS, TOOLS, FrameEncoder, Raw
from perception_tools.geometry import FloatArray

WEIGHTS_FILE: Final = "affordance.safetensors"
CARD_FILE: Final = "card.md"
_LIMITS: Final = """
Limits: one tool per cloud, without table or hand. Kinds that it was not trained on (tongs) are refused or,
worse, taken for another kind with the wrong end as the tips. The greatest size is what trained tools of this
kind and size open to; a cloud does not show it. Trained on synthetic clouds alone.
"""
_NOVEL: Final = 0.99  # quantile of the trained tools' latents that is taken for the limit
_SHRINK: Final = 1e-2


class TorchEncoder(FrameEncoder):
    """An `AffordanceEncoder` that runs a network in torch.

    Args:
        net: The network.
    """

    def __init__(self, net: AffordanceNet) -> None:
        """See the class."""
        super().__init__(net.config.encoder, net.config.num_points, net.config.num_centres)
        self.net = net.eval()

    def run(self, points: NDArray[np.float32], log_scale: NDArray[np.float32]) -> Raw:
        """See `FrameEncoder.run`."""
        with torch.no_grad():
            out = self.net.named(torch.from_numpy(points), torch.from_numpy(log_scale))
        return {name: value.numpy() for name, value in out.items()}


def calibrate(net: AffordanceNet, clouds: Sequence[Any]) -> None:
    """Set a network's temperatures and the limit of novelty from clouds it was not trained on.

    A temperature is the 68.3 % quantile of errors in units of the predicted ones, so that intervals cover
    what they say (split conformal prediction).

    Args:
        net: Changed in place.
        clouds: Labelled clouds, as of `sim.clouds`; those of tools are used, at least 8 of each kind.

    Raises:
        ValueError: Too few clouds of tools.
    """
    tools = [c for c in clouds if c.is_tool]
    few = min((sum(c.kind == kind for c in tools), kind) for kind in TOOLS)
    if few[0] < 8:
        raise ValueError(
            f"calibration needs at least 8 clouds of every kind of tools, got {few[0]} of {few[1]}"
        )
    net.temperature.fill_(1.0)
    encoder = TorchEncoder(net)
    found = [measure(encoder, c) for c in tools]
    ratios = np.quantile([m.z for m in found], 0.683, axis=0)
    net.temperature.copy_(torch.from_numpy(ratios.astype(np.float32)))
    latents, kinds = np.array([m.latent for m in found]), np.array([c.kind for c in tools])
    fits = [_normal(latents[kinds == kind]) for kind in TOOLS]
    nearest = np.min([_distance(latents, *fit) for fit in fits], axis=0)
    limit = float(np.quantile(nearest, _NOVEL))
    net.latent_mean.copy_(torch.from_numpy(np.stack([mean for mean, _ in fits]).astype(np.float32)))
    precision = np.stack([p for _, p in fits]) / limit**2
    net.latent_precision.copy_(torch.from_numpy(precision.astype(np.float32)))


def _normal(latents: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean (32,) and inverse covariance (32, 32) of latents, shrunk for there are few."""
    covariance = np.cov(latents.T)
    ridge = _SHRINK * np.trace(covariance) / len(covariance)
    return latents.mean(0), np.linalg.inv(covariance + ridge * np.eye(len(covariance)))


def _distance(latents: FloatArray, mean: FloatArray, precision: FloatArray) -> FloatArray:
    offset = latents - mean
    return np.sqrt(np.einsum("nd,de,ne->n", offset, precision, offset))


def save_affordance(folder: Path, net: AffordanceNet, facts: Mapping[str, Any]) -> None:
    """Write a network as safetensors and as ONNX, with its sizes and facts in both, and a card.

    Args:
        folder: Made if there is none.
        net: The network, calibrated.
        facts: JSON values. Known keys: `experiment`, `seed`, `env_steps` (clouds), `trainer` (its
            settings), `schedule`, `git`, `evaluation` (`score`, `n`, `ci95`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps({"version": 1, "net": net.describe(), **facts})
    tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(tensors, str(folder / WEIGHTS_FILE), metadata={ABOUT_KEY: about})
    _export(net.eval(), folder / ONNX_FILE, about)
    (folder / CARD_FILE).write_text(_card(net, facts), encoding="utf-8")


def load_affordance(folder: Path) -> AffordanceNet:
    """Read the safetensors that `save_affordance` wrote.

    Raises:
        ValueError: There are none, or they are no affordance encoder.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise ValueError(f"no affordance encoder at {file}")
    try:
        with safe_open(str(file), "pt") as stored:
            about = json.loads((stored.metadata() or {})[ABOUT_KEY])
        sizes = dict(about["net"])
        sizes.pop("kind")
        net = AffordanceNet(AffordanceNetConfig(**{**sizes, "width": tuple(sizes["width"])}))
        net.load_state_dict(load_file(str(file)))
    except (KeyError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        text = " ".join(str(error).split())[:200]
        raise ValueError(f"{file} is no affordance encoder of this program: {text}") from error
    return net.eval()


def _export(net: AffordanceNet, file: Path, about: str) -> None:
    import onnx

    c = net.config
    example = (torch.zeros(1, 4, c.num_points, 3).normal_(), torch.zeros(1) - 3.0)
    torch.onnx.export(
        net, example, str(file), input_names=["points", "log_scale"], output_names=list(OUTPUTS),
        dynamo=False, opset_version=18,
    )  # fmt: skip
    model = onnx.load(str(file))
    onnx.helper.set_model_props(model, {ABOUT_KEY: about})
    onnx.save(model, str(file))


def _card(net: AffordanceNet, facts: Mapping[str, Any]) -> str:
    """Return what a reader must know of the weights, as Markdown."""
    seen, settings = facts.get("evaluation", {}), facts.get("trainer", {})
    num = sum(p.numel() for p in net.parameters())
    low, high = seen.get("ci95", (float("nan"), float("nan")))
    tip, opening = (1e3 * float(settings.get(k, float("nan"))) for k in ("tip_m", "opening_m"))
    commit = str(facts.get("git", {}).get("commit", "unknown"))[:12]
    origin = f"`{facts.get('experiment', 'affordance')}`, seed {facts.get('seed', '?')}, commit {commit}"
    rows = [
        ("experiment", origin),
        (
            "trained on",
            f"{facts.get('env_steps', 0):,} synthetic clouds of tweezers, scissors and pliers (`TRAINED` in "
            "`sim/clouds_tools.py`), and of things without jaws",
        ),
        *([("schedule", str(facts["schedule"]))] if "schedule" in facts else []),
        (
            "evaluation",
            f"{seen.get('score', float('nan')):.3f} (95 %: {low:.3f} to {high:.3f}) of {seen.get('n', 0)} "
            "other clouds of the trained tools, corrupted as in training: "
            f"tips within {tip:.0f} mm and the opening within "
            f"{opening:.0f} mm; things without jaws refused",
        ),
        ("held out", "other sizes, and tongs: `docs/affordance.md`, by `tests/bench/bench_affordance.py`"),
    ]
    return "\n".join(
        [
            f"# Affordance encoder `{net.config.encoder}`\n",
            "From the cloud of one tool to its kind, opening, greatest size, tip pose and a latent without",
            f"pose, with calibrated deviations. {num:,} parameters, {net.config.num_points} points.",
            f"`{WEIGHTS_FILE}` and `{ONNX_FILE}` are the same network.\n",
            "| | |\n|---|---|",
            *(f"| {name} | {text} |" for name, text in rows),
            _LIMITS,
        ]
    )
