"""What is known of tweezers and object from a camera alone, instead of from the simulation's state."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from perception_tools.affordance_hand import MIN_POINTS, HandAffordance
from perception_tools.geometry import FloatArray
from sim.batch.handles import Site
from sim.batch.physics import Physics
from sim.batch.rng import mix
from sim.tasks.tweezer_sight import SightConfig, TweezerCamera, low_points


@dataclass(frozen=True)
class Known:
    """What an upper level knows, in world.

    Attributes:
        tip_pos: Middle between the tweezers' tips [m], (n, 3).
        tip_axis: From the right to the left arm, (n, 3).
        opening: Opening of the tips [m], (n, 1).
        object_pos: Middle of the object [m], (n, 3).
        object_quat: Its rotation, quat_wxyz (n, 4).
        object_size: Its width, and half its height as it lay [m], (n, 2).
    """

    tip_pos: Tensor
    tip_axis: Tensor
    opening: Tensor
    object_pos: Tensor
    object_quat: Tensor
    object_size: Tensor


class TweezerEstimates:
    """Estimates of all environments, renewed one look at a time.

    What a look does not show, too few points, stays as the last one showed it.

    Args:
        physics: The simulation, with the camera of `tweezer_sight`.
        ee: The hand's grasp frame.
        config: The camera.
    """

    def __init__(self, physics: Physics, ee: Site, config: SightConfig | None = None) -> None:
        """See the class."""
        self._camera, self._ee, self._affordance = TweezerCamera(physics, config), ee, HandAffordance()
        n, device = physics.num_envs, physics.device
        self.now = _unknown(n, device)
        self._key = torch.zeros(n, dtype=torch.int64, device=device)
        self._step = torch.zeros(n, dtype=torch.int64, device=device)
        self._is_due = torch.zeros(n, dtype=torch.bool, device=device)

    def begin(self, ids: Tensor, keys: Tensor) -> None:
        """Forget all of environments whose episode begins; `keys` (n,) decide errors of the camera."""
        self._key[ids], self._step[ids], self._is_due[ids] = keys, 0, True
        self._camera.calibrate(ids, keys)

    def step(self) -> None:
        """Say that time has passed: what is known is old."""
        self._step += 1
        self._is_due[:] = True

    def look(self) -> Known:
        """Return what is known now; renders what has changed since the last look."""
        ids = self._is_due.nonzero()[:, 0]
        if len(ids):
            self._is_due[:] = False
            clouds = self._camera.clouds(ids, mix(self._key[ids] ^ self._step[ids]))
            pos, mat = (x[ids].cpu().numpy().astype(np.float64) for x in (self._ee.pos, self._ee.mat))
            for env, *seen in zip(ids.tolist(), clouds, pos, mat, strict=True):
                self._take(env, *seen)
        return self.now

    def memory(self) -> dict[str, Tensor]:
        """Return every tensor that the next look depends on, by name."""
        own = {"sight_key": self._key, "sight_step": self._step, "sight_due": self._is_due}
        own |= self._camera.memory()
        return own | {f"known_{name}": value for name, value in vars(self.now).items()}

    def close(self) -> None:
        """Release the renderer; idempotent."""
        self._camera.close()

    def _take(self, env: int, points: FloatArray, ee_pos: FloatArray, ee_mat: FloatArray) -> None:
        low = low_points(points, ee_pos)
        if len(low) < MIN_POINTS:
            return
        seen, now = self._affordance.estimate(low, ee_pos, ee_mat), self.now
        values = (
            (now.tip_pos, seen.p_tip),
            (now.tip_axis, seen.axes[:, 1]),
            (now.opening, [max(seen.opening_m, 0.0)]),
            (now.object_pos, seen.p_object),
            (now.object_quat, seen.object_quat_wxyz),
            (now.object_size, seen.object_size_m),
        )
        for tensor, value in values:
            tensor[env] = torch.as_tensor(np.asarray(value), dtype=tensor.dtype, device=tensor.device)


def _unknown(num: int, device: torch.device) -> Known:
    """Return what to assume before anything was seen: open tips over an object in the middle of the table."""

    def each(*values: float) -> Tensor:
        return torch.tensor(values, device=device).repeat(num, 1)

    tip, thing = each(0.45, 0.0, 0.09), each(0.45, 0.0, 0.009)
    return Known(tip, each(1.0, 0.0, 0.0), each(0.026), thing, each(1.0, 0.0, 0.0, 0.0), each(0.012, 0.008))
