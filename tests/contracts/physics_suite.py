"""Conformance suite of the `Physics` contract. Every backend runs it:

    class TestMyPhysics(PhysicsSuite):
        config = PhysicsConfig(backend="mine")

The scene has an arm on a servo, a box that rests on the ground, a ball in free fall far above it, a
mocap body, and sensors of positions, velocities and contact forces.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch

from sim.batch.physics import Physics, PhysicsConfig, make_physics

SCENE = """
<mujoco>
  <option timestep="0.004" integrator="implicitfast" cone="elliptic" impratio="3"/>
  <size memory="2M"/>
  <worldbody>
    <geom name="ground" type="plane" size="2 2 0.1"/>
    <body name="marker" mocap="true" pos="0 1 1">
      <geom type="sphere" size="0.02" contype="0" conaffinity="0"/>
    </body>
    <body name="arm" pos="0 0 0.6">
      <joint name="shoulder" type="hinge" axis="0 1 0" damping="0.2"/>
      <geom type="capsule" size="0.03" fromto="0 0 0 0.3 0 0" mass="1"/>
      <site name="tip" pos="0.3 0 0"/>
    </body>
    <body name="box" pos="1 0 0.05">
      <freejoint/>
      <geom name="box" type="box" size="0.05 0.05 0.05" mass="0.5"/>
      <site name="box_skin" type="box" size="0.06 0.06 0.06"/>
    </body>
    <body name="ball" pos="-1 0 50">
      <freejoint/>
      <geom type="sphere" size="0.05" mass="0.2"/>
      <site name="ball"/>
    </body>
    <camera name="view" pos="0 -2 0.5" xyaxes="1 0 0 0 0 1"/>
  </worldbody>
  <actuator>
    <position name="shoulder" joint="shoulder" kp="20" kv="1" ctrlrange="-2 2"/>
  </actuator>
  <sensor>
    <jointpos joint="shoulder"/>
    <jointvel joint="shoulder"/>
    <framepos objtype="site" objname="tip"/>
    <framelinvel objtype="body" objname="ball"/>
    <touch name="touch" site="box_skin"/>
    <accelerometer name="accelerometer" site="ball"/>
  </sensor>
</mujoco>
"""
TOUCH, ACCELEROMETER = 8, slice(9, 12)  # columns of sensordata
BALL = slice(8, 15)  # columns of qpos
BALL_VEL = slice(7, 13)  # columns of qvel
N = 3
G = 9.81
FIELDS = (
    *(
        "qpos",
        "qvel",
        "ctrl",
        "xfrc_applied",
        "qfrc_applied",
        "mocap_pos",
        "mocap_quat",
        "time",
        "sensordata",
    ),
    *("xpos", "xquat", "xmat", "xanchor", "xaxis", "site_xpos", "site_xmat", "geom_xpos", "geom_xmat"),
    *("subtree_com", "cvel", "actuator_force", "qfrc_actuator", "cam_xpos", "cam_xmat"),
)
CURRENT = ("qpos", "qvel", "xpos", "xquat", "xmat", "site_xpos", "site_xmat", "geom_xpos", "xaxis", "xanchor")
"""Fields that describe the new state after a step, checked against MuJoCo's own forward pass."""


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(SCENE)


def controls(steps: int, num_envs: int = N, seed: int = 0) -> torch.Tensor:
    """Return shoulder targets [rad], (steps, num_envs, 1)."""
    return torch.rand(steps, num_envs, 1, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class PhysicsSuite:
    """Inherit and set `config`; loosen the tolerances only for a reason."""

    config = PhysicsConfig()
    resume_atol = 0.0
    """How far a run that was saved and loaded may be from the uninterrupted one after 20 steps."""
    same_atol = 0.0
    """How far runs that should be equal may be apart; zero, but for a GPU's summation in any order."""
    forward_atol = 2e-6
    """How far fields may be from MuJoCo's own forward pass of the same state (float32)."""

    def make(self, model: mujoco.MjModel, num_envs: int = N, **settings) -> Physics:
        return make_physics(model, num_envs, replace(self.config, **settings))

    def run(self, physics: Physics, actions: torch.Tensor, num_substeps: int = 2) -> None:
        for ctrl in actions:
            physics.step(ctrl.to(physics.device), num_substeps)

    def assert_same(self, a: torch.Tensor, b: torch.Tensor, name: str) -> None:
        assert torch.allclose(a, b, rtol=0, atol=self.same_atol), f"{name}: {(a - b).abs().max()}"

    def ids(self, physics: Physics, *envs: int) -> torch.Tensor:
        return torch.tensor(envs, dtype=torch.int64, device=physics.device)

    def state(self, physics: Physics, *names: str) -> dict[str, torch.Tensor]:
        return {name: physics.field(name).clone() for name in names or FIELDS}

    @pytest.fixture
    def physics(self, model):
        physics = self.make(model)
        yield physics
        physics.close()

    # ---- fields ---------------------------------------------------------------------------------

    def test_is_a_physics(self, physics, model):
        assert isinstance(physics, Physics)
        assert physics.num_envs == N
        assert physics.model.nq == model.nq

    @pytest.mark.parametrize("name", FIELDS)
    def test_a_field_has_mujocos_shape_per_env(self, physics, model, name):
        field = physics.field(name)
        assert tuple(field.shape) == (N, *np.shape(getattr(mujoco.MjData(model), name)))
        assert field.dtype == torch.float32
        assert field.device == physics.device

    def test_a_field_is_the_same_tensor_for_the_same_name(self, physics):
        assert physics.field("qpos") is physics.field("qpos")

    def test_fields_are_current_at_the_start(self, physics, model):
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        for name in CURRENT:
            for env in range(N):
                assert physics.field(name)[env].numpy(force=True) == pytest.approx(
                    getattr(data, name), abs=self.forward_atol
                ), name

    def test_fields_are_live(self, physics):
        tip, time = physics.field("site_xpos"), physics.field("time")
        before = tip.clone()
        self.run(physics, controls(5))
        assert not torch.equal(tip, before)
        assert time.tolist() == pytest.approx([5 * 2 * 0.004] * N, rel=1e-5)

    def test_fields_describe_the_new_state_after_a_step(self, physics):
        fields = {name: physics.field(name) for name in CURRENT}
        sensors = physics.field("sensordata")
        self.run(physics, controls(7))
        for env in range(N):
            _, data = physics.mj_data(env)
            for name, field in fields.items():
                expected = getattr(data, name)
                assert field[env].numpy(force=True) == pytest.approx(expected, abs=self.forward_atol), name
            assert sensors[env, :TOUCH].numpy(force=True) == pytest.approx(
                data.sensordata[:TOUCH], abs=20 * self.forward_atol
            )

    def test_a_field_asked_for_late_is_current_at_once(self, physics):
        self.run(physics, controls(7))
        _, data = physics.mj_data(1)
        late = physics.field("geom_xpos")[1].numpy(force=True)
        assert late == pytest.approx(data.geom_xpos, abs=self.forward_atol)

    def test_force_sensors_keep_the_last_substeps_reading(self, physics):
        """The box rests: its touch reads m g = 0.5 * 9.81 N. The ball falls freely: it feels nothing."""
        sensors = physics.field("sensordata")
        self.run(physics, torch.zeros(100, N, 1))
        assert sensors[:, TOUCH].tolist() == pytest.approx([0.5 * G] * N, rel=0.01)
        assert sensors[:, ACCELEROMETER].abs().max() < 1e-4
        before = sensors[:, TOUCH].clone()
        physics.reset(self.ids(physics, 1), {})
        assert torch.equal(sensors[::2, TOUCH], before[::2])

    def test_free_fall_is_galileos(self, physics):
        """Semi-implicit Euler: v = -g n dt, exactly in n; z = z0 - g dt² n (n + 1) / 2."""
        self.run(physics, torch.zeros(10, N, 1), num_substeps=5)
        dt, n = 0.004, 50
        assert physics.field("qvel")[:, 9].tolist() == pytest.approx([-G * n * dt] * N, rel=1e-4)
        drop = G * dt**2 * n * (n + 1) / 2
        assert (50 - physics.field("qpos")[:, 10]).tolist() == pytest.approx([drop] * N, rel=1e-3)

    def test_substeps_in_one_call_equal_one_by_one(self, model, physics):
        other = self.make(model)
        self.run(physics, controls(6), num_substeps=4)
        for ctrl in controls(6):
            self.run(other, ctrl.expand(4, N, 1), num_substeps=1)
        for name in ("qpos", "qvel", "xpos", "sensordata"):
            self.assert_same(physics.field(name), other.field(name), name)
        other.close()

    def test_envs_are_independent(self, model, physics):
        """What another environment is told changes nothing."""
        other, actions = self.make(model), controls(20)
        self.run(physics, actions)
        actions[:, 1] = -actions[:, 1]
        self.run(other, actions)
        assert not torch.equal(physics.field("qpos")[1], other.field("qpos")[1])
        for name in FIELDS:
            self.assert_same(physics.field(name)[::2], other.field(name)[::2], name)
        other.close()

    # ---- reset and write ------------------------------------------------------------------------

    def test_a_partial_reset_leaves_every_other_env_bit_identical(self, physics, model):
        self.state(physics)
        self.run(physics, controls(20))
        before = self.state(physics)
        pos = torch.tensor([[0.7]], device=physics.device)
        qpos = torch.as_tensor(model.qpos0, dtype=torch.float32, device=physics.device)[None].clone()
        qpos[:, :1] = pos
        physics.reset(self.ids(physics, 1), {"qpos": qpos})
        after = self.state(physics)
        for name in FIELDS:
            self.assert_same(before[name][::2], after[name][::2], name)
        assert torch.equal(after["qpos"][1:2], qpos)
        assert not after["qvel"][1].any()
        assert after["time"][1] == 0.0
        assert not torch.equal(before["site_xpos"][1], after["site_xpos"][1])

    def test_the_others_continue_as_if_no_one_had_been_reset(self, model, physics):
        other, actions = self.make(model), controls(30)
        self.run(physics, actions)
        self.run(other, actions[:10])
        other.reset(self.ids(other, 1), {})
        self.run(other, actions[10:])
        for name in ("qpos", "qvel", "xpos", "sensordata"):
            self.assert_same(physics.field(name)[::2], other.field(name)[::2], name)
        other.close()

    def test_a_reset_env_has_no_past(self, model, physics):
        fresh, actions = self.make(model), controls(15, seed=1)
        physics.write(self.ids(physics, 1), {"xfrc_applied": torch.full((1, model.nbody, 6), 0.3)})
        self.run(physics, controls(20))
        physics.reset(self.ids(physics, 0, 1, 2), {})
        self.run(physics, actions)
        self.run(fresh, actions)
        for name in FIELDS:
            self.assert_same(physics.field(name), fresh.field(name), name)
        fresh.close()

    def test_a_write_refreshes_what_is_derived(self, physics):
        tip = physics.field("site_xpos")
        self.run(physics, controls(5))
        before = self.state(physics)
        qpos = before["qpos"][2:].clone()
        qpos[:, 0] = -0.5
        physics.write(self.ids(physics, 2), {"qpos": qpos})
        expected = [0.3 * np.cos(0.5), 0.0, 0.6 + 0.3 * np.sin(0.5)]  # a turn about +y lowers +x
        assert tip[2, 0].tolist() == pytest.approx(expected, abs=1e-6)
        for name in FIELDS:
            self.assert_same(physics.field(name)[:2], before[name][:2], name)
        assert physics.field("sensordata")[2, 0] == pytest.approx(-0.5)

    def test_a_write_without_forward_counts_in_the_next_step(self, model, physics):
        other = self.make(model)
        for p, forward in ((physics, True), (other, False)):
            self.run(p, controls(5))
            qpos = p.field("qpos")[1:2].clone()
            qpos[:, 0] += 0.4
            p.write(self.ids(p, 1), {"qpos": qpos}, forward=forward)
            assert torch.equal(p.field("qpos")[1:2], qpos)
            self.run(p, controls(5, seed=1))
        for name in ("qpos", "qvel", "xpos"):
            self.assert_same(physics.field(name), other.field(name), name)
        other.close()

    def test_an_applied_force_acts_on_its_env_until_it_is_changed(self, physics, model):
        """F = 1 N along x on 0.2 kg for 10 steps of 8 ms: v = 0.4 m/s; then it stays so."""
        force = torch.zeros(1, model.nbody, 6, device=physics.device)
        force[0, model.body("ball").id, 0] = 1.0
        physics.write(self.ids(physics, 1), {"xfrc_applied": force}, forward=False)
        self.run(physics, torch.zeros(10, N, 1))
        assert physics.field("qvel")[:, 7].tolist() == pytest.approx([0.0, 0.4, 0.0], abs=1e-5)
        physics.write(self.ids(physics, 1), {"xfrc_applied": 0 * force}, forward=False)
        self.run(physics, torch.zeros(5, N, 1))
        assert physics.field("qvel")[:, 7].tolist() == pytest.approx([0.0, 0.4, 0.0], abs=1e-5)

    def test_a_mocap_body_is_where_it_was_put(self, physics, model):
        marker, xpos = model.body("marker").id, physics.field("xpos")
        pos = torch.tensor([[[0.1, 0.2, 0.3]]], device=physics.device)
        physics.write(self.ids(physics, 2), {"mocap_pos": pos})
        assert xpos[2, marker].tolist() == pytest.approx([0.1, 0.2, 0.3])
        assert xpos[0, marker].tolist() == pytest.approx([0.0, 1.0, 1.0])

    def test_no_ids_change_nothing(self, physics, model):
        self.run(physics, controls(3))
        before, none = self.state(physics), self.ids(physics)
        physics.reset(none, {"qpos": torch.zeros(0, model.nq)})
        physics.write(none, {"qvel": torch.zeros(0, model.nv)})
        physics.write_model(none, {"body_mass": torch.zeros(0, model.nbody)})
        for name, value in before.items():
            self.assert_same(physics.field(name), value, name)

    # ---- model fields ---------------------------------------------------------------------------

    def test_a_model_field_is_the_models_at_first(self, physics, model):
        mass = physics.model_field("body_mass")
        assert tuple(mass.shape) == (N, model.nbody)
        assert mass[2].tolist() == pytest.approx(model.body_mass.tolist())

    def test_a_mass_is_its_envs_own_and_its_constants_follow(self, physics, model):
        """Doubling the box's mass doubles what the ground feels and halves its inverse weight."""
        box = model.body("box").id
        mass = physics.model_field("body_mass")[1:2]
        mass[0, box] *= 2
        inertia = physics.model_field("body_inertia")[1:2]
        inertia[0, box] *= 2
        inverse = physics.model_field("body_invweight0")
        physics.write_model(self.ids(physics, 1), {"body_mass": mass, "body_inertia": inertia})
        assert physics.model_field("body_mass")[:, box].tolist() == pytest.approx([0.5, 1.0, 0.5])
        total = model.body_subtreemass[0]
        subtree = physics.model_field("body_subtreemass")[:, 0].tolist()
        assert subtree == pytest.approx([total, total + 0.5, total])
        new_inverse = physics.model_field("body_invweight0")
        assert torch.allclose(new_inverse[1, box] * 2, inverse[1, box], rtol=1e-4)
        assert torch.allclose(new_inverse[::2], inverse[::2], rtol=1e-5)
        self.run(physics, torch.zeros(100, N, 1))
        touch = physics.field("sensordata")[:, TOUCH]
        assert touch.tolist() == pytest.approx([0.5 * G, 1.0 * G, 0.5 * G], rel=0.01)

    def test_a_model_write_leaves_the_state_and_the_others_alone(self, model, physics):
        other, actions = self.make(model), controls(15, seed=3)
        for p in (physics, other):
            self.run(p, controls(10))
        before = self.state(physics)
        damping = physics.model_field("dof_damping")[:1] + 0.5
        physics.write_model(self.ids(physics, 0), {"dof_damping": damping})
        for name in ("qpos", "qvel", "xpos", "time", "ctrl", "mocap_pos"):
            self.assert_same(physics.field(name), before[name], name)
        for p in (physics, other):
            self.run(p, actions)
        for name in ("qpos", "qvel", "xpos", "sensordata"):
            self.assert_same(physics.field(name)[1:], other.field(name)[1:], name)
        assert not torch.equal(physics.field("qpos")[0], other.field("qpos")[0])
        other.close()

    def test_constants_of_the_others_stay_to_the_bit(self, physics):
        constants = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0", "geom_rbound")
        before = {name: physics.model_field(name) for name in constants}
        mass = physics.model_field("body_mass")[:1] * 3
        physics.write_model(self.ids(physics, 0), {"body_mass": mass})
        for name in constants:
            after = physics.model_field(name)
            assert torch.equal(after[1:], before[name][1:]), name
            assert torch.equal(after[0], before[name][0]) == (name == "geom_rbound"), name

    def test_a_model_write_acts_after_steps_as_before_them(self, model, physics):
        """What was recorded for speed follows the write."""
        other, actions = self.make(model), controls(15, seed=3)
        self.run(physics, controls(10))
        damping = physics.model_field("dof_damping")[:1] + 5
        for p in (physics, other):
            p.write_model(self.ids(p, 0), {"dof_damping": damping})
            p.reset(self.ids(p, 0, 1, 2), {})
            self.run(p, actions)
        for name in ("qpos", "qvel"):
            self.assert_same(physics.field(name), other.field(name), name)
        assert abs(physics.field("qpos")[0, 0]) < 0.6 * abs(physics.field("qpos")[1:, 0]).max()
        other.close()

    def test_servo_gains_act(self, physics):
        """A servo without stiffness leaves the arm to gravity; the others hold it."""
        gain, bias = physics.model_field("actuator_gainprm"), physics.model_field("actuator_biasprm")
        gain[1, 0, 0] = bias[1, 0, 1] = 0.0
        physics.write_model(
            self.ids(physics, 1), {"actuator_gainprm": gain[1:2], "actuator_biasprm": bias[1:2]}
        )
        self.run(physics, torch.zeros(40, N, 1))
        angle = physics.field("qpos")[:, 0]
        assert angle[1] > 2 * angle[0]
        assert angle[2] == angle[0]

    def test_a_later_model_write_keeps_the_earlier_ones(self, physics):
        friction = physics.model_field("geom_friction")
        for env, value in ((0, 0.3), (2, 0.9)):
            friction[env, :, 0] = value
            physics.write_model(self.ids(physics, env), {"geom_friction": friction[env : env + 1]})
        assert physics.model_field("geom_friction")[:, 1, 0].tolist() == pytest.approx([0.3, 1.0, 0.9])

    def test_friction_decides_how_fast_a_box_slows_down(self, physics):
        friction = physics.model_field("geom_friction")
        friction[0, :, 0], friction[1, :, 0], friction[2, :, 0] = 0.2, 0.4, 0.6
        physics.write_model(self.ids(physics, 0, 1, 2), {"geom_friction": friction})
        self.run(physics, torch.zeros(50, N, 1))
        qvel = physics.field("qvel").clone()
        qvel[:, 1] = 1.0
        physics.write(self.ids(physics, 0, 1, 2), {"qvel": qvel})
        self.run(physics, torch.zeros(1, N, 1))
        slowest, middle, fastest = physics.field("qvel")[:, 1].flip(0).tolist()
        assert 0.8 < slowest < middle < fastest < 1.0

    def test_a_fixed_geom_can_be_moved(self, physics, model):
        """Where the ground is 0.2 m lower, the box falls on it."""
        ground = model.geom("ground").id
        pos = physics.model_field("geom_pos")[1:2]
        pos[:, ground, 2] = -0.2
        physics.write_model(self.ids(physics, 1), {"geom_pos": pos})
        physics.reset(self.ids(physics, 0, 1, 2), {})
        assert physics.field("geom_xpos")[:, ground, 2].tolist() == pytest.approx([0.0, -0.2, 0.0])
        self.run(physics, torch.zeros(100, N, 1))
        assert physics.field("qpos")[:, 3].tolist() == pytest.approx([0.05, -0.15, 0.05], abs=2e-3)

    def test_a_fixed_geom_can_be_turned(self, physics, model):
        ground, half = model.geom("ground").id, np.sqrt(0.5)
        quat = physics.model_field("geom_quat")[2:]
        quat[:, ground] = torch.tensor([half, half, 0.0, 0.0])
        physics.write_model(self.ids(physics, 2), {"geom_quat": quat})
        physics.reset(self.ids(physics, 2), {})
        mat = physics.field("geom_xmat")[2, ground].reshape(3, 3)
        assert mat[:, 2].tolist() == pytest.approx([0.0, -1.0, 0.0], abs=1e-6)

    def test_a_geom_can_be_resized(self, physics, model):
        size = physics.model_field("geom_size")[1:2]
        size[:, model.geom("box").id] = 0.03
        physics.write_model(self.ids(physics, 1), {"geom_size": size})
        self.run(physics, torch.zeros(100, N, 1))
        assert physics.field("qpos")[:, 3].tolist() == pytest.approx([0.05, 0.03, 0.05], abs=2e-3)

    def test_gravity_can_differ(self, physics):
        gravity = physics.model_field("opt.gravity")
        assert tuple(gravity.shape) == (N, 3)
        gravity[2] = torch.tensor([0.0, 0.0, -1.62])
        physics.write_model(self.ids(physics, 2), {"opt.gravity": gravity[2:]})
        self.run(physics, torch.zeros(10, N, 1))
        fall = physics.field("qvel")[:, 9]
        assert fall.tolist() == pytest.approx([-9.81 * 0.08, -9.81 * 0.08, -1.62 * 0.08], rel=1e-4)

    def test_cameras_can_be_moved(self, physics):
        pos = physics.model_field("cam_pos")
        pos[1, 0] = torch.tensor([0.5, -2.0, 0.7])
        physics.write_model(self.ids(physics, 1), {"cam_pos": pos[1:2]})
        seen, _ = physics.mj_data(1)
        assert seen.cam_pos[0].tolist() == pytest.approx([0.5, -2.0, 0.7])
        seen, _ = physics.mj_data(0)
        assert seen.cam_pos[0].tolist() == pytest.approx([0.0, -2.0, 0.5])

    def test_mj_data_is_the_env(self, physics):
        mass = physics.model_field("body_mass")[2:] * 1.5
        physics.write_model(self.ids(physics, 2), {"body_mass": mass})
        self.run(physics, controls(9))
        model, data = physics.mj_data(2)
        assert model.body_mass.tolist() == pytest.approx(mass[0].tolist())
        assert data.qpos.tolist() == pytest.approx(physics.field("qpos")[2].tolist(), abs=1e-6)
        assert data.qvel.tolist() == pytest.approx(physics.field("qvel")[2].tolist(), abs=1e-6)
        assert data.ctrl.tolist() == pytest.approx(physics.field("ctrl")[2].tolist(), abs=1e-6)

    # ---- saving ---------------------------------------------------------------------------------

    def test_a_saved_state_continues(self, model, physics):
        mass = physics.model_field("body_mass") * torch.tensor([[1.0], [1.3], [0.8]]).to(physics.device)
        physics.write_model(self.ids(physics, 0, 1, 2), {"body_mass": mass})
        self.state(physics)
        self.run(physics, controls(15))
        saved, at_save = physics.save(), self.state(physics)
        assert all(isinstance(v, np.ndarray | np.generic) for v in saved.values())
        self.run(physics, controls(20, seed=1))
        uninterrupted = self.state(physics)
        elsewhere = self.make(model)
        for p in (physics, elsewhere):
            p.load(saved)
            for name in ("qpos", "qvel", "time", "ctrl", "xfrc_applied", "sensordata", "xpos"):
                assert torch.allclose(p.field(name), at_save[name], rtol=0, atol=self.resume_atol), name
            assert torch.allclose(p.model_field("body_mass"), mass)
            self.run(p, controls(20, seed=1))
            for name in ("qpos", "qvel", "xpos", "sensordata"):
                error = (p.field(name) - uninterrupted[name]).abs().max()
                assert error <= self.resume_atol, f"{name}: {error}"
        elsewhere.close()

    def test_loading_undoes_later_model_writes(self, physics):
        saved, original = physics.save(), physics.model_field("body_mass")
        physics.write_model(self.ids(physics, 1), {"body_mass": original[1:2] * 3})
        physics.load(saved)
        assert torch.allclose(physics.model_field("body_mass"), original)
        assert torch.allclose(
            physics.model_field("body_subtreemass")[1], physics.model_field("body_subtreemass")[0]
        )

    def test_states_of_others_are_refused(self, model, physics):
        other = self.make(model, num_envs=2)
        saved = other.save()
        other.close()
        with pytest.raises(ValueError, match="num_envs is 2, this batch has 3"):
            physics.load(saved)
        spec = mujoco.MjSpec.from_string(SCENE)
        spec.worldbody.add_body(name="second", mocap=True)
        other = self.make(spec.compile())
        saved = other.save()
        other.close()
        with pytest.raises(ValueError, match=r"^[^\n]*this batch has[^\n]*$"):
            physics.load(saved)
        with pytest.raises(ValueError, match="not a saved state"):
            physics.load({})

    # ---- faults ---------------------------------------------------------------------------------

    def test_there_are_no_faults_at_first(self, physics):
        self.run(physics, controls(3))
        faults = physics.faults()
        assert faults.dtype == torch.bool
        assert faults.tolist() == [False] * N
        assert faults.device == physics.device

    @pytest.mark.parametrize(("field", "value"), [("qpos", np.nan), ("qvel", np.nan), ("qvel", 1e12)])
    def test_a_diverged_env_is_reported_once_each_time(self, model, physics, field, value):
        healthy, actions = self.make(model), controls(30)
        for k in range(3):
            bad = physics.field(field)[1:2].clone()
            bad[:, 0] = value
            physics.write(self.ids(physics, 1), {field: bad})
            self.run(physics, actions[10 * k : 10 * k + 10])
            self.run(healthy, actions[10 * k : 10 * k + 10])
            assert physics.faults().tolist() == [False, True, False]
            assert physics.faults().tolist() == [False, False, False]
            assert torch.isfinite(physics.field("qpos")).all()
        for name in ("qpos", "qvel", "xpos", "sensordata"):
            self.assert_same(physics.field(name)[::2], healthy.field(name)[::2], name)
        healthy.close()

    def test_a_reset_of_another_env_hides_no_fault(self, physics):
        bad = physics.field("qvel")[1:2].clone()
        bad[:] = np.nan
        physics.write(self.ids(physics, 1), {"qvel": bad})
        self.run(physics, controls(2))
        physics.reset(self.ids(physics, 0), {})
        assert physics.faults().tolist() == [False, True, False]

    def test_a_diverged_env_works_after_its_reset(self, model, physics):
        bad = physics.field("qpos")[1:2].clone()
        bad[:] = np.nan
        physics.write(self.ids(physics, 1), {"qpos": bad})
        self.run(physics, controls(2))
        physics.faults()
        physics.reset(self.ids(physics, 0, 1, 2), {})
        fresh = self.make(model)
        for p in (physics, fresh):
            self.run(p, controls(10, seed=2))
        for name in FIELDS:
            self.assert_same(physics.field(name), fresh.field(name), name)
        assert not physics.faults().any()
        fresh.close()

    # ---- determinism ----------------------------------------------------------------------------

    def test_two_runs_are_equal(self, model):
        ends = []
        for _ in range(2):
            physics = self.make(model)
            self.run(physics, controls(40))
            physics.reset(self.ids(physics, 0, 2), {})
            self.run(physics, controls(10))
            ends.append(self.state(physics))
            physics.close()
        for name in FIELDS:
            self.assert_same(ends[0][name], ends[1][name], name)

    # ---- bad input ------------------------------------------------------------------------------

    @pytest.mark.parametrize("num_envs", [0, -3])
    def test_no_envs_are_refused(self, model, num_envs):
        with pytest.raises(ValueError, match=f"^num_envs is {num_envs}; ask for at least 1$"):
            self.make(model, num_envs)

    def test_an_unknown_device_is_refused(self, model):
        with pytest.raises(ValueError, match=r"^[^\n]*'abacus'[^\n]*$"):
            self.make(model, device="abacus")

    def test_wrong_names_are_refused_in_one_line(self, physics, model):
        one = self.ids(physics, 0)
        for call in (
            lambda: physics.field("qposs"),
            lambda: physics.write(one, {"xpos": torch.zeros(1, model.nbody, 3)}),
            lambda: physics.reset(one, {"qposs": torch.zeros(1, model.nq)}),
            lambda: physics.write_model(one, {"body_masss": torch.zeros(1, model.nbody)}),
            lambda: physics.model_field("body_masss"),
        ):
            with pytest.raises(ValueError, match=r"^[^\n]*'(qposs|xpos|body_masss)'[^\n]*$"):
                call()

    def test_wrong_shapes_are_refused_in_one_line(self, physics, model):
        one, before = self.ids(physics, 0), self.state(physics)
        for call in (
            lambda: physics.step(torch.zeros(N, 2), 1),
            lambda: physics.step(torch.zeros(1, 1), 1),
            lambda: physics.write(one, {"qpos": torch.zeros(1, model.nq + 1)}),
            lambda: physics.write(one, {"qpos": torch.zeros(2, model.nq)}),
            lambda: physics.write_model(one, {"body_mass": torch.zeros(2, model.nbody)}),
        ):
            with pytest.raises(ValueError, match=r"^[^\n]*shape[^\n]*expected[^\n]*$"):
                call()
        for name, value in before.items():
            self.assert_same(physics.field(name), value, name)

    @pytest.mark.parametrize("bad", [[0, 0], [2, 1], [N], [-1]])
    def test_wrong_ids_are_refused_in_one_line(self, physics, bad):
        with pytest.raises(ValueError, match=r"^ids must be [^\n]*$"):
            physics.reset(torch.tensor(bad, device=physics.device), {})

    @pytest.mark.parametrize("num_substeps", [0, -1])
    def test_no_substeps_are_refused(self, physics, num_substeps):
        with pytest.raises(ValueError, match=rf"^num_substeps is {num_substeps}[^\n]*$"):
            physics.step(torch.zeros(N, 1, device=physics.device), num_substeps)

    def test_close_can_be_called_twice(self, model):
        physics = self.make(model)
        physics.close()
        physics.close()
