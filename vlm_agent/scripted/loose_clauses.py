# ruff: noqa: E501 (tables of phrases)
"""Pieces of a sentence for the tolerant reading: verbs, things, places, wishes, and what may be passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.loose_descriptions import Descriptions
from vlm_agent.scripted.loose_words import (
    ADDRESS,
    HARMLESS,
    HOLDING,
    PASSED_OVER,
    SHALL,
    TELLING,
    TELLING_ADVERBS,
    WISHES,
    verb_forms,
)
from vlm_agent.scripted.spatial_words import RELATION_OF, Rel
from vlm_agent.scripted.syntax import Degree, Description, Target

BOUNDARIES = frozenset((",", ".", ";", ":", "and", "then", "so"))
_PLACES = "spot place position space area location point room gap region zone patch slot".split()
HELD = re.compile(
    r"(?:(?:up|right|high|clear|firmly|well) )*(?:"
    r"(?:off|from|above|over|clear of|out of|off of|up from|up off|away from|up above) (?:of )?(?:the|its|this|my|our|that) "
    r"(?:table|desk|surface|tabletop|table top|ground|floor|counter|workspace|bench|desktop|workbench|resting place|place|spot|tablecloth)(?: top| surface)?"
    r"|(?:in|into|up in|up into|high in|between|within|to|with) (?:the|your|its|those|that) (?:\w+ )?(?:hand|hands|grip|gripper|grippers|grasp|fingers|finger|claw|claws|"
    r"clutches|palm|jaws|pincers|fist|mitt|mitts|paw|paws|air|arms|possession|hold)"
    r"|in (?:hand|mid air|midair|the air)|into midair|off it|to the sky|up high|up in the air|skyward|skywards|aloft|upward|upwards|heavenward"
    r")(?![^ ])"
)  # fmt: skip
_BODY = r"(?:hand|hands|fingers|gripper|grippers|claw|claws|grip|jaws|mitts|paws|pincers|fingertips|arm|mitt|grasp|clutches)"
PICK_IDIOMS = re.compile(
    r"(?:"
    rf"(?:a |your )?(?:\w+ ){{0,2}}(?:grip|grasp|hold|clasp) (?:on|of|around)|(?:wrap|close|get|put|clamp|place|lay|curl|clasp|fasten|set|lock|tighten|wrapping|closing|getting|use|clench|fold)(?:ping|ing)? "
    rf"(?:(?:your|the|those|that|its) )?(?:\w+ )?{_BODY} (?:firmly |gently |tightly |securely |carefully )?(?:around|round|on|onto|over|about|upon|to)(?: (?:pick|lift|grab|raise|hold|grasp|take)(?: up)?)?"
    r"|(?:get|take|grab|catch|have|keep|lay|getting|taking|grabbing|keeping|maintain|seize|gain|took|got) (?:a |an |your )?(?:firm |good |tight |proper |secure |nice |gentle |careful |strong |solid |steady )?"
    r"(?:hold|grip|grasp|possession|control|purchase)(?: up)?(?: (?:of|on|onto|around))?"
    r"|up with|pick(?:ing)? out|single out|choose|select|grab ahold of|get ahold of|take ahold of|reach(?:ing)? (?:out |over |down |across )*(?:for|to(?=(?: the)))(?: and)?(?! you)"
    r"|(?:pick|scoop|snatch|gather|lift|take|hold|get|haul|hoist|bring|raise|fish|snap|grab|sweep|heft|tug|pull|draw|picks|pluck)(?:s|ed|ing|ping|bing|ting)? up"
    r"|(?:picking|picked|lifting|lifted|scooping|held|holding|taken|taking|raised|raising|getting|bringing|brought) up"
    r"|(?:hold|hang|latch|cling|grab|keep|holding|hanging) on(?:to| to)"
    r"|(?:keep|keeping) (?:hold|a hold|a grip) (?:of|on)|(?:keep|stay) holding(?: on to| onto)?"
    r"|(?:lay|get|put) (?:your )?hands on|(?:a |the )?(?:lifting|picking up|pick up|pickup|lift|raising|grasping|gripping|grabbing|holding) of"
    r"|(?:take|pick) (?:off|from)(?= the table)"
    r")(?![^ ])"
)  # fmt: skip
PUT_IDIOMS = re.compile(
    r"(?:"
    r"(?:the |a )?(?:placement|positioning|placing|transfer|transport|relocation|moving|putting|delivery|setting|deposition|insertion|move|storage|dropping|arrangement) of"
    r"|find (?:a |some )?(?:\w+ )?(?:home|place|spot|space|room) for|make (?:a |some )?(?:home|place|spot|space|room) for|give"
    r"|(?:let|have) (?:go|drop)|(?:change|adjust|alter|shift|fix) the (?:position|place|location|placement|spot) of"
    r")(?![^ ])"
)  # fmt: skip
_BEHOLD = re.compile(
    r"(?:(?:do |can )?(?:you |ya )?(?:see|spot|notice|remember|know|recognise|recognize)|you (?:will |can )?(?:see|find|notice|know)|look at|there is|there are|here is|here are|"
    r"take a look at|have a look at|consider|show me|show us|about|regarding|concerning|as for|as regards|this is|that is|over there is|i see|i spy|i can see|i have|i have got|we have|we have got)(?![^ ])"
)
_PLACE_FOR = re.compile(
    r"(?:the|a|an) (?:\w+ ){0,2}(?:place|spot|home|position|location|destination|seat|slot) (?:for|of)(?: this| my)?(?![^ ])"
)
_HOME = re.compile(
    r"(?:its|his|her|'s|their) (?:new |proper |rightful |usual |final |right |correct |natural |next |real |true |designated |permanent )*"
    r"(?:home|place|spot|destination|position|location|seat|stop|resting place|house|bed) (?:is|will be|should be|must be|would be)(?: now| always| actually| really| right| just)*(?![^ ])"
)
_GIVEN_PLACE = re.compile(
    r"(?:a |its |the |some )?(?:new |nice |cosy |cozy |proper |safe |good |fresh |little |permanent )*(?:home|place|spot|seat|space|room|position|rest|bed|lodging)(?![^ ])"
)
_GIVEN_LIFT = re.compile(
    r"(?:a |an )?(?:little |quick |gentle |small )*(?:lift|raise|hoist|boost|heave|squeeze and lift)(?: up)?(?![^ ])"
)
SHALL_PHRASES = re.compile(
    r"(?:"
    r"(?:is|are|would be|was) (?:exactly |just )?(?:the|what|that|a)(?: \w+)?(?: (?:one|thing|object|item|piece))?(?: that| which)? (?:i|we) (?:would |really |do |just |am |are )*(?:want|need|like|love|prefer|asking|ask|require|wish|wanting)"
    r"(?: (?:you|the robot|for you|to see|to have|to get|to be))*(?: to(?: be)?)?"
    r"|(?:finds?|found|makes?|made) (?:its|their|his|her) way"
    r"|would be (?:\w+ ){1,3}(?:for|to have|to put)"
    r"|(?:is|are|was|were|s|'s) (?:now |supposed |meant |intended |due |to be |destined |going |about |ready |waiting |best |better |bound |reserved |designated |"
    r"earmarked |ideal |just |the |a |\w+ place |\w+ spot |\w+ home |\w+ position |\w+ location |place |spot |home |location |destination |position |required |needed |wanted |desired |expected |perfect |the perfect \w+ |the right \w+ |a good \w+ |made |fit |ideal )*(?:to|for)(?: be| go| get| have)*(?= )"
    r"|(?:is|are) (?:supposed|meant|intended|needed|wanted|required|desired|expected|best|better off|due)"
    r"|(?:needs?|has|have|wants?|ought|got|deserves?|requires?|gets|likes?|longs|wishes|begs) (?:got )?to(?: be| go| get| end up| come| come to be)*"
    r"|(?:needs|requires|wants|deserves|could do with|could use|would benefit from|is in need of|calls for|awaits)(?: a| some| its)?(?: being| to be)?"
    r"|(?:should|must|shall|ought to|had better|d better|better)(?: now| please| really| just| also| be| go| get| have| end up| come)*"
    r"|(?:would|will|might|could|can|may) (?:really |so |just |now |also |much |please )*(?:be|look|feel|fit|do|go|sit|get|rest|stand|live|belong|come|serve|make|work|like|love|prefer|rather)"
    r"(?: (?:much|so|a lot|far|best|better|nicer|good|great|lovely|perfect|happy|happier|well|neat|neater|safer|nice|right|at home|fine|handy|useful|off|to be|to|very))*"
    r"|(?:his|her|its|their|s|'s) (?:new |proper |rightful |usual |final |right |correct |natural |next )*(?:home|place|spot|destination|position|location|seat|stop|resting place) (?:is|will be|should be|must be|would be)"
    r"|(?:place|home|spot|destination|position|location) (?:is|should be|must be|will be)"
    r"|(?:looks|look|fits|fit|sits|works|feels|is) (?:best|better|nicest|nicer|good|great|perfect|well|perfectly)"
    r")(?![^ ])"
)  # fmt: skip
WANT_PHRASES = re.compile(
    r"(?:"
    r"(?:i|we) (?:would |will |d |shall |do |really |just |absolutely |now |simply |also |kindly |only |still |quite |currently |actually |dearly |so )*"
    r"(?:want|need|like|love|prefer|wish|fancy|hope to (?:see|have|find|get)|expect|require|appreciate|desire|request|rather|ask|demand|order|insist|suggest|propose|enjoy|crave|recommend|vote|long|welcome|value|"
    r"dream|look)(?: (?:for|that|to|of|on|it|if|forward|see|seeing|have|having|get|find|finding|view|getting|be|watch|know|please|out|able))*"
    r"|(?:i am|we are) going to (?:need|want|require|have|like)(?: to have| to see)?|(?:i am|we are|i have been) (?:after|looking for|asking for|hoping for|hoping|wanting|wishing for|in need of|requesting|keen to have|keen on|keen to see|dreaming of|requiring|thinking of|"
    r"eager to see|eager to have|waiting for|expecting|longing for|dying to see|hoping to see|hoping to have|hoping that|happy to have|happy with)(?: you)?(?: to)?"
    r"|(?:can|could|may|might|shall|will|would) (?:i|we) (?:please |just |kindly |possibly |maybe )*(?:have|get|see|find|ask for|request|order)(?: to (?:have|see))?"
    r"|(?:my|our) (?:\w+ )?(?:wish|plan|idea|hope|request|goal|aim|desire|dream|preference|suggestion|intention|order|instruction|proposal|vision|command|need|demand|vote|order of the day) (?:is|would be|was|will be)"
    r"(?: (?:that|for|to|to have|to see|to get|now|this|simply|simple))*"
    r"|(?:see to it|see to|make sure|ensure|make certain|make it so|see|arrange|arrange things so|arrange it so|fix it so|be sure|guarantee|check|take care|arrange for|let us have|lets have|let us see|make it happen|"
    r"organise|organize|help|work it so|set it up so|aim|aim to have|try to have|try and have|allow|get it so|manage it so|manage things so|set things up so|ensure me)(?: that| to have)?"
    r"|(?:would|do) you (?:have|get|make|let|see|want)|(?:please |kindly )?(?:let|have|make|get|keep)"
    r"|(?:wanted|needed|required|desired|requested|wish|wanting|looking for|order of the day|goal|target|task|aim|job|request|plan|objective|mission)(?: is| for| was)?(?: to have)?"
    r"|(?:it is|it s|tis) (?:about )?time(?: for| that| to have| to get| we had| you got)?|time (?:for|to have|to get)"
    r"|(?:\w+ ){0,2}(?:says|said|thinks|reckons|insists|wants|asked|asks|told me|tells me|suggests|would like|prefers|demands|requires|likes|recommends|ordered|decided)(?: that| to have| to see| me| us| you to| for)*"
    r"|(?:the|a|his|her|its) (?:\w+ )?(?:place|spot|home|position|location|destination|seat|slot) (?:for|of)(?: this| my)?"
    r"|want|need|would like|d like"
    r")(?![^ ])"
)  # fmt: skip
_PEOPLE_BEFORE = frozenset("i he she they someone somebody who everybody everyone nobody".split())
_AUXILIARIES = frozenset(
    "can could will would shall may might have has had am is are was were been did do 'll 've just already also now "
    "always usually often really then simply to be going".split()
)
BACKGROUND = frozenset(
    "i we he she they it there this that these those my our his her their the a an some someone somebody everyone everybody people "
    "guests dinner lunch breakfast mum mom dad since because as for today tonight now well look listen you your sorry oh hey excuse "
    "to seriously company visitors friends things dinner's who's what's grandma grandpa nobody's both right okay ok given".split()
)
_REASONS = frozenset(
    "because since as for so i we my it that they he she there our cause cos otherwise".split()
) - {"otherwise"}
_CONTENT = ("COLOR", "NOUN", "FORM", "COMP", "EXTREME")
_QUESTIONS = frozenset(
    "is are was were does did do has have what which where who when why how whose am".split()
)


@dataclass(frozen=True)
class Item:
    """A piece of a sentence.

    Attributes:
        kind: put, pick, contain, fill, shall, want, be, thing, place, held, with, where, mention, stop.
        value: Description(s) of things and mentions, Target of places, verb of verbs, word of stops.
        form: Of verbs: base, ing, ed.
        cost: How unlikely this piece is.
    """

    kind: str
    value: Any = None
    form: str = ""
    cost: float = 0.0


Piece = tuple[Item | None, int, float]  # None: passed over; end; cost


class Clauses(Descriptions):
    """Reads the pieces that may begin at each word."""

    def __init__(self, words: tuple[str, ...] | list[str]) -> None:
        """Read in these words, lower case, punctuation apart."""
        super().__init__(words)
        self._text = " ".join(self.words)
        self._starts: list[int] = []
        at = 0
        for word in self.words:
            self._starts.append(at)
            at += len(word) + 1
        self._ends = {
            start + len(word): k + 1
            for k, (start, word) in enumerate(zip(self._starts, self.words, strict=True))
        }

    def match(self, pattern: re.Pattern[str], i: int) -> int:
        """Return the end of a pattern that matches whole words at a word; -1 if it does not."""
        if i >= len(self.words):
            return -1
        found = pattern.match(self._text, self._starts[i])
        if found is None or found.end() == found.start():
            return -1
        text_end = found.end()
        while text_end > found.start() and self._text[text_end - 1] == " ":
            text_end -= 1
        return self._ends.get(text_end, -1)

    # ---- all pieces ------------------------------------------------------------------------------

    def pieces(self, i: int) -> list[Piece]:
        """Return what may begin at a word."""
        found: list[Piece] = []
        found += self._stops(i)
        found += self._verbs(i)
        found += self._things(i)
        found += self._places(i)
        found += self._wishes(i)
        found += self._passed_over(i)
        if self._begins_clause(i):
            found += self._background(i)
        return list(dict.fromkeys(found))

    def _begins_clause(self, i: int) -> bool:
        if self.word(i) in ("because", "since", "cos") or (
            self.word(i) == "as" and self.word(i + 1) in _REASONS
        ):
            return True
        return (
            i == 0
            or self.word(i - 1) in (",", ".", ";", ":")
            or (self.word(i - 1) in ("so", "and", "but") and i > 1)
        )

    def _begins_sentence(self, i: int) -> bool:
        return i == 0 or self.word(i - 1) == "."

    def _stops(self, i: int) -> list[Piece]:
        word = self.word(i)
        if word in BOUNDARIES:
            return [(Item("stop", word), i + 1, 0.0)]
        ends = self.phrase(i, ("after that", "afterwards", "and then", "next", "once done", "when done", "once you have it", "once you have got it", "when you have it",
                               "once it is in your hand", "once you have hold of it", "once held", "finally", "as well as", "once you have done that", "having done that",
                               "after which", "whereupon", "before you", "in order to", "to then", "once you have it in your hand", "when you have got it", "once grasped", "while", "until you can"))  # fmt: skip
        return [
            (Item("stop", "then"), j, 0.0)
            for j in ends
            if self.word(i) not in ("while", "before", "in", "until")
        ]

    # ---- verbs -----------------------------------------------------------------------------------

    def _verbs(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        if self._is_told_of_others(i):
            return found
        word = self.word(i)
        tables = verb_forms()
        end = self.match(PICK_IDIOMS, i)
        if end > 0:
            form = (
                "ed" if word.endswith("ed") or word in ("held", "taken", "brought", "took", "got") else "base"
            )
            found.append((Item("pick", "pick up", form), end, 0.0))
        end = self.match(PUT_IDIOMS, i)
        if end > 0:
            found.append((Item("give" if word == "give" else "put", self.words[end - 1], "base"), end, 0.0))
        for kind in ("pick", "put", "fill", "contain"):
            form = tables[kind].get(word)
            if form is not None and (form[1] != "s" or kind == "contain"):
                found.append((Item(kind, form[0], form[1]), i + 1, 0.0))
        end = self.match(_GIVEN_LIFT, i)
        if end > 0:
            found.append((Item("lift"), end, 0.0))
        if (
            word == "up"
            and self.word(i + 1) in ("it", "they", "she", "he", "you")
            and self.word(i + 2) in ("comes", "goes", "come", "go")
        ):
            found.append((Item("lift"), i + 3, 0.0))
        for j in self.phrase(
            i,
            (
                "could use",
                "could do with",
                "is missing",
                "is short of",
                "is in want of",
                "is lacking",
                "has room for",
                "is waiting for",
                "is ready for",
            ),
        ):
            found.append((Item("contain", "need", "s"), j, 0.0))
        if word == "with":
            found.append((Item("with"), i + 1, 0.0))
        end = self.match(_BEHOLD, i)
        if end > 0 and self._begins_clause(i):
            found.append((Item("behold"), end, 0.05))
        if word in ("to", "for", "as") and i:
            for j in self.phrase(
                i,
                (
                    "for",
                    "to store",
                    "to hold",
                    "to keep",
                    "to house",
                    "to contain",
                    "as a home for",
                    "as storage for",
                    "as a container for",
                    "as the container for",
                    "to put",
                    "as the home for",
                    "as a place for",
                ),
            ):
                found.append((Item("used", "inside"), j, 0.0))
            for j in self.phrase(
                i,
                (
                    "as a base for",
                    "as a stand for",
                    "as a support for",
                    "as a platform for",
                    "as a pedestal for",
                    "as the base for",
                    "to support",
                    "to carry",
                    "as a table for",
                    "as a shelf for",
                    "to prop up",
                ),
            ):
                found.append((Item("used", "on"), j, 0.0))
        if word in ("use", "using"):
            found.append((Item("fill", "use", "base"), i + 1, 0.0))
        end = self.match(_PLACE_FOR, i)
        if end > 0:
            found.append((Item("placefor"), end, 0.0))
        if word == "where":
            found.append((Item("where"), i + 1, 0.0))
        return found

    def _is_told_of_others(self, i: int) -> bool:
        """Whether the verb here says what somebody does or did ("I put", "she has left"), not what to do."""
        j = i - 1
        while self.word(j) in _AUXILIARIES or (self.word(j).endswith("ly") and self.word(j) != ""):
            if self.word(j) == "to" and self.word(j - 1) not in ("going", "have", "has", "had"):
                return False
            j -= 1
        if self.word(j) == "we":
            return j == i - 1 and self.word(j - 1) not in ("could", "can", "should", "shall")
        return self.word(j) in _PEOPLE_BEFORE and not (
            self.word(j) == "i" and self.word(j - 1) in ("could", "can", "may")
        )

    # ---- things and places -----------------------------------------------------------------------

    def _things(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        for what, j in self.np(i):
            if what.landmark:
                continue
            found.append((Item("thing", (what,)), j, 0.0))
            if not what.is_pronoun and self.word(j) in ("and", ","):
                found += self._listed((what,), j)
        return found

    def _listed(self, first: tuple[Description, ...], j: int) -> Iterator[Piece]:
        """Read "and the ball", ", the can and the ball" after a thing."""
        k = j + 1
        if self.word(j) == "," and self.word(k) == "and":
            k += 1
        for what, m in self.np(k):
            if what.landmark or what.is_pronoun:
                continue
            group = (*first, what)
            if self.word(k - 1) == "and":
                yield Item("thing", group), m, 0.3
            if len(group) < 5 and self.word(m) in ("and", ","):
                yield from self._listed(group, m)

    def _places(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        end = self.match(_HOME, i)
        if end > 0:
            homes = [(t, k) for t, k in self.targets(end)] + [
                (Target("to", (a,), is_motion=True), k) for a, k in self.np(end) if not a.landmark
            ]
            found += [(Item("home", t, self.words[i]), k, 0.0) for t, k in homes]
        if (
            self.word(i) == "up"
            and self.word(i + 1) in ("", ",", ".", "and", "please", "for", "now", "so", "then", "thanks")
            and i > 1
        ):
            found.append((Item("held"), i + 1, 0.05))
        end = self.match(HELD, i)
        if end > 0:
            found.append((Item("held"), end, 0.0))
        for target, j in self.targets(i):
            found.append((Item("place", target), j, 0.0))
        return found

    def targets(self, i: int) -> list[tuple[Target, int]]:
        """Return the places that begin at a word."""
        found: list[tuple[Target, int]] = []
        for entry, j in self.lex(i, "REL"):
            found += self._related_targets(entry.value, j)
        for entry, j in self.lex(i, "LENGTH"):
            found += [(replace(t, distance_m=entry.value), k) for t, k in self.targets(j) if t.anchors]
        for _, j in self.lex(i, "TO"):
            found += [(t, k) for a, k in self.np(j) for t in self._target_to(a)]
        for _, j in self.lex(i, "BETWEEN"):
            for first, k in self.np(j):
                if first.wants_many:
                    found.append((Target("between", (first,)), k))
                if self.word(k) == "and":
                    found += [(Target("between", (first, second)), m) for second, m in self.np(k + 1)]
        for name, phrases in (
            ("on", ("the top of", "top of", "the top side of", "the upper side of", "the surface of")),
            ("inside", ("the inside of", "the interior of", "the middle of")),
        ):
            for j in self.phrase(i, phrases):
                found += [(Target(name, (a,)), k) for a, k in self.np(j) if not a.landmark]
        for entry, j in self.lex(i, "RELIT"):
            found.append((Target(entry.value, (ast.IT,)), j))
        if self.word(i) in ("there", "thither"):
            found.append((Target("there", (ast.IT,)), i + 1))
        if self.word(i) in ("in", "inside", "on") and self.word(i + 1) in (
            "",
            ",",
            ".",
            "please",
            "and",
            "thanks",
        ):
            found.append((Target("there", (ast.IT,)), i + 1))
        if self.word(i) in ("on", "to", "at", "onto"):
            found += [(Target(r, (a,)), k) for r, a, k in self.owned_side(i + 1, 0)]
        for entry, j in self.lex(i, "ONSIDE"):
            side, frame = entry.value
            if self.word(j) != "of" and self.words[j - 1] != "back":
                found.append((Target(RELATION_OF.get(side) or side, (), frame), j))
        found += self._named_places(i)
        return list(dict.fromkeys(found))

    def _related_targets(self, rel: Rel, j: int) -> Iterator[tuple[Target, int]]:
        for anchor, k in self.np(j):
            if anchor.landmark == "hand":
                continue
            if anchor.landmark == "table" and rel.name in ("on", "next_to"):
                yield Target("anywhere"), k
            elif anchor.landmark != "table" or rel.name not in ("inside", "above", "below"):
                yield Target(rel.name, (anchor,), rel.frame, is_motion=rel.is_motion), k

    def _target_to(self, anchor: Description) -> Iterator[Target]:
        sides = [
            c
            for c in anchor.constraints
            if isinstance(c, Degree) and c.key in ("left", "right", "front", "back")
        ]
        if anchor.landmark == "hand" or (sides and len(sides) == len(anchor.constraints)):
            return
        if anchor.landmark in ("viewer", "robot"):
            yield Target("in_front_of" if anchor.landmark == "viewer" else "behind")
        elif anchor.landmark == "table":
            yield Target("anywhere")
        else:
            yield Target("to", (anchor,), is_motion=True)

    def _named_places(self, i: int) -> Iterator[tuple[Target, int]]:
        """Read "to a free spot left of the mug", "the space behind the bowl", "somewhere near the can"."""
        j = i
        if self.word(j) in ("to", "at", "in", "into", "on", "onto", "for"):
            j += 1
        start = j
        while self.word(j) in (
            "a",
            "the",
            "that",
            "some",
            "any",
            "this",
            "free",
            "empty",
            "open",
            "nice",
            "good",
            "its",
            "clear",
            "vacant",
            "new",
            "bit",
            "of",
            "exact",
            "right",
        ):
            j += 1
        if self.word(j) in ("somewhere", "someplace", "anywhere", "anyplace"):
            j += 1
        elif self.word(j) in _PLACES and j > start:
            j += 1
        else:
            return
        while (self.word(j) == "right" and self.word(j + 1) != "of") or self.word(j) in (
            "just",
            "directly",
            "immediately",
            "that",
            "which",
            "is",
            "'s",
            "you",
            "see",
            "that's",
            "located",
            "situated",
            "lying",
            "found",
            "somewhere",
        ):
            j += 1
        for target, k in self.targets(j):
            if target.relation not in ("there", "to", "anywhere") and target.anchors:
                yield replace(target, is_motion=True), k

    # ---- wishes ----------------------------------------------------------------------------------

    def _wishes(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        end = self.match(SHALL_PHRASES, i)
        if end > 0 and not (self._begins_sentence(i) and self.word(i) in _QUESTIONS):
            found.append((Item("shall"), end, 0.0))
        word = self.word(i)
        if word in SHALL:
            found.append((Item("shall"), i + 1, 0.0))
        form = verb_forms()["belong"].get(word)
        if form is not None and not self._is_told_of_others(i):
            if word not in ("is", "are", "was", "were", "be", "been", "being", "am") and form[1] in (
                "base",
                "s",
            ):
                found.append((Item("shall", form[0]), i + 1, 0.05))
            elif form[1] in ("ing", "ed") and form[0] != "be":
                found.append((Item("posture", form[0], form[1]), i + 1, 0.05))
        end = self.match(WANT_PHRASES, i)
        if (
            word in _QUESTIONS
            and self._begins_sentence(i)
            and self.word(i + 1) in ("you", "i", "we", "they", "he", "she")
        ):
            end = -1  # "have you put ...?"
        if end > 0 and not (
            word in ("let", "have", "make", "get", "keep", "see") and self._is_told_of_others(i)
        ):
            found.append((Item("want"), end, 0.0))
        for pattern in WISHES:
            end = self.match(pattern, i)
            if end > 0:
                found.append((Item("want"), end, 0.02))
        if word in ("is", "are", "was", "were", "be", "'s", "been", "being", "am") and not (
            self._begins_sentence(i) and word != "be"
        ):
            found.append((Item("be", word), i + 1, 0.0))
        return found

    # ---- passed over -----------------------------------------------------------------------------

    def _passed_over(self, i: int) -> list[Piece]:
        found: list[Piece] = []
        for pattern in PASSED_OVER:
            end = self.match(pattern, i)
            if end > 0:
                found.append((None, end, 0.05))
        word = self.word(i)
        if word in HARMLESS or (
            word.endswith("ly")
            and word not in TELLING_ADVERBS
            and not self.lex(i, *_CONTENT)
            and len(word) > 4
        ):
            if not (
                self._begins_sentence(i)
                and word in _QUESTIONS
                and self.word(i + 1) not in ("please", "kindly")
            ):
                found.append((None, i + 1, 0.1))
        if word == "right" and self.word(i + 1) in (",", "next", "beside", "by", "in", "on", "at", "to", "behind", "up", "into", "onto", "inside", "there", "here", "away", "now", "over", "back", "alongside", "so", "down", "near", "close", "then", "between", "across", "off", "around", ""):  # fmt: skip
            found.append((None, i + 1, 0.1))
        if (
            word == "do"
            and self._begins_sentence(i)
            and (verb_forms()["put"] | verb_forms()["pick"]).get(self.word(i + 1), ("", ""))[1] == "base"
        ):
            found.append((None, i + 1, 0.1))
        if (
            word == "right"
            and self.lex(i + 1, "REL", "BETWEEN")
            and self.word(i - 1) not in ("the", "to", "on", "far", "my", "your")
        ):
            found.append((None, i + 1, 0.1))
        if word == "like" and (self.word(i - 1) in (",", "") or self.word(i + 1) == ","):
            found.append((None, i + 1, 0.1))
        if (
            word == "off"
            and self.lex(i + 1, "REL", "BETWEEN")
            and any(w in ("drop", "dropping", "deposit") for w in self.words[:i])
        ):
            found.append((None, i + 1, 0.1))
        if word == "first" and self.word(i - 1) not in ("the",):
            found.append((None, i + 1, 0.1))
        if word in ("for", "before") and self.word(i + 1) in (
            "the",
            "my",
            "a",
            "an",
            "our",
            "this",
            "his",
            "her",
            "your",
            "some",
        ):
            found += self._purpose(i)
        return found

    def _purpose(self, i: int) -> Iterator[Piece]:
        """Pass over "for the photo", "for my birthday party": a noun of none of the things on the table."""
        for k in range(i + 3, min(i + 6, len(self.words) + 1)):
            words = self.words[i + 1 : k]
            if any(
                w in TELLING
                or w in BOUNDARIES
                or (w in verb_forms()["put"] and verb_forms()["put"][w][1] == "base" and w != words[-1])
                for w in words
            ):
                return
            if any(self.lex(m, *_CONTENT, "ONE", "SIZE", "HAND") for m in range(i + 2, k)):
                return
            yield None, k, 0.15 * (k - i)

    def _background(self, i: int) -> Iterator[Piece]:
        """Pass over a clause that gives a reason or an address; what it mentions is kept."""
        first = self.word(i)
        ends = [
            j
            for j in range(i + 1, len(self.words) + 1)
            if j == len(self.words) or self.word(j) in (",", ".", ";", ":", "so")
        ]
        for end in ends[:4]:
            span = self.words[i:end]
            is_last = end == len(self.words) or (end == len(self.words) - 1 and self.word(end) == ".")
            if all(w in ADDRESS for w in span) and len(span) <= 3:
                yield None, end, 0.1
                continue
            if self.word(i - 1) == "and" or len(span) > 22:
                continue
            has_telling = any(w in TELLING or "n't" in w for w in span)
            if has_telling or any(self.lex(k, "GESTURE", "CANT") and k == i for k in range(i, end)):
                continue
            if (
                i == 0
                and len(span) <= 2
                and self.word(end) == ","
                and not any(self._is_known(k) for k in range(i, end))
            ):
                yield None, end, 0.3  # an unknown name: "Zorg, put ..."
                continue
            if first == "to" and any(self.lex(k, *_CONTENT) for k in range(i, end)):
                continue
            starts = _REASONS if is_last and i > 0 else BACKGROUND
            if first not in starts:
                continue
            yield from self._told(i, end)

    def _is_known(self, k: int) -> bool:
        tables = verb_forms()
        word = self.words[k]
        return bool(self.lex(k)) or any(word in tables[t] for t in ("put", "pick", "fill", "contain"))

    def _told(self, i: int, end: int) -> Iterator[Piece]:
        """Pass over a clause without any thing of the table, or with one that it mentions."""
        cost = 0.8 + 0.06 * (end - i)
        k, mention = i, None
        while k < end:
            things = [
                (d, j)
                for d, j in self.np(k)
                if j <= end and not (d.landmark or d.is_pronoun) and self._is_concrete(d)
            ]
            if things and mention is None:
                mention, k = things[0]
                continue
            if self.word(k) == "can" and self.word(k - 1) not in ("the", "a", "this", "that"):
                k += 1
                continue
            if things or self.lex(k, "COLOR", "FORM") or (self.lex(k, "NOUN") and not self._is_generic(k)):
                return
            k += 1
        if mention is None:
            yield None, end, cost
        else:
            yield Item("mention", (mention,)), end, cost

    def _is_concrete(self, what: Description) -> bool:
        return any(isinstance(c, (ast.Colored, ast.Shaped)) for c in what.constraints)

    def _is_generic(self, k: int) -> bool:
        return all(e.value.shape is None for e, _ in self.lex(k, "NOUN"))


HOLDING_VERBS = frozenset(HOLDING) | {"pick up"}
