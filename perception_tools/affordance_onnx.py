"""The affordance encoder through onnxruntime: needs no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from perception_tools.affordance_state import OUTPUTS, FrameEncoder, Raw

ONNX_FILE: Final = "affordance.onnx"
ABOUT_KEY: Final = "habilis.affordance"
"""Key of the sizes and facts in the files' metadata."""

SHIPPED: Final = Path(__file__).parent / "weights" / "affordance"
"""Weights that come with the program, one folder per encoder."""


def open_network(file: Path, what: str, about_key: str) -> tuple[Any, dict[str, Any]]:
    """Open an exported network on one thread; return its session and what its metadata tell.

    Args:
        file: The .onnx file.
        what: What it should be, for messages.
        about_key: Key of its metadata that tells.

    Raises:
        ValueError: It is missing, or something else.
        ModuleNotFoundError: onnxruntime is not installed.
    """
    import onnxruntime

    if not file.is_file():
        raise ValueError(f"no {what} at {file}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"{file} is no ONNX model: {' '.join(str(error).split())[:200]}") from error
    text = session.get_modelmeta().custom_metadata_map.get(about_key)
    if text is None:
        raise ValueError(f"{file} is no {what}: its metadata have no {about_key}")
    return session, json.loads(text)


class OnnxEncoder(FrameEncoder):
    """An `AffordanceEncoder` that runs an exported network.

    Args:
        file: The .onnx file.

    Raises:
        ValueError: It is missing, or no affordance encoder.
        ModuleNotFoundError: onnxruntime is not installed.
    """

    def __init__(self, file: Path) -> None:
        """See the class."""
        self._session, self.about = open_network(file, "affordance encoder", ABOUT_KEY)
        net = self.about["net"]
        super().__init__(net["encoder"], net["num_points"], net["num_centres"])

    def run(self, points: NDArray[np.float32], log_scale: NDArray[np.float32]) -> Raw:
        """See `FrameEncoder.run`."""
        values = self._session.run(list(OUTPUTS), {"points": points, "log_scale": log_scale})
        return dict(zip(OUTPUTS, [np.asarray(v) for v in values], strict=True))
