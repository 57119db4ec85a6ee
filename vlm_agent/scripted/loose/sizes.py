"""Sizes and comparisons for the tolerant reading: "a bit smaller than its twin"."""

from __future__ import annotations

from dataclasses import replace

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.loose.lookup import Lookup, Post
from vlm_agent.scripted.loose.tables import (
    OTHERS,
)
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.syntax import Degree


class Sizes(Lookup):
    """Reads features of size, and comparisons."""

    def degree(self, i: int) -> list[tuple[Degree, int]]:
        """Read "a bit smaller", "the largest", "most compact", "less big", "biggest in size"."""
        j = i
        while self.word(j) in terms(
            "a the bit little slightly somewhat much clearly even way far noticeably by single very "
            "visibly obviously considerably overall definitely of tad to be physically really "
            "significantly distinctly lot plainly simply just"
        ):  # fmt: skip
            j += 1
        found: list[tuple[Degree, int]] = []
        if self.word(j) in ("most", "more", "least", "less"):
            for entry, k in self.lex(j + 1, "SIZE"):
                most = self.word(j) in ("most", "more")
                form = "superlative" if self.word(j) in ("most", "least") else "comparative"
                base: Degree = entry.value
                found.append(
                    (replace(base, word=" ".join(self.words[j:k]), form=form, most=base.most == most), k)
                )
        for entry, k in self.lex(j, "SIZE", "COMP", "EXTREME"):
            if entry.value.key not in terms("near far left right front back"):
                found.append((entry.value, k))
        noun = {"size", "volume", "dimensions", "bulk"}
        ends = []
        for degree, k in found:
            m = k
            while self.word(m) in terms("in size volume dimensions bulk overall by terms of"):
                if self.word(m) in ("in", "by", "of") and self.word(m + 1) not in (*noun, "terms"):
                    break
                m += 1
            ends.append((degree, m))
        return ends

    def state(self, i: int, depth: int) -> list[Post]:
        """Read what follows "that is": "the largest one of the two", "bigger", "red", "a ball"."""
        found: list[Post] = []
        for degree, j in self.degree(i):
            found.append(Post((degree,), j))
            for k in self._one(j):
                found.append(Post((degree,), k))
                found += [Post((degree,), p.end, p.inner) for p in self.group(k, depth)]
        for side in self.side(i + (self.word(i) == "the"), depth):
            found.append(side)
        if self.word(i) not in ("a", "the"):
            for entry, j in self.lex(i, "COLOR", "FORM"):
                found.append(Post((entry.value,), j))
        return found

    def _one(self, j: int) -> list[int]:
        """Return the ends of "one", "block", or nothing after a degree."""
        ends = [j]
        ends += [k for _, k in self.lex(j, "ONE", "NOUN")]
        return ends

    def compared(self, i: int, depth: int) -> list[Post]:
        """Read "bigger than the other one", "smaller than the mug"."""
        found: list[Post] = []
        for degree, j in self.degree(i):
            for k in self._one(j):
                if degree.form == "comparative":
                    found += [Post((degree,), m) for m in self.than_others(k)]
                    if self.word(k) in ("than",):
                        for anchor, m in self.np(k + 1, depth + 1):
                            if not (
                                anchor.landmark
                                or anchor.is_pronoun
                                or any(isinstance(c, ast.Other) for c in anchor.constraints)
                            ):
                                found.append(
                                    Post((ast.Compared(degree.word, degree.key, degree.most, anchor),), m)
                                )
                group = self.group(k, depth)
                if k > j or i == j - 1 or degree.form != "positive":
                    found += [Post((degree,), p.end, p.inner, needs_rank=True) for p in group]
        return found

    def measured(self, i: int, depth: int) -> list[Post]:
        """Read "of greatest size", "with the smallest volume", "that has the larger dimensions"."""
        j = i
        if self.word(j) not in terms("of with having has at possessing boasting"):
            return []
        j += 1
        while self.word(j) in ("the", "a", "its", "overall"):
            j += 1
        found = []
        for entry, k in self.lex(j, "SIZE", "COMP", "EXTREME"):
            degree: Degree = entry.value
            words = idioms(
                "size; volume; dimensions; dimension; bulk; build; measurements; body; footprint; "
                "proportions; frame; stature; overall size; mass; girth"
            )
            for m in self.phrase(k, words):
                if degree.key == "size" or degree.key == "height":
                    rank = replace(degree, key="size", most=degree.most)
                    found.append(Post((rank,), m))
                    found += [Post((rank,), p.end, p.inner) for p in self.group(m, depth)]
        return found

    def than_others(self, i: int) -> list[int]:
        """Read "than all the others", "than any of the other ones is"."""
        if self.word(i) in ("when", "if", "as") and self.word(i + 1) == "compared":
            i += 1
        if self.word(i) not in ("than", "compared"):
            return []
        return self.others(i + 1 + (self.word(i + 1) in ("to", "with")))

    def others(self, j: int) -> list[int]:
        """Read "all the others", "any of the other balls"."""
        ends = self.phrase(j, OTHERS)
        if self.word(j) in terms("any all every the either each its"):
            k = j
            while self.word(k) in terms("any all every the either of each its two"):
                k += 1
            if self.word(k) == "other":
                k += 1
                ends += self.core_ends(k)
        return [e + (self.word(e) in ("is", "are", "does", "do")) for e in sorted(set(ends), reverse=True)]
