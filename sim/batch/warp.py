"""Physics on a GPU (or Warp's CPU device): MuJoCo Warp behind the `Physics` contract.

A step is recorded once as a graph and replayed. A substep runs MuJoCo's second half (forces and
integration), then the first half of the next one (positions, velocities and their sensors), so that
all fields describe the new state, as on the CPU. Tensors share Warp's memory. Warp's streams and
torch's default stream wait for each other; do not call it under another torch stream.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray
from torch import Tensor

from sim.batch.physics import STATE_FIELDS, BareSteps, PhysicsConfig, check_saved, check_shape
from sim.batch.warp_graph import BareGraph, record
from sim.batch.warp_kernels import clear_columns, copy_columns
from sim.batch.warp_model import ModelFields, groups_of, moves_static_geoms, recomputed_fields
from sim.batch.warp_support import (
    CONTACTS,
    FATAL,
    ROWS,
    put_model,
    raise_overflow,
    refusals,
    room,
    start_warp,
    with_storage,
)

if TYPE_CHECKING:
    from sim.batch.warp_tracer import WarpTracer

_LOG = logging.getLogger(__name__)
_MAX = 1e10  # mjMAXVAL: a larger position, velocity or acceleration is a fault, as on the CPU
_LATE_INPUTS = ("ctrl", "qfrc_applied", "xfrc_applied")  # read by the second half of a substep
_SAVED = (*STATE_FIELDS, "time", "qacc_warmstart", "eq_active", "plastic", "userdata")


class WarpPhysics:
    """See `Physics`. The code is the same on `cuda:0` and on Warp's `cpu` device.

    Args:
        model: Compiled model.
        num_envs: Number of simulations.
        config: `device`, `nconmax`, `njmax` and `kernel_cache_dir` are used.

    Raises:
        ValueError: If there is no such device, or a number is negative.
        UnsupportedFeatureError: If Warp does not simulate a feature of the model; names it.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, config: PhysicsConfig) -> None:
        """See the class."""
        if config.num_threads:
            raise ValueError("num_threads is for sim=cpu; sim=warp takes nconmax and njmax")
        self._place = start_warp(config)
        self.model, self.num_envs, self.device = model, num_envs, torch.device(str(self._place))
        with wp.ScopedDevice(self._place):
            self._stored = with_storage(model)
            self._m = put_model(self._stored)
            self._d = self._make_data(room(model, num_envs, config))
            self._mask = wp.zeros(num_envs, dtype=bool)
            need = model.sensor_needstage.repeat(model.sensor_dim)
            forces = np.flatnonzero(need == int(mujoco.mjtStage.mjSTAGE_ACC))
            self._forces = wp.array(forces, dtype=int)
            self._readings = wp.zeros_like(self._d.sensordata)
        self._force_dim = (num_envs, len(forces))
        self._mask_tensor = wp.to_torch(self._mask)
        self._overflow = wp.to_torch(self._d.overflow)
        self._own = ModelFields(model, self._m, num_envs)
        self._fields: dict[str, Tensor] = {}
        self._graphs: dict[tuple[str, int], Any] = {}
        self._ctrl = self.field("ctrl")
        self._num_rows = wp.to_torch(self._d.nefc)
        self._motion = [self.field(n) for n in ("qpos", "qvel", "qacc")]
        self._is_stale = False
        self._warm_up()

    # ---- the contract ---------------------------------------------------------------------------

    def field(self, name: str) -> Tensor:
        """See `Physics.field`."""
        if name not in self._fields:
            template = getattr(mujoco.MjData(self.model), name, None)
            source = getattr(self._d, name, None)
            if not isinstance(source, wp.array) or not isinstance(template, np.ndarray | float):
                raise ValueError(f"{name!r} is not a field of MjData that Warp keeps per simulation")
            tensor = wp.to_torch(source)
            if tensor.dtype != torch.float32 or tensor.numel() != self.num_envs * np.size(template):
                raise ValueError(f"{name!r} has another form in Warp than in MuJoCo; read it through mj_data")
            self._fields[name] = tensor.view(self.num_envs, *np.shape(template))
        return self._fields[name]

    def step(self, ctrl: Tensor, num_substeps: int) -> None:
        """See `Physics.step`."""
        if num_substeps < 1:
            raise ValueError(f"num_substeps is {num_substeps}; use at least 1")
        check_shape("ctrl", ctrl, tuple(self._ctrl.shape))
        if self._is_stale:
            self._refresh()
        self._ctrl.copy_(ctrl)
        self._replay("step", num_substeps, lambda: self._substeps(num_substeps))

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `Physics.reset`."""
        self._check_ids(ids)
        if not len(ids):
            return
        self._check_state(ids, state)
        self._clear(ids)
        self._put(ids, state)
        self._refresh()

    def write(self, ids: Tensor | None, state: Mapping[str, Tensor], *, forward: bool = True) -> None:
        """See `Physics.write`."""
        if ids is not None:
            self._check_ids(ids)
            if not len(ids):
                return
        self._check_state(ids, state)
        self._put(ids, state)
        self._is_stale |= any(name not in _LATE_INPUTS for name in state)
        if forward:
            self._refresh()

    def forward(self) -> None:
        """Recompute all derived fields."""
        self._refresh()

    def model_field(self, name: str) -> Tensor:
        """See `Physics.model_field`."""
        return self._own.value(name)

    def write_model(self, ids: Tensor, fields: Mapping[str, Tensor]) -> None:
        """See `Physics.write_model`.

        Raises:
            UnsupportedFeatureError: If Warp shares a field between all simulations.
        """
        self._check_ids(ids)
        if not len(ids) or not fields:
            return
        self._own.check(ids, fields)
        if self._own.expand(fields):
            self._graphs.clear()  # they hold the arrays that were replaced
        self._own.write(ids, fields)
        self._set_const(ids, groups_of(fields))
        if moves_static_geoms(fields):
            self._place_static_geoms(ids)
        self._is_stale = True

    def faults(self) -> Tensor:
        """See `Physics.faults`; what diverged is reset to the model's defaults, as MuJoCo does."""
        bad = ~torch.stack([(x.abs() < _MAX).all(-1) for x in self._motion]).all(0)
        self._overflow.bitwise_or_((self._num_rows > self._d.njmax) * ROWS)  # of what was just put there
        self._overflow.masked_fill_(bad, 0)  # whatever it lacked
        any_bad, overflowed = torch.stack((bad.any(), (self._overflow & FATAL).any())).tolist()  # one wait
        if any_bad:
            self._overflow.bitwise_and_(~CONTACTS)
            self._clear(bad.nonzero()[:, 0])
            self._refresh()
            overflowed = overflowed and self._still_overflows()
        if overflowed:
            raise_overflow(self._d, self.model)
        return bad

    def _still_overflows(self) -> bool:
        """Return whether room is too small without what diverged, which may have taken the others'.

        All environments share the room for contacts.
        """
        contacts = max(int(self._d.nacon.numpy()[0]), int(self._d.ncollision.numpy()[0]))
        if contacts > self._d.naconmax:
            self._overflow.bitwise_or_(CONTACTS)
        still = bool((self._overflow & FATAL).any())
        if not still:
            _LOG.warning(
                "what diverged took the room of others' contacts: some may lack contacts of this step"
            )
        return still

    def save(self) -> dict[str, NDArray[Any]]:
        """See `Physics.save`."""
        arrays = {name: _numpy(wp.to_torch(getattr(self._d, name))) for name in _SAVED}
        own = {f"model.{name}": _numpy(rows) for name, rows in self._own.rows.items()}
        return {**self._signature(), **arrays, "sensordata": _numpy(wp.to_torch(self._d.sensordata)), **own}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Physics.load`."""
        check_saved(state, self._signature())
        own = {
            k.removeprefix("model."): torch.as_tensor(v) for k, v in state.items() if k.startswith("model.")
        }
        if self._own.expand(own):
            self._graphs.clear()
        everything = torch.arange(self.num_envs, device=self.device)
        self._clear(everything)
        self._own.restore()
        self._own.write(everything, own)
        for name in (*_SAVED, "sensordata"):
            wp.to_torch(getattr(self._d, name)).copy_(torch.as_tensor(state[name]))
        self._place_static_geoms(everything)
        self._refresh()

    def mj_data(self, env: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """See `Physics.mj_data`."""
        model = self._own.host_model(env)
        data = mujoco.MjData(model)
        for name in (*STATE_FIELDS, "qacc_warmstart"):
            value = _numpy(wp.to_torch(getattr(self._d, name))[env])
            getattr(data, name)[...] = value.reshape(getattr(data, name).shape)
        data.time = float(wp.to_torch(self._d.time)[env])
        mujoco.mj_forward(model, data)
        return model, data

    def bare(self, ctrl: Callable[[], Tensor], num_substeps: int) -> BareSteps:
        """See `Physics.bare`: `mujoco_warp.step`, recorded as a graph, on data of its own."""
        sizes = {"nconmax": self._d.naconmax // self.num_envs, "njmax": self._d.njmax}
        with wp.ScopedDevice(self._place):
            data = self._make_data(sizes)
        return BareGraph(self._m, data, self._d, _SAVED, ctrl, num_substeps)

    def ray_tracer(
        self, camera: str, width: int, height: int, parts: Sequence[str], groups: Sequence[int]
    ) -> WarpTracer:
        """Return a renderer of one camera of all simulations; `BatchCameras` uses it."""
        from sim.batch.warp_tracer import WarpTracer

        return WarpTracer(self.model, self._m, self._d, camera, width, height, parts, groups)

    def close(self) -> None:
        """See `Physics.close`."""
        self._graphs.clear()
        self._fields.clear()

    # ---- graphs ---------------------------------------------------------------------------------

    def _make_data(self, sizes: Mapping[str, int]) -> mjw.Data:
        data = mujoco.MjData(self._stored)
        return mjw.put_data(self._stored, data, nworld=self.num_envs, **sizes)

    def _warm_up(self) -> None:
        """Compile and load every kernel of a step, before any graph is recorded; leaves the initial state."""
        _LOG.info("loading Warp's kernels; compiling them for the first time takes minutes")
        with wp.ScopedDevice(self._place), refusals():
            self._first_half()
            self._substeps(1)
            self._mask.fill_(True)
            mjw.reset_data(self._m, self._d, reset=self._mask)
            self._first_half()

    def _replay(self, kind: str, number: int, work: Callable[[], None]) -> None:
        """Run Warp calls: as they are the first time, which loads their kernels, then from a recording."""
        graph = self._graphs.get((kind, number))
        if graph is not None:
            wp.capture_launch(graph)
            return
        with wp.ScopedDevice(self._place):
            work()
        self._graphs[kind, number] = record(self._place, work)

    def _substeps(self, number: int) -> None:
        if self._forces.size:  # they are summed up in place
            wp.launch(clear_columns, self._force_dim, [self._forces], [self._d.sensordata])
        for _ in range(number - 1):
            mjw.step2(self._m, self._d)
            mjw.step1(self._m, self._d)
        mjw.step2(self._m, self._d)
        self._first_half()

    def _first_half(self) -> None:
        """Compute what positions and velocities decide; sensors of forces keep their readings."""
        if not self._forces.size:
            mjw.step1(self._m, self._d)
            return
        wp.copy(self._readings, self._d.sensordata)
        mjw.step1(self._m, self._d)
        wp.launch(copy_columns, self._force_dim, [self._forces, self._readings], [self._d.sensordata])

    def _refresh(self) -> None:
        self._replay("refresh", 0, self._first_half)
        self._is_stale = False

    def _clear(self, ids: Tensor) -> None:
        """Set simulations to the model's defaults."""
        self._mask_tensor.zero_()
        self._mask_tensor[ids] = True
        self._replay("reset", 0, lambda: mjw.reset_data(self._m, self._d, reset=self._mask))

    # ---- parts ----------------------------------------------------------------------------------

    def _check_ids(self, ids: Tensor) -> None:
        if not len(ids):
            return
        low, high, ordered = torch.stack((ids.min(), ids.max(), (ids[1:] > ids[:-1]).all())).tolist()
        if low < 0 or high >= self.num_envs:
            raise ValueError(f"ids must be in [0, {self.num_envs}), got {low if low < 0 else high}")
        if not ordered:
            raise ValueError("ids must be sorted and unique")

    def _check_state(self, ids: Tensor | None, state: Mapping[str, Tensor]) -> None:
        num = self.num_envs if ids is None else len(ids)
        for name, values in state.items():
            if name not in STATE_FIELDS:
                raise ValueError(f"{name!r} is not state; write one of {', '.join(STATE_FIELDS)}")
            check_shape(name, values, (num, *self.field(name).shape[1:]))

    def _put(self, ids: Tensor | None, state: Mapping[str, Tensor]) -> None:
        for name, values in state.items():
            self.field(name)[slice(None) if ids is None else ids] = values.to(self.device, torch.float32)

    def _set_const(self, ids: Tensor, groups: int) -> None:
        """Recompute constants of `ids`; those of the others and shared ones stay as they are, to the bit."""
        if not groups:
            return
        arrays = {name: wp.to_torch(getattr(self._m, name)) for name in recomputed_fields(groups)}
        before = {name: array.clone() for name, array in arrays.items()}
        self._replay("const", groups, lambda: mjw.set_const(self._m, self._d, groups))
        for name, array in arrays.items():
            if name in self._own.rows:
                before[name][ids] = array[ids]
            array.copy_(before[name])

    def _place_static_geoms(self, ids: Tensor) -> None:
        """Place geoms that are fixed to the world: Warp does so only when it makes its data."""
        m = self.model
        fixed = (m.body_weldid == 0) & (m.body_mocapid[m.body_rootid] < 0)
        geoms = np.flatnonzero(fixed[m.geom_bodyid])
        if not len(geoms):
            return
        with wp.ScopedDevice(self._place):
            mjw.kinematics(self._m, self._d)
        bodies, rows = m.geom_bodyid[geoms], ids[:, None]
        mat = self.field("xmat")[rows, bodies].unflatten(-1, (3, 3))
        quat = self.model_field("geom_quat")[rows, geoms]
        offset = mat @ self.model_field("geom_pos")[rows, geoms][..., None]
        self.field("geom_xpos")[rows, geoms] = self.field("xpos")[rows, bodies] + offset[..., 0]
        self.field("geom_xmat")[rows, geoms] = (mat @ _matrix(quat)).flatten(-2)

    def _signature(self) -> dict[str, Any]:
        m = self.model
        sizes = {"nq": m.nq, "nv": m.nv, "nu": m.nu, "na": m.na, "nbody": m.nbody, "nmocap": m.nmocap}
        sizes |= {"nsensordata": m.nsensordata, "num_envs": self.num_envs}
        return {name: np.int64(sizes[name]) for name in ("num_envs", *sizes)}


def _numpy(tensor: Tensor) -> NDArray[Any]:
    return np.array(tensor.cpu().numpy())


def _matrix(quat: Tensor) -> Tensor:
    """Return rotation matrices of unit quaternions wxyz, (..., 4) to (..., 3, 3)."""
    w, x, y, z = quat.unbind(-1)
    rows = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack(rows, -1).unflatten(-1, (3, 3))
