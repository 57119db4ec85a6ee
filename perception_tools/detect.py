"""`detect`: find the objects that words describe, with mask, box, colour, shape and size of each."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from perception_tools.overlay import draw_masks
from perception_tools.queries import ObjectQuery, parse_query
from perception_tools.results import rounded
from perception_tools.shapes import CONTAINERS
from perception_tools.tabletop_vision import SeenObject, VisionConfig, see_tabletop
from perception_tools.tool import ImageName, Negative, ToolContext, ToolOutput, tool
from perception_tools.views import View, settings_of, view_of


class DetectedObject(BaseModel):
    """One object."""

    label: str
    color: str
    color_confidence: float
    color_scores: dict[str, float] = Field(description="probability of the likely colour names")
    shape: str
    shape_confidence: float
    size_m: list[float] = Field(description="[long, short, height] in [m], hidden side estimated")
    center_m: list[float] = Field(description="centre in world [m]")
    box_px: list[int] = Field(description="[u0, v0, u1, v1] in the image [px]")
    uv_px: list[float] = Field(description="a point on the object in the image [px]")
    mask: str
    box: str
    is_container: bool
    confidence: float


class Detections(BaseModel):
    """What was found, largest in the image first."""

    count: int
    objects: list[DetectedObject]


def matches(seen: SeenObject, query: ObjectQuery) -> bool:
    """Return whether an object is of the colours and shapes asked for."""
    return (not query.colors or seen.color.name in query.colors) and (
        not query.shapes or seen.shape.shape in query.shapes
    )


def look(ctx: ToolContext, view: View) -> tuple[SeenObject, ...]:
    """Return all objects of a view."""
    config = settings_of(ctx, "detect", VisionConfig)
    return see_tabletop(
        view.rgb, view.depth_m, view.intrinsics, view.T_world_camera, robot=view.robot, config=config
    ).objects


@tool()
def detect(
    ctx: ToolContext,
    image: ImageName,
    query: str = "object",
    max_objects: Annotated[int, Field(ge=1, le=50)] = 20,
) -> ToolOutput:
    """Find the objects that words describe.

    Args:
        image: Image with depth.
        query: Words like `red block`, `container`, `large blue cylinder`; `object` finds everything.
        max_objects: Most objects to return.
    """
    queries = parse_query(query)
    view = view_of(ctx, image)
    seen = look(ctx, view)
    found = [s for s in seen if any(matches(s, q) for q in queries)][:max_objects]
    if not found:
        labels = [s.label for s in seen]
        raise Negative(
            f"no {query!r} in {image}; I see: {', '.join(labels) or 'nothing on the table'}",
            reason="not_found",
            evidence={"seen": labels},
        )
    objects = [_describe(ctx, view, s) for s in found]
    picture = draw_masks(view.rgb, [s.mask for s in found], [s.label for s in found])
    overlay = ctx.put(
        "image", picture, frame=view.image.frame, stamp_s=view.image.stamp_s, parents=(image,), label=query
    )
    return ToolOutput(Detections(count=len(objects), objects=objects), [overlay])


def _describe(ctx: ToolContext, view: View, seen: SeenObject) -> DetectedObject:
    import numpy as np

    common = {
        "stamp_s": view.image.stamp_s,
        "T_world_camera": view.T_world_camera,
        "label": seen.label,
        "meta": {"shape": seen.shape.shape, "color": seen.color.name},
    }
    mask = ctx.put(
        "mask",
        seen.mask,
        frame=view.image.frame,
        intrinsics=view.intrinsics,
        parents=(view.image.name,),
        **common,
    )
    box = ctx.put("box", seen.box, frame="world", parents=(mask.name,), **common)
    v, u = np.nonzero(seen.mask)
    return DetectedObject(
        label=seen.label,
        color=seen.color.name,
        color_confidence=rounded(seen.color.confidence, 2),
        color_scores={k: rounded(s, 2) for k, s in seen.color.scores.items() if s > 0.02},
        shape=seen.shape.shape,
        shape_confidence=rounded(seen.shape.confidence, 2),
        size_m=rounded(seen.box.size_m),
        center_m=rounded(seen.box.center_m),
        box_px=[int(u.min()), int(v.min()), int(u.max()), int(v.max())],
        uv_px=rounded([np.median(u), np.median(v)], 1),
        mask=mask.name,
        box=box.name,
        is_container=seen.shape.shape in CONTAINERS,
        confidence=rounded(seen.confidence, 2),
    )
