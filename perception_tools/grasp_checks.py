"""Which candidates can be executed, how good they are, and which to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.spatial import KDTree

from perception_tools.boxes import Box3D
from perception_tools.geometry import BoolArray, FloatArray
from perception_tools.grasp_sampling import Candidate, SamplingConfig
from perception_tools.gripper import GripperGeometry
from perception_tools.point_cloud import voxel_down
from perception_tools.views import View


@dataclass(frozen=True)
class GraspWeights:
    """Share of each term in the score; they add up to 1.

    Attributes:
        antipodality: Fingers meet the surface squarely.
        centrality: Near the object's middle.
        room: Play between the open fingers and the object.
        clearance: Distance to what else stands there.
        vertical: Approach from above.
        wrist: Closing direction that keeps the last joint near its middle.
        seen: Fingers go where the camera sees that nothing is.
    """

    antipodality: float = 0.28
    centrality: float = 0.15
    room: float = 0.10
    clearance: float = 0.13
    vertical: float = 0.16
    wrist: float = 0.10
    seen: float = 0.08

    def __post_init__(self) -> None:
        """Check the sum."""
        total = sum(vars(self).values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"GraspWeights must add up to 1, got {total:g}")


@dataclass(frozen=True)
class GraspConfig:
    """Settings of `grasp`.

    Attributes:
        sampling: Where candidates are sought.
        gripper: Shape of the gripper.
        weights: Terms of the score.
        complete: Add the hidden far side by symmetry first.
        tight: Where nothing is left, (extra opening [m], raise [m]) are tried in this order.
        max_ball_raise_m: Balls are not held higher above their middle than this [m].
        min_points: Fewer points than this are no object.
        min_antipodality: Less square grasps are dropped.
        near_m: Points this far around the object count as obstacles [m].
        ignore_m: Other points this near to the object's count as the object's [m].
        above_m: Lower points count as the table [m].
        touch_m: Gripper and obstacle may come this near [m].
        max_hits: Points (4 mm apart) nearer than that which are put down to noise.
        safe_m: Grasps whose open fingers pass the object itself nearer than this are scored down [m].
        far_m: Clearance from which on more does not help [m].
        distinct_m: Kept grasps differ by this much [m] ...
        distinct_rad: ... or by this angle [rad].
        same_approach_rad: Approaches within this angle count as the same [rad].
        repeat_cost: Score that every choice takes from the others with the same approach.
        least_share: Share of the kept grasps that each kind has at least: what shall be poured from has to
            be held by its rim, however good the grasps across it are.
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    gripper: GripperGeometry = field(default_factory=GripperGeometry)
    weights: GraspWeights = field(default_factory=GraspWeights)
    complete: bool = True
    tight: tuple[tuple[float, float], ...] = (
        (0.014, 0.0),
        (0.014, 0.006),
        (0.010, 0.006),
        (0.014, 0.014),
        (0.010, 0.014),
    )
    max_ball_raise_m: float = 0.006
    min_points: int = 25
    min_antipodality: float = 0.3
    near_m: float = 0.22
    ignore_m: float = 0.006
    above_m: float = 0.008
    touch_m: float = 0.002
    max_hits: int = 2
    safe_m: float = 0.006
    far_m: float = 0.03
    distinct_m: float = 0.012
    distinct_rad: float = 0.35
    same_approach_rad: float = 0.17
    repeat_cost: float = 0.03
    least_share: float = 0.375


def opening(width_m: FloatArray, config: SamplingConfig) -> FloatArray:
    """Return the openings to approach with [m], (K,), for objects of a width [m], (K,)."""
    return np.minimum(width_m + config.open_extra_m, config.max_open_m)


# ---- what is in the way -------------------------------------------------------------------------


def obstacles_around(
    view: View, mask: BoolArray, points: FloatArray, box: Box3D, config: GraspConfig
) -> FloatArray:
    """Return points [m], (N, 3), near the object that are neither it, nor the table, nor noise."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    scene = view.points_world()[~grown]
    scene = scene[np.isfinite(scene[:, 0]) & (scene[:, 2] > config.sampling.support_z_m + config.above_m)]
    scene = scene[np.abs(scene[:, :2] - box.center_m[:2]).max(axis=1) < config.near_m + box.size_m[0] / 2]
    scene, _ = voxel_down(scene, 0.004)
    if len(scene) < 3:
        return scene[:0]
    lonely = KDTree(scene).query(scene, k=3)[0][:, 2] > 0.012
    near, _ = KDTree(points).query(scene, distance_upper_bound=config.ignore_m)
    return scene[~lonely & ~np.isfinite(near)]


def check(
    candidates: Sequence[Candidate],
    solid: FloatArray,
    obstacles: FloatArray,
    view: View,
    config: GraspConfig,
) -> tuple[list[Candidate], FloatArray, Counter[str]]:
    """Drop the candidates that collide, and score the others.

    Args:
        candidates: Candidates.
        solid: Points of the object in world [m], (N, 3), its hidden side completed.
        obstacles: Points of everything else but the table in world [m], (M, 3).
        view: The picture they come from.
        config: Settings.

    Returns:
        The candidates that are left, their scores in [0, 1], and counted reasons of the others.
    """
    reasons: Counter[str] = Counter()
    square = [c for c in candidates if c.antipodality >= config.min_antipodality]
    reasons["not antipodal"] = len(candidates) - len(square)
    if not square:
        return [], np.zeros(0), +reasons
    poses = np.stack([c.T_world_ee for c in square])
    opened = opening(np.array([c.width_m for c in square]), config.sampling)
    gripper = config.gripper
    least = config.sampling.support_z_m + config.sampling.table_clearance_m
    too_low = gripper.lowest_z(poses, opened) < least - 1e-6
    own, _ = voxel_down(solid, 0.004)
    to_object = _nearest(gripper.distances(own, poses, opened), max(config.max_hits, len(own) // 250))
    in_object = to_object < config.touch_m
    clearance = np.full(len(square), config.far_m)
    if len(obstacles):
        clearance = _nearest(gripper.distances(obstacles, poses, opened), config.max_hits)
    blocked = clearance < config.touch_m
    reasons["would touch the table"] = int(too_low.sum())
    reasons["would hit the object itself"] = int((in_object & ~too_low).sum())
    reasons["blocked by other things"] = int((blocked & ~too_low & ~in_object).sum())
    good = ~(too_low | in_object | blocked)
    hidden = _hidden(poses, opened, view, config)
    score = _score(square, poses, opened, clearance, hidden, config)
    score *= np.clip(to_object / config.safe_m, 0.3, 1)
    return [c for c, ok in zip(square, good, strict=True) if ok], score[good], +reasons


def _nearest(distance_m: FloatArray, skip: int) -> FloatArray:
    """Distance of the nearest point to each pose [m], (K,), after the `skip` nearest of them, (K, N)."""
    return np.partition(distance_m, min(skip, distance_m.shape[1] - 1), axis=1)[
        :, min(skip, distance_m.shape[1] - 1)
    ]


def _hidden(poses: FloatArray, opened: FloatArray, view: View, config: GraspConfig) -> FloatArray:
    """Share of each pose's fingertips, (K,), that lies behind something, out of the camera's sight."""
    pad = config.gripper.pad_thickness_m
    depth = np.array([config.gripper.tip_beyond_m, -0.01])
    y = np.array([[s * (w / 2 + t) for s in (-1, 1) for t in (0, pad)] for w in opened])
    local = np.stack(np.broadcast_arrays(0.0, y[..., None], depth), axis=-1).reshape(len(poses), -1, 3)
    p_world = np.einsum("kij,knj->kni", poses[:, :3, :3], local) + poses[:, None, :3, 3]
    p_camera = view.T_world_camera.inverse() @ p_world
    uv = view.intrinsics.project(p_camera)
    rows, columns = view.depth_m.shape
    inside = np.isfinite(uv) & (uv > -0.5) & (uv < (columns - 0.5, rows - 0.5))
    seen = np.all(inside, axis=-1)
    u, v = np.where(seen[..., None], np.round(np.nan_to_num(uv)), 0).astype(int).transpose(2, 0, 1)
    surface = view.depth_m[v, u]
    behind = (surface > 0) & (surface < p_camera[..., 2] - 0.015)
    return (behind | ~seen).mean(axis=1)


# ---- which are best -----------------------------------------------------------------------------


def _score(
    candidates: Sequence[Candidate],
    poses: FloatArray,
    opened: FloatArray,
    clearance: FloatArray,
    hidden: FloatArray,
    config: GraspConfig,
) -> FloatArray:
    """Weighted terms, each in [0, 1]; shape (K,)."""
    w = config.weights
    play = (opened - [c.width_m for c in candidates]) / config.sampling.open_extra_m
    outward = poses[:, :2, 3] / np.maximum(np.linalg.norm(poses[:, :2, 3], axis=1, keepdims=True), 1e-6)
    tilt = np.arccos(np.clip(-poses[:, 2, 2], -1, 1))
    turn = np.arccos(np.clip(np.einsum("ki,ki->k", poses[:, :2, 0], outward), -1, 1))
    total = (
        w.antipodality * np.array([c.antipodality for c in candidates])
        + w.centrality * np.array([c.centrality for c in candidates])
        + w.room * np.clip(play, 0, 1)
        + w.clearance * np.clip(clearance / config.far_m, 0, 1)
        + w.vertical * np.clip(1 - tilt / (np.pi / 4), 0, 1)
        + w.wrist * (1 - np.clip(turn / (np.pi / 2), 0, 1) ** 2)
        + w.seen * (1 - hidden)
    )
    return total * (0.5 + 0.5 * np.array([c.hold for c in candidates]))


def distinct(candidates: Sequence[Candidate], score: FloatArray, most: int, config: GraspConfig) -> list[int]:
    """Return the indices of good candidates that differ, best first.

    Each choice makes others with the same approach less attractive, so that a planner whose robot
    cannot reach one has another way in. The last places go to the kinds that have too few.
    """
    poses = np.stack([c.T_world_ee for c in candidates])
    kinds = np.array([c.kind for c in candidates])
    left = score.copy()
    chosen: list[int] = []
    while len(chosen) < most and np.isfinite(left).any():
        open_to = np.isfinite(left)
        lacking = _lacking(kinds, kinds[chosen], open_to, int(config.least_share * most))
        if sum(lacking.values()) >= most - len(chosen):
            open_to &= np.isin(kinds, list(lacking))
        best = int(np.argmax(np.where(open_to, left, -np.inf)))
        chosen.append(best)
        turn = np.einsum("kij,ij->k", poses[:, :3, :3], poses[best, :3, :3])
        turn = np.arccos(np.clip((turn - 1) / 2, -1, 1))
        away = np.linalg.norm(poses[:, :3, 3] - poses[best, :3, 3], axis=1)
        left[(away <= config.distinct_m) & (turn <= config.distinct_rad)] = -np.inf
        left[poses[:, :3, 2] @ poses[best, :3, 2] > np.cos(config.same_approach_rad)] -= config.repeat_cost
    return sorted(chosen, key=lambda k: -score[k])


def _lacking(kinds: np.ndarray, chosen: np.ndarray, is_left: BoolArray, least: int) -> dict[str, int]:
    """Return how many more grasps of each kind are wanted, of those that are left."""
    missing = {
        str(kind): min(least - int((chosen == kind).sum()), int((is_left & (kinds == kind)).sum()))
        for kind in np.unique(kinds)
    }
    return {kind: count for kind, count in missing.items() if count > 0}
