"""Opening of a tool by the position of its joint: exact laws, with their inverses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class HingeOpening:
    """Distance of two points, one on each half of a hinged tool: `2 r sin((angle + offset) / 2)`.

    Both points are `radius_m` from the hinge axis in the same plane across it, so the law is exact. It
    takes floats, NumPy arrays and torch tensors.

    Attributes:
        radius_m: Distance of both points from the hinge axis [m].
        offset_rad: Angle between the two at joint position 0 [rad].
        angle_range_rad: Joint range [rad].
    """

    radius_m: float
    offset_rad: float
    angle_range_rad: tuple[float, float]

    def opening_m(self, angle: Any) -> Any:
        """Return the distance [m] at a joint position [rad]."""
        half = 0.5 * (angle + self.offset_rad)
        return 2 * self.radius_m * (half.sin() if hasattr(half, "sin") else np.sin(half))

    def joint_pos(self, opening_m: Any) -> Any:
        """Return the joint position [rad] at a distance [m]; not limited to the joint's range."""
        ratio = opening_m / (2 * self.radius_m)
        return 2 * (ratio.asin() if hasattr(ratio, "asin") else np.arcsin(ratio)) - self.offset_rad

    @property
    def range_m(self) -> tuple[float, float]:
        """Distances [m] at the ends of the joint's range."""
        low, high = self.angle_range_rad
        return float(self.opening_m(low)), float(self.opening_m(high))


@dataclass(frozen=True)
class SlideOpening:
    """Distance of two points of a sliding tool: `closed_m + position`.

    Attributes:
        closed_m: Distance at joint position 0 [m].
        travel_m: Joint range [m].
    """

    closed_m: float
    travel_m: tuple[float, float]

    def opening_m(self, position: Any) -> Any:
        """Return the distance [m] at a joint position [m]."""
        return self.closed_m + position

    def joint_pos(self, opening_m: Any) -> Any:
        """Return the joint position [m] at a distance [m]; not limited to the joint's range."""
        return opening_m - self.closed_m

    @property
    def range_m(self) -> tuple[float, float]:
        """Distances [m] at the ends of the joint's range."""
        return self.closed_m + self.travel_m[0], self.closed_m + self.travel_m[1]


Opening = HingeOpening | SlideOpening
