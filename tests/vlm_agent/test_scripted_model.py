"""The model behind the contract: stateless, deterministic, light, and robust to what servers do."""

import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from perception_tools.results import ToolCall
from tests.contracts.chat_model_suite import ChatModelSuite
from tests.vlm_agent.symbolic_table import SymbolicTable, ball, block, bowl, drive, mug
from vlm_agent.model import ChatModel, Message, ModelError, TextContent
from vlm_agent.scripted.model import ScriptedConfig, ScriptedModel
from vlm_agent.scripted.program import Result, exchanges, read_result

RUNS = (
    ("put the red block in the bowl", {}),
    ("put the red block in the bowl", {"pick": ["missed", "unreachable"], "place": ["misplaced"]}),
    ("put the red block in the bowl, then put the ball next to the mug", {"detect": ["", "", "timeout"]}),
    ("put the purple block in the bowl", {}),
    ("which object is left of the mug?", {}),
)


def finished(instruction, failures):
    things = (
        block("red", 0.50, -0.15),
        bowl("white", 0.50, 0.12),
        mug("black", 0.62, 0.0),
        ball("green", 0.4, 0.0),
    )
    table = SymbolicTable(*things, **{k: list(v) for k, v in failures.items()})
    return drive(ScriptedModel(), instruction, table)


def prefixes(ended):
    """Yield every conversation at which the model was asked, with the reply it gave."""
    replies = iter(ended.replies)
    for k, message in enumerate(ended.messages):
        if message.role == "assistant":
            yield ended.messages[:k], next(replies)


class TestScripted(ChatModelSuite):
    """The contract, in process."""

    @pytest.fixture
    def model(self):
        return ScriptedModel()


def test_it_is_a_chat_model():
    model = ScriptedModel(ScriptedConfig(name="scripted-test"))
    assert isinstance(model, ChatModel) and model.name == "scripted-test"


@pytest.mark.parametrize(("instruction", "failures"), RUNS)
def test_any_prefix_gives_the_same_turn_from_a_new_model(instruction, failures):
    ended = finished(instruction, failures)
    count = 0
    for messages, reply in prefixes(ended):
        assert ScriptedModel().complete(messages, ended.table.specs()) == reply
        count += 1
    assert count == len(ended.replies) >= 3


def renumbered(messages):
    """Give calls other ids and drop what a server may drop: the system prompt and empty texts."""
    names = {}
    out = []
    for message in messages:
        for call in message.tool_calls:
            names[call.id] = f"chatcmpl-tool-{100 - len(names)}"
        calls = tuple(replace(c, id=names[c.id]) for c in message.tool_calls)
        if message.role != "system":
            out.append(replace(message, tool_calls=calls, call_id=names.get(message.call_id, "")))
    return out, names


@pytest.mark.parametrize(("instruction", "failures"), RUNS)
def test_renumbered_ids_change_nothing_but_the_evidence(instruction, failures):
    ended = finished(instruction, failures)
    for messages, reply in prefixes(ended):
        other, names = renumbered(messages)
        again = ScriptedModel().complete(other, ended.table.specs())
        assert [c.name for c in again.tool_calls] == [c.name for c in reply.tool_calls]
        for mine, theirs in zip(again.tool_calls, reply.tool_calls, strict=True):
            expected = dict(theirs.arguments)
            if mine.name == "finish":
                expected["evidence"] = [names[i] for i in expected["evidence"]]
            assert mine.arguments == expected


def test_results_are_bound_by_order_where_ids_are_lost_or_repeated():
    calls = (ToolCall("a", "grasp", {}), ToolCall("a", "free_space", {}))
    messages = [
        Message("user", (TextContent("put it"),)),
        Message("assistant", tool_calls=calls),
        Message("tool", (TextContent('{"ok":true,"value":{"n":1}}'),), call_id="a"),
        Message("tool", (TextContent('{"ok":true,"value":{"n":2}}'),), call_id="a"),
    ]
    (exchange,) = exchanges(messages)
    assert [r.value for r in exchange.results] == [{"n": 1}, {"n": 2}]
    (exchange,) = exchanges(messages[:3])
    assert [r.ok for r in exchange.results] == [True, False]
    assert exchange.results[1].error == "infrastructure"


def test_results_in_any_order_are_bound_by_id():
    calls = (ToolCall("a", "grasp", {}), ToolCall("b", "free_space", {}))
    answers = [
        Message("tool", (TextContent(f'{{"ok":true,"value":{{"n":"{i}"}}}}'),), call_id=i) for i in ("b", "a")
    ]
    (exchange,) = exchanges([Message("assistant", tool_calls=calls), *answers])
    assert [r.value for r in exchange.results] == [{"n": "a"}, {"n": "b"}]


def test_ids_count_on_through_the_conversation():
    ended = finished(*RUNS[0])
    ids = [c.id for reply in ended.replies for c in reply.tool_calls]
    assert ids == [f"call_{n}" for n in range(1, len(ids) + 1)]


def test_later_user_messages_are_not_instructions():
    model, table = ScriptedModel(), SymbolicTable(block("red", 0.5, 0.0))
    messages = [
        Message("system", (TextContent("prompt"),)),
        Message("user", (TextContent("how many blocks are there?"),)),
        Message("user", (TextContent("put everything in the bowl, at once"),)),
    ]
    assert "count" in model.complete(messages, table.specs()).text


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", '{"ok": "yes"}', "ok", '{"value": 1}', "Traceback (most recent call last)"],
)
def test_what_is_no_result_is_a_failure(text):
    result = read_result(text, "call_1")
    assert isinstance(result, Result) and not result.ok and result.error == "infrastructure"


def test_text_around_the_json_is_passed_over():
    assert read_result('call_1: {"ok":true,"value":{"a":1}} image_3 follows', "c").value == {"a": 1}
    failed = read_result(
        '{"ok":false,"error":"negative","reason":"no_space","message":"full","evidence":null}', "c"
    )
    assert (failed.error, failed.reason, failed.message, failed.evidence) == (
        "negative",
        "no_space",
        "full",
        {},
    )


@pytest.mark.parametrize(
    "value", ["null", "[]", '{"objects":[1,{"mask":3},{"size_m":"x"}]}', '{"objects":null}', '{"count":-1}']
)
def test_odd_values_of_detect_are_an_empty_table(value):
    model, specs = ScriptedModel(), SymbolicTable().specs()
    messages = [Message("user", (TextContent("how many blocks are there?"),))]
    for text in ('{"ok":true,"value":{"image":"image_1"}}', f'{{"ok":true,"value":{value}}}'):
        reply = model.complete(messages, specs)
        messages.append(Message("assistant", tool_calls=reply.tool_calls))
        messages.append(Message("tool", (TextContent(text),), call_id=reply.tool_calls[0].id))
    assert (
        model.complete(messages, specs).tool_calls[0].arguments["summary"] == "0. I see nothing on the table."
    )


def test_a_conversation_led_by_another_planner_is_refused():
    messages = [
        Message("user", (TextContent("put the red block in the bowl"),)),
        Message("assistant", tool_calls=(ToolCall("call_1", "pick", {}),)),
        Message("tool", (TextContent('{"ok":true,"value":{}}'),), call_id="call_1"),
    ]
    with pytest.raises(ModelError, match="not this planner's") as caught:
        ScriptedModel().complete(messages, SymbolicTable().specs())
    assert caught.value.kind == "garbage"


def test_without_instruction_or_when_cancelled_there_is_no_turn():
    with pytest.raises(ModelError, match="no user message") as caught:
        ScriptedModel().complete([Message("system", (TextContent("x"),))], [])
    assert caught.value.kind == "garbage"
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(ModelError) as caught:
        ScriptedModel().complete([Message("user", (TextContent("x"),))], [], cancel)
    assert caught.value.kind == "cancelled"


def test_without_finish_the_verdict_is_text():
    reply = ScriptedModel().complete([Message("user", (TextContent("wibble"),))], [])
    assert not reply.tool_calls and reply.text.startswith("unclear: ") and reply.finish_reason == "stop"


def test_a_refused_finish_is_followed_by_an_honest_one():
    ended = finished(*RUNS[0])
    last = ended.replies[-1].tool_calls[0]
    refused = '{"ok":false,"error":"bad_arguments","reason":"","message":"too old","evidence":{}}'
    messages = [*ended.messages, Message("tool", (TextContent(refused),), call_id=last.id)]
    reply = ScriptedModel().complete(messages, ended.table.specs())
    (call,) = reply.tool_calls
    assert (
        call.name == "finish"
        and call.arguments["outcome"] == "failed"
        and "too old" in call.arguments["summary"]
    )
    messages += [
        Message("assistant", tool_calls=(call,)),
        Message("tool", (TextContent(refused),), call_id=call.id),
    ]
    assert not ScriptedModel().complete(messages, ended.table.specs()).tool_calls


def test_importing_the_model_is_light():
    heavy = ("torch", "mujoco", "open3d", "cv2", "openai")
    code = f"import sys, vlm_agent.scripted.model; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
