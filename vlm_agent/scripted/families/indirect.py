# ruff: noqa: E501 (a pattern reads best on one line)
"""Indirect and topicalised sentences, said again directly: "the mug, how tall is it?" is "how tall is the mug?".

Every rule is a pattern and the order in which its parts are said again. A part named x, a, b or c must be one
thing, xs several or one, p a place; a rule whose parts are none of these is passed over, and nothing is
dropped but what the rule spells out.
"""

from __future__ import annotations

import re
from typing import Final

from vlm_agent.scripted.families.retold import RETOLD, grown, opposed, retold_list
from vlm_agent.scripted.families.text import clean, listed, place, thing, things
from vlm_agent.scripted.vocabulary import degrees

_ROUNDS: Final = 6
_ASKS: Final = re.compile(r"^(?:is|are|does|do|can|will|would|could|which|what|how|where|who|by how|see)\b")
_OPINION: Final = re.compile(
    r"^(?:would|do|don't|wouldn't) you (?:not )?(?:say|think|believe|reckon|agree|suppose)\b(?!(?: that)? (?:you|i|we) )"
)
_ACTS: Final = re.compile(
    r"\b(?:if so|if yes|if not|otherwise|else|then|in that case|unless)\b|[,;:.?!] (?:and |but )*(?:put|place|move|set|push|stack|take|pick|hand|give|drop|bring)\b"
)


def direct(text: str) -> str | None:
    """Return the direct form of an indirect sentence, None if it is direct already.

    Args:
        text: A sentence. What is not one of the constructions below is left alone.
    """
    plain = start = clean(_begged(text))
    is_asked = text.rstrip().endswith("?")
    for _ in range(_ROUNDS):
        before = plain
        plain = _compared(plain)
        for step in (_embedded, _dislocated, _reordered, retold_list):
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


# ---- pleading -----------------------------------------------------------------------------------

_GERUNDS: Final = {"putting": "put", "setting": "set", "dropping": "drop", "getting": "get", "grabbing": "grab",
                   "slipping": "slip", "shifting": "shift", "popping": "pop", "lying": "lay", "letting": "let"}  # fmt: skip
_KEEP_E: Final = "plac mov tak giv mak slid nudg shov arrang pil measur hom pass rais leav determin stat writ compar us".split()


def _begged(text: str) -> str:
    """Return a plea as an order: "would you mind pushing X", "you please push X", "please to push X"."""
    plain = " ".join(text.replace("\u2019", "'").lower().split())
    plain = re.sub(
        r"^(?:(?:hey|ok|okay|so|robot|hello|hi)[ ,!]+)*(?:would you (?:please |kindly )?mind|do you mind|how about|may i trouble you (?:by|with)|(?:please |just )?keep(?: on)?|please start) (?P<v>\w+ing)\b",
        lambda m: _base(m["v"]),
        plain,
    )
    plain = re.sub(r"^(?:please,? you(?: to)?|you,? please,?|please,? to)(?= \w+)", "please", plain)
    plain = re.sub(r",? please,? you (?=\w)", ", ", plain)
    plain = re.sub(
        r"\bwould you be so (?:good|kind|nice) (?:as )?to\b|\bwould you be (?:good|kind|nice) enough to\b",
        "please",
        plain,
    )
    return re.sub(r"\bgimme\b", "give me", plain)


def _base(gerund: str) -> str:
    stem = gerund.removesuffix("ing")
    return _GERUNDS.get(gerund, f"{stem}e" if stem in _KEEP_E else stem)


# ---- comparisons by noun and by "more" ----------------------------------------------------------

_KEYS: Final = {"height": "height", "tallness": "height", "width": "width", "breadth": "width", "diameter": "width",
                "length": "length", "size": "size", "volume": "size", "weight": "weight", "mass": "weight"}  # fmt: skip
_NOUN: Final = rf"(?P<n>{'|'.join(_KEYS)})"
_MORE: Final = {"height": ("taller", "shorter"), "width": ("wider", "narrower"), "length": ("longer", "shorter"),
                "size": ("bigger", "smaller"), "weight": ("heavier", "lighter")}  # fmt: skip
_MOST: Final = {"height": ("tallest", "shortest"), "width": ("widest", "narrowest"), "length": ("longest", "shortest"),
                "size": ("biggest", "smallest"), "weight": ("heaviest", "lightest")}  # fmt: skip
_UP: Final = r"greater|bigger|larger|higher|more|superior"
_GROWS: Final = rf"(?P<g>{_UP}|smaller|lower|lesser|less|inferior)"
_TOPS: Final = r"(?P<g>greatest|biggest|largest|highest|most|smallest|lowest|least)"
_DEGREES: Final = ("tall", "high", "wide", "broad", "big", "large", "small", "long", "heavy", "light", "near",
                   "close", "far", "narrow", "short", "thick", "deep")  # fmt: skip
_IRREGULAR: Final = {
    "far": ("farther", "farthest"),
    "big": ("bigger", "biggest"),
    "heavy": ("heavier", "heaviest"),
}


def _graded(adjective: str, form: int) -> str:
    ending = ("er", "est")[form]
    return _IRREGULAR.get(adjective, (f"{adjective.removesuffix('e')}{ending}",) * 2)[form]


def _noun_more(match: re.Match[str], table: dict[str, tuple[str, str]] = _MORE) -> str:
    is_less = match["g"] in ("smaller", "lower", "lesser", "less", "inferior", "smallest", "lowest", "least")
    return table[_KEYS[match["n"]]][is_less]


def _compared(text: str) -> str:
    """Return a text with its comparisons in one word: "more tall", "has the greater height" are "taller"."""
    adjectives = "|".join(_DEGREES)
    text = re.sub(rf"\bmore ({adjectives})\b", lambda m: _graded(m[1], 0), text)
    text = re.sub(rf"\bmost ({adjectives})\b", lambda m: _graded(m[1], 1), text)
    text = re.sub(r"\bhow much (?=(?:tall|wide|high|broad|long|big|large|heavy|far|thick)\b)", "how ", text)
    text = re.sub(
        rf"\b(?:has|have|is of) (?:the |a )?{_TOPS} {_NOUN}\b",
        lambda m: f"is the {_noun_more(m, _MOST)}",
        text,
    )
    text = re.sub(
        rf"\b(?:has|is of) (?:the |a )?{_GROWS} {_NOUN}(?: of the two)?\b",
        lambda m: f"is {_noun_more(m)}",
        text,
    )
    text = re.sub(rf"\bof (?:a )?{_GROWS} {_NOUN}(?= than\b)", _noun_more, text)
    text = re.sub(rf"\b{_GROWS} in {_NOUN}\b", _noun_more, text)
    text = re.sub(
        rf"\bthe (?P<x>(?:\w+ )?\w+) (?:with|of|that has) the {_TOPS} {_NOUN}\b",
        lambda m: f"the {_noun_more(m, _MOST)} {m['x']}",
        text,
    )
    text = re.sub(
        r"\b(?:has|with) the (?:shorter|smaller|lesser) (?:way|distance|path) to (?=the|a)",
        "is closer to ",
        text,
    )
    text = re.sub(
        r"\b(?:has|with) the (?:shortest|smallest|least) (?:way|distance|path) to (?=the|a)",
        "is nearest to ",
        text,
    )
    return text


# ---- embedded questions -------------------------------------------------------------------------

_KNOW: Final = (
    r"(?:(?:tell|inform|show) (?:me|us)|let (?:me|us) know|say|state|report|determine|find out|figure out|work out|check|see|look|measure|judge|"
    r"decide|verify|identify|name|estimate|i(?: would|'d) (?:really |just )?(?:like|love|be glad|be happy) to (?:know|find out|hear|learn|be told)|"
    r"i (?:just )?(?:want|need|wish) to (?:know|find out|hear|learn)|i(?: am|'m) (?:wondering|curious|interested in knowing|not sure)|i wonder|"
    r"do you (?:happen to )?(?:know|see)|(?:can|could|would|will) you (?:please |kindly )?(?:say|tell|see|judge|find out|tell me)|(?:have you |do you have )?any idea|"
    r"what do you think|what would you say|it would be (?:good|nice|helpful|useful) to know|please tell|i(?:'d| would| am|'m)(?: be)? (?:interested|curious)(?: (?:in|to (?:know|hear|learn)|about|as to))?)(?: for me)?"
)
_LEAD: Final = re.compile(rf"^{_KNOW}(?:\s*,\s*please\s*,?|\s+please\s*,?|[,:]?)\s+(?P<rest>\S.*)$")
_STANDS: Final = r"(?:is|are|stands?|sits?|lies?|rests?)"
_NP: Final = r"(?:the|a|an|my|this|that|these|those|all|both)\b(?:[^.,;:?!]|\.(?=\d))+?"
_MORES: Final = "|".join(
    sorted((w for w, d in degrees().items() if d.form == "comparative"), key=len, reverse=True)
)
_RATHER: Final = rf"(?:(?:is|are|stands|lies|sits|would be|looks)(?: located| placed| standing)? (?:the )?(?P<m>{_MORES}|heavier|lighter)(?: one)?(?: of the two)?(?: (?:to|from) (?P<c>{_NP}))?|weighs (?P<w>more|less))"
_CHOICE: Final = re.compile(
    rf"^(?:it is )?(?:either )?(?P<a>{_NP}),? or (?P<b>{_NP}),? (?:that |which )?{_RATHER}$"
)
_WHETHER: Final = re.compile(r"^(?:whether|if)(?: or not)? (?P<c>.+?)(?:,? or not)?$")
_CLAUSES: Final = (
    (rf"(?P<x>{_NP}) {_STANDS} (?P<r>.+)", r"is \g<x> \g<r>"),
    (r"there (?P<v>is|are) (?P<r>.+)", r"\g<v> there \g<r>"),
    (r"(?:you |one |i )(?P<v>can|could) (?:actually |still )?see (?P<r>.+)", r"can you see \g<r>"),
    (r"you see (?P<r>.+)", r"do you see \g<r>"),
    (rf"(?P<x>{_NP}) (?P<v>can|could|will|would) (?P<r>.+)", r"\g<v> \g<x> \g<r>"),
    (rf"(?P<x>{_NP}) fits (?P<r>.+)", r"does \g<x> fit \g<r>"),
    (rf"(?P<x>{_NP}) weighs (?P<r>.+)", r"does \g<x> weigh \g<r>"),
)
_LONG: Final = r"(?:distance|separation|gap|space|room|clearance)"
_HOWS: Final = r"(?:tall|high|wide|broad|thick|long|big|large|heavy|far|deep|well|much)"
_INSIDE: Final = (
    (rf"how (?P<h>{_HOWS}) (?P<x>{_NP}) (?:is|are)", r"how \g<h> is \g<x>"),
    (rf"how (?P<h>{_HOWS}) (?P<g>the [^,.;]*?\b(?:gap|space|clearance|distance|place|room)\b [^,.;]+?) is", r"how \g<h> is \g<g>"),
    (rf"how far (?:away )?(?P<a>{_NP}) (?:is|stands|lies) (?:away )?from (?P<b>.+)", r"how far is \g<a> from \g<b>"),
    (rf"how far (?:away )?from (?P<b>{_NP}) (?P<a>{_NP}) (?:is|stands|lies)", r"how far is \g<a> from \g<b>"),
    (rf"how much (?P<n>(?:free |empty |open |clear )*{_LONG}) (?:there is|is left|is there) (?P<w>between .+)", r"how much \g<n> is there \g<w>"),
    (rf"what (?P<n>(?:free |empty |open |clear )*{_LONG}) there is (?P<w>between .+)", r"what is the \g<n> \g<w>"),
    (r"how (?:many|much(?= \w+ ?\w*s\b)) (?P<n>.+?) (?:there (?:are|is)|are there|is there|(?:we|you|i) (?:have|see|can see|got))(?: here)?", r"how many \g<n> are there"),
    (r"how (?:many|much(?= \w+ ?\w*s\b)) (?P<n>.+?) there (?:are|is) (?P<w>.+)", r"how many \g<n> are \g<w>"),
    (r"how (?:many|much(?= \w+ ?\w*s\b)) (?P<n>.+?) (?:we|you|i) (?:have|see|can see) (?P<w>.+)", r"how many \g<n> are \g<w>"),
    (r"what (?P<n>the .+? (?:of|between|from) .+?) is", r"what is \g<n>"),
    (rf"what (?P<k>colou?r|shape) (?P<x>{_NP}) (?:is|has)", r"what \g<k> is \g<x>"),
    (rf"where (?P<x>{_NP}) (?:is|stands|lies|sits)(?: located| placed)?", r"where is \g<x>"),
    (r"which is located (?P<r>.+)", r"which is \g<r>"),
)  # fmt: skip


def _embedded(text: str) -> str | None:
    """Return the question inside "tell me whether ...", "I'd like to know how wide ... is", None if there is none."""
    opinion = re.match(rf"^{_OPINION.pattern[1:]}(?: that)? (?P<c>.+)$", text)
    if opinion:
        return _claimed(opinion["c"])
    lead = _LEAD.match(text)
    if lead is None or _ACTS.search(lead["rest"]):
        return None
    rest = lead["rest"]
    whether = _WHETHER.match(rest)
    if whether:
        return _claimed(whether["c"])
    for pattern, order in _INSIDE:
        said = _said(pattern, order, rest)
        if said is not None:
            return said
    if re.match(r"^(?:which|how many|how far apart|what (?:is|are)|who is)\b", rest):
        return rest
    if re.match(
        rf"^the (?:[\w-]+ )?(?:[\w-]+ )?(?:{_MEASURED}|(?:{_MOSTS}) \w+ (?:of|among|from|in))\b", rest
    ):
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
        said = _said(pattern, order, claim)
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
_EITHER: Final = re.compile(rf"^(?P<a>{_NP}),? or (?P<b>{_NP})\s*[,:;?-]+\s*(?P<q>(?:which|what)\b.+)$")


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


# ---- other orders of words ----------------------------------------------------------------------

_MOSTS: Final = "|".join(
    sorted((w for w, d in degrees().items() if d.form == "superlative"), key=len, reverse=True)
)
_MEASURED: Final = r"(?:distance|separation|gap|space|clearance|height|width|length|diameter|size|weight|mass|number|count|amount|difference)"
_GAP: Final = r"(?:(?:free|empty|clear|open|clearance|leftover|available|unoccupied) )*(?:gap|space|room|place|clearance)"
_HOW_FAR: Final = r"(?:what is|what's|how (?:much|large|big|long|great|wide) is|give me|give|state|report|measure|determine|tell me|i need|name|find)"
_AXIS: Final = r"(?P<how>(?:[\w-]+-to-[\w-]+ |straight[- ]line |exact |overall |horizontal )*)"
_WHERE: Final = r"(?:(?:somewhere|anywhere|located|standing|placed|right|just|lying|sitting|positioned|situated|to be found|exactly) )*"
_ORDERS: Final = (
    # measures
    (rf"{_HOW_FAR} (?:the )?{_AXIS}(?:distance|separation) (?:of|from|between|separating) (?P<a>the .+?) (?:to|and|from) (?P<b>the .+?)(?P<t>,? (?:cent(?:re|er)s?|edges?|rims?) to (?:cent(?:re|er)s?|edges?|rims?))?",
     r"what is the \g<how>distance between \g<a> and \g<b>\g<t>"),
    (rf"{_HOW_FAR} (?:the )?{_AXIS}(?:width of the |size of the )?{_AXIS.replace('how', 'how2')}{_GAP} (?:from|between|separating) (?P<a>the .+?) (?:to|and|from) (?P<b>the .+?)(?:,? (?:measured )?(?:from )?(?:edge|rim|side) to (?:edge|rim|side))?",
     r"how wide is the gap between \g<a> and \g<b>"),
    (rf"between (?P<a>the .+?) and (?P<b>the .+?), (?:how (?:wide|big|large|much) is|what is) (?:the )?{_GAP}(?: there| in between)?", r"how wide is the gap between \g<a> and \g<b>"),
    (r"between (?P<a>the .+?) and (?P<b>the .+?), (?:what is|how (?:big|large|long) is) the distance", r"how far apart are \g<a> and \g<b>"),
    (r"(?:give me|state|report|measure|determine) (?P<r>the (?:[\w-]+ )?(?:height|width|length|diameter|size|weight) of .+)", r"what is \g<r>"),
    (rf"what {_AXIS}(?P<n>distance|separation|gap|clearance) (?:is there|is|lies|do you (?:see|measure)) (?P<w>between .+)", r"what is the \g<how>\g<n> \g<w>"),
    (r"what (?:would|do|could) you (?:estimate|say|guess|think|judge|reckon) (?:is )?(?P<n>the (?:height|width|length|diameter|size|weight|distance|gap) (?:of|between|from) .+?)(?: (?:to be|is))?", r"what is \g<n>"),
    (r"how (?P<h>\w+) (?:would|do|could) you (?:estimate|say|guess|think|judge|reckon) (?P<x>the .+?)(?: (?:to be|is))", r"how \g<h> is \g<x>"),
    # counts
    (r"(?:what is|what's|give me|state|report|i need|tell me|count)? ?(?:the )?(?:total |whole |exact )*(?:number|count|amount|quantity) of (?P<n>[^,.;]+?)(?: there are| here| you see| you can see)?", r"how many \g<n> are there"),
    (r"how much (?P<n>[^,.;]*?(?:objects|things|items|blocks|balls|cubes|boxes|cans|mugs|bowls)) (?:is|are) (?P<w>.+)", r"how many \g<n> are \g<w>"),
    # comparisons
    (r"compare the (?P<n>heights?|widths?|lengths?|sizes?|weights?|diameters?) of (?P<a>the .+?) (?:and|with|to) (?P<b>the .+?)(?:(?:,? and|[,;:.])(?: then)?(?: please)? (?:tell me|say|name|state|let me know|report|decide|find out)?[, ]*(?:which|what)(?: one| of them| of the two)? is (?:the )?(?P<m>\w+)(?: one)?)?", "compare"),
    (r"does the (?P<n>height|width|length|size|weight|diameter) of (?P<a>the .+?) (?:exceed|surpass|top) (?:that|the one|the \w+) of (?P<b>.+)", "exceed"),
    (r"is the (?P<n>height|width|length|size|weight|diameter) of (?P<a>the .+?) (?P<m>greater|larger|bigger|higher|smaller|lower|less) than (?:that|the one|the \w+) of (?P<b>.+)", "exceed"),
    (r"does (?P<a>the .+?) (?:exceed|surpass|top|beat) (?P<b>the .+?) in (?P<n>height|width|length|size|weight)", "exceed"),
    (r"does (?P<a>the .+?) have (?:a |the )?(?P<m>greater|larger|bigger|higher|smaller|lower|less) (?P<n>height|width|length|size|weight) than (?P<b>the .+)", "exceed"),
    (rf"(?:is|does|do|are) (?P<a>{_NP}) or (?P<b>{_NP}) (?:stand|rise|reach|sit|lie|come|measure) (?:up )?(?P<m>{_MORES})(?: to (?P<c>{_NP}))?", "which"),
    (rf"(?:is|does) (?P<c>{_NP}) (?:stand |lie |sit )?(?:nearer|closer) to (?P<a>{_NP}) or (?:nearer |closer )?(?:to )?(?P<b>{_NP})", r"which is closer to \g<c>, \g<a> or \g<b>"),
    (rf"is (?P<a>{_NP}) the (?P<m>{_MORES})(?: one)?,? (?:when )?(?:compared (?:to|with)|in comparison (?:to|with)) (?P<b>{_NP})", r"is \g<a> \g<m> than \g<b>"),
    (rf"(?:in comparison (?:to|with)|compared (?:to|with)|next to|relative to) (?P<b>{_NP}), is (?P<a>{_NP}) (?:the )?(?P<m>{_MORES})(?: one)?", r"is \g<a> \g<m> than \g<b>"),
    (rf"(?:what is|which is|which one is|name) the (?P<m>{_MOSTS})(?: one| object| thing)? (?:among|amongst|of|from|in) (?:all )?(?P<xs>the .+)", r"which of \g<xs> is the \g<m>"),
    (rf"which(?: one)? of (?P<xs>the .+?) is (?:the )?(?P<m>{_MOSTS}) one", r"which of \g<xs> is the \g<m>"),
    (r"name the (?:object|thing|item) (?:that is |which is )?(?:located |standing |lying |placed )?(?P<m>nearest|closest) to (?P<x>.+)", r"what is \g<m> to \g<x>"),
    (r"(?P<w>(?:which|what)(?: one| thing| object)?) is (?:located |standing |placed |lying )?(?:the )?(?P<m>nearer|closer|nearest|closest) (?P<x>the [^,:;]+)(?P<t>[,:;] .+)?", r"\g<w> is \g<m> to \g<x>\g<t>"),
    (r"(?P<w>(?:which|what)(?: one| thing| object)?) is (?:located|standing|placed|lying) (?:the )?(?P<m>nearer|closer|nearest|closest) to (?P<x>.+)", r"\g<w> is \g<m> to \g<x>"),
    (r"(?P<w>(?:which|what)(?: thing| object)) is the (?P<m>nearest|closest) to (?P<x>.+)", r"\g<w> is \g<m> to \g<x>"),
    # does it fit
    (rf"(?:can|could|will|would|does|is it possible for) (?P<x>{_NP}) (?:to )?(?:go|be put|get|fit)(?P<p>(?: down)? (?:in|into|inside|on|onto) [^,]+?),? (?:size-wise|sizewise|by size|as far as (?:the )?size (?:goes|is concerned)|in terms of size|given its size)", r"does \g<x> fit \g<p>"),
    (r"is (?P<b>the .+?) (?P<e>(?:big|large|wide|roomy|spacious) enough) for (?P<a>the .+?) to (?:fit|go|get) (?:in|into|inside)(?: it| there)?", r"is \g<b> \g<e> for \g<a>"),
    (r"(?P<q>(?:can|could|does|do|will|would|is) .+?),? (?:size-wise|sizewise|by size|as far as (?:the )?size (?:goes|is concerned)|in terms of size|given its size)", r"\g<q>"),
    # places
    (rf"do (?P<a>{_NP}) and (?P<b>{_NP}) have (?P<x>{_NP}) (?:in )?between them", r"is \g<x> between \g<a> and \g<b>"),
    (rf"is (?P<x>{_NP}) (?:exactly |right |somewhere )?(?:in|at) the middle (?:between|of) (?P<a>the .+?) and (?P<b>the .+)", r"is \g<x> between \g<a> and \g<b>"),
    (rf"is (?P<x>{_NP}) {_WHERE}(?:in )?between (?P<a>the .+?) and (?P<b>the .+)", r"is \g<x> between \g<a> and \g<b>"),
    (rf"(?P<p>(?:between|behind|in|on|to|left|right|next|beside|inside|near|in front) .+?), is (?:that|there|this) where (?P<x>{_NP}) (?:is|stands|sits|lies)", r"is \g<x> \g<p>"),
    (rf"is it (?P<p>(?:between|behind|in|on|to|left|right|next|beside|inside|near|in front) .+?) (?:that|where) (?P<x>{_NP}) (?:is|stands|sits|lies)", r"is \g<x> \g<p>"),
    (rf"is (?P<p>(?:between|behind|to|left|next|beside|inside|in front) .+?) where (?P<x>{_NP}) (?:is|stands|sits|lies)", r"is \g<x> \g<p>"),
    (rf"behind (?P<b>{_NP}), is (?:there )?(?P<x>the .+?) hidden", r"is \g<x> hidden behind \g<b>"),
    (rf"is behind (?P<b>{_NP}) (?P<x>the .+?) hidden", r"is \g<x> hidden behind \g<b>"),
    (r"(?P<p>(?:to|in|on|inside|behind|next|left|right|beside|near|between) [^,]+?), is (?:there )?(?P<x>the [^,]+?)(?: there)?", r"is \g<x> \g<p>"),
    (r"does (?P<a>the .+?) have (?P<b>the .+?) (?:on|to|at) its (?P<s>left|right)(?:[- ]hand)?(?: side)?", r"is \g<b> to the \g<s> of \g<a>"),
    # seen
    (r"(?P<q>(?:can you |do you )?see (?P<x>the .+?)),? (?:anywhere|somewhere|around|out there|at all)", r"see \g<x>"),
    (r"is (?P<x>the .+?) (?:(?:with)?in|inside) (?:your|the camera's|the) (?:field of (?:view|vision)|view|sight|line of sight|visual field)", r"is \g<x> visible"),
)  # fmt: skip


def _reordered(text: str) -> str | None:
    """Return a sentence in another order of words, the first that fits, None if none does."""
    for pattern, order in (*_ORDERS, *RETOLD):
        match = re.fullmatch(pattern, text)
        if match is None or not _holds(match):
            continue
        if order == "opposite":
            said = opposed(match)
        elif order == "grow":
            said = grown(match)
        elif order == "which":
            to = f" to {match['c']}" if match["c"] else ""
            said = f"which is {match['m']}{to}, {match['a']} or {match['b']}"
        else:
            said = _pair(match, order) if order in ("compare", "exceed") else _expanded(match, order)
        if said is not None and said != text:
            return said
    return None


def _pair(match: re.Match[str], order: str) -> str | None:
    key = _KEYS[match["n"].removesuffix("s")]
    word = match.groupdict().get("m") or "greater"
    more = _MORE[key][word in ("smaller", "lower", "less", "lesser")]
    if re.fullmatch(f"{_UP}|smaller|lower|lesser|less", word) is None:
        if word not in (*_MORES.split("|"), "heavier", "lighter"):
            return None
        more = word
    a, b = match["a"], match["b"]
    return f"which is {more}, {a} or {b}" if order == "compare" else f"is {a} {more} than {b}"


def _said(pattern: str, order: str, text: str) -> str | None:
    match = re.fullmatch(pattern, text)
    return _expanded(match, order) if match is not None and _holds(match) else None


def _expanded(match: re.Match[str], order: str) -> str:
    return " ".join(re.sub(r"\\g<(\w+)>", lambda m: match[m[1]] or "", order).split())


def _holds(match: re.Match[str]) -> bool:
    """Whether the parts that a rule names are what their names say."""
    groups = {k: v for k, v in match.groupdict().items() if v is not None}
    for name in "xabc":
        if name in groups and (thing(_bare(groups[name])) is None):
            return False
    if "xs" in groups and not (things(groups["xs"]) or things(" and ".join(listed(groups["xs"])))):
        return False
    return "p" not in groups or place(groups["p"]) is not None


def _bare(words: str) -> str:
    """Return a thing without the middle or the edge of it that a distance is told from."""
    return re.sub(
        r"^the (?:(?:nearest |facing |inner )?edge|rim|side|cent(?:re|er)|middle|midpoint) of (?=the\b)",
        "",
        words,
    )
