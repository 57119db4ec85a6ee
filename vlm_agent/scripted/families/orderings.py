# ruff: noqa: E501 (a pattern reads best on one line)
"""Sentences in another order of words, as patterns and the order in which their parts are said again.

A part named x, a, b or c must be one thing, xs several or one, p a place; a rule whose parts are none of these
is passed over, and nothing is dropped but what the rule spells out.
"""

from __future__ import annotations

import re
from typing import Final

from vlm_agent.scripted.families.retold import RETOLD, grown, opposed
from vlm_agent.scripted.families.text import listed, place, thing, things
from vlm_agent.scripted.families.wording import KEYS, MORE, UP
from vlm_agent.scripted.vocabulary import degrees

NP: Final = r"(?:the|a|an|my|this|that|these|those|all|both)\b(?:[^.,;:?!]|\.(?=\d))+?"
MORES: Final = "|".join(
    sorted((w for w, d in degrees().items() if d.form == "comparative"), key=len, reverse=True)
)
MOSTS: Final = "|".join(
    sorted((w for w, d in degrees().items() if d.form == "superlative"), key=len, reverse=True)
)
MEASURED: Final = r"(?:distance|separation|gap|space|clearance|height|width|length|diameter|size|weight|mass|number|count|amount|difference)"
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
    (r"how much does (?P<x>the .+?) measure in (?P<n>height|width|length|diameter)", r"what is the \g<n> of \g<x>"),
    (rf"how (?:long|far) is the (?:way|path|stretch|distance) from (?P<a>{NP}) to (?P<b>{NP})", r"how far is \g<a> from \g<b>"),
    (rf"how distant is (?P<a>{NP}) from (?P<b>{NP})", r"how far is \g<a> from \g<b>"),
    (rf"(?:at what|what) distance from (?P<b>{NP}) (?:does|is) (?P<a>{NP})(?: (?:stand|lie|sit|away|located|placed))?", r"how far is \g<a> from \g<b>"),
    (rf"(?:at what|what) distance (?:does|is) (?P<a>{NP}) (?:stand |lie |sit |away )?from (?P<b>{NP})", r"how far is \g<a> from \g<b>"),
    (rf"(?:what width (?:does|has)|how (?:wide|big|large) is) (?:the|a) {_GAP} between (?P<a>the .+?) and (?P<b>the .+?)(?: have)?", r"how wide is the gap between \g<a> and \g<b>"),
    (rf"how (?:much|big of an?|wide of an?|large of an?) {_GAP} (?:do (?:i|we|you) have|is there) between (?P<a>the .+?) and (?P<b>the .+)", r"how wide is the gap between \g<a> and \g<b>"),
    # counts
    (r"(?:give me|state|make|do|i need) a count of (?P<n>[^,.;]+)", r"how many \g<n> are there"),
    (r"(?:what is|what's|give me|state|report|i need|tell me|count)? ?(?:the )?(?:total |whole |exact )*(?:number|count|amount|quantity) of (?P<n>[^,.;]+?)(?: there are| here| you see| you can see)?", r"how many \g<n> are there"),
    (r"how much (?P<n>[^,.;]*?(?:objects|things|items|blocks|balls|cubes|boxes|cans|mugs|bowls)) (?:is|are) (?P<w>.+)", r"how many \g<n> are \g<w>"),
    # comparisons
    (r"compare the (?P<n>heights?|widths?|lengths?|sizes?|weights?|diameters?) of (?P<a>the .+?) (?:and|with|to) (?P<b>the .+?)(?:(?:,? and|[,;:.])(?: then)?(?: please)? (?:tell me|say|name|state|let me know|report|decide|find out)?[, ]*(?:which|what)(?: one| of them| of the two)? is (?:the )?(?P<m>\w+)(?: one)?)?", "compare"),
    (r"does the (?P<n>height|width|length|size|weight|diameter) of (?P<a>the .+?) (?:exceed|surpass|top) (?:that|the one|the \w+) of (?P<b>.+)", "exceed"),
    (r"is the (?P<n>height|width|length|size|weight|diameter) of (?P<a>the .+?) (?P<m>greater|larger|bigger|higher|smaller|lower|less) than (?:that|the one|the \w+) of (?P<b>.+)", "exceed"),
    (r"does (?P<a>the .+?) (?:exceed|surpass|top|beat) (?P<b>the .+?) in (?P<n>height|width|length|size|weight)", "exceed"),
    (r"does (?P<a>the .+?) have (?:a |the )?(?P<m>greater|larger|bigger|higher|smaller|lower|less) (?P<n>height|width|length|size|weight) than (?P<b>the .+)", "exceed"),
    (rf"compare (?P<a>{NP}) (?:with|to|against) (?P<b>{NP})[:;,.] (?P<r>(?:which|what)\b.+)", r"compare \g<a> and \g<b>: \g<r>"),
    (rf"(?:what is|which is|name|tell me|show me|point out|identify) the (?P<m>{MORES}|heavier|lighter)(?: one)? (?:of|between|among|out of) (?:the two[,:]? )?(?P<a>{NP}) and (?P<b>{NP})", "which"),
    (rf"(?:of|between|out of) (?P<a>{NP}) and (?P<b>{NP}), (?:name|tell me|show me|point out|identify)(?: which is)? (?:the )?(?P<m>{MORES}|heavier|lighter)(?: one)?", "which"),
    (rf"the (?P<m>{MORES}|heavier|lighter) one[,:] is (?:it|that) (?P<a>{NP}) or (?P<b>{NP})", "which"),
    (rf"name whichever (?:one )?is (?:the )?(?P<m>{MORES}|heavier|lighter)(?: one)?[,:] (?P<a>{NP}) or (?P<b>{NP})", "which"),
    (rf"(?:which|what)(?: one)? (?:from|among|between|out of) (?P<a>{NP}) and (?P<b>{NP}) (?P<r>(?:is|has|stands|lies|weighs) .*\b(?:{MORES}|heavier|lighter|more|less)\b.*)", r"which \g<r>, \g<a> or \g<b>"),
    (rf"to (?P<c>{NP}), which(?: one)? (?:is|stands|lies) (?P<m>closer|nearer)[,:;] (?P<a>{NP}) or (?P<b>{NP})", "which"),
    (rf"(?:has|does|do) (?P<a>{NP}) or (?P<b>{NP}) (?:have )?the (?:shorter|smaller) (?:distance|way|path) to (?P<c>{NP})", r"which is closer to \g<c>, \g<a> or \g<b>"),
    (rf"does (?P<a>{NP}) (?:tower over|rise above|stand taller than|overtop) (?P<b>{NP})", r"is \g<a> taller than \g<b>"),
    (r"is (?P<a>the [\w ]+?)'s (?P<n>height|width|length|size|weight|diameter) (?P<m>greater|larger|bigger|higher|smaller|lower|less|more) than (?:that of )?(?P<b>the [\w ]+?)(?:'s)?", "exceed"),
    (rf"what (?:is the (?:thing|object|item) (?:that is )?|do you see |can you see |(?:thing|object|item) do you see )(?:standing |lying |located )?(?P<m>closest|nearest) to (?P<x>{NP})", r"what is \g<m> to \g<x>"),
    (rf"(?:is|does|do|are) (?P<a>{NP}) or (?P<b>{NP}) (?:stand|rise|reach|sit|lie|come|measure) (?:up )?(?:the )?(?P<m>{MORES}|heavier|lighter)(?: to (?P<c>{NP}))?", "which"),
    (rf"(?:is|does) (?P<c>{NP}) (?:stand |lie |sit )?(?:nearer|closer) to (?P<a>{NP}) or (?:nearer |closer )?(?:to )?(?P<b>{NP})", r"which is closer to \g<c>, \g<a> or \g<b>"),
    (rf"is (?P<a>{NP}) the (?P<m>{MORES})(?: one)?,? (?:when )?(?:compared (?:to|with)|in comparison (?:to|with)) (?P<b>{NP})", r"is \g<a> \g<m> than \g<b>"),
    (rf"(?:in comparison (?:to|with)|compared (?:to|with)|next to|relative to) (?P<b>{NP}), is (?P<a>{NP}) (?:the )?(?P<m>{MORES})(?: one)?", r"is \g<a> \g<m> than \g<b>"),
    (rf"(?:what is|which is|which one is|name) the (?P<m>{MOSTS})(?: one| object| thing)? (?:among|amongst|of|from|in) (?:all )?(?P<xs>the .+)", r"which of \g<xs> is the \g<m>"),
    (rf"which(?: one)? of (?P<xs>the .+?) is (?:the )?(?P<m>{MOSTS}) one", r"which of \g<xs> is the \g<m>"),
    (r"name the (?:object|thing|item) (?:that is |which is )?(?:located |standing |lying |placed )?(?P<m>nearest|closest) to (?P<x>.+)", r"what is \g<m> to \g<x>"),
    (r"(?P<w>(?:which|what)(?: one| thing| object)?) is (?:located |standing |placed |lying )?(?:the )?(?P<m>nearer|closer|nearest|closest) (?P<x>the [^,:;]+)(?P<t>[,:;] .+)?", r"\g<w> is \g<m> to \g<x>\g<t>"),
    (r"(?P<w>(?:which|what)(?: one| thing| object)?) is (?:located|standing|placed|lying) (?:the )?(?P<m>nearer|closer|nearest|closest) to (?P<x>.+)", r"\g<w> is \g<m> to \g<x>"),
    (r"(?P<w>(?:which|what)(?: thing| object)) is the (?P<m>nearest|closest) to (?P<x>.+)", r"\g<w> is \g<m> to \g<x>"),
    # does it fit
    (rf"is it possible to (?:put|get|fit|place) (?P<x>{NP}) (?P<p>(?:in|into|inside|on|onto) [^,]+?),? (?:size-wise|sizewise|by size|as far as (?:the )?size (?:goes|is concerned)|in terms of size|given its size)", r"does \g<x> fit \g<p>"),
    (rf"(?:can|could|will|would|does|is it possible for) (?P<x>{NP}) (?:to )?(?:go|be put|get|fit)(?P<p>(?: down)? (?:in|into|inside|on|onto) [^,]+?),? (?:size-wise|sizewise|by size|as far as (?:the )?size (?:goes|is concerned)|in terms of size|given its size)", r"does \g<x> fit \g<p>"),
    (r"is (?P<b>the .+?) (?P<e>(?:big|large|wide|roomy|spacious) enough) for (?P<a>the .+?) to (?:fit|go|get) (?:in|into|inside)(?: it| there)?", r"is \g<b> \g<e> for \g<a>"),
    (r"(?P<q>(?:can|could|does|do|will|would|is) (?=.*\b(?:fit|enough|too|room|space)\b).+?),? (?:size-wise|sizewise|by size|as far as (?:the )?size (?:goes|is concerned)|in terms of size|given its size)", r"\g<q>"),
    # places
    (r"(?:do|can|could) (?:you|i|we|one) find (?P<x>the [^,]+?) (?P<p>(?:between|behind|to|left|right|next|beside|inside|in front|in|on) [^,]+)", r"is \g<x> \g<p>"),
    (r"has (?P<a>the .+?) (?P<b>the .+?) (?:on|to|at) its (?P<s>left|right)(?:[- ]hand)?(?: side)?", r"is \g<b> to the \g<s> of \g<a>"),
    (rf"do (?P<a>{NP}) and (?P<b>{NP}) have (?P<x>{NP}) (?:in )?between them", r"is \g<x> between \g<a> and \g<b>"),
    (rf"is (?P<x>{NP}) (?:exactly |right |somewhere )?(?:in|at) the middle (?:between|of) (?P<a>the .+?) and (?P<b>the .+)", r"is \g<x> between \g<a> and \g<b>"),
    (rf"is (?P<x>{NP}) {_WHERE}(?:in )?between (?P<a>the .+?) and (?P<b>the .+)", r"is \g<x> between \g<a> and \g<b>"),
    (rf"(?P<p>(?:between|behind|in|on|to|left|right|next|beside|inside|near|in front) .+?), is (?:that|there|this) where (?P<x>{NP}) (?:is|stands|sits|lies)", r"is \g<x> \g<p>"),
    (rf"is it (?P<p>(?:between|behind|in|on|to|left|right|next|beside|inside|near|in front) .+?) (?:that|where) (?P<x>{NP}) (?:is|stands|sits|lies)", r"is \g<x> \g<p>"),
    (rf"is it (?P<x>{NP}) (?:that|which) (?P<v>hide|cover|block|occlude|conceal|obscure|weigh|contain|hold|fit)s (?P<r>.+)", r"does \g<x> \g<v> \g<r>"),
    (rf"is it (?P<x>{NP}) (?:that|which) (?P<v>is|are) (?P<r>.+)", r"is \g<x> \g<r>"),
    (rf"is (?P<p>(?:between|behind|to|left|next|beside|inside|in front) .+?) where (?P<x>{NP}) (?:is|stands|sits|lies)", r"is \g<x> \g<p>"),
    (rf"behind (?P<b>{NP}), is (?:there )?(?P<x>the .+?) hidden", r"is \g<x> hidden behind \g<b>"),
    (rf"is behind (?P<b>{NP}) (?P<x>the .+?) hidden", r"is \g<x> hidden behind \g<b>"),
    (r"(?P<p>(?:to|in|on|inside|behind|next|left|right|beside|near|between) [^,]+?), is (?:there )?(?P<x>the [^,]+?)(?: there)?", r"is \g<x> \g<p>"),
    (r"does (?P<a>the .+?) have (?P<b>the .+?) (?:on|to|at) its (?P<s>left|right)(?:[- ]hand)?(?: side)?", r"is \g<b> to the \g<s> of \g<a>"),
    # seen
    (r"(?P<q>(?:can you |do you )?see (?P<x>the .+?)),? (?:anywhere|somewhere|around|out there|at all)", r"see \g<x>"),
    (r"(?:can you |do you |could you )?(?:spot|make out|detect|perceive|discern) (?P<x>the [^,]+)", r"can you see \g<x>"),
    (r"is (?P<x>the .+?) (?:(?:with)?in|inside) (?:your|the camera's|the) (?:field of (?:view|vision)|view|sight|line of sight|visual field)", r"is \g<x> visible"),
)  # fmt: skip


def reordered(text: str) -> str | None:
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
            ref = match.groupdict().get("c")
            to = f" to {ref}" if ref else ""
            said = f"which is {match['m']}{to}, {match['a']} or {match['b']}"
        else:
            said = _pair(match, order) if order in ("compare", "exceed") else _expanded(match, order)
        if said is not None and said != text:
            return said
    return None


def _pair(match: re.Match[str], order: str) -> str | None:
    key = KEYS[match["n"].removesuffix("s")]
    word = match.groupdict().get("m") or "greater"
    more = MORE[key][word in ("smaller", "lower", "less", "lesser")]
    if re.fullmatch(f"{UP}|smaller|lower|lesser|less", word) is None:
        if word not in (*MORES.split("|"), "heavier", "lighter"):
            return None
        more = word
    a, b = match["a"], match["b"]
    return f"which is {more}, {a} or {b}" if order == "compare" else f"is {a} {more} than {b}"


def said_again(pattern: str, order: str, text: str) -> str | None:
    """Return a text in the order that a rule gives, None if the rule is not for it."""
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
