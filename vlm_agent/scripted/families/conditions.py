# ruff: noqa: E501 (a pattern reads best on one line)
"""Conditions: "if there is room to the left of the bowl, put the block there, otherwise put it on the tray"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.families.asks import read_claim
from vlm_agent.scripted.families.scales import read_scales
from vlm_agent.scripted.families.text import Parser, clean, halves, place, thing
from vlm_agent.scripted.strict import NotUnderstood
from vlm_agent.scripted.syntax import Description, Step, Task

_IF = r"(?:only if|but only if|if|in case|provided(?: that)?|assuming(?: that)?|as long as|given that|supposing|suppose|whenever|when)"
_NOT_SO = (
    r"(?:if (?:there|it|they|that|this) (?:is|are|does|do|isn't|aren't|doesn't|don't)(?: not|n't)?(?: any| one| enough)?"
    r"(?: (?:space|room|the case|so|true|fit))?|if not|if there isn't(?: any| one| enough(?: \w+)?)?|failing that|(?:when|if) (?:it|you|they|there) (?:is not|isn't|don't|do not|doesn't|does not|are not|aren't)(?: find one| see one)?|"
    r"in any other case|in the other case|if that is not the case|if that's not the case|if that fails|or else|otherwise|else|if no)"
)
_NEGATIVE = re.compile(r"not|n't|fail|other|else|\bno\b")
_ELSE = re.compile(
    rf"\s*[,;.:?!-]*\s*\b(?:and |but |then )?(?P<word>{_NOT_SO})\b\s*[,:]?\s*(?:then |just |simply )?"
)
_ELSE_BEHIND = re.compile(
    r"^(?P<step>.+?)\s*,?\s+(?:if not|otherwise|if it (?:is not|isn't|does not|doesn't))$"
)
_SO = r"(?:if (?:so|yes|it is|that is (?:so|the case)|that's the case|it does|they are|there is(?: one)?|it fits|true)|in that case|then|and if so|in which case)"
_ASKED = re.compile(
    rf"^(?:(?:please )?(?:check|see|find out|look|look and see|test|determine|verify|tell me|decide|look at) (?:whether|if) )(?P<cond>.+?)\s*[,;.:?!-]+\s*(?:and )?{_SO}\b[,:]?\s+(?:then )?(?P<then>.+)$"
)
_QUESTION = re.compile(
    rf"^(?P<cond>(?:is|are|does|do|can|will|would) .+?)\s*\?\s*(?:and )?(?:{_SO}\b[,:]?\s+(?:then )?)?(?P<then>.+)$"
)
_UNLESS = re.compile(r"^unless (?P<cond>.+?)\s*,\s*(?P<step>.+)$")
_UNLESS_BEHIND = re.compile(r"^(?P<step>.+?),?\s+unless (?P<cond>.+)$")
_IF_IT_IS = re.compile(rf"^(?P<step>.+?)\s*[,;.]\s*(?:but |and )?(?:{_SO})\b[,:]?\s*(?P<then>.+)$")
_THERE = re.compile(
    r"\b(?:over |right |in |at |into )?(?:there|that (?:space|spot|place|gap|free spot)|in that (?:space|spot|place|gap)|the (?:free )?(?:space|spot|gap))\b"
)
_SPACE = r"(?:(?:any |some |enough |sufficient |still |a |an |free |empty |open |clear |vacant |more )*(?:space|room|spot|place|gap|area))(?: (?:free|left|available|enough))?"


@dataclass(frozen=True)
class _Condition:
    """A condition with its place in words, for "there"."""

    question: ast.Question
    is_negated: bool = False
    where: str = ""


def read_condition(text: str, parse: Parser) -> Task | None:
    """Return the task of a sentence that begins or ends with a condition, None if there is no condition."""
    text = _unturned(text)
    if not re.search(rf"\b(?:{_IF}|unless|whether)\b|\?.", text):
        return None
    for condition, then, otherwise in _forms(text):
        for negated in (False,):
            built = _build(condition, then, otherwise, parse, negated)
            if built is not None:
                return Task((built,))
    return None


_SHOULD = re.compile(
    r"^should (?P<s>there|you|it|they|(?:the|a|an|any) .+?) (?P<v>be|find|see|spot|fit|stand|sit|lie|have|contain|happen to be)\b"
)
_PREFACE = re.compile(
    r"^(?:compare|look at|measure|consider) [^.:;]+[.:;]\s*(?=if\b|when\b|in case\b|should\b)"
)
_LOOK_FOR = re.compile(
    r"^(?:look|search|watch out|have a look) for (?P<x>an? .+?)[.,;:]\s*(?P<rest>(?:and )?(?:if|when|in case)\b.+)$"
)


def _unturned(text: str) -> str:
    """Return a sentence with its condition in the usual order of words."""
    compared = re.match(r"^compare (?P<a>the .+?) (?:and|with|to) (?P<b>the .+?)[.:;,]\s*(?P<rest>.+)$", text)
    if compared:
        a, b = compared["a"], compared["b"]
        text = re.sub(
            rf"\b{re.escape(a)} is (?:the )?(?P<m>\w+er)(?: one| of the two)?\b",
            rf"{a} is \g<m> than {b}",
            compared["rest"],
        )
    text = _PREFACE.sub("", text)
    sought = _LOOK_FOR.match(text)
    if sought:
        text = re.sub(
            r"\b(?:find|see|spot|there is|discover) (?:one|it|any)\b",
            lambda m: m.group().rsplit(" ", 1)[0] + f" {sought['x']}",
            sought["rest"].removeprefix("and "),
            count=1,
        )
    should = _SHOULD.match(text)
    if should:
        verb = {
            "be": "is",
            "happen to be": "is",
            "fit": "fits",
            "stand": "is",
            "sit": "is",
            "lie": "is",
            "contain": "contains",
        }.get(should["v"], should["v"])
        text = f"if {should['s']} {verb}{text[should.end() :]}"
    text = re.sub(r"\b(?:it turns out that|it happens that|it so happens that) ", "", text)
    text = re.sub(r"\b(?:happens to be|happen to be|turns out to be|proves to be)\b", "is", text)
    text = re.sub(r"\bis there is\b", "there is", text)
    text = re.sub(
        r"\b(?:if|when) (?:any|an?) (?P<x>[^,;.]+?) is (?:on the table|there|here|present|around|in sight)(?=[ ,;.])",
        r"if there is a \g<x>",
        text,
    )
    text = re.sub(
        r"\bif you can find one\b|\bif you (?:see|find|spot) one\b|\bif one is there\b",
        "if there is one",
        text,
    )
    text = re.sub(
        r"(?P<q>^(?:is|are|does|do) .+?)\?\s*(?:if )?yes\s*[:,]\s*(?P<a>.+?)[.;,]\s*(?:if )?no\s*[:,]\s*",
        r"\g<q>? if so, \g<a>; if not, ",
        text,
    )
    text = re.sub(
        r"^(?P<q>is|are) (?P<x>an? .+?) (?:here|there|present|around)\?", r"\g<q> there \g<x>?", text
    )
    text = re.sub(
        r"\b(?P<n>into|in|onto|on) (?P<c>the [^?.,;:]+?) with (?:it|that|him|her)\b",
        r"put it \g<n> \g<c>",
        text,
    )
    text = re.sub(r"\bis the (?P<m>\w+er) (?:one|of the two)\b", r"is \g<m>", text)
    return re.sub(
        r"^(?P<s>(?:put|place|set|move) .+?),? or (?P<e>.+?) if there is (?:no|not enough) (?P<w>space|room|place)(?: there| left)?$",
        r"\g<s> if there is \g<w>, otherwise \g<e>",
        text,
    )


def _forms(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield ways to cut a text into condition, step and other step; "!" before a condition negates it."""
    unless = _UNLESS.match(text)
    if unless:
        other = _IF_IT_IS.match(unless["step"])
        if other:
            yield "!" + unless["cond"], other["step"], other["then"]
        for step, rest in _else_parts(unless["step"]):
            yield "!" + unless["cond"], step, rest
    behind = _UNLESS_BEHIND.match(text)
    if behind:
        for condition, rest in _else_parts(behind["cond"]):
            yield "!" + condition, behind["step"], rest
    for pattern in (_ASKED, _QUESTION):
        asked = pattern.match(text)
        if asked:
            for then, otherwise in _else_parts(asked["then"]):
                yield asked["cond"], then, otherwise
    ahead = re.match(rf"^{_IF}\s+(?P<rest>.+)$", text)
    if ahead:
        for body, otherwise in _else_parts(ahead["rest"]):
            for condition, then in _cuts(body):
                yield condition, then, otherwise
    for step, rest in halves(text, rf"\s*,?\s+{_IF}\s+"):
        for condition, otherwise in _else_parts(rest):
            yield condition, step, otherwise


def _else_parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield a text without what follows "otherwise", and that."""
    for match in _ELSE.finditer(text):
        if not _NEGATIVE.search(match["word"]):
            continue
        before, after = text[: match.start()].strip(" ,;.?"), text[match.end() :].strip(" ,;.")
        if before and after:
            yield before, after
        elif before:  # "put A in the bowl if it is taller, or B if not"
            yield from halves(before, r"\s*[,;]\s*(?:and |but |or )?", r"\s+or\s+")
    yield text, ""


def _cuts(text: str) -> Iterator[tuple[str, str]]:
    """Yield condition and step of "COND, STEP", "COND then STEP" or "COND STEP"."""
    for pattern in (
        r"\s*,?\s*\bthen\b,?\s+",
        r"\s*[,;:]\s*",
        r"\s+(?=(?:put|place|move|pick|push|stack|drop|take|set|grab|leave|bring|line|build|slide|go|i want|i'd like|it goes|it belongs|it should)\b)",
    ):
        for match in re.finditer(pattern, text):
            before, after = text[: match.start()].strip(" ,"), text[match.end() :].strip(" ,")
            if before and after:
                yield before, after


def _build(condition: str, then: str, otherwise: str, parse: Parser, negated: bool) -> ast.If | None:
    found = _condition(condition.removeprefix("!"), then)
    if found is None:
        return None
    is_negated = found.is_negated != condition.startswith("!") != negated
    subject = _subject(found.question)
    steps = _steps(then, found, subject, parse)
    if steps is None:
        return None
    moved = _moved(steps) or subject
    others: tuple[Step, ...] | None = ()
    if otherwise and not re.fullmatch(
        r"(?:do nothing|leave (?:it|everything|them|things)(?: (?:there|alone|as (?:it is|they are|is)|where (?:it is|they are)))?|nothing|leave it be|don't do anything|do not do anything|stop|forget it)",
        otherwise,
    ):
        others = _steps(otherwise, found, moved, parse, steps)
        if others is None:
            return None
    question = found.question
    if isinstance(question, ast.Fits) and question.object is None:
        question = replace(question, object=moved)
    if isinstance(question, ast.Exists) and question.object.is_one and not question.object.constraints:
        if moved is None:
            return None
        question = ast.Exists(replace(moved, determiner="a"))
    if is_negated:
        steps, others = others, steps
    return ast.If(question, steps, others)


# ---- conditions ---------------------------------------------------------------------------------


def _condition(text: str, then: str) -> _Condition | None:
    text = re.sub(r"^(?:that |it is (?:true|the case) that |it's true that )", "", text.strip(" ,"))
    space = re.match(
        rf"^(?:there(?:'s| is| are| happens to be| turns out to be)(?P<no> no| not)?|(?:is|are) there|you (?:see|find|can see|have)|we have|i have)\s+(?P<what>{_SPACE})\s*(?:(?:for|to (?:put|place|fit|stand|hold)) (?P<for>.+?))?(?:\s+(?P<where>.+))?$",
        text,
    )
    if space:
        return _space(space["for"] or "", space["where"] or "", then, bool(space["no"]))
    free = re.match(
        rf"^(?:the |that )?(?:{_SPACE} |area |place |spot |side )?(?P<where>.+?) is (?P<not>not )?(?:free|empty|clear|vacant|unoccupied|available|(?P<taken>occupied|taken|blocked))$",
        text,
    )
    if free and place(free["where"]) is not None and thing(free["where"]) is None:
        return _space("", free["where"], then, bool(free["not"]) != bool(free["taken"]))
    fits = re.match(
        r"^(?P<what>.+?) (?:(?P<not>does not|doesn't|will not|won't|would not|can't|cannot|can not) )?(?:still |just )?(?:fits?|would fit|will fit|can fit|can go|could go|goes|has (?:enough )?(?:room|space))(?: (?P<where>.+))?$",
        text,
    )
    if fits:
        return _space(fits["what"], fits["where"] or "", then, bool(fits["not"]))
    no = re.match(
        r"^(?:there(?:'s| is| are)|you (?:do not|don't) see) (?:no|not any|not a|any)\s+(?P<what>.+)$", text
    )
    if no:
        claim = read_claim(f"there is a {no['what']}")
        return None if claim is None else _Condition(claim, True)
    nothing = re.match(r"^(?:there is )?nothing (?:is |stands |lies )?(?P<where>.+)$", text)
    if nothing:
        claim = read_claim(f"there is an object {nothing['where']}")
        return None if claim is None else _Condition(claim, True)
    pronoun = re.match(r"^(?:it|that|this|that one|the latter)\b\s*(?P<rest>.+)$", text)
    if pronoun:
        subject = _first_thing(then)
        if re.match(
            r"(?:is|are)(?: not|n't)?(?: still| already)? (?:empty|full|vacant|unoccupied|occupied|filled)\b",
            pronoun["rest"],
        ):
            target = place(_place_words(then))
            subject = target.anchors[0].text if target is not None and target.anchors else subject
        if subject is None:
            return None
        text = f"{subject} {pronoun['rest']}"
    claim = read_scales(f"whether {text}") or read_claim(text)
    return None if claim is None else _Condition(claim)


def _space(what: str, where: str, then: str, is_negated: bool) -> _Condition | None:
    """Return the condition that there is room for something somewhere."""
    if not where and what:  # "for the block in the bowl"
        for match in re.finditer(r"\s+", what):
            if thing(what[: match.start()]) is not None and place(what[match.end() :]) is not None:
                what, where = what[: match.start()], what[match.end() :]
                break
    if not where:  # "if there is room", said of the step
        where = _place_words(then)
    where = re.sub(
        r"^(?:left |available |free |enough )+(?=(?:in|on|to|next|behind|between|left|right|at)\b)", "", where
    )
    target = place(where)
    if target is None:
        return None
    item = None if what in ("", "it", "that", "them", "something", "one more", "one") else thing(what)
    if item is None and what not in ("", "it", "that", "them", "something", "one more", "one"):
        return None
    return _Condition(ast.Fits(item, target), is_negated, where)


def _place_words(step: str) -> str:
    """Return the words of a step that say where: the longest tail that is a place."""
    for match in re.finditer(r"\s+", step):
        tail = step[match.end() :]
        if place(tail) is not None:
            return tail
    return ""


def _first_thing(step: str) -> str | None:
    """Return the words of the thing that a step is about."""
    words = step.split()
    for start in range(1, min(4, len(words))):
        for end in range(min(len(words), start + 12), start, -1):
            phrase = " ".join(words[start:end])
            found = thing(phrase)
            if (
                found is not None
                and not found.is_pronoun
                and not found.landmark
                and place(" ".join(words[end:]))
            ):
                return phrase
    for start in range(1, min(4, len(words))):
        phrase = " ".join(words[start:])
        found = thing(phrase)
        if found is not None and not found.is_pronoun and not found.landmark:
            return phrase
    return None


def _subject(question: ast.Question) -> Description | None:
    if isinstance(question, ast.Holds):
        return question.subject
    if isinstance(question, ast.Weigh):
        return question.objects[0]
    if isinstance(question, (ast.Exists, ast.Fits)):
        what = question.object
        return None if what is None or (what.is_one and not what.constraints) else what
    return None


# ---- steps --------------------------------------------------------------------------------------


def _same_with(text: str, then: tuple[Step, ...]) -> tuple[Step, ...] | None:
    """Return the other step again for another thing: "otherwise the blue block"; None if it says more."""
    first = then[0] if len(then) == 1 else None
    if not isinstance(first, ast.Move) or text.endswith("will do"):
        return None
    bare = re.sub(
        r"^(?:take|use|do it with|the same with|do the same with|choose|pick)\s+|\s+(?:does|goes(?: there| in)?|instead|belongs there|is the one)$",
        "",
        text,
    )
    what = thing(bare)
    if what is not None and not what.is_pronoun and not what.landmark:
        return (replace(first, objects=(what,)),)
    return None


def _steps(
    text: str,
    condition: _Condition,
    subject: Description | None,
    parse: Parser,
    then: tuple[Step, ...] = (),
) -> tuple[Step, ...] | None:
    """Return the steps of a branch; "it" is the subject, "there" the place of the condition."""
    text = clean(text)
    if condition.where:
        text = _THERE.sub(f" {condition.where} ", text)
        text = re.sub(r"\b(?:in|into|at) (?:it|that)$", condition.where, text)
        text = " ".join(text.split())
    same = _same_with(text, then)
    if same is not None:
        return same
    for attempt in _elliptic(text):
        try:
            reading = parse(attempt).readings[0]
        except NotUnderstood:
            continue
        if isinstance(reading, Task) and not any(
            isinstance(s, ast.Unclear | ast.Unsupported) for s in reading.steps
        ):
            return _with_it(_into_same(reading.steps, then), subject)
    return None


def _into_same(steps: tuple[Step, ...], then: tuple[Step, ...]) -> tuple[Step, ...]:
    """Let "it" as a place be the place of the other branch: "else drop the white block into it"."""
    first = then[0] if then else None
    if not isinstance(first, ast.Move) or not first.target.anchors:
        return steps
    anchors = first.target.anchors
    return tuple(
        replace(s, target=replace(s.target, anchors=anchors))
        if isinstance(s, ast.Move) and any(a.is_pronoun for a in s.target.anchors)
        else s
        for s in steps
    )


def _elliptic(text: str) -> Iterator[str]:
    """Yield a step as it is, and with the verb that it may lack ("otherwise on the tray")."""
    if place(text) is not None or re.match(r"^(?:in|on|into|onto|to|next|beside|behind|inside)\b", text):
        yield f"put it {text}"
    yield text
    yield f"put {text}"
    yield re.sub(r"^(?P<p>the .+?) will do(?: as well| too)?$", r"put it on \g<p>", text)
    yield re.sub(r"^(?:use|do|take|choose) (?P<x>.+) instead$", r"put \g<x>", text)


def _with_it(steps: tuple[Step, ...], subject: Description | None) -> tuple[Step, ...]:
    """Let "it" of the first step be the subject."""
    if subject is None or subject.wants_many or not steps:
        return steps
    definite = replace(subject, determiner="the") if subject.determiner in ("a", "none") else subject
    return tuple(_replaced(step, definite) for step in steps)


def _replaced(step: Step, it: Description) -> Step:
    if isinstance(step, ast.Move):
        if any(a.is_pronoun for a in step.target.anchors) and not any(d.is_pronoun for d in step.objects):
            return replace(step, target=replace(step.target, anchors=(it,)))
        objects = tuple(it if d.is_pronoun else d for d in step.objects)
        return replace(step, objects=objects)
    if isinstance(step, ast.PickUp) and step.object.is_pronoun:
        return replace(step, object=it)
    return step


def _moved(steps: tuple[Step, ...]) -> Description | None:
    first = steps[0] if steps else None
    if isinstance(first, ast.Move) and len(first.objects) == 1 and not first.objects[0].is_pronoun:
        return first.objects[0]
    if isinstance(first, ast.PickUp) and not first.object.is_pronoun:
        return first.object
    return None
