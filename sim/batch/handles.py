"""Named parts of a batched simulation: joints, sites, bodies and sensors as tensors.

A handle reads the live fields of `Physics`; its positions and velocities have shape (num_envs, ...).
All poses are in the world frame, [m], rotations as quat_wxyz or 3x3 matrices.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

import mujoco
import torch
from torch import Tensor

from sim.batch.physics import Physics

ResetState = dict[str, Tensor]
"""What a reset writes: MuJoCo state fields of the environments being reset, (n, ...)."""


def _find(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str) -> int:
    found = mujoco.mj_name2id(model, int(kind), name)
    if found >= 0:
        return found
    what = kind.name.removeprefix("mjOBJ_").lower()
    count = {"joint": model.njnt, "site": model.nsite, "body": model.nbody, "sensor": model.nsensor}
    count |= {"actuator": model.nu, "geom": model.ngeom, "camera": model.ncam}
    names = [mujoco.mj_id2name(model, int(kind), k) or "" for k in range(count[what])]
    near = difflib.get_close_matches(name, names, 5, 0.4) or sorted(n for n in names if n)[:12]
    raise ValueError(f"the model has no {what} {name!r}; it has {', '.join(near) or 'none with a name'}")


def _indices(numbers: Sequence[int]) -> slice | list[int]:
    """Return a slice where the numbers are consecutive: it makes views, not copies."""
    first = numbers[0]
    consecutive = list(numbers) == list(range(first, first + len(numbers)))
    return slice(first, first + len(numbers)) if consecutive else list(numbers)


def read_columns(field: Tensor, index: slice | list[int]) -> Callable[[], Tensor]:
    """Return what reads columns of a live field (num_envs, k, ...): a view made once, or a copy."""
    if isinstance(index, slice):
        view = field[:, index]
        return lambda: view
    columns = torch.tensor(index, device=field.device)
    return lambda: field.index_select(1, columns)


class Joints:
    """Hinge and slide joints, in the order given.

    Raises:
        ValueError: If a name is unknown (near ones are listed) or a joint has several degrees of freedom.
    """

    def __init__(self, physics: Physics, names: Sequence[str]) -> None:
        """See the class."""
        m = physics.model
        ids = [_find(m, mujoco.mjtObj.mjOBJ_JOINT, n) for n in names]
        scalar = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
        for name, k in zip(names, ids, strict=True):
            if int(m.jnt_type[k]) not in scalar:
                raise ValueError(f"joint {name!r} is neither hinge nor slide")
        self.names, self.ids = tuple(names), ids
        self.index = _indices(ids)
        self._q = _indices([int(m.jnt_qposadr[k]) for k in ids])
        self.dofs = _indices([int(m.jnt_dofadr[k]) for k in ids])
        self._pos = read_columns(physics.field("qpos"), self._q)
        self._vel = read_columns(physics.field("qvel"), self.dofs)
        self.range = torch.as_tensor(m.jnt_range[ids], dtype=torch.float32, device=physics.device)

    @property
    def pos(self) -> Tensor:
        """Positions [rad] or [m], (num_envs, num_joints)."""
        return self._pos()

    @property
    def vel(self) -> Tensor:
        """Velocities [rad/s] or [m/s], (num_envs, num_joints)."""
        return self._vel()

    def set(self, state: ResetState, pos: Tensor, vel: Tensor | None = None) -> None:
        """Write positions (and velocities) of a reset, (n, num_joints)."""
        state["qpos"][:, self._q] = pos
        if vel is not None:
            state["qvel"][:, self.dofs] = vel


class Site:
    """A site's pose."""

    def __init__(self, physics: Physics, name: str) -> None:
        """See the class."""
        self.name, self.id = name, _find(physics.model, mujoco.mjtObj.mjOBJ_SITE, name)
        self.body_id = int(physics.model.site_bodyid[self.id])
        self._pos = physics.field("site_xpos")[:, self.id]
        self._mat = physics.field("site_xmat")[:, self.id].view(-1, 3, 3)

    @property
    def pos(self) -> Tensor:
        """Position in world [m], (num_envs, 3)."""
        return self._pos

    @property
    def mat(self) -> Tensor:
        """Rotation world from site, (num_envs, 3, 3)."""
        return self._mat


class Body:
    """A body's pose, and its velocity where it has a free joint."""

    def __init__(self, physics: Physics, name: str) -> None:
        """See the class."""
        m = physics.model
        self.name, self.id = name, _find(m, mujoco.mjtObj.mjOBJ_BODY, name)
        self._pos, self._quat = physics.field("xpos")[:, self.id], physics.field("xquat")[:, self.id]
        joint = int(m.body_jntadr[self.id])
        self.is_free = joint >= 0 and int(m.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_FREE)
        if self.is_free:
            q, v = int(m.jnt_qposadr[joint]), int(m.jnt_dofadr[joint])
            self._q, qvel = slice(q, q + 7), physics.field("qvel")
            self._linvel, self._angvel = qvel[:, v : v + 3], qvel[:, v + 3 : v + 6]

    @property
    def pos(self) -> Tensor:
        """Origin in world [m], (num_envs, 3)."""
        return self._pos

    @property
    def quat(self) -> Tensor:
        """Rotation world from body, wxyz, (num_envs, 4)."""
        return self._quat

    @property
    def linvel(self) -> Tensor:
        """Velocity of the origin in world [m/s], (num_envs, 3); free bodies only."""
        self._check_free()
        return self._linvel

    @property
    def angvel(self) -> Tensor:
        """Angular velocity in the body's own frame [rad/s], (num_envs, 3); free bodies only."""
        self._check_free()
        return self._angvel

    def set_pose(self, state: ResetState, pos: Tensor, quat: Tensor | None = None) -> None:
        """Write the pose of a free body at a reset: (n, 3) [m], and quat_wxyz (n, 4)."""
        self._check_free()
        state["qpos"][:, self._q.start : self._q.start + 3] = pos
        if quat is not None:
            state["qpos"][:, self._q.start + 3 : self._q.stop] = quat

    def _check_free(self) -> None:
        if not self.is_free:
            raise ValueError(f"body {self.name!r} has no free joint; use a sensor for its velocity")


class Sensors:
    """Readings of named sensors, concatenated in the order given."""

    def __init__(self, physics: Physics, names: Sequence[str]) -> None:
        """See the class."""
        m = physics.model
        columns: list[int] = []
        for name in names:
            k = _find(m, mujoco.mjtObj.mjOBJ_SENSOR, name)
            columns += range(int(m.sensor_adr[k]), int(m.sensor_adr[k] + m.sensor_dim[k]))
        self.names = tuple(names)
        self._read = read_columns(physics.field("sensordata"), _indices(columns))

    @property
    def value(self) -> Tensor:
        """Readings, (num_envs, sum of dimensions)."""
        return self._read()


class Actuators:
    """Columns of the control vector, by actuator name; of `act` too, where all have a filter."""

    def __init__(self, physics: Physics, names: Sequence[str]) -> None:
        """See the class."""
        m = physics.model
        ids = [_find(m, mujoco.mjtObj.mjOBJ_ACTUATOR, n) for n in names]
        self.names, self.ids, self.columns = tuple(names), ids, _indices(ids)
        low, high = torch.as_tensor(m.actuator_ctrlrange[ids], dtype=torch.float32, device=physics.device).T
        adr = [int(m.actuator_actadr[k]) for k in ids]
        self.activations = _indices(adr) if min(adr) >= 0 else None
        limited = torch.as_tensor(m.actuator_ctrllimited[ids] != 0, device=physics.device)
        infinity = torch.full_like(low, torch.inf)
        self.low, self.high = torch.where(limited, low, -infinity), torch.where(limited, high, infinity)
