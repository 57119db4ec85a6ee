"""Where a camera is, from poses of the hand and views of a board that stays.

Camera on the hand: the board stands beside the robot and `T_ee_camera` is sought. Camera beside the robot:
the board is on the hand and `T_base_camera` is sought. Both are A X = X B; it is solved first in closed form
(Park and Martin, 1994, IEEE Trans. Robotics and Automation 10(5)), then by least squares over all poses.
OpenCV 5.0's Python package has no hand-eye functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from perception_tools.geometry import FloatArray, Transform

Mounting = Literal["on_hand", "beside"]
MIN_POSES: Final = 6
_MIN_TURN_RAD: Final = 0.3
_MIN_AXES: Final = 0.15
_M_PER_RAD: Final = 0.3
"""Weight of rotations against translations in the least squares: the size of the setup [m]."""


@dataclass(frozen=True, eq=False)
class HandEyeResult:
    """What was found.

    Attributes:
        mounting: Where the camera is.
        T_parent_camera: `T_ee_camera` or `T_base_camera`.
        T_other_board: `T_base_board` or `T_ee_board`.
        error_m: How far the board seems to move between poses, root mean square [m].
        error_rad: How far it seems to turn, root mean square [rad].
        left_out_m: The same for poses that were left out of the fit, one after another [m].
        left_out_rad: Likewise [rad].
    """

    mounting: Mounting
    T_parent_camera: Transform
    T_other_board: Transform
    error_m: float
    error_rad: float
    left_out_m: float
    left_out_rad: float


def solve_hand_eye(
    T_base_ee: Sequence[Transform], T_camera_board: Sequence[Transform], mounting: Mounting = "on_hand"
) -> HandEyeResult:
    """Find where the camera is.

    Args:
        T_base_ee: The hand's poses.
        T_camera_board: The board as the camera saw it at each of them.
        mounting: Where the camera is.

    Raises:
        ValueError: Too few poses, or turns about too few axes; says what to add.
    """
    if len(T_base_ee) != len(T_camera_board):
        raise ValueError(f"{len(T_base_ee)} poses of the hand and {len(T_camera_board)} of the board")
    if len(T_base_ee) < MIN_POSES:
        raise ValueError(f"{len(T_base_ee)} poses; take at least {MIN_POSES}")
    hands: FloatArray = np.stack([pose.matrix for pose in T_base_ee])
    if mounting == "beside":  # then the hand plays the base's part
        hands = np.asarray(np.linalg.inv(hands), dtype=np.float64)
    boards = np.stack([pose.matrix for pose in T_camera_board])
    _check_turns(hands)
    X, Y = _fit(hands, boards)
    errors = _errors(hands, boards, X, Y)
    left_out = np.stack([_left_out(hands, boards, k) for k in range(len(hands))])
    parent, other = ("ee", "base") if mounting == "on_hand" else ("base", "ee")
    return HandEyeResult(
        mounting,
        Transform(X, parent, "camera"),
        Transform(Y, other, "board"),
        *_rms(errors),
        *_rms(left_out),
    )


def _check_turns(hands: FloatArray) -> None:
    relative = Rotation.from_matrix(hands[0, :3, :3].T @ hands[1:, :3, :3]).as_rotvec()
    angles = np.linalg.norm(relative, axis=1)
    if (angles > _MIN_TURN_RAD).sum() < MIN_POSES // 2:
        raise ValueError("the hand hardly turns between the poses; turn it by 20 degrees and more")
    axes = relative[angles > 1e-6] / angles[angles > 1e-6, None]
    spread = np.linalg.svd(axes, compute_uv=False)
    if spread[1] < _MIN_AXES * spread[0]:
        raise ValueError("the hand turns about one axis only; turn it about a second one, too")


def _fit(hands: FloatArray, boards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return X = T_ee_camera and Y = T_base_board with hands @ X @ boards = Y."""
    X = _park_martin(hands, boards)
    Y = _mean(np.asarray(hands @ X @ boards))
    start = np.concatenate([_to_vector(X), _to_vector(Y)])

    def residuals(vector: FloatArray) -> FloatArray:
        errors = _errors(hands, boards, _to_matrix(vector[:6]), _to_matrix(vector[6:]))
        return np.concatenate([errors[:, :3], errors[:, 3:] * _M_PER_RAD], axis=1).ravel()

    found = least_squares(residuals, start, method="lm")
    return _to_matrix(found.x[:6]), _to_matrix(found.x[6:])


def _park_martin(hands: FloatArray, boards: FloatArray) -> FloatArray:
    """Solve A X = X B over all pairs of poses, in closed form."""
    first, second = np.triu_indices(len(hands), 1)
    A = np.linalg.inv(hands[second]) @ hands[first]
    B = boards[second] @ np.linalg.inv(boards[first])
    alpha = Rotation.from_matrix(A[:, :3, :3]).as_rotvec()
    beta = Rotation.from_matrix(B[:, :3, :3]).as_rotvec()
    U, _, Vt = np.linalg.svd(alpha.T @ beta)
    rotation = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    # (R_A - 1) t = R t_B - t_A
    rows = (A[:, :3, :3] - np.eye(3)).reshape(-1, 3)
    values = (B[:, :3, 3] @ rotation.T - A[:, :3, 3]).ravel()
    X = np.eye(4)
    X[:3, :3] = rotation
    X[:3, 3] = np.linalg.lstsq(rows, values, rcond=None)[0]
    return X


def _errors(hands: FloatArray, boards: FloatArray, X: FloatArray, Y: FloatArray) -> FloatArray:
    """Return how far Y is from hands @ X @ boards: translation [m] and rotation vector [rad], (n, 6)."""
    off = np.linalg.inv(Y) @ hands @ X @ boards
    return np.concatenate([off[:, :3, 3], Rotation.from_matrix(off[:, :3, :3]).as_rotvec()], axis=1)


def _left_out(hands: FloatArray, boards: FloatArray, k: int) -> FloatArray:
    keep = np.arange(len(hands)) != k
    X, Y = _fit(hands[keep], boards[keep])
    return _errors(hands[k : k + 1], boards[k : k + 1], X, Y)[0]


def _rms(errors: FloatArray) -> tuple[float, float]:
    squares = (errors**2).mean(axis=0)
    return float(np.sqrt(squares[:3].sum())), float(np.sqrt(squares[3:].sum()))


def _mean(poses: FloatArray) -> FloatArray:
    mean = np.eye(4)
    mean[:3, :3] = Rotation.from_matrix(poses[:, :3, :3]).mean().as_matrix()
    mean[:3, 3] = poses[:, :3, 3].mean(axis=0)
    return mean


def _to_vector(matrix: FloatArray) -> FloatArray:
    return np.concatenate([matrix[:3, 3], Rotation.from_matrix(matrix[:3, :3]).as_rotvec()])


def _to_matrix(vector: FloatArray) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, 3] = vector[:3]
    matrix[:3, :3] = Rotation.from_rotvec(vector[3:]).as_matrix()
    return matrix
