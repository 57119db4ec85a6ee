"""What every task's scene shows: a camera for videos, goal markers, light and floor."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np

Vec3 = tuple[float, float, float]


def add_view(spec: mujoco.MjSpec, eye: Vec3, target: Vec3, name: str = "view") -> None:
    """Add a fixed camera at `eye` that looks at `target` [m]; `view` is what videos show."""
    back = np.subtract(eye, target) / np.linalg.norm(np.subtract(eye, target))
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.column_stack((right, np.cross(back, right), back)).ravel())
    spec.worldbody.add_camera(name=name, pos=list(eye), quat=quat.tolist(), fovy=45.0)


def add_light(spec: mujoco.MjSpec) -> None:
    """Add one soft light from above."""
    spec.worldbody.add_light(
        pos=[0.6, -0.6, 2.0],
        dir=[-0.2, 0.2, -1.0],
        diffuse=[0.75, 0.75, 0.75],
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
    )
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.35, 0.35, 0.35]


def add_goal_marker(spec: mujoco.MjSpec, name: str = "goal", size_m: float = 0.015) -> mujoco.MjsBody:
    """Add a mocap body that shows a goal; it touches nothing. A ball of radius `size_m`, none for 0."""
    body = spec.worldbody.add_body(name=name, mocap=True)
    if size_m:
        add_ghost(body, mujoco.mjtGeom.mjGEOM_SPHERE, (size_m, 0.0, 0.0))
    return body


def add_ghost(
    body: mujoco.MjsBody,
    kind: mujoco.mjtGeom,
    size: Vec3,
    rgba: tuple[float, float, float, float] = (0.1, 0.75, 0.3, 0.5),
    pos: Vec3 = (0.0, 0.0, 0.0),
) -> None:
    """Add a translucent geom that touches nothing to a marker."""
    body.add_geom(
        type=kind,
        size=list(size),
        pos=list(pos),
        rgba=list(rgba),
        contype=0,
        conaffinity=0,
        group=1,
        mass=0.0,
    )
