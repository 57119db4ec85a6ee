# ruff: noqa: E501 (a pattern reads best on one line)
"""Weighing: "how heavy is the mug?", "which is heavier, the mug or the ball?", "weigh the block"."""

from __future__ import annotations

import re
from typing import Final

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.families.text import pair, thing, things
from vlm_agent.scripted.syntax import IT, Description

_LEAD: Final = re.compile(
    r"^(?:(?:can |could |would |will )?(?:you )?(?:tell me|let me know|find out|check|measure|say|determine|figure out|work out|see)|do you know|i(?: would|'d) like to know|i want to know|i wonder|i need to know|what do you think|please tell me),?:? (?=(?:how|what|which|whether|if|the|who)\b)"
)
_TAIL: Final = re.compile(
    r"[\s,]+(?:in (?:grams?|kilograms?|kilos?|kg|g)|exactly|approximately|roughly|right now|do you think|would you say)$"
)
_BACK: Final = re.compile(
    r",? (?:and|then|and then) (?:put|place|set) (?:it|them|that)(?: back)?(?: down)?(?: (?:again|where (?:it|they) (?:was|were|stood)|in (?:its|their) place))*$"
)
_MASS: Final = r"(?:weight|mass|heaviness)"
_UNIT: Final = r"(?:g|grams?|kg|kilos?|kilograms?)"
_EACH: Final = tuple(
    re.compile(p)
    for p in (
        r"how heavy (?:is|are|would you say is|do you think is) (?P<x>.+?)(?: (?:to lift|actually))?",
        r"how heavy (?:would you say|do you think) (?P<x>.+?) (?:is|are)",
        rf"how much {_MASS} (?:does|do) (?P<x>.+?) have",
        r"how heavy (?P<x>(?:the|this|that|it|a) ?.*?) (?:is|are)",
        r"how much (?:does|do|would) (?P<x>.+?) weigh",
        r"how much (?P<x>.+?) weighs?",
        r"what (?:does|do) (?P<x>.+?) weigh",
        rf"how many {_UNIT} (?:does|do) (?P<x>.+?) weigh",
        rf"how many {_UNIT} (?:is|are|has) (?P<x>.+)",
        rf"(?:what is|what's|what are|measure|give me|tell me|determine|estimate|find|get|report|check|find out|state)?\s*(?:the |its )?(?:exact |approximate |total )?{_MASS}s? of (?P<x>.+)",
        rf"(?:what is|what's|measure|give me|tell me|determine|estimate|check)\s+(?P<x>.+?)'s? {_MASS}",
        r"weigh (?P<x>.+)",
        r"(?:put|place|lay|set) (?P<x>.+?) on (?:the|your|a) scales?",
        r"(?:lift|pick up|take|grab|hold)(?: up)? (?P<x>.+?)(?: up)?,? (?:and (?:then )?)?(?:(?:tell me|say) (?:how (?:heavy it (?:is|feels)|much it weighs)|(?:what )?its (?:weight|mass)(?: is)?|what it weighs)|weigh it)",
        r"what (?P<x>.+?) weighs?",
        r"how (?:heavy|much) (?P<x>(?:the|this|that|it|a) ?.*?) feels?",
        r"how heavy does (?P<x>.+?) feel",
    )
)
_MORE: Final = r"(?P<more>heavier|lighter|weightier|more massive|less heavy)"
_VERB: Final = r"(?:weighs (?P<mv>more|less)|has (?:the )?(?P<mh>more|less|higher|lower|greater|larger|smaller) (?:weight|mass))"
_IS: Final = rf"(?:(?:is|are|would be|feels|seems) (?:the )?{_MORE}(?: one)?|{_VERB})"
_WHICH: Final = tuple(
    re.compile(p)
    for p in (
        rf"(?:which|what|who)(?: one| object| thing| of (?:them|these|the two|those|both))? {_IS}\s*(?:[,:;?-]+| -)?\s*(?P<ab>.+)",
        rf"(?:which|what)(?: one)? (?:of|out of|among|between) (?P<ab>.+?) {_IS}",
        rf"(?:which|what)(?: one)? is (?:the )?{_MORE}(?: one)? (?:of|out of|among|between) (?P<ab>.+)",
        rf"compare (?:the )?(?:{_MASS}s? of )?(?P<ab>.+?)[,:;] (?:which|what)(?: one)? {_IS}",
        rf"compare the {_MASS}s? of (?P<ab>.+)",
        rf"compare (?P<ab>.+?) by {_MASS}",
        r"(?:who|what|which)(?: one)? outweighs the other[,:;]? (?P<ab>.+)",
        rf"(?:of|out of|between|among|comparing|compare) (?P<ab>.+?)[,:;]? (?:which|what)(?: one)? {_IS}",
        rf"(?P<ab>.+? (?:or|and) .+?)\s*[,:;?-]+\s*(?:which|what)(?: one)?(?: of (?:them|the two))? {_IS}",
        rf"(?:is|are) (?P<ab>.+? or .+?) (?:the )?{_MORE}(?: one)?",
        r"(?:does|do) (?P<ab>.+? or .+?) weigh (?P<mv>more|less)",
    )
)
_TWO: Final = tuple(
    (kind, re.compile(p))
    for kind, p in (
        ("is", rf"(?:is|are) (?P<a>.+?) {_MORE} than (?P<b>.+)"),
        ("is", r"(?:does|do) (?P<a>.+?) weigh (?P<mv>more|less) than (?P<b>.+)"),
        ("is", r"(?:does|do) (?P<a>.+?) outweigh (?P<b>.+)"),
        ("is", rf"(?:does|do) (?P<a>.+?) have (?:a )?(?P<mh>more|less|higher|lower|greater|larger|smaller|bigger) {_MASS} than (?P<b>.+)"),
        ("by", rf"(?:by )?how much {_MORE} (?:is|are) (?P<a>.+?) than (?P<b>.+)"),
        ("by", rf"(?:by )?how much (?:is|are) (?P<a>.+?) {_MORE} than (?P<b>.+)"),
        ("by", r"how much (?P<mv>more|less) does (?P<a>.+?) weigh than (?P<b>.+)"),
        ("by", rf"(?:what is |what's )?(?:the )?(?:difference (?:in|of) {_MASS}|{_MASS} difference) between (?P<a>.+?) and (?P<b>.+)"),
        ("same", r"(?:do|does) (?P<a>.+?) and (?P<b>.+?) (?:weigh the same|have the same (?:weight|mass))"),
        ("same", r"(?:are|is) (?P<a>.+?) and (?P<b>.+?) (?:equally heavy|the same weight|as heavy as each other|of the same weight)"),
        ("same", r"is (?P<a>.+?) as heavy as (?P<b>.+)"),
        ("same", r"(?:does) (?P<a>.+?) weigh (?:the same as|as much as) (?P<b>.+)"),
    )
)  # fmt: skip
_OVER: Final = tuple(
    re.compile(p)
    for p in (
        rf"(?:does|do) (?P<a>.+?) weigh (?P<mv>more|less) than (?P<n>\d+(?:\.\d+)?) ?(?P<u>{_UNIT})",
        rf"(?:is|are) (?P<a>.+?) {_MORE} than (?P<n>\d+(?:\.\d+)?) ?(?P<u>{_UNIT})",
        rf"(?:does|do) (?P<a>.+?) weigh (?P<mv>over|under|above|below|at least) (?P<n>\d+(?:\.\d+)?) ?(?P<u>{_UNIT})",
    )
)
_SUM: Final = tuple(
    re.compile(p)
    for p in (
        r"(?:what|how much) (?:do|does) (?P<x>.+?) weigh (?:together|in total|altogether|in sum|combined)",
        r"how heavy (?:are|is) (?P<x>.+?) (?:together|in total|altogether|in sum|combined)",
        rf"(?:what is |what's )?the (?:total|combined|summed|overall|joint) {_MASS} of (?P<x>.+)",
        r"weigh (?P<x>.+?) together",
    )
)
_MOST: Final = tuple(
    re.compile(p)
    for p in (
        r"(?:which|what)(?: of (?:the )?(?P<x>.+?)|(?: (?P<x2>.+?))??)(?: (?:on|here)(?: the table)?)? (?:is|are|would be) (?:the )?(?P<most>heaviest|lightest)(?: (?:one|object|thing))?(?: (?:of (?:all|them(?: all)?|these)|on the table|here))*",
        r"(?:which|what) (?:is|are) the (?P<most>heaviest|lightest) (?P<x>.+?)(?: (?:of (?:all|them(?: all)?)|on the table|here))*",
        r"(?:which|what)(?: of (?:the )?(?P<x>.+?)|(?: (?P<x2>.+?))??) weighs (?:the )?(?P<most>most|least)",
        r"(?:which|what)(?: one)? of (?:the )?(?:two |these |those |these two )?(?P<x>\w+) is (?:the )?(?P<more>heavier|lighter)(?: one)?",
        r"(?:which|what) (?P<x>(?!one |of )\w+(?: \w+)?) (?:is (?:the )?(?P<more>heavier|lighter)(?: one)?|weighs (?P<mv>more|less))",
        r"(?:which|what) is the (?P<more>heavier|lighter) (?P<x>(?!one)\w+)(?: of the two)?",
        r"(?:which|what)(?: one)? (?:is|weighs) (?:the )?(?P<more>heavier|lighter|more|less)(?: one)?(?P<x>)",
        r"find (?:out )?(?:which is )?the (?P<most>heaviest|lightest) (?P<x>.+?)(?: on the table)?",
    )
)
_LESS: Final = ("lighter", "less heavy", "less", "lower", "smaller", "under", "below", "lightest", "least")
_ALL: Final = ("", "one", "object", "thing", "objects", "things", "item", "items", "them", "these", "those", "all", "everything")  # fmt: skip


_CLAIM: Final = re.compile(
    r"^(?:is it (?:true|correct|right|the case|so) that|would you say(?: that)?|do you think(?: that)?|am i right that|"
    r"(?:(?:tell me|check|say|find out|see|verify|let me know|determine|decide|judge) )?(?:whether|if)) (?P<claim>.+)$"
)
_CLAIMED: Final = (
    (r"(?P<a>.+?) (?:is|are) (?P<rest>(?:heavier|lighter|weightier|less heavy|more massive|as heavy) (?:than|as) .+)", r"is \g<a> \g<rest>"),
    (r"(?P<a>.+?) weighs? (?P<rest>(?:more|less|over|under|above|below|at least|as much|the same) .+)", r"does \g<a> weigh \g<rest>"),
    (r"(?P<a>.+?) outweighs (?P<b>.+)", r"does \g<a> outweigh \g<b>"),
    (r"(?P<a>.+?) and (?P<b>.+?) weigh the same", r"do \g<a> and \g<b> weigh the same"),
    (r"(?P<a>.+?) has (?P<rest>a? ?(?:more|less|higher|lower|greater|larger|smaller|bigger) (?:weight|mass) than .+)", r"does \g<a> have \g<rest>"),
)  # fmt: skip


def _asked(text: str) -> str:
    """Return a question in the place of a claim that may be true or not."""
    claim = _CLAIM.match(text)
    for pattern, order in _CLAIMED if claim else ():
        turned = re.fullmatch(pattern, claim["claim"]) if claim else None
        if turned is not None:
            return turned.expand(order)
    return text


def read_scales(text: str) -> ast.Weigh | None:
    """Return the question about weights that a text asks, None if it asks none."""
    text = _TAIL.sub("", _asked(text)).strip(" ,?")
    text = _BACK.sub("", _LEAD.sub("", text)).strip(" ,?")
    if not re.search(
        r"\b(?:heav\w+|lighter|lightest|(?:out)?weigh\w*|mass|grams?|kilo\w*|scales?|massive)\b", text
    ):
        return None
    return _sum(text) or _over(text) or _two(text) or _which(text) or _most(text) or _each(text)


def _each(text: str) -> ast.Weigh | None:
    for pattern in _EACH:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        found = _objects(match["x"])
        if found:
            return ast.Weigh(tuple(found))
    return None


def _objects(text: str) -> list[Description]:
    if text in ("it", "that", "this", "what you hold", "what you are holding", "what is in your hand"):
        return [IT]
    if text in ("them", "those", "these", "both", "both of them"):
        return [Description("them", text="them")]
    text = re.sub(r"^(?:both|each of|all of) (?=the )", "", text)
    found = things(text)
    return [] if any(d.landmark for d in found) else found


def _two(text: str) -> ast.Weigh | None:
    for kind, pattern in _TWO:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        a, b = _objects(match["a"]), _objects(match["b"])
        if len(a) == len(b) == 1:
            return ast.Weigh((*a, *b), kind, _is_more(match))  # pyright: ignore[reportArgumentType]
    return None


def _sum(text: str) -> ast.Weigh | None:
    for pattern in _SUM:
        match = pattern.fullmatch(text)
        found = _objects(match["x"]) if match else []
        if found:
            return ast.Weigh(tuple(found), "sum")
    return None


def _over(text: str) -> ast.Weigh | None:
    for pattern in _OVER:
        match = pattern.fullmatch(text)
        found = _objects(match["a"]) if match else []
        if match and len(found) == 1:
            limit = float(match["n"]) * (1.0 if match["u"].startswith("k") else 1e-3)
            return ast.Weigh(tuple(found), "over", _is_more(match), round(limit, 6))
    return None


def _which(text: str) -> ast.Weigh | None:
    for pattern in _WHICH:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        ab = re.sub(r"^(?:the two|both|either|these two)[,:]?\s+(?=the )", "", match["ab"])
        both = pair(ab, r",?\s+or\b", r",?\s+and\b", r"\s+versus\b", r"\s+vs\.?")
        if both is not None:
            return ast.Weigh(both, "which", _is_more(match))
    return None


def _most(text: str) -> ast.Weigh | None:
    for pattern in _MOST:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        groups = match.groupdict()
        noun = (groups.get("x") or groups.get("x2") or "").strip()
        what = thing("all the objects" if noun in _ALL else f"all the {noun}")
        what = what or thing(f"all the {noun}s")
        if what is not None:
            return ast.Weigh((what,), "which", _is_more(match))
    return None


def _is_more(match: re.Match[str]) -> bool:
    groups = match.groupdict()
    words = {str(groups.get(k)) for k in ("more", "mv", "mh", "most") if groups.get(k)}
    return not words & set(_LESS)
