"""As much of the packages `launch` and `launch_ros` as the launch files use, for machines without ROS 2.

Keyword arguments are those of the real classes; an unknown one is a TypeError here as there.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Context:
    launch_configurations: dict[str, str] = field(default_factory=dict)


@dataclass
class LaunchDescription:
    entities: list[Any]


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str | None = None
    description: str | None = None
    choices: Iterable[str] | None = None

    def execute(self, context: Context) -> list[Any]:
        if self.name not in context.launch_configurations:
            assert self.default_value is not None, f"{self.name} has no value"
            context.launch_configurations[self.name] = self.default_value
        return []


@dataclass
class LaunchConfiguration:
    variable_name: str

    def perform(self, context: Context) -> str:
        return context.launch_configurations[self.variable_name]


@dataclass
class OpaqueFunction:
    function: Callable[[Context], list[Any]]

    def execute(self, context: Context) -> list[Any]:
        return self.function(context)


@dataclass
class Shutdown:
    reason: str = "reason not given"


@dataclass
class FindPackageShare:
    package: str


@dataclass
class PathJoinSubstitution:
    substitutions: Iterable[Any]


@dataclass
class PythonLaunchDescriptionSource:
    location: Any


@dataclass
class IncludeLaunchDescription:
    launch_description_source: Any
    launch_arguments: Iterable[tuple[str, str]] = ()


@dataclass(kw_only=True)
class Node:
    package: str
    executable: str
    name: str | None = None
    namespace: str | None = None
    arguments: Iterable[str] = ()
    parameters: Iterable[Any] = ()
    remappings: Iterable[tuple[str, str]] = ()
    output: str = "log"
    emulate_tty: bool = False
    on_exit: Any = None


_MODULES = {
    "launch": [LaunchDescription],
    "launch.actions": [DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown],
    "launch.launch_description_sources": [PythonLaunchDescriptionSource],
    "launch.substitutions": [LaunchConfiguration, PathJoinSubstitution],
    "launch_ros": [],
    "launch_ros.actions": [Node],
    "launch_ros.substitutions": [FindPackageShare],
}


def install(monkeypatch: Any) -> None:
    """Put the stand-ins where the packages would be."""
    for name, contents in _MODULES.items():
        module = types.ModuleType(name)
        module.__path__ = []  # type: ignore[attr-defined]
        for content in contents:
            setattr(module, content.__name__, content)
        monkeypatch.setitem(sys.modules, name, module)
