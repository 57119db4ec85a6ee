"""Action terms: what a policy's numbers make of the controls."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.actions import (
    EeVelocity,
    GripperTarget,
    JointTargets,
    leashed,
    rotation_error,
    rotation_matrix,
)
from sim.batch.physics import PhysicsConfig, make_physics
from sim.robots.fr3 import ARM_JOINTS, FINGER_JOINTS, GRIPPER_ACTUATOR, HOME
from sim.tasks.arm import arm_scene

NUM_ENVS = 3
HOME_OFFSETS = torch.tensor([0.0, 0.2, -0.2])


@pytest.fixture(scope="module")
def model():
    spec = arm_scene()
    spec.option.timestep = 0.004
    return spec.compile()


@pytest.fixture
def physics(model):
    """The arm at rest, in three postures, held by its servos."""
    physics = make_physics(model, NUM_ENVS, PhysicsConfig(num_threads=1))
    qpos = physics.field("qpos").clone()
    arm = [int(model.joint(j).qposadr[0]) for j in ARM_JOINTS]
    qpos[:, arm] = torch.tensor(HOME, dtype=torch.float32) + HOME_OFFSETS[:, None]
    ctrl = torch.zeros(NUM_ENVS, model.nu)
    ctrl[:, [model.actuator(j).id for j in ARM_JOINTS]] = qpos[:, arm]
    physics.reset(torch.arange(NUM_ENVS), {"qpos": qpos, "ctrl": ctrl})
    yield physics
    physics.close()


def controls(physics):
    return physics.field("ctrl").clone()


# ---- targets of joints ----------------------------------------------------------------------------


def test_absolute_targets_span_the_control_range(physics):
    term = JointTargets(physics, ARM_JOINTS)
    ids = [physics.model.actuator(j).id for j in ARM_JOINTS]
    low, high = physics.model.actuator_ctrlrange[ids].T
    for value, expected in ((-1.0, low), (1.0, high), (0.0, (low + high) / 2)):
        ctrl = controls(physics)
        term.apply(torch.full((NUM_ENVS, 7), value), ctrl)
        np.testing.assert_allclose(ctrl[1, ids], expected, rtol=1e-5)


def test_steps_add_to_the_last_target_and_stop_at_the_range(physics):
    term, ctrl = JointTargets(physics, ARM_JOINTS[:1], step=0.1), controls(physics)
    column = physics.model.actuator(ARM_JOINTS[0]).id
    first = ctrl[:, column].clone()
    term.apply(torch.tensor([[1.0], [-0.5], [0.0]]), ctrl)
    torch.testing.assert_close(ctrl[:, column] - first, torch.tensor([0.1, -0.05, 0.0]))
    for _ in range(100):
        term.apply(torch.ones(NUM_ENVS, 1), ctrl)
    high = float(physics.model.actuator_ctrlrange[column, 1])
    torch.testing.assert_close(ctrl[:, column], torch.full((NUM_ENVS,), high))


def test_smoothing_keeps_a_share_of_the_last_target(physics):
    """From target a towards b with share k kept: after n steps b + (a - b) k^n."""
    sharp, smooth = JointTargets(physics, ARM_JOINTS), JointTargets(physics, ARM_JOINTS, smoothing=0.6)
    action = torch.full((NUM_ENVS, 7), 0.3)
    start = controls(physics)
    goal, ctrl = start.clone(), start.clone()
    sharp.apply(action, goal)
    for _ in range(4):
        smooth.apply(action, ctrl)
    torch.testing.assert_close(ctrl, goal + (start - goal) * 0.6**4)


def test_targets_that_cannot_be(physics):
    with pytest.raises(ValueError, match=r"smoothing is 1\.0"):
        JointTargets(physics, ARM_JOINTS, smoothing=1.0)
    xml = """<mujoco><worldbody><body><joint name="j"/><geom size="1" mass="1"/></body></worldbody>
    <actuator><motor name="free" joint="j"/></actuator></mujoco>"""
    other = make_physics(mujoco.MjModel.from_xml_string(xml), 1, PhysicsConfig())
    with pytest.raises(ValueError, match="free need a ctrlrange"):
        JointTargets(other, ["free"])


def test_gripper_opens_and_closes(physics):
    column = physics.model.actuator(GRIPPER_ACTUATOR).id
    low, high = physics.model.actuator_ctrlrange[column]
    fast, slow = (GripperTarget(physics, [GRIPPER_ACTUATOR], step) for step in (None, 0.01))
    ctrl = controls(physics)
    fast.apply(torch.tensor([[1.0], [-1.0], [0.0]]), ctrl)
    np.testing.assert_allclose(ctrl[:, column], [high, low, (low + high) / 2], atol=1e-7)
    slow.apply(torch.full((NUM_ENVS, 1), -1.0), ctrl)
    np.testing.assert_allclose(ctrl[:, column], [high - 0.01, low, (low + high) / 2 - 0.01], atol=1e-6)
    assert [physics.model.joint(j).type[0] for j in FINGER_JOINTS]  # the fingers exist


# ---- Cartesian steps ------------------------------------------------------------------------------


def ee(physics, **settings):
    return EeVelocity(physics, ARM_JOINTS, ARM_JOINTS, "ee", **settings)


def pose(physics, env):
    _, data = physics.mj_data(env)
    return data.site("ee").xpos.copy(), data.site("ee").xmat.reshape(3, 3).copy()


def drive(physics, term, action, steps):
    ctrl = controls(physics)
    for _ in range(steps):
        term.apply(action, ctrl)
        physics.step(ctrl, 10)


def test_jacobian_is_mujocos(physics):
    """A twist comes back from the joint displacements through `mj_jacSite`, but for the damping."""
    term = ee(physics, damping=1e-4)
    twist = torch.tensor([[0.01, -0.02, 0.015, 0.02, 0.01, -0.03]]).expand(NUM_ENVS, -1)
    joint_step = term._solve(torch.tensor(np.stack([pose(physics, i)[0] for i in range(3)])).float(), twist)
    for i in range(NUM_ENVS):
        model, data = physics.mj_data(i)
        linear, angular = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        mujoco.mj_jacSite(model, data, linear, angular, model.site("ee").id)
        dofs = [int(model.joint(j).dofadr[0]) for j in ARM_JOINTS]
        found = np.vstack((linear, angular))[:, dofs] @ joint_step[i].numpy()
        np.testing.assert_allclose(found, twist[i], atol=2e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_moves_along_one_axis_and_keeps_its_orientation(physics, axis):
    starts = [pose(physics, i) for i in range(NUM_ENVS)]
    action = torch.zeros(NUM_ENVS, 3)
    action[:, axis] = -0.5
    term = ee(physics, step_m=0.01)
    drive(physics, term, action, 20)  # 0.1 m asked for
    drive(physics, term, torch.zeros(NUM_ENVS, 3), 20)
    for i, (start, mat) in enumerate(starts):
        now, turned = pose(physics, i)
        moved = now - start
        assert -0.105 < moved[axis] < -0.08
        assert np.abs(np.delete(moved, axis)).max() < 0.01
        assert np.linalg.norm(Rotation.from_matrix(turned @ mat.T).as_rotvec()) < 0.03


def test_yaw_turns_about_the_worlds_vertical(physics):
    starts = [pose(physics, i)[1] for i in range(NUM_ENVS)]
    term = ee(physics, step_rad=0.05)
    assert term.names == ("x", "y", "z", "yaw")
    action = torch.zeros(NUM_ENVS, 4)
    action[:, 3] = 1.0
    drive(physics, term, action, 8)
    drive(physics, term, torch.zeros(NUM_ENVS, 4), 20)
    for i, start in enumerate(starts):
        turn = Rotation.from_matrix(pose(physics, i)[1] @ start.T).as_rotvec()
        np.testing.assert_allclose(turn, [0.0, 0.0, 0.4], atol=0.03)


def test_target_does_not_run_away(physics):
    """Asked on and on for what it can't do, the target stays within its lead, and comes back soon."""
    term = ee(physics, step_m=0.03, lead_m=0.04)
    action = torch.tensor([[1.0, 0.0, 0.0]]).expand(NUM_ENVS, -1)
    drive(physics, term, action, 60)  # far beyond the arm's reach
    gap = term.memory()["goal_pos"].numpy() - np.stack([pose(physics, i)[0] for i in range(NUM_ENVS)])
    assert np.linalg.norm(gap, axis=1).max() < 0.05
    far = [pose(physics, i)[0][0] for i in range(NUM_ENVS)]
    drive(physics, term, -action, 20)
    assert all(pose(physics, i)[0][0] < x - 0.1 for i, x in enumerate(far))


def test_turning_target_does_not_run_away(physics):
    """Turned on and on beyond the last joint's limit, the hand comes back as soon as it is asked to."""
    term = ee(physics, step_rad=0.1)
    turn = torch.tensor([[0.0, 0.0, 0.0, 1.0]]).expand(NUM_ENVS, -1)
    drive(physics, term, turn, 70)  # 7 rad
    blocked = [pose(physics, i)[1] for i in range(NUM_ENVS)]
    goals = term.memory()["goal_mat"].double().numpy()
    for goal, mat in zip(goals, blocked, strict=True):
        assert np.linalg.norm(Rotation.from_matrix(goal @ mat.T).as_rotvec()) < 0.45
    drive(physics, term, -turn, 10)
    for i, mat in enumerate(blocked):
        back = Rotation.from_matrix(pose(physics, i)[1] @ mat.T).as_rotvec()
        assert back[2] < -0.4


def test_target_stays_in_its_box(physics):
    low, high = (0.0, -1.0, 0.3), (1.0, 1.0, 1.0)
    drive(physics, ee(physics, limits_m=(low, high)), torch.tensor([[0.0, 0.0, -1.0]]).expand(3, -1), 60)
    for i in range(NUM_ENVS):
        assert pose(physics, i)[0][2] == pytest.approx(0.3, abs=0.01)
    with pytest.raises(ValueError, match="lower bound"):
        ee(physics, limits_m=(high, low))


def test_a_reset_forgets_the_target_of_that_environment(physics):
    term = ee(physics)
    drive(physics, term, torch.ones(NUM_ENVS, 3), 5)
    before = term.memory()["goal_pos"].clone()
    term.reset(torch.tensor([1]), {})
    term.apply(torch.zeros(NUM_ENVS, 3), controls(physics))
    after = term.memory()["goal_pos"]
    torch.testing.assert_close(after[1], physics.field("site_xpos")[1, physics.model.site("ee").id])
    assert not torch.equal(after[1], before[1])


def test_chains_that_do_not_fit(physics):
    with pytest.raises(ValueError, match="7 joints but 6 actuators"):
        EeVelocity(physics, ARM_JOINTS, ARM_JOINTS[:6], "ee")
    with pytest.raises(ValueError, match="hinge joints only"):
        EeVelocity(physics, FINGER_JOINTS[:1], [GRIPPER_ACTUATOR], "ee")


# ---- rotations ------------------------------------------------------------------------------------


def test_rotation_matrices():
    rotvec = np.concatenate((np.zeros((1, 3)), np.random.default_rng(0).normal(size=(50, 3)) * 2.0))
    rotvec = np.concatenate((rotvec, rotvec * 1e-4))
    ours = rotation_matrix(torch.tensor(rotvec, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(ours, Rotation.from_rotvec(rotvec).as_matrix(), atol=3e-6)


def test_a_leashed_rotation_is_on_the_way():
    """Of a turn of 1.5 rad about an axis, 0.4 rad are left; one of 0.3 rad is kept to the bit."""
    rng = np.random.default_rng(2)
    current = Rotation.random(20, rng=rng)
    axis = rng.normal(size=(20, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    far, near = (Rotation.from_rotvec(axis * angle) * current for angle in (1.5, 0.3))
    here, far, near = (torch.tensor(r.as_matrix(), dtype=torch.float32) for r in (current, far, near))
    expected = (Rotation.from_rotvec(axis * 0.4) * current).as_matrix()
    np.testing.assert_allclose(leashed(far, here, 0.4).numpy(), expected, atol=1e-5)
    assert torch.equal(leashed(near, here, 0.4), near)


def test_rotation_error_points_to_the_goal():
    """Its length is the sine of the angle; its direction the axis, in world."""
    rng = np.random.default_rng(1)
    current = Rotation.random(50, rng=rng)
    axis = rng.normal(size=(50, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = rng.uniform(0.0, np.pi, (50, 1))
    goal = Rotation.from_rotvec(axis * angle) * current
    matrices = (torch.tensor(r.as_matrix(), dtype=torch.float32) for r in (goal, current))
    np.testing.assert_allclose(rotation_error(*matrices).numpy(), np.sin(angle) * axis, atol=1e-5)
