"""Planned, guarded motions that every skill is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perception_tools.geometry import FloatArray, Transform
from policies.motion import MotionError, Obstacles
from policies.robot import JointTrajectory, MotionOutcome, MotionResult
from vlm_agent.skills.context import HeldObject, SkillContext
from vlm_agent.skills.failures import failure, outcome_failure, planning
from vlm_agent.skills.scene import obstacles

LIFT_STEPS = (1.0, 0.6, 0.3)


def require_ready(ctx: SkillContext) -> None:
    """Refuse to move when cancelled or while a stop is latched."""
    if ctx.robot.is_stopped:
        raise failure("stopped", "a stop is latched; it has to be reset by hand before anything moves")
    if ctx.cancel.is_set():
        raise failure("cancelled", "cancelled; the robot is still")


def arm_pos(ctx: SkillContext) -> FloatArray:
    """Return the sensed joint positions of the arm [rad], ordered as kinematics wants them."""
    state = ctx.robot.state()
    return state.joint_pos[[state.joint_names.index(n) for n in ctx.kinematics.limits.joint_names]]


def ee_pose(ctx: SkillContext) -> Transform:
    """Return the sensed pose of the hand, ``T_world_ee``."""
    return ctx.kinematics.forward(arm_pos(ctx))


def opening(ctx: SkillContext) -> float:
    """Return the sensed opening of the gripper [m] (0.08 without a gripper)."""
    state = ctx.robot.state().gripper
    return state.width_m if state is not None else 0.08


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
                gripper_width_m=opening(ctx) if width_m is None else width_m,
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
    if not result.reached and not (contact_ok and result.outcome is MotionOutcome.CONTACT):
        raise outcome_failure(result, what)
    return result


def follow_line(
    ctx: SkillContext,
    waypoints: Sequence[Transform],
    what: str,
    *,
    speed_m_s: float,
    within: Obstacles | None = None,
    force_n: float | None = None,
    contact_ok: bool = False,
) -> MotionResult:
    """Lead the hand along straight lines from where it is; see `follow`.

    Raises:
        ToolError: `unreachable`, `in_collision`, or as in `follow`.
    """
    with planning(what):
        trajectory = ctx.kinematics.plan_linear(
            arm_pos(ctx), waypoints, obstacles=within, gripper_width_m=opening(ctx), speed_m_s=speed_m_s
        )
    return follow(ctx, trajectory, what, force_n=force_n, contact_ok=contact_ok)


def lift_away(ctx: SkillContext, height_m: float, what: str) -> float:
    """Move the hand straight up, as far as it reaches of `height_m`; return the sensed rise [m].

    Obstacles are not asked: the way up is the way the hand came down.
    """
    start = ee_pose(ctx)
    for part in LIFT_STEPS:
        try:
            trajectory = ctx.kinematics.plan_linear(
                arm_pos(ctx),
                [raised(start, part * height_m)],
                gripper_width_m=opening(ctx),
                speed_m_s=ctx.config.lift_speed_m_s,
            )
        except MotionError:
            continue
        follow(ctx, trajectory, what)
        return float(ee_pose(ctx).position_m[2] - start.position_m[2])
    raise failure("unreachable", f"{what}: the hand can't move up from here")
