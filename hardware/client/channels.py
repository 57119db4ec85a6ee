"""What goes out: setpoints in our units become the messages of a robot's controllers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hardware.bus import COMMAND, Bus, Publisher
from hardware.interface import KEEPS_RUNNING, Channel, RobotInterface
from hardware.ros.joints import WireTrajectory, joint_state_fields, trajectory_fields
from perception_tools.geometry import FloatArray
from policies.robot import JointLimits

SHADOW: Final = "shadow"
"""Before the topics of a dry run, relative to the node's namespace."""
_STAY_S: Final = 0.5  # time that a controller gets to come to rest [s]


@dataclass(frozen=True, eq=False)
class Setpoint:
    """What is sent next, and what a velocity or effort controller needs besides; arrays (num_joints,).

    Attributes:
        joint_pos: Positions [rad] or [m].
        joint_vel: Their speed [rad/s] or [m/s].
        sensed_pos: Sensed positions [rad] or [m].
        sensed_vel: Sensed velocities [rad/s] or [m/s].
    """

    joint_pos: FloatArray
    joint_vel: FloatArray
    sensed_pos: FloatArray
    sensed_vel: FloatArray


def shadow_topic(topic: str) -> str:
    """Return where a dry run publishes instead of `topic`."""
    return f"{SHADOW}/{topic.lstrip('/')}"


class Outlet:
    """Publishes setpoints of one channel.

    Args:
        bus: The node.
        robot: The robot.
        channel: One of its channels.
        dry_run: Whether to publish on the shadow topic only.
        velocity_share: Share of the robot's velocity limits that velocity commands keep.
    """

    def __init__(
        self,
        bus: Bus,
        robot: RobotInterface,
        channel: Channel,
        dry_run: bool = False,
        velocity_share: float = 1.0,
    ) -> None:
        self.channel = channel
        self._bus = bus
        self._columns = robot.joints.columns(channel.joint_names)
        self._names = [robot.joints.on_wire[k] for k in self._columns]
        self._sign, self._offset = robot.joints.sign[self._columns], robot.joints.offset[self._columns]
        self._limits: JointLimits = robot.joints.limits
        self._velocity_share = velocity_share
        topic = shadow_topic(channel.topic) if dry_run else channel.topic
        self._publisher: Publisher = bus.publisher(channel.message, topic, COMMAND)

    @property
    def topic(self) -> str:
        """Absolute name of where it publishes."""
        return self._publisher.topic

    @property
    def num_subscribers(self) -> int:
        """Controllers that listen."""
        return self._publisher.num_subscribers

    @property
    def keeps_running(self) -> bool:
        """Whether the controller moves on by itself when it hears nothing."""
        return self.channel.kind in KEEPS_RUNNING

    def send(self, setpoint: Setpoint) -> None:
        """Publish a setpoint."""
        match self.channel.kind:
            case "trajectory":
                self._send_point(setpoint.joint_pos, self.channel.lookahead_s or 1 / self.channel.rate_hz)
            case "position" | "joint_state":
                self._send_values(self._on_wire(setpoint.joint_pos))
            case "velocity":
                self._send_values(self._sign * self._velocity(setpoint))
            case "effort":
                self._send_values(self._sign * self._effort(setpoint))

    def halt(self) -> None:
        """Publish zero velocity or effort; the other kinds hold their last setpoint by themselves."""
        if self.keeps_running:
            self._send_values(np.zeros(len(self._columns)))

    def stay(self, joint_pos: FloatArray) -> None:
        """Publish a trajectory that comes to rest at positions (num_joints,), in place of one under way."""
        if self.channel.kind == "trajectory":
            self._send_point(joint_pos, _STAY_S)

    def close(self) -> None:
        """End; idempotent."""
        self._publisher.close()

    # ---- parts --------------------------------------------------------------------------------

    def _on_wire(self, joint_pos: FloatArray) -> FloatArray:
        return self._sign * (joint_pos[self._columns] + self._offset)

    def _velocity(self, s: Setpoint) -> FloatArray:
        k, limit = self._columns, self._velocity_share * self._limits.velocity[self._columns]
        return np.clip(s.joint_vel[k] + self.channel.kp * (s.joint_pos - s.sensed_pos)[k], -limit, limit)

    def _effort(self, s: Setpoint) -> FloatArray:
        k, limit = self._columns, self._limits.effort[self._columns]
        wanted = self.channel.kp * (s.joint_pos - s.sensed_pos)[k] - self.channel.kd * s.sensed_vel[k]
        return np.clip(wanted, -limit, limit)

    def _send_point(self, joint_pos: FloatArray, in_s: float) -> None:
        point = WireTrajectory(tuple(self._names), np.array([in_s]), self._on_wire(joint_pos)[None], None)
        self._publisher.publish(self._bus.message(self.channel.message, **trajectory_fields(point)))

    def _send_values(self, values: FloatArray) -> None:
        if self.channel.kind == "joint_state":
            fields = joint_state_fields(self._names, values, self._bus.now_ns())
            self._publisher.publish(self._bus.message(self.channel.message, **fields))
        else:
            self._publisher.publish(self._bus.message(self.channel.message, data=values))


def braking_path(
    joint_pos: FloatArray, joint_vel: FloatArray, limits: JointLimits, dt_s: float
) -> list[FloatArray]:
    """Return the setpoints that bring a moving setpoint to rest as fast as the acceleration limits allow.

    Args:
        joint_pos: Where it is [rad] or [m], (num_joints,).
        joint_vel: How fast it moves [rad/s] or [m/s], (num_joints,).
        limits: Accelerations and positions that are kept.
        dt_s: Time between setpoints [s].
    """
    path, step = [], limits.acceleration * dt_s
    velocity = np.clip(joint_vel, -limits.velocity, limits.velocity)
    inside = (joint_pos >= limits.lower) & (joint_pos <= limits.upper)
    while np.abs(velocity).max() > 1e-9:
        velocity = np.sign(velocity) * np.maximum(np.abs(velocity) - step, 0.0)
        joint_pos = joint_pos + velocity * dt_s
        joint_pos = np.where(inside, np.clip(joint_pos, limits.lower, limits.upper), joint_pos)
        path.append(joint_pos)
    return path
