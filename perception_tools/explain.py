"""Regions and the solids that explain them: what stands on what, what belongs together, what is two.

A region is one thing if one solid explains its outline and its points. Regions that are only
explained together are joined, a region that is explained far better as two things is split, and
what sticks out of the inside of an open vessel is a thing in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from perception_tools.clusters import ClusterConfig
from perception_tools.color_split import absorb_rest, chromaticity, split_by_brightness
from perception_tools.geometry import BoolArray
from perception_tools.lifted import LabelImage, LiftedFrame, grown
from perception_tools.regions import Region, Support, find_supports, region_of
from perception_tools.shapes import Covered, ShapeConfig, ShapeEstimate, estimate_shape

_CROSS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class ExplainConfig:
    """When regions are joined and split.

    Attributes:
        join_misfit: Two regions of one colour, side by side or beside the same third one, are joined
            if one solid explains both with a misfit below this.
        join_misfit_open: The same where that solid is an open vessel, maybe with a handle.
        split_misfit: A region whose best solid has a misfit above this is tried in two parts.
        split_misfit_open: The same of an open vessel, maybe with a handle; in a bright and a dark part.
        split_gain: The parts' misfit must be below this share of the whole's.
        split_ratio: Ratio of brightness at which a neutral region is tried in two parts.
        content_height_m: What stands higher than this over the inside of an open vessel is not it [m].
        content_misfit: It is a thing of its own if some solid explains it with a misfit below this.
        max_trials: Most joins and most splits that are tried in one picture; bounds the time.
    """

    join_misfit: float = 0.35
    join_misfit_open: float = 1.5
    split_misfit: float = 0.45
    split_misfit_open: float = 1.1
    split_gain: float = 0.6
    split_ratio: float = 1.5
    content_height_m: float = 0.007
    content_misfit: float = 0.8
    max_trials: int = 24


@dataclass(frozen=True, eq=False)
class Explanation:
    """Labels of a frame and what they are.

    Attributes:
        frame: The frame.
        labels: Region of every pixel, shape (H, W).
        regions: What the view shows of each label.
        supports: What each stands on, None for the plane.
        shapes: Best solid of each.
    """

    frame: LiftedFrame
    labels: LabelImage
    regions: Mapping[int, Region]
    supports: Mapping[int, Support | None]
    shapes: Mapping[int, ShapeEstimate]


def explain(
    frame: LiftedFrame,
    labels: LabelImage,
    clusters: ClusterConfig | None = None,
    shapes: ShapeConfig | None = None,
    config: ExplainConfig | None = None,
) -> Explanation:
    """Find the solids of a picture, joining and splitting regions where that explains it better.

    Args:
        frame: The frame.
        labels: Regions as `find_regions` gives them, shape (H, W).
        clusters: Settings that the regions were made with.
        shapes: Settings of the shapes.
        config: Settings.
    """
    work = _Work(frame, clusters or ClusterConfig(), shapes or ShapeConfig(), config or ExplainConfig())
    regions = work.regions_of(labels, (int(k) for k in np.unique(labels) if k > 0))
    labels, regions = work.joined(labels.copy(), regions)
    found = work.explanation(labels, regions)
    trials = 0
    for k in list(regions):
        if trials >= work.config.max_trials:
            break
        if found.shapes[k].misfit > work.config.split_misfit and not found.regions[k].is_open:
            trials += 1
            found = work.split(found, k, with_levels=True)
        if found.shapes[k].misfit > work.config.split_misfit_open and found.regions[k].is_open:
            trials += 1
            found = work.split(found, k, with_levels=False)
        if found.regions[k].is_open:
            trials += 1
            found = work.taken_out(found, k)
    return found


@dataclass(frozen=True, eq=False)
class _Work:
    """The steps of `explain`; each returns something new."""

    frame: LiftedFrame
    clusters: ClusterConfig
    shape_config: ShapeConfig
    config: ExplainConfig

    # ---- regions and their solids ---------------------------------------------------------------

    def regions_of(self, labels: LabelImage, wanted: Iterable[int]) -> dict[int, Region]:
        """Gather regions; those without usable points are left out."""
        found = {k: region_of(self.frame, labels, [k]) for k in wanted}
        return {k: region for k, region in found.items() if region is not None}

    def explanation(
        self, labels: LabelImage, regions: Mapping[int, Region], before: Explanation | None = None
    ) -> Explanation:
        """Fit solids from the bottom up; what did not change since `before` is taken over."""
        supports = find_supports(regions)
        shapes: dict[int, ShapeEstimate] = {}
        for k in _bottom_up(supports):
            if before and self._is_unchanged(k, regions, supports, shapes, before):
                shapes[k] = before.shapes[k]
                continue
            shapes[k] = estimate_shape(
                regions[k].evidence,
                self._base_z(regions[k], supports[k], shapes),
                is_open=regions[k].is_open,
                on_top=_covered(k, regions, supports),
                config=self.shape_config,
            )
        return Explanation(self.frame, labels, regions, supports, shapes)

    def _is_unchanged(
        self,
        k: int,
        regions: Mapping[int, Region],
        supports: Mapping[int, Support | None],
        shapes: Mapping[int, ShapeEstimate],
        before: Explanation,
    ) -> bool:
        support = supports[k]
        if regions[k] is not before.regions.get(k) or support != before.supports[k]:
            return False
        if support is not None and shapes.get(support.label) is not before.shapes[support.label]:
            return False
        above = _above(k, supports)
        return above == _above(k, before.supports) and all(regions[i] is before.regions[i] for i in above)

    def _base_z(self, region: Region, support: Support | None, shapes: Mapping[int, ShapeEstimate]) -> float:
        below = shapes.get(support.label) if support else None
        if support is None or below is None:
            return float(self.frame.plane.z_at(region.evidence.points[:, :2].mean(axis=0)))
        return below.box.bottom_z_m + below.solid.wall_m if support.is_inside else below.box.top_z_m

    # ---- two regions that are one thing ---------------------------------------------------------

    def joined(self, labels: LabelImage, regions: dict[int, Region]) -> tuple[LabelImage, dict[int, Region]]:
        """Join regions of one colour that one solid explains; changes both arguments.

        The near wall of a vessel and its inside are apart because of the step in depth at the near
        rim; what is behind or under another thing may show on both sides of it.
        """
        tried: set[tuple[int, int]] = set()
        while len(tried) < self.config.max_trials:
            pair = next((p for p in self._like_pairs(labels, regions) if p not in tried), None)
            if pair is None:
                break
            i, j = pair
            both = self._as_one(labels, i, j)
            if both is None:
                tried.add(pair)
                continue
            labels[labels == j] = i
            del regions[j]
            regions[i] = both
            tried = {p for p in tried if i not in p}
        return labels, regions

    def _like_pairs(self, labels: LabelImage, regions: Mapping[int, Region]) -> Iterator[tuple[int, int]]:
        rgb, gap = self.frame.rgb, self.clusters.color.chroma_gap
        chroma = {k: np.median(chromaticity(rgb[r.window][r.mask]), axis=0) for k, r in regions.items()}
        near: dict[int, set[int]] = {}
        for i in regions:
            for j in regions:
                if i >= j or np.linalg.norm(chroma[i] - chroma[j]) > gap:
                    continue
                for k in (i, j):
                    near[k] = near.get(k) or _neighbours(regions[k], labels)
                if j in near[i] or near[i] & near[j]:
                    yield i, j

    def _as_one(self, labels: LabelImage, i: int, j: int) -> Region | None:
        both = region_of(self.frame, labels, [i, j])
        if both is None:
            return None
        shape = estimate_shape(
            both.evidence, self._base_z(both, None, {}), is_open=both.is_open, config=self.shape_config
        )
        limit = self.config.join_misfit_open if both.is_open else self.config.join_misfit
        return both if shape.misfit < limit else None

    # ---- one region that is two things ----------------------------------------------------------

    def split(self, found: Explanation, k: int, *, with_levels: bool) -> Explanation:
        """Try a badly explained region as two things of like colour; keep what explains far better.

        Args:
            found: What was found so far.
            k: The region.
            with_levels: Whether to try an upper and a lower part besides a bright and a dark one.
        """
        least = self.config.split_gain * found.shapes[k].misfit
        new, best = max(found.regions) + 1, found
        for part in self._parts(found.regions[k], with_levels):
            trial = self._with_part(found, k, part, new)
            if trial is None:
                continue
            misfit = max(trial.shapes[i].misfit for i in (k, new))
            if misfit < least:
                least, best = misfit, trial
        return best

    def taken_out(self, found: Explanation, k: int) -> Explanation:
        """Make what sticks out of the inside of open vessel k a region of its own, if a solid explains it."""
        part = self._content(found.regions[k], found.shapes[k])
        if part is None:
            return found
        beside = _content_beside(found, part, k)
        new = max(found.regions) + 1 if beside is None else beside
        trial = self._with_part(found, k, part, new)
        if trial is None or trial.shapes[new].misfit > self.config.content_misfit:
            return found
        return trial

    def _with_part(self, found: Explanation, k: int, part: BoolArray, new: int) -> Explanation | None:
        """Give a part of region k, in its window, to label `new`; None if either has no usable points."""
        labels = found.labels.copy()
        labels[found.regions[k].window][part] = new
        changed = self.regions_of(labels, (k, new))
        if len(changed) < 2:
            return None
        return self.explanation(labels, {**found.regions, **changed}, found)

    def _parts(self, region: Region, with_levels: bool) -> Iterator[BoolArray]:
        """Yield parts of a region, in its window, that may be a thing of their own."""
        frame, color = self.frame, self.clusters.color
        parts = split_by_brightness(frame.rgb[region.window], region.mask, self.config.split_ratio, color)
        yield from parts[:-1][:2]
        if not with_levels:
            return
        known = region.mask & frame.valid[region.window]
        for level_m in (*_step_levels(region, frame), *_face_levels(region, frame)):
            is_upper = frame.height_m[region.window] > level_m
            upper = cv2.morphologyEx((known & is_upper).astype(np.uint8), cv2.MORPH_OPEN, _CROSS) > 0
            lower = known & ~is_upper
            if min(upper.sum(), lower.sum()) >= self.clusters.min_pixels:
                yield absorb_rest(region.mask, [upper, lower])[0]

    def _content(self, region: Region, shape: ShapeEstimate) -> BoolArray | None:
        """Return the largest part of an open vessel, in its window, that stands off its inside."""
        window = region.window
        pixels = region.mask & self.frame.valid[window]
        points = self.frame.points[window][pixels].astype(np.float64)
        height_m = np.zeros(pixels.shape, np.float32)
        height_m[pixels] = shape.solid.height_inside_m(points, self.frame.T_world_camera.position_m)
        standing = (cv2.medianBlur(height_m, 5) > self.config.content_height_m) & region.mask
        standing = cv2.morphologyEx(standing.astype(np.uint8), cv2.MORPH_OPEN, _CROSS)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(standing, connectivity=8)
        largest = max(range(1, count), key=lambda i: stats[i, cv2.CC_STAT_AREA], default=0)
        if largest == 0 or stats[largest, cv2.CC_STAT_AREA] < self.clusters.min_pixels:
            return None
        part = (cv2.dilate((parts == largest).astype(np.uint8), _CROSS) > 0) & region.mask
        half_width_px = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 3).max()
        pixel_m = float(np.median(self.frame.depth_m[window][pixels])) / self.frame.intrinsics.fx
        return part if half_width_px * pixel_m > self.config.content_height_m else None


def _above(k: int, supports: Mapping[int, Support | None]) -> list[int]:
    """Return the labels that stand on top of k."""
    return [i for i, s in supports.items() if s and s.label == k and not s.is_inside]


def _covered(k: int, regions: Mapping[int, Region], supports: Mapping[int, Support | None]) -> Covered | None:
    """Return what the things on top of a region tell of its top."""
    above = [regions[i] for i in _above(k, supports)]
    if not above:
        return None
    lowest = min(float(np.quantile(upper.evidence.points[:, 2], 0.02)) for upper in above)
    footprint = np.concatenate([upper.footprint for upper in above]).astype(np.float64)
    return Covered(footprint, max(lowest - 0.003, regions[k].top_z_m))


def _bottom_up(supports: Mapping[int, Support | None]) -> Iterator[int]:
    """Yield labels so that what stands on something comes after it (rings are broken anywhere)."""
    done: set[int] = set()
    while len(done) < len(supports):
        ready = [k for k, s in supports.items() if k not in done and (s is None or s.label in done)]
        for k in ready or [next(k for k in supports if k not in done)]:
            done.add(k)
            yield k


def _neighbours(region: Region, labels: LabelImage, reach_px: int = 3) -> set[int]:
    """Return the labels within `reach_px` of a region in the image, but its own."""
    window = grown(region.window, reach_px, labels.shape)
    mine = region.full_mask(labels.shape)[window]
    near = cv2.dilate(mine.astype(np.uint8), np.ones((2 * reach_px + 1,) * 2, np.uint8)) > 0
    return {int(k) for k in np.unique(labels[window][near & ~mine]) if k != 0}


def _content_beside(found: Explanation, part: BoolArray, vessel: int) -> int | None:
    """Return the label of what stands in a vessel right beside `part` of it, if anything does."""
    near = cv2.dilate(part.astype(np.uint8), _CROSS) > 0
    labels = found.labels[found.regions[vessel].window]
    inside = [k for k, s in found.supports.items() if s and s.label == vessel and s.is_inside]
    counts = {k: int((near & (labels == k)).sum()) for k in inside}
    best = max(counts, key=lambda k: counts[k], default=None)
    return best if best is not None and counts[best] > 4 else None


def _step_levels(region: Region, frame: LiftedFrame) -> list[float]:
    """Return the height above which a region is much narrower than below [m], if there is one."""
    points = region.evidence.points
    height = frame.plane.height_m(points)
    levels = np.arange(0.006, np.quantile(height, 0.97) - 0.008, 0.003)
    xy = points[:, :2].astype(np.float32)
    areas = np.array([cv2.contourArea(cv2.convexHull(xy[height > level])) for level in levels])
    if len(areas) < 3:
        return []
    share = areas[2:] / np.maximum(areas[:-2], 1e-9)
    k = int(np.argmin(share))
    return [float(levels[k + 2])] if share[k] < 0.75 else []


def _face_levels(region: Region, frame: LiftedFrame, bin_m: float = 0.002) -> list[float]:
    """Return heights just above horizontal faces that lie under the top of a region [m], at most two.

    There, more points have the same height than on the upright faces around.
    """
    height = frame.plane.height_m(region.evidence.points)
    top_m = float(np.quantile(height, 0.97))
    counts, edges = np.histogram(height, bins=np.arange(0, top_m + 2 * bin_m, bin_m))
    smooth = np.convolve(counts, [0.25, 0.5, 0.25], mode="same")
    usual = np.median(smooth[smooth > 0]) if smooth.any() else 0.0
    inner = [
        i
        for i in range(1, len(smooth) - 1)
        if smooth[i] >= max(smooth[i - 1], smooth[i + 1], 1.3 * usual) and 0.012 < edges[i] < top_m - 0.012
    ]
    best = sorted(inner, key=lambda i: -smooth[i])[:2]
    return [float(edges[i] + bin_m / 2 + 0.003) for i in best]
