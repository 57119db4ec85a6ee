"""Which skills there are. Nothing is imported before a skill is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from perception_tools.registry import load_listed
from perception_tools.tool import Tool

SKILLS: Mapping[str, str] = MappingProxyType(
    {
        "look_at": "vlm_agent.skills.look:look_at",
        "move_to": "vlm_agent.skills.basic:move_to",
        "pick": "vlm_agent.skills.pick:pick",
        "place": "vlm_agent.skills.place:place",
        "push": "vlm_agent.skills.push:push",
        "stack": "vlm_agent.skills.stack:stack",
        "insert": "vlm_agent.skills.insert:insert",
        "hand_over": "vlm_agent.skills.hand_over:hand_over",
        "regrasp": "vlm_agent.skills.regrasp:regrasp",
        "home": "vlm_agent.skills.basic:home",
        "open_gripper": "vlm_agent.skills.gripper:open_gripper",
        "close_gripper": "vlm_agent.skills.gripper:close_gripper",
        "pick_with_tool": "vlm_agent.skills.tool_use:pick_with_tool",
        "set_tool_opening": "vlm_agent.skills.tool_use:set_tool_opening",
        "open_drawer": "vlm_agent.skills.open_drawer:open_drawer",
        "turn": "vlm_agent.skills.turn:turn",
        "wipe": "vlm_agent.skills.wipe:wipe",
        "explore": "vlm_agent.skills.explore:explore",
        "use_tool": "vlm_agent.skills.use_tool:use_tool",
        "pour": "vlm_agent.skills.pour:pour",
        "weigh": "vlm_agent.skills.weigh:weigh",
        "reachable": "vlm_agent.skills.reachable:reachable",
        "stop": "vlm_agent.skills.basic:stop",
    }
)


def load_skills(names: Iterable[str] | None = None) -> dict[str, Tool[Any]]:
    """Import skills by name, all of them if `names` is None; in the order asked for.

    Raises:
        ValueError: Unknown name; suggests the nearest and lists the valid ones.
    """
    return {name: load_skill(name) for name in (SKILLS if names is None else names)}


def load_skill(name: str) -> Tool[Any]:
    """Import one skill.

    Raises:
        ValueError: Unknown name; suggests the nearest and lists the valid ones.
    """
    return load_listed(SKILLS, name, "skill")


def permitted(allow: Any, tools: Mapping[str, Tool[Any]]) -> tuple[str, ...]:
    """Return the skills that `skills.allow` permits.

    Args:
        allow: Their names, or `all`.
        tools: What there is, by name; what moves the robot is a skill.

    Raises:
        ValueError: Neither, or a name of no skill; says which there are.
    """
    skills = [name for name, tool in tools.items() if tool.moves_robot]
    if allow == "all":
        return tuple(skills)
    if allow is None or isinstance(allow, str):
        raise ValueError(f"skills.allow is {allow!r}; give a list such as [look_at,pick], or all")
    for name in allow:
        if name not in skills:
            near = difflib.get_close_matches(str(name), skills, n=1)
            hint = f", did you mean {near[0]!r}" if near else ""
            raise ValueError(f"skills.allow: no skill {name!r}{hint}; skills: {', '.join(skills)}, or all")
    return tuple(allow)
