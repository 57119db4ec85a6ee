# ruff: noqa: E501 (tables of phrases)
"""Features after a noun, for the tolerant reading: where it is, how near, how big, and out of which group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.lexicon import Entry, lexicon, longest_phrase
from vlm_agent.scripted.loose_words import verb_forms
from vlm_agent.scripted.spatial_words import RELATION_OF, Rel
from vlm_agent.scripted.syntax import Constraint, Degree, Description, Frame, Related

_SIDE_OF = {"left_of": "left", "right_of": "right", "in_front_of": "front", "behind": "back"}
_FAR = frozenset("far furthest farthest further farther".split())
_SIDES = {"left": "left", "right": "right", "front": "front", "back": "back", "rear": "back", "leftmost": "left",
          "rightmost": "right", "leftward": "left", "rightward": "right", "lefthand": "left", "righthand": "right",
          "leftwards": "left", "rightwards": "right"}  # fmt: skip
OPPOSITE = {"left": "right", "right": "left", "front": "back", "back": "front"}
# Words of a phrase such as "farthest over on the left-hand side"; it must have one side.
_AROUND_SIDE = frozenset(
    "far furthest farthest further farther most over all the way to on at in toward towards very extreme "
    "utmost outermost outer hand handed side end edge part corner last first closest nearest close near nearer closer off out "
    "down along as possible up position place spot outside far-most absolute border margin boundary extremity limit direction flank it goes "
    "moving going lies gets can get one comes comes be go that you possibly right".split()
)
_SIDE_ENDS = frozenset("side end edge part corner border margin boundary extremity limit flank".split())
_STRONG = frozenset("far furthest farthest further farther most all way extreme utmost outermost outer last first end edge "
                    "closest nearest border margin boundary extremity limit absolute very corner".split())  # fmt: skip
_WHOSE: dict[str, Frame] = {
    "my": "camera",
    "our": "camera",
    "your": "robot",
    "the": "camera",
    "robot's": "robot",
}
RELATIVE = frozenset("that which who what whatever whichever".split())
PEOPLE = frozenset("i you we he she they someone somebody anyone anybody people everyone one robot".split())
KIN = frozenset(
    "wife husband son daughter kid kids child children mum mom mother dad father sister brother friend colleague "
    "grandson granddaughter boss neighbour neighbor cat dog roommate flatmate partner boy girl guest guests "
    "visitor student teacher man woman guy lady".split()
)
_PERCEIVE = frozenset(
    "see sees saw seen find finds found spot spots notice notices observe detect have has got know like locate "
    "discover recognise recognize identify make out visible".split()
)
SKIP = frozenset(
    "just right over there here currently now presently already still actually happens happen happened to is 's are was were be been "
    "being has have had can could will would 'll may might do does did appears appear seems seem looks look "
    "up down directly immediately also simply all apparently clearly obviously slightly a bit little somewhat "
    "sort kind of quite rather very really way much exactly only sits stands lies rests lives stays remains it "
    "as sort by far definitely even noticeably visibly considerably significantly so too more or less "
    "got get gets itself own alone all by on its call consider turns turned out to stood sat lay sit stand lie rest live came comes come proves proved ends ended".split()
)
POSTURES = frozenset(
    "sitting standing lying resting placed positioned situated located found put left set laid parked kept stationed "
    "seated perched stored sat stood dropped waiting staying living hanging being residing remaining arranged installed "
    "planted deposited sits stands lies rests lives stays remains nestled tucked propped seen visible hiding "
    "parked posted balanced sleeping put stored dumped leaning pushed moved shoved which that is "
    "appearing showing looking based stuck hidden squeezed".split()
)
TABLE = (
    "on the table", "on the desk", "on this table", "on that table", "on our table", "on my table", "on your table", "on the tabletop",
    "on the surface", "on the workspace", "on the counter", "on the bench", "on the workbench",
    "on the table top", "on the desktop", "in the scene", "in the picture", "in the image", "in view", "in sight", "in the workspace", "of the table",
    "in front of us", "in front of you", "in front of me", "in the view", "on display", "around here", "around there", "over there",
    "over here", "up there", "down there", "right there", "right here", "out there", "there is", "there are", "there was",
    "there", "here", "around", "present", "available", "at hand", "in the room", "of all", "overall", "altogether",
    "on offer", "in total", "to be seen", "to be found", "lying around", "lying about", "around the place",
    "standing around", "sitting around", "sitting there", "standing there", "lying there", "as i sit here",
    "as we speak", "at the moment", "right now", "from here", "from where i sit", "from where i am", "from where i am sitting", "from where i stand",
    "from my seat",
    "that there is",
    "there is to see",
    "by a long way",
    "by a mile",
    "by a long shot",
    "by some margin",
    "by a wide margin",
    "hands down",
    "you can lay your hands on",
    "you can get hold of",
    "you can get your hands on",
    "that we have",
    "that you have",
    "that i have",
    "that we have got",
    "that exists",
    "of these",
    "of those",
    "of the whole lot", "from my chair", "on it", "in existence", "going", "i know", "as i see it", "as far as i can see", "as far as i can tell",
    "i believe", "i think", "on show", "in the lot", "in sight", "within sight", "by far", "by volume", "in volume", "in terms of size",
    "in bulk", "by size", "size wise", "sizewise", "in size", "in the bunch", "present here", "on the table here", "on the table there",
    "earlier", "previously", "a moment ago", "a minute ago", "a while ago", "a second ago", "just now", "this morning", "yesterday", "before", "last time", "for now",
    "a little while ago", "just a moment ago", "today", "as it stands", "as things stand", "as they are", "of the bunch", "on the top of the table",
    "out of everything", "of everything", "on hand", "we have", "we have got", "we have here", "you have", "you have got", "i have", "i have got", "i have here", "i own",
    "in play", "on board", "in this scene", "in this picture", "in the group", "in the collection", "in this bunch", "in this lot", "in this group", "that exists",
    "on the table top", "in the whole scene", "on the whole table", "on the entire table",
)  # fmt: skip
STANDPOINTS = (
    ("robot", re.compile(r"where (?:your|the) (?:\w+ )?(?:arm|base|body|gripper|hand|robot)(?: arm| base)? (?:is|are|starts?|begins?|sits?|stands?)(?: (?:mounted|fixed|bolted|attached|located|standing|based|anchored|now)(?: down| on| to)?)?(?: the table)?(?![^ ])")),
    ("robot", re.compile(r"where you (?:are|stand|sit)(?: (?:mounted|fixed|bolted|attached|located|standing|based|anchored|now|sitting|positioned)(?: down| on)?)?(?![^ ])")),
    ("robot", re.compile(r"the (?:foot|bottom|root|side|end|base|mount) of (?:your|the) (?:arm|robot|base|robot arm)(?![^ ])")),
    ("robot", re.compile(r"(?:your|the robot 's|the arm 's) (?:gripper|arm|hand|robot) 's (?:base|mount|root|foot|side)(?![^ ])")),
    ("viewer", re.compile(r"where (?:i|we) (?:am|are|sit|stand|look|watch)(?: (?:sitting|standing|seated|now|looking|watching|located|positioned|from))*(?![^ ])")),
    ("viewer", re.compile(r"the (?:person|one|human|user|guy|man|woman|speaker|observer|people) (?:who |that )?(?:is |are )?(?:talking|speaking|giving|asking|telling|instructing|ordering|commanding|watching|looking|typing|sitting|standing)(?: (?:to you|the orders|you|this|orders|instructions|the commands|here|on|it|from|in front|the instructions|at you))*(?![^ ])")),
    ("viewer", re.compile(r"the (?:edge|side|end|part) (?:of the table )?(?:that |which |where )?(?:i|we) (?:am|are|sit|stand)(?: (?:sitting|standing|seated))?(?: (?:at|on|by|near|next to))?(?![^ ])")),
)  # fmt: skip
_NEAREST = frozenset("nearest closest".split())
_OWN = frozenset(
    "hand hands side end edge chair seat position place body person face nose belly tummy lap eyes elbow elbows location spot arm arms base "
    "mount stand foot feet shoulder shoulders torso chest trunk pedestal root gripper fingers fingertips finger knees corner head home "
    "mounting column socket joint joints bottom tower housing frame anchor lens viewpoint camera self stomach keyboard coffee laptop monitor bit".split()
)
ME = (
    "me", "myself", "us", "where i am", "where i sit", "where i am sitting", "where i stand", "where i am standing", "my side",
    "my side of the table", "my end", "my end of the table", "my edge of the table", "my chair", "my seat", "my hand", "my hands",
    "my position", "my body", "my place", "the camera", "camera", "the viewer", "the observer", "my spot", "my end of the desk",
    "where i am now", "me here", "where we are", "the person speaking", "the user", "your user", "the lens", "the camera lens",
    "my side of the desk", "my eyes", "my elbow", "my own side", "my own seat", "my face", "me over here", "my location", "my person",
    "where i am seated", "the front", "the near edge", "the near side", "yours truly", "our side", "where i happen to be",
    "where i am looking from", "my belly", "my tummy", "my lap", "the speaker", "my viewpoint", "my end of things",
)  # fmt: skip
YOU = (
    "you", "yourself", "the robot", "robot", "your arm", "the arm", "the robot arm", "your base", "the base", "your side",
    "the robot's base", "the robot base", "where you are", "where you stand", "where you sit", "where you are standing", "where you are sitting",
    "your side of the table", "your end", "your end of the table", "your body", "the base of the robot", "your position", "your own base",
    "your own side", "the robot's side", "the robot's arm", "where you are mounted", "your mount", "your stand", "your feet", "your foot",
    "your shoulder", "your shoulders", "your place", "where you are now", "the robot's side of the table", "your spot", "the robot itself",
    "your own body", "your edge of the table", "your location", "the robot's end", "your home", "the robot's position", "your trunk",
    "your pedestal", "the arm's base", "the base of the arm", "the base of your arm", "your root", "where your base is", "where you are based", "your own position",
    "where you are fixed", "where you are bolted", "where you are bolted down", "where your arm starts", "where your arm begins", "the robot's body",
    "the machine", "the machine's base", "your torso", "your chest", "your own arm", "where you happen to be", "your end of the desk", "your side of the desk",
)  # fmt: skip
GROUP_WORDS = frozenset(
    "lot pair bunch group set two three four all others rest duo couple ones trio collection gang batch selection "
    "row crowd family whole entire entirety everything objects things items candidates options them those these "
    "they both twosome threesome cluster assortment array line heap pieces choices present available lineup ensemble".split()
)
_GROUP_DETS = frozenset("the my our your those these its that this of all both each any every".split())
OTHERS = (
    "the other one", "the other", "the other two", "the others", "all the others", "all others", "all the other ones", "any other", "any of the others",
    "any other one", "every other one", "every other", "the rest", "all the rest", "the rest of them", "anything else", "all of the others",
    "everything else", "its twin", "its partner", "its counterpart", "its neighbour", "its neighbor", "its sibling", "its mate", "its fellow", "its brother", "its companion",
    "the second one", "the remaining one", "the remaining ones", "either of the others", "any of the rest", "its pair", "its fellows", "its peers", "its rival", "its rivals",
    "its siblings", "its companions", "the alternative", "its double", "its sister", "each of the others", "the one next to it", "its match", "others", "its colleague", "its friend",
)  # fmt: skip


@dataclass(frozen=True)
class Post:
    """A feature: constraints that apply to the noun, or constraints of the group it is chosen from."""

    constraints: tuple[Constraint, ...] = ()
    end: int = 0
    inner: tuple[Constraint, ...] = ()
    cost: float = 0.0
    needs_rank: bool = False


class Features:
    """Reads features at a word of a sentence; `Descriptions` adds what they refer to."""

    def __init__(self, words: Sequence[str]) -> None:
        """Read in these words, lower case, punctuation apart."""
        self.words = tuple(words)
        self._posts: dict[tuple[int, int, bool], list[Post]] = {}
        self._lex: dict[int, list[tuple[Entry, int]]] = {}

    # ---- looking at words ------------------------------------------------------------------------

    def word(self, i: int) -> str:
        """Return a word, "" beyond the end."""
        return self.words[i] if 0 <= i < len(self.words) else ""

    def lex(self, i: int, *terminals: str) -> list[tuple[Entry, int]]:
        """Return the entries of all phrases of the lexicon that begin at a word, longest first, with their ends."""
        if i not in self._lex:
            found = []
            for length in range(min(longest_phrase(), len(self.words) - i), 0, -1):
                entry = lexicon().get(" ".join(self.words[i : i + length]))
                if (
                    length == 1
                    and self.words[i] == "before"
                    and self.word(i + 1) in ("the", "that", "this", "it", "a")
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

    def core_ends(self, i: int) -> list[int]:
        """Return the ends of the adjectives and nouns that begin at a word."""
        raise NotImplementedError

    def np(self, i: int, depth: int = 0) -> list[tuple[Description, int]]:
        """Return the noun phrases that begin at a word, with their ends."""
        raise NotImplementedError

    # ---- features --------------------------------------------------------------------------------

    def posts(self, i: int, depth: int, *, is_open: bool = False) -> list[Post]:
        """Return the single features that begin at a word; `is_open`: a clause needs no "that" ("whichever ball is ...")."""
        key = (i, depth, is_open)
        if key not in self._posts:
            self._posts[key] = []  # no feature begins with itself
            found: list[Post] = []
            for j, is_clause in self._leads(i, is_open):
                if j >= len(self.words):
                    continue
                for read in self._readers(is_clause):
                    found += read(j, depth)
            found += self._perceived(i)
            found += [Post((), j) for j in self.phrase(i, TABLE)]
            found += [Post((), j) for j in self._viewed(i)]
            self._posts[key] = list(dict.fromkeys(found))
        return self._posts[key]

    def _viewed(self, i: int) -> list[int]:
        """Read "as I look at it", "the way I see them": the viewer's own left and right, as always."""
        ends = self.phrase(i, ("as", "when", "the way", "if", "how"))
        out = []
        for j in ends:
            if self.word(j) not in ("i", "we") or self.word(j + 1) not in (
                "look",
                "see",
                "view",
                "face",
                "sit",
                "stand",
                "am",
                "count",
                "are",
            ):
                continue
            k = j + 2
            while self.word(k) in (
                "at",
                "it",
                "them",
                "this",
                "here",
                "things",
                "the",
                "table",
                "facing",
                "looking",
                "sitting",
                "standing",
                "on",
                "down",
                "now",
                "from",
                "my",
                "side",
                "scene",
            ):
                k += 1
                out.append(k)
            out.append(j + 2)
        return sorted(set(out), reverse=True)

    def _readers(self, is_clause: bool) -> list[Callable[[int, int], list[Post]]]:
        always = [
            self._related,
            self._side,
            self._near,
            self._group,
            self._than,
            self._inverse,
            self._measured,
            self._rank_from,
            self._nothing_beyond,
            self._approached,
        ]
        return [*always, self._property] if is_clause else always

    def _leads(self, i: int, is_open: bool) -> Iterator[tuple[int, bool]]:
        """Yield where a feature may begin, and whether a clause led to it ("that is ...")."""
        yield i, False
        j = i + 1 if self.word(i) == "," else i
        is_clause = self.word(j) in RELATIVE
        if is_clause:
            j += 1
        elif is_open and self.word(j) in SKIP:
            is_clause = True
        start = j
        if is_clause:
            yield j, True
        if self.word(i) == "," and self.word(j) == "the" and self.word(j + 1) == "one":
            yield j + 2, True
            j += 2 + (self.word(j + 2) in RELATIVE)
            start = j
            is_clause = True
        spots = self.phrase(
            j,
            (
                "in the spot",
                "in the place",
                "in the position",
                "in the area",
                "in the space",
                "with a position",
                "with its place",
                "in a position",
                "in a spot",
                "at the spot",
                "at a spot",
                "on the spot",
                "whose place is",
                "whose position is",
                "whose spot is",
            ),
        )
        for k in spots:
            yield k, False
        if self.word(j) == "my" and self.word(j + 1) in KIN:
            j += 1
        if self.word(j) in PEOPLE or self.word(j) in KIN:
            j = self._clause_of_people(j)
            if j < 0:
                return
        elif (
            not is_clause
            and self.word(j) not in POSTURES
            and not self._is_posture(j)
            and self.word(j) not in ("just", "right", "currently", "over", "directly", "immediately")
        ):
            return
        j = max(j, start)
        seen: set[int] = set()
        while True:
            if j not in seen and j > i and not (is_clause and j == start):
                seen.add(j)
                yield j, is_clause
            if self.word(j) in SKIP or self.word(j) in POSTURES or self._is_posture(j):
                j += 1
            else:
                return

    def _is_posture(self, j: int) -> bool:
        """Whether an unknown participle stands before a place: "lurking behind the mug"."""
        word = self.word(j)
        known = word in RELATIVE or bool(self.lex(j))
        return (
            not known
            and len(word) > 5
            and word.endswith(("ing", "ed"))
            and bool(self.lex(j + 1, "REL", "ONSIDE", "BETWEEN"))
        )

    def _clause_of_people(self, j: int) -> int:
        """Return the end of "you can see", "somebody has put", "my wife left"; -1 if it is something else."""
        j += 1
        while self.word(j) in SKIP or self.word(j).endswith("ly"):
            j += 1
        forms = verb_forms()["put"].get(self.word(j))
        if self.word(j) in _PERCEIVE or forms is not None:
            return j + 1
        return -1

    def _perceived(self, i: int) -> list[Post]:
        """Read "you can see", "I've got here": nothing is said."""
        j = i + 1 if self.word(i) in RELATIVE else i
        if self.word(j) not in PEOPLE:
            return []
        j += 1
        while self.word(j) in SKIP:
            j += 1
        if self.word(j) not in _PERCEIVE:
            return []
        j += 1
        return [Post((), j), *(Post((), k) for k in self.phrase(j, TABLE))]

    def _related(self, i: int, depth: int) -> list[Post]:
        """Read "left of the mug", "between the mug and the bowl", "on the mug's left"."""
        found: list[Post] = []
        for entry, j in self.lex(i, "REL"):
            rel: Rel = entry.value
            if rel.is_motion and self.words[i] not in ("on", "in", "to", "at", "down", "over"):
                continue
            for anchor, k in self.np(j, depth + 1):
                found += self._relation_post(rel, anchor, k)
            side = _SIDE_OF.get(rel.name)
            if side:
                found += [
                    Post((Degree(" ".join(self.words[i:k]), side, frame=rel.frame),), k)
                    for k in self._others(j)
                ]
        for _, j in self.lex(i, "BETWEEN"):
            for first, k in self.np(j, depth + 1):
                if first.wants_many:
                    found.append(Post((Related("between", (first,)),), k))
                if self.word(k) == "and":
                    found += [
                        Post((Related("between", (first, second)),), m)
                        for second, m in self.np(k + 1, depth + 1)
                    ]
        if self.word(i) in ("on", "to", "at"):
            found += [Post((Related(r, (a,)),), k) for r, a, k in self.owned_side(i + 1, depth)]
        return found

    def _relation_post(self, rel: Rel, anchor: Description, end: int) -> list[Post]:
        if anchor.is_pronoun:
            return []
        if anchor.landmark == "table" and rel.name in ("on", "next_to"):
            return [Post((), end)] if rel.name == "on" else []
        if anchor.landmark in ("viewer", "robot") and rel.name == "next_to":
            towards = None if anchor.landmark == "viewer" else anchor
            return [Post((Degree("near", "near", anchor=towards),), end)]
        if anchor.landmark in ("viewer", "robot") and rel.name in ("inside", "on", "above", "below"):
            return []
        return [Post((Related(rel.name, (anchor,), rel.frame),), end)]

    def owned_side(self, i: int, depth: int) -> list[tuple[str, Description, int]]:
        """Read "the mug's left (hand side)": the relation, the mug, and the end."""
        found = []
        for anchor, j in self.np(i, depth + 1):
            if self.word(j) != "'s":
                continue
            k = j + 1
            while self.word(k) in ("immediate", "direct", "near", "very"):
                k += 1
            side = _SIDES.get(self.word(k))
            if side is None or anchor.landmark:
                continue
            k += 1
            while self.word(k) in ("hand", "side"):
                k += 1
            found.append((RELATION_OF[side], anchor, k))
        return found

    def _side(self, i: int, depth: int) -> list[Post]:
        """Read a run of words around one side: "all the way over on the left", "at the right end of the lot"."""
        found: list[Post] = []
        side, frame, j = "", "camera", i
        words: list[str] = []
        while j < len(self.words):
            word = self.words[j]
            if word in _SIDES and not (word == "right" and self._is_adverb(j)):
                if side:
                    break
                side = _SIDES[word]
            elif word in _WHOSE and word != "the":
                frame = _WHOSE[word]
            elif word == "from":
                words.append(word)
                j += 1
                continue
            elif word in ("with", "having", "has") and j == i:
                j += 1
                words.append("at")
                continue
            elif word not in _AROUND_SIDE and word != "hand":
                break
            words.append(word)
            j += 1
            if side and self._may_end(j):
                rank = self._side_degree(words, side, frame)
                if rank is not None:
                    found.append(Post((rank,), j))
                    found += [Post((rank,), k) for k in self._than_others(j)]
                    found += [Post((rank,), p.end, p.inner) for p in self._group(j, depth)]
                    if self.word(j) in ("of", "from"):
                        found += [Post((rank,), k) for k in self._others(j + 1)]
                    found += [
                        Post((rank,), k)
                        for k in self.phrase(
                            j,
                            (
                                "of the table",
                                "of the desk",
                                "of the scene",
                                "of the row",
                                "of the line",
                                "of the surface",
                                "of the workspace",
                                "of everything",
                                "of the picture",
                            ),
                        )
                    ]
        return found

    def _is_adverb(self, j: int) -> bool:
        """Whether "right" means "directly": "right by", "right at the left edge"."""
        following = self.word(j + 1)
        return following in ("by", "at", "next", "beside", "behind", "over", "up", "there", "here", "near", "in", "on", "to", "close", "along") and self.word(j - 1) not in (
            "the", "my", "your", "our", "far", "to", "on", "very", "furthest", "farthest", "extreme", "most",
        )  # fmt: skip

    def _may_end(self, j: int) -> bool:
        """Whether a phrase of a side may end before a word: not before "of" and a thing, or a noun."""
        following = self.word(j)
        if following == "of":
            if self._others(j + 1):
                return True
            return not any(not d.landmark for d, _ in self.np(j + 1, 9)) or self._is_group(j)
        return not self.lex(j, "NOUN", "ONE", "COLOR") and following not in (
            "hand",
            "handed",
            "side",
            "end",
            "edge",
            "most",
        )

    def _is_group(self, i: int) -> bool:
        return bool(self._group(i, 9))

    def _side_degree(self, words: Sequence[str], side: str, frame: Frame) -> Degree | None:
        has_lead = (
            words[0] in ("to", "on", "at", "in", "toward", "towards", "over", "off", "along", "by", "near")
            or words[-1] != side
        )
        if not (_STRONG & set(words) or has_lead or words[0] in ("leftmost", "rightmost")):
            return None
        away = set(words) & _FAR or "last" in words
        if "from" in words:
            if not away and not ({"first", "closest", "nearest", "near", "close"} & set(words)):
                return None
            side = OPPOSITE[side] if away else side
        if {"near", "nearer", "close", "closer", "further", "farther"} & set(words) and not {
            "far",
            "furthest",
            "farthest",
        } & set(words):
            return Degree(" ".join(words), side, form="comparative", frame=frame)
        return Degree(" ".join(words), side, frame=frame)

    def _rank_from(self, i: int, depth: int) -> list[Post]:
        """Read "first from the left", "second in from the right", "that comes first going from left to right"."""
        found: list[Post] = []
        j = i
        is_counted = False
        while self.word(j) in (
            "comes",
            "is",
            "the",
            "counting",
            "counted",
            "when",
            "you",
            "come",
            "count",
            "appears",
            "starting",
            "going",
            "reading",
            "if",
            "we",
            "i",
            "one",
        ):
            is_counted = is_counted or self.word(j) in (
                "counting",
                "count",
                "counted",
                "starting",
                "going",
                "reading",
            )
            j += 1
        rank = {"first": 1, "last": -1}.get(self.word(j))
        if rank is None:
            entry = self.lex(j, "ORD")
            rank = entry[0][0].value if entry else None
        if rank is None and is_counted and self.word(j) == "from":
            rank, j = 1, j - 1
        if rank is None:
            return found
        j += 1
        while self.word(j) in ("one", "in", "going", "counting", "reading", "when", "you", "go", "count", "read", "look", "looking", "if", "starting", "moving",
                               "as", "scanning", "counted", "we", "i", "line", "comes", "encountered", "order", "to", "along", "start"):  # fmt: skip
            j += 1
        if self.word(j) != "from":
            return found
        j += 1
        if self.word(j) in ("the", "my", "your", "our"):
            frame = _WHOSE[self.word(j)]
            j += 1
        else:
            frame = "camera"
        side = _SIDES.get(self.word(j))
        if side is None:
            return found
        j += 1
        while self.word(j) in ("hand", "side", "end", "edge"):
            j += 1
        if self.word(j) == "to" and self.word(j + 1) in _SIDES:
            j += 2
        elif self.word(j) == "to" and self.word(j + 1) == "the" and self.word(j + 2) in _SIDES:
            j += 3
        side = OPPOSITE[side] if rank < 0 else side
        return [Post((Degree(f"from the {side}", side, rank=abs(rank), frame=frame),), j)]

    # ---- near and far ----------------------------------------------------------------------------

    def anchor(self, i: int, depth: int) -> list[tuple[Description | None, int]]:
        """Return what near and far relate to at a word: None is the viewer."""
        robot = Description("the", landmark="robot", text="you")
        found: list[tuple[Description | None, int]] = [
            (None, j) for j in (*self.phrase(i, ME), *self._own_place(i, ("my", "our")))
        ]
        found += [(robot, j) for j in (*self.phrase(i, YOU), *self._own_place(i, ("your",)))]
        ends = self._standpoint(i)
        found += [(None, j) for j in ends.get("viewer", ())] + [(robot, j) for j in ends.get("robot", ())]
        if self.word(i) == "the" and found:
            return found[:1]
        found += [(d, j) for d, j in self.np(i, depth + 1) if not (d.landmark or d.is_pronoun)]
        longest = max((j for _, j in found[:1]), default=0)
        return [f for f in found if f[0] is not None or f[1] >= longest]

    def _standpoint(self, i: int) -> dict[str, list[int]]:
        """Read "where your arm is mounted", "the person talking to you", "the edge I am sitting at"."""
        text = " ".join(self.words[i : i + 12])
        out: dict[str, list[int]] = {}
        for who, pattern in STANDPOINTS:
            match = pattern.match(text)
            if match:
                out.setdefault(who, []).append(i + len(match.group().split()))
        return out

    def _own_place(self, i: int, owners: tuple[str, ...]) -> list[int]:
        """Read "my own left hand", "your end of the table"."""
        if self.word(i) not in owners:
            return []
        j = i + 1
        while self.word(j) in (
            "own",
            "very",
            "left",
            "right",
            "near",
            "two",
            "front",
            "outstretched",
            "resting",
            "current",
            "fixed",
            "little",
            "lovely",
            "metal",
            "mechanical",
            "robotic",
        ):
            j += 1
        if self.word(j) not in _OWN:
            return []
        return [
            j + 1,
            *self.phrase(
                j + 1,
                (
                    "of the table",
                    "of the desk",
                    "of things",
                    "of the bench",
                    "of the workspace",
                    "of the surface",
                    "is",
                    "are",
                    "rest",
                    "rests",
                    "is mounted",
                    "is fixed",
                ),
            ),
        ]

    def _near(self, i: int, depth: int) -> list[Post]:
        """Read "closest to the mug", "the nearest one to you", "least far away from me", "you can reach first"."""
        found: list[Post] = []
        found += [
            Post(
                (Degree("within reach", "near", anchor=Description("the", landmark="robot", text="you")),), j
            )
            for j in self._reachable(i)
        ]
        found += self._reached_first(i, depth)
        if self.word(i) in ("on", "at", "toward", "towards", "near") and self.word(i + 2) in (
            "side",
            "end",
            "edge",
            "half",
            "own",
        ):
            robot = Description("the", landmark="robot", text="you")
            found += [Post((Degree("my end", "near"),), j) for j in self._own_place(i + 1, ("my", "our"))]
            found += [
                Post((Degree("your end", "near", anchor=robot),), j)
                for j in self._own_place(i + 1, ("your",))
            ]
        for key, is_most, j in self._nearness(i):
            for k in self._links(j):
                for anchor, end in self.anchor(k, depth):
                    degree = Degree(" ".join(self.words[i:j]), key, is_most, anchor=anchor)
                    found.append(Post((degree,), end))
                    found += [Post((degree,), m) for m in self._than_others(end)]
                    found += [Post((degree,), p.end, p.inner) for p in self._group(end, depth)]
        return found

    def _nearness(self, i: int) -> list[tuple[str, bool, int]]:
        """Read a word of nearness up to its preposition: key, most, end."""
        j = i
        while self.word(j) in (
            "the",
            "at",
            "with",
            "by",
            "a",
            "very",
            "single",
            "is",
            "that",
            "having",
            "absolutely",
            "in",
            "which",
            "has",
            "much",
            "from",
        ):
            j += 1
        word, following = self.word(j), self.word(j + 1)
        superlative = (
            "shortest",
            "smallest",
            "least",
            "lowest",
            "tiniest",
            "minimum",
            "minimal",
            "slightest",
            "littlest",
            "shorter",
            "smaller",
            "closest",
            "nearest",
            "narrowest",
            "quickest",
        )
        longest = ("longest", "largest", "greatest", "biggest", "maximum", "maximal", "widest")
        if word in (*superlative, *longest):
            k = j + 1
            while self.word(k) in ("possible", "amount", "of", "a", "straight", "line"):
                k += 1
            if self.word(k) in (
                "distance",
                "way",
                "reach",
                "gap",
                "path",
                "separation",
                "stretch",
                "spacing",
                "space",
                "walk",
                "hop",
                "trip",
                "route",
                "journey",
                "range",
                "travel",
                "proximity",
                "vicinity",
                "neighbourhood",
                "neighborhood",
            ):
                k += 1
                while self.word(k) in ("away", "off", "in", "between", "itself", "it", "and"):
                    k += 1
                return [("near" if word in superlative else "far", True, k)]
        if word in ("least", "less") and following in ("far", "distant", "remote"):
            k = j + 2
            return [("near", True, k + (self.word(k) in ("away", "off")))]
        if word in ("most", "more", "really", "so") and following in ("near", "close", "nearby"):
            return [("near", True, j + 2)]
        if word in ("most", "more") and following in ("far", "distant", "remote"):
            return [("far", True, j + 2 + (self.word(j + 2) in ("away", "off")))]
        table = {
            "nearest": "near",
            "closest": "near",
            "nearer": "near",
            "closer": "near",
            "furthest": "far",
            "farthest": "far",
            "further": "far",
            "farther": "far",
            "near": "near",
            "close": "near",
        }
        key = table.get(word)
        if key is None or (word in ("near", "close") and following not in ("to", "me", "you", "us", "by")):
            return []
        k = j + 1
        while self.word(k) in (
            "proximity",
            "vicinity",
            "neighbourhood",
            "position",
            "place",
            "spot",
            "range",
            "one",
            "by",
            "away",
            "off",
            "in",
            "of",
            "distance",
            "all",
            "situated",
            "located",
            "placed",
            "positioned",
            "up",
            "out",
            "lying",
            "sitting",
            "standing",
            "object",
            "thing",
            "item",
            "neighbour",
            "neighbor",
        ):
            if self.word(k) == "of" and self.word(k + 1) in ("the", "them", "all", "these", "those"):
                break
            k += 1
        out = [(key, True, k)]
        out += [(key, True, p.end) for p in self._group(k, 9) if not p.inner]
        return out

    def _links(self, j: int) -> list[int]:
        """Return where the anchor may begin: after "to", "from", or at once."""
        ends = [j]
        if self.word(j) in ("to", "from", "of", "by", "towards", "toward", "with", "between", "and", "for"):
            ends.append(j + 1)
            if self.word(j + 1) in ("of", "to"):
                ends.append(j + 2)
        return ends

    def _reachable(self, i: int) -> list[int]:
        """Read "you can reach most easily", "you have the shortest reach to", "within easiest reach of you"."""
        return self.phrase(
            i,
            (
                "you can reach most easily", "you can reach easiest", "you can reach first", "you can reach the easiest", "you can reach quickest",
                "you have the shortest reach to", "you have the shortest way to", "you have to reach least far for", "you have to stretch least for",
                "you would reach first", "you would get to first", "you reach first", "you have to reach the least for", "you need to reach least far for",
                "easiest for you to reach", "the easiest for you to reach", "within your easiest reach", "in easiest reach of you", "the least reach for you",
                "you can get to most easily", "you can get to quickest", "you can grab most easily", "you can reach with the least stretching",
                "you could reach most easily", "you have the shortest distance to", "you could reach first", "you can get at most easily", "you do not have to reach far for",
            ),
        )  # fmt: skip

    def _reached_first(self, i: int, depth: int) -> list[Post]:
        """Read "you'd reach first starting from the mug", "I come to first", "you could get to soonest"."""
        j = i
        robot = Description("the", landmark="robot", text="you")
        if self.word(j) not in ("you", "i", "one", "we", "my", "your"):
            return []
        anchor = None if self.word(j) in ("i", "we", "my") else robot
        j += 1
        while self.word(j) in (
            "would",
            "could",
            "can",
            "will",
            "might",
            "are",
            "is",
            "arm",
            "hand",
            "gripper",
            "be",
            "have",
            "to",
            "able",
            "likely",
            "the",
            "need",
        ):
            j += 1
        ends = self.phrase(
            j,
            (
                "reach",
                "get to",
                "come to",
                "hit",
                "bump into",
                "meet",
                "arrive at",
                "encounter",
                "come across",
                "touch",
                "grab",
                "get hold of",
                "pass",
                "find",
                "get at",
                "come upon",
                "run into",
                "reach for",
            ),
        )
        found = []
        for k in ends:
            while self.word(k) in ("the", "most", "very"):
                k += 1
            if self.word(k) not in (
                "first",
                "soonest",
                "quickest",
                "earliest",
                "fastest",
                "easiest",
                "easily",
                "quickly",
                "sooner",
                "quicker",
                "readily",
                "least",
                "comfortably",
            ):
                continue
            k += 1
            found.append(Post((Degree("reached first", "near", anchor=anchor),), k))
            while self.word(k) in (
                "when",
                "if",
                "starting",
                "coming",
                "going",
                "leaving",
                "setting",
                "out",
                "start",
                "started",
                "off",
                "moving",
                "walking",
                "were",
                "you",
                "i",
                "go",
            ):
                k += 1
            if self.word(k) in ("from", "at", "leaving"):
                found += [
                    Post((Degree("reached first", "near", anchor=a),), m)
                    for a, m in self.anchor(k + 1, depth)
                ]
        return found

    def _than_others(self, i: int) -> list[int]:
        """Read "than all the others", "than any of the other ones is"."""
        if self.word(i) in ("when", "if", "as") and self.word(i + 1) == "compared":
            i += 1
        if self.word(i) not in ("than", "compared"):
            return []
        return self._others(i + 1 + (self.word(i + 1) in ("to", "with")))

    def _others(self, j: int) -> list[int]:
        """Read "all the others", "any of the other balls"."""
        ends = self.phrase(j, OTHERS)
        if self.word(j) in ("any", "all", "every", "the", "either", "each", "its"):
            k = j
            while self.word(k) in ("any", "all", "every", "the", "either", "of", "each", "its", "two"):
                k += 1
            if self.word(k) == "other":
                k += 1
                ends += self.core_ends(k)
        return [e + (self.word(e) in ("is", "are", "does", "do")) for e in sorted(set(ends), reverse=True)]

    # ---- size ------------------------------------------------------------------------------------

    def degree(self, i: int) -> list[tuple[Degree, int]]:
        """Read "a bit smaller", "the largest", "most compact", "less big", "biggest in size"."""
        j = i
        while self.word(j) in ("a", "the", "bit", "little", "slightly", "somewhat", "much", "clearly", "even", "way", "far", "noticeably", "by", "single", "very", "visibly",
                               "obviously", "considerably", "overall", "definitely", "of", "tad", "to", "be", "physically", "really", "significantly", "distinctly", "lot",
                               "plainly", "simply", "just"):  # fmt: skip
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
            if entry.value.key not in ("near", "far", "left", "right", "front", "back"):
                found.append((entry.value, k))
        noun = {"size", "volume", "dimensions", "bulk"}
        ends = []
        for degree, k in found:
            m = k
            while self.word(m) in (
                "in",
                "size",
                "volume",
                "dimensions",
                "bulk",
                "overall",
                "by",
                "terms",
                "of",
            ):
                if self.word(m) in ("in", "by", "of") and self.word(m + 1) not in (*noun, "terms"):
                    break
                m += 1
            ends.append((degree, m))
        return ends

    def _property(self, i: int, depth: int) -> list[Post]:
        """Read what follows "that is": "the largest one of the two", "bigger", "red", "a ball"."""
        found: list[Post] = []
        for degree, j in self.degree(i):
            found.append(Post((degree,), j))
            for k in self._one(j):
                found.append(Post((degree,), k))
                found += [Post((degree,), p.end, p.inner) for p in self._group(k, depth)]
        for side in self._side(i + (self.word(i) == "the"), depth):
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

    def _than(self, i: int, depth: int) -> list[Post]:
        """Read "bigger than the other one", "smaller than the mug"."""
        found: list[Post] = []
        for degree, j in self.degree(i):
            for k in self._one(j):
                if degree.form == "comparative":
                    found += [Post((degree,), m) for m in self._than_others(k)]
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
                group = self._group(k, depth)
                if k > j or i == j - 1 or degree.form != "positive":
                    found += [Post((degree,), p.end, p.inner, needs_rank=True) for p in group]
        return found

    def _nothing_beyond(self, i: int, depth: int) -> list[Post]:
        """Read "with nothing to its left", "that has no other ball on its right"."""
        j = i
        while self.word(j) in ("with", "has", "having", "there", "is", "which", "that", "have"):
            j += 1
        ends = self.phrase(
            j,
            (
                "nothing",
                "nothing else",
                "no other",
                "none of the others",
                "no others",
                "none",
                "no neighbour",
                "no neighbor",
                "no one",
            ),
        )
        found = []
        for k in ends:
            if j == i:
                break
            heads = (
                [k]
                + [m for _, m in self.lex(k, "NOUN", "ONE")]
                + [m for _, c in self.lex(k, "COLOR") for _, m in self.lex(c, "NOUN", "ONE")]
            )
            for m in heads:
                while self.word(m) in (
                    "further",
                    "more",
                    "standing",
                    "sitting",
                    "lying",
                    "else",
                    "over",
                    "at",
                    "all",
                    "any",
                ):
                    m += 1
                if (
                    self.word(m) in ("to", "on", "at")
                    and self.word(m + 1) in ("its", "the")
                    and self.word(m + 2) in _SIDES
                ):
                    e = m + 3
                    while self.word(e) in ("hand", "side", "of", "it"):
                        e += 1
                    found.append(Post((Degree("outermost", _SIDES[self.word(m + 2)]),), e))
        return found

    def _approached(self, i: int, depth: int) -> list[Post]:
        """Read "the mug is closest to", "I am nearest to"."""
        found = []
        for anchor, j in self.anchor(i, depth) + [(None, i + 1)] * (self.word(i) == "i"):
            k = j
            while self.word(k) in ("is", "am", "are", "the", "stands", "sits", "very", "lies", "all", "'m"):
                k += 1
            if k > j and self.word(k) in ("closest", "nearest") and self.word(k + 1) in ("to", "by"):
                found.append(Post((Degree("closest", "near", anchor=anchor),), k + 2))
        return found

    def _measured(self, i: int, depth: int) -> list[Post]:
        """Read "of greatest size", "with the smallest volume", "that has the larger dimensions"."""
        j = i
        if self.word(j) not in ("of", "with", "having", "has", "at", "possessing", "boasting"):
            return []
        j += 1
        while self.word(j) in ("the", "a", "its", "overall"):
            j += 1
        found = []
        for entry, k in self.lex(j, "SIZE", "COMP", "EXTREME"):
            degree: Degree = entry.value
            words = (
                "size",
                "volume",
                "dimensions",
                "dimension",
                "bulk",
                "build",
                "measurements",
                "body",
                "footprint",
                "proportions",
                "frame",
                "stature",
                "overall size",
                "mass",
                "girth",
            )
            for m in self.phrase(k, words):
                if degree.key == "size" or degree.key == "height":
                    rank = replace(degree, key="size", most=degree.most)
                    found.append(Post((rank,), m))
                    found += [Post((rank,), p.end, p.inner) for p in self._group(m, depth)]
        return found

    # ---- groups ----------------------------------------------------------------------------------

    def _group(self, i: int, depth: int) -> list[Post]:
        """Read what a choice is made from: "of them all", "out of the two", "of the pair", "from that pair of balls"."""
        starts = self.phrase(
            i,
            ("of", "out of", "among", "amongst", "from", "from among", "in", "between", "compared to", "compared with", "when you compare", "from out of", "amid", "within",
             "when comparing", "if you compare", "in comparison with", "in comparison to", "out from", "when we compare", "relative to"),
        )  # fmt: skip
        found: list[Post] = []
        for j in starts:
            k, words = j, []
            while self.word(k) in _GROUP_DETS or self.word(k) in GROUP_WORDS:
                words.append(self.word(k))
                k += 1
                if set(words) & GROUP_WORDS and not self._goes_on(k):
                    found.append(Post((), k))
                    found += [Post((), m) for m in self.phrase(k, TABLE)]
            if depth >= 9:
                continue
            for start in self._group_nouns(j):
                for group, m in self.np(start, max(depth + 1, 2)):
                    if (
                        group.landmark
                        or group.is_pronoun
                        or any(isinstance(c, Degree) for c in group.constraints)
                    ):
                        continue
                    if not group.wants_many:
                        continue
                    found.append(Post((), m, group.constraints))
                    found += [Post((), e, group.constraints) for e in self.phrase(m, TABLE)]
        return found

    def _goes_on(self, k: int) -> bool:
        """Whether the group's own noun is still to come: "of the two | balls", "of the group | of balls"."""
        return bool(self.lex(k, "NOUN", "COLOR", "FORM", "SIZE", "ONE")) or (
            self.word(k) == "of"
            and self.word(k + 1) not in ("the", "all", "them")
            and bool(self.lex(k + 1, "NOUN", "COLOR", "SIZE"))
        )

    def _group_nouns(self, j: int) -> list[int]:
        """Return where the noun phrase of a group begins: at once, or after "that pair of"."""
        starts = [j]
        k = j
        while self.word(k) in _GROUP_DETS or self.word(k) in GROUP_WORDS:
            k += 1
            if self.word(k) == "of":
                starts.append(k + 1)
        starts += [
            m
            for m in range(j + 1, k + 1)
            if m not in starts
            and self.word(m - 1)
            in ("all", "both", "of", "our", "my", "the", "those", "these", "two", "whole")
        ]
        return starts

    def _inverse(self, i: int, depth: int) -> list[Post]:
        """Read "with the mug to its right", "that has the bowl behind it": turned round."""
        if self.word(i) not in ("with", "having", "has", "have"):
            return []
        turned = {
            "left_of": "right_of",
            "right_of": "left_of",
            "in_front_of": "behind",
            "behind": "in_front_of",
            "next_to": "next_to",
        }
        found: list[Post] = []
        for anchor, j in self.np(i + 1, depth + 1):
            if anchor.landmark or anchor.is_pronoun:
                continue
            k = j
            while self.word(k) in SKIP or self.word(k) in POSTURES:
                k += 1
            for m in range(j, k + 1):
                for entry, e in self.lex(m, "RELIT"):
                    if entry.value in turned:
                        found.append(Post((Related(turned[entry.value], (anchor,)),), e))
                for entry, e in self.lex(m, "REL"):
                    if self.word(e) == "it" and entry.value.name in turned:
                        found.append(Post((Related(turned[entry.value.name], (anchor,)),), e + 1))
        return found


def constraints_of(posts: Sequence[Post]) -> tuple[Any, ...]:
    """Return the constraints of several features."""
    return tuple(c for p in posts for c in p.constraints)
