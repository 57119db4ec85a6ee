"""The scripted planner says the same over the wire as in process, turn by turn."""

import pytest

from perception_tools.errors import ErrorKind
from perception_tools.results import ToolResult, ToolSpec, ValuePart
from tests.contracts.chat_model_suite import ChatModelSuite
from vlm_agent.model import Message, TextContent
from vlm_agent.openai_model import OpenAIConfig, OpenAIModel
from vlm_agent.rendering import result_to_text
from vlm_agent.scripted.model import ScriptedModel
from vlm_agent.serve_model import serving

NAMES = ("capture", "detect", "relation", "grasp", "free_space", "pick", "place", "home", "finish")


@pytest.fixture(scope="module")
def served():
    with serving(ScriptedModel()) as url:
        yield OpenAIModel(OpenAIConfig(model="scripted", base_url=url))


class TestServedScripted(ChatModelSuite):
    @pytest.fixture
    def model(self, served):
        return served


def thing(label, mask, box, center_m, **fields):
    color, shape = label.split()
    return {
        "label": label,
        "color": color,
        "color_confidence": 0.9,
        "shape": shape,
        "shape_confidence": 0.9,
        "size_m": [0.04, 0.04, 0.04],
        "center_m": center_m,
        "box_px": [10, 10, 30, 30],
        "uv_px": [20, 20],
        "mask": mask,
        "box": box,
        "is_container": False,
        "confidence": 0.9,
    } | fields


SEEN = [
    thing("red box", "mask_1", "box_1", [0.5, 0.1, 0.02]),
    thing("blue box", "mask_2", "box_2", [0.4, -0.1, 0.02]),
    thing("white bowl", "mask_3", "box_3", [0.5, -0.2, 0.03], is_container=True, size_m=[0.14, 0.14, 0.06]),
]
ANSWERS = {
    "capture": {"image": "image_1", "depth": "depth_1", "camera": "scene", "stamp_s": 0.1},
    "detect": {"count": 3, "objects": SEEN},
    "relation": {"holds": False, "margin_m": -0.1, "confidence": 0.9},
    "grasp": {"grasp": "grasp_1", "count": 1, "candidates": [{"index": 0, "width_m": 0.04, "score": 0.8}]},
    "free_space": {"position_m": [0.5, -0.2, 0.01], "clearance_m": 0.03},
    "pick": {"held": True, "width_m": 0.04, "force_n": 20.0, "lifted_m": 0.1, "label": "red box"},
    "place": {"released": True, "position_m": [0.5, -0.2, 0.02], "error_m": 0.01},
}


def answer(call, number):
    """What a tool of that name says; every fifth call fails."""
    if number % 5 == 4:
        result = ToolResult(call.id, call.name, (), ErrorKind.FAILED, "slipped", "it slipped")
    else:
        result = ToolResult(call.id, call.name, (ValuePart(ANSWERS.get(call.name, {})),))
    return Message("tool", (TextContent(result_to_text(result)),), call_id=call.id)


@pytest.mark.parametrize(
    "instruction",
    [
        "put the red block in the bowl",
        "Move the blue box to the left of the red one, please.",
        "how many objects are there?",
        "put the purple elephant on the moon",
        "colorless green ideas sleep furiously",
    ],
)
def test_same_turns_over_the_wire(served, instruction):
    tools = [ToolSpec(name, name, {"type": "object"}) for name in NAMES]
    messages = [Message("system", (TextContent("plan"),)), Message("user", (TextContent(instruction),))]
    number = 0
    for _ in range(20):
        here, there = ScriptedModel().complete(messages, tools), served.complete(messages, tools)
        assert (here.text, here.tool_calls) == (there.text, there.tool_calls)
        if not here.tool_calls or here.tool_calls[0].name == "finish":
            break
        messages.append(Message("assistant", (TextContent(here.text),), here.tool_calls))
        for call in here.tool_calls:
            messages.append(answer(call, number))
            number += 1
    assert here.tool_calls or here.text
