"""What holds for every tool: names, frames, rest, laws, both backends."""

import mujoco
import numpy as np
import pytest

from sim.robots.fr3 import set_physics_options
from sim.tools.base import HingeOpening
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
    with pytest.raises(ValueError, match="tools: tweezers, stick"):
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
