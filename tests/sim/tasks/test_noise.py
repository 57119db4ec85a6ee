"""Every task's observation has noise under the randomised preset, in all that is sensed; goals have none."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.env import BatchEnv, EnvConfig
from sim.tasks.registry import TASKS, make_task
from sim.tasks.reorient_cloud import CloudConfig
from tests.contracts.env_suite import actions

KNOWN = {
    "target": "what the servos were told",
    "last_action": "what the policy itself said",
    "squeezed": "what the servos were told",
    "dirt": "what the task keeps count of",
    "handle_axis": "the way that a drawer slides, known of its cabinet",
}
"""Terms without noise, and why they need none."""

CASES = [
    *((name, {}) for name in sorted(TASKS)),
    ("tweezer_pick", {"hand": "joints"}),
    ("reorient", {"palm": "down"}),
    ("reorient", {"cloud": CloudConfig(source="model", augment=0.0)}),
    ("reach", {"arm": "ur5e"}),
]


def make_pair(name, tmp_path, **settings):
    """Return the randomised task with its noise, and all else equal without."""
    envs = []
    for is_noisy in (True, False):
        task = make_task(name, preset="randomised", **settings)
        if not is_noisy:
            spread = replace(task.randomization("randomised"), obs_noise=None)
            task.randomization = lambda preset, spread=spread: spread
        envs.append(BatchEnv(task, EnvConfig(num_envs=3, seed=2, fault_dir=str(tmp_path))))
    return envs


def terms(env, obs):
    """The observation by its terms, (num_envs, k) each."""
    names = np.array([n.rsplit(".", 1)[0] for n in env.spec.obs["observation"].names])
    return {str(n): obs["observation"][:, torch.as_tensor(names == n)] for n in dict.fromkeys(names)}


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_noise_is_on_all_that_is_sensed_and_on_no_goal(name, settings, tmp_path):
    noisy, clean = make_pair(name, tmp_path, **settings)
    for action in actions(noisy, 5):
        a, b = (env.step(action) for env in (noisy, clean))
    for key in ("achieved_goal", "desired_goal", "privileged"):
        assert key not in b[0] or torch.equal(a[0][key], b[0][key]), key
    assert torch.equal(a[1], b[1]) and torch.equal(a[4]["success"], b[4]["success"])
    seen, true = terms(noisy, a[0]), terms(clean, b[0])
    assert seen.keys() == true.keys()
    for term, value in seen.items():
        if term in KNOWN or term.endswith("cloud"):
            assert torch.equal(value, true[term]), term
        else:
            assert (value != true[term]).any(1).all(), f"{term} is observed without noise"
    noisy.close()
    clean.close()


@pytest.mark.parametrize(
    ("name", "tool", "site", "fixed", "gap", "target"),
    [
        ("hook_reach", "hook", "grip", "inner", "inner_to_can", "can_pos"),
        ("lever_lift", "stick", "grip", "tip", "tip_to_edge", "edge_pos"),
        ("button_with_assembled_stick", "front", "front_site", "tip", "tip_to_button", "button_pos"),
    ],
)
def test_what_is_fixed_to_a_tool_is_where_its_reading_puts_it(name, tool, site, fixed, gap, target, tmp_path):
    env, _ = make_pair(name, tmp_path)
    seen, task = terms(env, env.step(actions(env)[0])[0]), env.task
    frame, p_fixed = getattr(task, site), getattr(task, fixed).pos
    p_tool = frame.mat.mT @ (p_fixed - getattr(task, tool).pos)[..., None]
    first, second = seen[f"{tool}_axes"].view(-1, 3, 2).unbind(-1)
    third = torch.linalg.cross(first, second)
    # Observed are the axes y and z of what is held at its grip, x and y of a stick's part.
    columns = (third, first, second) if site == "grip" else (first, second, third)
    p_read = seen[f"{tool}_pos"] + (torch.stack(columns, -1) @ p_tool)[..., 0]
    torch.testing.assert_close(seen[gap], seen[target] - p_read, rtol=0, atol=2e-5)
    assert float((p_fixed - p_read).abs().max()) > 1e-4


def test_fingertips_are_where_the_joint_readings_put_them(tmp_path):
    env, _ = make_pair("reorient", tmp_path)
    seen, task = terms(env, env.step(actions(env)[0])[0]), env.task
    tips = seen["tip_to_object"].view(-1, 4, 3) + (seen["object_pos"] + task.palm.pos)[:, None]
    data = mujoco.MjData(env.physics.model)
    for k in range(env.num_envs):
        data.qpos[:] = env.physics.field("qpos")[k]
        for joint, value in zip(task.hand.names, seen["joint_pos"][k], strict=True):
            data.joint(joint).qpos[0] = float(value)
        mujoco.mj_kinematics(env.physics.model, data)
        read = np.array([data.site(tip.name).xpos for tip in task.tips])
        np.testing.assert_allclose(tips[k], read, atol=5e-6)
        assert np.abs(task.tip_pos[k].numpy() - read).max() > 1e-5


def test_tips_of_tweezers_are_where_arm_and_hand_are_read_to_hold_them(tmp_path):
    """In the frame of the tool's reading they are where they are in the tool."""
    env, clean = make_pair("tweezer_pick", tmp_path)
    action = actions(env)[0]
    seen, true = (terms(e, e.step(action)[0]) for e in (env, clean))

    def in_palm(terms, task):
        axes = terms["tool_axes"].view(-1, 3, 2)
        y, z = axes[..., 0], axes[..., 1]
        mat = torch.stack((torch.linalg.cross(y, z), y, z), -1)
        ee = terms["ee_axes"].view(-1, 3, 2)
        R_world_ee = torch.stack((ee[..., 0], ee[..., 1], torch.linalg.cross(ee[..., 0], ee[..., 1])), -1)
        # The palm is fixed to the grasp centre.
        R_ee_palm = task.ee.mat.mT @ task._palm.mat
        p_ee_palm = (task.ee.mat.mT @ (task._palm.pos - task.ee.pos)[..., None])[..., 0]
        p_ee_tip = (R_world_ee.mT @ (terms["tip_pos"] - terms["ee_pos"])[..., None])[..., 0]
        p_palm_tip = (R_ee_palm.mT @ (p_ee_tip - p_ee_palm)[..., None])[..., 0]
        return (mat.mT @ (p_palm_tip - terms["tool_pos"])[..., None])[..., 0]

    torch.testing.assert_close(in_palm(seen, env.task), in_palm(true, clean.task), rtol=0, atol=1e-5)
    apart = seen["tip_to_object"] + seen["tip_pos"] - clean.task.object_pos
    assert 1e-4 < float(apart.abs().max()) < 0.006  # the noise of the object alone: 1 mm
