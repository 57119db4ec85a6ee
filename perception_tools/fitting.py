"""Fit a solid to what one view shows of an object: its outline in the image and its surface points.

The outline tells the extent to a fraction of a pixel, also of the hidden side, because the solid
stands on a known support; the points tell which surface it is. Robust Gauss-Newton: Cauchy weights,
Levenberg damping, derivatives by differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from perception_tools.geometry import FloatArray, Intrinsics, Transform
from perception_tools.solids import PARAMETERS, Solid, silhouette_points, surface_distance_m

_STEP_M = 3e-4
_MIN_SIZE_M = 4e-3
_MAX_MOVE_M = 0.02
_CAUCHY = 4.0  # squared residual, in units of the noise, at which a reading counts half
_PLACE = frozenset({"x", "y", "yaw"})


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one view shows of one object.

    Attributes:
        points: Surface points in world [m], shape (N, 3).
        outline_px: Points on its outline against what lies behind it [px], shape (M, 2).
        intrinsics: Of the image.
        T_world_camera: Optical pose of the camera.
        sigma_m: Deviation of the points along the normal of a surface [m].
        sigma_px: Deviation of the outline [px].
    """

    points: FloatArray
    outline_px: FloatArray
    intrinsics: Intrinsics
    T_world_camera: Transform
    sigma_m: float
    sigma_px: float = 0.6

    def thinned(self, num_points: int, num_outline: int) -> Evidence:
        """Return an even subset."""
        return Evidence(
            _even(self.points, num_points),
            _even(self.outline_px, num_outline),
            self.intrinsics,
            self.T_world_camera,
            self.sigma_m,
            self.sigma_px,
        )


def fit_solid(
    start: Solid, evidence: Evidence, *, iterations: int = 8, fixed: tuple[str, ...] = ()
) -> tuple[Solid, float]:
    """Refine a solid until it agrees with outline and points.

    Args:
        start: First guess; kind, support and wall stay.
        evidence: What the view shows.
        iterations: Most steps.
        fixed: Names of parameters that keep their first guess.

    Returns:
        The solid and its misfit: mean robust residual, about 0.1 to 0.5 for the right kind of solid.
    """
    free = np.array([name not in fixed for name in PARAMETERS[start.kind]])
    steps = np.vstack([np.zeros(len(free)), _STEP_M * np.eye(len(free))[free]])
    params = np.array(start.params, dtype=np.float64)
    cost, damping = float(_misfit(_residuals(start, params[None], evidence))[0]), 1e-2
    for _ in range(iterations):
        around = _residuals(start, params + steps, evidence)
        residual, jacobian = around[0], (around[1:] - around[0]).T / _STEP_M
        weight = 1 / (1 + residual**2 / _CAUCHY)
        normal = jacobian.T @ (weight[:, None] * jacobian)
        gradient = jacobian.T @ (weight * residual)
        scale = np.diag(np.diag(normal) + 1e-6)
        trials = np.tile(params, (2, 1))
        for trial, d in zip(trials, (damping, 30 * damping), strict=True):
            trial[free] += np.clip(np.linalg.solve(normal + d * scale, -gradient), -_MAX_MOVE_M, _MAX_MOVE_M)
        trials = _valid(start, trials)
        costs = _misfit(_residuals(start, trials, evidence))
        best = int(np.argmin(costs))
        if costs[best] >= cost:
            damping *= 100
            if damping > 1e3:
                break
            continue
        is_small = cost - costs[best] < 1e-3 * cost
        params, cost, damping = trials[best], float(costs[best]), damping * (0.2 if best == 0 else 5)
        if is_small:
            break
    return start.moved(params), cost


def silhouette_px(solid: Solid, intrinsics: Intrinsics, T_world_camera: Transform) -> FloatArray:
    """Return the convex outline of a solid in the image [px], shape (K, 2); empty if behind the camera."""
    uv = _projected(solid, solid.params[None], intrinsics, T_world_camera)[0]
    return _hull(uv) if np.isfinite(uv).all() else np.zeros((0, 2))


def outline_distance_px(points_px: FloatArray, hulls_px: Sequence[FloatArray]) -> FloatArray:
    """Return the signed distance of points (M, 2) to each of L convex polygons (K, 2), < 0 inside, (L, M)."""
    num = max(len(hull) for hull in hulls_px)
    start = np.stack([np.concatenate([h, np.repeat(h[:1], num - len(h), axis=0)]) for h in hulls_px])
    edges = np.concatenate([start[:, 1:], start[:, :1]], axis=1) - start
    length = np.hypot(edges[..., 0], edges[..., 1])
    is_edge = length > 1e-6
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1) / np.where(is_edge, length, 1.0)[..., None]
    area = (start[..., 0] * edges[..., 1] - start[..., 1] * edges[..., 0]).sum(axis=1)
    normals = np.where(area > 0, 1.0, -1.0)[:, None, None] * normals
    offset = np.where(is_edge, (start * normals).sum(axis=-1), np.inf)
    return (normals @ points_px.T - offset[..., None]).max(axis=1)


def _residuals(solid: Solid, params: FloatArray, evidence: Evidence) -> FloatArray:
    """Return the residuals of K parameter vectors (K, P) in units of the noise, (K, N + M)."""
    eye = evidence.T_world_camera.position_m
    surface = surface_distance_m(solid, params, evidence.points, eye) / evidence.sigma_m
    if len(evidence.outline_px) == 0:
        return surface
    uv = _projected(solid, params, evidence.intrinsics, evidence.T_world_camera)
    outline = np.full((len(params), len(evidence.outline_px)), 20.0)
    seen = np.flatnonzero(np.isfinite(uv).all(axis=(1, 2)))
    if len(seen):
        hulls = [_hull(uv[k]) for k in seen]
        outline[seen] = outline_distance_px(evidence.outline_px, hulls) / evidence.sigma_px
    return np.concatenate([surface, outline], axis=1)


def _projected(
    solid: Solid, params: FloatArray, intrinsics: Intrinsics, T_world_camera: Transform
) -> FloatArray:
    eye = T_world_camera.position_m
    return intrinsics.project((silhouette_points(solid, params, eye) - eye) @ T_world_camera.rotation)


def _hull(uv: FloatArray) -> FloatArray:
    corners = cv2.convexHull(uv.astype(np.float32), returnPoints=False)
    return uv[np.asarray(corners, dtype=np.intp)[:, 0]]


def _misfit(residuals: FloatArray) -> FloatArray:
    """Return the misfit of each row of residuals, (K, N), (K,)."""
    return (_CAUCHY / 2 * np.log1p(residuals**2 / _CAUCHY)).mean(axis=1)


def _valid(start: Solid, params: FloatArray) -> FloatArray:
    low = [-np.inf if name in _PLACE else _MIN_SIZE_M for name in PARAMETERS[start.kind]]
    return np.maximum(params, low)


def _even(rows: FloatArray, num: int) -> FloatArray:
    return rows if len(rows) <= num else rows[np.linspace(0, len(rows) - 1, num).astype(int)]
