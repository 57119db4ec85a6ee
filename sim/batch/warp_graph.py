"""Recordings of Warp calls, replayed as one launch."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import mujoco_warp as mjw
import warp as wp
from torch import Tensor


def record(device: wp.Device, work: Callable[[], None]) -> Any:
    """Return a graph of Warp calls; they are recorded, not run. Works on the CPU device too.

    The collector is held off: freeing an array would end up in the graph or break the recording.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with wp.ScopedDevice(device), wp.ScopedCapture(device=device) as capture:
            work()
    finally:
        if was_enabled:
            gc.enable()
    return capture.graph


class BareGraph:
    """`mujoco_warp.step` alone: the yardstick of benchmarks.

    Args:
        model: Warp's model.
        data: Data of its own.
        beside: The data whose state `prepare` copies.
        state: Names of the fields to copy.
        ctrl: Returns the controls of a step, (num_envs, nu).
        num_substeps: Physics steps per step.
    """

    def __init__(
        self,
        model: mjw.Model,
        data: mjw.Data,
        beside: mjw.Data,
        state: Sequence[str],
        ctrl: Callable[[], Tensor],
        num_substeps: int,
    ) -> None:
        """See the class."""
        self._model, self._data, self._beside, self._state = model, data, beside, tuple(state)
        self._given, self._num_substeps = ctrl, num_substeps
        device = data.qpos.device
        with wp.ScopedDevice(device):
            mjw.step(model, data)  # loads the kernels
        self._ctrl = wp.to_torch(data.ctrl)
        self._graph = record(device, self._substeps)
        self.prepare()

    def prepare(self) -> None:
        """Copy the state; not timed."""
        for name in self._state:
            wp.copy(getattr(self._data, name), getattr(self._beside, name))

    def step(self) -> None:
        """Step under the controls that the `Physics` was last given; timed."""
        self._ctrl.copy_(self._given())
        wp.capture_launch(self._graph)

    def _substeps(self) -> None:
        for _ in range(self._num_substeps):
            mjw.step(self._model, self._data)
