"""feel: what the senses say reaches the planner, in words and as a picture; a robot without says so."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from perception_tools.artifacts import Workspace
from perception_tools.feel import feel, heat_map
from perception_tools.geometry import Transform
from perception_tools.senses import SenseReading, Senses, TactileReading, WrenchReading
from perception_tools.tool import Infrastructure, Negative, ToolContext


@dataclass(frozen=True)
class StillSenses:
    """Senses that read the same again and again."""

    reading: SenseReading

    def read(self) -> SenseReading:
        return self.reading


def make_senses() -> StillSenses:
    """A left pad of 2 x 3 taxels pressed with 4 N, a right one with nothing on it, a load of 1.5 N."""
    # The pad stands on edge at (0.5, 0.1, 0.2): its x is world y, its y is world z, its z world x.
    turn = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    pad = Transform.from_parts((0.5, 0.1, 0.2), turn, parent="world", child="left_finger")
    hand = Transform.from_parts((0.5, 0.1, 0.2), np.diag([1.0, -1.0, -1.0]), parent="world", child="ee")
    pressed = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    return StillSenses(
        SenseReading(
            stamp_s=2.5,
            tactile={
                "left_finger": TactileReading(pressed, (0.03, 0.02), pad),
                "right_finger": TactileReading(np.zeros((2, 3)), (0.03, 0.02), pad),
            },
            wrenches={"hand": WrenchReading(np.array([0.0, 0.0, 1.5]), np.array([0.02, 0, 0]), hand)},
            sound_j=0.25,
            temperatures_c={"left_finger": 31.5},
        )
    )


def make_context(senses: Senses | None) -> ToolContext:
    return ToolContext(workspace=Workspace(), cameras={}, clock=lambda: 9.0, senses=senses)


def test_readings_are_passed_on():
    felt = feel(make_context(make_senses())).value
    left, right = felt.tactile
    assert (left.name, left.total_n, left.taxels_n) == ("left_finger", 4.0, [[0, 0, 1], [0, 0, 3]])
    assert (right.total_n, right.p_world) == (0.0, None)
    # Taxels are 1 cm wide and high: column 2 is at x = 0.01; y = (1 (-0.005) + 3 (0.005)) / 4 = 0.0025.
    assert left.p_world == pytest.approx((0.5, 0.11, 0.2025))
    assert (felt.wrenches[0].frame, felt.wrenches[0].force_n) == ("ee", [0, 0, 1.5])
    assert felt.wrenches[0].force_world_n == [0, 0, -1.5], "z of the hand points down"
    assert felt.wrenches[0].torque_nm == [0.02, 0, 0]
    assert (felt.stamp_s, felt.sound_j) == (2.5, 0.25)
    assert (felt.temperatures[0].name, felt.temperatures[0].celsius) == ("left_finger", 31.5)


def test_the_picture_is_an_artifact_of_the_time_of_the_reading():
    ctx = make_context(make_senses())
    output = feel(ctx)
    (image,) = output.images
    assert output.value.image == image.name == "image_1"
    assert (image.stamp_s, image.frame) == (2.5, "tactile")
    assert ctx.workspace.get("image_1") is image


def test_the_picture_is_bright_where_it_is_pressed():
    reading = make_senses().reading
    image = heat_map(reading.tactile)
    alone = heat_map({"left_finger": reading.tactile["left_finger"]})
    assert image.shape[1] > 1.5 * alone.shape[1]
    # Two rows of three cells of 56 px under 24 px of margin and 30 px of title; row 1 is drawn on top.
    top, bottom = (alone[54 + 56 * k + 5, 24 + 56 * 2 + 5].sum() for k in (0, 1))
    nothing = alone[54 + 5, 24 + 5].sum()
    assert int(top) > int(bottom) > int(nothing)


def test_a_robot_without_senses_says_so():
    with pytest.raises(Negative, match="no senses of touch") as error:
        feel(make_context(None))
    assert error.value.reason == "no_senses"


def test_a_robot_that_only_hears_has_no_picture():
    senses = StillSenses(SenseReading(stamp_s=1.0, sound_j=0.0))
    output = feel(make_context(senses))
    assert output.value.image is None and not output.images
    assert output.value.sound_j == 0.0 and output.value.tactile == []


def test_a_sensor_that_does_not_answer_is_no_answer():
    class Unplugged:
        def read(self) -> SenseReading:
            raise RuntimeError("left_finger: no data for 2 s")

    with pytest.raises(Infrastructure, match="left_finger: no data") as error:
        feel(make_context(Unplugged()))
    assert error.value.reason == "no_reading"


def test_arrays_that_are_no_grid_are_refused():
    tactile = make_senses().reading.tactile["left_finger"]
    with pytest.raises(ValueError, match=r"must be \(rows, cols\), got \(3,\)"):
        replace(tactile, force_n=np.zeros(3))
