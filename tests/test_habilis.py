"""The front door: dispatch, one-line errors, composition and assembly of every configuration."""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import habilis

CONFIGS = sorted(habilis.CONFIG_DIR.rglob("*.yaml"))


def run(*argv, capsys):
    code = habilis.main(argv)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_help_names_every_command(capsys):
    code, out, _ = run("--help", capsys=capsys)
    assert code == habilis.DONE
    assert all(f"habilis {name}" in out for name in habilis.COMMANDS)


def test_help_imports_nothing_heavy():
    loaded = subprocess.run(
        [sys.executable, "-c", "import habilis, sys; habilis.main(['--help']); print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=habilis.CONFIG_DIR.parent,
    ).stdout.split()
    assert not {"numpy", "hydra", "mujoco", "torch", "cv2", "rich"} & set(loaded)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["rnu", "x"], "did you mean 'run'"),
        (["run"], "one instruction"),
        (["run", "a", "b"], "one instruction"),
        (["run", ""], "empty"),
        (["run", "x" * 10_000], "10000 characters"),
        (["run", "x", "env.sed=3"], "did you mean 'seed'"),
        (["run", "x", "model=scriptd"], "did you mean 'scripted'"),
        (["run", "x", "env.seed=[1"], "env.seed"),
        (["run", "x", "transport=smoke"], "transport"),
        (["run", "x", "env.family=juggle", "run_dir=null"], "families"),
        (["run", "x", "env.seed=abc", "run_dir=null"], "integer"),
        (["run", "x", "+foo=1"], "key that exists"),
        (["run", "x", "video=false"], "video.enabled"),
        (["run", "x", "video=null"], "video.enabled"),
        (["run", "x", "skills=null"], "skills.allow"),
        (["run", "x", "agent.budget=5"], "agent.budget.max_turns"),
        (["run", "x", "agent.budget=null"], "agent.budget.max_turns"),
        (["tools", "skills.allow=pick"], "a list such as [look_at,pick], or all"),
        (["tools", "skills.allow=null"], "a list such as [look_at,pick], or all"),
        (["tools", "skills.allow=[pik]"], "did you mean 'pick'"),
        (["bench", "benchmark=blink", "retries=1"], "retries.tries"),
        (["tools", "--json", "/nowhere/x.json"], "folder that exists"),
        (["bench", "families=[juggle]"], "families: container"),
        (["bench", "families=[question]"], "families: container"),
        (["run", "x", "--jsn"], "--json"),
        (["run", "x", "--json"], "needs a value"),
        (["run", "x", "run_dir=/proc/none"], "run_dir"),
        (["doctor", "a=b"], "no key=value"),
        (["trace"], "one run"),
        (["bench", "benchmark=tabeltop"], "did you mean 'tabletop'"),
        (["bench", "episodes=0"], "at least 1"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(argv, words, capsys):
    code, _, err = run(*argv, capsys=capsys)
    assert code == habilis.USAGE
    assert words in err
    assert err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    ("module", "extra"),
    [("torch", "train"), ("cyclonedds.idl", "ros"), ("pandas", "convert"), ("nothing", "")],
)
def test_what_is_not_installed_is_said_with_what_installs_it(monkeypatch, capsys, module, extra):
    def dispatch(argv):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(habilis, "_dispatch", dispatch)
    code, _, err = run("envs", capsys=capsys)
    assert code == habilis.FAILED and err.count("\n") == 1
    install = (
        f"{module.split('.')[0]}, which is not installed: pip install -c constraints.txt -e '.[{extra}]'"
    )
    assert (install in err) if extra else (f"No module named {module!r}" in err)


def test_extras_are_those_of_the_package():
    extras = tomllib.loads((habilis.CONFIG_DIR.parent / "pyproject.toml").read_text("utf-8"))
    known = extras["project"]["optional-dependencies"]
    listed = {e: re.split(r"[><=\s]", " ".join(known[e]).replace("-", "_")) for e in habilis._EXTRAS}
    others = {"rsl_rl": "rsl_rl_lib", "warp": "mujoco_warp"}
    for extra, names in habilis._EXTRAS.items():
        assert {others.get(n, n) for n in names.split()} <= set(listed[extra]), extra


def test_missing_trace_fails_in_one_line(capsys, tmp_path):
    code, _, err = run("trace", str(tmp_path / "nowhere"), capsys=capsys)
    assert code == habilis.FAILED and err.count("\n") == 1 and "nowhere" in err


def test_words_and_overrides_are_told_apart():
    words, overrides, options = habilis._split(["put a = b there", "env.seed=3", "+x=1", "--json", "-"])
    assert words == ["put a = b there"]
    assert overrides == ["env.seed=3", "+x=1"]
    assert options == {"--json": "-"}


def test_cfg_job_prints_the_resolved_configuration(capsys):
    code, out, _ = run("run", "--cfg", "job", "env.seed=42", capsys=capsys)
    assert code == habilis.DONE
    assert yaml.safe_load(out)["env"]["seed"] == 42


def test_tools_json_has_every_schema(capsys):
    code, out, _ = run("tools", "--json", "-", "skills.allow=[pick]", capsys=capsys)
    listed = {t["name"]: t for t in json.loads(out)["tools"]}
    assert code == habilis.DONE
    assert {"capture", "detect", "grasp", "pick", "stop"} <= set(listed)
    assert listed["pick"]["allowed"] and not listed["place"]["allowed"]
    assert all(t["parameters"]["type"] == "object" for t in listed.values())


def test_all_skills_can_be_allowed(capsys):
    code, out, _ = run("tools", "--json", "-", "skills.allow=all", capsys=capsys)
    skills = [t for t in json.loads(out)["tools"] if t["moves_robot"]]
    assert code == habilis.DONE and len(skills) > 10
    assert all(t["allowed"] for t in skills)


def test_envs_lists_families(capsys):
    code, out, _ = run("envs", "--json", "-", capsys=capsys)
    assert code == habilis.DONE
    rows = {row["name"]: row for row in json.loads(out)["envs"]}
    assert "container" in rows["tabletop"]["families"]


def _targets(node):
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from _targets(value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: str(p.relative_to(habilis.CONFIG_DIR)))
def test_config_dataclasses_are_written_out_in_full(path):
    """What YAML leaves out could not be overridden; what it has too much would be refused."""
    for node in _targets(yaml.safe_load(path.read_text())):
        module, _, name = node["_target_"].rpartition(".")
        target = getattr(importlib.import_module(module), name)
        if dataclasses.is_dataclass(target):
            injected = {
                "ExecutorConfig": {"allow"},
                "RobotInterface": {"watchdog", "arming", "is_real"},  # of configs/interface/default.yaml
            }.get(name, set())
            fields = {f.name for f in dataclasses.fields(target)}
            written = set(node) - {"_target_"}
            assert fields - injected <= written <= fields, node["_target_"]


@pytest.mark.parametrize("group", ["env", "robot", "model", "tools", "agent", "viewer"])
def test_every_option_of_a_group_composes(group):
    root = habilis.CONFIG_DIR / group
    options = sorted(str(p.relative_to(root).with_suffix("")) for p in root.rglob("*.yaml"))
    assert options
    for option in options:
        cfg = habilis.compose("run", [f"{group}={option}"])
        assert cfg[group]


def test_instantiate_refuses_foreign_targets_and_unknown_keys():
    with pytest.raises(habilis.UsageError, match="not allowed"):
        habilis.instantiate({"_target_": "os.system", "command": "true"})
    with pytest.raises(habilis.UsageError, match="did you mean 'fps'"):
        habilis.instantiate({"_target_": "sim.video.VideoConfig", "fpss": 3})


def test_instantiate_builds_inner_nodes_and_tuples():
    built = habilis.instantiate({"a": {"_target_": "sim.video.VideoConfig", "fps": 3}, "b": [1, 2]})
    assert built["a"].fps == 3
    assert built["b"] == (1, 2)


def test_no_package_init_imports_heavy_modules():
    code = f"import sys; import {', '.join(habilis.ROOMS)}; print(*sys.modules)"
    root = Path(habilis.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert not {"torch", "mujoco", "rclpy", "transformers", "open3d", "cv2"} & set(done.stdout.split())
