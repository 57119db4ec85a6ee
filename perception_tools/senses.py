"""The `Senses` contract: what a robot feels and hears beside its cameras.

A robot has some of these senses or none; what it lacks is empty or None in its readings. Names are
the sensors' own ("left_finger"), never those of the things that are touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from perception_tools.geometry import FloatArray, Transform


@dataclass(frozen=True, eq=False)
class TactileReading:
    """One tactile array.

    Attributes:
        force_n: Normal force on each taxel [N], (rows, cols); columns along the pad's x, rows along y.
        size_m: Extents of the pad along x and y [m].
        T_world_pad: Pose of the pad: origin at the middle of its surface, z out of it.
    """

    force_n: FloatArray
    size_m: tuple[float, float]
    T_world_pad: Transform

    def __post_init__(self) -> None:
        """Refuse arrays that are not rows x cols of forces."""
        if np.ndim(self.force_n) != 2 or not np.size(self.force_n):
            raise ValueError(f"force_n must be (rows, cols), got {np.shape(self.force_n)}")

    @property
    def total_n(self) -> float:
        """Normal force on the pad [N]."""
        return float(self.force_n.sum())

    def center_of_pressure(self) -> FloatArray | None:
        """Return where the pad is pressed, in world [m], (3,); None if it is not."""
        if self.total_n <= 0.0:
            return None
        rows, cols = self.force_n.shape
        x = (np.arange(cols) + 0.5) / cols - 0.5
        y = (np.arange(rows) + 0.5) / rows - 0.5
        share = self.force_n / self.total_n
        at = (share.sum(0) @ x * self.size_m[0], share.sum(1) @ y * self.size_m[1], 0.0)
        return self.T_world_pad @ np.array(at)


@dataclass(frozen=True, eq=False)
class WrenchReading:
    """One force and torque sensor.

    Attributes:
        force_n: Force of the world on the sensor's side of the robot [N], in the sensor's frame, (3,).
        torque_nm: Torque about the sensor's origin [N m], in its frame, (3,).
        T_world_sensor: Pose of the sensor.
    """

    force_n: FloatArray
    torque_nm: FloatArray
    T_world_sensor: Transform


@dataclass(frozen=True)
class SenseReading:
    """What is sensed at one moment.

    Attributes:
        stamp_s: When, on the robot's clock [s].
        tactile: Tactile arrays by name.
        wrenches: Force and torque sensors by name.
        sound_j: Energy of the impacts heard since the last reading at an earlier time [J], or None.
        temperatures_c: Thermometers by name [degC].
    """

    stamp_s: float
    tactile: Mapping[str, TactileReading] = field(default_factory=dict)
    wrenches: Mapping[str, WrenchReading] = field(default_factory=dict)
    sound_j: float | None = None
    temperatures_c: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Senses(Protocol):
    """Senses of a robot. Threads may read at once; readings at one time are equal."""

    def read(self) -> SenseReading:
        """Return what is sensed now.

        Raises:
            RuntimeError: A sensor does not answer.
        """
        ...
