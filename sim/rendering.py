"""Offscreen rendering: the one place that turns OpenGL conventions into the optical frame.

All GL work of a process runs in one thread with one context, because EGL contexts are bound to
threads. Physics is only locked while its state is copied, and never by a thread that holds another
lock: listeners render with the physics lock held. EGL is tried first, then OSMesa; the
environment variable MUJOCO_GL=egl|osmesa|disabled overrides. Without GL everything that needs no
picture still works, and asking for one raises `RenderingUnavailable`.

`TruthRenderer` adds segmentation. It is for evaluation and tests only: cameras are built on
`Renderer`, which has none.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import FloatArray, Intrinsics, Transform
from sim.gl_thread import GlScene, RenderingUnavailable, render_thread, rendering_backend

__all__ = ["RawView", "Renderer", "RenderingUnavailable", "TruthRenderer", "rendering_backend"]

# GL cameras look along -z with y up; optical ones along +z with y down.
_GL_FROM_OPTICAL = np.diag([1.0, -1.0, -1.0])
_DRAWN_GROUPS = (0, 1, 2)  # collision geoms (3 and up) are not drawn


@dataclass(frozen=True, eq=False)
class RawView:
    """A noiseless view.

    Attributes:
        rgb: Colour image, (H, W, 3), uint8.
        depth_m: Depth along the optical axis [m], (H, W), float32, 0 where nothing is in range.
        intrinsics: Pinhole intrinsics.
        T_world_camera: Optical pose of the camera.
        time_s: Simulation time [s].
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    intrinsics: Intrinsics
    T_world_camera: Transform
    time_s: float


@dataclass(frozen=True, eq=False)
class _State:
    """What of the live state decides how it looks."""

    qpos: FloatArray
    mocap_pos: FloatArray
    mocap_quat: FloatArray
    time_s: float


# ---- renderers ----------------------------------------------------------------------------------


class Renderer:
    """Renders colour and metric depth of one model from its named cameras.

    Args:
        model: The model.
        data: Live state; read under `lock` only.
        lock: The physics lock.
        width: Image width [px].
        height: Image height [px].
        max_depth_m: Depth beyond this reads 0 [m].

    Raises:
        ValueError: If the size exceeds the model's offscreen buffer; says how to enlarge it.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        lock: Any,
        *,
        width: int = 640,
        height: int = 480,
        max_depth_m: float = 4.0,
    ) -> None:
        """See the class."""
        limit = (model.vis.global_.offwidth, model.vis.global_.offheight)
        if width > limit[0] or height > limit[1]:
            raise ValueError(
                f"image {width}x{height} exceeds the offscreen buffer {limit[0]}x{limit[1]}; "
                "set spec.visual.global_.offwidth/offheight"
            )
        self._model, self._data, self._physics_lock = model, data, lock
        self._copy = mujoco.MjData(model)
        self._copy_lock = threading.Lock()
        self.width, self.height, self.max_depth_m = width, height, max_depth_m
        self._option = mujoco.MjvOption()
        for group in range(6):
            self._option.geomgroup[group] = group in _DRAWN_GROUPS
            self._option.sitegroup[group] = 0
        self._gl_scene: GlScene | None = None
        self._free: Callable[[], Any] = lambda: None
        self._closed = False

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the model's cameras."""
        return tuple(self._model.camera(k).name for k in range(self._model.ncam))

    def view(self, camera: str, *, with_depth: bool = True, width: int | None = None) -> RawView:
        """Render one camera now.

        Args:
            camera: Camera name.
            with_depth: If False, `depth_m` is all zero and costs nothing (videos).
            width: Smaller image width [px] than the renderer's, with the same proportions.

        Raises:
            ValueError: Unknown camera (lists the valid ones), or `width` out of range.
            RenderingUnavailable: No GL; says which package to install.
        """
        camera_id = self._camera_id(camera)
        size = (self.width, self.height)
        if width is not None:
            if not 0 < width <= self.width:
                raise ValueError(f"width must be in 1..{self.width}, got {width}")
            size = (width, max(1, round(width * self.height / self.width)))
        state = self._snapshot()
        with self._copy_lock:
            self._place(state)
            rgb, depth_m = render_thread().call(lambda: self._draw(camera_id, with_depth, size))
            T_world_camera = self._pose(camera, camera_id)
        fovy_rad = float(np.deg2rad(self._model.cam_fovy[camera_id]))
        intrinsics = Intrinsics.from_fovy(fovy_rad, *size)
        return RawView(rgb, depth_m, intrinsics, T_world_camera, state.time_s)

    def close(self) -> None:
        """Release GL memory; idempotent."""
        self._closed = True
        self._free()

    def _camera_id(self, camera: str) -> int:
        if self._closed:
            raise RuntimeError("renderer is closed")
        if camera not in self.camera_names:
            raise ValueError(f"no camera {camera!r}; cameras: {', '.join(self.camera_names) or 'none'}")
        return self._model.camera(camera).id

    def _snapshot(self) -> _State:
        data = self._data
        with self._physics_lock:
            return _State(data.qpos.copy(), data.mocap_pos.copy(), data.mocap_quat.copy(), float(data.time))

    def _place(self, state: _State) -> None:
        """Bring the copy that is drawn into a state (with the copy's lock held)."""
        self._copy.qpos[:] = state.qpos
        self._copy.mocap_pos[:], self._copy.mocap_quat[:] = state.mocap_pos, state.mocap_quat
        mujoco.mj_kinematics(self._model, self._copy)
        mujoco.mj_comPos(self._model, self._copy)
        mujoco.mj_camlight(self._model, self._copy)

    def _pose(self, camera: str, camera_id: int) -> Transform:
        rotation = self._copy.cam_xmat[camera_id].reshape(3, 3) @ _GL_FROM_OPTICAL
        return Transform.from_parts(
            self._copy.cam_xpos[camera_id], rotation, parent="world", child=f"camera:{camera}"
        )

    def _open(self) -> GlScene:
        gl = render_thread()
        if self._gl_scene is None:
            self._gl_scene = GlScene(gl, self._model)
            self._free = weakref.finalize(self, gl.post, self._gl_scene.free)
            self._free.atexit = False
        gl.make_current()
        return self._gl_scene

    def _update(self, gl_scene: GlScene, camera_id: int, size: tuple[int, int]) -> mujoco.MjrRect:
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        view.fixedcamid = camera_id
        mujoco.mjv_updateScene(
            self._model, self._copy, self._option, None, view, mujoco.mjtCatBit.mjCAT_ALL, gl_scene.scene
        )
        return mujoco.MjrRect(0, 0, *size)

    def _draw(
        self, camera_id: int, with_depth: bool, size: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        gl_scene = self._open()
        rect = self._update(gl_scene, camera_id, size)
        rgb = np.empty((size[1], size[0], 3), np.uint8)
        gl_scene.render(rect)
        mujoco.mjr_readPixels(rgb, None, rect, gl_scene.context)
        if not with_depth:
            return rgb[::-1].copy(), np.zeros((size[1], size[0]), np.float32)
        window = np.empty((size[1], size[0]), np.float32)
        with _flat_colors(gl_scene.scene):
            gl_scene.render(rect)
            mujoco.mjr_readPixels(None, window, rect, gl_scene.context)
        return rgb[::-1].copy(), self._metric(window[::-1])

    def _metric(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Undo the reversed-z projection: window depth 1 at the near plane, 0 at the far one."""
        extent = self._model.stat.extent
        near, far = self._model.vis.map.znear * extent, self._model.vis.map.zfar * extent
        depth_m = near * far / (near + window.astype(np.float64) * (far - near))
        depth_m[(window <= 0) | (depth_m > self.max_depth_m)] = 0
        return depth_m.astype(np.float32)


class TruthRenderer(Renderer):
    """A renderer that also knows what every pixel shows; held by the judge's side only."""

    def segmentation(self, camera: str) -> NDArray[np.int32]:
        """Return the body id at every pixel, (H, W); -1 where nothing is drawn."""
        camera_id = self._camera_id(camera)
        state = self._snapshot()
        with self._copy_lock:
            self._place(state)
            return render_thread().call(lambda: self._draw_ids(camera_id))

    def depth_and_ids(self, camera: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return depth along the optical axis [m] and what `segmentation` returns, (H, W) each."""
        camera_id = self._camera_id(camera)
        state = self._snapshot()
        with self._copy_lock:
            self._place(state)
            return render_thread().call(lambda: self._draw_flat(camera_id))

    def _draw_ids(self, camera_id: int) -> NDArray[np.int32]:
        return self._draw_flat(camera_id)[1]

    def _draw_flat(self, camera_id: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        gl_scene = self._open()
        rect = self._update(gl_scene, camera_id, (self.width, self.height))
        pixels = np.empty((self.height, self.width, 3), np.uint8)
        window = np.empty((self.height, self.width), np.float32)
        with _flat_colors(gl_scene.scene):
            gl_scene.render(rect)
            mujoco.mjr_readPixels(pixels, window, rect, gl_scene.context)
        ids = pixels[::-1].astype(np.int32) @ np.array([1, 256, 65536], np.int32)
        geom_of = np.full(gl_scene.scene.ngeom + 1, -1, np.int32)
        for geom in gl_scene.scene.geoms[: gl_scene.scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                geom_of[geom.segid + 1] = geom.objid
        return self._metric(window[::-1]), self._labels(geom_of[ids])

    def _labels(self, geom_ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return what pixels are labelled with, from the geoms there (-1: none)."""
        return np.where(geom_ids >= 0, self._model.geom_bodyid[geom_ids], -1).astype(np.int32)


class _flat_colors:  # noqa: N801 (a context manager)
    """Draw ids instead of shaded colours: exact, fast, without antialiasing."""

    def __init__(self, scene: mujoco.MjvScene) -> None:
        self._scene = scene

    def __enter__(self) -> None:
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = 1
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1

    def __exit__(self, *_: object) -> None:
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
