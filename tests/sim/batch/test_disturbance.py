"""Noise is on what is sensed, and what is derived from it agrees with the reading; pushes; late actions."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.disturbance import SensorNoise
from sim.batch.env import BatchEnv, EnvConfig
from sim.tasks.arm import ArmTask
from sim.tasks.registry import TASKS, make_task, task_class
from tests.contracts.env_suite import actions

ARMS = sorted(n for n in TASKS if issubclass(task_class(n), ArmTask))


def randomised(name, tmp_path, num_envs=16):
    return BatchEnv(make_task(name, preset="randomised"), EnvConfig(num_envs, fault_dir=str(tmp_path)))


def terms(env, obs):
    """The observation by its terms, (num_envs, k) each."""
    names = np.array([n.rsplit(".", 1)[0] for n in env.spec.obs["observation"].names])
    return {str(n): obs["observation"][:, torch.as_tensor(names == n)] for n in dict.fromkeys(names)}


# ---- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        ("push", {"to_object": ("object_pos", "ee_pos")}),
        ("pick_place", {"to_cube": ("cube_pos", "ee_pos")}),
        ("stack", {"to_blue": ("blue_pos", "ee_pos"), "to_red": ("red_pos", "blue_pos")}),
        ("drawer", {"to_handle": ("handle_pos", "ee_pos")}),
        ("faucet", {"to_tip": ("tip_pos", "ee_pos")}),
    ],
)
def test_derived_terms_have_no_noise_of_their_own(name, differences, tmp_path):
    """So that averaging a quantity with what is derived from it tells nothing more."""
    env = randomised(name, tmp_path)
    for action in actions(env, 2):
        seen = terms(env, env.step(action)[0])
    for derived, (of, from_) in differences.items():
        torch.testing.assert_close(seen[derived], seen[of] - seen[from_], rtol=0, atol=1e-6)
        assert float((seen[of] - env.task.observe()[of]).abs().max()) < 1e-6  # one draw per step


@pytest.mark.parametrize("name", ARMS)
def test_grasp_centre_is_where_the_joint_readings_put_it(name, tmp_path):
    env = randomised(name, tmp_path, 4)
    seen = terms(env, env.step(actions(env)[0])[0])
    task: ArmTask = env.task
    model, data = env.physics.model, mujoco.MjData(env.physics.model)
    for k in range(4):
        data.qpos[:] = env.physics.field("qpos")[k]
        for joint, value in zip(task.arm.names, seen["joint_pos"][k], strict=True):
            data.joint(joint).qpos[0] = float(value)
        mujoco.mj_kinematics(model, data)
        shift = np.abs(seen["ee_pos"][k].numpy() - task.ee.pos[k].numpy()).max()
        assert 1e-4 < shift < 0.02
        np.testing.assert_allclose(seen["ee_pos"][k], data.site("ee").xpos, atol=3e-5)


def test_lever_and_drawer_agree_with_their_readings(tmp_path):
    env = randomised("faucet", tmp_path)
    seen = terms(env, env.reset(seed=1))
    reach = torch.linalg.vector_norm(seen["tip_pos"] - seen["pivot_pos"], dim=-1)
    torch.testing.assert_close(reach, torch.full_like(reach, float(reach[0])), rtol=1e-4, atol=0)
    env = randomised("drawer", tmp_path)
    seen, task = terms(env, env.reset(seed=1)), env.task
    moved = seen["handle_pos"] - task.handle.pos
    outward = -(moved[:, :2] * seen["handle_axis"]).sum(-1, keepdim=True)
    torch.testing.assert_close(seen["opening_m"] - task.slide.pos, outward, rtol=0, atol=1e-6)
    assert float(outward.std()) == pytest.approx(0.002, rel=0.6)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_velocities_are_noisy_too(name):
    noise = task_class(name)().randomization("randomised").obs_noise
    assert any("vel" in quantity for quantity in noise)


def test_noise_is_drawn_per_quantity_step_and_episode():
    key, steps = torch.arange(2000), torch.zeros(2000, dtype=torch.int64)
    noise = SensorNoise({"a": 0.1, "b_quat": 0.02}, key, steps)
    value, quat = torch.zeros(2000, 2), torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(2000, -1)
    noise.read("a", value), noise.read_quat("b_quat", quat), noise.read("c", value)
    noise.ready()
    noise.draw()
    first = noise.read("a", value)
    assert torch.equal(first, noise.read("a", value)) and noise.read("c", value) is value
    assert first.std() == pytest.approx(0.1, rel=0.05) and abs(float(first.mean())) < 0.01
    turned = noise.read_quat("b_quat", quat)
    torch.testing.assert_close(torch.linalg.vector_norm(turned, dim=-1), torch.ones(2000))
    assert (2.0 * turned[:, 1:]).std() == pytest.approx(0.02, rel=0.05)
    steps += 1
    noise.draw()
    second = noise.read("a", value)
    assert abs(float(torch.corrcoef(torch.stack((first[:, 0], second[:, 0])))[0, 1])) < 0.1


# ---- pushes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TASKS))
def test_randomised_tasks_are_pushed(name, tmp_path):
    """The body is there, the force is as stated, and it acts in some environment within a second."""
    env = randomised(name, tmp_path)
    spread, model = env.task.randomization("randomised"), env.physics.model
    force = torch.zeros(16)
    for action in actions(env, round(1.0 / env.task.config.step_dt)):
        env.step(torch.zeros_like(action))
        at = env.physics.field("xfrc_applied")[:, model.body(spread.push_body).id, :3]
        force = torch.maximum(force, torch.linalg.vector_norm(at, dim=-1))
    assert 0.3 * spread.push_n < float(force.max()) <= spread.push_n * (1 + 1e-5)
    assert env.faults.count == 0
