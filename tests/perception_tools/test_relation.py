"""relation: truth tables in both frames, margins by hand, confidence that fades at the border."""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.boxes import Box3D
from perception_tools.geometry import look_at
from perception_tools.relation import relation
from perception_tools.tool import BadArguments
from tests.perception_tools.tables import box_at, make_table

CUBE = (0.05, 0.05, 0.05)


@pytest.fixture(scope="module")
def table():
    return make_table([])


def holds(table, a: Box3D, b: Box3D, name: str, frame: str = "camera", **meta) -> bool:
    first, second = table.box(a), table.box(b, **meta)
    return relation(table.ctx, a=first.name, b=second.name, relation=name, frame=frame).holds


# The scene camera stands at x = 1.35 and looks along -x: its right is +y, nearer to it is +x.
@pytest.mark.parametrize(
    ("offset", "viewer", "robot"),
    [
        ((0, -0.12), "left_of", "right_of"),
        ((0, 0.12), "right_of", "left_of"),
        ((0.12, 0), "in_front_of", "in_front_of"),
        ((-0.12, 0), "behind", "behind"),
    ],
)
def test_directions_in_both_frames(table, offset, viewer, robot):
    a, b = box_at(0.5 + offset[0], offset[1], CUBE), box_at(0.5, 0, CUBE)
    for name in ("left_of", "right_of", "in_front_of", "behind"):
        assert holds(table, a, b, name) == (name == viewer)
        assert holds(table, a, b, name, "robot") == (name == robot)


@pytest.mark.parametrize("pair", [("left_of", "right_of"), ("in_front_of", "behind")])
def test_opposites(table, pair):
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = (box_at(*rng.uniform([0.35, -0.28], [0.68, 0.28]), CUBE) for _ in range(2))
        assert holds(table, a, b, pair[0]) == holds(table, b, a, pair[1])


def test_the_margin_by_hand(table):
    # Offset 0.12 to the left; both reach 0.025, so half of 0.05 is the least offset: 0.12 - 0.025.
    a, b = table.box(box_at(0.5, -0.12, CUBE)), table.box(box_at(0.5, 0, CUBE))
    found = relation(table.ctx, a=a.name, b=b.name, relation="left_of")
    assert found.margin_m == pytest.approx(0.095, abs=1e-3)
    assert found.evidence["along_m"] == pytest.approx(0.12, abs=1e-3)
    assert found.evidence["gap_m"] == pytest.approx(0.07, abs=1e-3)
    assert found.confidence > 0.95


def test_confidence_fades_at_the_border(table):
    b = table.box(box_at(0.5, 0, CUBE))
    confidences = []
    for offset in (0.026, 0.04, 0.1):
        a = table.box(box_at(0.5, -offset, CUBE))
        confidences.append(relation(table.ctx, a=a.name, b=b.name, relation="left_of").confidence)
    assert 0.5 <= confidences[0] < 0.6 < confidences[1] < confidences[2] <= 1.0


def test_sideways_is_not_left(table):
    assert not holds(table, box_at(0.68, -0.06, CUBE), box_at(0.5, 0, CUBE), "left_of")


def test_on_and_above(table):
    below, top = box_at(0.5, 0, (0.06, 0.06, 0.05)), box_at(0.505, 0.01, (0.03, 0.03, 0.03), bottom=0.052)
    assert holds(table, top, below, "on") and holds(table, top, below, "above")
    assert holds(table, below, top, "below") and not holds(table, below, top, "on")
    floating = box_at(0.5, 0, (0.03, 0.03, 0.03), bottom=0.12)
    assert holds(table, floating, below, "above") and not holds(table, floating, below, "on")
    beside = box_at(0.5, 0.08, (0.03, 0.03, 0.03), bottom=0.05)
    assert not holds(table, beside, below, "on") and not holds(table, beside, below, "above")


def test_inside_a_container(table):
    bowl = box_at(0.5, 0, (0.15, 0.15, 0.06))
    inside = box_at(0.51, 0.01, (0.04, 0.04, 0.04), bottom=0.006)
    assert holds(table, inside, bowl, "inside", shape="bowl")
    assert holds(table, inside, bowl, "on", shape="bowl")  # "on the plate" is in it
    assert not holds(table, bowl, inside, "inside")
    heaped = box_at(0.5, 0, (0.04, 0.04, 0.1), bottom=0.03)  # stands out above the rim
    assert holds(table, heaped, bowl, "inside", shape="bowl")
    on_rim = box_at(0.5, 0, (0.16, 0.16, 0.02), bottom=0.06)
    assert not holds(table, on_rim, bowl, "inside", shape="bowl")
    outside = box_at(0.5, 0.11, (0.04, 0.04, 0.04))
    assert not holds(table, outside, bowl, "inside", shape="bowl")


def test_inside_a_shallow_tray(table):
    tray = box_at(0.5, 0, (0.18, 0.15, 0.018))
    assert holds(table, box_at(0.52, 0.02, (0.05, 0.05, 0.05), bottom=0.005), tray, "inside", shape="tray")


def test_nothing_is_inside_a_solid(table):
    block = box_at(0.5, 0, (0.07, 0.07, 0.05))
    sunken = box_at(0.5, 0, (0.03, 0.03, 0.03), bottom=0.03)  # a bad measurement of what stands on it
    assert not holds(table, sunken, block, "inside", shape="box")
    assert holds(table, sunken, block, "on", shape="box")


def test_next_to(table):
    b = box_at(0.5, 0, CUBE)
    assert holds(table, box_at(0.5, 0.09, CUBE), b, "next_to")  # gap 4 cm
    assert not holds(table, box_at(0.5, 0.2, CUBE), b, "next_to")  # gap 15 cm
    assert not holds(table, box_at(0.5, 0.0, CUBE, bottom=0.05), b, "next_to")  # on top


def test_a_degenerate_box_costs_confidence(table):
    good, b = table.box(box_at(0.5, -0.12, CUBE)), table.box(box_at(0.5, 0, CUBE))
    bad = table.box(Box3D(np.array([0.5, -0.12, 0.025]), np.array(CUBE), 0.0, is_degenerate=True))
    sure = relation(table.ctx, a=good.name, b=b.name, relation="left_of")
    unsure = relation(table.ctx, a=bad.name, b=b.name, relation="left_of")
    assert unsure.holds and unsure.confidence < sure.confidence - 0.2
    assert "degenerate" in str(unsure.evidence["note"])


def test_the_viewer_is_the_scene_camera_even_for_boxes_of_the_wrist(table):
    wrist = look_at([0.3, 0, 0.4], [0.5, 0, 0], parent="world", child="camera:wrist")  # looks the other way
    a, b = (
        table.ctx.put("box", box_at(0.5, y, CUBE), frame="world", T_world_camera=wrist) for y in (-0.12, 0)
    )
    assert relation(table.ctx, a=a.name, b=b.name, relation="left_of").holds


def test_without_a_viewer_it_says_what_to_do(table):
    from dataclasses import replace

    from perception_tools.artifacts import Workspace

    ctx = replace(table.ctx, workspace=Workspace())
    a, b = (ctx.put("box", box_at(0.5, y, CUBE), frame="world") for y in (-0.12, 0))
    with pytest.raises(BadArguments, match="capture it, or use frame='robot'"):
        relation(ctx, a=a.name, b=b.name, relation="left_of")
    assert relation(ctx, a=a.name, b=b.name, relation="right_of", frame="robot").holds


def test_a_camera_from_above_uses_the_top_of_its_picture(table):
    from dataclasses import replace

    from perception_tools.artifacts import Workspace

    # Straight down, image up = +x: right of forward x up = (0,0,-1) x (1,0,0) = (0,-1,0).
    above = look_at([0.5, 0, 1], [0.5, 0, 0], parent="world", child="camera:scene")
    ctx = replace(table.ctx, workspace=Workspace())
    a, b = (ctx.put("box", box_at(x, 0, CUBE), frame="world", T_world_camera=above) for x in (0.62, 0.5))
    assert relation(ctx, a=a.name, b=b.name, relation="behind").holds


def test_one_box_twice_is_refused(table):
    a = table.box(box_at(0.5, 0, CUBE))
    with pytest.raises(BadArguments, match="same box"):
        relation(table.ctx, a=a.name, b=a.name, relation="on")
