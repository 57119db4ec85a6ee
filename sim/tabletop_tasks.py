"""Families of tabletop tasks: which objects stand where, what is asked, and what would be right.

A family draws a `Draft`: objects, goal and sentence, such that the instruction is unique (or is
ambiguous or impossible on purpose), plus a test that the placement must pass. `draw_task` adds the
placement. Whether the start truly is as intended is checked again on the settled scene by
`TabletopWorld`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from policies.world import Expected
from sim.objects import COLORS, HELD_OUT_COLORS, TRAIN_COLORS, ObjectSpec, Shape, Split
from sim.phrases import Noun, Phrases, PhraseSplit, plural
from sim.scene import PlacedObject, PlacementError, SceneConfig, SceneLayout, place, sample_layout
from sim.tabletop_asking import ASKING_FAMILIES
from sim.tabletop_draw import SMALL_SHAPES, Draft, Draw
from sim.tabletop_families import SKILL_FAMILIES
from sim.tabletop_goals import DIRECTIONS, RELATIONS, Goal
from sim.tabletop_hands import HAND_FAMILIES
from sim.tabletop_hard import GAP_M, Level, clutter, poor_light
from sim.tabletop_insert import INSERT_FAMILIES
from sim.tabletop_places import Placement, has_room, is_singled_out, stands
from sim.tabletop_rows import Question, Truth

__all__ = ["FAMILIES", "Draft", "Draw", "Task", "draw_task"]

SIZE_STEPS = (0.031, 0.041, 0.0535)  # extents differ by 30 % and more, and all fit the gripper
MIN_OBJECTS = 3


@dataclass(frozen=True)
class Task:
    """A task with its scene."""

    family: str
    instruction: str
    goal: Goal
    expected: Expected
    layout: SceneLayout
    meta: Mapping[str, Any]
    ask: Callable[[Truth], Question | None] | None = None


def draw_task(
    rng: np.random.Generator,
    family: str,
    config: SceneConfig,
    *,
    phrase_split: PhraseSplit,
    level: Level = "normal",
) -> Task:
    """Draw a task of a family.

    Args:
        rng: Source of randomness.
        family: Name of the family.
        config: How scenes are drawn.
        phrase_split: Whose sentences.
        level: How hard the scene is to see.

    Raises:
        ValueError: Unknown family; lists the valid ones.
        PlacementError: No placement was found; draw again from another generator.
    """
    if family not in ALL_FAMILIES:
        raise ValueError(f"unknown family {family!r}; families: {', '.join(ALL_FAMILIES)}")
    draw = Draw(rng)
    draft = ALL_FAMILIES[family](draw)
    if level == "hard":
        clutter(draw)
        draft = replace(draft, objects=tuple(draw.objects))
        config = replace(config, gap_m=min(config.gap_m, GAP_M))
    while len(draft.objects) < MIN_OBJECTS:
        draw.others(1, 1)
        draft = replace(draft, objects=tuple(draw.objects))
    for _ in range(60):
        placed = _placed(rng, draft, config)
        if placed and draft.accept({p.spec.name: p for p in placed}):
            break
    else:
        raise PlacementError(f"no placement of the {family} task makes its instruction unique")
    phrases = Phrases(rng, phrase_split)
    instruction = draft.say(phrases)
    layout = sample_layout(rng, placed, config)
    if level == "hard":
        layout = replace(layout, look=poor_light(rng, layout.look))
    meta = {"phrases": phrase_split, **draft.meta}
    asks = draft.ask
    ask = None if asks is None else lambda truth: asks(rng, truth, phrases)
    return Task(family, instruction, draft.goal, draft.expected, layout, meta, ask)


def _placed(rng: np.random.Generator, draft: Draft, config: SceneConfig) -> tuple[PlacedObject, ...] | None:
    """Stand the objects of a draft on the table; None if its own arrangement did not work out."""
    if draft.arrange is None:
        return place(rng, draft.objects, config)
    try:
        arranged = draft.arrange(rng, config)
        there = {p.spec.name for p in arranged}
        rest = [o for o in draft.objects if o.name not in there]
        return (*arranged, *place(rng, rest, config, fixed=arranged))
    except PlacementError:
        return None


def _misleading(objects: Sequence[ObjectSpec]) -> tuple[str, ...]:
    """Return words that would mean two kinds of object in this scene."""
    shapes = {o.shape for o in objects}
    return ("dish", "plate") if {"bowl", "tray"} <= shapes else ()


def _the(phrases: Phrases, noun: Noun, objects: Sequence[ObjectSpec] = ()) -> str:
    return phrases.noun(noun, _misleading(objects))


# ---- families -----------------------------------------------------------------------------------


def _container(draw: Draw) -> Draft:
    return _put_in(draw, bystanders=(1, 4))


def _put_in(
    draw: Draw, *, split: Split = "train", bystanders: tuple[int, int], shapes: Sequence[Shape] = ()
) -> Draft:
    target = draw.movable(split=split)
    among = HELD_OUT_COLORS if split == "held_out" else ()
    box = draw.container(target, split=split, among=among)
    nouns = draw.name(target), draw.name(box, plain=0.6)
    draw.others(*bystanders, shapes=shapes or (*SMALL_SHAPES, "mug"))
    objects = tuple(draw.objects)

    def say(p: Phrases) -> str:
        target_text = f"the {_the(p, nouns[0])}"
        return p.sentence("container", target=target_text, container=_the(p, nouns[1], objects))

    return Draft(objects, Goal("inside", target.name, box.name), say)


def _on_top(draw: Draw) -> Draft:
    target = draw.movable()
    if target.shape == "sphere" or draw.chance(0.6):
        support = draw.add("tray", draw.color(avoid=(target.color,)))
    else:
        size = np.array(
            [draw.rng.uniform(0.1, 0.12), draw.rng.uniform(0.09, 0.1), draw.rng.uniform(0.03, 0.04)]
        )
        support = draw.add("box", draw.color(avoid=(target.color,)), size_m=size)
    nouns = draw.name(target), draw.name(support, plain=0.0 if support.shape == "box" else 0.5)
    draw.others(1, 4)
    objects = tuple(draw.objects)

    def say(p: Phrases) -> str:
        target_text = f"the {_the(p, nouns[0])}"
        return p.sentence("on_top", target=target_text, container=_the(p, nouns[1], objects))

    return Draft(objects, Goal("on", target.name, support.name), say)


def _beside(draw: Draw) -> Draft:
    return _put_beside(draw)


def _put_beside(draw: Draw, split: Split = "train") -> Draft:
    target = draw.movable(split=split)
    among = HELD_OUT_COLORS if split == "held_out" else TRAIN_COLORS
    shape = draw.choice(("box", "cylinder", "mug", "bowl", "tray"))
    reference = draw.add(shape, draw.color(avoid=(target.color,), among=among), split=split)
    nouns = draw.name(target), draw.name(reference)
    relation = draw.choice(RELATIONS)
    draw.others(1, 3)
    objects = tuple(draw.objects)

    def say(p: Phrases) -> str:
        return p.sentence(
            "beside",
            target=f"the {_the(p, nouns[0])}",
            relation=p.relation(relation),
            reference=_the(p, nouns[1], objects),
        )

    def accept(placed: Placement) -> bool:
        return not stands(placed, target.name, reference.name, relation, loose=True) and has_room(
            placed, target, reference.name, relation
        )

    goal = Goal("beside", target.name, reference.name, relation)
    return Draft(objects, goal, say, accept=accept, meta={"relation": relation})


def _size(draw: Draw) -> Draft:
    shape = draw.choice(SMALL_SHAPES)
    count = draw.choice((2, 2, 3))
    color = draw.color()
    colors = [color] * count if draw.chance(0.6) else [draw.color() for _ in range(count)]
    steps = SIZE_STEPS if count == 3 else draw.choice((SIZE_STEPS[:2], SIZE_STEPS[1:], SIZE_STEPS[::2]))
    rise = draw.rng.uniform(1.2, 1.5) if shape == "cylinder" else 1.0
    rivals = [
        draw.add(shape, c, size_m=np.array([s, s, s * rise])) for c, s in zip(colors, steps, strict=True)
    ]
    wants_large = draw.chance(0.5)
    target = rivals[-1] if wants_large else rivals[0]
    group = Noun(
        "cube" if shape == "box" and draw.chance(0.5) else shape, colors[0] if len(set(colors)) == 1 else None
    )
    draw.nouns.append(group)
    form = {2: ("smaller", "larger"), 3: ("smallest", "largest")}[count][wants_large]
    is_plain = count == 2 and draw.chance(0.3)  # "the big ball" rather than "the bigger ball"
    wants_hold = draw.chance(0.35)
    box = None if wants_hold else draw.container(target)
    box_noun = draw.name(box, plain=0.6) if box else None
    draw.others(0, 2)
    objects = tuple(draw.objects)

    def say(p: Phrases) -> str:
        noun = _the(p, group)
        size = p.word("sizes", ("small", "large")[wants_large] if is_plain else form)
        phrase = (
            f"the {size} {noun}" if is_plain else p.target(form, size=size, object=noun, objects=plural(noun))
        )
        if box_noun is None:
            return p.sentence("pick_up", target=phrase)
        return p.sentence("container", target=phrase, container=_the(p, box_noun, objects))

    goal = Goal("inside", target.name, box.name) if box else Goal("held", target.name)
    return Draft(objects, goal, say, meta={"form": form, "rivals": [r.name for r in rivals]})


def _referring(draw: Draw) -> Draft:
    shape, color = draw.choice(SMALL_SHAPES), draw.color()
    rivals = [draw.add(shape, color) for _ in range(draw.choice((2, 2, 3)))]
    target = rivals[0]
    noun = Noun(shape, color)
    draw.nouns.append(noun)
    form = draw.choice(
        ("relational", "relational", "nearest", "leftmost", "rightmost", "nearest_robot", "nearest_viewer")
    )
    reference = ref_noun = None
    if form in ("relational", "nearest"):
        reference = draw.add(draw.choice(("mug", "box", "cylinder")), draw.color(avoid=(color,)))
        ref_noun = draw.name(reference, plain=0.3)
    relation = draw.choice(DIRECTIONS)
    wants_hold = draw.chance(0.35)
    box = None if wants_hold else draw.container(target)
    box_noun = draw.name(box, plain=0.6) if box else None
    draw.others(0, 1)
    objects = tuple(draw.objects)

    def say(p: Phrases) -> str:
        slots = {"object": _the(p, noun)}
        if ref_noun is not None:
            slots |= {"reference": _the(p, ref_noun, objects), "relation": p.relation(relation)}
        phrase = p.target(form, **slots)
        if box_noun is None:
            return p.sentence("pick_up", target=phrase)
        return p.sentence("container", target=phrase, container=_the(p, box_noun, objects))

    def accept(placed: Placement) -> bool:
        names = [r.name for r in rivals]
        return is_singled_out(placed, names, form, relation, reference.name if reference else "")

    goal = Goal("inside", target.name, box.name) if box else Goal("held", target.name)
    meta = {
        "form": form,
        "relation": relation if form == "relational" else "",
        "rivals": [r.name for r in rivals],
    }
    return Draft(objects, goal, say, accept=accept, meta=meta)


def _pick_up(draw: Draw) -> Draft:
    target = draw.add("mug", draw.color()) if draw.chance(0.12) else draw.movable()
    noun = draw.name(target)
    draw.others(2, 5, shapes=(*SMALL_SHAPES, "mug", "bowl"))
    return Draft(
        tuple(draw.objects),
        Goal("held", target.name),
        lambda p: p.sentence("pick_up", target=f"the {_the(p, noun)}"),
    )


def _distractors(draw: Draw) -> Draft:
    """As `container`, among objects of the target's colour or shape and a second container."""
    target = draw.movable()
    box = draw.container(target)
    nouns = Noun(target.shape, target.color), Noun(box.shape, box.color)
    draw.nouns += nouns
    for k in range(int(draw.rng.integers(3, 5))):
        if k % 2:
            shape = draw.choice([s for s in (*SMALL_SHAPES, "mug") if s != target.shape])
            draw.add(shape, target.color)
        else:
            draw.add(target.shape, draw.color(avoid=(target.color,)))
    if len(draw.objects) < 7 and draw.chance(0.4):
        draw.add(box.shape, draw.color(avoid=(box.color, target.color)))
    objects = tuple(draw.objects)

    def say(p: Phrases) -> str:
        target_text = f"the {_the(p, nouns[0])}"
        return p.sentence("container", target=target_text, container=_the(p, nouns[1], objects))

    return Draft(objects, Goal("inside", target.name, box.name), say)


def _impossible(draw: Draw) -> Draft:
    kind = draw.choice(("absent_object", "absent_container", "too_wide", "does_not_fit"))
    if kind == "too_wide":
        edge = draw.rng.uniform(0.092, 0.105, 3) * [1, 1, 0.8]
        target = draw.add("box", draw.color(), size_m=edge)
        said = Noun("box", target.color)
    elif kind == "does_not_fit":
        target = draw.add("tray", draw.color())
        said = Noun("tray", target.color)
    else:
        target = draw.movable()
        said = Noun(target.shape, target.color)
    draw.nouns.append(said)
    if kind == "does_not_fit":
        box = draw.add("bowl", draw.color(avoid=(target.color,)))
    else:
        box = draw.container(target) if kind != "too_wide" else draw.add("bowl", draw.color())
    box_noun = Noun(box.shape, box.color)
    draw.nouns.append(box_noun)
    draw.others(2, 4)
    if kind == "absent_object":
        draw.objects.remove(target)
        draw.add(target.shape, draw.color(avoid=(target.color,)))  # right shape, wrong colour
    if kind == "absent_container":
        draw.objects.remove(box)
    holds = kind in ("absent_object", "too_wide") and draw.chance(0.5)
    objects = tuple(draw.objects)

    def say(p: Phrases) -> str:
        text = f"the {_the(p, said)}"
        if holds:
            return p.sentence("pick_up", target=text)
        return p.sentence("container", target=text, container=_the(p, box_noun, objects))

    return Draft(objects, Goal("still"), say, "refused", meta={"why": kind})


def _unclear(draw: Draw) -> Draft:
    """Two objects fit the words for target, container or reference."""
    kind = draw.choice(("target", "target", "container", "reference"))
    target = draw.movable()
    nouns = [Noun(target.shape, target.color)]
    if kind == "target":
        draw.add(target.shape, target.color)
    draw.nouns += nouns
    other = None
    wants_hold = kind == "target" and draw.chance(0.35)
    if kind == "reference":
        other = draw.add(draw.choice(("mug", "box", "cylinder")), draw.color(avoid=(target.color,)))
        draw.add(other.shape, other.color)
    elif not wants_hold:
        other = draw.container(target)
        if kind == "container":
            draw.add(other.shape, other.color)
    if other:
        draw.nouns.append(Noun(other.shape, other.color))
    draw.others(1, 2)
    relation = draw.choice(DIRECTIONS)

    def say(p: Phrases) -> str:
        text = f"the {_the(p, nouns[0])}"
        if other is None:
            return p.sentence("pick_up", target=text)
        other_text = _the(p, Noun(other.shape, other.color), draw.objects)
        if kind == "reference":
            return p.sentence("beside", target=text, relation=p.relation(relation), reference=other_text)
        return p.sentence("container", target=text, container=other_text)

    return Draft(tuple(draw.objects), Goal("still"), say, "refused", meta={"why": f"ambiguous_{kind}"})


def _held_out(draw: Draw) -> Draft:
    if draw.chance(0.6):
        return _put_in(draw, split="held_out", bystanders=(1, 3))
    return _put_beside(draw, split="held_out")


def _mixed(draw: Draw) -> Draft:
    """Always a red block and one bowl, for instructions that a user brings along."""
    target = draw.add("box", "red", size_m=np.full(3, draw.rng.uniform(0.038, 0.046)))
    bowl = draw.add("bowl", draw.color(avoid=("red", "black", "gray")))
    draw.nouns += [Noun("box", "red"), Noun("bowl")]
    if draw.chance(0.4):
        tray = draw.add("tray", draw.color(avoid=("red", "black", bowl.color)))
        draw.nouns.append(Noun("tray"))
        draw.nouns.append(Noun("tray", tray.color))
    colors = [c for c in COLORS if c != "red"]
    for shape in draw.rng.permutation(["box", "cylinder", "sphere", "mug"])[: int(draw.rng.integers(2, 5))]:
        color = draw.choice(colors)
        colors.remove(color)
        draw.add(str(shape), color)  # pyright: ignore[reportArgumentType]
    return Draft(
        tuple(draw.objects),
        Goal("inside", target.name, bowl.name),
        lambda _: "put the red block in the bowl",
    )


FAMILIES: dict[str, Callable[[Draw], Draft]] = {
    "container": _container,
    "on_top": _on_top,
    "beside": _beside,
    "size": _size,
    "referring": _referring,
    "pick_up": _pick_up,
    "distractors": _distractors,
    "impossible": _impossible,
    "unclear": _unclear,
    "held_out": _held_out,
    "mixed": _mixed,
}

ALL_FAMILIES: Mapping[str, Callable[[Draw], Draft]] = ChainMap(
    HAND_FAMILIES, INSERT_FAMILIES, ASKING_FAMILIES, SKILL_FAMILIES, FAMILIES
)
"""All of them, those that are added to `FAMILIES` later too."""
