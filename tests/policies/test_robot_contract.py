"""`SafeRobot` is a `Robot` whatever it wraps: a driver that follows exactly, and one that lags."""

from __future__ import annotations

import numpy as np
import pytest

from policies.safe_robot import SafeRobot
from policies.safety import SafetyConfig, SafetyFilter
from tests.contracts.robot_suite import RobotSuite
from tests.policies.kinematic_robot import KinematicRobot, planar_forward

CONFIG = SafetyConfig(workspace_min_m=(-1, -1, -1), workspace_max_m=(1, 1, 2), lowest_point_z_m=-1)


def wrap(driver: KinematicRobot) -> SafeRobot:
    safety_filter = SafetyFilter(
        driver.limits,
        CONFIG,
        gripper_width_m=driver.gripper_width_m,
        forward=planar_forward,
        lowest_point=lambda q, width_m: float(planar_forward(q).position_m[2]),
    )
    return SafeRobot(driver, safety_filter)


class SafeSuite(RobotSuite):
    reach_rad = 0.1  # joint c: 0.4 m/s, 2 m/s^2
    cancel_distance_rad = 0.1


class TestExactDriver(SafeSuite):
    @pytest.fixture
    def robot(self):
        robot = wrap(KinematicRobot(start=np.array([0.0, 0.0, 0.1])))
        yield robot
        robot.close()


class TestLaggingDriver(SafeSuite):
    @pytest.fixture
    def robot(self):
        robot = wrap(KinematicRobot(start=np.array([0.0, 0.0, 0.1]), lag_s=0.03))
        yield robot
        robot.close()
