"""A robot of which there is no model here: kinematics from the maker's URDF or MJCF.

Meshes are not read. Links are capsules between joints, of one radius, which is enough for the height of the
lowest point and for planning with a margin; it is no model for physics.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import mujoco
import numpy as np

from policies.robot import JointLimits
from sim.robots.model import EE_SITE, RobotModel

_GROUP = 3
_SHORTEST_M = 1e-3
_UNLIMITED = 2 * np.pi


def load_file(
    path: str,
    ee_body: str,
    *,
    name: str = "",
    ee_pos_m: Sequence[float] = (0.0, 0.0, 0.0),
    ee_quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    link_radius_m: float = 0.04,
    home: Sequence[float] = (),
) -> RobotModel:
    """Return a robot model with the joints that lead to one of its links.

    Velocities, accelerations and efforts are not taken from the file: those of the robot's interface hold.

    Args:
        path: URDF or MJCF.
        ee_body: Link that carries the ee frame; z is the approach direction.
        name: Name of the robot; the file's if "".
        ee_pos_m: The ee frame's origin in the link [m].
        ee_quat_wxyz: Its orientation there.
        link_radius_m: Radius of the capsules [m].
        home: Rest posture [rad] or [m]; the middle of the limits, or 0 without, if ().

    Raises:
        ValueError: No such file or link, or no joints on the way to it; lists what there is.
    """
    make_spec = partial(_make_spec, Path(path), ee_body, tuple(ee_pos_m), tuple(ee_quat_wxyz), link_radius_m)
    spec = make_spec()
    joints = _chain(spec, ee_body)
    model = spec.compile()
    found = [model.joint(joint.name) for joint in joints]
    is_limited = [bool(model.jnt_limited[joint.id]) for joint in found]
    ranges = [j.range if k else (-_UNLIMITED, _UNLIMITED) for j, k in zip(found, is_limited, strict=True)]
    lower, upper = np.array(ranges, dtype=np.float64).T
    ones = np.ones(len(joints))
    limits = JointLimits(tuple(j.name for j in joints), lower, upper, ones, ones, ones, ones)
    rest = np.array(home, dtype=np.float64) if len(home) else np.where(is_limited, (lower + upper) / 2, 0.0)
    if len(rest) != len(joints):
        raise ValueError(f"home has {len(rest)} entries; joints: {', '.join(limits.joint_names)}")
    base = spec.worldbody.first_body().name
    return RobotModel(name or spec.modelname, make_spec, base, limits, rest, None)


def _make_spec(
    path: Path,
    ee_body: str,
    ee_pos_m: tuple[float, ...],
    ee_quat_wxyz: tuple[float, ...],
    link_radius_m: float,
) -> mujoco.MjSpec:
    if not path.is_file():
        raise ValueError(f"no robot model at {path}")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise ValueError(f"{path} is no URDF or MJCF: {' '.join(str(error).split())}") from error
    spec.compiler.fusestatic = False  # a fixed link may be the one that is asked for
    spec.compiler.discardvisual = False  # nor drop what is added later and touches nothing
    _drop_meshes(spec)
    body = spec.body(ee_body)
    if body is None:
        names = ", ".join(b.name for b in spec.bodies if b.name != "world")
        raise ValueError(f"{path} has no link {ee_body!r}; links: {names}")
    if (site := spec.site(EE_SITE)) is not None:
        spec.delete(site)
    body.add_site(name=EE_SITE, pos=list(ee_pos_m), quat=list(ee_quat_wxyz), group=4)
    for link in [b for b in spec.bodies if b.name != "world"]:
        _add_capsules(link, link_radius_m)
        if link.mass == 0 or not link.explicitinertial:  # URDF links without inertia, fixed frames
            link.mass, link.inertia, link.explicitinertial = 0.1, [1e-3] * 3, True
    return spec


def _drop_meshes(spec: mujoco.MjSpec) -> None:
    for geom in [g for g in spec.geoms if g.type == mujoco.mjtGeom.mjGEOM_MESH]:
        spec.delete(geom)
    for part in [*spec.meshes, *spec.textures, *spec.keys]:
        spec.delete(part)
    for geom in spec.geoms:
        geom.group = _GROUP


def _add_capsules(link: mujoco.MjsBody, radius_m: float) -> None:
    """Join the link's joint with those of its children."""
    for child in list(link.bodies):
        end = np.asarray(child.pos, dtype=np.float64)
        if np.linalg.norm(end) > _SHORTEST_M:
            link.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                fromto=[0.0, 0.0, 0.0, *end],
                size=[radius_m, 0.0, 0.0],
                group=_GROUP,
                mass=0.0,
            )


def _chain(spec: mujoco.MjSpec, ee_body: str) -> list[mujoco.MjsJoint]:
    """Return the joints between the world and a link, base first."""
    joints: list[mujoco.MjsJoint] = []
    body = spec.body(ee_body)
    while body is not None and body.name != "world":
        joints = [*body.joints, *joints]
        body = body.parent
    if not joints:
        raise ValueError(f"no joint moves the link {ee_body!r}")
    return joints
