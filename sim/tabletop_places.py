"""What a placement must satisfy for an instruction to mean what it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from perception_tools.geometry import FloatArray
from sim.objects import ObjectSpec
from sim.scene import PlacedObject
from sim.tabletop_goals import (
    BESIDE_RANGE_M,
    DIRECTIONS,
    BodyPose,
    Direction,
    direction_vector,
    footprint_gap_m,
    is_towards,
)

# Nominal axes of the viewer (to its right, away from it); the camera's jitter is within 2 degrees.
VIEWER = (np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
MARGIN_M = 0.05  # by which "nearest", "leftmost" and the like are clear

Placement = Mapping[str, PlacedObject]


def has_room(placed: Placement, target: ObjectSpec, reference: str, relation: str) -> bool:
    """Whether the target can be put down where it is asked for: in reach, clear of all else."""
    directions = DIRECTIONS if relation == "next_to" else (relation,)
    return any(free_spot(placed, target, reference, d) is not None for d in directions)


def free_spot(placed: Placement, target: ObjectSpec, reference: str, direction: str) -> FloatArray | None:
    """Return where the target could stand in a direction of the reference, (2,) [m]; None if nowhere."""
    ref = placed[reference]
    radius = float(np.hypot(*target.size_m[:2])) / 2
    vector = direction_vector(_direction(direction), *VIEWER)
    extent = float(((ref.outline() - np.array(ref.position_m[:2])) @ vector).max())
    others = [p.outline() for n, p in placed.items() if n not in (reference, target.name)]
    for gap in (0.045, 0.06, 0.08):
        distance = extent + radius + gap
        spot = np.array(ref.position_m[:2]) + distance * vector
        in_reach = 0.33 <= spot[0] <= 0.7 and abs(spot[1]) <= 0.3
        clear = all(np.linalg.norm(o - spot, axis=1).min() > radius + 0.03 for o in others)
        if in_reach and clear and distance < BESIDE_RANGE_M - 0.02:
            return spot
    return None


def _direction(word: str) -> Direction:
    return next(d for d in DIRECTIONS if d == word)


def _upright(p: PlacedObject) -> tuple[ObjectSpec, BodyPose]:
    c, s = np.cos(p.yaw_rad), np.sin(p.yaw_rad)
    return p.spec, BodyPose(np.array(p.position_m), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]))


def stands(placed: Placement, a: str, b: str, relation: str, *, loose: bool = False) -> bool:
    """Whether `a` stands in a relation to `b`; `loose` also counts what is nearly so."""
    offset = np.subtract(placed[a].position_m, placed[b].position_m)[:2]
    if relation == "next_to":
        gap = footprint_gap_m(*_upright(placed[a]), *_upright(placed[b]))
        return gap <= (0.17 if loose else 0.1)
    vector = direction_vector(_direction(relation), *VIEWER)
    if loose:
        return bool(offset @ vector > -0.02)
    near = np.linalg.norm(offset) <= BESIDE_RANGE_M - 0.02
    return bool(near and offset @ vector > 0.04 and is_towards(offset, vector, tangent=1.0))


def is_singled_out(
    placed: Placement, rivals: Sequence[str], form: str, relation: str, reference: str
) -> bool:
    """Whether the words mean the first of the rivals, and clearly so."""
    first, *rest = rivals
    if form == "relational":
        return stands(placed, first, reference, relation) and not any(
            stands(placed, r, reference, relation, loose=True) for r in rest
        )
    points = {n: np.array(placed[n].position_m[:2]) for n in placed}
    right, away = VIEWER
    cost: Callable[[str], float] = {
        "leftmost": lambda n: float(points[n] @ right),
        "rightmost": lambda n: float(-points[n] @ right),
        "nearest_robot": lambda n: float(np.linalg.norm(points[n])),
        "nearest_viewer": lambda n: float(points[n] @ away),
        "nearest": lambda n: float(np.linalg.norm(points[n] - points[reference])) if reference else 0.0,
    }[form]
    return all(cost(first) + MARGIN_M < cost(r) for r in rest)
