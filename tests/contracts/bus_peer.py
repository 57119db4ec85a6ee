"""The other process of the bus suite: echoes, serves and executes until its standard input ends.

python tests/contracts/bus_peer.py <transport> <domain>
"""

import sys

from hardware.bus import ActionHandlers, ActionResult, BusConfig
from hardware.transports import open_bus

GRIPPER = "control_msgs/action/GripperCommand"
TRIGGER = "std_srvs/srv/Trigger"


def main(transport, domain):
    bus = open_bus(transport, BusConfig(node_name="peer", domain_id=int(domain)))
    for type_name, heard, said in (
        ("sensor_msgs/msg/JointState", "/ping", "/pong"),
        ("std_msgs/msg/String", "/text", "/text_echo"),
    ):
        echo = bus.publisher(type_name, said)
        bus.subscribe(type_name, heard, lambda message, info, echo=echo: echo.publish(message))
    response = bus.message(f"{TRIGGER}_Response", success=True, message="served by peer")
    bus.service(TRIGGER, "/serve", lambda request: response)

    def execute(goal):
        goal.feedback(bus.message(f"{GRIPPER}_Feedback", position=goal.goal.command.position))
        return ActionResult("succeeded", bus.message(f"{GRIPPER}_Result", reached_goal=True))

    bus.action_server(GRIPPER, "/act", ActionHandlers(lambda goal: True, execute))
    bus.start()
    sys.stdin.read()
    bus.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
