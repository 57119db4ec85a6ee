"""Programs of tool calls: what a plan yields, what it gets back, and replaying it from a conversation.

A program is a generator: it yields a `Turn` (a thought and calls) and is sent their `Result`s. It
knows nothing but those. Running it again from the start with the recorded results leads to the same
next turn, so the planner keeps no state between requests.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from perception_tools.results import ToolCall
from vlm_agent.model import Message

MAX_CALLS_PER_TURN = 8


@dataclass(frozen=True)
class Call:
    """A tool call of a program."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """A short thought, shown in the trace, and the calls that go with it."""

    text: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Result:
    """What a call gave.

    Attributes:
        call_id: Id of the call in the conversation, to cite as evidence.
        ok: Whether the call gave a positive result.
        value: Its value ({} if it failed).
        error: Kind of failure, "" if there is none.
        reason: Enumerated reason of the failure.
        message: One line about the failure.
        evidence: Readings that support the failure.
    """

    call_id: str
    ok: bool
    value: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    reason: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


T = TypeVar("T")
Steps = Generator[Turn, tuple[Result, ...], T]
Program = Steps[None]


class MismatchError(ValueError):
    """The conversation holds turns that this program would not have made."""


@dataclass(frozen=True)
class Exchange:
    """A recorded turn: its calls in order, and their results."""

    calls: tuple[ToolCall, ...]
    results: tuple[Result, ...]


def exchanges(messages: Sequence[Message]) -> list[Exchange]:
    """Return the recorded turns of a conversation, oldest first.

    Results are bound to calls by id within the turn; where ids were renumbered, by order. A call
    without result counts as an infrastructure failure.
    """
    turns: list[tuple[tuple[ToolCall, ...], list[Message]]] = []
    for message in messages:
        if message.role == "assistant" and message.tool_calls:
            turns.append((message.tool_calls, []))
        elif message.role == "tool" and turns:
            turns[-1][1].append(message)
    return [Exchange(calls, _bind(calls, answers)) for calls, answers in turns]


def _bind(calls: tuple[ToolCall, ...], answers: list[Message]) -> tuple[Result, ...]:
    by_id = {m.call_id: m for m in answers}
    if len({c.id for c in calls}) == len(calls) and all(c.id in by_id for c in calls):
        ordered: list[Message | None] = [by_id[c.id] for c in calls]
    else:
        ordered = [*answers[: len(calls)], *[None] * max(0, len(calls) - len(answers))]
    return tuple(
        read_result(m.text, c.id) if m else Result(c.id, False, error="infrastructure", reason="no_result")
        for c, m in zip(calls, ordered, strict=True)
    )


def read_result(text: str, call_id: str) -> Result:
    """Parse a tool message's text, see `vlm_agent/rendering.py`; what is no result is a failure."""
    try:
        data, _ = json.JSONDecoder().raw_decode(text[max(0, text.find("{")) :])
        ok = _boolean(data["ok"])
    except (ValueError, KeyError, TypeError):
        message = f"not a tool result: {text[:80]!r}"
        return Result(call_id, False, error="infrastructure", reason="garbage", message=message)
    if ok:
        return Result(call_id, True, _mapping(data.get("value")))
    words = [str(data.get(key) or "") for key in ("error", "reason", "message")]
    return Result(call_id, False, {}, *words, evidence=_mapping(data.get("evidence")))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is no boolean")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def replay(program: Program, recorded: Sequence[Exchange]) -> Turn | None:
    """Return the turn that follows the recorded ones, None if the program has ended.

    Raises:
        MismatchError: A recorded turn is not the one that the program makes there.
    """
    try:
        turn = next(program)
        for number, exchange in enumerate(recorded, start=1):
            made = [c.name for c in exchange.calls]
            wanted = [c.name for c in turn.calls]
            if made != wanted[: len(made)]:
                raise MismatchError(f"turn {number} called {made}, this planner calls {wanted} there")
            lost = [
                Result("", False, error="infrastructure", reason="no_result")
                for _ in range(len(wanted) - len(made))
            ]
            turn = program.send((*exchange.results, *lost))
    except StopIteration:
        return None
    return turn
