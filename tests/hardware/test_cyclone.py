import subprocess
import sys
from xml.etree import ElementTree

import pytest

from hardware.cyclone import choose_interface, configuration
from tests.hardware.processes import ROOT


def test_on_loopback_processes_ask_at_one_anothers_ports():
    found = ElementTree.fromstring(configuration("lo"))
    assert [e.get("name") for e in found.iter("NetworkInterface")] == ["lo"]
    assert [e.get("address") for e in found.iter("Peer")] == ["localhost"]
    assert found.findtext(".//AllowMulticast") == "false"


def test_peers_of_the_environment(monkeypatch):
    monkeypatch.setenv("ROS_STATIC_PEERS", "10.0.0.1;10.0.0.2")
    found = ElementTree.fromstring(configuration("192.168.1.5"))
    assert [e.get("address") for e in found.iter("NetworkInterface")] == ["192.168.1.5"]
    assert [e.get("address") for e in found.iter("Peer")] == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, configuration("lo")),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp", "CYCLONEDDS_URI": "mine"}, "mine"),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, None),
        ({}, None),
    ],
)
def test_rmw_is_told_where_nobody_has(before, after):
    environ = dict(before)
    choose_interface("lo", environ)
    assert environ.get("CYCLONEDDS_URI") == after


def test_it_is_printed_for_the_shell():
    command = [sys.executable, "-m", "hardware.cyclone", "lo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip() == configuration("lo"), done.stderr
