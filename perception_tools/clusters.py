"""From the pixels above the support plane to regions: one label per object, if all goes well.

Geometry comes first (what is connected in space), then colour (things that touch), then outlines.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from perception_tools.color_split import ColorSplitConfig, split_by_color
from perception_tools.colors import name_rgb
from perception_tools.geometry import BoolArray
from perception_tools.lifted import ROBOT, FloatImage, LabelImage, LiftedFrame, grown, window_of
from perception_tools.outlines import refine_outline

# Neighbours a pixel may be joined to; the longer steps bridge pixels without depth along edges.
_OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (0, 4), (4, 0), (3, 3), (3, -3))
_REACH_PX = 4


@dataclass(frozen=True)
class ClusterConfig:
    """How pixels become regions.

    Attributes:
        min_height_m: Least height above the plane [m], of the mean over 5x5 pixels.
        min_height_sigma: The same in deviations of the depth noise; the larger counts.
        max_height_m: Higher points are not on the table [m].
        gap_m: Neighbouring pixels farther apart than this are not connected [m].
        min_pixels: Smaller regions are noise.
        max_regions: Only so many are kept, the largest; bounds the time in clutter.
        band_px: Half width of the band in which colour decides about the outline [px].
        color: When a change of colour separates what touches.
    """

    min_height_m: float = 0.003
    min_height_sigma: float = 2.2
    max_height_m: float = 0.45
    gap_m: float = 0.012
    min_pixels: int = 40
    max_regions: int = 40
    band_px: int = 4
    color: ColorSplitConfig = field(default_factory=ColorSplitConfig)


def find_regions(frame: LiftedFrame, config: ClusterConfig | None = None) -> LabelImage:
    """Label what stands on the plane: 1, 2, .. in no particular order, `ROBOT` on the robot, else 0."""
    config = config or ClusterConfig()
    lowest = max(config.min_height_m, config.min_height_sigma * frame.plane.rmse_m)
    above = frame.valid & (frame.smoothed_height_m() > lowest) & (frame.height_m > 0.5 * lowest)
    above &= frame.height_m < config.max_height_m
    above = frame.over_plane(above)
    labels = np.zeros(above.shape, dtype=np.int32)
    labels[frame.robot] = ROBOT
    if not above.any():
        return labels
    connected = connected_in_3d(frame.points, above, max(config.gap_m, 4 * frame.pixel_m(above)))
    sizes = np.bincount(connected.ravel())
    count = 0
    for k, window in enumerate(find_objects(connected), start=1):
        if sizes[k] < config.min_pixels:
            continue
        parts = split_by_color(frame.rgb[window], connected[window] == k, config.color)
        for part in joined_alike(frame.rgb[window], parts):
            count += 1
            labels[window][part] = count
    _keep_largest(labels, config.max_regions)
    refine_regions(frame, labels, lowest, config)
    return labels


def joined_alike(rgb: NDArray[np.uint8], parts: list[BoolArray]) -> list[BoolArray]:
    """Join parts that touch and have one colour name: shades of one thing, such as a blurred rim.

    Args:
        rgb: Image, shape (H, W, 3).
        parts: Masks that do not overlap, (H, W) each.
    """
    if len(parts) < 2:
        return parts
    names = [name_rgb(np.median(rgb[part], axis=0)).name for part in parts]
    near = [cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for part in parts]
    pairs = [(i, j) for i in range(len(parts)) for j in range(i) if names[i] == names[j]]
    alike = np.zeros((len(parts), len(parts)), dtype=bool)
    for i, j in pairs:
        alike[i, j] = (near[i] & parts[j]).any()
    groups = connected_components(alike, directed=False)[1]
    return [np.logical_or.reduce([parts[k] for k in np.flatnonzero(groups == g)]) for g in np.unique(groups)]


def _keep_largest(labels: LabelImage, num: int) -> None:
    sizes = np.bincount(np.maximum(labels, 0).ravel())
    sizes[0] = 0
    small = np.argsort(-sizes)[num:]
    labels[np.isin(labels, small[sizes[small] > 0])] = 0


def connected_in_3d(points: FloatImage, wanted: BoolArray, gap_m: float) -> LabelImage:
    """Label pixels whose neighbours in the image are also neighbours in space.

    Args:
        points: Points of all pixels [m], shape (H, W, 3).
        wanted: Pixels that take part, shape (H, W).
        gap_m: Largest distance of neighbours [m].

    Returns:
        Labels 1.., shape (H, W); 0 where not wanted.
    """
    labels = np.zeros(wanted.shape, dtype=np.int32)
    window = window_of(wanted)
    inside = np.pad(wanted[window], _REACH_PX)  # so that no step leaves the image
    at = np.flatnonzero(inside)
    index = np.full(inside.size, -1, dtype=np.int32)
    index[at] = np.arange(len(at))
    p = np.ascontiguousarray(points[window][wanted[window]].T)
    starts, ends = [], []
    for dv, du in _OFFSETS:
        neighbour = index[at + (dv * inside.shape[1] + du)]
        delta = p - p[:, neighbour]
        near = np.flatnonzero((np.einsum("ij,ij->j", delta, delta) < gap_m**2) & (neighbour >= 0))
        starts.append(near)
        ends.append(neighbour[near])
    rows, columns = np.concatenate(starts), np.concatenate(ends)
    graph = coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(at), len(at)))
    labels[window][wanted[window]] = connected_components(graph, directed=False)[1] + 1
    return labels


def refine_regions(frame: LiftedFrame, labels: LabelImage, lowest_m: float, config: ClusterConfig) -> None:
    """Give every region of `labels` (changed in place) its exact outline; too small ones go."""
    certain = frame.valid & (frame.height_m > 4 * lowest_m)
    possible = ~frame.valid | (frame.smoothed_height_m() > 0.5 * lowest_m)
    for k, window in enumerate(find_objects(np.maximum(labels, 0)), start=1):
        if window is None:
            continue
        window = grown(window, 4 * config.band_px, labels.shape)
        view = labels[window]
        mask, others = view == k, (view != k) & (view != 0)
        refined = refine_outline(
            frame.rgb[window],
            mask,
            others=others,
            certain=certain[window],
            possible=possible[window],
            band_px=config.band_px,
        )
        refined &= ~others
        view[mask] = 0
        if refined.sum() >= config.min_pixels:
            view[refined] = k
