"""Whole table tops, ray cast: what is there, whatever stands in, on or before something else."""

import cv2
import numpy as np
import pytest

from perception_tools.color_split import ColorSplitConfig
from perception_tools.geometry import Transform
from perception_tools.tabletop_vision import SeenObject, TabletopView, VisionConfig, see_tabletop
from tests.perception_tools.raycast import (
    Solid,
    bowl_sdf,
    box_sdf,
    cylinder_sdf,
    mug_sdf,
    render,
    scene_camera,
    sphere_sdf,
    tray_sdf,
)

RED, BLUE, GREEN, YELLOW, WHITE, BLACK = (
    (204, 18, 15),
    (18, 51, 191),
    (26, 140, 36),
    (242, 209, 20),
    (250, 250, 246),
    (14, 14, 15),
)
NOISE_M = 0.0015


def look(solids, *, noise_m=NOISE_M, camera=None, robot=None, seed=0) -> tuple[TabletopView, np.ndarray]:
    frame, instances = render(solids, noise_m=noise_m, camera=camera, seed=seed)
    assert frame.depth_m is not None
    mask = None if robot is None else robot(instances)
    view = see_tabletop(frame.rgb, frame.depth_m, frame.intrinsics, frame.T_world_camera, robot=mask)
    return view, instances


def of(view: TabletopView, label: str) -> SeenObject:
    found = [o for o in view.objects if o.label == label]
    assert len(found) == 1, f"{label!r} in {[o.label for o in view.objects]}"
    return found[0]


def assert_box(seen: SeenObject, size, center, atol=0.003):
    np.testing.assert_allclose(seen.box.size_m, size, atol=atol)
    np.testing.assert_allclose(seen.box.center_m, center, atol=atol)


TABLE = (
    Solid(box_sdf(0.06, 0.04, 0.05), (0.5, 0.2, 0), RED, 0.4, reach_m=0.08),
    Solid(cylinder_sdf(0.02, 0.07), (0.45, 0.05, 0), BLUE, reach_m=0.08),
    Solid(sphere_sdf(0.025), (0.6, -0.1, 0), GREEN, reach_m=0.06),
    Solid(mug_sdf(0.036, 0.085), (0.42, -0.2, 0), YELLOW, 1.0, reach_m=0.13),
    Solid(tray_sdf(0.18, 0.14, 0.02), (0.62, 0.15, 0), WHITE, 0.2, reach_m=0.13),
)
LABELS = {"red box", "blue cylinder", "green sphere", "yellow mug", "white tray"}


def test_a_table_of_five():
    view, instances = look(TABLE)
    assert {o.label for o in view.objects} == LABELS
    assert view.plane is not None and view.plane.rmse_m == pytest.approx(NOISE_M * 0.6, abs=NOISE_M)
    assert_box(of(view, "red box"), [0.06, 0.04, 0.05], [0.5, 0.2, 0.025])
    assert of(view, "red box").box.yaw_rad == pytest.approx(0.4, abs=0.03)
    assert_box(of(view, "blue cylinder"), [0.04, 0.04, 0.07], [0.45, 0.05, 0.035])
    assert_box(of(view, "green sphere"), [0.05, 0.05, 0.05], [0.6, -0.1, 0.025])
    assert_box(of(view, "white tray"), [0.18, 0.14, 0.02], [0.62, 0.15, 0.01])
    for k, solid_label in enumerate(["red box", "blue cylinder", "green sphere", "yellow mug", "white tray"]):
        seen, true = of(view, solid_label).mask, instances == k + 1
        assert (seen & true).sum() / (seen | true).sum() > 0.9, solid_label


def test_masks_do_not_overlap_and_order_is_by_size():
    view, _ = look(TABLE)
    assert np.sum([o.mask for o in view.objects], axis=0).max() == 1
    sizes = [int(o.mask.sum()) for o in view.objects]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("eye", "target"),
    [((1.2, 0.45, 0.75), (0.5, 0, 0.05)), ((0.4, -0.02, 0.75), (0.52, 0.02, 0))],
    ids=["from the side", "from the wrist"],
)
def test_another_camera_sees_the_same_objects_in_world(eye, target):
    first, _ = look(TABLE)
    second, _ = look(TABLE, camera=scene_camera(eye=eye, target=target), seed=1)
    assert {o.label for o in second.objects} == {o.label for o in first.objects}
    for seen in first.objects:
        np.testing.assert_allclose(of(second, seen.label).box.size_m, seen.box.size_m, atol=0.006)
        np.testing.assert_allclose(of(second, seen.label).box.center_m, seen.box.center_m, atol=0.005)


def test_turning_the_world_turns_the_answer():
    frame, _ = render(TABLE, noise_m=NOISE_M)
    assert frame.depth_m is not None
    plain = see_tabletop(frame.rgb, frame.depth_m, frame.intrinsics, frame.T_world_camera)
    c, s = np.cos(2.0), np.sin(2.0)
    turn = Transform.from_parts(
        [0.3, -0.2, 0], [[c, -s, 0], [s, c, 0], [0, 0, 1]], parent="world", child="world"
    )
    turned = see_tabletop(frame.rgb, frame.depth_m, frame.intrinsics, turn @ frame.T_world_camera)
    assert [o.label for o in turned.objects] == [o.label for o in plain.objects]
    for a, b in zip(plain.objects, turned.objects, strict=True):
        np.testing.assert_allclose(turn @ a.box.center_m, b.box.center_m, atol=1e-3)
        np.testing.assert_allclose(a.box.size_m, b.box.size_m, atol=2e-3)


def test_equal_frames_give_equal_answers():
    first, _ = look(TABLE)
    second, _ = look(TABLE)
    for a, b in zip(first.objects, second.objects, strict=True):
        assert a.label == b.label and (a.mask == b.mask).all()
        np.testing.assert_array_equal(a.box.size_m, b.box.size_m)


def test_the_robot_is_not_an_object():
    arm = Solid(cylinder_sdf(0.05, 0.3), (0.45, -0.05, 0), (190, 190, 190), reach_m=0.35)
    with_arm, _ = look([*TABLE, arm])
    assert len(with_arm.objects) > len(TABLE)
    filtered, instances = look([*TABLE, arm], robot=lambda instances: instances == len(TABLE) + 1)
    assert {o.label for o in filtered.objects} <= LABELS
    robot = instances == len(TABLE) + 1
    assert not any((o.mask & robot).any() for o in filtered.objects)


def test_in_a_bowl_and_on_a_tray():
    view, _ = look(
        [
            Solid(bowl_sdf(0.08, 0.05), (0.55, 0.15, 0), WHITE, reach_m=0.1),
            Solid(box_sdf(0.036, 0.036, 0.036), (0.55, 0.15, 0.006), RED, 0.3, reach_m=0.06),
            Solid(tray_sdf(0.18, 0.14, 0.02), (0.55, -0.12, 0), BLUE, reach_m=0.13),
            Solid(sphere_sdf(0.022), (0.56, -0.1, 0.006), YELLOW, reach_m=0.05),
        ]
    )
    assert {o.label for o in view.objects} == {"white bowl", "red box", "blue tray", "yellow sphere"}
    assert_box(of(view, "red box"), [0.036, 0.036, 0.036], [0.55, 0.15, 0.024], atol=0.005)
    assert_box(of(view, "yellow sphere"), [0.044, 0.044, 0.044], [0.56, -0.1, 0.028])
    assert_box(of(view, "blue tray"), [0.18, 0.14, 0.02], [0.55, -0.12, 0.01])


def test_the_seam_without_depth_around_things_hides_nothing():
    solids = [
        Solid(bowl_sdf(0.07, 0.045), (0.52, 0.08, 0), RED, reach_m=0.1),
        Solid(sphere_sdf(0.025), (0.52, 0.08, 0.005), YELLOW, reach_m=0.06),
        Solid(tray_sdf(0.13, 0.1, 0.02), (0.52, -0.06, 0), BLUE, reach_m=0.13),
        Solid(box_sdf(0.05, 0.035, 0.03), (0.52, -0.06, 0.006), WHITE, 0.4, reach_m=0.05),
    ]
    frame, instances = render(solids, noise_m=NOISE_M)
    assert frame.depth_m is not None
    same, square = instances.astype(np.uint8), np.ones((5, 5), np.uint8)
    seam = cv2.dilate(same, square) != cv2.erode(same, square)
    depth_m = np.where(seam, np.float32(0), frame.depth_m)
    view = see_tabletop(frame.rgb, depth_m, frame.intrinsics, frame.T_world_camera)
    assert of(view, "yellow sphere").confidence > 0.5
    assert of(view, "white box").confidence > 0.5


def test_what_a_near_rim_hides_is_less_certain():
    low = scene_camera(eye=(1.35, 0.0, 0.45), target=(0.5, 0.0, 0.05))
    view, _ = look(
        [
            Solid(bowl_sdf(0.08, 0.06), (0.55, 0, 0), WHITE, reach_m=0.1),
            Solid(sphere_sdf(0.03), (0.56, 0, 0.006), RED, reach_m=0.06),
        ],
        camera=low,
    )
    assert 0.2 < of(view, "red sphere").visible < 0.8


def test_a_ball_of_the_trays_own_colour_is_found():
    view, _ = look(
        [
            Solid(tray_sdf(0.18, 0.14, 0.02), (0.55, 0, 0), BLUE, 0.3, reach_m=0.13),
            Solid(sphere_sdf(0.025), (0.55, 0.02, 0.006), BLUE, reach_m=0.05),
        ]
    )
    assert {o.label for o in view.objects} == {"blue tray", "blue sphere"}
    assert_box(of(view, "blue sphere"), [0.05, 0.05, 0.05], [0.55, 0.02, 0.031])


def test_one_block_on_another():
    view, _ = look(
        [
            Solid(box_sdf(0.05, 0.05, 0.04), (0.55, 0.1, 0), RED, 0.2, reach_m=0.08),
            Solid(box_sdf(0.04, 0.04, 0.04), (0.55, 0.1, 0.04), BLUE, 0.5, reach_m=0.08),
        ]
    )
    assert_box(of(view, "red box"), [0.05, 0.05, 0.04], [0.55, 0.1, 0.02], atol=0.006)
    assert_box(of(view, "blue box"), [0.04, 0.04, 0.04], [0.55, 0.1, 0.06], atol=0.004)


def test_a_tall_block_behind_a_low_one_stands_on_the_table():
    view, _ = look(
        [
            Solid(box_sdf(0.05, 0.05, 0.04), (0.6, 0.1, 0), RED, reach_m=0.08),
            Solid(box_sdf(0.04, 0.04, 0.09), (0.54, 0.1, 0), BLUE, reach_m=0.1),
        ]
    )
    assert of(view, "blue box").box.bottom_z_m == pytest.approx(0, abs=0.002)
    assert of(view, "blue box").box.size_m[2] == pytest.approx(0.09, abs=0.004)
    assert of(view, "red box").visible > 0.9


def test_what_is_partly_hidden_is_less_certain():
    alone, _ = look([Solid(sphere_sdf(0.025), (0.5, 0, 0), GREEN, reach_m=0.06)])
    hidden, _ = look(
        [
            Solid(sphere_sdf(0.025), (0.5, 0, 0), GREEN, reach_m=0.06),
            Solid(box_sdf(0.04, 0.04, 0.07), (0.57, 0.015, 0), RED, reach_m=0.1),
        ]
    )
    assert of(alone, "green sphere").visible == 1
    seen = of(hidden, "green sphere")
    assert seen.visible < 0.8 and seen.confidence < of(alone, "green sphere").confidence
    np.testing.assert_allclose(seen.box.center_m, [0.5, 0, 0.025], atol=0.005)


@pytest.mark.parametrize("tilt_deg", [15, 25, 35])
def test_what_lies_askew_is_less_certain(tilt_deg):
    c, s = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    upright = box_sdf(0.06, 0.04, 0.05)

    def askew(p):  # about the y axis, the lowest edge on the table
        x, y, z = p[..., 0], p[..., 1], p[..., 2] - 0.03 * s
        return upright(np.stack([c * x - s * z, y, s * x + c * z], axis=-1))

    view, _ = look([Solid(askew, (0.5, 0.1, 0), RED, 0.4, reach_m=0.12)])
    assert len(view.objects) == 1
    assert 0.2 < view.objects[0].confidence < 0.75


def test_an_empty_table_and_no_table():
    view, _ = look([])
    assert view.objects == () and view.plane is not None
    frame, _ = render([], table_half_m=0.01)
    nothing = see_tabletop(frame.rgb, np.zeros_like(frame.depth_m), frame.intrinsics, frame.T_world_camera)
    assert nothing.objects == () and nothing.plane is None


def test_a_black_thing_on_a_dark_table_is_found():
    frame, _ = render(
        [Solid(box_sdf(0.05, 0.05, 0.05), (0.5, 0, 0), BLACK, 0.3, reach_m=0.08)],
        noise_m=NOISE_M,
        table_rgb=(70, 62, 55),
    )
    assert frame.depth_m is not None
    view = see_tabletop(frame.rgb, frame.depth_m, frame.intrinsics, frame.T_world_camera)
    assert [o.label for o in view.objects] == ["black box"]


def test_a_gray_ball_behind_a_black_bowl_is_no_part_of_it():
    gray = (95, 95, 97)
    view, _ = look(
        [
            Solid(bowl_sdf(0.078, 0.06), (0.62, -0.13, 0), BLACK, reach_m=0.12),
            Solid(sphere_sdf(0.0225), (0.515, -0.085, 0), gray, reach_m=0.06),
        ]
    )
    assert {o.label for o in view.objects} == {"black bowl", "gray sphere"}
    assert_box(of(view, "gray sphere"), [0.045] * 3, [0.515, -0.085, 0.0225], atol=0.004)


def test_furniture_is_no_object():
    shelf = Solid(box_sdf(0.2, 0.9, 0.3), (0.2, 0, 0), (120, 90, 60), reach_m=0.6)
    view, _ = look([TABLE[0], shelf])
    assert [o.label for o in view.objects] == ["red box"]


def test_settings_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="clusters must be ClusterConfig"):
        VisionConfig(clusters=ColorSplitConfig())  # pyright: ignore[reportArgumentType]


def test_one_block_on_another_of_the_same_colour():
    view, _ = look(
        [
            Solid(box_sdf(0.06, 0.05, 0.035), (0.55, 0.1, 0), RED, 0.2, reach_m=0.08),
            Solid(cylinder_sdf(0.018, 0.06), (0.55, 0.1, 0.035), RED, reach_m=0.12),
        ]
    )
    assert {o.label for o in view.objects} == {"red box", "red cylinder"}
    assert_box(of(view, "red box"), [0.06, 0.05, 0.035], [0.55, 0.1, 0.0175], atol=0.008)
    assert_box(of(view, "red cylinder"), [0.036, 0.036, 0.06], [0.55, 0.1, 0.065], atol=0.008)


def test_two_blocks_side_by_side_are_not_joined():
    view, _ = look(
        [
            Solid(box_sdf(0.04, 0.04, 0.04), (0.55, 0.05, 0), RED, reach_m=0.07),
            Solid(box_sdf(0.04, 0.04, 0.04), (0.55, -0.01, 0), RED, reach_m=0.07),
        ]
    )
    assert [o.label for o in view.objects] == ["red box", "red box"]


def test_clutter_is_bounded():
    # 80 small things: only the largest 40 are described
    solids = [
        Solid(box_sdf(0.025, 0.025, 0.02), (0.25 + 0.07 * i, -0.32 + 0.07 * j, 0), RED, reach_m=0.03)
        for i in range(8)
        for j in range(10)
    ]
    view, _ = look(solids, noise_m=0.001)
    assert len(view.objects) == 40
