"""The scene and handles that the arm's tasks share: an arm on a table."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from sim.batch.actions import ActionTerm, EeVelocity, GripperTarget, rotation_matrix
from sim.batch.handles import Actuators, Joints, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.task import Task
from sim.robots.compose import ArmHandModel
from sim.robots.fr3 import FR3, set_physics_options
from sim.robots.model import RobotModel
from sim.tasks.reading import PoseReading
from sim.tasks.views import add_light, add_view

WORK_X: Final = (0.38, 0.62)
WORK_Y: Final = (-0.2, 0.2)
"""Where objects and goals lie on the table [m]."""


def arm_scene(robot: RobotModel = FR3) -> mujoco.MjSpec:
    """Return the arm on a table whose top is z = 0, with a light and the camera `view`."""
    spec = robot.make_spec()
    set_physics_options(spec)
    spec.memory = 4 << 20
    spec.add_material(name="table")
    spec.worldbody.add_geom(
        name="table",
        material="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.65, 0.65, 0.02],
        pos=[0.4, 0.0, -0.02],
        rgba=[0.66, 0.58, 0.48, 1.0],
        friction=[0.8, 0.005, 0.0001],
    )
    add_light(spec)
    add_view(spec, eye=(1.25, -0.8, 0.68), target=(0.4, 0.0, 0.24))
    return spec


class ArmTask(Task):
    """A task of the arm that moves its grasp centre by Cartesian steps.

    Actions: (x, y, z) steps of the grasp centre in world, then yaw if `step_rad` > 0, then the
    gripper's opening if `has_gripper`. Without it the gripper stays closed.
    """

    has_gripper: ClassVar[bool] = True
    step_m: ClassVar[float] = 0.03
    step_rad: ClassVar[float] = 0.0
    limits_m: ClassVar[tuple[tuple[float, float, float], tuple[float, float, float]] | None] = None
    """Corners of the box in world that the grasp centre's target is kept in [m]; None for none."""

    @property
    def robot(self) -> RobotModel:
        """The robot; a task without a gripper may choose another."""
        return FR3

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        robot, device = self.robot, physics.device
        joints = _arm_joints(robot)
        self.arm, self.ee = Joints(physics, joints), Site(physics, "ee")
        self._servos = Actuators(physics, joints)
        self._home = torch.as_tensor(robot.home[: len(joints)], dtype=torch.float32, device=device)
        if robot.gripper is not None:
            self.fingers = Joints(physics, robot.gripper.joint_names)
            self._grip = Actuators(physics, (robot.gripper.actuator,))
        self._hand = _RestingHand(physics, robot) if isinstance(robot, ArmHandModel) else None

    def actions(self, physics: Physics) -> Sequence[ActionTerm]:
        """See `Task.actions`."""
        joints, gripper = _arm_joints(self.robot), self.robot.gripper
        self.reach = EeVelocity(
            physics, joints, joints, "ee", step_m=self.step_m, step_rad=self.step_rad,
            limits_m=self.limits_m,
        )  # fmt: skip
        if not self.has_gripper:
            return [self.reach]
        if gripper is None:
            raise ValueError(f"task {self.name!r} needs a gripper, which robot {self.robot.name!r} has not")
        step = gripper.speed_m_s * self.config.step_dt
        return [self.reach, GripperTarget(physics, [gripper.actuator], step)]

    def reset_arm(self, state: ResetState, offset: Tensor | None = None) -> None:
        """Put the arm at rest plus joint offsets [rad], (n, joints); fingers open, or closed if unused."""
        pos = self._home if offset is None else self._home + offset
        n = len(state["qpos"])
        self.arm.set(state, pos.expand(n, -1))
        state["ctrl"][:, self._servos.columns] = pos
        if (gripper := self.robot.gripper) is not None:
            opening = gripper.width_m[1] if self.has_gripper else 0.0
            self.fingers.set(state, torch.full((n, 2), opening / 2, device=pos.device))
            state["ctrl"][:, self._grip.columns] = opening
        if self._hand is not None:
            self._hand.reset(state)
        if self._servos.activations is not None:
            state["act"][:, self._servos.activations] = pos

    def observe_arm(self) -> dict[str, Tensor]:
        """Return the arm's own observation terms: joints, grasp centre [m], opening [m].

        The grasp centre is where the joints' readings put it.
        """
        terms = {
            "joint_pos": self.sense("joint_pos", self.arm.pos),
            "joint_vel": self.sense("joint_vel", self.arm.vel),
            "ee_pos": self.ee_reading().pos,
        }
        if self.has_gripper:
            terms["opening"] = self.sense("opening", self.fingers.pos.sum(-1, keepdim=True))
        return terms

    def ee_reading(self) -> PoseReading:
        """Return the grasp centre's pose where the joints' readings put it."""
        return read_ee(self, "joint_pos", self.arm, self.ee, self.reach)


def read_ee(task: Task, name: str, joints: Joints, ee: Site, reach: EeVelocity) -> PoseReading:
    """Return the pose of a site at the end of a chain where the joints' readings `name` put it."""
    true_pos, pos, mat = joints.pos, ee.pos, ee.mat
    joint_pos = task.sense(name, true_pos)
    if joint_pos is true_pos:
        return PoseReading(pos, mat, pos, mat)
    error = joint_pos - true_pos
    return PoseReading(pos + reach.moved(error), rotation_matrix(reach.turned(error)) @ mat, pos, mat)


class _RestingHand:
    """A dexterous hand that keeps its rest posture."""

    def __init__(self, physics: Physics, robot: ArmHandModel) -> None:
        home = dict(zip(robot.limits.joint_names, robot.home, strict=True))
        followers = {a: ratio * home[b] for a, b, ratio in robot.followers}
        self._servos = Actuators(physics, robot.hand_joints)
        self._joints = Joints(physics, (*robot.hand_joints, *followers))
        driven = [home[name] for name in robot.hand_joints]
        self._ctrl = torch.tensor(driven, dtype=torch.float32, device=physics.device)
        self._pos = torch.tensor([*driven, *followers.values()], dtype=torch.float32, device=physics.device)

    def reset(self, state: ResetState) -> None:
        """Put it there."""
        self._joints.set(state, self._pos.expand(len(state["qpos"]), -1))
        state["ctrl"][:, self._servos.columns] = self._ctrl


def _arm_joints(robot: RobotModel) -> tuple[str, ...]:
    return robot.arm_joints if isinstance(robot, ArmHandModel) else robot.limits.joint_names


def action_penalty(task: Task) -> Tensor:
    """Return the mean square of the action, (num_envs,)."""
    return task.last_action.square().mean(-1)
