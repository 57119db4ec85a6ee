"""`HandRobot`: a simulated arm with a dexterous hand that holds things by pressing, and its tool's sensor."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray, Transform
from policies.held_tool import ToolReading
from policies.robot import RobotState
from sim.robot import SimRobot, SimRobotConfig
from sim.robots.compose import ArmHandModel
from sim.robots.servo import JointServo
from sim.tweezers_scene import TweezersScene

PRESSING_RAD: Final = 0.5
"""Error at which a finger counts as blocked; below, it presses on what it holds [rad]."""


class PressingServo(JointServo):
    """See `JointServo`; fingers go on pressing while the arm is damped or held.

    References are followed without velocity feed-forward, as in the tasks that policies are trained in: of 20
    episodes of `tweezer_pick` a policy solved 18 like this, and 13 on servos with feed-forward.

    Args:
        model: Compiled scene.
        robot: The arm with its hand.
    """

    def __init__(self, model: mujoco.MjModel, robot: ArmHandModel) -> None:
        """See the class."""
        super().__init__(model, robot)
        self._presses = np.isin(robot.limits.joint_names, robot.hand_joints)
        self._free = ~self._presses

    def advance(self, data: mujoco.MjData) -> None:
        """See `JointServo.advance`."""
        super().advance(data)
        data.ctrl[self._actuators] = self.joint_pos

    def tracking_error(self, data: mujoco.MjData) -> float:
        """See `JointServo.tracking_error`: of the arm, and of fingers that are blocked."""
        error = np.abs(self.joint_pos - data.qpos[self._qpos])
        is_blocked = error > PRESSING_RAD
        return float(np.max(np.where(self._free | is_blocked, error, 0.0)))

    def hold(self, data: mujoco.MjData) -> None:
        """Hold the arm's measured position, and what the fingers press on."""
        self._rest(np.where(self._presses, self.joint_pos, data.qpos[self._qpos]))

    def press(self, data: mujoco.MjData, targets: FloatArray) -> None:
        """Hold these positions [rad], (num_joints,), whatever is measured."""
        data.ctrl[self._actuators] = targets
        self._rest(targets)

    def damp(self) -> None:
        """Let the arm's speed decay; the fingers stop where they are told to be now."""
        self._held = self.joint_pos.copy()
        super().damp()

    def _advance_damped(self, data: mujoco.MjData) -> None:
        measured = data.qpos[self._qpos]
        self.joint_pos = np.where(self._presses, self._held, measured)
        self.joint_vel = np.zeros(len(self._qpos))
        if np.max(np.abs(data.qvel[self._dofs][self._free])) < 0.01:
            self._rest(self.joint_pos)


class HandRobot(SimRobot):
    """See `SimRobot`; its state tells what the servos hold, and a stop drops nothing.

    `external_force_n` counts the tool's weight, and what the tips touch.

    Args:
        model: Compiled scene with the robot in it.
        data: Its state.
        robot: The arm with its hand.
        targets: What the servos hold at the start [rad], (num_joints,).
        lock: Guards `model` and `data`.
        config: Settings.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        robot: ArmHandModel,
        targets: FloatArray,
        *,
        lock: threading.RLock | None = None,
        config: SimRobotConfig | None = None,
    ) -> None:
        """See the class."""
        at = np.array([data.joint(n).qpos[0] for n in robot.limits.joint_names])
        super().__init__(model, data, robot, lock=lock, config=config)
        self._arm = PressingServo(model, robot)
        self.reset(at)
        with self.lock:
            self._arm.press(data, np.asarray(targets, dtype=np.float64))

    def state(self) -> RobotState:
        """See `SimRobot.state`."""
        with self.lock:
            return replace(super().state(), joint_target=self._arm.joint_pos.copy())


class SimToolSensor:
    """Reads the held tool from the simulation's state: a `ToolSensor` without errors.

    On a real robot the same readings come from a tracker, from the hand's touch, or from `tool_affordance`.

    Args:
        scene: The scene.
        robot: The arm with the hand that holds the tool.
    """

    def __init__(self, scene: TweezersScene, robot: ArmHandModel) -> None:
        """See the class."""
        self._scene, self._palm = scene, robot.palm_site
        self.source = "true state of the simulation"
        self._frames = mujoco.MjData(scene.model)
        self._own_lock = threading.Lock()
        self.name, self.length_m = scene.tool.kind, scene.tool_length_m
        self.opening_range_m, self.hand_joints = scene.opening_range_m, robot.hand_joints
        self.hand_range = (scene.grip.open_pos, scene.grip.closed_pos)

    def read(self) -> ToolReading:
        """See `ToolSensor.read`."""
        data, tool = self._frames, self._scene.tool
        with self._own_lock:
            with self._scene.lock:
                data.qpos[:], data.qvel[:] = self._scene.data.qpos, self._scene.data.qvel
                stamp_s = float(self._scene.data.time)
            mujoco.mj_kinematics(self._scene.model, data)
            hinge = data.joint(tool.joint)
            T_world_tool = self._pose(tool.site("grip"), "tool")
            tips = [data.site(tool.site(f"tip_{side}")).xpos for side in ("left", "right")]
            return ToolReading(
                opening_m=float(tool.opening_m(hinge.qpos[0])),
                hinge_vel=float(hinge.qvel[0]),
                T_world_tool=T_world_tool,
                T_palm_tool=self._pose(self._palm, "palm").inverse() @ T_world_tool,
                p_tip=(tips[0] + tips[1]) / 2,
                stamp_s=stamp_s,
            )

    def _pose(self, site: str, child: str) -> Transform:
        found = self._frames.site(site)
        return Transform.from_parts(found.xpos, found.xmat.reshape(3, 3), parent="world", child=child)
