"""Tactile pads: how forces on a rectangle become readings of rows x cols taxels.

A contact force is shared between the four nearest taxels by bilinear weights, as overlapping
receptive fields do; so the sum of the taxels is the normal force on the pad, wherever it acts. Only
pressing counts: the normal force of a contact times the cosine between its normal and the pad's.

Frame of a pad: origin at the centre of its surface, z out of it, columns along x, rows along y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pad:
    """A rectangle of taxels.

    Attributes:
        rows: Taxels along y.
        cols: Taxels along x.
        size_m: Extents along x and y [m].
        depth_m: Contacts this far above or below the surface still are on the pad [m].
    """

    rows: int
    cols: int
    size_m: tuple[float, float]
    depth_m: float = 0.003

    def __post_init__(self) -> None:
        """Refuse pads without taxels or extent."""
        if self.rows < 1 or self.cols < 1:
            raise ValueError(f"a tactile array needs at least 1 x 1 taxels, got {self.rows} x {self.cols}")
        if not all(math.isfinite(s) and s > 0 for s in (*self.size_m, self.depth_m)):
            raise ValueError(
                f"a tactile array needs positive sizes [m], got {self.size_m} and depth {self.depth_m}"
            )


def spread(xp: Any, pad: Pad, points: Any, pressing_n: Any, normal_z: Any) -> Any:
    """Return the force on each taxel [N].

    Args:
        xp: `numpy` or `torch`, whichever the arrays are of.
        pad: The pad.
        points: Contacts in the pad's frame [m], (..., k, 3).
        pressing_n: Their normal forces [N], (..., k); 0 for entries that are no contact.
        normal_z: Component along the pad's z of their normals away from the pad, (..., k).

    Returns:
        Forces, (..., rows, cols).
    """
    along_x = _weights(xp, points[..., 0], pad.size_m[0], pad.cols)
    along_y = _weights(xp, points[..., 1], pad.size_m[1], pad.rows)
    inside = (abs(points[..., 0]) <= pad.size_m[0] * (0.5 + 0.5 / pad.cols)) & (
        abs(points[..., 1]) <= pad.size_m[1] * (0.5 + 0.5 / pad.rows)
    )
    inside = inside & (abs(points[..., 2]) <= pad.depth_m)
    force_n = pressing_n * normal_z.clip(0.0) * inside
    return (force_n[..., None, None] * along_y[..., :, None] * along_x[..., None, :]).sum(-3)


def _weights(xp: Any, at_m: Any, length_m: float, num: int) -> Any:
    """Return the share of each of `num` taxels, (...) to (..., num); they add up to 1."""
    place = ((at_m / length_m + 0.5) * num - 0.5).clip(0.0, num - 1.0)
    return xp.stack([(1.0 - abs(place - k)).clip(0.0) for k in range(num)], -1)


@dataclass(frozen=True)
class MountedPad:
    """A pad on a body of a robot.

    Attributes:
        name: Name of the sensor.
        body: The body.
        pad: Its taxels.
        pos_m: Centre of its surface in the body [m].
        quat_wxyz: Rotation of its frame in the body.
    """

    name: str
    body: str
    pad: Pad
    pos_m: tuple[float, float, float]
    quat_wxyz: tuple[float, float, float, float]
