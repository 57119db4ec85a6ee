"""Whether a spoken answer is the true one: by value, not by words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_UNITS_CM = {"mm": 0.1, "millimeter": 0.1, "millimetre": 0.1, "cm": 1.0, "centimeter": 1.0, "centimetre": 1.0,
             "m": 100.0, "meter": 100.0, "metre": 100.0}  # fmt: skip
_UNITS_G = {"g": 1.0, "gram": 1.0, "kg": 1000.0, "kilo": 1000.0, "kilogram": 1000.0}
_NUMBER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)\s*([a-z]+)?", re.IGNORECASE)
_WORDS = {"box": ("box", "block", "cube", "brick"), "sphere": ("sphere", "ball"), "gray": ("gray", "grey"),
          "cylinder": ("cylinder", "can", "tin"), "mug": ("mug", "cup"), "bowl": ("bowl", "dish"),
          "tray": ("tray", "plate")}  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def is_right(said: str, truth: Mapping[str, Any]) -> bool:
    """Compare an answer in words with the truth of a question.

    Args:
        said: The answer; its first word, number or named object counts.
        truth: `answer`, `answer_type` (yes_no, integer, word, number), of a number `unit` (cm, m, g or kg)
            and `tolerance` in it; `options` are the objects that a word may name.

    Raises:
        ValueError: Unknown type of answer.
    """
    kind, answer = truth["answer_type"], truth["answer"]
    if kind == "yes_no":
        first = re.match(r"\W*(yes|no)\b", said, re.IGNORECASE)
        return bool(first) and first[1].lower() == answer
    if kind == "integer":
        return _integer(said) == int(answer)
    if kind == "number":
        units = _UNITS_G if truth["unit"] in _UNITS_G else _UNITS_CM
        value = _measured(said, units)
        factor = units[truth["unit"]]
        return value is not None and abs(value / factor - float(answer)) <= float(truth["tolerance"])
    if kind == "word":
        return _named_first(said, truth.get("options") or [str(answer)]) == str(answer)
    raise ValueError(f"unknown type of answer {kind!r}; types: yes_no, integer, number, word")


def _integer(said: str) -> int | None:
    first = re.search(r"\d+|\b(?:" + "|".join(_NUMBERS) + r")\b", said.lower())
    if first is None:
        return None
    return int(first[0]) if first[0].isdigit() else _NUMBERS.index(first[0])


def _measured(said: str, units: Mapping[str, float]) -> float | None:
    """Return the first number in a text that has one of the units, in the one that counts 1."""
    for number, unit in _NUMBER.findall(said):
        size = units.get(unit.lower()) or units.get(unit.lower().removesuffix("s"))
        if size:
            return float(number) * size
    return None


def _named_first(said: str, options: Sequence[str]) -> str | None:
    """Return which option is named first; an option is "colour shape", or one word."""
    text = said.lower()
    places: dict[str, int] = {}
    for option in options:
        words = [f"(?:{'|'.join(_WORDS.get(word, (word,)))})" for word in option.split()]
        found = re.search(r"\b" + r"\s+(?:\w+\s+)?".join(words) + r"s?\b", text)
        if found:
            places[option] = found.start()
    return min(places, key=lambda option: places[option]) if places else None
