"""Between ROS messages and our own types: units, frames, stamps. Imports no ROS.

What is sent is returned as a dict of fields for `Bus.message`; what is received is any object with ROS's
field names. This is the one place that knows ROS's quaternion order, xyzw; all others use `quat_wxyz`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hardware.bus import Message
from perception_tools.geometry import FloatArray, Transform

Fields = dict[str, Any]
"""Fields of a message, by name; nested messages are dicts too."""

NS_PER_S = 1_000_000_000


# ---- time ---------------------------------------------------------------------------------------


def stamp_fields(time_ns: int) -> Fields:
    """Return `builtin_interfaces/msg/Time` of a time [ns] (`Duration` alike)."""
    sec, nanosec = divmod(int(time_ns), NS_PER_S)
    return {"sec": sec, "nanosec": nanosec}


def stamp_ns(stamp: Message) -> int:
    """Return a `Time` or `Duration` in [ns]."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def header_fields(time_ns: int, frame_id: str = "") -> Fields:
    """Return `std_msgs/msg/Header`."""
    return {"stamp": stamp_fields(time_ns), "frame_id": frame_id}


# ---- poses --------------------------------------------------------------------------------------


def xyzw_from_wxyz(quat_wxyz: ArrayLike) -> FloatArray:
    """Return a quaternion in ROS's order, shape (4,)."""
    return np.roll(np.asarray(quat_wxyz, dtype=np.float64), -1)


def wxyz_from_xyzw(quat_xyzw: ArrayLike) -> FloatArray:
    """Return a quaternion of ROS in our order, shape (4,)."""
    return np.roll(np.asarray(quat_xyzw, dtype=np.float64), 1)


def transform_fields(T: Transform, time_ns: int) -> Fields:
    """Return `geometry_msgs/msg/TransformStamped` of ``T_parent_child``."""
    x, y, z, w = (float(v) for v in xyzw_from_wxyz(T.quat_wxyz))
    px, py, pz = (float(v) for v in T.position_m)
    return {
        "header": header_fields(time_ns, T.parent),
        "child_frame_id": T.child,
        "transform": {
            "translation": {"x": px, "y": py, "z": pz},
            "rotation": {"x": x, "y": y, "z": z, "w": w},
        },
    }


def transform_from(message: Message) -> Transform:
    """Return ``T_parent_child`` of a `TransformStamped`; leading "/" of frames are dropped.

    Raises:
        ValueError: Not finite, or the quaternion is not of unit length.
    """
    p, q = message.transform.translation, message.transform.rotation
    quat_xyzw = np.array([q.x, q.y, q.z, q.w])
    parent, child = message.header.frame_id.lstrip("/"), message.child_frame_id.lstrip("/")
    length = float(np.linalg.norm(quat_xyzw))
    if not abs(length - 1) < 1e-3:
        raise ValueError(f"tf {parent} -> {child}: quaternion has length {length:.4g}, expected 1")
    quat_wxyz = wxyz_from_xyzw(quat_xyzw / length)
    return Transform.from_parts([p.x, p.y, p.z], quat_wxyz, parent=parent, child=child)
