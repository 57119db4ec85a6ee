"""What a camera sees of a surface and how it errs: hidden points, occlusion, noise, dropout, outliers."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import BoolArray, FloatArray


@dataclass(frozen=True)
class Corruption:
    """What is wrong with a cloud.

    Attributes:
        is_view: Only what one camera sees, from a random side; else the whole surface.
        distance_m: Of that camera from the middle of the thing [m].
        points: Number of points before dropout.
        jitter_m: Standard deviation of every coordinate [m].
        dropout: Share of points that are missing, at random.
        patches: Number of balls in which all is missing (fingers, other things).
        patch: Radius of the balls, as a share of the cloud's largest extent.
        outliers: Stray points, as a share of the points: half in the box around the cloud, half behind
            or before a point on its line of sight ("flying pixels").
    """

    is_view: bool = False
    distance_m: float = 0.5
    points: int = 512
    jitter_m: float = 0.0
    dropout: float = 0.0
    patches: int = 0
    patch: float = 0.15
    outliers: float = 0.0

    def __post_init__(self) -> None:
        if self.points < 1 or self.distance_m <= 0 or self.jitter_m < 0 or self.patches < 0:
            raise ValueError(f"{self} needs at least a point, a distance above 0, and no negative number")
        if not (0 <= self.dropout < 1 and 0 <= self.outliers <= 1 and 0 <= self.patch < 1):
            raise ValueError(f"{self}: shares are from 0 to 1")


CORRUPTIONS: Final = MappingProxyType(
    {
        "clean": Corruption(),
        "noisy": Corruption(jitter_m=0.0015, dropout=0.3),
        "partial": Corruption(is_view=True),
        "occluded": Corruption(is_view=True, patches=2),
        "outliers": Corruption(is_view=True, outliers=0.08),
        "all": Corruption(is_view=True, jitter_m=0.001, dropout=0.2, patches=1, outliers=0.04),
    }
)
"""Those that are reported, one at a time and all together."""


def sample_corruption(rng: np.random.Generator) -> Corruption:
    """Draw what is wrong with a cloud in training: four out of five are views, most are noisy."""
    return Corruption(
        is_view=bool(rng.random() < 0.8),
        distance_m=float(rng.uniform(0.3, 0.9)),
        points=round(float(np.exp(rng.uniform(np.log(160), np.log(900))))),
        jitter_m=float(rng.uniform(0, 0.002)) if rng.random() < 0.8 else 0.0,
        dropout=float(rng.uniform(0, 0.4)),
        patches=int(rng.integers(1, 3)) if rng.random() < 0.5 else 0,
        patch=float(rng.uniform(0.06, 0.17)),
        outliers=float(rng.uniform(0, 0.1)) if rng.random() < 0.5 else 0.0,
    )


def corrupt(
    points: FloatArray, normals: FloatArray, spacing_m: float, how: Corruption, rng: np.random.Generator
) -> FloatArray:
    """Return the cloud that is seen of a densely sampled surface.

    Args:
        points: Points [m], (N, 3).
        normals: Their outward normals, (N, 3).
        spacing_m: Mean distance of neighbouring points [m].
        how: What is wrong with the cloud.
        rng: Source of randomness.

    Returns:
        Points [m], (M, 3), in no particular order; at least 16.
    """
    direction = rng.normal(size=3)
    eye = points.mean(0) + how.distance_m * direction / np.linalg.norm(direction)
    seen = points[visible(points, normals, eye, spacing_m)] if how.is_view else points
    extent = float(np.ptp(seen, axis=0).max())
    hidden = np.zeros(len(seen), bool)
    for _ in range(how.patches):
        middle = seen[int(rng.integers(len(seen)))]
        hidden |= np.linalg.norm(seen - middle, axis=1) < how.patch * extent
    if (~hidden).sum() >= 16:
        seen = seen[~hidden]
    keep = max(16, round(how.points * (1 - how.dropout)))
    seen = seen[rng.choice(len(seen), keep, replace=len(seen) < keep)]
    noisy = seen + rng.normal(size=seen.shape) * how.jitter_m
    return rng.permutation(np.concatenate([noisy, _strays(noisy, eye, how, rng)]))


def visible(points: FloatArray, normals: FloatArray, eye: FloatArray, spacing_m: float) -> BoolArray:
    """Return which points of a dense surface are seen from `eye`: faces towards it, nothing before it.

    Depth is buffered on a grid of directions, whose cells are about two points wide.
    """
    rays = points - eye
    facing = np.einsum("nd,nd->n", rays, normals) < 0
    forward = points.mean(0) - eye
    distance = float(np.linalg.norm(forward))
    basis = _basis(forward / distance)
    x, y, z = (rays @ basis).T
    cell = 2.0 * spacing_m / distance
    u, v = (_bins(a / z, cell) for a in (x, y))
    index = u * (int(v.max()) + 1) + v
    nearest = np.full(int(index.max()) + 1, np.inf)
    np.minimum.at(nearest, index[facing], z[facing])
    return facing & (z < nearest[index] + 3.0 * spacing_m)


def _bins(values: FloatArray, width: float) -> NDArray[np.int64]:
    cells = np.floor(values / width).astype(np.int64)
    return cells - int(cells.min())


def _basis(forward: FloatArray) -> FloatArray:
    """Return a rotation whose third column is `forward`, (3, 3)."""
    other = np.eye(3)[int(np.argmin(np.abs(forward)))]
    right = np.cross(other, forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def _strays(points: FloatArray, eye: FloatArray, how: Corruption, rng: np.random.Generator) -> FloatArray:
    num = round(how.outliers * len(points))
    low, high = points.min(0), points.max(0)
    margin = 0.25 * float((high - low).max())
    around = rng.uniform(low - margin, high + margin, (num - num // 2, 3))
    start = points[rng.integers(len(points), size=num // 2)]
    rays = start - eye
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return np.concatenate([around, start + rays * rng.uniform(-0.04, 0.04, (num // 2, 1))])
