"""Exact outlines: colour decides where depth is missing or too close to the support plane."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import BoolArray, FloatArray

_CROSS = np.ones((3, 3), np.uint8)


def refine_outline(
    rgb: NDArray[np.uint8],
    mask: BoolArray,
    *,
    others: BoolArray,
    certain: BoolArray,
    possible: BoolArray,
    band_px: int,
) -> BoolArray:
    """Decide by colour which pixels on and inside the outline of a mask belong to the object.

    Undecided are the pixels near the outline and in the holes and bays of the mask, unless depth
    leaves no doubt. A pixel goes to the object if its colour is nearer to that of the
    object's core than to that of the background, both averaged over the pixel's surroundings.

    Args:
        rgb: Image around the object, shape (H, W, 3).
        mask: Present mask, shape (H, W).
        others: Pixels that other objects or the robot own, shape (H, W).
        certain: Pixels whose depth leaves no doubt that they are not the support, shape (H, W).
        possible: Pixels whose depth does not speak for the support, shape (H, W).
        band_px: Half width of the band [px]; outside the mask only the next pixel where not `possible`.

    Returns:
        The refined mask, shape (H, W).
    """
    inside = mask.astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band_px + 1,) * 2)
    core = core_of(mask)
    near = cv2.dilate(inside, disc) > 0
    reach = (cv2.dilate(inside, _CROSS) > 0) | ((near | _hull(inside)) & possible)
    deep = cv2.erode(inside, disc) > 0
    undecided = reach & ~(mask & (certain | deep)) & ~others
    background = ~reach & ~near & ~others
    image = rgb.astype(np.float32)
    to_object = _color_distance(image, _local_mean(image, core, 2 * band_px + 1))
    to_background = _color_distance(image, _local_mean(image, background, 4 * band_px + 1))
    decided = np.where(undecided, to_object < to_background, mask)
    return _with_seeds(decided, core & decided)


def core_of(mask: BoolArray, min_share: float = 0.3) -> BoolArray:
    """Return a mask without its outline, where depth and colour are mixed; thin ones stay whole."""
    core = cv2.erode(mask.astype(np.uint8), _CROSS) > 0
    return core if core.sum() > max(20, min_share * mask.sum()) else mask


def without_holes(mask: BoolArray) -> BoolArray:
    """Return a mask with everything inside its outer outline."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, -1) > 0


def outline_cracks(mask: BoolArray, doubtful: BoolArray, hidden: BoolArray) -> tuple[FloatArray, float]:
    """Return where a mask ends against its background, and how much of its outline is not hidden.

    The points lie halfway between a pixel inside and its neighbour outside, so that they are
    unbiased. Ends against the border of the image count for neither.

    Args:
        mask: Pixels of the object, shape (H, W).
        doubtful: Pixels of things that may be in front of it: no points there, shape (H, W).
        hidden: Pixels of things that are in front of it, shape (H, W).

    Returns:
        Points [px], shape (M, 2), and the share that is not hidden.
    """
    padded = np.pad(mask, 1)
    doubtful, hidden = (np.pad(pixels, 1, constant_values=True) for pixels in (doubtful, hidden))
    inner = np.s_[1:-1, 1:-1]
    points, total, visible = [], 0, 0
    for dv, du in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = np.s_[1 + dv : mask.shape[0] + 1 + dv, 1 + du : mask.shape[1] + 1 + du]
        ends = padded[inner] & ~padded[beside]
        total += int(np.count_nonzero(ends))
        visible += int(np.count_nonzero(ends & ~hidden[beside]))
        v, u = np.nonzero(ends & ~doubtful[beside])
        points.append(np.stack([u + du / 2, v + dv / 2], axis=1))
    return np.concatenate(points), visible / max(total, 1)


def _hull(inside: NDArray[np.uint8]) -> BoolArray:
    corners = cv2.findNonZero(inside)
    out = np.zeros_like(inside)
    return out > 0 if corners is None else cv2.fillConvexPoly(out, cv2.convexHull(corners), 1) > 0


def _local_mean(image: NDArray[np.float32], where: BoolArray, size: int) -> NDArray[np.float32]:
    """Return the mean colour over the pixels of `where` around each pixel; overall mean if none is near."""
    weight = where.astype(np.float32)
    count = cv2.boxFilter(weight, -1, (size, size), normalize=False)[..., None]
    total = cv2.boxFilter(image * weight[..., None], -1, (size, size), normalize=False)
    overall = image[where].mean(axis=0) if where.any() else np.full(3, -1e3, np.float32)
    return np.where(count > 0.5, total / np.maximum(count, 1), overall)


def _color_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a distance of colours that counts hue and saturation more than brightness, (H, W)."""
    delta = a - b
    brightness = delta.mean(axis=-1)
    colour = delta - brightness[..., None]
    return np.sqrt((colour**2).sum(axis=-1) * 3 + brightness**2)


def _with_seeds(mask: BoolArray, seeds: BoolArray) -> BoolArray:
    """Keep the regions of a mask that contain seeds, and close gaps of a pixel."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.isin(labels, np.unique(labels[seeds])) & mask
    return cv2.morphologyEx(kept.astype(np.uint8), cv2.MORPH_CLOSE, _CROSS) > 0
