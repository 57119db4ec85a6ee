"""Worker processes for pure tools: one that hangs is killed and replaced, one that crashes replaced.

A pure tool works on artifacts only. It gets a workspace with the artifacts that its arguments name,
those they came from and those sensed with them; there are no cameras and no self filter in there.
What it makes comes back under the next free names of the run.
"""

from __future__ import annotations

import importlib
import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, NoReturn

from perception_tools.artifacts import Artifact, Workspace
from perception_tools.errors import (
    BadArguments,
    Cancelled,
    Failed,
    Infrastructure,
    Negative,
    Refused,
    ToolError,
)
from perception_tools.geometry import BoolArray, FloatArray
from perception_tools.senses import SenseReading
from perception_tools.tool import Tool, ToolContext
from vlm_agent.answers import Plain, call_inline

POLL_S = 0.02
START_S = 60.0  # longest wait for a worker to start and be free [s]

_KINDS = {kind.kind: kind for kind in (BadArguments, Negative, Refused, Failed, Cancelled, Infrastructure)}


@dataclass(frozen=True)
class Request:
    """One call as it travels to a worker."""

    module: str
    tool: str
    call_id: str
    arguments: dict[str, Any]
    workspace: Workspace
    settings: Mapping[str, Any]
    time_s: float
    has_self_filter: bool
    has_senses: bool = False


@dataclass(frozen=True)
class Answer:
    """One answer as it travels back: an output with new artifacts, or a failure as text."""

    output: Plain | None = None
    made: tuple[Artifact, ...] = ()
    kind: str = ""
    message: str = ""
    reason: str = ""
    evidence: Mapping[str, Any] | None = None
    traceback: str = ""


class ProcessHost:
    """A pool of spawned worker processes."""

    def __init__(self, num_processes: int = 1) -> None:
        """Start nothing yet; workers start with the first call."""
        self._num_processes = num_processes
        self._lock = threading.Lock()
        self._pool: Any = None

    def call(self, tool: Tool[Any], context: ToolContext, arguments: dict[str, Any]) -> Plain:
        """Run a module-level tool function in a worker.

        Raises:
            ToolError: What the tool raised; `Infrastructure` for time-outs and crashes.
        """
        request = _request(tool, context, arguments)
        future = self._ready_pool().schedule(work, args=(request,), timeout=tool.timeout_s)
        answer = self._wait(tool, future, context.cancel)
        if answer.output is None:
            _raise(answer)
        return _adopt(answer, context)

    def close(self) -> None:
        """Kill the workers; idempotent."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def _ready_pool(self) -> Any:
        """Return the pool; a broken one is replaced."""
        import pebble

        with self._lock:
            if self._pool is not None and not self._pool.active:
                self._pool.stop()
                self._pool = None
            if self._pool is None:
                spawn = multiprocessing.get_context("spawn")
                self._pool = pebble.ProcessPool(max_workers=self._num_processes, context=spawn)
            return self._pool

    def _wait(self, tool: Tool[Any], future: Any, cancel: threading.Event) -> Answer:
        limit = time.perf_counter() + START_S + tool.timeout_s
        while True:
            try:
                return future.result(timeout=POLL_S)
            except TimeoutError as error:
                if future.done():  # the pool's own time-out: the worker was killed
                    raise _timeout(tool) from error
            except CancelledError as error:
                raise Cancelled("cancelled before it ended", reason="cancelled") from error
            except Exception as error:  # died, or arguments that cannot travel
                code = getattr(error, "exitcode", None)
                why = f"{type(error).__name__}: {error}" if code is None else f"exit code {code}"
                raise Infrastructure(f"worker process of {tool.name} died ({why})", reason="crash") from error
            if cancel.is_set() or time.perf_counter() > limit:
                future.cancel()  # kills the worker
                if not cancel.is_set():
                    raise _timeout(tool)
                raise Cancelled("cancelled before it ended", reason="cancelled")


def _timeout(tool: Tool[Any]) -> Infrastructure:
    return Infrastructure(
        f"{tool.name} took longer than {tool.timeout_s:g} s; its worker was killed", reason="timeout"
    )


def _request(tool: Tool[Any], context: ToolContext, arguments: dict[str, Any]) -> Request:
    return Request(
        module=tool.function.__module__,
        tool=tool.function.__name__,
        call_id=context.call_id,
        arguments=arguments,
        workspace=context.workspace.extract(related(context.workspace, arguments)),
        settings=context.settings,
        time_s=context.clock(),
        has_self_filter=context.is_robot is not None,
        has_senses=context.senses is not None,
    )


def related(workspace: Workspace, arguments: Mapping[str, Any]) -> list[str]:
    """Return the names of artifacts that a call may need, oldest first.

    Those named in its arguments; then, repeatedly, the parents of each, names in its `meta`, and
    images and depths of the call that made it.
    """
    known = {artifact.name: artifact for artifact in workspace.all()}
    needed: set[str] = set()
    todo = [text for text in _strings(arguments) if text in known]
    while todo:
        artifact = known[todo.pop()]
        if artifact.name in needed:
            continue
        needed.add(artifact.name)
        todo += [name for name in (*artifact.parents, *_strings(artifact.meta)) if name in known]
        if artifact.call_id:
            sensed = (a for a in known.values() if a.kind in ("image", "depth"))
            todo += [a.name for a in sensed if a.call_id == artifact.call_id]
    return [name for name in known if name in needed]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def work(request: Request) -> Answer:
    """Run one call; this is what a worker process executes."""
    try:
        tool = getattr(importlib.import_module(request.module), request.tool)
        context = ToolContext(
            workspace=request.workspace,
            cameras={},
            clock=lambda: request.time_s,
            settings=request.settings,
            is_robot=_no_self_filter(request.tool) if request.has_self_filter else None,
            senses=_OutOfReach(request.tool) if request.has_senses else None,
            tool=request.tool,
            call_id=request.call_id,
        )
        given = {artifact.name for artifact in request.workspace.all()}
        output = call_inline(tool, context, request.arguments)
        made = tuple(a for a in request.workspace.all() if a.name not in given)
        return Answer(output=output, made=made)
    except ToolError as error:
        return Answer(kind=error.kind, message=str(error), reason=error.reason, evidence=error.evidence)
    except Exception as error:
        reason = "out_of_memory" if isinstance(error, MemoryError) else "crash"
        message = f"{type(error).__name__}: {error}"
        return Answer(
            kind=Infrastructure.kind, message=message, reason=reason, traceback=traceback.format_exc()
        )


def _no_self_filter(tool: str) -> Callable[[FloatArray], BoolArray]:
    def refuse(_: FloatArray) -> BoolArray:
        raise Infrastructure(
            f"{tool} needs the robot's self filter, which a worker process has not; "
            f"take {tool!r} out of the executor's `process`"
        )

    return refuse


@dataclass(frozen=True)
class _OutOfReach:
    """Senses of a robot that is in another process."""

    tool: str

    def read(self) -> SenseReading:
        raise Infrastructure(
            f"{self.tool} needs the robot's senses, which a worker process has not; "
            f"take {self.tool!r} out of the executor's `process`"
        )


def _raise(answer: Answer) -> NoReturn:
    error = _KINDS[answer.kind](answer.message, reason=answer.reason, evidence=answer.evidence)  # type: ignore[index]
    if answer.traceback:
        error.add_note(f"in the worker process:\n{answer.traceback}")
    raise error


def _adopt(answer: Answer, context: ToolContext) -> Plain:
    """Put new artifacts into the run's workspace and give the output their names there."""
    assert answer.output is not None
    names: dict[str, str] = {}
    for made in answer.made:
        stored = context.workspace.put(
            made.kind,
            made.data,
            frame=made.frame,
            stamp_s=made.stamp_s,
            epoch=made.epoch,
            intrinsics=made.intrinsics,
            T_world_camera=made.T_world_camera,
            tool=made.tool,
            call_id=made.call_id,
            parents=tuple(names.get(name, name) for name in made.parents),
            label=made.label,
            meta=_renamed(made.meta, names),
        )
        names[made.name] = stored.name
    value, images = answer.output
    return _renamed(value, names), tuple(names.get(name, name) for name in images)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, Mapping):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, names) for item in value]
    return value
