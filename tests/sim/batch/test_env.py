"""`BatchEnv` on CPU threads: the contract over every task."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

from sim.tasks.registry import TASKS
from tests.contracts.env_suite import EnvSuite


@pytest.mark.parametrize("name", sorted(TASKS))
class TestBatchEnv(EnvSuite):
    """Every task, on CPU threads."""
