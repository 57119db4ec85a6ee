"""`StandWorld`: a robot or a hand by itself, without a task, for trying drivers and controllers."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np

from perception_tools.geometry import look_at
from policies.world import Episode, Judgement
from sim.camera import SimCamera, SimCameraConfig
from sim.looks import add_look, sample_look
from sim.rendering import Renderer
from sim.robot import SimRobot, SimRobotConfig
from sim.robots.fr3 import FR3, set_physics_options
from sim.robots.hand import HandModel
from sim.robots.model import RobotModel

FAMILY = "stand"
_STAND_M = 0.2  # height of a hand's wrist
_TABLE_X, _TABLE_Y = (-0.6, 0.8), (-0.7, 0.7)


@dataclass(frozen=True)
class StandConfig:
    """Settings.

    Attributes:
        physics_dt: Simulation step [s].
        eye_m: Where the camera `scene` is, in world [m]; half as far from its target for a hand.
        target_m: Where it looks [m].
        fovy_deg: Its vertical field of view [deg].
        camera: Its images.
        robot: Settings of the robot's driver.
    """

    physics_dt: float = 0.002
    eye_m: tuple[float, float, float] = (1.3, -0.9, 0.9)
    target_m: tuple[float, float, float] = (0.1, 0.0, 0.3)
    fovy_deg: float = 45.0
    camera: SimCameraConfig = field(default_factory=SimCameraConfig)
    robot: SimRobotConfig = field(default_factory=SimRobotConfig)


@dataclass(frozen=True, eq=False)
class StandScene:
    """MuJoCo model, state and lock."""

    model: mujoco.MjModel
    data: mujoco.MjData
    lock: threading.RLock


def as_robot(robot: RobotModel | HandModel) -> RobotModel:
    """Return a hand as a robot of its own, its wrist on a stand; a robot stays as it is."""
    if isinstance(robot, RobotModel):
        return robot

    def make_spec() -> mujoco.MjSpec:
        spec = robot.make_spec()
        spec.body(robot.root_body).pos = [0.0, 0.0, _STAND_M]
        half = _STAND_M / 2
        spec.worldbody.add_geom(
            name="stand",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            size=[0.03, half, 0.0],
            pos=[0.0, 0.0, half],
            rgba=[0.3, 0.3, 0.32, 1.0],
            contype=0,
            conaffinity=0,
        )
        return spec

    return RobotModel(robot.name, make_spec, robot.root_body, robot.limits, robot.home, None)


class StandWorld:
    """A robot on a table with nothing on it; there is nothing to judge.

    Args:
        config: Settings.
        robot: The robot or hand.
    """

    families = (FAMILY,)

    def __init__(self, config: StandConfig | None = None, robot: RobotModel | HandModel = FR3) -> None:
        """See the class."""
        self.config = config or StandConfig()
        self._model, self._distance = as_robot(robot), 1.0 if isinstance(robot, RobotModel) else 0.5
        self._scene: StandScene | None = None
        self._robot: SimRobot | None = None
        self._renderer: Renderer | None = None

    @property
    def scene(self) -> StandScene:
        """The present scene."""
        if self._scene is None:
            raise RuntimeError("call reset() first")
        return self._scene

    def reset(self, seed: int, family: str | None = None) -> Episode:
        """Build the scene; the seed decides only how it looks.

        Raises:
            ValueError: Unknown family, or a negative seed.
        """
        if family not in (None, FAMILY):
            raise ValueError(f"unknown family {family!r}; families: {FAMILY}")
        if seed < 0:
            raise ValueError(f"seed must be >= 0, got {seed}")
        self.close()
        config = self.config
        model = self._spec(seed).compile()
        self._scene = scene = StandScene(model, mujoco.MjData(model), threading.RLock())
        self._robot = SimRobot(model, scene.data, self._model, lock=scene.lock, config=config.robot)
        size = {"width": config.camera.width, "height": config.camera.height}
        self._renderer = Renderer(model, scene.data, scene.lock, **size)
        camera = SimCamera("scene", self._renderer, config.camera, seed=seed)
        return Episode("hold still", FAMILY, seed, "done", self._robot, {"scene": camera})

    def judge(self) -> Judgement:
        """Return the facts of the robot; nothing can succeed here.

        Raises:
            RuntimeError: There was no `reset`.
        """
        if self._robot is None:
            raise RuntimeError("call reset() first")
        return Judgement(False, "there is no task on the stand", self._robot.safety_facts())

    def rows(self, seed: int, n: int) -> Iterator[Mapping[str, Any]]:
        """Generate no questions: there is nothing to ask about."""
        return iter(())

    def close(self) -> None:
        """Release simulator and renderer; idempotent."""
        if self._robot is not None:
            self._robot.close()
        if self._renderer is not None:
            self._renderer.close()
        self._scene = self._robot = self._renderer = None

    def _spec(self, seed: int) -> mujoco.MjSpec:
        config, spec = self.config, self._model.make_spec()
        spec.modelname = "stand"
        set_physics_options(spec, config.physics_dt)
        spec.stat.extent = 1.0
        spec.visual.global_.offwidth = max(640, config.camera.width)
        spec.visual.global_.offheight = max(480, config.camera.height)
        spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0
        add_look(spec, sample_look(np.random.default_rng(seed), ()), _TABLE_X, _TABLE_Y)
        target = np.array(config.target_m)
        eye = target + self._distance * (np.array(config.eye_m) - target)
        T_world_camera = look_at(list(eye), list(target), parent="world", child="camera")
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, (T_world_camera.rotation @ np.diag([1.0, -1.0, -1.0])).ravel())
        spec.worldbody.add_camera(name="scene", pos=list(eye), quat=list(quat), fovy=config.fovy_deg)
        return spec
