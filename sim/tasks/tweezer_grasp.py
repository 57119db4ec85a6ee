"""How the hand holds tweezers: thumb on one arm, two fingers on the other, tips to the thumb's side."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Final

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from perception_tools.geometry import FloatArray
from sim.robots.allegro import JOINTS, PINCH
from sim.tasks.hand import TIP_RADIUS_M, TipReach
from sim.tools.base import ToolHandle

GRIP_M: Final = (0.095, 0.035, 0.105)
"""Where the tweezers' site `grip` is held, in the frame of the hand's root body [m]."""

_SPREAD_M = 0.017  # index and middle finger press this far from the grip along the tool
_AXES = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])  # root from tool: z along root y


class TweezerGrasp:
    """The grasp at one opening: where the tweezers are, and postures that squeeze them.

    Args:
        handle: The tweezers.
        grip_z_m: Height of their site `grip` in the tool frame [m].
        opening_m: Opening of the tips [m].
    """

    def __init__(self, handle: ToolHandle, grip_z_m: float, opening_m: float) -> None:
        """See the class."""
        assert handle.grip_opening is not None and handle.joint is not None
        self._handle, self._grip_z = handle, grip_z_m
        self._angle = float(handle.joint_pos(opening_m))
        self._half = float(handle.grip_opening.opening_m(self._angle)) / 2
        self._reach = TipReach()

    def posture(self, inset_m: float) -> FloatArray:
        """Return joint positions [rad], (16,), whose tips would be this far inside the arms [m]."""
        x, y, z = GRIP_M
        out = self._half + TIP_RADIUS_M - inset_m
        lean = _SPREAD_M * np.sin(self._angle / 2)
        tips = {
            "index_tip": (x, y + _SPREAD_M, z + out + lean),
            "middle_tip": (x, y - _SPREAD_M, z + out - lean),
            "thumb_tip": (x, y, z - out),
        }
        return self._reach.posture(tips, near=PINCH)

    def place(self, model: mujoco.MjModel, qpos: FloatArray, root_body: str, prefix: str = "") -> FloatArray:
        """Return positions (nq,) with the tweezers between the fingers of a hand whose root is at `qpos`."""
        data = mujoco.MjData(model)
        data.qpos[:] = qpos
        for name, angle in zip(JOINTS, self.posture(-0.0005), strict=True):
            data.joint(prefix + name).qpos[:] = angle
        mujoco.mj_kinematics(model, data)
        root = data.body(root_body)
        R_world_root = root.xmat.reshape(3, 3)
        # The left arm is the tool's root and leans by half the angle: the tool frame turns as it closes.
        turn = Rotation.from_euler("x", (self._handle.joint_rest - self._angle) / 2).as_matrix()
        position = root.xpos + R_world_root @ (np.array(GRIP_M) - _AXES @ [0.0, 0.0, self._grip_z])
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, (R_world_root @ _AXES @ turn).ravel())
        data.joint(self._handle.free_joint).qpos[:] = np.concatenate((position, quat))
        data.joint(self._handle.joint).qpos[:] = self._angle
        return data.qpos.copy()
