"""Recorded clouds of tweezers in a hand: labels are where the points are."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

from perception_tools.affordance_hand import UNIT_M
from sim.clouds_in_hand import LABELS, HandScenes, HandScenesConfig
from sim.rendering import RenderingUnavailable, rendering_backend

try:
    rendering_backend()
except RenderingUnavailable as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.mark.long
def test_a_block_shows_what_its_labels_say():
    scenes = HandScenes(HandScenesConfig(num_envs=1))
    block, again = scenes.block(1), scenes.block(1)
    assert np.array_equal(block.points, again.points) and set(block.labels) == set(LABELS)
    num = len(block.counts)
    assert 20 <= num <= 40  # an episode has 40 steps; the tweezers may get lost
    at_tips, at_object = [], []
    for k in range(num):
        points = block.points[k, : block.counts[k]]
        assert (points[:, 2] + block.height_m[k] > 0.0).all()  # over the table
        gaps = [np.linalg.norm(points - UNIT_M * block.labels[name][k], axis=1) for name in ("tip", "object")]
        at_tips.append(gaps[0].min())
        at_object.append(gaps[1].min())
    # The nearest point is on an arm, at most 13 mm from the middle of open tips, or on the object's surface.
    assert np.median(at_tips) < 0.018
    assert np.median(at_object) < 0.018
    assert np.allclose(np.linalg.norm(block.labels["quat"], axis=1), 1.0, atol=1e-4)
    assert ((block.labels["opening"] > -0.02) & (block.labels["opening"] < 0.046 / UNIT_M)).all()


def test_settings_that_record_nothing_are_refused():
    with pytest.raises(ValueError, match="num_envs = 0"):
        HandScenesConfig(num_envs=0)
