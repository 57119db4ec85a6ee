"""`ArmKinematics`: kinematics of an arm whose dexterous hand is a rigid thing at its end.

Skills that move the arm plan with the arm's joints alone; the fingers go on holding what they hold.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from policies.robot import JointLimits
from sim.kinematics import MujocoKinematics
from sim.kinematics_config import KinematicsConfig
from sim.robots.compose import ArmHandModel
from sim.robots.model import RobotModel


class ArmKinematics(MujocoKinematics):
    """See `MujocoKinematics`; its joints are the arm's, the hand keeps one posture.

    Args:
        robot: The arm with its hand.
        config: Settings.
        limits: Limits to plan under, of all joints or of the arm's; the robot's own if None.
        home: Rest posture of the arm [rad], (num_arm_joints,); the robot's own if None.

    Raises:
        ValueError: The robot has no dexterous hand.
    """

    def __init__(
        self,
        robot: RobotModel,
        config: KinematicsConfig | None = None,
        *,
        limits: JointLimits | None = None,
        home: tuple[float, ...] | None = None,
    ) -> None:
        """See the class."""
        if not isinstance(robot, ArmHandModel):
            raise ValueError(
                f"robot {robot.name!r} has no dexterous hand; use sim.kinematics.MujocoKinematics"
            )
        arm = rigid_hand(robot, None if home is None else np.array(home))
        super().__init__(arm, config, limits=limits_of(limits or robot.limits, robot.arm_joints))


def rigid_hand(robot: ArmHandModel, home: FloatArray | None = None) -> RobotModel:
    """Return the arm alone, its hand one rigid body in the pinching posture."""
    count = len(robot.arm_joints)
    posture = dict(zip(robot.hand_joints, robot.pinch, strict=True))

    def make_spec() -> mujoco.MjSpec:
        spec = robot.make_spec()
        model = spec.copy().compile()  # specs keep orientations as written
        for name, angle in posture.items():
            _freeze(spec, model, name, float(angle))
        return spec

    return RobotModel(
        name=robot.name,
        make_spec=make_spec,
        base_body=robot.base_body,
        limits=limits_of(robot.limits, robot.arm_joints),
        home=robot.home[:count] if home is None else home,
        gripper=None,
    )


def limits_of(limits: JointLimits, names: tuple[str, ...]) -> JointLimits:
    """Return the limits of some joints."""
    columns = [limits.joint_names.index(n) for n in names]
    fields = ("lower", "upper", "velocity", "acceleration", "jerk", "effort")
    return replace(limits, joint_names=names, **{f: getattr(limits, f)[columns] for f in fields})


def _freeze(spec: mujoco.MjSpec, model: mujoco.MjModel, name: str, angle_rad: float) -> None:
    """Turn a joint's body by an angle and take the joint away, with its actuator."""
    joint: Any = spec.joint(name)
    body, half = joint.parent, angle_rad / 2
    turn = np.concatenate(([np.cos(half)], np.sin(half) * model.joint(name).axis))
    quat = np.zeros(4)
    mujoco.mju_mulQuat(quat, model.body(body.name).quat, turn)
    body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
    body.quat = quat
    if spec.actuator(name) is not None:
        spec.delete(spec.actuator(name))
    spec.delete(joint)
