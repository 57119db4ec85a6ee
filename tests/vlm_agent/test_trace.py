"""The trace: schema, flushing, artifacts, secrets, damage, and disks that are full."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.vlm_agent.toys import call, look, make_context
from vlm_agent.executor import Executor
from vlm_agent.trace import EVENTS, SCHEMA, VERSION, TraceConfig, TraceError, TraceWriter, read_trace

ROOT = Path(__file__).resolve().parents[2]


def test_first_line_names_schema_and_version(tmp_path):
    with TraceWriter(tmp_path, clock=lambda: 2.5) as trace:
        trace.event("motion", what="start", tool="pick")
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert (lines[0]["event"], lines[0]["schema"], lines[0]["version"]) == ("trace", SCHEMA, VERSION)
    assert [line["seq"] for line in lines] == [0, 1]
    assert all(line["t_robot_s"] == 2.5 and line["t_wall_s"] >= 0 for line in lines)


def test_every_event_is_readable_by_others_before_the_call_returns(tmp_path):
    trace = TraceWriter(tmp_path)
    for number in range(5):
        trace.event("motion", what="step", number=number)
        assert read_trace(tmp_path).events[-1]["number"] == number


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_events_without_their_fields_are_refused(tmp_path, kind):
    trace = TraceWriter(tmp_path)
    with pytest.raises(ValueError, match=f"{kind!r} lacks {EVENTS[kind][0]}"):
        trace.event(kind)
    with pytest.raises(ValueError, match="unknown trace event 'moton'; events: trace, "):
        trace.event("moton")


def test_odd_values_become_strict_json(tmp_path):
    deep: list = []
    for _ in range(100):
        deep = [deep]
    with TraceWriter(tmp_path) as trace:
        trace.event(
            "motion",
            what="odd",
            nan=float("nan"),
            array=np.array([1.0, np.inf]),
            large=np.zeros((300, 400), np.float32),
            surrogate="\ud800",
            thing=object(),
            path=Path("a/b"),
            deep=deep,
            text="x" * 30_000,
            integer=np.int64(3),
        )
    event = read_trace(tmp_path).events[-1]
    assert event["nan"] is None and event["array"] == [1.0, None] and event["integer"] == 3
    assert event["large"] == {"shape": [300, 400], "dtype": "float32"}
    assert (event["surrogate"], event["thing"], event["path"]) == ("?", "<object>", "a/b")
    assert event["text"].endswith("(30000 characters)")


def test_artifacts_are_saved_with_frame_intrinsics_and_pose(tmp_path):
    with TraceWriter(tmp_path, config=TraceConfig(image_format="png")) as trace:
        executor = Executor([look], make_context(), trace=trace)
        executor.run([call("look")])
        mask = executor.context.put("mask", np.eye(6, dtype=bool), frame="camera:scene")
        box = executor.context.put("box", {"size_m": np.ones(3)}, frame="world")
        for artifact in (mask, box, box):
            trace.artifact(artifact)
    events = {e["name"]: e for e in read_trace(tmp_path).of("artifact")}
    assert list(events) == ["image_1", "depth_1", "mask_1", "box_1"]
    image = events["image_1"]
    assert image["path"] == "artifacts/image_1.png" and image["frame"] == "camera:scene"
    assert image["intrinsics"]["width"] == 32 and image["T_world_camera"] == np.eye(4).tolist()
    stored = executor.context.workspace.get("image_1").data
    assert np.array_equal(cv2.imread(str(tmp_path / image["path"]))[..., ::-1], stored)
    depth_mm = cv2.imread(str(tmp_path / events["depth_1"]["path"]), cv2.IMREAD_UNCHANGED)
    assert depth_mm.dtype == np.uint16 and (depth_mm == 500).all()
    assert (cv2.imread(str(tmp_path / events["mask_1"]["path"]), 0) > 0).sum() == 6
    assert events["box_1"]["path"] is None and events["box_1"]["data"] == {"size_m": [1.0, 1.0, 1.0]}
    executor.close()


def test_torn_last_line_is_dropped_and_reported(tmp_path):
    with TraceWriter(tmp_path) as trace:
        trace.event("motion", what="a")
    path = tmp_path / "trace.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event": "mot')
    recorded = read_trace(path)
    assert len(recorded.events) == 2 and recorded.damage == "line 3 is torn (14 bytes dropped)"
    assert not recorded.is_complete


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a habilis.trace file"),
        (b"hello\n", "line 1: not JSON"),
        (b"[1]\n", "line 1: not a trace event"),
        (b'{"event": "trace", "schema": "other", "version": 1}\n', "is not a habilis.trace file"),
        (b'{"event": "trace", "schema": "habilis.trace", "version": 99}\n', "schema version 99"),
        (b'{"event": "trace", "schema": "habilis.trace", "version": 1}\n{"ev\n{}\n', "line 2: not JSON"),
    ],
)
def test_files_that_are_no_trace_are_refused_in_one_line(tmp_path, content, words):
    (tmp_path / "trace.jsonl").write_bytes(content)
    with pytest.raises(TraceError, match=words) as caught:
        read_trace(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_trace_and_unwritable_or_used_folder_are_said(tmp_path):
    with pytest.raises(TraceError, match="No such file"):
        read_trace(tmp_path)
    TraceWriter(tmp_path).close()
    with pytest.raises(TraceError, match="File exists"):
        TraceWriter(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="cannot write the trace"):
        TraceWriter(tmp_path / "file")


def test_secrets_never_reach_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", 'sk-"quoted"-12345678')
    with TraceWriter(tmp_path, secrets=["given-secret"]) as trace:
        trace.event(
            "motion",
            what='the key sk-"quoted"-12345678 and given-secret',
            config={"api_key": "abc", "nested": [{"auth_token": "def"}], "api_key_env": "SOME_API_KEY"},
            usage={"total_tokens": 7, "max_tokens": 9},
        )
    text = (tmp_path / "trace.jsonl").read_text()
    event = read_trace(tmp_path).events[-1]
    assert event["what"] == "the key *** and ***"
    assert event["config"] == {
        "api_key": "***",
        "nested": [{"auth_token": "***"}],
        "api_key_env": "SOME_API_KEY",
    }
    assert event["usage"] == {"total_tokens": 7, "max_tokens": 9}
    assert "12345678" not in text and "abc" not in text and "def" not in text


def test_a_dead_clock_is_recorded_not_raised(tmp_path):
    def dead():
        raise RuntimeError("driver is gone")

    with TraceWriter(tmp_path, clock=dead) as trace:
        trace.event("motion", what="a")
    event = read_trace(tmp_path).events[-1]
    assert event["t_robot_s"] is None and event["t_robot_error"] == "RuntimeError: driver is gone"


def test_lines_of_many_threads_stay_whole(tmp_path):
    trace = TraceWriter(tmp_path)

    def write(name):
        for number in range(100):
            trace.event("motion", what=name * 50, number=number)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = read_trace(tmp_path).events
    assert [e["seq"] for e in events] == list(range(401))


class FullDisk:
    """`os.write` that takes `room` bytes, then fails as a full disk does."""

    def __init__(self, room):
        self.room, self.write = room, os.write

    def __call__(self, file, data):
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        written = self.write(file, bytes(data)[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 50, 200])
def test_full_disk_is_one_line_and_leaves_no_torn_line(tmp_path, monkeypatch, room):
    trace = TraceWriter(tmp_path)
    trace.event("motion", what="kept")
    disk = FullDisk(room)
    monkeypatch.setattr(os, "write", disk)
    with pytest.raises(TraceError, match="No space left on device; free space") as caught:
        trace.event("motion", what="x" * 500)
    assert "\n" not in str(caught.value)
    recorded = read_trace(tmp_path)
    assert recorded.damage == "" and recorded.events[-1]["what"] == "kept"
    disk.room = 10_000  # space was freed: the trace goes on
    trace.event("motion", what="after")
    assert [e.get("what") for e in read_trace(tmp_path).events] == [None, "kept", "after"]


def test_file_size_limit_in_a_process_of_its_own(tmp_path):
    """A real failing write: the kernel refuses to let the file grow."""
    code = f"""
        import resource, sys
        sys.path.insert(0, {str(ROOT)!r})
        from vlm_agent.trace import TraceError, TraceWriter
        trace = TraceWriter({str(tmp_path / "run")!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
        try:
            for number in range(1000):
                trace.event("motion", what="step", number=number)
        except TraceError as error:
            print(error)
    """
    said = subprocess.check_output([sys.executable, "-c", textwrap.dedent(code)], text=True)
    assert re.fullmatch(r"cannot write the trace .*: File too large; free space.*\n", said)
    recorded = read_trace(tmp_path / "run")
    numbers = [e["number"] for e in recorded.of("motion")]
    assert recorded.damage == "" and numbers == list(range(len(numbers))) and len(numbers) > 10
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4000


@pytest.fixture
def tiny_disk(tmp_path):
    """A 64 KiB file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or not mount or not umount:
        pytest.skip("needs root to mount a small tmpfs")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield folder
    subprocess.run([umount, str(folder)], check=True)


def test_really_full_disk_keeps_what_was_written_and_no_half_image(tiny_disk):
    trace = TraceWriter(tiny_disk / "run", config=TraceConfig(image_format="png"))
    context = make_context()
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    with pytest.raises(TraceError, match="No space left on device"):
        for _ in range(100):
            trace.artifact(context.put("image", noise, frame="camera:scene"))
    trace.close()
    recorded = read_trace(tiny_disk / "run")
    assert recorded.damage == "" and recorded.of("artifact")
    on_disk = {p.name for p in (tiny_disk / "run" / "artifacts").iterdir()}
    assert on_disk == {Path(e["path"]).name for e in recorded.of("artifact")}


def test_documentation_names_every_event_and_field():
    text = (ROOT / "docs" / "trace.md").read_text()
    assert f"version {VERSION}" in text
    for kind, fields in EVENTS.items():
        assert f"### `{kind}`" in text
        section = text.split(f"### `{kind}`")[1].split("\n### ")[0]
        for field in fields:
            assert f"`{field}`" in section, f"{kind}.{field}"
