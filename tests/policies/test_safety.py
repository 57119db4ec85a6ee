"""The pure filter: whatever is asked for, what may be sent obeys every limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.robot import GripperCommand, GripperState, JointCommand, JointTrajectory, RobotState
from policies.safety import SafetyConfig, SafetyFilter, Setpoint, ViolationKind
from tests.policies.kinematic_robot import LIMITS, assert_within_limits, planar_forward

DT = 0.01
CONFIG = SafetyConfig(
    workspace_min_m=(-1, -1, -1), workspace_max_m=(1, 1, 2), lowest_point_z_m=-1, tracking_error_rad=10.0
)


def state_at(joint_pos, **fields) -> RobotState:
    fields = {"joint_vel": np.zeros(3), "joint_effort": np.zeros(3), "stamp_s": 0.0, **fields}
    return RobotState(LIMITS.joint_names, np.asarray(joint_pos, dtype=float), **fields)


def run(safety_filter, targets, start):
    """Feed targets one tick after another to a robot that follows exactly; return what was sent."""
    last, rows = Setpoint.at_rest(np.asarray(start)), []
    for target in targets:
        command = JointCommand(LIMITS.joint_names, np.asarray(target, dtype=float))
        last = safety_filter.filter(command, state_at(last.joint_pos), last, DT).setpoint
        rows.append(last.joint_pos)
    return np.array(rows), last


inside = st.tuples(*(st.floats(lo, hi) for lo, hi in zip(LIMITS.lower, LIMITS.upper, strict=True)))
anything = st.tuples(*[st.floats(-1e300, 1e300)] * 3)


@settings(max_examples=150, deadline=None)
@given(start=inside, targets=st.lists(st.one_of(anything, inside), min_size=1, max_size=40))
def test_any_sequence_of_targets_stays_within_limits(start, targets):
    rows, _ = run(SafetyFilter(LIMITS, CONFIG), targets, start)
    assert_within_limits(np.arange(len(rows)) * DT, rows, start, LIMITS, DT)


@settings(max_examples=100, deadline=None)
@given(start=inside, steps=st.lists(st.tuples(inside, anything), min_size=1, max_size=40))
def test_any_feedforward_stays_within_limits(start, steps):
    safety_filter, last, rows = SafetyFilter(LIMITS, CONFIG), Setpoint.at_rest(np.asarray(start)), []
    for target, feedforward in [step for step in steps for _ in range(10)]:
        last, _ = safety_filter.limit(np.asarray(target), last, DT, feedforward=np.asarray(feedforward))
        rows.append(last.joint_pos)
    assert_within_limits(np.arange(len(rows)) * DT, np.array(rows), start, LIMITS, DT)


@settings(max_examples=100, deadline=None)
@given(start=inside, targets=st.lists(inside, min_size=1, max_size=30), scale=st.floats(0.1, 1.0))
def test_scales_tighten_the_limits(start, targets, scale):
    safety_filter = SafetyFilter(LIMITS, replace(CONFIG, velocity_scale=scale, acceleration_scale=scale))
    rows, _ = run(safety_filter, targets, start)
    tight = replace(LIMITS, velocity=LIMITS.velocity * scale, acceleration=LIMITS.acceleration * scale)
    assert_within_limits(np.arange(len(rows)) * DT, rows, start, tight, DT)


@settings(max_examples=30, deadline=None)
@given(start=inside, target=inside)
def test_resting_target_is_reached_without_passing_it(start, target):
    rows, last = run(SafetyFilter(LIMITS, CONFIG), [target] * 700, start)
    np.testing.assert_allclose(last.joint_pos, target, atol=1e-9)
    np.testing.assert_allclose(last.joint_vel, 0.0, atol=1e-6)
    side = np.sign(np.asarray(target) - np.asarray(start))
    assert ((np.asarray(target) - rows) * side >= -1e-9).all()


@settings(max_examples=100, deadline=None)
@given(start=inside, targets=st.lists(inside, min_size=1, max_size=40))
def test_workspace_holds_at_every_setpoint_and_where_it_would_stop(start, targets):
    floor_m = 0.45
    config = replace(CONFIG, lowest_point_z_m=floor_m)
    safety_filter = SafetyFilter(
        LIMITS, config, lowest_point=lambda q, width_m: planar_forward(q).position_m[2]
    )
    depth_m = max(0.0, floor_m - planar_forward(start).position_m[2])
    last = Setpoint.at_rest(np.asarray(start))
    for target in [t for t in targets for _ in range(8)]:
        command = JointCommand(LIMITS.joint_names, np.asarray(target))
        last = safety_filter.filter(command, state_at(last.joint_pos), last, DT).setpoint
        stopping = safety_filter.rest_position(last, DT)
        now_m = max(0.0, floor_m - planar_forward(stopping).position_m[2])
        assert now_m <= depth_m + 1e-6  # never deeper than it was
        depth_m = min(depth_m, now_m) if not last.joint_vel.any() else max(depth_m, now_m)


@pytest.mark.parametrize(
    ("sensed_m", "asked_m", "is_refused"),
    [
        (0.02, None, False),
        (0.02, 0.02, False),
        (0.02, 0.08, True),  # about to open
        (0.08, 0.02, True),  # still open, or held open
        (0.08, None, True),
        (None, 0.02, False),
        (None, 0.08, True),
        (np.nan, 0.02, False),
        (None, None, True),  # whatever it may be
    ],
)
def test_sensed_and_asked_openings_both_count(sensed_m, asked_m, is_refused):
    """Fingers that reach lower the wider they open: 5 cm above the floor closed, 3 cm below it at 0.08 m."""
    safety_filter = SafetyFilter(
        LIMITS,
        replace(CONFIG, lowest_point_z_m=0.0),
        gripper_width_m=(0.0, 0.08),
        lowest_point=lambda q, width_m: 0.05 - width_m - 0.001 * q[0],
    )
    gripper = None if sensed_m is None else GripperState(sensed_m, 0.0, False)
    state, last = state_at(np.zeros(3), gripper=gripper), Setpoint.at_rest(np.zeros(3))
    target = np.array([0.5, 0.0, 0.0])
    last = last if asked_m is None else replace(last, gripper=GripperCommand(asked_m))
    sent = safety_filter.filter(JointCommand(LIMITS.joint_names, target), state, last, DT)
    assert (ViolationKind.WORKSPACE in {v.kind for v in sent.violations}) == is_refused
    assert sent.setpoint.joint_vel.any() == (not is_refused)
    limited, _ = safety_filter.limit(target, last, DT, state=state)
    assert limited.joint_vel.any() == (not is_refused)
    motion = JointTrajectory(
        LIMITS.joint_names, np.array([0.0, 2.0]), np.array([np.zeros(3), target]), np.zeros((2, 3))
    )
    found = {v.kind for v in safety_filter.check_trajectory(motion, state, last)}
    assert found == ({ViolationKind.WORKSPACE} if is_refused else set())


def test_an_opening_asked_for_with_the_step_counts_at_once():
    safety_filter = SafetyFilter(
        LIMITS,
        replace(CONFIG, lowest_point_z_m=0.0),
        gripper_width_m=(0.0, 0.08),
        lowest_point=lambda q, width_m: 0.05 - width_m - 0.001 * q[0],
    )
    state = state_at(np.zeros(3), gripper=GripperState(0.02, 0.0, False))
    command = JointCommand(("a",), np.array([0.5]), GripperCommand(0.08))
    result = safety_filter.filter(command, state, Setpoint.at_rest(np.zeros(3)), DT)
    assert not result.setpoint.joint_vel.any() and result.setpoint.gripper == GripperCommand(0.08)


def test_setpoint_that_leaves_the_workspace_is_refused_and_the_last_is_held():
    safety_filter = SafetyFilter(LIMITS, replace(CONFIG, workspace_max_m=(1, 1, 0.6)), forward=planar_forward)
    last = Setpoint.at_rest(np.zeros(3))
    for _ in range(300):
        command = JointCommand(("a",), np.array([0.5]))
        result = safety_filter.filter(command, state_at(last.joint_pos), last, DT)
        last = result.setpoint
    assert ViolationKind.WORKSPACE in {v.kind for v in result.violations}
    assert 0.58 < planar_forward(last.joint_pos).position_m[2] <= 0.6
    assert not last.joint_vel.any()


def test_outside_the_workspace_only_the_way_back_is_open():
    safety_filter = SafetyFilter(LIMITS, replace(CONFIG, workspace_max_m=(1, 1, 0.6)), forward=planar_forward)
    start = np.array([0.5, 0.0, 0.1])  # z = 0.5 + 0.7 sin(0.5) = 0.836 m
    outwards, _ = run(safety_filter, [[0.6, 0, 0.1]] * 50, start)
    np.testing.assert_array_equal(outwards[-1], start)
    inwards, _ = run(safety_filter, [[0.0, 0, 0.1]] * 100, start)
    np.testing.assert_allclose(inwards[-1], [0, 0, 0.1], atol=1e-9)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (JointCommand(("a",), np.array([np.nan])), "non-finite"),
        (JointCommand(("a",), np.array([np.inf])), "non-finite"),
        (JointCommand(("elbow",), np.array([0.0])), "unknown joint 'elbow'; joints: a, b, c"),
        (JointCommand(("a", "b"), np.array([0.0])), "shape"),
        (JointCommand(("a", "a"), np.array([0.0, 0.0])), "duplicate"),
        (JointCommand(gripper=GripperCommand(float("nan"))), "gripper"),
    ],
)
def test_malformed_commands_are_refused(command, message):
    with pytest.raises(ValueError, match=message):
        SafetyFilter(LIMITS, CONFIG, gripper_width_m=(0, 0.08)).filter(
            command, state_at([0, 0, 0.1]), Setpoint.at_rest(np.array([0, 0, 0.1])), DT
        )


def test_unnamed_joints_come_to_rest():
    safety_filter = SafetyFilter(LIMITS, CONFIG)
    moving = Setpoint(np.array([0.0, 0.0, 0.1]), np.array([1.0, 0.0, 0.0]))
    # Braking 1 rad/s at 10 rad/s^2 in steps of 0.01 s: (0.9 + 0.8 + ... + 0.1 + 0) * 0.01 = 0.045 rad.
    np.testing.assert_allclose(safety_filter.rest_position(moving, DT), [0.045, 0, 0.1], atol=1e-12)
    last = moving
    for _ in range(12):
        command = JointCommand(("b",), np.array([0.2]))
        last = safety_filter.filter(command, state_at(last.joint_pos), last, DT).setpoint
    assert last.joint_pos[0] == pytest.approx(0.045) and last.joint_vel[0] == pytest.approx(0.0, abs=1e-12)


def test_moving_target_within_limits_is_followed_without_lag():
    safety_filter, last = SafetyFilter(LIMITS, CONFIG), Setpoint.at_rest(np.zeros(3))
    before = np.zeros(3)
    for k in range(1, 200):
        target = np.array([0.5 * (1 - np.cos(0.02 * k)), 0.0, 0.0])  # peaks: 1 rad/s, 2 rad/s^2
        last, violations = safety_filter.limit(target, last, DT, feedforward=(target - before) / DT)
        np.testing.assert_allclose(last.joint_pos, target, atol=1e-12)
        assert not violations
        before = target


def test_gripper_is_clamped():
    safety_filter = SafetyFilter(LIMITS, CONFIG, gripper_width_m=(0.0, 0.08))
    clamped, violations = safety_filter.clamp_gripper(GripperCommand(0.5, 500.0))
    assert clamped == GripperCommand(0.08, CONFIG.max_gripper_force_n)
    assert [v.kind for v in violations] == [ViolationKind.GRIPPER]
    assert safety_filter.clamp_gripper(GripperCommand(0.02, 20.0)) == (GripperCommand(0.02, 20.0), ())
    none, violations = SafetyFilter(LIMITS, CONFIG).clamp_gripper(GripperCommand(0.02))
    assert none is None and len(violations) == 1


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (state_at([0.5, 0, 0.1]), ViolationKind.TRACKING),
        (state_at([0.1, 0, 0.1], external_force_n=1000.0), ViolationKind.CONTACT),
    ],
)
def test_setpoint_yields_to_the_measured_position_in_trouble(state, kind):
    safety_filter = SafetyFilter(LIMITS, replace(CONFIG, tracking_error_rad=0.2))
    last = Setpoint.at_rest(np.array([0.0, 0.0, 0.1]))
    result = safety_filter.filter(JointCommand(("a",), np.array([-1.0])), state, last, DT)
    assert [v.kind for v in result.violations if v.kind is kind]
    assert result.setpoint.joint_vel[0] > 0  # towards where it is, not where it was told to go


def trajectory(times_s, rows) -> JointTrajectory:
    rows = np.asarray(rows, dtype=float)
    return JointTrajectory(LIMITS.joint_names, np.asarray(times_s, dtype=float), rows, np.zeros_like(rows))


def check(safety_filter, motion, start=(0, 0, 0.1)):
    measured = np.asarray(start, dtype=float)
    violations = safety_filter.check_trajectory(motion, state_at(measured), Setpoint.at_rest(measured))
    return {v.kind for v in violations}


def test_whole_trajectories():
    # A cubic from rest to rest over d in T: peak speed 1.5 d / T, peak acceleration 6 d / T^2.
    safety_filter = SafetyFilter(LIMITS, CONFIG, forward=planar_forward)
    start = [0, 0, 0.1]
    assert check(safety_filter, trajectory([0, 2.0], [start, [1.0, 0.5, 0.3]])) == set()
    assert check(safety_filter, trajectory([0, 0.6], [start, [1.0, 0, 0.1]])) >= {ViolationKind.VELOCITY}
    # 0.1 rad in 0.2 s: 0.75 rad/s is fine, 15 rad/s^2 is not.
    assert check(safety_filter, trajectory([0, 0.2], [start, [0.1, 0, 0.1]])) == {ViolationKind.ACCELERATION}
    assert check(safety_filter, trajectory([0, 9.0], [start, [0, 0, 0.6]])) == {ViolationKind.POSITION}
    assert check(safety_filter, trajectory([0, 2.0], [[0.1, 0, 0.1], [0.2, 0, 0.1]])) == {ViolationKind.START}
    nan = np.array([np.nan, 0, 0.1])
    assert check(safety_filter, trajectory([0, 2.0], [start, start]), nan) == {ViolationKind.STALE}
    low = SafetyFilter(LIMITS, replace(CONFIG, workspace_max_m=(1, 1, 0.6)), forward=planar_forward)
    up_and_back = trajectory([0, 2.0, 4.0], [start, [0.5, 0, 0.1], start])
    assert check(safety_filter, up_and_back) == set()
    assert check(low, up_and_back) == {ViolationKind.WORKSPACE}


def test_trajectory_must_end_at_rest():
    rows = np.array([[0, 0, 0.1], [1.0, 0, 0.1]])
    vel = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    motion = JointTrajectory(LIMITS.joint_names, np.array([0, 2.0]), rows, vel)
    assert check(SafetyFilter(LIMITS, CONFIG), motion) == {ViolationKind.ACCELERATION}


def test_trajectory_of_unknown_joint_is_refused():
    motion = JointTrajectory(("elbow",), np.array([0, 1.0]), np.zeros((2, 1)), np.zeros((2, 1)))
    assert check(SafetyFilter(LIMITS, CONFIG), motion) == {ViolationKind.INVALID}


@pytest.mark.parametrize(
    "fields",
    [
        {"velocity_scale": 0.0},
        {"acceleration_scale": 1.5},
        {"max_external_force_n": float("inf")},
        {"tracking_error_rad": float("nan")},
        {"workspace_min_m": (1, 0, 0), "workspace_max_m": (0, 1, 1)},
        {"contact_grace_s": -1.0},
        {"lowest_point_z_m": float("nan")},
    ],
)
def test_config_that_switches_a_check_off_is_refused(fields):
    with pytest.raises(ValueError, match="SafetyConfig"):
        SafetyConfig(**fields)


@pytest.mark.parametrize("field", ["lower", "upper", "velocity", "acceleration", "effort"])
def test_limits_that_are_no_numbers_are_refused(field):
    """With them every comparison is false, and nothing would be limited."""
    with pytest.raises(ValueError, match=f"JointLimits.{field} holds what is no number"):
        replace(LIMITS, **{field: np.array([0.5, np.nan, 0.5])})
