"""How far an estimate is from a labelled cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from perception_tools.affordance_state import AffordanceEncoder, ToolState
from perception_tools.geometry import FloatArray

CHI_3: Final = 1.878
"""68.3 % quantile of the length of a vector of three standard normal numbers."""
CHI_2: Final = 1.516
"""The same of two; a direction errs about two axes."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Errors of an estimate.

    Attributes:
        is_tool: Whether the cloud shows a tool with jaws; if not, the errors mean nothing.
        is_refused: Whether the estimate says that it is none.
        is_kind: Whether the kind is right.
        opening_m: Error of the opening [m].
        size_m: Error of the greatest size [m].
        tip_m: Distance to the middle of the tips [m].
        approach_rad: Angle to the true approach [rad].
        across_rad: Angle to the true opening axis, without sign [rad].
        z: Errors of opening, size, tip, approach, across in units of what 68.3 % should be within, (5,).
        latent: Latent of the estimate.
    """

    is_tool: bool
    is_refused: bool
    is_kind: bool
    opening_m: float
    size_m: float
    tip_m: float
    approach_rad: float
    across_rad: float
    z: FloatArray
    latent: FloatArray


def measure(encoder: AffordanceEncoder, cloud: Any) -> Measured:
    """Estimate a labelled cloud (as of `sim.clouds`) and compare."""
    return compare(encoder.estimate(cloud.points), cloud)


def compare(state: ToolState, cloud: Any) -> Measured:
    """Compare an estimate with a cloud's labels."""
    opening = abs(state.opening_m - cloud.opening_m)
    size = abs(state.size_range_m[1] - cloud.size_range_m[1])
    tip = float(np.linalg.norm(state.p_tip - cloud.p_tip))
    approach = float(np.arccos(np.clip(state.approach @ cloud.approach, -1, 1)))
    across = float(np.arccos(np.clip(abs(state.across @ cloud.across), 0, 1)))
    errors = np.array([opening, size, tip / CHI_3, approach / CHI_2, across / CHI_2])
    said = np.array(
        [state.opening_sd_m, state.size_sd_m, state.tip_sd_m, state.approach_sd_rad, state.across_sd_rad]
    )
    return Measured(
        cloud.is_tool, not state.is_tool, state.kind == cloud.kind, opening, size, tip, approach, across,
        errors / said, state.latent,
    )  # fmt: skip
