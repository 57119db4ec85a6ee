"""What the tasks of creative tool use share: an arm whose grasp centre is kept in a box, and poses of tools.

Xu et al., 2023 (RoboTool, arXiv 2310.13065) make tools necessary by the limits of the robot's workspace.
Here too: the action term keeps the grasp centre inside `workspace_m`, and what has to be touched lies
outside. Everything is held and moved by contact and friction.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import mujoco
import torch
from torch import Tensor

from sim.batch.actions import ActionTerm, EeVelocity, GripperTarget
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.task import Preset, TaskConfig
from sim.robots.fr3 import ARM_JOINTS, GRIPPER_ACTUATOR
from sim.tasks.arm import ArmTask
from sim.tasks.parts import GRIPPER_NOISE, JOINT_NOISE
from sim.tasks.views import add_view

Box = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class ToolTaskConfig(TaskConfig):
    """What every tool task can be told.

    Attributes:
        workspace_m: Lower and upper corner of the box that the grasp centre is kept in, in world [m].
    """

    physics_dt: float = 0.002  # at 0.004 s a light bar sometimes springs out of fingers that press with 70 N
    decimation: int = 10
    episode_s: float = 12.0
    workspace_m: Box = ((0.28, -0.4, 0.005), (0.5, 0.4, 0.6))


class ToolTask(ArmTask):
    """A task of the arm with a limited workspace; `yaw_only` decides how it turns its hand.

    Actions: steps of the grasp centre in world, of its rotation (yaw, or a rotation vector in world),
    and the gripper's opening.
    """

    config: ToolTaskConfig
    step_m: ClassVar[float] = 0.012
    step_rad: ClassVar[float] = 0.06
    yaw_only: ClassVar[bool] = False
    push_body: ClassVar[str]
    """What is pushed when randomised: the tool, or what the tool is for."""
    push_n: ClassVar[float] = 1.0
    """Largest push [N]; it lasts one control step."""
    noise_of_bodies: ClassVar[Mapping[str, float]]
    """Noise of what is sensed besides the arm, when randomised."""

    def actions(self, physics: Physics) -> Sequence[ActionTerm]:
        """See `Task.actions`."""
        self.reach = EeVelocity(
            physics, ARM_JOINTS, ARM_JOINTS, "ee", step_m=self.step_m, step_rad=self.step_rad,
            yaw_only=self.yaw_only, limits_m=self.config.workspace_m,
        )  # fmt: skip
        return [self.reach, GripperTarget(physics, [GRIPPER_ACTUATOR])]

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        if preset == "nominal":
            return NOMINAL
        noise = {**JOINT_NOISE, **GRIPPER_NOISE, **self.noise_of_bodies}
        return replace(RANDOMISED, obs_noise=noise, push_n=self.push_n, push_body=self.push_body)

    def observe_arm(self) -> dict[str, Tensor]:
        """Return the arm's terms and the hand's rotation (its first two axes in world)."""
        return super().observe_arm() | {"ee_axes": self.ee_reading().mat[:, :, :2].flatten(1)}


def add_fixture(spec: mujoco.MjSpec, name: str, rgb: tuple[float, float, float]) -> mujoco.MjsBody:
    """Add furniture that a reset may place (its mocap pose) but nothing can move; geoms get its material."""
    body = spec.worldbody.add_body(name=name, mocap=True)
    spec.add_material(name=name, rgba=[*rgb, 1.0], specular=0.2, shininess=0.3)
    return body


def add_part(
    body: mujoco.MjsBody,
    kind: mujoco.mjtGeom,
    size: Sequence[float],
    pos: Sequence[float] = (0.0, 0.0, 0.0),
    material: str = "",
    mass_kg: float = 0.0,
    friction: float = 0.8,
    euler_y_rad: float = 0.0,
) -> mujoco.MjsGeom:
    """Add a colliding primitive to a body, turned about its y axis; `size` are MuJoCo's half sizes [m]."""
    half = torch.tensor(euler_y_rad / 2)
    return body.add_geom(
        type=kind,
        size=list(size),
        pos=list(pos),
        quat=[float(torch.cos(half)), 0.0, float(torch.sin(half)), 0.0],
        material=material,
        mass=mass_kg,
        friction=[friction, 0.005, 0.0001],
    )


def axes_mat(z_axis: Tensor, y_axis: Tensor) -> Tensor:
    """Return the rotations whose z and y axes are (nearly) these, (n, 3) each, to (n, 3, 3)."""
    z = torch.nn.functional.normalize(z_axis, dim=-1)
    x = torch.nn.functional.normalize(torch.linalg.cross(y_axis, z), dim=-1)
    return torch.stack((x, torch.linalg.cross(z, x), z), -1)


def mat_quat(mat: Tensor) -> Tensor:
    """Return quat_wxyz of rotation matrices, (n, 3, 3) to (n, 4); by the largest of the four numbers."""
    m = mat
    trace = m.diagonal(dim1=-2, dim2=-1)
    signs = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], device=mat.device)
    squares = torch.clamp(1.0 + trace @ signs.T, min=0.0)  # 4 w^2, 4 x^2, 4 y^2, 4 z^2
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    w2, x2, y2, z2 = squares.unbind(-1)
    rows = (w2, wx, wy, wz), (wx, x2, xy, xz), (wy, xy, y2, yz), (wz, xz, yz, z2)  # 4 q_i q_j
    products = torch.stack([torch.stack(row, -1) for row in rows], 1)
    best = squares.argmax(-1)
    return torch.nn.functional.normalize(products[torch.arange(len(m), device=mat.device), best], dim=-1)


def look_at(
    spec: mujoco.MjSpec, eye: tuple[float, float, float], target: tuple[float, float, float], fovy_deg: float
) -> None:
    """Replace the camera `view` of the arm's scene by one at `eye` that looks at `target` [m]."""
    spec.delete(spec.camera("view"))
    add_view(spec, eye, target)
    spec.camera("view").fovy = fovy_deg


def add_limit_line(spec: mujoco.MjSpec, x_m: float) -> None:
    """Draw on the table where the workspace ends along x [m]."""
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.0015, 0.42, 0.0004],
        pos=[x_m, 0.0, 0.0004],
        rgba=[0.8, 0.15, 0.1, 0.7],
        contype=0,
        conaffinity=0,
        group=1,
    )
