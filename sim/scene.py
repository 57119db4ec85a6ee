"""The tabletop scene: table, floor, lights, arm, objects and the scene camera, drawn from a seed.

World frame: the arm's base frame, z up, x forward, y to the robot's left; the table top is z = 0.
The layout (what stands where, how it looks) is drawn first and is plain data; `TabletopScene` builds
the MuJoCo model from it.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.looks import SceneLook, add_look, sample_look
from sim.object_bodies import add_object
from sim.objects import ObjectSpec
from sim.robots.fr3 import set_physics_options
from sim.robots.model import RobotModel

TABLE_X = (-0.25, 1.05)
TABLE_Y = (-0.65, 0.65)


class PlacementError(RuntimeError):
    """The objects do not fit on the table with the gap asked for."""


@dataclass(frozen=True)
class SceneConfig:
    """How scenes are drawn.

    Attributes:
        region_x: Range of object centres along world x [m].
        region_y: Range of object centres along world y [m].
        gap_m: Smallest gap between objects [m].
        physics_dt: Simulation step [s].
        camera_jitter_m: Standard deviation of the scene camera's position [m] per axis.
        max_image_px: Largest image (width, height) that can be rendered [px].
    """

    region_x: tuple[float, float] = (0.35, 0.68)
    region_y: tuple[float, float] = (-0.28, 0.28)
    gap_m: float = 0.03
    physics_dt: float = 0.002
    camera_jitter_m: float = 0.012
    max_image_px: tuple[int, int] = (1280, 960)


@dataclass(frozen=True)
class PlacedObject:
    """An object and where it stands: body origin in world [m] and yaw [rad]."""

    spec: ObjectSpec
    position_m: tuple[float, float, float]
    yaw_rad: float

    def outline(self) -> FloatArray:
        """Return its footprint's outline in world [m], (N, 2)."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return self.spec.outline() @ np.array([[c, s], [-s, c]]) + np.array(self.position_m[:2])


@dataclass(frozen=True)
class SceneLayout:
    """All that is drawn at random in a scene."""

    objects: tuple[PlacedObject, ...]
    look: SceneLook
    camera_eye_m: tuple[float, float, float] = (1.35, 0.0, 0.85)
    camera_target_m: tuple[float, float, float] = (0.5, 0.0, 0.05)
    camera_fovy_deg: float = 42.0


def gap_between(a: PlacedObject, b: PlacedObject) -> float:
    """Return the distance between two footprints [m]; negative where one's centre lies in the other."""
    pa, pb = a.outline(), b.outline()
    distance = float(np.sqrt(((pa[:, None] - pb[None]) ** 2).sum(-1)).min())
    reach = max(np.linalg.norm(o.spec.size_m[:2]) / 2 for o in (a, b))
    between = np.linalg.norm(np.subtract(a.position_m[:2], b.position_m[:2]))
    return -1.0 if between < reach * 0.5 else distance


def place(
    rng: np.random.Generator,
    specs: Sequence[ObjectSpec],
    config: SceneConfig,
    *,
    fixed: Sequence[PlacedObject] = (),
    attempts: int = 400,
) -> tuple[PlacedObject, ...]:
    """Stand objects at random on the table, apart from each other.

    Args:
        rng: Source of randomness.
        specs: Objects to place; wide ones are placed first, the order of the result is theirs.
        config: Region and gap.
        fixed: Objects that already stand.
        attempts: Draws per object before everything is started over (8 times).

    Raises:
        PlacementError: They do not fit.
    """
    order = sorted(range(len(specs)), key=lambda k: -max(specs[k].size_m[:2]))
    for _ in range(8):
        placed: dict[int, PlacedObject] = {}
        for k in order:
            for _ in range(attempts):
                candidate = _random_place(rng, specs[k], config)
                others = [*fixed, *placed.values()]
                if all(_apart(candidate, other, config.gap_m) for other in others):
                    placed[k] = candidate
                    break
            else:
                break
        if len(placed) == len(specs):
            return tuple(placed[k] for k in range(len(specs)))
    raise PlacementError(f"{len(specs)} objects do not fit with gaps of {config.gap_m} m")


def _random_place(rng: np.random.Generator, spec: ObjectSpec, config: SceneConfig) -> PlacedObject:
    x, y = rng.uniform(*config.region_x), rng.uniform(*config.region_y)
    return PlacedObject(
        spec, (float(x), float(y), spec.size_m[2] / 2 + 0.0005), float(rng.uniform(-np.pi, np.pi))
    )


def _apart(a: PlacedObject, b: PlacedObject, gap_m: float) -> bool:
    between = float(np.linalg.norm(np.subtract(a.position_m[:2], b.position_m[:2])))
    reach = sum(np.linalg.norm(o.spec.size_m[:2]) / 2 for o in (a, b)) + gap_m
    return bool(between > reach + 0.03) or gap_between(a, b) >= gap_m


def sample_layout(
    rng: np.random.Generator, objects: Sequence[PlacedObject], config: SceneConfig
) -> SceneLayout:
    """Draw the look and the camera around given objects."""
    eye = np.array([1.35, 0.0, 0.85]) + config.camera_jitter_m * rng.standard_normal(3)
    target = np.array([0.5, 0.0, 0.05]) + 0.5 * config.camera_jitter_m * rng.standard_normal(3)
    return SceneLayout(
        objects=tuple(objects),
        look=sample_look(rng, [o.spec.rgb for o in objects]),
        camera_eye_m=(float(eye[0]), float(eye[1]), float(eye[2])),
        camera_target_m=(float(target[0]), float(target[1]), float(target[2])),
    )


def viewer_axes(layout: SceneLayout) -> tuple[FloatArray, FloatArray]:
    """Return the horizontal unit vectors to the right of and away from the scene camera, (2,) each."""
    away = np.subtract(layout.camera_target_m, layout.camera_eye_m)[:2]
    away = away / np.linalg.norm(away)
    return np.array([away[1], -away[0]]), away


# ---- the model ----------------------------------------------------------------------------------


class TabletopScene:
    """MuJoCo model, state and lock of a layout.

    Attributes:
        layout: What it was built from.
        model: Compiled model.
        data: Live state, at rest only after `settle`.
        lock: Reentrant lock of the physics; whoever steps or reads `data` holds it.
    """

    def __init__(
        self, layout: SceneLayout, config: SceneConfig | None = None, robot: RobotModel | None = None
    ) -> None:
        """Build the model.

        Args:
            layout: What stands where and how it looks.
            config: Physics and image settings.
            robot: Robot whose base is put at the origin, in its rest posture; None for no robot.
        """
        self.layout = layout
        self.config = config or SceneConfig()
        self.model = build_spec(layout, self.config, robot.make_spec() if robot else None).compile()
        self.data = mujoco.MjData(self.model)
        self.lock = threading.RLock()
        if robot is not None:
            self._hold_still(robot)
        mujoco.mj_forward(self.model, self.data)

    @property
    def viewer_axes(self) -> tuple[FloatArray, FloatArray]:
        """Horizontal unit vectors of the scene camera in world: to its right, and away from it; (2,) each."""
        return viewer_axes(self.layout)

    @property
    def objects(self) -> tuple[ObjectSpec, ...]:
        """Specs of the objects."""
        return tuple(o.spec for o in self.layout.objects)

    def object_pose(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return true position [m], (3,), and `quat_wxyz`, (4,), of an object in world.

        Raises:
            ValueError: Unknown name; lists the valid ones.
        """
        qpos, _ = self._addresses(name)
        with self.lock:
            pose = self.data.qpos[qpos : qpos + 7].copy()
        return pose[:3], pose[3:]

    def set_object_pose(self, name: str, position_m: FloatArray, quat_wxyz: FloatArray | None = None) -> None:
        """Teleport an object, at rest; for building scenes and for testing judges only."""
        qpos, dof = self._addresses(name)
        with self.lock:
            self.data.qpos[qpos : qpos + 3] = position_m
            if quat_wxyz is not None:
                self.data.qpos[qpos + 3 : qpos + 7] = quat_wxyz
            self.data.qvel[dof : dof + 6] = 0
            mujoco.mj_forward(self.model, self.data)

    def object_speed(self, name: str) -> float:
        """Return the larger of linear [m/s] and 0.03 x angular [rad/s] speed of an object."""
        _, dof = self._addresses(name)
        with self.lock:
            v = self.data.qvel[dof : dof + 6]
            return float(max(np.linalg.norm(v[:3]), 0.03 * np.linalg.norm(v[3:])))

    def settle(self, max_s: float = 1.5, still_m_s: float = 0.004) -> bool:
        """Step physics until every object is still; return whether they came to rest."""
        steps = int(0.05 / self.model.opt.timestep)
        for _ in range(int(max_s / 0.05)):
            with self.lock:
                mujoco.mj_step(self.model, self.data, steps)
            if all(self.object_speed(o.name) < still_m_s for o in self.objects):
                return True
        return False

    def _hold_still(self, robot: RobotModel) -> None:
        posture = dict(zip(robot.limits.joint_names, robot.home, strict=True))
        if robot.gripper:
            posture |= dict.fromkeys(robot.gripper.joint_names, robot.gripper.width_m[1] / 2)
        for joint, value in posture.items():
            self.data.qpos[self.model.joint(joint).qposadr[0]] = value
        mujoco.mj_forward(self.model, self.data)
        self.data.ctrl[:] = self.data.actuator_length  # position servos hold where they are

    def _addresses(self, name: str) -> tuple[int, int]:
        names = [o.name for o in self.objects]
        if name not in names:
            raise ValueError(f"no object {name!r}; objects: {', '.join(names)}")
        joint = self.model.joint(f"{name}_free")
        return int(joint.qposadr[0]), int(joint.dofadr[0])


def build_spec(layout: SceneLayout, config: SceneConfig, arm: mujoco.MjSpec | None = None) -> mujoco.MjSpec:
    """Compose the model of a layout around a fresh `arm` (which is consumed)."""
    spec = arm or mujoco.MjSpec()
    spec.modelname = "tabletop"
    set_physics_options(spec, config.physics_dt)
    spec.stat.extent = 1.0
    spec.stat.center = [0.5, 0.0, 0.2]
    spec.visual.global_.offwidth, spec.visual.global_.offheight = config.max_image_px
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0
    add_look(spec, layout.look, TABLE_X, TABLE_Y)
    _add_camera(spec, layout)
    for placed in layout.objects:
        add_object(spec, placed.spec, np.array(placed.position_m), placed.yaw_rad)
    return spec


def _add_camera(spec: mujoco.MjSpec, layout: SceneLayout) -> None:
    eye, target = np.array(layout.camera_eye_m), np.array(layout.camera_target_m)
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, up, back], axis=1).ravel())
    spec.worldbody.add_camera(name="scene", pos=list(eye), quat=list(quat), fovy=layout.camera_fovy_deg)
