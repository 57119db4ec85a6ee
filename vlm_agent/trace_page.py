"""Render a trace to one static, self-contained HTML page, with the video in step with the turns.

The page is made from `trace.jsonl` and the files beside it alone; rendering it again, years later,
gives the same page.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_agent.trace import RecordedTrace, read_trace

TONES = {"done": "good", "answered": "good", "impossible": "warn", "unclear": "warn", "unverified": "warn"}
_HIDDEN = {"images", "artifacts", "image", "depth", "width", "height"}  # seen in the picture beside it


def render_trace(path: str | Path, video: str | Path | None = None) -> Path:
    """Write `trace.html` beside a trace.

    Args:
        path: `trace.jsonl`, or its folder.
        video: The run's video; `video.mp4` beside the trace if None and there.

    Returns:
        The page's path.

    Raises:
        TraceError: The trace can't be read.
        OSError: The page can't be written.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    trace = read_trace(path)
    film = Path(video) if video else trace.folder / "video.mp4"
    environment = Environment(
        loader=PackageLoader("vlm_agent"), autoescape=select_autoescape(default=True), trim_blocks=True
    )
    turns = [_turn(trace, event) for event in trace.of("turn")]
    page = environment.get_template("trace.html.j2").render(
        run=_run(trace),
        turns=turns,
        spans=_spans(trace),
        failures=Counter(e["error"] for e in trace.of("tool_result") if e["error"]).most_common(),
        video=base64.b64encode(film.read_bytes()).decode("ascii") if film.exists() else "",
    )
    out = trace.folder / "trace.html"
    out.write_text(page, encoding="utf-8")
    return out


def _run(trace: RecordedTrace) -> dict[str, Any]:
    start = next(iter(trace.of("run_start")), {})
    end = next(iter(trace.of("run_end")), {})
    outcome = str(end.get("outcome", "cut short"))
    facts = [("planner", start.get("model", "?"))]
    if end:
        facts += [
            ("turns", end["turns"]),
            ("tool calls", end["calls"]),
            ("wall time", f"{end['seconds']:.1f} s"),
            ("robot time", _seconds(end.get("robot_seconds"))),
            ("in tools", _seconds(end.get("tool_seconds"))),
            ("in the model", _seconds(end.get("model_seconds"))),
        ]
    motions = sum(e["what"] == "end" for e in trace.of("motion"))
    facts += [("motions", motions), ("safety events", len(trace.of("safety")))]
    facts += [(f"seed ({name})", value) for name, value in (start.get("seeds") or {}).items()]
    settings = {"config": start.get("config"), "environment": start.get("environment")}
    return {
        "instruction": start.get("instruction", ""),
        "outcome": outcome,
        "tone": TONES.get(outcome, "bad"),
        "summary": end.get("summary") or end.get("message") or "",
        "evidence": ", ".join(end.get("evidence") or ()),
        "facts": facts,
        "damage": trace.damage or ("" if end else "no end was recorded"),
        "system_prompt": start.get("system_prompt") or "",
        "config": json.dumps(settings, indent=1, ensure_ascii=False),
        "end_when": _when(end),
    }


def _turn(trace: RecordedTrace, event: Mapping[str, Any]) -> dict[str, Any]:
    index = event["turn"]
    results = {e["call_id"]: e for e in trace.of("tool_result") if e["turn"] == index}
    calls = [e for e in trace.of("tool_call") if e["turn"] == index]
    notes = [
        f"model error ({e['kind']}): {e['message']}" for e in trace.of("model_error") if e["turn"] == index
    ]
    notes += [
        f"{e['name']} tried again: {e['message']}" for e in trace.of("tool_retry") if e["turn"] == index
    ]
    return {
        "index": index,
        "text": event["text"],
        "when": _when(event),
        "notes": notes,
        "video_s": event.get("video_s", 0.0),
        "calls": [_call(trace, call, results.get(call["call_id"])) for call in calls],
    }


def _call(trace: RecordedTrace, call: Mapping[str, Any], result: Mapping[str, Any] | None) -> dict[str, Any]:
    shown = {"name": call["name"], "arguments": _arguments(call["arguments"])}
    if result is None:
        return shown | {"tone": "warn", "sign": "…", "status": "no result", "message": "no result recorded"}
    tone = "good" if result["ok"] else "warn" if result["error"] == "negative" else "bad"
    value = next((p["value"] for p in result["parts"] if p.get("type") == "value"), {})
    return shown | {
        "tone": tone,
        "sign": "✓" if result["ok"] else "✗",
        "status": "ok" if result["ok"] else result["error"],
        "error": result["error"],
        "reason": result["reason"],
        "message": result["message"],
        "time": f"{1000 * result['seconds']:.0f} ms"
        if result["seconds"] < 10
        else f"{result['seconds']:.0f} s",
        "reads": [(k, _short(v)) for k, v in value.items() if k not in _HIDDEN] if result["ok"] else [],
        "images": _images(trace, result["parts"]),
        "json": json.dumps(value, indent=1, ensure_ascii=False) if value else "",
        "traceback": result.get("traceback") or "",
    }


def _images(trace: RecordedTrace, parts: list[dict[str, Any]]) -> list[dict[str, str]]:
    files = {e["name"]: e.get("path") for e in trace.of("artifact")}
    images = []
    for part in parts:
        path = files.get(part.get("artifact", ""))
        if part.get("type") != "image" or not path:
            continue
        file = trace.folder / path
        if file.exists():
            kind = mimetypes.guess_type(file.name)[0]
            data = base64.b64encode(file.read_bytes()).decode("ascii")
            caption = f"{part['artifact']}: {part['caption']}" if part.get("caption") else part["artifact"]
            images.append({"src": f"data:{kind};base64,{data}", "caption": caption})
    return images


def _spans(trace: RecordedTrace) -> list[dict[str, Any]]:
    """Return where each call lies in the video, in percent of its length."""
    length = max((e.get("video_s", 0.0) for e in trace.events), default=0.0)
    if not length:
        return []
    skills = {t["name"] for e in trace.of("run_start") for t in e["tools"] if not t.get("read_only", True)}
    starts = {e["call_id"]: e.get("video_s", 0.0) for e in trace.of("tool_call")}
    spans = []
    for result in trace.of("tool_result"):
        at, end = starts.get(result["call_id"], 0.0), result.get("video_s", 0.0)
        tone = "fail" if not result["ok"] else "skill" if result["name"] in skills else "look"
        spans.append(
            {
                "at": round(at, 3),
                "left": round(100 * at / length, 2),
                "width": round(100 * max(end - at, 0.0) / length, 2),
                "tone": tone,
                "title": f"{result['name']} · {result['error'] or 'ok'}",
            }
        )
    return spans


def _arguments(arguments: Any) -> str:
    if not isinstance(arguments, Mapping):
        return _short(arguments)
    return ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())


def _short(value: Any, most: int = 160) -> str:
    """Return a value as a person would note it: three decimals, nested values named, not dumped."""
    if isinstance(value, float):
        text = f"{value:.3f}".rstrip("0").rstrip(".")
    elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        text = "; ".join(str(v.get("label") or v.get("name") or _short(dict(v), 60)) for v in value)
    elif isinstance(value, list):
        text = "[" + ", ".join(_short(v, 40) for v in value) + "]"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{k} {_short(v, 40)}" for k, v in value.items())
    else:
        text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _seconds(value: Any) -> str:
    return f"{value:.1f} s" if isinstance(value, int | float) else "–"


def _when(event: Mapping[str, Any]) -> str:
    if not event:
        return ""
    robot = event.get("t_robot_s")
    return f"{event['t_wall_s']:.1f} s" + (f" · robot {robot:.1f} s" if robot is not None else "")
