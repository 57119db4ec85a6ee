"""Senses against what statics, Newton's impact law and Newton's law of cooling say."""
# pyright: reportAttributeAccessIssue=false

import math

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import mujoco
import numpy as np
import torch

from sim.batch.physics import BackendName, Physics, PhysicsConfig, make_physics
from sim.senses.batched import BodyTemperature, ContactSound, ForceTorque, TactileArray, ThermalBody
from sim.senses.impact import SoundConfig
from sim.senses.pads import Pad
from sim.senses.spec import add_force_torque, add_tactile_array, add_touching

G = 9.81
BOX, SPHERE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_SPHERE


def scene(dt: float = 0.002) -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.option.timestep = dt
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    return spec


def add_free(spec: mujoco.MjSpec, name: str, kind, size, pos, mass: float, **geom) -> mujoco.MjsBody:
    body = spec.worldbody.add_body(name=name, pos=pos)
    body.add_freejoint()
    body.add_geom(type=kind, size=size, mass=mass, **geom)
    return body


def physics_of(spec: mujoco.MjSpec, num_envs: int = 2, backend: BackendName = "cpu") -> Physics:
    return make_physics(spec.compile(), num_envs, PhysicsConfig(backend=backend))


def advance(physics: Physics, seconds: float) -> None:
    steps = round(seconds / physics.model.opt.timestep)
    physics.step(torch.zeros(physics.num_envs, physics.model.nu, device=physics.device), steps)


# ---- touch ----------------------------------------------------------------------------------------


def scale(pos=(0.0, 0.0), mass: float = 0.2, num_envs: int = 2, backend: BackendName = "cpu"):
    """A block of 2 cm on a pad of 3 rows (y, 6 cm) x 4 columns (x, 8 cm), 5 cm above the floor."""
    spec = scene()
    base = spec.worldbody.add_body(name="base", pos=[0, 0, 0.05])
    base.add_geom(type=BOX, size=[0.04, 0.03, 0.01])
    pad = add_tactile_array(spec, base, "pad", 3, 4, (0.08, 0.06), pos=[0, 0, 0.01])
    add_free(spec, "block", BOX, [0.01, 0.01, 0.01], [*pos, 0.0702], mass)
    physics = physics_of(spec, num_envs, backend)
    return physics, TactileArray(physics, "pad", pad)


@pytest.mark.parametrize("mass", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("pos", [(0.0, 0.0), (0.03, -0.02), (-0.035, 0.013)])
def test_taxels_sum_to_the_weight(mass, pos):
    physics, touch = scale(pos, mass)
    advance(physics, 1.0)
    assert touch.value.shape == (2, 3, 4) and (touch.value >= 0).all()
    assert torch.allclose(touch.value.sum((1, 2)), torch.tensor(mass * G), rtol=1e-3)


def test_taxels_show_where_it_presses():
    # Taxels are 2 x 2 cm; the middle of column 3, row 0 is at (0.03, -0.02).
    physics, touch = scale((0.03, -0.02))
    advance(physics, 1.0)
    share = touch.value[0] / touch.value[0].sum()
    # The corners lie 1 cm from the middle: along x the outer ones are over the edge column alone,
    # the inner ones half on column 2; so column 3 has 3/4. The same for rows.
    assert torch.allclose(share.sum(0), torch.tensor([0.0, 0.0, 0.25, 0.75]), atol=0.02)
    assert torch.allclose(share.sum(1), torch.tensor([0.75, 0.25, 0.0]), atol=0.02)


def test_nothing_touches_nothing_is_felt_and_other_faces_do_not_count():
    physics, touch = scale((0.2, 0.0))  # beside the pad, on the floor
    advance(physics, 1.0)
    assert not touch.value.any()
    spec = scene()
    base = spec.worldbody.add_body(name="base", pos=[0, 0, 0.05])
    base.add_freejoint()  # lies on the floor with its lower face
    base.add_geom(type=BOX, size=[0.04, 0.03, 0.01])
    pad = add_tactile_array(spec, base, "pad", 3, 4, (0.08, 0.06), pos=[0, 0, 0.01])
    physics = physics_of(spec)
    touch = TactileArray(physics, "pad", pad)
    advance(physics, 1.0)
    assert not touch.value.any()


def test_pads_without_taxels_are_refused():
    with pytest.raises(ValueError, match="at least 1 x 1 taxels, got 0 x 4"):
        Pad(0, 4, (0.1, 0.1))
    with pytest.raises(ValueError, match="positive sizes"):
        Pad(1, 1, (0.1, -0.1))
    physics, _ = scale()
    with pytest.raises(ValueError, match="no site 'pat'; it has pad"):
        TactileArray(physics, "pat", Pad(1, 1, (0.1, 0.1)))


# ---- force and torque -----------------------------------------------------------------------------


def beam(tilt_rad: float = 0.0):
    """A beam of 0.5 kg fixed to a post, its mass 10 cm out along its x; the site is at the joint."""
    spec = scene()
    post = spec.worldbody.add_body(name="post", pos=[0, 0, 1])
    quat = [math.cos(tilt_rad / 2), 0, math.sin(tilt_rad / 2), 0]
    arm = post.add_body(name="arm", quat=quat)
    arm.add_geom(type=SPHERE, size=[0.02, 0, 0], pos=[0.1, 0, 0], mass=0.5)
    arm.add_site(name="wrist")
    add_force_torque(spec, "wrist")
    physics = physics_of(spec)
    return physics, ForceTorque(physics, "wrist")


def test_a_hanging_load_reads_as_its_weight_and_moment():
    physics, wrist = beam()
    advance(physics, 0.01)
    # Force on the post: (0, 0, -m g). Moment about the site: r x F = (0.1, 0, 0) x (0, 0, -4.905)
    # = (0, 0.4905, 0).
    expected = torch.tensor([0.0, 0.0, -0.5 * G, 0.0, 0.1 * 0.5 * G, 0.0])
    assert torch.allclose(wrist.value, expected.expand(2, -1), atol=1e-5)


def test_readings_are_in_the_frame_of_the_site():
    physics, wrist = beam(tilt_rad=math.pi / 2)  # x of the beam points down
    advance(physics, 0.01)
    # The load hangs along x and pulls along x: no moment.
    expected = torch.tensor([0.5 * G, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert torch.allclose(wrist.value, expected.expand(2, -1), atol=1e-5)


# ---- sound ----------------------------------------------------------------------------------------


def falling(mass: float, height: float, solref=(0.02, 1.0), decimation: int = 1, e: float = 0.13):
    """Drop a ball; return the energy heard until it has bounced once [J], and its rebound [m/s]."""
    spec = scene(0.0005)
    add_free(spec, "ball", SPHERE, [0.03, 0, 0], [0, 0, 0.03 + height], mass, solref=list(solref), priority=1)
    physics = physics_of(spec, 1)
    sound = ContactSound(physics, ["ball"], SoundConfig(restitution=e))
    heard = rebound = 0.0
    seconds = math.sqrt(2 * height / G) + 0.08
    for _ in range(round(seconds / (0.0005 * decimation))):
        advance(physics, 0.0005 * decimation)
        heard += float(sound.update(0.0005 * decimation))
        rebound = max(rebound, float(physics.field("qvel")[0, 2]))
    return heard, rebound


@pytest.mark.parametrize("mass", [0.05, 0.5])
@pytest.mark.parametrize("height", [0.1, 0.4])
def test_a_ball_with_default_contacts_loses_nearly_all_its_energy(mass, height):
    heard, rebound = falling(mass, height)
    e = rebound / math.sqrt(2 * G * height)
    assert e == pytest.approx(SoundConfig().restitution, abs=0.01)
    assert heard == pytest.approx(mass * G * height * (1 - e * e), rel=0.02)


@pytest.mark.parametrize(("mass", "height"), [(0.1, 0.2), (0.2, 0.2), (0.1, 0.4)])
def test_a_bouncing_ball_loses_by_its_restitution(mass, height):
    solref = (-40000.0, -60.0)  # a spring and a damper: underdamped
    _, rebound = falling(mass, height, solref)
    e = rebound / math.sqrt(2 * G * height)
    assert 0.3 < e < 0.95
    heard, _ = falling(mass, height, solref, e=e)
    assert heard == pytest.approx(mass * G * height * (1 - e * e), rel=0.02)


def test_an_impact_within_a_control_step_is_heard():
    # Known up to the speed that gravity gives in a control step of 20 ms: 0.2 of 2.8 m/s, 14 % of the energy.
    heard, _ = falling(0.1, 0.4, decimation=40)
    assert heard == pytest.approx(0.1 * G * 0.4, rel=0.15)


def test_rest_free_fall_and_steady_pushing_are_silent():
    spec = scene()
    add_free(spec, "rests", BOX, [0.02, 0.02, 0.02], [0, 0, 0.02], 0.1)
    add_free(spec, "flies", BOX, [0.02, 0.02, 0.02], [1, 0, 9.0], 0.1)
    add_free(spec, "slides", BOX, [0.02, 0.02, 0.005], [2, 0, 0.005], 0.1)
    physics = physics_of(spec, 2)
    sound = ContactSound(physics, ["rests", "flies", "slides"])
    everyone = torch.arange(2)
    push = torch.zeros(2, physics.model.nbody, 6)
    push[:, physics.model.body("slides").id, 0] = 1.5  # against friction of about 1 N
    physics.write(everyone, {"xfrc_applied": push}, forward=False)
    heard = torch.zeros(2, 3)
    for _ in range(15):
        advance(physics, 0.02)
        heard += sound.update(0.02)
    assert not heard.any()
    assert (physics.field("qvel")[:, 12] > 0.5).all(), "the third box does not slide"


def test_a_reset_is_silent_and_memory_resumes():
    spec = scene()
    add_free(spec, "ball", SPHERE, [0.03, 0, 0], [0, 0, 0.2], 0.1)
    physics = physics_of(spec, 2)
    sound = ContactSound(physics, ["ball"])
    advance(physics, 0.15)
    sound.update(0.15)
    saved = {k: v.clone() for k, v in sound.memory().items()}
    first = torch.tensor([0])
    physics.reset(first, {"qpos": physics.field("qpos")[:1].clone()})  # stopped in the air
    sound.reset(first)
    advance(physics, 0.002)
    assert float(sound.update(0.002)[0]) == 0.0
    for name, value in sound.memory().items():
        value.copy_(saved[name])
    assert torch.equal(sound.memory()["vel"], saved["vel"])


def test_settings_of_the_impact_model_are_checked():
    with pytest.raises(ValueError, match=r"restitution is 1.5; use a number in \[0, 1\]"):
        SoundConfig(restitution=1.5)
    with pytest.raises(ValueError, match=r"hold_s is 0.0; use a positive number"):
        SoundConfig(hold_s=0.0)


# ---- temperature ----------------------------------------------------------------------------------


def tower(bodies, conductance_w_k: float = 0.5, gap_m: float = 0.0, ambient_c: float = 20.0):
    spec = scene()
    for k, body in enumerate(bodies):
        add_free(spec, body.name, BOX, [0.02, 0.02, 0.02], [0, 0, 0.02 + k * (0.04 + gap_m)], 0.1)
    add_touching(spec, [b.name for b in bodies])
    physics = physics_of(spec)
    return physics, BodyTemperature(physics, bodies, conductance_w_k, ambient_c)


def test_cooling_in_air_is_newtons_law_for_any_step():
    # T(t) = 20 + 60 exp(-h t / C), h = 0.2 W/K, C = 100 J/K.
    for steps in (1, 7, 300):
        _, heat = tower([ThermalBody("mug", 100.0, 0.2, start_c=80.0)])
        for _ in range(steps):
            heat.update(600.0 / steps)
        assert torch.allclose(heat.value, torch.tensor(20.0 + 60.0 * math.exp(-1.2)), atol=2e-3)


def test_bodies_that_touch_share_their_heat_and_none_is_lost():
    # Without air: C1 = 100, C2 = 50 J/K, g = 0.5 W/K. The difference falls by g (1/C1 + 1/C2) = 0.015 per s.
    physics, heat = tower([ThermalBody("a", 100.0, start_c=80.0), ThermalBody("b", 50.0, start_c=20.0)])
    advance(physics, 0.3)
    capacity = torch.tensor([100.0, 50.0])
    for _ in range(25):
        heat.update(2.0)
        assert torch.allclose(heat.value @ capacity, torch.tensor(9000.0), rtol=1e-5)
    difference = heat.value[0, 0] - heat.value[0, 1]
    assert float(difference) == pytest.approx(60.0 * math.exp(-0.015 * 50), rel=1e-4)


def test_bodies_apart_do_not_share_heat():
    _, heat = tower([ThermalBody("a", 100.0, start_c=80.0), ThermalBody("b", 50.0)], gap_m=0.01)
    heat.update(60.0)
    assert torch.allclose(heat.value, torch.tensor([80.0, 22.0]))


def test_heating_reaches_its_steady_state_and_reset_begins_anew():
    _, heat = tower([ThermalBody("plate", 10.0, 0.5)])
    heat.update(1.0, heat_w=5.0)  # 20 + 10 (1 - exp(-0.05)) + 2 exp(-0.05)
    assert torch.allclose(heat.value, torch.tensor(30.0 - 8.0 * math.exp(-0.05)), atol=1e-4)
    heat.update(1e4, heat_w=5.0)
    assert torch.allclose(heat.value, torch.tensor(20.0 + 5.0 / 0.5), atol=1e-3)
    heat.reset(torch.tensor([1]))
    assert heat.value[:, 0].tolist() == pytest.approx([30.0, 22.0], abs=1e-3)


def test_no_heat_capacity_is_refused():
    with pytest.raises(ValueError, match="mug: use a positive heat capacity"):
        ThermalBody("mug", 0.0)


# ---- both backends --------------------------------------------------------------------------------


@pytest.mark.slow
def test_both_backends_feel_the_same():
    pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
    readings = []
    backends: tuple[BackendName, ...] = ("cpu", "warp")
    for backend in backends:
        spec = scene()
        base = spec.worldbody.add_body(name="base", pos=[0, 0, 0.05])
        base.add_geom(type=BOX, size=[0.04, 0.03, 0.01])
        base.add_site(name="wrist")
        pad = add_tactile_array(spec, base, "pad", 3, 4, (0.08, 0.06), pos=[0, 0, 0.01])
        add_force_torque(spec, "wrist")
        add_free(spec, "block", BOX, [0.01, 0.01, 0.01], [0.02, 0.01, 0.17], 0.2)
        add_touching(spec, ["base", "block"])
        physics = physics_of(spec, 2, backend)
        touch, wrench = TactileArray(physics, "pad", pad), ForceTorque(physics, "wrist")
        sound = ContactSound(physics, ["block"])
        heat = BodyTemperature(
            physics, [ThermalBody("base", 100.0), ThermalBody("block", 50.0, start_c=60.0)]
        )
        heard = torch.zeros(2, 1)
        for _ in range(40):
            advance(physics, 0.02)
            heard += sound.update(0.02)
            heat.update(0.02)
        readings.append((touch.value.clone(), wrench.value.clone(), heard, heat.value.clone()))
        physics.close()
    for on_cpu, on_warp, atol in zip(*readings, (2e-2, 2e-2, 5e-3, 1e-2), strict=True):
        assert np.allclose(on_cpu, on_warp, atol=atol), (on_cpu, on_warp)
    assert float(readings[0][2].min()) > 0.1
