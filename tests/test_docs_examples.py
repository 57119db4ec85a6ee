"""The examples of docs/extending.md, parallel, robots, senses and policies run; README shows the first's."""

import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"^```python(?P<flags>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """The Python blocks under one heading, in order."""

    page: str
    title: str
    blocks: tuple[tuple[int, str, bool], ...]  # line, code, renders

    def run(self, *, render):
        """Run the blocks in one fresh module; those that render only if asked to."""
        module = ModuleType("docs_example")
        sys.modules[module.__name__] = module  # pydantic looks annotations up there
        try:
            for line, code, renders in self.blocks:
                if render or not renders:
                    source = "\n" * line + code  # line numbers of tracebacks are the page's
                    exec(compile(source, str(ROOT / self.page), "exec"), module.__dict__)
        finally:
            del sys.modules[module.__name__]


def examples(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    starts = [m.start() for m in re.finditer(r"^## ", text, re.MULTILINE)] + [len(text)]
    for start, end in pairwise(starts):
        blocks = tuple(
            (text.count("\n", 0, m.start("code")), m["code"], "render" in m["flags"])
            for m in _BLOCK.finditer(text, start, end)
        )
        if blocks:
            yield Example(page, text[start + 3 : text.index("\n", start)], blocks)


EXAMPLES = list(examples("docs/extending.md"))


@pytest.fixture(autouse=True)
def _families_are_put_back():
    from sim.tabletop import FAMILIES  # the world reads its families when it is imported

    before = dict(FAMILIES)
    yield
    FAMILIES.clear()
    FAMILIES.update(before)


def test_every_kind_of_part_has_an_example():
    titles = [e.title for e in EXAMPLES]
    assert titles == ["A tool", "A skill", "A family of tasks", "A robot", "A planner"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.title)
def test_example_runs_without_opengl(example, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    example.run(render=False)


@pytest.mark.parametrize(
    "example",
    [e for page in ("parallel", "robots", "senses", "policies") for e in examples(f"docs/{page}.md")],
    ids=lambda e: e.title,
)
def test_example_of_parallel_simulation_runs(example):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `train`)")
    example.run(render=False)


@pytest.mark.render
@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if any(renders for *_, renders in e.blocks)], ids=lambda e: e.title
)
def test_example_runs_with_opengl(example):
    example.run(render=True)


def test_readme_shows_the_same_examples():
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    shown = [m["code"] for m in _BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert len(shown) == 3
    for code in shown:
        assert code in page
