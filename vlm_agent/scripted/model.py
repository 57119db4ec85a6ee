"""`ScriptedModel`: the planner without weights behind the `ChatModel` contract."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from perception_tools.results import ToolCall, ToolSpec
from vlm_agent.model import Message, ModelError, Reply
from vlm_agent.scripted.plan import program
from vlm_agent.scripted.program import MismatchError, exchanges, replay
from vlm_agent.scripted.run import PlanConfig


@dataclass(frozen=True)
class ScriptedConfig:
    """Settings of the scripted model.

    Attributes:
        name: Name for traces and reports.
        plan: Settings of the planner.
    """

    name: str = "scripted"
    plan: PlanConfig = field(default_factory=PlanConfig)


class ScriptedModel:
    """Plans from the conversation alone: every request runs the program again on the recorded results.

    The instruction is the first user message. Nothing but tool results is used.
    """

    def __init__(self, config: ScriptedConfig = ScriptedConfig()) -> None:
        """Plan with some settings."""
        self.config = config

    @property
    def name(self) -> str:
        """Name for traces and reports."""
        return self.config.name

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        cancel: threading.Event | None = None,
    ) -> Reply:
        """Return the next turn.

        Raises:
            ModelError: There is no instruction, or the conversation was led by another planner.
        """
        if cancel is not None and cancel.is_set():
            raise ModelError("cancelled before the turn was planned", kind="cancelled")
        instruction = next((m.text for m in messages if m.role == "user"), None)
        if instruction is None:
            raise ModelError("there is no user message; the first one is the instruction", kind="garbage")
        recorded = exchanges(messages)
        try:
            turn = replay(program(instruction, frozenset(t.name for t in tools), self.config.plan), recorded)
        except MismatchError as error:
            raise ModelError(f"the conversation is not this planner's: {error}", kind="garbage") from error
        if turn is None:
            return Reply("There is nothing more to do.", finish_reason="stop")
        first = 1 + sum(len(exchange.calls) for exchange in recorded)
        calls = tuple(
            ToolCall(f"call_{first + k}", call.name, dict(call.arguments))
            for k, call in enumerate(turn.calls)
        )
        return Reply(turn.text, calls, finish_reason="tool_calls" if calls else "stop")
