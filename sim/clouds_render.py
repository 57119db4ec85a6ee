"""Clouds of tools as a depth camera gives them: a tool lies on a table and is rendered, with its noise.

A second source beside `sim.clouds`, whose hidden points are found geometrically: rendering is slower and is
kept for tests and measurements.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from perception_tools.camera import RgbdFrame
from perception_tools.geometry import BoolArray, FloatArray, Transform, look_at
from sim.camera import SimCamera
from sim.clouds import ToolCloud, ToolClouds, label, scene_of
from sim.clouds_tools import Split, Surface
from sim.rendering import TruthRenderer
from sim.tools.base import attach_tool

_CAMERA = "above"


@dataclass(frozen=True, eq=False)
class TablePicture:
    """A tool on a table.

    Attributes:
        frame: The picture with depth, from the camera `above`.
        mask: Pixels that show the tool, (H, W).
        truth: Its labels in world; `points` are the masked pixels' [m].
    """

    frame: RgbdFrame
    mask: BoolArray
    truth: ToolCloud


def table_picture(clouds: ToolClouds, index: int, split: Split = "train") -> TablePicture:
    """Render tool `index` of a split at a random opening, flat on a table, from 0.35 to 0.6 m.

    Raises:
        RenderingUnavailable: No GL; says which package to install.
    """
    rng = np.random.default_rng((clouds.config.seed, 77, index))
    surface = clouds.surface(split, index)
    scene = scene_of(surface, float(rng.random()))
    T_world_tool = _lying(scene.points, float(rng.uniform(0, 2 * np.pi)))
    model, data = _scene(surface, T_world_tool, rng)
    assert surface.handle is not None
    data.joint(surface.handle.joint).qpos[0] = scene.joint_pos
    mujoco.mj_forward(model, data)
    renderer = TruthRenderer(model, data, threading.Lock())
    try:
        frame = SimCamera(_CAMERA, renderer, seed=index).capture()
        bodies = renderer.segmentation(_CAMERA)
    finally:
        renderer.close()
    parts = (surface.handle.body, surface.handle.moving_body)
    mask = np.isin(bodies, [model.body(name).id for name in parts])
    assert frame.T_world_camera is not None and frame.depth_m is not None
    seen = frame.intrinsics.deproject_image(frame.depth_m)[mask & (frame.depth_m > 0)]
    points = frame.T_world_camera @ seen
    truth = label(surface, scene, points, T_world_tool)
    return TablePicture(frame, mask, truth)


def _lying(points: FloatArray, yaw_rad: float) -> Transform:
    """Return the pose of a tool flat on z = 0, its hinge axis up."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    rotation = np.array([[0, c, -s], [0, s, c], [1, 0, 0]], np.float64)
    offset = -(points @ rotation.T).mean(axis=0)
    offset[2] = -(points @ rotation.T)[:, 2].min()
    return Transform.from_parts(offset, rotation, parent="world", child="tool")


def _scene(surface: Surface, T_world_tool: Transform, rng: np.random.Generator) -> tuple[Any, Any]:
    spec = mujoco.MjSpec()
    spec.stat.extent = 1.0
    spec.visual.map.znear = 0.02
    wood = spec.add_material(name="wood", rgba=[*(0.25 + 0.6 * rng.random(3)), 1])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1], material=wood.name)
    spec.worldbody.add_light(pos=[0.3, -0.4, 1.2], dir=[-0.3, 0.4, -1.2])
    eye = rng.normal(size=3) * [1, 1, 0]
    eye = eye / np.linalg.norm(eye) * rng.uniform(0.1, 0.9) + [0, 0, 1.0]
    eye *= rng.uniform(0.35, 0.6) / np.linalg.norm(eye)
    pose = look_at(eye.tolist(), [0, 0, 0], parent="world", child="camera")
    turn = pose.rotation @ np.diag([1.0, -1.0, -1.0])
    quat = Transform.from_parts(eye, turn, parent="world", child="gl").quat_wxyz
    spec.worldbody.add_camera(name=_CAMERA, pos=eye, quat=quat, fovy=42.0)
    spec.worldbody.add_site(name="stand", pos=T_world_tool.position_m, quat=T_world_tool.quat_wxyz)
    attach_tool(spec, "tool", surface.build(), parent_site="stand")
    model = spec.compile()
    return model, mujoco.MjData(model)
