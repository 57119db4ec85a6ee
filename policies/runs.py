"""Where results go: one folder per run, figures as one JSON object."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


def new_run_folder(root: str | None, name: str) -> Path | None:
    """Make ``<root>/<time>_<name>``; None without a root.

    Raises:
        ValueError: It can't be made.
    """
    if not root:
        return None
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48] or "run"
    stem = f"{datetime.now():%Y%m%d-%H%M%S}_{slug}"
    for number in range(100):
        folder = Path(root) / (stem if number == 0 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise ValueError(
                f"cannot write to {folder}: {error.strerror}; choose another run_dir="
            ) from error
    raise ValueError(f"too many runs of the same second in {root}")


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files, by name, into a folder: all of them beside their places first, then each into its own.

    Raises:
        OSError: If they can't be written; those that were there are as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    news = {folder / f"{name}.new": folder / name for name in files}
    try:
        for new, data in zip(news, files.values(), strict=True):
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    except OSError:
        for new in news:
            new.unlink(missing_ok=True)
        raise
    for new, place in news.items():
        new.replace(place)
    return list(news.values())


def write_json(figures: dict[str, Any], to: str) -> None:
    """Write one JSON object to a file, or to standard output for "-"."""
    text = json.dumps(figures, indent=2, allow_nan=False, ensure_ascii=False)
    if to == "-":
        print(text)
    else:
        Path(to).write_text(text + "\n", encoding="utf-8")
