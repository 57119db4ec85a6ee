"""Named parts of a batched simulation agree with MuJoCo's own values."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.handles import Actuators, Body, Joints, Sensors, Site
from sim.batch.physics import PhysicsConfig, make_physics

NUM_ENVS = 3
XML = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <body name="post" pos="0 0 1">
      <body name="upper">
        <joint name="shoulder" type="hinge" axis="0 1 0" range="-2 2"/>
        <geom type="capsule" size="0.03" fromto="0 0 0 0.3 0 0" mass="1"/>
        <body name="lower" pos="0.3 0 0">
          <joint name="elbow" type="hinge" axis="0 1 0" range="-1 1"/>
          <joint name="piston" type="slide" axis="1 0 0" range="0 0.2"/>
          <geom type="capsule" size="0.03" fromto="0 0 0 0.2 0 0" mass="0.5"/>
          <site name="tip" pos="0.2 0 0" euler="0 30 0"/>
        </body>
      </body>
    </body>
    <body name="puck" pos="1 0 1">
      <freejoint/>
      <geom type="box" size="0.05 0.03 0.02" pos="0.02 0 0" mass="0.3"/>
    </body>
    <body name="ball" pos="-1 0 1">
      <joint name="socket" type="ball"/>
      <geom type="sphere" size="0.05" mass="0.3"/>
    </body>
  </worldbody>
  <actuator>
    <position name="servo" joint="elbow" kp="10" ctrlrange="-1 0.5"/>
    <motor name="motor" joint="shoulder"/>
    <position name="push" joint="piston" kp="10" ctrlrange="0 0.2"/>
  </actuator>
  <sensor>
    <jointpos name="angle" joint="elbow"/>
    <framepos name="where" objtype="site" objname="tip"/>
    <accelerometer name="shake" site="tip"/>
  </sensor>
</mujoco>
"""


@pytest.fixture
def physics():
    physics = make_physics(mujoco.MjModel.from_xml_string(XML), NUM_ENVS, PhysicsConfig(num_threads=1))
    model = physics.model
    generator = torch.Generator().manual_seed(0)
    qvel = torch.randn(NUM_ENVS, model.nv, generator=generator)
    physics.write(torch.arange(NUM_ENVS), {"qvel": qvel})
    physics.step(torch.full((NUM_ENVS, model.nu), 0.1), 20)
    yield physics
    physics.close()


def truths(physics):
    """MuJoCo's own data of each simulation."""
    return [physics.mj_data(i)[1] for i in range(NUM_ENVS)]


def agree(tensor, expected):
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor.numpy(), np.array(expected), rtol=1e-5, atol=1e-6)


def test_joints_in_any_order(physics):
    for names in (("shoulder", "elbow", "piston"), ("piston", "shoulder"), ("elbow",)):
        joints = Joints(physics, names)
        agree(joints.pos, [[d.joint(n).qpos[0] for n in names] for d in truths(physics)])
        agree(joints.vel, [[d.joint(n).qvel[0] for n in names] for d in truths(physics)])
        agree(joints.range, [physics.model.joint(n).range for n in names])


def test_joints_write_a_reset(physics):
    state = {k: torch.zeros(2, n) for k, n in (("qpos", physics.model.nq), ("qvel", physics.model.nv))}
    joints = Joints(physics, ("piston", "shoulder"))
    joints.set(state, torch.tensor([[0.1, 1.0], [0.2, 2.0]]), torch.tensor([3.0, 4.0]))
    physics.write(torch.tensor([0, 2]), state)
    agree(joints.pos[[0, 2]], [[0.1, 1.0], [0.2, 2.0]])
    agree(joints.vel[[0, 2]], [[3.0, 4.0], [3.0, 4.0]])
    joints.set(state, torch.tensor([0.0, 0.5]))  # velocities stay as they are
    assert state["qvel"].abs().max() == 4.0


def test_site(physics):
    site = Site(physics, "tip")
    agree(site.pos, [d.site("tip").xpos for d in truths(physics)])
    agree(site.mat, [d.site("tip").xmat.reshape(3, 3) for d in truths(physics)])
    assert site.body_id == physics.model.body("lower").id


def test_body_pose_and_velocity(physics):
    """Linear velocity of the origin in world, angular velocity in the body's frame."""
    body = Body(physics, "puck")
    agree(body.pos, [d.body("puck").xpos for d in truths(physics)])
    agree(body.quat, [d.body("puck").xquat for d in truths(physics)])
    kind = mujoco.mjtObj.mjOBJ_XBODY
    for i, data in enumerate(truths(physics)):
        world, local = np.zeros(6), np.zeros(6)
        mujoco.mj_objectVelocity(physics.model, data, kind, body.id, world, 0)
        mujoco.mj_objectVelocity(physics.model, data, kind, body.id, local, 1)
        agree(body.linvel[i], world[3:])
        agree(body.angvel[i], local[:3])
    assert float(body.linvel.abs().min()) > 0.0


def test_body_writes_a_reset(physics):
    state = {"qpos": physics.field("qpos")[:2].clone()}
    body = Body(physics, "puck")
    old = body.quat[:2].clone()
    body.set_pose(state, torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    physics.write(torch.tensor([0, 1]), state)
    agree(body.pos[:2], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    agree(body.quat[:2], old)
    body.set_pose(state, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0, 0.0]))
    physics.write(torch.tensor([0, 1]), state)
    agree(body.quat[:2], [[0.0, 1.0, 0.0, 0.0]] * 2)


def test_sensors_in_the_order_asked_for(physics):
    sensors = Sensors(physics, ("where", "angle"))
    assert sensors.value.shape == (NUM_ENVS, 4)
    agree(sensors.value, [[*d.site("tip").xpos, d.joint("elbow").qpos[0]] for d in truths(physics)])


def test_actuators(physics):
    actuators = Actuators(physics, ("push", "motor", "servo"))
    agree(actuators.low, [0.0, -np.inf, -1.0])
    agree(actuators.high, [0.2, np.inf, 0.5])
    physics.field("ctrl")
    ctrl = torch.zeros(NUM_ENVS, 3)
    ctrl[:, actuators.columns] = torch.tensor([1.0, 2.0, 3.0])
    assert ctrl[0].tolist() == [3.0, 2.0, 1.0]  # in the model: servo, motor, push


def test_readings_are_live(physics):
    site = Site(physics, "tip")
    before = site.pos.clone()
    physics.step(torch.ones(NUM_ENVS, 3), 50)
    assert not torch.equal(site.pos, before)
    agree(site.pos, [d.site("tip").xpos for d in truths(physics)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: Joints(p, ("elbw",)), "no joint 'elbw'; it has elbow"),
        (lambda p: Site(p, "tp"), "no site 'tp'; it has tip"),
        (lambda p: Body(p, "xyzzy"), "no body 'xyzzy'; it has ball, lower, post, puck, upper"),
        (lambda p: Sensors(p, ("angl",)), "no sensor 'angl'; it has angle"),
        (lambda p: Actuators(p, ("serv",)), "no actuator 'serv'; it has servo"),
        (lambda p: Joints(p, ("socket",)), "neither hinge nor slide"),
        (lambda p: Body(p, "lower").linvel, "has no free joint"),
        (lambda p: Body(p, "ball").set_pose({}, torch.zeros(3)), "has no free joint"),
    ],
)
def test_wrong_names_are_told(physics, make, message):
    with pytest.raises(ValueError, match=message):
        make(physics)
