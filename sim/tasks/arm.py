"""The scene and handles that the arm's tasks share: Franka Research 3 on a table."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from sim.batch.actions import ActionTerm, EeVelocity, GripperTarget
from sim.batch.handles import Actuators, Joints, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.task import Task
from sim.robots.fr3 import (
    ARM_JOINTS,
    FINGER_JOINTS,
    GRIPPER_ACTUATOR,
    GRIPPER_SPEED_M_S,
    GRIPPER_WIDTH_M,
    HOME,
    fr3_spec,
    set_physics_options,
)
from sim.tasks.views import add_light, add_view

WORK_X: Final = (0.38, 0.62)
WORK_Y: Final = (-0.2, 0.2)
"""Where objects and goals lie on the table [m]."""


def arm_scene() -> mujoco.MjSpec:
    """Return the arm on a table whose top is z = 0, with a light and the camera `view`."""
    spec = fr3_spec()
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

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        self.arm, self.fingers = Joints(physics, ARM_JOINTS), Joints(physics, FINGER_JOINTS)
        self.ee = Site(physics, "ee")
        self._servos, self._grip = Actuators(physics, ARM_JOINTS), Actuators(physics, (GRIPPER_ACTUATOR,))
        self._home = torch.as_tensor(HOME, dtype=torch.float32, device=physics.device)

    def actions(self, physics: Physics) -> Sequence[ActionTerm]:
        """See `Task.actions`."""
        self.reach = EeVelocity(
            physics, ARM_JOINTS, ARM_JOINTS, "ee", step_m=self.step_m, step_rad=self.step_rad,
            limits_m=self.limits_m,
        )  # fmt: skip
        if not self.has_gripper:
            return [self.reach]
        step = GRIPPER_SPEED_M_S * self.config.step_dt
        return [self.reach, GripperTarget(physics, [GRIPPER_ACTUATOR], step)]

    def reset_arm(self, state: ResetState, offset: Tensor | None = None) -> None:
        """Put the arm at rest plus joint offsets [rad], (n, 7); fingers open, or closed without a gripper."""
        pos = self._home if offset is None else self._home + offset
        opening = GRIPPER_WIDTH_M[1] if self.has_gripper else 0.0
        n = len(state["qpos"])
        self.arm.set(state, pos.expand(n, -1))
        self.fingers.set(state, torch.full((n, 2), opening / 2, device=pos.device))
        state["ctrl"][:, self._servos.columns] = pos
        state["ctrl"][:, self._grip.columns] = opening
        if self._servos.activations is not None:
            state["act"][:, self._servos.activations] = pos

    def observe_arm(self) -> dict[str, Tensor]:
        """Return the arm's own observation terms: joints, grasp centre [m], opening [m]."""
        terms = {"joint_pos": self.arm.pos, "joint_vel": self.arm.vel, "ee_pos": self.ee.pos}
        if self.has_gripper:
            terms["opening"] = self.fingers.pos.sum(-1, keepdim=True)
        return terms


def action_penalty(task: Task) -> Tensor:
    """Return the mean square of the action, (num_envs,)."""
    return task.last_action.square().mean(-1)
