"""Conversations as OpenAI-compatible JSON, and back."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from perception_tools.results import ToolCall
from tests.vlm_agent.toys import add, look
from vlm_agent.model import ImageContent, Message, Reply, TextContent
from vlm_agent.openai_format import (
    FormatError,
    messages_from_json,
    messages_to_json,
    reply_from_json,
    reply_to_json,
    specs_from_json,
    tools_to_json,
)

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
CONVERSATION = [
    Message("system", (TextContent("be good"),)),
    Message("user", (TextContent("look"), ImageContent(RGB, "image_1"))),
    Message(
        "assistant", (TextContent("so"),), (ToolCall("a", "look", {}), ToolCall("b", "look", {"x": "é"}))
    ),
    Message(
        "tool",
        (TextContent('{"ok":true}'), ImageContent(RGB, "image_2"), ImageContent(255 - RGB, "")),
        call_id="a",
    ),
    Message("tool", (TextContent('{"ok":false}'), ImageContent(RGB, "image_4")), call_id="b"),
    Message("user", (TextContent("[status] left"),)),
    Message("assistant", (), (ToolCall("c", "add", '{"a": 1'),)),
    Message("tool", (TextContent("{}"),), call_id="c"),
]


def same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert (a.role, a.text, a.tool_calls, a.call_id) == (b.role, b.text, b.tool_calls, b.call_id)
        pictures = [[c for c in m.content if isinstance(c, ImageContent)] for m in (a, b)]
        assert [c.name for c in pictures[0]] == [c.name for c in pictures[1]]
        assert all(np.array_equal(p.rgb, q.rgb) for p, q in zip(*pictures, strict=True))


@pytest.mark.parametrize("images_in_tool_results", [False, True])
def test_conversation_survives_the_wire(images_in_tool_results):
    data = messages_to_json(CONVERSATION, images_in_tool_results=images_in_tool_results, image_format="png")
    same(messages_from_json(json.loads(json.dumps(data))), CONVERSATION)


def test_images_of_tool_results_follow_all_results_and_name_their_call():
    data = messages_to_json(CONVERSATION)
    assert [m["role"] for m in data] == [
        *("system", "user", "assistant", "tool", "tool", "user", "assistant", "tool")
    ]
    parts = data[5]["content"]
    assert [p.get("text", "image") for p in parts] == [
        *("[images of call a]", "[image image_2]", "image", "[image ]", "image"),
        *("[images of call b]", "[image image_4]", "image", "[status] left"),
    ]
    assert all(isinstance(data[k]["content"], str) for k in (3, 4))
    assert parts[2]["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_images_inside_tool_results_where_the_provider_takes_them():
    data = messages_to_json(CONVERSATION, images_in_tool_results=True)
    assert [m["role"] for m in data].count("user") == 2
    assert [p["type"] for p in data[3]["content"]] == ["text", "text", "image_url", "text", "image_url"]


def test_arguments_that_are_no_object_stay_text_and_are_sent_as_they_were():
    for raw in ('{"a": 1', "[1]", "null", "7", "[" * 100_000):
        data = {
            "choices": [
                {"message": {"tool_calls": [{"id": "x", "function": {"name": "add", "arguments": raw}}]}}
            ]
        }
        (call,) = reply_from_json(data).tool_calls
        assert call.arguments == raw
        sent = messages_to_json([Message("assistant", (), (call,))])
        assert sent[0]["tool_calls"][0]["function"]["arguments"] == raw


@given(
    st.builds(
        Reply,
        st.text(),
        st.lists(
            st.builds(ToolCall, st.text(), st.text(), st.dictionaries(st.text(), st.integers() | st.text())),
            max_size=3,
        ).map(tuple),
        st.dictionaries(st.text(), st.integers(), max_size=2),
        st.just("stop"),
    )
)
def test_replies_survive_the_wire(reply):
    assert reply_from_json(json.loads(json.dumps(reply_to_json(reply, "m", "id", 0)))) == reply


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "tool_calls", "function", "role", "text", "type"]
                ),
                v,
            )
        ),
    )
)
def test_any_json_is_parsed_or_refused(data):
    for parse in (reply_from_json, messages_from_json, specs_from_json):
        try:
            parse(data)
        except FormatError as error:
            assert str(error) and "\n" not in str(error)


def test_tools_survive_the_wire():
    back = specs_from_json(json.loads(json.dumps(tools_to_json([add.spec, look.spec]))))
    assert [(s.name, s.description, s.parameters) for s in back] == [
        (s.name, s.description, s.parameters) for s in (add.spec, look.spec)
    ]


def _url(size=(4, 4), image_format="PNG"):
    buffer = io.BytesIO()
    Image.new("L", size).save(buffer, image_format)
    return f"data:image/{image_format.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/a.png", "nothing is fetched"),
        ("file:///etc/passwd", "nothing is fetched"),
        (None, "nothing is fetched"),
        ("data:image/png;base64,!!!!", "cannot be decoded"),
        ("data:image/png;base64,AAAA", "cannot be decoded"),
        (_url()[:-30], "cannot be decoded"),
        (_url((5000, 4000)), "too large"),
    ],
)
def test_images_that_are_none_are_refused(url, words):
    content = [{"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(FormatError, match=words):
        messages_from_json([{"role": "user", "content": content}])


def test_grey_images_become_colour():
    content = [{"type": "image_url", "image_url": {"url": _url()}}]
    (message,) = messages_from_json([{"role": "user", "content": content}])
    (item,) = message.content
    assert isinstance(item, ImageContent) and item.rgb.shape == (4, 4, 3) and item.rgb.dtype == np.uint8
