"""What a student of `reorient` sees: clouds of the hand and the object, and of the object as it should be.

After Chen et al., 2022 (Visual Dexterity, arXiv 2211.11744): the clouds are thinned to one point per voxel
and corrupted. Points come from the models' surfaces at the true poses (fast), or from a rendered depth
camera. They have colours, since the shape of a cube alone does not tell its orientation. Theirs merges scene
and goal into one cloud; here they stay two (see `policies.cloud_nets`).
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import mujoco
import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from sim.batch.cameras import SEEN_GROUPS, BatchCameras
from sim.batch.handles import Body
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.settings import check_ranges, check_types
from sim.tasks.rotations import quat_rotate

Source = Literal["none", "model", "camera"]
CHANNELS: Final = ("x", "y", "z", "red", "green", "blue")
"""Of a point: position from where the object starts [m] in world axes, colour in [0, 1]."""

_CODES: Final = 1 << 8  # voxels along an axis


@dataclass(frozen=True)
class CloudConfig:
    """Settings of the cloud.

    Attributes:
        source: `none`: the state is observed; `model`: points on the models; `camera`: rendered depth.
        points: Points that are seen of the scene.
        goal_points: Points that are seen of the goal.
        voxel_m: Edge of a voxel, of which one point is kept [m].
        object_points: Points on the object, and on its goal, to choose from.
        hand_points: Points on the hand, to choose from.
        region_m: Half edge of the cube around the object's start that is looked at [m].
        width: Width of the camera's image [px].
        height: Height of the camera's image [px].
        augment: Share of clouds that are jittered, and of those that miss points.
        jitter_m: Standard deviation of jittered coordinates [m].
        dropout: Largest share of points missed.
    """

    source: Source = "none"
    points: int = 256
    goal_points: int = 128
    voxel_m: float = 0.005
    object_points: int = 400
    hand_points: int = 600
    region_m: float = 0.13
    width: int = 96
    height: int = 72
    augment: float = 0.4
    jitter_m: float = 0.004
    dropout: float = 0.2

    def __post_init__(self) -> None:
        """Refuse clouds of nothing."""
        check_types(self)
        check_ranges(self)
        for name in ("points", "goal_points", "object_points", "hand_points", "width", "height"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; use 1 or more")
        for name in ("augment", "dropout"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use a share in [0, 1]")
        if self.voxel_m <= 0.0 or self.region_m / self.voxel_m >= _CODES // 2 - 8:
            raise ValueError(
                f"voxel_m is {self.voxel_m}; use more than {2 * self.region_m / (_CODES - 16):.2g} m"
            )


class ReorientClouds:
    """Clouds of all environments.

    Args:
        physics: The simulation; the object's body is `object`, its goal the first mocap body.
        config: What is seen, and how badly.
        centre: Where the object starts, in world [m], (3,).
    """

    def __init__(self, physics: Physics, config: CloudConfig, centre: Tensor) -> None:
        """See the class."""
        self._config, self._centre = config, centre
        self._pos, self._quat = physics.field("xpos"), physics.field("xquat")
        self._goal_quat = physics.field("mocap_quat")
        model, device = physics.model, physics.device
        self._object = Body(physics, "object").id
        own = sample_bodies(model, [self._object], config.object_points)
        self._object_points = tuple(torch.as_tensor(v, device=device) for v in own)
        self._cameras: BatchCameras | None = None
        if config.source == "camera":
            self._cameras = BatchCameras(physics, "cloud", config.width, config.height)
            self._rays, self._eye = (torch.as_tensor(v, device=device) for v in _rays(model, self._cameras))
        else:
            skipped = {0, self._object, *np.flatnonzero(model.body_mocapid >= 0).tolist()}
            hand = [k for k in range(model.nbody) if k not in skipped]
            points = sample_bodies(model, hand, config.hand_points)
            self._hand_points = tuple(torch.as_tensor(v, device=device) for v in points)

    def read(self, key: Tensor) -> tuple[Tensor, Tensor]:
        """Return the clouds now, noise drawn from keys int64 (num_envs,).

        Returns:
            The scene (num_envs, points * channels) and the goal (num_envs, goal_points * channels).
        """
        goal = self._posed(self._object_points, is_goal=True)
        if self._cameras is None:
            scene = torch.cat((self._posed(self._object_points), self._posed(self._hand_points)), 1)
            is_seen = torch.ones(scene.shape[:2], dtype=torch.bool, device=scene.device)
        else:
            scene, is_seen = self._seen(self._cameras)
        c, num = self._config, scene.shape[1]
        is_there = torch.nn.functional.pad(is_seen, (0, goal.shape[1]), value=True)
        cloud, is_there = corrupt(torch.cat((scene, goal), 1), is_there, c, EnvRandom(key))
        parts = ((slice(None, num), c.points), (slice(num, None), c.goal_points))
        scene, goal = (thin(cloud[:, k], is_there[:, k], n, c.voxel_m, EnvRandom(key)) for k, n in parts)
        return scene.flatten(1), goal.flatten(1)

    def close(self) -> None:
        """Release the renderer; idempotent."""
        if self._cameras is not None:
            self._cameras.close()

    def _posed(self, points: tuple[Tensor, ...], *, is_goal: bool = False) -> Tensor:
        """Return points on bodies as they are now, or at the goal, (num_envs, P, channels)."""
        body, local, rgb = points
        if is_goal:
            pos = quat_rotate(self._goal_quat[:, :1], local)
        else:
            pos = quat_rotate(self._quat[:, body], local) + self._pos[:, body] - self._centre
        return torch.cat((pos, rgb.expand(len(pos), -1, -1)), -1)

    def _seen(self, cameras: BatchCameras) -> tuple[Tensor, Tensor]:
        """Return what the camera sees, (num_envs, pixels, channels), and where that is in the region."""
        images = cameras.render()
        depth_m = images["depth_m"].flatten(1)[..., None]
        world = self._eye + depth_m * self._rays
        pos = world - self._centre
        is_seen = (depth_m[..., 0] > 0.0) & (pos.abs() < self._config.region_m).all(-1)
        is_seen &= world[..., 2] > 0.5 * self._config.voxel_m  # the table tells nothing
        rgb = images["rgb"].flatten(1, 2).to(torch.float32) / 255.0
        return torch.cat((pos, rgb), -1), is_seen


def corrupt(cloud: Tensor, is_there: Tensor, config: CloudConfig, random: EnvRandom) -> tuple[Tensor, Tensor]:
    """Jitter some clouds (n, P, channels), and let some miss points.

    Returns:
        The clouds, and which points are there, bool (n, P).
    """
    if not config.augment:
        return cloud, is_there
    num = cloud.shape[1]
    is_jittered, is_thinned = (random.uniform("augment", size=2) < config.augment).unbind(-1)
    noise = random.normal("jitter", config.jitter_m, 3 * num).reshape(-1, num, 3)
    pos = cloud[..., :3] + is_jittered[:, None, None] * noise
    missed = config.dropout * random.uniform("share") * is_thinned[:, None]
    is_there = is_there & (random.uniform("dropout", size=num) >= missed)
    return torch.cat((pos, cloud[..., 3:]), -1), is_there


def thin(cloud: Tensor, is_there: Tensor, points: int, voxel_m: float, random: EnvRandom) -> Tensor:
    """Keep one point per voxel, then `points` of those at random; the few are repeated.

    Args:
        cloud: Points (n, P, channels).
        is_there: Which of them count, bool (n, P).
        points: How many are kept.
        voxel_m: Edge of a voxel [m].
        random: Draws for these environments.

    Returns:
        Points (n, points, channels); zeros where there is none.
    """
    num = cloud.shape[1]
    x, y, z = ((torch.floor(cloud[..., :3] / voxel_m).long() + _CODES // 2).clamp(0, _CODES - 1)).unbind(-1)
    code = (x * _CODES + y) * _CODES + z
    luck = (random.uniform("luck", size=num) * (1 << 24)).long()
    beyond = _CODES**3
    code = torch.where(is_there, code, beyond)
    order = torch.argsort((code << 24) + luck, dim=1)
    code = torch.gather(code, 1, order)
    is_first = torch.ones_like(is_there)
    is_first[:, 1:] = code[:, 1:] != code[:, :-1]
    is_kept = is_first & (code < beyond)
    # In the order of another draw: those kept come first.
    turn = torch.where(is_kept, random.uniform("turn", size=num), 2.0)
    chosen = torch.argsort(turn, dim=1)
    count = is_kept.sum(1, keepdim=True)
    place = torch.arange(points, device=cloud.device).expand(len(cloud), -1) % count.clamp(min=1)
    index = torch.gather(order, 1, torch.gather(chosen, 1, place))
    found = torch.gather(cloud, 1, index[..., None].expand(-1, -1, cloud.shape[-1]))
    return found * (count > 0)[..., None]


def sample_bodies(
    model: mujoco.MjModel, bodies: list[int], num: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Draw points on the visible surfaces of bodies, evenly by area; the same ones at each call.

    What lies inside another geom of its body is left out.

    Returns:
        Body of each point, int64 (num,); position in the body's frame [m], float32 (num, 3); colour (num, 3).
    """
    geoms = [
        k for k in range(model.ngeom) if model.geom_bodyid[k] in bodies and model.geom_group[k] in SEEN_GROUPS
    ]
    meshes = [_mesh(model, k) for k in geoms]
    areas = np.array([m.area for m in meshes])
    rng = np.random.default_rng(0)
    which = np.sort(rng.choice(len(geoms), 4 * num, p=areas / areas.sum()))
    points, colours = np.zeros((len(which), 3), np.float32), np.zeros((len(which), 3), np.float32)
    is_hidden = np.zeros(len(which), bool)
    for k in np.unique(which):
        rows, geom = np.flatnonzero(which == k), geoms[k]
        material = model.geom_matid[geom]
        points[rows] = trimesh.sample.sample_surface(meshes[k], len(rows), seed=int(k))[0]
        colours[rows] = (model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom])[:3]
        for j, other in enumerate(meshes):
            if j != k and model.geom_bodyid[geoms[j]] == model.geom_bodyid[geom]:
                is_hidden[rows] |= _is_inside(other, points[rows])
    seen = np.flatnonzero(~is_hidden)
    chosen = rng.choice(seen, num, replace=len(seen) < num)
    body = model.geom_bodyid[geoms][which].astype(np.int64)
    return body[chosen], points[chosen], colours[chosen]


def _is_inside(mesh: trimesh.Trimesh, points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which points are under the surface of a convex mesh, (P, 3) to (P,)."""
    height = ((points[:, None] - mesh.triangles_center) * mesh.face_normals).sum(-1)
    return (height < -1e-5).all(1)


def _mesh(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    """Return the surface of a geom in its body's frame."""
    kind, (a, b, c) = model.geom_type[geom], model.geom_size[geom]
    makers = {
        mujoco.mjtGeom.mjGEOM_BOX: lambda: trimesh.creation.box((2 * a, 2 * b, 2 * c)),
        mujoco.mjtGeom.mjGEOM_CYLINDER: lambda: trimesh.creation.cylinder(a, 2 * b),
        mujoco.mjtGeom.mjGEOM_CAPSULE: lambda: trimesh.creation.capsule(2 * b, a),
        mujoco.mjtGeom.mjGEOM_SPHERE: lambda: trimesh.creation.icosphere(2, a),
        mujoco.mjtGeom.mjGEOM_ELLIPSOID: lambda: trimesh.creation.icosphere(2, 1.0).apply_scale((a, b, c)),
    }
    maker = makers.get(mujoco.mjtGeom(kind))
    if maker is None:
        raise ValueError(f"no points can be drawn on a geom of kind {mujoco.mjtGeom(kind).name}")
    mesh, pose, mat = maker(), np.eye(4), np.zeros(9)
    mujoco.mju_quat2Mat(mat, model.geom_quat[geom])
    pose[:3, :3], pose[:3, 3] = mat.reshape(3, 3), model.geom_pos[geom]
    return mesh.apply_transform(pose)


def _rays(model: mujoco.MjModel, cameras: BatchCameras) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each pixel's ray per metre of depth in world (pixels, 3), and the eye (3,), float32."""
    camera, k = model.camera(cameras.camera), cameras.intrinsics
    u, v = np.meshgrid(np.arange(k.width), np.arange(k.height))
    mat = np.zeros(9)
    mujoco.mju_quat2Mat(mat, model.cam_quat[camera.id])
    # MuJoCo's cameras look along -z, y up.
    local = np.stack(((u - k.cx) / k.fx, -(v - k.cy) / k.fy, -np.ones_like(u, float)), -1).reshape(-1, 3)
    return (local @ mat.reshape(3, 3).T).astype(np.float32), model.cam_pos[camera.id].astype(np.float32)
