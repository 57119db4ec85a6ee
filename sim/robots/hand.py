"""`HandModel`: what the simulator must know of a dexterous hand beyond its MuJoCo model."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco

from perception_tools.geometry import FloatArray
from policies.robot import JointLimits

PALM_SITE = "palm"
GRASP_SITE = "grasp"


@dataclass(frozen=True, eq=False)
class HandModel:
    """A hand that can be fixed in the world or attached to an arm.

    Every model's root body has its frame on the wrist mount (z along the fingers, x out of the palm)
    and every joint of `limits` has a position actuator of the same name. Sites: `palm` (centre of the
    palm's inner face; x along the fingers, z out of the palm), `grasp` (where the tips meet on a ball of
    50 mm; z out of the palm, y from the thumb to the fingers), and one on each fingertip.

    Attributes:
        name: Name on the command line.
        make_spec: Returns a fresh, editable spec with the root body's frame at the world's origin.
        root_body: Root body.
        limits: Limits of the joints, in the order of the actuators.
        home: Half-open posture without contact [rad], (num_joints,).
        pinch: Posture whose tips touch a ball of 50 mm at `grasp` [rad], (num_joints,).
        tip_sites: Fingertip sites; index, middle, ring, little if there is one, thumb. The geoms of the tips
            have the same names.
        followers: Joints without an actuator, each with the joint it follows and its angle over that one's.
    """

    name: str
    make_spec: Callable[[], mujoco.MjSpec]
    root_body: str
    limits: JointLimits
    home: FloatArray
    pinch: FloatArray
    tip_sites: tuple[str, ...]
    followers: tuple[tuple[str, str, float], ...] = ()
