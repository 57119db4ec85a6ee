"""A policy stored as one ONNX file, its specs inside; runs without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from perception_tools.geometry import FloatArray
from policies.policy import ArraySpec, PolicySpec

SPEC_KEY: Final = "habilis.policy_spec"
"""Key of the specs in the file's metadata."""
NETWORK_KEY: Final = "habilis.network"
"""Key of what `PolicyNet.describe` returned."""
ABOUT_KEY: Final = "habilis.about"
"""Key of where the policy comes from: task, experiment, seed, success ... ."""
FORMAT_KEY: Final = "habilis.format"
"""Key of the version of the file's layout."""
DIGEST_KEY: Final = "habilis.sha256"
"""Key of the digest of everything else."""

FORMAT: Final = 1
"""The layout that this program writes; it reads `OLDEST_FORMAT` to this one."""
OLDEST_FORMAT: Final = 1

_WRITTEN_BY_US: Final = frozenset((DIGEST_KEY, FORMAT_KEY, NETWORK_KEY, ABOUT_KEY))
"""Keys that only files have that habilis wrote, which are sealed; files made elsewhere have specs alone."""

NEXT: Final = "next_"
"""Prefix of the outputs that are the next values of inputs: what a recurrent policy remembers."""

NO_DIGEST: Final = "0" * 64
"""Stands where the digest of an ONNX file will be, while it is computed."""


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


def read_policy_file(path: Path) -> bytes:
    """Return a policy's file, unless it is a pickle or an archive that may hold one.

    Raises:
        ValueError: If there is no such file, or it is of these kinds.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"no policy at {path}: {error.strerror}") from error
    if is_safetensors(data):  # first, as the length of its header may look like any magic number
        return data
    kind = None
    if data[:1] == b"\x80" and data[1:2] <= b"\x05":
        kind = "a pickle"
    elif data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        kind = "a zip archive (torch.save, Stable-Baselines3), which may hold pickles"
    elif data[:2] == b"\x1f\x8b" or data[257:262] == b"ustar":
        kind = "an archive, which may hold pickles"
    if kind:
        raise ValueError(
            f"{path} is {kind}: refused, as it could run code; give a .safetensors or .onnx file"
        )
    return data


def is_safetensors(data: bytes) -> bool:
    """Return whether a file begins like safetensors: the length of a JSON header, then the header."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def check_format(path: Path, text: str | None) -> None:
    """Refuse a layout that this program does not read.

    Raises:
        ValueError: Says whether it is too new or too old.
    """
    if text is None or not text.isdecimal():
        raise ValueError(f"{path} is no policy of habilis: its metadata has no {FORMAT_KEY}")
    if int(text) > FORMAT:
        raise ValueError(
            f"{path} was made by a newer version of habilis (format {text}, this one reads {FORMAT}); update"
        )
    if int(text) < OLDEST_FORMAT:
        raise ValueError(f"{path} has format {text}, which is no longer read; export it again")


def seal_onnx(data: bytes) -> bytes:
    """Return an ONNX file with its digest in the place of `NO_DIGEST`."""
    if data.count(NO_DIGEST.encode()) != 1:
        raise ValueError("an ONNX file to seal has its digest's place exactly once")
    return data.replace(NO_DIGEST.encode(), hashlib.sha256(data).hexdigest().encode())


def check_onnx_seal(path: Path, data: bytes, digest: str) -> None:
    """Refuse an ONNX file that was changed since it was sealed.

    Raises:
        ValueError: If it was.
    """
    is_whole = len(digest) == len(NO_DIGEST)
    blank = data.replace(digest.encode(), NO_DIGEST.encode()) if is_whole else data
    if not is_whole or hashlib.sha256(blank).hexdigest() != digest:
        raise ValueError(f"{path} was changed after it was made (its sha256 does not fit); export it again")


class OnnxPolicy:
    """A policy whose inputs are named like its observations, (batch, *shape) float32.

    A recurrent one has inputs such as `hidden` with outputs `next_hidden`; it keeps them between calls.

    Args:
        path: The .onnx file; its metadata `habilis.policy_spec` holds the specs.

    Raises:
        ValueError: If the file is missing, is no ONNX model, was changed, or has no or unfitting specs.
    """

    def __init__(self, path: Path) -> None:
        """See the class."""
        path = Path(path)
        data = read_policy_file(path)
        self._session = _session(path, data)
        meta = self._session.get_modelmeta().custom_metadata_map
        if SPEC_KEY not in meta:
            raise ValueError(f"{path} has no {SPEC_KEY} in its metadata; export it with its specs")
        if not _WRITTEN_BY_US.isdisjoint(meta):
            check_format(path, meta.get(FORMAT_KEY))
            check_onnx_seal(path, data, meta.get(DIGEST_KEY, ""))
        self._spec = spec_from_json(meta[SPEC_KEY])
        self.about: Mapping[str, Any] = json.loads(meta.get(ABOUT_KEY, "{}"))
        self._outputs = [o.name for o in self._session.get_outputs()]
        self._memory: dict[str, Any] | None = None
        self._remembers: dict[str, tuple[int, ...]] = {}
        self._inputs = []
        for given in self._session.get_inputs():
            name, shape = given.name, tuple(given.shape[1:])
            if NEXT + name in self._outputs:
                self._remembers[name] = shape
            elif name not in self._spec.obs:
                raise ValueError(f"{path} reads {name!r}, which is not in its specs")
            elif shape != self._spec.obs[name].shape:
                raise ValueError(f"{path} reads {name} of {shape}, in its specs {self._spec.obs[name].shape}")
            else:
                self._inputs.append(name)

    @property
    def spec(self) -> PolicySpec:
        """See `Policy.spec`."""
        return self._spec

    def reset(self) -> None:
        """See `Policy.reset`."""
        self._memory = None

    def act(self, obs: Mapping[str, FloatArray]) -> FloatArray:
        """See `Policy.act`.

        Raises:
            ValueError: If an observation is missing or has another shape.
        """
        feed, single = self._feed(obs)
        found = self._session.run(self._outputs, feed)
        if self._remembers:
            by_name = dict(zip(self._outputs, found, strict=True))
            self._memory = {name: by_name[NEXT + name] for name in self._remembers}
        action = np.asarray(found[0], np.float64)
        return action[0] if single else action

    def _feed(self, obs: Mapping[str, FloatArray]) -> tuple[dict[str, Any], bool]:
        """Return the network's inputs, and whether there was no batch dimension."""
        feed: dict[str, Any] = {}
        single = False
        for name in self._inputs:
            shape = self._spec.obs[name].shape
            if name not in obs:
                raise ValueError(f"the policy reads {name!r}; it was given {', '.join(obs)}")
            value = np.asarray(obs[name], np.float32)
            single = value.ndim == len(shape)
            if value.shape[0 if single else 1 :] != shape:
                raise ValueError(f"the policy reads {name} of shape {shape}, it was given {value.shape}")
            feed[name] = value[None] if single else value
        if self._remembers:
            batch = len(feed[self._inputs[0]])
            if self._memory is None:
                shapes = self._remembers.items()
                self._memory = {name: np.zeros((batch, *shape), np.float32) for name, shape in shapes}
            remembered = len(next(iter(self._memory.values())))
            if remembered != batch:
                raise ValueError(f"the policy remembers {remembered} episodes, not {batch}; reset it first")
            feed.update(self._memory)
        return feed, single


def _session(path: Path, data: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"{path} is not an ONNX model: {error}") from error
