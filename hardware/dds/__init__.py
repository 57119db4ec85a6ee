"""ROS 2 over Cyclone DDS, without ROS: `DdsBus` speaks the wire format of rmw_cyclonedds.

| file | what |
|---|---|
| `interfaces.py` | texts of the interfaces that `rosbags` does not ship |
| `types.py` | message classes, constants and type hashes of a ROS distribution |
| `codec.py` (`cdr.py`, `scalars.py`, `fields.py`) | messages to and from CDR |
| `idl.py` | what Cyclone must know of a type |
| `names.py` | names of topics and types on the wire |
| `domain.py` | one Cyclone domain per process and domain id, shared by its buses |
| `endpoints.py` | writers and readers with ROS's quality of service |
| `executor.py` | threads that take samples and run timers |
| `services.py`, `action_*.py`, `parameters.py`, `graph.py` | what ROS builds on topics |
| `bus.py` | `DdsBus`, all of it behind the `Bus` contract |

The wire facts are in docs/dds.md.
"""
