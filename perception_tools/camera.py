"""The `Camera` contract and the RGB-D frame that every camera, real or simulated, returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import FloatArray, Intrinsics, Transform


@dataclass(frozen=True, eq=False)
class RgbdFrame:
    """One image with metric depth, registered to the same pixels.

    Attributes:
        rgb: Colour image, shape (H, W, 3), uint8.
        depth_m: Depth along the optical axis [m], shape (H, W), float32, 0 = invalid; None if
            the camera has no depth.
        intrinsics: Pinhole intrinsics of both images.
        T_world_camera: Optical pose of the camera in world at the time of the image.
        stamp_s: Acquisition time on the robot's clock [s].
        source: Name of the camera.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None
    intrinsics: Intrinsics
    T_world_camera: Transform
    stamp_s: float
    source: str

    def __post_init__(self) -> None:
        """Check shapes, dtypes, depth range and frame names."""
        size = (self.intrinsics.height, self.intrinsics.width)
        if self.rgb.shape != (*size, 3) or self.rgb.dtype != np.uint8:
            raise ValueError(f"rgb must be uint8 {(*size, 3)}, got {self.rgb.dtype} {self.rgb.shape}")
        if self.depth_m is not None:
            if self.depth_m.shape != size or self.depth_m.dtype != np.float32:
                raise ValueError(
                    f"depth_m must be float32 {size}, got {self.depth_m.dtype} {self.depth_m.shape}"
                )
            if not np.isfinite(self.depth_m).all() or (self.depth_m < 0).any():
                raise ValueError("depth_m must be finite and >= 0 (0 = invalid)")
        if self.T_world_camera.parent != "world":
            raise ValueError(f"T_world_camera must have parent 'world', got {self.T_world_camera.parent!r}")

    def points_world(self) -> FloatArray:
        """Lift every pixel to world [m], shape (H, W, 3); invalid pixels are NaN.

        Raises:
            ValueError: If the frame has no depth.
        """
        if self.depth_m is None:
            raise ValueError(f"frame from camera {self.source!r} has no depth")
        points = self.T_world_camera @ self.intrinsics.deproject_image(self.depth_m)
        points[self.depth_m <= 0] = np.nan
        return points


@runtime_checkable
class Camera(Protocol):
    """Anything that returns RGB-D frames. Implementers run `tests/contracts/camera_suite.py`."""

    @property
    def name(self) -> str:
        """Name of the camera; also `RgbdFrame.source` and the `child` of its poses (``camera:<name>``)."""
        ...

    def capture(self) -> RgbdFrame:
        """Return a new frame.

        Raises:
            RuntimeError: If the camera cannot deliver (unplugged, no GL); states what to do.
        """
        ...
