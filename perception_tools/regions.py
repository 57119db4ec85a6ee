"""What one view shows of each region: evidence for its shape, whether it is open, what it stands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.fitting import Evidence
from perception_tools.geometry import BoolArray, FloatArray
from perception_tools.lifted import FloatImage, LabelImage, LiftedFrame, Window, in_convex, window_of
from perception_tools.outlines import core_of, outline_cracks, without_holes

_PAD_PX = 3
_RIM_M = 0.006
_ENOUGH_PX = 8
_STEP_M = 0.006  # smaller steps in depth do not tell what is in front
_NO_DEPTH_M = 100.0
_SEAM_PX = 9  # square that reaches across the pixels without depth along a step


@dataclass(frozen=True, eq=False)
class Region:
    """One region.

    Attributes:
        window: Part of the image that holds it, with a few pixels around.
        mask: Its pixels in the window.
        evidence: Points and outline for fitting.
        visible: Share of its outline that is not hidden or cut off, in [0, 1].
        is_open: Whether it is open at the top and hollow.
        low_m: Height of its lowest visible points above the plane [m].
        low_z_m: The same in world [m].
        top_z_m: Height of its highest points in world [m].
        footprint: Convex hull of its points in world x, y [m], (K, 2), float32.
        bounds_xy: Least and greatest corner of the footprint [m], (2,) each.
    """

    window: Window
    mask: BoolArray
    evidence: Evidence
    visible: float
    is_open: bool
    low_m: float
    low_z_m: float
    top_z_m: float
    footprint: NDArray[np.float32]
    bounds_xy: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def area_m2(self) -> float:
        """Area of the footprint."""
        return float(cv2.contourArea(self.footprint)) if len(self.footprint) > 2 else 0.0

    def full_mask(self, shape: tuple[int, ...]) -> BoolArray:
        """Return its pixels in an image of a shape (H, W)."""
        out = np.zeros(shape, dtype=bool)
        out[self.window] = self.mask
        return out


def region_of(frame: LiftedFrame, labels: LabelImage, members: Iterable[int]) -> Region | None:
    """Gather what the view shows of some labels taken as one region; None if it has no usable points."""
    everywhere = np.logical_or.reduce([labels == k for k in members])
    window = window_of(everywhere, _PAD_PX)
    mask, valid = everywhere[window], frame.valid[window]
    used = core_of(mask) & valid
    if used.sum() < _ENOUGH_PX:
        return None
    points = frame.points[window][used].astype(np.float64)
    doubtful, hidden = _in_front(frame, window, mask, labels[window])
    cracks, visible = outline_cracks(without_holes(mask), doubtful, hidden)
    outline = cracks + np.array([window[1].start, window[0].start])
    sigma_m = max(0.0012, 1.5 * frame.plane.rmse_m)
    evidence = Evidence(points, outline, frame.intrinsics, frame.T_world_camera, sigma_m)
    footprint = np.asarray(cv2.convexHull(points[:, :2].astype(np.float32))[:, 0], dtype=np.float32)
    return Region(
        window=window,
        mask=mask,
        evidence=evidence,
        visible=visible,
        is_open=_is_open(frame, window, mask & valid, points),
        low_m=float(np.quantile(frame.plane.height_m(points), 0.05)),
        low_z_m=float(np.quantile(points[:, 2], 0.05)),
        top_z_m=top_z_of(points),
        footprint=footprint,
        bounds_xy=(footprint.min(axis=0), footprint.max(axis=0)),
    )


def top_z_of(points: FloatArray) -> float:
    """Return the height of the highest of some points (N, 3) [m], robustly."""
    return float(np.quantile(points[:, 2], 0.97))


def overlap(a: Region, b: Region) -> float:
    """Return the common area of two footprints over that of the smaller."""
    smaller = min(a.area_m2, b.area_m2)
    if smaller <= 0:
        return 0.0
    return float(cv2.intersectConvexConvex(a.footprint, b.footprint)[0] / smaller)


@dataclass(frozen=True)
class Support:
    """What a region stands on: the region `label`, in it if `is_inside`, else on its top."""

    label: int
    is_inside: bool


def find_supports(regions: Mapping[int, Region], touch_m: float = 0.02) -> dict[int, Support | None]:
    """Return for every region what it stands on or in; None: the plane.

    Args:
        regions: Regions by label.
        touch_m: Tolerance of contact [m]: how far apart the lowest visible points of a thing and
            the highest of the one it stands on may be.
    """
    return {k: _support_of(k, regions, touch_m) for k in regions}


def _support_of(k: int, regions: Mapping[int, Region], touch_m: float) -> Support | None:
    me = regions[k]
    middle = me.evidence.points[:, :2].mean(axis=0, keepdims=True)
    found: list[tuple[float, Support]] = []
    for j, other in regions.items():
        if j == k or len(other.footprint) < 3 or not _near(me, other, touch_m):
            continue
        is_over = bool(in_convex(middle, other.footprint)[0]) and overlap(me, other) > 0.7
        if other.is_open and is_over and other.area_m2 > 1.15 * me.area_m2:
            found.append((other.top_z_m, Support(j, is_inside=True)))
        elif _rests_on(me, other, touch_m):
            found.append((other.top_z_m, Support(j, is_inside=False)))
    return max(found, key=lambda f: f[0], default=(0.0, None))[1]


def _near(a: Region, b: Region, reach_m: float) -> bool:
    """Return whether the bounds of two footprints come within `reach_m` of each other."""
    (a_low, a_high), (b_low, b_high) = a.bounds_xy, b.bounds_xy
    gap = np.maximum(a_low - b_high, b_low - a_high)
    return bool((gap < reach_m).all())


def _rests_on(upper: Region, lower: Region, touch_m: float) -> bool:
    """Return whether heights and places are those of a thing on another one.

    What it covers of the lower one is not seen, maybe all but its front; a taller thing behind a
    lower one shows the same heights but begins only where the lower one ends.
    """
    high_m = lower.top_z_m - upper.low_z_m + upper.low_m  # the lower one's top above the plane
    step_m = upper.low_z_m - lower.top_z_m
    if not -touch_m / 2 < step_m < 1.5 * touch_m or upper.top_z_m < lower.top_z_m + touch_m / 2:
        return False
    if upper.low_m < max(0.008, 0.6 * high_m) or (lower.is_open and overlap(upper, lower) < 0.4):
        return False
    away = lower.evidence.points[:, :2].mean(axis=0) - lower.evidence.T_world_camera.position_m[:2]
    away /= max(float(np.linalg.norm(away)), 1e-9)
    (near_u, far_u), (near_l, far_l) = _extent(upper, away), _extent(lower, away)
    across = np.array([-away[1], away[0]])
    (left_u, right_u), (left_l, right_l) = _extent(upper, across), _extent(lower, across)
    beside = min(right_u, right_l) - max(left_u, left_l) < 0.4 * min(right_u - left_u, right_l - left_l)
    only_front = far_l - near_l < touch_m and abs(near_u - near_l) < touch_m
    is_over = near_u < far_l - touch_m / 3 and far_u > near_l + touch_m / 3
    return not beside and (is_over or only_front)


def _extent(region: Region, direction: FloatArray) -> tuple[float, float]:
    """Return from where to where a region reaches along a direction (2,) [m]."""
    low, high = np.quantile(region.evidence.points[:, :2] @ direction, [0.02, 0.98])
    return float(low), float(high)


def _in_front(
    frame: LiftedFrame, window: Window, mask: BoolArray, labels: LabelImage
) -> tuple[BoolArray, BoolArray]:
    """Return the pixels of other things in the window that may be in front of the region, and that are.

    Along steps in depth there is a seam of pixels without. No outline is measured there; but whether
    something hides the region, the nearest of the things around tells.
    """
    others = (labels != 0) & ~mask
    valid, depth_m = frame.valid[window], frame.depth_m[window]
    near_m = _least_depth(depth_m, mask & valid, 5)
    may_be = others & ~((near_m < _NO_DEPTH_M) & (depth_m > near_m + _STEP_M))
    own_m, other_m = (_least_depth(depth_m, m & valid, _SEAM_PX) for m in (mask, others))
    both = np.maximum(own_m, other_m) < _NO_DEPTH_M
    return may_be, may_be & ~(both & ~valid & (other_m > own_m + _STEP_M))


def _least_depth(depth_m: FloatImage, pixels: BoolArray, size_px: int) -> FloatImage:
    """Return the least depth of some pixels in a square around each [m], (H, W); `_NO_DEPTH_M` if none."""
    known = np.where(pixels, depth_m, np.float32(_NO_DEPTH_M))
    return np.asarray(cv2.erode(known, np.ones((size_px, size_px), np.uint8)), dtype=np.float32)


def _is_open(frame: LiftedFrame, window: Window, mask: BoolArray, points: FloatArray) -> bool:
    """Return whether the line of sight through the rim mostly ends below the rim.

    Only pixels of the region itself count, so that things in it or on it do not.
    """
    top_z = top_z_of(points)
    rim = points[points[:, 2] > top_z - _RIM_M]
    if len(rim) < _ENOUGH_PX:
        return False
    hull = cv2.convexHull(rim[:, :2].astype(np.float32))[:, 0].astype(np.float64)
    middle = hull.mean(axis=0)
    corners = np.column_stack([middle + 0.8 * (hull - middle), np.full(len(hull), top_z)])
    uv = frame.intrinsics.project(frame.T_world_camera.inverse() @ corners)
    if not np.isfinite(uv).all():
        return False
    lid = np.zeros(mask.shape, np.uint8)
    shifted = np.round(uv - [window[1].start, window[0].start]).astype(np.int32)
    inside = (cv2.fillConvexPoly(lid, shifted, 1) > 0) & mask
    heights = frame.points[window][inside][:, 2]
    return len(heights) >= _ENOUGH_PX and bool((heights > top_z - _RIM_M - 0.001).mean() < 0.4)
