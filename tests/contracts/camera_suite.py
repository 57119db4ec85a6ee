"""Conformance suite of the `Camera` contract. Every implementer runs it:

class TestMyCamera(CameraSuite):
    @pytest.fixture
    def camera(self):
        return MyCamera(...)

    @pytest.fixture
    def plane_z_m(self):
        return 0.0  # a horizontal plane that fills a good part of the view, None if unknown

    @pytest.fixture
    def landmark(self):
        return p_world  # centre of a small visible object, and its radius [m], None if unknown
"""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.camera import Camera, RgbdFrame


class CameraSuite:
    """Inherit and provide the fixture `camera`; `plane_z_m` and `landmark` where the truth is known."""

    plane_share = 0.3  # smallest share of the pixels with depth that must lie on the plane
    plane_sigma_m = 0.004  # largest spread of those around it
    plane_bias_m = 0.001  # largest error of their mean
    plane_reach_m = 0.02  # farther from the plane than this is something else

    @pytest.fixture
    def plane_z_m(self) -> float | None:
        return None

    @pytest.fixture
    def landmark(self) -> tuple[np.ndarray, float] | None:
        return None

    def test_is_a_camera(self, camera: Camera) -> None:
        assert isinstance(camera, Camera)
        assert camera.name

    def test_frame_is_named_after_the_camera(self, camera: Camera) -> None:
        frame = camera.capture()
        assert isinstance(frame, RgbdFrame)
        assert frame.source == camera.name
        assert frame.T_world_camera.parent == "world"
        assert frame.T_world_camera.child == f"camera:{camera.name}"

    def test_image_is_not_blank(self, camera: Camera) -> None:
        assert camera.capture().rgb.std() > 3

    def test_frames_are_copies(self, camera: Camera) -> None:
        first = camera.capture()
        kept = first.rgb.copy()
        camera.capture().rgb[:] = 0
        assert (first.rgb == kept).all()

    def test_stamps_never_go_back(self, camera: Camera) -> None:
        stamps = [camera.capture().stamp_s for _ in range(3)]
        assert stamps == sorted(stamps)

    def test_optical_axis_looks_into_the_scene(self, camera: Camera) -> None:
        """z is forward and y is down: the image's bottom row looks lower than its top row."""
        frame = camera.capture()
        u, v = frame.intrinsics.cx, frame.intrinsics.height - 1
        rays = frame.intrinsics.deproject([[u, 0], [u, v]], [1.0, 1.0])
        assert (rays[:, 2] > 0).all() and rays[0, 1] < 0 < rays[1, 1]

    def test_plane_is_where_it_is(self, camera: Camera, plane_z_m: float | None) -> None:
        if plane_z_m is None:
            pytest.skip("no plane of known height in view")
        frame = camera.capture()
        z = frame.points_world()[..., 2]
        z = z[np.isfinite(z)]
        on_plane = z[np.abs(z - plane_z_m) < self.plane_reach_m]
        assert len(on_plane) > self.plane_share * len(z)
        assert abs(on_plane.mean() - plane_z_m) < self.plane_bias_m
        assert on_plane.std() < self.plane_sigma_m

    def test_landmark_projects_onto_itself(
        self, camera: Camera, landmark: tuple[np.ndarray, float] | None
    ) -> None:
        """World -> pixel -> depth -> world comes back to the landmark's surface."""
        if landmark is None:
            pytest.skip("no landmark of known position in view")
        center, radius_m = landmark
        frame = camera.capture()
        uv_px = frame.intrinsics.project(frame.T_world_camera.inverse() @ center)
        u, v = np.round(uv_px).astype(int)
        near = frame.points_world()[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3)
        near = near[np.isfinite(near).all(axis=1)]
        assert len(near), "no depth at the landmark"
        distance = np.linalg.norm(np.median(near, axis=0) - center)
        assert 0.5 * radius_m < distance < 1.1 * radius_m + 0.004
