"""The trace: one JSON object per line in `trace.jsonl`, the source of truth of a run (docs/trace.md)."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

from perception_tools.artifacts import Artifact
from vlm_agent.rendering import jsonable

SCHEMA = "habilis.trace"
VERSION = 1

EVENTS: Mapping[str, tuple[str, ...]] = {
    "trace": ("schema", "version", "created"),
    "run_start": (
        "instruction",
        "images",
        "model",
        "config",
        "tools",
        "system_prompt",
        "seeds",
        "environment",
    ),
    "turn": ("turn", "text", "calls", "usage", "finish_reason", "model_seconds", "attempts"),
    "model_error": ("turn", "kind", "message", "attempt", "wait_s"),
    "tool_call": ("turn", "call_id", "name", "arguments"),
    "tool_retry": ("turn", "call_id", "name", "message", "traceback"),
    "tool_result": (
        *("turn", "call_id", "name", "ok", "error", "reason", "message", "parts", "attempts", "seconds"),
        *("start_wall_s", "end_wall_s", "start_robot_s", "end_robot_s", "traceback"),
    ),
    "artifact": ("name", "kind", "path", "frame", "stamp_s", "epoch", "intrinsics", "T_world_camera"),
    "transport": ("transport", "clock", "judge"),
    "motion": ("what",),
    "safety": ("rule", "message"),
    "run_end": (
        *("outcome", "summary", "evidence", "message", "is_void", "turns", "calls", "seconds"),
        *("robot_seconds", "model_seconds", "tool_seconds", "errors", "model_errors", "usage"),
    ),
}
"""Every kind of event with the fields that it must have; others may be added."""

SYNCED = ("safety", "run_end")  # forced to the disk at once

_SECRET_KEY = re.compile(r"(^|_)(api_?key|token|secret|password|passwd|authorization)$", re.IGNORECASE)
_ADVICE = "free space or choose another folder"
_SECRET_ENV = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)$")


class TraceError(RuntimeError):
    """The trace cannot be written or read; one line that says what to do."""


@dataclass(frozen=True)
class TraceConfig:
    """Settings of a trace.

    Attributes:
        save_artifacts: Write images, depths and masks into `artifacts/`.
        image_format: Format of images; depths and masks are always PNG.
        jpeg_quality: 1 to 100.
    """

    save_artifacts: bool = True
    image_format: Literal["jpg", "png"] = "jpg"
    jpeg_quality: int = 92


class Trace(Protocol):
    """What the executor, the agent and skills write to."""

    def event(self, kind: str, /, **fields: Any) -> None:
        """Append one event."""
        ...

    def artifact(self, artifact: Artifact) -> None:
        """Save an artifact and append its event."""
        ...

    def now(self) -> float:
        """Wall time since the start [s]."""
        ...

    def sync(self) -> None:
        """Force what was written to the disk."""
        ...


class NullTrace:
    """A trace that keeps nothing."""

    def __init__(self) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def event(self, kind: str, /, **fields: Any) -> None:
        """Drop an event."""

    def artifact(self, artifact: Artifact) -> None:
        """Drop an artifact."""

    def now(self) -> float:
        """Wall time since the start [s]."""
        return time.perf_counter() - self._start

    def sync(self) -> None:
        """Do nothing."""


class TraceWriter:
    """Writes `trace.jsonl` and `artifacts/`; thread-safe; every event reaches the OS before it returns.

    Args:
        folder: The run's folder; made if missing, must not hold a trace yet.
        clock: Robot's clock [s]; None where there is no robot.
        config: Settings.
        secrets: Texts that never reach the file; values of the environment's *_KEY, *_TOKEN,
            *_SECRET and *_PASSWORD variables are always among them.

    Raises:
        TraceError: The folder cannot be written, or has a trace already.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        clock: Callable[[], float] | None = None,
        config: TraceConfig = TraceConfig(),
        secrets: Sequence[str] = (),
    ) -> None:
        """See the class."""
        self.folder = Path(folder)
        self.path = self.folder / "trace.jsonl"
        self._clock, self._config = clock, config
        self._secrets = sorted(
            {s for s in (*secrets, *_secrets_of_environment()) if s}, key=len, reverse=True
        )
        self._lock = threading.RLock()
        self._start = time.perf_counter()
        self._count = self._size = 0
        self._saved: set[str] = set()
        self._error: str = ""
        try:
            (self.folder / "artifacts").mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise TraceError(f"cannot write the trace {self.path}: {error.strerror}") from error
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.event("trace", schema=SCHEMA, version=VERSION, created=created)

    def now(self) -> float:
        """Wall time since the start [s]."""
        return time.perf_counter() - self._start

    def event(self, kind: str, /, **fields: Any) -> None:
        """Append one event; `t_wall_s`, `t_robot_s` and `seq` are added.

        Raises:
            ValueError: Unknown kind, or a field of its schema is missing.
            TraceError: It cannot be written (disk full, closed); what was written stays readable.
        """
        if kind not in EVENTS:
            raise ValueError(f"unknown trace event {kind!r}; events: {', '.join(EVENTS)}")
        missing = [name for name in EVENTS[kind] if name not in fields]
        if missing:
            raise ValueError(f"trace event {kind!r} lacks {', '.join(missing)}")
        body = self._redacted("", jsonable(fields))
        with self._lock:
            head = {"event": kind, "seq": self._count, "t_wall_s": round(self.now(), 6)} | self._robot_time()
            self._append(json.dumps(head | body, allow_nan=False).encode("ascii") + b"\n")
            self._count += 1
            if kind in SYNCED:
                self.sync()

    def artifact(self, artifact: Artifact) -> None:
        """Save an artifact's picture in `artifacts/` (once) and append its event.

        Raises:
            TraceError: It cannot be written; no half-written file is left.
        """
        from vlm_agent.trace_files import describe, encode

        with self._lock:
            if artifact.name in self._saved:
                return
            path = None
            if self._config.save_artifacts:
                encoded = encode(artifact, self._config.image_format, self._config.jpeg_quality)
                if encoded is not None:
                    path = f"artifacts/{artifact.name}{encoded[0]}"
                    self._save(self.folder / path, encoded[1])
            self.event("artifact", path=path, **describe(artifact))
            self._saved.add(artifact.name)

    def sync(self) -> None:
        """Force what was written to the disk (at ends of episodes and after failures)."""
        with self._lock:
            if self._file >= 0:
                os.fsync(self._file)

    def close(self) -> None:
        """Sync and close; idempotent."""
        with self._lock:
            if self._file >= 0:
                self.sync()
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> TraceWriter:
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _robot_time(self) -> dict[str, Any]:
        if self._clock is None:
            return {"t_robot_s": None}
        try:
            return {"t_robot_s": round(self._clock(), 6)}
        except Exception as error:  # a dead driver must not take down the record of its death
            return {"t_robot_s": None, "t_robot_error": f"{type(error).__name__}: {error}"}

    def _append(self, data: bytes) -> None:
        if self._error or self._file < 0:
            raise TraceError(self._error or f"the trace {self.path} is closed")
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            self._fail(error)
        self._size += len(data)

    def _fail(self, error: OSError) -> NoReturn:
        message = f"cannot write the trace {self.path}: {error.strerror}; {_ADVICE}"
        try:
            os.ftruncate(self._file, self._size)  # drop the torn line, so that a shorter one may follow
        except OSError:
            self._error = f"{message} (its last line is torn)"  # nothing may follow
        raise TraceError(self._error or message) from error

    def _save(self, path: Path, data: bytes) -> None:
        try:
            path.write_bytes(data)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise TraceError(f"cannot write {path}: {error.strerror}; {_ADVICE}") from error

    def _redacted(self, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: self._redacted(k, v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._redacted(key, v) for v in value]
        if not isinstance(value, str) or not value:
            return value
        if _SECRET_KEY.search(key):
            return "***"
        for secret in self._secrets:
            value = value.replace(secret, "***")
        return value


def _secrets_of_environment() -> list[str]:
    return [value for key, value in os.environ.items() if _SECRET_ENV.search(key) and len(value) >= 8]


@dataclass(frozen=True)
class RecordedTrace:
    """A trace read back.

    Attributes:
        folder: Where it lies; paths of artifacts are relative to it.
        version: Version of its schema.
        events: Its events in order, the header first.
        damage: What is wrong with its end ("" if nothing): a torn last line is dropped and said here.
    """

    folder: Path
    version: int
    events: tuple[dict[str, Any], ...]
    damage: str = ""

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events of some kinds, in order."""
        return [e for e in self.events if e["event"] in kinds]

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end."""
        return not self.damage and self.events[-1]["event"] == "run_end"


def read_trace(path: str | Path) -> RecordedTrace:
    """Read a trace from its file or folder; a torn last line is dropped and reported in `damage`.

    Raises:
        TraceError: No such file, not a trace, of a newer version, or damaged before its last line.
    """
    path = Path(path)
    path = path / "trace.jsonl" if path.is_dir() else path
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise TraceError(f"cannot read the trace {path}: {error.strerror}") from error
    tail = lines.pop()  # b"" after a complete last line
    events = [_parse(path, number, line) for number, line in enumerate(lines, 1)]
    damage = f"line {len(lines) + 1} is torn ({len(tail)} bytes dropped)" if tail else ""
    if not events or events[0].get("schema") != SCHEMA:
        raise TraceError(f"{path} is not a {SCHEMA} file")
    version = events[0].get("version")
    if not isinstance(version, int) or version > VERSION:
        raise TraceError(
            f"{path} has schema version {version}, this program reads up to {VERSION}; update it"
        )
    return RecordedTrace(path.parent, version, tuple(events), damage)


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise TraceError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(event, dict) or "event" not in event:
        raise TraceError(f"{path}, line {number}: not a trace event")
    return event
