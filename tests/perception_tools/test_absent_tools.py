"""A tool whose package is not installed is left out, and said."""

import importlib.util
import json

import pytest

import habilis
from perception_tools import registry


@pytest.fixture
def without_onnxruntime(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnxruntime" else find(name, *a)
    )


def test_what_is_absent_says_what_to_install(without_onnxruntime):
    found = registry.absent(["capture", "tool_affordance"])
    assert found == {"tool_affordance": "needs onnxruntime: pip install 'habilis[train]'"}


def test_every_need_is_of_a_tool_that_there_is():
    assert set(registry.NEEDS) <= set(registry.TOOLS)


def test_the_command_says_it(without_onnxruntime, capsys, tmp_path):
    assert habilis.main(["tools"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "tool_affordance" in text and "not here" in text and "onnxruntime" in text
    assert habilis.main(["tools", "--json", str(tmp_path / "tools.json")]) == 0
    rows = {r["name"]: r for r in json.loads((tmp_path / "tools.json").read_text())["tools"]}
    assert "onnxruntime" in rows["tool_affordance"]["missing"] and not rows["tool_affordance"]["allowed"]
    assert rows["capture"]["missing"] is None and rows["capture"]["allowed"]


def test_planners_are_not_offered_it(without_onnxruntime, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    with habilis.build(habilis.compose("run", ["video.enabled=false"])) as session:
        assert "tool_affordance" not in session.tools and "capture" in session.tools
