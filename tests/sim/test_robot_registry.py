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
from tests.sim.test_fr3 import menagerie_like


def test_names_are_those_of_the_robots():
    assert load_robot("fr3") is FR3 and load_robot("ur5e") is UR5E and load_hand("allegro") is ALLEGRO
    assert load_robot("fr3_arm").gripper is None
    assert {"fr3", "ur5e", "menagerie/franka_fr3"} <= set(registry.robot_names())
    assert registry.hand_names() == ("allegro", "leap", "shadow", "menagerie/wonik_allegro")


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


# ---- Menagerie ----------------------------------------------------------------------------------


def wonik_allegro_like() -> str:
    """An MJCF with the names, frames and joints of Menagerie's right Allegro hand, without its meshes."""
    ranges = ["-0.47 0.47", "-0.196 1.61", "-0.174 1.709", "-0.227 1.618"]
    thumb_ranges = ["0.263 1.396", "-0.105 1.163", "-0.189 1.644", "-0.162 1.719"]
    fingers = {
        "ff": ('pos="0 0.0435 -0.001542" quat="0.999048 -0.0436194 0 0"', ranges),
        "mf": ('pos="0 0 0.0007"', ranges),
        "rf": ('pos="0 -0.0435 -0.001542" quat="0.999048 0.0436194 0 0"', ranges),
        "th": (
            'pos="-0.0182 0.019333 -0.045987" quat="0.477714 -0.521334 -0.521334 -0.477714"',
            thumb_ranges,
        ),
    }
    bodies, servos = "", ""
    for short, (place, limits) in fingers.items():
        thumb = short == "th"
        axes = ["-1 0 0", "0 0 1", "0 1 0", "0 1 0"] if thumb else ["0 0 1", *["0 1 0"] * 3]
        offsets = ["-0.027 0.005 0.0399", "0 0 0.0177", "0 0 0.0514"] if thumb else None
        offsets = offsets or ["0 0 0.0164", "0 0 0.054", "0 0 0.0384"]
        places = [place, *(f'pos="{offset}"' for offset in offsets)]
        for i, part in enumerate(("base", "proximal", "medial", "distal")):
            bodies += f"""<body name="{short}_{part}" {places[i]}>
                <joint name="{short}j{i}" axis="{axes[i]}" range="{limits[i]}"/>
                <geom class="shell"/><geom class="hull" type="box" size="0.0098 0.01375 0.008"/>"""
            servos += f'<position name="{short}a{i}" joint="{short}j{i}" ctrlrange="{limits[i]}"/>'
        at = "0 0 0.035" if thumb else "0 0 0.019"
        bodies += f"""<body name="{short}_tip"><geom class="shell" pos="{at}"/>
            <geom class="hull" type="capsule" size="0.012 0.008" pos="{at}"/></body>{"</body>" * 4}"""
    return f"""<mujoco model="allegro_right"><compiler angle="radian" autolimits="true"/>
        <default><joint damping="1"/><position kp="10"/>
        <default class="shell"><geom size="0.008" contype="0" conaffinity="0" density="800"/></default>
        <default class="hull"><geom mass="0"/></default></default>
        <worldbody><body name="palm" quat="0 1 0 1"><geom class="shell" size="0.04"/>
        {bodies}</body></worldbody><actuator>{servos}</actuator></mujoco>"""


@pytest.fixture
def menagerie_root(tmp_path, monkeypatch):
    pytest.importorskip("mujoco_menagerie", reason="the package mujoco-menagerie is not installed")
    files = {
        "wonik_allegro/right_hand.xml": wonik_allegro_like(),
        "franka_fr3/fr3.xml": menagerie_like("franka_fr3"),
        "franka_emika_panda/panda.xml": menagerie_like("franka_emika_panda"),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))


def test_hand_of_menagerie_has_our_names_frames_and_postures(menagerie_root):
    hand = load_hand("menagerie/wonik_allegro")
    own, other = ALLEGRO.make_spec().compile(), hand.make_spec().compile()
    assert [other.actuator(i).name for i in range(other.nu)] == list(ALLEGRO.limits.joint_names)
    np.testing.assert_allclose(other.jnt_range, own.jnt_range)
    np.testing.assert_allclose(other.actuator_forcerange, own.actuator_forcerange)
    data, ours = mujoco.MjData(other), mujoco.MjData(own)
    for posture in (hand.home, hand.pinch):
        data.qpos[:] = ours.qpos[:] = posture
        mujoco.mj_forward(other, data)
        mujoco.mj_forward(own, ours)
        for site in ("mount", "palm", "grasp", *hand.tip_sites):
            np.testing.assert_allclose(data.site(site).xpos, ours.site(site).xpos, atol=1e-5)
        for site in ("palm", "grasp"):
            np.testing.assert_allclose(data.site(site).xmat, ours.site(site).xmat, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        *("menagerie/franka_fr3+leap", "menagerie/franka_emika_panda+allegro"),
        "ur5e+menagerie/wonik_allegro",
    ],
)
def test_robots_of_menagerie_are_put_together(menagerie_root, name):
    robot = load_robot(name)
    spec = robot.make_spec()
    set_physics_options(spec)
    model = spec.compile()
    assert [model.actuator(i).name for i in range(model.nu)] == list(robot.limits.joint_names)
    data = mujoco.MjData(model)
    data.qpos[:], data.ctrl[:] = robot.home, robot.home
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.site("hand_mount").xpos, data.site("flange").xpos, atol=1e-9)
    np.testing.assert_allclose(data.site("ee").xmat.reshape(3, 3)[:, 2], [1, 0, 0], atol=1e-5)  # palm forward
    mujoco.mj_step(model, data, 500)
    assert np.abs(data.qpos - robot.home).max() < 0.06  # fingers sag


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
