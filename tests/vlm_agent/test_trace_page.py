"""The page shows what the trace says: every turn, call, picture and failure, and nothing from elsewhere."""

import re

import numpy as np
import pytest

from perception_tools.artifacts import Workspace
from vlm_agent.trace import NullTrace, TraceWriter
from vlm_agent.trace_page import _short, render_trace
from vlm_agent.watch import WatchedTrace, call_line


def _result(turn, call_id, name, *, ok=True, parts=(), **fields):
    base = dict(
        turn=turn, call_id=call_id, name=name, ok=ok, error=None, reason="", message="", parts=list(parts),
        attempts=1, seconds=0.2, start_wall_s=0.0, end_wall_s=0.2, start_robot_s=0.0, end_robot_s=0.0,
        traceback="",
    )  # fmt: skip
    return base | fields


def _write(folder, *, end=True, instruction="put the <b>red</b> block in the bowl"):
    picture = Workspace().put(
        "image", np.full((8, 8, 3), 90, np.uint8), frame="camera:scene", stamp_s=0.0, label=""
    )
    with TraceWriter(folder, clock=lambda: 1.5) as trace:
        trace.event(
            "run_start", instruction=instruction, images=[], model="scripted", config={}, seeds={"env": 7},
            tools=[{"name": "pick", "read_only": False}], system_prompt="You are ...", environment={},
        )  # fmt: skip
        trace.event(
            "turn", turn=1, text="I look.", calls=2, usage={}, finish_reason="", model_seconds=0.1,
            attempts=1, video_s=0.0,
        )  # fmt: skip
        trace.event("tool_call", turn=1, call_id="c1", name="capture", arguments={}, video_s=0.0)
        trace.artifact(picture)
        shown = [{"type": "value", "value": {"image": "image_1"}}, {"type": "image", "artifact": "image_1"}]
        trace.event("tool_result", **_result(1, "c1", "capture", parts=shown), video_s=1.0)
        trace.event(
            "tool_call", turn=1, call_id="c2", name="pick", arguments={"grasp": "grasp_1"}, video_s=1.0
        )
        failed = _result(1, "c2", "pick", ok=False, error="failed", reason="slipped", message="It slipped.")
        trace.event("tool_result", **failed, video_s=4.0)
        if end:
            trace.event(
                "run_end", outcome="failed", summary="It slipped twice.", evidence=[], message="",
                is_void=False, turns=1, calls=2, seconds=3.0, robot_seconds=1.5, model_seconds=0.1,
                tool_seconds=0.4, errors={"failed": 1}, model_errors={}, usage={},
            )  # fmt: skip


def test_page_shows_turns_calls_pictures_and_failures(tmp_path):
    _write(tmp_path)
    page = render_trace(tmp_path).read_text()
    for words in ("I look.", "capture", "slipped", "It slipped.", "It slipped twice.", "scripted"):
        assert words in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_what_the_user_wrote_is_text_not_markup(tmp_path):
    _write(tmp_path)
    page = render_trace(tmp_path).read_text()
    assert "<b>red</b>" not in page and "&lt;b&gt;red&lt;/b&gt;" in page


def test_a_trace_without_its_end_is_shown_and_said_to_be_cut_short(tmp_path):
    _write(tmp_path, end=False)
    with (tmp_path / "trace.jsonl").open("a") as file:
        file.write('{"event": "tool_c')
    page = render_trace(tmp_path / "trace.jsonl").read_text()
    assert "cut short" in page and "is torn" in page


def test_spans_of_skills_and_failures_are_told_apart(tmp_path):
    _write(tmp_path)
    (tmp_path / "video.mp4").write_bytes(b"any film will do")
    page = render_trace(tmp_path).read_text()
    # of 4 s of video the look takes the first quarter, the failed pick the rest
    assert 'class="look" style="left:0.0%;width:25.0%"' in page
    assert 'class="fail" style="left:25.0%;width:75.0%"' in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (2.0, "2"),
        ([0.5, 1], "[0.5, 1]"),
        ([{"label": "red box"}, {"label": "bowl"}], "red box; bowl"),
        ({"a": 1.0}, "a 1"),
        ("x" * 200, "x" * 159 + "…"),
    ],
)
def test_values_are_written_as_a_person_would_note_them(value, text):
    assert _short(value) == text


class Notes:
    def __init__(self):
        self.captions, self.pictures = [], []

    def caption(self, **given):
        self.captions.append(given)

    def show(self, rgb, label=""):
        self.pictures.append((rgb.shape, label))


def test_watchers_see_thoughts_calls_and_pictures_and_events_carry_the_video_time():
    told = []

    class Recorder(NullTrace):
        def event(self, kind, /, **fields):
            told.append((kind, fields))

    notes = Notes()
    length = iter([0.0, 0.5, 0.7, 2.0])
    trace = WatchedTrace(Recorder(), [notes], lambda: next(length))
    picture = Workspace().put("image", np.zeros((4, 6, 3), np.uint8), frame="camera:scene", stamp_s=0.0)
    trace.event("turn", turn=1, text="I look.")
    trace.event("tool_call", turn=1, call_id="c1", name="capture", arguments={"camera": "scene"})
    trace.artifact(picture)
    trace.event(
        "tool_result", **_result(1, "c1", "capture", parts=[{"type": "image", "artifact": "image_1"}])
    )
    assert {"note": "I look.", "status": ""} in notes.captions
    assert {"status": "capture(camera=scene)"} in notes.captions
    assert notes.pictures == [((4, 6, 3), "capture: image_1")]
    assert [f["video_s"] for _, f in told] == [0.0, 0.5, 2.0]  # after the picture was held


def test_call_line_is_short_whatever_the_model_sends():
    assert call_line("place", {"position_m": [0.5, 0.25, 0.0]}) == "place(position_m=[0.50, 0.25, 0.00])"
    assert call_line("pick", "{not json") == "pick(?)"
    assert len(call_line("pick", {"grasp": "g" * 500})) <= 120
