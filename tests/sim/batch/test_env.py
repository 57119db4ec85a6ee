"""`BatchEnv` keeps its contract over every task: on CPU threads, and on MuJoCo Warp."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.tasks.registry import TASKS, make_task
from tests.contracts.env_suite import EnvSuite


@pytest.mark.parametrize("name", sorted(TASKS))
class TestBatchEnv(EnvSuite):
    """Every task, on CPU threads."""


class OnWarp(EnvSuite):
    """On Warp's CPU device, whose kernels are those of a GPU."""

    physics = PhysicsConfig(backend="warp", device="cpu")

    @pytest.fixture(autouse=True)
    def _needs_warp(self):
        pytest.importorskip("mujoco_warp", reason="mujoco-warp is missing: pip install 'habilis[train]'")


@pytest.mark.parametrize("name", ["reach"])
class TestWarpEnv(OnWarp):
    """One task, in `make test`."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TASKS.keys() - {"reach"}))
class TestWarpEnvOfAllTasks(OnWarp):
    """The others."""


@pytest.mark.gpu
@pytest.mark.parametrize("name", sorted(TASKS))
class TestGpuEnv(OnWarp):
    """Every task, on a GPU, where sums are added up in any order."""

    physics = PhysicsConfig(backend="warp", device="cuda:0")
    tolerance = 1e-3


def test_state_of_another_task_is_refused(tmp_path):
    reach, push = (
        BatchEnv(make_task(name), EnvConfig(2, fault_dir=str(tmp_path))) for name in ("reach", "push")
    )
    reach.save_state(tmp_path / "state.npz")
    with pytest.raises(ValueError, match="is a state of task reach, not of task push"):
        push.load_state(tmp_path / "state.npz")
