"""Candidates for a parallel gripper on a single-view cloud: across an object, or on a wall's rim.

Across: closing directions are horizontal. As a jaw's closing direction turns by theta, the width
w(theta) of the silhouette falls into a local minimum where the object rests stably between parallel
jaws (Goldberg, "Orienting polygonal parts without sensors", Algorithmica 1993); how far w lies
above that minimum measures how much the object would turn, and so how antipodal the grasp is.
Rim: hollow objects are held by the wall, one finger inside, along the wall's slope.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from perception_tools.boxes import Box3D, is_round
from perception_tools.geometry import FloatArray
from perception_tools.gripper import GripperGeometry
from perception_tools.queries import CONTAINERS
from perception_tools.views import SOLID


@dataclass(frozen=True)
class SamplingConfig:
    """Where candidates are sought.

    Attributes:
        max_width_m: Widest object between the fingers [m].
        max_open_m: Largest opening [m].
        open_extra_m: Opening beyond the object's width while approaching [m].
        depth_m: Largest depth of the grasp centre below the top [m].
        raise_m: How much higher than that or than the object's middle to grasp [m].
        rim_depth_m: Depth of the grasp centre below a rim [m].
        least_overlap_m: Least height of the object between the fingers [m].
        support_z_m: Height of the table in world [m].
        table_clearance_m: Distance of every part of the gripper to the table [m].
        num_yaws: Closing directions over 180 degrees.
        tilts_rad: Angles of the approach to the vertical, about the closing axis, both ways [rad].
        num_rim: Places around a round rim.
        max_turn_m: Width above the stable one at which antipodality is 0 [m].
        safe_play_m: Largest opening minus the object's width, below which grasps are scored down [m].
    """

    max_width_m: float = 0.075
    max_open_m: float = 0.08
    open_extra_m: float = 0.024
    depth_m: float = 0.03
    raise_m: float = 0.0
    rim_depth_m: float = 0.012
    least_overlap_m: float = 0.007
    support_z_m: float = 0.0
    table_clearance_m: float = 0.005
    num_yaws: int = 16
    tilts_rad: tuple[float, ...] = (0.0, 0.26, 0.52)
    num_rim: int = 20
    max_turn_m: float = 0.008
    safe_play_m: float = 0.014


@dataclass(frozen=True, eq=False)
class Candidate:
    """One grasp before it is checked.

    Attributes:
        T_world_ee: Pose, shape (4, 4).
        width_m: Thickness between the fingers [m].
        antipodality: How squarely the fingers meet the surface, in [0, 1].
        centrality: How near the object's middle it holds, in [0, 1].
        kind: Across the object or on its rim.
        hold: How well it tolerates errors and weight, in [0, 1].
    """

    T_world_ee: FloatArray
    width_m: float
    antipodality: float
    centrality: float
    kind: Literal["across", "rim"]
    hold: float = 1.0


def is_hollow(points: FloatArray, box: Box3D, shape: str = "", cell_m: float = 0.006) -> bool:
    """Tell whether the top is open: little of the inner footprint is seen near the top's height.

    Args:
        points: Observed points of the object in world [m], shape (N, 3).
        box: Its box.
        shape: What it was recognised as; decides if it is a known shape.
        cell_m: Edge of the cells in which the footprint is looked at [m].
    """
    if shape in CONTAINERS or shape in SOLID:
        return shape in CONTAINERS
    local = box.to_local(points)
    half = np.maximum(box.size_m / 2, 1e-6)
    high = local[:, 2] > half[2] - max(0.010, 0.25 * box.size_m[2])
    cells = np.linspace(-0.5, 0.5, max(3, round(2 * half[1] / cell_m)) + 1)
    inner = np.histogram2d(*(local[high, :2] / (2 * half[:2])).T, bins=[cells, cells])[0]
    centers = (cells[:-1] + cells[1:]) / 2
    middle = np.hypot(*np.meshgrid(centers, centers, indexing="ij")) < 0.27
    return bool((inner[middle] > 0).mean() < 0.4) if middle.any() else False


def pose(approach: FloatArray, closing: FloatArray, position_m: FloatArray) -> FloatArray:
    """Return T_world_ee, (4, 4), whose x points away from the robot's base rather than towards it.

    The two poses that differ by half a turn about the approach are the same grasp; this one keeps
    the last wrist joint near its middle.
    """
    x = np.cross(closing, approach)
    if x @ [position_m[0], position_m[1], 0] < 0:
        x, closing = -x, -closing
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([x, closing, approach], axis=1)
    matrix[:3, 3] = position_m
    return matrix


# ---- across -------------------------------------------------------------------------------------


def across(
    solid: FloatArray, box: Box3D, config: SamplingConfig, gripper: GripperGeometry
) -> Iterator[Candidate]:
    """Yield grasps across an object.

    Args:
        solid: Points of the object in world [m], (N, 3), its hidden side completed.
        box: Its box.
        config: Settings.
        gripper: Shape of the gripper.
    """
    z = max(box.center_m[2], box.top_z_m - config.depth_m) + config.raise_m
    z = max(z, config.support_z_m + config.table_clearance_m + gripper.tip_beyond_m)
    if box.top_z_m - (z - gripper.tip_beyond_m) < config.least_overlap_m:
        return
    slab = solid[solid[:, 2] > z - 0.008]
    yaws = np.arange(config.num_yaws) * np.pi / config.num_yaws
    yaws = np.concatenate([yaws, [box.yaw_rad, box.yaw_rad + np.pi / 2]])
    xy = (slab if len(slab) >= 20 else solid)[:, :2] - box.center_m[:2]
    for yaw in yaws:
        closing = np.array([np.cos(yaw), np.sin(yaw)])
        along = np.array([-closing[1], closing[0]])
        reach = float(np.quantile(xy @ along, 0.98) - np.quantile(xy @ along, 0.02)) / 2
        room = reach - gripper.finger_width_m / 2
        for share in (0.0, -0.5, 0.5) if room > 0.018 else (0.0,):
            offset = share * room
            low, high = _extent(xy, yaw, offset, gripper.finger_width_m)
            if high - low > config.max_width_m:
                continue
            middle = box.center_m[:2] + offset * along + (low + high) / 2 * closing
            flat = _antipodality(xy, yaw, offset, gripper.finger_width_m, config.max_turn_m)
            if share:
                flat *= _parallelism(xy, yaw, offset, gripper.finger_width_m)
            away = float(np.linalg.norm(middle - box.center_m[:2]))
            for approach in _approaches(along, config.tilts_rad):
                # A tilted palm comes nearer to the edge of the top.
                lift = max(0.0, box.top_z_m - z + reach * np.linalg.norm(approach[:2]) - config.depth_m)
                position = np.array([*middle, z + min(lift, 0.012)])
                yield Candidate(
                    pose(approach, np.array([*closing, 0.0]), position),
                    float(high - low),
                    flat,
                    1 - min(1.0, away / max(0.02, float(box.size_m[0]) / 2)),
                    "across",
                    float(np.clip((config.max_open_m - high + low) / config.safe_play_m, 0.3, 1)),
                )


def _approaches(along: FloatArray, tilts_rad: tuple[float, ...]) -> Iterator[FloatArray]:
    for tilt in tilts_rad:
        for sign in (1, -1) if tilt else (1,):
            yield np.array([*(sign * np.sin(tilt) * along), -np.cos(tilt)])


def _extent(xy: FloatArray, yaw: float, offset: float, finger_m: float) -> tuple[float, float]:
    """Bounds along the closing direction [m] of what lies between fingers at `offset` beside it."""
    along = xy @ [-np.sin(yaw), np.cos(yaw)]
    part = xy[np.abs(along - offset) < finger_m / 2 + 0.003]
    part = part if len(part) >= 10 else xy
    low, high = np.quantile(part @ [np.cos(yaw), np.sin(yaw)], [0.01, 0.99])
    return float(low), float(high)


def _antipodality(xy: FloatArray, yaw: float, offset: float, finger_m: float, max_turn_m: float) -> float:
    turns = yaw + np.deg2rad([0, -24, -16, -8, 8, 16, 24])
    extents = [_extent(xy, float(turn), offset, finger_m) for turn in turns]
    widths = [high - low for low, high in extents]
    return float(np.clip(1 - (widths[0] - min(widths)) / max_turn_m, 0, 1))


def _parallelism(xy: FloatArray, yaw: float, offset: float, finger_m: float) -> float:
    """How parallel the sides between the fingers are, in [0, 1]: off its middle a disc slips out."""
    step = finger_m / 2
    near, far = (_extent(xy, yaw, offset + s * step / 2, step) for s in (-1, 1))
    slant = max(abs(far[0] - near[0]), abs(far[1] - near[1])) / step
    return float(np.clip(1 - slant / 0.5, 0, 1))


# ---- rim ----------------------------------------------------------------------------------------


def rim(
    points: FloatArray, box: Box3D, config: SamplingConfig, gripper: GripperGeometry, shape: str = ""
) -> Iterator[Candidate]:
    """Yield grasps on the wall of a hollow object, seen around its rim.

    Args:
        points: Observed points of the object in world [m], (N, 3).
        box: Its box.
        config: Settings.
        gripper: Shape of the gripper.
        shape: What it was recognised as, "" if it was not.
    """
    floor_z = _floor_z(points, box)
    least_z = max(config.support_z_m + config.table_clearance_m, floor_z + 0.004)
    walls = [
        wall
        for anchor, normal in _rim_anchors(points, box, config.num_rim, shape)
        if (wall := _find_wall(points, box, anchor, normal, floor_z)) is not None
    ]
    slopes = [wall.slope_rad for wall in walls if wall.slope_rad is not None]
    usual = float(np.median(slopes)) if slopes else 0.0
    for wall in walls:
        slope = usual if wall.slope_rad is None else 0.5 * (wall.slope_rad + usual)
        lever = float(np.linalg.norm(wall.top_m[:2] - box.center_m[:2]))
        for tilt in {0.0, slope / 2, slope}:
            down = -np.sin(tilt) * wall.outward - np.array([0, 0, np.cos(tilt)])
            closing = np.cos(tilt) * wall.outward - np.array([0, 0, np.sin(tilt)])
            position = wall.top_m + down * config.rim_depth_m / np.cos(tilt)
            lift = max(0.0, least_z - (position[2] + gripper.tip_beyond_m * down[2]))
            position = position - down * lift / np.cos(tilt)
            overlap = wall.top_m[2] - (position[2] + gripper.tip_beyond_m * down[2])
            if overlap >= config.least_overlap_m:
                yield Candidate(
                    pose(down, closing, position),
                    wall.thickness_m,
                    1 - min(1.0, abs(slope - tilt) / 0.5),
                    0.4,
                    "rim",
                    _hold(overlap, lever, config.rim_depth_m + gripper.tip_beyond_m),
                )


@dataclass(frozen=True, eq=False)
class _Wall:
    """A place on a rim: middle of the wall's upper end [m], outward direction, thickness [m], slope."""

    top_m: FloatArray
    outward: FloatArray
    thickness_m: float
    slope_rad: float | None


def _hold(overlap_m: float, lever_m: float, full_m: float) -> float:
    """How well a wall is held, in [0, 1]: deep between the fingers, and near the centre of mass."""
    return min(1.0, overlap_m / full_m) * max(0.0, 1 - lever_m / 0.16)


def _find_wall(
    points: FloatArray, box: Box3D, anchor: FloatArray, normal: FloatArray, floor_z: float
) -> _Wall | None:
    offset = (points[:, :2] - anchor) @ normal
    beside = np.abs((points[:, :2] - anchor) @ [-normal[1], normal[0]])
    top = (beside < 0.012) & (np.abs(offset) < 0.02) & (points[:, 2] > box.top_z_m - 0.008)
    if top.sum() < 4:
        return None
    rim_z = float(np.quantile(points[top, 2], 0.9))
    low, high = np.quantile(offset[top], [0.1, 0.9])
    middle = anchor + (low + high) / 2 * normal
    slope = _wall_slope(offset, points[:, 2], beside < 0.02, rim_z, floor_z)
    thickness = float(np.clip(high - low, 0.004, 0.02))
    return _Wall(np.array([*middle, rim_z]), np.array([*normal, 0.0]), thickness, slope)


def _floor_z(points: FloatArray, box: Box3D) -> float:
    """Height of the inner floor [m]; that of the lower face where it is not seen."""
    inner = points[np.linalg.norm(box.to_local(points)[:, :2] / box.size_m[:2], axis=1) < 0.27]
    return float(np.quantile(inner[:, 2], 0.4)) if len(inner) >= 10 else box.bottom_z_m


def _rim_anchors(
    points: FloatArray, box: Box3D, num: int, shape: str
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield points of the rim and the outward normals there, both (2,) in world."""
    half = box.size_m[:2] / 2
    c, s = np.cos(box.yaw_rad), np.sin(box.yaw_rad)
    axes = np.array([[c, s], [-s, c]])
    if is_round(points, box, shape):
        for angle in np.arange(num) * 2 * np.pi / num:
            unit = np.array([np.cos(angle), np.sin(angle)])
            normal = (unit / half) / np.linalg.norm(unit / half)
            yield box.center_m[:2] + (unit * half) @ axes, normal @ axes
        return
    for side, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        for share in (0.0, -0.3, 0.3, -0.6, 0.6):
            local = np.zeros(2)
            local[side], local[1 - side] = sign * half[side], share * half[1 - side]
            yield box.center_m[:2] + local @ axes, sign * axes[side]


def _wall_slope(
    offset: FloatArray, z: FloatArray, beside: np.ndarray, rim_z: float, floor_z: float
) -> float | None:
    """Angle of the wall to the vertical [rad], >= 0 where it widens upwards; None if too little is seen."""
    wall = beside & (z < rim_z - 0.004) & (z > max(rim_z - 0.035, floor_z + 0.006))
    wall &= (offset > -0.04) & (offset < 0.015)
    if wall.sum() < 12 or np.ptp(z[wall]) < 0.008:
        return None
    slope = np.polyfit(z[wall], offset[wall], 1)[0]
    return float(np.clip(np.arctan(slope), 0.0, 0.6))
