"""The tolerant reading: what the strict grammar does not cover, put together from what a sentence must say.

A sentence is cut into pieces in every possible way: things, places, verbs of putting and of holding,
wishes ("should", "I want"), and words that may be passed over (politeness, adverbs of manner, reasons). A
reading is accepted only if no word is left over and the pieces make steps: one thing and one place for a
verb that moves, one thing for a verb that holds. Negations, conditions, quantities beyond determiners,
unknown nouns, verbs and adjectives are never passed over, so a sentence that has them is refused.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from vlm_agent.scripted.loose.known import known_words
from vlm_agent.scripted.loose.pieces import Pieces
from vlm_agent.scripted.loose.places import Item
from vlm_agent.scripted.loose.steps import is_possible, task_of
from vlm_agent.scripted.syntax import Task
from vlm_agent.scripted.words import Word, correct, split_words

MAX_EXPANSIONS = 6000

MAX_READINGS = 6


def read(words: Sequence[str]) -> tuple[list[tuple[float, Task]], int]:
    """Read a text of lower-case words and punctuation.

    Returns:
        Readings with their costs, cheapest first, and how many words could be read from the start on.
    """
    clauses = Pieces(tuple(words))
    number = count()
    heap: list[tuple[float, int, int, tuple[Item, ...]]] = [(0.0, next(number), 0, ())]
    best: dict[tuple[int, tuple[Item, ...]], float] = {(0, ()): 0.0}
    cache: dict[int, list] = {}
    found: dict[Task, float] = {}
    reached = 0
    for _ in range(MAX_EXPANSIONS):
        if not heap or len(found) >= MAX_READINGS:
            break
        cost, _, i, items = heapq.heappop(heap)
        if cost > best.get((i, items), cost):
            continue
        reached = max(reached, i)
        if i == len(words):
            task = task_of(items)
            if task is not None:
                found.setdefault(task, cost)
            continue
        if i not in cache:
            cache[i] = clauses.pieces(i)
        for piece, end, price in cache[i]:
            after = items if piece is None else (*items, piece)
            total = cost + price + (piece.cost if piece else 0.0)
            key = (end, after)
            if total < best.get(key, float("inf")) and is_possible(after):
                best[key] = total
                heapq.heappush(heap, (total, next(number), end, after))
    return sorted(((c, t) for t, c in found.items()), key=lambda pair: pair[0]), reached


def words_of(text: str, *, is_corrected: bool = True) -> list[Word]:
    """Return the words of a text, full stops as "."; misspellings of known words are corrected on demand."""
    out: list[Word] = []
    for word in split_words(text):
        form = "." if word.form in ".!?;\n" else word.form
        form = correct(form) if is_corrected and form not in known_words() else form
        out += (
            []
            if form in "()" or (form == "." and (not out or out[-1].form == "."))
            else [replace(word, form=form)]
        )
    while out and out[-1].form in (".", ","):
        out.pop()
    return out
