"""What differs between two views of one scene: in 3-D from any two places, in 2-D after alignment."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.depth import sensor_sigma_m
from perception_tools.geometry import BoolArray, FloatArray
from perception_tools.point_cloud import voxel_down
from perception_tools.registration import Target, apply, icp, inverse
from perception_tools.surfaces import measure_surface
from perception_tools.views import View

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class CompareConfig:
    """Settings of `compare_images`.

    Attributes:
        min_px: Smaller regions do not count [px].
        depth_sigmas: Difference of depth that counts, in deviations of the depth.
        min_depth_m: Least difference that counts [m].
        slope: Further difference that counts per metre of distance, for errors of poses [1].
        reach_m: Largest error of the poses that is undone [m].
        color: Difference of colour that counts [units of CIELAB; lightness weighs 0.4].
        min_overlap: Least share of a picture that the other must show.
        alike: Largest difference of the shares of red, green and blue of a thing that moved [1].
    """

    min_px: int = 40
    depth_sigmas: float = 4.0
    min_depth_m: float = 0.006
    slope: float = 0.004
    reach_m: float = 0.12
    color: float = 14.0
    min_overlap: float = 0.2
    alike: float = 0.1


@dataclass(frozen=True, eq=False)
class Difference:
    """What differs.

    Attributes:
        gone: Pixels of the first picture whose surface is not there any more, shape (H, W).
        new: Pixels of the second whose surface was not there before.
        recolored: Pixels of the second that show the same surface in another colour; without depth,
            all that looks different.
        strength: How far each pixel of either is beyond what counts, shapes (H, W), 1 at the limit.
        overlap: Share of the second picture that the first shows.
        residual: How much the rest differs: of depth [m], without depth of colour [units of CIELAB].
        misfit: How much worse the pictures lie on one another than noise explains; 0 is well, 1 is badly.
        shift_px: Largest shift between the two pictures that was undone [px].
        how: Means of alignment, in words.
    """

    gone: BoolArray
    new: BoolArray
    recolored: BoolArray
    strength: tuple[FloatArray, FloatArray]
    overlap: float
    residual: float
    misfit: float
    shift_px: float
    how: str


def compare_in_space(before: View, after: View, config: CompareConfig) -> Difference:
    """Compare by depth and poses: a surface is gone where the other camera looks through it.

    Args:
        before: First view, with depth, intrinsics and pose.
        after: Second view, likewise.
        config: Settings.
    """
    there, back = _seen_from(before, after), _seen_from(after, before)
    how, rest = "depth and camera poses", _residual(back)
    usual = float(np.hypot(_noise(before.depth_m), _noise(after.depth_m)))
    if rest > 2 * usual:  # more than the noise: the poses err
        T_fix = _corrected(before, after, config.reach_m)
        moved = [_seen_from(before, after, T_fix), _seen_from(after, before, inverse(T_fix))]
        if _residual(moved[1]) < rest:
            (there, back), how = moved, "depth and camera poses, corrected by ICP"
    wide = max(config.depth_sigmas * max(usual, _residual(back)), 0.0)
    reach_there, reach_back = (
        np.maximum(config.min_depth_m, wide * s.depth_m**2) + config.slope * np.maximum(s.depth_m, 0)
        for s in (there, back)
    )
    gone = there.is_known & (there.nearest_m > there.depth_m + reach_there)
    new = back.is_known & (back.nearest_m > back.depth_m + reach_back)
    gone, new = (_cleaned(m, config.min_px) for m in (gone, new))
    same = back.is_known & (np.abs(back.other_m - back.depth_m) < reach_back)
    gap = _color_gap(after.rgb, back.rgb, same)
    around = cv2.dilate(new.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    recolored = _cleaned(same & (gap > config.color) & ~around, config.min_px)
    excess = [
        np.where(s.is_known, (s.nearest_m - s.depth_m) / r, 0)
        for s, r in ((there, reach_there), (back, reach_back))
    ]
    left = same & ~recolored
    residual = float(np.median(np.abs(back.other_m - back.depth_m)[left])) if left.any() else np.inf
    strength = (excess[0], np.where(recolored, gap / config.color, excess[1]))
    shift = np.linalg.norm(back.uv_px - _grid(after.rgb.shape[:2]), axis=-1)[back.is_known]
    return Difference(
        gone,
        new,
        recolored,
        strength,
        float(back.is_known.sum() / max(1, (after.depth_m > 0).sum())),
        residual,
        max(0.0, _residual(back) / usual - 1) / 5,
        float(np.percentile(shift, 95)) if len(shift) else 0.0,
        how,
    )


def compare_in_picture(before: View, after: View, config: CompareConfig) -> Difference:
    """Compare by colour, after a homography that features agree on; for small motions of the camera.

    Args:
        before: First view.
        after: Second view, of the same size.
        config: Settings.
    """
    H_after_before, count = align(before.rgb, after.rgb)
    rows, columns = after.rgb.shape[:2]
    warped = np.asarray(
        cv2.warpPerspective(before.rgb, H_after_before, (columns, rows), flags=cv2.INTER_LINEAR)
    )
    known = cv2.warpPerspective(np.ones((rows, columns), np.uint8), H_after_before, (columns, rows)) > 0
    known = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    known &= ~after.robot
    gap = _color_gap(after.rgb, warped.astype(np.uint8), known)
    changed = _cleaned(known & (gap > config.color), config.min_px)
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]], float)
    mapped = corners @ H_after_before.T
    shift = np.linalg.norm(mapped[:, :2] / mapped[:, 2:] - corners[:, :2], axis=1).max()
    none = np.zeros((rows, columns), dtype=bool)
    left = known & ~changed
    residual = float(np.median(gap[left])) if left.any() else np.inf
    return Difference(
        none,
        none,
        changed,
        (np.zeros(none.shape), gap / config.color),
        float(known.mean()),
        residual,
        residual / config.color,
        float(shift),
        f"homography of {count} features" if count else "none: too few features",
    )


def align(before: Image, after: Image) -> tuple[FloatArray, int]:
    """Return the homography from the first to the second picture, (3, 3), and how many features agree.

    It is the identity where the pictures lie on each other anyway, or where too few features do agree.
    """
    sift = cv2.SIFT.create(1500)
    grays = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (before, after)]
    (points_a, words_a), (points_b, words_b) = (sift.detectAndCompute(g, None) for g in grays)
    if words_a is None or words_b is None or len(points_b) < 2:
        return np.eye(3), 0
    pairs = cv2.BFMatcher().knnMatch(words_a, words_b, 2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < 0.75 * p[1].distance]
    if len(good) < 12:
        return np.eye(3), 0
    uv_a = np.array([points_a[m.queryIdx].pt for m in good], np.float32)
    uv_b = np.array([points_b[m.trainIdx].pt for m in good], np.float32)
    if np.median(np.abs(uv_a - uv_b), axis=0).max() < 0.3:  # a still camera: nothing is gained by a fit
        return np.eye(3), int((np.abs(uv_a - uv_b).max(axis=1) < 1).sum())
    H, inliers = cv2.findHomography(uv_a, uv_b, cv2.USAC_MAGSAC, 1.5)
    if H is None or inliers.sum() < 12:
        return np.eye(3), 0
    return np.asarray(H, np.float64), int(inliers.sum())


# ---- one view as another camera would have it ------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Seen:
    """Pixels of a view as the other camera sees the same places; all (H, W) of the view.

    Attributes:
        is_known: The place is in the other picture, with depth.
        depth_m: Depth of the place along the other camera's axis [m].
        other_m: Depth that the other camera has there [m].
        nearest_m: The least depth that it has within a pixel of there [m].
        rgb: Colour that it has there, (H, W, 3).
        uv_px: Where there is, (H, W, 2) [px].
    """

    is_known: BoolArray
    depth_m: FloatArray
    other_m: FloatArray
    nearest_m: FloatArray
    rgb: Image
    uv_px: FloatArray


def _seen_from(view: View, other: View, T_fix: FloatArray | None = None) -> _Seen:
    """See the places of a view, moved by `T_fix` (4, 4) in world, from another."""
    points = view.points_world()
    p_other = other.T_world_camera.inverse() @ (points if T_fix is None else apply(T_fix, points))
    depth_m = np.nan_to_num(p_other[..., 2], nan=-1.0)
    uv = np.nan_to_num(other.intrinsics.project(p_other), nan=-9.0)
    rows, columns = other.depth_m.shape
    valid_other = np.where(other.robot, 0, other.depth_m).astype(np.float32)
    far = np.where(valid_other > 0, valid_other, np.inf).astype(np.float32)
    nearest = cv2.erode(far, np.ones((3, 3), np.uint8))
    u = np.clip(np.round(uv[..., 0]), -1e6, 1e6).astype(int)
    v = np.clip(np.round(uv[..., 1]), -1e6, 1e6).astype(int)
    inside = (u >= 0) & (v >= 0) & (u < columns) & (v < rows) & (depth_m > 0)
    u, v = np.where(inside, u, 0), np.where(inside, v, 0)
    sampled = np.asarray(valid_other[v, u], np.float64)
    return _Seen(
        inside & (sampled > 0), depth_m, sampled, np.asarray(nearest[v, u], np.float64), other.rgb[v, u], uv
    )


def _noise(depth_m: NDArray[np.float32]) -> float:
    """Noise of depth over its square [1/m]."""
    return sensor_sigma_m(depth_m) / float(np.median(depth_m[depth_m > 0])) ** 2


def _residual(seen: _Seen) -> float:
    """Median difference of depth over its square, of what both see [1/m]; depth noise grows like that."""
    depth_m, other_m = seen.depth_m[seen.is_known], seen.other_m[seen.is_known]
    gap = np.abs(other_m - depth_m)
    same = gap < 0.1 * depth_m
    return float(np.median(gap[same] / depth_m[same] ** 2)) if same.any() else np.inf


def _corrected(before: View, after: View, reach_m: float) -> FloatArray:
    """Return the motion in world, (4, 4), that lays the first view's points on the second's: ICP."""
    clouds = []
    for view in (before, after):
        points = view.points_world()[::4, ::4].reshape(-1, 3)
        clouds.append(voxel_down(points[np.isfinite(points[:, 0])], reach_m / 8)[0])
    if min(len(c) for c in clouds) < 50:
        return np.eye(4)
    target = Target(measure_surface(clouds[1], after.T_world_camera.position_m))
    fit = icp(clouds[0], target, np.eye(4), (reach_m, reach_m / 2, reach_m / 4), iterations=15)
    middle = clouds[0].mean(axis=0)
    return fit.T if np.linalg.norm(apply(fit.T, middle) - middle) < reach_m else np.eye(4)


def _grid(shape: tuple[int, ...]) -> FloatArray:
    v, u = np.indices(shape[:2])
    return np.stack([u, v], axis=-1).astype(np.float64)


def _color_gap(rgb: Image, other: Image, where: BoolArray) -> FloatArray:
    """Return how far colours are apart, (H, W) [units of CIELAB], light of the whole picture evened out.

    Lightness weighs less: shadows are no change. The least gap within a pixel counts.
    """
    if not where.any():
        return np.zeros(rgb.shape[:2])
    a, b = (p.astype(np.float32) for p in (rgb, other))
    gain = [
        float(np.clip(np.median(a[where][:, c]) / max(np.median(b[where][:, c]), 1), 0.5, 2))
        for c in range(3)
    ]
    b = np.clip(b * np.array(gain, np.float32), 0, 255)
    lab_a, lab_b = (
        cv2.cvtColor(np.asarray(cv2.GaussianBlur(p, (0, 0), 1.0)) / 255, cv2.COLOR_RGB2LAB) for p in (a, b)
    )
    weight = np.array([0.4, 1, 1], np.float32)
    lab_a, lab_b = lab_a * weight, lab_b * weight
    best = np.full(rgb.shape[:2], np.inf, np.float32)
    for dv in (-1, 0, 1):
        for du in (-1, 0, 1):
            gap = lab_a - np.roll(lab_b, (dv, du), axis=(0, 1))
            best = np.minimum(best, np.einsum("hwc,hwc->hw", gap, gap))
    return np.sqrt(best).astype(np.float64)


def _cleaned(mask: BoolArray, min_px: int) -> BoolArray:
    """Drop threads and specks, close small holes."""
    kernel = np.ones((3, 3), np.uint8)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    large = np.zeros(count, dtype=bool)
    large[1:] = stats[1:, cv2.CC_STAT_AREA] >= min_px
    return large[np.asarray(labels, np.int64)]
