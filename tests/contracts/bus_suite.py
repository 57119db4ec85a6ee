"""Conformance suite of the `Bus` contract. Every transport runs it:

    class TestMyBus(BusSuite):
        transport = "mine"  # for the peer in another process, see bus_peer.py

        @pytest.fixture
        def open_bus(self, domain):
            ...  # yield a function (node_name, **fields of BusConfig) -> Bus; close all buses after

Each test has a ROS domain of its own on loopback. Nothing depends on wall time: what is waited for has a
long deadline and is counted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hardware.bus import (
    CLOCK,
    COMMAND,
    LATCHED,
    RELIABLE,
    SENSOR,
    ActionHandlers,
    ActionResult,
    Bus,
    BusClosed,
    BusTimeout,
    ParameterSpec,
    QoS,
)
from tests.hardware.domains import free_domain

STRING = "std_msgs/msg/String"
JOINTS = "sensor_msgs/msg/JointState"
TRIGGER = "std_srvs/srv/Trigger"
SET_BOOL = "std_srvs/srv/SetBool"
GRIPPER = "control_msgs/action/GripperCommand"
SPECS = {
    "rate": ParameterSpec(100.0, "Rate [Hz].", minimum=1.0, maximum=1000.0),
    "joints.names": ParameterSpec(("a", "b"), "Names.", read_only=False),
    "speed": ParameterSpec(2, "Speed.", minimum=0, read_only=False),
    "is_armed": ParameterSpec(False, "Whether armed."),
}
DEADLINE_S = 20.0
PEER = Path(__file__).with_name("bus_peer.py")
ROOT = PEER.parents[2]


def until(condition, what="what was waited for"):
    """Wait until `condition()` holds; fail after a long time."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, f"{what} did not happen within {DEADLINE_S:.0f} s"
        time.sleep(0.002)


def random_domain():
    """Return a ROS domain that other tests do not use."""
    return free_domain()


class Inbox(list):
    """A callback that keeps what it gets."""

    def __call__(self, message, info=None):
        self.append((message, info))

    @property
    def messages(self):
        return [message for message, _ in self]

    @property
    def texts(self):
        return [message.data for message, _ in self]


def matched(publisher, *subscriptions):
    """Wait until a publisher and subscriptions know one another."""
    until(lambda: publisher.num_subscribers >= len(subscriptions), "a match")
    until(lambda: all(subscription.num_publishers >= 1 for subscription in subscriptions), "a match")


SAMPLES = {
    STRING: {"data": "grüße"},
    "std_msgs/msg/Empty": {},
    "std_msgs/msg/Bool": {"data": True},
    "std_msgs/msg/Float64MultiArray": {
        "layout": {"dim": [{"label": "joints", "size": 2, "stride": 2}]},
        "data": [1.5, -2.5],
    },
    JOINTS: {
        "header": {"stamp": {"sec": 12, "nanosec": 34}, "frame_id": "base"},
        "name": ["a", "b"],
        "position": [0.25, -1.0],
        "velocity": [],
        "effort": np.array([3.0, 4.0]),
    },
    "sensor_msgs/msg/Image": {
        "height": 2,
        "width": 3,
        "encoding": "rgb8",
        "step": 9,
        "data": np.arange(18, dtype=np.uint8),
    },
    "sensor_msgs/msg/CameraInfo": {"height": 2, "width": 3, "k": np.eye(3).ravel(), "d": [0.1] * 5},
    "trajectory_msgs/msg/JointTrajectory": {
        "joint_names": ["a"],
        "points": [
            {"positions": [0.5], "time_from_start": {"sec": 1}},
            {"positions": [1.0], "velocities": [0.0], "time_from_start": {"sec": 2, "nanosec": 5}},
        ],
    },
    "tf2_msgs/msg/TFMessage": {
        "transforms": [
            {
                "child_frame_id": "tool",
                "transform": {"translation": {"x": 1.0}, "rotation": {"z": 1.0, "w": 0.0}},
            }
        ]
    },
    "diagnostic_msgs/msg/DiagnosticArray": {
        "status": [{"name": "arm", "message": "ok", "values": [{"key": "temperature", "value": "31"}]}]
    },
    "control_msgs/msg/JointTrajectoryControllerState": {
        "joint_names": ["a"],
        "reference": {"positions": [0.5]},
        "feedback": {"positions": [0.25]},
    },
}
"""Fields of one message of each kind that crosses the bus in the tests."""


def same(a, b):
    """Return whether two values of a field are equal; numbers in sequences may be of any container."""
    if hasattr(a, "__slots__") or hasattr(b, "__slots__"):
        names = fields_of(a)
        return names == fields_of(b) and all(same(getattr(a, name), getattr(b, name)) for name in names)
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    if np.ndim(a) or isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def fields_of(message):
    """Return the names of a message's fields."""
    return [name.removeprefix("_") for name in message.__slots__ if name != "_check_fields"]


class Peer:
    """Another process on the bus, see bus_peer.py."""

    def __init__(self, transport, domain):
        command = [sys.executable, str(PEER), transport, str(domain)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_S)

    def end(self):
        """Have it close its bus; return its exit status."""
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode


class BusSuite:
    """What every transport must do."""

    transport: str

    @pytest.fixture
    def domain(self):
        return random_domain()

    @pytest.fixture
    def open_bus(self, domain):
        raise NotImplementedError

    @pytest.fixture
    def pair(self, open_bus):
        """Two started nodes."""
        a, b = open_bus("a"), open_bus("b")
        a.start()
        b.start()
        return a, b

    @pytest.fixture
    def peer(self, domain):
        """A process that echoes, serves and executes."""
        peer = Peer(self.transport, domain)
        yield peer
        if peer.process.poll() is None:
            peer.end()

    # ---- messages -----------------------------------------------------------------------------

    def test_is_a_bus(self, open_bus):
        assert isinstance(open_bus("a"), Bus)

    def test_message_has_the_defaults_of_ros_and_takes_nested_dicts(self, open_bus):
        bus = open_bus("a")
        joints = bus.message(JOINTS)
        assert joints.header.frame_id == "" and len(joints.position) == 0 and joints.header.stamp.sec == 0
        assert bus.message("geometry_msgs/msg/Pose").orientation.w == 1.0
        pose = bus.message("geometry_msgs/msg/PoseStamped", pose={"position": {"x": 2.0}})
        assert pose.pose.position.x == 2.0 and pose.pose.orientation.w == 1.0
        time_ = bus.message("builtin_interfaces/msg/Time", sec=3)
        assert bus.message("std_msgs/msg/Header", stamp=time_).stamp.sec == 3

    def test_unknown_type_and_field_are_refused_and_near_names_listed(self, open_bus):
        bus = open_bus("a")
        with pytest.raises(ValueError, match="sensor_msgs/msg/JointState"):
            bus.message("sensor_msgs/msg/JointStates")
        with pytest.raises(ValueError, match=r"positions.*position"):
            bus.message(JOINTS, positions=[1.0])
        with pytest.raises(ValueError, match="frame"):
            bus.message(JOINTS, header={"frame": "base"})
        with pytest.raises(ValueError, match="Trigge"):
            bus.client("std_srvs/srv/Trigge", "/t")

    def test_constants(self, open_bus):
        bus = open_bus("a")
        assert bus.constants("action_msgs/msg/GoalStatus")["STATUS_SUCCEEDED"] == 4
        assert bus.constants("control_msgs/action/FollowJointTrajectory_Result")["INVALID_JOINTS"] == -2

    @pytest.mark.parametrize("type_name", SAMPLES)
    def test_message_arrives_as_sent(self, pair, type_name):
        a, b = pair
        inbox = Inbox()
        subscription = b.subscribe(type_name, "/topic", inbox)
        publisher = a.publisher(type_name, "/topic")
        matched(publisher, subscription)
        sent = a.message(type_name, **SAMPLES[type_name])
        publisher.publish(sent)
        until(lambda: inbox, "a message")
        assert same(inbox.messages[0], sent)
        assert subscription.num_invalid == 0

    @pytest.mark.parametrize("type_name", SAMPLES)
    def test_serialized_messages_are_cdr(self, open_bus, type_name):
        typesys = pytest.importorskip("rosbags.typesys", reason="needs rosbags: pip install 'habilis[ros]'")
        bus = open_bus("a")
        message = bus.message(type_name, **SAMPLES[type_name])
        sample = bytes(bus.serialize(type_name, message))
        assert sample[:4] == b"\x00\x01\x00\x00"
        store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
        if type_name in store.fielddefs:
            expected = bytes(store.serialize_cdr(store.deserialize_cdr(sample, type_name), type_name))
            assert sample[: len(expected)] == expected
        with pytest.raises(ValueError):
            bus.serialize("geometry_msgs/msg/Pose", message)

    def test_wrong_messages_are_refused_and_nothing_is_sent(self, pair):
        a, b = pair
        inbox = Inbox()
        publisher = a.publisher(JOINTS, "/joints")
        matched(publisher, b.subscribe(JOINTS, "/joints", inbox))
        with pytest.raises(ValueError):
            publisher.publish(a.message(STRING))
        bad_fields = [
            {"position": ["x"]},
            {"position": 1.0},
            {"position": [[1.0], [2.0]]},
            {"name": "abc"},
            {"name": [1]},
            {"header": {"frame_id": 3}},
            {"header": {"stamp": {"sec": 1.5}}},
            {"header": {"stamp": {"sec": 2**40}}},
        ]
        for fields in bad_fields:
            with pytest.raises(ValueError):
                publisher.publish(a.message(JOINTS, **fields))
        publisher.publish(a.message(JOINTS, name=["good"]))
        until(lambda: inbox)
        assert [list(message.name) for message in inbox.messages] == [["good"]]

    # ---- topics -------------------------------------------------------------------------------

    def test_order_is_kept_and_nothing_reliable_is_lost(self, pair):
        a, b = pair
        inbox = Inbox()
        publisher = a.publisher(STRING, "/s", QoS(depth=1000))
        matched(publisher, b.subscribe(STRING, "/s", inbox, QoS(depth=1000)))
        for i in range(500):
            publisher.publish(a.message(STRING, data=str(i)))
        until(lambda: len(inbox) >= 500)
        assert inbox.texts == [str(i) for i in range(500)]

    def test_info_tells_publishers_apart(self, pair):
        a, b = pair
        inbox = Inbox()
        first, second = a.publisher(STRING, "/s"), a.publisher(STRING, "/s")
        subscription = b.subscribe(STRING, "/s", inbox)
        until(lambda: subscription.num_publishers == 2)
        matched(first, subscription)
        matched(second, subscription)
        for publisher, text in ((first, "1"), (second, "2"), (first, "1")):
            publisher.publish(a.message(STRING, data=text))
        until(lambda: len(inbox) == 3)
        names = {}
        for message, info in inbox:
            names.setdefault(message.data, set()).add(info.publisher)
            assert info.source_ns > 0
        assert len(names["1"]) == len(names["2"]) == 1 and names["1"] != names["2"]
        received = [info.received_s for _, info in inbox]
        assert received == sorted(received) and received[-1] <= time.monotonic()

    def test_late_joiner_gets_what_is_latched_and_nothing_else(self, open_bus):
        a = open_bus("a")
        latched = a.publisher(STRING, "/latched", QoS(depth=2, latched=True))
        volatile = a.publisher(STRING, "/volatile")
        for i in range(4):
            latched.publish(a.message(STRING, data=str(i)))
            volatile.publish(a.message(STRING, data=str(i)))
        b = open_bus("b")
        kept, fresh = Inbox(), Inbox()
        matched(volatile, b.subscribe(STRING, "/volatile", fresh))
        b.subscribe(STRING, "/latched", kept, QoS(depth=2, latched=True))
        b.start()
        until(lambda: len(kept) == 2)
        volatile.publish(a.message(STRING, data="new"))
        until(lambda: fresh)
        assert kept.texts == ["2", "3"] and fresh.texts == ["new"]

    def test_reliability_matches_as_in_ros(self, pair):
        a, b = pair
        best, reliable, refused = Inbox(), Inbox(), Inbox()
        strong = a.publisher(STRING, "/strong", RELIABLE)
        weak = a.publisher(STRING, "/weak", SENSOR)
        matched(strong, b.subscribe(STRING, "/strong", best, SENSOR))
        matched(weak, b.subscribe(STRING, "/weak", reliable, SENSOR))
        wants_reliable = b.subscribe(STRING, "/weak", refused, RELIABLE)
        strong.publish(a.message(STRING, data="x"))
        weak.publish(a.message(STRING, data="y"))
        until(lambda: best and reliable)
        assert best.texts == ["x"] and reliable.texts == ["y"]
        assert wants_reliable.num_publishers == 0 and not refused and weak.num_subscribers == 1

    def test_only_the_newest_are_kept_for_who_is_slow(self, open_bus):
        a, b = open_bus("a"), open_bus("b")
        last, two = Inbox(), Inbox()
        publisher = a.publisher(STRING, "/s", QoS(depth=10))
        matched(
            publisher, b.subscribe(STRING, "/s", last, COMMAND), b.subscribe(STRING, "/s", two, QoS(depth=2))
        )
        marks = Inbox()
        done = a.publisher(STRING, "/done")
        matched(done, b.subscribe(STRING, "/done", marks))
        for i in range(5):
            publisher.publish(a.message(STRING, data=str(i)))
        time.sleep(0.2)  # nothing spins: all five have arrived or been replaced by then
        b.start()
        done.publish(a.message(STRING))
        until(lambda: marks and last and two)
        assert last.texts == ["4"] and two.texts == ["3", "4"]

    def test_closed_publishers_and_subscriptions_are_gone(self, pair):
        a, b = pair
        inbox = Inbox()
        publisher = a.publisher(STRING, "/s")
        first, second = b.subscribe(STRING, "/s", inbox), b.subscribe(STRING, "/s", Inbox())
        matched(publisher, first, second)
        first.close()
        first.close()
        until(lambda: publisher.num_subscribers == 1)
        publisher.publish(a.message(STRING))
        publisher.close()
        publisher.close()
        until(lambda: second.num_publishers == 0)
        with pytest.raises(BusClosed):
            publisher.publish(a.message(STRING))
        assert not inbox

    def test_namespace_private_names_and_remapping(self, open_bus):
        a = open_bus("arm", namespace="/left/cell", remap={"joints": "/all/joints", "/absolute": "renamed"})
        b = open_bus("b")
        assert a.publisher(STRING, "s").topic == "/left/cell/s"
        assert a.publisher(STRING, "/s").topic == "/s"
        assert a.publisher(STRING, "~/s").topic == "/left/cell/arm/s"
        assert a.publisher(STRING, "/absolute").topic == "/left/cell/renamed"
        remapped = a.publisher(STRING, "joints")
        inbox = Inbox()
        subscription = b.subscribe(STRING, "all/joints", inbox)
        assert remapped.topic == subscription.topic == "/all/joints"
        b.start()
        matched(remapped, subscription)
        remapped.publish(a.message(STRING, data="x"))
        until(lambda: inbox)

    @pytest.mark.parametrize("name", ["", "/", "a//b", "a/", "1a", "a b", "a-b", "a__b"])
    def test_names_that_ros_refuses_are_refused(self, open_bus, name):
        with pytest.raises(ValueError):
            open_bus("a").publisher(STRING, name)

    # ---- threads ------------------------------------------------------------------------------

    def test_one_group_is_serial_and_groups_are_concurrent(self, pair):
        a, b = pair
        both = threading.Barrier(2, timeout=DEADLINE_S)
        running, most, done = [0], [0], Inbox()

        def one_of_a_group(message, info):
            running[0] += 1
            most[0] = max(most[0], running[0])
            time.sleep(0.001)
            running[0] -= 1
            done(message)

        x, y = a.publisher(STRING, "/x"), a.publisher(STRING, "/y")
        matched(x, b.subscribe(STRING, "/x", one_of_a_group), b.subscribe(STRING, "/x", one_of_a_group))
        matched(y, b.subscribe(STRING, "/y", lambda m, i: both.wait(), group="g"))
        b.subscribe(STRING, "/y", lambda m, i: both.wait(), group="h")
        until(lambda: y.num_subscribers == 2)
        for _ in range(5):
            x.publish(a.message(STRING))
        y.publish(a.message(STRING))
        until(lambda: len(done) == 10)
        until(lambda: both.n_waiting == 0 and not both.broken)
        assert most[0] == 1

    def test_timer_ticks_skips_what_it_missed_and_ends(self, open_bus):
        bus = open_bus("a")
        ticks, slow = [], []

        def tick():
            ticks.append(time.monotonic())

        def late():
            slow.append(time.monotonic())
            time.sleep(0.055)

        timer = bus.timer(0.01, tick)
        bus.timer(0.02, late, group="slow")
        time.sleep(0.05)
        assert not ticks  # nothing spins yet
        bus.start()
        until(lambda: len(ticks) >= 20 and len(slow) >= 4)
        timer.close()
        timer.close()
        time.sleep(0.02)
        count, busy = len(ticks), len(slow)
        until(lambda: len(slow) >= busy + 2)
        assert len(ticks) == count
        # Each late call takes 55 ms, so two of three periods are skipped: never two calls within 40 ms.
        assert min(np.diff(slow)) > 0.04
        with pytest.raises(ValueError):
            bus.timer(0.0, tick)

    def test_error_of_a_callback_ends_spinning_and_is_raised(self, open_bus):
        bus = open_bus("a")

        def fail():
            raise LookupError("from a callback")

        bus.timer(0.01, fail)
        with pytest.raises(LookupError, match="from a callback"):
            bus.spin(DEADLINE_S)
        bus.close()

    def test_error_of_a_callback_is_raised_by_close(self, open_bus):
        a, b = open_bus("a"), open_bus("b")
        failed = threading.Event()

        def fail(message, info):
            failed.set()
            raise LookupError(message.data)

        publisher = a.publisher(STRING, "/s")
        matched(publisher, b.subscribe(STRING, "/s", fail))
        b.start()
        publisher.publish(a.message(STRING, data="bad news"))
        assert failed.wait(DEADLINE_S)
        with pytest.raises(LookupError, match="bad news"):
            b.close()

    def test_spin_returns_after_its_time_and_when_closed(self, open_bus):
        bus = open_bus("a")
        bus.spin(0.01)
        threading.Timer(0.05, bus.close).start()
        bus.spin(DEADLINE_S)
        with pytest.raises(BusClosed):
            bus.publisher(STRING, "/s")

    def test_close_is_idempotent_from_any_thread_and_leaves_none_behind(self, open_bus):
        before = set(threading.enumerate())
        bus = open_bus("a")
        closed = threading.Event()

        def close():
            bus.close()
            closed.set()

        bus.service(TRIGGER, "/t", lambda request: bus.message(f"{TRIGGER}_Response"))
        bus.action_server(GRIPPER, "/g", ActionHandlers(lambda goal: True, lambda goal: None))
        bus.subscribe(STRING, "/s", Inbox(), group="g")
        bus.client(TRIGGER, "/t")
        publisher = bus.publisher(STRING, "/s")
        message = bus.message(STRING)
        bus.timer(0.01, close)
        bus.start()
        assert closed.wait(DEADLINE_S)
        threads = [threading.Thread(target=bus.close) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        with pytest.raises(BusClosed):
            publisher.publish(message)
        with pytest.raises(BusClosed):
            bus.start()
        until(lambda: set(threading.enumerate()) <= before, "the end of all threads")

    # ---- services -----------------------------------------------------------------------------

    def test_service_answers_and_many_may_ask_at_once(self, pair):
        a, b = pair

        def answer(request):
            return a.message(f"{SET_BOOL}_Response", success=not request.data, message=str(request.data))

        service = a.service(SET_BOOL, "/negate", answer)
        clients = [b.client(SET_BOOL, "/negate") for _ in range(2)]
        assert all(client.wait(DEADLINE_S) for client in clients)
        wrong = []

        def ask(client, value):
            for _ in range(20):
                response = client.call(b.message(f"{SET_BOOL}_Request", data=value), DEADLINE_S)
                if (response.success, response.message) != (not value, str(value)):
                    wrong.append(response)

        threads = [
            threading.Thread(target=ask, args=(client, value))
            for client in clients
            for value in (True, False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
        assert not wrong
        service.close()
        service.close()

    def test_service_may_be_called_from_a_callback_of_another_group(self, pair):
        a, b = pair
        a.service(TRIGGER, "/t", lambda request: a.message(f"{TRIGGER}_Response", message="done"))
        client = b.client(TRIGGER, "/t")
        inbox = Inbox()

        def ask(message, info):
            inbox(client.call(b.message(f"{TRIGGER}_Request"), DEADLINE_S))

        publisher = a.publisher(STRING, "/go")
        matched(publisher, b.subscribe(STRING, "/go", ask, group="asking"))
        publisher.publish(a.message(STRING))
        until(lambda: inbox)
        assert inbox.messages[0].message == "done"

    def test_unserved_and_slow_services_time_out(self, pair):
        a, b = pair
        client = b.client(TRIGGER, "/t")
        request = b.message(f"{TRIGGER}_Request")
        assert client.wait(0.01) is False
        with pytest.raises(BusTimeout, match="/t"):
            client.call(request, 0.01)
        release = threading.Event()

        def slow(request):
            release.wait(DEADLINE_S)
            return a.message(f"{TRIGGER}_Response", message="late")

        a.service(TRIGGER, "/t", slow)
        assert client.wait(DEADLINE_S)
        with pytest.raises(BusTimeout, match="/t"):
            client.call(request, 0.05)
        release.set()
        assert client.call(request, DEADLINE_S).message == "late"
        with pytest.raises(ValueError):
            client.call(b.message(STRING), DEADLINE_S)

    def test_close_ends_calls_that_wait(self, pair):
        a, b = pair
        asked, release = threading.Event(), threading.Event()

        def never(request):
            asked.set()
            release.wait(DEADLINE_S)
            return a.message(f"{TRIGGER}_Response")

        a.service(TRIGGER, "/t", never)
        client = b.client(TRIGGER, "/t")
        errors = []

        def ask():
            try:
                client.call(b.message(f"{TRIGGER}_Request"), DEADLINE_S)
            except BusClosed as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(DEADLINE_S)
        b.close()
        thread.join(DEADLINE_S)
        release.set()
        assert len(errors) == 1

    # ---- actions ------------------------------------------------------------------------------

    @pytest.fixture
    def gripper(self, pair):
        """An action that closes in three steps, each reported; a goal waits for `go` after the first.

        Effort below 0 is rejected, position 1 is aborted, effort 99 cannot be cancelled.
        """
        a, b = pair
        go = threading.Event()

        def execute(goal):
            wanted = goal.goal.command.position
            result = a.message(f"{GRIPPER}_Result", position=wanted, reached_goal=True)
            assert len(goal.goal_id) == 16
            for step in range(3):
                goal.feedback(a.message(f"{GRIPPER}_Feedback", position=wanted * (step + 1) / 3))
                while not go.is_set() and not goal.cancel.wait(0.002):
                    pass
                if goal.cancel.is_set():
                    send.num_canceled += 1
                    return ActionResult("canceled", a.message(f"{GRIPPER}_Result", position=step))
            return ActionResult("aborted" if wanted == 1.0 else "succeeded", result)

        handlers = ActionHandlers(
            accept=lambda goal: goal.command.max_effort >= 0,
            execute=execute,
            accept_cancel=lambda goal: goal.goal.command.max_effort != 99.0,
        )
        a.action_server(GRIPPER, "gripper", handlers)
        client = b.action_client(GRIPPER, "/gripper")
        assert client.wait(DEADLINE_S)

        def send(position, effort=0.0, on_feedback=None):
            goal = b.message(f"{GRIPPER}_Goal", command={"position": position, "max_effort": effort})
            return client.send_goal(goal, DEADLINE_S, on_feedback)

        send.go, send.num_canceled = go, 0
        return send

    def test_action_reports_and_succeeds(self, gripper):
        feedback = Inbox()
        handle = gripper(0.75, on_feedback=feedback)
        assert handle.is_accepted
        with pytest.raises(BusTimeout):
            handle.result(0.01)
        gripper.go.set()
        outcome = handle.result(DEADLINE_S)
        assert (
            outcome.status == "succeeded" and outcome.result.position == 0.75 and outcome.result.reached_goal
        )
        until(lambda: len(feedback) == 3)
        assert [message.position for message in feedback.messages] == [0.25, 0.5, 0.75]
        assert handle.result(DEADLINE_S) == outcome
        assert handle.cancel(DEADLINE_S) is False  # too late

    def test_action_rejects(self, gripper):
        handle = gripper(0.5, effort=-1.0)
        assert not handle.is_accepted
        assert handle.result(DEADLINE_S) == ActionResult("rejected", None)

    def test_action_aborts(self, gripper):
        gripper.go.set()
        assert gripper(1.0).result(DEADLINE_S).status == "aborted"

    def test_action_is_cancelled_unless_the_server_refuses(self, gripper):
        handle, stubborn = gripper(0.5), gripper(0.5, effort=99.0)
        assert stubborn.cancel(DEADLINE_S) is False
        assert handle.cancel(DEADLINE_S) is True
        assert handle.result(DEADLINE_S).status == "canceled"
        gripper.go.set()
        assert stubborn.result(DEADLINE_S).status == "succeeded"

    def test_goals_run_side_by_side_and_get_their_own_feedback(self, gripper):
        inboxes = [Inbox(), Inbox()]
        handles = [
            gripper(value, on_feedback=inbox) for value, inbox in zip((0.3, 0.6), inboxes, strict=True)
        ]
        gripper.go.set()
        assert [handle.result(DEADLINE_S).result.position for handle in handles] == [0.3, 0.6]
        until(lambda: all(len(inbox) == 3 for inbox in inboxes))
        assert [inbox.messages[-1].position for inbox in inboxes] == pytest.approx([0.3, 0.6])

    def test_action_status_is_latched(self, gripper, pair):
        gripper.go.set()
        gripper(0.5).result(DEADLINE_S)
        inbox = Inbox()
        pair[1].subscribe("action_msgs/msg/GoalStatusArray", "/gripper/_action/status", inbox, LATCHED)
        until(lambda: inbox and inbox.messages[-1].status_list[0].status == 4, "status SUCCEEDED")

    def test_closing_the_server_cancels_its_goals(self, gripper, pair):
        assert gripper(0.5).is_accepted
        pair[0].close()
        assert gripper.num_canceled == 1

    def test_a_goal_may_close_its_own_bus(self, pair):
        a, b = pair
        closed = threading.Event()

        def execute(goal):
            a.close()
            closed.set()
            return ActionResult("succeeded", a.message(f"{GRIPPER}_Result"))

        a.action_server(GRIPPER, "/last", ActionHandlers(lambda goal: True, execute))
        client = b.action_client(GRIPPER, "/last")
        assert client.wait(DEADLINE_S)
        assert client.send_goal(b.message(f"{GRIPPER}_Goal"), DEADLINE_S).is_accepted
        assert closed.wait(DEADLINE_S)

    def test_error_of_execute_ends_spinning(self, pair):
        a, b = pair

        def execute(goal):
            raise LookupError("hand lost")

        a.action_server(GRIPPER, "/broken", ActionHandlers(lambda goal: True, execute))
        client = b.action_client(GRIPPER, "/broken")
        assert client.wait(DEADLINE_S)
        assert client.send_goal(b.message(f"{GRIPPER}_Goal"), DEADLINE_S).is_accepted
        with pytest.raises(LookupError, match="hand lost"):
            a.spin(DEADLINE_S)

    def test_unserved_action_times_out(self, pair):
        client = pair[1].action_client(GRIPPER, "/nobody")
        assert client.wait(0.01) is False
        with pytest.raises(BusTimeout):
            client.send_goal(pair[1].message(f"{GRIPPER}_Goal"), 0.01)

    # ---- time, graph, parameters --------------------------------------------------------------

    def test_ros_time_is_the_systems_or_that_of_clock_even_backwards(self, open_bus):
        a, b = open_bus("a"), open_bus("b", use_sim_time=True)
        before = time.time_ns()
        assert before <= a.now_ns() <= time.time_ns()
        b.start()
        assert b.now_ns() == 0
        clock = a.publisher("rosgraph_msgs/msg/Clock", "/clock", CLOCK)
        until(lambda: clock.num_subscribers >= 1)
        for sec, nanosec in ((5, 250_000_000), (7, 0), (2, 1)):
            clock.publish(a.message("rosgraph_msgs/msg/Clock", clock={"sec": sec, "nanosec": nanosec}))
            until(lambda want=sec * 10**9 + nanosec: b.now_ns() == want, f"time {sec}.{nanosec}")

    def test_nodes_know_one_another(self, open_bus):
        a, b = open_bus("a"), open_bus("b", namespace="/x/y")
        for bus in (a, b):
            until(lambda bus=bus: {"/a", "/x/y/b"} <= set(bus.node_names()))
        b.close()
        until(lambda: "/x/y/b" not in a.node_names(), "the end of a node")

    def test_parameters_come_from_the_configuration_or_their_defaults(self, open_bus):
        bus = open_bus("a", parameters={"rate": 50, "joints.names": ["x"]})
        values = bus.declare(SPECS)
        assert values["rate"] == 50.0 and isinstance(values["rate"], float)
        assert (
            tuple(values["joints.names"]) == ("x",) and values["speed"] == 2 and values["is_armed"] is False
        )

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"rate": "fast"}, "rate"),
            ({"rate": 0.5}, "at least 1.0"),
            ({"rate": float("nan")}, "rate"),
            ({"rate": 2000.0}, "at most 1000.0"),
            ({"speed": 1.5}, "speed"),
            ({"is_armed": 1}, "is_armed"),
            ({"joints.names": [1, 2]}, "joints.names"),
        ],
    )
    def test_parameters_that_do_not_fit_are_refused(self, open_bus, given, message):
        with pytest.raises(ValueError, match=message):
            open_bus("a", parameters=given).declare(SPECS)

    def test_configured_parameters_that_nobody_declares_are_refused(self, open_bus):
        bus = open_bus("a", parameters={"rat": 1.0})
        bus.declare(SPECS)
        with pytest.raises(ValueError, match=r"rat'.*rate"):
            bus.start()

    def test_parameters_are_served_as_ros2_param_asks(self, pair):
        a, b = pair
        values = a.declare(SPECS)
        kind = "rcl_interfaces/srv"

        def ask(service, name, **fields):
            client = b.client(f"{kind}/{service}", f"/a/{name}")
            return client.call(b.message(f"{kind}/{service}_Request", **fields), DEADLINE_S)

        assert set(SPECS) <= set(ask("ListParameters", "list_parameters").result.names)
        assert ask("ListParameters", "list_parameters", prefixes=["joints"]).result.names == ["joints.names"]
        rate, missing = ask("GetParameters", "get_parameters", names=["rate", "missing"]).values
        assert (rate.type, rate.double_value, missing.type) == (3, 100.0, 0)
        (description,) = ask("DescribeParameters", "describe_parameters", names=["rate"]).descriptors
        assert description.description == "Rate [Hz]." and description.read_only
        assert description.floating_point_range[0].to_value == 1000.0
        assert list(ask("GetParameterTypes", "get_parameter_types", names=["speed"]).types) == [2]
        changes = [
            {"name": "speed", "value": {"type": 2, "integer_value": 7}},
            {"name": "rate", "value": {"type": 3, "double_value": 7.0}},
            {"name": "speed", "value": {"type": 2, "integer_value": -1}},
            {"name": "joints.names", "value": {"type": 9, "string_array_value": ["z"]}},
            {"name": "nothing", "value": {"type": 2, "integer_value": 1}},
        ]
        results = ask("SetParameters", "set_parameters", parameters=changes).results
        assert [result.successful for result in results] == [True, False, False, True, False]
        assert "read-only" in results[1].reason
        assert values["speed"] == 7 and values["rate"] == 100.0 and tuple(values["joints.names"]) == ("z",)

    # ---- processes ----------------------------------------------------------------------------

    def test_two_processes(self, peer, open_bus):
        bus = open_bus("a")
        echoes = Inbox()
        publisher = bus.publisher(JOINTS, "/ping")
        matched(publisher, bus.subscribe(JOINTS, "/pong", echoes))
        bus.start()
        for i in range(20):
            publisher.publish(bus.message(JOINTS, name=[f"j{i}"], position=[float(i)]))
            until(lambda i=i: len(echoes) == i + 1, "an echo")
        assert [float(message.position[0]) for message in echoes.messages] == [float(i) for i in range(20)]
        response = bus.client(TRIGGER, "/serve").call(bus.message(f"{TRIGGER}_Request"), DEADLINE_S)
        assert response.success and response.message == "served by peer"
        client = bus.action_client(GRIPPER, "/act")
        assert client.wait(DEADLINE_S)
        feedback = Inbox()
        goal = bus.message(f"{GRIPPER}_Goal", command={"position": 0.5})
        handle = client.send_goal(goal, DEADLINE_S, feedback)
        assert handle.result(DEADLINE_S).status == "succeeded"
        until(lambda: feedback)
        until(lambda: "/peer" in bus.node_names())
        assert peer.end() == 0
        until(lambda: "/peer" not in bus.node_names())

    def test_a_peer_that_was_killed_may_return(self, peer, open_bus, domain):
        bus = open_bus("a")
        echoes = Inbox()
        publisher = bus.publisher(STRING, "/text")
        bus.subscribe(STRING, "/text_echo", echoes)
        bus.start()
        matched(publisher)
        until(lambda: publisher.num_subscribers >= 1)
        peer.kill()
        for _ in range(50):
            publisher.publish(bus.message(STRING, data="lost"))  # nobody hears; nothing blocks or raises
        second = Peer(self.transport, domain)
        try:

            def is_heard():
                publisher.publish(bus.message(STRING, data="again"))
                time.sleep(0.02)
                return "again" in echoes.texts

            until(is_heard, "an echo of the second peer")
        finally:
            second.end()
