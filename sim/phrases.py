"""Instructions in words: draws sentences from `phrases.yaml` for the tasks of the tabletop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from sim.objects import ObjectSpec

PhraseSplit = Literal["dev", "test", "blind", "strangers"]
_FILES = (
    "phrases.yaml", "phrases_blind.yaml", "phrases_strangers.yaml", "phrases_families.yaml",
    "phrases_families_test.yaml", "phrases_insert.yaml", "phrases_hands.yaml",
)  # fmt: skip
_LENGTHS = ("{n} cm", "{n} centimetres", "{n} cm", "{n}cm")
_PLAIN_SHARE = 0.55  # how often the plain word is said rather than a synonym


@dataclass(frozen=True)
class Noun:
    """What is said of an object: a shape word and, maybe, its colour.

    Attributes:
        shape: A shape, `cube`, or `object` for any.
        color: Colour name, or None where it is left out.
    """

    shape: str
    color: str | None = None

    def fits(self, obj: ObjectSpec) -> bool:
        """Whether a listener could mean this object (a cube is a box, too)."""
        shape = "box" if self.shape == "cube" else self.shape
        return self.color in (None, obj.color) and shape in ("object", obj.shape)


@cache
def _vocabulary() -> dict[str, Any]:
    words, *further = (
        yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8")) for name in _FILES
    )
    for more in further:
        for part in ("targets", "sentences"):
            for kind, templates in more.get(part, {}).items():
                words[part][kind] = [*words[part].get(kind, ()), *templates]
        words["sizes"] |= more.get("sizes", {})
        words["toward"] = words.get("toward", {}) | more.get("toward", {})
    return words


class Phrases:
    """Draws words and sentences of one split.

    Args:
        rng: Source of randomness.
        split: `dev`, `test`, `blind` or `strangers` sentences; plain words belong to all. Synonyms and
            relations have only `dev` and `test`; `blind` and `strangers` sentences use the latter.
    """

    def __init__(self, rng: np.random.Generator, split: PhraseSplit) -> None:
        """See the class."""
        self._rng, self._split = rng, split
        self._words: Literal["dev", "test"] = "dev" if split == "dev" else "test"

    def length(self, number_cm: int) -> str:
        """Say a length, e.g. "10 cm"."""
        return self._pick(list(_LENGTHS)).format(n=number_cm)

    def word(
        self, kind: Literal["colors", "shapes", "sizes", "toward"], name: str, avoid: tuple[str, ...] = ()
    ) -> str:
        """Say a colour, shape, size or "to the left"; `avoid` are words that would mislead in this scene."""
        entry = _vocabulary()[kind][name]
        synonyms = [w for w in entry[self._words] if w not in avoid]
        if not synonyms or self._rng.random() < _PLAIN_SHARE:
            return entry["plain"]
        return self._pick(synonyms)

    def noun(self, noun: Noun, avoid: tuple[str, ...] = ()) -> str:
        """Say a noun phrase without article, e.g. "crimson block"."""
        shape = self.word("shapes", noun.shape, avoid)
        return f"{self.word('colors', noun.color)} {shape}" if noun.color else shape

    def relation(self, name: str) -> str:
        """Say a spatial relation, e.g. "to the left of"."""
        return self._pick(_vocabulary()["relations"][name][self._words])

    def target(self, form: str, **slots: str) -> str:
        """Say a noun phrase with article that singles an object out, e.g. "the leftmost block"."""
        return self._fill(_vocabulary()["targets"][form], slots)

    def sentence(self, kind: str, **slots: str) -> str:
        """Say an instruction; `kind` is a key of `sentences`."""
        text = self._fill(_vocabulary()["sentences"][kind], slots)
        return text[0].upper() + text[1:] if self._rng.random() < 0.3 else text

    def _fill(self, templates: list[dict[str, str]], slots: dict[str, str]) -> str:
        texts = [t["text"] for t in templates if t["split"] == self._split]
        texts = texts or [t["text"] for t in templates if t["split"] == "test"]  # of the further families
        return self._pick(texts).format(**slots)

    def _pick(self, choices: list[str]) -> str:
        return choices[int(self._rng.integers(len(choices)))]


def plural(noun: str) -> str:
    """Return the plural of a noun phrase of the vocabulary."""
    return noun + ("es" if noun.endswith(("x", "sh", "s")) else "s")
