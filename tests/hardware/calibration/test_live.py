"""Views are taken when the board rests somewhere new."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hardware.calibration.board import Board
from hardware.calibration.hand_eye import solve_hand_eye
from hardware.calibration.live import collect_hand_views, collect_views
from perception_tools.geometry import Transform

_SPEC = importlib.util.spec_from_file_location("cameras_of_tests", Path(__file__).parent / "test_cameras.py")
assert _SPEC is not None and _SPEC.loader is not None
_CAMERAS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_CAMERAS)


def test_each_view_is_another():
    board, rng = Board(), np.random.default_rng(0)
    poses = [_CAMERAS._pose(rng, k) for k in range(5)]
    # In motion, at rest for three pictures, away, and back at the first place at last.
    order = [0, 1, 1, 1, 2, 3, 3, 4, 1, 1, 0, 0]
    pictures = iter([_CAMERAS._picture(board, poses[k]) for k in order])
    told: list[str] = []
    views = collect_views(lambda: next(pictures), board, 3, told.append)
    assert len(views) == 3 and len(told) == 3
    assert list(pictures) == []  # the third new view at rest is the last picture


def test_time_is_limited():
    blank = np.zeros((480, 640), np.uint8)
    with pytest.raises(TimeoutError, match="0 of 3 views"):
        collect_views(lambda: blank, Board(), 3, lambda line: None, timeout_s=0.05)


def test_a_camera_on_the_hand_is_found_from_pictures():
    """From pictures alone: a rendered board that stays, seen by a camera on a hand that moves."""
    board, rng = Board(), np.random.default_rng(1)
    X = np.eye(4)
    X[:3, :3], X[:3, 3] = Rotation.from_euler("xyz", [0.2, -0.1, 1.5]).as_matrix(), [0.04, -0.03, 0.06]
    Y = np.eye(4)
    Y[:3, 3] = [0.5, 0.0, 0.0]
    seen = [_CAMERAS._pose(rng, k) for k in range(12)]
    hands = [Transform(Y @ np.linalg.inv(pose) @ np.linalg.inv(X), "base", "ee") for pose in seen]
    at = {"k": -1}

    def next_image() -> np.ndarray:
        return _CAMERAS._picture(board, seen[at["k"] // 2])

    def hand_pose() -> Transform:
        return hands[max(at["k"], 0) // 2]

    def step() -> np.ndarray:
        at["k"] = min(at["k"] + 1, 2 * len(seen) - 1)
        return next_image()

    views = collect_hand_views(step, hand_pose, board, _CAMERAS.MATRIX, 10, lambda line: None, timeout_s=60)
    found = solve_hand_eye([v.T_base_ee for v in views], [v.T_camera_board for v in views])
    off = np.linalg.inv(X) @ found.T_parent_camera.matrix
    assert np.linalg.norm(off[:3, 3]) < 0.004
    assert Rotation.from_matrix(off[:3, :3]).magnitude() < 0.01
