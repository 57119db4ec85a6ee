"""How often each task's solver achieves its goal, under the sparse criterion at the end of an episode.

python tests/bench/bench_solvers.py [--episodes 128] [--first-seed 1000] [TASK ...]

`reorient` plans by sampling and takes minutes; it gets 24 episodes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PRESETS = ("nominal", "randomised")
MPC_EPISODES = 24


def main() -> None:
    from sim.batch.env import BatchEnv, EnvConfig
    from sim.batch.solver import measure
    from sim.tasks.registry import TASKS, make_solver, make_task

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=[], help="all if none is named")
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--first-seed", type=int, default=1000)
    args = parser.parse_args()
    print("| task | " + " | ".join(PRESETS) + " | s |\n|---|---|---|---|")
    for name in args.tasks or TASKS:
        start, cells = time.perf_counter(), []
        for preset in PRESETS:
            episodes = MPC_EPISODES if name == "reorient" else args.episodes
            env = BatchEnv(make_task(name, preset=preset), EnvConfig(num_envs=episodes, seed=args.first_seed))
            result = measure(env, make_solver(name, env))
            cells.append(f"{result.rate:.3f} ({result.successes}/{result.episodes})")
            env.close()
        print(f"| `{name}` | {' | '.join(cells)} | {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
