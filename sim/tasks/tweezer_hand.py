"""`tweezer_hand`: a hand holds tweezers by friction and brings their tips to an opening."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.tasks.tool_hand import ToolHandConfig, ToolHandTask
from sim.tasks.tweezer_grasp import TweezerGrasp
from sim.tools.base import ToolHandle
from sim.tools.tweezers import TweezersConfig, add_tweezers

_INSETS_M: Final = np.linspace(0.003, 0.0085, 7)  # how far inside the arms the tips aim, for the starts
_RANGE_M: Final = (0.0, 0.016)


@dataclass(frozen=True)
class TweezerHandConfig(ToolHandConfig):
    """Settings of `tweezer_hand`.

    Attributes:
        length_m: Length of the tweezers [m].
        rest_opening_m: Opening of the tips when nobody squeezes [m]; goals must stay below, for where the
            spring is relaxed nothing holds the tweezers.
        stiffness_n_m_rad: Spring of the tweezers [N m/rad].
    """

    opening_m: tuple[float, float] = (0.004, 0.018)
    length_m: float = 0.15
    rest_opening_m: float = 0.03
    stiffness_n_m_rad: float = 1.2

    def __post_init__(self) -> None:
        """Refuse goals at which the tweezers would fall."""
        super().__post_init__()
        if self.opening_m[1] > 0.75 * self.rest_opening_m:
            raise ValueError(
                f"opening_m reaches {self.opening_m[1]} m; tweezers that rest at {self.rest_opening_m} m are "
                f"held by their spring up to {0.75 * self.rest_opening_m:.4f} m"
            )


class TweezerHand(ToolHandTask):
    """See `ToolHandTask`. Thumb on one arm of the tweezers, index and middle finger on the other."""

    name: ClassVar[str] = "tweezer_hand"
    config_class: ClassVar[type[TweezerHandConfig]] = TweezerHandConfig
    config: TweezerHandConfig

    def add_tool(self, spec: mujoco.MjSpec) -> ToolHandle:
        """See `ToolHandTask.add_tool`."""
        return add_tweezers(spec, "tweezers", tweezers_config(self.config))

    def find_grasp(
        self, model: mujoco.MjModel
    ) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray]]:
        """See `ToolHandTask.find_grasp`."""
        opening, grip = 0.6 * self.config.rest_opening_m, model.site(self.handle.site("grip")).pos[2]
        hold = TweezerGrasp(self.handle, grip, opening)
        start = hold.place(model, model.qpos0, "palm")
        ends = [hold.posture(inset) for inset in _RANGE_M]
        targets = [hold.posture(inset) for inset in _INSETS_M]
        return [start] * len(targets), targets, ends


def tweezers_config(config: TweezerHandConfig) -> TweezersConfig:
    """Return the tweezers of a task."""
    return TweezersConfig(
        length_m=config.length_m,
        width_m=0.012,
        rest_opening_m=config.rest_opening_m,
        max_opening_m=1.15 * config.rest_opening_m,
        stiffness_n_m_rad=config.stiffness_n_m_rad,
    )
