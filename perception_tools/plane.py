"""The support plane (table top) in a cloud whose gravity direction is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from perception_tools.geometry import FloatArray

_MIN_POINTS = 50
_STEP_SIGMAS = 2.5
_LOWER_SHARE = 0.25


@dataclass(frozen=True)
class PlaneConfig:
    """How the support plane is searched.

    Attributes:
        expected_z_m: Height of the table top in world [m]; None: unknown, the largest plane counts.
        search_m: Points within this of `expected_z_m` take part [m].
        max_tilt_rad: Largest angle between the plane's normal and `up` [rad].
        inlier_m: Distance of an inlier [m]: below half the thickness of trays' floors, so that these
            do not lift the plane; it adapts to the noise afterwards.
        num_hypotheses: Random triples tried.
        max_points: Points used (an even subset).
        min_inlier_fraction: Below this fraction of the points that take part, nothing was found.
    """

    expected_z_m: float | None = 0.0
    search_m: float = 0.03
    max_tilt_rad: float = 0.05
    inlier_m: float = 0.002
    num_hypotheses: int = 32
    max_points: int = 6000
    min_inlier_fraction: float = 0.2


@dataclass(frozen=True, eq=False)
class Plane:
    """Plane `normal @ p = offset_m`, the normal pointing to free space.

    Attributes:
        normal: Unit normal, shape (3,).
        offset_m: Distance of the origin along the normal [m].
        rmse_m: Root mean square distance of the inliers [m]: the noise of the depth along the normal.
        num_inliers: Points that support it; 0 if it was assumed, not measured.
    """

    normal: FloatArray
    offset_m: float
    rmse_m: float = 0.0
    num_inliers: int = 0

    def height_m(self, points: ArrayLike) -> FloatArray:
        """Return the signed distance of points (..., 3) above the plane [m], shape (...)."""
        return np.asarray(points, dtype=np.float64) @ self.normal - self.offset_m

    def z_at(self, xy: ArrayLike) -> FloatArray:
        """Return the world height of the plane at xy (..., 2) [m], shape (...); it must not be vertical."""
        return (self.offset_m - np.asarray(xy, dtype=np.float64) @ self.normal[:2]) / self.normal[2]


def fit_support_plane(
    points_world: ArrayLike, config: PlaneConfig | None = None, *, up: ArrayLike = (0.0, 0.0, 1.0)
) -> Plane | None:
    """Find the plane that most points lie on and whose normal is near `up`; refine it by least squares.

    RANSAC (Fischler and Bolles, 1981) on triples, then rounds of total least squares on the inliers.
    Near an expected height, the lower one of two planes counts: floors of trays lie just above the
    table. Deterministic: equal points give an equal plane.

    Args:
        points_world: Points in world [m], shape (N, 3), finite.
        config: Settings.
        up: Direction against gravity, shape (3,).

    Returns:
        The plane, or None if too few points support any.
    """
    config = config or PlaneConfig()
    up = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    points = np.asarray(points_world, dtype=np.float64).reshape(-1, 3)
    if config.expected_z_m is not None:
        points = points[np.abs(points @ up - config.expected_z_m) < config.search_m]
    if len(points) < _MIN_POINTS:
        return None
    points = points[:: max(1, len(points) // config.max_points)]
    plane = _fit(points, up, config)
    if plane is None or config.expected_z_m is None:
        return plane
    depth = plane.height_m(points)
    below = points[(depth < -_STEP_SIGMAS * plane.rmse_m) & (depth > -config.search_m)]
    lower = _fit(below, up, config) if len(below) > _LOWER_SHARE * plane.num_inliers else None
    return lower or plane


def _fit(points: FloatArray, up: FloatArray, config: PlaneConfig) -> Plane | None:
    """Find the plane that most of some points (N, 3) lie on, None if too few do."""
    if len(points) < _MIN_POINTS:
        return None
    normal, offset = _best_hypothesis(points, up, config)
    reach = config.inlier_m
    for _ in range(4):
        inliers = points[np.abs(points @ normal - offset) < reach]
        if len(inliers) < max(_MIN_POINTS, config.min_inlier_fraction * len(points)):
            return None
        normal, offset = _total_least_squares(inliers, up)
        reach = float(np.clip(3.5 * np.median(np.abs(inliers @ normal - offset)), 0.0015, 0.01))
    if normal @ up < np.cos(config.max_tilt_rad):
        return None
    rmse = float(np.sqrt(np.mean((inliers @ normal - offset) ** 2)))
    return Plane(normal, float(offset), rmse, len(inliers))


def _best_hypothesis(points: FloatArray, up: FloatArray, config: PlaneConfig) -> tuple[FloatArray, float]:
    rng = np.random.default_rng(0)
    corners = points[rng.integers(len(points), size=(config.num_hypotheses, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.concatenate([normals / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None], [up]])
    normals *= np.where(normals @ up < 0, -1, 1)[:, None]
    offsets = np.append(np.einsum("ij,ij->i", normals[:-1], corners[:, 0]), np.median(points @ up))
    keep = normals @ up >= np.cos(config.max_tilt_rad)
    normals, offsets = normals[keep], offsets[keep]
    some = points[:: max(1, len(points) // 1500)]
    inside = np.abs(some @ normals.T - offsets) < config.inlier_m
    best = int(np.argmax(inside.sum(axis=0)))
    return normals[best], float(offsets[best])


def _total_least_squares(points: FloatArray, up: FloatArray) -> tuple[FloatArray, float]:
    center = points.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((points - center).T))
    normal = vectors[:, 0] * (1 if vectors[:, 0] @ up >= 0 else -1)
    return normal, float(normal @ center)
