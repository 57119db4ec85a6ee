"""Makes the unlucky moment between a listener and another thread happen every time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

JOIN_S = 30.0


class Rendezvous:
    """A physics lock that the other thread first asks for while a listener holds it.

    Whatever the other thread holds by then, the listener must be able to do without.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._other: threading.Thread | None = None
        self._asked, self._held = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        if threading.current_thread() is self._other:
            self._asked.set()
            self._held.wait(JOIN_S)
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def meet(self) -> None:
        """Wait, in the listener, until the other thread asks for the lock, then let it go on asking."""
        assert self._asked.wait(JOIN_S), "the other thread never asked for the physics lock"
        self._held.set()

    def both_end(self, step: Callable[[], object], other: Callable[[], object]) -> bool:
        """Run `step`, which calls `meet` with the lock held, beside `other`; return whether both ended."""
        ended: list[str] = []
        threads = [
            threading.Thread(target=lambda: (step(), ended.append("step")), daemon=True),
            threading.Thread(target=lambda: (other(), ended.append("other")), daemon=True),
        ]
        self._other = threads[1]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(JOIN_S)
        return sorted(ended) == ["other", "step"]
