"""The commands that train: train, sweep. Each takes a `habilis.Invocation`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from policies.runs import new_run_folder, write_json

if TYPE_CHECKING:
    from policies.networks import PolicyNet
    from policies.training.distributed import Ranks
    from policies.training.loop import Outcome

FINISHED, FAILED, INTERRUPTED = 0, 1, 130


def train(invocation: Any) -> int:
    """Train a policy into a run folder; 0 when finished, 130 when interrupted and resumable.

    Raises:
        ValueError: Unknown experiment or setting, or a run that can't be resumed; nothing was started.
        Diverged: If numbers were not finite any more; the last checkpoint is kept.
    """
    if invocation.jobs:
        from policies.training.sweep import run_jobs

        return run_jobs(invocation, train_one)
    return train_one(invocation, invocation.cfg, None)


def train_one(invocation: Any, cfg: Any, folder: Path | None) -> int:
    """Train with one configuration, in `folder` or in a new one of `cfg.run_dir`."""
    from rich.console import Console

    from policies.training.distributed import Ranks, has_joined

    ranks = Ranks.from_environ()
    console = Console(stderr=True, quiet=not ranks.is_first)
    if cfg.resume:
        folder = Path(cfg.resume)
        cfg = _resumed(invocation, folder)
    seed_everything(cfg.seed)
    trainer = invocation.build_trainer(cfg)
    try:
        if ranks.is_many and not has_joined():
            raise ValueError("only algo=rsl_ppo trains in several processes; start this one without torchrun")
        folder = folder or _new_folder(cfg, ranks)
        outcome = (_run if ranks.is_first else _help)(invocation, cfg, folder, trainer, console)
    finally:
        trainer.close()
    if not ranks.is_first:
        return FINISHED if outcome.reason != "interrupted" else INTERRUPTED
    _report(cfg, folder, outcome, console)
    if outcome.is_finished and cfg.video_episodes and (folder / "policy").is_dir():
        invocation.record(cfg, folder / "policy", folder / "video", cfg.video_episodes)
    if invocation.json_to and not invocation.jobs:
        write_json(_figures(folder, outcome), invocation.json_to)
    return FINISHED if outcome.reason != "interrupted" else INTERRUPTED


def _run(invocation: Any, cfg: Any, folder: Path, trainer: Any, console: Any) -> Outcome:
    from omegaconf import OmegaConf

    from policies.training.loop import TrainingLoop
    from policies.training.run_folder import ABOUT, CONFIG, RunFolder, git_state, started, write_about
    from policies.training.screen import Screen

    config = invocation.instantiate(cfg.loop)
    about = _about(cfg)
    if not (folder / CONFIG).exists():
        (folder / CONFIG).write_text(OmegaConf.to_yaml(cfg, resolve=True), encoding="utf-8")
    if not (folder / ABOUT).exists():
        write_about(folder, {"name": cfg.name, "started": started(), "git": git_state()})
    # What learns without environments brings its own evaluation and its own kind of files.
    own = trainer if trainer.interface == "none" else None
    evaluator = own.evaluator(config.eval) if own else invocation.build_evaluator(cfg, config.eval)
    save_net = own.save_net if own else partial(_save_net, cfg, evaluator.spec, evaluator.task)
    with Screen(config.env_steps, console) as screen:
        observer = RunFolder(folder, save_net, screen.show)
        try:
            loop = TrainingLoop(trainer, folder, config, evaluator, observer, about)
            outcome = loop.run()
        finally:
            observer.close()
            evaluator.close()
    write_about(folder, _figures(folder, outcome))
    return outcome


def _help(invocation: Any, cfg: Any, folder: Path, trainer: Any, console: Any) -> Outcome:
    """Train as one of several processes but the first: nothing is evaluated, shown or logged here."""
    from policies.training.loop import TrainingLoop
    from policies.training.run_folder import Nobody

    config = invocation.instantiate(cfg.loop)
    return TrainingLoop(trainer, folder, config, _no_evaluation, Nobody(), _about(cfg)).run()


def _no_evaluation(net: PolicyNet) -> Any:
    raise RuntimeError("only the first process evaluates")


def _about(cfg: Any) -> dict[str, Any]:
    """Return what a checkpoint must agree in."""
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    return {k: plain[k] for k in ("env", "algo", "episodes", "num_envs", "seed")}


def _new_folder(cfg: Any, ranks: Ranks) -> Path:
    """Return a new run folder, the same one in all processes."""
    from policies.training.distributed import share

    made = ""
    if ranks.is_first:
        made = str(new_run_folder(str(Path(cfg.run_dir) / cfg.name), f"seed{cfg.seed}"))
    return Path(share(made))


def _save_net(
    cfg: Any, spec: Any, task: str | None, folder: Path, net: PolicyNet, facts: Mapping[str, Any]
) -> None:
    from omegaconf import OmegaConf

    from policies.artifact import save_policy
    from policies.training.run_folder import git_state

    about = {
        "experiment": cfg.name,
        **({} if task is None else {"task": task}),
        **{k: OmegaConf.to_container(cfg[k], resolve=True) for k in ("env", "algo")},
        "seed": cfg.seed,
        "git": git_state(),
        **facts,
    }
    save_policy(folder, net, spec, about)


def _resumed(invocation: Any, folder: Path) -> Any:
    """Return the configuration of a run, with the changes of `loop` that were asked for.

    Raises:
        ValueError: If there is no run, or something else was to be changed.
    """
    from omegaconf import OmegaConf

    from policies.training.run_folder import CONFIG

    if not (folder / CONFIG).is_file():
        raise ValueError(f"no run to resume at {folder}: it has no {CONFIG}")
    cfg = OmegaConf.load(folder / CONFIG)
    for override in invocation.overrides:
        key, _, value = override.partition("=")
        if key == "resume":
            continue
        if not key.startswith("loop.") or OmegaConf.select(cfg, key) is None:
            raise ValueError(f"{override}: a resumed run goes on as it was; only loop.* may be changed")
        OmegaConf.update(cfg, key, OmegaConf.create(f"v: {value}").v)
    cfg.resume = str(folder)
    return cfg


def seed_everything(seed: int) -> None:
    """Seed the global random generators of torch, NumPy and Python."""
    import torch

    if not 0 <= seed < 2**31:
        raise ValueError(f"seed is {seed}; use an integer in [0, 2147483648)")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)


def _figures(folder: Path, outcome: Outcome) -> dict[str, Any]:
    last = outcome.last.to_json() if outcome.last else {"score": None, "n": 0, "ci95": None}
    return {
        **last,
        "reason": outcome.reason,
        "env_steps": outcome.env_steps,
        "seconds": round(outcome.wall_s, 1),
        "best": outcome.best_rate if outcome.best_rate >= 0 else None,
        "best_env_steps": outcome.best_steps,
        "void": 0,
        "folder": str(folder),
    }


def _report(cfg: Any, folder: Path, outcome: Outcome, console: Any) -> None:
    best = f"best success {outcome.best_rate:.1%} at {outcome.best_steps:,} steps"
    best = best if outcome.best_rate >= 0 else "not evaluated"
    minutes = outcome.wall_s / 60
    console.print(f"{cfg.name}: {outcome.env_steps:,} steps in {minutes:.1f} min, {best}", highlight=False)
    console.print(f"  run    {folder}", highlight=False, soft_wrap=True)
    if not outcome.is_finished:
        console.print(f"  {outcome.reason}; go on with: habilis train resume={folder}", soft_wrap=True)


def sweep(invocation: Any) -> int:
    """Summarise the runs of a folder: success per setting over its seeds, with intervals.

    Raises:
        ValueError: If there is no folder, or no run in it.
    """
    from policies.training.sweep import print_table, summarise

    if len(invocation.words) != 1:
        raise ValueError("name one folder of runs: habilis sweep FOLDER")
    rows = summarise(Path(invocation.words[0]))
    if invocation.json_to:
        write_json({"rows": rows}, invocation.json_to)
    else:
        print_table(rows)
    return FINISHED
