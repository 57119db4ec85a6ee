"""Clearance of an arm from what was observed, from the support plane and from itself.

A clearance is a distance minus the margin asked for: negative is too close. The base stands where it
stands: only moving links are held against points and support.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from perception_tools.geometry import BoolArray, FloatArray
from policies.motion import Obstacles
from policies.robot import JointTrajectory
from sim.clearance import PointField, Poses, Primitive, lowest_z, observed_points
from sim.robot_body import Held, RobotBody

_SELF_CUTOFF_M = 0.1  # self distances beyond it are of no interest
_FIELDS_KEPT = 8
_CHUNK, _ROWS = 12, 64  # postures per batch: along edges (most fail early), along trajectories
_TOLERANCE_M = 1e-3  # what "does not get closer" may still lose


@dataclass(frozen=True, eq=False)
class Scene:
    """Obstacles made searchable, for one opening of the gripper."""

    obstacles: Obstacles
    points: PointField
    held: Held | None
    gripper_width_m: float


class CollisionChecker:
    """Checks postures and motions of a body. Safe in any thread.

    Args:
        body: The robot.
        self_margin_m: Distance kept between the robot's own links [m].
        support_noise_m: Points lower than this above the support plane belong to it [m].

    Attributes:
        reach_m: How far from each joint's axis the robot extends [m], (num_joints,).
    """

    def __init__(self, body: RobotBody, *, self_margin_m: float, support_noise_m: float) -> None:
        self._body = body
        self._self_margin_m = self_margin_m
        self._support_noise_m = support_noise_m
        self._fields: OrderedDict[tuple[int, float | None], PointField] = OrderedDict()
        self._lock = threading.Lock()
        self.reach_m = body.joint_reach_m()

    def scene(self, obstacles: Obstacles, gripper_width_m: float) -> Scene:
        """Prepare obstacles for many checks.

        Raises:
            ValueError: Points of wrong shape or not finite.
        """
        held = Held(obstacles.held_size_m, obstacles.held_center_m) if obstacles.held_size_m else None
        return Scene(obstacles, self._point_field(obstacles), held, gripper_width_m)

    def clearances(self, joint_pos: FloatArray, scene: Scene, cutoff_m: float = 0.0) -> FloatArray:
        """Return clearances [m] of postures [rad], (B, num_joints), as (B,), none above the cutoff.

        A cutoff of 0 answers only whether (and by how much) a posture is too close, and is fast.
        """
        self_cutoff_m = min(cutoff_m, _SELF_CUTOFF_M) + self._self_margin_m
        state = self._body.state(scene.held)
        poses, self_distance = state.poses(joint_pos, scene.gripper_width_m, self_cutoff_m)
        result = np.minimum(cutoff_m, self_distance - self._self_margin_m)
        has_held = scene.held is not None
        return np.minimum(
            result,
            self._outside(
                poses, state.shapes, scene, cutoff_m, self._with_held(~self._body.is_static, has_held)
            ),
        )

    def _outside(
        self, poses: Poses, shapes: list[Primitive], scene: Scene, cutoff_m: float, use: BoolArray
    ) -> FloatArray:
        """Return clearances of some shapes from points and support [m], at most the cutoff, (B,)."""
        margin_m = scene.obstacles.margin_m
        used = Poses(poses.center[:, use], poses.rotation[:, use])
        shapes = [shape for shape, is_used in zip(shapes, use, strict=True) if is_used]
        result = scene.points.distance(shapes, used, cutoff_m + margin_m) - margin_m
        if scene.obstacles.support_z_m is not None:
            touches = self._with_held(self._body.is_finger, scene.held is not None)[use]
            margins = np.where(touches, scene.obstacles.support_margin_m, margin_m)
            above_m = lowest_z(shapes, used) - scene.obstacles.support_z_m
            result = np.minimum(result, (above_m - margins).min(axis=1))
        return result

    def hand_clearance(self, joint_pos: FloatArray, scene: Scene) -> float:
        """Return the clearance of hand, fingers and held object alone [m], at most 0.

        They are where the ee pose puts them: if it is negative, no other posture for that pose helps.
        """
        state, has_held = self._body.state(scene.held), scene.held is not None
        poses, _ = state.poses(joint_pos[None], scene.gripper_width_m)
        hand = self._with_held(self._body.is_hand, has_held)
        return float(self._outside(poses, state.shapes, scene, 0.0, hand)[0])

    def is_edge_free(self, a: FloatArray, b: FloatArray, scene: Scene, step_m: float) -> bool:
        """Check a straight joint motion, its start left out, coarse to fine.

        Args:
            a: First posture [rad], (num_joints,).
            b: Last posture [rad], (num_joints,).
            scene: What to keep away from.
            step_m: Bound on how far any point of the robot moves between two checks [m].
        """
        count = max(1, int(np.ceil(np.abs(b - a) @ self.reach_m / step_m)))
        fractions = np.arange(count, 0, -1) / count
        stride = -(-count // _CHUNK)
        for chunk in (fractions[k::stride] for k in range(stride)):
            if (self.clearances(a + chunk[:, None] * (b - a), scene) < 0).any():
                return False
        return True

    def is_clear(self, trajectory: JointTrajectory, scene: Scene) -> bool:
        """Check every sample but the first, which is where the robot is, limits included."""
        rows, limits = trajectory.joint_pos[1:], self._body.limits
        if not ((rows >= limits.lower) & (rows <= limits.upper)).all():
            return False
        return all((c >= 0).all() for c in self._chunks(rows, scene))

    def along(self, joint_pos: FloatArray, scene: Scene) -> FloatArray:
        """Return clearances of many postures, at most 0 [m], (B,)."""
        return np.concatenate(list(self._chunks(joint_pos, scene)))

    def gets_free(self, clearances: FloatArray) -> bool:
        """Whether a way that starts too close gets clear, stays so, and gets no closer before."""
        if clearances[-1] < 0:
            return False
        first = int(np.argmax(clearances >= 0))
        gets_no_closer = (clearances[:first] >= clearances[0] - _TOLERANCE_M).all()
        return bool(gets_no_closer and (clearances[first:] >= 0).all())

    def _chunks(self, rows: FloatArray, scene: Scene) -> Iterator[FloatArray]:
        return (self.clearances(rows[k : k + _ROWS], scene) for k in range(0, len(rows), _ROWS))

    @staticmethod
    def _with_held(flags: BoolArray, has_held: bool) -> BoolArray:
        """Append the held object, which moves, and may come close to the support."""
        return np.append(flags, True) if has_held else flags

    def _point_field(self, obstacles: Obstacles) -> PointField:
        """Return the searchable points; the newest few are kept, found by content."""
        points = np.ascontiguousarray(obstacles.points, dtype=np.float64)
        key = (hash((points.shape, points.tobytes())), obstacles.support_z_m)
        with self._lock:
            if key in self._fields:
                self._fields.move_to_end(key)
                return self._fields[key]
        reach_m = 1.0 + float(self.reach_m.max())
        field = PointField(observed_points(obstacles, self._support_noise_m, reach_m))
        with self._lock:
            self._fields[key] = field
            while len(self._fields) > _FIELDS_KEPT:
                self._fields.popitem(last=False)
        return field
