"""`crop` and `zoom`: look closer; intrinsics, depth and pose stay right."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, Field

from perception_tools.tool import BadArguments, ImageName, ToolContext, ToolOutput, tool
from perception_tools.views import View, put_view, view_of

MIN_SIDE_PX = 8


class Cropped(BaseModel):
    """A part of a picture, as a picture of its own."""

    image: str
    depth: str | None = Field(description="depth registered to the new image, null if there is none")
    width: int = Field(description="[px]")
    height: int = Field(description="[px]")


@tool()
def crop(
    ctx: ToolContext,
    image: ImageName,
    left: Annotated[int, Field(ge=0)],
    top: Annotated[int, Field(ge=0)],
    width: Annotated[int, Field(ge=MIN_SIDE_PX)],
    height: Annotated[int, Field(ge=MIN_SIDE_PX)],
) -> ToolOutput[Cropped]:
    """Cut a rectangle out of a picture.

    Pixels of the result start at (0, 0) again; names of masks and depth of the old picture do not
    fit the new one.

    Args:
        image: Picture to cut from.
        left: First column [px].
        top: First row [px].
        width: Columns [px]; a part beyond the picture is left out.
        height: Rows [px]; a part beyond the picture is left out.
    """
    view = view_of(ctx, ctx.workspace.get(image, "image").name)
    return _cut(ctx, view, left, top, width, height)


@tool()
def zoom(
    ctx: ToolContext,
    image: ImageName,
    u_px: Annotated[float, Field(ge=0)],
    v_px: Annotated[float, Field(ge=0)],
    factor: Annotated[float, Field(ge=1.0, le=16.0)] = 2.0,
) -> ToolOutput[Cropped]:
    """Enlarge a picture around a pixel; the result has the same size.

    Args:
        image: Picture to enlarge.
        u_px: Column to centre on [px].
        v_px: Row to centre on [px].
        factor: Magnification, 1 to 16 [1].
    """
    view = view_of(ctx, ctx.workspace.get(image, "image").name)
    rows, columns = view.rgb.shape[:2]
    if u_px >= columns or v_px >= rows:
        raise BadArguments(f"({u_px:g}, {v_px:g}) is outside {image}, which is {columns} x {rows} px")
    width, height = (max(MIN_SIDE_PX, round(side / factor)) for side in (columns, rows))
    left = int(np.clip(round(u_px - width / 2), 0, max(0, columns - width)))
    top = int(np.clip(round(v_px - height / 2), 0, max(0, rows - height)))
    return _cut(ctx, view, left, top, width, height, size=(columns, rows))


def _cut(
    ctx: ToolContext,
    view: View,
    left: int,
    top: int,
    width: int,
    height: int,
    size: tuple[int, int] | None = None,
) -> ToolOutput[Cropped]:
    """Cut, and resample to `size` (columns, rows) if given."""
    rows, columns = view.rgb.shape[:2]
    width, height = min(width, columns - left), min(height, rows - top)
    if width < MIN_SIDE_PX or height < MIN_SIDE_PX:
        raise BadArguments(
            f"less than {MIN_SIDE_PX} px of the rectangle lie inside {view.image.name}, "
            f"which is {columns} x {rows} px"
        )
    part = (slice(top, top + height), slice(left, left + width))
    rgb = view.rgb[part].copy()
    depth_m = view.depth.data[part].copy() if view.depth else None
    robot = view.robot[part].copy()
    intrinsics = view.image.intrinsics and view.image.intrinsics.crop(left, top, width, height)
    if size is not None:
        intrinsics = intrinsics and intrinsics.resize(*size)
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
        if depth_m is not None:
            depth_m = cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST_EXACT)
        robot = cv2.resize(robot.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
    source = view.image
    new = put_view(
        ctx,
        np.asarray(rgb, dtype=np.uint8),
        None if depth_m is None else np.asarray(depth_m, dtype=np.float32),
        robot,
        frame=source.frame,
        stamp_s=source.stamp_s,
        intrinsics=intrinsics,
        T_world_camera=source.T_world_camera,
        parents=(source.name,),
        label=source.label,
    )
    rows, columns = rgb.shape[:2]
    depth = new.depth.name if new.depth else None
    return ToolOutput(Cropped(image=new.image.name, depth=depth, width=columns, height=rows), [new.image])
