"""`grasp`: ways to hold the object of a mask with a parallel gripper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.artifacts import Artifact
from perception_tools.boxes import Box3D, complete_by_view, fit_box, surface_points
from perception_tools.geometry import FloatArray
from perception_tools.grasp_checks import GraspConfig, check, distinct, obstacles_around, opening
from perception_tools.grasp_sampling import Candidate, across, is_hollow, rim
from perception_tools.overlay import draw_grasps, enlarge
from perception_tools.results import rounded
from perception_tools.tool import MaskName, Negative, ToolContext, ToolOutput, tool
from perception_tools.views import SOLID, Known, View, known_object, masked_points, settings_of, view_of


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
    picture = _picture(ctx, view, artifact, grasps)
    candidates = [_describe(grasps, k) for k in range(len(grasps))]
    return ToolOutput(Grasps(grasp=stored.name, count=len(grasps), candidates=candidates), [picture])


def _picture(ctx: ToolContext, view: View, mask: Artifact, grasps: GraspSet) -> Artifact:
    """Store the object, seen larger, with its grasps."""
    v, u = np.nonzero(mask.data)
    extent = max(np.ptp(u) / mask.data.shape[1], np.ptp(v) / mask.data.shape[0], 0.02)
    factor = float(np.clip(0.3 / extent, 1, 3))
    rgb, intrinsics = enlarge(view.rgb, view.intrinsics, (u.mean(), v.mean()), factor)
    label = f"grasp 0   {grasps.score[0]:.2f}"
    return ctx.put(
        "image",
        draw_grasps(rgb, grasps.T_world_ee, grasps.width_m, intrinsics, view.T_world_camera, [label]),
        frame=view.image.frame,
        stamp_s=view.image.stamp_s,
        intrinsics=intrinsics,
        T_world_camera=view.T_world_camera,
        parents=(view.image.name,),
        label=f"grasps of {mask.label or mask.name}",
    )


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
    obstacles = obstacles_around(view, mask.data, points, box, config)
    reasons: Counter[str] = Counter()
    for attempt in _attempts(config, known):
        candidates = _sample(points, solid, box, known.shape, attempt)
        kept, score, dropped = check(candidates, solid, obstacles, view, attempt)
        reasons = reasons or dropped
        if kept:
            return _grasp_set(kept, score, attempt, max_candidates, box, mask.label, points)
    label = mask.label or mask.name
    evidence = {"size_m": rounded(box.size_m), **reasons}
    if not reasons:
        raise Negative(
            f"no grasp of {label}: it is {box.size_m[1]:.3f} m wide and {box.size_m[2]:.3f} m high; "
            f"the gripper takes {config.sampling.max_width_m} m",
            reason="no_grasp",
            evidence=evidence,
        )
    above = obstacles[obstacles[:, 2] > box.top_z_m + config.above_m]
    above = above[box.footprint_distance_m(above) < -0.005]
    if len(above) > config.max_hits:
        raise Negative(
            f"no grasp of {label}: something stands on it; move that first",
            reason="no_grasp",
            evidence={**evidence, "covered_up_to_m": rounded(above[:, 2].max())},
        )
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    raise Negative(f"no grasp of {label}; of the candidates {why}", reason="no_grasp", evidence=evidence)


def _attempts(config: GraspConfig, known: Known) -> Iterator[GraspConfig]:
    """Yield the settings, then those that go narrower and higher, for things in tight places."""
    yield config
    for extra_m, raise_m in config.tight:
        if known.shape in ("sphere", "") and raise_m > config.max_ball_raise_m:
            continue
        yield replace(config, sampling=replace(config.sampling, open_extra_m=extra_m, raise_m=raise_m))


def _sample(
    points: FloatArray, solid: FloatArray, box: Box3D, shape: str, config: GraspConfig
) -> list[Candidate]:
    """Candidates across the object, and on its rim if it is hollow."""
    sampling, gripper = config.sampling, config.gripper
    candidates: list[Candidate] = []
    hollow = is_hollow(points, box, shape)
    if not hollow or box.size_m[1] < sampling.max_width_m:
        candidates += across(solid, box, sampling, gripper)
    if hollow:
        candidates += rim(points, box, sampling, gripper, shape)
    return candidates


def _grasp_set(
    kept: Sequence[Candidate],
    score: FloatArray,
    config: GraspConfig,
    max_candidates: int,
    box: Box3D,
    label: str,
    points: FloatArray,
) -> GraspSet:
    chosen = distinct(kept, score, max_candidates, config)
    widths = np.array([kept[k].width_m for k in chosen])
    return GraspSet(
        T_world_ee=np.stack([kept[k].T_world_ee for k in chosen]),
        width_m=widths,
        open_m=opening(widths, config.sampling),
        score=score[chosen],
        kinds=tuple(kept[k].kind for k in chosen),
        box=box,
        label=label,
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
