"""`reorient`: turn an object in the hand to an orientation and leave it still, palm up or palm down."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import FloatArray
from policies.policy import ArraySpec
from sim.batch.handles import Body, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm
from sim.robots.allegro import PINCH
from sim.robots.compose import palm_pose
from sim.tasks.arm import action_penalty
from sim.tasks.hand import TIP_RADIUS_M, HandTask, HandTaskConfig, TipReach, Vec3, hand_scene, settle
from sim.tasks.views import add_goal_marker, add_view

Palm = Literal["up", "down"]
Shape = Literal["cube", "box", "cylinder", "capsule", "ellipsoid"]

FACES: Final = (
    ((1.0, 0.0, 0.0), (0.85, 0.15, 0.15)),
    ((-1.0, 0.0, 0.0), (0.95, 0.55, 0.10)),
    ((0.0, 1.0, 0.0), (0.15, 0.65, 0.25)),
    ((0.0, -1.0, 0.0), (0.15, 0.35, 0.85)),
    ((0.0, 0.0, 1.0), (0.95, 0.90, 0.20)),
    ((0.0, 0.0, -1.0), (0.93, 0.93, 0.93)),
)
"""Outward normal and colour of each face."""

_PROPORTIONS: Final[dict[str, Vec3]] = {
    "cube": (1.0, 1.0, 1.0),
    "box": (1.2, 1.0, 0.8),
    "cylinder": (1.0, 1.0, 1.1),
    "capsule": (0.85, 0.85, 1.4),
    "ellipsoid": (1.25, 1.0, 0.9),
}
_GEOM: Final = {
    "cube": mujoco.mjtGeom.mjGEOM_BOX,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
_STARTS: Final = 8
_SETTLE_S: Final = 4.0
_MIN_TURN_RAD: Final = 0.6
_SHOWN_AT: Final[dict[str, Vec3]] = {"up": (0.02, 0.16, 0.36), "down": (0.02, 0.17, 0.23)}
_CENTRE: Final[dict[str, Vec3]] = {"up": (0.065, 0.005, 0.105), "down": (0.095, 0.012, 0.105)}
"""Centre of the object at the start, in the hand's root frame [m]."""


@dataclass(frozen=True)
class ReorientConfig(HandTaskConfig):
    """Settings of `reorient`.

    Attributes:
        palm: Where the palm faces.
        shape: The object.
        size_m: Its size: the edge of a cube, or the edge that its proportions refer to [m].
        mass_kg: Its mass [kg].
        tolerance_rad: Largest angle to the goal that counts [rad].
        joint_speed: Largest norm of the hand's joint speeds that counts [rad/s].
        speed_m_s: Largest speed of the object that counts [m/s].
        spin_rad_s: Largest angular speed of the object that counts [rad/s].
        dropped_m: An object farther than this from where it started is lost [m].
    """

    episode_s: float = 10.0
    step_rad: float = 0.12
    palm: Palm = "up"
    shape: Shape = "cube"
    size_m: float = 0.06
    mass_kg: float = 0.08
    tolerance_rad: float = 0.4
    joint_speed: float = 0.25
    speed_m_s: float = 0.04
    spin_rad_s: float = 0.5
    dropped_m: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what the hand can't hold."""
        super().__post_init__()
        if not 0.03 <= self.size_m <= 0.09:
            raise ValueError(f"size_m is {self.size_m} m; the hand turns objects of 0.03 to 0.09 m")


class Reorient(HandTask):
    """Goal: the object's orientation, at rest: (quat_wxyz, joint speed, speed, angular speed).

    Success and its thresholds are those of Chen et al., 2022 (Visual Dexterity, arXiv 2211.11744):
    an angle of at most 0.4 rad, joint speeds of at most 0.25 rad/s, 0.04 m/s, 0.5 rad/s. Difficulty is the
    largest angle of the goal from the start: from 0.6 rad to a half turn, about any axis.
    """

    name: ClassVar[str] = "reorient"
    config_class: ClassVar[type[ReorientConfig]] = ReorientConfig
    config: ReorientConfig

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((7,), ("qw", "qx", "qy", "qz", "joint_speed", "speed", "spin"), "rad/s, m/s")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        c = self.config
        spec = hand_scene(palm_pose((-0.06, 0.0, 0.25), c.palm))
        half = np.array(_PROPORTIONS[c.shape]) * c.size_m / 2
        body = spec.worldbody.add_body(name="object", pos=[0.0, 0.0, 0.4])
        body.add_freejoint(name="object")
        solid = body.add_geom(
            name="object",
            type=_GEOM[c.shape],
            size=_geom_size(c.shape, half),
            mass=c.mass_kg,
            condim=4 if c.shape in ("cube", "box") else 6,
            friction=[0.8, 0.003, 0.0005],
            solref=[0.006, 1.0],
            rgba=[0.25, 0.26, 0.28, 1.0],
        )
        goal = add_goal_marker(spec, size_m=0.0)
        goal.add_geom(
            type=_GEOM[c.shape],
            size=solid.size,
            rgba=[0.25, 0.26, 0.28, 1.0],
            contype=0,
            conaffinity=0,
            mass=0,
        )
        for shown in (body, goal):
            _add_faces(spec, shown, half, is_flat=c.shape in ("cube", "box"))
        side = 1.0 if c.palm == "up" else -1.0
        add_view(
            spec, eye=(0.27, 0.3, 0.42 if c.palm == "up" else 0.1), target=(0.02, 0.05, 0.25 + 0.06 * side)
        )
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.object, self.palm = Body(physics, "object"), Site(physics, "palm")
        device = physics.device
        starts, targets = self._starts(physics.model)
        self._rest = torch.as_tensor(np.array(starts), dtype=torch.float32, device=device)
        self._rest_targets = torch.as_tensor(targets, dtype=torch.float32, device=device)
        self._turns = torch.as_tensor(
            _cube_rotations() if self.config.shape == "cube" else np.eye(1, 4),
            dtype=torch.float32,
            device=device,
        )
        k = physics.model.joint("object").qposadr[0]
        self._pose = slice(k, k + 7)
        self._centre = self._rest[:, k : k + 3].mean(0)
        self._shown = torch.tensor(_SHOWN_AT[self.config.palm], device=device)

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`: the object rests in the hand, for a cube with any face up."""
        row = random.integers("start", len(self._rest))[:, 0]
        state["qpos"][:] = self._rest[row]
        state["ctrl"][:, self.servos.columns] = self._rest_targets
        turn = self._turns[random.integers("face", len(self._turns))[:, 0]]
        pose = state["qpos"][:, self._pose]
        start = quat_mul(pose[:, 3:], turn)
        self.object.set_pose(state, pose[:, :3], start)
        axis = torch.nn.functional.normalize(random.normal("axis", size=3), dim=-1)
        largest = _MIN_TURN_RAD + (math.pi - _MIN_TURN_RAD) * difficulty
        angle = (_MIN_TURN_RAD + random.uniform("angle")[:, 0] * (largest - _MIN_TURN_RAD))[:, None]
        goal = quat_mul(torch.cat((torch.cos(angle / 2), torch.sin(angle / 2) * axis), -1), start)
        state["mocap_pos"][:, 0], state["mocap_quat"][:, 0] = self._shown, goal
        return torch.nn.functional.pad(goal, (0, 3))

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        tips = self.tip_pos - self.object.pos[:, None]
        return self.observe_hand() | {
            "object_pos": self.object.pos - self.palm.pos,
            "object_quat": self.object.quat,
            "object_linvel": self.object.linvel,
            "object_angvel": self.object.angvel,
            "tip_to_object": tips.flatten(1),
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        parts = (self.hand.vel, self.object.linvel, self.object.angvel)
        speeds = [torch.linalg.vector_norm(v, dim=-1, keepdim=True) for v in parts]
        return torch.cat((self.object.quat, *speeds), -1)

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        c = self.config
        excess = (achieved - desired)[..., 4:]
        return (
            (angle_between(achieved[..., :4], desired[..., :4]) <= c.tolerance_rad)
            & (excess[..., 0] <= c.joint_speed)
            & (excess[..., 1] <= c.speed_m_s)
            & (excess[..., 2] <= c.spin_rad_s)
        )

    def failed(self) -> Tensor:
        """See `Task.failed`: dropped."""
        return self.distance > self.config.dropped_m

    @property
    def distance(self) -> Tensor:
        """Distance of the object from where it starts [m], (num_envs,)."""
        return torch.linalg.vector_norm(self.object.pos - self._centre, dim=-1)

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`; `aligned` is the term of Chen et al."""

        def angle(a: Tensor, d: Tensor) -> Tensor:
            return angle_between(a[..., :4], d[..., :4])

        return {
            "angle": GoalTerm(-1.0, angle),
            "aligned": GoalTerm(0.1, lambda a, d: 1.0 / (angle(a, d) + 0.1)),
            "success": GoalTerm(1.0, lambda a, d: self.success(a, d).float()),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "position": ShapingTerm(-10.0, lambda: self.distance),
            "tips": ShapingTerm(-2.0, self._tip_distance),
            "speed": ShapingTerm(-0.02, lambda: torch.linalg.vector_norm(self.object.angvel, dim=-1)),
            "lost": ShapingTerm(-10.0, lambda: self.failed().float()),
            "action": ShapingTerm(-0.02, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        return NOMINAL if preset == "nominal" else replace(RANDOMISED, push_n=0.5, push_body="object")

    def _tip_distance(self) -> Tensor:
        return torch.linalg.vector_norm(self.tip_pos - self.object.pos[:, None], dim=-1).mean(-1)

    def _starts(self, model: mujoco.MjModel) -> tuple[list[FloatArray], FloatArray]:
        """Return positions (nq,) with the object still in the hand, and the targets (16,) for them."""
        posture, targets = self._postures()
        data, rest = mujoco.MjData(model), []
        ctrl = np.zeros(model.nu)
        ctrl[self.servos.ids] = targets
        mujoco.mj_kinematics(model, data)
        root = data.body("palm")
        R_world_root, p_root = root.xmat.reshape(3, 3).copy(), root.xpos.copy()
        up = self.config.palm == "up"
        for k in range(_STARTS if up else 1):
            yaw = (k / (_STARTS - 1) - 0.5) * 0.6 if up else 0.0
            data.qpos[: model.nq] = model.qpos0
            for name, angle in zip(self.hand.names, posture, strict=True):
                data.joint(name).qpos[:] = angle
            turned = np.zeros(4)
            mujoco.mju_mat2Quat(turned, R_world_root.ravel())
            spin = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
            quat = np.zeros(4)
            mujoco.mju_mulQuat(quat, spin, turned)
            p_object = p_root + R_world_root @ np.array(_CENTRE[self.config.palm])
            data.joint("object").qpos[:] = np.concatenate((p_object, quat))
            late = settle(model, data.qpos.copy(), ctrl, _SETTLE_S)
            if np.abs(settle(model, late, ctrl, 1.0) - late).max() < 0.005:  # round ones may roll on and on
                rest.append(late)
        if not rest:
            raise ValueError(
                f"a {self.config.shape} of {self.config.size_m} m does not come to rest in the hand"
            )
        return rest, targets

    def _postures(self) -> tuple[FloatArray, FloatArray]:
        """Return a posture around the object and the targets that hold it [rad], (16,) each."""
        if self.config.palm == "up":
            posture = np.array([0.0, 0.65, 0.75, 0.65] * 3 + [1.15, 0.35, 0.5, 0.7])
            return posture, posture
        x, y, z = _CENTRE["down"]
        half = self.config.size_m * _PROPORTIONS[self.config.shape][2] / 2
        reach = TipReach()

        def around(inset_m: float) -> FloatArray:
            out, spread = half + TIP_RADIUS_M - inset_m, 0.026
            return reach.posture(
                {
                    "index_tip": (x, y + spread, z + out),
                    "middle_tip": (x, y, z + out),
                    "ring_tip": (x, y - spread, z + out),
                    "thumb_tip": (x, y, z - out),
                },
                near=PINCH,
            )

        return around(-0.0005), around(0.015)


def quat_mul(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of quat_wxyz, (..., 4)."""
    a, b = torch.broadcast_tensors(a, b)
    w, v, u, x = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    scalar = w * u - (v * x).sum(-1, keepdim=True)
    return torch.cat((scalar, w * x + u * v + torch.linalg.cross(v, x)), -1)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Return the angle of the rotation between unit quat_wxyz [rad], (..., 4) to (...), in [0, pi]."""
    # 2 atan2(|a - b|, |a + b|) is half the angle, exact near 0 where the arc cosine is not.
    near, far = torch.linalg.vector_norm(a - b, dim=-1), torch.linalg.vector_norm(a + b, dim=-1)
    return 4.0 * torch.atan2(torch.minimum(near, far), torch.maximum(near, far))


def _geom_size(shape: str, half: FloatArray) -> list[float]:
    x, y, z = (float(v) for v in half)
    return {"cylinder": [x, z, 0.0], "capsule": [x, z - x, 0.0]}.get(shape, [x, y, z])


def _add_faces(spec: mujoco.MjSpec, body: mujoco.MjsBody, half: FloatArray, *, is_flat: bool) -> None:
    """Draw a coloured plate on each face, or a coloured knob on each side of a round object."""
    for k, (normal, rgb) in enumerate(FACES):
        n = np.array(normal)
        name = f"face{k}"
        if spec.material(name) is None:
            spec.add_material(name=name, rgba=[*rgb, 1.0], specular=0.2, shininess=0.3)
        size = np.where(n != 0, 0.0004, 0.88 * half) if is_flat else np.full(3, 0.16 * half.min())
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX if is_flat else mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            pos=list(n * half),
            size=list(size),
            material=name,
            contype=0,
            conaffinity=0,
            mass=0.0,
            group=2,
        )


def _cube_rotations() -> FloatArray:
    """Return the 24 rotations of a cube onto itself, quat_wxyz, (24, 4)."""
    quats = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            mat = np.zeros((3, 3))
            mat[range(3), order] = signs
            if np.linalg.det(mat) > 0:
                quat = np.zeros(4)
                mujoco.mju_mat2Quat(quat, mat.ravel())
                quats.append(quat)
    return np.array(quats)
