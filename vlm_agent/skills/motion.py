"""Planned, guarded motions that every skill is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from perception_tools.geometry import FloatArray, Transform
from policies.motion import MotionError, Obstacles
from policies.robot import JointTrajectory, MotionOutcome, MotionResult
from vlm_agent.skills.context import HeldObject, SkillContext
from vlm_agent.skills.failures import failure, outcome_failure
from vlm_agent.skills.scene import obstacles

LIFT_STEPS = (1.0, 0.6, 0.3)


def require_ready(ctx: SkillContext) -> None:
    """Refuse to move when cancelled or while a stop is latched."""
    if ctx.robot.is_stopped:
        raise failure("stopped", "a stop is latched; it has to be reset by hand before anything moves")
    if ctx.cancel.is_set():
        raise failure("cancelled", "cancelled; the robot is still")


def raised(T_world_ee: Transform, height_m: float) -> Transform:
    """Return a pose moved up along world z [m]."""
    return moved(T_world_ee, np.array([0.0, 0.0, height_m]))


def moved(T_world_ee: Transform, shift_m: FloatArray) -> Transform:
    """Return a pose moved by a vector of world [m], shape (3,)."""
    return Transform.from_parts(
        T_world_ee.position_m + shift_m,
        T_world_ee.rotation,
        parent=T_world_ee.parent,
        child=T_world_ee.child,
    )


def plan_transit(
    ctx: SkillContext,
    start: FloatArray,
    goal: FloatArray,
    points: FloatArray,
    *,
    held: HeldObject | None = None,
    width_m: float | None = None,
) -> JointTrajectory:
    """Plan a joint motion, with as much distance to the observed points as there is room for.

    Raises:
        MotionError: Of the smallest margin tried.
    """
    cfg = ctx.config
    margins = (cfg.margin_m, cfg.margin_m / 2, cfg.near_margin_m)
    for margin_m in margins:
        try:
            return ctx.kinematics.plan(
                start,
                goal,
                obstacles=obstacles(ctx, points, margin_m, held=held),
                gripper_width_m=ctx.opening_m() if width_m is None else width_m,
                speed=cfg.transit_speed if held is None else cfg.carry_speed,
            )
        except MotionError:
            if margin_m == margins[-1]:
                raise
    raise AssertionError("unreachable")


def follow(
    ctx: SkillContext,
    trajectory: JointTrajectory,
    what: str,
    *,
    force_n: float | None = None,
    contact_ok: bool = False,
) -> MotionResult:
    """Execute a trajectory, guarded by a force above the one sensed at rest before.

    Args:
        ctx: Context.
        trajectory: Motion to follow.
        what: What it is for, for messages.
        force_n: Rise of the external force that ends it [N]; `transit_force_n` by default.
        contact_ok: Return on contact instead of raising.

    Raises:
        ToolError: `contact`, `tracking`, `refused`, `stopped` or `cancelled`.
    """
    require_ready(ctx)
    at_rest_n = ctx.robot.state().external_force_n
    limit_n = None
    if np.isfinite(at_rest_n):
        limit_n = float(at_rest_n) + (ctx.config.transit_force_n if force_n is None else force_n)
    result = ctx.robot.execute(trajectory, ctx.cancel, max_force_n=limit_n)
    has_moved = ctx.memory.num_motions > ctx.moved_before
    if result.outcome is not MotionOutcome.REFUSED:
        ctx.memory.num_motions += 1
    if result.outcome is MotionOutcome.CONTACT and not contact_ok:
        ctx.workspace.advance_epoch(f"{what} touched something at {ctx.clock():.1f} s")
    if not result.reached and not (contact_ok and result.outcome is MotionOutcome.CONTACT):
        raise outcome_failure(result, what, has_moved=has_moved)
    return result


def plan_approach(
    ctx: SkillContext, start: FloatArray, T_world_ee: Transform, within: Obstacles, width_m: float
) -> tuple[JointTrajectory, ...]:
    """Plan the straight way of the hand to a pose: fast first, slow over the last `touch_m`.

    Raises:
        MotionError: As in `Kinematics.plan_linear`.
    """
    cfg = ctx.config
    way_m = ctx.kinematics.forward(start).position_m - T_world_ee.position_m
    length_m = float(np.linalg.norm(way_m))
    stops = [(T_world_ee, cfg.touch_speed_m_s)]
    if length_m > 1.5 * cfg.touch_m:
        slow_from = moved(T_world_ee, way_m * cfg.touch_m / length_m)
        stops.insert(0, (slow_from, cfg.approach_speed_m_s))
    parts: list[JointTrajectory] = []
    for stop, speed_m_s in stops:
        part = ctx.kinematics.plan_linear(
            start, [stop], obstacles=within, gripper_width_m=width_m, speed_m_s=speed_m_s
        )
        parts.append(part)
        start = part.joint_pos[-1]
    return tuple(parts)


@contextmanager
def changing(ctx: SkillContext, what: str) -> Iterator[None]:
    """Advance the scene's epoch when the block ends, however it ends, if arm or fingers moved in it."""
    before = ctx.memory.num_motions
    try:
        yield
    finally:
        if ctx.memory.num_motions > before:
            ctx.workspace.advance_epoch(f"{what} moved things at {ctx.clock():.1f} s")


def follow_until_contact(ctx: SkillContext, parts: Sequence[JointTrajectory], what: str) -> MotionResult:
    """Execute the parts of an approach; end with the first contact, of `guard_force_n` above rest.

    Raises:
        ToolError: `tracking`, `refused`, `stopped` or `cancelled`.
    """
    result = MotionResult(MotionOutcome.REACHED)
    for part in parts:
        result = follow(ctx, part, what, force_n=ctx.config.guard_force_n, contact_ok=True)
        if not result.reached:
            break
    return result


def lift_away(ctx: SkillContext, height_m: float, what: str) -> float:
    """Move the hand straight up, as far as it reaches of `height_m`; return the sensed rise [m].

    Obstacles are not asked: the way up is the way the hand came down.
    """
    start = ctx.ee_pose()
    for part in LIFT_STEPS:
        try:
            trajectory = ctx.kinematics.plan_linear(
                ctx.arm_pos(),
                [raised(start, part * height_m)],
                gripper_width_m=ctx.opening_m(),
                speed_m_s=ctx.config.lift_speed_m_s,
            )
        except MotionError:
            continue
        follow(ctx, trajectory, what)
        return float(ctx.ee_pose().position_m[2] - start.position_m[2])
    raise failure("unreachable", f"{what}: the hand can't move up from here")
