"""Which simulated robots there are, by the name of the command line (`robot=`)."""

from __future__ import annotations

from sim.robots.model import RobotModel


def load_robot(name: str) -> RobotModel:
    """Return a robot model.

    Args:
        name: `fr3`, or `menagerie/<name>` for a model of the `mujoco-menagerie` package.

    Raises:
        ValueError: Unknown name (lists the valid ones), or a model that is not in the cache.
    """
    if name == "fr3":
        from sim.robots.fr3 import FR3

        return FR3
    if name.startswith("menagerie/"):
        from sim.robots.menagerie import load_menagerie

        return load_menagerie(name.removeprefix("menagerie/"))
    raise ValueError(f"no robot {name!r}; robots: fr3, menagerie/<name>")
