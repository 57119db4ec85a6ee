"""Conformance suite of the `ChatModel` contract. Every implementer runs it:

    class TestMyModel(ChatModelSuite):
        @pytest.fixture
        def model(self):
            return MyModel(...)

It holds a short conversation of the kind the agent has: the system prompt, an instruction, and tools;
then answers whatever calls the model makes with failures, until it stops or finishes.
"""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import numpy as np
import pytest

from perception_tools.errors import ErrorKind
from perception_tools.results import ToolCall, ToolResult, ToolSpec
from vlm_agent.budget import Budget
from vlm_agent.finish import Ledger, make_finish
from vlm_agent.model import ChatModel, ImageContent, Message, ModelError, Reply, TextContent
from vlm_agent.prompt import STATUS, system_prompt
from vlm_agent.rendering import result_to_text


def _spec(name: str, *, read_only: bool, **properties: str) -> ToolSpec:
    fields = {key: {"type": kind} for key, kind in properties.items()}
    parameters = {"type": "object", "properties": fields, "additionalProperties": False}
    return ToolSpec(name, f"{name} of the tabletop", parameters, {}, read_only)


class ChatModelSuite:
    """Tests that hold for every chat model; `instruction` and `max_turns` may be overridden."""

    instruction = "put the red block in the bowl"
    max_turns = 30

    @pytest.fixture
    def model(self) -> ChatModel:
        raise NotImplementedError("give the suite a `model` fixture")

    @pytest.fixture
    def tools(self) -> list[ToolSpec]:
        return [
            _spec("capture", read_only=True, camera="string"),
            _spec("detect", read_only=True, image="string", query="string"),
            _spec("pick", read_only=False, grasp="string"),
            make_finish(Ledger()).spec,
        ]

    @pytest.fixture
    def messages(self, tools: list[ToolSpec]) -> list[Message]:
        prompt = system_prompt(tools, ["pick"], Budget())
        return [
            Message("system", (TextContent(prompt),)),
            Message("user", (TextContent(self.instruction),)),
        ]

    def test_is_a_chat_model_with_a_name(self, model: ChatModel) -> None:
        assert isinstance(model, ChatModel)
        assert isinstance(model.name, str) and model.name.strip() == model.name != ""

    def test_reply_is_well_formed(self, model: ChatModel, messages: Any, tools: Any) -> None:
        check_reply(model.complete(messages, tools))

    def test_messages_and_tools_are_left_as_they_were(
        self, model: ChatModel, messages: Any, tools: Any
    ) -> None:
        before = copy.deepcopy((messages, tools))
        model.complete(messages, tools)
        assert (messages, tools) == before

    def test_same_instance_serves_one_conversation_after_another(
        self, model: ChatModel, messages: Any, tools: Any
    ) -> None:
        other = [messages[0], Message("user", (TextContent("how many objects are there?"),))]
        for conversation in (messages, other, messages):
            check_reply(model.complete(conversation, tools))

    def test_conversation_of_failures_stays_well_formed(
        self, model: ChatModel, messages: Any, tools: Any
    ) -> None:
        for turn in range(self.max_turns):
            reply = check_reply(model.complete(messages, tools))
            if not reply.tool_calls or any(call.name == "finish" for call in reply.tool_calls):
                return
            # what the agent does: unique ids, one answer per call, then what is left
            calls = [ToolCall(f"t{turn}_{k}", c.name, c.arguments) for k, c in enumerate(reply.tool_calls)]
            text = (TextContent(reply.text),) if reply.text else ()
            messages.append(Message("assistant", text, tuple(calls)))
            for call in calls:
                result = ToolResult(call.id, call.name, (), ErrorKind.NEGATIVE, "not_found", "nothing there")
                messages.append(Message("tool", (TextContent(result_to_text(result)),), call_id=call.id))
            messages.append(Message("user", (TextContent(f"{STATUS} left: {self.max_turns - turn} turns."),)))

    def test_images_of_user_and_tools_are_taken(self, model: ChatModel, messages: Any, tools: Any) -> None:
        rgb = np.full((48, 64, 3), 200, np.uint8)
        messages[1] = Message("user", (*messages[1].content, ImageContent(rgb, "image_1")))
        call = ToolCall("c1", "capture", {"camera": "scene"})
        answer = json.dumps({"ok": True, "value": {"image": "image_2", "depth": None}, "artifacts": []})
        messages += [
            Message("assistant", (), (call,)),
            Message("tool", (TextContent(answer), ImageContent(rgb, "image_2")), call_id="c1"),
        ]
        check_reply(model.complete(messages, tools))

    def test_set_cancel_ends_the_request(self, model: ChatModel, messages: Any, tools: Any) -> None:
        """A model that is quick may still answer; one that does not answer says `cancelled`."""
        cancel = threading.Event()
        cancel.set()
        try:
            check_reply(model.complete(messages, tools, cancel))
        except ModelError as error:
            assert error.kind == "cancelled"


def check_reply(reply: Reply) -> Reply:
    """Check types, and that every call can be sent on."""
    assert isinstance(reply, Reply) and isinstance(reply.text, str)
    assert isinstance(reply.tool_calls, tuple)
    for call in reply.tool_calls:
        assert isinstance(call, ToolCall) and isinstance(call.name, str)
        assert isinstance(call.arguments, str) or isinstance(json.dumps(dict(call.arguments)), str)
    ids = [call.id for call in reply.tool_calls if call.id]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(count, int) for count in reply.usage.values())
    return reply
