"""Solids: signed distances and silhouettes against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_tools.fitting import outline_distance_px, silhouette_px
from perception_tools.geometry import Intrinsics, look_at
from perception_tools.solids import PARAMETERS, YAW_ARM_M, Solid, silhouette_points, surface_distance_m
from tests.perception_tools import raycast

EYE = np.array([1.35, 0.0, 0.85])


def box(x=0.0, y=0.0, yaw=0.0, size=(0.06, 0.04, 0.05), base=0.0, wall=0.0):
    return Solid("box", np.array([x, y, yaw * YAW_ARM_M, *size]), base, wall)


def test_distance_to_a_box():
    points = np.array([[0, 0, 0.06], [0.04, 0, 0.025], [0, 0.03, 0.025], [0.03 + 0.003, 0.02 + 0.004, 0.02]])
    # 10 mm over the lid; 10 mm beside the long side's end; 10 mm beside; (3, 4) mm off an edge = 5 mm
    np.testing.assert_allclose(box().distance_m(points, EYE), [0.01, 0.01, 0.01, 0.005], atol=1e-12)
    assert box().distance_m(np.array([[0, 0, 0.045]]), EYE)[0] == pytest.approx(-0.005)
    turned = box(yaw=np.pi / 2)
    assert turned.distance_m(np.array([[0, 0.04, 0.025]]), EYE)[0] == pytest.approx(0.01)


def test_distance_to_a_cylinder_a_cone_and_a_ball():
    cylinder = Solid("frustum", np.array([0, 0, 0.02, 0.02, 0.08]), 0.0)
    points = np.array([[0.03, 0, 0.04], [0, 0, 0.09], [0.023, 0, 0.084]])
    np.testing.assert_allclose(cylinder.distance_m(points, EYE), [0.01, 0.01, 0.005], atol=1e-12)
    # Wall from radius 0.03 at the foot to 0.07 at 0.04: slope 45 degrees, so 10 mm out is 10/sqrt(2).
    cone = Solid("frustum", np.array([0, 0, 0.07, 0.03, 0.04]), 0.0)
    assert cone.distance_m(np.array([[0.06, 0, 0.02]]), EYE)[0] == pytest.approx(0.01 / np.sqrt(2))
    ball = Solid("ball", np.array([0.1, 0, 0.03]), 0.01)
    assert ball.distance_m(np.array([[0.1, 0, 0.08]]), EYE)[0] == pytest.approx(0.01)


def test_distance_to_a_lying_cylinder():
    can = Solid("lying", np.array([0, 0, 0, 0.1, 0.03]), 0.0)
    points = np.array([[0, 0, 0.07], [0, 0.04, 0.03], [0.06, 0, 0.03]])
    np.testing.assert_allclose(can.distance_m(points, EYE), [0.01, 0.01, 0.01], atol=1e-12)
    np.testing.assert_allclose(can.box().size_m, [0.1, 0.06, 0.06])


def test_open_solids_are_seen_inside_through_the_rim_only():
    tray = box(size=(0.2, 0.2, 0.02), wall=0.005)
    eye = np.array([0.0, 0.0, 1.0])
    inside_floor, rim_side = np.array([[0.05, 0, 0.005]]), np.array([[0.1, 0.0, 0.01]])
    np.testing.assert_allclose(tray.distance_m(inside_floor, eye), 0, atol=1e-9)
    np.testing.assert_allclose(tray.distance_m(rim_side, eye), 0, atol=1e-9)
    # a thing that stands 15 mm over the floor
    assert tray.height_inside_m(np.array([[0.05, 0, 0.02]]), eye)[0] == pytest.approx(0.015)
    assert tray.height_inside_m(np.array([[0.3, 0, 0.02]]), eye)[0] == 0


@pytest.mark.parametrize(
    ("solid", "sdf"),
    [
        (box(size=(0.06, 0.04, 0.05)), raycast.box_sdf(0.06, 0.04, 0.05)),
        (Solid("frustum", np.array([0, 0, 0.03, 0.03, 0.1]), 0.0), raycast.cylinder_sdf(0.03, 0.1)),
        (Solid("ball", np.array([0, 0, 0.03]), 0.0), raycast.sphere_sdf(0.03)),
    ],
)
def test_agrees_with_the_renderer_of_the_tests(solid, sdf):
    points = np.random.default_rng(0).uniform(-0.1, 0.15, (500, 3))
    np.testing.assert_allclose(solid.distance_m(points, EYE), sdf(points), atol=1e-12)


def test_many_parameter_vectors_at_once_give_the_same_as_one_by_one():
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.1, 0.1, (50, 3))
    for kind, names in PARAMETERS.items():
        params = rng.uniform(0.02, 0.06, (4, len(names)))
        wall = 0.004 if kind in ("box", "frustum") else 0.0
        solid = Solid(kind, params[0], 0.01, wall)
        together = surface_distance_m(solid, params, points, EYE)
        outline = silhouette_points(solid, params, EYE)
        for k in range(4):
            one = solid.moved(params[k])
            np.testing.assert_allclose(together[k], one.distance_m(points, EYE), atol=1e-12)
            np.testing.assert_allclose(
                outline[k], silhouette_points(one, params[k : k + 1], EYE)[0], atol=1e-12
            )


def test_contour_of_a_ball_is_where_lines_of_sight_touch():
    ball = Solid("ball", np.array([0.5, 0.1, 0.03]), 0.0)
    rim = silhouette_points(ball, ball.params[None], EYE)[0]
    center = np.array([0.5, 0.1, 0.03])
    np.testing.assert_allclose(np.linalg.norm(rim - center, axis=1), 0.03, atol=1e-12)
    np.testing.assert_allclose(np.einsum("ij,ij->i", rim - center, rim - EYE), 0, atol=1e-12)


def test_silhouette_of_a_square_seen_from_straight_above():
    # 0.1 m square at depth 1 m under a camera with f = 500 px: 50 px wide around the principal point.
    intrinsics = Intrinsics(500, 500, 320, 240, 640, 480)
    camera = look_at([0, 0, 1.0], [0, 0, 0], parent="world", child="camera:top")
    hull = silhouette_px(box(size=(0.1, 0.1, 1e-6)), intrinsics, camera)
    np.testing.assert_allclose(hull.min(axis=0), [295, 215], atol=1e-3)
    np.testing.assert_allclose(hull.max(axis=0), [345, 265], atol=1e-3)
    behind = look_at([0, 0, 1.0], [0, 0, 2.0], parent="world", child="camera:top")
    assert len(silhouette_px(box(), intrinsics, behind)) == 0


@pytest.mark.parametrize("order", [1, -1])
def test_distance_to_an_outline(order):
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)[::order]
    points = np.array([[5, -2], [12, 5], [5, 4], [5, 5]], dtype=float)
    np.testing.assert_allclose(outline_distance_px(points, [square]), [[2, 2, -4, -5]])


@settings(max_examples=20, deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(-0.3, 0.3), st.floats(0, 0.2))
def test_distance_moves_with_the_solid(yaw, shift, base):
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (30, 3))
    c, s = np.cos(yaw), np.sin(yaw)
    moved = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + [shift, -shift, base]
    there = box(shift, -shift, yaw, base=base)
    np.testing.assert_allclose(there.distance_m(moved, EYE), box().distance_m(points, EYE), atol=1e-9)


def test_normals_point_at_the_viewer():
    points = np.array([[0, 0, 0.05], [0.03, 0, 0.025]])
    np.testing.assert_allclose(box().normals(points, EYE), [[0, 0, 1], [1, 0, 0]], atol=1e-6)
