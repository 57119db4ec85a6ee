"""A camera's intrinsics from views of a board (Zhang, 2000, as OpenCV implements it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hardware.calibration.board import View
from perception_tools.geometry import FloatArray

MIN_VIEWS: Final = 8
_MIN_COVERAGE: Final = 0.5
_MIN_TILT_RAD: Final = 0.2
_GRID: Final = 6


@dataclass(frozen=True, eq=False)
class IntrinsicsResult:
    """What was found.

    Attributes:
        matrix: Camera matrix [px], (3, 3).
        distortion: k1, k2, p1, p2, k3, (5,).
        deviations: Standard deviations of fx, fy, cx, cy [px], (4,).
        rms_px: Root mean square of the reprojection error [px].
        per_view_px: The same by view [px].
        coverage: Share of the image's cells (6 x 6) in which corners were seen.
        size: Width and height of the images [px].
    """

    matrix: FloatArray
    distortion: FloatArray
    deviations: FloatArray
    rms_px: float
    per_view_px: tuple[float, ...]
    coverage: float
    size: tuple[int, int]


def calibrate_intrinsics(views: Sequence[View]) -> IntrinsicsResult:
    """Find a camera's intrinsics.

    Args:
        views: The board in images of one camera, from all over the image and tilted in several ways.

    Raises:
        ValueError: Too few views, of different sizes, from too little of the image, or none tilted; says
            what to add.
    """
    import cv2

    if len(views) < MIN_VIEWS:
        raise ValueError(f"{len(views)} views of the board; take at least {MIN_VIEWS}")
    sizes = {view.size for view in views}
    if len(sizes) > 1:
        raise ValueError(f"the views are of different sizes: {sorted(sizes)}")
    size = views[0].size
    coverage = _coverage(views)
    if coverage < _MIN_COVERAGE:
        raise ValueError(f"the board was seen in {coverage:.0%} of the image; show it in the corners, too")
    points = [view.p_board.astype(np.float32) for view in views]
    pixels = [view.uv_px.astype(np.float32)[:, None] for view in views]
    guess, none = np.eye(3), np.zeros(5)
    rms, matrix, distortion, turns, _, deviations, _, errors = cv2.calibrateCameraExtended(
        points, pixels, size, guess, none
    )
    tilts = [float(np.arccos(np.clip(abs(cv2.Rodrigues(turn)[0][2, 2]), 0, 1))) for turn in turns]
    if sum(tilt > _MIN_TILT_RAD for tilt in tilts) < MIN_VIEWS // 2:
        raise ValueError("the board faces the camera in most views; tilt it by 15 degrees and more")
    return IntrinsicsResult(
        np.asarray(matrix, dtype=np.float64),
        np.asarray(distortion, dtype=np.float64).ravel()[:5],
        np.asarray(deviations, dtype=np.float64).ravel()[:4],
        float(rms),
        tuple(float(e) for e in np.asarray(errors).ravel()),
        coverage,
        size,
    )


def _coverage(views: Sequence[View]) -> float:
    width, height = views[0].size
    uv = np.concatenate([view.uv_px for view in views])
    cells = np.floor(uv / [width, height] * _GRID).clip(0, _GRID - 1).astype(int)
    return len(np.unique(cells, axis=0)) / _GRID**2
