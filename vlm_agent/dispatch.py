"""Scheduling of one turn's calls on worker threads: side by side or serial, timed, cancellable."""

from __future__ import annotations

import math
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from perception_tools.errors import Cancelled, ErrorKind, Infrastructure
from perception_tools.results import ToolCall, ToolResult
from perception_tools.tool import Tool, ToolContext
from vlm_agent.answers import Plain, call_inline, failed_result, good_result
from vlm_agent.trace import Trace, TraceError
from vlm_agent.workers import Job, Worker, WorkerPool

if TYPE_CHECKING:
    from vlm_agent.executor import ExecutorConfig

POLL_S = 0.02  # how soon cancellation and time-outs are noticed [s]


class Host(Protocol):
    """Where a tool function runs, other than in the worker thread itself."""

    def call(self, tool: Tool[Any], context: ToolContext, arguments: dict[str, Any]) -> Plain:
        """Run it within `tool.timeout_s` [s] and end early when `context.cancel` is set.

        Raises:
            ToolError: Of the kind that happened; time-outs and crashes are `Infrastructure`.
        """
        ...


@dataclass(eq=False)
class Task:
    """One call on its way; `result` is set when it is rejected, answered or given up."""

    call: ToolCall
    tool: Tool[Any] | None
    turn: int
    note: str = ""
    host: Host | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    result: ToolResult | None = None
    attempts: int = 0
    discarded: set[str] = field(default_factory=set)  # artifacts of tries that failed
    cancel: threading.Event = field(default_factory=threading.Event)
    worker: Worker | None = None
    deadline: float = 0.0
    overrun: Infrastructure | Cancelled | None = None  # why it was told to end early
    start_wall_s: float | None = None
    start_robot_s: float | None = None

    @property
    def is_skill(self) -> bool:
        """Whether it moves the robot."""
        return self.tool is not None and self.tool.moves_robot

    @property
    def is_urgent(self) -> bool:
        """Whether it runs at once."""
        return self.tool is not None and self.tool.bypasses_gates

    @property
    def is_read_only(self) -> bool:
        """Whether it may run beside others and be tried again."""
        return self.tool is None or self.tool.spec.read_only


class Dispatch:
    """Runs the tasks of one turn; use once."""

    def __init__(
        self,
        pool: WorkerPool,
        config: ExecutorConfig,
        trace: Trace,
        context: ToolContext,
        stop: Callable[[], None] | None,
        cancel: threading.Event,
    ) -> None:
        """See `Executor`, which owns all of these."""
        self._pool, self._config, self._trace, self._context = pool, config, trace, context
        self._stop, self._cancel = stop, cancel
        self._done: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._running: dict[Task, Job] = {}
        self._waiting: deque[Task] = deque()
        self._failed_skill = ""  # first skill of the turn that did not succeed

    def run(self, tasks: Sequence[Task], turn_lock: threading.Lock) -> None:
        """Give every task a result. Urgent ones start before the turn waits for its lock."""
        gated = [task for task in tasks if not task.is_urgent]
        width = self._config.max_parallel if all(task.is_read_only for task in gated) else 1
        try:
            for task in tasks:
                if task.is_urgent:
                    self._begin(task)
            with _held(turn_lock, self._cancel, needed=bool(gated)):
                side_by_side = gated if width > 1 else []
                self._context.workspace.share_names([t.call.id for t in side_by_side if t.result is None])
                self._waiting.extend(gated)
                while self._waiting or self._running:
                    self._step(width)
        except BaseException:
            self._abandon_all()
            raise

    def _step(self, width: int) -> None:
        """Start what may start, take one finished job, end what is over time."""
        if self._cancel.is_set():
            self._cancel_all()
        while self._waiting and sum(not t.is_urgent for t in self._running) < width:
            self._begin(self._waiting.popleft())
        if not self._running:
            return
        try:
            job = self._done.get(timeout=POLL_S)
        except queue.Empty:
            pass
        else:
            self._end(job)
        now = time.perf_counter()
        for task in [t for t in self._running if now > t.deadline]:
            self._overrun(task)

    def _begin(self, task: Task) -> None:
        if task.attempts == 0:
            call = task.call
            self._trace.event(
                "tool_call", turn=task.turn, call_id=call.id, name=call.name, arguments=call.arguments
            )
        if task.result is not None:  # rejected before dispatch
            self._record(task)
        elif task.is_skill and not task.is_urgent and self._failed_skill:
            why = f"not run: {self._failed_skill} of the same turn did not succeed; look again, then decide"
            self._give(task, Cancelled(why, reason="not_run"))
        elif (worker := self._pool.acquire(beyond_limit=task.is_urgent and self._stop is None)) is None:
            self._without_worker(task)
        else:
            self._launch(task, worker)

    def _without_worker(self, task: Task) -> None:
        """Answer a task for which no thread is left; an urgent one is carried out here."""
        if not task.is_urgent:
            why = f"{self._pool.num_quarantined} calls hang; no further call is started, restart the program"
            self._give(task, Infrastructure(why, reason="workers_exhausted"), can_retry=False)
            return
        task.start_wall_s, task.start_robot_s = self._trace.now(), self._robot_time()
        try:
            self._stop_robot(f"{task.call.name}, in the executor's own thread")
        except TraceError:
            raise
        except Exception as error:
            self._give(task, error)
        else:
            task.result = good_result(task.call, ({"stopped": True}, ()), [], self._seconds(task))
            self._record(task)

    def _launch(self, task: Task, worker: Worker) -> None:
        tool = task.tool
        assert tool is not None
        task.attempts += 1
        task.cancel = threading.Event()
        context = self._context.for_call(tool.name, task.call.id, task.cancel)
        call = task.host.call if task.host is not None else call_inline
        arguments = task.arguments
        task.start_wall_s, task.start_robot_s = self._trace.now(), self._robot_time()
        task.deadline = time.perf_counter() + tool.timeout_s
        if task.host is not None:
            task.deadline = math.inf  # the host keeps the limit itself
        job = Job(lambda: call(tool, context, arguments), self._done, task)
        task.worker = worker
        self._running[task] = job
        worker.start(job)

    def _end(self, job: Job) -> None:
        """Take the answer of a job, unless it was given up before."""
        task: Task = job.tag
        if self._running.get(task) is not job:
            return
        del self._running[task]
        assert task.worker is not None
        self._pool.release(task.worker)
        if isinstance(job.error, TraceError):
            raise job.error
        overrun = task.overrun if isinstance(task.overrun, Infrastructure) else None
        if (error := overrun or job.error) is not None:
            self._give(task, error)
        else:
            made = self._artifacts(task)
            task.result = good_result(task.call, job.value, made, self._seconds(task))
            self._record(task)

    def _overrun(self, task: Task) -> None:
        """First time: ask it to end, stop the robot if it is a skill. Second time: give it up."""
        if task.overrun is not None:
            self._give_up(task)
            return
        assert task.tool is not None
        task.overrun = Infrastructure(
            f"{task.call.name} took longer than {task.tool.timeout_s:g} s", reason="timeout"
        )
        task.cancel.set()
        task.deadline = time.perf_counter() + self._grace(task)
        if task.is_skill:
            self._stop_robot(f"{task.call.name} timed out")

    def _give_up(self, task: Task) -> None:
        del self._running[task]
        assert task.worker is not None and task.overrun is not None
        self._pool.quarantine(task.worker)
        if task.is_skill and not task.is_urgent:
            self._stop_robot(f"{task.call.name} did not end")
        self._give(task, task.overrun)

    def _give(self, task: Task, error: BaseException, *, can_retry: bool = True) -> None:
        """Answer a task with a failure, or try it again where that can help."""
        result = failed_result(task.call, error, self._artifacts(task), self._seconds(task))
        trace = "".join(traceback.format_exception(error)) if error.__traceback__ else ""
        retry = (
            can_retry
            and self._pool.has_room
            and result.error is ErrorKind.INFRASTRUCTURE
            and 0 < task.attempts <= self._config.infrastructure_retries
            and task.is_read_only
            and not self._cancel.is_set()
        )
        if retry:
            self._trace.event(
                "tool_retry",
                turn=task.turn,
                call_id=task.call.id,
                name=task.call.name,
                message=result.message,
                traceback=trace,
            )
            task.overrun = None
            task.discarded |= {artifact.name for artifact in self._artifacts(task)}
            self._waiting.appendleft(task)
        else:
            task.result = result
            self._record(task, trace)

    def _record(self, task: Task, trace: str = "") -> None:
        """Write artifacts and result; after an infrastructure failure force them to the disk."""
        result = task.result
        assert result is not None
        if not result.ok and task.is_skill and not task.is_urgent:
            self._failed_skill = self._failed_skill or task.call.name
        for artifact in self._artifacts(task):
            self._trace.artifact(artifact)
        self._trace.event(
            "tool_result",
            turn=task.turn,
            call_id=result.call_id,
            name=result.name,
            ok=result.ok,
            error=result.error,
            reason=result.reason,
            message=result.message,
            parts=[{"type": type(p).__name__.removesuffix("Part").lower(), **vars(p)} for p in result.parts],
            attempts=task.attempts,
            seconds=result.seconds,
            start_wall_s=task.start_wall_s,
            end_wall_s=self._trace.now(),
            start_robot_s=task.start_robot_s,
            end_robot_s=self._robot_time(),
            traceback=trace,
        )
        if result.error is ErrorKind.INFRASTRUCTURE:
            self._trace.sync()

    def _cancel_all(self) -> None:
        """Tell running calls to end, answer waiting ones."""
        while self._waiting:
            task = self._waiting.popleft()
            task.result = task.result or failed_result(
                task.call, Cancelled("not run: the run was cancelled", reason="not_run")
            )
            self._begin(task)
        for task in self._running:
            if not task.cancel.is_set():
                task.cancel.set()
                task.overrun = Cancelled("cancelled before it ended", reason="cancelled")
                task.deadline = time.perf_counter() + self._grace(task)

    def _abandon_all(self) -> None:
        """Leave nothing moving on the way out of an exception; calls that end in time are recorded."""
        for task in self._running:
            task.cancel.set()
        if any(task.is_skill for task in self._running):
            self._stop_robot("the turn was aborted")
        for task, job in self._running.items():
            worker = task.worker
            assert worker is not None
            limit = time.perf_counter() + self._grace(task)
            while not job.is_done and time.perf_counter() < limit:
                time.sleep(POLL_S)
            (self._pool.release if job.is_done else self._pool.quarantine)(worker)
        self._running.clear()

    def _stop_robot(self, why: str) -> None:
        if self._stop is not None:
            self._stop()
            self._trace.event("motion", what="stop", reason=why)

    def _artifacts(self, task: Task) -> list[Any]:
        if task.attempts == 0:
            return []
        made = self._context.workspace.all()
        return [a for a in made if a.call_id == task.call.id and a.name not in task.discarded]

    def _grace(self, task: Task) -> float:
        return self._config.skill_grace_s if task.is_skill else self._config.grace_s

    def _seconds(self, task: Task) -> float:
        return 0.0 if task.start_wall_s is None else self._trace.now() - task.start_wall_s

    def _robot_time(self) -> float | None:
        try:
            return self._context.clock()
        except Exception:  # said by the trace itself, which reads the same clock for every event
            return None


@contextmanager
def _held(lock: threading.Lock, cancel: threading.Event, *, needed: bool) -> Iterator[None]:
    """Hold the turn's lock; on cancellation go on without it, since then nothing is started."""
    is_held = False
    while needed and not is_held and not cancel.is_set():
        is_held = lock.acquire(timeout=POLL_S)
    try:
        yield
    finally:
        if is_held:
            lock.release()
