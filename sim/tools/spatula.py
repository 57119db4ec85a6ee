"""A kitchen turner, or a scoop where its blade has a lip.

Frame: origin at `grip`, z forward along the handle, y up: out of the blade's upper face. The blade's
lower face lies `drop_m` below the handle's axis, so the handle clears a table that the blade lies on.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sim.tools.base import (
    ALUMINIUM_KG_M3,
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
    require_positive,
)
from sim.tools.shapes import (
    DRAWN_ONLY,
    Station,
    Surface,
    add_bar,
    contact,
)

_MIN_HALF_THICKNESS_M = 0.0012


@dataclass(frozen=True)
class SpatulaConfig:
    """Sizes of a spatula.

    Attributes:
        length_m: End of the handle to the front edge [m].
        blade_length_m: Length of the blade [m].
        blade_width_m: Width of the blade along x [m].
        blade_thickness_m: Thickness of the blade [m].
        drop_m: Lower face of the blade below the handle's axis [m].
        lip_m: Height of a rim along the sides and the back, which makes it a scoop [m]; 0 for none.
        density_kg_m3: Density of blade and neck [kg/m^3].
        handle_density_kg_m3: Density of the handle [kg/m^3].
        friction: Sliding friction.
        rgb: Colour of the blade.
        handle_rgb: Colour of the handle.
    """

    length_m: float = 0.30
    blade_length_m: float = 0.095
    blade_width_m: float = 0.075
    blade_thickness_m: float = 0.0016
    drop_m: float = 0.035
    lip_m: float = 0.0
    density_kg_m3: float = ALUMINIUM_KG_M3
    handle_density_kg_m3: float = PLASTIC_KG_M3
    friction: float = 0.5
    rgb: Rgb = (0.70, 0.72, 0.74)
    handle_rgb: Rgb = (0.09, 0.09, 0.10)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "blade_length_m", "blade_width_m", "blade_thickness_m")
        require_positive(self, "density_kg_m3", "handle_density_kg_m3", "friction")
        require(self.drop_m >= 0 and self.lip_m >= 0, "drop_m and lip_m must not be negative")
        require(
            self.blade_length_m <= 0.45 * self.length_m,
            f"blade_length_m = {self.blade_length_m} must be at most 0.45 of length_m = {self.length_m}",
        )
        require(
            self.drop_m <= 0.3 * self.length_m,
            f"drop_m = {self.drop_m} must be at most 0.3 of length_m = {self.length_m}",
        )

    @property
    def handle_length_m(self) -> float:
        """Length of the handle [m]; the grip is in its middle."""
        return 0.4 * self.length_m

    @property
    def front_z_m(self) -> float:
        """Distance of the front edge from the grip [m]."""
        return self.length_m - self.handle_length_m / 2


def spatula_model(config: SpatulaConfig | None = None) -> ToolModel:
    """Return a spatula as a specification of its own."""
    c = config or SpatulaConfig()
    spec, root = new_tool()
    metal = add_material(spec, "metal", c.rgb, metal=True)
    plain = Surface(metal, c.density_kg_m3, c.friction, 8.0, _MIN_HALF_THICKNESS_M)
    dark = Surface(add_material(spec, "handle", c.handle_rgb), c.handle_density_kg_m3, c.friction, 3.0)
    add_bar(spec, root, "handle", _handle(c), dark)
    add_bar(spec, root, "neck", _neck(c), plain)
    # The sheet collides thicker than drawn, upwards: its lower face slides on the table.
    excess = max(_MIN_HALF_THICKNESS_M - c.blade_thickness_m / 2, 0.0)
    add_bar(spec, root, "blade", _blade(c), plain, shift_m=excess)
    _add_slots(spec, root, c)
    if c.lip_m > 0:
        _add_lip(root, c, metal)
    low, back = -c.drop_m, c.front_z_m - c.blade_length_m
    middle = back + 0.55 * c.blade_length_m
    for name, y, z in (
        ("tip", low, c.front_z_m),
        ("blade", low + c.blade_thickness_m + 2 * excess, middle),
        ("under", low, middle),
        ("grip", 0.0, 0.0),
        ("tail", 0.0, -c.handle_length_m / 2),
    ):
        add_site(root, name, (0, y, z))
    affordances = (
        Affordance("hold", "grip", "grasp", (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), 2 * _handle(c)[1].half_width),
        Affordance("slide_under", "tip", "act", (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), c.blade_width_m),
        Affordance("lift", "blade", "act", (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), c.blade_width_m),
        Affordance("press", "under", "act", (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), c.blade_width_m),
    )
    return finish("spatula", spec, affordances)


def _handle(c: SpatulaConfig) -> list[Station]:
    half, width = c.handle_length_m / 2, 0.037 * c.length_m
    return [
        Station(-half, 0, 0.9 * width, 0.6 * width),
        Station(-0.4 * half, 0, width, 0.75 * width),
        Station(0.5 * half, 0, 0.85 * width, 0.65 * width),
        Station(half, 0, 0.6 * width, 0.5 * width),
    ]


def _neck(c: SpatulaConfig) -> list[Station]:
    start, end = c.handle_length_m / 2, c.front_z_m - c.blade_length_m
    y = c.blade_thickness_m / 2 - c.drop_m
    width = 0.016 * c.length_m
    return [
        Station(start - 0.01 * c.length_m, 0, width, 0.003),
        Station(start + 0.45 * (end - start), 0.15 * y, width, 0.0028),
        Station(end, 0.98 * y, 1.6 * width, 0.0022),
    ]


def _blade(c: SpatulaConfig) -> list[Station]:
    y, half = c.blade_thickness_m / 2 - c.drop_m, c.blade_thickness_m / 2
    back, width = c.front_z_m - c.blade_length_m, c.blade_width_m / 2
    return [
        Station(back, y, 0.35 * width, half),
        Station(back + 0.22 * c.blade_length_m, y, 0.88 * width, half),
        Station(back + 0.30 * c.blade_length_m, y, 0.92 * width, half),
        Station(c.front_z_m, y, width, half),
    ]


def _add_slots(spec: mujoco.MjSpec, root: Any, c: SpatulaConfig) -> None:
    """Draw four slots in the blade."""
    slot = add_material(spec, "slot", (0.10, 0.10, 0.11))
    for x in (-0.54, -0.18, 0.18, 0.54):
        root.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[
                x * c.blade_width_m / 2,
                c.blade_thickness_m / 2 - c.drop_m,
                c.front_z_m - 0.42 * c.blade_length_m,
            ],
            size=[0.035 * c.blade_width_m, 0.505 * c.blade_thickness_m, 0.22 * c.blade_length_m],
            material=slot,
            **DRAWN_ONLY,
        )


def _add_lip(root: Any, c: SpatulaConfig, material: str) -> None:
    """Add the rim: two side walls and a back wall on the blade."""
    t, h = _MIN_HALF_THICKNESS_M, c.lip_m / 2
    width, back = c.blade_width_m / 2, c.front_z_m - 0.75 * c.blade_length_m
    middle, half = (back + c.front_z_m) / 2, (c.front_z_m - back) / 2
    y = h - c.drop_m
    for name, pos, size in (
        ("lip_right", [width - t, y, middle], [t, h, half]),
        ("lip_left", [t - width, y, middle], [t, h, half]),
        ("lip_back", [0, y, back - t], [width, h, t]),
    ):
        root.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=pos,
            size=size,
            mass=c.density_kg_m3 * 8 * float(np.prod(size)),
            material=material,
            group=VISUAL_GROUP,
            **contact(c.friction),
        )


def add_spatula(
    spec: mujoco.MjSpec,
    name: str,
    config: SpatulaConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add a spatula to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip` (middle of the front edge, lower face), `blade` (upper face), `under` (lower face), `grip`,
    `tail`.
    """
    return attach_tool(spec, name, spatula_model(config), position_m, quat_wxyz, parent_site)
