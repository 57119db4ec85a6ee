"""Conformance suite of the `Robot` contract. Every implementer runs it:

    class TestMyRobot(RobotSuite):
        @pytest.fixture
        def robot(self):
            robot = MyRobot(...)  # at rest, released, gripper open, with room to move
            yield robot
            robot.close()

The moves are small (`reach_rad` per joint). No test depends on wall time: what has to happen "in the
middle of a motion" is triggered from the robot's own clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from policies.robot import (
    GripperCommand,
    JointCommand,
    JointTrajectory,
    MotionOutcome,
    MotionResult,
    Robot,
    RobotState,
    RobotStopped,
)


class When(threading.Event):
    """An event that sets itself, and calls `action`, as soon as `condition()` holds when looked at."""

    def __init__(self, condition: Callable[[], bool], action: Callable[[], None] | None = None, *, sets=True):
        super().__init__()
        self._condition, self._action, self._sets = condition, action, sets
        self.has_fired = False

    def is_set(self) -> bool:
        if not self.has_fired and self._condition():
            self.has_fired = True
            if self._action is not None:
                self._action()
        return self.has_fired and self._sets

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set() or super().wait(timeout)


def min_jerk(start: np.ndarray, goal: np.ndarray, duration_s: float, joint_names) -> JointTrajectory:
    """Straight joint motion at rest at both ends: s = 10 t^3 - 15 t^4 + 6 t^5."""
    times_s = np.linspace(0.0, duration_s, round(duration_s * 100) + 1)
    t = (times_s / duration_s)[:, None]
    way = 10 * t**3 - 15 * t**4 + 6 * t**5
    speed = (30 * t**2 - 60 * t**3 + 30 * t**4) / duration_s
    return JointTrajectory(tuple(joint_names), times_s, start + way * (goal - start), speed * (goal - start))


class RobotSuite:
    """Inherit, provide the fixture `robot`, loosen the tolerances only for a reason."""

    reach_rad = 0.15  # how far the tests move joints
    duration_s = 1.0  # how long those motions take
    goal_tolerance_rad = 0.01
    hold_tolerance_rad = 0.005  # a robot that is told nothing stays within this
    stop_distance_rad = 0.05  # from stop() to rest, from the speed of these motions
    cancel_distance_rad = 0.15
    rest_velocity_rad_s = 0.02
    width_tolerance_m = 0.002

    # ---- helpers ------------------------------------------------------------------------------

    def goal(self, robot: Robot) -> np.ndarray:
        """A posture `reach_rad` away in every joint, inside the limits."""
        start, limits = robot.state().joint_pos, robot.limits
        sign = np.where(start + 2 * self.reach_rad < limits.upper, 1.0, -1.0)
        return start + sign * self.reach_rad

    def trajectory(self, robot: Robot) -> JointTrajectory:
        start = robot.state().joint_pos
        return min_jerk(start, self.goal(robot), self.duration_s, robot.limits.joint_names)

    def stream(self, robot: Robot, goal: np.ndarray, seconds: float, joint_names=None) -> None:
        names = tuple(joint_names or robot.limits.joint_names)
        index = [robot.limits.joint_names.index(n) for n in names]
        start = robot.state().joint_pos[index]
        plan = min_jerk(start, np.asarray(goal), seconds, names)
        for k in range(1, round(seconds / 0.01) + 1):
            robot.send(JointCommand(names, plan.at(0.01 * k)))
            robot.sleep(0.01)
        robot.sleep(0.5)

    def assert_still(self, robot: Robot, before: RobotState) -> None:
        robot.sleep(0.3)
        after = robot.state()
        assert np.abs(after.joint_pos - before.joint_pos).max() < self.hold_tolerance_rad
        assert np.abs(after.joint_vel).max() < self.rest_velocity_rad_s

    def execute(self, robot: Robot, trajectory: JointTrajectory, cancel=None) -> MotionResult:
        return robot.execute(trajectory, cancel or threading.Event())

    def stop_from_another_thread(self, robot: Robot) -> None:
        thread = threading.Thread(target=robot.stop, daemon=True)
        thread.start()
        thread.join(timeout=60.0)
        assert not thread.is_alive(), "stop() must not wait for whoever moves the robot"

    # ---- what it is ---------------------------------------------------------------------------

    def test_is_a_robot(self, robot: Robot) -> None:
        assert isinstance(robot, Robot)
        assert robot.name and len(set(robot.limits.joint_names)) == len(robot.limits.joint_names)
        assert not robot.is_stopped

    def test_state_is_named_shaped_and_stamped(self, robot: Robot) -> None:
        state = robot.state()
        num_joints = len(robot.limits.joint_names)
        assert state.joint_names == robot.limits.joint_names
        for values in (state.joint_pos, state.joint_vel, state.joint_effort):
            assert values.shape == (num_joints,) and np.isfinite(values).all()
        assert (state.joint_pos >= robot.limits.lower).all() and (state.joint_pos <= robot.limits.upper).all()
        assert state.stamp_s <= robot.clock() + 1e-9
        assert (state.gripper is None) == (robot.gripper_width_m is None)

    def test_state_is_a_copy(self, robot: Robot) -> None:
        first = robot.state()
        first.joint_pos[:] = 1e3
        assert np.abs(robot.state().joint_pos).max() < 1e2
        assert np.abs(robot.limits.upper).max() < 1e2

    def test_gripper_range_holds_the_sensed_width(self, robot: Robot) -> None:
        if robot.gripper_width_m is None:
            pytest.skip("the robot has no gripper")
        low, high = robot.gripper_width_m
        gripper = robot.state().gripper
        assert gripper is not None and 0 <= low < high
        assert low - self.width_tolerance_m <= gripper.width_m <= high + self.width_tolerance_m
        assert gripper.force_n >= 0

    # ---- time ---------------------------------------------------------------------------------

    def test_sleep_advances_the_clock(self, robot: Robot) -> None:
        for dt_s in (0.01, 0.1, 0.3):
            before = robot.clock()
            robot.sleep(dt_s)
            assert dt_s - 1e-6 <= robot.clock() - before < dt_s + 0.05

    def test_clock_and_stamps_never_go_back(self, robot: Robot) -> None:
        goal, last_clock, last_stamp = self.goal(robot), robot.clock(), robot.state().stamp_s
        for k in range(20):
            if k == 5:
                robot.send(JointCommand(robot.limits.joint_names, 0.5 * (goal + robot.state().joint_pos)))
            if k == 12:
                robot.stop()
            robot.sleep(0.02)
            clock, stamp = robot.clock(), robot.state().stamp_s
            assert clock > last_clock and stamp >= last_stamp
            last_clock, last_stamp = clock, stamp

    def test_untold_it_stays(self, robot: Robot) -> None:
        before = robot.state()
        robot.sleep(1.0)
        self.assert_still(robot, before)

    # ---- send ---------------------------------------------------------------------------------

    def test_streamed_setpoints_are_reached(self, robot: Robot) -> None:
        goal = self.goal(robot)
        self.stream(robot, goal, self.duration_s)
        assert np.abs(robot.state().joint_pos - goal).max() < self.goal_tolerance_rad

    def test_send_returns_what_was_sent(self, robot: Robot) -> None:
        names = robot.limits.joint_names
        target = robot.state().joint_pos + 1e-4
        sent = robot.send(JointCommand(names, target))
        assert sent.joint_pos is not None and set(names) <= set(sent.joint_names)
        assert len(sent.joint_pos) == len(sent.joint_names) and np.isfinite(sent.joint_pos).all()

    def test_what_is_sent_is_inside_the_limits(self, robot: Robot) -> None:
        limits = robot.limits
        sent = robot.send(JointCommand(limits.joint_names, limits.upper + 1.0))
        assert sent.joint_pos is not None
        for joint_name, value in zip(sent.joint_names, sent.joint_pos, strict=True):
            i = limits.joint_names.index(joint_name)
            assert limits.lower[i] - 1e-9 <= value <= limits.upper[i] + 1e-9
        robot.stop()

    def test_names_not_order_decide(self, robot: Robot) -> None:
        names = robot.limits.joint_names
        start, goal = robot.state().joint_pos, self.goal(robot)
        goal[0] = start[0] + 0.5 * (goal[0] - start[0])
        self.stream(robot, goal[[-1, 0]], self.duration_s, joint_names=(names[-1], names[0]))
        expected = start.copy()
        expected[[0, -1]] = goal[[0, -1]]
        assert np.abs(robot.state().joint_pos - expected).max() < self.goal_tolerance_rad

    def test_unknown_joint_is_refused_with_the_valid_names(self, robot: Robot) -> None:
        before = robot.state()
        with pytest.raises(ValueError, match="no_such_joint") as error:
            robot.send(JointCommand(("no_such_joint",), np.zeros(1)))
        for joint_name in robot.limits.joint_names:
            assert joint_name in str(error.value)
        self.assert_still(robot, before)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_non_finite_setpoints_are_refused_and_nothing_moves(self, robot: Robot, bad: float) -> None:
        before = robot.state()
        target = self.goal(robot)
        target[0] = bad
        with pytest.raises(ValueError, match="finite"):
            robot.send(JointCommand(robot.limits.joint_names, target))
        self.assert_still(robot, before)

    def test_wrong_shape_duplicates_and_missing_positions_are_refused(self, robot: Robot) -> None:
        before, names = robot.state(), robot.limits.joint_names
        for command in (
            JointCommand(names, np.zeros(len(names) + 1)),
            JointCommand(names, np.zeros((1, len(names)))),
            JointCommand((names[0], names[0]), before.joint_pos[[0, 0]] + self.reach_rad),
            JointCommand(names, None),
        ):
            with pytest.raises(ValueError):
                robot.send(command)
        self.assert_still(robot, before)

    # ---- gripper ------------------------------------------------------------------------------

    def test_gripper_closes_and_opens(self, robot: Robot) -> None:
        if robot.gripper_width_m is None:
            pytest.skip("the robot has no gripper")
        low, high = robot.gripper_width_m
        for width_m in (low + 0.4 * (high - low), low, high):
            sent = robot.send(JointCommand(gripper=GripperCommand(width_m, 20.0)))
            assert sent.gripper is not None and sent.gripper.width_m == pytest.approx(width_m)
            robot.sleep(2.0)
            gripper = robot.state().gripper
            assert gripper is not None and not gripper.is_moving
            assert gripper.width_m == pytest.approx(width_m, abs=self.width_tolerance_m)
            assert gripper.force_n < 1.0, "nothing is held"

    def test_gripper_targets_are_clipped_or_refused(self, robot: Robot) -> None:
        if robot.gripper_width_m is None:
            pytest.skip("the robot has no gripper")
        low, high = robot.gripper_width_m
        sent = robot.send(JointCommand(gripper=GripperCommand(high + 1.0, 20.0)))
        assert sent.gripper is not None and low <= sent.gripper.width_m <= high + 1e-9
        for gripper in (GripperCommand(np.nan, 20.0), GripperCommand(low, np.nan)):
            before = robot.state()
            with pytest.raises(ValueError):
                robot.send(JointCommand(gripper=gripper))
            self.assert_still(robot, before)

    # ---- execute ------------------------------------------------------------------------------

    def test_execute_reaches_and_reports(self, robot: Robot) -> None:
        trajectory, start_s = self.trajectory(robot), robot.clock()
        result = self.execute(robot, trajectory)
        assert result.outcome is MotionOutcome.REACHED and result.reached, result.message
        error = np.abs(robot.state().joint_pos - trajectory.joint_pos[-1]).max()
        assert error < self.goal_tolerance_rad
        assert result.final_error == pytest.approx(error, abs=self.goal_tolerance_rad)
        assert trajectory.duration_s - 1e-6 <= result.seconds <= robot.clock() - start_s + 1e-6

    def test_execute_passes_through_its_points(self, robot: Robot) -> None:
        trajectory, start_s, worst = self.trajectory(robot), robot.clock(), [0.0]

        def look() -> bool:
            planned = trajectory.at(robot.clock() - start_s)
            worst[0] = max(worst[0], float(np.abs(robot.state().joint_pos - planned).max()))
            return False

        assert self.execute(robot, trajectory, When(look)).reached
        assert 0 < worst[0] < 0.05

    def test_execute_of_some_joints_leaves_the_others(self, robot: Robot) -> None:
        names = robot.limits.joint_names
        start, goal = robot.state().joint_pos, self.goal(robot)
        some = (names[-1], names[0])
        trajectory = min_jerk(start[[-1, 0]], goal[[-1, 0]], self.duration_s, some)
        assert self.execute(robot, trajectory).reached
        expected = start.copy()
        expected[[-1, 0]] = goal[[-1, 0]]
        assert np.abs(robot.state().joint_pos - expected).max() < self.goal_tolerance_rad

    def test_execute_from_elsewhere_is_refused_and_nothing_moves(self, robot: Robot) -> None:
        before, goal = robot.state(), self.goal(robot)
        far = before.joint_pos + 3 * (goal - before.joint_pos)
        result = self.execute(robot, min_jerk(far, goal, self.duration_s, robot.limits.joint_names))
        assert result.outcome is MotionOutcome.REFUSED and result.message
        self.assert_still(robot, before)

    def test_execute_beyond_the_limits_is_refused_and_nothing_moves(self, robot: Robot) -> None:
        before, limits = robot.state(), robot.limits
        goal = before.joint_pos.copy()
        goal[0] = limits.upper[0] + 0.1
        result = self.execute(robot, min_jerk(before.joint_pos, goal, 5.0, limits.joint_names))
        assert result.outcome is MotionOutcome.REFUSED and result.message
        self.assert_still(robot, before)

    def test_cancel_in_motion_brings_it_to_rest(self, robot: Robot) -> None:
        trajectory, start = self.trajectory(robot), robot.state().joint_pos
        middle_s, seen = robot.clock() + 0.5 * trajectory.duration_s, []
        cancel = When(lambda: robot.clock() >= middle_s, lambda: seen.append(robot.state()))
        result = self.execute(robot, trajectory, cancel)
        assert result.outcome is MotionOutcome.CANCELLED
        assert np.abs(seen[0].joint_vel).max() > 0.1, "it was not moving when it was cancelled"
        assert np.abs(robot.state().joint_vel).max() < self.rest_velocity_rad_s
        way = np.abs(robot.state().joint_pos - seen[0].joint_pos).max()
        assert way < self.cancel_distance_rad
        assert np.abs(robot.state().joint_pos - start).max() > 0.3 * self.reach_rad
        assert not robot.is_stopped
        self.assert_still(robot, robot.state())

    def test_a_motion_cancelled_before_it_starts_does_not_start(self, robot: Robot) -> None:
        before, cancel = robot.state(), threading.Event()
        cancel.set()
        assert self.execute(robot, self.trajectory(robot), cancel).outcome is MotionOutcome.CANCELLED
        self.assert_still(robot, before)

    # ---- stop ---------------------------------------------------------------------------------

    def test_stop_from_another_thread_ends_a_motion(self, robot: Robot) -> None:
        trajectory, seen = self.trajectory(robot), []
        middle_s = robot.clock() + 0.5 * trajectory.duration_s

        def stop() -> None:
            seen.append(robot.state())
            self.stop_from_another_thread(robot)

        result = self.execute(robot, trajectory, When(lambda: robot.clock() >= middle_s, stop, sets=False))
        assert result.outcome is MotionOutcome.STOPPED and robot.is_stopped
        assert np.abs(seen[0].joint_vel).max() > 0.1, "it was not moving when it was stopped"
        assert np.abs(robot.state().joint_vel).max() < self.rest_velocity_rad_s, "it returned in motion"
        assert np.abs(robot.state().joint_pos - seen[0].joint_pos).max() < self.stop_distance_rad
        self.assert_still(robot, robot.state())

    def test_stop_ends_streaming(self, robot: Robot) -> None:
        trajectory, names = self.trajectory(robot), robot.limits.joint_names
        for k in range(1, round(0.5 * trajectory.duration_s / 0.01)):
            robot.send(JointCommand(names, trajectory.at(0.01 * k)))
            robot.sleep(0.01)
        before = robot.state()
        assert np.abs(before.joint_vel).max() > 0.1
        self.stop_from_another_thread(robot)
        robot.sleep(0.5)
        assert np.abs(robot.state().joint_pos - before.joint_pos).max() < self.stop_distance_rad
        assert np.abs(robot.state().joint_vel).max() < self.rest_velocity_rad_s

    def test_stop_latches(self, robot: Robot) -> None:
        trajectory = self.trajectory(robot)
        robot.stop()
        robot.stop()
        assert robot.is_stopped
        before = robot.state()
        with pytest.raises(RobotStopped):
            robot.send(JointCommand(robot.limits.joint_names, self.goal(robot)))
        assert self.execute(robot, trajectory).outcome is MotionOutcome.STOPPED
        self.assert_still(robot, before)

    def test_reset_stop_holds_the_measured_position(self, robot: Robot) -> None:
        trajectory = self.trajectory(robot)
        middle_s = robot.clock() + 0.5 * trajectory.duration_s
        self.execute(robot, trajectory, When(lambda: robot.clock() >= middle_s, robot.stop, sets=False))
        robot.sleep(0.5)
        before = robot.state()
        robot.reset_stop()
        assert not robot.is_stopped
        robot.sleep(0.5)
        self.assert_still(robot, before)
        target = before.joint_pos + 0.5 * (trajectory.joint_pos[-1] - before.joint_pos)
        self.stream(robot, target, self.duration_s)
        assert np.abs(robot.state().joint_pos - target).max() < self.goal_tolerance_rad

    def test_a_stop_after_reset_stop_stops_again(self, robot: Robot) -> None:
        robot.stop()
        robot.sleep(0.1)
        robot.reset_stop()
        goal, before = self.goal(robot), robot.state()
        robot.send(JointCommand(robot.limits.joint_names, goal))
        robot.stop()
        robot.sleep(0.5)
        assert robot.is_stopped
        assert np.abs(robot.state().joint_pos - before.joint_pos).max() < self.stop_distance_rad
        self.assert_still(robot, robot.state())

    def test_close_is_idempotent_and_final(self, robot: Robot) -> None:
        robot.close()
        robot.close()
        with pytest.raises(RuntimeError):
            robot.send(JointCommand(robot.limits.joint_names, self.goal(robot)))
