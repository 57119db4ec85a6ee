"""Senses beside those of a task: force and torque, the sound of impacts, temperature, for any task.

What is named in `EnvConfig.senses` is added to the observation; without it observations are the task's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sim.batch.physics import Physics
from sim.batch.settings import check_types

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class SensesConfig:
    """What is sensed, by name of sites and bodies in the scene.

    Attributes:
        wrench: Sites whose force and torque are felt: `wrench` [N, N m], six entries each.
        sound: Bodies with a free joint whose impacts are heard: `sound` [J] lost in the step, one entry each.
        temperature: Bodies whose temperature is felt: `temperature` [degC], one entry each; heat passes
            between those of them that touch.
        start_c: Their temperatures at a reset [degC]; () for that of the air.
        heat_capacity_j_k: Heat capacity of each [J/K].
        convection_w_k: Heat transfer of each to the air [W/K].
        conductance_w_k: Heat transfer between two that touch [W/K].
        ambient_c: Temperature of the air [degC].
    """

    wrench: tuple[str, ...] = ()
    sound: tuple[str, ...] = ()
    temperature: tuple[str, ...] = ()
    start_c: tuple[float, ...] = ()
    heat_capacity_j_k: float = 50.0
    convection_w_k: float = 0.05
    conductance_w_k: float = 0.5
    ambient_c: float = 22.0

    def __post_init__(self) -> None:
        """Refuse values of another type, and temperatures that do not go with the bodies."""
        check_types(self)
        if self.start_c and len(self.start_c) != len(self.temperature):
            raise ValueError(
                f"start_c has {len(self.start_c)} temperatures for {len(self.temperature)} bodies; "
                "give one each"
            )

    @property
    def is_on(self) -> bool:
        """Whether anything is sensed."""
        return bool(self.wrench or self.sound or self.temperature)


def add_senses(spec: mujoco.MjSpec, config: SensesConfig) -> None:
    """Add the sensors that `Senses` reads to a scene.

    Raises:
        ValueError: If the scene has no such body or site; lists those it has.
    """
    from sim.senses.spec import add_force_torque, add_touching

    _check_names("body", (*config.sound, *config.temperature), [b.name for b in spec.bodies])
    _check_names("site", config.wrench, [s.name for s in spec.sites])
    sensors = {s.name for s in spec.sensors}
    for site in config.wrench:
        if f"{site}_force" not in sensors:
            add_force_torque(spec, site)
    add_touching(spec, config.temperature)


def _check_names(kind: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    for name in wanted:
        if name not in there:
            raise ValueError(
                f"senses: the scene has no {kind} {name!r}; it has {', '.join(filter(None, there))}"
            )


class Senses:
    """Reads what a configuration names; see `sim.senses.batched`.

    Args:
        physics: The simulations, of a scene with `add_senses`.
        config: What is sensed.
        step_dt: Control period [s].
    """

    def __init__(self, physics: Physics, config: SensesConfig, step_dt: float) -> None:
        """See the class."""
        from sim.senses.batched import BodyTemperature, ContactSound, ForceTorque, ThermalBody

        start_c = config.start_c or (config.ambient_c,) * len(config.temperature)
        bodies = [
            ThermalBody(name, config.heat_capacity_j_k, config.convection_w_k, start)
            for name, start in zip(config.temperature, start_c, strict=True)
        ]
        self._wrench = [ForceTorque(physics, site) for site in config.wrench]
        self._sound = ContactSound(physics, config.sound) if config.sound else None
        self._heat = (
            BodyTemperature(physics, bodies, config.conductance_w_k, config.ambient_c) if bodies else None
        )
        self._step_dt = step_dt

    def update(self) -> None:
        """Follow the simulations; call once per control step."""
        for sense in (self._sound, self._heat):
            if sense is not None:
                sense.update(self._step_dt)

    def reset(self, ids: Tensor) -> None:
        """Begin anew in environments (n,)."""
        for sense in (self._sound, self._heat):
            if sense is not None:
                sense.reset(ids)

    def observe(self) -> dict[str, Tensor]:
        """Return the parts of the observation, (num_envs, k) each."""
        parts = {"wrench": torch.cat([w.value for w in self._wrench], -1)} if self._wrench else {}
        if self._sound is not None:
            parts["sound"] = self._sound.value
        if self._heat is not None:
            parts["temperature"] = self._heat.value
        return parts

    def memory(self) -> dict[str, Tensor]:
        """Return what is remembered between steps, by name."""
        memory = {} if self._sound is None else {f"sound.{k}": v for k, v in self._sound.memory().items()}
        return memory | ({} if self._heat is None else self._heat.memory())
