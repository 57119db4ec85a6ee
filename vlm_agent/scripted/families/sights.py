# ruff: noqa: E501 (a pattern reads best on one line)
"""Seeing: "can you see the mug?", "is the ball hidden?", "what hides the ball?", "what changed?"."""

from __future__ import annotations

import re
from typing import Final

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.families.text import thing
from vlm_agent.scripted.syntax import Description

_PART: Final = r"(?:(?:at all|partly|partially|completely|fully|entirely|totally|well|clearly|half|mostly|somewhat|still|really|quite) )*"
_HIDDEN: Final = r"(?:hidden|covered(?: up)?|occluded|obscured|obstructed|concealed|out of sight|out of view|invisible|blocked(?: from (?:view|sight))?|hiding)"
_HIDES: Final = r"(?:hides|is hiding|covers|is covering|occludes|is occluding|obscures|is obscuring|conceals|is concealing|blocks(?: the view (?:of|to))?|is blocking(?: the view (?:of|to))?|obstructs|is obstructing|is in the way of|stands in the way of|stands in front of|is standing in front of)"
_HIDE: Final = r"(?:hide|cover|occlude|obscure|conceal|block(?: (?:the|your|my) view (?:of|to))?|obstruct(?: (?:the|your) view (?:of|to))?)"
_HIDING: Final = r"(?:hiding|covering|occluding|obscuring|concealing|blocking(?: (?:the|your|my) view (?:of|to))?|obstructing(?: (?:the|your) view (?:of|to))?)"
_SEEN: Final = tuple(
    re.compile(p)
    for p in (
        r"(?:can you |do you |could you |are you able to |can the camera |does the camera )?(?:still |now |even |actually )*see (?P<x>the .+?)(?: (?:from here|right now|now|well|clearly|completely|at all))*",
        rf"(?:is|are) (?P<x>.+?) {_PART}(?:visible|in view|in sight|seen)(?: from (?:here|where you are|your camera))?(?: (?:at all|to you))?",
        r"can (?P<x>the .+?) be seen(?: (?:clearly|well|from here|at all))?",
        r"how (?:much|well)(?: of)? (?P<x>the .+?) (?:can you see|do you see|is visible|can be seen|is (?:it )?in view)",
        r"how (?:much|well) (?:can|do) you see(?: of)? (?P<x>the .+)",
        r"how (?:visible|well visible) is (?P<x>.+)",
        r"(?:is|do you have) a clear view of (?P<x>.+)",
    )
)
_WHOLE: Final = tuple(
    re.compile(p)
    for p in (
        r"(?:can you |do you |could you )?see (?:the whole(?: of)?|all of|the entire|the complete|every part of) (?P<x>(?:the )?.+?)(?: (?:from here|now))*",
        r"(?:is|are) (?P<x>.+?) (?:completely|fully|entirely|totally|wholly) (?:visible|in view|in sight|seen)(?: or (?:partly|partially|only partly) (?:hidden|visible|covered|occluded))?",
        r"(?:is|are) (?:the whole|all of|the entire) (?P<x>(?:the )?.+?) (?:visible|in view|in sight)",
        r"do you have an? (?:clear|free|unobstructed|full) view of (?P<x>.+)",
    )
)
_UNSEEN: Final = tuple(
    re.compile(p)
    for p in (
        rf"(?:is|are) (?P<x>.+?) {_PART}{_HIDDEN}(?: (?:by|behind|under|underneath|below|beneath|from view by|in) (?P<by>.+?))?(?: from (?:view|sight|you|the camera|here))?",
        rf"(?:does|do) (?P<by>.+?) (?:partly |partially |completely )?{_HIDE} (?P<x>.+)",
        rf"(?:is|are) (?P<by>.+?) (?:partly |partially |completely )?{_HIDING} (?P<x>.+)",
        rf"how much of (?P<x>.+?) is {_HIDDEN}",
        rf"how (?:well |much |badly )?{_HIDDEN} is (?P<x>.+)",
        rf"is (?:a |some |any )?part of (?P<x>.+?) {_HIDDEN}(?: (?:by|behind) (?P<by>.+))?",
        r"is (?P<by>.+?) in the way of (?P<x>.+)",
    )
)
_HIDER: Final = tuple(
    re.compile(p)
    for p in (
        rf"(?:what|which(?: object| thing)?|who) {_HIDES} (?P<x>.+?)(?: from (?:view|sight|you|the camera))?",
        rf"(?:what|which(?: object| thing)?) (?:is|are) (?P<x>.+?) {_PART}{_HIDDEN} (?:by|behind)",
        rf"(?:by|behind) (?:what|which(?: object| thing)?) is (?P<x>.+?) {_PART}{_HIDDEN}",
        rf"(?:does|is|are) (?:anything|something) (?:{_HIDE}|{_HIDING}|in front of|in the way of) (?P<x>.+)",
        rf"where is (?P<x>.+?) {_HIDDEN}",
        r"why (?:can't|can not|cannot) you see (?P<x>.+)",
    )
)
_HIDDEN_THING: Final = tuple(
    re.compile(p)
    for p in (
        rf"(?:what|which(?: object| thing)?s?) (?:does|do) (?P<x>.+?) {_HIDE}",
        rf"(?:what|which(?: object| thing)?s?) (?:is|are) (?P<x>.+?) {_HIDING}",
        r"(?:what|which(?: object| thing)?s?) (?:is|are) (?:hidden|occluded|concealed|obscured) (?:by|behind) (?P<x>.+)",
        rf"(?:does) (?P<x>.+?) {_HIDE} (?:anything|something)",
    )
)
_SINCE: Final = r"(?: (?:on the table|here|there|in the (?:scene|picture|image)|since (?:then|before|the (?:last|previous) (?:time|picture|look|image|photo)|i last asked|you last looked|last time|we started)|compared (?:with|to) (?:before|the (?:last|previous) (?:picture|image))|from before|now|so far|in the meantime|in between|meanwhile|this time))*"
_CHANGED: Final = tuple(
    re.compile(p)
    for p in (
        rf"what(?: all|'s| is| has| was| else)?(?: just)? (?:changed|different|been changed|moved|been moved|new|happened){_SINCE}",
        rf"what (?:did|have) (?:i|we|you|they|somebody|someone) (?:changed?|moved?|done|do|taken|take(?: away)?|taken away|put|added?){_SINCE}",
        rf"(?:did|have|has) (?:i|we|they|somebody|someone|anybody|anyone) (?:changed?|moved?|taken?|removed?|added?|touched?) (?:anything|something|things){_SINCE}",
        rf"(?:did|has|is) (?:anything|something) (?:disappear(?:ed)?|appear(?:ed)?|vanish(?:ed)?|missing|gone|been (?:removed|added|taken|taken away))(?: missing| gone)?{_SINCE}",
        rf"what(?: is| has)? (?:missing|gone|disappeared|been (?:removed|added|taken|taken away)){_SINCE}",
        rf"(?:spot|find|see|tell me|show me) the differences?{_SINCE}",
        rf"(?:tell me|say|describe) what is (?:different|new){_SINCE}",
        rf"(?:has|did|is|have|was|were) (?:anything|something|things|any thing) (?:been )?(?:changed?|different|moved?|new|happen(?:ed)?){_SINCE}",
        rf"(?:what|which) (?:is|are|was|were) the (?:changes?|differences?){_SINCE}",
        rf"(?:what|which)(?: objects?| things?| one| ones)?(?: has| have| was| were)?(?: been)? (?:moved|appeared|disappeared|vanished|changed){_SINCE}",
        rf"(?:do|did|can|have) you (?:see|notice|noticed|spot|spotted|seen) (?:any (?:changes?|differences?)|what (?:has )?changed|anything different){_SINCE}",
        rf"(?:see|notice|spot) (?:any (?:changes?|differences?)|what (?:has )?changed|anything different){_SINCE}",
        rf"(?:tell me|describe|list|show me|compare|say) (?:what (?:has )?changed|the (?:changes|differences)){_SINCE}",
        rf"(?:is|does|are) (?:everything|all|it|the table)(?: still)? (?:the same|as (?:it was(?: before)?|before)|unchanged|look the same){_SINCE}",
        r"compare (?:the (?:two )?(?:pictures|images)|(?:this|the (?:new|last|current) (?:picture|image)) (?:with|to) the (?:one before|last one|previous one|last picture|previous picture))",
    )
)
_MOVED: Final = tuple(
    re.compile(p)
    for p in (
        rf"(?:has|have) (?P<x>the .+?) (?:been )?(?:moved|changed|shifted|displaced|touched|changed (?:its )?place){_SINCE}",
        rf"did (?P<x>the .+?) (?:move|change|shift|change (?:its )?place){_SINCE}",
        rf"(?:did|have) (?:i|we|they|somebody|someone|anybody|anyone) (?:moved?|shift(?:ed)?|touch(?:ed)?) (?P<x>the .+?){_SINCE}",
        rf"was (?P<x>the .+?) (?:moved|shifted|displaced|touched){_SINCE}",
    )
)
_LEAD: Final = re.compile(
    r"^(?:tell me|let me know|say|find out|check|i wonder|i(?: would|'d) like to know),? (?:(?:whether|if) (?P<a>.+?) (?P<is>is|are) |(?=(?:what|which|how)\b))"
)


def read_sight(text: str) -> ast.Sight | ast.Changed | None:
    """Return the question about what is seen or has changed that a text asks, None if it asks none."""
    text = text.strip(" ,?.")
    if any(pattern.fullmatch(text) for pattern in _CHANGED):
        return ast.Changed()
    for pattern in _MOVED:
        match = pattern.fullmatch(text)
        what = thing(match["x"]) if match else None
        if what is not None and not what.landmark:
            return ast.Changed(what)
    text = _LEAD.sub(lambda m: f"{m['is']} {m['a']} " if m["a"] else "", text)
    for pattern in _HIDER:
        what = _what(pattern, text)
        if what is not None:
            return ast.Sight(what[0], "hider")
    for pattern in _HIDDEN_THING:
        what = _what(pattern, text)
        if what is not None:
            return ast.Sight(what[0], "hides")
    for pattern in _UNSEEN:
        what = _what(pattern, text)
        if what is not None:
            return ast.Sight(what[0], "hidden", what[1])
    for pattern in _WHOLE:
        what = _what(pattern, re.sub(r"\b(whole|entire|complete) ", r"\1 the ", text))
        if what is not None and not _is_placed(what[0]):
            return ast.Sight(what[0], "whole")
    for pattern in _SEEN:
        what = _what(pattern, text)
        if what is not None and what[0].determiner in ("the", "it") and not _is_placed(what[0]):
            return ast.Sight(what[0], "seen")
    return None


def _is_placed(what: Description) -> bool:
    """Whether it is said where it is: "see the ball in the mug" asks whether it is there."""
    return any(isinstance(c, ast.Related) for c in what.constraints)


def _what(pattern: re.Pattern[str], text: str) -> tuple[Description, Description | None] | None:
    """Return the thing that a pattern finds, and the one that is said to hide it."""
    match = pattern.fullmatch(text)
    if match is None:
        return None
    what, word = thing(match["x"]), match.groupdict().get("by")
    if what is None or what.landmark or any(isinstance(c, ast.Unseen) for c in what.constraints):
        return None
    by = None
    if word and word not in ("something", "anything", "something else", "another object", "another thing"):
        by = thing(word)
        if by is None or by.landmark or by.is_pronoun:
            return None
    return what, by
