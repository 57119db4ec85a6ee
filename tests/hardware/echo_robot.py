"""A robot on a `LoopBus` that is where it was last told to be, and says so every few milliseconds."""

from __future__ import annotations

import threading

import numpy as np

from hardware.ros.joints import joint_state_fields, trajectory_from


class EchoRobot:
    """Args: the bus, the interface, and whether it follows. `pause` silences it."""

    def __init__(self, bus, interface, follows=True, period_s=0.005, start=None):
        self.bus, self.interface, self.follows = bus, interface, follows
        names = interface.joints.on_wire
        self.position = (
            np.zeros(len(names)) if start is None else interface.to_wire(interface.joint_names, start)
        )
        self.is_paused = False
        self.change = lambda fields: fields
        self._publisher = bus.publisher("sensor_msgs/msg/JointState", interface.states[0].topics[0])
        self._columns = {n: k for k, n in enumerate(names)}
        for channel in interface.channels:
            bus.subscribe(channel.message, channel.topic, lambda m, i, c=channel: self._on_command(c, m))
        self._done = threading.Event()
        self.publish()
        self._thread = threading.Thread(target=self._run, args=(period_s,), daemon=True)
        self._thread.start()

    def _on_command(self, channel, message):
        if not self.follows:
            return
        if channel.kind == "trajectory":
            wanted = trajectory_from(message)
            for name, value in zip(wanted.names, wanted.position[-1], strict=True):
                self.position[self._columns[name]] = value
            return
        names = [self.interface.joints.on_wire[k] for k in self.interface.joints.columns(channel.joint_names)]
        values = message.position if channel.kind == "joint_state" else message.data
        if channel.kind in ("position", "joint_state"):
            for name, value in zip(names, values, strict=True):
                self.position[self._columns[name]] = value

    def publish(self, **changes):
        names = self.interface.joints.on_wire
        fields = joint_state_fields(names, self.position.copy(), self.bus.now_ns(), np.zeros(len(names)))
        self._publisher.publish(
            self.bus.message("sensor_msgs/msg/JointState", **self.change(fields) | changes)
        )

    def _run(self, period_s):
        while not self._done.wait(period_s):
            if not self.is_paused:
                self.publish()

    def close(self):
        self._done.set()
        self._thread.join(5)
