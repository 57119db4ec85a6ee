"""Two processes train one policy: equal weights, environments of their own, one run folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
pytest.importorskip("rsl_rl", reason="rsl-rl-lib is not installed (extra `train`)")

import torch

import habilis
from policies.training.checkpoint import load_checkpoint
from policies.training.distributed import Ranks, agree, share

ROOT = Path(habilis.__file__).parent
TINY = (
    "experiment=reach_ppo", "num_envs=4", "sim.num_threads=1", "env.task.config.episode_s=0.4",
    "algo.config.hidden_dims=[16]", "algo.config.num_steps_per_env=8", "loop.eval_every=64",
    "loop.save_every=128", "loop.eval.episodes=2", "loop.eval.num_envs=2", "video_episodes=0",
)  # fmt: skip
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def train(*words, launcher=()):
    command = [sys.executable, *launcher, str(ROOT / "habilis.py"), "train", *words]
    clean = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    env = {**clean, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT, env=env)


def checkpoint(run, name="last"):
    return load_checkpoint(run / "checkpoints" / name)


def assert_equal_weights(a, b):
    for which in ("actor", "critic"):
        for name, value in a["trainer"][which].items():
            assert torch.equal(value, b["trainer"][which][name]), name


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_processes_train_one_policy_and_resume(tmp_path):
    done = train(*TINY, "loop.env_steps=192", f"run_dir={tmp_path / 'two'}", launcher=TORCHRUN)
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = (tmp_path / "two" / "reach_ppo").iterdir()
    first, second = checkpoint(run), checkpoint(run, "last_rank1")
    # 3 iterations of 8 steps in 4 environments in 2 processes.
    assert first["env_steps"] == second["env_steps"] == 192
    assert_equal_weights(first, second)
    assert first["trainer"]["learning_rate"] == second["trainer"]["learning_rate"]
    seeds = [list(tree["trainer"]["env"]["env.seeds"]) for tree in (first, second)]
    assert seeds[1] == [s + 4 for s in seeds[0]]
    assert not torch.equal(first["trainer"]["obs"]["observation"], second["trainer"]["obs"]["observation"])

    rows = [json.loads(r) for r in (run / "metrics.jsonl").read_text().splitlines()]
    assert sorted(r["env_steps"] for r in rows if "loss/value" in r) == [64, 128, 192]
    assert len(list((run / "tensorboard").iterdir())) == 1

    # As if the second process had died while the first one had saved already.
    folder = run / "checkpoints"
    shutil.rmtree(folder / "last_rank1")
    (folder / "last_rank1.old").rename(folder / "last_rank1")
    assert checkpoint(run, "last_rank1")["env_steps"] == 128
    again = train(f"resume={run}", "loop.env_steps=320", launcher=TORCHRUN)
    assert again.returncode == 0, again.stderr[-3000:]
    first, second = checkpoint(run), checkpoint(run, "last_rank1")
    assert first["env_steps"] == second["env_steps"] == 320
    assert_equal_weights(first, second)
    straight = train(*TINY, "loop.env_steps=320", f"run_dir={tmp_path / 'straight'}", launcher=TORCHRUN)
    assert straight.returncode == 0, straight.stderr[-3000:]
    (other_run,) = (tmp_path / "straight" / "reach_ppo").iterdir()
    assert_equal_weights(first, checkpoint(other_run))

    fewer = train(f"resume={run}", "loop.env_steps=400")
    assert fewer.returncode == 2
    assert "is of 2 processes, these are 1; resume with as many as before" in fewer.stderr

    alone = train(*TINY, "loop.env_steps=160", f"run_dir={tmp_path / 'one'}")
    assert alone.returncode == 0, alone.stderr[-3000:]
    (run,) = (tmp_path / "one" / "reach_ppo").iterdir()
    other = checkpoint(run)["trainer"]  # as many iterations, with half the data
    assert other["iteration"] == first["trainer"]["iteration"] == 5
    assert not torch.equal(other["actor"]["mlp.0.weight"], first["trainer"]["actor"]["mlp.0.weight"])


@pytest.mark.long
def test_an_algorithm_of_one_process_refuses_two(tmp_path):
    words = ("experiment=reach_sac", "num_envs=2", "sim.num_threads=1", f"run_dir={tmp_path}")
    refused = train(*words, launcher=TORCHRUN)
    assert refused.returncode != 0
    assert "rsl_ppo" in refused.stderr
    assert not (tmp_path / "reach_sac").exists()


def test_places_are_read_from_the_environment(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environ() == Ranks() and not Ranks().is_many and Ranks().for_rsl_rl() is None
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    ranks = Ranks.from_environ()
    assert ranks.is_many and not ranks.is_first
    assert ranks.for_rsl_rl() == {"global_rank": 3, "local_rank": 1, "world_size": 4}
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(ValueError, match="RANK=4"):
        Ranks.from_environ()


def test_alone_one_agrees_with_oneself():
    assert agree(2) == 2
    assert share("runs/a") == "runs/a"
