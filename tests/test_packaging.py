"""The files that colcon and pip build the package from."""

import shutil
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_package_xml_is_valid():
    package = pytest.importorskip("catkin_pkg.package", reason="catkin-pkg is not installed")
    manifest = package.parse_package(str(ROOT / "package.xml"))  # checks it against format 3
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert manifest.name == project["name"]
    assert manifest.version == project["version"]
    assert manifest.description.startswith(project["description"])
    assert manifest.get_build_type() == "ament_python"
    assert manifest.licenses == ["Apache-2.0"]
    needed = {str(d) for d in manifest.exec_depends}
    assert {"rclpy", "launch_ros", "control_msgs", "sensor_msgs", "trajectory_msgs"} <= needed


def test_scripts_go_where_ros_looks_for_them():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["develop"]["script_dir"] == config["install"]["install_scripts"] == "$base/lib/habilis"


def test_what_goes_to_share_exists():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    files = dict(config["options.data_files"])
    assert files["share/ament_index/resource_index/packages"].endswith("/habilis")
    for patterns in files.values():
        for pattern in patterns.split():
            assert list(ROOT.glob(pattern)), f"setup.cfg: nothing is {pattern}"


def test_nobody_takes_the_name_of_launch():
    assert not (ROOT / "launch" / "__init__.py").exists()


@pytest.mark.long
@pytest.mark.skipif(shutil.which("colcon") is None, reason="colcon is not installed")
@pytest.mark.parametrize("how", [[], ["--symlink-install"]])
def test_colcon_builds_it(tmp_path: Path, how: list[str]):
    source = tmp_path / "src" / "habilis"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "tests", "docs", "*.egg-info"))
    words = ["colcon", "build", *how]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    prefix = tmp_path / "install" / "habilis"
    assert (prefix / "share" / "ament_index" / "resource_index" / "packages" / "habilis").exists()
    assert (prefix / "share" / "habilis" / "launch" / "policy.launch.py").exists()
    assert (prefix / "lib" / "habilis" / "habilis").exists()


@pytest.mark.long
def test_pip_builds_a_wheel(tmp_path: Path):
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    source = tmp_path / "habilis"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "tests", "docs", "*.egg-info"))
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    import zipfile

    with zipfile.ZipFile(source / "dist" / done.stdout.split()[-1]) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(n for n in names if n.endswith("METADATA"))).decode()
    assert "Requires-Python: >=3.11" in metadata or "Requires-Python: <3.14,>=3.11" in metadata
    assert "License: Apache-2.0" in metadata or "License-Expression: Apache-2.0" in metadata
    assert "configs/run.yaml" in names
    assert any(n.endswith("share/habilis/launch/policy.launch.py") for n in names)
