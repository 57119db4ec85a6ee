"""The tasks in the manner of IsaacGymEnvs; rl-games learns `reach` unmodified."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")
pytest.importorskip("gymnasium", reason="gymnasium is missing: pip install 'habilis[train]'")

import torch

from sim.vec_task import VecTask, make


@pytest.fixture
def task():
    task = make("reach", 4, seed=2, episode_s=0.12)
    yield task
    task.close()


def test_names_and_shapes(task):
    assert task.num_envs == task.num_environments == 4
    assert task.num_acts == task.num_actions == 3 and task.action_space.shape == (3,)
    assert task.num_obs == task.num_observations == 20  # 17 of the arm, 3 of the goal
    assert task.observation_space.shape == (20,) and task.num_states == 0
    assert set(task.get_env_info()) == {"observation_space", "action_space"}
    assert task.get_number_of_agents() == 1 and not task.has_action_masks()
    obs = task.reset()
    assert obs.keys() == {"obs"} and obs["obs"].shape == (4, 20) and obs["obs"].dtype == torch.float32
    assert task.reset_buf.tolist() == [1] * 4 and task.progress_buf.tolist() == [0] * 4
    assert torch.equal(obs["obs"], task.reset()["obs"])  # asking again resets nothing


def test_steps_and_resets(task):
    steps = task.max_episode_length
    for k in range(2 * steps):
        _, reward, reset, extras = task.step(task.zero_actions())
        ends = (k + 1) % steps == 0
        assert reset.tolist() == [int(ends)] * 4 and reset.dtype == torch.long
        assert extras["time_outs"].tolist() == [ends] * 4 and ("episode" in extras) == ends
        assert torch.equal(reward, task.rew_buf) and torch.equal(reset, task.reset_buf)
        assert task.progress_buf.tolist() == [0 if ends else (k + 1) % steps] * 4
    assert task.reset_done()[1].tolist() == [0, 1, 2, 3]
    assert float(extras["episode"]["length"]) == steps
    before = task.step(task.zero_actions())[0]["obs"]
    task.reset_idx(torch.tensor([2]))
    after = task.reset()["obs"]
    assert torch.equal(after[[0, 1, 3]], before[[0, 1, 3]]) and not torch.equal(after[2], before[2])


def test_results_are_kept(task):
    """rl-games stores what a step returned; later steps do not change it."""
    first = task.step(task.zero_actions())
    kept = [first[0]["obs"].clone(), first[1].clone(), first[2].clone(), first[3]["time_outs"].clone()]
    for _ in range(task.max_episode_length):
        task.step(torch.ones(4, 3))
    now = [first[0]["obs"], first[1], first[2], first[3]["time_outs"]]
    assert all(torch.equal(a, b) for a, b in zip(kept, now, strict=True))


def test_observations_are_clipped():
    task = make("reach", 2, clip_obs=0.25)
    assert float(task.reset()["obs"].abs().max()) == 0.25
    assert task.observation_space.high[0] == 0.25
    task.close()


def test_seed_begins_again(task):
    first = task.reset()["obs"]
    task.step(task.zero_actions())
    task.seed(2)
    assert torch.equal(task.reset()["obs"], first)


def test_success_is_no_time_out():
    task = make("reach", 2, stop_on_success=True, tolerance_m=10.0)
    *_, reset, extras = task.step(task.zero_actions())
    assert reset.tolist() == [1, 1] and extras["time_outs"].tolist() == [False, False]
    task.close()


def test_bad_input():
    with pytest.raises(ValueError, match="unknown task"):
        make("Ant", 4)
    with pytest.raises(ValueError, match="at least 1"):
        make("reach", 0)
    with pytest.raises(ValueError, match="clip_obs"):
        make("reach", 1, clip_obs=0.0)
    with pytest.raises(ValueError, match="auto_reset=True"):
        make("reach", 1, auto_reset=False)


def test_critic_sees_states():
    """Where a task has privileged parts, `states` is `obs` and then those."""

    class Batch:
        def __init__(self, inner):
            self.inner = inner
            obs = inner.spec.obs
            self.spec = type(inner.spec)(
                {**obs, "privileged": obs["achieved_goal"]}, inner.spec.action, inner.spec.goal, 0.04
            )

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def reset(self, *args, **kwargs):
            obs = self.inner.reset(*args, **kwargs)
            return {**obs, "privileged": obs["achieved_goal"]}

    batch = Batch(make("reach", 2).batch)
    task = VecTask(batch)
    views = task.reset()
    assert task.num_states == 23 and views["states"].shape == (2, 23)
    assert torch.equal(views["states"][:, :20], views["obs"])
    assert task.get_env_info()["state_space"].shape == (23,)
    task.close()


# ---- rl-games -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rl_games():
    pytest.importorskip("rl_games", reason="rl-games is missing: pip install 'habilis[train]'")
    from sim.adapters import rl_games

    return rl_games


@pytest.mark.long
def test_rl_games_learns_and_plays(rl_games, tmp_path, capsys):
    """PPO of rl-games 1.6.5, unmodified: the return of an episode of 25 steps rises from about -5."""
    from rl_games.common.algo_observer import IsaacAlgoObserver

    returns = []

    class Watch(IsaacAlgoObserver):
        def process_infos(self, infos, done_indices):
            super().process_infos(infos, done_indices)
            if "episode" in infos:
                returns.append(float(infos["episode"]["return"]))

    common = {"num_envs": 64, "seed": 1, "train_dir": str(tmp_path), "settings": {"episode_s": 1.0}}
    config = rl_games.RlGamesConfig(max_epochs=30, horizon_length=25, **common)
    rl_games.run(config, Watch())
    first, last = sum(returns[:3]) / 3, sum(returns[-3:]) / 3
    assert last - first >= 2.0, (first, last)

    (checkpoint,) = tmp_path.glob("*/nn/reach.pth")
    capsys.readouterr()
    rl_games.run(rl_games.RlGamesConfig(test=True, checkpoint=str(checkpoint), games=64, **common))
    played = float(capsys.readouterr().out.split("av reward:")[1].split()[0])
    assert played >= first + 2.0


def test_checkpoints_that_could_run_code_are_refused(rl_games, tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return (os.getcwd, ())

    path = tmp_path / "evil.pth"
    torch.save({"model": Evil()}, path)
    config = {"test": True, "num_envs": 1}
    with pytest.raises(ValueError, match=r"holds more than weights: posix\.getcwd"):
        rl_games.run(rl_games.RlGamesConfig(checkpoint=str(path), **config))
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="holds more than weights"):
        rl_games.run(rl_games.RlGamesConfig(checkpoint=str(path), **config))
    with pytest.raises(ValueError, match="there is no checkpoint"):
        rl_games.run(rl_games.RlGamesConfig(checkpoint=str(tmp_path / "none.pth"), **config))
    with pytest.raises(ValueError, match="checkpoint="):
        rl_games.run(rl_games.RlGamesConfig(**config))


def test_arguments_of_isaacgymenvs_mean_the_same():
    task = make(
        seed=3, task="reach", num_envs=2, sim_device="cpu", rl_device="cpu", graphics_device_id=0,
        headless=True, multi_gpu=False, virtual_screen_capture=False, force_render=True,
        clip_actions=0.5, clip_observations=0.2,
    )  # fmt: skip
    twin = make("reach", 2, seed=3)
    try:
        assert task.clip_obs == 0.2 and task.clip_actions == 0.5 and task.rl_device == "cpu"
        full, half = torch.ones(2, task.num_acts), torch.full((2, task.num_acts), 0.5)
        obs, exact = task.step(full)[0]["obs"], twin.step(half)[0]["obs"]
        assert torch.equal(obs, exact.clamp(-0.2, 0.2)) and obs.abs().max() == torch.tensor(0.2)
    finally:
        task.close()
        twin.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rl_device": "cuda:0"}, "rl_device is cuda:0; tensors stay on sim_device, cpu: use the same"),
        ({"headless": False}, "headless=False asks for a viewer; use headless=True"),
        ({"multi_gpu": True}, "multi_gpu=True is not known here"),
        ({"clip_actions": 0.0}, "clip_actions is 0.0; use a positive number"),
        ({"clip_observations": -1.0}, "clip_obs is -1.0; use a positive number"),
    ],
)
def test_arguments_without_a_meaning_here_are_refused_in_one_line(wrong, message):
    with pytest.raises(ValueError, match=message) as error:
        make("reach", 1, **wrong)
    assert "\n" not in str(error.value)


def test_reset_buf_starts_at_one_and_tells_of_the_last_step(task):
    """As in IsaacGymEnvs, though nothing is left to reset; the first step that ends no episode clears it."""
    assert task.reset_buf.tolist() == [1] * 4
    before = task.reset()["obs"]
    assert torch.equal(task.reset()["obs"], before)
    task.step(task.zero_actions())
    assert task.reset_buf.tolist() == [0] * 4 and task.progress_buf.tolist() == [1] * 4
