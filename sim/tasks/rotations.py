"""Rotations of many environments: unit quat_wxyz as tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def quat_mul(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of quat_wxyz, (..., 4)."""
    a, b = torch.broadcast_tensors(a, b)
    w, v, u, x = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    scalar = w * u - (v * x).sum(-1, keepdim=True)
    return torch.cat((scalar, w * x + u * v + torch.linalg.cross(v, x)), -1)


def quat_conjugate(q: Tensor) -> Tensor:
    """Return the inverses of unit quat_wxyz, (..., 4)."""
    return torch.cat((q[..., :1], -q[..., 1:]), -1)


def quat_rotate(q: Tensor, v: Tensor) -> Tensor:
    """Return vectors (..., 3) turned by unit quat_wxyz (..., 4)."""
    q, v = torch.broadcast_tensors(q, torch.nn.functional.pad(v, (1, 0)))
    u = q[..., 1:]
    t = 2.0 * torch.linalg.cross(u, v[..., 1:])
    return v[..., 1:] + q[..., :1] * t + torch.linalg.cross(u, t)


def angle_of(q: Tensor) -> Tensor:
    """Return the angle of unit quat_wxyz (..., 4) [rad], (..., 1), in [0, pi]."""
    return 2.0 * torch.atan2(torch.linalg.vector_norm(q[..., 1:], dim=-1, keepdim=True), q[..., :1].abs())


def rotation_vector(q: Tensor) -> Tensor:
    """Return the rotation vectors of unit quat_wxyz (..., 4) [rad], (..., 3), at most pi long."""
    axis = torch.nn.functional.normalize(q[..., 1:], dim=-1, eps=1e-9)
    return torch.where(q[..., :1] < 0.0, -axis, axis) * angle_of(q)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Return the angle of the rotation between unit quat_wxyz [rad], (..., 4) to (...), in [0, pi]."""
    # 2 atan2(|a - b|, |a + b|) is half the angle, exact near 0 where the arc cosine is not.
    near, far = torch.linalg.vector_norm(a - b, dim=-1), torch.linalg.vector_norm(a + b, dim=-1)
    return 4.0 * torch.atan2(torch.minimum(near, far), torch.maximum(near, far))
