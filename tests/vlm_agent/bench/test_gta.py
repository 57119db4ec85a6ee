"""GTA: answers by white list, tools by category, and its four figures step by step, by hand."""

import json

import pytest

from vlm_agent.bench.contract import Question
from vlm_agent.bench.predictions import Output
from vlm_agent.bench.registry import load_benchmark
from vlm_agent.bench.scorers import gta
from vlm_agent.bench.scoring import score_outputs
from vlm_agent.bench.sources import load_questions

LISTS = {"whitelist": [["12", "twelve"], ["eur"]], "blacklist": [["usd"]]}


def call(name, **arguments):
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]}


def say(text):
    return {"role": "assistant", "content": text}


OCR, SUM = call("OCR", image="image/image_1.jpg"), call("Calculator", expression="5+7")
DIALOGS = [
    {"role": "user", "content": "How much?"},
    *(OCR, {"role": "tool", "name": "OCR", "content": "5, 7"}),
    *(SUM, {"role": "tool", "name": "Calculator", "content": "12"}),
    say("12 EUR."),
]
PAINT = [{"role": "user", "content": "Paint it"}, call("TextToImage", keywords="cat"), say("Here it is.")]


@pytest.fixture
def rows(tmp_path):
    """A request with an objective answer, and one whose answer is a picture."""
    data = {
        "0": {"tools": [], "files": [], "dialogs": DIALOGS, "gt_answer": LISTS},
        "1": {"tools": [], "files": [], "dialogs": PAINT, "gt_answer": None},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(data))
    return load_questions(load_benchmark("gta"), str(tmp_path))


def scored(rows, scorer, *said):
    outputs = {str(k): Output(messages) for k, messages in enumerate(said) if messages is not None}
    return score_outputs(load_benchmark("gta"), scorer, rows, outputs)[0]


@pytest.mark.parametrize(
    ("text", "right", "strict"),
    [
        ("It costs twelve EUR.", 1, 0),
        ("12, EUR", 1, 1),
        ("It costs 12.", 0, 0),  # the second group lacks
        ("12 EUR, or 13 USD", 0, 0),  # the black list
        ("112 EUR", 0, 0),  # words stand alone
        ("12 euros", 0, 0),
        ("", 0, 0),
    ],
)
def test_white_and_black_lists(text, right, strict):
    question = Question("1", "?", LISTS, facts={"tools": []})
    assert gta.end_to_end(text, question).score == right
    assert gta.strict(text, question).score == strict


def test_tools_by_category_and_the_quirks_of_their_f1(rows):
    said = [call("OCR"), call("OCR"), call("DrawBox"), say("12 EUR")]
    got = scored(rows, None, said, [call("TextToImage", keywords="dog"), say("So.")])
    assert got["score"] == 1 and got["n"] == 1 and got["left_out"] == 1  # a picture is no objective answer
    # Perception: one gold call, called at all: 1 of the 2 calls said. P = 1/2, R = 1, F1 = 2/3, but for 1e-5.
    assert got["totals"]["perception_f1"] == pytest.approx(2 / 3, abs=2e-5)
    assert got["totals"]["perception_f1"] != 2 / 3
    # Creativity is counted over all rows; logic was not called; operation is called and not wanted.
    assert got["totals"]["creativity_f1"] == pytest.approx(1, abs=2e-5)
    assert got["totals"]["logic_f1"] == got["totals"]["operation_f1"] == 0
    as_object = {"answer": "12 EUR", "calls": [{"name": "OCR", "arguments": {}}]}
    assert scored(rows, None, as_object)["totals"]["perception_f1"] == pytest.approx(1, abs=2e-5)


def test_a_tool_that_is_wanted_twice_is_right_by_one_call():
    question = Question("1", "?", LISTS, facts={"tools": ["OCR", "OCR"]})
    assert gta.end_to_end([call("OCR"), say("?")], question).parts["right_perception"] == 2
    assert gta.strict([call("OCR"), say("?")], question).parts["right_perception"] == 1


def test_the_last_message_is_the_answer():
    question = Question("1", "?", LISTS, facts={"tools": []})
    assert gta.end_to_end([say("12 EUR"), call("OCR")], question).score == 0
    assert gta.end_to_end([say("what?"), say("12 EUR")], question).score == 1


def test_step_by_step_by_hand(rows):
    right = [OCR, SUM, say("It is 12 EUR.")]
    painted = [call("TextToImage", keywords="dog"), say("Done.")]
    got = scored(rows, "steps", right, painted)
    # Calls: 3; tools right 3, arguments 2. Answers: 1 of 1 objective. Steps aligned: 3 + 2, over the three
    # calls and the one row that has an answer: 5/4, as the original counts.
    assert got["totals"] == {"inst_acc": 5 / 4, "tool_acc": 1, "arg_acc": 2 / 3, "summ_acc": 1}
    assert got["score"] == 2 / 3 and got["n"] == 2 and got["left_out"] == 0
    assert got["strict"]["totals"]["inst_acc"] == 1  # 5 of all 5 steps
    failed = scored(rows, "strict_steps", right, [painted[0], {**painted[1], "error": "time-out"}])
    assert failed["totals"]["inst_acc"] == 4 / 5 and "strict" not in failed


def test_steps_that_go_wrong(rows):
    said = [call("OCR", image="image/other.jpg"), say("12 EUR"), {**SUM, "error": "no such tool"}]
    got = scored(rows[:1], "steps", said)
    # Aligned: the first alone (text for a call; a call for text). Tool 1 of 2, arguments 0, answer 0 of 1.
    assert got["totals"] == {"inst_acc": 1 / 3, "tool_acc": 1 / 2, "arg_acc": 0, "summ_acc": 0}
    failed = scored(rows[:1], "steps", [{**OCR, "error": "time-out"}, SUM, say("12 EUR")])["totals"]
    assert failed == {
        "inst_acc": 2 / 3,
        "tool_acc": 1,
        "arg_acc": 1,
        "summ_acc": 1,
    }  # it still named its tool
    strict = scored(rows[:1], "strict_steps", [{**OCR, "error": "time-out"}, SUM, say("12 EUR")])["totals"]
    assert strict == {"inst_acc": 2 / 3, "tool_acc": 1 / 2, "arg_acc": 1 / 2, "summ_acc": 1}


def test_steps_that_lack(rows):
    short = scored(rows[:1], "steps", [OCR])["totals"]
    # One step was made, one call is compared; the row's answer is in the denominators all the same.
    assert short == {"inst_acc": 1 / 2, "tool_acc": 1, "arg_acc": 1, "summ_acc": 0}
    assert scored(rows[:1], "strict_steps", [OCR])["totals"]["tool_acc"] == 1 / 2
    nothing = scored(rows[:1], "steps", None)
    assert nothing["missing"] == 1 and set(nothing["totals"].values()) == {0}


def test_a_picture_may_be_named_by_its_full_path_and_arguments_be_text(rows):
    function = {"name": "OCR", "arguments": '{"image": "/data/gta/image/image_1.jpg"}'}
    said = [{"tool_calls": [{"function": function}]}, SUM, say("12 EUR")]
    assert scored(rows[:1], "steps", said)["totals"]["arg_acc"] == 1
    function["arguments"] = "{"  # cut off: a call of no tool
    assert scored(rows[:1], "steps", said)["totals"]["tool_acc"] == 1 / 2


def test_steps_are_not_asked(bench, tmp_path):
    code, _, err = bench("benchmark=gta", f"data={tmp_path}", "scorer=steps", "model=always_yes")
    assert code == 2 and "habilis bench score" in err and err.count("\n") == 1


def test_answers_without_dialogs_have_no_steps(bench, write_rows, tmp_path):
    (tmp_path / "answers.json").write_text(json.dumps({"7": LISTS}))
    said = write_rows([{"id": "7", "output": "12 EUR"}])
    command = ("score", "benchmark=gta", f"data={tmp_path}", f"predictions={said}")
    assert bench(*command)[1]["score"] == 1
    code, _, err = bench(*command, "scorer=steps")
    assert code == 2 and "dataset.json" in err and err.count("\n") == 1
