"""The `openai` chat model against real servers on the loopback interface, well and badly behaved."""

import json
import re
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tests.contracts.chat_model_suite import ChatModelSuite
from tests.vlm_agent.toys import TOOLS, Replies, add, call, finish, look, make_context, says
from vlm_agent.agent import Agent, AgentConfig
from vlm_agent.asking import Patience
from vlm_agent.executor import Executor, ExecutorConfig
from vlm_agent.model import ImageContent, Message, ModelError, Reply, TextContent
from vlm_agent.openai_model import OpenAIConfig, OpenAIModel
from vlm_agent.serve_model import ServeConfig, serving

HELLO = [Message("user", (TextContent("hello"),))]
GOOD = json.dumps({"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]})
KEY = "sk-test-0123456789"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@contextmanager
def endpoint(*answers):
    """A server that gives prepared answers (status, body, headers), the last one for ever.

    A body of None hangs until the end; a body may also claim more bytes than it sends.
    """
    release, requests = threading.Event(), []
    steps = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["content-length"])
            requests.append((dict(self.headers), json.loads(self.rfile.read(length))))
            status, body, headers = steps.pop(0) if len(steps) > 1 else steps[0]
            if body is None:
                release.wait(60)
                return
            self.send_response(status)
            sent = body.encode()
            for key, value in {
                "content-type": "application/json",
                "content-length": str(len(sent)),
                **headers,
            }.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", requests
    finally:
        release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def model_at(url, **config):
    return OpenAIModel(OpenAIConfig(model="toy", base_url=url, **config))


class TestServedModel(ChatModelSuite):
    """The conformance suite, over the wire: `openai` in front of a served model."""

    @pytest.fixture
    def model(self):
        step = [says(call("capture", "1", camera="scene"), text="looking"), finish("impossible")]
        with serving(Replies(*step)) as url:
            yield model_at(url)


class TestRepliesModel(ChatModelSuite):
    """The toy model itself."""

    @pytest.fixture
    def model(self):
        return Replies(says(call("capture", camera="scene")), finish("impossible"))


def test_request_carries_model_tools_settings_and_key():
    with endpoint((200, GOOD, {})) as (url, requests):
        model = model_at(
            url,
            temperature=0.0,
            seed=3,
            max_tokens=99,
            max_tokens_field="max_tokens",
            extra_body={"top_k": 5},
        )
        reply = model.complete(HELLO, [add.spec])
    assert reply == Reply("hi", (), {}, "stop") and model.name == "openai:toy"
    headers, body = requests[0]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"], body["top_k"]) == (
        "toy",
        0,
        3,
        99,
        5,
    )
    assert body["messages"] == [{"role": "user", "content": "hello"}]
    assert body["tools"][0]["function"]["parameters"] == add.spec.parameters
    assert "stream" not in body and "max_completion_tokens" not in body


def test_calls_and_usage_are_parsed():
    answer = {
        "choices": [
            {
                "finish_reason": "tool_calls",
                "message": {
                    "content": None,
                    "tool_calls": [
                        {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
                        {"id": "2", "type": "function", "function": {"name": "look", "arguments": ""}},
                        {"id": "3", "type": "function", "function": {"name": "add", "arguments": '{"a": '}},
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 5, "total_tokens": 7, "details": {"x": 1}},
    }
    with endpoint((200, json.dumps(answer), {})) as (url, _):
        reply = model_at(url).complete(HELLO, [])
    assert [(c.id, c.name, c.arguments) for c in reply.tool_calls] == [
        ("1", "add", {"a": 1}),
        ("2", "look", {}),
        ("3", "add", '{"a": '),
    ]
    assert reply.usage == {"prompt_tokens": 5, "total_tokens": 7}


def error(message, **fields):
    return json.dumps({"error": {"message": message, **fields}})


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            (200, "<html>Welcome</html>", {"content-type": "text/html"}),
            "garbage",
            "'<html>Welcome</html>' .text/html. is not JSON",
        ),
        ((200, GOOD[:40], {}), "garbage", "is not JSON"),
        ((200, "[" * 100_000, {}), "garbage", "is not JSON"),
        ((200, "[]", {}), "garbage", "no choices"),
        ((200, '{"choices": []}', {}), "garbage", "no choices"),
        ((200, '{"choices": [{"message": "hi"}]}', {}), "garbage", "no message"),
        ((200, GOOD.replace('"stop"', '"length"'), {}), "garbage", "cut off at the token limit"),
        ((200, GOOD, {"content-length": "5000"}), "unreachable", "cannot reach"),
        ((401, error(f"bad key {KEY}"), {}), "auth", r"bad key \*\*\*.*check OPENAI_API_KEY"),
        ((403, error("not yours"), {}), "auth", "not yours"),
        (
            (404, error("no such model"), {}),
            "rejected",
            "no such model.*are model.base_url and model.model right",
        ),
        ((400, error("images?"), {}), "rejected", "images?"),
        ((400, error("This model's maximum context length is 9"), {}), "too_long", "too long for 'toy'"),
        ((400, error("too much", code="context_length_exceeded"), {}), "too_long", "too much"),
        ((413, "", {}), "too_long", "too long"),
        ((429, error("slow down"), {}), "rate_limited", "slow down"),
        ((429, error("pay", code="insufficient_quota"), {}), "auth", "no quota left"),
        ((500, "Traceback\n  boom", {"content-type": "text/plain"}), "unreachable", "500: Traceback boom"),
        ((503, error("starting"), {}), "unreachable", "starting"),
        ((504, "", {}), "timeout", "timed out"),
    ],
)
def test_bad_answers_are_one_line_of_the_right_kind(answer, kind, words):
    with endpoint(answer) as (url, requests), pytest.raises(ModelError) as caught:
        model_at(url, timeout_s=20).complete(HELLO, [])
    said = str(caught.value)
    assert caught.value.kind == kind and re.search(words, said), said
    assert "\n" not in said and len(said) < 500 and KEY not in said
    assert len(requests) == 1  # nothing is hidden in the SDK: retries are the agent's


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_understood(header, wait_s):
    with endpoint((429, error("later"), header)) as (url, _), pytest.raises(ModelError) as caught:
        model_at(url).complete(HELLO, [])
    assert caught.value.retry_after_s == wait_s


def test_refused_connection_is_unreachable():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{holder.getsockname()[1]}/v1"
        with pytest.raises(ModelError, match=f"cannot reach {url} .*is it running") as caught:
            model_at(url).complete(HELLO, [])
    assert caught.value.kind == "unreachable"


def test_hanging_endpoint_times_out_and_the_next_request_works():
    with endpoint((200, None, {}), (200, GOOD, {})) as (url, _):
        model = model_at(url, timeout_s=0.3)
        with pytest.raises(ModelError, match=r"no reply from .* within 0.3 s") as caught:
            model.complete(HELLO, [])
        assert caught.value.kind == "timeout"
        model.config = OpenAIConfig(model="toy", base_url=url, timeout_s=20)
        assert model.complete(HELLO, []).text == "hi"


def test_cancellation_ends_a_hanging_request():
    cancel = threading.Event()
    with endpoint((200, None, {})) as (url, requests):

        def when_asked():
            while not requests:
                cancel.wait(0.001)
            cancel.set()

        threading.Thread(target=when_asked).start()
        with pytest.raises(ModelError) as caught:
            model_at(url, timeout_s=60).complete(HELLO, [], cancel)
    assert caught.value.kind == "cancelled"


def test_password_in_the_address_is_not_repeated():
    with endpoint((500, "", {})) as (url, _), pytest.raises(ModelError) as caught:
        model_at(url.replace("//", "//user:hidden@")).complete(HELLO, [])
    assert "hidden" not in str(caught.value) and "127.0.0.1" in str(caught.value)


def test_official_endpoint_needs_a_key_others_do_not(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelError, match="set OPENAI_API_KEY") as caught:
        OpenAIModel(OpenAIConfig(model="x")).complete(HELLO, [])
    assert caught.value.kind == "auth"
    with endpoint((200, GOOD, {})) as (url, _):
        assert model_at(url).complete(HELLO, []).text == "hi"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": ""}, "model.model"),
        ({"base_url": "localhost:8000"}, "http://"),
        ({"timeout_s": 0}, "positive"),
    ],
)
def test_settings_no_endpoint_could_take_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        OpenAIConfig(**{"model": "x", **fields})


# ---- the whole loop over the wire -------------------------------------------------------------------


def run_at(url, **patience):
    executor = Executor(TOOLS, make_context(), ExecutorConfig(allow=("move",)))
    config = AgentConfig(patience=Patience(**{"backoff_s": 0.001, **patience}))
    with executor:
        return Agent(model_at(url), executor, config).run("do it")


def test_served_planner_runs_as_in_process():
    seen = []

    def planner(messages):
        """Stateless: the next step follows from the number of answers."""
        seen.append(messages)
        answers = sum(m.role == "tool" for m in messages)
        steps = [says(call("look")), says(call("move")), says(call("relate", "", holds=True))]
        last = [m.call_id for m in messages if m.role == "tool"]
        return steps[answers] if answers < 3 else finish("done", last[-1])

    with serving(Replies(planner)) as url:
        result = run_at(url)
    assert (result.outcome, result.turns, result.calls) == ("done", 4, 3)
    tool_message = next(m for m in seen[-1] if m.role == "tool")
    images = [c for c in tool_message.content if isinstance(c, ImageContent)]
    assert [i.name for i in images] == ["image_1"] and images[0].rgb.shape == (24, 32, 3)
    assert json.loads(tool_message.text)["value"] == {"text": "image_1 depth_1"}
    assert seen[-1][1].text == "do it"


@pytest.mark.parametrize(
    "faults",
    [
        [(429, error("later"), {"retry-after": "0"})] * 2,
        [(500, "", {})],
        [(200, "<html>", {})] * 3,
    ],
)
def test_run_survives_passing_faults(faults):
    call_json = {"name": "finish", "arguments": json.dumps({"outcome": "impossible", "summary": "x"})}
    message = {"content": "", "tool_calls": [{"id": "1", "type": "function", "function": call_json}]}
    good = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    with endpoint(*faults, (200, good, {})) as (url, requests):
        result = run_at(url)
    assert result.outcome == "impossible" and len(requests) == len(faults) + 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((429, error("later"), {}), "rate limited"),
        ((200, "<html>", {}), "unusable replies"),
        ((500, "", {}), "500"),
    ],
)
def test_run_gives_up_on_lasting_faults_in_one_line(answer, words):
    with endpoint(answer) as (url, requests):
        result = run_at(url, retries=2, garbage_retries=2)
    assert result.outcome == "error" and result.is_void and words in result.message
    assert "\n" not in result.message and len(requests) == 3


# ---- the endpoint itself ----------------------------------------------------------------------------


def post(url, body, **headers):
    import httpx2

    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.post(f"{url}/chat/completions", content=content, headers=headers, timeout=20)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "not a JSON object"),
        ({}, 400, "non-empty list"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0]: unknown role 'robot'"),
        ({"messages": [{"role": "user", "content": "x"}], "stream": True}, 400, "streaming is not supported"),
        ({"messages": [{"role": "user", "content": "x"}], "tools": [{}]}, 400, "tools[0]"),
        (b" " * 2000, 413, "larger than 1000 bytes"),
    ],
)
def test_bad_requests_are_refused_in_one_line(body, status, words):
    with serving(Replies(Reply("hi")), ServeConfig(max_body_bytes=1000)) as url:
        response = post(url, body)
        assert response.status_code == status and words in response.json()["error"]["message"]
        assert post(url, {"messages": [{"role": "user", "content": "x"}]}).status_code == 200


def test_models_are_listed_and_keys_are_checked():
    import httpx2

    with serving(Replies(Reply("hi")), ServeConfig(api_key="right")) as url:
        assert httpx2.get(f"{url}/models").status_code == 401
        listed = httpx2.get(f"{url}/models", headers={"authorization": "Bearer right"}).json()
        assert listed["data"][0]["id"] == "replies"
        body = {"messages": [{"role": "user", "content": "x"}]}
        assert post(url, body, authorization="Bearer wrong").status_code == 401
        assert post(url, body, authorization="Bearer right").status_code == 200


def test_only_the_loopback_interface_is_served_without_a_key():
    with pytest.raises(ValueError, match="open to the network"):
        ServeConfig(host="0.0.0.0")
    assert ServeConfig(host="0.0.0.0", api_key="k").host == "0.0.0.0"
    assert ServeConfig(host="::1").host == "::1"


def test_port_in_use_is_said():
    with serving(Replies(Reply("hi"))) as url:
        port = int(url.split(":")[2].split("/")[0])
        with (
            pytest.raises(RuntimeError, match=f"cannot serve at 127.0.0.1:{port}: .*; choose another"),
            serving(Replies(Reply("hi")), ServeConfig(port=port)),
        ):
            pass


def test_requests_beyond_the_limit_are_asked_to_come_back():
    entered, release = threading.Event(), threading.Event()

    def slow(_):
        entered.set()
        release.wait(20)
        return Reply("hi")

    body = {"messages": [{"role": "user", "content": "x"}]}
    with serving(Replies(slow), ServeConfig(max_concurrent=1)) as url:
        first = []
        thread = threading.Thread(target=lambda: first.append(post(url, body).status_code))
        thread.start()
        entered.wait(10)
        response = post(url, body)
        assert response.status_code == 429 and response.headers["retry-after"] == "1"
        release.set()
        thread.join(10)
        assert first == [200]


def test_model_that_takes_too_long_is_cancelled():
    cancelled = threading.Event()

    class Slow:
        name = "slow"

        def complete(self, messages, tools, cancel=None):
            if cancel.wait(20):
                cancelled.set()
            raise ModelError("stopped", kind="cancelled")

    with serving(Slow(), ServeConfig(timeout_s=0.2)) as url:
        response = post(url, {"messages": [{"role": "user", "content": "x"}]})
        assert response.status_code == 504 and cancelled.wait(10)


@pytest.mark.parametrize("kind", ["unreachable", "timeout", "rate_limited", "too_long", "rejected"])
def test_errors_of_the_served_model_keep_their_kind(kind):
    with (
        serving(Replies(ModelError("no", kind=kind, retry_after_s=3.0))) as url,
        pytest.raises(ModelError) as caught,
    ):
        model_at(url).complete(HELLO, [])
    assert caught.value.kind == kind
    if kind == "rate_limited":
        assert caught.value.retry_after_s == 3.0


def test_pictures_arrive_at_the_served_model():
    seen = []
    rgb = np.full((5, 7, 3), 100, np.uint8)
    with serving(Replies(lambda messages: seen.append(messages) or Reply("hi"))) as url:
        message = Message("user", (TextContent("what is it?"), ImageContent(rgb, "image_3")))
        assert model_at(url, image_format="png").complete([message], [look.spec]).text == "hi"
    (got,) = seen[0]
    assert got.text == "what is it?" and got.content[1].name == "image_3"
    assert np.array_equal(got.content[1].rgb, rgb)
