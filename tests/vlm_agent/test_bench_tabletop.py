"""Figures on rows worked out by hand; a small real benchmark that is killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import habilis
from vlm_agent.bench.runner import read_rows
from vlm_agent.bench.tabletop import markdown, summarise

ROOT = Path(habilis.__file__).parent


def row(**given):
    base = dict(
        id="x", seed=1, family="container", expected="done", outcome="done", true=True, claimed=True,
        success=True, false_done=False, errors={}, turns=8, calls=10, seconds=4.0, robot_seconds=12.0,
        tool_seconds=3.0, model_seconds=0.1, peak_table_force_n=2.0, peak_external_force_n=9.0,
        limit_violations={}, void=False,
    )  # fmt: skip
    return base | given


def test_summary_counts_claims_against_truth_and_leaves_void_rows_out():
    rows = [
        row(),
        row(true=False, success=False, false_done=True),
        row(outcome="failed", claimed=False, true=True, success=True, errors={"failed": 2, "negative": 1}),
        row(family="unclear", expected="refused", outcome="unclear", claimed=False, peak_table_force_n=7.5),
        row(void=True, success=False),
    ]
    s = summarise(rows, seconds=60.0)
    assert (s["score"], s["n"], s["void"]) == (0.75, 4, 1)
    assert s["families"]["unclear"]["n"] == 1
    assert s["sensed_vs_true"] == {
        "claimed_and_true": 1, "claimed_not_true": 1, "true_not_claimed": 1, "neither": 0,
    }  # fmt: skip
    assert s["false_done"]["rate"] == 0.25
    assert s["call_failures"] == {"failed": 2, "negative": 1}
    assert s["peak_table_force_n"] == 7.5
    assert s["ci95"][0] < 0.75 < s["ci95"][1]
    text = markdown(s)
    assert "| container | 66.7 %" in text and "Void episodes (infrastructure): 1" in text
    json.dumps(s, allow_nan=False)


def test_summary_of_nothing_but_void_rows_has_no_score():
    s = summarise([row(void=True)], seconds=1.0)
    assert s["score"] is None and s["n"] == 0 and s["void"] == 1
    assert "–" in markdown(s)


def command(*argv):
    return [sys.executable, str(ROOT / "habilis.py"), "bench", *argv]


@pytest.mark.render
def test_a_killed_benchmark_is_resumed_without_repeating_or_losing_a_row(tmp_path):
    argv = ("episodes=3", "seed=300", "families=[pick_up,unclear]", f"run_dir={tmp_path}")
    env = {**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    process = subprocess.Popen(
        command(*argv, "workers=1"), cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not any(p.stat().st_size for p in tmp_path.glob("*/rows.jsonl")):
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    (folder,) = tmp_path.iterdir()
    before = read_rows(folder / "rows.jsonl")
    assert 1 <= len(before) < 3
    done = subprocess.run(
        command(*argv, "workers=0", f"resume={folder}", "--json", "-"),
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    after = read_rows(folder / "rows.jsonl")
    assert [r["id"] for r in after] == ["pick_up-300", "unclear-301", "pick_up-302"]
    assert after[: len(before)] == before
    assert json.loads(done.stdout)["n"] == 3


@pytest.mark.render
def test_resuming_with_other_settings_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 5\n")
    done = subprocess.run(
        command("seed=6", f"resume={tmp_path}"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2 and "seed" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.render
def test_equal_seeds_give_equal_episodes(tmp_path):
    from omegaconf import OmegaConf

    from vlm_agent.bench.tabletop import episode_row

    cfg = habilis.compose("bench")
    config = OmegaConf.to_container(cfg, resolve=True)
    task = {"id": "pick_up-303", "seed": 303, "family": "pick_up", "folder": str(tmp_path)}
    a, b = (episode_row(task, build=habilis.build, config=config) for _ in range(2))
    wall = ("seconds", "tool_seconds", "model_seconds")
    assert {k: v for k, v in a.items() if k not in wall} == {k: v for k, v in b.items() if k not in wall}
