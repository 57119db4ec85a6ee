"""`habilis.build` around a robot behind a bus: who gets what, what has to be confirmed, what is refused."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed (extra `ros`)")

import habilis
from hardware.bus import CLOCK, BusConfig
from hardware.calibration.joints import JointReport, JointVerdict, certificate_path, save_certificate
from hardware.client.remote import RemoteConfig, has_clock
from hardware.client.ros_camera import RosCameraConfig
from hardware.commands.calibrate import wiring
from hardware.transports import open_bus
from policies.robot import JointCommand, JointTrajectory, RobotStopped
from policies.safe_robot import SafeRobot
from tests.hardware.domains import free_domain
from tests.test_safe_assembly import reachable, robots

pytestmark = pytest.mark.long


class Served:
    """`habilis robot` in a thread of this process."""

    def __init__(self, *overrides):
        self.domain = free_domain()
        words = ["transport=dds", f"bus.domain_id={self.domain}", *overrides]
        self.robot = habilis.build_robot(habilis.compose("robot_server", words))
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self.robot.server.run, args=(self._cancel,))
        self._thread.start()

    def build(self, *overrides):
        words = ["transport=dds", f"bus.domain_id={self.domain}", "run_dir=null", *overrides]
        return habilis.build(habilis.compose("run", words))

    def close(self):
        self._cancel.set()
        self._thread.join(30)
        with self.robot:
            pass


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    started = []

    def start(*overrides):
        started.append(Served(*overrides))
        return started[-1]

    yield start
    for served in started:
        served.close()


def until(condition, seconds=20.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.01)


def test_everyone_gets_the_safe_robot(serve):
    with serve("env.seed=7").build() as session:
        assert isinstance(session.robot, SafeRobot)
        assert session.episode.robot is session.robot
        context = session.agent.executor.context
        assert context.robot is session.robot
        assert robots(reachable(context)) == [session.robot]
        assert sorted(session.episode.cameras) == ["scene", "wrist"]
        with pytest.raises(RuntimeError, match="the truth about the scene is not on the wire"):
            session.world.judge()


def test_a_motion_over_the_wire_is_followed_and_sensed(serve):
    served = serve("env.seed=7")
    with served.build() as session:
        robot, driver = session.robot, served.robot.server.robot
        start = robot.state().joint_pos
        goal = start + np.array([0.2, 0.1, 0.0, 0.1, 0.0, 0.1, 0.2])
        rows = np.linspace(0, 1, 101)[:, None]
        s = 3 * rows**2 - 2 * rows**3
        speed = (6 * rows - 6 * rows**2) / 2.0
        trajectory = JointTrajectory(
            robot.limits.joint_names, 2.0 * rows[:, 0], start + s * (goal - start), speed * (goal - start)
        )
        result = robot.execute(trajectory, threading.Event())
        assert result.reached, result
        assert np.abs(driver.state().joint_pos - goal).max() < 0.01
        assert dict(driver.violations) == {}, "what the client has filtered passes the robot's own filter"


def test_the_e_stop_topic_stops_and_stays(serve):
    served = serve("env.seed=7")
    with served.build() as session:
        bus = session.world.remote.bus
        button = bus.publisher("std_msgs/msg/Bool", "habilis/estop")
        until(lambda: button.num_subscribers > 0)
        button.publish(bus.message("std_msgs/msg/Bool", data=True))
        until(lambda: session.robot.is_stopped)
        with pytest.raises(RobotStopped):
            session.robot.send(
                JointCommand(session.robot.limits.joint_names, session.robot.state().joint_pos)
            )
        button.publish(bus.message("std_msgs/msg/Bool", data=False))
        time.sleep(0.2)
        assert session.robot.is_stopped, "releasing the button alone changes nothing"


@pytest.mark.parametrize(("offset_s", "is_simulated"), [(0, False), (-20, False), (-86_400, True)])
def test_a_clock_that_tells_the_systems_time_makes_no_robot_a_simulated_one(offset_s, is_simulated):
    config = BusConfig(node_name="clock", domain_id=free_domain())
    bus = open_bus("dds", config)
    out = bus.publisher("rosgraph_msgs/msg/Clock", "/clock", CLOCK)
    kind = "rosgraph_msgs/msg/Clock"
    stamp = {"sec": int(time.time()) + offset_s}
    timer = bus.timer(0.05, lambda: out.publish(bus.message(kind, clock=stamp)))
    try:
        bus.start()
        assert has_clock("dds", BusConfig(domain_id=config.domain_id)) is is_simulated
    finally:
        timer.close()
        bus.close()


def certify(folder):
    """Write that the joints of fr3 are as the model says."""
    interface = habilis.instantiate(habilis.compose("run", []).robot.interface)
    verdicts = tuple(JointVerdict(name, 1.0, 0.0, "", 0.0) for name in interface.joint_names)
    report = JointReport(interface.name, wiring(interface), verdicts, interface.joint_names, False)
    save_certificate(report, certificate_path(folder, interface.name))


def test_a_robot_that_may_be_real_waits_for_its_check_and_a_person(serve, tmp_path):
    served = serve("env.seed=7", "bus.use_sim_time=false")
    assert not has_clock("dds", BusConfig(domain_id=served.domain))
    slack = ["robot.interface.watchdog.max_state_age_s=5", "robot.interface.watchdog.max_stamp_age_s=5"]
    words = [*slack, f"calibration_dir={tmp_path}"]
    with pytest.raises(ValueError, match="the joints of fr3 were never checked"):
        served.build("remote.confirmed=true", *words)
    certify(tmp_path)
    with pytest.raises(RuntimeError, match="a person must confirm before the first motion; look at it"):
        served.build(*words)
    with served.build("remote.confirmed=true", *words) as session:
        assert not session.robot.is_stopped


def test_armed_again_it_starts_where_it_is(serve):
    served = serve("env.seed=7")
    with served.build() as session:
        guard, robot = session.world.remote.guard, session.robot
        robot.send(JointCommand(robot.limits.joint_names, robot.state().joint_pos))
        assert robot._stream._setpoint is not None
        guard.disarm()
        until(lambda: guard.mode == "disarmed")
        assert guard.arm() == ""
        assert robot._stream._setpoint is None


def test_a_robot_without_a_model_cannot_be_planned_for():
    with pytest.raises(habilis.UsageError, match="'xarm7' has no model to plan motions with"):
        habilis.build(habilis.compose("run", ["transport=dds", "robot=xarm7", "run_dir=null"]))


def test_two_cameras_of_one_name_are_refused():
    camera = RosCameraConfig("scene", "a", "b", "c")
    with pytest.raises(ValueError, match="a name stands twice"):
        RemoteConfig((camera, camera))
