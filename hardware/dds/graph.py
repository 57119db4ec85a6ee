"""The node's entry in ROS's graph, and the names of the other nodes.

ROS announces which endpoints are whose on the latched topic `ros_discovery_info`; `ros2 node list` and
`ros2 node info` read it. Its ids are 24 bytes on Humble and 16 later.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsParticipant
from cyclonedds.core import InstanceState

from hardware.bus import QoS
from hardware.dds.codec import CdrError, Codec
from hardware.dds.endpoints import Reader, Topics, Writer
from hardware.dds.idl import idl_class
from hardware.dds.names import node_path

if TYPE_CHECKING:
    from hardware.dds.node import Node

_TYPE: Final = "rmw_dds_common/msg/ParticipantEntitiesInfo"
_TOPIC: Final = "ros_discovery_info"
_WRITE_QOS: Final = QoS(depth=1, latched=True)
_READ_QOS: Final = QoS(depth=1000, latched=True)
_MAX_PARTICIPANTS: Final = 10_000


class Graph:
    """Announces a node and knows the others."""

    def __init__(self, node: Node) -> None:
        """Announce a node without endpoints."""
        self._node = node
        self._lock = threading.Lock()
        self._codec: Final = Codec(node.types, _TYPE)
        self._topics = Topics(node.participant, node.config.domain_id)
        topic = self._topics.get(_TOPIC, idl_class(node.types, _TYPE))
        user_data = node.user_data(_TYPE)
        self._writer = Writer(node.participant, topic, _WRITE_QOS, user_data)
        self._reader = Reader(node.participant, topic, _READ_QOS, user_data)
        self._participants = BuiltinDataReader(node.participant, BuiltinTopicDcpsParticipant)
        self._known: dict[bytes, list[str]] = {}
        self._is_closed = False
        self.changed()

    def changed(self) -> None:
        """Announce the node's endpoints."""
        with self._lock:
            if self._is_closed or self._node.is_closed:
                return
            self._writer.write(self._codec.encode(self._entry()))

    def _entry(self) -> Any:
        make = self._node.types.message_class
        gid = make("rmw_dds_common/msg/Gid")
        size = gid.FIELDS[0].size
        readers, writers = self._node.endpoints()
        config = self._node.config
        entities = make("rmw_dds_common/msg/NodeEntitiesInfo")(
            node_namespace=config.namespace,
            node_name=config.node_name,
            reader_gid_seq=[gid(data=value.ljust(size, b"\0")) for value in readers],
            writer_gid_seq=[gid(data=value.ljust(size, b"\0")) for value in writers],
        )
        participant = gid(data=self._node.participant.guid.bytes.ljust(size, b"\0"))
        return make(_TYPE)(gid=participant, node_entities_info_seq=[entities])

    def node_names(self) -> list[str]:
        """Return the absolute names of the nodes whose participants are alive."""
        with self._lock:
            if self._is_closed:
                return []
            while samples := self._reader.take():
                for data, _ in samples:
                    self._learn(data)
            alive = {
                sample.key.bytes
                for sample in self._participants.read(_MAX_PARTICIPANTS)
                if sample.sample_info.instance_state == InstanceState.Alive
            }
            self._known = {key: found for key, found in self._known.items() if key in alive}
            own = node_path(self._node.config.namespace, self._node.config.node_name)
            return sorted({own, *(name for found in self._known.values() for name in found)})

    def _learn(self, data: bytes) -> None:
        try:
            entry: Any = self._codec.decode(data)
        except CdrError:
            return  # another distribution's entry: its nodes are unknown, nothing else depends on it
        nodes = entry.node_entities_info_seq
        self._known[bytes(entry.gid.data[:16])] = [
            node_path(node.node_namespace, node.node_name) for node in nodes
        ]

    def close(self) -> None:
        """Withdraw the node."""
        with self._lock:
            self._is_closed = True
            self._writer.close()
            self._reader.close()
            self._participants.__del__()
            self._topics.close()
