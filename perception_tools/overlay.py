"""Pictures for people: outlines, labels, boxes and grasps drawn over camera images.

Every function takes an image (H, W, 3) uint8 and returns a new one; the input stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception_tools.boxes import Box3D
from perception_tools.geometry import BoolArray, FloatArray, Intrinsics, Transform

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

# Bright and told apart by colour-blind people too (after Okabe & Ito, 2008), RGB.
PALETTE: tuple[Color, ...] = (
    (255, 176, 0),
    (86, 205, 255),
    (255, 105, 180),
    (60, 220, 120),
    (250, 240, 80),
    (190, 130, 255),
    (255, 120, 60),
    (120, 255, 230),
)
DARK: Color = (18, 20, 24)
LIGHT: Color = (245, 246, 248)
GOOD: Color = (60, 230, 120)


def color_of(index: int) -> Color:
    """Return the palette's colour for the index-th thing."""
    return PALETTE[index % len(PALETTE)]


# ---- text ---------------------------------------------------------------------------------------


def _font_px(image: Image) -> int:
    return int(np.clip(round(image.shape[1] / 44), 10, 18))


class Labels:
    """Places tags on one image so that they neither overlap nor leave it."""

    def __init__(self, image: Image) -> None:
        """Draw into `image` (in place: it belongs to the caller's copy)."""
        self._image = image
        self._font = cv2.FontFace("sans")
        self._taken: list[tuple[int, int, int, int]] = []

    def add(self, text: str, uv_px: ArrayLike, color: Color = LIGHT) -> None:
        """Write `text` on a dark tag as near above `uv_px` as there is room, with a bar in `color`."""
        if not text:
            return
        height, width = self._image.shape[:2]
        size = _font_px(self._image)
        box = cv2.getTextSize((0, 0), text, (0, 0), self._font, size, 500)
        w, h = int(box[2]) + 10, size + 6
        u, v = np.asarray(uv_px, dtype=float)[:2]
        spots = [(u - w / 2 + du, v - h - 4 + dv) for dv in _spread(h + 1, 9) for du in (0, -w / 2, w / 2)]
        left, top = min(
            (_inside(*s, w, h, width, height) for s in spots), key=lambda s: self._cost(s, spots[0], w, h)
        )
        self._taken.append((left, top, left + w, top + h))
        image = self._image
        patch = image[top : top + h, left : left + w]
        patch[:] = (0.2 * patch + 0.8 * np.array(DARK)).astype(np.uint8)
        cv2.rectangle(image, (left, top), (left + 2, top + h - 1), color, -1)
        cv2.putText(image, text, (left + 6, top + h - 6), LIGHT, self._font, size, 500)

    def _cost(self, spot: tuple[int, int], wanted: tuple[float, float], w: int, h: int) -> float:
        left, top = spot
        overlap = sum(
            max(0, min(left + w, r) - max(left, l)) * max(0, min(top + h, b) - max(top, t))
            for l, t, r, b in self._taken  # noqa: E741
        )
        return 10.0 * overlap + abs(left - wanted[0]) + 1.5 * abs(top - wanted[1])


def _spread(step: int, count: int) -> list[int]:
    """0, -step, +step, -2 step, ..."""
    return sorted((step * (k - count // 2) for k in range(count)), key=lambda d: (abs(d), d))


def _inside(left: float, top: float, w: int, h: int, width: int, height: int) -> tuple[int, int]:
    return int(np.clip(left, 0, max(0, width - w))), int(np.clip(top, 0, max(0, height - h)))


# ---- 2-D ----------------------------------------------------------------------------------------


def draw_masks(rgb: Image, masks: Sequence[BoolArray], labels: Sequence[str] = ()) -> Image:
    """Outline and tint masks, each (H, W), and name them."""
    image = rgb.copy()
    for k, mask in enumerate(masks):
        tint = np.asarray(color_of(k))
        image[mask] = (0.72 * image[mask] + 0.28 * tint).astype(np.uint8)
    outlines = [_outline(mask) for mask in masks]
    for k, contours in enumerate(outlines):
        cv2.drawContours(image, contours, -1, DARK, 4, cv2.LINE_AA)
        cv2.drawContours(image, contours, -1, color_of(k), 2, cv2.LINE_AA)
    tags = Labels(image)
    for k, (mask, label) in enumerate(zip(masks, labels, strict=False)):
        v, u = np.nonzero(mask)
        if len(u):
            tags.add(label, (u.mean(), v.min()), color_of(k))
    return image


def _outline(mask: BoolArray) -> list[NDArray[np.int32]]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(c, dtype=np.int32) for c in contours]


def draw_points(rgb: Image, uv_px: ArrayLike, labels: Sequence[str] = ()) -> Image:
    """Mark pixels, shape (N, 2), with crosshairs; those outside the image (or NaN) are left out."""
    image = rgb.copy()
    tags = Labels(image)
    for k, (u, v) in enumerate(np.reshape(np.asarray(uv_px, dtype=float), (-1, 2))):
        if not (0 <= u < image.shape[1] and 0 <= v < image.shape[0]):
            continue
        center = (round(u), round(v))
        for color, thickness in ((DARK, 4), (color_of(k), 2)):
            cv2.circle(image, center, 7, color, thickness, cv2.LINE_AA)
            cv2.drawMarker(image, center, color, cv2.MARKER_CROSS, 22, thickness // 2, cv2.LINE_AA)
        if k < len(labels):
            tags.add(labels[k], (u, v - 10), color_of(k))
    return image


def enlarge(rgb: Image, intrinsics: Intrinsics, uv_px: ArrayLike, factor: float) -> tuple[Image, Intrinsics]:
    """Return the picture around a pixel, enlarged to the size of the whole, and its intrinsics."""
    rows, columns = rgb.shape[:2]
    width, height = round(columns / factor), round(rows / factor)
    u, v = np.asarray(uv_px, dtype=float)
    left = int(np.clip(round(u - width / 2), 0, columns - width))
    top = int(np.clip(round(v - height / 2), 0, rows - height))
    part = rgb[top : top + height, left : left + width]
    large = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_CUBIC)
    near = intrinsics.crop(left, top, width, height).resize(columns, rows)
    return np.asarray(large, dtype=np.uint8), near


# ---- 3-D ----------------------------------------------------------------------------------------


def project(p_world: ArrayLike, intrinsics: Intrinsics, T_world_camera: Transform) -> FloatArray:
    """Project points in world [m], shape (..., 3), to `uv_px`, shape (..., 2); NaN behind the camera."""
    return intrinsics.project(T_world_camera.inverse() @ np.asarray(p_world, dtype=np.float64))


def draw_lines(image: Image, lines_px: FloatArray, color: Color, thickness: int = 2) -> None:
    """Draw segments, shape (N, 2, 2), in place, with a dark rim; those with NaN are left out."""
    limit = 4.0 * max(image.shape)
    lines = [
        np.round(a).astype(int) for a in np.asarray(lines_px) if np.isfinite(a).all() and abs(a).max() < limit
    ]
    for tone, width in ((DARK, thickness + 2), (color, thickness)):
        for start, end in lines:
            cv2.line(image, tuple(map(int, start)), tuple(map(int, end)), tone, width, cv2.LINE_AA)


_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))


def draw_boxes(
    rgb: Image,
    boxes: Sequence[Box3D],
    intrinsics: Intrinsics,
    T_world_camera: Transform,
    labels: Sequence[str] = (),
) -> Image:
    """Draw boxes in world as wire frames, and name them."""
    image = rgb.copy()
    corners_px = [project(box.corners(), intrinsics, T_world_camera) for box in boxes]
    for k, uv_px in enumerate(corners_px):
        draw_lines(image, uv_px[np.array(_EDGES)], color_of(k))
    tags = Labels(image)
    for k, (uv_px, label) in enumerate(zip(corners_px, labels, strict=False)):
        if np.isfinite(uv_px).all():
            tags.add(label, (uv_px[:, 0].mean(), uv_px[:, 1].min()), color_of(k))
    return image


def draw_polygon(
    rgb: Image,
    p_world: FloatArray,
    intrinsics: Intrinsics,
    T_world_camera: Transform,
    color: Color,
    label: str = "",
) -> Image:
    """Fill and outline a polygon in world [m], shape (N, 3), and name it."""
    image = rgb.copy()
    uv_px = project(p_world, intrinsics, T_world_camera)
    if not np.isfinite(uv_px).all():
        return image
    corners = np.round(uv_px).astype(np.int32)
    tint = image.copy()
    cv2.fillPoly(tint, [corners], color)
    image = cv2.addWeighted(tint, 0.45, image, 0.55, 0).astype(np.uint8)
    draw_lines(image, np.stack([uv_px, np.roll(uv_px, -1, axis=0)], axis=1), color)
    Labels(image).add(label, (uv_px[:, 0].mean(), uv_px[:, 1].min() - 4), color)
    return image


def gripper_lines(T_world_ee: FloatArray, width_m: float, finger_m: float = 0.045) -> FloatArray:
    """Return the glyph of an open parallel gripper, a U with a stem, as segments [m], shape (4, 2, 3).

    Args:
        T_world_ee: Pose of the grasp centre, shape (4, 4); y is the opening axis, z the approach.
        width_m: Opening [m].
        finger_m: Drawn length of the fingers [m].
    """
    y = width_m / 2
    left, right = (0, y, -finger_m), (0, -y, -finger_m)
    local = np.array(
        [
            [(0, y, 0), left],
            [left, right],
            [right, (0, -y, 0)],
            [(0, 0, -finger_m), (0, 0, -1.8 * finger_m)],
        ],
        dtype=np.float64,
    )
    return local @ T_world_ee[:3, :3].T + T_world_ee[:3, 3]


def draw_grasps(
    rgb: Image,
    T_world_ee: FloatArray,
    widths_m: FloatArray,
    intrinsics: Intrinsics,
    T_world_camera: Transform,
    labels: Sequence[str] = (),
) -> Image:
    """Draw grasps, poses (K, 4, 4), best first: the best bright and named, the others behind it, dim."""
    image = rgb.copy()
    for k in reversed(range(len(T_world_ee))):
        lines_px = project(gripper_lines(T_world_ee[k], float(widths_m[k])), intrinsics, T_world_camera)
        if k == 0:
            draw_lines(image, lines_px, GOOD, 3)
        else:
            dim = image.copy()
            draw_lines(dim, lines_px, LIGHT, 1)
            image = cv2.addWeighted(dim, 0.7, image, 0.3, 0).astype(np.uint8)
    tags = Labels(image)
    for k, label in enumerate(labels[: len(T_world_ee)]):
        stem = project(gripper_lines(T_world_ee[k], float(widths_m[k])), intrinsics, T_world_camera)[3, 1]
        if np.isfinite(stem).all():
            tags.add(label, stem, GOOD if k == 0 else LIGHT)
    return image
