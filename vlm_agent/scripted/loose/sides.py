"""Left and right, first and last, for the tolerant reading: "all the way over on the left"."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_agent.scripted.loose.lookup import Lookup, Post
from vlm_agent.scripted.loose.tables import (
    OPPOSITE,
    SIDES,
    WHOSE,
)
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.syntax import Degree, Frame

_FAR = frozenset("far furthest farthest further farther".split())

# Words of a phrase such as "farthest over on the left-hand side"; it must have one side.
_AROUND_SIDE = frozenset(
    "far furthest farthest further farther most over all the way to on at in toward towards very extreme "
    "utmost outermost outer hand handed side end edge part corner last first closest nearest close near "
    "nearer closer off out down along as possible up position place spot outside far-most absolute border "
    "margin boundary extremity limit direction flank it goes moving going lies gets can get one comes be "
    "go that you possibly right".split()
)

_STRONG = frozenset(
    "far furthest farthest further farther most all way extreme utmost outermost outer last first end "
    "edge closest nearest border margin boundary extremity limit absolute very corner".split()
)


class Sides(Lookup):
    """Reads features of side and order."""

    def side(self, i: int, depth: int) -> list[Post]:
        """Read a run of words around one side: "all the way over on the left"."""
        found: list[Post] = []
        side, frame, j = "", "camera", i
        words: list[str] = []
        while j < len(self.words):
            word = self.words[j]
            if word in SIDES and not (word == "right" and self._is_adverb(j)):
                if side:
                    break
                side = SIDES[word]
            elif word in WHOSE and word != "the":
                frame = WHOSE[word]
            elif word == "from":
                words.append(word)
                j += 1
                continue
            elif word in ("with", "having", "has") and j == i:
                j += 1
                words.append("at")
                continue
            elif word not in _AROUND_SIDE and word != "hand":
                break
            words.append(word)
            j += 1
            if side and self._may_end(j):
                rank = self._side_degree(words, side, frame)
                if rank is not None:
                    found.append(Post((rank,), j))
                    found += [Post((rank,), k) for k in self.than_others(j)]
                    found += [Post((rank,), p.end, p.inner) for p in self.group(j, depth)]
                    if self.word(j) in ("of", "from"):
                        found += [Post((rank,), k) for k in self.others(j + 1)]
                    found += [
                        Post((rank,), k)
                        for k in self.phrase(
                            j,
                            idioms(
                                "of the table; of the desk; of the scene; of the row; of the line; of "
                                "the surface; of the workspace; of everything; of the picture"
                            ),
                        )
                    ]
        return found

    def _is_adverb(self, j: int) -> bool:
        """Whether "right" means "directly": "right by", "right at the left edge"."""
        following = self.word(j + 1)
        return following in terms(
            "by at next beside behind over up there here near in on to close along"
        ) and self.word(j - 1) not in terms(
            "the my your our far to on very furthest farthest extreme most"
        )  # fmt: skip

    def _may_end(self, j: int) -> bool:
        """Whether a phrase of a side may end before a word: not before "of" and a thing, or a noun."""
        following = self.word(j)
        if following == "of":
            if self.others(j + 1):
                return True
            return not any(not d.landmark for d, _ in self.np(j + 1, 9)) or self._is_group(j)
        return not self.lex(j, "NOUN", "ONE", "COLOR") and following not in terms(
            "hand handed side end edge most"
        )

    def _is_group(self, i: int) -> bool:
        return bool(self.group(i, 9))

    def _side_degree(self, words: Sequence[str], side: str, frame: Frame) -> Degree | None:
        has_lead = words[0] in terms("to on at in toward towards over off along by near") or words[-1] != side
        if not (_STRONG & set(words) or has_lead or words[0] in ("leftmost", "rightmost")):
            return None
        away = set(words) & _FAR or "last" in words
        if "from" in words:
            if not away and not ({"first", "closest", "nearest", "near", "close"} & set(words)):
                return None
            side = OPPOSITE[side] if away else side
        if {"near", "nearer", "close", "closer", "further", "farther"} & set(words) and not {
            "far",
            "furthest",
            "farthest",
        } & set(words):
            return Degree(" ".join(words), side, form="comparative", frame=frame)
        return Degree(" ".join(words), side, frame=frame)

    def rank_from(self, i: int, depth: int) -> list[Post]:
        """Read "first from the left", "that comes first going from left to right"."""
        found: list[Post] = []
        j = i
        is_counted = False
        while self.word(j) in terms(
            "comes is the counting counted when you come count appears starting going reading if we i one"
        ):
            is_counted = is_counted or self.word(j) in terms("counting count counted starting going reading")
            j += 1
        rank = {"first": 1, "last": -1}.get(self.word(j))
        if rank is None:
            entry = self.lex(j, "ORD")
            rank = entry[0][0].value if entry else None
        if rank is None and is_counted and self.word(j) == "from":
            rank, j = 1, j - 1
        if rank is None:
            return found
        j += 1
        while self.word(j) in terms(
            "one in going counting reading when you go count read look looking if starting moving as "
            "scanning counted we i line comes encountered order to along start"
        ):  # fmt: skip
            j += 1
        if self.word(j) != "from":
            return found
        j += 1
        if self.word(j) in ("the", "my", "your", "our"):
            frame = WHOSE[self.word(j)]
            j += 1
        else:
            frame = "camera"
        side = SIDES.get(self.word(j))
        if side is None:
            return found
        j += 1
        while self.word(j) in ("hand", "side", "end", "edge"):
            j += 1
        if self.word(j) == "to" and self.word(j + 1) in SIDES:
            j += 2
        elif self.word(j) == "to" and self.word(j + 1) == "the" and self.word(j + 2) in SIDES:
            j += 3
        side = OPPOSITE[side] if rank < 0 else side
        return [Post((Degree(f"from the {side}", side, rank=abs(rank), frame=frame),), j)]

    def nothing_beyond(self, i: int, depth: int) -> list[Post]:
        """Read "with nothing to its left", "that has no other ball on its right"."""
        j = i
        while self.word(j) in terms("with has having there is which that have"):
            j += 1
        ends = self.phrase(
            j,
            idioms(
                "nothing; nothing else; no other; none of the others; no others; none; no neighbour; "
                "no neighbor; no one"
            ),
        )
        found = []
        for k in ends:
            if j == i:
                break
            heads = (
                [k]
                + [m for _, m in self.lex(k, "NOUN", "ONE")]
                + [m for _, c in self.lex(k, "COLOR") for _, m in self.lex(c, "NOUN", "ONE")]
            )
            for m in heads:
                while self.word(m) in terms("further more standing sitting lying else over at all any"):
                    m += 1
                if (
                    self.word(m) in ("to", "on", "at")
                    and self.word(m + 1) in ("its", "the")
                    and self.word(m + 2) in SIDES
                ):
                    e = m + 3
                    while self.word(e) in ("hand", "side", "of", "it"):
                        e += 1
                    found.append(Post((Degree("outermost", SIDES[self.word(m + 2)]),), e))
        return found
