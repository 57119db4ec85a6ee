"""Whatever a model replies, the loop neither crashes nor runs on, and every failure has a kind."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perception_tools.errors import ErrorKind
from perception_tools.results import ToolCall
from tests.vlm_agent.toys import TOOLS, Replies, make_context
from vlm_agent.agent import Agent, AgentConfig
from vlm_agent.asking import Patience
from vlm_agent.budget import Budget
from vlm_agent.executor import Executor, ExecutorConfig
from vlm_agent.model import ModelError, Reply
from vlm_agent.openai_format import messages_from_json, messages_to_json
from vlm_agent.rendering import result_from_text, result_to_text

SAFE = [t for t in TOOLS if t.name not in ("hang", "meet", "move")]
NAMES = [t.name for t in SAFE] + ["finish", "fly", ""]
OUTCOMES = ("done", "answered", "impossible", "unclear", "failed", "unverified", "budget", "error")

text = st.text(max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
json_values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(text, v, max_size=4))
arguments = (
    st.dictionaries(
        st.sampled_from(["a", "b", "kind", "how", "holds", "text", "outcome"]) | text, json_values
    )
    | st.fixed_dictionaries({"kind": st.sampled_from([str(k) for k in ErrorKind])})
    | st.fixed_dictionaries({"how": st.sampled_from(["value", "memory", "exit", "nothing", "stale"])})
    | st.fixed_dictionaries({"outcome": text, "summary": text, "evidence": st.lists(text, max_size=3)})
    | text
)
ids = st.sampled_from(["", "a", "b", "call_1", "call_2"]) | text
calls = st.builds(ToolCall, ids, st.sampled_from(NAMES) | text, arguments)
replies = st.builds(Reply, text, st.lists(calls, max_size=20).map(tuple))
errors = st.sampled_from(
    ["unreachable", "timeout", "rate_limited", "auth", "garbage", "too_long", "rejected", "odd"]
).map(lambda kind: ModelError("no", kind=kind))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(replies | errors, min_size=1, max_size=6))
def test_random_replies_never_crash_the_loop(steps):
    executor = Executor(SAFE, make_context(), ExecutorConfig(infrastructure_retries=0))
    config = AgentConfig(
        budget=Budget(max_turns=8, max_calls=30),
        patience=Patience(retries=2, backoff_s=0),
        max_infrastructure=20,
        handle_sigint=False,
    )
    model = Replies(*steps)
    with executor:
        result = Agent(model, executor, config).run("do it")
    assert result.outcome in OUTCOMES
    assert result.turns <= 8 and result.calls <= 30
    assert set(result.errors) <= {str(kind) for kind in ErrorKind}
    answers = [m for m in model.seen[-1] if m.role == "tool"]
    asked = [c.id for m in model.seen[-1] if m.role == "assistant" for c in m.tool_calls]
    assert [m.call_id for m in answers] == asked and len(set(asked)) == len(asked)
    for message in answers:  # every answer is one JSON object, and survives the wire
        parsed = result_from_text(message.text)
        assert result_to_text(parsed) == message.text
    back = messages_from_json(messages_to_json(model.seen[-1], image_format="png"))
    assert [m.role for m in back] == [m.role for m in model.seen[-1]]
    assert [m.text for m in back] == [m.text for m in model.seen[-1]]
    failures = [parsed.error for parsed in map(result_from_text, (m.text for m in answers)) if parsed.error]
    assert len(failures) <= sum(result.errors.values())
