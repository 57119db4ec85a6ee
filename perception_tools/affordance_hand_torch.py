"""Writing the network of `affordance_hand` for those without torch, and reading it back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file

from perception_tools.affordance_hand import ABOUT_KEY, ONNX_FILE, OUTPUTS
from perception_tools.affordance_hand_nets import HandNet, HandNetConfig

WEIGHTS_FILE: Final = "affordance_hand.safetensors"


def save_hand_net(folder: Path, net: HandNet, facts: Mapping[str, Any]) -> None:
    """Write a network as safetensors and as ONNX, with its sizes and facts in both.

    Args:
        folder: Made if there is none.
        net: The network.
        facts: JSON values: where it comes from.
    """
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps({"version": 1, "net": net.describe(), **facts})
    tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
    save_file(tensors, str(folder / WEIGHTS_FILE), metadata={ABOUT_KEY: about})
    file = folder / ONNX_FILE
    example = (torch.zeros(1, net.config.num_points, 4).normal_(),)
    torch.onnx.export(
        net.eval(), example, str(file), input_names=["points"], output_names=list(OUTPUTS), dynamo=False,
        opset_version=18,
    )  # fmt: skip
    model = onnx.load(str(file))
    onnx.helper.set_model_props(model, {ABOUT_KEY: about})
    onnx.save(model, str(file))


def load_hand_net(folder: Path) -> HandNet:
    """Read the safetensors that `save_hand_net` wrote.

    Raises:
        ValueError: There are none, or they are of something else.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise ValueError(f"no network for tools in a hand at {file}")
    try:
        with safe_open(str(file), "pt") as stored:
            sizes = dict(json.loads((stored.metadata() or {})[ABOUT_KEY])["net"])
        sizes.pop("kind")
        lists = {name: tuple(sizes[name]) for name in ("width", "second")}
        net = HandNet(HandNetConfig(**{**sizes, **lists}))
        net.load_state_dict(load_file(str(file)))
    except (KeyError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{file} sees no tools in a hand: {' '.join(str(error).split())[:200]}") from error
    return net.eval()
