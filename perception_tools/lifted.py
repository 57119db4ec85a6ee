"""An RGB-D frame lifted to world: points, heights above the support plane, what is valid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import BoolArray, Intrinsics, Transform
from perception_tools.plane import Plane, PlaneConfig, fit_support_plane

Window = tuple[slice, slice]
LabelImage = NDArray[np.int32]  # 0 nothing, k > 0 region k, ROBOT the robot itself
FloatImage = NDArray[np.float32]
ROBOT = -1
_PLANE_STRIDE = 3


@dataclass(frozen=True, eq=False)
class LiftedFrame:
    """One frame with its support plane.

    Attributes:
        rgb: Image, shape (H, W, 3), uint8.
        depth_m: Depth [m], shape (H, W), 0 where invalid.
        intrinsics: Of both.
        T_world_camera: Optical pose of the camera.
        robot: Pixels of the robot's own body, shape (H, W).
        points: Points in world [m], shape (H, W, 3), float32; at the camera where depth is invalid.
        valid: Pixels with depth that are not the robot, shape (H, W).
        plane: Support plane; `num_inliers` is 0 if it was not seen and had to be assumed.
        height_m: Height above the plane [m], shape (H, W); 0 where invalid.
    """

    rgb: NDArray[np.uint8]
    depth_m: FloatImage
    intrinsics: Intrinsics
    T_world_camera: Transform
    robot: BoolArray
    points: FloatImage
    valid: BoolArray
    plane: Plane
    height_m: FloatImage

    def pixel_m(self, pixels: BoolArray) -> float:
        """Return the size of a pixel at the median depth of some pixels (H, W) [m]."""
        return float(np.median(self.depth_m[pixels])) / self.intrinsics.fx

    def smoothed_height_m(self, size_px: int = 5) -> FloatImage:
        """Return the mean height of the valid pixels in a square around each pixel [m], (H, W)."""
        kernel = (size_px, size_px)
        weight = cv2.boxFilter(self.valid.astype(np.float32), -1, kernel, normalize=False)
        total = cv2.boxFilter(self.height_m, -1, kernel, normalize=False)
        return np.asarray(total / np.maximum(weight, 1), dtype=np.float32)

    def over_plane(self, pixels: BoolArray, margin: float = 1.05) -> BoolArray:
        """Return which of some pixels, (H, W), stand over the seen part of the plane: its convex hull."""
        if self.plane.num_inliers == 0 or not pixels.any():
            return pixels
        tolerance = 3 * self.plane.rmse_m + 1e-3
        coarse = np.s_[::_PLANE_STRIDE, ::_PLANE_STRIDE]
        on_plane = self.valid[coarse] & (np.abs(self.height_m[coarse]) < tolerance)
        hull = cv2.convexHull(np.ascontiguousarray(self.points[coarse][on_plane][:, :2]))[:, 0]
        middle = hull.mean(axis=0)
        hull = middle + margin * (hull - middle)
        out = np.zeros_like(pixels)
        out[pixels] = in_convex(self.points[pixels][:, :2], hull)
        return out


def lift(
    rgb: NDArray[np.uint8],
    depth_m: FloatImage,
    intrinsics: Intrinsics,
    T_world_camera: Transform,
    robot: BoolArray | None,
    config: PlaneConfig,
) -> LiftedFrame:
    """Lift a frame and find the plane; where none is seen the expected one is assumed."""
    robot = np.zeros(depth_m.shape, dtype=bool) if robot is None else robot
    points = _turned_rays(intrinsics, T_world_camera.rotation.tobytes()) * depth_m[..., None]
    points += T_world_camera.position_m.astype(np.float32)
    valid = (depth_m > 0) & ~robot
    coarse = np.s_[::_PLANE_STRIDE, ::_PLANE_STRIDE]
    plane = fit_support_plane(points[coarse][valid[coarse]], config)
    if plane is None:
        plane = Plane(np.array([0.0, 0.0, 1.0]), config.expected_z_m or 0.0)
    height = points.reshape(-1, 3) @ plane.normal.astype(np.float32) - np.float32(plane.offset_m)
    height = np.where(valid, height.reshape(valid.shape), 0).astype(np.float32)
    return LiftedFrame(rgb, depth_m, intrinsics, T_world_camera, robot, points, valid, plane, height)


def in_convex(xy: NDArray[np.floating], hull: NDArray[np.floating]) -> BoolArray:
    """Return which points (N, 2) lie in a convex polygon (K, 2), (N,)."""
    edges = np.roll(hull, -1, axis=0) - hull
    constant = edges[:, 0] * hull[:, 1] - edges[:, 1] * hull[:, 0]
    cross = xy[:, 1:2] * edges[:, 0] - xy[:, :1] * edges[:, 1] - constant
    return np.asarray((cross >= 0).all(axis=1) | (cross <= 0).all(axis=1))


def window_of(mask: BoolArray, pad_px: int = 0) -> Window:
    """Return the smallest window around a mask, grown by `pad_px` but inside the image."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    rows = slice(max(0, top - pad_px), min(mask.shape[0], top + height + pad_px))
    return rows, slice(max(0, left - pad_px), min(mask.shape[1], left + width + pad_px))


def grown(window: Window, pad_px: int, shape: tuple[int, ...]) -> Window:
    """Return a window grown by `pad_px` but inside an image of a shape (H, W, ...)."""
    rows, columns = window
    return (
        slice(max(0, rows.start - pad_px), min(shape[0], rows.stop + pad_px)),
        slice(max(0, columns.start - pad_px), min(shape[1], columns.stop + pad_px)),
    )


@lru_cache(maxsize=4)
def _rays(intrinsics: Intrinsics) -> FloatImage:
    """Return the points at unit depth of all pixels in the optical frame, (H, W, 3)."""
    rays = intrinsics.deproject_image(np.ones((intrinsics.height, intrinsics.width))).astype(np.float32)
    rays.flags.writeable = False
    return rays


@lru_cache(maxsize=4)
def _turned_rays(intrinsics: Intrinsics, rotation: bytes) -> FloatImage:
    """Return the rays of all pixels turned by a rotation (3, 3), (H, W, 3); cameras often stand still."""
    turn = np.frombuffer(rotation).reshape(3, 3).T.astype(np.float32)
    turned = (_rays(intrinsics).reshape(-1, 3) @ turn).reshape(intrinsics.height, intrinsics.width, 3)
    turned.flags.writeable = False
    return turned
