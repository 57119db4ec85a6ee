"""Typed syntax of instructions: what `parse` returns and the planner carries out.

A `Description` is a determiner and constraints ("the largest red block left of the mug"); a step
or question holds descriptions. Everything is frozen and hashable, so two readings of one sentence
are equal exactly when they mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

Frame = Literal["camera", "robot"]
Determiner = Literal["the", "a", "all", "none", "it", "them"]
Landmark = Literal["table", "robot", "viewer", "hand"]
Degrees = Literal["positive", "comparative", "superlative"]


@dataclass(frozen=True)
class Colored:
    """Has one of the perceptual colour names; `alternates` only where none has.

    Attributes:
        word: As the user said it.
        names: Names of the detector that the word means.
        alternates: Names that the detector may give to such a surface.
        negated: "not red".
    """

    word: str
    names: tuple[str, ...]
    alternates: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class Shaped:
    """Has one of the detector's shapes; `is_container` asks for that property instead of a shape."""

    word: str
    names: tuple[str, ...] = ()
    alternates: tuple[str, ...] = ()
    is_container: bool = False
    negated: bool = False


@dataclass(frozen=True)
class Degree:
    """Ranks by a measure: "big", "larger", "second from the left", "closest to the bowl".

    Attributes:
        word: As the user said it.
        key: size, height, width, length, medium, near, far, top, bottom, middle, left, right, front,
            back, or a corner such as "back left".
        most: Whether the greatest is meant ("smallest": key size, most False).
        form: "big" positive, "bigger" comparative, "biggest" superlative.
        rank: 1 for the first.
        anchor: Of near and far; None is the viewer.
        frame: Whose left and right.
    """

    word: str
    key: str
    most: bool = True
    form: Degrees = "superlative"
    rank: int = 1
    anchor: Description | None = None
    frame: Frame = "camera"


@dataclass(frozen=True)
class Related:
    """Stands in a spatial relation to each of `anchors` ("left_of" the mug, "between" two)."""

    relation: str
    anchors: tuple[Description, ...]
    frame: Frame = "camera"
    negated: bool = False


@dataclass(frozen=True)
class Compared:
    """Has more (or less) of a measure than the anchor: "bigger than the mug".

    `reference` belongs to near and far: "closer to the bowl (reference) than the mug (anchor)".
    """

    word: str
    key: str
    most: bool
    anchor: Description
    reference: Description | None = None


@dataclass(frozen=True)
class SameAs:
    """Has the same color, shape or size as the anchor; as one another if there is none."""

    attribute: str
    anchor: Description | None


@dataclass(frozen=True)
class State:
    """Is empty, full or held."""

    name: Literal["empty", "full", "held"]
    negated: bool = False


@dataclass(frozen=True)
class Unseen:
    """A modifier that no tool can check ("wooden", or a word that is not in the lexicon)."""

    word: str


@dataclass(frozen=True)
class Named:
    """A head noun outside the lexicon ("banana"): only the detector can tell."""

    word: str


@dataclass(frozen=True)
class Except:
    """Is none of what the description names."""

    description: Description


@dataclass(frozen=True)
class Either:
    """Is what one of the descriptions names."""

    descriptions: tuple[Description, ...]


@dataclass(frozen=True)
class Other:
    """Is none of the objects spoken of so far ("the other block", "the rest")."""


Constraint = (
    Colored | Shaped | Degree | Related | Compared | SameAs | State | Unseen | Named | Except | Either | Other
)


@dataclass(frozen=True)
class Description:
    """Words that pick out objects.

    Attributes:
        determiner: "the" one, "a" (any), "all" (or `count` of them), "none" (no determiner),
            "it"/"them": what was spoken of last.
        constraints: In the order in which they apply.
        count: Number said, or None.
        landmark: Not an object but the table, the robot, the viewer or the hand.
        text: The words, for messages; not part of equality.
        is_one: The head was "one": takes the shape of what was spoken of last where that helps.
    """

    determiner: Determiner = "none"
    constraints: tuple[Constraint, ...] = ()
    count: int | None = None
    landmark: Landmark | None = None
    text: str = ""
    is_one: bool = False

    def __eq__(self, other: object) -> bool:
        """Compare all but the text."""
        return isinstance(other, Description) and self._key() == other._key()

    def __hash__(self) -> int:
        """Hash what `__eq__` compares."""
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.determiner, self.constraints, self.count, self.landmark, self.is_one)

    def adding(self, *constraints: Constraint) -> Description:
        """Return this description with further constraints."""
        return replace(self, constraints=self.constraints + constraints)

    @property
    def is_pronoun(self) -> bool:
        """Whether it only points back ("it", "them")."""
        return self.determiner in ("it", "them")

    @property
    def wants_many(self) -> bool:
        """Whether it may name several objects."""
        return self.determiner in ("all", "them") or (self.count or 1) > 1


IT = Description("it", text="it")


@dataclass(frozen=True)
class Target:
    """Where something should come to rest.

    `relation` is inside, on, left_of, right_of, in_front_of, behind, next_to, above, below, between,
    "to" (in it or beside it, as fits), "away_from" or "anywhere" (on the table, no anchor). A
    directional relation without anchor is relative to where the object stands now; "origin" is where
    it stood at first. `distance_m` is the distance said ("10 cm left of") [m]. `is_motion`: the
    preposition can only tell where something goes ("into"); not part of equality.
    """

    relation: str
    anchors: tuple[Description, ...] = ()
    frame: Frame = "camera"
    distance_m: float | None = None
    is_motion: bool = field(default=False, compare=False)


# ---- steps --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """Put objects somewhere; `how` is "push" where they shall be pushed rather than lifted."""

    objects: tuple[Description, ...]
    target: Target
    how: Literal["", "push"] = ""


@dataclass(frozen=True)
class PickUp:
    """Pick up and keep holding; with a tool in the hand, if one is named."""

    object: Description
    tool: str = ""


@dataclass(frozen=True)
class SetOpening:
    """Bring the tips of a tool in the hand to an opening `width_m`, or change it by `change_m` [m]."""

    tool: str
    width_m: float | None = None
    change_m: float | None = None


@dataclass(frozen=True)
class Release:
    """Put down what is held."""

    object: Description = IT


@dataclass(frozen=True)
class Stack:
    """Stack objects on one another, in any order, or from the lowest to the highest."""

    objects: tuple[Description, ...]
    is_ordered: bool = False


@dataclass(frozen=True)
class Arrange:
    """Stand objects in a row.

    Attributes:
        objects: What, in the order said if `is_listed`.
        key: size, height, width or length; "" for no order or the one said.
        is_ascending: Whether the measure grows from the first to the last.
        direction: Where the row goes: the last one stands `right_of` the first, say.
        is_listed: Whether the order is the one in which they are listed.
    """

    objects: tuple[Description, ...]
    key: str = ""
    is_ascending: bool = True
    direction: str = "right_of"
    is_listed: bool = False


@dataclass(frozen=True)
class If:
    """Steps to do if a yes-or-no question is answered by yes, and those to do if not."""

    condition: Question
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Unclear:
    """Something is missing; `question` asks for it. `known` is what was understood, for the answer."""

    question: str
    known: tuple[object, ...] = ()


@dataclass(frozen=True)
class Swap:
    """Exchange the places of two objects."""

    objects: tuple[Description, ...]


@dataclass(frozen=True)
class Empty:
    """Take everything out of a container."""

    container: Description
    target: Target = Target("anywhere")


@dataclass(frozen=True)
class HandOver:
    """Hold something out to a person, and let go when they pull."""

    object: Description


@dataclass(frozen=True)
class Insert:
    """Put something into the hole of something.

    Attributes:
        object: What goes in.
        into: What has the hole; None for whatever has one.
        hole: Whether it is said to be round or square.
        is_peg: It is called a peg: what is slim and round or square.
    """

    object: Description
    into: Description | None = None
    hole: Literal["", "round", "square"] = ""
    is_peg: bool = False


@dataclass(frozen=True)
class Regrasp:
    """Hold what is held in another way."""

    object: Description = IT
    how: Literal["turned", "centred", "best"] = "turned"


@dataclass(frozen=True)
class LookAt:
    """Bring the wrist camera over something."""

    object: Description


@dataclass(frozen=True)
class Mention:
    """Only speak of something ("find the red block, then ..."); alone it asks where it is."""

    object: Description


@dataclass(frozen=True)
class Gesture:
    """Home the arm, open or close the gripper, or stop."""

    name: Literal["home", "open_gripper", "close_gripper", "stop"]


@dataclass(frozen=True)
class Forbid:
    """A prohibition: nothing to do."""

    step: Step


@dataclass(frozen=True)
class Unsupported:
    """Something that no skill does ("paint")."""

    verb: str


Step = (
    Move
    | PickUp
    | SetOpening
    | Release
    | Stack
    | Arrange
    | If
    | Unclear
    | Swap
    | Empty
    | HandOver
    | Insert
    | Regrasp
    | LookAt
    | Mention
    | Gesture
    | Forbid
    | Unsupported
)


@dataclass(frozen=True)
class Task:
    """Steps to carry out in order."""

    steps: tuple[Step, ...]


# ---- questions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How many are there."""

    object: Description


@dataclass(frozen=True)
class Exists:
    """Is there one (or `count`)."""

    object: Description


@dataclass(frozen=True)
class Holds:
    """Does the subject satisfy the predicate: "is the block left of the mug?", "is it red?"."""

    subject: Description
    predicate: tuple[Constraint, ...]


@dataclass(frozen=True)
class Ask:
    """What color, shape, size, height, width or length has it."""

    attribute: str
    object: Description


@dataclass(frozen=True)
class Which:
    """Which one is it; `among` restricts to listed alternatives ("the block or the ball")."""

    object: Description
    among: tuple[Description, ...] = ()


@dataclass(frozen=True)
class Where:
    """Where is it."""

    object: Description


@dataclass(frozen=True)
class HowFar:
    """Distance between two: of their centres, or the gap between them."""

    a: Description
    b: Description
    kind: Literal["centres", "gap"] = "centres"


@dataclass(frozen=True)
class Difference:
    """By how much one exceeds another in a measure."""

    key: str
    a: Description
    b: Description


@dataclass(frozen=True)
class Fits:
    """Is there room for it at the target (`object` None: for something of usual size), or is there not."""

    object: Description | None
    target: Target
    is_negated: bool = False


@dataclass(frozen=True)
class CompareCounts:
    """Are there more, fewer or equally many of a than of b."""

    a: Description
    b: Description
    relation: Literal["more", "fewer", "equal"]


@dataclass(frozen=True)
class Weigh:
    """How heavy is it; or which of them is heavier (lighter), is the first, and by how much.

    Attributes:
        objects: What is weighed.
        kind: "each" tells all weights, "which" the heaviest, "is" whether the first is heavier than the
            second, "by" their difference, "sum" all together, "same" whether they weigh the same, "over"
            whether it exceeds `limit_kg`.
        most: Whether the heavier one is asked for.
        limit_kg: Of "over" [kg].
    """

    objects: tuple[Description, ...]
    kind: Literal["each", "which", "is", "by", "sum", "same", "over"] = "each"
    most: bool = True
    limit_kg: float = 0.0


@dataclass(frozen=True)
class Sight:
    """How well is it seen.

    Attributes:
        object: What.
        kind: "seen" whether it is visible, "whole" whether all of it is, "hidden" whether it is not, "hider"
            what hides it, "hides" what it hides.
        by: What is said to hide it.
    """

    object: Description
    kind: Literal["seen", "whole", "hidden", "hider", "hides"] = "seen"
    by: Description | None = None


@dataclass(frozen=True)
class Changed:
    """What has changed since the last picture, or whether one thing has."""

    object: Description | None = None


Question = (
    CompareCounts
    | Count
    | Exists
    | Holds
    | Ask
    | Which
    | Where
    | HowFar
    | Difference
    | Fits
    | Weigh
    | Sight
    | Changed
)
Reading = Task | Question

NodeT = TypeVar("NodeT")


def descendants(node: Any) -> Iterator[Any]:
    """Yield a node and every syntax node below it, parents first."""
    if is_dataclass(node) and not isinstance(node, type):
        yield node
        for f in fields(node):
            yield from descendants(getattr(node, f.name))
    elif isinstance(node, tuple):
        for item in node:
            yield from descendants(item)


def with_frame(node: NodeT, frame: Frame) -> NodeT:
    """Return a copy of a node in which all spatial words are meant from `frame`."""
    if isinstance(node, tuple):
        return tuple(with_frame(item, frame) for item in node)  # pyright: ignore[reportReturnType]
    if not is_dataclass(node) or isinstance(node, type):
        return node
    changes = {f.name: with_frame(getattr(node, f.name), frame) for f in fields(node)}
    if "frame" in changes:
        changes["frame"] = frame
    return replace(node, **changes)
