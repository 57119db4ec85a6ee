"""Tables of words and of phrases, written as text."""

from __future__ import annotations

from functools import cache


@cache
def terms(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


@cache
def idioms(text: str) -> tuple[str, ...]:
    """Return the phrases of a text, which are separated by semicolons."""
    return tuple(part.strip() for part in text.split(";"))
