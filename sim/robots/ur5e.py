"""Universal Robots UR5e: the MuJoCo model and its published numbers.

The model in `ur5e.xml` is authored for this project after public facts; no file was copied. Sources:

* Kinematics (Denavit and Hartenberg's parameters, below): Universal Robots, "DH parameters for
  calculations of kinematics and dynamics".
* Masses, centres of mass, inertias; offsets of the upper arm (138 mm) and the forearm (7 mm) from the
  plane of the shoulder: UniversalRobots/Universal_Robots_ROS2_Description,
  config/ur5e/physical_parameters.yaml. Its base mass is marked as doubtful there; here the base makes up
  the 20.6 kg of the data sheet (from memory).
* Limits of position, velocity and torque: the same package's config/ur5e/joint_limits.yaml, after the
  user manual. The elbow can't turn by more than pi past the upper arm. Accelerations are not published;
  the 180 degrees/s^2 are that file's, the jerk limit is chosen here.
* Housings and tubes: dimensions on the drawings of the data sheet, to a few millimetres.
* Rotor inertia 0.1 kg m^2: google-deepmind/mujoco_menagerie, universal_robots_ur5e/ur5e.xml.

Like the FR3 here, gravity is compensated by the joints' own controller, and the position servo is stiff
and overdamped at every posture, limited to 150 and 28 N m.

Frames: world = base, x forward, z up (REP 103; the teach pendant's base is turned by pi about z). `ee` is
the tool flange: z out of it. The site `flange` is the same; an attached hand moves `ee` only.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Final

import mujoco
import numpy as np

from policies.robot import JointLimits
from sim.robots.model import RobotModel

__all__ = ["HOME", "JOINTS", "LIMITS", "UR5E", "ur5e_spec"]

JOINTS: Final = (
    *("ur5e_shoulder_pan", "ur5e_shoulder_lift", "ur5e_elbow"),
    *("ur5e_wrist_1", "ur5e_wrist_2", "ur5e_wrist_3"),
)

# Denavit and Hartenberg's rows (a [m], d [m], alpha [rad]) of joints 1-6; the last ends at the flange.
DH_PARAMETERS: Final = (
    (0.0, 0.1625, np.pi / 2),
    (-0.425, 0.0, 0.0),
    (-0.3922, 0.0, 0.0),
    (0.0, 0.1333, np.pi / 2),
    (0.0, 0.0997, -np.pi / 2),
    (0.0, 0.0996, 0.0),
)
MASS_KG: Final = 20.6

LIMITS: Final = JointLimits(
    joint_names=JOINTS,
    lower=np.array([-6.283185, -6.283185, -3.141593, -6.283185, -6.283185, -6.283185]),
    upper=np.array([6.283185, 6.283185, 3.141593, 6.283185, 6.283185, 6.283185]),
    velocity=np.full(6, np.pi),
    acceleration=np.full(6, np.pi),
    jerk=np.full(6, 1000.0),
    effort=np.array([150.0, 150.0, 150.0, 28.0, 28.0, 28.0]),
)

# Upper arm upright, forearm level, flange at (0.510, 0, 0.488) and pointing down, its x forward. The
# first joint turns the wrist's sideways offset of 0.1333 m into the plane y = 0.
_PAN: Final = -np.arctan2(0.1333, 0.3922 + 0.0997)
HOME: Final = np.array([_PAN, -np.pi / 2, np.pi / 2, -np.pi / 2, -np.pi / 2, _PAN - np.pi / 2])


def ur5e_spec() -> mujoco.MjSpec:
    """Return a fresh, editable model of the arm, its base at the world's origin."""
    return mujoco.MjSpec.from_file(str(Path(__file__).with_name("ur5e.xml")))


UR5E: Final = RobotModel(
    name="ur5e",
    make_spec=ur5e_spec,
    base_body="ur5e_base",
    limits=LIMITS,
    home=HOME,
    gripper=None,
)
