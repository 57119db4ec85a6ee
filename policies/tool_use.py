"""Run a learned policy of a tool in a hand on any `Robot`: readings to observations, actions to setpoints.

The policy was trained in simulation on named entries (`tip_to_object.0`, `joint_pos.3`); here each of them
comes from the contracts that a real robot keeps, too: `RobotState`, `Kinematics`, `ToolSensor`, and where the
object is, which perception told. What the policy commands leaves as one `JointCommand` per control step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from perception_tools.geometry import FloatArray
from policies.actions import Decoder, Deployment, EeTerm, JointTerm
from policies.held_tool import ToolReading, ToolSensor
from policies.hierarchy_files import LEVELS, load_hierarchy
from policies.motion import Kinematics
from policies.onnx_policy import OnnxPolicy
from policies.policy import Policy
from policies.robot import JointLimits, Robot, RobotState
from policies.shipped import shipped

HAND_PREFIX: Final = "hand_"
"""Before the names of a hand's joints that is mounted on an arm."""


@dataclass(frozen=True)
class ToolUseConfig:
    """What the entries of the action mean; as in training.

    Attributes:
        step_m: Step of the hand's grasp frame at action 1 [m].
        step_rad: Its turn about the vertical [rad].
        hand_step_rad: Step of a finger's target [rad].
        lead_m: Largest distance of the target pose from the sensed one [m].
    """

    step_m: float = 0.007
    step_rad: float = 0.03
    hand_step_rad: float = 0.04
    lead_m: float = 0.02


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


def _arm(limits: JointLimits, config: ToolUseConfig) -> EeTerm:
    """Return what steps of the hand mean for the arm."""
    return EeTerm(
        limits.joint_names,
        tuple(limits.lower),
        tuple(limits.upper),
        config.step_m,
        config.step_rad,
        lead_m=config.lead_m,
    )


def _fingers(limits: JointLimits, columns: list[int], config: ToolUseConfig) -> JointTerm:
    """Return what steps of the fingers mean; policies call them without the prefix of the hand."""
    names = tuple(limits.joint_names[k] for k in columns)
    return JointTerm(
        names,
        tuple(limits.lower[columns]),
        tuple(limits.upper[columns]),
        step=config.hand_step_rad,
        names=tuple(n.removeprefix(HAND_PREFIX) for n in names),
    )


def load_tool_policy(name: str) -> Policy:
    """Return a policy that runs in onnxruntime, without torch.

    Args:
        name: An experiment whose weights ship, or a folder with `levels.json` or `policy.onnx`.

    Raises:
        ValueError: There is none.
        ModuleNotFoundError: onnxruntime is not installed.
    """
    folder = Path(name) if Path(name).is_dir() else shipped(name)
    return load_hierarchy(folder) if (folder / LEVELS).is_file() else OnnxPolicy(folder / "policy.onnx")


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
        names, arm = robot.limits.joint_names, kinematics.limits
        self._arm = [names.index(n) for n in arm.joint_names]
        self._hand = [names.index(n) for n in sensor.hand_joints]
        actions = policy.spec.action.names
        hand = _fingers(robot.limits, self._hand, self._config)
        terms = (_arm(arm, self._config), hand) if actions[:1] == ("x",) else (hand,)
        self._decoder = Decoder(Deployment(terms, names), kinematics.forward)
        if actions != self._decoder.names:
            raise ValueError(
                f"the policy acts on {', '.join(actions)}; the robot has {', '.join(self._decoder.names)}"
            )
        self._held_at = sensor.read().T_palm_tool.position_m
        state = robot.state()
        held = state.joint_pos if state.joint_target is None else state.joint_target
        self._decoder.reset(replace(state, joint_pos=held))
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
        action = self.policy.act(self.observe(state, reading, goal, thing))
        self.robot.send(self._decoder.decode(action, state))
        self.robot.sleep(self.policy.spec.step_dt)
        return self.sensor.read()

    def slipped_m(self, reading: ToolReading) -> float:
        """Return how far the tool has moved in the hand since the start [m]."""
        return float(np.linalg.norm(reading.T_palm_tool.position_m - self._held_at))

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
        targets = self._decoder.target(self.sensor.hand_joints)
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

    def _squeezed(self, targets: FloatArray) -> float:
        """Return how far the hand's targets are closed, in units of the way from open to closed."""
        opened, closed = self.sensor.hand_range
        way = closed - opened
        return float((targets - opened) @ way / (way @ way))
