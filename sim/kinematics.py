"""`MujocoKinematics`: the `Kinematics` contract on a private MuJoCo model of the robot alone.

It never sees the live simulation, so it serves a real arm as well. Inverse kinematics by mink,
timing by ruckig and TOPP-RA, collision margins against the observed points, the support plane, the
robot itself and the held object. Every call is a pure function of its arguments, safe in any thread.

What is grasped must not be an obstacle: callers leave the target's own points out of
`Obstacles.points`, and the held object's once it is held.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from perception_tools.geometry import BoolArray, FloatArray, FrameError, Transform
from policies.motion import MotionError, Obstacles
from policies.robot import JointLimits, JointTrajectory
from sim import planning, timing
from sim.clearance import lowest_z, on_shapes
from sim.collision import CollisionChecker, Scene
from sim.ik import IkSolver
from sim.kinematics_config import KinematicsConfig as KinematicsConfig
from sim.robot_body import Held, RobotBody
from sim.robots.model import EE_SITE, RobotModel


class MujocoKinematics:
    """Kinematics of an arm on its MuJoCo model.

    Args:
        robot: Which robot.
        config: Settings.
        limits: Limits to plan under, e.g. those of the `SafeRobot`; the robot's own if None.
    """

    def __init__(
        self, robot: RobotModel, config: KinematicsConfig | None = None, *, limits: JointLimits | None = None
    ) -> None:
        self._config = config or KinematicsConfig()
        self._body = RobotBody(robot, limits)
        self._home = np.array(robot.home, dtype=np.float64)
        self._collisions = CollisionChecker(
            self._body,
            self_margin_m=self._config.self_margin_m,
            support_noise_m=self._config.support_noise_m,
        )
        self._local = threading.local()

    @property
    def limits(self) -> JointLimits:
        """Joint limits of the arm."""
        return self._body.limits

    @property
    def home(self) -> FloatArray:
        """Rest posture [rad], (num_joints,)."""
        return self._home.copy()

    # ---- forward ------------------------------------------------------------------------------

    def forward(self, joint_pos: FloatArray) -> Transform:
        """Return ``T_world_ee`` for joint positions [rad], (num_joints,)."""
        state = self._body.state()
        state.place(self._posture(joint_pos), 0.0)
        return Transform(state.ee_matrix(), "world", "ee")

    def lowest_point(self, joint_pos: FloatArray, gripper_width_m: float = 0.08) -> float:
        """Return the height of the lowest point of the moving links in world [m]."""
        state = self._body.state()
        poses, _ = state.poses(self._posture(joint_pos)[None], gripper_width_m)
        return float(lowest_z(state.shapes, poses)[0, ~self._body.is_static].min())

    def on_robot(
        self,
        joint_pos: FloatArray,
        p_world: FloatArray,
        *,
        gripper_width_m: float = 0.08,
        padding_m: float = 0.02,
        held_size_m: tuple[float, float, float] | None = None,
        held_center_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> BoolArray:
        """Return which points in world [m], (N, 3), lie on or near the robot, and the held box, (N,)."""
        state = self._body.state(Held(held_size_m, held_center_m) if held_size_m else None)
        poses, _ = state.poses(self._posture(joint_pos)[None], gripper_width_m)
        return on_shapes(state.shapes, poses, np.asarray(p_world, dtype=np.float64), padding_m)

    # ---- clearance ----------------------------------------------------------------------------

    def clearance(
        self, joint_pos: FloatArray, obstacles: Obstacles, *, gripper_width_m: float = 0.08
    ) -> float:
        """Return the smallest distance minus the margin asked for [m]; < 0 is too close.

        The base stands where it stands: only moving links are held against points and support. Self
        distances count up to 0.1 m, so that is the largest value.
        """
        scene = self._collisions.scene(obstacles, gripper_width_m)
        return float(self._collisions.clearances(self._posture(joint_pos)[None], scene, np.inf)[0])

    # ---- inverse ------------------------------------------------------------------------------

    def inverse(
        self,
        T_world_ee: Transform,
        seed: FloatArray,
        *,
        obstacles: Obstacles | None = None,
        gripper_width_m: float = 0.08,
    ) -> FloatArray:
        """Return joint positions [rad], (num_joints,): close to `seed`, away from the limits, clear.

        Raises:
            FrameError: The pose is not ``T_world_ee``.
            MotionError: `unreachable` or `in_collision`.
        """
        matrix, seed = _pose_matrix(T_world_ee), self._posture(seed)
        scene = self._collisions.scene(obstacles or Obstacles(), gripper_width_m)
        found: list[tuple[float, FloatArray]] = []
        closest_m = -np.inf
        for attempt, (guess, posture) in enumerate(self._guesses(T_world_ee, seed)):
            solution = self._solver().solve(matrix, guess, posture=posture)
            if solution is None:
                continue
            clearance_m = float(self._collisions.clearances(solution[None], scene)[0])
            closest_m = max(closest_m, clearance_m)
            if clearance_m < 0 and self._collisions.hand_clearance(solution, scene) < 0:
                break
            if clearance_m < 0:
                continue
            cost = self._cost(solution, seed)
            found.append((cost, solution))
            if (attempt == 0 and cost < 1.0) or len(found) >= self._config.ik.enough:
                break
        if found:
            return min(found, key=lambda pair: pair[0])[1]
        position = np.round(T_world_ee.position_m, 3).tolist()
        if np.isfinite(closest_m):
            message = f"the hand reaches {position} only {-closest_m:.3f} m too close to an obstacle"
            raise MotionError(message, reason="in_collision")
        raise MotionError(f"no joint positions bring the hand to {position}", reason="unreachable")

    def _guesses(self, T_world_ee: Transform, seed: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield where to start and what posture to prefer."""
        margin = self._config.ik.limit_margin_rad
        lower, upper = self.limits.lower + margin, self.limits.upper - margin
        rng = np.random.default_rng(self._config.rng_seed)
        yield np.clip(seed, lower, upper), seed
        turned = self._home.copy()
        turned[0] = np.arctan2(T_world_ee.position_m[1], T_world_ee.position_m[0])
        turned = np.clip(turned, lower, upper)
        yield turned, turned
        for attempt in range(self._config.ik.attempts - 2):
            center = seed if attempt % 2 else turned
            spread = 0.3 + 1.2 * attempt / self._config.ik.attempts
            guess = np.clip(center + rng.normal(0.0, spread, len(seed)), lower, upper)
            yield guess, (seed if attempt < self._config.ik.attempts // 2 else guess)

    def _cost(self, joint_pos: FloatArray, seed: FloatArray) -> float:
        """How far from the seed, plus how close to the limits; below 1 is good."""
        room = np.minimum(joint_pos - self.limits.lower, self.limits.upper - joint_pos)
        comfort = self._config.ik.comfort_rad
        crowding = np.square(np.maximum(0.0, comfort - room) / comfort).sum()
        return float(0.2 * np.linalg.norm(joint_pos - seed) + 2.0 * crowding)

    # ---- plans --------------------------------------------------------------------------------

    def plan(
        self,
        start: FloatArray,
        goal: FloatArray,
        *,
        obstacles: Obstacles | None = None,
        gripper_width_m: float = 0.08,
        speed: float = 1.0,
        rng_seed: int | None = None,
    ) -> JointTrajectory:
        """Plan a collision-free joint motion that starts and ends at rest.

        Straight if that is free, else over lifted via-points, else by RRT-Connect. A start that is too
        close to an obstacle is first left by the shortest retreat that does not get closer.

        Raises:
            MotionError: `in_collision`, `no_path` or `limits`.
        """
        limits = self._timing_limits(speed)
        start, goal = self._posture(start), self._posture(goal)
        scene = self._collisions.scene(obstacles or Obstacles(), gripper_width_m)
        for name, posture in (("start", start), ("goal", goal)):
            self._require_within_limits(posture, name)
        short_m = -float(self._collisions.clearances(goal[None], scene)[0])
        if short_m > 0:
            raise MotionError(f"the goal is {short_m:.3f} m too close to an obstacle", reason="in_collision")
        rng = np.random.default_rng(self._config.rng_seed if rng_seed is None else rng_seed)
        parts, origin = self._escape(start, scene, limits)
        for step_m in (self._config.edge_step_m, self._config.edge_step_m / 4):
            path = self._find_path(origin, goal, scene, step_m, rng)
            trajectory = self._time_path(path, scene, limits) if path else None
            if trajectory is not None:
                return timing.join([*parts, trajectory])
        raise MotionError("no collision-free way to the goal was found", reason="no_path")

    def plan_linear(
        self,
        start: FloatArray,
        waypoints: Sequence[Transform],
        *,
        obstacles: Obstacles | None = None,
        gripper_width_m: float = 0.08,
        speed_m_s: float = 0.1,
    ) -> JointTrajectory:
        """Plan straight lines of the hand through ``T_world_ee`` waypoints, resting at each.

        A start that is too close to an obstacle is tolerated as long as the way does not get closer.

        Raises:
            ValueError: No waypoints, or a speed that is not positive.
            FrameError: A waypoint is not ``T_world_ee``.
            MotionError: `unreachable`, `in_collision` or `limits`.
        """
        if not waypoints or not speed_m_s > 0:
            raise ValueError(f"plan_linear needs waypoints and a positive speed, got {speed_m_s} m/s")
        start = self._posture(start)
        self._require_within_limits(start, "start")
        scene = self._collisions.scene(obstacles or Obstacles(), gripper_width_m)
        parts, posture, pose = [], start, self.forward(start).matrix
        for waypoint in waypoints:
            matrix = _pose_matrix(waypoint)
            path, arc = self._linear_path(posture, pose, matrix, speed_m_s)
            part = timing.curved(
                path,
                self._timing_limits(1.0),
                arc=arc,
                arc_speed=speed_m_s,
                arc_acceleration=self._config.linear_acceleration_m_s2,
            )
            parts.append(part)
            posture, pose = path[-1], matrix
        trajectory = timing.join(parts)
        self._require_no_approach(trajectory, scene)
        return trajectory

    # ---- parts of plans -----------------------------------------------------------------------

    def _find_path(
        self, start: FloatArray, goal: FloatArray, scene: Scene, step_m: float, rng: np.random.Generator
    ) -> list[FloatArray] | None:
        def is_free(a: FloatArray, b: FloatArray) -> bool:
            return self._collisions.is_edge_free(a, b, scene, step_m)

        if is_free(start, goal):
            return [start, goal]
        for via in self._via_points(start, goal, scene):
            path = [start, *via, goal]
            if all(is_free(a, b) for a, b in pairwise(path)):
                return planning.shorten(path, is_free, rng, self._config.shortcut_attempts)
        margin = self._config.ik.limit_margin_rad
        low, high = self.limits.lower + margin, self.limits.upper - margin
        for reach in (0.8, np.inf):  # near the two ends first, then everywhere
            path = planning.rrt_connect(
                start,
                goal,
                is_free,
                lower=np.maximum(low, np.minimum(start, goal) - reach),
                upper=np.minimum(high, np.maximum(start, goal) + reach),
                weights=self._collisions.reach_m / self._collisions.reach_m.max(),
                rng=rng,
                iterations=self._config.rrt_iterations // 2,
                step=self._config.rrt_step_rad,
            )
            if path is not None:
                return planning.shorten(path, is_free, rng, self._config.shortcut_attempts)
        return None

    def _via_points(self, start: FloatArray, goal: FloatArray, scene: Scene) -> Iterator[list[FloatArray]]:
        """Yield sequences of lifted postures to go over."""
        for lift_m in self._config.via_lifts_m:
            over_start = self._lifted(start, lift_m)
            over_goal = self._lifted(goal, lift_m)
            for via in ([over_start, over_goal], [over_goal], [over_start]):
                free = [
                    v for v in via if v is not None and self._collisions.clearances(v[None], scene)[0] >= 0
                ]
                if len(free) == len(via):
                    yield free

    def _lifted(self, posture: FloatArray, lift_m: float) -> FloatArray | None:
        matrix = self.forward(posture).matrix.copy()
        matrix[2, 3] += lift_m
        return self._solver().solve(matrix, posture)

    def _time_path(self, path: list[FloatArray], scene: Scene, limits: JointLimits) -> JointTrajectory | None:
        """Time a polyline: straight, with rounded corners, or resting at corners, whichever is clear."""
        if len(path) == 2:
            trajectory = timing.straight(path[0], path[1], limits)
            return trajectory if self._collisions.is_clear(trajectory, scene) else None
        for radius in self._config.corner_rad / np.array([1.0, 3.0, 10.0]):
            samples = planning.round_corners(path, float(radius), 0.05)
            trajectory = timing.curved(samples, limits)
            if self._collisions.is_clear(trajectory, scene):
                return trajectory
        trajectory = timing.join([timing.straight(a, b, limits) for a, b in pairwise(path)])
        return trajectory if self._collisions.is_clear(trajectory, scene) else None

    def _escape(
        self, start: FloatArray, scene: Scene, limits: JointLimits
    ) -> tuple[list[JointTrajectory], FloatArray]:
        """Return the motion out of a start that is too close, if it is, and where it ends.

        Raises:
            MotionError: `in_collision`.
        """
        short_m = -float(self._collisions.clearances(start[None], scene)[0])
        if short_m <= 0:
            return [], start
        pose = self.forward(start).matrix
        for distance_m in self._config.escape_m:
            for direction in (np.array([0.0, 0.0, 1.0]), -pose[:3, 2]):
                matrix = pose.copy()
                matrix[:3, 3] += distance_m * direction
                posture = self._solver().solve(matrix, start)
                if posture is None or np.abs(posture - start).max() > 1.0:
                    continue
                trajectory = timing.straight(start, posture, limits)
                if self._collisions.gets_free(self._collisions.along(trajectory.joint_pos, scene)):
                    return [trajectory], posture
        message = f"the start is {short_m:.3f} m too close to an obstacle, and no retreat is clear"
        raise MotionError(message, reason="in_collision")

    def _require_no_approach(self, trajectory: JointTrajectory, scene: Scene) -> None:
        rows = trajectory.joint_pos
        clearances = self._collisions.along(rows, scene)
        if (clearances >= 0).all() or (clearances[0] < 0 and self._collisions.gets_free(clearances)):
            return
        k = int(np.argmin(clearances))
        position = np.round(self.forward(rows[k]).position_m, 3).tolist()
        message = f"the straight way is {-clearances[k]:.3f} m too close to an obstacle near {position}"
        raise MotionError(message, reason="in_collision")

    def _linear_path(
        self, start: FloatArray, pose: FloatArray, goal: FloatArray, speed_m_s: float
    ) -> tuple[FloatArray, FloatArray]:
        """Follow a straight line of the hand by inverse kinematics.

        Returns:
            Joint positions [rad], (N, num_joints), and the way [m], (N,), turning counted as travel.

        Raises:
            MotionError: `unreachable`.
        """
        turn = Rotation.from_matrix(np.stack([pose[:3, :3], goal[:3, :3]]))
        travel_m = float(np.linalg.norm(goal[:3, 3] - pose[:3, 3]))
        angle_rad = float((turn[0].inv() * turn[1]).magnitude())
        length_m = max(travel_m, angle_rad * speed_m_s / self._config.angular_speed_rad_s)
        steps = max(travel_m / self._config.linear_step_m, angle_rad / 0.05)
        fractions = np.linspace(0.0, 1.0, max(4, int(np.ceil(steps))) + 1)
        rotations = Slerp([0.0, 1.0], turn)(fractions).as_matrix()
        path = [start]
        for fraction, rotation in zip(fractions[1:], rotations[1:], strict=True):
            matrix = np.eye(4)
            matrix[:3, :3] = rotation
            matrix[:3, 3] = pose[:3, 3] + fraction * (goal[:3, 3] - pose[:3, 3])
            posture = self._solver().solve(matrix, path[-1])
            if posture is None or np.abs(posture - path[-1]).max() > self._config.max_jump_rad:
                position = np.round(matrix[:3, 3], 3).tolist()
                message = f"the straight way leaves the reach at {position}, {fraction:.0%} along"
                raise MotionError(message, reason="unreachable")
            path.append(posture)
        return np.array(path), fractions * max(length_m, 1e-6)

    # ---- bookkeeping --------------------------------------------------------------------------

    def _posture(self, joint_pos: FloatArray) -> FloatArray:
        joint_pos = np.asarray(joint_pos, dtype=np.float64)
        if joint_pos.shape != self._home.shape or not np.isfinite(joint_pos).all():
            raise ValueError(f"joint_pos must be {len(self._home)} finite numbers, got {joint_pos}")
        return joint_pos

    def _require_within_limits(self, posture: FloatArray, name: str) -> None:
        beyond = np.maximum(self.limits.lower - posture, posture - self.limits.upper)
        worst = int(np.argmax(beyond))
        if beyond[worst] > 0:
            joint = self.limits.joint_names[worst]
            message = f"the {name} has {joint} {beyond[worst]:.3f} rad beyond its limits"
            raise MotionError(message, reason="limits")

    def _timing_limits(self, speed: float) -> JointLimits:
        config = self._config
        return timing.scaled(self.limits, speed, config.acceleration_fraction, config.jerk_fraction)

    def _solver(self) -> IkSolver:
        if not hasattr(self._local, "solver"):
            self._local.solver = IkSolver(self._body.model, EE_SITE, self._body.qpos_index, self._config.ik)
        return self._local.solver


def _pose_matrix(T_world_ee: Transform) -> FloatArray:
    if (T_world_ee.parent, T_world_ee.child) != ("world", "ee"):
        raise FrameError(f"expected T_world_ee, got T_{T_world_ee.parent}_{T_world_ee.child}")
    return T_world_ee.matrix
