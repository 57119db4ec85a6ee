"""Joints that hold things by pressing: the filter never lets go of what they hold."""

import numpy as np
import pytest

from policies.robot import JointLimits, RobotState
from policies.safety import SafetyConfig, SafetyFilter, Setpoint, ViolationKind

LIMITS = JointLimits(
    ("arm", "finger"), *(np.array(v) for v in ([-2.0] * 2, [2.0] * 2, [1.0] * 2, [10.0] * 2)),
    jerk=np.full(2, 1e3), effort=np.full(2, 10.0),
)  # fmt: skip
FILTER = SafetyFilter(LIMITS, SafetyConfig(pressing_joints=("finger",), pressing_error_rad=0.5))


def state(joint_pos, target=None):
    at = np.array(joint_pos)
    return RobotState(LIMITS.joint_names, at, np.zeros(2), np.zeros(2), 0.0, joint_target=target)


def test_unknown_joints_are_refused():
    with pytest.raises(ValueError, match="no joint 'toe' to press; joints: arm, finger"):
        SafetyFilter(LIMITS, SafetyConfig(pressing_joints=("toe",)))


def test_fingers_may_press_farther_than_an_arm_may_lag():
    last = Setpoint.at_rest(np.array([0.0, 0.4]))
    assert FILTER.check_state(state([0.0, 0.0]), last) == ()
    (violation,) = FILTER.check_state(state([0.0, 0.0]), Setpoint.at_rest(np.array([0.2, 0.0])))
    assert violation.kind is ViolationKind.TRACKING and violation.message.startswith("arm")
    (violation,) = FILTER.check_state(state([0.0, 0.0]), Setpoint.at_rest(np.array([0.0, 0.6])))
    assert violation.message.startswith("finger")


def test_in_trouble_the_arm_yields_and_fingers_go_on_holding():
    last = Setpoint.at_rest(np.array([0.2, 0.4]))
    assert np.allclose(FILTER.yielding(state([0.0, 0.1]), last, 0.01), [0.0, 0.4])
    unknown = FILTER.yielding(state([np.nan, 0.1]), last, 0.01)
    assert np.allclose(unknown, [0.2, 0.4])


def test_a_stream_begins_with_what_fingers_hold():
    assert np.allclose(FILTER.anchor(state([0.1, 0.1])), [0.1, 0.1])
    assert np.allclose(FILTER.anchor(state([0.1, 0.1], np.array([0.3, 0.3]))), [0.1, 0.3])
