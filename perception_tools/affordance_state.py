"""What an affordance encoder says of a tool, and how its outputs in four frames become one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from perception_tools.affordance_frames import FramedCloud, frame_cloud
from perception_tools.geometry import FloatArray

KINDS: Final = ("tweezers", "scissors", "pliers", "other")
"""Kinds of things in the order of the encoder's logits."""

OTHER: Final = "other"
TOOLS: Final = KINDS[:-1]
"""Those with jaws."""
LATENT: Final = 32
"""Size of the latent."""

MAX_P_OTHER: Final = 0.5
MAX_NOVELTY: Final = 1.0
"""Beyond either, a cloud is taken for something else than a tool with jaws."""

OPENING, SIZE, TIP, APPROACH, ACROSS = range(5)
"""Rows of the calibrated deviations."""

OUTPUTS: Final = (
    "latent",
    "state",
    "logits",
    "tip",
    "approach",
    "across",
    "log_var",
    "novelty",
    "temperature",
)
"""Names of what a network returns; see `perception_tools.affordance_nets.AffordanceNet.forward`."""

Raw = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ToolState:
    """Affordances of a tool with jaws, as seen in a cloud, in the cloud's frame.

    Deviations are calibrated: errors of `opening_m` are within one `opening_sd_m` for 68 % of the clouds
    of trained kinds of tools.

    Attributes:
        kind: Likeliest of `KINDS`.
        probability: Of that kind.
        p_other: Probability that it is no tool with jaws.
        novelty: Distance of the latent from those of the nearest kind of tools, in units of the distance
            that 99 % of the trained ones keep; above 1 it is like none of them.
        opening_m: Distance of the tips [m].
        opening_sd_m: Its standard deviation [m].
        size_range_m: Least and greatest size that fits between the tips [m]. The least is 0: the tips of
            all trained kinds meet. The greatest is what tools like this one open to; a cloud seldom shows it.
        size_sd_m: Standard deviation of the greatest size [m].
        p_tip: Middle of the tips [m], (3,).
        tip_sd_m: Standard deviation of each of its coordinates [m].
        approach: Unit vector from the pivot to the tips, (3,).
        approach_sd_rad: Its standard deviation about each axis [rad].
        across: Unit vector along which the tips part, (3,), sign arbitrary.
        across_sd_rad: Its standard deviation [rad].
        latent: Code of the above without any pose, (32,).
    """

    kind: str
    probability: float
    p_other: float
    novelty: float
    opening_m: float
    opening_sd_m: float
    size_range_m: tuple[float, float]
    size_sd_m: float
    p_tip: FloatArray
    tip_sd_m: float
    approach: FloatArray
    approach_sd_rad: float
    across: FloatArray
    across_sd_rad: float
    latent: FloatArray

    @property
    def is_tool(self) -> bool:
        """Whether it is a tool with jaws of a kind, or like one, that the encoder knows."""
        return self.p_other < MAX_P_OTHER and self.novelty < MAX_NOVELTY

    @property
    def p_tips(self) -> FloatArray:
        """Both tips [m], (2, 3), in arbitrary order."""
        half = 0.5 * self.opening_m * self.across
        return np.stack([self.p_tip + half, self.p_tip - half])

    @property
    def goal(self) -> FloatArray:
        """State without pose, the goal space of a hand that works the tool: (opening, largest size) [m]."""
        return np.array([self.opening_m, self.size_range_m[1]])


class AffordanceEncoder(Protocol):
    """From a cloud to the state of a tool.

    Attributes:
        name: Of the network, e.g. `pointnet`.
    """

    name: str

    def estimate(self, points: FloatArray) -> ToolState:
        """Return the state of the tool in a cloud [m], (N, 3); moves with the cloud.

        Raises:
            ValueError: The cloud has too few points.
        """
        ...


class FrameEncoder:
    """An encoder that frames clouds for a network and puts its outputs together.

    Args:
        name: Of the network.
        num_points: Points that it reads.
        num_centres: How many of them must be far apart and come first.
    """

    def __init__(self, name: str, num_points: int, num_centres: int) -> None:
        """See the class."""
        self.name, self.num_points, self.num_centres = name, num_points, num_centres

    def run(self, points: NDArray[np.float32], log_scale: NDArray[np.float32]) -> Raw:
        """Run the network on points (batch, 4, N, 3) and log scales (batch,)."""
        raise NotImplementedError

    def frame(self, points: FloatArray) -> FramedCloud:
        """Return a cloud as the network wants it."""
        return frame_cloud(points, self.num_points, self.num_centres)

    def estimate(self, points: FloatArray) -> ToolState:
        """See `AffordanceEncoder.estimate`."""
        cloud = self.frame(points)
        raw = self.run(cloud.points[None], np.array([np.log(cloud.scale_m)], np.float32))
        return merge(cloud, {name: values[0] for name, values in raw.items()})


def merge(cloud: FramedCloud, raw: Mapping[str, Any]) -> ToolState:
    """Put a network's outputs for the frames of one cloud together.

    Args:
        cloud: The cloud.
        raw: One row of each of `OUTPUTS`.
    """
    scale, warm = cloud.scale_m, np.asarray(raw["temperature"], np.float64)
    state = np.asarray(raw["state"], np.float64)
    log_var = np.asarray(raw["log_var"], np.float64)
    tips, approaches, acrosses = cloud.to_cloud(raw["tip"]), cloud.turn(raw["approach"]), raw["across"]
    p_tip, tip_sd = _weighted(tips, log_var[:, 0], scale)
    approach, approach_sd = _weighted(approaches, log_var[:, 1], 1.0)
    across, across_sd = _weighted_axis(cloud.turn(acrosses), log_var[:, 2])
    odds = np.exp(np.asarray(raw["logits"], np.float64) - np.max(raw["logits"]))
    odds /= odds.sum()
    best = int(np.argmax(odds))
    opening = max(float(scale * state[0]), 0.0)
    return ToolState(
        kind=KINDS[best],
        probability=float(odds[best]),
        p_other=float(odds[KINDS.index(OTHER)]),
        novelty=float(np.asarray(raw["novelty"]).reshape(-1)[0]),
        opening_m=opening,
        opening_sd_m=float(warm[OPENING] * scale * np.exp(0.5 * state[1])),
        size_range_m=(0.0, max(float(scale * state[2]), opening)),
        size_sd_m=float(warm[SIZE] * scale * np.exp(0.5 * state[3])),
        p_tip=p_tip,
        tip_sd_m=float(warm[TIP] * tip_sd),
        approach=approach / max(float(np.linalg.norm(approach)), 1e-12),
        approach_sd_rad=float(warm[APPROACH] * approach_sd),
        across=across,
        across_sd_rad=float(warm[ACROSS] * across_sd),
        latent=np.asarray(raw["latent"], np.float64),
    )


def _weighted(values: FloatArray, log_var: FloatArray, unit: float) -> tuple[FloatArray, float]:
    """Return the mean of (4, 3) by inverse variance, and its deviation, disagreement included."""
    var = unit**2 * np.exp(log_var)
    weights = (1 / var) / (1 / var).sum()
    mean = weights @ values
    spread = ((values - mean) ** 2).mean(axis=1)
    return mean, float(np.sqrt(weights @ (var + spread)))


def _weighted_axis(axes: FloatArray, log_var: FloatArray) -> tuple[FloatArray, float]:
    """Return the mean of directions without sign (4, 3), and its deviation [rad]."""
    var = np.exp(log_var)
    weights = (1 / var) / (1 / var).sum()
    mean = np.linalg.eigh(np.einsum("f,fi,fj->ij", weights, axes, axes))[1][:, -1]
    spread = 1 - (axes @ mean) ** 2
    return mean, float(np.sqrt(weights @ (var + spread)))
