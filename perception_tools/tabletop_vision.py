"""See a table top: support plane, objects, and what each of them is, from one RGB-D frame.

No learned weights: plane removal, connected components in 3-D, colour splitting, colour names in
CIELAB, and solids fitted to outline and points. Everything comes from colour, depth and the
camera's pose. The stages: `lifted`, `clusters`, `regions`, `shapes` (with `fitting` and `solids`),
`colors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.boxes import Box3D
from perception_tools.clusters import ClusterConfig, find_regions
from perception_tools.color_split import chromaticity, split_by_brightness
from perception_tools.colors import ColorConfig, ColorName, name_color
from perception_tools.geometry import BoolArray, Intrinsics, Transform
from perception_tools.lifted import FloatImage, LabelImage, LiftedFrame, grown, lift
from perception_tools.outlines import core_of
from perception_tools.plane import Plane, PlaneConfig
from perception_tools.regions import Region, Support, find_supports, region_of
from perception_tools.shapes import Covered, ShapeConfig, ShapeEstimate, estimate_shape

_COLOR_PIXELS = 800


@dataclass(frozen=True)
class VisionConfig:
    """Settings of `detect`, `segment` and `point`, stage by stage.

    Attributes:
        plane: Support plane.
        clusters: Pixels to regions.
        colors: Colour names.
        shapes: Shapes and sizes.
        join_misfit: Two regions of one colour, side by side or beside the same third one, are joined
            if one solid explains both with a misfit below this.
        join_misfit_open: The same where that solid is an open vessel, maybe with a handle.
        split_misfit: A region whose best solid has a misfit above this is tried in two parts.
        split_gain: The parts' misfit must be below this share of the whole's.
        split_ratio: Ratio of brightness at which a neutral region is tried in two parts.
        content_height_m: What stands higher than this over the inside of an open vessel is not it [m].
        content_misfit: It is a thing of its own if some solid explains it with a misfit below this.
        max_extent_m: Larger things are no objects (furniture, an unfiltered arm) [m].
    """

    plane: PlaneConfig = field(default_factory=PlaneConfig)
    clusters: ClusterConfig = field(default_factory=ClusterConfig)
    colors: ColorConfig = field(default_factory=ColorConfig)
    shapes: ShapeConfig = field(default_factory=ShapeConfig)
    join_misfit: float = 0.35
    join_misfit_open: float = 1.5
    split_misfit: float = 0.45
    split_gain: float = 0.6
    split_ratio: float = 1.5
    content_height_m: float = 0.007
    content_misfit: float = 0.8
    max_extent_m: float = 0.4

    def __post_init__(self) -> None:
        """Refuse stages of another kind."""
        stages = {
            "plane": PlaneConfig,
            "clusters": ClusterConfig,
            "colors": ColorConfig,
            "shapes": ShapeConfig,
        }
        for name, kind in stages.items():
            if not isinstance(getattr(self, name), kind):
                given = type(getattr(self, name)).__name__
                raise TypeError(f"VisionConfig.{name} must be {kind.__name__}, got {given}")


@dataclass(frozen=True, eq=False)
class SeenObject:
    """One object.

    Attributes:
        mask: Its visible pixels, shape (H, W).
        color: Named colour.
        shape: Shape estimate with box and solid.
        visible: Share of its outline that is not hidden or cut off, in [0, 1].
        confidence: That it is one real, whole object, in [0, 1].
    """

    mask: BoolArray
    color: ColorName
    shape: ShapeEstimate
    visible: float
    confidence: float

    @property
    def box(self) -> Box3D:
        """Gravity-aligned box of the completed object."""
        return self.shape.box

    @property
    def label(self) -> str:
        """Colour and shape, e.g. "red box"."""
        return f"{self.color.name} {self.shape.shape}"


@dataclass(frozen=True, eq=False)
class TabletopView:
    """What was seen: the support plane, None if it was assumed, and the objects, largest first."""

    plane: Plane | None
    objects: tuple[SeenObject, ...]


def see_tabletop(
    rgb: NDArray[np.uint8],
    depth_m: FloatImage,
    intrinsics: Intrinsics,
    T_world_camera: Transform,
    *,
    robot: BoolArray | None = None,
    config: VisionConfig | None = None,
) -> TabletopView:
    """Find and describe the objects on the support plane.

    Args:
        rgb: Image, shape (H, W, 3), uint8.
        depth_m: Depth [m], shape (H, W), float32, 0 where invalid.
        intrinsics: Of both.
        T_world_camera: Optical pose of the camera.
        robot: Pixels of the robot's own body, shape (H, W).
        config: Settings.
    """
    config = config or VisionConfig()
    frame = lift(rgb, depth_m, intrinsics, T_world_camera, robot, config.plane)
    labels = find_regions(frame, config.clusters)
    regions = _gather(frame, labels)
    _join(frame, labels, regions, config)
    shapes = _shapes(frame, regions, config)
    for k in list(shapes):
        if shapes[k].misfit > config.split_misfit and not regions[k].is_open:
            shapes = _split(frame, labels, regions, shapes, k, config)
        if regions[k].is_open:
            shapes = _take_out(frame, labels, regions, shapes, k, config)
    objects = [_describe(frame, regions[k], shapes[k], config) for k in regions]
    objects = [o for o in objects if max(o.box.size_m) < config.max_extent_m]
    objects.sort(key=lambda o: -int(o.mask.sum()))
    return TabletopView(frame.plane if frame.plane.num_inliers else None, tuple(objects))


def _gather(frame: LiftedFrame, labels: LabelImage) -> dict[int, Region]:
    found = {int(k): region_of(frame, labels, [k]) for k in np.unique(labels) if k > 0}
    return {k: region for k, region in found.items() if region is not None}


# ---- two regions that are one thing -------------------------------------------------------------


def _join(frame: LiftedFrame, labels: LabelImage, regions: dict[int, Region], config: VisionConfig) -> None:
    """Join regions of one colour that one solid explains. Changes `labels` and `regions`.

    The near wall of a vessel and its inside are apart because of the step in depth at the near rim;
    what is behind or under another thing may show on both sides of it.
    """
    while (found := _halves(frame, labels, regions, config)) is not None:
        i, j, joined = found
        labels[labels == j] = i
        del regions[j]
        regions[i] = joined


def _halves(
    frame: LiftedFrame, labels: LabelImage, regions: Mapping[int, Region], config: VisionConfig
) -> tuple[int, int, Region] | None:
    chroma = {k: np.median(chromaticity(frame.rgb[r.window][r.mask]), axis=0) for k, r in regions.items()}
    gap = config.clusters.color.chroma_gap
    pairs = [
        (i, j) for i in regions for j in regions if i < j and np.linalg.norm(chroma[i] - chroma[j]) < gap
    ]
    touching = {k: _neighbours(regions[k], labels) for pair in pairs for k in pair}
    for i, j in pairs:
        if j not in touching[i] and not touching[i] & touching[j]:
            continue
        joined = region_of(frame, labels, [i, j])
        if joined is None:
            continue
        base_z = float(frame.plane.z_at(joined.evidence.points[:, :2].mean(axis=0)))
        fit = estimate_shape(joined.evidence, base_z, is_open=joined.is_open, config=config.shapes)
        if fit.misfit < (config.join_misfit_open if joined.is_open else config.join_misfit):
            return i, j, joined
    return None


def _neighbours(region: Region, labels: LabelImage, reach_px: int = 3) -> set[int]:
    """Return the labels within `reach_px` of a region in the image, but its own."""
    window = grown(region.window, reach_px, labels.shape)
    mine = region.full_mask(labels.shape)[window]
    near = cv2.dilate(mine.astype(np.uint8), np.ones((2 * reach_px + 1,) * 2, np.uint8)) > 0
    return {int(k) for k in np.unique(labels[window][near & ~mine]) if k != 0}


# ---- shapes, in the order of what stands on what ------------------------------------------------


def _shapes(
    frame: LiftedFrame, regions: Mapping[int, Region], config: VisionConfig
) -> dict[int, ShapeEstimate]:
    supports = find_supports(regions)
    shapes: dict[int, ShapeEstimate] = {}
    for k in _bottom_up(supports):
        below = supports[k]
        base_z = _base_z(frame, regions[k], below, shapes)
        shapes[k] = estimate_shape(
            regions[k].evidence,
            base_z,
            is_open=regions[k].is_open,
            on_top=_covered(k, regions, supports),
            config=config.shapes,
        )
    return shapes


def _covered(k: int, regions: Mapping[int, Region], supports: Mapping[int, Support | None]) -> Covered | None:
    """Return what the things on top of a region tell of its top."""
    above = [regions[i] for i, s in supports.items() if s and s.label == k and not s.is_inside]
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


def _base_z(
    frame: LiftedFrame, region: Region, support: Support | None, shapes: Mapping[int, ShapeEstimate]
) -> float:
    below = shapes.get(support.label) if support else None
    if support is None or below is None:
        return float(frame.plane.z_at(region.evidence.points[:, :2].mean(axis=0)))
    return below.box.bottom_z_m + below.solid.wall_m if support.is_inside else below.box.top_z_m


# ---- one region that is two things --------------------------------------------------------------


def _split(
    frame: LiftedFrame,
    labels: LabelImage,
    regions: dict[int, Region],
    shapes: dict[int, ShapeEstimate],
    k: int,
    config: VisionConfig,
) -> dict[int, ShapeEstimate]:
    """Try a badly explained region as two things of like colour; keep that if it explains far better.

    Changes `labels` and `regions` if it does, and returns the shapes of all regions.
    """
    new = max(regions) + 1
    limit = config.split_gain * shapes[k].misfit
    for part in _proposals(frame, regions[k], config):
        trial = labels.copy()
        trial[regions[k].window][part] = new
        halves = {i: region_of(frame, trial, [i]) for i in (k, new)}
        found = {i: half for i, half in halves.items() if half is not None}
        if len(found) < 2:
            continue
        trial_regions = {**regions, **found}
        trial_shapes = _shapes(frame, trial_regions, config)
        if max(trial_shapes[i].misfit for i in found) < limit:
            labels[:] = trial
            regions.update(found)
            return trial_shapes
    return shapes


def _take_out(
    frame: LiftedFrame,
    labels: LabelImage,
    regions: dict[int, Region],
    shapes: dict[int, ShapeEstimate],
    k: int,
    config: VisionConfig,
) -> dict[int, ShapeEstimate]:
    """Look for a thing of like colour in an open vessel: what sticks out of its inside.

    Changes `labels` and `regions` if there is one, and returns the shapes of all regions.
    """
    window, solid = regions[k].window, shapes[k].solid
    pixels = regions[k].mask & frame.valid[window]
    eye = frame.T_world_camera.position_m
    height_m = np.zeros(pixels.shape, np.float32)
    height_m[pixels] = solid.height_inside_m(frame.points[window][pixels].astype(np.float64), eye)
    height_m = cv2.medianBlur(height_m, 5)
    standing = (height_m > config.content_height_m) & regions[k].mask
    standing = cv2.morphologyEx(standing.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(standing, connectivity=8)
    largest = max(range(1, count), key=lambda i: stats[i, cv2.CC_STAT_AREA], default=0)
    if largest == 0 or stats[largest, cv2.CC_STAT_AREA] < config.clusters.min_pixels:
        return shapes
    part = cv2.dilate((parts == largest).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    part &= regions[k].mask
    half_width_m = float(cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 3).max()) * frame.pixel_m(
        regions[k].full_mask(labels.shape)
    )
    if half_width_m < config.content_height_m:
        return shapes
    other = _content_beside(labels[window], part, k, regions)
    new = max(regions) + 1 if other is None else other
    trial = labels.copy()
    trial[window][part] = new
    found = {i: region_of(frame, trial, [i]) for i in (k, new)}
    trial_regions = {**regions, **{i: half for i, half in found.items() if half is not None}}
    if new not in trial_regions:
        return shapes
    trial_shapes = _shapes(frame, trial_regions, config)
    if trial_shapes[new].misfit > config.content_misfit:
        return shapes
    labels[:] = trial
    regions.update(trial_regions)
    return trial_shapes


def _content_beside(
    labels: LabelImage, part: BoolArray, vessel: int, regions: Mapping[int, Region]
) -> int | None:
    """Return the label of what stands in a vessel right beside `part`, (H, W), if anything does."""
    near = cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inside = [k for k, s in find_supports(regions).items() if s and s.label == vessel and s.is_inside]
    counts = {k: int((near & (labels == k)).sum()) for k in inside}
    best = max(counts, key=lambda k: counts[k], default=None)
    return best if best is not None and counts[best] > 4 else None


def _proposals(frame: LiftedFrame, region: Region, config: VisionConfig) -> Iterator[BoolArray]:
    """Yield parts of a region, in its window, that may be a thing of their own."""
    rgb = frame.rgb[region.window]
    parts = split_by_brightness(rgb, region.mask, config.split_ratio, config.clusters.color)
    if len(parts) > 1:
        yield from parts[:-1]
    height = np.where(frame.valid[region.window], frame.height_m[region.window], 0)
    level_m = _step_level(region, frame)
    if level_m is not None:
        yield region.mask & (cv2.medianBlur(height, 3) > level_m)


def _step_level(region: Region, frame: LiftedFrame) -> float | None:
    """Return the height above which a region is much narrower than below [m], None if there is none."""
    points = region.evidence.points
    height = frame.plane.height_m(points)
    levels = np.arange(0.006, np.quantile(height, 0.97) - 0.008, 0.003)
    xy = points[:, :2].astype(np.float32)
    areas = np.array([cv2.contourArea(cv2.convexHull(xy[height > level])) for level in levels])
    if len(areas) < 3:
        return None
    share = areas[2:] / np.maximum(areas[:-2], 1e-9)
    k = int(np.argmin(share))
    return float(levels[k + 2]) if share[k] < 0.75 else None


# ---- words --------------------------------------------------------------------------------------


def _describe(frame: LiftedFrame, region: Region, shape: ShapeEstimate, config: VisionConfig) -> SeenObject:
    enough = np.clip(len(region.evidence.points) / 150, 0.3, 1)
    explained = 1 / (1 + max(0.0, shape.misfit - 0.5))
    confidence = float(np.clip(region.visible, 0, 1) * enough * explained)
    color = _color(frame, region, shape, config.colors)
    return SeenObject(region.full_mask(frame.valid.shape), color, shape, region.visible, confidence)


def _color(frame: LiftedFrame, region: Region, shape: ShapeEstimate, config: ColorConfig) -> ColorName:
    """Name the colour; where a solid fits, its normals tell how the light falls on every pixel."""
    core = core_of(region.mask)
    rgb = frame.rgb[region.window]
    if shape.shape == "object":
        return name_color(rgb[core], config=config)
    v, u = np.nonzero(core & frame.valid[region.window])
    pick = np.linspace(0, len(v) - 1, min(_COLOR_PIXELS, len(v))).astype(int)
    points = frame.points[region.window][v[pick], u[pick]].astype(np.float64)
    normals = shape.solid.normals(points, frame.T_world_camera.position_m)
    return name_color(rgb[v[pick], u[pick]], normals[:, 2], config)
