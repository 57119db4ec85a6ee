"""`RosRobot` on a bus inside the process: what goes out, what is watched, and that stops are final."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from hardware.client.channels import braking_path, shadow_topic
from hardware.client.ros_robot import RosRobot, RosRobotConfig
from hardware.client.trajectories import GoalsUnderWay
from hardware.interface import Channel
from hardware.interface.settings import WatchdogConfig
from hardware.safety.watchdog import NANO, FaultKind
from policies.robot import JointCommand, RobotStopped
from tests.hardware.interfaces import gate, interface, joints
from tests.hardware.loop_bus import LoopBus
from tests.hardware.rigs import LoopRig, making, until

CONFIG = RosRobotConfig(discovery_s=0.0, ready_s=0.1)
KINDS = ("trajectory", "position", "velocity", "effort", "joint_state")
NAMES = ("j0", "j1", "j2")


class Rig(LoopRig):
    """A robot, its counterpart and the client, closed at the end."""

    def __init__(self, data=None, *, config=CONFIG, permit=None, connect=True, **echo):
        super().__init__(data or interface(), **echo)
        self.robot = RosRobot(LoopBus(self.bus.network), self.data, config, permit)
        if connect:
            self.robot.connect()

    def sent(self):
        return self.messages()

    def send(self, *joint_pos, names=NAMES):
        return self.robot.send(JointCommand(names, np.array(joint_pos)))

    def close(self):
        self.robot.close()
        super().close()


make = making(Rig)


# ---- what goes out -------------------------------------------------------------------------------


def test_positions_go_out_in_the_controllers_order_names_and_convention(make):
    table = joints(driver_names=("a", "b", "c"), prefix="l_", signs=(1.0, -1.0, 1.0), offsets=(1.0, 0.0, 0.0))
    channel = Channel("position", "c/commands", ("j2", "j0", "j1"))
    rig = make(interface(joints=table, channels=(channel,)))
    rig.send(0.1, 0.2, 0.3)
    assert np.asarray(rig.sent()[-1].data) == pytest.approx([0.3, 1.1, -0.2])


def test_joints_not_named_keep_their_last_setpoint_or_where_they_are(make):
    rig = make(start=np.array([0.5, 0.5, 0.5]))
    sent = rig.send(0.6, names=("j1",))
    assert sent.joint_names == NAMES and sent.joint_pos == pytest.approx([0.5, 0.6, 0.5])


def test_a_trajectory_controller_gets_one_point(make):
    rig = make(interface(kind="trajectory"))
    rig.send(0.1, 0.2, 0.3)
    message = rig.sent()[-1]
    assert list(message.joint_names) == list(NAMES) and len(message.points) == 1
    assert list(message.points[0].positions) == [0.1, 0.2, 0.3]
    stamp = message.points[0].time_from_start
    assert stamp.sec == 0 and stamp.nanosec == 10_000_000  # one period of 100 Hz


def test_a_velocity_controller_gets_speed_and_correction_within_limits(make):
    rig = make(interface(kind="velocity"), follows=False)
    rig.send(0.1, 0.0, -2.0)
    # kp = 5 [1/s]: 5 * 0.1 = 0.5; the first setpoint has no speed of its own. -2: clipped to the limit 2.
    assert list(rig.sent()[-1].data) == pytest.approx([0.5, 0.0, -2.0])


def test_an_effort_controller_gets_a_pd_law_within_limits(make):
    channel = Channel("effort", "c/commands", kp=2.0, kd=0.5)
    rig = make(interface(channels=(channel,)), follows=False)
    rig.send(0.1, 0.0, -2.0)
    assert list(rig.sent()[-1].data) == pytest.approx([0.2, 0.0, -1.0])  # effort limit 1


def test_arm_and_hand_are_commanded_on_their_own_topics(make):
    channels = (Channel("trajectory", "arm/t", ("j0",)), Channel("joint_state", "hand/c", ("j2", "j1")))
    rig = make(interface(channels=channels))
    rig.send(0.1, 0.2, 0.3)
    assert list(rig.bus.network.on("/arm/t")[-1].points[0].positions) == [0.1]
    assert list(rig.bus.network.on("/hand/c")[-1].position) == [0.3, 0.2]


def test_setpoints_are_clipped_to_the_limits(make):
    assert make().send(9.0, -9.0, 0.0).joint_pos == pytest.approx([2.0, -2.0, 0.0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_dry_run_publishes_on_the_shadow_topic_only(make, kind):
    rig = make(interface(kind=kind), config=RosRobotConfig(dry_run=True, discovery_s=0.0))
    rig.send(0.1, 0.2, 0.3)
    rig.robot.stop()
    assert rig.sent() == []
    assert rig.bus.network.on("/" + shadow_topic(rig.topic))


# ---- opening -------------------------------------------------------------------------------------


def test_without_joint_states_it_says_what_is_missing():
    data = interface(watchdog=WatchdogConfig(first_state_s=0.05))
    robot = RosRobot(LoopBus(), data, CONFIG)
    with pytest.raises(ConnectionError, match=r"no joint states of j0, j1, j2 on joint_states"):
        robot.connect()
    robot.close()


def test_without_a_controller_it_says_so(make):
    rig = make(connect=False)
    for subscription in rig.bus.network.subscriptions[rig.topic]:
        subscription.close()
    rig.bus.network.subscriptions[rig.topic].clear()
    with pytest.raises(ConnectionError, match="no controller listens"):
        rig.robot.connect()


def test_another_commander_at_the_start_is_refused_and_nothing_is_opened(make):
    rig = make(connect=False)
    rig.bus.publisher("std_msgs/msg/Float64MultiArray", rig.topic)
    with pytest.raises(ConnectionError, match="another node can publish"):
        rig.robot.connect()
    assert len(rig.bus.network.publishers[rig.topic]) == 1


def test_before_connect_nothing_is_sent(make):
    rig = make(connect=False)
    with pytest.raises(RobotStopped, match="connect"):
        rig.send(0.1, 0.2, 0.3)


def test_a_simulated_clock_that_is_the_systems_is_refused():
    """A real robot would be moved as a simulated one: unconfirmed, unchecked, and armed by itself."""
    from hardware.bus import BusConfig

    rig = LoopRig(interface())
    robot = RosRobot(LoopBus(rig.bus.network, BusConfig(use_sim_time=True)), interface(), CONFIG)
    try:
        with pytest.raises(ConnectionError, match=r"/clock tells this machine's time.*use_sim_time=false"):
            robot.connect()
    finally:
        robot.close()
        rig.close()


# ---- watchdogs -----------------------------------------------------------------------------------


def silent(rig):
    rig.echo.is_paused = True


def nan(rig):
    rig.echo.change = lambda fields: fields | {"position": np.array([0.0, np.nan, 0.0])}


def renamed(rig):
    rig.echo.change = lambda fields: fields | {"name": ["j0", "j1", "jj"]}


def wrong_size(rig):
    rig.echo.change = lambda fields: fields | {"position": np.zeros(2)}


def stamps_stop(rig):
    now_ns = rig.bus.now_ns()
    stamp = {"sec": now_ns // NANO, "nanosec": now_ns % NANO}
    rig.echo.change = lambda fields: fields | {"header": {"stamp": stamp}}


def clock_jumps(rig):
    rig.bus.network.offset_ns = -3 * NANO


def second_commander(rig):
    rig.bus.publisher("std_msgs/msg/Float64MultiArray", rig.topic)


TROUBLES = {
    silent: {FaultKind.STALE_STATE, FaultKind.STALE_STAMP},  # both limits are the same here
    nan: {FaultKind.BAD_STATE},
    renamed: {FaultKind.STALE_STATE, FaultKind.STALE_STAMP},
    wrong_size: {FaultKind.BAD_STATE},
    stamps_stop: {FaultKind.STALE_STATE, FaultKind.STALE_STAMP},
    clock_jumps: {FaultKind.CLOCK_JUMP},
    second_commander: {FaultKind.COMMANDER},
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda f: f.__name__)
def test_trouble_stops_and_latches_by_itself(make, trouble):
    rig = make()
    rig.send(0.1, 0.2, 0.3)
    told = []
    rig.robot.on_fault(told.append)
    trouble(rig)
    assert until(lambda: rig.robot.is_stopped)
    assert until(lambda: told) and told[0].kind in TROUBLES[trouble]
    assert rig.robot.latched[0].kind in TROUBLES[trouble]
    with pytest.raises(RobotStopped, match=str(rig.robot.latched[0].kind)):
        rig.send(0.1, 0.2, 0.3)


def test_it_does_not_resume_by_itself_and_is_reset_only_when_the_cause_is_over(make):
    rig = make()
    rig.send(0.1, 0.2, 0.3)
    silent(rig)
    assert until(lambda: rig.robot.is_stopped)
    with pytest.raises(RobotStopped, match="cannot be reset"):
        rig.robot.reset_stop()
    rig.echo.is_paused = False
    assert until(lambda: not rig.robot.faults())
    assert rig.robot.is_stopped
    rig.robot.reset_stop()
    assert rig.send(0.1, 0.2, 0.3).joint_pos is not None


def test_trouble_before_the_first_command_forbids_it_but_latches_nothing(make):
    rig = make()
    silent(rig)
    assert until(lambda: rig.robot.faults())
    assert not rig.robot.is_stopped
    rig.echo.is_paused = False
    assert until(lambda: not rig.robot.faults())
    rig.send(0.0, 0.0, 0.0)


def test_a_robot_that_does_not_follow_is_stopped(make):
    rig = make(interface(watchdog=WatchdogConfig(max_tracking_error=0.2, tracking_s=0.02)), follows=False)
    rig.send(0.5, 0.0, 0.0)
    assert until(lambda: rig.robot.is_stopped)
    assert rig.robot.latched[0].kind is FaultKind.TRACKING


def test_a_closed_gate_forbids_and_one_that_closes_stops(make):
    rig = make(interface(gates=(gate(),)))
    with pytest.raises(RobotStopped, match="start the program"):
        rig.send(0.1, 0.0, 0.0)
    say = rig.bus.publisher("std_msgs/msg/Bool", "running")
    say.publish(rig.bus.message("std_msgs/msg/Bool", data=True))
    rig.robot.reset_stop()
    rig.send(0.1, 0.0, 0.0)
    say.publish(rig.bus.message("std_msgs/msg/Bool", data=False))
    assert until(lambda: rig.robot.is_stopped)


def test_nothing_is_sent_without_permission(make):
    rig = make(permit=lambda: "the robot is disarmed")
    with pytest.raises(RobotStopped, match="disarmed"):
        rig.send(0.1, 0.2, 0.3)
    assert rig.sent() == []


# ---- stops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["velocity", "effort"])
@pytest.mark.parametrize("end", ["stop", "close", "silence", "fault"])
def test_velocity_and_effort_are_zero_on_every_exit_path(make, kind, end):
    rig = make(interface(kind=kind), follows=False)
    rig.send(0.1, 0.0, 0.1)
    assert np.abs(rig.sent()[-1].data).max() > 0
    if end == "stop":
        rig.robot.stop()
    elif end == "close":
        rig.robot.close()
    elif end == "fault":
        nan(rig)
    assert until(lambda: not np.any(rig.sent()[-1].data))


@pytest.mark.parametrize("kind", ["velocity", "effort"])
def test_an_error_where_the_robot_is_watched_stops_it(make, kind, monkeypatch):
    rig = make(interface(kind=kind), follows=False)
    rig.send(0.1, 0.0, 0.1)

    def broken(*_):
        raise ZeroDivisionError("made up here")

    monkeypatch.setattr(rig.robot._tracking, "check", broken)
    assert until(lambda: rig.robot.latched and not np.any(rig.sent()[-1].data))
    assert rig.robot.latched[0].kind is FaultKind.SOFTWARE and "made up here" in str(rig.robot.latched[0])
    assert until(lambda: rig.robot._braked.is_set())


def test_a_stop_in_motion_brakes_within_the_acceleration_limits_and_holds(make):
    rig = make()
    for k in range(1, 30):  # 1 rad/s at 100 Hz
        rig.send(0.01 * k, 0.0, 0.0)
        time.sleep(0.01)
    count = len(rig.sent())
    rig.robot.stop()
    assert until(lambda: rig.robot._braked.is_set())
    x = np.array([m.data[0] for m in rig.sent()[count - 1 :]])
    steps = np.diff(x)
    assert len(x) > 6 and (steps >= -1e-12).all() and steps[-1] == 0
    assert np.abs(np.diff(steps[:-1])).max() <= 10.0 * 0.01**2 + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_braking_paths_end_at_rest_inside_the_limits(seed):
    rng, limits = np.random.default_rng(seed), joints().limits
    start, speed = rng.uniform(-2, 2, 3), rng.uniform(-2, 2, 3)
    path = np.array([start, *braking_path(start, speed, limits, 0.01)])
    velocity = np.diff(path, axis=0) / 0.01
    assert (np.abs(path) <= 2.0).all()
    assert np.abs(np.diff(velocity, axis=0)).max() <= 2.0 + 1e-9  # at a limit it may stop at once
    assert len(path) <= 2.0 / (10.0 * 0.01) + 2


def test_stop_waits_for_nothing_and_close_is_final(make):
    rig = make()
    rig.send(0.1, 0.2, 0.3)
    with rig.robot._lock:  # somebody sends
        thread = threading.Thread(target=rig.robot.stop)
        thread.start()
        thread.join(5)
        assert not thread.is_alive() and rig.robot.is_stopped
    rig.robot.close()
    rig.robot.close()
    for call in (lambda: rig.send(0.1, 0.2, 0.3), rig.robot.reset_stop):
        with pytest.raises(RobotStopped, match="closed"):
            call()


def test_a_flood_of_messages_changes_nothing(make):
    rig = make(period_s=0.0005)
    rig.send(0.1, 0.2, 0.3)
    assert until(lambda: rig.robot.counts["new"] > 200)
    assert not rig.robot.is_stopped


# ---- what it says of itself, and feels -----------------------------------------------------------


def test_a_description_that_disagrees_is_one_clear_line_and_one_that_agrees_is_none(make):
    from hardware.bus import LATCHED
    from hardware.safety.description import describe

    for change, says in (({}, ""), ({"upper": (1.0,) * 3}, "j0 goes from -2 to 1, ours from -2 to 2")):
        rig = make(connect=False)
        out = rig.bus.publisher("std_msgs/msg/String", "robot_description", LATCHED)
        out.publish(rig.bus.message("std_msgs/msg/String", data=describe("other", joints(**change))))
        if not says:
            rig.robot.connect()
            rig.send(0.1, 0.2, 0.3)
            continue
        with pytest.raises(ConnectionError, match=says):
            rig.robot.connect()
        assert FaultKind.DESCRIPTION in {fault.kind for fault in rig.robot.faults()}


def test_a_wrench_is_sensed_whole(make):
    rig = make(interface(wrench_topic="ft"))
    assert rig.robot.state().external_wrench is None
    wrench = {"force": {"x": 3.0, "y": 0.0, "z": 4.0}, "torque": {"x": 0.1, "y": 0.2, "z": 0.3}}
    kind = "geometry_msgs/msg/WrenchStamped"
    rig.bus.publisher(kind, "ft").publish(rig.bus.message(kind, wrench=wrench))
    state = rig.robot.state()
    assert state.external_wrench == pytest.approx([3.0, 0.0, 4.0, 0.1, 0.2, 0.3])
    assert state.external_force_n == 5.0


# ---- the force that motions are guarded by ---------------------------------------------------------


def feel(rig, z=4.0):
    kind = "geometry_msgs/msg/WrenchStamped"
    wrench = {"force": {"x": 3.0, "y": 0.0, "z": z}, "torque": {"x": 0.0, "y": 0.0, "z": 0.0}}
    rig.bus.publisher(kind, "ft").publish(rig.bus.message(kind, wrench=wrench))


def test_a_wrench_that_falls_silent_is_a_latched_fault(make):
    rig = make(
        interface(wrench_topic="ft", watchdog=WatchdogConfig(max_state_age_s=0.3, max_stamp_age_s=0.3))
    )
    rig.send(0.1, 0.2, 0.3)  # never heard: the force is told to be unknown, and guards nothing
    feel(rig)
    assert until(lambda: rig.robot.is_stopped)
    assert rig.robot.latched[0].kind is FaultKind.STALE_WRENCH and "wrench ft" in str(rig.robot.latched[0])
    with pytest.raises(RobotStopped, match="wrench ft: last received"):
        rig.robot.reset_stop()
    feel(rig)
    rig.robot.reset_stop()


def test_a_wrench_that_is_no_number_is_a_fault(make):
    rig = make(interface(wrench_topic="ft"))
    rig.send(0.1, 0.2, 0.3)
    feel(rig, float("nan"))
    assert until(lambda: rig.robot.is_stopped)
    assert rig.robot.latched[0].kind is FaultKind.BAD_STATE and "ft: not finite" in str(rig.robot.latched[0])


# ---- what a stop sends, and what a reset asks ------------------------------------------------------


def test_velocity_commands_keep_the_filters_share_of_the_limits(make):
    config = RosRobotConfig(discovery_s=0.0, ready_s=0.1, velocity_share=0.1)
    rig = make(interface(kind="velocity"), config=config, follows=False)
    rig.send(0.1, 0.0, -2.0)
    assert list(rig.sent()[-1].data) == pytest.approx([0.2, 0.0, -0.2])  # 0.1 of 2 rad/s


def test_listeners_hear_what_braking_sends(make):
    rig, heard = make(), []
    rig.robot.on_sent(lambda joint_pos: heard.append(np.array(joint_pos)))
    for k in range(5):
        rig.send(0.01 * k, 0.0, 0.0)
    sent = len(heard)
    rig.robot.stop()
    assert until(lambda: len(heard) >= sent + 5)
    assert until(lambda: len(rig.sent()) == len(heard))
    assert np.asarray(rig.sent()[-1].data) == pytest.approx(heard[-1])


def test_a_listener_that_fails_does_not_keep_the_robot_from_braking(make):
    rig = make()

    def full(_):
        if rig.robot.is_stopped:
            raise OSError("No space left on device")

    rig.robot.on_sent(full)
    for k in range(1, 30):
        rig.send(0.01 * k, 0.0, 0.0)
        time.sleep(0.01)
    count = len(rig.sent())
    rig.robot.stop()
    assert until(lambda: rig.robot._braked.is_set())
    braking = [m.data[0] for m in rig.sent()[count:]]
    assert len(braking) > 5 and braking == sorted(braking) and braking[-1] == braking[-2]
    assert until(lambda: rig.robot.latched) and "No space left" in str(rig.robot.latched[0])


def test_a_reset_waits_until_it_is_braked(make, monkeypatch):
    rig = make()
    rig.send(0.1, 0.2, 0.3)
    monkeypatch.setattr("hardware.client.ros_robot._CANCEL_S", -0.9)
    hold = threading.Event()

    def brake():
        assert hold.wait(20.0)

    monkeypatch.setattr(rig.robot._outgoing, "brake", brake)
    rig.robot.stop()
    with pytest.raises(RobotStopped, match="not come to rest yet"):
        rig.robot.reset_stop()
    assert rig.robot.is_stopped
    hold.set()
    assert until(rig.robot._braked.is_set)
    rig.robot.reset_stop()


def test_a_reset_is_refused_while_a_trajectory_that_nobody_ended_still_moves(make, monkeypatch):
    rig = make()
    rig.robot.stop()
    rig.robot._unended = GoalsUnderWay(np.arange(3), lambda fault: None)
    for known, says in (
        (None, "not heard of"),
        ((np.zeros(3), np.array([0.0, -0.3, 0.0])), "j1 moves at -0.3"),
    ):
        monkeypatch.setattr(rig.robot._sensing, "if_known", lambda known=known: known)
        with pytest.raises(RobotStopped, match=says):
            rig.robot.reset_stop()
    monkeypatch.setattr(rig.robot._sensing, "if_known", lambda: (np.zeros(3), np.array([0.0, 0.01, 0.0])))
    rig.robot.reset_stop()
    assert not rig.robot.is_stopped
