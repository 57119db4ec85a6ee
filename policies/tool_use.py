"""Run a learned policy of a tool in a hand on any `Robot`: readings to observations, actions to setpoints.

The policy was trained in simulation on named entries (`tip_to_object.0`, `joint_pos.3`); here each of them
comes from the contracts that a real robot keeps, too: `RobotState`, `Kinematics`, `ToolSensor`, and where the
object is, which perception told. What the policy commands leaves as one `JointCommand` per control step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from perception_tools.geometry import FloatArray, Transform
from policies.held_tool import ToolReading, ToolSensor
from policies.motion import Kinematics
from policies.policy import Policy
from policies.robot import JointCommand, Robot, RobotState

ARM_ACTIONS: Final = ("x", "y", "z", "yaw")
_NUDGE_RAD: Final = 1e-5


@dataclass(frozen=True)
class ToolUseConfig:
    """What the entries of the action mean; as in training.

    Attributes:
        step_m: Step of the hand's grasp frame at action 1 [m].
        step_rad: Its turn about the vertical [rad].
        hand_step_rad: Step of a finger's target [rad].
        lead_m: Largest distance of the target pose from the sensed one [m].
        lead_rad: Largest angle between them [rad].
        damping: Of the least squares from steps of the hand to steps of the joints.
    """

    step_m: float = 0.007
    step_rad: float = 0.03
    hand_step_rad: float = 0.04
    lead_m: float = 0.02
    lead_rad: float = 0.4
    damping: float = 0.05


@dataclass(frozen=True, eq=False)
class ObjectEstimate:
    """Where a thing is thought to be, that is to be picked.

    Attributes:
        p_world: Its centre [m], (3,).
        yaw_rad: Direction of its short side about the vertical, 0 along world x [rad].
        width_m: Its short side [m]: what the tips span.
        half_height_m: Half its height as it lies [m].
    """

    p_world: FloatArray
    yaw_rad: float
    width_m: float
    half_height_m: float


class ToolUse:
    """Steps a policy on a robot.

    Args:
        robot: The robot, behind its safety filter.
        kinematics: Of its arm.
        sensor: What senses the tool.
        policy: What acts; its action has entries of the hand's joints, and maybe of the arm (x, y, z, yaw).
        config: What its actions mean.

    Raises:
        ValueError: The policy acts on what the robot does not have.
    """

    def __init__(
        self,
        robot: Robot,
        kinematics: Kinematics,
        sensor: ToolSensor,
        policy: Policy,
        config: ToolUseConfig | None = None,
    ) -> None:
        """See the class."""
        self.robot, self.sensor, self.policy = robot, sensor, policy
        self._kinematics, self._config = kinematics, config or ToolUseConfig()
        names = robot.limits.joint_names
        self._arm = [names.index(n) for n in kinematics.limits.joint_names]
        self._hand = [names.index(n) for n in sensor.hand_joints]
        short = tuple(n.removeprefix("hand_") for n in sensor.hand_joints)
        action = policy.spec.action.names
        self._moves_arm = action[: len(ARM_ACTIONS)] == ARM_ACTIONS
        expected = (ARM_ACTIONS if self._moves_arm else ()) + short
        if action != expected:
            raise ValueError(f"the policy acts on {', '.join(action)}; the robot has {', '.join(expected)}")
        self._goal: Transform | None = None
        self._targets: FloatArray | None = None
        policy.reset()

    # ---- one control step ---------------------------------------------------------------------------

    def step(self, goal: FloatArray, thing: ObjectEstimate | None = None) -> ToolReading:
        """Observe, act, send, and wait one control period; return what is sensed of the tool then.

        Args:
            goal: As the policy's spec says.
            thing: Where the object is, for policies that read it.

        Raises:
            RobotStopped: A stop is latched.
            ValueError: The policy reads what is not sensed.
        """
        state, reading = self.robot.state(), self.sensor.read()
        action = np.clip(self.policy.act(self.observe(state, reading, goal, thing)), -1.0, 1.0)
        self.robot.send(self._command(action, state))
        self.robot.sleep(self.policy.spec.step_dt)
        return self.sensor.read()

    def observe(
        self, state: RobotState, reading: ToolReading, goal: FloatArray, thing: ObjectEstimate | None
    ) -> dict[str, FloatArray]:
        """Return the policy's observations.

        Raises:
            ValueError: It reads an entry that is not sensed; names it.
        """
        entries = {
            f"{name}.{i}": float(v)
            for name, values in self._groups(state, reading, thing).items()
            for i, v in enumerate(values)
        }
        names = self.policy.spec.obs["observation"].names
        missing = [n for n in names if n not in entries]
        if missing:
            raise ValueError(f"the policy reads {missing[0]!r}, which is not sensed here")
        obs = {"observation": np.array([entries[n] for n in names]), "desired_goal": np.asarray(goal)}
        if "achieved_goal" in self.policy.spec.obs and thing is not None:
            obs["achieved_goal"] = thing.p_world
        return obs

    def _groups(
        self, state: RobotState, reading: ToolReading, thing: ObjectEstimate | None
    ) -> Mapping[str, FloatArray]:
        ee = self._kinematics.forward(state.joint_pos[self._arm])
        targets = self._hand_targets(state)
        tool = reading.T_palm_tool
        groups = {
            "arm_pos": state.joint_pos[self._arm],
            "arm_vel": state.joint_vel[self._arm],
            "squeezed": np.array([self._squeezed(targets)]),
            "ee_pos": ee.position_m,
            "ee_axes": ee.rotation[:, :2].ravel(),
            "tip_pos": reading.p_tip,
            "tip_axis": reading.tip_axis,
            "joint_pos": state.joint_pos[self._hand],
            "joint_vel": state.joint_vel[self._hand],
            "target": targets,
            "opening": np.array([reading.opening_m]),
            "hinge_vel": np.array([reading.hinge_vel]),
            "tool_pos": tool.position_m,
            "tool_axes": tool.rotation[:, 1:].ravel(),
        }
        if thing is None:
            return groups
        half = thing.yaw_rad / 2
        return groups | {
            "tip_to_object": thing.p_world - reading.p_tip,
            "object_quat": np.array([np.cos(half), 0.0, 0.0, np.sin(half)]),
            "object_size": np.array([thing.width_m, thing.half_height_m]),
        }

    def _hand_targets(self, state: RobotState) -> FloatArray:
        """Return what the hand's servos were last asked to hold [rad], (num_hand_joints,)."""
        if self._targets is None:
            held = state.joint_pos if state.joint_target is None else state.joint_target
            self._targets = held[self._hand].copy()
        return self._targets

    def _squeezed(self, targets: FloatArray) -> float:
        """Return how far the hand's targets are closed, in units of the way from open to closed."""
        opened, closed = self.sensor.hand_range
        way = closed - opened
        return float((targets - opened) @ way / (way @ way))

    # ---- from actions to setpoints ------------------------------------------------------------------

    def _command(self, action: FloatArray, state: RobotState) -> JointCommand:
        names, limits = self.robot.limits.joint_names, self.robot.limits
        fingers = action[len(ARM_ACTIONS) :] if self._moves_arm else action
        targets = self._hand_targets(state) + self._config.hand_step_rad * fingers
        targets = np.clip(targets, limits.lower[self._hand], limits.upper[self._hand])
        self._targets = targets
        columns, positions = list(self._hand), targets
        if self._moves_arm:
            columns = [*self._arm, *columns]
            positions = np.concatenate((self._arm_target(action, state.joint_pos[self._arm]), targets))
        return JointCommand(tuple(names[k] for k in columns), positions)

    def _arm_target(self, action: FloatArray, arm_pos: FloatArray) -> FloatArray:
        """Return the arm's setpoint [rad] for a step of the hand: damped least squares on its Jacobian."""
        c, now = self._config, self._kinematics.forward(arm_pos)
        goal = self._goal or now
        lead = goal.position_m + c.step_m * action[:3] - now.position_m
        lead *= min(1.0, c.lead_m / (float(np.linalg.norm(lead)) + 1e-9))
        turned = Rotation.from_rotvec([0.0, 0.0, c.step_rad * action[3]]).as_matrix() @ goal.rotation
        behind = Rotation.from_matrix(turned @ now.rotation.T).as_rotvec()
        angle = float(np.linalg.norm(behind))
        if angle > c.lead_rad:
            turned = Rotation.from_rotvec(behind * c.lead_rad / angle).as_matrix() @ now.rotation
        self._goal = Transform.from_parts(now.position_m + lead, turned, parent="world", child="ee")
        turn = 0.5 * np.cross(now.rotation, turned, axis=0).sum(axis=1)
        jacobian = self._jacobian(arm_pos, now)
        gram = jacobian @ jacobian.T + c.damping**2 * np.eye(6)
        step = jacobian.T @ np.linalg.solve(gram, np.concatenate((lead, turn)))
        limits = self._kinematics.limits
        return np.clip(arm_pos + step, limits.lower, limits.upper)

    def _jacobian(self, arm_pos: FloatArray, now: Transform) -> FloatArray:
        """Return the hand's Jacobian in world, linear over angular, (6, num_arm_joints), by differences."""
        columns = []
        for k in range(len(arm_pos)):
            nudged = arm_pos.copy()
            nudged[k] += _NUDGE_RAD
            there = self._kinematics.forward(nudged)
            turn = Rotation.from_matrix(there.rotation @ now.rotation.T).as_rotvec()
            columns.append(np.concatenate((there.position_m - now.position_m, turn)) / _NUDGE_RAD)
        return np.array(columns).T
