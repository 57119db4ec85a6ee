"""Processes of `habilis` for tests: each with a domain of its own, ended by its id, bounded in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from tests.hardware.domains import free_domain

ROOT = Path(__file__).resolve().parents[2]


def new_domain() -> int:
    return free_domain()


class Process:
    """`habilis` with arguments; `lines` collects what it writes, on both streams."""

    def __init__(self, *words: str, domain: int, json_to: Path | None = None):
        env = os.environ | {"ROS_DOMAIN_ID": str(domain), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        env.pop("ROS_DISTRO", None)
        more = ["--json", str(json_to)] if json_to else []
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "habilis", *words, *more],
            cwd=ROOT,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, what: str, seconds: float = 60.0) -> None:
        end_s = time.monotonic() + seconds
        while what not in self.text:
            assert self.popen.poll() is None, f"it ended with {self.popen.returncode}:\n{self.text}"
            assert time.monotonic() < end_s, f"{what!r} did not come:\n{self.text}"
            time.sleep(0.02)

    def wait(self, seconds: float = 60.0) -> int:
        code = self.popen.wait(seconds)
        self._reader.join(5)
        return code

    def interrupt(self, seconds: float = 30.0) -> int:
        self.popen.send_signal(signal.SIGINT)
        return self.wait(seconds)

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        self._reader.join(5)


@contextmanager
def served_robot(domain: int, *words: str, seconds: float = 240.0):
    """`habilis robot`, ready."""
    process = Process("robot", f"seconds={seconds}", *words, domain=domain)
    try:
        process.until("serving")
        yield process
    finally:
        process.close()
