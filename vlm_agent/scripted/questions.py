"""Answers to questions, from what is seen; nothing moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vlm_agent.scripted import gauge, match
from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.goal import WITH_TOOLS
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
        if isinstance(question, ast.Difference):
            return (yield from self._difference(question))
        if isinstance(question, ast.Fits):
            return (yield from self._fits(question))
        raise Verdict("unclear", "That can't be a part of something else here; ask it by itself.")

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
            words = []
            for o in found:
                words.append(f"{(yield from self._measured(o, question.attribute))} ({o.name})")
            return "; ".join(words) + "."
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
        held = self.run.held
        simple = [c for c in what.constraints if isinstance(c, (ast.Colored, ast.Shaped))]
        if held is not None and match.by_attributes([held], simple) and (simple or what.is_pronoun):
            if what.is_pronoun or not match.by_attributes(self.run.scene.objects, simple):
                return f"{held.name.capitalize()} is in my hand."
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

    def _measured(self, o: Seen, attribute: str) -> Steps[str]:
        """Return a measure in words, with its uncertainty."""
        if attribute != "size":
            return (yield from gauge.side(self.run, o, attribute)).words()
        words = []
        for key in ("length", "width", "height"):
            words.append(f"{(yield from gauge.side(self.run, o, key)).words()} {key}")
        return ", ".join(words)

    def _how_far(self, question: ast.HowFar) -> Steps[str]:
        a = yield from self.resolver.one(question.a)
        b = yield from self.resolver.one(question.b, [a])
        is_gap = question.kind == "gap"
        length = yield from gauge.apart(self.run, a, b, is_gap=is_gap)
        what = "between their nearest points" if is_gap else "from centre to centre along the table"
        return f"{length.words()} {what}: {a.name} and {b.name}."

    def _difference(self, question: ast.Difference) -> Steps[str]:
        a = yield from self.resolver.one(question.a)
        b = yield from self.resolver.one(question.b, [a])
        first = yield from gauge.side(self.run, a, question.key)
        second = yield from gauge.side(self.run, b, question.key)
        sigma = math.hypot(first.sigma_m, second.sigma_m)
        length = gauge.Length(abs(first.value_m - second.value_m), sigma)
        more, less = (a, b) if first.value_m >= second.value_m else (b, a)
        return (
            f"{length.words()}: the {question.key} of {a.name} is {first.words()}, of {b.name} "
            f"{second.words()}; {more.name} has more than {less.name}."
        )

    def _fits(self, question: ast.Fits) -> Steps[str]:
        what = None if question.object is None else (yield from self.resolver.one(question.object))
        name = what.name if what else "something of 6 cm"
        anchors: list[Seen] = []
        for anchor in question.target.anchors:
            if not anchor.landmark:
                anchors.append((yield from self.resolver.one(anchor, [what] if what else (), into=True)))
        if question.target.relation in ("inside", "on") and anchors and not anchors[0].is_container:
            return f"{_yes(question.is_negated)}: {anchors[0].name} is no container."
        if question.target.relation == "inside" and what is not None:
            room = yield from gauge.room(self.run, what, anchors[0])
            fits = room.value_m > 0
            missing = "left" if fits else "missing"
            size = gauge.Length(abs(room.value_m), room.sigma_m).words()
            if room.is_about_zero():
                likely = "yes" if fits != question.is_negated else "no"
                both = f"{what.name} in {anchors[0].name}"
                return f"Too close to tell, rather {likely}: for {both}, {size} {missing} on every side."
            return (
                f"{_yes(fits != question.is_negated)}: {what.name} {'fits' if fits else 'does not fit'} into "
                f"{anchors[0].name}; {size} {missing} on every side."
            )
        is_into = question.target.relation in ("on", "to") and bool(anchors) and anchors[0].is_container
        arguments = {
            "relation": "inside" if is_into else question.target.relation,
            "reference": anchors[0].box if anchors else None,
            "size_m": list(what.size_m[:2]) if what else [0.06, 0.06],
            "frame": question.target.frame,
            "image": self.run.scene.image,
        }
        if arguments["relation"] not in WITH_TOOLS:
            raise Verdict(
                "unclear", f"I can't tell where there is room {arguments['relation']!r} of something."
            )
        results = yield from self.run.call("Is there room?", Call("free_space", arguments))
        return self._room(results[0], name, question.is_negated)

    def _room(self, result: Result, name: str, is_negated: bool) -> str:
        if result.ok:
            self.run.facts.append(result.call_id)
            return f"{_yes(not is_negated)}: there is room for {name}."
        if result.reason == "no_space":
            return f"{_yes(is_negated)}: {result.message}"
        raise Verdict("failed", f"I can't tell: {result.message}")


def _yes(holds: bool) -> str:
    return "Yes" if holds else "No"


def _facts(o: Seen) -> str:
    long_m, short_m, height_m = (100 * v for v in o.size_m)
    return f"a {o.label} ({place_of(o)}; {long_m:.1f} x {short_m:.1f} x {height_m:.1f} cm)"
