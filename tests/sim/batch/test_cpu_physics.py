"""CpuPhysics: the contract, equality with plain MuJoCo, and the same results on any number of threads."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from sim.batch.cpu import CpuPhysics
from sim.batch.physics import CapacityError, PhysicsConfig, make_physics
from tests.contracts.physics_suite import PhysicsSuite, controls, model  # noqa: F401 (a fixture)


class TestCpuPhysics(PhysicsSuite):
    config = PhysicsConfig(backend="cpu", num_threads=2)


def test_equals_a_loop_of_mj_step(model):  # noqa: F811
    physics, actions = CpuPhysics(model, 2, PhysicsConfig(num_threads=2)), controls(50, 2)
    sim = [mujoco.MjData(model) for _ in range(2)]
    for ctrl in actions:
        physics.step(ctrl, 3)
        for env, data in enumerate(sim):
            data.ctrl[:] = ctrl[env].numpy()
            mujoco.mj_step(model, data, nstep=3)
    for env, data in enumerate(sim):
        assert np.array_equal(physics.field("qpos")[env].numpy(), data.qpos.astype(np.float32))
        assert np.array_equal(physics.field("qvel")[env].numpy(), data.qvel.astype(np.float32))


def test_is_bit_identical_on_one_and_two_threads(model):  # noqa: F811
    runs = []
    for threads in (1, 2):
        physics = CpuPhysics(model, 16, PhysicsConfig(num_threads=threads))
        for k, ctrl in enumerate(controls(60, 16)):
            physics.step(ctrl, 2)
            if k == 30:
                physics.reset(torch.tensor([3, 4, 9]), {})
        runs.append(physics.save()["state"])
        physics.close()
    assert np.array_equal(runs[0], runs[1])


def test_a_saved_state_is_of_double_precision(model):  # noqa: F811
    """Loading restores the exact state, not the float32 that tensors show."""
    physics = CpuPhysics(model, 2, PhysicsConfig())
    for ctrl in controls(20, 2):
        physics.step(ctrl, 2)
    saved = physics.save()
    other = CpuPhysics(model, 2, PhysicsConfig())
    other.load(saved)
    for p in (physics, other):
        for ctrl in controls(100, 2, seed=1):
            p.step(ctrl, 2)
    assert np.array_equal(physics.save()["state"], other.save()["state"])


def test_a_control_that_is_no_number_is_a_fault(model):  # noqa: F811
    physics = CpuPhysics(model, 2, PhysicsConfig())
    physics.step(torch.tensor([[0.1], [float("nan")]]), 1)
    assert physics.faults().tolist() == [False, True]


def test_a_diverged_env_leaves_no_log_in_the_working_folder(model, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    physics = CpuPhysics(model, 2, PhysicsConfig())
    physics.step(torch.full((2, 1), float("nan")), 1)
    assert physics.faults().all()
    assert not list(Path(tmp_path).iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_threads": -1}, "num_threads is -1; use 0 for all cores"),
        ({"njmax": 9}, "nconmax and njmax are for sim=warp; sim=cpu takes num_threads"),
        ({"device": "cuda:0"}, "sim=cpu computes on device cpu, not 'cuda:0'; use sim=warp for a GPU"),
        ({"backend": "isaac"}, "backend is 'isaac'; input should be 'cpu' or 'warp'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, change, message):  # noqa: F811
    with pytest.raises(ValueError, match=message) as error:
        make_physics(model, 2, replace(PhysicsConfig(), **change))
    assert "\n" not in str(error.value)


def test_contacts_that_do_not_fit_are_an_error():
    """MuJoCo only warns: it drops the constraints, and the boxes sink into the plane."""
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1.0, 1.0, 1.0])
    for k in range(30):
        body = spec.worldbody.add_body(pos=[0.1 * (k % 6), 0.1 * (k // 6), 0.02])
        body.add_freejoint()
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02, 0.02, 0.02])
    for memory, is_enough in ((120_000, False), (1_000_000, True)):
        spec.memory = memory
        physics = CpuPhysics(spec.compile(), 3, PhysicsConfig())
        physics.step(torch.zeros(3, 0), 1)
        if not is_enough:
            with pytest.raises(CapacityError, match="of 3 simulations did not fit into 120000 bytes"):
                physics.faults()
        assert not physics.faults().any()
        physics.close()
