"""Simulation throughput: our environment against the bare simulator and what else there is.

All of a row is measured in one run: ours and the bare batched step of the same model from the same
states under the same controls, with the same threads and bound fields (`mujoco.batch.Batch.step`, or
bare `mujoco_warp` steps), by turns. What others do with the model: `sim.bench_others`; memory is
measured in a process of its own: `sim.bench_memory`.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mujoco
import torch

from sim.batch.cameras import PARTS, Part
from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.batch.settings import check_types
from sim.bench_memory import memory_per_env
from sim.bench_others import MjlabSteps, OtherRates, import_mjlab, measure_others
from sim.bench_tasks import bench_task
from sim.tasks.registry import TASKS

Row = dict[str, Any]
_WARM_UP = 5


@dataclass(frozen=True)
class BenchSimConfig:
    """What is measured.

    Attributes:
        envs: Tasks, None for all; `procedural:7` is the task that seed 7 stands for.
        num_envs: Batch sizes.
        steps: Control steps timed per row.
        physics: The backend.
        others: Also time what others do with the same model: Gymnasium's and Stable-Baselines3's vector
            environments (sim=cpu), mjlab's wrapper of MuJoCo Warp (sim=warp).
        memory: Also measure the memory of an environment, in a fresh process per row.
        camera: Also time camera pictures, (width, height) of each [px]; () for none.
        camera_parts: What of each picture is rendered.
    """

    envs: tuple[str, ...] | None = None
    num_envs: tuple[int, ...] = (1024,)
    steps: int = 50
    physics: PhysicsConfig = field(default_factory=PhysicsConfig)
    others: bool = True
    memory: bool = True
    camera: tuple[int, ...] = ()
    camera_parts: tuple[Part, ...] = PARTS

    def __post_init__(self) -> None:
        """Refuse what can't be measured."""
        check_types(self)
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; time at least 1")
        if not self.num_envs or min(self.num_envs) < 1:
            raise ValueError(f"num_envs is {list(self.num_envs)}; give batch sizes of at least 1")
        if len(self.camera) not in (0, 2):
            raise ValueError(f"camera is {list(self.camera)}; give [width, height] in pixels, or []")
        if not self.camera_parts:
            raise ValueError(f"camera_parts is empty; give some of {', '.join(PARTS)}")


def run_bench(config: BenchSimConfig, on_row: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """Measure every task at every batch size.

    Returns:
        Rows with `env`, `backend`, `num_envs`, `env_steps_per_s`, `ratio_to_raw`, `ratio_to_mjlab`,
        `ratio_to_gym_async`, `ratio_to_sb3_subproc`, `mb_per_env` and `camera_frames_per_s`; None where
        not measured.
    """
    rows = []
    for name in config.envs or sorted(TASKS):
        others = OtherRates()
        if config.others and config.physics.backend == "cpu":
            others = measure_others(name, config.steps, config.physics)
        for num_envs in config.num_envs:
            rows.append(_row(name, num_envs, config, others))
            on_row(rows[-1])
    return rows


def _row(name: str, num_envs: int, config: BenchSimConfig, others: OtherRates) -> Row:
    env = BatchEnv(bench_task(name), EnvConfig(num_envs=num_envs, physics=config.physics))
    actions = torch.rand(config.steps + _WARM_UP, num_envs, env.num_actions, device=env.device) * 2.0 - 1.0
    env.episode_step.copy_(torch.arange(num_envs) % env.task.config.max_steps)  # resets spread evenly
    for action in actions[:_WARM_UP]:
        env.step(action)
    ours_s, beside_s = _by_turns(env, actions[_WARM_UP:], _beside(env, config))
    rate = num_envs * config.steps / sum(ours_s)
    ratios = {k: [b / o for b, o in zip(s, ours_s, strict=True)] for k, s in beside_s.items()}
    row = {
        "env": name,
        "backend": config.physics.backend,
        "num_envs": num_envs,
        "env_steps_per_s": round(rate, 1),
        "ratio_to_raw": round(statistics.median(ratios["raw"]), 3),
        "ratio_to_mjlab": round(statistics.median(ratios["mjlab"]), 3) if "mjlab" in ratios else None,
        "ratio_to_gym_async": _ratio(rate, others.gym),
        "ratio_to_sb3_subproc": _ratio(rate, others.sb3),
        "mb_per_env": None,
        "camera_frames_per_s": _camera_rate(env, config) if config.camera else None,
    }
    env.close()
    if config.memory:
        row["mb_per_env"] = round(memory_per_env(name, num_envs, config.physics), 4)
    return row


def _beside(env: BatchEnv, config: BenchSimConfig) -> dict[str, Any]:
    """Return simulators to step beside an environment: `prepare` copies its state, `step` steps."""
    beside: dict[str, Any] = {"raw": env.physics.bare(lambda: env.ctrl, env.task.config.decimation)}
    mjlab = import_mjlab()[0] if config.others and config.physics.backend == "warp" else None
    if mjlab is not None:
        beside["mjlab"] = MjlabSteps(mjlab, env)
    for simulator in beside.values():  # its kernels are loaded
        simulator.prepare()
        simulator.step()
    return beside


def _by_turns(
    env: BatchEnv, actions: torch.Tensor, beside: dict[str, Any]
) -> tuple[list[float], dict[str, list[float]]]:
    """Return the times of each step [s]: ours, and of each simulator from the same state."""
    ours_s: list[float] = []
    beside_s: dict[str, list[float]] = {name: [] for name in beside}
    for action in actions:
        for simulator in beside.values():
            simulator.prepare()
        ours_s.append(_seconds(lambda a=action: env.step(a), env))
        for name, simulator in beside.items():
            beside_s[name].append(_seconds(simulator.step, env))
    return ours_s, beside_s


def _ratio(rate: float, other: float | None) -> float | None:
    return round(rate / other, 2) if other else None


def _seconds(call: Callable[[], Any], env: BatchEnv) -> float:
    """Return the time of a call [s]; on a GPU from when all before it is done until it is."""
    wait = torch.cuda.synchronize if env.device.startswith("cuda") else lambda: None
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def _camera_rate(env: BatchEnv, config: BenchSimConfig) -> float:
    from sim.batch.cameras import BatchCameras

    width, height = config.camera
    cameras = BatchCameras(env.physics, "view", width, height, parts=config.camera_parts)
    cameras.render()
    repeats = 3
    seconds = sum(_seconds(cameras.render, env) for _ in range(repeats))
    cameras.close()
    return round(repeats * env.num_envs / seconds, 1)


# ---- report ---------------------------------------------------------------------------------------


def machine(config: BenchSimConfig) -> dict[str, Any]:
    """Return what the figures were measured on; for sim=warp also which mjlab, or why none."""
    device = config.physics.device
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _cpu_name()
    cores = len(os.sched_getaffinity(0))
    threads = config.physics.num_threads or cores
    facts: dict[str, Any] = {"device": name, "cores": cores, "threads": threads, "mujoco": mujoco.__version__}
    if config.physics.backend == "warp":
        facts |= {"mujoco_warp": version("mujoco-warp"), "mjlab": import_mjlab()[1]}
    return facts


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


_HEADS = {
    "env": "env",
    "num_envs": "envs",
    "env_steps_per_s": "steps/s",
    "ratio_to_raw": "/raw",
    "ratio_to_mjlab": "/mjlab",
    "ratio_to_gym_async": "/Gym",
    "ratio_to_sb3_subproc": "/SB3",
    "mb_per_env": "MB/env",
    "camera_frames_per_s": "frames/s",
}


def table(rows: list[Row]) -> Any:
    """Return the rows as a rich table of what was measured."""
    from rich.table import Table

    backend = rows[0]["backend"] if rows else ""
    shown = Table(title=f"simulation throughput on {backend}, ratios measured in one run")
    keys = [key for key in _HEADS if any(row[key] is not None for row in rows)]
    for key in keys:
        shown.add_column(_HEADS[key], justify="left" if key == "env" else "right")
    for row in rows:
        shown.add_row(*(_cell(row[key]) for key in keys))
    return shown
