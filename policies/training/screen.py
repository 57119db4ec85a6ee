"""What a person sees of training: a progress bar, or lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S: Final = 30.0
"""Time between lines where there is no terminal [s]."""


class Screen:
    """Shows steps, steps/s, success and the time that is left.

    Args:
        env_steps: Steps in all.
        console: Where.
    """

    def __init__(self, env_steps: int, console: Any) -> None:
        """See the class."""
        self._console, self._total = console, env_steps
        self._progress = Progress(
            TextColumn("{task.completed:,.0f} / {task.total:,.0f} steps"),
            BarColumn(),
            TextColumn("{task.fields[speed]:,.0f} steps/s  success {task.fields[success]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("train", total=env_steps, speed=0.0, success="-")
        self._began = self._shown = time.monotonic()
        self._first: int | None = None
        self._success, self._latest = "-", 0.0

    def __enter__(self) -> Screen:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._progress.stop()

    def show(self, env_steps: int, values: Mapping[str, float]) -> None:
        """Take metrics of these steps."""
        now = time.monotonic()
        self._first = env_steps if self._first is None else self._first
        speed = (env_steps - self._first) / max(now - self._began, 1e-9)
        self._latest = values.get("speed/env_steps_per_s", self._latest)
        if env_steps == self._first:  # how long these took is not known here: the run may be resumed
            speed = self._latest
        if "eval/success" in values:
            self._success = f"{values['eval/success']:.1%}"
        elif self._success == "-" and "train/success" in values:
            self._success = f"{values['train/success']:.0%} (training)"
        self._progress.update(self._task, completed=env_steps, speed=speed, success=self._success)
        if not self._console.is_terminal and (now - self._shown > EVERY_S or "eval/success" in values):
            self._shown = now
            line = f"{env_steps:,} of {self._total:,} steps, {speed:,.0f} steps/s, success {self._success}"
            self._console.print(line, highlight=False, soft_wrap=True)
