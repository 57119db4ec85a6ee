"""Simulations that went bad: counted, dumped with their last steps, never silent."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from torch import Tensor

from sim.batch.physics import Physics

_LOG = logging.getLogger(__name__)
_KEPT_STEPS = 8
_MAX_DUMPS = 20


class FaultLog:
    """Keeps the last steps of all environments and writes those of one that diverged to a file.

    Attributes:
        count: Faults so far.
        paths: Dumps written, at most 20.

    A dump is an .npz with `qpos`, `qvel`, `ctrl` after each of the last steps, (steps, ...), oldest
    first; `last_ctrl`, the controls of the step that failed; and where it was: `env`, its own `seed`,
    `episode`, `step`.
    """

    def __init__(self, physics: Physics, folder: Path) -> None:
        """See the class."""
        self._qpos, self._qvel = physics.field("qpos"), physics.field("qvel")
        self._folder, self.count = folder, 0
        self.paths: list[Path] = []
        self._num_steps = 0
        now = {"qpos": self._qpos, "qvel": self._qvel, "ctrl": physics.field("ctrl")}
        self._ring = {k: v.new_zeros(_KEPT_STEPS, *v.shape) for k, v in now.items()}

    def remember(self, ctrl: Tensor) -> None:
        """Remember the state after this step, and its controls (num_envs, nu)."""
        for name, value in (("qpos", self._qpos), ("qvel", self._qvel), ("ctrl", ctrl)):
            self._ring[name][self._num_steps % _KEPT_STEPS].copy_(value)
        self._num_steps += 1

    def dump(self, ctrl: Tensor, fault: Tensor, seeds: Tensor, episodes: Tensor, steps: Tensor) -> None:
        """Write the environments of `fault`, bool (num_envs,), with the steps remembered so far."""
        for env in fault.nonzero()[:, 0].tolist():
            self._dump(env, ctrl, int(seeds[env]), int(episodes[env]), int(steps[env]))

    def _dump(self, env: int, ctrl: Tensor, seed: int, episode: int, step: int) -> None:
        self.count += 1
        if len(self.paths) >= _MAX_DUMPS:
            if self.count == _MAX_DUMPS + 1:
                _LOG.warning("%d environments diverged; further ones are only counted", self.count)
            return
        past = range(max(0, self._num_steps - _KEPT_STEPS), self._num_steps)  # oldest first
        rows = [k % _KEPT_STEPS for k in past]
        arrays = {k: np.asarray(v[rows, env].cpu()) for k, v in self._ring.items()}
        arrays["last_ctrl"] = np.asarray(ctrl[env].cpu())
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = f"fault_seed{seed}_episode{episode}_step{step}"
        taken = len(list(self._folder.glob(f"{stem}*.npz")))
        path = self._folder / (f"{stem}_{taken}.npz" if taken else f"{stem}.npz")
        with path.open("wb") as stream:
            where = {"env": env, "seed": seed, "episode": episode, "step": step}
            arrays |= {k: np.asarray(v) for k, v in where.items()}
            np.savez(stream, allow_pickle=False, **arrays)
        self.paths.append(path)
        _LOG.warning(
            "environment %d diverged at step %d and was reset; its last steps are in %s", env, step, path
        )
