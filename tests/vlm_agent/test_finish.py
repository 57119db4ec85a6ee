"""`finish` takes a verdict only with the evidence for it."""

import pytest

from perception_tools.artifacts import Workspace
from perception_tools.errors import BadArguments, ErrorKind
from perception_tools.results import ToolResult, ValuePart
from tests.vlm_agent.toys import call, look, make_context, move, relate
from vlm_agent.finish import Ledger, check_evidence, make_finish
from vlm_agent.skills.registry import load_skill


@pytest.fixture
def ledger():
    """look_1, move_1, look_2, relate_1 (holds), relate_2 (does not hold), negative_1."""
    ledger = Ledger()
    entries = [
        ("look_1", look, None, {}),
        ("move_1", move, None, {}),
        ("look_2", look, None, {"image": "image_2"}),
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
        ("done", ["look_2"], "a picture alone"),
        ("done", ["relate_1"], r"relate_2 \(relate\) since the last motion says holds: false"),
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


def test_done_needs_one_result_that_tells_something():
    ledger = Ledger()
    answered(ledger, "move_1", move)
    answered(ledger, "look_1", look, {"image": "image_1"})
    answered(ledger, "relate_1", relate, {"holds": True})
    check_evidence(ledger, "done", ["look_1", "relate_1"])
    with pytest.raises(BadArguments, match="a picture alone"):
        check_evidence(ledger, "done", ["look_1"])


@pytest.mark.parametrize("name", ["home", "open_gripper", "set_tool_opening"])
def test_a_picture_shows_what_a_gesture_did(name):
    ledger = Ledger()
    answered(ledger, "move_1", load_skill(name))
    answered(ledger, "look_1", look, {"image": "image_1"})
    check_evidence(ledger, "done", ["look_1"])


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


def answered(ledger, call_id, tool, value=None, **arguments):
    parts = (ValuePart(value or {}),)
    ledger.record(call(tool.name, call_id, **arguments), tool, ToolResult(call_id, tool.name, parts))


def boxes_of(workspace, call_id):
    """Put a picture and two boxes in it, as one call; return the boxes' names."""
    image = workspace.put("image", None, frame="camera:scene", stamp_s=0.0, call_id=call_id)
    put = dict(frame="world", stamp_s=0.0, call_id=call_id, parents=(image.name,))
    return [workspace.put("box", None, label=label, **put).name for label in ("block", "bowl")]


def test_a_relation_of_boxes_seen_before_the_motion_is_no_evidence():
    workspace = Workspace()
    ledger = Ledger(workspace)
    a, b = boxes_of(workspace, "look_1")
    answered(ledger, "look_1", look)
    answered(ledger, "move_1", move)
    answered(ledger, "old", relate, {"holds": True}, a=a, b=b)
    with pytest.raises(BadArguments, match=r"old \(relate\) is computed from box_1, sensed before"):
        check_evidence(ledger, "done", ["old"])
    late = workspace.put("box", None, frame="world", stamp_s=9.0, call_id="refit", parents=(a,)).name
    answered(ledger, "refit", relate, {}, a=a)
    answered(ledger, "old_2", relate, {"holds": True}, a=late, b=b)
    with pytest.raises(BadArguments, match="is computed from"):
        check_evidence(ledger, "done", ["old_2"])
    a, b = boxes_of(workspace, "look_2")
    answered(ledger, "look_2", look)
    answered(ledger, "new", relate, {"holds": True}, a=a, b=b)
    check_evidence(ledger, "done", ["look_2", "new"])


def test_a_denial_counts_until_the_same_question_is_answered_otherwise():
    workspace = Workspace()
    ledger = Ledger(workspace)
    answered(ledger, "move_1", move)
    for k, holds in enumerate((False, True)):
        a, b = boxes_of(workspace, f"look_{k}")
        answered(ledger, f"look_{k}", look)
        answered(ledger, f"find_{k}", relate, {"count": 2}, image="image_1")
        answered(ledger, f"relate_{k}", relate, {"holds": holds}, a=a, b=b, relation="inside")
        if not holds:
            with pytest.raises(BadArguments, match=r"relate_0 .* says holds: false"):
                check_evidence(ledger, "done", ["find_0"])
    check_evidence(ledger, "done", ["find_1"])
