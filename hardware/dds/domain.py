"""One Cyclone domain per process and domain id, shared by the buses on it.

Cyclone reads the network configuration when a process first opens a domain; it cannot be changed until the
last user has closed it. The interface is always named, so that a robot's commands never leave by another.

Types that a process has used stay known to Cyclone until then: its library (11.0.1) loses track of the
dependencies of types that are removed and made again, and crashes when it next looks them up. A participant
of the domain's own, without a node, keeps one topic of each.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field

from cyclonedds.core import DDSException
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.topic import Topic

from hardware.cyclone import configuration, is_address

_lock = threading.Lock()


@dataclass
class _Open:
    """A domain in use."""

    domain: Domain | None
    interface: str
    users: int
    keeper: DomainParticipant | None = None
    kept: dict[type[IdlStruct], Topic] = field(default_factory=dict)


_open: dict[int, _Open] = {}


def acquire_domain(domain_id: int, interface: str) -> None:
    """Open a domain, or join the one that is open in this process.

    Args:
        domain_id: ROS domain.
        interface: Name or address of the network interface; "" leaves all to CYCLONEDDS_URI.

    Raises:
        ValueError: The process has the domain open on another interface, or there is no such interface.
    """
    with _lock:
        if domain_id in _open:
            used = _open[domain_id]
            if used.interface != interface:
                raise ValueError(
                    f"domain {domain_id} is open on interface {used.interface!r} in this process; "
                    f"close that bus first, or use another domain_id for {interface!r}"
                )
            used.users += 1
            return
        _open[domain_id] = _Open(_create(domain_id, interface), interface, 1)


def release_domain(domain_id: int) -> None:
    """Give a domain back; the last user closes it."""
    with _lock:
        used = _open[domain_id]
        used.users -= 1
        if used.users:
            return
        del _open[domain_id]
        for topic in used.kept.values():
            topic.__del__()
        if used.keeper is not None:
            used.keeper.__del__()
        if used.domain is not None:
            used.domain.__del__()


def keep_type(domain_id: int, cls: type[IdlStruct]) -> None:
    """Have Cyclone know a type for as long as the process has the domain open."""
    with _lock:
        used = _open[domain_id]
        if cls in used.kept:
            return
        if used.keeper is None:
            used.keeper = DomainParticipant(domain_id)
        used.kept[cls] = Topic(used.keeper, f"types/{len(used.kept)}", cls)


def _create(domain_id: int, interface: str) -> Domain | None:
    if not interface:
        return None
    names = [name for _, name in socket.if_nameindex()]
    if not is_address(interface) and interface not in names:
        raise ValueError(f"no network interface {interface!r}; this machine has: {', '.join(names)}")
    try:
        return Domain(domain_id, configuration(interface))
    except DDSException as error:
        raise ValueError(f"cannot open domain {domain_id} on interface {interface!r}: {error}") from error
