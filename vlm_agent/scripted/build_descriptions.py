# ruff: noqa: D102 (a method is a rule of the grammar, which says it best)
"""From grammar rules to descriptions: determiners, adjectives, nouns and what follows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.kids import (
    Anchor,
    Constraints,
    Det,
    Group,
    Head,
    Kids,
    Posts,
    constraints_of,
    every,
    lexemes,
    order,
    text_of,
)
from vlm_agent.scripted.lexicon import lexicon
from vlm_agent.scripted.spatial_words import Rel
from vlm_agent.scripted.syntax import Constraint, Degree, Description, Related
from vlm_agent.scripted.vocabulary import Noun
from vlm_agent.scripted.words import Lexeme

_LANDMARKS = {"TABLE": "table", "ROBOT": "robot", "VIEWER": "viewer", "HAND": "hand"}
_ORDINALS = frozenset(p for p, entry in lexicon().items() if entry.terminal == "ORD") | {"first"}
_GENERIC_HEADS = ("block", "cube", "box")


class DescriptionRules:
    """One method per alias of the grammar's section on descriptions."""

    # ---- words of a description --------------------------------------------------------------------

    def det(self, kids: Kids) -> Det | None:
        terminals = [k.entry.terminal for k in kids]
        numbers = [k.entry.value for k in lexemes(kids, "NUM")]
        count = numbers[0] if numbers else None
        if terminals[0] == "ALL":
            return Det("all", count)
        if terminals[0] == "BOTH":
            return Det("all", 2)
        if terminals[0] in ("A", "ONE", "EITHER"):
            return Det("a", count, word=kids[0].phrase)
        if terminals[0] == "NUM":
            return Det("a", count)
        return Det("the", count, is_bare=count is None, word=kids[0].phrase)

    def head(self, kids: Kids) -> Head | None:
        last = kids[-1].entry
        before: tuple[Constraint, ...] = ()
        if len(kids) == 2 and kids[0].entry.terminal == "FOREIGN":
            before = (ast.Unseen(kids[0].phrase),)
        if last.terminal == "ONE":
            return Head(before, kids[-1].phrase == "ones", is_one=True)
        if last.terminal == "OTHER":
            return Head((ast.Other(),), kids[-1].phrase in ("others", "rest"))
        if last.terminal in ("FOREIGN", "WORD"):
            return Head((*before, ast.Named(kids[-1].phrase)), kids[-1].phrase.endswith("s"))
        noun: Noun = last.value
        shape = noun.shape
        if (
            len(kids) == 2
            and kids[0].entry.terminal == "NOUN"
            and (shape is None or shape.word in _GENERIC_HEADS)
        ):
            shape = kids[0].entry.value.shape or shape
        return Head((*before, *((shape,) if shape else ())), noun.is_plural)

    def adjs(self, kids: Kids) -> Constraints | None:
        found = constraints_of(kids)
        colors = [c for c in found if isinstance(c, ast.Colored)]
        if lexemes(kids, "OR") and len(colors) > 1:
            names = tuple(n for c in colors for n in c.names)
            either = ast.Colored(
                " or ".join(c.word for c in colors), names, sum((c.alternates for c in colors), ())
            )
            found = (either, *(c for c in found if not isinstance(c, ast.Colored)))
        return Constraints(found)

    def color(self, kids: Kids) -> Constraint:
        return lexemes(kids, "COLOR")[0].entry.value

    def not_color(self, kids: Kids) -> Constraint:
        return replace(lexemes(kids, "COLOR")[0].entry.value, negated=True)

    def degree(self, kids: Kids) -> Constraint:
        return kids[0].entry.value

    def ranked(self, kids: Kids) -> Constraint:
        return replace(kids[1].entry.value, rank=kids[0].entry.value, word=text_of(kids))

    def most(self, kids: Kids) -> Constraint:
        degree: Degree = kids[1].entry.value
        if degree.key == "far" and kids[0].phrase == "least":
            return Degree(text_of(kids), "near")
        return replace(
            degree, word=text_of(kids), form="superlative", most=degree.most == (kids[0].phrase == "most")
        )

    def ordinal(self, kids: Kids) -> Constraint:
        """Count "the second block" from the left."""
        return Degree(kids[0].phrase, "left", rank=kids[0].entry.value)

    def side(self, kids: Kids) -> Degree:
        lexeme = lexemes(kids, "SIDE", "ONSIDE")[0]
        side, frame = lexeme.entry.value
        return Degree(lexeme.phrase, side, frame=frame)

    on_side = side

    def form(self, kids: Kids) -> Constraint:
        return kids[0].entry.value

    def unseen(self, kids: Kids) -> Constraint:
        return ast.Unseen(kids[0].phrase)

    unknown_word = unseen

    def nothing(self, kids: Kids) -> Constraints:
        return Constraints(())

    def state(self, kids: Kids) -> Constraint:
        full = kids[0].phrase in ("full", "filled", "occupied")
        return ast.State("full" if full else "empty")

    def other(self, kids: Kids) -> Constraint:
        return ast.Other()

    def held(self, kids: Kids) -> Constraint:
        return ast.State("held")

    # ---- what follows a noun -----------------------------------------------------------------------

    def related(self, kids: Kids) -> Constraint | Constraints | None:
        rel: Rel = lexemes(kids, "REL")[0].entry.value
        anchors = every(kids, Description)
        if any(ast.Other() in a.constraints and a.wants_many for a in anchors):
            return None  # "left of all the others" is a rank
        landmark = anchors[0].landmark if anchors else None
        if landmark in ("viewer", "robot") and rel.name == "next_to" and not rel.is_motion:
            return Degree("near", "near", anchor=None if landmark == "viewer" else anchors[0])
        if landmark in ("viewer", "robot") and rel.name == "in_front_of" and not rel.is_motion:
            return Constraints(())  # so is everything
        if landmark == "table" and rel.name in ("left_of", "right_of") and not rel.is_motion:
            return Degree(rel.name, rel.name.removesuffix("_of"), frame=rel.frame)
        return None if rel.is_motion else Related(rel.name, tuple(anchors), rel.frame)

    def between(self, kids: Kids) -> Constraint | None:
        anchors = tuple(every(kids, Description))
        return Related("between", anchors) if are_several(anchors) else None

    def related_it(self, kids: Kids) -> Constraint:
        return Related(lexemes(kids, "RELIT")[0].entry.value, (ast.IT,))

    def ranked_from(self, kids: Kids) -> Constraint:
        side, frame = lexemes(kids, "SIDE", "ONSIDE")[0].entry.value
        return Degree(text_of(kids), side, rank=lexemes(kids, "ORD")[0].entry.value, frame=frame)

    def extreme_to(self, kids: Kids) -> Constraint | None:
        degree: Degree = lexemes(kids, "EXTREME", "COMP")[0].entry.value
        anchor = every(kids, Description)[0]
        is_loose = not lexemes(kids, "TO", "FROM") and (
            degree.form != "superlative" or anchor.determiner == "none"
        )
        if degree.key not in ("near", "far") or is_loose:
            return None
        if anchor.text.startswith(("my ", "your ", "our ")) and any(
            isinstance(c, ast.Named) for c in anchor.constraints
        ):
            return None  # "nearest my chair": a place of the speaker's
        sides = [
            c
            for c in anchor.constraints
            if isinstance(c, Degree) and c.key in ("left", "right", "front", "back")
        ]
        if sides and len(sides) == len(anchor.constraints):
            return sides[0] if degree.key == "near" else None  # "nearest the left side"
        return replace(degree, anchor=None if anchor.landmark == "viewer" else anchor)

    def anchor_of(self, kids: Kids) -> Anchor:
        return Anchor(every(kids, Description)[0])

    def from_side(self, kids: Kids) -> Anchor:
        return Anchor(self.side(kids))

    def compared(self, kids: Kids) -> Constraint:
        degree: Degree = lexemes(kids, "COMP")[0].entry.value
        anchor = every(kids, Description)[0]
        if ast.Other() in anchor.constraints:  # "bigger than the other one"
            return degree
        return ast.Compared(degree.word, degree.key, degree.most, anchor)

    def farther(self, kids: Kids) -> Constraint | None:
        anchor = every(kids, Description)[0]
        if anchor.landmark == "table":
            return None
        far = Degree("farther", "far", form="comparative")
        return replace(far, anchor=None if anchor.landmark == "viewer" else anchor)

    def same_as(self, kids: Kids) -> Constraint:
        return ast.SameAs(lexemes(kids, "ATTR")[0].entry.value, every(kids, Description)[0])

    def colored_post(self, kids: Kids) -> Constraint | None:
        rels = lexemes(kids, "REL")
        return None if rels and rels[0].phrase != "in" else self.color(kids)

    def degree_post(self, kids: Kids) -> Constraint:
        return lexemes(kids, "SIZE", "EXTREME", "COMP")[0].entry.value

    def same(self, kids: Kids) -> Any:
        return next(k for k in kids if not isinstance(k, Lexeme))

    def clause(self, kids: Kids) -> Constraints:
        return Constraints(constraints_of(kids))

    properties = clause

    def clause_not(self, kids: Kids) -> Constraints | None:
        found = constraints_of(kids)
        if len(found) != 1 or not hasattr(found[0], "negated"):
            return None
        return Constraints((replace(found[0], negated=True),))  # pyright: ignore[reportCallIssue]

    kind = clause

    def compared_to(self, kids: Kids) -> Constraint | None:
        degree: Degree = lexemes(kids, "COMP")[0].entry.value
        reference, anchor = every(kids, Description)
        if degree.key not in ("near", "far") or anchor.wants_many:
            return None
        if ast.Other() in anchor.constraints:  # "closer to the bowl than the other one"
            return replace(degree, anchor=None if reference.landmark == "viewer" else reference)
        return ast.Compared(degree.word, degree.key, degree.most, anchor, reference)

    def all_same(self, kids: Kids) -> Constraint:
        return ast.SameAs(lexemes(kids, "ATTR")[0].entry.value, None)

    def superlative_state(self, kids: Kids) -> Constraints:
        """Read "is the largest of the red blocks": a red block, too."""
        group = every(kids, Description)[0]
        return Constraints((*group.constraints, *constraints_of(every(kids, Constraints))))

    def posts(self, kids: Kids) -> Posts | None:
        anchors = every(kids, Anchor)
        return (
            Posts(constraints_of(kids), anchors[0].value if anchors else None) if len(anchors) < 2 else None
        )

    # ---- descriptions ------------------------------------------------------------------------------

    def description(self, kids: Kids) -> Description | None:
        det = next(iter(every(kids, Det)), Det("none"))
        head = next(iter(every(kids, Head)), None)
        after = next(iter(every(kids, Posts)), Posts(()))
        before = _completed(constraints_of(kids), after.anchor)
        if before is None:
            return None
        if det.word == "your":
            robot = Description("the", landmark="robot", text="you")
            before = tuple(
                replace(c, anchor=robot)
                if isinstance(c, Degree) and c.key == "near" and c.anchor is None
                else c
                for c in before
            )
        found = order(before, after.items)
        if _are_at_odds(found):
            return None
        if len(kids) == 1 and isinstance(kids[0], Det):
            if kids[0].word in ("this", "that"):
                return ast.IT
            if kids[0].word in ("these", "those"):
                return Description("them")
            is_loose = det.kind == "a" and det.count is None and kids[0].word not in ("anything", "something")
            return None if det.is_bare or is_loose else Description(det.kind, count=det.count)
        if head is None and det.kind == "none" and all(isinstance(c, Degree) for c in found):
            return None
        if head is None and any(isinstance(c, ast.Unseen) and c.word not in lexicon() for c in found):
            return None  # an unknown word can't stand for a noun
        kind = (
            "all" if head and head.is_plural and det.kind in ("the", "none") and not det.count else det.kind
        )
        return Description(kind, found, det.count, is_one=bool(head and head.is_one))

    def whichever(self, kids: Kids) -> Description:
        return Description("a", order(constraints_of(kids)))

    def superlative_of(self, kids: Kids) -> Description | None:
        rest = every(kids, Description)[0]
        own = constraints_of(kids)
        if not own or rest.landmark:
            return None
        inner = () if rest.is_pronoun else rest.constraints
        return Description("the", order(inner, own))

    def excepting(self, kids: Kids) -> Description | None:
        base, other = every(kids, Description)
        return None if base.is_pronoun or other.is_pronoun else base.adding(ast.Except(other))

    def either(self, kids: Kids) -> Description | None:
        items = tuple(every(kids, Description))
        if any(d.is_pronoun or d.wants_many for d in items):
            return None
        return Description("a", (ast.Either(items),))

    def apposition(self, kids: Kids) -> Description | None:
        """Join "the block, the red one": both hold."""
        base = every(kids, Description)[0]
        return None if base.is_pronoun or base.is_one else base.adding(*constraints_of(kids))

    def contents(self, kids: Kids) -> Description | None:
        container = every(kids, Description)[0]
        return None if container.landmark else Description("all", (Related("inside", (container,)),))

    def it(self, kids: Kids) -> Description:
        return ast.IT

    def them(self, kids: Kids) -> Description:
        return Description("them")

    def it_or_one(self, kids: Kids) -> Description:
        return Description("the", is_one=True) if kids[0].phrase == "the" else ast.IT

    def landmark(self, kids: Kids) -> Description:
        if kids[0].phrase in ("my", "our") and kids[-1].entry.terminal == "HAND":
            return Description("the", landmark="viewer")
        return Description("the", landmark=_LANDMARKS[kids[-1].entry.terminal])  # pyright: ignore[reportArgumentType]

    def group(self, kids: Kids) -> Group:
        return Group(tuple(every(kids, Description)))


def _completed(
    before: tuple[Constraint, ...], anchor: Description | Degree | None
) -> tuple[Constraint, ...] | None:
    """Return the constraints before a noun completed by `anchor`; None if it completes nothing."""
    if anchor is None:
        return before
    out: list[Constraint] = []
    for c in before:
        if isinstance(anchor, Degree) and isinstance(c, Degree) and c.word in _ORDINALS:
            c = replace(anchor, rank=c.rank, word=f"{c.word} {anchor.word}")
        elif isinstance(anchor, Description) and isinstance(c, Degree) and c.key in ("near", "far"):
            c = replace(c, anchor=anchor)
        out.append(c)
    return None if tuple(out) == before else tuple(out)


def _are_at_odds(found: tuple[Constraint, ...]) -> bool:
    """Whether nearness is joined with a side, or said twice: "farthest to my left", "least far away"."""
    ranks = [c for c in found if isinstance(c, Degree) and c.form != "positive"]
    near = [c for c in ranks if c.key in ("near", "far")]
    is_bare = any(c.anchor is None for c in near)
    return len(near) > 1 or (is_bare and any(c.key in ("left", "right", "front", "back") for c in ranks))


def are_several(anchors: tuple[Description, ...]) -> bool:
    """Whether anchors are two things at least."""
    return len(anchors) > 1 or any(a.wants_many for a in anchors)
