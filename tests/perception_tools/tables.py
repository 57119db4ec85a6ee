"""Synthetic tables for tests of tools: solids by analytic ray casting, a camera, masks of the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perception_tools.artifacts import Artifact, Workspace
from perception_tools.boxes import Box3D
from perception_tools.camera import RgbdFrame
from perception_tools.geometry import BoolArray, FloatArray
from perception_tools.tool import ToolContext
from perception_tools.views import View, put_frame
from tests.perception_tools.raycast import Solid, render


@dataclass(frozen=True, eq=False)
class StillCamera:
    """A camera that returns the same frame again and again."""

    frame: RgbdFrame

    @property
    def name(self) -> str:
        return self.frame.source

    def capture(self) -> RgbdFrame:
        return self.frame


@dataclass(frozen=True, eq=False)
class Table:
    """A context whose workspace holds `image_1` and `depth_1` of some solids."""

    ctx: ToolContext
    view: View
    instances: np.ndarray
    solids: Sequence[Solid]

    def mask(self, k: int, label: str = "", **meta: Any) -> Artifact:
        """Store the true mask of solid k."""
        image = self.view.image
        return self.ctx.put(
            "mask",
            self.instances == k + 1,
            frame=image.frame,
            stamp_s=image.stamp_s,
            intrinsics=image.intrinsics,
            T_world_camera=image.T_world_camera,
            parents=(image.name,),
            label=label,
            meta=meta,
        )

    def box(self, box: Box3D, label: str = "", **meta: Any) -> Artifact:
        """Store a box as seen from the scene camera."""
        return self.ctx.put(
            "box", box, frame="world", T_world_camera=self.view.T_world_camera, label=label, meta=meta
        )


def make_table(
    solids: Sequence[Solid],
    *,
    noise_m: float = 0.0,
    is_robot: Callable[[FloatArray], BoolArray] | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Table:
    """Render solids from the scene camera and capture them; `options` as in `render`."""
    frame, instances = render(solids, noise_m=noise_m, **options)
    ctx = ToolContext(
        workspace=Workspace(),
        cameras={frame.source: StillCamera(frame)},
        clock=lambda: 1.5,
        settings=settings or {},
        is_robot=is_robot,
        tool="test",
        call_id="call_0",
    )
    return Table(ctx, put_frame(ctx, frame), instances, solids)


def box_at(x: float, y: float, size: Sequence[float], yaw: float = 0.0, bottom: float = 0.0) -> Box3D:
    """Box standing at (x, y) on a height `bottom` [m]."""
    return Box3D(np.array([x, y, bottom + size[2] / 2]), np.array(size), yaw)
