"""Which tools the synthetic clouds show, trained and held out, and the surface of one at any opening."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

import mujoco
import numpy as np
import trimesh

from perception_tools.geometry import FloatArray
from sim.solids.meshes import MESHES, unit_mesh
from sim.tools.base import ToolHandle, ToolModel, attach_tool
from sim.tools.registry import tool_model

Split = Literal["train", "new_sizes", "new_kind"]
SPLITS: Final = ("train", "new_sizes", "new_kind")
Interval = tuple[float, float]

DRAWN_GROUPS: Final = (0, 1, 2)
_LIMP: Final = 1e-4  # [N m/rad]: springs do not matter here, but some tools refuse to have none


@dataclass(frozen=True)
class KindRange:
    """Sizes of one kind of tool; each field is drawn from one of its intervals.

    Attributes:
        length_m: Intervals of the length [m].
        ratios: Intervals of further lengths, as shares of the length, by field of the tool's config.
        absolute: Intervals of further lengths [m].
        choices: Other fields, each with equal probability.
    """

    length_m: tuple[Interval, ...]
    ratios: Mapping[str, tuple[Interval, ...]]
    absolute: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


_OPENINGS: Final = {
    "tweezers": ((0.13, 0.26),),
    "scissors": ((0.30, 0.55),),
    "pliers": ((0.12, 0.22),),
    "tongs": ((0.30, 0.50),),
}
"""Shares of the length that tools open by at most. The same in all splits: a cloud does not show it."""

TRAINED: Final[Mapping[str, KindRange]] = MappingProxyType(
    {
        "tweezers": KindRange(
            ((0.10, 0.16),),
            {"width_m": ((0.065, 0.095),), "max_opening_m": _OPENINGS["tweezers"]},
            {"thickness_m": ((0.0012, 0.0026),)},
            {"tip": ("flat", "rounded"), "grip_rgb": (None, (0.1, 0.3, 0.6))},
        ),
        "scissors": KindRange(
            ((0.13, 0.19),),
            {
                "blade_height_m": ((0.065, 0.095),),
                "loop_width_m": ((0.13, 0.18),),
                "max_opening_m": _OPENINGS["scissors"],
            },
            {"blade_thickness_m": ((0.002, 0.004),)},
        ),
        "pliers": KindRange(
            ((0.14, 0.20),), {"width_m": ((0.055, 0.080),), "max_opening_m": _OPENINGS["pliers"]}
        ),
    }
)
"""Tools that encoders are trained on."""

NEW_SIZES: Final[Mapping[str, KindRange]] = MappingProxyType(
    {
        "tweezers": KindRange(
            ((0.075, 0.095), (0.165, 0.20)),
            {"width_m": ((0.048, 0.060), (0.10, 0.12)), "max_opening_m": _OPENINGS["tweezers"]},
            {"thickness_m": ((0.0012, 0.0026),)},
            {"tip": ("pointed",), "grip_rgb": (None, (0.1, 0.3, 0.6))},
        ),
        "scissors": KindRange(
            ((0.10, 0.125), (0.195, 0.24)),
            {
                "blade_height_m": ((0.05, 0.06), (0.10, 0.12)),
                "loop_width_m": ((0.10, 0.125), (0.185, 0.22)),
                "max_opening_m": _OPENINGS["scissors"],
            },
            {"blade_thickness_m": ((0.002, 0.004),)},
        ),
        "pliers": KindRange(
            ((0.105, 0.135), (0.205, 0.25)),
            {"width_m": ((0.042, 0.052), (0.085, 0.11)), "max_opening_m": _OPENINGS["pliers"]},
        ),
    }
)
"""Held out: the trained kinds, every length and proportion outside what was trained, pointed tips."""

NEW_KIND: Final[Mapping[str, KindRange]] = MappingProxyType(
    {
        "tongs": KindRange(
            ((0.18, 0.28),),
            {
                "width_m": ((0.07, 0.10),),
                "tip_width_m": ((0.12, 0.20),),
                "max_opening_m": _OPENINGS["tongs"],
            },
        )
    }
)
"""Held out: a kind that was never trained."""

RANGES: Final[Mapping[str, Mapping[str, KindRange]]] = MappingProxyType(
    {"train": TRAINED, "new_sizes": NEW_SIZES, "new_kind": NEW_KIND}
)

TRAINED_OTHERS: Final = ("box", "sphere", "cylinder", "capsule", "stick", "hook", "spatula", "cup", "cross")
"""Things without jaws that encoders are trained to tell from tools."""

NEW_OTHERS: Final = ("hammer", "star", "l_bracket", "ellipsoid")
"""Held out: things without jaws that were never trained."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Points on the surface of a thing, by rigid part.

    Attributes:
        kind: Kind of tool, or of other thing.
        parts: Points and outward normals of each part in the part's own frame, (N, 6) [m].
        spacing_m: Mean distance of neighbouring points [m].
        model: Compiled model of a tool, alone and fixed at the origin; None for other things.
        handle: Its names and laws.
        fields: Fields of its config.
    """

    kind: str
    parts: tuple[FloatArray, ...]
    spacing_m: float
    model: mujoco.MjModel | None = None
    handle: ToolHandle | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> ToolModel:
        """Build the tool once more.

        Raises:
            ValueError: It is no tool.
        """
        if self.handle is None:
            raise ValueError(f"a {self.kind} has no jaws")
        return tool_model(self.kind, None, **self.fields)

    @property
    def is_tool(self) -> bool:
        """Whether it has jaws."""
        return self.handle is not None


def sample_tool_fields(rng: np.random.Generator, kind: str, sizes: KindRange) -> dict[str, Any]:
    """Draw the fields of a tool's config."""

    def draw(intervals: tuple[Interval, ...]) -> float:
        return float(rng.uniform(*intervals[int(rng.integers(len(intervals)))]))

    length = draw(sizes.length_m)
    fields: dict[str, Any] = {"length_m": length}
    fields |= {name: length * draw(intervals) for name, intervals in sizes.ratios.items()}
    fields |= {name: draw(intervals) for name, intervals in sizes.absolute.items()}
    fields |= {name: values[int(rng.integers(len(values)))] for name, values in sizes.choices.items()}
    fields["rest_opening_m"] = float(rng.uniform(0.55, 1.0)) * fields["max_opening_m"]
    return fields | {"stiffness_n_m_rad": _LIMP}


def tool_surface(kind: str, fields: Mapping[str, Any], rng: np.random.Generator, num: int) -> Surface:
    """Build a tool and sample its drawn surface.

    Args:
        kind: Key of `sim.tools.registry.TOOLS`.
        fields: Fields of its config.
        rng: Source of randomness.
        num: Number of points.
    """
    spec = mujoco.MjSpec()
    spec.worldbody.add_site(name="stand")
    handle = attach_tool(spec, "tool", tool_model(kind, None, **fields), parent_site="stand")
    model = spec.compile()
    meshes = [_body_mesh(model, k) for k in (model.body(handle.body).id, _moving(model, handle)) if k > 0]
    area = sum(float(m.area) for m in meshes)
    parts = tuple(_on_mesh(m, max(1, round(num * float(m.area) / area)), rng) for m in meshes)
    return Surface(kind, parts, float(np.sqrt(area / num)), model, handle if handle.opening else None, fields)


def other_surface(kind: str, rng: np.random.Generator, num: int) -> Surface:
    """Draw a thing that is no tool with jaws: a rigid tool, or a solid of 3 to 15 cm."""
    if kind in ("stick", "hook", "hammer", "spatula"):
        surface = tool_surface(kind, {"length_m": float(rng.uniform(0.22, 0.38))}, rng, num)
        return Surface(kind, surface.parts, surface.spacing_m)
    size = rng.uniform(0.4, 1.0, 3) * rng.uniform(0.05, 0.15)
    x, z = float(size[0]), float(size[2])
    if kind in MESHES:
        mesh = unit_mesh(kind).copy()
        mesh.apply_scale(float(rng.uniform(0.05, 0.15)) / float(mesh.extents.max()))
    elif kind == "box":
        mesh = trimesh.creation.box(size)
    elif kind == "cylinder":
        mesh = trimesh.creation.cylinder(x / 3, z)
    elif kind == "capsule":
        mesh = trimesh.creation.capsule(z, x / 5)
    else:
        mesh = trimesh.creation.icosphere(3, 0.5)
        mesh.apply_scale(size if kind == "ellipsoid" else x)
    return Surface(kind, (_on_mesh(mesh, num, rng),), float(np.sqrt(mesh.area / num)))


def _moving(model: mujoco.MjModel, handle: ToolHandle) -> int:
    return model.body(handle.moving_body).id if handle.moving_body else -1


def _on_mesh(mesh: trimesh.Trimesh, num: int, rng: np.random.Generator) -> FloatArray:
    """Return points, uniform by area, with their normals, (num, 6)."""
    faces = rng.choice(len(mesh.faces), num, p=mesh.area_faces / mesh.area_faces.sum())
    a, b = np.sort(rng.random((2, num)), axis=0)
    corners = mesh.triangles[faces]
    weights = np.stack([a, b - a, 1 - b], axis=1)
    return np.hstack([np.einsum("nk,nkd->nd", weights, corners), mesh.face_normals[faces]])


def _body_mesh(model: mujoco.MjModel, body: int) -> trimesh.Trimesh:
    """Return what is drawn of a body, in its frame."""
    meshes = []
    for geom in np.flatnonzero((model.geom_bodyid == body) & np.isin(model.geom_group, DRAWN_GROUPS)):
        mesh = _geom_mesh(model, int(geom))
        pose = np.eye(4)
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        pose[:3, :3], pose[:3, 3] = rotation.reshape(3, 3), model.geom_pos[geom]
        mesh.apply_transform(pose)
        meshes.append(mesh)
    mesh = trimesh.util.concatenate(meshes)
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def _geom_mesh(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    """Return the surface of a geom in its frame."""
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        k = int(model.geom_dataid[geom])
        first, count = model.mesh_vertadr[k], model.mesh_vertnum[k]
        face, faces = model.mesh_faceadr[k], model.mesh_facenum[k]
        return trimesh.Trimesh(
            model.mesh_vert[first : first + count], model.mesh_face[face : face + faces], process=False
        )
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return trimesh.creation.box(2 * size)
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return trimesh.creation.cylinder(float(size[0]), 2 * float(size[1]))
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return trimesh.creation.capsule(2 * float(size[1]), float(size[0]))
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return trimesh.creation.icosphere(3, float(size[0]))
    raise ValueError(f"no surface for a geom of type {mujoco.mjtGeom(kind).name}")
