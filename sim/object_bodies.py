"""Objects as MuJoCo bodies.

The body frame sits at the centre of the object's extents, z up, so an upright object rests with
its origin at half its height. Bowls and mugs are truly hollow: a smooth lathe mesh is drawn (group
2) and convex wall segments collide (group 3). Geoms of the other shapes do both (group 2).
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from itertools import pairwise
from typing import Any

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.objects import HANDLE_REACH_M, SOCKET_FLOOR_M, ObjectSpec

VISUAL_GROUP = 2
COLLISION_GROUP = 3

_WALL_SEGMENTS = 24
_LATHE_SEGMENTS = 48


def add_object(spec: mujoco.MjSpec, obj: ObjectSpec, position_m: FloatArray, yaw_rad: float) -> Any:
    """Add an object to a model as a free body.

    Args:
        spec: Model under construction.
        obj: The object.
        position_m: Body origin in world [m], (3,).
        yaw_rad: Rotation about world z [rad].

    Returns:
        The `mujoco.MjsBody`.
    """
    body = spec.worldbody.add_body(
        name=obj.name,
        pos=list(position_m),
        quat=[np.cos(yaw_rad / 2), 0, 0, np.sin(yaw_rad / 2)],
    )
    body.add_freejoint(name=f"{obj.name}_free")
    spec.add_material(
        name=f"{obj.name}_material", rgba=[*obj.rgb, 1], specular=0.25, shininess=0.4, reflectance=0
    )
    builders = {"box": _box, "cylinder": _cylinder, "sphere": _sphere, "tray": _tray, "socket": _socket}
    builders.get(obj.shape, _lathe)(spec, body, obj)
    _set_inertia(body, obj)
    return body


def _common(obj: ObjectSpec) -> dict[str, Any]:
    # condim 6: torsion keeps a pinched object from spinning, rolling friction lets a ball come to rest.
    return dict(
        material=f"{obj.name}_material",
        group=VISUAL_GROUP,
        condim=6,
        friction=[obj.friction, 0.01, 0.001],
        solref=[0.004, 1.0],
        density=0,
    )


def _box(spec: mujoco.MjSpec, body: Any, obj: ObjectSpec) -> None:
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[s / 2 for s in obj.size_m], **_common(obj))


def _cylinder(spec: mujoco.MjSpec, body: Any, obj: ObjectSpec) -> None:
    size = [obj.size_m[0] / 2, obj.size_m[2] / 2, 0]
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=size, **_common(obj))


def _sphere(spec: mujoco.MjSpec, body: Any, obj: ObjectSpec) -> None:
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[obj.size_m[0] / 2, 0, 0], **_common(obj))


def _tray(spec: mujoco.MjSpec, body: Any, obj: ObjectSpec) -> None:
    x, y, z = (s / 2 for s in obj.size_m)
    t = obj.wall_m / 2
    parts = [
        ([0, 0, -z + t], [x, y, t]),
        ([x - t, 0, t], [t, y, z - t]),
        ([-x + t, 0, t], [t, y, z - t]),
        ([0, y - t, t], [x - 2 * t, t, z - t]),
        ([0, -y + t, t], [x - 2 * t, t, z - t]),
    ]
    for pos, size in parts:
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=size, **_common(obj))


def _add_drawn_mesh(
    spec: mujoco.MjSpec, body: Any, obj: ObjectSpec, vertices: FloatArray, faces: Any
) -> None:
    """Add a mesh that is drawn and touches nothing: vertices [m], (N, 3), and triangles, (M, 3)."""
    spec.add_mesh(
        name=f"{obj.name}_mesh",
        uservert=vertices.ravel(),
        userface=faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=f"{obj.name}_mesh",
        material=f"{obj.name}_material",
        group=VISUAL_GROUP,
        contype=0,
        conaffinity=0,
        density=0,
    )


def _socket(spec: mujoco.MjSpec, body: Any, obj: ObjectSpec) -> None:
    """A block with a hole: a mesh is drawn, a floor and boxes around the hole collide."""
    half, h, r = obj.size_m[0] / 2, obj.size_m[2] / 2, obj.hole_m / 2
    _add_drawn_mesh(spec, body, obj, *socket_mesh(obj))
    collision = {**_common(obj), "group": COLLISION_GROUP, "type": mujoco.mjtGeom.mjGEOM_BOX}
    floor = SOCKET_FLOOR_M / 2
    body.add_geom(pos=[0, 0, -h + floor], size=[half, half, floor], **collision)
    z, up, t = floor, h - floor, (half - r) / 2
    for sign in (-1, 1):
        body.add_geom(pos=[sign * (r + t), 0, z], size=[t, half, up], **collision)
        body.add_geom(pos=[0, sign * (r + t), z], size=[r, t, up], **collision)
    if obj.hole == "square":
        return
    reach = np.sqrt(2) * r  # boxes tangent to the circle fill the corners of the square around it
    t, chord = (reach - r) / 2, reach * np.tan(np.pi / _WALL_SEGMENTS)
    for a in 2 * np.pi * np.arange(_WALL_SEGMENTS) / _WALL_SEGMENTS:
        if abs(np.sin(2 * a)) > 0.01:
            pos, quat = [(r + t) * np.cos(a), (r + t) * np.sin(a), z], [np.cos(a / 2), 0, 0, np.sin(a / 2)]
            body.add_geom(pos=pos, quat=quat, size=[t, chord, up], **collision)


def _lathe(spec: mujoco.MjSpec, body: Any, obj: ObjectSpec) -> None:
    """Bowl and mug: a conical or cylindrical wall on a floor disc; the mug has a handle along +x."""
    outer, base, t = obj.size_m[0] / 2, obj.base_radius_m, obj.wall_m
    h = obj.size_m[2] / 2
    slope = np.arctan2(outer - base, 2 * h)
    across = t / np.cos(slope)  # horizontal thickness of the slanted wall
    floor_radius = base + (outer - base) * t / (2 * h)
    profile = np.array(
        [
            (0, -h),
            (base, -h),
            (outer, h - 0.001),
            (outer - across / 2, h),
            (outer - across, h - 0.001),
            (floor_radius - across, -h + t),
            (0, -h + t),
        ]
    )
    _add_drawn_mesh(spec, body, obj, *lathe_mesh(profile))
    collision = {**_common(obj), "group": COLLISION_GROUP}
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[0, 0, -h + t / 2], size=[base, t / 2, 0], **collision
    )
    middle = (base + outer) / 2 - across / 2
    half_chord = (outer + base) / 2 * np.tan(np.pi / _WALL_SEGMENTS)
    if obj.shape == "bowl":
        half_chord = outer * np.tan(np.pi / _WALL_SEGMENTS)
    for k in range(_WALL_SEGMENTS):
        a = 2 * np.pi * k / _WALL_SEGMENTS
        quat = _multiply([np.cos(a / 2), 0, 0, np.sin(a / 2)], [np.cos(slope / 2), 0, np.sin(slope / 2), 0])
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[middle * np.cos(a), middle * np.sin(a), 0],
            quat=quat,
            size=[t / 2, half_chord, h / np.cos(slope) - t / 2 * np.tan(slope)],
            **collision,
        )
    if obj.shape == "mug":
        _handle(body, obj)


def _handle(body: Any, obj: ObjectSpec) -> None:
    radius, reach, half = obj.size_m[0] / 2 - 0.001, HANDLE_REACH_M - 0.004, 0.28 * obj.size_m[2]
    angles = np.linspace(np.pi / 2, -np.pi / 2, 8)
    points = np.stack([radius + reach * np.cos(angles), np.zeros(8), half * np.sin(angles)], axis=1)
    for a, b in pairwise(points):
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*a, *b], size=[0.004, 0, 0], **_common(obj))


def _set_inertia(body: Any, obj: ObjectSpec) -> None:
    """Give the body its mass with the inertia of a solid (or shell-like, for hollow ones) of its extents."""
    x, y, z = obj.size_m
    m = obj.mass_kg
    box = m / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    if obj.shape == "sphere":
        inertia = np.full(3, 0.4 * m * (x / 2) ** 2)
    elif obj.shape == "cylinder":
        side = m * (3 * (x / 2) ** 2 + z * z) / 12
        inertia = np.array([side, side, m * (x / 2) ** 2 / 2])
    else:
        inertia = box * (1.4 if obj.shape in ("mug", "bowl") else 1.0)
    body.mass = m
    body.inertia = list(inertia)
    # Hollow ones have a heavy floor: their centre of mass lies below the middle.
    low = {"bowl": 0.2, "mug": 0.08, "tray": 0.25, "socket": 0.03}.get(obj.shape, 0.0)
    body.ipos = [0, 0, -low * z]
    body.explicitinertial = 1


def lathe_mesh(profile_m: FloatArray, segments: int = _LATHE_SEGMENTS) -> tuple[FloatArray, np.ndarray]:
    """Revolve a profile of (radius, z) points [m] about z into a triangle mesh.

    Returns:
        Vertices (N, 3) [m] and faces (M, 3), outward for a profile that runs counter-clockwise
        from the bottom centre.
    """
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(segments)], axis=1)
    vertices, faces = [], []
    # Each band has vertices of its own, so that shading is smooth around but not across the edges.
    for k, ((r0, z0), (r1, z1)) in enumerate(pairwise(profile_m)):
        vertices += [r0 * circle + [0, 0, z0], r1 * circle + [0, 0, z1]]
        low = 2 * k * segments + np.arange(segments)
        low_next, high, high_next = np.roll(low, -1), low + segments, np.roll(low, -1) + segments
        if r0 > 1e-9:
            faces.append(np.stack([low, low_next, high_next if r1 > 1e-9 else high], axis=1))
        if r1 > 1e-9:
            faces.append(np.stack([low, high_next, high], axis=1))
    return np.concatenate(vertices), np.concatenate(faces).astype(np.int32)


def socket_mesh(obj: ObjectSpec) -> tuple[FloatArray, np.ndarray]:
    """Return the surface of a block with a hole: vertices (N, 3) [m] and outward faces (M, 3)."""
    half, h, r = obj.size_m[0] / 2, obj.size_m[2] / 2, obj.hole_m / 2
    angle = 2 * np.pi * np.arange(_LATHE_SEGMENTS) / _LATHE_SEGMENTS  # corners of a square are among them
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    square = circle / np.abs(circle).max(axis=1, keepdims=True)
    outer, inner = half * square, r * (square if obj.hole == "square" else circle)
    floor_z = -h + SOCKET_FLOOR_M
    rings = [(0 * outer, -h), (outer, -h), (outer, h), (inner, h), (inner, floor_z), (0 * inner, floor_z)]
    vertices, faces = [], []
    for (a, z0), (b, z1) in pairwise(rings):  # bands have vertices of their own: edges stay sharp
        for k in range(_LATHE_SEGMENTS):
            n, first = (k + 1) % _LATHE_SEGMENTS, len(vertices)
            vertices += [[*a[k], z0], [*a[n], z0], [*b[n], z1], [*b[k], z1]]
            if np.abs(a).max() > 0:
                faces.append([first, first + 1, first + 2])
            if np.abs(b).max() > 0:
                faces.append([first, first + 2, first + 3])
    return np.array(vertices), np.array(faces, dtype=np.int32)


def _multiply(a: list[float], b: list[float]) -> list[float]:
    out = np.zeros(4)
    mujoco.mju_mulQuat(out, np.array(a), np.array(b))
    return list(out)
