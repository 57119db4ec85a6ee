"""`relation`: does a spatial relation hold between two boxes, by how much, and on what evidence.

Directions are gravity aligned. In the viewer's frame (the default) left and right are those of the
scene camera's picture, in front is towards that camera and behind is away from it. In the robot's
frame left is +y, right is -y, in front is +x (away from the robot) and behind is -x.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.artifacts import Artifact
from perception_tools.boxes import Box3D
from perception_tools.geometry import FloatArray, Transform
from perception_tools.results import rounded
from perception_tools.tool import BadArguments, BoxName, ToolContext, tool
from perception_tools.views import SOLID, is_container, settings_of

Relation = Literal[
    "left_of", "right_of", "in_front_of", "behind", "above", "below", "on", "inside", "next_to"
]
FrameName = Literal["camera", "robot"]


@dataclass(frozen=True)
class RelationConfig:
    """Settings of `relation`.

    Attributes:
        viewer: Camera whose picture defines left, right, front and behind.
        min_offset_m: Least offset of the centres along a direction [m].
        overlap: Share of the two half extents by which the centres must be apart at least.
        cone_rad: Largest angle between the offset and the direction [rad].
        touch_m: Largest gap between what rests on one another [m].
        over_m: How far the centre of what is above may lie outside the footprint [m].
        below_rim_m: How far the bottom of what is inside must lie below the rim [m].
        near_m: Largest gap of what is next to one another [m].
        sigma_m: Uncertainty of a box's faces, for the confidence [m].
    """

    viewer: str = "scene"
    min_offset_m: float = 0.01
    overlap: float = 0.5
    cone_rad: float = 0.9
    touch_m: float = 0.015
    over_m: float = 0.01
    below_rim_m: float = 0.008
    near_m: float = 0.12
    sigma_m: float = 0.006


class RelationFound(BaseModel):
    """Whether a relation holds."""

    holds: bool
    margin_m: float = Field(
        description="how far from the border of the decision [m], < 0 if it does not hold"
    )
    confidence: float = Field(description="of the answer, 0.5 to 1")
    evidence: dict[str, float | str] = Field(description="measurements it rests on [m]")


@tool()
def relation(
    ctx: ToolContext, a: BoxName, b: BoxName, relation: Relation, frame: FrameName = "camera"
) -> RelationFound:
    """Tell whether box a stands in a relation to box b.

    In the camera's frame, in front means nearer to the viewer and behind means farther away.

    Args:
        a: Box of the object in question.
        b: Box of the reference.
        relation: The relation of a to b: "a left_of b", "a inside b" ...
        frame: Whose left and right: the viewer's (camera) or the robot's.
    """
    if a == b:
        raise BadArguments("a and b are the same box; give two boxes")
    config = settings_of(ctx, "relation", RelationConfig)
    first, second = (ctx.workspace.get(name, "box") for name in (a, b))
    evidence: dict[str, float | str] = {}
    if relation in _DIRECTIONAL:
        axes = directions(ctx, frame, first, second, viewer=config.viewer)
        evidence["frame"] = "robot" if frame == "robot" else f"viewer camera:{config.viewer}"
        margin, numbers = _directional(first.data, second.data, axes[relation], config)
    else:
        margin, numbers = _RULES[relation](first.data, second.data, config, _kind(second))
    evidence.update({name: rounded(value) for name, value in numbers.items()})
    confidence = 1 / (1 + np.exp(-abs(margin) / config.sigma_m))
    if first.data.is_degenerate or second.data.is_degenerate:
        confidence = 0.5 + 0.4 * (confidence - 0.5)
        evidence["note"] = "a box is degenerate; look again from nearer"
    return RelationFound(
        holds=bool(margin > 0),
        margin_m=rounded(margin),
        confidence=rounded(confidence, 3),
        evidence=evidence,
    )


# ---- directions ---------------------------------------------------------------------------------

_DIRECTIONAL = ("left_of", "right_of", "in_front_of", "behind")


def directions(
    ctx: ToolContext, frame: FrameName, *artifacts: Artifact, viewer: str = "scene"
) -> dict[str, FloatArray]:
    """Return the horizontal unit vector, (2,), of each directional word.

    The viewer's pose is taken from the artifacts, else from anything the viewer sensed before.

    Raises:
        BadArguments: The viewer has not sensed anything yet.
    """
    if frame == "robot":
        behind, right = np.array([-1.0, 0.0]), np.array([0.0, -1.0])
    else:
        behind = _away(_viewer_pose(ctx, artifacts, viewer))
        right = np.array([behind[1], -behind[0]])
    return {"left_of": -right, "right_of": right, "in_front_of": -behind, "behind": behind}


def _viewer_pose(ctx: ToolContext, artifacts: tuple[Artifact, ...], viewer: str) -> Transform:
    for artifact in (*artifacts, *reversed(ctx.workspace.all())):
        pose = artifact.T_world_camera
        if pose is not None and pose.child == f"camera:{viewer}":
            return pose
    raise BadArguments(f"the viewer camera {viewer!r} has not been used; capture it, or use frame='robot'")


def _away(T_world_camera: Transform) -> FloatArray:
    """Horizontal viewing direction, (2,); for a camera that looks straight down, its image's up."""
    forward = T_world_camera.rotation[:2, 2]
    if np.linalg.norm(forward) < 0.2:
        forward = -T_world_camera.rotation[:2, 1]
    return forward / np.linalg.norm(forward)


# ---- rules: margin [m], > 0 where the relation holds, and the numbers it comes from --------------

Ruling = tuple[float, Mapping[str, float]]
Kind = Literal["container", "solid", "unknown"]


def _kind(artifact: Artifact) -> Kind:
    if is_container(artifact):
        return "container"
    return "solid" if artifact.meta.get("shape") in SOLID else "unknown"


def _directional(a: Box3D, b: Box3D, axis: FloatArray, config: RelationConfig) -> Ruling:
    offset = a.center_m[:2] - b.center_m[:2]
    along = float(offset @ axis)
    across = float(abs(offset @ [-axis[1], axis[0]]))
    reach = a.half_extent_along(axis) + b.half_extent_along(axis)
    least = max(config.min_offset_m, config.overlap * reach)
    margin = min(along - least, along * np.tan(config.cone_rad) - across)
    return margin, {"along_m": along, "across_m": across, "gap_m": along - reach, "least_offset_m": least}


def _on(a: Box3D, b: Box3D, config: RelationConfig, kind: Kind) -> Ruling:
    gap = a.bottom_z_m - b.top_z_m
    outside = float(b.footprint_distance_m(a.center_m))
    touch = config.touch_m - abs(gap)
    if kind == "solid" and gap < 0:  # what overlaps a solid is on it, only measured badly
        touch = max(touch, 0.6 * float(b.size_m[2]) + gap)
    margin = min(touch, config.over_m - outside)
    if kind == "container":
        margin = max(margin, _inside(a, b, config, kind)[0])
    return margin, {"gap_z_m": gap, "centre_outside_footprint_m": outside}


def _inside(a: Box3D, b: Box3D, config: RelationConfig, kind: Kind) -> Ruling:
    outside = float(b.footprint_distance_m(a.center_m))
    below_rim = b.top_z_m - a.bottom_z_m
    least = min(config.below_rim_m, 0.3 * float(b.size_m[2]))
    fits = float(b.size_m[0] - a.size_m[1])
    margin = min(-outside, below_rim - least, a.top_z_m - b.bottom_z_m, fits)
    if kind == "solid":
        margin = min(margin, -config.below_rim_m)
    return margin, {
        "centre_outside_footprint_m": outside,
        "bottom_below_rim_m": below_rim,
        "rim_z_m": b.top_z_m,
    }


def _above(a: Box3D, b: Box3D, config: RelationConfig, kind: Kind) -> Ruling:
    del kind
    gap = a.bottom_z_m - b.top_z_m
    outside = float(b.footprint_distance_m(a.center_m))
    return min(gap + config.touch_m, config.over_m - outside), {
        "gap_z_m": gap,
        "centre_outside_footprint_m": outside,
    }


def _below(a: Box3D, b: Box3D, config: RelationConfig, kind: Kind) -> Ruling:
    return _above(b, a, config, kind)


def _next_to(a: Box3D, b: Box3D, config: RelationConfig, kind: Kind) -> Ruling:
    del kind
    gap = a.footprint_gap_m(b)
    shared = min(a.top_z_m, b.top_z_m) - max(a.bottom_z_m, b.bottom_z_m)
    margin = min(config.near_m - gap, gap + 2 * config.sigma_m, shared + config.sigma_m)
    return margin, {"gap_m": gap, "shared_height_m": shared}


_RULES: Mapping[str, Callable[[Box3D, Box3D, RelationConfig, Kind], Ruling]] = {
    "on": _on,
    "inside": _inside,
    "above": _above,
    "below": _below,
    "next_to": _next_to,
}
