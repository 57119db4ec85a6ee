"""WarpPhysics: the contract on Warp's CPU device, and what it refuses. Kernels compile once: a minute."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import pytest

from sim.batch.physics import PhysicsConfig
from tests.contracts.physics_suite import PhysicsSuite, model  # noqa: F401 (a fixture)

pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")


class TestWarpPhysics(PhysicsSuite):
    config = PhysicsConfig(backend="warp", device="cpu")
    forward_atol = 2e-5
