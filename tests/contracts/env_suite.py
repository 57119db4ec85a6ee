"""Conformance suite of the `Env` contract as `BatchEnv` keeps it. Every backend runs it over all tasks:

@pytest.mark.parametrize("name", sorted(TASKS))
class TestMyBackend(EnvSuite):
    physics = PhysicsConfig(backend="...")
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from policies.env import Env
from sim.batch.env import BatchEnv, EnvConfig, Obs, compile_scene
from sim.batch.physics import PhysicsConfig
from sim.tasks.registry import make_task, task_class

NUM_ENVS = 4
STEPS = 4


@functools.cache
def _model(name: str) -> mujoco.MjModel:
    return compile_scene(make_task(name))


def actions(env: BatchEnv, steps: int = STEPS, seed: int = 0) -> Tensor:
    """Return random actions in [-1, 1], (steps, num_envs, num_actions); env i's do not depend on num_envs."""
    drawn = [
        torch.rand(steps, env.num_actions, generator=torch.Generator().manual_seed(1000 * seed + i)) * 2 - 1
        for i in range(env.num_envs)
    ]
    return torch.stack(drawn, 1).to(env.device)


class EnvSuite:
    """Inherit, parametrise over the tasks, and set `physics`.

    Attributes:
        physics: The backend.
        tolerance: Largest difference of two runs that should be equal; 0 where they repeat bit for bit.
    """

    physics = PhysicsConfig()
    tolerance = 0.0

    def same(self, a: Tensor, b: Tensor) -> bool:
        """Return whether two results that should be equal are."""
        return torch.equal(a, b) if not self.tolerance else torch.allclose(a, b, atol=self.tolerance)

    def differences(self, a: Obs, b: Obs, rows: Any = slice(None)) -> list[str]:
        """Return the parts of two observations that differ in `rows`."""
        assert a.keys() == b.keys()
        return [k for k in a if not self.same(a[k][rows], b[k][rows])]

    @pytest.fixture
    def make(self, name: str, tmp_path: Path) -> Any:
        """Build environments of the task; settings of `EnvConfig` and of the task's config by keyword."""
        built: list[BatchEnv] = []

        def make(num_envs: int = NUM_ENVS, **given: Any) -> BatchEnv:
            own = {k: given.pop(k) for k in list(given) if k in EnvConfig.__dataclass_fields__}
            own = {"physics": self.physics, "fault_dir": str(tmp_path / "faults"), **own}
            env = BatchEnv(make_task(name, **given), EnvConfig(num_envs=num_envs, **own), _model(name))
            built.append(env)
            return env

        yield make
        for env in built:
            env.close()

    # ---- shapes and values --------------------------------------------------------------------------

    def test_spec_agrees_with_the_tensors(self, make: Any) -> None:
        env = make()
        implementer: object = env
        assert isinstance(implementer, Env)
        obs, reward, terminated, truncated, info = env.step(actions(env)[0])
        assert obs.keys() == env.spec.obs.keys() >= {"observation", "achieved_goal", "desired_goal"}
        for key, value in {**obs, **{f"final {k}": v for k, v in info["final_obs"].items()}}.items():
            spec = env.spec.obs[key.removeprefix("final ")]
            assert tuple(value.shape) == (env.num_envs, *spec.shape), key
            assert value.dtype == torch.float32 and str(value.device) == env.device, key
            assert not spec.names or len(spec.names) == spec.shape[-1], key
            assert len(set(spec.names)) == len(spec.names), key
        assert env.spec.goal == env.spec.obs["desired_goal"] == env.spec.obs["achieved_goal"]
        action = env.spec.action
        assert action.shape == (env.num_actions,) and len(action.names) == env.num_actions
        assert (action.low, action.high) == (-1.0, 1.0)
        assert env.spec.step_dt == pytest.approx(env.physics.model.opt.timestep * env.task.config.decimation)
        for value, dtype in ((reward, torch.float32), (terminated, torch.bool), (truncated, torch.bool)):
            assert tuple(value.shape) == (env.num_envs,) and value.dtype == dtype
            assert str(value.device) == env.device
        for key in ("success", "failed", "fault", "shaping", "step"):
            assert tuple(info[key].shape) == (env.num_envs,), key

    def test_all_is_finite_under_extreme_actions(self, make: Any) -> None:
        env = make(preset="randomised")
        drawn = torch.sign(actions(env, 24))
        for k, action in enumerate(drawn):
            obs, reward, _, _, info = env.step(action)
            assert all(bool(v.isfinite().all()) for v in obs.values()), k
            assert bool(reward.isfinite().all()), k
            assert not info["fault"].any(), k

    def test_observations_are_copies(self, make: Any) -> None:
        """What `reset` and `step` returned does not change later."""
        env = make()
        first = env.reset(seed=0)
        kept = {k: v.clone() for k, v in first.items()}
        second = env.step(actions(env)[0])[0]
        kept_second = {k: v.clone() for k, v in second.items()}
        env.step(actions(env)[1])
        env.reset()
        assert not self.differences(first, kept) and not self.differences(second, kept_second)

    def test_actions_are_clipped(self, make: Any) -> None:
        a, b = make(), make()
        action = actions(a)[0]
        a.step(torch.sign(action))
        b.step(torch.sign(action) * 50)
        assert not self.differences(a.step(action)[0], b.step(action)[0])

    # ---- identities of a goal environment -----------------------------------------------------------

    @pytest.mark.parametrize("reward_kind", ["dense", "sparse"])
    @settings(
        max_examples=4,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(seed=st.integers(0, 10_000), stop=st.booleans())
    def test_identities(self, make: Any, reward_kind: str, seed: int, stop: bool) -> None:
        """Reward and termination are functions of achieved goal, desired goal and info, for any goal."""
        env = make(seed=seed, reward=reward_kind, stop_on_success=stop, preset="randomised")
        for action in actions(env, 3, seed):
            _, reward, terminated, truncated, info = env.step(action)
            achieved, desired = info["final_obs"]["achieved_goal"], info["final_obs"]["desired_goal"]
            assert torch.equal(reward, env.compute_reward(achieved, desired, info))
            assert torch.equal(terminated, env.compute_terminated(achieved, desired, info))
            assert torch.equal(truncated, env.compute_truncated(achieved, desired, info))
            assert torch.equal(info["success"], env.task.success(achieved, desired))
            goals = torch.stack([desired, achieved, desired.roll(1, 0)])
            many = env.compute_reward(achieved, goals, info)
            for goal, value in zip(goals, many, strict=True):
                torch.testing.assert_close(value, env.compute_reward(achieved, goal, info))
            if reward_kind == "sparse":
                assert torch.equal(reward, info["success"].to(torch.float32) - 1.0)
            else:
                terms = env.task.goal_terms().values()
                total = sum((t.weight * t.fn(achieved, desired) for t in terms), info["shaping"])
                torch.testing.assert_close(reward, total)

    def test_shaping_does_not_read_the_goal(self, make: Any) -> None:
        a, b = make(), make()
        b.desired_goal.copy_(b.desired_goal.roll(1, 0))
        for action in actions(a):
            assert self.same(a.step(action)[4]["shaping"], b.step(action)[4]["shaping"])

    def test_reward_terms_are_logged(self, make: Any) -> None:
        env = make()
        short = make(episode_s=2 * env.task.config.step_dt)
        total = torch.zeros(short.num_envs, device=short.device)
        for action in actions(short, 2):
            _, reward, _, _, info = short.step(action)
            total += reward
        stats = info["episode"]
        torch.testing.assert_close(stats["return"], total)
        terms = {k: v for k, v in stats.items() if k.startswith("reward/")}
        assert terms.keys() == {
            f"reward/{t}" for t in (*short.task.goal_terms(), *short.task.shaping_terms())
        }
        torch.testing.assert_close(sum(terms.values()), total)

    # ---- determinism --------------------------------------------------------------------------------

    @pytest.mark.parametrize("preset", ["nominal", "randomised"])
    def test_equal_seeds_give_equal_runs(self, make: Any, preset: str) -> None:
        a, b = make(seed=7, preset=preset), make(seed=0, preset=preset)
        assert not self.differences(a.reset(seed=7), b.reset(seed=7))
        for action in actions(a):
            first, second = a.step(action), b.step(action)
            assert not self.differences(first[0], second[0])
            assert self.same(first[1], second[1])

    @pytest.mark.parametrize("preset", ["nominal", "randomised"])
    def test_environment_does_not_know_its_batch(self, make: Any, preset: str) -> None:
        """Environment i of a batch is the batch of one with seed + i."""
        batch, one = make(seed=3, preset=preset), make(1, seed=5, preset=preset)
        drawn = actions(batch)
        for k in range(-1, STEPS):
            a = batch.reset(seed=3) if k < 0 else batch.step(drawn[k])[0]
            b = one.reset(seed=5) if k < 0 else one.step(drawn[k, 2:3])[0]
            assert not [key for key in a if not self.same(a[key][2], b[key][0])], k

    def test_environments_differ(self, make: Any) -> None:
        obs = make(8, preset="randomised").reset(seed=0)
        everything = torch.cat([obs["observation"], obs["desired_goal"].flatten(1)], -1)
        assert len(torch.unique(everything, dim=0)) == 8

    def test_episodes_differ_and_a_seed_starts_them_again(self, make: Any) -> None:
        env = make(preset="randomised")
        first, second = env.reset(seed=0), env.reset()
        assert self.differences(first, second)
        assert not self.differences(first, env.reset(seed=0))
        assert not self.differences(second, env.reset())

    @pytest.mark.parametrize("preset", ["nominal", "randomised"])
    def test_partial_reset_touches_no_other(self, make: Any, preset: str) -> None:
        env, twin = make(preset=preset), make(preset=preset)
        drawn = actions(env, 2 * STEPS)
        mask = torch.tensor([True, False, False, True], device=env.device)
        for action in drawn[:STEPS]:
            env.step(action)
            last = twin.step(action)[0]
        assert not self.differences(env.reset(mask=mask), last, ~mask)
        assert env.episode_step.tolist() == [0, STEPS, STEPS, 0]
        for action in drawn[STEPS:]:
            (a, a_reward, *_), (b, b_reward, *_) = env.step(action), twin.step(action)
            assert not self.differences(a, b, ~mask)
            assert self.same(a_reward[~mask], b_reward[~mask])

    def test_empty_partial_reset_does_nothing(self, make: Any) -> None:
        env = make()
        before = env.step(actions(env)[0])[0]
        nobody = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
        assert not self.differences(env.reset(mask=nobody), before)

    # ---- episodes -----------------------------------------------------------------------------------

    def test_episode_ends_and_the_next_begins(self, make: Any) -> None:
        """With `auto_reset`, the last step returns the next episode's first observation."""
        episode_s = 3 * make().task.config.step_dt
        env = make(episode_s=episode_s)
        twin = make(episode_s=episode_s, auto_reset=False)
        everybody = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
        total = torch.zeros(env.num_envs, device=env.device)
        for k, action in enumerate(actions(env, 3)):
            obs, reward, terminated, truncated, info = env.step(action)
            last = twin.step(action)[0]
            total += reward
            assert not self.differences(info["final_obs"], last)
            assert ("episode" in info) == bool((terminated | truncated).any())
            assert truncated.tolist() == [k == 2] * env.num_envs
            assert torch.equal(
                truncated, env.compute_truncated(obs["achieved_goal"], last["desired_goal"], info)
            )
            assert info["step"].tolist() == [k + 1] * env.num_envs
        stats = info["episode"]
        assert stats["length"].tolist() == [3] * env.num_envs
        assert torch.equal(stats["return"], total)
        assert torch.equal(stats["success"], info["success"].to(torch.float32))
        assert env.episode_step.tolist() == [0] * env.num_envs
        assert not self.differences(obs, twin.reset(mask=everybody))
        assert not self.differences(env.step(action)[0], twin.step(action)[0])

    def test_without_auto_reset_the_caller_resets(self, make: Any) -> None:
        env = make(auto_reset=False, episode_s=make().task.config.step_dt)
        for action in actions(env, 2):
            obs, _, _, truncated, info = env.step(action)
            assert truncated.all() and not self.differences(obs, info["final_obs"])
        assert env.episode_step.tolist() == [2] * env.num_envs

    def test_stop_on_success(self, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Success terminates where asked to; the others go on."""
        for stop in (False, True):
            env = make(stop_on_success=stop)
            won = torch.tensor([False, True, False, False], device=env.device)
            monkeypatch.setattr(env.task, "success", lambda achieved, desired, won=won: won)
            _, _, terminated, truncated, info = env.step(torch.zeros_like(actions(env)[0]))
            assert info["success"].tolist() == won.tolist()
            assert (terminated & ~info["failed"]).tolist() == (won & stop).tolist()
            assert not truncated.any()
            assert env.episode_step.tolist() == [1 - int(t) for t in terminated]

    def test_difficulty_is_each_environments_own(self, make: Any) -> None:
        easy, hard, mixed = make(difficulty=0.0), make(difficulty=1.0), make(difficulty=1.0)
        assert easy.difficulty.tolist() == [0.0] * easy.num_envs
        mixed.difficulty[1] = 0.0
        at_0, at_1, obs = easy.reset(seed=1), hard.reset(seed=1), mixed.reset(seed=1)
        assert not self.differences(obs, at_0, [1])
        assert not self.differences(obs, at_1, [0, 2, 3])
        assert self.differences(at_0, at_1)

    # ---- saving -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("preset", ["nominal", "randomised"])
    def test_saved_state_continues_exactly(self, make: Any, preset: str, tmp_path: Path) -> None:
        """Also past the end of the episode, in another environment with another seed."""
        episode_s = (STEPS + 2) * make().task.config.step_dt
        env, other = (
            make(seed=1, preset=preset, episode_s=episode_s),
            make(seed=9, preset=preset, episode_s=episode_s),
        )
        drawn = actions(env, 2 * STEPS)
        for action in drawn[:STEPS]:
            obs = env.step(action)[0]
        env.save_state(tmp_path / "state.npz")
        other.step(drawn[-1])
        assert not self.differences(other.load_state(tmp_path / "state.npz"), obs)
        for action in drawn[STEPS:]:
            a, b = env.step(action), other.step(action)
            assert not self.differences(a[0], b[0]) and self.same(a[1], b[1])
            assert a[4].get("episode", {}).keys() == b[4].get("episode", {}).keys()
            assert all(self.same(v, b[4]["episode"][k]) for k, v in a[4].get("episode", {}).items())

    def test_state_of_another_batch_is_refused(self, make: Any, tmp_path: Path) -> None:
        make(2).save_state(tmp_path / "two.npz")
        env = make(3)
        before = env.reset(seed=0)
        with pytest.raises(ValueError, match=r"shape \(2,.*expected \(3,|num_envs is 2"):
            env.load_state(tmp_path / "two.npz")
        with (tmp_path / "none.npz").open("wb") as stream:
            np.savez(stream, a=np.zeros(1))
        with pytest.raises(ValueError, match="is not a state of task"):
            env.load_state(tmp_path / "none.npz")
        (tmp_path / "text.npz").write_text("not an archive")
        for file, message in (("text.npz", "is not an .npz file"), ("nowhere.npz", "there is no file")):
            with pytest.raises(ValueError, match=message):
                env.load_state(tmp_path / file)
        assert not self.differences(env.reset(seed=0), before)

    # ---- faults -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("value", [float("nan"), 1e15])
    def test_diverged_environment_is_dumped_counted_and_reset(self, make: Any, value: float) -> None:
        env, twin = make(), make()
        drawn = actions(env, 3)
        env.step(drawn[0])
        twin.step(drawn[0])
        bad = torch.tensor([1], device=env.device)
        qvel = torch.full((1, env.physics.model.nv), value, device=env.device)
        env.physics.write(bad, {"qvel": qvel}, forward=False)
        others = [0, 2, 3]

        obs, reward, terminated, truncated, info = env.step(drawn[1])
        expected, expected_reward, *_ = twin.step(drawn[1])
        assert info["fault"].tolist() == [False, True, False, False]
        assert truncated.tolist() == [False, True, False, False] and not terminated[1]
        assert env.episode_step.tolist() == [2, 0, 2, 2]
        for part in (obs, info["final_obs"]):
            assert all(bool(v.isfinite().all()) for v in part.values())
        assert bool(reward.isfinite().all()) and not info["success"][1]
        achieved, desired = info["final_obs"]["achieved_goal"], info["final_obs"]["desired_goal"]
        assert torch.equal(reward, env.compute_reward(achieved, desired, info))
        assert torch.equal(terminated, env.compute_terminated(achieved, desired, info))
        assert torch.equal(truncated, env.compute_truncated(achieved, desired, info))
        assert not self.differences(obs, expected, others)
        assert self.same(reward[others], expected_reward[others])

        stats = info["episode"]
        terms = [v for k, v in stats.items() if k.startswith("reward/")]
        torch.testing.assert_close(sum(terms), stats["return"])
        assert env.faults.count == 1 and len(env.faults.paths) == 1
        with np.load(env.faults.paths[0], allow_pickle=False) as dump:
            assert (int(dump["env"]), int(dump["seed"]), int(dump["step"])) == (1, 1, 2)
            assert dump["qpos"].shape == (1, env.physics.model.nq)

        mask = torch.tensor([False, True, False, False], device=env.device)
        assert not self.differences(obs, twin.reset(mask=mask))
        assert not self.differences(env.step(drawn[2])[0], twin.step(drawn[2])[0])

    # ---- bad input ----------------------------------------------------------------------------------

    def test_bad_actions_and_masks_are_refused(self, make: Any) -> None:
        env = make()
        n, k = env.num_envs, env.num_actions
        for shape in ((n, k + 1), (n + 1, k), (k,), (1, n, k)):
            with pytest.raises(ValueError, match=rf"action has shape .*expected \({n}, {k}\)"):
                env.step(torch.zeros(shape))
        for value in (float("nan"), float("inf")):
            action = torch.zeros(n, k)
            action[2, -1] = value
            with pytest.raises(ValueError, match="actions of 1 environments are not finite, first of 2"):
                env.step(action)
        nobody = torch.zeros(n, dtype=torch.bool)
        for mask in (nobody[1:], nobody.float(), nobody[None]):
            with pytest.raises(ValueError, match=rf"expected bool \({n},\)"):
                env.reset(mask=mask)
        assert env.episode_step.tolist() == [0] * n

    def test_bad_settings_are_refused(self, name: str, make: Any) -> None:
        for settings_, message in (
            ({"num_envs": 0}, "at least 1"),
            ({"decimation": -1}, "at least 1 physics step"),
            ({"physics_dt": 0.0}, "physics_dt"),
            ({"episode_s": 0.0}, "episode_s"),
            ({"difficulty": 1.5}, r"\[0, 1\]"),
            ({"reward": "huge"}, "dense or sparse"),
            ({"preset": "wild"}, "nominal or randomised"),
            ({"no_such_setting": 1}, "decimation"),
        ):
            with pytest.raises(ValueError, match=message) as error:
                make(**settings_)
            assert "\n" not in str(error.value)
        with pytest.raises(ValueError, match=name):
            task_class("no-such-task")

    def test_close_is_idempotent(self, make: Any) -> None:
        env = make()
        env.close()
        env.close()
