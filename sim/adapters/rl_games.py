"""Train and play with rl-games, under the names of IsaacGymEnvs: `task num_envs test checkpoint`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rl_games.common import env_configurations, vecenv
from rl_games.torch_runner import Runner

from sim.vec_task import make

ENV_NAME: Final = "habilis"

_SCALARS: Final = [np._core.multiarray.scalar, np.dtype, np.dtypes.Float32DType, np.dtypes.Float64DType]
"""What a NumPy number is made of: rl-games keeps the best mean reward as one."""


@dataclass(frozen=True)
class RlGamesConfig:
    """What to run.

    Attributes:
        task: Name of the task.
        num_envs: Number of environments.
        test: Play `checkpoint` instead of training.
        checkpoint: File that rl-games wrote, "" for none; training goes on from it.
        seed: Seed of environments and learner.
        sim_device: `cpu`, or `cuda:0` for physics on the GPU.
        rl_device: Device of the networks.
        max_epochs: Policy updates.
        horizon_length: Steps per environment and update.
        games: Episodes to play with `test`.
        train_dir: Folder of logs and checkpoints.
        settings: Settings of the task.
        params: What differs from `ppo_params`: entries of its `config`.
    """

    task: str = "reach"
    num_envs: int = 512
    test: bool = False
    checkpoint: str = ""
    seed: int = 42
    sim_device: str = "cpu"
    rl_device: str = "cpu"
    max_epochs: int = 200
    horizon_length: int = 16
    games: int = 100
    train_dir: str = "runs"
    settings: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)


def register() -> None:
    """Make our tasks known to rl-games as environment `habilis`; `env_config` are the arguments of `make`."""
    vecenv.register("HABILIS", lambda config_name, num_actors, **kwargs: make(num_envs=num_actors, **kwargs))
    env_configurations.register(
        ENV_NAME, {"vecenv_type": "HABILIS", "env_creator": lambda **kwargs: make(**kwargs)}
    )


def ppo_params(config: RlGamesConfig) -> dict[str, Any]:
    """Return the `params` of an rl-games configuration: PPO with the usual sizes of IsaacGymEnvs."""
    batch = config.num_envs * config.horizon_length
    network = {
        "name": "actor_critic",
        "separate": False,
        "space": {
            "continuous": {
                "mu_activation": "None",
                "sigma_activation": "None",
                "mu_init": {"name": "default"},
                "sigma_init": {"name": "const_initializer", "val": 0},
                "fixed_sigma": True,
            }
        },
        "mlp": {
            "units": [256, 128, 64],
            "activation": "elu",
            "initializer": {"name": "default"},
            "regularizer": {"name": "None"},
        },
    }
    ppo = {
        "name": config.task,
        "env_name": ENV_NAME,
        "env_config": {"task": config.task, "sim_device": config.sim_device, **config.settings},
        "device": config.rl_device,
        "device_name": config.rl_device,
        "ppo": True,
        "normalize_input": True,
        "normalize_value": True,
        "normalize_advantage": True,
        "value_bootstrap": True,
        "num_actors": config.num_envs,
        "reward_shaper": {"scale_value": 1.0},
        "gamma": 0.99,
        "tau": 0.95,
        "learning_rate": 5e-4,
        "lr_schedule": "adaptive",
        "kl_threshold": 0.016,
        "score_to_win": float("inf"),
        "max_epochs": config.max_epochs,
        "save_best_after": config.max_epochs,
        "save_frequency": 0,
        "grad_norm": 1.0,
        "entropy_coef": 0.0,
        "truncate_grads": True,
        "e_clip": 0.2,
        "clip_value": True,
        "horizon_length": config.horizon_length,
        "minibatch_size": max(batch // 4, 1),
        "mini_epochs": 5,
        "critic_coef": 2.0,
        "bounds_loss_coef": 0.0001,
        "torch_compile": False,
        "train_dir": config.train_dir,
        "player": {"games_num": config.games, "deterministic": True},
    }
    return {
        "seed": config.seed,
        "torch_threads": 1,
        "algo": {"name": "a2c_continuous"},
        "model": {"name": "continuous_a2c_logstd"},
        "network": network,
        "config": ppo | config.params,
    }


def run(config: RlGamesConfig, observer: Any = None) -> None:
    """Train a task with rl-games' PPO, or play a checkpoint.

    Args:
        config: What to run.
        observer: An `rl_games.common.algo_observer.AlgoObserver`, or None for its default.

    Raises:
        ValueError: If `test` is set without a checkpoint, or the checkpoint holds more than tensors.
    """
    if config.test and not config.checkpoint:
        raise ValueError("test=True plays a policy; name its file with checkpoint=...")
    if config.checkpoint:
        check_checkpoint(Path(config.checkpoint))
    register()
    runner = Runner(observer)
    params = ppo_params(config)
    if config.test:
        params["config"]["env_config"]["num_envs"] = config.num_envs
    runner.load({"params": params})
    runner.run({"train": not config.test, "play": config.test, "checkpoint": config.checkpoint or None})


def check_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that holds anything but tensors and plain values.

    rl-games writes torch pickles and loads them without restrictions, which would run code that a
    stranger's file contains. What torch can read with `weights_only=True` contains none.

    Raises:
        ValueError: If there is no such file or it could run code.
    """
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    try:
        with torch.serialization.safe_globals(_SCALARS):
            torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = found.group(1) if found else type(error).__name__
        raise ValueError(f"{path} is not loaded, for it holds more than weights: {reason}") from error
