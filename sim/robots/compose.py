"""Arms with hands, hands fixed in the world, hands that fly.

A scene is built on the returned spec as on `fr3_spec()`. `MjSpec.attach` brings a hand's defaults,
materials, contact exclusions, actuators, sensors and keyframes along under a prefix, but drops its
`<option>`: set the physics on the parent (`sim.robots.fr3.set_physics_options`).

Names: an attached hand's joints, actuators, bodies, geoms and sites all carry the prefix
(`hand_index_mcp`, `hand_thumb_tip`); hands fixed in the world keep their own names.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from perception_tools.geometry import FloatArray, FrameError, Transform
from policies.robot import JointLimits
from sim.robots import fr3
from sim.robots.hand import GRASP_SITE, PALM_SITE, HandModel
from sim.robots.model import EE_SITE, WRIST_CAMERA, RobotModel

__all__ = [
    "ArmHandModel",
    "arm_with_hand",
    "attach_hand",
    "fixed_hand",
    "floating_hand",
    "fr3_arm",
    "palm_pose",
    "place_hand",
    "without_gripper",
]

FLANGE_SITE: Final = "flange"
HAND_PREFIX: Final = "hand_"
FLOATING_JOINTS: Final = ("palm_x", "palm_y", "palm_z", "palm_yaw", "palm_pitch", "palm_roll")

FLOATING_LIMITS: Final = JointLimits(
    joint_names=FLOATING_JOINTS,
    lower=np.array([-1.0] * 3 + [-np.pi] * 3),
    upper=np.array([1.0] * 3 + [np.pi] * 3),
    velocity=np.array([1.0] * 3 + [3.0] * 3),
    acceleration=np.array([5.0] * 3 + [20.0] * 3),
    jerk=np.array([100.0] * 3 + [500.0] * 3),
    effort=np.array([100.0] * 3 + [10.0] * 3),
)
# Overdamped for hands of up to 2 kg with an inertia of up to 0.02 kg m^2.
_FLOATING_KP: Final = (2000.0,) * 3 + (200.0,) * 3  # [N/m], [N m/rad]
_FLOATING_KV: Final = (150.0,) * 3 + (6.0,) * 3  # [N s/m], [N m s/rad]


@dataclass(frozen=True, eq=False)
class ArmHandModel(RobotModel):
    """An arm with a dexterous hand: a `RobotModel` of all joints, the arm's first.

    `ee` is the hand's grasp frame: z out of the palm, y from the thumb to the fingers.

    Attributes:
        arm_joints: The arm's joints.
        hand_joints: The hand's joints, prefixed.
        palm_site: Centre of the palm's inner face; x along the fingers, z out of the palm.
        tip_sites: Fingertip sites, prefixed, in the order of `HandModel`.
        pinch: Posture of the hand whose tips touch a ball of 50 mm at `ee` [rad], (num_hand_joints,).
        followers: Joints without an actuator, prefixed, as in `HandModel`.
    """

    arm_joints: tuple[str, ...]
    hand_joints: tuple[str, ...]
    palm_site: str
    tip_sites: tuple[str, ...]
    pinch: FloatArray
    followers: tuple[tuple[str, str, float], ...] = ()


# ---- arm and hand -------------------------------------------------------------------------------


def attach_hand(
    arm: mujoco.MjSpec,
    hand: mujoco.MjSpec,
    T_flange_hand: Transform | None = None,
    prefix: str = HAND_PREFIX,
) -> mujoco.MjSpec:
    """Mount a hand on an arm's site `flange`, in place, and move the site `ee` to the hand's grasp frame.

    The arm's controller knows its payload: the hand's weight is compensated as a whole at the palm,
    fingers still feel gravity.

    Args:
        arm: The arm's spec, without a gripper; changed.
        hand: The hand's spec; used up.
        T_flange_hand: Pose of the hand's root (wrist mount) on the flange; coinciding if None.
        prefix: Before all names of the hand.

    Returns:
        `arm`.

    Raises:
        ValueError: The arm has no flange or still has its gripper, the hand lacks a site, or the prefix
            is empty.
        FrameError: The pose is not ``T_flange_hand``.
    """
    if not prefix:
        raise ValueError("prefix must not be empty: names of the arm and the hand could be the same")
    T_link_flange = _site_pose(arm, FLANGE_SITE, "link", "arm")
    T_palm_grasp = _site_pose(hand, GRASP_SITE, "palm", "hand")
    link, root = arm.site(FLANGE_SITE).parent, hand.worldbody.first_body()
    if link.bodies:
        raise ValueError(f"the flange carries {link.bodies[0].name!r} already; see without_gripper()")
    masses = hand.copy().compile().body(root.name)
    root.gravcomp = masses.subtreemass[0] / masses.mass[0]
    T_link_hand = T_link_flange @ _checked(T_flange_hand, FLANGE_SITE, "hand")
    frame = link.add_frame(pos=T_link_hand.position_m, quat=T_link_hand.quat_wxyz)
    palm_name = prefix + hand.site(GRASP_SITE).parent.name
    arm.attach(hand, prefix=prefix, frame=frame)
    if (ee := arm.site(EE_SITE)) is not None:
        arm.delete(ee)
    pos, quat = T_palm_grasp.position_m, T_palm_grasp.quat_wxyz
    arm.body(palm_name).add_site(name=EE_SITE, pos=pos, quat=quat, group=4)
    return arm


def arm_with_hand(
    arm: RobotModel, hand: HandModel, T_flange_hand: Transform | None = None, prefix: str = HAND_PREFIX
) -> ArmHandModel:
    """Return the description of an arm with a hand on its flange.

    Args:
        arm: An arm without a gripper: `UR5E`, `fr3_arm()`.
        hand: The hand.
        T_flange_hand: Pose of the hand's root on the flange; coinciding if None.
        prefix: Before all names of the hand.
    """
    if arm.gripper is not None:
        raise ValueError(f"robot {arm.name!r} has a gripper; see without_gripper()")
    hand_joints = tuple(prefix + n for n in hand.limits.joint_names)

    def make_spec() -> mujoco.MjSpec:
        return attach_hand(arm.make_spec(), hand.make_spec(), T_flange_hand, prefix)

    return ArmHandModel(
        name=f"{arm.name}_{hand.name}",
        make_spec=make_spec,
        base_body=arm.base_body,
        limits=_joined(arm.limits, replace(hand.limits, joint_names=hand_joints)),
        home=np.concatenate([arm.home, hand.home]),
        gripper=None,
        arm_joints=arm.limits.joint_names,
        hand_joints=hand_joints,
        palm_site=prefix + PALM_SITE,
        tip_sites=tuple(prefix + n for n in hand.tip_sites),
        pinch=hand.pinch,
        followers=tuple((prefix + a, prefix + b, ratio) for a, b, ratio in hand.followers),
    )


def fr3_arm() -> RobotModel:
    """Return the Franka Research 3 without its gripper; `ee` is the flange, turned like the gripper."""
    return without_gripper(fr3.FR3)


def without_gripper(robot: RobotModel) -> RobotModel:
    """Return a Franka arm (Menagerie's too) without its hand; `ee` is the flange, turned like the hand."""
    return replace(
        robot, name=f"{robot.name}_arm", make_spec=partial(_bare_arm_spec, robot.make_spec), gripper=None
    )


def _bare_arm_spec(make_spec: Callable[[], mujoco.MjSpec]) -> mujoco.MjSpec:
    """Return the arm up to its flange, turned so that its x points forward at HOME."""
    spec = make_spec()
    hand = spec.body("hand")
    if spec.site(FLANGE_SITE) is None:
        hand.parent.add_site(name=FLANGE_SITE, pos=[0.0, 0.0, fr3.FLANGE_OFFSET_M], group=4)
    spec.delete(hand)  # its joints, actuator, tendon and equality go with it
    for own in fr3.fr3_spec().materials:
        if spec.material(own.name) is None:
            spec.add_material(name=own.name, rgba=own.rgba, specular=own.specular, shininess=own.shininess)
    flange, yaw = spec.site(FLANGE_SITE), fr3.HAND_YAW_RAD
    flange.quat = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    flange.parent.add_site(name=EE_SITE, pos=flange.pos, quat=flange.quat, group=4)
    _add_wrist_camera(flange.parent, flange.parent.add_frame(pos=flange.pos, quat=flange.quat))
    return spec


def _add_wrist_camera(link: mujoco.MjsBody, frame: mujoco.MjsFrame) -> None:
    """Add a small RGB-D camera on the flange's +x side, behind its face; it looks along the tool's z."""
    box, centre = mujoco.mjtGeom.mjGEOM_BOX, np.array([0.079, 0.0, -0.0255])
    eye, half = centre + np.array([0.0, 0.0, 0.0145]), np.sqrt(0.5)
    quat = [0.0, half, half, 0.0]  # OpenGL: looks along -z; image up = +x
    parts = [
        link.add_geom(type=box, pos=centre, size=[0.0115, 0.045, 0.0125], material="fr3_gray", group=2),
        link.add_geom(
            type=box, pos=[0.054, 0, -0.028], size=[0.016, 0.012, 0.008], material="fr3_dark", group=2
        ),
        link.add_geom(name="fr3_camera_collision", type=box, pos=centre, size=[0.015, 0.046, 0.016], group=3),
        link.add_site(name="wrist_camera", pos=eye, group=4),
        link.add_camera(name=WRIST_CAMERA, pos=eye, quat=quat, fovy=80, resolution=[640, 480]),
    ]
    for part in parts[:2]:
        part.contype, part.conaffinity = 0, 0
    for part in parts:
        part.set_frame(frame)


# ---- hands without an arm -----------------------------------------------------------------------


def palm_pose(p_world: ArrayLike, facing: Literal["up", "down"], yaw_rad: float = 0.0) -> Transform:
    """Return ``T_world_palm`` for a palm that faces up or down.

    Args:
        p_world: Centre of the palm's inner face [m], (3,).
        facing: Where the palm's z points.
        yaw_rad: Direction of the fingers about world z; 0 is world x.

    Raises:
        ValueError: Another `facing`.
    """
    if facing not in ("up", "down"):
        raise ValueError(f"facing must be 'up' or 'down', got {facing!r}")
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    sign = 1.0 if facing == "up" else -1.0
    rotation = np.array([[c, -s * sign, 0], [s, c * sign, 0], [0, 0, sign]])
    return Transform.from_parts(p_world, rotation, parent="world", child="palm")


def place_hand(hand: mujoco.MjSpec, T_world_palm: Transform) -> mujoco.MjsBody:
    """Move a hand's root so that its site `palm` is at a pose, in place; returns the root body.

    Raises:
        ValueError: The hand has no site `palm`.
        FrameError: The pose is not ``T_world_palm``.
    """
    T_palm_hand = _palm_in_root(hand).inverse()
    root = hand.worldbody.first_body()
    pose = _checked(T_world_palm, "world", "palm") @ T_palm_hand
    root.pos, root.quat = pose.position_m, pose.quat_wxyz
    return root


def fixed_hand(hand: HandModel, T_world_palm: Transform) -> mujoco.MjSpec:
    """Return a fresh spec of a hand whose palm is fixed in the world, names unchanged."""
    spec = hand.make_spec()
    place_hand(spec, T_world_palm)
    return spec


def floating_hand(hand: HandModel, T_world_palm: Transform, prefix: str = HAND_PREFIX) -> ArmHandModel:
    """Return the description of a hand whose palm flies: three slides along world axes, three hinges.

    The "arm" is these six joints, `FLOATING_JOINTS`, with position servos that move the palm by [m] and
    [rad] from `T_world_palm`; the hinges turn about the centre of the palm, yaw first. There is no wrist
    camera.

    Args:
        hand: The hand.
        T_world_palm: Pose of its palm at zero.
        prefix: Before all names of the hand.
    """
    T_palm_hand = _palm_in_root(hand.make_spec()).inverse()
    carrier = RobotModel(
        name="floating",
        make_spec=partial(_carrier_spec, _checked(T_world_palm, "world", "palm"), T_palm_hand),
        base_body="carrier",
        limits=FLOATING_LIMITS,
        home=np.zeros(6),
        gripper=None,
    )
    return arm_with_hand(carrier, hand, prefix=prefix)


def _carrier_spec(T_world_palm: Transform, T_palm_hand: Transform) -> mujoco.MjSpec:
    """Return six servoed joints at the palm's centre that carry a site `flange` at the hand's root."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    carrier = spec.worldbody.add_body(name="carrier", pos=T_world_palm.position_m, gravcomp=1.0)
    carrier.mass, carrier.inertia, carrier.explicitinertial = 0.2, [1e-4, 1e-4, 1e-4], True
    for i, (name, kp, kv) in enumerate(zip(FLOATING_JOINTS, _FLOATING_KP, _FLOATING_KV, strict=True)):
        limit, effort = FLOATING_LIMITS.upper[i], FLOATING_LIMITS.effort[i]
        kind = mujoco.mjtJoint.mjJNT_SLIDE if i < 3 else mujoco.mjtJoint.mjJNT_HINGE
        axis = np.eye(3)[(0, 1, 2, 2, 1, 0)[i]]
        carrier.add_joint(
            name=name,
            type=kind,
            axis=axis,
            range=[-limit, limit],
            actfrcrange=[-effort, effort],
            actgravcomp=True,
        )
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=kp, kv=kv)
        actuator.ctrlrange, actuator.forcerange = [-limit, limit], [-effort, effort]
    T_carrier_hand = T_world_palm.rotation @ T_palm_hand.rotation
    offset = T_world_palm.rotate(T_palm_hand.position_m)
    pose = Transform.from_parts(offset, T_carrier_hand, parent="carrier", child="hand")
    carrier.add_site(name=FLANGE_SITE, pos=pose.position_m, quat=pose.quat_wxyz, group=4)
    return spec


# ---- helpers ------------------------------------------------------------------------------------


def _checked(pose: Transform | None, parent: str, child: str) -> Transform:
    pose = pose or Transform.identity(parent, child)
    if (pose.parent, pose.child) != (parent, child):
        raise FrameError(f"expected T_{parent}_{child}, got T_{pose.parent}_{pose.child}")
    return pose


def _palm_in_root(hand: mujoco.MjSpec) -> Transform:
    """Return ``T_hand_palm``: the site `palm` in the root body, wrist joints (if any) at zero."""
    T_body_palm = _site_pose(hand, PALM_SITE, "body", "hand")
    model = hand.copy().compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    root, body = data.body(hand.worldbody.first_body().name), data.body(hand.site(PALM_SITE).parent.name)
    T_world_hand = Transform.from_parts(root.xpos, root.xquat, parent="world", child="hand")
    T_world_body = Transform.from_parts(body.xpos, body.xquat, parent="world", child="body")
    return T_world_hand.inverse() @ T_world_body @ T_body_palm


def _site_pose(spec: mujoco.MjSpec, name: str, parent: str, owner: str) -> Transform:
    """Return a site's pose in its body, by compiling a copy: specs keep orientations as written."""
    model = spec.copy().compile()
    if mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, name) < 0:
        names = ", ".join(model.site(i).name for i in range(model.nsite)) or "none"
        raise ValueError(f"the {owner} has no site {name!r}; sites: {names}")
    site = model.site(name)
    return Transform.from_parts(site.pos, site.quat, parent=parent, child=name)


def _joined(a: JointLimits, b: JointLimits) -> JointLimits:
    fields = ("lower", "upper", "velocity", "acceleration", "jerk", "effort")
    values = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in fields}
    return JointLimits(joint_names=a.joint_names + b.joint_names, **values)
