"""`wipe`: clean dirt off the table with a sponge, pressing neither too little nor too hard."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec
from sim.batch.handles import Body, Joints, ResetState
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm
from sim.robots.fr3 import ARM_JOINTS, HOME
from sim.tasks.arm import ArmTask, action_penalty
from sim.tasks.parts import (
    HAND_LIMITS_M,
    JOINT_NOISE,
    READY,
    ContactTaskConfig,
    contact_scene,
    distance,
    yaw_of,
    yaw_quat,
)
from sim.tasks.views import add_goal_marker

NUM_PATCHES: Final = 6
STIFFNESS_N_M: Final = 2000.0
GRIP_HALF_M: Final = (0.045, 0.03, 0.016)
FOAM_M: Final = 0.018
"""Height of the foam below the part that the fingers hold [m]; it gives way by up to `GIVE_M`."""
GIVE_M: Final = 0.006


@dataclass(frozen=True)
class WipeConfig(ContactTaskConfig):
    """Settings of `wipe`.

    Attributes:
        force_n: Smallest and largest force of the sponge on the table at which it cleans [N].
        work_j: Work of that force times the way slid that removes a patch [J].
        left: Largest share of any patch's dirt that may be left.
    """

    episode_s: float = 8.0
    force_n: tuple[float, float] = (3.0, 10.0)
    work_j: float = 0.25
    left: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what can't be wiped."""
        super().__post_init__()
        if self.force_n[0] == self.force_n[1]:
            raise ValueError(f"force_n is {self.force_n}; use 0 <= low < high")
        if not 0.0 <= self.left < 1.0:
            raise ValueError(f"left is {self.left}; use a share in [0, 1)")


class Wipe(ArmTask):
    """Goal: how clean each patch of the table is, from 0 to 1; 1 for all is desired.

    Dirt goes by Archard's law of wear: in proportion to normal force times sliding distance, where the
    sponge covers the patch's centre and its force is in range. The task remembers it. The sponge is held
    by friction; dropping it ends the episode. Difficulty is the number of dirty patches (1 to 6) and how
    far they are spread.
    """

    name: ClassVar[str] = "wipe"
    config_class: ClassVar[type[WipeConfig]] = WipeConfig
    config: WipeConfig
    has_gripper: ClassVar[bool] = False
    # The floor bounds the force: 7 mm below first contact.
    limits_m = ((*HAND_LIMITS_M[0][:2], GRIP_HALF_M[2] + FOAM_M - 0.007), HAND_LIMITS_M[1])
    middle_m: ClassVar[tuple[float, float]] = (0.5, 0.0)
    spread_m: ClassVar[tuple[float, float]] = (0.09, 0.16)

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((NUM_PATCHES,), tuple(f"patch{k}" for k in range(NUM_PATCHES)), "1", 0.0, 1.0)

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = contact_scene()
        add_sponge(spec)
        for k in range(NUM_PATCHES):
            patch = add_goal_marker(spec, f"patch{k}", size_m=0.0)
            for dx, dy, radius in ((0.0, 0.0, 0.017), (0.015, 0.006, 0.011), (-0.009, 0.014, 0.009)):
                patch.add_geom(
                    type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[dx, dy, 0.0], size=[radius, 0.0004, 0.0],
                    rgba=[0.24, 0.15, 0.07, 1.0], contype=0, conaffinity=0, group=1, mass=0.0,
                )  # fmt: skip
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.physics, model, device = physics, physics.model, physics.device
        self.sponge, self.foam = Body(physics, "sponge"), Joints(physics, ["foam"])
        data = mujoco.MjData(model)
        for name, value in zip(ARM_JOINTS, READY, strict=True):
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        self._p_ready = torch.tensor(data.site("ee").xpos, dtype=torch.float32, device=device)
        self._mocap = [int(model.body(f"patch{k}").mocapid[0]) for k in range(NUM_PATCHES)]
        n = physics.num_envs
        self.patches = torch.zeros(n, NUM_PATCHES, 2, device=device)
        self.dirt = torch.zeros(n, NUM_PATCHES, device=device)
        self._last = torch.zeros(n, 2, device=device)
        self._all = torch.arange(n, device=device)

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`."""
        n, device = len(difficulty), difficulty.device
        # A turn of the first joint alone: where the hand is then is known without kinematics.
        swing = random.uniform("arm", -0.2, 0.2)[:, 0] * difficulty
        offset = (torch.tensor(READY) - torch.as_tensor(HOME, dtype=torch.float32)).to(device).expand(n, -1)
        offset = torch.cat((offset[:, :1] + swing[:, None], offset[:, 1:]), -1)
        self.reset_arm(state, offset)
        self.fingers.set(state, torch.full((n, 2), GRIP_HALF_M[1] - 0.0003, device=device))
        x, y, z = self._p_ready
        cos, sin = torch.cos(swing), torch.sin(swing)
        hand = torch.stack((cos * x - sin * y, sin * x + cos * y, z.expand(n)), -1)
        self.sponge.set_pose(state, hand, yaw_quat(swing))

        middle, spread = (torch.tensor(v, device=device) for v in (self.middle_m, self.spread_m))
        u = random.uniform("patches", -1.0, 1.0, 2 * NUM_PATCHES).view(n, NUM_PATCHES, 2)
        patches = middle + u * spread * (0.3 + 0.7 * difficulty)[:, None, None]
        count = 1 + torch.round((NUM_PATCHES - 1) * difficulty)
        dirt = (torch.arange(NUM_PATCHES, device=device) < count[:, None]).to(torch.float32)
        state["mocap_pos"][:, self._mocap] = self._shown(patches, dirt)
        self._fresh = patches, dirt
        return torch.ones(n, NUM_PATCHES, device=device)

    def after_reset(self, ids: Tensor) -> None:
        """See `Task.after_reset`."""
        self.patches[ids], self.dirt[ids] = self._fresh
        self._last[ids] = self.sponge.pos[ids, :2]

    def after_step(self) -> None:
        """See `Task.after_step`: wear the dirt under the sponge, and take clean patches out of sight."""
        pos = self.sponge.pos[:, :2]
        slid = torch.linalg.vector_norm(pos - self._last, dim=-1)
        self._last.copy_(pos)
        work = self.force() * slid * self.presses_right()
        self.dirt.sub_(work[:, None] / self.config.work_j * self.covered()).clamp_(min=0.0)
        markers = self.physics.field("mocap_pos").clone()
        markers[:, self._mocap] = self._shown(self.patches, self.dirt)
        self.physics.write(self._all, {"mocap_pos": markers}, forward=False)

    def memory(self) -> dict[str, Tensor]:
        """See `Task.memory`."""
        return {"patches": self.patches, "dirt": self.dirt, "last": self._last}

    def force(self) -> Tensor:
        """Return the force of the foam [N], (num_envs,): its spring's."""
        return STIFFNESS_N_M * self.foam.pos[:, 0].clamp(min=0.0)

    def presses_right(self) -> Tensor:
        """Return whether the force is in range, bool (num_envs,)."""
        force, (low, high) = self.force(), self.config.force_n
        return (force >= low) & (force <= high)

    def covered(self) -> Tensor:
        """Return which patches' centres are under the sponge, bool (num_envs, patches)."""
        x, y = self._in_sponge(self.sponge.pos, self.sponge.quat).abs().unbind(-1)
        return (x < GRIP_HALF_M[0]) & (y < GRIP_HALF_M[1])

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`."""
        pos = self.sense("sponge_pos", self.sponge.pos)
        quat = self.sense_quat("sponge_quat", self.sponge.quat)
        return self.observe_arm() | {
            "sponge_pos": pos,
            "sponge_quat": quat,
            "force": self.sense("force", self.force()[:, None] / self.config.force_n[1]),
            "patches": self._in_sponge(pos, quat).flatten(1),
            "dirt": self.dirt,
        }

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return 1.0 - self.dirt

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return (achieved >= desired - self.config.left).all(-1)

    def failed(self) -> Tensor:
        """See `Task.failed`."""
        return distance(self.sponge.pos, self.ee.pos) > 0.05

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""

        def missing(achieved: Tensor, desired: Tensor) -> Tensor:
            return (desired - achieved).clamp(min=0.0).mean(-1)

        return {
            "dirty": GoalTerm(-1.0, missing),
            "clean": GoalTerm(1.0, lambda a, d: self.success(a, d).to(torch.float32)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""

        def too_hard() -> Tensor:
            return (self.force() / self.config.force_n[1] - 1.0).clamp(min=0.0)

        def approach() -> Tensor:
            gap = torch.linalg.vector_norm(self._in_sponge(self.sponge.pos, self.sponge.quat), dim=-1)
            nearest = torch.where(self.dirt > self.config.left, gap, torch.inf).amin(-1)
            return torch.where(nearest.isinf(), torch.zeros_like(nearest), nearest)

        return {
            "approach": ShapingTerm(-1.0, approach),
            "contact": ShapingTerm(0.1, lambda: self.presses_right().to(torch.float32)),
            "too_hard": ShapingTerm(-0.3, too_hard),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        noise = JOINT_NOISE | {"sponge_pos": 0.002, "sponge_quat": 0.02, "force": 0.02}
        if preset == "nominal":
            return NOMINAL
        return replace(RANDOMISED, obs_noise=noise, push_n=1.0, push_body="sponge")

    def _in_sponge(self, pos: Tensor, quat: Tensor) -> Tensor:
        """Return where the patches are along the axes of a sponge there [m], (num_envs, patches, 2)."""
        gap, yaw = self.patches - pos[:, None, :2], yaw_of(quat)[:, None]
        cos, sin = torch.cos(yaw), torch.sin(yaw)
        x, y = gap.unbind(-1)
        return torch.stack((cos * x + sin * y, cos * y - sin * x), -1)

    def _shown(self, patches: Tensor, dirt: Tensor) -> Tensor:
        """Return where the patches' markers are, (n, patches, 3): clean ones inside the table top."""
        height = torch.where(dirt > self.config.left, 0.0004, -0.02)
        return torch.cat((patches, height[..., None]), -1)


def add_sponge(spec: mujoco.MjSpec) -> None:
    """Add a free sponge: a block to hold and a foam under it that gives way along z, as a spring."""
    x, y, z = GRIP_HALF_M
    body = spec.worldbody.add_body(name="sponge", pos=[0.45, 0.0, 0.2])
    body.add_freejoint(name="sponge")
    box, side = mujoco.mjtGeom.mjGEOM_BOX, {"mass": 0.02, "friction": [0.7, 0.005, 0.0001]}
    body.add_geom(name="sponge", type=box, size=[x, y, z], rgba=[0.93, 0.78, 0.2, 1.0], **side)
    foam = body.add_body(name="foam", pos=[0.0, 0.0, -z - FOAM_M / 2])
    foam.add_joint(
        name="foam", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1], range=[-0.0005, GIVE_M], limited=True,
        stiffness=STIFFNESS_N_M, damping=30.0, armature=0.05,
    )  # fmt: skip
    foam.add_geom(
        name="foam",
        type=box,
        size=[x, y, FOAM_M / 2],
        rgba=[0.2, 0.45, 0.22, 1.0],
        solref=[0.008, 1.0],
        **side,
    )
