"""Parametric graspable objects, and draws of them: box, cylinder, sphere, mug, bowl, tray, socket.

`sim.object_bodies` makes bodies of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from perception_tools.geometry import FloatArray

Shape = Literal["box", "cylinder", "sphere", "mug", "bowl", "tray", "socket"]
Hole = Literal["", "square", "round"]
Split = Literal["train", "held_out"]
SHAPES: tuple[Shape, ...] = tuple(s for s in get_args(Shape) if s != "socket")
"""Shapes of everyday scenes; a socket (a block with a hole) only stands where something shall be inserted."""
CONTAINERS: tuple[Shape, ...] = ("bowl", "tray")

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.07, 0.06),
    "orange": (0.95, 0.45, 0.04),
    "yellow": (0.95, 0.82, 0.08),
    "green": (0.10, 0.55, 0.14),
    "blue": (0.06, 0.28, 0.78),
    "purple": (0.48, 0.12, 0.60),
    "pink": (0.95, 0.45, 0.65),
    "brown": (0.38, 0.20, 0.09),
    "white": (0.95, 0.95, 0.93),
    "gray": (0.40, 0.40, 0.41),
    "black": (0.085, 0.085, 0.09),
}
HELD_OUT_COLORS = ("purple", "pink", "brown")
TRAIN_COLORS = tuple(c for c in COLORS if c not in HELD_OUT_COLORS)

HANDLE_REACH_M = 0.026
SOCKET_FLOOR_M = 0.006


@dataclass(frozen=True)
class ObjectSpec:
    """One object: everything but where it stands.

    Attributes:
        name: Body name, unique in the scene.
        shape: Shape.
        color: Colour name, a key of `COLORS`.
        rgb: Drawn colour, the named one with jitter, each in [0, 1].
        size_m: Extents along body x, y, z [m]; a mug's handle (along +x) is not counted.
        mass_kg: Mass [kg].
        friction: Sliding friction coefficient.
        wall_m: Wall thickness of mug, bowl, tray and socket [m], else 0.
        base_radius_m: Outer radius at the foot of bowl and mug [m], else 0.
        hole: Outline of a socket's hole, else "".
        hole_m: Its side or diameter [m]; it ends `SOCKET_FLOOR_M` above the bottom.
    """

    name: str
    shape: Shape
    color: str
    rgb: tuple[float, float, float]
    size_m: tuple[float, float, float]
    mass_kg: float
    friction: float = 0.9
    wall_m: float = 0.0
    base_radius_m: float = 0.0
    hole: Hole = ""
    hole_m: float = 0.0

    @property
    def is_container(self) -> bool:
        """Whether things can be put in it (bowl, tray)."""
        return self.shape in CONTAINERS

    @property
    def is_cube(self) -> bool:
        """Whether it is a box with edges equal within 12 %."""
        return self.shape == "box" and max(self.size_m) <= 1.12 * min(self.size_m)

    @property
    def grasp_width_m(self) -> float:
        """Opening a parallel gripper needs from above [m]: the wall of hollow ones, else the short side."""
        return self.wall_m if self.wall_m else min(self.size_m[:2])

    def outline(self) -> FloatArray:
        """Return points about 4 mm apart around its footprint in the body frame [m], (N, 2)."""
        sx, sy, _ = self.size_m
        if self.shape in ("box", "tray", "socket"):
            corners = 0.5 * np.array([[sx, sy], [-sx, sy], [-sx, -sy], [sx, -sy], [sx, sy]])
            sides = [
                np.linspace(a, b, max(3, int(np.linalg.norm(b - a) / 0.004)), endpoint=False)
                for a, b in pairwise(corners)
            ]
            return np.concatenate(sides)
        angle = np.linspace(0, 2 * np.pi, max(16, int(np.pi * sx / 0.004)), endpoint=False)
        points = 0.5 * sx * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        if self.shape == "mug":
            handle = np.array([[0.5 * sx + HANDLE_REACH_M, y] for y in (-0.006, 0.0, 0.006)])
            points = np.concatenate([points, handle])
        return points


def sample_color(rng: np.random.Generator, name: str) -> tuple[float, float, float]:
    """Jitter a named colour slightly in brightness and channels; it keeps its name.

    Raises:
        ValueError: Unknown name; lists the valid ones.
    """
    if name not in COLORS:
        raise ValueError(f"unknown colour {name!r}; colours: {', '.join(COLORS)}")
    rgb = np.array(COLORS[name]) * rng.uniform(0.92, 1.06) + rng.uniform(-0.012, 0.012, 3)
    r, g, b = np.clip(rgb, 0.01, 0.97)
    return float(r), float(g), float(b)


def sample_object(
    rng: np.random.Generator,
    name: str,
    shape: Shape,
    color: str,
    *,
    split: Split = "train",
    scale: float = 1.0,
) -> ObjectSpec:
    """Draw size, mass, friction and colour jitter of an object.

    Args:
        rng: Source of randomness.
        name: Body name.
        shape: Shape.
        color: Colour name.
        split: `held_out` draws proportions that `train` never has (bars, slabs, pucks, other bowls).
        scale: Factor on all extents.

    Raises:
        ValueError: Unknown shape or colour; lists the valid ones.
    """
    if shape == "socket":
        return sample_socket(rng, name, color)
    if shape not in SHAPES:
        raise ValueError(f"unknown shape {shape!r}; shapes: {', '.join(SHAPES)}")
    size = scale * np.array(_sample_size(rng, shape, split))
    wall = {"mug": 0.004, "bowl": 0.005, "tray": 0.005}.get(shape, 0.0)
    base = {"mug": 0.5, "bowl": 0.5 * rng.uniform(0.58, 0.68)}.get(shape, 0.0) * size[0]
    if wall:
        mass = {"mug": 0.16, "bowl": 0.18, "tray": 0.30}[shape] * rng.uniform(0.8, 1.2)
    else:
        fill = {"box": 1.0, "cylinder": np.pi / 4, "sphere": np.pi / 6}[shape]
        mass = max(0.015, rng.uniform(450, 900) * fill * float(np.prod(size)))
    return ObjectSpec(
        name=name,
        shape=shape,
        color=color,
        rgb=sample_color(rng, color),
        size_m=(float(size[0]), float(size[1]), float(size[2])),
        mass_kg=float(mass),
        friction=float(rng.uniform(0.8, 1.1)),
        wall_m=wall,
        base_radius_m=float(base),
    )


def _sample_size(rng: np.random.Generator, shape: Shape, split: Split) -> tuple[float, float, float]:
    u = rng.uniform
    if split == "held_out":
        if shape == "box":
            bar = (u(0.085, 0.11), u(0.024, 0.03), u(0.024, 0.03))
            slab = (u(0.055, 0.07), u(0.045, 0.052), u(0.02, 0.026))
            tower = (u(0.034, 0.04), u(0.034, 0.04), u(0.08, 0.09))
            return (bar, slab, tower)[rng.integers(3)]
        d, h = {
            "cylinder": ((u(0.054, 0.06), u(0.024, 0.03)), (u(0.03, 0.034), u(0.085, 0.095)))[
                rng.integers(2)
            ],
            "sphere": (u(0.056, 0.062), 0.0),
            "mug": (u(0.076, 0.082), u(0.06, 0.07)),
            "bowl": (u(0.168, 0.18), u(0.04, 0.046)),
            "tray": (u(0.205, 0.22), u(0.024, 0.028)),
        }[shape]
    else:
        if shape == "box":
            edge = u(0.034, 0.052)
            if u() < 0.5:
                return edge, edge, edge
            return edge * u(1.2, 1.6), edge, edge * u(0.75, 1.2)
        d, h = {
            "cylinder": (u(0.036, 0.05), u(0.05, 0.08)),
            "sphere": (u(0.038, 0.052), 0.0),
            "mug": (u(0.066, 0.074), u(0.08, 0.095)),
            "bowl": (u(0.135, 0.16), u(0.05, 0.062)),
            "tray": (u(0.165, 0.195), u(0.017, 0.022)),
        }[shape]
    if shape == "sphere":
        return d, d, d
    return d, d * u(0.72, 0.9) if shape == "tray" else d, h


def sample_socket(rng: np.random.Generator, name: str, color: str, hole: Hole = "") -> ObjectSpec:
    """Draw a block with a hole from above, square or round; "" draws which."""
    hole = hole or ("square", "round")[int(rng.integers(2))]
    side, height = float(rng.uniform(0.084, 0.094)), float(rng.uniform(0.042, 0.05))
    width = float(rng.uniform(0.036, 0.042))
    return ObjectSpec(
        name=name,
        shape="socket",
        color=color,
        rgb=sample_color(rng, color),
        size_m=(side, side, height),
        mass_kg=float(rng.uniform(0.35, 0.5)),
        friction=float(rng.uniform(0.8, 1.1)),
        wall_m=(side - width) / 2,
        hole=hole,
        hole_m=width,
    )


def sample_peg(
    rng: np.random.Generator, name: str, color: str, socket: ObjectSpec, clearance_m: float = 0.0025
) -> ObjectSpec:
    """Draw a box or cylinder that fits into a socket's hole.

    Args:
        rng: Source of randomness.
        name: Body name.
        color: Colour name.
        socket: What it shall fit into: a box into a square hole, a cylinder into a round one.
        clearance_m: Gap on every side of the peg that is centred in the hole [m].

    Raises:
        ValueError: `socket` has no hole, or one that is too narrow.
    """
    width = socket.hole_m - 2 * clearance_m
    if not socket.hole or width <= 0.01:
        raise ValueError(f"{socket.name!r} has no hole for a peg with {clearance_m} m of clearance")
    height = float(rng.uniform(0.075, 0.09))
    shape: Shape = "box" if socket.hole == "square" else "cylinder"
    fill = 1.0 if shape == "box" else np.pi / 4
    return ObjectSpec(
        name=name,
        shape=shape,
        color=color,
        rgb=sample_color(rng, color),
        size_m=(width, width, height),
        mass_kg=float(rng.uniform(450, 700) * fill * width * width * height),
        friction=float(rng.uniform(0.8, 1.1)),
    )
