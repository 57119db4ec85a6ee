"""`finish` takes a verdict only with the evidence for it."""

import pytest

from perception_tools.errors import BadArguments, ErrorKind
from perception_tools.results import ToolResult, ValuePart
from tests.vlm_agent.toys import call, look, make_context, move, relate
from vlm_agent.finish import Ledger, check_evidence, make_finish


@pytest.fixture
def ledger():
    """look_1, move_1, look_2, relate_1 (holds), relate_2 (does not hold), negative_1."""
    ledger = Ledger()
    entries = [
        ("look_1", look, None, {}),
        ("move_1", move, None, {}),
        ("look_2", look, None, {}),
        ("relate_1", relate, None, {"holds": True}),
        ("relate_2", relate, None, {"all": [{"holds": False}]}),
        ("negative_1", look, ErrorKind.NEGATIVE, {}),
    ]
    for call_id, tool, error, value in entries:
        result = ToolResult(call_id, tool.name, (ValuePart(value),), error)
        ledger.record(call(tool.name, call_id), tool, result)
    return ledger


@pytest.mark.parametrize(
    ("outcome", "evidence"),
    [
        ("done", ["look_2"]),
        ("done", ["relate_1", "look_2"]),
        ("answered", ["look_1"]),
        ("answered", ["relate_2"]),  # the answer may be no
        ("impossible", []),
        ("unclear", []),
        ("failed", ["negative_1"]),
    ],
)
def test_supported_verdicts_are_accepted(ledger, outcome, evidence):
    tool = make_finish(ledger)
    tool(make_context(), outcome=outcome, summary=" why ", evidence=evidence)
    assert ledger.verdict is not None
    assert (ledger.verdict.outcome, ledger.verdict.summary) == (outcome, "why")
    assert ledger.verdict.evidence == tuple(evidence)


@pytest.mark.parametrize(
    ("outcome", "evidence", "words"),
    [
        ("done", [], "needs evidence; successful perception results since the last motion: look_2, relate_1"),
        ("answered", [], "answered needs evidence; .*look_1, look_2"),
        ("done", ["look_1"], r"look_1 \(look\) was made before the last motion \(move, move_1\)"),
        ("done", ["look_2", "look_1"], "before the last motion"),
        ("done", ["relate_2"], "says holds: false"),
        ("done", ["move_1"], "is no successful perception result"),
        ("done", ["negative_1"], "is no successful perception result"),
        ("answered", ["negative_1"], "is no successful perception result"),
        ("answered", ["nothing"], "no call 'nothing' in this run"),
        ("failed", ["nothing"], "no call 'nothing' in this run"),
    ],
)
def test_unsupported_verdicts_say_what_is_missing(ledger, outcome, evidence, words):
    with pytest.raises(BadArguments, match=words):
        check_evidence(ledger, outcome, evidence)
    assert ledger.verdict is None


@pytest.mark.parametrize("outcome", ["done", "answered"])
def test_without_any_look_it_says_look_first(outcome):
    with pytest.raises(BadArguments, match="look first"):
        check_evidence(Ledger(), outcome, [])


@pytest.mark.parametrize("error", [None, ErrorKind.FAILED, ErrorKind.CANCELLED, ErrorKind.INFRASTRUCTURE])
def test_a_skill_that_may_have_moved_makes_earlier_looks_stale(error):
    ledger = Ledger()
    ledger.record(call("look", "a"), look, ToolResult("a", "look"))
    ledger.record(call("move", "b"), move, ToolResult("b", "move", (), error))
    assert ledger.since_motion == [] and ledger.last_motion == "move, b"


@pytest.mark.parametrize(
    "result",
    [
        ToolResult("b", "move", (), ErrorKind.REFUSED),
        ToolResult("b", "move", (), ErrorKind.BAD_ARGUMENTS),
        ToolResult("b", "move", (), ErrorKind.CANCELLED, reason="not_run"),
    ],
)
def test_a_skill_that_was_not_started_leaves_them_fresh(result):
    ledger = Ledger()
    ledger.record(call("look", "a"), look, ToolResult("a", "look"))
    ledger.record(call("move", "b"), move, result)
    assert ledger.since_motion == ["a"]


@pytest.mark.parametrize("summary", ["", "   "])
def test_every_verdict_needs_words(summary):
    tool = make_finish(Ledger())
    with pytest.raises(BadArguments, match="summary"):
        tool(make_context(), outcome="impossible", summary=summary)


def test_finish_with_other_calls_is_refused(ledger):
    ledger.is_alone = False
    with pytest.raises(BadArguments, match="call finish alone"):
        make_finish(ledger)(make_context(), outcome="done", summary="x", evidence=["look_2"])


def test_every_parameter_is_described_to_the_model():
    spec = make_finish(Ledger()).spec
    assert set(spec.parameters["properties"]) == {"outcome", "summary", "evidence"}
    assert spec.parameters["properties"]["outcome"]["enum"][0] == "done"
    assert not spec.read_only
