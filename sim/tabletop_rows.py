"""Questions about a tabletop scene with exact answers, computed from true state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from perception_tools.geometry import FloatArray
from sim.objects import SHAPES, ObjectSpec
from sim.phrases import plural
from sim.tabletop_goals import DIRECTIONS, BodyPose, Direction, direction_vector, is_towards

AnswerType = Literal["yes_no", "integer", "word", "number"]
_WORDS = {"box": "block", "sphere": "ball"}
_RELATION_WORDS: dict[Direction, str] = {
    "left_of": "to the left of",
    "right_of": "to the right of",
    "in_front_of": "in front of",
    "behind": "behind",
}


@dataclass(frozen=True)
class Question:
    """A question with its true answer.

    Attributes:
        kind: relation, count, color, distance, height or extreme.
        text: The question.
        answer: Truth: "yes"/"no", an integer, a word, or a number.
        answer_type: How to compare.
        unit: Unit of a number.
        tolerance: Largest error of a number that counts as right, in `unit`.
        meta: What it is about.
    """

    kind: str
    text: str
    answer: str | int | float
    answer_type: AnswerType
    unit: str = ""
    tolerance: float = 0.0
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Truth:
    """What questions are asked about: objects, where they are, and the viewer's axes."""

    objects: tuple[ObjectSpec, ...]
    poses: Mapping[str, BodyPose]
    viewer: tuple[FloatArray, FloatArray]

    def point(self, obj: ObjectSpec) -> FloatArray:
        """Return an object's centre in world [m], (3,)."""
        return self.poses[obj.name].position_m


def ask(rng: np.random.Generator, truth: Truth) -> Question:
    """Draw a question that has one clear answer in this scene."""
    order = rng.permutation(len(_KINDS))
    for k in order:
        question = _KINDS[k](rng, truth)
        if question is not None:
            return question
    raise ValueError("no question has a clear answer in a scene without objects")


def _name(obj: ObjectSpec) -> str:
    return f"{obj.color} {_WORDS.get(obj.shape, obj.shape)}"


def _pair(rng: np.random.Generator, truth: Truth) -> tuple[ObjectSpec, ObjectSpec] | None:
    names = [_name(o) for o in truth.objects]
    unique = [o for o in truth.objects if names.count(_name(o)) == 1]
    if len(unique) < 2:
        return None
    a, b = rng.choice(len(unique), 2, replace=False)
    return unique[a], unique[b]


def _relation(rng: np.random.Generator, truth: Truth) -> Question | None:
    pair = _pair(rng, truth)
    if pair is None:
        return None
    offset = (truth.point(pair[0]) - truth.point(pair[1]))[:2]
    clear: list[Direction] = [
        d for d in DIRECTIONS if abs(offset @ direction_vector(d, *truth.viewer)) > 0.04
    ]
    if not clear:
        return None
    relation: Direction = clear[int(rng.integers(len(clear)))]
    vector = direction_vector(relation, *truth.viewer)
    is_true = bool(offset @ vector > 0)
    if is_true and not is_towards(offset, vector):  # true only in part: a person might say no
        return None
    text = f"is the {_name(pair[0])} {_RELATION_WORDS[relation]} the {_name(pair[1])}?"
    meta = {"a": pair[0].name, "b": pair[1].name, "relation": relation}
    return Question("relation", text, "yes" if is_true else "no", "yes_no", meta=meta)


def _count(rng: np.random.Generator, truth: Truth) -> Question | None:
    if rng.random() < 0.5:
        color = truth.objects[int(rng.integers(len(truth.objects)))].color
        answer = sum(o.color == color for o in truth.objects)
        return Question("count", f"how many {color} objects are there?", answer, "integer")
    if rng.random() < 0.3:
        return Question("count", "how many objects are on the table?", len(truth.objects), "integer")
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    answer = sum(o.shape == shape for o in truth.objects)
    return Question("count", f"how many {plural(_WORDS.get(shape, shape))} are there?", answer, "integer")


def _color(rng: np.random.Generator, truth: Truth) -> Question | None:
    shapes = [o.shape for o in truth.objects]
    single = [o for o in truth.objects if shapes.count(o.shape) == 1]
    if not single:
        return None
    obj = single[int(rng.integers(len(single)))]
    text = f"what colour is the {_WORDS.get(obj.shape, obj.shape)}?"
    return Question("color", text, obj.color, "word", meta={"a": obj.name})


def _distance(rng: np.random.Generator, truth: Truth) -> Question | None:
    pair = _pair(rng, truth)
    if pair is None:
        return None
    distance_cm = 100 * float(np.linalg.norm((truth.point(pair[0]) - truth.point(pair[1]))[:2]))
    text = (
        f"how far apart are the centres of the {_name(pair[0])} and the {_name(pair[1])} on the table, in cm?"
    )
    meta = {"a": pair[0].name, "b": pair[1].name}
    return Question("distance", text, round(distance_cm, 2), "number", "cm", 2.0, meta)


def _height(rng: np.random.Generator, truth: Truth) -> Question | None:
    pair = _pair(rng, truth)
    if pair is None:
        return None
    height_cm = 100 * pair[0].size_m[2]
    text = f"how tall is the {_name(pair[0])}, in cm?"
    return Question("height", text, round(height_cm, 2), "number", "cm", 1.0, {"a": pair[0].name})


def _extreme(rng: np.random.Generator, truth: Truth) -> Question | None:
    right, _ = truth.viewer
    side = ("leftmost", "rightmost")[int(rng.integers(2))]
    sign = 1 if side == "leftmost" else -1
    order = sorted(truth.objects, key=lambda o: sign * float(truth.point(o)[:2] @ right))
    if len(order) < 2 or abs((truth.point(order[0]) - truth.point(order[1]))[:2] @ right) < 0.03:
        return None
    return Question(
        "extreme", f"what colour is the {side} object?", order[0].color, "word", meta={"a": order[0].name}
    )


_KINDS: tuple[Callable[[np.random.Generator, Truth], Question | None], ...] = (
    _relation,
    _count,
    _color,
    _distance,
    _height,
    _extreme,
)
