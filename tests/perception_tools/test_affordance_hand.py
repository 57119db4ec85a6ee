"""A tool in a hand and the object at its tips: the frame, what the network reads, and what ships."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("onnxruntime", reason="onnxruntime is missing: pip install onnxruntime")

from perception_tools.affordance_hand import (
    MIN_POINTS,
    ONNX_FILE,
    SHIPPED,
    UNIT_M,
    HandAffordance,
    level_axes,
    network_input,
    turned_about_z,
)

EE_POS = np.array([0.45, 0.02, 0.17])
EE_MAT = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])


def scene():
    """Two plates that are the ends of arms, and a small box between and under them."""
    rng = np.random.default_rng(0)
    plate = rng.uniform((0.0, -0.003, -0.085), (0.001, 0.003, -0.04), (150, 3))
    box = rng.uniform((-0.006, -0.01, -0.165), (0.006, 0.01, -0.15), (80, 3))
    return (
        np.concatenate((plate + np.array([0.01, 0.0, 0.0]), plate - np.array([0.01, 0.0, 0.0]), box)) + EE_POS
    )


def test_the_level_frame_is_upright_and_follows_the_hand():
    assert np.allclose(level_axes(EE_MAT), np.eye(3))
    turn = Rotation.from_euler("z", 0.4)
    tilt = Rotation.from_euler("y", 0.05)
    R = level_axes((turn * tilt).as_matrix() @ EE_MAT)
    assert np.allclose(R[:, 2], [0, 0, 1]) and np.isclose(np.linalg.det(R), 1.0)
    assert np.isclose(np.arctan2(R[1, 0], R[0, 0]), 0.4, atol=1e-9)


def test_a_turned_rotation():
    turn = Rotation.from_quat([0.1, 0.2, 0.3, 0.9])
    found = turned_about_z(np.roll(turn.as_quat(), 1), 0.7)
    wanted = np.roll((Rotation.from_euler("z", 0.7) * turn).as_quat(), 1)
    assert np.allclose(found, wanted) or np.allclose(found, -wanted)


def test_what_the_network_reads():
    few = np.random.default_rng(0).normal(size=(MIN_POINTS, 3)) * 0.01
    read = network_input(few, 0.17, 100)
    assert read.shape == (100, 4) and len(np.unique(read, axis=0)) == MIN_POINTS  # repeated, none left out
    assert np.allclose(read[:, 3] - read[:, 2], 0.17 / UNIT_M, atol=1e-5)
    many = np.random.default_rng(0).normal(size=(5000, 3))
    assert len(np.unique(network_input(many, 0.17, 100), axis=0)) == 100
    with pytest.raises(ValueError, match="23 points shows too little; 24 are needed"):
        network_input(few[:-1], 0.17, 100)


def test_a_scene_turned_and_moved_along_the_table_is_seen_turned_and_moved():
    net, points = HandAffordance(), scene()
    first = net.estimate(points, EE_POS, EE_MAT)
    turn, shift = Rotation.from_euler("z", 0.8).as_matrix(), np.array([0.1, -0.05, 0.0])
    second = net.estimate(points @ turn.T + shift, turn @ EE_POS + shift, turn @ EE_MAT)
    assert np.allclose(second.p_tip, turn @ first.p_tip + shift, atol=1e-5)
    assert np.allclose(second.p_object, turn @ first.p_object + shift, atol=1e-5)
    assert np.allclose(second.axes, turn @ first.axes, atol=1e-5)
    assert np.isclose(second.opening_m, first.opening_m, atol=1e-6)
    assert np.allclose(second.object_size_m, first.object_size_m, atol=1e-6)
    assert np.allclose(first.axes.T @ first.axes, np.eye(3), atol=1e-6)


def test_the_two_files_that_ship_are_one_network():
    torch = pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")
    from perception_tools.affordance_hand_torch import load_hand_net

    net, runner = load_hand_net(SHIPPED), HandAffordance()
    read = network_input(scene() - EE_POS, 0.17, net.config.num_points)[None]
    with torch.no_grad():
        out = net.named(torch.from_numpy(read))
    seen = runner.estimate(scene(), EE_POS, EE_MAT)
    assert np.abs((seen.p_tip - EE_POS) / UNIT_M - out["tip"][0].numpy()).max() < 1e-5
    assert np.abs((seen.p_object - EE_POS) / UNIT_M - out["object"][0].numpy()).max() < 1e-5
    assert np.abs(seen.object_size_m / UNIT_M - out["size"][0].numpy()).max() < 1e-5


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no network for tools in a hand at"):
        HandAffordance(tmp_path / ONNX_FILE)
    (tmp_path / ONNX_FILE).write_bytes(b"no model")
    with pytest.raises(ValueError, match="is no ONNX model"):
        HandAffordance(tmp_path / ONNX_FILE)
    other = SHIPPED.parent / "affordance" / "pointnet" / "affordance.onnx"
    with pytest.raises(ValueError, match=r"its metadata have no habilis\.affordance_hand"):
        HandAffordance(other)
