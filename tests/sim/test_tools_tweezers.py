"""Tweezers: laws, spring and grip, with the expected numbers derived by hand."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from sim.robots.fr3 import set_physics_options
from sim.tools.shapes import bar_mass_kg
from sim.tools.tweezers import TweezersConfig, add_tweezers, arm_stations


def build(config=None, gravity=False, **kw):
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    if not gravity:
        spec.option.gravity = [0, 0, 0]
    handle = add_tweezers(spec, "t", config, **kw)
    model = spec.compile()
    return model, mujoco.MjData(model), handle


def distance(data, a, b):
    return float(np.linalg.norm(data.site(a).xpos - data.site(b).xpos))


@settings(deadline=None, max_examples=40)
@given(
    angle=st.floats(0, 1),
    length=st.floats(0.05, 0.3),
    opening=st.floats(0.05, 0.9),
    tip=st.sampled_from(["flat", "rounded", "pointed"]),
)
def test_laws_are_exact_over_the_range(angle, length, opening, tip):
    """Sizes vary and so do angles: site distances equal the laws to rounding, and the inverse inverts."""
    top = opening * length
    config = TweezersConfig(
        length_m=length,
        width_m=0.08 * length,
        rest_opening_m=0.7 * top,
        max_opening_m=top,
        thickness_m=length / 60,
        tip=tip,
        stiffness_n_m_rad=0.02,
    )
    model, data, handle = build(config)
    low, high = handle.joint_range
    pos = low + angle * (high - low)
    data.joint(handle.joint).qpos[0] = pos
    mujoco.mj_kinematics(model, data)
    tips = distance(data, "t/tip_left", "t/tip_right")
    assert tips == pytest.approx(handle.opening_m(pos), abs=1e-9)
    assert handle.joint_pos(tips) == pytest.approx(pos, abs=1e-6)
    assert distance(data, "t/grip_left", "t/grip_right") == pytest.approx(
        handle.grip_opening.opening_m(pos), abs=1e-9
    )
    assert handle.opening.range_m == pytest.approx((0.0, top))


def test_laws_take_torch_tensors():
    torch = pytest.importorskip("torch")
    _, _, handle = build()
    angle = torch.linspace(0, handle.joint_range[1], 7, dtype=torch.float64)
    np.testing.assert_allclose(handle.opening_m(angle), handle.opening_m(angle.numpy()), atol=1e-15)
    torch.testing.assert_close(handle.joint_pos(handle.opening_m(angle)), angle)


def test_starts_at_rest_with_the_asked_opening_and_bisected_by_z():
    config = TweezersConfig()
    model, data, handle = build(config)
    mujoco.mj_forward(model, data)
    assert distance(data, "t/tip_left", "t/tip_right") == pytest.approx(config.rest_opening_m)
    left, right, tip = (data.site(f"t/{s}").xpos for s in ("tip_left", "tip_right", "tip"))
    assert left == pytest.approx(right * [1, -1, 1])  # mirror images about y = 0
    assert tip == pytest.approx((left + right) / 2)
    assert handle.joint_rest == data.joint(handle.joint).qpos[0]


@pytest.mark.parametrize("tip", ["flat", "rounded", "pointed"])
def test_faces_of_the_tips_meet_at_zero_opening(tip):
    """At angle 0 the inner faces of the two tip boxes lie on y = 0, none beyond."""
    model, data, handle = build(TweezersConfig(tip=tip))
    data.joint(handle.joint).qpos[0] = 0.0
    mujoco.mj_kinematics(model, data)
    mujoco.mj_collision(model, data)
    last = len(arm_stations(TweezersConfig())) - 2
    tips = [model.geom(f"t/{side}_{last}").id for side in ("left", "right")]
    assert mujoco.mj_geomDistance(model, data, *tips, 0.1, None) == pytest.approx(0.0, abs=1e-6)
    for k in range(last):
        arms = [model.geom(f"t/{side}_{k}").id for side in ("left", "right")]
        assert mujoco.mj_geomDistance(model, data, *arms, 0.1, None) > -1e-4


def test_mass_by_hand():
    """Two arms of five boxes and a heel of 0.62 w x 2 t x 0.03 l."""
    c = TweezersConfig(length_m=0.1, width_m=0.01, thickness_m=0.002, density_kg_m3=8000)
    model, _, handle = build(c)
    heel = 8000 * (0.62 * 0.01) * (2 * 0.002) * (0.03 * 0.1)
    arms = 2 * bar_mass_kg(arm_stations(c), 8000)
    assert handle.mass_kg == pytest.approx(heel + arms)
    assert model.body_mass.sum() == pytest.approx(heel + arms)
    # An arm is a little more than 100 mm of 2 mm sheet, 7.5 mm wide in the mean: 12 g.
    assert arms / 2 == pytest.approx(0.012, rel=0.1)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_spring_returns_to_the_rest_opening(start):
    model, data, handle = build()
    data.joint(handle.joint).qpos[0] = handle.joint_range[0] if start == 0 else handle.joint_range[1]
    mujoco.mj_step(model, data, 500)
    assert handle.opening_m(data.joint(handle.joint).qpos[0]) == pytest.approx(0.016, abs=1e-6)
    assert np.abs(data.qvel).max() < 1e-5


def squeeze(model, data, force_n):
    """Push both grips with `force_n` along the line between them; call before every step."""
    data.qfrc_applied[:] = 0
    left, right = data.site("t/grip_left").xpos, data.site("t/grip_right").xpos
    push = force_n * (right - left) / np.linalg.norm(right - left)
    for site, body, force in (("t/grip_left", "t/body", push), ("t/grip_right", "t/arm", -push)):
        mujoco.mj_applyFT(
            model, data, force, np.zeros(3), data.site(site).xpos, model.body(body).id, data.qfrc_applied
        )


@pytest.mark.parametrize("force_n", [0.2, 0.5, 1.0])
def test_squeezing_closes_by_torque_balance(force_n):
    """In the frame of the bisector the right grip is at z = r cos((a + a0) / 2) from the hinge.

    The force on it, +F along y, has the torque -F z about x; the spring's is -k (a - a_rest). At rest
    they cancel: k (a_rest - a) = F r cos((a + a0) / 2), with r, a0 from the law of the grips.
    """
    c = TweezersConfig()
    model, data, handle = build(c)
    r, a0 = handle.grip_opening.radius_m, handle.grip_opening.offset_rad

    def balance(a):
        return c.stiffness_n_m_rad * (handle.joint_rest - a) - force_n * r * np.cos((a + a0) / 2)

    expected = brentq(balance, 0.0, handle.joint_rest)
    for _ in range(1000):
        mujoco.mj_forward(model, data)
        squeeze(model, data, force_n)
        mujoco.mj_step(model, data)
    assert data.joint(handle.joint).qpos[0] == pytest.approx(expected, abs=1e-5)


def test_more_force_than_the_spring_can_bear_closes_the_tips():
    model, data, handle = build()
    for _ in range(500):
        mujoco.mj_forward(model, data)
        squeeze(model, data, 3.0)
        mujoco.mj_step(model, data)
    assert abs(handle.opening_m(data.joint(handle.joint).qpos[0])) < 2e-4


def hold(force_n, friction=0.9):
    """Squeeze hanging tweezers on a 10 mm cube for 1.1 s; return its sinking in the last 1 s [m]."""
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.worldbody.add_site(name="stand", pos=[0, 0, 0.3], quat=[0, 1, 0, 0])
    c = TweezersConfig(friction=friction)
    handle = add_tweezers(spec, "t", c, parent_site="stand")
    # The stand is turned half about x: tool z is down. The root (left) arm is fixed half the rest angle out,
    # so the cube is centred beside its face and turned with it.
    turn = handle.joint_rest / 2
    half, r = 0.005, c.tip_radius_m
    p_tool = np.array([0, r * np.sin(turn) - half * np.cos(turn), r * np.cos(turn) + half * np.sin(turn)])
    cube = spec.worldbody.add_body(
        name="cube",
        pos=list(p_tool * [1, -1, -1] + [0, 0, 0.3]),
        quat=[np.cos(turn / 2), -np.sin(turn / 2), 0, 0],
    )
    cube.add_freejoint()
    cube.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[half] * 3,
        mass=0.002,
        condim=4,
        friction=[friction, 0.005, 0.0001],
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    data.joint(handle.joint).qpos[0] = handle.joint_pos(0.0102)
    mujoco.mj_forward(model, data)
    for step in range(550):
        if step == 50:  # the arm has swung through the gap of 0.2 mm and is pressing
            start = data.body("cube").xpos[2]
        mujoco.mj_forward(model, data)
        squeeze(model, data, force_n)
        mujoco.mj_step(model, data)
    return float(start - data.body("cube").xpos[2])


def test_squeezed_tweezers_hold_a_cube_by_friction():
    """Two faces bear 2 mu N >= m g: N >= 2 g * 9.81 / 1.8 = 0.011 N at the tips; the spring takes the rest.

    The grips are at 0.6 of the tips' radius and the spring takes k (a_rest - a) / r = 0.5 N of the push,
    so 1.5 N leave about 0.6 N at the tips; the cube sinks less than 0.3 mm (the creep of soft contacts).
    """
    assert abs(hold(1.5)) < 3e-4


def test_tweezers_that_are_let_go_or_slippery_drop_the_cube():
    assert hold(0.0) > 0.1
    assert hold(1.5, friction=0.001) > 0.1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"length_m": 0.0}, "length_m"),
        ({"length_m": float("nan")}, "length_m"),
        ({"stiffness_n_m_rad": -1.0}, "stiffness_n_m_rad"),
        ({"rest_opening_m": 0.03}, "raise it"),
        ({"rest_opening_m": 0.1, "max_opening_m": 0.2}, "arms at least as long"),
        ({"width_m": 0.05}, "too stout"),
        ({"tip": "curly"}, "flat, rounded, pointed"),
        ({"damping_ratio": -0.1}, "damping_ratio"),
    ],
)
def test_impossible_sizes_are_refused_in_one_line(fields, says):
    with pytest.raises(ValueError, match=says) as error:
        TweezersConfig(**fields)
    assert "\n" not in str(error.value)


def test_a_spring_too_stiff_for_the_time_step_is_refused():
    with pytest.raises(ValueError, match="lower its stiffness"):
        build(TweezersConfig(stiffness_n_m_rad=50.0))
