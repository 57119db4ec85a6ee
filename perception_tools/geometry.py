"""Frames, rigid transforms and pinhole intrinsics: the vocabulary every room shares.

`T_A_B` maps points from frame B to frame A: ``p_A = T_A_B @ p_B``. A `Transform` carries the
names of both frames and refuses to be composed across the wrong one. Rotations are scalar-first
quaternions (`quat_wxyz`). Camera frames are optical (x right, y down, z forward; ROS REP 103).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class FrameError(ValueError):
    """Two quantities in different frames were mixed; the message names both frames."""


@dataclass(frozen=True, eq=False)
class Transform:
    """Pose of frame `child` in frame `parent`, i.e. ``T_parent_child``.

    Attributes:
        matrix: Homogeneous matrix, shape (4, 4), translation in [m].
        parent: Frame that points are mapped to.
        child: Frame that points are mapped from.
    """

    matrix: FloatArray
    parent: str
    child: str

    def __post_init__(self) -> None:
        """Check shape, finiteness and that the rotation block is a rotation."""
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4):
            raise ValueError(f"Transform needs a (4, 4) matrix, got {matrix.shape}")
        if not np.isfinite(matrix).all():
            raise ValueError("Transform has non-finite entries")
        rotation = matrix[:3, :3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5) or np.linalg.det(rotation) < 0:
            raise ValueError("Transform's rotation block is not a rotation matrix")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls, parent: str, child: str) -> Transform:
        """Return the transform between two coinciding frames."""
        return cls(np.eye(4), parent, child)

    @classmethod
    def from_parts(
        cls,
        position_m: ArrayLike,
        rotation: ArrayLike,
        *,
        parent: str,
        child: str,
    ) -> Transform:
        """Build from a position and a rotation.

        Args:
            position_m: Origin of `child` in `parent` [m], shape (3,).
            rotation: Rotation matrix, shape (3, 3), or `quat_wxyz`, shape (4,).
            parent: Frame mapped to.
            child: Frame mapped from.

        Raises:
            ValueError: If `rotation` has neither shape.
        """
        block = np.asarray(rotation, dtype=np.float64)
        if block.shape == (4,):
            block = Rotation.from_quat(block, scalar_first=True).as_matrix()
        if block.shape != (3, 3):
            raise ValueError(f"rotation must be (3, 3) or quat_wxyz (4,), got {block.shape}")
        matrix = np.eye(4)
        matrix[:3, :3] = block
        matrix[:3, 3] = np.asarray(position_m, dtype=np.float64)
        return cls(matrix, parent, child)

    @property
    def position_m(self) -> FloatArray:
        """Origin of `child` in `parent` [m], shape (3,)."""
        return self.matrix[:3, 3]

    @property
    def rotation(self) -> FloatArray:
        """Rotation matrix, shape (3, 3)."""
        return self.matrix[:3, :3]

    @property
    def quat_wxyz(self) -> FloatArray:
        """Rotation as a scalar-first unit quaternion with w >= 0, shape (4,)."""
        return Rotation.from_matrix(self.rotation).as_quat(canonical=True, scalar_first=True)

    def inverse(self) -> Transform:
        """Return ``T_child_parent``."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation.T
        matrix[:3, 3] = -self.rotation.T @ self.position_m
        return Transform(matrix, self.child, self.parent)

    def rotate(self, vectors: ArrayLike) -> FloatArray:
        """Rotate direction vectors of `child`, shape (..., 3), into `parent` (no translation)."""
        return np.asarray(vectors, dtype=np.float64) @ self.rotation.T

    @overload
    def __matmul__(self, other: Transform) -> Transform: ...
    @overload
    def __matmul__(self, other: ArrayLike) -> FloatArray: ...
    def __matmul__(self, other: Transform | ArrayLike) -> Transform | FloatArray:
        """Compose with a transform, or map points of `child`, shape (..., 3), into `parent`.

        Raises:
            FrameError: If ``self.child != other.parent``.
        """
        if isinstance(other, Transform):
            if self.child != other.parent:
                raise FrameError(
                    f"cannot compose T_{self.parent}_{self.child} with "
                    f"T_{other.parent}_{other.child}: {self.child!r} is not {other.parent!r}"
                )
            return Transform(self.matrix @ other.matrix, self.parent, other.child)
        return self.rotate(other) + self.position_m


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera without distortion; pixel centres at integer coordinates.

    Attributes:
        fx: Focal length along u [px].
        fy: Focal length along v [px].
        cx: Principal point u [px].
        cy: Principal point v [px].
        width: Image width [px].
        height: Image height [px].
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse sizes and focal lengths that are not positive and finite."""
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"image size must be positive, got {self.width}x{self.height}")
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all() and self.fx > 0 and self.fy > 0):
            raise ValueError(f"focal lengths must be positive and finite, got fx={self.fx}, fy={self.fy}")

    @classmethod
    def from_fovy(cls, fovy_rad: float, width: int, height: int) -> Intrinsics:
        """Build for square pixels from the vertical field of view [rad]."""
        focal = 0.5 * height / np.tan(0.5 * fovy_rad)
        return cls(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)

    def crop(self, left: int, top: int, width: int, height: int) -> Intrinsics:
        """Return the intrinsics of the sub-image whose first pixel is (left, top) [px]."""
        return Intrinsics(self.fx, self.fy, self.cx - left, self.cy - top, width, height)

    def resize(self, width: int, height: int) -> Intrinsics:
        """Return the intrinsics after resampling the image to `width` x `height` [px]."""
        su, sv = width / self.width, height / self.height
        return Intrinsics(
            self.fx * su,
            self.fy * sv,
            (self.cx + 0.5) * su - 0.5,
            (self.cy + 0.5) * sv - 0.5,
            width,
            height,
        )

    def project(self, p_camera: ArrayLike) -> FloatArray:
        """Project points in the optical frame [m], shape (..., 3), to `uv_px`, shape (..., 2).

        Points with z <= 0 map to NaN.
        """
        p_camera = np.asarray(p_camera, dtype=np.float64)
        z = np.where(p_camera[..., 2] > 0, p_camera[..., 2], np.nan)
        u = self.fx * p_camera[..., 0] / z + self.cx
        v = self.fy * p_camera[..., 1] / z + self.cy
        return np.stack([u, v], axis=-1)

    def deproject(self, uv_px: ArrayLike, depth_m: ArrayLike) -> FloatArray:
        """Lift pixels, shape (..., 2), with depth along z [m], shape (...), to the optical frame [m]."""
        uv_px = np.asarray(uv_px, dtype=np.float64)
        depth_m = np.asarray(depth_m, dtype=np.float64)
        x = (uv_px[..., 0] - self.cx) / self.fx * depth_m
        y = (uv_px[..., 1] - self.cy) / self.fy * depth_m
        return np.stack([x, y, depth_m], axis=-1)

    def deproject_image(self, depth_m: ArrayLike) -> FloatArray:
        """Lift a whole depth image [m], shape (H, W), to points in the optical frame, (H, W, 3).

        Raises:
            ValueError: If the image's shape is not (height, width).
        """
        depth_m = np.asarray(depth_m, dtype=np.float64)
        if depth_m.shape != (self.height, self.width):
            raise ValueError(f"depth must be ({self.height}, {self.width}), got {depth_m.shape}")
        v, u = np.indices(depth_m.shape)
        return self.deproject(np.stack([u, v], axis=-1), depth_m)


def look_at(eye_m: Sequence[float], target_m: Sequence[float], *, parent: str, child: str) -> Transform:
    """Return the optical pose of a camera at `eye_m` that looks at `target_m`, image up = +z.

    Raises:
        ValueError: If eye and target coincide.
    """
    forward = np.asarray(target_m, dtype=np.float64) - np.asarray(eye_m, dtype=np.float64)
    norm = np.linalg.norm(forward)
    if norm < 1e-9:
        raise ValueError("look_at: eye and target coincide")
    forward /= norm
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([1.0, 0.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    return Transform.from_parts(
        eye_m, np.stack([right, np.cross(forward, right), forward], axis=1), parent=parent, child=child
    )
