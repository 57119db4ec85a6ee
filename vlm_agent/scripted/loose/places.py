"""Things and places of a sentence, for the tolerant reading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.loose.descriptions import Descriptions
from vlm_agent.scripted.loose.idioms import (
    HELD,
    HOME,
)
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.spatial_words import RELATION_OF, Rel
from vlm_agent.scripted.syntax import Degree, Description, Target

BOUNDARIES = frozenset(terms(", . ; : and then so"))
_PLACES = "spot place position space area location point room gap region zone patch slot".split()


@dataclass(frozen=True)
class Item:
    """A piece of a sentence.

    Attributes:
        kind: put, pick, contain, fill, shall, want, be, thing, place, held, with, where, mention, stop.
        value: Description(s) of things and mentions, Target of places, verb of verbs, word of stops.
        form: Of verbs: base, ing, ed.
        cost: How unlikely this piece is.
    """

    kind: str
    value: Any = None
    form: str = ""
    cost: float = 0.0


Piece = tuple[Item | None, int, float]  # None: passed over; end; cost


class Places(Descriptions):
    """Reads things, places, and what is in the hand."""

    def __init__(self, words: tuple[str, ...] | list[str]) -> None:
        """Read in these words, lower case, punctuation apart."""
        super().__init__(words)
        self._text = " ".join(self.words)
        self._starts: list[int] = []
        at = 0
        for word in self.words:
            self._starts.append(at)
            at += len(word) + 1
        self._ends = {
            start + len(word): k + 1
            for k, (start, word) in enumerate(zip(self._starts, self.words, strict=True))
        }

    def match(self, pattern: re.Pattern[str], i: int) -> int:
        """Return the end of a pattern that matches whole words at a word; -1 if it does not."""
        if i >= len(self.words):
            return -1
        found = pattern.match(self._text, self._starts[i])
        if found is None or found.end() == found.start():
            return -1
        text_end = found.end()
        while text_end > found.start() and self._text[text_end - 1] == " ":
            text_end -= 1
        return self._ends.get(text_end, -1)

    def _things(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        for what, j in self.np(i):
            if what.landmark:
                continue
            found.append((Item("thing", (what,)), j, 0.0))
            if not what.is_pronoun and self.word(j) in ("and", ","):
                found += self._listed((what,), j)
        return found

    def _listed(self, first: tuple[Description, ...], j: int) -> Iterator[Piece]:
        """Read "and the ball", ", the can and the ball" after a thing."""
        k = j + 1
        if self.word(j) == "," and self.word(k) == "and":
            k += 1
        for what, m in self.np(k):
            if what.landmark or what.is_pronoun:
                continue
            group = (*first, what)
            if self.word(k - 1) == "and":
                yield Item("thing", group), m, 0.3
            if len(group) < 5 and self.word(m) in ("and", ","):
                yield from self._listed(group, m)

    def _places(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        end = self.match(HOME, i)
        if end > 0:
            homes = [(t, k) for t, k in self.targets(end)] + [
                (Target("to", (a,), is_motion=True), k) for a, k in self.np(end) if not a.landmark
            ]
            found += [(Item("home", t, self.words[i]), k, 0.0) for t, k in homes]
        if (
            self.word(i) == "up"
            and self.word(i + 1) in idioms("; ,; .; and; please; for; now; so; then; thanks")
            and i > 1
        ):
            found.append((Item("held"), i + 1, 0.05))
        end = self.match(HELD, i)
        if end > 0:
            found.append((Item("held"), end, 0.0))
        for target, j in self.targets(i):
            found.append((Item("place", target), j, 0.0))
        return found

    def targets(self, i: int) -> list[tuple[Target, int]]:
        """Return the places that begin at a word."""
        found: list[tuple[Target, int]] = []
        for entry, j in self.lex(i, "REL"):
            found += self._related_targets(entry.value, j)
        for entry, j in self.lex(i, "LENGTH"):
            found += [(replace(t, distance_m=entry.value), k) for t, k in self.targets(j) if t.anchors]
        for _, j in self.lex(i, "TO"):
            found += [(t, k) for a, k in self.np(j) for t in self._target_to(a)]
        for _, j in self.lex(i, "BETWEEN"):
            for first, k in self.np(j):
                if first.wants_many:
                    found.append((Target("between", (first,)), k))
                if self.word(k) == "and":
                    found += [(Target("between", (first, second)), m) for second, m in self.np(k + 1)]
        for name, phrases in (
            ("on", idioms("the top of; top of; the top side of; the upper side of; the surface of")),
            ("inside", ("the inside of", "the interior of", "the middle of")),
        ):
            for j in self.phrase(i, phrases):
                found += [(Target(name, (a,)), k) for a, k in self.np(j) if not a.landmark]
        for entry, j in self.lex(i, "RELIT"):
            found.append((Target(entry.value, (ast.IT,)), j))
        if self.word(i) in ("there", "thither"):
            found.append((Target("there", (ast.IT,)), i + 1))
        if self.word(i) in ("in", "inside", "on") and self.word(i + 1) in idioms(
            "; ,; .; please; and; thanks"
        ):
            found.append((Target("there", (ast.IT,)), i + 1))
        if self.word(i) in ("on", "to", "at", "onto"):
            found += [(Target(r, (a,)), k) for r, a, k in self.owned_side(i + 1, 0)]
        for entry, j in self.lex(i, "ONSIDE"):
            side, frame = entry.value
            if self.word(j) != "of" and self.words[j - 1] != "back":
                found.append((Target(RELATION_OF.get(side) or side, (), frame), j))
        found += self._named_places(i)
        return list(dict.fromkeys(found))

    def _related_targets(self, rel: Rel, j: int) -> Iterator[tuple[Target, int]]:
        for anchor, k in self.np(j):
            if anchor.landmark == "hand":
                continue
            if anchor.landmark == "table" and rel.name in ("on", "next_to"):
                yield Target("anywhere"), k
            elif anchor.landmark != "table" or rel.name not in ("inside", "above", "below"):
                yield Target(rel.name, (anchor,), rel.frame, is_motion=rel.is_motion), k

    def _target_to(self, anchor: Description) -> Iterator[Target]:
        sides = [
            c
            for c in anchor.constraints
            if isinstance(c, Degree) and c.key in ("left", "right", "front", "back")
        ]
        if anchor.landmark == "hand" or (sides and len(sides) == len(anchor.constraints)):
            return
        if anchor.landmark in ("viewer", "robot"):
            yield Target("in_front_of" if anchor.landmark == "viewer" else "behind")
        elif anchor.landmark == "table":
            yield Target("anywhere")
        else:
            yield Target("to", (anchor,), is_motion=True)

    def _named_places(self, i: int) -> Iterator[tuple[Target, int]]:
        """Read "to a free spot left of the mug", "the space behind the bowl", "somewhere near the can"."""
        j = i
        if self.word(j) in terms("to at in into on onto for"):
            j += 1
        start = j
        while self.word(j) in terms(
            "a the that some any this free empty open nice good its clear vacant new bit of exact right"
        ):
            j += 1
        if self.word(j) in ("somewhere", "someplace", "anywhere", "anyplace"):
            j += 1
        elif self.word(j) in _PLACES and j > start:
            j += 1
        else:
            return
        while (self.word(j) == "right" and self.word(j + 1) != "of") or self.word(j) in terms(
            "just directly immediately that which is 's you see that's located situated lying found somewhere"
        ):
            j += 1
        for target, k in self.targets(j):
            if target.relation not in ("there", "to", "anywhere") and target.anchors:
                yield replace(target, is_motion=True), k
