"""`depth_at`: read the depth at a pixel."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from perception_tools.geometry import FloatArray
from perception_tools.results import rounded
from perception_tools.tool import BadArguments, DepthName, Negative, ToolContext, tool

WINDOW_PX = 2
FLOOR_M = 0.0005


class DepthReading(BaseModel):
    """Depth at a pixel."""

    depth_m: float = Field(description="distance along the camera's axis [m]")
    p_world: list[float] = Field(description="point in world, [x, y, z] in [m]")
    sigma_m: float = Field(description="standard deviation of the depth around the pixel [m]")


@tool()
def depth_at(
    ctx: ToolContext,
    depth: DepthName,
    u_px: Annotated[float, Field(ge=0)],
    v_px: Annotated[float, Field(ge=0)],
) -> DepthReading:
    """Read the depth at a pixel and where that point is in world.

    Args:
        depth: Depth to read, as `capture` named it.
        u_px: Column [px].
        v_px: Row [px].
    """
    artifact = ctx.workspace.get(depth, "depth")
    image: NDArray[np.float32] = artifact.data
    rows, columns = image.shape
    u, v = round(u_px), round(v_px)
    if u >= columns or v >= rows:
        raise BadArguments(f"({u_px:g}, {v_px:g}) is outside {depth}, which is {columns} x {rows} px")
    if artifact.intrinsics is None or artifact.T_world_camera is None:
        raise BadArguments(f"{depth!r} has no camera pose or intrinsics; use the depth of a captured image")
    vv, uu = np.mgrid[
        max(0, v - WINDOW_PX) : min(rows, v + WINDOW_PX + 1),
        max(0, u - WINDOW_PX) : min(columns, u + WINDOW_PX + 1),
    ].reshape(2, -1)
    valid = image[vv, uu] > 0
    if not valid.any():
        raise Negative(f"no depth within {WINDOW_PX} px of ({u}, {v}) in {depth}", reason="no_depth")
    vv, uu = vv[valid], uu[valid]
    nearest = int(np.argmin((vv - v) ** 2 + (uu - u) ** 2))
    depth_m = float(image[vv[nearest], uu[nearest]])
    p_world = artifact.T_world_camera @ artifact.intrinsics.deproject([u_px, v_px], depth_m)
    sigma_m = _spread(uu - u, vv - v, np.asarray(image[vv, uu], dtype=np.float64), depth_m)
    return DepthReading(depth_m=rounded(depth_m), p_world=rounded(p_world), sigma_m=rounded(sigma_m))


def _spread(du: FloatArray, dv: FloatArray, depth_m: FloatArray, center_m: float) -> float:
    """Deviation of the depths from their plane, [m]; other surfaces (3 cm off) do not count."""
    same = np.abs(depth_m - center_m) < 0.03
    if same.sum() < 6:
        return max(FLOOR_M, 0.002 * center_m)
    design = np.column_stack([du[same], dv[same], np.ones(same.sum())])
    plane, *_ = np.linalg.lstsq(design, depth_m[same], rcond=None)
    return max(FLOOR_M, float(np.std(depth_m[same] - design @ plane)))
