"""Advances a MuJoCo simulation: whole steps only, no silent instability, listeners on its clock."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

_WARNINGS = [w for w in mujoco.mjtWarning.__members__.values() if w.name != "mjNWARNING"]


class Stepper:
    """Steps `data`; the caller holds whatever lock guards it.

    Args:
        model: Compiled scene.
        data: Its state.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model, self._data = model, data
        self._listeners: dict[int, tuple[int, Callable[[float], None]]] = {}
        self._num_steps = self._num_listeners = 0

    @property
    def dt_s(self) -> float:
        """Physics time step [s]."""
        return float(self._model.opt.timestep)

    def num_steps(self, duration_s: float) -> int:
        """Return how many steps a duration is; a ratio is never rounded silently.

        Raises:
            ValueError: It is negative or no multiple of the time step.
        """
        ratio = duration_s / self.dt_s
        if not np.isfinite(ratio) or ratio < 0 or abs(ratio - round(ratio)) > 1e-3:
            raise ValueError(f"{duration_s} s is not a multiple of the physics time step {self.dt_s} s")
        return round(ratio)

    def step(self) -> None:
        """Advance by one step.

        Raises:
            RuntimeError: The simulation became unstable.
        """
        mujoco.mj_step(self._model, self._data)
        self._num_steps += 1
        numbers = self._data.warning.number
        if np.any(numbers) or not np.isfinite(self._data.qacc).all():
            kinds = [w.name.removeprefix("mjWARN_") for w in _WARNINGS if numbers[w.value]]
            raise RuntimeError(
                f"the simulation became unstable at t = {self._data.time:.3f} s "
                f"({', '.join(kinds) or 'non-finite acceleration'}); "
                "use a smaller physics_dt or check the scene for overlapping objects"
            )

    def notify(self) -> None:
        """Call the listeners whose time has come."""
        for every, callback in list(self._listeners.values()):
            if self._num_steps % every == 0:
                callback(float(self._data.time))

    def add_listener(self, period_s: float, callback: Callable[[float], None]) -> Callable[[], None]:
        """Let `notify` call `callback(time_s)` every `period_s`; return a function that ends it."""
        every = self.num_steps(period_s)
        if every == 0:
            raise ValueError("a listener's period must be positive")
        self._num_listeners += 1
        key = self._num_listeners
        self._listeners[key] = (every, callback)

        def remove() -> None:
            self._listeners.pop(key, None)

        return remove

    def remove_listeners(self) -> None:
        """End all listeners."""
        self._listeners.clear()
