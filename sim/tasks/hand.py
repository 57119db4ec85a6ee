"""What the tasks of a fixed dexterous hand share: scene, handles, actions, postures that reach points."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import FloatArray, Transform
from sim.batch.actions import ActionTerm, JointTargets
from sim.batch.handles import Actuators, Joints, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.randomize import RANDOMISED, Randomization
from sim.batch.task import Preset, Task, TaskConfig
from sim.robots.allegro import ALLEGRO, JOINTS, LIMITS, TIPS
from sim.robots.compose import fixed_hand
from sim.robots.fr3 import set_physics_options
from sim.tasks.views import add_light

Vec3 = tuple[float, float, float]
TIP_RADIUS_M = 0.012
HAND_NOISE: Final = {"joint_pos": 0.002, "joint_vel": 0.02}
"""Noise of the hand's joints [rad], [rad/s]."""


@dataclass(frozen=True)
class HandTaskConfig(TaskConfig):
    """Settings of tasks of a hand: 25 Hz control, steps of the servos' targets.

    Attributes:
        step_rad: Largest change of a joint's target per control step [rad].
    """

    physics_dt: float = 0.004
    decimation: int = 10
    step_rad: float = 0.08


def hand_scene(T_world_palm: Transform) -> mujoco.MjSpec:
    """Return the hand fixed over a table whose top is z = 0, with a light; callers add the camera `view`."""
    spec = fixed_hand(ALLEGRO, T_world_palm)
    set_physics_options(spec)
    spec.memory = 4 << 20
    spec.add_material(name="table")
    spec.worldbody.add_geom(
        name="table",
        material="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.5, 0.5, 0.02],
        pos=[0.0, 0.0, -0.02],
        rgba=[0.66, 0.58, 0.48, 1.0],
        friction=[0.8, 0.005, 0.0001],
    )
    add_light(spec)
    return spec


class HandTask(Task):
    """A task of the hand; actions step the targets of its sixteen servos, so that 0 holds still."""

    config: HandTaskConfig
    prefix: ClassVar[str] = ""
    """Before the names of the hand's joints and sites; an attached hand has one."""

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        names = [self.prefix + n for n in JOINTS]
        self.hand, self.servos = Joints(physics, names), Actuators(physics, names)
        self.tips = [Site(physics, self.prefix + n) for n in TIPS]
        self._ctrl, self._field = physics.field("ctrl"), physics.field

    def actions(self, physics: Physics) -> Sequence[ActionTerm]:
        """See `Task.actions`."""
        return [JointTargets(physics, self.servos.names, step=self.config.step_rad)]

    @property
    def targets(self) -> Tensor:
        """Targets of the hand's servos [rad], (num_envs, 16)."""
        return self._ctrl[:, self.servos.columns]

    @property
    def tip_pos(self) -> Tensor:
        """Centres of the fingertips in world [m], (num_envs, 4, 3): index, middle, ring, thumb."""
        return torch.stack([tip.pos for tip in self.tips], 1)

    def tip_reading(self) -> Tensor:
        """Return the fingertips' centres [m], (num_envs, 4, 3), where the joints' readings put them."""
        true_pos, tips = self.hand.pos, self.tip_pos
        joint_pos = self.sense("joint_pos", true_pos)
        if joint_pos is true_pos:
            return tips
        axis, anchor = (self._field(n)[:, self.hand.index].view(-1, 4, 4, 3) for n in ("xaxis", "xanchor"))
        arm = torch.linalg.cross(axis, tips[:, :, None] - anchor)  # of each finger's four joints, in order
        return tips + (arm * (joint_pos - true_pos).view(-1, 4, 4, 1)).sum(2)

    def reset_hand(self, state: ResetState, pos: Tensor, targets: Tensor) -> None:
        """Write joint positions and servo targets [rad], (n, 16)."""
        self.hand.set(state, pos)
        state["ctrl"][:, self.servos.columns] = targets

    def observe_hand(self) -> dict[str, Tensor]:
        """Return the hand's own observation terms."""
        return {
            "joint_pos": self.sense("joint_pos", self.hand.pos),
            "joint_vel": self.sense("joint_vel", self.hand.vel),
            "target": self.targets,
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        return Randomization() if preset == "nominal" else replace(RANDOMISED, obs_noise=HAND_NOISE)


class TipReach:
    """Postures of the hand alone whose fingertips are at given points.

    Damped least squares on the tips' Jacobians; what the points leave open stays near the first guess.
    All points are in the frame of the hand's root body (see `sim.robots.allegro`).
    """

    def __init__(self) -> None:
        """Compile the hand."""
        spec = ALLEGRO.make_spec()
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)

    def posture(self, tips: Mapping[str, Sequence[float]], near: FloatArray, steps: int = 200) -> FloatArray:
        """Return joint positions [rad], (16,), within the joints' limits.

        Args:
            tips: Centre of each tip [m], by site name.
            near: First guess and where idle joints stay [rad], (16,).
            steps: Iterations.

        Raises:
            ValueError: If a tip stays more than 1 mm away; names it.
        """
        goal = np.array(list(tips.values()))
        idle, q, jac = 0.1 * np.eye(len(near)), near.copy(), np.zeros((3, self._model.nv))
        for _ in range(steps):
            self._data.qpos[:] = q
            mujoco.mj_kinematics(self._model, self._data)
            mujoco.mj_comPos(self._model, self._data)
            rows = []
            for name in tips:
                mujoco.mj_jacSite(self._model, self._data, jac, None, self._model.site(name).id)
                rows.append(jac.copy())
            full = np.vstack(rows)
            gap = goal - np.array([self._data.site(name).xpos for name in tips])
            inverse = full.T @ np.linalg.inv(full @ full.T + 1e-5 * np.eye(len(full)))
            step = inverse @ gap.ravel() + (np.eye(len(q)) - inverse @ full) @ idle @ (near - q)
            q = np.clip(q + np.clip(step, -0.1, 0.1), LIMITS.lower, LIMITS.upper)
        missed = np.linalg.norm(gap, axis=1)
        if missed.max() > 1e-3:
            worst = list(tips)[int(missed.argmax())]
            raise ValueError(
                f"{worst} stays {1e3 * missed.max():.0f} mm from {np.round(goal[missed.argmax()], 3)} m: "
                "the hand does not reach around a tool of this size"
            )
        return q


def settle(model: mujoco.MjModel, qpos: FloatArray, ctrl: FloatArray, seconds: float) -> FloatArray:
    """Return the positions (nq,) that a simulation comes to from rest under constant controls."""
    data = mujoco.MjData(model)
    data.qpos[:], data.ctrl[:] = qpos, ctrl
    mujoco.mj_step(model, data, nstep=round(seconds / model.opt.timestep))
    return data.qpos.copy()
