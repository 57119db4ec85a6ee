"""Labelled clouds of tweezers in a hand and of objects at their tips: what `affordance_hand` is trained on.

They are recorded while the hand works, in blocks of episodes of `tweezer_pick`: half of the blocks are its
solver's, half those of a policy that ships, both with noise on what they do, so that the tips are seen
everywhere they come to, and objects untouched, held, dropped and knocked over. Objects are of the trained
kinds; each block draws new sizes. Block `b` is a function of the settings and `b` alone.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perception_tools.affordance_hand import MIN_POINTS, UNIT_M, level_axes, turned_about_z
from policies.artifact import batch_act, load_policy
from policies.shipped import shipped
from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.batch.rng import mix
from sim.solvers.tweezer_pick import TweezerPickSolver
from sim.tasks.tweezer_pick import TweezerPick, TweezerPickConfig
from sim.tasks.tweezer_sight import TweezerCamera, add_tool_camera, low_points

LABELS: Final = ("tip", "axes", "opening", "object", "quat", "size")
"""What is known of each cloud, as `perception_tools.affordance_hand.OUTPUTS` but for its variance."""
_MAX_POINTS: Final = 512


@dataclass(frozen=True)
class HandScenesConfig:
    """Settings of the recordings.

    Attributes:
        seed: Of everything.
        num_envs: Episodes per block.
        noise: Standard deviation of the noise on most actions.
        random: Share of actions that are random.
        policy: Experiment whose shipped weights act in every other block.
    """

    seed: int = 0
    num_envs: int = 24
    noise: float = 0.25
    random: float = 0.03
    policy: str = "tweezer_pick"

    def __post_init__(self) -> None:
        """Refuse blocks of nothing."""
        if self.num_envs < 1 or self.noise < 0 or not 0 <= self.random <= 1:
            raise ValueError(
                f"num_envs = {self.num_envs}, noise = {self.noise}, random = {self.random}: use at least 1 "
                "environment, no negative noise, and a share from 0 to 1"
            )


@dataclass(frozen=True, eq=False)
class HandBlock:
    """Clouds in the level hand frame.

    Attributes:
        points: Points [m], (N, 512, 3), float32; the first `counts` are there.
        counts: Number of points, (N,).
        height_m: Height of the frame's origin over the table [m], (N,).
        labels: By name of `LABELS`, (N, k) each, float32, lengths in `affordance_hand.UNIT_M`.
    """

    points: NDArray[np.float32]
    counts: NDArray[np.int64]
    height_m: NDArray[np.float32]
    labels: dict[str, NDArray[np.float32]]


class HandScenes:
    """Records blocks.

    Args:
        config: Settings.
    """

    def __init__(self, config: HandScenesConfig | None = None) -> None:
        """See the class."""
        self.config = config or HandScenesConfig()

    def block(self, number: int) -> HandBlock:
        """Record a block.

        Raises:
            RenderingUnavailable: No GL; says which package to install.
        """
        c, seed = self.config, int(mix(torch.tensor([self.config.seed * 100_003 + number]))[0]) & 0x3FFFFFFF
        task = _Watched(
            TweezerPickConfig(
                preset="randomised", reward="sparse", hand="policy", decimation=50, ticks=5, objects_seed=seed
            )
        )
        physics = PhysicsConfig(num_threads=1)
        env = BatchEnv(task, EnvConfig(num_envs=c.num_envs, seed=seed, auto_reset=False, physics=physics))
        camera = TweezerCamera(env.physics)
        try:
            return _record(env, camera, self._actor(env, number), seed)
        finally:
            camera.close()
            env.close()

    def _actor(self, env: BatchEnv, number: int) -> Callable[[dict[str, Tensor]], Tensor]:
        """Return the solver or the policy, with noise."""
        c = self.config
        act = TweezerPickSolver(env).act if number % 2 == 0 else batch_act(load_policy(shipped(c.policy)))
        noise = torch.Generator().manual_seed(number)

        def acting(obs: dict[str, Tensor]) -> Tensor:
            action = act(obs)
            gauss, (u, v) = (
                torch.randn(action.shape, generator=noise),
                torch.rand(2, len(action), 1, generator=noise),
            )
            action = action + c.noise * gauss * (u < 0.7)
            some = 2.0 * torch.rand(action.shape, generator=noise) - 1.0
            return torch.where(v < c.random, some, action).clamp(-1.0, 1.0)

        return acting


class _Watched(TweezerPick):
    """The task with the camera, whose pictures it does not use."""

    def scene(self) -> mujoco.MjSpec:
        spec = super().scene()
        add_tool_camera(spec)
        return spec


def _record(
    env: BatchEnv, camera: TweezerCamera, act: Callable[[dict[str, Tensor]], Tensor], seed: int
) -> HandBlock:
    task: TweezerPick = env.task  # pyright: ignore[reportAssignmentType]
    ids = torch.arange(env.num_envs)
    obs = env.reset(seed)
    camera.calibrate(ids, mix(ids * 31 + seed))
    rows: list[tuple[NDArray[np.float32], float, dict[str, NDArray[np.float32]]]] = []
    for step in range(task.config.max_steps):
        clouds = camera.clouds(ids, mix(ids * 7919 + seed + step * 1_299_709))
        lost = task.failed()
        for env_id, points in enumerate(clouds):
            pos = task.ee.pos[env_id].double().numpy()
            low = low_points(points, pos)
            if len(low) >= MIN_POINTS and not lost[env_id]:
                rng = np.random.default_rng((seed, step, env_id))
                rows.append(_row(task, env_id, low[rng.permutation(len(low))[:_MAX_POINTS]]))
        obs, *_ = env.step(act(obs))
    counts = np.array([len(points) for points, *_ in rows])
    stacked = np.zeros((len(rows), _MAX_POINTS, 3), np.float32)
    for k, (points, *_) in enumerate(rows):
        stacked[k, : len(points)] = points
    labels = {name: np.stack([label[name] for *_, label in rows]) for name in LABELS}
    return HandBlock(stacked, counts, np.array([h for _, h, _ in rows], np.float32), labels)


def _row(
    task: TweezerPick, env: int, low: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float, dict[str, NDArray[np.float32]]]:
    """Return a cloud in the level hand frame, the frame's height and the labels."""
    ee, mat = task.ee.pos[env].double().numpy(), task.ee.mat[env].double().numpy()
    R = level_axes(mat)
    names = ("tip_pos", "tool_mat", "opening", "object_pos", "object_quat", "object_size")
    truth = {name: getattr(task, name)[env].double().numpy() for name in names}
    label = {
        "tip": (truth["tip_pos"] - ee) @ R / UNIT_M,
        "axes": np.concatenate((truth["tool_mat"][:, 1] @ R, truth["tool_mat"][:, 2] @ R)),
        "opening": truth["opening"] / UNIT_M,
        "object": (truth["object_pos"] - ee) @ R / UNIT_M,
        "quat": turned_about_z(truth["object_quat"], -np.arctan2(R[1, 0], R[0, 0])),
        "size": truth["object_size"] / UNIT_M,
    }
    local = ((low - ee) @ R).astype(np.float32)
    return local, float(ee[2]), {k: v.astype(np.float32) for k, v in label.items()}
