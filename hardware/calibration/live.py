"""Views of a board from a camera on the bus, taken by themselves while a person moves board or hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hardware.bus import SENSOR, Bus, Message
from hardware.calibration.board import Board, View, board_pose
from hardware.ros.images import rgb_from
from perception_tools.geometry import FloatArray, Transform

_REST_PX: Final = 1.0
_NEW_SHARE: Final = 0.05


class Pictures:
    """The newest picture of a topic.

    Args:
        bus: The node; the caller starts it.
        topic: `sensor_msgs/msg/Image`.
    """

    def __init__(self, bus: Bus, topic: str) -> None:
        """See the class."""
        self._fresh = threading.Condition()
        self._image: NDArray[np.uint8] | None = None
        self._subscription = bus.subscribe(
            "sensor_msgs/msg/Image", topic, self._take, SENSOR, group="pictures"
        )

    def _take(self, message: Message, info: Any) -> None:
        with self._fresh:
            self._image = rgb_from(message)
            self._fresh.notify_all()

    def next(self, timeout_s: float = 5.0) -> NDArray[np.uint8]:
        """Wait for the next picture, (H, W, 3).

        Raises:
            TimeoutError: None came in time [s].
        """
        with self._fresh:
            self._image = None
            if not self._fresh.wait_for(lambda: self._image is not None, timeout_s):
                raise TimeoutError(f"no picture on {self._subscription.topic} within {timeout_s:g} s")
            assert self._image is not None
            return self._image

    def close(self) -> None:
        """End; idempotent."""
        self._subscription.close()


@dataclass(frozen=True, eq=False)
class HandView:
    """The board in an image and where the hand was: `T_base_ee`, `T_camera_board`."""

    T_base_ee: Transform
    T_camera_board: Transform


def collect_views(
    next_image: Callable[[], NDArray[np.uint8]],
    board: Board,
    count: int,
    tell: Callable[[str], None],
    timeout_s: float = 300.0,
) -> list[View]:
    """Take views in which the board rests, each another than all before.

    Args:
        next_image: Returns the next picture, (H, W, 3).
        board: The board.
        count: How many.
        tell: Told of each view.
        timeout_s: Longest wait in all [s].

    Raises:
        TimeoutError: Not enough views in time; says how many there are.
    """
    taken: list[View] = []
    last: View | None = None
    end_s = time.monotonic() + timeout_s
    while len(taken) < count:
        if time.monotonic() > end_s:
            raise TimeoutError(f"{len(taken)} of {count} views of the board within {timeout_s:g} s")
        view = board.find(next_image())
        if view is not None and last is not None and _rests(view, last) and _is_new(view, taken):
            taken.append(view)
            tell(f"view {len(taken)} of {count}: {len(view.uv_px)} corners")
        last = view
    return taken


def collect_hand_views(
    next_image: Callable[[], NDArray[np.uint8]],
    hand_pose: Callable[[], Transform],
    board: Board,
    matrix: FloatArray,
    count: int,
    tell: Callable[[str], None],
    distortion: FloatArray | None = None,
    timeout_s: float = 600.0,
) -> list[HandView]:
    """Take views in which the board rests in the picture, with the hand's pose at each.

    Args:
        next_image: Returns the next picture, (H, W, 3).
        hand_pose: Returns `T_base_ee` now.
        board: The board.
        matrix: Camera matrix [px], (3, 3).
        count: How many.
        tell: Told of each view.
        distortion: OpenCV's coefficients, none if None.
        timeout_s: Longest wait in all [s].

    Raises:
        TimeoutError: Not enough views in time; says how many there are.
    """
    poses: list[HandView] = []
    views: list[View] = []
    last: View | None = None
    end_s = time.monotonic() + timeout_s
    while len(poses) < count:
        if time.monotonic() > end_s:
            raise TimeoutError(f"{len(poses)} of {count} views of the board within {timeout_s:g} s")
        before = hand_pose()
        view = board.find(next_image())
        after = hand_pose()
        stands = np.abs(before.matrix - after.matrix).max() < 1e-3
        if view is not None and last is not None and stands and _rests(view, last) and _is_new(view, views):
            views.append(view)
            poses.append(HandView(after, board_pose(view, matrix, distortion)))
            tell(f"view {len(poses)} of {count}; now move and turn the hand")
        last = view
    return poses


def _rests(view: View, last: View) -> bool:
    """Return whether the board is where it was in the picture before."""
    distance = _distance_px(view, last)
    return distance is not None and distance < _REST_PX


def _is_new(view: View, taken: list[View]) -> bool:
    """Return whether the board has moved by a share of the picture's width against every view before."""
    least = _NEW_SHARE * view.size[0]
    return all((d := _distance_px(view, other)) is None or d > least for other in taken)


def _distance_px(a: View, b: View) -> float | None:
    """Return how far the corners that both show have moved, on average; None if there are none."""
    places = {tuple(np.round(p, 6)): uv for p, uv in zip(b.p_board, b.uv_px, strict=True)}
    moved = [
        uv - places[key]
        for p, uv in zip(a.p_board, a.uv_px, strict=True)
        if (key := tuple(np.round(p, 6))) in places
    ]
    return float(np.linalg.norm(moved, axis=1).mean()) if moved else None
