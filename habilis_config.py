"""Configuration: composed by Hydra from ``configs/``, and what its `_target_` name, built.

Nothing heavy is imported here before it is needed.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIG_DIR = Path(__file__).resolve().parent / "configs"
OF_EXPERIMENT = ("eval", "play")
RUNS = ("run", "bench")
ROOMS = ("sim", "policies", "vlm_agent", "perception_tools", "hardware")


class UsageError(Exception):
    """Bad usage or input; the message is the one line that the user sees (exit code 2)."""


def resolve(target: str) -> Any:
    """Import ``"module:attribute"``."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def did_you_mean(word: str, known: Sequence[str] | Any) -> str:
    """Return what to add to the message about an unknown word: the nearest known one, or all."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else f" (there are: {', '.join(known)})"


_OPEN = (  # nodes whose keys are their own affair
    "tools.settings.",
    "tools.implementations.",
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
            cfg = hydra_compose(name, list(overrides))
            _check_parts(cfg, overrides, lambda: hydra_compose(name, [o for o in overrides if is_group(o)]))
            return cfg
        except (HydraException, OmegaConfBaseException) as error:
            groups = [o for o in overrides if is_group(o)]
            try:
                base = hydra_compose(name, groups)
            except (HydraException, OmegaConfBaseException):
                base = hydra_compose(name)
            raise UsageError(_explain_override(error, base, overrides)) from error


def _check_parts(cfg: DictConfig, overrides: Sequence[str], compose_base: Callable[[], DictConfig]) -> None:
    """Refuse a plain value for a key that has keys of its own, such as `video=false` or `video=null`.

    Args:
        cfg: What the overrides made.
        overrides: Those.
        compose_base: Returns the same without overrides of values; called only for keys in doubt.

    Raises:
        UsageError: Says which keys there are.
    """
    from omegaconf import OmegaConf

    files = [*CONFIG_DIR.glob("*.yaml"), *CONFIG_DIR.glob("agent/*.yaml")]
    parts = set(re.findall(r"^ *(\w+):$", "\n".join(f.read_text("utf-8") for f in files), re.MULTILINE))
    given = [o.split("=", 1)[0] for o in overrides if "=" in o and o[0] not in "+~" and not is_group(o)]
    for key in (k for k in given if k.rpartition(".")[2] in parts):
        if OmegaConf.is_config(OmegaConf.select(cfg, key)):
            continue
        whole = OmegaConf.select(compose_base(), key)
        if OmegaConf.is_dict(whole) and len(whole):
            keys = [f"{key}.{k}" for k in whole if k != "_target_"]
            raise UsageError(f"{key!r} has keys of its own: {', '.join(keys)}")


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


def is_group(override: str) -> bool:
    """Return whether an override chooses a file of a group, such as `env=push`."""
    return (CONFIG_DIR / override.split("=", 1)[0]).is_dir()


def _compose_of_robot(name: str, choice: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a configuration for a robot that is in no group: a file, or an arm and a hand."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    from hardware.interface.file import combined, load_robot_file

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
        return f"no {group} {choice!r}{did_you_mean(choice, options)}"
    for override in (o for o in overrides if not is_group(o)):
        key = override.split("=", 1)[0].lstrip("+~")
        node: Any = base
        for part in key.split("."):
            if not isinstance(node, DictConfig) or part not in node:
                known = list(node) if isinstance(node, DictConfig) else []
                return f"no config key {key!r}{did_you_mean(part, [str(k) for k in known])}"
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
    factory = class_of(node)
    attribute = str(node["_target_"]).rpartition(".")[2]
    try:
        return factory(**values, **(extra or {}))
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '([^']+)'", str(error))
        if unknown is None:
            raise
        known = [str(key) for key in inspect.signature(factory).parameters]
        raise UsageError(
            f"{attribute} has no {unknown.group(1)!r}{did_you_mean(unknown.group(1), known)}"
        ) from error


def class_of(node: Any) -> Any:
    """Return what a node's `_target_` names.

    Raises:
        UsageError: It is in none of our rooms.
    """
    module, _, attribute = str(node["_target_"]).rpartition(".")
    if module.split(".")[0] not in ROOMS:
        raise UsageError(f"_target_ {node['_target_']!r} is not allowed; it must be in {', '.join(ROOMS)}")
    return getattr(importlib.import_module(module), attribute)


def check_contract(part: Any, contract: str) -> None:
    """Check that something has all that a contract asks for.

    Raises:
        TypeError: Says what it lacks.
    """
    protocol = resolve(contract)
    if not isinstance(part, protocol):
        missing = [n for n in dir(protocol) if not n.startswith("_") and not hasattr(part, n)]
        raise TypeError(f"{type(part).__name__} is no {protocol.__name__}: it lacks {', '.join(missing)}")
