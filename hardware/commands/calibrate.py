"""`habilis calibrate`: joints, a camera's intrinsics, where a camera is, and the board to print."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.bus import Bus
from hardware.calibration.board import Board
from hardware.calibration.hand_eye import HandEyeResult, solve_hand_eye
from hardware.calibration.intrinsics import IntrinsicsResult, calibrate_intrinsics
from hardware.calibration.joints import (
    certificate_path,
    check_joints,
    fingerprint,
    require_certificate,
    save_certificate,
)
from hardware.calibration.live import Pictures, collect_hand_views, collect_views
from hardware.interface import RobotInterface
from hardware.nodes.signals import ENDING, ended_by_signals, interrupt, undisturbed
from hardware.safety.guard import Guard
from perception_tools.geometry import FloatArray, Transform
from policies.robot import Robot, RobotStopped
from policies.runs import write_json

CHECKS = ("joints", "intrinsics", "hand_eye", "board")


@dataclass(frozen=True)
class CalibratedRobot:
    """What assembly hands to the command.

    Attributes:
        bus: The node, started.
        guard: The robot's state machine; disarmed.
        robot: The robot behind its safety filter.
        twin: The simulated robot behind its own, None where there is no model.
        interface: The robot as data.
        forward: Pose of the hand in the base for joint positions, None where there is no model.
        parts: What is closed at the end.
    """

    bus: Bus
    guard: Guard
    robot: Robot
    twin: Robot | None
    interface: RobotInterface
    forward: Callable[[FloatArray], Transform] | None
    parts: ExitStack

    def __enter__(self) -> CalibratedRobot:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the robot and leave."""
        with undisturbed():
            self.parts.close()


def wiring(interface: RobotInterface) -> str:
    """Return the fingerprint of what a joint check is valid for."""
    joints = interface.joints
    return fingerprint(
        {
            "names": joints.names,
            "driver_names": joints.on_wire,
            "signs": joints.sign.tolist(),
            "offsets": joints.offset.tolist(),
            "states": interface.state_topics,
            "channels": [(c.kind, c.topic, c.joint_names) for c in interface.channels],
        }
    )


def require_checked(interface: RobotInterface, folder: Path) -> None:
    """Refuse a robot whose joints were not checked as it is wired now.

    Raises:
        ValueError: Says what to do.
    """
    require_certificate(certificate_path(folder, interface.name), interface.name, wiring(interface))


def calibrate(invocation: Any) -> int:
    """Calibrate what `check` says.

    Returns:
        0 if it is good, 1 if something is wrong.

    Raises:
        ValueError: Bad usage, or too little was seen; says what to do.
        TimeoutError: No pictures, or not enough views in time.
    """
    cfg = invocation.cfg
    if invocation.words:
        raise ValueError(f"habilis calibrate takes key=value only, not {invocation.words[0]!r}")
    if cfg.check not in CHECKS:
        raise ValueError(f"check is {cfg.check!r}; there are: {', '.join(CHECKS)}")
    run = {"joints": _joints, "intrinsics": _intrinsics, "hand_eye": _hand_eye, "board": _print_board}
    others = tuple(number for number in ENDING if number != signal.SIGINT)
    with ended_by_signals(interrupt, others):  # they would end it without stopping the robot
        figures, is_good = run[cfg.check](invocation, cfg)
    if invocation.json_to:
        write_json(figures, invocation.json_to)
    return 0 if is_good else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _folder(cfg: Any) -> Path:
    folder = Path(cfg.calibration_dir) / str(cfg.robot.name).replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _joints(invocation: Any, cfg: Any) -> tuple[dict[str, Any], bool]:
    from hardware.calibration.report import write_joint_report

    with invocation.build_calibration(cfg) as found:
        refused = found.guard.arm()
        if refused:
            raise ValueError(f"{cfg.robot.name} may not move: {refused}; say confirm={cfg.robot.name}")
        while found.guard.may_move and found.guard.speed_scale() < 1:
            time.sleep(0.02)  # steps are judged at full speed
        try:
            report = check_joints(
                found.robot,
                invocation.instantiate(cfg.joints),
                twin=found.twin,
                fingerprint=wiring(found.interface),
                tell=_tell,
            )
        except RobotStopped as error:
            raise RuntimeError(f"{cfg.robot.name} was stopped: {found.guard.reason or error}") from error
    save_certificate(report, certificate_path(Path(cfg.calibration_dir), found.interface.name))
    page = write_joint_report(report, _folder(cfg))
    for verdict in report.verdicts:
        _tell(f"{verdict.name}: {'; '.join(verdict.problems) or 'good'}")
    _tell(f"{'passed' if report.passed else 'not passed'}; {page}")
    joints = [{k: _plain(v) for k, v in asdict(verdict).items()} for verdict in report.verdicts]
    figures = {"robot": report.robot, "passed": report.passed, "report": str(page), "joints": joints}
    return figures, report.passed


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _intrinsics(invocation: Any, cfg: Any) -> tuple[dict[str, Any], bool]:
    board = Board(invocation.instantiate(cfg.board))
    if cfg.images is not None:
        views = [view for image in _read_images(Path(cfg.images)) if (view := board.find(image)) is not None]
    else:
        bus = invocation.open_bus(cfg)
        try:
            pictures = Pictures(bus, cfg.image_topic)
            bus.start()
            _tell(
                f"show the board on {cfg.image_topic}, in all corners and tilted; {cfg.views} views are taken"
            )
            views = collect_views(pictures.next, board, cfg.views, _tell, cfg.timeout_s)
        finally:
            bus.close()
    result = calibrate_intrinsics(views)
    figures = _intrinsics_figures(result)
    path = _folder(cfg) / f"{cfg.camera}_intrinsics.json"
    write_json(figures, str(path))
    _tell(
        f"fx {result.matrix[0, 0]:.2f}, fy {result.matrix[1, 1]:.2f}, cx {result.matrix[0, 2]:.2f}, "
        f"cy {result.matrix[1, 2]:.2f} px; error {result.rms_px:.2f} px over {len(views)} views; {path}"
    )
    if result.rms_px > cfg.max_error_px:
        _tell(f"the error is above {cfg.max_error_px:g} px: is the board flat, and square_m measured?")
    return figures, result.rms_px <= cfg.max_error_px


def _intrinsics_figures(result: IntrinsicsResult) -> dict[str, Any]:
    return {
        "matrix": result.matrix.tolist(),
        "distortion": result.distortion.tolist(),
        "deviations_px": result.deviations.tolist(),
        "rms_px": result.rms_px,
        "per_view_px": list(result.per_view_px),
        "coverage": result.coverage,
        "size": list(result.size),
    }


def _read_images(folder: Path) -> list[Any]:
    from PIL import Image

    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not paths:
        raise ValueError(f"{folder} has no .png or .jpg pictures")
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def _hand_eye(invocation: Any, cfg: Any) -> tuple[dict[str, Any], bool]:
    import json

    board = Board(invocation.instantiate(cfg.board))
    path = _folder(cfg) / f"{cfg.camera}_intrinsics.json"
    if not path.exists():
        raise ValueError(
            f"{path} is not there; run first: habilis calibrate check=intrinsics camera={cfg.camera}"
        )
    known = json.loads(path.read_text())
    matrix, distortion = np.array(known["matrix"]), np.array(known["distortion"])
    with invocation.build_calibration(cfg) as found:
        forward = found.forward
        if forward is None:
            raise ValueError(f"{cfg.robot.name} has no model, so nobody knows where its hand is")
        pictures = Pictures(found.bus, cfg.image_topic)
        _tell(f"move and turn the hand by hand; {cfg.views} views are taken while it rests")
        views = collect_hand_views(
            pictures.next,
            lambda: forward(found.robot.state().joint_pos),
            board,
            matrix,
            cfg.views,
            _tell,
            distortion,
            cfg.timeout_s,
        )
    poses = [view.T_base_ee for view in views]
    result = solve_hand_eye(poses, [view.T_camera_board for view in views], cfg.mounting)
    figures = _hand_eye_figures(result)
    path = _folder(cfg) / f"{cfg.camera}_hand_eye.json"
    write_json(figures, str(path))
    _tell(
        f"{figures['parent']} to camera {np.round(result.T_parent_camera.position_m, 4).tolist()} m, "
        f"left-out poses {result.left_out_m * 1000:.1f} mm, {np.degrees(result.left_out_rad):.2f} deg; {path}"
    )
    return figures, result.left_out_m <= cfg.max_error_m


def _hand_eye_figures(result: HandEyeResult) -> dict[str, Any]:
    T = result.T_parent_camera
    return {
        "mounting": result.mounting,
        "parent": T.parent,
        "position_m": T.position_m.tolist(),
        "quat_wxyz": T.quat_wxyz.tolist(),
        "error_m": result.error_m,
        "error_rad": result.error_rad,
        "left_out_m": result.left_out_m,
        "left_out_rad": result.left_out_rad,
    }


def _print_board(invocation: Any, cfg: Any) -> tuple[dict[str, Any], bool]:
    from PIL import Image

    board = Board(invocation.instantiate(cfg.board))
    path = Path(cfg.calibration_dir) / "board.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(board.image()).save(path, dpi=(300, 300))
    _tell(f"print {path} at 300 dpi without scaling, glue it to something flat, and measure a square")
    return {"board": str(path)}, True
