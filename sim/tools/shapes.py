"""Bars along a curve: one smooth mesh is drawn (group 2), a box per segment collides (group 3).

The curve lies in a plane across x. A bar's mass is that of its boxes as drawn; thin sheets may collide
thicker than they are drawn, because a sheet thinner than a time step's travel lets contacts slip through.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import FloatArray
from sim.tools.base import COLLISION_GROUP, VISUAL_GROUP, turn_about_x

DRAWN_ONLY: dict[str, Any] = dict(group=VISUAL_GROUP, contype=0, conaffinity=0, mass=0)

_SECTION_POINTS = 20
_DENSE = 6  # drawn sections per segment


@dataclass(frozen=True)
class Station:
    """A cross-section of a bar.

    Attributes:
        z: Position along the tool [m].
        y: Position along the opening axis [m].
        half_width: Half extent along x [m].
        half_thickness: Half extent across the curve [m].
        x: Position along x [m]; the same for all stations of a bar.
    """

    z: float
    y: float
    half_width: float
    half_thickness: float
    x: float = 0.0


@dataclass(frozen=True)
class Surface:
    """What a bar is made of.

    Attributes:
        material: Name of the drawn material.
        density_kg_m3: Density [kg/m^3].
        friction: Sliding friction coefficient.
        squareness: Exponent of the superellipse that is drawn as its section: 2 round, 8 nearly a box.
        min_half_thickness: Lower bound of the colliding half thickness [m].
    """

    material: str
    density_kg_m3: float
    friction: float = 0.8
    squareness: float = 6.0
    min_half_thickness: float = 0.0


def contact(friction: float) -> dict[str, Any]:
    """Return contact attributes of a tool's geoms: torsion keeps a pinched object from spinning."""
    return dict(condim=4, friction=[friction, 0.005, 0.0001], solref=[0.004, 1.0])


def rolling_contact(friction: float) -> dict[str, Any]:
    """Return contact attributes of round geoms: rolling friction brings them to rest."""
    return dict(condim=6, friction=[friction, 0.005, 0.0005], solref=[0.004, 1.0])


def mirrored(stations: Sequence[Station], *, flip_x: bool = False) -> list[Station]:
    """Return stations mirrored about y = 0, and about x = 0 where asked."""
    return [replace(s, y=-s.y, x=-s.x if flip_x else s.x) for s in stations]


def add_ring(
    spec: mujoco.MjSpec,
    body: Any,
    name: str,
    centre_yz: tuple[float, float],
    radii_yz: tuple[float, float],
    wire_m: float,
    surface: Surface,
    *,
    frame: Any = None,
    x: float = 0.0,
    segments: int = 10,
) -> float:
    """Add an elliptic ring across x, of a round wire: a smooth mesh drawn, capsules that collide.

    Args:
        spec: Specification of the body.
        body: Body.
        name: Prefix of its geoms and mesh.
        centre_yz: Centre [m].
        radii_yz: Half axes of the wire's centre line [m].
        wire_m: Radius of the wire [m].
        surface: Material.
        frame: Frame of the body that all is given in; None for the body's own.
        x: Position along x [m].
        segments: Number of capsules.

    Returns:
        Its mass [kg].
    """

    def points(n: int) -> FloatArray:
        a = np.linspace(0, 2 * np.pi, n + 1)
        y, z = centre_yz[0] + radii_yz[0] * np.sin(a), centre_yz[1] + radii_yz[1] * np.cos(a)
        return np.stack([np.full(n + 1, x), y, z], axis=1)

    fine = points(6 * segments)
    sections = np.hstack([fine, np.full((len(fine), 2), wire_m)])
    vertices, faces = loft(sections, 2.0)
    geoms = [_add_drawn(spec, body, name, vertices, faces, surface.material)]
    mass = 0.0
    for k, (a, b) in enumerate(pairwise(points(segments))):
        mass += (part := surface.density_kg_m3 * np.pi * wire_m**2 * float(np.linalg.norm(b - a)))
        geoms.append(
            body.add_geom(
                name=f"{name}_{k}",
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                fromto=[*a, *b],
                size=[wire_m, 0, 0],
                mass=part,
                group=COLLISION_GROUP,
                **contact(surface.friction),
            )
        )
    for geom in geoms:
        if frame is not None:
            geom.set_frame(frame)
    return mass


def add_bar(
    spec: mujoco.MjSpec,
    body: Any,
    name: str,
    stations: Sequence[Station],
    surface: Surface,
    *,
    frame: Any = None,
    shift_m: float = 0.0,
    smooth: bool = True,
) -> None:
    """Add a bar to a body.

    Args:
        spec: Specification of the body.
        body: Body.
        name: Prefix of its geoms `<name>_0` ... and of its mesh.
        stations: Two or more sections in order.
        surface: Material.
        frame: Frame of the body that the stations are given in; None for the body's own.
        shift_m: Displacement of the colliding boxes along their y [m], to thicken to one side.
        smooth: Whether the drawn outline is interpolated smoothly rather than linearly.
    """
    vertices, faces = loft(_densify(stations, smooth), surface.squareness)
    geoms = [_add_drawn(spec, body, name, vertices, faces, surface.material)]
    for k, (a, b) in enumerate(pairwise(stations)):
        box = _segment(a, b)
        width, thick, half_length = box.half
        geoms.append(
            body.add_geom(
                name=f"{name}_{k}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=[a.x, box.y + shift_m * np.cos(box.turn_rad), box.z + shift_m * np.sin(box.turn_rad)],
                quat=turn_about_x(box.turn_rad),
                size=[width, max(thick, surface.min_half_thickness), half_length],
                mass=surface.density_kg_m3 * box.volume_m3,
                group=COLLISION_GROUP,
                **contact(surface.friction),
            )
        )
    for geom in geoms:
        if frame is not None:
            geom.set_frame(frame)


def _add_drawn(
    spec: mujoco.MjSpec, body: Any, name: str, vertices: FloatArray, faces: NDArray[np.int32], material: str
) -> Any:
    """Add a mesh that is only drawn."""
    spec.add_mesh(
        name=name,
        uservert=vertices.ravel(),
        userface=faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    return body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=material, **DRAWN_ONLY)


def bar_mass_kg(stations: Sequence[Station], density_kg_m3: float) -> float:
    """Return the mass of a bar's boxes [kg]."""
    return sum(density_kg_m3 * _segment(a, b).volume_m3 for a, b in pairwise(stations))


class _Segment(NamedTuple):
    """Box of a segment: centre (y, z) [m], turn about x [rad], half sizes [m]."""

    y: float
    z: float
    turn_rad: float
    half: tuple[float, float, float]

    @property
    def volume_m3(self) -> float:
        return 8 * self.half[0] * self.half[1] * self.half[2]


def _segment(a: Station, b: Station) -> _Segment:
    """Return the box between two stations; inner faces that both lie on y = 0 stay on it."""
    width, thick = (a.half_width + b.half_width) / 2, (a.half_thickness + b.half_thickness) / 2
    dy, dz = b.y - a.y, b.z - a.z
    if all(abs(abs(s.y) - s.half_thickness) < 1e-9 for s in (a, b)) and a.y * b.y > 0:
        dy = 0.0
    half = (width, thick, float(np.hypot(dy, dz)) / 2)
    return _Segment((a.y + b.y) / 2, (a.z + b.z) / 2, float(np.arctan2(-dy, dz)), half)


def loft(sections: FloatArray, squareness: float) -> tuple[FloatArray, NDArray[np.int32]]:
    """Sweep a superellipse along a curve across x, with flat ends.

    Args:
        sections: Rows of (x, y, z, half width, half thickness) [m], shape (N, 5).
        squareness: Exponent of the superellipse.

    Returns:
        Vertices [m], (N * K + 2 * K + 2, 3), and outward faces, (M, 3).
    """
    angle = np.linspace(0, 2 * np.pi, _SECTION_POINTS, endpoint=False) + np.pi / _SECTION_POINTS
    u, v = (np.sign(f) * np.abs(f) ** (2 / squareness) for f in (np.cos(angle), np.sin(angle)))
    along = np.gradient(sections[:, 1:3], axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1)  # of (y, z): +y for a curve along z
    rings = np.repeat(sections[:, None, :3], len(angle), axis=1)
    rings[:, :, 0] += sections[:, 3:4] * u
    rings[:, :, 1:] += (sections[:, 4:5] * v)[..., None] * normal[:, None, :]
    n, k = rings.shape[:2]
    here = np.arange(k)
    step = np.roll(here, -1)
    faces = []
    for i in range(n - 1):
        low, high = i * k, (i + 1) * k
        faces += [np.stack([low + here, low + step, high + step], 1)]
        faces += [np.stack([low + here, high + step, high + here], 1)]
    first, last = n * k, n * k + k + 1
    faces += [np.stack([np.full(k, first + k), first + step, first + here], 1)]
    faces += [np.stack([np.full(k, last + k), last + here, last + step], 1)]
    ends = [rings[0], sections[:1, :3], rings[-1], sections[-1:, :3]]
    return np.concatenate([rings.reshape(-1, 3), *ends]), np.concatenate(faces).astype(np.int32)


def _densify(stations: Sequence[Station], smooth: bool) -> FloatArray:
    """Interpolate (x, y, z, half width, half thickness) between stations by arc length."""
    rows = np.array([(s.x, s.y, s.z, s.half_width, s.half_thickness) for s in stations])
    if not smooth or len(rows) < 3:
        return rows
    from scipy.interpolate import PchipInterpolator

    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(rows[:, 1:3], axis=0).T))])
    fine = np.concatenate(
        [np.linspace(a, b, _DENSE, endpoint=False) for a, b in pairwise(length)] + [length[-1:]]
    )
    return PchipInterpolator(length, rows)(fine)
