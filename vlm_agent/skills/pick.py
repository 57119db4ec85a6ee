"""Pick: approach a grasp, close, lift; what is held is sensed twice and looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.artifacts import Artifact
from perception_tools.boxes import Box3D
from perception_tools.errors import BadArguments, ToolError
from perception_tools.geometry import FloatArray, Transform
from perception_tools.grasp import GraspSet
from perception_tools.tool import GraspName, tool
from policies.motion import MotionError
from policies.robot import JointTrajectory, MotionOutcome
from vlm_agent.skills.context import HeldObject, SkillContext
from vlm_agent.skills.failures import failure, finite, fresh, planning
from vlm_agent.skills.gripper import (
    gripper_range,
    gripper_state,
    is_holding,
    readings,
    require_empty,
    set_width,
)
from vlm_agent.skills.motion import (
    changing,
    follow,
    follow_until_contact,
    lift_away,
    moved,
    plan_approach,
    plan_transit,
    raised,
    require_ready,
)
from vlm_agent.skills.scene import capture, observe, obstacles, sag, still_there, thin, without_target

RAISES_M = (0.0, 0.004, 0.008)
STILL_THERE = 0.6
LEAST_SAG_M = 0.006


class Picked(BaseModel):
    """Sensed outcome of a pick, or the plan of a dry run."""

    held: bool = Field(description="sensed: width and force say that it is held, after lifting")
    label: str = Field(description="what it is called")
    width_m: float | None = Field(description="sensed opening [m]; the planned one in a dry run")
    force_n: float | None = Field(description="sensed clamping force [N]")
    lifted_m: float | None = Field(description="sensed height it was lifted by [m]")
    dry_run: bool = Field(description="only planned, nothing moved")
    motion_s: float = Field(description="planned motion up to the grasp [s]")


@dataclass(frozen=True, eq=False)
class PickPlan:
    """Motions of a pick up to the grasp, checked against everything seen.

    Attributes:
        T_world_ee: Pose of the hand when it closes.
        width_m: Opening when approaching [m].
        transit: From where the arm is to before the object.
        approach: From there straight to the grasp.
    """

    T_world_ee: Transform
    width_m: float
    transit: JointTrajectory
    approach: tuple[JointTrajectory, ...]

    @property
    def motion_s(self) -> float:
        """Duration of all motions [s]."""
        return self.transit.duration_s + sum(part.duration_s for part in self.approach)


@tool(moves_robot=True, timeout_s=180.0)
def pick(
    ctx: SkillContext,
    grasp: GraspName,
    index: Annotated[int, Field(ge=0)] = 0,
    dry_run: bool = False,
) -> Picked:
    """Grasp an object and lift it straight up; it is held afterwards, above where it stood.

    Args:
        grasp: Grasp candidates of the object, from the grasp tool, newer than the last motion.
        index: Which candidate, 0 is the best.
        dry_run: Only plan and report, move nothing.
    """
    require_ready(ctx)
    artifact = fresh(ctx.workspace, grasp, "grasp")
    grasps: GraspSet = artifact.data
    if index >= len(grasps):
        raise BadArguments(f"{grasp} has {len(grasps)} candidates; index must be below that")
    require_empty(ctx)
    label = grasps.label or artifact.label or "object"
    points = observe(ctx)
    around = without_target(points, grasps.points, grasps.box)
    openings_m = (float(grasps.open_m[index]), float(grasps.open_m[index] + grasps.width_m[index]) / 2)
    T_world_ee = Transform(grasps.T_world_ee[index], "world", "ee")
    plan = plan_pick(ctx, T_world_ee, openings_m, points, around)
    motion_s = round(plan.motion_s, 2)
    if dry_run:
        return Picked(
            held=False,
            label=label,
            width_m=round(plan.width_m, 4),
            force_n=None,
            lifted_m=None,
            dry_run=True,
            motion_s=motion_s,
        )
    ctx.memory.last_grasp = (grasp, index)
    set_width(ctx, plan.width_m)
    follow(ctx, plan.transit, f"moving to the {label}")
    with changing(ctx, f"pick of the {label}"):
        lifted_m = _grasp_and_lift(ctx, plan, label, grasps.box)
    ctx.memory.obstacles = without_target(ctx.memory.obstacles, grasps.points, grasps.box)
    _look_again(ctx, artifact, label)
    state = gripper_state(ctx)
    return Picked(
        held=True,
        label=label,
        width_m=round(state.width_m, 4),
        force_n=round(state.force_n, 2),
        lifted_m=round(lifted_m, 3),
        dry_run=False,
        motion_s=motion_s,
    )


# ---- planning -----------------------------------------------------------------------------------


def plan_pick(
    ctx: SkillContext,
    T_world_ee: Transform,
    openings_m: Sequence[float],
    points: FloatArray,
    around: FloatArray,
) -> PickPlan:
    """Plan a pick: the grasp or the same turned by 180 degrees, raised a little if it would touch.

    Args:
        ctx: Context.
        T_world_ee: Grasp.
        openings_m: Openings to approach with [m], in order of preference.
        points: All observed points in world [m], shape (N, 3).
        around: Those that do not belong to the object [m], shape (M, 3).

    Raises:
        ToolError: `unreachable`, `in_collision` or `no_path`, of the first try.
    """
    first_error: MotionError | None = None
    for opening_m in openings_m:
        for raise_m in RAISES_M:
            tries = _reachable(ctx, raised(T_world_ee, raise_m), opening_m, around)
            for T_try, solution in tries:
                if isinstance(solution, MotionError):
                    first_error = first_error or solution
                    continue
                try:
                    return _plan_to(ctx, T_try, solution, opening_m, points, around)
                except MotionError as error:
                    first_error = first_error or error
            if all(isinstance(s, MotionError) and s.reason == "unreachable" for _, s in tries):
                break
    assert first_error is not None
    with planning("pick", "try another candidate"):
        raise first_error


def _reachable(
    ctx: SkillContext, T_world_ee: Transform, opening_m: float, around: FloatArray
) -> list[tuple[Transform, FloatArray | MotionError]]:
    """Solve for the grasp and the one turned by 180 degrees; the one nearer to home comes first."""
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    home = ctx.kinematics.home
    solutions: list[tuple[Transform, FloatArray | MotionError]] = []
    for matrix in (T_world_ee.matrix, T_world_ee.matrix @ turn):
        T_try = Transform(matrix, "world", "ee")
        try:
            solution = ctx.kinematics.inverse(
                T_try,
                home,
                obstacles=obstacles(ctx, around, ctx.config.near_margin_m),
                gripper_width_m=opening_m,
            )
        except MotionError as error:
            solutions.append((T_try, error))
        else:
            solutions.append((T_try, solution))
    return sorted(
        solutions, key=lambda s: np.inf if isinstance(s[1], MotionError) else np.abs(s[1] - home).max()
    )


def _plan_to(
    ctx: SkillContext,
    T_world_ee: Transform,
    joint_pos: FloatArray,
    opening_m: float,
    points: FloatArray,
    around: FloatArray,
) -> PickPlan:
    cfg = ctx.config
    before = moved(T_world_ee, -cfg.approach_m * T_world_ee.rotation[:, 2])
    start = ctx.kinematics.inverse(
        before,
        joint_pos,
        obstacles=obstacles(ctx, points, cfg.near_margin_m),
        gripper_width_m=opening_m,
    )
    approach = plan_approach(ctx, start, T_world_ee, obstacles(ctx, around, cfg.near_margin_m), opening_m)
    transit = plan_transit(ctx, ctx.arm_pos(), start, points, width_m=opening_m)
    return PickPlan(T_world_ee, opening_m, transit, approach)


# ---- acting -------------------------------------------------------------------------------------


def _grasp_and_lift(ctx: SkillContext, plan: PickPlan, label: str, box: Box3D) -> float:
    """Approach, close and lift; return the sensed lift [m]. Leaves an empty hand open and clear."""
    result = follow_until_contact(ctx, plan.approach, f"approaching the {label}")
    left_m = float(np.linalg.norm(ctx.ee_pose().position_m - plan.T_world_ee.position_m))
    if result.outcome is MotionOutcome.CONTACT and left_m > ctx.config.approach_slack_m:
        raise _recover(
            ctx,
            plan.width_m,
            failure(
                "contact",
                f"touched something {left_m * 1e3:.0f} mm before the grasp; try another candidate",
                peak_force_n=finite(result.peak_force_n),
                left_m=finite(left_m, 3),
            ),
        )
    set_width(ctx, gripper_range(ctx)[0], ctx.config.grasp_force_n)
    if not is_holding(ctx):
        sensed = readings(gripper_state(ctx))
        message = f"the fingers closed on nothing at the {label}; look again or try another candidate"
        raise _recover(ctx, plan.width_m, failure("missed", message, **sensed))
    ctx.memory.held = held_object(ctx, label, box)
    lifted_m = lift_away(ctx, ctx.config.lift_m, f"lifting the {label}")
    ctx.robot.sleep(ctx.config.settle_s)
    if not is_holding(ctx):
        sensed = readings(gripper_state(ctx))
        message = f"the {label} slipped out while lifting; look again"
        raise _recover(ctx, plan.width_m, failure("slipped", message, **sensed))
    return lifted_m


def _recover(ctx: SkillContext, opening_m: float, error: ToolError) -> ToolError:
    """Let go as wide as there was room for, and back up; return the error to raise."""
    set_width(ctx, opening_m)
    lift_away(ctx, ctx.config.approach_m, "backing up")
    set_width(ctx, gripper_range(ctx)[1])
    return error


def held_object(ctx: SkillContext, label: str, box: Box3D) -> HeldObject:
    """Describe what was just grasped, from its box before and the hand's pose now.

    Closing fingers centre between them what they grasp around its middle: then the box's offset
    along the finger axis is perception's error, and is dropped.
    """
    T_world_ee = ctx.ee_pose()
    width_m = gripper_state(ctx).width_m
    origin = np.array([*box.center_m[:2], box.bottom_z_m])
    finger_axis = T_world_ee.rotation[:, 1]
    offset_m = float((box.center_m - T_world_ee.position_m) @ finger_axis)
    if abs(finger_axis[2]) < 0.5 and abs(offset_m) < min(0.015, box.half_extent_along(finger_axis)):
        origin -= offset_m * np.array([finger_axis[0], finger_axis[1], 0.0])
    T_world_object = Transform.from_parts(origin, box.pose.rotation, parent="world", child="object")
    size = (float(box.size_m[0]), float(box.size_m[1]), float(box.size_m[2]))
    return HeldObject(label, T_world_ee.inverse() @ T_world_object, size, T_world_ee, width_m, ctx.clock())


def _look_again(ctx: SkillContext, artifact: Artifact, label: str) -> None:
    """Look where the object stood (still seen there: something else is held), and how it hangs."""
    frame = capture(ctx, ctx.config.scene_camera)
    points = thin(np.asarray(artifact.data.points), ctx.config.voxel_m)
    fraction = still_there(points, frame)
    if fraction is not None and fraction > STILL_THERE:
        raise failure(
            "missed",
            f"something is held, but the {label} is still seen where it stood; put down what is held",
            seen_fraction=finite(fraction),
            **readings(gripper_state(ctx)),
        )
    if ctx.memory.held is not None:
        sag_m = sag(ctx, frame, ctx.memory.held)
        ctx.memory.held = replace(ctx.memory.held, sag_m=sag_m if sag_m > LEAST_SAG_M else 0.0)
