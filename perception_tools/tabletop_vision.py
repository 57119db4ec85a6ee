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
from perception_tools.shapes import ShapeConfig, ShapeEstimate, estimate_shape

_COLOR_PIXELS = 800


@dataclass(frozen=True)
class VisionConfig:
    """Settings of `detect`, `segment` and `point`, stage by stage.

    Attributes:
        plane: Support plane.
        clusters: Pixels to regions.
        colors: Colour names.
        shapes: Shapes and sizes.
        join_misfit: Two touching regions of one colour are joined if one vessel explains both with
            a misfit below this.
        split_misfit: A region whose best solid has a misfit above this is tried in two parts.
        split_gain: The parts' misfit must be below this share of the whole's.
        split_ratio: Ratio of brightness at which a neutral region is tried in two parts.
        max_extent_m: Larger things are no objects (furniture, an unfiltered arm) [m].
    """

    plane: PlaneConfig = field(default_factory=PlaneConfig)
    clusters: ClusterConfig = field(default_factory=ClusterConfig)
    colors: ColorConfig = field(default_factory=ColorConfig)
    shapes: ShapeConfig = field(default_factory=ShapeConfig)
    join_misfit: float = 1.5
    split_misfit: float = 0.45
    split_gain: float = 0.6
    split_ratio: float = 1.5
    max_extent_m: float = 0.4


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
    """What was seen: the support plane (None if it was assumed) and the objects, largest in the image first."""

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
    _join_vessels(frame, labels, regions, config)
    shapes = _shapes(frame, regions, config)
    for k in [k for k, shape in shapes.items() if shape.misfit > config.split_misfit]:
        shapes = _split(frame, labels, regions, shapes, k, config)
    objects = [_describe(frame, regions[k], shapes[k], config) for k in regions]
    objects = [o for o in objects if max(o.box.size_m) < config.max_extent_m]
    objects.sort(key=lambda o: -int(o.mask.sum()))
    return TabletopView(frame.plane if frame.plane.num_inliers else None, tuple(objects))


def _gather(frame: LiftedFrame, labels: LabelImage) -> dict[int, Region]:
    found = {int(k): region_of(frame, labels, [k]) for k in np.unique(labels) if k > 0}
    return {k: region for k, region in found.items() if region is not None}


# ---- two regions that are one vessel ------------------------------------------------------------


def _join_vessels(
    frame: LiftedFrame, labels: LabelImage, regions: dict[int, Region], config: VisionConfig
) -> None:
    """Join regions of one colour that are one open vessel: its near wall and its inside.

    The step in depth from the near rim to the far inside separates them in the image; that they are
    one is shown by one hollow solid that explains both. Changes `labels` and `regions`.
    """
    while (found := _vessel_halves(frame, labels, regions, config)) is not None:
        i, j, joined = found
        labels[labels == j] = i
        del regions[j]
        regions[i] = joined


def _vessel_halves(
    frame: LiftedFrame, labels: LabelImage, regions: Mapping[int, Region], config: VisionConfig
) -> tuple[int, int, Region] | None:
    chroma = {k: np.median(chromaticity(frame.rgb[r.window][r.mask]), axis=0) for k, r in regions.items()}
    for i in regions:
        for j in (j for j in regions if j > i):
            alike = np.linalg.norm(chroma[i] - chroma[j]) < config.clusters.color.chroma_gap
            if not alike or not _touch(regions[i], regions[j], labels):
                continue
            joined = region_of(frame, labels, [i, j])
            if joined is None or not joined.is_open:
                continue
            base_z = float(frame.plane.z_at(joined.evidence.points[:, :2].mean(axis=0)))
            if (
                estimate_shape(joined.evidence, base_z, is_open=True, config=config.shapes).misfit
                < config.join_misfit
            ):
                return i, j, joined
    return None


def _touch(a: Region, b: Region, labels: LabelImage, reach_px: int = 3) -> bool:
    """Return whether two regions come within `reach_px` of each other in the image."""
    window = grown(a.window, reach_px, labels.shape)
    mine = a.full_mask(labels.shape)[window].astype(np.uint8)
    near = cv2.dilate(mine, np.ones((2 * reach_px + 1,) * 2, np.uint8)) > 0
    return bool((near & b.full_mask(labels.shape)[window]).any())


# ---- shapes, in the order of what stands on what ------------------------------------------------


def _shapes(
    frame: LiftedFrame, regions: Mapping[int, Region], config: VisionConfig
) -> dict[int, ShapeEstimate]:
    supports = find_supports(regions)
    shapes: dict[int, ShapeEstimate] = {}
    for k in _bottom_up(supports):
        below = supports[k]
        base_z = _base_z(frame, regions[k], below, shapes)
        on_top = [regions[i].footprint for i, s in supports.items() if s and s.label == k and not s.is_inside]
        shapes[k] = estimate_shape(
            regions[k].evidence,
            base_z,
            is_open=regions[k].is_open,
            on_top=np.concatenate(on_top) if on_top else None,
            config=config.shapes,
        )
    return shapes


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


def _proposals(frame: LiftedFrame, region: Region, config: VisionConfig) -> Iterator[BoolArray]:
    """Yield parts of a region, in its window, that may be a thing of their own."""
    rgb = frame.rgb[region.window]
    parts = split_by_brightness(rgb, region.mask, config.split_ratio, config.clusters.color)
    if len(parts) > 1:
        yield from parts[:-1]
    height = frame.height_m[region.window]
    for level_m in _levels(height[core_of(region.mask) & frame.valid[region.window]]):
        upper = region.mask & (height > level_m + 0.004)
        if min(upper.sum(), region.mask.sum() - upper.sum()) > config.clusters.min_pixels:
            yield upper


def _levels(height_m: NDArray[np.floating], bin_m: float = 0.003) -> list[float]:
    """Return heights at which many points lie but the highest: horizontal faces under the top [m]."""
    counts, edges = np.histogram(height_m, bins=np.arange(0, height_m.max() + 2 * bin_m, bin_m))
    usual = np.median(counts[counts > 0])
    top = height_m.max() - 0.012
    peaks = [i for i in np.argsort(-counts) if counts[i] > 2 * usual and edges[i] < top]
    return [float(edges[i] + bin_m / 2) for i in peaks[:2]]


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
