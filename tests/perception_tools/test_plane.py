"""The support plane: exact cases, noise, trays' floors just above it, and views without one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_tools.plane import Plane, PlaneConfig, fit_support_plane


def table(num: int = 4000, z: float = 0.0, noise_m: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    xy = rng.uniform([-0.2, -0.6], [1.0, 0.6], (num, 2))
    return np.column_stack([xy, np.full(num, z) + noise_m * rng.standard_normal(num)])


def test_exact_plane_is_recovered():
    # z = 0.01 + 0.02 x: normal (-0.02, 0, 1) / sqrt(1.0004), offset 0.01 / sqrt(1.0004).
    points = table()
    points[:, 2] = 0.01 + 0.02 * points[:, 0]
    plane = fit_support_plane(points)
    assert plane is not None
    np.testing.assert_allclose(plane.normal, np.array([-0.02, 0, 1]) / np.sqrt(1.0004), atol=1e-9)
    assert plane.offset_m == pytest.approx(0.01 / np.sqrt(1.0004), abs=1e-9)
    assert plane.rmse_m == pytest.approx(0, abs=1e-9)
    assert plane.z_at([0.5, 0.3]) == pytest.approx(0.02, abs=1e-9)
    assert plane.height_m([0.5, 0.0, 0.02]) == pytest.approx(0, abs=1e-9)


def test_rmse_is_the_noise_and_averages_out():
    plane = fit_support_plane(table(6000, noise_m=0.0015))
    assert plane is not None
    assert plane.rmse_m == pytest.approx(0.0015, rel=0.1)
    # the height of the plane's middle is known to about 0.0015 / sqrt(6000) = 0.02 mm
    assert abs(float(plane.z_at([0.4, 0.0]))) < 2e-4


def test_objects_on_the_table_do_not_lift_it():
    tops = table(1500, z=0.02, seed=1) * [0.3, 0.3, 1] + [0.3, 0, 0]
    plane = fit_support_plane(np.concatenate([table(3000, noise_m=0.001), tops]))
    assert plane is not None
    assert abs(float(plane.z_at([0.4, 0.0]))) < 3e-4


def test_floors_of_trays_do_not_count_as_the_table_even_if_they_fill_the_view():
    floors = table(4000, z=0.005, noise_m=0.0005, seed=1)
    plane = fit_support_plane(np.concatenate([table(2500, noise_m=0.0005), floors]))
    assert plane is not None
    assert abs(float(plane.z_at([0.4, 0.0]))) < 5e-4


def test_no_plane_where_there_is_none():
    assert fit_support_plane(np.zeros((0, 3))) is None
    assert fit_support_plane(table(20)) is None
    assert fit_support_plane(table(z=0.5)) is None, "a shelf at 0.5 m is not the table at 0"
    cloud = np.random.default_rng(0).uniform(-0.03, 0.03, (500, 3))
    assert fit_support_plane(cloud, PlaneConfig(inlier_m=0.0005)) is None


def test_unknown_height_takes_the_largest_plane():
    plane = fit_support_plane(
        np.concatenate([table(5000, z=0.72), table(1000, z=0.1)]), PlaneConfig(expected_z_m=None)
    )
    assert plane is not None
    assert plane.offset_m == pytest.approx(0.72, abs=1e-6)


def test_tilted_planes_are_refused():
    points = table()
    points[:, 2] = 0.1 * (points[:, 0] - 0.4)
    assert fit_support_plane(points, PlaneConfig(search_m=0.2)) is None
    assert fit_support_plane(points, PlaneConfig(search_m=0.2, max_tilt_rad=0.2)) is not None


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(-0.02, 0.02))
def test_order_and_turning_about_gravity_do_not_matter(seed, yaw, z):
    points = table(3000, z=z, noise_m=0.0008)
    c, s = np.cos(yaw), np.sin(yaw)
    turned = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    shuffled = np.random.default_rng(seed).permutation(turned)
    plane, other = fit_support_plane(points), fit_support_plane(shuffled)
    assert plane is not None and other is not None
    assert other.offset_m == pytest.approx(plane.offset_m, abs=2e-4)
    assert abs(other.normal[2] - plane.normal[2]) < 1e-5


def test_height_has_the_shape_of_the_points():
    plane = Plane(np.array([0.0, 0.0, 1.0]), 0.25)
    assert plane.height_m(np.zeros((4, 5, 3))).shape == (4, 5)
    np.testing.assert_allclose(plane.height_m(np.zeros((4, 5, 3))), -0.25)
