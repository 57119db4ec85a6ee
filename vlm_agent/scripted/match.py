"""Which of the seen objects satisfy a constraint, as far as one `detect` answer tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vlm_agent.scripted.scene import SIDES, VIEWER_XY, Seen
from vlm_agent.scripted.syntax import Colored, Constraint, Degree, Named, Shaped

STRONG, WEAK, NO = 2, 1, 0
SURE = 0.5  # probability from which a colour name counts as the object's
LIKELY = 0.3  # from which it may be meant if nothing fits better
CLEARLY = 1.15  # ratio from which "big" tells two objects apart
TIE = {"size": 0.04, "other": 0.03, "place_m": 0.012}


def degree_of_match(seen: Seen, constraint: Constraint) -> int:
    """Return `STRONG`, `WEAK` or `NO` for a colour or shape."""
    if isinstance(constraint, Colored):
        return _negated(constraint.negated, _color(seen, constraint))
    if isinstance(constraint, Shaped):
        return _negated(constraint.negated, _shape(seen, constraint))
    return STRONG


def _negated(negated: bool, match: int) -> int:
    return match if not negated else STRONG - match if match != WEAK else NO


def _color(seen: Seen, wanted: Colored) -> int:
    meant = sum(seen.colors.get(name, 0.0) for name in wanted.names)
    if seen.color in wanted.names or meant >= SURE:
        return STRONG
    return WEAK if seen.color in wanted.alternates or meant >= LIKELY else NO


def _shape(seen: Seen, wanted: Shaped) -> int:
    if wanted.is_container:
        return STRONG if seen.is_container else NO
    if seen.shape in wanted.names:
        return STRONG
    doubtful = seen.shape == "object" or (seen.shape_confidence < 0.5 and seen.confidence < 0.9)
    return WEAK if seen.shape in wanted.alternates or doubtful else NO


def by_attributes(objects: Sequence[Seen], constraints: Sequence[Constraint]) -> list[Seen]:
    """Return the objects that fit all colours and shapes; if none does, those with one doubtful fit.

    Doubtful fits of a negated or generic description do not count.
    """
    rated = [(o, [degree_of_match(o, c) for c in constraints]) for o in objects]
    sure = [o for o, fits in rated if all(f == STRONG for f in fits)]
    if sure:
        return sure
    return [o for o, fits in rated if NO not in fits and fits.count(WEAK) == 1]


# ---- measures -----------------------------------------------------------------------------------


def measure(seen: Seen, key: str) -> float:
    """Return a measure of an object [m], for "size" the edge of a cube of its volume."""
    long_m, short_m, height_m = seen.size_m
    values: dict[str, float] = {
        "height": height_m,
        "width": short_m,
        "length": max(long_m, height_m),
        "top": seen.top_z_m,
        "bottom": -seen.bottom_z_m,
    }
    return values[key] if key in values else (long_m * short_m * height_m) ** (1 / 3)


@dataclass(frozen=True)
class Ranking:
    """Objects in the order of a degree, best first, with the gap to the next of each.

    Attributes:
        objects: Best first.
        is_tie: For each, whether the next one is as good within what can be measured.
    """

    objects: tuple[Seen, ...]
    is_tie: tuple[bool, ...]


def rank(objects: Sequence[Seen], degree: Degree, anchor_xy: Sequence[float] | None = None) -> Ranking:
    """Order objects by a degree.

    Args:
        objects: What to order.
        degree: By what.
        anchor_xy: Of near and far; the viewer if None.
    """
    score, tie = _score(degree, objects, anchor_xy)
    order = sorted(objects, key=score, reverse=True)
    gaps = [abs(score(a) - score(b)) for a, b in pairwise(order)]
    ties = [gap < (tie if tie > 0 else -tie * abs(score(a))) for gap, a in zip(gaps, order, strict=False)]
    return Ranking(tuple(order), (*ties, False))


def _score(degree: Degree, objects: Sequence[Seen], anchor_xy: Sequence[float] | None):  # noqa: ANN202
    sign = 1.0 if degree.most else -1.0
    if all(word in SIDES for word in degree.key.split()):
        return (lambda o: sum(o.along(side, degree.frame) for side in degree.key.split())), TIE["place_m"]
    if degree.key in ("near", "far"):
        away = -1.0 if degree.key == "near" else 1.0
        return (lambda o: away * o.distance_m(anchor_xy or VIEWER_XY)), TIE["place_m"]
    if degree.key == "middle":
        middle = [sum(o.center_m[k] for o in objects) / len(objects) for k in range(2)]
        return (lambda o: -o.distance_m(middle)), TIE["place_m"]
    if degree.key == "medium":
        sizes = sorted(measure(o, "size") for o in objects)
        return (lambda o: -abs(measure(o, "size") - sizes[len(sizes) // 2])), 0.0
    return (lambda o: sign * measure(o, degree.key)), -TIE["size" if degree.key == "size" else "other"]


def clearly(objects: Sequence[Seen], degree: Degree) -> list[Seen]:
    """Return the objects to which "big" applies among these: the extreme one and those like it.

    All of them if they differ too little.
    """
    if len(objects) < 2 or degree.key in ("near", "far", "middle"):
        return list(objects)
    values = [measure(o, degree.key) for o in objects]
    low, high = min(values), max(values)
    if high < CLEARLY * low:
        return list(objects)
    border = math.sqrt(low * high)
    return [o for o, v in zip(objects, values, strict=True) if (v > border) == degree.most]


def only_words(constraints: Sequence[Constraint]) -> list[str]:
    """Return the head nouns outside the lexicon."""
    return [c.word for c in constraints if isinstance(c, Named)]
