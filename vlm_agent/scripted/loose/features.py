"""Features after a noun, for the tolerant reading, however they are led to: "that has been left ..."."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vlm_agent.scripted.loose.groups import Groups
from vlm_agent.scripted.loose.lookup import Post
from vlm_agent.scripted.loose.nearness import Nearness
from vlm_agent.scripted.loose.sides import Sides
from vlm_agent.scripted.loose.sizes import Sizes
from vlm_agent.scripted.loose.tables import (
    KIN,
    PEOPLE,
    PERCEIVE,
    POSTURES,
    RELATIVE,
    SIDE_OF,
    SIDES,
    SKIP,
    TABLE,
)
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.loose.verbs import verb_forms
from vlm_agent.scripted.spatial_words import RELATION_OF, Rel
from vlm_agent.scripted.syntax import Degree, Description, Related


class Features(Sides, Nearness, Sizes, Groups):
    """Reads features at a word of a sentence."""

    def posts(self, i: int, depth: int, *, is_open: bool = False) -> list[Post]:
        """Return the features that begin at a word; `is_open`: no "that" needed ("whichever is ...")."""
        key = (i, depth, is_open)
        if key not in self._posts:
            self._posts[key] = []  # no feature begins with itself
            found: list[Post] = []
            for j, is_clause in self._leads(i, is_open):
                if j >= len(self.words):
                    continue
                for read in self._readers(is_clause):
                    found += read(j, depth)
            found += self._perceived(i)
            found += [Post((), j) for j in self.phrase(i, TABLE)]
            found += [Post((), j) for j in self._viewed(i)]
            self._posts[key] = list(dict.fromkeys(found))
        return self._posts[key]

    def _viewed(self, i: int) -> list[int]:
        """Read "as I look at it", "the way I see them": the viewer's own left and right, as always."""
        ends = self.phrase(i, idioms("as; when; the way; if; how"))
        out = []
        for j in ends:
            if self.word(j) not in ("i", "we") or self.word(j + 1) not in terms(
                "look see view face sit stand am count are"
            ):
                continue
            k = j + 2
            while self.word(k) in terms(
                "at it them this here things the table facing looking sitting standing on down now "
                "from my side scene"
            ):
                k += 1
                out.append(k)
            out.append(j + 2)
        return sorted(set(out), reverse=True)

    def _readers(self, is_clause: bool) -> list[Callable[[int, int], list[Post]]]:
        always = [
            self.related,
            self.side,
            self.near,
            self.group,
            self.compared,
            self.turned_round,
            self.measured,
            self.rank_from,
            self.nothing_beyond,
            self.approached,
        ]
        return [*always, self.state] if is_clause else always

    def _leads(self, i: int, is_open: bool) -> Iterator[tuple[int, bool]]:
        """Yield where a feature may begin, and whether a clause led to it ("that is ...")."""
        yield i, False
        j = i + 1 if self.word(i) == "," else i
        is_clause = self.word(j) in RELATIVE
        if is_clause:
            j += 1
        elif is_open and self.word(j) in SKIP:
            is_clause = True
        start = j
        if is_clause:
            yield j, True
        if self.word(i) == "," and self.word(j) == "the" and self.word(j + 1) == "one":
            yield j + 2, True
            j += 2 + (self.word(j + 2) in RELATIVE)
            start = j
            is_clause = True
        spots = self.phrase(
            j,
            idioms(
                "in the spot; in the place; in the position; in the area; in the space; with a "
                "position; with its place; in a position; in a spot; at the spot; at a spot; on the "
                "spot; whose place is; whose position is; whose spot is"
            ),
        )
        for k in spots:
            yield k, False
        if self.word(j) == "my" and self.word(j + 1) in KIN:
            j += 1
        if self.word(j) in PEOPLE or self.word(j) in KIN:
            j = self._clause_of_people(j)
            if j < 0:
                return
        elif (
            not is_clause
            and self.word(j) not in POSTURES
            and not self._is_posture(j)
            and self.word(j) not in terms("just right currently over directly immediately")
        ):
            return
        j = max(j, start)
        seen: set[int] = set()
        while True:
            if j not in seen and j > i and not (is_clause and j == start):
                seen.add(j)
                yield j, is_clause
            if self.word(j) in SKIP or self.word(j) in POSTURES or self._is_posture(j):
                j += 1
            else:
                return

    def _is_posture(self, j: int) -> bool:
        """Whether an unknown participle stands before a place: "lurking behind the mug"."""
        word = self.word(j)
        known = word in RELATIVE or bool(self.lex(j))
        return (
            not known
            and len(word) > 5
            and word.endswith(("ing", "ed"))
            and bool(self.lex(j + 1, "REL", "ONSIDE", "BETWEEN"))
        )

    def _clause_of_people(self, j: int) -> int:
        """Return the end of "you can see", "somebody has put", "my wife left"; -1 if it is something else."""
        j += 1
        while self.word(j) in SKIP or self.word(j).endswith("ly"):
            j += 1
        forms = verb_forms()["put"].get(self.word(j))
        if self.word(j) in PERCEIVE or forms is not None:
            return j + 1
        return -1

    def _perceived(self, i: int) -> list[Post]:
        """Read "you can see", "I've got here": nothing is said."""
        j = i + 1 if self.word(i) in RELATIVE else i
        if self.word(j) not in PEOPLE:
            return []
        j += 1
        while self.word(j) in SKIP:
            j += 1
        if self.word(j) not in PERCEIVE:
            return []
        j += 1
        return [Post((), j), *(Post((), k) for k in self.phrase(j, TABLE))]

    def related(self, i: int, depth: int) -> list[Post]:
        """Read "left of the mug", "between the mug and the bowl", "on the mug's left"."""
        found: list[Post] = []
        for entry, j in self.lex(i, "REL"):
            rel: Rel = entry.value
            if rel.is_motion and self.words[i] not in terms("on in to at down over"):
                continue
            for anchor, k in self.np(j, depth + 1):
                found += self._relation_post(rel, anchor, k)
            side = SIDE_OF.get(rel.name)
            if side:
                found += [
                    Post((Degree(" ".join(self.words[i:k]), side, frame=rel.frame),), k)
                    for k in self.others(j)
                ]
        for _, j in self.lex(i, "BETWEEN"):
            for first, k in self.np(j, depth + 1):
                if first.wants_many:
                    found.append(Post((Related("between", (first,)),), k))
                if self.word(k) == "and":
                    found += [
                        Post((Related("between", (first, second)),), m)
                        for second, m in self.np(k + 1, depth + 1)
                    ]
        if self.word(i) in ("on", "to", "at"):
            found += [Post((Related(r, (a,)),), k) for r, a, k in self.owned_side(i + 1, depth)]
        return found

    def _relation_post(self, rel: Rel, anchor: Description, end: int) -> list[Post]:
        if anchor.is_pronoun:
            return []
        if anchor.landmark == "table" and rel.name in ("on", "next_to"):
            return [Post((), end)] if rel.name == "on" else []
        if anchor.landmark in ("viewer", "robot") and rel.name == "next_to":
            towards = None if anchor.landmark == "viewer" else anchor
            return [Post((Degree("near", "near", anchor=towards),), end)]
        if anchor.landmark in ("viewer", "robot") and rel.name in ("inside", "on", "above", "below"):
            return []
        return [Post((Related(rel.name, (anchor,), rel.frame),), end)]

    def owned_side(self, i: int, depth: int) -> list[tuple[str, Description, int]]:
        """Read "the mug's left (hand side)": the relation, the mug, and the end."""
        found = []
        for anchor, j in self.np(i, depth + 1):
            if self.word(j) != "'s":
                continue
            k = j + 1
            while self.word(k) in ("immediate", "direct", "near", "very"):
                k += 1
            side = SIDES.get(self.word(k))
            if side is None or anchor.landmark:
                continue
            k += 1
            while self.word(k) in ("hand", "side"):
                k += 1
            found.append((RELATION_OF[side], anchor, k))
        return found

    def turned_round(self, i: int, depth: int) -> list[Post]:
        """Read "with the mug to its right", "that has the bowl behind it": turned round."""
        if self.word(i) not in ("with", "having", "has", "have"):
            return []
        turned = {
            "left_of": "right_of",
            "right_of": "left_of",
            "in_front_of": "behind",
            "behind": "in_front_of",
            "next_to": "next_to",
        }
        found: list[Post] = []
        for anchor, j in self.np(i + 1, depth + 1):
            if anchor.landmark or anchor.is_pronoun:
                continue
            k = j
            while self.word(k) in SKIP or self.word(k) in POSTURES:
                k += 1
            for m in range(j, k + 1):
                for entry, e in self.lex(m, "RELIT"):
                    if entry.value in turned:
                        found.append(Post((Related(turned[entry.value], (anchor,)),), e))
                for entry, e in self.lex(m, "REL"):
                    if self.word(e) == "it" and entry.value.name in turned:
                        found.append(Post((Related(turned[entry.value.name], (anchor,)),), e + 1))
        return found
