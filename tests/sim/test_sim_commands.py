"""habilis envs, play, bench-sim: what a user sees."""

import json

import numpy as np
import pytest

import habilis

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")


def run(*argv, capsys):
    code = habilis.main(list(argv))
    return code, *capsys.readouterr()


def test_envs_tells_the_spaces_of_a_task(capsys):
    code, out, _ = run("envs", "reach", "--json", "-", capsys=capsys)
    row = json.loads(out)["envs"][0]
    assert code == 0
    assert row["shapes"] == {"action": [3], "observation": [17], "achieved_goal": [3], "desired_goal": [3]}
    assert row["goal"] == ["x", "y", "z"]


def test_envs_tells_tasks_from_worlds_and_keeps_columns_apart(capsys):
    _, out, _ = run("envs", "tabletop", "faucet", capsys=capsys)
    assert out.index("TASKS") < out.index("faucet: ") < out.index("WORLDS") < out.index("tabletop: ")
    assert "-1.2 to 1.2  rad" in out


def test_envs_shows_a_task_in_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("envs", "reach", capsys=capsys)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["space", "shape", "bounds", "unit", "entries"] in rows
    assert ["action", "3", "-1", "to", "1", "x,", "y,", "z"] in rows
    assert ["goal", "3", "none", "m", "x,", "y,", "z"] in rows
    assert ["observation", "17", "none", "joint_pos", "7,", "joint_vel", "7,", "ee_pos", "3"] in rows


def test_envs_tells_bounds_units_and_names(capsys):
    _, out, _ = run("envs", "press", "--json", "-", capsys=capsys)
    spaces = json.loads(out)["envs"][0]["spaces"]
    assert spaces["goal"] == {
        "shape": [3], "low": None, "high": None, "unit": "m, m, N", "names": ["x", "y", "force"],
    }  # fmt: skip
    assert (spaces["action"]["low"], spaces["action"]["high"]) == (-1.0, 1.0)
    assert len(spaces["observation"]["names"]) == spaces["observation"]["shape"][0]


@pytest.mark.render
def test_play_that_fails_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    from sim.tasks.reach import Reach

    def breaks(self):
        if self.last_action.any():
            raise ValueError("out of order")

    monkeypatch.setattr(Reach, "after_step", breaks)
    code, _, err = run("play", "env=reach", f"run_dir={tmp_path}", "policy=random", capsys=capsys)
    assert code == 2 and "out of order" in err
    assert not list(tmp_path.iterdir())


def test_envs_names_what_there_is(capsys):
    code, _, err = run("envs", "reech", capsys=capsys)
    assert code == 2 and "reach" in err


@pytest.mark.parametrize("policy", ["random", "zero"])
def test_play_without_a_video(policy, capsys):
    argv = ("env=reach", f"policy={policy}", "episodes=2", "run_dir=null", "env.task.config.episode_s=0.4")
    code, out, _ = run("play", *argv, "--json", "-", capsys=capsys)
    figures = json.loads(out)
    assert code == 0 and figures["n"] == 2 and figures["lengths"] == [10, 10] and figures["files"] == {}


def test_play_tells_of_no_video_where_none_is_made(tmp_path, capsys):
    argv = ("env=reach", "policy=zero", "episodes=1", f"run_dir={tmp_path}", "env.task.config.episode_s=0.4")
    code, out, _ = run("play", *argv, "video.enabled=false", "--json", "-", capsys=capsys)
    assert code == 0 and json.loads(out)["files"] == {} and not list(tmp_path.iterdir())


@pytest.mark.render
def test_play_writes_a_video_of_the_solver(tmp_path, capsys):
    import av

    argv = ("env=reach", "episodes=1", f"run_dir={tmp_path}", "env.task.config.episode_s=1.6")
    code, out, _ = run("play", *argv, "--json", "-", capsys=capsys)
    figures = json.loads(out)
    assert code == 0 and figures["score"] == 1.0
    with av.open(figures["files"]["video"]) as video:
        frames = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
    assert len(frames) == 41  # the reset, and every step of 0.04 s at 25 frames per second
    assert np.abs(frames[0][:, :960].astype(int) - frames[-1][:, :960]).max() > 50


@pytest.mark.parametrize(
    "argv, words",
    [
        (("play", "env=tabletop"), "world"),
        (("play", "policy=clever"), "solver"),
        (("play", "policy=missing.onnx"), "no policy at"),
        (("play", "episodes=0"), "at least 1"),
        (("play", "video.fps=0"), "video.fps is 0"),
        (("play", "seed=1.5"), "seed is 1.5; input should be a valid integer"),
        (("play", "sim.num_threads=1.5"), "num_threads is 1.5; input should be a valid integer"),
        (("play", "env.task.config.decimation=2.5"), "decimation is 2.5"),
        (("play", "env.task.config.physics_dt=slow"), "physics_dt is 'slow'"),
        (("play", "env.task.config.tolerance_m=-1"), "tolerance_m is -1; use a positive number"),
        (("play", "env.task.config.region_m=[0.1,0.2]"), "region_m[2]"),
        (("play", "sim.num_threads=-1"), "num_threads"),
        (("play", "sim.device=cuda:0"), "sim=warp"),
        (("play", "env.task.config.decimation=-2"), "decimation"),
        (("play", "env=reech"), "did you mean"),
        (("bench-sim", "steps=0"), "steps"),
        (("bench-sim", "num_envs=[0]"), "num_envs"),
        (("bench-sim", "num_envs=64"), "num_envs is 64; input should be a valid tuple"),
        (("bench-sim", "envs=reach"), "envs is 'reach'; input should be a valid tuple"),
        (("bench-sim", "camera=[64]"), "camera is [64]"),
        (("bench-sim", "envs=[fly]"), "unknown task"),
        (("bench-sim", "envs=['procedural:x']"), "'procedural:x' has no seed; use procedural:7"),
        (("run", "pick up the block", "env=reach"), "task"),
    ],
)
def test_bad_input_is_one_line_and_code_2(argv, words, capsys, tmp_path):
    code, _, err = run(
        argv[0], *argv[1:], f"run_dir={tmp_path}" if argv[0] != "bench-sim" else "others=false", capsys=capsys
    )
    assert code == 2 and words in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_bench_sim_reports_every_key(capsys):
    argv = ("envs=[reach]", "num_envs=[8]", "steps=3", "others=false")
    code, out, _ = run("bench-sim", *argv, "--json", "-", capsys=capsys)
    row = json.loads(out)["rows"][0]
    assert code == 0 and row["env_steps_per_s"] > 0 and 0 < row["ratio_to_raw"] < 2
    keys = (
        "env backend num_envs env_steps_per_s ratio_to_raw ratio_to_gym_async ratio_to_sb3_subproc mb_per_env"
    )
    assert set(keys.split()) <= set(row)


def test_bench_sim_measures_a_task_drawn_from_a_seed(capsys):
    argv = ("envs=['procedural:6']", "num_envs=[2]", "steps=2", "others=false", "memory=false")
    code, out, _ = run("bench-sim", *argv, "--json", "-", capsys=capsys)
    row = json.loads(out)["rows"][0]
    assert code == 0 and row["env"] == "procedural:6" and row["env_steps_per_s"] > 0


@pytest.mark.render
def test_bench_sim_times_cameras(capsys):
    argv = ("envs=[reach]", "num_envs=[2]", "steps=1", "others=false", "camera=[32,24]")
    code, out, _ = run("bench-sim", *argv, "--json", "-", capsys=capsys)
    assert code == 0 and json.loads(out)["rows"][0]["camera_frames_per_s"] > 0


@pytest.mark.slow
def test_bench_sim_measures_the_others(capsys):
    code, out, _ = run("bench-sim", "envs=[reach]", "num_envs=[64]", "steps=10", "--json", "-", capsys=capsys)
    row = json.loads(out)["rows"][0]
    assert code == 0 and row["ratio_to_gym_async"] > 0 and row["ratio_to_sb3_subproc"] > 0
