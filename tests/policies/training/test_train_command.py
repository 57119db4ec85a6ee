"""`habilis train` and `sweep` as a user types them."""

import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from rich.console import Console

import habilis

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install -e '.[train]'")

from policies.training.checkpoint import load_checkpoint
from policies.training.screen import Screen
from policies.training.sweep import summarise
from policies.training.trainer import Trainer

ROOT = Path(habilis.__file__).parent
TINY = (
    "experiment=reach_sac", "num_envs=2", "sim.num_threads=1", "env.task.config.episode_s=1.0",
    "algo.config.hidden=[16]", "algo.config.batch_size=32", "algo.config.learning_starts=200",
    "algo.config.gradient_steps=1", "loop.eval_every=0", "loop.eval.episodes=2", "loop.eval.num_envs=2",
    "video_episodes=0",
)  # fmt: skip


def options(group):
    root = habilis.CONFIG_DIR / group
    return sorted(p.stem for p in root.glob("*.yaml"))


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_is_composed_and_built(name):
    cfg = habilis.compose("train", [f"experiment={name}", "num_envs=2", "sim.num_threads=1"])
    assert cfg.name == name
    if "teacher" in cfg.algo.config:  # built with one in test_distill.py
        with pytest.raises(ValueError, match=r"give algo\.config\.teacher=RUN"):
            habilis.build_trainer(cfg)
        return
    trainer = habilis.build_trainer(cfg)
    assert isinstance(trainer, Trainer)
    habilis.instantiate(cfg.loop)
    trainer.close()


@pytest.mark.parametrize("name", options("algo"))
def test_algo_yaml_has_the_defaults_of_its_class(name):
    node = habilis.compose("train", [f"algo={name}"]).algo
    config = habilis.instantiate(node.config)
    defaults = type(config)()
    named = {"sb3_td3_her": {"algorithm": "td3"}, "sb3_tqc_her": {"algorithm": "tqc"}}.get(name, {})
    for field in type(config).__dataclass_fields__:
        assert getattr(config, field) == named.get(field, getattr(defaults, field)), field
    assert list(node.config) == ["_target_", *type(config).__dataclass_fields__]


def test_train_yaml_has_the_defaults_of_its_classes():
    from policies.training.loop import LoopConfig

    assert habilis.instantiate(habilis.compose("train").loop) == LoopConfig()


def test_train_eval_files(tmp_path, capsys):
    code = habilis.main(["train", *TINY, "loop.env_steps=400", f"run_dir={tmp_path}", "--json", "-"])
    figures = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (figures["reason"], figures["env_steps"], figures["n"]) == ("done", 400, 2)
    folder = Path(figures["folder"])
    assert folder.parent == tmp_path / "reach_sac"
    for name in ("config.yaml", "run.json", "metrics.jsonl", "checkpoints/last/tree.json", "policy/card.md"):
        assert (folder / name).is_file(), name
    assert list((folder / "tensorboard").iterdir())
    assert json.loads((folder / "run.json").read_text())["score"] == figures["score"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["num_envs"] == 2


def test_a_policy_belongs_to_the_task_by_its_name_whatever_its_file_is_called(tmp_path, capsys, monkeypatch):
    from policies.artifact import load_policy
    from sim.tasks.reach import Reach

    monkeypatch.setattr(Reach, "name", "stretch")
    assert habilis.main(["train", *TINY, "loop.env_steps=200", f"run_dir={tmp_path}"]) == 0
    (folder,) = (tmp_path / "reach_sac").iterdir()
    assert load_policy(folder / "policy").about["task"] == "stretch"
    argv = ["env.task.config.episode_s=0.2", "episodes=1", "--json", "-"]
    assert habilis.main(["eval", f"policy={folder}", "env=reach", *argv]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "stretch"


def test_the_first_line_of_a_run_knows_how_fast_it_is():
    console = Console(file=io.StringIO(), width=120)
    with Screen(4000, console) as screen:
        screen.show(3072, {"speed/env_steps_per_s": 512.0})
        screen.show(3072, {"eval/success": 0.5})
    assert console.file.getvalue() == "3,072 of 4,000 steps, 512 steps/s, success 50.0%\n"


def test_resume_goes_on_and_only_the_loop_may_change(tmp_path, capsys):
    assert habilis.main(["train", *TINY, "loop.env_steps=200", f"run_dir={tmp_path}"]) == 0
    (folder,) = (tmp_path / "reach_sac").iterdir()
    assert habilis.main(["train", f"resume={folder}", "loop.env_steps=400"]) == 0
    assert load_checkpoint(folder / "checkpoints" / "last")["env_steps"] == 400
    capsys.readouterr()
    assert habilis.main(["train", f"resume={folder}", "num_envs=8"]) == 2
    assert "only loop.* may be changed" in capsys.readouterr().err
    assert habilis.main(["train", f"resume={tmp_path}"]) == 2
    assert "no run to resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment=reach_sak"], "no experiment 'reach_sak', did you mean 'reach_sac'?"),
        (["algo=sb3_sack_her"], "no algo 'sb3_sack_her', did you mean 'sb3_sac_her'?"),
        (["loop.env_step=3"], "no config key 'loop.env_step', did you mean 'env_steps'?"),
        ([*TINY, "loop.env_steps=0"], "train at least 1 step"),
        ([*TINY, "seed=-1"], "use an integer in [0, 2147483648)"),
        ([*TINY, "env.task.config.reward=dense"], "hindsight goals need sparse rewards"),
        (["env=tabletop"], "choose a task"),
    ],
)
def test_bad_input_is_one_line(words, message, capsys, tmp_path):
    assert habilis.main(["train", *words, f"run_dir={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_killed_without_warning_resumes_to_the_same_numbers(tmp_path):
    """kill -9 between checkpoints: what was done after the last one is done again, alike."""
    asked = [*TINY, "loop.save_every=200", "algo.config.steps_per_advance=50", "sim.num_threads=1"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert habilis.main(["train", *asked, "loop.env_steps=2000", f"run_dir={whole}"]) == 0
    command = [sys.executable, str(ROOT / "habilis.py"), "train", *asked, "loop.env_steps=1000000"]
    child = subprocess.Popen([*command, f"run_dir={killed}"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list(killed.glob("*/*/checkpoints/last/tree.json")):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    (folder,) = (killed / "reach_sac").iterdir()
    stored = load_checkpoint(folder / "checkpoints" / "last")["env_steps"]
    steps = max(2000, stored)
    if steps > 2000:  # the child was faster than this test; train the whole one as far
        (other,) = (whole / "reach_sac").iterdir()
        assert habilis.main(["train", f"resume={other}", f"loop.env_steps={steps}"]) == 0
    assert habilis.main(["train", f"resume={folder}", f"loop.env_steps={steps}"]) == 0
    trees = [load_checkpoint(next(f.glob("*/*/checkpoints/last"))) for f in (whole, killed)]
    one, other = (t["trainer"]["policy"] for t in trees)
    assert all(bool((one[k] == other[k]).all()) for k in one)
    rows = [_training(next(f.glob("*/*/metrics.jsonl"))) for f in (whole, killed)]
    assert rows[0] == rows[1]


def _training(file):
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        row.pop("speed/env_steps_per_s", None)
    return [row for row in rows if "eval/success" not in row]


def test_expand_makes_every_combination():
    assert habilis.expand(["seed=1,2", "num_envs=4", "algo.config.hidden=[16,16],[32]"]) == (
        ("seed=1", "num_envs=4", "algo.config.hidden=[16,16]"),
        ("seed=1", "num_envs=4", "algo.config.hidden=[32]"),
        ("seed=2", "num_envs=4", "algo.config.hidden=[16,16]"),
        ("seed=2", "num_envs=4", "algo.config.hidden=[32]"),
    )


def test_sweep_trains_each_and_is_summarised(tmp_path, capsys):
    words = ["train", *TINY, "loop.env_steps=200", f"run_dir={tmp_path}", "-m", "seed=1,2"]
    assert habilis.main(words) == 0
    (folder,) = (tmp_path / "reach_sac").iterdir()
    capsys.readouterr()
    assert habilis.main(["sweep", str(folder), "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["seeds"] == 2 and row["env_steps"] == 200
    assert habilis.main(["sweep", str(folder)]) == 0
    assert "95 %" in capsys.readouterr().out


def test_summary_by_hand(tmp_path):
    """Two seeds with 0.8 and 1.0: mean 0.9, deviation 0.1414, t(0.975, 1) = 12.706: +-1.27, cut to [0, 1]."""
    for seed, score in ((1, 0.8), (2, 1.0), (3, 0.5)):
        run = tmp_path / str(seed)
        run.mkdir()
        facts = {"name": "x", "score": score, "best": score, "env_steps": 100, "seconds": 60.0}
        (run / "run.json").write_text(json.dumps(facts))
        setting = "algo=a" if seed < 3 else "algo=b"
        (run / "overrides.json").write_text(json.dumps([f"seed={seed}", setting]))
    a, b = summarise(tmp_path)
    assert (a["setting"], a["seeds"], a["ci95"]) == ("algo=a", 2, [0.0, 1.0])
    assert math.isclose(a["score"], 0.9)
    assert (b["setting"], b["score"], b["ci95"]) == ("algo=b", 0.5, None)


def test_sweep_of_nothing_says_so(tmp_path, capsys):
    assert habilis.main(["sweep", str(tmp_path)]) == 2
    assert "no evaluated run" in capsys.readouterr().err
    assert habilis.main(["run", "x", "-m", "env.seed=1,2"]) == 2
    assert "runs no sweeps" in capsys.readouterr().err
