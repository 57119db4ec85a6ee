"""Robot models: `fr3` authored here, `menagerie/<name>` from the `mujoco-menagerie` package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.robots.model import RobotModel

__all__ = ["load_robot"]


def load_robot(name: str) -> RobotModel:
    """Return the robot called `name` on the command line (`robot=`).

    Args:
        name: `fr3` or `menagerie/<name>`.

    Raises:
        ValueError: Unknown robot; lists the known ones.
        RuntimeError: The robot's files are not on this machine; says what to do.
    """
    from sim.robots import menagerie
    from sim.robots.fr3 import FR3

    if name == FR3.name:
        return FR3
    family, _, model_name = name.partition("/")
    if family == "menagerie" and model_name in menagerie.ADAPTED:
        return menagerie.load(model_name)
    known = ", ".join([FR3.name, *(f"menagerie/{n}" for n in menagerie.ADAPTED)])
    raise ValueError(f"unknown robot {name!r}; robots: {known}")
