"""Physics on CPU threads: `mujoco.batch.Batch` behind the `Physics` contract.

The batch is persistent (one MjData per simulation), so that refreshing positions and velocities
after a step is the first half of the next one and costs nothing extra. Fields are cast once per step
from MuJoCo's float64 rows to float32 tensors.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import MODEL_FIELDS, Batch
from numpy.typing import NDArray
from torch import Tensor

from sim.batch.physics import (
    STATE_FIELDS,
    BareSteps,
    CapacityError,
    PhysicsConfig,
    check_saved,
    check_shape,
)

_LOG = logging.getLogger(__name__)
_VEL = int(mujoco.mjtStage.mjSTAGE_VEL)
_NONE = int(mujoco.mjtStage.mjSTAGE_NONE)

_DIVERGED = [
    int(w)
    for w in (
        mujoco.mjtWarning.mjWARN_BADQPOS,
        mujoco.mjtWarning.mjWARN_BADQVEL,
        mujoco.mjtWarning.mjWARN_BADQACC,
        mujoco.mjtWarning.mjWARN_BADCTRL,
    )
]
_OVERFLOWED = [int(mujoco.mjtWarning.mjWARN_CONTACTFULL), int(mujoco.mjtWarning.mjWARN_CNSTRFULL)]
_COUNT = 1  # column of mjWarningStat.number
_DEFAULTS_OF_STATE = {"qpos0", "body_pos", "body_quat", "eq_active0"}  # model fields that a reset reads


class CpuPhysics:
    """See `Physics`; bit-identical for any number of threads.

    Args:
        model: Compiled model.
        num_envs: Number of simulations.
        config: `num_threads` is used.

    Raises:
        ValueError: If the device is not `cpu` or a number is out of range.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, config: PhysicsConfig) -> None:
        """See the class."""
        if config.device != "cpu":
            raise ValueError(f"sim=cpu computes on device cpu, not {config.device!r}; use sim=warp for a GPU")
        if config.nconmax or config.njmax:
            raise ValueError("nconmax and njmax are for sim=warp; sim=cpu takes num_threads")
        if config.num_threads < 0:
            raise ValueError(f"num_threads is {config.num_threads}; use 0 for all cores or a positive number")
        mujoco.set_mju_user_warning(_log_warning)  # `faults` counts and reports what went bad
        threads = config.num_threads or len(os.sched_getaffinity(0))
        self.model, self.num_envs, self.device = model, num_envs, torch.device("cpu")
        self._batch = Batch(model, num_envs, min(threads, num_envs), persistent=True)
        self._initial = self._batch.state[0].copy()
        self._ctrl = self._batch.bind("ctrl")
        self._own_fields: set[str] = set()
        self._fields: dict[str, tuple[NDArray[Any], NDArray[np.float32], Tensor]] = {}
        need = model.sensor_needstage.repeat(model.sensor_dim)
        self._force_columns = np.flatnonzero(need == int(mujoco.mjtStage.mjSTAGE_ACC))
        self._batch.forward(stage=_VEL)

    def field(self, name: str) -> Tensor:
        """See `Physics.field`."""
        if name not in self._fields:
            source = self._batch.bind(name)
            if name not in STATE_FIELDS and name not in ("time", "act"):
                self._recompute()  # an output is zero until the next call
            tensor = torch.zeros(source.shape, dtype=torch.float32)
            self._fields[name] = (source, tensor.numpy(), tensor)
            self._refresh()
        return self._fields[name][2]

    def step(self, ctrl: Tensor, num_substeps: int) -> None:
        """See `Physics.step`."""
        if num_substeps < 1:
            raise ValueError(f"num_substeps is {num_substeps}; use at least 1")
        self._ctrl[...] = check_shape("ctrl", ctrl, self._ctrl.shape).numpy()
        self._batch.step(nstep=num_substeps, stage=_VEL)
        self._refresh()

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `Physics.reset`."""
        rows = ids.numpy()
        if not len(rows):
            return
        self._check_ids(rows)
        if self._own_fields & _DEFAULTS_OF_STATE:
            self._batch.reset(rows, stage=_NONE)
        else:  # the same without clearing all of their MjData, which costs as much as the rest of a reset
            self._batch.state[rows] = self._initial
        self._put(rows, state)
        self._batch.forward(rows, stage=_VEL)
        self._set_forces(rows, 0.0)
        self._refresh(rows)

    def write(self, ids: Tensor | None, state: Mapping[str, Tensor], *, forward: bool = True) -> None:
        """See `Physics.write`."""
        rows = None if ids is None else ids.numpy()
        if rows is not None:
            if not len(rows):
                return
            self._check_ids(rows)
        self._put(rows, state)
        if forward:
            self._recompute(rows)
        self._refresh(rows, None if forward else state)

    def forward(self) -> None:
        """Recompute all derived fields."""
        self._recompute()
        self._refresh()

    def model_field(self, name: str) -> Tensor:
        """See `Physics.model_field`."""
        _check_model_field(name)
        own = self._batch.expanded(name)
        values = own if own is not None else self._shared(name)
        return torch.as_tensor(np.array(values, dtype=np.float32))

    def write_model(self, ids: Tensor, fields: Mapping[str, Tensor]) -> None:
        """See `Physics.write_model`."""
        rows = ids.numpy()
        if not len(rows) or not fields:
            return
        for name, values in fields.items():
            _check_model_field(name)
            target = self._batch.expand(name)
            target[rows] = check_shape(name, values, (len(rows), *target.shape[1:])).numpy()
            self._own_fields.add(name)
        self._batch.set_const(rows)

    def faults(self) -> Tensor:
        """See `Physics.faults`: MuJoCo resets a simulation that diverged, and counts it.

        Raises:
            CapacityError: If contacts or constraints did not fit into the model's memory; MuJoCo drops
                them and goes on.
        """
        warning = self._batch.warning
        if not warning.any():
            return torch.zeros(self.num_envs, dtype=torch.bool)
        full = warning[:, _OVERFLOWED, _COUNT].any(-1)
        if full.any():
            warning[full] = 0
            raise CapacityError(
                f"contacts or constraints of {full.sum()} simulations did not fit into {self.model.narena} "
                "bytes and were dropped: raise the scene's memory (MjSpec.memory)"
            )
        raised = warning[:, _DIVERGED, _COUNT].any(-1)
        warning[raised] = 0
        return torch.as_tensor(raised)

    def save(self) -> dict[str, NDArray[Any]]:
        """See `Physics.save`."""
        own = {f"model.{k}": np.array(self._batch.expanded(k)) for k in sorted(self._own_fields)}
        forces = self._batch.bind("sensordata")[:, self._force_columns]
        return {**self._signature(), "state": self._batch.state.copy(), "force_sensors": forces, **own}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Physics.load`."""
        check_saved(state, self._signature())
        own = {k: torch.as_tensor(self._shared(k).copy()) for k in self._own_fields}
        own |= {
            k.removeprefix("model."): torch.as_tensor(v) for k, v in state.items() if k.startswith("model.")
        }
        self.write_model(torch.arange(self.num_envs), own)
        self._batch.state[...] = state["state"]
        self._recompute(forces=state["force_sensors"])
        self._batch.warning[...] = 0
        self._refresh()

    def mj_data(self, env: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """See `Physics.mj_data`."""
        model = self._batch.get_model(env)
        data = self._batch.get_data(env, mujoco.MjData(model))
        mujoco.mj_forward(model, data)
        return model, data

    def bare(self, ctrl: Callable[[], Tensor], num_substeps: int) -> BareSteps:
        """See `Physics.bare`."""
        return _BareBatch(self._batch, tuple(self._fields), ctrl, num_substeps)

    def close(self) -> None:
        """See `Physics.close`."""
        self._fields.clear()

    def _signature(self) -> dict[str, Any]:
        m = self.model
        return {
            "num_envs": np.int64(self.num_envs),
            "nq": np.int64(m.nq),
            "nv": np.int64(m.nv),
            "nu": np.int64(m.nu),
            "state_size": np.int64(self._batch.nstate),
        }

    def _check_ids(self, rows: NDArray[Any]) -> None:
        if rows.min() < 0 or rows.max() >= self.num_envs:
            raise ValueError(f"ids must be in [0, {self.num_envs}), got {rows.min()} to {rows.max()}")
        if (rows[1:] <= rows[:-1]).any():
            raise ValueError("ids must be sorted and unique")

    def _shared(self, name: str) -> NDArray[Any]:
        owner: Any = self.model.opt if name.startswith("opt.") else self.model
        value = np.asarray(getattr(owner, name.removeprefix("opt.")))
        return np.broadcast_to(value, (self.num_envs, *value.shape))

    def _put(self, rows: NDArray[Any] | None, state: Mapping[str, Tensor]) -> None:
        where, num = (slice(None), self.num_envs) if rows is None else (rows, len(rows))
        for name, values in state.items():
            if name not in STATE_FIELDS:
                raise ValueError(f"{name!r} is not state; write one of {', '.join(STATE_FIELDS)}")
            target = self._batch.bind(name)
            target[where] = check_shape(name, values, (num, *target.shape[1:])).numpy()

    def _recompute(self, rows: NDArray[Any] | None = None, forces: NDArray[Any] | None = None) -> None:
        """Compute what positions and velocities decide; force sensors keep the last substep's readings."""
        if forces is None:
            forces = self._batch.bind("sensordata")[:, self._force_columns]
        self._batch.forward(rows, stage=_VEL)
        self._set_forces(slice(None), forces)

    def _set_forces(self, rows: NDArray[Any] | slice, forces: NDArray[Any] | float) -> None:
        if not self._force_columns.size:
            return
        readings = self._batch.bind("sensordata")
        readings.flags.writeable = True
        if isinstance(rows, slice):
            readings[:, self._force_columns] = forces
        else:
            readings[rows[:, None], self._force_columns] = forces
        readings.flags.writeable = False

    def _refresh(self, rows: NDArray[Any] | None = None, names: Collection[str] | None = None) -> None:
        for name, (source, target, _) in self._fields.items():
            if names is not None and name not in names:
                continue
            if rows is None:
                np.copyto(target, source, casting="same_kind")
            else:
                target[rows] = source[rows]


class _BareBatch:
    """`Batch.step` alone: no stages at the new state, no casts."""

    def __init__(
        self, beside: Batch, bound: Sequence[str], ctrl: Callable[[], Tensor], num_substeps: int
    ) -> None:
        self._beside, self._given, self._num_substeps = beside, ctrl, num_substeps
        self._batch = Batch(beside.model, beside.nsim, beside.nthread, persistent=True)
        for name in bound:
            self._batch.bind(name)
        self._ctrl = self._batch.bind("ctrl")

    def prepare(self) -> None:
        self._batch.state[...] = self._beside.state

    def step(self) -> None:
        self._ctrl[...] = self._given().numpy()
        self._batch.step(nstep=self._num_substeps)


def _log_warning(message: str) -> None:
    """Take MuJoCo's warnings, which would else go to a file in the working folder."""
    _LOG.debug("MuJoCo: %s", message)


def _check_model_field(name: str) -> None:
    if name not in MODEL_FIELDS:
        raise ValueError(
            f"{name!r} is not a field of MjModel that simulations can have values of their own for"
        )
