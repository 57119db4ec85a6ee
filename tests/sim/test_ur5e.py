"""The UR5e model against its published numbers."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from perception_tools.geometry import Intrinsics
from policies.robot import JointCommand
from sim.kinematics import MujocoKinematics
from sim.robot import SimRobot
from sim.robots import ur5e
from sim.robots.fr3 import set_physics_options


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return ur5e.ur5e_spec().compile()


def at(model: mujoco.MjModel, joint_pos) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:6] = joint_pos
    mujoco.mj_forward(model, data)
    return data


def dh_forward(joint_pos) -> np.ndarray:
    """Pose of the flange in the forward-facing base, Rz(pi) and six rows of DH, (4, 4)."""

    def link(a, d, alpha, theta):
        ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
        return np.array(
            [[ct, -st * ca, st * sa, a * ct], [st, ct * ca, -ct * sa, a * st], [0, sa, ca, d], [0, 0, 0, 1]]
        )

    rows = [
        (0, 0.1625, np.pi / 2),
        (-0.425, 0, 0),
        (-0.3922, 0, 0),
        (0, 0.1333, np.pi / 2),
        (0, 0.0997, -np.pi / 2),
        (0, 0.0996, 0),
    ]
    pose = np.diag([-1.0, -1.0, 1.0, 1.0])
    for (a, d, alpha), theta in zip(rows, joint_pos, strict=True):
        pose = pose @ link(a, d, alpha, theta)
    return pose


# ---- kinematics --------------------------------------------------------------------------------


def test_zero_posture_worked_out_by_hand(model):
    # Stretched out forward: both tubes along x; the wrist is 0.1333 to the left, hangs 0.0997 down, and
    # its last link reaches 0.0996 further left.
    data = at(model, np.zeros(6))
    expected = [0.425 + 0.3922, 0.1333 + 0.0996, 0.1625 - 0.0997]
    np.testing.assert_allclose(data.site("ee").xpos, expected, atol=1e-9)
    np.testing.assert_allclose(data.site("ee").xmat.reshape(3, 3)[:, 2], [0, 1, 0], atol=1e-9)


def test_home_worked_out_by_hand(model):
    # Upper arm up, forearm level: height 0.1625 + 0.425, the last link 0.0996 down. Forward
    # 0.3922 + 0.0997 with 0.1333 aside, turned into the plane y = 0.
    data = at(model, ur5e.HOME)
    expected = [np.hypot(0.3922 + 0.0997, 0.1333), 0, 0.1625 + 0.425 - 0.0996]
    np.testing.assert_allclose(data.site("ee").xpos, expected, atol=1e-9)
    np.testing.assert_allclose(data.site("ee").xmat.reshape(3, 3), np.diag([1.0, -1, -1]), atol=1e-9)


def test_forward_kinematics_is_the_dh_chain(model):
    rng = np.random.default_rng(0)
    for _ in range(50):
        joint_pos = rng.uniform(ur5e.LIMITS.lower, ur5e.LIMITS.upper)
        data, expected = at(model, joint_pos), dh_forward(joint_pos)
        for site in ("ee", "flange"):
            np.testing.assert_allclose(data.site(site).xpos, expected[:3, 3], atol=1e-9)
            np.testing.assert_allclose(data.site(site).xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_constants_are_the_dh_rows_of_the_model(model):
    names = ["shoulder", "upper_arm", "forearm", "wrist_1", "wrist_2", "wrist_3"]
    rows = np.array(ur5e.DH_PARAMETERS)
    previous_a = 0.0
    for name, (a, d, _) in zip(names, rows, strict=True):
        assert np.linalg.norm(model.body(f"ur5e_{name}").pos) == pytest.approx(np.hypot(previous_a, d))
        previous_a = a


# ---- limits and dynamics -----------------------------------------------------------------------


def test_model_has_the_published_limits(model):
    limits = ur5e.LIMITS
    assert [model.joint(i).name for i in range(model.njnt)] == list(limits.joint_names)
    assert [model.actuator(i).name for i in range(model.nu)] == list(limits.joint_names)
    np.testing.assert_allclose(model.jnt_range, np.stack([limits.lower, limits.upper], axis=1))
    np.testing.assert_allclose(model.actuator_ctrlrange, model.jnt_range)
    effort = np.array([150, 150, 150, 28, 28, 28])
    np.testing.assert_allclose(model.jnt_actfrcrange, np.stack([-effort, effort], axis=1))
    np.testing.assert_allclose(model.actuator_forcerange, np.stack([-effort, effort], axis=1))
    np.testing.assert_allclose(limits.effort, effort)
    np.testing.assert_allclose(limits.velocity, np.pi)
    np.testing.assert_allclose(np.delete(limits.upper, 2), 2 * np.pi, atol=1e-5)


def test_masses_are_the_published_ones(model):
    masses = {
        "ur5e_shoulder": 3.761,
        "ur5e_upper_arm": 8.058,
        "ur5e_forearm": 2.846,
        "ur5e_wrist_1": 1.37,
        "ur5e_wrist_2": 1.3,
        "ur5e_wrist_3": 0.365,
    }
    for body_name, mass in masses.items():
        assert model.body(body_name).mass[0] == pytest.approx(mass)
    assert model.body_mass.sum() == pytest.approx(20.6)


def test_gravity_torque_at_zero_worked_out_by_hand(model):
    # Stretched out, the shoulder lifts every link's weight at its distance along x:
    # the tubes' centres at 0.2125 and 0.425 + 0.2422, the wrist at 0.8172.
    data = at(model, np.zeros(6))
    moment = 8.058 * 0.2125 + 2.846 * (0.425 + 0.2422) + (1.37 + 1.3 + 0.365) * 0.8172
    assert abs(data.qfrc_bias[1]) == pytest.approx(9.81 * moment, rel=1e-6)
    np.testing.assert_allclose(data.qfrc_gravcomp, data.qfrc_bias, atol=1e-9)


def test_servos_are_overdamped_at_the_largest_inertia(model):
    rng, inertia = np.random.default_rng(1), np.zeros((6, 6))
    for _ in range(200):
        data = at(model, rng.uniform(ur5e.LIMITS.lower, ur5e.LIMITS.upper))
        mujoco.mj_fullM(model, data, inertia)
        for i in range(6):
            kp, kv = model.actuator_gainprm[i, 0], -model.actuator_biasprm[i, 2]
            assert kv > 2 * np.sqrt(kp * inertia[i, i])


@pytest.mark.parametrize("timestep_s", [0.002, 0.005])
def test_random_targets_are_held_and_at_rest_nothing_gains_energy(timestep_s):
    spec = ur5e.ur5e_spec()
    set_physics_options(spec, timestep_s)
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    model = spec.compile()
    rng = np.random.default_rng(0)
    for _ in range(8):
        target = ur5e.HOME + rng.uniform(-0.5, 0.5, 6)
        data = at(model, ur5e.HOME)
        data.ctrl[:] = target
        kinetic = []
        for _ in range(round(5 / timestep_s)):
            mujoco.mj_step(model, data)
            assert np.isfinite(data.qpos).all()
            violation = np.maximum(ur5e.LIMITS.lower - data.qpos, data.qpos - ur5e.LIMITS.upper)
            assert violation.max() < 0.02
            kinetic.append(float(data.energy[1]))
        assert np.abs(data.qpos - target).max() < 1e-3
        assert max(kinetic[-round(1 / timestep_s) :]) < 1e-6


# ---- geometry ----------------------------------------------------------------------------------


def test_visual_and_collision_geoms_are_apart(model):
    for i in range(model.ngeom):
        geom = model.geom(i)
        collides = bool(geom.contype[0] or geom.conaffinity[0])
        assert geom.group[0] == (3 if collides else 2)
        assert bool(geom.name) == collides
    assert model.nmesh == 0


def test_nothing_touches_in_usual_postures(model):
    for joint_pos in (ur5e.HOME, np.zeros(6), [0, -1.2, 1.8, -2.2, -1.57, 0], [1, -2.0, -1.5, 0.5, 1.57, 3]):
        assert at(model, joint_pos).ncon == 0


def test_folding_onto_itself_is_a_contact(model):
    assert at(model, [0, -1.57, 3.1, 0, 0, 0]).ncon > 0


def test_wrist_camera_looks_past_the_flange(model):
    data = at(model, ur5e.HOME)
    camera = data.camera("wrist")
    R_world_camera = camera.xmat.reshape(3, 3) @ np.diag([1.0, -1, -1])  # OpenGL to optical
    width, height = model.cam_resolution[model.camera("wrist").id]
    intrinsics = Intrinsics.from_fovy(np.deg2rad(model.camera("wrist").fovy[0]), int(width), int(height))
    R_world_ee, ee = data.site("ee").xmat.reshape(3, 3), data.site("ee").xpos
    for p_ee in ([0, 0.05, 0.15], [0, -0.05, 0.15], [0, 0, 0.4]):
        p_camera = R_world_camera.T @ (ee + R_world_ee @ np.array(p_ee) - camera.xpos)
        u, v = intrinsics.project(p_camera)
        assert 0 < u < width and 0 < v < height, p_ee


# ---- in use ------------------------------------------------------------------------------------


def test_driver_moves_it():
    spec = ur5e.ur5e_spec()
    set_physics_options(spec)
    compiled = spec.compile()
    robot = SimRobot(compiled, mujoco.MjData(compiled), ur5e.UR5E)
    robot.sleep(0.5)
    assert np.abs(robot.state().joint_pos - ur5e.HOME).max() < 1e-3
    for k in range(100):
        robot.send(JointCommand(ur5e.JOINTS, ur5e.HOME + 0.1 * k / 99))
        robot.sleep(0.01)
    robot.sleep(0.5)
    assert np.abs(robot.state().joint_pos - ur5e.HOME - 0.1).max() < 0.005
    assert robot.state().gripper is None


def test_inverse_kinematics_reaches_a_pose():
    kinematics = MujocoKinematics(ur5e.UR5E)
    target = kinematics.forward(ur5e.HOME + np.array([0.3, -0.2, 0.2, 0.1, 0.2, -0.4]))
    joint_pos = kinematics.inverse(target, seed=ur5e.HOME)
    np.testing.assert_allclose(kinematics.forward(joint_pos).matrix, target.matrix, atol=2e-3)


def test_batch_steps():
    from mujoco.batch import Batch

    spec = ur5e.ur5e_spec()
    set_physics_options(spec, 0.004)
    model = spec.compile()
    batch = Batch(model, nsim=3, nthread=1)
    batch.bind("qpos")[:] = ur5e.HOME
    batch.bind("ctrl")[:] = ur5e.HOME + 0.2
    batch.forward()
    batch.step(nstep=100)
    data = at(model, ur5e.HOME)
    data.ctrl[:] = ur5e.HOME + 0.2
    mujoco.mj_step(model, data, 100)
    for joint_pos in batch.bind("qpos"):
        np.testing.assert_allclose(joint_pos, data.qpos, atol=1e-12)
    assert np.abs(data.qpos - ur5e.HOME).max() > 0.1


def test_warp_takes_the_model(model):
    warp = pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    assert warp.put_model(model).nu == 6
