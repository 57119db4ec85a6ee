"""The scene of `sim/tweezers.py`: small things on a table, under tweezers in the hand of an arm.

The physics is that of the task `tweezer_pick`: the same hand, tweezers, table and grasp, held by friction
alone. World frame: the arm's base, z up, x forward, y to the robot's left; the table top is z = 0.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.batch.cpu import CpuPhysics
from sim.batch.physics import PhysicsConfig
from sim.looks import SceneLook, add_look
from sim.robots.allegro import ALLEGRO
from sim.robots.compose import ArmHandModel, arm_with_hand, fr3_arm
from sim.robots.fr3 import set_physics_options
from sim.robots.model import RobotModel
from sim.solids.solid import SolidConfig, add_solid
from sim.tasks.learned_hand import OPENING_M
from sim.tasks.small_objects import lying
from sim.tasks.tweezer_pick import TWEEZERS, TweezerPick, TweezerPickConfig, flange_to_hand
from sim.tasks.views import add_view
from sim.tools.base import ToolHandle
from sim.tools.tweezers import add_tweezers

TOOL: Final = "tweezers"
SCENE_CAMERA: Final = "scene"
_TABLE_X, _TABLE_Y = (-0.25, 1.05), (-0.65, 0.65)


@dataclass(frozen=True)
class PlacedSolid:
    """A small thing and where it lies: its name, shape and colour, centre (x, y) [m], yaw [rad]."""

    name: str
    color: str
    solid: SolidConfig
    xy_m: tuple[float, float]
    yaw_rad: float

    @property
    def height_m(self) -> float:
        """Height of its centre as it lies [m]."""
        return lying(self.solid)[0]

    def pose(self) -> FloatArray:
        """Return where it lies: position in world [m] and quat_wxyz, (7,)."""
        half = self.yaw_rad / 2
        quat = np.zeros(4)
        mujoco.mju_mulQuat(quat, np.array([np.cos(half), 0, 0, np.sin(half)]), np.array(lying(self.solid)[1]))
        return np.array([*self.xy_m, self.height_m + 0.0002, *quat])


@dataclass(frozen=True)
class Grip:
    """How the hand holds the tool when an episode begins.

    Attributes:
        qpos: Positions by joint name, of arm, hand and tool.
        targets: What the servos hold then, by joint name [rad].
        open_pos: Targets of the hand's servos with the tool open [rad], (16,).
        closed_pos: And closed.
    """

    qpos: dict[str, FloatArray]
    targets: dict[str, float]
    open_pos: FloatArray
    closed_pos: FloatArray


class _Start(TweezerPick):
    """The task, asked for the state that its episodes begin in."""

    def grip(self) -> Grip:
        """Return it; two seconds of physics, so that everything is at rest."""
        physics = CpuPhysics(self.scene().compile(), 1, PhysicsConfig(num_threads=1))
        self.bind(physics)
        model, rest = physics.model, self._rest.numpy().astype(np.float64)
        data = mujoco.MjData(model)
        data.qpos[:] = rest
        names = [n for n in map(lambda j: model.joint(j).name, range(model.njnt)) if "object" not in n]
        controls = zip(physics.model.actuator_trnid[:, 0], self._start_ctrl.numpy(), strict=True)
        return Grip(
            qpos={n: data.joint(n).qpos.copy() for n in names},
            targets={model.joint(j).name: float(c) for j, c in controls},
            open_pos=self._ends[0].numpy().astype(np.float64),
            closed_pos=self._ends[1].numpy().astype(np.float64),
        )


@lru_cache(maxsize=1)
def starting_grip() -> Grip:
    """Return how the hand holds the tweezers at the start of the task's episodes."""
    return _Start(TweezerPickConfig()).grip()


def require_mount(robot: RobotModel | None) -> ArmHandModel:
    """Return a robot if it is the task's: its tweezers point along the flange; the task's own if None.

    Raises:
        ValueError: It is another one; says which to use.
    """
    own = arm_with_hand(fr3_arm(), ALLEGRO, flange_to_hand())
    if robot is None:
        return own
    if isinstance(robot, ArmHandModel) and robot.limits.joint_names == own.limits.joint_names:
        ours, theirs = (r.make_spec().compile() for r in (own, robot))
        if np.allclose(ours.body_pos, theirs.body_pos, atol=1e-6):
            return robot
    raise ValueError(
        f"env=tweezers is for robot=fr3_allegro, not {robot.name!r}: its hand holds the tweezers"
    )


class TweezersScene:
    """MuJoCo model, state and lock.

    Args:
        robot: The arm with its hand.
        things: What lies on the table.
        look: Colours and light.
        eye_m: Where the scene camera is [m].
        target_m: What it looks at [m].
        physics_dt: Simulation step [s].
        max_image_px: Largest image (width, height) that can be rendered [px].

    Attributes:
        model: Compiled model.
        data: Live state; the hand holds the tweezers, everything is at rest.
        lock: Reentrant lock of the physics; whoever steps or reads `data` holds it.
        tool: Names and opening of the tweezers.
        tool_length_m: From their heel to their tips [m].
        opening_range_m: Openings that the hand can hold them at [m].
        grip: How the hand holds them when the episode begins.
    """

    def __init__(
        self,
        robot: ArmHandModel,
        things: Sequence[PlacedSolid],
        look: SceneLook,
        *,
        eye_m: tuple[float, float, float] = (0.77, -0.11, 0.33),
        target_m: tuple[float, float, float] = (0.43, 0.0, 0.055),
        physics_dt: float = 0.002,
        max_image_px: tuple[int, int] = (1280, 960),
    ) -> None:
        """See the class."""
        self.things, self.look = tuple(things), look
        self.tool_length_m, self.opening_range_m = TWEEZERS.length_m, OPENING_M
        spec = robot.make_spec()
        set_physics_options(spec, physics_dt)
        spec.memory = 8 << 20
        spec.stat.extent, spec.stat.center = 1.0, [0.5, 0.0, 0.2]
        spec.visual.global_.offwidth, spec.visual.global_.offheight = max_image_px
        spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0
        _add_table(spec, look)
        self.tool: ToolHandle = add_tweezers(spec, TOOL, TWEEZERS)
        for thing in self.things:
            add_solid(spec, thing.name, thing.solid, (0.0, 0.0, 0.05))
        add_view(spec, eye_m, target_m, SCENE_CAMERA)
        spec.camera(SCENE_CAMERA).fovy = 35.0
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.lock = threading.RLock()
        self.grip = starting_grip()
        self._begin()

    def pose(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return true position [m] and quat_wxyz of a thing in world, (3,) and (4,)."""
        with self.lock:
            qpos = self.data.joint(f"{name}_free").qpos.copy()
        return qpos[:3], qpos[3:]

    def set_pose(self, name: str, position_m: FloatArray) -> None:
        """Teleport a thing, at rest; for testing judges only."""
        with self.lock:
            joint = self.data.joint(f"{name}_free")
            joint.qpos[:3], joint.qvel[:] = position_m, 0.0
            mujoco.mj_forward(self.model, self.data)

    def _begin(self) -> None:
        for name, value in self.grip.qpos.items():
            self.data.joint(name).qpos[:] = value
        for name, value in self.grip.targets.items():
            self.data.actuator(name).ctrl[:] = value
        for thing in self.things:
            self.data.joint(f"{thing.name}_free").qpos[:] = thing.pose()
        mujoco.mj_forward(self.model, self.data)


def _add_table(spec: mujoco.MjSpec, look: SceneLook) -> None:
    """Add what the task's things lie on, a plane, whose contacts are exact, under the table that is drawn."""
    add_look(spec, look, _TABLE_X, _TABLE_Y)
    drawn = spec.geom("table")
    drawn.name, drawn.contype, drawn.conaffinity = "table_top", 0, 0
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0.65, 0.65, 0.01],
        pos=[0.4, 0.0, 0.0],
        rgba=[0.66, 0.58, 0.48, 0.0],
        friction=[0.8, 0.005, 0.0001],
    )
