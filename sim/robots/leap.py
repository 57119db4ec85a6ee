"""LEAP-class right hand, four fingers of four joints: the MuJoCo model and its published numbers.

The model in `leap.xml` is authored for this project after public facts; no file was copied. Sources:

* The hand: Shaw, Agarwal, Pathak 2023, "LEAP Hand", arXiv 2309.06440: joint order of a finger (flexion
  before abduction: the universal abduction-adduction mechanism), total mass 595 g (from memory of the
  paper; not read again).
* Joint placements, link masses: leap-hand/LEAP_Hand_Sim, assets/leap_hand/robot.urdf. Its masses, which
  sum to 0.746 kg, are scaled to the total of the paper.
* Joint limits, speed 8.48 rad/s: the same file. Ends of the tips, 48 mm and 60 mm from the last joint:
  `leap_hand_right.urdf` of dexsuite/dex-urdf.
* Motors, Dynamixel XC330-M288-T: 0.93 N m at rest and 81 rev/min without load at 5 V, 20 x 34 x 26 mm
  (Robotis e-manual). The hand's lite version has XL330-M288-T motors of 0.52 N m (`LITE_TORQUE_N_M`).
* Servo gains kp 3 N m/rad, kv 0.1 N m s/rad: leapsim/cfg/task/LeapHandRot.yaml of LEAP_Hand_Sim. Rotor
  inertia 0.001 kg m^2: that of published work on in-hand rotation (see `allegro.py`).

Joint damping is the torque-speed line of the motors. Gravity is not compensated. Accelerations and jerks
have no published limit. Phalanges collide as capsules whose front is where the real face is; the tips
are rubber, of 12 mm radius here.

Frames: root = wrist mount, z along the fingers, x out of the palm, y to the thumb's side. The palm frame
of the authors' file lies at (0, 0.038, 0.098) in it. Joints flex towards the palm.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Final

import mujoco
import numpy as np

from policies.robot import JointLimits
from sim.robots.hand import HandModel

__all__ = ["HOME", "JOINTS", "LEAP", "LIMITS", "PINCH", "TIPS", "leap_spec"]

FINGERS: Final = ("index", "middle", "ring")
JOINTS: Final = (
    *(f"{finger}_{joint}" for finger in FINGERS for joint in ("mcp", "abduction", "pip", "dip")),
    *(f"thumb_{joint}" for joint in ("cmc", "axial", "mcp", "ip")),
)
TIPS: Final = ("index_tip", "middle_tip", "ring_tip", "thumb_tip")

TIP_RADIUS_M: Final = 0.012
MASS_KG: Final = 0.595
STALL_TORQUE_N_M: Final = 0.93
LITE_TORQUE_N_M: Final = 0.52
MAX_SPEED_RAD_S: Final = 8.48

LIMITS: Final = JointLimits(
    joint_names=JOINTS,
    lower=np.array([-0.314, -1.047, -0.506, -0.366] * 3 + [-0.349, -0.47, -1.20, -1.34]),
    upper=np.array([2.23, 1.047, 1.885, 2.042] * 3 + [2.094, 2.443, 1.90, 1.88]),
    velocity=np.full(16, MAX_SPEED_RAD_S),
    acceleration=np.full(16, 200.0),
    jerk=np.full(16, 20000.0),
    effort=np.full(16, STALL_TORQUE_N_M),
)

# Fingers half closed over the palm, thumb opposed: a ball of 60 mm passes between the tips.
HOME: Final = np.array([0.6, 0.0, 0.5, 0.5] * 3 + [1.0, 0.6, 0.3, 0.4])

# All four tips touch a ball of 50 mm at the site `grasp`; flexing further squeezes it.
PINCH: Final = np.array(
    [
        *(0.631, -0.444, 0.736, 0.468),
        *(0.703, -0.577, 0.393, 0.405),
        *(1.309, -0.720, -0.055, -0.206),
        *(1.416, 0.247, 0.539, 0.158),
    ]
)


def leap_spec() -> mujoco.MjSpec:
    """Return a fresh, editable model of the hand, its wrist mount at the world's origin."""
    return mujoco.MjSpec.from_file(str(Path(__file__).with_name("leap.xml")))


LEAP: Final = HandModel(
    name="leap",
    make_spec=leap_spec,
    root_body="palm",
    limits=LIMITS,
    home=HOME,
    pinch=PINCH,
    tip_sites=TIPS,
)
