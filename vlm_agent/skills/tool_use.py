"""Pick with the tool in the hand, and open it: skills that learned policies carry out.

The policies know named readings (`policies/tool_use.py`); what they command goes through the same safety
filter as every other motion. Where the thing lies comes from a box of `detect`, seen before anything moves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.boxes import Box3D
from perception_tools.tool import BoxName, tool
from perception_tools.views import settings_of
from policies.held_tool import ToolSensor
from policies.tool_use import ObjectEstimate
from vlm_agent.skills.basic import go_home
from vlm_agent.skills.context import SkillContext
from vlm_agent.skills.failures import failure, fresh, planning
from vlm_agent.skills.held_tool import (
    Follower,
    ToolSkillConfig,
    act,
    estimate_of,
    may_be_narrower,
    require_tool,
    start,
    still_lies,
)
from vlm_agent.skills.motion import changing, follow, moved, require_ready
from vlm_agent.skills.scene import capture, observe

SETTINGS = "tool_use"
STARTS_M = ((0.0, 0.0, 0.0), (-0.03, -0.05, 0.0), (0.03, 0.05, 0.02), (0.0, -0.08, 0.03))
"""Where the policy begins, from the arm's rest posture: the first time, and after each miss [m]."""


class PickedWithTool(BaseModel):
    """Sensed outcome of a pick with a tool, or what is known before one."""

    held: bool = Field(description="sensed: the tips are kept apart by about its width, and it is lifted")
    label: str = Field(description="what it is called")
    opening_m: float = Field(description="sensed opening of the tips [m]")
    seen_width_m: float = Field(description="width of the thing across the tips, as it was seen [m]")
    lifted_m: float | None = Field(description="sensed height that the tips rose by with it [m]")
    gone: bool | None = Field(description="seen: it lies no more where it lay; null if that is hidden")
    tool_readings: str = Field(description="what the tool's readings come from")
    dry_run: bool = Field(description="only checked, nothing moved")


class ToolOpened(BaseModel):
    """Sensed state of the tool."""

    opening_m: float = Field(description="sensed opening of the tips [m]")
    error_m: float = Field(description="its difference to the opening asked for [m]")
    holding: bool = Field(description="something keeps the tips apart")
    released: str | None = Field(description="label of what the tips let go of")
    dry_run: bool = Field(description="nothing moved: the opening is the present one")


@tool(moves_robot=True, timeout_s=300.0)
def pick_with_tool(
    ctx: SkillContext,
    tool: Annotated[str, Field(min_length=1, max_length=40)],
    object: BoxName,
    dry_run: bool = False,
) -> PickedWithTool:
    """Pick up a small thing with the tool that the hand holds; it hangs between the tips afterwards.

    Args:
        tool: Kind of the tool in the hand, `tweezers`.
        object: Box of the thing, from detect, newer than the last motion.
        dry_run: Only check that it can be tried, move nothing.
    """
    require_ready(ctx)
    config = settings_of(ctx, SETTINGS, ToolSkillConfig)
    sensor = require_tool(ctx, tool)
    artifact = fresh(ctx.workspace, object, "box")
    box: Box3D = artifact.data
    label = artifact.label or "thing"
    thing = _require_pickable(ctx, sensor, box, label, config)
    reading = sensor.read()
    if ctx.memory.in_tool is not None and reading.opening_m > config.closed_m:
        raise failure("already_holding", f"the tips hold the {ctx.memory.in_tool}; open them first")
    outcome = PickedWithTool(
        held=False,
        label=label,
        opening_m=round(reading.opening_m, 4),
        seen_width_m=round(thing.width_m, 4),
        lifted_m=None,
        gone=None,
        tool_readings=sensor.source,
        dry_run=dry_run,
    )
    if dry_run:
        return outcome
    with changing(ctx, f"pick of the {label} with the {sensor.name}"):
        _go_above(ctx, sensor.name)
        follower = Follower(thing, config, may_be_narrower(box, str(artifact.meta.get("shape", ""))))
        lifted_m = _pick(ctx, follower, label, config)
        gone = _is_gone(ctx, box)
        if gone is None and lifted_m < config.lift_m - config.reach_m:
            raise failure("missed", f"whether the {label} hangs in the tips is hidden; look again")
        if gone is False:
            raise failure(
                "missed",
                f"the tips hold something, but the {label} is still seen where it lay; look again",
                opening_m=round(sensor.read().opening_m, 4),
            )
    ctx.memory.in_tool, ctx.memory.tool_misses = label, 0
    return outcome.model_copy(
        update={
            "held": True,
            "opening_m": round(sensor.read().opening_m, 4),
            "lifted_m": round(lifted_m, 3),
            "gone": gone,
        }
    )


@tool(moves_robot=True, timeout_s=120.0)
def set_tool_opening(
    ctx: SkillContext, width_m: Annotated[float, Field(ge=0.0, le=0.1)], dry_run: bool = False
) -> ToolOpened:
    """Bring the tips of the tool in the hand to an opening; what they hold is let go if it is wider.

    Args:
        width_m: Distance of the tips [m].
        dry_run: Move nothing; tells the present opening.
    """
    require_ready(ctx)
    config = settings_of(ctx, SETTINGS, ToolSkillConfig)
    sensor = require_tool(ctx)
    low, high = sensor.opening_range_m
    if not low <= width_m <= high:
        raise failure(
            "too_wide",
            f"the hand holds the {sensor.name} at openings from {1e3 * low:.0f} to {1e3 * high:.0f} mm",
        )
    if dry_run:
        return _opened(ctx, width_m, config, None, dry_run=True)
    held = ctx.memory.in_tool
    before_m = sensor.read().opening_m
    with changing(ctx, f"opening of the {sensor.name}"):
        _bring_to(ctx, width_m, config)
    after_m = sensor.read().opening_m
    released = held if held is not None and after_m > before_m + config.tolerance_m else None
    if released is not None or after_m < config.closed_m:
        ctx.memory.in_tool = None
    opened = _opened(ctx, width_m, config, released, dry_run=False)
    if opened.error_m > config.tolerance_m and not opened.holding:
        raise failure(
            "tracking",
            f"the tips are {1e3 * opened.opening_m:.1f} mm apart, not {1e3 * width_m:.1f} mm",
            opening_m=opened.opening_m,
        )
    return opened


# ---- picking ---------------------------------------------------------------------------------------


def _require_pickable(
    ctx: SkillContext, sensor: ToolSensor, box: Box3D, label: str, config: ToolSkillConfig
) -> ObjectEstimate:
    """Return where the thing is, if the tips go around it.

    Raises:
        Negative: `too_wide`.
    """
    thing = estimate_of(box, sensor.read().tip_axis)
    most_m = sensor.opening_range_m[1] - config.clearance_m
    if thing.width_m > most_m:
        raise failure(
            "too_wide",
            f"the {label} is {1e3 * thing.width_m:.0f} mm wide; the {sensor.name} go around "
            f"{1e3 * most_m:.0f} mm",
            width_m=round(thing.width_m, 4),
        )
    yaw = float(np.clip(thing.yaw_rad, -config.max_yaw_rad, config.max_yaw_rad))
    return replace(thing, yaw_rad=yaw)


def _go_above(ctx: SkillContext, name: str) -> None:
    """Move to where the policy begins: home, and after misses beside it, for another approach.

    Raises:
        ToolError: As in `follow`; `in_collision`, `no_path` or `unreachable`.
    """
    with planning(f"moving the {name} above the table"):
        go_home(ctx, observe(ctx))
        shift = np.array(STARTS_M[ctx.memory.tool_misses % len(STARTS_M)])
        if shift.any():
            beside = ctx.kinematics.plan_linear(
                ctx.arm_pos(), [moved(ctx.ee_pose(), shift)], speed_m_s=ctx.config.approach_speed_m_s
            )
            follow(ctx, beside, f"moving the {name} aside")
    ctx.memory.tool_misses += 1


def _pick(ctx: SkillContext, follower: Follower, label: str, config: ToolSkillConfig) -> float:
    """Let the policy pick; return the sensed lift [m].

    Raises:
        ToolError: `missed`: nothing was sensed to be held up there within the time.
    """
    use = start(ctx, config.pick_policy, config.use)
    thing = follower.thing
    goal = thing.p_world + np.array([0.0, 0.0, config.lift_m])
    step_dt = use.policy.spec.step_dt
    there_s, up_s, ctx.memory.num_motions = 0.0, 0.0, ctx.memory.num_motions + 1
    for _ in range(round(config.seconds / step_dt)):
        now = follower.update(use.sensor.read())
        act(ctx, use, goal, now, config.lost_m)
        is_up = follower.is_held and now.p_world[2] - thing.p_world[2] >= config.lift_m / 2
        up_s = up_s + step_dt if is_up else 0.0
        is_there = follower.is_held and float(np.linalg.norm(now.p_world - goal)) < config.reach_m
        there_s = there_s + step_dt if is_there else 0.0
        if there_s >= config.hold_s:
            ctx.robot.sleep(ctx.config.settle_s)
            now = follower.update(use.sensor.read())
            if follower.is_held:
                return float(now.p_world[2] - thing.p_world[2])
        if follower.has_missed:
            break
    ctx.robot.sleep(ctx.config.settle_s)
    lifted_m = float(follower.update(use.sensor.read()).p_world[2] - thing.p_world[2])
    if up_s >= config.hold_s and follower.is_held and lifted_m >= config.lift_m / 2:
        return lifted_m  # not where it was to be, and yet in the tips
    opening_m = use.sensor.read().opening_m
    raise failure(
        "missed",
        f"the {use.sensor.name} did not lift the {label}; look again",
        opening_m=round(opening_m, 4),
        closed_on_something=follower.is_held,
    )


def _is_gone(ctx: SkillContext, box: Box3D) -> bool | None:
    """Look where the thing lay: whether it is gone, None if that is hidden."""
    lies = still_lies(box, capture(ctx, ctx.config.scene_camera), ctx.config.support_z_m)
    return None if lies is None else not lies


# ---- opening ---------------------------------------------------------------------------------------


def _bring_to(ctx: SkillContext, width_m: float, config: ToolSkillConfig) -> None:
    """Let the policy bring the tips to an opening, until that is sensed or the time is over."""
    use = start(ctx, config.opening_policy, config.use)
    goal, step_dt = np.array([width_m, 0.0]), use.policy.spec.step_dt
    there_s, ctx.memory.num_motions = 0.0, ctx.memory.num_motions + 1
    for _ in range(round(config.seconds / step_dt)):
        reading = act(ctx, use, goal, None, config.lost_m)
        is_there = abs(reading.opening_m - width_m) <= config.tolerance_m
        there_s = there_s + step_dt if is_there else 0.0
        if there_s >= config.hold_s:
            return


def _opened(
    ctx: SkillContext, width_m: float, config: ToolSkillConfig, released: str | None, *, dry_run: bool
) -> ToolOpened:
    opening_m = require_tool(ctx).read().opening_m
    wider = opening_m > max(config.closed_m, width_m + config.tolerance_m)
    holding = ctx.memory.in_tool is not None or (wider and not dry_run)
    return ToolOpened(
        opening_m=round(opening_m, 4),
        error_m=round(abs(opening_m - width_m), 4),
        holding=holding,
        released=released,
        dry_run=dry_run,
    )
