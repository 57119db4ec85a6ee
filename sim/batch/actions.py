"""How a policy's action in [-1, 1] becomes controls; the vocabulary of action spaces."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import mujoco
import torch
from torch import Tensor

from sim.batch.handles import Actuators, Joints, Site, read_columns
from sim.batch.physics import Physics


class ActionTerm(Protocol):
    """Turns its slice of the action into its columns of the control vector."""

    names: tuple[str, ...]

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """Write controls (num_envs, nu) in place from actions in [-1, 1], (num_envs, len(names))."""
        ...

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """Forget what belongs to the last episode of `ids` (n,); `state` is what was written."""
        ...

    def memory(self) -> dict[str, Tensor]:
        """Return tensors, by name, that the next action depends on; for saving and restoring."""
        ...


class JointTargets:
    """Position targets of servos: absolute in their range, or steps from the last target.

    Args:
        physics: The simulation.
        actuators: Position actuators, one entry of the action each.
        step: Largest change of a target per control step [rad] or [m]; None for absolute targets,
            where -1 and 1 are the ends of the control range.
        smoothing: Share of the previous target kept, in [0, 1); 0 for none.

    Raises:
        ValueError: If an actuator has no control range or `smoothing` is out of range.
    """

    def __init__(
        self, physics: Physics, actuators: Sequence[str], step: float | None = None, smoothing: float = 0.0
    ) -> None:
        """See the class."""
        self._act, self._step = Actuators(physics, actuators), step
        self.names: tuple[str, ...] = tuple(actuators)
        if not torch.isfinite(self._act.low).all():
            raise ValueError(f"actuators {', '.join(actuators)} need a ctrlrange to be driven by targets")
        if not 0.0 <= smoothing < 1.0:
            raise ValueError(f"smoothing is {smoothing}; use a number in [0, 1)")
        self._keep = smoothing
        self._middle, self._half = (self._act.low + self._act.high) / 2, (self._act.high - self._act.low) / 2

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """See `ActionTerm.apply`."""
        columns = self._act.columns
        last = ctrl[:, columns]
        if self._step is None:
            target = (self._half * action).add_(self._middle)
        else:
            target = (self._step * action).add_(last)
        if self._keep:
            target = torch.lerp(target, last, self._keep)
        ctrl[:, columns] = target.clamp_(self._act.low, self._act.high)

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `ActionTerm.reset`: the target lives in the control vector."""

    def memory(self) -> dict[str, Tensor]:
        """See `ActionTerm.memory`."""
        return {}


class EeVelocity:
    """Moves a site by small Cartesian steps: damped least squares on the joints' own servos.

    The Jacobian comes from joint axes and anchors, so it costs no call of the simulator. The target
    pose lives in the world and follows the action; it is kept within reach of the measured pose, so
    that pushing against an obstacle does not wind it up.

    Args:
        physics: The simulation.
        joints: Hinge joints of the chain, base to tip.
        actuators: Position actuators of these joints, in the same order.
        site: The site that moves.
        step_m: Largest translation per control step [m].
        step_rad: Largest rotation per control step [rad]; 0 keeps the orientation of the reset.
        yaw_only: Rotation about world z only: one rotation entry instead of three.
        lead_m: Largest distance of the target from the site [m].
        lead_rad: Largest angle between the target's orientation and the site's while it is turned [rad].
        damping: Damping of the least squares.
        limits_m: Lower and upper corner of the box in world that the target stays in [m]; None for none.

    The action is (dx, dy, dz) in world, then (rx, ry, rz) or yaw if `step_rad` > 0.
    """

    def __init__(
        self,
        physics: Physics,
        joints: Sequence[str],
        actuators: Sequence[str],
        site: str,
        *,
        step_m: float = 0.02,
        step_rad: float = 0.0,
        yaw_only: bool = True,
        lead_m: float = 0.04,
        lead_rad: float = 0.4,
        damping: float = 0.05,
        limits_m: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        """See the class."""
        self._joints, self._act, self._site = (
            Joints(physics, joints),
            Actuators(physics, actuators),
            Site(physics, site),
        )
        if len(joints) != len(actuators):
            raise ValueError(f"{len(joints)} joints but {len(actuators)} actuators; give one servo per joint")
        kinds = physics.model.jnt_type[self._joints.ids]
        if any(int(k) != int(mujoco.mjtJoint.mjJNT_HINGE) for k in kinds):
            raise ValueError("EeVelocity drives hinge joints only")
        self._axis = read_columns(physics.field("xaxis"), self._joints.index)
        self._anchor = read_columns(physics.field("xanchor"), self._joints.index)
        self._step_m, self._step_rad, self._yaw = step_m, step_rad, yaw_only
        self._lead, self._lead_rad = lead_m, lead_rad
        self.names: tuple[str, ...] = ("x", "y", "z") + (
            () if not step_rad else ("yaw",) if yaw_only else ("rx", "ry", "rz")
        )
        n, device = physics.num_envs, physics.device
        self._goal_pos = torch.zeros(n, 3, device=device)
        self._goal_mat = torch.eye(3, device=device).repeat(n, 1, 1)
        self._eye = torch.eye(6, device=device) * damping**2
        self._fresh = torch.ones(n, dtype=torch.bool, device=device)
        self._limits = (
            None if limits_m is None else torch.tensor(limits_m, dtype=torch.float32, device=device)
        )
        if self._limits is not None and not (self._limits[0] < self._limits[1]).all():
            raise ValueError(f"limits_m is {limits_m}; every lower bound must be below its upper one")

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """See `ActionTerm.apply`."""
        pos, mat = self._site.pos, self._site.mat
        # Selected by where: an index by a mask would wait for the device.
        torch.where(self._fresh[:, None], pos, self._goal_pos, out=self._goal_pos)
        torch.where(self._fresh[:, None, None], mat, self._goal_mat, out=self._goal_mat)
        self._fresh.zero_()
        lead = (self._step_m * action[:, :3]).add_(self._goal_pos).sub_(pos)
        length = torch.linalg.vector_norm(lead, dim=-1, keepdim=True)
        lead *= torch.clamp_(self._lead / (length + 1e-9), max=1.0)
        if self._limits is not None:
            lead = (pos + lead).clamp_(self._limits[0], self._limits[1]).sub_(pos)
        torch.add(pos, lead, out=self._goal_pos)
        if self._step_rad:
            turn = action[:, 3:] * self._step_rad
            if self._yaw:
                turn = torch.nn.functional.pad(turn, (2, 0))
            self._goal_mat.copy_(leashed(rotation_matrix(turn) @ self._goal_mat, mat, self._lead_rad))
        twist = torch.cat((lead, rotation_error(self._goal_mat, mat)), -1)
        target = self._solve(pos, twist).add_(self._joints.pos)
        ctrl[:, self._act.columns] = target.clamp_(self._act.low, self._act.high)

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `ActionTerm.reset`."""
        self._fresh[ids] = True

    def memory(self) -> dict[str, Tensor]:
        """See `ActionTerm.memory`."""
        return {"goal_pos": self._goal_pos, "goal_mat": self._goal_mat, "fresh": self._fresh}

    def moved(self, joint_step: Tensor) -> Tensor:
        """Return how far small joint steps (num_envs, num_joints) move the site [m], (num_envs, 3)."""
        linear = torch.linalg.cross(self._axis(), self._site.pos[:, None] - self._anchor())
        return (linear * joint_step[..., None]).sum(1)

    def turned(self, joint_step: Tensor) -> Tensor:
        """Return how far they turn it, as rotation vectors in world [rad], (num_envs, 3)."""
        return (self._axis() * joint_step[..., None]).sum(1)

    def _solve(self, pos: Tensor, twist: Tensor) -> Tensor:
        """Return joint displacements (num_envs, num_joints) that move the site by `twist` (num_envs, 6)."""
        axis = self._axis()
        linear = torch.linalg.cross(axis, pos[:, None] - self._anchor())
        jac_t = torch.cat((linear, axis), -1)  # (num_envs, num_joints, 6)
        gram = (jac_t.mT @ jac_t).add_(self._eye)
        return (jac_t @ torch.linalg.solve_ex(gram, twist[..., None])[0])[..., 0]


def rotation_matrix(rotvec: Tensor) -> Tensor:
    """Return the rotation matrices of rotation vectors [rad], (..., 3) to (..., 3, 3) (Rodrigues).

    Elementwise, so that an environment's numbers do not depend on its batch, as they do in `matrix_exp`.
    """
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).reshape(*rotvec.shape[:-1], 3, 3)
    square = rotvec[..., :, None] * rotvec[..., None, :]
    angle = torch.sqrt((rotvec * rotvec).sum(-1))[..., None, None]
    sinc, half = torch.sinc(angle / torch.pi), torch.sinc(angle / (2 * torch.pi))
    mat = torch.cos(angle) * _eye(rotvec.dtype, rotvec.device)
    return mat.add_(sinc * skew).add_(0.5 * half * half * square)


@lru_cache
def _eye(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.eye(3, dtype=dtype, device=device)


def rotation_error(goal: Tensor, current: Tensor) -> Tensor:
    """Return the world rotation vector that turns `current` towards `goal`, (..., 3), exact to first order.

    Half the sum of cross products of the axes; its length is the sine of the angle, so that it is
    bounded and never singular below a half turn.
    """
    return 0.5 * torch.linalg.cross(current.mT, goal.mT).sum(-2)


def leashed(goal: Tensor, current: Tensor, lead_rad: float) -> Tensor:
    """Return `goal` (..., 3, 3) where it is within an angle of `current`, else what is so far on the way."""
    cos = 0.5 * ((goal * current).sum((-2, -1)) - 1.0)  # half of trace(goal current^T) - 1
    is_far = cos < math.cos(lead_rad)
    if goal.device.type != "cpu":  # to ask which there are would wait for the device
        return torch.where(is_far[..., None, None], _towards(goal, current, lead_rad), goal)
    if is_far.any():
        goal = goal.clone()
        goal[is_far] = _towards(goal[is_far], current[is_far], lead_rad)
    return goal


def _towards(goal: Tensor, current: Tensor, angle_rad: float) -> Tensor:
    """Return `current` turned towards `goal` by an angle, (..., 3, 3)."""
    axis = torch.nn.functional.normalize(rotation_error(goal, current), dim=-1)
    return rotation_matrix(angle_rad * axis) @ current


class GripperTarget:
    """One action entry that drives one or more servos together from closed (-1) to open (1).

    Args:
        physics: The simulation.
        actuators: Position actuators of the gripper.
        step: Largest change of their targets per control step [m] or [rad]; None for no limit.
    """

    def __init__(self, physics: Physics, actuators: Sequence[str], step: float | None = None) -> None:
        """See the class."""
        self._targets, self._step = JointTargets(physics, actuators), step
        self._columns = Actuators(physics, actuators).columns
        self.names: tuple[str, ...] = ("gripper",)

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """See `ActionTerm.apply`."""
        last = ctrl[:, self._columns].clone()
        self._targets.apply(action.expand(-1, len(self._targets.names)), ctrl)
        if self._step is not None:
            change = (ctrl[:, self._columns] - last).clamp_(-self._step, self._step)
            ctrl[:, self._columns] = change.add_(last)

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `ActionTerm.reset`."""

    def memory(self) -> dict[str, Tensor]:
        """See `ActionTerm.memory`."""
        return {}
