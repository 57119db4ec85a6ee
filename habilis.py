"""The front door: `habilis COMMAND ...`.

Nothing heavy is imported here: commands are a static table of ``"module:function"`` strings, resolved at
dispatch. They get their configuration from `habilis_config`, and the assembly, `habilis_build`, as arguments.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis_build import (
    ENVS_PER_SEED,
    build,
    build_calibration,
    build_deployment,
    build_env,
    build_evaluator,
    build_picture,
    build_planner,
    build_robot,
    build_trainer,
    deployment_of,
    driver_of,
    open_bus,
)
from habilis_config import (
    CONFIG_DIR,
    ROOMS,
    UsageError,
    compose,
    did_you_mean,
    expand,
    instantiate,
    is_group,
    resolve,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = [
    "COMMANDS",
    "CONFIG_DIR",
    "DONE",
    "ENVS_PER_SEED",
    "FAILED",
    "ROOMS",
    "USAGE",
    "Command",
    "Invocation",
    "UsageError",
    "build",
    "build_calibration",
    "build_deployment",
    "build_env",
    "build_evaluator",
    "build_picture",
    "build_planner",
    "build_robot",
    "build_trainer",
    "compose",
    "deployment_of",
    "driver_of",
    "expand",
    "instantiate",
    "main",
    "open_bus",
    "resolve",
]

__version__ = "0.1.0"
SWEEPS = ("train",)
DONE, FAILED, USAGE = 0, 1, 2


@dataclass(frozen=True)
class Command:
    """One command: where it lives, its config (None: no config), its usage, one line of help, its flags."""

    target: str
    config: str | None
    usage: str
    help: str
    flags: tuple[tuple[str, str], ...] = ()  # options of its own, as the key=value that they stand for
    options: tuple[str, ...] = ()  # options of its own that take a value


COMMANDS = {
    "run": Command(
        "vlm_agent.commands:run",
        "run",
        'run "INSTRUCTION" [key=value ...]',
        "do what was said, and sense that it is done",
    ),
    "ask": Command(
        "vlm_agent.ask_command:ask",
        "ask",
        'ask --image F [--depth F --camera fx,fy,cx,cy] "QUESTION"',
        "ask the planner about a picture of your own",
        options=("--image", "--depth", "--camera", "--depth-scale"),
    ),
    "chat": Command(
        "vlm_agent.chat:chat", "chat", "chat [key=value ...]", "one instruction after the other, with memory"
    ),
    "tools": Command("vlm_agent.commands:tools", "run", "tools", "list the tools and skills"),
    "trace": Command("vlm_agent.commands:trace", None, "trace RUN", "render a run's trace.jsonl to HTML"),
    "envs": Command(
        "sim.commands:envs", None, "envs [NAME ...]", "list the tasks with their spaces, and the worlds"
    ),
    "play": Command(
        "sim.commands:play",
        "play",
        "play env=TASK [policy=solver|random|zero|FILE|RUN]",
        "watch a policy act in a task",
    ),
    "rows": Command(
        "sim.rows_command:rows",
        "rows",
        "rows env=spatial to=FOLDER n=1000",
        "write questions on generated scenes, with pictures and exact answers",
    ),
    "eval": Command(
        "policies.commands:evaluate",
        "eval",
        "eval experiment=NAME | policy=FILE|RUN env=TASK",
        "measure how often a policy succeeds, with an interval",
    ),
    "export": Command(
        "policies.commands:export",
        "export",
        "export RUN_OR_FILE [to=FOLDER]",
        "write a policy as safetensors and ONNX, with its card",
    ),
    "train": Command(
        "policies.training.commands:train",
        "train",
        "train experiment=NAME [key=value ...] [-m key=a,b ...]",
        "train a policy; resume=RUN goes on with one",
    ),
    "sweep": Command(
        "policies.training.commands:sweep", None, "sweep FOLDER", "summarise the runs of a sweep"
    ),
    "bench-sim": Command(
        "sim.commands:bench_sim",
        "bench_sim",
        "bench-sim [envs=[TASK,...]]",
        "measure simulation throughput, as ratios in one run",
    ),
    "bench": Command(
        "vlm_agent.commands:bench",
        "bench",
        "bench [score|compare A B|rescore RUN] benchmark=NAME [key=value ...]",
        "measure a planner on a benchmark; --list shows them",
        (("--list", "list=true"), ("--strict", "strict=true")),
    ),
    "deploy": Command(
        "hardware.commands.deploy:deploy",
        "deploy",
        "deploy robot=NAME|FILE.yaml policy=FILE.onnx [transport=ros|dds]",
        "run a trained policy on a robot that speaks ROS 2",
    ),
    "robot": Command(
        "hardware.commands.robot:robot",
        "robot_server",
        "robot robot=fr3 [env=tabletop env.seed=7]",
        "serve the simulated robot behind the ROS 2 topics of a real one",
    ),
    "planner": Command(
        "hardware.nodes.planner_node:planner",
        "planner",
        "planner robot=fr3 [transport=dds model=…]",
        "the planner as a node: instructions in, answers and trace out",
    ),
    "record": Command(
        "hardware.commands.record:record",
        "record",
        "record robot=NAME [seconds=60]",
        "write a robot's topics into a bag that ros2 bag and Foxglove read",
    ),
    "convert": Command(
        "hardware.commands.record:convert",
        "convert",
        "convert BAG ... to=FOLDER robot=NAME",
        "make a LeRobot dataset of bags",
    ),
    "calibrate": Command(
        "hardware.commands.calibrate:calibrate",
        "calibrate",
        "calibrate robot=NAME check=joints|intrinsics|hand_eye|board",
        "check a robot's joints, calibrate its cameras",
    ),
    "serve-model": Command(
        "vlm_agent.commands:serve_model",
        "serve_model",
        "serve-model [model=scripted]",
        "serve a planner behind an OpenAI-compatible endpoint",
    ),
    "doctor": Command(
        "hardware.commands.doctor:doctor", None, "doctor", "say what this machine has and lacks"
    ),
}


@dataclass(frozen=True)
class Invocation:
    """What a command gets.

    Attributes:
        words: Positional arguments.
        cfg: Composed configuration, None for commands without one.
        json_to: Where figures go as one JSON object: a path, "-" for standard output, or None.
        build: `build`, injected so that no room imports this module.
        instantiate: `instantiate`, likewise.
        config_dir: Where the configuration's YAML lies.
        overrides: The `key=value` words.
        jobs: Overrides of each job of a sweep (`-m`), () if there is none.
        options: Values of the command's own options.
        compose: Composes the command's configuration with other overrides.
        build_env: `build_env`, likewise injected.
        build_trainer: `build_trainer`, likewise.
        build_evaluator: `build_evaluator`, likewise.
        make_actor: `sim.play.make_actor`, likewise.
        record: `record`, likewise.
        build_robot: `build_robot`, likewise.
        build_deployment: `build_deployment`, likewise.
        build_planner: `build_planner`, likewise.
        build_picture: `build_picture`, likewise.
        build_calibration: `build_calibration`, likewise.
        open_bus: `open_bus`, likewise.
        deployment_of: `deployment_of`, likewise.
    """

    words: tuple[str, ...]
    cfg: DictConfig | None
    json_to: str | None
    build: Callable[..., Any]
    instantiate: Callable[..., Any]
    config_dir: Path = CONFIG_DIR
    overrides: tuple[str, ...] = ()
    jobs: tuple[tuple[str, ...], ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    compose: Callable[[Sequence[str]], Any] = lambda overrides: None
    build_env: Callable[..., Any] = lambda *a, **k: build_env(*a, **k)
    build_trainer: Callable[..., Any] = lambda *a, **k: build_trainer(*a, **k)
    build_evaluator: Callable[..., Any] = lambda *a, **k: build_evaluator(*a, **k)
    make_actor: Callable[..., Any] = lambda *a: resolve("sim.play:make_actor")(*a)
    record: Callable[..., Any] = lambda *a, **k: record(*a, **k)
    build_robot: Callable[..., Any] = lambda *a, **k: build_robot(*a, **k)
    build_deployment: Callable[..., Any] = lambda *a, **k: build_deployment(*a, **k)
    build_planner: Callable[..., Any] = lambda *a, **k: build_planner(*a, **k)
    build_picture: Callable[..., Any] = lambda *a, **k: build_picture(*a, **k)
    build_calibration: Callable[..., Any] = lambda *a, **k: build_calibration(*a, **k)
    open_bus: Callable[..., Any] = lambda *a, **k: open_bus(*a, **k)
    deployment_of: Callable[..., Any] = lambda *a, **k: deployment_of(*a, **k)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 done, 1 the job failed, 2 bad usage or input."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help())
        return DONE if argv else USAGE
    if argv[0] in ("-V", "--version"):
        print(f"habilis {__version__}")
        return DONE
    debug = "--debug" in argv
    try:
        return _dispatch([a for a in argv if a != "--debug"])
    except KeyboardInterrupt:
        print("habilis: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return FAILED
    except Exception as error:
        if debug:
            raise
        print(f"habilis: {_one_line(error)}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError | ValueError) else FAILED


def _help() -> str:
    width = max(len(c.usage) for c in COMMANDS.values())
    lines = [f"  habilis {c.usage:<{width}}  {c.help}" for c in COMMANDS.values()]
    return "\n".join(
        [
            "usage: habilis COMMAND [WORDS] [key=value ...] [--json FILE|-] [--cfg job] [--debug]",
            "",
            *lines,
            "",
            'Try: habilis run "put the red block in the bowl"',
        ]
    )


def _dispatch(argv: list[str]) -> int:
    name, rest = argv[0], argv[1:]
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(f"no command {name!r}{did_you_mean(name, COMMANDS)}; see habilis --help")
    if "-h" in rest or "--help" in rest:
        print(f"usage: habilis {command.usage}\n\n{command.help}")
        return DONE
    if "--ros-args" in rest:
        rest = _with_ros_args(name, command, rest)
    words, overrides, options = _split(rest, command.options)
    jobs = expand(overrides) if "-m" in options else ()
    if jobs and name not in SWEEPS:
        raise UsageError(f"habilis {name} runs no sweeps; -m is for {', '.join(SWEEPS)}")
    cfg = compose(command.config, jobs[0] if jobs else overrides) if command.config else None
    if command.config is None and overrides:
        raise UsageError(f"habilis {name} takes no key=value ({overrides[0]})")
    if "--cfg" in options:
        if cfg is None:
            raise UsageError(f"habilis {name} has no configuration")
        from omegaconf import OmegaConf

        print(OmegaConf.to_yaml(cfg, resolve=True), end="")
        return DONE
    _check_json_target(options.get("--json"))
    function = resolve(command.target)
    invocation = Invocation(
        tuple(words),
        cfg,
        options.get("--json"),
        build,
        instantiate,
        overrides=tuple(overrides),
        jobs=jobs,
        compose=lambda others: compose(str(command.config), others),
        options={name: options[name] for name in command.options if name in options},
    )
    return int(function(invocation))


def _with_ros_args(name: str, command: Command, argv: Sequence[str]) -> list[str]:
    """Turn what follows `--ros-args` into `key=value`."""
    from hardware.nodes.ros_args import RosArgs, split_ros_args, to_overrides

    own, ros = split_ros_args(argv)
    groups = [a for a in own if _OVERRIDE.match(a) and is_group(a)]
    bus = compose(command.config, groups).get("bus") if command.config else None
    if bus is None:
        raise UsageError(f"habilis {name} is no ROS node and takes no --ros-args")
    return [*own, *to_overrides(ros or RosArgs(), bus.node_name, bus.namespace)]


def _check_json_target(to: str | None) -> None:
    """Say at once, not at the end, that figures can't be written."""
    if to not in (None, "-") and (not Path(to).parent.is_dir() or Path(to).is_dir()):
        raise UsageError(f"--json {to}: not a file in a folder that exists")


_OVERRIDE = re.compile(r"^[+~]{0,2}[A-Za-z_][\w./@-]*=")


_VALUES = {"--json": "FILE or -", "--cfg": "job"}


def _split(argv: Sequence[str], own: Sequence[str] = ()) -> tuple[list[str], list[str], dict[str, str]]:
    """Separate words, ``key=value`` overrides and options; `own` are a command's that take a value."""
    words: list[str] = []
    overrides: list[str] = []
    options: dict[str, str] = {}
    flags = dict(flag for command in COMMANDS.values() for flag in command.flags)
    rest = iter(flags.get(arg, arg) for arg in argv)
    for arg in rest:
        if arg in _VALUES or arg in own:
            value = next(rest, None)
            if value is None:
                raise UsageError(f"{arg} needs a value ({_VALUES.get(arg, 'see --help')})")
            options[arg] = value
        elif arg in ("-m", "--multirun"):
            options["-m"] = ""
        elif arg.startswith("--"):
            mine = "".join(f"{name} VALUE, " for name in own)
            raise UsageError(f"no option {arg!r}; options are {mine}--json FILE|-, --cfg job, --debug")
        elif _OVERRIDE.match(arg):
            overrides.append(arg)
        else:
            words.append(arg)
    return words, overrides, options


_EXTRAS = {  # where what the main job does without comes from, by import name; see pyproject.toml
    "train": "torch warp mujoco_warp gymnasium stable_baselines3 sb3_contrib rsl_rl rl_games onnx "
    "onnxruntime onnxscript safetensors coacd",
    "models": "transformers llguidance accelerate",
    "ros": "cyclonedds rosbags mcap",
    "convert": "pandas pyarrow",
    "bench": "datasets",
}


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ModuleNotFoundError):
        name = (error.name or "").split(".")[0]
        extra = next((e for e, names in _EXTRAS.items() if name in names.split()), "")
        if extra:
            here = (CONFIG_DIR.parent / "constraints.txt").is_file()
            wanted = f"-c constraints.txt -e '.[{extra}]'" if here else f"'habilis[{extra}]'"
            text = f"this needs {name}, which is not installed: pip install {wanted}"
    return text if len(text) <= 600 else text[:597] + "..."


def record(cfg: DictConfig, policy: Path, folder: Path, episodes: int) -> None:
    """Record a policy in the environments of a configuration, as `habilis play` does."""
    play = compose("play", [f"episodes={episodes}", f"run_dir={folder}", f"policy={policy}"])
    play.env, play.sim, play.seed = cfg.env, cfg.sim, cfg.loop.eval.seed
    resolve(COMMANDS["play"].target)(Invocation((), play, None, build, instantiate))


if __name__ == "__main__":
    sys.exit(main())
