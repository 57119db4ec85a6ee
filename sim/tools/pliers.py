"""Pliers: two levers that cross at a pivot, short jaws in front and long handles behind.

The hinge axis (x) runs through `pivot` at the origin; jaws reach along +z, handles along -z. Angle 0 is
closed: the jaws' faces meet on y = 0. The tool frame's z bisects the jaws at rest. The root carries the left
jaw (+y) and, since halves cross, the right handle (-y).
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sim.tools.base import (
    STEEL_KG_M3,
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
    squeeze_to_pinch,
    turn_about_x,
)
from sim.tools.opening import HingeOpening
from sim.tools.shapes import (
    DRAWN_ONLY,
    Station,
    Surface,
    add_bar,
    mirrored,
)

_JAW = 0.27  # of the length, pivot to the ends of the jaws


@dataclass(frozen=True)
class PliersConfig:
    """Sizes and spring of pliers.

    Attributes:
        length_m: Ends of the jaws to the ends of the handles, closed [m].
        width_m: Width of the jaws along x [m].
        max_opening_m: Largest distance of the jaws' tips [m].
        rest_opening_m: Distance of the jaws' tips at the start, and where the spring is relaxed [m].
        stiffness_n_m_rad: Spring [N m/rad]; 0 for none.
        damping_ratio: Of the spring, with one half held.
        damping_n_m_s_rad: Damping of the pivot [N m s/rad].
        density_kg_m3: Density of the jaws [kg/m^3].
        handle_density_kg_m3: Mean density of the sleeved handles [kg/m^3].
        friction: Sliding friction.
        rgb: Colour of the jaws.
        handle_rgb: Colour of the sleeves.
    """

    length_m: float = 0.18
    width_m: float = 0.012
    max_opening_m: float = 0.030
    rest_opening_m: float = 0.015
    stiffness_n_m_rad: float = 0.4
    damping_ratio: float = 1.0
    damping_n_m_s_rad: float = 0.002
    density_kg_m3: float = STEEL_KG_M3
    handle_density_kg_m3: float = 3000.0
    friction: float = 0.9
    rgb: Rgb = (0.42, 0.43, 0.46)
    handle_rgb: Rgb = (0.72, 0.06, 0.05)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "width_m", "max_opening_m", "density_kg_m3")
        require_positive(self, "handle_density_kg_m3", "friction")
        require_not_negative(
            self, "rest_opening_m", "stiffness_n_m_rad", "damping_ratio", "damping_n_m_s_rad"
        )
        require_rest_within_opening(self)
        require(
            self.max_opening_m <= self.jaw_m,
            f"max_opening_m = {self.max_opening_m} needs longer jaws than {self.jaw_m:.3f} m: raise length_m",
        )
        require(
            self.width_m <= 0.15 * self.length_m,
            f"width_m = {self.width_m} must be at most 0.15 of length_m = {self.length_m}",
        )

    @property
    def jaw_m(self) -> float:
        """Distance of the jaws' ends from the pivot [m]."""
        return _JAW * self.length_m

    @property
    def tip_radius_m(self) -> float:
        """Distance of the middles of the front gripping faces from the pivot [m]."""
        return 0.88 * self.jaw_m


def pliers_model(config: PliersConfig | None = None) -> ToolModel:
    """Return pliers as a specification of their own."""
    c = config or PliersConfig()
    spec, root = new_tool()
    steel = Surface(add_material(spec, "steel", c.rgb, metal=True), c.density_kg_m3, c.friction, 5.0)
    sleeve = Surface(add_material(spec, "sleeve", c.handle_rgb), c.handle_density_kg_m3, c.friction, 2.6)
    y, z = _grip_point(c)
    widest = 2 * float(np.arcsin(c.max_opening_m / (2 * c.tip_radius_m)))
    tips = HingeOpening(c.tip_radius_m, 0.0, (0.0, widest))
    grips = HingeOpening(float(np.hypot(y, z)), 2 * float(np.arctan2(y, -z)), (0.0, widest))
    rest = float(tips.joint_pos(c.rest_opening_m))
    arm = root.add_body(name="arm", quat=turn_about_x(rest / 2))
    hinge = add_hinge(arm, tips.angle_range_rad, rest, c.stiffness_n_m_rad)
    left = root.add_frame(quat=turn_about_x(-rest / 2))
    for body, sign, frame in ((root, 1.0, left), (arm, -1.0, None)):
        side, other = ("left", "right") if sign > 0 else ("right", "left")
        jaw, handle = (jaw_stations(c), handle_stations(c))
        if sign < 0:
            jaw, handle = mirrored(jaw), mirrored(handle)
        add_bar(spec, body, f"{side}_jaw", jaw, steel, frame=frame)
        add_bar(spec, body, f"{other}_handle", handle, sleeve, frame=frame)
        add_site(body, f"tip_{side}", (0, 0, c.tip_radius_m), frame)
        add_site(body, f"grip_{other}", (0, -sign * y, z), frame)
    _add_bolt(spec, root, c)
    for name, at in (("pivot", 0.0), ("tip", c.tip_radius_m * np.cos(rest / 2)), ("grip", z)):
        add_site(root, name, (0, 0, at))
    affordances = squeeze_to_pinch(float(grips.opening_m(rest)), c.rest_opening_m)
    return finish(
        "pliers", spec, affordances, joint=hinge, damping_ratio=c.damping_ratio, damping=c.damping_n_m_s_rad,
        opening=tips, grip_opening=grips,
    )  # fmt: skip


def jaw_stations(config: PliersConfig) -> list[Station]:
    """Return the closed left half in front of the handle: lap, shoulder and jaw with its face on y = 0."""
    c, w, n = config, config.width_m / 2, config.length_m
    return [
        Station(-0.075 * n, -0.030 * n, 0.7 * w, 0.030 * n),
        Station(0.0, 0.0, 0.8 * w, 0.058 * n),
        Station(0.075 * n, 0.050 * n, w, 0.050 * n),
        Station(0.76 * c.jaw_m, 0.036 * n, 0.8 * w, 0.036 * n),
        Station(c.jaw_m, 0.026 * n, 0.6 * w, 0.026 * n),
    ]


def handle_stations(config: PliersConfig) -> list[Station]:
    """Return the closed handle of the left jaw, on the right (-y): bowed, in a sleeve."""
    n = config.length_m
    back = _JAW - 1
    return [
        Station(-0.06 * n, -0.032 * n, 0.026 * n, 0.034 * n),
        Station(-0.22 * n, -0.092 * n, 0.028 * n, 0.032 * n),
        Station(0.55 * back * n, -0.128 * n, 0.032 * n, 0.036 * n),
        Station(0.8 * back * n, -0.132 * n, 0.033 * n, 0.036 * n),
        Station(back * n, -0.118 * n, 0.026 * n, 0.028 * n),
    ]


def _grip_point(c: PliersConfig) -> tuple[float, float]:
    """Return (y, z) of the outer face of the closed left handle, in the middle of its widest segment [m]."""
    a, b = mirrored(handle_stations(c)[2:4])
    turn = np.arctan2(a.y - b.y, b.z - a.z)
    outward = (a.half_thickness + b.half_thickness) / 2 * np.array([np.cos(turn), np.sin(turn)])
    outward *= np.sign(outward[0])
    return float((a.y + b.y) / 2 + outward[0]), float((a.z + b.z) / 2 + outward[1])


def _add_bolt(spec: mujoco.MjSpec, root: Any, c: PliersConfig) -> None:
    """Draw the bolt at the pivot."""
    bolt = add_material(spec, "bolt", (0.62, 0.63, 0.66), metal=True)
    root.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        quat=[np.sqrt(0.5), 0, np.sqrt(0.5), 0],
        size=[0.034 * c.length_m, 0.5 * c.width_m + 0.0005, 0],
        material=bolt,
        **DRAWN_ONLY,
    )


def add_pliers(
    spec: mujoco.MjSpec,
    name: str,
    config: PliersConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add pliers to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip_left`, `tip_right` (gripping faces near the jaws' ends), `tip` (between them at rest),
    `grip_left`, `grip_right` (outer faces of the handles), `grip`, `pivot`. Joint: `hinge` [rad].
    """
    return attach_tool(spec, name, pliers_model(config), position_m, quat_wxyz, parent_site)
