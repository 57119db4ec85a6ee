"""A hand that a trained policy works: its goal, the opening of the tool, is what an upper level sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from policies.artifact import batch_act, load_policy
from policies.fit import check_fit
from policies.hierarchy import GoalEntry, HierarchicalPolicy
from policies.hierarchy_files import LevelFile, save_hierarchy
from policies.policy import ArraySpec, PolicySpec
from policies.shipped import FOLDER, shipped
from sim.batch.actions import JointTargets
from sim.batch.physics import Physics

GOAL: Final = ("opening", "shift")
"""What the lower level's goal is made of; its shift, the tool's displacement in the hand, is to be 0."""
OPENING_M: Final = (0.0, 0.028)
"""Openings that the action of an upper level asks for, at -1 and at 1 [m]."""


class HandJoints(JointTargets):
    """Steps of a hand's servos, its entries named like the hand's own joints wherever it is mounted.

    Args:
        physics: The simulation.
        actuators: Position actuators.
        names: Names of the action's entries.
        step_rad: Largest change of a target per control step [rad].
    """

    def __init__(
        self, physics: Physics, actuators: Sequence[str], names: Sequence[str], step_rad: float
    ) -> None:
        """See the class."""
        super().__init__(physics, actuators, step=step_rad)
        self.names = tuple(names)


class LearnedHand:
    """One action entry, the tool's opening from -1 to 1, for a trained policy to work the hand towards.

    Args:
        folder: The policy, as `policies.artifact` stores it; its recurrent state, if any, is not kept.
        joints: What its action drives.
        observe: Returns the named observations of the hand and its tool.
        tick_dt: Time between two controls [s].

    Raises:
        ValueError: If there is no such policy, or it was made for other observations, joints, goals or rate.
    """

    def __init__(
        self,
        folder: Path,
        joints: HandJoints,
        observe: Callable[[], dict[str, Tensor]],
        tick_dt: float,
    ) -> None:
        """See the class."""
        policy = load_policy(folder)
        goal = ArraySpec((len(GOAL),), GOAL, "m")
        entries = tuple(f"{k}.{i}" for k, v in observe().items() for i in range(v.shape[1]))
        obs = {"observation": ArraySpec((len(entries),), entries), "desired_goal": goal}
        action = ArraySpec((len(joints.names),), joints.names, low=-1.0, high=1.0)
        check_fit(str(folder), policy.spec, PolicySpec(obs, action, goal, tick_dt), "tweezer_hand")
        self._act, self._joints, self._observe = batch_act(policy), joints, observe
        self.names: tuple[str, ...] = ("opening",)

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """See `ActionTerm.apply`."""
        low, high = OPENING_M
        opening = low + 0.5 * (high - low) * (action + 1.0)
        goal = torch.cat((opening, torch.zeros_like(opening)), -1)
        obs = {"observation": torch.cat(list(self._observe().values()), -1), "desired_goal": goal}
        self._joints.apply(torch.clamp(self._act(obs), -1.0, 1.0), ctrl)

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `ActionTerm.reset`: the targets live in the control vector."""

    def memory(self) -> dict[str, Tensor]:
        """See `ActionTerm.memory`."""
        return {}


def find_low_level(name: str) -> Path:
    """Return the folder of a lower level: an experiment whose weights ship, else a path.

    Raises:
        ValueError: If there is neither; lists the weights that ship.
    """
    ships = (FOLDER / name).parent == FOLDER and (FOLDER / name).is_dir()
    return Path(name) if Path(name).exists() and not ships else shipped(name)


def store_with_upper(
    upper: Path, lower: str, env: PolicySpec, folder: Path, about: Mapping[str, Any] | None = None
) -> HierarchicalPolicy:
    """Store an upper level, trained above a hand, and its lower level as one policy in `folder`.

    Args:
        upper: Folder of the upper level.
        lower: The lower level, see `find_low_level`.
        env: Specs of an environment whose hand is driven joint by joint, in which the whole acts.
        folder: Where to.
        about: Where it comes from, besides its task; see `policies.artifact.save_policy`.

    Raises:
        ValueError: If they do not fit together.
    """
    low, high = OPENING_M
    goal = (
        GoalEntry(
            "opening", "opening", scale=0.5 * (high - low), offset=0.5 * (high + low), low=low, high=high
        ),
        GoalEntry("shift"),
    )
    levels = [LevelFile("arm", upper), LevelFile("hand", find_low_level(lower), goal, "m")]
    return save_hierarchy(folder, levels, env.obs, {"task": "tweezer_pick", **(about or {})})
