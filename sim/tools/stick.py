"""A straight stick. Frame: origin at `grip`, z along the stick towards `tip`."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import mujoco
import numpy as np

from sim.tools.base import (
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
)
from sim.tools.shapes import rolling_contact


@dataclass(frozen=True)
class StickConfig:
    """Sizes of a stick.

    Attributes:
        length_m: Length [m].
        thickness_m: Diameter, or side of a square section [m].
        section: Shape of the section; a round stick is a capsule.
        grip_at: Where it is held, as a fraction of the length from the tail.
        density_kg_m3: Density [kg/m^3].
        friction: Sliding friction.
        rgb: Colour.
    """

    length_m: float = 0.30
    thickness_m: float = 0.016
    section: Literal["round", "square"] = "round"
    grip_at: float = 0.2
    density_kg_m3: float = WOOD_KG_M3
    friction: float = 0.8
    rgb: Rgb = (0.72, 0.53, 0.32)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "thickness_m", "density_kg_m3", "friction")
        require(
            self.section in ("round", "square"), f"unknown section {self.section!r}; sections: round, square"
        )
        require(0 <= self.grip_at <= 1, f"grip_at = {self.grip_at} must be in [0, 1]")
        require(
            self.length_m > 2 * self.thickness_m,
            f"length_m = {self.length_m} of a stick must exceed twice its thickness_m = {self.thickness_m}",
        )


def stick_model(config: StickConfig | None = None) -> ToolModel:
    """Return a stick as a specification of its own."""
    c = config or StickConfig()
    spec, root = new_tool()
    wood = add_material(spec, "wood", c.rgb)
    tail, tip = -c.grip_at * c.length_m, (1 - c.grip_at) * c.length_m
    half, r = c.length_m / 2, c.thickness_m / 2
    is_round = c.section == "round"
    root.add_geom(
        name="shaft",
        type=mujoco.mjtGeom.mjGEOM_CAPSULE if is_round else mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0, 0, (tail + tip) / 2],
        size=[r, half - r, 0] if is_round else [r, r, half],
        mass=stick_mass_kg(c),
        material=wood,
        group=VISUAL_GROUP,
        **rolling_contact(c.friction),
    )
    for name, z in (("tip", tip), ("tail", tail), ("middle", (tip + tail) / 2), ("grip", 0.0)):
        add_site(root, name, (0, 0, z))
    affordances = (
        Affordance("hold", "grip", "grasp", (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), c.thickness_m),
        Affordance("hold_middle", "middle", "grasp", (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), c.thickness_m),
        Affordance("poke", "tip", "act"),
        Affordance("sweep", "tip", "act", (0.0, 1.0, 0.0)),
    )
    return finish("stick", spec, affordances)


def stick_mass_kg(config: StickConfig) -> float:
    """Return the mass: a capsule of the whole length, or a box [kg]."""
    c, r = config, config.thickness_m / 2
    if c.section == "square":
        return c.density_kg_m3 * c.thickness_m**2 * c.length_m
    return c.density_kg_m3 * float(np.pi * r**2 * (c.length_m - 2 * r) + 4 / 3 * np.pi * r**3)


def add_stick(
    spec: mujoco.MjSpec,
    name: str,
    config: StickConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add a stick to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip`, `tail` (its ends), `middle`, `grip`.
    """
    return attach_tool(spec, name, stick_model(config), position_m, quat_wxyz, parent_site)
