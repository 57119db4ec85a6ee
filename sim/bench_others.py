"""What others do with the same model: yardsticks of `bench-sim`.

* Gymnasium's `AsyncVectorEnv` and Stable-Baselines3's `SubprocVecEnv` over a plain single environment:
  `mj_step` under the control it is given, joint state as observation, no reward, no randomisation. That
  is less work than a task does, so the ratios are modest.
* mjlab's `Simulation`, its wrapper of MuJoCo Warp: the same model, options, states and controls.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.batch.task import Task
from sim.bench_tasks import bench_task

# It pins MuJoCo 3.11, but its wrapper runs on ours.
_INSTALL_MJLAB: Final = "pip install --no-deps mjlab tyro mediapy imageio-ffmpeg prettytable"
_AT_LEAST_S: Final = 2.0  # time the usual vector environments for at least this long [s]


# ---- Gymnasium and Stable-Baselines3 ------------------------------------------------------------


@dataclass(frozen=True)
class OtherRates:
    """Environment steps per second of the usual vector environments, None where not measured."""

    gym: float | None = None
    sb3: float | None = None


def measure_others(name: str, steps: int, physics: PhysicsConfig) -> OtherRates:
    """Return environment steps per second of the best of two sizes: cores, and four times that.

    They start from states that our environment was reset to and replay the controls that it sent, so
    contacts are alike; when the recording is over they start again, which is not timed.

    Args:
        name: Task.
        steps: Control steps recorded.
        physics: The CPU backend's settings.
    """
    task = bench_task(name)
    cores = physics.num_threads or len(os.sched_getaffinity(0))
    sizes = (cores, 4 * cores)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        ctrl = _record(task, sizes[-1], steps, physics, path)
        makers = [partial(_plain_env, path, k, task.config.decimation) for k in range(sizes[-1])]
        gym = [_gym_rate(makers[:n], ctrl[:, :n]) for n in sizes]
        sb3 = [_sb3_rate(makers[:n], ctrl[:, :n]) for n in sizes]
    return OtherRates(max(filter(None, gym), default=None), max(filter(None, sb3), default=None))


def _record(
    task: Task, num_envs: int, steps: int, physics: PhysicsConfig, folder: Path
) -> NDArray[np.float32]:
    """Save model and start states for `_plain_env`; return our controls, (steps, num_envs, nu)."""
    env = BatchEnv(task, EnvConfig(num_envs=num_envs, physics=physics, auto_reset=False))
    mujoco.mj_saveModel(env.physics.model, str(folder / "model.mjb"))
    start = {k: env.physics.field(k).numpy().copy() for k in ("qpos", "qvel", "mocap_pos", "mocap_quat")}
    np.savez(folder / "start.npz", allow_pickle=False, **start)
    generator = torch.Generator().manual_seed(0)
    ctrl = []
    for _ in range(min(steps, task.config.max_steps - 1)):
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
    while seconds < _AT_LEAST_S:
        reset()
        start = time.perf_counter()
        for action in ctrl:
            step(action)
        seconds += time.perf_counter() - start
        steps += len(ctrl)
    return ctrl.shape[1] * steps / seconds


# ---- mjlab --------------------------------------------------------------------------------------


def import_mjlab() -> tuple[ModuleType | None, str]:
    """Return `mjlab.sim`, or None, and a line that says which version it is or why there is none."""
    try:
        module = importlib.import_module("mjlab.sim")
    except ModuleNotFoundError as error:
        if error.name == "mjlab":
            return None, f"mjlab is not installed: {_INSTALL_MJLAB}"
        return None, f"mjlab needs the package {error.name}: pip install {error.name}"
    except ImportError as error:
        return None, f"mjlab does not go with the packages installed here: {error}"
    return module, f"mjlab {importlib.metadata.version('mjlab')}"


class MjlabSteps:
    """mjlab's `Simulation` beside an environment, stepped as its environments step it.

    Args:
        mjlab: The module `mjlab.sim`.
        env: The environment, on MuJoCo Warp.
    """

    _STATE: Final = ("qpos", "qvel", "act", "mocap_pos", "mocap_quat", "qacc_warmstart")

    def __init__(self, mjlab: ModuleType, env: BatchEnv) -> None:
        """See the class."""
        from sim.batch.warp_support import room

        physics, device = env.physics, str(env.physics.device)
        config = mjlab.SimulationCfg(
            mujoco=_options(mjlab, physics.model),
            **room(physics.model, env.num_envs, env.config.physics),
        )
        self._sim = mjlab.Simulation(env.num_envs, config, copy.copy(physics.model), device)
        self._env, self._substeps = env, env.task.config.decimation

    def prepare(self) -> None:
        """Copy the state; not timed."""
        for name in self._STATE:
            value = self._env.physics.field(name)
            if value.numel():
                getattr(self._sim.data, name)[:] = value

    def step(self) -> None:
        """Step under the controls that the environment was last given; timed."""
        self._sim.data.ctrl[:] = self._env.ctrl
        for _ in range(self._substeps):
            self._sim.step()


def _options(mjlab: ModuleType, model: mujoco.MjModel) -> Any:
    """Return mjlab's spelling of a model's options, all of which it writes over the model's."""
    words = {
        "integrator": (mujoco.mjtIntegrator, "mjINT_"),
        "cone": (mujoco.mjtCone, "mjCONE_"),
        "jacobian": (mujoco.mjtJacobian, "mjJAC_"),
        "solver": (mujoco.mjtSolver, "mjSOL_"),
    }
    numbers = ("timestep", "impratio", "iterations", "tolerance", "ls_iterations", "ls_tolerance")
    values: dict[str, Any] = {n: getattr(model.opt, n) for n in (*numbers, "ccd_iterations")}
    for name, (kind, prefix) in words.items():
        values[name] = kind(int(getattr(model.opt, name))).name.removeprefix(prefix).lower()
    return mjlab.MujocoCfg(gravity=tuple(map(float, model.opt.gravity)), **values)
