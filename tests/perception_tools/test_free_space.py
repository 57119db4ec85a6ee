"""free_space: places are free of the true solids, and in the relation asked for."""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.free_space import FreeSpaceConfig, free_space
from perception_tools.height_map import HeightMap
from perception_tools.relation import relation
from perception_tools.tool import BadArguments, Negative
from tests.perception_tools.raycast import Solid, bowl_sdf, box_sdf, cylinder_sdf, tray_sdf
from tests.perception_tools.tables import Table, box_at, make_table

BLOCK = Solid(box_sdf(0.05, 0.05, 0.05), (0.5, 0.0, 0))
BESIDE = ("left_of", "right_of", "in_front_of", "behind")
SIZE = (0.05, 0.04)


def ask(table: Table, name: str, reference: str | None = None, size=SIZE, **more):
    arguments = {"relation": name, "image": "image_1", "reference": reference, "size_m": size, **more}
    return free_space(table.ctx, **arguments).value


def assert_free(table: Table, value) -> None:
    """A disc of the claimed size round the place is clear of every solid, at all heights."""
    radius = np.hypot(*SIZE) / 2 + value.clearance_m - 0.006  # a cell of 5 mm, and rounding
    angle = np.linspace(0, 2 * np.pi, 60)
    for z in (0.005, 0.02, 0.04):
        for r in (0, 0.5 * radius, radius):
            ring = np.column_stack([r * np.cos(angle), r * np.sin(angle), 0 * angle + z])
            for solid in table.solids:
                assert solid.distance(ring + np.array([*value.position_m[:2], 0])).min() > 0


@pytest.fixture(scope="module")
def crowded() -> Table:
    others = [
        Solid(cylinder_sdf(0.03, 0.08), (0.5, -0.16, 0)),
        Solid(box_sdf(0.08, 0.04, 0.06), (0.62, 0.06, 0), yaw_rad=0.5),
        Solid(box_sdf(0.06, 0.06, 0.05), (0.40, 0.15, 0)),
    ]
    return make_table([BLOCK, *others], noise_m=0.0015)


@pytest.mark.parametrize("frame", ["camera", "robot"])
@pytest.mark.parametrize("name", BESIDE)
def test_beside(crowded, name, frame):
    reference = crowded.box(box_at(0.5, 0, (0.05, 0.05, 0.05)), "red block").name
    value = ask(crowded, name, reference, frame=frame)
    assert_free(crowded, value)
    assert value.position_m[2] == 0 and value.clearance_m >= FreeSpaceConfig().min_clearance_m
    assert 0.015 < value.gap_m < 0.16
    placed = crowded.box(box_at(*value.position_m[:2], (*SIZE, 0.05))).name
    assert relation(crowded.ctx, a=placed, b=reference, relation=name, frame=frame).holds


def test_alone_the_gap_is_three_to_six_centimetres():
    table = make_table([BLOCK])
    reference = table.box(box_at(0.5, 0, (0.05, 0.05, 0.05))).name
    for name in (*BESIDE[:3], "next_to"):  # behind it lies what the camera cannot see
        assert 0.028 <= ask(table, name, reference).gap_m <= 0.062


def test_what_the_camera_cannot_see_counts_as_occupied():
    # A wall 15 cm high hides what lies behind it.
    wall = Solid(box_sdf(0.02, 0.30, 0.15), (0.6, 0.0, 0))
    hidden = Solid(box_sdf(0.05, 0.05, 0.03), (0.52, 0.0, 0))
    table = make_table([wall, hidden])
    assert (table.instances == 2).sum() == 0  # the block cannot be seen at all
    reference = table.box(box_at(0.6, 0, (0.30, 0.02, 0.15), np.pi / 2)).name
    try:
        assert_free(table, ask(table, "behind", reference))
    except Negative as error:
        assert error.reason == "no_space"
    bold = make_table([wall, hidden], settings={"free_space": {"allow_unseen": True}})
    reference = bold.box(box_at(0.6, 0, (0.30, 0.02, 0.15), np.pi / 2)).name
    x = ask(bold, "behind", reference).position_m[0]
    assert 0.5 < x < 0.59  # right behind the wall


def test_anywhere_is_free_and_within_reach(crowded):
    config = FreeSpaceConfig()
    value = ask(crowded, "anywhere")
    assert_free(crowded, value)
    assert value.gap_m is None and value.clearance_m > 0.02
    x, y, _ = value.position_m
    assert config.region_x_m[0] <= x <= config.region_x_m[1]
    assert config.region_y_m[0] <= y <= config.region_y_m[1]


def test_next_to_the_edge_of_the_region_stays_near():
    edge = Solid(box_sdf(0.05, 0.05, 0.05), (0.5, -0.34, 0))
    table = make_table([edge])
    reference = table.box(box_at(0.5, -0.34, (0.05, 0.05, 0.05))).name
    with pytest.raises(Negative) as error:
        ask(table, "left_of", reference)
    assert error.value.reason == "no_space" and error.value.evidence["needed_clearance_m"] > 0
    assert ask(table, "next_to", reference).position_m[1] > -0.34


def test_too_large_for_any_place_says_how_large(crowded):
    reference = crowded.box(box_at(0.5, 0, (0.05, 0.05, 0.05)), "red block").name
    with pytest.raises(Negative, match=r"left of the red block for 0\.300 x 0\.250 m within reach"):
        ask(crowded, "left_of", reference, size=(0.25, 0.3))


# ---- inside and on ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solid", "size", "shape"),
    [
        (Solid(bowl_sdf(0.075, 0.055), (0.5, 0.0, 0)), (0.15, 0.15, 0.055), "bowl"),
        (Solid(tray_sdf(0.18, 0.14, 0.02), (0.5, 0.0, 0), yaw_rad=0.6), (0.18, 0.14, 0.02), "tray"),
    ],
)
def test_inside_an_empty_container_is_its_middle(solid, size, shape):
    table = make_table([solid], noise_m=0.001)
    reference = table.box(box_at(0.5, 0, size, solid.yaw_rad), shape, shape=shape).name
    value = ask(table, "inside", reference)
    np.testing.assert_allclose(value.position_m[:2], [0.5, 0.0], atol=0.008)
    assert value.rim_z_m == pytest.approx(size[2])
    assert 0 <= value.floor_z_m <= 0.012
    # It rests on the floor; a bowl's curved wall may lift it a little.
    assert value.floor_z_m <= value.position_m[2] < 0.6 * size[2]
    on = ask(table, "on", reference)
    assert on.position_m == value.position_m  # "on the tray" is in it


def test_inside_makes_room_for_what_is_there_already():
    tray = Solid(tray_sdf(0.20, 0.16, 0.02), (0.5, 0.0, 0))
    content = Solid(box_sdf(0.05, 0.05, 0.05, z0=0.006), (0.5, 0.0, 0))
    table = make_table([tray, content], noise_m=0.001)
    reference = table.box(box_at(0.5, 0, (0.20, 0.16, 0.02)), "tray", shape="tray").name
    value = ask(table, "inside", reference, size=(0.04, 0.04))
    away = np.abs(np.array(value.position_m[:2]) - [0.5, 0.0]).max()
    assert away > 0.025 + 0.018 and value.position_m[2] < 0.012
    assert value.rim_z_m == pytest.approx(0.02)


def test_a_full_container_says_so():
    tray = Solid(tray_sdf(0.12, 0.10, 0.03), (0.5, 0.0, 0))
    content = Solid(box_sdf(0.10, 0.08, 0.04, z0=0.006), (0.5, 0.0, 0))
    table = make_table([tray, content])
    reference = table.box(box_at(0.5, 0, (0.12, 0.10, 0.03)), "green tray", shape="tray").name
    with pytest.raises(Negative, match="the green tray is full") as error:
        ask(table, "inside", reference)
    assert error.value.reason == "no_space" and error.value.evidence["content_z_m"] > 0.03


def test_a_small_container_says_so():
    table = make_table([BLOCK])
    reference = table.box(box_at(0.5, 0, (0.05, 0.05, 0.05)), "cup").name
    with pytest.raises(Negative, match=r"the cup is too small: 0.034 x 0.034 m inside"):
        ask(table, "inside", reference)


def test_on_top():
    table = make_table([Solid(box_sdf(0.08, 0.06, 0.04), (0.5, 0.0, 0))])
    reference = table.box(box_at(0.5, 0, (0.08, 0.06, 0.04)), "blue box", shape="box").name
    value = ask(table, "on", reference)
    assert value.position_m == [0.5, 0.0, 0.04]
    assert value.clearance_m == pytest.approx(0.06 / 2 - sum(SIZE) / 4)


def test_on_top_of_something_taken_or_round_is_a_negative():
    table = make_table(
        [
            Solid(box_sdf(0.08, 0.06, 0.04), (0.5, 0.0, 0)),
            Solid(box_sdf(0.03, 0.03, 0.03, z0=0.04), (0.5, 0.0, 0)),
        ]
    )
    reference = table.box(box_at(0.5, 0, (0.08, 0.06, 0.04)), "blue box", shape="box").name
    with pytest.raises(Negative, match="something is on the blue box already"):
        ask(table, "on", reference)
    ball = table.box(box_at(0.4, 0.2, (0.04, 0.04, 0.04)), "ball", shape="sphere").name
    with pytest.raises(Negative, match="round on top"):
        ask(table, "on", ball)


# ---- the rest -----------------------------------------------------------------------------------


def test_a_reference_is_needed():
    with pytest.raises(BadArguments, match="'left_of' needs a reference"):
        ask(make_table([BLOCK]), "left_of")


def test_an_old_picture_is_said_to_be_old():
    table = make_table([BLOCK])
    assert not ask(table, "anywhere").is_stale
    table.ctx.workspace.advance_epoch("a push")
    assert ask(table, "anywhere").is_stale


def test_the_place_is_drawn():
    table = make_table([BLOCK])
    value = ask(table, "anywhere")
    picture = table.ctx.workspace.get(value.image, "image")
    assert (picture.data != table.view.rgb).any() and picture.label == "free place anywhere"


def test_height_map_by_hand():
    points = np.array([[0.01, 0.01, 0.5], [0.01, 0.012, 0.7], [0.05, 0.01, 0.1], [9, 9, 9.0]])
    grid = HeightMap.build(points, np.array([0.0, 0.0]), np.array([0.06, 0.04]), 0.02)
    assert grid.top_z_m.shape == (3, 2)
    assert grid.top_z_m[0, 0] == 0.7 and grid.top_z_m[2, 0] == 0.1 and np.isnan(grid.top_z_m[1, 1])
    np.testing.assert_allclose(grid.centers_m()[2, 1], [0.05, 0.03])
    assert grid.higher_than(0.3, min_cells=1).sum() == 1 and grid.higher_than(0.3).sum() == 0  # a speck
    blocked = np.zeros((3, 2), bool)
    blocked[0, 0] = True
    # The middle of cell [2, 0] is 2.5 cells from the middle of a cell whose edge is half a cell off.
    np.testing.assert_allclose(grid.distance_to(blocked)[:, 0], [0.0, 0.01, 0.03])
