"""Families of tabletop tasks: which objects stand where, what is asked, and what would be right.

A family draws a `Draft`: objects, goal and sentence, such that the instruction is unique (or is
ambiguous or impossible on purpose), plus a test that the placement must pass. `draw_task` adds the
placement. Whether the start truly is as intended is checked again on the settled scene by
`TabletopWorld`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from perception_tools.geometry import FloatArray
from policies.world import Expected
from sim.objects import COLORS, HELD_OUT_COLORS, TRAIN_COLORS, ObjectSpec, Shape, Split, sample_object
from sim.phrases import Noun, Phrases, PhraseSplit, plural
from sim.scene import PlacedObject, PlacementError, SceneConfig, SceneLayout, place, sample_layout
from sim.tabletop_goals import (
    BESIDE_RANGE_M,
    DIRECTIONS,
    RELATIONS,
    BodyPose,
    Direction,
    Goal,
    direction_vector,
    footprint_gap_m,
    is_towards,
)

# Nominal axes of the viewer (to its right, away from it); the camera's jitter is within 2 degrees.
VIEWER = (np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
SMALL_SHAPES: tuple[Shape, ...] = ("box", "cylinder", "sphere")
SIZE_STEPS = (0.031, 0.041, 0.0535)  # extents differ by 30 % and more, and all fit the gripper
MIN_OBJECTS = 3
MARGIN_M = 0.05  # by which "nearest", "leftmost" and the like are clear

Placement = Mapping[str, PlacedObject]
Accept = Callable[[Placement], bool]


@dataclass(frozen=True)
class Draft:
    """A task before its objects stand anywhere.

    Attributes:
        objects: The objects.
        goal: What shall hold.
        say: Turns phrases into the instruction.
        expected: What would be right.
        accept: Whether a placement makes the instruction mean what it should.
        meta: Facts for reports.
    """

    objects: tuple[ObjectSpec, ...]
    goal: Goal
    say: Callable[[Phrases], str]
    expected: Expected = "done"
    accept: Accept = lambda _: True
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A task with its scene."""

    family: str
    instruction: str
    goal: Goal
    expected: Expected
    layout: SceneLayout
    meta: Mapping[str, Any]


def draw_task(
    rng: np.random.Generator, family: str, config: SceneConfig, *, phrase_split: PhraseSplit
) -> Task:
    """Draw a task of a family.

    Raises:
        ValueError: Unknown family; lists the valid ones.
        PlacementError: No placement was found; draw again from another generator.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; families: {', '.join(FAMILIES)}")
    draw = Draw(rng)
    draft = FAMILIES[family](draw)
    while len(draft.objects) < MIN_OBJECTS:
        draw.others(1, 1)
        draft = replace(draft, objects=tuple(draw.objects))
    for _ in range(60):
        placed = place(rng, draft.objects, config)
        if draft.accept({p.spec.name: p for p in placed}):
            break
    else:
        raise PlacementError(f"no placement of the {family} task makes its instruction unique")
    instruction = draft.say(Phrases(rng, phrase_split))
    layout = sample_layout(rng, placed, config)
    meta = {"phrases": phrase_split, **draft.meta}
    return Task(family, instruction, draft.goal, draft.expected, layout, meta)


# ---- drawing objects ----------------------------------------------------------------------------


class Draw:
    """Draws objects that are told apart by the nouns that matter."""

    def __init__(self, rng: np.random.Generator) -> None:
        """See the class."""
        self.rng = rng
        self.objects: list[ObjectSpec] = []
        self.nouns: list[Noun] = []

    def choice(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return bool(self.rng.random() < probability)

    def add(
        self, shape: Shape, color: str, *, split: Split = "train", size_m: FloatArray | None = None
    ) -> ObjectSpec:
        """Draw an object and keep it."""
        alike = [o for o in self.objects if (o.color, o.shape) == (color, shape)]
        name = f"{color}_{shape}" + (f"_{len(alike) + 1}" if alike else "")
        obj = sample_object(self.rng, name, shape, color, split=split)
        if size_m is not None:
            mass = obj.mass_kg * float(np.prod(size_m) / np.prod(obj.size_m))
            x, y, z = (float(s) for s in size_m)
            obj = replace(obj, size_m=(x, y, z), mass_kg=max(0.015, mass))
        self.objects.append(obj)
        return obj

    def color(self, *, avoid: Sequence[str] = (), among: Sequence[str] = TRAIN_COLORS) -> str:
        """Draw a colour that is not to be avoided."""
        return self.choice([c for c in among if c not in avoid])

    def movable(self, *, split: Split = "train", avoid: Sequence[str] = ()) -> ObjectSpec:
        """Draw an object that shall be grasped."""
        among = HELD_OUT_COLORS if split == "held_out" else TRAIN_COLORS
        return self.add(self.choice(SMALL_SHAPES), self.color(avoid=avoid, among=among), split=split)

    def container(
        self, target: ObjectSpec, *, split: Split = "train", among: Sequence[str] = ()
    ) -> ObjectSpec:
        """Draw a bowl or tray that the target fits into."""
        while True:
            shape: Shape = self.choice(("bowl", "bowl", "tray"))
            obj = self.add(shape, self.color(avoid=(target.color,), among=among or TRAIN_COLORS), split=split)
            if fits_into(target, obj):
                return obj
            self.objects.pop()

    def others(self, low: int, high: int, shapes: Sequence[Shape] = (*SMALL_SHAPES, "mug")) -> None:
        """Add bystanders that none of `nouns` could mean."""
        for _ in range(int(self.rng.integers(low, high + 1))):
            for _ in range(50):
                obj = self.add(self.choice(shapes), self.color())
                if not any(noun.fits(obj) for noun in self.nouns):
                    break
                self.objects.pop()

    def name(self, obj: ObjectSpec, *, plain: float = 0.2) -> Noun:
        """Choose a noun for an object; with probability `plain` without colour where that is unique.

        Call it before bystanders are added, so that they keep clear of it.
        """
        shape = "cube" if obj.is_cube and self.chance(0.5) else obj.shape
        noun = Noun(shape, obj.color)
        bare = Noun(obj.shape)
        rest = [o for o in self.objects if o is not obj]
        if self.chance(plain) and not any(bare.fits(o) for o in rest):
            noun = Noun(shape)
        self.nouns.append(noun)
        return noun


def fits_into(target: ObjectSpec, container: ObjectSpec) -> bool:
    """Whether an object can lie in a container with at least 8 mm of room all around."""
    opening = min(container.size_m[:2]) - 2 * container.wall_m
    if container.shape == "bowl":
        return max(float(np.hypot(*target.size_m[:2])), target.size_m[2]) + 0.016 < opening
    return max(target.size_m) + 0.016 < opening


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
        return not _stands(placed, target.name, reference.name, relation, loose=True) and has_room(
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
        "cube" if shape == "box" and draw.chance(0.5) else shape, color if len(set(colors)) == 1 else None
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
        return _is_singled_out(placed, names, form, relation, reference.name if reference else "")

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


# ---- what placements must satisfy ---------------------------------------------------------------


def has_room(placed: Placement, target: ObjectSpec, reference: str, relation: str) -> bool:
    """Whether the target can be put down where it is asked for: in reach, clear of all else."""
    directions = DIRECTIONS if relation == "next_to" else (relation,)
    return any(_free_spot(placed, target, reference, d) is not None for d in directions)


def _free_spot(placed: Placement, target: ObjectSpec, reference: str, direction: str) -> FloatArray | None:
    ref = placed[reference]
    radius = float(np.hypot(*target.size_m[:2])) / 2
    vector = direction_vector(_direction(direction), *VIEWER)
    extent = float(((ref.outline() - np.array(ref.position_m[:2])) @ vector).max())
    others = [p.outline() for n, p in placed.items() if n not in (reference, target.name)]
    for gap in (0.045, 0.06, 0.08):
        distance = extent + radius + gap
        spot = np.array(ref.position_m[:2]) + distance * vector
        in_reach = 0.33 <= spot[0] <= 0.7 and abs(spot[1]) <= 0.3
        clear = all(np.linalg.norm(o - spot, axis=1).min() > radius + 0.03 for o in others)
        if in_reach and clear and distance < BESIDE_RANGE_M - 0.02:
            return spot
    return None


def _direction(word: str) -> Direction:
    return next(d for d in DIRECTIONS if d == word)


def _upright(p: PlacedObject) -> tuple[ObjectSpec, BodyPose]:
    c, s = np.cos(p.yaw_rad), np.sin(p.yaw_rad)
    return p.spec, BodyPose(np.array(p.position_m), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]))


def _stands(placed: Placement, a: str, b: str, relation: str, *, loose: bool = False) -> bool:
    """Whether `a` stands in a relation to `b`; `loose` also counts what is nearly so."""
    offset = np.subtract(placed[a].position_m, placed[b].position_m)[:2]
    if relation == "next_to":
        gap = footprint_gap_m(*_upright(placed[a]), *_upright(placed[b]))
        return gap <= (0.17 if loose else 0.1)
    vector = direction_vector(_direction(relation), *VIEWER)
    if loose:
        return bool(offset @ vector > -0.02)
    near = np.linalg.norm(offset) <= BESIDE_RANGE_M - 0.02
    return bool(near and offset @ vector > 0.04 and is_towards(offset, vector, tangent=1.0))


def _is_singled_out(
    placed: Placement, rivals: Sequence[str], form: str, relation: str, reference: str
) -> bool:
    """Whether the words mean the first of the rivals, and clearly so."""
    first, *rest = rivals
    if form == "relational":
        return _stands(placed, first, reference, relation) and not any(
            _stands(placed, r, reference, relation, loose=True) for r in rest
        )
    points = {n: np.array(placed[n].position_m[:2]) for n in placed}
    right, away = VIEWER
    cost: Callable[[str], float] = {
        "leftmost": lambda n: float(points[n] @ right),
        "rightmost": lambda n: float(-points[n] @ right),
        "nearest_robot": lambda n: float(np.linalg.norm(points[n])),
        "nearest_viewer": lambda n: float(points[n] @ away),
        "nearest": lambda n: float(np.linalg.norm(points[n] - points[reference])) if reference else 0.0,
    }[form]
    return all(cost(first) + MARGIN_M < cost(r) for r in rest)
