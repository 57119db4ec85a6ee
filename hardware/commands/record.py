"""`habilis record` and `habilis convert`: topics to bags, bags to datasets."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hardware.interface import RobotInterface
from hardware.recording.convert import ACTION, STATE, ConvertConfig, episode_of
from hardware.recording.lerobot import write_dataset
from hardware.recording.recorder import RecordedTopic, Recorder, topics_of
from policies.runs import new_run_folder, write_json


def record(invocation: Any) -> int:
    """Record a robot's topics until Ctrl-C, SIGTERM or `seconds`.

    Returns:
        0 if anything was recorded, 1 if nothing came.

    Raises:
        ValueError: Bad usage, or the folder can't be made.
    """
    if invocation.words:
        raise ValueError(f"habilis record takes key=value only, not {invocation.words[0]!r}")
    cfg, done = invocation.cfg, threading.Event()
    robot: RobotInterface = invocation.instantiate(cfg.robot.interface)
    folder = new_run_folder(cfg.run_dir, cfg.robot.name)
    if folder is None:
        raise ValueError("run_dir is empty; say where the bag is written")
    topics = [*topics_of(robot), *(_topic(invocation.instantiate(t)) for t in cfg.topics)]
    before = {n: signal.signal(n, lambda *_: done.set()) for n in (signal.SIGINT, signal.SIGTERM)}
    bus = invocation.open_bus(cfg)
    try:
        recorder = Recorder(bus, folder / "bag", topics)
        try:
            bus.start()
            print(f"recording {len(topics)} topics to {folder / 'bag'}; Ctrl-C ends it", file=sys.stderr)
            _wait(done, cfg.seconds, recorder)
        finally:
            recorder.close()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        bus.close()
    return _report(recorder, invocation.json_to)


def _topic(given: Any) -> RecordedTopic:
    return given if isinstance(given, RecordedTopic) else RecordedTopic(**given)


def _wait(done: threading.Event, seconds: float, recorder: Recorder) -> None:
    """Wait, showing on a terminal how many messages there are."""
    end_s = time.monotonic() + seconds if seconds > 0 else float("inf")
    shows = sys.stderr.isatty()
    while not done.wait(max(0.0, min(0.5, end_s - time.monotonic()))) and time.monotonic() < end_s:
        if shows:
            print(f"\r{sum(recorder.counts.values())} messages ", end="", file=sys.stderr, flush=True)
    if shows:
        print(file=sys.stderr)


def _report(recorder: Recorder, json_to: str | None) -> int:
    counts = dict(recorder.counts)
    out = sys.stderr if json_to == "-" else sys.stdout
    width = max((len(name) for name in counts), default=0)
    for name, count in counts.items():
        print(f"{name:<{width}}  {count}", file=out)
    print(f"{recorder.folder}", file=out)
    if json_to:
        figures = {"bag": str(recorder.folder), "topics": counts, "invalid": recorder.num_invalid}
        write_json(figures, json_to)
    if not any(counts.values()):
        print("habilis: nothing came: is the robot's driver running in the same ROS domain?", file=sys.stderr)
        return 1
    return 0


def convert(invocation: Any) -> int:
    """Convert bags to one LeRobot dataset, an episode per bag.

    Raises:
        ValueError: Bad usage, a bag without what is needed, or a folder that exists.
        ImportError: pandas or pyarrow are not installed.
    """
    cfg = invocation.cfg
    bags = [Path(word) for word in invocation.words]
    if not bags or cfg.to is None:
        raise ValueError("say which bags and where to: habilis convert BAG ... to=FOLDER")
    if Path(cfg.to).exists():  # reading the bags takes a while
        raise ValueError(f"{cfg.to} exists; give a new folder for the dataset")
    _check_installed()
    robot: RobotInterface = invocation.instantiate(cfg.robot.interface)
    config: ConvertConfig = invocation.instantiate(cfg.convert)
    episodes = [episode_of(bag, robot, config) for bag in bags]
    names = {STATE: robot.joint_names, ACTION: robot.joint_names}
    write_dataset(Path(cfg.to), episodes, config.fps, names, robot.name)
    frames = sum(episode.length for episode in episodes)
    out = sys.stderr if invocation.json_to == "-" else sys.stdout
    print(f"{len(episodes)} episodes, {frames} frames at {config.fps} Hz: {cfg.to}", file=out)
    if invocation.json_to:
        figures = {"dataset": str(cfg.to), "episodes": len(episodes), "frames": frames, "fps": config.fps}
        write_json(figures, invocation.json_to)
    return 0


def _check_installed() -> None:
    import importlib.util

    missing = [name for name in ("pandas", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"habilis convert needs {' and '.join(missing)}: pip install 'habilis[convert]'")
