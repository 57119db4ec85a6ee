"""The `finish` tool: the only way to end a run with a verdict, and only with the evidence for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from perception_tools.artifacts import KINDS, Artifact, Workspace
from perception_tools.errors import BadArguments, ErrorKind
from perception_tools.results import ArtifactPart, ToolCall, ToolResult
from perception_tools.tool import Tool, ToolContext, tool

FINISH = "finish"
_NAME = re.compile(rf"(?:{'|'.join(KINDS)})_[0-9]+")
# A picture shows their outcome, as far as it is not sensed anyway.
GESTURES = ("home", "look_at", "open_gripper", "close_gripper", "set_tool_opening", "stop")
Finish = Literal["done", "answered", "impossible", "unclear", "failed"]


class Finished(BaseModel):
    """The accepted verdict."""

    outcome: str = Field(description="the outcome")
    evidence: list[str] = Field(description="ids of the calls that show it")


@dataclass(frozen=True)
class Verdict:
    """How a run ended, and why."""

    outcome: str
    summary: str = ""
    evidence: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Entry:
    """One answered call: what it may be evidence of."""

    call_id: str
    name: str
    is_good: bool  # an ok result of a read-only tool
    denies: bool  # it says ``holds: false``
    is_picture: bool = False  # it only shows something, and tells nothing of it
    stale: str = ""  # artifact it was computed from that was sensed before the last motion
    question: str = ""  # tool and arguments, artifacts by their labels


@dataclass
class Ledger:
    """What the calls of a run showed, in order.

    Attributes:
        workspace: Artifacts of the run; without them, all that is named counts as new.
        entries: Answered calls by id.
        since_motion: Ids of good perception results after the last motion, from what was sensed after it.
        new_calls: Ids of all calls after the last motion.
        last_motion: The last call that moved, or may have moved, the robot ("" if none).
        moved_things: Whether any motion was more than a gesture: then a picture alone shows nothing.
        is_alone: Whether the present turn has one call only.
        verdict: Set by an accepted `finish`.
    """

    workspace: Workspace | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    since_motion: list[str] = field(default_factory=list)
    new_calls: set[str] = field(default_factory=set)
    last_motion: str = ""
    moved_things: bool = False
    is_alone: bool = True
    verdict: Verdict | None = None

    def record(self, call: ToolCall, called: Tool[Any] | None, result: ToolResult) -> None:
        """Take note of an answered call."""
        is_good = result.ok and called is not None and called.spec.read_only
        given = [a for name in _strings(call.arguments) if (a := self._artifact(name)) is not None]
        stale = next((a.name for a in given if not self._is_new(a)), "")
        self.entries[call.id] = Entry(
            call.id,
            call.name,
            is_good,
            _denies(result.value),
            _is_picture(result),
            stale,
            f"{call.name} {self._labelled(call.arguments)}",
        )
        if called is not None and called.moves_robot and _moved(result):
            self.last_motion = f"{call.name}, {call.id}"
            self.moved_things |= call.name not in GESTURES
            self.since_motion.clear()
            self.new_calls.clear()
            return
        self.new_calls.add(call.id)
        if is_good and not stale:
            self.since_motion.append(call.id)

    def denied(self) -> Entry | None:
        """Return a result since the motion that says ``holds: false``, not answered otherwise later."""
        newest = {self.entries[name].question: self.entries[name] for name in self.since_motion}
        return next((entry for entry in newest.values() if entry.denies), None)

    def _artifact(self, name: str) -> Artifact | None:
        if self.workspace is None or _NAME.fullmatch(name) is None:
            return None
        return next((a for a in self.workspace.all() if a.name == name), None)

    def _is_new(self, artifact: Artifact) -> bool:
        """Whether it, and all it was computed from, was made by calls after the last motion."""
        if not self.last_motion:
            return True
        parents = [self._artifact(name) for name in artifact.parents]
        is_made_since = artifact.call_id in self.new_calls
        return is_made_since and all(p is None or self._is_new(p) for p in parents)

    def _labelled(self, value: Any) -> Any:
        """Return arguments with the names of artifacts replaced by their labels."""
        if isinstance(value, Mapping):
            return sorted((str(key), str(self._labelled(item))) for key, item in value.items())
        if isinstance(value, str) and (artifact := self._artifact(value)) is not None:
            return artifact.label or value
        return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(item)


def _is_picture(result: ToolResult) -> bool:
    """Whether a result is a new picture and nothing more, as of capture, crop, zoom and draw."""
    made = any(isinstance(p, ArtifactPart) and p.kind == "image" for p in result.parts)
    tells = {"count", "objects", "masks", "points", "holds", "depth_m", "position_m", "candidates"}
    return (made or "image" in result.value) and not tells & set(result.value)


def _moved(result: ToolResult) -> bool:
    """Whether a skill's call moved, or may have moved, the robot."""
    return result.error not in (ErrorKind.BAD_ARGUMENTS, ErrorKind.REFUSED) and result.reason != "not_run"


def _denies(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("holds") is False or any(_denies(item) for item in value.values())
    return isinstance(value, list) and any(_denies(item) for item in value)


def make_finish(ledger: Ledger) -> Tool[Any]:
    """Return the `finish` tool of a run; an accepted call sets `ledger.verdict`."""

    def finish(
        _ctx: ToolContext,
        outcome: Finish,
        summary: Annotated[str, Field(min_length=1, max_length=2000)],
        evidence: list[str] = [],  # noqa: B006  (pydantic copies it)
    ) -> Finished:
        """End the run with a verdict. Call it alone, after you have seen the results it rests on.

        Args:
            outcome: done: the task was carried out and its result observed afterwards; answered: the
                question was answered from tool results; impossible: it cannot be done; unclear: the
                instruction has no single meaning here; failed: it was tried without success.
            summary: The answer, or what was done and observed, or the reason why not.
            evidence: Call ids of results that show it. Needed for done (made after the last motion)
                and for answered.
        """
        if not ledger.is_alone:
            raise BadArguments("call finish alone, after you have seen the results of the other calls")
        if not summary.strip():
            raise BadArguments(f"finish: {outcome} needs a summary that says why")
        check_evidence(ledger, outcome, evidence)
        ledger.verdict = Verdict(outcome, summary.strip(), tuple(evidence))
        return Finished(outcome=outcome, evidence=evidence)

    return tool(read_only=False, timeout_s=10.0)(finish)


def check_evidence(ledger: Ledger, outcome: Finish, evidence: list[str]) -> None:
    """Check that the evidence supports the outcome.

    Raises:
        BadArguments: It does not; says what is missing and what to do.
    """
    unknown = [name for name in evidence if name not in ledger.entries]
    if unknown:
        raise BadArguments(f"finish: no call {unknown[0][:64]!r} in this run; {_usable(ledger, outcome)}")
    if outcome not in ("done", "answered"):
        return
    if not evidence:
        raise BadArguments(f"finish: {outcome} needs evidence; {_usable(ledger, outcome)}")
    for entry in (ledger.entries[name] for name in evidence):
        if not entry.is_good:
            raise BadArguments(
                f"finish: {entry.call_id} ({entry.name}) is no successful perception result; "
                f"{_usable(ledger, outcome)}"
            )
        if outcome == "done" and entry.stale and entry.call_id in ledger.new_calls:
            raise BadArguments(
                f"finish: {entry.call_id} ({entry.name}) is computed from {entry.stale}, sensed before "
                f"the last motion ({ledger.last_motion}): capture again and repeat it; "
                f"{_usable(ledger, outcome)}"
            )
        if outcome == "done" and entry.call_id not in ledger.since_motion:
            raise BadArguments(
                f"finish: {entry.call_id} ({entry.name}) was made before the last motion "
                f"({ledger.last_motion}); {_usable(ledger, outcome)}"
            )
        if outcome == "done" and entry.denies:
            raise BadArguments(
                f"finish: {entry.call_id} ({entry.name}) says holds: false, so it is not done; "
                "act again, or finish with outcome failed"
            )

    if (
        outcome == "done"
        and ledger.moved_things
        and all(ledger.entries[name].is_picture for name in evidence)
    ):
        raise BadArguments(
            "finish: a picture alone does not show that it is done; "
            "ask a tool what is in it (e.g. detect, relation) and cite that"
        )
    if outcome == "done" and (denied := ledger.denied()) is not None:
        raise BadArguments(
            f"finish: {denied.call_id} ({denied.name}) since the last motion says holds: false; "
            "ask again, act again, or finish with outcome failed"
        )


def _usable(ledger: Ledger, outcome: Finish) -> str:
    if outcome == "done":
        names, when = ledger.since_motion, " since the last motion"
    else:
        names, when = [e.call_id for e in ledger.entries.values() if e.is_good], ""
    if not names:
        return f"there is no successful perception result{when} yet: look first (e.g. capture, then relation)"
    return f"successful perception results{when}: {', '.join(names[-8:])}"
