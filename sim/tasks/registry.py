"""The tasks there are, by name; imported only when one is asked for."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sim.batch.env import BatchEnv
    from sim.batch.solver import Solver
    from sim.batch.task import Task

TASKS: Final[dict[str, tuple[str, str]]] = {
    "reach": ("sim.tasks.reach:Reach", "sim.solvers.reach:ReachSolver"),
    "push": ("sim.tasks.push:Push", "sim.solvers.push:PushSolver"),
    "pick_place": ("sim.tasks.pick_place:PickPlace", "sim.solvers.pick_place:PickPlaceSolver"),
    "stack": ("sim.tasks.stack:Stack", "sim.solvers.stack:StackSolver"),
    "drawer": ("sim.tasks.drawer:Drawer", "sim.solvers.drawer:DrawerSolver"),
    "faucet": ("sim.tasks.faucet:Faucet", "sim.solvers.faucet:FaucetSolver"),
    "wipe": ("sim.tasks.wipe:Wipe", "sim.solvers.wipe:WipeSolver"),
    "press": ("sim.tasks.press:Press", "sim.solvers.press:PressSolver"),
    "hook_reach": ("sim.tasks.hook_reach:HookReach", "sim.solvers.hook_reach:HookReachSolver"),
    "tweezer_hand": ("sim.tasks.tweezer_hand:TweezerHand", "sim.solvers.tool_hand:OpeningSolver"),
    "lever_lift": ("sim.tasks.lever_lift:LeverLift", "sim.solvers.lever_lift:LeverLiftSolver"),
    "bridge_gap": ("sim.tasks.bridge_gap:BridgeGap", "sim.solvers.bridge_gap:BridgeGapSolver"),
    "scissors_hand": ("sim.tasks.scissors_hand:ScissorsHand", "sim.solvers.tool_hand:OpeningSolver"),
    "reorient": ("sim.tasks.reorient:Reorient", "sim.solvers.reorient:ReorientSolver"),
    "button_with_assembled_stick": (
        "sim.tasks.button_with_assembled_stick:ButtonWithAssembledStick",
        "sim.solvers.button_with_assembled_stick:ButtonWithAssembledStickSolver",
    ),
    "tweezer_pick": ("sim.tasks.tweezer_pick:TweezerPick", "sim.solvers.tweezer_pick:TweezerPickSolver"),
    "scoop": ("sim.tasks.scoop:Scoop", "sim.solvers.scoop:ScoopSolver"),
    "pour_beads": ("sim.tasks.pour_beads:PourBeads", "sim.solvers.pour_beads:PourBeadsSolver"),
}
"""Name to the task's class and its solver's."""


def task_class(name: str) -> type[Task]:
    """Return a task's class.

    Raises:
        ValueError: If there is no such task; lists the tasks.
    """
    return _load(_entry(name)[0])


def make_task(name: str, **settings: Any) -> Task:
    """Build a task with settings of its config class.

    Raises:
        ValueError: If the task or a setting is unknown, or a value is out of range.
    """
    cls = task_class(name)
    config_class = cls.config_class
    unknown = [k for k in settings if k not in config_class.__dataclass_fields__]
    if unknown:
        valid = ", ".join(config_class.__dataclass_fields__)
        raise ValueError(f"task {name} has no setting {unknown[0]!r}; it has {valid}")
    return cls(config_class(**settings))


def make_solver(name: str, env: BatchEnv) -> Solver:
    """Build a task's solver for an environment of it."""
    return _load(_entry(name)[1])(env)


def _entry(name: str) -> tuple[str, str]:
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown task {name!r}; {hint}tasks: {', '.join(sorted(TASKS))}")
    return TASKS[name]


def _load(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(importlib.import_module(module), attribute)
