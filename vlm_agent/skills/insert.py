"""Insert: put what is held into the hole of an object; where it does not go in, feel for the hole.

The hole is measured in the picture, the object in the hand is lowered until it is felt. Felt too
early it stands on the rim: it is raised a little, shifted along a spiral and lowered again (blind
search for a hole: Chhatpar and Branicky, "Search strategies for peg-in-hole assemblies with position
uncertainty", IROS 2001).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field
from scipy.spatial.transform import Rotation

from perception_tools.boxes import Box3D
from perception_tools.errors import Negative
from perception_tools.geometry import FloatArray, Transform
from perception_tools.holes import Hole, find_hole
from perception_tools.tool import BoxName, tool
from perception_tools.views import settings_of
from policies.motion import MotionError, Obstacles
from policies.robot import JointTrajectory
from vlm_agent.skills.carrying import carry, lost
from vlm_agent.skills.context import HeldObject, SkillContext
from vlm_agent.skills.failures import failure, finite, planning
from vlm_agent.skills.gripper import is_holding, readings, require_holding
from vlm_agent.skills.motion import changing, follow, lift_away, moved, plan_transit, raised, require_ready
from vlm_agent.skills.place import let_go, try_home
from vlm_agent.skills.scene import capture, observe, obstacles, visible_points
from vlm_agent.skills.seeing import locate


@dataclass(frozen=True)
class InsertConfig:
    """Settings of `insert`.

    Attributes:
        above_m: Height above the hole from which the object is lowered straight [m].
        speed_m_s: Speed of the hand while lowering [m/s].
        force_n: Force above rest that ends lowering [N].
        bottom_m: The object is not lowered farther than this above the bottom of what has the hole [m].
        in_m: What was lowered this far below the rim is in the hole [m].
        min_depth_m: What ends less deep than this was not inserted [m].
        step_m: Distance between neighbouring tries of the search [m].
        search_m: Largest distance of a try from where the hole is seen [m].
        clear_m: Height above the rim to which the object is raised between tries [m].
        slack_m: How much wider than the hole an object may be measured and still be tried [m].
        open_m: Opening beyond the held width when releasing [m].
        beside_m: Distance from the hole beyond which what is seen is not in it [m].
    """

    above_m: float = 0.03
    speed_m_s: float = 0.02
    force_n: float = 8.0
    bottom_m: float = 0.004
    in_m: float = 0.007
    min_depth_m: float = 0.012
    step_m: float = 0.0016
    search_m: float = 0.0055
    clear_m: float = 0.004
    slack_m: float = 0.003
    open_m: float = 0.016
    beside_m: float = 0.012


class Inserted(BaseModel):
    """Sensed outcome of an insertion, or the plan of a dry run."""

    label: str = Field(description="what was inserted")
    into: str = Field(description="what it was inserted into")
    hole_width_m: float = Field(description="seen side or diameter of the hole [m]")
    hole_is_round: bool = Field(description="the hole is seen to be round; else it is square")
    depth_m: float | None = Field(description="seen depth of its lower end below the rim [m]")
    offset_m: float | None = Field(description="seen distance of its axis from the middle of the hole [m]")
    tries: int = Field(description="how often it was lowered; more than one: the hole was felt for")
    peak_force_n: float | None = Field(description="largest sensed external force [N]")
    homed: bool = Field(description="the arm went back home")
    dry_run: bool = Field(description="only planned, nothing moved")
    motion_s: float = Field(description="planned motion up to the first contact [s]")


@dataclass(frozen=True, eq=False)
class InsertPlan:
    """Motions up to the first try.

    Attributes:
        T_world_ee: Pose of the hand with the object's lower end at the rim, in the middle of the hole.
        transit: From where the arm is to above the hole.
        depth_m: How far to lower it below the rim [m].
    """

    T_world_ee: Transform
    transit: JointTrajectory
    depth_m: float


@tool(moves_robot=True, timeout_s=300.0)
def insert(ctx: SkillContext, into: BoxName, dry_run: bool = False) -> Inserted:
    """Put what is held upright into the hole of an object, feeling for the hole if it does not go in at once.

    Args:
        into: Box of the object with the hole in its top; if the robot has moved since, it is looked for
            where it was.
        dry_run: Only plan and report, move nothing.
    """
    require_ready(ctx)
    config = settings_of(ctx, "insert", InsertConfig)
    artifact = ctx.workspace.get(into, "box")
    held = require_holding(ctx)
    target = locate(ctx, artifact, may_move=not dry_run)
    hole = find_hole(target.view, target.box, target.label)
    _require_fit(held, hole, target.label, config)
    plan = plan_insert(ctx, held, hole, target.box, config, observe(ctx))
    duration_s = plan.transit.duration_s + (config.above_m + plan.depth_m) / config.speed_m_s
    report = {
        "label": held.label,
        "into": target.label,
        "hole_width_m": round(hole.width_m, 4),
        "hole_is_round": bool(hole.is_round),
        "motion_s": round(duration_s, 2),
    }
    if dry_run:
        return Inserted(
            **report,  # pyright: ignore[reportArgumentType]
            depth_m=None,
            offset_m=None,
            tries=0,
            peak_force_n=None,
            homed=False,
            dry_run=True,
        )
    with changing(ctx, f"insertion of the {held.label}"):
        carry(ctx, plan.transit, held, f"carrying the {held.label}")
        tries, peak_n = _feel_in(ctx, plan, held, target.label, config)
        _release(ctx, held, config)
    homed = try_home(ctx)
    depth_m, offset_m = _look(ctx, held, hole, target.box, target.label, config)
    return Inserted(
        **report,  # pyright: ignore[reportArgumentType]
        depth_m=round(depth_m, 4),
        offset_m=round(offset_m, 4),
        tries=tries,
        peak_force_n=finite(peak_n),
        homed=homed,
        dry_run=False,
    )


def _require_fit(held: HeldObject, hole: Hole, label: str, config: InsertConfig) -> None:
    wide_m = max(held.size_m[0], held.size_m[1])
    if wide_m > hole.width_m + config.slack_m:
        raise Negative(
            f"the {held.label} is {wide_m:.3f} m wide, the hole of the {label} {hole.width_m:.3f} m: "
            "it does not fit",
            reason="no_hole",
            evidence={"hole_width_m": finite(hole.width_m, 4), "held_width_m": finite(wide_m, 4)},
        )


# ---- planning -----------------------------------------------------------------------------------


def plan_insert(
    ctx: SkillContext,
    held: HeldObject,
    hole: Hole,
    box: Box3D,
    config: InsertConfig,
    points: FloatArray,
) -> InsertPlan:
    """Plan the way to above the hole, turned so that a square object fits a square hole.

    Raises:
        ToolError: `unreachable`, `in_collision` or `no_path`, of the first try.
    """
    depth_m = max(config.min_depth_m, float(hole.center_m[2] - box.bottom_z_m) - config.bottom_m)
    around = points[~box.contains(points, 0.012)]
    first_error: MotionError | None = None
    for T_world_ee in insert_poses(held, hole):
        try:
            return _plan_to(ctx, T_world_ee, held, depth_m, config, points, around)
        except MotionError as error:
            first_error = first_error or error
    assert first_error is not None
    with planning(f"insertion of the {held.label}"):
        raise first_error


def insert_poses(held: HeldObject, hole: Hole) -> Iterator[Transform]:
    """Yield poses of the hand that hold the object upright over the hole, its lower end at the rim.

    Fingers align with flat sides, so an object held across its sides has the hand's heading; over a
    square hole the hand takes the heading of the hole, the nearest of its four first.
    """
    T_world_object = held.T_world_ee @ held.T_ee_object
    heading = Rotation.from_matrix(T_world_object.rotation)
    hand_yaw = float(np.arctan2(held.T_world_ee.rotation[1, 1], held.T_world_ee.rotation[0, 1]))
    first = (
        0.0 if hole.is_round else float(np.mod(hole.yaw_rad - hand_yaw + np.pi / 4, np.pi / 2) - np.pi / 4)
    )
    bottom = hole.center_m + np.array([0.0, 0.0, held.sag_m])
    turns = np.deg2rad([0, 45, -45, 90, -90, 135, -135, 180] if hole.is_round else [0, 90, -90, 180])
    for turn in sorted(turns, key=abs):
        rotation = (Rotation.from_euler("z", first + float(turn)) * heading).as_matrix()
        pose = Transform.from_parts(bottom, rotation, parent="world", child="object")
        yield pose @ held.T_ee_object.inverse()


def _plan_to(
    ctx: SkillContext,
    T_world_ee: Transform,
    held: HeldObject,
    depth_m: float,
    config: InsertConfig,
    points: FloatArray,
    around: FloatArray,
) -> InsertPlan:
    cfg = ctx.config
    near, far = (obstacles(ctx, p, cfg.near_margin_m, held=h) for p, h in ((around, None), (points, held)))
    down = ctx.kinematics.inverse(
        raised(T_world_ee, -depth_m), ctx.kinematics.home, obstacles=near, gripper_width_m=held.width_m
    )
    above = ctx.kinematics.inverse(
        raised(T_world_ee, config.above_m), down, obstacles=far, gripper_width_m=held.width_m
    )
    _line(ctx, above, raised(T_world_ee, -depth_m), near, held, config)
    transit = plan_transit(ctx, ctx.arm_pos(), above, points, held=held, width_m=held.width_m)
    return InsertPlan(T_world_ee, transit, depth_m)


def _line(
    ctx: SkillContext,
    start: FloatArray,
    T_world_ee: Transform,
    within: Obstacles | None,
    held: HeldObject,
    config: InsertConfig,
) -> JointTrajectory:
    return ctx.kinematics.plan_linear(
        start, [T_world_ee], obstacles=within, gripper_width_m=held.width_m, speed_m_s=config.speed_m_s
    )


# ---- acting -------------------------------------------------------------------------------------


def _feel_in(
    ctx: SkillContext, plan: InsertPlan, held: HeldObject, into: str, config: InsertConfig
) -> tuple[int, float]:
    """Lower until it is in, on a spiral of tries; return their number and the peak force [N].

    Raises:
        Failed: `jammed`: nowhere did it go in; it is held, above the hole. `dropped`.
    """
    peak_n, tries = float("nan"), 0
    for offset in spiral(config.step_m, config.search_m):
        tries += 1
        depth_m, force_n = _lower(ctx, plan, np.array([*offset, 0.0]), held, config)
        peak_n = float(np.fmax(peak_n, force_n))
        if not is_holding(ctx):
            raise lost(ctx, held)
        if depth_m > config.in_m:
            return tries, peak_n
        require_ready(ctx)
    lift_away(ctx, config.above_m, "backing up")
    raise failure(
        "jammed",
        f"the {held.label} did not go into the {into}: felt the rim {tries} times; it is still held",
        tries=tries,
        peak_force_n=finite(peak_n),
    )


def spiral(step_m: float, radius_m: float) -> Iterator[FloatArray]:
    """Yield offsets [m], (2,), from the middle outwards, neighbours about a step apart."""
    yield np.zeros(2)
    for ring in range(1, int(radius_m / step_m) + 1):
        count = 6 * ring
        for k in range(count):
            angle = 2 * np.pi * k / count
            yield ring * step_m * np.array([np.cos(angle), np.sin(angle)])


def _lower(
    ctx: SkillContext, plan: InsertPlan, offset_m: FloatArray, held: HeldObject, config: InsertConfig
) -> tuple[float, float]:
    """Lower at an offset from the hole's middle; return the sensed depth [m] and the peak force [N]."""
    what = f"lowering the {held.label}"
    T_rim = moved(plan.T_world_ee, offset_m)
    if float(ctx.ee_pose().position_m[2] - T_rim.position_m[2]) < config.above_m / 2:  # it was felt before
        up = _line(ctx, ctx.arm_pos(), _over(ctx.ee_pose(), T_rim, config.clear_m), None, held, config)
        follow(ctx, up, "feeling for the hole")
        aside = _line(ctx, ctx.arm_pos(), raised(T_rim, config.clear_m), None, held, config)
        follow(ctx, aside, "feeling for the hole")
    down = _line(ctx, ctx.arm_pos(), raised(T_rim, -plan.depth_m), None, held, config)
    result = follow(ctx, down, what, force_n=config.force_n, contact_ok=True)
    depth_m = float(T_rim.position_m[2] - ctx.ee_pose().position_m[2])
    return depth_m, result.peak_force_n


def _over(T_here: Transform, T_rim: Transform, clear_m: float) -> Transform:
    """Return where the hand is, straight up to a height above the rim."""
    return raised(T_here, float(T_rim.position_m[2] + clear_m - T_here.position_m[2]))


def _release(ctx: SkillContext, held: HeldObject, config: InsertConfig) -> None:
    state = let_go(ctx, held, held.width_m + config.open_m)
    if is_holding(ctx):
        raise failure("tracking", f"the gripper did not let go of the {held.label}", **readings(state))
    lift_away(ctx, ctx.config.retreat_m, "retreating")


# ---- looking ------------------------------------------------------------------------------------


def _look(
    ctx: SkillContext, held: HeldObject, hole: Hole, box: Box3D, into: str, config: InsertConfig
) -> tuple[float, float]:
    """Look where it is now; return its depth in the hole and its distance from the middle [m].

    Raises:
        Failed: `misplaced`: it is not seen in the hole.
    """
    cfg = ctx.config
    frame = capture(ctx, cfg.scene_camera)
    points = visible_points(ctx, frame, min_height_m=cfg.min_height_m, voxel_m=cfg.voxel_m / 2)
    radius_m = 0.5 * float(np.hypot(held.size_m[0], held.size_m[1])) + config.beside_m
    near = np.linalg.norm(points[:, :2] - hole.center_m[:2], axis=1) < radius_m
    stands_out = points[near & (points[:, 2] > box.top_z_m + 0.006)]
    if len(stands_out) < 5:
        if held.size_m[2] > float(hole.center_m[2] - box.bottom_z_m) + 0.01:
            raise failure(
                "misplaced", f"the {held.label} was let go but is not seen in the {into}; look for it"
            )
        return float(hole.center_m[2] - box.bottom_z_m), 0.0
    top_m = float(np.quantile(stands_out[:, 2], 0.9))
    depth_m = held.size_m[2] - (top_m - float(hole.center_m[2]))
    top = stands_out[stands_out[:, 2] > top_m - 0.006]
    low, high = top[:, :2].min(axis=0), top[:, :2].max(axis=0)
    offset_m = float(np.linalg.norm((low + high) / 2 - hole.center_m[:2]))
    if depth_m < config.min_depth_m or offset_m > config.beside_m:
        raise failure(
            "misplaced",
            f"the {held.label} was let go but is seen only {depth_m * 1e3:.0f} mm in the hole of the {into}, "
            f"{offset_m * 1e3:.0f} mm from its middle",
            depth_m=finite(depth_m, 4),
            offset_m=finite(offset_m, 4),
        )
    return depth_m, offset_m
