"""The stage of `pour`: a mug with beads in it, and a bowl."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np

from sim.objects import sample_object
from sim.scene import PlacedObject
from sim.tasks.beads import BEAD_RADIUS_M, add_beads
from sim.workshop_scene import Holds, Stage, WorkshopScene

NUM_BEADS = 12
ENOUGH = 9
"""So many beads in the bowl count as poured."""
_COLORS = ("red", "blue", "green", "white")


class PourStage(Stage):
    """Beads are a granular material; what misses the bowl lies on the table."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw mug and bowl, and where they stand."""
        mug_color, bowl_color = (str(c) for c in rng.permutation(_COLORS)[:2])
        mug = sample_object(rng, "mug", "mug", mug_color)
        bowl = sample_object(rng, "bowl", "bowl", bowl_color)
        side = 1.0 if rng.random() < 0.5 else -1.0
        at = [
            (0.46 + float(rng.uniform(-0.04, 0.04)), -side * (0.15 + float(rng.uniform(-0.03, 0.03)))),
            (0.50 + float(rng.uniform(-0.04, 0.04)), side * (0.12 + float(rng.uniform(-0.03, 0.03)))),
        ]
        self.objects = tuple(
            PlacedObject(spec, (x, y, spec.size_m[2] / 2 + 0.0005), float(rng.uniform(-np.pi, np.pi)))
            for spec, (x, y) in zip((mug, bowl), at, strict=True)
        )
        words = (
            "pour the {mug} mug into the {bowl} bowl",
            "pour the beads into the {bowl} bowl",
            "pour what is in the {mug} cup into the bowl",
            "empty the mug into the bowl",
        )
        self.instruction = words[int(rng.integers(len(words)))].format(mug=mug_color, bowl=bowl_color)
        self.meta = {"mug": mug_color, "bowl": bowl_color}

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See `Stage.furnish`."""
        add_beads(spec, NUM_BEADS)

    def begin(self, scene: WorkshopScene) -> None:
        """See `Stage.begin`: the beads lie in the mug."""
        x, y, _ = self.objects[0].position_m
        for k, at in enumerate(_grid(np.array([x, y, self.objects[0].spec.wall_m + 0.002]))):
            scene.set_joint(f"bead{k}", np.array([*at, 1.0, 0.0, 0.0, 0.0]))

    def beads(self, scene: WorkshopScene) -> np.ndarray:
        """Return where the beads are in world [m], (N, 3)."""
        return np.array([scene.body(f"bead{k}") for k in range(NUM_BEADS)])

    def holds(self, scene: WorkshopScene) -> Holds:
        """See `Stage.holds`: enough beads lie in the bowl."""
        p, spec = self.beads(scene), self.objects[1].spec
        middle, _ = scene.object_pose("bowl")
        inside = np.linalg.norm((p - middle)[:, :2], axis=1) < spec.size_m[0] / 2
        inside &= np.abs((p - middle)[:, 2]) < spec.size_m[2] / 2 + BEAD_RADIUS_M
        mug, size_m = scene.object_pose("mug")[0], self.objects[0].spec.size_m
        kept = np.linalg.norm(p - mug, axis=1) < 0.5 * float(np.hypot(size_m[0], size_m[2]))
        count, spilled = int(inside.sum()), int((~inside & ~kept & (p[:, 2] < 0.02)).sum())
        reason = f"{count} of {NUM_BEADS} beads lie in the bowl, {spilled} on the table"
        return Holds(count >= ENOUGH, reason, {"in_bowl": count, "spilled": spilled})

    def solve(self, scene: WorkshopScene) -> None:
        """See `Stage.solve`."""
        middle, _ = scene.object_pose("bowl")
        spec = self.objects[1].spec
        floor = middle - np.array([0.0, 0.0, spec.size_m[2] / 2 - spec.wall_m - 0.002])
        for k, at in enumerate(_grid(floor)):
            scene.set_joint(f"bead{k}", np.array([*at, 1.0, 0.0, 0.0, 0.0]))


def _grid(bottom: np.ndarray) -> np.ndarray:
    """Return places of beads that lie in layers of four over a point (3,), (N, 3) [m]."""
    pitch = 2.4 * BEAD_RADIUS_M
    k = np.arange(NUM_BEADS)
    offset = np.stack([(k % 2 - 0.5) * pitch, (k // 2 % 2 - 0.5) * pitch, (k // 4 + 0.5) * pitch], axis=1)
    return bottom + offset
