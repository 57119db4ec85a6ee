"""The planner picks small things with tweezers: success by the judge; what is sensed against what is true."""

import json

import pytest

import habilis

EPISODES = 50


@pytest.mark.slow
@pytest.mark.render
@pytest.mark.timeout(7200)
def test_picking_with_the_tweezers(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
    to = tmp_path / "result.json"
    settings = ["families=[pick_up,unseen]", f"episodes={EPISODES}", "seed=7000", "workers=1"]
    assert habilis.main(["bench", "env=tweezers", *settings, f"run_dir={tmp_path}", "--json", str(to)]) == 0
    result = json.loads(to.read_text())
    assert result["n"] == EPISODES and result["void"] == 0
    assert result["score"] >= 0.75, result
    table = result["sensed_vs_true"]
    assert table["claimed_not_true"] <= 2 and table["true_not_claimed"] <= 2, table
