"""Signals that end a command: it is told, and leaves in order, so that the robot is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, `kill`, and a terminal or an ssh connection that goes away."""


@contextmanager
def ended_by_signals(end: Callable[[int], object], numbers: tuple[int, ...] = ENDING) -> Iterator[None]:
    """Call `end` with the number at each of these signals, but those that are ignored (`nohup`).

    Outside of the main thread, where Python takes no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda n, _frame: end(n)) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt(_number: int) -> None:
    """End as Ctrl-C does; for `ended_by_signals`."""
    signal.raise_signal(signal.SIGINT)


def undisturbed() -> AbstractContextManager[None]:
    """Let no such signal cut short what stops a robot, a few seconds at most; `kill -9` still ends it."""
    return ended_by_signals(lambda _number: None)
