"""A policy network as one ONNX file: observations by name, metadata and weights inside."""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from perception_tools.geometry import FloatArray
from policies.networks import PolicyNet
from policies.onnx_policy import (
    DIGEST_KEY,
    FORMAT,
    FORMAT_KEY,
    NEXT,
    NO_DIGEST,
    SPEC_KEY,
    OnnxPolicy,
    seal_onnx,
    spec_to_json,
)
from policies.policy import PolicySpec

OPSET: Final = 20
TOLERANCE: Final = 1e-5
"""Largest difference of an action between torch and onnxruntime."""

SPREADS: Final = (1.0, 100.0, 1e6)
"""Standard deviations of the random observations that the two are compared at."""


def to_onnx(net: PolicyNet, spec: PolicySpec, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the network as a self-contained ONNX file, compared with torch.

    Inputs are the observations that the network reads, (batch, *shape) float32, then what it remembers;
    outputs are `action` and the next values of what it remembers.

    Args:
        net: The network, on the CPU.
        spec: Specs of those observations.
        metadata: What goes into the file's metadata besides format, specs and digest.

    Raises:
        ValueError: If a package is missing, or onnxruntime acts differently from torch.
    """
    model = _convert(net, spec)
    for owner in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        owner.ClearField("metadata_props")  # torch's traces, with the paths of this machine
    import onnx

    texts = {FORMAT_KEY: str(FORMAT), SPEC_KEY: spec_to_json(spec), **(metadata or {}), DIGEST_KEY: NO_DIGEST}
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model)
    data = seal_onnx(model.SerializeToString())
    check_parity(net, spec, data)
    return data


def _convert(net: PolicyNet, spec: PolicySpec) -> Any:
    """Return the network as an `onnx.ModelProto`, by torch's exporter."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(f"export needs {error.name}; pip install 'habilis[train]'") from error
    shapes = [*(spec.obs[k].shape for k in net.keys), *net.hidden.values()]
    batch = torch.export.Dim("batch")
    with _quiet(), torch.random.fork_rng(devices=[]):
        program = torch.onnx.export(
            _Flat(net).eval(),
            tuple(torch.zeros(3, *shape) for shape in shapes),
            input_names=[*net.keys, *net.hidden],
            output_names=["action", *(NEXT + k for k in net.hidden)],
            opset_version=OPSET,
            dynamic_shapes={"inputs": tuple({0: batch} for _ in shapes)},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


class _Flat(nn.Module):
    """Gives every network's inputs one name, which `dynamic_shapes` needs."""

    def __init__(self, net: PolicyNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> Any:
        return self.net(*inputs)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the screen what torch's exporter says of itself (no torchvision, names of dimensions)."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def check_parity(net: PolicyNet, spec: PolicySpec, data: bytes, steps: int = 4, batch: int = 32) -> float:
    """Return the largest difference of actions between torch and an ONNX file.

    Large weights amplify the rounding of float32, so a difference may be as large as what it costs torch
    itself, compared with float64, if that is more than `TOLERANCE`.

    Args:
        net: The network, on the CPU.
        spec: Specs of what it reads.
        data: The file.
        steps: Consecutive steps per spread of the inputs, as recurrent networks drift apart with time.
        batch: Observations per step.

    Raises:
        ValueError: If the difference is larger.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        path.write_bytes(data)
        runner = OnnxPolicy(path)
    random, worst = np.random.default_rng(0), 0.0
    exact = copy.deepcopy(net).double()
    for spread in SPREADS:
        shapes = {k: (batch, *spec.obs[k].shape) for k in net.keys}
        obs = [{k: random.normal(0.0, spread, s) for k, s in shapes.items()} for _ in range(steps)]
        single, double = (_actions(n, obs, t) for n, t in ((net, torch.float32), (exact, torch.float64)))
        runner.reset()
        ours = np.stack([runner.act(o) for o in obs])
        error, rounding = np.abs(ours - single).max(), np.abs(single - double).max()
        if not error <= max(TOLERANCE, 4.0 * rounding):
            raise ValueError(
                f"the ONNX file acts differently from torch, by {error:.2g}; nothing was written"
            )
        worst = max(worst, float(error))
    return worst


@torch.no_grad()
def _actions(net: PolicyNet, obs: list[dict[str, FloatArray]], dtype: torch.dtype) -> FloatArray:
    """Return the actions of consecutive observations, float64 (steps, batch, num_actions)."""
    batch = len(next(iter(obs[0].values())))
    memory = [torch.zeros(batch, *shape, dtype=dtype) for shape in net.hidden.values()]
    found = []
    for now in obs:
        # What the runner is given is rounded to float32 in any case.
        inputs = [torch.from_numpy(now[k]).float().to(dtype) for k in net.keys]
        out = net(*inputs, *memory)
        action, *memory = out if net.hidden else (out,)
        found.append(action.double().numpy())
    return np.stack(found)
