"""Groups to choose from, for the tolerant reading: "of them all", "from that pair of balls"."""

from __future__ import annotations

from vlm_agent.scripted.loose.lookup import Lookup, Post
from vlm_agent.scripted.loose.tables import (
    GROUP_DETS,
    GROUP_WORDS,
    TABLE,
)
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.syntax import Degree


class Groups(Lookup):
    """Reads what a choice is made from."""

    def group(self, i: int, depth: int) -> list[Post]:
        """Read what a choice is made from: "of them all", "out of the two", "of that pair of balls"."""
        starts = self.phrase(
            i,
            idioms(
                "of; out of; among; amongst; from; from among; in; between; compared to; compared "
                "with; when you compare; from out of; amid; within; when comparing; if you compare; "
                "in comparison with; in comparison to; out from; when we compare; relative to"
            ),
        )  # fmt: skip
        found: list[Post] = []
        for j in starts:
            k, words = j, []
            while self.word(k) in GROUP_DETS or self.word(k) in GROUP_WORDS:
                words.append(self.word(k))
                k += 1
                if set(words) & GROUP_WORDS and not self._goes_on(k):
                    found.append(Post((), k))
                    found += [Post((), m) for m in self.phrase(k, TABLE)]
            if depth >= 9:
                continue
            for start in self._group_nouns(j):
                for group, m in self.np(start, max(depth + 1, 2)):
                    if (
                        group.landmark
                        or group.is_pronoun
                        or any(isinstance(c, Degree) for c in group.constraints)
                    ):
                        continue
                    if not group.wants_many:
                        continue
                    found.append(Post((), m, group.constraints))
                    found += [Post((), e, group.constraints) for e in self.phrase(m, TABLE)]
        return found

    def _goes_on(self, k: int) -> bool:
        """Whether the group's own noun is still to come: "of the two | balls", "of the group | of balls"."""
        return bool(self.lex(k, "NOUN", "COLOR", "FORM", "SIZE", "ONE")) or (
            self.word(k) == "of"
            and self.word(k + 1) not in ("the", "all", "them")
            and bool(self.lex(k + 1, "NOUN", "COLOR", "SIZE"))
        )

    def _group_nouns(self, j: int) -> list[int]:
        """Return where the noun phrase of a group begins: at once, or after "that pair of"."""
        starts = [j]
        k = j
        while self.word(k) in GROUP_DETS or self.word(k) in GROUP_WORDS:
            k += 1
            if self.word(k) == "of":
                starts.append(k + 1)
        starts += [
            m
            for m in range(j + 1, k + 1)
            if m not in starts and self.word(m - 1) in terms("all both of our my the those these two whole")
        ]
        return starts
