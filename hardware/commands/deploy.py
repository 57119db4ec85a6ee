"""`habilis deploy`: a policy on a robot."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware.bus import Bus
from hardware.nodes.signals import ended_by_signals, undisturbed
from hardware.runner.policy_runner import PolicyRunner
from hardware.safety.guard import Guard

_LOG = logging.getLogger("habilis.deploy")
_SWITCH_S = 0.0005  # no other thread may hold up the control loop for long
_FAULTS = ("fault", "estop")


@dataclass(frozen=True)
class Deployed:
    """A policy on a robot, put together.

    Attributes:
        bus: The node.
        guard: The robot's state machine.
        runner: The loop.
        dry_run: Whether commands go to shadow topics only.
        parts: What is closed at the end, in the right order.
    """

    bus: Bus
    guard: Guard
    runner: PolicyRunner
    dry_run: bool
    parts: ExitStack

    def __enter__(self) -> Deployed:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the robot and leave."""
        with undisturbed():
            self.parts.close()


def deploy(invocation: Any) -> int:
    """Run a policy on a robot until it is interrupted, its time is over, or a fault ends it.

    Returns:
        0 if it ended without a fault, 1 if a fault or an e-stop was latched at the end.

    Raises:
        ValueError: Bad usage: policy, robot and settings do not fit.
        ConnectionError: The robot is not there.
    """
    cfg = invocation.cfg
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    if invocation.words:
        raise ValueError(f"habilis deploy takes key=value only, not {invocation.words[0]!r}")
    if cfg.policy is None:
        raise ValueError("name the policy: policy=FILE.onnx")
    with (
        invocation.build_deployment(cfg, _is_confirmed(cfg)) as deployed,
        _stopped_by_signals(deployed.runner),
    ):
        _LOG.info("%s", _greeting(cfg, deployed))
        broken = _watch(deployed.bus)
        figures: dict[str, Any] = {**deployed.runner.run(lambda: broken[0] if broken else None)}
        mode, reason = deployed.guard.mode, deployed.guard.reason
        state = deployed.runner.state()
    figures |= {"mode": str(mode), "reason": reason, "dry_run": deployed.dry_run}
    figures["joint_pos"] = dict(zip(state.joint_names, state.joint_pos.tolist(), strict=True))
    if invocation.json_to == "-":
        print(json.dumps(figures))
    elif invocation.json_to:
        Path(invocation.json_to).write_text(json.dumps(figures) + "\n", encoding="utf-8")
    _LOG.info(
        "%d control ticks, %d overruns, %d policy steps, %d late actions; tick p50 %.2f ms, p99 %.2f ms",
        *(figures[k] for k in ("ticks", "overruns", "policy_steps", "late_actions")),
        *(figures[k] for k in ("tick_ms_p50", "tick_ms_p99")),
    )
    if mode in _FAULTS:
        print(f"habilis: {mode}: {reason}", file=sys.stderr)
        return 1
    return 0


def _is_confirmed(cfg: Any) -> bool:
    """Whether a person said that the robot may move: by `confirm`, or now, at a terminal."""
    name = cfg.robot.name
    if cfg.confirm:
        if cfg.confirm != name:
            raise ValueError(f"confirm is {cfg.confirm!r}; to let the robot move say confirm={name}")
        return True
    may_ask = cfg.dry_run is False and cfg.robot.interface.get("is_real", True) and sys.stdin.isatty()
    if not may_ask:
        return False
    print(
        f"{name} will move. Look at it, keep the e-stop at hand, and type its name: ", end="", file=sys.stderr
    )
    return sys.stdin.readline().strip() == name


def _greeting(cfg: Any, deployed: Deployed) -> str:
    node = f"{cfg.bus.namespace.rstrip('/')}/{cfg.bus.node_name}"
    if deployed.dry_run:
        how = f"dry run, commands on shadow/ only; confirm={cfg.robot.name} lets it move"
    else:
        how = f"services {node}/arm, disarm, reset, confirm; topic {node}/estop"
    return f"{cfg.policy} on {cfg.robot.name}: {how}"


def _watch(bus: Bus) -> list[BaseException]:
    """Spin the bus on a thread; what it raises ends up in the list."""
    broken: list[BaseException] = []

    def spin() -> None:
        try:
            bus.spin()
        except BaseException as error:  # raised again by the control loop, which stops the robot
            broken.append(error)

    threading.Thread(target=spin, name="bus", daemon=True).start()
    return broken


def _stopped_by_signals(runner: PolicyRunner) -> AbstractContextManager[None]:
    """End the loop, and so stop the robot, at SIGINT, SIGTERM and SIGHUP; a second SIGINT interrupts."""

    def stop(_number: int) -> None:
        runner.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return ended_by_signals(stop)
