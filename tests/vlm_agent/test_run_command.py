"""`habilis run` as a user types it: what it writes, how it ends, and what happens when things break."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vlm_agent.trace import read_trace

pytestmark = pytest.mark.render
ROOT = Path(__file__).resolve().parents[2]


def start(*argv, **kwargs):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "habilis.py"), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")},
        **kwargs,
    )


def finish(process, timeout=240):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def folder_of(tmp_path):
    (folder,) = tmp_path.iterdir()
    return folder


def test_the_main_job_is_done_and_documented(tmp_path):
    code, out, err = finish(
        start("run", "put the red block in the bowl", f"run_dir={tmp_path}", "--json", "-")
    )
    figures = json.loads(out)
    assert code == 0, err
    assert figures["outcome"] == "done" and figures["success"] and not figures["void"]
    assert set(figures["files"]) == {"trace", "page", "video"}
    trace = read_trace(folder_of(tmp_path))
    assert trace.is_complete
    (end,) = trace.of("run_end")
    looks = [e for e in trace.of("tool_result") if e["name"] in ("capture", "detect", "relation")]
    motions = [e["seq"] for e in trace.of("tool_result") if e["name"] in ("pick", "place")]
    evidence = [e for e in looks if e["call_id"] in end["evidence"]]
    assert evidence and all(e["seq"] > max(motions) for e in evidence)  # sensed after the last motion
    page = Path(figures["files"]["page"]).read_text()
    assert "data:video/mp4;base64," in page and "data:image/jpeg;base64," in page
    assert not re.search(r'(src|href)="(?!data:)', page)  # self-contained
    times = [e["video_s"] for e in trace.events if "video_s" in e]
    assert times == sorted(times) and times[-1] > 5


@pytest.mark.parametrize(
    ("instruction", "outcome", "word"),
    [
        ("put the purple elephant in the bowl", "impossible", "elephant"),
        ("put the pink ball in the bowl", "impossible", "pink ball"),
        ("flurb the snark", "unclear", "flurb"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason_and_nothing_moves(tmp_path, instruction, outcome, word):
    code, out, _ = finish(
        start("run", instruction, f"run_dir={tmp_path}", "video.enabled=false", "--json", "-")
    )
    figures = json.loads(out)
    assert code == 1
    assert figures["outcome"] == outcome
    assert word in figures["summary"]
    trace = read_trace(folder_of(tmp_path))
    (start_event,) = trace.of("run_start")
    skills = {t["name"] for t in start_event["tools"] if t["moves_robot"]}
    assert not [e for e in trace.of("tool_call") if e["name"] in skills]


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_motion_stops_the_robot_and_leaves_a_whole_trace(tmp_path, signal_number):
    process = start("run", "put the red block in the bowl", f"run_dir={tmp_path}")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        written = [p.read_text() for p in tmp_path.glob("*/trace.jsonl")]
        if written and '"event": "motion"' in written[0]:
            break
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal_number)
    code, out, err = finish(process, 60)
    assert code == 1, (out, err)
    assert "cancelled" in out and "Traceback" not in err
    trace = read_trace(folder_of(tmp_path))
    assert trace.is_complete
    (end,) = trace.of("run_end")
    assert end["outcome"] == "cancelled"
    assert [e for e in trace.of("motion") if e["what"] == "stop"]
    (pick,) = [e for e in trace.of("tool_result") if e["name"] == "pick"]
    assert pick["error"] == "cancelled"
    assert (folder_of(tmp_path) / "trace.html").exists()


def test_a_full_disk_stops_the_run_in_one_line_and_what_was_written_stays_readable(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    process = start(
        "run", "put the red block in the bowl", f"run_dir={tmp_path}", "video.enabled=false", preexec_fn=limit
    )
    code, out, err = finish(process)
    assert code == 1
    assert "cannot write" in out + err and "Traceback" not in err
    trace = read_trace(folder_of(tmp_path) / "trace.jsonl")
    assert trace.of("run_start")


def test_an_unreachable_endpoint_is_one_line(tmp_path):
    code, out, err = finish(
        start(
            *("run", "put the red block in the bowl", f"run_dir={tmp_path}", "video.enabled=false"),
            *("model=openai", "model.model=none", "model.base_url=http://127.0.0.1:9/v1"),
            *("agent.patience.retries=1", "agent.patience.backoff_s=0.05"),
        )
    )
    assert code == 1
    assert "127.0.0.1:9" in out and "Traceback" not in out + err


def test_without_opengl_the_run_ends_in_one_line_that_says_what_to_do(tmp_path):
    env = {**os.environ, "MUJOCO_GL": "disabled"}
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "habilis.py"),
            "run",
            "put the red block in the bowl",
            f"run_dir={tmp_path}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=env,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "MUJOCO_GL" in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())  # nothing was run, nothing is left
