"""Robots of which there is no model here: kinematics from a URDF, meshes missing."""

from __future__ import annotations

import numpy as np
import pytest

from policies.robot import JointLimits
from sim.kinematics import MujocoKinematics
from sim.robots.from_file import load_file

URDF = """
<robot name="mine">
  <link name="base"><visual><geometry><mesh filename="package://mine/base.stl"/></geometry></visual></link>
  <joint name="lift" type="prismatic">
    <parent link="base"/><child link="arm"/><origin xyz="0 0 0.2"/><axis xyz="0 0 1"/>
    <limit lower="0" upper="0.5" effort="100" velocity="0.2"/>
  </joint>
  <link name="arm">
    <inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><mesh filename="package://mine/arm.stl"/></geometry></collision>
  </link>
  <joint name="turn" type="revolute">
    <parent link="arm"/><child link="hand"/><origin xyz="0.3 0 0"/><axis xyz="0 0 1"/>
    <limit lower="-3" upper="3" effort="10" velocity="1"/>
  </joint>
  <link name="hand"/>
  <joint name="tool" type="fixed">
    <parent link="hand"/><child link="tool0"/><origin xyz="0.1 0 0" rpy="3.14159265358979 0 0"/>
  </joint>
  <link name="tool0"/>
</robot>
"""


@pytest.fixture
def urdf(tmp_path):
    path = tmp_path / "mine.urdf"
    path.write_text(URDF)
    return path


def test_forward_kinematics_are_those_of_the_file(urdf):
    robot = load_file(str(urdf), "tool0")
    limits = robot.limits
    assert robot.name == "mine" and limits.joint_names == ("lift", "turn")
    assert limits.lower.tolist() == [0.0, -3.0] and limits.upper.tolist() == [0.5, 3.0]
    forward = MujocoKinematics(robot).forward
    pose = forward(np.array([0.1, np.pi / 2]))
    # Base 0.2 + lift 0.1; arm 0.3 along x, then the tool 0.1 along y; the tool's z points down.
    assert pose.position_m == pytest.approx([0.3, 0.1, 0.3], abs=1e-9)
    assert pose.rotation[:, 2] == pytest.approx([0, 0, -1], abs=1e-9)


def test_the_lowest_point_is_that_of_the_links_capsules(urdf):
    kinematics = MujocoKinematics(load_file(str(urdf), "tool0", link_radius_m=0.05))
    assert kinematics.lowest_point(np.array([0.1, 0.0]), 0.0) == pytest.approx(0.3 - 0.05, abs=1e-6)


def test_limits_may_be_given_from_elsewhere(urdf):
    robot = load_file(str(urdf), "tool0")
    ones = np.ones(2)
    limits = JointLimits(("lift", "turn"), 0 * ones, 0.3 * ones, ones, ones, ones, ones)
    assert MujocoKinematics(robot, limits=limits).limits is limits


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("flange", "no link 'flange'; links: base, arm, hand, tool0"),
        ("base", "no joint moves the link 'base'"),
    ],
)
def test_a_wrong_link_is_told(urdf, link, message):
    with pytest.raises(ValueError, match=message):
        load_file(str(urdf), link)


def test_a_wrong_file_is_told(tmp_path):
    with pytest.raises(ValueError, match="no robot model at"):
        load_file(str(tmp_path / "nowhere.urdf"), "tool0")
    path = tmp_path / "bad.urdf"
    path.write_text("<robot")
    with pytest.raises(ValueError, match="is no URDF or MJCF"):
        load_file(str(path), "tool0")
