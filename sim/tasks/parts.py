"""Objects on the arm's table: what tasks add to the scene, and where it lies at a reset."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import mujoco
import torch
from torch import Tensor

from sim.batch.handles import Body
from sim.batch.rng import EnvRandom
from sim.batch.task import Task, TaskConfig
from sim.robots.fr3 import ARM_JOINTS, HOME
from sim.tasks.arm import WORK_X, WORK_Y, arm_scene
from sim.tasks.views import add_view

Vec3 = tuple[float, float, float]

HAND_LIMITS_M: Final = ((0.2, -0.45, 0.0105), (0.8, 0.45, 0.65))
"""Box of the grasp centre over the table [m]; at its floor the fingertips are 1 mm above the table."""

READY: Final = (0.0, -0.08714, 0.0, -2.54178, 0.0, 2.45464, 0.7854)
"""Joint positions [rad] with the hand pointing down, the grasp centre at (0.45, 0, 0.2) m."""

READY_HIGH: Final = (0.0, -0.32534, 0.0, -2.55086, 0.0, 2.22552, 0.7854)
"""The same with the grasp centre at (0.42, 0, 0.28) m."""

SERVO_FILTER_S: Final = 0.03
"""Time constant of the servos' targets [s]."""

JOINT_NOISE: Final = {"joint_pos": 0.002, "joint_vel": 0.01}
"""Noise of the arm's joints [rad], [rad/s]."""

GRIPPER_NOISE: Final = {"opening": 0.0002}
"""Noise of the fingers' distance [m]."""

OFF_TABLE_M: Final = -0.1
"""An object whose centre is below this has fallen off the table, whose top is z = 0 [m]."""


@dataclass(frozen=True)
class ContactTaskConfig(TaskConfig):
    """Settings of tasks that grasp and push: 25 Hz control.

    With `contact_scene`, at this time step a 4 cm cube carried at 0.5 m/s creeps at most 2.2 mm in its
    grasp by friction, and the fingers press 0.5 mm into it; at 5 ms it is 3.4 mm, at 8 ms 9 mm.
    """

    physics_dt: float = 0.004
    decimation: int = 10


def contact_scene(eye: Vec3 = (1.15, -0.7, 0.6), target: Vec3 = (0.47, -0.02, 0.1)) -> mujoco.MjSpec:
    """Return the arm's scene with a filter before each of the arm's servos, as its controller has one.

    Contact forces are computed before the servos' damping acts (MuJoCo's implicit integrators), so a
    target that jumps once per control step throws what is held by friction: without the filter the
    cube creeps 5 mm, whatever the friction. `eye` and `target` [m] are of the camera `view`.
    """
    spec = arm_scene()
    for name in ARM_JOINTS:
        servo = spec.actuator(name)
        servo.dyntype = mujoco.mjtDyn.mjDYN_FILTEREXACT
        servo.dynprm[0] = SERVO_FILTER_S
    spec.delete(spec.camera("view"))
    add_view(spec, eye, target)
    spec.camera("view").fovy = 40.0
    return spec


def add_free(
    spec: mujoco.MjSpec, name: str, kind: mujoco.mjtGeom, size: Vec3, rgb: Vec3, mass_kg: float
) -> mujoco.MjsBody:
    """Add a free body of one geom, both named `name`; `size` are MuJoCo's half sizes [m]."""
    body = spec.worldbody.add_body(name=name, pos=[0.5, 0.0, 0.1])
    body.add_freejoint(name=name)
    spec.add_material(name=name, rgba=[*rgb, 1.0], specular=0.25, shininess=0.3)
    body.add_geom(
        name=name, type=kind, size=list(size), mass=mass_kg, material=name, friction=[0.8, 0.005, 0.0001]
    )
    return body


def observe_body(task: Task, name: str, body: Body) -> dict[str, Tensor]:
    """Return what is sensed of a free body: pose and velocities, named after it."""
    return {
        f"{name}_pos": task.sense(f"{name}_pos", body.pos),
        f"{name}_quat": task.sense_quat(f"{name}_quat", body.quat),
        f"{name}_linvel": task.sense(f"{name}_linvel", body.linvel),
        f"{name}_angvel": task.sense(f"{name}_angvel", body.angvel),
    }


def body_noise(*names: str) -> dict[str, float]:
    """Return the noise of free bodies seen by a camera: 2 mm, 0.02 rad, 2 cm/s, 0.1 rad/s."""
    of_one = {"pos": 0.002, "quat": 0.02, "linvel": 0.02, "angvel": 0.1}
    return {f"{name}_{what}": std for name in names for what, std in of_one.items()}


def pose_noise(*names: str) -> dict[str, float]:
    """Return the noise of poses seen by a camera and observed as axes: 2 mm, 0.02 rad."""
    return {f"{name}_{what}": std for name in names for what, std in (("pos", 0.002), ("axes", 0.02))}


def ready_offset(random: EnvRandom, posture: Sequence[float] = READY, spread_rad: float = 0.03) -> Tensor:
    """Draw offsets from the home posture to those around another one [rad], (n, 7)."""
    base = torch.tensor(posture) - torch.as_tensor(HOME, dtype=torch.float32)
    return base.to(random.device) + random.uniform("arm", -spread_rad, spread_rad, 7)


def on_table(random: EnvRandom, stream: str, share: Tensor, height_m: float) -> Tensor:
    """Draw points in the middle `share` (n,) of the work area, (n, 3), at a height [m]."""
    low = torch.tensor((WORK_X[0], WORK_Y[0]), device=random.device)
    high = torch.tensor((WORK_X[1], WORK_Y[1]), device=random.device)
    middle, half = (low + high) / 2, (high - low) / 2
    xy = middle + random.uniform(stream, -half, half, 2) * share[:, None]
    return torch.nn.functional.pad(xy, (0, 1), value=height_m)


def displaced(random: EnvRandom, stream: str, start: Tensor, nearest_m: float, farthest_m: Tensor) -> Tensor:
    """Draw points in the work area at a distance from `start` (n, 3), at its height.

    Args:
        random: Draws.
        stream: Name of the draws; two are made.
        start: Points in the work area [m].
        nearest_m: Smallest distance [m]; smaller than half the work area.
        farthest_m: Largest distance [m], (n,); a displacement that would leave the area goes towards its
            middle instead, and is cut at the far border.
    """
    u = random.uniform(stream, size=2)
    distance, angle = nearest_m + u[:, 0] * (farthest_m - nearest_m), 2.0 * math.pi * u[:, 1]
    axes = []
    steps = (distance * torch.cos(angle), distance * torch.sin(angle))
    for k, (step, (low, high)) in enumerate(zip(steps, (WORK_X, WORK_Y), strict=True)):
        at = start[:, k] + step
        inward = start[:, k] + torch.where(start[:, k] < (low + high) / 2, step.abs(), -step.abs())
        axes.append(torch.where((at < low) | (at > high), inward, at).clamp(low, high))
    return torch.stack((*axes, start[:, 2]), -1)


def start_and_goal(
    random: EnvRandom, stream: str, span: tuple[float, float], nearest: float, farthest: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw two positions of a joint in its span that are between `nearest` and `farthest` (n,) apart.

    Returns:
        Start and goal, (n, 1) each; a goal beyond the span lies on the other side of the start instead,
        and is cut at the far end.
    """
    (low, high), u = span, random.uniform(stream, size=3)
    start = low + u[:, 0] * (high - low)
    step = nearest + u[:, 1] * (farthest - nearest)
    step = torch.where(u[:, 2] < 0.5, step, -step)
    inward = torch.where(start < (low + high) / 2, step.abs(), -step.abs())
    leaves = (start + step < low) | (start + step > high)
    goal = (start + torch.where(leaves, inward, step)).clamp(low, high)
    return start[:, None], goal[:, None]


def distance(achieved: Tensor, desired: Tensor) -> Tensor:
    """Return Euclidean distances of points [m], (..., 3) to (...)."""
    return torch.linalg.vector_norm(achieved - desired, dim=-1)


def yaw_quat(yaw: Tensor) -> Tensor:
    """Return quat_wxyz of rotations about world z [rad], (...) to (..., 4)."""
    zero = torch.zeros_like(yaw)
    return torch.stack((torch.cos(yaw / 2), zero, zero, torch.sin(yaw / 2)), -1)


def yaw_of(quat: Tensor) -> Tensor:
    """Return the heading of body x about world z [rad] of quat_wxyz, (..., 4) to (...)."""
    w, x, y, z = quat.unbind(-1)
    return torch.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
