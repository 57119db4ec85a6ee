"""Goals of tabletop tasks, and the geometry that decides whether they hold.

Spatial words are meant in the viewer's frame: the scene camera's, gravity aligned. "Left of" means
that the centre lies within 50 degrees of the viewer's left of the reference's centre, at most
`BESIDE_RANGE_M` away; likewise right, in front (towards the viewer) and behind. "Next to" only asks
for a gap of at most `NEXT_TO_GAP_M` between the footprints.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from perception_tools.geometry import FloatArray
from sim.objects import ObjectSpec

GoalKind = Literal[
    "inside", "on", "beside", "held", "still", "shifted", "tower", "row", "all", "taken", "returned"
]
Direction = Literal["left_of", "right_of", "in_front_of", "behind"]
DIRECTIONS: tuple[Direction, ...] = ("left_of", "right_of", "in_front_of", "behind")
RELATIONS = (*DIRECTIONS, "next_to")

BESIDE_RANGE_M = 0.25
NEXT_TO_GAP_M = 0.12
SHIFT_TOLERANCE = 0.25  # of the distance
SHIFT_TOLERANCE_M = 0.025
SHIFT_ASIDE_M = 0.03
ROW_WIDTH_M = 0.08  # spread of the centres across a row
ROW_GAP_M = 0.15  # between neighbours' footprints
ROW_STEP_M = 0.02  # between neighbours' centres at least
_CONE_TANGENT = float(np.tan(np.deg2rad(50)))


@dataclass(frozen=True)
class Goal:
    """What shall be true at the end.

    Attributes:
        kind: `inside` a container, `on` a support, `beside` a reference, `held` in the gripper,
            `still`: nothing was moved, `shifted` along the table, a `tower` of `names` in any order, a `row`
            of `names` in that order, `all` of `parts`, `taken` from the hand by a person, or `returned`: all
            stand where they stood, and the hand has let go.
        target: Name of the object to be moved, "" for `still`.
        other: Name of container, support or reference.
        relation: One of `RELATIONS` for `beside`; a direction for `shifted` and `row` (first to last).
        distance_m: How far, for `shifted` [m].
        names: Objects of a `tower` or `row`.
        parts: Goals of `all`.
    """

    kind: GoalKind
    target: str = ""
    other: str = ""
    relation: str = ""
    distance_m: float = 0.0
    names: tuple[str, ...] = ()
    parts: tuple[Goal, ...] = ()


def involved(goal: Goal) -> set[str]:
    """Return the names of the objects that a goal asks to be moved."""
    return {n for n in (goal.target, *goal.names) if n}.union(*(involved(part) for part in goal.parts))


@dataclass(frozen=True, eq=False)
class BodyPose:
    """True pose of an object: origin in world [m], (3,), and rotation matrix, (3, 3)."""

    position_m: FloatArray
    rotation: FloatArray


def half_height_m(spec: ObjectSpec, rotation: FloatArray) -> float:
    """Return how far an object reaches below (and above) its origin at this rotation [m]."""
    x, y, z = (s / 2 for s in spec.size_m)
    down = np.abs(rotation[2])
    if spec.shape == "sphere":
        return x
    if spec.shape in ("box", "tray", "socket"):
        return float(down @ [x, y, z])
    return float(down[2] * z + np.hypot(down[0], down[1]) * x)


def footprint_m(spec: ObjectSpec, pose: BodyPose) -> FloatArray:
    """Return the outline of an upright object in world, (N, 2) [m]."""
    return spec.outline() @ pose.rotation[:2, :2].T + pose.position_m[:2]


def footprint_gap_m(a: ObjectSpec, pose_a: BodyPose, b: ObjectSpec, pose_b: BodyPose) -> float:
    """Return the smallest distance between two outlines [m]."""
    pa, pb = footprint_m(a, pose_a), footprint_m(b, pose_b)
    return float(np.sqrt(((pa[:, None] - pb[None]) ** 2).sum(-1)).min())


def direction_vector(direction: Direction, right: FloatArray, away: FloatArray) -> FloatArray:
    """Return the unit vector of a direction word in world, (2,), from the viewer's axes."""
    return {"left_of": -right, "right_of": right, "in_front_of": -away, "behind": away}[direction]


def is_towards(offset_m: FloatArray, along: FloatArray, tangent: float = _CONE_TANGENT) -> bool:
    """Whether an offset, (2,), lies within the cone around a unit vector, (2,)."""
    forward = float(offset_m @ along)
    sideways = abs(float(offset_m[0] * along[1] - offset_m[1] * along[0]))
    return forward > 0.01 and sideways <= tangent * forward


def holds_beside(
    relation: str,
    target: tuple[ObjectSpec, BodyPose],
    reference: tuple[ObjectSpec, BodyPose],
    viewer: tuple[FloatArray, FloatArray],
) -> bool:
    """Whether `target` stands in `relation` to `reference` (see the module for the tolerances)."""
    offset = target[1].position_m[:2] - reference[1].position_m[:2]
    if relation == "next_to":
        return footprint_gap_m(*target, *reference) <= NEXT_TO_GAP_M
    for direction in DIRECTIONS:
        if direction == relation:
            within = float(np.linalg.norm(offset)) <= BESIDE_RANGE_M
            return within and is_towards(offset, direction_vector(direction, *viewer))
    raise ValueError(f"unknown relation {relation!r}; relations: {', '.join(RELATIONS)}")


def shift_error(moved_m: FloatArray, along: FloatArray, distance_m: float) -> str:
    """Say what is wrong with a displacement, (2,), that should be so far along a unit vector, or ""."""
    gone = float(moved_m @ along)
    aside = abs(float(moved_m[0] * along[1] - moved_m[1] * along[0]))
    if abs(gone - distance_m) > max(SHIFT_TOLERANCE_M, SHIFT_TOLERANCE * distance_m):
        return f"went {gone:.3f} m instead of {distance_m:.3f} m"
    return f"went {aside:.3f} m aside" if aside > SHIFT_ASIDE_M else ""


def row_error(items: list[tuple[ObjectSpec, BodyPose]], along: FloatArray) -> str:
    """Say what is wrong with objects that should stand in a row along a unit vector; "" if nothing."""
    points = [pose.position_m[:2] for _, pose in items]
    across = [float(p[0] * along[1] - p[1] * along[0]) for p in points]
    if max(across) - min(across) > ROW_WIDTH_M:
        return f"is {max(across) - min(across):.3f} m wide"
    for (a, b), (p, q) in zip(pairwise(items), pairwise(points), strict=True):
        if float((q - p) @ along) < ROW_STEP_M:
            return f"has the {b[0].color} {b[0].shape} before the {a[0].color} {a[0].shape}"
        if footprint_gap_m(*a, *b) > ROW_GAP_M:
            return f"has a gap of {footprint_gap_m(*a, *b):.3f} m"
    return ""


def is_over(container: ObjectSpec, pose: BodyPose, p_world: FloatArray) -> bool:
    """Whether a point lies above (or in) the opening of a container or the top of a support."""
    local = pose.rotation.T @ (p_world - pose.position_m)
    x, y, _ = (s / 2 - container.wall_m for s in container.size_m)
    if container.shape in ("box", "tray", "socket"):
        return bool(abs(local[0]) <= x and abs(local[1]) <= y)
    return bool(np.hypot(local[0], local[1]) <= x)


def reaches_into(container: ObjectSpec, container_pose: BodyPose, target: ObjectSpec, pose: BodyPose) -> bool:
    """Whether the target's lowest point is below the rim by 30 % of the depth.

    So a bar leaning in a shallow bowl is inside although its centre may be above the rim, and one
    that lies across the rim is not.
    """
    rim_z = container_pose.position_m[2] + container.size_m[2] / 2
    depth = container.size_m[2] - container.wall_m
    return bool(pose.position_m[2] - half_height_m(target, pose.rotation) < rim_z - 0.3 * depth)
