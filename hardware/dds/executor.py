"""Threads that take samples and run timers: one for each callback group.

A group's thread sleeps in Cyclone until a sample arrives, a timer is due or the group is woken, and calls
back itself: no sample changes threads on its way.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from cyclonedds.core import GuardCondition, ReadCondition, WaitSet
from cyclonedds.domain import DomainParticipant

from hardware.dds.endpoints import ANY_SAMPLE, Reader

_MAX_SLEEP_S = 3600.0


class Timer:
    """Calls back at multiples of a period from its start; what was missed is skipped."""

    def __init__(self, period_s: float, callback: Callable[[], None], wake: Callable[[], None]) -> None:
        """Make it due one period from now.

        Raises:
            ValueError: The period is not positive.
        """
        if not (math.isfinite(period_s) and period_s > 0):
            raise ValueError(f"timer period must be positive [s], got {period_s}")
        self._period_s, self._callback, self._wake = period_s, callback, wake
        self.due_s = time.monotonic() + period_s
        self.is_closed = False

    def run(self, now_s: float) -> None:
        """Call back if due."""
        if self.is_closed or now_s < self.due_s:
            return
        self.due_s += self._period_s * (1 + math.floor((now_s - self.due_s) / self._period_s))
        self._callback()

    def close(self) -> None:
        """End; idempotent."""
        self.is_closed = True
        self._wake()


class Group:
    """One thread and what it calls."""

    def __init__(
        self, participant: DomainParticipant, name: str, on_error: Callable[[BaseException], None]
    ) -> None:
        """Begin with nothing to call; `start` starts the thread."""
        self._waitset = WaitSet(participant)
        self._guard = GuardCondition(participant)
        self._waitset.attach(self._guard)
        self._lock = threading.Lock()
        self._sources: dict[Reader, tuple[ReadCondition, Callable[[], None]]] = {}
        self._timers: list[Timer] = []
        self._on_error = on_error
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name=f"bus-{name}", daemon=True)

    def add_reader(self, reader: Reader, on_samples: Callable[[], None]) -> None:
        """Call `on_samples` when the reader has some."""
        condition = ReadCondition(reader.entity, ANY_SAMPLE)
        with self._lock:
            self._sources = {**self._sources, reader: (condition, on_samples)}
            self._waitset.attach(condition)
        self.wake()

    def remove_reader(self, reader: Reader) -> None:
        """Call no more for a reader, and delete it."""
        with self._lock:
            sources = dict(self._sources)
            found = sources.pop(reader, None)
            self._sources = sources
            if found is not None:
                self._waitset.detach(found[0])
                found[0].__del__()
        reader.close()

    def add_timer(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Call back periodically."""
        timer = Timer(period_s, callback, self.wake)
        with self._lock:
            self._timers = [*(t for t in self._timers if not t.is_closed), timer]
        self.wake()
        return timer

    def start(self) -> None:
        """Start the thread; idempotent."""
        with self._lock:
            if self._thread.ident is None and not self._is_ending:
                self._thread.start()

    def wake(self) -> None:
        """Have the thread look anew at what there is."""
        if not self._is_ending:
            self._guard.set(True)

    def stop(self) -> None:
        """Have the thread end after the callback that runs, if any."""
        self._is_ending = True
        self._guard.set(True)

    def join(self) -> None:
        """Wait for the thread, unless it is the caller."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    @property
    def is_current(self) -> bool:
        """Whether the caller is the group's thread."""
        return self._thread is threading.current_thread()

    def delete(self) -> None:
        """Delete Cyclone's entities; after `join`."""
        for reader in tuple(self._sources):
            self.remove_reader(reader)
        self._waitset.detach(self._guard)
        self._waitset.__del__()
        self._guard.__del__()

    def _run(self) -> None:
        try:
            while not self._is_ending:
                self._waitset.wait(self._sleep_ns())
                if self._guard.take():
                    pass
                for _, on_samples in tuple(self._sources.values()):
                    if self._is_ending:
                        return
                    on_samples()
                self._run_timers()
        except BaseException as error:
            self._on_error(error)

    def _run_timers(self) -> None:
        for timer in self._timers:
            if self._is_ending:
                return
            timer.run(time.monotonic())

    def _sleep_ns(self) -> int:
        due = [timer.due_s for timer in self._timers if not timer.is_closed]
        sleep_s = min(due) - time.monotonic() if due else _MAX_SLEEP_S
        return max(0, min(int(sleep_s * 1e9), int(_MAX_SLEEP_S * 1e9)))
