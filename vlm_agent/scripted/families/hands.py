# ruff: noqa: E501 (a pattern reads best on one line)
"""What hands do with one another and with holes: "hand me the mug", "put the peg in the hole", "grasp it differently"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.families.text import Parser, thing, things
from vlm_agent.scripted.strict import NotUnderstood
from vlm_agent.scripted.syntax import IT, Description, Step, Task

_JOINT = re.compile(
    r"\s*(?:[,;.]?\s+and(?: then| afterwards| finally)?|[,;.]\s*(?:then|afterwards|finally|after that)?|\s+then)\s+(?=\w)"
)
_BESIDES = re.compile(
    r"[\s,]+(?:when(?:ever)? you(?:'re| are)? ?(?:ready|can|like|done|have time|want)|as soon as (?:you can|possible)|right away|right now|quickly|carefully|gently|slowly|if you don't mind|at once|immediately)$"
)
_LEFT = re.compile(r"^(?:first(?:ly)?,? |then,? |now,? |finally,? |please,? |kindly,? )+")


def read_hands(text: str, parse: Parser) -> Task | None:
    """Return the task of a sentence about handing over, holes or grips, alone or after and before other steps.

    Args:
        text: The sentence, cleaned.
        parse: Reads the other steps.
    """
    text = _BESIDES.sub("", text)
    whole = _steps(text)
    if whole:
        return Task(tuple(whole))
    for match in _JOINT.finditer(text):
        before, after = text[: match.start()].strip(" ,;."), text[match.end() :].strip(" ,;.")
        first, last = _steps(_LEFT.sub("", before)), _steps(_LEFT.sub("", after))
        if not (first or last) or not before or not after:
            continue
        first, last = first or _others(before, parse), last or _others(after, parse)
        if first and last:
            return Task(_merged((*first, *last)))
    return None


def _steps(text: str) -> list[Step]:
    """Return the steps of a clause of these families, none if it is none."""
    for read in (_hand_over, _insert, _regrasp):
        found = read(text)
        if found:
            return found
    return []


def _others(text: str, parse: Parser) -> list[Step]:
    try:
        reading = parse(text).readings[0]
    except NotUnderstood:
        return []
    return list(reading.steps) if isinstance(reading, Task) else []


def _merged(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Join "pick up X and hand it to me": these steps pick up by themselves."""
    out: list[Step] = []
    for step in steps:
        before = out[-1] if out else None
        picked = before.object if isinstance(before, ast.PickUp) and not before.tool else None
        if isinstance(before, ast.HandOver) and step == ast.HandOver(IT):
            continue  # "I need the ball, hand it over"
        if picked is not None and isinstance(step, ast.HandOver) and step.object.is_pronoun:
            out[-1] = ast.HandOver(picked)
        elif picked is not None and isinstance(step, ast.Insert) and step.object.is_pronoun:
            out[-1] = ast.Insert(picked, step.into, step.hole, step.is_peg)
        else:
            out.append(step)
    return tuple(out)


# ---- handing over -------------------------------------------------------------------------------

_ME: Final = r"(?:to|towards?|into|in|onto) (?:me|us|my (?:open |outstretched |left |right )?(?:hands?|palm)|(?:the|a) (?:person|human|user|operator)|somebody|someone)"
_GIVE: Final = r"(?:hand|give|pass|offer|present|reach|deliver|bring|fetch|get|return|lend)"
_ABSTRACT: Final = re.compile(
    r"\b(?:number|height|width|length|size|distance|gap|weight|mass|colou?r|shape|name|names|position|positions|place|location|coordinates|"
    r"answer|count|list|description|picture|image|photo|hand|moment|second|minute|time|break|clue|hint|idea|look|reason|sign|push|"
    r"diameter|volume|dimensions|difference|measurements?|amount|total|sum)\b"
)
_HANDS: Final = tuple(
    re.compile(p)
    for p in (
        rf"{_GIVE}(?: over| back)? (?:me|us) (?P<x>.+?)(?: over| back| here| now)*",
        rf"{_GIVE}(?: over| back)? (?P<x>.+?)(?: over| out| back| across| up| straight| here)* {_ME}",
        r"(?:hand|pass|give) (?P<x>it|that|this|them|the .+?)(?: over| here| back)(?: now)?",
        r"(?:hand over|pass over|hold out|give out) (?P<x>.+?)(?: (?:to|for|towards) (?:me|us))?",
        r"hold (?P<x>.+?) out(?: (?:to|for|towards) (?:me|us))?(?: (?:so (?:that )?(?:i|we) can (?:take|grab|have|reach|get) (?:it|them)|for me to (?:take|grab|reach)(?: it)?))?",
        r"(?:hold|keep|lift) (?P<x>.+?) (?:out |up )?(?:so (?:that )?(?:i|we) can (?:take|grab|have|reach|get) (?:it|them)|for me to (?:take|grab|reach)(?: it)?|where i can (?:take|grab|reach|get) it)",
        r"(?:put|place|lay|drop|set) (?P<x>.+?) (?:in|into|on|onto) my (?:open |outstretched |left |right )?(?:hands?|palm)",
        r"(?:take|carry|extend|stretch out) (?P<x>.+?) (?:over |out )?to(?:wards)? (?:me|us)",
        rf"{_GIVE} (?:the|a) (?:person|human|user|operator) (?P<x>.+)",
        rf"(?P<x>the .+?)[,:;-]+ (?:please[, -]*)?{_GIVE} (?:it|that|this)(?: over)?(?: {_ME})?",
        r"(?:i want|i need|i(?:'d| would) like|i(?:'d| would) love) (?P<x>.+?) (?:to be )?(?:handed|given|passed|brought|delivered)(?: over)?(?: to (?:me|us))?",
        r"release (?P<x>.+?) (?:into my hands?|to me)",
    )
)
_WISH: Final = re.compile(
    r"(?:(?:can|could|may|might) (?:i|we) (?:please |just |also )?(?:have|get|take|grab|borrow)|let (?:me|us) (?:have|take|get|grab)|"
    r"i(?:'d| would) (?:like|love)|i want|i need|i could use|i(?:'ll| will) (?:have|take)|we need)(?: to (?:have|hold|get|take|grab|be (?:given|handed)))? (?P<x>.+?)(?: (?:in my hand|from you|now))*"
)
_PICKED: Final = re.compile(
    rf"(?:pick up|grab|take|get|lift|fetch|grasp|find|locate)(?: up)? (?P<x>.+?)(?: up)?,? (?:and|then|and then) (?P<rest>(?:{_GIVE}|hold|let) .+)"
)


def _hand_over(text: str) -> list[Step]:
    picked = _PICKED.fullmatch(text)
    if picked:
        rest = _given(picked["rest"])
        if len(rest) == 1 and rest[0].is_pronoun:
            return [ast.HandOver(d) for d in _objects(picked["x"])]
    return [ast.HandOver(d) for d in _given(text)]


def _given(text: str) -> list[Description]:
    for pattern in _HANDS:
        match = pattern.fullmatch(text)
        found = _objects(match["x"]) if match else []
        if found:
            return found
    match = _WISH.fullmatch(text)
    found = _objects(match["x"]) if match else []
    return found if all(_is_plain(d) for d in found) else []


def _objects(text: str) -> list[Description]:
    if text in ("it", "that", "this", "that one", "this one", "what you hold", "what you are holding", "the thing you hold",
                "what is in your hand", "the object", "the thing", "the object in your hand", "that thing"):  # fmt: skip
        return [IT]
    if _ABSTRACT.search(text) or text in ("them", "me", "us"):
        return []
    text = re.sub(r"\bout of (?=the|a|that|this)", "in ", re.sub(r"\bfrom (?=the|a|that)", "in ", text))
    found = things(text)
    return found if found and not any(d.landmark for d in found) else []


def _is_plain(what: Description) -> bool:
    """Whether nothing is said of where it is: "I want the ball in the bowl" asks for a move."""
    kinds = (ast.Related, ast.Unseen, ast.Named, ast.State)
    return not any(isinstance(c, kinds) for c in what.constraints)


# ---- holes --------------------------------------------------------------------------------------

_SOCKETS_SHAPE: Final = re.compile(
    r"\b(?P<shape>round|circular|square|rectangular) (?=(?:\w+ )?(?:socket|holder|receptacle|base)\b)"
)
_ROUNDS: Final = {"round": "round", "circular": "round", "cylindrical": "round", "square": "square",
                  "rectangular": "square", "squared": "square", "box-shaped": "square", "four-cornered": "square"}  # fmt: skip
_ROUND: Final = rf"(?:(?P<hole>{'|'.join(_ROUNDS)}) )?"
_VERB: Final = r"(?:insert|put|place|push|plug|stick|fit|drop|lower|slide|press|set|get|bring|pop|slot|shove|stuff|peg|sink|squeeze|move|lay|guide|thread|poke|install|mount|introduce)"
_DOWN: Final = r"(?: back| down| straight| upright| right| all the way| gently| carefully)*"
_IN: Final = r"(?:in|into|inside|in to|inside of|through|down)"
_GAP: Final = r"(?:hole|opening|recess|cavity|slot|pit|bore|aperture)"
_THE: Final = rf"(?:the|its|that|this|a|one of the) {_ROUND}(?:matching |fitting |right |correct |little |empty )?{_GAP}"
_OF: Final = r"(?: (?:(?:that is )?(?:of|in|on|inside|at the top of|on top of|at)|belonging to) (?P<b>.+))?"
_BELONGS: Final = r"(?:goes|belongs|should go|needs to go|has to go|must go|shall go|is to go|wants to go|fits|should be|is to be|needs to be|has to be|go|shall be)(?: put| inserted| placed| plugged)?"
_INSERTS: Final = tuple(
    re.compile(p)
    for p in (
        rf"{_VERB} (?P<x>.+?){_DOWN} {_IN} {_THE}{_OF}",
        rf"(?:can|could|would|will) you {_VERB} (?P<x>.+?){_DOWN} {_IN} {_THE}{_OF}",
        rf"(?:can|could|would|will) you (?:get|make) (?P<x>.+?) (?:to )?(?:fit|go){_DOWN} {_IN} {_THE}{_OF}",
        rf"make (?P<x>.+?) (?:fit|go){_DOWN} {_IN} {_THE}{_OF}",
        rf"(?P<x>(?:the|that|this|my) .+?) {_BELONGS}{_DOWN} {_IN} {_THE}{_OF}",
        rf"(?:i want|i would like|i'd like|i need) (?P<x>.+?)(?: to (?:be|go))?(?: put| inserted| placed)?{_DOWN} {_IN} {_THE}{_OF}",
        rf"(?:fill|plug|close|stop|stopper|block|cover) {_THE}{_OF} with (?P<x>.+)",
        rf"(?:fill|plug|close|stop|stopper|block) (?P<b>.+?)'s {_ROUND}{_GAP} with (?P<x>.+)",
        rf"{_VERB} (?P<x>.+?){_DOWN} {_IN} (?P<b>.+?)'s {_ROUND}{_GAP}",
        rf"{_VERB} (?P<x>.+?){_DOWN} {_IN} (?P<b>(?:the|a|that|this|its) (?:\w+ )?(?:socket|holder|receptacle|block (?:with|that has) (?:the|a) hole(?: in it)?))(?P<hole>)",
        rf"(?:can|could|would|will) you {_VERB} (?P<x>.+?){_DOWN} {_IN} (?P<b>(?:the|a|that|this) (?:\w+ )?(?:socket|holder|receptacle))(?P<hole>)",
        rf"(?P<x>(?:the|that|this) .+?) {_BELONGS}{_DOWN} {_IN} (?P<b>(?:the|a|that) (?:\w+ )?(?:socket|holder|receptacle))(?P<hole>)",
        rf"use (?P<x>.+?) to (?:fill|plug|close|stop|stopper|block) {_THE}{_OF}",
        rf"(?:pick up|take|grab|get|lift|fetch|grasp)(?: up)? (?P<x>.+?)(?: up)?,? (?:and|then|and then) {_VERB} it{_DOWN} {_IN} {_THE}{_OF}",
        rf"{_VERB} (?P<x>.+?){_DOWN} where it (?:fits|belongs|goes|should go)",
        r"(?:insert|plug in) (?P<x>.+?)",
        r"(?:can you |could you |would you )?(?:insert|plug|slot|sink) (?P<x>.+?)(?: down)? (?:in|into|inside|in to) (?P<b>the .+)(?P<hole>)",
    )
)
_PEG: Final = re.compile(
    r"\b(?:(?P<r>round|circular|cylindrical)|(?P<s>square|rectangular|cubic|box-shaped))?\s*\b(?P<peg>peg|pin|dowel|plug|stopper|cork)\b"
)
_PLACED: Final = re.compile(r"\b(?:in|into|inside|on|onto|through)\b")
_SOCKET: Final = re.compile(r"\b(?:socket|holder|receptacle|base)\b")


def _insert(text: str) -> list[Step]:
    text = re.sub(r"(?P<a>^|(?:and|then) )(?:align|line up|centre|center) .+? with .+? and ", r"\g<a>", text)
    for pattern in _INSERTS:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        groups = match.groupdict()
        what, is_peg = _peg(groups["x"])
        if _PLACED.search(groups["x"]) and "b" not in groups:
            continue
        hole = _ROUNDS.get(groups.get("hole") or "", "")
        into = None if not groups.get("b") else _socket(str(groups["b"]))
        if what is None or (groups.get("b") and into is None):
            continue
        if into is not None and (into.landmark or _is_container(into)):
            continue
        of_socket = _SOCKETS_SHAPE.search(str(groups.get("b") or ""))  # of a block it tells the block's
        if of_socket and not hole:
            hole = _ROUNDS[of_socket["shape"]]
        known: Literal["", "round", "square"] = "round" if hole == "round" else "square" if hole else ""
        return [ast.Insert(what, _not_mere(into), known, is_peg)]
    return []


def _peg(text: str) -> tuple[Description | None, bool]:
    """Return what shall go into a hole; "the round peg" is a cylinder, "the peg" is what looks like one."""
    if text in ("it", "that", "this", "what you hold", "what you are holding"):
        return IT, False
    match = _PEG.search(text)
    if match is None:
        what = thing(text)
        return (None if what is None or what.landmark else what), False
    noun = " cylinder" if match["r"] else " box" if match["s"] else " object"
    what = thing(" ".join(f"{text[: match.start()]}{noun}{text[match.end() :]}".split()))
    return what, noun == " object"


def _socket(text: str) -> Description | None:
    """Return what has the hole: "the blue socket" is a blue block."""
    text = re.sub(
        r" (?:with|that has|having) (?:the|a) (?:round |square )?(?:hole|opening)(?: in it)?$", "", text
    )
    plain = re.sub(
        r"\b(?:round|square|circular|rectangular) (?=(?:\w+ )?(?:socket|holder|receptacle|base)\b)", "", text
    )
    plain = re.sub(r"^(?:a|that|this|its) ", "the ", _SOCKET.sub("block", plain))
    return thing(plain)


def _not_mere(into: Description | None) -> Description | None:
    """Return what has the hole, None if it is only called a socket: then the hole singles it out."""
    if into is None:
        return None
    mere = all(isinstance(c, ast.Shaped) and not c.negated for c in into.constraints)
    return None if mere and into.determiner in ("the", "a", "none") else into


def _is_container(what: Description) -> bool:
    names = {n for c in what.constraints if isinstance(c, ast.Shaped) for n in c.names}
    is_vessel = any(isinstance(c, ast.Shaped) and c.is_container for c in what.constraints)
    return is_vessel or bool(names & {"bowl", "mug", "tray"})


# ---- grips --------------------------------------------------------------------------------------

_WAYS: Final = (
    r"(?:differently|in (?:a different|another) way|another way|some other way|a different way|otherwise|anew|again in another way|from (?:a different|another|the other) (?:side|angle|direction)|"
    r"by (?:the|its|his|another|a different) ?(?:other )?(?:end|side|part|edge|corner)|by the other end|the other way(?: round| around)?|with the fingers (?:turned|rotated|the other way)|turned|rotated|at another (?:place|spot|angle))"
)
_MIDDLE: Final = r"(?:(?:nearer|closer) (?:to )?(?:its |the )?(?:middle|centre|center)|(?:in|at|around) its (?:middle|centre|center)|by (?:its|the) (?:middle|centre|center)|more centrally|centrally|by its middle)"
_BETTER: Final = r"(?:better|properly|more (?:firmly|securely|safely)|well|with a better grip|in the best way|as well as you can)"
_TAKE: Final = r"(?:grasp|grab|grip|take|hold|pick up|get hold of|take hold of|seize|pick|clasp)"
_X: Final = r"(?P<x>it|that|this|the .+?|what you(?:'re| are)? hold(?:ing)?)"
_GRIPS: Final = (
    (rf"{_TAKE} {_X}(?: up)?(?: again)? {_WAYS}", "turned"),
    (rf"{_TAKE} {_X}(?: again)? {_MIDDLE}", "centred"),
    (rf"{_TAKE} {_X}(?: again)? {_BETTER}", "best"),
    (rf"(?:re-?grasp|re-?grip|re-?grab|regain your grip on|change your (?:grip|hold|grasp) (?:on|of)) {_X}(?: {_WAYS})?", "turned"),
    (rf"(?:re-?grasp|re-?grip) {_X} {_MIDDLE}", "centred"),
    (rf"(?:re-?grasp|re-?grip) {_X} {_BETTER}", "best"),
    (rf"(?:switch|adjust|shift|rotate|alter|vary|redo|change) (?:your |the )?(?:grip|grasp|hold) (?:on|of) {_X}", "turned"),
    (r"(?:change|alter) how you(?: are)? (?:hold|holding|grasp|grip) (?P<x>it)", "turned"),
    (rf"(?:re-?grasp|re-?grip) {_X} from the side", "turned"),
    (r"(?:re-?grasp|re-?grip|(?:change|switch|adjust|shift|rotate|alter|vary|redo) (?:your|the) (?:grip|grasp|hold)|(?:use|take|try|choose|pick|find) (?:a different|another) (?:grip|grasp|hold))", "turned"),
    (r"(?:use|take|try|choose|pick|find|get) a better (?:grip|grasp|hold)(?: (?:on|of) (?P<x>it))?|improve (?:your|the) (?:grip|grasp|hold)", "best"),
    (rf"put {_X} down and (?:pick|take|grasp|grab) it(?: up)?(?: again)? {_WAYS}", "turned"),
    (r"turn (?:your |the )?(?:fingers|hand|gripper) (?:around )?and (?:grasp|grab|hold|take) (?P<x>it)(?: again)?", "turned"),
)  # fmt: skip


def _regrasp(text: str) -> list[Step]:
    return list(_grips(text))[:1]


def _grips(text: str) -> Iterator[Step]:
    for pattern, how in _GRIPS:
        match = re.fullmatch(pattern, text)
        if match is None:
            continue
        word = match.groupdict().get("x") or "it"
        is_it = word in ("it", "that", "this") or word.startswith("what you")
        what = IT if is_it else thing(word)
        if what is not None and not what.landmark:
            yield ast.Regrasp(what, how)  # pyright: ignore[reportArgumentType]
