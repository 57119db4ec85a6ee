"""The table from above: how high things are, what was seen, how far it is to the next thing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from perception_tools.geometry import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class HeightMap:
    """Grid over a rectangle of the xy plane; index [i, j] is x, then y.

    Attributes:
        low_m: Lower corner of cell [0, 0] in world xy [m], shape (2,).
        cell_m: Edge of a cell [m].
        top_z_m: Height of the highest point in each cell [m], NaN where nothing was seen.
    """

    low_m: FloatArray
    cell_m: float
    top_z_m: FloatArray

    @classmethod
    def build(cls, points: FloatArray, low_m: FloatArray, high_m: FloatArray, cell_m: float) -> HeightMap:
        """Drop points in world [m], (N, 3), into the cells of a rectangle [m], (2,) to (2,)."""
        shape = np.maximum(1, np.ceil((np.asarray(high_m) - low_m) / cell_m)).astype(int)
        cells = np.floor((points[:, :2] - low_m) / cell_m).astype(int)
        inside = ((cells >= 0) & (cells < shape)).all(axis=1)
        top = np.full(shape, -np.inf)
        np.maximum.at(top, tuple(cells[inside].T), points[inside, 2])
        return cls(np.asarray(low_m, dtype=np.float64), cell_m, np.where(np.isfinite(top), top, np.nan))

    @property
    def seen(self) -> BoolArray:
        """Cells with points, holes of up to two cells closed."""
        some = np.isfinite(self.top_z_m).astype(np.uint8)
        return cv2.morphologyEx(some, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(bool)

    def higher_than(self, z_m: float, min_cells: int = 3) -> BoolArray:
        """Return cells with something above a height [m]; specks of fewer cells are noise."""
        high = np.nan_to_num(self.top_z_m, nan=-np.inf) > z_m
        _, labels = cv2.connectedComponents(high.astype(np.uint8), connectivity=8)
        labels = np.asarray(labels, dtype=np.intp)
        sizes = np.bincount(labels.ravel())
        return high & (sizes[labels] >= min_cells)

    def centers_m(self) -> FloatArray:
        """Return the middle of every cell in world xy [m], shape (nx, ny, 2)."""
        return (np.moveaxis(np.indices(self.top_z_m.shape), 0, -1) + 0.5) * self.cell_m + self.low_m

    def distance_to(self, blocked: BoolArray) -> FloatArray:
        """Return the distance of every cell's middle to the nearest blocked cell's edge [m], 0 in those."""
        free = (~blocked).astype(np.uint8)
        cells = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)
        return np.maximum(0.0, cells - 0.5) * self.cell_m
