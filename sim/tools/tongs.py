"""Kitchen tongs: two long sprung arms hinged at the rear, with soft broad tips.

The hinge axis (x) runs through `pivot` at the origin; the arms reach along +z. Angle 0 is closed: the
faces of the tips meet on y = 0. The tool frame's z bisects the arms at rest; the root is the left arm (+y).
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

_GRIP_AT = 0.52  # of the length, where a hand squeezes
_MIN_HALF_THICKNESS_M = 0.0020


@dataclass(frozen=True)
class TongsConfig:
    """Sizes and spring of tongs.

    Attributes:
        length_m: Hinge to tips [m].
        width_m: Width of an arm along x [m].
        tip_width_m: Width of the tips [m].
        thickness_m: Thickness of the arms' sheet [m].
        max_opening_m: Largest distance of the tips [m].
        rest_opening_m: Distance of the tips when nobody squeezes [m].
        stiffness_n_m_rad: Spring of the hinge [N m/rad].
        damping_ratio: Of the spring, with one arm held.
        density_kg_m3: Density of the arms [kg/m^3].
        tip_density_kg_m3: Density of the tips [kg/m^3].
        friction: Sliding friction.
        rgb: Colour of the arms.
        tip_rgb: Colour of the tips.
    """

    length_m: float = 0.24
    width_m: float = 0.020
    tip_width_m: float = 0.036
    thickness_m: float = 0.0016
    max_opening_m: float = 0.10
    rest_opening_m: float = 0.075
    stiffness_n_m_rad: float = 0.8
    damping_ratio: float = 1.0
    density_kg_m3: float = STEEL_KG_M3
    tip_density_kg_m3: float = PLASTIC_KG_M3
    friction: float = 1.0
    rgb: Rgb = (0.74, 0.75, 0.77)
    tip_rgb: Rgb = (0.78, 0.10, 0.09)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "width_m", "tip_width_m", "thickness_m", "max_opening_m")
        require_positive(self, "rest_opening_m", "stiffness_n_m_rad", "density_kg_m3", "tip_density_kg_m3")
        require_positive(self, "friction")
        require_not_negative(self, "damping_ratio")
        require_rest_within_opening(self)
        require(
            self.max_opening_m <= self.length_m,
            f"max_opening_m = {self.max_opening_m} needs arms at least as long; length_m = {self.length_m}",
        )
        require(
            max(self.width_m, self.tip_width_m) <= self.length_m / 4
            and self.thickness_m <= self.length_m / 40,
            f"width_m, tip_width_m or thickness_m is too large for arms of length_m = {self.length_m}",
        )

    @property
    def tip_length_m(self) -> float:
        """Length of the gripping faces [m]."""
        return 0.13 * self.length_m

    @property
    def tip_radius_m(self) -> float:
        """Distance of the middles of the gripping faces from the hinge [m]."""
        return self.length_m - self.tip_length_m / 2


def tongs_model(config: TongsConfig | None = None) -> ToolModel:
    """Return tongs as a specification of their own."""
    c = config or TongsConfig()
    spec, root = new_tool()
    material = add_material(spec, "steel", c.rgb, metal=True)
    steel = Surface(material, c.density_kg_m3, c.friction, 8.0, _MIN_HALF_THICKNESS_M)
    soft = Surface(add_material(spec, "tip", c.tip_rgb), c.tip_density_kg_m3, c.friction, 4.0)
    y, z = _grip_point(c)
    widest = 2 * float(np.arcsin(c.max_opening_m / (2 * c.tip_radius_m)))
    tips = HingeOpening(c.tip_radius_m, 0.0, (0.0, widest))
    grips = HingeOpening(float(np.hypot(y, z)), 2 * float(np.arctan2(y, z)), (0.0, widest))
    rest = float(tips.joint_pos(c.rest_opening_m))
    arm = root.add_body(name="arm", quat=turn_about_x(rest / 2))
    hinge = add_hinge(arm, tips.angle_range_rad, rest, c.stiffness_n_m_rad)
    left = root.add_frame(quat=turn_about_x(-rest / 2))
    for body, side, frame in ((root, "left", left), (arm, "right", None)):
        sign = 1.0 if side == "left" else -1.0
        bar, tip = arm_stations(c), tip_stations(c)
        if sign < 0:
            bar, tip = mirrored(bar), mirrored(tip)
        # The sheet collides thicker than drawn, outwards.
        add_bar(spec, body, f"{side}_arm", bar, steel, frame=frame, shift_m=sign * _excess(c))
        add_bar(spec, body, f"{side}_tip", tip, soft, frame=frame)
        add_site(body, f"tip_{side}", (0, 0, c.tip_radius_m), frame)
        add_site(body, f"grip_{side}", (0, sign * y, z), frame)
    _add_hinge_pin(spec, root, c)
    for name, at in (
        ("pivot", 0.0),
        ("tip", c.tip_radius_m * np.cos(rest / 2)),
        ("grip", _GRIP_AT * c.length_m),
    ):
        add_site(root, name, (0, 0, at))
    affordances = squeeze_to_pinch(float(grips.opening_m(rest)), c.rest_opening_m)
    return finish(
        "tongs", spec, affordances, joint=hinge, damping_ratio=c.damping_ratio,
        opening=tips, grip_opening=grips,
    )  # fmt: skip


def arm_stations(config: TongsConfig) -> list[Station]:
    """Return the closed left arm from the hinge to the root of its tip."""
    c, half, width = config, config.thickness_m / 2, config.width_m / 2
    bow = 0.055 * c.length_m
    return [
        Station(0.0, 0.55 * bow, 0.85 * width, half),
        Station(0.30 * c.length_m, 0.9 * bow, width, half),
        Station(0.74 * c.length_m, bow, width, half),
        Station(c.length_m - c.tip_length_m, 0.45 * bow, 0.8 * width, half),
    ]


def tip_stations(config: TongsConfig) -> list[Station]:
    """Return the closed left tip: a broad paddle with its face on y = 0."""
    c, start, width = config, config.length_m - config.tip_length_m, config.tip_width_m / 2
    thick = 0.014 * c.length_m
    return [
        Station(start - 0.02 * c.length_m, thick, 0.5 * width, thick),
        Station(start + 0.35 * c.tip_length_m, thick, width, thick),
        Station(start + 0.75 * c.tip_length_m, thick, width, thick),
        Station(c.length_m, 0.6 * thick, 0.6 * width, 0.6 * thick),
    ]


def _excess(c: TongsConfig) -> float:
    """Return by how much the colliding half thickness exceeds the drawn one [m]."""
    return max(_MIN_HALF_THICKNESS_M - c.thickness_m / 2, 0.0)


def _grip_point(c: TongsConfig) -> tuple[float, float]:
    """Return (y, z) of the outer colliding face of the closed left arm at the grip [m]."""
    a, b = arm_stations(c)[1:3]
    turn = np.arctan2(a.y - b.y, b.z - a.z)
    z = _GRIP_AT * c.length_m
    y = a.y + (b.y - a.y) * (z - a.z) / (b.z - a.z)
    out = c.thickness_m / 2 + 2 * _excess(c)
    return float(y + out * np.cos(turn)), float(z + out * np.sin(turn))


def _add_hinge_pin(spec: mujoco.MjSpec, root: Any, c: TongsConfig) -> None:
    """Draw the pin and the coil around it."""
    pin = add_material(spec, "pin", (0.45, 0.46, 0.48), metal=True)
    radius = 0.035 * c.length_m
    for half, r in ((0.5 * c.width_m, radius), (0.58 * c.width_m, 0.4 * radius)):
        root.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            quat=[np.sqrt(0.5), 0, np.sqrt(0.5), 0],
            size=[r, half, 0],
            material=pin,
            **DRAWN_ONLY,
        )


def add_tongs(
    spec: mujoco.MjSpec,
    name: str,
    config: TongsConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add tongs to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip_left`, `tip_right` (gripping faces), `tip` (between them at rest), `grip_left`, `grip_right`
    (outer faces of the arms), `grip`, `pivot`. Joint: `hinge` [rad].
    """
    return attach_tool(spec, name, tongs_model(config), position_m, quat_wxyz, parent_site)
