"""From the pixels above the support plane to one mask per object: geometry first, then colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from perception_tools.geometry import BoolArray, FloatArray

LabelImage = NDArray[np.int32]
# Neighbours a pixel may be joined to; the longer steps bridge pixels without depth along edges.
_OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (0, 4), (4, 0), (3, 3), (3, -3))
_CHROMA_BINS = 100


@dataclass(frozen=True)
class ClusterConfig:
    """How pixels become objects.

    Attributes:
        min_height_m: Lowest point of an object above the plane [m]; raised to 2.2 sigma of the depth noise
            (heights are averaged over 5x5 pixels).
        max_height_m: Points above this are not on the table [m].
        gap_m: Neighbouring pixels farther apart than this belong to different objects [m].
        min_pixels: Smaller groups are noise.
        max_extent_m: Larger groups are no object (furniture, an unfiltered arm) [m].
        chroma_gap: Distance in (r, g) chromaticity at which touching regions are different objects.
        dark_level: Sum of R, G and B (0..765) under which a pixel counts as black.
        luminance_ratio: Neutral regions whose brightness differs by more are different objects;
            above the ratio that shading alone makes.
        min_part: Smallest share of a group that can be an object of its own by colour.
        join_misfit: Two halves are joined if one vessel fits both with a smaller misfit than this.
        band_px: Width of the outline band in which colour decides between object and background [px].
    """

    min_height_m: float = 0.003
    max_height_m: float = 0.45
    gap_m: float = 0.012
    min_pixels: int = 40
    max_extent_m: float = 0.4
    chroma_gap: float = 0.065
    dark_level: float = 55.0
    luminance_ratio: float = 3.0
    min_part: float = 0.04
    join_misfit: float = 1.5
    band_px: int = 4


def connected_in_3d(points: FloatArray, wanted: BoolArray, gap_m: float, footprint_m: float) -> LabelImage:
    """Label pixels whose neighbours in the image are also neighbours in space.

    Args:
        points: Points of all pixels [m], shape (H, W, 3).
        wanted: Pixels that take part, shape (H, W).
        gap_m: Largest distance of neighbours [m].
        footprint_m: Size of a pixel on a surface that faces the camera [m]; gaps scale with it.

    Returns:
        Labels 1.., shape (H, W); 0 where not wanted.
    """
    index = np.full(wanted.shape, -1, dtype=np.int64)
    num = int(wanted.sum())
    index[wanted] = np.arange(num)
    limit2 = max(gap_m, 4 * footprint_m) ** 2
    starts, ends = [], []
    height, width = wanted.shape
    for dv, du in _OFFSETS:
        here = np.s_[: height - dv, max(0, -du) : width - max(0, du)]
        there = np.s_[dv:, max(0, du) : width - max(0, -du)]
        both = wanted[here] & wanted[there]
        a, b = index[here][both], index[there][both]
        delta = points[here][both] - points[there][both]
        near = np.einsum("ij,ij->i", delta, delta) < limit2
        starts.append(a[near])
        ends.append(b[near])
    rows, columns = np.concatenate(starts), np.concatenate(ends)
    graph = coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(num, num))
    labels = np.zeros(wanted.shape, dtype=np.int32)
    labels[wanted] = connected_components(graph, directed=False)[1] + 1
    return labels


def chromaticity(rgb: NDArray[np.uint8]) -> FloatArray:
    """Return (r, g) = (R, G) / (R + G + B), shape (..., 2): shading scales it out, also after gamma."""
    rgb = np.asarray(rgb, dtype=np.float64)
    return rgb[..., :2] / np.maximum(rgb.sum(axis=-1, keepdims=True), 1.0)


def split_by_color(rgb: NDArray[np.uint8], mask: BoolArray, config: ClusterConfig) -> list[BoolArray]:
    """Split a group of touching pixels into regions of clearly different colour.

    Shading and highlights do not split: only chromaticity counts, and for neutral colours a ratio
    of brightness that shading does not make. Returns at least one mask; masks do not overlap.
    """
    v, u = np.nonzero(mask)
    pixels = rgb[v, u].astype(np.float64)
    modes = _color_modes(pixels, config)
    if modes.max() == 0:
        return [mask]
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels[v, u] = modes
    labels = _majority(labels, int(modes.max()) + 1)
    parts: list[BoolArray] = []
    for mode in range(int(modes.max()) + 1):
        parts.extend(_solid_regions(labels == mode, max(config.min_pixels, config.min_part * len(v))))
    if len(parts) < 2:
        return [mask]
    return _absorb_rest(mask, parts)


def _color_modes(pixels: FloatArray, config: ClusterConfig) -> NDArray[np.int32]:
    """Return the index of the colour mode of every pixel (N, 3), shape (N,)."""
    total = pixels.sum(axis=1)
    chroma = chromaticity(pixels)  # pyright: ignore[reportArgumentType]
    chroma[total < config.dark_level] = 1 / 3
    centers = _histogram_modes(chroma, config)
    nearest = np.argmin(np.linalg.norm(chroma[:, None] - centers[None], axis=2), axis=1)
    modes = np.zeros(len(pixels), dtype=np.int32)
    count = 0
    for k, center in enumerate(centers):
        mine = nearest == k
        modes[mine] = count
        count += 1
        if np.linalg.norm(center - 1 / 3) < config.chroma_gap and mine.any():
            dark = _darker_part(total[mine], config)
            if dark is not None:
                modes[np.flatnonzero(mine)[dark]] = count
                count += 1
    return modes


def _histogram_modes(chroma: FloatArray, config: ClusterConfig) -> FloatArray:
    bins = np.clip((chroma * _CHROMA_BINS).astype(int), 0, _CHROMA_BINS - 1)
    histogram = np.zeros((_CHROMA_BINS, _CHROMA_BINS), dtype=np.float32)
    np.add.at(histogram, (bins[:, 0], bins[:, 1]), 1.0)
    smooth = cv2.GaussianBlur(histogram, (0, 0), 1.5)
    centers: list[FloatArray] = []
    enough = max(config.min_pixels, config.min_part * len(chroma))
    reach = config.chroma_gap / 2
    while len(centers) < 8:
        peak = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
        if smooth[peak] <= 0:
            break
        center = (np.array(peak) + 0.5) / _CHROMA_BINS
        mass = (np.linalg.norm(chroma - center, axis=1) < reach).sum()
        apart = all(np.linalg.norm(center - c) > config.chroma_gap for c in centers)
        if apart and (mass >= enough or not centers):
            centers.append(center)
        i, j = np.indices(smooth.shape)
        clear = np.hypot(i - peak[0], j - peak[1]) < reach * _CHROMA_BINS
        smooth[clear] = 0
    return np.array(centers)


def _darker_part(total: FloatArray, config: ClusterConfig) -> BoolArray | None:
    """Return which of the neutral pixels belong to a clearly darker thing, None if all are one."""
    value = np.log(np.maximum(total, 1.0))
    if value.max() - value.min() < np.log(config.luminance_ratio):
        return None
    threshold = value.mean()
    for _ in range(8):  # ISODATA threshold
        low, high = value <= threshold, value > threshold
        if not low.any() or not high.any():
            return None
        threshold = (value[low].mean() + value[high].mean()) / 2
    low = value <= threshold
    gap = np.median(value[~low]) - np.median(value[low])
    small = min(low.sum(), (~low).sum()) < max(config.min_pixels, config.min_part * len(total))
    return None if small or gap < np.log(config.luminance_ratio) else low


def _majority(labels: LabelImage, num: int) -> LabelImage:
    """Give every labelled pixel (>= 0) the most frequent label of its 5x5 neighbourhood."""
    votes = np.stack([cv2.boxFilter((labels == k).astype(np.float32), -1, (5, 5)) for k in range(num)])
    return np.where(labels >= 0, votes.argmax(axis=0), -1).astype(np.int32)


def _solid_regions(mask: BoolArray, min_pixels: float) -> list[BoolArray]:
    """Return the connected regions that are large and not just a seam of mixed pixels."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    core_sizes = np.bincount(labels[core > 0], minlength=count)
    keep = [
        k
        for k in range(1, count)
        if stats[k, cv2.CC_STAT_AREA] >= min_pixels and core_sizes[k] >= 0.25 * stats[k, cv2.CC_STAT_AREA]
    ]
    return [labels == k for k in keep]


def _absorb_rest(mask: BoolArray, parts: list[BoolArray]) -> list[BoolArray]:
    """Give the pixels of `mask` that are in no part to the nearest part."""
    distance = np.stack([cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 3) for part in parts])
    owner = distance.argmin(axis=0)
    return [mask & (owner == k) for k in range(len(parts))]


def refine_outline(
    rgb: NDArray[np.uint8], mask: BoolArray, others: BoolArray, certain: BoolArray, band_px: int
) -> BoolArray:
    """Let colour decide in the outline band, where depth is missing or too close to the plane.

    A pixel of the band goes to the object if its colour is nearer to that of the object's core than
    to that of the background, both averaged over the surroundings of the pixel.

    Args:
        rgb: Image, shape (H, W, 3).
        mask: Present mask, shape (H, W).
        others: Pixels that other objects or the robot own, shape (H, W).
        certain: Pixels whose depth leaves no doubt that they are no table, shape (H, W).
        band_px: Half width of the band [px].

    Returns:
        The refined mask, shape (H, W).
    """
    v, u = np.nonzero(mask)
    pad = 4 * band_px
    top, left = max(0, v.min() - pad), max(0, u.min() - pad)
    window = np.s_[top : v.max() + pad + 1, left : u.max() + pad + 1]
    inside, other = mask[window].astype(np.uint8), others[window]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band_px + 1,) * 2)
    core = cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0
    core = core if core.sum() > 20 else inside > 0
    grown = (cv2.dilate(inside, disc) > 0) | _hull(inside)
    away = ~(cv2.dilate(inside, np.ones((3, 3), np.uint8)) > 0) & ~other
    image = rgb[window].astype(np.float32)
    sure = certain[window] & (inside > 0)
    band = grown & ~sure & ~other & ~(core & _far_from(~grown, band_px))
    background = away & ~grown
    near_object = _local_mean(image, core, 2 * band_px + 1)
    near_table = _local_mean(image, background, 4 * band_px + 1)
    to_object = _color_distance(image, near_object)
    to_table = _color_distance(image, near_table)
    decided = np.where(band, to_object < to_table, inside > 0)
    decided = _largest_with(decided, sure | core)
    out = mask.copy()
    out[window] = decided
    return out


def _hull(inside: NDArray[np.uint8]) -> BoolArray:
    corners = cv2.convexHull(cv2.findNonZero(inside))
    return cv2.fillConvexPoly(np.zeros_like(inside), corners, 1) > 0


def _far_from(region: BoolArray, distance_px: float) -> BoolArray:
    return cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, 3) > 2 * distance_px


def _local_mean(image: NDArray[np.float32], where: BoolArray, size: int) -> NDArray[np.float32]:
    """Return the mean colour over the pixels of `where` around each pixel; global mean where none is near."""
    weight = where.astype(np.float32)
    total = cv2.boxFilter(weight, -1, (size, size), normalize=False)
    mean = cv2.boxFilter(image * weight[..., None], -1, (size, size), normalize=False)
    overall = image[where].mean(axis=0) if where.any() else np.full(3, -1e3, np.float32)
    return np.where(total[..., None] > 0.5, mean / np.maximum(total, 1)[..., None], overall)


def _color_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a distance of colours that counts hue and saturation more than brightness, (H, W)."""
    delta = a - b
    brightness = delta.mean(axis=-1)
    colour = delta - brightness[..., None]
    return np.sqrt((colour**2).sum(axis=-1) * 3 + brightness**2)


def _largest_with(mask: BoolArray, seeds: BoolArray) -> BoolArray:
    """Keep the regions of a mask that contain seeds, and fill their holes of a few pixels."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.isin(labels, np.unique(labels[seeds & mask])) & mask
    return cv2.morphologyEx(kept.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
