"""SimRobot: the contract, and the physics of holding, grasping and feeling."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading

import mujoco
import numpy as np
import pytest

from policies.robot import GripperCommand, JointCommand
from policies.safe_robot import SafeRobot
from policies.safety import SafetyConfig, SafetyFilter
from sim.robot import SimRobot, SimRobotConfig
from sim.robots import fr3
from tests.contracts.robot_suite import RobotSuite, min_jerk

GRAVITY = 9.81
BOX, CYLINDER, SPHERE = (getattr(mujoco.mjtGeom, f"mjGEOM_{n}") for n in ("BOX", "CYLINDER", "SPHERE"))


def build(shape=None, width_m=0.05, mass_kg=0.1, x_m=0.5) -> SimRobot:
    """Arm on a table, with a free object of that width standing at (x_m, 0)."""
    spec = fr3.fr3_spec()
    fr3.set_physics_options(spec)
    spec.worldbody.add_geom(name="table", type=BOX, size=[0.65, 0.65, 0.02], pos=[0.4, 0, -0.02])
    if shape is not None:
        body = spec.worldbody.add_body(name="object", pos=[x_m, 0, width_m / 2])
        body.add_freejoint()
        body.add_geom(name="object", type=shape, size=[width_m / 2] * 3, mass=mass_kg)
    model = spec.compile()
    return SimRobot(model, mujoco.MjData(model))


def posture(position_m, seed=fr3.HOME) -> np.ndarray:
    """Hand pointing down over a point, opening along y: damped least squares on the model's Jacobian."""
    model = fr3.fr3_spec().compile()
    data, site = mujoco.MjData(model), model.site("ee").id
    jacobian, down = np.zeros((6, model.nv)), np.diag([1.0, -1.0, -1.0])
    data.qpos[:7] = seed
    for _ in range(200):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
        current = data.site(site).xmat.reshape(3, 3)
        turn = 0.5 * sum(np.cross(current[:, k], down[:, k]) for k in range(3))
        error = np.concatenate([np.asarray(position_m) - data.site(site).xpos, turn])
        step = error * min(1.0, 0.1 / np.linalg.norm(error))
        arm = jacobian[:, :7]
        data.qpos[:7] += arm.T @ np.linalg.solve(arm @ arm.T + 1e-6 * np.eye(6), step)
    assert np.abs(error).max() < 1e-5
    return data.qpos[:7].copy()


def move(robot: SimRobot, goal: np.ndarray, seconds: float) -> None:
    plan = min_jerk(robot.state().joint_pos, goal, seconds, robot.limits.joint_names)
    result = robot.execute(plan, threading.Event())
    assert result.reached, result


def grasp(robot: SimRobot, width_m: float, force_n: float = 40.0, x_m: float = 0.5) -> np.ndarray:
    """Grasp the object at (x_m, 0) and lift it 15 cm; return the posture."""
    above = posture([x_m, 0, 0.2])
    move(robot, above, 1.0)
    move(robot, posture([x_m, 0, width_m / 2], above), 1.0)
    robot.send(JointCommand(gripper=GripperCommand(0.0, force_n)))
    robot.sleep(1.2)
    move(robot, above, 1.0)
    return above


def object_in_hand(robot: SimRobot) -> tuple[np.ndarray, np.ndarray]:
    """Position [m] and rotation of the object in the ee frame."""
    mujoco.mj_kinematics(robot.model, robot.data)
    site, body = robot.data.site("ee"), robot.data.body("object")
    R_world_ee = site.xmat.reshape(3, 3)
    return R_world_ee.T @ (body.xpos - site.xpos), R_world_ee.T @ body.xmat.reshape(3, 3)


class TestSimRobotContract(RobotSuite):
    @pytest.fixture
    def robot(self):
        robot = build()
        yield robot
        robot.close()


class TestSafeSimRobotContract(RobotSuite):
    @pytest.fixture
    def robot(self):
        driver = build()
        safety = SafetyFilter(driver.limits, SafetyConfig(), gripper_width_m=driver.gripper_width_m)
        robot = SafeRobot(driver, safety)
        yield robot
        robot.close()


# ---- holding -----------------------------------------------------------------------------------

POSTURES = [
    fr3.HOME,
    np.array([0.5, 0.6, -0.3, -1.2, 0.4, 1.9, -0.7]),
    np.array([-1.0, 1.2, 0.8, -0.8, 0, 1.5, 0]),
]


@pytest.mark.parametrize("joint_pos", POSTURES)
def test_arm_holds_its_weight(joint_pos):
    robot = build()
    robot.reset(joint_pos)
    robot.sleep(2.0)
    assert np.abs(robot.state().joint_pos - joint_pos).max() < 1e-3
    assert np.abs(robot.state().joint_vel).max() < 1e-4


def test_effort_is_the_weight_that_it_carries():
    # Joint 2 at the stretched-out posture q = (0, pi/2, 0, -0.16, 0, ...) carries most of the arm:
    # its torque is the sum of m g (x_com - x_joint2) over the bodies beyond it.
    robot = build()
    robot.reset(np.array([0, 0.9, 0, -0.9, 0, 1.8, 0.0]))
    robot.sleep(0.5)
    model, data = robot.model, robot.data
    beyond = range(model.body("fr3_link2").id, model.body("right_finger").id + 1)
    joint_x = data.xanchor[model.joint("fr3_joint2").id][0]
    expected = sum(model.body_mass[b] * GRAVITY * (data.xipos[b][0] - joint_x) for b in beyond)
    assert expected > 20
    assert abs(robot.state().joint_effort[1]) == pytest.approx(expected, rel=1e-3)


def test_fast_motion_is_tracked_within_limits():
    robot, errors = build(), []
    goal = fr3.HOME + np.array([1.0, 0.3, 0.4, 0.5, 1.0, 0.8, 1.0])
    plan = min_jerk(fr3.HOME, goal, 1.0, robot.limits.joint_names)  # peak speed 1.9 rad/s
    robot.add_listener(
        0.01, lambda time_s: errors.append(np.abs(robot.state().joint_pos - plan.at(time_s)).max())
    )
    assert robot.execute(plan, threading.Event()).reached
    assert max(errors) < 0.01
    facts = robot.safety_facts()
    assert facts["limit_violations"] == {} and 0.6 < facts["peak_speed_ratio"] < 0.8
    assert facts["peak_effort_ratio"] < 1
    assert facts["peak_external_force_n"] == facts["peak_support_force_n"] == 0


@pytest.mark.parametrize("period_s", [0.002, 0.01, 0.05])
def test_stream_is_smooth_at_any_rate(period_s):
    """0.3 rad in 1 s at constant speed: once under way it keeps that speed."""
    robot, speeds = build(), []
    robot.add_listener(0.002, lambda time_s: speeds.append((time_s, robot.state().joint_vel[0])))
    for k in range(1, round(1 / period_s) + 1):
        robot.send(JointCommand(("fr3_joint1",), np.array([0.3 * k * period_s])))
        robot.sleep(period_s)
    under_way = [speed for time_s, speed in speeds if time_s > 0.2]
    assert 0.28 < min(under_way) and max(under_way) < 0.32
    assert robot.state().joint_pos[0] == pytest.approx(0.3, abs=0.001)


def test_a_jump_is_followed_no_faster_than_the_velocity_limits():
    robot = build()
    robot.send(JointCommand(("fr3_joint1",), np.array([1.5])))
    robot.sleep(2.0)
    assert robot.state().joint_pos[0] == pytest.approx(1.5, abs=0.005)
    assert robot.safety_facts()["peak_speed_ratio"] < 1.15  # overshoot of the servo, not of the reference
    assert "position_rad" not in str(robot.safety_facts()["limit_violations"])


def test_torque_is_limited():
    robot = build()
    robot.send(JointCommand(("fr3_joint1", "fr3_joint7"), np.array([2.7, -3.0])))
    efforts = []
    for _ in range(100):
        robot.sleep(0.002)
        efforts.append(np.abs(robot.state().joint_effort))
    peak = np.max(efforts, axis=0)
    assert peak[0] == pytest.approx(87, abs=0.1) and (peak <= robot.limits.effort + 1e-6).all()


# ---- grasping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width_m", [0.03, 0.05, 0.07])
@pytest.mark.parametrize("shape", [BOX, CYLINDER, SPHERE], ids=["box", "cylinder", "sphere"])
def test_object_is_held_by_friction_while_shaken(shape, width_m):
    """100 g, 40 N, shaken for 5 s with about 10 m/s^2; nothing but contacts holds it."""
    robot = build(shape, width_m)
    assert all(robot.model.eq_type == mujoco.mjtEq.mjEQ_JOINT) and robot.model.neq == 1  # no welds
    posture_up = grasp(robot, width_m)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.force_n == pytest.approx(40, rel=0.02)
    assert gripper.width_m == pytest.approx(width_m, abs=0.0015)  # the rubber gives a little
    position, rotation = object_in_hand(robot)
    hz, amplitude = np.array([1.0, 1.5, 0, 2.0, 1.3, 1.1, 0.7]), np.array([15, 6, 0, 5, 10, 10, 30]) / 100
    for k in range(500):
        fade = min(1.0, 0.01 * k)
        wave = fade * amplitude * np.sin(2 * np.pi * hz * 0.01 * k)
        robot.send(JointCommand(robot.limits.joint_names, posture_up + wave))
        robot.sleep(0.01)
    new_position, new_rotation = object_in_hand(robot)
    # A free body drifts outwards by about omega^2 r dt / 2 [m/s] against a turning hand (first-order
    # integration): 1 mm/s for 1.4 rad/s at 0.5 m and dt = 2 ms.
    assert np.linalg.norm(new_position - position) < 0.006
    angle = np.arccos(np.clip((np.trace(rotation.T @ new_rotation) - 1) / 2, -1, 1))
    assert angle < np.deg2rad(3)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.force_n == pytest.approx(40, rel=0.05)
    assert robot.safety_facts()["limit_violations"] == {}


@pytest.mark.parametrize("shape", [BOX, CYLINDER, SPHERE], ids=["box", "cylinder", "sphere"])
def test_object_at_rest_does_not_creep(shape):
    robot = build(shape)
    grasp(robot, 0.05)
    position, _ = object_in_hand(robot)
    robot.sleep(5.0)
    assert np.linalg.norm(object_in_hand(robot)[0] - position) < 0.0005


def test_too_little_friction_lets_it_slip():
    """2 N on a 500 g box: friction carries at most 2 * 1.2 * 2 N = 4.8 N < 4.9 N."""
    robot = build(BOX, mass_kg=0.5)
    grasp(robot, 0.05, force_n=2.0)
    assert robot.data.body("object").xpos[2] < 0.05
    robot.sleep(3.0)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.width_m < 0.001 and gripper.force_n < 1e-6


@pytest.mark.parametrize("force_n", [10.0, 40.0, 70.0])
def test_sensed_clamping_force_is_the_one_asked_for(force_n):
    robot = build(BOX)
    grasp(robot, 0.05, force_n=force_n)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.force_n == pytest.approx(force_n, rel=0.05)


def test_thin_object_is_pressed_with_the_full_force():
    robot = build(BOX, width_m=0.01)
    grasp(robot, 0.024)  # fingertips end 9.5 mm below the ee, 2.5 mm above the table
    assert robot.data.body("object").xpos[2] > 0.15
    gripper = robot.state().gripper
    assert gripper is not None and gripper.force_n == pytest.approx(40, rel=0.05)


def test_gripper_takes_its_time():
    robot = build()
    robot.send(JointCommand(gripper=GripperCommand(0.0, 40.0)))
    robot.sleep(0.4)  # 100 mm/s of opening: half way
    gripper = robot.state().gripper
    assert gripper is not None and gripper.is_moving
    assert gripper.width_m == pytest.approx(0.04, abs=0.004)


# ---- feeling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mass_kg", [0.1, 0.5])
def test_held_load_is_felt_as_its_weight(mass_kg):
    robot = build(BOX, mass_kg=mass_kg)
    grasp(robot, 0.05, force_n=70.0)
    robot.sleep(1.0)
    assert robot.state().external_force_n == pytest.approx(mass_kg * GRAVITY, rel=0.02)


def test_pressing_on_the_table_is_felt_and_recorded():
    robot = build()
    touch = posture([0.5, 0, fr3.FINGERTIP_BEYOND_EE_M + 0.004])
    move(robot, posture([0.5, 0, 0.1]), 1.0)
    move(robot, touch, 1.0)
    assert robot.state().external_force_n == 0 and robot.safety_facts()["peak_support_force_n"] == 0
    press = posture([0.5, 0, fr3.FINGERTIP_BEYOND_EE_M - 0.002], touch)
    plan = min_jerk(touch, press, 0.5, robot.limits.joint_names)
    result = robot.execute(plan, threading.Event())
    force_n = robot.state().external_force_n
    assert 5 < force_n < 200 and result.peak_force_n >= force_n
    facts = robot.safety_facts()
    assert facts["peak_support_force_n"] > 0.9 * force_n  # it presses straight down
    assert facts["peak_external_force_n"] == pytest.approx(result.peak_force_n)
    robot.reset()
    assert robot.safety_facts()["peak_support_force_n"] == 0


# ---- time, threads, faults ---------------------------------------------------------------------


@pytest.mark.parametrize("dt_s", [0.001, 0.0031, -0.002, np.nan, np.inf])
def test_sleep_never_rounds(dt_s):
    robot = build()
    with pytest.raises(ValueError, match="multiple of the physics time step"):
        robot.sleep(dt_s)
    assert robot.clock() == 0


def test_control_period_must_fit_the_time_step():
    robot = build()
    with pytest.raises(ValueError, match="multiple"):
        SimRobot(robot.model, robot.data, config=SimRobotConfig(control_period_s=0.005))


def test_listeners_are_called_on_time_and_removable():
    robot, times = build(), []
    remove = robot.add_listener(0.04, times.append)
    robot.sleep(0.1)
    robot.sleep(0.1)
    assert times == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.20])
    remove()
    remove()
    robot.sleep(0.1)
    assert len(times) == 5
    with pytest.raises(ValueError, match="positive"):
        robot.add_listener(0.0, times.append)
    with pytest.raises(ValueError, match="multiple"):
        robot.add_listener(0.003, times.append)


def test_error_in_a_listener_reaches_the_caller():
    robot = build()

    def fail(time_s: float) -> None:
        raise OSError("disk full")

    robot.add_listener(0.02, fail)
    with pytest.raises(OSError, match="disk full"):
        robot.sleep(0.1)


def test_two_runs_are_equal():
    def run() -> np.ndarray:
        robot = build(BOX)
        grasp(robot, 0.05)
        return robot.data.qpos.copy()

    np.testing.assert_array_equal(run(), run())


def test_others_may_read_while_it_moves():
    robot, stamps, done = build(), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            stamps.append(robot.state().stamp_s)

    thread = threading.Thread(target=read)
    thread.start()
    robot.sleep(1.0)
    done.set()
    thread.join()
    assert stamps and stamps == sorted(stamps)


def test_instability_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log here
    robot = build(BOX)
    robot.data.qvel[:] = np.nan
    with pytest.raises(RuntimeError, match=r"unstable.*physics_dt"):
        robot.sleep(0.01)
    with pytest.raises(RuntimeError, match="unstable"):
        robot.sleep(0.01)


def test_scene_without_the_robot_is_refused():
    model = mujoco.MjSpec().compile()
    with pytest.raises(ValueError, match="no joint 'fr3_joint1'"):
        SimRobot(model, mujoco.MjData(model))


def test_stop_keeps_what_is_held():
    robot = build(BOX)
    grasp(robot, 0.05)
    robot.stop()
    robot.sleep(1.0)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.force_n == pytest.approx(40, rel=0.05)
    assert robot.data.body("object").xpos[2] > 0.15


@pytest.mark.parametrize("opening_s", [0.002, 0.01])
def test_stop_keeps_what_is_held_although_the_fingers_were_told_to_open(opening_s):
    robot = build(BOX)
    grasp(robot, 0.05)
    robot.send(JointCommand(gripper=GripperCommand(0.08, 40.0)))
    robot.sleep(opening_s)
    robot.stop()
    robot.sleep(1.0)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.width_m == pytest.approx(0.05, abs=0.002)
    assert gripper.force_n > 5 and robot.data.body("object").xpos[2] > 0.15


def test_stop_freezes_fingers_that_have_let_go():
    robot = build(BOX)
    grasp(robot, 0.05)
    robot.send(JointCommand(gripper=GripperCommand(0.08, 40.0)))
    while robot.data.qpos[7:9].sum() < 0.055:
        robot.sleep(0.002)
    robot.stop()
    robot.sleep(1.0)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.width_m == pytest.approx(0.055, abs=0.003)


@pytest.mark.parametrize("pause_s", [0.0, 0.01])
def test_reset_stop_does_not_resume_the_fingers(pause_s):
    robot = build()
    robot.send(JointCommand(gripper=GripperCommand(0.0, 40.0)))
    robot.sleep(0.4)
    width_m = robot.data.qpos[7:9].sum()
    robot.stop()
    robot.sleep(pause_s)
    robot.reset_stop()
    robot.sleep(0.5)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.width_m == pytest.approx(width_m, abs=0.003)


def test_stop_freezes_moving_fingers():
    robot = build()
    robot.send(JointCommand(gripper=GripperCommand(0.0, 40.0)))
    robot.sleep(0.4)
    width_m = robot.data.qpos[7:9].sum()
    robot.stop()
    robot.sleep(0.5)
    gripper = robot.state().gripper
    assert gripper is not None and gripper.width_m == pytest.approx(width_m, abs=0.003)


def test_reset_refuses_nonsense():
    robot = build()
    for bad in (np.zeros(6), np.full(7, np.nan)):
        with pytest.raises(ValueError, match="7 finite"):
            robot.reset(bad)
