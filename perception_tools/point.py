"""`point`: one pixel and one point in world for every object that words describe."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.results import rounded
from perception_tools.sight import find, inner_px, put_overlay
from perception_tools.tabletop_vision import SeenObject
from perception_tools.tool import ImageName, ToolContext, ToolOutput, tool
from perception_tools.views import View

_AROUND_PX = 2


class ObjectPoint(BaseModel):
    """A place on the visible surface of one object."""

    uv_px: list[int] = Field(description="pixel well inside the object [px]")
    p_world: list[float] | None = Field(description="surface there in world [m], null without depth")
    label: str
    confidence: float


class Points(BaseModel):
    """Points, one per object, largest object first unless the query orders otherwise."""

    points: list[ObjectPoint]


@tool()
def point(ctx: ToolContext, image: ImageName, query: str) -> ToolOutput[Points]:
    """Point at the objects that words describe.

    Args:
        image: Picture with depth.
        query: Words as in `detect`.
    """
    view, found = find(ctx, image, query)
    points = [_point_at(view, seen) for seen in found]
    overlay = put_overlay(ctx, view, found, f"{query} in {image}")
    return ToolOutput(Points(points=points), [overlay])


def _point_at(view: View, seen: SeenObject) -> ObjectPoint:
    """Take the median depth of the object's pixels around its inner pixel."""
    u, v = inner_px(seen.mask)
    window = np.s_[max(0, v - _AROUND_PX) : v + _AROUND_PX + 1, max(0, u - _AROUND_PX) : u + _AROUND_PX + 1]
    depth_m = view.depth_m[window][seen.mask[window] & (view.depth_m[window] > 0)]
    p_world = None
    if depth_m.size:
        p_world = rounded(view.T_world_camera @ view.intrinsics.deproject([u, v], np.median(depth_m)))
    return ObjectPoint(
        uv_px=[u, v], p_world=p_world, label=seen.label, confidence=rounded(seen.confidence, 2)
    )
