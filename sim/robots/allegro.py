"""Allegro-class right hand, four fingers of four joints: the MuJoCo model and its published numbers.

The model in `allegro.xml` is authored for this project after public facts; no file was copied. Sources:

* Link lengths, finger placement, joint axes, link cross-sections, fingertip radius: the maker's
  simlabrobotics/allegro_hand_ros, allegro_hand_description/allegro_hand_description_right.xacro.
* Joint limits: the same file, with its safety margin of 0.1 rad applied as there.
* Masses of a finger (0.17 kg), of the thumb (0.19 kg) and of the hand (1.08 kg), largest joint torque
  (0.70 N m) and speed (0.11 s for 60 degrees): the maker's data sheet of the Allegro Hand v3, from
  memory; it was not at hand to be read again. Within a finger the mass is spread like in
  dexsuite/dex-urdf, robots/hands/allegro_hand/allegro_hand_right.urdf, whose links sum to 0.96 kg.
* Servo gains kp 3 N m/rad, kv 0.1 N m s/rad: isaac-sim/IsaacGymEnvs, isaacgymenvs/tasks/allegro_hand.py
  (which limits torques to 0.5 N m), and Qi et al. 2022 (arXiv 2210.04887; HaozhiQi/hora,
  configs/task/AllegroHandHora.yaml). Rotor inertia 0.001 kg m^2: the former.

Joint damping is the torque-speed line of the motors: 0.7 N m at rest, nothing at 9.52 rad/s. Gravity is
not compensated: a finger sags by up to 0.05 rad. Accelerations and jerks have no published
limit. Phalanges collide as capsules whose front is where the real flat face is; the tips are rubber.

Frames: root = wrist mount, z along the fingers, x out of the palm, y to the thumb's side. The maker's
palm frame lies `PALM_LENGTH_M` further along z. Joints flex towards the palm.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Final

import mujoco
import numpy as np

from policies.robot import JointLimits
from sim.robots.hand import HandModel

__all__ = ["ALLEGRO", "HOME", "JOINTS", "LIMITS", "PINCH", "TIPS", "allegro_spec"]

FINGERS: Final = ("index", "middle", "ring")
JOINTS: Final = (
    *(f"{finger}_{joint}" for finger in FINGERS for joint in ("abduction", "mcp", "pip", "dip")),
    *(f"thumb_{joint}" for joint in ("opposition", "rotation", "mcp", "ip")),
)
TIPS: Final = ("index_tip", "middle_tip", "ring_tip", "thumb_tip")

PALM_LENGTH_M: Final = 0.095
TIP_RADIUS_M: Final = 0.012
MASS_KG: Final = 1.08
MAX_TORQUE_N_M: Final = 0.70
MAX_SPEED_RAD_S: Final = np.deg2rad(60) / 0.11

LIMITS: Final = JointLimits(
    joint_names=JOINTS,
    lower=np.array([-0.47, -0.196, -0.174, -0.227] * 3 + [0.263, -0.105, -0.189, -0.162]),
    upper=np.array([0.47, 1.61, 1.709, 1.618] * 3 + [1.396, 1.163, 1.644, 1.719]),
    velocity=np.full(16, MAX_SPEED_RAD_S),
    acceleration=np.full(16, 200.0),
    jerk=np.full(16, 20000.0),
    effort=np.full(16, MAX_TORQUE_N_M),
)

# Fingers half closed over the palm, thumb opposed: a ball of 60 mm passes between the tips.
HOME: Final = np.array([0.0, 0.5, 0.6, 0.4] * 3 + [1.1, 0.4, 0.3, 0.4])

# All four tips touch a ball of 50 mm at the site `grasp`; flexing further squeezes it.
PINCH: Final = np.array(
    [
        *(0.082, 0.791, 0.744, 0.224),
        *(0.273, 0.775, 0.585, 0.304),
        *(0.428, 1.036, 0.582, -0.165),
        *(1.396, 0.186, 0.727, 0.017),
    ]
)


def allegro_spec() -> mujoco.MjSpec:
    """Return a fresh, editable model of the hand, its wrist mount at the world's origin."""
    return mujoco.MjSpec.from_file(str(Path(__file__).with_name("allegro.xml")))


ALLEGRO: Final = HandModel(
    name="allegro",
    make_spec=allegro_spec,
    root_body="palm",
    limits=LIMITS,
    home=HOME,
    pinch=PINCH,
    tip_sites=TIPS,
)
