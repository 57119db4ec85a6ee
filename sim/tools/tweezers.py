"""Tweezers: two sprung arms that part from a common heel, as one sprung hinge.

The hinge axis (x, through `pivot`) runs through the heel at the origin; the arms reach along +z. Angle 0
is closed: the faces of the tips meet. The tool frame's z bisects the arms at rest; the root is the heel
with the left arm (+y), so as the tool closes the bisector turns by half the hinge angle against it.
Opening = distance of `tip_left` and `tip_right`, the middles of the gripping faces.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import mujoco
import numpy as np

from sim.tools.base import (
    STEEL_KG_M3,
    VISUAL_GROUP,
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
    squeeze_to_pinch,
    turn_about_x,
)
from sim.tools.opening import HingeOpening
from sim.tools.shapes import DRAWN_ONLY, Station, Surface, add_bar, contact, mirrored

_GRIP_AT = 0.56  # of the length, where fingers squeeze
_TIP_WIDTH = {"flat": 0.5, "rounded": 0.32, "pointed": 0.14}  # of the arm's width
_MIN_HALF_THICKNESS_M = 0.0018


@dataclass(frozen=True)
class TweezersConfig:
    """Sizes and spring of tweezers.

    Attributes:
        length_m: Heel to tip [m].
        width_m: Width of an arm along x, at the grip [m].
        thickness_m: Thickness of an arm [m].
        rest_opening_m: Distance of the tips when nobody squeezes [m].
        max_opening_m: Largest distance of the tips [m].
        stiffness_n_m_rad: Spring of the hinge [N m/rad].
        damping_ratio: Of the spring, with one arm held.
        tip: Shape of the tips.
        density_kg_m3: Density [kg/m^3].
        friction: Sliding friction of arms and tips.
        rgb: Colour.
        grip_rgb: Colour of the grip sleeves; None for bare ones.
    """

    length_m: float = 0.125
    width_m: float = 0.010
    thickness_m: float = 0.0018
    rest_opening_m: float = 0.016
    max_opening_m: float = 0.020
    stiffness_n_m_rad: float = 0.7
    damping_ratio: float = 1.0
    tip: Literal["flat", "rounded", "pointed"] = "flat"
    density_kg_m3: float = STEEL_KG_M3
    friction: float = 0.9
    rgb: Rgb = (0.72, 0.74, 0.77)
    grip_rgb: Rgb | None = (0.06, 0.28, 0.62)

    def __post_init__(self) -> None:
        require_positive(
            self, "length_m", "width_m", "thickness_m", "rest_opening_m", "max_opening_m", "density_kg_m3"
        )
        require_positive(self, "stiffness_n_m_rad", "friction")
        require_not_negative(self, "damping_ratio")
        require(self.tip in _TIP_WIDTH, f"unknown tip {self.tip!r}; tips: {', '.join(_TIP_WIDTH)}")
        require_rest_within_opening(self)
        require(
            self.max_opening_m <= self.length_m,
            f"max_opening_m = {self.max_opening_m} needs arms at least as long; length_m = {self.length_m}",
        )
        require(
            self.width_m <= self.length_m / 4 and self.thickness_m <= self.length_m / 20,
            f"arms of {self.width_m} x {self.thickness_m} m are too stout for length_m = {self.length_m}: "
            "width at most a quarter, thickness at most a twentieth of it",
        )

    @property
    def tip_length_m(self) -> float:
        """Length of the gripping faces [m]."""
        return 0.11 * self.length_m

    @property
    def tip_radius_m(self) -> float:
        """Distance of the middles of the gripping faces from the hinge [m]."""
        return self.length_m - self.tip_length_m / 2


def arm_stations(config: TweezersConfig) -> list[Station]:
    """Return the closed left arm: it bows out from the heel and ends in a face on y = 0."""
    c, half = config, config.thickness_m / 2
    width, bow = c.width_m / 2, 0.045 * c.length_m
    tip_half, tip_width = half, max(c.width_m / 2 * _TIP_WIDTH[c.tip], 0.0004)
    face = c.length_m - c.tip_length_m
    return [
        Station(0.0, half, 0.62 * width, half),
        Station(0.14 * c.length_m, half + 0.25 * bow, 0.7 * width, half),
        Station(0.42 * c.length_m, half + bow, width, half),
        Station(0.70 * c.length_m, half + bow, width, half),
        Station(face, tip_half, max(0.55 * width, tip_width), tip_half),
        Station(c.length_m, tip_half, tip_width, tip_half),
    ]


def tweezers_model(config: TweezersConfig | None = None) -> ToolModel:
    """Return tweezers as a specification of their own."""
    c = config or TweezersConfig()
    spec, root = new_tool()
    steel = add_material(spec, "steel", c.rgb, metal=True)
    grip = add_material(spec, "grip", c.grip_rgb or c.rgb)
    surface = Surface(steel, c.density_kg_m3, c.friction, 8.0, _MIN_HALF_THICKNESS_M)
    laws = _laws(c)
    rest = float(laws["opening"].joint_pos(c.rest_opening_m))
    arm = root.add_body(name="arm", quat=turn_about_x(rest / 2))
    hinge = add_hinge(arm, laws["opening"].angle_range_rad, rest, c.stiffness_n_m_rad)
    left = root.add_frame(quat=turn_about_x(-rest / 2))
    for body, side, frame in ((root, "left", left), (arm, "right", None)):
        sign = 1.0 if side == "left" else -1.0
        stations = arm_stations(c) if side == "left" else mirrored(arm_stations(c))
        # The sheet collides thicker than drawn, outwards: the inner faces stay where they are.
        add_bar(spec, body, side, stations, surface, frame=frame, shift_m=sign * _excess(c))
        p_tip, p_grip = (0.0, 0.0, c.tip_radius_m), _grip_point(c)
        add_site(body, f"tip_{side}", p_tip, frame)
        add_site(body, f"grip_{side}", (0.0, sign * p_grip[0], p_grip[1]), frame)
        if c.grip_rgb is not None:
            _add_sleeve(body, side, c, grip, frame)
    _add_heel(root, c, steel)
    add_site(root, "pivot", (0, 0, 0))
    add_site(root, "tip", (0, 0, c.tip_radius_m * np.cos(rest / 2)))
    add_site(root, "grip", (0, 0, _GRIP_AT * c.length_m))
    return finish(
        "tweezers", spec, _affordances(c, laws["grip"], rest), joint=hinge, damping_ratio=c.damping_ratio,
        opening=laws["opening"], grip_opening=laws["grip"],
    )  # fmt: skip


def add_tweezers(
    spec: mujoco.MjSpec,
    name: str,
    config: TweezersConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add tweezers to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip_left`, `tip_right`, `tip` (between them at rest), `grip_left`, `grip_right` (outer faces
    where fingers squeeze, y out of the left one), `grip` (between them), `pivot`. Joint: `hinge` [rad].
    """
    return attach_tool(spec, name, tweezers_model(config), position_m, quat_wxyz, parent_site)


def _grip_point(c: TweezersConfig) -> tuple[float, float]:
    """Return (y, z) of the outer colliding face of the closed left arm at the grip [m]."""
    return arm_stations(c)[2].y + c.thickness_m / 2 + 2 * _excess(c), _GRIP_AT * c.length_m


def _excess(c: TweezersConfig) -> float:
    """Return by how much the colliding half thickness exceeds the drawn one [m]."""
    return max(_MIN_HALF_THICKNESS_M - c.thickness_m / 2, 0.0)


def _laws(c: TweezersConfig) -> dict[str, HingeOpening]:
    widest = 2 * float(np.arcsin(c.max_opening_m / (2 * c.tip_radius_m)))
    y, z = _grip_point(c)
    return {
        "opening": HingeOpening(c.tip_radius_m, 0.0, (0.0, widest)),
        "grip": HingeOpening(float(np.hypot(y, z)), 2 * float(np.arctan2(y, z)), (0.0, widest)),
    }


def _affordances(c: TweezersConfig, grip: HingeOpening, rest: float) -> tuple[Affordance, ...]:
    return squeeze_to_pinch(float(grip.opening_m(rest)), c.rest_opening_m)


def _add_sleeve(body: Any, side: str, c: TweezersConfig, material: str, frame: Any) -> None:
    """Draw a ribbed grip pad that fills the outer face up to where it collides."""
    low, high = arm_stations(c)[2:4]
    sign = 1.0 if side == "left" else -1.0
    half = _excess(c) + 0.0001
    inner = sign * (low.y + c.thickness_m / 2)
    pad = [((low.z + high.z) / 2, (high.z - low.z) / 2 * 1.1, half * 0.75, 0.98)]
    ribs = [(z, 0.3 * (high.z - low.z) / 10, half, 0.9) for z in np.linspace(low.z, high.z, 10)]
    for z, half_length, half_thickness, width in pad + ribs:
        geom = body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[0, inner + sign * half_thickness, z],
            size=[width * low.half_width, half_thickness, half_length],
            material=material,
            **DRAWN_ONLY,
        )
        if frame is not None:
            geom.set_frame(frame)


def _add_heel(root: Any, c: TweezersConfig, steel: str) -> None:
    """Add the block that joins the arms at the pivot."""
    size = [0.31 * c.width_m, c.thickness_m, 0.015 * c.length_m]
    root.add_geom(
        name="heel",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[0, 0, 0],
        size=size,
        mass=c.density_kg_m3 * 8 * float(np.prod(size)),
        material=steel,
        group=VISUAL_GROUP,
        **contact(c.friction),
    )
