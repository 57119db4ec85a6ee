"""Pieces of a sentence for the tolerant reading: verbs, wishes, and all others together."""

from __future__ import annotations

from vlm_agent.scripted.loose.asking import WISHES
from vlm_agent.scripted.loose.background import QUESTIONS, Background
from vlm_agent.scripted.loose.idioms import (
    BEHOLD,
    GIVEN_LIFT,
    GIVEN_PLACE,
    PICK_IDIOMS,
    PLACE_FOR,
    PUT_IDIOMS,
    SHALL_BE,
    WISHED,
)
from vlm_agent.scripted.loose.places import BOUNDARIES, Item, Piece
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.loose.verbs import HOLDING, SHALL, verb_forms

_PEOPLE_BEFORE = frozenset("i he she they someone somebody who everybody everyone nobody".split())

_AUXILIARIES = frozenset(
    "can could will would shall may might have has had am is are was were been did do 'll 've just "
    "already also now "
    "always usually often really then simply to be going".split()
)

HOLDING_VERBS = frozenset(HOLDING) | {"pick up"}


class Pieces(Background):
    """Reads the pieces that may begin at each word."""

    def pieces(self, i: int) -> list[Piece]:
        """Return what may begin at a word."""
        found: list[Piece] = []
        found += self._stops(i)
        found += self._verbs(i)
        found += self._things(i)
        found += self._places(i)
        found += self._wishes(i)
        found += self.passed_over(i)
        if self.begins_clause(i):
            found += self.background(i)
        return list(dict.fromkeys(found))

    def _stops(self, i: int) -> list[Piece]:
        word = self.word(i)
        if word in BOUNDARIES:
            return [(Item("stop", word), i + 1, 0.0)]
        ends = self.phrase(i, idioms(
            "after that; afterwards; and then; next; once done; when done; once you have it; once you "
            "have got it; when you have it; once it is in your hand; once you have hold of it; once "
            "held; finally; as well as; once you have done that; having done that; after which; "
            "whereupon; before you; in order to; to then; once you have it in your hand; when you "
            "have got it; once grasped; while; until you can"
        ))  # fmt: skip
        return [
            (Item("stop", "then"), j, 0.0)
            for j in ends
            if self.word(i) not in ("while", "before", "in", "until")
        ]

    def _verbs(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        if self._is_told_of_others(i):
            return found
        word = self.word(i)
        tables = verb_forms()
        end = self.match(PICK_IDIOMS, i)
        if end > 0:
            form = "ed" if word.endswith("ed") or word in terms("held taken brought took got") else "base"
            found.append((Item("pick", "pick up", form), end, 0.0))
        end = self.match(PUT_IDIOMS, i)
        if end > 0:
            found.append((Item("give" if word == "give" else "put", self.words[end - 1], "base"), end, 0.0))
        for kind in ("pick", "put", "fill", "contain"):
            form = tables[kind].get(word)
            if form is not None and (form[1] != "s" or kind == "contain"):
                found.append((Item(kind, form[0], form[1]), i + 1, 0.0))
        end = self.match(GIVEN_PLACE, i)
        if end > 0 and self.words[:i].count("give") + self.words[:i].count("giving") > 0:
            found.append((Item("settle"), end, 0.0))
        end = self.match(GIVEN_LIFT, i)
        if end > 0:
            found.append((Item("lift"), end, 0.0))
        if (
            word == "up"
            and self.word(i + 1) in terms("it they she he you")
            and self.word(i + 2) in ("comes", "goes", "come", "go")
        ):
            found.append((Item("lift"), i + 3, 0.0))
        for j in self.phrase(
            i,
            idioms(
                "could use; could do with; is missing; is short of; is in want of; is lacking; has "
                "room for; is waiting for; is ready for"
            ),
        ):
            found.append((Item("contain", "need", "s"), j, 0.0))
        if word == "with":
            found.append((Item("with"), i + 1, 0.0))
        end = self.match(BEHOLD, i)
        if end > 0 and self.begins_clause(i):
            found.append((Item("behold"), end, 0.05))
        if word in ("to", "for", "as") and i:
            for j in self.phrase(
                i,
                idioms(
                    "for; to store; to hold; to keep; to house; to contain; as a home for; as storage "
                    "for; as a container for; as the container for; to put; as the home for; as a "
                    "place for"
                ),
            ):
                found.append((Item("used", "inside"), j, 0.0))
            for j in self.phrase(
                i,
                idioms(
                    "as a base for; as a stand for; as a support for; as a platform for; as a "
                    "pedestal for; as the base for; to support; to carry; as a table for; as a shelf "
                    "for; to prop up"
                ),
            ):
                found.append((Item("used", "on"), j, 0.0))
        if word in ("use", "using"):
            found.append((Item("fill", "use", "base"), i + 1, 0.0))
        end = self.match(PLACE_FOR, i)
        if end > 0:
            found.append((Item("placefor"), end, 0.0))
        if word == "where":
            found.append((Item("where"), i + 1, 0.0))
        return found

    def _is_told_of_others(self, i: int) -> bool:
        """Whether the verb here says what somebody does or did ("I put", "she has left"), not what to do."""
        if self.word(i - 1) in ("have", "has", "had"):
            return True  # "you have put"
        j = i - 1
        while self.word(j) in _AUXILIARIES or (self.word(j).endswith("ly") and self.word(j) != ""):
            if self.word(j) == "to" and self.word(j - 1) not in ("going", "have", "has", "had"):
                return False
            j -= 1
        if self.word(j) == "we":
            return j == i - 1 and self.word(j - 1) not in ("could", "can", "should", "shall")
        return self.word(j) in _PEOPLE_BEFORE and not (
            self.word(j) == "i" and self.word(j - 1) in ("could", "can", "may")
        )

    def _wishes(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        end = self.match(SHALL_BE, i)
        if end > 0 and not (self.begins_sentence(i) and self.word(i) in QUESTIONS):
            found.append((Item("shall"), end, 0.0))
        word = self.word(i)
        if word in SHALL:
            found.append((Item("shall"), i + 1, 0.0))
        form = verb_forms()["belong"].get(word)
        if form is not None and not self._is_told_of_others(i):
            if word not in terms("is are was were be been being am") and form[1] in (
                "base",
                "s",
            ):
                found.append((Item("shall", form[0]), i + 1, 0.05))
            elif form[1] in ("ing", "ed") and form[0] != "be":
                found.append((Item("posture", form[0], form[1]), i + 1, 0.05))
        end = self.match(WISHED, i)
        if (
            word in QUESTIONS
            and self.begins_sentence(i)
            and self.word(i + 1) in terms("you i we they he she")
        ):
            end = -1  # "have you put ...?"
        if end > 0 and not (word in terms("let have make get keep see") and self._is_told_of_others(i)):
            found.append((Item("want"), end, 0.0))
        for pattern in WISHES:
            end = self.match(pattern, i)
            if end > 0:
                found.append((Item("want"), end, 0.02))
        if word in terms("is are was were be 's been being am") and not (
            self.begins_sentence(i) and word != "be"
        ):
            found.append((Item("be", word), i + 1, 0.0))
        return found
