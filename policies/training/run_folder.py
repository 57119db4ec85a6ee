"""A run on disk: what was asked, in which state of the code, metrics, the best policy."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from policies.evaluation import Evaluation
from policies.networks import PolicyNet

CONFIG, METRICS, ABOUT = "config.yaml", "metrics.jsonl", "run.json"
BEST: Final = "policy"
"""Folder of the best policy."""

SaveNet = Callable[[Path, PolicyNet, Mapping[str, Any]], None]
"""Writes a policy with what is known of it into a folder."""


class RunFolder:
    """Observer of a training loop that writes `metrics.jsonl`, TensorBoard events and the best policy.

    Args:
        path: The run's folder; it exists.
        save_net: How a policy is written.
        show: Told the same metrics, for the screen.
    """

    def __init__(
        self, path: Path, save_net: SaveNet, show: Callable[[int, Mapping[str, float]], None]
    ) -> None:
        """See the class."""
        from torch.utils.tensorboard import SummaryWriter

        self.path, self._save_net, self._show = path, save_net, show
        self._open: Callable[[int | None], Any] = lambda purge: SummaryWriter(
            str(path / "tensorboard"), purge_step=purge
        )
        self._board = self._open(None)
        self._lines = (path / METRICS).open("a", encoding="utf-8")

    def metrics(self, env_steps: int, values: Mapping[str, float]) -> None:
        """See `Observer.metrics`."""
        self._lines.write(json.dumps({"env_steps": env_steps, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, env_steps)
        self._show(env_steps, values)

    def best(self, net: PolicyNet, env_steps: int, evaluation: Evaluation) -> None:
        """See `Observer.best`."""
        facts = {"env_steps": env_steps, "evaluation": evaluation.to_json()}
        self._save_net(self.path / BEST, net, facts)

    def rewind(self, env_steps: int) -> None:
        """See `Observer.rewind`."""
        self._lines.close()
        file = self.path / METRICS
        rows = file.read_text(encoding="utf-8").splitlines()
        kept = [row for row in rows if _steps(row) <= env_steps]
        file.write_text("".join(row + "\n" for row in kept), encoding="utf-8")
        self._lines = file.open("a", encoding="utf-8")
        self._board.close()
        self._board = self._open(env_steps + 1)

    def close(self) -> None:
        """Flush and close the files."""
        self._lines.close()
        self._board.close()


class Nobody:
    """Observer of a training loop that another process observes."""

    def metrics(self, env_steps: int, values: Mapping[str, float]) -> None:
        """See `Observer.metrics`."""

    def best(self, net: PolicyNet, env_steps: int, evaluation: Evaluation) -> None:
        """See `Observer.best`."""

    def rewind(self, env_steps: int) -> None:
        """See `Observer.rewind`."""


def _steps(row: str) -> float:
    """Return the steps of a line of metrics; infinite for one that was cut short."""
    try:
        return json.loads(row)["env_steps"]
    except (json.JSONDecodeError, KeyError):
        return float("inf")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the metrics of a run in order.

    Raises:
        ValueError: If there are none.
    """
    file = path / METRICS
    if not file.is_file():
        raise ValueError(f"{path} is no training run: it has no {METRICS}")
    rows = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(row) for row in rows if _steps(row) != float("inf")]


def write_about(path: Path, facts: Mapping[str, Any]) -> None:
    """Write or update `run.json`: when, which commit, how it ended."""
    file = path / ABOUT
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    text = json.dumps({**known, **facts}, indent=2) + "\n"
    file.with_suffix(".new").write_text(text, encoding="utf-8")
    file.with_suffix(".new").replace(file)


def git_state() -> dict[str, Any]:
    """Return the commit of the code and whether it has changes; empty outside a checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    state: dict[str, Any] = {}
    try:
        state["commit"] = git("rev-parse", "HEAD")
        state["changed"] = bool(git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        pass  # no checkout, no git, or a disk so slow that its state stays unknown
    return state


def started() -> str:
    """Return the present time, as it is written into `run.json`."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
