"""`BatchEnv` keeps its contract over every task: on CPU threads, and on MuJoCo Warp."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.env import BatchEnv, EnvConfig, compile_scene
from sim.batch.physics import PhysicsConfig
from sim.tasks.registry import TASKS, make_task
from tests.contracts.env_suite import EnvSuite, actions


@pytest.mark.parametrize("name", sorted(TASKS))
class TestBatchEnv(EnvSuite):
    """Every task, on CPU threads."""


class OnWarp(EnvSuite):
    """On Warp's CPU device, whose kernels are those of a GPU.

    Contacts of all environments share one list. Their order, and so the last bits of sums over many
    contacts, depends on the others.
    """

    physics = PhysicsConfig(backend="warp", device="cpu")
    tolerance = 1e-4

    @pytest.fixture(autouse=True)
    def _needs_warp(self):
        pytest.importorskip("mujoco_warp", reason="mujoco-warp is missing: pip install 'habilis[train]'")
        if self.physics.device.startswith("cuda") and not torch.cuda.is_available():
            pytest.skip("no NVIDIA GPU")


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


@pytest.mark.parametrize("name", sorted(TASKS))
def test_model_compiled_elsewhere_behaves_the_same(name, tmp_path):
    """A task binds to the model of another instance of it, without building a scene of its own."""
    config = EnvConfig(2, fault_dir=str(tmp_path))
    given = BatchEnv(make_task(name, preset="randomised"), config, compile_scene(make_task(name)))
    own = BatchEnv(make_task(name, preset="randomised"), config)
    a, b = given.reset(seed=1), own.reset(seed=1)
    for action in actions(given, 4):
        assert all(torch.equal(a[k], b[k]) for k in a)
        (a, a_reward, *_), (b, b_reward, *_) = given.step(action), own.step(action)
        assert torch.equal(a_reward, b_reward)


def test_state_of_another_task_is_refused(tmp_path):
    reach, push = (
        BatchEnv(make_task(name), EnvConfig(2, fault_dir=str(tmp_path))) for name in ("reach", "push")
    )
    reach.save_state(tmp_path / "state.npz")
    with pytest.raises(ValueError, match="is a state of task reach, not of task push"):
        push.load_state(tmp_path / "state.npz")
