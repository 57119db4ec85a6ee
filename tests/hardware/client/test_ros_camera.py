"""A camera served over DDS and seen by `RosCamera`; what is stale or does not fit together is said."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed (extra `ros`)")

from hardware.bus import BusConfig
from hardware.client.ros_camera import RosCamera, RosCameraConfig, StaleCamera
from hardware.client.transforms import NoTransform, TransformBuffer
from hardware.ros.conversions import stamp_ns, transform_fields
from hardware.ros.images import camera_info_fields, image_fields, points_from
from hardware.server.cameras import CameraServer, CameraServerConfig
from hardware.transports import open_bus
from perception_tools.geometry import Transform
from tests.contracts.camera_suite import CameraSuite
from tests.hardware.domains import free_domain
from tests.perception_tools.raycast import Solid, render, scene_camera, sphere_sdf

BALL = np.array([0.5, 0.05, 0.04])
FRAME, _ = render([Solid(sphere_sdf(0.04), (0.5, 0.05, 0.0))], camera=scene_camera(320, 240), noise_m=0.0005)
CONFIG = RosCameraConfig(
    "scene", "scene/image_raw", "scene/depth/image_rect_raw", "scene/camera_info", linger_s=0.2
)


class StillCamera:
    """Shows the same picture, taken now."""

    name = "scene"

    def capture(self):
        return replace(FRAME, rgb=FRAME.rgb.copy(), stamp_s=time.monotonic())


class Wire:
    """Two nodes: one that has the camera, one that sees it."""

    def __init__(self):
        domain = free_domain()
        self.sender = open_bus("dds", BusConfig(node_name="sender", domain_id=domain))
        self.bus = open_bus("dds", BusConfig(node_name="receiver", domain_id=domain))
        self.transforms = TransformBuffer(self.bus)
        self.sender.start()
        self.bus.start()

    def serve(self, **settings):
        def stamp(time_s):
            return self.sender.now_ns() - round((time.monotonic() - time_s) * 1e9)

        return CameraServer(self.sender, StillCamera(), stamp, CameraServerConfig(rate_hz=20.0, **settings))

    def camera(self, **changes):
        return RosCamera(self.bus, replace(CONFIG, **changes), self.transforms, time.monotonic)

    def close(self):
        self.bus.close()
        self.sender.close()


@pytest.fixture
def wire():
    wire = Wire()
    yield wire
    wire.close()


class TestServedCamera(CameraSuite):
    @pytest.fixture(params=["32FC1", "16UC1"])
    def camera(self, wire, request):
        server = wire.serve(depth_encoding=request.param)
        camera = wire.camera()
        yield camera
        camera.close()
        server.close()

    @pytest.fixture
    def plane_z_m(self):
        return 0.0

    @pytest.fixture
    def landmark(self):
        return BALL, 0.04


def until(condition, seconds=10.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.01)


def test_the_picture_is_the_one_that_was_taken(wire):
    wire.serve()
    before_s = time.monotonic()
    frame = wire.camera().capture()
    assert (frame.rgb == FRAME.rgb).all() and (frame.depth_m == FRAME.depth_m).all()
    assert frame.intrinsics == FRAME.intrinsics
    np.testing.assert_allclose(frame.T_world_camera.matrix, FRAME.T_world_camera.matrix, atol=1e-12)
    assert before_s - 1e-3 <= frame.stamp_s <= time.monotonic() + 1e-3


def test_every_capture_is_newer_than_its_call(wire):
    wire.serve()
    camera = wire.camera()
    for _ in range(5):
        asked_s = time.monotonic()
        assert camera.capture().stamp_s >= asked_s - 1e-3


def test_pictures_are_made_only_while_somebody_listens(wire):
    server = wire.serve()
    wire.camera().capture()
    taken = []

    def is_at_rest():
        taken.append(server.num_frames)
        return len(taken) > 30 and taken[-1] == taken[-30]  # 0.3 s: six periods

    until(lambda: server.num_frames >= 1)  # it is counted after it was sent
    until(is_at_rest)


def test_the_cloud_is_where_the_depth_is(wire):
    wire.serve()
    clouds: list = []
    wire.bus.subscribe("sensor_msgs/msg/PointCloud2", "scene/points", lambda m, _: clouds.append(m))
    until(lambda: clouds)
    points, colors = points_from(clouds[0])
    z = (FRAME.T_world_camera.rotation @ points.T.astype(float)).T[:, 2] + FRAME.T_world_camera.position_m[2]
    assert len(points) == (FRAME.depth_m > 0).sum() and abs(np.median(z)) < 0.002
    assert colors is not None and (colors == FRAME.rgb[FRAME.depth_m > 0]).all()


def test_a_camera_without_depth(wire):
    wire.serve()
    assert wire.camera(depth_topic="").capture().depth_m is None


# ---- what goes wrong ----------------------------------------------------------------------------


def send(wire, stamp, *, rgb=FRAME.rgb, depth=FRAME.depth_m, pose=True, d=()):
    """Publish one set of messages again and again until the test ends; `stamp()` is their time [ns]."""
    image = wire.sender.publisher("sensor_msgs/msg/Image", CONFIG.image_topic)
    depths = wire.sender.publisher("sensor_msgs/msg/Image", CONFIG.depth_topic)
    info = wire.sender.publisher("sensor_msgs/msg/CameraInfo", CONFIG.info_topic)
    tf = wire.sender.publisher("tf2_msgs/msg/TFMessage", "/tf")

    def tick():
        now_ns = stamp()
        if pose:
            T = Transform(FRAME.T_world_camera.matrix, "world", "lens")
            tf.publish(
                wire.sender.message("tf2_msgs/msg/TFMessage", transforms=[transform_fields(T, now_ns)])
            )
        fields = camera_info_fields(FRAME.intrinsics, now_ns, "lens") | ({"d": list(d)} if d else {})
        info.publish(wire.sender.message("sensor_msgs/msg/CameraInfo", **fields))
        depths.publish(
            wire.sender.message("sensor_msgs/msg/Image", **image_fields(depth, "32FC1", now_ns, "lens"))
        )
        image.publish(
            wire.sender.message("sensor_msgs/msg/Image", **image_fields(rgb, "rgb8", now_ns, "lens"))
        )

    wire.sender.timer(0.05, tick)


def test_a_camera_that_is_not_there(wire):
    with pytest.raises(StaleCamera, match="nothing on scene/image_raw, scene/camera_info, scene/depth"):
        wire.camera(timeout_s=0.3).capture()


def test_pictures_from_before_the_call_are_not_taken(wire):
    first_ns = wire.sender.now_ns()
    send(wire, lambda: first_ns)  # a driver that hangs on one picture
    with pytest.raises(StaleCamera, match=r"stamped \d+\.\d\d s before the call"):
        wire.camera(timeout_s=0.5).capture()


def test_pictures_that_are_too_old_when_they_come(wire):
    send(wire, wire.sender.now_ns)
    with pytest.raises(StaleCamera):
        wire.camera(timeout_s=5.0, max_age_s=1e-9).capture()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"pose": False}, "no pose of 'lens' in 'world'"),
        ({"d": [0.1, 0.0, 0.0, 0.0, 0.0]}, "subscribe to the rectified one"),
        ({"depth": np.ones((10, 10), np.float32)}, "publish depth registered to colour"),
    ],
)
def test_what_does_not_fit_together_is_said(wire, changes, match):
    send(wire, wire.sender.now_ns, **changes)
    with pytest.raises(RuntimeError, match=match):
        wire.camera(timeout_s=1.0).capture()


# ---- transforms ---------------------------------------------------------------------------------


def pose(parent, child, x, turn_rad=0.0):
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    rotation = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    return Transform.from_parts([x, 0, 0], rotation, parent=parent, child=child)


def publish(wire, topic, *stamped, latched=False):
    from hardware.bus import LATCHED, RELIABLE

    publisher = wire.sender.publisher("tf2_msgs/msg/TFMessage", topic, LATCHED if latched else RELIABLE)
    until(lambda: publisher.num_subscribers > 0)
    transforms = [transform_fields(T, time_ns) for T, time_ns in stamped]
    publisher.publish(wire.sender.message("tf2_msgs/msg/TFMessage", transforms=transforms))


def test_links_are_chained_and_interpolated(wire):
    publish(wire, "/tf_static", (pose("world", "base", 1.0), 0), latched=True)
    publish(
        wire, "/tf", (pose("base", "hand", 0.0), 10**9), (pose("base", "hand", 0.4, np.pi / 2), 2 * 10**9)
    )
    T = wire.transforms.wait("world", "hand", 1_500_000_000, 10.0)
    # Half way: 0.2 m along x and 45 degrees.
    assert T.position_m.tolist() == pytest.approx([1.2, 0, 0])
    assert T.rotation[0, 0] == pytest.approx(np.cos(np.pi / 4))
    back = wire.transforms.lookup("hand", "world", 1_500_000_000)
    np.testing.assert_allclose((T @ back).matrix, np.eye(4), atol=1e-12)
    with pytest.raises(NoTransform, match=r"base -> hand is not known at the time asked for, by 0\.500 s"):
        wire.transforms.lookup("world", "hand", 2_500_000_000)
    with pytest.raises(NoTransform, match="'other' under 'other'"):
        wire.transforms.lookup("world", "other", 10**9)


def test_a_clock_that_begins_anew_is_followed(wire):
    publish(wire, "/tf", (pose("world", "hand", 1.0), 100 * 10**9), (pose("world", "hand", 2.0), 10**9))
    assert wire.transforms.wait("world", "hand", 10**9, 10.0).position_m[0] == 2.0


def test_a_pose_that_is_none_is_counted(wire):
    bad = transform_fields(pose("world", "hand", 1.0), 10**9)
    bad["transform"]["rotation"]["w"] = float("nan")
    publisher = wire.sender.publisher("tf2_msgs/msg/TFMessage", "/tf")
    until(lambda: publisher.num_subscribers > 0)
    publisher.publish(wire.sender.message("tf2_msgs/msg/TFMessage", transforms=[bad]))
    until(lambda: wire.transforms.num_bad == 1)


def test_stamps_are_read_as_written():
    assert stamp_ns(type("Stamp", (), {"sec": 3, "nanosec": 7})) == 3_000_000_007
