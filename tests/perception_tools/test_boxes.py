"""Boxes: conventions, robust fits, completion of hidden sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_tools.boxes import Box3D, complete_by_view, fit_box, is_round, surface_points
from tests.perception_tools.raycast import Solid, box_sdf, sphere_sdf
from tests.perception_tools.tables import box_at, make_table

angles = st.floats(-3.0, 3.0)


def turned(points: np.ndarray, yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T


def test_sides_are_ordered_and_the_yaw_follows():
    box = Box3D(np.zeros(3), np.array([0.02, 0.08, 0.05]), 0.0)
    np.testing.assert_allclose(box.size_m, [0.08, 0.02, 0.05])
    assert box.yaw_rad == pytest.approx(np.pi / 2)  # the long side lies along y


@given(angles)
def test_yaw_is_in_half_a_turn(yaw):
    box = Box3D(np.zeros(3), np.array([0.08, 0.02, 0.05]), yaw)
    assert -np.pi / 2 < box.yaw_rad <= np.pi / 2
    assert np.sin(box.yaw_rad - yaw) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("center", "size", "message"),
    [
        (np.zeros(2), np.ones(3), "shape"),
        (np.zeros(3), np.array([1, 1, -1.0]), "negative"),
        (np.array([np.nan, 0, 0]), np.ones(3), "non-finite"),
    ],
)
def test_bad_boxes_are_refused(center, size, message):
    with pytest.raises(ValueError, match=message):
        Box3D(center, size, 0.0)


def test_corners_by_hand():
    # 4 x 2 x 2 at the origin, long side along y: corners at x = +-1, y = +-2, z = +-1.
    corners = Box3D(np.zeros(3), np.array([4, 2, 2.0]), np.pi / 2).corners()
    assert corners.shape == (8, 3)
    np.testing.assert_allclose(np.abs(corners), np.tile([1, 2, 1], (8, 1)), atol=1e-12)
    assert (corners[:4, 2] == -1).all() and (corners[4:, 2] == 1).all()


@given(angles)
def test_a_box_contains_its_corners_and_not_what_is_outside(yaw):
    box = Box3D(np.array([0.5, -0.1, 0.04]), np.array([0.1, 0.04, 0.08]), yaw)
    assert box.contains(box.corners(), margin_m=1e-9).all()
    assert not box.contains(box.center_m + 1.01 * (box.corners() - box.center_m)).any()
    np.testing.assert_allclose(
        box.to_local(box.pose @ np.array([0.01, 0.02, 0.03])), [0.01, 0.02, 0.03], atol=1e-12
    )


def test_heights():
    box = box_at(0.5, 0, (0.06, 0.04, 0.05), bottom=0.02)
    assert (box.bottom_z_m, box.top_z_m) == (pytest.approx(0.02), pytest.approx(0.07))


def test_footprint_distance_by_hand():
    box = box_at(0, 0, (0.10, 0.06, 0.05))
    # 2 cm beyond the short face; inside, 3 cm from the nearest side; off a corner by (3, 4) cm: 5 cm.
    np.testing.assert_allclose(
        box.footprint_distance_m([[0.07, 0, 9], [0, 0, 0], [0.08, 0.07, 0]]), [0.02, -0.03, 0.05], atol=1e-12
    )


def test_footprint_gap_by_hand():
    a = box_at(0, 0, (0.1, 0.1, 0.05))
    assert a.footprint_gap_m(box_at(0.13, 0, (0.06, 0.04, 0.05))) == pytest.approx(0.05, abs=1e-3)
    # Turned by 45 degrees a 4 cm square reaches 2.83 cm: 0.13 - 0.05 - 0.0283 = 0.0517.
    assert a.footprint_gap_m(box_at(0.13, 0, (0.04, 0.04, 0.05), np.pi / 4)) == pytest.approx(
        0.0517, abs=1e-3
    )
    assert a.footprint_gap_m(box_at(0.02, 0, (0.02, 0.02, 0.05))) < 0
    assert box_at(0.02, 0, (0.02, 0.02, 0.05)).footprint_gap_m(a) < 0
    assert a.footprint_gap_m(a) == pytest.approx(-0.05)
    cross = a.footprint_gap_m(box_at(0, 0.06, (0.3, 0.04, 0.05)))  # no corner of either in the other
    assert cross < 0


def test_half_extent_by_hand():
    box = box_at(0, 0, (0.10, 0.06, 0.04), yaw=np.pi / 2)  # long side along y
    assert box.half_extent_along([1, 0]) == pytest.approx(0.03)
    assert box.half_extent_along([0, 1]) == pytest.approx(0.05)
    # Along the diagonal of x and y: (0.05 + 0.03) / sqrt 2.
    assert box.half_extent_along([1, 1, 0]) == pytest.approx(0.08 / np.sqrt(2))


# ---- fitting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("yaw", [0.0, 0.3, -0.8, 1.2])
def test_fit_finds_the_box_among_outliers(yaw):
    rng = np.random.default_rng(3)
    faces = surface_points(Box3D(np.zeros(3), np.array([0.08, 0.04, 0.05]), 0.0), step_m=0.002)
    points = turned(faces, yaw) + [0.5, 0.1, 0.025] + rng.normal(size=faces.shape) * 0.0005
    strays = rng.uniform(-0.15, 0.15, (len(points) // 400, 3)) + np.array([0.5, 0.1, 0.2])
    box = fit_box(np.concatenate([points, strays]))
    np.testing.assert_allclose(box.size_m, [0.08, 0.04, 0.05], atol=0.003)
    np.testing.assert_allclose(box.center_m, [0.5, 0.1, 0.025], atol=0.002)
    assert np.sin(box.yaw_rad - yaw) == pytest.approx(0, abs=0.03)
    assert not box.is_degenerate


def test_the_lower_face_snaps_to_a_near_support_only():
    points = np.random.default_rng(0).uniform([0, 0, 0.01], [0.05, 0.05, 0.06], (500, 3))
    assert fit_box(points).bottom_z_m == 0.0
    assert fit_box(points, support_z_m=None).bottom_z_m == pytest.approx(0.01, abs=1e-3)
    assert fit_box(points + np.array([0, 0, 0.05])).bottom_z_m == pytest.approx(0.06, abs=1e-3)


def test_too_little_to_go_by_is_degenerate():
    line = np.column_stack([np.linspace(0, 0.1, 200), np.zeros(200), np.full(200, 0.02)])
    assert fit_box(line).is_degenerate
    assert fit_box(np.random.default_rng(0).uniform(0, 0.05, (10, 3))).is_degenerate
    assert fit_box(np.zeros((1, 3))).is_degenerate


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.zeros((5, 2)), np.full((30, 3), np.nan)])
def test_fit_refuses_what_is_no_cloud(points):
    with pytest.raises(ValueError, match="finite points"):
        fit_box(points)


@pytest.mark.parametrize(
    ("solid", "size"),
    [
        (Solid(sphere_sdf(0.03), (0.5, 0.1, 0)), (0.06, 0.06, 0.06)),
        (Solid(box_sdf(0.06, 0.04, 0.05), (0.45, -0.1, 0), yaw_rad=0.5), (0.06, 0.04, 0.05)),
    ],
)
def test_completion_finds_the_hidden_side(solid, size):
    table = make_table([solid])
    points = table.view.points_world()[table.instances == 1]
    seen = fit_box(points)
    whole = fit_box(complete_by_view(points, table.view.T_world_camera))
    truth = np.array([*solid.position_m[:2], size[2] / 2])
    np.testing.assert_allclose(whole.size_m, size, atol=0.005)
    np.testing.assert_allclose(whole.center_m, truth, atol=0.003)
    assert np.linalg.norm(whole.center_m - truth) <= np.linalg.norm(seen.center_m - truth) + 5e-4


def test_completion_leaves_a_few_points_alone():
    table = make_table([])
    points = np.zeros((5, 3))
    assert complete_by_view(points, table.view.T_world_camera) is points


# ---- shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["box", "cylinder", "sphere"])
def test_surface_points_fill_the_box_and_lie_on_it(shape):
    box = Box3D(np.array([0.5, 0.1, 0.03]), np.array([0.06, 0.06, 0.06]), 0.4)
    points = surface_points(box, shape)
    assert box.contains(points, margin_m=1e-9).all()
    np.testing.assert_allclose(np.ptp(points[:, 2]), 0.06, atol=0.002)
    radial = np.linalg.norm(points[:, :2] - box.center_m[:2], axis=1)
    if shape == "sphere":
        np.testing.assert_allclose(np.linalg.norm(points - box.center_m, axis=1), 0.03, atol=1e-9)
    elif shape == "cylinder":
        assert radial.max() == pytest.approx(0.03)
        assert (np.isclose(radial, 0.03) | np.isclose(points[:, 2], 0.06)).all()
    else:
        assert radial.max() == pytest.approx(0.03 * np.sqrt(2))


def test_a_lying_cylinder_is_a_box_from_above():
    lying = Box3D(np.zeros(3), np.array([0.09, 0.03, 0.03]), 0.0)
    assert np.ptp(surface_points(lying, "cylinder")[:, 0]) == pytest.approx(0.09)


def test_round_and_rectangular_outlines():
    square, disc = (surface_points(box_at(0, 0, (0.1, 0.1, 0.05)), s) for s in ("box", "cylinder"))
    box = box_at(0, 0, (0.1, 0.1, 0.05))
    assert is_round(disc, box) and not is_round(square, box)
    assert is_round(square, box, shape="bowl") and not is_round(disc, box, shape="tray")
