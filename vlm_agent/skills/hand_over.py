"""Hand over: hold something out to a person, slowly, and let go when they are felt to pull.

A person is near, so the hand keeps below `speed_m_s`, far below the 250 mm/s that ISO 10218-1:2025 and
ISO 10218-2:2025 name for manual reduced speed. That figure is no speed that is safe to be hit at, and a
sensed force that ends a motion does not bound the first impact (docs/hardware_safety.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.geometry import FloatArray
from perception_tools.tabletop_vision import SeenObject
from perception_tools.tool import PointWorld, tool
from perception_tools.views import settings_of
from policies.motion import MotionError
from policies.robot import JointTrajectory
from vlm_agent.skills.basic import pointing_down, yaw_of
from vlm_agent.skills.carrying import carry, slowed
from vlm_agent.skills.context import HeldObject, SkillContext
from vlm_agent.skills.failures import failure, finite, planning
from vlm_agent.skills.gripper import (
    gripper_range,
    gripper_state,
    is_holding,
    readings,
    require_holding,
    set_width,
)
from vlm_agent.skills.motion import changing, follow, plan_transit, raised, require_ready
from vlm_agent.skills.scene import observe, obstacles
from vlm_agent.skills.seeing import color_in, find_again, see_scene


@dataclass(frozen=True)
class HandOverConfig:
    """Settings of `hand_over`.

    Attributes:
        speed_m_s: Largest speed of the hand, on the way and on the retreat [m/s].
        force_n: External force above rest that ends the way out [N].
        still_s: Time over which the force at rest is averaged [s].
        pull_n: Rise of the external force that counts as a pull [N].
        pull_s: How long it has to last; a knock is shorter [s].
        poll_s: Time between two looks at the force [s].
        open_m: Opening beyond the held width when letting go [m].
        retreat_m: How far the hand goes up afterwards [m].
        wait_s: Pause between letting go and the retreat [s].
        dropped_m: What lies nearer than this to under the hand was dropped, unless it lay there before [m].
        still_m: Two sights of one thing that lies still are nearer to each other than this [m].
        below_m: What is seen this near under the hand may be what it holds [m].
    """

    speed_m_s: float = 0.15
    force_n: float = 15.0
    still_s: float = 0.3
    pull_n: float = 4.0
    pull_s: float = 0.12
    poll_s: float = 0.02
    open_m: float = 0.03
    retreat_m: float = 0.08
    wait_s: float = 0.4
    dropped_m: float = 0.25
    still_m: float = 0.025
    below_m: float = 0.08


class HandedOver(BaseModel):
    """Sensed outcome of handing something over, or the plan of a dry run."""

    label: str = Field(description="what was handed over")
    position_m: tuple[float, float, float] = Field(description="where the hand held it out, world [m]")
    released: bool = Field(description="sensed: it was pulled, the gripper opened and holds nothing")
    pull_n: float | None = Field(description="sensed rise of the external force when it was let go [N]")
    waited_s: float | None = Field(description="how long it was held out [s]")
    dry_run: bool = Field(description="only planned, nothing moved")
    motion_s: float = Field(description="planned motion up to there [s]")


@tool(moves_robot=True, timeout_s=240.0)
def hand_over(
    ctx: SkillContext,
    to_m: PointWorld,
    timeout_s: Annotated[float, Field(gt=0, le=120.0)] = 20.0,
    dry_run: bool = False,
) -> HandedOver:
    """Hold out what is held, slowly, to a person, and let go when they are felt to pull at it.

    Without a pull it keeps holding, and fails with `not_taken`.

    Args:
        to_m: Where the hand holds it out, [x, y, z] in world [m].
        timeout_s: How long to wait for a pull [s].
        dry_run: Only plan and report, move nothing.
    """
    require_ready(ctx)
    config = settings_of(ctx, "hand_over", HandOverConfig)
    held = require_holding(ctx)
    if not np.isfinite(ctx.robot.state().external_force_n):
        raise failure("refused", "this robot senses no external force: it can't feel a person pull")
    trajectory = slowed(ctx, _plan_out(ctx, held, np.asarray(to_m, dtype=np.float64)), config.speed_m_s)
    report = {"label": held.label, "motion_s": round(trajectory.duration_s, 2)}
    if dry_run:
        goal = ctx.kinematics.forward(trajectory.joint_pos[-1]).position_m
        return HandedOver(
            **report,  # pyright: ignore[reportArgumentType]
            position_m=_triple(goal),
            released=False,
            pull_n=None,
            waited_s=None,
            dry_run=True,
        )
    before = _lying_beside(ctx, config)
    carry(ctx, trajectory, held, f"holding out the {held.label}", force_n=config.force_n)
    before += _lying_beside(ctx, config)  # the arm hides other things now
    out_m = ctx.ee_pose().position_m
    with changing(ctx, f"hand-over of the {held.label}"):
        pull_n, waited_s = _wait_for_pull(ctx, held, timeout_s, config)
        _let_go(ctx, held, config)
    _require_not_dropped(ctx, held, out_m, before, config)
    return HandedOver(
        **report,  # pyright: ignore[reportArgumentType]
        position_m=_triple(out_m),
        released=True,
        pull_n=round(pull_n, 2),
        waited_s=round(waited_s, 2),
        dry_run=False,
    )


def _plan_out(ctx: SkillContext, held: HeldObject, wanted: FloatArray) -> JointTrajectory:
    """Plan the way to where it is held out, the hand pointing down, turned as little as possible.

    Raises:
        ToolError: `unreachable`, `in_collision` or `no_path`, of the first try.
    """
    points, first_error = observe(ctx), None
    yaw = yaw_of(ctx.ee_pose())
    for turn_deg in (0, 45, -45, 90, -90, 135, -135, 180):
        pose = pointing_down(wanted, yaw + np.deg2rad(turn_deg))
        try:
            goal = ctx.kinematics.inverse(
                pose,
                ctx.arm_pos(),
                obstacles=obstacles(ctx, points, ctx.config.near_margin_m, held=held),
                gripper_width_m=ctx.opening_m(),
            )
            return plan_transit(ctx, ctx.arm_pos(), goal, points, held=held)
        except MotionError as error:
            first_error = first_error or error
    assert first_error is not None
    with planning("hand_over"):
        raise first_error


def _wait_for_pull(
    ctx: SkillContext, held: HeldObject, timeout_s: float, config: HandOverConfig
) -> tuple[float, float]:
    """Wait until the external force has risen for long enough; return the rise [N] and the wait [s].

    Raises:
        Failed: `not_taken`: nobody pulled; it is held still.
        Cancelled: `cancelled` or `stopped`; it is held still.
    """
    at_rest_n = _force_at_rest(ctx, config)
    start_s, since_s = ctx.clock(), None
    while ctx.clock() - start_s < timeout_s:
        require_ready(ctx)
        ctx.robot.sleep(config.poll_s)
        rise_n = abs(float(ctx.robot.state().external_force_n) - at_rest_n)
        if not is_holding(ctx):  # it was pulled out of the fingers
            return rise_n, ctx.clock() - start_s
        if rise_n < config.pull_n:
            since_s = None
        elif since_s is None:
            since_s = ctx.clock()
        elif ctx.clock() - since_s >= config.pull_s - 1e-9:
            return rise_n, ctx.clock() - start_s
    raise failure(
        "not_taken",
        f"nobody pulled at the {held.label} for {timeout_s:.0f} s; it is still held",
        waited_s=finite(timeout_s, 1),
        **readings(gripper_state(ctx)),
    )


def _force_at_rest(ctx: SkillContext, config: HandOverConfig) -> float:
    """Return the median external force while the arm is still [N]."""
    ctx.robot.sleep(ctx.config.settle_s)
    forces = []
    for _ in range(max(3, round(config.still_s / config.poll_s))):
        forces.append(float(ctx.robot.state().external_force_n))
        ctx.robot.sleep(config.poll_s)
    return float(np.median(forces))


def _let_go(ctx: SkillContext, held: HeldObject, config: HandOverConfig) -> None:
    """Open, wait, and go up slowly.

    Raises:
        Failed: `tracking`: the gripper did not let go.
    """
    state = set_width(ctx, min(held.width_m + config.open_m, gripper_range(ctx)[1]))
    if is_holding(ctx):
        raise failure("tracking", f"the gripper did not let go of the {held.label}", **readings(state))
    ctx.robot.sleep(config.wait_s)
    try:
        up = ctx.kinematics.plan_linear(
            ctx.arm_pos(),
            [raised(ctx.ee_pose(), config.retreat_m)],
            gripper_width_m=ctx.opening_m(),
            speed_m_s=min(config.speed_m_s, ctx.config.lift_speed_m_s),
        )
    except MotionError:
        return  # it may stay where it is: nothing is under it
    follow(ctx, up, "retreating")


def _lying(ctx: SkillContext) -> tuple[SeenObject, ...]:
    """Return what is seen on the table."""
    _, objects = see_scene(ctx)
    return tuple(o for o in objects if o.box.bottom_z_m < ctx.config.support_z_m + 0.03)


def _lying_beside(ctx: SkillContext, config: HandOverConfig) -> tuple[SeenObject, ...]:
    """Return what lies on the table, but not under the hand: what hangs there may seem to lie there."""
    hand_m = ctx.ee_pose().position_m[:2]
    return tuple(
        o for o in _lying(ctx) if float(np.linalg.norm(o.box.center_m[:2] - hand_m)) > config.below_m
    )


def _require_not_dropped(
    ctx: SkillContext,
    held: HeldObject,
    out_m: FloatArray,
    before: tuple[SeenObject, ...],
    config: HandOverConfig,
) -> None:
    """Look whether it lies on the table under the hand, where nothing lay before.

    Raises:
        Failed: `dropped`.
    """
    size = np.array([max(held.size_m[:2]), min(held.size_m[:2]), held.size_m[2]])
    low = tuple(o for o in _lying(ctx) if not any(_is_at(o, b, config.still_m) for b in before))
    for extents in (size, np.sort(size)[::-1]):  # upright, and toppled
        seen = find_again(low, out_m, near_m=config.dropped_m, size_m=extents, color=color_in(held.label))
        if seen is not None:
            raise failure(
                "dropped",
                f"the {held.label} was let go and is seen on the table; nobody took it",
                position_m=[round(float(v), 4) for v in seen.box.center_m],
            )


def _is_at(a: SeenObject, b: SeenObject, near_m: float) -> bool:
    return float(np.linalg.norm(a.box.center_m[:2] - b.box.center_m[:2])) < near_m


def _triple(p: FloatArray) -> tuple[float, float, float]:
    x, y, z = (round(float(v), 4) for v in p)
    return x, y, z
