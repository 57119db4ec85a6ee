"""`draw`: mark points and boxes on a picture."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.overlay import draw_boxes, draw_points, project
from perception_tools.tool import BadArguments, BoxName, ImageName, PointWorld, ToolContext, ToolOutput, tool
from perception_tools.views import view_of


class Drawn(BaseModel):
    """A picture with marks."""

    image: str
    num_drawn: int = Field(description="marks that lie inside the picture")


@tool()
def draw(
    ctx: ToolContext,
    image: ImageName,
    points: Annotated[list[PointWorld], Field(max_length=50)] = [],  # noqa: B006 - a schema default
    boxes: Annotated[list[BoxName], Field(max_length=50)] = [],  # noqa: B006
    labels: Annotated[list[str], Field(max_length=100)] = [],  # noqa: B006
) -> ToolOutput[Drawn]:
    """Mark points and boxes on a picture, to check where they are.

    Args:
        image: Picture to draw on.
        points: Points in world to mark, each [x, y, z] in [m].
        boxes: Boxes to draw, by name.
        labels: Texts for the points, then for the boxes; boxes without one get their own label.
    """
    if not points and not boxes:
        raise BadArguments("nothing to draw; give points or boxes")
    if len(labels) > len(points) + len(boxes):
        raise BadArguments(f"{len(labels)} labels for {len(points)} points and {len(boxes)} boxes")
    view = view_of(ctx, ctx.workspace.get(image, "image").name)
    artifacts = [ctx.workspace.get(name, "box") for name in boxes]
    texts = [
        *labels[len(points) :],
        *(a.label or a.name for a in artifacts[max(0, len(labels) - len(points)) :]),
    ]
    rgb, uv_px = view.rgb, np.zeros((0, 2))
    if artifacts:
        rgb = draw_boxes(rgb, [a.data for a in artifacts], view.intrinsics, view.T_world_camera, texts)
        centers = [project(a.data.center_m, view.intrinsics, view.T_world_camera) for a in artifacts]
        uv_px = np.concatenate([uv_px, centers])
    if points:
        marks = project(points, view.intrinsics, view.T_world_camera)
        rgb = draw_points(rgb, marks, labels[: len(points)])
        uv_px = np.concatenate([uv_px, marks])
    rows, columns = rgb.shape[:2]
    inside = ((uv_px >= 0) & (uv_px < (columns, rows))).all(axis=1)
    source = view.image
    drawn = ctx.put(
        "image",
        rgb,
        frame=source.frame,
        stamp_s=source.stamp_s,
        intrinsics=source.intrinsics,
        T_world_camera=source.T_world_camera,
        parents=(image,),
        label=f"{image} with marks",
    )
    return ToolOutput(Drawn(image=drawn.name, num_drawn=int(inside.sum())), [drawn])
