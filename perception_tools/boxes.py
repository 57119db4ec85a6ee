"""Gravity-aligned boxes: the 3-D description of an object that tools and planners share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from perception_tools.geometry import BoolArray, FloatArray, Transform

MIN_POINTS = 20
MIN_EXTENT_M = 0.003


@dataclass(frozen=True, eq=False)
class Box3D:
    """Box with a vertical axis, in world (z up); the data of a `box` artifact.

    Attributes:
        center_m: Centre [m], shape (3,).
        size_m: Extents (long, short, height) [m], shape (3,); long and short are horizontal.
        yaw_rad: Direction of the long side in the xy plane [rad], in (-pi/2, pi/2].
        is_degenerate: Too few points or too flat a footprint to trust the fit.
        frame: Frame of the coordinates.
    """

    center_m: FloatArray
    size_m: FloatArray
    yaw_rad: float
    is_degenerate: bool = False
    frame: str = "world"

    def __post_init__(self) -> None:
        """Check shapes and signs; order the sides and bring the yaw into its range."""
        center = np.array(self.center_m, dtype=np.float64)
        size = np.array(self.size_m, dtype=np.float64)
        if center.shape != (3,) or size.shape != (3,):
            raise ValueError(
                f"Box3D needs center_m and size_m of shape (3,), got {center.shape}, {size.shape}"
            )
        if not (np.isfinite(center).all() and np.isfinite(size).all() and np.isfinite(self.yaw_rad)):
            raise ValueError("Box3D has non-finite entries")
        if (size < 0).any():
            raise ValueError(f"Box3D.size_m must not be negative, got {size}")
        yaw = float(self.yaw_rad)
        if size[1] > size[0]:
            size[[0, 1]], yaw = size[[1, 0]], yaw + np.pi / 2
        yaw = float(np.pi / 2 - np.mod(np.pi / 2 - yaw, np.pi))
        for name, value in (("center_m", center), ("size_m", size), ("yaw_rad", yaw)):
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @property
    def bottom_z_m(self) -> float:
        """Height of the lower face [m]."""
        return float(self.center_m[2] - self.size_m[2] / 2)

    @property
    def top_z_m(self) -> float:
        """Height of the upper face [m]."""
        return float(self.center_m[2] + self.size_m[2] / 2)

    @property
    def pose(self) -> Transform:
        """T_world_object: origin at its centre, x along the long side, z up."""
        return Transform.from_parts(
            self.center_m, _yaw_matrix(self.yaw_rad), parent=self.frame, child="object"
        )

    def to_local(self, points: ArrayLike) -> FloatArray:
        """Return points of the box's frame [m], shape (..., 3): centred, x along the long side."""
        return (np.asarray(points, dtype=np.float64) - self.center_m) @ _yaw_matrix(self.yaw_rad)

    def corners(self) -> FloatArray:
        """Return the corners [m], shape (8, 3): the lower face counter-clockwise, then the upper face."""
        unit = np.array([[x, y, z] for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
        return (unit * self.size_m / 2) @ _yaw_matrix(self.yaw_rad).T + self.center_m

    def contains(self, points: ArrayLike, margin_m: float = 0.0) -> BoolArray:
        """Return which points, shape (..., 3), lie in the box grown by `margin_m` [m]; shape (...)."""
        return np.all(np.abs(self.to_local(points)) <= self.size_m / 2 + margin_m, axis=-1)

    def footprint_distance_m(self, points: ArrayLike) -> FloatArray:
        """Return the signed horizontal distance of points (..., 3) to the footprint [m], < 0 inside."""
        outside = np.abs(self.to_local(points)[..., :2]) - self.size_m[:2] / 2
        return np.linalg.norm(np.maximum(outside, 0), axis=-1) + np.minimum(outside.max(axis=-1), 0)

    def footprint_gap_m(self, other: Box3D) -> float:
        """Return the horizontal distance between two footprints [m], < 0 if they overlap (to about 1 mm)."""
        corners = self.corners()[:4]
        steps = np.linspace(0, 1, 65)[:, None, None]
        outline = corners + steps * (np.roll(corners, -1, axis=0) - corners)
        gap = float(other.footprint_distance_m(outline).min())
        centers = other.footprint_distance_m(self.center_m), self.footprint_distance_m(other.center_m)
        return min([gap, *(float(depth) for depth in centers if depth < 0)])

    def half_extent_along(self, direction: ArrayLike) -> float:
        """Return how far the box reaches from its centre along a direction (3,) or (2,) of world [m]."""
        vector = np.zeros(3)
        vector[: np.size(direction)] = direction
        vector /= np.linalg.norm(vector)
        return float(np.abs(vector @ _yaw_matrix(self.yaw_rad)) @ (self.size_m / 2))


def fit_box(
    points_world: ArrayLike,
    *,
    support_z_m: float | None = 0.0,
    snap_m: float = 0.015,
    trim: float = 0.005,
) -> Box3D:
    """Fit a box to the points of one object: the horizontal rectangle of least area, times the height.

    Extents are percentiles, so that a fraction `trim` of outliers at either end does not count.

    Args:
        points_world: Points [m], shape (N, 3).
        support_z_m: Height of the plane the object may stand on [m]; the lower face is put there
            if the lowest points come within `snap_m` of it. None: the lowest points decide.
        snap_m: See `support_z_m` [m].
        trim: Fraction of points ignored at either end of each axis, in [0, 0.5).

    Raises:
        ValueError: If there are no points, or they are not (N, 3) and finite.
    """
    points = np.asarray(points_world, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0 or not np.isfinite(points).all():
        raise ValueError(f"fit_box needs finite points of shape (N >= 1, 3), got {points.shape}")
    bottom, top = np.quantile(points[:, 2], [trim, 1 - trim])
    if support_z_m is not None and bottom - support_z_m < snap_m:
        bottom = support_z_m
    top = max(top, bottom)
    yaw, low, high = _least_rectangle(points[:, :2], trim)
    middle = _yaw_matrix(yaw)[:2, :2] @ ((low + high) / 2)
    extent = high - low
    return Box3D(
        np.array([*middle, (bottom + top) / 2]),
        np.array([*extent, top - bottom]),
        yaw,
        is_degenerate=len(points) < MIN_POINTS or bool(extent.min() < MIN_EXTENT_M),
    )


def complete_by_view(
    points_world: ArrayLike, T_world_camera: Transform, *, top_band_m: float = 0.005
) -> FloatArray:
    """Add the hidden far side of an upright object that is symmetric about its vertical axis.

    The axis goes through the middle of the highest points: the apex of a ball, the face of a box,
    the rim of a bowl. What lies on the camera's side of the axis is turned by 180 degrees about it
    (symmetry prior of Bohg et al., "Mind the gap", ICRA 2011). Sound only where the top is seen whole.

    Args:
        points_world: Observed points of one object [m], shape (N, 3).
        T_world_camera: Optical pose of the camera that saw them.
        top_band_m: Depth of the band of highest points [m].

    Returns:
        The observed points and the added ones [m], shape (M >= N, 3).
    """
    points = np.asarray(points_world, dtype=np.float64)
    if len(points) < MIN_POINTS:
        return points
    view = points[:, :2].mean(axis=0) - T_world_camera.position_m[:2]
    norm = np.linalg.norm(view)
    if norm < 1e-6:
        return points
    view /= norm
    top = points[points[:, 2] > np.quantile(points[:, 2], 0.99) - top_band_m, :2]
    across = np.array([-view[1], view[0]])
    middle = [np.quantile(top @ axis, [0.02, 0.98]).mean() for axis in (view, across)]
    axis_xy = middle[0] * view + middle[1] * across
    near = points[(points[:, :2] - axis_xy) @ view < 0]
    turned = np.column_stack([2 * axis_xy - near[:, :2], near[:, 2]])
    return np.concatenate([points, turned])


def is_round(points: FloatArray, box: Box3D, shape: str = "", band_m: float = 0.006) -> bool:
    """Tell whether an object's outline from above is nearer to an ellipse than to a rectangle.

    Args:
        points: Observed points of the object in world [m], shape (N, 3).
        box: Its box.
        shape: What it was recognised as; decides if it is a known shape.
        band_m: Depth of the band of highest points that is looked at [m].
    """
    if shape in ("bowl", "mug", "cylinder", "sphere") or shape in ("box", "tray"):
        return shape not in ("box", "tray")
    half = np.maximum(box.size_m[:2] / 2, 1e-6)
    top = box.to_local(points[points[:, 2] > box.top_z_m - band_m])[:, :2] / half
    top = top[np.abs(top).max(axis=1) > 0.7]
    if len(top) == 0:
        return False
    from_circle = np.median(np.abs(np.linalg.norm(top, axis=1) - 1))
    from_square = np.median(np.abs(np.abs(top).max(axis=1) - 1))
    return bool(from_circle <= from_square)


def surface_points(box: Box3D, shape: str = "box", step_m: float = 0.004) -> FloatArray:
    """Return points on the surface of a solid that fills a box [m], shape (N, 3).

    Args:
        box: The box.
        shape: `cylinder` (upright if its footprint is about square, else lying, like a box from
            above), `sphere`; anything else is a box.
        step_m: Distance between points, about [m].
    """
    radius = box.size_m[:2].mean() / 2
    heights = np.linspace(-0.5, 0.5, max(3, round(box.size_m[2] / step_m) + 1))
    if shape == "cylinder" and box.size_m[1] > 0.75 * box.size_m[0]:
        rings = [(radius, z) for z in heights] + [(f * radius, 0.5) for f in (0.0, 0.25, 0.5, 0.75)]
    elif shape == "sphere":
        rings = [(radius * np.sqrt(max(0.0, 1 - (2 * z) ** 2)), z) for z in heights]
    else:
        grids = [np.linspace(-0.5, 0.5, max(3, round(side / step_m) + 1)) for side in box.size_m[:2]]
        x, y, z = (a.ravel() for a in np.meshgrid(*grids, heights, indexing="ij"))
        shell = (np.abs([x, y]).max(axis=0) == 0.5) | (z == 0.5)
        local = np.column_stack([x, y, z])[shell] * box.size_m
        return local @ _yaw_matrix(box.yaw_rad).T + box.center_m
    angle = np.arange(0, 2 * np.pi, step_m / max(radius, step_m))
    local = np.concatenate(
        [
            np.column_stack([r * np.cos(angle), r * np.sin(angle), 0 * angle + z * box.size_m[2]])
            for r, z in rings
        ]
    )
    return local + box.center_m


def _yaw_matrix(yaw_rad: float) -> FloatArray:
    """Rotation about z, shape (3, 3)."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _least_rectangle(xy: FloatArray, trim: float) -> tuple[float, FloatArray, FloatArray]:
    """Return yaw [rad] and the lower and upper bounds (2,) [m] along its axes of the least rectangle."""
    sample = xy[:: max(1, len(xy) // 2000)]

    def bounds(yaws: FloatArray) -> FloatArray:
        axes = np.stack([np.cos(yaws), np.sin(yaws)], axis=1)
        along = np.quantile(sample @ axes.T, [trim, 1 - trim], axis=0)
        across = np.quantile(sample @ np.stack([-axes[:, 1], axes[:, 0]]), [trim, 1 - trim], axis=0)
        return np.stack([along, across], axis=-1)  # (2 low/high, num_yaws, 2 axes)

    yaw, best = 0.0, np.zeros((2, 2))
    for half_range, num in ((np.pi / 4, 30), (np.deg2rad(3), 13)):
        yaws = yaw + np.linspace(-half_range, half_range, num)
        found = bounds(yaws)
        k = int(np.argmin(np.prod(found[1] - found[0], axis=-1)))
        yaw, best = float(yaws[k]), found[:, k]
    return yaw, best[0], best[1]
