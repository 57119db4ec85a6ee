"""`reorient`: turn an object in the hand to an orientation and leave it still, palm up or palm down."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Final, Literal

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import FloatArray
from policies.policy import ArraySpec
from sim.batch.actions import ActionTerm, JointTargets
from sim.batch.handles import Body, ResetState, Site
from sim.batch.physics import Physics
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization
from sim.batch.rng import EnvRandom, mix
from sim.batch.task import GoalTerm, Preset, ShapingTerm
from sim.robots.allegro import PINCH
from sim.robots.compose import palm_pose
from sim.tasks.arm import action_penalty
from sim.tasks.hand import (
    HAND_NOISE,
    TIP_RADIUS_M,
    HandTask,
    HandTaskConfig,
    TipReach,
    Vec3,
    hand_scene,
    settle,
)
from sim.tasks.parts import body_noise, observe_body
from sim.tasks.reorient_cloud import CloudConfig, ReorientClouds
from sim.tasks.reorient_object import (
    FLAT,
    PROPORTIONS,
    Shape,
    add_object,
    cube_rotations,
    fourth_moments,
    lowest_m,
    rotation_matrix,
)
from sim.tasks.rotations import angle_between, angle_of, quat_conjugate, quat_mul, rotation_vector
from sim.tasks.views import add_goal_marker, add_view

Palm = Literal["up", "down", "table"]

_STARTS: Final = 8
_SETTLE_S: Final = 4.0
_MIN_TURN_RAD: Final = 0.6
_ROOT: Final[Vec3] = (-0.06, 0.0, 0.25)
_SHOWN_AT: Final[dict[str, Vec3]] = {"up": (0.02, 0.16, 0.36), "down": (0.02, 0.17, 0.23)}
_CENTRE: Final[dict[str, Vec3]] = {"up": (0.065, 0.005, 0.105), "down": (0.095, 0.012, 0.105)}
"""Centre of the object at the start, in the hand's root frame [m]."""
_MAX_POWER_W: Final = 10.0
_TOUCHES_M: Final = 0.001


@dataclass(frozen=True)
class ReorientWeights:
    """Weights of the reward's terms; a term of weight 0 is not computed.

    The defaults are for planning, where an episode can't be ended by choice. Where it can, as in learning,
    rewards that are negative all along teach the hand to drop the object: `configs/experiment/reorient_*`
    have weights after Chen et al.

    Attributes:
        angle: On the angle to the goal [1/rad].
        aligned: On 1 / (angle + 0.1 rad), the main term of Chen et al.
        progress: On the angle that a step turned towards the goal [1/rad]; not relabelled with other goals.
        success: Where the goal is achieved, every step.
        position: On the distance of the object from where it starts [1/m].
        tips: On the mean distance of the fingertips from the object's centre [1/m].
        speed: On the object's angular speed [s/rad].
        lost: Where the object is lost.
        action: On the mean square of the action.
        power: On the joints' power, the sum of |torque * speed|, at most 10 W [1/W].
        table: Where the object touches the table: a weight below 0 asks for turning it in the air.
    """

    angle: float = -1.0
    aligned: float = 0.1
    progress: float = 0.0
    success: float = 1.0
    position: float = -10.0
    tips: float = -2.0
    speed: float = -0.02
    lost: float = -10.0
    action: float = -0.02
    power: float = 0.0
    table: float = 0.0


@dataclass(frozen=True)
class ReorientConfig(HandTaskConfig):
    """Settings of `reorient`.

    Attributes:
        palm: Where the palm faces: `up` or `down`, the object in the fingers; `table`, down over an object
            that lies on the table.
        shape: The object.
        size_m: Its size: the edge of a cube, or the edge that its proportions refer to [m].
        mass_kg: Its mass [kg].
        tolerance_rad: Largest angle to the goal that counts [rad].
        joint_speed: Largest norm of the hand's joint speeds that counts [rad/s].
        speed_m_s: Largest speed of the object that counts [m/s].
        spin_rad_s: Largest angular speed of the object that counts [rad/s].
        dropped_m: An object farther than this from where it started is lost [m].
        smoothing: Share of the previous action in what the servos follow, in [0, 1).
        oracle_stop_rad: The hand holds still while the true angle to the goal is less [rad], 0 for never: for
            teachers, whose exploration would else never show them success, which is to be at rest.
        cloud: What a student sees instead of the state.
        weights: Weights of the reward's terms.
    """

    episode_s: float = 10.0
    step_rad: float = 0.12
    palm: Palm = "up"
    shape: Shape = "cube"
    size_m: float = 0.06
    mass_kg: float = 0.08
    tolerance_rad: float = 0.4
    joint_speed: float = 0.25
    speed_m_s: float = 0.04
    spin_rad_s: float = 0.5
    dropped_m: float = 0.1
    smoothing: float = 0.0
    oracle_stop_rad: float = 0.0
    cloud: CloudConfig = field(default_factory=CloudConfig)
    weights: ReorientWeights = field(default_factory=ReorientWeights)  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        """Refuse what the hand can't hold."""
        super().__post_init__()
        if not 0.03 <= self.size_m <= 0.09:
            raise ValueError(f"size_m is {self.size_m} m; the hand turns objects of 0.03 to 0.09 m")
        if not 0.0 <= self.smoothing < 1.0:
            raise ValueError(f"smoothing is {self.smoothing}; use a number in [0, 1)")
        if not 0.0 <= self.oracle_stop_rad <= self.tolerance_rad:
            raise ValueError(
                f"oracle_stop_rad is {self.oracle_stop_rad}; use 0 to tolerance_rad, {self.tolerance_rad}"
            )

    @property
    def half_m(self) -> FloatArray:
        """Half sizes of the object along its axes [m], (3,)."""
        return np.array(PROPORTIONS[self.shape]) * self.size_m / 2

    @property
    def facing(self) -> Literal["up", "down"]:
        """Where the palm faces."""
        return "up" if self.palm == "up" else "down"

    @property
    def root(self) -> Vec3:
        """Position of the hand's root in world [m]; over a table, such that the object lies on it."""
        x, y, z = _ROOT
        return (x, y, _CENTRE["down"][0] + float(self.half_m[2])) if self.palm == "table" else (x, y, z)


class Reorient(HandTask):
    """Goal: the object's orientation, at rest: (quat_wxyz, joint speed, speed, angular speed).

    Success and its thresholds are those of Chen et al., 2022 (Visual Dexterity, arXiv 2211.11744):
    an angle of at most 0.4 rad, joint speeds of at most 0.25 rad/s, 0.04 m/s, 0.5 rad/s. Difficulty is the
    largest angle of the goal from the start: from 0.6 rad to a half turn, about any axis.

    Different from theirs: actions step the servos' last targets, not the measured joints, so that 0 holds a
    grip; the mean acceleration is not part of success; what touches the table is told from the object's
    pose, within 1 mm, not by a force.
    """

    name: ClassVar[str] = "reorient"
    config_class: ClassVar[type[ReorientConfig]] = ReorientConfig
    config: ReorientConfig

    @property
    def goal_spec(self) -> ArraySpec:
        """See `Task.goal_spec`."""
        return ArraySpec((7,), ("qw", "qx", "qy", "qz", "joint_speed", "speed", "spin"), "rad/s, m/s")

    def scene(self) -> mujoco.MjSpec:
        """See `Task.scene`."""
        c = self.config
        spec = hand_scene(palm_pose(c.root, c.facing))
        half = c.half_m
        body = spec.worldbody.add_body(name="object", pos=[0.0, 0.0, 0.4])
        body.add_freejoint(name="object")
        contact = {"condim": 4 if c.shape in FLAT else 6, "friction": [0.8, 0.003, 0.0005]}
        solid = contact | {"mass": c.mass_kg, "solref": [0.006, 1.0]}
        add_object(spec, body, c.shape, half, 2, name="object", **solid)
        unseen = {"contype": 0, "conaffinity": 0, "mass": 0, "group": 1}
        add_object(spec, add_goal_marker(spec, size_m=0.0), c.shape, half, 1, **unseen)
        side, z = (1.0 if c.palm == "up" else -1.0), c.root[2]
        add_view(
            spec, eye=(0.27, 0.3, z + 0.17 if c.palm == "up" else 0.1), target=(0.02, 0.05, z + 0.06 * side)
        )
        # What students see through: from above the fingers where they point up.
        eye = (0.1, 0.16, z + 0.4) if c.palm == "up" else (0.27, 0.3, 0.1)
        add_view(spec, eye=eye, target=(0.02, 0.02, z + 0.06 * side), name="cloud")
        return spec

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self.object, self.palm = Body(physics, "object"), Site(physics, "palm")
        device = physics.device
        starts, targets = self._starts(physics.model)
        self._rest = torch.as_tensor(np.array(starts), dtype=torch.float32, device=device)
        self._rest_targets = torch.as_tensor(targets, dtype=torch.float32, device=device)
        self._turns = torch.as_tensor(
            cube_rotations() if self.config.shape == "cube" else np.eye(1, 4),
            dtype=torch.float32,
            device=device,
        )
        k = physics.model.joint("object").qposadr[0]
        self._pose = slice(k, k + 7)
        self._centre = self._rest[:, k : k + 3].mean(0)
        self._shown = torch.tensor(_SHOWN_AT[self.config.facing], device=device)
        self._half = torch.as_tensor(self.config.half_m, dtype=torch.float32, device=device)
        self._goal_quat = physics.field("mocap_quat")
        self._torque = physics.field("qfrc_actuator")

        n, c = physics.num_envs, self.config.cloud
        self._clouds = None if c.source == "none" else ReorientClouds(physics, c, self._centre)
        self._cloud_key, self._cloud_step = (
            torch.zeros(n, dtype=torch.int64, device=device) for _ in range(2)
        )
        self._new_keys = self._cloud_key.clone()
        self._angle, self._progress = (torch.zeros(n, device=device) for _ in range(2))

    def actions(self, physics: Physics) -> Sequence[ActionTerm]:
        """See `Task.actions`."""
        c = self.config
        if not c.smoothing and not c.oracle_stop_rad:
            return super().actions(physics)
        return [SmoothedTargets(physics, self.servos.names, c.step_rad, c.smoothing, self._is_stopped)]

    def _is_stopped(self) -> Tensor:
        """Return where the oracle lets the hand hold still, bool (num_envs,)."""
        return self._left() < self.config.oracle_stop_rad

    def reset(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `Task.reset`: the object rests in the hand, for a cube with any face up."""
        row = random.integers("start", len(self._rest))[:, 0]
        state["qpos"][:] = self._rest[row]
        state["ctrl"][:, self.servos.columns] = self._rest_targets
        turn = self._turns[random.integers("face", len(self._turns))[:, 0]]
        pose = state["qpos"][:, self._pose]
        start = quat_mul(pose[:, 3:], turn)
        self.object.set_pose(state, pose[:, :3], start)
        axis = torch.nn.functional.normalize(random.normal("axis", size=3), dim=-1)
        largest = _MIN_TURN_RAD + (math.pi - _MIN_TURN_RAD) * difficulty
        angle = (_MIN_TURN_RAD + random.uniform("angle")[:, 0] * (largest - _MIN_TURN_RAD))[:, None]
        goal = quat_mul(torch.cat((torch.cos(angle / 2), torch.sin(angle / 2) * axis), -1), start)
        state["mocap_pos"][:, 0], state["mocap_quat"][:, 0] = self._shown, goal
        self._new_keys = random.bits("cloud", 1)[:, 0]
        return torch.nn.functional.pad(goal, (0, 3))

    def after_reset(self, ids: Tensor) -> None:
        """See `Task.after_reset`."""
        self._cloud_key[ids], self._cloud_step[ids] = self._new_keys, 0
        self._angle[ids] = self._left()[ids]

    def after_step(self) -> None:
        """See `Task.after_step`."""
        self._cloud_step += 1
        angle = self._left()
        self._progress = self._angle - angle
        self._angle.copy_(angle)

    def _left(self) -> Tensor:
        """Return the angle to the goal that is shown [rad], (num_envs,)."""
        return angle_between(self.object.quat, self._goal_quat[:, 0])

    def memory(self) -> dict[str, Tensor]:
        """See `Task.memory`: the last angle, and what the noise of clouds is drawn from."""
        memory = {"angle": self._angle} if self.config.weights.progress else {}
        if self._clouds is None:
            return memory
        return memory | {"cloud_key": self._cloud_key, "cloud_step": self._cloud_step}

    def observe(self) -> dict[str, Tensor]:
        """See `Task.observe`: the state, or what a student sees."""
        if self._clouds is None:
            seen = observe_body(self, "object", self.object)
            return self._state(self.observe_hand(), self.tip_reading(), seen)
        scene, goal = self._clouds.read(mix(self._cloud_key ^ self._cloud_step))
        hand = self.observe_hand() | {"last_action": self.last_action}
        return hand | {"cloud": scene, "goal_cloud": goal}

    def _truth(self) -> dict[str, Tensor]:
        """Return what is observed of the state, without noise."""
        hand = {"joint_pos": self.hand.pos, "joint_vel": self.hand.vel, "target": self.targets}
        body = {"pos": self.object.pos, "quat": self.object.quat}
        body |= {"linvel": self.object.linvel, "angvel": self.object.angvel}
        return self._state(hand, self.tip_pos, {f"object_{k}": v for k, v in body.items()})

    def _state(self, hand: dict[str, Tensor], tips: Tensor, seen: dict[str, Tensor]) -> dict[str, Tensor]:
        pos = seen["object_pos"]
        seen = seen | {"object_pos": pos - self.palm.pos}
        return hand | seen | {"tip_to_object": (tips - pos[:, None]).flatten(1)}

    def privileged(self) -> dict[str, Tensor]:
        """See `Task.privileged`: what is left to turn, of the goal that is shown; the last action; the sides.

        For students also the state, which their teachers observe, and the axes that they learn to tell.
        """
        left = quat_mul(self._goal_quat[:, 0], quat_conjugate(self.object.quat))
        parts = {"turn": rotation_vector(left), "angle": angle_of(left), "last_action": self.last_action}
        parts |= {"sides": fourth_moments(self.object.quat)}
        if self._clouds is None:
            return parts
        now, goal = (rotation_matrix(q).flatten(1) for q in (self.object.quat, self._goal_quat[:, 0]))
        return self._truth() | parts | {"object_axes": now, "goal_axes": goal}

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        parts = (self.hand.vel, self.object.linvel, self.object.angvel)
        speeds = [torch.linalg.vector_norm(v, dim=-1, keepdim=True) for v in parts]
        return torch.cat((self.object.quat, *speeds), -1)

    def success(self, achieved: Tensor, desired: Tensor) -> Tensor:
        """See `Task.success`."""
        c = self.config
        excess = (achieved - desired)[..., 4:]
        return (
            (angle_between(achieved[..., :4], desired[..., :4]) <= c.tolerance_rad)
            & (excess[..., 0] <= c.joint_speed)
            & (excess[..., 1] <= c.speed_m_s)
            & (excess[..., 2] <= c.spin_rad_s)
        )

    def failed(self) -> Tensor:
        """See `Task.failed`: dropped."""
        return self.distance > self.config.dropped_m

    @property
    def distance(self) -> Tensor:
        """Distance of the object from where it starts [m], (num_envs,)."""
        return torch.linalg.vector_norm(self.object.pos - self._centre, dim=-1)

    def goal_terms(self) -> Mapping[str, GoalTerm]:
        """See `Task.goal_terms`; `aligned` is the term of Chen et al."""

        def angle(a: Tensor, d: Tensor) -> Tensor:
            return angle_between(a[..., :4], d[..., :4])

        terms = {
            "angle": angle,
            "aligned": lambda a, d: 1.0 / (angle(a, d) + 0.1),
            "success": lambda a, d: self.success(a, d).float(),
        }
        weights = asdict(self.config.weights)
        return {name: GoalTerm(weights[name], fn) for name, fn in terms.items() if weights[name]}

    def shaping_terms(self) -> Mapping[str, ShapingTerm]:
        """See `Task.shaping_terms`."""
        terms = {
            "progress": lambda: self._progress,
            "position": lambda: self.distance,
            "tips": self._tip_distance,
            "speed": lambda: torch.linalg.vector_norm(self.object.angvel, dim=-1),
            "lost": lambda: self.failed().float(),
            "action": lambda: action_penalty(self),
            "power": self._power,
            "table": lambda: (self.clearance < _TOUCHES_M).float(),
        }
        weights = asdict(self.config.weights)
        return {name: ShapingTerm(weights[name], fn) for name, fn in terms.items() if weights[name]}

    @property
    def clearance(self) -> Tensor:
        """Height of the object's lowest point over the table [m], (num_envs,)."""
        return self.object.pos[:, 2] - lowest_m(self.object.quat, self.config.shape, self._half)

    def _power(self) -> Tensor:
        power = (self._torque[:, self.hand.dofs] * self.hand.vel).abs().sum(-1)
        return torch.clamp(power, max=_MAX_POWER_W)

    def randomization(self, preset: Preset) -> Randomization:
        """See `Task.randomization`."""
        if preset == "nominal":
            return NOMINAL
        noise = HAND_NOISE | body_noise("object")
        if self.config.cloud.source != "none":  # clouds have a noise of their own
            noise = dict(HAND_NOISE)
        return replace(RANDOMISED, obs_noise=noise, push_n=0.5, push_body="object")

    def _tip_distance(self) -> Tensor:
        return torch.linalg.vector_norm(self.tip_pos - self.object.pos[:, None], dim=-1).mean(-1)

    def _starts(self, model: mujoco.MjModel) -> tuple[list[FloatArray], FloatArray]:
        """Return positions (nq,) with the object still in the hand, and the targets (16,) for them."""
        posture, targets = self._postures()
        data, rest = mujoco.MjData(model), []
        ctrl = np.zeros(model.nu)
        ctrl[self.servos.ids] = targets
        mujoco.mj_kinematics(model, data)
        root = data.body("palm")
        R_world_root, p_root = root.xmat.reshape(3, 3).copy(), root.xpos.copy()
        up = self.config.palm == "up"
        for k in range(_STARTS if up else 1):
            yaw = (k / (_STARTS - 1) - 0.5) * 0.6 if up else 0.0
            data.qpos[: model.nq] = model.qpos0
            for name, angle in zip(self.hand.names, posture, strict=True):
                data.joint(name).qpos[:] = angle
            turned = np.zeros(4)
            mujoco.mju_mat2Quat(turned, R_world_root.ravel())
            spin = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
            quat = np.zeros(4)
            mujoco.mju_mulQuat(quat, spin, turned)
            p_object = p_root + R_world_root @ np.array(_CENTRE[self.config.facing])
            data.joint("object").qpos[:] = np.concatenate((p_object, quat))
            late = settle(model, data.qpos.copy(), ctrl, _SETTLE_S)
            if np.abs(settle(model, late, ctrl, 1.0) - late).max() < 0.005:  # round ones may roll on and on
                rest.append(late)
        if not rest:
            raise ValueError(
                f"a {self.config.shape} of {self.config.size_m} m does not come to rest in the hand"
            )
        return rest, targets

    def _postures(self) -> tuple[FloatArray, FloatArray]:
        """Return a posture around the object and the targets that hold it [rad], (16,) each."""
        if self.config.palm == "up":
            posture = np.array([0.0, 0.65, 0.75, 0.65] * 3 + [1.15, 0.35, 0.5, 0.7])
            return posture, posture
        x, y, z = _CENTRE["down"]
        half = self.config.size_m * PROPORTIONS[self.config.shape][2] / 2
        reach = TipReach()

        def around(inset_m: float) -> FloatArray:
            out, spread = half + TIP_RADIUS_M - inset_m, 0.026
            return reach.posture(
                {
                    "index_tip": (x, y + spread, z + out),
                    "middle_tip": (x, y, z + out),
                    "ring_tip": (x, y - spread, z + out),
                    "thumb_tip": (x, y, z - out),
                },
                near=PINCH,
            )

        return around(-0.0005), around(0.015)


class SmoothedTargets:
    """Steps of servo targets by actions that are smoothed: a share of the previous one is kept.

    Args:
        physics: The simulation.
        actuators: Position actuators.
        step_rad: Largest change of a target per control step [rad].
        keep: Share of the previous smoothed action (0.2 in Chen et al.).
        is_stopped: Where actions count as 0, bool (num_envs,).
    """

    def __init__(
        self,
        physics: Physics,
        actuators: Sequence[str],
        step_rad: float,
        keep: float,
        is_stopped: Callable[[], Tensor],
    ) -> None:
        """See the class."""
        self._targets, self._keep = JointTargets(physics, actuators, step=step_rad), keep
        self._is_stopped = is_stopped
        self.names = self._targets.names
        self._last = torch.zeros(physics.num_envs, len(self.names), device=physics.device)

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """See `ActionTerm.apply`."""
        smoothed = torch.lerp(action, self._last, self._keep)
        self._last.copy_(torch.where(self._is_stopped()[:, None], 0.0, smoothed))
        self._targets.apply(self._last, ctrl)

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `ActionTerm.reset`."""
        self._last[ids] = 0.0

    def memory(self) -> dict[str, Tensor]:
        """See `ActionTerm.memory`."""
        return {"smoothed": self._last}
