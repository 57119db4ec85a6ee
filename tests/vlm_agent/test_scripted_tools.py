"""Sentences about the tool in the hand, and what is done about them."""

import pytest

from vlm_agent.scripted.instrument import OPEN_M
from vlm_agent.scripted.parse import NotUnderstood, parse
from vlm_agent.scripted.plan import program
from vlm_agent.scripted.program import Result
from vlm_agent.scripted.show import say, show
from vlm_agent.scripted.syntax import PickUp, SetOpening

TOOLS = frozenset({"capture", "detect", "relation", "pick_with_tool", "set_tool_opening", "home", "finish"})
SMALL_RED = "pickup the(red box -size) with tweezers"


@pytest.mark.parametrize(
    "text",
    [
        "pick up the small red cube with the tweezers",
        "with the tweezers, pick up the small red cube",
        "use the tweezers to lift the small red cube",
        "grab the small red cube using your tweezers, please",
        "could you pick up the small red block with the pair of tweezers?",
    ],
)
def test_picking_with_the_tweezers(text):
    assert show(parse(text).readings[0]) == SMALL_RED


@pytest.mark.parametrize(
    ("text", "width_mm", "change_mm"),
    [
        ("set the tweezers' opening to 8 mm", 8, None),
        ("set the tweezers’ opening to 8mm.", 8, None),
        ("set the opening of the tweezers to 1.2 cm", 12, None),
        ("open the tweezers to 12 millimetres", 12, None),
        ("please open the tweezers", 1e3 * OPEN_M, None),
        ("close the tweezers", 0, None),
        ("open the tweezers by 5 mm", None, 5),
        ("open the tweezers by half a centimetre", None, 5),
        ("close the tweezers by 2 mm", None, -2),
    ],
)  # fmt: skip
def test_openings(text, width_mm, change_mm):
    (step,) = parse(text).readings[0].steps
    assert isinstance(step, SetOpening) and step.tool == "tweezers"
    found = [None if v is None else pytest.approx(1e3 * v) for v in (step.width_m, step.change_m)]
    assert found == [width_mm, change_mm]


@pytest.mark.parametrize(
    "text",
    [
        "put the red cube in the bowl with the tweezers",
        "put the tweezers in the bowl",
        "pick up the red cube with the tweezers and put it in the bowl",
        "how many tweezers are there?",
    ],
)
def test_what_is_not_done_with_tweezers_is_refused_with_an_example(text):
    with pytest.raises(NotUnderstood, match="for example") as caught:
        parse(text)
    assert caught.value.fragment


def test_other_sentences_know_nothing_of_tools():
    (step,) = parse("pick up the red cube").readings[0].steps
    assert isinstance(step, PickUp) and step.tool == ""
    assert say(parse("pick up the red cube").readings[0]) == "pick up the red cube"


# ---- plans -----------------------------------------------------------------------------------------


def seen(z=0.007, height=0.014, x=0.45):
    return {
        "label": "red box", "color": "red", "shape": "box", "size_m": [0.014, 0.014, height],
        "center_m": [x, 0.0, z], "mask": "mask_1", "box": "box_1", "confidence": 1.0,
    }  # fmt: skip


def drive(instruction, answers, tools=TOOLS):
    """Run the program against answers by tool name, a list each; return the calls made and the verdict."""
    made, left = [], {name: list(values) for name, values in answers.items()}
    steps = program(instruction, tools)
    turn = next(steps)
    while True:
        results = []
        for call in turn.calls:
            made.append((call.name, dict(call.arguments)))
            if call.name == "finish":
                return made, dict(call.arguments)
            answer = left[call.name].pop(0) if left.get(call.name) else {"image": "image_1"}
            results.append(
                answer if isinstance(answer, Result) else Result(f"call_{len(made)}", True, answer)
            )
        turn = steps.send(tuple(results))


def names(made):
    return [name for name, _ in made]


def test_a_pick_is_looked_at():
    looks = [{"objects": [seen()]}, {"objects": []}]
    made, end = drive("pick up the red cube with the tweezers", {"detect": looks})
    assert names(made) == ["capture", "detect", "pick_with_tool", "capture", "detect", "finish"]
    assert made[2][1] == {"tool": "tweezers", "object": "box_1"}
    assert end["outcome"] == "done" and "tweezers" in end["summary"] and end["evidence"]


def test_what_hangs_in_the_air_has_left_the_table():
    looks = [{"objects": [seen()]}, {"objects": [seen(z=0.055, height=0.11)]}]
    assert drive("pick up the red cube with the tweezers", {"detect": looks})[1]["outcome"] == "done"


def test_what_still_lies_there_is_tried_again_after_opening():
    looks = [{"objects": [seen()]}, {"objects": [seen()]}, {"objects": [seen()]}, {"objects": []}]
    made, end = drive("pick up the red cube with the tweezers", {"detect": looks})
    assert end["outcome"] == "done"
    after = names(made)[5:]
    assert after[:4] == ["set_tool_opening", "home", "capture", "detect"] and "pick_with_tool" in after


def test_a_miss_is_tried_again_and_given_up_in_the_end():
    missed = Result("", False, {}, "failed", "missed", "did not lift it")
    answers = {"detect": [{"objects": [seen()]}] * 9, "pick_with_tool": [missed] * 9}
    made, end = drive("pick up the red cube with the tweezers", answers)
    assert end["outcome"] == "failed" and names(made).count("pick_with_tool") == 4


def test_what_is_too_wide_is_impossible():
    wide = Result("", False, {}, "negative", "too_wide", "it is 40 mm wide")
    answers = {"detect": [{"objects": [seen()]}], "pick_with_tool": [wide]}
    made, end = drive("pick up the red cube with the tweezers", answers)
    assert end["outcome"] == "impossible" and "40 mm" in end["summary"]
    assert names(made).count("pick_with_tool") == 1


def test_lost_tweezers_end_the_run():
    lost = Result("", False, {}, "failed", "dropped", "they slipped out of the hand")
    answers = {"detect": [{"objects": [seen()]}], "pick_with_tool": [lost]}
    _, end = drive("pick up the red cube with the tweezers", answers)
    assert end["outcome"] == "failed" and "slipped" in end["summary"]


def test_where_only_the_tool_can_pick_it_does():
    answers = {"detect": [{"objects": [seen()]}, {"objects": []}]}
    made, _ = drive("pick up the red cube", answers)
    assert "pick_with_tool" in names(made)


def test_without_a_tool_in_the_hand_nothing_moves():
    tools = frozenset({"capture", "detect", "grasp", "pick", "home", "finish"})
    answers = {"detect": [{"objects": [seen()]}]}
    for text in ("pick up the red cube with the tweezers", "open the tweezers"):
        made, end = drive(text, answers, tools)
        assert end["outcome"] == "impossible" and "no tweezers" in end["summary"]
        assert not {"pick", "home"} & set(names(made))


def test_a_change_starts_from_the_sensed_opening():
    answers = {"set_tool_opening": [{"opening_m": 0.011}, {"opening_m": 0.016, "holding": False}]}
    made, end = drive("open the tweezers by 5 mm", answers)
    asked = [arguments for name, arguments in made if name == "set_tool_opening"]
    assert asked == [{"width_m": 0.0, "dry_run": True}, {"width_m": 0.016, "dry_run": False}]
    assert end["outcome"] == "done" and "16.0 mm" in end["summary"] and end["evidence"]
