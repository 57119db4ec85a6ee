"""A small kinematic world for tests of skills: a gantry with a gripper, boxes on a table, two cameras.

Joints follow exactly, contact is a spring, a grasp is geometric. `faults` make it misbehave in
chosen ways. Nothing here is shared with the simulator.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from perception_tools.boxes import Box3D
from perception_tools.camera import RgbdFrame
from perception_tools.geometry import Intrinsics, Transform, look_at
from perception_tools.grasp import GraspSet
from policies.motion import MotionError, Obstacles
from policies.robot import (
    GripperState,
    JointCommand,
    JointLimits,
    JointTrajectory,
    RobotState,
    RobotStopped,
    check_command,
)
from policies.safe_robot import SafeRobot
from policies.safety import SafetyFilter
from vlm_agent.skills.context import SkillConfig, SkillContext

LIMITS = JointLimits(
    joint_names=("x", "y", "z", "yaw"),
    lower=np.array([-0.2, -0.6, 0.0, -3.2]),
    upper=np.array([0.9, 0.6, 0.6, 3.2]),
    velocity=np.array([1.0, 1.0, 1.0, 3.0]),
    acceleration=np.array([5.0, 5.0, 5.0, 15.0]),
    jerk=np.full(4, 500.0),
    effort=np.full(4, 100.0),
)
HOME = np.array([-0.1, 0.0, 0.4, 0.0])
STEP_S = 0.005
TIP_M = 0.008  # fingertips beyond ee
WALLS_TOP_M = 0.1
STIFFNESS_N_M = 3000.0


def pose(joint_pos) -> Transform:
    x, y, z, yaw = joint_pos
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([1.0, -1.0, -1.0])
    return Transform.from_parts([x, y, z], rotation, parent="world", child="ee")


@dataclass
class Thing:
    """An upright box that rests or is held; `yaw_rad` about its middle."""

    name: str
    center_m: np.ndarray
    size_m: tuple[float, float, float]
    yaw_rad: float = 0.0
    is_visible: bool = True

    @property
    def top_m(self) -> float:
        return float(self.center_m[2] + self.size_m[2] / 2)

    @property
    def bottom_m(self) -> float:
        return float(self.center_m[2] - self.size_m[2] / 2)

    def local(self, p_world) -> np.ndarray:
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return (np.asarray(p_world) - self.center_m) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

    def covers(self, p_world) -> bool:
        p = np.abs(self.local(p_world))
        return bool(p[0] <= self.size_m[0] / 2 and p[1] <= self.size_m[1] / 2)


def standing(name, x, y, size=(0.05, 0.03, 0.06), z=0.0, yaw=0.0, is_visible=True) -> Thing:
    return Thing(name, np.array([x, y, z + size[2] / 2]), size, yaw, is_visible)


class GantryRobot:
    """Driver: `faults` may hold miss, slip, drop, roll, vanish, stuck."""

    name = "gantry"
    limits = LIMITS
    gripper_width_m = (0.0, 0.08)

    def __init__(self, things: list[Thing], faults: set[str] | None = None) -> None:
        self.things = things
        self.faults = faults if faults is not None else set()
        self.sent: list[JointCommand] = []
        self.peak_force_n = 0.0
        self.on_step = lambda: None
        self.is_stopped = False
        self.walls_m = np.inf  # opening at which the fingers touch walls, low above the table
        self.lifted_walls = False
        self.held: Thing | None = None
        self._steps = 0
        self._pos = HOME.copy()
        self._vel = np.zeros(4)
        self._setpoint = HOME.copy()
        self._width_m = 0.08
        self._target_width_m = 0.08
        self._force_n = 0.0
        self._external_n = 0.0
        self._grip_n = 40.0
        self._grip_start = HOME.copy()
        self._grip_offset = np.zeros(3)

    def state(self) -> RobotState:
        gripper = GripperState(self._width_m, self._force_n, abs(self._width_m - self._stop_width()) > 1e-4)
        return RobotState(
            LIMITS.joint_names,
            self._pos.copy(),
            self._vel.copy(),
            np.zeros(4),
            self.clock(),
            self._external_n,
            gripper,
        )

    def send(self, command: JointCommand) -> JointCommand:
        check_command(command, LIMITS.joint_names)
        if self.is_stopped:
            raise RobotStopped("stopped")
        if command.joint_pos is not None:
            for name, value in zip(command.joint_names, command.joint_pos, strict=True):
                self._setpoint[LIMITS.joint_names.index(name)] = value
        if command.gripper is not None:
            self._target_width_m, self._grip_n = command.gripper.width_m, command.gripper.force_n
        self.sent.append(command)
        return command

    def execute(self, trajectory: JointTrajectory, cancel: threading.Event):
        raise AssertionError("SafeRobot streams setpoints itself")

    def clock(self) -> float:
        return self._steps * STEP_S

    def sleep(self, dt_s: float) -> None:
        for _ in range(max(1, round(dt_s / STEP_S))):
            self._step()
            self.on_step()

    def stop(self) -> None:
        self.is_stopped = True
        self._setpoint = self._pos.copy()

    def reset_stop(self) -> None:
        self.is_stopped = False

    def close(self) -> None:
        self.stop()

    def _step(self) -> None:
        self._steps += 1
        before = self._pos.copy()
        if "stuck" not in self.faults:
            self._pos = self._setpoint.copy()
            self._pos[2] = max(self._pos[2], self._floor_m())
            self._external_n = max(0.0, self._pos[2] - self._setpoint[2]) * STIFFNESS_N_M
        self._vel = (self._pos - before) / STEP_S
        self.peak_force_n = max(self.peak_force_n, self.state().external_force_n)
        if self.held is not None:
            self.held.center_m = self._pos[:3] + self._grip_offset
            self.held.yaw_rad += self._pos[3] - before[3]
        is_leaning = self._target_width_m > self._width_m + 1e-6 and self._width_m > self.walls_m - 1e-6
        self.lifted_walls |= is_leaning and self._pos[2] > before[2] + 1e-9
        change = self._stop_width() - self._width_m
        self._width_m += float(np.clip(change, -0.1 * STEP_S, 0.1 * STEP_S))
        self._update_grip()

    def _floor_m(self) -> float:
        """Lowest height of the hand that the table and the things allow."""
        tips = [pose(self._pos) @ [0, side * (self._width_m / 2 + 0.005), TIP_M] for side in (-1, 1)]
        floor = TIP_M
        for thing in self.things:
            if thing is not self.held and any(thing.covers(p) for p in tips):
                floor = max(floor, thing.top_m + TIP_M)
        if self.held is not None:
            below = self._support_m(self.held)
            floor = max(floor, below + self.held.size_m[2] / 2 - self._grip_offset[2])
        return floor

    def _support_m(self, thing: Thing) -> float:
        under = [
            t.top_m
            for t in self.things
            if t is not thing and t.covers(thing.center_m) and t.top_m < thing.center_m[2]
        ]
        return max([0.0, *under])

    def _between(self) -> Thing | None:
        for thing in self.things:
            is_level = thing.bottom_m - 0.01 < self._pos[2] < thing.top_m + TIP_M
            if is_level and thing.covers([*self._pos[:2], 0]) and "miss" not in self.faults:
                return thing
        return None

    def _extent_m(self, thing: Thing) -> float:
        turn = self._pos[3] - thing.yaw_rad
        return float(abs(np.cos(turn)) * thing.size_m[1] + abs(np.sin(turn)) * thing.size_m[0])

    def _stop_width(self) -> float:
        thing = self.held or self._between()
        walls_m = self.walls_m if self._pos[2] < WALLS_TOP_M else np.inf
        if thing is None:
            return min(self._target_width_m, walls_m)
        return min(max(self._target_width_m, min(self._extent_m(thing), 0.08)), walls_m)

    def _update_grip(self) -> None:
        if self.held is None:
            thing = self._between()
            if thing is not None and self._target_width_m < self._width_m - 1e-6 < self._extent_m(thing):
                self.held, self._force_n = thing, self._grip_n
                self._grip_start, self._grip_offset = self._pos.copy(), thing.center_m - self._pos[:3]
            return
        travelled = np.abs(self._pos[:3] - self._grip_start[:3])
        slipped = "slip" in self.faults and travelled[2] > 0.05
        dropped = "drop" in self.faults and travelled[:2].max() > 0.05
        if self._target_width_m > self._extent_m(self.held) + 1e-6 or slipped or dropped:
            thing, self.held, self._force_n = self.held, None, 0.0
            thing.center_m = thing.center_m.copy()
            thing.center_m[:2] += (0.0, 0.1) if "roll" in self.faults else (0.0, 0.0)
            thing.center_m[2] = self._support_m(thing) + thing.size_m[2] / 2
            if "vanish" in self.faults:
                self.things.remove(thing)


class GantryKinematics:
    """Straight joint motions, checked against a hand of three boxes; one detour over the top."""

    limits = LIMITS
    home = HOME

    def forward(self, joint_pos) -> Transform:
        return pose(joint_pos)

    def inverse(self, T_world_ee, seed, *, obstacles=None, gripper_width_m=0.08):
        rotation = T_world_ee.rotation
        yaw = float(np.arctan2(rotation[1, 0], rotation[0, 0]))
        joint_pos = np.array([*T_world_ee.position_m, yaw])
        if not np.allclose(pose(joint_pos).rotation, rotation, atol=1e-6):
            raise MotionError("the gantry only points down", reason="unreachable")
        if (joint_pos < LIMITS.lower).any() or (joint_pos > LIMITS.upper).any():
            raise MotionError("out of reach", reason="unreachable")
        if (
            obstacles is not None
            and self.clearance(joint_pos, obstacles, gripper_width_m=gripper_width_m) < 0
        ):
            raise MotionError("the goal touches something", reason="in_collision")
        return joint_pos

    def clearance(self, joint_pos, obstacles: Obstacles, *, gripper_width_m=0.08) -> float:
        T_ee_world = pose(joint_pos).inverse()
        clearance = 1.0
        p = T_ee_world @ obstacles.points
        for center, half in self._boxes(gripper_width_m):
            if len(p):
                clearance = min(clearance, float(_box_distance(p, center, half).min()) - obstacles.margin_m)
        if obstacles.held_size_m is not None and len(p):
            half = np.array(obstacles.held_size_m) / 2
            distance = _box_distance(p, np.array(obstacles.held_center_m), half)
            clearance = min(clearance, float(distance.min()) - obstacles.margin_m)
        if obstacles.support_z_m is not None:
            tip = joint_pos[2] - TIP_M - obstacles.support_z_m - obstacles.support_margin_m
            clearance = min(clearance, float(tip))
        return clearance

    def plan(self, start, goal, *, obstacles=None, gripper_width_m=0.08, speed=1.0):
        top = max(start[2], goal[2], 0.35)
        over = [start, np.array([*start[:2], top, start[3]]), np.array([*goal[:2], top, goal[3]]), goal]
        error = None
        for way in ([start, goal], over):
            try:
                return self._timed(way, obstacles, gripper_width_m, speed)
            except MotionError as caught:
                error = caught
        assert error is not None
        raise error

    def plan_linear(self, start, waypoints, *, obstacles=None, gripper_width_m=0.08, speed_m_s=0.1):
        way = [np.asarray(start)]
        for waypoint in waypoints:
            goal = self.inverse(waypoint, way[-1])
            goal[3] = way[-1][3] + np.angle(np.exp(1j * (goal[3] - way[-1][3])))
            way.append(goal)
        return self._timed(way, obstacles, gripper_width_m, speed_m_s)

    def on_robot(self, joint_pos, p_world, *, gripper_width_m=0.08, padding_m=0.02):
        p = pose(joint_pos).inverse() @ p_world
        on = np.zeros(len(p), dtype=bool)
        for center, half in self._boxes(gripper_width_m):
            on |= _box_distance(p, center, half) <= padding_m
        return on

    def _timed(self, way, obstacles, gripper_width_m, speed) -> JointTrajectory:
        times, rows, velocities = [0.0], [np.asarray(way[0])], [np.zeros(4)]
        for a, b in pairwise(way):
            duration = max(0.1, 2.0 * float((np.abs(b - a) / LIMITS.velocity).max()) / speed)
            s = np.linspace(0, 1, 41)[1:]
            for u in s:
                rows.append(a + (3 * u**2 - 2 * u**3) * (b - a))
                velocities.append((6 * u - 6 * u**2) * (b - a) / duration)
            times.extend(times[-1] + s * duration)
        for row in rows:
            if obstacles is not None and self.clearance(row, obstacles, gripper_width_m=gripper_width_m) < 0:
                at_end = np.allclose(row, way[0]) or np.allclose(row, way[-1])
                raise MotionError("something is in the way", reason="in_collision" if at_end else "no_path")
        return JointTrajectory(LIMITS.joint_names, np.array(times), np.array(rows), np.array(velocities))

    def _boxes(self, width_m):
        yield np.array([0, 0, -0.08]), np.array([0.03, 0.10, 0.03])
        for side in (-1, 1):
            yield np.array([0, side * (width_m / 2 + 0.006), -0.02]), np.array([0.01, 0.005, 0.02 + TIP_M])


def _box_distance(p, center, half):
    q = np.abs(p - center) - half
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0)


class GantryCamera:
    """Ray-casts the visible things, the table and the hand."""

    def __init__(self, name: str, robot: GantryRobot, fixed: Transform | None = None) -> None:
        self.name = name
        self._robot = robot
        self._fixed = fixed
        self._intrinsics = Intrinsics.from_fovy(np.deg2rad(45), 320, 240)

    def capture(self) -> RgbdFrame:
        joint_pos = self._robot.state().joint_pos
        T_world_camera = self._fixed
        if T_world_camera is None:
            mount = Transform.from_parts([0.07, 0, -0.09], np.eye(3), parent="ee", child="camera:wrist")
            T_world_camera = pose(joint_pos) @ mount
        rays = T_world_camera.rotate(self._intrinsics.deproject_image(np.ones((240, 320)))).reshape(-1, 3)
        origin = T_world_camera.position_m
        depth = np.where(rays[:, 2] < 0, -origin[2] / np.minimum(rays[:, 2], -1e-9), 0.0)
        depth[depth <= 0] = np.inf
        for thing in self._robot.things:
            if thing.is_visible:
                c, s = np.cos(thing.yaw_rad), np.sin(thing.yaw_rad)
                turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
                local = (thing.local(origin), rays @ turn)
                depth = np.minimum(depth, _ray_box(*local, np.array(thing.size_m) / 2))
        T_ee_world = pose(joint_pos).inverse()
        width_m = self._robot.state().gripper.width_m
        for center, half in GantryKinematics()._boxes(width_m):
            depth = np.minimum(depth, _ray_box(T_ee_world @ origin - center, T_ee_world.rotate(rays), half))
        depth[~np.isfinite(depth) | (depth > 5)] = 0.0
        rgb = np.full((240, 320, 3), 128, dtype=np.uint8)
        depth_m = depth.reshape(240, 320).astype(np.float32)
        return RgbdFrame(rgb, depth_m, self._intrinsics, T_world_camera, self._robot.clock(), self.name)


def _ray_box(origin, rays, half):
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (-half - origin) / rays, (half - origin) / rays
    near, far = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
    return np.where((near <= far) & (near > 0), near, np.inf)


@dataclass
class Gantry:
    """Everything a test needs."""

    ctx: SkillContext
    driver: GantryRobot
    robot: SafeRobot
    things: dict[str, Thing] = field(default_factory=dict)

    def grasp(self, name: str, *, shift_m=(0.0, 0.0, 0.0), label: str = ""):
        """Put a `grasp` artifact of a thing from above into the workspace, fingers across its short side."""
        thing = self.things[name]
        center = thing.center_m + shift_m
        T_world_ee = pose([*center[:2], thing.top_m + shift_m[2] - 0.02, thing.yaw_rad]).matrix
        box = Box3D(center, np.array(thing.size_m), thing.yaw_rad)
        unit = np.random.default_rng(0).uniform(-0.5, 0.5, (400, 3))
        unit[:, 2] = 0.5  # its top, as the scene camera sees it
        c, s = np.cos(thing.yaw_rad), np.sin(thing.yaw_rad)
        points = unit * thing.size_m @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + center
        return self.ctx.put(
            "grasp",
            make_grasp_set(T_world_ee, thing.size_m[1], box, points, label or name),
            frame="world",
            label=label or name,
        ).name


def make_grasp_set(T_world_ee, width_m, box, points, label) -> GraspSet:
    return GraspSet(
        T_world_ee=T_world_ee[None],
        width_m=np.array([width_m]),
        open_m=np.array([min(width_m + 0.024, 0.08)]),
        score=np.array([1.0]),
        kinds=("across",),
        box=box,
        points=points,
        label=label,
    )


def make_gantry(*things: Thing, faults: set[str] | None = None, config: SkillConfig | None = None) -> Gantry:
    driver = GantryRobot(list(things), faults)
    robot = SafeRobot(driver, SafetyFilter(LIMITS, gripper_width_m=(0.0, 0.08)))
    eye = look_at([1.35, 0.0, 0.85], [0.45, 0.0, 0.05], parent="world", child="camera:scene")
    cameras = {"scene": GantryCamera("scene", driver, eye), "wrist": GantryCamera("wrist", driver)}
    ctx = SkillContext.create(robot, GantryKinematics(), cameras, config=config)
    return Gantry(ctx, driver, robot, {t.name: t for t in things})
