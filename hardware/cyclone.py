"""Cyclone's configuration of the network, for both transports: the one without ROS, and rmw_cyclonedds.

`python -m hardware.cyclone INTERFACE` prints it: every process of a domain needs it, `ros2` included.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import MutableMapping
from typing import Final
from xml.sax.saxutils import quoteattr

_MAX_PROCESSES: Final = 60
"""Processes of one domain that find one another on one machine without multicast."""

_LARGE_PACKETS: Final = "<MaxMessageSize>65500B</MaxMessageSize><FragmentSize>64000B</FragmentSize>"
"""On loopback: fewer, larger packets, of which the kernel's buffer holds more of an image."""


def configuration(interface: str) -> str:
    """Return Cyclone's configuration for one interface, in XML.

    On loopback there is no multicast: processes find one another at the ports of the domain. Elsewhere the
    addresses in `ROS_STATIC_PEERS` (separated by ";", as in ROS) are asked besides.
    """
    attribute = "address" if is_address(interface) else "name"
    is_loopback = interface in ("lo", "127.0.0.1", "::1")
    peers = ["localhost"] if is_loopback else []
    peers += [peer for peer in os.environ.get("ROS_STATIC_PEERS", "").split(";") if peer]
    multicast = "" if not is_loopback else f"<AllowMulticast>false</AllowMulticast>{_LARGE_PACKETS}"
    hosts = "".join(f"<Peer address={quoteattr(peer)}/>" for peer in peers)
    discovery = (
        f"<ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>{_MAX_PROCESSES}"
        f"</MaxAutoParticipantIndex><Peers>{hosts}</Peers>"
        if peers
        else ""
    )
    return (
        '<CycloneDDS><Domain id="any">'
        f"<General><Interfaces><NetworkInterface {attribute}={quoteattr(interface)}/></Interfaces>"
        f"{multicast}</General><Discovery>{discovery}</Discovery>"
        "</Domain></CycloneDDS>"
    )


def is_address(interface: str) -> bool:
    """Return whether an interface is named by its address."""
    try:
        ipaddress.ip_address(interface)
    except ValueError:
        return False
    return True


def choose_interface(interface: str, environ: MutableMapping[str, str]) -> None:
    """Have rmw_cyclonedds use an interface, unless the environment says already how it is configured."""
    is_cyclone = environ.get("RMW_IMPLEMENTATION", "") == "rmw_cyclonedds_cpp"
    if interface and is_cyclone and "CYCLONEDDS_URI" not in environ:
        environ["CYCLONEDDS_URI"] = configuration(interface)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m hardware.cyclone INTERFACE, e.g. lo or eth0")
    print(configuration(sys.argv[1]))
