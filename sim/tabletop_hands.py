"""Families `hand_over` and `weigh`: what is given to a person, and what is weighed in the hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from sim.objects import ObjectSpec
from sim.phrases import Noun, Phrases
from sim.tabletop_draw import Draft, Draw
from sim.tabletop_goals import Goal
from sim.tabletop_rows import Question, Truth

CLEARLY = 1.35
"""Ratio of two masses from which one is said to be heavier."""
APART_KG = 0.02
"""And how much heavier it is at least [kg]."""
LEAST_TOLERANCE_G = 10.0
TOLERANCE = 0.1


def hand_over(draw: Draw) -> Draft:
    """Something small goes to a person, who pulls at it once it is held out."""
    target = draw.add(draw.choice(("box", "cylinder", "sphere", "mug")), draw.color())
    noun = draw.name(target)
    draw.others(2, 4)

    def say(p: Phrases) -> str:
        return p.sentence("hand_over", target=f"the {p.noun(noun)}")

    return Draft(tuple(draw.objects), Goal("taken", target.name), say, meta={"form": target.shape})


def weigh(draw: Draw) -> Draft:
    """How heavy is it, which of two is heavier, or is one; all is put back where it stood."""
    kind = draw.choice(("weigh", "weigh", "weigh_which", "weigh_is"))
    shapes = ("box", "cylinder", "sphere", "mug")
    first = draw.add(draw.choice(shapes), draw.color())
    second = draw.add(draw.choice(shapes), draw.color(avoid=(first.color,)))
    draw.nouns += [Noun(o.shape, o.color) for o in (first, second)]
    draw.others(1, 2)

    def ask(rng: np.random.Generator, truth: Truth, phrases: Phrases) -> Question | None:
        words = [f"the {phrases.noun(Noun(o.shape, o.color))}" for o in (first, second)]
        if kind == "weigh":
            return _how_heavy(phrases.sentence("weigh", target=words[0]), first)
        if not _are_clear(first, second):
            return None
        if kind == "weigh_is":
            is_so = first.mass_kg > second.mass_kg
            text = phrases.sentence("weigh_is", a=words[0], b=words[1])
            return Question("weigh_is", text, "yes" if is_so else "no", "yes_no")
        heavier = max((first, second), key=lambda o: o.mass_kg)
        options = [f"{o.color} {o.shape}" for o in (first, second)]
        text = phrases.sentence("weigh_which", a=words[0], b=words[1])
        answer = f"{heavier.color} {heavier.shape}"
        return Question("weigh_which", text, answer, "word", meta={"options": options})

    return Draft(
        tuple(draw.objects), Goal("returned"), lambda _: "", "answered", meta={"form": kind}, ask=ask
    )


def _how_heavy(text: str, what: ObjectSpec) -> Question:
    value_g = 1e3 * what.mass_kg
    tolerance = max(LEAST_TOLERANCE_G, TOLERANCE * value_g)
    return Question("weigh", text, round(value_g, 1), "number", "g", round(tolerance, 1))


def _are_clear(*things: ObjectSpec) -> bool:
    """Whether no two of them weigh about the same."""
    return all(
        abs(a.mass_kg - b.mass_kg) > max(APART_KG, (CLEARLY - 1) * min(a.mass_kg, b.mass_kg))
        for a, b in combinations(things, 2)
    )


HAND_FAMILIES: dict[str, Callable[[Draw], Draft]] = {"hand_over": hand_over, "weigh": weigh}
