"""Upright solids that everyday objects are described by: box, frustum, ball, lying cylinder.

Each kind maps a parameter vector (all entries [m], so that steps are comparable) to what a camera
could see of it: the points whose projections span its silhouette, and the signed distance of points
to its surface. `fitting.py` fits them; for its sake everything takes K parameter vectors at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from perception_tools.boxes import Box3D
from perception_tools.geometry import BoolArray, FloatArray

SolidKind = Literal["box", "frustum", "ball", "lying"]
YAW_ARM_M = 0.03  # a yaw angle is stored as yaw * YAW_ARM_M
PARAMETERS: dict[SolidKind, tuple[str, ...]] = {
    "box": ("x", "y", "yaw", "length", "width", "height"),
    "frustum": ("x", "y", "top radius", "base radius", "height"),
    "ball": ("x", "y", "radius"),
    "lying": ("x", "y", "yaw", "length", "radius"),
}
_ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_COS, _SIN = np.cos(_ANGLES), np.sin(_ANGLES)
_CORNERS = np.array(
    [[x, y, z] for z in (0, 1) for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))]
)
_OPEN_TOP_M = 1.0  # the inside of an open solid goes on this far above its rim


@dataclass(frozen=True, eq=False)
class Solid:
    """A solid standing on a horizontal support.

    Attributes:
        kind: Which solid.
        params: Parameters [m] as named in `PARAMETERS[kind]`, shape (P,).
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

    def box(self) -> Box3D:
        """Return the gravity-aligned box around it."""
        p, yaw = self.params, 0.0
        if self.kind == "ball":
            size = np.full(3, 2 * p[2])
        elif self.kind == "frustum":
            size = np.array([2 * max(p[2], p[3]), 2 * max(p[2], p[3]), p[4]])
        elif self.kind == "lying":
            yaw, size = p[2] / YAW_ARM_M, np.array([p[3], 2 * p[4], 2 * p[4]])
        else:
            yaw, size = p[2] / YAW_ARM_M, p[3:6]
        size = np.maximum(size, 0)
        return Box3D(np.array([p[0], p[1], self.base_z_m + size[2] / 2]), size, yaw)

    def distance_m(self, points: FloatArray, eye_m: FloatArray) -> FloatArray:
        """Return how far points (N, 3) seen from `eye_m` are off the surface seen there [m], (N,)."""
        return surface_distance_m(self, self.params[None], points, eye_m)[0]

    def height_inside_m(self, points: FloatArray, eye_m: FloatArray) -> FloatArray:
        """Return how far points (N, 3) stand off the inside of an open solid, into the room in it [m], (N,).

        0 where the line of sight from `eye_m` does not enter through the opening.
        """
        inside = _through_opening(self, self.params[None], points, eye_m)[0]
        return np.where(inside, -_distance(self, self.params[None], points, self.wall_m)[0], 0.0)

    def normals(self, points: FloatArray, eye_m: FloatArray) -> FloatArray:
        """Return unit normals of the surface at points (N, 3), on the side seen from `eye_m`, (N, 3)."""
        steps = 1e-3 * np.eye(3)
        gradient = np.stack(
            [self.distance_m(points + s, eye_m) - self.distance_m(points - s, eye_m) for s in steps], axis=1
        )
        gradient /= np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-12)
        away = np.einsum("ij,ij->i", gradient, eye_m - points) < 0
        return np.where(away[:, None], -gradient, gradient)


# ---- silhouettes --------------------------------------------------------------------------------


def silhouette_points(solid: Solid, params: FloatArray, eye_m: FloatArray) -> FloatArray:
    """Return points whose projections from `eye_m` have the silhouette as their convex hull.

    Args:
        solid: Kind and support.
        params: K parameter vectors, shape (K, P).
        eye_m: Optical centre of the camera in world [m], shape (3,).

    Returns:
        Points in world [m], shape (K, M, 3).
    """
    p = params[..., None]
    if solid.kind == "box":
        local = _CORNERS * params[:, None, 3:6]
        return _placed(p, local[..., 0], local[..., 1], local[..., 2] + solid.base_z_m)
    if solid.kind == "frustum":
        x = np.concatenate([p[:, 3] * _COS, p[:, 2] * _COS], axis=1) + p[:, 0]
        y = np.concatenate([p[:, 3] * _SIN, p[:, 2] * _SIN], axis=1) + p[:, 1]
        low = np.zeros((len(params), len(_COS)))
        return np.stack([x, y, np.concatenate([low, low + p[:, 4]], axis=1) + solid.base_z_m], axis=-1)
    if solid.kind == "ball":
        center = np.column_stack([params[:, :2], solid.base_z_m + params[:, 2]])
        return _contour_circle(center, params[:, 2], eye_m)
    half, radius = p[:, 3] / 2, p[:, 4]
    along = np.concatenate(
        [np.broadcast_to(-half, (len(params), 24)), np.broadcast_to(half, (len(params), 24))], 1
    )
    across, up = np.tile(radius * _COS, 2), np.tile(radius * _SIN, 2)
    return _placed(p, along, across, up + radius + solid.base_z_m)


def _placed(p: FloatArray, along: FloatArray, across: FloatArray, z: FloatArray) -> FloatArray:
    """Turn by the yaw and move to (x, y) of parameters (K, P, 1)."""
    c, s = np.cos(p[:, 2] / YAW_ARM_M), np.sin(p[:, 2] / YAW_ARM_M)
    return np.stack([c * along - s * across + p[:, 0], s * along + c * across + p[:, 1], z], axis=-1)


def _contour_circle(center: FloatArray, radius: FloatArray, eye_m: FloatArray) -> FloatArray:
    """Return the circles in which balls (K, 3), (K,) are touched by the cone of sight, (K, M, 3)."""
    toward = eye_m - center
    distance = np.maximum(np.linalg.norm(toward, axis=1), radius * 1.001)[:, None]
    toward = toward / distance
    side = np.cross(toward, [0, 0, 1.0] if abs(toward[0, 2]) < 0.9 else [1.0, 0, 0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    sine = radius[:, None] / distance
    middle = center + radius[:, None] * sine * toward
    reach = (radius[:, None] * np.sqrt(1 - sine**2))[..., None]
    ring = _COS[:, None] * side[:, None] + _SIN[:, None] * np.cross(toward, side)[:, None]
    return middle[:, None] + reach * ring


# ---- surfaces -----------------------------------------------------------------------------------


def surface_distance_m(solid: Solid, params: FloatArray, points: FloatArray, eye_m: FloatArray) -> FloatArray:
    """Return how far seen points are off the surface that is seen there, < 0 in the material.

    Points of a hollow solid are compared with its inside where their line of sight enters through
    the opening, else with its outside.

    Args:
        solid: Kind, support and wall.
        params: K parameter vectors, shape (K, P).
        points: Points in world [m], shape (N, 3).
        eye_m: Optical centre of the camera in world [m], shape (3,).

    Returns:
        Signed distances [m], shape (K, N).
    """
    outer = _distance(solid, params, points, 0.0)
    if solid.wall_m == 0:
        return outer
    inner = _distance(solid, params, points, solid.wall_m)
    return np.where(_through_opening(solid, params, points, eye_m), inner, outer)


def _distance(solid: Solid, params: FloatArray, points: FloatArray, inset_m: float) -> FloatArray:
    """Signed distance (K, N) to the full solid, shrunk by `inset_m` at sides and floor."""
    p = params[..., None]
    x, y = points[:, 0] - p[:, 0], points[:, 1] - p[:, 1]
    z = points[:, 2] - solid.base_z_m
    extra = _OPEN_TOP_M if inset_m else 0.0
    if solid.kind == "ball":
        return np.sqrt(x**2 + y**2 + (z - p[:, 2]) ** 2) - p[:, 2]
    if solid.kind == "frustum":
        lean = (p[:, 2] - p[:, 3]) / np.maximum(p[:, 4], 1e-3)
        side = (np.hypot(x, y) - p[:, 3] - lean * z) / np.hypot(1, lean) + inset_m
        return _both(side, np.maximum(inset_m - z, z - p[:, 4] - extra))
    c, s = np.cos(p[:, 2] / YAW_ARM_M), np.sin(p[:, 2] / YAW_ARM_M)
    along, across = np.abs(c * x + s * y) - p[:, 3] / 2, c * y - s * x
    if solid.kind == "lying":
        return _both(np.hypot(across, z - p[:, 4]) - p[:, 4], along)
    flat = _both(along + inset_m, np.abs(across) - p[:, 4] / 2 + inset_m)
    return _both(flat, np.maximum(inset_m - z, z - p[:, 5] - extra))


def _through_opening(solid: Solid, params: FloatArray, points: FloatArray, eye_m: FloatArray) -> BoolArray:
    """Return which lines of sight cross the opening at the top, (K, N)."""
    p = params[..., None]
    top_z = solid.base_z_m + (p[:, 4] if solid.kind == "frustum" else p[:, 5])
    share = (top_z - eye_m[2]) / np.minimum(points[:, 2] - eye_m[2], -1e-6)
    x = eye_m[0] + (points[:, 0] - eye_m[0]) * share - p[:, 0]
    y = eye_m[1] + (points[:, 1] - eye_m[1]) * share - p[:, 1]
    if solid.kind == "frustum":
        return np.hypot(x, y) < p[:, 2] - solid.wall_m / 2
    c, s = np.cos(p[:, 2] / YAW_ARM_M), np.sin(p[:, 2] / YAW_ARM_M)
    along, across = np.abs(c * x + s * y), np.abs(c * y - s * x)
    return (along < (p[:, 3] - solid.wall_m) / 2) & (across < (p[:, 4] - solid.wall_m) / 2)


def _both(a: FloatArray, b: FloatArray) -> FloatArray:
    """Signed distance to the intersection of two regions that meet at a right angle."""
    return np.hypot(np.maximum(a, 0), np.maximum(b, 0)) + np.minimum(np.maximum(a, b), 0)
