"""Runs: every row once, whatever happens; void rows are visible; what was said before is not asked again."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlm_agent.bench.baselines import words_in
from vlm_agent.bench.log import RowLog, disk_error, write_whole
from vlm_agent.bench.polite import Gate, Polite, ReplyCache, Retries
from vlm_agent.model import ImageContent, Message, ModelError, Reply, TextContent

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def data(tmp_path):
    """Twelve rows of RAI's layout with a picture each."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    rows = []
    for k in range(12):
        Image.fromarray(np.full((8, 10, 3), 20 * k, np.uint8)).save(folder / "images" / f"{k}.png")
        rows.append({"question": f"Is it {k}?", "image": f"images/{k}.png", "answer": k % 2 == 0})
    (folder / "questions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


@contextmanager
def endpoint(reply, delay_s=0.0):
    """An OpenAI-compatible server; `reply(request)` returns text, or (status, body, headers)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append(request)
            time.sleep(delay_s)
            got = reply(request)
            status, body, headers = got if isinstance(got, tuple) else (200, chat(got), {})
            self.send_response(status)
            sent = body.encode()
            for key, value in {
                "content-length": str(len(sent)),
                "content-type": "application/json",
                **headers,
            }.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chat(text):
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})


def prompt_of(request):
    content = request["messages"][-1]["content"]
    return content if isinstance(content, str) else next(c["text"] for c in content if c["type"] == "text")


def words(data, tmp_path, *more):
    return [
        "benchmark=rai",
        f"data={data}",
        "tools=none",
        f"run_dir={tmp_path / 'runs'}",
        "cache=null",
        *more,
    ]


def rows_in(folder):
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def only_run(tmp_path):
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", _short(time.sleep))


def _short(sleep):
    return lambda seconds: sleep(min(seconds, 0.05))


def test_a_baseline_run_and_its_files(bench, data, tmp_path):
    code, got, _ = bench(*words(data, tmp_path, "model=always_yes"))
    assert code == 0 and got["score"] == 0.5 and got["n"] == 12 and got["void"] == 0
    assert got["model"] == "always_yes" and got["chance"] == 0.5 and got["tools"] == []
    folder = only_run(tmp_path)
    rows = rows_in(folder)
    assert [r["id"] for r in rows] == [str(k) for k in range(12)]
    assert {
        "prompt",
        "images",
        "messages",
        "calls",
        "output",
        "parsed",
        "score",
        "failure",
        "seconds",
    } <= set(rows[0])
    assert len(rows[0]["images"][0]["sha256"]) == 64 and rows[0]["messages"][-1]["text"] == "yes"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {"scorer_version", "parser", "settings", "packages", "environment", "rows_sha256"} <= set(manifest)
    assert (
        "published" in (folder / "report.html").read_text()
        and "50.00 %" in (folder / "report.md").read_text()
    )


def test_rescore_needs_the_log_alone_and_compare_is_paired(bench, data, tmp_path):
    bench(*words(data, tmp_path, "model=always_yes"))
    one = only_run(tmp_path)
    for file in data.rglob("*.*"):
        file.unlink()
    code, got, _ = bench("rescore", one, "scorer=strict")
    assert code == 0 and got["score"] == 0.5 and got["scorer"] == "strict"
    code, got, _ = bench("compare", one, one)
    assert code == 0 and got["p"] == 1 and got["difference"] == 0 and got["n"] == 12
    code, _, err = bench("compare", one)
    assert code == 2 and "two runs" in err
    code, _, err = bench("rescore", tmp_path)
    assert code == 2 and "manifest.json" in err


def test_mcnemar_by_hand():
    from vlm_agent.bench.compare_command import mcnemar, paired

    # 5 rows better in b, 1 in a: 2 * (C(6,0) + C(6,1)) / 2^6 = 14/64.
    assert mcnemar(5, 1) == pytest.approx(14 / 64)
    a = {str(k): float(k < 1) for k in range(8)}
    b = {str(k): float(1 <= k < 6) for k in range(8)}
    got = paired(a, b, {k: k for k in a})
    assert got["p"] == pytest.approx(14 / 64) and got["difference"] == 0.5
    assert (got["better_in_b"], got["better_in_a"]) == (5, 1) and got["test"] == "McNemar, exact"
    grouped = paired(a, b, dict.fromkeys(a, "one"))
    assert grouped["test"] == "sign flips over groups" and grouped["p"] == 1  # one group says nothing


def test_runs_under_other_conditions_are_paired_by_the_row_that_was_changed(bench, write_rows, tmp_path):
    def run(condition, right):
        rows = []
        for k in range(8):
            facts = {"kind": "grasp", "level": "easy", "condition": condition, "answer_type": "yes_no"}
            facts |= {"unit": "", "tolerance": 0.0, "choices": [], "question": "Is it?", "image": ""}
            answer = "yes" if k in right else "no"
            rows.append({"id": f"v1-{k}-grasp{condition}", "seed": k, "answer": answer, **facts})
        file = write_rows(rows, f"rows{condition}/rows.jsonl")
        told = ("benchmark=habilis_spatial", f"data={file.parent}", "model=always_yes", "tools=none")
        return bench(*told, f"run_dir={tmp_path / 'runs'}")[1]["folder"]

    clean, dim = run("", range(8)), run("@dim", range(1, 8))
    code, got, _ = bench("compare", clean, dim)
    assert code == 0 and got["paired_by"] == "original" and got["n"] == 8
    assert got["difference"] == -1 / 8 and (got["better_in_a"], got["better_in_b"]) == (1, 0)
    assert bench("compare", clean, clean)[1]["paired_by"] == "id"


def test_words_that_a_prompt_offers_are_options():
    assert words_in("Which is taller? Answer with one of: red block, blue ball.") == [
        "red block",
        "blue ball",
    ]
    assert words_in("Which is one of: many?\nAnswer yes or no.") == []


def test_guesses_depend_on_the_question_and_the_seed(bench, data, tmp_path):
    def outputs(name, *more):
        bench(*words(data, tmp_path / name, "model=random_choice", *more))
        return [r["output"] for r in sorted(rows_in(only_run(tmp_path / name)), key=lambda r: int(r["id"]))]

    first = outputs("a")
    assert first == outputs("b", "concurrency=4") and set(first) == {"yes", "no"}
    assert first != outputs("c", "model.seed=1")


def test_each_repetition_guesses_anew(bench, data, tmp_path):
    def guessed(name, *more):
        code, got, _ = bench(*words(data, tmp_path / name, "model=random_choice", *more))
        assert code == 0
        by_repetition = {}
        for row in rows_in(Path(got["folder"])):
            by_repetition.setdefault(row["repetition"], {})[row["id"]] = row["output"]
        return got, by_repetition

    once, first = guessed("once")
    got, each = guessed("thrice", "repetitions=3")
    assert each[0] == first[0] and each[0] != each[1] != each[2] != each[0]
    assert "guessed" in once["warning"] and not got["warning"]
    assert got["n"] == 12 and got["score"] == pytest.approx(sum(got["by_repetition"]) / 3)
    assert got["interval"] == "bootstrap over groups"  # the three guesses at a row are one group
    low, high = got["ci95"]
    assert low < got["score"] < high


def openai(url):
    return ["model=openai", f"model.base_url={url}", "model.model=toy", "model.temperature=0"]


@pytest.mark.parametrize("concurrency", [1, 4, 16])
def test_all_rows_are_asked_once_at_any_concurrency(bench, data, tmp_path, concurrency):
    with endpoint(lambda r: "Yes.") as (url, asked):
        more = (
            *openai(url),
            f"concurrency={concurrency}",
            "prices.input_per_million=1",
            "prices.output_per_million=2",
        )
        code, got, _ = bench(*words(data, tmp_path, *more))
    assert code == 0 and got["n"] == 12 and got["requests"] == 12
    assert Counter(map(prompt_of, asked)) == Counter(f"Is it {k}? Answer yes or no." for k in range(12))
    assert got["tokens"]["prompt_tokens"] == 120 and not got["warning"]
    assert got["cost"]["total"] == pytest.approx((120 + 2 * 24) / 1e6)


def test_sampled_decoding_that_is_not_repeated_is_said(bench, data, tmp_path):
    with endpoint(lambda r: "yes") as (url, _):
        more = (*openai(url), "model.temperature=1", "limit=2")
        code, got, _ = bench(*words(data, tmp_path / "a", *more))
        assert code == 0 and "repetitions=3" in got["warning"]
        code, got, _ = bench(*words(data, tmp_path / "b", *more, "repetitions=3"))
        assert code == 0 and not got["warning"] and got["repetitions"] == 3 and got["n"] == 2
        assert got["by_repetition"] == [got["score"]] * 3 and "groups" in got["interval"]


def test_stated_confidence_is_asked_for_cut_off_and_compared(bench, data, tmp_path):
    def reply(request):
        assert "confidence: P" in prompt_of(request)
        even = int(prompt_of(request).split("?")[0].split()[-1]) % 2 == 0
        return f"yes\nconfidence: {0.9 if even else 0.4}"

    with endpoint(reply) as (url, _):
        code, got, _ = bench(*words(data, tmp_path, *openai(url), "ask_confidence=true"))
    assert code == 0 and got["score"] == 0.5  # the even ones are "yes"
    fit = got["calibration"]
    # 0.9 where it is right, 0.4 where it is wrong: gaps 0.1 and 0.4
    assert fit["n"] == 12 and fit["ece"] == pytest.approx((0.1 + 0.4) / 2)
    assert fit["brier"] == pytest.approx((0.1**2 + 0.4**2) / 2)
    assert fit["abstention"][0] == {"coverage": 0.5, "accuracy": 1.0, "threshold": 0.9}
    rows = rows_in(Path(got["folder"]))
    assert {row["output"] for row in rows} == {"yes"} and {row["confidence"] for row in rows} == {0.9, 0.4}
    report = (Path(got["folder"]) / "report.md").read_text()
    assert "ECE 0.250" in report and "answered, surest first" in report


def test_replies_come_from_the_cache_by_what_they_depend_on(bench, data, tmp_path):
    with endpoint(lambda r: "yes") as (url, asked):

        def again(name, *more):
            before = len(asked)
            cache = f"cache={tmp_path / 'cache'}"
            code, got, _ = bench(*words(data, tmp_path / name, *openai(url), *more), cache)
            assert code == 0 and got["n"] == 12
            return len(asked) - before, got["cached_replies"]

        assert again("a") == (12, 0)
        assert again("b") == (0, 12)
        assert again("c", "model.temperature=1", "repetitions=2") == (24, 0)  # other decoding, two of each
        Image.fromarray(np.full((8, 10, 3), 255, np.uint8)).save(data / "images" / "3.png")
        assert again("d") == (1, 11)  # another picture


def test_infrastructure_failures_are_void_retried_and_refused(bench, data, tmp_path):
    down = {"on": True}

    def reply(request):
        if down["on"] and "Is it 7?" in prompt_of(request):
            return 503, "no", {}
        return "yes"

    more = ("retries.tries=2", "row_tries=2", "retries.backoff_s=0.01")
    with endpoint(reply) as (url, asked):
        code, got, _ = bench(*words(data, tmp_path, *openai(url), *more))
        assert code == 0 and got["void"] == 1 and got["n"] == 11
        assert sum("Is it 7?" in prompt_of(r) for r in asked) == 4  # two tries of the turn, twice
        assert got["failures"]["infrastructure"] == 1
        folder = only_run(tmp_path)
        code, _, err = bench("rescore", folder, "--strict")
        assert code == 2 and "1 rows are void" in err
        assert "VOID" in (folder / "report.md").read_text()
        code, got, err = bench(*words(data, tmp_path / "strict", *openai(url), *more, "--strict"))
        assert code == 1 and got["void"] == 1 and f"resume={tmp_path / 'strict'}" in err
        down["on"] = False
        before = len(asked)
        code, got, _ = bench(*words(data, tmp_path, *openai(url), *more, f"resume={folder}"))
        assert code == 0 and got["void"] == 0 and got["n"] == 12 and len(asked) == before + 1


def test_a_rejected_key_ends_the_run_at_once(bench, data, tmp_path):
    with endpoint(lambda r: (401, '{"error": {"message": "bad key"}}', {})) as (url, asked):
        code, _, err = bench(*words(data, tmp_path, *openai(url)))
    assert code == 1 and len(asked) < 12 and err.strip().splitlines()[-1].startswith("habilis: ")


def test_an_unreachable_model_leaves_no_score(bench, data, tmp_path):
    more = ("retries.tries=1", "row_tries=1", "limit=2", *openai("http://127.0.0.1:9/v1"))
    code, got, err = bench(*words(data, tmp_path, *more))
    assert code == 1 and got["score"] is None and got["void"] == 2 and "every row is void" in err


def test_settings_must_be_the_same_to_go_on(bench, data, tmp_path):
    bench(*words(data, tmp_path, "model=always_yes"))
    folder = only_run(tmp_path)
    code, _, err = bench(*words(data, tmp_path, "model=always_no", f"resume={folder}"))
    assert code == 2 and "another model" in err
    code, _, err = bench(*words(data, tmp_path, "model=always_yes", "limit=3", f"resume={folder}"))
    assert code == 2 and "other rows" in err
    code, _, err = bench(*words(data, tmp_path, "model=always_yes", f"resume={tmp_path}"))
    assert code == 2 and "nothing to resume" in err


def test_missing_pictures_are_said_before_anything_is_asked(bench, data, tmp_path):
    (data / "images" / "5.png").unlink()
    code, _, err = bench(*words(data, tmp_path, "model=always_yes"))
    assert code == 2 and "1 of 12 pictures are not there" in err and "5.png" in err
    assert not (tmp_path / "runs").exists()


def test_a_broken_picture_ends_the_run_and_keeps_its_rows(bench, data, tmp_path):
    good = (data / "images" / "5.png").read_bytes()
    (data / "images" / "5.png").write_bytes(good[: len(good) // 2])
    with endpoint(lambda r: "yes") as (url, asked):
        code, _, err = bench(*words(data, tmp_path, *openai(url)))
        folder = only_run(tmp_path)
        line = err.strip().splitlines()[-1]
        assert code == 2 and "5.png can't be decoded (cut off?)" in line
        kept = rows_in(folder)
        assert len(kept) == 5 and f"5 rows are kept, go on with resume={folder}" in line
        (data / "images" / "5.png").write_bytes(good)
        before = len(asked)
        code, got, _ = bench(*words(data, tmp_path, *openai(url), f"resume={folder}"))
    assert code == 0 and got["n"] == 12 and rows_in(folder)[:5] == kept
    assert len(asked) - before <= 8  # the seven that lack, and one that was in flight


def test_a_planner_with_tools_looks_through_the_agent_loop(bench, data, tmp_path):
    command = words(data, tmp_path, "model=direct", "tools.names=[point,crop]", "limit=2")
    code, got, _ = bench(*command)
    assert code == 0 and got["void"] == 0 and got["tools"] == ["point", "crop"]
    row = rows_in(only_run(tmp_path))[0]
    assert row["calls"][0]["name"] == "point" and {m["role"] for m in row["messages"]} >= {"system", "tool"}
    assert row["outcome"] == "failed" and row["failure"] == "abstained"  # there is nothing to point at
    assert got["abstained"] == 2 and got["score"] == 0


# ---- killed --------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_without_repeating_or_losing_a_row(data, tmp_path, bench):
    more = ("concurrency=2",)
    with endpoint(lambda r: "yes", delay_s=0.15) as (url, asked):
        command = [sys.executable, "habilis.py", "bench", *words(data, tmp_path, *openai(url), *more)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while len(asked) < 5 and process.poll() is None:
                threading.Event().wait(0.02)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        folder = only_run(tmp_path)
        kept = rows_in(folder) if (folder / "rows.jsonl").exists() else []
        assert 0 < len(kept) < 12
        with (folder / "rows.jsonl").open("a") as file:
            file.write('{"id": "11", "repetit')  # as a kill in the middle of a write leaves it
        code, got, _ = bench(*words(data, tmp_path, *openai(url), *more, f"resume={folder}"))
    assert code == 0 and got["n"] == 12 and got["void"] == 0
    rows = rows_in(folder)
    assert sorted(int(r["id"]) for r in rows) == list(range(12))
    assert rows[: len(kept)] == kept  # what was there is there as it was
    counts = Counter(map(prompt_of, asked))
    again = [p for p, n in counts.items() if n > 1]
    assert len(again) <= 2  # only what was in flight is asked again
    assert not {f"Is it {r['id']}? Answer yes or no." for r in kept} & set(again)


FILL = """
import resource, sys
from pathlib import Path
from vlm_agent.bench.log import DiskError, RowLog

log = RowLog(Path(sys.argv[1]) / "rows.jsonl")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    for k in range(100):
        log.append({"id": str(k), "repetition": 0, "void": False, "text": "é" * 40})
except DiskError as error:
    print(error)
finally:
    log.close()
"""


def test_a_full_disk_keeps_whole_rows(tmp_path):
    got = subprocess.run([sys.executable, "-c", FILL, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert got.returncode == 0, got.stderr
    rows = rows_in(tmp_path)
    assert 0 < len(rows) < 100 and [r["id"] for r in rows] == [str(k) for k in range(len(rows))]
    assert f"{len(rows)} rows are kept" in got.stdout and f"resume={tmp_path}" in got.stdout
    assert len(RowLog(tmp_path / "rows.jsonl").done) == len(rows)


def test_a_disk_that_is_full_at_the_report_keeps_the_rows(bench, data, tmp_path, monkeypatch):
    def full(path, text, **more):
        if path.name == "report.html":
            raise disk_error(path, OSError(errno.ENOSPC, "No space left on device"), more["then"])
        write_whole(path, text, **more)

    monkeypatch.setattr("vlm_agent.bench.report.write_whole", full)
    code, _, err = bench(*words(data, tmp_path, "model=always_yes"))
    folder = only_run(tmp_path)
    assert code == 1 and f"habilis bench rescore {folder}" in err.splitlines()[-1]
    monkeypatch.undo()
    code, got, _ = bench("rescore", folder)
    assert code == 0 and got["n"] == 12 and (folder / "report.html").exists()


# ---- politeness ----------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds


def test_requests_are_spaced_and_held():
    clock = Clock()
    gate = Gate(60, clock=lambda: clock.now, sleep=clock.sleep)
    times = []
    for _ in range(3):
        gate.wait()
        times.append(clock.now)
    assert times == [0, 1, 2]
    gate.hold(10)
    gate.wait()
    assert clock.now == 12


class Flaky:
    name = "flaky"

    def __init__(self, *errors):
        self.errors = list(errors)

    def complete(self, messages, tools, cancel=None):
        if self.errors:
            raise self.errors.pop(0)
        return Reply("yes", usage={"prompt_tokens": 1})


HELLO = [Message("user", (TextContent("hello"), ImageContent(np.zeros((2, 2, 3), np.uint8), "image_1")))]


def test_back_off_doubles_and_a_rate_limit_holds_all_rows():
    clock = Clock()
    gate = Gate(None, clock=lambda: clock.now, sleep=clock.sleep)
    errors = [ModelError("slow", kind="timeout"), ModelError("slow", kind="timeout")]
    errors.append(ModelError("wait", kind="rate_limited", retry_after_s=20))
    polite = Polite(Flaky(*errors), gate, retries=Retries(5, 1.0), sleep=clock.sleep)
    assert polite.complete(HELLO, ()).text == "yes"
    assert clock.now == 1 + 2 + 20
    with pytest.raises(ModelError):
        Polite(Flaky(ModelError("no", kind="rejected")), gate).complete(HELLO, ())


def test_a_cache_key_has_pixels_model_and_repetition(tmp_path):
    cache = ReplyCache(tmp_path, {"model": "a"})
    key = cache.key(HELLO, (), 0)
    other = [Message("user", (TextContent("hello"), ImageContent(np.ones((2, 2, 3), np.uint8), "image_1")))]
    keys = {
        key,
        cache.key(other, (), 0),
        cache.key(HELLO, (), 1),
        ReplyCache(tmp_path, {"model": "b"}).key(HELLO, (), 0),
    }
    assert len(keys) == 4 and cache.key(HELLO, (), 0) == key
    cache.put(key, Reply("yes", usage={"n": 1}))
    assert cache.get(key) == Reply("yes", usage={"n": 1})
    (file,) = tmp_path.rglob("*.json")
    file.write_text(file.read_text()[:10])
    assert cache.get(key) is None  # a torn file is no reply
