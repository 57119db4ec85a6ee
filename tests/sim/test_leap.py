"""The LEAP-class hand against its published numbers, and what it can hold."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sim.robots import leap
from tests.sim import hand_checks
from tests.sim.hand_checks import at, rotation

HAND = leap.LEAP
FINGER_Y_M = {"index": 0.0230578, "middle": -0.0223922, "ring": -0.0678422}


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return leap.leap_spec().compile()


def tip_forward(finger: str, joint_pos) -> np.ndarray:
    """Tip centre in the root frame by the authors' URDF, joint by joint, (3,).

    Their palm frame has x along the fingers, y to the thumb, z out of the back of the hand, and lies
    at (0, 0.038, 0.098) in ours; every joint turns about its -z. Origins are (xyz, rpy). A tip ends
    48 mm (thumb 60 mm) along the last frame's -y, its centre 12 mm before.
    """
    h = np.pi / 2
    if finger == "thumb":
        joints = [
            ((-0.0693952, -0.0012422, -0.0216224), (0, h, 0)),
            ((0, 0.0143, -0.013), (h, -h, 0)),
            ((0, 0.0145, -0.017), (-h, 0, 0)),
            ((0, 0.0466, 0.0002), (0, 0, np.pi)),
        ]
        tip = np.array([0, -(0.060 - 0.012), -0.0147])
    else:
        joints = [
            ((-0.0070952, FINGER_Y_M[finger], -0.0187224), (h, h, 0)),
            ((-0.0122, 0.0381, 0.0145), (-h, 0, h)),
            ((0.015, 0.0143, -0.013), (h, -h, 0)),
            ((0, -0.0361, 0.0002), (0, 0, 0)),
        ]
        tip = np.array([0, -(0.048 - 0.012), 0.0141])
    R, p = np.eye(3), np.zeros(3)
    for (xyz, (roll, pitch, yaw)), angle in zip(joints, joint_pos, strict=True):
        p = p + R @ xyz
        R = R @ rotation("z", yaw) @ rotation("y", pitch) @ rotation("x", roll) @ rotation("z", -angle)
    x, y, z = p + R @ tip
    return np.array([-z, y + 0.038, x + 0.098])


# ---- kinematics --------------------------------------------------------------------------------


def test_straight_middle_finger_worked_out_by_hand(model):
    # MCP axis 90.9 mm above the mount; 38.1 mm to the abduction axis, 15 to PIP, 36.1 to DIP, and the
    # tip's centre 36 mm further. Across: 18.7224 - 12.2 + 13 mm out of the palm.
    data = at(model, np.zeros(16))
    length = 0.0909048 + 0.0381 + 0.015 + 0.0361 + 0.036
    expected = [0.0187224 - 0.0122 + 0.013, -0.0223922 - 0.0145 + 0.038, length]
    np.testing.assert_allclose(data.site("middle_tip").xpos, expected, atol=1e-9)


def test_forward_kinematics_is_the_authors_chain(model):
    rng = np.random.default_rng(0)
    for _ in range(50):
        joint_pos = rng.uniform(leap.LIMITS.lower, leap.LIMITS.upper)
        data = at(model, joint_pos)
        for i, finger in enumerate((*leap.FINGERS, "thumb")):
            expected = tip_forward(finger, joint_pos[4 * i : 4 * i + 4])
            np.testing.assert_allclose(data.site(f"{finger}_tip").xpos, expected, atol=1e-8)


def test_abduction_turns_with_the_flexed_finger(model):
    # The universal mechanism: with the MCP flexed by 90 degrees, abduction still moves the tip sideways.
    joint_pos = np.zeros(16)
    joint_pos[0] = np.pi / 2
    straight = at(model, joint_pos).site("index_tip").xpos.copy()
    joint_pos[1] = 0.5
    turned = at(model, joint_pos).site("index_tip").xpos
    # Tip 15 + 36.1 + 36 mm beyond the abduction axis.
    assert abs(turned[1] - straight[1]) == pytest.approx(0.0871 * np.sin(0.5), rel=1e-6)


def test_flexing_goes_to_the_palms_side_and_the_hand_is_a_right_one(model):
    straight, data = at(model, np.zeros(16)), at(model, leap.HOME)
    for tip in ("index_tip", "middle_tip", "ring_tip"):
        assert data.site(tip).xpos[0] > straight.site(tip).xpos[0] + 0.05
    R_world_palm = data.site("palm").xmat.reshape(3, 3)
    np.testing.assert_allclose(R_world_palm[:, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(R_world_palm[:, 0], [0, 0, 1], atol=1e-9)
    assert straight.site("thumb_tip").xpos[1] > straight.site("index_tip").xpos[1] > 0


# ---- limits and dynamics -----------------------------------------------------------------------


def test_shape():
    hand_checks.check_shape(HAND)


def test_published_limits():
    lower, upper = leap.LIMITS.lower, leap.LIMITS.upper
    for i in (0, 4, 8):
        np.testing.assert_allclose(lower[i : i + 4], [-0.314, -1.047, -0.506, -0.366])
        np.testing.assert_allclose(upper[i : i + 4], [2.23, 1.047, 1.885, 2.042])
    np.testing.assert_allclose(lower[12:], [-0.349, -0.47, -1.20, -1.34])
    np.testing.assert_allclose(upper[12:], [2.094, 2.443, 1.90, 1.88])
    np.testing.assert_allclose(leap.LIMITS.velocity, 81 * 2 * np.pi / 60, rtol=1e-3)
    np.testing.assert_allclose(leap.LIMITS.effort, 0.93)


def test_masses_are_the_papers_total_and_the_urdfs_shares(model):
    def mass(prefix):
        return sum(
            model.body(i).mass[0] for i in range(1, model.nbody) if model.body(i).name.startswith(prefix)
        )

    total = model.body_mass.sum()
    assert total == pytest.approx(0.595, abs=2e-4)
    for finger in leap.FINGERS:
        assert mass(finger) / total == pytest.approx(0.129 / 0.746, abs=1e-3)
    assert mass("thumb") / total == pytest.approx(0.122 / 0.746, abs=1e-3)


def test_motor_stops_accelerating_at_the_published_speed(model):
    np.testing.assert_allclose(0.93 / model.dof_damping, leap.MAX_SPEED_RAD_S, rtol=2e-3)


def test_servos_are_near_critical_when_a_finger_is_straight(model):
    inertia = np.zeros((16, 16))
    mujoco.mj_fullM(model, at(model, np.zeros(16)), inertia)
    kp, kv = model.actuator_gainprm[:, 0], -model.actuator_biasprm[:, 2]
    ratio = (kv + model.dof_damping) / (2 * np.sqrt(kp * np.diag(inertia)))
    assert ratio.min() > 0.8 and ratio.max() < 2.0


def test_holds_against_gravity():
    hand_checks.check_holds_against_gravity(HAND, bound_rad=0.045)


@pytest.mark.parametrize("timestep_s", [0.002, 0.005])
def test_random_targets_are_held(timestep_s):
    hand_checks.check_random_targets(HAND, timestep_s)


# ---- geometry and contact ----------------------------------------------------------------------


def test_geoms():
    hand_checks.check_geoms(HAND)


def test_rest_postures_touch_nothing():
    hand_checks.check_no_contact(HAND)


def test_fingers_can_touch_each_other(model):
    crossed = leap.HOME.copy()
    crossed[[1, 9]] = 1.0, -1.0  # index and ring turned towards the middle
    assert at(model, crossed).ncon > 0


def test_pinch_touches_the_ball():
    hand_checks.check_pinch_touches_the_ball(HAND, leap.TIP_RADIUS_M)


@pytest.mark.parametrize("timestep_s", [0.002, 0.005])
def test_grasp_holds_a_ball(timestep_s):
    squeeze = np.array([0.15, 0, 0.15, 0.1] * 3 + [0, 0, 0.3, 0.2])
    hand_checks.check_grasp(HAND, squeeze, timestep_s)


# ---- backends ----------------------------------------------------------------------------------


def test_batch_steps():
    hand_checks.check_batch_steps(HAND)


def test_warp_takes_the_model(model):
    warp = pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    assert warp.put_model(model).nu == 16
