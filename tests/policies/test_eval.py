"""habilis eval, export and play of trained policies: what a user sees."""

import json
import shutil

import pytest

import habilis

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `train`)")

from omegaconf import OmegaConf  # noqa: E402

from policies import shipped  # noqa: E402
from policies.artifact import CARD, ONNX, WEIGHTS, load_policy, save_policy  # noqa: E402
from policies.networks import RnnNet  # noqa: E402

pytestmark = pytest.mark.long
KEYS = "score n ci95 mean_return mean_length faults seconds void policy task experiment seed"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of `reach` whose policy is a recurrent network that was never trained."""
    cfg = habilis.compose("train", ["experiment=reach_sac"])
    env = habilis.build_env(cfg, num_envs=1)
    spec = env.spec
    env.close()
    torch.manual_seed(0)
    keys = ("observation", "achieved_goal", "desired_goal")
    net = RnnNet(keys, [sum(spec.obs[k].shape[0] for k in keys), 8, *spec.action.shape])
    about = {"experiment": cfg.name, "env": OmegaConf.to_container(cfg.env, resolve=True), "seed": 1}
    run = tmp_path_factory.mktemp("run")
    save_policy(run / "policy", net, spec, about)
    return run


def run(*argv, capsys):
    code = habilis.main(list(argv))
    return code, *capsys.readouterr()


def figures(*argv, capsys):
    code, out, err = run(*argv, "--json", "-", capsys=capsys)
    assert code == 0, err
    return json.loads(out)


def test_the_solver_succeeds_and_doing_nothing_does_not(capsys):
    short = ("env=reach", "episodes=6", "num_envs=4")
    solver = figures("eval", "policy=solver", *short, "hold_s=0.08", capsys=capsys)
    assert set(solver) == set(KEYS.split())
    assert (solver["score"], solver["n"], solver["void"], solver["task"]) == (1.0, 6, 0, "reach")
    assert solver["ci95"][0] == pytest.approx(0.6097, abs=1e-4) and solver["ci95"][1] == 1.0  # 1 / (1 + z²/6)
    zero = figures("eval", "policy=zero", *short, capsys=capsys)
    assert zero["score"] < 0.5 and zero["mean_length"] == 50.0
    assert zero["mean_return"] < solver["mean_return"]


def test_a_run_its_files_and_another_batch_size_give_the_same(run_folder, capsys):
    """Episodes depend on their seed alone, and what a recurrent policy remembers ends with its episode."""
    short = ("experiment=reach_sac", "env.task.config.episode_s=0.4", "episodes=4")
    found = [
        figures("eval", f"policy={path}", *short, f"num_envs={n}", capsys=capsys)
        for path, n in (
            (run_folder, 4),
            (run_folder / "policy" / WEIGHTS, 2),
            (run_folder / "policy" / ONNX, 1),
        )
    ]
    assert all(f["mean_length"] == 10.0 and f["n"] == 4 for f in found)
    assert [f["mean_return"] for f in found] == pytest.approx([found[0]["mean_return"]] * 3, abs=1e-6)


def test_the_weights_that_ship_are_evaluated_in_their_experiment(run_folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(run_folder / "policy", tmp_path / "weights" / "reach_sac")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    short = ("experiment=reach_sac", "env.task.config.episode_s=0.2")
    found = figures("eval", *short, "episodes=2", capsys=capsys)
    assert found["policy"] == "weights/reach_sac" and found["experiment"] == "reach_sac"
    assert found["mean_return"] == -5.0  # sparse, as the experiment has it: -1 in each of 5 steps
    played = figures("play", *short, "episodes=1", "run_dir=null", capsys=capsys)
    assert played["lengths"] == [5] and played["returns"] == [-5.0]


def test_an_experiment_decides_the_environment_and_how_long_to_hold():
    cfg = habilis.compose("eval", ["experiment=push_sac", "env.task.config.preset=randomised", "episodes=3"])
    trained = habilis.compose("train", ["experiment=push_sac"])
    assert cfg.experiment == trained.name and cfg.episodes == 3
    assert cfg.hold_s == trained.loop.eval.hold_s
    assert cfg.env.task.config.preset == "randomised"
    assert cfg.env.task.config.reward == trained.env.task.config.reward == "sparse"
    assert habilis.compose("eval", ["experiment=push_sac", "hold_s=0.7"]).hold_s == 0.7


def test_seeds_of_an_evaluation_are_not_those_of_training():
    train, evaluation = habilis.compose("train"), habilis.compose("eval")
    selection = train.loop.eval
    assert evaluation.seed > selection.seed + selection.episodes
    assert evaluation.seed > 2000 * habilis.ENVS_PER_SEED


def test_play_takes_a_run(run_folder, capsys):
    argv = ("env=reach", "episodes=2", "run_dir=null", "env.task.config.episode_s=0.2")
    found = figures("play", f"policy={run_folder}", *argv, capsys=capsys)
    assert found["lengths"] == [5, 5]


def test_export_writes_all_three_files(run_folder, tmp_path, capsys):
    found = figures("export", str(run_folder), f"to={tmp_path / 'out'}", capsys=capsys)
    assert sorted(found["files"]) == [CARD, ONNX, WEIGHTS]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [CARD, ONNX, WEIGHTS]
    (run_folder / "policy" / ONNX).unlink()
    code, _, err = run("export", str(run_folder), capsys=capsys)
    assert code == 0, err
    assert (run_folder / "policy" / ONNX).is_file()


def test_figures_of_eval_go_into_the_card(run_folder, tmp_path, capsys):
    file = tmp_path / "figures.json"
    argv = ("env=reach", "episodes=2", "env.task.config.episode_s=0.2", "seed=77")
    assert habilis.main(["eval", f"policy={run_folder}", *argv, "--json", str(file)]) == 0
    out = tmp_path / "out"
    figures(
        "export", str(run_folder), f"to={out}", f"evaluation={file}", "limits=Never trained.", capsys=capsys
    )
    card = (out / CARD).read_text()
    assert "| success | 0.0% of 2 episodes" in card and "with seeds from 77 on" in card
    assert "* Never trained." in card
    assert load_policy(out).about["evaluation"]["score"] == 0.0
    file.write_text(json.dumps({**json.loads(file.read_text()), "task": "push"}))
    code, _, err = run("export", str(run_folder), f"to={out}", f"evaluation={file}", capsys=capsys)
    assert code == 2 and "is of task push, the policy of reach" in err


@pytest.mark.parametrize(
    "argv, words",
    [
        (("eval",), "say which policy"),
        (("eval", "policy=clever"), "no policy 'clever'; use random, zero, solver"),
        (("eval", "policy=missing/policy.onnx"), "no policy at missing/policy.onnx"),
        (("eval", "policy=RUN", "env=push"), "was made for task reach, not for push; choose env=reach"),
        (
            ("eval", "policy=RUN", "env.task.config.decimation=5"),
            "acts every 0.04 s, task reach every 0.02 s",
        ),
        (("eval", "policy=RUN", "env=tabletop"), "world"),
        (("eval", "experiment=reech"), "no experiment 'reech'"),
        (("eval", "experiment=reach_sac", "env.task.config.tolerence_m=1"), "did you mean 'tolerance_m'"),
        (("eval", "experiment=reach_sac", "episode=1"), "did you mean 'episodes'"),
        (("eval", "policy=zero", "episodes=0"), "at least 1 episode"),
        (("eval", "policy=zero", "episodes=many"), "episodes is 'many'; use a whole number"),
        (("eval", "policy=zero", "num_envs=2.5"), "num_envs is 2.5; use a whole number"),
        (("eval", "policy=zero", "hold_s=-1"), "hold_s is -1.0; use 0 or more"),
        (("eval", "policy=zero", "hold_s=long"), "hold_s is 'long'; use a number of seconds"),
        (("play", "policy=RUN", "env=push"), "was made for task reach"),
        (("export",), "name one policy"),
        (("export", "RUN", "evaluation=none.json"), "none.json is no result of `habilis eval --json FILE`"),
        (("export", "nowhere"), "no policy at nowhere"),
        (("export", "RUN/policy/policy.onnx"), "is exported already"),
    ],
)
def test_bad_input_is_one_line_and_code_2(argv, words, run_folder, capsys):
    argv = [a.replace("RUN", str(run_folder)) for a in argv]
    code, _, err = run(*argv, capsys=capsys)
    assert code == 2 and words in err and err.count("\n") == 1


def test_an_experiment_without_weights_says_what_there_is(tmp_path, monkeypatch, capsys):
    (tmp_path / "push_sac").mkdir()
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    code, _, err = run("eval", "experiment=reach_sac", capsys=capsys)
    assert code == 2 and "no weights ship for experiment 'reach_sac' (there are: push_sac)" in err
