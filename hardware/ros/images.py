"""Between ROS's image messages and arrays: `Image`, `CameraInfo`, `PointCloud2`. Imports no ROS.

As in `conversions.py`, what is sent is a dict of fields for `Bus.message`.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hardware.bus import Message
from hardware.ros.conversions import Fields, header_fields
from perception_tools.geometry import Intrinsics

_CHANNELS: Final = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_DTYPES: Final[dict[str, Any]] = {"16UC1": np.uint16, "mono16": np.uint16, "32FC1": np.float32}
_MM: Final = 0.001
_FLOAT32: Final = 7  # sensor_msgs/msg/PointField.FLOAT32
_SIZES: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def flat_bytes(data: Any) -> NDArray[np.uint8]:
    """Return a `uint8[]` field as an array, shape (N,), without copying where that is possible."""
    if isinstance(data, list | tuple):
        return np.array(data, dtype=np.uint8)
    return np.frombuffer(data, dtype=np.uint8)


# ---- images -------------------------------------------------------------------------------------


def image_fields(image: NDArray[Any], encoding: str, time_ns: int, frame_id: str) -> Fields:
    """Return `sensor_msgs/msg/Image`.

    Args:
        image: Pixels as the encoding has them, shape (H, W) or (H, W, C).
        encoding: `rgb8`, `bgr8`, `rgba8`, `bgra8`, `mono8`, `16UC1`, `mono16` or `32FC1`.
        time_ns: Stamp [ns].
        frame_id: Optical frame.

    Raises:
        ValueError: The array is not what the encoding has.
    """
    dtype, channels = _layout(encoding)
    shape = image.shape if image.ndim == 3 else (*image.shape, 1)
    if image.dtype != dtype or shape[2:] != (channels,):
        raise ValueError(
            f"{encoding} needs {np.dtype(dtype)} with {channels} channels, got {image.dtype} {image.shape}"
        )
    height, width = image.shape[:2]
    return {
        "header": header_fields(time_ns, frame_id),
        "height": height,
        "width": width,
        "encoding": encoding,
        "is_bigendian": int(sys.byteorder == "big"),
        "step": width * channels * np.dtype(dtype).itemsize,
        "data": np.ascontiguousarray(image).view(np.uint8).reshape(-1),
    }


def image_array(message: Message) -> NDArray[Any]:
    """Return the pixels of an `Image` as it encodes them, shape (H, W) or (H, W, C), a copy.

    Raises:
        ValueError: An encoding that is not known, or a size that does not fit the data.
    """
    dtype, channels = _layout(message.encoding)
    stored = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = int(message.height), int(message.width), int(message.step)
    data, row = flat_bytes(message.data), width * channels * stored.itemsize
    if step < row or len(data) != step * height:
        raise ValueError(
            f"image {width}x{height} {message.encoding} needs rows of {row} bytes and {height} of them; "
            f"it has step {step} and {len(data)} bytes"
        )
    pixels = np.ascontiguousarray(data.reshape(height, step)[:, :row]).view(stored).astype(dtype)
    return pixels.reshape((height, width) if channels == 1 else (height, width, channels))


def rgb_from(message: Message) -> NDArray[np.uint8]:
    """Return an `Image` as RGB, shape (H, W, 3).

    Raises:
        ValueError: It is no colour or grey image of 8 bits.
    """
    if message.encoding not in _CHANNELS:
        raise ValueError(f"a colour image must be one of {', '.join(_CHANNELS)}, got {message.encoding!r}")
    image = image_array(message)
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    order = [2, 1, 0] if message.encoding.startswith("bgr") else [0, 1, 2]
    return np.ascontiguousarray(image[..., order])


def depth_m_from(message: Message) -> NDArray[np.float32]:
    """Return a depth `Image` in [m], shape (H, W), 0 where invalid (REP 118).

    Raises:
        ValueError: It is neither `16UC1` [mm] nor `32FC1` [m].
    """
    if message.encoding not in _DTYPES:
        raise ValueError(f"a depth image must be 16UC1 [mm] or 32FC1 [m], got {message.encoding!r}")
    image = image_array(message)
    depth_m = (
        image.astype(np.float32) if image.dtype == np.float32 else image.astype(np.float32) * np.float32(_MM)
    )
    return np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(0))


def depth_mm(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return depth [m] in whole [mm] for `16UC1`; beyond 65.535 m it is invalid, 0."""
    mm = np.rint(np.asarray(depth_m, dtype=np.float64) / _MM)
    return np.where((mm >= 0) & (mm <= np.iinfo(np.uint16).max), mm, 0).astype(np.uint16)


def _layout(encoding: str) -> tuple[Any, int]:
    if encoding in _CHANNELS:
        return np.uint8, _CHANNELS[encoding]
    if encoding in _DTYPES:
        return _DTYPES[encoding], 1
    raise ValueError(f"image encoding {encoding!r} is not known; known: {', '.join([*_CHANNELS, *_DTYPES])}")


# ---- intrinsics ---------------------------------------------------------------------------------


def camera_info_fields(intrinsics: Intrinsics, time_ns: int, frame_id: str) -> Fields:
    """Return `sensor_msgs/msg/CameraInfo` of a camera without distortion."""
    k = [intrinsics.fx, 0.0, intrinsics.cx, 0.0, intrinsics.fy, intrinsics.cy, 0.0, 0.0, 1.0]
    return {
        "header": header_fields(time_ns, frame_id),
        "height": intrinsics.height,
        "width": intrinsics.width,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": k,
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0],
    }


def intrinsics_from(message: Message, *, is_rectified: bool = False) -> Intrinsics:
    """Return the pinhole of a `CameraInfo`: of its rectified images from `p`, else of raw ones from `k`.

    Raises:
        ValueError: Not calibrated; raw images are distorted; binned, or a region of interest.
    """
    if not np.asarray(message.k, dtype=np.float64).any():
        raise ValueError("camera_info is all zero: the camera is not calibrated; see `habilis calibrate`")
    if max(int(message.binning_x), int(message.binning_y)) > 1 or _is_cropped(message):
        raise ValueError(
            "camera_info with binning or a region of interest is not supported; publish full images"
        )
    if is_rectified:
        k = np.asarray(message.p, dtype=np.float64).reshape(3, 4)
    else:
        if np.abs(np.asarray(message.d, dtype=np.float64)).max(initial=0.0) > 1e-6:
            raise ValueError("the raw image is distorted; subscribe to the rectified one (image_rect)")
        k = np.asarray(message.k, dtype=np.float64).reshape(3, 3)
    return Intrinsics(
        float(k[0, 0]),
        float(k[1, 1]),
        float(k[0, 2]),
        float(k[1, 2]),
        int(message.width),
        int(message.height),
    )


def _is_cropped(message: Message) -> bool:
    roi = message.roi
    full = (int(roi.width), int(roi.height)) in ((0, 0), (int(message.width), int(message.height)))
    return not full or int(roi.x_offset) > 0 or int(roi.y_offset) > 0


# ---- point clouds -------------------------------------------------------------------------------


def cloud_fields(points_m: ArrayLike, time_ns: int, frame_id: str, rgb: ArrayLike | None = None) -> Fields:
    """Return `sensor_msgs/msg/PointCloud2` with x, y, z, and colour as `rgb` packs it.

    Args:
        points_m: Points in `frame_id` [m], shape (N, 3) or, organised, (H, W, 3); NaN where invalid.
        time_ns: Stamp [ns].
        frame_id: Frame of the points.
        rgb: Colours, uint8, of the same shape; None for none.
    """
    points = np.asarray(points_m, dtype=np.float32)
    shape = points.shape[:-1]
    height, width = shape if len(shape) == 2 else (1, shape[0])
    names = ("x", "y", "z") if rgb is None else ("x", "y", "z", "rgb")
    table = np.empty((height * width, len(names)), dtype="<f4")
    table[:, :3] = points.reshape(-1, 3)
    if rgb is not None:
        colors = np.asarray(rgb, dtype=np.uint32).reshape(-1, 3)
        table[:, 3] = ((colors[:, 0] << 16) | (colors[:, 1] << 8) | colors[:, 2]).astype("<u4").view("<f4")
    fields = [{"name": n, "offset": 4 * i, "datatype": _FLOAT32, "count": 1} for i, n in enumerate(names)]
    step = 4 * len(names)
    return {
        "header": header_fields(time_ns, frame_id),
        "height": height,
        "width": width,
        "fields": fields,
        "is_bigendian": False,
        "point_step": step,
        "row_step": step * width,
        "data": table.view(np.uint8).reshape(-1),
        "is_dense": bool(np.isfinite(points).all()),
    }


def points_from(message: Message) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """Return the finite points of a `PointCloud2` [m], (N, 3), and their colours, (N, 3), if it has any.

    Raises:
        ValueError: It has no x, y, z.
    """
    order = ">" if message.is_bigendian else "<"
    layout = {f.name: (order + _SIZES[int(f.datatype)], int(f.offset)) for f in message.fields}
    if not {"x", "y", "z"} <= set(layout):
        raise ValueError(f"the cloud has no x, y, z; it has {', '.join(layout) or 'nothing'}")
    height, width, step = int(message.height), int(message.width), int(message.point_step)
    rows = flat_bytes(message.data).reshape(height, int(message.row_step))[:, : width * step]
    dtype = np.dtype(
        {
            "names": list(layout),
            "formats": [f for f, _ in layout.values()],
            "offsets": [o for _, o in layout.values()],
            "itemsize": step,
        }
    )
    table = np.ascontiguousarray(rows).reshape(-1).view(dtype)
    points = np.stack([table[n].astype(np.float32) for n in ("x", "y", "z")], axis=1)
    is_finite = np.isfinite(points).all(axis=1)
    if "rgb" not in layout:
        return points[is_finite], None
    packed = np.ascontiguousarray(table["rgb"]).view(order + "u4")[is_finite]
    colors = np.stack([(packed >> shift) & 255 for shift in (16, 8, 0)], axis=1)
    return points[is_finite], colors.astype(np.uint8)
