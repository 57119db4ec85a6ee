"""What is around the robot: observed points as obstacles, and what changed between two views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from perception_tools.boxes import Box3D
from perception_tools.camera import RgbdFrame
from perception_tools.errors import Infrastructure
from perception_tools.geometry import BoolArray, FloatArray
from policies.motion import Obstacles
from vlm_agent.skills.context import HeldObject, SkillContext

TARGET_PADDING_M = 0.012
SAME_M = 0.008
SAME_SURFACE_M = 0.015
MIN_SEEN_POINTS = 12
MAX_SAG_M = 0.09


def capture(ctx: SkillContext, camera: str) -> RgbdFrame:
    """Return a new frame of a camera that has depth.

    Raises:
        Infrastructure: The camera cannot deliver.
    """
    try:
        frame = ctx.camera(camera).capture()
    except RuntimeError as error:
        raise Infrastructure(f"camera {camera!r}: {error}", reason="camera") from error
    if frame.depth_m is None:
        raise Infrastructure(f"camera {camera!r} has no depth; skills need it", reason="camera")
    return frame


def visible_points(ctx: SkillContext, frame: RgbdFrame, *, min_height_m: float, voxel_m: float) -> FloatArray:
    """Return what a frame shows above the table, without the robot and what it holds [m], (N, 3)."""
    points = frame.points_world().reshape(-1, 3)
    low = np.array(ctx.config.region_low_m)
    low[2] = ctx.config.support_z_m + min_height_m
    inside = ((points >= low) & (points <= ctx.config.region_high_m)).all(axis=1)  # NaN is never inside
    points = thin(points[inside], voxel_m, min_count=2)
    if ctx.is_robot is not None and len(points):
        points = points[~ctx.is_robot(points)]
    return points


def observe(ctx: SkillContext) -> FloatArray:
    """Look at the scene and return the obstacles [m], (N, 3): seen now, or seen before and hidden now."""
    cfg = ctx.config
    frame = capture(ctx, cfg.scene_camera)
    seen = visible_points(ctx, frame, min_height_m=cfg.min_height_m, voxel_m=cfg.voxel_m)
    remembered = ctx.memory.obstacles
    remembered = remembered[hidden(remembered, frame)]
    if ctx.is_robot is not None and len(remembered):
        remembered = remembered[~ctx.is_robot(remembered)]
    ctx.memory.obstacles = thin(np.concatenate([seen, remembered]), cfg.voxel_m)
    return ctx.memory.obstacles


def thin(points: FloatArray, voxel_m: float, min_count: int = 1) -> FloatArray:
    """Average points per cell of a grid; cells with fewer than `min_count` are noise. (N, 3) -> (M, 3)."""
    if not len(points):
        return points.reshape(0, 3)
    cells = np.floor(points / voxel_m).astype(np.int64) + (1 << 20)
    keys = (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(inverse, points[:, k]) for k in range(3)], axis=1) / counts[:, None]
    return means[counts >= min_count]


def hidden(points: FloatArray, frame: RgbdFrame) -> BoolArray:
    """Return which points, (N, 3), the frame can't see because something stands in front, (N,).

    Points out of the image or at invalid pixels count as hidden, points that the frame sees, or
    sees through, do not.
    """
    depth_m, range_m = _along_ray(points, frame)
    return ~(depth_m > range_m - SAME_SURFACE_M)


def still_there(points: FloatArray, frame: RgbdFrame) -> float | None:
    """Return the fraction of points, (N, 3), at which the frame still sees a surface.

    None if fewer than `MIN_SEEN_POINTS` of them are in view and unhidden.
    """
    depth_m, range_m = _along_ray(points, frame)
    unhidden = depth_m > range_m - SAME_M
    if np.count_nonzero(unhidden) < MIN_SEEN_POINTS:
        return None
    return float(np.mean(depth_m[unhidden] < range_m[unhidden] + SAME_M))


def _along_ray(points: FloatArray, frame: RgbdFrame) -> tuple[FloatArray, FloatArray]:
    """Return the depth seen in the direction of points (NaN: none), and the points' own depth [m], (N,)."""
    assert frame.depth_m is not None
    p_camera = frame.T_world_camera.inverse() @ points
    uv = np.rint(frame.intrinsics.project(p_camera))
    height, width = frame.depth_m.shape
    valid = (uv >= 0).all(axis=1) & (uv[:, 0] < width) & (uv[:, 1] < height)  # NaN is not >= 0
    depth_m = np.full(len(points), np.nan)
    u, v = uv[valid].astype(int).T
    depth_m[valid] = frame.depth_m[v, u]
    depth_m[depth_m <= 0] = np.nan
    return depth_m, p_camera[:, 2]


def sag(ctx: SkillContext, frame: RgbdFrame, held: HeldObject) -> float:
    """Return how much lower a held object hangs than if it had stayed upright in the hand [m].

    What is grasped by a sloping wall turns until the wall lies flat between the fingers. The lowest
    point in sight decides; 0 if too little of the object is in sight.
    """
    joint_pos, width_m = ctx.arm_pos(), ctx.opening_m()
    expected = (ctx.kinematics.forward(joint_pos) @ held.T_ee_object).position_m
    reach_m = 0.5 * float(np.hypot(held.size_m[0], held.size_m[1])) + TARGET_PADDING_M
    points = frame.points_world().reshape(-1, 3)
    low_m = max(ctx.config.support_z_m + 2 * ctx.config.min_height_m, expected[2] - MAX_SAG_M)
    near = (points[:, 2] > low_m) & (points[:, 2] < expected[2] + held.size_m[2])
    near &= np.linalg.norm(points[:, :2] - expected[:2], axis=1) < reach_m
    points = without_target(thin(points[near], 0.005, min_count=2), ctx.memory.obstacles, None)
    points = points[~ctx.kinematics.on_robot(joint_pos, points, gripper_width_m=width_m, padding_m=0.015)]
    if len(points) < MIN_SEEN_POINTS:
        return 0.0
    return max(0.0, float(expected[2] - np.quantile(points[:, 2], 0.02)))


def without_target(points: FloatArray, target: FloatArray, box: Box3D | None) -> FloatArray:
    """Drop the points, (N, 3), that belong to the object to be grasped (its own, or in its box)."""
    if not len(points):
        return points
    keep = np.ones(len(points), dtype=bool)
    if len(target):
        distance, _ = cKDTree(target).query(points, distance_upper_bound=TARGET_PADDING_M)
        keep &= ~(distance < TARGET_PADDING_M)
    if box is not None:
        keep &= ~box.contains(points, TARGET_PADDING_M / 2)
    return points[keep]


def obstacles(
    ctx: SkillContext, points: FloatArray, margin_m: float, *, held: HeldObject | None = None
) -> Obstacles:
    """Return the obstacles for planning: points, table, and the held object's box that moves along."""
    size: tuple[float, float, float] | None = None
    center = (0.0, 0.0, 0.0)
    if held is not None:
        corners = held.corners_ee()
        low, high = corners.min(axis=0), corners.max(axis=0)
        size, center = _triple(high - low), _triple((high + low) / 2)
    return Obstacles(
        points=points,
        margin_m=margin_m,
        support_z_m=ctx.config.support_z_m,
        held_size_m=size,
        held_center_m=center,
    )


def _triple(values: FloatArray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


@dataclass(frozen=True)
class Sighting:
    """Where something new is seen: middle of its lower face [m], and how many points show it."""

    position_m: tuple[float, float, float]
    num_points: int


def find_placed(
    before: FloatArray, after: FloatArray, expected_m: FloatArray, size_m: tuple[float, float, float]
) -> Sighting | None:
    """Find an object of known size that was not there before, nearest to where it is expected.

    Args:
        before: Points of the scene before [m], shape (N, 3).
        after: Points of the scene after [m], shape (M, 3).
        expected_m: Expected middle of its lower face [m], shape (3,).
        size_m: Its extents [m].

    Returns:
        The sighting, None if nothing new is seen.
    """
    new = after
    if len(before) and len(after):
        distance, _ = cKDTree(before).query(after, distance_upper_bound=SAME_M)
        new = after[~(distance < SAME_M)]
    new = new[new[:, 2] > expected_m[2] - 0.02] if len(new) else new
    radius = 0.5 * float(np.hypot(size_m[0], size_m[1])) + 0.015
    near = new[np.linalg.norm(new[:, :2] - expected_m[:2], axis=1) < radius]
    near = near[near[:, 2] < expected_m[2] + size_m[2] + 0.03]
    if len(near) < MIN_SEEN_POINTS:
        near = _largest_cluster(new)
    if len(near) < MIN_SEEN_POINTS:
        return None
    low, high = np.quantile(near, [0.03, 0.97], axis=0)
    center = (low + high) / 2
    return Sighting((float(center[0]), float(center[1]), float(high[2] - size_m[2])), len(near))


def _largest_cluster(points: FloatArray, reach_m: float = 0.015) -> FloatArray:
    """Return the largest group of points, (N, 3), connected by steps of at most `reach_m`."""
    if not len(points):
        return points
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = cKDTree(points).query_pairs(reach_m, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2)
    _, labels = connected_components(graph, directed=False)
    return points[labels == np.bincount(labels).argmax()]
