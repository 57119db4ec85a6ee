"""`tweezer_pick`: an arm lifts small objects with tweezers that its dexterous hand holds and works."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Final, Literal

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import FloatArray, Transform
from policies.policy import ArraySpec
from sim.batch.actions import ActionTerm, EeVelocity
from sim.batch.handles import Actuators, Body, Joints, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom
from sim.batch.task import GoalTerm, Preset, ShapingTerm, Task, TaskConfig
from sim.robots.allegro import ALLEGRO, JOINTS
from sim.robots.compose import HAND_PREFIX, arm_with_hand, fr3_arm
from sim.robots.fr3 import ARM_JOINTS, set_physics_options
from sim.solids.solid import SolidConfig, add_solid
from sim.tasks.arm import action_penalty, read_ee
from sim.tasks.hand import HAND_NOISE, settle
from sim.tasks.learned_hand import HandJoints, LearnedHand, find_low_level
from sim.tasks.parts import JOINT_NOISE, READY, distance, yaw_quat
from sim.tasks.reading import PoseReading
from sim.tasks.reorient import quat_mul
from sim.tasks.small_objects import OBJECTS_M, draw_objects, lying, unseen_objects
from sim.tasks.synergy import Synergy
from sim.tasks.tool_hand import TOOL_NOISE, observe_tool, read_tool
from sim.tasks.tweezer_estimate import Known, TweezerEstimates
from sim.tasks.tweezer_grasp import GRIP_M, TweezerGrasp
from sim.tasks.tweezer_hand import TweezerHandConfig
from sim.tasks.tweezer_sight import add_tool_camera
from sim.tasks.views import add_goal_marker, add_light, add_view
from sim.tools.base import ToolHandle
from sim.tools.tweezers import TweezersConfig, add_tweezers

TWEEZERS: Final = TweezersConfig(
    length_m=0.18, width_m=0.014, rest_opening_m=0.04, max_opening_m=0.046, stiffness_n_m_rad=1.2
)
HAND_STEP_RAD: Final = TweezerHandConfig.step_rad
"""Step of a finger's servo at action 1, as in `tweezer_hand` [rad]."""
NOISE: Final = {
    "arm_pos": 0.001,
    "arm_vel": JOINT_NOISE["joint_vel"],
    **HAND_NOISE,
    **TOOL_NOISE,
    "object_pos": 0.001,
    "object_quat": 0.01,
    "object_size": 0.0005,
}
"""Noise of what is sensed [rad], [rad/s], [m]: an arm and a camera fit for things of 4 mm."""
SEEN: Final = ("object_pos", "object_quat", "object_size")
"""Of these, what a camera sees instead; its errors are its own."""
OBJECT_SETS: Final = ("trained", "unseen")
HANDS: Final = ("synergy", "joints", "policy")
_ROOT_HEIGHT_M = 0.1  # of the hand's root beyond the flange
_OPEN_M = 0.026  # opening of the tweezers at the start
_RANGE_M = (-0.002, 0.02)  # how far inside the arms of the tweezers the fingers aim
_START_INSET_M = 0.0035
_SETTLE_S = 2.0
_REACH_M = 0.25  # an object farther from the middle than this is lost
_PARKED_M = (0.2, 0.17, 0.068)  # x, first y, distance along y


@dataclass(frozen=True)
class TweezerPickConfig(TaskConfig):
    """Settings of `tweezer_pick`.

    Attributes:
        tolerance_m: Largest distance of the object's centre from the goal that counts [m].
        region_m: Half size of where objects lie around (0.45, 0) at difficulty 1 [m].
        yaw_rad: Largest angle of an object at difficulty 1 [rad].
        goal_z_m: Heights of goals [m].
        objects: `trained`: kinds and ranges of sizes to train with; `unseen`: a fixed list of others.
        objects_seed: Decides the sizes of the trained objects, and which of the unseen are there.
        hand: What works the hand: `synergy`, one entry of the action that moves the fingers along a line;
            `joints`, the steps of its sixteen servos; `policy`, a trained lower level, whose goal, the
            opening, is an entry of the action.
        low_level: The lower level, with `hand: policy`: a folder, or the experiment whose weights ship.
        ticks: Times per control step that arm and hand are controlled; `decimation` is a multiple of it.
        source: Where what is known of tweezers and object comes from: `state`, the simulation's; `camera`,
            estimates from the cloud of a depth camera, rendered once per control step, with `hand: policy`.
            Success is judged by the state either way.
    """

    physics_dt: float = 0.004
    decimation: int = 10
    episode_s: float = 8.0
    tolerance_m: float = 0.02
    region_m: tuple[float, float] = (0.06, 0.1)
    yaw_rad: float = 0.5
    goal_z_m: tuple[float, float] = (0.06, 0.14)
    objects: Literal["trained", "unseen"] = "trained"
    objects_seed: int = 0
    hand: Literal["synergy", "joints", "policy"] = "synergy"
    low_level: str = "tweezer_hand"
    ticks: int = 1
    source: Literal["state", "camera"] = "state"

    def __post_init__(self) -> None:
        """Refuse what is not there."""
        super().__post_init__()
        for name, known in (("objects", OBJECT_SETS), ("hand", HANDS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; there are {', '.join(known)}")
        if self.source == "camera" and self.hand != "policy":
            raise ValueError(
                f"source=camera needs hand=policy, an upper level that looks at times; hand is {self.hand}"
            )
        if self.ticks < 1 or self.decimation % self.ticks:
            raise ValueError(
                f"decimation is {self.decimation}, no multiple of {self.ticks} ticks; change one"
            )

    @property
    def tick_dt(self) -> float:
        """Time between two controls of arm and hand [s]."""
        return self.step_dt / self.ticks


class TweezerPick(Task):
    """Goal: the object's position in world [m]. Everything is held by friction, the tweezers too.

    Actions: steps of the hand's grasp frame in world (x, y, z, yaw), and what works the hand; see
    `TweezerPickConfig`. Difficulty adds harder objects (`OBJECTS_M`) and spreads where they lie and how
    they are turned.
    """

    name: ClassVar[str] = "tweezer_pick"
    config_class: ClassVar[type[TweezerPickConfig]] = TweezerPickConfig
    config: TweezerPickConfig
    step_m: ClassVar[float] = 0.007
    step_rad: ClassVar[float] = 0.03
    squeeze_step: ClassVar[float] = 0.05

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((3,), ("x", "y", "z"), "m")

    @cached_property
    def handle(self) -> ToolHandle:
        """Names and opening of the tweezers in every model of this task."""
        return add_tweezers(mujoco.MjSpec(), "tweezers", TWEEZERS)

    @property
    def objects(self) -> tuple[SolidConfig, ...]:
        """The objects in the scene."""
        seed = self.config.objects_seed
        return draw_objects(seed) if self.config.objects == "trained" else unseen_objects(seed)

    @property
    def ticks(self) -> int:
        """See `Task.ticks`."""
        return self.config.ticks

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        spec = arm_with_hand(fr3_arm(), ALLEGRO, flange_to_hand()).make_spec()
        set_physics_options(spec)
        spec.memory = 8 << 20
        # Small objects lie on a plane, whose contacts are exact; the table's top is drawn.
        spec.worldbody.add_geom(
            name="table",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[0.65, 0.65, 0.01],
            pos=[0.4, 0.0, 0.0],
            rgba=[0.66, 0.58, 0.48, 0.0],
            friction=[0.8, 0.005, 0.0001],
        )
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.65, 0.65, 0.02],
            pos=[0.4, 0.0, -0.02],
            rgba=[0.66, 0.58, 0.48, 1.0],
            contype=0,
            conaffinity=0,
        )
        _add_bracket(spec)
        add_tweezers(spec, "tweezers", TWEEZERS)
        for k, solid in enumerate(self.objects):
            add_solid(spec, f"object{k}", solid, (0.0, 0.0, 0.05))
        add_goal_marker(spec, size_m=0.006)
        add_light(spec)
        if self.config.source == "camera":
            add_tool_camera(spec)
        add_view(spec, eye=(0.68, -0.3, 0.19), target=(0.46, 0.0, 0.105))
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        hand = [HAND_PREFIX + n for n in JOINTS]
        self.arm, self.hand, self.ee = Joints(physics, ARM_JOINTS), Joints(physics, hand), Site(physics, "ee")
        self._arm_servos, self._hand_servos = Actuators(physics, ARM_JOINTS), Actuators(physics, hand)
        assert self.handle.joint is not None
        self.hinge = Joints(physics, [self.handle.joint])
        self._tips = [Site(physics, self.handle.site(f"tip_{side}")) for side in ("left", "right")]
        self._grip, self._palm = Site(physics, self.handle.site("grip")), Site(physics, HAND_PREFIX + "palm")
        self._objects = [Body(physics, f"object{k}") for k in range(len(OBJECTS_M))]
        self._ids = torch.tensor([b.id for b in self._objects], device=physics.device)
        self._xpos, self._xquat = physics.field("xpos"), physics.field("xquat")
        self._ctrl = physics.field("ctrl")
        n, device = physics.num_envs, physics.device
        self.chosen = torch.zeros(n, dtype=torch.int64, device=device)
        self._pending = self.chosen[:0]
        self._all = torch.arange(n, device=device)
        self.widths_m = torch.tensor([solid.extents_m[0] for solid in self.objects], device=device)
        self.middle_m = torch.tensor((0.45, 0.0), device=device)
        self._flat = [lying(solid) for solid in self.objects]
        self.heights_m = torch.tensor([h for h, _ in self._flat], device=device)
        rest, self._start_ctrl, self._ends = self._hold(physics)
        self._rest = torch.as_tensor(rest, dtype=torch.float32, device=device)
        self._estimates: TweezerEstimates | None = None
        self._pending_sight = self.chosen[:0]
        if self.config.source == "camera":
            self._estimates = TweezerEstimates(physics, self.ee)

    def actions(self, physics: Physics) -> Sequence[ActionTerm]:
        """See `Task.actions`."""
        self.reach = EeVelocity(
            physics, ARM_JOINTS, ARM_JOINTS, "ee", step_m=self.step_m, step_rad=self.step_rad, lead_m=0.02
        )
        self.squeeze = Synergy(physics, self._hand_servos.names, self._ends, self.squeeze_step)
        return [self.reach, self._hand_term(physics)]

    def _hand_term(self, physics: Physics) -> ActionTerm:
        if self.config.hand == "synergy":
            return self.squeeze
        joints = HandJoints(physics, self._hand_servos.names, JOINTS, HAND_STEP_RAD)
        if self.config.hand == "joints":
            return joints
        return LearnedHand(
            find_low_level(self.config.low_level), joints, self.observe_hand, self.config.tick_dt
        )

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`: one object lies under the tweezers, the others are parked."""
        c, n = self.config, random.num
        state["qpos"][:], state["ctrl"][:] = self._rest, self._start_ctrl
        count = 1.0 + difficulty * (len(OBJECTS_M) - 1)
        chosen = torch.clamp((random.uniform("object")[:, 0] * count).long(), max=len(OBJECTS_M) - 1)
        self._pending = chosen
        self._pending_sight = random.bits("sight", 1)[:, 0]
        at = random.uniform("place", -1.0, 1.0, 2) * difficulty[:, None]
        at = at * torch.tensor(c.region_m, device=at.device) + self.middle_m
        yaw = random.uniform("yaw", -c.yaw_rad, c.yaw_rad)[:, 0] * difficulty
        for k, body in enumerate(self._objects):
            height, flat = self._flat[k]
            parked = torch.tensor((_PARKED_M[0], _PARKED_M[1] + _PARKED_M[2] * k), device=at.device).expand(
                n, 2
            )
            here = (chosen == k)[:, None]
            pos = torch.cat((torch.where(here, at, parked), torch.full_like(at[:, :1], height + 0.0002)), -1)
            turned = _turned(yaw, torch.tensor(flat, device=at.device))
            body.set_pose(state, pos, turned)
        low, high = c.goal_z_m
        goal = torch.cat((at, random.uniform("height", low, high)), -1)
        goal[:, :2] += random.uniform("aside", -0.04, 0.04, 2) * difficulty[:, None]
        state["mocap_pos"][:, 0] = goal
        return goal

    def after_reset(self, ids: Tensor) -> None:
        """See `Task.after_reset`."""
        self.chosen[ids] = self._pending
        if self._estimates is not None:
            self._estimates.begin(ids, self._pending_sight)

    def after_step(self) -> None:
        """See `Task.after_step`."""
        if self._estimates is not None:
            self._estimates.step()

    def memory(self) -> dict[str, Tensor]:
        """See `Task.memory`."""
        return {"chosen": self.chosen} | ({} if self._estimates is None else self._estimates.memory())

    @property
    def estimates(self) -> Known | None:
        """What the camera last showed; None where it is not the source."""
        return None if self._estimates is None else self._estimates.now

    @property
    def object_pos(self) -> Tensor:
        """Centre of the object that counts [m], (num_envs, 3)."""
        return self._xpos[self._all, self._ids[self.chosen]]

    @property
    def object_quat(self) -> Tensor:
        """Its rotation, quat_wxyz (num_envs, 4)."""
        return self._xquat[self._all, self._ids[self.chosen]]

    @property
    def object_size(self) -> Tensor:
        """Its width, and half its height as it lies [m], (num_envs, 2)."""
        return torch.stack((self.widths_m[self.chosen], self.heights_m[self.chosen]), -1)

    @property
    def tip_pos(self) -> Tensor:
        """Middle between the tweezers' tips [m], (num_envs, 3)."""
        return (self._tips[0].pos + self._tips[1].pos) / 2

    @property
    def tip_axis(self) -> Tensor:
        """From the right to the left arm of the tweezers: the axis along which they close, (num_envs, 3)."""
        return self.tool_mat[:, :, 1]

    @property
    def tool_mat(self) -> Tensor:
        """Axes of the tweezers' left arm at rest as columns, (num_envs, 3, 3): z along it to the tips."""
        return self._grip.mat

    @property
    def opening(self) -> Tensor:
        """Opening of the tips [m], (num_envs, 1)."""
        return self.handle.opening_m(self.hinge.pos)

    @property
    def squeezed(self) -> Tensor:
        """How far the fingers' targets are closed, in [0, 1], (num_envs,)."""
        return self.squeeze.share(self._ctrl)

    def observe_hand(self) -> dict[str, Tensor]:
        """Return what a policy of the hand reads, as in `tweezer_hand`."""
        hand = {
            "joint_pos": self.sense("joint_pos", self.hand.pos),
            "joint_vel": self.sense("joint_vel", self.hand.vel),
            "target": self._ctrl[:, self._hand_servos.columns],
        }
        return hand | observe_tool(self, self.hinge, self.opening, read_tool(self, self._palm, self._grip))

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`: arm, tips and object; then the hand, unless a lower level works it."""
        ee = read_ee(self, "arm_pos", self.arm, self.ee, self.reach)
        hand, known = self.observe_hand(), self._known(ee)
        seen = {
            "arm_pos": self.sense("arm_pos", self.arm.pos),
            "arm_vel": self.sense("arm_vel", self.arm.vel),
            "squeezed": self.squeezed[:, None],
            "ee_pos": ee.pos,
            "ee_axes": ee.mat[:, :, :2].flatten(1),
            "tip_pos": known.tip_pos,
            "tip_axis": known.tip_axis,
            "tip_to_object": known.object_pos - known.tip_pos,
            "object_quat": known.object_quat,
            "object_size": known.object_size,
        }
        return seen | ({"opening": known.opening} if self.config.hand == "policy" else hand)

    def _known(self, ee: PoseReading) -> Known:
        """Return what is known of tweezers and object, where arm and hand are read to be."""
        if self._estimates is not None:  # the camera hangs on the arm, so what it sees moves with the reading
            seen = self._estimates.look()
            points = {name: ee.point(getattr(seen, name)) for name in ("tip_pos", "object_pos")}
            return replace(seen, tip_axis=ee.vector(seen.tip_axis), **points)
        tip_pos, tip_axis = self._read_tips(ee)
        return Known(
            tip_pos=tip_pos,
            tip_axis=tip_axis,
            opening=self.sense("opening", self.opening),
            object_pos=self.sense("object_pos", self.object_pos),
            object_quat=self.sense_quat("object_quat", self.object_quat),
            object_size=self.sense("object_size", self.object_size),
        )

    def _read_tips(self, ee: PoseReading) -> tuple[Tensor, Tensor]:
        """Return the tips' middle [m] and axis, (num_envs, 3) each, where arm and hand are read to be."""
        tool, palm = read_tool(self, self._palm, self._grip), self._palm
        if tool.is_exact:
            return ee.point(self.tip_pos), ee.vector(self.tip_axis)
        tip = (palm.mat.mT @ (self.tip_pos - palm.pos)[..., None])[..., 0]
        seen = palm.pos + (palm.mat @ tool.point(tip)[..., None])[..., 0]
        return ee.point(seen), ee.vector((palm.mat @ tool.mat)[:, :, 1])

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        return self.object_pos

    def perceived_goal(self) -> Tensor | None:
        """See `Task.perceived_goal`: where the camera sees the object."""
        known = self.estimates
        return None if known is None else known.object_pos

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        return distance(achieved, desired) <= self.config.tolerance_m

    def failed(self) -> Tensor:
        """See `Task.failed`: the tweezers are lost, or the object is out of reach."""
        far = (self.object_pos[:, :2] - self.middle_m).abs().amax(-1) > _REACH_M
        return (distance(self._grip.pos, self.ee.pos) > 0.1) | far

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`."""
        return {
            "distance": GoalTerm(-2.0, distance),
            "close": GoalTerm(1.0, lambda a, d: torch.exp(-distance(a, d) / 0.03)),
        }

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        return {
            "approach": ShapingTerm(-1.0, lambda: distance(self.tip_pos, self.object_pos)),
            "lost": ShapingTerm(-10.0, lambda: self.failed().float()),
            "action": ShapingTerm(-0.01, lambda: action_penalty(self)),
        }

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        if preset == "nominal":
            return NOMINAL
        noise = NOISE if self.config.source == "state" else {k: v for k, v in NOISE.items() if k not in SEEN}
        return replace(RANDOMISED, obs_noise=noise, push_n=1.0, push_body=self.handle.body)

    def _hold(self, physics: Physics) -> tuple[FloatArray, Tensor, tuple[Tensor, Tensor]]:
        """Return positions at rest (nq,), controls (nu,) and the hand's [open, closed] targets."""
        model = physics.model
        qpos, ctrl = model.qpos0.copy(), np.zeros(model.nu)
        for name, angle in zip(ARM_JOINTS, READY, strict=True):
            qpos[model.joint(name).qposadr[0]] = angle
        ctrl[self._arm_servos.ids] = READY
        for k in range(len(OBJECTS_M)):
            at = model.joint(f"object{k}_free").qposadr[0]
            qpos[at : at + 3] = (_PARKED_M[0], _PARKED_M[1] + _PARKED_M[2] * k, self._flat[k][0])
            qpos[at + 3 : at + 7] = self._flat[k][1]
        grip = model.site(self.handle.site("grip")).pos[2]
        hold = TweezerGrasp(self.handle, grip, _OPEN_M)
        start = hold.place(model, qpos, HAND_PREFIX + ALLEGRO.root_body, HAND_PREFIX)
        ends = [hold.posture(inset) for inset in _RANGE_M]
        share = (_START_INSET_M - _RANGE_M[0]) / (_RANGE_M[1] - _RANGE_M[0])
        ctrl[self._hand_servos.ids] = ends[0] + share * (ends[1] - ends[0])
        rest = settle(model, start, ctrl, _SETTLE_S)

        def tensor(values: FloatArray) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=physics.device)

        return rest, tensor(ctrl), (tensor(ends[0]), tensor(ends[1]))


def flange_to_hand() -> Transform:
    """Return ``T_flange_hand`` of a bracket that lets tweezers in the hand point along the flange's z."""
    axes = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # flange from root
    offset = -axes @ np.array(GRIP_M)
    return Transform.from_parts([offset[0], offset[1], _ROOT_HEIGHT_M], axes, parent="flange", child="hand")


def _add_bracket(spec: mujoco.MjSpec) -> None:
    """Draw the plate and post between flange and hand; they touch nothing."""
    flange = spec.site("flange")
    link, frame = flange.parent, flange.parent.add_frame(pos=flange.pos, quat=flange.quat)
    pose = flange_to_hand()
    palm = pose.position_m + pose.rotation @ np.array([-0.01, 0.0, 0.045])
    spec.add_material(name="bracket", rgba=[0.55, 0.57, 0.6, 1.0], specular=0.6, shininess=0.6)
    plate = {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "size": [0.032, 0.004, 0.0], "pos": [0.0, 0.0, 0.004]}
    post = {
        "type": mujoco.mjtGeom.mjGEOM_CAPSULE,
        "size": [0.014, 0.0, 0.0],
        "fromto": [0.0, 0.0, 0.012, *palm],
    }
    for part in (plate, post):
        geom = link.add_geom(material="bracket", contype=0, conaffinity=0, mass=0.0, group=2, **part)
        geom.set_frame(frame)


def _turned(yaw: Tensor, flat: Tensor) -> Tensor:
    """Return `flat` (4,) turned about world z by `yaw` (n,), quat_wxyz (n, 4)."""
    return quat_mul(yaw_quat(yaw), flat)
