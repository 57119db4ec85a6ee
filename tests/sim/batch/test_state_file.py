"""The state of an environment: in memory and in a file, under the settings that it belongs to."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.curriculum import CurriculumConfig
from sim.batch.env import BatchEnv, EnvConfig
from sim.tasks.registry import make_task
from tests.contracts.env_suite import actions

CURRICULUM = CurriculumConfig(enabled=True)


def make(tmp_path, name="reach", num_envs=3, env=None, **settings):
    return BatchEnv(make_task(name, **settings), EnvConfig(num_envs, fault_dir=str(tmp_path), **(env or {})))


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.mark.parametrize("name", ["reach", "tweezer_hand"])
def test_arrays_continue_the_run(tmp_path, name):
    """In another environment; what was taken does not change while the first one goes on."""
    env, other = (make(tmp_path, name, preset="randomised", env={"seed": s}) for s in (1, 2))
    drawn = actions(env, 6)
    for action in drawn[:3]:
        obs = env.step(action)[0]
    arrays = env.state_arrays()
    later = [env.step(action) for action in drawn[3:]]
    other.step(drawn[0])
    assert_same(other.load_state_arrays(arrays), obs)
    for action, (obs, reward, *_) in zip(drawn[3:], later, strict=True):
        again = other.step(action)
        assert_same(again[0], obs)
        assert torch.equal(again[1], reward)


def test_arrays_are_numbers_and_the_file_has_the_same(tmp_path):
    env = make(tmp_path)
    arrays = env.state_arrays()
    assert all(isinstance(v, np.ndarray) and v.dtype.kind in "biuf" for v in arrays.values())
    env.save_state(tmp_path / "state.npz")
    with np.load(tmp_path / "state.npz", allow_pickle=False) as stored:
        assert set(stored.files) == arrays.keys()
        assert all(np.array_equal(stored[k], v) for k, v in arrays.items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"episode_s": 3.0}, r"env.task.episode_s is 2.0 in the state, here it is 3.0"),
        ({"preset": "randomised"}, "env.task.preset is 'nominal' in the state, here it is 'randomised'"),
        ({"region_m": (0.1, 0.1, 0.1)}, r"env.task.region_m is \[0.15, 0.25, 0.2\]"),
        ({"env": {"stop_on_success": True}}, "env.stop_on_success is False in the state, here it is True"),
        ({"env": {"curriculum": CURRICULUM}}, "env.curriculum is .*'enabled': False.* here it is"),
        ({"name": "push"}, "the state is a state of task reach, not of task push"),
        ({"num_envs": 2}, r"shape \(3,.*expected \(2,"),
    ],
)
def test_state_under_other_settings_is_refused(tmp_path, settings, message):
    """One line names the setting and both values, and nothing has changed."""
    arrays, other = make(tmp_path).state_arrays(), make(tmp_path, **settings)
    before = other.reset(seed=0)
    with pytest.raises(ValueError, match=message) as error:
        other.load_state_arrays(arrays)
    assert "\n" not in str(error.value)
    still, fresh = torch.zeros(other.num_envs, other.num_actions), make(tmp_path, **settings)
    assert_same(fresh.reset(seed=0), before)
    assert_same(other.step(still)[0], fresh.step(still)[0])


def test_seed_folder_and_threads_may_differ(tmp_path):
    env = make(tmp_path)
    other = BatchEnv(make_task("reach"), EnvConfig(3, seed=9, fault_dir=str(tmp_path / "elsewhere")))
    assert_same(other.load_state_arrays(env.state_arrays()), env._observe())


# ---- a seed begins a fresh run --------------------------------------------------------------------


def run(env, num_steps, seed):
    generator = torch.Generator().manual_seed(seed)
    outs = []
    for _ in range(num_steps):
        action = torch.rand(env.num_envs, env.num_actions, generator=generator) * 2 - 1
        obs, reward, *_ = env.step(action)
        outs.append({k: v.clone() for k, v in obs.items()} | {"reward": reward.clone()})
    return outs


@pytest.mark.parametrize("name", ["reach", "pick_place", "tweezer_hand"])
def test_reset_with_a_seed_is_a_new_environment(tmp_path, name):
    """Whatever was run before, the curriculum's progress included."""
    settings = {"name": name, "num_envs": 4, "preset": "randomised", "episode_s": 0.4}
    used, new = (make(tmp_path, **settings, env={"curriculum": CURRICULUM, "seed": s}) for s in (3, 7))
    run(used, 30, 0)
    used.curriculum.update(torch.tensor([0, 5]), torch.ones(2))
    assert used.curriculum.count.sum() > 0
    used.reset(seed=7)
    assert used.curriculum.count.sum() == 0
    for a, b in zip(run(used, 25, 1), run(new, 25, 1), strict=True):
        assert_same(a, b)
    assert_same(used.curriculum.memory(), new.curriculum.memory())


def test_partial_reset_with_a_seed_keeps_the_curriculum(tmp_path):
    env = make(tmp_path, env={"curriculum": CURRICULUM})
    env.curriculum.update(torch.tensor([1]), torch.ones(1))
    env.reset(seed=4, mask=torch.tensor([True, False, False]))
    assert env.curriculum.count.tolist()[1] == 1
