"""Worker threads that can be abandoned: one that hangs is quarantined and never used again.

Python cannot kill a thread. A call that must be killable runs in a process (`process_host.py`);
a call that hangs in a thread is answered without it, and its thread ends when it ends.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any

_numbers = itertools.count(1)


class Job:
    """One function call on a worker.

    Attributes:
        value: What the function returned.
        error: What it raised.
        is_done: Whether it ended.
    """

    def __init__(self, function: Callable[[], Any], done: queue.SimpleQueue[Any], tag: Any) -> None:
        """`(self.tag, self)` is put into `done` at the end."""
        self.function, self.tag, self._done = function, tag, done
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_done = False

    def run(self) -> None:
        """Call the function; whatever it raises is kept for the one who asked."""
        try:
            self.value = self.function()
        except BaseException as error:  # SystemExit in a tool must not end the worker silently
            self.error = error
        self.is_done = True
        self._done.put(self)


class Worker:
    """One daemon thread that runs jobs one after another."""

    def __init__(self) -> None:
        """Start the thread."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._loop, name=f"tool-{next(_numbers)}", daemon=True)
        self.thread.start()

    def start(self, job: Job) -> None:
        """Run a job as soon as the thread is free."""
        self._jobs.put(job)

    def finish(self) -> None:
        """End the thread after its present job."""
        self._jobs.put(None)

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()


class WorkerPool:
    """Grows on demand, reuses idle workers, never reuses a quarantined one."""

    def __init__(self, max_quarantined: int) -> None:
        """Allow `max_quarantined` hanging threads before refusing new work."""
        self._max_quarantined = max_quarantined
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._quarantined: list[Worker] = []

    @property
    def num_quarantined(self) -> int:
        """Number of abandoned threads that still hang."""
        with self._lock:
            self._quarantined = [w for w in self._quarantined if w.thread.is_alive()]
            return len(self._quarantined)

    @property
    def has_room(self) -> bool:
        """Whether new work is started."""
        return self.num_quarantined < self._max_quarantined

    def acquire(self, *, beyond_limit: bool = False) -> Worker | None:
        """Return an idle or a new worker; None if too many hang, unless it is to go beyond the limit."""
        if not self.has_room and not beyond_limit:
            return None
        with self._lock:
            return self._idle.pop() if self._idle else Worker()

    def release(self, worker: Worker) -> None:
        """Take back a worker whose job ended."""
        with self._lock:
            self._idle.append(worker)

    def quarantine(self, worker: Worker) -> None:
        """Abandon a worker whose job hangs."""
        worker.finish()
        with self._lock:
            self._quarantined.append(worker)

    def close(self) -> None:
        """End the idle workers."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.finish()
