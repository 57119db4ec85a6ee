"""Weighing: pick up, weigh, feel, and put back where it stood; the answer states two standard deviations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.act import Actor
from vlm_agent.scripted.goal import Goal
from vlm_agent.scripted.hands import Hands
from vlm_agent.scripted.program import Call, Steps
from vlm_agent.scripted.resolve import Resolver
from vlm_agent.scripted.run import Run, Verdict
from vlm_agent.scripted.scene import Seen, find_again, listing

MAX_WEIGHED = 6


@dataclass(frozen=True)
class Mass:
    """A mass and its standard deviation [kg], and of what."""

    what: Seen
    value_kg: float
    sigma_kg: float

    def words(self) -> str:
        """Return "82 g ± 5 g", of which the second is two standard deviations."""
        return f"{1e3 * self.value_kg:.0f} g \u00b1 {_spread_g(self.sigma_kg)} g"


class Weigher:
    """Answers questions about weights in a run; the robot moves for it."""

    def __init__(self, run: Run) -> None:
        """Weigh in a run."""
        self.run = run
        self.actor = Actor(run)
        self.resolver = Resolver(run)
        self.hands = Hands(run, self.actor, self.resolver)

    def check(self, question: ast.Weigh) -> Steps[list[Seen]]:
        """Return what is to be weighed; nothing moves.

        Raises:
            Verdict: It is not seen or not singled out, too big, or there is no skill for it.
        """
        run = self.run
        if not run.offers("weigh"):
            raise Verdict("impossible", "Weighing needs the skill 'weigh', and it is not among my tools.")
        if run.held is not None and len(question.objects) == 1 and self.hands.means_held(question.objects[0]):
            return [run.held]
        if run.held is not None:
            raise Verdict("impossible", f"I hold {run.held.name}; say where to put it first.")
        found: list[Seen] = []
        for what in question.objects:
            found += [o for o in (yield from self.resolver.resolve(what, found)) if o not in found]
        if question.kind not in ("each", "over") and len(found) < 2:
            raise Verdict("unclear", f"I see only {listing(found)} to compare.", run.scene.evidence)
        if len(found) > MAX_WEIGHED:
            raise Verdict("unclear", f"Which of these {len(found)} shall I weigh? {listing(found)}.")
        for o in found:
            self.actor.require_graspable(o)
            inside = (yield from self.resolver.contents(o)) if o.is_container else []
            if inside:
                words = f"{listing(inside)} is in {o.name}: I would weigh both. Take it out first."
                raise Verdict("impossible", words, run.scene.evidence)
        return found

    def answer(self, question: ast.Weigh) -> Steps[str]:
        """Weigh, one thing after the other, and return the answer.

        Raises:
            Verdict: It could not be done.
        """
        found = yield from self.check(question)
        is_held = self.run.held is not None
        if not is_held:
            yield from self.run.skill("Weigh the empty hand first: that is zero.", "weigh")
        masses: list[Mass] = []
        for k, what in enumerate(found):
            if k:
                what = self._again(what)
            masses.append((yield from self._weigh(what, put_back=not is_held)))
        self.run.focus = tuple(found)
        return _answer(question, masses)

    def _again(self, what: Seen) -> Seen:
        again = find_again(what, self.run.scene.objects, what.center_m[:2])
        if again is None:
            raise Verdict("failed", f"I lost {what.name}: I see {self.run.scene.listing()}.")
        return again

    def _weigh(self, what: Seen, *, put_back: bool) -> Steps[Mass]:
        """Weigh one thing; it is put back where it stood.

        Raises:
            Verdict: It could not be picked, weighed or put back.
        """
        run = self.run
        goal = yield from self._home_of(what)
        what = yield from self.hands.take(what)
        told = yield from run.skill(f"Weigh {what.name}.", "weigh")
        if not told.ok and told.reason in ("contact", "unreachable", "no_path", "in_collision"):
            told = yield from run.skill("Once more, as it hangs.", "weigh", lift_m=0.0)
        if told.ok and run.offers("feel"):
            (felt,) = yield from run.call("What does the wrist feel?", Call("feel", {}))
            run.facts += [felt.call_id] if felt.ok else []
        if put_back:
            standing = yield from self.actor.move(what, goal)
            run.facts += standing.evidence
        value, sigma = told.value.get("mass_kg"), told.value.get("sigma_kg")
        if not told.ok or not isinstance(value, int | float) or not isinstance(sigma, int | float):
            outcome = "impossible" if told.reason == "no_senses" else "failed"
            back = "; it is back" if put_back else ""
            raise Verdict(outcome, f"I can't weigh {what.name}: {told.message or told.reason}{back}.")
        return Mass(what, float(value), float(sigma))

    def _home_of(self, what: Seen) -> Steps[Goal]:
        """Return where a thing is to be put back: where it stood, or in or on what it stood in or on."""
        run = self.run
        near = [o for o in run.scene.objects if o != what and o.distance_m(what.center_m) < o.radius_m]
        for relation in ("inside", "on"):
            holding = yield from run.holding_pairs([(what, o) for o in near], (relation,))
            if holding:
                return Goal(relation, (holding[0][1],), origin=what.center_m)
        return Goal("origin", origin=what.center_m)


def _spread_g(sigma_kg: float) -> int:
    return max(1, math.ceil(2e3 * sigma_kg))


def _answer(question: ast.Weigh, masses: Sequence[Mass]) -> str:
    """Return the answer; its head is the answer itself."""
    each = ", ".join(f"{m.words()} ({m.what.name})" for m in masses)
    if question.kind == "each":
        return f"{each}."
    if question.kind == "over":
        return _over(question, masses[0])
    if question.kind == "sum":
        # The zero is common to all: its error adds up; so do the others at most.
        total = Mass(masses[0].what, sum(m.value_kg for m in masses), sum(m.sigma_kg for m in masses))
        return f"{total.words()} together: {each}."
    ranked = sorted(masses, key=lambda m: m.value_kg, reverse=question.most)
    first, second = (masses[0], masses[1]) if question.kind in ("is", "by", "same") else ranked[:2]
    sigma = math.hypot(first.sigma_kg, second.sigma_kg)
    gap = first.value_kg - second.value_kg
    is_close = abs(gap) <= 2 * sigma
    word = "heavier" if question.most else "lighter"
    if question.kind == "by":
        more, less = (first, second) if gap >= 0 else (second, first)
        words = Mass(more.what, abs(gap), sigma).words()
        return f"{words}: {more.what.name} is heavier than {less.what.name}; {each}."
    if question.kind == "same":
        return f"{'Yes, as far as I can tell' if is_close else 'No'}: {each}."
    if is_close:
        return f"Too close to tell which is {word}: {each}."
    if question.kind == "is":
        return f"{'Yes' if (gap > 0) == question.most else 'No'}: {each}."
    return f"{first.what.label}: it is the {word} one; {each}."


def _over(question: ast.Weigh, mass: Mass) -> str:
    gap = mass.value_kg - question.limit_kg
    if abs(gap) <= 2 * mass.sigma_kg:
        return f"Too close to tell: {mass.what.name} weighs {mass.words()}."
    return f"{'Yes' if (gap > 0) == question.most else 'No'}: {mass.what.name} weighs {mass.words()}."
