"""Conformance suite of the `Kinematics` contract. Every implementer runs it:

    @pytest.fixture(scope="module")
    def kinematics():
        return MyKinematics(...)


    class TestMyKinematics(KinematicsSuite):
        pass

Poses are top-down grasps over a table in front of the robot (x forward, z up, table top at z = 0),
and whatever the robot's own joints can reach. No test depends on wall time.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception_tools.geometry import FrameError, Transform
from policies.motion import Kinematics, MotionError, Obstacles
from policies.robot import JointTrajectory


def top_down(x, y, z, yaw=0.0) -> Transform:
    """``T_world_ee`` of a hand that points down, its fingers opening along y turned by yaw."""
    c, s = np.cos(yaw), np.sin(yaw)
    return Transform.from_parts([x, y, z], [[c, s, 0], [s, -c, 0], [0, 0, -1]], parent="world", child="ee")


def shifted(pose: Transform, offset) -> Transform:
    return Transform.from_parts(pose.position_m + offset, pose.rotation, parent="world", child="ee")


def errors(a: Transform, b: Transform) -> tuple[float, float]:
    """Position [m] and orientation [rad] between two poses."""
    turn = Rotation.from_matrix(a.rotation.T @ b.rotation)
    return float(np.linalg.norm(a.position_m - b.position_m)), float(turn.magnitude())


def wall(x, y, z, spacing=0.01) -> np.ndarray:
    """Points of an axis-aligned sheet or block; each argument is a number or a (low, high) range."""
    axes = [np.arange(*r, spacing) if isinstance(r, tuple) else np.array([r]) for r in (x, y, z)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


class KinematicsSuite:
    """Inherit, provide the fixture `kinematics`, loosen the tolerances only for a reason."""

    position_tolerance_m = 1e-3
    orientation_tolerance_rad = np.radians(0.5)
    line_tolerance_m = 2e-3
    left, right = (0.5, 0.25, 0.15), (0.5, -0.25, 0.15)  # ee positions with room around
    palm_m = 0.07  # a point this far behind the ee frame lies inside the hand
    support = Obstacles(support_z_m=0.0)
    between = Obstacles(wall((0.35, 0.75), (-0.02, 0.02), (0.02, 0.3)), support_z_m=0.0)

    # ---- helpers ------------------------------------------------------------------------------

    def postures(self, kinematics: Kinematics, count: int, seed: int) -> np.ndarray:
        """Random postures away from the limits that do not collide with themselves or the table."""
        rng, limits = np.random.default_rng(seed), kinematics.limits
        middle, half = 0.5 * (limits.lower + limits.upper), 0.4 * (limits.upper - limits.lower)
        rows = []
        while len(rows) < count:
            row = middle + rng.uniform(-1, 1, len(middle)) * half
            if kinematics.clearance(row, self.support) >= 0.01:
                rows.append(row)
        return np.array(rows)

    def over(self, kinematics: Kinematics, position, yaw=0.0, obstacles=None) -> np.ndarray:
        pose = top_down(*position, yaw)
        return kinematics.inverse(pose, kinematics.home, obstacles=obstacles or self.support)

    def assert_valid(self, kinematics, motion: JointTrajectory, obstacles, speed=1.0, **clearance) -> None:
        """Rest at both ends, every limit kept, every sample clear."""
        limits = kinematics.limits
        assert motion.joint_names == limits.joint_names
        np.testing.assert_array_equal(motion.joint_vel[[0, -1]], 0.0)
        assert (motion.joint_pos >= limits.lower).all() and (motion.joint_pos <= limits.upper).all()
        ticks = np.arange(0.0, motion.duration_s + 0.01, 0.01)
        rows = np.array([motion.at(t) for t in ticks])
        velocity = np.diff(rows, axis=0) / 0.01
        still = np.zeros((1, rows.shape[1]))
        acceleration = np.diff(np.concatenate([still, velocity, still]), axis=0) / 0.01
        assert (np.abs(motion.joint_vel) <= speed * limits.velocity * 1.001).all()
        assert (np.abs(velocity) <= speed * limits.velocity * 1.001).all()
        assert (np.abs(acceleration) <= limits.acceleration * 1.001).all()
        for row in motion.joint_pos:
            assert kinematics.clearance(row, obstacles, **clearance) >= 0

    # ---- forward ------------------------------------------------------------------------------

    def test_is_kinematics(self, kinematics: Kinematics) -> None:
        assert isinstance(kinematics, Kinematics)
        assert kinematics.home.shape == (len(kinematics.limits.joint_names),)

    def test_home_is_within_limits_and_clear(self, kinematics: Kinematics) -> None:
        home, limits = kinematics.home, kinematics.limits
        assert (home > limits.lower).all() and (home < limits.upper).all()
        assert kinematics.clearance(home, self.support) > 0

    def test_home_cannot_be_changed_from_outside(self, kinematics: Kinematics) -> None:
        kinematics.home[:] = 9.0
        assert (np.abs(kinematics.home) < 9.0).all()

    def test_forward_names_its_frames(self, kinematics: Kinematics) -> None:
        pose = kinematics.forward(kinematics.home)
        assert (pose.parent, pose.child) == ("world", "ee")

    def test_forward_is_smooth_and_its_joints_turn_or_slide(self, kinematics: Kinematics) -> None:
        for posture in self.postures(kinematics, 5, seed=0):
            for joint in range(len(posture)):
                coarse, fine = (self.twist(kinematics, posture, joint, h) for h in (1e-3, 1e-4))
                np.testing.assert_allclose(coarse, fine, atol=1e-5)  # central differences: O(h^2)
                turning = np.linalg.norm(fine[3:])
                assert min(abs(turning - 1.0), abs(turning)) < 1e-6  # hinge or slide
                assert np.linalg.norm(fine[:3]) < 2.0

    @staticmethod
    def twist(kinematics: Kinematics, posture: np.ndarray, joint: int, h: float) -> np.ndarray:
        """Velocity of ee per joint velocity by central differences, (6,)."""
        step = np.zeros(len(posture))
        step[joint] = h
        ahead, behind = kinematics.forward(posture + step), kinematics.forward(posture - step)
        turn = Rotation.from_matrix(behind.rotation.T @ ahead.rotation).as_rotvec()
        return np.concatenate([ahead.position_m - behind.position_m, turn]) / (2 * h)

    def test_wrong_shapes_are_refused(self, kinematics: Kinematics) -> None:
        for bad in (np.zeros(len(kinematics.home) + 1), np.full(len(kinematics.home), np.nan)):
            with pytest.raises(ValueError):
                kinematics.forward(bad)

    # ---- inverse ------------------------------------------------------------------------------

    def test_inverse_undoes_forward(self, kinematics: Kinematics) -> None:
        postures, solved = self.postures(kinematics, 40, seed=1), 0
        for posture in postures:
            pose = kinematics.forward(posture)
            try:
                solution = kinematics.inverse(pose, kinematics.home)
            except MotionError as error:
                assert error.reason in ("unreachable", "in_collision")
                continue
            solved += 1
            position_m, angle_rad = errors(kinematics.forward(solution), pose)
            assert position_m < self.position_tolerance_m and angle_rad < self.orientation_tolerance_rad
            assert (solution >= kinematics.limits.lower).all() and (solution <= kinematics.limits.upper).all()
            assert kinematics.clearance(solution, Obstacles()) >= 0
        assert solved >= 0.9 * len(postures)

    def test_inverse_stays_close_to_the_seed(self, kinematics: Kinematics) -> None:
        for position in (self.left, self.right, (0.6, 0.0, 0.1)):
            posture = self.over(kinematics, position)
            again = kinematics.inverse(kinematics.forward(posture), posture)
            assert np.abs(again - posture).max() < 0.02
            near = kinematics.inverse(shifted(kinematics.forward(posture), [0.01, 0, 0]), posture)
            assert np.abs(near - posture).max() < 0.15

    def test_inverse_says_unreachable(self, kinematics: Kinematics) -> None:
        with pytest.raises(MotionError) as error:
            kinematics.inverse(top_down(3.0, 0.0, 0.3), kinematics.home)
        assert error.value.reason == "unreachable"

    def test_inverse_says_in_collision(self, kinematics: Kinematics) -> None:
        x, y, z = self.left
        block = wall((x - 0.05, x + 0.05), (y - 0.05, y + 0.05), (z - 0.02, z + 0.08))
        for obstacles, position in (
            (Obstacles(block), self.left),
            (Obstacles(support_z_m=0.0), (x, y, -0.05)),
        ):
            with pytest.raises(MotionError) as error:
                kinematics.inverse(top_down(*position), kinematics.home, obstacles=obstacles)
            assert error.value.reason == "in_collision"

    def test_inverse_takes_only_the_hand_in_world(self, kinematics: Kinematics) -> None:
        with pytest.raises(FrameError):
            kinematics.inverse(top_down(0.5, 0, 0.2).inverse(), kinematics.home)

    # ---- clearance ----------------------------------------------------------------------------

    def test_margin_is_subtracted(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, self.left)
        point = shifted(kinematics.forward(posture), [0, 0, -0.05]).position_m
        wide, narrow = (Obstacles(point[None], margin_m=m) for m in (0.03, 0.01))
        difference = kinematics.clearance(posture, narrow) - kinematics.clearance(posture, wide)
        assert difference == pytest.approx(0.02, abs=1e-9)

    def test_clearance_changes_no_faster_than_the_obstacle_moves(self, kinematics: Kinematics) -> None:
        rng, posture = np.random.default_rng(3), self.over(kinematics, self.left)
        center = kinematics.forward(posture).position_m
        for _ in range(50):
            point = center + rng.uniform(-0.2, 0.2, 3)
            step = rng.normal(0.0, 0.01, 3)
            before, after = (kinematics.clearance(posture, Obstacles(p[None])) for p in (point, point + step))
            assert abs(after - before) <= np.linalg.norm(step) + 1e-9

    def test_more_points_never_give_more_room(self, kinematics: Kinematics) -> None:
        rng, posture = np.random.default_rng(4), self.over(kinematics, self.left)
        points = kinematics.forward(posture).position_m + rng.uniform(-0.3, 0.3, (200, 3))
        rooms = [kinematics.clearance(posture, Obstacles(points[:n])) for n in (0, 1, 10, 50, 200)]
        assert rooms == sorted(rooms, reverse=True) and rooms[-1] < 0

    def test_support_plane_counts(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, self.left)
        heights = (-0.5, 0.05, 0.1, 0.12)
        rooms = [kinematics.clearance(posture, Obstacles(support_z_m=z)) for z in heights]
        assert rooms == sorted(rooms, reverse=True)
        assert rooms[2] - rooms[3] == pytest.approx(0.02, abs=1e-6)

    def test_fingertips_may_come_closer_to_the_support_than_the_rest(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, (0.5, 0.0, 0.02))
        tight = replace(self.support, margin_m=0.02, support_margin_m=0.002)
        strict = replace(tight, support_margin_m=0.02)
        assert kinematics.clearance(posture, tight) > kinematics.clearance(posture, strict)

    def test_held_object_counts(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, self.left)
        low = Obstacles(support_z_m=0.0)
        # 0.2 m long, from 0.05 m behind the grasp to 0.15 m beyond it (ee z points down): on the table.
        held = replace(low, held_size_m=(0.04, 0.04, 0.2), held_center_m=(0.0, 0.0, 0.05))
        assert kinematics.clearance(posture, held) == pytest.approx(-low.support_margin_m, abs=1e-3)
        higher = replace(held, held_center_m=(0.0, 0.0, 0.04))
        difference = kinematics.clearance(posture, higher) - kinematics.clearance(posture, held)
        assert difference == pytest.approx(0.01, abs=1e-6)
        point = shifted(kinematics.forward(posture), [0, 0, -0.12]).position_m
        inside = replace(held, points=point[None], support_z_m=None, margin_m=0.0)
        assert kinematics.clearance(posture, inside) == pytest.approx(-0.02, abs=1e-6)  # to its sides

    def test_open_fingers_are_wider(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, self.left)
        pose = kinematics.forward(posture)
        beside = Obstacles((pose @ np.array([0.0, 0.06, 0.0]))[None])  # y: finger opening
        rooms = [kinematics.clearance(posture, beside, gripper_width_m=w) for w in (0.0, 0.04, 0.08)]
        assert rooms == sorted(rooms, reverse=True) and rooms[0] > rooms[2]

    def test_bad_points_are_refused(self, kinematics: Kinematics) -> None:
        for points in (np.full((1, 3), np.nan), np.zeros((3, 2))):
            with pytest.raises(ValueError):
                kinematics.clearance(kinematics.home, Obstacles(points))

    # ---- plan ---------------------------------------------------------------------------------

    def test_plan_in_the_open(self, kinematics: Kinematics) -> None:
        start, goal = kinematics.home, self.over(kinematics, self.left, yaw=0.5)
        motion = kinematics.plan(start, goal, obstacles=self.support)
        np.testing.assert_array_equal(motion.joint_pos[0], start)
        np.testing.assert_array_equal(motion.joint_pos[-1], goal)
        self.assert_valid(kinematics, motion, self.support)

    @pytest.mark.parametrize("speed", [0.1, 0.5])
    def test_plan_keeps_the_speed(self, kinematics: Kinematics, speed: float) -> None:
        goal = self.over(kinematics, self.left)
        motion = kinematics.plan(kinematics.home, goal, speed=speed)
        self.assert_valid(kinematics, motion, Obstacles(), speed)
        assert motion.duration_s > kinematics.plan(kinematics.home, goal).duration_s

    @pytest.mark.parametrize("speed", [0.0, 1.5, float("nan")])
    def test_odd_speeds_are_refused(self, kinematics: Kinematics, speed: float) -> None:
        with pytest.raises(ValueError, match="speed"):
            kinematics.plan(kinematics.home, kinematics.home, speed=speed)

    def test_plan_to_where_it_is(self, kinematics: Kinematics) -> None:
        motion = kinematics.plan(kinematics.home, kinematics.home)
        np.testing.assert_array_equal(motion.joint_pos, [kinematics.home] * len(motion.times_s))

    def test_plan_goes_around_what_is_in_the_way(self, kinematics: Kinematics) -> None:
        start = self.over(kinematics, self.left, obstacles=self.between)
        goal = self.over(kinematics, self.right, obstacles=self.between)
        straight = [start + f * (goal - start) for f in np.linspace(0, 1, 50)]
        assert min(kinematics.clearance(row, self.between) for row in straight) < 0, "nothing is in the way"
        motion = kinematics.plan(start, goal, obstacles=self.between)
        np.testing.assert_array_equal(motion.joint_pos[0], start)
        np.testing.assert_array_equal(motion.joint_pos[-1], goal)
        self.assert_valid(kinematics, motion, self.between)

    def test_plan_carries_the_held_object_clear(self, kinematics: Kinematics) -> None:
        held = replace(self.between, held_size_m=(0.05, 0.05, 0.1), held_center_m=(0, 0, 0.03))
        start = self.over(kinematics, self.left, obstacles=held)
        goal = self.over(kinematics, self.right, obstacles=held)
        motion = kinematics.plan(start, goal, obstacles=held, gripper_width_m=0.05)
        self.assert_valid(kinematics, motion, held, gripper_width_m=0.05)

    def test_equal_requests_give_equal_plans_in_any_thread(self, kinematics: Kinematics) -> None:
        start = self.over(kinematics, self.left, obstacles=self.between)
        goal = self.over(kinematics, self.right, obstacles=self.between)
        plans = [kinematics.plan(start, goal, obstacles=self.between)]
        kinematics.plan(goal, start, obstacles=self.between)  # leaves nothing behind

        def plan() -> None:
            plans.append(kinematics.plan(start, goal, obstacles=self.between))

        threads = [threading.Thread(target=plan) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(plans) == 4
        for other in plans[1:]:
            np.testing.assert_array_equal(other.joint_pos, plans[0].joint_pos)

    def test_plan_says_in_collision(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, self.left)
        block = wall(*((c - 0.06, c + 0.06) for c in self.left))
        with pytest.raises(MotionError) as error:
            kinematics.plan(kinematics.home, posture, obstacles=Obstacles(block))
        assert error.value.reason == "in_collision"
        cage = wall(*((c - 0.2, c + 0.2) for c in self.left), spacing=0.02)
        with pytest.raises(MotionError) as error:
            kinematics.plan(posture, kinematics.home, obstacles=Obstacles(cage))
        assert error.value.reason == "in_collision"

    def test_plan_leaves_a_start_that_is_a_little_too_close(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, self.left)
        pose = kinematics.forward(posture)
        beside = Obstacles(pose @ wall(0.0, 0.075, (-0.005, 0.005)), margin_m=0.03)  # beside one finger
        before = kinematics.clearance(posture, beside)
        assert -0.03 < before < 0
        motion = kinematics.plan(posture, kinematics.home, obstacles=beside)
        rooms = np.array([kinematics.clearance(row, beside) for row in motion.joint_pos])
        first = int(np.argmax(rooms >= 0))
        assert (rooms[:first] >= before - 2e-3).all() and (rooms[first:] >= 0).all()

    def test_plan_says_limits(self, kinematics: Kinematics) -> None:
        beyond = kinematics.home
        beyond[0] = kinematics.limits.upper[0] + 0.1
        for start, goal in ((kinematics.home, beyond), (beyond, kinematics.home)):
            with pytest.raises(MotionError) as error:
                kinematics.plan(start, goal)
            assert error.value.reason == "limits" and kinematics.limits.joint_names[0] in str(error.value)

    # ---- straight lines -----------------------------------------------------------------------

    @pytest.mark.parametrize("speed_m_s", [0.05, 0.2])
    def test_linear_goes_straight_at_its_speed(self, kinematics: Kinematics, speed_m_s: float) -> None:
        start = self.over(kinematics, (0.5, 0.1, 0.2))
        first = kinematics.forward(start)
        points = [shifted(first, [0, 0, -0.12]), shifted(first, [0.1, -0.1, -0.12])]
        motion = kinematics.plan_linear(start, points, obstacles=self.support, speed_m_s=speed_m_s)
        np.testing.assert_array_equal(motion.joint_pos[0], start)
        self.assert_valid(kinematics, motion, self.support)
        poses = [kinematics.forward(motion.at(t)) for t in np.linspace(0, motion.duration_s, 300)]
        position_m, angle_rad = errors(poses[-1], points[-1])
        assert position_m < self.position_tolerance_m and angle_rad < self.orientation_tolerance_rad
        corners = [first.position_m, *(p.position_m for p in points)]
        for pose in poses:
            away = min(distance_to_segment(pose.position_m, a, b) for a, b in pairwise(corners))
            assert away < self.line_tolerance_m
            assert errors(pose, first)[1] < self.orientation_tolerance_rad
        steps = [np.linalg.norm(b.position_m - a.position_m) for a, b in pairwise(poses)]
        assert max(steps) <= speed_m_s * (motion.duration_s / 299) * 1.01

    def test_linear_turns_about_the_grasp(self, kinematics: Kinematics) -> None:
        start = self.over(kinematics, (0.5, 0.0, 0.2))
        goal = top_down(0.5, 0.0, 0.2, 0.8)
        motion = kinematics.plan_linear(start, [goal])
        self.assert_valid(kinematics, motion, Obstacles())
        for t in np.linspace(0, motion.duration_s, 50):
            away = np.linalg.norm(kinematics.forward(motion.at(t)).position_m - goal.position_m)
            assert away < self.line_tolerance_m
        assert errors(kinematics.forward(motion.joint_pos[-1]), goal)[1] < self.orientation_tolerance_rad

    def test_linear_has_no_joint_jumps(self, kinematics: Kinematics) -> None:
        start = self.over(kinematics, (0.4, 0.2, 0.1))
        motion = kinematics.plan_linear(start, [top_down(0.6, -0.2, 0.1)])
        assert np.abs(np.diff(motion.joint_pos, axis=0)).max() < 0.05

    def test_linear_says_unreachable(self, kinematics: Kinematics) -> None:
        start = self.over(kinematics, (0.6, 0.0, 0.2))
        with pytest.raises(MotionError) as error:
            kinematics.plan_linear(start, [top_down(2.0, 0.0, 0.2)])
        assert error.value.reason == "unreachable"

    def test_linear_says_in_collision(self, kinematics: Kinematics) -> None:
        start = self.over(kinematics, (0.5, 0.0, 0.2))
        for obstacles, goal in (
            (self.support, top_down(0.5, 0.0, -0.05)),
            (Obstacles(wall((0.45, 0.55), (-0.05, 0.05), 0.1)), top_down(0.5, 0.0, 0.05)),
        ):
            with pytest.raises(MotionError) as error:
                kinematics.plan_linear(start, [goal], obstacles=obstacles)
            assert error.value.reason == "in_collision"

    def test_linear_may_leave_but_not_approach_what_is_close(self, kinematics: Kinematics) -> None:
        start = self.over(kinematics, self.left)
        pose = kinematics.forward(start)
        below = Obstacles((pose @ np.array([0.0, 0.04, 0.015]))[None], margin_m=0.03)  # under a finger
        assert kinematics.clearance(start, below) < 0
        away = kinematics.plan_linear(start, [shifted(pose, [0, 0, 0.1])], obstacles=below)
        assert kinematics.clearance(away.joint_pos[-1], below) > 0
        with pytest.raises(MotionError) as error:
            kinematics.plan_linear(start, [shifted(pose, [0, 0, -0.01])], obstacles=below)
        assert error.value.reason == "in_collision"

    def test_linear_without_a_way_or_speed_is_refused(self, kinematics: Kinematics) -> None:
        with pytest.raises(ValueError):
            kinematics.plan_linear(kinematics.home, [])
        with pytest.raises(ValueError):
            kinematics.plan_linear(kinematics.home, [kinematics.forward(kinematics.home)], speed_m_s=0.0)

    # ---- self filter --------------------------------------------------------------------------

    def test_on_robot(self, kinematics: Kinematics) -> None:
        posture = self.over(kinematics, self.left)
        pose = kinematics.forward(posture)
        in_hand = pose @ np.array([0.0, 0.0, -self.palm_m])
        far = shifted(pose, [0.3, 0.0, 0.0]).position_m
        between_fingers = pose.position_m
        is_on = kinematics.on_robot(posture, np.array([in_hand, far, between_fingers]), padding_m=0.01)
        assert is_on.tolist() == [True, False, False]
        assert kinematics.on_robot(posture, np.zeros((0, 3))).shape == (0,)

    def test_on_robot_is_where_clearance_is_not(self, kinematics: Kinematics) -> None:
        rng, posture = np.random.default_rng(5), self.over(kinematics, self.left)
        points = kinematics.forward(posture).position_m + rng.uniform(-0.15, 0.25, (200, 3))
        is_on = kinematics.on_robot(posture, points, padding_m=0.015)
        rooms = [kinematics.clearance(posture, Obstacles(p[None], margin_m=0.015)) for p in points]
        np.testing.assert_array_equal(is_on, np.array(rooms) <= 0)
        assert 0 < is_on.sum() < len(points)


def distance_to_segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    t = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
    return float(np.linalg.norm(p - (a + t * (b - a))))
