"""All kinds of tools by name."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import mujoco

from sim.tools.base import ToolHandle, ToolModel, attach_tool
from sim.tools.hammer import HammerConfig, hammer_model
from sim.tools.hook import HookConfig, hook_model
from sim.tools.pliers import PliersConfig, pliers_model
from sim.tools.plunger import PlungerConfig, plunger_model
from sim.tools.scissors import ScissorsConfig, scissors_model
from sim.tools.spatula import SpatulaConfig, spatula_model
from sim.tools.stick import StickConfig, stick_model
from sim.tools.tongs import TongsConfig, tongs_model
from sim.tools.tweezers import TweezersConfig, tweezers_model


@dataclass(frozen=True)
class ToolKind:
    """A kind of tool.

    Attributes:
        config: Its config class; every field has a default.
        model: Builder of its `ToolModel` from a config.
    """

    config: type
    model: Callable[[Any], ToolModel]


TOOLS: Final[dict[str, ToolKind]] = {
    "tweezers": ToolKind(TweezersConfig, tweezers_model),
    "scissors": ToolKind(ScissorsConfig, scissors_model),
    "pliers": ToolKind(PliersConfig, pliers_model),
    "tongs": ToolKind(TongsConfig, tongs_model),
    "stick": ToolKind(StickConfig, stick_model),
    "hook": ToolKind(HookConfig, hook_model),
    "hammer": ToolKind(HammerConfig, hammer_model),
    "spatula": ToolKind(SpatulaConfig, spatula_model),
    "plunger": ToolKind(PlungerConfig, plunger_model),
}


def tool_model(kind: str, config: Any = None, **fields: Any) -> ToolModel:
    """Build a tool of a kind.

    Args:
        kind: Key of `TOOLS`.
        config: Instance of its config class; None to build one from `fields`.
        **fields: Fields of the config that differ from their defaults.

    Raises:
        ValueError: Unknown kind or field (lists the valid ones), or impossible sizes.
    """
    if kind not in TOOLS:
        raise ValueError(f"unknown tool {kind!r}; tools: {', '.join(TOOLS)}")
    entry = TOOLS[kind]
    if config is None:
        known = entry.config.__dataclass_fields__
        wrong = sorted(set(fields) - set(known))
        if wrong:
            raise ValueError(f"{kind} has no {', '.join(map(repr, wrong))}; fields: {', '.join(known)}")
        config = entry.config(**fields)
    elif fields or not isinstance(config, entry.config):
        raise ValueError(f"pass either a {entry.config.__name__} or its fields to build a {kind}")
    return entry.model(config)


def add_tool(
    spec: mujoco.MjSpec,
    kind: str,
    name: str,
    config: Any = None,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Add a tool of a kind to a model, free or fixed to a site; see `sim.tools.base.attach_tool`."""
    return attach_tool(spec, name, tool_model(kind, config), position_m, quat_wxyz, parent_site)


def tool_spec(kind: str, *, is_free: bool = False, **fields: Any) -> mujoco.MjSpec:
    """Return a model of a tool alone, lit, for viewing; its parts are named `tool/...`.

    Args:
        kind: Key of `TOOLS`.
        is_free: Whether it can move; else it is fixed to the world.
        **fields: Fields of its config that differ from their defaults.
    """
    spec = mujoco.MjSpec()
    spec.worldbody.add_site(name="stand")
    spec.worldbody.add_light(pos=[0.2, 0.3, 1.0], dir=[-0.2, -0.3, -1.0])
    attach_tool(spec, "tool", tool_model(kind, None, **fields), parent_site=None if is_free else "stand")
    return spec
