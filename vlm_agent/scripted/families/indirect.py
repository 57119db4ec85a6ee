# ruff: noqa: E501 (a pattern reads best on one line)
"""Indirect and topicalised sentences, said again directly: "the mug, how tall is it?" is "how tall is the mug?".

Embedded questions ("tell me whether ..."), what stands before its sentence ("the mug, ..."), and other orders of
words (`orderings.py`, `retold.py`) are turned round; the families and the grammar read what comes out.
"""

from __future__ import annotations

import re
from typing import Final

from vlm_agent.scripted.families.orderings import MEASURED, MORES, MOSTS, NP, reordered, said_again
from vlm_agent.scripted.families.retold import retold_list
from vlm_agent.scripted.families.text import clean, listed, thing, things
from vlm_agent.scripted.families.wording import begged, compared
from vlm_agent.scripted.vocabulary import degrees

_ROUNDS: Final = 6
_ASKS: Final = re.compile(r"^(?:is|are|does|do|can|will|would|could|which|what|how|where|who|by how|see)\b")
_OPINION: Final = re.compile(
    r"^(?:would|do|don't|wouldn't) you (?:not )?(?:say|think|believe|reckon|agree|suppose)\b(?!(?: that)? (?:you|i|we) )"
)
_ACTS: Final = re.compile(
    r"\b(?:if so|if yes|if not|otherwise|else|then|in that case|unless)\b|[,;:.?!] (?:and |but )*(?:put|place|move|set|push|stack|take|pick|hand|give|drop|bring)\b|"
    r"\b(?:and|but) (?:then )?(?:put|place|move|set|push|stack|take|pick|hand|give|drop|bring)\b"
)


def direct(text: str) -> str | None:
    """Return the direct form of an indirect sentence, None if it is direct already.

    Args:
        text: A sentence. What is not one of the constructions below is left alone.
    """
    plain = start = clean(begged(text))
    is_asked = text.rstrip().endswith("?")
    for _ in range(_ROUNDS):
        before = plain
        plain = compared(plain)
        for step in (_embedded, _dislocated, reordered, retold_list):
            plain = step(plain) or plain
        plain = _stated(plain) if is_asked else plain
        plain = " ".join(plain.split()).strip(" ,;:")
        if plain == before:
            break
    return None if plain == start and start == clean(text) else plain


def asks(text: str) -> bool:
    """Whether a direct text is a question by its first words."""
    return _ASKS.match(clean(text)) is not None


def asks_opinion(text: str) -> bool:
    """Whether a text asks what somebody thinks, so is no order: "would you say the block sits in the bowl?"."""
    return _OPINION.match(clean(text)) is not None


# ---- embedded questions -------------------------------------------------------------------------

_KNOW: Final = (
    r"(?:(?:tell|inform|show) (?:me|us)|let (?:me|us) know|say|state|report|determine|find out|figure out|work out|check|see|look|measure|judge|"
    r"decide|verify|identify|name|estimate|i(?: would|'d) (?:really |just )?(?:like|love|be glad|be happy) to (?:know|find out|hear|learn|be told)|"
    r"i (?:just )?(?:want|need|wish) to (?:know|find out|hear|learn)|i(?: am|'m) (?:wondering|curious|interested in knowing|not sure)|i wonder|"
    r"do you (?:happen to )?(?:know|see)|(?:can|could|would|will) you (?:please |kindly )?(?:say|tell|see|judge|find out|tell me)|(?:have you |do you have )?any idea|"
    r"what do you think|what would you say|tell|(?:may|can|could|might) i (?:please )?(?:ask(?: you)?|know|learn|hear)|it would be (?:good|nice|helpful|useful) to know|please tell|i(?:'d| would| am|'m)(?: be)? (?:interested|curious)(?: (?:in|to (?:know|hear|learn)|about|as to))?)(?: for me)?"
)
_LEAD: Final = re.compile(rf"^{_KNOW}(?:\s*,\s*please\s*,?|\s+please\s*,?|[,:]?)\s+(?P<rest>\S.*)$")
_STANDS: Final = r"(?:is|are|stands?|sits?|lies?|rests?)"
_RATHER: Final = rf"(?:(?:is|are|stands|lies|sits|would be|looks)(?: located| placed| standing)? (?:the )?(?P<m>{MORES}|heavier|lighter)(?: one)?(?: of the two)?(?: (?:to|from) (?P<c>{NP}))?|weighs (?P<w>more|less))"
_CHOICE: Final = re.compile(
    rf"^(?:it is )?(?:either )?(?P<a>{NP}),? or (?P<b>{NP}),? (?:that |which )?{_RATHER}$"
)
_WHETHER: Final = re.compile(r"^(?:whether|if)(?: or not)? (?P<c>.+?)(?:,? or not)?$")
_THAT: Final = re.compile(r"^(?:verify|confirm|check|make sure|can you confirm)(?: for me)? that (?P<c>.+)$")
_RIGHT: Final = re.compile(
    rf"^(?P<q>(?:how|is|does|can|what|where)\b[^,]*)\bit\b(?P<r>[^,]*),\s*(?P<x>{NP})$"
)
_CLAUSES: Final = (
    (rf"(?P<x>{NP}) {_STANDS} (?P<r>.+)", r"is \g<x> \g<r>"),
    (r"there (?P<v>is|are) (?P<r>.+)", r"\g<v> there \g<r>"),
    (r"(?:you |one |i )(?P<v>can|could) (?:actually |still )?see (?P<r>.+)", r"can you see \g<r>"),
    (r"you see (?P<r>.+)", r"do you see \g<r>"),
    (rf"(?P<x>{NP}) (?P<v>can|could|will|would) (?P<r>.+)", r"\g<v> \g<x> \g<r>"),
    (rf"(?P<x>{NP}) fits (?P<r>.+)", r"does \g<x> fit \g<r>"),
    (
        rf"(?P<x>{NP}) (?P<v>weigh|hide|cover|block|occlude|conceal|obscure|contain|hold)s (?P<r>.+)",
        r"does \g<x> \g<v> \g<r>",
    ),
)
_LONG: Final = r"(?:distance|separation|gap|space|room|clearance)"
_HOWS: Final = r"(?:tall|high|wide|broad|thick|long|big|large|heavy|far|deep|well|much)"
_INSIDE: Final = (
    (rf"how (?P<h>{_HOWS}) (?P<x>{NP}) (?:is|are)", r"how \g<h> is \g<x>"),
    (rf"how (?P<h>{_HOWS}) (?P<g>the [^,.;]*?\b(?:gap|space|clearance|distance|place|room)\b [^,.;]+?) is", r"how \g<h> is \g<g>"),
    (rf"how far (?:away )?(?P<a>{NP}) (?:is|stands|lies) (?:away )?from (?P<b>.+)", r"how far is \g<a> from \g<b>"),
    (rf"how far (?:away )?from (?P<b>{NP}) (?P<a>{NP}) (?:is|stands|lies)", r"how far is \g<a> from \g<b>"),
    (rf"how much (?P<n>(?:free |empty |open |clear )*{_LONG}) (?:there is|is left|is there) (?P<w>between .+)", r"how much \g<n> is there \g<w>"),
    (rf"what (?P<n>(?:free |empty |open |clear )*{_LONG}) there is (?P<w>between .+)", r"what is the \g<n> \g<w>"),
    (r"how (?:many|much(?= \w+ ?\w*s\b)) (?P<n>.+?) (?:there (?:are|is)|are there|is there|(?:we|you|i) (?:have|see|can see|got))(?: here)?", r"how many \g<n> are there"),
    (r"how (?:many|much(?= \w+ ?\w*s\b)) (?P<n>.+?) there (?:are|is) (?P<w>.+)", r"how many \g<n> are \g<w>"),
    (r"how (?:many|much(?= \w+ ?\w*s\b)) (?P<n>.+?) (?:we|you|i) (?:have|see|can see) (?P<w>.+)", r"how many \g<n> are \g<w>"),
    (r"what (?P<n>the .+? (?:of|between|from) .+?) is", r"what is \g<n>"),
    (rf"what (?P<k>colou?r|shape) (?P<x>{NP}) (?:is|has)", r"what \g<k> is \g<x>"),
    (rf"where (?P<x>{NP}) (?:is|stands|lies|sits)(?: located| placed)?", r"where is \g<x>"),
    (r"which is located (?P<r>.+)", r"which is \g<r>"),
)  # fmt: skip


def _embedded(text: str) -> str | None:
    """Return the question inside "tell me whether ...", "I'd like to know how wide ... is", None if there is none."""
    either = re.match(r"^is it (?P<c>.+? or .+? (?:that|which) .+)$", text)
    if either:
        return _claimed(either["c"])
    opinion = re.match(rf"^{_OPINION.pattern[1:]}(?: that)? (?P<c>.+)$", text)
    if opinion:
        return _claimed(opinion["c"])
    sure = _THAT.match(text)
    if sure and not text.startswith("make sure") and not _ACTS.search(sure["c"]):
        return _claimed(sure["c"])
    lead = _LEAD.match(text)
    if lead is None or _ACTS.search(lead["rest"]):
        return None
    rest = lead["rest"]
    whether = _WHETHER.match(rest)
    if whether:
        return _claimed(whether["c"])
    for pattern, order in _INSIDE:
        said = said_again(pattern, order, rest)
        if said is not None:
            return said
    if re.match(r"^(?:which|how many|how far apart|what (?:is|are)|who is)\b", rest):
        return rest
    if re.match(rf"^the (?:[\w-]+ )?(?:[\w-]+ )?(?:{MEASURED}|(?:{MOSTS}) \w+ (?:of|among|from|in))\b", rest):
        return f"what is {rest}"
    return None


def _claimed(claim: str) -> str | None:
    """Return the question whether a claim is so, or which of the two it is true of ("the mug or the can is taller")."""
    choice = _CHOICE.match(claim)
    if choice and thing(choice["a"]) is not None and thing(choice["b"]) is not None:
        more = f"weighs {choice['w']}" if choice["w"] else f"is {choice['m']}"
        to = (
            f" {'from' if choice['m'] in ('farther', 'further') else 'to'} {choice['c']}"
            if choice["c"]
            else ""
        )
        return f"which {more}{to}, {choice['a']} or {choice['b']}"
    for pattern, order in _CLAUSES:
        said = said_again(pattern, order, claim)
        if said is not None:
            return said
    return None


def _stated(text: str) -> str:
    """Return a question that has the order of a statement ("you can see the mug?") in that of a question."""
    return re.sub(r"^you can see (?=the\b)", "can you see ", text)


# ---- dislocation --------------------------------------------------------------------------------

_CUT: Final = re.compile(r"\s*(?:,|:|;|--?|\?)\s+")
_ABOUT: Final = re.compile(
    r"^(?:is|are|does|do|can|could|will|would|how|what|where|which|by how|you can|you see|do you|weigh|measure|put|place|set|stack|pile|line|"
    r"move|push|arrange|sort|order|build|pick|take|hand|give|drop)\b"
)
_READ: Final = re.compile(r"^(?:put|place|set|move|pick|take|hand|give|drop|build)\b")
_ONE: Final = re.compile(r"\b(?:it|that one|this one)\b(?!')")
_MANY: Final = re.compile(r"\b(?:them|they|those|these|all three|all of them|both of them|the three)\b")
_OUT_OF: Final = re.compile(
    r"^(?:of|between|among|amongst|from|out of|comparing|if you compare|considering) (?:all )?(?:of )?(?:the two[:,]? |both )?(?P<xs>(?:the|these|those|my) .+?)\s*[,:;]\s*(?P<q>(?:which|what)\b.+)$"
)
_WHICH: Final = re.compile(
    r"^(?:which|what)(?: one| of them| of the two| object| thing)* (?P<r>(?:is|are|has|weighs|stands|lies|sits|would be)\b.+)$"
)
_GRADED: Final = re.compile(
    rf"\b(?:{'|'.join(degrees())}|heavier|lighter|heaviest|lightest|more|less|most|least)\b"
)
_EITHER: Final = re.compile(rf"^(?P<a>{NP}),? or (?P<b>{NP})\s*[,:;?-]+\s*(?P<q>(?:which|what)\b.+)$")


def _dislocated(text: str) -> str | None:
    """Return a sentence with what stands apart from it put in: "the mug, how tall is it?"."""
    apart = _OUT_OF.match(text)
    which = _WHICH.match(apart["q"]) if apart else None
    if apart and which and _GRADED.search(which["r"]):
        return _of_these(apart["xs"], which["r"])
    either = _EITHER.match(text)
    which = _WHICH.match(either["q"]) if either else None
    if either and which and thing(either["a"]) and thing(either["b"]):
        return f"which {which['r']}, {either['a']} or {either['b']}"
    right = _RIGHT.match(text)
    if right and thing(right["x"]) is not None:
        return f"{right['q']}{right['x']}{right['r']}"
    if not re.match(r"(?:the|all|both|my|this|that|these|those)\b", text):
        return None
    for cut in reversed(list(_CUT.finditer(text))):
        about, rest = text[: cut.start()], text[cut.end() :]
        if not _ABOUT.match(rest) or not about:
            continue
        said = _put_in(about, rest)
        if said is not None:
            return said
    return None


def _of_these(words: str, rest: str) -> str | None:
    found = things(words)
    if len(found) == 2:
        parts = listed(words)
        rest = re.sub(r"^(?P<v>is|stands|lies) (?:the )?(?P<m>\w+)est\b(?: one)?", r"\g<v> \g<m>er", rest)
        return f"which {rest}, {parts[0]} or {parts[1]}" if len(parts) == 2 else None
    if len(found) != 1 or not (found[0].wants_many or found[0].text.endswith("s")):
        return None
    rest = re.sub(r"^(?P<v>is|are) (?:the )?(?P<m>\w+est)(?: one)?$", r"\g<v> the \g<m>", rest)
    return f"which of {words} {rest}"


def _put_in(about: str, rest: str) -> str | None:
    """Return a clause with its pronoun replaced by what it stands for, None if it has none or several."""
    found = things(about) or things(" and ".join(listed(about)))
    if not found or any(d.landmark or d.is_pronoun for d in found):
        return None
    is_many = len(found) > 1 or found[0].wants_many
    if not is_many and _READ.match(rest):
        return None  # the grammar knows "the ball, put it in the bowl"
    possessive = re.fullmatch(r"(?P<q>.+?) (?:its|their) (?P<n>[\w-]+)(?P<t>(?: in .+)?)", rest)
    if possessive and not is_many and not _ONE.search(rest):
        return f"{possessive['q']} the {possessive['n']} of {about}{possessive['t']}"
    pronoun = _MANY if is_many else _ONE
    if len(pronoun.findall(rest)) != 1 or (_ONE if is_many else _MANY).search(rest):
        return None
    parts = listed(about) if len(found) > 1 else [about]
    words = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else about
    return pronoun.sub(lambda _: words, rest)
