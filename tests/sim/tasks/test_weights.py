"""Weights of reward terms from the configuration, on every task."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

import habilis
from sim.batch.env import BatchEnv, EnvConfig
from sim.tasks.registry import TASKS, make_task
from tests.contracts.env_suite import actions

GENERIC = sorted(set(TASKS) - {"reorient"})  # which has a dataclass of its own for them


@pytest.mark.parametrize("name", GENERIC)
def test_yaml_lists_the_terms_with_the_weights_of_the_task(name, tmp_path):
    env = BatchEnv(make_task(name), EnvConfig(num_envs=1, fault_dir=str(tmp_path)))
    goal, shaping = env.task.goal_terms(), env.task.shaping_terms()
    written = (habilis.CONFIG_DIR / "env" / f"{name}.yaml").read_text().split("    weights:\n")[1]
    found = re.findall(r"^      (\w+): null  # (\S+)$", written, re.MULTILINE)
    assert found == [(k, str(t.weight)) for k, t in {**goal, **shaping}.items()]
    env.close()


def test_a_weight_scales_its_term_and_no_other(tmp_path):
    weights = {"distance": -6.0, "approach": 0.0}
    envs = [
        BatchEnv(make_task("push", weights=w), EnvConfig(num_envs=2, fault_dir=str(tmp_path)))
        for w in ({}, weights)
    ]
    for action in actions(envs[0], 3):
        (_, plain, *_), (obs, reward, _, _, info) = (env.step(action[:2]) for env in envs)
    own, changed = (env.term_sums() for env in envs)
    torch.testing.assert_close(changed["reward/distance"], 3.0 * own["reward/distance"])  # -6 for -2
    assert "reward/approach" not in changed and (own["reward/approach"] < 0).all()
    assert torch.equal(changed["reward/close"], own["reward/close"]) and not torch.equal(reward, plain)
    again = envs[1].compute_reward(obs["achieved_goal"], obs["desired_goal"], info)
    assert torch.equal(reward, again)


def test_a_weight_of_no_term_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"weights of task push name no term 'distanc'; its terms are distance, "
    ):
        BatchEnv(make_task("push", weights={"distanc": 1.0}), EnvConfig(1, fault_dir=str(tmp_path)))
    with pytest.raises(ValueError, match=r"weights\[distance\].* is 'much'"):
        make_task("push", weights={"distance": "much"})


def test_weights_are_set_on_the_command_line():
    cfg = habilis.compose("train", ["env=push", "env.task.config.weights.distance=-3"])
    assert habilis.instantiate(cfg.env.task).config.weights == {"distance": -3}
    with pytest.raises(habilis.UsageError, match=r"distanc', did you mean 'distance'"):
        habilis.compose("train", ["env=push", "env.task.config.weights.distanc=-3"])
