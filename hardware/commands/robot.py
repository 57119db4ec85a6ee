"""`habilis robot`: serve the simulated robot until interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from hardware.bus import Bus
from hardware.server.cameras import CameraServer
from hardware.server.robot_server import Pace, RobotServer
from policies.runs import write_json

_SWITCH_S: Final = 0.001  # a camera's thread must not hold up the control thread for long


@dataclass
class ServedRobot:
    """What assembly hands to the command: a served robot and, known to this process only, the truth.

    Attributes:
        bus: The node.
        server: The robot's server.
        cameras: Servers of its cameras.
        instruction: The task of the scene in words.
        truth: Judges the present state; JSON-able.
        parts: What is released by `close`, last built first.
    """

    bus: Bus
    server: RobotServer
    cameras: Sequence[CameraServer]
    instruction: str
    truth: Callable[[], Mapping[str, Any]]
    parts: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> ServedRobot:
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release everything."""
        self.parts.close()


def robot(invocation: Any) -> int:
    """Serve until Ctrl-C, SIGTERM or `seconds`; then say how the scene has ended up.

    The truth about the scene is told here, and nowhere on the wire.

    Raises:
        ValueError: Words besides `key=value`.
    """
    if invocation.words:
        raise ValueError(f"robot takes only key=value, got {invocation.words[0]!r}")
    cfg, cancel = invocation.cfg, threading.Event()
    sys.setswitchinterval(_SWITCH_S)
    before = {n: signal.signal(n, lambda *_: cancel.set()) for n in (signal.SIGINT, signal.SIGTERM)}
    out = sys.stderr if invocation.json_to == "-" else sys.stdout
    timer = threading.Timer(cfg.seconds, cancel.set) if cfg.seconds > 0 else None
    try:
        with invocation.build_robot(cfg) as served:
            print(_greeting(served), file=out, flush=True)
            if timer is not None:
                timer.start()
            pace = Pace(served.server.config.real_time_factor)
            served.server.run(cancel, pace)
            figures = _figures(served, pace)
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
    print(f"{figures['robot_seconds']:.1f} s of robot time; {figures['truth']['reason']}", file=out)
    if invocation.json_to:
        write_json(figures, invocation.json_to)
    return 0


def _greeting(served: ServedRobot) -> str:
    bus, server = served.bus, served.server
    where = f"domain {bus.config.domain_id}, interface {bus.config.interface or 'of the middleware'}"
    clock = "time is that of /clock" if server.config.sim_time else "time is the system's"
    told = f"\nin the scene: {served.instruction!r}" if served.instruction else ""
    return f"serving {server.interface.name} ({where}; {clock}); Ctrl-C ends it{told}"


def _figures(served: ServedRobot, pace: Pace) -> dict[str, Any]:
    return {
        "robot": served.server.interface.name,
        "instruction": served.instruction,
        "robot_seconds": round(served.server.robot.clock(), 3),
        "lost_seconds": round(pace.lost_s, 3),
        "refused": served.server.num_refused,
        "filtered": dict(served.server.robot.violations),
        "frames": sum(camera.num_frames for camera in served.cameras),
        "truth": dict(served.truth()),
    }
