"""Make the pictures of docs/habilis_spatial.md: rows of each level, and one scene under every condition.

MUJOCO_GL=egl python docs/make_spatial_rows_images.py
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from perception_tools.run_lengths import decode_mask  # noqa: E402
from sim.spatial.conditions import CONDITIONS, DEPTHS, NOMINAL  # noqa: E402
from sim.spatial.world import SpatialConfig, SpatialWorld, family_name  # noqa: E402

TILE = (420, 315)
ROWS = (
    (7_000_011, "relation_object"),
    (7_000_000, "grasp_point"),
    (7_000_028, "occlusion"),
    (7_000_020, "free_point"),
    (7_000_009, "free_point"),
    (7_000_019, "free_point"),
)
SMALL = (315, 236)
SCENE = 7_000_028  # of level hard
FAR_M = 1.6


def main() -> None:
    """Write the pictures."""
    world = SpatialWorld()
    write("habilis_spatial.jpg", [tile(world, seed, kind) for seed, kind in ROWS], columns=3)
    write("habilis_spatial_conditions.jpg", list(changed(world)), columns=4)
    world.close()


def write(name: str, tiles: list[Any], columns: int) -> None:
    """Write tiles as a sheet."""
    rows = [np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)]
    path = str(ROOT / "docs/images" / name)
    cv2.imwrite(path, np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def changed(world: SpatialWorld) -> Iterator[Any]:
    """Yield one scene under each condition, and its depth without and with holes."""
    for condition in CONDITIONS:
        if condition in DEPTHS:
            continue
        frame = world.frame(SCENE, family_name("count", condition))
        yield captioned(cv2.resize(frame.rgb, SMALL, interpolation=cv2.INTER_AREA), condition, "")
    for condition in (NOMINAL, *DEPTHS):
        depth_m = world.frame(SCENE, family_name("count", condition)).depth_m
        near = np.clip(255 * (1 - depth_m / FAR_M), 0, 255).astype(np.uint8)
        shown = cv2.applyColorMap(near, cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
        shown[depth_m == 0] = 0
        words = condition if condition in DEPTHS else f"{condition}: depth, black is invalid"
        yield captioned(cv2.resize(shown, SMALL, interpolation=cv2.INTER_NEAREST), words, "")


def tile(world: SpatialWorld, seed: int, kind: str) -> Any:
    """Return the picture of a row, what is right marked, with the question below."""
    kinds = SpatialWorld(SpatialConfig(kinds=(kind,)))
    row = next((r for r in kinds.scene_rows(seed)), None)
    if row is None:
        raise SystemExit(f"scene {seed} has no clear question of kind {kind}; choose another")
    image = world.frame(seed, kind).rgb.copy()
    answer = str(row["answer"])
    if row["answer_type"] == "point":
        size = (image.shape[1], image.shape[0])
        mask = (
            cv2.resize(decode_mask(row["answer"]).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        )
        image[mask] = (0.45 * image[mask] + 0.55 * np.array([20, 220, 60])).astype(np.uint8)
        answer = "a point in the green"
    words = row["question"].split(" Answer with one point")[0]
    return captioned(
        cv2.resize(image, TILE, interpolation=cv2.INTER_AREA), f"{row['level']}: {words}", answer
    )


def captioned(image: Any, words: str, answer: str) -> Any:
    """Put words and answer below a picture."""
    strip = np.full((92 if answer else 26, image.shape[1], 3), 255, np.uint8)
    lines = textwrap.wrap(words, 62)
    for k, line in enumerate(lines[:4]):
        cv2.putText(
            strip, line, (8, 17 + 17 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 1, cv2.LINE_AA
        )
    place = (8, 17 + 17 * len(lines))
    cv2.putText(strip, answer, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 110, 40), 1, cv2.LINE_AA)
    return np.vstack([image, strip, np.full((6, image.shape[1], 3), 255, np.uint8)])


if __name__ == "__main__":
    main()
