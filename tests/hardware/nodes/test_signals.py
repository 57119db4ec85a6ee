import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from hardware.commands.calibrate import CalibratedRobot
from hardware.commands.deploy import Deployed
from hardware.nodes.signals import ENDING, ended_by_signals, interrupt
from tests.hardware.processes import ROOT


@pytest.mark.parametrize("number", ENDING)
def test_each_ends_in_order(number):
    before, heard = signal.getsignal(number), []
    with ended_by_signals(heard.append):
        os.kill(os.getpid(), number)
    assert heard == [number]
    assert signal.getsignal(number) == before


def test_as_ctrl_c():
    with pytest.raises(KeyboardInterrupt), ended_by_signals(interrupt, (signal.SIGTERM,)):
        os.kill(os.getpid(), signal.SIGTERM)


def test_nohup_holds():
    code = (
        "import os, signal; from hardware.nodes.signals import ended_by_signals; "
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with ended_by_signals(lambda number: print('ended')):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["ended"] and done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("kind", ["deploy", "calibrate"])
def test_impatience_does_not_keep_a_robot_from_being_stopped(number, kind):
    """A second signal comes while the parts are closed, the robot first, then the bus that it brakes over."""
    done, parts = [], ExitStack()
    parts.callback(lambda: done.append("bus closed"))

    def brake():
        os.kill(os.getpid(), number)
        done.append("robot at rest")

    parts.callback(brake)
    nothing: Any = None
    held = Deployed(nothing, nothing, nothing, False, parts)
    if kind == "calibrate":
        held = CalibratedRobot(nothing, nothing, nothing, None, nothing, None, parts)
    with ended_by_signals(interrupt, ENDING[1:]), held:
        pass
    assert done == ["robot at rest", "bus closed"]
