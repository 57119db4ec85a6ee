"""compare_images: rendered scenes before and after, from one place and from two, with and without depth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perception_tools.artifacts import Workspace
from perception_tools.compare_images import compare_images
from perception_tools.comparing import align
from perception_tools.tool import BadArguments, Negative, ToolContext
from perception_tools.views import put_frame
from tests.perception_tools.images_clouds import textured
from tests.perception_tools.raycast import Solid, box_sdf, cylinder_sdf, render, scene_camera

SIZE = (320, 240)
CAN = Solid(cylinder_sdf(0.03, 0.08), (0.55, -0.2, 0), (40, 60, 200))
TRAY = Solid(box_sdf(0.2, 0.15, 0.02), (0.4, 0.05, 0), (180, 180, 60))


def block(x=0.5, y=0.15, rgb=(200, 40, 40)):
    return Solid(box_sdf(0.06, 0.05, 0.05), (x, y, 0), rgb)


def make_ctx(*scenes, noise_m=0.001, with_depth=True, eyes=None, paint=False):
    """Store a picture of each scene; returns the context and the true instance images."""
    ctx = ToolContext(Workspace(), cameras={}, clock=lambda: 0.0)
    truths = []
    for k, scene in enumerate(scenes):
        eye = (1.35, 0.0, 0.85) if eyes is None else eyes[k]
        frame, truth = render(scene, camera=scene_camera(*SIZE, eye=eye), noise_m=noise_m, seed=k)
        if paint:
            frame = replace(frame, rgb=textured(frame.rgb, frame.points_world()))
        put_frame(ctx, frame if with_depth else replace(frame, depth_m=None))
        truths.append(truth)
    return ctx, truths


def compared(ctx):
    return compare_images(ctx, before="image_1", after="image_2").value


def overlap(ctx, change, truth):
    mask = ctx.workspace.get(change.mask).data
    return (mask & truth).sum() / (mask | truth).sum()


def test_nothing_changed():
    ctx, _ = make_ctx([block(), CAN], [block(), CAN])
    value = compared(ctx)
    assert value.is_same and value.changes == [] and value.changed_share == 0 and value.confidence > 0.9


def test_what_appeared_and_what_is_gone():
    ctx, truths = make_ctx([TRAY, block()], [TRAY, CAN])
    value = compared(ctx)
    by_kind = {c.kind: c for c in value.changes}
    assert set(by_kind) == {"appeared", "gone"} and len(value.changes) == 2
    gone, new = by_kind["gone"], by_kind["appeared"]
    assert (gone.color, new.color) == ("red", "blue") and (gone.image, new.image) == ("image_1", "image_2")
    assert overlap(ctx, gone, truths[0] == 2) > 0.8 and overlap(ctx, new, truths[1] == 2) > 0.8
    np.testing.assert_allclose(new.center_m[:2], [0.55, -0.2], atol=0.03)
    assert min(gone.confidence, new.confidence) > 0.8 and value.moved == []
    assert "red" in gone.words and "image_1" in gone.words


def test_a_thing_that_moved_is_both_and_measured():
    ctx, _ = make_ctx([TRAY, block(0.55, 0.2)], [TRAY, block(0.55, -0.15)])
    value = compared(ctx)
    assert sorted(c.kind for c in value.changes) == ["appeared", "gone"]
    assert value.moved[0].moved_m == pytest.approx(0.35, abs=0.01)


def test_another_colour_of_the_same_surface():
    ctx, truths = make_ctx([block(), CAN], [block(rgb=(40, 160, 60)), CAN])
    (change,) = compared(ctx).changes
    assert change.kind == "changed" and change.color == "green"
    assert overlap(ctx, change, truths[1] == 1) > 0.7


def test_from_another_place_nothing_is_new():
    """What the second camera sees behind things, or no more, is no change."""
    eyes = ((1.35, 0.0, 0.85), (1.2, 0.45, 0.8))
    ctx, _ = make_ctx([block(), CAN, TRAY], [block(), CAN, TRAY], eyes=eyes)
    value = compared(ctx)
    assert value.is_same and value.shift_px > 20 and value.overlap > 0.7


def test_from_another_place_what_moved_is_found():
    eyes = ((1.35, 0.0, 0.85), (1.2, 0.45, 0.8))
    ctx, truths = make_ctx([block(), CAN], [block(0.45, -0.05), CAN], eyes=eyes)
    value = compared(ctx)
    assert sorted(c.kind for c in value.changes) == ["appeared", "gone"]
    new = next(c for c in value.changes if c.kind == "appeared")
    assert overlap(ctx, new, truths[1] == 1) > 0.7
    assert value.moved[0].moved_m == pytest.approx(np.hypot(0.05, 0.2), abs=0.02)


def test_without_depth_small_motions_of_the_camera_are_undone():
    eyes = ((1.35, 0.0, 0.85), (1.345, 0.006, 0.853))
    ctx, _ = make_ctx([CAN], [CAN], with_depth=False, eyes=eyes, paint=True, noise_m=0.0)
    same = compared(ctx)
    assert same.is_same and 0.5 < same.shift_px < 10 and "homography" in same.evidence
    ctx, truths = make_ctx([CAN], [CAN, block()], with_depth=False, eyes=eyes, paint=True, noise_m=0.0)
    value = compared(ctx)
    largest = value.changes[0]
    assert largest.kind == "changed" and largest.center_m is None
    assert overlap(ctx, largest, truths[1] == 2) > 0.6


@given(du=st.floats(-6, 6), dv=st.floats(-6, 6))
@example(du=0.0, dv=0.5)
@example(du=-1.0, dv=0.0)
@settings(max_examples=10, deadline=None)
def test_the_alignment_of_a_shift(du, dv):
    rough = np.random.default_rng(0).integers(0, 256, (150, 200, 3)).astype(np.float32)
    rgb = np.clip((cv2.GaussianBlur(rough, (0, 0), 2.0) - 128) * 5 + 128, 0, 255).astype(np.uint8)
    moved = cv2.warpAffine(rgb, np.array([[1, 0, du], [0, 1, dv]]), (200, 150))
    H, count = align(rgb, moved)
    found = H @ [100, 75, 1]
    np.testing.assert_allclose(found[:2] / found[2], [100 + du, 75 + dv], atol=0.35)
    assert count > 12


def test_light_is_no_change():
    ctx, _ = make_ctx([block(), CAN], [block(), CAN])
    image = ctx.workspace.get("image_2")
    image.data[:] = np.clip(image.data * 0.7, 0, 255).astype(np.uint8)
    assert compared(ctx).is_same


def test_the_robots_own_body_is_no_change():
    ctx = ToolContext(
        Workspace(), cameras={}, clock=lambda: 0.0,
        is_robot=lambda p: np.linalg.norm(p[:, :2] - [0.5, 0.15], axis=1) < 0.06,
    )  # fmt: skip
    for scene in ([CAN], [CAN, block()]):
        frame, _ = render(scene, camera=scene_camera(*SIZE), noise_m=0.001)
        put_frame(ctx, frame)
    assert not [c for c in compared(ctx).changes if c.kind == "appeared" and c.num_pixels > 60]


def test_different_places_can_not_be_compared():
    ctx = ToolContext(Workspace(), cameras={}, clock=lambda: 0.0)
    for target in ((0.5, 0, 0), (0.5, 3.0, 0)):
        frame, _ = render([CAN], camera=scene_camera(*SIZE, target=target), table_half_m=9)
        put_frame(ctx, frame)
    with pytest.raises(Negative) as error:
        compared(ctx)
    assert error.value.reason == "no_overlap"


def test_bare_pictures_of_different_size():
    ctx = ToolContext(Workspace(), cameras={}, clock=lambda: 0.0)
    for shape in ((20, 30, 3), (20, 31, 3)):
        ctx.put("image", np.zeros(shape, np.uint8), frame="camera:c")
    with pytest.raises(BadArguments, match="differ in size"):
        compared(ctx)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 40, 3), (16, 16, 3)])
def test_tiny_pictures_end_in_an_answer(shape):
    ctx = ToolContext(Workspace(), cameras={}, clock=lambda: 0.0)
    for seed in range(2):
        rgb = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
        ctx.put("image", rgb, frame="camera:c")
    try:
        value = compared(ctx)
    except Negative as error:
        assert error.reason == "no_overlap"
    else:
        assert 0 <= value.changed_share <= 1 and 0 <= value.confidence <= 1
