"""Simulation throughput: our environment against the bare simulator and the usual vector environments.

All of a row is measured in one run:

* raw: the bare batched step of the same model from the same states under the same controls, with the
  same threads and bound fields (`mujoco.batch.Batch.step`, or bare `mujoco_warp` steps);
* Gymnasium's `AsyncVectorEnv` and Stable-Baselines3's `SubprocVecEnv` over a plain single
  environment of the same model: `mj_step` under the control it is given, joint state as observation,
  no reward, no randomisation. That is less work than the task does, so the ratios are modest.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.batch.settings import check_types
from sim.batch.task import Task
from sim.tasks.registry import TASKS, make_task

Row = dict[str, Any]
_WARM_UP = 5
_OTHERS_S = 2.0  # time the usual vector environments for at least this long [s]


@dataclass(frozen=True)
class BenchSimConfig:
    """What is measured.

    Attributes:
        envs: Tasks, None for all.
        num_envs: Batch sizes.
        steps: Control steps timed per row.
        physics: The backend.
        others: Also time Gymnasium's and Stable-Baselines3's vector environments (CPU only).
        camera: Also time camera pictures (colour and depth), (width, height) of each [px]; () for none.
    """

    envs: tuple[str, ...] | None = None
    num_envs: tuple[int, ...] = (1024,)
    steps: int = 50
    physics: PhysicsConfig = field(default_factory=PhysicsConfig)
    others: bool = True
    camera: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what can't be measured."""
        check_types(self)
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; time at least 1")
        if not self.num_envs or min(self.num_envs) < 1:
            raise ValueError(f"num_envs is {list(self.num_envs)}; give batch sizes of at least 1")
        if len(self.camera) not in (0, 2):
            raise ValueError(f"camera is {list(self.camera)}; give [width, height] in pixels, or []")


def run_bench(config: BenchSimConfig, on_row: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """Measure every task at every batch size.

    Returns:
        Rows with `env`, `backend`, `num_envs`, `env_steps_per_s`, `ratio_to_raw`, `ratio_to_gym_async`,
        `ratio_to_sb3_subproc`, `mb_per_env` and `camera_frames_per_s`; None where not measured.
    """
    rows = []
    for name in config.envs or sorted(TASKS):
        others = _OtherRates.none()
        if config.others and config.physics.backend == "cpu":
            others = _measure_others(name, config)
        for num_envs in config.num_envs:
            rows.append(_row(name, num_envs, config, others))
            on_row(rows[-1])
    return rows


def _row(name: str, num_envs: int, config: BenchSimConfig, others: _OtherRates) -> Row:
    before_mb = _used_mb(config.physics.device)
    env = BatchEnv(make_task(name), EnvConfig(num_envs=num_envs, physics=config.physics))
    actions = torch.rand(config.steps + _WARM_UP, num_envs, env.num_actions, device=env.device) * 2.0 - 1.0
    env.episode_step.copy_(torch.arange(num_envs) % env.task.config.max_steps)  # resets spread evenly
    for action in actions[:_WARM_UP]:
        env.step(action)
    used_mb = _used_mb(config.physics.device) - before_mb
    raw = _raw(env)
    ours_s, raw_s = [], []
    for action in actions[_WARM_UP:]:
        raw.prepare()
        ours_s.append(_seconds(lambda a=action: env.step(a), env))
        raw_s.append(_seconds(raw.step, env))
    rate = num_envs * config.steps / sum(ours_s)
    row = {
        "env": name,
        "backend": config.physics.backend,
        "num_envs": num_envs,
        "env_steps_per_s": round(rate, 1),
        "ratio_to_raw": round(statistics.median(r / o for r, o in zip(raw_s, ours_s, strict=True)), 3),
        "ratio_to_gym_async": _ratio(rate, others.gym),
        "ratio_to_sb3_subproc": _ratio(rate, others.sb3),
        "mb_per_env": round(max(used_mb, 0.0) / num_envs, 4),
        "camera_frames_per_s": _camera_rate(env, config.camera) if config.camera else None,
    }
    env.close()
    return row


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


def _raw(env: BatchEnv) -> Any:
    """Return the bare simulator beside an environment: `prepare` copies the state, `step` steps."""
    return env.physics.bare(lambda: env.ctrl, env.task.config.decimation)


def _camera_rate(env: BatchEnv, size: tuple[int, ...]) -> float:
    from sim.batch.cameras import BatchCameras

    cameras = BatchCameras(env.physics, "view", size[0], size[1])
    cameras.render()
    repeats = 3
    seconds = sum(_seconds(cameras.render, env) for _ in range(repeats))
    cameras.close()
    return round(repeats * env.num_envs / seconds, 1)


def _used_mb(device: str) -> float:
    """Return the memory that is used [MiB]: of the GPU, or else resident memory of this process."""
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**20
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# ---- the usual vector environments ----------------------------------------------------------------


@dataclass(frozen=True)
class _OtherRates:
    gym: float | None
    sb3: float | None

    @staticmethod
    def none() -> _OtherRates:
        return _OtherRates(None, None)


def _measure_others(name: str, config: BenchSimConfig) -> _OtherRates:
    """Return environment steps per second of the best of two sizes: cores, and four times that.

    They start from states that our environment was reset to and replay the controls that it sent, so
    contacts are alike; when the recording is over they start again, which is not timed.
    """
    task = make_task(name)
    cores = config.physics.num_threads or len(os.sched_getaffinity(0))
    sizes = (cores, 4 * cores)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        ctrl = _record(task, sizes[-1], config, path)
        makers = [partial(_plain_env, path, k, task.config.decimation) for k in range(sizes[-1])]
        gym = [_gym_rate(makers[:n], ctrl[:, :n]) for n in sizes]
        sb3 = [_sb3_rate(makers[:n], ctrl[:, :n]) for n in sizes]
    return _OtherRates(max(filter(None, gym), default=None), max(filter(None, sb3), default=None))


def _record(task: Task, num_envs: int, config: BenchSimConfig, folder: Path) -> NDArray[np.float32]:
    """Save model and start states for `_plain_env`; return our controls, (steps, num_envs, nu)."""
    env = BatchEnv(task, EnvConfig(num_envs=num_envs, physics=config.physics, auto_reset=False))
    mujoco.mj_saveModel(env.physics.model, str(folder / "model.mjb"))
    start = {k: env.physics.field(k).numpy().copy() for k in ("qpos", "qvel", "mocap_pos", "mocap_quat")}
    np.savez(folder / "start.npz", allow_pickle=False, **start)
    generator = torch.Generator().manual_seed(0)
    ctrl = []
    for _ in range(min(config.steps, task.config.max_steps - 1)):
        env.step(torch.rand(num_envs, env.num_actions, generator=generator) * 2.0 - 1.0)
        ctrl.append(env.ctrl.numpy().copy())
    env.close()
    return np.stack(ctrl)


def _plain_env(folder: Path, k: int, decimation: int) -> Any:
    import gymnasium

    class PlainEnv(gymnasium.Env):
        """The least that a single environment must do: set controls, step, return the joint state."""

        def __init__(self) -> None:
            self._model = mujoco.MjModel.from_binary_path(str(folder / "model.mjb"))
            self._data = mujoco.MjData(self._model)
            with np.load(folder / "start.npz", allow_pickle=False) as stored:
                self._start = {name: stored[name][k] for name in stored.files}
            self.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (self._model.nu,), np.float32)
            size = self._model.nq + self._model.nv
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)

        def _obs(self) -> NDArray[np.float32]:
            return np.concatenate((self._data.qpos, self._data.qvel)).astype(np.float32)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            mujoco.mj_resetData(self._model, self._data)
            for name, value in self._start.items():
                getattr(self._data, name)[:] = value
            return self._obs(), {}

        def step(self, action: Any) -> Any:
            self._data.ctrl[:] = action
            mujoco.mj_step(self._model, self._data, decimation)
            return self._obs(), 0.0, False, False, {}

    return PlainEnv()


def _gym_rate(makers: Sequence[Callable[[], Any]], ctrl: NDArray[np.float32]) -> float | None:
    try:
        from gymnasium.vector import AsyncVectorEnv
    except ImportError:
        return None
    envs = AsyncVectorEnv(list(makers), shared_memory=True)
    try:
        return _rate(envs.reset, envs.step, ctrl)
    finally:
        envs.close()


def _sb3_rate(makers: Sequence[Callable[[], Any]], ctrl: NDArray[np.float32]) -> float | None:
    try:
        from stable_baselines3.common.vec_env import SubprocVecEnv
    except ImportError:
        return None
    envs = SubprocVecEnv(list(makers), start_method="forkserver")
    try:
        return _rate(envs.reset, envs.step, ctrl)
    finally:
        envs.close()


def _rate(reset: Callable[[], Any], step: Callable[[Any], Any], ctrl: NDArray[np.float32]) -> float:
    """Return environment steps per second over at least 2 s, from the reset states each time."""
    reset()
    step(ctrl[0])  # workers are up
    seconds, steps = 0.0, 0
    while seconds < _OTHERS_S:
        reset()
        start = time.perf_counter()
        for action in ctrl:
            step(action)
        seconds += time.perf_counter() - start
        steps += len(ctrl)
    return ctrl.shape[1] * steps / seconds


# ---- report ---------------------------------------------------------------------------------------


def machine(config: BenchSimConfig) -> dict[str, Any]:
    """Return what the figures were measured on."""
    device = config.physics.device
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _cpu_name()
    cores = len(os.sched_getaffinity(0))
    threads = config.physics.num_threads or cores
    return {"device": name, "cores": cores, "threads": threads, "mujoco": mujoco.__version__}


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


def table(rows: list[Row]) -> Any:
    """Return the rows as a rich table."""
    from rich.table import Table

    shown = Table(title="simulation throughput, ratios measured in one run")
    heads = ("env", "on", "envs", "steps/s", "/raw", "/Gym", "/SB3", "MB/env", "frames/s")
    for head in heads:
        shown.add_column(head, justify="left" if head in ("env", "on") else "right")
    for row in rows:
        shown.add_row(*(_cell(value) for value in row.values()))
    return shown
