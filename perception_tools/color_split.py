"""Split a region of touching pixels where its colour changes, not where its shading does."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import BoolArray, FloatArray

_BINS = 100
_GRID = np.indices((_BINS, _BINS))
_NEUTRAL = np.array([1 / 3, 1 / 3])


@dataclass(frozen=True)
class ColorSplitConfig:
    """When a change of colour separates two objects.

    Attributes:
        chroma_gap: Least distance in (r, g) chromaticity.
        dark_level: Sum of R, G and B (0..765) under which a pixel has no chromaticity: black.
        luminance_ratio: Least ratio of brightness between neutral colours; more than shading makes.
        highlight_hue_rad: Modes of one hue within this may be a surface and its highlight [rad].
        highlight_saturation: Least saturation of a highlight against its surface.
        min_part: Least share of the region.
        min_pixels: Least number of pixels.
    """

    chroma_gap: float = 0.065
    dark_level: float = 75.0
    luminance_ratio: float = 3.0
    highlight_hue_rad: float = 0.1
    highlight_saturation: float = 0.65
    min_part: float = 0.012
    min_pixels: int = 40


def chromaticity(rgb: NDArray[np.generic]) -> FloatArray:
    """Return (r, g) = (R, G) / (R + G + B), shape (..., 2): shading scales it out, also after gamma."""
    values = np.asarray(rgb, dtype=np.float64)
    return values[..., :2] / np.maximum(values.sum(axis=-1, keepdims=True), 1.0)


def split_by_color(
    rgb: NDArray[np.uint8], mask: BoolArray, config: ColorSplitConfig | None = None
) -> list[BoolArray]:
    """Split a mask, (H, W), into regions of clearly different colour; at least one, not overlapping.

    Only chromaticity counts and, for neutral colours, a ratio of brightness that shading does not make.
    """
    config = config or ColorSplitConfig()
    pixels = rgb[mask].astype(np.float64)
    modes = _color_modes(pixels, config)
    num = int(modes.max(initial=0)) + 1
    if num == 1:
        return [mask]
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels[mask] = modes
    labels = _majority(labels, num)
    enough = max(config.min_pixels, config.min_part * len(pixels))
    parts = [part for mode in range(num) for part in _solid_regions(labels == mode, enough)]
    return [mask] if len(parts) < 2 else absorb_rest(mask, parts)


def split_by_brightness(
    rgb: NDArray[np.uint8], mask: BoolArray, ratio: float, config: ColorSplitConfig
) -> list[BoolArray]:
    """Split a mask, (H, W), into a bright and a dark part if their brightness differs by `ratio` or more."""
    pixels = rgb[mask].astype(np.float64)
    dark = _darker_part(pixels.sum(axis=1), ratio, config)
    if dark is None:
        return [mask]
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels[mask] = dark
    labels = _majority(labels, 2)
    enough = max(config.min_pixels, config.min_part * len(pixels))
    parts = [part for mode in (0, 1) for part in _solid_regions(labels == mode, enough)]
    return [mask] if len(parts) < 2 else absorb_rest(mask, parts)


def absorb_rest(mask: BoolArray, parts: list[BoolArray]) -> list[BoolArray]:
    """Give the pixels of `mask` that are in no part to the nearest part."""
    distance = np.stack([cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 3) for part in parts])
    owner = distance.argmin(axis=0)
    return [mask & (owner == k) for k in range(len(parts))]


def _color_modes(pixels: FloatArray, config: ColorSplitConfig) -> NDArray[np.int32]:
    """Return the index of the colour mode of every pixel (N, 3), (N,)."""
    total = pixels.sum(axis=1)
    chroma = chromaticity(pixels)
    chroma[total < config.dark_level] = _NEUTRAL
    centers = _histogram_modes(chroma, config)
    nearest = ((chroma[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    modes = _without_highlights(nearest.astype(np.int32), centers, total, config)
    is_neutral = np.linalg.norm(centers - _NEUTRAL, axis=1) < config.chroma_gap
    for mode in np.unique(modes[is_neutral[nearest]]):
        mine = np.flatnonzero(modes == mode)
        dark = _darker_part(total[mine], config.luminance_ratio, config)
        if dark is not None:
            modes[mine[dark]] = modes.max() + 1
    return modes


def _without_highlights(
    modes: NDArray[np.int32], centers: FloatArray, total: FloatArray, config: ColorSplitConfig
) -> NDArray[np.int32]:
    """Give highlights to their surface: the same hue, brighter and less saturated (Shafer, 1985)."""
    offset = centers - _NEUTRAL
    saturation = np.linalg.norm(offset, axis=1)
    hue = np.arctan2(offset[:, 1], offset[:, 0])
    bright = [np.median(total[modes == k]) if (modes == k).any() else 0.0 for k in range(len(centers))]
    out = modes.copy()
    for k in range(len(centers)):
        for j in np.argsort(-saturation):
            turn = abs((hue[k] - hue[j] + np.pi) % (2 * np.pi) - np.pi)
            paler = config.highlight_saturation < saturation[k] / max(saturation[j], 1e-6) < 1
            if paler and turn < config.highlight_hue_rad and bright[k] > bright[j]:
                out[modes == k] = j
                break
    return np.unique(out, return_inverse=True)[1].astype(np.int32)


def _histogram_modes(chroma: FloatArray, config: ColorSplitConfig) -> FloatArray:
    """Return the centres of the dense places of the chromaticity histogram, most pixels first, (K, 2)."""
    i, j = np.clip((chroma * _BINS).astype(np.intp), 0, _BINS - 1).T
    counts = np.bincount(i * _BINS + j, minlength=_BINS**2).reshape(_BINS, _BINS).astype(np.float32)
    smooth = cv2.GaussianBlur(counts, (0, 0), 1.5)
    enough = max(config.min_pixels, config.min_part * len(chroma))
    reach = config.chroma_gap / 2 * _BINS
    centers: list[FloatArray] = []
    for _ in range(8):
        peak = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
        near = (_GRID[0] - peak[0]) ** 2 + (_GRID[1] - peak[1]) ** 2 < reach**2
        smooth[near] = 0
        center = (np.array(peak, dtype=np.float64) + 0.5) / _BINS
        apart = all(np.linalg.norm(center - c) > config.chroma_gap for c in centers)
        if not centers or (apart and counts[near].sum() >= enough):
            centers.append(center)
        if smooth.max() <= 0:
            break
    return np.array(centers)


def _darker_part(total: FloatArray, ratio: float, config: ColorSplitConfig) -> BoolArray | None:
    """Return which pixels, given their brightness (N,), belong to a darker thing; None if all are one."""
    value = np.log(np.maximum(total, config.dark_level))
    if len(value) == 0 or value.max() - value.min() < np.log(ratio):
        return None
    threshold = (value.min() + value.max()) / 2
    for _ in range(8):  # ISODATA (Ridler and Calvard, 1978)
        low = value <= threshold
        if low.all() or not low.any():
            return None
        threshold = (value[low].mean() + value[~low].mean()) / 2
    low = value <= threshold
    too_small = min(low.sum(), (~low).sum()) < max(config.min_pixels, config.min_part * len(total))
    too_alike = np.median(value[~low]) - np.median(value[low]) < np.log(ratio)
    return None if too_small or too_alike else low


def _majority(labels: NDArray[np.int32], num: int) -> NDArray[np.int32]:
    """Give every labelled pixel (>= 0) the most frequent label of its 5x5 neighbourhood."""
    votes = np.stack([cv2.boxFilter((labels == k).astype(np.float32), -1, (5, 5)) for k in range(num)])
    return np.where(labels >= 0, votes.argmax(axis=0), -1).astype(np.int32)


def _solid_regions(mask: BoolArray, min_pixels: float) -> list[BoolArray]:
    """Return the connected regions that are large and not just a seam of mixed pixels."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    core_sizes = np.bincount(labels[core], minlength=count)
    areas = stats[:, cv2.CC_STAT_AREA]
    return [
        labels == k for k in range(1, count) if areas[k] >= min_pixels and core_sizes[k] >= 0.25 * areas[k]
    ]
