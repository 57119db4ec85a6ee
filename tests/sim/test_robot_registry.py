"""Robots by name, and an arm with a hand by configuration."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sim.robots import registry
from sim.robots.allegro import ALLEGRO
from sim.robots.compose import ArmHandModel
from sim.robots.fr3 import FR3, set_physics_options
from sim.robots.registry import ArmHandConfig, load_hand, load_robot
from sim.robots.ur5e import UR5E


def test_names_are_those_of_the_robots():
    assert load_robot("fr3") is FR3 and load_robot("ur5e") is UR5E and load_hand("allegro") is ALLEGRO
    assert load_robot("fr3_arm").gripper is None
    assert {"fr3", "ur5e", "menagerie/franka_fr3"} <= set(registry.robot_names())
    assert registry.hand_names() == ("allegro", "leap", "shadow")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ur6", "unknown robot 'ur6'; robots: fr3, .*ur5e"),
        ("ur5e+paw", "unknown hand 'paw'; hands: allegro, leap, shadow"),
        ("+leap", "unknown robot ''"),
        ("allegro", "unknown robot 'allegro'"),
        ("nowhere.yaml", "no robot description at nowhere.yaml"),
    ],
)
def test_unknown_names_list_the_valid_ones(name, words):
    with pytest.raises(ValueError, match=words) as error:
        load_robot(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["fr3+allegro", "fr3+leap", "ur5e+allegro", "ur5e+leap"])
def test_an_arm_with_a_hand_by_name(name):
    robot = load_robot(name)
    assert isinstance(robot, ArmHandModel)
    model = robot.make_spec().compile()
    assert [model.actuator(i).name for i in range(model.nu)] == list(robot.limits.joint_names)


# ---- from a file --------------------------------------------------------------------------------


def test_a_file_says_how_they_are_mounted(tmp_path):
    # Half a turn about the flange's z, 30 mm further out.
    path = tmp_path / "mine.yaml"
    path.write_text("hand: leap\npos_m: [0, 0, 0.03]\nquat_wxyz: [0, 0, 0, 1]\nprefix: right_\n")
    assert registry.read_arm_hand(path) == ArmHandConfig(
        hand="leap", pos_m=(0, 0, 0.03), quat_wxyz=(0, 0, 0, 1), prefix="right_"
    )
    robot = load_robot(str(path))
    spec = robot.make_spec()
    set_physics_options(spec, 0.004)
    model = spec.compile()
    assert model.opt.timestep == 0.004  # the hand's own options don't count
    data = mujoco.MjData(model)
    data.qpos[:] = robot.home
    mujoco.mj_forward(model, data)
    flange, mount = data.site("flange"), data.site("right_mount")
    R_world_flange = flange.xmat.reshape(3, 3)
    np.testing.assert_allclose(mount.xpos, flange.xpos + 0.03 * R_world_flange[:, 2], atol=1e-9)
    np.testing.assert_allclose(mount.xmat.reshape(3, 3), R_world_flange @ np.diag([-1, -1, 1]), atol=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1", "must have only the fields arm, hand, pos_m"),
        ("hands: leap", "must have only the fields arm, hand, pos_m"),
        ("hand: 3", "mine.yaml: hand is 3"),
        ("pos_m: [0, 0]", "mine.yaml: pos_m"),
        ("pos_m: [0, 0, .inf]", "mine.yaml: pos_m"),
        ("quat_wxyz: [1, 1, 0, 0]", "mine.yaml: quat_wxyz is .*; use a unit quaternion"),
        ("a: [", "is not YAML"),
        ("prefix: ''", "prefix must not be empty"),
    ],
)
def test_a_bad_file_is_told_in_one_line(text, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        load_robot(str(path)).make_spec()
    assert "\n" not in str(error.value)
