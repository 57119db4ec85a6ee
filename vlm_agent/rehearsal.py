"""A rehearsal on a drawn picture, before a robot is listened to.

The first question costs more than the later ones: modules are imported, the grammar is built, and Python
collects all garbage of the start. Each holds the interpreter for up to 0.15 s on an idle machine, in which
the threads that hear the robot do not run: the watchdog of a real robot, 0.1 s, takes that for silence and
latches a stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from perception_tools.geometry import Intrinsics
from perception_tools.picture_camera import PictureCamera
from policies.real_time import settle

QUESTIONS = (
    "is the red block to the left of the blue block?",
    "how wide is the gap between the red block and the blue block?",
)


def drawn_picture() -> PictureCamera:
    """Return a picture of a red and a blue block of 6 cm on a table, 320 by 240, taken from 0.8 m above."""
    size, table_m, block_m = (240, 320), 0.8, 0.06
    rgb = np.full((*size, 3), 150, np.uint8)
    depth_m = np.full(size, table_m, np.float32)
    intrinsics = Intrinsics.from_fovy(0.8, size[1], size[0])
    half = round(intrinsics.fx * block_m / 2 / (table_m - block_m))
    for u, color in ((110, (200, 30, 30)), (210, (30, 60, 200))):
        block = np.s_[120 - half : 120 + half, u - half : u + half]
        rgb[block], depth_m[block] = color, table_m - block_m
    return PictureCamera(rgb, depth_m, intrinsics)


def rehearse(open_session: Callable[[PictureCamera], Any]) -> tuple[str, ...]:
    """Put the planner before the drawn picture once, and set aside what the start left for the collector.

    Args:
        open_session: Returns a `vlm_agent.session.PictureSession` for a camera.

    Returns:
        How each question ended (`RunResult.outcome`); none of them matters to what follows.
    """
    with open_session(drawn_picture()) as session:
        outcomes = tuple(session.run(question).outcome for question in QUESTIONS)
    settle()
    return outcomes
