"""The simulator's commands: envs, play, bench-sim. Each takes a `habilis.Invocation`."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from policies.runs import new_run_folder, write_json

if TYPE_CHECKING:
    from policies.policy import ArraySpec
    from sim.batch.env import BatchEnv


_KINDS = {
    "task": "TASKS of parallel simulation (habilis train, play, eval, bench-sim)",
    "generator": "TASKS drawn from a seed",
    "world": "WORLDS of the planner (habilis run, chat, bench)",
}


def envs(invocation: Any) -> int:
    """List tasks with their spaces, and worlds with the families of their episodes."""
    folder = Path(invocation.config_dir) / "env"
    nodes = {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.yaml"))}
    names = invocation.words or tuple(nodes)
    unknown = [n for n in names if n not in nodes]
    if unknown:
        raise ValueError(f"no env {unknown[0]!r}; there are {', '.join(nodes)}")
    rows = [_row(n, nodes[n]) for n in names]
    if invocation.json_to:
        write_json({"envs": rows}, invocation.json_to)
        return 0
    width = shutil.get_terminal_size((110, 24)).columns
    for kind, heading in _KINDS.items():
        found = [row for row in rows if row["kind"] == kind]
        if found:
            print(heading, end="\n\n")
        for row in found:
            print("\n".join(_shown(row, width)), end="\n\n")
    if any(row["kind"] == "task" for row in rows):
        print("Observations are in m, rad, s, N; quat is wxyz. An action of 1 is the largest step.")
    return 0


def _shown(row: Mapping[str, Any], width: int) -> list[str]:
    """Return a row as lines of text."""
    lines = [f"{row['name']}: {row['summary']}"]
    if "families" in row:
        lines += textwrap.wrap(", ".join(row["families"]), width, initial_indent="  ", subsequent_indent="  ")
    if "spaces" not in row:
        return lines
    lines.append(f"  {row['control']}")
    head = f"  {'space':<14}{'shape':<7}{'bounds':<13}{'unit':<16}"
    lines.append(f"{head}entries")
    for name, space in row["spaces"].items():
        low, high = space["low"], space["high"]
        bounds = "none" if low is None and high is None else f"{low:g} to {high:g}"
        shape = "x".join(map(str, space["shape"]))
        unit = "" if space["unit"] == "1" else space["unit"]
        start = f"  {name:<14}{shape:<7}{bounds:<13}{unit:<16}"
        lines += textwrap.wrap(
            ", ".join(_parts(space["names"])),
            max(width, len(head) + 20),
            initial_indent=start,
            subsequent_indent=" " * len(head),
        )
    return lines


def _parts(names: Sequence[str]) -> list[str]:
    """Return the names of entries, those of one part (`joint_pos.0` ...) as its name and size."""
    sizes = Counter(name.rsplit(".", 1)[0] for name in names)
    return [part if part in names else f"{part} {size}" for part, size in sizes.items()]


def _row(name: str, node: dict[str, Any]) -> dict[str, Any]:
    if "world" in node:
        return _world_row(name, node["world"])
    if "config" in node["task"]:
        return _task_row(name, node["task"])
    return {"name": name, "kind": "generator", "summary": _summary(node["task"]["_target_"])}


def _world_row(name: str, node: dict[str, Any]) -> dict[str, Any]:
    families = list(node["config"].get("families", []))
    return {"name": name, "kind": "world", "summary": _summary(node["_target_"]), "families": families}


def _task_row(name: str, node: dict[str, Any]) -> dict[str, Any]:
    from sim.batch.env import BatchEnv, EnvConfig
    from sim.tasks.registry import make_task

    env = BatchEnv(make_task(name), EnvConfig(num_envs=1))
    spec = env.spec
    env.close()
    parts = list(dict.fromkeys(n.rsplit(".", 1)[0] for n in spec.obs["observation"].names))
    arrays = {"action": spec.action, **spec.obs}
    if spec.goal is not None:  # achieved and desired ones are alike
        arrays = {k: v for k, v in arrays.items() if not k.endswith("_goal")} | {"goal": spec.goal}
    goal = spec.goal.names if spec.goal else ()
    return {
        "name": name,
        "kind": "task",
        "summary": _summary(node["_target_"]),
        "action": list(spec.action.names),
        "observation": parts,
        "goal": list(goal),
        "control": f"every {spec.step_dt:g} s, {env.task.config.max_steps} steps an episode",
        "shapes": {
            "action": list(spec.action.shape),
            **{k: list(v.shape) for k, v in spec.obs.items()},
        },
        "spaces": {k: _space(v) for k, v in arrays.items()},
    }


def _space(spec: ArraySpec) -> dict[str, Any]:
    low, high = (bound if math.isfinite(bound) else None for bound in (spec.low, spec.high))
    return {"shape": list(spec.shape), "low": low, "high": high, "unit": spec.unit, "names": list(spec.names)}


def _summary(target: str) -> str:
    """Return the first line of the module that a class lives in, without its name."""
    line = (import_module(target.rpartition(".")[0]).__doc__ or "").splitlines()[0]
    return line.partition("`: ")[2] or line


def play(invocation: Any) -> int:
    """Play a policy in a task and write a video; 0 if it ran to its end.

    Raises:
        ValueError: Unknown task, policy or setting; nothing was started.
    """
    from rich.console import Console

    from sim.play import Stage, make_actor
    from sim.play import play as play_episodes

    cfg = invocation.cfg
    console = Console(stderr=invocation.json_to == "-")
    if cfg.episodes < 1:
        raise ValueError(f"episodes is {cfg.episodes}; play at least 1")
    if cfg.video.fps <= 0:
        raise ValueError(f"video.fps is {cfg.video.fps}; use a positive number of frames per second")
    env = invocation.build_env(cfg, num_envs=1, auto_reset=False)
    policy = _policy(cfg)
    actor = make_actor(policy, env, cfg.seed)
    stage = Stage(env)
    name = f"{env.task.name}_{Path(policy).stem}"
    folder = new_run_folder(cfg.run_dir, name) if cfg.video.enabled else None
    try:
        screens = _screens(invocation, env, stage, folder)
        try:
            result = play_episodes(env, actor, cfg.episodes, screens.begin, screens.step)
        finally:
            screens.close()
    except Exception:  # half a video is none
        if folder is not None:
            shutil.rmtree(folder)
        raise
    finally:
        stage.close()
        env.close()
    console.print(f"{result.successes} of {result.episodes} episodes ended with the goal achieved")
    files = {"video": str(folder / "video.mp4")} if folder else {}
    for kind, path in files.items():
        console.print(f"  {kind:<6} {path}", highlight=False, soft_wrap=True)
    if invocation.json_to:
        figures = {
            "score": result.successes / result.episodes,
            "n": result.episodes,
            "returns": result.returns,
            "lengths": result.lengths,
            "faults": env.faults.count,
            "files": files,
        }
        write_json(figures, invocation.json_to)
    return 0


def _policy(cfg: Any) -> str:
    """Return what plays: what was asked for, the experiment's weights, or the solver."""
    if cfg.policy or not cfg.experiment:
        return cfg.policy or "solver"
    from policies.shipped import shipped

    return str(shipped(cfg.experiment))


class _Screens:
    """Feeds video and viewer from the episodes."""

    def __init__(self, env: BatchEnv, stage: Any, video: Any, viewer: Any, every: int) -> None:
        self._env, self._stage, self._video, self._viewer, self._every = env, stage, video, viewer, every

    def begin(self, episode: int) -> None:
        self._stage.begin()
        self._caption(status=f"episode {episode + 1}")
        self._show(force=True)

    def step(self, facts: Mapping[str, Any]) -> None:
        self._stage.follow()
        terms = [
            f"{name.removeprefix('reward/')}  {value:+.3f}"
            for name, value in facts["terms"].items()
            if name != "return"
        ]
        mark = "goal achieved" if facts["success"] else "not yet"
        note = f"reward {facts['reward']:+.3f}\n" + "\n".join(terms)
        self._caption(note=note, status=f"step {facts['step']}: {mark}")
        self._show(force=facts["step"] % self._every == 0)

    def close(self) -> None:
        for screen in (self._video, self._viewer):
            if screen is not None:
                screen.close()

    def _caption(self, **lines: str) -> None:
        for screen in (self._video, self._viewer):
            if screen is not None:
                screen.caption(title=self._env.task.name, **lines)

    def _show(self, force: bool) -> None:
        if self._viewer is not None:
            self._viewer.update(self._stage.data)
        if self._video is not None and force:
            self._video.frame()


def _screens(invocation: Any, env: BatchEnv, stage: Any, folder: Path | None) -> _Screens:
    from sim.video import VideoConfig, VideoRecorder
    from sim.viewer import Viewer

    cfg = invocation.cfg
    step_dt = env.task.config.step_dt
    every = max(1, math.ceil(1.0 / (cfg.video.fps * step_dt) - 1e-9))
    video = None
    if folder is not None:
        fps = max(1, round(1.0 / (every * step_dt)))
        video = VideoRecorder(
            folder / "video.mp4", stage.picture, None, VideoConfig(fps=fps, crf=cfg.video.crf)
        )
        video.use_clock(lambda: float(stage.data.time))
    settings = invocation.instantiate(cfg.viewer)
    viewer = Viewer(stage.model, settings) if settings.enabled else None
    if viewer is not None:
        print(f"live view: {viewer.url}")
    return _Screens(env, stage, video, viewer, every)


def bench_sim(invocation: Any) -> int:
    """Measure simulation throughput as ratios in one run; prints a table."""
    from rich.console import Console

    from sim.bench_sim import BenchSimConfig, machine, run_bench, table

    cfg = invocation.cfg
    settings = BenchSimConfig(
        envs=invocation.instantiate(cfg.envs),
        num_envs=invocation.instantiate(cfg.num_envs),
        steps=cfg.steps,
        physics=invocation.instantiate(cfg.sim),
        others=cfg.others,
        memory=cfg.memory,
        camera=invocation.instantiate(cfg.camera),
        camera_parts=invocation.instantiate(cfg.camera_parts),
    )
    console = Console(stderr=True)
    with console.status("measuring") as status:
        rows = run_bench(settings, lambda row: status.update(f"{row['env']} at {row['num_envs']} done"))
    if invocation.json_to != "-":
        Console().print(table(rows))
        facts = machine(settings)
        threads = f"{facts['threads']} threads of {facts['cores']} cores"
        print(f"{facts['device']}, {threads}, MuJoCo {facts['mujoco']}")
        if settings.others and "mjlab" in facts:
            print(f"MuJoCo Warp {facts['mujoco_warp']}, {facts['mjlab']}")
    if invocation.json_to:
        write_json({"rows": rows, "machine": machine(settings)}, invocation.json_to)
    return 0
