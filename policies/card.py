"""The model card of a policy: what it does, how well, how it was made, what is not known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.policy import ArraySpec, PolicySpec


def card(about: Mapping[str, Any], spec: PolicySpec, task: str | None, network: Mapping[str, Any]) -> str:
    """Return a policy's card in Markdown.

    Args:
        about: Where it comes from, see `policies.artifact.save_policy`.
        spec: What it reads and writes.
        task: Its task, if it is known.
        network: `PolicyNet.describe`.
    """
    experiment = about.get("experiment")
    git = about.get("git", {})
    commit = git.get("commit", "unknown") + (", with changes" if git.get("changed") else "")
    rows = {
        "task": task or "unknown",
        "experiment": experiment or "none",
        "algorithm": _algorithm(about.get("algo")),
        "seed": about.get("seed", "unknown"),
        "environment steps": f"{about['env_steps']:,}" if "env_steps" in about else "unknown",
        "success": success(about.get("evaluation")),
        "date": about.get("date", "unknown"),
        "code": commit,
        "network": ", ".join(f"{k} {_short(v)}" for k, v in network.items()),
    }
    lines = [f"# {experiment or task or 'A policy'}", "", "| | |", "|---|---|"]
    lines += [f"| {k} | {v} |" for k, v in rows.items()]
    lines += ["", *_interface(spec), "", *_settings(about), *_commands(about, task), "## Limits", ""]
    return "\n".join([*lines, *_limits(about)]) + "\n"


def success(evaluation: Mapping[str, Any] | None) -> str:
    """Return an evaluation in words, with its interval."""
    if not evaluation:
        return "not measured"
    low, high = evaluation["ci95"]
    return f"{evaluation['score']:.1%} of {evaluation['n']} episodes (95 % interval {low:.1%} to {high:.1%})"


def _interface(spec: PolicySpec) -> list[str]:
    def row(kind: str, name: str, a: ArraySpec) -> str:
        bounds = "" if a.low == float("-inf") else f", within [{a.low:g}, {a.high:g}]"
        return f"| {kind} | `{name}` | {list(a.shape)} | {a.unit}{bounds} | {_parts(a.names)} |"

    lines = ["## Interface", "", f"Acts every {spec.step_dt:g} s.", "", "| | name | shape | unit | entries |"]
    lines += ["|---|---|---|---|---|", *(row("reads", k, a) for k, a in spec.obs.items())]
    return [*lines, row("returns", "action", spec.action)]


def _parts(names: tuple[str, ...]) -> str:
    """Return the names of entries, those that are numbered only once."""
    return ", ".join(
        dict.fromkeys(n.rpartition(".")[0] if n.rpartition(".")[2].isdigit() else n for n in names)
    )


def _settings(about: Mapping[str, Any]) -> list[str]:
    settings = about.get("env", {}).get("task", {}).get("config", {})
    shown = [f"`{k}={_short(v)}`" for k, v in settings.items() if k != "_target_"]
    return ["## Task's settings", "", ", ".join(shown), ""] if shown else []


def _commands(about: Mapping[str, Any], task: str | None) -> list[str]:
    if not about.get("experiment"):
        return []
    name, seed = about["experiment"], about.get("seed", 0)
    lines = ["## Commands", "", "```sh", f"habilis train experiment={name} seed={seed}"]
    return [*lines, f"habilis eval experiment={name} episodes=500 --json -", "```", ""]


def _limits(about: Mapping[str, Any]) -> list[str]:
    limits = about.get("limits", [])
    lines = [limits] if isinstance(limits, str) else list(limits)
    lines += ["Measured in simulation, with the settings above; nothing is known of others."]
    evaluation = about.get("evaluation")
    if evaluation and "seed" in evaluation:  # of habilis eval
        lines += [
            f"Success is of episodes that training never used, with seeds from {evaluation['seed']} on."
        ]
    elif evaluation:
        lines += [
            "The best of the evaluations during training, so a little high; `habilis eval` uses fresh seeds."
        ]
    return [f"* {line}" for line in lines]


def _algorithm(algo: Any) -> str:
    """Return the algorithm's name from its configuration."""
    if isinstance(algo, Mapping):
        kind = str(algo.get("_target_", "unknown")).rpartition(".")[2]
        name = algo.get("config", {}).get("algorithm")
        return f"{name} ({kind})" if name else kind
    return str(algo or "unknown")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_short(v) for v in value) + "]"
    return str(value)
