"""What is sensed of a hinged tool that a robot's hand holds: how far it is open, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from perception_tools.geometry import BoolArray, FloatArray, Transform


@dataclass(frozen=True, eq=False)
class ToolReading:
    """One reading.

    The `tool` frame is at the tool's grip: z towards the tips, y from the right to the left arm. `palm` is
    the hand's.

    Attributes:
        opening_m: Distance of the tips [m].
        hinge_vel: Speed of the hinge [rad/s].
        T_world_tool: Where the tool is.
        T_palm_tool: Where it is in the hand.
        p_tip: Middle of the tips in world [m], (3,).
        stamp_s: Time on the robot's clock [s].
    """

    opening_m: float
    hinge_vel: float
    T_world_tool: Transform
    T_palm_tool: Transform
    p_tip: FloatArray
    stamp_s: float

    @property
    def tip_axis(self) -> FloatArray:
        """Unit vector in world along which the tips part, (3,)."""
        return self.T_world_tool.rotation[:, 1]

    def contains(self, p_world: FloatArray, length_m: float, padding_m: float) -> BoolArray:
        """Return which points in world [m], (N, 3), lie along the tool, from its heel to the tips; (N,)."""
        p = self.T_world_tool.inverse() @ p_world
        tip_z = float((self.T_world_tool.inverse() @ self.p_tip)[2])
        across = self.opening_m / 2 + padding_m
        return (
            (np.abs(p[:, 0]) < padding_m)
            & (np.abs(p[:, 1]) < across)
            & (p[:, 2] > tip_z - length_m - padding_m)
            & (p[:, 2] < tip_z + 0.5 * padding_m)
        )


@runtime_checkable
class ToolSensor(Protocol):
    """Senses the tool in the hand. What it measures with is its own affair, and its `source` says it."""

    @property
    def name(self) -> str:
        """Kind of tool, "tweezers"."""
        ...

    @property
    def source(self) -> str:
        """What the readings come from, in a few words."""
        ...

    @property
    def length_m(self) -> float:
        """From heel to tips [m]."""
        ...

    @property
    def opening_range_m(self) -> tuple[float, float]:
        """Openings that the hand can hold it at [m]."""
        ...

    @property
    def hand_joints(self) -> tuple[str, ...]:
        """The joints of the hand that holds it."""
        ...

    @property
    def hand_range(self) -> tuple[FloatArray, FloatArray]:
        """Targets of the hand's joints with the tool open, and closed [rad], (num_hand_joints,) each."""
        ...

    def read(self) -> ToolReading:
        """Return the newest reading."""
        ...
