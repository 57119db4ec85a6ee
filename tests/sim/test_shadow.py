"""The Shadow hand of the gymnasium-robotics wheel, as a hand of this project."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import sys
from importlib.util import find_spec

import mujoco
import numpy as np
import pytest

from sim.robots import compose, shadow
from sim.robots.fr3 import set_physics_options
from sim.robots.registry import load_hand, load_robot
from tests.sim.hand_checks import BALL_RADIUS_M, set_options

needs_files = pytest.mark.skipif(
    find_spec("gymnasium_robotics") is None, reason="gymnasium-robotics is not installed (extra `shadow`)"
)


def at(model: mujoco.MjModel, joint_pos, prefix="") -> mujoco.MjData:
    """A posture of the driven joints, the others following."""
    data = mujoco.MjData(model)
    for name, angle in zip(shadow.JOINTS, joint_pos, strict=True):
        data.joint(prefix + name).qpos[0] = angle
    for joint, leader, ratio in shadow.FOLLOWERS:
        data.joint(prefix + joint).qpos[0] = ratio * data.joint(prefix + leader).qpos[0]
    mujoco.mj_forward(model, data)
    return data


@pytest.fixture(scope="module")
def hand():
    return load_hand("shadow")


def test_without_its_package_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium_robotics", None)
    with pytest.raises(ValueError, match=r"pip install habilis\[shadow\]") as error:
        load_hand("shadow")
    assert "\n" not in str(error.value)


@needs_files
def test_shape(hand):
    model = hand.make_spec().compile()
    assert [model.actuator(i).name for i in range(model.nu)] == list(hand.limits.joint_names)
    assert model.nu == 20 and model.nq == 24 and not model.nsensor and model.body(1).name == hand.root_body
    driven = [model.joint(name).range for name in hand.limits.joint_names]
    np.testing.assert_allclose(driven, np.stack([hand.limits.lower, hand.limits.upper], axis=1))
    assert {model.joint(i).name for i in range(model.njnt)} - set(hand.limits.joint_names) == {
        joint for joint, _, _ in hand.followers
    }
    assert (hand.home >= hand.limits.lower).all() and (hand.home <= hand.limits.upper).all()
    for geom in (model.geom(i) for i in range(model.ngeom)):
        collides = bool(geom.contype[0] or geom.conaffinity[0])
        assert geom.group[0] in ((3,) if collides else (2, 3))
    # As in the files: a forearm of 4 kg, wrist and palm of 0.3 kg, and fingers.
    assert model.body("forearm").mass[0] == 4.0 and model.body_mass.sum() == pytest.approx(5.011)


@needs_files
def test_frames_are_those_of_a_right_hand(hand):
    data = at(hand.make_spec().compile(), np.zeros(20))
    R_root_palm = data.site("palm").xmat.reshape(3, 3)
    np.testing.assert_allclose(R_root_palm[:, 2], [1, 0, 0], atol=1e-9)  # out of the palm
    np.testing.assert_allclose(R_root_palm[:, 0], [0, 0, 1], atol=1e-9)  # along the fingers
    tips = {tip: data.site(tip).xpos for tip in hand.tip_sites}
    assert tips["thumb_tip"][1] > tips["index_tip"][1] > tips["little_tip"][1]
    bent = at(hand.make_spec().compile(), hand.pinch)
    for tip in ("index_tip", "middle_tip", "ring_tip"):
        assert bent.site(tip).xpos[0] > tips[tip][0] + 0.03  # towards the palm's side


@needs_files
def test_rest_postures_touch_nothing_and_the_pinch_touches_the_ball(hand):
    model = hand.make_spec().compile()
    assert at(model, hand.home).ncon == 0
    data = at(model, hand.pinch)
    assert data.ncon == 0
    centre, R_root_grasp = data.site("grasp").xpos, data.site("grasp").xmat.reshape(3, 3)
    tips = [tip for tip in hand.tip_sites if tip != "little_tip"]
    offsets = np.array([data.site(tip).xpos - centre for tip in tips])
    radii = np.array([model.geom(tip).size[0] for tip in tips])
    assert np.abs(np.linalg.norm(offsets, axis=1) - BALL_RADIUS_M - radii).max() < 1e-3
    assert (offsets[:3] @ R_root_grasp[:, 1] > 0).all() and offsets[3] @ R_root_grasp[:, 1] < 0


@needs_files
def test_coupled_joints_follow_and_targets_are_held(hand):
    model = set_options(hand.make_spec(), 0.002).compile()
    model.opt.gravity[:] = 0
    data = at(model, hand.home)
    data.ctrl[:] = hand.pinch
    mujoco.mj_step(model, data, 2000)
    driven = np.array([data.joint(name).qpos[0] for name in hand.limits.joint_names])
    assert np.abs(driven - hand.pinch).max() < 0.03 and not any(w.number for w in data.warning)
    for joint, leader, ratio in hand.followers:  # within the slack of the tendons, 1 mm on 7 mm
        gap = data.joint(joint).qpos[0] - ratio * data.joint(leader).qpos[0]
        assert abs(gap) < 0.001 / 0.00705 + 0.02


@needs_files
@pytest.mark.parametrize("arm", ["fr3", "ur5e"])
def test_it_goes_on_an_arm(arm):
    robot = load_robot(f"{arm}+shadow")
    spec = robot.make_spec()
    set_physics_options(spec)
    model = spec.compile()
    assert [model.actuator(i).name for i in range(model.nu)] == list(robot.limits.joint_names)
    data = at(model, robot.home[-20:], prefix="hand_")
    arm_pos = dict(zip(robot.arm_joints, robot.home, strict=False))
    for name, angle in arm_pos.items():
        data.joint(name).qpos[0] = angle
    data.ctrl[:] = robot.home
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    np.testing.assert_allclose(data.site("ee").xpos, data.site("hand_grasp").xpos, atol=1e-9)
    np.testing.assert_allclose(data.site("hand_mount").xpos, data.site("flange").xpos, atol=1e-9)
    mujoco.mj_step(model, data, 1000)  # the arm carries its payload
    for name, angle in arm_pos.items():
        assert data.joint(name).qpos[0] == pytest.approx(angle, abs=2e-3)


@needs_files
def test_a_palm_behind_wrist_joints_is_placed_too(hand):
    pose = compose.palm_pose([0.1, 0.2, 0.3], "down", 0.4)
    model = compose.fixed_hand(hand, pose).compile()
    data = at(model, np.zeros(20))
    np.testing.assert_allclose(data.site("palm").xpos, pose.position_m, atol=1e-9)
    np.testing.assert_allclose(data.site("palm").xmat.reshape(3, 3), pose.rotation, atol=1e-9)


@needs_files
def test_the_batch_and_warp_take_it(hand):
    from mujoco.batch import Batch

    model = set_options(hand.make_spec(), 0.004).compile()
    batch = Batch(model, nsim=2, nthread=1)
    batch.bind("ctrl")[:] = hand.home
    batch.forward()
    batch.step(nstep=50)
    assert np.isfinite(batch.bind("qpos")).all()
    warp = pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    assert warp.put_model(model).nu == 20
