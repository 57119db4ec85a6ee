"""Arms with hands, hands fixed in the world, hands that fly."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from perception_tools.geometry import FrameError, Intrinsics, Transform
from policies.robot import JointCommand
from sim.kinematics import MujocoKinematics
from sim.robot import SimRobot
from sim.robots import compose, fr3
from sim.robots.allegro import ALLEGRO
from sim.robots.compose import ArmHandModel
from sim.robots.leap import LEAP
from sim.robots.ur5e import UR5E
from tests.sim.hand_checks import BALL_RADIUS_M, at, set_options

ARMS = {"fr3": compose.fr3_arm(), "ur5e": UR5E}
HANDS = {"allegro": ALLEGRO, "leap": LEAP}


@pytest.fixture(params=["fr3-allegro", "fr3-leap", "ur5e-allegro", "ur5e-leap"])
def robot(request) -> ArmHandModel:
    arm, hand = request.param.split("-")
    return compose.arm_with_hand(ARMS[arm], HANDS[hand])


# ---- what comes along ---------------------------------------------------------------------------


def test_joints_actuators_and_limits_are_those_of_arm_and_hand(robot):
    model = robot.make_spec().compile()
    names = list(robot.limits.joint_names)
    assert [model.joint(i).name for i in range(model.njnt)] == names
    assert [model.actuator(i).name for i in range(model.nu)] == names
    assert robot.arm_joints + robot.hand_joints == robot.limits.joint_names
    assert len(robot.hand_joints) == 16 and all(n.startswith("hand_") for n in robot.hand_joints)
    np.testing.assert_allclose(model.jnt_range, np.stack([robot.limits.lower, robot.limits.upper], axis=1))
    np.testing.assert_allclose(model.actuator_forcerange[:, 1], robot.limits.effort)
    assert robot.home.shape == robot.limits.lower.shape
    for site in (robot.palm_site, *robot.tip_sites, "ee", "flange"):
        assert model.site(site).id >= 0
    assert model.camera("wrist").id >= 0 and model.body(robot.base_body).id == 1


def test_masses_and_gains_are_kept(robot):
    model = robot.make_spec().compile()
    arm_name, hand_name = robot.name.removeprefix("fr3_arm").removeprefix("ur5e"), robot.name.split("_")[-1]
    assert arm_name == f"_{hand_name}"
    hand = HANDS[hand_name].make_spec().compile()
    arm = (ARMS["fr3"] if robot.name.startswith("fr3") else UR5E).make_spec().compile()
    assert model.body_mass.sum() == pytest.approx(hand.body_mass.sum() + arm.body_mass.sum())
    for name in hand_joint_names(hand):
        own, mounted = hand.actuator(name), model.actuator(f"hand_{name}")
        np.testing.assert_array_equal(own.gainprm, mounted.gainprm)
        np.testing.assert_array_equal(own.biasprm, mounted.biasprm)
        assert hand.joint(name).armature == model.joint(f"hand_{name}").armature
        assert hand.joint(name).damping[0] == model.joint(f"hand_{name}").damping[0]
    for tip in HANDS[hand_name].tip_sites:
        assert model.geom(f"hand_{tip}").condim[0] == 4 and model.geom(f"hand_{tip}").priority[0] == 1
    assert model.nexclude == hand.nexclude + arm.nexclude


def hand_joint_names(hand: mujoco.MjModel) -> list[str]:
    return [hand.joint(i).name for i in range(hand.njnt)]


def test_sensors_and_keyframes_come_along_and_options_do_not():
    arm, hand = UR5E.make_spec(), ALLEGRO.make_spec()
    hand.add_sensor(
        name="tip_pos",
        type=mujoco.mjtSensor.mjSENS_FRAMEPOS,
        objtype=mujoco.mjtObj.mjOBJ_SITE,
        objname="index_tip",
    )
    hand.add_key(name="half_open", qpos=ALLEGRO.home, ctrl=ALLEGRO.home)
    hand.option.timestep = 0.123
    compose.attach_hand(arm, hand, prefix="right_")
    fr3.set_physics_options(arm, 0.004)
    with pytest.warns(UserWarning, match="keeping parent value"):
        model = arm.compile()
    assert model.opt.timestep == 0.004
    assert model.sensor("right_tip_pos").objid[0] == model.site("right_index_tip").id
    np.testing.assert_allclose(model.key("right_half_open").qpos[6:], ALLEGRO.home)
    np.testing.assert_allclose(model.key("right_half_open").ctrl[6:], ALLEGRO.home)


def test_two_hands_on_two_arms_share_a_world():
    world = mujoco.MjSpec()
    for side, y in (("left", 0.4), ("right", -0.4)):
        spec = compose.attach_hand(UR5E.make_spec(), LEAP.make_spec(), prefix="hand_")
        world.attach(spec, prefix=f"{side}_", frame=world.worldbody.add_frame(pos=[0, y, 0]))
    model = world.compile()
    assert model.nu == 2 * 22
    assert model.joint("left_hand_thumb_ip").id != model.joint("right_hand_thumb_ip").id


# ---- geometry -----------------------------------------------------------------------------------


def test_hand_sits_on_the_flange_and_ee_is_its_grasp_frame(robot):
    data = at(robot.make_spec().compile(), robot.home)
    flange, mount = data.site("flange"), data.site("hand_mount")
    np.testing.assert_allclose(mount.xpos, flange.xpos, atol=1e-9)
    np.testing.assert_allclose(mount.xmat, flange.xmat, atol=1e-9)
    np.testing.assert_allclose(data.site("ee").xpos, data.site("hand_grasp").xpos, atol=1e-9)
    np.testing.assert_allclose(data.site("ee").xmat, data.site("hand_grasp").xmat, atol=1e-9)
    # At home the flange points down, the palm forward.
    np.testing.assert_allclose(data.site(robot.palm_site).xmat.reshape(3, 3)[:, 2], [1, 0, 0], atol=1e-9)
    assert data.ncon == 0


def test_mounting_pose_is_respected():
    # Turned half round about the flange's z and 2 cm further out.
    T_flange_hand = Transform.from_parts([0, 0, 0.02], [0, 0, 0, 1], parent="flange", child="hand")
    turned = at(compose.arm_with_hand(UR5E, ALLEGRO, T_flange_hand).make_spec().compile(), UR5E.home)
    flange = turned.site("flange")
    R_world_flange = flange.xmat.reshape(3, 3)
    np.testing.assert_allclose(turned.site("hand_mount").xpos, flange.xpos + 0.02 * R_world_flange[:, 2])
    np.testing.assert_allclose(
        turned.site("hand_mount").xmat.reshape(3, 3), R_world_flange @ np.diag([-1, -1, 1]), atol=1e-9
    )


def test_bare_fr3_ends_at_its_flange():
    arm = compose.fr3_arm()
    model = arm.make_spec().compile()
    assert model.nq == model.nu == 7 and model.ntendon == model.neq == 0
    own, full = at(model, fr3.HOME), at(fr3.fr3_spec().compile(), fr3.HOME)
    np.testing.assert_allclose(own.site("ee").xpos, full.site("flange").xpos, atol=1e-9)
    np.testing.assert_allclose(own.site("ee").xmat, full.site("ee").xmat, atol=1e-9)
    assert model.body_mass.sum() == pytest.approx(full.model.body_mass.sum() - 0.6544 - 2 * 0.0291)


def test_wrist_camera_sees_the_tips(robot):
    model = robot.make_spec().compile()
    data = at(model, np.concatenate([robot.home[:-16], robot.pinch]))
    camera, ident = data.camera("wrist"), model.camera("wrist").id
    R_world_camera = camera.xmat.reshape(3, 3) @ np.diag([1.0, -1, -1])  # OpenGL to optical
    width, height = (int(n) for n in model.cam_resolution[ident])
    intrinsics = Intrinsics.from_fovy(np.deg2rad(model.cam_fovy[ident]), width, height)
    for tip in robot.tip_sites:
        u, v = intrinsics.project(R_world_camera.T @ (data.site(tip).xpos - camera.xpos))
        assert 0 < u < width and 0 < v < height, tip


# ---- in use -------------------------------------------------------------------------------------


def test_arm_carries_the_hand_without_sagging(robot):
    spec = robot.make_spec()
    fr3.set_physics_options(spec)
    model = spec.compile()
    data = at(model, robot.home)
    data.ctrl[:] = robot.home
    mujoco.mj_step(model, data, 1000)
    error = np.abs(data.qpos - robot.home)
    assert error[:-16].max() < 2e-3 and error[-16:].max() < 0.06
    assert np.linalg.norm(data.qvel) < 1e-3


def test_hand_lifts_a_ball():
    robot = compose.arm_with_hand(UR5E, LEAP)
    spec = robot.make_spec()
    fr3.set_physics_options(spec)
    ee = at(robot.make_spec().compile(), robot.home).site("ee").xpos.copy()
    ball = spec.worldbody.add_body(name="ball", pos=ee)
    ball.add_freejoint()
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[BALL_RADIUS_M, 0, 0], mass=0.05)
    model = spec.compile()
    data = at(model, robot.home)
    closed = robot.pinch + np.array([0.15, 0, 0.15, 0.1] * 3 + [0, 0, 0.3, 0.2])
    model.opt.gravity[:] = 0
    for fraction in np.linspace(0, 1, 400):
        data.ctrl[:] = robot.home
        data.ctrl[6:] = (1 - fraction) * robot.home[6:] + fraction * closed
        mujoco.mj_step(model, data)
    model.opt.gravity[2] = -9.81
    mujoco.mj_step(model, data, 200)
    start, offset = data.body("ball").xpos.copy(), data.body("ball").xpos - data.site("ee").xpos
    for fraction in np.linspace(0, 1, 500):
        data.ctrl[1] = robot.home[1] - 0.3 * fraction  # shoulder back: the hand rises by about 0.15 m
        mujoco.mj_step(model, data)
    mujoco.mj_step(model, data, 500)
    assert data.body("ball").xpos[2] > start[2] + 0.1
    assert np.linalg.norm(data.body("ball").xpos - data.site("ee").xpos) < np.linalg.norm(offset) + 0.01


def test_driver_and_kinematics_take_the_combination():
    robot = compose.arm_with_hand(compose.fr3_arm(), ALLEGRO)
    spec = robot.make_spec()
    fr3.set_physics_options(spec)
    model = spec.compile()
    driver = SimRobot(model, mujoco.MjData(model), robot)
    goal = robot.home.copy()
    goal[[0, 8]] += 0.2  # first arm joint, index MCP
    for k in range(100):
        driver.send(JointCommand(robot.limits.joint_names, robot.home + (goal - robot.home) * k / 99))
        driver.sleep(0.01)
    driver.sleep(0.5)
    assert np.abs(driver.state().joint_pos - goal).max() < 0.06
    forward = MujocoKinematics(robot).forward(robot.home)
    np.testing.assert_allclose(forward.position_m, at(model, robot.home).site("ee").xpos, atol=1e-9)


# ---- hands without an arm -----------------------------------------------------------------------


@pytest.mark.parametrize("facing", ["up", "down"])
@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
def test_fixed_hand_faces_up_or_down(hand, facing):
    pose = compose.palm_pose([0.1, -0.2, 0.5], facing, yaw_rad=0.7)
    data = at(compose.fixed_hand(hand, pose).compile(), hand.home)
    palm = data.site("palm")
    np.testing.assert_allclose(palm.xpos, [0.1, -0.2, 0.5], atol=1e-9)
    R_world_palm = palm.xmat.reshape(3, 3)
    np.testing.assert_allclose(R_world_palm[:, 2], [0, 0, 1 if facing == "up" else -1], atol=1e-9)
    np.testing.assert_allclose(R_world_palm[:, 0], [np.cos(0.7), np.sin(0.7), 0], atol=1e-9)
    assert data.ncon == 0 and data.model.nq == 16


@pytest.mark.parametrize("p_drop", [(0.04, 0.0), (0.06, 0.0), (0.05, 0.02), (0.05, -0.02)])
@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
def test_cube_dropped_on_a_palm_that_faces_up_stays(hand, p_drop):
    spec = set_options(compose.fixed_hand(hand, compose.palm_pose([0, 0, 0.3], "up")), 0.004)
    cube = spec.worldbody.add_body(name="cube", pos=[*p_drop, 0.37])
    cube.add_freejoint()
    cube.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.03] * 3, mass=0.1, friction=[1, 0.01, 0.001])
    model = spec.compile()
    cupped = hand.home.copy()
    for i, name in enumerate(hand.limits.joint_names[:12]):
        cupped[i] = 0.3 if name.endswith("mcp") else 0.0 if name.endswith("abduction") else 0.4
    data = at(model, cupped)
    data.ctrl[:] = cupped
    mujoco.mj_step(model, data, 500)
    assert data.body("cube").xpos[2] > 0.31 and np.abs(data.qvel).max() < 0.05


@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
def test_floating_hand_goes_where_it_is_told(hand):
    pose = compose.palm_pose([0, 0, 0.4], "down", yaw_rad=0.4)
    robot = compose.floating_hand(hand, pose)
    model = set_options(robot.make_spec(), 0.004).compile()
    assert [model.actuator(i).name for i in range(model.nu)] == list(robot.limits.joint_names)
    data = at(model, robot.home)
    np.testing.assert_allclose(data.site(robot.palm_site).xpos, pose.position_m, atol=1e-9)
    np.testing.assert_allclose(data.site(robot.palm_site).xmat.reshape(3, 3), pose.rotation, atol=1e-9)
    data.ctrl[:] = robot.home
    data.ctrl[:6] = [0.1, -0.1, 0.05, 0.5, 0.0, 0.0]
    mujoco.mj_step(model, data, 500)
    palm = data.site(robot.palm_site)
    np.testing.assert_allclose(palm.xpos, [0.1, -0.1, 0.45], atol=2e-3)
    # Yaw turns about world z, whichever way the palm faces.
    np.testing.assert_allclose(palm.xmat.reshape(3, 3)[:, 0], [np.cos(0.9), np.sin(0.9), 0], atol=0.01)


# ---- backends -----------------------------------------------------------------------------------


def test_batch_steps(robot):
    from mujoco.batch import Batch

    spec = robot.make_spec()
    fr3.set_physics_options(spec, 0.004)
    model = spec.compile()
    batch = Batch(model, nsim=2, nthread=1)
    target = robot.home + 0.05
    batch.bind("qpos")[:] = robot.home
    batch.bind("ctrl")[:] = target
    batch.forward()
    batch.step(nstep=25)
    data = at(model, robot.home)
    data.ctrl[:] = target
    mujoco.mj_step(model, data, 25)
    for joint_pos in batch.bind("qpos"):
        np.testing.assert_allclose(joint_pos, data.qpos, atol=1e-12)


def test_warp_takes_the_model(robot):
    warp = pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    spec = robot.make_spec()
    fr3.set_physics_options(spec)
    assert warp.put_model(spec.compile()).nu == len(robot.limits.joint_names)


# ---- errors -------------------------------------------------------------------------------------


def test_bad_input_says_what_to_do():
    pose = compose.palm_pose([0, 0, 0], "up")
    with pytest.raises(ValueError, match="see without_gripper"):
        compose.arm_with_hand(fr3.FR3, ALLEGRO)
    with pytest.raises(ValueError, match="see without_gripper"):
        compose.attach_hand(fr3.fr3_spec(), ALLEGRO.make_spec())
    with pytest.raises(ValueError, match="prefix"):
        compose.attach_hand(UR5E.make_spec(), ALLEGRO.make_spec(), prefix="")
    with pytest.raises(ValueError, match=r"no site 'flange'; sites: .*thumb_tip"):
        compose.attach_hand(ALLEGRO.make_spec(), LEAP.make_spec())
    with pytest.raises(ValueError, match=r"no site 'grasp'; sites: .*flange"):
        compose.attach_hand(UR5E.make_spec(), UR5E.make_spec())
    with pytest.raises(FrameError, match="T_flange_hand"):
        compose.attach_hand(UR5E.make_spec(), ALLEGRO.make_spec(), pose)
    with pytest.raises(FrameError, match="T_world_palm"):
        compose.fixed_hand(ALLEGRO, Transform.identity("world", "hand"))
    with pytest.raises(ValueError, match="'up' or 'down', got 'left'"):
        compose.palm_pose([0, 0, 0], "left")  # pyright: ignore[reportArgumentType]
