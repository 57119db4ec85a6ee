"""Opens a `Bus` on the transport that a configuration names."""

from __future__ import annotations

import importlib.util
from typing import Literal

from hardware.bus import Bus, BusConfig

Transport = Literal["auto", "dds", "ros"]


def open_bus(transport: Transport, config: BusConfig) -> Bus:
    """Join as a node.

    Args:
        transport: `ros` (rclpy), `dds` (Cyclone DDS without ROS), or `auto`: rclpy where it can be imported.
        config: How to join.

    Raises:
        ValueError: No such transport.
        ImportError: What it needs is not installed; says what.
    """
    if transport not in ("auto", "dds", "ros"):
        raise ValueError(f"no transport {transport!r}; there are: auto, dds, ros")
    if transport == "ros" or (transport == "auto" and has_ros()):
        return _open_ros(config)
    return _open_dds(config)


def has_ros() -> bool:
    """Return whether rclpy can be imported."""
    return importlib.util.find_spec("rclpy") is not None


def _open_ros(config: BusConfig) -> Bus:
    if not has_ros():
        raise ImportError(
            "transport=ros needs rclpy: source /opt/ros/<distro>/setup.bash first, or use transport=dds"
        )
    from hardware.ros.bus import RosBus  # pyright: ignore[reportMissingImports] (imports rclpy)

    return RosBus(config)


def _open_dds(config: BusConfig) -> Bus:
    missing = [name for name in ("cyclonedds", "rosbags") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"transport=dds needs {' and '.join(missing)}: pip install 'habilis[ros]'")
    from hardware.dds.bus import DdsBus

    return DdsBus(config)
