"""Objects that are reoriented in the hand: shapes with coloured faces, their extents and their symmetry."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import itertools
from typing import Any, Final, Literal

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import FloatArray
from sim.tasks.hand import Vec3

Shape = Literal["cube", "box", "cylinder", "capsule", "ellipsoid"]

FACES: Final = (
    ((1.0, 0.0, 0.0), (0.85, 0.15, 0.15)),
    ((-1.0, 0.0, 0.0), (0.95, 0.55, 0.10)),
    ((0.0, 1.0, 0.0), (0.15, 0.65, 0.25)),
    ((0.0, -1.0, 0.0), (0.15, 0.35, 0.85)),
    ((0.0, 0.0, 1.0), (0.95, 0.90, 0.20)),
    ((0.0, 0.0, -1.0), (0.93, 0.93, 0.93)),
)
"""Outward normal and colour of each face."""

PROPORTIONS: Final[dict[str, Vec3]] = {
    "cube": (1.0, 1.0, 1.0),
    "box": (1.2, 1.0, 0.8),
    "cylinder": (1.0, 1.0, 1.1),
    "capsule": (0.85, 0.85, 1.4),
    "ellipsoid": (1.25, 1.0, 0.9),
}
_GEOM: Final = {
    "cube": mujoco.mjtGeom.mjGEOM_BOX,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
FLAT: Final = ("cube", "box")


def add_object(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    shape: Shape,
    half: FloatArray,
    face_group: int,
    **settings: Any,
) -> None:
    """Add an object of half sizes `half` [m], (3,): a geom with these settings, and its colours."""
    body.add_geom(type=_GEOM[shape], size=_geom_size(shape, half), rgba=[0.25, 0.26, 0.28, 1.0], **settings)
    _add_faces(spec, body, half, is_flat=shape in FLAT, group=face_group)


def _geom_size(shape: str, half: FloatArray) -> list[float]:
    x, y, z = (float(v) for v in half)
    return {"cylinder": [x, z, 0.0], "capsule": [x, z - x, 0.0]}.get(shape, [x, y, z])


def _add_faces(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, half: FloatArray, *, is_flat: bool, group: int
) -> None:
    """Draw a coloured plate on each face, or a coloured knob on each side of a round object."""
    for k, (normal, rgb) in enumerate(FACES):
        n = np.array(normal)
        name = f"face{k}"
        if spec.material(name) is None:
            spec.add_material(name=name, rgba=[*rgb, 1.0], specular=0.2, shininess=0.3)
        size = np.where(n != 0, 0.0004, 0.88 * half) if is_flat else np.full(3, 0.16 * half.min())
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX if is_flat else mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            pos=list(n * half),
            size=list(size),
            material=name,
            contype=0,
            conaffinity=0,
            mass=0.0,
            group=group,
        )


def cube_rotations() -> FloatArray:
    """Return the 24 rotations of a cube onto itself, quat_wxyz, (24, 4)."""
    quats = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            mat = np.zeros((3, 3))
            mat[range(3), order] = signs
            if np.linalg.det(mat) > 0:
                quat = np.zeros(4)
                mujoco.mju_mat2Quat(quat, mat.ravel())
                quats.append(quat)
    return np.array(quats)


def rotation_matrix(quat: Tensor) -> Tensor:
    """Return the rotation matrices of unit quat_wxyz, (n, 4) to (n, 3, 3)."""
    w, x, y, z = quat.unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def fourth_moments(quat: Tensor) -> Tensor:
    """Return sums over the axes of an object of products of four coordinates, (n, 4) to (n, 15).

    They are the same for the 24 orientations in which a cube looks alike, smooth, and differ for all others.
    """
    quartets = itertools.combinations_with_replacement(rotation_matrix(quat).unbind(-2), 4)
    return torch.stack([(a * b * c * d).sum(-1) for a, b, c, d in quartets], -1)


def lowest_m(quat: Tensor, shape: Shape, half: Tensor) -> Tensor:
    """Return how far below its centre an object's lowest point is [m].

    Args:
        quat: Its orientation in world, quat_wxyz, (n, 4).
        shape: The object.
        half: Its half sizes [m], (3,).

    Returns:
        (n,).
    """
    x, y, z = (rotation_matrix(quat)[:, 2] * half).abs().unbind(-1)
    round_xy = torch.sqrt(x * x + y * y)
    reach = {
        "cylinder": lambda: round_xy + z,
        "capsule": lambda: half[0] + (z / half[2]) * (half[2] - half[0]),
        "ellipsoid": lambda: torch.sqrt(x * x + y * y + z * z),
    }
    return reach.get(shape, lambda: x + y + z)()
