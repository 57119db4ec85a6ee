"""A tool in a hand and the object at its tips, from a depth camera's cloud, in the hand's own frame.

`affordance` knows nothing of where a tool is, and needs most of it in view. In a hand the fingers hide much
of it, but where the hand is, and which way is up, is known from the arm's encoders: that is the frame here.
The level hand frame has the origin of the hand's grasp frame `ee`, z up, and x along the horizontal part of
`ee`'s y. The cloud shows the tool's end, the object, and nothing of robot and table. Runs in onnxruntime.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception_tools.affordance_onnx import open_network
from perception_tools.geometry import FloatArray

UNIT_M: Final = 0.05
"""Unit of lengths inside the network [m]."""
OUTPUTS: Final = ("tip", "axes", "opening", "object", "quat", "size", "log_var")
"""Names of what the network returns; see `affordance_hand_nets.HandNet.forward`."""
ONNX_FILE: Final = "affordance_hand.onnx"
ABOUT_KEY: Final = "habilis.affordance_hand"
SHIPPED: Final = Path(__file__).parent / "weights" / "affordance_hand"
"""Weights that come with the program."""
MIN_POINTS: Final = 24


@dataclass(frozen=True, eq=False)
class HandSight:
    """A held tool and the object at its tips, in world axes.

    Attributes:
        p_tip: Middle of the tips in world [m], (3,).
        tip_sd_m: Standard deviation of each of its coordinates [m].
        axes: The tool's axes as columns, (3, 3): y from its right to its left arm, z along it to the tips.
        opening_m: Distance of the tips [m].
        p_object: Middle of the object in world [m], (3,).
        object_sd_m: Standard deviation of each of its coordinates [m].
        object_quat_wxyz: Its rotation, (4,), turned least from the hand's level frame; what no camera can
            tell, as of a ball, is arbitrary.
        object_size_m: Its extent along its x, which tips are to span, and half its height as it lay [m],
            (2,).
    """

    p_tip: FloatArray
    tip_sd_m: float
    axes: FloatArray
    opening_m: float
    p_object: FloatArray
    object_sd_m: float
    object_quat_wxyz: FloatArray
    object_size_m: FloatArray


class HandAffordance:
    """Runs the exported network.

    Args:
        file: The .onnx file.

    Raises:
        ValueError: It is missing, or something else.
        ModuleNotFoundError: onnxruntime is not installed.
    """

    def __init__(self, file: Path = SHIPPED / ONNX_FILE) -> None:
        """See the class."""
        self._session, self.about = open_network(file, "network for tools in a hand", ABOUT_KEY)
        self._num_points = int(self.about["net"]["num_points"])

    def estimate(
        self, points: FloatArray, ee_pos: FloatArray, ee_mat: FloatArray, table_m: float = 0.0
    ) -> HandSight:
        """Estimate tool and object.

        Args:
            points: Cloud in world [m], (N, 3).
            ee_pos: Origin of `ee` in world [m], (3,).
            ee_mat: Its axes as columns, (3, 3).
            table_m: Height of the table in world [m].

        Raises:
            ValueError: Fewer than `MIN_POINTS` points.
        """
        R = level_axes(ee_mat)
        local = (points - ee_pos) @ R
        read = network_input(local, float(ee_pos[2]) - table_m, self._num_points)
        out = dict(zip(OUTPUTS, self._session.run(list(OUTPUTS), {"points": read[None]}), strict=True))
        tip, axes, opening, thing, quat, size, log_var = (np.asarray(out[k], np.float64)[0] for k in OUTPUTS)
        sd = UNIT_M * np.exp(0.5 * log_var)
        quat = quat if quat[0] >= 0.0 else -quat
        y = R @ axes[:3]
        z = R @ axes[3:]
        z = z - (z @ y) * y
        z /= max(float(np.linalg.norm(z)), 1e-9)
        return HandSight(
            p_tip=ee_pos + R @ (UNIT_M * tip),
            tip_sd_m=float(sd[0]),
            axes=np.column_stack((np.cross(y, z), y, z)),
            opening_m=float(UNIT_M * opening[0]),
            p_object=ee_pos + R @ (UNIT_M * thing),
            object_sd_m=float(sd[1]),
            object_quat_wxyz=turned_about_z(quat, np.arctan2(R[1, 0], R[0, 0])),
            object_size_m=UNIT_M * size,
        )


def level_axes(ee_mat: ArrayLike) -> FloatArray:
    """Return the axes of the level hand frame in world as columns, (3, 3), of `ee`'s (3, 3)."""
    x = np.asarray(ee_mat, np.float64)[:2, 1]
    c, s = x / max(float(np.linalg.norm(x)), 1e-9)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def turned_about_z(quat_wxyz: ArrayLike, angle_rad: float) -> FloatArray:
    """Return a rotation turned about the world's z."""
    w, x, y, z = np.asarray(quat_wxyz, np.float64)
    c, s = np.cos(angle_rad / 2), np.sin(angle_rad / 2)
    return np.array([c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w])


def network_input(
    local: FloatArray, ee_height_m: float, num_points: int, rng: np.random.Generator | None = None
) -> NDArray[np.float32]:
    """Return what the network reads of a cloud, (num_points, 4): few points are repeated, many thinned.

    Args:
        local: Points in the level hand frame [m], (N, 3).
        ee_height_m: Height of its origin over the table [m].
        num_points: How many are read.
        rng: Chooses them; by default always the same way.

    Raises:
        ValueError: Fewer than `MIN_POINTS` points.
    """
    if len(local) < MIN_POINTS:
        raise ValueError(f"a cloud of {len(local)} points shows too little; {MIN_POINTS} are needed")
    chosen = (rng or np.random.default_rng(0)).permutation(len(local))
    some = local[np.resize(chosen, num_points)]
    return (np.column_stack((some, some[:, 2] + ee_height_m)) / UNIT_M).astype(np.float32)
