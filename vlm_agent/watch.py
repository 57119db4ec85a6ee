"""Watch a run while it is traced: every event also reaches the video and the live viewer.

`WatchedTrace` is a `Trace` that stamps each event with the video's present length (`video_s`), which
is what keeps the page's video in step with the turns, and tells its watchers what goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from perception_tools.artifacts import Artifact
from vlm_agent.trace import Trace


class Watcher(Protocol):
    """Something that shows a run to a person."""

    def caption(
        self, *, title: str | None = None, note: str | None = None, status: str | None = None
    ) -> None:
        """Say what is asked (title), thought (note) and done (status)."""
        ...

    def show(self, rgb: Any, label: str = "") -> None:
        """Show what a tool saw, uint8 (H, W, 3)."""
        ...


class WatchedTrace:
    """A trace with watchers; a watcher's error is raised, not hidden."""

    def __init__(
        self, trace: Trace, watchers: Sequence[Watcher] = (), video_time: Callable[[], float] | None = None
    ) -> None:
        """Wrap a trace.

        Args:
            trace: Where events go.
            watchers: Who is told.
            video_time: Length of the video so far [s]; None without a video.
        """
        self._trace = trace
        self._watchers = tuple(watchers)
        self._video_time = video_time
        self._pictures: dict[str, Any] = {}
        self._lock = threading.Lock()

    def event(self, kind: str, /, **fields: Any) -> None:
        """Append one event, stamped with `video_s`, after the watchers saw it."""
        at = self._video_time() if self._video_time else None
        self._tell(kind, fields)
        if kind == "tool_result" and self._video_time:
            at = self._video_time()  # the picture it showed belongs to the call
        self._trace.event(kind, **fields, **({} if at is None else {"video_s": round(at, 3)}))

    def artifact(self, artifact: Artifact) -> None:
        """Save an artifact; images are remembered for the watchers."""
        self._trace.artifact(artifact)
        if artifact.kind == "image":
            with self._lock:
                self._pictures[artifact.name] = artifact.data

    def now(self) -> float:
        """Wall time since the start [s]."""
        return self._trace.now()

    def sync(self) -> None:
        """Force what was written to the disk."""
        self._trace.sync()

    def _tell(self, kind: str, fields: dict[str, Any]) -> None:
        for watcher in self._watchers:
            match kind:
                case "run_start":
                    watcher.caption(title=fields["instruction"], note="", status="")
                case "turn":
                    watcher.caption(note=fields["text"], status="")
                case "tool_call":
                    watcher.caption(status=call_line(fields["name"], fields["arguments"]))
                case "tool_result":
                    self._show(watcher, fields)
                case "run_end":
                    watcher.caption(note=fields["summary"], status=str(fields["outcome"]))

    def _show(self, watcher: Watcher, fields: dict[str, Any]) -> None:
        if not fields["ok"]:
            watcher.caption(status=f"{fields['name']}: {fields['error']} ({fields['reason'] or 'see trace'})")
        for name in [p.get("artifact") for p in fields["parts"] if p.get("type") == "image"]:
            with self._lock:
                picture = self._pictures.get(name or "")
            if picture is not None:
                watcher.show(picture, f"{fields['name']}: {name}")


def call_line(name: str, arguments: Any) -> str:
    """Return a call as one short line."""
    if not isinstance(arguments, dict):
        return f"{name}(?)"
    texts = []
    for key, value in arguments.items():
        if isinstance(value, float):
            value = f"{value:.3g}"
        elif isinstance(value, list | tuple):
            value = "[" + ", ".join(f"{v:.2f}" if isinstance(v, float) else str(v) for v in value) + "]"
        texts.append(f"{key}={value}")
    line = f"{name}({', '.join(texts)})"
    return line if len(line) <= 120 else line[:117] + "…)"
