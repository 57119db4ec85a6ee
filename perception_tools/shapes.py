"""Shape, size and place of one object from a single view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from perception_tools.boxes import Box3D
from perception_tools.fitting import Evidence, fit_solid
from perception_tools.geometry import FloatArray
from perception_tools.queries import CONTAINERS
from perception_tools.solids import YAW_ARM_M, Solid


@dataclass(frozen=True)
class ShapeConfig:
    """How shapes are told apart.

    Attributes:
        wall_m: Wall thickness assumed of hollow things [m].
        rim_m: Depth of the band of highest points taken as top or rim [m].
        mug_aspect: Height over diameter that separates bowls (below) from mugs.
        plate_aspect: Height over diameter that separates plates (below) from bowls.
        misfit_scale: Difference of misfits that halves the odds (about) of a shape.
        max_misfit: A shape with a larger misfit is called `object`.
        max_points: Surface points used.
        max_outline: Outline points used.
    """

    wall_m: float = 0.005
    rim_m: float = 0.006
    mug_aspect: float = 0.58
    plate_aspect: float = 0.15
    misfit_scale: float = 0.15
    max_misfit: float = 2.5
    max_points: int = 160
    max_outline: int = 120


@dataclass(frozen=True, eq=False)
class ShapeEstimate:
    """What an object looks like.

    Attributes:
        shape: box, cylinder, sphere, mug, bowl, tray, or `object` where none fits.
        confidence: Of the shape, in [0, 1].
        scores: Probability of every shape that was considered; they sum to 1.
        solid: The fitted solid.
        box: Its gravity-aligned box; of a mug, the body without the handle.
        misfit: Mean robust residual of the fit in units of the noise.
    """

    shape: str
    confidence: float
    scores: Mapping[str, float]
    solid: Solid
    box: Box3D
    misfit: float

    @property
    def is_container(self) -> bool:
        """Whether things can be put into it."""
        return self.shape in CONTAINERS


@dataclass(frozen=True, eq=False)
class Covered:
    """What is known of a thing's top from what stands on it: where that is (K, 2) [m], and how high [m]."""

    footprint: FloatArray
    top_z_m: float


def estimate_shape(
    evidence: Evidence,
    base_z_m: float,
    *,
    is_open: bool,
    on_top: Covered | None = None,
    config: ShapeConfig | None = None,
) -> ShapeEstimate:
    """Fit the solids that come into question and compare how well they explain the view.

    Args:
        evidence: What the view shows of the object.
        base_z_m: Height of what it stands on [m].
        is_open: Whether it is hollow and open at the top.
        on_top: What stands on it and hides its extent.
        config: Settings.

    Raises:
        ValueError: If there are fewer than 8 points.
    """
    config = config or ShapeConfig()
    if len(evidence.points) < 8:
        raise ValueError(f"estimate_shape needs 8 points or more, got {len(evidence.points)}")
    starts = _starts(evidence.points, base_z_m, is_open, on_top, config)
    thin = evidence.thinned(config.max_points, config.max_outline)
    fits = _fit_all(starts, thin, () if on_top is None else ("height",))
    names = list(fits)
    misfits = np.array([fits[name][1] for name in names])
    odds = np.exp(-(misfits - misfits.min()) / config.misfit_scale)
    odds /= odds.sum()
    best = names[int(np.argmax(odds))]
    solid, misfit = fits[best]
    scores = _shape_scores(dict(zip(names, odds, strict=True)), fits, config)
    shape = max(scores, key=lambda name: scores[name])
    if misfit > config.max_misfit:
        shape, scores = "object", {"object": 1.0 - 0.5 * max(scores.values())}
    return ShapeEstimate(shape, float(scores[shape]), scores, solid, solid.box(), misfit)


def _fit_all(
    starts: Mapping[str, Solid], evidence: Evidence, fixed: tuple[str, ...]
) -> dict[str, tuple[Solid, float]]:
    """Fit every solid roughly, and those that may still win to the end."""
    rough = {name: fit_solid(start, evidence, iterations=3, fixed=fixed) for name, start in starts.items()}
    best = min(misfit for _, misfit in rough.values())
    return {
        name: fit_solid(solid, evidence, fixed=fixed) if misfit < 2 * best + 0.2 else (solid, misfit)
        for name, (solid, misfit) in rough.items()
    }


def _starts(
    points: FloatArray, base_z: float, is_open: bool, on_top: Covered | None, config: ShapeConfig
) -> dict[str, Solid]:
    """Return the first guess of every solid that comes into question, by name."""
    top_z = float(np.quantile(points[:, 2], 0.97)) if on_top is None else on_top.top_z_m
    height = max(top_z - base_z, 0.006)
    xy = points[:, :2] if on_top is None else np.concatenate([points[:, :2], on_top.footprint])
    (cx, cy), (a, b), angle = cv2.minAreaRect(xy.astype(np.float32))
    box = np.array([cx, cy, np.deg2rad(angle) * YAW_ARM_M, max(a, 0.005), max(b, 0.005), height])
    if is_open:
        wall = config.wall_m
        rim = points[:, 2] > np.quantile(points[:, 2], 0.97) - config.rim_m
        ring_xy, ring_radius = _circle(points[rim, :2])
        taper = 0.65 if height < config.mug_aspect * 2 * ring_radius else 1.0
        ring = np.array([*ring_xy, ring_radius, taper * ring_radius, height])
        return {
            "hollow box": Solid("box", box, base_z, wall),
            "hollow round": Solid("frustum", ring, base_z, wall),
        }
    radius = max(min(a, b) / 2, 0.004)
    round_ = np.array([cx, cy, radius, radius, height])
    ball = np.array([cx, cy, max(height / 2, 0.004)])
    starts = {"box": Solid("box", box, base_z), "cylinder": Solid("frustum", round_, base_z)}
    if 0.5 < height / max(a, b, 1e-3) < 2.5:
        starts["sphere"] = Solid("ball", ball, base_z)
    if 0.6 < height / max(min(a, b), 1e-3) < 1.6 and max(a, b) > 1.2 * height:
        yaw = np.deg2rad(angle + (0 if a >= b else 90))
        starts["lying"] = Solid("lying", np.array([cx, cy, yaw * YAW_ARM_M, max(a, b), height / 2]), base_z)
    return starts


def _circle(xy: FloatArray) -> tuple[FloatArray, float]:
    """Fit a circle (Kasa), then again without the worst points; returns centre (2,) and radius [m]."""
    keep = np.ones(len(xy), dtype=bool)
    center, radius = xy.mean(axis=0), 0.01
    for _ in range(3):
        p = xy[keep]
        solution = np.linalg.lstsq(np.column_stack([2 * p, np.ones(len(p))]), (p**2).sum(axis=1), rcond=None)[
            0
        ]
        center = solution[:2]
        radius = float(np.sqrt(max(solution[2] + center @ center, 1e-6)))
        error = np.abs(np.linalg.norm(xy - center, axis=1) - radius)
        keep = error <= max(np.quantile(error, 0.8), 0.002)
    return center, float(np.clip(radius, 0.004, 0.3))


def _shape_scores(
    odds: Mapping[str, float], fits: Mapping[str, tuple[Solid, float]], config: ShapeConfig
) -> dict[str, float]:
    scores: dict[str, float] = {}
    for name, p in odds.items():
        if name == "hollow round":
            for shape, share in _hollow_round(fits[name][0], config).items():
                scores[shape] = scores.get(shape, 0.0) + float(p) * share
            continue
        shape = {"hollow box": "tray", "lying": "cylinder"}.get(name, name)
        scores[shape] = scores.get(shape, 0.0) + float(p)
    return scores


def _hollow_round(solid: Solid, config: ShapeConfig) -> dict[str, float]:
    """Tell mug, bowl and plate by height over diameter, with soft limits."""
    _, _, top, base, height = solid.params
    aspect = np.log(height / (2 * max(top, base)))
    is_mug = 1 / (1 + np.exp(-(aspect - np.log(config.mug_aspect)) / 0.06))
    is_plate = 1 / (1 + np.exp((aspect - np.log(config.plate_aspect)) / 0.06))
    return {"mug": is_mug, "tray": (1 - is_mug) * is_plate, "bowl": (1 - is_mug) * (1 - is_plate)}
