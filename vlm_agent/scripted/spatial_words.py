"""Phrases of left, right, front and back, and of whose left it is, made from their parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from vlm_agent.scripted.syntax import Frame

Side = tuple[str, Frame]  # left, right, front, back, middle or a corner; whose

RELATION_OF = {"left": "left_of", "right": "right_of", "front": "in_front_of", "back": "behind"}
_LATERAL = ("left", "right")
_DEPTHS = {"front": "front", "back": "back", "rear": "back"}
_PARTS = ("", " side", " hand side", " hand", " part", " end")
_LEADS = {
    False: ("to", "on", "at", "in"),
    True: ("toward", "towards", "over to", "onto", "into", "down on", "down to", "down at"),
}  # whether it can only tell where something goes
_ARTICLES: dict[str, Frame] = {
    "": "camera", "the ": "camera", "the very ": "camera", "the extreme ": "camera", 
    "the immediate ": "camera", "my ": "camera", "your ": "robot",
}  # fmt: skip
_ADVERBS = {
    "forward": "front", "forwards": "front", "backward": "back", "backwards": "back", "leftward": "left",
    "leftwards": "left", "rightward": "right", "rightwards": "right", "in front": "front", "in back": "back",
}  # fmt: skip
_OWNERS: dict[Frame, tuple[str, ...]] = {
    "robot": ("the robot's", "your", "your own", "robot's", "the arm's"),
    "camera": ("the camera's", "camera's", "my", "the viewer's", "our", "the observer's"),
}
_PEOPLE: dict[Frame, tuple[str, ...]] = {"robot": ("the robot", "you"), "camera": ("the camera", "me")}
_VIEWS = (
    "view", "perspective", "side", "point of view", "viewpoint", "frame", "frame of reference", "standpoint",
    "vantage point", "position", "pov", "reference frame", "eyes", "angle",
)  # fmt: skip
_SEEN_FROM = (
    "as seen from", "seen from", "viewed from", "looking from", "when seen from", "relative to", 
    "with respect to", "according to", "as viewed from", "when viewed from",
)  # fmt: skip
_WHOLE_FRAMES: dict[Frame, tuple[str, ...]] = {
    "robot": ("as you see it", "as you see them", "where you stand", "from where you stand",
              "from where you are"),
    "camera": (
        "as i see it", "as i see them", "from where i stand", "from where i am", "from where i sit",
        "in the image", "in the camera image", "in the picture", "in the camera view",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Rel:
    """A preposition: the relation, and whether it can only tell where something goes ("into")."""

    name: str
    is_motion: bool = False
    frame: Frame = "camera"


def adjectives() -> Iterator[tuple[str, Side]]:
    """Yield what may stand before a noun: "left", "left hand", "your left", "back left corner"."""
    for word, part in product((*_LATERAL, *_DEPTHS), _PARTS):
        side = _DEPTHS.get(word, word)
        yield word + part, (side, "camera")
        yield f"my {word}{part}", (side, "camera")
        yield f"your {word}{part}", (side, "robot")
    for name, corner in _corners():
        yield name, (corner, "camera")


def places() -> Iterator[tuple[str, Side]]:
    """Yield what says where something is or goes: "on the left", "to your right side", "forwards"."""
    leads = (*_LEADS[False], *_LEADS[True])
    for lead, word, part in product(leads, (*_LATERAL, *_DEPTHS), _PARTS):
        for article, frame in _ARTICLES.items():
            side = _DEPTHS.get(word, word)
            yield f"{lead} {article}{word}{part}", (side, frame)
            yield f"{lead} {article}far {word}{part}", (side, frame)
    for lead, (name, corner) in product(("in", "at", "on", "to", "into"), _corners()):
        yield f"{lead} the {name}", (corner, "camera")
    for lead, word in product(("in the", "at the"), ("middle", "center", "centre")):
        if (lead, word) != ("at the", "middle"):
            yield f"{lead} {word}", ("middle", "camera")
    for word, side in _ADVERBS.items():
        yield word, (side, "camera")
    for article in ("the ", "the far ", "the immediate "):
        yield f"in {article}foreground", ("front", "camera")
        yield f"in {article}background", ("back", "camera")


def prepositions() -> Iterator[tuple[str, Rel]]:
    """Yield "to the left of", "left of", "on your right side of", "left from"."""
    for word, part in product(_LATERAL, _PARTS):
        relation = RELATION_OF[word]
        yield f"{word}{part} of", Rel(relation)
        yield f"right to the {word}{part} of", Rel(relation)
        for is_motion, leads in _LEADS.items():
            for lead, (article, frame) in product(leads, _ARTICLES.items()):
                if article:
                    yield f"{lead} {article}{word}{part} of", Rel(relation, is_motion, frame)
    for word in (*_LATERAL, *_DEPTHS):
        yield f"{word} from", Rel(RELATION_OF[_DEPTHS.get(word, word)])
    for phrase, relation in (("right in front of", "in_front_of"), ("right behind", "behind")):
        yield phrase, Rel(relation)


def beside_it() -> Iterator[tuple[str, str]]:
    """Yield relations to what was spoken of: "to its left", "on their right side", "in there"."""
    leads = (*_LEADS[False], *_LEADS[True])
    for lead, owner, word, part in product(leads, ("its", "their"), (*_LATERAL, *_DEPTHS), _PARTS):
        yield f"{lead} {owner} {word}{part}", RELATION_OF[_DEPTHS.get(word, word)]
    for phrase in ("in there", "into there", "inside there"):
        yield phrase, "inside"
    for phrase in ("on there", "onto there"):
        yield phrase, "on"


def frames() -> Iterator[tuple[str, Frame]]:
    """Yield phrases that say whose left and right is meant."""
    for frame, owners in _OWNERS.items():
        for lead, owner, view in product(("from", "in", *_SEEN_FROM), owners, _VIEWS):
            yield f"{lead} {owner} {view}", frame
    for frame, people in _PEOPLE.items():
        for person in people:
            for lead in _SEEN_FROM:
                yield f"{lead} {person}", frame
            for view in ("view", "perspective", "point of view"):
                yield f"from the {view} of {person}", frame
    for frame, phrases in _WHOLE_FRAMES.items():
        for phrase in phrases:
            yield phrase, frame


def _corners() -> Iterator[tuple[str, str]]:
    """Yield "back left", "left back corner" and the like, with the name of the corner."""
    for depth, word in product(_DEPTHS, _LATERAL):
        for name in (f"{depth} {word}", f"{word} {depth}"):
            yield name, f"{_DEPTHS[depth]} {word}"
            yield f"{name} corner", f"{_DEPTHS[depth]} {word}"
