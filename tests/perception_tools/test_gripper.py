"""The gripper's boxes and distances, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.gripper import GripperGeometry

G = GripperGeometry(
    tip_beyond_m=0.01,
    finger_width_m=0.02,
    pad_thickness_m=0.01,
    pad_length_m=0.02,
    finger_thickness_m=0.02,
    finger_inset_m=0.005,
    finger_length_m=0.05,
    hand_size_m=(0.06, 0.2),
    hand_length_m=0.1,
    camera_x_m=(0.0, 0.0),
)
POSE = np.eye(4)[None]  # ee at the origin, approach along +z
OPEN = np.array([0.06])  # pads from |y| = 0.03 to 0.04, z from -0.01 to 0.01


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((0, 0, 0), 0.03),  # between the pads
        ((0, 0.035, 0), -0.005),  # in the middle of a pad
        ((0, -0.035, 0), -0.005),  # of the other
        ((0, 0.06, 0), 0.01 * 2**0.5),  # off the upper finger's edge at y = 0.05, z = -0.01
        ((0, 0.06, 0.01), 0.02),  # beside the end of the pad: 0.06 - 0.04
        ((0.02, 0.035, 0), 0.01),  # beside its width: 0.02 - 0.01
        ((0, 0.035, 0.03), 0.02),  # beyond the tip: 0.03 - 0.01
        ((0, 0.045, -0.025), -0.005),  # in the upper finger, |y| from 0.035 to 0.05
        ((0, 0, -0.03), 0.01),  # below the hand, which begins at z = -0.04
        ((0, 0, -0.09), -0.03),  # in the hand: 0.03 from its flat sides
        ((0, 0.13, -0.07), 0.03),  # beside the hand: 0.13 - 0.1
    ],
)
def test_distances_by_hand(point, distance):
    found = G.distances(np.array([point], dtype=float), POSE, OPEN)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(distance, abs=1e-12)


def test_distances_move_with_the_pose():
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.1, 0.1, (50, 3))
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = [0.5, 0.1, 0.3]
    moved = points @ turn[:3, :3].T + turn[:3, 3]
    both = G.distances(moved, np.stack([turn, POSE[0]]), np.array([0.06, 0.06]))
    np.testing.assert_allclose(both[0], G.distances(points, POSE, OPEN)[0], atol=1e-12)
    assert not np.allclose(both[0], both[1])


def test_a_wider_opening_moves_only_the_fingers():
    point = np.array([[0, 0.035, 0.0]])
    assert G.distances(point, POSE, np.array([0.08]))[0, 0] == pytest.approx(0.005)
    inside_hand = np.array([[0, 0, -0.09]])
    assert G.distances(inside_hand, POSE, np.array([0.08]))[0, 0] == pytest.approx(-0.03)


def test_the_lowest_point():
    down = np.diag([1.0, -1, -1, 1])
    down[2, 3] = 0.2
    assert G.lowest_z(down[None], OPEN)[0] == pytest.approx(0.19)  # the tips
    # Tilted by 90 degrees about x the approach lies along y and the fingers' outer sides are lowest.
    flat = np.eye(4)
    flat[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    assert G.lowest_z(flat[None], OPEN)[0] == pytest.approx(-0.1)  # half the hand's 0.2


def test_the_wrist_camera_counts_on_its_side():
    with_camera = GripperGeometry()
    below = 0.0095 - 0.073 - 0.01  # 1 cm above its lower face
    points = np.array([[0.06, 0, below], [-0.06, 0, below]])
    found = with_camera.distances(points, POSE, OPEN)[0]
    assert found[0] < 0 < found[1]
