"""`tweezer_hand`: a hand holds tweezers by friction and brings their tips to an opening."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import mujoco
import numpy as np
import torch
from torch import Tensor

from perception_tools.geometry import FloatArray
from sim.batch.handles import ResetState, Sensors
from sim.batch.physics import Physics
from sim.batch.rng import EnvRandom
from sim.tasks.tool_hand import ToolHandConfig, ToolHandTask
from sim.tasks.tweezer_grasp import TweezerGrasp
from sim.tools.base import ToolHandle
from sim.tools.tweezers import TweezersConfig, add_tweezers

_INSETS_M: Final = np.linspace(0.003, 0.0085, 7)  # how far inside the arms the tips aim, for the starts
_RANGE_M: Final = (0.0, 0.016)
_PINCH: Final = "pinch"
_CLEAR_M: Final = 0.0005  # between the tips and the object at the start


@dataclass(frozen=True)
class TweezerHandConfig(ToolHandConfig):
    """Settings of `tweezer_hand`.

    Attributes:
        length_m: Length of the tweezers [m].
        rest_opening_m: Opening of the tips when nobody squeezes [m]; goals must stay below, for where the
            spring is relaxed nothing holds the tweezers.
        stiffness_n_m_rad: Spring of the tweezers [N m/rad].
        width_m: Width of an arm of the tweezers at the grip [m].
        object_share: Share of the episodes, at difficulty 1, with an object between the tips.
        object_m: Widths of these objects [m]; none is wider than the tips are open at the start.
        compliance_m_n: How far below the object's width a goal asks for a newton at the tips [m/N].
        pinch_n: Largest force that a goal asks for [N].
    """

    step_rad: float = 0.04
    opening_m: tuple[float, float] = (0.004, 0.018)
    length_m: float = 0.15
    rest_opening_m: float = 0.03
    stiffness_n_m_rad: float = 1.2
    width_m: float = 0.012
    object_share: float = 0.0
    object_m: tuple[float, float] = (0.004, 0.018)
    compliance_m_n: float = 0.003
    pinch_n: float = 1.2

    def __post_init__(self) -> None:
        """Refuse goals at which the tweezers would fall."""
        super().__post_init__()
        if self.opening_m[1] > 0.75 * self.rest_opening_m:
            raise ValueError(
                f"opening_m reaches {self.opening_m[1]} m; tweezers that rest at {self.rest_opening_m} m are "
                f"held by their spring up to {0.75 * self.rest_opening_m:.4f} m"
            )
        if not 0.0 <= self.object_share <= 1.0:
            raise ValueError(f"object_share is {self.object_share}; use a share in [0, 1]")
        if not 0.0 < self.object_m[0] <= self.object_m[1]:
            raise ValueError(f"object_m is {self.object_m}; use 0 < low <= high")
        if self.compliance_m_n <= 0.0 or self.pinch_n < 0.0:
            raise ValueError("compliance_m_n must be positive and pinch_n must not be negative")


class TweezerHand(ToolHandTask):
    """See `ToolHandTask`. Thumb on one arm of the tweezers, index and middle finger on the other.

    In a share of the episodes the tips close on an object. It is a stop of the tweezers' hinge: a rigid
    body that both tips touch and nothing else does. Its goals reach below its width: what is achieved
    then is its width less `compliance_m_n` times the force at the tips, so that a lower goal asks for a
    firmer pinch. Where nothing is between the tips, what is achieved is their opening.
    """

    name: ClassVar[str] = "tweezer_hand"
    config_class: ClassVar[type[TweezerHandConfig]] = TweezerHandConfig
    config: TweezerHandConfig

    def add_tool(self, spec: mujoco.MjSpec) -> ToolHandle:
        """See `ToolHandTask.add_tool`."""
        handle = add_tweezers(spec, "tweezers", tweezers_config(self.config))
        spec.add_sensor(
            name=_PINCH,
            type=mujoco.mjtSensor.mjSENS_JOINTLIMITFRC,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            objname=handle.joint,
        )
        return handle

    def bind(self, physics: Physics) -> None:
        """See `Task.bind`."""
        super().bind(physics)
        self._torque = Sensors(physics, [_PINCH])
        self._ranges = physics.model_field("jnt_range")
        self.object_m = torch.zeros(physics.num_envs, device=physics.device)
        assert self.handle.joint is not None
        self._hinge_at = int(physics.model.joint(self.handle.joint).qposadr[0])
        self._between = torch.zeros(0, device=physics.device)

    def least_goal(self, state: ResetState, random: EnvRandom, difficulty: Tensor) -> Tensor:
        """See `ToolHandTask.least_goal`: draws the object between the tips."""
        c = self.config
        is_there = random.uniform("object")[:, 0] < c.object_share * difficulty
        start = self.handle.opening_m(state["qpos"][:, self._hinge_at])
        widest = torch.clamp(start - _CLEAR_M, max=c.object_m[1])
        width = c.object_m[0] + random.uniform("object_width")[:, 0] * (widest - c.object_m[0])
        self._between = torch.where(is_there & (widest > c.object_m[0]), width, 0.0)
        return torch.clamp(self._between - c.compliance_m_n * c.pinch_n, min=0.0)

    def after_reset(self, ids: Tensor) -> None:
        """See `Task.after_reset`."""
        super().after_reset(ids)
        self.object_m[ids] = self._between
        if self.config.object_share > 0.0:
            ranges = self._ranges[ids].clone()
            ranges[:, self.hinge.ids[0], 0] = self.handle.joint_pos(self._between)
            self._physics.write_model(ids, {"jnt_range": ranges})

    def memory(self) -> dict[str, Tensor]:
        """See `Task.memory`."""
        return super().memory() | {"object": self.object_m}

    def privileged(self) -> dict[str, Tensor]:
        """See `Task.privileged`."""
        return super().privileged() | {"object": self.object_m[:, None], "pinch": self.pinch_n}

    @property
    def pinch_n(self) -> Tensor:
        """Force of the tips on the object between them [N], (num_envs, 1)."""
        arm = tweezers_config(self.config).tip_radius_m
        return torch.where(self.object_m[:, None] > 0.0, torch.clamp(self._torque.value, min=0.0) / arm, 0.0)

    def achieved_goal(self) -> Tensor:
        """See `Task.achieved_goal`."""
        achieved = super().achieved_goal()
        achieved[:, :1] -= self.config.compliance_m_n * self.pinch_n
        return achieved

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
        width_m=config.width_m,
        rest_opening_m=config.rest_opening_m,
        max_opening_m=1.15 * config.rest_opening_m,
        stiffness_n_m_rad=config.stiffness_n_m_rad,
    )
