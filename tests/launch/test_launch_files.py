"""The launch files: their arguments, and that the commands they start take what they are told.

They run against stand-ins for ROS 2's `launch` packages, and against the real ones where those are.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import habilis
from tests.launch import ros_stand_in

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
COMMON = {"robot", "namespace", "use_sim_time", "params_file", "tf_prefix"}
DRIVERS = {"use_mock_hardware", "robot_ip", "controllers_file"}


@pytest.fixture(autouse=True)
def _ros(monkeypatch: pytest.MonkeyPatch) -> None:
    ros_stand_in.install(monkeypatch)


def _description(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.name.replace(".", "_"), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def _run(path: Path, **arguments: str) -> list[Any]:
    """Execute a launch file as `ros2 launch` would; return what it starts."""
    context = ros_stand_in.Context(dict(arguments))
    return [action for entity in _description(path).entities for action in entity.execute(context)]


def _file(name: str) -> Path:
    return ROOT / "launch" / f"{name}.launch.py"


def test_all_that_are_promised_are_there():
    names = {path.name.removesuffix(".launch.py") for path in FILES}
    assert names == {"sim", "arm", "hand", "policy", "planner", "calibrate"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_arguments_are_the_usual_ones_and_described(path: Path):
    declared = [e for e in _description(path).entities if isinstance(e, ros_stand_in.DeclareLaunchArgument)]
    names = [argument.name for argument in declared]
    assert len(set(names)) == len(names)
    assert set(names) >= COMMON
    if path.name in ("arm.launch.py", "hand.launch.py"):
        assert set(names) >= DRIVERS
    for argument in declared:
        assert argument.description and argument.description.endswith(".")
        assert argument.default_value is not None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sim", {"robot": "fr3", "seed": "7"}),
        ("arm", {"robot": "fr3", "use_mock_hardware": "true"}),
        ("hand", {"robot": "allegro", "use_mock_hardware": "true"}),
        ("policy", {"robot": "allegro", "policy": "turn.onnx", "dry_run": "false"}),
        ("planner", {"robot": "fr3", "model": "scripted"}),
        ("calibrate", {"robot": "fr3", "check": "joints"}),
    ],
)
def test_what_they_start_takes_its_arguments(name: str, arguments: dict[str, str]):
    (node,) = _run(_file(name), namespace="/left", use_sim_time="true", tf_prefix="left_", **arguments)
    assert (node.package, node.executable, node.namespace) == ("habilis", "habilis", "/left")
    command, *words = node.arguments
    cfg = habilis.compose(habilis.COMMANDS[command].config, words)
    assert cfg.transport == "ros"
    assert cfg.robot.interface.joints.prefix == "left_"
    assert {"use_sim_time": True} in list(node.parameters)


def test_nodes_take_what_ros_adds():
    (node,) = _run(_file("policy"), robot="allegro", policy="turn.onnx", namespace="/left")
    argv = [*node.arguments, "--ros-args", "-r", "__node:=policy", "-r", "__ns:=/left"]
    argv += ["-p", "use_sim_time:=true", "--params-file", str(ROOT / "launch" / "config" / "params.yaml")]
    shown = subprocess.run(
        [sys.executable, "habilis.py", *argv, "--cfg", "job"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    # The command's own options stand before ROS's.
    assert shown.returncode == 2
    argv = [*node.arguments, "--cfg", "job", *argv[len(node.arguments) :]]
    shown = subprocess.run(
        [sys.executable, "habilis.py", *argv], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stderr
    assert "namespace: /left" in shown.stdout
    assert "node_name: policy" in shown.stdout
    assert "use_sim_time: true" in shown.stdout


def test_arms_have_their_vendors_drivers():
    (included,) = _run(_file("arm"), robot="ur5e", robot_ip="192.168.1.5", tf_prefix="left_")
    path = included.launch_description_source.location
    assert next(iter(path.substitutions)).package == "ur_robot_driver"
    told = dict(included.launch_arguments)
    assert told["robot_ip"] == "192.168.1.5" and told["tf_prefix"] == "left_" and told["ur_type"] == "ur5e"


@pytest.mark.ros
@pytest.mark.skipif(shutil.which("ros2") is None, reason="ros2 is not installed")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_ros_shows_their_arguments(path: Path):
    shown = subprocess.run(
        ["ros2", "launch", str(path), "--show-args"], capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stderr
    assert "'robot'" in shown.stdout
