# pyright: reportAttributeAccessIssue=false
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.tasks.registry import make_task
from tests.sim.tasks import solving

FOAM_QPOS = -1
SPONGE_QPOS = slice(9, 12)  # after 7 joints and 2 fingers


@pytest.mark.parametrize(("difficulty", "dirty"), [(0.0, 1), (0.4, 3), (1.0, 6)])
def test_dirt_lies_in_bounds_and_its_markers_on_it(difficulty, dirty):
    env, obs = solving.start("wipe", difficulty)
    assert (obs["achieved_goal"] < 0.5).sum(-1).tolist() == [dirty] * 64
    assert torch.equal(obs["desired_goal"], torch.ones(64, 6))
    half = torch.tensor([0.09, 0.16]) * (0.3 + 0.7 * difficulty)
    assert ((env.task.patches - torch.tensor([0.5, 0.0])).abs() <= half + 1e-6).all()
    markers = env.physics.field("mocap_pos")
    torch.testing.assert_close(markers[:, :, :2], env.task.patches)
    assert ((markers[:, :, 2] > 0.0) == (obs["achieved_goal"] < 0.5)).all()


@pytest.mark.parametrize(("squeeze_mm", "worn"), [(0.0, 0.0), (1.0, 0.0), (3.0, 0.24), (5.5, 0.0)])
def test_dirt_wears_with_force_times_way(squeeze_mm, worn):
    """Foam of 2 N/mm gives 6 N at 3 mm, in the range of 3 to 10 N; over 10 mm 0.06 J of a patch's 0.25 J."""
    env = solving.make_env("wipe", 1)
    task, ids = env.task, torch.tensor([0])
    task.patches[0] = task.sponge.pos[0, :2] + torch.tensor([0.5, 0.0])
    task.patches[0, 0] = task.sponge.pos[0, :2] + torch.tensor([0.02, 0.01])
    qpos = env.physics.field("qpos").clone()
    qpos[0, SPONGE_QPOS] += torch.tensor([0.006, 0.008, 0.0])
    qpos[0, FOAM_QPOS] = squeeze_mm / 1000
    env.physics.write(ids, {"qpos": qpos})
    task.after_step()
    expected = torch.ones(1, 6)
    expected[0, 0] -= worn
    torch.testing.assert_close(task.dirt, expected, atol=1e-3, rtol=0.0)


def test_success_needs_every_patch():
    task = make_task("wipe")
    rows = torch.tensor([[1.0] * 6, [0.91] * 6, [1.0] * 5 + [0.5]])
    assert task.success(rows, torch.ones(6)).tolist() == [True, True, False]


def test_sponge_is_held_by_friction_while_it_wipes():
    env = solving.make_env("wipe", 4, difficulty=0.4)
    solver, task, obs = solving.make_solver("wipe", env), env.task, env.reset(seed=0)
    slip, forces = torch.zeros(4), []
    for _ in range(task.config.max_steps):
        dirty = task.dirt.amax(-1) > 0.1
        obs, _, _, _, info = env.step(solver.act(obs))
        slip = torch.maximum(slip, torch.linalg.vector_norm(task.sponge.pos - task.ee.pos, dim=-1))
        forces.append(task.force()[dirty])
    assert info["success"].all()
    assert slip.max() < 0.004
    assert (env.physics.field("mocap_pos")[:, :, 2] < 0.0).all()  # no dirt is shown any more
    force = torch.cat(forces)
    assert 5.0 < force[force > 1.0].median() < 8.0


def test_dropped_sponge_fails():
    env = solving.make_env("wipe", 2)
    qpos = env.physics.field("qpos").clone()[:1]
    qpos[0, SPONGE_QPOS] -= torch.tensor([0.0, 0.0, 0.1])
    env.physics.write(torch.tensor([0]), {"qpos": qpos})
    _, _, terminated, _, info = env.step(torch.zeros(2, env.num_actions))
    assert info["failed"].tolist() == [True, False] == terminated.tolist()


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"force_n is \(5.0, 2.0\); use 0 <= low <= high"):
        make_task("wipe", force_n=(5.0, 2.0))
    with pytest.raises(ValueError, match=r"work_j is 0.0; use a positive number"):
        make_task("wipe", work_j=0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.9)])
def test_solver_rate(preset, least):
    assert solving.solve_rate("wipe", 128, preset=preset) >= least
