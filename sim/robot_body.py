"""The robot alone, as geometry: forward kinematics and self distances for many postures."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from itertools import combinations

import mujoco
import numpy as np

from perception_tools.geometry import BoolArray, FloatArray
from policies.robot import JointLimits
from sim.clearance import Poses, Primitive, primitive_of
from sim.robots.model import EE_SITE, RobotModel

COLLISION_GROUP = 3
_HELD = "held_object"


@dataclass(frozen=True)
class Held:
    """A held box that moves with the hand: extents and centre in the ee frame [m]."""

    size_m: tuple[float, float, float]
    center_m: tuple[float, float, float] = (0.0, 0.0, 0.0)


class RobotBody:
    """Immutable description, compiled from the robot's own spec.

    Args:
        robot: Which robot.
        limits: Joint limits to use; the robot's own if None.

    Attributes:
        model: Compiled model with one more geom, for a held object.
        geoms: Ids of the collision geoms, (G,).
        shapes: Their primitives, G of them.
        is_static: Which of them are fixed to the world (the base), (G,).
        is_finger: Which of them are on the fingers, (G,).
        is_hand: Which of them are on the hand or the fingers, (G,): placed by the ee pose alone.
    """

    def __init__(self, robot: RobotModel, limits: JointLimits | None = None) -> None:
        spec = robot.make_spec()
        # Off-axis at compile time: MuJoCo ignores the pose of geoms that coincide with their body.
        spec.site(EE_SITE).parent.add_geom(
            name=_HELD,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.01, 0.01, 0.01],
            pos=[0.01, 0.02, 0.03],
            quat=[0.8, 0.6, 0.0, 0.0],
            mass=0.0,
            contype=0,
            conaffinity=0,
            group=5,
        )
        self.model = spec.compile()
        self.limits = limits or robot.limits
        self.site = self.model.site(EE_SITE).id
        self.held_geom = self.model.geom(_HELD).id
        self.qpos_index = np.array([self.model.joint(n).qposadr[0] for n in self.limits.joint_names])
        for k, name in enumerate(self.limits.joint_names):
            self.model.joint(name).range[:] = self.limits.lower[k], self.limits.upper[k]
        fingers = robot.gripper.joint_names if robot.gripper else ()
        self.finger_qpos_index = np.array([self.model.joint(n).qposadr[0] for n in fingers], dtype=int)
        self.geoms = np.flatnonzero(self.model.geom_group == COLLISION_GROUP)
        if len(self.geoms) == 0:
            raise ValueError(f"robot {robot.name!r} has no geoms in collision group {COLLISION_GROUP}")
        parts = [primitive_of(self.model, int(g)) for g in self.geoms]
        self.shapes = [shape for shape, _ in parts]
        self.offset = np.array([offset for _, offset in parts])
        body = self.model.geom_bodyid[self.geoms]
        finger_bodies = [
            self.model.body(n).id for n in (robot.gripper.finger_bodies if robot.gripper else ())
        ]
        self.is_static: BoolArray = self.model.body_weldid[body] == 0
        self.is_finger: BoolArray = np.isin(body, finger_bodies)
        hand = int(self.model.geom_bodyid[self.held_geom])
        self.is_hand: BoolArray = self.is_finger | (body == hand)
        self.pairs, self.held_pairs = self._pairs_to_check(finger_bodies)
        self._local = threading.local()

    def state(self, held: Held | None = None) -> BodyState:
        """Return this thread's scratch memory, with a held box or without."""
        if not hasattr(self._local, "state"):
            self._local.state = BodyState(self)
        self._local.state.set_held(held)
        return self._local.state

    def joint_reach_m(self, samples: int = 64) -> FloatArray:
        """Return how far from each joint's axis the robot extends [m], (num_joints,), sampled."""
        state, rng = self.state(), np.random.default_rng(0)
        reach_m = np.zeros(len(self.limits.joint_names))
        for posture in rng.uniform(self.limits.lower, self.limits.upper, (samples, len(reach_m))):
            state.place(posture, 0.0)
            for k, name in enumerate(self.limits.joint_names):
                joint = self.model.joint(name).id
                axis, anchor = state.data.xaxis[joint], state.data.xanchor[joint]
                carried = self._carried_by(int(self.model.jnt_bodyid[joint]))
                offset = state.data.geom_xpos[carried] - anchor
                away = np.linalg.norm(offset - np.outer(offset @ axis, axis), axis=1)
                reach_m[k] = max(reach_m[k], float((away + self.model.geom_rbound[carried]).max()))
        return reach_m

    def _carried_by(self, body: int) -> np.ndarray:
        """Return the collision geoms of a body and of all that hangs on it."""

        def is_carried(b: int) -> bool:
            while b > 0 and b != body:
                b = int(self.model.body_parentid[b])
            return b == body

        return np.array([g for g in self.geoms if is_carried(int(self.model.geom_bodyid[g]))], dtype=int)

    def _pairs_to_check(self, finger_bodies: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return geom pairs that may collide: not of neighbouring or excluded links, (P, 2) each."""
        model = self.model
        excluded = {(int(s) >> 16, int(s) & 0xFFFF) for s in model.exclude_signature}

        def may_collide(g1: int, g2: int) -> bool:
            b1, b2 = sorted((int(model.geom_bodyid[g1]), int(model.geom_bodyid[g2])))
            w1, w2 = int(model.body_weldid[b1]), int(model.body_weldid[b2])
            if w1 == w2 or (b1, b2) in excluded or (b2, b1) in excluded:
                return False
            if b1 in finger_bodies and b2 in finger_bodies:
                return False
            return not _are_parent_and_child(model, w1, w2)

        pairs = [(a, b) for a, b in combinations(self.geoms.tolist(), 2) if may_collide(a, b)]
        hand = int(model.geom_bodyid[self.held_geom])
        own = {hand, *finger_bodies}
        held = [(self.held_geom, g) for g in self.geoms.tolist() if model.geom_bodyid[g] not in own]
        return np.array(pairs, dtype=int).reshape(-1, 2), np.array(held, dtype=int).reshape(-1, 2)


def _are_parent_and_child(model: mujoco.MjModel, w1: int, w2: int) -> bool:
    def parent(w: int) -> int:
        return int(model.body_weldid[model.body_parentid[w]])

    return (w1 != 0 and parent(w1) == w2) or (w2 != 0 and parent(w2) == w1)


class BodyState:
    """Scratch memory of one thread: its own model and data."""

    def __init__(self, body: RobotBody) -> None:
        self.body = body
        self.model = copy.copy(body.model)
        self.data = mujoco.MjData(self.model)
        self._held: Held | None = None

    def set_held(self, held: Held | None) -> None:
        """Attach a box to the hand, or none."""
        self._held = held
        if held is None:
            return
        geom, site = self.body.held_geom, self.body.site
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, self.model.site_quat[site])
        half = 0.5 * np.asarray(held.size_m, dtype=np.float64)
        self.model.geom_size[geom] = half
        self.model.geom_rbound[geom] = np.linalg.norm(half)
        self.model.geom_pos[geom] = self.model.site_pos[site] + rotation.reshape(3, 3) @ held.center_m
        self.model.geom_quat[geom] = self.model.site_quat[site]

    @property
    def shapes(self) -> list[Primitive]:
        """Primitives of the body, the held box last if there is one."""
        if self._held is None:
            return self.body.shapes
        return [*self.body.shapes, Primitive.build("box", 0.5 * np.asarray(self._held.size_m))]

    def place(self, joint_pos: FloatArray, gripper_width_m: float) -> None:
        """Run forward kinematics for one posture [rad], (num_joints,)."""
        self.data.qpos[self.body.qpos_index] = joint_pos
        if len(self.body.finger_qpos_index):
            self.data.qpos[self.body.finger_qpos_index] = gripper_width_m / len(self.body.finger_qpos_index)
        mujoco.mj_kinematics(self.model, self.data)

    def ee_matrix(self) -> FloatArray:
        """Return ``T_world_ee`` of the placed posture, (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.data.site_xmat[self.body.site].reshape(3, 3)
        matrix[:3, 3] = self.data.site_xpos[self.body.site]
        return matrix

    def poses(
        self, joint_pos: FloatArray, gripper_width_m: float, self_cutoff_m: float = 0.0
    ) -> tuple[Poses, FloatArray]:
        """Return the primitives' poses, and self distances [m] up to a cutoff, for postures (B, num_joints).

        With a cutoff of 0 self distances are not computed (and are 0).
        """
        body, has_held = self.body, self._held is not None
        geoms = np.append(body.geoms, body.held_geom) if has_held else body.geoms
        center = np.empty((len(joint_pos), len(geoms), 3))
        rotation = np.empty((len(joint_pos), len(geoms), 3, 3))
        self_distance = np.full(len(joint_pos), self_cutoff_m)
        pairs = np.concatenate([body.pairs, body.held_pairs]) if has_held else body.pairs
        for b, row in enumerate(joint_pos):
            self.place(row, gripper_width_m)
            center[b] = self.data.geom_xpos[geoms]
            rotation[b] = self.data.geom_xmat[geoms].reshape(-1, 3, 3)
            if self_cutoff_m > 0 and len(pairs):
                self_distance[b] = self._self_distance(pairs, self_cutoff_m)
        num_body = len(body.geoms)
        center[:, :num_body] += np.einsum("bgij,gj->bgi", rotation[:, :num_body], body.offset)
        return Poses(center, rotation), self_distance

    def _self_distance(self, pairs: np.ndarray, cutoff_m: float) -> float:
        first, second = pairs[:, 0], pairs[:, 1]
        between = np.linalg.norm(self.data.geom_xpos[first] - self.data.geom_xpos[second], axis=1)
        gap = between - self.model.geom_rbound[first] - self.model.geom_rbound[second]
        nearest = cutoff_m
        for k in np.flatnonzero(gap < cutoff_m):
            g1, g2 = int(first[k]), int(second[k])
            nearest = min(nearest, mujoco.mj_geomDistance(self.model, self.data, g1, g2, nearest, None))
        return nearest
