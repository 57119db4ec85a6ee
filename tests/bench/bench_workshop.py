"""Measure the workshop's skills by truth: each is called as a planner would, on what it sees.

python tests/bench/bench_workshop.py drawer --n 40 --seed 0 [--json FILE]

Prints per family: success by the world's truth with a 95 % interval, how often claim and truth agreed,
claims that were false, and how long the robot took.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from perception_tools.errors import Negative, ToolError
from perception_tools.registry import load_tools
from perception_tools.results import ToolOutput
from policies.safe_robot import SafeRobot
from policies.safety import SafetyFilter
from policies.safety_config import SafetyConfig
from sim.kinematics import MujocoKinematics
from sim.robots.fr3 import FR3
from sim.workshop import FAMILIES, WorkshopWorld
from vlm_agent.bench.stats import proportion
from vlm_agent.skills.context import SkillContext
from vlm_agent.skills.registry import load_skills

KINEMATICS = MujocoKinematics(FR3)
TOOLS = load_tools(["capture", "detect", "grasp", "free_space"])

SKILLS = load_skills(
    ["open_drawer", "turn", "wipe", "explore", "use_tool", "pour", "pick", "place", "home", "look_at"]
)


class Hands:
    """An episode's robot and eyes; `call` runs a tool or a skill by name and returns its value."""

    def __init__(self, world: WorkshopWorld, seed: int, family: str) -> None:
        self.world, self.episode = world, world.reset(seed, family)
        driver: Any = self.episode.robot
        safety = SafetyFilter(
            driver.limits,
            SafetyConfig(workspace_max_m=(0.72, 0.75, 1.25)),  # as env=workshop has it
            gripper_width_m=driver.gripper_width_m,
            forward=KINEMATICS.forward,
            lowest_point=KINEMATICS.lowest_point,
        )
        self.ctx = SkillContext.create(
            SafeRobot(driver, safety), KINEMATICS, self.episode.cameras, senses=self.episode.senses
        )
        self._all = {**TOOLS, **SKILLS}

    def call(self, name: str, **arguments: Any) -> Any:
        ctx = self.ctx.for_call(name, "1", threading.Event())
        output = self._all[name](ctx, **arguments)
        return output.value if isinstance(output, ToolOutput) else output

    def see(self, query: str, camera: str = "scene") -> list[Any]:
        image = self.call("capture", camera=camera).image
        return self.call("detect", image=image, query=query).objects

    def pick(self, query: str, *, by_wall: bool = False) -> Any:
        """Pick up what words describe."""
        return self.pick_mask(self.see(query)[0].mask, by_wall=by_wall)

    def pick_mask(self, mask: str, *, by_wall: bool = False) -> Any:
        """Pick up what a mask shows, by the first grasp for which there is a way."""
        grasps = self.call("grasp", mask=mask)
        last: ToolError = Negative("no grasp", reason="no_grasp")
        for k, candidate in enumerate(grasps.candidates[:12]):
            if by_wall and candidate.width_m > 0.03:
                continue
            try:
                return self.call("pick", grasp=grasps.grasp, index=k)
            except Negative as error:
                last = error
        raise last


def drawer(hands: Hands) -> Any:
    meta = hands.episode.meta
    handle = hands.see(f"{meta['handle']} handle")[0]
    more = {} if meta["distance_m"] is None else {"distance_m": meta["distance_m"]}
    return hands.call("open_drawer", handle=handle.box, **more)


def turn(hands: Hands) -> Any:
    meta = hands.episode.meta
    lever = hands.see(f"{meta['lever']} lever")[0]
    angle = 0.8 if meta["degrees"] is None else float(np.deg2rad(meta["degrees"]))
    return hands.call("turn", handle=lever.box, angle_rad=meta["side"] * angle)


def wipe(hands: Hands) -> Any:
    hands.pick("yellow box")
    stains = [np.array(o.center_m[:2]) for o in hands.see("stain")]
    low, high = np.min(stains, axis=0) - 0.02, np.max(stains, axis=0) + 0.02
    return hands.call("wipe", region=[low.tolist(), high.tolist()])


def hidden(hands: Hands) -> Any:
    block = f"{hands.episode.meta['color']} block"
    found = hands.call("explore", query=block).found
    hands.pick_mask(found.mask)
    return found


def pour(hands: Hands) -> Any:
    meta = hands.episode.meta
    hands.pick(f"{meta['mug']} mug", by_wall=True)
    return hands.call("pour", into=hands.see(f"{meta['bowl']} bowl")[0].box)


def hook(hands: Hands) -> Any:
    can, tool = hands.see(f"{hands.episode.meta['color']} cylinder")[0], hands.see("orange object")[0]
    return hands.call("use_tool", tool=tool.box, object=can.box, to_m=[0.6, can.center_m[1]])


DOES: dict[str, Callable[[Hands], Any]] = {
    "drawer": drawer,
    "turn": turn,
    "wipe": wipe,
    "hidden": hidden,
    "hook": hook,
    "pour": pour,
}


def run(family: str, seeds: range, *, verbose: bool = True) -> dict[str, Any]:
    """Run a family on some seeds; return its figures."""
    world, rows = WorkshopWorld(), []
    for seed in seeds:
        started = time.perf_counter()
        hands = Hands(world, seed, family)
        started_s = hands.ctx.clock()
        value, error = None, ""
        try:
            value = DOES[family](hands)
        except ToolError as caught:
            error = f"{type(caught).__name__} {caught.reason}: {caught}"
        robot_s = hands.ctx.clock() - started_s
        hands.ctx.robot.sleep(0.5)
        judgement = world.judge()
        row = {
            "seed": seed,
            "true": judgement.success,
            "claimed": value is not None,
            "judge": judgement.reason,
            "error": error,
            "value": None if value is None else value.model_dump(mode="json"),
            "seconds": round(time.perf_counter() - started, 1),
            "robot_s": round(robot_s, 1),
            "limit_violations": judgement.facts.get("limit_violations", {}),
            "peak_external_force_n": judgement.facts.get("peak_external_force_n"),
        }
        rows.append(row)
        if verbose:
            mark = "ok " if row["true"] else "BAD"
            print(mark, seed, row["judge"], "|", error or "claimed", f"{row['seconds']} s", flush=True)
    world.close()
    true, agree = [r["true"] for r in rows], [r["true"] == r["claimed"] for r in rows]
    success, honest = proportion(true), proportion(agree)
    false_done = sum(r["claimed"] and not r["true"] for r in rows)
    return {
        "family": family,
        "n": len(rows),
        "score": success.rate,
        "ci95": list(success.ci95),
        "sensed_is_true": honest.rate,
        "false_done": false_done,
        "limit_violations": sum(bool(r["limit_violations"]) for r in rows),
        "peak_force_n": max((r["peak_external_force_n"] or 0.0) for r in rows),
        "mean_s": float(np.mean([r["seconds"] for r in rows])),
        "mean_robot_s": float(np.mean([r["robot_s"] for r in rows])),
        "rows": rows,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = [run(f, range(arguments.seed, arguments.seed + arguments.n)) for f in arguments.families]
    print("| family | success | 95 % interval | n | sensed = truth | false done | robot time [s] |")
    print("|---|---|---|---|---|---|---|")
    for f in figures:
        low, high = f["ci95"]
        print(
            f"| {f['family']} | {100 * f['score']:.1f} % | {100 * low:.1f} – {100 * high:.1f} | {f['n']} "
            f"| {100 * f['sensed_is_true']:.1f} % | {f['false_done']} | {f['mean_robot_s']:.1f} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
