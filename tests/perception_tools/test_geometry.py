"""Transforms obey the group axioms, frames cannot be mixed, pinhole numbers are as derived by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from perception_tools.geometry import FrameError, Intrinsics, Transform, look_at

coordinates = st.floats(-5, 5, allow_nan=False)
points = st.tuples(coordinates, coordinates, coordinates).map(np.array)
# Quaternions well away from zero, so that they can be normalised.
quats = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)


def transforms(parent: str, child: str):
    return st.builds(lambda p, q: Transform.from_parts(p, q, parent=parent, child=child), points, quats)


@given(transforms("a", "b"), transforms("b", "c"), transforms("c", "d"))
def test_composition_is_associative(T_ab, T_bc, T_cd):
    left, right = (T_ab @ T_bc) @ T_cd, T_ab @ (T_bc @ T_cd)
    assert (left.parent, left.child) == (right.parent, right.child) == ("a", "d")
    np.testing.assert_allclose(left.matrix, right.matrix, atol=1e-9)


@given(transforms("a", "b"))
def test_identity_is_neutral(T_ab):
    np.testing.assert_allclose((Transform.identity("a", "a") @ T_ab).matrix, T_ab.matrix)
    np.testing.assert_allclose((T_ab @ Transform.identity("b", "b")).matrix, T_ab.matrix)


@given(transforms("a", "b"))
def test_inverse_undoes(T_ab):
    T_ba = T_ab.inverse()
    assert (T_ba.parent, T_ba.child) == ("b", "a")
    np.testing.assert_allclose((T_ab @ T_ba).matrix, np.eye(4), atol=1e-9)
    np.testing.assert_allclose((T_ba @ T_ab).matrix, np.eye(4), atol=1e-9)


@given(transforms("a", "b"), transforms("b", "c"), points)
def test_acting_on_points_follows_composition(T_ab, T_bc, p_c):
    np.testing.assert_allclose((T_ab @ T_bc) @ p_c, T_ab @ (T_bc @ p_c), atol=1e-9)


@given(transforms("a", "b"), points, points)
def test_rigid(T_ab, p, q):
    assert np.linalg.norm((T_ab @ p) - (T_ab @ q)) == pytest.approx(np.linalg.norm(p - q), abs=1e-9)


@given(transforms("a", "b"), points, points)
def test_rotate_leaves_the_translation_out(T_ab, p, q):
    np.testing.assert_allclose(T_ab.rotate(p - q), (T_ab @ p) - (T_ab @ q), atol=1e-9)


@given(points, quats)
def test_quaternion_round_trip(position, quat):
    pose = Transform.from_parts(position, quat, parent="a", child="b")
    assert pose.quat_wxyz[0] >= 0
    again = Transform.from_parts(pose.position_m, pose.quat_wxyz, parent="a", child="b")
    np.testing.assert_allclose(again.matrix, pose.matrix, atol=1e-9)


def test_quaternions_are_scalar_first():
    # Half a turn about z: w = cos 90 deg = 0, z = sin 90 deg = 1; x maps to -x.
    pose = Transform.from_parts([1, 2, 3], [0, 0, 0, 1], parent="world", child="ee")
    np.testing.assert_allclose(pose @ [1.0, 0.0, 0.0], [0.0, 2.0, 3.0], atol=1e-12)


def test_points_of_any_batch_shape():
    pose = Transform.from_parts([0, 0, 1], np.eye(3), parent="world", child="camera")
    assert (pose @ np.zeros((4, 5, 3))).shape == (4, 5, 3)
    np.testing.assert_allclose(pose @ np.zeros((2, 3)), [[0, 0, 1], [0, 0, 1]])


def test_mixing_frames_names_both():
    T_world_ee = Transform.identity("world", "ee")
    T_camera_object = Transform.identity("camera", "object")
    with pytest.raises(FrameError, match=r"T_world_ee with T_camera_object: 'ee' is not 'camera'"):
        T_world_ee @ T_camera_object


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"\(4, 4\)"),
        (np.full((4, 4), np.nan), "non-finite"),
        (np.diag([2.0, 1, 1, 1]), "not a rotation"),
        (np.diag([-1.0, 1, 1, 1]), "not a rotation"),  # a reflection
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        Transform(matrix, "a", "b")


def test_bad_rotation_shape_is_refused():
    with pytest.raises(ValueError, match="quat_wxyz"):
        Transform.from_parts([0, 0, 0], [0, 0, 1], parent="a", child="b")


def test_transforms_are_immutable_and_own_their_matrix():
    matrix = np.eye(4)
    pose = Transform(matrix, "a", "b")
    matrix[0, 3] = 7
    assert pose.position_m[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        pose.matrix[0, 3] = 1


def test_look_at_axes():
    # From (1, 0, 1) to the origin: forward is (-1, 0, -1)/sqrt 2. Image right is forward x up =
    # (-1, 0, -1) x (0, 0, 1) = (0*1 - (-1)*0, (-1)*0 - (-1)*1, 0) = (0, 1, 0).
    pose = look_at([1, 0, 1], [0, 0, 0], parent="world", child="camera:scene")
    np.testing.assert_allclose(pose.rotation[:, 2], np.array([-1, 0, -1]) / np.sqrt(2), atol=1e-12)
    np.testing.assert_allclose(pose.rotation[:, 0], [0, 1, 0], atol=1e-12)
    assert pose.rotation[2, 1] < 0  # image down points down
    np.testing.assert_allclose(pose.inverse() @ [0.0, 0.0, 0.0], [0, 0, np.sqrt(2)], atol=1e-12)


def test_look_at_straight_down_and_nowhere():
    pose = look_at([0.5, 0, 1], [0.5, 0, 0], parent="world", child="camera:top")
    np.testing.assert_allclose(pose.rotation[:, 2], [0, 0, -1], atol=1e-12)
    assert Rotation.from_matrix(pose.rotation).magnitude() > 0
    with pytest.raises(ValueError, match="coincide"):
        look_at([0, 0, 1], [0, 0, 1], parent="world", child="c")


# ---- intrinsics ---------------------------------------------------------------------------------

CAMERA = Intrinsics(fx=600, fy=500, cx=320, cy=240, width=640, height=480)


def test_project_by_hand():
    # u = 600 * 0.1 / 2 + 320 = 350, v = 500 * -0.2 / 2 + 240 = 190.
    np.testing.assert_allclose(CAMERA.project([0.1, -0.2, 2.0]), [350, 190])
    assert np.isnan(CAMERA.project([0.1, 0.1, -1.0])).all()
    assert np.isnan(CAMERA.project([0.1, 0.1, 0.0])).all()


def test_deproject_by_hand():
    # x = (350 - 320) / 600 * 2 = 0.1, y = (190 - 240) / 500 * 2 = -0.2.
    np.testing.assert_allclose(CAMERA.deproject([350, 190], 2.0), [0.1, -0.2, 2.0])


def test_from_fovy_by_hand():
    # 90 degrees over 480 rows: focal length 240 / tan 45 deg = 240; centre between pixels 239 and 240.
    camera = Intrinsics.from_fovy(np.pi / 2, 640, 480)
    assert (camera.fx, camera.fy) == (pytest.approx(240), pytest.approx(240))
    assert (camera.cx, camera.cy) == (319.5, 239.5)


pixels = st.tuples(st.floats(0, 639), st.floats(0, 479)).map(np.array)


@given(pixels, st.floats(0.1, 10))
def test_project_undoes_deproject(uv_px, depth_m):
    np.testing.assert_allclose(CAMERA.project(CAMERA.deproject(uv_px, depth_m)), uv_px, atol=1e-6)


@given(pixels, st.floats(0.1, 10), st.integers(0, 300), st.integers(0, 200))
def test_a_crop_sees_the_same_point(uv_px, depth_m, left, top):
    part = CAMERA.crop(left, top, 200, 150)
    p = CAMERA.deproject(uv_px, depth_m)
    np.testing.assert_allclose(part.project(p), uv_px - [left, top], atol=1e-6)
    np.testing.assert_allclose(part.deproject(uv_px - [left, top], depth_m), p, atol=1e-6)


def test_resize_by_hand():
    # Doubling: pixel k's centre is at (k + 0.5) * 2 - 0.5, so 0 -> 0.5 and 320 -> 640.5.
    twice = CAMERA.resize(1280, 960)
    assert (twice.fx, twice.fy, twice.cx, twice.cy) == (1200, 1000, 640.5, 480.5)
    np.testing.assert_allclose(twice.project(CAMERA.deproject([0, 0], 1.0)), [0.5, 0.5])


@given(pixels, st.floats(0.1, 10), st.sampled_from([(320, 240), (1280, 960), (500, 100)]))
def test_resizing_there_and_back_is_neutral(uv_px, depth_m, size):
    again = CAMERA.resize(*size).resize(CAMERA.width, CAMERA.height)
    np.testing.assert_allclose(again.project(CAMERA.deproject(uv_px, depth_m)), uv_px, atol=1e-6)


def test_deproject_image_agrees_with_single_pixels():
    depth = np.full((480, 640), 2.0)
    points = CAMERA.deproject_image(depth)
    assert points.shape == (480, 640, 3)
    np.testing.assert_allclose(points[190, 350], [0.1, -0.2, 2.0])
    with pytest.raises(ValueError, match=r"\(480, 640\)"):
        CAMERA.deproject_image(depth.T)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"height": -1}, {"fx": 0.0}, {"fy": np.nan}, {"cx": np.inf}])
def test_bad_intrinsics_are_refused(wrong):
    fields = {"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0, "width": 4, "height": 4, **wrong}
    with pytest.raises(ValueError, match="must be positive"):
        Intrinsics(**fields)
