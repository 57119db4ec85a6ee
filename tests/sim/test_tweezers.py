"""The world with tweezers in an arm's hand: contract, judge, driver, kinematics, what assembly hands out."""
# pyright: reportAttributeAccessIssue=false

import importlib.util
from functools import cache
from pathlib import Path

import mujoco
import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

import habilis
from policies.held_tool import ToolSensor
from policies.robot import JointCommand
from policies.safe_robot import SafeRobot
from policies.tool_use import ToolUseConfig
from sim.arm_kinematics import ArmKinematics, rigid_hand
from sim.hand_robot import HandRobot
from sim.robot import SimRobotConfig
from sim.robots.fr3 import FR3, set_physics_options
from sim.tasks.tweezer_pick import HAND_STEP_RAD, TweezerPick
from sim.tweezers import TweezersWorld, TweezersWorldConfig, noun
from sim.tweezers_scene import require_mount
from tests.contracts.robot_suite import RobotSuite, When
from tests.test_safe_assembly import reachable, robots

ROOT = Path(__file__).resolve().parents[2]


def load_suite(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "contracts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def own_robot():
    return require_mount(None)


def pinch(world):
    """Put the thing asked for between the tips, above the table; contacts follow from geometry."""
    scene, meta = world.scene, world._judge
    thing = next(t for t in scene.things if t.name == meta._target)
    model, data = scene.model, scene.data
    width_m = thing.solid.extents_m[0]
    data.joint(scene.tool.joint).qpos[:] = scene.tool.joint_pos(width_m - 0.0004)
    mujoco.mj_kinematics(model, data)
    tips = [data.site(scene.tool.site(f"tip_{side}")) for side in ("left", "right")]
    joint = data.joint(f"{thing.name}_free")
    joint.qpos[:3] = (tips[0].xpos + tips[1].xpos) / 2
    across, up = tips[0].xpos - tips[1].xpos, np.array([0.0, 0.0, 1.0])
    x = across / np.linalg.norm(across)
    y = np.cross(up, x) / np.linalg.norm(np.cross(up, x))
    axes = np.stack([x, y, np.cross(x, y)], axis=1)
    if thing.solid.kind == "capsule":  # lies along its z
        axes = axes[:, [0, 2, 1]] * (1, -1, 1)
    mujoco.mju_mat2Quat(joint.qpos[3:], axes.ravel())
    mujoco.mj_forward(model, data)


@pytest.mark.long
class TestTweezersWorld(load_suite("world_suite").WorldSuite):
    families = TweezersWorldConfig().families

    @pytest.fixture
    def world(self):
        world = TweezersWorld()
        yield world
        world.close()

    def state(self, world):
        return np.concatenate([world.scene.data.qpos, world.scene.data.qvel])

    def solve(self, world):
        pinch(world)


@pytest.mark.long
class TestHandRobot(RobotSuite):
    """The arm and its empty hand, in free space."""

    # The hand's servos are weak (3 N m/rad): the fingers sag by up to 0.05 rad.
    goal_tolerance_rad = 0.06
    hold_tolerance_rad = 0.01
    stop_distance_rad = 0.08
    cancel_distance_rad = 0.2

    def test_execute_passes_through_its_points(self, robot):
        """As in the suite, of the arm: fingers lag by their sag."""
        trajectory, start_s, arm = self.trajectory(robot), robot.clock(), slice(0, 7)
        worst = [0.0]

        def look():
            planned = trajectory.at(robot.clock() - start_s)
            worst[0] = max(worst[0], float(np.abs(robot.state().joint_pos - planned)[arm].max()))
            return False

        assert self.execute(robot, trajectory, When(look)).reached
        assert 0 < worst[0] < 0.05

    @pytest.fixture
    def robot(self):
        robot = own_robot()
        spec = robot.make_spec()
        set_physics_options(spec)
        model = spec.compile()
        data = mujoco.MjData(model)
        for name, value in zip(robot.limits.joint_names, robot.home, strict=True):
            data.joint(name).qpos[:] = value
        driver = HandRobot(model, data, robot, robot.home, config=SimRobotConfig(goal_tolerance_rad=0.06))
        driver.sleep(1.0)
        yield driver
        driver.close()


# ---- the world -------------------------------------------------------------------------------------


def test_what_things_are_called():
    from sim.solids.solid import SolidConfig

    assert noun(SolidConfig("box", (0.012, 0.013, 0.012))) == "cube"
    assert noun(SolidConfig("box", (0.012, 0.04, 0.012))) == "block"
    assert noun(SolidConfig("sphere", 0.012)) == "ball"
    assert noun(SolidConfig("capsule", (0.01, 0.01, 0.03))) == "thing"


def test_config_refuses_what_is_not_there():
    with pytest.raises(ValueError, match="unknown family 'stack'"):
        TweezersWorldConfig(families=("stack",))
    with pytest.raises(ValueError, match="num_things is 9"):
        TweezersWorldConfig(num_things=9)


def test_another_robot_is_refused():
    with pytest.raises(ValueError, match="robot=fr3_allegro"):
        TweezersWorld(robot=FR3)


def test_the_robot_of_the_configuration_is_the_task_s():
    model = habilis.instantiate(habilis.compose("run", ["env=tweezers"]).robot.model)
    assert require_mount(model) is model


def test_actions_mean_what_they_meant_in_training():
    config = ToolUseConfig()
    assert config.step_m == TweezerPick.step_m
    assert config.step_rad == TweezerPick.step_rad
    assert config.hand_step_rad == HAND_STEP_RAD


def test_the_rigid_hand_is_the_hand_in_that_posture():
    robot = own_robot()
    free, rigid = robot.make_spec().compile(), rigid_hand(robot).make_spec().compile()
    a, b = mujoco.MjData(free), mujoco.MjData(rigid)
    posture = np.concatenate((robot.home[:7], robot.pinch))
    for name, value in zip(robot.limits.joint_names, posture, strict=True):
        a.joint(name).qpos[:] = value
    for name, value in zip(robot.arm_joints, robot.home, strict=False):
        b.joint(name).qpos[:] = value
    mujoco.mj_kinematics(free, a)
    mujoco.mj_kinematics(rigid, b)
    assert rigid.nq == 7
    for k in range(rigid.nbody):
        assert np.allclose(a.body(rigid.body(k).name).xpos, b.body(k).xpos, atol=1e-9)


def test_arm_kinematics_is_for_arms_with_hands():
    with pytest.raises(ValueError, match="no dexterous hand"):
        ArmKinematics(FR3)


@pytest.mark.long
def test_a_stop_drops_nothing_and_the_sensor_reads_the_tool():
    world = TweezersWorld()
    episode = world.reset(0, "mixed")
    robot, sensor = episode.robot, episode.held_tool
    assert isinstance(sensor, ToolSensor) and sensor.name == "tweezers" and "simulation" in sensor.source
    before = sensor.read()
    assert 0.01 < before.opening_m < 0.026
    assert np.isclose(before.p_tip[2], 0.094, atol=0.005)
    robot.send(JointCommand(robot.limits.joint_names[:1], np.array([0.1])))
    robot.sleep(0.1)
    robot.stop()
    robot.sleep(1.0)
    robot.reset_stop()
    robot.sleep(1.0)
    after = sensor.read()
    moved = np.linalg.norm(after.T_palm_tool.position_m - before.T_palm_tool.position_m)
    assert moved < 0.003 and abs(after.opening_m - before.opening_m) < 0.002
    assert world.judge().facts["tool_in_hand"]
    world.close()


@pytest.mark.long
def test_dropping_the_tweezers_is_judged():
    world = TweezersWorld()
    world.reset(0, "mixed")
    pinch(world)
    assert world.judge().success
    world.scene.data.joint(world.scene.tool.free_joint).qpos[2] += 0.3
    mujoco.mj_forward(world.scene.model, world.scene.data)
    judgement = world.judge()
    assert not judgement.success and "dropped" in judgement.reason
    world.close()


# ---- assembly --------------------------------------------------------------------------------------


@pytest.mark.long
def test_assembly_hands_out_no_bare_driver(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    with habilis.build(habilis.compose("run", ["env=tweezers", "video.enabled=false"])) as session:
        assert isinstance(session.robot, SafeRobot) and session.episode.robot is session.robot
        assert robots(reachable(session.agent.executor.context)) == [session.robot]
        fingers = session.agent.executor.context.held_tool.hand_joints
        limit = session.robot.limits.upper[session.robot.limits.joint_names.index(fingers[1])]
        sent = session.robot.send(JointCommand(fingers[1:2], np.array([limit + 1.0])))
        assert sent.joint_pos[sent.joint_names.index(fingers[1])] <= limit
        assert session.robot.violations["position"] >= 1


def test_a_world_chooses_its_robot_and_skills_unless_told_otherwise():
    cfg = habilis.compose("run", ["env=tweezers"])
    assert cfg.robot.name == "fr3_allegro"
    assert list(cfg.skills.allow) == ["pick_with_tool", "set_tool_opening", "home", "stop"]
    cfg = habilis.compose("run", ["env=tweezers", "skills.allow=[stop]", "robot=fr3"])
    assert (cfg.robot.name, list(cfg.skills.allow)) == ("fr3", ["stop"])
    assert "pick_with_tool" not in habilis.compose("run", []).skills.allow
