"""Tool results as JSON text: one object, strict, and back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_tools.artifacts import Workspace
from perception_tools.errors import ErrorKind
from perception_tools.results import ArtifactPart, ImagePart, TextPart, ToolResult, ValuePart
from vlm_agent.model import ImageContent
from vlm_agent.rendering import jsonable, result_from_text, result_to_text, tool_message

text = st.text(st.characters(exclude_categories=["Cs"]))  # lone surrogates cannot be sent; see trace tests
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | text, lambda v: st.lists(v) | st.dictionaries(text, v)
)
values = st.dictionaries(text, plain, min_size=1)
images = st.lists(st.builds(ImagePart, text, text), max_size=2)
artifacts = st.lists(st.builds(ArtifactPart, text, text, text), max_size=2)
notes = st.lists(st.builds(TextPart, text), max_size=2)


@given(values, images, artifacts, notes, st.none() | st.sampled_from(list(ErrorKind)), text, text)
def test_results_survive_as_text(value, images, artifacts, notes, error, reason, message):
    parts = (ValuePart(value), *images, *artifacts, *notes)
    reason, message = (reason, message) if error else ("", "")
    result = ToolResult("c", "t", parts, error, reason, message)
    assert result_from_text(result_to_text(result), "c", "t") == result


def test_text_has_the_documented_keys():
    ok = ToolResult(
        "c", "t", (ValuePart({"n": 1}), ImagePart("image_1", "x"), ArtifactPart("image_1", "image", "x"))
    )
    assert json.loads(result_to_text(ok)) == {
        "ok": True,
        "value": {"n": 1},
        "artifacts": [{"name": "image_1", "kind": "image", "label": "x"}],
        "images": [{"name": "image_1", "caption": "x"}],
    }
    bad = ToolResult("c", "t", (ValuePart({"seen": ["cup"]}),), ErrorKind.NEGATIVE, "not_found", "no bowl")
    assert json.loads(result_to_text(bad)) == {
        "ok": False,
        "error": "negative",
        "reason": "not_found",
        "message": "no bowl",
        "evidence": {"seen": ["cup"]},
    }


def test_numbers_are_short_and_finite():
    value = {"a": 0.1 + 0.2, "b": 1 / 3, "c": float("nan"), "d": np.float32(0.5), "e": 123456789}
    text = result_to_text(ToolResult("c", "t", (ValuePart(value),)))
    assert json.loads(text)["value"] == {"a": 0.3, "b": 0.33333333, "c": None, "d": 0.5, "e": 123456789}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ok": 1}', '"ok"', '{"ok": true'])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError):
        result_from_text(text)


def test_message_shows_the_images_after_one_json_object():
    workspace = Workspace()
    rgb = np.zeros((2, 3, 3), np.uint8)
    workspace.put("image", rgb, frame="camera:scene", stamp_s=0.0)
    message = tool_message(ToolResult("c", "t", (ValuePart({}), ImagePart("image_1"))), workspace)
    assert message.role == "tool" and message.call_id == "c" and json.loads(message.text)["ok"]
    picture = message.content[1]
    assert isinstance(picture, ImageContent) and picture.name == "image_1" and picture.rgb is rgb


def test_bounded_whatever_the_value():
    wide, deep = list(range(50_000)), {}
    for _ in range(2000):
        deep = {"x": deep}
    assert len(jsonable(wide)) == 10_000
    assert len(json.dumps(jsonable(deep))) < 1000
