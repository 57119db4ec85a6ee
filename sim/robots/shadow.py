"""Shadow Dexterous Hand, right, from the assets of the `gymnasium-robotics` wheel (optional).

Only the files are used (`gymnasium_robotics/envs/assets/hand`, their notices in its LICENSE.md); the
package's code is never imported. Kept: bodies, masses, meshes, joints, the tendons that couple the two
last joints of a finger, contacts, gains and torque limits. Changed: names lose their prefix `robot0:`,
actuators are named like the joints they drive, the model stands on the frame of `HandModel`, geoms are
in this project's groups, sites `mount`, `palm`, `grasp` and one on each tip are added; sensors, textures
and floor are left out.

Twenty actuators drive twenty-four joints: `FFJ0`, `MFJ0`, `RFJ0` and `LFJ0` follow their fingers.
Speeds, accelerations and jerks have no published limit in these files; those here are chosen.

Frames: the root lies at the lower end of the forearm, z along the fingers, x out of the palm, y to the
thumb's side.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import mujoco
import numpy as np

from policies.robot import JointLimits
from sim.robots.hand import GRASP_SITE, PALM_SITE, HandModel

__all__ = ["FOLLOWERS", "HOME", "JOINTS", "PINCH", "TIPS", "load", "shadow_spec"]

_FINGERS: Final = {"ff": "index", "mf": "middle", "rf": "ring", "lf": "little", "th": "thumb"}
TIPS: Final = tuple(f"{finger}_tip" for finger in _FINGERS.values())
JOINTS: Final = (
    *("WRJ1", "WRJ0", "FFJ3", "FFJ2", "FFJ1", "MFJ3", "MFJ2", "MFJ1", "RFJ3", "RFJ2", "RFJ1"),
    *("LFJ4", "LFJ3", "LFJ2", "LFJ1", "THJ4", "THJ3", "THJ2", "THJ1", "THJ0"),
)
"""The driven joints, in the order of the actuators."""
PASSIVE_JOINTS: Final = ("FFJ0", "MFJ0", "RFJ0", "LFJ0")

FOLLOWERS: Final = tuple((f"{f}J0", f"{f}J1", 0.00805 / 0.00705) for f in ("FF", "MF", "RF", "LF"))
"""The others: joint, the joint it follows, and its angle over that one's (the files' tendons)."""

# Fingers slightly closed, thumb opposed.
HOME: Final = np.array([0, 0, *(0, 0.3, 0.3) * 3, 0.15, 0, 0.3, 0.3, 0.8, 0.4, 0, -0.1, -0.3], dtype=float)

# The tips of index, middle, ring and thumb touch a ball of 50 mm at the site `grasp`.
PINCH: Final = np.array(
    [
        *(0, 0),
        *(-0.019, 0.416, 0.386),
        *(0, 0.641, 0.138),
        *(0.019, 0.416, 0.386),
        *(0.139, 0.138, 0.581, 0.411),
        *(0.742, 0.772, 0.209, -0.332, -0.749),
    ]
)
_GRASP_POS: Final = (0.0110, -0.0449, 0.1412)  # in the palm's own axes
_FOREARM_GAP_M: Final = 0.040
_UNUSED: Final = ("MatGnd", "object", "floor_mat")


def load() -> HandModel:
    """Return the hand.

    Raises:
        ValueError: If gymnasium-robotics is not installed; says what to do.
    """
    model = shadow_spec().compile()
    joints, servos = [model.joint(name) for name in JOINTS], [model.actuator(name) for name in JOINTS]
    return HandModel(
        name="shadow",
        make_spec=shadow_spec,
        root_body="forearm_mount",
        limits=JointLimits(
            joint_names=JOINTS,
            lower=np.array([j.range[0] for j in joints]),
            upper=np.array([j.range[1] for j in joints]),
            velocity=np.full(20, 5.0),
            acceleration=np.full(20, 200.0),
            jerk=np.full(20, 20000.0),
            effort=np.array([s.forcerange[1] for s in servos]),
        ),
        home=HOME,
        pinch=PINCH,
        tip_sites=TIPS,
        followers=FOLLOWERS,
    )


def shadow_spec() -> mujoco.MjSpec:
    """Return a fresh, editable model of the hand, its forearm's lower end at the world's origin.

    Raises:
        ValueError: If gymnasium-robotics is not installed; says what to do.
    """
    assets = _assets()
    spec = mujoco.MjSpec.from_string(_document(assets / "hand"))
    for mesh in spec.meshes:
        mesh.file = str(assets / "stls" / "hand" / mesh.file)
    for element in [*spec.sensors, *spec.textures, *(m for m in spec.materials if m.name in _UNUSED)]:
        spec.delete(element)
    root = spec.worldbody.first_body()
    root.name, half = "forearm_mount", np.sqrt(0.5)
    _place(root, [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])
    # In these files the palm faces -y, and the forearm's body begins 40 mm above its frame.
    _place(root.first_body(), [0.0, 0.0, -_FOREARM_GAP_M], [half, 0.0, 0.0, half])
    for geom in spec.geoms:
        geom.group = 2 if geom.name.startswith("V_") else 3
    root.add_site(name="mount", group=4)
    palm = spec.body("palm")
    # z out of the palm (-y there); x along the fingers; and the grasp: y from the thumb to the fingers.
    palm.add_site(name=PALM_SITE, pos=[0.0, -0.0111, 0.045], quat=[0.5, 0.5, -0.5, 0.5], group=4)
    palm.add_site(name=GRASP_SITE, pos=_GRASP_POS, quat=[half, half, 0.0, 0.0], group=4)
    for short, finger in _FINGERS.items():
        tip = spec.geom(f"{finger}_tip")
        end = tip.pos + np.array([0.0, 0.0, tip.size[1]])
        spec.body(f"{short}distal").add_site(name=f"{finger}_tip", pos=end, group=4)
    for name in ("V_thbase", "V_thhub"):  # drawn, not to be touched
        spec.geom(name).contype, spec.geom(name).conaffinity = 0, 0
    return spec


def _place(body: mujoco.MjsBody, pos: list[float], quat: list[float]) -> None:
    body.pos, body.quat = pos, quat
    body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT  # the file's angles would win


def _assets() -> Path:
    found = find_spec("gymnasium_robotics")
    if found is None or not found.submodule_search_locations:
        raise ValueError("robot shadow needs `pip install habilis[shadow]` (the files of gymnasium-robotics)")
    return Path(next(iter(found.submodule_search_locations))) / "envs" / "assets"


def _document(folder: Path) -> str:
    """Return one MJCF of the hand's three files, under plain names."""
    parts = {name: _inner(folder / f"{name}.xml") for name in ("shared", "shared_asset", "robot")}
    text = (
        f'<mujoco model="shadow"><compiler angle="radian"/>{parts["shared"]}'
        f"<asset>{parts['shared_asset']}</asset><worldbody>{parts['robot']}</worldbody></mujoco>"
    )
    text = re.sub(r"<(size|visual)\b.*?</\1>", "", text, flags=re.S)
    text = re.sub(r' user="[^"]*"', "", text)
    for short, finger in _FINGERS.items():
        text = text.replace(f"robot0:C_{short}distal", f"{finger}_tip")
    return text.replace("robot0:A_", "").replace("robot0:", "")


def _inner(path: Path) -> str:
    """Return what stands between the `mujoco` tags of a file."""
    return path.read_text(encoding="utf-8").split("<mujoco>", 1)[1].rsplit("</mujoco>", 1)[0]
