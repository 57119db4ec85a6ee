"""Checks that every hand model must pass; the hands' own tests call them."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.robots.hand import HandModel

BALL_RADIUS_M = 0.025


def rotation(axis: str, angle: float) -> np.ndarray:
    """Rotation about a principal axis, (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], dtype=float)


def set_options(spec: mujoco.MjSpec, timestep_s: float) -> mujoco.MjSpec:
    """Set the options that a task's scene would set."""
    spec.option.timestep = timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    return spec


def at(model: mujoco.MjModel, joint_pos: FloatArray) -> mujoco.MjData:
    """State at rest in a posture, derived quantities computed."""
    data = mujoco.MjData(model)
    data.qpos[: len(joint_pos)] = joint_pos
    mujoco.mj_forward(model, data)
    return data


def check_shape(hand: HandModel) -> None:
    """Joints, actuators, limits, sites and geoms are what `HandModel` promises."""
    model, limits = hand.make_spec().compile(), hand.limits
    names = list(limits.joint_names)
    assert [model.joint(i).name for i in range(model.njnt)] == names
    assert [model.actuator(i).name for i in range(model.nu)] == names
    np.testing.assert_array_equal(model.actuator_trnid[:, 0], np.arange(model.nu))
    np.testing.assert_allclose(model.jnt_range, np.stack([limits.lower, limits.upper], axis=1))
    np.testing.assert_allclose(model.actuator_ctrlrange, model.jnt_range)
    effort = np.stack([-limits.effort, limits.effort], axis=1)
    np.testing.assert_allclose(model.actuator_forcerange, effort)
    assert (hand.home > limits.lower).all() and (hand.home < limits.upper).all()
    assert model.body(1).name == hand.root_body
    for site_name in ("mount", "palm", "grasp", *hand.tip_sites):
        assert model.site(site_name).id >= 0
    for tip in hand.tip_sites:
        geom = model.geom(tip)
        assert geom.condim[0] == 4 and geom.priority[0] == 1 and geom.friction[0] >= 1.0


def check_geoms(hand: HandModel) -> None:
    """Collision geoms are named primitives in group 3; visual ones collide with nothing."""
    model = hand.make_spec().compile()
    primitives = [
        int(getattr(mujoco.mjtGeom, f"mjGEOM_{k}")) for k in ("SPHERE", "CAPSULE", "BOX", "CYLINDER")
    ]
    for geom in (model.geom(i) for i in range(model.ngeom)):
        collides = bool(geom.contype[0] or geom.conaffinity[0])
        assert int(geom.type[0]) in primitives
        assert geom.group[0] == (3 if collides else 2)
        assert bool(geom.name) == collides
    assert model.nmesh == 0 and model.ntendon == 0 and model.neq == 0


def check_no_contact(hand: HandModel) -> None:
    """The rest postures touch nothing."""
    model = hand.make_spec().compile()
    for joint_pos in (hand.home, hand.pinch, np.clip(0.0, hand.limits.lower, hand.limits.upper)):
        assert at(model, joint_pos).ncon == 0


def check_pinch_touches_the_ball(hand: HandModel, tip_radius_m: float) -> None:
    """The four tips are within 1 mm of a ball of 50 mm, thumb opposite to the fingers."""
    data = at(hand.make_spec().compile(), hand.pinch)
    centre, R_world_grasp = data.site("grasp").xpos, data.site("grasp").xmat.reshape(3, 3)
    offsets = np.array([data.site(tip).xpos - centre for tip in hand.tip_sites])
    gaps = np.linalg.norm(offsets, axis=1) - BALL_RADIUS_M - tip_radius_m
    assert np.abs(gaps).max() < 1e-3
    assert (offsets[:3] @ R_world_grasp[:, 1] > 0).all() and offsets[3] @ R_world_grasp[:, 1] < 0


def check_holds_against_gravity(hand: HandModel, bound_rad: float) -> None:
    """Palm up, down and upright: HOME is held within a bound."""
    model = set_options(hand.make_spec(), 0.002).compile()
    for gravity in 9.81 * np.vstack([np.eye(3), -np.eye(3)]):
        model.opt.gravity[:] = gravity
        data = at(model, hand.home)
        data.ctrl[:] = hand.home
        mujoco.mj_step(model, data, 1000)
        sag = np.abs(data.qpos - hand.home)
        kp = model.actuator_gainprm[:, 0]
        np.testing.assert_allclose(sag, np.abs(data.qfrc_bias) / kp, atol=1e-4)  # nothing else gives way
        assert sag.max() < bound_rad


def check_random_targets(hand: HandModel, timestep_s: float) -> None:
    """Ten random targets, 5 s each: finite, within the limits, and at rest nothing gains energy."""
    model, limits = set_options(hand.make_spec(), timestep_s).compile(), hand.limits
    model.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    rng = np.random.default_rng(0)
    for _ in range(10):
        data = at(model, hand.home)
        data.ctrl[:] = rng.uniform(limits.lower, limits.upper)
        kinetic = []
        for _ in range(round(5 / timestep_s)):
            mujoco.mj_step(model, data)
            violation = np.maximum(limits.lower - data.qpos, data.qpos - limits.upper).max()
            assert np.isfinite(data.qpos).all() and violation < 0.02
            kinetic.append(float(data.energy[1]))
        assert max(kinetic[-round(1 / timestep_s) :]) < 1e-6  # moving fingers have some 1e-2 J
        assert not any(warning.number for warning in data.warning)


def check_grasp(hand: HandModel, squeeze: FloatArray, timestep_s: float) -> None:
    """Closing on a ball of 50 mm and 50 g holds it for 2 s whichever way gravity points.

    The ball floats while the hand closes from HOME beyond PINCH by `squeeze` [rad]; then gravity acts.
    """
    spec = set_options(hand.make_spec(), timestep_s)
    centre = at(hand.make_spec().compile(), hand.pinch).site("grasp").xpos.copy()
    ball = spec.worldbody.add_body(name="ball", pos=centre)
    ball.add_freejoint()
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[BALL_RADIUS_M, 0, 0], mass=0.05)
    model = spec.compile()
    for gravity in 9.81 * np.vstack([np.eye(3), -np.eye(3)]):
        model.opt.gravity[:] = 0
        data, num_joints = at(model, hand.home), len(hand.home)
        assert data.ncon == 0
        for fraction in np.linspace(0, 1, round(0.7 / timestep_s)):
            data.ctrl[:] = hand.home + fraction * (hand.pinch + squeeze - hand.home)
            mujoco.mj_step(model, data)
        mujoco.mj_step(model, data, round(0.3 / timestep_s))
        start = data.body("ball").xpos.copy()
        assert np.linalg.norm(start - centre) < 0.01
        model.opt.gravity[:] = gravity
        mujoco.mj_step(model, data, round(2 / timestep_s))
        assert np.linalg.norm(data.body("ball").xpos - start) < 0.012  # a fall of 2 s is 20 m
        assert np.linalg.norm(data.qvel[num_joints : num_joints + 3]) < 0.01


def check_batch_steps(hand: HandModel) -> None:
    """The threaded batch runs the model and agrees with single stepping."""
    from mujoco.batch import Batch

    model = set_options(hand.make_spec(), 0.004).compile()
    batch = Batch(model, nsim=3, nthread=1)
    target = 0.5 * (hand.home + hand.limits.upper)
    batch.bind("qpos")[:] = hand.home
    batch.bind("ctrl")[:] = target
    batch.forward()
    batch.step(nstep=50)
    data = at(model, hand.home)
    data.ctrl[:] = target
    mujoco.mj_step(model, data, 50)
    assert np.abs(data.qpos - hand.home).max() > 0.1
    for joint_pos in batch.bind("qpos"):
        np.testing.assert_allclose(joint_pos, data.qpos, atol=1e-12)
