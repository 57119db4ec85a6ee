"""What holds for every tool: names, frames, rest, laws, both backends."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.robots.fr3 import set_physics_options
from sim.tools.opening import HingeOpening
from sim.tools.registry import TOOLS, add_tool, tool_model, tool_spec

FLAT = (np.cos(np.pi / 4), 0.0, np.cos(np.pi / 4), 0.0)  # tool z along world x, tool x down


def scene(kinds=tuple(TOOLS), height_m=0.06, **fields):
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1])
    handles = [
        add_tool(spec, kind, kind, TOOLS[kind].config(**fields), (0.0, 0.3 * k, height_m), FLAT)
        for k, kind in enumerate(kinds)
    ]
    model = spec.compile()
    return model, mujoco.MjData(model), handles


@pytest.mark.parametrize("kind", TOOLS)
def test_all_named_things_exist(kind):
    model, _, (handle,) = scene([kind])
    assert {model.site(i).name for i in range(model.nsite)} == set(handle.sites)
    assert {model.body(i).name for i in range(1, model.nbody)} == {handle.body, handle.moving_body} - {None}
    assert {model.joint(i).name for i in range(model.njnt)} == {handle.free_joint, handle.joint} - {None}
    for short in ("tip", "grip"):
        assert handle.site(short) == f"{kind}/{short}"
    assert {a.kind for a in handle.affordances} == {"grasp", "act"}
    for affordance in handle.affordances:
        assert affordance.site in handle.sites
        assert np.linalg.norm(affordance.direction) == pytest.approx(1)
        assert np.linalg.norm(affordance.axis) == pytest.approx(1)
        assert handle.affordance(affordance.name) is affordance
    with pytest.raises(ValueError, match="tip"):
        handle.site("nose")
    with pytest.raises(ValueError, match=handle.affordances[0].name):
        handle.affordance("nose")


@pytest.mark.parametrize("kind", TOOLS)
def test_tip_is_ahead_of_the_grip(kind):
    model, data, (handle,) = scene([kind])
    mujoco.mj_forward(model, data)
    assert data.site(handle.site("tip")).xpos[0] > data.site(handle.site("grip")).xpos[0] + 0.02


@pytest.mark.parametrize("kind", [k for k in TOOLS if tool_model(k).handle.opening])
def test_opening_laws_equal_site_distances(kind):
    model, data, (handle,) = scene([kind])
    pairs = [(("tip_left", "tip_right"), handle.opening), (("grip_left", "grip_right"), handle.grip_opening)]
    if kind == "plunger":
        pairs = [(("piston", "stop"), handle.opening), (("thumb", "flange"), handle.grip_opening)]
    joint = data.joint(handle.joint)
    assert joint.qpos[0] == handle.joint_rest
    assert handle.joint_range[0] <= handle.joint_rest <= handle.joint_range[1]
    for pos in np.linspace(*handle.joint_range, 9):
        joint.qpos[0] = pos
        mujoco.mj_kinematics(model, data)
        for (a, b), law in pairs:
            gap = np.linalg.norm(data.site(handle.site(a)).xpos - data.site(handle.site(b)).xpos)
            assert gap == pytest.approx(law.opening_m(pos), abs=1e-9)
            assert law.joint_pos(law.opening_m(pos)) == pytest.approx(pos, abs=1e-9)
    assert isinstance(handle.opening, HingeOpening) == (kind != "plunger")


@pytest.mark.parametrize("kind", [k for k in TOOLS if tool_model(k).handle.opening is None])
def test_rigid_tools_have_no_opening(kind):
    with pytest.raises(ValueError, match="rigid"):
        tool_model(kind).handle.opening_m(0.1)


def energy(model, data):
    mujoco.mj_energyPos(model, data)
    mujoco.mj_energyVel(model, data)
    return float(data.energy.sum())


@pytest.mark.parametrize("kind", TOOLS)
def test_falls_and_rests_without_sinking_in_or_gaining_energy(kind):
    """Dropped flat from 0.2 m, for 4 s.

    Semi-implicit Euler gains m g dt v / 2 in free fall, at most at v = sqrt(2 g h) (a constant offset of the
    scheme: v is half a step ahead of z); nothing else may add energy.
    """
    model, data, (handle,) = scene([kind], height_m=0.2)
    mujoco.mj_forward(model, data)
    start = energy(model, data)
    offset = handle.mass_kg * 9.81 * 0.002 * np.sqrt(2 * 9.81 * 0.2) / 2
    for step in range(2000):
        mujoco.mj_step(model, data)
        assert energy(model, data) <= start + offset + 1e-6
        if step == 1750:
            resting = energy(model, data)
    assert energy(model, data) <= resting + 1e-7
    assert data.ncon > 0
    assert min(c.dist for c in data.contact) > -1e-3
    assert np.abs(data.qvel).max() < 0.02


@pytest.mark.parametrize("kind", TOOLS)
def test_only_primitives_collide(kind):
    model = tool_spec(kind).compile()
    primitive = {mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER}
    for geom in np.flatnonzero(model.geom_contype):
        assert int(model.geom_type[geom]) in {int(p) for p in primitive}
    assert np.flatnonzero(model.geom_contype).size <= 40


@pytest.mark.parametrize("kind", TOOLS)
def test_can_be_fixed_to_a_site(kind):
    """Attached, its frame is the site's; it has no free joint and adds no degrees but its own."""
    spec = mujoco.MjSpec()
    hand = spec.worldbody.add_body(name="hand", pos=[0.1, 0.2, 0.5])
    hand.add_joint(name="slide", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    hand.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02] * 3)
    hand.add_site(name="ee", pos=[0, 0, 0.03], quat=[0, 1, 0, 0])
    handle = add_tool(spec, kind, "held", parent_site="ee")
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert handle.free_joint is None
    assert model.nv == 1 + (handle.joint is not None)
    assert data.body(handle.body).xpos == pytest.approx(data.site("ee").xpos)
    assert data.body(handle.body).xmat == pytest.approx(data.site("ee").xmat, abs=1e-12)


def test_two_tools_of_one_kind_and_wrong_names():
    spec = mujoco.MjSpec()
    add_tool(spec, "stick", "a")
    add_tool(spec, "stick", "b")
    with pytest.raises(ValueError, match="choose another name"):
        add_tool(spec, "stick", "a")
    with pytest.raises(ValueError, match="no site 'palm'"):
        add_tool(spec, "stick", "c", parent_site="palm")
    with pytest.raises(ValueError, match="without '/'"):
        add_tool(spec, "stick", "a/b")
    with pytest.raises(ValueError, match="tools: tweezers, scissors"):
        tool_spec("saw")
    with pytest.raises(ValueError, match="fields: length_m"):
        tool_spec("stick", lenght_m=1.0)
    assert spec.compile().nbody == 3


@pytest.mark.parametrize("kind", TOOLS)
def test_impossible_sizes_are_refused(kind):
    config = TOOLS[kind].config
    for field, value in [("density_kg_m3", 0.0), ("friction", float("nan")), ("length_m", -0.1)]:
        with pytest.raises(ValueError, match=field) as error:
            config(**{field: value})
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError):
        config(length_m=0.001)


def test_steps_in_a_batch_like_alone():
    batch_module = pytest.importorskip("mujoco.batch")
    model, data, handles = scene()
    batch = batch_module.Batch(model, 10, nthread=1)
    qpos = batch.bind("qpos")
    batch.step(nstep=200)
    mujoco.mj_step(model, data, 200)
    assert np.isfinite(qpos).all()
    assert all(np.array_equal(row, data.qpos) for row in np.asarray(qpos))
    assert len(handles) == len(TOOLS)


def test_mujoco_warp_takes_all_tools():
    mjw = pytest.importorskip("mujoco_warp")
    model, _, _ = scene()
    assert mjw.put_model(model).nbody == model.nbody


def test_masses_of_stick_and_hook_by_hand():
    """Stick: capsule of radius 10 mm, 0.2 m long in all; hook: a 0.3 m bar and 0.09 m of foot beside it."""
    stick = tool_model("stick", length_m=0.2, thickness_m=0.02, density_kg_m3=1000.0).handle.mass_kg
    assert stick == pytest.approx(1000 * np.pi * 1e-4 * (0.18 + 4 / 3 * 0.01))
    square = tool_model("stick", length_m=0.2, thickness_m=0.02, section="square", density_kg_m3=1000.0)
    assert square.handle.mass_kg == pytest.approx(0.08)
    hook = tool_model("hook", length_m=0.3, foot_m=0.1, thickness_m=0.02, density_kg_m3=1000.0).handle.mass_kg
    assert hook == pytest.approx(1000 * 0.02**2 * (0.3 + 0.09))


def test_the_hook_pulls():
    """Its foot, behind a puck, drags it along when the shaft is drawn back."""
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    hand = spec.worldbody.add_body(name="hand", pos=[0, 0, 0.012], quat=list(FLAT))
    hand.add_joint(name="draw", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1], damping=[1, 0, 0])
    hand.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.01, 0, 0], pos=[0.1, 0, 0], contype=0, conaffinity=0
    )
    hand.add_site(name="palm")
    add_tool(spec, "hook", "hook", parent_site="palm")
    # The foot's inner face is at 0.8 * 0.32 - 0.016 = 0.24 m; the puck's far side touches it.
    puck = spec.worldbody.add_body(name="puck", pos=[0.24 - 0.021, 0.05, 0.015])
    puck.add_freejoint()
    puck.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[0.02, 0.015, 0], mass=0.05)
    model = spec.compile()
    data = mujoco.MjData(model)
    for _ in range(500):
        data.joint("draw").qfrc_applied[0] = -1.0
        mujoco.mj_step(model, data)
        if data.joint("draw").qpos[0] < -0.1:
            break
    assert data.joint("draw").qpos[0] < -0.1
    assert data.body("puck").xpos[0] < 0.24 - 0.02 - 0.095


HINGED = [k for k in TOOLS if tool_model(k).handle.joint == "hinge"]
FRONT = {"tweezers": "4", "scissors": "blade_4", "pliers": "jaw_3", "tongs": "tip_2"}


def floating(kind, **fields):
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.option.gravity = [0, 0, 0]
    handle = add_tool(spec, kind, "t", TOOLS[kind].config(**fields))
    model = spec.compile()
    return model, mujoco.MjData(model), handle


@pytest.mark.parametrize("kind", HINGED)
def test_front_faces_meet_at_zero_opening(kind):
    """At angle 0 the inner faces of the frontmost boxes lie on y = 0 of the arm."""
    model, data, handle = floating(kind)
    data.joint(handle.joint).qpos[0] = 0.0
    mujoco.mj_kinematics(model, data)
    arm = data.body("t/arm")
    for side, sign in (("left", 1), ("right", -1)):
        geom = data.geom(f"t/{side}_{FRONT[kind]}")
        half = model.geom(geom.id).size
        corners = np.array(np.meshgrid(*[[-h, h] for h in half])).reshape(3, -1).T
        y = (
            arm.xmat.reshape(3, 3).T @ (geom.xmat.reshape(3, 3) @ corners.T + (geom.xpos - arm.xpos)[:, None])
        )[1]
        assert (sign * y).min() == pytest.approx(0.0, abs=1e-9)
        assert (sign * y).max() > 5e-4


@pytest.mark.parametrize("kind", HINGED)
def test_tips_are_mirror_images_at_rest(kind):
    model, data, handle = floating(kind)
    mujoco.mj_forward(model, data)
    for a, b, middle in (("tip_left", "tip_right", "tip"), ("grip_left", "grip_right", "grip")):
        left, right = data.site(handle.site(a)).xpos, data.site(handle.site(b)).xpos
        assert left == pytest.approx(right * [1, -1, 1], abs=1e-12)
        assert left[1] > 0
        assert data.site(handle.site(middle)).xpos[1] == 0
    assert data.site(handle.site("tip")).xpos[2] == pytest.approx(data.site(handle.site("tip_left")).xpos[2])


@pytest.mark.parametrize("kind", HINGED)
def test_pressing_the_grips_together_closes_the_tips(kind):
    model, data, handle = floating(kind)
    left, right = handle.site("grip_left"), handle.site("grip_right")
    for _ in range(1000):
        mujoco.mj_forward(model, data)
        data.qfrc_applied[:] = 0
        gap = data.site(right).xpos - data.site(left).xpos
        for site, push in (
            (left, 5.0 * gap / np.linalg.norm(gap)),
            (right, -5.0 * gap / np.linalg.norm(gap)),
        ):
            body = int(model.site(site).bodyid[0])
            mujoco.mj_applyFT(model, data, push, np.zeros(3), data.site(site).xpos, body, data.qfrc_applied)
        mujoco.mj_step(model, data)
    assert abs(handle.opening_m(data.joint(handle.joint).qpos[0])) < 6e-4


@pytest.mark.parametrize("kind", [k for k in HINGED if tool_model(k).handle.stiffness])
def test_springs_return_to_rest(kind):
    model, data, handle = floating(kind)
    data.joint(handle.joint).qpos[0] = 0.0
    mujoco.mj_step(model, data, 1500)
    assert data.joint(handle.joint).qpos[0] == pytest.approx(handle.joint_rest, abs=1e-5)


def plunger_on_a_stand(**fields):
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.worldbody.add_site(name="stand", quat=[0, 1, 0, 0])  # nozzle down
    handle = add_tool(spec, "plunger", "p", TOOLS["plunger"].config(**fields), parent_site="stand")
    model = spec.compile()
    return model, mujoco.MjData(model), handle


def test_the_plunger_moves_as_its_resistance_says():
    """Pressed with 5 N and its weight against 0.5 N of dry friction and 100 N s/m."""
    model, data, handle = plunger_on_a_stand(damping_n_s_m=100.0, friction_n=0.5)
    joint = data.joint(handle.joint)
    joint.qfrc_applied[0] = -5.0
    mujoco.mj_step(model, data, 200)
    weight = float(model.body(handle.moving_body).mass[0]) * 9.81
    assert joint.qvel[0] == pytest.approx(-(4.5 + weight) / 100, rel=0.01)
    mujoco.mj_step(model, data, 1000)
    assert handle.opening_m(joint.qpos[0]) == pytest.approx(0.0, abs=2e-4)


def test_dry_friction_holds_the_plunger_and_a_spring_brings_it_back():
    model, data, handle = plunger_on_a_stand()
    mujoco.mj_step(model, data, 1000)
    assert data.joint(handle.joint).qpos[0] == pytest.approx(0.045, abs=1e-3)
    model, data, handle = plunger_on_a_stand(stiffness_n_m=200.0, friction_n=0.0)
    data.joint(handle.joint).qpos[0] = 0.0
    mujoco.mj_step(model, data, 1500)
    weight = float(model.body(handle.moving_body).mass[0]) * 9.81  # sags by m g / k
    assert data.joint(handle.joint).qpos[0] == pytest.approx(0.045 - weight / 200, abs=1e-6)


def test_masses_of_hammer_head_and_plunger_rod_by_hand():
    """Rod: piston, core and plate are cylinders; hammer: with a weightless handle only the head is left."""
    rod = plunger_on_a_stand(length_m=0.1, radius_m=0.01, density_kg_m3=1000.0, stroke_m=0.05)
    piston = np.pi * 0.0097**2 * 0.009
    core = np.pi * 0.0055**2 * (0.05 - 0.009 + 0.05 + 0.01 - 0.0025)
    plate = np.pi * 0.0135**2 * 0.0025
    assert float(rod[0].body("p/rod").mass[0]) == pytest.approx(1000 * (piston + core + plate))
    light = tool_model("hammer", density_kg_m3=1e-6).handle.mass_kg
    assert 0.35 < light < 0.6  # a 16 oz head weighs 0.45 kg
    heavy = tool_model("hammer", density_kg_m3=1e-6, head_density_kg_m3=2 * 7850.0).handle.mass_kg
    assert heavy == pytest.approx(2 * light, rel=1e-4)


def test_a_lip_makes_the_spatula_a_scoop():
    """A ball on the blade of a tilted spatula rolls off the side; a lip stops it."""
    for lip, stays in ((0.0, False), (0.02, True)):
        spec = mujoco.MjSpec()
        set_physics_options(spec)
        # Tool y up, tool z forward (world x), rolled by 0.3 rad about it.
        hand = spec.worldbody.add_body(pos=[0, 0, 0.3], quat=[np.cos(0.15), np.sin(0.15), 0, 0])
        hand.add_site(name="ee", quat=[0.5, 0.5, 0.5, 0.5])
        handle = add_tool(spec, "spatula", "s", TOOLS["spatula"].config(lip_m=lip), parent_site="ee")
        ball = spec.worldbody.add_body(name="ball")
        ball.add_freejoint(name="ball")
        ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.01, 0, 0], density=500)
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        blade = data.site(handle.site("blade"))
        data.joint("ball").qpos[:3] = blade.xpos + blade.xmat.reshape(3, 3) @ [0, 0.0101, 0]
        mujoco.mj_step(model, data, 1000)
        assert (data.body("ball").xpos[2] > 0.2) == stays


@settings(deadline=None, max_examples=25)
@given(kind=st.sampled_from([*HINGED, "plunger"]), scale=st.floats(0.4, 3.0), at=st.floats(0, 1))
def test_laws_stay_exact_at_any_size(kind, scale, at):
    """All lengths scaled by s: inertias grow by s^5, so springs are scaled alike to keep their frequency."""
    config = TOOLS[kind].config()
    fields = {f: scale * getattr(config, f) for f in config.__dataclass_fields__ if f.endswith("_m")}
    if hasattr(config, "stiffness_n_m_rad"):
        fields["stiffness_n_m_rad"] = scale**5 * config.stiffness_n_m_rad
    fields.pop("stiffness_n_m", None)
    model, data, handle = floating(kind, **fields)
    pos = handle.joint_range[0] + at * (handle.joint_range[1] - handle.joint_range[0])
    data.joint(handle.joint).qpos[0] = pos
    mujoco.mj_kinematics(model, data)
    a, b = ("piston", "stop") if kind == "plunger" else ("tip_left", "tip_right")
    gap = np.linalg.norm(data.site(handle.site(a)).xpos - data.site(handle.site(b)).xpos)
    assert gap == pytest.approx(handle.opening_m(pos), abs=1e-9)
    assert handle.joint_pos(gap) == pytest.approx(pos, abs=1e-6)
    # Volumes, so masses, grow by s^3.
    assert handle.mass_kg == pytest.approx(scale**3 * tool_model(kind).handle.mass_kg, rel=0.02)
