"""A syringe-like plunger: a rod that slides in a barrel against friction and, if asked, a spring.

Frame: origin at `grip`, the middle of the barrel, z to the nozzle, y along the finger flange. Joint `slide`
[m] is how far the rod is drawn out: 0 has the piston at the front, distance of `piston` and `stop` 0.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sim.object_bodies import lathe_mesh
from sim.tools.base import (
    COLLISION_GROUP,
    PLASTIC_KG_M3,
    VISUAL_GROUP,
    Affordance,
    Rgb,
    ToolHandle,
    ToolModel,
    add_material,
    add_site,
    attach_tool,
    finish,
    new_tool,
    require,
    require_not_negative,
    require_positive,
)
from sim.tools.opening import SlideOpening
from sim.tools.shapes import (
    DRAWN_ONLY,
    contact,
    rolling_contact,
)

_THUMB_CLEARANCE = 0.10  # of the barrel's length, thumb plate behind the flange when pressed home


@dataclass(frozen=True)
class PlungerConfig:
    """Sizes and resistance of a plunger.

    Attributes:
        length_m: Length of the barrel [m].
        radius_m: Inner radius of the barrel [m].
        wall_m: Thickness of its wall [m].
        stroke_m: Largest draw [m].
        rest_m: Draw at the start, and where the spring is relaxed [m].
        stiffness_n_m: Spring [N/m]; 0 for none.
        damping_n_s_m: Viscous resistance [N s/m].
        friction_n: Dry friction of the piston [N].
        density_kg_m3: Density of all parts [kg/m^3].
        friction: Sliding friction of the surfaces.
        rgb: Colour of the barrel, which is drawn transparent.
        rod_rgb: Colour of rod and thumb plate.
    """

    length_m: float = 0.085
    radius_m: float = 0.010
    wall_m: float = 0.0013
    stroke_m: float = 0.065
    rest_m: float = 0.045
    stiffness_n_m: float = 0.0
    damping_n_s_m: float = 8.0
    friction_n: float = 0.5
    density_kg_m3: float = PLASTIC_KG_M3
    friction: float = 0.8
    rgb: Rgb = (0.80, 0.87, 0.92)
    rod_rgb: Rgb = (0.20, 0.45, 0.75)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "radius_m", "wall_m", "stroke_m", "density_kg_m3", "friction")
        require_not_negative(self, "rest_m", "stiffness_n_m", "damping_n_s_m", "friction_n")
        require(
            self.stroke_m <= 0.9 * self.length_m,
            f"stroke_m = {self.stroke_m} exceeds 0.9 length_m = {0.9 * self.length_m:.4f}: raise length_m",
        )
        require(
            self.rest_m <= self.stroke_m,
            f"rest_m = {self.rest_m} must not exceed stroke_m = {self.stroke_m}",
        )
        require(
            self.wall_m < self.radius_m < self.length_m / 3,
            f"radius_m = {self.radius_m} must lie between wall_m and a third of length_m = {self.length_m}",
        )

    @property
    def volume_m3(self) -> float:
        """Volume that the full stroke displaces [m^3]."""
        return float(np.pi) * self.radius_m**2 * self.stroke_m

    @property
    def plate_m(self) -> float:
        """Thickness of flange and thumb plate [m]."""
        return 0.025 * self.length_m

    @property
    def flange_m(self) -> float:
        """Half span of the finger flange [m]."""
        return 2.2 * self.radius_m


def plunger_model(config: PlungerConfig | None = None) -> ToolModel:
    """Return a plunger as a specification of its own."""
    c = config or PlungerConfig()
    spec, root = new_tool()
    _add_barrel(spec, root, c)
    rod = root.add_body(name="rod", pos=[0, 0, -c.rest_m])
    _add_rod(spec, rod, c)
    slide = rod.add_joint(
        name="slide",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0, 0, -1],
        ref=c.rest_m,
        springref=c.rest_m,
        limited=1,
        range=[0, c.stroke_m],
        stiffness=[c.stiffness_n_m, 0, 0],
        frictionloss=c.friction_n,
        solref_limit=[0.004, 1.0],
        solimp_limit=[0.97, 0.999, 0.0005, 0.5, 2.0],
        solref_friction=[0.004, 1.0],
        solimp_friction=[0.999, 0.9999, 0.001, 0.5, 2.0],  # stiff: dry friction must not creep
    )
    half, clear = c.length_m / 2, _THUMB_CLEARANCE * c.length_m
    travel = (0.0, c.stroke_m)
    thumb = Affordance("press", "thumb", "grasp", (0.0, 0.0, 1.0), (0.0, 0.0, 1.0), clear + c.rest_m)
    affordances = (
        thumb,
        Affordance("brace_left", "grip_left", "grasp", (0.0, 0.0, -1.0), (0.0, 0.0, 1.0)),
        Affordance("brace_right", "grip_right", "grasp", (0.0, 0.0, -1.0), (0.0, 0.0, 1.0)),
        Affordance("hold", "grip", "grasp", (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), 2 * (c.radius_m + c.wall_m)),
        Affordance("inject", "tip", "act", (0.0, 0.0, 1.0)),
    )
    for body, name, y, z in (
        (root, "tip", 0.0, half + _nozzle(c)[1]),
        (root, "stop", 0.0, half),
        (root, "grip", 0.0, 0.0),
        (root, "flange", 0.0, -half),
        (root, "grip_left", 0.75 * c.flange_m, c.plate_m - half),
        (root, "grip_right", -0.75 * c.flange_m, c.plate_m - half),
        (rod, "piston", 0.0, half),
        (rod, "thumb", 0.0, -half - clear),
    ):
        add_site(body, name, (0, y, z))
    return finish(
        "plunger", spec, affordances, joint=slide, damping=c.damping_n_s_m,
        opening=SlideOpening(0.0, travel), grip_opening=SlideOpening(clear, travel),
    )  # fmt: skip


def _nozzle(c: PlungerConfig) -> tuple[float, float]:
    """Return radius and length of the nozzle [m]."""
    return 0.25 * c.radius_m, 0.14 * c.length_m


def _cylinder(
    body: Any, name: str, radius: float, low: float, high: float, c: PlungerConfig, **other: Any
) -> None:
    """Add a solid cylinder along z; `other` overrides its look or its mass."""
    attributes = dict(
        group=VISUAL_GROUP,
        mass=c.density_kg_m3 * float(np.pi) * radius**2 * (high - low),
        **rolling_contact(c.friction),
    )
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[0, 0, (low + high) / 2],
        size=[radius, (high - low) / 2, 0],
        **(attributes | other),
    )


def _add_barrel(spec: mujoco.MjSpec, root: Any, c: PlungerConfig) -> None:
    """Add barrel (one cylinder collides, its shell is drawn and weighs), flange, nozzle, graduation."""
    clear = add_material(spec, "clear", c.rgb)
    spec.material(clear).rgba = [*c.rgb, 0.35]
    half, outer = c.length_m / 2, c.radius_m + c.wall_m
    shell = c.density_kg_m3 * float(np.pi) * (outer**2 - c.radius_m**2) * c.length_m
    _cylinder(root, "barrel", outer, -half, half, c, group=COLLISION_GROUP, mass=shell)
    vertices, faces = lathe_mesh(
        np.array(
            [(c.radius_m, -half), (outer, -half), (outer, half), (_nozzle(c)[0], half + 0.2 * c.radius_m)]
        )
    )
    spec.add_mesh(
        name="shell",
        uservert=vertices.ravel(),
        userface=faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    root.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="shell", material=clear, **DRAWN_ONLY)
    radius, length = _nozzle(c)
    _cylinder(root, "nozzle", radius, half, half + length, c, material=clear)
    size = [0.9 * outer, c.flange_m, c.plate_m / 2]
    root.add_geom(
        name="flange",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0, 0, c.plate_m / 2 - half],
        size=size,
        mass=c.density_kg_m3 * 8 * float(np.prod(size)),
        material=clear,
        group=VISUAL_GROUP,
        **contact(c.friction),
    )
    ink = add_material(spec, "ink", (0.08, 0.08, 0.10))
    for k, z in enumerate(np.linspace(half - c.stroke_m, half, 11)):
        wide = 0.62 if k % 5 == 0 else 0.4
        root.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[outer * np.cos(wide / 2), 0, z],
            size=[0.0002, outer * np.sin(wide), 0.0003],
            material=ink,
            **DRAWN_ONLY,
        )


def _add_rod(spec: mujoco.MjSpec, rod: Any, c: PlungerConfig) -> None:
    """Add piston, rod and thumb plate, authored at joint position 0."""
    blue = add_material(spec, "rod", c.rod_rgb)
    rubber = add_material(spec, "rubber", (0.07, 0.07, 0.08))
    half, back = c.length_m / 2, -c.length_m / 2 - _THUMB_CLEARANCE * c.length_m
    plate, piston = c.plate_m, 0.9 * c.radius_m
    _cylinder(rod, "piston", 0.97 * c.radius_m, half - piston, half, c, material=rubber)
    core = [0.55 * c.radius_m, half - piston - back - plate]
    _cylinder(rod, "rod", core[0], back + plate, half - piston, c, group=COLLISION_GROUP)
    for name, wide, thin in (("fin_x", 0.85, 0.12), ("fin_y", 0.12, 0.85)):
        rod.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[0, 0, back + plate + core[1] / 2],
            size=[wide * c.radius_m, thin * c.radius_m, core[1] / 2],
            material=blue,
            **DRAWN_ONLY,
        )
    _cylinder(rod, "plate", 1.35 * c.radius_m, back, back + plate, c, material=blue)


def add_plunger(
    spec: mujoco.MjSpec,
    name: str,
    config: PlungerConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add a plunger to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip` (end of the nozzle), `stop` (front of the barrel, inside), `piston` (front of the rod),
    `thumb` (back of the thumb plate), `flange`, `grip_left`, `grip_right` (front of the flange, where fingers
    brace), `grip`. Joint: `slide` [m], how far the rod is drawn.
    """
    return attach_tool(spec, name, plunger_model(config), position_m, quat_wxyz, parent_site)
