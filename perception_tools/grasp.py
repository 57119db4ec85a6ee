"""`grasp`: ways to hold the object of a mask with a parallel gripper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, Field
from scipy.spatial import KDTree

from perception_tools.artifacts import Artifact
from perception_tools.boxes import Box3D, complete_by_view, fit_box, surface_points
from perception_tools.geometry import BoolArray, FloatArray
from perception_tools.grasp_sampling import SOLID, Candidate, SamplingConfig, across, is_hollow, rim
from perception_tools.gripper import GripperGeometry
from perception_tools.overlay import draw_grasps
from perception_tools.point_cloud import voxel_down
from perception_tools.results import rounded
from perception_tools.tool import MaskName, Negative, ToolContext, ToolOutput, tool
from perception_tools.views import Known, View, known_object, masked_points, settings_of, view_of


@dataclass(frozen=True, eq=False)
class GraspSet:
    """Grasps of one object, best first; the data of a `grasp` artifact, in world.

    Attributes:
        T_world_ee: Poses of the grasp centre, shape (K, 4, 4): z approach, y opening axis.
        width_m: Expected opening once the fingers have closed on the object [m], shape (K,).
        open_m: Opening to approach with, for which collisions were checked [m], shape (K,).
        score: Quality in [0, 1], shape (K,).
        kinds: `across` the object or on its `rim`, K of them.
        box: Box of the object.
        label: What it was called.
        points: Observed points of the object in world [m], shape (N, 3).
    """

    T_world_ee: FloatArray
    width_m: FloatArray
    open_m: FloatArray
    score: FloatArray
    kinds: tuple[str, ...]
    box: Box3D
    label: str
    points: FloatArray

    def __len__(self) -> int:
        """Number of grasps."""
        return len(self.score)


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
        min_points: Fewer points than this are no object.
        min_antipodality: Less square grasps are dropped.
        near_m: Points this far around the object count as obstacles [m].
        ignore_m: Other points this near to the object's count as the object's [m].
        above_m: Lower points count as the table [m].
        touch_m: Gripper and obstacle may come this near [m].
        max_hits: Obstacle points (4 mm apart) nearer than that which are put down to noise.
        far_m: Clearance from which on more does not help [m].
        distinct_m: Kept grasps differ by this much [m] ...
        distinct_rad: ... or by this angle [rad].
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    gripper: GripperGeometry = field(default_factory=GripperGeometry)
    weights: GraspWeights = field(default_factory=GraspWeights)
    complete: bool = True
    min_points: int = 25
    min_antipodality: float = 0.3
    near_m: float = 0.22
    ignore_m: float = 0.006
    above_m: float = 0.008
    touch_m: float = 0.002
    max_hits: int = 2
    far_m: float = 0.03
    distinct_m: float = 0.012
    distinct_rad: float = 0.35


class GraspCandidate(BaseModel):
    """One way to hold it."""

    index: int
    position_m: list[float] = Field(description="grasp centre in world [m]")
    approach: list[float] = Field(description="unit vector along which the hand comes")
    width_m: float = Field(description="expected opening once closed [m]")
    score: float
    kind: str = Field(description="across the object, or on its rim")


class Grasps(BaseModel):
    """Grasps of one object, best first."""

    grasp: str
    count: int
    candidates: list[GraspCandidate]


@tool(timeout_s=30.0)
def grasp(
    ctx: ToolContext, mask: MaskName, max_candidates: Annotated[int, Field(ge=1, le=32)] = 8
) -> ToolOutput[Grasps]:
    """Find ways to hold the object of a mask with the parallel gripper, best first.

    Solid objects are held across, hollow ones also by the wall. The fingers' way is checked against
    everything else that the camera sees. The mask must be newer than the last change of the scene.

    Args:
        mask: Mask of the object.
        max_candidates: Most grasps to return.
    """
    config = settings_of(ctx, "grasp", GraspConfig)
    artifact = ctx.workspace.get(mask, "mask", fresh=True)
    view = view_of(ctx, mask)
    points = masked_points(ctx, mask)
    if len(points) < config.min_points:
        raise Negative(
            f"only {len(points)} points of {mask} have depth, {config.min_points} are needed; look nearer",
            reason="no_grasp",
            evidence={"num_points": len(points)},
        )
    known = known_object(ctx, mask)
    grasps = find_grasps(points, view, artifact, config, max_candidates, known)
    stored = ctx.put(
        "grasp",
        grasps,
        frame="world",
        stamp_s=artifact.stamp_s,
        T_world_camera=view.T_world_camera,
        parents=(mask,),
        label=artifact.label,
        meta=dict(artifact.meta),
    )
    labels = [f"grasp {k}   {score:.2f}" for k, score in enumerate(grasps.score[:1])]
    picture = ctx.put(
        "image",
        draw_grasps(
            view.rgb, grasps.T_world_ee, grasps.width_m, view.intrinsics, view.T_world_camera, labels
        ),
        frame=view.image.frame,
        stamp_s=view.image.stamp_s,
        intrinsics=view.intrinsics,
        T_world_camera=view.T_world_camera,
        parents=(view.image.name,),
        label=f"grasps of {artifact.label or mask}",
    )
    candidates = [_describe(grasps, k) for k in range(len(grasps))]
    return ToolOutput(Grasps(grasp=stored.name, count=len(grasps), candidates=candidates), [picture])


def find_grasps(
    points: FloatArray,
    view: View,
    mask: Artifact,
    config: GraspConfig,
    max_candidates: int,
    known: Known,
) -> GraspSet:
    """Sample, check, score and choose grasps.

    Args:
        points: Observed points of the object in world [m], shape (N, 3).
        view: The picture they come from.
        mask: Mask of the object.
        config: Settings.
        max_candidates: Most grasps to return.
        known: Box and shape, if the object was recognised before.

    Raises:
        Negative: `no_grasp`, with the reasons counted.
    """
    solid, box = _completed(points, view, known, config)
    candidates = list(across(solid, box, config.sampling, config.gripper))
    if is_hollow(points, box, known.shape):
        candidates += rim(points, box, config.sampling, config.gripper)
    label = mask.label or mask.name
    if not candidates:
        raise Negative(
            f"no grasp of {label}: it is {box.size_m[1]:.3f} m wide and {box.size_m[2]:.3f} m high; "
            f"the gripper takes {config.sampling.max_width_m} m",
            reason="no_grasp",
            evidence={"size_m": rounded(box.size_m)},
        )
    obstacles = _obstacles(view, mask.data, points, box, config)
    kept, score, reasons = _check(candidates, solid, obstacles, view, mask.data, config)
    if not kept:
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        raise Negative(
            f"no grasp of {label}: of {len(candidates)} candidates {why}",
            reason="no_grasp",
            evidence={"num_candidates": len(candidates), **reasons, "size_m": rounded(box.size_m)},
        )
    chosen = _distinct(kept, score, max_candidates, config)
    widths = np.array([kept[k].width_m for k in chosen])
    return GraspSet(
        T_world_ee=np.stack([kept[k].T_world_ee for k in chosen]),
        width_m=widths,
        open_m=_opening(widths, config.sampling),
        score=score[chosen],
        kinds=tuple(kept[k].kind for k in chosen),
        box=box,
        label=mask.label,
        points=points,
    )


def _completed(points: FloatArray, view: View, known: Known, config: GraspConfig) -> tuple[FloatArray, Box3D]:
    """Points [m] of the object with its hidden side, and its box: by what is known, else by symmetry."""
    if known.box is not None and known.shape in SOLID:
        inside = known.box.contains(points, margin_m=0.01)
        return np.concatenate([points[inside], surface_points(known.box, known.shape)]), known.box
    solid = complete_by_view(points, view.T_world_camera) if config.complete else points
    return solid, known.box or fit_box(solid, support_z_m=config.sampling.support_z_m)


def _describe(grasps: GraspSet, k: int) -> GraspCandidate:
    return GraspCandidate(
        index=k,
        position_m=rounded(grasps.T_world_ee[k, :3, 3]),
        approach=rounded(grasps.T_world_ee[k, :3, 2], 3),
        width_m=rounded(grasps.width_m[k]),
        score=rounded(grasps.score[k], 3),
        kind=grasps.kinds[k],
    )


def _opening(width_m: FloatArray, config: SamplingConfig) -> FloatArray:
    return np.minimum(width_m + config.open_extra_m, config.max_open_m)


# ---- what is in the way -------------------------------------------------------------------------


def _obstacles(
    view: View, mask: BoolArray, points: FloatArray, box: Box3D, config: GraspConfig
) -> FloatArray:
    """Points [m], (N, 3), near the object that belong neither to it, nor to the table, nor to noise."""
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


def _check(
    candidates: Sequence[Candidate],
    solid: FloatArray,
    obstacles: FloatArray,
    view: View,
    mask: BoolArray,
    config: GraspConfig,
) -> tuple[list[Candidate], FloatArray, Counter[str]]:
    """Return the candidates without collision, their scores, and why the others were dropped."""
    reasons: Counter[str] = Counter()
    square = [c for c in candidates if c.antipodality >= config.min_antipodality]
    reasons["not antipodal"] = len(candidates) - len(square)
    if not square:
        return [], np.zeros(0), +reasons
    poses = np.stack([c.T_world_ee for c in square])
    opened = _opening(np.array([c.width_m for c in square]), config.sampling)
    gripper = config.gripper
    least = config.sampling.support_z_m + config.sampling.table_clearance_m
    too_low = gripper.lowest_z(poses, opened) < least - 1e-6
    own, _ = voxel_down(solid, 0.004)
    in_object = (gripper.distances(own, poses, opened) < -config.touch_m).sum(axis=1) > 0.02 * len(own)
    clearance = np.full(len(square), config.far_m)
    blocked = np.zeros(len(square), dtype=bool)
    if len(obstacles):
        distance = gripper.distances(obstacles, poses, opened)
        blocked = (distance < config.touch_m).sum(axis=1) > config.max_hits
        clearance = np.clip(
            np.sort(distance, axis=1)[:, min(config.max_hits, len(obstacles) - 1)], 0, config.far_m
        )
    reasons["would touch the table"] = int(too_low.sum())
    reasons["would hit the object itself"] = int((in_object & ~too_low).sum())
    reasons["blocked by other things"] = int((blocked & ~too_low & ~in_object).sum())
    good = ~(too_low | in_object | blocked)
    score = _score(square, poses, opened, clearance, _hidden(poses, opened, view, config), config)
    return [c for c, ok in zip(square, good, strict=True) if ok], score[good], +reasons


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
        + w.clearance * clearance / config.far_m
        + w.vertical * np.clip(1 - tilt / (np.pi / 4), 0, 1)
        + w.wrist * (1 - np.clip(turn / (np.pi / 2), 0, 1) ** 2)
        + w.seen * (1 - hidden)
    )
    return total * (0.5 + 0.5 * np.array([c.hold for c in candidates]))


def _distinct(
    candidates: Sequence[Candidate], score: FloatArray, most: int, config: GraspConfig
) -> list[int]:
    """Indices of the best candidates, each different enough from all better ones."""
    chosen: list[int] = []
    for k in np.argsort(-score, kind="stable"):
        pose = candidates[k].T_world_ee
        if all(_differ(pose, candidates[j].T_world_ee, config) for j in chosen):
            chosen.append(int(k))
        if len(chosen) == most:
            break
    return chosen


def _differ(a: FloatArray, b: FloatArray, config: GraspConfig) -> bool:
    turn = np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1))
    return bool(np.linalg.norm(a[:3, 3] - b[:3, 3]) > config.distinct_m or turn > config.distinct_rad)
