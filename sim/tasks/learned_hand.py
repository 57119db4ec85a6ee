"""A hand that a trained policy works: its goal, the opening of the tool, is what an upper level sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from policies.artifact import batch_act, load_policy
from policies.fit import check_fit
from policies.policy import ArraySpec, PolicySpec
from sim.batch.actions import JointTargets
from sim.batch.physics import Physics

GOAL = ("opening", "shift")
"""What the lower level's goal is made of; its shift, the tool's displacement in the hand, is to be 0."""


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
        opening_m: Openings at -1 and at 1 [m].
        tick_dt: Time between two controls [s].

    Raises:
        ValueError: If there is no such policy, or it was made for other observations, joints, goals or rate.
    """

    def __init__(
        self,
        folder: Path,
        joints: HandJoints,
        observe: Callable[[], dict[str, Tensor]],
        opening_m: tuple[float, float],
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
        self._low, self._span = opening_m[0], opening_m[1] - opening_m[0]
        self.names: tuple[str, ...] = ("opening",)

    def apply(self, action: Tensor, ctrl: Tensor) -> None:
        """See `ActionTerm.apply`."""
        opening = self._low + 0.5 * self._span * (action + 1.0)
        goal = torch.cat((opening, torch.zeros_like(opening)), -1)
        obs = {"observation": torch.cat(list(self._observe().values()), -1), "desired_goal": goal}
        self._joints.apply(torch.clamp(self._act(obs), -1.0, 1.0), ctrl)

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `ActionTerm.reset`: the targets live in the control vector."""

    def memory(self) -> dict[str, Tensor]:
        """See `ActionTerm.memory`."""
        return {}
