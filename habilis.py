"""The front door: `habilis COMMAND ...`, and the assembly that puts the rooms together.

Nothing heavy is imported here: commands are a static table of ``"module:function"`` strings,
resolved at dispatch. `build` is the one place where `sim`, `vlm_agent` and `hardware` meet;
commands receive it as an argument.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from vlm_agent.session import Session

__version__ = "0.1.0"
CONFIG_DIR = Path(__file__).resolve().parent / "configs"
SWEEPS = ("train",)
OF_EXPERIMENT = ("eval", "play")
RUNS = ("run", "bench")
ROOMS = ("sim", "policies", "vlm_agent", "perception_tools", "hardware")

DONE, FAILED, USAGE = 0, 1, 2


@dataclass(frozen=True)
class Command:
    """One command: where it lives, its config (None: no config), its usage and one line of help."""

    target: str
    config: str | None
    usage: str
    help: str


COMMANDS = {
    "run": Command(
        "vlm_agent.commands:run",
        "run",
        'run "INSTRUCTION" [key=value ...]',
        "do what was said, and sense that it is done",
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
        "bench benchmark=tabletop [key=value ...]",
        "measure a planner on a benchmark",
    ),
    "deploy": Command(
        "hardware.deploy_command:deploy",
        "deploy",
        "deploy robot=NAME|FILE.yaml policy=FILE.onnx [transport=ros|dds]",
        "run a trained policy on a robot that speaks ROS 2",
    ),
    "robot": Command(
        "hardware.robot_command:robot",
        "robot_server",
        "robot robot=fr3 [env=tabletop env.seed=7]",
        "serve the simulated robot behind the ROS 2 topics of a real one",
    ),
    "planner": Command(
        "hardware.planner_node:planner",
        "planner",
        "planner robot=fr3 [transport=dds model=…]",
        "the planner as a node: instructions in, answers and trace out",
    ),
    "record": Command(
        "hardware.record_command:record",
        "record",
        "record robot=NAME [seconds=60]",
        "write a robot's topics into a bag that ros2 bag and Foxglove read",
    ),
    "convert": Command(
        "hardware.record_command:convert",
        "convert",
        "convert BAG ... to=FOLDER robot=NAME",
        "make a LeRobot dataset of bags",
    ),
    "calibrate": Command(
        "hardware.calibrate_command:calibrate",
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
    "doctor": Command("hardware.doctor:doctor", None, "doctor", "say what this machine has and lacks"),
}


class UsageError(Exception):
    """Bad usage or input; the message is the one line that the user sees (exit code 2)."""


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
        compose: Composes the command's configuration with other overrides.
        build_env: `build_env`, likewise injected.
        build_trainer: `build_trainer`, likewise.
        build_evaluator: `build_evaluator`, likewise.
        make_actor: `sim.play.make_actor`, likewise.
        record: `record`, likewise.
        build_robot: `build_robot`, likewise.
        build_deployment: `build_deployment`, likewise.
        build_planner: `build_planner`, likewise.
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
    compose: Callable[[Sequence[str]], Any] = lambda overrides: None
    build_env: Callable[..., Any] = lambda *a, **k: build_env(*a, **k)
    build_trainer: Callable[..., Any] = lambda *a, **k: build_trainer(*a, **k)
    build_evaluator: Callable[..., Any] = lambda *a, **k: build_evaluator(*a, **k)
    make_actor: Callable[..., Any] = lambda *a: resolve("sim.play:make_actor")(*a)
    record: Callable[..., Any] = lambda *a, **k: record(*a, **k)
    build_robot: Callable[..., Any] = lambda *a, **k: build_robot(*a, **k)
    build_deployment: Callable[..., Any] = lambda *a, **k: build_deployment(*a, **k)
    build_planner: Callable[..., Any] = lambda *a, **k: build_planner(*a, **k)
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
        raise UsageError(f"no command {name!r}{_did_you_mean(name, COMMANDS)}; see habilis --help")
    if "-h" in rest or "--help" in rest:
        print(f"usage: habilis {command.usage}\n\n{command.help}")
        return DONE
    if "--ros-args" in rest:
        rest = _with_ros_args(name, command, rest)
    words, overrides, options = _split(rest)
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
    )
    return int(function(invocation))


def _with_ros_args(name: str, command: Command, argv: Sequence[str]) -> list[str]:
    """Turn what follows `--ros-args` into `key=value`."""
    from hardware.ros_args import RosArgs, split_ros_args, to_overrides

    own, ros = split_ros_args(argv)
    groups = [a for a in own if _OVERRIDE.match(a) and _is_group(a)]
    bus = compose(command.config, groups).get("bus") if command.config else None
    if bus is None:
        raise UsageError(f"habilis {name} is no ROS node and takes no --ros-args")
    return [*own, *to_overrides(ros or RosArgs(), bus.node_name, bus.namespace)]


def _check_json_target(to: str | None) -> None:
    """Say at once, not at the end, that figures can't be written."""
    if to not in (None, "-") and (not Path(to).parent.is_dir() or Path(to).is_dir()):
        raise UsageError(f"--json {to}: not a file in a folder that exists")


_OVERRIDE = re.compile(r"^[+~]{0,2}[A-Za-z_][\w./@-]*=")


def _split(argv: Sequence[str]) -> tuple[list[str], list[str], dict[str, str]]:
    """Separate words, ``key=value`` overrides and options."""
    words: list[str] = []
    overrides: list[str] = []
    options: dict[str, str] = {}
    rest = iter(argv)
    for arg in rest:
        if arg in ("--json", "--cfg"):
            value = next(rest, None)
            if value is None:
                raise UsageError(f"{arg} needs a value ({'FILE or -' if arg == '--json' else 'job'})")
            options[arg] = value
        elif arg in ("-m", "--multirun"):
            options["-m"] = ""
        elif arg.startswith("--"):
            raise UsageError(f"no option {arg!r}; options are --json FILE|-, --cfg job, --debug")
        elif _OVERRIDE.match(arg):
            overrides.append(arg)
        else:
            words.append(arg)
    return words, overrides, options


def resolve(target: str) -> Any:
    """Import ``"module:attribute"``."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 600 else text[:597] + "..."


def _did_you_mean(word: str, known: Sequence[str] | Any) -> str:
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else f" (there are: {', '.join(known)})"


# ---- configuration ------------------------------------------------------------------------------


_OPEN = (  # nodes whose keys are their own affair
    "tools.settings.",
    "model.extra_body.",
    "bus.remap",
    "bus.parameters",
    "observe.inputs.",
)


def compose(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Compose ``configs/<name>.yaml`` with Hydra overrides.

    Raises:
        UsageError: Unknown key or option; says what was meant.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    choice = next((o.partition("=")[2] for o in overrides if o.startswith("robot=")), "")
    if choice.endswith(".yaml") or "+" in choice:
        return _compose_of_robot(name, choice, overrides)
    experiment = next((o for o in overrides if o.startswith("experiment=")), "")
    if name in OF_EXPERIMENT and experiment not in ("", "experiment=null", "experiment="):
        return _compose_of_experiment(name, overrides)
    for override in overrides:
        key = override.split("=", 1)[0]
        if key[0] in "+~" and not key.lstrip("+~").startswith(_OPEN):
            raise UsageError(
                f"{override!r} would change which keys there are; use key=value of a key that exists"
            )
    if name in RUNS:
        overrides = [*_of_world(overrides), *overrides]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        try:
            return hydra_compose(name, list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            groups = [o for o in overrides if _is_group(o)]
            try:
                base = hydra_compose(name, groups)
            except (HydraException, OmegaConfBaseException):
                base = hydra_compose(name)
            raise UsageError(_explain_override(error, base, overrides)) from error


def _of_world(overrides: Sequence[str]) -> list[str]:
    """Return what the chosen world asks of a run (`run:` in its file), but for what is given anyway."""
    import yaml

    chosen = next((o.partition("=")[2] for o in reversed(overrides) if o.startswith("env=")), "")
    file = CONFIG_DIR / "env" / f"{chosen}.yaml"
    if not chosen or not file.is_file():
        return []
    given = {o.partition("=")[0] for o in overrides}
    asked = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("run", [])
    return [o for o in asked if o.partition("=")[0] not in given]


def _is_group(override: str) -> bool:
    """Return whether an override chooses a file of a group, such as `env=push`."""
    return (CONFIG_DIR / override.split("=", 1)[0]).is_dir()


def _compose_of_robot(name: str, choice: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a configuration for a robot that is in no group: a file, or an arm and a hand."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    from hardware.robot_file import combined, load_robot_file

    cfg = compose(name, [o for o in overrides if not re.match(r"robot[.=]", o)])
    if choice.endswith(".yaml"):
        robot = load_robot_file(Path(choice), CONFIG_DIR)
    else:
        arm, hand = (compose(name, [f"robot={part}"]).robot for part in choice.split("+", 1))
        robot = combined(choice, arm, hand)
    OmegaConf.set_struct(cfg, False)
    cfg.robot = robot
    OmegaConf.set_struct(cfg, True)
    changes = [o for o in overrides if o.startswith("robot.")]
    for change, override in zip(OverridesParser.create().parse_overrides(changes), changes, strict=True):
        key = change.get_key_element()
        if OmegaConf.select(cfg, key, throw_on_missing=False) is None and "=null" not in override:
            raise UsageError(_explain_override(ValueError(f"{key} is not set"), cfg, [override]))
        OmegaConf.update(cfg, key, change.value())
    return cfg


def _compose_of_experiment(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a configuration whose `env` and `sim` are those of an experiment, changed as asked."""
    of_env = [o for o in overrides if re.match(r"(env|sim)[.=]|experiment=", o)]
    trained = compose("train", of_env)
    cfg = compose(name, [o for o in overrides if o not in of_env])
    cfg.env, cfg.sim, cfg.experiment = trained.env, trained.sim, trained.name
    if "hold_s" in cfg and cfg.hold_s is None:
        cfg.hold_s = trained.loop.eval.hold_s
    return cfg


def expand(overrides: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the overrides of each job of a sweep: every combination of `key=a,b,c`.

    Raises:
        UsageError: If an override can't be read.
    """
    from itertools import product

    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UsageError(f"cannot read {' '.join(overrides)!r}: {str(error).splitlines()[0]}") from error
    choices = [
        [f"{o.get_key_element()}={v}" for v in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [str(o.input_line)]
        for o in parsed
    ]
    return tuple(product(*choices))


def _explain_override(error: Exception, base: DictConfig, overrides: Sequence[str]) -> str:
    """Turn Hydra's message into one line with the nearest valid key or option."""
    from omegaconf import DictConfig

    text = str(error)
    option = re.search(r"Could not find '([^']+)'", text)
    if option:
        group, _, choice = option.group(1).rpartition("/")
        options = sorted(
            str(p.relative_to(CONFIG_DIR / group).with_suffix(""))
            for p in (CONFIG_DIR / group).rglob("*.yaml")
        )
        return f"no {group} {choice!r}{_did_you_mean(choice, options)}"
    for override in (o for o in overrides if not _is_group(o)):
        key = override.split("=", 1)[0].lstrip("+~")
        node: Any = base
        for part in key.split("."):
            if not isinstance(node, DictConfig) or part not in node:
                known = list(node) if isinstance(node, DictConfig) else []
                return f"no config key {key!r}{_did_you_mean(part, [str(k) for k in known])}"
            node = node[part]
    return f"cannot read {' '.join(overrides)!r}: {text.splitlines()[0]}"


def instantiate(node: Any, **extra: Any) -> Any:
    """Build what a config node's `_target_` names; only our own rooms are allowed.

    Lists become tuples, nested nodes are built first; nodes without `_target_` become dicts.

    Args:
        node: A config node, or a plain value.
        extra: Further keyword arguments of the outermost call.

    Raises:
        UsageError: A `_target_` outside the rooms, an unknown key, or a value its class refuses.
    """
    from omegaconf import OmegaConf

    return _built(OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node, extra)


def _built(node: Any, extra: dict[str, Any] | None = None) -> Any:
    if isinstance(node, list):
        return tuple(_built(item) for item in node)
    if not isinstance(node, dict):
        return node
    values = {str(key): _built(value) for key, value in node.items() if key != "_target_"}
    if "_target_" not in node:
        return values | (extra or {})
    factory = _class_of(node)
    attribute = str(node["_target_"]).rpartition(".")[2]
    try:
        return factory(**values, **(extra or {}))
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '([^']+)'", str(error))
        if unknown is None:
            raise
        known = [str(key) for key in inspect.signature(factory).parameters]
        raise UsageError(
            f"{attribute} has no {unknown.group(1)!r}{_did_you_mean(unknown.group(1), known)}"
        ) from error


# ---- assembly -----------------------------------------------------------------------------------


def build(
    cfg: DictConfig,
    folder: Path | None = None,
    *,
    seed: int | None = None,
    family: str | None = None,
    watchers: Sequence[Any] = (),
    world: Any = None,
) -> Session:
    """Put the rooms together: world, robot behind its safety filter, tools, planner, trace.

    Args:
        cfg: Configuration composed from ``configs/run.yaml`` or one that has its keys.
        folder: Where the trace and the video go; None writes nothing.
        seed: Seed of the episode; ``cfg.env.seed`` if None.
        family: Family of the episode; ``cfg.env.family`` if None.
        watchers: Who is told of the run besides video and viewer.
        world: A world to use again; it is not closed with the session.

    Returns:
        A `vlm_agent.session.Session`.

    Raises:
        UsageError: The configuration does not fit together; one line says where.
        TypeError: A part does not keep its contract.
    """
    from contextlib import ExitStack
    from dataclasses import replace

    from vlm_agent.session import Session

    if cfg.transport != "sim":
        return _build_remote(cfg, folder, watchers, world)
    with ExitStack() as parts:
        robot_model = instantiate(cfg.robot.model)
        if world is None:
            if "world" not in cfg.env:
                raise UsageError("this env is a task for habilis play; choose a world: see habilis envs")
            world = instantiate(cfg.env.world, robot=robot_model)
            parts.callback(world.close)
        _check_contract(world, "policies.world:World")
        seed = cfg.env.seed if seed is None else seed
        if not isinstance(seed, int):
            raise UsageError(f"env.seed must be an integer, got {seed!r}")
        episode = world.reset(seed, family or cfg.env.family)
        viewer = _viewer(cfg, world, episode, parts)
        trace = _trace(cfg, folder, episode, [*watchers, *([viewer] if viewer else [])], parts)
        robot, kinematics = _safe_robot(cfg, episode.robot, robot_model, trace)
        parts.callback(robot.close)
        if viewer is not None:
            viewer.on_stop(robot.stop)
        agent, tools = _agent(cfg, robot, kinematics, episode, trace, parts)
        given = replace(episode, robot=robot)  # the bare driver stays here
        return Session(agent, world, given, robot, tools, folder, viewer, parts.pop_all())


def _build_remote(cfg: DictConfig, folder: Path | None, watchers: Sequence[Any], world: Any) -> Session:
    """Put the rooms together around a robot and cameras behind a bus."""
    from contextlib import ExitStack
    from dataclasses import replace

    from vlm_agent.session import Session

    cfg = cfg.copy()
    cfg.video.enabled = False  # there is no view of the scene but the robot's own cameras
    with ExitStack() as parts:
        if world is None:
            world = _remote_world(cfg)
            parts.callback(world.close)
        remote, episode = world.remote, world.reset(0)
        trace = _trace(cfg, folder, episode, list(watchers), parts)
        trace.event("transport", **remote.facts(cfg.transport))
        parts.callback(
            remote.on_trouble(lambda mode, why: trace.event("safety", rule=mode, message=why, count=1))
        )
        robot, kinematics = _safe_robot(cfg, episode.robot, instantiate(cfg.robot.model), trace)
        remote.guard.release_with(robot.reset_stop)
        remote.arm()
        agent, tools = _agent(cfg, robot, kinematics, episode, trace, parts)
        given = replace(episode, robot=robot)  # the bare driver stays here
        return Session(agent, world, given, robot, tools, folder, None, parts.pop_all())


def _remote_world(cfg: DictConfig) -> Any:
    """Find the robot and its cameras on the network."""
    from hardware.calibrate_command import require_checked
    from hardware.remote import RemoteWorld, connect
    from hardware.robot_client import reaches_reality

    if cfg.robot.model is None or cfg.robot.kinematics is None:
        raise UsageError(f"robot {cfg.robot.name!r} has no model to plan motions with; see docs/robots.md")
    interface, cfg = _interface(cfg), cfg.copy()
    bus = open_bus(cfg)
    if reaches_reality(bus, interface):
        try:
            require_checked(interface, Path(cfg.calibration_dir))
        except ValueError:
            bus.close()
            raise
    cfg.bus.use_sim_time = bus.config.use_sim_time
    cfg.bus.node_name = f"{cfg.bus.node_name}_eyes"
    return RemoteWorld(connect(bus, open_bus(cfg), interface, instantiate(cfg.remote)))


def _interface(cfg: DictConfig) -> Any:
    """Return a robot's names and topics in ROS."""
    if cfg.robot.get("interface") is None:
        raise UsageError(
            f"robot {cfg.robot.name!r} has no `interface`, its topics in ROS; see docs/robots.md"
        )
    return instantiate(cfg.robot.interface)


def build_planner(cfg: DictConfig) -> Any:
    """Build the planner as a node of its own: ``configs/planner.yaml``.

    Returns:
        A `hardware.planner_node.ServedPlanner`.

    Raises:
        UsageError: The configuration does not fit together.
    """
    from contextlib import ExitStack

    from hardware.planner_node import Answer, Follow, PlannerNode, ServedPlanner
    from policies.runs import new_run_folder

    with ExitStack() as parts:
        world = _remote_world(cfg)
        parts.callback(world.close)

        def plan(instruction: str, cancel: Any, tell: Callable[[str], None]) -> Answer:
            folder = new_run_folder(cfg.run_dir, instruction)
            with ExitStack() as run:
                if folder is not None:
                    run.enter_context(Follow(folder / "trace.jsonl", tell))
                result = run.enter_context(build(cfg, folder, world=world)).run(instruction, cancel)
            words = result.summary or result.message
            return Answer(instruction, result.outcome, result.ok, words, str(folder or ""))

        node = PlannerNode(world.remote.bus, plan)
        parts.callback(node.close)
        return ServedPlanner(world.remote.bus, node, parts.pop_all())


def open_bus(cfg: DictConfig) -> Any:
    """Join the network as the configuration's `transport` and `bus` say; `use_sim_time: null` looks first.

    Raises:
        UsageError: No such transport.
    """
    from hardware.remote import has_clock
    from hardware.transports import open_bus as open_transport

    if cfg.transport not in ("auto", "dds", "ros"):
        raise UsageError(f"no transport {cfg.transport!r}; there are: sim, dds, ros, auto")
    cfg = cfg.copy()
    if cfg.bus.use_sim_time is None:
        cfg.bus.use_sim_time = False
        cfg.bus.use_sim_time = has_clock(cfg.transport, instantiate(cfg.bus))
    bus = open_transport(cfg.transport, instantiate(cfg.bus))
    _check_contract(bus, "hardware.bus:Bus")
    return bus


def build_robot(cfg: DictConfig) -> Any:
    """Build what ``configs/robot_server.yaml`` describes: a simulated robot behind a real one's topics.

    Returns:
        A `hardware.robot_command.ServedRobot`.

    Raises:
        UsageError: The configuration does not fit together.
    """
    from contextlib import ExitStack

    from hardware.robot_command import ServedRobot
    from hardware.robot_server import RobotServer
    from hardware.robot_server_cameras import CameraServer
    from vlm_agent.trace import NullTrace

    cfg, config = cfg.copy(), instantiate(cfg.server)
    cfg.bus.use_sim_time = False  # it makes the clock and follows none
    with ExitStack() as parts:
        interface = _interface(cfg)
        robot_model, driver, cameras, frames, truth, task = _served(cfg, interface, parts)
        robot, _ = _safe_robot(cfg, driver, robot_model, NullTrace())
        parts.callback(robot.close)
        bus = open_bus(cfg)
        parts.callback(bus.close)
        server = RobotServer(bus, robot, interface, config, frames)
        parts.callback(server.close)
        served = [CameraServer(bus, c, server.stamp_ns, instantiate(cfg.camera)) for c in cameras.values()]
        for camera in served:
            parts.callback(camera.close)
        parts.callback(bus.close)  # callbacks end before what they use
        return ServedRobot(bus, server, served, task, truth, parts.pop_all())


def _served(cfg: DictConfig, interface: Any, parts: Any) -> tuple[Any, Any, Any, Any, Any, str]:
    """Return model, driver, cameras, frames, truth and task of what is served: simulated, or ideal joints."""
    from hardware.ideal_robot import IdealRobot
    from sim.robots.frames import link_frames

    if "world" not in cfg.env:
        raise UsageError("this env is a task for habilis play; choose a world: see habilis envs")
    model = _simulated(cfg)
    if model is None:
        driver = IdealRobot(interface, cfg.robot.safety.control_period_s)
        return None, driver, {}, lambda: (), lambda: {"reason": "ideal joints; there is no scene"}, ""
    world = instantiate(cfg.env.world, robot=model)
    parts.callback(world.close)
    _check_contract(world, "policies.world:World")
    episode, scene = world.reset(cfg.env.seed, cfg.env.family), world.scene
    base = getattr(model, "base_body", None) or model.root_body
    frames = link_frames(scene.model, scene.data, scene.lock, base)
    return model, episode.robot, episode.cameras, frames, lambda: vars(world.judge()), episode.instruction


def build_deployment(cfg: DictConfig, confirmed: bool) -> Any:
    """Put a policy on the robot that ``configs/deploy.yaml`` describes; it stays disarmed.

    Args:
        cfg: The configuration.
        confirmed: Whether a person has confirmed that the robot may move.

    Returns:
        A `hardware.deploy_command.Deployed`.

    Raises:
        UsageError: Policy, robot and settings do not fit together.
    """
    from contextlib import ExitStack

    from hardware.calibrate_command import require_checked
    from hardware.deploy_command import Deployed
    from hardware.lifecycle import Lifecycle
    from hardware.observer import Observer
    from hardware.policy_runner import PolicyRunner, check_fit
    from hardware.robot_client import open_robot, reaches_reality, watch_cameras
    from hardware.trial import Trial
    from policies.actions import Decoder
    from policies.onnx_policy import OnnxPolicy
    from policies.runs import new_run_folder
    from vlm_agent.trace import NullTrace

    cfg, policy = cfg.copy(), OnnxPolicy(Path(cfg.policy))
    interface, period_s = instantiate(cfg.robot.interface), cfg.robot.safety.control_period_s
    if abs(period_s * interface.rate_hz - 1) > 1e-6:
        raise UsageError(
            f"robot.safety.control_period_s is {period_s:g} s, but {cfg.robot.name} is commanded at "
            f"{interface.rate_hz:g} Hz (rate_hz of its channels); make them agree"
        )
    deployment = _deployment(cfg, policy, interface)
    observe, runner = instantiate(cfg.observe), instantiate(cfg.runner)
    if observe.joint_names:
        deployment = deployment.renamed(observe.joint_names)
    deployment = deployment.scaled(float(cfg.action.scale))
    with ExitStack() as parts:
        robot_model = instantiate(cfg.robot.model) if cfg.robot.kinematics is not None else None
        has_forward, found = cfg.robot.kinematics is not None, []
        forward = (lambda joint_pos: found[0].forward(joint_pos)) if has_forward else None
        decoder = Decoder(deployment, forward)
        check_fit(policy.spec, decoder, period_s)  # before anything is reached
        bus = open_bus(cfg)
        parts.callback(bus.close)
        observer = Observer(
            bus, policy.spec, interface.joint_names, deployment, decoder, forward,
            interface.gripper is not None, observe,
        )  # fmt: skip
        is_real = reaches_reality(bus, interface)
        dry_run = is_real and not confirmed if cfg.dry_run is None else bool(cfg.dry_run)
        if is_real and not dry_run:
            require_checked(interface, Path(cfg.calibration_dir))
        client = open_robot(bus, interface, dry_run=dry_run, confirmed=confirmed)
        parts.callback(client.close)
        watch_cameras(bus, client.guard, cfg.watch_cameras, interface.watchdog)
        robot, kinematics = _safe_robot(cfg, client.driver, robot_model, NullTrace())
        client.guard.release_with(robot.reset_stop)
        found.append(kinematics)
        if runner.arm is None:
            runner = replace(runner, arm=dry_run or not is_real)
        trial = None
        if (folder := new_run_folder(cfg.run_dir, cfg.robot.name)) is not None:
            trial = Trial(bus, folder / "bag", interface)
            parts.callback(trial.close)
            client.driver.on_sent(trial.sent)
            client.driver.on_fault(lambda fault: trial.said(str(fault)))
        loop = PolicyRunner(bus, robot, client.guard, policy, observer, decoder, period_s, runner, trial)
        managed = Lifecycle(
            bus,
            is_active=lambda: client.guard.may_move,
            activate=client.guard.arm,
            deactivate=client.guard.disarm,
            shutdown=loop.stop,
        )
        parts.callback(managed.close)
        return Deployed(bus, client.guard, loop, dry_run, parts.pop_all())


def build_calibration(cfg: DictConfig) -> Any:
    """Reach a robot as ``configs/calibrate.yaml`` says, and build the simulated one; nothing moves.

    Returns:
        A `hardware.calibrate_command.CalibratedRobot`.

    Raises:
        UsageError: The configuration does not fit together, or another robot was confirmed.
    """
    from contextlib import ExitStack

    from hardware.calibrate_command import CalibratedRobot
    from hardware.robot_client import open_robot
    from vlm_agent.trace import NullTrace

    if cfg.confirm not in ("", cfg.robot.name):
        raise UsageError(f"confirm is {cfg.confirm!r}; to let the robot move say confirm={cfg.robot.name}")
    interface = instantiate(cfg.robot.interface)
    with ExitStack() as parts:
        model = instantiate(cfg.robot.model) if cfg.robot.kinematics is not None else None
        bus = open_bus(cfg)
        parts.callback(bus.close)
        client = open_robot(bus, interface, confirmed=cfg.confirm == cfg.robot.name)
        parts.callback(client.close)
        robot, kinematics = _safe_robot(cfg, client.driver, model, NullTrace())
        client.guard.release_with(robot.reset_stop)
        twin = _twin(cfg, robot.state().joint_pos, parts)
        forward = kinematics.forward if kinematics is not None else None
        return CalibratedRobot(bus, client.guard, robot, twin, interface, forward, parts.pop_all())


def _twin(cfg: DictConfig, joint_pos: Any, parts: Any) -> Any:
    """Build the simulated robot at a pose, behind its own filter; None where there is no model of it."""
    from sim.stand import StandWorld
    from vlm_agent.trace import NullTrace

    model = _simulated(cfg)
    if model is None:
        return None
    world = StandWorld(robot=model)
    parts.callback(world.close)
    driver: Any = world.reset(0).robot
    driver.reset(joint_pos)
    return _safe_robot(cfg, driver, model, NullTrace())[0]


def _deployment(cfg: DictConfig, policy: Any, interface: Any) -> Any:
    """Return what a policy's actions mean: by its own word, the configuration's, or that of its task."""
    from policies.actions import Deployment, JointTerm

    if "deployment" in policy.about:
        return Deployment.from_json(policy.about["deployment"])
    if cfg.action.kind is not None:
        if cfg.action.kind not in ("targets", "steps"):
            raise UsageError(f"action.kind is {cfg.action.kind!r}; use targets or steps")
        names, joints = policy.spec.action.names, interface.joints
        k = joints.columns(names)
        low, high = (tuple(float(v) for v in row[k]) for row in (joints.limits.lower, joints.limits.upper))
        step = float(cfg.action.step) if cfg.action.kind == "steps" else None
        order = tuple(cfg.observe.joint_names) or interface.joint_names
        return Deployment((JointTerm(names, low, high, step),), order)
    found = deployment_of(policy.about)
    if found is None:
        raise UsageError(f"{cfg.policy} does not say what its actions mean; say action.kind=targets or steps")
    return Deployment.from_json(found)


def deployment_of(about: Any) -> Any:
    """Return what the actions of a policy mean on a robot, as JSON; None if it has no task to ask.

    Args:
        about: Where the policy comes from; its `env` is the configuration of its task.

    Raises:
        ValueError: The task has an action that no robot is driven by.
    """
    if "env" not in about:
        return None
    from omegaconf import OmegaConf

    from sim.deployment import deployment_of as ask

    physics = {"_target_": "sim.batch.physics.PhysicsConfig", "num_threads": 1}
    env = build_env(OmegaConf.create({"env": about["env"], "sim": physics, "seed": 0}))
    try:
        return ask(env).to_json()
    finally:
        env.close()


def _simulated(cfg: DictConfig) -> Any:
    """Return the model of a robot, None if there is none here."""
    from sim.robots.registry import hand_names, load_hand

    if cfg.robot.model is not None:
        return instantiate(cfg.robot.model)
    if "env" in cfg and cfg.env.family != "stand":
        raise UsageError(f"{cfg.robot.name!r} cannot work at a table here; serve it by itself: env=stand")
    return load_hand(cfg.robot.name) if cfg.robot.name in hand_names() else None


def build_env(cfg: DictConfig, **changes: Any) -> Any:
    """Build the batch of environments that `env`, `sim`, `seed` and `num_envs` describe.

    Args:
        cfg: Configuration of a command that steps environments.
        changes: Settings of `sim.batch.env.EnvConfig` that the caller decides.

    Raises:
        UsageError: If `env` is a world, not a task.
    """
    from sim.batch.env import BatchEnv, EnvConfig

    if "task" not in cfg.env:
        raise UsageError("this env is a world for `habilis run`; choose a task: see habilis envs")
    settings = {"num_envs": cfg.get("num_envs", 1), "seed": cfg.seed, "physics": instantiate(cfg.sim)}
    if "senses" in cfg.env:
        settings["senses"] = instantiate(cfg.env.senses)
    return BatchEnv(instantiate(cfg.env.task), EnvConfig(**(settings | changes)))


ENVS_PER_SEED = 1 << 16
"""Environments of run `seed` have seeds from `seed * ENVS_PER_SEED` on, so that runs share none."""

VIEWS = {"rsl_rl": "sim.adapters.rsl_rl:RslRlVecEnv", "sb3": "sim.adapters.sb3:Sb3VecEnv"}
"""How trainers want to see environments, by their `interface`."""


def build_trainer(cfg: DictConfig) -> Any:
    """Build the algorithm of ``configs/train.yaml`` with its environments; a `Trainer`.

    Raises:
        UsageError: The configuration does not fit together.
    """
    import os

    interface = _class_of(cfg.algo).interface
    if interface == "none":
        trainer = instantiate(cfg.algo, seed=cfg.seed)
        _check_contract(trainer, "policies.training.trainer:Trainer")
        return trainer
    local_rank = os.environ.get("LOCAL_RANK")  # of torchrun: each process has a GPU of its own
    if local_rank is not None and str(cfg.sim.device).startswith("cuda"):
        cfg = cfg.copy()
        cfg.sim.device = f"cuda:{local_rank}"
    first = (cfg.seed * ENVS_PER_SEED) + int(os.environ.get("RANK", "0")) * cfg.num_envs
    env = build_env(cfg, seed=first, **instantiate(cfg.episodes))

    def demonstrator() -> Callable[[Any], Any]:
        from sim.tasks.registry import make_solver

        return make_solver(env.task.name, env).act

    seen = resolve(VIEWS[interface])(env) if interface in VIEWS else env
    trainer = instantiate(cfg.algo, env=seen, demonstrator=demonstrator, seed=cfg.seed)
    _check_contract(trainer, "policies.training.trainer:Trainer")
    return trainer


def build_evaluator(cfg: DictConfig, config: Any) -> Any:
    """Build what evaluates networks in the environments of a configuration; the caller closes it.

    Args:
        cfg: Configuration with `env`, `sim`, `seed`.
        config: A `policies.evaluation.EvalConfig`.
    """
    from policies.evaluation import Evaluator

    num_envs = min(config.num_envs, config.episodes)
    return Evaluator(build_env(cfg, num_envs=num_envs, seed=config.seed, auto_reset=False), config)


def record(cfg: DictConfig, policy: Path, folder: Path, episodes: int) -> None:
    """Record a policy in the environments of a configuration, as `habilis play` does."""
    play = compose("play", [f"episodes={episodes}", f"run_dir={folder}", f"policy={policy}"])
    play.env, play.sim, play.seed = cfg.env, cfg.sim, cfg.loop.eval.seed
    resolve(COMMANDS["play"].target)(Invocation((), play, None, build, instantiate))


def driver_of(robot: str) -> Any:
    """Return how a robot's vendor starts its ROS 2 driver, a `hardware.driver.Driver`.

    Raises:
        UsageError: The robot has no driver in its YAML.
    """
    cfg = compose("run", [f"robot={robot}"])
    if cfg.robot.get("driver") is None:
        raise UsageError(f"robot {robot} has no driver; start one yourself, or use_mock_hardware:=true")
    return instantiate(cfg.robot.driver)


def _class_of(node: Any) -> Any:
    module, _, attribute = str(node["_target_"]).rpartition(".")
    if module.split(".")[0] not in ROOMS:
        raise UsageError(f"_target_ {node['_target_']!r} is not allowed; it must be in {', '.join(ROOMS)}")
    return getattr(importlib.import_module(module), attribute)


def _agent(cfg: DictConfig, robot: Any, kinematics: Any, episode: Any, trace: Any, parts: Any) -> Any:
    """Bind the planner to tools and skills; return its loop, and the tools by name."""
    from perception_tools.registry import absent, load_tools
    from vlm_agent.agent import Agent
    from vlm_agent.executor import Executor
    from vlm_agent.skills.context import SkillContext
    from vlm_agent.skills.registry import load_skills

    model = instantiate(cfg.model)
    _check_contract(model, "vlm_agent.model:ChatModel")
    context = SkillContext.create(
        robot,
        kinematics,
        episode.cameras,
        config=instantiate(cfg.skills.config),
        settings=instantiate(cfg.tools.settings),
        senses=episode.senses,
        held_tool=episode.held_tool,
    )
    missing = absent(cfg.tools.names)  # `habilis tools` says what they need
    tools = {**load_tools([n for n in cfg.tools.names if n not in missing]), **load_skills()}
    settings = instantiate(cfg.executor, allow=tuple(cfg.skills.allow))
    executor = Executor(tools.values(), context, settings, trace=trace, stop=robot.stop)
    parts.callback(executor.close)
    return Agent(model, executor, instantiate(cfg.agent)), tools


def _safe_robot(cfg: DictConfig, driver: Any, robot_model: Any, trace: Any) -> tuple[Any, Any]:
    """Wrap the driver in its safety filter; return it with the kinematics that plan under its limits."""
    from policies.safe_robot import SafeRobot
    from policies.safety import SafetyFilter, scaled_limits

    _check_contract(driver, "policies.robot:Robot")
    config = instantiate(cfg.robot.safety)
    limits = scaled_limits(driver.limits, config)
    if cfg.robot.kinematics is None:  # no model: limits of the joints alone
        safety = SafetyFilter(driver.limits, config, gripper_width_m=driver.gripper_width_m)
        return SafeRobot(driver, safety, lambda kind, fields: trace.event(kind, **fields)), None
    kinematics = instantiate(cfg.robot.kinematics, robot=robot_model, limits=limits)
    _check_contract(kinematics, "policies.motion:Kinematics")
    arm = [limits.joint_names.index(n) for n in kinematics.limits.joint_names]  # fingers are not among them
    safety = SafetyFilter(
        driver.limits,
        config,
        gripper_width_m=driver.gripper_width_m,
        forward=lambda joint_pos: kinematics.forward(joint_pos[arm]),
        lowest_point=lambda joint_pos, width_m: kinematics.lowest_point(joint_pos[arm], width_m),
    )
    return SafeRobot(driver, safety, lambda kind, fields: trace.event(kind, **fields)), kinematics


def _trace(cfg: DictConfig, folder: Path | None, episode: Any, watchers: list[Any], parts: Any) -> Any:
    """Open the trace and the video of a run; without a folder nothing is written."""
    from vlm_agent.trace import NullTrace, TraceWriter
    from vlm_agent.watch import WatchedTrace

    if folder is None:
        return WatchedTrace(NullTrace(), watchers)
    trace = TraceWriter(folder, clock=episode.robot.clock, config=instantiate(cfg.trace))
    parts.callback(trace.close)
    video = _video(cfg, folder, episode, parts)
    if video is None:
        return WatchedTrace(trace, watchers)
    return WatchedTrace(trace, [*watchers, video], lambda: video.time_s)


def _check_contract(part: Any, contract: str) -> None:
    protocol = resolve(contract)
    if not isinstance(part, protocol):
        missing = [n for n in dir(protocol) if not n.startswith("_") and not hasattr(part, n)]
        raise TypeError(f"{type(part).__name__} is no {protocol.__name__}: it lacks {', '.join(missing)}")


def _video(cfg: DictConfig, folder: Path, episode: Any, parts: Any) -> Any:
    """Record the simulated robot's motion, if asked for."""
    from sim.video import VideoRecorder

    settings = instantiate(cfg.video)
    if not settings.enabled:
        return None
    scene, wrist = episode.cameras["scene"], episode.cameras["wrist"]
    video = VideoRecorder(folder / "video.mp4", scene.preview, lambda: wrist.preview(320), settings)
    parts.callback(video.close)
    video.use_clock(episode.robot.clock)
    parts.callback(episode.robot.add_listener(1 / settings.fps, lambda _: video.frame()))
    video.frame()
    return video


def _viewer(cfg: DictConfig, world: Any, episode: Any, parts: Any) -> Any:
    """Open the live view of the simulated scene, if asked for."""
    settings = instantiate(cfg.viewer)
    if not settings.enabled:
        return None
    from sim.viewer import Viewer

    viewer = Viewer(world.scene.model, settings)
    parts.callback(viewer.close)
    viewer.update(world.scene.data)
    parts.callback(episode.robot.add_listener(1 / settings.fps, lambda _: viewer.update(world.scene.data)))
    return viewer


if __name__ == "__main__":
    sys.exit(main())
