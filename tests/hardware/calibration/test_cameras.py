"""Calibration of cameras against cameras that are known: pictures of a board are made by projection."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hardware.calibration.board import Board, BoardConfig, View, board_pose
from hardware.calibration.hand_eye import solve_hand_eye
from hardware.calibration.intrinsics import calibrate_intrinsics
from perception_tools.geometry import Transform

SIZE = (640, 480)
MATRIX = np.array([[610.0, 0, 318.0], [0, 606.0, 243.0], [0, 0, 1]])
DISTORTION = np.array([0.08, -0.15, 0.001, -0.002, 0.05])
PX_PER_M = 4000.0


@pytest.fixture(scope="module")
def board() -> Board:
    return Board(BoardConfig())


def _pose(rng: np.random.Generator, k: int = 0) -> np.ndarray:
    """Board poses that fill the image and tilt."""
    x, y = ((k % 3) - 1) * 0.06, ((k // 3) % 3 - 1) * 0.045
    turn = Rotation.from_rotvec(np.append(rng.uniform(-0.6, 0.6, 2), rng.uniform(-0.3, 0.3)))
    pose = np.eye(4)
    pose[:3, :3] = turn.as_matrix()
    centre = np.array([7 * 0.035 / 2, 5 * 0.035 / 2, 0])
    pose[:3, 3] = np.array([x, y, rng.uniform(0.3, 0.38)]) - pose[:3, :3] @ centre
    return pose


def _picture(board: Board, pose: np.ndarray) -> np.ndarray:
    """Render the printed board at a pose through MATRIX, without distortion, with some noise."""
    flat = board.image(PX_PER_M)
    to_board = np.array([[1 / PX_PER_M, 0, 0.5 / PX_PER_M], [0, 1 / PX_PER_M, 0.5 / PX_PER_M], [0, 0, 1]])
    homography = MATRIX @ pose[:3, [0, 1, 3]] @ to_board
    seen = cv2.warpPerspective(flat, homography, SIZE, flags=cv2.INTER_AREA, borderValue=(128,))
    noise = np.random.default_rng(0).normal(0, 2, seen.shape)
    return np.clip(cv2.GaussianBlur(seen, (3, 3), 0) + noise, 0, 255).astype(np.uint8)


def _view(pose: np.ndarray, rng: np.random.Generator, noise_px: float = 0.1) -> View:
    """Project corners by hand, with distortion."""
    grid = np.stack(np.meshgrid(np.arange(1, 7), np.arange(1, 5)), -1).reshape(-1, 2) * 0.035
    points = np.concatenate([grid, np.zeros((len(grid), 1))], axis=1)
    turn = cv2.Rodrigues(pose[:3, :3])[0]
    uv = cv2.projectPoints(points, turn, pose[:3, 3], MATRIX, DISTORTION)[0].reshape(-1, 2)
    keep = ((uv > 0) & (uv < SIZE)).all(axis=1)
    return View(uv[keep] + rng.normal(0, noise_px, uv[keep].shape), points[keep], SIZE)


def test_the_board_is_found_where_it_is(board: Board):
    rng = np.random.default_rng(1)
    for k in range(9):
        pose = _pose(rng, k)
        view = board.find(_picture(board, pose))
        assert view is not None and len(view.uv_px) >= 6
        turn = cv2.Rodrigues(pose[:3, :3])[0]
        expected = cv2.projectPoints(view.p_board, turn, pose[:3, 3], MATRIX, np.zeros(5))[0].reshape(-1, 2)
        assert np.sqrt(((view.uv_px - expected) ** 2).sum(1).mean()) < 0.5
        found = board_pose(view, MATRIX)
        off = np.linalg.inv(pose) @ found.matrix
        assert np.linalg.norm(off[:3, 3]) < 0.003
        assert Rotation.from_matrix(off[:3, :3]).magnitude() < 0.02


def test_a_picture_without_board_has_none(board: Board):
    assert board.find(np.full((480, 640), 128, np.uint8)) is None


def test_intrinsics_are_those_of_the_camera():
    rng = np.random.default_rng(2)
    found = calibrate_intrinsics([_view(_pose(rng, k), rng) for k in range(27)])
    assert np.abs(found.matrix - MATRIX)[[0, 1, 0, 1], [0, 1, 2, 2]].max() < 3.0
    assert (np.abs(found.matrix - MATRIX)[[0, 1, 0, 1], [0, 1, 2, 2]] < 5 * found.deviations).all()
    # Noise of 0.1 px in u and v is 0.14 px together.
    assert 0.1 < found.rms_px < 0.18
    assert len(found.per_view_px) == 27 and found.coverage > 0.8


def test_intrinsics_say_what_to_add():
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="3 views of the board; take at least 8"):
        calibrate_intrinsics([_view(_pose(rng, k), rng) for k in range(3)])
    with pytest.raises(ValueError, match="show it in the corners"):
        pose = _pose(rng, 4)
        pose[2, 3] = 1.5
        calibrate_intrinsics([_view(pose, rng) for _ in range(9)])
    flat = []
    for k in range(18):
        pose = np.eye(4)
        pose[:3, 3] = [((k % 3) - 1.6) * 0.1, ((k // 3) % 3 - 1.4) * 0.08, 0.3 + 0.01 * k]
        flat.append(_view(pose, rng))
    with pytest.raises(ValueError, match="tilt it"):
        calibrate_intrinsics(flat)


@pytest.mark.parametrize("mounting", ["on_hand", "beside"])
def test_the_camera_is_found(mounting):
    rng = np.random.default_rng(4)
    X, Y = np.eye(4), np.eye(4)
    X[:3, :3], X[:3, 3] = Rotation.from_euler("xyz", [0.3, -0.2, 1.4]).as_matrix(), [0.05, -0.02, 0.07]
    Y[:3, :3], Y[:3, 3] = Rotation.from_euler("xyz", [3.0, 0.1, 0.7]).as_matrix(), [0.5, 0.1, 0.02]
    hands, boards = [], []
    for _ in range(15):
        hand = np.eye(4)
        hand[:3, :3] = Rotation.from_rotvec(rng.uniform(-0.8, 0.8, 3)).as_matrix()
        hand[:3, 3] = np.array([0.4, 0, 0.4]) + rng.uniform(-0.2, 0.2, 3)
        seen = np.linalg.inv(hand @ X) @ Y if mounting == "on_hand" else np.linalg.inv(X) @ hand @ Y
        wrong = np.eye(4)
        wrong[:3, :3] = Rotation.from_rotvec(rng.normal(0, 0.001, 3)).as_matrix()
        wrong[:3, 3] = rng.normal(0, 0.0005, 3)
        hands.append(Transform(hand, "base", "ee"))
        boards.append(Transform(seen @ wrong, "camera", "board"))
    found = solve_hand_eye(hands, boards, mounting)
    off = np.linalg.inv(X) @ found.T_parent_camera.matrix
    assert np.linalg.norm(off[:3, 3]) < 0.002
    assert Rotation.from_matrix(off[:3, :3]).magnitude() < 0.003
    assert found.T_parent_camera.parent == ("ee" if mounting == "on_hand" else "base")
    off = np.linalg.inv(Y) @ found.T_other_board.matrix
    assert np.linalg.norm(off[:3, 3]) < 0.003
    # 0.5 mm on each axis is 0.87 mm together, less what the fit takes up; a left-out pose shows more.
    assert 0.0004 < found.error_m < found.left_out_m < 0.002


def test_the_hand_must_turn_about_two_axes():
    rng = np.random.default_rng(5)

    def poses(turns: np.ndarray) -> list[Transform]:
        made = []
        for turn in turns:
            hand = np.eye(4)
            hand[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
            hand[:3, 3] = rng.uniform(-0.2, 0.2, 3)
            made.append(Transform(hand, "base", "ee"))
        return made

    boards = [Transform(np.eye(4), "camera", "board")] * 8
    with pytest.raises(ValueError, match="hardly turns"):
        solve_hand_eye(poses(np.zeros((8, 3))), boards)
    with pytest.raises(ValueError, match="second one"):
        solve_hand_eye(poses(np.outer(np.linspace(0, 1.5, 8), [0, 0, 1])), boards)
    with pytest.raises(ValueError, match="take at least 6"):
        solve_hand_eye(poses(np.zeros((2, 3))), boards[:2])
    with pytest.raises(ValueError, match="2 poses of the hand and 8"):
        solve_hand_eye(poses(np.zeros((2, 3))), boards)
