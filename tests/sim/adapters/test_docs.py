"""The examples of docs/adapters.md and docs/porting_isaacgym.md run, and name what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

for _package in ("torch", "gymnasium", "stable_baselines3", "rsl_rl", "rl_games"):
    pytest.importorskip(_package, reason=f"{_package} is missing: pip install 'habilis[train]'")

DOCS = Path(__file__).resolve().parents[3] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    for page in ("adapters.md", "porting_isaacgym.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start(1))
            yield pytest.param(page, line, match[1], id=f"{page}:{line + 1}")


@pytest.mark.parametrize(("page", "line", "code"), list(blocks()))
def test_example_runs(page, line, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what examples write stays here
    exec(compile("\n" * line + code, str(DOCS / page), "exec"), {"__name__": "docs_example"})


def test_names_of_the_interface_are_kept():
    """Every name that the porting page lists as the same is one of VecTask's."""
    from sim.vec_task import make

    text = (DOCS / "porting_isaacgym.md").read_text(encoding="utf-8")
    names = re.search(r"^Same: `([^`]+)`", text, re.MULTILINE)[1].split()
    task = make("reach", 1)
    assert len(names) > 20 and not [name for name in names if not hasattr(task, name)]
    task.close()
