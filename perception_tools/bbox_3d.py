"""`bbox_3d`: the gravity-aligned box of one object. Its data type is `perception_tools.boxes.Box3D`."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, Field

from perception_tools.boxes import complete_by_view, fit_box
from perception_tools.results import rounded
from perception_tools.tool import MaskName, Negative, ToolContext, tool
from perception_tools.views import known_object, masked_points, settings_of, view_of


@dataclass(frozen=True)
class Bbox3dConfig:
    """Settings of `bbox_3d`.

    Attributes:
        support_z_m: Height of the table in world [m].
        complete: Add the hidden far side by symmetry before fitting.
        trusted_points: Number of points from which the confidence is not reduced.
    """

    support_z_m: float = 0.0
    complete: bool = True
    trusted_points: int = 150


class BoxFit(BaseModel):
    """A gravity-aligned box."""

    box: str
    center_m: list[float] = Field(description="centre in world [m]")
    size_m: list[float] = Field(description="[long, short, height] in [m]")
    yaw_rad: float = Field(description="direction of the long side in the xy plane [rad]")
    bottom_z_m: float = Field(description="height of the lower face [m]")
    top_z_m: float = Field(description="height of the upper face [m]")
    is_degenerate: bool = Field(description="too few points or too flat to be trusted")
    confidence: float


@tool()
def bbox_3d(ctx: ToolContext, mask: MaskName) -> BoxFit:
    """Fit a box with a vertical axis to the object of a mask.

    A box that was fitted when the object was detected is returned as it is; else the hidden far side
    is completed by symmetry.

    Args:
        mask: Mask of one object.
    """
    config = settings_of(ctx, "bbox_3d", Bbox3dConfig)
    artifact = ctx.workspace.get(mask, "mask")
    points = masked_points(ctx, mask)
    if len(points) == 0:
        raise Negative(f"no pixel of {mask} has depth", reason="no_depth")
    view = view_of(ctx, mask)
    box = known_object(ctx, mask).box
    if box is None:
        solid = complete_by_view(points, view.T_world_camera) if config.complete else points
        box = fit_box(solid, support_z_m=config.support_z_m)
    seen = len(points) / max(1, int(artifact.data.sum()))
    confidence = min(1.0, len(points) / config.trusted_points) * min(1.0, 1.5 * seen)
    stored = ctx.put(
        "box",
        box,
        frame="world",
        stamp_s=artifact.stamp_s,
        T_world_camera=view.T_world_camera,
        parents=(mask,),
        label=artifact.label,
        meta=dict(artifact.meta),
    )
    return BoxFit(
        box=stored.name,
        center_m=rounded(box.center_m),
        size_m=rounded(box.size_m),
        yaw_rad=rounded(box.yaw_rad),
        bottom_z_m=rounded(box.bottom_z_m),
        top_z_m=rounded(box.top_z_m),
        is_degenerate=box.is_degenerate,
        confidence=rounded(confidence * (0.3 if box.is_degenerate else 1.0), 2),
    )
