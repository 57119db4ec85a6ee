"""What every task's scene shows: a camera for videos, goal markers, light and floor."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np

from sim.batch.textures import add_textures

Vec3 = tuple[float, float, float]

GOAL_RGBA = (0.1, 0.75, 0.3, 0.5)
"""Colour of what shows a goal."""


def add_view(spec: mujoco.MjSpec, eye: Vec3, target: Vec3, name: str = "view") -> None:
    """Add a fixed camera at `eye` that looks at `target` [m]; `view` is what videos show."""
    back = np.subtract(eye, target) / np.linalg.norm(np.subtract(eye, target))
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.column_stack((right, np.cross(back, right), back)).ravel())
    spec.worldbody.add_camera(name=name, pos=list(eye), quat=quat.tolist(), fovy=45.0)


def add_light(spec: mujoco.MjSpec, floor_z_m: float = -0.7) -> None:
    """Add a sky, a soft light, a floor that is only seen at `floor_z_m`, and textures to draw from."""
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.83, 0.87, 0.91],
        rgb2=[0.56, 0.63, 0.70],
        width=64,
        height=384,
    )
    add_textures(spec)
    spec.add_texture(
        name="floor",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.60, 0.62, 0.65],
        rgb2=[0.56, 0.58, 0.61],
        width=128,
        height=128,
    )
    floor = spec.add_material(name="floor", texrepeat=[1.0, 1.0], texuniform=True)
    floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0.0, 0.0, 1.0],
        pos=[0.0, 0.0, floor_z_m],
        material="floor",
        contype=0,
        conaffinity=0,
    )
    spec.worldbody.add_light(
        pos=[0.6, -0.6, 2.0],
        dir=[-0.2, 0.2, -1.0],
        diffuse=[0.5, 0.5, 0.5],
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
    )
    spec.visual.headlight.ambient = [0.3, 0.3, 0.3]
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
    rgba: tuple[float, float, float, float] = GOAL_RGBA,
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
