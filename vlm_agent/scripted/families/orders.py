# ruff: noqa: E501 (a pattern reads best on one line)
"""Rows: "put the blocks in a row from left to right by size", "line up the red, the blue and the green one"."""

from __future__ import annotations

import re

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.families.text import is_definite, listed, thing, things
from vlm_agent.scripted.syntax import Description, descendants
from vlm_agent.scripted.vocabulary import degrees

_ROW = r"(?:row|line|queue|sequence|line-?up|series|rank)"
_KEYS = {"size": "size", "height": "height", "width": "width", "length": "length", "tallness": "height",
         "volume": "size", "bigness": "size", "thickness": "width", "how big they are": "size",
         "how tall they are": "height", "how large they are": "size", "how high they are": "height",
         "how wide they are": "width"}  # fmt: skip
_KEY = rf"(?:(?:their|its|the) )?(?:overall )?(?P<key>{'|'.join(sorted(_KEYS, key=len, reverse=True))})"
_WORDS = {w: (d.key, d.most) for w, d in degrees().items() if d.key in ("size", "height", "width", "length")}
_WORD = rf"(?:{'|'.join(sorted(map(re.escape, _WORDS), key=len, reverse=True))})"
_ONE = r"(?: (?:ones?|of them|of the lot|of all|\w*(?:block|cube|box|brick|can|tin|cylinder|ball|object|thing|item)s?))?"
_UP, _DOWN = r"(?:increasing|ascending|rising|growing)", r"(?:decreasing|descending|falling|shrinking)"
_SIDE = r"(?:(?:(?:at|on|to|furthest to|toward|towards|going|furthest) )?(?:the |my )?(?:far |very |extreme )?)(?P<side>left|right)(?:most)?(?:[- ]?(?:hand)?[- ]?(?:side|end|edge))?"
_BE = r"(?:goes|go|comes|is|being|should be|stands|standing|sits|placed|to be|must be|ends up|will be)"

_DIRECTIONS = (
    (r"(?:going |reading |running |ordered |in order |arranged )?(?:from )?(?:the |my )?left(?: (?:side|end))?(?: hand side)? to (?:the |my )?right(?: (?:side|end))?(?: hand side)?", "right_of"),
    (r"(?:going |reading |running |ordered |in order |arranged )?(?:from )?(?:the |my )?right(?: (?:side|end))? to (?:the |my )?left(?: (?:side|end))?", "left_of"),
    (r"(?:going )?from (?:the )?front to (?:the )?back|(?:going )?from near to far|from the nearest to the farthest", "behind"),
    (r"(?:going )?from (?:the )?back to (?:the )?front|(?:going )?from far to near", "in_front_of"),
)  # fmt: skip
_ROWS = (
    rf"(?:so that (?:they|it) (?:form|make|stand in|are in)|to (?:form|make|give|get)|forming|making|in(?:to)?|as|on|along)?\s*(?:a|one|an)(?: \w+(?:-\w+)?)? {_ROW}(?: of(?: their)?)?(?: on the table)?",
    r"(?:all )?(?:neatly )?(?:next to (?:each other|one another)|side by side|beside (?:each other|one another)|one beside the other)",
    r"(?:sorted|ordered|arranged|ranked|in order|organi[sz]ed)",
)  # fmt: skip
_VERBS = re.compile(
    r"\b(?:line (?:them )?up|lined up|line|lay out|put|place|set|arrange|rearrange|sort|order|rank|organi[sz]e|align|make|form|build|"
    r"create|should|stand|position|set up|move|bring|i want|i would like|i'd like|i need|set out|see|have|sort out|line-up|queue up)\b"
)
_FILLERS = re.compile(
    r"\b(?:(?:in )?(?:that|this|the following|the given) (?:order|sequence)|up|with|so that|such that|and|then|them|they|are|is|being|of|in|the order|order|that order|this order|"
    r"the following order|following|in order|sorted|ordered|nicely|neatly|all|out|on the table|according|to|by|it|"
    r"from|starting|beginning|going|where|having|please|for me|exactly)\b|[,:;().-]"
)
_TRIGGER = re.compile(
    rf"\bline\b.*\bup\b|\bline up\b|\blined up\b|\b(?:in|into|form|forming|make|as|build|create)\b (?:a|one|an)(?: \w+(?:-\w+)?)? {_ROW}\b|"
    r"\b(?:sort|rank|align|organi[sz]e)\b|^(?:order|arrange|rearrange)\b|left to (?:the |my )?right|right to (?:the |my )?left|side by side|"
    rf"\b(?:in|by|of) (?:order of )?(?:{_UP}|{_DOWN})\b|\border(?:ed)? (?:of|by) (?:size|height|width|length)\b|^a {_ROW}\b"
)
_QUESTION = re.compile(r"^(?:what|which|how|is|are|does|do|where|who)\b")


def read_order(text: str) -> ast.Arrange | ast.Unclear | None:
    """Return the row that a sentence asks for, None if it asks for none."""
    if _TRIGGER.search(text) is None or _QUESTION.match(text):
        return None
    placed = _by_places(text)
    if placed is not None:
        return placed
    text = re.sub(r",? like (?:organ pipes|soldiers|a staircase|stairs|pearls on a string)", "", text)
    text = re.sub(
        r",? in (?:this|that|the given|the following|exactly this|exactly that) (?:order|sequence)\b",
        "",
        text,
    )
    text = re.sub(
        r",? (?:starting|beginning|going) (?:at|from|on) (?:the )?(?:far )?left(?: (?:side|end|hand side))?$",
        ", left to right",
        text,
    )
    text = re.sub(
        r",? (?:starting|beginning) (?:at|from|on) (?:the )?(?:far )?right(?: (?:side|end|hand side))?$",
        ", right to left",
        text,
    )
    text = re.sub(
        r"so that they (?:get|become|grow) (?P<w>taller|bigger|larger|wider|higher|smaller|shorter|lower)",
        _grown,
        text,
    )
    text = re.sub(
        r"(?:with )?(?:the |their )?(?P<k>size|height|width)s? (?P<d>increasing|decreasing|ascending|descending|growing|shrinking|rising|falling)",
        r"by \g<d> \g<k>",
        text,
    )
    text = re.sub(
        r"by (?P<k>size|height|width),? (?P<d>increasing|decreasing|ascending|descending|growing|shrinking|rising|falling)\b",
        r"by \g<d> \g<k>",
        text,
    )
    text = re.sub(
        rf"from (?:the )?(?P<a>{_WORD}){_ONE} {_SIDE.replace('<side>', '<s1>')} (?:down |up )?to (?:the )?(?P<b>{_WORD}){_ONE} {_SIDE.replace('<side>', '<s2>')}",
        _from_to,
        text,
    )
    rest, direction = _take(text, _DIRECTIONS)
    rest, key, is_ascending, side = _key(rest)
    for pattern in _ROWS:
        rest = re.sub(rf"(?:^|(?<=[\s,:])){pattern}(?=$|[\s,:;])", " , ", rest)
    if direction is None:
        direction = "right_of"
        if side == "right":  # "biggest on the right"
            is_ascending = not is_ascending
    elif side and (side == "right") == (direction == "right_of"):
        is_ascending = not is_ascending
    items = _items(rest)
    if not items or not is_definite(items):
        return None
    if len(items) == 1 and not items[0].wants_many:
        return None
    if len(items) == 1 and key is None:
        if re.search(r"\b(?:sort|order|rank|organi[sz]e)\b", text):
            return ast.Unclear(
                f"By what shall I order {items[0].text}: by size, height or width?", ("order",)
            )
        key = ""
    is_listed = key is None and len(items) > 1
    return ast.Arrange(tuple(items), key or "", is_ascending, direction, is_listed)


def _grown(match: re.Match[str]) -> str:
    key, most = _WORDS[match["w"]]
    return f"by {'increasing' if most else 'decreasing'} {key}"


def _from_to(match: re.Match[str]) -> str:
    first = "a" if match["s1"] == "left" else "b"
    second = "b" if first == "a" else "a"
    return f"from {match[first]} to {match[second]}, left to right"


def _take(text: str, table: tuple[tuple[str, str], ...]) -> tuple[str, str | None]:
    for pattern, meaning in table:
        found = re.search(rf"(?:^|(?<=[\s,:(]))(?:{pattern})(?=$|[\s,:;.)])", text)
        if found:
            return f"{text[: found.start()]} , {text[found.end() :]}", meaning
    return text, None


def _key(text: str) -> tuple[str, str | None, bool, str]:
    """Take what a row is ordered by out of a text.

    Returns:
        What is left, the key or None, whether it grows from the first on, and the side that was named for the
        first one ("" if none).
    """
    key, is_ascending, side = None, True, ""
    between = re.search(
        rf"\b(?:going |ranging |ordered )?(?:from )?(?:the )?(?P<a>{_WORD}){_ONE} (?:one )?(?:down |up )?(?:to|through to|towards?) (?:the )?(?P<b>{_WORD})(?:{_ONE})(?! (?:on|at))",
        text,
    )
    if between and _WORDS[between["a"]][1] != _WORDS[between["b"]][1]:
        key, most = _WORDS[between["a"]]
        is_ascending = not most
        text = f"{text[: between.start()]} , {text[between.end() :]}"
    by = (
        (rf"(?:sorted |ordered |arranged |ranked )?(?:in|by|with|of|according to)? ?(?:the )?(?:order of )?{_UP} (?:order (?:of|by) )?{_KEY}(?: order)?", True),
        (rf"(?:sorted |ordered |arranged |ranked )?(?:in|by|with|of|according to)? ?(?:the )?(?:order of )?{_DOWN} (?:order (?:of|by) )?{_KEY}(?: order)?", False),
        (rf"(?:sorted |ordered |arranged |ranked )?(?:in |by )?{_UP} order(?: of {_KEY}| by {_KEY.replace('key', 'key2')})?", True),
        (rf"(?:sorted |ordered |arranged |ranked )?(?:in |by )?{_DOWN} order(?: of {_KEY}| by {_KEY.replace('key', 'key2')})?", False),
    )  # fmt: skip
    for pattern, up in by:
        found = re.search(rf"(?:^|(?<=[\s,:])){pattern}(?=$|[\s,:;.])", text)
        if found:
            named = found.groupdict().get("key") or found.groupdict().get("key2")
            key, is_ascending = _KEYS[named] if named else key or "size", up
            text = f"{text[: found.start()]} , {text[found.end() :]}"
            break
    plain = re.search(
        rf"\b(?:sorted |ordered |arranged |ranked )?(?:(?:in order of|in the order of|by order of|by|according to|in terms of|based on|depending on|of|in) {_KEY}(?: order)?|in {_KEY.replace('key', 'key2')} order)(?=$|[\s,:;.])",
        text,
    )
    if plain:
        key = _KEYS[plain["key"] or plain["key2"]]
        text = f"{text[: plain.start()]} , {text[plain.end() :]}"
    return _ends(text, key, is_ascending, side)


def _ends(text: str, key: str | None, is_ascending: bool, side: str) -> tuple[str, str | None, bool, str]:
    """Take "smallest on the left", "the tallest first", "starting with the smallest" out of a text."""
    forms = (
        rf"(?:with |and |so that |beginning with |starting with |putting )*(?:the )?(?P<w>{_WORD}){_ONE} (?:{_BE} )?{_SIDE}",
        rf"(?:with |and |so that |beginning |starting )*{_SIDE},? (?:with |{_BE} )?(?:the )?(?P<w>{_WORD}){_ONE}",
        rf"(?:with |and |so that )*(?:the )?(?P<w>{_WORD}){_ONE} (?:{_BE} )?(?P<end>first|last|at the (?:start|beginning|end))",
        rf"(?:with |and )*(?P<end>first|last) (?:{_BE} )?the (?P<w>{_WORD}){_ONE}",
        rf"(?:and )*(?P<end>starting|beginning|ending|finishing) (?:off )?(?:with|at|from|by) (?:the )?(?P<w>{_WORD}){_ONE}",
    )
    for _ in range(3):
        for form in forms:
            found = re.search(rf"(?:^|(?<=[\s,:])){form}(?=$|[\s,:;.])", text)
            if found is None:
                continue
            groups = found.groupdict()
            word_key, most = _WORDS[found["w"]]
            key = key or word_key
            end = groups.get("end") or ""
            is_first = not end or end in (
                "first",
                "starting",
                "beginning",
                "at the start",
                "at the beginning",
            )
            is_ascending = most != is_first
            if groups.get("side"):
                side = groups["side"]
                if side == "right":  # as if told of the left one
                    is_ascending, side = not is_ascending, "left"
            text = f"{text[: found.start()]} , {text[found.end() :]}"
            break
        else:
            break
    return text, key, is_ascending, "" if side == "left" else side


def _items(rest: str) -> list[Description]:
    """Return the things that remain once all else was taken out of the sentence."""
    rest = _VERBS.sub(" ", rest, count=2)
    rest = re.sub(r"\s*(?:[,:;().]\s*)+", " , ", f" {rest} ").strip(" ,")
    rest = re.sub(r"^(?:(?:up|out|of|with|and|from|the following|all of|them)\s+)*", "", rest)
    tail = re.compile(rf"[\s,]*(?:{_FILLERS.pattern})$")
    before = ""
    while before != rest:
        before = rest
        rest = tail.sub("", rest).strip(" ,")
        rest = re.sub(r"^(?:and|up|of|with|in|so that|from)\s+", "", rest).strip(" ,")
    found = things(rest) or things(" and ".join(listed(rest)))
    is_told_apart = any(isinstance(x, Description) and x.is_pronoun for d in found for x in descendants(d))
    return [] if is_told_apart else found  # "the mug next to it" says where, not which


_PLACED = {"first": r"(?:(?:at|on|to|as)? ?(?:the )?(?:far |very )?left(?:most)?(?: ?(?:hand )?(?:side|end))?|first)",
           "second": r"(?:(?:in|to)? ?(?:the )?(?:middle|center|centre)|second|next to (?:it|that)|between them|in between)",
           "third": r"(?:(?:at|on|to|as)? ?(?:the )?(?:far |very )?right(?:most)?(?: ?(?:hand )?(?:side|end))?|third|last)"}  # fmt: skip


def _by_places(text: str) -> ast.Arrange | None:
    """Read "... with A on the left, B in the middle and C on the right"."""
    if not (
        re.search(r"\bleft(?:most)?\b|\bfirst\b", text)
        and re.search(r"\b(?:middle|center|centre|second|between)\b", text)
    ):
        return None
    head = re.sub(rf"^.*?\b{_ROW}\b\s*(?:with|where|so that|in which|of|,|:)*\s*(?=the\b)", "", text, count=1)
    head = re.sub(
        r"^(?:line|put|place|set|arrange)(?: (?:them|these|all))?(?: up)?(?: with| so that)?\s+", "", head
    )
    head = re.sub(r",? (?:side by side|next to (?:each other|one another)|in a (?:row|line))$", "", head)
    found: dict[str, Description] = {}
    for part in listed(head):
        part = re.sub(r"^(?:with|then|and|put|place|where|have|having)\s+", "", part)
        for name, words in _PLACED.items():
            behind = re.search(rf"\s+(?:{_BE} )?{words}$", part)
            ahead = re.match(rf"^{words}\s*(?:{_BE}|:|,)?\s+", part)
            what = thing(part[: behind.start()]) if behind else thing(part[ahead.end() :]) if ahead else None
            if what is not None and name not in found:
                found[name] = what
                break
        else:
            return None
    if set(found) != set(_PLACED):
        return None
    return ast.Arrange(tuple(found[name] for name in _PLACED), "", True, "right_of", True)
