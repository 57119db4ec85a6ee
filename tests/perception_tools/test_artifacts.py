"""Names, kinds, staleness, frames and threads of the workspace."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from perception_tools.artifacts import KINDS, ArtifactError, Workspace
from perception_tools.geometry import FrameError


def put(workspace: Workspace, kind: str = "image", **fields):
    return workspace.put(kind, np.zeros(1), **{"frame": "world", "stamp_s": 1.0, **fields})  # type: ignore[arg-type]


def test_names_count_per_kind():
    workspace = Workspace()
    names = [put(workspace, kind).name for kind in ("image", "depth", "image", "mask", "image")]
    assert names == ["image_1", "depth_1", "image_2", "mask_1", "image_3"]


def test_names_of_calls_side_by_side_do_not_depend_on_which_ends_first():
    made = []
    for order in ("aabb", "bbaa", "abab"):
        workspace = Workspace()
        put(workspace, "mask")
        workspace.share_names(["a", "b"])
        made.append(sorted((call, put(workspace, "mask", call_id=call).name) for call in order))
        workspace.share_names([])
        assert put(workspace, "mask", call_id="c").name == "mask_6"
    assert made == [[("a", "mask_2"), ("a", "mask_4"), ("b", "mask_3"), ("b", "mask_5")]] * 3


def test_names_stay_unique_where_another_call_comes_between():
    workspace = Workspace()
    workspace.share_names(["a", "b"])
    names = [put(workspace, call_id=call).name for call in ("a", "late", "b", "late", "b", "a", "")]
    assert len(set(names)) == len(names)


def test_every_kind_can_be_stored_and_found():
    workspace = Workspace()
    for kind in KINDS:
        artifact = put(workspace, kind)
        assert workspace.get(artifact.name, kind) is artifact
        assert workspace.all(kind) == [artifact]
    assert len(workspace.all()) == len(KINDS)


def test_an_unknown_kind_lists_the_valid_ones():
    with pytest.raises(ArtifactError, match="image, depth, mask, cloud, box, grasp"):
        put(Workspace(), "video")


def test_an_unknown_name_lists_those_of_the_kind():
    workspace = Workspace()
    put(workspace, "image"), put(workspace, "mask"), put(workspace, "image")
    with pytest.raises(ArtifactError, match=r"no artifact 'image_9'; there are: image_1, image_2$"):
        workspace.get("image_9", "image")
    with pytest.raises(ArtifactError, match="none yet"):
        Workspace().get("image_1")


def test_a_wrong_kind_says_both():
    workspace = Workspace()
    put(workspace, "mask")
    with pytest.raises(ArtifactError, match="'mask_1' is a mask, a grasp is needed"):
        workspace.get("mask_1", "grasp")


def test_a_changed_scene_makes_what_was_sensed_before_stale():
    workspace = Workspace()
    before = put(workspace)
    workspace.advance_epoch("pick moved an object at 8.2 s")
    after = put(workspace)
    assert workspace.get(before.name) is before  # still there to look at
    assert workspace.get(after.name, fresh=True) is after
    with pytest.raises(
        ArtifactError, match=r"stale .*1\.00 s, then pick moved an object at 8\.2 s.*capture again"
    ):
        workspace.get(before.name, fresh=True)


def test_what_is_computed_from_something_stale_is_stale():
    workspace = Workspace()
    old = put(workspace)
    workspace.advance_epoch("a push")
    new = put(workspace)
    mixed = put(workspace, "mask", parents=(new.name, old.name))
    assert (old.epoch, new.epoch, mixed.epoch) == (0, 1, 0)
    with pytest.raises(ArtifactError, match="stale"):
        workspace.get(mixed.name, fresh=True)


def test_parents_must_exist():
    with pytest.raises(ArtifactError, match="image_7"):
        put(Workspace(), "mask", parents=("image_7",))


def test_frames_are_checked():
    workspace = Workspace()
    put(workspace, frame="camera:scene")
    assert workspace.get("image_1", frame="camera:scene")
    with pytest.raises(FrameError, match="'camera:scene', 'world' is needed"):
        workspace.get("image_1", frame="world")


def test_many_threads_get_different_names():
    workspace = Workspace()

    def work(_: int) -> list[str]:
        return [put(workspace).name for _ in range(50)]

    with ThreadPoolExecutor(8) as pool:
        names = [name for part in pool.map(work, range(8)) for name in part]
    assert sorted(names) == sorted(f"image_{k}" for k in range(1, 401))
    assert [a.name for a in workspace.all()] == [f"image_{k}" for k in range(1, 401)]


def test_epochs_of_many_threads_add_up():
    workspace = Workspace()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: workspace.advance_epoch(str(k)), range(200)))
    assert workspace.epoch == 200
