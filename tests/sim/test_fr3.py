"""The FR3 model against its published numbers, and Menagerie's models brought to the same shape."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from perception_tools.geometry import Intrinsics
from policies.robot import GripperCommand, JointCommand
from sim.robot import SimRobot
from sim.robots import fr3
from sim.robots.model import RobotModel
from sim.robots.registry import load_robot


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return fr3.fr3_spec().compile()


def at(model: mujoco.MjModel, joint_pos, width_m: float = 0.08) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:7], data.qpos[7:9] = joint_pos, width_m / 2
    mujoco.mj_forward(model, data)
    return data


def dh_forward(joint_pos) -> np.ndarray:
    """Pose of the grasp centre in base by Craig's DH convention, written out, (4, 4)."""

    def link(a, d, alpha, theta):
        ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
        return np.array(
            [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
        )

    rows = [
        (0, 0.333, 0),
        (0, 0, -np.pi / 2),
        (0, 0.316, np.pi / 2),
        (0.0825, 0, np.pi / 2),
        (-0.0825, 0.384, -np.pi / 2),
        (0, 0, np.pi / 2),
        (0.088, 0, np.pi / 2),
    ]
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(rows, joint_pos, strict=True):
        pose = pose @ link(a, d, alpha, theta)
    # Flange 0.107 m, hand turned by -45 degrees, grasp centre 0.1034 m into the fingers.
    return pose @ link(0, 0.107 + 0.1034, 0, -np.pi / 4)


# ---- kinematics --------------------------------------------------------------------------------


def test_home_is_the_published_ready_posture_worked_out_by_hand(model):
    # Upper arm leans back by 45 degrees, forearm level, hand straight down. With s = sin 45 deg:
    #   shoulder (0, 0.333) to elbow: 0.316 along the upper arm (-s, s), 0.0825 across it (s, s);
    #   elbow to wrist: 0.0825 up, to the forearm's axis, and 0.384 forward;
    #   wrist to grasp centre: 0.088 forward, 0.107 + 0.1034 down.
    s = np.sin(np.pi / 4)
    x = -0.316 * s + 0.0825 * s + 0.384 + 0.088
    z = 0.333 + 0.316 * s + 0.0825 * s + 0.0825 - 0.107 - 0.1034
    data = at(model, fr3.HOME)
    np.testing.assert_allclose(data.site("ee").xpos, [x, 0, z], atol=1e-9)
    np.testing.assert_allclose(data.site("ee").xmat.reshape(3, 3), np.diag([1.0, -1, -1]), atol=1e-9)


def test_forward_kinematics_is_the_dh_chain(model):
    rng = np.random.default_rng(0)
    for _ in range(50):
        joint_pos = rng.uniform(fr3.LIMITS.lower, fr3.LIMITS.upper)
        data, expected = at(model, joint_pos), dh_forward(joint_pos)
        np.testing.assert_allclose(data.site("ee").xpos, expected[:3, 3], atol=1e-9)
        np.testing.assert_allclose(data.site("ee").xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_constants_are_the_dh_rows_of_the_model(model):
    rows = np.array(fr3.DH_PARAMETERS)
    np.testing.assert_allclose(rows[:, 1].sum(), 0.333 + 0.316 + 0.384)
    np.testing.assert_allclose(rows[:, 0], [0, 0, 0, 0.0825, -0.0825, 0, 0.088])
    for i in range(1, 8):
        length = np.linalg.norm(model.body(f"fr3_link{i}").pos)
        assert length == pytest.approx(np.hypot(rows[i - 1, 0], rows[i - 1, 1]))


def test_ee_axes_are_approach_and_opening(model):
    data = at(model, fr3.HOME, width_m=0.06)
    R_world_ee = data.site("ee").xmat.reshape(3, 3)
    left, right = (data.site(f"{side}_finger_pad").xpos for side in ("left", "right"))
    np.testing.assert_allclose(left - right, 0.06 * R_world_ee[:, 1], atol=1e-9)
    np.testing.assert_allclose(0.5 * (left + right), data.site("ee").xpos, atol=1e-3)
    assert (data.site("ee").xpos - data.body("hand").xpos) @ R_world_ee[:, 2] == pytest.approx(0.1034)


def test_fingertips_end_where_the_constant_says(model):
    data = at(model, fr3.HOME)
    geom = data.geom("left_finger_pad")
    lowest = geom.xpos[2] - model.geom("left_finger_pad").size[2]  # the hand points straight down
    assert data.site("ee").xpos[2] - lowest == pytest.approx(fr3.FINGERTIP_BEYOND_EE_M, abs=1e-4)


# ---- limits and dynamics -----------------------------------------------------------------------


def test_model_has_the_published_limits(model):
    for i, joint_name in enumerate(fr3.LIMITS.joint_names):
        joint = model.joint(joint_name)
        np.testing.assert_allclose(joint.range, [fr3.LIMITS.lower[i], fr3.LIMITS.upper[i]])
        effort = [-fr3.LIMITS.effort[i], fr3.LIMITS.effort[i]]
        np.testing.assert_allclose(model.jnt_actfrcrange[joint.id], effort)
        np.testing.assert_allclose(model.actuator(joint_name).forcerange, effort)
    np.testing.assert_allclose(fr3.LIMITS.effort, [87] * 4 + [12] * 3)
    np.testing.assert_allclose(fr3.LIMITS.velocity, [2.62] * 4 + [5.26, 4.18, 5.26])
    np.testing.assert_allclose(fr3.LIMITS.acceleration, 10)
    np.testing.assert_allclose(fr3.LIMITS.jerk, 5000)


def test_masses_are_the_published_ones(model):
    masses = {
        "fr3_link0": 2.3966,
        "fr3_link1": 2.9274653454,
        "fr3_link2": 2.9355370338,
        "fr3_link3": 2.2449013699,
        "fr3_link4": 2.6155955791,
        "fr3_link5": 2.3271207594,
        "fr3_link6": 1.8170376524,
        "fr3_link7": 0.6271432862,
        "hand": 0.6544,
        "left_finger": 0.0291,
        "right_finger": 0.0291,
    }
    assert {model.body(i).name for i in range(1, model.nbody)} == set(masses)
    for body_name, mass in masses.items():
        assert model.body(body_name).mass[0] == pytest.approx(mass, rel=1e-9)
    # Moving arm and hand; the published total of the arm is about 18 kg with its base.
    assert model.body_mass.sum() == pytest.approx(18.604, abs=1e-3)


def test_gravity_torque_is_compensated_in_the_actuated_joints(model):
    data = at(model, [0.3, 0.7, -0.2, -1.5, 0.5, 2.0, 0.1])
    assert np.abs(data.qfrc_bias[:7]).max() > 5
    np.testing.assert_allclose(data.qfrc_gravcomp[:7], data.qfrc_bias[:7], atol=1e-9)


def test_servos_are_overdamped_at_the_largest_inertia(model):
    rng, inertia = np.random.default_rng(1), np.zeros((9, 9))
    for _ in range(200):
        data = at(model, rng.uniform(fr3.LIMITS.lower, fr3.LIMITS.upper))
        mujoco.mj_fullM(model, data, inertia)
        for i in range(7):
            kp, kv = model.actuator_gainprm[i, 0], -model.actuator_biasprm[i, 2]
            assert kv > 2 * np.sqrt(kp * inertia[i, i])


# ---- geometry ----------------------------------------------------------------------------------


def test_visual_and_collision_geoms_are_apart(model):
    for i in range(model.ngeom):
        geom = model.geom(i)
        collides = bool(geom.contype[0] or geom.conaffinity[0])
        assert geom.group[0] == (3 if collides else 2)
        assert bool(geom.name) == collides  # what can touch has a name for reports
    for body in (model.body(i) for i in range(1, model.nbody)):
        groups = {
            int(model.geom(g).group[0]) for g in range(body.geomadr[0], body.geomadr[0] + body.geomnum[0])
        }
        assert groups == {2, 3}, body.name


def test_nothing_touches_in_usual_postures(model):
    for joint_pos in (fr3.HOME, [0, 0, 0, -0.2, 0, 1.0, 0], [0, 0.5, 0, -2.0, 0, 2.5, 0.8]):
        for width_m in (0.0, 0.08):
            assert at(model, joint_pos, width_m).ncon == 0


def test_folding_onto_itself_is_a_contact(model):
    data = at(model, [0, 1.7, 0, -3.0, 0, 0.6, 0])
    assert data.ncon > 0


def test_wrist_camera_sees_the_fingertips_and_below(model):
    data = at(model, fr3.HOME)
    camera = data.camera("wrist")
    R_world_camera = camera.xmat.reshape(3, 3) @ np.diag([1.0, -1, -1])  # OpenGL to optical
    width, height = model.cam_resolution[model.camera("wrist").id]
    intrinsics = Intrinsics.from_fovy(np.deg2rad(model.camera("wrist").fovy[0]), int(width), int(height))
    R_world_ee, ee = data.site("ee").xmat.reshape(3, 3), data.site("ee").xpos
    for p_ee in ([0, 0.04, 0], [0, -0.04, 0], [0, 0, 0.1], [0, 0, 0.3]):
        p_camera = R_world_camera.T @ (ee + R_world_ee @ np.array(p_ee) - camera.xpos)
        u, v = intrinsics.project(p_camera)
        assert 0 < u < width and 0 < v < height, p_ee
    assert R_world_camera[:, 2] @ R_world_ee[:, 2] > 0.95  # nearly along the approach


def test_home_is_out_of_the_scene_cameras_view_of_the_objects(model):
    """Rays from the eye to every place where objects stand pass the arm by 5 cm."""
    data = at(model, fr3.HOME)
    eye = np.array([1.35, 0.0, 0.85])
    arm = [data.geom(i).xpos for i in range(model.ngeom) if model.geom(i).group[0] == 3]
    for x in np.linspace(0.35, 0.68, 5):
        for y in np.linspace(-0.28, 0.28, 7):
            ray = np.array([x, y, 0.0]) - eye
            along = np.clip(((np.array(arm) - eye) @ ray) / (ray @ ray), 0, 1)
            distance = np.linalg.norm(eye + along[:, None] * ray - arm, axis=1)
            assert distance.min() > 0.15, (x, y)  # largest collision radius plus a margin


# ---- by name -----------------------------------------------------------------------------------


def test_load_robot_by_name():
    assert load_robot("fr3") is fr3.FR3
    for bad in ("fr4", "menagerie/unitree_g1", "menagerie/", ""):
        with pytest.raises(
            ValueError, match=r"robots: fr3, .*menagerie/franka_fr3, menagerie/franka_emika_panda"
        ):
            load_robot(bad)


def menagerie_like(name: str) -> str:
    """An MJCF with the body, joint, actuator and site names of Menagerie's model, without its meshes."""
    panda = name == "franka_emika_panda"
    link, joint = ("link", "joint") if panda else ("fr3_link", "fr3_joint")
    offsets = ["0 0 .333", "0 0 0", "0 -.316 0", ".0825 0 0", "-.0825 .384 0", "0 0 0", ".088 0 0"]
    turns = ["1 0 0 0", "1 -1 0 0", "1 1 0 0", "1 1 0 0", "1 -1 0 0", "1 1 0 0", "1 1 0 0"]
    ranges = ["-2.7 2.7", "-1.7 1.7", "-2.9 2.9", "-3 -.2", "-2.8 2.8", ".6 4", "-3 3"]
    body, close = "", ""
    for i in range(7):
        body += f"""<body name="{link}{i + 1}" pos="{offsets[i]}" quat="{turns[i]}">
            <inertial pos="0 0 0" mass="2" diaginertia=".02 .02 .02"/>
            <joint name="{joint}{i + 1}" axis="0 0 1" range="{ranges[i]}" armature="0.1" damping="1"/>
            <geom size="0.02" group="2" contype="0" conaffinity="0"/>"""
        close += "</body>"
    finger = """<body name="{side}_finger" pos="0 0 .0584" {turn}>
        <inertial pos="0 0 0" mass="0.015" diaginertia="1e-5 1e-5 1e-5"/>
        <joint name="finger_joint{n}" axis="0 1 0" type="slide" range="0 0.04"/>
        <geom class="pad"/></body>"""
    hand = f"""<body name="hand" pos="0 0 .107" quat="0.9238795 0 0 -0.3826834">
        <inertial pos="0 0 0.03" mass="0.73" diaginertia="0.001 0.0025 0.0017"/>
        {finger.format(side="left", n=1, turn="")}
        {finger.format(side="right", n=2, turn='quat="0 0 0 1"')}</body>"""
    body += hand if panda else '<site name="attachment_site" pos="0 0 .107"/>'
    servos = "".join(
        f'<general name="{"actuator" if panda else joint}{i}" joint="{joint}{i}" biastype="affine" '
        'gainprm="4500" biasprm="0 -4500 -450" ctrlrange="-3 4"/>'
        for i in range(1, 8)
    )
    root, inner = ("link0", "") if panda else ("base", '<body name="fr3_link0"><geom size="0.05"/>')
    gripper = """<tendon><fixed name="split"><joint joint="finger_joint1" coef="0.5"/>
        <joint joint="finger_joint2" coef="0.5"/></fixed></tendon>
        <equality><joint joint1="finger_joint1" joint2="finger_joint2"/></equality>"""
    split = (
        '<general name="actuator8" tendon="split" forcerange="-100 100" ctrlrange="0 255" gainprm="0.0157"/>'
    )
    qpos = "0 0 0 -1.5 0 1.5 0" + (" 0.04 0.04" if panda else "")
    return f"""<mujoco model="{name}"><compiler angle="radian" autolimits="true"/>
        <default><default class="pad"><geom type="box" size=".0085 .004 .0085" pos="0 .004 .0445"/></default>
        </default><worldbody><light pos="0 0 2"/>
        <body name="{root}">{inner}{body}{close}{"</body>" * bool(inner)}</body></worldbody>
        {gripper * panda}<actuator>{servos}{split * panda}</actuator>
        <keyframe><key name="home" qpos="{qpos}"/></keyframe></mujoco>"""


@pytest.fixture(params=["franka_fr3", "franka_emika_panda"])
def menagerie_robot(request, tmp_path, monkeypatch) -> RobotModel:
    pytest.importorskip("mujoco_menagerie", reason="the package mujoco-menagerie is not installed")
    folder = tmp_path / request.param
    folder.mkdir()
    filename = {"franka_fr3": "fr3.xml", "franka_emika_panda": "panda.xml"}[request.param]
    (folder / filename).write_text(menagerie_like(request.param))
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    return load_robot(f"menagerie/{request.param}")


def test_menagerie_robot_has_our_frames_and_camera(menagerie_robot, model):
    own, other = at(model, fr3.HOME), menagerie_robot.make_spec().compile()
    data = at(other, fr3.HOME)
    np.testing.assert_allclose(data.site("ee").xpos, own.site("ee").xpos, atol=1e-6)
    np.testing.assert_allclose(data.site("ee").xmat, own.site("ee").xmat, atol=1e-6)
    np.testing.assert_allclose(data.camera("wrist").xpos, own.camera("wrist").xpos, atol=1e-6)
    np.testing.assert_allclose(data.camera("wrist").xmat, own.camera("wrist").xmat, atol=1e-6)
    assert other.nkey == 0 and other.nu == 8
    fingers = [other.body(f"{side}_finger").id for side in ("left", "right")]
    touching = np.isin(other.geom_bodyid, fingers) & (other.geom_contype > 0) & (other.geom_priority > 0)
    rubber = model.geom("left_finger_pad")
    assert touching.sum() == 2
    np.testing.assert_allclose(other.geom_friction[touching], np.tile(rubber.friction, (2, 1)))


def test_menagerie_robot_is_driven_by_the_same_driver(menagerie_robot):
    spec = menagerie_robot.make_spec()
    fr3.set_physics_options(spec)
    body = spec.worldbody.add_body(name="object", pos=[0, 0, 5])  # far away, weightless
    body.gravcomp = 1.0
    body.add_freejoint()
    body.add_geom(name="object", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02] * 3, mass=0.1)
    compiled = spec.compile()
    robot = SimRobot(compiled, mujoco.MjData(compiled), menagerie_robot)
    robot.sleep(0.5)
    assert np.abs(robot.state().joint_pos - menagerie_robot.home).max() < 1e-3
    address = compiled.jnt_qposadr[compiled.body("object").jntadr[0]]
    robot.data.qpos[address : address + 3] = robot.data.site("ee").xpos
    robot.send(JointCommand(gripper=GripperCommand(0.0, 40.0)))
    robot.sleep(1.0)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.width_m == pytest.approx(0.04, abs=0.001)
    assert gripper.force_n == pytest.approx(40, rel=0.05)
    goal = menagerie_robot.home + 0.1
    for k in range(100):
        robot.send(JointCommand(menagerie_robot.limits.joint_names, menagerie_robot.home + 0.1 * k / 99))
        robot.sleep(0.01)
    robot.sleep(0.5)
    assert np.abs(robot.state().joint_pos - goal).max() < 0.005
    assert np.linalg.norm(robot.data.body("object").xpos - robot.data.site("ee").xpos) < 0.01


def test_menagerie_without_its_files_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("mujoco_menagerie", reason="the package mujoco-menagerie is not installed")
    monkeypatch.delenv("MENAGERIE_ROOT", raising=False)
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"mujoco-menagerie prefetch franka_fr3") as error:
        load_robot("menagerie/franka_fr3")
    assert "MENAGERIE_ROOT" in str(error.value) and "robot=fr3" in str(error.value)
    assert "\n" not in str(error.value) and not (tmp_path / "cache").exists()
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    with pytest.raises(ValueError, match=r"not found under MENAGERIE_ROOT.*robot=fr3"):
        load_robot("menagerie/franka_fr3")
