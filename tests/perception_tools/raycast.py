"""A small numpy renderer of analytic solids on a table: exact RGB-D frames for tests of perception.

Solids are signed distance functions with the base at z = 0; a frame is sphere traced, Lambert
shaded, and given depth noise on request. Nothing here is shared with the simulator's renderer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from perception_tools.camera import RgbdFrame
from perception_tools.geometry import FloatArray, Intrinsics, Transform, look_at

Sdf = Callable[[FloatArray], FloatArray]
SUN = np.array([0.3, -0.4, 0.866]) / np.linalg.norm([0.3, -0.4, 0.866])


def box_sdf(length: float, width: float, height: float, z0: float = 0.0) -> Sdf:
    half = np.array([length, width, height]) / 2

    def sdf(p: FloatArray) -> FloatArray:
        q = np.abs(p - [0, 0, z0 + height / 2]) - half
        return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0)

    return sdf


def cylinder_sdf(radius: float, height: float, z0: float = 0.0) -> Sdf:
    def sdf(p: FloatArray) -> FloatArray:
        radial = np.hypot(p[..., 0], p[..., 1]) - radius
        axial = np.abs(p[..., 2] - z0 - height / 2) - height / 2
        outside = np.hypot(np.maximum(radial, 0), np.maximum(axial, 0))
        return outside + np.minimum(np.maximum(radial, axial), 0)

    return sdf


def sphere_sdf(radius: float, z: float | None = None) -> Sdf:
    center = np.array([0, 0, radius if z is None else z])
    return lambda p: np.linalg.norm(p - center, axis=-1) - radius


def _minus(a: Sdf, b: Sdf) -> Sdf:
    return lambda p: np.maximum(a(p), -b(p))


def tray_sdf(length: float, width: float, height: float, wall: float = 0.006) -> Sdf:
    inner = box_sdf(length - 2 * wall, width - 2 * wall, height, z0=wall)
    return _minus(box_sdf(length, width, height), inner)


def mug_sdf(radius: float, height: float, wall: float = 0.004, handle: bool = True) -> Sdf:
    body = _minus(cylinder_sdf(radius, height), cylinder_sdf(radius - wall, height, z0=wall))
    ring, tube = 0.3 * height, 0.005

    def torus(p: FloatArray) -> FloatArray:
        q = p - [radius, 0, height / 2]
        around = np.hypot(np.hypot(q[..., 0], q[..., 2]) - ring, q[..., 1]) - tube
        return np.maximum(around, radius - wall / 2 - p[..., 0])

    return (lambda p: np.minimum(body(p), torus(p))) if handle else body


def bowl_sdf(radius: float, height: float, wall: float = 0.005) -> Sdf:
    """Spherical cap shell with rim radius `radius`; the cap's ball just reaches z = 0."""
    ball = (radius**2 + height**2) / (2 * height)
    shell = _minus(sphere_sdf(ball, ball), sphere_sdf(ball - wall, ball))
    return lambda p: np.maximum(shell(p), p[..., 2] - height)


@dataclass(frozen=True)
class Solid:
    """A coloured solid; `reach_m` bounds its distance from the base centre."""

    sdf: Sdf
    position_m: tuple[float, float, float]
    rgb: tuple[int, int, int] = (200, 40, 40)
    yaw_rad: float = 0.0
    reach_m: float = 0.2

    def local(self, p_world: FloatArray) -> FloatArray:
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return (p_world - self.position_m) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

    def distance(self, p_world: FloatArray) -> FloatArray:
        return self.sdf(self.local(p_world))


def scene_camera(width: int = 640, height: int = 480, eye=(1.35, 0.0, 0.85), target=(0.5, 0.0, 0.05)):
    intrinsics = Intrinsics.from_fovy(np.deg2rad(45), width, height)
    return intrinsics, look_at(eye, target, parent="world", child="camera:scene")


def render(
    solids: Sequence[Solid],
    *,
    camera: tuple[Intrinsics, Transform] | None = None,
    noise_m: float = 0.0,
    seed: int = 0,
    table_rgb: tuple[int, int, int] = (180, 175, 165),
    table_half_m: float = 1.0,
) -> tuple[RgbdFrame, np.ndarray]:
    """Render a frame and the true instance image (0 = table or background, i + 1 = solid i)."""
    intrinsics, pose = camera or scene_camera()
    shape = (intrinsics.height, intrinsics.width)
    ray = pose.rotate(intrinsics.deproject_image(np.ones(shape)))
    eye = pose.position_m
    with np.errstate(divide="ignore"):
        depth = np.where(ray[..., 2] < 0, -eye[2] / ray[..., 2], np.inf)
    on_table = eye + ray * np.where(np.isfinite(depth), depth, 0)[..., None]
    depth[np.abs(on_table[..., :2] - [0.5, 0]).max(axis=-1) > table_half_m] = np.inf
    instance = np.zeros(shape, dtype=np.int32)
    rgb = np.where(np.isfinite(depth)[..., None], np.array(table_rgb) * _shade(np.array([0, 0, 1.0])), 60.0)
    for i, solid in enumerate(solids):
        _trace(solid, i + 1, eye, ray, depth, instance, rgb)
    rng = np.random.default_rng(seed)
    depth[~np.isfinite(depth)] = 0
    depth += rng.normal(size=shape) * noise_m * (depth > 0)
    frame = RgbdFrame(
        np.clip(rgb + rng.normal(size=rgb.shape) * 2, 0, 255).astype(np.uint8),
        np.maximum(depth, 0).astype(np.float32),
        intrinsics,
        pose,
        0.0,
        pose.child.removeprefix("camera:"),
    )
    return frame, instance


def _shade(normal: FloatArray) -> FloatArray:
    return 0.4 + 0.6 * np.maximum(normal @ SUN, 0)


def _trace(solid, index, eye, ray, depth, instance, rgb) -> None:
    """Sphere trace one solid into the buffers; `ray` has unit optical depth."""
    norm = np.linalg.norm(ray, axis=-1)
    unit = ray / norm[..., None]
    center = np.array(solid.position_m)
    along = unit @ (center - eye)
    miss = np.linalg.norm(eye + unit * along[..., None] - center, axis=-1) > solid.reach_m
    v, u = np.nonzero(~miss & (along > 0))
    direction, t = unit[v, u], np.maximum(along[v, u] - solid.reach_m, 1e-3)
    active = np.arange(len(t))
    for _ in range(96):
        gap = solid.distance(eye + direction[active] * t[active, None])
        t[active] += gap
        left = t[active] > along[v[active], u[active]] + solid.reach_m
        active = active[(np.abs(gap) > 1e-6) & ~left]
        if len(active) == 0:
            break
    p = eye + direction * t[:, None]
    hit = (np.abs(solid.distance(p)) < 1e-4) & (t / norm[v, u] < depth[v, u])
    v, u, p, t = v[hit], u[hit], p[hit], t[hit]
    step = 1e-4 * np.eye(3)
    normal = np.stack([solid.distance(p + e) - solid.distance(p - e) for e in step], axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    depth[v, u] = t / norm[v, u]
    instance[v, u] = index
    rgb[v, u] = np.array(solid.rgb) * _shade(normal)[:, None]
