"""Record a run as one H.264 video: scene and wrist views, captions, and what the tools saw.

The recorder is fed by the simulated robot's listener (`SimRobot.add_listener`) while it moves, and
by `show` while it does not: a tool's overlay (masks, grasps) is held on screen for a moment, so
that a person can follow perception although simulation time stands still.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

RgbImage = NDArray[np.uint8]

_INK, _FAINT, _PAPER, _ACCENT = (236, 239, 244), (148, 158, 172), (22, 26, 33), (240, 180, 70)


@dataclass(frozen=True)
class VideoConfig:
    """How runs are recorded.

    Attributes:
        enabled: Whether to record at all.
        fps: Frames per second, of robot time too; 1 / fps must be a multiple of the physics step.
        hold_s: How long a tool's picture stays on screen [s].
        crf: H.264 quality, lower is better (18 to 30 is sensible).
    """

    enabled: bool = True
    fps: int = 10
    hold_s: float = 1.2
    crf: int = 24


class VideoRecorder:
    """Compose and encode frames; thread-safe, closing twice is harmless.

    Views and clock may wait for the physics lock, which a listener holds when it calls `frame`: they
    are asked before the recorder's own lock is taken.

    The picture is 1280 x 720: the scene (or a tool's overlay) at the left, 960 x 720; the wrist
    view, 320 x 240, and captions at the right.
    """

    WIDTH, HEIGHT, SIDE = 1280, 720, 320

    def __init__(
        self,
        path: Path,
        scene: Callable[[], RgbImage],
        wrist: Callable[[], RgbImage] | None = None,
        config: VideoConfig | None = None,
    ) -> None:
        """Open the file.

        Args:
            path: Where the .mp4 goes.
            scene: Renders the scene view, any size, uint8 RGB.
            wrist: Renders the wrist view, any size, uint8 RGB.
            config: Settings.

        Raises:
            OSError: The file can't be written.
        """
        import av

        self.path = path
        self.config = config or VideoConfig()
        self._render = (scene, wrist)
        self._lock = threading.RLock()
        self._title, self._note, self._status = "", "", ""
        self._clock: Callable[[], float] = lambda: 0.0
        self._count = 0
        path.open("wb").close()  # the encoder opens it late; say at once if it can't be written
        self._container: Any = av.open(str(path), "w", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=self.config.fps)
        self._stream.width, self._stream.height = self.WIDTH, self.HEIGHT
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, self.config.fps)
        self._stream.options = {"crf": str(self.config.crf), "preset": "veryfast"}
        self._last: tuple[RgbImage, RgbImage | None] | None = None
        self._seen: tuple[RgbImage, str] | None = None

    @property
    def time_s(self) -> float:
        """Length of the video so far [s]: where the next frame will be."""
        return self._count / self.config.fps

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Print this clock [s] (the robot's) on every frame."""
        self._clock = clock

    def caption(
        self, *, title: str | None = None, note: str | None = None, status: str | None = None
    ) -> None:
        """Set the captions at the right: the instruction, the planner's thought, the call under way."""
        with self._lock:
            self._title = self._title if title is None else title
            self._note = self._note if note is None else note
            self._status = self._status if status is None else status

    def frame(self) -> None:
        """Add one frame of the present views; the robot's listener calls it every 1 / fps of its time."""
        if self._container is None:
            return
        scene, wrist = self._render
        views, time_s = (scene(), wrist() if wrist else None), self._clock()
        with self._lock:
            if self._container is None:
                return
            self._last = views
            self._write(self._compose(*views, time_s))

    def show(self, rgb: RgbImage, label: str = "", seconds: float | None = None) -> None:
        """Hold a picture (uint8 RGB, any size) in place of the scene for some video time [s]."""
        if self._container is None:
            return
        time_s = self._clock()
        with self._lock:
            if self._container is None:
                return
            wrist = self._last[1] if self._last else None
            self._seen = None
            picture = self._compose(rgb, wrist, time_s, label)
            for _ in range(max(1, round((seconds or self.config.hold_s) * self.config.fps))):
                self._write(picture)
            self._seen = (rgb, label)

    def close(self) -> None:
        """Finish the file; idempotent."""
        with self._lock:
            if self._container is None:
                return
            container, self._container = self._container, None
            for packet in self._stream.encode():
                container.mux(packet)
            container.close()

    def _write(self, picture: RgbImage) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = self._count
        self._count += 1
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _compose(self, scene: RgbImage, wrist: RgbImage | None, time_s: float, label: str = "") -> RgbImage:
        canvas = Image.new("RGB", (self.WIDTH, self.HEIGHT), _PAPER)
        _paste(canvas, scene, (0, 0, self.WIDTH - self.SIDE, self.HEIGHT))
        x = self.WIDTH - self.SIDE
        if wrist is not None:
            _paste(canvas, wrist, (x, 0, self.WIDTH, 240))
        draw = ImageDraw.Draw(canvas)
        if wrist is not None:
            draw.text(
                (x + 10, 8), "wrist camera", font=_font(14), fill=_INK, stroke_width=2, stroke_fill=_PAPER
            )
        if label:
            box = draw.textbbox((0, 0), label, font=_font(20))
            draw.rectangle((0, self.HEIGHT - 40, box[2] + 28, self.HEIGHT), fill=_PAPER)
            draw.text((14, self.HEIGHT - 33), label, font=_font(20), fill=_ACCENT)
        y = 262 if wrist is not None else 24
        more = 0 if wrist is not None else 8
        for text, size, ink, lines in (
            (f"“{self._title}”" if self._title else "", 20, _INK, 4),
            (self._note, 16, _FAINT, 4 + more),
            (self._status, 15, _ACCENT, 3),
        ):
            y = _paragraph(draw, text, (x + 16, y), self.SIDE - 32, _font(size), ink, lines) + 10
        if self._seen is not None:
            _paste(canvas, self._seen[0], (x + 16, 474, self.WIDTH - 16, 690))
            _tag(draw, (x + 20, 478), f"last seen: {self._seen[1]}")
        draw.text((x + 16, self.HEIGHT - 30), f"robot time {time_s:.1f} s", font=_font(15), fill=_FAINT)
        return np.asarray(canvas)


def _paste(canvas: Image.Image, rgb: RgbImage, box: tuple[int, int, int, int]) -> None:
    """Fit a picture into a box, keeping its proportions."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR)
    canvas.paste(picture, (box[0] + (width - size[0]) // 2, box[1] + (height - size[1]) // 2))


_FONTS: dict[int, Any] = {}


def _font(size: int) -> Any:
    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)
    return _FONTS[size]


def _tag(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str) -> None:
    draw.text(at, text, font=_font(13), fill=_INK, stroke_width=2, stroke_fill=_PAPER)


def _paragraph(
    draw: ImageDraw.ImageDraw,
    text: str,
    at: tuple[int, int],
    width: int,
    font: Any,
    ink: tuple[int, int, int],
    most: int,
) -> int:
    """Write wrapped text, at most `most` lines; return the y below it [px]."""
    lines: list[str] = []
    for line in text.splitlines():
        lines.append("")
        for word in line.split():
            longer = f"{lines[-1]} {word}".lstrip()
            if lines[-1] and draw.textlength(longer, font=font) > width:
                lines.append(word)
            else:
                lines[-1] = longer
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    y = at[1]
    for line in lines:
        draw.text((at[0], y), line, font=font, fill=ink)
        y += int(font.size * 1.35)
    return y
