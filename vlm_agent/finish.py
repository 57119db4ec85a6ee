"""The `finish` tool: the only way to end a run with a verdict, and only with the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from perception_tools.errors import BadArguments, ErrorKind
from perception_tools.results import ToolCall, ToolResult
from perception_tools.tool import Tool, ToolContext, tool

FINISH = "finish"
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


@dataclass
class Ledger:
    """What the calls of a run showed, in order.

    Attributes:
        entries: Answered calls by id.
        since_motion: Ids of good perception results after the last motion.
        last_motion: The last call that moved, or may have moved, the robot ("" if none).
        is_alone: Whether the present turn has one call only.
        verdict: Set by an accepted `finish`.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    since_motion: list[str] = field(default_factory=list)
    last_motion: str = ""
    is_alone: bool = True
    verdict: Verdict | None = None

    def record(self, call: ToolCall, called: Tool[Any] | None, result: ToolResult) -> None:
        """Take note of an answered call."""
        is_good = result.ok and called is not None and called.spec.read_only
        self.entries[call.id] = Entry(call.id, call.name, is_good, _denies(result.value))
        if called is not None and called.moves_robot and _moved(result):
            self.last_motion = f"{call.name}, {call.id}"
            self.since_motion.clear()
        elif is_good:
            self.since_motion.append(call.id)


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


def _usable(ledger: Ledger, outcome: Finish) -> str:
    if outcome == "done":
        names, when = ledger.since_motion, " since the last motion"
    else:
        names, when = [e.call_id for e in ledger.entries.values() if e.is_good], ""
    if not names:
        return f"there is no successful perception result{when} yet: look first (e.g. capture, then relation)"
    return f"successful perception results{when}: {', '.join(names[-8:])}"
