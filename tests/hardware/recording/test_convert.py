"""Bags become LeRobot datasets in which every frame is the one that was recorded."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mcap", reason="mcap is not installed (extra `ros`)")
pytest.importorskip("rosbags", reason="rosbags is not installed (extra `ros`)")
pytest.importorskip("pandas", reason="pandas is not installed (extra `convert`)")
pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra `convert`)")

import pyarrow.parquet as pq

from hardware.definitions import Definitions
from hardware.interface import Channel, Joints, RobotInterface, StateSource
from hardware.recording.bags import BagWriter
from hardware.recording.convert import ACTION, STATE, ConvertConfig, episode_of
from hardware.recording.lerobot import Episode, Picture, write_dataset
from hardware.ros.images import image_fields

RATE_HZ, SECONDS = 100, 2
ROBOT = RobotInterface(
    name="two",
    joints=Joints(
        names=("a", "b"),
        driver_names=("A", "B"),
        prefix="left_",
        signs=(1.0, -1.0),
        offsets=(0.0, 0.5),
        **{name: (1.0, 1.0) for name in ("upper", "velocity", "acceleration", "jerk", "effort")},
        lower=(-1.0, -1.0),
    ),
    states=(StateSource(),),
    channels=(Channel("position", "forward_position_controller/commands"),),
    sources={"all": "made up here"},
)


def _image(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def _state(t: float) -> np.ndarray:
    return np.array([np.sin(t), np.cos(t)])


def _on_wire(ours: np.ndarray) -> np.ndarray:
    return np.array([ours[0], -(ours[1] + 0.5)])


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State and command at 100 Hz, pictures at 10 Hz; the names are the driver's."""
    folder = tmp_path_factory.mktemp("bags") / "trial"
    definitions = Definitions("jazzy")
    writer = BagWriter(folder)

    def write(topic: str, type_name: str, stamp_ns: int, **fields) -> None:
        writer.add_topic(topic, type_name)
        made = definitions.types.message_class(type_name)(**fields)
        writer.write(topic, stamp_ns, definitions.encode(type_name, made))

    for k in range(RATE_HZ * SECONDS):
        stamp_ns = 1_000_000_000 + k * 10_000_000
        t = k / RATE_HZ
        # The driver's order is another than ours, and it names a joint that is none of ours.
        a, b = _on_wire(_state(t))
        write(
            "/left/joint_states",
            "sensor_msgs/msg/JointState",
            stamp_ns,
            name=["left_B", "wheel", "left_A"],
            position=[b, 7.0, a],
        )
        write(
            "/left/forward_position_controller/commands",
            "std_msgs/msg/Float64MultiArray",
            stamp_ns,
            data=_on_wire(_state(t + 0.1)),
        )
        if k % 10 == 0:
            fields = image_fields(_image(k), "rgb8", stamp_ns, "camera")
            write("/left/scene/color/image_raw", "sensor_msgs/msg/Image", stamp_ns, **fields)
    writer.close()
    return folder


CONFIG = ConvertConfig(fps=10, task="wave", cameras={"scene": "scene/color/image_raw"})


def test_frames_are_what_was_recorded(bag: Path):
    episode = episode_of(bag, ROBOT, CONFIG)
    assert episode.length == SECONDS * 10
    for k in range(episode.length):
        np.testing.assert_allclose(episode.arrays[STATE][k], _state(k / 10), atol=1e-12)
        np.testing.assert_allclose(episode.arrays[ACTION][k], _state(k / 10 + 0.1), atol=1e-12)
        assert episode.images["observation.images.scene"][k].png == Picture.of(_image(10 * k)).png


def test_pixels_survive(bag: Path, tmp_path: Path):
    from PIL import Image

    episode = episode_of(bag, ROBOT, CONFIG)
    _write(tmp_path / "set", [episode])
    table = pq.read_table(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet").to_pydict()
    for k, cell in enumerate(table["observation.images.scene"]):
        import io

        pixels = np.asarray(Image.open(io.BytesIO(cell["bytes"])))
        assert _hash(pixels) == _hash(_image(10 * k))
    np.testing.assert_allclose(table[STATE], episode.arrays[STATE], atol=1e-6)
    assert table["timestamp"] == pytest.approx(np.arange(20) / 10)


def _hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _write(folder: Path, episodes: list[Episode]) -> None:
    names = {STATE: ROBOT.joint_names, ACTION: ROBOT.joint_names}
    write_dataset(folder, episodes, CONFIG.fps, names, ROBOT.name)


def test_what_is_written_about_it(bag: Path, tmp_path: Path):
    episode = episode_of(bag, ROBOT, CONFIG)
    other = Episode(
        "rest", {k: v[:5] for k, v in episode.arrays.items()}, {k: v[:5] for k, v in episode.images.items()}
    )
    _write(tmp_path / "set", [episode, other, episode])
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 45, 2)
    rows = pq.read_table(
        tmp_path / "set" / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    ).to_pydict()
    assert rows["dataset_from_index"] == [0, 20, 25] and rows["dataset_to_index"] == [20, 25, 45]
    stats = json.loads((tmp_path / "set" / "meta" / "stats.json").read_text())
    every = np.concatenate([episode.arrays[STATE], other.arrays[STATE], episode.arrays[STATE]])
    np.testing.assert_allclose(stats[STATE]["mean"], every.mean(axis=0))
    np.testing.assert_allclose(stats[STATE]["std"], every.std(axis=0))
    k = [10 * i for i in (*range(20), *range(5), *range(20))]
    pixels = np.stack([_image(i) for i in k]).reshape(-1, 3) / 255
    np.testing.assert_allclose(np.ravel(stats["observation.images.scene"]["mean"]), pixels.mean(axis=0))
    np.testing.assert_allclose(np.ravel(stats["observation.images.scene"]["std"]), pixels.std(axis=0))
    assert np.shape(stats["observation.images.scene"]["mean"]) == (3, 1, 1)


def test_a_gap_ends_the_episode(tmp_path: Path):
    definitions = Definitions("jazzy")
    writer = BagWriter(tmp_path / "bag")
    made = definitions.types.message_class
    for k in [*range(10), *range(40, 50)]:
        for topic, type_name, fields in (
            (
                "/joint_states",
                "sensor_msgs/msg/JointState",
                {"name": ["left_A", "left_B"], "position": [0, 0]},
            ),
            ("/forward_position_controller/commands", "std_msgs/msg/Float64MultiArray", {"data": [0, 0]}),
        ):
            writer.add_topic(topic, type_name)
            data = definitions.encode(type_name, made(type_name)(**fields))
            writer.write(topic, k * 100_000_000, data)
    writer.close()
    # States end at 0.9 s and are good for 0.5 s more: frames at 0, 0.1, ..., 1.4 s.
    assert episode_of(tmp_path / "bag", ROBOT, ConvertConfig(fps=10)).length == 15


def test_what_is_missing_is_named(bag: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="has no pictures of wrist"):
        episode_of(bag, ROBOT, ConvertConfig(cameras={"wrist": "wrist/color/image_raw"}))
    with pytest.raises(ValueError, match="there are no episodes"):
        _write(tmp_path / "set", [])
    episode = episode_of(bag, ROBOT, CONFIG)
    with pytest.raises(ValueError, match="episode 1 has"):
        _write(tmp_path / "set", [episode, Episode("x", episode.arrays, {})])
    with pytest.raises(ValueError, match="exists"):
        _write(tmp_path, [episode])


@pytest.mark.long
def test_lerobots_own_loader_reads_it(bag: Path, tmp_path: Path):
    pytest.importorskip(
        "lerobot", reason="lerobot is not installed; it needs an older torch: another environment"
    )
    episode = episode_of(bag, ROBOT, CONFIG)
    _write(tmp_path / "set", [episode, episode])
    code = """
import hashlib, sys, numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
found = LeRobotDataset("local/set", root=sys.argv[1])
for k in range(len(found)):
    item = found[k]
    pixels = (item["observation.images.scene"].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    print(hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest(), item["task"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "set")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    expected = [f"{_hash(_image(10 * k))} wave" for k in range(20)]
    assert done.stdout.splitlines() == expected * 2


def test_a_folder_that_exists_is_refused_before_the_bags_are_read(tmp_path, capsys):
    import habilis

    assert habilis.main(["convert", str(tmp_path / "no_bag"), f"to={tmp_path}", "robot=fr3"]) == habilis.USAGE
    assert "exists; give a new folder" in capsys.readouterr().err
