"""Names of topics, services, actions and types: as ROS writes them and as they travel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

TOPIC: Final = "rt"
REQUEST: Final = "rq"
RESPONSE: Final = "rr"
_NAME: Final = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def node_path(namespace: str, node: str) -> str:
    """Return the absolute name of a node, `/ns/node`."""
    return f"{namespace.rstrip('/')}/{node}"


def resolve(name: str, namespace: str, node: str, remap: Mapping[str, str]) -> str:
    """Return the absolute name: relative to the namespace, "~/" to the node; then remapped.

    Raises:
        ValueError: ROS has no such names.
    """
    absolute = _absolute(name, namespace, node)
    for old, new in remap.items():
        if _absolute(old, namespace, node) == absolute:
            return _absolute(new, namespace, node)
    return absolute


def _absolute(name: str, namespace: str, node: str) -> str:
    if name.startswith("~/"):
        name = f"{node_path(namespace, node)}/{name[2:]}"
    if not _NAME.fullmatch(name) or "__" in name:
        raise ValueError(f"no ROS name: {name!r}; use letters, digits, single '_' and '/'")
    return name if name.startswith("/") else node_path(namespace, name)


def dds_topic(prefix: str, name: str, suffix: str = "") -> str:
    """Return the DDS topic of an absolute name: `rt/a/b`, `rq/sRequest`, `rr/sReply`."""
    return f"{prefix}{name}{suffix}"


def dds_type(name: str) -> str:
    """Return the DDS type of a ROS type: `sensor_msgs::msg::dds_::JointState_`."""
    package, kind, short = name.split("/")
    return f"{package}::{kind}::dds_::{short}_"
