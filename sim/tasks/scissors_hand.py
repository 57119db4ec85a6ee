"""`scissors_hand`: thumb and index finger in the loops of scissors bring their tips to an opening."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.batch.randomize import Randomization
from sim.batch.task import Preset
from sim.tasks.hand import TipReach
from sim.tasks.tool_hand import ToolHandConfig, ToolHandTask
from sim.tools.base import ToolHandle
from sim.tools.scissors import ScissorsConfig, add_scissors

LOOPS_M: Final = (0.09, 0.035, 0.1)
"""Middle between the loops, in the hand's root frame [m]."""

_TILT_RAD = 0.2  # of the scissors' plane about root y, between the directions of thumb and finger
_DEPTH_M = 0.008  # the tips reach this far through the loops
_NEAR = np.array([0.0, 0.6, 0.6, 0.3] + [0.0, 0.15, 0.2, 0.2] * 2 + [1.2, 0.3, 0.3, 0.3])
_SPREADS_M = np.linspace(-0.009, 0.006, 7)  # of each tip from its loop's centre, for the starts
_RANGE_M = (0.014, -0.02)
_START_M = 0.02


@dataclass(frozen=True)
class ScissorsHandConfig(ToolHandConfig):
    """Settings of `scissors_hand`.

    Attributes:
        length_m: Length of the scissors [m].
        loop_width_m: Inner width of their loops [m]; the fingers are 0.024 m thick and pass at an angle.
    """

    tolerance_m: float = 0.002
    shift_m: float = 0.02
    opening_m: tuple[float, float] = (0.005, 0.055)
    stiffness_factor: float = 1.0
    length_m: float = 0.19
    loop_width_m: float = 0.038


class ScissorsHand(ToolHandTask):
    """See `ToolHandTask`. The scissors hang on two fingers through their loops and have no spring."""

    name: ClassVar[str] = "scissors_hand"
    config_class: ClassVar[type[ScissorsHandConfig]] = ScissorsHandConfig
    config: ScissorsHandConfig
    height_m: ClassVar[float] = 0.26
    near_m: ClassVar[tuple[float, float, float]] = (0.15, -0.32, 0.24)
    aim_m: ClassVar[tuple[float, float, float]] = (0.04, 0.0, 0.17)

    def add_tool(self, spec: mujoco.MjSpec) -> ToolHandle:
        """See `ToolHandTask.add_tool`."""
        c = self.config
        size = ScissorsConfig(length_m=c.length_m, loop_width_m=c.loop_width_m, rest_opening_m=_START_M)
        return add_scissors(spec, "scissors", size)

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`: loops hold less firmly than a squeezed spring."""
        spread = super().randomization(preset)
        return spread if preset == "nominal" else replace(spread, push_n=0.5, push_body=self.handle.body)

    def find_grasp(
        self, model: mujoco.MjModel
    ) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray]]:
        """See `ToolHandTask.find_grasp`."""
        assert self.handle.grip_opening is not None
        c, s = np.cos(_TILT_RAD), np.sin(_TILT_RAD)
        axes = np.array([[-c, -s, 0.0], [0.0, 0.0, 1.0], [-s, c, 0.0]])  # root from tool
        half = float(self.handle.grip_opening.opening_m(self.handle.joint_rest)) / 2
        middle = np.array(LOOPS_M)
        reach = TipReach()

        def posture(spread_m: float) -> FloatArray:
            out, through = axes[:, 1] * (half + spread_m), -axes[:, 0] * _DEPTH_M
            tips = {"index_tip": tuple(middle + out + through), "thumb_tip": tuple(middle - out + through)}
            return reach.posture(tips, near=_NEAR)

        data = mujoco.MjData(model)
        for name, angle in zip(self.hand.names, posture(0.0), strict=True):
            data.joint(name).qpos[:] = angle
        mujoco.mj_kinematics(model, data)
        R_world_root = data.body("palm").xmat.reshape(3, 3)
        grip = model.site(self.handle.site("grip")).pos
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, (R_world_root @ axes).ravel())
        position = data.body("palm").xpos + R_world_root @ (middle - axes @ grip)
        data.joint(self.handle.free_joint).qpos[:] = np.concatenate((position, quat))
        ends = [posture(spread) for spread in _RANGE_M]
        targets = [posture(spread) for spread in _SPREADS_M]
        return [data.qpos.copy()] * len(targets), targets, ends
