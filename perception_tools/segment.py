"""`segment`: masks of the objects that words describe, or of the one at a pixel."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from perception_tools.results import rounded
from perception_tools.sight import box_px, find, look, put_mask, put_overlay
from perception_tools.tabletop_vision import SeenObject
from perception_tools.tool import BadArguments, ImageName, Negative, ToolContext, ToolOutput, tool
from perception_tools.views import View


class ObjectMask(BaseModel):
    """Pixels of one object."""

    mask: str
    label: str
    confidence: float
    num_pixels: int
    box_px: list[int] = Field(description="[u0, v0, u1, v1] in the image [px]")


class Segments(BaseModel):
    """Masks, largest first unless the query orders otherwise."""

    masks: list[ObjectMask]


@tool()
def segment(
    ctx: ToolContext,
    image: ImageName,
    query: str | None = None,
    uv_px: Annotated[list[float] | None, Field(min_length=2, max_length=2)] = None,
) -> ToolOutput[Segments]:
    """Outline objects: those that words describe, the one at a pixel, or all.

    Args:
        image: Picture with depth.
        query: Words as in `detect`; leave out for all objects.
        uv_px: A pixel [u, v] on the object instead of words.
    """
    if query is not None and uv_px is not None:
        raise BadArguments("give query or uv_px, not both")
    if uv_px is not None:
        view, found = _at_pixel(ctx, image, uv_px[0], uv_px[1])
    else:
        view, found = find(ctx, image, query or "object")
    masks = []
    for seen in found:
        stored = put_mask(ctx, view, seen)
        masks.append(
            ObjectMask(
                mask=stored.name,
                label=seen.label,
                confidence=rounded(seen.confidence, 2),
                num_pixels=int(seen.mask.sum()),
                box_px=box_px(seen.mask),
            )
        )
    overlay = put_overlay(ctx, view, found, f"{query or 'objects'} in {image}")
    return ToolOutput(Segments(masks=masks), [overlay])


def _at_pixel(ctx: ToolContext, image: str, u_px: float, v_px: float) -> tuple[View, list[SeenObject]]:
    view, seen = look(ctx, image)
    height, width = view.depth_m.shape
    u, v = round(u_px), round(v_px)
    if not (0 <= u < width and 0 <= v < height):
        raise BadArguments(f"uv_px [{u_px:g}, {v_px:g}] is outside the image of {width}x{height} px")
    found = [o for o in seen.objects if o.mask[v, u]]
    if found:
        return view, found
    what = "the robot" if view.robot[v, u] else "the table or what is beyond it"
    labels = [o.label for o in seen.objects]
    raise Negative(
        f"no object at [{u}, {v}]: the pixel shows {what}; seen: {', '.join(labels) or 'nothing'}",
        reason="not_found",
        evidence={"seen": labels},
    )
