# ruff: noqa: E501 (a pattern reads best on one line)
"""Pleas said as orders, and comparisons said in one word: "has the greater height" is "is taller"."""

from __future__ import annotations

import re
from typing import Final

_GERUNDS: Final = {"putting": "put", "setting": "set", "dropping": "drop", "getting": "get", "grabbing": "grab",
                   "slipping": "slip", "shifting": "shift", "popping": "pop", "lying": "lay", "letting": "let"}  # fmt: skip
_KEEP_E: Final = "plac mov tak giv mak slid nudg shov arrang pil measur hom pass rais leav determin stat writ compar us".split()


def begged(text: str) -> str:
    """Return a plea as an order: "would you mind pushing X", "you please push X", "please to push X"."""
    plain = " ".join(text.replace("\u2019", "'").lower().split())
    plain = re.sub(
        r"^(?:(?:hey|ok|okay|so|robot|hello|hi)[ ,!]+)*(?:would you (?:please |kindly )?mind|do you mind|how about|may i trouble you (?:by|with)|(?:please |just )?keep(?: on)?|please start) (?P<v>\w+ing)\b",
        lambda m: _base(m["v"]),
        plain,
    )
    plain = re.sub(r"^(?:please,? you(?: to)?|you,? please,?|please,? to)(?= \w+)", "please", plain)
    plain = re.sub(
        r"^(?:please,? )?do (?=(?:push|put|place|stack|move|take|pick|set|hand|give|line)\b)", "", plain
    )
    plain = re.sub(r",? please,? you (?=\w)", ", ", plain)
    plain = re.sub(
        r"\bwould you be so (?:good|kind|nice) (?:as )?to\b|\bbe so (?:good|kind|nice) (?:as to|and)\b|\bwould you be (?:good|kind|nice) enough to\b",
        "please",
        plain,
    )
    plain = re.sub(r"\b(?P<w>beside|near) of (?=the\b)", r"\g<w> ", plain)
    plain = re.sub(
        r"\b(?:on|at|to) (?P<b>the (?!robot|arm|viewer|camera|person|user|table|picture|image|scene|base|human|operator)(?:\w+ )?\w+)'s (?P<s>left|right)(?:[- ]hand)?(?: side)?(?! of)\b",
        r"to the \g<s> of \g<b>",
        plain,
    )
    return re.sub(r"\bgimme\b", "give me", plain)


def _base(gerund: str) -> str:
    stem = gerund.removesuffix("ing")
    return _GERUNDS.get(gerund, f"{stem}e" if stem in _KEEP_E else stem)


# ---- comparisons by noun and by "more" ----------------------------------------------------------

KEYS: Final = {"height": "height", "tallness": "height", "width": "width", "breadth": "width", "diameter": "width",
                "length": "length", "size": "size", "volume": "size", "weight": "weight", "mass": "weight"}  # fmt: skip
_NOUN: Final = rf"(?P<n>{'|'.join(KEYS)})"
MORE: Final = {"height": ("taller", "shorter"), "width": ("wider", "narrower"), "length": ("longer", "shorter"),
                "size": ("bigger", "smaller"), "weight": ("heavier", "lighter")}  # fmt: skip
MOST: Final = {"height": ("tallest", "shortest"), "width": ("widest", "narrowest"), "length": ("longest", "shortest"),
                "size": ("biggest", "smallest"), "weight": ("heaviest", "lightest")}  # fmt: skip
UP: Final = r"greater|bigger|larger|higher|more|superior"
_GROWS: Final = rf"(?P<g>{UP}|smaller|lower|lesser|less|inferior)"
_TOPS: Final = r"(?P<g>greatest|biggest|largest|highest|most|smallest|lowest|least)"
_DEGREES: Final = ("tall", "high", "wide", "broad", "big", "large", "small", "long", "heavy", "light", "near",
                   "close", "far", "narrow", "short", "thick", "deep")  # fmt: skip
_IRREGULAR: Final = {
    "far": ("farther", "farthest"),
    "big": ("bigger", "biggest"),
    "heavy": ("heavier", "heaviest"),
}


def _graded(adjective: str, form: int) -> str:
    ending = ("er", "est")[form]
    return _IRREGULAR.get(adjective, (f"{adjective.removesuffix('e')}{ending}",) * 2)[form]


def _noun_more(match: re.Match[str], table: dict[str, tuple[str, str]] = MORE) -> str:
    is_less = match["g"] in ("smaller", "lower", "lesser", "less", "inferior", "smallest", "lowest", "least")
    return table[KEYS[match["n"]]][is_less]


def compared(text: str) -> str:
    """Return a text with its comparisons in one word: "more tall", "has the greater height" are "taller"."""
    adjectives = "|".join(_DEGREES)
    text = re.sub(rf"\bmore ({adjectives})\b", lambda m: _graded(m[1], 0), text)
    text = re.sub(rf"\bmost ({adjectives})\b", lambda m: _graded(m[1], 1), text)
    text = re.sub(r"\bhow much (?=(?:tall|wide|high|broad|long|big|large|heavy|far|thick)\b)", "how ", text)
    text = re.sub(
        rf"\b(?:has|have|is of) (?:the |a )?{_TOPS} {_NOUN}\b",
        lambda m: f"is the {_noun_more(m, MOST)}",
        text,
    )
    text = re.sub(
        rf"\b(?:has|is of) (?:the |a )?{_GROWS} {_NOUN}(?: of the two)?\b",
        lambda m: f"is {_noun_more(m)}",
        text,
    )
    text = re.sub(
        rf"(?<=\bhave ){'(?:the |a )?'}{_GROWS} (?P<n>height|width|length|size|breadth|tallness)\b",
        lambda m: f"\0{_noun_more(m)}",
        text,
    ).replace("have \0", "stand ")
    text = re.sub(rf"\bof (?:a )?{_GROWS} {_NOUN}(?= than\b)", _noun_more, text)
    text = re.sub(rf"\b{_GROWS} in {_NOUN}\b", _noun_more, text)
    text = re.sub(
        rf"\bthe (?P<x>(?:\w+ )?\w+) (?:with|of|that has) the {_TOPS} {_NOUN}\b",
        lambda m: f"the {_noun_more(m, MOST)} {m['x']}",
        text,
    )
    text = re.sub(
        r"\b(?:has|with) the (?:shorter|smaller|lesser) (?:way|distance|path) to (?=the|a)",
        "is closer to ",
        text,
    )
    text = re.sub(
        r"\b(?:has|with) the (?:shortest|smallest|least) (?:way|distance|path) to (?=the|a)",
        "is nearest to ",
        text,
    )
    return text
