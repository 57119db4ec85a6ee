"""Pour from a held vessel into another: tilt it, feel how much came out, look where it went."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field
from scipy.spatial.transform import Rotation

from perception_tools.boxes import Box3D
from perception_tools.camera import RgbdFrame
from perception_tools.errors import BadArguments, Negative
from perception_tools.geometry import FloatArray, Transform
from perception_tools.sensing import GRAVITY_M_S2, SensingConfig
from perception_tools.tool import BoxName, tool
from perception_tools.views import settings_of
from policies.motion import MotionError, Obstacles
from policies.robot import JointTrajectory
from vlm_agent.skills.context import HeldObject, SkillContext
from vlm_agent.skills.failures import failure, finite, planning
from vlm_agent.skills.gripper import require_holding, require_kept
from vlm_agent.skills.handles import step_aside
from vlm_agent.skills.motion import changing, follow, plan_transit, require_ready
from vlm_agent.skills.scene import capture, observe, obstacles
from vlm_agent.skills.sensed_force import force_world


@dataclass(frozen=True)
class PourConfig:
    """Settings of `pour`.

    Attributes:
        over_rim_m: Height of the lip over the other vessel's rim [m].
        tilts_deg: Tilts gone through, from upright; a fraction may end them early [deg].
        low_deg: Tilted farther it is raised, for the hand to stay clear of the other vessel; tried one after
            another [deg].
        raise_m: By so much [m].
        steep_deg: Tilted less, things may stay on its wall [deg].
        least_tilt_deg: What does not reach this tilt is no way: it would not be emptied [deg].
        solved_at: Tilts for which joint positions are sought, as a share of the way, one after another.
        flows_deg: To pour a part, from this tilt on it is weighed until the weight no longer changes [deg].
        rocks: So often it is tilted again, at most, until nothing more comes out and nothing is seen in it.
        rock_deg: To tilt it again, it is set back to this tilt [deg].
        headings_deg: Directions that the tilted hand may point in, from away from the base [deg].
        least_kg: Less than this does not count as poured [kg].
        least_change: Share of the other vessel's inside that must look different afterwards.
        color_step: Change of a pixel's colour that counts [levels of 255].
        force_n: Force above rest that ends the motion [N].
        rim_m: A vessel held farther below its rim has the palm before its mouth [m].
        handle_m: What is seen this near to the held vessel, no lower, is its handle [m].
        num_readings: Readings of one weighing.
        interval_s: Time between them [s].
        still_kg: A weighing of a larger standard deviation is repeated [kg].
        weighings: So many are made at most.
        settle_s: Longest wait for the weight at one tilt [s].
        floor_m: What is seen higher above the lower face of the vessel, inside, is content [m].
        least_pixels: So many must show the floor to tell whether something lies on it.
        left: Share of the seen floor that is covered, from which on the vessel is not empty.
    """

    over_rim_m: float = 0.045
    tilts_deg: tuple[float, ...] = (0, 30, 60, 80, 95, 110, 125)
    low_deg: tuple[float, ...] = (112.0, 100.0, 85.0)
    raise_m: float = 0.06
    steep_deg: float = 120.0
    least_tilt_deg: float = 110.0
    solved_at: tuple[float, ...] = (0.0, 0.5, 1.0)
    flows_deg: float = 60.0
    rocks: int = 3
    rock_deg: float = 60.0
    headings_deg: tuple[float, ...] = (0, 25, -25, 50, -50, 75, -75, 100, -100)
    least_kg: float = 0.002
    least_change: float = 0.04
    color_step: float = 25.0
    force_n: float = 20.0
    rim_m: float = 0.028
    handle_m: float = 0.05
    num_readings: int = 60
    interval_s: float = 0.014
    still_kg: float = 0.0022
    weighings: int = 3
    settle_s: float = 3.0
    floor_m: float = 0.012
    least_pixels: int = 60
    left: float = 0.05


@dataclass(frozen=True)
class Weight:
    """What hangs from the hand [kg], and the standard deviation of that [kg]."""

    kg: float
    sigma_kg: float

    def less_than(self, before: Weight) -> bool:
        """Return whether it got lighter, by more than the two sigma that chance explains."""
        return before.kg - self.kg > 2.0 * float(np.hypot(self.sigma_kg, before.sigma_kg))


class Poured(BaseModel):
    """Sensed outcome of pouring, or the plan of a dry run."""

    held: str = Field(description="what it was poured from; it is still held, upright")
    poured_kg: float | None = Field(description="how much lighter it is [kg]; null if weight is not sensed")
    sigma_kg: float | None = Field(description="standard deviation of poured_kg [kg]")
    left: float | None = Field(
        description="share of what is seen of the held vessel's floor that is covered; null if none is seen"
    )
    tilt_deg: float = Field(description="largest tilt [deg]")
    changed: float | None = Field(
        description="share of the other vessel's inside that looks different; null if it is hidden"
    )
    dry_run: bool = Field(description="only planned, nothing moved")


@dataclass(frozen=True, eq=False)
class PourPlan:
    """Motions of a pour: to beside the other vessel, then tilt by tilt."""

    transit: JointTrajectory
    tilts: tuple[tuple[float, JointTrajectory], ...]


@tool(moves_robot=True, timeout_s=300.0)
def pour(
    ctx: SkillContext,
    into: BoxName,
    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0,
    empty_kg: Annotated[float, Field(ge=0.0, le=5.0)] | None = None,
    dry_run: bool = False,
) -> Poured:
    """Tilt the held vessel over another until what is in it has come out, and set it upright again.

    Args:
        into: Box of the other vessel, from detect.
        fraction: How much of what is in it; less than 1 needs `empty_kg`.
        empty_kg: Weight of the held vessel when it is empty [kg].
        dry_run: Only plan and report, move nothing.
    """
    require_ready(ctx)
    if fraction < 1.0 and empty_kg is None:
        raise BadArguments("a fraction below 1 needs empty_kg, the weight of the empty vessel")
    bowl: Box3D = ctx.workspace.get(into, "box").data
    held = require_holding(ctx)
    _require_open(ctx, held)
    if fraction < 1.0 and force_world(ctx) is None:
        raise Negative("this robot feels no weight: it can pour all of it, not a part", reason="no_senses")
    points = _without_handle(ctx, held, observe(ctx))
    plan = _plan(ctx, held, bowl, points)
    top_deg = plan.tilts[-1][0]
    if dry_run:
        return _report(held, Sensed(tilt_deg=top_deg), dry_run=True)
    before_frame = capture(ctx, ctx.config.scene_camera)
    with changing(ctx, f"pouring from the {held.label}"):
        follow(ctx, plan.transit, f"bringing the {held.label}")
        require_kept(ctx, held)
        sensed = _pour(ctx, held, plan, fraction, empty_kg)
        step_aside(ctx)
    require_kept(ctx, held)
    sensed = replace(sensed, changed=_changed(ctx, bowl, before_frame, capture(ctx, ctx.config.scene_camera)))
    judge(ctx, held, sensed, empty_kg if fraction == 1.0 else None)
    return _report(held, sensed)


@dataclass(frozen=True)
class Sensed:
    """What was sensed of a pour; None where it could not be.

    Attributes:
        tilt_deg: Largest tilt [deg].
        before: Weight before.
        after: Weight after, upright again.
        wanted_kg: What was to come out [kg]; None for all.
        still_flows: It still came out at the last tilt.
        left: Share of what is seen of the vessel's floor that is covered.
        changed: Share of the other vessel's inside that looks different.
    """

    tilt_deg: float
    before: Weight | None = None
    after: Weight | None = None
    wanted_kg: float | None = None
    still_flows: bool = False
    left: float | None = None
    changed: float | None = None

    @property
    def poured(self) -> Weight | None:
        """What came out."""
        if self.before is None or self.after is None:
            return None
        sigma_kg = float(np.hypot(self.before.sigma_kg, self.after.sigma_kg))
        return Weight(self.before.kg - self.after.kg, sigma_kg)


def _report(held: HeldObject, sensed: Sensed, *, dry_run: bool = False) -> Poured:
    poured = sensed.poured
    return Poured(
        held=held.label,
        poured_kg=None if poured is None else round(poured.kg, 4),
        sigma_kg=None if poured is None else round(poured.sigma_kg, 4),
        left=None if sensed.left is None else round(sensed.left, 3),
        tilt_deg=sensed.tilt_deg,
        changed=None if sensed.changed is None else round(sensed.changed, 3),
        dry_run=dry_run,
    )


def judge(ctx: SkillContext, held: HeldObject, sensed: Sensed, empty_kg: float | None) -> None:
    """Judge by weight and by sight; what neither bears out is not claimed.

    Raises:
        Failed: `not_poured`, nothing or too little came out; `misplaced`, it did not come into the
            other vessel.
    """
    cfg = settings_of(ctx, "pour", PourConfig)
    evidence = _report(held, sensed).model_dump(exclude={"held", "dry_run"})
    poured = sensed.poured
    problem = None
    if poured is not None and poured.kg < max(cfg.least_kg, 2.0 * poured.sigma_kg):
        problem = "nothing came out"
    elif poured is not None and sensed.wanted_kg is not None:
        if poured.kg < sensed.wanted_kg - 2.0 * poured.sigma_kg:
            problem = f"only {poured.kg * 1e3:.0f} of {sensed.wanted_kg * 1e3:.0f} g came out"
    elif sensed.still_flows:
        problem = "something still came out at the last tilt"
    elif sensed.left is not None and sensed.left >= cfg.left:
        problem = f"something is still seen on {sensed.left:.0%} of its floor"
    elif sensed.after is not None and empty_kg is not None:
        if sensed.after.kg - empty_kg > max(cfg.least_kg, 2.0 * sensed.after.sigma_kg):
            problem = f"it is {(sensed.after.kg - empty_kg) * 1e3:.0f} g heavier than when empty"
    elif sensed.left is None and empty_kg is None and sensed.tilt_deg < cfg.steep_deg:
        problem = (
            f"no camera sees its floor, and {sensed.tilt_deg:.0f} degrees may not empty it; give empty_kg"
        )
    if problem:
        raise failure("not_poured", f"{problem}: the {held.label} is still held, upright", **evidence)
    if sensed.changed is not None and sensed.changed < cfg.least_change:
        raise failure("misplaced", "what came out is not seen in the other vessel", **evidence)


def _require_open(ctx: SkillContext, held: HeldObject) -> None:
    """Refuse to pour past the palm.

    Raises:
        Negative: `covered`, the hand reaches so far down that its palm is before the mouth.
    """
    rim_m = -float((held.T_ee_object @ np.array([0.0, 0.0, held.size_m[2]]))[2])
    if rim_m > settings_of(ctx, "pour", PourConfig).rim_m:
        message = (
            f"the hand covers the mouth of the {held.label}: it is held {rim_m * 1e2:.0f} cm below its rim"
        )
        raise failure("covered", f"{message}; hold it by its wall", rim_m=finite(rim_m, 3))


# ---- planning -----------------------------------------------------------------------------------


def _without_handle(ctx: SkillContext, held: HeldObject, points: FloatArray) -> FloatArray:
    """Drop the points, (N, 3), of the held vessel's handle, which its box leaves out: it moves along."""
    handle_m, T_world_ee = settings_of(ctx, "pour", PourConfig).handle_m, ctx.ee_pose()
    lowest_m = (T_world_ee @ held.T_ee_object).position_m[2]
    return points[~held.contains(points, T_world_ee, handle_m) | (points[:, 2] < lowest_m)]


def _plan(ctx: SkillContext, held: HeldObject, bowl: Box3D, points: FloatArray) -> PourPlan:
    """Plan to tilt the vessel about the finger axis, its lip over the other vessel's middle.

    About that axis the hand is thin: it stays above what comes out. A way that goes all tilts comes
    before those that end earlier.

    Raises:
        ToolError: `unreachable`, `in_collision` or `no_path`, of the first try.
    """
    cfg = settings_of(ctx, "pour", PourConfig)
    first_error: MotionError | None = None
    shorter: PourPlan | None = None
    near = obstacles(ctx, points, ctx.config.near_margin_m)
    for share, low_deg in itertools.product(cfg.solved_at, cfg.low_deg):
        anchor = round(share * (len(cfg.tilts_deg) - 1))
        for poses in _ways(ctx, held, bowl, cfg, low_deg):
            try:
                start, tilts = _tilting(ctx, held, poses, anchor, near)
                if len(tilts) < len(cfg.tilts_deg) - 1 and shorter is not None:
                    continue
                transit = plan_transit(ctx, ctx.arm_pos(), start, points, held=held, width_m=held.width_m)
                plan = PourPlan(transit, tuple(zip(map(float, cfg.tilts_deg[1:]), tilts, strict=False)))
            except MotionError as error:
                first_error = first_error or error
                continue
            if len(tilts) == len(cfg.tilts_deg) - 1:
                return plan
            shorter = plan
    if shorter is not None:
        return shorter
    assert first_error is not None
    with planning("pour", "put it down and pick it up elsewhere on its rim"):
        raise first_error


def _tilting(
    ctx: SkillContext, held: HeldObject, poses: list[Transform], anchor: int, near: Obstacles
) -> tuple[FloatArray, list[JointTrajectory]]:
    """Return where the arm starts upright, and the way from each pose to the next, as far as it goes.

    The arm has a joint to spare: where it starts decides how far it comes. So joint positions are sought
    for the pose `anchor`, and followed from there to both ends.

    Raises:
        MotionError: It does not go as far as `least_tilt_deg`.
    """
    cfg = settings_of(ctx, "pour", PourConfig)

    def step(at: FloatArray, to: Transform) -> JointTrajectory:
        return ctx.kinematics.plan_linear(
            at, [to], obstacles=near, gripper_width_m=held.width_m, speed_m_s=0.1
        )

    middle = ctx.kinematics.inverse(
        poses[anchor], ctx.kinematics.home, obstacles=near, gripper_width_m=held.width_m
    )
    at, parts = middle, []
    for pose in reversed(poses[:anchor]):
        back = step(at, pose)
        parts.insert(0, _reversed(back))
        at = back.joint_pos[-1]
    start, at = at, middle
    for pose in poses[anchor + 1 :]:
        try:
            parts.append(step(at, pose))
        except MotionError:
            if cfg.tilts_deg[len(parts)] < cfg.least_tilt_deg:
                raise
            break
        at = parts[-1].joint_pos[-1]
    return start, parts


def _ways(
    ctx: SkillContext, held: HeldObject, bowl: Box3D, cfg: PourConfig, low_deg: float
) -> Iterator[list[Transform]]:
    """Yield poses of the hand for all tilts, raised beyond `low_deg`, for each direction it may point in."""
    upright = held.T_world_ee.rotation  # the vessel stood on the table when it was grasped
    finger = float(np.arctan2(upright[1, 1], upright[0, 1]))
    height = float(held.size_m[2])
    radius = float(min(held.size_m[:2])) / 2
    top_ee = held.T_ee_object @ np.array([0.0, 0.0, height])
    away = float(np.arctan2(bowl.center_m[1], bowl.center_m[0]))
    for heading in away + np.deg2rad(cfg.headings_deg):
        front = np.array([np.cos(heading), np.sin(heading), 0.0])
        axis = np.cross([0.0, 0.0, -1.0], front)
        for flip in (0.0, np.pi):
            yaw = float(np.arctan2(axis[1], axis[0])) - finger + flip
            base = Rotation.from_euler("z", yaw).as_matrix() @ upright
            lip_ee = top_ee + base.T @ (-radius * front)
            poses = []
            for tilt in np.deg2rad(cfg.tilts_deg):
                rotation = Rotation.from_rotvec(tilt * axis).as_matrix() @ base
                rise = cfg.over_rim_m + height * max(0.0, float(np.cos(tilt)))
                rise += cfg.raise_m * float(tilt > np.deg2rad(low_deg))
                lip = np.array([*bowl.center_m[:2], bowl.top_z_m + rise]) + 0.01 * front
                poses.append(
                    Transform.from_parts(lip - rotation @ lip_ee, rotation, parent="world", child="ee")
                )
            yield poses


# ---- acting -------------------------------------------------------------------------------------


def _pour(
    ctx: SkillContext, held: HeldObject, plan: PourPlan, fraction: float, empty_kg: float | None
) -> Sensed:
    """Tilt, again until it gets no lighter; look into it, and tilt again if it is not empty; end upright."""
    cfg = settings_of(ctx, "pour", PourConfig)
    before = _weigh(ctx)
    wanted_kg = None
    if before is not None and empty_kg is not None and fraction < 1.0:
        wanted_kg = fraction * max(0.0, before.kg - empty_kg)
    at, reached, last, left, flows = 0, 0.0, None, None, False
    for k in range(cfg.rocks + 1):
        at, top, flows = _tilt_on(ctx, held, plan, at, before, wanted_kg)
        reached = max(reached, plan.tilts[at - 1][0])
        if wanted_kg is None:
            flows = top is not None and (last is None or top.less_than(last))
        last = top
        is_empty = k > 0 and not flows
        at = _tilt_back(ctx, held, plan, at, 0.0 if is_empty or wanted_kg is not None else cfg.rock_deg)
        if at == 0:
            left = _left(ctx, held)
            if wanted_kg is not None or left is None or left < cfg.left:
                break
    _tilt_back(ctx, held, plan, at)
    return Sensed(reached, before, _weigh(ctx), wanted_kg, flows, left)


def _tilt_on(
    ctx: SkillContext,
    held: HeldObject,
    plan: PourPlan,
    at: int,
    before: Weight | None,
    wanted_kg: float | None,
) -> tuple[int, Weight | None, bool]:
    """Tilt on from the tilt `at`; return the last tilt, the weight there, and if it still flows.

    For a part of it, it is weighed until it settles, tilt by tilt; else once, at the last one: whether it
    still gets lighter shows when it is tilted there again.
    """
    cfg = settings_of(ctx, "pour", PourConfig)
    now, flows = None, False
    for k in range(at, len(plan.tilts)):
        tilt_deg, part = plan.tilts[k]
        follow(ctx, part, f"tilting the {held.label}", force_n=cfg.force_n)
        at = k + 1
        if wanted_kg is None or tilt_deg < cfg.flows_deg:
            continue
        now, flows = _settled(ctx, cfg.settle_s)
        if before is not None and now is not None and before.kg - now.kg >= wanted_kg:
            break
    return at, _weigh(ctx) if wanted_kg is None else now, flows


def _tilt_back(ctx: SkillContext, held: HeldObject, plan: PourPlan, at: int, to_deg: float = 0.0) -> int:
    """Go back from the tilt `at` to the first one of at most `to_deg`; return which that is, 0 upright."""
    force_n = settings_of(ctx, "pour", PourConfig).force_n
    while at > 0 and plan.tilts[at - 1][0] > to_deg:
        at -= 1
        follow(ctx, _reversed(plan.tilts[at][1]), f"setting the {held.label} upright", force_n=force_n)
    return at


def _reversed(part: JointTrajectory) -> JointTrajectory:
    """Return the way back, from where the arm is."""
    return JointTrajectory(
        part.joint_names,
        part.duration_s - part.times_s[::-1],
        part.joint_pos[::-1].copy(),
        -part.joint_vel[::-1].copy(),
    )


# ---- sensing ------------------------------------------------------------------------------------


def _weigh(ctx: SkillContext) -> Weight | None:
    """Weigh what hangs from the hand, again if it does not hang still; None where force has no direction."""
    cfg = settings_of(ctx, "pour", PourConfig)
    best = _weigh_once(ctx)
    for _ in range(cfg.weighings - 1):
        if best is None or best.sigma_kg <= cfg.still_kg:
            break
        now = _weigh_once(ctx)
        if now is not None and now.sigma_kg < best.sigma_kg:
            best = now
    return best


def _weigh_once(ctx: SkillContext) -> Weight | None:
    """Weigh what hangs from the hand at rest, None where force has no direction.

    What is clamped chatters: single readings are off by a tenth, their mean over half a second is not.
    """
    cfg = settings_of(ctx, "pour", PourConfig)
    ctx.robot.sleep(ctx.config.settle_s)
    readings = []
    for _ in range(cfg.num_readings):
        require_ready(ctx)
        force = force_world(ctx)
        if force is None:
            return None
        readings.append(-float(force[2]) / GRAVITY_M_S2)
        ctx.robot.sleep(cfg.interval_s)
    parts = np.array([np.mean(part) for part in np.array_split(readings, 5)])
    sensor_kg = settings_of(ctx, "sensing", SensingConfig).force_sigma_n / GRAVITY_M_S2
    sigma_kg = np.hypot(parts.std(ddof=1) / np.sqrt(len(parts)), sensor_kg / np.sqrt(len(readings)))
    return Weight(float(np.mean(readings)), float(sigma_kg))


def _settled(ctx: SkillContext, longest_s: float) -> tuple[Weight | None, bool]:
    """Weigh until it gets no lighter; return the weight, and whether it still did in the end."""
    end_s = ctx.clock() + longest_s
    now = _weigh(ctx)
    while now is not None:
        before, now = now, _weigh(ctx)
        if now is None or not now.less_than(before):
            return now, False
        if ctx.clock() > end_s:
            return now, True
    return None, False


def _left(ctx: SkillContext, held: HeldObject) -> float | None:
    """Return which share of what is seen of the held vessel's floor is covered, None if too little is seen.

    The camera on the hand looks past the fingers into what they hold by its wall.
    """
    cfg = settings_of(ctx, "pour", PourConfig)
    T_world_object = ctx.kinematics.forward(ctx.arm_pos()) @ held.T_ee_object
    into = T_world_object.inverse()
    cameras = [c for c in (ctx.config.scene_camera, ctx.config.wrist_camera) if c in ctx.cameras]
    p = np.concatenate([into @ capture(ctx, c).points_world().reshape(-1, 3) for c in cameras])
    inside = np.linalg.norm(p[:, :2], axis=1) < 0.7 * float(min(held.size_m[:2])) / 2
    inside &= (p[:, 2] > -0.01) & (p[:, 2] < 0.5 * held.size_m[2])  # NaN is never inside
    if inside.sum() < cfg.least_pixels:
        return None
    return float(np.mean(p[inside, 2] > cfg.floor_m))


def _changed(ctx: SkillContext, bowl: Box3D, before: RgbdFrame, after: RgbdFrame) -> float | None:
    """Return the share of a vessel's inside that looks different, None if too little of it is seen."""
    cfg = settings_of(ctx, "pour", PourConfig)
    points = before.points_world()
    inner = np.linalg.norm(points[..., :2] - bowl.center_m[:2], axis=-1) < 0.32 * float(min(bowl.size_m[:2]))
    inner &= points[..., 2] < bowl.top_z_m - 0.008
    if inner.sum() < 60:
        return None
    difference = np.abs(before.rgb[inner].astype(float) - after.rgb[inner].astype(float)).max(axis=-1)
    return float(np.mean(difference > cfg.color_step))
