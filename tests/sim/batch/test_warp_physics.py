"""WarpPhysics: the contract on Warp's CPU device, and what it refuses. Kernels compile once: a minute."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import mujoco
import pytest
import torch

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import CapacityError, PhysicsConfig, UnsupportedFeatureError, make_physics
from sim.tasks.registry import make_task
from tests.contracts.physics_suite import SCENE, N, PhysicsSuite, controls, model  # noqa: F401 (a fixture)

mjw = pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
wp = pytest.importorskip("warp", reason="the package warp-lang is not installed")

CONFIG = PhysicsConfig(backend="warp", device="cpu")
ONE_BODY = """
<mujoco>
  <option {option}/>
  <worldbody>
    <geom type="plane" size="1 1 0.1"/>
    <body pos="0 0 1">
      <joint name="j" type="slide" axis="0 0 1"/>
      <geom type="sphere" size="0.1" {geom}/>
    </body>
  </worldbody>
  <actuator>{actuator}</actuator>
  <sensor>{sensor}</sensor>
</mujoco>
"""


def one_body(**parts: str) -> mujoco.MjModel:
    named = dict.fromkeys(("option", "geom", "actuator", "sensor"), "") | parts
    return mujoco.MjModel.from_xml_string(ONE_BODY.format(**named))


class TestWarpPhysics(PhysicsSuite):
    config = CONFIG
    forward_atol = 2e-5


@pytest.mark.gpu
class TestWarpPhysicsOnGpu(PhysicsSuite):
    config = replace(CONFIG, device="cuda:0")
    forward_atol = 2e-5
    same_atol = resume_atol = 1e-4

    @pytest.fixture(autouse=True)
    def _needs_a_gpu(self):
        if not torch.cuda.is_available():
            pytest.skip("needs an NVIDIA GPU")


def test_a_recorded_step_equals_plain_steps(model):  # noqa: F811
    """The graph of second and first halves does what `mujoco_warp.step` does."""
    physics, actions = make_physics(model, N, CONFIG), controls(20)
    m, d = mjw.put_model(model), mjw.put_data(model, mujoco.MjData(model), nworld=N, njmax=99)
    for ctrl in actions:
        physics.step(ctrl, 3)
        wp.to_torch(d.ctrl).copy_(ctrl)
        for _ in range(3):
            mjw.step(m, d)
    assert torch.allclose(physics.field("qpos"), wp.to_torch(d.qpos), rtol=0, atol=1e-6)
    assert torch.allclose(physics.field("qvel"), wp.to_torch(d.qvel), rtol=0, atol=1e-5)


def test_the_bare_simulator_goes_the_same_way(model):  # noqa: F811
    physics, actions = make_physics(model, N, CONFIG), controls(10)
    physics.step(actions[0], 2)
    given = {"ctrl": actions[0]}
    bare = physics.bare(lambda: given["ctrl"], 2)
    bare.prepare()
    for ctrl in actions:
        given["ctrl"] = ctrl
        bare.step()
        physics.step(ctrl, 2)
    end = wp.to_torch(bare._data.qpos)
    assert torch.allclose(physics.field("qpos"), end, rtol=0, atol=1e-6)


def test_an_environment_resumes_from_a_file(tmp_path):
    """The same observations and rewards after a save and a load, though other steps lie between."""
    env = BatchEnv(make_task("reach", preset="randomised"), EnvConfig(num_envs=2, physics=CONFIG))
    actions = torch.rand(12, 2, env.num_actions, generator=torch.Generator().manual_seed(0)) * 2 - 1
    env.step(actions[0])
    env.save_state(tmp_path / "state.npz")
    ends = []
    for _ in range(2):
        env.load_state(tmp_path / "state.npz")
        out = [env.step(action) for action in actions]
        ends.append((out[-1][0]["observation"].clone(), torch.stack([o[1] for o in out])))
        env.reset()
    assert torch.equal(ends[0][0], ends[1][0])
    assert torch.equal(ends[0][1], ends[1][1])
    env.close()


def test_tensors_are_warps_own_memory(model):  # noqa: F811
    physics = make_physics(model, N, CONFIG)
    for name in ("qpos", "ctrl", "xpos", "xmat", "sensordata"):
        assert physics.field(name).data_ptr() == getattr(physics._d, name).ptr, name


def test_kernels_go_where_they_are_told(tmp_path):
    """In a process of its own, since Warp's cache is the process's."""
    code = (
        "import warp as wp\n"
        "from sim.batch.physics import PhysicsConfig\n"
        "from sim.batch.warp_support import start_warp\n"
        f"config = PhysicsConfig(backend='warp', kernel_cache_dir={str(tmp_path / 'kernels')!r})\n"
        "start_warp(config), start_warp(config)\n"
        "from sim.batch.warp_kernels import clear_columns\n"
        "wp.launch(clear_columns, (1, 1), [wp.zeros(1, dtype=int)], [wp.zeros((1, 1), dtype=float)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list((tmp_path / "kernels").rglob("*warp_kernels*"))


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"option": 'integrator="RK4"'}, "RK4"),
        ({"option": 'solver="PGS"'}, "mjSOL_PGS"),
        ({"option": 'actuatorgroupdisable="2"', "actuator": '<motor joint="j" group="2"/>'}, "groups .2."),
        ({"actuator": '<general joint="j" dyntype="user" actdim="1"/>'}, "dyntype user"),
        ({"actuator": '<general joint="j" gaintype="user"/>'}, "gaintype user"),
        ({"actuator": '<general joint="j" biastype="user"/>'}, "biastype user"),
        ({"sensor": '<user dim="1"/>'}, "type user"),
        ({"sensor": '<jointpos joint="j" delay="0.01" nsample="5"/>'}, "delays"),
        ({"geom": 'friction="0 0 0"'}, r"friction\[0\] .* may cause NaN"),
    ],
)
def test_what_warp_does_not_simulate_is_refused_by_name(parts, named):
    with pytest.raises(UnsupportedFeatureError, match=rf"^sim=warp[^\n]*{named}[^\n]*$"):
        make_physics(one_body(**parts), 1, CONFIG)


def test_a_missing_package_is_named(model, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "mujoco_warp", None)
    for name in [n for n in sys.modules if n.startswith("sim.batch.warp")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ValueError, match=r"^sim=warp needs the package mujoco_warp[^\n]*$"):
        make_physics(model, 1, CONFIG)


def test_sleeping_is_refused():
    spec = mujoco.MjSpec.from_string(SCENE)
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
    with pytest.raises(UnsupportedFeatureError, match="sleeping"):
        make_physics(spec.compile(), 1, CONFIG)


def test_fields_that_warp_shares_cannot_differ(model):  # noqa: F811
    physics = make_physics(model, N, CONFIG)
    condim = physics.model_field("geom_condim")
    with pytest.raises(UnsupportedFeatureError, match="shares 'geom_condim' between all simulations"):
        physics.write_model(torch.arange(N), {"geom_condim": condim})
    armature = physics.model_field("actuator_armature") + 0.1
    with pytest.raises(UnsupportedFeatureError, match="cannot change 'actuator_armature' from or to zero"):
        physics.write_model(torch.arange(N), {"actuator_armature": armature})


@pytest.mark.parametrize("name", ["contact", "eq_active", "nefc", "efc_J"])
def test_data_that_has_another_form_is_not_a_field(model, name):  # noqa: F811
    physics = make_physics(model, N, CONFIG)
    with pytest.raises(ValueError, match=f"^'{name}' [^\n]*$"):
        physics.field(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "cuda:7"}, "sim=warp has no device 'cuda:7' here, only "),
        ({"num_threads": 2}, "num_threads is for sim=cpu"),
        ({"njmax": -1}, "njmax is -1; use 0 for an estimate or a positive number"),
        ({"nconmax": -5}, "nconmax is -5; use 0 for an estimate or a positive number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, change, message):  # noqa: F811
    with pytest.raises(ValueError, match=message) as error:
        make_physics(model, 2, replace(CONFIG, **change))
    assert "\n" not in str(error.value)


def test_large_dense_matrices_are_stored_sparsely():
    """Warp has dense ones up to 60 degrees of freedom; the caller's model is left as it is."""
    from sim.batch.warp_support import with_storage

    dense = int(mujoco.mjtJacobian.mjJAC_DENSE)
    for num_balls, kept in ((10, dense), (11, int(mujoco.mjtJacobian.mjJAC_SPARSE))):
        scene = balls(0.15, num_balls)
        scene.opt.jacobian = dense
        assert with_storage(scene).opt.jacobian == kept
        assert scene.opt.jacobian == dense


# ---- too little room ----------------------------------------------------------------------------


def balls(height_m: float, num_balls: int = 6) -> mujoco.MjModel:
    """Balls of radius 0.1 m: on the ground each makes a contact and 3 constraint rows."""
    spec = mujoco.MjSpec()
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1])
    for k in range(num_balls):
        body = spec.worldbody.add_body(pos=[0.3 * k, 0.0, height_m])
        body.add_freejoint()
        body.add_geom(size=[0.1, 0.0, 0.0])
    return spec.compile()


@pytest.mark.parametrize("height_m", [0.099, 0.15])
@pytest.mark.parametrize(("room", "named"), [({"njmax": 9}, "njmax"), ({"nconmax": 3}, "nconmax")])
def test_too_little_room_names_the_number_to_raise(room, named, height_m, capfd):
    scene = balls(height_m)
    physics = make_physics(scene, 2, replace(CONFIG, **room))
    with pytest.raises(CapacityError, match=rf"^[^\n]*: use sim\.{named}=\d+$") as error:
        for _ in range(20):
            physics.step(torch.zeros(2, 0), 5)
            assert not physics.faults().any()
    assert "overflow" not in capfd.readouterr().out  # Warp's kernels would print in every step
    enough = int(str(error.value).rpartition("=")[2])
    physics = make_physics(scene, 2, replace(CONFIG, **{named: enough}))
    for _ in range(40):
        physics.step(torch.zeros(2, 0), 5)
        assert not physics.faults().any()
    assert physics.field("qpos")[:, 2::7].flatten().tolist() == pytest.approx([0.1] * 12, abs=2e-3)


def test_what_diverges_and_takes_all_room_for_contacts_ends_no_run():
    """Contacts share one room: six balls in one place have 15 of them, besides 6 with the ground."""
    scene = balls(0.099)
    physics, twin = (make_physics(scene, 3, replace(CONFIG, nconmax=7)) for _ in range(2))
    for value in (float("nan"), 1e12):
        bad = torch.tensor([1])
        qpos, qvel = physics.field("qpos")[bad].clone(), physics.field("qvel")[bad].clone()
        qpos[:, 0::7], qvel[:, 0] = 0.0, value
        physics.write(bad, {"qpos": qpos, "qvel": qvel})
        assert int(physics._d.ncollision.numpy()[0]) > physics._d.naconmax
        for each in (physics, twin):
            each.step(torch.zeros(3, 0), 5)
        assert physics.faults().tolist() == [False, True, False]
        assert not physics.faults().any() and not twin.faults().any()
        assert torch.isfinite(physics.field("qpos")).all()


def test_too_little_room_for_the_others_is_an_error_beside_one_that_diverged():
    physics = make_physics(balls(0.099), 3, replace(CONFIG, nconmax=3))
    bad = torch.tensor([1])
    physics.write(bad, {"qvel": torch.full((1, physics.model.nv), torch.nan)})
    with pytest.raises(CapacityError, match=r"use sim\.nconmax=\d+$"):
        for _ in range(2):
            physics.step(torch.zeros(3, 0), 5)
            physics.faults()


def test_an_acceleration_that_is_not_finite_is_a_fault():
    physics = make_physics(balls(0.15), 3, CONFIG)
    physics.step(torch.zeros(3, 0), 1)
    physics.field("qacc")[2, 0] = torch.inf
    assert physics.faults().tolist() == [False, False, True]
    assert not physics.faults().any()


def test_no_room_at_the_start_is_a_bad_setting():
    from sim.batch.env import BatchEnv, EnvConfig
    from sim.tasks.registry import make_task

    config = EnvConfig(2, physics=replace(CONFIG, njmax=2))
    with pytest.raises(ValueError, match=r"^[^\n]*: use sim\.njmax=\d+$") as error:
        BatchEnv(make_task("reorient"), config)
    enough = replace(CONFIG, njmax=int(str(error.value).rpartition("=")[2]))
    env = BatchEnv(make_task("reorient"), EnvConfig(2, physics=enough))
    for _ in range(3):
        assert not env.step(torch.rand(2, env.num_actions) * 2.0 - 1.0)[4]["fault"].any()
