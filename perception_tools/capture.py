"""`capture`: take a picture."""

from __future__ import annotations

from pydantic import BaseModel, Field

from perception_tools.tool import Infrastructure, ToolContext, ToolOutput, tool
from perception_tools.views import put_frame


class Captured(BaseModel):
    """A new picture."""

    image: str
    depth: str | None = Field(description="depth registered to the image, null if the camera has none")
    camera: str
    stamp_s: float = Field(description="when it was taken, on the robot's clock [s]")
    width: int = Field(description="[px]")
    height: int = Field(description="[px]")


@tool()
def capture(ctx: ToolContext, camera: str = "scene") -> ToolOutput[Captured]:
    """Take a picture, with depth where the camera has it.

    Look again after the robot moved something: what was seen before is stale then.

    Args:
        camera: Name of the camera: `scene` sees the whole table, `wrist` looks along the hand.
    """
    try:
        frame = ctx.camera(camera).capture()
    except RuntimeError as error:
        raise Infrastructure(f"camera {camera!r}: {error}", reason="no_image") from error
    view = put_frame(ctx, frame)
    value = Captured(
        image=view.image.name,
        depth=view.depth.name if view.depth else None,
        camera=camera,
        stamp_s=round(frame.stamp_s, 3),
        width=frame.intrinsics.width,
        height=frame.intrinsics.height,
    )
    return ToolOutput(value, [view.image])
