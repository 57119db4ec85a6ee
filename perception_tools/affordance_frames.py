"""A cloud in its own frames: what makes an affordance encoder blind to where a tool is and how it lies.

The frames are the principal axes of the cloud at its mean, with each of the four choices of signs that make
a right-handed frame. What is averaged over all four is invariant, or turns with the cloud, exactly
("frame averaging", Puny et al., 2022, arXiv 2110.03336, section 3.1). Lengths are divided by the cloud's
root mean square radius.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from perception_tools.geometry import FloatArray

NUM_FRAMES: Final = 4
MIN_POINTS: Final = 24
SIGNS: Final = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float64)

_NEIGHBOURS: Final = 4
_STRAY: Final = 4.0  # a point whose fourth neighbour is this many medians away is no part of the cloud


@dataclass(frozen=True, eq=False)
class FramedCloud:
    """A cloud in its frames.

    Attributes:
        points: Points without unit in each frame, (4, N, 3), float32.
        center_m: Origin of all frames in the cloud's frame [m], (3,).
        axes: Axes of each frame as rows, (4, 3, 3): ``p_frame = axes @ (p_cloud - center) / scale``.
        scale_m: Root mean square distance of the points from the origin [m].
    """

    points: NDArray[np.float32]
    center_m: FloatArray
    axes: FloatArray
    scale_m: float

    def to_cloud(self, p_frame: ArrayLike) -> FloatArray:
        """Map a point of each frame, (4, 3), to the cloud's frame [m], (4, 3)."""
        return self.scale_m * self.turn(p_frame) + self.center_m

    def turn(self, directions: ArrayLike) -> FloatArray:
        """Rotate a direction of each frame, (4, 3), into the cloud's frame, (4, 3)."""
        return np.einsum("fij,fi->fj", self.axes, np.asarray(directions, np.float64))


def frame_cloud(points: FloatArray, num_points: int, num_centres: int = 0) -> FramedCloud:
    """Thin a cloud, drop strays, and put it in its frames.

    The choice of points depends on their order alone, so that a moved cloud gives the same ones.

    Args:
        points: Cloud [m], (N, 3).
        num_points: Points to keep; where there are fewer they are repeated.
        num_centres: So many come first that are far from each other (farthest point sampling).

    Raises:
        ValueError: Fewer than `MIN_POINTS` finite points, or all in one place.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < MIN_POINTS:
        raise ValueError(f"a cloud of {len(points)} points shows too little; {MIN_POINTS} are needed")
    if len(points) > num_points:
        points = points[np.sort(np.random.default_rng(0).permutation(len(points))[:num_points])]
    points = points[~is_stray(points)]
    center = points.mean(axis=0)
    offset = points - center
    scale = float(np.sqrt((offset**2).sum(axis=1).mean()))
    if scale < 1e-6:
        raise ValueError("all points of the cloud are in one place")
    # Descending: the first axis is the long one.
    axes = np.linalg.eigh(offset.T @ offset)[1].T[::-1].copy()
    axes[2] = np.cross(axes[0], axes[1])
    offset = np.resize(offset, (num_points, 3)) / scale  # repeats rows from the start
    if num_centres:
        first = farthest(offset, num_centres)
        rest = np.setdiff1d(np.arange(num_points), first)
        offset = offset[np.concatenate([first, rest])]
    turned = (offset @ axes.T)[None] * SIGNS[:, None, :]
    return FramedCloud(turned.astype(np.float32), center, SIGNS[:, :, None] * axes, scale)


def is_stray(points: FloatArray) -> NDArray[np.bool_]:
    """Return which points have no neighbours, (N,)."""
    distance = KDTree(points).query(points, _NEIGHBOURS + 1)[0][:, -1]
    return distance > _STRAY * np.median(distance)


def farthest(points: FloatArray, num: int) -> NDArray[np.int64]:
    """Return indices of points that are far from each other; the first is the farthest from the origin."""
    chosen = np.empty(num, np.int64)
    chosen[0] = int(np.argmax((points**2).sum(axis=1)))
    distance = np.full(len(points), np.inf)
    for k in range(1, num):
        distance = np.minimum(distance, ((points - points[chosen[k - 1]]) ** 2).sum(axis=1))
        distance[chosen[:k]] = -1.0
        chosen[k] = int(np.argmax(distance))
    return chosen
