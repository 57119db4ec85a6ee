"""The commands that use trained policies: eval, export. Each takes a `habilis.Invocation`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from policies.runs import write_json


def evaluate(invocation: Any) -> int:
    """Measure how often a policy succeeds; 0 when all episodes were run.

    Raises:
        ValueError: Unknown policy or setting, or the policy does not fit the environment.
    """
    from rich.console import Console

    from policies.evaluation import evaluate as run_episodes

    cfg = invocation.cfg
    name, settings = _policy(cfg), _settings(cfg)
    num_envs = min(settings.num_envs, settings.episodes)
    env = invocation.build_env(cfg, num_envs=num_envs, seed=settings.seed, auto_reset=False)
    console = Console(stderr=True)
    try:
        actor = invocation.make_actor(name, env, settings.seed)
        task = getattr(getattr(env, "task", None), "name", None)
        began = time.monotonic()
        with _progress(console, settings.episodes) as progress:
            bar = progress.add_task("evaluate", total=settings.episodes)
            found = run_episodes(
                env, actor.act, settings, actor.reset, lambda done: progress.update(bar, completed=done)
            )
    finally:
        env.close()
    figures = {
        **found.to_json(),
        "seconds": round(time.monotonic() - began, 2),
        "void": 0,
        "policy": name,
        "task": task,
        "experiment": cfg.experiment,
        "seed": settings.seed,
    }
    low, high = found.ci95
    console.print(
        f"{name} in {task}: {found.rate:.1%} of {settings.episodes} episodes, 95 % interval {low:.1%} to "
        f"{high:.1%}" + (f", {found.faults} diverged" if found.faults else ""),
        highlight=False,
        soft_wrap=True,
    )
    if invocation.json_to:
        write_json(figures, invocation.json_to)
    return 0


def _policy(cfg: Any) -> str:
    if cfg.policy:
        return str(cfg.policy)
    if not cfg.experiment:
        raise ValueError("say which policy: policy=solver|random|zero|FILE|RUN, or experiment=NAME")
    from policies.shipped import shipped

    folder, here = shipped(cfg.experiment), Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _settings(cfg: Any) -> Any:
    """Return the `EvalConfig` that was asked for.

    Raises:
        ValueError: If a number is none, or out of range.
    """
    from policies.evaluation import EvalConfig

    for key in ("episodes", "num_envs", "seed"):
        if type(cfg[key]) is not int:
            raise ValueError(f"{key} is {cfg[key]!r}; use a whole number")
    hold_s = 0.0 if cfg.hold_s is None else cfg.hold_s
    if type(hold_s) not in (int, float):
        raise ValueError(f"hold_s is {hold_s!r}; use a number of seconds")
    return EvalConfig(cfg.episodes, cfg.num_envs, cfg.seed, float(hold_s))


def _progress(console: Any, total: int) -> Any:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.completed} / {task.total} episodes")
    return Progress(
        text, BarColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )


def export(invocation: Any) -> int:
    """Write a policy as safetensors and ONNX with its card; 0 when the two act alike.

    Raises:
        ValueError: If there is no policy, or nothing to export it from.
    """
    from rich.console import Console

    from policies.artifact import find_policy, load_policy, task_of

    if len(invocation.words) != 1:
        raise ValueError("name one policy: habilis export RUN_OR_POLICY [to=FOLDER]")
    source = Path(invocation.words[0])
    policy: Any = load_policy(source)
    if not hasattr(policy, "save"):
        raise ValueError(f"{source} is exported already; give the run or the .safetensors file it came from")
    policy.about = {**policy.about, **_told(invocation.cfg, task_of(policy.about))}
    console = Console(stderr=invocation.json_to == "-")
    try:
        deployment = invocation.deployment_of(policy.about)
    except ValueError as error:
        deployment = None
        console.print(f"  no robot can be driven by it: {error}", highlight=False, soft_wrap=True)
    if deployment is not None:
        policy.about["deployment"] = deployment
    folder = Path(invocation.cfg.to) if invocation.cfg.to else find_policy(source).parent
    written = policy.save(folder)
    for path in written:
        console.print(f"  {path}", highlight=False, soft_wrap=True)
    if invocation.json_to:
        write_json({"folder": str(folder), "files": {p.name: str(p) for p in written}}, invocation.json_to)
    return 0


def _told(cfg: Any, task: str | None) -> dict[str, Any]:
    """Return what the user adds to a policy's origin.

    Raises:
        ValueError: If the file of figures is none, or is of another task.
    """
    told: dict[str, Any] = {}
    if cfg.limits:
        told["limits"] = str(cfg.limits)
    if cfg.evaluation:
        file = Path(cfg.evaluation)
        try:
            figures = json.loads(file.read_text(encoding="utf-8"))
            kept = {k: figures[k] for k in ("score", "n", "ci95", "mean_return", "faults", "seed", "task")}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{file} is no result of `habilis eval --json FILE`: {error!r}") from error
        if task not in (None, kept.pop("task")):
            raise ValueError(f"{file} is of task {figures['task']}, the policy of {task}")
        told["evaluation"] = kept
    return told
