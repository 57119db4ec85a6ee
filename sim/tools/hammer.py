"""A claw hammer. Frame: origin at `grip`, z along the handle to the head, y to the striking face."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sim.tools.base import (
    STEEL_KG_M3,
    VISUAL_GROUP,
    WOOD_KG_M3,
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
    require_positive,
    turn_about_x,
)
from sim.tools.shapes import (
    Station,
    Surface,
    add_bar,
    contact,
)


@dataclass(frozen=True)
class HammerConfig:
    """Sizes of a hammer.

    Attributes:
        length_m: End of the handle to the top of the head [m].
        head_m: Striking face to the ends of the claw [m].
        face_radius_m: Radius of the striking face [m].
        handle_m: Largest thickness of the handle [m].
        grip_at: Where it is held, as a fraction of the length from the handle's end.
        density_kg_m3: Density of the handle [kg/m^3].
        head_density_kg_m3: Density of the head [kg/m^3].
        friction: Sliding friction.
        rgb: Colour of the handle.
        head_rgb: Colour of the head.
    """

    length_m: float = 0.30
    head_m: float = 0.115
    face_radius_m: float = 0.0135
    handle_m: float = 0.030
    grip_at: float = 0.25
    density_kg_m3: float = WOOD_KG_M3
    head_density_kg_m3: float = STEEL_KG_M3
    friction: float = 0.8
    rgb: Rgb = (0.74, 0.55, 0.33)
    head_rgb: Rgb = (0.36, 0.37, 0.39)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "head_m", "face_radius_m", "handle_m", "density_kg_m3")
        require_positive(self, "head_density_kg_m3", "friction")
        require(0 <= self.grip_at <= 0.7, f"grip_at = {self.grip_at} must be in [0, 0.7], short of the head")
        require(
            4 * self.face_radius_m < self.head_m < self.length_m and 4 * self.handle_m < self.length_m,
            f"a hammer needs 4 face_radius_m < head_m < length_m and 4 handle_m < length_m; got "
            f"{self.face_radius_m}, {self.head_m}, {self.length_m}, {self.handle_m}",
        )

    @property
    def head_z_m(self) -> float:
        """Height of the head's axis above the grip [m]."""
        return (1 - self.grip_at) * self.length_m - self.face_radius_m


def hammer_model(config: HammerConfig | None = None) -> ToolModel:
    """Return a hammer as a specification of its own."""
    c = config or HammerConfig()
    spec, root = new_tool()
    wood = Surface(add_material(spec, "wood", c.rgb), c.density_kg_m3, c.friction, 2.6)
    steel = Surface(
        add_material(spec, "steel", c.head_rgb, metal=True), c.head_density_kg_m3, c.friction, 4.0
    )
    add_bar(spec, root, "handle", handle_stations(c), wood)
    _add_head(spec, root, c, steel)
    face, claw = 0.45 * c.head_m, -0.55 * c.head_m
    tail = -c.grip_at * c.length_m
    for name, y, z in (
        ("face", face, c.head_z_m),
        ("claw", claw, c.head_z_m - _CLAW_DROP * c.head_m),
        ("tip", 0.0, c.head_z_m + c.face_radius_m),
        ("head", 0.0, c.head_z_m),
        ("grip", 0.0, 0.0),
        ("tail", 0.0, tail),
    ):
        add_site(root, name, (0, y, z))
    affordances = (
        Affordance("hold", "grip", "grasp", (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), 0.8 * c.handle_m),
        Affordance("strike", "face", "act", (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        Affordance("pry", "claw", "act", (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return finish("hammer", spec, affordances)


_CLAW_DROP = 0.16  # of the head, how far the claw's ends lie below its axis


def handle_stations(config: HammerConfig) -> list[Station]:
    """Return the handle: an oval, waisted shaft up to the head's axis."""
    c, tail = config, -config.grip_at * config.length_m
    x, y, top = 0.4 * c.handle_m, 0.5 * c.handle_m, config.head_z_m
    return [
        Station(tail, 0, 0.9 * x, 0.9 * y),
        Station(tail + 0.12 * c.length_m, 0, x, y),
        Station(tail + 0.4 * c.length_m, 0, 0.85 * x, 0.85 * y),
        Station(tail + 0.65 * c.length_m, 0, 0.6 * x, 0.6 * y),
        Station(top, 0, 0.6 * x, 0.66 * y),
    ]


def _add_head(spec: mujoco.MjSpec, root: Any, c: HammerConfig, steel: Surface) -> None:
    """Add face, neck and cheek as cylinders and a box along y, and two prongs that curve back."""
    r, z, face = c.face_radius_m, c.head_z_m, 0.45 * c.head_m
    common = dict(material=steel.material, group=VISUAL_GROUP, **contact(c.friction))
    along_y = turn_about_x(np.pi / 2)
    cheek = 0.14 * c.head_m
    for name, radius, low, high in (("face", r, 0.68 * face, face), ("neck", 0.72 * r, cheek, 0.68 * face)):
        root.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=[0, (low + high) / 2, z],
            quat=along_y,
            size=[radius, (high - low) / 2, 0],
            mass=steel.density_kg_m3 * float(np.pi) * radius**2 * (high - low),
            **common,
        )
    half = [0.85 * r, cheek, 0.95 * r]
    root.add_geom(
        name="cheek",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0, 0, z],
        size=half,
        mass=steel.density_kg_m3 * 8 * float(np.prod(half)),
        **common,
    )
    for name, x in (("prong_right", 0.5 * r), ("prong_left", -0.5 * r)):
        claw = [
            Station(z + 0.15 * r, -0.9 * cheek, 0.38 * r, 0.75 * r, x),
            Station(z + 0.10 * r, -0.3 * c.head_m, 0.40 * r, 0.42 * r, 1.1 * x),
            Station(z - _CLAW_DROP * c.head_m, -0.55 * c.head_m, 0.36 * r, 0.06 * r, 1.3 * x),
        ]
        add_bar(spec, root, name, claw, steel)


def add_hammer(
    spec: mujoco.MjSpec,
    name: str,
    config: HammerConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add a hammer to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `face` (strikes along +y), `claw` (ends of the prongs), `head`, `tip` (top of the head), `grip`,
    `tail`.
    """
    return attach_tool(spec, name, hammer_model(config), position_m, quat_wxyz, parent_site)
