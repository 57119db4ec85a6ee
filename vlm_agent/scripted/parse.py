"""Parse an instruction: text to readings, best first, or a reason why it was not understood.

Three readers, one after the other: the families that are told by the shape of a sentence (`families/`:
conditions, rows, pushes, towers, comparisons), the strict grammar (`strict.py`), the tolerant one (`loose/`).
"""

from __future__ import annotations

import re
from functools import lru_cache

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.families.incomplete import read_incomplete
from vlm_agent.scripted.families.indirect import asks, asks_opinion, direct
from vlm_agent.scripted.families.read import read_family
from vlm_agent.scripted.instrument import names_a_tool, read_opening, with_tool, without_instrument
from vlm_agent.scripted.lexicon import lexicon
from vlm_agent.scripted.loose.read import read, words_of
from vlm_agent.scripted.strict import (
    BEAM,
    EXAMPLE,
    MAX_PREPOSITIONS,
    MAX_SENTENCES,
    MAX_WORDS,
    NotUnderstood,
    Parsed,
    TooMuch,
    cost,
    parse_strictly,
    short,
)
from vlm_agent.scripted.syntax import Task, descendants

__all__ = ["BEAM", "MAX_PREPOSITIONS", "MAX_SENTENCES", "MAX_WORDS", "NotUnderstood", "Parsed", "parse"]

MAX_LOOSE_WORDS = 80
_TAKEN_BACK = re.compile(
    r"(?<=\w)\s*[,;.-]\s*(?:no,? wait|no,|wait,|i mean|or rather|scratch that|correction|make that|"
    r"on second thoughts?|actually|never ?mind|forget (?:it|that)|cancel that)\b,?\s+\w+",
    re.IGNORECASE,
)
_FORMATIONS = frozenset("row line queue tower stack pile hole".split())
_PUSHED = re.compile(
    r"\bto (?:push|shove|nudge)\b|\b(?:by|with) (?:a )?(?:push|shove|nudge)\b|"
    r"\bby (?:pushing|shoving|nudging|sliding)\b|\b(?:be|gets?|is|are) (?:pushed|shoved|nudged)\b"
)
_DENIED = re.compile(r"\b(?:would|could|can|will) you (?:please |kindly )?not (?!mind|be )\w+")
_WHICH_MOST = re.compile(r"\b(?:which|what) (?!is\b)\w+ is (?:the )?\w+est\b")


@lru_cache(maxsize=256)
def parse(text: str) -> Parsed:
    """Parse an instruction or question: as one of the families, by the grammar, or by the tolerant reading.

    Raises:
        NotUnderstood: By neither; quotes the part that is not understood.
    """
    if len(text.split()) > MAX_SENTENCES * MAX_WORDS:
        raise TooMuch(f"more than {MAX_SENTENCES * MAX_WORDS} words are too many; say it in steps", text[:60])
    taken_back = _TAKEN_BACK.search(text)
    if taken_back:
        fragment = text[taken_back.start() :].strip(" ,.;-")
        raise NotUnderstood(
            f"{short(fragment)} takes back what was said before it; say it anew, {EXAMPLE}", fragment
        )
    if names_a_tool(text):
        return _parse_with_tool(text)
    reworded = direct(text)
    if reworded is not None:
        try:
            return _parse(reworded)
        except NotUnderstood:
            pass
    return _parse(text, is_asked=reworded is not None and asks(reworded))


def _parse(text: str, *, is_asked: bool = False) -> Parsed:
    """Parse a text as it stands.

    Args:
        text: The text.
        is_asked: Whether it is a question, so never read tolerantly: that reads orders alone.

    Raises:
        NotUnderstood: It can't be read.
    """
    is_asked = is_asked or asks_opinion(text)
    family = read_family(text, parse)
    if family is not None:
        return family
    try:
        parsed = parse_strictly(text)
    except TooMuch:
        raise
    except NotUnderstood as error:
        tolerant = None if is_asked else parse_loosely(text)
        if tolerant is not None:
            return tolerant
        incomplete = read_incomplete(text)
        if incomplete is None:
            raise error
        return Parsed((incomplete,))
    if is_asked and isinstance(parsed.readings[0], Task):
        raise NotUnderstood(
            f"{short(text.strip())} asks something, but not what I can answer", text.strip()[:80]
        )
    unknown = _unknown_words(parsed)
    if not unknown:
        return parsed
    tolerant = None if is_asked else parse_loosely(text)
    if tolerant is not None:
        return tolerant
    formed = next((word for word, _ in unknown if word in _FORMATIONS), None)
    if formed is not None:
        raise NotUnderstood(f"a {formed} is no place I know; say what goes into it, {EXAMPLE}", formed)
    if unknown[0][1]:
        return parsed
    word = unknown[0][0]
    raise NotUnderstood(f'I don\'t know the word "{word}"; say it without, {EXAMPLE}', word)


def _parse_with_tool(text: str) -> Parsed:
    """Parse a text that names a tool in the hand.

    Raises:
        NotUnderstood: It asks for what is not done with it.
    """
    opening = read_opening(text)
    if opening is not None:
        return Parsed((Task((opening,)),))
    found = without_instrument(text)
    if found is not None:
        rest, tool = found
        parsed = parse(rest)
        readings = tuple(r for r in (with_tool(r, tool) for r in parsed.readings) if r is not None)
        if readings:
            return Parsed(readings, parsed.notes)
    raise NotUnderstood(
        f"{short(text)}: with the tweezers I can pick up a thing, and I can open and close them; "
        'for example: "pick up the red cube with the tweezers", or "set the tweezers\' opening to 8 mm"',
        text.strip()[:80],
    )


def _unknown_words(parsed: Parsed) -> list[tuple[str, bool]]:
    """Return words outside the lexicon that the best reading rests on; whether a detector may know them."""
    out = []
    for item in descendants(parsed.readings[0]):
        if isinstance(item, (ast.Unseen, ast.Named)) and item.word not in lexicon():
            out.append((item.word, isinstance(item, ast.Named)))
    return sorted(out, key=lambda pair: pair[1])


def parse_loosely(text: str) -> Parsed | None:
    """Return the tolerant reading of a text, None if there is none."""
    found: list[tuple[float, Task]] = []
    for is_corrected in (False, True):
        words = [w.form for w in words_of(text, is_corrected=is_corrected)]
        if not words or len(words) > MAX_LOOSE_WORDS:
            return None
        found, _ = read(words)
        if found:
            break
    if not found:
        return None
    if _DENIED.search(text.lower()) or _WHICH_MOST.search(text.lower()):
        return None  # "would you not put ..." forbids; "which block is the tallest" says which one is meant
    if _PUSHED.search(text.lower()) and not all("how='push'" in repr(task) for _, task in found):
        return None  # it reads no pushes: what is to be pushed would be carried
    ranked = sorted(found, key=lambda pair: pair[0] + cost(pair[1]))
    return Parsed(tuple(task for _, task in ranked), ("read tolerantly",))
