"""What is said of a tool in the hand: "with the tweezers" beside a step, and how far to open them.

Only texts that name such a tool come here; the grammar sees the rest of the sentence.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.syntax import PickUp, Reading, SetOpening, Step, Task

OPEN_M: Final = 0.022
"""What "open the tweezers" means [m]."""

_TOOL = r"(?:the|your|these|those|a)?\s*(?:pair\s+of\s+)?(?P<tool>tweezers)"
_NAMED = re.compile(r"\btweezers\b", re.IGNORECASE)
_USED = re.compile(
    rf",?\s*\b(?:with|using|by\s+means\s+of|by\s+using)\s+(?:the\s+help\s+of\s+)?{_TOOL}(?!\s*')\b\s*,?",
    re.IGNORECASE,
)
_USE_TO = re.compile(rf"\b(?:use|take)\s+{_TOOL}\s+(?:to|and)\b", re.IGNORECASE)
_LENGTH = r"(?P<number>\d+(?:[.,]\d+)?|half\s+a)\s*(?P<unit>mm|cm|millimet(?:re|er)s?|centimet(?:re|er)s?)"
_POLITE = r"(?:please|now|then|first|and)?[,\s]*"
_WHAT = (
    rf"(?:{_TOOL}(?:'s|')?(?:\s+(?:opening|tips|gap))?|"
    rf"(?:the\s+)?(?:opening|tips|gap)\s+of\s+{_TOOL.replace('?P<tool>', '?P<tool2>')})"
)
_OPENINGS = [
    re.compile(rf"{_POLITE}{head}\s*[.!]*\s*(?:please\s*[.!]*)?\s*", re.IGNORECASE)
    for head in (
        rf"(?P<verb>open|close|widen|narrow|squeeze)\s+{_WHAT}(?:\s+(?:up|fully|completely))*"
        rf"(?:\s*,?\s*(?P<how>by|to|at)?\s*{_LENGTH}(?:\s+(?:more|further|wider|narrower|apart|wide))?)?",
        rf"(?P<verb>set|bring|adjust|change|put)\s+{_WHAT}\s+(?P<how>to|at)\s+(?:an\s+opening\s+of\s+)?{_LENGTH}"
        rf"(?:\s+(?:apart|wide|open))?",
    )
]  # fmt: skip


def names_a_tool(text: str) -> bool:
    """Tell whether a text speaks of a tool that a hand may hold."""
    return bool(_NAMED.search(text))


def read_opening(text: str) -> SetOpening | None:
    """Return the step of a text that is only about the opening of the tool, None if it is not."""
    plain = text.replace("\u2019", "'").strip()
    for pattern in _OPENINGS:
        match = pattern.fullmatch(plain)
        if match is not None:
            return _opening(match)
    return None


def _opening(match: re.Match[str]) -> SetOpening | None:
    groups = match.groupdict()
    tool = (groups.get("tool") or groups.get("tool2") or "").lower()
    closes = groups["verb"].lower() in ("close", "narrow", "squeeze")
    if not groups.get("number"):
        return SetOpening(tool, width_m=0.0 if closes else OPEN_M)
    word = groups["number"].lower()
    number = 0.5 if word.startswith("half") else float(word.replace(",", "."))
    length_m = number * (1e-3 if groups["unit"].lower().startswith("m") else 1e-2)
    if groups.get("how") == "by":
        return SetOpening(tool, change_m=-length_m if closes else length_m)
    return SetOpening(tool, width_m=length_m)


def without_instrument(text: str) -> tuple[str, str] | None:
    """Return a text without the words that name the tool to do it with, and the tool; None if none."""
    for pattern, instead in ((_USED, " "), (_USE_TO, "")):
        match = pattern.search(text)
        if match is not None:
            rest = " ".join((text[: match.start()] + instead + text[match.end() :]).split())
            return rest.lstrip(" ,"), match.group("tool").lower()
    return None


def with_tool(reading: Reading, tool: str) -> Reading | None:
    """Return a reading whose things are picked with a tool; None if it asks for more than a tool can do."""
    if not isinstance(reading, Task):
        return None
    steps: list[Step] = []
    for step in reading.steps:
        if isinstance(step, PickUp):
            steps.append(replace(step, tool=tool))
        elif isinstance(step, (ast.Mention, ast.LookAt, ast.Gesture, ast.Forbid, ast.Release)):
            steps.append(step)
        else:
            return None
    return Task(tuple(steps)) if any(isinstance(s, PickUp) for s in steps) else None
