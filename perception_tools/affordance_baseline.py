"""A geometric estimate of a tool's state, without learning: what encoders are compared with.

The long principal axis is the tool's; the end where the cloud parts in two is that of the tips, or the
slimmer one where none or both part; the opening is the gap there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from perception_tools.affordance_frames import MIN_POINTS, is_stray
from perception_tools.affordance_state import LATENT, ToolState
from perception_tools.geometry import FloatArray

_SLAB: Final = 0.11  # of the length: the tips' gripping faces
_SIZE: Final = 0.26  # mean largest opening of the trained kinds, as a share of the length
_GAP: Final = 6.0  # mean spacings of points that make a gap


@dataclass(frozen=True, eq=False)
class _End:
    """One end of the cloud: its middle, the gap in it, along which direction, and its extent [m]."""

    middle: FloatArray
    gap_m: float
    across: FloatArray
    extent_m: float


class GeometricEncoder:
    """An `AffordanceEncoder` by principal axes and gaps; it knows no kinds and no deviations (nan)."""

    name = "geometric"

    def estimate(self, points: FloatArray) -> ToolState:
        """See `AffordanceEncoder.estimate`."""
        points = np.asarray(points, np.float64)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points) < MIN_POINTS:
            raise ValueError(f"a cloud of {len(points)} points shows too little; {MIN_POINTS} are needed")
        points = points[~is_stray(points)]
        offset = points - points.mean(axis=0)
        axis = np.linalg.eigh(offset.T @ offset)[1][:, -1]
        along = offset @ axis
        low, high = np.quantile(along, [0.005, 0.995])
        length = float(high - low)
        ends = [
            _end(points[along < low + _SLAB * length], axis),
            _end(points[along > high - _SLAB * length], axis),
        ]
        parted = [end.gap_m > 0 for end in ends]
        chosen = parted.index(True) if sum(parted) == 1 else int(np.argmin([end.extent_m for end in ends]))
        end, nan = ends[chosen], float("nan")
        return ToolState(
            kind="", probability=nan, p_other=0.0, novelty=0.0, opening_m=end.gap_m, opening_sd_m=nan,
            size_range_m=(0.0, _SIZE * length), size_sd_m=nan, p_tip=end.middle, tip_sd_m=nan,
            approach=axis if chosen else -axis, approach_sd_rad=nan, across=end.across, across_sd_rad=nan,
            latent=np.zeros(LATENT),
        )  # fmt: skip


def _end(points: FloatArray, axis: FloatArray) -> _End:
    """Look for a gap across `axis` in the points at an end."""
    mean = points.mean(axis=0)
    offset = points - mean
    flat = offset - np.outer(offset @ axis, axis)
    across = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    position = np.sort(flat @ across)
    extent = float(position[-1] - position[0])
    if len(position) < 6:
        return _End(mean, 0.0, across, extent)
    # The wall of a round loop has many points of one position: gaps are sought away from the ends.
    inner = slice(len(position) // 10, len(position) - len(position) // 10)
    steps = np.diff(position[inner])
    k = int(np.argmax(steps))
    if steps[k] < max(_GAP * extent / len(position), 1e-3):
        return _End(mean, 0.0, across, extent)
    middle = (position[inner][k] + position[inner][k + 1]) / 2
    return _End(mean + (middle - float((flat @ across).mean())) * across, float(steps[k]), across, extent)
