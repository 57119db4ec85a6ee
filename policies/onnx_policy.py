"""A policy stored as one ONNX file, its specs inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception_tools.geometry import FloatArray
from policies.policy import ArraySpec, PolicySpec

SPEC_KEY = "habilis.policy_spec"
"""Key of the specs in the file's metadata."""


def spec_to_json(spec: PolicySpec) -> str:
    """Return specs as JSON text; unbounded entries are null."""

    def array(a: ArraySpec) -> dict[str, Any]:
        low, high = (x if np.isfinite(x) else None for x in (a.low, a.high))
        return {"shape": list(a.shape), "names": list(a.names), "unit": a.unit, "low": low, "high": high}

    return json.dumps(
        {
            "version": 1,
            "obs": {k: array(v) for k, v in spec.obs.items()},
            "action": array(spec.action),
            "goal": array(spec.goal) if spec.goal else None,
            "step_dt": spec.step_dt,
        }
    )


def spec_from_json(text: str) -> PolicySpec:
    """Read what `spec_to_json` wrote.

    Raises:
        ValueError: If the text is of another version or lacks a key; names it.
    """

    def array(d: Mapping[str, Any]) -> ArraySpec:
        low = float("-inf") if d["low"] is None else d["low"]
        high = float("inf") if d["high"] is None else d["high"]
        return ArraySpec(tuple(d["shape"]), tuple(d["names"]), d["unit"], low, high)

    try:
        stored = json.loads(text)
        if stored["version"] != 1:
            raise ValueError(f"policy spec of version {stored['version']}, this program reads version 1")
        goal = array(stored["goal"]) if stored["goal"] else None
        obs = {k: array(v) for k, v in stored["obs"].items()}
        return PolicySpec(obs, array(stored["action"]), goal, float(stored["step_dt"]))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"the policy's spec cannot be read: {error!r}") from error


class OnnxPolicy:
    """A feed-forward policy whose inputs are named like its observations, (batch, *shape) float32.

    Args:
        path: The .onnx file; its metadata `habilis.policy_spec` holds the specs.

    Raises:
        ValueError: If the file is missing, is no ONNX model, or has no or unfitting specs.
    """

    def __init__(self, path: Path) -> None:
        """See the class."""
        import onnxruntime

        if not Path(path).is_file():
            raise ValueError(f"no policy at {path}; give the path of an exported .onnx file")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        except Exception as error:
            raise ValueError(f"{path} is not an ONNX model: {error}") from error
        text = self._session.get_modelmeta().custom_metadata_map.get(SPEC_KEY)
        if text is None:
            raise ValueError(f"{path} has no {SPEC_KEY} in its metadata; export it with its specs")
        self._spec = spec_from_json(text)
        self._inputs = [i.name for i in self._session.get_inputs()]
        unknown = [name for name in self._inputs if name not in self._spec.obs]
        if unknown:
            raise ValueError(f"{path} reads {unknown[0]!r}, which is not in its specs")

    @property
    def spec(self) -> PolicySpec:
        """See `Policy.spec`."""
        return self._spec

    def reset(self) -> None:
        """See `Policy.reset`: nothing is remembered."""

    def act(self, obs: Mapping[str, FloatArray]) -> FloatArray:
        """See `Policy.act`."""
        feed = {name: np.asarray(obs[name], np.float32) for name in self._inputs}
        single = feed[self._inputs[0]].ndim == len(self._spec.obs[self._inputs[0]].shape)
        if single:
            feed = {name: value[None] for name, value in feed.items()}
        action = np.asarray(self._session.run(None, feed)[0], np.float64)
        return action[0] if single else action
