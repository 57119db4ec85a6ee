"""Answers to questions, from what is seen; nothing moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vlm_agent.scripted import match
from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.program import Call, Result, Steps
from vlm_agent.scripted.resolve import Resolver
from vlm_agent.scripted.run import Absent, Run, Verdict
from vlm_agent.scripted.scene import Seen, listing, place_of
from vlm_agent.scripted.syntax import Description, Question

_MEASURES = ("size", "height", "width", "length")


class Answerer:
    """Answers questions in a run; the answer's first word is the answer itself."""

    def __init__(self, run: Run) -> None:
        """Answer from what a run sees."""
        self.run = run
        self.resolver = Resolver(run)

    def answer(self, question: Question) -> Steps[str]:
        """Return the answer.

        Raises:
            Verdict: The question can't be answered here.
        """
        if isinstance(question, ast.Count):
            return (yield from self._count(question.object))
        if isinstance(question, ast.CompareCounts):
            return (yield from self._compare(question))
        if isinstance(question, ast.Exists):
            return (yield from self._exists(question.object))
        if isinstance(question, ast.Holds):
            return (yield from self._holds(question))
        if isinstance(question, ast.Ask):
            return (yield from self._ask(question))
        if isinstance(question, ast.Which):
            return (yield from self._which(question))
        if isinstance(question, ast.Where):
            return (yield from self._where(question.object))
        if isinstance(question, ast.HowFar):
            return (yield from self._how_far(question))
        return (yield from self._fits(question))

    def _count(self, what: Description) -> Steps[str]:
        found = yield from self.resolver.candidates(what)
        return f"{len(found)}" + (f": {listing(found)}." if found else f". I see {self.run.scene.listing()}.")

    def _compare(self, question: ast.CompareCounts) -> Steps[str]:
        a = yield from self.resolver.candidates(question.a)
        b = yield from self.resolver.candidates(question.b)
        holds = {"more": len(a) > len(b), "fewer": len(a) < len(b), "equal": len(a) == len(b)}[
            question.relation
        ]
        return f"{_yes(holds)}: {len(a)} against {len(b)}."

    def _exists(self, what: Description) -> Steps[str]:
        try:
            found = yield from self.resolver.candidates(what)
        except Absent:
            found = []
        if len(found) >= (what.count or 1):
            return f"Yes: {listing(found)}."
        return f"No: I see {self.run.scene.listing()}."

    def _holds(self, question: ast.Holds) -> Steps[str]:
        subject = question.subject
        if subject.determiner in ("a", "none") and not subject.count:
            return (yield from self._exists(subject.adding(*question.predicate)))
        found = list((yield from self.resolver.resolve(subject)))
        if question.predicate == (ast.SameAs("color", None),) or len(found) > 1:
            kept = yield from self._keep(found, question.predicate)
            return f"{_yes(len(kept) == len(found))}: {listing(kept) or 'none of them'}."
        kept = yield from self._keep(self._rivals(found, question.predicate), question.predicate)
        return f"{_yes(found[0] in kept)}: I see {_facts(found[0])}."

    def _rivals(self, found: list[Seen], predicate: Sequence[ast.Constraint]) -> list[Seen]:
        """A superlative is among all objects, anything else is about the subject alone."""
        is_rank = any(isinstance(c, ast.Degree) for c in predicate)
        return list(self.run.scene.objects) if is_rank else found

    def _keep(self, pool: list[Seen], predicate: Sequence[ast.Constraint]) -> Steps[list[Seen]]:
        return (yield from self.resolver.filtered(pool, predicate))

    def _ask(self, question: ast.Ask) -> Steps[str]:
        found = yield from self.resolver.resolve(question.object)
        if question.attribute in _MEASURES:
            return "; ".join(f"{_measure(o, question.attribute)} ({o.name})" for o in found) + "."
        values = [o.color if question.attribute == "color" else o.shape for o in found]
        return "; ".join(f"{v}: {o.name} ({place_of(o)})" for v, o in zip(values, found, strict=True)) + "."

    def _which(self, question: ast.Which) -> Steps[str]:
        what = question.object
        if question.among:
            return (yield from self._which_among(question))
        found = yield from self.resolver.candidates(what)
        if not found:
            if what.determiner == "the" and not any(isinstance(c, ast.Related) for c in what.constraints):
                raise Absent(f'I see nothing that fits "{what.text}"; I see {self.run.scene.listing()}.')
            return f"Nothing. I see {self.run.scene.listing()}."
        return "; ".join(f"{o.label} ({place_of(o)})" for o in found) + "."

    def _which_among(self, question: ast.Which) -> Steps[str]:
        pool: list[Seen] = []
        for what in question.among:
            pool.append((yield from self.resolver.one(what, pool)))
        found = yield from self._keep(pool, question.object.constraints)
        if len(found) != 1:
            return f"Neither: {' and '.join(o.name for o in pool)} can't be told apart so."
        return f"{found[0].label}: {_facts(found[0])}."

    def _where(self, what: Description) -> Steps[str]:
        found = yield from self.resolver.resolve(what)
        words = []
        for o in found:
            x, y, z = o.center_m
            holders = [
                c
                for c in self.run.scene.objects
                if c.is_container and c != o and c.distance_m(o.center_m) < c.radius_m
            ]
            inside = yield from self.run.holding_pairs([(o, c) for c in holders], ("inside",))
            where = f"in {inside[0][1].name}" if inside else f"{place_of(o)} on the table as you see it"
            words.append(f"{o.name.capitalize()} is {where}, at x {x:.2f}, y {y:.2f}, z {z:.2f} m")
        return "; ".join(words) + "."

    def _how_far(self, question: ast.HowFar) -> Steps[str]:
        a = yield from self.resolver.one(question.a)
        b = yield from self.resolver.one(question.b, [a])
        distance = math.dist(a.center_m[:2], b.center_m[:2])
        return f"{100 * distance:.0f} cm from centre to centre: {a.name} and {b.name}."

    def _fits(self, question: ast.Fits) -> Steps[str]:
        what = yield from self.resolver.one(question.object)
        anchors: list[Seen] = []
        for anchor in question.target.anchors:
            if not anchor.landmark:
                anchors.append((yield from self.resolver.one(anchor, [what], into=True)))
        if question.target.relation in ("inside", "on") and anchors and not anchors[0].is_container:
            return f"No: {anchors[0].name} is no container."
        arguments = {
            "relation": "inside" if anchors and anchors[0].is_container else question.target.relation,
            "reference": anchors[0].box if anchors else None,
            "size_m": list(what.size_m[:2]),
            "image": self.run.scene.image,
        }
        results = yield from self.run.call("Is there room?", Call("free_space", arguments))
        return self._room(results[0], what)

    def _room(self, result: Result, what: Seen) -> str:
        if result.ok:
            return f"Yes: there is room for {what.name}."
        if result.reason == "no_space":
            return f"No: {result.message}"
        raise Verdict("failed", f"I can't tell: {result.message}")


def _yes(holds: bool) -> str:
    return "Yes" if holds else "No"


def _facts(o: Seen) -> str:
    long_m, short_m, height_m = (100 * v for v in o.size_m)
    return f"a {o.label} ({place_of(o)}; {long_m:.1f} x {short_m:.1f} x {height_m:.1f} cm)"


def _measure(o: Seen, attribute: str) -> str:
    if attribute == "size":
        return " x ".join(f"{100 * v:.1f}" for v in o.size_m) + " cm"
    return f"{100 * match.measure(o, attribute):.1f} cm"
