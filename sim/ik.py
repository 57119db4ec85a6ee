"""Inverse kinematics by mink: one differential solve from one seed, run to convergence."""

from __future__ import annotations

from dataclasses import dataclass

import mink
import mujoco
import numpy as np

from perception_tools.geometry import FloatArray

_SOLVER = "daqp"
_DAMPING = 1e-6
_MAX_STEP_RAD = 0.5


@dataclass(frozen=True)
class IkConfig:
    """When a solution counts, and how hard it is looked for.

    Attributes:
        position_tolerance_m: Largest position error [m].
        orientation_tolerance_rad: Largest orientation error [rad].
        limit_margin_rad: Distance kept from the joint limits [rad].
        iterations: Differential steps per seed.
        posture_iterations: The first of them that also pull towards the seed.
        posture_cost: Weight of that pull against 1 for [m] and [rad] at the hand.
        attempts: Seeds tried before a pose counts as unreachable.
        enough: Solutions found before the best is returned.
        comfort_rad: Distance from the joint limits below which a solution is worse [rad].
    """

    position_tolerance_m: float = 1e-4
    orientation_tolerance_rad: float = 1e-3
    limit_margin_rad: float = 0.02
    iterations: int = 60
    posture_iterations: int = 15
    posture_cost: float = 1e-2
    attempts: int = 24
    enough: int = 4
    comfort_rad: float = 0.2


class IkSolver:
    """Solves for one site of one model. Not thread-safe: one per thread.

    Args:
        model: The robot alone; joints that are not `qpos_index` stay where they are.
        site: Name of the end-effector site.
        qpos_index: Addresses of the arm's joints, (num_joints,).
        config: Tolerances.
    """

    def __init__(self, model: mujoco.MjModel, site: str, qpos_index: np.ndarray, config: IkConfig) -> None:
        self._config = config
        self._index = qpos_index
        self._configuration = mink.Configuration(model)
        self._frame = mink.FrameTask(site, "site", position_cost=1.0, orientation_cost=1.0, lm_damping=1e-6)
        self._posture = mink.PostureTask(model, cost=config.posture_cost)
        self._limits = [mink.ConfigurationLimit(model, min_distance_from_limits=config.limit_margin_rad)]

    def solve(
        self, matrix: FloatArray, seed: FloatArray, *, posture: FloatArray | None = None
    ) -> FloatArray | None:
        """Return joint positions [rad], (num_joints,), or None if this seed does not converge.

        Args:
            matrix: ``T_world_ee``, (4, 4).
            seed: Where to start [rad], (num_joints,).
            posture: What to stay close to while the redundancy allows it; the seed if None.
        """
        qpos = self._configuration.data.qpos.copy()
        qpos[self._index] = seed if posture is None else posture
        self._posture.set_target(qpos)
        qpos[self._index] = seed
        self._configuration.update(qpos)
        self._frame.set_target(mink.SE3.from_matrix(matrix))
        for iteration in range(self._config.iterations):
            is_polishing = iteration >= self._config.posture_iterations
            if self._is_there() and (is_polishing or iteration == 0):
                return self._configuration.data.qpos[self._index].copy()
            self._posture.set_cost(0.0 if is_polishing else self._config.posture_cost)
            self._step()
        return None

    def _is_there(self) -> bool:
        error = self._frame.compute_error(self._configuration)
        return bool(
            np.linalg.norm(error[:3]) <= self._config.position_tolerance_m
            and np.linalg.norm(error[3:]) <= self._config.orientation_tolerance_rad
        )

    def _step(self) -> None:
        tasks = [self._frame, self._posture]
        delta = mink.solve_ik(self._configuration, tasks, 1.0, _SOLVER, damping=_DAMPING, limits=self._limits)
        largest = np.abs(delta).max()
        self._configuration.integrate_inplace(delta * min(1.0, _MAX_STEP_RAD / max(largest, 1e-12)), 1.0)
