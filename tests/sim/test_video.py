"""Videos decode to the frames that were put in, whatever happens in between."""

import numpy as np
import pytest

from sim.video import VideoConfig, VideoRecorder
from tests.sim.rendezvous import Rendezvous

av = pytest.importorskip("av")


def _flat(level):
    return lambda: np.full((48, 64, 3), level, np.uint8)


def _decode(path):
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def test_frames_and_holds_are_counted_and_decode(tmp_path):
    video = VideoRecorder(tmp_path / "v.mp4", _flat(200), _flat(90), VideoConfig(fps=10, hold_s=0.5))
    for _ in range(3):
        video.frame()
    video.show(np.full((48, 64, 3), 30, np.uint8), "detect: 2 objects")
    assert video.time_s == pytest.approx(0.8)  # 3 frames and 5 held ones at 10 fps
    video.close()
    frames = _decode(tmp_path / "v.mp4")
    assert len(frames) == 8
    assert frames[0].shape == (720, 1280, 3)
    assert abs(int(frames[1][360, 480].mean()) - 200) < 6  # the scene panel
    assert abs(int(frames[1][120, 1120].mean()) - 90) < 6  # the wrist panel
    assert abs(int(frames[6][300, 480].mean()) - 30) < 6  # the held picture


def test_closed_recorder_ignores_further_frames(tmp_path):
    video = VideoRecorder(tmp_path / "v.mp4", _flat(10))
    video.frame()
    video.close()
    video.close()
    video.frame()
    video.show(np.zeros((4, 4, 3), np.uint8))
    assert len(_decode(tmp_path / "v.mp4")) == 1


def test_long_captions_are_cut_not_lost_over_the_edge(tmp_path):
    video = VideoRecorder(tmp_path / "v.mp4", _flat(10))
    video.caption(title="word " * 400, note="x" * 3000, status="s " * 500)
    video.frame()
    video.close()
    frame = _decode(tmp_path / "v.mp4")[0]
    assert frame[:, -4:].mean() < 60  # nothing is written over the right margin


def test_unwritable_path_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        VideoRecorder(tmp_path / "missing" / "v.mp4", _flat(0))


@pytest.mark.parametrize("what", ["show", "frame"])
def test_other_threads_never_hold_up_the_listener(tmp_path, what):
    """The listener adds frames with the physics lock held; clock and views of others want that lock."""
    physics = Rendezvous()

    def look():
        with physics:
            return _flat(100)()

    def clock():
        with physics:
            return 1.5

    video = VideoRecorder(tmp_path / "v.mp4", look, config=VideoConfig(fps=10, hold_s=0.5))
    video.use_clock(clock)

    def step():
        with physics:
            physics.meet()
            video.frame()

    other = video.frame if what == "frame" else lambda: video.show(_flat(30)(), "detect")
    assert physics.both_end(step, other)
    video.close()
    assert len(_decode(tmp_path / "v.mp4")) == (2 if what == "frame" else 6)
