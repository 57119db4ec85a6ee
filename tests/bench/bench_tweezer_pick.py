"""tweezer_pick: the hierarchy beside its baselines, on trained and on unseen objects, in one table.

python tests/bench/bench_tweezer_pick.py [--episodes 500] [--seed N] [--only PART_OF_A_ROW] [--json FILE]

Every row is evaluated under the randomised preset (pushes on the tool, latency, masses, friction, servos), on
the same seeds. Unseen objects are both halves of `sim.tasks.small_objects.UNSEEN`, half of the episodes each.
A row whose weights are not there (policies/weights/<name>, or --weights NAME=FOLDER) says so. Where the upper
level sees by its camera, how far its estimates were from the truth follows in a line of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

UPPER = {"hand": "policy", "decimation": 50, "ticks": 5}
SCENES = {"trained": [("trained", 0)], "unseen": [("unseen", 0), ("unseen", 1)]}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: What is evaluated.
        settings: Of the task.
        weights: Experiment whose weights act; "" for the solver.
        whole: Whether upper and lower level act as one stored hierarchy, in onnxruntime.
    """

    name: str
    settings: dict[str, Any]
    weights: str = ""
    whole: bool = False


ROWS = (
    Row("learned upper + learned lower level", UPPER, "tweezer_pick"),
    Row("the same as one artifact (onnxruntime)", {"hand": "joints"}, "tweezer_pick", True),
    Row("scripted upper + learned lower level", UPPER),
    Row("heuristic alone (scripted fingers)", {"hand": "synergy"}),
    Row("learned upper, no prefill (HER only)", UPPER, "tweezer_pick_no_prefill"),
    Row("flat policy (arm and 16 joints)", {"hand": "joints"}, "tweezer_pick_flat"),
    Row("upper level from the camera's cloud", UPPER | {"source": "camera"}, "tweezer_pick"),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1_500_000_000)
    parser.add_argument("--num-envs", type=int, default=50)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--json", default="")
    args = parser.parse_args()
    folders = dict(w.split("=", 1) for w in args.weights)
    figures = []
    print("| policy | " + " | ".join(f"{scene} objects" for scene in SCENES) + " |\n|---|---|---|")
    for row in ROWS:
        if args.only not in row.name:
            continue
        cells = [_cell(row, scene, folders, args, figures) for scene in SCENES]
        print(f"| {row.name} | {' | '.join(cells)} |", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")


def _cell(row: Row, scene: str, folders: dict[str, str], args: Any, figures: list[dict[str, Any]]) -> str:
    from policies.evaluation import wilson
    from policies.shipped import FOLDER

    folder = Path(folders.get(row.weights, FOLDER / row.weights)) if row.weights else None
    if folder is not None and not folder.exists():
        return "not yet trained"
    seen: list[bool] = []
    halves = SCENES[scene]
    for objects, seed in halves:
        episodes = args.episodes // len(halves)
        seen += _run(row, folder, {"objects": objects, "objects_seed": seed}, episodes, args)
    low, high = wilson(sum(seen), len(seen))
    score = sum(seen) / len(seen)
    figures.append({"row": row.name, "scene": scene, "score": score, "n": len(seen), "ci95": [low, high]})
    return f"{100 * score:.1f} % ({100 * low:.1f} - {100 * high:.1f}), n {len(seen)}"


def _run(row: Row, folder: Path | None, scene: dict[str, Any], episodes: int, args: Any) -> list[bool]:
    """Return whether each episode succeeded."""
    from policies.evaluation import EvalConfig, evaluate
    from sim.batch.env import BatchEnv, EnvConfig
    from sim.batch.physics import PhysicsConfig
    from sim.tasks.registry import make_task

    task = make_task("tweezer_pick", preset="randomised", reward="sparse", **row.settings, **scene)
    num_envs = min(args.num_envs, episodes)
    physics = PhysicsConfig(num_threads=args.threads)
    env = BatchEnv(task, EnvConfig(num_envs=num_envs, seed=args.seed, auto_reset=False, physics=physics))
    try:
        with tempfile.TemporaryDirectory() as scratch:
            act, reset = _actor(row, folder, env, Path(scratch))
            errors: list[Any] = []
            acting = _watched(env.task, act, errors) if row.settings.get("source") == "camera" else act
            config = EvalConfig(episodes, num_envs, args.seed)
            found = list(evaluate(env, acting, config, reset).successes)
            _report(errors)
            return found
    finally:
        env.close()


def _watched(task: Any, act: Callable[..., Any], errors: list[Any]) -> Callable[..., Any]:
    """Return `act` that also notes how far each estimate is from the truth [mm], where nothing is lost."""
    import torch

    def acting(obs: Any) -> Any:
        seen, beside = task.estimates, task.object_pos - task.tip_pos
        gap = (seen.object_pos - seen.tip_pos) - beside
        columns = (
            torch.linalg.vector_norm(seen.tip_pos - task.tip_pos, dim=-1),
            (seen.opening - task.opening)[:, 0].abs(),
            torch.linalg.vector_norm(seen.object_pos - task.object_pos, dim=-1),
            torch.linalg.vector_norm(gap[:, :2], dim=-1),
            (seen.object_size - task.object_size)[:, 0].abs(),
        )
        errors.append(1e3 * torch.stack(columns, -1)[~task.failed()])
        return act(obs)

    return acting


def _report(errors: list[Any]) -> None:
    """Print medians and 90 % quantiles of what `_watched` noted."""
    import torch

    if errors:
        found = torch.cat(errors)
        names = ("tips", "opening", "object", "object beside the tips", "width")
        quantiles = (torch.quantile(found, q, dim=0).tolist() for q in (0.5, 0.9))
        parts = [f"{name} {a:.1f} / {b:.1f}" for name, a, b in zip(names, *quantiles, strict=True)]
        print(f"errors, median / 90 % [mm]: {', '.join(parts)}", file=sys.stderr, flush=True)


def _actor(
    row: Row, folder: Path | None, env: Any, scratch: Path
) -> tuple[Callable[..., Any], Callable[[], None]]:
    from policies.artifact import batch_act, load_policy
    from sim.tasks.learned_hand import store_with_upper
    from sim.tasks.registry import make_solver

    if folder is None:
        return make_solver("tweezer_pick", env).act, lambda: None
    policy = store_with_upper(folder, "tweezer_hand", env.spec, scratch) if row.whole else load_policy(folder)
    return batch_act(policy), policy.reset


if __name__ == "__main__":
    main()
