"""Model fields that Warp's simulations have values of their own for."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp
from mujoco.batch import MODEL_FIELDS
from torch import Tensor

from sim.batch.physics import UnsupportedFeatureError, check_shape

_GROUP = mjw.SetConstGroup
_POSES = int(_GROUP.KIN0 | _GROUP.INERT0)

INPUTS: Final[dict[str, int]] = {
    "body_mass": int(_GROUP.ALL),
    **dict.fromkeys(("body_inertia", "dof_armature", "tendon_armature"), int(_GROUP.INERT0)),
    **dict.fromkeys(("actuator_armature", "actuator_gear", "actuator_cranklength"), int(_GROUP.INERT0)),
    **dict.fromkeys(("body_pos", "body_quat", "body_ipos", "body_iquat", "jnt_pos", "jnt_axis"), _POSES),
    **dict.fromkeys(("qpos0", "site_pos", "site_quat", "geom_pos", "geom_quat"), _POSES),
    **dict.fromkeys(("cam_pos", "cam_quat", "light_pos", "light_dir", "eq_data"), int(_GROUP.KIN0)),
    "geom_size": int(_GROUP.FIXED),
}
"""Fields that constants are derived from, and the groups of constants."""

_DERIVED: Final[dict[int, tuple[str, ...]]] = {
    int(_GROUP.FIXED): ("body_subtreemass", "geom_size", "geom_aabb", "geom_rbound"),
    int(_GROUP.KIN0): (
        *("tendon_length0", "eq_data", "cam_pos0", "cam_poscom0", "cam_mat0"),
        *("light_pos0", "light_poscom0", "light_dir0"),
    ),
    int(_GROUP.INERT0): ("dof_invweight0", "body_invweight0", "tendon_invweight0", "actuator_acc0"),
}
_BOUNDS = ("geom_size", "geom_aabb", "geom_rbound")  # only of geoms whose size was written
_ZERO_IS_STRUCTURE = ("actuator_armature", "tendon_stiffness", "tendon_damping")
_PLACES = ("body_pos", "body_quat", "geom_pos", "geom_quat")


class ModelFields:
    """Expands fields of a Warp model to one row per simulation when they are first written.

    Args:
        model: The model on the host.
        warp_model: The model on the device.
        num_envs: Number of simulations.
    """

    def __init__(self, model: mujoco.MjModel, warp_model: mjw.Model, num_envs: int) -> None:
        """See the class."""
        self._model, self._warp, self._num = model, warp_model, num_envs
        self._own: dict[str, Tensor] = {}
        self._batched = {
            f.name: owner
            for owner in (warp_model.opt, warp_model)
            for f in dataclasses.fields(owner)
            if getattr(f.type, "shape", None) and f.type.shape[0] == "*"
        }

    def value(self, name: str) -> Tensor:
        """Return a field's values, float32 (num_envs, ...).

        Raises:
            ValueError: If there is no such field.
        """
        if name in self._own:
            return self._own[name].to(torch.float32, copy=True)
        _check_name(name)
        value = torch.as_tensor(self._base(name), dtype=torch.float32, device=self._device)
        return value.expand(self._num, *value.shape).clone()

    def check(self, ids: Tensor, fields: Mapping[str, Tensor]) -> None:
        """Refuse what `write` could not do.

        Raises:
            ValueError: If a name or a shape is wrong.
            UnsupportedFeatureError: If Warp shares the field between simulations.
        """
        for name, values in fields.items():
            _check_name(name)
            if name.removeprefix("opt.") not in self._batched:
                raise UnsupportedFeatureError(
                    f"sim=warp shares {name!r} between all simulations; use sim=cpu"
                )
            base = self._base(name)
            check_shape(name, values, (len(ids), *base.shape))
            if name in _ZERO_IS_STRUCTURE and bool(((values.cpu() != 0) != torch.as_tensor(base != 0)).any()):
                raise UnsupportedFeatureError(f"sim=warp cannot change {name!r} from or to zero; use sim=cpu")

    def expand(self, names: Iterable[str]) -> bool:
        """Give fields, and what is derived from them, a row per simulation; return whether any was new."""
        wanted = dict.fromkeys(names)
        for name in tuple(wanted):
            wanted |= dict.fromkeys(derived_fields(name))
        new = [n for n in wanted if n not in self._own]
        for name in new:
            owner, attribute = self._batched[name.removeprefix("opt.")], name.removeprefix("opt.")
            shared: Any = getattr(owner, attribute)
            values = np.repeat(shared.numpy()[:1], self._num, axis=0)
            rows = wp.array(values, dtype=shared.dtype, device=shared.device)
            rows._is_batched = True
            setattr(owner, attribute, rows)
            self._own[name] = wp.to_torch(rows).view(self._num, *self._base(name).shape)
        return bool(new)

    def write(self, ids: Tensor, fields: Mapping[str, Tensor]) -> None:
        """Write rows of fields that are expanded."""
        for name, values in fields.items():
            target = self._own[name]
            target[ids] = values.to(target.device, target.dtype)

    def restore(self) -> None:
        """Give all simulations the model's own values again."""
        for name, rows in self._own.items():
            rows.copy_(torch.as_tensor(np.array(self._base(name))))

    @property
    def rows(self) -> Mapping[str, Tensor]:
        """Live values of all expanded fields, derived ones included, (num_envs, ...)."""
        return self._own

    def host_model(self, env: int) -> mujoco.MjModel:
        """Return a copy of the model with one simulation's values."""
        model = copy.copy(self._model)
        for name, rows in self._own.items():
            owner = model.opt if name.startswith("opt.") else model
            value = rows[env].cpu().numpy()
            if value.ndim:
                getattr(owner, name.removeprefix("opt."))[...] = value
            else:
                setattr(owner, name.removeprefix("opt."), value.item())
        return model

    @property
    def _device(self) -> torch.device:
        return torch.device(str(self._warp.body_mass.device))

    def _base(self, name: str) -> np.ndarray:
        owner: Any = self._model.opt if name.startswith("opt.") else self._model
        return np.asarray(getattr(owner, name.removeprefix("opt.")))


def _check_name(name: str) -> None:
    if name not in MODEL_FIELDS:
        raise ValueError(
            f"{name!r} is not a field of MjModel that simulations can have values of their own for"
        )


def groups_of(names: Iterable[str]) -> int:
    """Return the groups of constants that follow from fields."""
    groups = 0
    for name in names:
        groups |= INPUTS.get(name, 0)
    return groups


def derived_fields(name: str) -> tuple[str, ...]:
    """Return the constants that follow from a field."""
    groups = INPUTS.get(name, 0)
    found = [field for group, fields in _DERIVED.items() if groups & group for field in fields]
    return tuple(f for f in found if f not in _BOUNDS or name == "geom_size")


def recomputed_fields(groups: int) -> tuple[str, ...]:
    """Return all fields that recomputing groups of constants writes, wanted or not."""
    return tuple(field for group, fields in _DERIVED.items() if groups & group for field in fields)


def moves_static_geoms(names: Iterable[str]) -> bool:
    """Return whether writing these fields can move geoms that are fixed to the world."""
    return any(name in _PLACES for name in names)
