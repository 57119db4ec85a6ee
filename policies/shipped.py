"""The weights that ship: one folder per experiment in `policies/weights/`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "weights"


def shipped(experiment: str) -> Path:
    """Return the folder of an experiment's weights.

    Raises:
        ValueError: If none ship; lists those that do.
    """
    found = FOLDER / experiment
    if found.parent == FOLDER and found.is_dir():
        return found
    names = ", ".join(sorted(p.name for p in FOLDER.glob("*") if p.is_dir())) or "none yet"
    raise ValueError(
        f"no weights ship for experiment {experiment!r} (there are: {names}); train it, then policy=RUN"
    )
