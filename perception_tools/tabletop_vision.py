"""See a table top: support plane, objects, and what each of them is, from one RGB-D frame.

No learned weights: plane removal, connected components in 3-D, colour splitting, colour names in
CIELAB, and solids fitted to outline and points. Everything comes from colour, depth and the
camera's pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.boxes import Box3D
from perception_tools.clusters import (
    ClusterConfig,
    chromaticity,
    connected_in_3d,
    refine_outline,
    split_by_color,
)
from perception_tools.colors import ColorConfig, ColorName, name_color
from perception_tools.fitting import Evidence, outline_cracks
from perception_tools.geometry import BoolArray, FloatArray, Intrinsics, Transform
from perception_tools.plane import Plane, PlaneConfig, fit_support_plane
from perception_tools.shapes import ShapeConfig, ShapeEstimate, estimate_shape, filled_top


@dataclass(frozen=True)
class VisionConfig:
    """Settings of `detect`, `segment` and `point`, stage by stage."""

    plane: PlaneConfig = field(default_factory=PlaneConfig)
    clusters: ClusterConfig = field(default_factory=ClusterConfig)
    colors: ColorConfig = field(default_factory=ColorConfig)
    shapes: ShapeConfig = field(default_factory=ShapeConfig)


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
    """What was seen: the support plane (None if not found) and the objects, largest image area first."""

    plane: Plane | None
    objects: tuple[SeenObject, ...]


def see_tabletop(
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    intrinsics: Intrinsics,
    T_world_camera: Transform,
    *,
    robot: BoolArray | None = None,
    config: VisionConfig | None = None,
) -> TabletopView:
    """Find and describe the objects on the support plane.

    Args:
        rgb: Image, shape (H, W, 3), uint8.
        depth_m: Depth [m], shape (H, W), 0 where invalid.
        intrinsics: Of both.
        T_world_camera: Optical pose of the camera.
        robot: Pixels of the robot's own body, shape (H, W).
        config: Settings.
    """
    config = config or VisionConfig()
    scene = _Scene.build(rgb, depth_m, intrinsics, T_world_camera, robot, config)
    masks = _merged(scene, _refined(scene, _pieces(scene)))
    supports = _supports(scene, masks)
    objects: dict[int, SeenObject] = {}
    for k in sorted(range(len(masks)), key=lambda k: supports[k] is not None):
        below = objects.get(supports[k]) if supports[k] is not None else None
        objects[k] = _describe(scene, masks, k, below)
    found = [o for o in objects.values() if max(o.box.size_m) < config.clusters.max_extent_m]
    found.sort(key=lambda o: -int(o.mask.sum()))
    return TabletopView(scene.plane if scene.plane.num_inliers else None, tuple(found))


@dataclass(frozen=True, eq=False)
class _Scene:
    """The frame, lifted to world, with heights above the support plane."""

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    intrinsics: Intrinsics
    T_world_camera: Transform
    robot: BoolArray
    config: VisionConfig
    points: FloatArray
    valid: BoolArray
    plane: Plane
    height_m: FloatArray
    min_height_m: float

    @classmethod
    def build(
        cls,
        rgb: NDArray[np.uint8],
        depth_m: NDArray[np.float32],
        intrinsics: Intrinsics,
        T_world_camera: Transform,
        robot: BoolArray | None,
        config: VisionConfig,
    ) -> _Scene:
        """Lift the frame and find the plane; where none is seen the expected one is assumed."""
        robot = np.zeros(depth_m.shape, dtype=bool) if robot is None else robot
        points = T_world_camera @ intrinsics.deproject_image(depth_m)
        valid = (depth_m > 0) & ~robot
        plane = fit_support_plane(points[valid], config.plane)
        if plane is None:
            plane = Plane(np.array([0.0, 0.0, 1.0]), config.plane.expected_z_m or 0.0)
        height = np.where(valid, plane.height_m(points), 0.0)
        lowest = max(config.clusters.min_height_m, 2.2 * plane.rmse_m)
        return cls(
            rgb, depth_m, intrinsics, T_world_camera, robot, config, points, valid, plane, height, lowest
        )

    def footprint_m(self, pixels: BoolArray) -> float:
        """Return the size of a pixel at the median depth of some pixels [m]."""
        return float(np.median(self.depth_m[pixels])) / self.intrinsics.fx


def _pieces(scene: _Scene) -> list[BoolArray]:
    """Return connected regions above the plane, split where the colour changes."""
    limits = scene.config.clusters
    wanted = scene.valid & (_smoothed(scene) > scene.min_height_m) & (scene.height_m < limits.max_height_m)
    wanted &= scene.height_m > 0.5 * scene.min_height_m
    wanted &= _over_plane(scene, wanted)
    if not wanted.any():
        return []
    labels = connected_in_3d(scene.points, wanted, limits.gap_m, scene.footprint_m(wanted))
    sizes = np.bincount(labels.ravel())
    pieces: list[BoolArray] = []
    for k in np.flatnonzero(sizes >= limits.min_pixels):
        if k > 0:
            pieces.extend(split_by_color(scene.rgb, labels == k, limits))
    return [piece for piece in pieces if piece.sum() >= limits.min_pixels]


def _smoothed(scene: _Scene, size: int = 5) -> NDArray[np.float32]:
    """Return the mean height of the valid pixels around each pixel [m], (H, W)."""
    weight = cv2.boxFilter(scene.valid.astype(np.float32), -1, (size, size), normalize=False)
    total = cv2.boxFilter(scene.height_m.astype(np.float32), -1, (size, size), normalize=False)
    return total / np.maximum(weight, 1)


def _over_plane(scene: _Scene, wanted: BoolArray, margin: float = 1.05) -> BoolArray:
    """Return which wanted pixels stand over the seen part of the plane (its convex hull)."""
    if scene.plane.num_inliers == 0:
        return wanted
    on_plane = scene.valid & (np.abs(scene.height_m) < scene.min_height_m)
    xy = scene.points[on_plane][::20, :2].astype(np.float32)
    hull = cv2.convexHull(xy)[:, 0].astype(np.float64)
    middle = hull.mean(axis=0)
    hull = middle + margin * (hull - middle)
    out = np.zeros_like(wanted)
    v, u = np.nonzero(wanted)
    edges = np.roll(hull, -1, axis=0) - hull
    p = scene.points[v, u, :2]
    cross = edges[:, 0] * (p[:, 1:2] - hull[:, 1]) - edges[:, 1] * (p[:, :1] - hull[:, 0])
    out[v, u] = (cross >= 0).all(axis=1) | (cross <= 0).all(axis=1)
    return out


def _merged(scene: _Scene, pieces: list[BoolArray]) -> list[BoolArray]:
    """Join pieces of one colour that together are one open vessel: its near wall and its inside.

    The step in depth from the near rim to the far inside separates them in the image; that they are
    one is shown by the fit of a single hollow solid to both.
    """
    out = list(pieces)
    while (pair := _vessel_halves(scene, out)) is not None:
        i, j = pair
        out[i] = out[i] | out[j]
        del out[j]
    return out


def _vessel_halves(scene: _Scene, pieces: list[BoolArray]) -> tuple[int, int] | None:
    limits = scene.config.clusters
    chroma = [np.median(chromaticity(scene.rgb[piece]), axis=0) for piece in pieces]
    grown = [cv2.dilate(piece.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0 for piece in pieces]
    for i in range(len(pieces)):
        for j in range(i + 1, len(pieces)):
            if np.linalg.norm(chroma[i] - chroma[j]) > limits.chroma_gap or not (grown[i] & pieces[j]).any():
                continue
            others = [piece for k, piece in enumerate(pieces) if k not in (i, j)]
            evidence, _ = _evidence(scene, pieces[i] | pieces[j], others)
            if filled_top(evidence, scene.config.shapes) > scene.config.shapes.closed_top:
                continue
            if estimate_shape(evidence, _base_z(scene, evidence.points, None)).misfit < limits.join_misfit:
                return i, j
    return None


def _footprint(scene: _Scene, mask: BoolArray) -> NDArray[np.float32]:
    return cv2.convexHull(scene.points[mask & scene.valid][:, :2].astype(np.float32))[:, 0]


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the common area of two convex polygons over that of the smaller."""
    if len(a) < 3 or len(b) < 3:
        return 0.0
    smaller = min(cv2.contourArea(a), cv2.contourArea(b))
    return float(cv2.intersectConvexConvex(a, b)[0] / max(smaller, 1e-9))


def _refined(scene: _Scene, masks: list[BoolArray]) -> list[BoolArray]:
    certain = scene.valid & (scene.height_m > 4 * scene.min_height_m)
    out = list(masks)
    taken = np.logical_or.reduce([scene.robot, *masks]) if masks else scene.robot
    for k, mask in enumerate(out):
        refined = refine_outline(
            scene.rgb, mask, taken & ~mask, certain, scene.config.clusters.band_px
        )
        taken = (taken & ~mask) | refined
        out[k] = refined
    return [mask for mask in out if mask.sum() >= scene.config.clusters.min_pixels]


def _supports(scene: _Scene, masks: list[BoolArray]) -> list[int | None]:
    """Return for every object the index of the one that it stands on or in, None for the plane."""
    hulls = [_footprint(scene, mask) for mask in masks]
    areas = [cv2.contourArea(hull) if len(hull) > 2 else 0.0 for hull in hulls]
    out: list[int | None] = [None] * len(masks)
    for k in range(len(masks)):
        below = [
            j
            for j in range(len(masks))
            if areas[j] > 1.15 * areas[k] and _overlap(hulls[k], hulls[j]) > 0.75
        ]
        out[k] = max(below, key=lambda j: areas[j], default=None)
    return out


def _describe(scene: _Scene, masks: list[BoolArray], k: int, below: SeenObject | None) -> SeenObject:
    mask = masks[k]
    evidence, visible = _evidence(scene, mask, [m for j, m in enumerate(masks) if j != k])
    core, points = _core(mask), evidence.points
    base_z = _base_z(scene, points, below)
    shape = estimate_shape(evidence, base_z, scene.config.shapes)
    color = name_color(scene.rgb[core], scene.config.colors)
    confidence = float(np.clip(visible, 0, 1) * np.clip(len(points) / 150, 0.3, 1))
    return SeenObject(mask, color, shape, visible, confidence)


def _core(mask: BoolArray) -> BoolArray:
    """Return a mask without its outline, where depth and colour are mixed; small masks stay whole."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return core if core.sum() > 0.3 * mask.sum() else mask


def _evidence(scene: _Scene, mask: BoolArray, others: list[BoolArray]) -> tuple[Evidence, float]:
    """Return what the view shows of an object, and the share of its outline that is free."""
    points = scene.points[_core(mask) & scene.valid]
    outline, visible = outline_cracks(_filled(mask), _occluders(scene, mask, others))
    sigma = max(0.0012, 1.5 * scene.plane.rmse_m)
    return Evidence(points, outline, scene.intrinsics, scene.T_world_camera, sigma), visible


def _base_z(scene: _Scene, points: FloatArray, below: SeenObject | None) -> float:
    if below is None:
        return float(scene.plane.z_at(points[:, :2].mean(axis=0)))
    if below.shape.is_container:
        return below.box.bottom_z_m + below.shape.solid.wall_m
    return below.box.top_z_m


def _filled(mask: BoolArray) -> BoolArray:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, -1) > 0


def _occluders(scene: _Scene, mask: BoolArray, others: list[BoolArray]) -> BoolArray:
    """Return the pixels of other things that are not clearly behind an object next to them."""
    taken = np.logical_or.reduce([scene.robot, *others])
    own = np.where(mask & scene.valid, scene.depth_m, np.float32(100.0))
    near = cv2.erode(own, np.ones((5, 5), np.uint8))
    behind = (near < 50) & (scene.depth_m > near + 0.006)
    return taken & ~behind
