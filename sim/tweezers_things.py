"""Small things for `sim/tweezers.py`: of the kinds and sizes that the policy was trained on, and others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.solids.solid import SolidConfig
from sim.tasks.small_objects import OBJECTS_M, UNSEEN

Rgb = tuple[float, float, float]
_DENSITY_KG_M3 = 900.0
_CUBE_M = (0.011, 0.017)
_WIDE_M = (0.034, 0.042)


def draw_thing(rng: np.random.Generator, family: str, rgb: Rgb) -> SolidConfig:
    """Draw one thing.

    Args:
        rng: Source of randomness.
        family: `unseen`: one of the fixed list that nothing was trained on; `cube`: a cube; else of the
            kinds and ranges of sizes that policies were trained on.
        rgb: Colour.
    """
    if family == "unseen":
        return replace(UNSEEN[int(rng.integers(len(UNSEEN)))], rgb=rgb)
    if family == "cube":
        edge = float(rng.uniform(*_CUBE_M))
        return SolidConfig("box", (edge, edge, edge), _DENSITY_KG_M3, rgb=rgb)
    kind, *spans = OBJECTS_M[int(rng.integers(len(OBJECTS_M)))]
    x, y, z = (float(rng.uniform(low, high)) for low, high in spans)
    size = (x, x, z) if kind in ("cylinder", "capsule") else (x, y, z)
    return SolidConfig(kind, size, _DENSITY_KG_M3, rgb=rgb)


def wide_thing(rng: np.random.Generator, rgb: Rgb) -> SolidConfig:
    """Draw a block that no tweezers open wide enough for."""
    x, y = (float(v) for v in rng.uniform(*_WIDE_M, 2))
    return SolidConfig("box", (x, y, 0.02), _DENSITY_KG_M3, rgb=rgb)
