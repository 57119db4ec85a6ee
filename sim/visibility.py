"""How much of each object a camera can see, by ray casting: needs no OpenGL."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.object_bodies import VISUAL_GROUP
from sim.objects import ObjectSpec
from sim.scene import TabletopScene
from sim.tabletop_goals import BodyPose

_TOLERANCE_M = 0.006


def visible_fractions(
    scene: TabletopScene, poses: Mapping[str, BodyPose], eye_m: FloatArray
) -> dict[str, float]:
    """Return, per object, the fraction of its surface that faces the eye and is not hidden by others.

    Args:
        scene: The scene, forward computed.
        poses: True poses of its objects.
        eye_m: Centre of projection in world [m], (3,).
    """
    return {o.name: _fraction(scene, o, poses[o.name], eye_m) for o in scene.objects}


def _fraction(scene: TabletopScene, obj: ObjectSpec, pose: BodyPose, eye_m: FloatArray) -> float:
    points, normals = surface_samples(obj)
    points = points @ pose.rotation.T + pose.position_m
    normals = normals @ pose.rotation.T
    facing = ((eye_m - points) * normals).sum(1) > 0.1 * np.linalg.norm(eye_m - points, axis=1)
    points = points[facing]
    if not len(points):
        return 0.0
    rays = points - eye_m
    lengths = np.linalg.norm(rays, axis=1)
    n = len(points)
    geoms, distances = np.full(n, -1, np.int32), np.zeros(n)
    groups = np.zeros(6, np.uint8)
    groups[[0, VISUAL_GROUP]] = 1
    directions = (rays / lengths[:, None]).ravel()
    with scene.lock:
        mujoco.mj_multiRay(
            scene.model, scene.data, eye_m, directions, groups, True, -1, geoms, distances, None, n, 1e10
        )
    own = scene.model.geom_bodyid[geoms] == scene.model.body(obj.name).id
    reached = (distances < 0) | (distances > lengths - _TOLERANCE_M)
    return float(np.mean((own & (geoms >= 0)) | reached))


def surface_samples(obj: ObjectSpec) -> tuple[FloatArray, FloatArray]:
    """Return points on an object's outer surface and their normals in the body frame, (N, 3) each."""
    half = np.array(obj.size_m) / 2
    if obj.shape in ("box", "tray", "socket"):
        grid = np.stack(np.meshgrid([-0.8, 0.0, 0.8], [-0.8, 0.0, 0.8]), -1).reshape(-1, 2)
        points, normals = [], []
        for axis in range(3):
            for sign in (-1.0, 1.0):
                face = np.insert(grid, axis, sign, axis=1)
                points.append(face * half)
                normals.append(np.tile(np.eye(3)[axis] * sign, (len(grid), 1)))
        return np.concatenate(points), np.concatenate(normals)
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(16)], 1)
    if obj.shape == "sphere":
        layers = [np.cos(e) * ring + [0, 0, np.sin(e)] for e in np.deg2rad([-40.0, -15.0, 15.0, 40.0, 70.0])]
        normals = np.concatenate(layers)
        return normals * half[0], normals
    side = np.concatenate([ring * half[0] + [0, 0, z * half[2]] for z in (-0.7, 0.0, 0.7)])
    top = np.concatenate([ring * half[0] * r + [0, 0, half[2]] for r in (0.4, 0.85)])
    up = np.tile([0.0, 0.0, 1.0], (len(top), 1))
    return np.concatenate([side, top]), np.concatenate([np.tile(ring, (3, 1)), up])
