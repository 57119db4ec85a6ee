"""Pure tools in worker processes: what hangs is killed, what crashes is replaced, names come back right."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from perception_tools.artifacts import ArtifactError
from perception_tools.errors import ErrorKind
from perception_tools.registry import load_tool
from perception_tools.results import ArtifactPart
from tests.perception_tools.test_feel import make_senses
from tests.vlm_agent.toys import call, grow, make_context, misbehave, sleep, stall
from vlm_agent.executor import Executor, ExecutorConfig
from vlm_agent.process_host import related

TOOLS = (grow, misbehave, sleep, stall)

ONE = ExecutorConfig(process=("misbehave",), infrastructure_retries=0)


@pytest.fixture
def executor():
    config = ExecutorConfig(process=("grow", "misbehave", "sleep", "stall"), infrastructure_retries=0)
    with Executor(TOOLS, make_context(), config) as executor:
        yield executor


def run(executor, name, **arguments):
    return executor.run([call(name, **arguments)])[0]


def put_mask(executor, label="m"):
    data = np.eye(4, dtype=bool)
    return executor.context.workspace.put("mask", data, frame="camera:scene", stamp_s=1.0, label=label)


def test_pure_tool_runs_elsewhere_and_its_artifacts_come_back_under_free_names(executor):
    given = put_mask(executor, "block")
    put_mask(executor)  # mask_2: not named in the call, but its name is taken
    result = run(executor, "grow", mask=given.name)
    assert result.ok and result.value == {"text": "mask_4"}
    assert [p.artifact for p in result.parts if isinstance(p, ArtifactPart)] == ["mask_3", "mask_4"]
    first, second = (executor.context.workspace.get(n) for n in ("mask_3", "mask_4"))
    assert np.array_equal(first.data, ~given.data) and np.array_equal(second.data, given.data)
    assert first.label == "not block" and second.parents == ("mask_3",) and second.meta == {"of": "mask_3"}
    assert (
        first.call_id == result.call_id
        and run(executor, "misbehave", how="pid").value["value"] != os.getpid()
    )


def test_names_taken_meanwhile_are_not_overwritten(executor):
    given = put_mask(executor)
    context = executor.context.for_call("grow", "c", threading.Event())
    request_names = executor.context.workspace.extract([given.name])
    put_mask(executor)  # mask_2 appears in the run while the worker makes its own mask_2
    from vlm_agent.process_host import Answer, _adopt

    made = request_names.put("mask", ~given.data, frame="camera:scene", stamp_s=1.0, parents=(given.name,))
    value, _ = _adopt(Answer(output=({"mask": made.name, "of": given.name}, ()), made=(made,)), context)
    assert made.name == "mask_2" and value == {"mask": "mask_3", "of": "mask_1"}


def test_hanging_worker_is_killed_replaced_and_infrastructure(executor):
    before = run(executor, "misbehave", how="pid").value["value"]
    result = run(executor, "stall")
    assert result.error is ErrorKind.INFRASTRUCTURE and result.reason == "timeout"
    assert "killed" in result.message and executor.num_quarantined == 0  # no thread was left behind
    after = run(executor, "misbehave", how="pid").value["value"]
    assert after != before
    with pytest.raises(ProcessLookupError):
        os.kill(int(before), 0)


def test_crashed_worker_is_replaced_and_infrastructure(executor):
    before = run(executor, "misbehave", how="pid").value["value"]
    result = run(executor, "misbehave", how="exit")
    assert result.error is ErrorKind.INFRASTRUCTURE and result.reason == "crash"
    assert "died (exit code 11)" in result.message
    assert run(executor, "misbehave", how="pid").value["value"] != before


def test_failures_in_the_worker_keep_their_kind(executor):
    result = run(executor, "misbehave", how="negative")
    assert (result.error, result.reason) == (ErrorKind.NEGATIVE, "not_found") and result.value == {"seen": []}
    result = run(executor, "misbehave", how="raise")
    assert result.error is ErrorKind.INFRASTRUCTURE and "ZeroDivisionError: in there" in result.message


def test_missing_self_filter_is_said_not_ignored():
    context = replace(make_context(), is_robot=lambda points: np.zeros(len(points), bool))
    with Executor(
        TOOLS, context, ExecutorConfig(process=("misbehave",), infrastructure_retries=0)
    ) as executor:
        result = run(executor, "misbehave", how="self_filter")
    assert result.error is ErrorKind.INFRASTRUCTURE and "self filter" in result.message


def test_senses_that_are_out_of_reach_are_said_not_ignored():
    feel = load_tool("feel")
    context = replace(make_context(), senses=make_senses())
    with Executor([feel], context, ExecutorConfig(process=("feel",), infrastructure_retries=0)) as executor:
        result = run(executor, "feel")
    assert result.error is ErrorKind.INFRASTRUCTURE and "robot's senses" in result.message


def test_cancellation_kills_the_worker(executor):
    pid = run(executor, "misbehave", how="pid").value["value"]
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    (result,) = executor.run([call("sleep")], cancel)
    assert result.error is ErrorKind.CANCELLED
    assert run(executor, "misbehave", how="pid").value["value"] != pid


def test_arguments_that_cannot_travel_are_infrastructure():
    context = make_context(settings={"grow": lambda: 1})
    with Executor(
        TOOLS, context, ExecutorConfig(process=("misbehave",), infrastructure_retries=0)
    ) as executor:
        assert run(executor, "misbehave", how="pid").error is ErrorKind.INFRASTRUCTURE


def test_related_artifacts_are_parents_meta_and_what_was_sensed_together():
    workspace = make_context().workspace
    common = {"frame": "camera:scene", "stamp_s": 0.0}
    workspace.put("image", 0, call_id="a", **common)
    workspace.put("depth", 0, call_id="a", **common)
    workspace.put("image", 0, call_id="b", **common)
    workspace.put("mask", 0, call_id="c", parents=("image_1",), **common)
    workspace.put("mask", 0, call_id="c", **common)
    workspace.put("box", 0, call_id="d", meta={"mask": "mask_1"}, **common)
    assert related(workspace, {"boxes": ["box_1"]}) == ["image_1", "depth_1", "mask_1", "box_1"]
    assert related(workspace, {"text": "image_9"}) == []


def test_extract_keeps_names_epoch_and_staleness_and_is_independent():
    workspace = make_context().workspace
    for _ in range(2):
        workspace.put("mask", 0, frame="camera:scene", stamp_s=0.0)
    workspace.advance_epoch("pick moved it")
    part = workspace.extract(["mask_1"])
    assert part.epoch == 1 and [a.name for a in part.all()] == ["mask_1"]
    with pytest.raises(ArtifactError, match=r"stale .*pick moved it"):
        part.get("mask_1", fresh=True)
    assert part.put("mask", 0, frame="camera:scene", stamp_s=0.0).name == "mask_3"
    assert len(workspace.all()) == 2
    with pytest.raises(ArtifactError, match="no artifact 'mask_7'"):
        workspace.extract(["mask_7"])
