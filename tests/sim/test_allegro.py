"""The Allegro-class hand against its published numbers, and what it can hold."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sim.robots import allegro
from tests.sim import hand_checks
from tests.sim.hand_checks import at, rotation

HAND = allegro.ALLEGRO


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return allegro.allegro_spec().compile()


def tip_forward(finger: str, joint_pos) -> np.ndarray:
    """Tip centre in the root frame by the maker's drawing, written out, (3,).

    The maker's frame is at the fingers' end of the palm: x out of the palm, y to the thumb, z along the
    fingers; ours is 0.095 m lower. Index and ring are turned outwards by 5 degrees. A finger is
    16.4 mm to the flexion axis, then 54 and 38.4 mm, then 38.7 mm to the end of a tip of 12 mm radius.
    The thumb's frame is Rz(-90) Ry(-95); it opposes about -x, is 39.9 mm to the rotation's end, then
    17.7, 51.4 and 54.3 mm to the end of the tip.
    """
    a, b, c, d = joint_pos
    if finger == "thumb":
        R = rotation("z", -np.pi / 2) @ rotation("y", np.deg2rad(-95)) @ rotation("x", -a)
        p = np.array([-0.0182, 0.019333, -0.045987]) + R @ [-0.027, 0.005, 0.0399]
        R = R @ rotation("z", b)
        lengths, flexions = (0.0177, 0.0514, 0.0543 - 0.012), (0.0, c, d)
    else:
        y, z, tilt = {
            "index": (0.0435, -0.001542, -5),
            "middle": (0.0, 0.0007, 0),
            "ring": (-0.0435, -0.001542, 5),
        }[finger]
        R = rotation("x", np.deg2rad(tilt)) @ rotation("z", a)
        p = np.array([0.0, y, z]) + R @ [0, 0, 0.0164]
        lengths, flexions = (0.054, 0.0384, 0.0387 - 0.012), (b, c, d)
    for length, flexion in zip(lengths, flexions, strict=True):
        R = R @ rotation("y", flexion)
        p = p + R @ [0, 0, length]
    p[2] += 0.095
    return p


# ---- kinematics --------------------------------------------------------------------------------


def test_straight_middle_finger_worked_out_by_hand(model):
    # Palm 95 mm, 0.7 mm above it, 16.4 + 54 + 38.4 mm, and the tip's centre 26.7 mm further.
    data = at(model, np.clip(0.0, allegro.LIMITS.lower, allegro.LIMITS.upper))
    length = 0.095 + 0.0007 + 0.0164 + 0.054 + 0.0384 + 0.0267
    np.testing.assert_allclose(data.site("middle_tip").xpos, [0, 0, length], atol=1e-9)


def test_forward_kinematics_is_the_makers_chain(model):
    rng = np.random.default_rng(0)
    for _ in range(50):
        joint_pos = rng.uniform(allegro.LIMITS.lower, allegro.LIMITS.upper)
        data = at(model, joint_pos)
        for i, finger in enumerate((*allegro.FINGERS, "thumb")):
            expected = tip_forward(finger, joint_pos[4 * i : 4 * i + 4])
            np.testing.assert_allclose(data.site(f"{finger}_tip").xpos, expected, atol=1e-8)


def test_flexing_goes_to_the_palms_side_and_the_hand_is_a_right_one(model):
    lower = np.clip(0.0, allegro.LIMITS.lower, allegro.LIMITS.upper)
    straight, data = at(model, lower), at(model, allegro.HOME)
    for tip in ("index_tip", "middle_tip", "ring_tip"):
        assert data.site(tip).xpos[0] > straight.site(tip).xpos[0] + 0.05
    # Palm towards us, fingers up: a right hand's thumb and index are at our right, +y.
    R_world_palm = data.site("palm").xmat.reshape(3, 3)
    np.testing.assert_allclose(R_world_palm[:, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(R_world_palm[:, 0], [0, 0, 1], atol=1e-9)
    assert straight.site("thumb_tip").xpos[1] > straight.site("index_tip").xpos[1] > 0


# ---- limits and dynamics -----------------------------------------------------------------------


def test_shape():
    hand_checks.check_shape(HAND)


def test_published_limits():
    lower, upper = allegro.LIMITS.lower, allegro.LIMITS.upper
    for i in (0, 4, 8):
        np.testing.assert_allclose(lower[i : i + 4], [-0.47, -0.196, -0.174, -0.227])
        np.testing.assert_allclose(upper[i : i + 4], [0.47, 1.61, 1.709, 1.618])
    np.testing.assert_allclose(lower[12:], [0.263, -0.105, -0.189, -0.162])
    np.testing.assert_allclose(upper[12:], [1.396, 1.163, 1.644, 1.719])
    np.testing.assert_allclose(allegro.LIMITS.effort, 0.70)
    np.testing.assert_allclose(allegro.LIMITS.velocity, 9.52, atol=1e-3)  # 60 degrees in 0.11 s


def test_masses_are_those_of_the_data_sheet(model):
    def mass(prefix):
        return sum(
            model.body(i).mass[0] for i in range(1, model.nbody) if model.body(i).name.startswith(prefix)
        )

    for finger in allegro.FINGERS:
        assert mass(finger) == pytest.approx(0.17, abs=1e-4)
    assert mass("thumb") == pytest.approx(0.19, abs=1e-4)
    assert model.body_mass.sum() == pytest.approx(1.08, abs=1e-4)


def test_motor_stops_accelerating_at_the_published_speed(model):
    # At full torque against its own damping a joint approaches 0.7 / damping.
    np.testing.assert_allclose(0.70 / model.dof_damping, allegro.MAX_SPEED_RAD_S, rtol=1e-3)


def test_servos_are_near_critical_when_a_finger_is_straight(model):
    data = at(model, np.clip(0.0, allegro.LIMITS.lower, allegro.LIMITS.upper))
    inertia = np.zeros((16, 16))
    mujoco.mj_fullM(model, data, inertia)
    kp, kv = model.actuator_gainprm[:, 0], -model.actuator_biasprm[:, 2]
    ratio = (kv + model.dof_damping) / (2 * np.sqrt(kp * np.diag(inertia)))
    assert ratio.min() > 0.8 and ratio.max() < 2.0


def test_holds_against_gravity():
    hand_checks.check_holds_against_gravity(HAND, bound_rad=0.055)


@pytest.mark.parametrize("timestep_s", [0.002, 0.005])
def test_random_targets_are_held(timestep_s):
    hand_checks.check_random_targets(HAND, timestep_s)


# ---- geometry and contact ----------------------------------------------------------------------


def test_geoms():
    hand_checks.check_geoms(HAND)


def test_rest_postures_touch_nothing():
    hand_checks.check_no_contact(HAND)


def test_fingers_can_touch_each_other(model):
    crossed = allegro.HOME.copy()
    crossed[[0, 8]] = -0.47, 0.47  # index and ring turned towards the middle
    assert at(model, crossed).ncon > 0


def test_pinch_touches_the_ball():
    hand_checks.check_pinch_touches_the_ball(HAND, allegro.TIP_RADIUS_M)


@pytest.mark.parametrize("timestep_s", [0.002, 0.005])
def test_grasp_holds_a_ball(timestep_s):
    squeeze = np.array([0, 0.15, 0.15, 0.1] * 3 + [0, 0, 0.3, 0.2])
    hand_checks.check_grasp(HAND, squeeze, timestep_s)


# ---- backends ----------------------------------------------------------------------------------


def test_batch_steps():
    hand_checks.check_batch_steps(HAND)


def test_warp_takes_the_model(model):
    warp = pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    assert warp.put_model(model).nu == 16
