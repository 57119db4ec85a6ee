# ruff: noqa: D102 (a method is a rule of the grammar, which says it best)
"""From grammar rules to targets and steps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.build_descriptions import are_several
from vlm_agent.scripted.kids import STEPS, Group, Kids, every, lexemes, verb
from vlm_agent.scripted.spatial_words import RELATION_OF, Rel
from vlm_agent.scripted.syntax import Degree, Description, Related, Target
from vlm_agent.scripted.words import Lexeme

_PICKING = frozenset(
    (
        "pick",
        "pick up",
        "grab",
        "lift",
        "lift up",
        "hold",
        "hold up",
        "grasp",
        "raise",
        "hoist",
        "scoop up",
        "take",
    )
)
_NEARNESS = frozenset(("nearest", "closest", "farthest", "furthest", "close", "closer", "near", "next"))


class StepRules:
    """One method per alias of the grammar's section on steps."""

    # ---- targets -----------------------------------------------------------------------------------

    def target_rel(self, kids: Kids) -> Target | None:
        rel: Rel = lexemes(kids, "REL")[0].entry.value
        anchor = kids[-1]
        if anchor.landmark == "table" and rel.name in ("on", "next_to"):
            return Target("anywhere", is_motion=rel.is_motion)
        if anchor.landmark == "hand" or (ast.Other() in anchor.constraints and anchor.wants_many):
            return None
        return Target(rel.name, (anchor,), rel.frame, _length(kids), rel.is_motion)

    def target_to(self, kids: Kids) -> Target | None:
        anchor = kids[1]
        if _is_side(anchor):
            return None
        if anchor.landmark in ("viewer", "robot"):
            return Target("in_front_of" if anchor.landmark == "viewer" else "behind")
        return Target("anywhere") if anchor.landmark == "table" else Target("to", (anchor,))

    def target_between(self, kids: Kids) -> Target | None:
        anchors = tuple(every(kids, Description))
        are_told = all(a.constraints or a.is_pronoun or a.landmark for a in anchors)
        return Target("between", anchors) if are_several(anchors) and are_told else None

    def target_middle(self, kids: Kids) -> Target | None:
        anchor = every(kids, Description)[0]
        if anchor.wants_many:
            return Target("between", (anchor,))
        return Target("middle", (anchor,)) if anchor.landmark else Target("inside", (anchor,))

    def target_side(self, kids: Kids) -> Target | None:
        lexeme = lexemes(kids, "SIDE", "ONSIDE")[0]
        side, frame = lexeme.entry.value
        relation: str = RELATION_OF.get(side) or side
        if lexeme.phrase == "back":
            return None
        return Target(relation, (), frame, _length(kids))

    def target_side_of(self, kids: Kids) -> Target | None:
        bare = self.target_side(kids)
        return replace(bare, anchors=(kids[-1],)) if bare else None

    def target_it(self, kids: Kids) -> Target:
        return Target(kids[0].entry.value, (ast.IT,))

    def target_anywhere(self, kids: Kids) -> Target:
        return Target("anywhere", is_motion=True)

    def target_somewhere(self, kids: Kids) -> Target:
        return every(kids, Target)[0]

    # ---- steps -------------------------------------------------------------------------------------

    def task(self, kids: Kids) -> ast.Task | None:
        """Steps in order; a description before them ("the red block, put it ...") is a mention."""
        steps = [
            ast.Mention(k) if isinstance(k, Description) else k for k in kids if not isinstance(k, Lexeme)
        ]
        if any(isinstance(s, ast.Mention) and s.object.landmark for s in steps):
            return None
        return ast.Task(tuple(steps))

    def topic_task(self, kids: Kids) -> ast.Task | None:
        """Accept "the red block, put it ..." only if a pronoun points back."""
        first = next(k for k in kids if isinstance(k, STEPS))
        points_back = any(isinstance(d, Description) and d.is_pronoun for d in ast.descendants(first))
        return self.task(kids) if points_back else None

    def task_reversed(self, kids: Kids) -> ast.Task:
        return ast.Task(tuple(reversed(every(kids, STEPS))))

    def last(self, kids: Kids) -> Any:
        return kids[-1]

    def first(self, kids: Kids) -> Any:
        return kids[0]

    def forbid(self, kids: Kids) -> ast.Forbid:
        return ast.Forbid(every(kids, STEPS)[0])

    def forbid_other(self, kids: Kids) -> ast.Forbid:
        return ast.Forbid(ast.Unsupported(kids[1].phrase))

    def unsupported(self, kids: Kids) -> ast.Unsupported:
        return ast.Unsupported(kids[0].phrase)

    def move(self, kids: Kids) -> ast.Move | None:
        items = every(kids, Group)[0].items
        target = every(kids, Target)[0]
        if any(d.landmark for d in items) or (verb(kids) in _PICKING and _is_static(target)):
            return None
        if target.relation == "to" and any(_lacks_anchor(c) for c in items[-1].constraints):
            return None  # "the ball nearest to the mug" is a ball
        return ast.Move(items, target)

    def move_shifted(self, kids: Kids) -> ast.Move | None:
        """Accept "put in the bowl the ball", but not "put in the red | block"."""
        bare = every(kids, Group)[0].items[0].determiner == "none"
        return None if bare else self.move(kids)

    def move_bare(self, kids: Kids) -> ast.Move | None:
        if any(d.is_one and not d.constraints for d in every(kids, Group)[0].items):
            return None  # "the ball, the one left of the mug": words about the ball
        return self.move(kids)

    def move_it(self, kids: Kids) -> ast.Move | None:
        return ast.Move((ast.IT,), every(kids, Target)[0]) if lexemes(kids, "PUT", "DROP", "STACK") else None

    def move_from(self, kids: Kids) -> ast.Move | None:
        moved, source = self.move(kids), every(kids, Description)[0]
        if (
            _is_side(source)
            or source.wants_many
            or (moved and any(_lacks_anchor(c) for d in moved.objects for c in d.constraints))
        ):
            return None
        if moved is None or source.landmark:
            return moved
        return replace(moved, objects=tuple(_from(d, source) for d in moved.objects))

    def move_off(self, kids: Kids) -> ast.Move | None:
        if verb(kids) in _PICKING and verb(kids) != "take":
            return None
        comparatives = lexemes(kids, "COMP")
        if comparatives and comparatives[0].entry.value.key != "far":
            return None
        anchor = every(kids, Description)[0]
        if anchor.landmark == "table":
            return None
        toward = {"viewer": Target("behind"), "robot": Target("in_front_of")}
        return ast.Move(
            every(kids, Group)[0].items, toward.get(anchor.landmark or "", Target("away_from", (anchor,)))
        )

    def move_closer(self, kids: Kids) -> ast.Move | None:
        if lexemes(kids, "COMP")[0].entry.value.key != "near":
            return None
        anchor = every(kids, Description)[0]
        toward = {"viewer": Target("in_front_of"), "robot": Target("behind")}
        return ast.Move(
            every(kids, Group)[0].items, toward.get(anchor.landmark or "", Target("next_to", (anchor,)))
        )

    def give(self, kids: Kids) -> ast.Unsupported:
        return ast.Unsupported("hand over")

    def put_back(self, kids: Kids) -> ast.Move | None:
        items = every(kids, Group)[0].items
        return (
            ast.Move(items, Target("origin")) if kids[-1].phrase == "back" and not items[0].landmark else None
        )

    def fill(self, kids: Kids) -> ast.Move | None:
        if lexemes(kids, "PUT") and verb(kids) not in ("load", "pack", "stock", "store"):
            return None  # "push the block with the mug" uses a tool
        groups = every(kids, Group)
        descriptions = every(kids, Description)
        objects = groups[0].items if groups else descriptions[1:]
        return ast.Move(tuple(objects), Target("inside", (descriptions[0],)))

    def pick(self, kids: Kids) -> ast.PickUp | None:
        items = every(kids, Group)[0].items
        if len(items) != 1 or items[0].landmark or ast.State("held") in tuple(ast.descendants(items[0])):
            return None
        carried = verb(kids) in ("take", "get", "fetch") and any(
            isinstance(c, Degree) and c.anchor for c in items[0].constraints
        )
        words = items[0].text.split()
        is_carried_to = any(b == "to" and a not in _NEARNESS for a, b in pairwise(words))
        return None if carried and is_carried_to else ast.PickUp(items[0])

    def pick_from(self, kids: Kids) -> ast.Step | None:
        picked, source = self.pick(kids), every(kids, Description)[0]
        if verb(kids) in ("take", "get", "retrieve", "fetch") and source.landmark != "table":
            return self.take_out(kids)
        if (
            _is_side(source)
            or source.wants_many
            or (picked and any(_lacks_anchor(c) for c in picked.object.constraints))
        ):
            return None
        if picked is None or source.landmark:
            return picked
        return ast.PickUp(_from(picked.object, source))

    def take_out(self, kids: Kids) -> ast.Move | None:
        items, source = every(kids, Group)[0].items, every(kids, Description)[0]
        if source.landmark or source.wants_many or _is_side(source) or any(d.landmark for d in items):
            return None
        return ast.Move(tuple(_from(d, source) for d in items), Target("anywhere"))

    def take_it_out(self, kids: Kids) -> ast.Move | None:
        items = every(kids, Group)[0].items
        if any(d.landmark for d in items) or verb(kids) in ("remove", "extract", "unstack", "pick"):
            return None  # "remove the block" does not say from where
        return ast.Move(items, Target("anywhere"))

    def release(self, kids: Kids) -> ast.Release | None:
        group = next(iter(every(kids, Group)), Group((ast.IT,)))
        items = group.items
        return ast.Release(items[0]) if len(items) == 1 and not items[0].landmark else None

    def stack(self, kids: Kids) -> ast.Stack | None:
        items = every(kids, Group)[0].items
        are_many = len(items) > 1 or any(d.wants_many for d in items)
        return ast.Stack(items) if are_many else None

    def swap(self, kids: Kids) -> ast.Swap | None:
        items = (*(d for g in every(kids, Group) for d in g.items), *every(kids, Description))
        return ast.Swap(items) if len(items) == 2 or (len(items) == 1 and items[0].wants_many) else None

    def empty(self, kids: Kids) -> ast.Step | None:
        container = every(kids, Description)[0]
        targets = every(kids, Target)
        if container.landmark == "table" and targets:
            return ast.Move((Description("all"),), targets[0])
        return None if container.landmark else ast.Empty(container, *targets)

    def look(self, kids: Kids) -> ast.LookAt:
        return ast.LookAt(every(kids, Description)[0])

    def mention(self, kids: Kids) -> ast.Mention:
        return ast.Mention(every(kids, Description)[0])

    def open_hand(self, kids: Kids) -> ast.Gesture | None:
        return ast.Gesture("open_gripper") if every(kids, Description)[0].landmark == "hand" else None

    def close_hand(self, kids: Kids) -> ast.Gesture | None:
        return ast.Gesture("close_gripper") if every(kids, Description)[0].landmark == "hand" else None

    def gesture(self, kids: Kids) -> ast.Gesture:
        return ast.Gesture(kids[0].entry.value)


def _lacks_anchor(constraint: ast.Constraint) -> bool:
    return isinstance(constraint, Degree) and constraint.key in ("near", "far") and constraint.anchor is None


def _from(what: Description, source: Description) -> Description:
    return what if what.is_pronoun else what.adding(Related("from", (source,)))


def _is_side(what: Description) -> bool:
    """Whether this is "the left" rather than an object."""
    sides = [isinstance(c, Degree) and c.key in ("left", "right", "front", "back") for c in what.constraints]
    return bool(sides) and all(sides)


def _length(kids: Kids) -> float | None:
    found = lexemes(kids, "LENGTH")
    return found[0].entry.value if found else None


def _is_static(target: Target) -> bool:
    """Whether the preposition may as well tell where something is ("on", not "onto")."""
    return target.relation != "to" and not target.is_motion
