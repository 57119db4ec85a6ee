"""A parallel gripper as a few boxes in the ee frame, and its distance to observed points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perception_tools.geometry import FloatArray


@dataclass(frozen=True)
class GripperGeometry:
    """Shape of a parallel gripper; defaults are the Franka Hand's with a wrist camera.

    The ee frame is the grasp centre: z approach, y opening axis. Heights count back from the
    fingertips, against z.

    Attributes:
        tip_beyond_m: How far the fingertips reach beyond the grasp centre along z [m].
        finger_width_m: Width of the fingers along x [m].
        pad_thickness_m: Thickness of the pads along y [m].
        pad_length_m: Length of the pads [m].
        finger_thickness_m: Outer side of the upper finger, from the pad's face [m].
        finger_inset_m: How far the upper finger stands back from the pad's face [m].
        finger_length_m: From the fingertips to the hand [m].
        hand_size_m: Extents of the hand along x and y [m].
        hand_length_m: Length of the hand and of the way it comes along the approach [m].
        camera_x_m: Extents of the camera along x, (low, high) [m]; equal: no camera.
        camera_width_m: Extent of the camera along y [m].
        camera_from_tip_m: From the fingertips to the camera [m].
    """

    tip_beyond_m: float = 0.0095
    finger_width_m: float = 0.022
    pad_thickness_m: float = 0.0155
    pad_length_m: float = 0.022
    finger_thickness_m: float = 0.026
    finger_inset_m: float = 0.005
    finger_length_m: float = 0.048
    hand_size_m: tuple[float, float] = (0.063, 0.203)
    hand_length_m: float = 0.14
    camera_x_m: tuple[float, float] = (0.028, 0.082)
    camera_width_m: float = 0.092
    camera_from_tip_m: float = 0.073

    def finger_boxes(self) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper corners (2, 3) of pad and upper finger at y >= 0, pad face at y = 0."""
        x, tip = self.finger_width_m / 2, self.tip_beyond_m
        low = [
            (-x, 0, tip - self.pad_length_m),
            (-x, self.finger_inset_m, tip - self.finger_length_m),
        ]
        high = [(x, self.pad_thickness_m, tip), (x, self.finger_thickness_m, tip - self.pad_length_m)]
        return np.array(low), np.array(high)

    def hand_boxes(self) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper corners (B, 3) of the hand and, if there is one, the camera."""
        x, y = self.hand_size_m[0] / 2, self.hand_size_m[1] / 2
        base = self.tip_beyond_m - self.finger_length_m
        low, high = [(-x, -y, base - self.hand_length_m)], [(x, y, base)]
        if self.camera_x_m[1] > self.camera_x_m[0]:
            half = self.camera_width_m / 2
            near = self.tip_beyond_m - self.camera_from_tip_m
            low.append((self.camera_x_m[0], -half, base - self.hand_length_m))
            high.append((self.camera_x_m[1], half, near))
        return np.array(low, dtype=float), np.array(high, dtype=float)

    def distances(self, points: FloatArray, T_world_ee: FloatArray, open_m: FloatArray) -> FloatArray:
        """Return the signed distance of points to the open gripper [m], < 0 inside.

        Because the hand comes along its own axis and is longer than it is real, this covers the
        straight approach too.

        Args:
            points: Points in world [m], shape (N, 3).
            T_world_ee: Grasp poses, shape (K, 4, 4).
            open_m: Openings [m], shape (K,).

        Returns:
            Distances, shape (K, N).
        """
        rotation, origin = T_world_ee[:, :3, :3], T_world_ee[:, :3, 3]
        inverse = rotation.transpose(0, 2, 1)
        local = (inverse @ points.T - inverse @ origin[..., None]).transpose(1, 0, 2)
        beside = (local[0], np.abs(local[1]) - open_m[:, None] / 2, local[2])
        nearest = np.full(local.shape[1:], np.inf)
        for place, boxes in ((beside, self.finger_boxes()), (tuple(local), self.hand_boxes())):
            for low, high in zip(*boxes, strict=True):
                np.minimum(nearest, _box_distance(place, low, high), out=nearest)
        return nearest

    def lowest_z(self, T_world_ee: FloatArray, open_m: FloatArray) -> FloatArray:
        """Return the height of the lowest point of the open gripper [m], (K,), for poses (K, 4, 4)."""
        low, high = self.finger_boxes()
        fingers = _corners(low, high)
        fingers = np.stack([fingers, fingers * (1, -1, 1)])  # both sides, pad faces at y = 0
        shift = np.zeros((len(open_m), 2, 1, 3))
        shift[:, 0, 0, 1], shift[:, 1, 0, 1] = open_m / 2, -open_m / 2
        hand = _corners(*self.hand_boxes())
        every = (fingers[None] + shift).reshape(len(open_m), -1, 3)
        every = np.concatenate([every, np.broadcast_to(hand, (len(open_m), *hand.shape))], axis=1)
        return (every @ T_world_ee[:, 2, :3, None])[..., 0].min(axis=1) + T_world_ee[:, 2, 3]


def _box_distance(place: Sequence[FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Signed distance [m] of points given as x, y and z arrays to a box; < 0 inside."""
    x, y, z = (
        np.abs(axis - middle) - half
        for axis, middle, half in zip(place, (low + high) / 2, (high - low) / 2, strict=True)
    )
    deepest = np.maximum(np.maximum(x, y), z)
    for axis in (x, y, z):
        np.maximum(axis, 0, out=axis)
    return np.sqrt(x * x + y * y + z * z) + np.minimum(deepest, 0)


def _corners(low: FloatArray, high: FloatArray) -> FloatArray:
    """Corners (8 B, 3) of boxes given by (B, 3) lower and upper ones."""
    pick = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return np.where(pick, high[:, None], low[:, None]).reshape(-1, 3)
