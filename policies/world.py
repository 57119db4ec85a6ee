"""The `World` contract: seeded episodes with an instruction, a robot, cameras, and a judge.

`judge()` knows the truth. It is held by the benchmark runner only; nothing that plans, sees or
acts may reach it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from perception_tools.camera import Camera
from perception_tools.senses import Senses
from policies.held_tool import ToolSensor
from policies.robot import Robot

Expected = Literal["done", "refused", "answered"]


@dataclass(frozen=True)
class Episode:
    """What a planner is given, and what would be right.

    Attributes:
        instruction: The task in words.
        family: Family of the task (for tables).
        seed: Seed it was drawn from.
        expected: Whether the right outcome is to do it, to refuse it, or to answer.
        robot: The bare driver; assembly wraps it in `SafeRobot` before anyone uses it.
        cameras: Cameras by name.
        meta: JSON-able facts for reports; never shown to the planner.
        senses: Touch, force, sound and temperature of the robot; None if it has none.
        held_tool: Senses the tool in the hand; None if it holds none.
    """

    instruction: str
    family: str
    seed: int
    expected: Expected
    robot: Robot
    cameras: Mapping[str, Camera]
    meta: Mapping[str, Any] = field(default_factory=dict)
    senses: Senses | None = None
    held_tool: ToolSensor | None = None


@dataclass(frozen=True)
class Judgement:
    """Truth about the present state of the world.

    Attributes:
        success: Whether the goal of the episode holds (for `expected="refused"`: nothing was moved).
        reason: One line: what holds or what does not.
        facts: JSON-able measurements (distances [m], contact forces [N], limit violations).
    """

    success: bool
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class World(Protocol):
    """A source of episodes."""

    def reset(self, seed: int, family: str | None = None) -> Episode:
        """Build the episode of a seed; equal seeds give equal episodes.

        Raises:
            ValueError: Unknown family; lists the valid ones.
        """
        ...

    def judge(self) -> Judgement:
        """Judge the present state; callable at any time after `reset`."""
        ...

    def rows(self, seed: int, n: int) -> Iterator[Mapping[str, Any]]:
        """Generate questions with exact ground truth, deterministic from the seed."""
        ...

    def close(self) -> None:
        """Release simulators and renderers; idempotent."""
        ...
