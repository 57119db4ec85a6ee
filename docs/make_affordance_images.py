"""Make docs/images/affordance.jpg: what the affordance encoder finds in pictures and in clouds.

MUJOCO_GL=egl .venv/bin/python docs/make_affordance_images.py [ENCODER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perception_tools.affordance import encoder_of
from perception_tools.affordance_state import ToolState
from perception_tools.geometry import FloatArray
from sim.clouds import CloudsConfig, ToolCloud, ToolClouds
from sim.clouds_render import table_picture
from sim.clouds_tools import Split
from sim.clouds_views import CORRUPTIONS

TO = Path(__file__).resolve().parent / "images" / "affordance.jpg"
TILE = (400, 300)
FOUND, TRUE, POINT = (240, 60, 200), (70, 220, 90), (150, 190, 230)
FIRST = 3_600_000_000
SHOWN: tuple[tuple[Split, int], ...] = (
    ("train", 3), ("train", 4), ("train", 5), ("new_sizes", 0), ("new_sizes", 1), ("new_sizes", 2),
)  # fmt: skip


def mark(draw: ImageDraw.ImageDraw, state: ToolState, cloud: ToolCloud, pixel: Any) -> None:
    """Draw true tips as crosses, and those that are found as circles with the approach."""
    for p in (cloud.p_left, cloud.p_right):
        u, v = pixel(p)
        draw.line([(u - 5, v), (u + 5, v)], TRUE, 2), draw.line([(u, v - 5), (u, v + 5)], TRUE, 2)
    for p in state.p_tips:
        u, v = pixel(p)
        draw.ellipse([u - 6, v - 6, u + 6, v + 6], outline=FOUND, width=2)
    ends = [pixel(state.p_tip - s * state.approach) for s in (0.0, 0.06)]
    draw.line([tuple(e) for e in ends], FOUND, 2)


def caption(draw: ImageDraw.ImageDraw, title: str, state: ToolState, cloud: ToolCloud) -> None:
    """Write what is shown and what was found."""
    opening, sd, true = (1e3 * x for x in (state.opening_m, state.opening_sd_m, cloud.opening_m))
    found, font = (
        f"{state.kind}, open {opening:.1f} ± {sd:.1f} mm (true {true:.1f})",
        ImageFont.load_default(14),
    )
    for k, text in enumerate((title, found)):
        draw.text((8, 5 + 18 * k), text, "white", font, stroke_width=1, stroke_fill="black")


def picture_tile(clouds: ToolClouds, encoder: Any, split: Split, index: int) -> Image.Image:
    """Return a rendered tool on a table with what is found in its cloud."""
    shot = table_picture(clouds, index, split)
    state, frame = encoder.estimate(shot.truth.points), shot.frame
    assert frame.T_world_camera is not None
    T_camera_world, scale = frame.T_world_camera.inverse(), TILE[0] / frame.rgb.shape[1]
    image = Image.fromarray(frame.rgb).resize(TILE, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    mark(draw, state, shot.truth, lambda p: scale * frame.intrinsics.project(T_camera_world @ p))
    caption(draw, "camera, " + ("trained tool" if split == "train" else "new sizes"), state, shot.truth)
    return image


def cloud_tile(clouds: ToolClouds, encoder: Any, name: str, index: int) -> Image.Image:
    """Return a synthetic cloud, seen across its opening, with what is found in it."""
    cloud = clouds.cloud(FIRST + index, "new_sizes", CORRUPTIONS[name])
    state = encoder.estimate(cloud.points)
    plane = np.stack([cloud.approach, cloud.across])
    flat = cloud.points @ plane.T
    low, high = np.quantile(flat, [0.03, 0.97], axis=0)
    middle, size = (low + high) / 2, 1.35 * max(high[0] - low[0], 1.4 * (high[1] - low[1]))

    def pixel(p: FloatArray) -> FloatArray:
        return np.array(TILE) / 2 + (plane @ p - middle) * TILE[0] / size

    image = Image.new("RGB", TILE, (22, 26, 33))
    draw = ImageDraw.Draw(image)
    for p in cloud.points:
        u, v = pixel(p)
        draw.ellipse([u - 1, v - 1, u + 1, v + 1], fill=POINT)
    mark(draw, state, cloud, pixel)
    caption(draw, f"{name}, new sizes", state, cloud)
    return image


def main() -> None:
    """Make the sheet."""
    encoder = encoder_of(sys.argv[1] if len(sys.argv) > 1 else "pointnet")
    clouds = ToolClouds(CloudsConfig(others=0.0))
    tiles = [picture_tile(clouds, encoder, split, index) for split, index in SHOWN]
    tiles += [cloud_tile(clouds, encoder, name, k) for k, name in enumerate(CORRUPTIONS)]
    sheet = Image.new("RGB", (3 * TILE[0], len(tiles) // 3 * TILE[1]))
    for k, tile in enumerate(tiles):
        sheet.paste(tile, (k % 3 * TILE[0], k // 3 * TILE[1]))
    sheet.save(TO, quality=85, optimize=True)


if __name__ == "__main__":
    main()
