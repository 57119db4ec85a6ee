"""Scissors: two blades that cross at a pivot, with a loop each for the fingers.

The hinge axis (x) runs through `pivot` at the origin; blades reach along +z, loops along -z. Angle 0 is
closed: the edges meet on y = 0 from behind the pivot to the tips. The tool frame's z bisects the blades at
rest. The root carries the left blade (+y) and, since halves cross, the right loop (-y).
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sim.tools.base import (
    PLASTIC_KG_M3,
    STEEL_KG_M3,
    Affordance,
    Rgb,
    ToolHandle,
    ToolModel,
    add_hinge,
    add_material,
    add_site,
    attach_tool,
    finish,
    new_tool,
    require,
    require_not_negative,
    require_positive,
    require_rest_within_opening,
    turn_about_x,
)
from sim.tools.opening import HingeOpening
from sim.tools.shapes import (
    DRAWN_ONLY,
    Station,
    Surface,
    add_bar,
    add_ring,
    mirrored,
)

_BLADE = 0.52  # of the length, pivot to tips


@dataclass(frozen=True)
class ScissorsConfig:
    """Sizes of scissors.

    Attributes:
        length_m: Tips to the far ends of the loops, closed [m].
        blade_height_m: Height of a blade at the pivot [m].
        blade_thickness_m: Thickness of a blade along x [m].
        loop_width_m: Inner width of a loop [m].
        max_opening_m: Largest distance of the tips [m].
        rest_opening_m: Distance of the tips at the start, and where the spring is relaxed [m].
        stiffness_n_m_rad: Spring [N m/rad]; 0 for none.
        damping_ratio: Of the spring, with one half held.
        damping_n_m_s_rad: Damping of the pivot [N m s/rad].
        density_kg_m3: Density of the blades [kg/m^3].
        handle_density_kg_m3: Density of shanks and loops [kg/m^3].
        friction: Sliding friction.
        rgb: Colour of the blades.
        handle_rgb: Colour of shanks and loops.
    """

    length_m: float = 0.165
    blade_height_m: float = 0.013
    blade_thickness_m: float = 0.003
    loop_width_m: float = 0.025
    max_opening_m: float = 0.070
    rest_opening_m: float = 0.035
    stiffness_n_m_rad: float = 0.0
    damping_ratio: float = 1.0
    damping_n_m_s_rad: float = 0.002
    density_kg_m3: float = STEEL_KG_M3
    handle_density_kg_m3: float = PLASTIC_KG_M3
    friction: float = 0.7
    rgb: Rgb = (0.74, 0.75, 0.78)
    handle_rgb: Rgb = (0.90, 0.33, 0.05)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "blade_height_m", "blade_thickness_m", "loop_width_m")
        require_positive(self, "max_opening_m", "density_kg_m3", "handle_density_kg_m3", "friction")
        require_not_negative(
            self, "rest_opening_m", "stiffness_n_m_rad", "damping_ratio", "damping_n_m_s_rad"
        )
        require_rest_within_opening(self)
        require(
            self.max_opening_m <= 1.4 * self.blade_m,
            f"max_opening_m = {self.max_opening_m} needs blades beyond {self.blade_m:.3f} m: raise length_m",
        )
        require(
            self.loop_width_m + 2 * self.wire_m <= 0.3 * self.length_m
            and 4 * self.blade_height_m < self.blade_m,
            f"loop_width_m = {self.loop_width_m} or blade_height_m = {self.blade_height_m} is too large "
            f"for length_m = {self.length_m}",
        )

    @property
    def blade_m(self) -> float:
        """Distance of the tips from the pivot [m]."""
        return _BLADE * self.length_m

    @property
    def wire_m(self) -> float:
        """Radius of the loops' wire [m]."""
        return 0.021 * self.length_m

    @property
    def loop_centre_m(self) -> tuple[float, float]:
        """Centre of the closed left loop, (y, z) [m]."""
        (half_y, half_z), w = self.loop_radii_m, self.wire_m
        return half_y + 1.15 * w, self.blade_m - self.length_m + half_z + w

    @property
    def loop_radii_m(self) -> tuple[float, float]:
        """Half axes of the loops' centre line along y and z [m]."""
        half = self.loop_width_m / 2 + self.wire_m
        return half, 1.35 * half


def scissors_model(config: ScissorsConfig | None = None) -> ToolModel:
    """Return scissors as a specification of their own."""
    c = config or ScissorsConfig()
    spec, root = new_tool()
    steel = Surface(add_material(spec, "steel", c.rgb, metal=True), c.density_kg_m3, c.friction, 8.0)
    plastic = Surface(add_material(spec, "handle", c.handle_rgb), c.handle_density_kg_m3, c.friction, 3.0)
    y, z = c.loop_centre_m
    widest = 2 * float(np.arcsin(c.max_opening_m / (2 * c.blade_m)))
    tips = HingeOpening(c.blade_m, 0.0, (0.0, widest))
    grips = HingeOpening(float(np.hypot(y, z)), 2 * float(np.arctan2(y, -z)), (0.0, widest))
    rest = float(tips.joint_pos(c.rest_opening_m))
    arm = root.add_body(name="arm", quat=turn_about_x(rest / 2))
    hinge = add_hinge(arm, tips.angle_range_rad, rest, c.stiffness_n_m_rad)
    left = root.add_frame(quat=turn_about_x(-rest / 2))
    for body, sign, frame in ((root, 1.0, left), (arm, -1.0, None)):
        side, other = ("left", "right") if sign > 0 else ("right", "left")
        _add_half(spec, body, side, sign, c, steel, plastic, frame)
        add_site(body, f"tip_{side}", (0, 0, c.blade_m), frame)
        add_site(body, f"blade_{side}", (0, 0, 0.5 * c.blade_m), frame)
        add_site(body, f"grip_{other}", (0, -sign * y, z), frame)
    _add_screw(spec, root, c)
    for name, at in (
        ("pivot", 0.0),
        ("tip", c.blade_m * np.cos(rest / 2)),
        ("blade", 0.5 * c.blade_m),
        ("grip", z),
    ):
        add_site(root, name, (0, 0, at))
    affordances = (
        Affordance("loops", "grip", "grasp", (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), float(grips.opening_m(rest))),
        Affordance("loop_left", "grip_left", "grasp", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), c.loop_width_m),
        Affordance("loop_right", "grip_right", "grasp", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), c.loop_width_m),
        Affordance("cut", "blade", "act", (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), float(c.rest_opening_m / 2)),
        Affordance("snip", "tip", "act", (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), c.rest_opening_m),
    )
    return finish(
        "scissors", spec, affordances, joint=hinge, damping_ratio=c.damping_ratio,
        damping=c.damping_n_m_s_rad, opening=tips, grip_opening=grips,
    )  # fmt: skip


def blade_stations(config: ScissorsConfig) -> list[Station]:
    """Return the closed left blade: its edge is y = 0 from a seventh of its length on."""
    c, h, t = config, config.blade_height_m / 2, config.blade_thickness_m / 2
    return [
        Station(-0.1 * c.blade_m, -0.1 * h, t, 0.8 * h, t),
        Station(0.0, 0.1 * h, t, h, t),
        Station(0.14 * c.blade_m, h, t, h, t),
        Station(0.6 * c.blade_m, 0.72 * h, t, 0.72 * h, t),
        Station(0.82 * c.blade_m, 0.44 * h, t, 0.44 * h, t),
        Station(c.blade_m, 0.08 * h, t, 0.08 * h, t),
    ]


def _add_half(
    spec: mujoco.MjSpec,
    body: Any,
    side: str,
    sign: float,
    c: ScissorsConfig,
    steel: Surface,
    plastic: Surface,
    frame: Any,
) -> None:
    """Add a blade on its side (sign of y), and the shank and loop on the other."""
    stations = blade_stations(c) if sign > 0 else mirrored(blade_stations(c), flip_x=True)
    add_bar(spec, body, f"{side}_blade", stations, steel, frame=frame)
    (y, z), (_, half_z), h, w = c.loop_centre_m, c.loop_radii_m, c.blade_height_m / 2, c.wire_m
    start, end = -0.05 * c.blade_m, z + 0.97 * half_z
    t = max(c.blade_thickness_m, 0.8 * w)
    shank = [
        Station(start, 0.0, t, 0.72 * h),
        Station(start + 0.35 * (end - start), -0.30 * sign * y, t, 0.6 * h),
        Station(end, -0.9 * sign * y, w, 1.1 * w),
    ]
    add_bar(spec, body, f"{side}_shank", shank, plastic, frame=frame)
    add_ring(spec, body, f"{side}_loop", (-sign * y, z), c.loop_radii_m, w, plastic, frame=frame)


def _add_screw(spec: mujoco.MjSpec, root: Any, c: ScissorsConfig) -> None:
    """Draw the screw at the pivot."""
    screw = add_material(spec, "screw", (0.45, 0.46, 0.48), metal=True)
    half = max(c.blade_thickness_m, 0.8 * c.wire_m) + 0.0006
    root.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        quat=[np.sqrt(0.5), 0, np.sqrt(0.5), 0],
        size=[0.32 * c.blade_height_m, half, 0],
        material=screw,
        **DRAWN_ONLY,
    )


def add_scissors(
    spec: mujoco.MjSpec,
    name: str,
    config: ScissorsConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add scissors to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip_left`, `tip_right`, `tip` (between them at rest), `blade_left`, `blade_right` (middles of the
    edges), `blade` (between them at rest), `grip_left`, `grip_right` (centres of the loops), `grip`, `pivot`.
    Joint: `hinge` [rad].
    """
    return attach_tool(spec, name, scissors_model(config), position_m, quat_wxyz, parent_site)
