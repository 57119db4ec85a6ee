"""Validation, permission, concurrency, time-outs, retries and kinds of failure of the executor."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from perception_tools.errors import ErrorKind, Refused
from perception_tools.results import ArtifactPart, ImagePart, TextPart, ToolCall
from perception_tools.tool import Tool, ToolContext, tool
from tests.vlm_agent.toys import TOOLS, Number, call, hang, make_context, move
from vlm_agent.executor import Executor, ExecutorConfig
from vlm_agent.trace import TraceError, TraceWriter, read_trace


@pytest.fixture
def toys():
    """An executor factory; hanging toys are released at the end."""
    made = []

    def make(trace=None, stop=None, move_timeout_s=60, **config):
        tools = [replace(t, timeout_s=move_timeout_s) if t is move else t for t in TOOLS]
        executor = Executor(
            tools, make_context(), ExecutorConfig(**{"allow": ("move",), **config}), trace=trace, stop=stop
        )
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.context.gate.set()
        executor.close()


def one(executor, name, call_id="", /, **arguments):
    (result,) = executor.run([call(name, call_id, **arguments)])
    return result


def test_result_carries_value_images_and_artifacts_bound_to_its_call(toys):
    result = one(toys(), "look", "c1")
    assert result.ok and result.call_id == "c1" and result.name == "look"
    assert result.value == {"text": "image_1 depth_1"}
    assert [p for p in result.parts if isinstance(p, ImagePart)] == [ImagePart("image_1", "a picture")]
    names = [p.artifact for p in result.parts if isinstance(p, ArtifactPart)]
    assert names == ["image_1", "depth_1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"b": 1}, "missing argument 'a'"),
        ({"a": 1, "c": 2}, "unknown argument 'c'"),
        ({"a": "many"}, "many"),
        ({"a": float("nan")}, "not finite"),
        ({"a": float("inf")}, "not finite"),
        ('{"a": 1', "not a JSON object"),
        ("", "not a JSON object"),
    ],
)
def test_bad_arguments_never_reach_the_function_and_say_what_to_fix(toys, arguments, words):
    (result,) = toys().run([ToolCall("x", "add", arguments)])
    assert result.error is ErrorKind.BAD_ARGUMENTS and words in result.message


def test_unknown_tool_lists_the_tools_and_the_nearest(toys):
    result = one(toys(), "lok")
    assert result.error is ErrorKind.BAD_ARGUMENTS and result.reason == "unknown_tool"
    assert "did you mean 'look'?" in result.message and "add, look" in result.message
    assert "fly" not in result.message  # not permitted, so not offered


def test_skills_are_denied_unless_named_and_not_offered(toys):
    executor = toys(allow=())
    for name in ("move", "fly"):
        result = one(executor, name)
        assert result.error is ErrorKind.REFUSED and result.reason == "not_permitted"
    assert executor.context.log == []
    offered = [spec.name for spec in executor.specs()]
    assert "stop" in offered and "move" not in offered and "fly" not in offered
    assert one(executor, "stop").ok  # bypasses the gate


@pytest.mark.parametrize("field", ["allow", "process"])
def test_config_naming_no_skill_or_tool_is_refused(field):
    with pytest.raises(ValueError, match=f"{field}: no 'moev'"):
        Executor(TOOLS, make_context(), ExecutorConfig(**{field: ("moev",)}))
    with pytest.raises(ValueError, match="allow: no 'add'"):  # a perception tool is no skill
        Executor(TOOLS, make_context(), ExecutorConfig(allow=("add",)))


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two tools are named 'hang'"):
        Executor([hang, hang], make_context())


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_tool_errors_keep_kind_reason_message_and_evidence(toys, kind):
    result = one(toys(), "fail", kind=str(kind))
    assert (result.error, result.reason, result.message) == (kind, "asked", "as asked")
    assert result.value == {"n": 3}


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("value", ErrorKind.INFRASTRUCTURE, "ValueError: two lines"),
        ("memory", ErrorKind.INFRASTRUCTURE, "MemoryError"),
        ("exit", ErrorKind.INFRASTRUCTURE, "SystemExit: 3"),
        ("nothing", ErrorKind.INFRASTRUCTURE, "returned dict"),
        ("stale", ErrorKind.BAD_ARGUMENTS, "no artifact 'mask_9'"),
    ],
)
def test_other_exceptions_are_infrastructure_with_type_and_message(toys, how, kind, words):
    result = one(toys(), "crash", how=how)
    assert result.error is kind and words in result.message and "\n" not in result.message


def test_infrastructure_failures_of_read_only_tools_are_tried_again_but_boundedly(toys):
    executor = toys(infrastructure_retries=2)
    assert one(executor, "crash", how="value", times=2).value == {"value": 7}
    executor.context.log.clear()
    assert one(executor, "crash", how="value").error is ErrorKind.INFRASTRUCTURE
    assert executor.context.log == ["value"] * 3


@pytest.mark.parametrize("kind", ["negative", "refused", "failed", "bad_arguments", "cancelled"])
def test_answers_are_not_tried_again(toys, kind):
    executor = toys(infrastructure_retries=2)
    one(executor, "fail", kind=kind)
    assert executor.context.log == [kind]


def test_skills_are_never_tried_again(toys):
    executor = toys(infrastructure_retries=2, skill_grace_s=0.05, move_timeout_s=0.1)
    assert one(executor, "move", how="forever").error is ErrorKind.INFRASTRUCTURE
    assert executor.context.log == ["move forever"]


def test_read_only_calls_of_a_turn_run_side_by_side(toys):
    executor = toys(max_parallel=4)
    context = executor.context
    object.__setattr__(context, "barrier", threading.Barrier(4))  # passes only with all four inside
    results = executor.run([call("meet") for _ in range(4)])
    assert [r.value for r in results] == [{"value": 1.0}] * 4


def test_a_turn_with_anything_else_is_serial_in_call_order(toys):
    executor = toys()
    executor.run([call("note", text="a"), call("look"), call("note", text="b"), call("note", text="c")])
    assert executor.context.log == [f"{w} {t}" for t in "abc" for w in ("begin", "end")]


def test_results_come_in_call_order_whatever_ends_first(toys):
    executor = toys(max_parallel=8)
    calls = [call("add", f"id_{k}", a=k) if k % 3 else call("look", f"id_{k}") for k in range(12)]
    results = executor.run(calls)
    assert [r.call_id for r in results] == [f"id_{k}" for k in range(12)]
    assert all(r.value == {"value": float(k)} for k, r in enumerate(results) if k % 3)


@pytest.mark.parametrize("is_first_slow", [False, True])
def test_artifacts_of_a_turn_are_named_in_call_order_whatever_ends_first(toys, is_first_slow):
    @tool()
    def picture(ctx: ToolContext, is_slow: bool) -> Number:
        """Store a mask, sooner or later.

        Args:
            is_slow: Later.
        """
        if is_slow:
            time.sleep(0.1)
        ctx.put("mask", np.zeros((2, 2), dtype=bool), frame="camera:scene")
        return Number(value=0)

    executor = toys(max_parallel=4)
    executor.register(picture)
    executor.run([call("picture", f"id_{k}", is_slow=(k == 0) == is_first_slow) for k in range(2)])
    made = {a.call_id: a.name for a in executor.context.workspace.all("mask")}
    assert made == {"id_0": "mask_1", "id_1": "mask_2"}


def test_ten_calls_of_which_one_hangs(toys):
    executor = toys(grace_s=0.02, infrastructure_retries=0)
    calls = [call("hang" if k == 4 else "add", f"id_{k}", **({} if k == 4 else {"a": k})) for k in range(10)]
    results = executor.run(calls)
    assert [r.ok for r in results] == [k != 4 for k in range(10)]
    assert results[4].error is ErrorKind.INFRASTRUCTURE and results[4].reason == "timeout"
    assert "longer than 0.15 s" in results[4].message
    assert executor.num_quarantined == 1
    assert one(executor, "add", a=1).ok


def test_hung_thread_is_never_used_again_and_ends_when_released(toys):
    executor = toys(grace_s=0.02, infrastructure_retries=0)
    one(executor, "hang")
    hung = executor._pool._quarantined[0]
    for _ in range(3):
        assert one(executor, "add", a=1).ok
    assert hung not in executor._pool._idle
    executor.context.gate.set()
    hung.thread.join(10)
    assert not hung.thread.is_alive() and executor.num_quarantined == 0


def test_too_many_hanging_threads_start_no_further_call(toys):
    executor = toys(grace_s=0.02, infrastructure_retries=0, max_quarantined=2)
    executor.run([call("hang"), call("hang")])
    result = one(executor, "add", a=1)
    assert result.error is ErrorKind.INFRASTRUCTURE and result.reason == "workers_exhausted"
    executor.context.gate.set()


def test_overrunning_skill_is_cancelled_stopped_and_infrastructure(toys):
    stops = []
    executor = toys(stop=lambda: stops.append(1), move_timeout_s=0.1)
    result = one(executor, "move", how="hang")  # comes to rest when cancelled
    assert result.error is ErrorKind.INFRASTRUCTURE and result.reason == "timeout" and stops == [1]
    assert executor.num_quarantined == 0


def test_skill_that_ignores_cancellation_is_stopped_again_and_left_behind(toys):
    stops = []
    executor = toys(stop=lambda: stops.append(1), skill_grace_s=0.05, move_timeout_s=0.1)
    assert one(executor, "move", how="forever").reason == "timeout"
    assert stops == [1, 1] and executor.num_quarantined == 1
    executor.context.gate.set()


def test_stop_runs_at_once_even_while_a_call_of_the_same_turn_hangs(toys):
    executor = toys(infrastructure_retries=0)
    # `move forever` waits for the gate that only `stop` opens; in call order it would never end
    results = executor.run([call("move", how="forever"), call("stop")])
    assert [r.ok for r in results] == [True, True]


def test_stop_runs_while_another_turn_is_under_way(toys):
    executor = toys()
    started, results = threading.Event(), []

    def first_turn():
        started.set()
        results.extend(executor.run([call("move", how="forever")]))

    thread = threading.Thread(target=first_turn)
    thread.start()
    started.wait(10)
    while "move forever" not in executor.context.log:
        time.sleep(0.001)
    assert one(executor, "stop").ok
    thread.join(10)
    assert results[0].ok


def test_turns_of_two_threads_do_not_mix(toys):
    executor = toys()
    texts = [f"{t}{k}" for t in "xy" for k in range(4)]
    threads = [
        threading.Thread(target=executor.run, args=([call("note", text=f"{t}{k}") for k in range(4)],))
        for t in "xy"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    log = executor.context.log
    pairs = list(zip(log[::2], log[1::2], strict=True))
    assert all(a.split()[1] == b.split()[1] for a, b in pairs) and len(pairs) == len(texts)


def test_after_a_failed_skill_the_turns_other_skills_do_not_run(toys):
    executor = toys()
    results = executor.run([call("move", how="badly"), call("look"), call("move")])
    assert [r.error for r in results] == [ErrorKind.FAILED, None, ErrorKind.CANCELLED]
    assert results[2].reason == "not_run" and executor.context.log == ["move badly"]


def test_skill_with_bad_arguments_keeps_later_skills_from_running(toys):
    executor = toys()
    results = executor.run([call("move", how="backwards"), call("move")])
    assert [r.error for r in results] == [ErrorKind.BAD_ARGUMENTS, ErrorKind.CANCELLED]
    assert executor.context.log == []


def test_cancel_reaches_running_calls_and_waiting_ones_do_not_start(toys):
    executor, cancel = toys(), threading.Event()
    watcher = threading.Thread(target=lambda: (_wait_for(executor.context.log, "move hang"), cancel.set()))
    watcher.start()
    results = executor.run([call("move", how="hang"), call("look"), call("note", text="x")], cancel)
    watcher.join()
    assert [r.error for r in results] == [ErrorKind.CANCELLED] * 3
    assert [r.reason for r in results] == ["cancelled", "not_run", "not_run"]
    assert executor.context.log == ["move hang"]


def test_set_cancel_starts_nothing(toys):
    executor, cancel = toys(), threading.Event()
    cancel.set()
    results = executor.run([call("look"), call("add", a=1)], cancel)
    assert {r.error for r in results} == {ErrorKind.CANCELLED}
    assert executor.context.workspace.all() == []


def _wait_for(log, entry):
    while entry not in log:
        time.sleep(0.001)


@pytest.mark.parametrize("bad_id", ["", "x" * 65, "a\nb", None, 7])
def test_odd_ids_are_replaced_and_the_reply_says_so(toys, bad_id):
    executor = toys()
    (result,) = executor.run([ToolCall(bad_id, "add", {"a": 1})])
    assert result.ok and result.call_id == "call_1"
    assert [p.text for p in result.parts if isinstance(p, TextPart)] == [
        "the call had no valid id; this answers it as 'call_1'"
    ]


def test_ids_used_before_in_the_run_are_replaced(toys):
    executor = toys()
    first = executor.run([call("add", "same", a=1), call("add", "same", a=2)])
    second = executor.run([call("add", "same", a=3)])
    ids = [r.call_id for r in (*first, *second)]
    assert ids[0] == "same" and len(set(ids)) == 3
    assert [r.value["value"] for r in (*first, *second)] == [1, 2, 3]
    assert "'same' was used before" in first[1].parts[-1].text


def test_calls_beyond_the_turns_limit_are_not_run(toys):
    executor = toys(max_calls_per_turn=2)
    results = executor.run([call("add", a=k) for k in range(4)])
    assert [r.reason for r in results] == ["", "", "too_many_calls", "too_many_calls"]


def test_trace_has_every_call_result_artifact_and_the_full_traceback(toys, tmp_path):
    trace = TraceWriter(tmp_path)
    executor = toys(trace=trace, infrastructure_retries=1)
    executor.run([call("look", "c1"), call("crash", "c2", how="value"), call("fly", "c3")], turn=4)
    trace.close()
    recorded = read_trace(tmp_path)
    assert [e["call_id"] for e in recorded.of("tool_call")] == ["c1", "c2", "c3"]
    results = {e["call_id"]: e for e in recorded.of("tool_result")}
    assert {e["turn"] for e in results.values()} == {4}
    assert (results["c2"]["error"], results["c2"]["attempts"]) == ("infrastructure", 2)
    assert 'raise ValueError("two\\nlines")' in results["c2"]["traceback"]
    assert results["c3"]["reason"] == "not_permitted" and results["c3"]["attempts"] == 0
    assert [e["name"] for e in recorded.of("artifact")] == ["image_1", "depth_1"]
    assert results["c1"]["parts"][1] == {"type": "image", "artifact": "image_1", "caption": "a picture"}


def test_a_trace_that_cannot_be_written_ends_the_turn_and_stops_a_running_skill(toys):
    stops = []

    class Full(TraceWriter):
        def event(self, kind, /, **fields):
            if kind == "tool_result":
                raise TraceError("disk full")

        def __init__(self):
            pass

        def now(self):
            return 0.0

    executor = toys(trace=Full(), stop=lambda: stops.append(1))
    with pytest.raises(TraceError, match="disk full"):
        executor.run([call("stop"), call("move", how="hang")])
    assert len(stops) == 1


def test_importing_agent_and_executor_is_light():
    import subprocess
    import sys

    code = (
        "import sys, vlm_agent.agent, vlm_agent.executor, vlm_agent.openai_model, vlm_agent.serve_model\n"
        "heavy = {'openai', 'starlette', 'uvicorn', 'pebble', 'cv2', 'PIL', 'torch', 'mujoco'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_toys_are_tools():
    assert isinstance(move, Tool) and move.moves_robot and not move.spec.read_only


# ---- stop bypasses every gate -------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{"reason": "danger"}, {"x": float("nan")}, "no json", {}])
def test_stop_takes_any_arguments(toys, arguments):
    executor = toys()
    (result,) = executor.run([ToolCall("s", "stop", arguments)])
    assert result.ok and executor.context.log == ["stop"]


def test_stop_is_not_asked_for_a_budget_nor_counted_off(toys):
    executor = toys(max_calls_per_turn=2)
    calls = [call("add", a=1), call("add", a=1), call("add", a=1), call("stop")]
    results = executor.run(calls, gate=lambda _: Refused("no calls left", reason="budget"))
    assert [r.reason for r in results] == ["budget", "budget", "too_many_calls", ""]
    assert executor.context.log == ["stop"]


@pytest.mark.parametrize("has_callable", [True, False])
def test_stop_works_when_every_worker_hangs(toys, has_callable):
    stops = []
    executor = toys(stop=(lambda: stops.append(1)) if has_callable else None, max_quarantined=1, grace_s=0.01)
    assert one(executor, "hang").reason == "timeout"
    assert one(executor, "add", a=1).reason == "workers_exhausted"
    result = one(executor, "stop")
    assert result.ok
    assert (stops, executor.context.log.count("stop")) == (([1], 0) if has_callable else ([], 1))


def test_a_stop_that_fails_without_a_worker_is_a_failure(toys):
    def broken():
        raise OSError("no answer from the drive")

    executor = toys(stop=broken, max_quarantined=1, grace_s=0.01)
    assert one(executor, "hang").reason == "timeout"
    result = one(executor, "stop")
    assert result.error is ErrorKind.INFRASTRUCTURE and "no answer from the drive" in result.message
