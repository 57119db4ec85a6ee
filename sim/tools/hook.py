"""An L-shaped stick that pulls things closer. Frame: origin at `grip`, z along the shaft, foot towards +y."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    turn_about_x,
)
from sim.tools.shapes import DRAWN_ONLY, contact


@dataclass(frozen=True)
class HookConfig:
    """Sizes of a hook.

    Attributes:
        length_m: Tail to the outer face of the foot [m].
        foot_m: Reach of the foot from the shaft's axis [m].
        thickness_m: Side of the square section [m].
        foot_angle_rad: Angle between shaft and foot: pi/2 an L, less hooks back.
        grip_at: Where it is held, as a fraction of the length from the tail.
        density_kg_m3: Density [kg/m^3].
        friction: Sliding friction.
        rgb: Colour.
        grip_rgb: Colour of the tape around the grip; None for none.
    """

    length_m: float = 0.32
    foot_m: float = 0.09
    thickness_m: float = 0.016
    foot_angle_rad: float = float(np.pi / 2)
    grip_at: float = 0.2
    density_kg_m3: float = WOOD_KG_M3
    friction: float = 0.8
    rgb: Rgb = (0.66, 0.46, 0.26)
    grip_rgb: Rgb | None = (0.10, 0.11, 0.12)

    def __post_init__(self) -> None:
        require_positive(self, "length_m", "foot_m", "thickness_m", "density_kg_m3", "friction")
        require(0 <= self.grip_at <= 0.8, f"grip_at = {self.grip_at} must be in [0, 0.8], short of the foot")
        require(
            np.deg2rad(45) <= self.foot_angle_rad <= np.deg2rad(135),
            f"foot_angle_rad = {self.foot_angle_rad} must be between pi/4 and 3 pi/4",
        )
        require(
            self.foot_m > self.thickness_m and self.length_m > 2 * self.foot_m,
            f"a hook needs thickness_m < foot_m < length_m / 2; thickness_m = {self.thickness_m}, "
            f"foot_m = {self.foot_m}, length_m = {self.length_m}",
        )


def hook_model(config: HookConfig | None = None) -> ToolModel:
    """Return a hook as a specification of its own."""
    c = config or HookConfig()
    spec, root = new_tool()
    wood = add_material(spec, "wood", c.rgb)
    h = c.thickness_m / 2
    tail, corner = -c.grip_at * c.length_m, (1 - c.grip_at) * c.length_m - h
    # The foot box has its z along the foot: turned about x by pi + angle, +z becomes (sin, -cos) in (y, z).
    along = np.array([0.0, np.sin(c.foot_angle_rad), -np.cos(c.foot_angle_rad)])
    inward = np.array([0.0, -np.cos(c.foot_angle_rad), -np.sin(c.foot_angle_rad)])  # across it, to the grip
    p_corner = np.array([0.0, 0.0, corner])
    _box(root, "shaft", [0, 0, (tail + corner + h) / 2], [h, h, (corner + h - tail) / 2], c, wood)
    foot_half = (c.foot_m - h) / 2
    foot = _box(root, "foot", list(p_corner + (h + foot_half) * along), [h, h, foot_half], c, wood)
    foot.quat = turn_about_x(np.pi + c.foot_angle_rad)
    middle = p_corner + (h + foot_half) * along
    for name, p in {
        "tip": p_corner + c.foot_m * along,
        "corner": p_corner,
        "inner": middle + h * inward,
        "front": middle - h * inward,
        "tail": (0, 0, tail),
        "grip": (0, 0, 0),
    }.items():
        add_site(root, name, list(p))
    if c.grip_rgb is not None:
        _tape(spec, root, c)
    y, z = float(inward[1]), float(inward[2])
    affordances = (
        Affordance("hold", "grip", "grasp", (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), c.thickness_m),
        Affordance("pull", "inner", "act", (0.0, y, z), (0.0, 1.0, 0.0)),
        Affordance("push", "front", "act", (0.0, -y, -z), (0.0, 1.0, 0.0)),
        Affordance("sweep", "inner", "act", (0.0, -1.0, 0.0)),
    )
    return finish("hook", spec, affordances)


def add_hook(
    spec: mujoco.MjSpec,
    name: str,
    config: HookConfig | None = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add a hook to a model, free or fixed to a site; see `sim.tools.base.attach_tool`.

    Sites: `tip` (end of the foot), `inner` (middle of the face that pulls), `front` (of the face that
    pushes), `corner`, `tail`, `grip`.
    """
    return attach_tool(spec, name, hook_model(config), position_m, quat_wxyz, parent_site)


def _box(root: Any, name: str, pos: list[float], half: list[float], c: HookConfig, material: str) -> Any:
    return root.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=pos,
        size=half,
        mass=c.density_kg_m3 * 8 * float(np.prod(half)),
        material=material,
        group=VISUAL_GROUP,
        **contact(c.friction),
    )


def _tape(spec: mujoco.MjSpec, root: Any, c: HookConfig) -> None:
    tape = add_material(spec, "tape", c.grip_rgb or c.rgb)
    h = c.thickness_m / 2 + 0.0004
    root.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[h, h, 0.12 * c.length_m],
        material=tape,
        **DRAWN_ONLY,
    )
