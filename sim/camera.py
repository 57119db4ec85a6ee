"""Simulated RGB-D camera with the errors of a real one.

The depth model follows structured-light/stereo sensors: axial noise grows with the square of the
distance (Nguyen, Izadi and Lovell 2012, eq. 3; stereo: sigma_z = z^2 * sigma_disparity / (f * b)), a
lateral error of about a pixel shifts edges, and pixels near discontinuities or seen at grazing
angles are often invalid.
"""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.camera import RgbdFrame
from perception_tools.geometry import Intrinsics
from sim.rendering import Renderer


@dataclass(frozen=True)
class DepthNoiseConfig:
    """Errors of the depth image.

    Attributes:
        enabled: Whether there are any.
        sigma_floor_m: Axial deviation at zero distance [m].
        sigma_per_m: Axial deviation per squared distance [m/m^2].
        correlation_px: Scale of the noise's spatial correlation [px].
        lateral_px: Deviation of the lateral error [px].
        edge_step: Relative depth jump between neighbours that counts as an edge.
        edge_dropout: Fraction of edge pixels without depth.
        grazing_deg: Angle between ray and surface normal beyond which depth drops out [deg].
        dropout: Fraction of all pixels without depth.
        min_depth_m: Nearer than this is invalid [m].
        max_depth_m: Farther than this is invalid [m].
        rgb_sigma: Deviation of the colour noise [levels of 255].
    """

    enabled: bool = True
    sigma_floor_m: float = 0.0004
    sigma_per_m: float = 0.0009
    correlation_px: float = 1.0
    lateral_px: float = 0.4
    edge_step: float = 0.012
    edge_dropout: float = 0.5
    grazing_deg: float = 82.0
    dropout: float = 0.001
    min_depth_m: float = 0.07
    max_depth_m: float = 3.0
    rgb_sigma: float = 1.5


@dataclass(frozen=True)
class SimCameraConfig:
    """Settings of a simulated camera.

    Attributes:
        width: Image width [px].
        height: Image height [px].
        noise: Errors of the images.
    """

    width: int = 640
    height: int = 480
    noise: DepthNoiseConfig = field(default_factory=DepthNoiseConfig)


class SimCamera:
    """A `Camera` of the simulated scene; any thread may capture.

    Args:
        name: Camera name in the model.
        renderer: Renderer of the model; its size is the image size.
        config: Settings; size must equal the renderer's.
        seed: Seed of the noise; frame k of equal seeds has equal noise.

    Raises:
        ValueError: The model has no such camera, or sizes differ.
    """

    def __init__(
        self, name: str, renderer: Renderer, config: SimCameraConfig | None = None, seed: int = 0
    ) -> None:
        """See the class."""
        self._config = config or SimCameraConfig()
        if name not in renderer.camera_names:
            raise ValueError(f"no camera {name!r}; cameras: {', '.join(renderer.camera_names) or 'none'}")
        if (renderer.width, renderer.height) != (self._config.width, self._config.height):
            raise ValueError(
                f"camera {name!r} is {self._config.width}x{self._config.height} but its renderer is "
                f"{renderer.width}x{renderer.height}"
            )
        self._name = name
        self._view = renderer.view
        self._seed = (seed, zlib.crc32(name.encode()))
        self._frames, self._frames_lock = 0, threading.Lock()

    @property
    def name(self) -> str:
        """Name of the camera."""
        return self._name

    def capture(self) -> RgbdFrame:
        """Return a new frame, stamped with simulation time.

        Raises:
            RenderingUnavailable: No GL; says which package to install.
        """
        view = self._view(self._name)
        with self._frames_lock:
            frame, self._frames = self._frames, self._frames + 1
        rng = np.random.default_rng((*self._seed, frame))
        noise = self._config.noise
        rgb, depth_m = view.rgb, view.depth_m
        if noise.enabled:
            rgb = add_rgb_noise(rgb, noise, rng)
            depth_m = add_depth_noise(depth_m, view.intrinsics, noise, rng)
        return RgbdFrame(rgb, depth_m, view.intrinsics, view.T_world_camera, view.time_s, self._name)

    def preview(self, width: int | None = None) -> NDArray[np.uint8]:
        """Return only colour, without noise, (H, W, 3), maybe smaller: cheap frames for videos."""
        return self._view(self._name, with_depth=False, width=width).rgb


def add_rgb_noise(
    rgb: NDArray[np.uint8], config: DepthNoiseConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the colour image, (H, W, 3), with Gaussian noise."""
    if config.rgb_sigma <= 0:
        return rgb
    noise = rng.standard_normal(rgb.shape[:2], dtype=np.float32)[..., None] * config.rgb_sigma
    return np.clip(rgb + noise + 0.5, 0, 255).astype(np.uint8)


def add_depth_noise(
    depth_m: NDArray[np.float32], intrinsics: Intrinsics, config: DepthNoiseConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return depth [m], (H, W), as a real sensor would give it; 0 is invalid in and out."""
    out = _shift(depth_m, config.lateral_px, rng)
    valid = (out >= config.min_depth_m) & (out <= config.max_depth_m)
    valid &= ~(_edges(depth_m, config.edge_step) & (rng.random(out.shape, np.float32) < config.edge_dropout))
    valid &= rng.random(out.shape, np.float32) >= config.dropout
    valid &= _facing(depth_m, intrinsics) > np.cos(np.deg2rad(config.grazing_deg))
    white = rng.standard_normal(out.shape, dtype=np.float32)
    if config.correlation_px > 0:
        white = cv2.GaussianBlur(white, (0, 0), config.correlation_px)
        white *= 2 * np.sqrt(np.pi) * config.correlation_px  # back to unit deviation
    out = out + (config.sigma_floor_m + config.sigma_per_m * out**2) * white
    return np.where(valid, out, 0).astype(np.float32)


def depth_sigma_m(depth_m: NDArray[np.float32] | float, config: DepthNoiseConfig) -> NDArray[np.float64]:
    """Return the axial standard deviation [m] at a depth [m]."""
    return np.asarray(config.sigma_floor_m + config.sigma_per_m * np.asarray(depth_m) ** 2)


def _shift(depth_m: NDArray[np.float32], lateral_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Look every pixel up at a place off by a smooth random field: edges wander, planes stay."""
    if lateral_px <= 0:
        return depth_m
    h, w = depth_m.shape
    v, u = np.mgrid[0:h, 0:w].astype(np.float32)
    fields = [
        cv2.resize(rng.standard_normal((h // 4, w // 4), dtype=np.float32), (w, h)) * lateral_px
        for _ in range(2)
    ]
    moved = cv2.remap(
        depth_m, u + fields[0], v + fields[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, dtype=np.float32)


def _edges(depth_m: NDArray[np.float32], step: float) -> NDArray[np.bool_]:
    kernel = np.ones((3, 3), np.uint8)
    span = cv2.dilate(depth_m, kernel) - cv2.erode(depth_m, kernel)
    return span > step * np.maximum(depth_m, 0.1)


def _facing(depth_m: NDArray[np.float32], intrinsics: Intrinsics) -> NDArray[np.floating]:
    """Return the cosine between viewing ray and surface normal, (H, W)."""
    h, w = depth_m.shape
    inverse = 1 / np.maximum(depth_m, 1e-3)  # inverse depth is linear in pixels on a plane
    a = cv2.Sobel(inverse, cv2.CV_32F, 1, 0, ksize=3) / 8 * intrinsics.fx
    b = cv2.Sobel(inverse, cv2.CV_32F, 0, 1, ksize=3) / 8 * intrinsics.fy
    x = ((np.arange(w, dtype=np.float32) - intrinsics.cx) / intrinsics.fx)[None]
    y = ((np.arange(h, dtype=np.float32) - intrinsics.cy) / intrinsics.fy)[:, None]
    c = inverse - a * x - b * y
    return np.abs(inverse) / np.maximum(np.sqrt((a * a + b * b + c * c) * (x * x + y * y + 1)), 1e-9)
