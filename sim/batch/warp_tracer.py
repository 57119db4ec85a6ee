"""Warp's batch ray tracer as camera images in the stack's conventions."""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import sys
from collections.abc import Sequence

import mujoco
import mujoco_warp as mjw
import torch
import warp as wp
from torch import Tensor


class WarpTracer:
    """Renders one camera of all simulations; see `sim.batch.cameras.BatchCameras` for the conventions.

    Args:
        model: The model on the host.
        warp_model: The model on the device; its fields per simulation are respected.
        data: Warp's data.
        camera: Name of the camera.
        width: Image width [px].
        height: Image height [px].
        parts: What to render.
        groups: Geom groups that are seen.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        warp_model: mjw.Model,
        data: mjw.Data,
        camera: str,
        width: int,
        height: int,
        parts: Sequence[str],
        groups: Sequence[int],
    ) -> None:
        """See the class."""
        self._m, self._d, self._parts = warp_model, data, tuple(parts)
        self._shape = (data.nworld, height, width)
        self._device = data.qpos.device
        with wp.ScopedDevice(self._device):
            self._context = mjw.create_render_context(
                model,
                nworld=data.nworld,
                cam_res=(width, height),
                render_rgb="rgb" in parts,
                render_depth="depth_m" in parts,
                render_seg="segmentation" in parts,
                enabled_geom_groups=list(groups),
                cam_active=[camera],
                use_precomputed_rays=False,  # cameras' fields of view may differ
                use_shadows=True,
                render_skybox=bool((model.tex_type == int(mujoco.mjtTexture.mjTEXTURE_SKYBOX)).any()),
            )

    def render(self) -> dict[str, Tensor]:
        """Return the parts, (num_envs, height, width, ...): rgb, planar depth [m] (0: no hit), geom ids."""
        with wp.ScopedDevice(self._device):
            mjw.refit_bvh(self._m, self._d, self._context)
            mjw.render(self._m, self._d, self._context)
        images: dict[str, Tensor] = {}
        if "rgb" in self._parts:
            assert sys.byteorder == "little"  # pixels are packed as 0xAARRGGBB
            packed = wp.to_torch(self._context.rgb_data.view(wp.int32)).view(torch.uint8)
            images["rgb"] = packed.view(*self._shape, 4)[..., [2, 1, 0]]
        if "depth_m" in self._parts:
            images["depth_m"] = wp.to_torch(self._context.depth_data).view(self._shape).clone()
        if "segmentation" in self._parts:
            images["segmentation"] = wp.to_torch(self._context.seg_data).view(*self._shape, 2)[..., 0].clone()
        return {part: images[part] for part in self._parts}
