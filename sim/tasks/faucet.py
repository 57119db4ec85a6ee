"""`faucet`: turn the lever of a faucet to an angle."""
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
    HAND_LIMITS_M,
    JOINT_NOISE,
    READY_HIGH,
    ContactTaskConfig,
    contact_scene,
    distance,
    ready_offset,
    start_and_goal,
    yaw_quat,
)
from sim.tasks.views import GOAL_RGBA, add_goal_marker

_CAPSULE, _CYLINDER = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER
ANGLE_RAD: Final = (-1.2, 1.2)
LEVER_Z_M: Final = 0.165
LEVER_M: Final = 0.125
_LEVER_RADIUS_M = 0.008


@dataclass(frozen=True)
class FaucetConfig(ContactTaskConfig):
    """Settings of `faucet`.

    Attributes:
        tolerance_rad: Largest error of the angle that counts [rad]; 1 cm at the lever's end. Meta-World's
            faucet tasks (Yu et al., 2019, arXiv 1910.10897) allow 7 cm there.
        nearest_rad: Smallest turn that is asked for [rad].
        farthest_rad: Largest turn at difficulty 1 [rad].
    """

    episode_s: float = 4.0
    tolerance_rad: float = 0.08
    nearest_rad: float = 0.3
    farthest_rad: float = 1.8


class Faucet(ArmTask):
    """Goal: the lever's angle about the vertical [rad], 0 towards the robot; the fingers stay closed.

    Difficulty is how far the lever has to turn, and how far the faucet is out of place.
    """

    name: ClassVar[str] = "faucet"
    config_class: ClassVar[type[FaucetConfig]] = FaucetConfig
    config: FaucetConfig
    has_gripper: ClassVar[bool] = False
    limits_m = HAND_LIMITS_M
    place_m: ClassVar[tuple[float, float]] = (0.6, 0.0)

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((1,), ("angle",), "rad", *ANGLE_RAD)

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = contact_scene(eye=(0.75, -0.72, 0.5), target=(0.48, 0.0, 0.14))
        add_faucet(spec)
        marker = add_goal_marker(spec, size_m=0.0)
        lever = add_lever(marker, "")
        lever.rgba, lever.contype, lever.conaffinity = list(GOAL_RGBA), 0, 0
        lever.group, lever.mass = 1, 0.0
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.hinge = Joints(physics, ["lever"])
        self.pivot, self.tip = Site(physics, "pivot"), Site(physics, "lever_tip")
        self._faucet, self._marker = (int(physics.model.body(n).mocapid[0]) for n in ("faucet", "goal"))

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        cfg = self.config
        self.reset_arm(state, ready_offset(random, READY_HIGH))
        place = random.uniform("faucet", -1.0, 1.0, 3) * difficulty[:, None]
        yaw = 0.3 * place[:, 2]
        pos = torch.stack((self.place_m[0] + 0.03 * place[:, 0], 0.08 * place[:, 1], 0.0 * yaw), -1)
        far = cfg.nearest_rad + difficulty * (cfg.farthest_rad - cfg.nearest_rad)
        start, goal = start_and_goal(random, "angle", ANGLE_RAD, cfg.nearest_rad, far)
        self.hinge.set(state, start)
        for k, turn in ((self._faucet, yaw), (self._marker, yaw + goal[:, 0])):
            state["mocap_pos"][:, k], state["mocap_quat"][:, k] = pos, yaw_quat(turn)
        return goal

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        terms, true_angle = self.observe_arm(), self.hinge.pos
        pivot, angle = self.sense("pivot_pos", self.pivot.pos), self.sense("angle", true_angle)
        tip = pivot + turned(self.tip.pos - self.pivot.pos, angle - true_angle)
        return terms | {
            "angle": angle,
            "hinge_vel": self.sense("hinge_vel", self.hinge.vel),
            "pivot_pos": pivot,
            "tip_pos": tip,
            "to_tip": tip - terms["ee_pos"],
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.hinge.pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_rad

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-0.5, distance),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-distance(a, d) / 0.2)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "approach": ShapingTerm(-0.5, lambda: distance(self.ee.pos, self.tip.pos)),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        noise = JOINT_NOISE | {"pivot_pos": 0.002, "angle": 0.02, "hinge_vel": 0.1}
        if preset == "nominal":
            return NOMINAL
        return replace(RANDOMISED, obs_noise=noise, push_n=40.0, push_body="hand")


def turned(vector: Tensor, angle: Tensor) -> Tensor:
    """Return vectors (n, 3) turned about world z by angles [rad], (n, 1)."""
    x, y, z = vector.split(1, -1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.cat((cos * x - sin * y, sin * x + cos * y, z), -1)


def add_faucet(spec: mujoco.MjSpec) -> None:
    """Add a single-lever faucet, spout and lever towards the robot (-x); a reset may place it (mocap)."""
    spec.add_material(name="chrome", rgba=[0.78, 0.8, 0.82, 1.0], specular=0.9, shininess=0.8)
    spec.add_material(name="lever", rgba=[0.15, 0.35, 0.7, 1.0], specular=0.6, shininess=0.5)
    body = spec.worldbody.add_body(name="faucet", mocap=True)
    top = LEVER_Z_M - 0.02
    tubes = (
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.012), 0.036),
        ((0.0, 0.0, 0.0), (0.0, 0.0, top), 0.02),
        ((0.0, 0.0, 0.08), (-0.07, 0.0, 0.105), 0.012),
        ((-0.07, 0.0, 0.105), (-0.11, 0.0, 0.095), 0.012),
        ((-0.11, 0.0, 0.095), (-0.122, 0.0, 0.07), 0.012),
    )
    for k, (start, end, radius) in enumerate(tubes):
        kind = _CYLINDER if k < 2 else _CAPSULE
        body.add_geom(type=kind, fromto=[*start, *end], size=[radius, 0, 0], material="chrome")
    body.add_site(name="pivot", pos=[0.0, 0.0, LEVER_Z_M], size=[0.003, 0, 0], group=4)
    turning = body.add_body(name="lever")
    turning.add_joint(
        name="lever", type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 0, 1], limited=True,
        range=[ANGLE_RAD[0] - 0.1, ANGLE_RAD[1] + 0.1], damping=0.1, frictionloss=0.1, armature=0.0005,
    )  # fmt: skip
    turning.add_geom(
        type=_CYLINDER,
        fromto=[0, 0, top + 0.001, 0, 0, LEVER_Z_M + 0.008],
        size=[0.022, 0, 0],
        material="lever",
    )
    add_lever(turning, "lever")
    turning.add_site(name="lever_tip", pos=[-LEVER_M, 0.0, LEVER_Z_M], size=[0.003, 0, 0], group=4)
    spec.add_exclude(bodyname1="faucet", bodyname2="lever")


def add_lever(body: mujoco.MjsBody, material: str) -> mujoco.MjsGeom:
    """Add the lever's bar, from its pivot towards -x."""
    return body.add_geom(
        name=f"{body.name}_bar",
        type=_CAPSULE,
        fromto=[-0.02, 0, LEVER_Z_M, -LEVER_M, 0, LEVER_Z_M],
        size=[_LEVER_RADIUS_M, 0, 0],
        material=material,
        density=2700.0,
    )
