"""`button_with_assembled_stick`: press a button beyond reach with a stick put together from two parts."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Body, Joints, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, ShapingTerm
from sim.tasks.arm import action_penalty, arm_scene
from sim.tasks.parts import pose_noise, yaw_quat
from sim.tasks.reach import distance
from sim.tasks.reading import read_pose
from sim.tasks.tool_use import (
    Box,
    ToolTask,
    ToolTaskConfig,
    add_fixture,
    add_limit_line,
    add_part,
    look_at,
)
from sim.tasks.views import add_ghost, add_goal_marker

HALF_M: Final = 0.011
"""Half the side of a part's square section [m]."""
SHAFT_M: Final = 0.15
"""Length of the solid shaft of either part [m]."""
SOCKET_M: Final = 0.05
"""Depth of the socket at the front of part `rear` [m]."""
PLUG_M: Final = 0.045
"""How far the plug of part `front` stands out [m]."""
JOINED_M: Final = SHAFT_M + SOCKET_M
"""Distance of the two shafts' centres when they are joined [m]."""
_BORE_M, _PLUG_RADIUS_M = 0.0075, 0.0068  # half width of the bore; the plug has 0.7 mm of play
_TRAVEL_M: Final = 0.014
_WOOD_KG_M3: Final = 450.0
_BUTTON_X_M: Final = 0.755
_BOX: Final = mujoco.mjtGeom.mjGEOM_BOX


@dataclass(frozen=True)
class ButtonWithAssembledStickConfig(ToolTaskConfig):
    """Settings of `button_with_assembled_stick`.

    Attributes:
        workspace_m: See `ToolTaskConfig`. The button is 0.255 m beyond, either part 0.2 m long, both 0.35 m.
        travel_m: How far the button is to be pressed at difficulty 1 [m]; at 0 their middle.
        stiffness_n_m: Spring of the button [N/m].
        spread_m: Half width of where cradle and button stand along y at difficulty 1 [m].
        yaw_rad: Largest angle of the rear part against x at the start, at difficulty 1 [rad].
    """

    episode_s: float = 11.0
    workspace_m: Box = ((0.285, -0.4, 0.005), (0.5, 0.4, 0.6))
    travel_m: tuple[float, float] = (0.005, 0.012)
    stiffness_n_m: float = 150.0
    spread_m: float = 0.05
    yaw_rad: float = 0.25


class ButtonWithAssembledStick(ToolTask):
    """Goal: how far the button is pressed [m], at least. Difficulty scales travels and poses.

    The setting is Button-Pressing of RoboTool (arXiv 2310.13065, table I): a button at x 0.62 m, a
    workspace that ends at 0.5 m, and magnetic cubes that attach to each other. Here the parts join by a
    plug in a socket: its walls and friction are all that holds them. The front part lies in a cradle
    with a stop to push against.
    """

    name: ClassVar[str] = "button_with_assembled_stick"
    config_class: ClassVar[type[ButtonWithAssembledStickConfig]] = ButtonWithAssembledStickConfig
    config: ButtonWithAssembledStickConfig
    push_body: ClassVar[str] = "rear"
    noise_of_bodies: ClassVar[Mapping[str, float]] = pose_noise("rear", "front") | {"button_pos": 0.002}

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((1,), ("travel",), "m")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_scene()
        _add_rear(spec)
        _add_front(spec)
        marker = add_goal_marker(spec, size_m=0.0)
        add_ghost(marker, _BOX, (0.0015, 0.03, 0.0015), pos=(0.0, 0.0, 0.03))
        _add_cradle(spec)
        _add_button(spec, self.config.stiffness_n_m)
        add_limit_line(spec, self.config.workspace_m[1][0])
        look_at(spec, (0.95, -1.0, 0.55), (0.5, 0.0, 0.08), 38.0)
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.rear, self.front = Body(physics, "rear"), Body(physics, "front")
        self.grip, self.rear_site, self.front_site = (Site(physics, n) for n in ("grip", "rear", "front"))
        self.tip, self.button = Site(physics, "tip"), Site(physics, "button")
        self.travel = Joints(physics, ["button"])

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        c, d = self.config, difficulty[:, None]
        self.reset_arm(state, random.uniform("arm", -0.05, 0.05, 7))
        u = random.uniform("place", -1.0, 1.0, 7) * d
        zero = torch.zeros_like(u[:, 0])
        rear = torch.stack((0.44 + 0.02 * u[:, 0], -0.24 + 0.03 * u[:, 1], zero + HALF_M), -1)
        self.rear.set_pose(state, rear, yaw_quat(c.yaw_rad * u[:, 2]))
        cradle = torch.stack((zero + 0.61, -0.06 + c.spread_m * u[:, 3], zero), -1)
        self.front.set_pose(state, cradle + torch.tensor([0.0, 0.0, HALF_M], device=d.device))
        post = torch.stack((zero + _BUTTON_X_M, 0.12 + c.spread_m * u[:, 4], 0.12 + 0.02 * u[:, 5]), -1)
        middle, half = (c.travel_m[0] + c.travel_m[1]) / 2, (c.travel_m[1] - c.travel_m[0]) / 2
        goal = middle + half * u[:, 6:]
        marker = post.clone()
        marker[:, 0] += goal[:, 0]
        for k, pos in enumerate((marker, cradle, post)):
            state["mocap_pos"][:, k] = pos
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        rear = read_pose(self, "rear", self.rear.pos, self.rear_site.mat)
        front = read_pose(self, "front", self.front.pos, self.front_site.mat)
        button = self.sense("button_pos", self.button.pos)
        return self.observe_arm() | {
            "rear_pos": rear.pos,
            "rear_axes": rear.mat[:, :, :2].flatten(1),
            "front_pos": front.pos,
            "front_axes": front.mat[:, :, :2].flatten(1),
            "button_pos": button,
            "tip_to_button": button - front.point(self.tip.pos),
        }

    def joint_gap(self) -> Tensor:
        """Return how far the parts are from being joined, along the rear one [m], (num_envs,)."""
        apart = self.front.pos - self.rear.pos
        return (apart * self.rear_site.mat[:, :, 0]).sum(-1) - JOINED_M

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.travel.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return (achieved >= desired)[..., 0]

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {"short": GoalTerm(-50.0, lambda a, d: (d - a).clamp(min=0.0)[..., 0])}

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "grasp": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.grip.pos)),
            "join": ShapingTerm(-1.0, self.apart),
            "reach": ShapingTerm(-1.0, lambda: distance(self.tip.pos, self.button.pos)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def apart(self) -> Tensor:
        """Return the distance of the front part from where it is joined to the rear one [m], (num_envs,)."""
        return distance(self.front.pos, self.rear.pos + JOINED_M * self.rear_site.mat[:, :, 0])


def _add_part_body(spec: mujoco.MjSpec, name: str, rgb: tuple[float, float, float]) -> mujoco.MjsBody:
    body = spec.worldbody.add_body(name=name, pos=[0.5, -0.2, HALF_M])
    body.add_freejoint(name=name)
    spec.add_material(name=name, rgba=[*rgb, 1.0], specular=0.2, shininess=0.3)
    _add_bar(body, name, (SHAFT_M / 2, HALF_M, HALF_M))
    body.add_site(name=name, size=[0.003, 0.0, 0.0], group=4)
    return body


def _add_bar(
    body: mujoco.MjsBody,
    material: str,
    half: tuple[float, float, float],
    pos: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> None:
    mass = 8.0 * half[0] * half[1] * half[2] * _WOOD_KG_M3
    add_part(body, _BOX, half, pos, material, mass)


def _add_rear(spec: mujoco.MjSpec) -> None:
    """Add the part that is held: a shaft along x with a square socket at its front."""
    body = _add_part_body(spec, "rear", (0.68, 0.47, 0.26))
    middle, wall = SHAFT_M / 2 + SOCKET_M / 2, (HALF_M - _BORE_M) / 2
    for side in (-1.0, 1.0):
        off = side * (HALF_M - wall)
        _add_bar(body, "rear", (SOCKET_M / 2, HALF_M, wall), (middle, 0.0, off))
        _add_bar(body, "rear", (SOCKET_M / 2, wall, _BORE_M), (middle, off, 0.0))
    body.add_site(name="grip", pos=[-0.05, 0.0, 0.0], size=[0.003, 0.0, 0.0], group=4)


def _add_front(spec: mujoco.MjSpec) -> None:
    """Add the part that lengthens it: a shaft with a round-nosed plug at its back."""
    body = _add_part_body(spec, "front", (0.25, 0.45, 0.65))
    back, nose = -SHAFT_M / 2, -SHAFT_M / 2 - PLUG_M + _PLUG_RADIUS_M
    ends = [nose, 0.0, 0.0, back, 0.0, 0.0]
    plug = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=ends, size=[_PLUG_RADIUS_M, 0.0, 0.0])
    plug.material, plug.mass, plug.friction = "front", 0.004, [0.6, 0.005, 0.0001]
    body.add_site(name="tip", pos=[SHAFT_M / 2, 0.0, 0.0], size=[0.003, 0.0, 0.0], group=4)


def _add_cradle(spec: mujoco.MjSpec) -> None:
    """Add two rails that keep the front part straight and a stop before it; a reset places it."""
    body = add_fixture(spec, "cradle", (0.4, 0.42, 0.46))
    for side in (-1.0, 1.0):
        add_part(body, _BOX, (0.055, 0.004, 0.006), (0.005, side * (HALF_M + 0.0055), 0.006), "cradle")
    add_part(body, _BOX, (0.006, 0.022, HALF_M), (SHAFT_M / 2 + 0.0075, 0.0, HALF_M), "cradle")


def _add_button(spec: mujoco.MjSpec, stiffness_n_m: float) -> None:
    """Add a sprung button on a post, its face (site `button`) at the fixture's origin, pressed along x."""
    post = add_fixture(spec, "post", (0.3, 0.31, 0.34))
    add_part(post, _BOX, (0.012, 0.035, 0.035), (0.032, 0.0, 0.0), "post")
    add_part(post, _BOX, (0.012, 0.012, 0.1), (0.032, 0.0, -0.13), "post")
    body = post.add_body(name="button")
    body.add_joint(
        name="button",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[1.0, 0.0, 0.0],
        range=[0.0, _TRAVEL_M],
        limited=1,
        stiffness=[stiffness_n_m, 0.0, 0.0],
        damping=[4.0, 0.0, 0.0],
        armature=0.02,
    )
    spec.add_material(name="button", rgba=[0.85, 0.15, 0.12, 1.0], specular=0.5, shininess=0.6)
    cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
    cap = add_part(body, cylinder, (0.022, 0.009, 0.0), (0.009, 0.0, 0.0), "button", 0.03)
    cap.quat = [0.5**0.5, 0.0, 0.5**0.5, 0.0]
    body.add_site(name="button", size=[0.003, 0.0, 0.0], group=4)
    spec.add_exclude(bodyname1="post", bodyname2="button")
