"""Drives the actuators of a robot model from references, once per physics step."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from policies.robot import GripperCommand
from sim.robots import reference
from sim.robots.model import GripperModel, RobotModel
from sim.robots.reference import Reference

_REST_RAD_S = 0.01
_CLAMPING_N = 1.0


def _find(model: mujoco.MjModel, kind: mujoco.mjtObj, names: Sequence[str]) -> list[int]:
    ids = [mujoco.mj_name2id(model, kind, n) for n in names]
    missing = [n for n, i in zip(names, ids, strict=True) if i < 0]
    if missing:
        word = kind.name.removeprefix("mjOBJ_").lower()
        raise ValueError(f"the scene has no {word} {missing[0]!r}; is the robot in it?")
    return ids


class JointServo:
    """Position servos of the arm's joints with velocity feed-forward.

    Args:
        model: Compiled scene.
        robot: The robot in it.

    Attributes:
        joint_pos: Present reference [rad], (num_joints,).
        joint_vel: Its velocity [rad/s], (num_joints,).
    """

    def __init__(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        joints = _find(model, mujoco.mjtObj.mjOBJ_JOINT, robot.limits.joint_names)
        self._actuators = _find(model, mujoco.mjtObj.mjOBJ_ACTUATOR, robot.limits.joint_names)
        self._qpos, self._dofs = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        # A position servo's force is kp * ctrl - kp * qpos - kv * qvel.
        self._velocity_gain_s = (
            -model.actuator_biasprm[self._actuators, 2] / model.actuator_gainprm[self._actuators, 0]
        )
        self._dt_s = float(model.opt.timestep)
        self._limits = robot.limits
        self._rest(np.array(robot.home, dtype=np.float64))

    def sense(self, data: mujoco.MjData) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return joint positions, velocities and efforts (gravity compensation included)."""
        return data.qpos[self._qpos], data.qvel[self._dofs], data.qfrc_actuator[self._dofs]

    def tracking_error(self, data: mujoco.MjData) -> float:
        """Return the largest distance between reference and measured position [rad]."""
        return float(np.max(np.abs(self.joint_pos - data.qpos[self._qpos])))

    @property
    def target(self) -> FloatArray:
        """Last setpoint [rad], the present reference if none is being approached, (num_joints,)."""
        return self.joint_pos if self._target is None else self._target

    def place(self, data: mujoco.MjData, joint_pos: FloatArray) -> None:
        """Put the arm at rest at `joint_pos` and hold it there."""
        data.qpos[self._qpos], data.qvel[self._dofs] = joint_pos, 0.0
        data.ctrl[self._actuators] = joint_pos
        self._rest(joint_pos)

    def hold(self, data: mujoco.MjData) -> None:
        """Hold the measured position."""
        self._rest(data.qpos[self._qpos])

    def approach(self, target: FloatArray, time_s: float, period_s: float, max_gap_s: float) -> None:
        """Go to a streamed setpoint within the time since the last one, or within `period_s`.

        Args:
            target: Setpoint [rad], (num_joints,).
            time_s: Present time [s].
            period_s: Time for a setpoint that follows no other within `max_gap_s` [s].
            max_gap_s: Longest time between setpoints of one stream [s].
        """
        gap_s = max(time_s - self._approached_s, self._dt_s)
        duration_s = gap_s if gap_s <= max_gap_s else period_s
        self.track(reference.ramp(self.joint_pos, target, duration_s, self._limits.velocity, self._dt_s))
        self._target, self._approached_s = target.copy(), time_s

    def track(self, source: Reference) -> None:
        """Follow a reference."""
        self._reference, self._target = source, None

    def brake(self) -> None:
        """Bring the reference to rest within the acceleration limits."""
        self.track(reference.brake(self.joint_pos, self.joint_vel, self._limits.acceleration, self._dt_s))

    def damp(self) -> None:
        """Let the arm's speed decay as fast as its torques allow, then hold where it came to rest."""
        self._reference = self._target = None

    def advance(self, data: mujoco.MjData) -> None:
        """Write the controls of the next physics step."""
        if self._reference is None:
            self._advance_damped(data)
        else:
            self.joint_pos, self.joint_vel = next(self._reference)
        data.ctrl[self._actuators] = self.joint_pos + self._velocity_gain_s * self.joint_vel

    def _advance_damped(self, data: mujoco.MjData) -> None:
        """Let the servo's reference be the measured position, so that only its damping acts."""
        self.joint_pos, self.joint_vel = data.qpos[self._qpos], np.zeros(len(self._qpos))
        if np.max(np.abs(data.qvel[self._dofs])) < _REST_RAD_S:
            self._rest(self.joint_pos)

    def _rest(self, joint_pos: FloatArray) -> None:
        self.joint_pos, self.joint_vel = joint_pos.copy(), np.zeros_like(joint_pos)
        self._reference: Reference | None = reference.hold(self.joint_pos)
        self._target: FloatArray | None = None
        self._approached_s = -np.inf


class GripperServo:
    """Position servo of a parallel gripper's opening, with limited force and speed.

    The reference is never further from the measured opening than the servo needs for the force
    asked for, so a blocked gripper presses with exactly that force. A gripper told to close fully
    presses with it whatever it holds; told to stop at a width, it presses less when it is blocked
    just before.

    Args:
        model: Compiled scene.
        gripper: The gripper in it.
    """

    def __init__(self, model: mujoco.MjModel, gripper: GripperModel) -> None:
        joints = _find(model, mujoco.mjtObj.mjOBJ_JOINT, gripper.joint_names)
        (self._actuator,) = _find(model, mujoco.mjtObj.mjOBJ_ACTUATOR, [gripper.actuator])
        self._qpos, self._dofs = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
        self._stiffness_n_m = float(model.actuator_gainprm[self._actuator, 0])
        self._gripper, self._dt_s = gripper, float(model.opt.timestep)
        self._target = GripperCommand(gripper.width_m[1], gripper.max_force_n)
        self._width_m = gripper.width_m[1]

    def sense(self, data: mujoco.MjData) -> tuple[float, float]:
        """Return opening [m] and its speed [m/s]."""
        width_m = float(np.clip(data.qpos[self._qpos].sum(), *self._gripper.width_m))
        return width_m, float(data.qvel[self._dofs].sum())

    def place(self, data: mujoco.MjData, width_m: float | None) -> None:
        """Put the fingers at rest at an opening [m], fully open if None, and hold it."""
        width_m = float(
            np.clip(self._gripper.width_m[1] if width_m is None else width_m, *self._gripper.width_m)
        )
        data.qpos[self._qpos], data.qvel[self._dofs] = width_m / 2, 0.0
        data.ctrl[self._actuator] = self._width_m = width_m
        self._target = GripperCommand(width_m, self._gripper.max_force_n)

    def command(self, command: GripperCommand) -> GripperCommand:
        """Take a target, clipped to the gripper's range and force, and return it."""
        self._target = GripperCommand(
            float(np.clip(command.width_m, *self._gripper.width_m)),
            float(np.clip(command.force_n, 0.0, self._gripper.max_force_n)),
        )
        return self._target

    def freeze(self, data: mujoco.MjData, clamping_n: float) -> None:
        """Stop the fingers where they are; what is clamped stays clamped.

        Fingers told to open that still press keep on pressing, as they did when they were told.

        Args:
            data: State.
            clamping_n: Force that presses the fingers apart, low-passed [N]; up to 1 N is none.
        """
        width_m, _ = self.sense(data)
        is_clamping = clamping_n > _CLAMPING_N
        if is_clamping and self._target.width_m <= width_m:
            return
        if is_clamping and self._width_m < width_m:
            self._target = GripperCommand(
                self._gripper.width_m[0], min(clamping_n, self._gripper.max_force_n)
            )
            return
        self._width_m = width_m
        self._target = GripperCommand(width_m, self._target.force_n)

    def advance(self, data: mujoco.MjData) -> None:
        """Write the control of the next physics step."""
        lead_m = self._target.force_n / self._stiffness_n_m
        is_closing_fully = self._target.width_m <= self._gripper.width_m[0]
        goal_m = self._target.width_m - lead_m * is_closing_fully
        step_m = self._gripper.speed_m_s * self._dt_s
        width_m = float(data.qpos[self._qpos].sum())
        self._width_m += float(np.clip(goal_m - self._width_m, -step_m, step_m))
        self._width_m = float(np.clip(self._width_m, width_m - lead_m, width_m + lead_m))
        data.ctrl[self._actuator] = self._width_m
