"""`SafeRobot` over a recording driver: nothing unsafe reaches it, and outcomes are sensed."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.robot import (
    GripperCommand,
    GripperState,
    JointCommand,
    JointTrajectory,
    MotionOutcome,
    Robot,
    RobotStopped,
)
from policies.safe_robot import RobotBusy, SafeRobot
from policies.safety import SafetyConfig, SafetyFilter
from tests.policies.kinematic_robot import LIMITS, KinematicRobot, assert_within_limits, planar_forward

CONFIG = SafetyConfig(workspace_min_m=(-1, -1, -1), workspace_max_m=(1, 1, 2), lowest_point_z_m=-1)
START = np.array([0.0, 0.0, 0.1])
GOAL = np.array([0.6, -0.3, 0.3])


def wrap(driver, config=CONFIG, forward=planar_forward) -> SafeRobot:
    width_m = driver.gripper_width_m
    return SafeRobot(driver, SafetyFilter(driver.limits, config, gripper_width_m=width_m, forward=forward))


def cubic(goal=GOAL, duration_s=2.0, start=START) -> JointTrajectory:
    rows = np.array([start, goal], dtype=float)
    return JointTrajectory(LIMITS.joint_names, np.array([0, duration_s]), rows, np.zeros((2, 3)))


def assert_driver_was_safe(driver, start=START) -> None:
    times_s, rows = driver.setpoints()
    assert_within_limits(times_s, rows, start, driver.limits, CONFIG.control_period_s)


# ---- send -----------------------------------------------------------------------------------------

numbers = st.one_of(
    st.floats(-3, 3), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([1e300, -1e300])
)
commands = st.builds(
    lambda names, values, gripper: JointCommand(
        tuple(names), np.array(values[: len(names)]) if names else None, gripper
    ),
    st.lists(st.sampled_from(["a", "b", "c", "elbow"]), max_size=4),
    st.lists(numbers, min_size=4, max_size=4),
    st.one_of(st.none(), st.builds(GripperCommand, numbers, numbers)),
)
pauses = st.sampled_from([0.0, 0.003, 0.01, 0.05, 0.3])


@settings(max_examples=120, deadline=None)
@given(
    script=st.lists(st.tuples(commands, pauses), min_size=1, max_size=25),
    lag_s=st.sampled_from([0.0, 0.05]),
)
def test_whatever_is_sent_the_driver_sees_only_safe_setpoints(script, lag_s):
    driver = KinematicRobot(lag_s=lag_s)
    robot = wrap(driver)
    for command, pause_s in script:
        try:
            robot.send(command)
        except ValueError:
            assert robot.violations["invalid"] > 0
        robot.sleep(pause_s)
    assert_driver_was_safe(driver)
    for _, command in driver.sent:
        if command.gripper is not None:
            assert 0.0 <= command.gripper.width_m <= 0.08
            assert 0.0 <= command.gripper.force_n <= CONFIG.max_gripper_force_n


@settings(max_examples=60, deadline=None)
@given(
    goal=st.tuples(*(st.floats(lo, hi) for lo, hi in zip(LIMITS.lower, LIMITS.upper, strict=True))),
    duration_s=st.floats(0.2, 5.0),
    cancel_after_s=st.one_of(st.none(), st.floats(0.0, 3.0)),
)
def test_whatever_is_executed_the_driver_sees_only_safe_setpoints(goal, duration_s, cancel_after_s):
    cancel = threading.Event()

    class Cancelling(KinematicRobot):
        def sleep(self, dt_s):
            super().sleep(dt_s)
            if cancel_after_s is not None and self.clock() >= cancel_after_s:
                cancel.set()

    driver = Cancelling()
    result = wrap(driver).execute(cubic(goal, duration_s), cancel)
    assert_driver_was_safe(driver)
    if result.outcome is MotionOutcome.REFUSED:
        assert not driver.sent and result.message
    elif result.outcome is MotionOutcome.CANCELLED:
        assert np.abs(driver.state().joint_vel).max() < CONFIG.rest_velocity_rad_s
    else:
        assert result.reached and result.final_error <= CONFIG.goal_tolerance_rad


def test_send_returns_the_first_step_and_sleep_goes_on_to_the_target():
    driver = KinematicRobot()
    robot = wrap(driver)
    sent = robot.send(JointCommand(("a",), np.array([0.5])))
    # The first step from rest: half a step beyond a dt^2 is braking-limited, below 10 * 0.01^2 = 1 mrad.
    assert 0 < sent.joint_pos[0] <= 0.001 + 1e-12
    robot.sleep(2.0)
    np.testing.assert_allclose(robot.state().joint_pos, [0.5, 0.0, 0.1], atol=1e-9)
    assert robot.clock() == pytest.approx(2.0, abs=0.002)


def test_slow_sender_loses_no_speed():
    driver = KinematicRobot()
    robot = wrap(driver)
    for _ in range(10):  # 10 Hz
        robot.send(JointCommand(("a",), np.array([1.5])))
        robot.sleep(0.1)
    # At 2 rad/s and 10 rad/s^2: 1.5 rad takes 0.75 s + 0.2 s.
    np.testing.assert_allclose(robot.state().joint_pos[0], 1.5, atol=0.02)


def test_sender_that_falls_silent_starts_again_from_rest():
    driver = KinematicRobot()
    robot = wrap(driver)
    for _ in range(10):
        robot.send(JointCommand(("a",), np.array([1.5])))
        driver.sleep(0.01)  # on the driver's clock: nobody streams on
    driver.sleep(1.0)
    robot.send(JointCommand(("a",), np.array([1.5])))
    _, rows = driver.setpoints()
    assert rows[-2, 0] - rows[-3, 0] > 0.005  # was moving
    assert 0 < rows[-1, 0] - rows[-2, 0] <= 0.001 + 1e-12  # one step at 10 rad/s^2 from rest


def test_malformed_command_raises_counts_and_sends_nothing():
    driver = KinematicRobot()
    robot = wrap(driver)
    with pytest.raises(ValueError, match="unknown joint 'elbow'"):
        robot.send(JointCommand(("elbow",), np.array([0.0])))
    assert robot.violations == {"invalid": 1} and not driver.sent
    assert "elbow" in robot.violation_log[0][1].message


def test_gripper_command_leaves_the_arm_alone():
    driver = KinematicRobot()
    robot = wrap(driver)
    assert robot.send(JointCommand(gripper=GripperCommand(1.0, 1e6))).gripper == GripperCommand(0.08, 70.0)
    assert robot.violations == {"gripper": 1}
    assert [c.joint_names for _, c in driver.sent] == [()]


def test_blocked_joint_does_not_wind_up():
    driver = KinematicRobot(is_blocked=lambda t: True)
    robot = wrap(driver)
    robot.send(JointCommand(("a",), np.array([1.5])))
    robot.sleep(5.0)
    lead = max(abs(c.joint_pos[0]) for _, c in driver.sent)
    braking = LIMITS.velocity[0] ** 2 / (2 * LIMITS.acceleration[0])
    assert lead <= CONFIG.tracking_error_rad + braking + 0.03
    assert robot.violations["tracking"] > 0
    assert_driver_was_safe(driver)


def test_stale_state_brings_to_rest():
    driver = KinematicRobot()
    robot = wrap(driver)
    robot.send(JointCommand(("a",), np.array([1.5])))
    robot.sleep(0.3)
    driver.state_age_s = 10.0
    robot.sleep(0.5)
    held = robot.state().joint_pos[0]
    robot.sleep(0.5)
    assert robot.state().joint_pos[0] == held < 1.0
    assert robot.violations["stale"] > 0
    assert_driver_was_safe(driver)


# ---- execute --------------------------------------------------------------------------------------


def test_execute_follows_exactly_and_senses_the_goal():
    driver = KinematicRobot()
    robot = wrap(driver)
    result = robot.execute(cubic(), threading.Event())
    assert result.reached and result.final_error <= 1e-9 and math.isnan(result.peak_force_n)
    assert result.seconds == pytest.approx(2.0, abs=0.05)
    _, rows = driver.setpoints()
    expected = np.array([cubic().at(0.01 * (k + 1)) for k in range(200)])
    np.testing.assert_allclose(rows[:200], expected, atol=1e-9)
    assert robot.violations == {}
    assert_driver_was_safe(driver)


def test_execute_waits_for_a_robot_that_lags():
    result = wrap(KinematicRobot(lag_s=0.1)).execute(cubic(), threading.Event())
    assert result.reached and 0 < result.final_error <= CONFIG.goal_tolerance_rad and result.seconds > 2.05


def test_violating_trajectory_is_refused_whole():
    driver = KinematicRobot()
    result = wrap(driver).execute(cubic(duration_s=0.3), threading.Event())
    assert result.outcome is MotionOutcome.REFUSED and "velocity" in result.message
    assert not driver.sent and driver.clock() == 0.0


def test_other_joints_stay():
    driver = KinematicRobot()
    motion = JointTrajectory(("b",), np.array([0, 2.0]), np.array([[0.0], [0.5]]), np.zeros((2, 1)))
    assert wrap(driver).execute(motion, threading.Event()).reached
    np.testing.assert_allclose(driver.state().joint_pos, [0, 0.5, 0.1], atol=1e-9)


class Acting(KinematicRobot):
    """Calls `act` once, when its clock passes `at_s`."""

    def __init__(self, at_s, act, **kwargs):
        super().__init__(**kwargs)
        self._at_s, self._act = at_s, act

    def sleep(self, dt_s):
        super().sleep(dt_s)
        if self._act is not None and self.clock() >= self._at_s:
            act, self._act = self._act, None
            act(self)


def test_cancel_brakes_on_the_path():
    cancel = threading.Event()
    driver = Acting(1.0, lambda _: cancel.set())
    result = wrap(driver).execute(cubic(), cancel)
    assert result.outcome is MotionOutcome.CANCELLED and result.final_error > 0.1
    _, rows = driver.setpoints()
    # The straight line start-goal in joint space is the path: every setpoint must lie on it.
    fraction = (rows - START) / (GOAL - START)
    np.testing.assert_allclose(fraction, fraction[:, :1] * np.ones(3), atol=1e-9)
    assert (np.diff(fraction[:, 0]) >= -1e-12).all()
    # Half way at 1.5 * 0.6 / 2 = 0.45 rad/s and 10 rad/s^2: well under 0.1 s to rest.
    assert driver.clock() < 1.3
    assert np.abs(driver.state().joint_vel).max() < CONFIG.rest_velocity_rad_s
    assert_driver_was_safe(driver)


def test_cancel_before_the_start_moves_nothing():
    cancel = threading.Event()
    cancel.set()
    driver = KinematicRobot()
    assert wrap(driver).execute(cubic(), cancel).outcome is MotionOutcome.CANCELLED
    np.testing.assert_allclose(driver.state().joint_pos, START, atol=1e-12)


def test_stop_from_another_thread_ends_motion_and_latches():
    started, robot = threading.Event(), None

    def stop_from_elsewhere(_):
        thread = threading.Thread(target=robot.stop)
        thread.start()
        thread.join()
        started.set()

    driver = Acting(0.5, stop_from_elsewhere)
    robot = wrap(driver)
    result = robot.execute(cubic(), threading.Event())
    assert started.is_set() and result.outcome is MotionOutcome.STOPPED and robot.is_stopped
    sent = len(driver.sent)
    with pytest.raises(RobotStopped):
        robot.send(JointCommand(("a",), np.array([0.1])))
    assert robot.execute(cubic(), threading.Event()).outcome is MotionOutcome.STOPPED
    robot.sleep(0.2)
    assert len(driver.sent) == sent
    robot.reset_stop()
    robot.send(JointCommand(("a",), robot.state().joint_pos[:1] + 0.1))
    robot.sleep(1.0)
    assert len(driver.sent) > sent


def test_stop_while_sleeping_towards_a_setpoint():
    driver = Acting(0.1, lambda d: d.stop())
    robot = wrap(driver)
    robot.send(JointCommand(("a",), np.array([1.5])))
    robot.sleep(1.0)
    assert robot.is_stopped and robot.clock() >= 1.0 and robot.state().joint_pos[0] < 0.3


def wall_at(a_rad, stiffness=400.0):
    """External force of a spring in front of joint a [N]."""
    return lambda t, q: stiffness * max(0.0, q[0] - a_rad)


def test_contact_ends_the_motion_and_lets_go():
    driver = KinematicRobot(force_n=wall_at(0.2))
    result = wrap(driver).execute(cubic(), threading.Event())
    assert result.outcome is MotionOutcome.CONTACT and "40.0 N" in result.message
    # 40 N at 400 N/rad: 0.1 rad into the wall; two ticks and braking at 0.45 rad/s add some.
    assert 40.0 < result.peak_force_n < 60.0
    assert driver.state().joint_pos[0] < 0.36
    assert np.abs(driver.state().joint_vel).max() < CONFIG.rest_velocity_rad_s
    assert_driver_was_safe(driver)


def test_guarded_motion_stops_at_its_own_lower_force():
    driver = KinematicRobot(force_n=wall_at(0.2))
    robot = wrap(driver)
    result = robot.execute(cubic(duration_s=6.0), threading.Event(), max_force_n=5.0)
    assert result.outcome is MotionOutcome.CONTACT and 5.0 < result.peak_force_n < 9.0
    assert robot.violations == {}  # asked for, not prevented


def test_guard_cannot_be_raised_above_the_config():
    driver = KinematicRobot(force_n=wall_at(0.2))
    result = wrap(driver).execute(cubic(), threading.Event(), max_force_n=1e9)
    assert result.outcome is MotionOutcome.CONTACT and result.peak_force_n < 60.0


@pytest.mark.parametrize("limit_n", [float("nan"), 0.0, -1.0])
def test_a_guard_that_is_no_number_is_refused(limit_n):
    """No force is above NaN."""
    driver = KinematicRobot()
    with pytest.raises(ValueError, match="max_force_n is"):
        wrap(driver).execute(cubic(np.full(3, 0.1), 1.0), threading.Event(), max_force_n=limit_n)
    assert not driver.sent


@pytest.mark.parametrize("bad", ["times_s", "joint_pos", "joint_vel"])
def test_a_trajectory_of_what_is_no_number_can_not_be_made(bad):
    good = cubic(np.full(3, 0.1), 1.0)
    fields = {name: getattr(good, name).copy() for name in ("times_s", "joint_pos", "joint_vel")}
    fields[bad][-1] = np.nan
    with pytest.raises(ValueError, match=r"non-finite|strictly increasing"):
        JointTrajectory(good.joint_names, **fields)


def test_motion_out_of_contact_is_possible():
    driver = KinematicRobot(force_n=wall_at(0.2), start=(0.35, 0.0, 0.1))  # 60 N
    robot = wrap(driver)
    into = cubic([0.7, 0, 0.1], start=driver.state().joint_pos)
    assert robot.execute(into, threading.Event()).outcome is MotionOutcome.CONTACT
    driver = KinematicRobot(force_n=wall_at(0.2), start=(0.35, 0.0, 0.1))
    out = cubic([0.0, 0, 0.1], duration_s=1.0, start=driver.state().joint_pos)
    assert wrap(driver).execute(out, threading.Event()).reached


def test_single_force_reading_is_no_contact():
    driver = KinematicRobot(force_n=lambda t, q: 500.0 if 0.9945 < t < 1.0005 else 0.0)
    assert wrap(driver).execute(cubic(), threading.Event()).reached


def test_lost_tracking_ends_the_motion():
    driver = KinematicRobot(is_blocked=lambda t: t > 0.5)
    result = wrap(driver).execute(cubic(), threading.Event())
    assert result.outcome is MotionOutcome.TRACKING and "a is" in result.message
    assert_driver_was_safe(driver)


def test_goal_that_is_not_reached_is_said_so():
    driver = KinematicRobot(is_blocked=lambda t: t > 1.75)  # 0.03 rad short of the goal
    result = wrap(driver).execute(cubic(), threading.Event())
    assert result.outcome is MotionOutcome.TRACKING and "from the goal" in result.message
    assert result.final_error > CONFIG.goal_tolerance_rad


def test_stale_state_refuses_at_the_start_and_ends_under_way():
    driver = KinematicRobot()
    driver.state_age_s = 5.0
    assert wrap(driver).execute(cubic(), threading.Event()).outcome is MotionOutcome.REFUSED
    driver = Acting(0.5, lambda d: setattr(d, "state_age_s", 5.0))
    result = wrap(driver).execute(cubic(), threading.Event())
    assert result.outcome is MotionOutcome.TRACKING and "stale" in result.message
    assert_driver_was_safe(driver)


def test_ctrl_c_stops_the_robot():
    def interrupt(_):
        raise KeyboardInterrupt

    driver = Acting(0.5, interrupt)
    robot = wrap(driver)
    with pytest.raises(KeyboardInterrupt):
        robot.execute(cubic(), threading.Event())
    assert robot.is_stopped


def test_one_motion_at_a_time():
    outcomes, robot = [], None

    def meanwhile(_):
        outcomes.append(robot.execute(cubic(), threading.Event()).outcome)
        with pytest.raises(RobotBusy):
            robot.send(JointCommand(("a",), np.array([0.0])))
        robot.send(JointCommand(gripper=GripperCommand(0.02)))  # fingers may move meanwhile

    driver = Acting(0.5, meanwhile)
    robot = wrap(driver)
    assert robot.execute(cubic(), threading.Event()).reached
    assert outcomes == [MotionOutcome.REFUSED]
    assert driver.state().gripper.width_m == 0.02


def stream(robot, with_velocity, duration_s=2.0):
    """Send a whole motion setpoint by setpoint, each for the end of its tick; return the lag."""
    path, lag = cubic(duration_s=duration_s), 0.0
    for k in range(1, round(duration_s / 0.01) + 1):
        joint_vel = (path.at(0.01 * k) - path.at(0.01 * (k - 1))) / 0.01
        sent = robot.send(
            JointCommand(LIMITS.joint_names, path.at(0.01 * k)),
            joint_vel=joint_vel if with_velocity else None,
        )
        lag = max(lag, np.abs(sent.joint_pos - path.at(0.01 * k)).max())
        robot.sleep(0.01)
    return lag


def test_a_stream_that_tells_its_velocity_is_followed_without_lag():
    driver = KinematicRobot(start=START)
    robot = wrap(driver)
    assert stream(robot, with_velocity=True) < 1e-6
    np.testing.assert_allclose(driver.state().joint_pos, GOAL, atol=1e-3)
    assert_driver_was_safe(driver)
    assert stream(wrap(KinematicRobot(start=START)), with_velocity=False) > 0.01  # it brakes for each


def test_a_stream_that_ends_in_motion_comes_to_rest_on_its_last_setpoint():
    driver = KinematicRobot(start=START)
    robot = wrap(driver)
    path = cubic()
    for k in range(1, 101):
        robot.send(JointCommand(LIMITS.joint_names, path.at(0.01 * k)), joint_vel=(GOAL - START) * 0.75)
        robot.sleep(0.01)
    robot.sleep(1.0)
    np.testing.assert_allclose(driver.state().joint_pos, path.at(1.0), atol=1e-6)
    assert_driver_was_safe(driver)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_whatever_velocity_is_told_nothing_unsafe_is_sent(asked):
    driver = KinematicRobot(start=START)
    robot = wrap(driver)
    for position, velocity in asked:
        command = JointCommand(("a", "b"), np.array([position, -position]))
        joint_vel = np.array([velocity, velocity])
        if np.isfinite([position, velocity]).all():
            robot.send(command, joint_vel=joint_vel)
        else:
            with pytest.raises(ValueError, match="finite"):
                robot.send(command, joint_vel=joint_vel)
        robot.sleep(0.01)
    assert_driver_was_safe(driver)


def test_a_check_that_takes_long_on_a_real_clock_makes_no_state_stale():
    driver = KinematicRobot(start=START)
    robot = wrap(driver, forward=lambda q: (driver.sleep(0.005), planar_forward(q))[1])  # 200 samples: 1 s
    assert robot.execute(cubic(), threading.Event()).outcome is not MotionOutcome.REFUSED
    frozen = Frozen(start=START)
    robot = wrap(frozen, forward=lambda q: (frozen.sleep(0.005), planar_forward(q))[1])
    result = robot.execute(cubic(), threading.Event())
    assert result.outcome is MotionOutcome.REFUSED and "stale" in result.message


class Frozen(KinematicRobot):
    """Its state is that of time 0 for ever."""

    def state(self):
        return replace(super().state(), stamp_s=0.0)


# ---- the wrapper ----------------------------------------------------------------------------------


def test_driver_is_not_reachable_by_a_public_attribute():
    driver = KinematicRobot()
    robot = wrap(driver)
    assert isinstance(robot, Robot)
    for name in [n for n in dir(robot) if not n.startswith("_")]:
        value = getattr(robot, name)
        assert value is not driver and getattr(value, "__self__", robot) is robot


def test_limits_are_the_scaled_ones():
    robot = wrap(KinematicRobot(), replace(CONFIG, velocity_scale=0.5, acceleration_scale=0.25))
    np.testing.assert_allclose(robot.limits.velocity, LIMITS.velocity * 0.5)
    np.testing.assert_allclose(robot.limits.acceleration, LIMITS.acceleration * 0.25)
    np.testing.assert_array_equal(robot.limits.upper, LIMITS.upper)


def test_wrapping_twice_or_the_wrong_robot_is_refused():
    robot = wrap(KinematicRobot())
    with pytest.raises(ValueError, match="already"):
        wrap(robot)
    other = SafetyFilter(replace(LIMITS, joint_names=("x", "y", "z")))
    with pytest.raises(ValueError, match="joints"):
        SafeRobot(KinematicRobot(), other)


def test_close_reaches_the_driver():
    driver = KinematicRobot()
    robot = wrap(driver)
    robot.close()
    robot.close()
    assert driver.is_closed


def test_the_gripper_target_is_known_to_the_filter_before_the_fingers_move():
    class Slow(KinematicRobot):
        def state(self):
            return replace(super().state(), gripper=GripperState(0.02, 0.0, True))

    driver = Slow(start=START)
    safety_filter = SafetyFilter(
        LIMITS,
        replace(CONFIG, lowest_point_z_m=0.0),
        gripper_width_m=driver.gripper_width_m,
        lowest_point=lambda q, width_m: 0.05 - width_m - 0.01 * q[0],
    )
    robot = SafeRobot(driver, safety_filter)
    robot.send(JointCommand(gripper=GripperCommand(0.08)))
    assert robot.execute(cubic(), threading.Event()).outcome is MotionOutcome.REFUSED
    robot.send(JointCommand(LIMITS.joint_names, GOAL))
    robot.sleep(0.5)
    np.testing.assert_array_equal(robot.state().joint_pos, START)
    robot.stop()
    robot.reset_stop()  # the fingers stay where they were: that target is void
    assert robot.execute(cubic(), threading.Event()).reached
