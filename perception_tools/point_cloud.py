"""`point_cloud`: lift a picture, or a part of it, to points in world."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from perception_tools.geometry import FloatArray
from perception_tools.results import rounded
from perception_tools.tool import BadArguments, ImageName, MaskName, Negative, ToolContext, tool
from perception_tools.views import view_of


class Cloud(BaseModel):
    """A stored cloud."""

    cloud: str
    num_points: int
    center_m: list[float] = Field(description="mean point in world [m]")
    extent_m: list[float] = Field(description="size along world x, y, z [m]")


@tool()
def point_cloud(
    ctx: ToolContext,
    image: ImageName,
    mask: MaskName | None = None,
    voxel_m: Annotated[float, Field(ge=0, le=0.1)] = 0.003,
) -> Cloud:
    """Lift a picture with depth to a coloured point cloud in world, the robot's own body left out.

    Args:
        image: Picture with depth.
        mask: Part of the picture to lift; null: all of it.
        voxel_m: One point is kept per cube of this edge [m]; 0 keeps all.
    """
    view = view_of(ctx, ctx.workspace.get(image, "image").name)
    points = view.points_world()
    keep = np.isfinite(points[..., 0])
    if mask is not None:
        artifact = ctx.workspace.get(mask, "mask", frame=view.image.frame)
        if artifact.data.shape != keep.shape or artifact.intrinsics != view.image.intrinsics:
            raise BadArguments(f"{mask!r} belongs to another picture than {image!r}")
        keep &= artifact.data
    if not keep.any():
        raise Negative(f"no pixel of {mask or image} has depth", reason="no_depth")
    chosen, rgb = voxel_down(points[keep], voxel_m, view.rgb[keep])
    stored = ctx.put(
        "cloud",
        {"points": chosen, "rgb": rgb},
        frame="world",
        stamp_s=view.image.stamp_s,
        T_world_camera=view.T_world_camera,
        parents=(image,) if mask is None else (image, mask),
        label=ctx.workspace.get(mask).label if mask else "",
    )
    return Cloud(
        cloud=stored.name,
        num_points=len(chosen),
        center_m=rounded(chosen.mean(axis=0)),
        extent_m=rounded(np.ptp(chosen, axis=0)),
    )


def voxel_down(
    points: FloatArray, voxel_m: float, rgb: NDArray[np.uint8] | None = None
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Average points (and their colours) per cube of edge `voxel_m` [m]; 0 returns them as they are.

    Args:
        points: Points [m], shape (N, 3).
        voxel_m: Edge [m].
        rgb: Their colours, shape (N, 3); black if None.

    Returns:
        Points (M, 3) and colours (M, 3) uint8, M <= N.
    """
    colors = np.zeros((len(points), 3), np.uint8) if rgb is None else np.asarray(rgb, np.uint8)
    if voxel_m <= 0 or len(points) == 0:
        return np.asarray(points, dtype=np.float64), colors
    cells = np.floor(points / voxel_m).astype(np.int64)
    cells -= cells.min(axis=0)
    spans = cells.max(axis=0) + 1
    keys = (cells[:, 0] * spans[1] + cells[:, 1]) * spans[2] + cells[:, 2]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    mean = [
        np.bincount(inverse, weights=column) / counts
        for column in (*points.T, *(colors.T if rgb is not None else ()))
    ]
    merged = np.stack(mean[:3], axis=1)
    if rgb is None:
        return merged, np.zeros((len(merged), 3), np.uint8)
    return merged, np.round(np.stack(mean[3:], axis=1)).astype(np.uint8)
