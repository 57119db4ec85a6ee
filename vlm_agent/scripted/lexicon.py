"""The lexicon: every word and phrase the grammar knows, as `phrase -> (terminal, value)`.

A phrase has one terminal; the grammar says where it may stand. `FILLER` phrases (politeness,
adverbs) are dropped, `FRAME` phrases ("from your side") are taken out and apply to the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from vlm_agent.scripted import function_words, spatial_words, vocabulary
from vlm_agent.scripted.function_words import rows
from vlm_agent.scripted.spatial_words import Rel

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_DEGREE_TERMINALS = {"positive": "SIZE", "comparative": "COMP", "superlative": "EXTREME"}


@dataclass(frozen=True)
class Entry:
    """A phrase of the lexicon: its terminal in `grammar.lark` and what it means."""

    terminal: str
    value: Any = None


Entries = Iterator[tuple[str, Entry]]


@lru_cache(maxsize=1)
def lexicon() -> dict[str, Entry]:
    """Return the whole lexicon; later parts win where a phrase is in two."""
    return dict(chain(_fillers(), _content(), _verbs(), _structure(), _spatial(), _gestures(), _numbers()))


@lru_cache(maxsize=1)
def vocabulary_words() -> frozenset[str]:
    """Return every single word that occurs in a phrase."""
    return frozenset(word for phrase in lexicon() for word in phrase.split())


@lru_cache(maxsize=1)
def longest_phrase() -> int:
    """Return the number of words of the longest phrase."""
    return max(len(phrase.split()) for phrase in lexicon())


def _fillers() -> Entries:
    for word in function_words.FILLERS.split():
        yield word.replace("-", " "), Entry("FILLER")


def _content() -> Entries:
    """Colours, nouns, sizes and the words that no tool can check."""
    for word in vocabulary.foreign():
        yield word, Entry("FOREIGN", word)
    for word in vocabulary.soft():
        yield word, Entry("SOFT", word)
    for word in vocabulary.decor():
        yield word, Entry("DECOR", word)
    for word, degree in vocabulary.degrees().items():
        yield word, Entry(_DEGREE_TERMINALS[degree.form], degree)
    for word, color in vocabulary.colors().items():
        yield word, Entry("COLOR", color)
    for word, noun in vocabulary.nouns().items():
        yield word, Entry("NOUN", noun)
    for word, shape in vocabulary.forms().items():
        yield word, Entry("FORM", shape)
    for attribute, words in rows(function_words.ATTRIBUTES).items():
        for word in words:
            yield word, Entry("ATTR", attribute)


def _verbs() -> Entries:
    for terminal, phrases in rows(function_words.VERBS).items():
        for phrase in phrases:
            for form in _forms(phrase) if terminal in function_words.INFLECTED else [phrase]:
                yield form, Entry(terminal, phrase)


def _forms(verb: str) -> list[str]:
    """Return the forms of a (phrasal) verb: base, -ing, -ed, -s."""
    head, *rest = verb.split(" ")
    irregular = rows(function_words.IRREGULAR).get(head)
    if irregular is not None:
        forms = [head, *irregular]
    elif head.endswith("e"):
        forms = [head, head[:-1] + "ing", head + "d", head + "s"]
    elif head.endswith("y") and head[-2] not in "aeiou":
        forms = [head, head + "ing", head[:-1] + "ied", head[:-1] + "ies"]
    else:
        forms = [head, head + "ing", head + "ed", head + ("es" if head.endswith(("s", "sh", "ch")) else "s")]
    return [" ".join([form, *rest]) for form in forms]


def _structure() -> Entries:
    for terminal, phrases in rows(function_words.STRUCTURE).items():
        for phrase in phrases:
            yield phrase, Entry(terminal, phrase)
    yield "'s", Entry("POSS", "'s")


def _spatial() -> Entries:
    for name, phrases in rows(function_words.PREPOSITIONS).items():
        for phrase in phrases:
            yield phrase, Entry("REL", Rel(name.rstrip("!"), name.endswith("!")))
            if phrase.split()[0] in ("on", "in", "at", "to"):  # "set it down on the far side of"
                yield f"down {phrase}", Entry("REL", Rel(name.rstrip("!"), is_motion=True))
    for phrase, side in spatial_words.places():
        yield phrase, Entry("ONSIDE", side)
    for phrase, side in spatial_words.adjectives():
        yield phrase, Entry("SIDE", side)
    for phrase, rel in spatial_words.prepositions():
        yield phrase, Entry("REL", rel)
    for phrase, relation in spatial_words.beside_it():
        yield phrase, Entry("RELIT", relation)
    for phrase, frame in spatial_words.frames():
        yield phrase, Entry("FRAME", frame)


def _gestures() -> Entries:
    for name, phrases in rows(function_words.GESTURES).items():
        for phrase in phrases:
            yield phrase, Entry("GESTURE", name)


def _numbers() -> Entries:
    for n, word in enumerate(_NUMBERS):
        yield str(n), Entry("NUM", n)
        if word != "one":
            yield word, Entry("NUM", n)
        if 0 < n < 6:
            yield f"more than {word}", Entry("NUM", n + 1)
            yield f"at least {word}", Entry("NUM", n)
    for n, word in enumerate(_ORDINALS, start=1):
        yield f"{n}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(n, 'th') }", Entry("ORD", n)
        if word != "first":  # "first, put ..." is no rank
            yield word, Entry("ORD", n)
