"""Upright solids that everyday objects are described by: box, frustum, ball, lying cylinder.

Each kind maps a parameter vector (all entries [m], so that steps are comparable) to what a camera
could see of it: the points whose projections span its silhouette, and the signed distance of points
to its surface. `shapes.py` fits them to masks and clouds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from perception_tools.boxes import Box3D
from perception_tools.geometry import BoolArray, FloatArray

SolidKind = Literal["box", "frustum", "ball", "lying"]
YAW_ARM_M = 0.03  # a yaw angle is stored as yaw * YAW_ARM_M
_CIRCLE = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_RING = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE), np.zeros_like(_CIRCLE)], axis=1)
PARAMETERS: dict[SolidKind, tuple[str, ...]] = {
    "box": ("x", "y", "yaw", "length", "width", "height"),
    "frustum": ("x", "y", "top radius", "base radius", "height"),
    "ball": ("x", "y", "radius"),
    "lying": ("x", "y", "yaw", "length", "radius"),
}


@dataclass(frozen=True, eq=False)
class Solid:
    """A solid standing on a horizontal support.

    Attributes:
        kind: Which solid.
        params: Parameters [m] as named in `PARAMETERS[kind]`.
        base_z_m: Height of the support in world [m].
        wall_m: Wall thickness if it is hollow and open at the top, else 0 [m].
    """

    kind: SolidKind
    params: FloatArray
    base_z_m: float
    wall_m: float = 0.0

    def moved(self, params: FloatArray) -> Solid:
        """Return the same solid with other parameters."""
        return Solid(self.kind, params, self.base_z_m, self.wall_m)

    def silhouette_points(self, eye_m: FloatArray) -> FloatArray:
        """Return points (N, 3) [m] whose projections from `eye_m` have the silhouette as convex hull."""
        p, z = self.params, self.base_z_m
        if self.kind == "box":
            return self.box().corners()
        if self.kind == "frustum":
            center = np.array([p[0], p[1], z])
            top = center + [0, 0, p[4]] + p[2] * _RING
            return np.concatenate([center + p[3] * _RING, top])
        if self.kind == "ball":
            center = np.array([p[0], p[1], z + p[2]])
            return _contour_circle(center, p[2], eye_m)
        axis, across = self._axes()
        center = np.array([p[0], p[1], z + p[4]])
        ring = p[4] * (_RING[:, :1] * across + _RING[:, 1:2] * [0, 0, 1.0])
        return np.concatenate([center + ring + s * p[3] / 2 * axis for s in (-1, 1)])

    def distance_m(self, points: FloatArray, eye_m: FloatArray) -> FloatArray:
        """Return how far points seen from `eye_m` are off the surface seen there [m], (N,).

        Points (N, 3) of a hollow solid are compared with its inside where their line of sight
        enters through the opening, else with its outside.
        """
        outer = self._solid_distance(points, 0.0)
        if self.wall_m == 0:
            return outer
        return np.where(self._seen_inside(points, eye_m), self._solid_distance(points, self.wall_m), outer)

    def _seen_inside(self, points: FloatArray, eye_m: FloatArray) -> BoolArray:
        """Return which lines of sight cross the opening, (N,)."""
        p = self.params
        top_z = self.base_z_m + (p[4] if self.kind == "frustum" else p[5])
        rise = np.minimum(points[:, 2] - eye_m[2], -1e-6)
        entry = eye_m[:2] + (points[:, :2] - eye_m[:2]) * ((top_z - eye_m[2]) / rise)[:, None] - p[:2]
        if self.kind == "frustum":
            return np.hypot(entry[:, 0], entry[:, 1]) < p[2] - self.wall_m / 2
        along, across = self._axes()
        inset = self.wall_m / 2
        return (np.abs(entry @ along[:2]) < p[3] / 2 - inset) & (np.abs(entry @ across[:2]) < p[4] / 2 - inset)

    def _solid_distance(self, points: FloatArray, inset_m: float) -> FloatArray:
        """Signed distance to the full solid shrunk by `inset_m` at sides and floor, open at the top."""
        p = self.params
        local = points - [p[0], p[1], self.base_z_m]
        if self.kind == "ball":
            return np.linalg.norm(local - [0, 0, p[2]], axis=1) - p[2]
        if self.kind == "frustum":
            rise = max(p[4], 1e-3)
            lean = (p[2] - p[3]) / rise
            radius = p[3] + lean * local[:, 2]
            side = (np.hypot(local[:, 0], local[:, 1]) - radius) / np.hypot(1, lean) + inset_m
            top = local[:, 2] - p[4] - (1.0 if inset_m else 0.0)
            return _combine(side, np.maximum(inset_m - local[:, 2], top))
        axis, across = self._axes()
        along, side = local @ axis, local @ across
        if self.kind == "lying":
            radial = np.hypot(side, local[:, 2] - p[4]) - p[4]
            return _combine(radial, np.abs(along) - p[3] / 2)
        flat = _combine(np.abs(along) - p[3] / 2 + inset_m, np.abs(side) - p[4] / 2 + inset_m)
        return _combine(
            flat, np.maximum(inset_m - local[:, 2], local[:, 2] - p[5] - (1.0 if inset_m else 0.0))
        )

    def box(self) -> Box3D:
        """Return the gravity-aligned box around it."""
        p, z = self.params, self.base_z_m
        yaw = 0.0
        if self.kind == "ball":
            size = np.full(3, 2 * p[2])
        elif self.kind == "frustum":
            radius = max(p[2], p[3])
            size = np.array([2 * radius, 2 * radius, p[4]])
        elif self.kind == "lying":
            yaw, size = p[2] / YAW_ARM_M, np.array([p[3], 2 * p[4], 2 * p[4]])
        else:
            yaw, size = p[2] / YAW_ARM_M, p[3:6]
        size = np.maximum(size, 0)
        return Box3D(np.array([p[0], p[1], z + size[2] / 2]), size, yaw)

    def _axes(self) -> tuple[FloatArray, FloatArray]:
        yaw = self.params[2] / YAW_ARM_M
        c, s = np.cos(yaw), np.sin(yaw)
        return np.array([c, s, 0.0]), np.array([-s, c, 0.0])


def _combine(a: FloatArray, b: FloatArray) -> FloatArray:
    """Signed distance to the intersection of two regions that meet at a right angle."""
    return np.hypot(np.maximum(a, 0), np.maximum(b, 0)) + np.minimum(np.maximum(a, b), 0)


def _contour_circle(center: FloatArray, radius: float, eye_m: FloatArray) -> FloatArray:
    """Return the circle in which a ball is touched by the cone of sight, (N, 3)."""
    toward = eye_m - center
    distance = max(float(np.linalg.norm(toward)), radius * 1.001)
    toward = toward / distance
    side = np.cross(toward, [0, 0, 1.0] if abs(toward[2]) < 0.9 else [1.0, 0, 0])
    side /= np.linalg.norm(side)
    ring = _RING[:, :1] * side + _RING[:, 1:2] * np.cross(toward, side)
    sine = radius / distance
    return center + radius * sine * toward + radius * np.sqrt(1 - sine**2) * ring
