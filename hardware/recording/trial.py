"""A trial's own recording: what the policy saw and wanted, what was sent, what went wrong.

Written beside the robot's topics into one bag, off the control thread.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from pathlib import Path
from typing import Final

import numpy as np

from hardware.bus import Bus, Message
from hardware.interface import RobotInterface
from hardware.recording.recorder import Recorder, topics_of
from hardware.ros.conversions import header_fields
from perception_tools.geometry import FloatArray

_LOG = logging.getLogger("habilis.trial")
_ARRAY: Final = "std_msgs/msg/Float64MultiArray"
_JOINTS: Final = "sensor_msgs/msg/JointState"
_TEXT: Final = "std_msgs/msg/String"


class Trial:
    """Records one trial; every method may be called from any thread and returns at once.

    Args:
        bus: The node.
        folder: The bag's folder; must not exist.
        interface: The robot, whose topics are recorded, too.
    """

    def __init__(self, bus: Bus, folder: Path, interface: RobotInterface) -> None:
        """See the class."""
        self._bus, self._names = bus, list(interface.joint_names)
        self._home = f"{bus.config.namespace.rstrip('/')}/{bus.config.node_name}"
        self._recorder = Recorder(bus, folder, topics_of(interface))
        self.folder = folder
        self._queue: queue.SimpleQueue[tuple[str, str, int, Message] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="trial", daemon=True)
        self._thread.start()

    def observed(self, values: FloatArray) -> None:
        """Note what the policy sees: all its observations, one after the other."""
        self._put("observation", _ARRAY, self._bus.message(_ARRAY, data=np.asarray(values, np.float64)))

    def acted(self, values: FloatArray) -> None:
        """Note what the policy wants, in its own units."""
        self._put("action", _ARRAY, self._bus.message(_ARRAY, data=np.asarray(values, np.float64)))

    def sent(self, joint_pos: FloatArray) -> None:
        """Note a setpoint that was sent, by our names and in our units."""
        header = header_fields(self._bus.now_ns())
        message = self._bus.message(_JOINTS, header=header, name=self._names, position=joint_pos.copy())
        self._put("safe_action", _JOINTS, message)

    def said(self, text: str) -> None:
        """Note a fault, or another change of what the robot may do."""
        self._put("events", _TEXT, self._bus.message(_TEXT, data=text))

    def _put(self, name: str, type_name: str, message: Message) -> None:
        self._queue.put((f"{self._home}/{name}", type_name, time.time_ns(), message))

    def _write(self) -> None:
        is_broken = False
        while (item := self._queue.get()) is not None:
            if is_broken:
                continue
            topic, type_name, stamp_ns, message = item
            try:
                self._recorder.write(topic, type_name, message, stamp_ns)
            except Exception as error:  # a full disk must not hold the robot up, nor fill the memory
                is_broken = True
                _LOG.error("the trial is not recorded any more: %s", error)

    def close(self) -> None:
        """Write what is left and finish the bag; idempotent."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(10.0)
        self._recorder.close()
