"""What goes out to a robot: the last setpoint, and how it is braked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from hardware.bus import Bus
from hardware.client.channels import Outlet, Setpoint, braking_path
from hardware.client.sensing import Sensing
from hardware.interface import RobotInterface
from perception_tools.geometry import FloatArray
from policies.robot import JointCommand, RobotState

_HOLD_REPEATS: Final = 5  # how often the last setpoint, or zero, is repeated after a stop
_FAR: Final = 0.05  # a setpoint farther from a robot at rest is not one that it follows [rad] or [m]
_LAG_S: Final = 0.1  # a moving one may be so much ahead besides
_STREAMS: Final = 3  # setpoints at most so many periods apart are one stream


class Outgoing:
    """The stream of setpoints of one robot. Who calls holds the robot's lock.

    Args:
        interface: The robot as data.
        sensing: What is sensed of it.
        dry_run: Commands go to shadow topics only.
        velocity_share: Share of the robot's velocity limits that velocity commands keep.
    """

    def __init__(
        self, interface: RobotInterface, sensing: Sensing, dry_run: bool, velocity_share: float = 1.0
    ) -> None:
        self._interface, self._sensing, self._dry_run = interface, sensing, dry_run
        self._velocity_share = velocity_share
        self._limits = interface.joints.limits
        self._dt_s = 1.0 / interface.rate_hz
        self.outlets: list[Outlet] = []
        self.listeners: list[Callable[[FloatArray], None]] = []
        self.setpoint: FloatArray | None = None
        self._velocity = np.zeros(len(interface.joint_names))
        self.sent_s = self._sent_clock_s = -np.inf  # on the monotonic and on the robot's clock

    def open(self, bus: Bus) -> None:
        """Open the publishers of channels that have a topic."""
        channels = [c for c in self._interface.channels if c.topic]
        self.outlets = [
            Outlet(bus, self._interface, c, self._dry_run, self._velocity_share) for c in channels
        ]

    def send(self, command: JointCommand, state: RobotState) -> FloatArray:
        """Send a setpoint; return it: every joint, within the limits."""
        now_s = time.monotonic()
        last = state.joint_pos if self.setpoint is None else self.setpoint
        target = last.copy()
        target[self._interface.joints.columns(command.joint_names)] = command.joint_pos
        target = np.clip(target, self._limits.lower, self._limits.upper)
        velocity = (target - last) / self._dt_s if self._is_streaming() else 0.0 * target
        setpoint = Setpoint(target, velocity, state.joint_pos, state.joint_vel)
        for outlet in self.outlets:
            outlet.send(setpoint)
        self.setpoint, self._velocity = target, velocity
        for listener in self.listeners:
            listener(target)
        self.sent_s, self._sent_clock_s = now_s, self._sensing.clock()
        return target.copy()

    def forget(self) -> None:
        """Begin where the robot is."""
        self.setpoint, self._velocity = None, np.zeros(len(self._interface.joint_names))

    def _is_streaming(self) -> bool:
        """Whether the last setpoint was one of a stream, so that the setpoint has a speed."""
        return self._sensing.clock() - self._sent_clock_s < _STREAMS * self._dt_s

    # ---- silence and stops --------------------------------------------------------------------

    def halt_silent(self, now_s: float) -> bool:
        """Set velocity and effort controllers to zero that nobody commands; return whether there are any."""
        silent_s = now_s - self.sent_s
        silent = [o for o in self.outlets if o.keeps_running and silent_s > o.channel.timeout_s]
        for outlet in silent:
            outlet.halt()
        return bool(silent)

    def brake(self) -> Exception | None:
        """Brake from the last setpoint, then hold it; velocity and effort controllers are set to zero.

        Returns:
            What a listener raised, which does not keep the robot from coming to rest.
        """
        if self.setpoint is None or not self.outlets:
            return None
        trouble: Exception | None = None
        start, velocity = self._moving_from(self.setpoint)
        holders = [o for o in self.outlets if not o.keeps_running]
        path = braking_path(start, velocity, self._limits, self._dt_s)
        last = path[-1] if path else start
        zero = np.zeros(len(last))
        for k, joint_pos in enumerate([*path, *[last] * _HOLD_REPEATS]):
            for outlet in self.outlets:
                outlet.halt()
            for outlet in holders:
                outlet.send(Setpoint(joint_pos, zero, joint_pos, zero))
            try:
                for listener in self.listeners:
                    listener(joint_pos)
            except Exception as error:  # returned
                trouble = trouble or error
            if k + 1 < len(path) + _HOLD_REPEATS:
                time.sleep(self._dt_s)
        self.setpoint, self._velocity = last, zero
        return trouble

    def stay(self, joint_pos: FloatArray, channels: Sequence[str]) -> None:
        """Tell controllers, by their topics, to come to rest at positions (num_joints,), all joints."""
        for outlet in self.outlets:
            if outlet.channel.topic in channels:
                outlet.stay(joint_pos)

    def _moving_from(self, setpoint: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where, and how fast, it brakes from: the setpoint, or the robot where that is far away."""
        speed = self._velocity if self._is_streaming() else 0.0 * self._velocity
        known = self._sensing.if_known()
        if known is not None and not self._dry_run:
            sensed_pos, sensed_vel = known
            if (np.abs(sensed_pos - setpoint) > _FAR + _LAG_S * np.abs(speed)).any():
                return sensed_pos, sensed_vel
        return setpoint, speed

    def close(self) -> None:
        """End; idempotent."""
        for outlet in self.outlets:
            outlet.close()
