"""Words of a sentence at hand, and the features that are read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlm_agent.scripted.lexicon import Entry, lexicon, longest_phrase
from vlm_agent.scripted.loose.text import terms
from vlm_agent.scripted.syntax import Constraint, Description


@dataclass(frozen=True)
class Post:
    """A feature: constraints that apply to the noun, or constraints of the group it is chosen from."""

    constraints: tuple[Constraint, ...] = ()
    end: int = 0
    inner: tuple[Constraint, ...] = ()
    cost: float = 0.0
    needs_rank: bool = False


class Lookup:
    """A sentence, word by word."""

    def __init__(self, words: Sequence[str]) -> None:
        """Read in these words, lower case, punctuation apart."""
        self.words = tuple(words)
        self._posts: dict[tuple[int, int, bool], list[Post]] = {}
        self._lex: dict[int, list[tuple[Entry, int]]] = {}

    def word(self, i: int) -> str:
        """Return a word, "" beyond the end."""
        return self.words[i] if 0 <= i < len(self.words) else ""

    def lex(self, i: int, *terminals: str) -> list[tuple[Entry, int]]:
        """Return the entries of all phrases of the lexicon at a word, longest first, with their ends."""
        if i not in self._lex:
            found = []
            for length in range(min(longest_phrase(), len(self.words) - i), 0, -1):
                entry = lexicon().get(" ".join(self.words[i : i + length]))
                if (
                    length == 1
                    and self.words[i] == "before"
                    and self.word(i + 1) in terms("the that this it a")
                ):
                    entry = lexicon()["in front of"]  # a place, not a time
                if entry is not None:
                    found.append((entry, i + length))
            self._lex[i] = found
        return [(e, j) for e, j in self._lex[i] if not terminals or e.terminal in terminals]

    def phrase(self, i: int, choices: Sequence[str]) -> list[int]:
        """Return the ends of those of the phrases that stand at a word."""
        ends = []
        for choice in choices:
            parts = tuple(choice.split())
            if self.words[i : i + len(parts)] == parts:
                ends.append(i + len(parts))
        return sorted(set(ends), reverse=True)

    # ---- what the parts need of one another; `Descriptions` has it all ---------------------------

    def np(self, i: int, depth: int = 0) -> list[tuple[Description, int]]:
        """Return the noun phrases that begin at a word, with their ends."""
        raise NotImplementedError

    def core_ends(self, i: int) -> list[int]:
        """Return the ends of the adjectives and nouns that begin at a word."""
        raise NotImplementedError

    def group(self, i: int, depth: int) -> list[Post]:
        """Return what a choice is made from: "of them all"."""
        raise NotImplementedError

    def others(self, j: int) -> list[int]:
        """Return the ends of "all the others"."""
        raise NotImplementedError

    def than_others(self, i: int) -> list[int]:
        """Return the ends of "than all the others"."""
        raise NotImplementedError

    def side(self, i: int, depth: int) -> list[Post]:
        """Return features such as "on the far left"."""
        raise NotImplementedError
