"""The agent loop: verdicts, budgets, retries, images, interruption, and what is told to the model."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

from tests.vlm_agent.toys import TOOLS, Replies, call, finish, make_context, says
from vlm_agent.agent import Agent, AgentConfig, check_instruction
from vlm_agent.asking import Patience
from vlm_agent.budget import Budget
from vlm_agent.executor import Executor, ExecutorConfig
from vlm_agent.model import ImageContent, ModelError, Reply
from vlm_agent.prompt import CORRECTION, STATUS
from vlm_agent.rendering import result_from_text
from vlm_agent.trace import TraceError, TraceWriter, read_trace

QUICK = Patience(backoff_s=0.001)


@pytest.fixture
def bench(tmp_path):
    """Build an agent of prepared replies; `stops` counts calls of the robot's stop."""
    executors = []

    def make(*steps, clock=None, executor=None, stop=None, trace=None, **config):
        context = make_context(**({"clock": clock} if clock else {}))
        trace = trace or TraceWriter(tmp_path / f"run_{len(executors)}", clock=context.clock)
        stops = []
        made = Executor(
            TOOLS,
            context,
            ExecutorConfig(**{"allow": ("move",), "grace_s": 0.02, **(executor or {})}),
            trace=trace,
            stop=stop or (lambda: stops.append(1)),
        )
        executors.append(made)
        model = Replies(*steps)
        agent = Agent(model, made, AgentConfig(**{"patience": QUICK, **config}))
        agent.stops, agent.folder = stops, tmp_path / f"run_{len(executors) - 1}"  # type: ignore[attr-defined]
        return agent, model

    yield make
    for executor in executors:
        executor.context.gate.set()
        executor.close()


def tool_texts(messages):
    return [m.text for m in messages if m.role == "tool"]


def test_look_move_look_done(bench):
    agent, model = bench(
        says(call("look", "a")),
        says(call("move", "b"), text="moving"),
        says(call("relate", "c", holds=True)),
        finish("done", "c", summary="it holds"),
    )
    result = agent.run("  do it ")
    assert (result.outcome, result.summary, result.evidence) == ("done", "it holds", ("c",))
    assert result.ok and not result.is_void and (result.turns, result.calls) == (4, 3)
    assert result.usage == {"total_tokens": 40} and agent.stops == []
    first = model.seen[0]
    assert [m.role for m in first] == ["system", "user"] and first[1].text == "do it"
    last = model.seen[-1]
    assert [m.role for m in last] == ["system", "user", *["assistant", "tool"] * 3, "user"]
    assert json.loads(last[-2].text)["value"] == {"holds": True}
    trace = read_trace(agent.folder)
    assert trace.is_complete and [e["event"] for e in trace.events][:2] == ["trace", "run_start"]
    assert trace.events[-1]["outcome"] == "done" and len(trace.of("turn")) == 4


def test_system_prompt_names_tools_skills_frames_and_budgets(bench):
    agent, model = bench(Reply(text="bye"), budget=Budget(max_turns=7, max_calls=9, max_seconds=33))
    agent.run("x")
    prompt = model.seen[0][0].text
    assert "add, look, relate" in prompt and "move, stop" in prompt and "fly" not in prompt
    assert "7 turns, 9 calls, 33 s" in prompt and "x forward" in prompt


def test_done_before_looking_is_sent_back_with_what_to_do(bench):
    agent, model = bench(
        says(call("move", "m")),
        finish("done"),
        says(call("relate", "l", holds=True)),
        finish("done", "l"),
    )
    result = agent.run("x")
    assert result.outcome == "done" and result.errors == {"bad_arguments": 1}
    refused = result_from_text(tool_texts(model.seen[2])[-1])
    assert "no successful perception result since the last motion yet: look first" in refused.message


def test_finish_beside_other_calls_does_not_count_but_the_calls_run(bench):
    agent, _ = bench(
        says(call("look", "l"), call("finish", "f", outcome="impossible", summary="x")),
        finish("impossible"),
    )
    result = agent.run("x")
    assert (result.outcome, result.turns, result.calls) == ("impossible", 2, 1)


def test_a_reply_without_calls_is_unverified(bench):
    agent, _ = bench(says(call("look")), Reply(text="all done, trust me"))
    result = agent.run("x")
    assert (result.outcome, result.summary) == ("unverified", "all done, trust me") and not result.ok


@pytest.mark.parametrize(
    ("instruction", "words"),
    [("", "empty"), (" \n ", "empty"), ("a" * 10_000, "10000 characters; at most 4000")],
)
def test_bad_instructions_are_one_line_before_anything_starts(bench, instruction, words):
    agent, model = bench(finish("impossible"))
    with pytest.raises(ValueError, match=words) as caught:
        agent.run(instruction)
    assert "\n" not in str(caught.value) and model.seen == []
    assert [e["event"] for e in read_trace(agent.folder).events] == ["trace"]
    assert check_instruction(" a" * 2000 + " ") == ("a " * 2000).strip()


# ---- budgets --------------------------------------------------------------------------------------


def test_what_is_left_is_told_every_turn_and_turns_end_the_run(bench):
    agent, model = bench(says(call("add", a=1)), budget=Budget(max_turns=3, max_calls=10))
    result = agent.run("x")
    assert (result.outcome, result.turns, result.calls) == ("budget", 3, 3)
    assert "all 3 turns" in result.message and agent.stops == [1]
    status = [messages[-1].text for messages in model.seen[1:]]
    assert status[0].startswith(f"{STATUS} left: 2 of 3 turns, 9 of 10 calls, ")
    assert "last turn: call finish now" in status[1]
    assert all(m.text.count(STATUS) == 0 for m in model.seen[-1][:-1])  # only the newest is kept


def test_calls_beyond_the_budget_are_refused_but_finish_is_not(bench):
    agent, model = bench(
        says(call("add", a=1), call("add", a=2), call("add", a=3)),
        finish("impossible"),
        budget=Budget(max_calls=2),
    )
    result = agent.run("x")
    assert (result.outcome, result.calls, result.errors) == ("impossible", 2, {"refused": 1})
    texts = [result_from_text(t) for t in tool_texts(model.seen[-1])]
    assert [r.reason for r in texts] == ["", "", "budget"]
    assert "No calls are left: call finish now." in model.seen[-1][-1].text


def test_seconds_end_the_run_even_inside_a_call(bench):
    agent, _ = bench(says(call("move", how="hang")), budget=Budget(max_seconds=0.2))
    result = agent.run("x")
    assert result.outcome == "budget" and "all 0.2 s" in result.message
    assert result.errors == {"cancelled": 1} and agent.stops == [1]


@pytest.mark.parametrize("fields", [{"max_turns": 0}, {"max_calls": -1}, {"max_seconds": 0.0}])
def test_budgets_that_allow_nothing_are_refused(fields):
    with pytest.raises(ValueError, match="budget must be positive"):
        Budget(**fields)


# ---- the model fails --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rate_limited", "timeout", "unreachable"])
def test_transient_errors_are_tried_again(bench, kind):
    agent, model = bench(ModelError("later", kind=kind), ModelError("later", kind=kind), finish("impossible"))
    result = agent.run("x")
    assert result.outcome == "impossible" and result.model_errors == {kind: 2} and result.turns == 1
    assert len(model.seen) == 3
    errors = read_trace(agent.folder).of("model_error")
    assert [(e["attempt"], e["turn"]) for e in errors] == [(1, 1), (2, 1)]
    assert errors[1]["wait_s"] == 2 * errors[0]["wait_s"] == 0.002


def test_tries_are_bounded(bench):
    agent, model = bench(ModelError("cannot reach it", kind="unreachable"), patience=Patience(2, backoff_s=0))
    result = agent.run("x")
    assert (result.outcome, result.message, result.is_void) == ("error", "cannot reach it", True)
    assert len(model.seen) == 3 and agent.stops == [1]


def test_retry_after_is_honoured(bench):
    agent, _ = bench(ModelError("later", kind="rate_limited", retry_after_s=0.05), finish("impossible"))
    start = time.perf_counter()
    assert agent.run("x").outcome == "impossible"
    assert time.perf_counter() - start >= 0.05  # at least as long as was asked for
    assert read_trace(agent.folder).of("model_error")[0]["wait_s"] == 0.05


def test_waits_longer_than_the_budget_are_not_begun(bench):
    agent, model = bench(
        ModelError("come back in an hour", kind="rate_limited", retry_after_s=3600),
        budget=Budget(max_seconds=60),
    )
    assert agent.run("x").message == "come back in an hour" and len(model.seen) == 1


@pytest.mark.parametrize("kind", ["auth", "rejected"])
def test_what_waiting_cannot_help_is_not_tried_again(bench, kind):
    agent, model = bench(ModelError("set the key", kind=kind))
    result = agent.run("x")
    assert (result.outcome, result.message) == ("error", "set the key") and len(model.seen) == 1


@pytest.mark.parametrize(
    "bad", [ModelError("'<html>' is not JSON", kind="garbage"), Reply(), Reply(text=" \n")]
)
def test_unusable_replies_are_answered_with_what_was_wrong_boundedly(bench, bad):
    agent, model = bench(bad, bad, finish("impossible"))
    assert agent.run("x").outcome == "impossible"
    corrections = [m.text for m in model.seen[-1] if m.text.startswith(CORRECTION)]
    assert len(corrections) == 2 and ("html" in corrections[0] or "empty" in corrections[0])
    agent, model = bench(bad)
    result = agent.run("x")
    assert result.outcome == "error" and "4 unusable replies" in result.message and len(model.seen) == 4
    assert result.model_errors == {"garbage": 4} and result.turns == 4


def test_usable_replies_reset_the_count_of_unusable_ones(bench):
    bad = [Reply()] * 3
    agent, _ = bench(*bad, says(call("look")), *bad, finish("impossible"))
    assert agent.run("x").outcome == "impossible"


def test_too_long_conversations_are_tried_with_fewer_images(bench):
    too_long = ModelError("too long", kind="too_long")
    agent, model = bench(
        says(call("look"), call("look"), call("look")),
        too_long,
        too_long,
        finish("impossible"),
        max_images=3,
        executor={"max_parallel": 1},
    )
    assert agent.run("x").outcome == "impossible"
    assert [_images(messages) for messages in model.seen[1:]] == [
        ["image_1", "image_2", "image_3"],
        ["image_3"],
        [],
    ]
    agent, model = bench(too_long, max_images=2)
    assert agent.run("x").outcome == "error" and len(model.seen) == 3


def test_a_model_that_breaks_its_contract_is_not_swallowed(bench):
    def broken(_):
        raise KeyError("oops")

    agent, _ = bench(broken)
    with pytest.raises(KeyError, match="oops"):
        agent.run("x")
    end = read_trace(agent.folder).events[-1]
    assert (end["event"], end["outcome"], end["message"]) == ("run_end", "error", "KeyError: 'oops'")
    assert agent.stops == [1]


# ---- images -----------------------------------------------------------------------------------------


def _images(messages):
    return [c.name for m in messages for c in m.content if isinstance(c, ImageContent)]


def test_old_images_go_by_their_names(bench):
    looks = [says(call("look")) for _ in range(4)]
    agent, model = bench(*looks, finish("impossible"), max_images=2)
    agent.run("x", [ImageContent(np.zeros((4, 4, 3), np.uint8), "image_9")])
    assert _images(model.seen[1]) == ["image_9", "image_1"]
    assert _images(model.seen[-1]) == ["image_3", "image_4"]
    status = model.seen[-1][-1].text
    assert "No longer shown, but their names can still be used: image_9, image_1, image_2." in status
    assert all(json.loads(t)["images"] for t in tool_texts(model.seen[-1]))  # the names stay in the results


def test_only_the_oldest_of_one_result_are_hidden(bench):
    agent, model = bench(
        says(call("look"), call("look"), call("look")),
        finish("impossible"),
        max_images=2,
        executor={"max_parallel": 1},
    )
    agent.run("x")
    assert _images(model.seen[-1]) == ["image_2", "image_3"]


# ---- odd calls ----------------------------------------------------------------------------------------


def test_call_ids_of_the_conversation_are_unique_and_match_their_answers(bench):
    agent, model = bench(
        says(call("add", "same", a=1), call("add", "same", a=2)),
        says(call("add", "same", a=3)),
        finish("impossible"),
    )
    agent.run("x")
    asked = [c.id for m in model.seen[-1] if m.role == "assistant" for c in m.tool_calls]
    answered = [m.call_id for m in model.seen[-1] if m.role == "tool"]
    assert asked == answered and len(set(asked)) == 3
    assert "was used before" in tool_texts(model.seen[-1])[1]


def test_more_calls_than_a_turn_may_have_are_dropped_and_said(bench):
    agent, model = bench(
        says(*(call("add", a=k) for k in range(5))), finish("impossible"), executor={"max_calls_per_turn": 3}
    )
    result = agent.run("x")
    assert result.calls == 3 and len(tool_texts(model.seen[-1])) == 3
    assert any("2 calls beyond the first 3" in m.text for m in model.seen[-1])


def test_ten_calls_of_which_one_hangs(bench):
    calls = [call("hang") if k == 7 else call("add", a=k) for k in range(10)]
    agent, model = bench(says(*calls), finish("impossible"), executor={"infrastructure_retries": 0})
    result = agent.run("x")
    assert result.outcome == "impossible" and result.is_void and result.errors == {"infrastructure": 1}
    results = [result_from_text(t) for t in tool_texts(model.seen[-1])]
    assert [r.ok for r in results] == [k != 7 for k in range(10)]


def test_infrastructure_failures_end_the_run_before_long(bench):
    agent, model = bench(says(call("crash", how="value")), max_infrastructure=3)
    result = agent.run("x")
    assert result.outcome == "error" and result.is_void and len(model.seen) == 3
    assert result.errors == {"infrastructure": 3}


# ---- cancellation and failing writes ------------------------------------------------------------------


def test_cancel_in_motion_stops_the_robot_and_completes_the_trace(bench):
    agent, _ = bench(says(call("look")), says(call("move", how="hang")))
    cancel = threading.Event()
    log = agent.executor.context.log

    def when_moving():
        while "move hang" not in log:
            time.sleep(0.001)
        cancel.set()

    threading.Thread(target=when_moving).start()
    result = agent.run("x", cancel=cancel)
    assert result.outcome == "cancelled" and result.errors == {"cancelled": 1} and agent.stops
    trace = read_trace(agent.folder)
    assert trace.is_complete and trace.events[-1]["outcome"] == "cancelled"
    assert trace.of("tool_result")[-1]["error"] == "cancelled" and trace.of("motion")[-1]["what"] == "stop"


def test_ctrl_c_in_motion_stops_the_robot_and_completes_the_trace(bench):
    agent, _ = bench(says(call("move", how="hang")))
    log, main = agent.executor.context.log, signal.getsignal(signal.SIGINT)

    def when_moving():
        while "move hang" not in log:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=when_moving).start()
    result = agent.run("x")
    assert (result.outcome, result.message) == ("cancelled", "interrupted by Ctrl-C; the robot was stopped")
    assert len(agent.stops) == 2  # at once, and again at the end
    assert read_trace(agent.folder).is_complete and signal.getsignal(signal.SIGINT) is main


def test_second_ctrl_c_leaves_a_model_that_does_not_listen(bench):
    def deaf(_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    agent, _ = bench(deaf)
    with pytest.raises(KeyboardInterrupt):
        agent.run("x")
    trace = read_trace(agent.folder)
    assert trace.is_complete and trace.events[-1]["outcome"] == "cancelled" and agent.stops


def test_a_robot_that_cannot_be_stopped_is_said(bench):
    def broken_stop():
        raise OSError("no answer from the drive")

    agent, _ = bench(ModelError("x", kind="auth"), stop=broken_stop)
    result = agent.run("x")
    assert result.outcome == "error"
    assert "could not be stopped (OSError: no answer from the drive); use its own stop" in result.message


def test_trace_that_cannot_be_written_stops_the_robot_with_one_line(bench, tmp_path):
    class Full(TraceWriter):
        def event(self, kind, /, **fields):
            if kind == "tool_call" and fields["name"] == "move":
                raise TraceError("cannot write the trace: No space left on device; free space")
            super().event(kind, **fields)

    agent, _ = bench(says(call("look")), says(call("move")), trace=Full(tmp_path / "full"))
    result = agent.run("x")
    assert result.outcome == "error" and result.is_void and agent.stops == [1]
    assert result.message == "cannot write the trace: No space left on device; free space"
    assert agent.executor.context.log == []  # the skill was not started
    trace = read_trace(tmp_path / "full")
    assert trace.events[-1]["event"] == "run_end" and trace.of("tool_result")


def test_robot_time_is_the_robots(bench):
    ticks = iter(range(10_000))
    agent, _ = bench(says(call("add", a=1)), finish("impossible"), clock=lambda: float(next(ticks)))
    result = agent.run("x", seeds={"env": 7})
    assert result.robot_seconds is not None and result.robot_seconds > 0
    start = read_trace(agent.folder).of("run_start")[0]
    assert start["seeds"] == {"env": 7} and start["environment"]["packages"]["numpy"]


def test_an_executor_can_serve_one_run_after_another(bench):
    agent, _ = bench(
        says(call("look", "a")), finish("answered", "a"), finish("done", "a"), finish("impossible")
    )
    assert agent.run("x").outcome == "answered"
    result = agent.run("y")  # evidence of another run is none
    assert result.outcome == "impossible" and result.errors == {"bad_arguments": 1}


def test_stop_works_with_no_calls_left_and_beyond_the_calls_of_a_turn(bench):
    agent, model = bench(
        says(call("add", "a", a=1), call("add", "b", a=1), call("add", "c", a=1), call("stop", "s", why="!")),
        finish("impossible"),
        executor={"max_calls_per_turn": 2},
        budget=Budget(max_calls=1),
    )
    result = agent.run("x")
    assert agent.executor.context.log == ["stop"] and result.calls == 1  # the stop is not counted
    texts = [result_from_text(text) for text in tool_texts(model.seen[1])]
    assert [(t.ok, t.reason) for t in texts] == [(True, ""), (False, "budget"), (True, "")]
    assert any("1 calls beyond the first 2 of your turn were dropped" in m.text for m in model.seen[1])
