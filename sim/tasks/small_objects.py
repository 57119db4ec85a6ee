"""Small objects for tweezers: kinds, ranges of sizes, and how they lie on a table."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.solids.solid import SolidConfig

Span = tuple[float, float]
OBJECTS_M: Final[tuple[tuple[str, Span, Span, Span], ...]] = (
    ("box", (0.010, 0.018), (0.020, 0.060), (0.010, 0.024)),
    ("cylinder", (0.013, 0.018), (0.013, 0.018), (0.016, 0.030)),
    ("ellipsoid", (0.012, 0.018), (0.024, 0.045), (0.014, 0.020)),
    ("capsule", (0.006, 0.012), (0.006, 0.012), (0.030, 0.060)),
    ("box", (0.004, 0.006), (0.004, 0.007), (0.004, 0.006)),
)
"""Kind and ranges of extents along body x, y, z, easiest first; x is what the tweezers span [m].

Five keep the model at 60 degrees of freedom, the most for which Warp's matrices are dense.
"""

_RGB: Final = (
    *((0.80, 0.20, 0.15), (0.20, 0.45, 0.80), (0.90, 0.60, 0.10)),
    *((0.10, 0.60, 0.65), (0.60, 0.30, 0.70)),
)


def draw_objects(seed: int) -> tuple[SolidConfig, ...]:
    """Draw the sizes of the objects, in the order of `OBJECTS_M`."""
    rng = np.random.default_rng(seed)
    solids = []
    for (kind, *spans), rgb in zip(OBJECTS_M, _RGB, strict=True):
        x, y, z = (float(rng.uniform(low, high)) for low, high in spans)
        size = (x, x, z) if kind in ("cylinder", "capsule") else (x, y, z)
        solids.append(SolidConfig(kind=kind, size_m=size, density_kg_m3=900.0, rgb=rgb))
    return tuple(solids)


UNSEEN: Final[tuple[SolidConfig, ...]] = (
    SolidConfig("sphere", 0.016, 900.0, 0.9, (0.80, 0.20, 0.15)),
    SolidConfig("box", (0.014, 0.014, 0.034), 900.0, 0.9, (0.20, 0.45, 0.80)),
    SolidConfig("ellipsoid", (0.015, 0.016, 0.030), 900.0, 0.9, (0.90, 0.60, 0.10)),
    SolidConfig("cylinder", (0.009, 0.009, 0.018), 900.0, 0.9, (0.10, 0.60, 0.65)),
    SolidConfig("box", (0.008, 0.045, 0.012), 900.0, 0.9, (0.60, 0.30, 0.70)),
    SolidConfig("cylinder", (0.020, 0.020, 0.012), 900.0, 0.9, (0.85, 0.35, 0.45)),
    SolidConfig("capsule", (0.014, 0.014, 0.024), 900.0, 0.9, (0.25, 0.60, 0.30)),
    SolidConfig("box", (0.020, 0.020, 0.020), 900.0, 0.9, (0.30, 0.35, 0.75)),
    SolidConfig("sphere", 0.012, 900.0, 0.9, (0.95, 0.75, 0.20)),
    SolidConfig("box", (0.003, 0.020, 0.008), 900.0, 0.9, (0.50, 0.50, 0.55)),
)
"""Objects that nothing is trained on: no sphere is in `OBJECTS_M`, and every other has a size outside its
kind's ranges. Two scenes of five; see `unseen_objects`."""


def unseen_objects(seed: int) -> tuple[SolidConfig, ...]:
    """Return the first half of `UNSEEN` for an even seed, the second for an odd one."""
    half = len(OBJECTS_M)
    first = half * (seed % 2)
    return UNSEEN[first : first + half]


def lying(solid: SolidConfig) -> tuple[float, tuple[float, float, float, float]]:
    """Return half the height of an object that lies on the table [m], and its orientation then, quat_wxyz."""
    extents = solid.extents_m
    if solid.kind == "capsule":  # its axis, z, lies along y
        half = float(np.sqrt(0.5))
        return extents[0] / 2, (half, -half, 0.0, 0.0)
    return extents[2] / 2, (1.0, 0.0, 0.0, 0.0)
