"""The page of a joint check shows every joint and what is wrong."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `ros`)")

from hardware.calibration.joints import check_joints
from hardware.calibration.report import write_joint_report

_SPEC = importlib.util.spec_from_file_location("joints_of_tests", Path(__file__).parent / "test_joints.py")
assert _SPEC is not None and _SPEC.loader is not None
_JOINTS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_JOINTS)


def test_the_page_says_what_is_wrong(tmp_path: Path):
    report = check_joints(_JOINTS.Wired(signs=(1, -1, 1)), twin=_JOINTS.Wired())
    page = write_joint_report(report, tmp_path).read_text()
    assert "not passed" in page and "turn its sign" in page and "Offsets were not checked" in page
    assert page.count("<tr") == 1 + 3
    assert (tmp_path / "joints.png").read_bytes()[:4] == b"\x89PNG"
