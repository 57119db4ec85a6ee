"""Open and close the gripper; what it holds is sensed by width and clamping force."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from perception_tools.geometry import Transform
from perception_tools.tool import tool
from policies.robot import GripperCommand, GripperState, JointCommand, RobotStopped
from vlm_agent.skills.context import HeldObject, SkillContext
from vlm_agent.skills.failures import failure, finite
from vlm_agent.skills.motion import require_ready

POLL_S = 0.02
UNKNOWN_SIZE_M = 0.04
WIDTH_TOLERANCE_M = 0.004


class GripperOpened(BaseModel):
    """Sensed state after opening."""

    width_m: float = Field(description="opening [m]")
    released: str | None = Field(description="label of what was held before")


class GripperClosed(BaseModel):
    """Sensed state after closing."""

    width_m: float = Field(description="opening [m]")
    force_n: float = Field(description="clamping force [N]")
    holding: bool = Field(description="something is between the fingers")


@tool(moves_robot=True, timeout_s=60.0)
def open_gripper(ctx: SkillContext) -> GripperOpened:
    """Open the gripper fully; what it holds falls, so lower it with place instead."""
    require_ready(ctx)
    held = ctx.memory.held
    was_holding = is_holding(ctx)
    state = set_width(ctx, gripper_range(ctx)[1])
    jammed = is_holding(ctx) or state.width_m < gripper_range(ctx)[1] - WIDTH_TOLERANCE_M
    if was_holding or held is not None or jammed:
        ctx.workspace.advance_epoch(f"the gripper was opened at {ctx.clock():.1f} s")
    if jammed:
        raise failure(
            "tracking", "the gripper did not open fully; move away and try again", **readings(state)
        )
    return GripperOpened(width_m=round(state.width_m, 4), released=held.label if held else None)


@tool(moves_robot=True, timeout_s=60.0)
def close_gripper(
    ctx: SkillContext,
    force_n: Annotated[float, Field(ge=1.0, le=70.0)] = 30.0,
) -> GripperClosed:
    """Close the gripper where the hand is and sense whether it holds something; prefer pick.

    Args:
        force_n: Clamping force [N].
    """
    require_ready(ctx)
    was_holding = is_holding(ctx)
    state = set_width(ctx, gripper_range(ctx)[0], force_n)
    holding = is_holding(ctx)
    if holding and ctx.memory.held is None:
        ctx.memory.held = _unknown(ctx, state)
    if holding != was_holding:
        ctx.workspace.advance_epoch(f"the gripper was closed at {ctx.clock():.1f} s")
    return GripperClosed(width_m=round(state.width_m, 4), force_n=round(state.force_n, 2), holding=holding)


def gripper_range(ctx: SkillContext) -> tuple[float, float]:
    """Return the smallest and largest opening [m].

    Raises:
        ToolError: The robot has no parallel gripper.
    """
    width_m = ctx.robot.gripper_width_m
    if width_m is None:
        raise failure("refused", f"robot {ctx.robot.name!r} has no parallel gripper")
    return width_m


def gripper_state(ctx: SkillContext) -> GripperState:
    """Return the sensed state of the gripper."""
    gripper_range(ctx)
    state = ctx.robot.state().gripper
    assert state is not None
    return state


def is_holding(ctx: SkillContext) -> bool:
    """Sense whether something is held; forget what was held if not."""
    state = gripper_state(ctx)
    holding = state.width_m > ctx.config.min_width_m and state.force_n > ctx.config.min_force_n
    if not holding:
        ctx.memory.held = None
    return holding


def require_empty(ctx: SkillContext) -> None:
    """Refuse if something is held."""
    if is_holding(ctx):
        held = ctx.memory.held
        raise failure(
            "already_holding",
            f"the gripper already holds {held.label if held else 'something'}; place it first",
            **readings(gripper_state(ctx)),
        )


def require_holding(ctx: SkillContext) -> HeldObject:
    """Return what is held; refuse if nothing is."""
    if not is_holding(ctx):
        raise failure(
            "not_holding", "the gripper holds nothing; pick something first", **readings(gripper_state(ctx))
        )
    if ctx.memory.held is None:
        ctx.memory.held = _unknown(ctx, gripper_state(ctx))
    return ctx.memory.held


def sensed_holding(ctx: SkillContext) -> bool:
    """Sense whether something is held; never with a robot that has no parallel gripper."""
    return ctx.robot.gripper_width_m is not None and is_holding(ctx)


def require_kept(ctx: SkillContext, held: HeldObject | None) -> None:
    """Sense that what was held before a motion is held still.

    Raises:
        Failed: `dropped`.
    """
    if held is not None and not sensed_holding(ctx):
        ctx.workspace.advance_epoch(f"the {held.label} was lost at {ctx.clock():.1f} s")
        sensed = readings(gripper_state(ctx))
        raise failure("dropped", f"the {held.label} was lost on the way; look for it", **sensed)


def set_width(ctx: SkillContext, width_m: float, force_n: float | None = None) -> GripperState:
    """Move the fingers until they rest, and return what is sensed then.

    Args:
        ctx: Context.
        width_m: Opening to go for [m]; clipped to the gripper's range.
        force_n: Clamping force [N]; the configured one by default.

    Raises:
        ToolError: `cancelled` or `stopped`.
    """
    low, high = gripper_range(ctx)
    width_m = min(max(width_m, low), high)
    command = GripperCommand(width_m, ctx.config.grasp_force_n if force_n is None else force_n)
    try:
        ctx.memory.num_motions += 1
        ctx.robot.send(JointCommand(gripper=command))
        deadline_s = ctx.clock() + ctx.config.gripper_timeout_s
        ctx.robot.sleep(5 * POLL_S)
        while gripper_state(ctx).is_moving and ctx.clock() < deadline_s:
            if ctx.cancel.is_set():
                _hold_fingers(ctx, command.force_n)
            require_ready(ctx)
            ctx.robot.sleep(POLL_S)
        ctx.robot.sleep(ctx.config.settle_s)
    except RobotStopped as error:
        raise failure("stopped", "the gripper was stopped") from error
    require_ready(ctx)
    return gripper_state(ctx)


def _hold_fingers(ctx: SkillContext, force_n: float) -> None:
    """Command the sensed width, so that the fingers rest where they are."""
    ctx.robot.send(JointCommand(gripper=GripperCommand(gripper_state(ctx).width_m, force_n)))
    ctx.robot.sleep(ctx.config.settle_s)


def readings(state: GripperState) -> dict[str, float | None]:
    """Return the readings of the gripper as evidence."""
    return {"width_m": finite(state.width_m, 4), "force_n": finite(state.force_n)}


def _unknown(ctx: SkillContext, state: GripperState) -> HeldObject:
    """Describe something held of which only the width is known: a box that reaches a little below."""
    T_world_ee = ctx.ee_pose()
    bottom = Transform.from_parts(
        T_world_ee.position_m - (0.0, 0.0, UNKNOWN_SIZE_M / 2),
        _heading(T_world_ee),
        parent="world",
        child="object",
    )
    size = (UNKNOWN_SIZE_M, max(UNKNOWN_SIZE_M, state.width_m), UNKNOWN_SIZE_M)
    return HeldObject(
        "something", T_world_ee.inverse() @ bottom, size, T_world_ee, state.width_m, ctx.clock()
    )


def _heading(T_world_ee: Transform) -> list[list[float]]:
    """Return the rotation about the vertical, (3, 3), whose y axis is nearest to the finger axis."""
    x, y = float(T_world_ee.rotation[0, 1]), float(T_world_ee.rotation[1, 1])
    norm = (x * x + y * y) ** 0.5
    if norm < 1e-6:
        return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    c, s = y / norm, -x / norm
    return [[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]
