"""Noun phrases of the tolerant reading: determiner, adjectives, noun, and features after it in any wording.

Every word of a phrase must belong to something; none is passed over but a few that can't tell objects
apart ("single", "very"). All ways to read a phrase are returned, so its end is left to the sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.kids import order
from vlm_agent.scripted.loose.features import Features
from vlm_agent.scripted.loose.lookup import Post
from vlm_agent.scripted.loose.tables import OPPOSITE, PEOPLE
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.syntax import Constraint, Degree, Description
from vlm_agent.scripted.words import AFTER_MODAL

MAX_POSTS = 3
MAX_DEPTH = 3
_GENERIC_HEADS = ("block", "cube", "box")
_THE = frozenset("the this that these those my our your said his her their".split())
_ALL = (
    *(
        (words, None)
        for words in idioms("all the; all of the; all; every; each; every single; all these; all those")
    ),
    *((words, None) for words in idioms("each of the; all my; all our")),
    *((words, 2) for words in idioms("both; both the; both of the")),
)
_EMPTY_ADJECTIVES = frozenset(
    "very one single actual said particular lone sole whole very same absolute overall looking dear "
    "trusty nearby".split()
) - {"same"}
_LANDMARKS = {"TABLE": "table", "ROBOT": "robot", "VIEWER": "viewer", "HAND": "hand"}
_EDGE = "edge"
_MEMBERS = frozenset("member one specimen example exemplar representative".split())


@dataclass(frozen=True)
class Core:
    """Adjectives and a noun, up to a word."""

    before: tuple[Constraint, ...]
    end: int
    has_head: bool
    is_plural: bool = False
    is_one: bool = False


class Descriptions(Features):
    """Reads noun phrases of a sentence."""

    def __init__(self, words: tuple[str, ...] | list[str]) -> None:
        """Read in these words, lower case, punctuation apart."""
        super().__init__(words)
        self._np: dict[tuple[int, int], list[tuple[Description, int]]] = {}
        self._cores: dict[int, list[Core]] = {}

    def np(self, i: int, depth: int = 0) -> list[tuple[Description, int]]:
        """Return the noun phrases that begin at a word, with their ends, longest first."""
        depth = min(depth, MAX_DEPTH)
        key = (i, depth)
        if key not in self._np:
            self._np[key] = []
            found = [*self._pronouns(i), *self._landmarks(i)]
            for kind, count, j in self._determiners(i):
                found += self._described(i, kind, count, j, depth)
            found += self._owned(i, depth)
            found += self._chosen_from(i, depth)
            self._np[key] = sorted(dict.fromkeys(found), key=lambda f: -f[1])
        return self._np[key]

    # ---- parts -----------------------------------------------------------------------------------

    def _pronouns(self, i: int) -> list[tuple[Description, int]]:
        word = self.word(i)
        if self.words[i : i + 2] == ("the", "same") and not self.lex(i + 2, "NOUN", "ATTR", "COLOR", "ONE"):
            return [(ast.IT, i + 2)]
        if word in ("it", "itself"):
            return [(ast.IT, i + 1)]
        if word in ("them", "themselves"):
            return [(Description("them", text=word), i + 1)]
        return []

    def _landmarks(self, i: int) -> list[tuple[Description, int]]:
        j = i + 1 if self.word(i) in _THE else i
        out = []
        for entry, k in self.lex(j, *_LANDMARKS):
            if entry.terminal in ("ROBOT", "VIEWER") or j > i:
                landmark = _LANDMARKS[entry.terminal]
                out.append((Description("the", landmark=landmark, text=" ".join(self.words[i:k])), k))  # pyright: ignore[reportArgumentType]
        return out

    def _determiners(self, i: int) -> list[tuple[str, int | None, int]]:
        """Return determiners at a word: kind, number, end."""
        word = self.word(i)
        found: list[tuple[str, int | None, int]] = []
        if word in _THE:
            found.append(("the", None, i + 1))
            if self.lex(i + 1, "NUM"):
                found += [("the", e.value, j) for e, j in self.lex(i + 1, "NUM")]
        elif word in ("a", "an", "any", "some"):
            found.append(("a", None, i + 1))
        elif word in ("whichever", "whatever", "which"):
            if word != "which":
                found.append(("the", None, i + 1))
                if self.word(i + 1) == "of":
                    found.append(("the", None, i + 2))
        for phrase, count in _ALL:
            found += [("all", count, j) for j in self.phrase(i, (phrase,))]
        if self.lex(i, "NUM") and not found:
            found += [("a", e.value, j) for e, j in self.lex(i, "NUM")]
            found += [("all", 2, j) for j in self.phrase(i, ("two of the",)) if False]
        if not found:
            found.append(("none", None, i))
        return found

    def core_ends(self, i: int) -> list[int]:
        """Return the ends of the adjectives and nouns that begin at a word."""
        return [core.end for core in self.cores(i) if core.has_head]

    def cores(self, i: int) -> list[Core]:
        """Return what adjectives and nouns begin at a word."""
        if i in self._cores:
            return self._cores[i]
        found: list[Core] = []
        stack: list[tuple[tuple[Constraint, ...], int]] = [((), i)]
        while stack:
            before, j = stack.pop()
            found += self._heads(before, j)
            if before:
                found.append(Core(before, j, has_head=False))
            if j - i < 14:
                stack += [((*before, *c), k) for c, k in self._adjectives(j)]
        self._cores[i] = found
        return found

    def _adjectives(self, j: int) -> list[tuple[tuple[Constraint, ...], int]]:
        found: list[tuple[tuple[Constraint, ...], int]] = []
        word = self.word(j)
        if (
            word in (",", "and")
            and self.lex(j + 1, "COLOR", "SIZE", "FORM", "SOFT", "COMP", "EXTREME")
            and self.lex(j - 1, "COLOR", "SIZE", "FORM", "SOFT", "COMP", "EXTREME")
        ):
            found.append(((), j + 1))
        if word in terms("last first outermost extreme furthest farthest utmost"):
            found.append(((Degree(word, _EDGE),), j + 1))  # only with a side: "the last block on the left"
        if word in _EMPTY_ADJECTIVES or word in ("our", "its"):
            found.append(((), j + 1))
        for entry, k in self.lex(j, "COLOR", "FORM", "SIZE", "COMP", "EXTREME"):
            if (
                entry.terminal in ("SIZE", "COMP", "EXTREME")
                and entry.value.key in ("left", "right")
                and self.word(k) == "of"
            ):
                continue
            k += self.word(k) in ("colored", "coloured", "sized") or 0
            found.append(((entry.value,), k))
        for _, k in self.lex(j, "TONE"):
            found += [((e.value,), m) for e, m in self.lex(k, "COLOR")]
        for _, k in self.lex(j, "DECOR"):
            found.append(((), k))
        for entry, k in self.lex(j, "SOFT"):
            found.append(((ast.Unseen(entry.value),), k))
        if word in ("most", "least", "more", "less"):
            found += [((d,), k) for d, k in self.degree(j)]
        for entry, k in self.lex(j, "ORD"):
            found += [
                ((replace(e.value, rank=entry.value, word=" ".join(self.words[j:m])),), m)
                for e, m in self.lex(k, "EXTREME")
            ]
        side = self._side_adjective(j)
        return found + side

    def _side_adjective(self, j: int) -> list[tuple[tuple[Constraint, ...], int]]:
        """Read "far left", "right hand most", "outermost left"."""
        k = j
        while self.word(k) in terms("most far very extreme outer outermost utmost furthest farthest"):
            k += 1
        for entry, m in self.lex(k, "SIDE"):
            while self.word(m) in ("hand", "handed", "side", "most"):
                m += 1
            side, frame = entry.value
            if self.word(m) not in ("of", "from") and self.lex(
                m, "NOUN", "ONE", "COLOR", "SIZE", "FORM", "TONE", "SOFT", "DECOR"
            ):
                return [((Degree(" ".join(self.words[j:m]), side, frame=frame),), m)]
        return []

    def _heads(self, before: tuple[Constraint, ...], j: int) -> list[Core]:
        found: list[Core] = []
        for entry, k in self.lex(j, "NOUN"):
            if self.word(j) == "can" and (self.word(k) in AFTER_MODAL or self.word(j - 1) in PEOPLE):
                continue
            noun = entry.value
            found.append(Core((*before, *((noun.shape,) if noun.shape else ())), k, True, noun.is_plural))
            for second, m in self.lex(k, "NOUN"):
                if self.word(k) == "can" and self.word(m) in AFTER_MODAL:
                    continue
                shape = second.value.shape
                if shape is None or shape.word in _GENERIC_HEADS:
                    shape = noun.shape or shape
                found.append(Core((*before, *((shape,) if shape else ())), m, True, second.value.is_plural))
        for _, k in self.lex(j, "ONE"):
            if before or self.word(j - 1) in (*_THE, "one", "whichever") or self.word(j) == "ones":
                found.append(Core(before, k, True, self.word(j) == "ones", is_one=True))
        for entry, k in self.lex(j, "FOREIGN"):
            found.append(Core((*before, ast.Named(entry.value)), k, True, entry.value.endswith("s")))
        return found

    # ---- whole phrases ---------------------------------------------------------------------------

    def _described(
        self, i: int, kind: str, count: int | None, j: int, depth: int
    ) -> list[tuple[Description, int]]:
        found = []
        cores = list(self.cores(j))
        if kind == "the" and self.words[i] in ("the", "whichever", "whatever") and self.word(j) in _MEMBERS:
            cores.append(Core((), j + 1, True, is_one=True))
        if self.words[i : i + 1] in (("whichever",), ("whatever",)) and self.word(j) == "of":
            cores.append(Core((), j, True, is_one=True))
        for core in cores:
            if kind == "none" and not core.has_head:
                continue
            starts = [core.end]
            if self.word(core.end) in _MEMBERS and not core.is_one and core.before and not core.has_head:
                starts = [core.end + 1]
            for start in starts:
                for posts, end in self.features(
                    start, depth, is_open=self.words[i] in ("whichever", "whatever")
                ):
                    made = self._make(kind, count, core, posts, " ".join(self.words[i:end]))
                    if made is not None:
                        found.append((made, end))
        return found

    def features(self, i: int, depth: int, *, is_open: bool = False) -> list[tuple[tuple[Post, ...], int]]:
        """Return the sequences of features that begin at a word."""
        found: list[tuple[tuple[Post, ...], int]] = [((), i)]
        if depth >= MAX_DEPTH:
            return found
        frontier: list[tuple[tuple[Post, ...], int]] = [((), i)]
        for _ in range(MAX_POSTS if depth < 2 else 1):
            frontier = [
                ((*posts, p), p.end)
                for posts, j in frontier
                for p in self.posts(j, depth, is_open=is_open)
                if p.end > j
            ][:60]
            found += frontier
        return found

    def _make(
        self, kind: str, count: int | None, core: Core, posts: tuple[Post, ...], text: str
    ) -> Description | None:
        after = tuple(c for p in posts for c in p.constraints)
        inner = tuple(c for p in posts for c in p.inner)
        before = core.before
        if any(isinstance(c, Degree) and c.key == _EDGE for c in before):
            if not any(isinstance(c, Degree) and c.key in ("left", "right", "front", "back") for c in after):
                return None
            is_last = any(isinstance(c, Degree) and c.key == _EDGE and c.word == "last" for c in before)
            before = tuple(c for c in before if not (isinstance(c, Degree) and c.key == _EDGE))
            if is_last:  # "the last one from the left" is the first from the right
                after = tuple(_turned(c) for c in after)
        nears = [c for c in after if isinstance(c, Degree) and c.key in ("near", "far")]
        bare = [c for c in before if isinstance(c, Degree) and c.key in ("near", "far") and c.anchor is None]
        if bare:  # "the closest ball to the mug": only what follows says to what
            anchors = self._anchors_of(posts)
            if len(anchors) > 1 or (not anchors and nears):
                return None
        ranks = [c for c in (*before, *after) if isinstance(c, Degree) and c.form != "positive"]
        keys = {(c.key, c.most, c.anchor) for c in ranks}
        if len(keys) > 1 or sum(bool(p.inner) for p in posts) > 1:
            return None  # two superlatives at once are left to the strict reading
        if len(ranks) > 1:
            after = (
                tuple(c for c in after if not (isinstance(c, Degree) and c.form != "positive"))
                if any(c in before for c in ranks)
                else after
            )
        groups = [p for p in posts if not p.constraints]
        if any(p.needs_rank for p in posts) and not ranks:
            return None
        if not core.has_head and not ranks and not any(p.inner for p in posts):
            return None
        if not core.has_head and not groups and not (ranks or after):
            return None
        found = order((*inner, *before), after)
        found = tuple(dict.fromkeys(found))
        determiner = "all" if core.is_plural and kind in ("the", "none") and not count else kind
        if ranks and determiner == "a":
            determiner = "the"
        is_one = core.is_one and not inner
        if count and ranks:
            return None
        return Description(determiner, found, count, text=text, is_one=is_one)  # pyright: ignore[reportArgumentType]

    def _anchors_of(self, posts: tuple[Post, ...]) -> list[Constraint]:
        return [c for p in posts for c in p.constraints if isinstance(c, Degree) and c.key in ("near", "far")]

    def _chosen_from(self, i: int, depth: int) -> list[tuple[Description, int]]:
        """Read "of the two balls, the smaller one"."""
        found: list[tuple[Description, int]] = []
        if depth or self.word(i) not in terms("of out from among amongst between"):
            return found
        for group in self.group(i, 1):
            j = group.end + (self.word(group.end) == ",")
            for what, end in self.np(j, 1):
                ranks = [c for c in what.constraints if isinstance(c, Degree) and c.form != "positive"]
                if what.determiner == "the" and ranks:
                    own = tuple(c for c in what.constraints if c not in group.inner)
                    found.append(
                        (
                            replace(
                                what, constraints=(*group.inner, *own), is_one=what.is_one and not group.inner
                            ),
                            end,
                        )
                    )
        return found

    def _owned(self, i: int, depth: int) -> list[tuple[Description, int]]:
        """Read "the mug's nearest ball", and "the closest ball to the mug"."""
        found = []
        if depth < 2 and self.word(i) in _THE:
            for core in self.cores(i + 1):
                near = [
                    c
                    for c in core.before
                    if isinstance(c, Degree) and c.key in ("near", "far") and c.anchor is None
                ]
                if near and core.has_head:
                    found += self._completed(i, core, near[0], depth)
            if "'s" in self.words[i + 1 : i + 8]:
                found += self._possessed(i, depth)
        return found

    def _completed(self, i: int, core: Core, near: Degree, depth: int) -> list[tuple[Description, int]]:
        found = []
        j = core.end
        while self.word(j) in terms("there here is lying sitting standing around of all them"):
            if self.word(j) == "of" and self.word(j + 1) != "all":
                break
            j += 1
        if self.word(j) not in terms("to from of by towards"):
            return found
        for anchor, end in self.anchor(j + 1, depth):
            degree = replace(near, anchor=anchor)
            constraints = tuple(degree if c is near else c for c in core.before)
            found.append(
                (
                    Description(
                        "the", order(constraints), text=" ".join(self.words[i:end]), is_one=core.is_one
                    ),
                    end,
                )
            )
        return found

    def _possessed(self, i: int, depth: int) -> list[tuple[Description, int]]:
        found = []
        for anchor, j in self.np(i, MAX_DEPTH):
            if self.word(j) != "'s" or anchor.landmark:
                continue
            for core in self.cores(j + 1):
                near = [c for c in core.before if isinstance(c, Degree) and c.key in ("near", "far")]
                if not near or not core.has_head:
                    continue
                constraints = tuple(replace(c, anchor=anchor) if c is near[0] else c for c in core.before)
                found.append(
                    (
                        Description("the", order(constraints), text=" ".join(self.words[i : core.end])),
                        core.end,
                    )
                )
        return found


def _turned(constraint: Constraint) -> Constraint:
    if isinstance(constraint, Degree) and constraint.word.startswith("from"):
        return replace(constraint, key=OPPOSITE[constraint.key])
    return constraint
