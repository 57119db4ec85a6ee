"""Which simulated robots there are, by the name of the command line (`robot=`)."""

from __future__ import annotations

from sim.robots import menagerie
from sim.robots.fr3 import FR3
from sim.robots.model import RobotModel


def robot_names() -> tuple[str, ...]:
    """Return the names `load_robot` knows."""
    return (FR3.name, *(f"menagerie/{name}" for name in menagerie.ADAPTED))


def load_robot(name: str) -> RobotModel:
    """Return a robot model.

    Args:
        name: `fr3`, or `menagerie/<name>` for a model of the `mujoco-menagerie` package.

    Raises:
        ValueError: Unknown name (lists the valid ones), or a model that is not on this machine
            (says what to do).
    """
    if name not in robot_names():
        raise ValueError(f"unknown robot {name!r}; robots: {', '.join(robot_names())}")
    return FR3 if name == FR3.name else menagerie.load(name.removeprefix("menagerie/"))
