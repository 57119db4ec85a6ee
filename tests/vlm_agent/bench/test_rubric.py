"""Judged benchmarks: verdicts are counted; a judge that returns garbage makes a row void, not wrong."""

import json

import pytest

import habilis_config
from vlm_agent.bench.contract import Question
from vlm_agent.bench.polite import ReplyCache
from vlm_agent.bench.scorers import rubric
from vlm_agent.model import ModelError, Reply

CRITERIA = [
    {"criterion": "names the red cup", "weight": 3, "critical": True},
    {"criterion": "is polite", "weight": 1},
]


class Judge:
    name = "judge"

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def complete(self, messages, tools, cancel=None):
        self.asked.append(messages[0].text)
        return Reply(self.replies.pop(0))


def asked(**facts):
    return Question("1", "Which cup?", rubric.criteria_of(CRITERIA), facts=facts)


def test_verdicts_are_weighted_and_critical_ones_pass():
    mark = rubric.rubric("x", asked(verdicts=[True, False]))
    assert mark.score == 0.75 and mark.parts["passed"] == 1
    assert rubric.strict("x", asked(verdicts=[True, False])).score == 0
    assert rubric.rubric("x", asked()).score is None  # not judged


@pytest.mark.parametrize(
    "text", ["", "yes", "{", '{"verdicts": [true]}', '{"verdicts": [1, 0]}', '{"verdicts": 3}']
)
def test_garbage_is_no_verdict(text):
    assert rubric.read_verdicts(text, 2) is None


def test_a_judge_is_asked_again_and_then_given_up():
    good = '```json\n{"verdicts": [true, false]}\n```'
    judge = Judge("what?", good)
    assert rubric.judge(judge, "the red one", asked()) == [True, False]
    assert "the red one" in judge.asked[0] and "1. names the red cup" in judge.asked[0]
    with pytest.raises(rubric.JudgeError, match=r"no verdict on '1' \(garbage in 3 tries: 'c'\)"):
        rubric.judge(Judge("a", "b", "c"), "x", asked())


def test_verdicts_are_kept_and_garbage_is_not(tmp_path):
    cache = ReplyCache(tmp_path, {"model": "judge"})
    with pytest.raises(rubric.JudgeError):
        rubric.judge(Judge("a", "b", "c"), "x", asked(), cache)
    good = '{"verdicts": [true, false]}'
    assert rubric.judge(Judge(good), "x", asked(), cache) == [True, False]
    assert rubric.judge(Judge(), "x", asked(), cache) == [True, False]  # it is not asked again
    assert rubric.judge(Judge('{"verdicts": [true, true]}'), "y", asked(), cache) == [True, True]


class Down:
    name = "down"

    def __init__(self, kind):
        self.kind, self.asked = kind, 0

    def complete(self, messages, tools, cancel=None):
        self.asked += 1
        raise ModelError("nobody there", kind=self.kind)


def test_a_judge_that_is_down_or_rejects_the_key(tmp_path):
    down = Down("unreachable")
    with pytest.raises(rubric.JudgeError, match=r"\(unreachable: nobody there\)"):
        rubric.judge(down, "x", asked())
    assert down.asked == 1  # its transport has tried again already
    with pytest.raises(ModelError):
        rubric.judge(Down("auth"), "x", asked())


def test_the_command_makes_unjudged_rows_void(bench, write_rows, tmp_path, monkeypatch):
    rows = [{"id": str(k), "prompt": "Which cup?", "rubrics": CRITERIA} for k in range(2)]
    write_rows(rows, "data/test.jsonl")
    said = write_rows([{"id": "0", "output": "red"}, {"id": "1", "output": "blue"}])
    command = ("score", "benchmark=visualtoolbench", f"data={tmp_path / 'data'}", f"predictions={said}")
    command += (f"cache={tmp_path / 'cache'}",)
    code, _, err = bench(*command)
    assert code == 2 and "needs a judge" in err
    judge = Judge(json.dumps({"verdicts": [True, True]}), "no", "no", "no")
    class_of = habilis_config.class_of
    monkeypatch.setattr(
        "habilis_config.class_of",
        lambda node: (lambda **settings: judge) if "scripted" in node["_target_"] else class_of(node),
    )
    code, got, err = bench(*command)
    assert code == 0 and got["void"] == 1 and got["n"] == 1 and got["score"] == 1
    assert "gave no verdict on '1'" in err
    judge.replies = [json.dumps({"verdicts": [False, True]})]  # the first row's verdict is kept
    code, got, _ = bench(*command)
    assert code == 0 and got["void"] == 0 and got["n"] == 2 and got["score"] == (1 + 0.25) / 2
    judge.replies = ["no"] * 6
    code, got, err = bench(*command, "cache=null")
    assert code == 1 and got["score"] is None and err.splitlines()[-1].endswith("void (2): there is no score")
