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
from perception_tools.affordance_state import OUTPUTS, FrameEncoder, Raw

WEIGHTS_FILE: Final = "affordance.safetensors"
_NOVEL: Final = 0.99  # quantile of the trained tools' latents that is taken for the limit


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
        clouds: Labelled clouds, as of `sim.clouds`; those of tools are used, at least 32.

    Raises:
        ValueError: Too few clouds of tools.
    """
    tools = [c for c in clouds if c.is_tool]
    if len(tools) < 32:
        raise ValueError(f"calibration needs at least 32 clouds of tools, got {len(tools)}")
    net.temperature.fill_(1.0)
    encoder = TorchEncoder(net)
    found = [measure(encoder, c) for c in tools]
    ratios = np.quantile([m.z for m in found], 0.683, axis=0)
    net.temperature.copy_(torch.from_numpy(ratios.astype(np.float32)))
    latents = np.array([m.latent for m in found])
    mean = latents.mean(0)
    covariance = np.cov(latents.T)
    ridge = 1e-3 * np.trace(covariance) / len(mean)
    precision = np.linalg.inv(covariance + ridge * np.eye(len(mean)))
    distance = np.sqrt(np.einsum("nd,de,ne->n", latents - mean, precision, latents - mean))
    limit = float(np.quantile(distance, _NOVEL))
    net.latent_mean.copy_(torch.from_numpy(mean.astype(np.float32)))
    net.latent_precision.copy_(torch.from_numpy((precision / limit**2).astype(np.float32)))


def save_affordance(folder: Path, net: AffordanceNet, facts: Mapping[str, Any]) -> None:
    """Write a network as safetensors and as ONNX, with its sizes and facts in the metadata of both.

    Args:
        folder: Made if there is none.
        net: The network, calibrated.
        facts: JSON values: what it was trained on, how well it does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps({"version": 1, "net": net.describe(), **facts})
    tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(tensors, str(folder / WEIGHTS_FILE), metadata={ABOUT_KEY: about})
    _export(net.eval(), folder / ONNX_FILE, about)


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
