"""True models from MuJoCo Menagerie, adapted to the names and servos of `RobotModel`.

The package `mujoco-menagerie` keeps models in a cache; nothing is downloaded here. Set
`MENAGERIE_ROOT` to use a checkout of github.com/google-deepmind/mujoco_menagerie instead.

* `franka_fr3`: the arm of Menagerie with this project's Franka Hand (Menagerie's has none).
* `franka_emika_panda`: arm and hand of Menagerie. Velocity, acceleration and jerk limits after
  libfranka's rate_limiting.h for the Panda.

Kept: bodies, masses, meshes, joint ranges, servo gains. Changed: gravity is compensated, arm
actuators are named like their joints, the gripper is one position servo on its opening, the
fingertips are rubber as in `fr3.xml`, sites `ee` and `wrist_camera` and a camera `wrist` are added.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from policies.robot import JointLimits
from sim.robots import fr3
from sim.robots.model import EE_SITE, WRIST_CAMERA, GripperModel, RobotModel


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What is needed to use one of Menagerie's models.

    Attributes:
        base_body: Root body.
        joint_names: Joints of the arm.
        finger_joints: Joints of the fingers.
        velocity: Velocity limits [rad/s], (7,).
        acceleration: Acceleration limits [rad/s^2], (7,).
        jerk: Jerk limits [rad/s^3], (7,).
        has_hand: Whether Menagerie's model has the Franka Hand.
    """

    base_body: str
    joint_names: tuple[str, ...]
    finger_joints: tuple[str, str]
    velocity: FloatArray
    acceleration: FloatArray
    jerk: FloatArray
    has_hand: bool


ADAPTED = {
    "franka_fr3": Adaptation(
        base_body="base",
        joint_names=fr3.ARM_JOINTS,
        finger_joints=fr3.FINGER_JOINTS,
        velocity=fr3.LIMITS.velocity,
        acceleration=fr3.LIMITS.acceleration,
        jerk=fr3.LIMITS.jerk,
        has_hand=False,
    ),
    "franka_emika_panda": Adaptation(
        base_body="link0",
        joint_names=tuple(f"joint{i}" for i in range(1, 8)),
        finger_joints=("finger_joint1", "finger_joint2"),
        velocity=np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61]),
        acceleration=np.array([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0]),
        jerk=np.array([7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0]),
        has_hand=True,
    ),
}
_EFFORT = fr3.LIMITS.effort  # the same for both: 87 and 12 N m


def load(name: str) -> RobotModel:
    """Return a Menagerie robot by its name in the package, one of `ADAPTED`.

    Raises:
        ValueError: The package is missing, or the model is neither cached nor under
            `MENAGERIE_ROOT`; says what to do.
    """
    path = find(name)
    adaptation = ADAPTED[name]
    make_spec = _spec_factory(path, adaptation)
    ranges = make_spec().compile().jnt_range[: len(adaptation.joint_names)]
    return RobotModel(
        name=f"menagerie/{name}",
        make_spec=make_spec,
        base_body=adaptation.base_body,
        limits=JointLimits(
            joint_names=adaptation.joint_names,
            lower=ranges[:, 0],
            upper=ranges[:, 1],
            velocity=adaptation.velocity,
            acceleration=adaptation.acceleration,
            jerk=adaptation.jerk,
            effort=_EFFORT,
        ),
        home=fr3.HOME,
        gripper=GripperModel(
            joint_names=adaptation.finger_joints,
            actuator=fr3.GRIPPER_ACTUATOR,
            finger_bodies=("left_finger", "right_finger"),
            width_m=fr3.GRIPPER_WIDTH_M,
            max_force_n=fr3.GRIPPER_MAX_FORCE_N,
            speed_m_s=fr3.GRIPPER_SPEED_M_S,
        ),
    )


def find(name: str, model: str | None = None, instead: str = "robot=fr3") -> str:
    """Return the path of a model's XML without ever downloading.

    Args:
        name: Robot in the package.
        model: Which of its models; its default one if None.
        instead: What needs no package, for the error.

    Raises:
        ValueError: The package is missing, or the model is neither cached nor under
            `MENAGERIE_ROOT`; says what to do.
    """
    try:
        import mujoco_menagerie  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            f"menagerie/{name} needs `pip install mujoco-menagerie`; or use {instead}"
        ) from error
    robot, cache = mujoco_menagerie.get(name), mujoco_menagerie.Cache()
    if cache.root is None and not cache.is_cached(robot):
        raise ValueError(
            f"menagerie/{name} is not in {cache.dir}: run `mujoco-menagerie prefetch {name}` where there "
            f"is a network, set MENAGERIE_ROOT to a checkout of mujoco_menagerie, or use {instead}"
        )
    try:
        path = robot.xml(model or robot.default_model, cache)
    except mujoco_menagerie.MenagerieError as error:
        raise ValueError(f"menagerie/{name}: {error}; or use {instead}") from error
    if not path.is_file():
        raise ValueError(f"menagerie/{name}: {path} is missing; or use {instead}")
    return str(path)


def _spec_factory(path: str, adaptation: Adaptation) -> Callable[[], mujoco.MjSpec]:
    def make_spec() -> mujoco.MjSpec:
        spec = mujoco.MjSpec.from_file(path)
        for element in [*spec.keys, *spec.lights]:
            spec.delete(element)
        if adaptation.has_hand:
            _add_wrist_camera(spec.body("hand"))
            _coat_fingertips(spec)
        else:
            _add_hand(spec)
        _drive_gripper(spec, adaptation.finger_joints)
        _drive_arm(spec, adaptation.joint_names)
        for body in spec.bodies:
            body.gravcomp = 1.0
        return spec

    return make_spec


def _drive_arm(spec: mujoco.MjSpec, joint_names: tuple[str, ...]) -> None:
    """Name the position servos like their joints, limit their torques, compensate gravity in them."""
    for joint_name, torque in zip(joint_names, _EFFORT, strict=True):
        (actuator,) = (a for a in spec.actuators if a.target == joint_name)
        actuator.name = joint_name
        actuator.forcerange = [-torque, torque]
        joint = spec.joint(joint_name)
        joint.actgravcomp = True
        joint.actfrcrange = [-torque, torque]


def _drive_gripper(spec: mujoco.MjSpec, finger_joints: tuple[str, str]) -> None:
    """Couple the fingers and put one position servo on their opening, as in `fr3.xml`."""
    own = fr3.fr3_spec()
    for element in [*spec.tendons, *spec.equalities]:
        spec.delete(element)
    for actuator in [a for a in spec.actuators if a.target not in {j.name for j in spec.joints}]:
        spec.delete(actuator)
    tendon = spec.add_tendon(name=fr3.GRIPPER_ACTUATOR)
    for finger_joint in finger_joints:
        tendon.wrap_joint(finger_joint, 1.0)
    coupling = own.equality("fr3_fingers")
    spec.add_equality(
        name="fr3_fingers",
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=finger_joints[1],
        name2=finger_joints[0],
        data=coupling.data,
        solref=coupling.solref,
        solimp=coupling.solimp,
    )
    servo = own.actuator(fr3.GRIPPER_ACTUATOR)
    spec.add_actuator(
        name=fr3.GRIPPER_ACTUATOR,
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target=fr3.GRIPPER_ACTUATOR,
        gaintype=servo.gaintype,
        gainprm=servo.gainprm,
        biastype=servo.biastype,
        biasprm=servo.biasprm,
        ctrlrange=servo.ctrlrange,
        forcerange=servo.forcerange,
    )
    spec.add_exclude(bodyname1="left_finger", bodyname2="right_finger")
    for finger_joint in finger_joints:
        joint, own_joint = spec.joint(finger_joint), own.joint("fr3_finger_joint1")
        joint.armature, joint.damping = own_joint.armature, own_joint.damping
        joint.actfrclimited = False


def _coat_fingertips(spec: mujoco.MjSpec) -> None:
    """Give the box-shaped collision geoms of both fingers the rubber of `fr3.xml`."""
    rubber = fr3.fr3_spec().geom("left_finger_pad")
    for finger in ("left_finger", "right_finger"):
        for geom in spec.body(finger).geoms:
            if geom.type == mujoco.mjtGeom.mjGEOM_BOX and (geom.contype or geom.conaffinity):
                geom.condim, geom.priority, geom.friction = rubber.condim, rubber.priority, rubber.friction
                geom.solref, geom.solimp = rubber.solref, rubber.solimp


def _add_wrist_camera(hand: Any) -> None:
    own = fr3.fr3_spec()
    ee, mount, camera = own.site(EE_SITE), own.site("wrist_camera"), own.camera(WRIST_CAMERA)
    hand.add_site(name=EE_SITE, pos=ee.pos, group=ee.group)
    hand.add_site(name="wrist_camera", pos=mount.pos, group=mount.group)
    hand.add_camera(
        name=WRIST_CAMERA,
        pos=camera.pos,
        xyaxes=camera.alt.xyaxes,
        fovy=camera.fovy,
        resolution=camera.resolution,
    )


def _add_hand(spec: mujoco.MjSpec) -> None:
    """Mount the hand of `fr3.xml` on the flange, under its own names."""
    prefix = "mounted/"
    hand = fr3.fr3_spec().body("hand")
    hand.pos = [0.0, 0.0, 0.0]  # the site is the flange already
    spec.site("attachment_site").attach_body(hand, prefix, "")
    attached = [*spec.tendons, *spec.equalities, *spec.actuators]
    for element in [e for e in attached if e.name.startswith(prefix)]:
        spec.delete(element)
    for element in [e for e in spec.excludes if prefix in e.bodyname1 + e.bodyname2]:
        spec.delete(element)
    for geom in spec.geoms:
        geom.material = geom.material.removeprefix(prefix)
    for element in [*spec.bodies, *spec.joints, *spec.sites, *spec.cameras, *spec.geoms, *spec.materials]:
        element.name = element.name.removeprefix(prefix)
