"""Objects to be handled, 4 mm to hand size, as MuJoCo bodies: primitives and decomposed meshes.

The body frame sits at the centre of the extents. A primitive is one geom that is drawn (group 2) and
collides; a mesh is drawn whole (group 2) and collides as convex pieces (group 3). Mass and inertia are
those of the exact shape at its density.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.object_bodies import COLLISION_GROUP, VISUAL_GROUP
from sim.objects import COLORS, TRAIN_COLORS, sample_color
from sim.solids.meshes import MESHES, convex_pieces, unit_mesh

PRIMITIVES: Final = ("box", "sphere", "cylinder", "capsule", "ellipsoid")
KINDS: Final = (*PRIMITIVES, *MESHES)
SIZES_FOR_TWEEZERS_M: Final = (0.004, 0.060)
SIZES_FOR_HANDS_M: Final = (0.030, 0.120)

_GEOM: Final = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
_MAX_ASPECT: Final = 3.0
_ROUND: Final = ("cylinder", "capsule")


@dataclass(frozen=True)
class SolidConfig:
    """A solid: everything but where it is.

    Attributes:
        kind: One of `KINDS`.
        size_m: Extents along body x, y, z [m]; a mesh is scaled by the smallest of the three ratios to
            its own extents, so that it fits in them. One number stands for a cube of that edge.
        density_kg_m3: Density [kg/m^3].
        friction: Sliding friction coefficient.
        rgb: Colour, each in [0, 1].
    """

    kind: str = "box"
    size_m: tuple[float, float, float] | float = 0.03
    density_kg_m3: float = 800.0
    friction: float = 0.9
    rgb: tuple[float, float, float] = COLORS["blue"]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown solid {self.kind!r}; solids: {', '.join(KINDS)}")
        x, y, z = self.box_m
        if not all(np.isfinite(v) and 0.001 <= v <= 1.0 for v in (x, y, z)):
            raise ValueError(f"size_m = {self.size_m} must be between 0.001 and 1 m along every axis")
        if self.kind == "sphere" and not x == y == z:
            raise ValueError(f"a sphere needs equal extents, got {self.size_m}: use an ellipsoid")
        if self.kind in _ROUND and x != y:
            raise ValueError(f"a {self.kind} needs equal extents along x and y, got {self.size_m}")
        if self.kind == "capsule" and z < x:
            raise ValueError(f"a capsule needs z of at least its diameter, got {self.size_m}: use a cylinder")
        for name in ("density_kg_m3", "friction"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} = {value!r} must be a finite number above 0")

    @property
    def box_m(self) -> tuple[float, float, float]:
        """The extents that were asked for, as three numbers [m]."""
        size = self.size_m
        return (size, size, size) if isinstance(size, (int, float)) else size

    @property
    def is_mesh(self) -> bool:
        """Whether it collides as convex pieces of a mesh."""
        return self.kind in MESHES

    @property
    def scale_m(self) -> float:
        """Largest extent of a mesh [m]: the factor on its unit mesh."""
        return float(np.min(np.divide(self.box_m, unit_mesh(self.kind).extents)))

    @property
    def extents_m(self) -> tuple[float, float, float]:
        """True extents along body x, y, z [m]; a mesh may fill less than was asked for."""
        if not self.is_mesh:
            return self.box_m
        x, y, z = self.scale_m * np.asarray(unit_mesh(self.kind).extents)
        return float(x), float(y), float(z)

    @property
    def volume_m3(self) -> float:
        """Volume [m^3]."""
        x, y, z = self.box_m
        if self.is_mesh:
            return float(unit_mesh(self.kind).volume) * self.scale_m**3
        if self.kind == "capsule":
            return float(np.pi * (x / 2) ** 2 * (z - x) + np.pi / 6 * x**3)
        fill = {"box": 1.0, "sphere": np.pi / 6, "cylinder": np.pi / 4, "ellipsoid": np.pi / 6}[self.kind]
        return float(fill * x * y * z)

    @property
    def mass_kg(self) -> float:
        """Mass [kg]."""
        return self.density_kg_m3 * self.volume_m3


@dataclass(frozen=True)
class SolidHandle:
    """Names of a solid in a model.

    Attributes:
        name: Its name, that of its body.
        config: What it is.
        free_joint: Its free joint; None where it is fixed.
        geoms: Names of the geoms that collide.
        site: Site at its body frame.
    """

    name: str
    config: SolidConfig
    free_joint: str | None
    geoms: tuple[str, ...]
    site: str


def add_solid(
    spec: mujoco.MjSpec,
    name: str,
    config: SolidConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    *,
    is_free: bool = True,
) -> SolidHandle:
    """Add a solid to a model.

    Args:
        spec: Model under construction.
        name: Body name, unique in the model.
        config: The solid.
        position_m: Its centre in world [m], (3,).
        quat_wxyz: Its orientation, (4,).
        is_free: Whether it has a free joint `<name>_free`; else it is fixed to the world.

    Raises:
        ValueError: The name is taken.
    """
    c = config or SolidConfig()
    if spec.body(name) is not None:
        raise ValueError(f"a body named {name!r} is in the model already: choose another name")
    body = spec.worldbody.add_body(name=name, pos=list(position_m), quat=list(quat_wxyz))
    if is_free:
        body.add_freejoint(name=f"{name}_free")
    body.add_site(name=f"{name}_centre", size=[0.001, 0, 0], group=4)
    material = f"{name}_material"
    spec.add_material(name=material, rgba=[*c.rgb, 1], specular=0.25, shininess=0.4, reflectance=0)
    add = _add_mesh if c.is_mesh else _add_primitive
    geoms = add(spec, body, name, c, material)
    return SolidHandle(name, c, f"{name}_free" if is_free else None, geoms, f"{name}_centre")


def sample_solid(
    rng: np.random.Generator,
    size_range_m: tuple[float, float] = SIZES_FOR_TWEEZERS_M,
    kinds: Sequence[str] = KINDS,
) -> SolidConfig:
    """Draw a solid.

    Args:
        rng: Source of randomness.
        size_range_m: Every extent lies in it [m]; those of a primitive differ at most threefold.
        kinds: Kinds to draw from, with equal probability.

    Raises:
        ValueError: Unknown kind, an empty range, or a range too narrow for a mesh's proportions.
    """
    low, high = size_range_m
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise ValueError(f"unknown solids {unknown}; solids: {', '.join(KINDS)}")
    if not 0 < low <= high:
        raise ValueError(f"size_range_m = {size_range_m} must be 0 < low <= high")
    kind = kinds[int(rng.integers(len(kinds)))]
    name = TRAIN_COLORS[int(rng.integers(len(TRAIN_COLORS)))]
    return SolidConfig(
        kind=kind,
        size_m=_sample_size(rng, kind, low, high),
        density_kg_m3=float(rng.uniform(400, 1400)),
        friction=float(rng.uniform(0.7, 1.1)),
        rgb=sample_color(rng, name),
    )


def _sample_size(rng: np.random.Generator, kind: str, low: float, high: float) -> tuple[float, float, float]:
    if kind in MESHES:
        extents = np.asarray(unit_mesh(kind).extents)
        least = low / float(extents.min())
        if least > high:
            raise ValueError(
                f"a {kind} is {1 / extents.min():.1f} times longer than thin: "
                f"widen size_range_m = ({low}, {high})"
            )
        x, y, z = np.clip(float(rng.uniform(least, high)) * extents, low, high)
        return float(x), float(y), float(z)
    drawn = rng.uniform(low, high, 3)
    x, y, z = (float(v) for v in np.maximum(drawn, drawn.max() / _MAX_ASPECT))
    if kind == "sphere":
        return x, x, x
    if kind == "capsule":
        return min(x, z), min(x, z), max(x, z)
    return (x, x, z) if kind == "cylinder" else (x, y, z)


def _contact(c: SolidConfig) -> dict[str, Any]:
    # condim 6: torsion keeps a pinched solid from spinning, rolling friction lets a ball come to rest. Its
    # coefficients are lengths: they scale with the solid.
    size = min(c.extents_m)
    return dict(condim=6, friction=[c.friction, 0.2 * size, 0.02 * size], solref=[0.004, 1.0])


def _add_primitive(
    spec: mujoco.MjSpec, body: Any, name: str, c: SolidConfig, material: str
) -> tuple[str, ...]:
    del spec
    x, y, z = (v / 2 for v in c.box_m)
    size = {
        "sphere": [x, 0, 0],
        "cylinder": [x, z, 0],
        "capsule": [x, z - x, 0],
    }.get(c.kind, [x, y, z])
    kind = c.kind
    if kind == "capsule" and z == x:  # MuJoCo takes no capsule without a cylinder
        kind, size = "sphere", [x, 0, 0]
    body.add_geom(
        name=f"{name}_geom",
        type=_GEOM[kind],
        size=size,
        density=c.density_kg_m3,
        material=material,
        group=VISUAL_GROUP,
        **_contact(c),
    )
    return (f"{name}_geom",)


def _add_mesh(spec: mujoco.MjSpec, body: Any, name: str, c: SolidConfig, material: str) -> tuple[str, ...]:
    mesh = unit_mesh(c.kind)
    _mesh_asset(spec, f"{name}_mesh", np.asarray(mesh.vertices), np.asarray(mesh.faces), c.scale_m)
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=f"{name}_mesh",
        material=material,
        group=VISUAL_GROUP,
        contype=0,
        conaffinity=0,
        mass=0,
    )
    names = []
    for k, (vertices, faces) in enumerate(convex_pieces(c.kind)):
        names.append(f"{name}_piece_{k}")
        _mesh_asset(spec, names[-1], vertices, faces, c.scale_m)
        body.add_geom(
            name=names[-1],
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=names[-1],
            mass=0,
            group=COLLISION_GROUP,
            **_contact(c),
        )
    _set_inertia(body, c)
    return tuple(names)


def _mesh_asset(spec: mujoco.MjSpec, name: str, vertices: FloatArray, faces: Any, scale_m: float) -> None:
    spec.add_mesh(
        name=name,
        uservert=(vertices * scale_m).ravel(),
        userface=np.asarray(faces, np.int32).ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )


def _set_inertia(body: Any, c: SolidConfig) -> None:
    """Set mass, centre and inertia of the whole mesh: the pieces only approximate it."""
    unit = unit_mesh(c.kind)
    inertia = (
        np.asarray(unit.moment_inertia) * c.density_kg_m3 * c.scale_m**5
    )  # of density 1, about the centre
    body.mass = c.mass_kg
    body.ipos = list(np.asarray(unit.center_mass) * c.scale_m)
    body.fullinertia = [
        inertia[0, 0],
        inertia[1, 1],
        inertia[2, 2],
        inertia[0, 1],
        inertia[0, 2],
        inertia[1, 2],
    ]
    body.explicitinertial = 1
