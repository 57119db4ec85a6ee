"""Artifacts of a trace as files: images as JPEG or PNG, depth as 16-bit PNG [mm], masks as PNG."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception_tools.artifacts import Artifact
from vlm_agent.rendering import jsonable

DEPTH_UNIT_M = 0.001


def encode(artifact: Artifact, image_format: str, jpeg_quality: int) -> tuple[str, bytes] | None:
    """Return (suffix, bytes) of an image, depth or mask; None for kinds that have no picture."""
    import cv2

    fast_png = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if artifact.kind == "image":
        bgr = np.ascontiguousarray(artifact.data[..., ::-1])
        parameters = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if image_format == "jpg" else fast_png
        return f".{image_format}", cv2.imencode(f".{image_format}", bgr, parameters)[1].tobytes()
    if artifact.kind == "depth":
        depth_mm = np.clip(np.rint(artifact.data / DEPTH_UNIT_M), 0, 65535).astype(np.uint16)
        return ".png", cv2.imencode(".png", depth_mm, fast_png)[1].tobytes()
    if artifact.kind == "mask":
        return ".png", cv2.imencode(".png", np.where(artifact.data, 255, 0).astype(np.uint8), fast_png)[
            1
        ].tobytes()
    return None


def describe(artifact: Artifact) -> dict[str, Any]:
    """Return the fields of an artifact event, without the file's path."""
    pose = artifact.T_world_camera
    return {
        "name": artifact.name,
        "kind": artifact.kind,
        "label": artifact.label,
        "frame": artifact.frame,
        "stamp_s": artifact.stamp_s,
        "epoch": artifact.epoch,
        "intrinsics": jsonable(artifact.intrinsics),
        "T_world_camera": None if pose is None else pose.matrix.tolist(),
        "tool": artifact.tool,
        "call_id": artifact.call_id,
        "parents": list(artifact.parents),
        "meta": jsonable(artifact.meta),
        "data": jsonable(artifact.data),
    }
