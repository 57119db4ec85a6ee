"""Ctrl-C, a caller's cancellation and the time budget, turned into one cancel event of a run.

A signal handler runs between any two bytecodes of the main thread, where even setting an event can
dead-lock. So the handler only writes a byte to a pipe; a thread that waits on the pipe stops the
robot and sets the event. The main thread sees the event, records what happened and returns; the
trace is whole. A second Ctrl-C raises `KeyboardInterrupt` at once.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Literal

POLL_S = 0.02

Reason = Literal["", "interrupted", "cancelled", "seconds"]


class CancelScope:
    """While open, `event` is set as soon as the run must end; `reason` says why.

    Args:
        outer: The caller's cancel event, if any.
        max_seconds: Time budget [s].
        on_cancel: Called at once, from another thread, on Ctrl-C and on the caller's cancellation.
        handle_sigint: Take over Ctrl-C (only possible in the main thread).
    """

    def __init__(
        self,
        outer: threading.Event | None,
        max_seconds: float,
        on_cancel: Callable[[], None],
        *,
        handle_sigint: bool,
    ) -> None:
        """See the class."""
        self.event = threading.Event()
        self.reason: Reason = ""
        self.error: Exception | None = None
        self._outer, self._max_seconds, self._on_cancel = outer, max_seconds, on_cancel
        self._handle_sigint = handle_sigint and threading.current_thread() is threading.main_thread()
        self._presses = 0
        self._closing = False

    def __enter__(self) -> CancelScope:
        """Start watching."""
        self._deadline = time.perf_counter() + self._max_seconds
        self._read, self._write = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="cancel-scope", daemon=True)
        self._thread.start()
        if self._handle_sigint:
            self._previous = signal.signal(signal.SIGINT, self._on_sigint)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching and give Ctrl-C back."""
        if self._handle_sigint:
            signal.signal(signal.SIGINT, self._previous)
        self._closing = True
        os.write(self._write, b"q")
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _on_sigint(self, _signal: int, _frame: FrameType | None) -> None:
        self._presses += 1
        if self._presses > 1:
            raise KeyboardInterrupt
        os.write(self._write, b"c")

    def _watch(self) -> None:
        while not self._closing:
            readable, _, _ = select.select([self._read], [], [], POLL_S)
            if readable and b"c" in os.read(self._read, 64):
                self._cancel("interrupted")
            elif self._outer is not None and self._outer.is_set():
                self._cancel("cancelled")
            elif time.perf_counter() > self._deadline:
                self._cancel("seconds")

    def _cancel(self, reason: Reason) -> None:
        if self.reason:
            return
        self.reason = reason
        try:
            if reason != "seconds":
                self._on_cancel()
        except Exception as error:  # raised again by the one who closes the scope
            self.error = error
        self.event.set()
