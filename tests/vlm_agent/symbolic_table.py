"""A symbolic table: the JSON contract of the tools over a list of objects, without pixels or physics.

`SymbolicTable.call` answers like the real tools would, failures included; `drive` runs a model on it
to the end, with the real rules for evidence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from perception_tools.errors import BadArguments, ErrorKind
from perception_tools.results import ToolCall, ToolResult, ToolSpec, ValuePart
from vlm_agent.finish import Ledger, check_evidence
from vlm_agent.model import Message, Reply, TextContent
from vlm_agent.rendering import result_to_text

READ_ONLY = ("capture", "detect", "relation", "free_space", "grasp")
SKILLS = ("look_at", "pick", "place", "home", "open_gripper", "close_gripper", "stop")
CONTAINERS = ("bowl", "mug", "tray")
KINDS = {
    "unreachable": ErrorKind.NEGATIVE,
    "in_collision": ErrorKind.NEGATIVE,
    "no_path": ErrorKind.NEGATIVE,
    "no_grasp": ErrorKind.NEGATIVE,
    "no_space": ErrorKind.NEGATIVE,
    "not_found": ErrorKind.NEGATIVE,
    "not_holding": ErrorKind.REFUSED,
    "already_holding": ErrorKind.REFUSED,
    "permission": ErrorKind.REFUSED,
    "stale": ErrorKind.BAD_ARGUMENTS,
    "bad_arguments": ErrorKind.BAD_ARGUMENTS,
    "stopped": ErrorKind.CANCELLED,
    "cancelled": ErrorKind.CANCELLED,
    "timeout": ErrorKind.INFRASTRUCTURE,
}


class Failure(Exception):
    """A tool's failure, by reason."""

    def __init__(self, reason: str, message: str = "", **evidence: Any) -> None:
        super().__init__(message or reason)
        self.reason, self.evidence = reason, evidence


@dataclass
class Thing:
    """An object on the table: centre of its lower face, and the thing it stands in or on."""

    color: str
    shape: str
    x: float
    y: float
    size: tuple[float, float, float] = (0.045, 0.045, 0.045)
    z: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    is_hidden: bool = False  # seen by the wrist camera only
    shape_confidence: float = 0.95

    @property
    def label(self) -> str:
        return f"{self.color} {self.shape}"

    @property
    def radius(self) -> float:
        return math.hypot(*self.size[:2]) / 2

    def distance(self, x: float, y: float) -> float:
        return math.hypot(self.x - x, self.y - y)


def block(color: str, x: float, y: float, edge: float = 0.045) -> Thing:
    return Thing(color, "box", x, y, (edge, edge, edge))


def ball(color: str, x: float, y: float, d: float = 0.05) -> Thing:
    return Thing(color, "sphere", x, y, (d, d, d))


def can(color: str, x: float, y: float) -> Thing:
    return Thing(color, "cylinder", x, y, (0.05, 0.05, 0.09))


def bowl(color: str, x: float, y: float) -> Thing:
    return Thing(color, "bowl", x, y, (0.14, 0.14, 0.055))


def mug(color: str, x: float, y: float) -> Thing:
    return Thing(color, "mug", x, y, (0.11, 0.08, 0.09))


def tray(color: str, x: float, y: float) -> Thing:
    return Thing(color, "tray", x, y, (0.24, 0.16, 0.025))


class SymbolicTable:
    """Objects and the tools over them.

    Attributes:
        things: The objects.
        failures: By tool, reasons of its next calls in order; "" lets a call through.
        calls: Calls made so far.
        held: What the gripper holds.
    """

    def __init__(self, *things: Thing, **failures: list[str]) -> None:
        self.things = list(things)
        self.failures: dict[str, list[str]] = defaultdict(list, {k: list(v) for k, v in failures.items()})
        self.calls: list[tuple[str, dict[str, Any], str]] = []
        self.held: Thing | None = None
        self.stray: bool = False  # something that is none of the things is in the hand
        self.epoch = 0
        self.masks: dict[str, tuple[Thing, int]] = {}
        self.boxes: dict[str, Thing] = {}  # as they were when they were seen
        self.images: dict[str, str] = {}
        self.grasps: dict[str, tuple[Thing, int, int]] = {}
        self.is_stopped = False

    # ---- the door -------------------------------------------------------------------------------

    def call(self, call: ToolCall) -> ToolResult:
        arguments = dict(call.arguments) if isinstance(call.arguments, dict) else {}
        try:
            if call.name in SKILLS and self.is_stopped:
                raise Failure("stopped", "the stop is latched")
            reason = self.failures[call.name].pop(0) if self.failures[call.name] else ""
            value = getattr(self, call.name)(**arguments, fail=reason)
        except Failure as failure:
            self.calls.append((call.name, arguments, failure.reason))
            kind = KINDS.get(failure.reason, ErrorKind.FAILED)
            parts = (ValuePart(failure.evidence),) if failure.evidence else ()
            return ToolResult(call.id, call.name, parts, kind, failure.reason, str(failure))
        self.calls.append((call.name, arguments, ""))
        return ToolResult(call.id, call.name, (ValuePart(value),))

    def motions(self) -> list[str]:
        return [name for name, _, _ in self.calls if name in SKILLS]

    def specs(self, without: tuple[str, ...] = ()) -> list[ToolSpec]:
        names = [n for n in (*READ_ONLY, *SKILLS, "finish") if n not in without]
        return [ToolSpec(n, n, {"type": "object"}, read_only=n in READ_ONLY) for n in names]

    # ---- perception -----------------------------------------------------------------------------

    def capture(self, camera: str = "scene", fail: str = "") -> dict[str, Any]:
        if fail:
            raise Failure(fail)
        name = f"image_{len(self.images) + 1}"
        self.images[name] = camera
        return {"image": name, "depth": name.replace("image", "depth"), "camera": camera, "stamp_s": 0.0}

    def detect(
        self, image: str, query: str = "object", max_objects: int = 20, fail: str = ""
    ) -> dict[str, Any]:
        if fail:
            raise Failure(fail, f"unknown word {query!r}")
        if query != "object":
            raise Failure("bad_arguments", f"unknown word {query!r}")
        camera = self.images[image]
        seen = [t for t in self.things if t is not self.held and (camera == "wrist" or not t.is_hidden)]
        if not seen:
            raise Failure("not_found", "nothing on the table", seen=[])
        return {"count": len(seen), "objects": [self._entry(t) for t in seen[:max_objects]]}

    def _entry(self, t: Thing) -> dict[str, Any]:
        mask, box = f"mask_{len(self.masks) + 1}", f"box_{len(self.boxes) + 1}"
        self.masks[mask] = (t, self.epoch)
        self.boxes[box] = replace(t)
        return {
            "label": t.label,
            "color": t.color,
            "color_confidence": 0.9,
            "color_scores": t.scores or {t.color: 0.95},
            "shape": t.shape,
            "shape_confidence": t.shape_confidence,
            "size_m": list(t.size),
            "center_m": [t.x, t.y, t.z + t.size[2] / 2],
            "box_px": [0, 0, 10, 10],
            "uv_px": [320.0 + 500 * t.y, 240.0 + 500 * (t.x - 0.5)],
            "mask": mask,
            "box": box,
            "is_container": t.shape in CONTAINERS,
            "confidence": 0.95,
        }

    def relation(
        self, a: str, b: str, relation: str, frame: str = "camera", fail: str = ""
    ) -> dict[str, Any]:
        if fail:
            raise Failure(fail)
        margin = self._margin(self.boxes[a], self.boxes[b], relation, frame)
        return {"holds": margin > 0, "margin_m": margin, "confidence": 0.9, "evidence": {}}

    def _margin(self, a: Thing, b: Thing, relation: str, frame: str) -> float:
        if relation in ("left_of", "right_of", "in_front_of", "behind"):
            dx, dy = _direction(relation, frame)
            along = (a.x - b.x) * dx + (a.y - b.y) * dy
            across = abs((a.x - b.x) * dy - (a.y - b.y) * dx)
            return min(along - 0.02, 1.7 * along - across)
        distance = a.distance(b.x, b.y)
        if relation == "next_to":
            return 0.08 - (distance - a.size[0] / 2 - b.size[0] / 2) if abs(a.z - b.z) < 0.03 else -0.01
        is_over = b.size[0] / 2 - distance
        if relation == "inside":
            return min(is_over, b.size[2] - a.z, 0.02) if b.shape in CONTAINERS else -0.05
        if relation == "on":
            inside = self._margin(a, b, "inside", frame)
            return max(inside, min(is_over, 0.015 - abs(a.z - b.z - b.size[2])))
        raise Failure("bad_arguments", f"unknown relation {relation!r}")

    def free_space(
        self,
        relation: str,
        image: str,
        reference: str | None = None,
        size_m: Any = (0.06, 0.06),
        frame: str = "camera",
        fail: str = "",
    ) -> dict[str, Any]:
        if fail:
            raise Failure(fail, f"no free place {relation}")
        assert image in self.images and 0 < size_m[0] <= 0.4
        radius = math.hypot(*size_m) / 2
        if relation == "anywhere":
            spots = [(0.36 + 0.02 * i, -0.26 + 0.02 * j) for i in range(16) for j in range(27)]
        else:
            b = self.boxes[str(reference)]
            if relation == "inside" and b.shape not in CONTAINERS:
                raise Failure("bad_arguments", f"the {b.label} is no container")
            if relation in ("inside", "on"):
                if relation == "on" and b.shape == "sphere":
                    raise Failure("no_space", f"nothing stays on the {b.label}: it is round on top")
                if relation == "inside" and size_m[1] > b.size[1] - 0.01:
                    raise Failure("no_space", f"{100 * size_m[1]:.0f} cm do not fit in the {b.label}")
                return {
                    "position_m": [b.x, b.y, 0.005 if relation == "inside" else b.size[2]],
                    "clearance_m": 0.01,
                }
            directions = (
                ["left_of", "right_of", "in_front_of", "behind"] if relation == "next_to" else [relation]
            )
            reach = b.size[0] / 2 + radius
            spots = [
                (b.x + (reach + gap) * dx - aside * dy, b.y + (reach + gap) * dy + aside * dx)
                for gap in (0.04, 0.02, 0.08, 0.12, 0.15)
                for aside in (0.0, 0.03, -0.03, 0.05, -0.05)
                for dx, dy in (_direction(d, frame) for d in directions)
            ]
        for x, y in spots:
            if all(
                t.distance(x, y) > t.size[0] / 2 + radius * 0.7 for t in self.things if t is not self.held
            ):
                return {"position_m": [x, y, 0.0], "clearance_m": 0.02}
        raise Failure("no_space", f"no free place {relation}")

    def grasp(self, mask: str, max_candidates: int = 8, fail: str = "") -> dict[str, Any]:
        thing, epoch = self.masks[mask]
        if fail:
            raise Failure(fail)
        if epoch < self.epoch:
            raise Failure("stale", f"{mask} is stale")
        if thing.size[1] > 0.075 and thing.shape not in CONTAINERS:
            raise Failure("no_grasp", "too wide")
        name = f"grasp_{len(self.grasps) + 1}"
        count = 4
        self.grasps[name] = (thing, self.epoch, count)
        approaches = [[0.0, 0.0, -1.0], [0.0, 0.0, -1.0], [0.5, 0.0, -0.87], [0.0, 0.5, -0.87]]
        candidates = [
            {
                "index": k,
                "position_m": [thing.x + 0.004 * k, thing.y, thing.z + thing.size[2] / 2],
                "approach": approaches[k],
                "width_m": thing.size[1],
                "score": 0.9 - 0.1 * k,
                "kind": "rim" if thing.shape in CONTAINERS else "across",
            }
            for k in range(count)
        ]
        return {"grasp": name, "count": count, "candidates": candidates}

    # ---- skills ---------------------------------------------------------------------------------

    def look_at(self, target_m: list[float], distance_m: float = 0.35, fail: str = "") -> dict[str, Any]:
        if fail:
            raise Failure(fail)
        return {"camera": "wrist", "distance_m": distance_m, "uv_px": [320, 240]}

    def pick(self, grasp: str, index: int = 0, dry_run: bool = False, fail: str = "") -> dict[str, Any]:
        thing, epoch, count = self.grasps[grasp]
        assert index < count
        if epoch < self.epoch:
            raise Failure("stale", f"{grasp} is stale")
        if self.held or self.stray:
            raise Failure("already_holding")
        if fail in ("unreachable", "in_collision", "no_path", "permission", "timeout"):
            raise Failure(fail)
        self.epoch += 1
        if fail == "wrong":
            self.stray = True
            raise Failure("missed", "something is held, but the thing is still seen")
        if fail == "sham":  # says it holds the thing, which stays where it is
            return {"held": True, "label": thing.label, "width_m": 0.02, "force_n": 20.0, "lifted_m": 0.15}
        if fail:
            thing.x += 0.03
            raise Failure(fail)
        self.held = thing
        return {"held": True, "label": thing.label, "width_m": 0.04, "force_n": 20.0, "lifted_m": 0.15}

    def place(self, position_m: list[float], dry_run: bool = False, fail: str = "") -> dict[str, Any]:
        if not self.held and not self.stray:
            raise Failure("not_holding")
        if fail in ("unreachable", "in_collision", "no_path", "contact", "timeout"):
            raise Failure(fail)
        thing, self.held, self.stray = self.held, None, False
        self.epoch += 1
        if thing is None:
            return {"released": True, "homed": True}
        thing.x, thing.y, thing.z = position_m
        if fail == "vanished":
            self.things.remove(thing)
            raise Failure("dropped")
        if fail:
            thing.x, thing.z = thing.x - 0.13, 0.0
            raise Failure(fail)
        return {"released": True, "position_m": position_m, "error_m": 0.003, "homed": True}

    def home(self, fail: str = "") -> dict[str, Any]:
        if fail:
            raise Failure(fail)
        return {"error_rad": 0.0, "holding": bool(self.held)}

    def open_gripper(self, fail: str = "") -> dict[str, Any]:
        if fail:
            raise Failure(fail)
        if self.held:
            self.held.z = 0.0
        self.held, self.stray = None, False
        self.epoch += 1
        return {"width_m": 0.08}

    def close_gripper(self, force_n: float = 30.0, fail: str = "") -> dict[str, Any]:
        return {"width_m": 0.0, "force_n": 0.0, "holding": False}

    def stop(self, fail: str = "") -> dict[str, Any]:
        self.is_stopped = True
        return {"stopped": True}


def _direction(relation: str, frame: str) -> tuple[float, float]:
    if frame == "robot":
        table = {"left_of": (0, 1), "right_of": (0, -1), "in_front_of": (1, 0), "behind": (-1, 0)}
    else:
        table = {"left_of": (0, -1), "right_of": (0, 1), "in_front_of": (1, 0), "behind": (-1, 0)}
    return table[relation]


# ---- driving a model ----------------------------------------------------------------------------


@dataclass
class Ended:
    """How a driven run ended."""

    outcome: str
    summary: str
    evidence: tuple[str, ...]
    messages: list[Message]
    replies: list[Reply]
    table: SymbolicTable

    @property
    def text(self) -> str:
        """Thoughts and calls, for failed assertions."""
        lines = [f"{r.text} -> {[(c.name, c.arguments) for c in r.tool_calls]}" for r in self.replies]
        return "\n".join(lines)


def drive(model: Any, instruction: str, table: SymbolicTable, *, max_turns: int = 40, **kw: Any) -> Ended:
    """Run a model on the table until it finishes, with the real rules for evidence."""
    specs = table.specs(kw.get("without", ()))
    read_only = {s.name: SimpleNamespace(spec=s, moves_robot=s.name in SKILLS) for s in specs}
    ledger = Ledger()
    messages = [Message("system", (TextContent("You plan."),)), Message("user", (TextContent(instruction),))]
    replies: list[Reply] = []
    for _ in range(max_turns):
        reply = model.complete(messages, specs)
        replies.append(reply)
        messages.append(Message("assistant", (TextContent(reply.text),), reply.tool_calls))
        if not reply.tool_calls:
            return Ended("unverified", reply.text, (), messages, replies, table)
        for call in reply.tool_calls:
            if call.name == "finish":
                result = _finish(call, ledger)
                if result.ok:
                    v = dict(call.arguments)
                    return Ended(v["outcome"], v["summary"], tuple(v["evidence"]), messages, replies, table)
            else:
                result = table.call(call)
            ledger.record(call, read_only[call.name], result)
            messages.append(Message("tool", (TextContent(result_to_text(result)),), call_id=call.id))
        messages.append(Message("user", (TextContent("[status] left: many turns"),)))
    return Ended("budget", "", (), messages, replies, table)


def _finish(call: ToolCall, ledger: Ledger) -> ToolResult:
    v = dict(call.arguments)  # type: ignore[call-overload]
    try:
        check_evidence(ledger, v["outcome"], v["evidence"])
    except BadArguments as error:
        return ToolResult(call.id, "finish", (), ErrorKind.BAD_ARGUMENTS, "", str(error))
    return ToolResult(call.id, "finish", (ValuePart({"outcome": v["outcome"], "evidence": v["evidence"]}),))
