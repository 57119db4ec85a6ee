"""Files of a run: whole or not at all, flushed and synced; a full disk is said in one line."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from policies.runs import write_json
from vlm_agent.bench.runner import read_rows

Row = dict[str, Any]
Key = tuple[str, int]
AGAIN = "run the same again"
SYNC_S = 1.0  # a power cut loses at most this much; a kill loses nothing


class DiskError(RuntimeError):
    """A file can't be written; one line that says what to do and what is kept."""


def write_whole(path: Path, text: str, *, sync: bool = True, then: str = AGAIN) -> None:
    """Replace a file's content in one step: a kill or a full disk leaves the old one.

    Args:
        path: The file; a link, a device or a pipe is written to and not replaced.
        text: Its new content.
        sync: Whether it must be on the disk, not just with the operating system, on return.
        then: What is to be done once there is space again, for the error.

    Raises:
        DiskError: It can't be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
            path.write_text(text, encoding="utf-8")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        try:
            part.unlink(missing_ok=True)
        except OSError:
            pass  # there is no such folder: the reason that is told
        raise disk_error(path, error, then) from error


def write_figures(figures: dict[str, Any], to: str) -> None:
    """Write one JSON object to a file, whole or not at all, or to standard output for "-".

    Raises:
        DiskError: It can't be written.
    """
    if to == "-":
        write_json(figures, to)
    else:
        write_whole(Path(to), json.dumps(figures, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def disk_error(path: Path, error: OSError, then: str = AGAIN) -> DiskError:
    """Return what to say of a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskError(f"the disk is full: {path} was not written; free space and {then}")
    if error.errno == errno.EFBIG:
        return DiskError(f"{path} would be larger than files may be; raise ulimit -f and {then}")
    return DiskError(f"{path} can't be written: {error.strerror}; mend that and {then}")


def key_of(row: Row) -> Key:
    """Return what identifies a row of a run: id and repetition."""
    return row["id"], row.get("repetition", 0)


class RowLog:
    """The rows of a run, one JSON line each, written once, by many threads.

    A torn last line (a kill in the middle of a write) is cut off when the log is opened; void rows are
    dropped then, to be tried again.

    Attributes:
        done: Rows that are in the log, by id and repetition.
    """

    def __init__(self, path: Path) -> None:
        """Open for appending.

        Raises:
            ValueError: A line before the last is not JSON.
            DiskError: It can't be written.
        """
        rows = read_rows(path)
        self.path = path
        self.done: dict[Key, Row] = {key_of(row): row for row in rows if not row.get("void")}
        write_whole(path, "".join(_line(row) for row in self.done.values()))
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)  # nothing waits in a buffer: a failed write leaves no rest
        self._size = path.stat().st_size
        self._synced_s = time.monotonic()

    def append(self, row: Row) -> None:
        """Write one row; a write that fails leaves the log as it was.

        Raises:
            DiskError: It can't be written; what is in the log is kept.
        """
        line = _line(row).encode("utf-8")
        with self._lock:
            try:
                left = memoryview(line)
                while left:
                    left = left[self._file.write(left) or 0 :]
                if time.monotonic() - self._synced_s > SYNC_S:
                    os.fsync(self._file.fileno())
                    self._synced_s = time.monotonic()
            except OSError as error:
                self._cut()
                then = f"go on with resume={self.path.parent}: {len(self.done)} rows are kept"
                raise disk_error(self.path, error, then) from error
            self._size += len(line)
            self.done[key_of(row)] = row

    def _cut(self) -> None:
        """Take off what a failed write left behind."""
        try:
            os.truncate(self.path, self._size)
        except OSError:
            pass  # the torn line is cut off when the log is opened again

    def close(self) -> None:
        """Sync and close."""
        with self._file:
            os.fsync(self._file.fileno())


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
