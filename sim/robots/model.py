"""`RobotModel`: what the simulator must know of an arm beyond its MuJoCo model."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco

from perception_tools.geometry import FloatArray
from policies.robot import JointLimits
from sim.senses.pads import MountedPad

EE_SITE = "ee"
WRIST_CAMERA = "wrist"


@dataclass(frozen=True)
class GripperModel:
    """Parallel gripper: two coupled fingers, one position servo on the opening.

    Attributes:
        joint_names: Finger joints; the opening is the sum of their positions.
        actuator: Position actuator on the opening [m].
        finger_bodies: Left finger (opens towards the hand's +y) and right finger.
        width_m: Smallest and largest opening [m].
        max_force_n: Largest continuous clamping force [N].
        speed_m_s: Speed of the opening [m/s].
        pads: Tactile pads of the fingers, if any.
    """

    joint_names: tuple[str, str]
    actuator: str
    finger_bodies: tuple[str, str]
    width_m: tuple[float, float]
    max_force_n: float
    speed_m_s: float
    pads: tuple[MountedPad, ...] = ()


@dataclass(frozen=True, eq=False)
class RobotModel:
    """A robot that can be put into a scene.

    Every model has a site `ee` (grasp centre; z approach, y finger opening), a camera `wrist`, and
    position actuators named like the joints they drive.

    Attributes:
        name: Name on the command line (`robot=`).
        make_spec: Returns a fresh, editable spec with the base at the world's origin.
        base_body: Root body.
        limits: Limits of the arm's joints, in order.
        home: Rest posture [rad], (num_joints,).
        gripper: The gripper, None without one.
    """

    name: str
    make_spec: Callable[[], mujoco.MjSpec]
    base_body: str
    limits: JointLimits
    home: FloatArray
    gripper: GripperModel | None
