"""Vision on the simulator's pictures, with sensor noise, arm in view, random looks and light."""

import numpy as np
import pytest

from perception_tools.tabletop_vision import see_tabletop
from tests.bench.bench_detect import Row, look, match

pytestmark = pytest.mark.render


def rows_of(seed: int, kind: str) -> tuple[list[Row], int]:
    """Return what was seen of every object that is in view for the most part, and what was made up."""
    rows, extra = [], 0
    for frame, robot, truths in look(seed, kind):
        assert frame.depth_m is not None
        view = see_tabletop(frame.rgb, frame.depth_m, frame.intrinsics, frame.T_world_camera, robot=robot)
        new, unmatched = match(seed, truths, view.objects)
        rows += [r for r in new if r.truth.visible >= 0.9]
        extra += len(unmatched)
    return rows, extra


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_objects_apart(seed):
    rows, extra = rows_of(seed, "apart")
    assert rows and extra == 0
    for r in rows:
        assert r.seen is not None
        assert r.seen.label == f"{r.truth.spec.color} {r.truth.spec.shape}"
        assert r.size_error_m() < 0.006 and r.center_error_m() < 0.005
        assert r.iou > 0.88
    assert np.median([r.size_error_m() for r in rows]) < 0.002


def test_objects_in_contact():
    rows, extra = rows_of(13, "contact")
    assert len(rows) >= 3 and extra == 0
    assert all(r.seen is not None and r.seen.color.name == r.truth.spec.color for r in rows)
    assert all(r.seen is not None and r.seen.shape.shape == r.truth.spec.shape for r in rows)
    assert all(r.seen is not None and r.seen.confidence > 0.3 for r in rows)


def test_view_from_above():
    rows, _ = rows_of(7, "wrist")
    assert rows
    for r in rows:
        assert r.seen is not None and r.seen.shape.shape == r.truth.spec.shape
        assert r.center_error_m() < 0.005
