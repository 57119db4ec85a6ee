"""What a depth camera at the wrist sees of tweezers in a hand and of the object under them.

The camera is carried by the flange and looks along the table at the tips from the side, so that both arms
are seen. Its pose follows from the arm's joint encoders. A cloud is what is left of a depth image, with the
errors of a real camera (`sim.camera`), when the robot's own pixels and the table are taken away: the robot's
are those where its model, drawn at the measured joint positions, is in front (as a self filter does), and a
margin around them.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import cv2
import mujoco
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from perception_tools.geometry import FloatArray
from sim.batch.cameras import BatchCameras
from sim.batch.handles import Site
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.camera import DepthNoiseConfig, add_depth_noise

CAMERA: Final = "tool"
"""Name of the camera."""
EYE_M: Final = (0.04, 0.185, 0.04)
"""Where it is, in the flange's frame [m]."""
_TARGET_M: Final = (0.010, 0.03, 0.225)
_FOVY_DEG: Final = 62.0
_TABLE_M: Final = 0.002  # what is lower is the table
_NEAR_TABLE_M: Final = 0.012  # where the table is looked for, above and below z = 0
_MIN_TABLE: Final = 2000  # points
_REGION_M: Final = ((0.33, -0.2), (0.62, 0.2))  # where objects are looked for, x and y
_MARGIN_PX: Final = 3  # by which the robot's pixels are widened

_OPTICAL: Final = np.diag([1.0, -1.0, -1.0])  # GL cameras look along -z, optical ones along +z

BELOW_M: Final = 0.04
"""Objects are at least so far below `ee`, and so are the tips [m]."""


@dataclass(frozen=True)
class SightConfig:
    """Settings of the camera.

    Attributes:
        width: Image width [px].
        height: Image height [px].
        calibration_m: Standard deviation of the error with which the camera's position on the flange is
            known [m], per axis and episode.
        calibration_rad: The same of its rotation [rad].
        noise: Errors of the depth image.
    """

    width: int = 480
    height: int = 480
    calibration_m: float = 0.001
    calibration_rad: float = 0.003
    noise: DepthNoiseConfig = field(default_factory=DepthNoiseConfig)


def add_tool_camera(spec: mujoco.MjSpec) -> None:
    """Add the camera, its housing and its bracket to a scene of an arm with the site `flange`."""
    flange = spec.site("flange")
    link, frame = flange.parent, flange.parent.add_frame(pos=flange.pos, quat=flange.quat)
    eye, back = np.array(EYE_M), np.subtract(EYE_M, _TARGET_M)
    back /= np.linalg.norm(back)
    right = np.cross((0.0, 0.0, -1.0), back)  # the flange's z points down
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.column_stack((right, np.cross(back, right), back)).ravel())
    link.add_camera(name=CAMERA, pos=eye, quat=quat, fovy=_FOVY_DEG).set_frame(frame)
    drawn = {"contype": 0, "conaffinity": 0, "mass": 0.0, "group": 2, "rgba": [0.25, 0.26, 0.28, 1.0]}
    box, rod = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE
    housing = link.add_geom(type=box, pos=eye + 0.012 * back, quat=quat, size=[0.021, 0.012, 0.01], **drawn)
    arm = link.add_geom(type=rod, size=[0.005, 0.0, 0.0], fromto=[0, 0, 0.004, *(eye + 0.02 * back)], **drawn)
    for part in (housing, arm):
        part.set_frame(frame)


class TweezerCamera:
    """Clouds of the camera, rendered only when they are asked for.

    Args:
        physics: The simulation; its model has the camera of `add_tool_camera`.
        config: Size and errors.
    """

    def __init__(self, physics: Physics, config: SightConfig | None = None) -> None:
        """See the class."""
        self.config = config or SightConfig()
        c, model = self.config, physics.model
        self._cameras = BatchCameras(
            physics, CAMERA, c.width, c.height, parts=("depth_m", "segmentation"), max_depth_m=1.0
        )
        self._flange = Site(physics, "flange")
        root = model.body_rootid[model.site_bodyid[model.site("flange").id]]
        is_robot = model.body_rootid[model.geom_bodyid] == root
        self._is_robot = np.append(is_robot, False)  # the last is of pixels without a geom
        camera, site = model.camera(CAMERA).id, model.site("flange").id
        self._physics, self._camera = physics, camera
        self._R_flange_link = _matrix(model.site_quat[site]).T
        self._p_link_flange = model.site_pos[site].copy()
        n = physics.num_envs
        # The camera's pose in the flange's frame.
        self._eye, self._turn = (torch.zeros(n, *shape, dtype=torch.float64) for shape in ((3,), (3, 3)))
        k = self._cameras.intrinsics
        u, v = np.meshgrid(np.arange(k.width), np.arange(k.height))
        self._rays = np.stack(((u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones_like(u)), -1)

    def clouds(self, ids: Tensor, keys: Tensor) -> list[FloatArray]:
        """Return what is seen of tool and objects in some environments.

        Args:
            ids: Environments, int64 (n,).
            keys: Seeds of the noise, int64 (n,).

        Returns:
            Points in world [m], (N, 3) for each.
        """
        images = self._cameras.render(ids)
        depth, geoms = images["depth_m"].cpu().numpy(), images["segmentation"].cpu().numpy()
        pos, mat = (x[ids].cpu().numpy().astype(np.float64) for x in (self._flange.pos, self._flange.mat))
        seeds = (keys & 0x7FFFFFFFFFFFFFFF).tolist()
        own_eye, own_turn = (x[ids.cpu()].numpy() for x in (self._eye, self._turn))
        R_world_camera, eye = mat @ own_turn, pos + (mat @ own_eye[..., None])[..., 0]
        return [self._cloud(*each) for each in zip(depth, geoms, eye, R_world_camera, seeds, strict=True)]

    def calibrate(self, ids: Tensor, keys: Tensor) -> None:
        """Take the camera's mount as it is in some environments, up to the error of a calibration.

        Args:
            ids: Environments, int64 (n,).
            keys: Seeds of the error, int64 (n,).
        """
        c = self.config
        pos, quat = (self._physics.model_field(name)[ids, self._camera] for name in ("cam_pos", "cam_quat"))
        random = EnvRandom(keys)
        off = random.normal("calibration_pos", c.calibration_m, 3).cpu().numpy()
        turn = random.normal("calibration_rot", c.calibration_rad, 3).cpu().numpy()
        for row, env in enumerate(ids.tolist()):
            R_flange_camera = self._R_flange_link @ _matrix(quat[row].cpu().numpy()) @ _OPTICAL
            R_flange_camera = R_flange_camera @ cv2.Rodrigues(turn[row].astype(np.float64))[0]
            self._turn[env] = torch.as_tensor(R_flange_camera)
            eye = self._R_flange_link @ (pos[row].cpu().numpy() - self._p_link_flange)
            self._eye[env] = torch.as_tensor(eye + off[row])

    def memory(self) -> dict[str, Tensor]:
        """Return what `calibrate` found, by name."""
        return {"sight_eye": self._eye, "sight_turn": self._turn}

    def close(self) -> None:
        """Release the renderer; idempotent."""
        self._cameras.close()

    def _cloud(
        self,
        depth_m: NDArray[np.float32],
        geoms: NDArray[np.int32],
        eye: FloatArray,
        R_world_camera: FloatArray,
        seed: int,
    ) -> FloatArray:
        noise = self.config.noise
        own = cv2.dilate(self._is_robot[geoms].astype(np.uint8), np.ones((_MARGIN_PX, _MARGIN_PX), np.uint8))
        if noise.enabled:
            rng = np.random.default_rng(seed)
            depth_m = add_depth_noise(depth_m, self._cameras.intrinsics, noise, rng)
        keep = (depth_m > 0) & (own == 0)
        points = (self._rays[keep] * depth_m[keep][:, None]) @ R_world_camera.T + eye
        points = above_table(points, eye)
        low, high = np.array(_REGION_M)
        return points[((points[:, :2] > low) & (points[:, :2] < high)).all(1)]


def above_table(points: FloatArray, eye: FloatArray) -> FloatArray:
    """Return what of a cloud (N, 3) [m] stands on the table, turned and shifted so that this is at z = 0.

    The turn is about the camera's `eye`. It takes most of a calibration's error away: only a turn about the
    vertical and a shift along the table stay. Where too little of the table is seen there is no turn.
    """
    flat = points[np.abs(points[:, 2]) < _NEAR_TABLE_M]
    flat, plane = flat[:: max(1, len(flat) // 4000)], np.zeros(3)
    if len(flat) >= _MIN_TABLE:
        for cutoff in (_NEAR_TABLE_M, 0.004, 0.002):
            near = flat[np.abs(_over(flat, plane)) < cutoff]
            columns = np.column_stack((near[:, :2], np.ones(len(near))))
            plane = np.asarray(np.linalg.lstsq(columns, near[:, 2], rcond=None)[0], np.float64)
    standing = points[_over(points, plane) > _TABLE_M]
    normal = np.array([-plane[0], -plane[1], 1.0]) / np.sqrt(1.0 + plane[0] ** 2 + plane[1] ** 2)
    turn = cv2.Rodrigues(np.cross(normal, [0.0, 0.0, 1.0]))[0]  # the angle is small
    height = float((turn @ (np.array([0.0, 0.0, plane[2]]) - eye) + eye)[2])
    return (standing - eye) @ turn.T + eye - [0.0, 0.0, height]


def _over(points: FloatArray, plane: FloatArray) -> FloatArray:
    """Return the heights of points (N, 3) over ``z = plane @ (x, y, 1)``."""
    return points[:, 2] - points[:, :2] @ plane[:2] - plane[2]


def low_points(points: FloatArray, ee_pos: FloatArray, voxel_m: float = 0.0015) -> FloatArray:
    """Return the points (N, 3) around the tips and below, one per voxel, in world [m]; `ee` is at (3,)."""
    low = points[points[:, 2] < ee_pos[2] - BELOW_M]
    codes = np.floor((low - ee_pos) / voxel_m).astype(np.int64) @ np.array([1, 1 << 12, 1 << 24])
    return low[np.unique(codes, return_index=True)[1]]


def _matrix(quat_wxyz: ArrayLike) -> FloatArray:
    """Return the rotation matrix of a quaternion."""
    mat = np.zeros(9)
    mujoco.mju_quat2Mat(mat, np.asarray(quat_wxyz, np.float64))
    return mat.reshape(3, 3)
