"""A ChArUco board: to print, and its corners found in images (OpenCV's aruco module)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import FloatArray, Transform

MIN_CORNERS: Final = 6
"""Fewer corners of the board in a view tell too little."""


@dataclass(frozen=True)
class BoardConfig:
    """What is printed.

    Attributes:
        squares_x: Squares along x.
        squares_y: Squares along y.
        square_m: Edge of a square [m]; measure the print.
        marker_m: Edge of a marker [m].
        dictionary: Name of the markers' dictionary in OpenCV.
    """

    squares_x: int = 7
    squares_y: int = 5
    square_m: float = 0.035
    marker_m: float = 0.026
    dictionary: str = "DICT_5X5_100"

    def __post_init__(self) -> None:
        """Refuse boards that can't be."""
        if not (self.squares_x >= 3 and self.squares_y >= 3):
            raise ValueError("a board needs at least 3 x 3 squares")
        if not 0 < self.marker_m < self.square_m:
            raise ValueError("a board needs 0 < marker_m < square_m")


@dataclass(frozen=True, eq=False)
class View:
    """The board in one image.

    Attributes:
        uv_px: Corners in the image [px], (n, 2).
        p_board: The same corners on the board [m], (n, 3), z = 0.
        size: Width and height of the image [px].
    """

    uv_px: FloatArray
    p_board: FloatArray
    size: tuple[int, int]


class Board:
    """A board, printed or in images.

    Raises:
        ValueError: OpenCV has no such dictionary.
    """

    def __init__(self, config: BoardConfig | None = None) -> None:
        """See the class."""
        import cv2

        self.config = config = config or BoardConfig()
        if not hasattr(cv2.aruco, config.dictionary):
            raise ValueError(f"OpenCV has no dictionary {config.dictionary!r}; one is DICT_5X5_100")
        markers = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, config.dictionary))
        size = (config.squares_x, config.squares_y)
        self._board: Any = cv2.aruco.CharucoBoard(size, config.square_m, config.marker_m, markers)
        self._detector: Any = cv2.aruco.CharucoDetector(self._board)

    def image(self, px_per_m: float = 11_811.0) -> NDArray[np.uint8]:
        """Return the picture to print, (H, W) uint8; the default is 300 dots per inch."""
        width = round(self.config.squares_x * self.config.square_m * px_per_m)
        height = round(self.config.squares_y * self.config.square_m * px_per_m)
        return np.asarray(self._board.generateImage((width, height)), dtype=np.uint8)

    def find(self, image: NDArray[np.uint8]) -> View | None:
        """Find the board's corners.

        Args:
            image: (H, W) or (H, W, 3), RGB.

        Returns:
            None if fewer than `MIN_CORNERS` are seen, or all lie on one line.
        """
        import cv2

        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        corners, ids, _, _ = self._detector.detectBoard(gray)
        if ids is None or len(ids) < MIN_CORNERS or self._board.checkCharucoCornersCollinear(ids):
            return None
        points, pixels = self._board.matchImagePoints(corners, ids)
        height, width = gray.shape
        return View(
            np.asarray(pixels, dtype=np.float64).reshape(-1, 2),
            np.asarray(points, dtype=np.float64).reshape(-1, 3),
            (width, height),
        )


def board_pose(view: View, matrix: FloatArray, distortion: FloatArray | None = None) -> Transform:
    """Return where the board is, `T_camera_board`, from one view.

    Args:
        view: The board in an image.
        matrix: Camera matrix [px], (3, 3).
        distortion: OpenCV's coefficients, none if None.

    Raises:
        ValueError: The pose can't be told from these corners.
    """
    import cv2

    coefficients = np.zeros(5) if distortion is None else distortion
    found, turn, shift = cv2.solvePnP(view.p_board, view.uv_px, matrix, coefficients, flags=cv2.SOLVEPNP_IPPE)
    if not found:
        raise ValueError("the board's pose cannot be told from this view")
    turn, shift = cv2.solvePnPRefineLM(view.p_board, view.uv_px, matrix, coefficients, turn, shift)
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(turn)[0]
    pose[:3, 3] = np.asarray(shift).ravel()
    return Transform(pose, "camera", "board")
