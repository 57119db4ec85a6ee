"""Camera observations of all environments, rendered only when asked for.

On the CPU backend each environment is drawn through OpenGL (EGL or OSMesa), one after another; on Warp
all are ray-traced at once and no OpenGL is needed. Depth, segmentation and geometry agree; shading is
each renderer's own. What is drawn is what a real camera could see: no collision hulls, sites or goal markers.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import Intrinsics
from sim.batch.physics import Physics
from sim.gl_thread import GlScene
from sim.rendering import TruthRenderer

if TYPE_CHECKING:
    from numpy.typing import NDArray

Part = Literal["rgb", "depth_m", "segmentation"]
PARTS: Final[tuple[Part, ...]] = ("rgb", "depth_m", "segmentation")
SEEN_GROUPS: Final = (0, 2)
"""Geom groups that cameras see; 1 is goal markers, 3 and up are collision hulls."""

_SHADOW_PX = 512  # of the shadow map; small images need no more, and software rendering is bound by it


class BatchCameras:
    """One named camera of every environment.

    Args:
        physics: The simulation.
        camera: Name of the camera in the model.
        width: Image width [px].
        height: Image height [px].
        parts: What to render: `rgb`, `depth_m`, `segmentation`.
        max_depth_m: Depth beyond this reads 0 [m].

    Raises:
        ValueError: If there is no such camera (lists those there are), a size is not positive, or a part
            is unknown.
        RenderingUnavailable: On the CPU backend without OpenGL; at the first `render`.
    """

    def __init__(
        self,
        physics: Physics,
        camera: str,
        width: int,
        height: int,
        *,
        parts: Sequence[Part] = ("rgb", "depth_m"),
        max_depth_m: float = 4.0,
    ) -> None:
        """See the class."""
        names = [physics.model.camera(k).name for k in range(physics.model.ncam)]
        if camera not in names:
            raise ValueError(f"no camera {camera!r}; cameras: {', '.join(names) or 'none'}")
        if width < 1 or height < 1:
            raise ValueError(f"image size is {width}x{height}; use positive numbers of pixels")
        unknown = [p for p in parts if p not in PARTS]
        if unknown or not parts:
            raise ValueError(f"parts is {list(parts)}; use some of {', '.join(PARTS)}")
        self.camera, self.width, self.height, self.parts = camera, width, height, tuple(parts)
        self._physics, self._max_depth_m = physics, max_depth_m
        fovy_rad = float(np.deg2rad(physics.model.camera(camera).fovy[0]))
        self.intrinsics = Intrinsics.from_fovy(fovy_rad, width, height)
        tracer = getattr(physics, "ray_tracer", None)
        self._tracer = tracer(camera, width, height, self.parts, SEEN_GROUPS) if tracer else None
        self._renderer = None if tracer else _EnvRenderer(physics, width, height, max_depth_m)

    def render(self, ids: Tensor | None = None) -> dict[str, Tensor]:
        """Return images of all environments, or of `ids` (n,) int64, on the physics' device.

        Returns:
            The parts asked for: `rgb` uint8 (n, height, width, 3); `depth_m` float32 (n, height, width),
            depth along the optical axis [m], 0 where nothing is in range; `segmentation` int32
            (n, height, width), the geom's id, -1 where there is none.

        Raises:
            RenderingUnavailable: On the CPU backend without OpenGL; says which package to install.
        """
        if self._tracer is not None:
            images = self._tracer.render()
            images = images if ids is None else {name: image[ids] for name, image in images.items()}
        else:
            images = self._draw(range(self._physics.num_envs) if ids is None else ids.tolist())
        if "depth_m" in images:
            depth_m = images["depth_m"]
            images["depth_m"] = torch.where(depth_m <= self._max_depth_m, depth_m, torch.zeros_like(depth_m))
        return images

    def close(self) -> None:
        """Release GL memory; idempotent."""
        if self._renderer is not None:
            self._renderer.close()

    def _draw(self, envs: Sequence[int]) -> dict[str, Tensor]:
        assert self._renderer is not None
        shape = (len(envs), self.height, self.width)
        images: dict[str, Tensor] = {
            "rgb": torch.zeros((*shape, 3), dtype=torch.uint8),
            "depth_m": torch.zeros(shape),
            "segmentation": torch.zeros(shape, dtype=torch.int32),
        }
        for row, env in enumerate(envs):
            self._renderer.show(*self._physics.mj_data(env))
            if "rgb" not in self.parts:  # one pass gives the rest
                depth_m, ids = self._renderer.depth_and_ids(self.camera)
                images["depth_m"][row], images["segmentation"][row] = (
                    torch.as_tensor(depth_m),
                    torch.as_tensor(ids),
                )
                continue
            view = self._renderer.view(self.camera, with_depth="depth_m" in self.parts)
            images["rgb"][row], images["depth_m"][row] = (
                torch.as_tensor(view.rgb),
                torch.as_tensor(view.depth_m),
            )
            if "segmentation" in self.parts:
                images["segmentation"][row] = torch.as_tensor(self._renderer.segmentation(self.camera))
        return {part: images[part] for part in self.parts}


class _EnvRenderer(TruthRenderer):
    """A renderer that is pointed from one environment to the next; they share meshes and textures."""

    def __init__(self, physics: Physics, width: int, height: int, max_depth_m: float) -> None:
        model, data = physics.mj_data(0)
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        lock: Any = nullcontext()
        super().__init__(model, data, lock, width=width, height=height, max_depth_m=max_depth_m)
        for group in range(6):
            self._option.geomgroup[group] = group in SEEN_GROUPS

    def show(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Draw this environment from now on; the model is a copy of its own."""
        model.vis.global_.offwidth, model.vis.global_.offheight = self.width, self.height
        model.vis.quality.shadowsize = min(model.vis.quality.shadowsize, _SHADOW_PX)
        self._model, self._data = model, data

    def _update(self, gl_scene: GlScene, camera_id: int, size: tuple[int, int]) -> mujoco.MjrRect:
        """Show this environment's choice of textures: the GL context has a copy of it."""
        context, model = gl_scene.context, self._model
        for name in ("mat_texid", "mat_texuniform", "mat_texrepeat"):
            value = getattr(model, name).ravel()
            getattr(context, name)[: value.size] = value
        return super()._update(gl_scene, camera_id, size)

    def _labels(self, geom_ids: NDArray[np.int32]) -> NDArray[np.int32]:
        return geom_ids
