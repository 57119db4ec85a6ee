"""Odd masks and boxes end in an answer or in a `ToolError`, never in anything else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from perception_tools.boxes import Box3D
from perception_tools.tool import ToolError
from tests.perception_tools.test_registry import make_bench

SHAPES = ("", "box", "cylinder", "sphere", "bowl", "mug", "tray", "object")


@pytest.fixture(scope="module")
def bench():
    return make_bench()


def odd_mask(rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros((480, 640), np.uint8)
    u, v = int(rng.integers(640)), int(rng.integers(480))
    kind = rng.integers(3)
    if kind == 0:
        cv2.circle(mask, (u, v), int(rng.integers(1, 60)), 1, -1)
    elif kind == 1:
        cv2.line(mask, (u, v), (int(rng.integers(640)), int(rng.integers(480))), 1, int(rng.integers(1, 6)))
    else:
        mask[rng.random(mask.shape) < 0.002] = 1
    return mask.astype(bool)


@pytest.mark.parametrize("seed", range(12))
def test_odd_masks(bench, seed):
    rng = np.random.default_rng(seed)
    image = bench.ctx.workspace.get("image_1")
    fields = {"frame": image.frame, "intrinsics": image.intrinsics, "T_world_camera": image.T_world_camera}
    meta = {"shape": str(rng.choice(SHAPES))}
    mask = bench.ctx.put("mask", odd_mask(rng), parents=("image_1",), meta=meta, **fields).name
    for name in ("grasp", "bbox_3d"):
        try:
            value = bench.tools[name](bench.ctx, mask=mask)
        except ToolError as error:
            assert error.reason in ("no_grasp", "no_depth")
        else:
            assert value is not None


@pytest.mark.parametrize("seed", range(12))
def test_odd_boxes(bench, seed):
    rng = np.random.default_rng(seed)
    center = rng.uniform([-0.2, -0.8, -0.05], [1.2, 0.8, 0.3])
    size = np.abs(rng.normal(0, 0.08, 3)) * (rng.random(3) > 0.2)
    box = Box3D(center, size, float(rng.uniform(-4, 4)), is_degenerate=bool(seed % 5 == 0))
    pose = bench.ctx.workspace.get("image_1").T_world_camera
    meta = {"shape": str(rng.choice(SHAPES))}
    name = bench.ctx.put("box", box, frame="world", T_world_camera=pose, meta=meta).name
    for relation in ("left_of", "behind", "above", "below", "on", "inside", "next_to"):
        found = bench.tools["relation"](bench.ctx, a=name, b="box_1", relation=relation)
        assert 0.5 <= found.confidence <= 1 and found.holds == (found.margin_m > 0)
    for relation in ("inside", "on", "left_of", "behind", "next_to"):
        try:
            output = bench.tools["free_space"](bench.ctx, relation=relation, image="image_1", reference=name)
        except ToolError as error:
            assert error.reason == "no_space"
        else:
            assert np.isfinite(output.value.position_m).all()
    bench.tools["draw"](bench.ctx, image="image_1", boxes=[name])
