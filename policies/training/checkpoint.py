"""Checkpoints: a tree of numbers and arrays in one folder, written whole or not at all, without pickle."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file

VERSION: Final = 1
TENSORS, TREE = "tensors.safetensors", "tree.json"
_KIND: Final = "__habilis__"


def save_checkpoint(folder: Path, tree: Mapping[str, Any], *, keep_previous: bool = False) -> None:
    """Write a tree; `folder` is there afterwards, complete, or as it was before.

    Args:
        folder: Where; an older checkpoint there is replaced.
        tree: Dicts with string keys, lists, tuples, tensors, arrays, numbers, strings, None.
        keep_previous: Keep the one that is replaced, see `previous_of`.

    Raises:
        OSError: If it can't be written, for instance because the disk is full.
        TypeError: If the tree holds anything else; says where.
    """
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps({"version": VERSION, "tree": _encode(tree, "", tensors)})
    new, old = folder.with_name(folder.name + ".new"), previous_of(folder)
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        save_file(tensors, str(new / TENSORS))
        (new / TREE).write_text(text, encoding="utf-8")
        for file in new.iterdir():
            _fsync(file)
        _fsync(new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if folder.exists():  # else the machine died between these renames, and the old one is all there is
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    new.rename(folder)
    _fsync(folder.parent)
    if not keep_previous:
        shutil.rmtree(old, ignore_errors=True)


def previous_of(folder: Path) -> Path:
    """Return where the checkpoint is that the one in `folder` has replaced, if it was kept."""
    return folder.with_name(folder.name + ".old")


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; arrays come back as arrays, tensors as CPU tensors.

    Raises:
        ValueError: If there is no checkpoint, it is damaged, or of another version.
    """
    folder = _complete(folder)
    try:
        stored = json.loads((folder / TREE).read_text(encoding="utf-8"))
        if stored["version"] != VERSION:
            raise ValueError(f"{folder} is of version {stored['version']}, this program reads {VERSION}")
        return _decode(stored["tree"], load_file(str(folder / TENSORS)))
    except ValueError as error:
        raise ValueError(f"{folder} is no checkpoint of this program: {error}") from error
    except Exception as error:
        raise ValueError(f"the checkpoint {folder} cannot be read: {error}") from error


def _complete(folder: Path) -> Path:
    """Return the folder, or its predecessor where the machine died between the two renames."""
    if not folder.exists() and previous_of(folder).exists():
        return previous_of(folder)
    if not (folder / TREE).is_file():
        raise ValueError(f"no checkpoint at {folder}")
    return folder


def has_checkpoint(folder: Path) -> bool:
    """Return whether `load_checkpoint` finds one."""
    return any((f / TREE).is_file() for f in (folder, previous_of(folder)))


def random_state() -> dict[str, Any]:
    """Return the state of the global random generators of torch, NumPy and Python."""
    name, keys, pos, has_gauss, gauss = np.random.get_state()
    kind, words, extra = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": {"name": name, "keys": keys, "pos": pos, "has_gauss": has_gauss, "gauss": gauss},
        "python": {"kind": kind, "words": list(words), "extra": extra},
    }
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Restore what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    n, p = state["numpy"], state["python"]
    np.random.set_state((n["name"], n["keys"], n["pos"], n["has_gauss"], n["gauss"]))
    random.setstate((p["kind"], tuple(p["words"]), p["extra"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def _encode(node: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, torch.Tensor):
        # A copy each, as safetensors refuses tensors that share memory.
        tensors[path] = node.detach().cpu().contiguous().clone()
        return {_KIND: "tensor", "key": path}
    if isinstance(node, np.ndarray):
        if node.dtype.kind in "US":
            return {_KIND: "text", "value": node.tolist()}
        tensors[path] = torch.from_numpy(np.ascontiguousarray(node)).clone().reshape(node.shape)
        return {_KIND: "array", "key": path}
    if isinstance(node, np.generic):
        return node.item()
    if isinstance(node, Mapping):
        if not all(isinstance(k, str | int) for k in node):
            raise TypeError(f"a checkpoint's dict at {path or 'the top'} has keys that are no strings")
        items = {str(k): _encode(v, f"{path}/{k}", tensors) for k, v in node.items()}
        if any(isinstance(k, int) for k in node):  # as in the state of torch's optimizers
            return {_KIND: "int_keys", "value": items}
        return items
    if isinstance(node, list | tuple):
        return [_encode(v, f"{path}/{k}", tensors) for k, v in enumerate(node)]
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(f"a checkpoint can't hold a {type(node).__name__} (at {path})")


def _decode(node: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(node, list):
        return [_decode(v, tensors) for v in node]
    if not isinstance(node, dict):
        return node
    kind = node.get(_KIND)
    if kind == "tensor":
        return tensors[node["key"]]
    if kind == "array":
        return tensors[node["key"]].numpy()
    if kind == "text":
        return np.array(node["value"])
    if kind == "int_keys":
        return {int(k): _decode(v, tensors) for k, v in node["value"].items()}
    return {k: _decode(v, tensors) for k, v in node.items()}


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
