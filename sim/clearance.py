"""Distances between a robot's collision primitives and what was observed, for many postures at once.

Geoms of type sphere, capsule, cylinder and box are exact; every other shape (mesh, ellipsoid) is
taken as its bounding box. Points are kept in a k-d tree: spheres that cover a geom give a lower
bound of its distance by one nearest-neighbour query each, and only where that bound does not
decide are the exact distances computed, to the few points in question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import mujoco
import numpy as np
from scipy.spatial import cKDTree

from perception_tools.geometry import BoolArray, FloatArray
from policies.motion import Obstacles

_SPHERE, _CAPSULE, _CYLINDER, _BOX = "sphere", "capsule", "cylinder", "box"
_COVER_STEP_M = 0.06  # spacing of the covering spheres


@dataclass(frozen=True, eq=False)
class Primitive:
    """One collision shape in its own frame.

    Attributes:
        kind: sphere (radius), capsule and cylinder (radius, half length along z), box (half extents).
        size: See `kind` [m], (3,), unused entries 0.
        cover_center: Centres of spheres that cover it [m], (S, 3), each inside the shape.
        cover_radius: Their radii [m], (S,).
    """

    kind: str
    size: FloatArray
    cover_center: FloatArray
    cover_radius: FloatArray

    @classmethod
    def build(cls, kind: str, size: Sequence[float] | FloatArray) -> Primitive:
        """Cover the shape with spheres about `_COVER_STEP_M` apart."""
        full = np.zeros(3)
        full[: len(size)] = size
        if kind == _BOX:
            half = full
        elif kind == _SPHERE:
            half = np.zeros(3)
        else:  # the round cross-section is covered by a single row of spheres
            half = np.array([0.0, 0.0, full[1]])
        counts = np.maximum(1, np.ceil(2 * half / _COVER_STEP_M)).astype(int)
        axes = [(np.arange(n) + 0.5) / n * 2 * h - h for n, h in zip(counts, half, strict=True)]
        centers = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        cell = half / counts
        if kind in (_BOX, _CYLINDER):
            radius = np.hypot(np.linalg.norm(cell), full[0] if kind == _CYLINDER else 0.0)
        else:  # the segment's part plus the radius around it
            radius = np.linalg.norm(cell) + full[0]
        return cls(kind, full, centers, np.full(len(centers), float(radius)))

    def distance(self, p_local: FloatArray) -> FloatArray:
        """Return signed distances [m], (N,), of points in the shape's frame, (N, 3); < 0 inside."""
        if self.kind == _BOX:
            q = np.abs(p_local) - self.size
            outside = np.linalg.norm(np.maximum(q, 0.0), axis=1)
            return outside + np.minimum(q.max(axis=1), 0.0)
        if self.kind == _CYLINDER:
            radial = np.hypot(p_local[:, 0], p_local[:, 1]) - self.size[0]
            axial = np.abs(p_local[:, 2]) - self.size[1]
            outside = np.hypot(np.maximum(radial, 0.0), np.maximum(axial, 0.0))
            return outside + np.minimum(np.maximum(radial, axial), 0.0)
        half = self.size[1] if self.kind == _CAPSULE else 0.0
        z = p_local[:, 2] - np.clip(p_local[:, 2], -half, half)
        return np.sqrt(p_local[:, 0] ** 2 + p_local[:, 1] ** 2 + z**2) - self.size[0]

    def half_height(self, up: FloatArray) -> FloatArray:
        """Return the extent below the centre along world -z [m], given z-rows of rotations, (..., 3)."""
        if self.kind == _BOX:
            return np.abs(up) @ self.size
        if self.kind == _CYLINDER:
            return np.abs(up[..., 2]) * self.size[1] + self.size[0] * np.hypot(up[..., 0], up[..., 1])
        half = self.size[1] if self.kind == _CAPSULE else 0.0
        return np.abs(up[..., 2]) * half + self.size[0]


def primitive_of(model: mujoco.MjModel, geom: int) -> tuple[Primitive, FloatArray]:
    """Return a geom's primitive and its centre in the geom's frame [m], (3,)."""
    size, kind = model.geom_size[geom], int(model.geom_type[geom])
    exact = {
        int(mujoco.mjtGeom.mjGEOM_SPHERE): (_SPHERE, size[:1]),
        int(mujoco.mjtGeom.mjGEOM_CAPSULE): (_CAPSULE, size[:2]),
        int(mujoco.mjtGeom.mjGEOM_CYLINDER): (_CYLINDER, size[:2]),
        int(mujoco.mjtGeom.mjGEOM_BOX): (_BOX, size[:3]),
    }
    if kind in exact:
        name, values = exact[kind]
        return Primitive.build(name, values), np.zeros(3)
    aabb = model.geom_aabb[geom]
    return Primitive.build(_BOX, aabb[3:]), np.array(aabb[:3])


@dataclass(frozen=True, eq=False)
class Poses:
    """World poses of primitives for B postures.

    Attributes:
        center: Centres [m], (B, G, 3).
        rotation: Rotations, (B, G, 3, 3).
    """

    center: FloatArray
    rotation: FloatArray

    def to_local(self, b: int, g: int, p_world: FloatArray) -> FloatArray:
        """Map points in world, (N, 3), into the frame of primitive `g` of posture `b`."""
        return (p_world - self.center[b, g]) @ self.rotation[b, g]


class PointField:
    """Observed points, searchable; immutable."""

    def __init__(self, points: FloatArray) -> None:
        self.points = points
        self._tree = cKDTree(points) if len(points) else None

    def distance(self, shapes: Sequence[Primitive], poses: Poses, cutoff_m: float) -> FloatArray:
        """Return the smallest distance of any shape to any point [m], at most `cutoff_m`, (B,)."""
        num_postures = len(poses.center)
        result = np.full(num_postures, cutoff_m)
        if self._tree is None or not shapes or num_postures == 0:
            return result
        owner = np.repeat(np.arange(len(shapes)), [len(s.cover_radius) for s in shapes])
        local = np.concatenate([s.cover_center for s in shapes])
        radius = np.concatenate([s.cover_radius for s in shapes])
        rotated = np.einsum("bsij,sj->bsi", poses.rotation[:, owner], local)
        center = poses.center[:, owner] + rotated
        reach_m = cutoff_m + radius.max()
        nearest, _ = self._tree.query(center.reshape(-1, 3), distance_upper_bound=reach_m)
        nearest = nearest.reshape(num_postures, -1)
        # Centres lie inside their shapes, so `nearest` bounds the distance from above, and
        # `nearest - radius` from below: only shapes whose lower bound beats the best can matter.
        result = np.minimum(result, nearest.min(axis=1))
        lower = nearest - radius
        for b in np.flatnonzero((lower < result[:, None]).any(axis=1)):
            for g in _by_lowest(owner, lower[b]):
                spheres = np.flatnonzero((owner == g) & (lower[b] < result[b]))
                if len(spheres):
                    found = self._tree.query_ball_point(center[b, spheres], radius[spheres] + result[b])
                    indices = np.unique(np.concatenate([np.asarray(f, dtype=int) for f in found]))
                    if len(indices):
                        p_local = poses.to_local(int(b), g, self.points[indices])
                        result[b] = min(result[b], float(shapes[g].distance(p_local).min()))
        return result


def _by_lowest(owner: np.ndarray, lower: FloatArray) -> list[int]:
    """Return shapes in the order of their lower bounds."""
    ends = np.flatnonzero(np.diff(owner)) + 1
    starts = [0, *ends, len(owner)]
    best = [lower[i:j].min() for i, j in pairwise(starts)]
    return [int(g) for g in np.argsort(best, kind="stable")]


def lowest_z(shapes: Sequence[Primitive], poses: Poses) -> FloatArray:
    """Return the height of each shape's lowest point in world [m], (B, G)."""
    up = poses.rotation[:, :, 2, :]
    below = [shape.half_height(up[:, g]) for g, shape in enumerate(shapes)]
    return poses.center[:, :, 2] - np.stack(below, axis=1)


def on_shapes(shapes: Sequence[Primitive], poses: Poses, p_world: FloatArray, padding_m: float) -> BoolArray:
    """Return which points in world [m], (N, 3), lie on or within `padding_m` of posture 0's shapes, (N,)."""
    is_on = np.zeros(len(p_world), dtype=bool)
    for g, shape in enumerate(shapes):
        bound = np.linalg.norm(shape.cover_center, axis=1) + shape.cover_radius
        offset = p_world - poses.center[0, g]
        near = np.flatnonzero(
            (np.einsum("ni,ni->n", offset, offset) <= (bound.max() + padding_m) ** 2) & ~is_on
        )
        if len(near):
            p_local = offset[near] @ poses.rotation[0, g]
            is_on[near] = shape.distance(p_local) <= padding_m
    return is_on


def observed_points(obstacles: Obstacles, noise_m: float, reach_m: float) -> FloatArray:
    """Return the points that matter: within reach, and not the noise of the support plane itself.

    Raises:
        ValueError: Wrong shape or non-finite points.
    """
    points = np.asarray(obstacles.points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"Obstacles.points must have shape (N, 3), got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("Obstacles.points has non-finite entries; drop invalid pixels first")
    keep = np.linalg.norm(points, axis=1) <= reach_m
    if obstacles.support_z_m is not None:
        keep &= points[:, 2] > obstacles.support_z_m + noise_m
    return points[keep]
