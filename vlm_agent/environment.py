"""What a run ran on: versions and git state, for traces and reports."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("habilis", "numpy", "scipy", "mujoco", "mink", "opencv-python-headless", "pydantic", "openai")


@functools.cache
def environment() -> dict[str, Any]:
    """Return Python, platform, package versions and the git state of this checkout."""
    versions: dict[str, str] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "git": git_state(Path(__file__).resolve().parent),
    }


def git_state(folder: Path) -> dict[str, Any]:
    """Return ``{"commit", "is_dirty"}`` of a checkout; ``{"commit": ""}`` where it is none."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "is_dirty": bool(_git(folder, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):  # no git, or not a checkout (an installed wheel)
        return {"commit": ""}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
