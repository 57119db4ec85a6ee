"""What the tolerant reading may pass over: politeness, purposes, reasons, addresses."""

from __future__ import annotations

from collections.abc import Iterator

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.loose.asking import PASSED_OVER
from vlm_agent.scripted.loose.fillers import ADDRESS, HARMLESS, TELLING, TELLING_ADVERBS
from vlm_agent.scripted.loose.places import BOUNDARIES, Item, Piece, Places
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.loose.verbs import verb_forms
from vlm_agent.scripted.syntax import Description

BACKGROUND = frozenset(
    "i we he she they it there this that these those my our his her their the a an some someone somebody "
    "everyone everybody people "
    "guests dinner lunch breakfast mum mom dad since because as for today tonight now well look listen "
    "you your sorry oh hey excuse "
    "to seriously company visitors friends things dinner's who's what's grandma grandpa nobody's both "
    "right okay ok given".split()
)

_REASONS = frozenset(
    "because since as for so i we my it that they he she there our cause cos otherwise".split()
) - {"otherwise"}

_CONTENT = terms("COLOR NOUN FORM COMP EXTREME")

QUESTIONS = frozenset(
    "is are was were does did do has have what which where who when why how whose am".split()
)


class Background(Places):
    """Reads what says nothing of the task."""

    def begins_clause(self, i: int) -> bool:
        """Whether a clause may begin at a word."""
        if self.word(i) in ("because", "since", "cos") or (
            self.word(i) == "as" and self.word(i + 1) in _REASONS
        ):
            return True
        return (
            i == 0
            or self.word(i - 1) in (",", ".", ";", ":")
            or (self.word(i - 1) in ("so", "and", "but") and i > 1)
        )

    def begins_sentence(self, i: int) -> bool:
        """Whether a sentence begins at a word."""
        return i == 0 or self.word(i - 1) == "."

    def passed_over(self, i: int) -> list[Piece]:
        """Return what may be passed over at a word, with the ends."""
        found: list[Piece] = []
        for pattern in PASSED_OVER:
            end = self.match(pattern, i)
            if end > 0:
                found.append((None, end, 0.05))
        word = self.word(i)
        if word in HARMLESS or (
            word.endswith("ly")
            and word not in TELLING_ADVERBS
            and not self.lex(i, *_CONTENT)
            and len(word) > 4
        ):
            if not (
                self.begins_sentence(i) and word in QUESTIONS and self.word(i + 1) not in ("please", "kindly")
            ):
                found.append((None, i + 1, 0.1))
        if word == "right" and self.word(i + 1) in idioms(
            ",; next; beside; by; in; on; at; to; behind; up; into; onto; inside; there; here; away; "
            "now; over; back; alongside; so; down; near; close; then; between; across; off; around;"
        ):  # fmt: skip
            found.append((None, i + 1, 0.1))
        if (
            word == "do"
            and self.begins_sentence(i)
            and (verb_forms()["put"] | verb_forms()["pick"]).get(self.word(i + 1), ("", ""))[1] == "base"
        ):
            found.append((None, i + 1, 0.1))
        if (
            word == "right"
            and self.lex(i + 1, "REL", "BETWEEN")
            and self.word(i - 1) not in terms("the to on far my your")
        ):
            found.append((None, i + 1, 0.1))
        if word == "like" and (self.word(i - 1) in (",", "") or self.word(i + 1) == ","):
            found.append((None, i + 1, 0.1))
        if (
            word == "off"
            and self.lex(i + 1, "REL", "BETWEEN")
            and any(w in ("drop", "dropping", "deposit") for w in self.words[:i])
        ):
            found.append((None, i + 1, 0.1))
        if word == "first" and self.word(i - 1) not in ("the",):
            found.append((None, i + 1, 0.1))
        found += self.preamble(i)
        if word == "in" and self.lex(i + 1, "REL", "BETWEEN"):
            found.append((None, i + 1, 0.15))
        if word == "before" and self.word(i + 1) not in terms("the a an this that it"):
            found += self._until_something(i)
        if word in ("for", "before") and self.word(i + 1) in terms("the my a an our this his her your some"):
            found += self._purpose(i)
        return found

    def _purpose(self, i: int) -> Iterator[Piece]:
        """Pass over "for the photo", "for my birthday party": a noun of none of the things on the table."""
        for k in range(i + 3, min(i + 6, len(self.words) + 1)):
            words = self.words[i + 1 : k]
            if any(
                w in TELLING
                or w in BOUNDARIES
                or (w in verb_forms()["put"] and verb_forms()["put"][w][1] == "base" and w != words[-1])
                for w in words
            ):
                return
            if any(self.lex(m, *_CONTENT, "ONE", "SIZE", "HAND") for m in range(i + 2, k)):
                return
            yield None, k, 0.15 * (k - i)

    def _until_something(self, i: int) -> Iterator[Piece]:
        """Pass over "before grandma arrives" at the end."""
        end = next((k for k in range(i + 1, len(self.words)) if self.words[k] in BOUNDARIES), len(self.words))
        span = range(i + 1, end)
        is_plain = not any(self.words[k] in TELLING or self._is_known_thing(k) for k in span)
        if 2 <= end - i <= 6 and is_plain:
            yield None, end, 0.2 * (end - i)

    def _is_known_thing(self, k: int) -> bool:
        forms = {**verb_forms()["put"], **verb_forms()["pick"]}
        return (
            bool(self.lex(k, *_CONTENT, "ONE", "FOREIGN")) or forms.get(self.words[k], ("", ""))[1] == "base"
        )

    def preamble(self, i: int) -> Iterator[Piece]:
        """Pass over a heading: "let's play a game: put ..."."""
        if not self.begins_clause(i) or self.word(i) not in BACKGROUND | {"let"}:
            return
        for j in range(i + 1, min(i + 7, len(self.words) - 2)):
            if self.word(j) == ":":
                yield None, j + 1, 0.7 + 0.05 * (j - i)
                return
            if (
                self.word(j) in TELLING
                or self.word(j) in BOUNDARIES
                or self.lex(j, "CANT", "GESTURE", *_CONTENT)
            ):
                return

    def background(self, i: int) -> Iterator[Piece]:
        """Pass over a clause that gives a reason or an address; what it mentions is kept."""
        first = self.word(i)
        ends = [
            j
            for j in range(i + 1, len(self.words) + 1)
            if j == len(self.words) or self.word(j) in terms(", . ; : so")
        ]
        for end in ends[:4]:
            span = self.words[i:end]
            is_last = end == len(self.words) or (end == len(self.words) - 1 and self.word(end) == ".")
            if all(w in ADDRESS for w in span) and len(span) <= 3:
                yield None, end, 0.1
                continue
            if self.word(i - 1) == "and" or len(span) > 22:
                continue
            telling = {w for w in span if w in TELLING}
            if first in ("i", "we", "my", "our", "it", "there") and "so" in self.words[end : end + 2]:
                telling -= {"not", "no", "cannot", "never", "only"}  # "I can't see the screen, so ..."
            if telling or any(self.lex(k, "GESTURE", "CANT") and k == i for k in range(i, end)):
                continue
            if (
                i == 0
                and len(span) <= 2
                and self.word(end) == ","
                and not any(self._is_known(k) for k in range(i, end))
            ):
                yield None, end, 0.3  # an unknown name: "Zorg, put ..."
                continue
            if first == "to" and any(self.lex(k, *_CONTENT) for k in range(i, end)):
                continue
            starts = _REASONS if is_last and i > 0 else BACKGROUND
            if first not in starts:
                continue
            yield from self._told(i, end)

    def _is_known(self, k: int) -> bool:
        tables = verb_forms()
        word = self.words[k]
        return bool(self.lex(k)) or any(word in tables[t] for t in ("put", "pick", "fill", "contain"))

    def _told(self, i: int, end: int) -> Iterator[Piece]:
        """Pass over a clause without any thing of the table, or with one that it mentions."""
        cost = 0.8 + 0.06 * (end - i)
        k, mention = i, None
        while k < end:
            things = [
                (d, j)
                for d, j in self.np(k)
                if j <= end and not (d.landmark or d.is_pronoun) and self._is_concrete(d)
            ]
            if things and mention is None:
                mention, k = things[0]
                continue
            if self.word(k) == "can" and self.word(k - 1) not in ("the", "a", "this", "that"):
                k += 1
                continue
            if things or self.lex(k, "COLOR", "FORM") or (self.lex(k, "NOUN") and not self._is_generic(k)):
                return
            k += 1
        if mention is None:
            yield None, end, cost
        else:
            yield Item("mention", (mention,)), end, cost

    def _is_concrete(self, what: Description) -> bool:
        return any(isinstance(c, (ast.Colored, ast.Shaped)) for c in what.constraints)

    def _is_generic(self, k: int) -> bool:
        return all(e.value.shape is None for e, _ in self.lex(k, "NOUN"))
