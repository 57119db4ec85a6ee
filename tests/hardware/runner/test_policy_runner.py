"""The policy runner on a bus inside the process: what the policy sees, what is sent, what goes wrong."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from hardware.bus import LATCHED, BusConfig
from hardware.client.opening import open_robot, watch_cameras
from hardware.interface.settings import ArmingConfig, WatchdogConfig
from hardware.runner.observer import Observer, ObserverConfig
from hardware.runner.policy_runner import PolicyRunner, RunnerConfig
from hardware.safety.arming import Mode
from policies.actions import Decoder, Deployment, JointTerm
from policies.policy import ArraySpec, PolicySpec
from policies.safe_robot import SafeRobot
from policies.safety import SafetyFilter
from policies.safety_config import SafetyConfig
from tests.hardware.echo_robot import EchoRobot
from tests.hardware.interfaces import interface
from tests.hardware.loop_bus import LoopBus
from tests.hardware.rigs import LoopRig, making, until

NAMES = ("j0", "j1", "j2")
QUICK = ArmingConfig(soft_start_s=0.0, hold_s=0.05)
PATIENT = WatchdogConfig(max_state_age_s=1.5, max_stamp_age_s=1.5)  # of a busy machine
STEPS = Deployment((JointTerm(NAMES, (-2.0,) * 3, (2.0,) * 3, step=0.02),), NAMES)
OBS = tuple(f"joint_pos.{k}" for k in range(3))


def spec(obs=OBS, goal=None, step_dt=0.02, action=NAMES) -> PolicySpec:
    arrays = {"observation": ArraySpec((len(obs),), tuple(obs))}
    if goal:
        arrays["desired_goal"] = goal
    return PolicySpec(arrays, ArraySpec((len(action),), tuple(action), low=-1, high=1), goal, step_dt)


class Policy:
    """Calls `act`; counts resets and keeps what it saw."""

    def __init__(self, act=lambda obs: np.zeros(3), **changes):
        self.spec = spec(**changes)
        self._act, self.seen, self.resets = act, [], 0

    def reset(self):
        self.resets += 1

    def act(self, obs):
        self.seen.append({k: np.array(v) for k, v in obs.items()})
        return self._act(obs)


class Rig(LoopRig):
    def __init__(self, policy, *, data=None, config=None, observe=None, deployment=STEPS, follows=True):
        super().__init__(data or interface(arming=QUICK, watchdog=PATIENT), follows=follows)
        self.says = {}
        self.node = LoopBus(self.bus.network, BusConfig())
        self.client = open_robot(self.node, self.data)
        self.guard = self.client.guard
        limits = self.data.joints.limits
        self.robot = SafeRobot(self.client.driver, SafetyFilter(limits, SafetyConfig()))
        self.guard.release_with(self.robot.reset_stop)
        decoder = Decoder(deployment)
        observer = Observer(
            self.node, policy.spec, NAMES, deployment, decoder, None, False, observe or ObserverConfig()
        )
        config = config or RunnerConfig(seconds=0.5, arm=True)
        self.runner = PolicyRunner(self.node, self.robot, self.guard, policy, observer, decoder, 0.01, config)
        self.done = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)
        self.ticker.start()

    def _tick(self):
        while not self.done.wait(0.005):
            self.node.fire()

    def start(self):
        self.thread = threading.Thread(target=self.runner.run, daemon=True)
        self.thread.start()

    def call(self, service):
        client = self.node.client("std_srvs/srv/Trigger", f"habilis/{service}")
        return client.call(self.node.message("std_srvs/srv/Trigger_Request"), 1.0)

    def say(self, topic, value):
        if topic not in self.says:
            self.says[topic] = self.bus.publisher("std_msgs/msg/Bool", topic)
        self.says[topic].publish(self.bus.message("std_msgs/msg/Bool", data=value))

    def sent(self):
        return np.array([m.data for m in self.messages()])

    def close(self):
        self.runner.stop()
        if hasattr(self, "thread"):
            self.thread.join(10)
        self.done.set()
        self.ticker.join(5)
        self.client.close()
        super().close()


make = making(Rig)

FOREVER = RunnerConfig(arm=True, max_late=500)  # a busy machine is slow


# ---- it runs -------------------------------------------------------------------------------------


def test_a_policy_moves_the_robot_by_its_actions(make):
    policy = Policy(lambda obs: np.array([1.0, 0.0, -1.0]))
    rig = make(policy, config=FOREVER)
    rig.start()
    assert until(lambda: rig.runner.timings.steps >= 20)
    rig.runner.stop()
    rig.thread.join(10)
    last = rig.sent()[-1]
    assert last[0] > 0.2 and abs(last[1]) < 1e-9 and last[2] == pytest.approx(-last[0])
    assert policy.resets == 1
    assert policy.seen[0]["observation"].tolist() == [0, 0, 0]
    assert policy.seen[-1]["observation"][0] > 0.1


def test_every_setpoint_sent_is_within_the_limits_whatever_the_policy_does(make):
    rng = np.random.default_rng(0)
    rig = make(Policy(lambda obs: rng.uniform(-5, 5, 3)), config=FOREVER)
    rig.start()
    assert until(lambda: rig.runner.timings.steps >= 30)
    rig.runner.stop()
    rig.thread.join(10)
    limits, topic = rig.data.joints.limits, "/position_controller/commands"
    gaps_s = np.diff(rig.bus.network.times_on(topic))
    steps = np.diff(rig.sent(), axis=0)
    assert len(steps) > 50
    assert np.abs(steps).max() <= limits.velocity.max() * 0.01 + 1e-9
    in_stream = (gaps_s[:-1] < 0.02) & (gaps_s[1:] < 0.02)  # after a pause the filter begins at rest again
    assert np.abs(np.diff(steps, axis=0)[in_stream]).max() <= limits.acceleration.max() * 0.01**2 + 1e-9


def test_the_policy_sees_what_it_reads_by_name_whatever_the_order(make):
    policy = Policy(obs=("joint_pos.j2", "target.0", "joint_vel.j1", "joint_pos.0"))
    rig = make(policy, config=FOREVER)
    rig.echo.position[:] = [0.1, 0.2, 0.3]
    rig.echo.publish()
    rig.start()
    assert until(lambda: policy.seen)
    assert policy.seen[0]["observation"] == pytest.approx([0.3, 0.1, 0.0, 0.1])


def test_joints_may_be_called_otherwise_than_in_training(make):
    policy = Policy(obs=("joint_pos.0", "joint_pos.1", "joint_pos.2"))
    rig = make(policy, config=FOREVER, observe=ObserverConfig(joint_names=("j2", "j1", "j0")))
    rig.echo.position[:] = [0.1, 0.2, 0.3]
    rig.echo.publish()
    rig.start()
    assert until(lambda: policy.seen)
    assert policy.seen[0]["observation"] == pytest.approx([0.3, 0.2, 0.1])


def test_the_goal_is_a_setting_or_comes_from_a_topic_and_is_waited_for(make):
    goal = ArraySpec((2,), ("x", "y"), "m")
    policy = Policy(goal=goal)
    rig = make(policy, config=FOREVER, observe=ObserverConfig(goal_topic="goal"))
    rig.start()
    assert not until(lambda: policy.seen, 0.2)
    assert rig.guard.mode is Mode.DISARMED
    out = rig.bus.publisher("std_msgs/msg/Float64MultiArray", "goal")
    out.publish(rig.bus.message("std_msgs/msg/Float64MultiArray", data=[1.0, 2.0]))
    assert until(lambda: policy.seen)
    assert policy.seen[0]["desired_goal"].tolist() == [1.0, 2.0]


def test_a_goal_in_the_settings(make):
    policy = Policy(goal=ArraySpec((2,), ("x", "y"), "m"))
    rig = make(policy, config=FOREVER, observe=ObserverConfig(goal=(3.0, 4.0)))
    rig.start()
    assert until(lambda: policy.seen)
    assert policy.seen[0]["desired_goal"].tolist() == [3.0, 4.0]


# ---- refused at the start ------------------------------------------------------------------------


def test_what_the_robot_does_not_have_is_listed(make):
    with pytest.raises(ValueError, match=r"does not have: cube_pos, joint_pos\.7; .*inputs\.cube_pos=TOPIC"):
        make(Policy(obs=("joint_pos.0", "cube_pos.0", "cube_pos.1", "joint_pos.7")))


def test_it_may_come_from_a_topic_and_its_silence_is_a_fault(make):
    policy = Policy(obs=("joint_pos.0", "cube_pos.0", "cube_pos.1"))
    rig = make(
        policy, config=FOREVER, observe=ObserverConfig(inputs={"cube_pos": "cube"}, max_input_age_s=0.2)
    )
    rig.start()
    out = rig.bus.publisher("std_msgs/msg/Float64MultiArray", "cube")
    out.publish(rig.bus.message("std_msgs/msg/Float64MultiArray", data=[7.0, 8.0]))
    assert until(lambda: policy.seen)
    assert policy.seen[0]["observation"].tolist() == [0.0, 7.0, 8.0]
    assert until(lambda: rig.guard.mode is Mode.FAULT) and "cube" in rig.guard.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_dt": 0.025}, "no whole number of control periods"),
        ({"action": ("j0", "j2", "j1")}, "in this order"),
        ({"obs": ()}, "has no names"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make(Policy(**changes))


def test_a_policy_of_another_robot_is_refused(make):
    other = Deployment((JointTerm(("a",), (-1.0,), (1.0,)),), ("a", "b"))
    with pytest.raises(ValueError, match="trained on a joint 'a', which this robot does not have"):
        make(Policy(), deployment=other)


# ---- in trouble ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda obs: np.array([np.nan, 0, 0]), "not finite"),
        (lambda obs: np.zeros(2), "shape"),
        (lambda obs: 1 / 0, "ZeroDivisionError"),
    ],
    ids=["nan", "shape", "raises"],
)
def test_nonsense_from_the_policy_is_a_fault(make, act, message):
    rig = make(Policy(act), config=FOREVER)
    rig.start()
    assert until(lambda: rig.guard.mode is Mode.FAULT)
    assert message in rig.guard.reason
    assert np.isfinite(rig.sent()).all()


def test_late_actions_hold_the_last_target_and_too_many_are_a_fault(make):
    slow = threading.Event()

    def act(obs):
        if slow.is_set():
            time.sleep(0.08)
        return np.array([1.0, 0.0, 0.0])

    rig = make(Policy(act), config=RunnerConfig(arm=True, max_late=4))
    rig.start()
    assert until(lambda: rig.runner.timings.steps > 5)
    slow.set()
    assert until(lambda: rig.guard.mode is Mode.FAULT)
    assert "after the deadline" in rig.guard.reason
    assert rig.runner.timings.late >= 4


def test_an_estop_stops_and_needs_release_reset_and_arm(make):
    policy = Policy(lambda obs: np.array([1.0, 0.0, 0.0]))
    rig = make(policy, config=FOREVER)
    rig.start()
    assert until(lambda: rig.runner.timings.steps > 5)
    rig.say("habilis/estop", True)
    assert rig.guard.mode is Mode.ESTOP and rig.robot.is_stopped
    assert until(lambda: rig.client.driver._braked.is_set())
    assert not rig.call("arm").success and not rig.call("reset").success
    rig.say("habilis/estop", False)
    assert rig.guard.mode is Mode.ESTOP
    assert rig.call("reset").success and rig.guard.mode is Mode.DISARMED
    count = rig.runner.timings.steps
    time.sleep(0.1)
    assert rig.runner.timings.steps == count
    assert rig.call("arm").success
    assert until(lambda: rig.runner.timings.steps > count + 5)
    assert policy.resets == 2


def test_an_action_on_what_was_seen_before_a_stop_is_not_taken(make):
    """The policy thinks while the robot is stopped, reset and armed: in time, but about another pose."""
    go = threading.Event()

    def act(obs):
        if not go.is_set():
            go.wait(20)
            return np.array([1.0, 0.0, 0.0])
        return np.zeros(3)

    policy = Policy(act)
    rig = make(policy, config=RunnerConfig(arm=True, deadline_s=30.0, max_late=10_000))
    rig.start()
    assert until(lambda: policy.seen)
    rig.say("habilis/estop", True)
    assert until(lambda: rig.client.driver._braked.is_set())
    rig.say("habilis/estop", False)
    assert rig.call("reset").success and rig.call("arm").success
    count = len(rig.sent())
    assert until(lambda: len(rig.sent()) > count)  # it has begun anew
    go.set()
    assert until(lambda: rig.runner.timings.steps > 3)
    assert np.abs(rig.sent()).max() < 1e-9 and policy.resets == 2


def test_an_observation_that_is_not_finite_is_a_fault_that_names_it(make):
    policy = Policy(obs=("joint_pos.0", "joint_effort.1"))
    rig = make(policy, config=FOREVER)
    rig.client.driver._sensing.joints._effort[1] = np.nan  # as where a driver tells none
    rig.echo.change = lambda fields: fields | {"effort": []}
    rig.start()
    assert until(lambda: rig.guard.mode is Mode.FAULT)
    assert "observation joint_effort.1 is not finite" in rig.guard.reason and not policy.seen


def test_a_latched_estop_that_was_pressed_before_is_heard():
    bus, data = LoopBus(), interface(arming=QUICK, watchdog=PATIENT)
    echo = EchoRobot(bus, data)
    button = bus.publisher("std_msgs/msg/Bool", "habilis/estop", LATCHED)
    button.publish(bus.message("std_msgs/msg/Bool", data=True))
    client = open_robot(LoopBus(bus.network, BusConfig()), data)
    try:
        assert client.guard.mode is Mode.ESTOP
        assert "estop" in client.guard.arm() and "pressed" in client.guard.reset()
    finally:
        client.close()
        echo.close()


def test_a_silent_robot_is_a_latched_fault_and_the_stop_reason_is_told(make):
    rig = make(Policy(), config=FOREVER)
    rig.start()
    assert until(lambda: rig.runner.timings.steps > 5)
    rig.echo.is_paused = True
    assert until(lambda: rig.guard.mode is Mode.FAULT)
    # The mode changes before it is told. By receipt or by stamp: both limits are the same here.
    assert until(lambda: rig.bus.network.on("/habilis/state")[-1].data.startswith("fault: stale_sta"))
    rig.echo.is_paused = False
    assert until(lambda: not rig.guard.faults())
    assert "reset" in rig.call("arm").message
    assert rig.guard.mode is Mode.FAULT


def test_a_silent_camera_is_a_fault(make):
    rig = make(Policy(), config=FOREVER)
    limits = WatchdogConfig(max_camera_age_s=0.3, max_camera_stamp_age_s=0.0)
    watch_cameras(rig.node, rig.guard, ["camera/camera_info"], limits)
    assert "camera/camera_info: nothing received" in rig.call("arm").message
    out = rig.bus.publisher("sensor_msgs/msg/CameraInfo", "camera/camera_info")
    out.publish(rig.bus.message("sensor_msgs/msg/CameraInfo"))
    assert rig.call("arm").success
    assert until(lambda: rig.guard.mode is Mode.FAULT)
    assert rig.guard.reason.startswith("stale_camera")


def test_with_on_fault_exit_it_ends_with_the_reason(make):
    rig = make(Policy(lambda obs: np.zeros(2)), config=RunnerConfig(arm=True, on_fault="exit"))
    with pytest.raises(RuntimeError, match="fault: inference: the policy returned an action of shape"):
        rig.runner.run()
    assert rig.robot.is_stopped


def test_what_breaks_elsewhere_ends_the_loop_and_stops_the_robot(make):
    rig = make(Policy(), config=FOREVER)
    with pytest.raises(OSError, match="bus"):
        rig.runner.run(lambda: OSError("bus") if rig.runner.timings.ticks > 10 else None)
    assert rig.robot.is_stopped


def test_a_real_robot_waits_for_a_person(make):
    data = interface(is_real=True, arming=QUICK, watchdog=PATIENT)
    rig = make(Policy(), data=data, config=RunnerConfig(arm=False))
    rig.start()
    assert "confirm" in rig.call("arm").message
    assert rig.sent().size == 0
    assert rig.call("confirm").success and rig.call("arm").success
    assert until(lambda: rig.sent().size > 0)


def test_the_deadman_must_be_held(make):
    held = ArmingConfig(deadman=True, soft_start_s=0.0, hold_s=0.05)
    rig = make(Policy(), data=interface(arming=held, watchdog=PATIENT))
    assert "deadman" in rig.call("arm").message
    rig.say("habilis/deadman", True)
    assert rig.call("arm").success
    assert until(lambda: rig.guard.mode is Mode.DISARMED)


def test_soft_start_limits_the_speed_from_the_measured_pose(make):
    arming = ArmingConfig(soft_start_s=10.0, soft_start_scale=0.1)
    rig = make(
        Policy(lambda obs: np.array([1.0, 0.0, 0.0])),
        data=interface(arming=arming, watchdog=PATIENT),
        config=FOREVER,
    )
    rig.start()
    assert until(lambda: rig.runner.timings.steps > 20)
    speed = np.diff(rig.sent()[:40], axis=0) / 0.01
    assert 0 < np.abs(speed).max() <= 2.0 * (0.1 + 0.9 * 0.1)  # of 2 rad/s; nowhere near 100 s after arming


def test_diagnostics_tell_mode_ticks_and_messages(make):
    rig = make(Policy(), config=FOREVER)
    rig.start()
    assert until(lambda: rig.runner.timings.steps > 2)
    assert until(lambda: rig.bus.network.on("/diagnostics"))
    rig.guard.diagnose()
    status = rig.bus.network.on("/diagnostics")[-1].status[0]
    values = {v.key: v.value for v in status.values}
    assert status.hardware_id == "little" and values["mode"] == "running"
    assert int(values["ticks"]) > 2 and int(values["joint states new"]) > 0


def test_figures_count_ticks_and_steps(make):
    rig = make(Policy(), config=RunnerConfig(seconds=0.5, arm=True))
    figures = rig.runner.run()
    assert figures["ticks"] + figures["overruns"] >= 30
    assert figures["policy_steps"] > 5 and figures["tick_ms_p99"] >= figures["tick_ms_p50"] > 0
