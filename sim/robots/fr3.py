"""Franka Research 3 with Franka Hand: the MuJoCo model and its published numbers.

The model in `fr3.xml` is authored for this project after public facts; no file was copied. Sources:

* Kinematics (Craig's modified DH parameters, below), joint position, velocity and torque limits:
  Franka Control Interface documentation, "Robot and interface specifications", Franka Research 3
  (frankarobotics.github.io/docs), and `franka_description` robots/fr3/joint_limits.yaml.
* Acceleration and jerk limits: libfranka include/franka/rate_limiting.h (FR3), 10 rad/s^2 and
  5000 rad/s^3 for every joint.
* Masses, centres of mass, inertias: frankaemika/franka_description robots/fr3/inertials.yaml and
  end_effectors/franka_hand/inertials.yaml (0.6544 kg; the Panda's hand had 0.73 kg there). Finger
  boxes, capsule radii and the 0.1034 m offset of the hand's grasp centre: the same package's xacro
  files.
* Hand: Franka Hand data sheet: opening 0.08 m, 50 mm/s per finger, 70 N continuous grasping force.
* Rotor inertia and joint damping: identified values used by MuJoCo Menagerie's `franka_fr3`. Joint
  friction is left out: the arm's own controller compensates it, as it does gravity (`gravcomp`).

The published velocity limits are position dependent near the ends of the range; the numbers here
are the largest ones. The position servo is stiff and overdamped at every posture (kv is chosen for
the largest reflected inertia), with joint torques limited to 87 and 12 N m.

Frames: world = base, z up. `ee` is the grasp centre: z approach, y finger opening; the finger ends
are `FINGERTIP_BEYOND_EE_M` further along z.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Final

import mujoco
import numpy as np

from policies.robot import JointLimits
from sim.robots.model import EE_SITE, WRIST_CAMERA, GripperModel, RobotModel
from sim.senses.pads import MountedPad, Pad

__all__ = ["EE_SITE", "FR3", "HOME", "LIMITS", "WRIST_CAMERA", "fr3_spec", "set_physics_options"]

ARM_JOINTS: Final = tuple(f"fr3_joint{i}" for i in range(1, 8))
FINGER_JOINTS: Final = ("fr3_finger_joint1", "fr3_finger_joint2")
GRIPPER_ACTUATOR: Final = "fr3_gripper"

# Craig's DH rows (a [m], d [m], alpha [rad]) of joints 1-7; the flange follows at d = 0.107.
DH_PARAMETERS: Final = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
)
FLANGE_OFFSET_M: Final = 0.107
HAND_YAW_RAD: Final = -np.pi / 4
GRASP_CENTRE_OFFSET_M: Final = 0.1034
FINGERTIP_BEYOND_EE_M: Final = 0.0095

GRIPPER_WIDTH_M: Final = (0.0, 0.08)
GRIPPER_MAX_FORCE_N: Final = 70.0
GRIPPER_SPEED_M_S: Final = 0.1  # of the opening: both fingers at 50 mm/s

# A grid of 4 x 4 taxels on the rubber of each finger: row 0 next to the hand, the last at the fingertip.
FINGER_PADS: Final = tuple(
    MountedPad(
        name=finger,
        body=finger,
        pad=Pad(rows=4, cols=4, size_m=(0.0175, 0.0185)),
        pos_m=(0.0, 0.0, 0.04525),
        quat_wxyz=(np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0),  # z out of the rubber, y to the fingertip
    )
    for finger in ("left_finger", "right_finger")
)

LIMITS: Final = JointLimits(
    joint_names=ARM_JOINTS,
    lower=np.array([-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159]),
    upper=np.array([2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159]),
    velocity=np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26]),
    acceleration=np.full(7, 10.0),
    jerk=np.full(7, 5000.0),
    effort=np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0]),
)

# Hand at about (0.307, 0, 0.487), pointing down, opening along world y, behind the workspace as
# seen from the scene camera.
HOME: Final = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])


def fr3_spec() -> mujoco.MjSpec:
    """Return a fresh, editable model of the arm and hand, its base at the world's origin.

    Build a scene by adding to this spec; attaching it elsewhere needs a prefix to its names
    (MuJoCo warns about an empty one).
    """
    return mujoco.MjSpec.from_file(str(Path(__file__).with_name("fr3.xml")))


def set_physics_options(spec: mujoco.MjSpec, timestep_s: float = 0.002) -> None:
    """Set the solver options that grasping by friction needs, on the spec that is compiled.

    Elliptic cones with a high friction-to-normal impedance ratio keep a grasp from creeping.
    The Jacobian is dense because the sparse Newton factorisation of MuJoCo 4.0.0 is wrong
    (google-deepmind/mujoco#3767, fixed in 4.0.1).

    Args:
        spec: The parent spec; options of attached specs are ignored by MuJoCo.
        timestep_s: Physics time step [s].
    """
    spec.option.timestep = timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE


FR3: Final = RobotModel(
    name="fr3",
    make_spec=fr3_spec,
    base_body="fr3_link0",
    limits=LIMITS,
    home=HOME,
    gripper=GripperModel(
        joint_names=FINGER_JOINTS,
        actuator=GRIPPER_ACTUATOR,
        finger_bodies=("left_finger", "right_finger"),
        width_m=GRIPPER_WIDTH_M,
        max_force_n=GRIPPER_MAX_FORCE_N,
        speed_m_s=GRIPPER_SPEED_M_S,
        pads=FINGER_PADS,
    ),
)
