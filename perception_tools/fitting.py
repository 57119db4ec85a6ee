"""Fit a solid to what one view shows of an object: its outline in the image and its surface points.

The outline tells the extent to a fraction of a pixel, also of the hidden side, because the solid
stands on a known support; the points tell which surface it is. Robust Gauss-Newton (Cauchy weights,
Levenberg damping), derivatives by finite differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from perception_tools.geometry import BoolArray, FloatArray, Intrinsics, Transform
from perception_tools.solids import Solid

_STEP_M = 3e-4
_MIN_SIZE_M = 4e-3


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


def outline_cracks(mask: BoolArray, occluder: BoolArray) -> tuple[FloatArray, float]:
    """Return where a mask ends against its background, and how much of its outline that is.

    The points lie halfway between a pixel inside and its neighbour outside, so that they are
    unbiased. Ends against an occluder or the border of the image do not count.

    Args:
        mask: Pixels of the object, shape (H, W).
        occluder: Pixels of things in front of it, shape (H, W).

    Returns:
        Points [px], shape (M, 2), and the fraction of the whole outline that they are.
    """
    v, u = np.nonzero(mask)
    if len(v) == 0:
        return np.zeros((0, 2)), 0.0
    height, width = mask.shape
    points, total = [], 0
    for dv, du in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        nv, nu = v + dv, u + du
        inside = (nv >= 0) & (nv < height) & (nu >= 0) & (nu < width)
        iv, iu = np.clip(nv, 0, height - 1), np.clip(nu, 0, width - 1)
        ends = ~inside | ~mask[iv, iu]
        free = ends & inside & ~occluder[iv, iu]
        total += int(ends.sum())
        points.append(np.stack([u[free] + du / 2, v[free] + dv / 2], axis=1))
    outline = np.concatenate(points)
    return outline, len(outline) / max(total, 1)


def fit_solid(start: Solid, evidence: Evidence, *, iterations: int = 8) -> tuple[Solid, float]:
    """Refine a solid until it agrees with outline and points.

    Args:
        start: First guess; kind, support and wall stay.
        evidence: What the view shows.
        iterations: Most steps.

    Returns:
        The solid and its misfit: mean robust residual, about 0.5 for the right kind of solid.
    """
    params = np.array(start.params, dtype=np.float64)
    residual = _residuals(start.moved(params), evidence)
    cost, damping = _cost(residual), 1e-2
    for _ in range(iterations):
        jacobian = np.stack(
            [
                (_residuals(start.moved(params + step), evidence) - residual) / _STEP_M
                for step in _STEP_M * np.eye(len(params))
            ],
            axis=1,
        )
        weight = 1 / (1 + residual**2 / 4)
        normal = jacobian.T @ (weight[:, None] * jacobian)
        gradient = jacobian.T @ (weight * residual)
        improved = False
        for _ in range(3):
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-6), -gradient)
            trial = _valid(start, params + np.clip(step, -0.02, 0.02))
            trial_residual = _residuals(start.moved(trial), evidence)
            if (trial_cost := _cost(trial_residual)) < cost:
                improved = True
                break
            damping *= 10
        if not improved:
            break
        small = cost - trial_cost < 1e-3 * cost
        params, residual, cost, damping = trial, trial_residual, trial_cost, damping / 5
        if small:
            break
    return start.moved(params), cost


def outline_distance_px(points_px: FloatArray, hull_px: FloatArray) -> FloatArray:
    """Return the signed distance of points (M, 2) to a convex polygon (K, 2), < 0 inside, (M,)."""
    edges = np.roll(hull_px, -1, axis=0) - hull_px
    length = np.hypot(edges[:, 0], edges[:, 1])
    keep = length > 1e-6
    start, edges = hull_px[keep], edges[keep] / length[keep, None]
    area = np.sum(start[:, 0] * np.roll(start[:, 1], -1) - start[:, 1] * np.roll(start[:, 0], -1))
    sign = 1.0 if area > 0 else -1.0
    normals = sign * np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    return (points_px @ normals.T - np.einsum("ij,ij->i", start, normals)).max(axis=1)


def silhouette_px(solid: Solid, intrinsics: Intrinsics, T_world_camera: Transform) -> FloatArray:
    """Return the convex outline of a solid in the image [px], shape (K, 2); empty if behind the camera."""
    eye = T_world_camera.position_m
    local = (solid.silhouette_points(eye) - eye) @ T_world_camera.rotation
    if (local[:, 2] < 1e-3).any():
        return np.zeros((0, 2))
    uv = intrinsics.project(local)
    return cv2.convexHull(uv.astype(np.float32))[:, 0].astype(np.float64)


def _residuals(solid: Solid, evidence: Evidence) -> FloatArray:
    surface = solid.distance_m(evidence.points, evidence.T_world_camera.position_m) / evidence.sigma_m
    if len(evidence.outline_px) == 0:
        return surface
    hull = silhouette_px(solid, evidence.intrinsics, evidence.T_world_camera)
    if len(hull) < 3:
        return np.concatenate([surface, np.full(len(evidence.outline_px), 20.0)])
    return np.concatenate([surface, outline_distance_px(evidence.outline_px, hull) / evidence.sigma_px])


def _cost(residual: FloatArray) -> float:
    return float(np.mean(2 * np.log1p(residual**2 / 4)))


def _valid(start: Solid, params: FloatArray) -> FloatArray:
    out = params.copy()
    first = 3 if start.kind in ("box", "lying") else 2
    out[first:] = np.maximum(out[first:], _MIN_SIZE_M)
    return out
