"""depth_at, point_cloud, bbox_3d and draw on synthetic tables with known truth."""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.bbox_3d import bbox_3d
from perception_tools.boxes import Box3D
from perception_tools.depth_at import depth_at
from perception_tools.draw import draw
from perception_tools.overlay import project
from perception_tools.point_cloud import point_cloud, voxel_down
from perception_tools.tool import BadArguments, Negative
from tests.perception_tools.raycast import Solid, box_sdf, cylinder_sdf
from tests.perception_tools.tables import box_at, make_table

BLOCK = Solid(box_sdf(0.06, 0.04, 0.05), (0.5, 0.1, 0), yaw_rad=0.4)
CAN = Solid(cylinder_sdf(0.02, 0.08), (0.45, -0.15, 0))


@pytest.fixture
def table():
    return make_table([BLOCK, CAN])


# ---- depth_at -----------------------------------------------------------------------------------


def test_depth_and_place_of_a_pixel(table):
    u, v = project([0.5, 0.1, 0.05], table.view.intrinsics, table.view.T_world_camera)
    reading = depth_at(table.ctx, depth="depth_1", u_px=u, v_px=v)
    np.testing.assert_allclose(reading.p_world, [0.5, 0.1, 0.05], atol=0.003)
    axis = table.view.T_world_camera.rotation[:, 2]
    expected = (np.array([0.5, 0.1, 0.05]) - table.view.T_world_camera.position_m) @ axis
    assert reading.depth_m == pytest.approx(expected, abs=0.003)


def test_sigma_is_the_noise_not_the_slope():
    quiet, noisy = make_table([], noise_m=0.0), make_table([], noise_m=0.004)
    at = {"depth": "depth_1", "u_px": 320, "v_px": 240}
    assert depth_at(quiet.ctx, **at).sigma_m <= 0.001  # the table is slanted: its depth varies by row
    assert 0.002 < depth_at(noisy.ctx, **at).sigma_m < 0.007


def test_a_hole_is_bridged_by_its_neighbours_only():
    table = make_table([])
    depth = table.view.depth_m.copy()
    expected = depth[100, 100]
    depth[100, 100] = 0
    depth[300:320, 300:320] = 0
    camera = dict(
        frame="camera:scene",
        stamp_s=0.0,
        intrinsics=table.view.intrinsics,
        T_world_camera=table.view.T_world_camera,
    )
    name = table.ctx.put("depth", depth, **camera).name
    assert depth_at(table.ctx, depth=name, u_px=100, v_px=100).depth_m == pytest.approx(expected, abs=0.005)
    with pytest.raises(Negative, match=r"no depth within 2 px of \(310, 310\)") as error:
        depth_at(table.ctx, depth=name, u_px=310, v_px=310)
    assert error.value.reason == "no_depth"


def test_pixels_outside_are_refused(table):
    with pytest.raises(BadArguments, match="640 x 480"):
        depth_at(table.ctx, depth="depth_1", u_px=640, v_px=0)


# ---- point_cloud --------------------------------------------------------------------------------


def test_cloud_of_a_mask(table):
    mask = table.mask(0, "red block")
    value = point_cloud(table.ctx, image="image_1", mask=mask.name, voxel_m=0.003)
    cloud = table.ctx.workspace.get(value.cloud)
    points, rgb = cloud.data["points"], cloud.data["rgb"]
    assert value.num_points == len(points) == len(rgb) > 100
    assert cloud.frame == "world" and cloud.label == "red block"
    assert box_at(0.5, 0.1, (0.06, 0.04, 0.05), 0.4).contains(points, margin_m=0.002).all()
    assert (rgb[:, 0] > rgb[:, 1] + 30).all()  # it is red
    assert value.extent_m[2] == pytest.approx(0.05, abs=0.004)


def test_a_whole_cloud_leaves_the_robot_out():
    table = make_table([BLOCK], is_robot=lambda p: p[:, 0] > 0.3)
    value = point_cloud(table.ctx, image="image_1", voxel_m=0.01)
    assert table.ctx.workspace.get(value.cloud).data["points"][:, 0].max() < 0.31


def test_a_mask_of_another_picture_is_refused(table):
    from perception_tools.crop import crop

    mask = table.mask(0)
    part = crop(table.ctx, image="image_1", left=0, top=0, width=640, height=400).value
    with pytest.raises(BadArguments, match="belongs to another picture"):
        point_cloud(table.ctx, image=part.image, mask=mask.name)


def test_voxels_average_and_do_not_depend_on_order():
    points = np.array([[0.001, 0, 0], [0.003, 0, 0], [0.02, 0, 0]])
    rgb = np.array([[10, 0, 0], [30, 0, 0], [7, 7, 7]], np.uint8)
    merged, colors = voxel_down(points, 0.01, rgb)
    np.testing.assert_allclose(merged, [[0.002, 0, 0], [0.02, 0, 0]])
    np.testing.assert_array_equal(colors, [[20, 0, 0], [7, 7, 7]])
    again, _ = voxel_down(points[::-1], 0.01)
    np.testing.assert_allclose(again, merged)
    assert len(voxel_down(points, 0.0)[0]) == 3 and len(voxel_down(points[:0], 0.01)[0]) == 0


# ---- bbox_3d ------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise_m", [0.0, 0.0015])
def test_box_of_a_mask(noise_m):
    table = make_table([BLOCK, CAN], noise_m=noise_m)
    block = bbox_3d(table.ctx, mask=table.mask(0, "red block").name)
    np.testing.assert_allclose(block.size_m, [0.06, 0.04, 0.05], atol=0.005)
    np.testing.assert_allclose(block.center_m, [0.5, 0.1, 0.025], atol=0.003)
    assert np.sin(block.yaw_rad - 0.4) == pytest.approx(0, abs=0.08)
    assert (block.bottom_z_m, block.is_degenerate) == (0.0, False) and block.confidence > 0.8
    can = bbox_3d(table.ctx, mask=table.mask(1).name)
    np.testing.assert_allclose(can.size_m, [0.04, 0.04, 0.08], atol=0.005)
    stored = table.ctx.workspace.get(block.box, "box")
    assert stored.label == "red block" and stored.T_world_camera is table.view.T_world_camera


def test_a_box_that_is_known_is_kept(table):
    mask = table.mask(0)
    known = Box3D(np.array([0.5, 0.1, 0.03]), np.array([0.07, 0.05, 0.06]), 0.1)
    table.ctx.put("box", known, frame="world", parents=(mask.name,))
    assert bbox_3d(table.ctx, mask=mask.name).size_m == [0.07, 0.05, 0.06]


def test_an_empty_mask_is_a_negative(table):
    name = table.ctx.put("mask", np.zeros((480, 640), bool), frame="camera:scene", parents=("image_1",)).name
    with pytest.raises(Negative, match="no pixel of mask_1 has depth"):
        bbox_3d(table.ctx, mask=name)


def test_a_mask_without_a_picture_is_refused(table):
    name = table.ctx.put("mask", np.ones((480, 640), bool), frame="camera:scene").name
    with pytest.raises(BadArguments, match="does not belong to an image"):
        bbox_3d(table.ctx, mask=name)


# ---- draw ---------------------------------------------------------------------------------------


def test_draw_marks_what_is_in_view(table):
    box = table.box(box_at(0.5, 0.1, (0.06, 0.04, 0.05), 0.4), "red block")
    value = draw(
        table.ctx,
        image="image_1",
        points=[[0.45, -0.15, 0.08], [9, 9, 9]],
        boxes=[box.name],
        labels=["can", "nowhere"],
    ).value
    assert value.num_drawn == 2
    picture = table.ctx.workspace.get(value.image)
    assert (picture.data != table.view.rgb).any() and picture.intrinsics == table.view.intrinsics


def test_draw_wants_something_to_draw(table):
    with pytest.raises(BadArguments, match="nothing to draw"):
        draw(table.ctx, image="image_1")
    with pytest.raises(BadArguments, match="2 labels for 1 points and 0 boxes"):
        draw(table.ctx, image="image_1", points=[[0.5, 0, 0]], labels=["a", "b"])
