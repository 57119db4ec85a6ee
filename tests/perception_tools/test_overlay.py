"""Pictures: the input stays as it is, marks are where they belong, nothing fails at the border."""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.geometry import Intrinsics, look_at
from perception_tools.overlay import (
    Labels,
    color_of,
    draw_boxes,
    draw_grasps,
    draw_masks,
    draw_points,
    draw_polygon,
    gripper_lines,
    project,
)
from tests.perception_tools.tables import box_at

K = Intrinsics.from_fovy(np.deg2rad(45), 320, 240)
POSE = look_at([1.35, 0, 0.85], [0.5, 0, 0.05], parent="world", child="camera:scene")
GRAY = np.full((240, 320, 3), 120, np.uint8)
GRAY.flags.writeable = False  # whoever writes to the input fails
DOWN = np.diag([1.0, -1, -1, 1])


def changed(image: np.ndarray) -> np.ndarray:
    return (image != GRAY).any(axis=-1)


def test_masks_are_outlined_in_their_colour_and_tinted():
    mask = np.zeros((240, 320), bool)
    mask[100:140, 100:160] = True
    picture = draw_masks(GRAY, [mask])
    assert (picture[100, 110:150] == color_of(0)).all(axis=-1).mean() > 0.8
    assert changed(picture)[101:139, 101:159].all()
    assert not changed(picture)[:90].any() and not changed(picture)[150:].any()


def test_an_empty_mask_is_no_problem():
    assert not changed(draw_masks(GRAY, [np.zeros((240, 320), bool)], ["nothing"])).any()


def test_points_outside_are_left_out():
    picture = draw_points(GRAY, [[50, 60], [-5, 10], [400, 10], [np.nan, 3]], ["a", "b", "c", "d"])
    v, u = np.nonzero(changed(picture))
    assert abs(u.mean() - 50) < 15 and v.max() < 75


def test_boxes_are_drawn_around_their_projection():
    box = box_at(0.5, 0.1, (0.1, 0.06, 0.05))
    v, u = np.nonzero(changed(draw_boxes(GRAY, [box], K, POSE)))
    uv = project(box.corners(), K, POSE)
    assert abs(u.min() - uv[:, 0].min()) < 5 and abs(u.max() - uv[:, 0].max()) < 5
    assert abs(v.min() - uv[:, 1].min()) < 5 and abs(v.max() - uv[:, 1].max()) < 5


def test_things_behind_the_camera_are_not_drawn():
    behind = box_at(3.0, 0, (0.1, 0.06, 0.05))
    grasp = DOWN.copy()
    grasp[:3, 3] = [3, 0, 2]
    assert not changed(draw_boxes(GRAY, [behind], K, POSE, ["behind"])).any()
    assert not changed(draw_grasps(GRAY, grasp[None], np.array([0.05]), K, POSE, ["behind"])).any()
    assert not changed(draw_polygon(GRAY, behind.corners()[:4], K, POSE, (0, 255, 0), "behind")).any()


def test_the_gripper_is_a_u_that_opens_along_the_approach():
    lines = gripper_lines(DOWN, 0.06)
    tips = np.stack([lines[0, 0], lines[2, 1]])
    np.testing.assert_allclose(np.sort(tips[:, 1]), [-0.03, 0.03])  # the opening lies along y
    assert (tips[:, 2] == 0).all() and (lines[1, :, 2] > 0).all()  # the back lies above: approach is -z


def test_the_best_grasp_stands_out():
    grasps = np.stack([DOWN, DOWN])
    grasps[0, :3, 3], grasps[1, :3, 3] = [0.5, 0.15, 0.03], [0.5, -0.15, 0.03]
    picture = draw_grasps(GRAY, grasps, np.array([0.05, 0.05]), K, POSE)
    uv = [project(g[:3, 3], K, POSE).astype(int) for g in grasps]
    parts = [picture[v - 25 : v + 6, u - 15 : u + 15].reshape(-1, 3).astype(int) for u, v in uv]
    greenness = [(p[:, 1] - p[:, 0]).max() for p in parts]
    assert greenness[0] > 100 > greenness[1]


def test_labels_stay_inside_and_apart():
    picture = GRAY.copy()
    tags = Labels(picture)
    for _ in range(4):
        tags.add("red block", (318, 2))
    taken = np.array(tags._taken)
    assert (taken[:, :2] >= 0).all() and (taken[:, 2] <= 320).all() and (taken[:, 3] <= 240).all()
    for i in range(4):
        for j in range(i):
            a, b = taken[i], taken[j]
            assert min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])


@pytest.mark.parametrize("text", ["", "a very long label that is wider than the whole picture can ever be"])
def test_labels_of_any_length(text):
    picture = GRAY.copy()
    Labels(picture).add(text, (160, 120))
    assert changed(picture).any() == bool(text)
