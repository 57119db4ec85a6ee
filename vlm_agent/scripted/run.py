"""What all parts of a plan share: calling tools, looking, asking for relations, ending with a verdict."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from vlm_agent.scripted.program import MAX_CALLS_PER_TURN, Call, Result, Steps, Turn
from vlm_agent.scripted.scene import Scene, Seen, read_objects
from vlm_agent.scripted.syntax import Description, Frame

Outcome = Literal["done", "answered", "impossible", "unclear", "failed"]
ABORTING = ("stopped", "cancelled")


@dataclass(frozen=True)
class PlanConfig:
    """Settings of the planner.

    Attributes:
        scene_camera: Camera that sees the whole table.
        wrist_camera: Camera on the hand.
        max_moves: Attempts to bring one object to its place.
        max_picks: Pick attempts that may move the arm, per object and move.
        max_candidates: Grasp candidates tried per look.
        max_places: Spots tried for one release.
        opening_m: Widest object that the fingers go around [m].
        near_enough_m: A directional relation counts as already satisfied only within this distance [m].
        look_distance_m: Distance of the wrist camera in a closer look [m].
        margin_m: Least distance between what is put down on a spot of our own choice and the rest [m].
    """

    scene_camera: str = "scene"
    wrist_camera: str = "wrist"
    max_moves: int = 3
    max_picks: int = 4
    max_candidates: int = 4
    max_places: int = 3
    opening_m: float = 0.075
    near_enough_m: float = 0.20
    look_distance_m: float = 0.30
    margin_m: float = 0.02


class Verdict(Exception):
    """Ends the program.

    Args:
        outcome: As of the `finish` tool.
        summary: One or two sentences for the user.
        evidence: Results that show it.
        about: What an unclear verdict asks about.
    """

    def __init__(
        self,
        outcome: Outcome,
        summary: str,
        evidence: Sequence[str] = (),
        about: Description | None = None,
    ) -> None:
        """See the class."""
        super().__init__(summary)
        self.about = about
        self.outcome: Outcome = outcome
        self.summary = summary
        self.evidence = tuple(dict.fromkeys(e for e in evidence if e))


class Absent(Verdict):
    """What the instruction speaks of is not seen."""

    def __init__(self, summary: str, evidence: Sequence[str] = ()) -> None:
        """See the class."""
        super().__init__("impossible", summary, evidence)


@dataclass
class Run:
    """State of one run of the program; rebuilt from the results at every replay.

    Attributes:
        tools: Names of the tools offered.
        config: Settings.
        scene: The latest look.
        focus: What the last step moved, for "it" and "them".
        places: What it was moved to: "in it" may mean them.
        mentioned: All that was spoken of, for "the other one".
        start: How objects stood before they were moved, for "put it back".
        held: What the gripper holds, as it was seen before.
        in_tool: What the tool in the hand holds, likewise.
        before: The last look of the instruction before.
        known: All that was seen before the latest look of this conversation, oldest first.
        looked: Answers from pictures by image and question, and what was spoken of then.
        has_moved: Whether a skill was called.
        is_home: Whether the arm is out of the scene camera's view.
        relations: Answers of the `relation` tool by boxes, relation and frame.
        facts: Ids of other calls that an answer rests on.
        pending: An instruction that waits for an answer.
    """

    tools: Collection[str]
    config: PlanConfig = field(default_factory=PlanConfig)
    scene: Scene = field(default_factory=Scene)
    focus: tuple[Seen, ...] = ()
    places: tuple[Seen, ...] = ()
    mentioned: tuple[Seen, ...] = ()
    start: tuple[Seen, ...] = ()
    held: Seen | None = None
    in_tool: Seen | None = None
    before: Scene = field(default_factory=Scene)
    known: tuple[Seen, ...] = ()
    looked: dict[tuple[str, object], tuple[str, tuple[Seen, ...]]] = field(default_factory=dict)
    has_moved: bool = False
    is_home: bool = True
    relations: dict[tuple[str, str, str, str], Result] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    pending: object = None

    # ---- calling --------------------------------------------------------------------------------

    def offers(self, *names: str) -> bool:
        """Whether all of these tools are offered."""
        return all(name in self.tools for name in names)

    def call(self, text: str, *calls: Call) -> Steps[tuple[Result, ...]]:
        """Make calls, in several turns if they are many.

        Raises:
            Verdict: A tool is not offered, or the robot was stopped.
        """
        for call in calls:
            if call.name not in self.tools:
                raise Verdict("impossible", f"I need {call.name!r} for this, and it is not among my tools.")
        results: tuple[Result, ...] = ()
        for k in range(0, len(calls), MAX_CALLS_PER_TURN):
            results += yield Turn(text, calls[k : k + MAX_CALLS_PER_TURN])
            text = "More of the same."
        for result in results:
            if result.reason in ABORTING:
                raise Verdict(
                    "failed", f"The robot was {result.reason}: {result.message or 'it is at rest'}."
                )
        return results

    def skill(self, text: str, name: str, **arguments: object) -> Steps[Result]:
        """Call a skill.

        Raises:
            Verdict: It is not offered or not permitted, or the robot was stopped.
        """
        (result,) = yield from self.call(text, Call(name, arguments))
        if result.error == "refused" and result.reason not in ("already_holding", "not_holding"):
            raise Verdict("impossible", f"I may not use {name!r}: {result.message}")
        self.has_moved = True
        self.is_home = (result.ok and name == "home") or result.value.get("homed") is True
        return result

    # ---- looking --------------------------------------------------------------------------------

    def look(self, text: str, camera: str = "", *, keep: bool = True) -> Steps[Scene]:
        """Capture and detect; becomes the latest look unless `keep` is False.

        Raises:
            Verdict: There is no picture.
        """
        camera = camera or self.config.scene_camera
        shot = yield from self._sense(text, Call("capture", {"camera": camera}))
        if not shot.ok:
            raise Verdict("failed", f"I can't see: {shot.message or 'no picture'}")
        image = str(shot.value.get("image"))
        query = {"image": image, "query": "object", "max_objects": 20}
        found = yield from self._sense("What is there?", Call("detect", query))
        if not found.ok and found.reason != "not_found":
            raise Verdict("failed", f"I can't tell what is there: {found.message}")
        evidence = (shot.call_id, found.call_id) if found.ok else (shot.call_id,)
        depth = str(shot.value.get("depth") or "")
        size_px = int(shot.value.get("width") or 0), int(shot.value.get("height") or 0)
        scene = Scene(image, read_objects(found.value), evidence, depth, size_px)
        if keep:
            self.scene = scene
        return scene

    def look_surely(self, text: str) -> Steps[Scene]:
        """Look; where nothing is detected, that is counted: a picture alone shows nothing."""
        scene = yield from self.look(text)
        if not scene.objects and self.offers("count"):
            call = Call("count", {"image": scene.image, "query": "object"})
            (told,) = yield from self.call("Is there nothing at all?", call)
            if told.ok:
                scene = self.scene = replace(scene, evidence=(*scene.evidence, told.call_id))
        return scene

    def _sense(self, text: str, call: Call) -> Steps[Result]:
        """Make a call, and once more if infrastructure failed."""
        (result,) = yield from self.call(text, call)
        if result.error == "infrastructure":
            (result,) = yield from self.call("No answer; once more.", call)
        return result

    def relate(
        self, pairs: Sequence[tuple[Seen, Seen]], relation: str, frame: Frame = "camera"
    ) -> Steps[list[Result]]:
        """Ask the `relation` tool for pairs of seen objects, each at most once."""
        keys = [(a.box, b.box, relation, frame) for a, b in pairs]
        missing = [k for k in dict.fromkeys(keys) if k not in self.relations]
        calls = [Call("relation", {"a": a, "b": b, "relation": r, "frame": f}) for a, b, r, f in missing]
        if calls:
            words = relation.replace("_", " ")
            text = (
                f"Is {pairs[0][0].name} {words} {pairs[0][1].name}?"
                if len(calls) == 1
                else f"Which is {words}?"
            )
            results = yield from self.call(text, *calls)
            self.relations.update(zip(missing, results, strict=True))
        return [self.relations[k] for k in keys]

    def holding_pairs(
        self, pairs: Sequence[tuple[Seen, Seen]], relations: Sequence[str], frame: Frame = "camera"
    ) -> Steps[list[tuple[Seen, Seen, Result]]]:
        """Return the pairs for which any of the relations holds, with the result that says so."""
        out = []
        for relation in relations:
            for (a, b), result in zip(pairs, (yield from self.relate(pairs, relation, frame)), strict=True):
                if result.ok and result.value.get("holds") is True and (a, b) not in [o[:2] for o in out]:
                    out.append((a, b, result))
        return out

    # ---- memory ---------------------------------------------------------------------------------

    def mention(self, objects: Sequence[Seen]) -> None:
        """Remember what was spoken of."""
        self.mentioned += tuple(o for o in objects if o not in self.mentioned)
