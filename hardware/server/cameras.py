"""Cameras of a served robot: pictures are made only while somebody listens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hardware.bus import Bus, Publisher, QoS
from hardware.ros.conversions import transform_fields
from hardware.ros.images import camera_info_fields, cloud_fields, depth_mm, image_fields
from perception_tools.camera import Camera, RgbdFrame
from perception_tools.geometry import Transform

log = logging.getLogger(__name__)

_PICTURES = QoS(depth=2)
_TF = QoS(depth=100)


def warm_up(camera: Camera) -> None:
    """Take a first picture, which may open a renderer, before anybody waits for one."""
    try:
        camera.capture()
    except RuntimeError as error:  # as in `CameraServer`: the robot goes on without pictures
        log.warning("camera %s: %s", camera.name, error)


@dataclass(frozen=True)
class CameraServerConfig:
    """Settings of served cameras.

    Attributes:
        rate_hz: Pictures per second of wall time, while somebody listens; fewer if rendering is slower.
        depth_encoding: `32FC1`, metres, NaN where invalid, or `16UC1`, millimetres, 0 where invalid.
    """

    rate_hz: float = 5.0
    depth_encoding: Literal["32FC1", "16UC1"] = "32FC1"

    def __post_init__(self) -> None:
        """Refuse what is no rate or encoding."""
        if not self.rate_hz > 0:
            raise ValueError(f"CameraServerConfig.rate_hz must be positive, got {self.rate_hz}")
        if self.depth_encoding not in ("32FC1", "16UC1"):
            raise ValueError(f"depth_encoding must be 32FC1 or 16UC1, got {self.depth_encoding!r}")


def optical_frame(camera: str) -> str:
    """Return the name in tf of a camera's optical frame."""
    return f"{camera}_optical_frame"


class CameraServer:
    """Publishes `<name>/image_raw`, `depth/image_rect_raw`, `camera_info`, `points`, and the pose on `/tf`.

    Depth is registered to the colour image. Pictures have no distortion, so raw ones are rectified.

    Args:
        bus: The node.
        camera: The camera.
        stamp_ns: ROS time [ns] of a time on the robot's clock [s].
        config: Settings.
    """

    def __init__(
        self,
        bus: Bus,
        camera: Camera,
        stamp_ns: Callable[[float], int],
        config: CameraServerConfig | None = None,
    ) -> None:
        self._bus, self._camera, self._stamp_ns = bus, camera, stamp_ns
        self._config = config or CameraServerConfig()
        self._frame_id = optical_frame(camera.name)
        self._parts = ExitStack()
        self.num_frames = 0
        name = camera.name
        self._rgb = self._publisher("sensor_msgs/msg/Image", f"{name}/image_raw")
        self._depth = self._publisher("sensor_msgs/msg/Image", f"{name}/depth/image_rect_raw")
        self._info = self._publisher("sensor_msgs/msg/CameraInfo", f"{name}/camera_info")
        self._points = self._publisher("sensor_msgs/msg/PointCloud2", f"{name}/points")
        self._tf = self._publisher("tf2_msgs/msg/TFMessage", "/tf", _TF)
        timer = bus.timer(1 / self._config.rate_hz, self._tick, group=f"camera {name}")
        self._parts.callback(timer.close)

    def close(self) -> None:
        """End; idempotent."""
        self._parts.close()

    def _publisher(self, type_name: str, topic: str, qos: QoS = _PICTURES) -> Publisher:
        publisher = self._bus.publisher(type_name, topic, qos)
        self._parts.callback(publisher.close)
        return publisher

    def _tick(self) -> None:
        wanted = [self._rgb, self._depth, self._info, self._points]
        if not any(publisher.num_subscribers for publisher in wanted):
            return
        try:
            frame = self._camera.capture()
        except RuntimeError as error:  # unplugged, or no GL: the robot goes on without pictures
            self.close()
            log.error("camera %s: %s; it is not served any more", self._camera.name, error)
            return
        self._publish(frame)
        self.num_frames += 1

    def _publish(self, frame: RgbdFrame) -> None:
        now_ns, frame_id = self._stamp_ns(frame.stamp_s), self._frame_id
        pose = frame.T_world_camera
        T = Transform(pose.matrix, pose.parent, frame_id)
        self._send(self._tf, "tf2_msgs/msg/TFMessage", {"transforms": [transform_fields(T, now_ns)]})
        if self._info.num_subscribers:
            fields = camera_info_fields(frame.intrinsics, now_ns, frame_id)
            self._send(self._info, "sensor_msgs/msg/CameraInfo", fields)
        if self._rgb.num_subscribers:
            fields = image_fields(frame.rgb, "rgb8", now_ns, frame_id)
            self._send(self._rgb, "sensor_msgs/msg/Image", fields)
        if frame.depth_m is not None and self._depth.num_subscribers:
            self._send(self._depth, "sensor_msgs/msg/Image", self._depth_fields(frame.depth_m, now_ns))
        if frame.depth_m is not None and self._points.num_subscribers:
            points = frame.intrinsics.deproject_image(frame.depth_m)
            points[frame.depth_m <= 0] = np.nan
            fields = cloud_fields(points, now_ns, frame_id, frame.rgb)
            self._send(self._points, "sensor_msgs/msg/PointCloud2", fields)

    def _depth_fields(self, depth_m: Any, now_ns: int) -> dict[str, Any]:
        encoding = self._config.depth_encoding
        image = (
            depth_mm(depth_m) if encoding == "16UC1" else np.where(depth_m > 0, depth_m, np.float32("nan"))
        )
        return image_fields(image, encoding, now_ns, self._frame_id)

    def _send(self, publisher: Publisher, type_name: str, fields: dict[str, Any]) -> None:
        publisher.publish(self._bus.message(type_name, **fields))
