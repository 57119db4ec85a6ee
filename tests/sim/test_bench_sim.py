"""Simulation throughput: what is measured beside what, and memory."""

from __future__ import annotations

import importlib.util
import sys

import mujoco
import numpy as np
import pytest
import torch

from sim import bench_memory, bench_others
from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.bench_sim import BenchSimConfig, machine, run_bench, table
from sim.tasks.registry import make_task

WARP = PhysicsConfig(backend="warp", device="cpu")


def needs_mjlab():
    if importlib.util.find_spec("mjlab") is None:
        pytest.skip("the package mjlab is not installed")
    mjlab, why = bench_others.import_mjlab()
    if mjlab is None:
        pytest.skip(why)
    return mjlab


# ---- rows ---------------------------------------------------------------------------------------


def test_memory_of_a_second_batch_is_not_less():
    # Resident memory of one process would show next to nothing for the second.
    config = BenchSimConfig(envs=("reach",), num_envs=(256, 256), steps=1, others=False)
    first, second = (row["mb_per_env"] for row in run_bench(config))
    assert first > 0.02 and second == pytest.approx(first, rel=0.3)


def test_unmeasured_columns_are_null_and_not_shown():
    config = BenchSimConfig(envs=("reach",), num_envs=(2,), steps=1, others=False, memory=False)
    rows = run_bench(config)
    assert rows[0]["mb_per_env"] is None and rows[0]["ratio_to_mjlab"] is None
    heads = [str(column.header) for column in table(rows).columns]
    assert heads == ["env", "envs", "steps/s", "/raw"]


@pytest.mark.parametrize("change", [{"camera_parts": ("colour",)}, {"camera_parts": ()}, {"memory": 1}])
def test_bad_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        BenchSimConfig(**change)


def test_memory_counts_the_batch_alone():
    # What _measure takes for one environment more is far less than the libraries around it.
    assert bench_memory.used_mb("cpu") > 100
    assert bench_memory.memory_per_env("reach", 8, PhysicsConfig()) < 20


# ---- Warp ---------------------------------------------------------------------------------------


def test_warp_rows_have_a_ratio_to_bare_steps_and_frames():
    pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    config = BenchSimConfig(
        envs=("reach",), num_envs=(3,), steps=2, physics=WARP, others=False, memory=False, camera=(16, 12)
    )
    (row,) = run_bench(config)
    assert row["backend"] == "warp" and row["ratio_to_raw"] > 0 and row["camera_frames_per_s"] > 0
    facts = machine(config)
    assert facts["mujoco_warp"] and facts["mjlab"].startswith("mjlab ")


# ---- mjlab --------------------------------------------------------------------------------------


def test_without_mjlab_a_line_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "mjlab", None)
    monkeypatch.delitem(sys.modules, "mjlab.sim", raising=False)
    module, why = bench_others.import_mjlab()
    assert module is None and why.startswith("mjlab ") and "\n" not in why


def test_options_reach_mjlab_unchanged():
    """mjlab writes its own options over the model's; the words it is given must mean the same."""

    class Words:
        @staticmethod
        def MujocoCfg(**values):
            return values

    spec = make_task("reach").scene()
    words = bench_others._options(Words, spec.compile())
    assert words["integrator"] == "implicitfast" and words["cone"] == "elliptic"
    assert words["jacobian"] == "dense" and words["solver"] == "newton"
    assert words["impratio"] == spec.option.impratio and words["gravity"] == tuple(spec.option.gravity)


def test_mjlab_steps_the_same_physics():
    pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    mjlab = needs_mjlab()
    env = BatchEnv(make_task("reach"), EnvConfig(num_envs=2, physics=WARP))
    generator = torch.Generator().manual_seed(0)
    beside = bench_others.MjlabSteps(mjlab, env)
    option, own = beside._sim.mj_model.opt, env.physics.model.opt
    for name in ("timestep", "integrator", "cone", "jacobian", "solver", "impratio", "tolerance"):
        assert getattr(option, name) == getattr(own, name), name
    for _ in range(3):
        action = torch.rand(2, env.num_actions, generator=generator) * 2.0 - 1.0
        beside.prepare()
        env.step(action)
        beside.step()
        np.testing.assert_allclose(beside._sim.data.qpos.numpy(), env.physics.field("qpos"), atol=1e-5)
    assert isinstance(beside._sim.mj_model, mujoco.MjModel)
