"""The complete state of an environment as named arrays, in memory or in an .npz file.

It states the settings that it belongs to: under other ones the run would not go on as it was, so a
state of other settings is refused.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from sim.batch.env import EnvConfig
    from sim.batch.physics import Physics
    from sim.batch.task import Task

Arrays = dict[str, NDArray[Any]]

_SETTINGS: Final = "settings"
_PHYSICS: Final = "physics."
_MEMORY: Final = "env."
_ENV_SETTINGS: Final = ("auto_reset", "stop_on_success", "curriculum")


def settings_of(task: Task, config: EnvConfig) -> dict[str, Any]:
    """Return what a state belongs to: the task, its settings, and those of the environment that matter.

    Seeds are part of the state; folders, threads and room for contacts do not change what happens.
    """
    env = asdict(config)
    ours = {f"env.{name}": env[name] for name in _ENV_SETTINGS} | {"sim": config.physics.backend}
    own = {f"env.task.{name}": value for name, value in asdict(task.config).items() if value != {}}
    return json.loads(json.dumps({"task": task.name} | ours | own))


def pack(settings: Mapping[str, Any], physics: Physics, memory: Mapping[str, Tensor]) -> Arrays:
    """Return the state of physics and what the environment remembers, as arrays of numbers."""
    arrays = {_PHYSICS + k: np.asarray(v) for k, v in physics.save().items()}
    arrays |= {_MEMORY + k: v.to("cpu", copy=True).numpy() for k, v in memory.items()}
    return arrays | {_SETTINGS: np.frombuffer(json.dumps(settings).encode(), np.uint8).copy()}


def unpack(
    arrays: Mapping[str, NDArray[Any]],
    settings: Mapping[str, Any],
    physics: Physics,
    memory: Mapping[str, Tensor],
    where: str,
) -> None:
    """Continue from what `pack` returned; nothing is changed if it does not fit.

    Args:
        arrays: What `pack` returned.
        settings: Of the environment that continues.
        physics: Its physics.
        memory: What it remembers; overwritten.
        where: Where the arrays come from, for messages.

    Raises:
        ValueError: If it is of other settings, another model or number of environments; names what differs.
    """
    _check_settings(arrays, settings, where)
    missing = [k for k in memory if _MEMORY + k not in arrays]
    if missing:
        names = ", ".join(missing[:3])
        raise ValueError(f"{where} has no {names}; it is not a state of task {settings['task']}")
    for key, value in memory.items():
        stored = arrays[_MEMORY + key]
        if stored.shape != tuple(value.shape):
            raise ValueError(f"{key} in {where} has shape {stored.shape}, expected {tuple(value.shape)}")
    physics.load({k.removeprefix(_PHYSICS): v for k, v in arrays.items() if k.startswith(_PHYSICS)})
    for key, value in memory.items():
        value.copy_(torch.as_tensor(np.asarray(arrays[_MEMORY + key])))


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to an .npz file."""
    with path.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def read(path: Path) -> Arrays:
    """Return the arrays of an .npz file.

    Raises:
        ValueError: If there is no such file or it is none.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an .npz file")
    with np.load(path, allow_pickle=False) as stored:
        return {k: stored[k] for k in stored.files}


def _check_settings(arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any], where: str) -> None:
    if _SETTINGS not in arrays:
        raise ValueError(f"{where} has no settings; it is not a state of task {settings['task']}")
    stored = json.loads(np.asarray(arrays[_SETTINGS], np.uint8).tobytes())
    if stored.get("task") != settings["task"]:
        raise ValueError(f"{where} is a state of task {stored.get('task')}, not of task {settings['task']}")
    for name in (*settings, *stored):
        theirs, ours = stored.get(name, "unset"), settings.get(name, "unset")
        if theirs != ours:
            raise ValueError(
                f"{name} is {theirs!r} in {where}, here it is {ours!r}; "
                "build the environment with the settings that the state was saved under"
            )
