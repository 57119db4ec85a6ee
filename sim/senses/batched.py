"""Readers of senses in many simulations at once, on the `Physics` contract; both backends.

Forces are those of the last physics step. Arithmetic is elementwise: an environment's numbers do not
depend on its batch. `ContactSound` and `BodyTemperature` remember: call
`update` once per control step, `reset` in `Task.after_reset`, and hand their `memory` to `Task.memory`.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import mujoco
import numpy as np
import torch
from torch import Tensor

from sim.batch.handles import Body, Sensors, Site
from sim.batch.physics import Physics
from sim.senses.heat import conducted
from sim.senses.impact import Impacts, SoundConfig
from sim.senses.pads import Pad, spread
from sim.senses.spec import CONTACT_WIDTH, touching_name


class TactileArray:
    """A pad of `add_tactile_array`.

    Raises:
        ValueError: If the model has no such sensor; lists those there are.
    """

    def __init__(self, physics: Physics, name: str, pad: Pad) -> None:
        """See the class."""
        self.pad, self.site = pad, Site(physics, name)
        self._sensor = Sensors(physics, (name,))

    @property
    def value(self) -> Tensor:
        """Forces on the taxels [N], (num_envs, rows, cols)."""
        contacts = self._sensor.value.unflatten(-1, (-1, CONTACT_WIDTH))
        force_n, points, normals = contacts[..., 0], contacts[..., 3:6], contacts[..., 6:9]
        p_pad = ((points - self.site.pos[:, None])[..., None] * self.site.mat[:, None]).sum(-2)
        normal_z = (normals * self.site.mat[:, None, :, 2]).sum(-1)
        return spread(torch, self.pad, p_pad, force_n, normal_z)


class ForceTorque:
    """A sensor of `add_force_torque`: what the site's body passes to its parent.

    It has the weight and inertia of the body and of all that hangs on it; a load that hangs still
    reads as a force downwards.
    """

    def __init__(self, physics: Physics, site: str) -> None:
        """See the class."""
        self._sensor = Sensors(physics, (f"{site}_force", f"{site}_torque"))

    @property
    def value(self) -> Tensor:
        """Force [N] and torque about the site [N m] in the site's frame, (num_envs, 6)."""
        return -self._sensor.value


class ContactSound:
    """Energy that impacts take from free bodies; see `sim.senses.impact` for the model.

    Args:
        physics: The simulations.
        bodies: Names of bodies with a free joint.
        config: Settings.

    Raises:
        ValueError: If a body is unknown or has no free joint.
    """

    def __init__(self, physics: Physics, bodies: Sequence[str], config: SoundConfig | None = None) -> None:
        """See the class."""
        self._physics, self._bodies = physics, [Body(physics, name) for name in bodies]
        m, ids = physics.model, [b.id for b in self._bodies]
        self._ids = ids
        float32 = {"dtype": torch.float32, "device": physics.device}
        axes = torch.as_tensor(np.array([_matrix(q) for q in m.body_iquat[ids]]), **float32)
        self._principal = axes
        self._offset = torch.as_tensor(m.body_ipos[ids], **float32)
        fall = np.asarray(m.opt.gravity) * (1.0 - m.body_gravcomp[ids])[:, None]
        mass = torch.zeros(physics.num_envs, len(ids), device=physics.device)
        inertia = torch.zeros(physics.num_envs, len(ids), 3, 3, device=physics.device)
        gravity = torch.as_tensor(fall, **float32).expand(physics.num_envs, -1, -1)
        self._impacts = Impacts(torch, mass, inertia, gravity, config or SoundConfig())
        self.value = torch.zeros_like(mass)
        """Energy of the last `update` [J], (num_envs, num_bodies)."""
        self.reset(torch.arange(physics.num_envs, device=physics.device))

    def update(self, dt_s: float) -> Tensor:
        """Return the energy lost since the last call [J], (num_envs, num_bodies); call once per step."""
        self.value.copy_(self._impacts.update(self._vel(), dt_s))
        return self.value

    def reset(self, ids: Tensor) -> None:
        """Begin anew in environments (k,) whose bodies were put somewhere or got other masses."""
        mass, moments = (self._physics.model_field(f)[:, self._ids] for f in ("body_mass", "body_inertia"))
        inertia = (self._principal * moments[..., None, :]) @ self._principal.transpose(-1, -2)
        self._impacts.mass[ids], self._impacts.inertia[ids] = mass[ids], inertia[ids]
        self._impacts.forget(ids, self._vel()[ids])
        self.value[ids] = 0.0

    def memory(self) -> dict[str, Tensor]:
        """Return what is remembered between steps, by name."""
        return {**self._impacts.memory(), "sound": self.value}

    def _vel(self) -> Tensor:
        """Return velocities of the centres of mass, and angular ones in body axes, (num_envs, n, 6)."""
        linear, angular = (
            torch.stack([getattr(b, what) for b in self._bodies], 1) for what in ("linvel", "angvel")
        )
        quat = torch.stack([b.quat for b in self._bodies], 1)
        swing = torch.linalg.cross(angular, self._offset.expand_as(angular))
        return torch.cat((linear + _rotate(quat, swing), angular), -1)


@dataclass(frozen=True)
class ThermalBody:
    """A body with a temperature.

    Attributes:
        name: The body.
        heat_capacity_j_k: Heat capacity [J/K].
        convection_w_k: Heat transfer to the air [W/K]: coefficient (about 10 W/m^2/K) times surface.
        start_c: Temperature at a reset [degC].
    """

    name: str
    heat_capacity_j_k: float
    convection_w_k: float = 0.0
    start_c: float = 22.0

    def __post_init__(self) -> None:
        """Refuse bodies that hold no heat."""
        if not self.heat_capacity_j_k > 0.0 or self.convection_w_k < 0.0:
            raise ValueError(
                f"{self.name}: use a positive heat capacity and a convection of at least 0, "
                f"got {self.heat_capacity_j_k} J/K and {self.convection_w_k} W/K"
            )


class BodyTemperature:
    """Temperatures of bodies that touch; the scene needs `add_touching` of the same names.

    Args:
        physics: The simulations.
        bodies: The bodies.
        conductance_w_k: Heat transfer between two that touch [W/K].
        ambient_c: Temperature of the air [degC].

    Raises:
        ValueError: If a sensor is missing, or the conductance is negative.
    """

    def __init__(
        self,
        physics: Physics,
        bodies: Sequence[ThermalBody],
        conductance_w_k: float = 0.5,
        ambient_c: float = 22.0,
    ) -> None:
        """See the class."""
        if conductance_w_k < 0.0:
            raise ValueError(f"conductance_w_k is {conductance_w_k}; use at least 0")
        n = len(bodies)
        pairs = list(combinations(range(n), 2))
        names = [touching_name(bodies[i].name, bodies[j].name) for i, j in pairs]
        self._touching = Sensors(physics, names) if names else None
        self._rows, self._cols = [i for i, _ in pairs], [j for _, j in pairs]
        self._conductance_w_k, self._ambient_c = conductance_w_k, ambient_c

        def column(what: str) -> Tensor:
            return torch.tensor([float(getattr(b, what)) for b in bodies], device=physics.device)

        self._capacity, self._convection = column("heat_capacity_j_k"), column("convection_w_k")
        self._start = column("start_c")
        self.value = self._start.expand(physics.num_envs, -1).clone()
        """Temperatures [degC], (num_envs, num_bodies)."""

    def update(self, dt_s: float, heat_w: Tensor | float = 0.0) -> Tensor:
        """Return temperatures after a time [s] under the present contacts; call once per step.

        Args:
            dt_s: Time since the last call [s].
            heat_w: Heating [W], broadcast to (num_envs, num_bodies): friction, a hot plate.
        """
        n = self.value.shape[-1]
        conductance = self.value.new_zeros(len(self.value), n, n)
        if self._touching is not None:
            between = (self._touching.value > 0.0) * self._conductance_w_k
            conductance[:, self._rows, self._cols] = between
            conductance[:, self._cols, self._rows] = between
        capacity, convection = self._capacity.expand_as(self.value), self._convection.expand_as(self.value)
        heated = conducted(
            torch, self.value, capacity, convection, self._ambient_c, conductance, heat_w, dt_s
        )
        self.value.copy_(heated)
        return self.value

    def reset(self, ids: Tensor, start_c: Tensor | None = None) -> None:
        """Set temperatures [degC] of environments (k,), to (k, num_bodies) or to those of the bodies."""
        self.value[ids] = self._start if start_c is None else start_c

    def memory(self) -> dict[str, Tensor]:
        """Return what is remembered between steps, by name."""
        return {"temperature": self.value}


def _rotate(quat: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors (..., 3) by quat_wxyz (..., 4)."""
    twice = 2.0 * torch.linalg.cross(quat[..., 1:], vector)
    return vector + quat[..., :1] * twice + torch.linalg.cross(quat[..., 1:], twice)


def _matrix(quat: np.ndarray) -> np.ndarray:
    mat = np.zeros(9)
    mujoco.mju_quat2Mat(mat, quat)
    return mat.reshape(3, 3)
