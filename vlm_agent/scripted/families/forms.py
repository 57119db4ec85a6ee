"""The form in which an answer is wanted: "Answer yes or no." at a question's end, and the like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FormKind = Literal["yes_no", "integer", "number", "word", "point"]

_AHEAD = (
    r"[\s(]*\b(?:please |just )?(?:answer|reply|respond)(?: me)?(?: (?:only|just))?"
    r"(?: with| in| by)?(?: only| just)?:?"
)
_BEHIND = r"(?: only| and nothing else| please)?[\s.)!]*$"
_FORMS: tuple[tuple[FormKind, str], ...] = (
    ("yes_no", r"(?:either )?[\"']?yes[\"']? or [\"']?no[\"']?"),
    ("integer", r"an? (?:whole |single )?(?:number|integer)"),
    ("number", r"an? number (?:and|with) (?:its|the|a) unit"),
    ("word", r"(?:exactly |only )?one of(?: these| the following)?: ?(?P<choices>.+?)"),
    ("point", r"(?:one|a|an) (?:single )?(?:point|pixel|position)\b.*?"),
)
_PATTERNS: tuple[tuple[FormKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(_AHEAD + r"\s*" + form + _BEHIND, re.I | re.S)) for kind, form in _FORMS
)
_QUANTITY = re.compile(
    r"-?\d+(?:\.\d+)?(?:\s*(?:cm|mm|m|degrees)\b)?(?:\s*±\s*\d+(?:\.\d+)?(?:\s*(?:cm|mm|m|degrees)\b)?)?"
)
_SAME = {"box": "block", "cube": "block", "sphere": "ball", "cup": "mug", "can": "cylinder", "grey": "gray"}


@dataclass(frozen=True)
class Form:
    """The form of an answer that a question asks for.

    Attributes:
        kind: What the answer is.
        choices: The options of a word.
    """

    kind: FormKind
    choices: tuple[str, ...] = ()


def split_form(text: str) -> tuple[str, Form | None]:
    """Return a question without the sentence that says how to answer, and the form that it asks for."""
    for kind, pattern in _PATTERNS:
        found = pattern.search(text)
        if found and text[: found.start()].strip():
            choices = found.groupdict().get("choices") or ""
            options = tuple(
                c.strip(" \"'") for c in re.split(r",\s*(?:or\s+)?|\s+or\s+", choices) if c.strip()
            )
            return text[: found.start()].strip(), Form(kind, options)
    return text, None


def in_form(answer: str, form: Form | None) -> str:
    """Return an answer in the form asked for, or as it is where it has no such form."""
    if form is None:
        return answer
    if form.kind == "yes_no":
        found = re.match(r"(?:too close to tell, rather )?(yes|no)\b", answer, re.I)
        return found[1].lower() if found else answer
    if form.kind == "integer":
        found = re.match(r"\d+", answer)
        return found[0] if found else "0" if answer.startswith(("No", "Nothing")) else answer
    if form.kind == "number":
        found = _QUANTITY.match(answer)
        return found[0] if found else answer
    if form.kind == "word":
        return _chosen(answer, form.choices) or answer
    return answer


def _chosen(answer: str, choices: tuple[str, ...]) -> str:
    """Return the option that the head of an answer names, "" if none or several do."""
    head = re.split(r"[:;(.]", answer)[0]
    exact = [c for c in choices if _words(c) == _words(head)]
    named = exact or [c for c in choices if set(_words(c)) <= set(_words(head))]
    return named[0] if len(named) == 1 else ""


def _words(text: str) -> tuple[str, ...]:
    words: list[str] = re.findall(r"[a-z]+", text.lower())
    return tuple(_SAME.get(w, w) for w in words if w not in ("the", "a", "an"))
