"""What the machinery costs by itself: one trivial tool call, one turn of the loop without model time.

python -m pytest tests/bench/test_overheads.py --benchmark-only
"""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import habilis
from tests.vlm_agent.toys import TOOLS, Replies, call, make_context, says
from vlm_agent.agent import Agent, AgentConfig
from vlm_agent.budget import Budget
from vlm_agent.executor import Executor, ExecutorConfig
from vlm_agent.model import ImageContent, Message, TextContent
from vlm_agent.openai_format import messages_to_json
from vlm_agent.trace import NullTrace, TraceWriter

TURNS = 50


@pytest.fixture(params=["traced", "untraced"])
def executor(request, tmp_path):
    trace = TraceWriter(tmp_path / "run") if request.param == "traced" else NullTrace()
    with Executor(TOOLS, make_context(), ExecutorConfig(), trace=trace) as executor:
        yield executor
    if isinstance(trace, TraceWriter):
        trace.close()


def test_trivial_tool_call(benchmark, executor):
    """Validation, dispatch to a worker thread, result; two trace events. Aim: p50 < 1 ms."""
    numbers = itertools.count()
    (result,) = benchmark(lambda: executor.run([call("add", f"id_{next(numbers)}", a=1, b=2)]))
    assert result.ok and result.value == {"value": 3.0}


def test_eight_calls_of_one_turn(benchmark, executor):
    numbers = itertools.count()
    results = benchmark(lambda: executor.run([call("add", f"id_{next(numbers)}", a=k) for k in range(8)]))
    assert [r.value["value"] for r in results] == list(range(8))


def test_loop_per_turn(benchmark, tmp_path):
    """A run of 50 turns, one trivial call each, traced; divide by 50 for the cost of a turn."""
    numbers = itertools.count()

    def run():
        folder = tmp_path / f"run_{next(numbers)}"
        budget = Budget(max_turns=TURNS, max_calls=TURNS)
        with TraceWriter(folder) as trace, Executor(TOOLS, make_context(), trace=trace) as executor:
            config = AgentConfig(budget=budget, handle_sigint=False)
            return Agent(Replies(says(call("add", a=1))), executor, config).run("count")

    result = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["turns_per_round"] = TURNS
    assert (result.outcome, result.turns, result.calls) == ("budget", TURNS, TURNS)


def test_traced_picture(benchmark, tmp_path):
    """Saving one 640 x 480 image as JPEG, with its event."""
    context = make_context()
    rgb = np.random.default_rng(0).integers(0, 60, (480, 640, 3), dtype=np.uint8)
    with TraceWriter(tmp_path / "run") as trace:
        benchmark.pedantic(
            trace.artifact, setup=lambda: ((context.put("image", rgb, frame="camera:scene"),), {}), rounds=30
        )
    saved = list((tmp_path / "run" / "artifacts").iterdir())
    assert saved and len(saved) == len(context.workspace.all("image"))


def test_conversation_of_eight_pictures_as_json(benchmark):
    """What a request costs before it is sent: eight 640 x 480 images."""
    rgb = np.random.default_rng(0).integers(0, 60, (480, 640, 3), dtype=np.uint8)
    messages = [
        Message("tool", (TextContent("{}"), ImageContent(rgb, f"image_{k}")), call_id=str(k))
        for k in range(8)
    ]
    data = benchmark.pedantic(messages_to_json, (messages,), rounds=5)
    assert len(data) == 9 and len(data[-1]["content"]) == 24


def test_help_as_a_process(benchmark):
    """`habilis --help` as a user waits for it, interpreter start included. Aim: < 0.5 s."""
    command = [sys.executable, str(Path(habilis.__file__)), "--help"]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, text=True, check=True),
        rounds=10,
        warmup_rounds=1,
    )
    assert "habilis run" in done.stdout
