"""What is seen and what is not: how much of a thing, what hides it, what changed since the last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_agent.scripted import match
from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.program import Call, Steps
from vlm_agent.scripted.resolve import Resolver
from vlm_agent.scripted.run import Absent, Run, Verdict
from vlm_agent.scripted.scene import Scene, Seen, find_again, place_of
from vlm_agent.scripted.syntax import Description

_HIDDEN = 0.1  # share of an outline from which on it is said to be hidden in part
_NEAR_M = 0.06
_MANY = 4
_STILL_M = 0.01  # two looks at one thing that stands still differ by less


class Looker:
    """Answers questions about what is seen in a run."""

    def __init__(self, run: Run) -> None:
        """Answer from what a run sees."""
        self.run = run
        self.resolver = Resolver(run)

    # ---- visible, hidden ------------------------------------------------------------------------

    def sight(self, question: ast.Sight) -> Steps[str]:
        """Return how much of a thing is seen, or what hides it.

        Raises:
            Verdict: It is not seen, and was not before either; or several things are meant.
        """
        run = self.run
        try:
            what = yield from self.resolver.one(question.object)
        except Absent as absent:
            return (yield from self._unseen(question, absent))
        if not run.offers("occlusion"):
            hidden, rows, hides = 1.0 - what.visible, [], []
            return self._told(question, what, hidden, 0.05, rows, hides, None)
        by = None if question.by is None else (yield from self.resolver.one(question.by, [what]))
        return (yield from self._asked(question, what, by))

    def _asked(self, question: ast.Sight, what: Seen, by: Seen | None) -> Steps[str]:
        """Ask `occlusion` about a thing whose box is known, now or from an earlier picture."""
        run = self.run
        call = Call("occlusion", {"box": what.box, "image": run.scene.image})
        (told,) = yield from run.call(f"What hides {what.name}?", call)
        if not told.ok:
            raise Verdict("failed", f"I can't tell how well {what.name} is seen: {told.message}.")
        run.facts.append(told.call_id)
        hidden, sigma = (float(told.value.get(k) or 0.0) for k in ("hidden", "hidden_sigma"))
        rows = [self._named(r, what) for r in _rows(told.value.get("hidden_by"))]
        hides = [self._named(r, what) for r in _rows(told.value.get("hides"))]
        return self._told(question, what, hidden, sigma, rows, hides, by)

    def _told(
        self,
        question: ast.Sight,
        what: Seen,
        hidden: float,
        sigma: float,
        rows: Sequence[tuple[str, float]],
        hides: Sequence[tuple[str, float]],
        by: Seen | None,
    ) -> str:
        share = f"{100 * (1 - hidden):.0f} % \u00b1 {max(1.0, 200 * sigma):.0f} % of {what.name} is seen"
        covers = ", ".join(f"{name} ({100 * s:.0f} % of it)" for name, s in rows)
        behind = f", the rest is behind {covers}" if covers else ""
        is_hidden = hidden >= max(_HIDDEN, 2 * sigma)
        if question.kind == "hides":
            head = ", ".join(f"{name} ({100 * s:.0f} % of it)" for name, s in hides)
            return f"{head or 'Nothing'}: that is what {what.name} hides."
        if question.kind == "hider":
            return f"{covers}: {share}." if covers and is_hidden else f"Nothing hides {what.name}: {share}."
        if question.kind == "whole":
            return f"{'No' if is_hidden else 'Yes'}: {share}{behind}."
        if question.kind == "seen":
            return f"{'Yes' if hidden < 0.5 else 'Only in part'}: {share}{behind}; it is {place_of(what)}."
        if by is not None:
            mine = sum(s for name, s in rows if name == by.name)
            verdict = "Yes" if mine >= max(_HIDDEN, 2 * sigma) else "No"
            return f"{verdict}: {by.name} hides {100 * mine:.0f} % of {what.name}; {share}{behind}."
        return f"{'Yes, in part' if is_hidden else 'No'}: {share}{behind}."

    def _named(self, row: tuple[str, str, float], what: Seen) -> tuple[str, float]:
        """Return who hides, in the words of the latest look."""
        box, label, share = row
        mine = next((o.name for o in self.run.scene.objects if o.box == box), f"the {label}")
        name = {"robot": "my arm", "unknown": "something unknown"}.get(box, mine)
        return name, share

    def _unseen(self, question: ast.Sight, absent: Absent) -> Steps[str]:
        """Answer for what is not detected: where it stood before, something may stand in front of it now."""
        run = self.run
        simple = [c for c in question.object.constraints if isinstance(c, (ast.Colored, ast.Shaped))]
        before = match.by_attributes([*run.known, *run.start, *run.mentioned], simple) if simple else []
        if before and run.offers("occlusion") and question.kind in ("hidden", "hider"):
            call = Call("occlusion", {"box": before[-1].box, "image": run.scene.image})
            (told,) = yield from run.call("I saw it before: what is in front of its place now?", call)
            rows = [self._named(r, before[-1]) for r in _rows(told.value.get("hidden_by"))] if told.ok else []
            if told.ok and rows and float(told.value.get("hidden") or 0.0) >= 0.5:
                run.facts.append(told.call_id)
                names = " and ".join(name for name, _ in rows)
                head = "Yes" if question.kind == "hidden" else names.capitalize()
                return f"{head}: I don't see {before[-1].name}; {names} is in front of where it was."
        if question.kind in ("seen", "whole"):
            return f"No: I see {run.scene.listing()}."
        what = question.object.text or "it"
        raise Absent(
            f"I don't see {what}, so I can't tell whether it is hidden or not there at all; "
            f"I see {run.scene.listing()}.",
            absent.evidence or run.scene.evidence,
        )

    # ---- what changed ---------------------------------------------------------------------------

    def changed(self, question: ast.Changed) -> Steps[str]:
        """Return what differs between the look before and the latest one, of all or of one thing.

        Raises:
            Verdict: There is no earlier picture, or no tool for it.
        """
        run = self.run
        before = run.before
        if not before.image:
            text = "I have no earlier picture to compare with: this is the first look. Ask me again later."
            raise Verdict("impossible", text, run.scene.evidence)
        if question.object is not None:
            return (yield from self._has_moved(question.object, before))
        call = Call("compare_images", {"before": before.image, "after": run.scene.image})
        (told,) = yield from run.call("What differs between the last picture and this one?", call)
        if not told.ok:
            raise Verdict("failed", f"I can't compare the pictures: {told.message}.")
        run.facts.append(told.call_id)
        words = _changes(told.value, before, run.scene)
        if not words:
            return f"Nothing has changed since the last picture: I see {run.scene.listing()}."
        return f"{'; '.join(words)[0].upper()}{'; '.join(words)[1:]}."

    def _has_moved(self, what: Description, before: Scene) -> Steps[str]:
        """Return whether one thing stands elsewhere than in an earlier look."""
        run = self.run
        try:
            now = yield from self.resolver.one(what)
        except Absent:
            simple = [c for c in what.constraints if isinstance(c, (ast.Colored, ast.Shaped))]
            was = match.by_attributes(before.objects, simple)
            if not was:
                raise
            return f"Yes: {was[0].name} is gone; I see {run.scene.listing()}."
        was = find_again(now, before.objects, now.center_m[:2]) or find_again(now, before.objects)
        if was is None:
            return f"Yes: {now.name} is new; I did not see it before."
        moved_m = was.distance_m(now.center_m)
        words = f"{100 * moved_m:.1f} cm \u00b1 {100 * _STILL_M:.1f} cm from where it was"
        return f"{'Yes' if moved_m > _STILL_M else 'No'}: {now.name} stands {words} at the last look."


def _rows(value: Any) -> list[tuple[str, str, float]]:
    rows = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [
        (str(r.get("box")), str(r.get("label")), float(r.get("share") or 0.0))
        for r in rows
        if isinstance(r, Mapping)
    ]


def _changes(value: Mapping[str, Any], before: Scene, now: Scene) -> list[str]:
    """Return the changes in words, those of detected things first, what is too small for one left out."""
    kept: list[Seen] = []
    words: list[str] = []
    changes = [c for c in value.get("changes") or () if isinstance(c, Mapping)]
    for change in changes:
        scene = before if change.get("kind") == "gone" else now
        what = _thing_at(change, scene)
        if what is None or what in kept:
            continue
        kept.append(what)
        other = find_again(what, (now if scene is before else before).objects)
        moved_m = other.distance_m(what.center_m) if other else 0.0
        there = place_of(other if other is not None and scene is before else what)
        if other is not None and moved_m > _STILL_M:
            kept.append(other)
            words.append(f"{what.name} has moved by {100 * moved_m:.0f} cm, and is {there} now")
        elif other is None:
            words.append(f"{what.name} is gone" if scene is before else f"{what.name} is new ({there})")
        elif change.get("kind") == "changed":
            words.append(f"{what.name} looks different")
    if not words and changes:
        words = [str(c.get("words")) for c in changes[:_MANY]]
    return list(dict.fromkeys(words))


def _thing_at(change: Mapping[str, Any], scene: Scene) -> Seen | None:
    """Return the detected thing that a change is part of."""
    center = change.get("center_m")
    if not isinstance(center, Sequence) or len(center) < 2:
        return None
    near = [o for o in scene.objects if o.distance_m(center) < max(_NEAR_M, o.radius_m)]
    return min(near, key=lambda o: o.distance_m(center), default=None)
