"""Measures of seen objects with their uncertainty: from the tools for it, else from what `detect` gave."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vlm_agent.scripted import match
from vlm_agent.scripted.program import Call, Steps
from vlm_agent.scripted.run import Run
from vlm_agent.scripted.scene import Seen

_SIGMA_M = 0.003  # of a side as `detect` tells it
_FIELDS = {"height": "height", "width": "width", "length": "length"}


@dataclass(frozen=True)
class Length:
    """A length and its standard deviation [m]."""

    value_m: float
    sigma_m: float

    def words(self) -> str:
        """Return "7.2 cm ± 0.4 cm", of which the second is two standard deviations."""
        return f"{100 * self.value_m:.1f} cm \u00b1 {100 * self._spread_m():.1f} cm"

    def is_about_zero(self) -> bool:
        """Whether it can't be told from zero: within two standard deviations, as they are stated."""
        return abs(self.value_m) <= self._spread_m()

    def _spread_m(self) -> float:
        return max(0.001, 2 * self.sigma_m)


def side(run: Run, o: Seen, key: str) -> Steps[Length]:
    """Return the height, width or length of an object."""
    if run.offers("measure") and key in _FIELDS:
        (result,) = yield from run.call(f"Measure {o.name}.", Call("measure", {"box": o.box}))
        name = _FIELDS[key]
        value, sigma = (result.value.get(f"{name}_{part}") for part in ("m", "sigma_m"))
        if result.ok and isinstance(value, int | float) and isinstance(sigma, int | float):
            run.facts.append(result.call_id)
            return Length(float(value), float(sigma))
    return Length(match.measure(o, key), _SIGMA_M)


def apart(run: Run, a: Seen, b: Seen, *, is_gap: bool) -> Steps[Length]:
    """Return the distance of two centres along the table, or the gap between two objects."""
    if run.offers("distance"):
        call = Call("distance", {"a": a.box, "b": b.box})
        (result,) = yield from run.call(f"How far is {a.name} from {b.name}?", call)
        value = result.value.get("gap_m" if is_gap else "horizontal_m")
        sigma = result.value.get("gap_sigma_m" if is_gap else "horizontal_sigma_m")
        if result.ok and isinstance(value, int | float) and isinstance(sigma, int | float):
            run.facts.append(result.call_id)
            return Length(float(value), float(sigma))
    between = math.dist(a.center_m[:2], b.center_m[:2])
    if not is_gap:
        return Length(between, 1.4 * _SIGMA_M)
    reach = sum((o.size_m[0] + o.size_m[1]) / 4 for o in (a, b))
    return Length(max(0.0, between - reach), 2 * _SIGMA_M)


def room(run: Run, thing: Seen, box: Seen) -> Steps[Length]:
    """Return how much room a thing has on every side in a container, < 0 where it does not fit."""
    if run.offers("fits"):
        call = Call("fits", {"box": thing.box, "into": box.box})
        (result,) = yield from run.call(f"Does {thing.name} go into {box.name}?", call)
        value, sigma = result.value.get("margin_m"), result.value.get("sigma_m")
        if result.ok and isinstance(value, int | float) and isinstance(sigma, int | float):
            run.facts.append(result.call_id)
            return Length(float(value), float(sigma))
    wall = 0.01
    needs = math.hypot(*thing.size_m[:2]) if thing.shape == "box" and box.shape != "tray" else thing.size_m[0]
    if thing.shape == "box" and box.shape == "tray":
        margins = [box.size_m[k] - wall - thing.size_m[k] for k in range(2)]
        return Length(min(margins) / 2, _SIGMA_M)
    return Length((box.size_m[1] - wall - needs) / 2, _SIGMA_M)
