"""Run benchmark rows in worker processes: each row is written once, whole, and never lost.

A row that crashes or outruns its time is void (infrastructure), is tried once more in a fresh
worker, and stays visible as void. A killed benchmark goes on where it was: rows that are in
`rows.jsonl` are not run again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Read the rows written so far; a torn last line is dropped.

    Raises:
        ValueError: A line before the last is not JSON; says which.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number} is not JSON: {error}") from error
    return rows


class RowFile:
    """Appends rows to a JSONL file, each flushed and synced."""

    def __init__(self, path: Path) -> None:
        """Open for appending, after dropping a torn last line."""
        rows = read_rows(path)
        self.done = {row["id"]: row for row in rows if not row.get("void")}
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = path.with_suffix(".kept")
        with kept.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in self.done.values())
            file.flush()
            os.fsync(file.fileno())
        kept.replace(path)  # whole or not at all: a kill in between loses nothing
        self._file = path.open("a", encoding="utf-8")

    def append(self, row: Row) -> None:
        """Write one row."""
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def run_rows(
    tasks: Sequence[Mapping[str, Any]],
    work: Callable[[Mapping[str, Any]], Row],
    *,
    workers: int,
    timeout_s: float,
    tries: int = 2,
) -> Iterator[Row]:
    """Yield one row per task, in the order they finish.

    Args:
        tasks: Picklable tasks, each with an `id`.
        work: Importable function that turns a task into a row; runs in a worker process, or here
            when `workers` is 0.
        workers: Number of processes.
        timeout_s: Wall time after which a row's worker is killed [s] (not with `workers` 0).
        tries: How often a void row is run in all.
    """
    if workers == 0:
        for task in tasks:
            yield work(task)
        return
    waiting = [(task, 1) for task in tasks]
    while waiting:
        again = []
        for task, row in _pool_pass([task for task, _ in waiting], work, workers, timeout_s):
            tried = next(t for k, t in waiting if k["id"] == task["id"])
            if row.get("void") and tried < tries:
                again.append((task, tried + 1))
            else:
                yield row | {"tries": tried}
        waiting = again


def _pool_pass(
    tasks: Sequence[Mapping[str, Any]],
    work: Callable[[Mapping[str, Any]], Row],
    workers: int,
    timeout_s: float,
) -> Iterator[tuple[Mapping[str, Any], Row]]:
    import multiprocessing
    from concurrent.futures import as_completed

    from pebble import ProcessPool

    pool = ProcessPool(max_workers=workers, context=multiprocessing.get_context("spawn"))
    try:
        futures: dict[Any, Mapping[str, Any]] = {
            pool.schedule(work, args=[task], timeout=timeout_s): task for task in tasks
        }
        for future in as_completed(futures):
            task = futures[future]
            error = future.exception()
            yield task, future.result() if error is None else _void(task, error)
        pool.close()
    finally:
        pool.stop()
        pool.join()


def _void(task: Mapping[str, Any], error: BaseException) -> Row:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return {"id": task["id"], "void": True, "error": "infrastructure", "message": reason} | dict(task)
