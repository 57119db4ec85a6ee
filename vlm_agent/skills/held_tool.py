"""What the skills of a tool in the hand share: the tool, its policies, and following what it picks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from perception_tools.boxes import Box3D
from perception_tools.camera import RgbdFrame
from perception_tools.errors import BadArguments, Infrastructure
from perception_tools.geometry import FloatArray
from policies.held_tool import ToolReading, ToolSensor
from policies.robot import RobotStopped
from policies.tool_use import ObjectEstimate, ToolUse, ToolUseConfig, load_tool_policy
from vlm_agent.skills.context import SkillContext
from vlm_agent.skills.failures import failure
from vlm_agent.skills.motion import require_ready

SQUARE = 1.25
"""Up to this ratio of its sides a footprint may be held across either."""
LONG = 1.4
"""From this ratio of its sides on a thing is long: maybe an egg, or held near its end."""
_MIN_PIXELS = 12
_LIFTED_M = 0.01
_MISSES = 10  # readings in a row


@dataclass(frozen=True)
class ToolSkillConfig:
    """Settings of `pick_with_tool` and `set_tool_opening`, under `tool_use`.

    Attributes:
        pick_policy: Weights that ship (a folder of `policies/weights`), or a folder, for picking.
        opening_policy: The same for opening.
        use: What its actions mean.
        seconds: Longest time that a policy acts [s].
        hold_s: The outcome must be sensed for this long without a break [s].
        lift_m: How high the thing is carried above where it lay [m].
        reach_m: Distance from there that counts as there [m].
        clearance_m: The tips must open wider than the thing by this [m].
        closed_m: Tips nearer than this hold nothing [m].
        near_m: Distance of a thing's middle from the middle of the tips at which it is between them [m].
        slack_m: Tips that are farther apart than its width by more than this do not touch it [m].
        long_slack_m: The same for what is long, which may be held askew [m].
        give_m: Tips that hold it are nearer than its width by less than this [m].
        narrow_share: Where a thing may be narrower than its box (`may_be_narrower`), tips that hold it are
            apart by more than this share of its width.
        max_yaw_rad: Largest angle to world x that the policy turns the tips by [rad]; things that are turned
            more are held across a corner.
        lost_m: A tool that has moved farther than this in the hand is lost [m].
        tolerance_m: Error of an opening that counts as reached [m].
    """

    pick_policy: str = "tweezer_pick_whole"
    opening_policy: str = "tweezer_hand"
    use: ToolUseConfig = field(default_factory=ToolUseConfig)
    seconds: float = 4.5
    hold_s: float = 0.8
    lift_m: float = 0.09
    reach_m: float = 0.02
    clearance_m: float = 0.003
    closed_m: float = 0.001
    near_m: float = 0.009
    slack_m: float = 0.002
    long_slack_m: float = 0.0045
    give_m: float = 0.0035
    narrow_share: float = 0.55
    max_yaw_rad: float = 0.6
    lost_m: float = 0.05
    tolerance_m: float = 0.0015


def require_tool(ctx: SkillContext, name: str | None = None) -> ToolSensor:
    """Return the tool in the hand.

    Raises:
        ToolError: The hand holds none, or another one.
    """
    tool = ctx.held_tool
    if tool is None:
        raise failure("refused", f"robot {ctx.robot.name!r} has no tool in its hand")
    if name is not None and name.lower().strip() not in (tool.name, tool.name.rstrip("s")):
        raise BadArguments(f"the hand holds no {name!r}; tool: {tool.name}")
    return tool


def start(ctx: SkillContext, policy_name: str, config: ToolUseConfig) -> ToolUse:
    """Return a policy, ready to act on the robot.

    Raises:
        Infrastructure: onnxruntime is not installed.
        ValueError: There is no such policy, or it is for another robot.
    """
    try:
        policy = load_tool_policy(policy_name)
    except ModuleNotFoundError as error:
        raise Infrastructure(
            "learned skills need onnxruntime: pip install 'habilis[train]'", reason="not_installed"
        ) from error
    return ToolUse(ctx.robot, ctx.kinematics, require_tool(ctx), policy, config)


def act(
    ctx: SkillContext, use: ToolUse, goal: FloatArray, thing: ObjectEstimate | None, lost_m: float
) -> ToolReading:
    """Let the policy act for one control step.

    Raises:
        ToolError: `cancelled` or `stopped`: the robot comes to rest at its last setpoint; `dropped`: the
            tool itself has slipped out of the hand.
    """
    require_ready(ctx)
    try:
        reading = use.step(goal, thing)
    except RobotStopped as error:
        raise failure("stopped", "the robot was stopped") from error
    if use.slipped_m(reading) > lost_m:
        raise failure("dropped", f"the {use.sensor.name} slipped out of the hand; put them back by hand")
    return reading


# ---- the thing ------------------------------------------------------------------------------------


def estimate_of(box: Box3D, tip_axis: FloatArray) -> ObjectEstimate:
    """Return where a thing is, and how it is turned, from its box.

    The tips close across the short side; of a footprint that is about square, across the side that needs
    the hand to turn less. `yaw_rad` is the direction of that side, within a quarter turn of the tips' axis.

    Args:
        box: Of the thing.
        tip_axis: Along which the tips part now, in world, (3,).
    """
    long_m, short_m, height_m = (float(v) for v in box.size_m)
    now = float(np.arctan2(tip_axis[1], tip_axis[0]))
    sides = [(box.yaw_rad + np.pi / 2, short_m)]
    if long_m < SQUARE * short_m:
        sides.append((box.yaw_rad, long_m))
    turns = [(_half_turn(yaw - now), width) for yaw, width in sides]
    turn, width_m = min(turns, key=lambda t: abs(t[0]))
    yaw = _half_turn(now + turn)
    return ObjectEstimate(np.array(box.center_m, dtype=np.float64), yaw, width_m, height_m / 2)


def may_be_narrower(box: Box3D, shape: str) -> bool:
    """Return whether tips may hold a thing where it is narrower than its box: a ball, or what is long."""
    return shape == "sphere" or float(box.size_m[0]) > LONG * float(box.size_m[1])


def _half_turn(angle_rad: float) -> float:
    """Return an angle modulo a half turn, in [-pi/2, pi/2) [rad]."""
    return float(np.mod(angle_rad + np.pi / 2, np.pi) - np.pi / 2)


class Follower:
    """Where the thing is thought to be: where it was seen, and while the tips are closed on it, with them.

    The tips have closed on it where it is between them and they are about as far apart as it is wide; a thing
    that they squeeze past, or that slips out, keeps them apart no more. Nothing looks at it meanwhile: hand
    and tool hide it.

    Args:
        thing: Where it was seen.
        config: What counts.
        is_narrower: Whether it may be narrower than its width where it is held.
    """

    def __init__(self, thing: ObjectEstimate, config: ToolSkillConfig, is_narrower: bool = False) -> None:
        """See the class."""
        self.thing, self._seen, self._config, self._is_narrower = thing, thing, config, is_narrower
        self._slack_m = config.long_slack_m if is_narrower else config.slack_m
        self._offset: FloatArray | None = None
        self._lay = thing.p_world
        self._misses = 0

    @property
    def has_missed(self) -> bool:
        """Whether the tips have closed where the thing was thought to be, and hold nothing."""
        return self._misses >= _MISSES

    @property
    def is_held(self) -> bool:
        """Whether the tips are thought to hold it."""
        return self._offset is not None

    def update(self, reading: ToolReading) -> ObjectEstimate:
        """Take a new reading; return where the thing is now."""
        rotation = reading.T_world_tool.rotation
        is_empty = self._offset is None and self._is_near(reading) and reading.opening_m < self._least_m()
        self._misses = self._misses + 1 if is_empty else 0
        if self._offset is None and self._is_around(reading):
            self._offset = rotation.T @ (self.thing.p_world - reading.p_tip)
            self._lay = self.thing.p_world
        elif self._offset is not None and not self._fits(reading, 2 * self._slack_m):
            self._offset = None
            self.thing = replace(self.thing, p_world=self._fallen())
        if self._offset is not None:
            self.thing = replace(self.thing, p_world=reading.p_tip + rotation @ self._offset)
        return self.thing

    def _is_around(self, reading: ToolReading) -> bool:
        """Return whether the thing is between the tips, which touch it."""
        return self._is_near(reading) and self._fits(reading, self._slack_m)

    def _is_near(self, reading: ToolReading) -> bool:
        """Return whether the thing is between the tips."""
        gap = self.thing.p_world - reading.p_tip
        side, along = gap @ reading.T_world_tool.rotation[:, :2]
        below = -gap[2]
        is_near = abs(side) < self._config.near_m and abs(along) < 0.5 * self._seen.width_m + 0.002
        is_deep = abs(below) < self._seen.half_height_m + self._config.near_m
        return bool(is_near and is_deep)

    def _fallen(self) -> FloatArray:
        """Return where the thing is that the tips lost: below them, or where it lay if not lifted."""
        if self.thing.p_world[2] - self._lay[2] < _LIFTED_M:
            return self._lay
        return np.array([*self.thing.p_world[:2], self._seen.half_height_m])

    def _fits(self, reading: ToolReading, slack_m: float) -> bool:
        """Return whether the tips are as far apart as the thing keeps them."""
        return self._least_m() < reading.opening_m < self._seen.width_m + slack_m

    def _least_m(self) -> float:
        """Return the opening below which the tips do not hold it [m]."""
        c, width_m = self._config, self._seen.width_m
        return max(c.closed_m, c.narrow_share * width_m if self._is_narrower else width_m - c.give_m)


def still_lies(box: Box3D, frame: RgbdFrame, support_z_m: float) -> bool | None:
    """Return whether something is still seen in a box that stands on the support; None if that is hidden.

    Args:
        box: Where it lay.
        frame: Newer picture with depth.
        support_z_m: Height of what it lay on [m].
    """
    points = frame.points_world().reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    inside = np.linalg.norm(points[:, :2] - box.center_m[:2], axis=1) < 0.5 * float(box.size_m[1])
    seen = points[inside & (points[:, 2] < support_z_m + 2 * box.size_m[2])]
    if len(seen) < _MIN_PIXELS:
        return None
    return bool(np.mean(seen[:, 2] > support_z_m + 0.5 * box.size_m[2]) > 0.5)
