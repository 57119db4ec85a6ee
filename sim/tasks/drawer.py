"""`drawer`: slide a drawer by its handle to an opening."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Joints, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm
from sim.tasks.arm import ArmTask, action_penalty
from sim.tasks.parts import (
    GRIPPER_NOISE,
    HAND_LIMITS_M,
    JOINT_NOISE,
    ContactTaskConfig,
    contact_scene,
    distance,
    ready_offset,
    start_and_goal,
    yaw_quat,
)
from sim.tasks.views import GOAL_RGBA, add_goal_marker

_BOX, _CAPSULE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE
OPENING_MAX_M: Final = 0.2
_DEPTH, _WIDTH, _HEIGHT, _WALL = 0.27, 0.28, 0.15, 0.006
_DRAWER_Z, _FRONT_HALF = 0.11, (0.007, 0.125, 0.033)
_HANDLE: Final = (-0.06, 0.0, 0.015)
_HANDLE_HALF_M, _HANDLE_RADIUS_M = 0.05, 0.006


@dataclass(frozen=True)
class DrawerConfig(ContactTaskConfig):
    """Settings of `drawer`.

    Attributes:
        tolerance_m: Largest error of the opening that counts [m]. Meta-World's drawer tasks (Yu et
            al., 2019, arXiv 1910.10897) allow 0.03 to open and 0.055 to close.
        nearest_m: Smallest change of the opening that is asked for [m].
        farthest_m: Largest change at difficulty 1 [m].
    """

    episode_s: float = 4.0
    tolerance_m: float = 0.015
    nearest_m: float = 0.04
    farthest_m: float = 0.18


class Drawer(ArmTask):
    """Goal: the drawer's opening [m]; to open or to close, from any opening.

    Difficulty is how far the drawer has to slide, and how far its cabinet is out of place.
    """

    name: ClassVar[str] = "drawer"
    config_class: ClassVar[type[DrawerConfig]] = DrawerConfig
    config: DrawerConfig
    step_rad: ClassVar[float] = 0.1
    limits_m = HAND_LIMITS_M
    cabinet_m: ClassVar[tuple[float, float]] = (0.64, 0.0)

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((1,), ("opening",), "m", 0.0, OPENING_MAX_M)

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = contact_scene(eye=(0.1, -0.8, 0.55), target=(0.52, -0.02, 0.1))
        add_cabinet(spec)
        marker = add_goal_marker(spec, size_m=0.0)
        for geom in front_and_handle(marker, material="", rgba=GOAL_RGBA):
            geom.contype = geom.conaffinity = 0
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.slide, self.handle = Joints(physics, ["drawer"]), Site(physics, "handle")
        self._cabinet, self._marker = (int(physics.model.body(n).mocapid[0]) for n in ("cabinet", "goal"))

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        cfg = self.config
        offset = ready_offset(random)
        offset[:, 6] -= torch.pi / 2  # fingers open along the drawer's way
        self.reset_arm(state, offset)
        place = random.uniform("cabinet", -1.0, 1.0, 3) * difficulty[:, None]
        yaw = 0.15 * place[:, 2]
        pos = torch.stack((self.cabinet_m[0] + 0.03 * place[:, 0], 0.08 * place[:, 1], 0.0 * yaw), -1)
        far = cfg.nearest_m + difficulty * (cfg.farthest_m - cfg.nearest_m)
        start, goal = start_and_goal(random, "opening", (0.0, OPENING_MAX_M), cfg.nearest_m, far)
        self.slide.set(state, start)
        outward = torch.stack((-torch.cos(yaw), -torch.sin(yaw), 0.0 * yaw), -1)
        for k, at in ((self._cabinet, pos), (self._marker, pos + goal * outward)):
            state["mocap_pos"][:, k], state["mocap_quat"][:, k] = at, yaw_quat(yaw)
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        terms, inward = self.observe_arm(), self.handle.mat[:, :, 0]
        handle = self.sense("handle_pos", self.handle.pos)
        opened = ((self.handle.pos - handle) * inward).sum(-1, keepdim=True)  # that the reading is off by
        return terms | {
            "ee_yaw": self.ee_reading().mat[:, :2, 1],
            "opening_m": self.slide.pos + opened,
            "slide_vel": self.sense("slide_vel", self.slide.vel),
            "handle_pos": handle,
            "handle_axis": inward[:, :2],
            "to_handle": handle - terms["ee_pos"],
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.slide.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_m

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-4.0, distance),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-distance(a, d) / 0.03)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "approach": ShapingTerm(-1.0, lambda: distance(self.ee.pos, self.handle.pos)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        noise = JOINT_NOISE | GRIPPER_NOISE | {"handle_pos": 0.002, "slide_vel": 0.02}
        if preset == "nominal":
            return NOMINAL
        return replace(RANDOMISED, obs_noise=noise, push_n=40.0, push_body="hand")


def add_cabinet(spec: mujoco.MjSpec) -> None:
    """Add a chest of two drawers, the upper one sliding; its origin lies below the middle of its front.

    Its x axis points away from who stands before it. It is a mocap body: a reset may place it, but nothing
    moves it.
    """
    spec.add_material(name="cabinet", rgba=[0.36, 0.24, 0.15, 1.0], specular=0.2, shininess=0.3)
    spec.add_material(name="front", rgba=[0.72, 0.55, 0.36, 1.0], specular=0.2, shininess=0.3)
    spec.add_material(name="steel", rgba=[0.75, 0.76, 0.78, 1.0], specular=0.8, shininess=0.7)
    body = spec.worldbody.add_body(name="cabinet", mocap=True)
    x, y, top = _DEPTH / 2, _WIDTH / 2 - _WALL, _HEIGHT - _WALL
    middle = _HEIGHT / 2 - _WALL
    panels = (
        ((x, y, middle), (_DEPTH / 2, _WALL, middle)),
        ((x, -y, middle), (_DEPTH / 2, _WALL, middle)),
        ((_DEPTH - 2 * _WALL, 0.0, middle), (_WALL, y, middle)),
        ((x, 0.0, top), (_DEPTH / 2, _WIDTH / 2, _WALL)),
        ((x, 0.0, _WALL), (_DEPTH / 2, y, _WALL)),
        ((x, 0.0, 0.072), (_DEPTH / 2, y, 0.004)),
    )
    for pos, half in panels:
        body.add_geom(type=_BOX, pos=pos, size=half, material="cabinet")
    body.add_geom(type=_BOX, pos=[0.007, 0.0, 0.04], size=[0.007, 0.125, 0.026], material="front")
    body.add_geom(
        type=_CAPSULE, fromto=[-0.012, -0.04, 0.04, -0.012, 0.04, 0.04], size=[0.005, 0, 0], material="steel"
    )
    drawer = body.add_body(name="drawer")
    drawer.add_joint(
        name="drawer", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[-1, 0, 0], range=[0.0, OPENING_MAX_M],
        limited=True, damping=4.0, frictionloss=1.0,
    )  # fmt: skip
    front_and_handle(drawer)
    drawer.add_site(name="handle", pos=_in_drawer(_HANDLE), size=[0.003, 0, 0], group=4)
    length, z = 0.11, _DRAWER_Z - _FRONT_HALF[2] + 0.006
    for pos, half in (
        ((length + 0.014, 0.0, z), (length, 0.115, 0.003)),
        ((length + 0.014, 0.115, _DRAWER_Z), (length, 0.004, 0.027)),
        ((length + 0.014, -0.115, _DRAWER_Z), (length, 0.004, 0.027)),
        ((2 * length + 0.014, 0.0, _DRAWER_Z), (0.004, 0.115, 0.027)),
    ):
        drawer.add_geom(
            type=_BOX, pos=pos, size=half, material="front", contype=0, conaffinity=0, group=1, density=350.0
        )
    spec.add_exclude(bodyname1="cabinet", bodyname2="drawer")


def front_and_handle(
    body: mujoco.MjsBody, material: str = "front", rgba: tuple[float, float, float, float] | None = None
) -> list[mujoco.MjsGeom]:
    """Add the drawer's front and its handle, a bar on two posts."""
    hx, _, hz = _in_drawer(_HANDLE)
    y, r = _HANDLE_HALF_M, [_HANDLE_RADIUS_M, 0.0, 0.0]
    metal = "steel" if material else ""
    geoms = [
        body.add_geom(
            type=_BOX, pos=[0.007, 0, _DRAWER_Z], size=list(_FRONT_HALF), material=material, density=350.0
        ),
        body.add_geom(
            name=f"{body.name}_bar", type=_CAPSULE, fromto=[hx, -y, hz, hx, y, hz], size=r, material=metal
        ),
        body.add_geom(type=_CAPSULE, fromto=[hx, y, hz, 0.0, y, hz], size=r, material=metal),
        body.add_geom(type=_CAPSULE, fromto=[hx, -y, hz, 0.0, -y, hz], size=r, material=metal),
    ]
    if rgba is not None:
        for geom in geoms:
            geom.rgba, geom.group, geom.mass = list(rgba), 1, 0.0
    return geoms


def _in_drawer(point: tuple[float, float, float]) -> tuple[float, float, float]:
    return point[0], point[1], point[2] + _DRAWER_Z
